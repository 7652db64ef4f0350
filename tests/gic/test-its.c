/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers of an ITS: their tables, what enabling needs, the command queue's three registers, the
 * tables' BASERs, accesses of every kind, and the life of the object.
 */
#include "its-guest.h"

#include <gic/gic.h>

/* ---- the frames ---- */

static void rows_are_well_made(void **state)
{
	unsigned row = 0;

	(void)state;
	assert_null(peal_reg_check(its_control_rows, its_control_nrows, &row));
	assert_null(peal_reg_check(its_translation_rows, its_translation_nrows, &row));
}

#define BASER0_FIXED (UINT64_C(1) << 56 | UINT64_C(7) << 48) /* devices, entries of 8 bytes */
#define BASER1_FIXED (UINT64_C(4) << 56 | UINT64_C(7) << 48) /* collections */

static void assert_reset(struct guest_its *gi)
{
	assert_int_equal(its_read32(gi, GITS_CTLR), QUIESCENT);
	assert_int_equal(its_read(gi, GITS_CBASER), 0);
	assert_int_equal(its_read(gi, GITS_CWRITER), 0);
	assert_int_equal(its_read(gi, GITS_CREADR), 0);
	assert_int_equal(its_read(gi, GITS_BASER(0)), BASER0_FIXED);
	assert_int_equal(its_read(gi, GITS_BASER(1)), BASER1_FIXED);
	for (unsigned n = 2; n < 8; n++)
		assert_int_equal(its_read(gi, GITS_BASER(n)), 0);
}

static void registers_reset_to_their_values(void **state)
{
	static const uint8_t ids[] = { 0x40, 0, 0, 0, 0x92, 0xb4, 0x3b, 0, 0x0d, 0xf0, 0x05, 0xb1 };
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	assert_reset(gi);
	for (unsigned i = 0; i < PEAL_COUNT_OF(ids); i++)
		assert_int_equal(its_read32(gi, 0xffd0 + 4 * i), ids[i]);
	guest_done(&g);
}

static void typer_says_the_configured_widths(void **state)
{
	static const struct {
		struct guest_config config;
		uint64_t typer;
	} cases[] = {
		/* Physical, ITT entries of 8 bytes; ID_bits - 1, Devbits - 1; CIDbits - 1 with CIL */
		{ { 0 }, 0x71 | 15 << 8 | 15 << 13 },
		{ { .device_bits = 32, .event_bits = 24 }, 0x71 | 23 << 8 | UINT64_C(31) << 13 },
		{ { .device_bits = 1, .event_bits = 1, .icid_bits = 1 }, UINT64_C(0x1000000071) },
		{ { .device_bits = 20, .event_bits = 5, .icid_bits = 15 },
		  UINT64_C(0x1e00000071) | 4 << 8 | 19 << 13 },
		{ { .icid_bits = 16 }, 0x71 | 15 << 8 | 15 << 13 },
	};

	(void)state;
	for (unsigned i = 0; i < PEAL_COUNT_OF(cases); i++) {
		struct guest g;

		guest_init(&g, &cases[i].config);
		assert_int_equal(its_read(&g.its[0], GITS_TYPER), cases[i].typer);
		assert_int_equal(its_read32(&g.its[0], GITS_TYPER), cases[i].typer & 0xffffffff);
		assert_int_equal(its_read32(&g.its[0], GITS_TYPER + 4), cases[i].typer >> 32);
		its_write(&g.its[0], GITS_TYPER, 0);
		assert_int_equal(its_read(&g.its[0], GITS_TYPER), cases[i].typer);
		guest_done(&g);
	}
}

