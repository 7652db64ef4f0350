/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Translation: what is mapped where, by one ITS and by two, and what changes a mapping, a pending
 * state or a configuration. Moving and unmapping are in test-moving.c.
 */
#include "its-guest.h"

static void setup(struct guest *g, const struct guest_config *c)
{
	guest_init(g, c);
	guest_start(g);
	for (unsigned i = 0; i < g->nits; i++)
		its_map_collections(&g->its[i]);
}

static int send(struct guest_its *gi, uint32_t device, uint32_t event)
{
	return peal_its_send(gi->its, device, event);
}

/* ---- mapping ---- */

static void an_event_reaches_its_lpi_and_redistributor(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];
	struct peal_its_translation t = { 0 };

	(void)state;
	setup(&g, NULL);
	its_map_lpis(gi, 0x100, LPI + 5, 3, 1, 0xa0);
	assert_int_equal(peal_its_translate(gi->its, 0x100, 2, &t), 1);
	assert_int_equal(t.intid, LPI + 7);
	assert_int_equal(t.icid, 1);
	assert_int_equal(t.redist, 1);
	assert_int_equal(g.kicks[1], 0); /* translating delivers nothing */
	assert_int_equal(peal_its_translate(gi->its, 0x100, 3, &t), 0);
	assert_int_equal(t.intid, LPI + 7);
	assert_int_equal(send(gi, 0x100, 2), 1);
	assert_int_equal(send(gi, 0x100, 2), 1); /* merges */
	assert_int_equal(send(gi, 0x100, 3), 0);
	assert_int_equal(send(gi, 0x101, 2), 0);
	assert_int_equal(g.kicks[1], 1);
	assert_int_equal(guest_acknowledge(&g, 1), LPI + 7);
	assert_int_equal(guest_acknowledge(&g, 1), SPURIOUS);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	assert_int_equal(its_counters(gi).sends, 4);
	assert_int_equal(its_counters(gi).translated, 2);
	assert_int_equal(its_counters(gi).unmapped, 2);
	assert_int_equal(guest_counters(&g, 1).merged, 1);
	guest_done(&g);
}

static void mapi_uses_the_event_as_intid(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	guest_configure(&g, 9000, LPI_ON);
	assert_int_equal(its_mapd(gi, 1, 15, its_itt(gi, 0)), 0);
	assert_int_equal(its_mapi(gi, 1, 9000, 1), 0);
	assert_int_equal(send(gi, 1, 9000), 1);
	assert_int_equal(guest_acknowledge(&g, 1), 9000);
	guest_done(&g);
}

static void mapti_before_mapc(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	its_map_lpis(gi, 1, LPI, 1, 9, 0);
	assert_int_equal(send(gi, 1, 0), 0);
	assert_int_equal(its_counters(gi).no_collection, 1);
	assert_int_equal(its_mapc(gi, 9, 1), 0);
	assert_int_equal(send(gi, 1, 0), 1);
	assert_int_equal(guest_acknowledge(&g, 1), LPI);
	guest_done(&g);
}

static void a_collection_mapped_again_delivers_again(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	its_map_lpis(gi, 1, LPI, 2, 0, 0);
	assert_int_equal(its_unmapc(gi, 0, 0), 0);
	assert_int_equal(send(gi, 1, 0), 0);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	assert_int_equal(its_counters(gi).events, 2); /* they stay */
	assert_int_equal(its_mapc(gi, 0, 0), 0);
	assert_int_equal(send(gi, 1, 1), 1);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 1);
	assert_int_equal(its_unmapc(gi, 0, 0), 0);
	assert_int_equal(its_mapc(gi, 0, 1), 0);
	assert_int_equal(send(gi, 1, 0), 1);
	assert_int_equal(guest_acknowledge(&g, 1), LPI);
	guest_done(&g);
}

static void a_collection_mapped_elsewhere_takes_its_events_along(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	its_map_lpis(gi, 1, LPI, 1, 0, 0);
	assert_int_equal(send(gi, 1, 0), 1);
	assert_int_equal(guest_acknowledge(&g, 0), LPI);
	assert_int_equal(its_mapc(gi, 0, 1), 0);
	assert_int_equal(send(gi, 1, 0), 1);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	assert_int_equal(guest_acknowledge(&g, 1), LPI);
	guest_done(&g);
}

