/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What test suites for guests go through, step by step as a guest sees it: its-introspection,
 * its-trigger. Written from the architecture.
 */
#include "its-guest.h"

/* ---- its-introspection ---- */

/* A driver that knows nothing but the architecture finds what it needs. */
static void its_introspection(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];
	unsigned devices = 0, collections = 0;
	uint64_t typer;

	(void)state;
	guest_init(&g, NULL);
	for (unsigned i = 0; i < g.nredists; i++) {
		typer = redist_read(&g, i, GICR_TYPER, 8);
		assert_true(typer & 1); /* PLPIS */
		assert_int_equal(typer >> 8 & 0xffff, i);
		assert_int_equal(typer >> 4 & 1, i + 1 == g.nredists); /* Last */
	}
	assert_int_equal(its_read32(gi, GITS_PIDR2) >> 4 & 0xf, 3);
	typer = its_read(gi, GITS_TYPER);
	assert_true(typer & 1);                /* Physical */
	assert_false(typer & 2);               /* no virtual LPIs */
	assert_int_equal(typer >> 4 & 0xf, 7); /* ITT entries of 8 bytes */
	assert_true((typer >> 8 & 0x1f) + 1 >= 8);
	assert_true((typer >> 13 & 0x1f) + 1 >= 8);
	assert_int_equal(typer >> 19 & 1, 0); /* PTA: RDbase is a processor number */
	for (unsigned n = 0; n < 8; n++) {
		uint64_t baser = its_read(gi, GITS_BASER(n));
		unsigned type = baser >> 56 & 7;

		assert_false(baser & VALID);
		devices += type == 1;
		collections += type == 4;
		assert_true(type == 0 || type == 1 || type == 4);
		assert_int_equal(baser >> 48 & 0x1f, type ? 7 : 0);
		/* What can be set reads back, and a table that is not there stays away. */
		its_write(gi, GITS_BASER(n), ~VALID);
		assert_int_equal(its_read(gi, GITS_BASER(n)) >> 56 & 7, type);
		if (!type)
			assert_int_equal(its_read(gi, GITS_BASER(n)), 0);
		its_write(gi, GITS_BASER(n), 0);
		assert_int_equal(its_read(gi, GITS_BASER(n)), baser);
	}
	assert_int_equal(devices, 1);
	assert_int_equal(collections, 1);
	its_write(gi, GITS_CBASER, VALID | gi->queue | 15);
	assert_int_equal(its_read(gi, GITS_CBASER) & ~UINT64_C(0xc00), VALID | gi->queue | 15);
	assert_int_equal(its_read(gi, GITS_CWRITER), 0);
	assert_int_equal(its_read(gi, GITS_CREADR), 0);
	guest_done(&g);
}

/* ---- its-trigger ---- */

#define FIRST  (LPI + 3) /* device 2, event 20, to the last but one CPU */
#define SECOND (LPI + 4) /* device 7, event 255, to the one before */
#define CPU1   3u
#define CPU2   2u

static void its_setup(struct guest *g)
{
	const struct guest_config c = { .nredists = 4 };
	struct guest_its *gi = &g->its[0];

	guest_init(g, &c);
	guest_start(g);
	guest_configure(g, FIRST, 0xa0 | LPI_ON);
	guest_configure(g, SECOND, 0xa0 | LPI_ON);
	assert_int_equal(its_mapd(gi, 2, 7, its_itt(gi, 2)), 0);
	assert_int_equal(its_mapd(gi, 7, 7, its_itt(gi, 7)), 0);
	assert_int_equal(its_mapc(gi, CPU1, g->processors[CPU1]), 0);
	assert_int_equal(its_mapc(gi, CPU2, g->processors[CPU2]), 0);
	assert_int_equal(its_invall(gi, CPU1), 0);
	assert_int_equal(its_invall(gi, CPU2), 0);
	assert_int_equal(its_mapti(gi, 2, 20, FIRST, CPU1), 0);
	assert_int_equal(its_mapti(gi, 7, 255, SECOND, CPU2), 0);
	for (unsigned i = 0; i < c.nredists; i++)
		g->kicks[i] = 0;
}

