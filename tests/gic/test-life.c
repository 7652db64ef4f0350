/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a GIC and an ITS: making, resetting and freeing them, and the host's memory that
 * commands take: when there is none, when the limit is reached, and that it all comes back.
 */
#include "its-guest.h"

#include <gic/gic.h>

/* ---- making, resetting, freeing ---- */

static int make_gic(const struct peal_host *host, void *user)
{
	static const struct peal_redist_config redists[] = { { 0, 0 }, { 1, 1 }, { 9, 9 } };
	const struct peal_gic_config config = {
		.host = host,
		.memory = user,
		.nredists = 3,
		.redists = redists,
		.kick = guest_kick,
	};
	struct peal_gic *gic = (struct peal_gic *)0x123;
	int r = peal_gic_new(&gic, &config);

	if (r < 0)
		assert_ptr_equal(gic, (void *)0x123);
	else
		peal_gic_free(gic);
	return r;
}

static void every_allocation_of_a_gic_may_fail(void **state)
{
	struct test_host th;
	struct test_ram ram;

	(void)state;
	test_host_init(&th);
	test_ram_init(&ram, &th.host, GUEST_RAM, 4096);
	/* The GIC, 4 arrays, a pending array and 3 levels for each of 3, 2 mutexes. */
	assert_int_equal(test_every_allocation(make_gic, ram.space), 5 + 3 * 4 + 2);
	peal_gic_free(NULL);
	test_ram_done(&ram);
	test_host_done(&th);
}

static void bad_configurations_of_a_gic_are_refused(void **state)
{
	struct peal_redist_config redists[] = { { 3, 0 }, { 1, 1 }, { 3, 2 } };
	struct peal_gic_config config = { .nredists = 3, .redists = redists, .kick = guest_kick };
	struct peal_gic *gic = (struct peal_gic *)0x123;
	struct test_host th;

	(void)state;
	test_host_init(&th);
	config.host = &th.host;
	assert_int_equal(peal_gic_new(&gic, &config), -EINVAL); /* 3 twice */
	redists[2].processor_number = 2;
	config.id_bits = 13;
	assert_int_equal(peal_gic_new(&gic, &config), -EINVAL);
	config.id_bits = 25;
	assert_int_equal(peal_gic_new(&gic, &config), -EINVAL);
	config.id_bits = 14;
	config.nredists = 0;
	assert_int_equal(peal_gic_new(&gic, &config), -EINVAL);
	config.nredists = 65537;
	assert_int_equal(peal_gic_new(&gic, &config), -EINVAL);
	assert_ptr_equal(gic, (void *)0x123);
	config.nredists = 3;
	assert_int_equal(peal_gic_new(&gic, &config), 0);
	peal_gic_free(gic);
	test_host_done(&th);
}

/* Looking for LPIs that strayed costs; who needs not does not. */
static void nothing_strays_after_a_reset_or_with_lpis_off(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	for (unsigned n = 0; n < 2; n++) {
		guest_start(&g);
		assert_int_equal(g.gic->strayed, 0);
		assert_int_equal(g.gic->strayed_redists[0], 0);
		assert_false(g.gic->redists[0].table_stale);
		its_map_collections(gi);
		its_map_lpis(gi, 1, LPI, 2, 0, 0);
		assert_int_equal(peal_its_send(gi->its, 1, 0), 1);
		assert_int_equal(its_mapc(gi, 0, 1), 0);
		assert_int_equal(g.gic->strayed, 1);
		assert_int_equal(g.gic->strayed_redists[0], 1);
		assert_int_equal(peal_gic_save_pending(g.gic), 0);
		assert_true(g.gic->redists[0].table_stale);
		memset(test_ram_at(&g.ram, g.pending[0], 0x2000), 0, 0x2000);
		peal_its_reset(gi->its);
		peal_gic_reset(g.gic);
	}
	guest_done(&g);
}

