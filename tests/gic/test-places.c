/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the entries of tables are in memory, seen by what a save writes: the bits of an address that
 * count, for each page size and on both levels. Arm IHI 0069H, GITS_BASER<n> and MAPD.
 */
#include "tables-guest.h"

struct pages {
	uint64_t field;
	uint64_t size;
};

static const struct pages page_sizes[] = {
	{ PAGE_4K, 0x1000 },
	{ PAGE_16K, 0x4000 },
	{ PAGE_64K, 0x10000 },
};

static void set_baser(struct guest_its *gi, unsigned n, uint64_t value)
{
	its_write32(gi, GITS_CTLR, 0);
	its_write(gi, GITS_BASER(n), value);
	its_write32(gi, GITS_CTLR, 1);
	assert_int_equal(its_read32(gi, GITS_CTLR), QUIESCENT | 1);
}

/* Bits of the address below the size of a page; those that a field of this size has at all. */
static uint64_t low_bits(const struct pages *p)
{
	return p->size == 0x10000 ? 0 : (p->size - 1) & ~UINT64_C(0xfff);
}

static void tables_begin_at_a_page_of_their_size(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PEAL_COUNT_OF(page_sizes); i++) {
		const struct pages *p = &page_sizes[i];
		struct guest g;
		struct guest_its *gi = &g.its[0];
		uint64_t itt;

		guest_init(&g, NULL);
		guest_start(&g);
		itt = its_itt(gi, 0);
		set_baser(gi, 0, VALID | gi->devices | low_bits(p) | p->field);
		set_baser(gi, 1, VALID | gi->collections | low_bits(p) | p->field);
		assert_int_equal(its_mapd(gi, 1, 0, itt), 0);
		assert_int_equal(its_mapc(gi, 5, 1), 0);
		assert_int_equal(peal_its_save_tables(gi->its), 0);
		assert_int_equal(entry_at(&g, gi->devices, 1), dte(0, itt, 0));
		assert_int_equal(entry_at(&g, gi->collections, 0), cte(1, 5));
		if (low_bits(p)) {
			assert_int_equal(entry_at(&g, gi->devices | low_bits(p), 1), 0);
			assert_int_equal(entry_at(&g, gi->collections | low_bits(p), 0), 0);
		}
		guest_done(&g);
	}
}

static void pages_of_level_2_begin_at_a_multiple_of_their_size(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PEAL_COUNT_OF(page_sizes); i++) {
		const struct pages *p = &page_sizes[i];
		uint64_t low = (p->size - 1) & ~UINT64_C(0xfff), level2;
		struct guest g;
		struct guest_its *gi = &g.its[0];

		guest_init(&g, NULL);
		guest_start(&g);
		level2 = gi->itts + 0x20000;
		assert_int_equal(level2 % 0x10000, 0);
		set_baser(gi, 0, VALID | INDIRECT | gi->devices | p->field);
		/* Bits 11:0 are no address either. */
		guest_store(&g, gi->devices, VALID | level2 | low | 0xfff);
		assert_int_equal(its_mapd(gi, 1, 0, its_itt(gi, 0)), 0);
		assert_int_equal(peal_its_save_tables(gi->its), 0);
		assert_int_equal(entry_at(&g, level2, 1), dte(0, its_itt(gi, 0), 0));
		if (low)
			assert_int_equal(entry_at(&g, level2 + low, 1), 0);
		guest_done(&g);
	}
}

/* Address bits 51:48 of an ITT: the ITT is not in memory without them. */
static void an_itt_above_48_bits_is_where_mapd_says(void **state)
{
	const uint64_t size = 0x10000;
	uint8_t *memory = aligned_alloc(0x10000, size);
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	assert_non_null(memory);
	for (unsigned bit = 48; bit < 52; bit++) {
		uint64_t itt = UINT64_C(1) << bit;

		memset(memory, 0, size);
		guest_init(&g, NULL);
		assert_int_equal(peal_space_map(g.ram.space, itt, size, memory, PEAL_MEM_RW), 0);
		guest_start(&g);
		its_map_collections(gi);
		assert_int_equal(its_mapd(gi, 1, 4, itt), 0);
		assert_int_equal(its_mapti(gi, 1, 3, LPI + 7, 1), 0);
		assert_int_equal(peal_its_save_tables(gi->its), 0);
		assert_int_equal(entry_at(&g, gi->devices, 1), dte(0, itt, 4));
		assert_int_equal(peal_load_le(memory + 24, 8), ite(0, LPI + 7, 1));
		its_write32(gi, GITS_CTLR, 0);
		assert_int_equal(peal_its_restore_tables(gi->its), 0);
		its_write32(gi, GITS_CTLR, 1);
		assert_int_equal(its_event(gi, DISCARD, 1, 3), 0);
		assert_int_equal(peal_load_le(memory + 24, 8), 0);
		/* Without them there is nothing. */
		assert_int_equal(its_mapd(gi, 2, 4, 0), 0);
		assert_int_equal(its_mapti(gi, 2, 3, LPI + 7, 1), 0x010a05);
		assert_int_equal(peal_space_unmap(g.ram.space, itt, size), 0);
		peal_space_sync(g.ram.space);
		guest_done(&g);
	}
	free(memory);
}