static void mapping_an_event_again_replaces_it(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	its_map_lpis(gi, 1, LPI, 2, 0, 0);
	guest_configure(&g, LPI + 9, LPI_ON);
	assert_int_equal(send(gi, 1, 0), 1);
	assert_int_equal(send(gi, 1, 1), 1);
	assert_int_equal(its_mapti(gi, 1, 0, LPI + 9, 1), 0);
	assert_int_equal(its_counters(gi).events, 2);
	assert_false(guest_is_pending(&g, 0, LPI)); /* the old LPI's pending state is dropped */
	assert_int_equal(send(gi, 1, 0), 1);
	assert_int_equal(guest_acknowledge(&g, 1), LPI + 9);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 1); /* the other event's */
	/* The very same mapping: nothing happens to it. */
	assert_int_equal(send(gi, 1, 0), 1);
	assert_int_equal(its_mapti(gi, 1, 0, LPI + 9, 1), 0);
	assert_int_equal(guest_acknowledge(&g, 1), LPI + 9);
	guest_done(&g);
}

static void mapping_a_device_again_drops_its_old_events(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	its_map_lpis(gi, 1, LPI, 20, 0, 0);
	assert_int_equal(send(gi, 1, 19), 1);
	assert_int_equal(its_mapd(gi, 1, 1, its_itt(gi, 1)), 0);
	assert_int_equal(its_counters(gi).devices, 1);
	assert_int_equal(its_counters(gi).events, 0);
	assert_false(guest_is_pending(&g, 0, LPI + 19));
	assert_int_equal(send(gi, 1, 0), 0);
	assert_int_equal(send(gi, 1, 19), 0);
	assert_int_equal(its_mapti(gi, 1, 4, LPI, 0), 0x010a05); /* the new size */
	guest_done(&g);
}

static void sparse_devices_and_events_do_not_meet(void **state)
{
	static const uint32_t devices[] = { 0, 1, 255, 256, 257, 4095, 4096, 8191 };
	static const uint32_t events[] = { 0, 15, 16, 17, 255, 256, 511 };
	struct guest g;
	struct guest_its *gi = &g.its[0];
	uint32_t intid = LPI;

	(void)state;
	setup(&g, NULL);
	memset(test_ram_at(&g.ram, g.configuration, 65536), LPI_ON, 65536);
	for (unsigned d = 0; d < PEAL_COUNT_OF(devices); d++) {
		assert_int_equal(its_mapd(gi, devices[d], 8, its_itt(gi, d)), 0);
		for (unsigned e = 0; e < PEAL_COUNT_OF(events); e++)
			assert_int_equal(its_mapti(gi, devices[d], events[e], intid++, e % 2), 0);
	}
	intid = LPI;
	for (unsigned d = 0; d < PEAL_COUNT_OF(devices); d++) {
		for (unsigned e = 0; e < PEAL_COUNT_OF(events); e++) {
			assert_int_equal(send(gi, devices[d], events[e]), 1);
			assert_int_equal(guest_acknowledge(&g, e % 2), intid++);
			assert_int_equal(send(gi, devices[d], events[e] ^ 8), 0);
		}
		assert_int_equal(send(gi, devices[d] ^ 2, 0), 0);
	}
	/* Half of them go; the others do not notice. */
	for (unsigned d = 0; d < PEAL_COUNT_OF(devices); d += 2)
		assert_int_equal(its_unmapd(gi, devices[d]), 0);
	for (unsigned d = 0; d < PEAL_COUNT_OF(devices); d++)
		assert_int_equal(send(gi, devices[d], 511), d % 2);
	guest_done(&g);
}

/* ---- INT, CLEAR, INV, INVALL ---- */

