/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Saving into the guest's tables: byte for byte what the documented format says, round trips, what
 * a guest left there, and tables that are not in memory.
 */
#include "tables-guest.h"

/* Devices 3, 5 and 900 with events here and there; collections 0, 1 and 7 on processors 4, 9, 4. */
static const uint16_t processors[] = { 4, 9, 300 };
static const struct guest_config three = { .nredists = 3, .processors = processors };

static void build_three(struct guest *g)
{
	struct guest_its *gi = &g->its[0];

	guest_init(g, &three);
	guest_start(g);
	assert_int_equal(its_mapc(gi, 0, 4), 0);
	assert_int_equal(its_mapc(gi, 1, 300), 0);
	assert_int_equal(its_mapc(gi, 7, 9), 0);
	assert_int_equal(its_mapd(gi, 5, 4, gi->itts + 0x1000), 0);
	assert_int_equal(its_mapd(gi, 900, 9, gi->itts + 0x2000), 0);
	assert_int_equal(its_mapd(gi, 3, 0, gi->itts + 0x100), 0);
	assert_int_equal(its_mapti(gi, 5, 0, 8192, 0), 0);
	assert_int_equal(its_mapti(gi, 5, 31, 8200, 7), 0);
	assert_int_equal(its_mapti(gi, 5, 4, 65535, 1), 0);
	assert_int_equal(its_mapti(gi, 900, 600, 9000, 1), 0);
	assert_int_equal(its_mapti(gi, 900, 601, 9001, 1), 0);
}

static void entries_are_those_of_revision_0(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];
	uint64_t itt = GUEST_RAM + 0x10000 + 3 * 0x10000 + 0x40000;

	(void)state;
	build_three(&g);
	assert_int_equal(gi->itts, itt); /* 0x40080000 */
	assert_int_equal(peal_its_save_tables(gi->its), 0);

	/* Valid, next 2, 0x40080100 >> 8 << 5, Size 0. */
	assert_int_equal(entry_at(&g, gi->devices, 3), UINT64_C(0x8004000008010020));
	/* Valid, next 895, 0x40081000, Size 4. */
	assert_int_equal(entry_at(&g, gi->devices, 5), UINT64_C(0x86fe000008010204));
	/* Valid, next 0, 0x40082000, Size 9. */
	assert_int_equal(entry_at(&g, gi->devices, 900), UINT64_C(0x8000000008010409));
	for (unsigned id = 0; id < GUEST_DEVICES; id++)
		assert_true(id == 3 || id == 5 || id == 900 || !entry_at(&g, gi->devices, id));

	assert_int_equal(entry_at(&g, itt + 0x1000, 0), UINT64_C(0x0004000020000000));
	assert_int_equal(entry_at(&g, itt + 0x1000, 4), UINT64_C(0x001b0000ffff0001));
	assert_int_equal(entry_at(&g, itt + 0x1000, 31), UINT64_C(0x0000000020080007));
	assert_int_equal(entry_at(&g, itt + 0x2000, 600), UINT64_C(0x0001000023280001));
	assert_int_equal(entry_at(&g, itt + 0x2000, 601), UINT64_C(0x0000000023290001));
	for (unsigned event = 0; event < 1024; event++)
		assert_true(event == 600 || event == 601 || !entry_at(&g, itt + 0x2000, event));

	assert_int_equal(entry_at(&g, gi->collections, 0), UINT64_C(0x8000000000040000));
	assert_int_equal(entry_at(&g, gi->collections, 1), UINT64_C(0x80000000012c0001));
	assert_int_equal(entry_at(&g, gi->collections, 2), UINT64_C(0x8000000000090007));
	assert_int_equal(entry_at(&g, gi->collections, 3), 0);
	guest_done(&g);
}