static void wide_registers_take_halves(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	its_write32(gi, GITS_CBASER, 0x12345000 | 3);
	assert_int_equal(its_read(gi, GITS_CBASER), 0x12345003);
	its_write32(gi, GITS_CBASER + 4, 0x80000004);
	assert_int_equal(its_read(gi, GITS_CBASER), VALID | UINT64_C(0x412345003));
	assert_int_equal(its_read32(gi, GITS_CBASER + 4), 0x80000004);
	its_write32(gi, GITS_BASER(0) + 4, 0xc0000001);
	its_write32(gi, GITS_BASER(0), 0xabcd0203);
	assert_int_equal(its_read(gi, GITS_BASER(0)),
			 BASER0_FIXED | VALID | INDIRECT | UINT64_C(0x1abcd0203));
	its_write32(gi, GITS_CWRITER + 4, 0xffffffff);
	assert_int_equal(its_read(gi, GITS_CWRITER), 0);
	its_write32(gi, GITS_CWRITER, 0x60);
	assert_int_equal(its_read32(gi, GITS_CWRITER), 0x60);
	assert_int_equal(its_read32(gi, GITS_CWRITER + 4), 0);
	guest_done(&g);
}

static void other_widths_read_zero_write_nothing_and_count(void **state)
{
	static const unsigned sizes[] = { 1, 2, 3, 5, 6, 7 };
	struct guest g;
	struct guest_its *gi = &g.its[0];
	uint64_t refused = 0;

	(void)state;
	guest_init(&g, NULL);
	guest_program_its(gi);
	for (unsigned i = 0; i < PEAL_COUNT_OF(sizes); i++) {
		peal_its_write(gi->its, GITS_CBASER, sizes[i], 0);
		peal_its_write(gi->its, GITS_CTLR, sizes[i], 1);
		assert_int_equal(peal_its_read(gi->its, GITS_TYPER, sizes[i]), 0);
		assert_int_equal(peal_its_read(gi->its, GITS_PIDR2, sizes[i]), 0);
		assert_int_equal(gi->its->bank.refused, refused += 4);
	}
	its_write(gi, GITS_CTLR, 1); /* over CTLR and IIDR */
	peal_its_write(gi->its, GITS_CBASER + 2, 4, 0);
	assert_int_equal(its_read(gi, GITS_TYPER + 4), 0);
	assert_int_equal(gi->its->bank.refused, refused + 3);
	assert_int_equal(its_read32(gi, GITS_CTLR), QUIESCENT);
	assert_int_equal(its_read(gi, GITS_CBASER), VALID | gi->queue | 15);
	assert_int_equal(gi->its->bank.reserved, 0);
	assert_int_equal(its_read32(gi, 0x20), 0);
	its_write32(gi, 0x20000, 1);
	assert_int_equal(gi->its->bank.reserved, 2);
	guest_done(&g);
}

/* A known failure of others: TRANSLATER included. */
static void mmio_of_every_width_at_every_offset(void **state)
{
	static const uint64_t values[] = { ~UINT64_C(0), UINT64_C(0x5555555555555555) };
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	for (unsigned round = 0; round < 2; round++) {
		for (uint64_t offset = 0; offset < 2 * PEAL_GIC_FRAME; offset++) {
			for (unsigned size = 1; size <= 8; size++) {
				peal_its_write(gi->its, offset, size, values[offset & 1]);
				(void)peal_its_read(gi->its, offset, size);
			}
		}
		for (uint64_t offset = 0x140; offset < 2 * PEAL_GIC_FRAME; offset += 8) {
			if (offset < 0xffd0 || offset >= 0x10000)
				assert_int_equal(its_read(gi, offset), 0);
		}
		guest_start(&g); /* the second time with everything on */
	}
	guest_done(&g);
}

static void translater_takes_no_event_from_a_cpu(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	guest_start(&g);
	its_map_collections(gi);
	its_map_lpis(gi, 0, LPI, 1, 0, 0);
	its_write32(gi, GITS_TRANSLATER, 0);
	peal_its_write(gi->its, GITS_TRANSLATER, 2, 0);
	assert_int_equal(its_read32(gi, GITS_TRANSLATER), 0);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	assert_int_equal(its_counters(gi).misdirected, 2);
	guest_done(&g);
}

