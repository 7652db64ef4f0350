/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM moves: guest memory and registers in the documented order, everything else from the guest's
 * tables. What kvm-unit-tests describes as its-migration, its-pending-migration and
 * its-migrate-unmapped-collection, and pending tables in particular.
 */
#include "tables-guest.h"

/* Not in order, with gaps, and not the indexes. */
static const uint16_t processors[] = { 7, 2, 300, 65535 };
static const struct guest_config four = { .nredists = 4, .processors = processors };

/* Two devices with an event each, to two vCPUs. */
static void setup_two_devices(struct guest *g)
{
	struct guest_its *gi = &g->its[0];

	guest_init(g, &four);
	guest_start(g);
	assert_int_equal(its_mapd(gi, 2, 7, its_itt(gi, 0)), 0);
	assert_int_equal(its_mapd(gi, 7, 7, its_itt(gi, 1)), 0);
	assert_int_equal(its_mapc(gi, 3, 65535), 0);
	assert_int_equal(its_mapc(gi, 2, 300), 0);
	guest_configure(g, 8195, 0xa0 | LPI_ON);
	guest_configure(g, 8196, 0xa0 | LPI_ON);
	assert_int_equal(its_invall(gi, 2), 0);
	assert_int_equal(its_invall(gi, 3), 0);
	assert_int_equal(its_mapti(gi, 2, 20, 8195, 3), 0);
	assert_int_equal(its_mapti(gi, 7, 255, 8196, 2), 0);
}

static void its_migration(void **state)
{
	struct guest g, to;
	struct guest_its *gi = &to.its[0];

	(void)state;
	setup_two_devices(&g);
	guest_migrate(&to, &g, &four);
	assert_int_equal(its_event(gi, INT, 2, 20), 0);
	assert_int_equal(guest_acknowledge(&to, 3), 8195);
	assert_int_equal(its_event(gi, INT, 7, 255), 0);
	assert_int_equal(guest_acknowledge(&to, 2), 8196);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(guest_acknowledge(&to, i), SPURIOUS);
	guest_done(&to);
	guest_done(&g);
}

/* Memory that came after LPIs were on: what is restored is as configured there. */
static void what_is_restored_is_configured_as_memory_says(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];
	struct image image;

	(void)state;
	setup_two_devices(&g);
	image = its_image(gi);
	guest_configure(&g, 8195, 0xa0);
	assert_int_equal(peal_its_load(gi->its, image.bytes, image.size), 0);
	gi->writer = (uint32_t)its_read(gi, GITS_CWRITER);
	assert_int_equal(peal_its_send(gi->its, 2, 20), 1);
	assert_int_equal(guest_acknowledge(&g, 3), SPURIOUS);
	guest_configure(&g, 8195, 0xa0 | LPI_ON);
	assert_int_equal(peal_its_load(gi->its, image.bytes, image.size), 0);
	assert_int_equal(guest_acknowledge(&g, 3), 8195);
	guest_configure(&g, 8196, 0xa0);
	assert_int_equal(peal_its_save_tables(gi->its), 0);
	its_write32(gi, GITS_CTLR, 0);
	assert_int_equal(peal_its_restore_tables(gi->its), 0);
	its_write32(gi, GITS_CTLR, 1);
	assert_int_equal(peal_its_send(gi->its, 7, 255), 1);
	assert_int_equal(guest_acknowledge(&g, 2), SPURIOUS);
	image_done(&image);
	guest_done(&g);
}

/* 256 LPIs are pending when the VM moves, half of them on each of two vCPUs. */
static void its_pending_migration(void **state)
{
	struct guest g, to;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, &four);
	guest_start(&g);
	assert_int_equal(its_mapd(gi, 2, 7, its_itt(gi, 0)), 0);
	assert_int_equal(its_mapc(gi, 0, 7), 0);
	assert_int_equal(its_mapc(gi, 1, 2), 0);
	for (unsigned i = 0; i < 256; i++) {
		guest_configure(&g, LPI + i, LPI_ON);
		assert_int_equal(its_mapti(gi, 2, i, LPI + i, i % 2), 0);
		assert_int_equal(peal_its_send(gi->its, 2, i), 1);
	}
	guest_migrate(&to, &g, &four);
	assert_true(to.kicks[0] > 0 && to.kicks[1] > 0);
	for (unsigned i = 0; i < 256; i++)
		assert_int_equal(guest_acknowledge(&to, i % 2), LPI + i);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(guest_acknowledge(&to, i), SPURIOUS);
	/* The source has them still: a move may be called off. */
	assert_int_equal(guest_acknowledge(&g, 1), LPI + 1);
	guest_done(&to);
	guest_done(&g);
}