static void int_pends_and_clear_takes_back(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	its_map_lpis(gi, 1, LPI, 2, 1, 0);
	assert_int_equal(its_event(gi, INT, 1, 1), 0);
	assert_int_equal(g.kicks[1], 1);
	assert_int_equal(guest_highest(&g, 1), LPI + 1);
	assert_int_equal(its_event(gi, CLEAR, 1, 0), 0); /* another one */
	assert_true(guest_is_pending(&g, 1, LPI + 1));
	assert_int_equal(its_event(gi, CLEAR, 1, 1), 0);
	assert_int_equal(guest_acknowledge(&g, 1), SPURIOUS);
	assert_int_equal(send(gi, 1, 1), 1); /* still mapped */
	assert_int_equal(guest_acknowledge(&g, 1), LPI + 1);
	guest_done(&g);
}

static void inv_and_invall_apply_the_configuration(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	its_map_lpis(gi, 1, LPI, 3, 0, 0x80);
	for (unsigned i = 0; i < 3; i++)
		guest_configure(&g, LPI + i, 0x80); /* off */
	assert_int_equal(send(gi, 1, 0), 1);
	assert_int_equal(guest_acknowledge(&g, 0), LPI); /* nobody told the ITS */
	assert_int_equal(its_event(gi, INV, 1, 0), 0);
	assert_int_equal(send(gi, 1, 0), 1);
	assert_int_equal(send(gi, 1, 1), 1);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 1);
	assert_int_equal(its_invall(gi, 0), 0);
	assert_int_equal(send(gi, 1, 1), 1);
	assert_int_equal(send(gi, 1, 2), 1);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	guest_configure(&g, LPI + 2, 0x40 | LPI_ON);
	guest_configure(&g, LPI + 1, 0x41 | LPI_ON);
	assert_int_equal(its_event(gi, INV, 1, 2), 0);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 2);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	guest_configure(&g, LPI, LPI_ON);
	assert_int_equal(its_invall(gi, 0), 0);
	assert_int_equal(guest_acknowledge(&g, 0), LPI);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 1);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	guest_done(&g);
}

static void mapti_reads_the_configuration(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];
	uint8_t priority;

	(void)state;
	setup(&g, NULL);
	its_map_lpis(gi, 1, LPI, 1, 0, 0x54); /* no INV */
	assert_int_equal(send(gi, 1, 0), 1);
	assert_int_equal(peal_gic_acknowledge(g.gic, 0, 0xff, &priority), LPI);
	assert_int_equal(priority, 0x54);
	guest_done(&g);
}

/* ---- shared LPIs, two ITSes ---- */

static void two_events_may_share_an_lpi(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	its_map_lpis(gi, 1, LPI, 1, 0, 0);
	its_map_lpis(gi, 2, LPI, 1, 0, 0);
	assert_int_equal(send(gi, 1, 0), 1);
	assert_int_equal(send(gi, 2, 0), 1);
	assert_int_equal(guest_acknowledge(&g, 0), LPI);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	assert_int_equal(its_event(gi, DISCARD, 1, 0), 0);
	assert_int_equal(send(gi, 1, 0), 0);
	assert_int_equal(send(gi, 2, 0), 1);
	assert_int_equal(guest_acknowledge(&g, 0), LPI);
	guest_done(&g);
}

static void two_itses_have_their_own_mappings(void **state)
{
	const struct guest_config c = { .nits = 2 };
	struct guest g;

	(void)state;
	setup(&g, &c);
	its_map_lpis(&g.its[0], 7, LPI, 1, 0, 0);
	its_map_lpis(&g.its[1], 7, LPI + 1, 1, 1, 0);
	its_map_lpis(&g.its[1], 8, LPI, 1, 0, 0); /* shared with the other one */
	assert_int_equal(send(&g.its[0], 7, 0), 1);
	assert_int_equal(send(&g.its[1], 7, 0), 1);
	assert_int_equal(send(&g.its[0], 8, 0), 0);
	assert_int_equal(guest_acknowledge(&g, 0), LPI);
	assert_int_equal(guest_acknowledge(&g, 1), LPI + 1);
	its_write32(&g.its[0], GITS_CTLR, 0);
	assert_int_equal(send(&g.its[0], 7, 0), -EBUSY);
	peal_its_reset(g.its[0].its);
	assert_int_equal(send(&g.its[1], 8, 0), 1);
	assert_int_equal(guest_acknowledge(&g, 0), LPI);
	guest_done(&g);
}