/* ---- CTLR ---- */

/* A known failure of others. */
static void enable_with_an_invalid_baser(void **state)
{
	static const uint32_t registers[] = { GITS_CBASER, GITS_BASER(0), GITS_BASER(1) };
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	its_write32(gi, GITS_CTLR, 1);
	assert_int_equal(its_read32(gi, GITS_CTLR), QUIESCENT);
	for (unsigned i = 0; i < PEAL_COUNT_OF(registers); i++) {
		guest_program_its(gi);
		its_write(gi, registers[i], its_read(gi, registers[i]) & ~VALID);
		its_write32(gi, GITS_CTLR, 1);
		assert_int_equal(its_read32(gi, GITS_CTLR), QUIESCENT);
		assert_int_equal(peal_its_send(gi->its, 0, 0), -EBUSY);
	}
	guest_program_its(gi);
	its_write32(gi, GITS_CTLR, 0xffffffff);
	assert_int_equal(its_read32(gi, GITS_CTLR), QUIESCENT | 1);
	assert_int_equal(peal_its_send(gi->its, 0, 0), 0);
	its_write32(gi, GITS_CTLR, 0xfffffffe);
	assert_int_equal(its_read32(gi, GITS_CTLR), QUIESCENT);
	guest_done(&g);
}

static void enabling_runs_what_is_queued(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	guest_start_redist(&g, 0);
	guest_program_its(gi);
	its_queue(gi, MAPC, 0, VALID, 0);
	its_ring(gi);
	assert_int_equal(its_read(gi, GITS_CREADR), 0);
	assert_int_equal(its_read(gi, GITS_CWRITER), 32);
	assert_int_equal(its_read32(gi, GITS_CTLR), QUIESCENT); /* off: nothing runs */
	assert_int_equal(its_counters(gi).commands, 0);
	its_write32(gi, GITS_CTLR, 1);
	assert_int_equal(its_read(gi, GITS_CREADR), 32);
	assert_int_equal(its_counters(gi).commands, 1);
	guest_done(&g);
}

static void disabling_keeps_mappings_and_stops_sends(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];
	struct peal_its_translation translation;

	(void)state;
	guest_init(&g, NULL);
	guest_start(&g);
	its_map_collections(gi);
	its_map_lpis(gi, 5, LPI, 1, 1, 0);
	its_write32(gi, GITS_CTLR, 0);
	assert_int_equal(peal_its_send(gi->its, 5, 0), -EBUSY);
	assert_int_equal(peal_its_translate(gi->its, 5, 0, &translation), -EBUSY);
	assert_int_equal(its_run(gi, dw_device(DISCARD, 5), 0, 0, 0), 0);
	assert_int_equal(its_counters(gi).events, 1); /* it did not run */
	its_write(gi, GITS_CWRITER, its_read(gi, GITS_CREADR));
	its_write32(gi, GITS_CTLR, 1);
	assert_int_equal(peal_its_send(gi->its, 5, 0), 1);
	assert_int_equal(guest_acknowledge(&g, 1), LPI);
	guest_done(&g);
}

/* ---- CBASER, CWRITER, CREADR ---- */

static void cbaser_resets_the_offsets_and_sanitises(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	guest_start(&g);
	assert_int_equal(its_sync(gi, 0), 0);
	assert_int_equal(its_read(gi, GITS_CREADR), 32);
	its_write32(gi, GITS_CTLR, 0);
	assert_int_equal(its_read(gi, GITS_CREADR), 32);
	its_write(gi, GITS_CBASER, ~UINT64_C(0));
	assert_int_equal(its_read(gi, GITS_CBASER), UINT64_C(0xb8effffffffff0ff));
	assert_int_equal(its_read(gi, GITS_CREADR), 0);
	assert_int_equal(its_read(gi, GITS_CWRITER), 0);
	for (uint64_t share = 0; share < 3; share++) {
		its_write(gi, GITS_CBASER, share << 10);
		assert_int_equal(its_read(gi, GITS_CBASER), share << 10);
	}
	its_write(gi, GITS_CREADR, 0x40);
	assert_int_equal(its_read(gi, GITS_CREADR), 0);
	guest_done(&g);
}