static void a_round_trip_keeps_everything(void **state)
{
	struct peal_its_translation t;
	struct guest g, to;

	(void)state;
	build_three(&g);
	guest_migrate(&to, &g, &three);
	assert_true(its_same_state(&g.its[0], &to.its[0]));
	assert_int_equal(its_counters(&to.its[0]).devices, 3);
	assert_int_equal(its_counters(&to.its[0]).events, 5);
	assert_int_equal(its_counters(&to.its[0]).memory, its_counters(&g.its[0]).memory);
	assert_int_equal(peal_its_translate(to.its[0].its, 5, 4, &t), 1);
	assert_int_equal(t.intid, 65535);
	assert_int_equal(t.icid, 1);
	assert_int_equal(t.redist, 2);
	/* The queue goes on where it was. */
	assert_int_equal(its_read(&to.its[0], GITS_CREADR), its_read(&g.its[0], GITS_CREADR));
	assert_int_equal(its_mapti(&to.its[0], 3, 1, 8300, 7), 0);
	assert_int_equal(peal_its_send(to.its[0].its, 3, 1), 1);
	assert_true(guest_is_pending(&to, 1, 8300));
	guest_done(&to);
	guest_done(&g);
}

static void an_empty_its_saves_empty_tables(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	assert_int_equal(peal_its_save_tables(gi->its), 0); /* no tables at all */
	assert_int_equal(peal_its_restore_tables(gi->its), 0);
	guest_start(&g);
	set_entry(&g, gi->collections, 0, cte(0, 3));
	set_entry(&g, gi->devices, 77, dte(0, gi->itts, 3));
	assert_int_equal(peal_its_save_tables(gi->its), 0);
	assert_int_equal(entry_at(&g, gi->collections, 0), 0);
	assert_int_equal(entry_at(&g, gi->devices, 77), 0);
	its_write32(gi, GITS_CTLR, 0);
	assert_int_equal(peal_its_restore_tables(gi->its), 0);
	assert_int_equal(its_counters(gi).devices, 0);
	guest_done(&g);
}

/* ---- indirect tables ---- */

/*
 * Level 1 in the place of the device table, pages of level 2 behind the ITTs: page N covers the ids
 * from IDS[N] on. Level 2 has 8192 entries of 8 bytes in a page of 64 KiB.
 */
#define LEVEL2(gi, n) ((gi)->itts + 0x80000 + (uint64_t)(n)*0x10000)

static const struct guest_config wide = { .device_bits = 32 };

static void start_indirect(struct guest *g, const uint32_t *ids, unsigned count)
{
	struct guest_its *gi = &g->its[0];

	for (unsigned i = 0; i < g->nredists; i++)
		guest_start_redist(g, i);
	guest_program_its(gi);
	its_write(gi, GITS_BASER(0), VALID | INDIRECT | gi->devices | PAGE_64K | 0);
	for (unsigned i = 0; i < count; i++)
		set_entry(g, gi->devices, ids[i] / 8192, VALID | LEVEL2(gi, i));
	its_write32(gi, GITS_CTLR, 1);
	its_map_collections(gi);
}

/* The level 1 of a 64 KiB page covers 8192 * 8192 ids. */
#define WIDE_IDS (8192u * 8192u)

static void devices_far_apart_are_capped_and_found(void **state)
{
	/* 8192 + 16383 is in a page of level 2 that exists, 8192 + 2 * 16383 in none. */
	static const uint32_t ids[] = { 8192, 24576, WIDE_IDS - 8192 };
	struct guest g, to;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, &wide);
	start_indirect(&g, ids, 3);
	its_map_lpis(gi, 8192, LPI, 3, 0, 0);
	its_map_lpis(gi, 24577, LPI + 3, 3, 1, 0); /* 16385 behind */
	its_map_lpis(gi, WIDE_IDS - 2, LPI + 6, 3, 1, 0);
	assert_int_equal(its_mapd(gi, WIDE_IDS - 1, 4, its_itt(gi, 2)), 0);
	assert_int_equal(peal_its_save_tables(gi->its), 0);
	assert_int_equal(entry_at(&g, LEVEL2(gi, 0), 0), dte(16383, its_itt(gi, 0), 4));
	assert_int_equal(entry_at(&g, LEVEL2(gi, 1), 1), dte(16383, its_itt(gi, 1), 4));
	assert_int_equal(entry_at(&g, LEVEL2(gi, 2), 8190), dte(1, its_itt(gi, 62), 4));
	assert_int_equal(entry_at(&g, LEVEL2(gi, 2), 8191), dte(0, its_itt(gi, 2), 4));
	guest_migrate(&to, &g, &wide);
	assert_true(its_same_state(&g.its[0], &to.its[0]));
	assert_int_equal(peal_its_send(to.its[0].its, WIDE_IDS - 2, 2), 1);
	guest_done(&to);
	guest_done(&g);
}

