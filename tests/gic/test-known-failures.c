/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What others got wrong at the ends of ranges, for every command and field that has the range. The
 * known failures that have one place are in the test of that place, under the same names.
 */
#include "its-guest.h"

static void setup(struct guest *g, const struct guest_config *c)
{
	guest_init(g, c);
	guest_start(g);
	its_map_collections(&g->its[0]);
}

/* EventID 2^(Size+1): no command reaches past a device's table, whichever size it has. */
static void event_id_past_the_table_for_every_command(void **state)
{
	static const unsigned sizes[] = { 0, 1, 4, 5, 6, 8 };

	(void)state;
	for (unsigned i = 0; i < PEAL_COUNT_OF(sizes); i++) {
		uint32_t end = UINT32_C(2) << sizes[i];
		const uint32_t past[] = { end, end + 1, UINT32_C(0x80000000), UINT32_MAX };
		struct guest g;
		struct guest_its *gi = &g.its[0];

		setup(&g, NULL);
		assert_int_equal(its_mapd(gi, 1, sizes[i], its_itt(gi, 1)), 0);
		guest_configure(&g, LPI + 1, LPI_ON);
		assert_int_equal(its_mapti(gi, 1, end - 1, LPI + 1, 0), 0);
		assert_int_equal(its_event(gi, INT, 1, end - 1), 0);
		assert_int_equal(guest_acknowledge(&g, 0), LPI + 1);
		assert_int_equal(peal_its_send(gi->its, 1, end - 1), 1);
		for (unsigned n = 0; n < PEAL_COUNT_OF(past); n++) {
			assert_int_equal(its_mapti(gi, 1, past[n], LPI + 2, 0), 0x010a05);
			assert_int_equal(its_mapi(gi, 1, past[n], 0), 0x010b05);
			assert_int_equal(its_movi(gi, 1, past[n], 1), 0x010107);
			assert_int_equal(its_event(gi, INT, 1, past[n]), 0x010307);
			assert_int_equal(its_event(gi, CLEAR, 1, past[n]), 0x010507);
			assert_int_equal(its_event(gi, INV, 1, past[n]), 0x010c07);
			assert_int_equal(its_event(gi, DISCARD, 1, past[n]), 0x010f07);
			assert_int_equal(peal_its_send(gi->its, 1, past[n]), 0);
		}
		assert_int_equal(its_counters(gi).events, 1);
		assert_int_equal(guest_acknowledge(&g, 0), LPI + 1);
		guest_done(&g);
	}
}

/* Off by one: Size against ID_bits, ICID against CIDbits. */
static void widths_of_the_its_have_their_ends(void **state)
{
	(void)state;
	for (unsigned bits = 1; bits <= 9; bits += 2) {
		const struct guest_config c = { .event_bits = bits, .icid_bits = bits };
		uint32_t end = UINT32_C(1) << bits;
		struct guest g;
		struct guest_its *gi = &g.its[0];

		setup(&g, &c);
		assert_int_equal(its_mapd(gi, 1, bits, its_itt(gi, 1)), 0x010802);
		assert_int_equal(its_mapd(gi, 1, 31, its_itt(gi, 1)), 0x010802);
		assert_int_equal(its_mapd(gi, 1, bits - 1, its_itt(gi, 1)), 0);
		assert_int_equal(its_mapc(gi, end, 0), 0x010903);
		assert_int_equal(its_unmapc(gi, end, 0), 0x010903);
		assert_int_equal(its_mapc(gi, 0xffff, 0), 0x010903);
		assert_int_equal(its_mapc(gi, end - 1, 0), 0);
		assert_int_not_equal(its_mapti(gi, 1, 0, LPI, end), 0);
		assert_int_equal(its_mapti(gi, 1, 0, LPI, end - 1), 0);
		assert_int_equal(its_movi(gi, 1, 0, end), 0x010109);
		assert_int_equal(its_invall(gi, end), 0x010d09);
		assert_int_equal(its_invall(gi, end - 1), 0);
		assert_int_equal(peal_its_send(gi->its, 1, 0), 1);
		guest_done(&g);
	}
}

/* Off by one, and bits past 16: RDbase against the processor numbers there are. */
static void rdbase_names_a_redistributor_exactly(void **state)
{
	static const uint16_t processors[] = { 3, 0xffff };
	static const uint64_t bad[] = {
		0,
		1,
		2,
		4,
		0xfffe,
		0x10000,
		0x10003,
		0x1ffff,
		UINT64_C(0x7ffffffff),
		UINT64_C(0x400000003),
	};
	const struct guest_config c = { .processors = processors };
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, &c);
	for (unsigned i = 0; i < PEAL_COUNT_OF(bad); i++) {
		assert_int_equal(its_mapc(gi, 5, bad[i]), 0x010902);
		assert_int_equal(its_movall(gi, bad[i], 3), 0x010e01);
		assert_int_equal(its_movall(gi, 3, bad[i]), 0x010e01);
		assert_int_equal(its_sync(gi, bad[i]), 0); /* nothing waits there */
	}
	assert_int_equal(its_mapc(gi, 5, 3), 0);
	assert_int_equal(its_mapc(gi, 6, 0xffff), 0);
	assert_int_equal(its_movall(gi, 3, 0xffff), 0);
	guest_done(&g);
}

