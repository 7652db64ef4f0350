/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pending LPIs when their event, their collection or their redistributor changes: MOVI and MOVALL
 * take them along, DISCARD and MAPD V=0 drop them wherever they are, LPIs that are off get none.
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

static unsigned pending_anywhere(struct guest *g, uint32_t intid)
{
	unsigned count = 0;

	for (unsigned i = 0; i < g->nredists; i++)
		count += guest_is_pending(g, i, intid);
	return count;
}

/* ---- MOVI, MOVALL ---- */

static void movi_moves_the_pending_lpi(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	its_map_lpis(gi, 1, LPI, 2, 0, 0);
	assert_int_equal(send(gi, 1, 0), 1);
	assert_int_equal(send(gi, 1, 1), 1);
	assert_int_equal(its_movi(gi, 1, 1, 1), 0);
	assert_int_equal(g.kicks[1], 1);
	assert_int_equal(guest_acknowledge(&g, 1), LPI + 1);
	assert_int_equal(guest_acknowledge(&g, 0), LPI);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	assert_int_equal(send(gi, 1, 1), 1);
	assert_int_equal(guest_acknowledge(&g, 1), LPI + 1);
	/* A disabled one moves too, and stays silent. */
	guest_configure(&g, LPI, 0);
	assert_int_equal(its_event(gi, INV, 1, 0), 0);
	assert_int_equal(send(gi, 1, 0), 1);
	assert_int_equal(its_movi(gi, 1, 0, 1), 0);
	assert_false(guest_is_pending(&g, 0, LPI));
	assert_true(guest_is_pending(&g, 1, LPI));
	assert_int_equal(guest_acknowledge(&g, 1), SPURIOUS);
	/* To where it is. */
	assert_int_equal(its_movi(gi, 1, 0, 1), 0);
	assert_true(guest_is_pending(&g, 1, LPI));
	guest_done(&g);
}

/* A known failure of others: MOVALL touching a third vCPU. */
static void movall_touching_a_third_vcpu(void **state)
{
	const struct guest_config c = { .nredists = 3 };
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, &c);
	for (unsigned i = 0; i < 3; i++) {
		its_map_lpis(gi, i, LPI + 100 * i, 2, i, 0x80);
		assert_int_equal(send(gi, i, 0), 1);
		assert_int_equal(send(gi, i, 1), 1);
	}
	guest_configure(&g, LPI + 1, 0); /* moves although it is off */
	assert_int_equal(its_event(gi, INV, 0, 1), 0);
	assert_int_equal(its_movall(gi, 0, 1), 0);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	assert_false(guest_is_pending(&g, 0, LPI + 1));
	assert_true(guest_is_pending(&g, 1, LPI + 1));
	assert_int_equal(guest_acknowledge(&g, 1), LPI);
	assert_int_equal(guest_acknowledge(&g, 1), LPI + 100);
	assert_int_equal(guest_acknowledge(&g, 1), LPI + 101);
	assert_int_equal(guest_acknowledge(&g, 1), SPURIOUS);
	assert_int_equal(guest_acknowledge(&g, 2), LPI + 200);
	assert_int_equal(guest_acknowledge(&g, 2), LPI + 201);
	/* Sends go where the collection says, as in the architecture. */
	assert_int_equal(send(gi, 0, 0), 1);
	assert_int_equal(guest_acknowledge(&g, 0), LPI);
	guest_done(&g);
}

static void movall_to_itself_changes_nothing(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	its_map_lpis(gi, 1, LPI, 1, 0, 0);
	assert_int_equal(send(gi, 1, 0), 1);
	assert_int_equal(its_movall(gi, 0, 0), 0);
	assert_int_equal(guest_acknowledge(&g, 0), LPI);
	guest_done(&g);
}

static void movall_counts_what_was_pending_there_as_merged(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	its_map_lpis(gi, 1, LPI, 3, 0, 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(send(gi, 1, i), 1);
	assert_int_equal(its_mapc(gi, 0, 1), 0);
	for (unsigned i = 1; i < 3; i++)
		assert_int_equal(send(gi, 1, i), 1);
	assert_int_equal(its_movall(gi, 0, 1), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(guest_acknowledge(&g, 1), LPI + i);
	/* 5 sends: 3 taken by the CPU, 2 merged. */
	assert_int_equal(guest_counters(&g, 1).acknowledged, 3);
	assert_int_equal(guest_counters(&g, 1).merged, 2);
	guest_done(&g);
}

/* ---- DISCARD, MAPD V=0: the pending state goes, wherever it is ---- */

static void discard_drops_the_pending_lpi(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	its_map_lpis(gi, 1, LPI, 2, 0, 0);
	assert_int_equal(send(gi, 1, 0), 1);
	assert_int_equal(send(gi, 1, 1), 1);
	assert_int_equal(its_event(gi, DISCARD, 1, 0), 0);
	assert_int_equal(its_counters(gi).events, 1);
	assert_int_equal(send(gi, 1, 0), 0);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 1);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	guest_done(&g);
}

static void unmapping_a_device_drops_its_pending_lpis(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	its_map_lpis(gi, 1, LPI, 20, 0, 0);
	its_map_lpis(gi, 2, LPI + 20, 1, 0, 0);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(send(gi, 1, i), 1);
	assert_int_equal(send(gi, 2, 0), 1);
	assert_int_equal(its_unmapd(gi, 1), 0);
	assert_int_equal(its_unmapd(gi, 1), 0); /* it is not mapped: fine as well */
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 20);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	assert_int_equal(send(gi, 1, 0), 0);
	guest_done(&g);
}