/* The distances at which the field is just enough, full, and too small. */
static void distances_about_the_cap(void **state)
{
	(void)state;
	for (uint32_t distance = 16382; distance <= 16385; distance++) {
		const uint32_t ids[] = { 0, 8192, 16384 };
		struct guest g, to;
		struct guest_its *gi = &g.its[0];

		guest_init(&g, &wide);
		start_indirect(&g, ids, 3);
		its_map_lpis(gi, 0, LPI, 1, 0, 0);
		assert_int_equal(its_mapd(gi, distance, 4, its_itt(gi, 1)), 0);
		guest_migrate(&to, &g, &wide);
		assert_int_equal(entry_at(&g, LEVEL2(gi, 0), 0),
				 dte(distance < 16383 ? distance : 16383, its_itt(gi, 0), 4));
		assert_true(its_same_state(&g.its[0], &to.its[0]));
		guest_done(&to);
		guest_done(&g);
	}
}

/* ---- more memory than the guest of the tests has ---- */

#define MORE      UINT64_C(0x80000000)
#define MORE_SIZE UINT64_C(0x200000)

static uint8_t *more_memory(void)
{
	uint8_t *memory = calloc(1, MORE_SIZE);

	assert_non_null(memory);
	return memory;
}

static void add_memory(struct guest *g, uint8_t *memory)
{
	assert_int_equal(peal_space_map(g->ram.space, MORE, MORE_SIZE, memory, PEAL_MEM_RW), 0);
}

static void events_far_apart_are_capped_and_found(void **state)
{
	static const struct guest_config large = { .event_bits = 17 };
	uint8_t *memory = more_memory();
	struct image image;
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, &large);
	add_memory(&g, memory);
	guest_start(&g);
	its_map_collections(gi);
	assert_int_equal(its_mapd(gi, 1, 16, MORE), 0);
	assert_int_equal(its_mapti(gi, 1, 0, 8192, 0), 0);
	assert_int_equal(its_mapti(gi, 1, 65535, 8193, 0), 0);
	assert_int_equal(its_mapti(gi, 1, 131071, 8194, 1), 0);
	memory[8 * 131070 + 2] = 1; /* in the way: looking begins at 131070 */
	memory[8 * 131069 + 2] = 1; /* and not before */
	assert_int_equal(peal_its_save_tables(gi->its), 0);
	assert_int_equal(peal_load_le(memory, 8), ite(65535, 8192, 0));
	assert_int_equal(peal_load_le(memory + 8 * 65535, 8), ite(65535, 8193, 0));
	assert_int_equal(peal_load_le(memory + 8 * 131069, 8), 0x10000);
	assert_int_equal(peal_load_le(memory + 8 * 131070, 8), 0);
	assert_int_equal(peal_load_le(memory + 8 * 131071, 8), ite(0, 8194, 1));
	image = its_image(gi);
	its_write32(gi, GITS_CTLR, 0);
	assert_int_equal(peal_its_restore_tables(gi->its), 0);
	its_write32(gi, GITS_CTLR, 1);
	assert_true(its_is_image(gi, &image));
	image_done(&image);
	guest_done(&g);
	free(memory);
}

/* ---- what a guest left in its tables, and what it unmaps ---- */

/* Saves, restores in the same VM: nothing may change. */
static void assert_restores_as_it_is(struct guest_its *gi)
{
	struct image image = its_image(gi);

	assert_int_equal(peal_its_save_tables(gi->its), 0);
	its_write32(gi, GITS_CTLR, 0);
	assert_int_equal(peal_its_restore_tables(gi->its), 0);
	its_write32(gi, GITS_CTLR, 1);
	assert_true(its_is_image(gi, &image));
	image_done(&image);
}