static void its_migrate_unmapped_collection(void **state)
{
	struct guest g, to;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup_two_devices(&g);
	assert_int_equal(its_unmapc(gi, 3, 65535), 0);
	guest_migrate(&to, &g, &four);
	gi = &to.its[0];
	/* The other collection works. */
	assert_int_equal(its_event(gi, INT, 7, 255), 0);
	assert_int_equal(guest_acknowledge(&to, 2), 8196);
	/* This one does once it is mapped again. */
	assert_int_not_equal(its_event(gi, INT, 2, 20), 0);
	assert_int_equal(its_mapc(gi, 3, 65535), 0);
	assert_int_equal(its_invall(gi, 3), 0);
	assert_int_equal(its_event(gi, INT, 2, 20), 0);
	assert_int_equal(guest_acknowledge(&to, 3), 8195);
	guest_done(&to);
	guest_done(&g);
}

static void a_vm_may_move_on_and_back(void **state)
{
	struct guest g, second, third;

	(void)state;
	setup_two_devices(&g);
	guest_migrate(&second, &g, &four);
	assert_int_equal(its_event(&second.its[0], DISCARD, 2, 20), 0);
	assert_int_equal(its_mapti(&second.its[0], 2, 21, 8200, 2), 0);
	guest_migrate(&third, &second, &four);
	assert_true(its_same_state(&second.its[0], &third.its[0]));
	assert_int_equal(peal_its_send(third.its[0].its, 2, 20), 0);
	assert_int_equal(peal_its_send(third.its[0].its, 2, 21), 1);
	assert_true(guest_is_pending(&third, 2, 8200));
	guest_done(&third);
	guest_done(&second);
	guest_done(&g);
}

static void two_itses_move_with_one_gic(void **state)
{
	static const struct guest_config config = { .nits = 2 };
	struct guest g, to;

	(void)state;
	guest_init(&g, &config);
	guest_start(&g);
	for (unsigned i = 0; i < 2; i++) {
		its_map_collections(&g.its[i]);
		its_map_lpis(&g.its[i], 5, LPI + 10 * i, 3, i, 0);
	}
	assert_int_equal(peal_its_send(g.its[1].its, 5, 2), 1);
	guest_migrate(&to, &g, &config);
	for (unsigned i = 0; i < 2; i++)
		assert_true(its_same_state(&g.its[i], &to.its[i]));
	assert_int_equal(guest_acknowledge(&to, 1), LPI + 12);
	guest_done(&to);
	guest_done(&g);
}

/* ---- pending tables ---- */