static void resetting_an_its_forgets_everything(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	guest_start(&g);
	its_map_collections(gi);
	its_map_lpis(gi, 5, LPI, 4, 1, 0);
	assert_int_equal(peal_its_send(gi->its, 5, 3), 1);
	peal_its_reset(gi->its);
	assert_int_equal(its_read32(gi, GITS_CTLR), QUIESCENT);
	assert_int_equal(its_read(gi, GITS_CBASER), 0);
	assert_int_equal(its_read(gi, GITS_CREADR), 0);
	assert_int_equal(its_read(gi, GITS_CWRITER), 0);
	assert_int_equal(its_read(gi, GITS_BASER(0)) & VALID, 0);
	assert_int_equal(its_read(gi, GITS_TYPER) & 1, 1);
	assert_int_equal(its_counters(gi).memory, 0);
	assert_int_equal(peal_its_send(gi->its, 5, 3), -EBUSY);
	assert_false(guest_is_pending(&g, 1, LPI + 3));
	guest_program_its(gi);
	its_write32(gi, GITS_CTLR, 1);
	assert_int_equal(peal_its_send(gi->its, 5, 3), 0);
	its_map_collections(gi);
	its_map_lpis(gi, 5, LPI, 4, 1, 0);
	assert_int_equal(peal_its_send(gi->its, 5, 3), 1);
	assert_int_equal(guest_acknowledge(&g, 1), LPI + 3);
	guest_done(&g);
}

/* A known failure of others. */
static void leak_at_teardown_with_pending_lpis(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	guest_start(&g);
	its_map_collections(gi);
	its_map_lpis(gi, 5, LPI, 4, 1, 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(peal_its_send(gi->its, 5, i), 1);
	guest_done(&g); /* checks that nothing is left */
}

static int make_its(const struct peal_host *host, void *user)
{
	static const struct peal_redist_config redist = { 0, 0 };
	struct test_host quiet;
	const struct peal_gic_config gic_config = {
		.host = &quiet.host,
		.memory = user,
		.nredists = 1,
		.redists = &redist,
		.kick = guest_kick,
	};
	struct peal_its_config config = { .gic = NULL };
	struct peal_its *its = (struct peal_its *)0x123;
	int r;

	/* Only the ITS takes from the host that fails. */
	test_host_init(&quiet);
	assert_int_equal(peal_gic_new(&config.gic, &gic_config), 0);
	config.gic->host = host;
	r = peal_its_new(&its, &config);
	if (r < 0)
		assert_ptr_equal(its, (void *)0x123);
	else
		peal_its_free(its);
	config.gic->host = &quiet.host;
	peal_gic_free(config.gic);
	test_host_done(&quiet);
	return r;
}

static void every_allocation_of_an_its_may_fail(void **state)
{
	struct test_host th;
	struct test_ram ram;

	(void)state;
	test_host_init(&th);
	test_ram_init(&ram, &th.host, GUEST_RAM, 4096);
	assert_int_equal(test_every_allocation(make_its, ram.space), 2); /* itself, its mutex */
	peal_its_free(NULL);
	test_ram_done(&ram);
	test_host_done(&th);
}

static void bad_widths_of_an_its_are_refused(void **state)
{
	static const struct peal_its_config bad[] = {
		{ .device_bits = 33 },
		{ .event_bits = 25 },
		{ .icid_bits = 17 },
	};
	struct guest g;

	(void)state;
	guest_init(&g, NULL);
	for (unsigned i = 0; i < PEAL_COUNT_OF(bad); i++) {
		struct peal_its_config config = bad[i];
		struct peal_its *its = (struct peal_its *)0x123;

		config.gic = g.gic;
		assert_int_equal(peal_its_new(&its, &config), -EINVAL);
		assert_ptr_equal(its, (void *)0x123);
	}
	guest_done(&g);
}

static void resetting_a_gic_forgets_everything(void **state)
{
	const struct guest_config c = { .direct_lpi = true };
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, &c);
	guest_start(&g);
	its_map_collections(gi);
	its_map_lpis(gi, 5, LPI, 4, 1, 0);
	assert_int_equal(peal_its_send(gi->its, 5, 3), 1);
	peal_gic_reset(g.gic);
	for (unsigned n = 0; n < 2; n++) {
		assert_int_equal(redist_read(&g, n, GICR_CTLR, 4), 0x6);
		assert_int_equal(redist_read(&g, n, GICR_PROPBASER, 8), 0);
		assert_int_equal(redist_read(&g, n, GICR_PENDBASER, 8), 0);
		assert_int_equal(redist_read(&g, n, GICR_TYPER, 8) >> 8 & 0xffff, n);
	}
	assert_int_equal(*guest_pending_byte(&g, 1, LPI), 0); /* memory is as it was */
	assert_false(guest_is_pending(&g, 1, LPI + 3));
	assert_int_equal(peal_its_send(gi->its, 5, 3), -EBUSY);
	memset(test_ram_at(&g.ram, g.configuration, 65536), 0, 65536);
	guest_start_redist(&g, 1);
	assert_int_equal(guest_acknowledge(&g, 1), SPURIOUS);
	redist_write(&g, 1, GICR_SETLPIR, 8, LPI + 3);
	assert_int_equal(guest_acknowledge(&g, 1), SPURIOUS); /* its configuration too */
	guest_configure(&g, LPI + 3, LPI_ON);
	redist_write(&g, 1, GICR_INVALLR, 8, 0);
	assert_int_equal(guest_acknowledge(&g, 1), LPI + 3);
	guest_done(&g);
}