static void queue_and_tables_are_read_only_while_enabled(void **state)
{
	static const uint32_t registers[] = { GITS_CBASER, GITS_BASER(0), GITS_BASER(1) };
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	guest_start(&g);
	its_map_collections(gi);
	its_map_lpis(gi, 5, LPI, 1, 0, 0);
	for (unsigned i = 0; i < PEAL_COUNT_OF(registers); i++) {
		uint64_t value = its_read(gi, registers[i]);

		its_write(gi, registers[i], 0);
		its_write32(gi, registers[i] + 4, 0);
		its_write32(gi, registers[i], 0x1000);
		assert_int_equal(its_read(gi, registers[i]), value);
	}
	assert_int_equal(its_read(gi, GITS_CREADR), gi->writer);
	assert_int_equal(peal_its_send(gi->its, 5, 0), 1);
	guest_done(&g);
}

static void cwriter_out_of_the_queue_is_ignored(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	gi->queue_size = 0x2000;
	guest_start(&g);
	its_write(gi, GITS_CWRITER, 0x2000);
	assert_int_equal(its_read(gi, GITS_CWRITER), 0);
	its_write(gi, GITS_CWRITER, 0xfffe0);
	assert_int_equal(its_read(gi, GITS_CWRITER), 0);
	assert_int_equal(its_counters(gi).commands, 0);
	its_write(gi, GITS_CWRITER, UINT64_C(0xfffffffffff0003e)); /* reserved bits */
	assert_int_equal(its_read(gi, GITS_CWRITER), 0x20);
	assert_int_equal(its_counters(gi).commands, 1);
	its_write(gi, GITS_CWRITER, 0x1fe0); /* the last place */
	assert_int_equal(its_read(gi, GITS_CREADR), 0x1fe0);
	assert_int_equal(its_counters(gi).commands, 255);
	guest_done(&g);
}

static void the_largest_queue_is_a_mebibyte(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	gi->queue_size = 0x100000;
	guest_start(&g);
	/* Zeroes: no such opcode. What cannot be read because memory ends is skipped. */
	its_write(gi, GITS_CWRITER, 0xfffe0);
	assert_int_equal(its_read(gi, GITS_CREADR), 0xfffe0);
	assert_int_equal(its_counters(gi).errors, 32767);
	assert_int_equal(its_read32(gi, GITS_CTLR), QUIESCENT | 1);
	guest_done(&g);
}

/* ---- BASER ---- */

static void basers_keep_their_type_and_entry_size(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	for (uint64_t page = 0; page < 4; page++) {
		uint64_t size = page == 3 ? 2 : page; /* 3 is reserved: treated as 2 */

		its_write(gi, GITS_BASER(0), page << 8);
		assert_int_equal(its_read(gi, GITS_BASER(0)), BASER0_FIXED | size << 8);
	}
	its_write(gi, GITS_BASER(0), ~UINT64_C(0));
	assert_int_equal(its_read(gi, GITS_BASER(0)), UINT64_C(0xf9e7fffffffff2ff));
	its_write(gi, GITS_BASER(1), ~UINT64_C(0)); /* the collection table is flat */
	assert_int_equal(its_read(gi, GITS_BASER(1)), UINT64_C(0xbce7fffffffff2ff));
	for (unsigned n = 2; n < 8; n++) {
		its_write(gi, GITS_BASER(n), ~UINT64_C(0));
		its_write32(gi, GITS_BASER(n) + 4, 0xffffffff);
		assert_int_equal(its_read(gi, GITS_BASER(n)), 0);
	}
	guest_done(&g);
}