/* Off by one: an ITT, of which entries are in memory up to the last byte of it. */
static void an_itt_at_the_end_of_memory(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];
	uint64_t end;

	(void)state;
	setup(&g, NULL);
	end = gi->queue + GUEST_ITS_SPACE; /* the last of RAM */
	assert_false(peal_space_is_memory(g.ram.space, end, 1, PEAL_MEM_READ));
	assert_int_equal(its_mapd(gi, 1, 5, end - 0x100), 0); /* 64 events, 32 in memory */
	assert_int_equal(its_mapti(gi, 1, 31, LPI, 0), 0);
	assert_int_equal(its_mapti(gi, 1, 32, LPI + 1, 0), 0x010a05);
	assert_int_equal(its_mapd(gi, 2, 0, end), 0);
	assert_int_equal(its_mapti(gi, 2, 0, LPI + 1, 0), 0x010a05);
	assert_int_equal(its_counters(gi).events, 1);
	guest_done(&g);
}

/* ---- wide addresses ---- */

#define PAGE      0x10000u
#define HIGH      (UINT64_C(0xf) << 48)
#define HIGH_BASE (UINT64_C(0xf) << 12) /* as bits 15:12 of a BASER with 64 KiB pages */

/* The largest DeviceID there is, and tables above 2^48. */
static void device_id_of_32_bits_in_a_table_above_48_bits(void **state)
{
	const struct guest_config c = { .device_bits = 32 };
	uint64_t level1 = GUEST_RAM + UINT64_C(0x10000000);
	uint8_t *pages = aligned_alloc(PAGE, 2 * PAGE);
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	assert_non_null(pages);
	memset(pages, 0, 2 * PAGE);
	setup(&g, &c);
	/* The last of 64 pages of level 1, with one page of level 2 behind it. */
	assert_int_equal(peal_space_map(g.ram.space, HIGH | (level1 + UINT64_C(63) * PAGE),
					2 * PAGE, pages, PEAL_MEM_RW),
			 0);
	peal_store_le(pages + PAGE - 8, 8, VALID | HIGH | (level1 + UINT64_C(64) * PAGE));
	its_write32(gi, GITS_CTLR, 0);
	its_write(gi, GITS_BASER(0), VALID | INDIRECT | level1 | HIGH_BASE | PAGE_64K | 63);
	its_write32(gi, GITS_CTLR, 1);
	assert_int_equal(its_mapd(gi, UINT32_MAX, 0, its_itt(gi, 1)), 0);
	assert_int_equal(its_mapd(gi, UINT32_MAX - 8192, 0, its_itt(gi, 1)), 0x010801);
	guest_configure(&g, LPI, LPI_ON);
	assert_int_equal(its_mapti(gi, UINT32_MAX, 1, LPI, 1), 0);
	assert_int_equal(peal_its_send(gi->its, UINT32_MAX, 1), 1);
	assert_int_equal(peal_its_send(gi->its, 0x7fffffff, 1), 0);
	assert_int_equal(guest_acknowledge(&g, 1), LPI);
	/* The same without the upper bits is another place. */
	its_write32(gi, GITS_CTLR, 0);
	its_write(gi, GITS_BASER(0), VALID | INDIRECT | level1 | PAGE_64K | 63);
	its_write32(gi, GITS_CTLR, 1);
	assert_int_equal(its_mapd(gi, UINT32_MAX, 0, its_itt(gi, 1)), 0x010801);
	assert_int_equal(
		peal_space_unmap(g.ram.space, HIGH | (level1 + UINT64_C(63) * PAGE), 2 * PAGE), 0);
	peal_space_sync(g.ram.space);
	guest_done(&g);
	free(pages);
}

/* CBASER, PROPBASER, PENDBASER and ITTs have addresses of 52 bits. */
static void everything_else_above_48_bits(void **state)
{
	uint8_t *memory = aligned_alloc(PAGE, 4 * PAGE);
	uint64_t base = UINT64_C(0xf) << 48 | GUEST_RAM;
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	assert_non_null(memory);
	memset(memory, 0, 4 * PAGE);
	guest_init(&g, NULL);
	assert_int_equal(peal_space_map(g.ram.space, base, 4 * PAGE, memory, PEAL_MEM_RW), 0);
	memory[1] = LPI_ON;                                /* LPI 8193 */
	memory[PAGE + (LPI + 1) / 8] = 1 << (LPI + 1) % 8; /* pending */
	redist_write(&g, 0, GICR_PROPBASER, 8, base | 13);
	redist_write(&g, 0, GICR_PENDBASER, 8, base + PAGE);
	enable_lpis(&g, 0);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 1);
	guest_program_its(gi);
	its_write(gi, GITS_CBASER, VALID | (base + UINT64_C(2) * PAGE));
	its_write32(gi, GITS_CTLR, 1);
	peal_store_le(memory + UINT64_C(2) * PAGE, 8, dw_device(MAPD, 1));
	peal_store_le(memory + UINT64_C(2) * PAGE + 16, 8, VALID | (base + UINT64_C(3) * PAGE));
	peal_store_le(memory + UINT64_C(2) * PAGE + 32, 8, dw_device(MAPTI, 1));
	peal_store_le(memory + UINT64_C(2) * PAGE + 40, 8, (uint64_t)(LPI + 1) << 32);
	its_write(gi, GITS_CWRITER, 64);
	assert_int_equal(its_counters(gi).errors, 0);
	assert_int_equal(its_counters(gi).events, 1);
	assert_int_equal(peal_space_unmap(g.ram.space, base, 4 * PAGE), 0);
	peal_space_sync(g.ram.space);
	guest_done(&g);
	free(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(event_id_past_the_table_for_every_command),
		cmocka_unit_test(widths_of_the_its_have_their_ends),
		cmocka_unit_test(rdbase_names_a_redistributor_exactly),
		cmocka_unit_test(an_itt_at_the_end_of_memory),
		cmocka_unit_test(device_id_of_32_bits_in_a_table_above_48_bits),
		cmocka_unit_test(everything_else_above_48_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