/* Each redistributor's LPIs go into its own table; a known failure of others: the wrong vCPU's. */
static void each_redistributor_has_its_own_table(void **state)
{
	struct guest g, to;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, &four);
	guest_start(&g);
	its_map_collections(gi);
	for (unsigned i = 0; i < 4; i++) {
		its_map_lpis(gi, 10 + i, LPI + 64 * i, 3, i, 0);
		assert_int_equal(peal_its_send(gi->its, 10 + i, i % 3), 1);
	}
	assert_int_equal(peal_gic_save_pending(g.gic), 0);
	/* LPI 8192 is bit 0 of byte 1024. */
	assert_int_equal(*(uint8_t *)test_ram_at(&g.ram, g.pending[0] + 1024, 1), 0x01);
	assert_int_equal(*(uint8_t *)test_ram_at(&g.ram, g.pending[1] + 1024 + 8, 1), 0x02);
	assert_int_equal(*(uint8_t *)test_ram_at(&g.ram, g.pending[2] + 1024 + 16, 1), 0x04);
	assert_int_equal(*(uint8_t *)test_ram_at(&g.ram, g.pending[3] + 1024 + 24, 1), 0x01);
	for (unsigned i = 0; i < 4; i++) {
		for (uint32_t byte = 0; byte < 8192; byte++)
			assert_true(byte == 1024 + 8 * i ||
				    !*(uint8_t *)test_ram_at(&g.ram, g.pending[i] + byte, 1));
	}
	/* Saving again after some were taken clears their bits. */
	assert_int_equal(guest_acknowledge(&g, 1), LPI + 65);
	guest_migrate(&to, &g, &four);
	assert_int_equal(*(uint8_t *)test_ram_at(&g.ram, g.pending[1] + 1024 + 8, 1), 0);
	assert_int_equal(guest_acknowledge(&to, 0), LPI);
	assert_int_equal(guest_acknowledge(&to, 1), SPURIOUS);
	assert_int_equal(guest_acknowledge(&to, 2), LPI + 130);
	assert_int_equal(guest_acknowledge(&to, 3), LPI + 192);
	guest_done(&to);
	guest_done(&g);
}

/* A known failure of others. */
static void two_lpis_share_a_byte(void **state)
{
	struct guest g, to;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	guest_start(&g);
	its_map_collections(gi);
	its_map_lpis(gi, 1, LPI, 8, 0, 0);
	for (unsigned i = 4; i < 8; i++)
		assert_int_equal(its_movi(gi, 1, i, 1), 0);
	assert_int_equal(peal_its_send(gi->its, 1, 1), 1);
	assert_int_equal(peal_its_send(gi->its, 1, 3), 1);
	assert_int_equal(peal_its_send(gi->its, 1, 6), 1);
	assert_int_equal(peal_gic_save_pending(g.gic), 0);
	assert_int_equal(*guest_pending_byte(&g, 0, LPI), 0x0a);
	assert_int_equal(*guest_pending_byte(&g, 1, LPI), 0x40);
	guest_migrate(&to, &g, NULL);
	assert_int_equal(guest_acknowledge(&to, 0), LPI + 1);
	assert_int_equal(guest_acknowledge(&to, 0), LPI + 3);
	assert_int_equal(guest_acknowledge(&to, 0), SPURIOUS);
	assert_int_equal(guest_acknowledge(&to, 1), LPI + 6);
	guest_done(&to);
	guest_done(&g);
}

/* Pending, disabled, with its collection unmapped: it is found where it was. */
static void what_strayed_is_found_after_a_move(void **state)
{
	struct guest g, to;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	guest_start(&g);
	its_map_collections(gi);
	its_map_lpis(gi, 1, LPI, 2, 1, 0);
	assert_int_equal(peal_its_send(gi->its, 1, 0), 1);
	assert_int_equal(peal_its_send(gi->its, 1, 1), 1);
	assert_int_equal(its_unmapc(gi, 1, 1), 0);
	guest_migrate(&to, &g, NULL);
	gi = &to.its[0];
	assert_true(guest_is_pending(&to, 1, LPI));
	assert_int_equal(its_event(gi, CLEAR, 1, 0), 0);
	assert_false(guest_is_pending(&to, 1, LPI));
	assert_int_equal(its_mapc(gi, 1, 0), 0);
	assert_int_equal(its_movi(gi, 1, 1, 0), 0);
	assert_int_equal(guest_acknowledge(&to, 0), LPI + 1);
	guest_done(&to);
	guest_done(&g);
}

/* What was saved and taken since is not read again, when the guest turns LPIs off and on. */
static void bits_that_were_saved_are_not_resurrected(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	guest_start(&g);
	its_map_collections(gi);
	its_map_lpis(gi, 1, LPI, 2, 0, 0);
	assert_int_equal(peal_its_send(gi->its, 1, 0), 1);
	assert_int_equal(peal_gic_save_pending(g.gic), 0);
	assert_int_equal(guest_acknowledge(&g, 0), LPI);
	disable_lpis(&g, 0);
	enable_lpis(&g, 0);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	guest_done(&g);
}