/* As drivers do: cacheable and shared, the largest page first, and what reads back is believed. */
static void a_driver_reads_back_what_it_tries(void **state)
{
	const uint64_t inner = UINT64_C(7) << 59, shareable = UINT64_C(1) << 10;
	const uint64_t lpi_inner = UINT64_C(7) << 7;
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	for (unsigned n = 0; n < 2; n++) {
		uint64_t fixed = its_read(gi, GITS_BASER(n));

		for (uint64_t page = 3; page-- > 0;) {
			uint64_t value = VALID | inner | shareable | gi->devices | page << 8 | 5;

			its_write(gi, GITS_BASER(n), value);
			assert_int_equal(its_read(gi, GITS_BASER(n)), fixed | value);
			its_write(gi, GITS_BASER(n), value | INDIRECT);
			assert_int_equal(its_read(gi, GITS_BASER(n)),
					 fixed | value | (n == 0 ? INDIRECT : 0));
		}
	}
	its_write(gi, GITS_CBASER, VALID | inner | shareable | gi->queue | 15);
	assert_int_equal(its_read(gi, GITS_CBASER), VALID | inner | shareable | gi->queue | 15);
	redist_write(&g, 0, GICR_PROPBASER, 8, guest_propbaser(&g) | lpi_inner | shareable);
	assert_int_equal(redist_read(&g, 0, GICR_PROPBASER, 8),
			 guest_propbaser(&g) | lpi_inner | shareable);
	redist_write(&g, 0, GICR_PENDBASER, 8, g.pending[0] | lpi_inner | shareable);
	assert_int_equal(redist_read(&g, 0, GICR_PENDBASER, 8),
			 g.pending[0] | lpi_inner | shareable);
	guest_done(&g);
}

static void changing_the_device_table_drops_devices(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];
	uint64_t value;

	(void)state;
	guest_init(&g, NULL);
	guest_start(&g);
	its_map_collections(gi);
	its_map_lpis(gi, 5, LPI, 2, 0, 0);
	its_map_lpis(gi, 4097, LPI + 2, 2, 1, 0);
	assert_int_equal(peal_its_send(gi->its, 5, 0), 1);
	its_write32(gi, GITS_CTLR, 0);
	value = its_read(gi, GITS_BASER(0));
	its_write(gi, GITS_BASER(0), value); /* no change */
	assert_int_equal(its_counters(gi).devices, 2);
	its_write(gi, GITS_BASER(0), value ^ 1);
	assert_int_equal(its_counters(gi).devices, 0);
	assert_int_equal(its_counters(gi).events, 0);
	assert_false(guest_is_pending(&g, 0, LPI));
	its_write32(gi, GITS_CTLR, 1);
	assert_int_equal(peal_its_send(gi->its, 5, 0), 0);
	/* The collections are still there. */
	its_map_lpis(gi, 5, LPI, 1, 1, 0);
	assert_int_equal(peal_its_send(gi->its, 5, 0), 1);
	assert_int_equal(guest_acknowledge(&g, 1), LPI);
	guest_done(&g);
}

static void changing_the_collection_table_drops_collections(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	guest_start(&g);
	its_map_collections(gi);
	its_map_lpis(gi, 5, LPI, 1, 1, 0);
	its_write32(gi, GITS_CTLR, 0);
	its_write(gi, GITS_BASER(1), its_read(gi, GITS_BASER(1)) ^ 0x1000);
	its_write32(gi, GITS_CTLR, 1);
	assert_int_equal(peal_its_send(gi->its, 5, 0), 0);
	assert_int_equal(its_counters(gi).no_collection, 1);
	assert_int_equal(its_mapc(gi, 1, 0), 0);
	assert_int_equal(peal_its_send(gi->its, 5, 0), 1);
	assert_int_equal(guest_acknowledge(&g, 0), LPI);
	guest_done(&g);
}