/* The ways in which a pending LPI gets away from where its collection points. */
static void stray(struct guest *g, unsigned way)
{
	struct guest_its *gi = &g->its[0];

	switch (way) {
	case 0:
		assert_int_equal(its_unmapc(gi, 0, 0), 0);
		break;
	case 1:
		assert_int_equal(its_mapc(gi, 0, 1), 0);
		break;
	case 2:
		assert_int_equal(its_movall(gi, 0, 1), 0);
		break;
	case 3:
		assert_int_equal(its_movall(&g->its[1], 0, 1), 0); /* another ITS does it */
		break;
	case 4: /* the collection table is gone */
		its_write32(gi, GITS_CTLR, 0);
		its_write(gi, GITS_BASER(1), its_read(gi, GITS_BASER(1)) ^ 0x1000);
		its_write32(gi, GITS_CTLR, 1);
		break;
	default:
		fail();
	}
}

#define WAYS 5u

static void setup_stray(struct guest *g, unsigned way)
{
	const struct guest_config c = { .nits = 2, .nredists = 3 };
	struct guest_its *gi = &g->its[0];

	setup(g, &c);
	its_map_lpis(gi, 1, LPI, 2, 0, 0);
	assert_int_equal(send(gi, 1, 0), 1);
	assert_int_equal(send(gi, 1, 1), 1);
	stray(g, way);
	assert_int_equal(pending_anywhere(g, LPI), 1);
}

static void discard_finds_a_strayed_lpi(void **state)
{
	(void)state;
	for (unsigned way = 0; way < WAYS; way++) {
		struct guest g;

		setup_stray(&g, way);
		assert_int_equal(its_event(&g.its[0], DISCARD, 1, 0), 0);
		assert_int_equal(pending_anywhere(&g, LPI), 0);
		assert_int_equal(pending_anywhere(&g, LPI + 1), 1);
		guest_done(&g);
	}
}

static void clear_finds_a_strayed_lpi(void **state)
{
	(void)state;
	for (unsigned way = 0; way < WAYS; way++) {
		struct guest g;

		setup_stray(&g, way);
		assert_int_equal(its_event(&g.its[0], CLEAR, 1, 0), 0);
		assert_int_equal(pending_anywhere(&g, LPI), 0);
		guest_done(&g);
	}
}

static void unmapping_a_device_finds_strayed_lpis(void **state)
{
	(void)state;
	for (unsigned way = 0; way < WAYS; way++) {
		struct guest g;

		setup_stray(&g, way);
		assert_int_equal(its_unmapd(&g.its[0], 1), 0);
		assert_int_equal(pending_anywhere(&g, LPI), 0);
		assert_int_equal(pending_anywhere(&g, LPI + 1), 0);
		guest_done(&g);
	}
}

static void movi_finds_a_strayed_lpi(void **state)
{
	(void)state;
	for (unsigned way = 0; way < WAYS; way++) {
		struct guest g;

		setup_stray(&g, way);
		assert_int_equal(its_mapc(&g.its[0], 2, 2), 0);
		assert_int_equal(its_movi(&g.its[0], 1, 0, 2), 0);
		assert_int_equal(pending_anywhere(&g, LPI), 1);
		assert_int_equal(guest_acknowledge(&g, 2), LPI);
		assert_int_equal(guest_acknowledge(&g, 2), SPURIOUS);
		guest_done(&g);
	}
}

/* ---- LPIs off ---- */

/* After enabling with PTZ nothing may be pending: the guest says that its table is zero. */
static void assert_nothing_is_left(struct guest *g, unsigned redist)
{
	redist_write(g, redist, GICR_PENDBASER, 8, g->pending[redist] | PTZ);
	enable_lpis(g, redist);
	assert_int_equal(guest_acknowledge(g, redist), SPURIOUS);
}