/* ---- memory of its own, that can be read only and can go ---- */

#define FAR      (UINT64_C(1) << 40)
#define FAR_SIZE 0x10000u

/* The caller frees it, after far_unmap(). */
static uint8_t *far_map(struct guest *g, unsigned access)
{
	uint8_t *memory = aligned_alloc(FAR_SIZE, FAR_SIZE);

	assert_non_null(memory);
	memset(memory, 0, FAR_SIZE);
	assert_int_equal(peal_space_map(g->ram.space, FAR, FAR_SIZE, memory, access), 0);
	return memory;
}

static void far_unmap(struct guest *g)
{
	assert_int_equal(peal_space_unmap(g->ram.space, FAR, FAR_SIZE), 0);
	peal_space_sync(g->ram.space);
}

/* What would be restored has to be cleared, and cannot be. */
static void garbage_in_read_only_memory_refuses_the_save(void **state)
{
	uint8_t *memory;
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	memory = far_map(&g, PEAL_MEM_READ);
	guest_start(&g);
	its_map_collections(gi);
	assert_int_equal(its_mapd(gi, 1, 4, FAR), 0);
	assert_int_equal(its_mapti(gi, 1, 3, LPI, 0), 0x010a05); /* no place for its entry */
	assert_int_equal(peal_its_save_tables(gi->its), 0);
	peal_store_le(memory + 8, 8, ite(0, LPI, 0));
	assert_int_equal(peal_its_save_tables(gi->its), -EFAULT);
	assert_int_equal(peal_load_le(memory + 8, 8), ite(0, LPI, 0));
	assert_int_equal(its_unmapd(gi, 1), 0);
	assert_int_equal(peal_its_save_tables(gi->its), 0);
	far_unmap(&g);
	guest_done(&g);
	free(memory);
}

/* A table that cannot hold what is saved is none. */
static void tables_in_read_only_memory_have_no_entries(void **state)
{
	uint8_t *memory;
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	memory = far_map(&g, PEAL_MEM_READ);
	guest_start(&g);
	set_baser(gi, 0, VALID | FAR | PAGE_4K);
	assert_int_equal(its_mapd(gi, 1, 4, its_itt(gi, 1)), 0x010801);
	set_baser(gi, 1, VALID | FAR | PAGE_4K);
	assert_int_equal(its_mapc(gi, 1, 0), 0x010903);
	far_unmap(&g);
	guest_done(&g);
	free(memory);
}

/* What is saved is gone with its memory; what is mapped can be unmapped all the same. */
static void unmapping_goes_on_when_its_memory_is_gone(void **state)
{
	uint8_t *memory;
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	memory = far_map(&g, PEAL_MEM_RW);
	guest_start(&g);
	its_map_collections(gi);
	assert_int_equal(its_mapd(gi, 1, 4, FAR), 0);
	assert_int_equal(its_mapti(gi, 1, 3, LPI, 0), 0);
	assert_int_equal(peal_its_save_tables(gi->its), 0);
	far_unmap(&g);
	assert_int_equal(its_event(gi, DISCARD, 1, 3), 0);
	assert_int_equal(peal_load_le(memory + 24, 8), ite(0, LPI, 0));
	assert_int_equal(its_counters(gi).events, 0);
	assert_int_equal(its_unmapd(gi, 1), 0);
	guest_done(&g);
	free(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_begin_at_a_page_of_their_size),
		cmocka_unit_test(pages_of_level_2_begin_at_a_multiple_of_their_size),
		cmocka_unit_test(an_itt_above_48_bits_is_where_mapd_says),
		cmocka_unit_test(garbage_in_read_only_memory_refuses_the_save),
		cmocka_unit_test(tables_in_read_only_memory_have_no_entries),
		cmocka_unit_test(unmapping_goes_on_when_its_memory_is_gone),
	};

	return cmocka_run_group_tests_name("gic-places", tests, NULL, NULL);
}