/* A known failure of others: Valid→0 with live mappings. */
static void valid_to_zero_with_live_mappings(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	guest_start(&g);
	its_map_collections(gi);
	for (uint32_t device = 0; device < 40; device++)
		its_map_lpis(gi, device * 201, LPI + 20 * device, 20, device % 2, 0);
	its_write32(gi, GITS_CTLR, 0);
	for (unsigned n = 0; n < 2; n++)
		its_write(gi, GITS_BASER(n), its_read(gi, GITS_BASER(n)) & ~VALID);
	assert_int_equal(its_counters(gi).devices, 0);
	assert_int_equal(its_counters(gi).events, 0);
	assert_int_equal(its_counters(gi).memory, 0);
	guest_done(&g);
}

/* ---- an unreadable queue ---- */

/* Half of the queue lies behind the end of memory. */
static void start_with_queue_at_the_end(struct guest *g, bool stall)
{
	const struct guest_config c = { .stall_on_fault = stall };
	struct guest_its *gi = &g->its[0];

	guest_init(g, &c);
	gi->queue = GUEST_RAM + g->ram.size - 0x1000;
	gi->queue_size = 0x2000;
	guest_start(g);
}

static void an_unreadable_command_is_skipped(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	start_with_queue_at_the_end(&g, false);
	its_write(gi, GITS_CWRITER, 0x1040);
	assert_int_equal(its_read(gi, GITS_CREADR), 0x1040);
	assert_int_equal(gi->nerrors, 128 + 2);
	assert_int_equal(gi->error.error, 0x0100fe);
	assert_int_equal(gi->error.offset, 0x1020);
	assert_int_equal(gi->error.command[0], 0);
	assert_int_equal(its_counters(gi).errors, 130);
	guest_done(&g);
}

static void an_unreadable_queue_stalls_until_retry(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];
	uint8_t *more = calloc(1, 0x1000);
	int r;

	(void)state;
	start_with_queue_at_the_end(&g, true);
	its_write(gi, GITS_CWRITER, 0x1040);
	assert_int_equal(its_read(gi, GITS_CREADR), 0x1001); /* Stalled */
	assert_int_equal(its_read(gi, GITS_CWRITER), 0x1040);
	assert_int_equal(its_read32(gi, GITS_CTLR), 1); /* not quiescent */
	assert_int_equal(gi->nerrors, 128 + 1);
	its_write(gi, GITS_CWRITER, 0x1060); /* without Retry it stays */
	assert_int_equal(its_read(gi, GITS_CREADR), 0x1001);
	its_write(gi, GITS_CWRITER, 0x1061); /* in vain */
	assert_int_equal(its_read(gi, GITS_CREADR), 0x1001);
	assert_int_equal(its_read(gi, GITS_CWRITER), 0x1060); /* Retry reads 0 */
	assert_int_equal(gi->nerrors, 128 + 2);
	r = peal_space_map(g.ram.space, GUEST_RAM + g.ram.size, 0x1000, more, PEAL_MEM_RW);
	assert_int_equal(r, 0);
	its_write(gi, GITS_CWRITER, 0x1060);
	assert_int_equal(its_read(gi, GITS_CREADR), 0x1001);
	its_write(gi, GITS_CWRITER, 0x1061);
	assert_int_equal(its_read(gi, GITS_CREADR), 0x1060);
	assert_int_equal(its_read32(gi, GITS_CTLR), 1 | QUIESCENT);
	assert_int_equal(gi->nerrors, 128 + 2 + 3);
	guest_done(&g);
	free(more);
}