static void int_to_lpis_that_are_off_is_ignored(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	its_map_lpis(gi, 1, LPI, 1, 0, 0);
	disable_lpis(&g, 0);
	assert_int_equal(its_event(gi, INT, 1, 0), 0);
	assert_int_equal(send(gi, 1, 0), -EBUSY);
	assert_int_equal(its_counters(gi).disabled, 1);
	assert_false(guest_is_pending(&g, 0, LPI));
	assert_int_equal(g.kicks[0], 0);
	assert_nothing_is_left(&g, 0);
	guest_done(&g);
}

/* A pending LPI is not thrown away: it stays where it can be delivered. */
static void movi_to_lpis_that_are_off_leaves_the_pending_lpi(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	its_map_lpis(gi, 1, LPI, 1, 0, 0);
	assert_int_equal(send(gi, 1, 0), 1);
	disable_lpis(&g, 1);
	assert_int_equal(its_movi(gi, 1, 0, 1), 0);
	assert_int_equal(g.kicks[1], 0);
	assert_false(guest_is_pending(&g, 1, LPI));
	assert_true(guest_is_pending(&g, 0, LPI));
	assert_int_equal(send(gi, 1, 0), -EBUSY); /* new ones go to the new target */
	assert_nothing_is_left(&g, 1);
	assert_int_equal(its_event(gi, DISCARD, 1, 0), 0); /* and finds it */
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	guest_done(&g);
}

static void movall_to_lpis_that_are_off_leaves_the_pending_lpis(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	its_map_lpis(gi, 1, LPI, 1, 0, 0);
	assert_int_equal(send(gi, 1, 0), 1);
	disable_lpis(&g, 1);
	assert_int_equal(its_movall(gi, 0, 1), 0);
	assert_int_equal(g.kicks[1], 0);
	assert_nothing_is_left(&g, 1);
	assert_int_equal(guest_acknowledge(&g, 0), LPI);
	guest_done(&g);
}

/* Its own collection is not mapped, so there is nobody whose LPIs could have strayed. */
static void movi_from_no_collection_to_lpis_that_are_off(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	its_map_lpis(gi, 1, LPI, 1, 0, 0);
	assert_int_equal(its_unmapc(gi, 0, 0), 0);
	disable_lpis(&g, 1);
	assert_int_equal(its_movi(gi, 1, 0, 1), 0);
	assert_int_equal(send(gi, 1, 0), -EBUSY);
	enable_lpis(&g, 1);
	assert_int_equal(send(gi, 1, 0), 1);
	assert_int_equal(guest_acknowledge(&g, 1), LPI);
	guest_done(&g);
}

/* The CPU looked for an LPI, and found only disabled ones: who takes all away still finds these. */
static void movall_finds_disabled_lpis_that_the_cpu_passed(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	guest_start(&g);
	its_map_collections(gi);
	its_map_lpis(gi, 1, LPI, 2, 0, 0x80);
	guest_configure(&g, LPI + 1, 0x80);
	assert_int_equal(its_event(gi, INV, 1, 1), 0);
	assert_int_equal(peal_its_send(gi->its, 1, 0), 1);
	assert_int_equal(peal_its_send(gi->its, 1, 1), 1);
	assert_int_equal(guest_acknowledge(&g, 0), LPI);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	assert_int_equal(its_movall(gi, 0, 1), 0);
	assert_true(guest_is_pending(&g, 1, LPI + 1));
	assert_false(guest_is_pending(&g, 0, LPI + 1));
	/* The same for the guest's table. */
	assert_int_equal(guest_highest(&g, 1), SPURIOUS);
	disable_lpis(&g, 1);
	assert_int_equal(*guest_pending_byte(&g, 1, LPI + 1), 2);
	guest_done(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(movi_moves_the_pending_lpi),
		cmocka_unit_test(movall_touching_a_third_vcpu),
		cmocka_unit_test(movall_to_itself_changes_nothing),
		cmocka_unit_test(movall_counts_what_was_pending_there_as_merged),
		cmocka_unit_test(discard_drops_the_pending_lpi),
		cmocka_unit_test(unmapping_a_device_drops_its_pending_lpis),
		cmocka_unit_test(discard_finds_a_strayed_lpi),
		cmocka_unit_test(clear_finds_a_strayed_lpi),
		cmocka_unit_test(unmapping_a_device_finds_strayed_lpis),
		cmocka_unit_test(movi_finds_a_strayed_lpi),
		cmocka_unit_test(int_to_lpis_that_are_off_is_ignored),
		cmocka_unit_test(movi_to_lpis_that_are_off_leaves_the_pending_lpi),
		cmocka_unit_test(movi_from_no_collection_to_lpis_that_are_off),
		cmocka_unit_test(movall_to_lpis_that_are_off_leaves_the_pending_lpis),
		cmocka_unit_test(movall_finds_disabled_lpis_that_the_cpu_passed),
	};

	return cmocka_run_group_tests_name("gic-moving", tests, NULL, NULL);
}