static void garbage_in_the_tables_is_not_restored(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	build_three(&g);
	assert_int_equal(its_mapd(gi, 4000, 4, gi->itts + 0x8000), 0); /* has no events */
	for (unsigned id = 0; id < GUEST_DEVICES; id++)
		set_entry(&g, gi->devices, id, dte(1, gi->itts + 0x9000, 3));
	for (uint64_t at = gi->itts; at < gi->itts + 0x10000; at += 8)
		guest_store(&g, at, ite(1, 8192, 0));
	for (unsigned n = 0; n < GUEST_ICIDS; n++)
		set_entry(&g, gi->collections, n, cte(4, n));
	assert_restores_as_it_is(gi);
	guest_done(&g);
}

static void discard_clears_the_entry_in_memory(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	build_three(&g);
	assert_int_equal(peal_its_save_tables(gi->its), 0);
	assert_int_not_equal(entry_at(&g, gi->itts + 0x1000, 31), 0);
	assert_int_equal(its_event(gi, DISCARD, 5, 31), 0);
	assert_int_equal(entry_at(&g, gi->itts + 0x1000, 31), 0);
	assert_int_not_equal(entry_at(&g, gi->itts + 0x1000, 4), 0);
	assert_restores_as_it_is(gi);
	assert_int_equal(entry_at(&g, gi->itts + 0x1000, 4), ite(0, 65535, 1));
	/* The first, and then all of them. */
	assert_int_equal(its_event(gi, DISCARD, 5, 0), 0);
	assert_restores_as_it_is(gi);
	assert_int_equal(its_event(gi, DISCARD, 5, 4), 0);
	assert_restores_as_it_is(gi);
	guest_done(&g);
}

static void mapd_clears_the_entry_in_memory(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	build_three(&g);
	assert_int_equal(peal_its_save_tables(gi->its), 0);
	assert_int_equal(its_unmapd(gi, 5), 0);
	assert_int_equal(entry_at(&g, gi->devices, 5), 0);
	assert_int_not_equal(entry_at(&g, gi->devices, 3), 0);
	assert_restores_as_it_is(gi);
	assert_int_equal(entry_at(&g, gi->devices, 3), dte(897, gi->itts + 0x100, 0));
	/* Mapped again with the old table, which the guest did not clear: its events are gone. */
	assert_int_equal(its_mapd(gi, 5, 4, gi->itts + 0x1000), 0);
	assert_restores_as_it_is(gi);
	/* And over a mapped one. */
	assert_int_equal(its_mapd(gi, 900, 9, gi->itts + 0x2000), 0);
	assert_restores_as_it_is(gi);
	assert_int_equal(its_counters(gi).events, 0);
	guest_done(&g);
}

static void the_collection_table_may_be_full(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	guest_start(&g);
	for (unsigned icid = 0; icid < GUEST_ICIDS; icid++)
		assert_int_equal(its_mapc(gi, icid, icid % 2), 0);
	guest_store(&g, gi->collections + 8 * GUEST_ICIDS, 0x1234);
	assert_restores_as_it_is(gi);
	assert_int_equal(entry_at(&g, gi->collections, 511), cte(1, 511));
	assert_int_equal(entry_at(&g, gi->collections, 512), 0x1234);
	/* One less, and the list has an end again. */
	assert_int_equal(its_unmapc(gi, 100, 0), 0);
	assert_restores_as_it_is(gi);
	assert_int_equal(entry_at(&g, gi->collections, 510), cte(1, 511));
	assert_int_equal(entry_at(&g, gi->collections, 511), 0);
	guest_done(&g);
}

/* A known failure of others: MAPTI, MAPC V=0, then save. */
static void collections_that_are_not_mapped_survive(void **state)
{
	struct guest g, to;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	guest_start(&g);
	its_map_collections(gi);
	its_map_lpis(gi, 5, LPI, 2, 1, 0);
	assert_int_equal(its_mapti(gi, 5, 2, LPI + 2, 9), 0); /* never mapped */
	assert_int_equal(its_mapc(gi, 20, 0), 0);             /* mapped no more, and not used */
	assert_int_equal(its_unmapc(gi, 20, 0), 0);
	assert_int_equal(its_unmapc(gi, 1, 1), 0);
	guest_migrate(&to, &g, NULL);
	assert_int_equal(entry_at(&g, gi->collections, 0), UINT64_C(0x8000000000000000));
	assert_int_equal(entry_at(&g, gi->collections, 1), UINT64_C(0x8000ffffffff0001));
	assert_int_equal(entry_at(&g, gi->collections, 2), UINT64_C(0x8000ffffffff0009));
	assert_int_equal(entry_at(&g, gi->collections, 3), 0);
	gi = &to.its[0];
	assert_true(its_same_state(&g.its[0], gi));
	assert_int_equal(peal_its_send(gi->its, 5, 1), 0);
	assert_int_equal(its_counters(gi).no_collection, 1);
	assert_int_equal(its_mapc(gi, 1, 0), 0);
	assert_int_equal(peal_its_send(gi->its, 5, 1), 1);
	assert_true(guest_is_pending(&to, 0, LPI + 1));
	assert_int_equal(its_mapc(gi, 9, 1), 0);
	assert_int_equal(peal_its_send(gi->its, 5, 2), 1);
	guest_done(&to);
	guest_done(&g);
}