/* ---- commands without memory ---- */

struct snapshot {
	struct peal_its_counters counters;
	int64_t live;
	int64_t bytes;
};

static struct snapshot take_snapshot(struct guest *g)
{
	return (struct snapshot){ its_counters(&g->its[0]), g->th.live, g->th.bytes };
}

static void assert_same_mappings(const struct snapshot *a, const struct snapshot *b)
{
	assert_int_equal(a->counters.devices, b->counters.devices);
	assert_int_equal(a->counters.events, b->counters.events);
	assert_int_equal(a->counters.memory, b->counters.memory);
	assert_int_equal(a->live, b->live);
	assert_int_equal(a->bytes, b->bytes);
}

/*
 * Runs COMMAND with its 1st, 2nd, … allocation failing until it succeeds: every failure is the
 * error of the command with 0xff in the low byte and changes nothing. Returns how many failed.
 */
static unsigned fail_every_allocation(struct guest *g, uint32_t (*command)(struct guest_its *gi))
{
	for (unsigned n = 0;; n++) {
		struct snapshot before = take_snapshot(g), after;
		uint32_t error;

		test_host_fail_in(&g->th, n);
		error = command(&g->its[0]);
		test_host_fail_never(&g->th);
		if (error == 0)
			return n;
		assert_int_equal(error & 0xff00ff, 0x0100ff);
		after = take_snapshot(g);
		assert_same_mappings(&before, &after);
	}
}

static uint32_t map_a_device(struct guest_its *gi)
{
	return its_mapd(gi, 0x12345678, 8, its_itt(gi, 0));
}

static uint32_t map_a_neighbour(struct guest_its *gi)
{
	return its_mapd(gi, 0x12340000, 8, its_itt(gi, 1));
}

static uint32_t map_an_event(struct guest_its *gi)
{
	return its_mapti(gi, 0x12345678, 100, LPI + 100, 2);
}

static uint32_t map_a_collection(struct guest_its *gi)
{
	return its_mapc(gi, 2, 1);
}

static uint32_t map_another_collection(struct guest_its *gi)
{
	return its_mapc(gi, 300, 0);
}

static uint32_t move_the_event(struct guest_its *gi)
{
	return its_movi(gi, 0x12345678, 100, 300);
}