/* A known failure of others. */
static void lpi_freed_by_another_its_during_movall(void **state)
{
	const struct guest_config c = { .nits = 2 };
	struct guest g;

	(void)state;
	setup(&g, &c);
	its_map_lpis(&g.its[0], 1, LPI, 1, 0, 0);
	its_map_lpis(&g.its[1], 1, LPI, 1, 0, 0);
	assert_int_equal(send(&g.its[1], 1, 0), 1);
	assert_int_equal(its_unmapd(&g.its[1], 1), 0);
	assert_int_equal(its_movall(&g.its[0], 0, 1), 0);
	assert_int_equal(guest_acknowledge(&g, 1), SPURIOUS);
	assert_int_equal(send(&g.its[0], 1, 0), 1);
	assert_int_equal(its_movall(&g.its[1], 0, 1), 0);
	assert_int_equal(guest_acknowledge(&g, 1), LPI);
	guest_done(&g);
}

/* ---- the sink ---- */

static void the_sink_takes_messages_to_translater_only(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];
	struct peal_its_sink sink = { .address = 0x8090000 };
	struct peal_msi_msg msg = { .address = 0x8090040, .data = 2, .requester_id = 0x10005 };
	struct peal_msi_sink msi;
	static const uint64_t beside[] = { 0x8090000, 0x809003c, 0x8090044,
					   0x40,      0x809ffff, 0x8080040 };
	const struct guest_config c = { .device_bits = 20 };

	(void)state;
	setup(&g, &c);
	its_write32(gi, GITS_CTLR, 0);
	its_write(gi, GITS_BASER(0), VALID | GUEST_RAM | PAGE_64K | 255); /* 2^21 devices */
	its_write32(gi, GITS_CTLR, 1);
	sink.its = gi->its;
	msi = peal_its_sink(&sink);
	assert_int_equal(peal_msi_deliver(&msi, &msg), 0);
	guest_configure(&g, LPI, LPI_ON);
	assert_int_equal(its_mapd(gi, 0x10005, 4, its_itt(gi, 0)), 0);
	assert_int_equal(its_mapti(gi, 0x10005, 2, LPI, 0), 0);
	assert_int_equal(peal_msi_deliver(&msi, &msg), 1);
	assert_int_equal(guest_acknowledge(&g, 0), LPI);
	for (unsigned i = 0; i < PEAL_COUNT_OF(beside); i++) {
		msg.address = beside[i];
		assert_int_equal(peal_msi_deliver(&msi, &msg), 0);
	}
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	assert_int_equal(its_counters(gi).misdirected, PEAL_COUNT_OF(beside));
	guest_done(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_reaches_its_lpi_and_redistributor),
		cmocka_unit_test(mapi_uses_the_event_as_intid),
		cmocka_unit_test(mapti_before_mapc),
		cmocka_unit_test(a_collection_mapped_again_delivers_again),
		cmocka_unit_test(a_collection_mapped_elsewhere_takes_its_events_along),
		cmocka_unit_test(mapping_an_event_again_replaces_it),
		cmocka_unit_test(mapping_a_device_again_drops_its_old_events),
		cmocka_unit_test(sparse_devices_and_events_do_not_meet),
		cmocka_unit_test(int_pends_and_clear_takes_back),
		cmocka_unit_test(inv_and_invall_apply_the_configuration),
		cmocka_unit_test(mapti_reads_the_configuration),
		cmocka_unit_test(two_events_may_share_an_lpi),
		cmocka_unit_test(two_itses_have_their_own_mappings),
		cmocka_unit_test(lpi_freed_by_another_its_during_movall),
		cmocka_unit_test(the_sink_takes_messages_to_translater_only),
	};

	return cmocka_run_group_tests_name("gic-mapping", tests, NULL, NULL);
}