/* INTID came to CPU and nothing came anywhere else. SPURIOUS: nothing at all. */
static void expect_lpi(struct guest *g, uint32_t intid, unsigned cpu)
{
	for (unsigned i = 0; i < g->nredists; i++) {
		uint32_t expected = i == cpu ? intid : SPURIOUS;

		assert_int_equal(g->kicks[i], expected != SPURIOUS);
		assert_int_equal(guest_acknowledge(g, i), expected);
		assert_int_equal(guest_acknowledge(g, i), SPURIOUS);
		g->kicks[i] = 0;
	}
}

static void its_trigger(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	its_setup(&g);
	assert_int_equal(its_event(gi, INT, 2, 20), 0);
	expect_lpi(&g, FIRST, CPU1);
	assert_int_equal(its_event(gi, INT, 7, 255), 0);
	expect_lpi(&g, SECOND, CPU2);
	assert_int_equal(peal_its_send(gi->its, 7, 255), 1);
	expect_lpi(&g, SECOND, CPU2);
	guest_done(&g);
}

/* The configuration in memory counts from INV or INVALL on. */
static void its_trigger_inv_and_invall(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	its_setup(&g);
	guest_configure(&g, FIRST, 0xa0);
	assert_int_equal(its_event(gi, INV, 2, 20), 0);
	assert_int_equal(its_event(gi, INT, 2, 20), 0);
	expect_lpi(&g, SPURIOUS, CPU1);
	assert_true(guest_is_pending(&g, CPU1, FIRST));
	/* Enabled in memory alone, it does not come, and not with the other collection's INVALL. */
	guest_configure(&g, FIRST, 0xa0 | LPI_ON);
	expect_lpi(&g, SPURIOUS, CPU1);
	assert_int_equal(its_invall(gi, CPU1), 0);
	expect_lpi(&g, FIRST, CPU1);
	assert_int_equal(its_event(gi, INT, 2, 20), 0);
	expect_lpi(&g, FIRST, CPU1);
	/* Disabled in memory alone, it still comes. */
	guest_configure(&g, FIRST, 0xa0);
	assert_int_equal(its_event(gi, INT, 2, 20), 0);
	expect_lpi(&g, FIRST, CPU1);
	guest_done(&g);
}

/* A device that was unmapped is silent, and works again when it is mapped again. */
static void its_trigger_mapd_not_valid(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	its_setup(&g);
	assert_int_equal(its_unmapd(gi, 2), 0);
	assert_int_equal(its_event(gi, INT, 2, 20), 0x010307);
	assert_int_equal(peal_its_send(gi->its, 2, 20), 0);
	expect_lpi(&g, SPURIOUS, CPU1);
	assert_int_equal(its_mapd(gi, 2, 7, its_itt(gi, 2)), 0);
	assert_int_equal(its_event(gi, INT, 2, 20), 0x010307); /* its events are gone */
	assert_int_equal(its_mapti(gi, 2, 20, FIRST, CPU1), 0);
	assert_int_equal(its_event(gi, INT, 2, 20), 0);
	expect_lpi(&g, FIRST, CPU1);
	assert_int_equal(its_event(gi, INT, 7, 255), 0); /* the other never noticed */
	expect_lpi(&g, SECOND, CPU2);
	guest_done(&g);
}

/* The same for a collection, whose events stay. */
static void its_trigger_mapc_not_valid(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	its_setup(&g);
	assert_int_equal(its_unmapc(gi, CPU1, g.processors[CPU1]), 0);
	assert_int_equal(its_event(gi, INT, 2, 20), 0x010307);
	assert_int_equal(peal_its_send(gi->its, 2, 20), 0);
	expect_lpi(&g, SPURIOUS, CPU1);
	assert_int_equal(its_mapc(gi, CPU1, g.processors[0]), 0);
	assert_int_equal(its_event(gi, INT, 2, 20), 0);
	expect_lpi(&g, FIRST, 0);
	guest_done(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_introspection),
		cmocka_unit_test(its_trigger),
		cmocka_unit_test(its_trigger_inv_and_invall),
		cmocka_unit_test(its_trigger_mapd_not_valid),
		cmocka_unit_test(its_trigger_mapc_not_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