/* The first KiB of a pending table is not of LPIs. */
static void the_rest_of_the_table_is_left_alone(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, NULL);
	guest_start(&g);
	memset(test_ram_at(&g.ram, g.pending[0], 1024), 0x5a, 1024);
	*guest_pending_byte(&g, 0, LPI + 77) = 0xff;
	assert_int_equal(peal_gic_save_pending(g.gic), 0);
	for (unsigned i = 0; i < 1024; i++)
		assert_int_equal(*(uint8_t *)test_ram_at(&g.ram, g.pending[0] + i, 1), 0x5a);
	assert_int_equal(*guest_pending_byte(&g, 0, LPI + 77), 0);
	guest_done(&g);
}

static void redistributors_that_are_off_keep_their_tables(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, NULL);
	guest_start(&g);
	disable_lpis(&g, 1);
	*guest_pending_byte(&g, 1, LPI) = 0x01;
	assert_int_equal(peal_gic_save_pending(g.gic), 0);
	peal_gic_restore_pending(g.gic);
	assert_int_equal(*guest_pending_byte(&g, 1, LPI), 0x01);
	assert_false(guest_is_pending(&g, 1, LPI));
	enable_lpis(&g, 1);
	assert_true(guest_is_pending(&g, 1, LPI));
	guest_done(&g);
}

static void a_pending_table_outside_memory_refuses_the_save(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	guest_start(&g);
	its_map_collections(gi);
	its_map_lpis(gi, 1, LPI, 2, 0, 0);
	its_map_lpis(gi, 2, LPI + 8, 2, 1, 0);
	disable_lpis(&g, 0);
	redist_write(&g, 0, GICR_PENDBASER, 8, 0x10000);
	enable_lpis(&g, 0);
	/* Nothing gets lost. */
	assert_int_equal(peal_gic_save_pending(g.gic), 0);
	assert_int_equal(peal_its_send(gi->its, 1, 0), 1);
	assert_int_equal(peal_its_send(gi->its, 2, 0), 1);
	assert_int_equal(peal_gic_save_pending(g.gic), -EFAULT);
	assert_int_equal(*guest_pending_byte(&g, 1, LPI + 8), 0x01);
	assert_int_equal(guest_acknowledge(&g, 0), LPI);
	assert_int_equal(peal_gic_save_pending(g.gic), 0);
	guest_done(&g);
}

/* Memory comes after the redistributors were turned on. */
static void pending_bits_can_be_read_while_lpis_are_on(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	guest_start(&g);
	its_map_collections(gi);
	its_map_lpis(gi, 1, LPI, 16, 0, 0);
	assert_int_equal(peal_its_send(gi->its, 1, 2), 1);
	*guest_pending_byte(&g, 0, LPI) = 0x08;
	*guest_pending_byte(&g, 1, LPI + 8) = 0x01;
	g.kicks[1] = 0;
	peal_gic_restore_pending(g.gic);
	assert_int_equal(g.kicks[1], 1);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 3);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	assert_int_equal(guest_acknowledge(&g, 1), LPI + 8);
	assert_int_equal(peal_its_send(gi->its, 1, 2), 1);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 2);
	guest_done(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_migration),
		cmocka_unit_test(what_is_restored_is_configured_as_memory_says),
		cmocka_unit_test(its_pending_migration),
		cmocka_unit_test(its_migrate_unmapped_collection),
		cmocka_unit_test(a_vm_may_move_on_and_back),
		cmocka_unit_test(two_itses_move_with_one_gic),
		cmocka_unit_test(each_redistributor_has_its_own_table),
		cmocka_unit_test(two_lpis_share_a_byte),
		cmocka_unit_test(what_strayed_is_found_after_a_move),
		cmocka_unit_test(bits_that_were_saved_are_not_resurrected),
		cmocka_unit_test(the_rest_of_the_table_is_left_alone),
		cmocka_unit_test(redistributors_that_are_off_keep_their_tables),
		cmocka_unit_test(a_pending_table_outside_memory_refuses_the_save),
		cmocka_unit_test(pending_bits_can_be_read_while_lpis_are_on),
	};

	return cmocka_run_group_tests_name("gic-migration", tests, NULL, NULL);
}