static void commands_without_memory_fail_and_change_nothing(void **state)
{
	const struct guest_config c = { .device_bits = 32 };
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, &c);
	guest_start(&g);
	its_write32(gi, GITS_CTLR, 0);
	/* The level 1 entries of the two devices fall into the flat table's memory. */
	its_write(gi, GITS_BASER(0), VALID | INDIRECT | PAGE_64K | 255 | GUEST_RAM);
	its_write32(gi, GITS_CTLR, 1);
	guest_store(&g, GUEST_RAM + 0x12340000 / 8192 * 8, VALID | gi->collections);
	guest_store(&g, GUEST_RAM + 0x12345678 / 8192 * 8, VALID | gi->collections);
	guest_configure(&g, LPI + 100, LPI_ON);
	/* The device, and four nodes on the way to it; two of them are its neighbour's too. */
	assert_int_equal(fail_every_allocation(&g, map_a_device), 5);
	assert_int_equal(fail_every_allocation(&g, map_a_neighbour), 2);
	/* The entries, and the collection's list with room for the event. */
	assert_int_equal(fail_every_allocation(&g, map_an_event), 4);
	assert_int_equal(fail_every_allocation(&g, map_a_collection), 1);
	assert_int_equal(peal_its_send(gi->its, 0x12345678, 100), 1);
	assert_int_equal(guest_acknowledge(&g, 1), LPI + 100);
	assert_int_equal(fail_every_allocation(&g, map_another_collection), 1);
	/* Another page of lists. */
	assert_int_equal(fail_every_allocation(&g, move_the_event), 1);
	assert_int_equal(peal_its_send(gi->its, 0x12345678, 100), 1);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 100);
	assert_int_equal(its_counters(gi).errors, 14);
	guest_done(&g);
}

static void mapping_a_device_again_without_memory_keeps_it(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	guest_start(&g);
	its_map_collections(gi);
	its_map_lpis(gi, 1, LPI, 4, 1, 0);
	assert_int_equal(peal_its_send(gi->its, 1, 2), 1);
	test_host_fail_in(&g.th, 0);
	assert_int_equal(its_mapd(gi, 1, 8, its_itt(gi, 2)), 0x0108ff);
	test_host_fail_never(&g.th);
	assert_int_equal(its_counters(gi).events, 4);
	assert_int_equal(guest_acknowledge(&g, 1), LPI + 2);
	assert_int_equal(peal_its_send(gi->its, 1, 3), 1);
	assert_int_equal(its_mapd(gi, 1, 8, its_itt(gi, 2)), 0);
	assert_int_equal(its_counters(gi).devices, 1);
	assert_int_equal(its_counters(gi).events, 0);
	guest_done(&g);
}

static void the_memory_limit_is_a_command_error(void **state)
{
	const struct guest_config c = { .memory_limit = 16384 };
	struct guest g;
	struct guest_its *gi = &g.its[0];
	uint32_t devices = 0, error = 0;

	(void)state;
	guest_init(&g, &c);
	guest_start(&g);
	while (error == 0) {
		error = its_mapd(gi, devices, 8, its_itt(gi, 0));
		devices += error == 0;
		assert_true(its_counters(gi).memory <= 16384);
		assert_true(devices < 1000);
	}
	assert_int_equal(error, 0x0108ff);
	assert_int_equal(its_counters(gi).devices, devices);
	assert_true(devices > 10);
	/* What one gives back another can have. */
	assert_int_equal(its_unmapd(gi, 0), 0);
	assert_int_equal(its_mapd(gi, 5000, 0, its_itt(gi, 0)), 0x0108ff); /* needs a node too */
	assert_int_equal(its_mapd(gi, devices, 8, its_itt(gi, 0)), 0);
	/* With nothing left events and collections fail as well. */
	assert_int_equal(its_mapc(gi, 0, 0), 0x0109ff);
	for (unsigned i = 0; error != 0x010aff; i += 16) {
		assert_true(i < 512);
		error = its_mapti(gi, 1, i, LPI, 0);
	}
	assert_true(its_counters(gi).memory <= 16384);
	guest_done(&g);
}