/* ---- what cannot be saved ---- */

/* A known failure of others: unreachable level-2 page at save. */
static void a_level_2_page_that_is_gone_refuses_the_save(void **state)
{
	static const uint32_t ids[] = { 8192 };
	struct guest g;
	struct guest_its *gi = &g.its[0];
	struct image image;

	(void)state;
	guest_init(&g, &wide);
	start_indirect(&g, ids, 1);
	its_map_lpis(gi, 8192, LPI, 3, 0, 0);
	its_map_lpis(gi, 8195, LPI + 3, 3, 0, 0);
	image = its_image(gi);
	set_entry(&g, gi->devices, 1, LEVEL2(gi, 0)); /* not valid */
	assert_int_equal(peal_its_save_tables(gi->its), -EFAULT);
	set_entry(&g, gi->devices, 1, VALID | 0x1000); /* not in memory */
	assert_int_equal(peal_its_save_tables(gi->its), -EFAULT);
	assert_true(its_is_image(gi, &image));
	assert_int_equal(peal_its_send(gi->its, 8195, 2), 1);
	assert_int_equal(its_sync(gi, 0), 0);
	set_entry(&g, gi->devices, 1, VALID | LEVEL2(gi, 0));
	assert_int_equal(peal_its_save_tables(gi->its), 0);
	image_done(&image);
	guest_done(&g);
}

static void tables_outside_memory_refuse_the_save(void **state)
{
	static const struct guest_config large = { .event_bits = 16 };
	uint8_t *memory = more_memory();
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, &large);
	add_memory(&g, memory);
	guest_start(&g);
	its_map_collections(gi);
	/* An ITT where no memory is, without events and with one that was there. */
	assert_int_equal(its_mapd(gi, 1, 4, MORE + MORE_SIZE), 0);
	assert_int_equal(peal_its_save_tables(gi->its), -EFAULT);
	assert_int_equal(its_mapd(gi, 1, 15, MORE + MORE_SIZE - 0x1000), 0);
	assert_int_equal(peal_its_save_tables(gi->its), -EFAULT);
	assert_int_equal(its_mapti(gi, 1, 0x1ff, LPI, 0), 0);
	assert_restores_as_it_is(gi);
	/* The last entry that is in memory, read with what is behind it. */
	assert_int_equal(its_mapd(gi, 1, 15, MORE + MORE_SIZE - 0x100), 0);
	assert_int_equal(peal_its_save_tables(gi->its), -EFAULT);
	assert_int_equal(its_mapti(gi, 1, 0x1f, LPI, 0), 0);
	assert_restores_as_it_is(gi);
	assert_int_equal(peal_space_unmap(g.ram.space, MORE, MORE_SIZE), 0);
	assert_int_equal(peal_its_save_tables(gi->its), -EFAULT);
	assert_int_equal(its_unmapd(gi, 1), 0);
	assert_int_equal(peal_its_save_tables(gi->its), 0);
	guest_done(&g);
	free(memory);
}

/* The collection of an event has no place any more. */
static void a_smaller_collection_table_refuses_the_save(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	guest_start(&g);
	its_write32(gi, GITS_CTLR, 0);
	its_write(gi, GITS_BASER(1), VALID | gi->collections | PAGE_4K | 1);
	its_write32(gi, GITS_CTLR, 1);
	its_map_lpis(gi, 1, LPI, 2, 512, 0);
	assert_int_equal(peal_its_save_tables(gi->its), 0);
	its_write32(gi, GITS_CTLR, 0);
	its_write(gi, GITS_BASER(1), VALID | gi->collections | PAGE_4K | 0);
	assert_int_equal(peal_its_save_tables(gi->its), -EFAULT);
	its_write(gi, GITS_BASER(1), 0);
	assert_int_equal(peal_its_save_tables(gi->its), -EFAULT);
	guest_done(&g);
}