static void a_new_cbaser_ends_the_stall(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	start_with_queue_at_the_end(&g, true);
	its_write(gi, GITS_CWRITER, 0x1040);
	its_write32(gi, GITS_CTLR, 0);
	assert_int_equal(its_read32(gi, GITS_CTLR), QUIESCENT);
	its_write32(gi, GITS_CTLR, 1);
	assert_int_equal(its_read(gi, GITS_CREADR), 0x1001);
	its_write32(gi, GITS_CTLR, 0);
	gi->queue = g.its[0].itts;
	guest_program_its(gi);
	assert_int_equal(its_read(gi, GITS_CREADR), 0);
	its_write32(gi, GITS_CTLR, 1);
	assert_int_equal(its_mapc(gi, 0, 0), 0);
	assert_int_equal(its_read(gi, GITS_CREADR), 32);
	guest_done(&g);
}

static void retry_without_a_stall_does_nothing(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	guest_start(&g);
	its_queue(gi, SYNC, 0, 0, 0);
	its_write(gi, GITS_CWRITER, gi->writer | 1);
	its_write(gi, GITS_CWRITER, gi->writer | 1);
	assert_int_equal(its_counters(gi).commands, 1);
	assert_int_equal(its_read(gi, GITS_CWRITER), 32);
	guest_done(&g);
}

/* And an ITS that is off keeps no Retry for later. */
static void retry_is_not_kept_while_the_its_is_off(void **state)
{
	const struct guest_config c = { .stall_on_fault = true };
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, &c);
	guest_program_its(gi);
	its_write(gi, GITS_CBASER, VALID | 0x1000); /* no memory */
	its_write(gi, GITS_CWRITER, 0x20 | 1);
	assert_int_equal(its_read(gi, GITS_CWRITER), 0x20);
	its_write32(gi, GITS_CTLR, 1);
	assert_int_equal(its_read(gi, GITS_CREADR), 1);
	assert_int_equal(its_read(gi, GITS_CREADR), 1);
	assert_int_equal(gi->nerrors, 1);
	/* A stalled ITS that is switched off and on stays stalled, and is quiescent while it is off. */
	its_write32(gi, GITS_CTLR, 0);
	assert_int_equal(its_read32(gi, GITS_CTLR), QUIESCENT);
	its_write32(gi, GITS_CTLR, 1);
	assert_int_equal(its_read32(gi, GITS_CTLR), 1);
	assert_int_equal(gi->nerrors, 1);
	guest_done(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_well_made),
		cmocka_unit_test(registers_reset_to_their_values),
		cmocka_unit_test(typer_says_the_configured_widths),
		cmocka_unit_test(wide_registers_take_halves),
		cmocka_unit_test(other_widths_read_zero_write_nothing_and_count),
		cmocka_unit_test(mmio_of_every_width_at_every_offset),
		cmocka_unit_test(translater_takes_no_event_from_a_cpu),
		cmocka_unit_test(enable_with_an_invalid_baser),
		cmocka_unit_test(enabling_runs_what_is_queued),
		cmocka_unit_test(disabling_keeps_mappings_and_stops_sends),
		cmocka_unit_test(cbaser_resets_the_offsets_and_sanitises),
		cmocka_unit_test(queue_and_tables_are_read_only_while_enabled),
		cmocka_unit_test(cwriter_out_of_the_queue_is_ignored),
		cmocka_unit_test(the_largest_queue_is_a_mebibyte),
		cmocka_unit_test(basers_keep_their_type_and_entry_size),
		cmocka_unit_test(a_driver_reads_back_what_it_tries),
		cmocka_unit_test(changing_the_device_table_drops_devices),
		cmocka_unit_test(changing_the_collection_table_drops_collections),
		cmocka_unit_test(valid_to_zero_with_live_mappings),
		cmocka_unit_test(an_unreadable_command_is_skipped),
		cmocka_unit_test(an_unreadable_queue_stalls_until_retry),
		cmocka_unit_test(a_new_cbaser_ends_the_stall),
		cmocka_unit_test(retry_without_a_stall_does_nothing),
		cmocka_unit_test(retry_is_not_kept_while_the_its_is_off),
	};

	return cmocka_run_group_tests_name("gic-its", tests, NULL, NULL);
}