static void unmapping_everything_returns_memory_to_zero(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];
	struct snapshot before, after;

	(void)state;
	guest_init(&g, NULL);
	guest_start(&g);
	before = take_snapshot(&g);
	for (uint32_t i = 0; i < 512; i += 3)
		assert_int_equal(its_mapc(gi, i, i % 2), 0);
	for (uint32_t device = 0; device < GUEST_DEVICES; device += 97) {
		assert_int_equal(its_mapd(gi, device, device % 9, its_itt(gi, 0)), 0);
		assert_int_equal(its_mapti(gi, device, 1, LPI + device, 0), 0);
	}
	assert_true(its_counters(gi).memory > 0);
	for (uint32_t device = 0; device < GUEST_DEVICES; device += 97)
		assert_int_equal(its_unmapd(gi, device), 0);
	for (uint32_t i = 0; i < 512; i += 3)
		assert_int_equal(its_unmapc(gi, i, 0), 0);
	assert_int_equal(its_counters(gi).memory, 0);
	after = take_snapshot(&g);
	assert_same_mappings(&before, &after);
	guest_done(&g);
}

/* Any commands in any order: bounded while they run, nothing left afterwards. */
static void random_commands_stay_within_the_limit(void **state)
{
	static const uint8_t opcodes[] = { MAPD, MAPC, MAPC,  MAPTI, MAPTI,  MAPTI,   MAPI,
					   MOVI, INT,  CLEAR, INV,   MOVALL, DISCARD, 0x55 };
	const struct guest_config c = { .memory_limit = 65536, .nredists = 3 };
	struct guest g;
	struct guest_its *gi = &g.its[0];
	uint64_t random = 7;

	(void)state;
	guest_init(&g, &c);
	guest_start(&g);
	for (unsigned n = 0; n < 60000; n++) {
		uint8_t opcode = opcodes[test_random_below(&random, sizeof(opcodes))];
		uint32_t device = (uint32_t)test_random_below(&random, 9) * 900;
		uint64_t dw1 = test_random_below(&random, 40);
		uint64_t dw2 = test_random_below(&random, 5) | test_random_below(&random, 4) << 16;

		if (opcode == MAPD) {
			dw1 = 4 + test_random_below(&random, 13);
			dw2 = its_itt(gi, (unsigned)test_random_below(&random, 4));
		}
		if (opcode == MAPTI)
			dw1 |= (LPI + test_random_below(&random, 40)) << 32;
		if (test_random_below(&random, 8))
			dw2 |= VALID;
		(void)its_run(gi, dw_device(opcode, device), dw1, dw2,
			      test_random_below(&random, 4) << 16);
		for (uint32_t event = 0; event < 40; event += 3)
			(void)peal_its_send(gi->its, device, event);
		assert_true(its_counters(gi).memory <= 65536);
	}
	assert_true(its_counters(gi).translated > 10000);
	for (uint32_t device = 0; device < 9 * 900; device += 900)
		assert_int_equal(its_unmapd(gi, device), 0);
	for (uint32_t icid = 0; icid < 5; icid++)
		assert_int_equal(its_unmapc(gi, icid, 0), 0);
	assert_int_equal(its_counters(gi).memory, 0);
	assert_int_equal(its_counters(gi).events, 0);
	/* No event is left, so no LPI is pending: each went with its event. */
	for (uint32_t intid = LPI; intid < LPI + 40; intid++) {
		for (unsigned i = 0; i < 3; i++)
			assert_false(guest_is_pending(&g, i, intid));
	}
	guest_done(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_allocation_of_a_gic_may_fail),
		cmocka_unit_test(bad_configurations_of_a_gic_are_refused),
		cmocka_unit_test(nothing_strays_after_a_reset_or_with_lpis_off),
		cmocka_unit_test(resetting_an_its_forgets_everything),
		cmocka_unit_test(leak_at_teardown_with_pending_lpis),
		cmocka_unit_test(every_allocation_of_an_its_may_fail),
		cmocka_unit_test(bad_widths_of_an_its_are_refused),
		cmocka_unit_test(resetting_a_gic_forgets_everything),
		cmocka_unit_test(commands_without_memory_fail_and_change_nothing),
		cmocka_unit_test(mapping_a_device_again_without_memory_keeps_it),
		cmocka_unit_test(the_memory_limit_is_a_command_error),
		cmocka_unit_test(unmapping_everything_returns_memory_to_zero),
		cmocka_unit_test(random_commands_stay_within_the_limit),
	};

	return cmocka_run_group_tests_name("gic-life", tests, NULL, NULL);
}