static void itts_that_overlap_refuse_the_save(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	guest_start(&g);
	its_map_collections(gi);
	assert_int_equal(its_mapd(gi, 1, 7, gi->itts), 0); /* 0x800 bytes */
	assert_int_equal(its_mapd(gi, 2, 7, gi->itts + 0x700), 0);
	assert_int_equal(peal_its_save_tables(gi->its), -EINVAL);
	/* With events up to 223, the end of the first is not looked at. */
	assert_int_equal(its_mapti(gi, 1, 223, LPI, 0), 0);
	assert_int_equal(peal_its_save_tables(gi->its), 0);
	assert_restores_as_it_is(gi);
	assert_int_equal(its_mapti(gi, 1, 224, LPI + 1, 0), 0);
	assert_int_equal(peal_its_save_tables(gi->its), -EINVAL);
	assert_int_equal(its_unmapd(gi, 2), 0);
	assert_int_equal(peal_its_save_tables(gi->its), 0);
	guest_done(&g);
}

/* Five ITTs of 2^24 entries without events are more than the 2^26 entries that are looked at. */
static void sparse_tables_refuse_the_save(void **state)
{
	static const struct guest_config large = { .event_bits = 24 };
	uint64_t size = UINT64_C(5) << 27, itt = UINT64_C(0x100000000);
	uint8_t *memory = calloc(1, size);
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	assert_non_null(memory);
	guest_init(&g, &large);
	assert_int_equal(peal_space_map(g.ram.space, itt, size, memory, PEAL_MEM_RW), 0);
	guest_start(&g);
	its_map_collections(gi);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(its_mapd(gi, i, 23, itt + ((uint64_t)i << 27)), 0);
	assert_int_equal(peal_its_save_tables(gi->its), 0);
	assert_int_equal(its_mapd(gi, 3, 23, itt + (UINT64_C(3) << 27)), 0);
	assert_int_equal(its_mapd(gi, 4, 23, itt + (UINT64_C(4) << 27)), 0);
	assert_int_equal(peal_its_save_tables(gi->its), -E2BIG);
	/* Events at the front, and nothing behind them is looked at. */
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(its_mapti(gi, i, 3, LPI + i, 0), 0);
	assert_restores_as_it_is(gi);
	guest_done(&g);
	free(memory);
}

/* ---- the dirty log ---- */

#define LOG_PAGES 0x1000u

struct log {
	uint8_t pages[LOG_PAGES]; /* of 4 KiB, from GUEST_RAM */
};

static void log_dirty(void *user, uint64_t address, uint64_t size)
{
	struct log *log = user;

	for (uint64_t page = (address - GUEST_RAM) / 4096;
	     page <= (address + size - 1 - GUEST_RAM) / 4096; page++) {
		assert_true(page < LOG_PAGES);
		log->pages[page] = 1;
	}
}

/* Gives the guest's memory a log, before it starts: the GIC is made anew over another space. */
static void init_with_log(struct guest *g, const struct guest_config *c, struct log *log)
{
	struct peal_space_config config = { .dirty = log_dirty, .user = log };

	guest_init(g, c);
	peal_its_free(g->its[0].its);
	peal_gic_free(g->gic);
	peal_space_free(g->ram.space);
	config.host = &g->th.host;
	assert_int_equal(peal_space_new(&g->ram.space, &config), 0);
	assert_int_equal(peal_space_map(g->ram.space, GUEST_RAM, g->ram.size, g->ram.memory,
					PEAL_MEM_RW),
			 0);
	guest_new_gic(g, c);
	guest_new_its(g, 0, c);
}

/* Every page that differs from BEFORE is in the log. */
static unsigned changed_pages(const struct guest *g, const uint8_t *before, const struct log *log)
{
	unsigned n = 0;

	for (uint64_t page = 0; page < g->ram.size / 4096; page++) {
		if (memcmp(before + 4096 * page, g->ram.memory + 4096 * page, 4096) == 0)
			continue;
		assert_true(log->pages[page]);
		n++;
	}
	return n;
}

static void every_write_is_in_the_dirty_log(void **state)
{
	static const struct guest_config two = { .nredists = 2 };
	struct log *log = calloc(1, sizeof(*log));
	struct guest g;
	struct guest_its *gi = &g.its[0];
	uint8_t *before;

	(void)state;
	init_with_log(&g, &two, log);
	guest_start(&g);
	its_map_collections(gi);
	its_map_lpis(gi, 3, LPI, 20, 1, 0);
	its_map_lpis(gi, 700, LPI + 20, 20, 0, 0);
	guest_store(&g, its_itt(gi, 60), 1);
	assert_int_equal(peal_its_send(gi->its, 3, 7), 1);
	before = malloc(g.ram.size);
	assert_non_null(before);
	memcpy(before, g.ram.memory, g.ram.size);
	assert_int_equal(peal_its_save_tables(gi->its), 0);
	/* The devices' page (3 and 700), the collections', two ITTs. */
	assert_int_equal(changed_pages(&g, before, log), 2 + 1 + 2);
	assert_int_equal(peal_gic_save_pending(g.gic), 0);
	assert_int_equal(changed_pages(&g, before, log), 2 + 1 + 2 + 1);

	memset(log, 0, sizeof(*log));
	memcpy(before, g.ram.memory, g.ram.size);
	/* Nothing new is pending: nothing is written. */
	assert_int_equal(peal_gic_save_pending(g.gic), 0);
	assert_int_equal(its_event(gi, DISCARD, 3, 19), 0);
	assert_int_equal(its_unmapd(gi, 700), 0);
	for (uint64_t at = gi->queue; at < gi->queue + 0x10000; at += 8)
		guest_store(&g, at, peal_load_le(before + (at - GUEST_RAM), 8));
	assert_int_equal(changed_pages(&g, before, log), 2);
	for (uint64_t page = 0, n = 0; page <= LOG_PAGES; page++) {
		if (page == LOG_PAGES)
			assert_int_equal(n, 2);
		else
			n += log->pages[page];
	}
	free(before);
	free(log);
	guest_done(&g);
}

static void a_save_without_memory_fails_and_can_be_repeated(void **state)
{
	struct guest g;

	(void)state;
	build_three(&g);
	for (int64_t n = 0;; n++) {
		int64_t live = g.th.live;
		int r;

		test_host_fail_in(&g.th, n);
		r = peal_its_save_tables(g.its[0].its);
		assert_int_equal(g.th.live, live);
		if (r == 0) {
			assert_int_equal(n, 2); /* the state of the save, the list of ITTs */
			break;
		}
		assert_int_equal(r, -ENOMEM);
	}
	test_host_fail_never(&g.th);
	guest_done(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_are_those_of_revision_0),
		cmocka_unit_test(a_round_trip_keeps_everything),
		cmocka_unit_test(an_empty_its_saves_empty_tables),
		cmocka_unit_test(devices_far_apart_are_capped_and_found),
		cmocka_unit_test(distances_about_the_cap),
		cmocka_unit_test(events_far_apart_are_capped_and_found),
		cmocka_unit_test(garbage_in_the_tables_is_not_restored),
		cmocka_unit_test(discard_clears_the_entry_in_memory),
		cmocka_unit_test(mapd_clears_the_entry_in_memory),
		cmocka_unit_test(the_collection_table_may_be_full),
		cmocka_unit_test(collections_that_are_not_mapped_survive),
		cmocka_unit_test(a_level_2_page_that_is_gone_refuses_the_save),
		cmocka_unit_test(tables_outside_memory_refuse_the_save),
		cmocka_unit_test(a_smaller_collection_table_refuses_the_save),
		cmocka_unit_test(itts_that_overlap_refuse_the_save),
		cmocka_unit_test(sparse_tables_refuse_the_save),
		cmocka_unit_test(every_write_is_in_the_dirty_log),
		cmocka_unit_test(a_save_without_memory_fails_and_can_be_repeated),
	};

	return cmocka_run_group_tests_name("gic-tables", tests, NULL, NULL);
}
