/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Redistributor registers: their table, the LPI tables behind PROPBASER and PENDBASER, EnableLPIs,
 * and the registers that take an INTID.
 */
#include "its-guest.h"

#include <gic/gic.h>

/* ---- the frame ---- */

static void rows_are_well_made(void **state)
{
	unsigned row = 0;

	(void)state;
	assert_null(peal_reg_check(gic_redist_rows, gic_redist_nrows, &row));
	assert_null(peal_reg_check(gic_id_rows, gic_id_nrows, &row));
}

static void registers_reset_to_their_values(void **state)
{
	static const struct {
		uint32_t offset;
		uint32_t value;
	} ids[] = {
		{ 0xffd0, 0x40 }, { 0xffd4, 0 },    { 0xffd8, 0 },    { 0xffdc, 0 },
		{ 0xffe0, 0x92 }, { 0xffe4, 0xb4 }, { 0xffe8, 0x3b }, { 0xffec, 0 },
		{ 0xfff0, 0x0d }, { 0xfff4, 0xf0 }, { 0xfff8, 0x05 }, { 0xfffc, 0xb1 },
	};
	struct guest g;

	(void)state;
	guest_init(&g, NULL);
	for (unsigned n = 0; n < 2; n++) {
		assert_int_equal(redist_read(&g, n, GICR_CTLR, 4), 0x6); /* CES, IR */
		assert_int_equal(redist_read(&g, n, GICR_PROPBASER, 8), 0);
		assert_int_equal(redist_read(&g, n, GICR_PENDBASER, 8), 0);
		assert_int_equal(redist_read(&g, n, GICR_SYNCR, 4), 0);
		for (unsigned i = 0; i < PEAL_COUNT_OF(ids); i++)
			assert_int_equal(redist_read(&g, n, ids[i].offset, 4), ids[i].value);
	}
	guest_done(&g);
}

static void typer_names_processor_and_affinity(void **state)
{
	const uint16_t processors[] = { 7, 0xffff, 2 };
	struct guest_config c = { .nredists = 3, .processors = processors };
	struct guest g;

	(void)state;
	guest_init(&g, &c);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t expected = UINT64_C(1) | (uint64_t)processors[i] << 8 |
				    (uint64_t)(0x100 + i) << 32 | (i == 2 ? 0x10 : 0); /* Last */

		assert_int_equal(redist_read(&g, i, GICR_TYPER, 8), expected);
		assert_int_equal(redist_read(&g, i, GICR_TYPER, 4), expected & 0xffffffff);
		assert_int_equal(redist_read(&g, i, GICR_TYPER + 4, 4), expected >> 32);
		redist_write(&g, i, GICR_TYPER, 8, ~UINT64_C(0));
		assert_int_equal(redist_read(&g, i, GICR_TYPER, 8), expected);
	}
	guest_done(&g);
	c.direct_lpi = true;
	guest_init(&g, &c);
	assert_int_equal(redist_read(&g, 0, GICR_TYPER, 4) & 0x8, 0x8);
	guest_done(&g);
}

static void wide_registers_take_halves(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, NULL);
	redist_write(&g, 0, GICR_PROPBASER, 4, 0x80000000 | 15);
	assert_int_equal(redist_read(&g, 0, GICR_PROPBASER, 8), 0x80000000 | 15);
	redist_write(&g, 0, GICR_PROPBASER + 4, 4, 0x12);
	assert_int_equal(redist_read(&g, 0, GICR_PROPBASER, 8), UINT64_C(0x1280000000) | 15);
	assert_int_equal(redist_read(&g, 0, GICR_PROPBASER + 4, 4), 0x12);
	redist_write(&g, 0, GICR_PENDBASER + 4, 4, 0x34);
	redist_write(&g, 0, GICR_PENDBASER, 4, 0x560000);
	assert_int_equal(redist_read(&g, 0, GICR_PENDBASER, 8), UINT64_C(0x3400560000));
	redist_write(&g, 0, GICR_PENDBASER + 4, 4, 0x78);
	assert_int_equal(redist_read(&g, 0, GICR_PENDBASER, 8), UINT64_C(0x7800560000));
	guest_done(&g);
}

static void fields_that_are_not_there_read_zero(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, NULL);
	redist_write(&g, 0, GICR_PROPBASER, 8, ~UINT64_C(0));
	/* Shareability 3 is reserved and becomes 0. */
	assert_int_equal(redist_read(&g, 0, GICR_PROPBASER, 8), UINT64_C(0x070ffffffffff39f));
	redist_write(&g, 0, GICR_PENDBASER, 8, ~UINT64_C(0));
	assert_int_equal(redist_read(&g, 0, GICR_PENDBASER, 8), UINT64_C(0x070fffffffff0380));
	for (uint64_t share = 0; share < 3; share++) {
		redist_write(&g, 0, GICR_PROPBASER, 8, share << 10);
		redist_write(&g, 0, GICR_PENDBASER, 8, share << 10);
		assert_int_equal(redist_read(&g, 0, GICR_PROPBASER, 8), share << 10);
		assert_int_equal(redist_read(&g, 0, GICR_PENDBASER, 8), share << 10);
	}
	redist_write(&g, 0, GICR_CTLR, 4, 0xfffffffe);
	assert_int_equal(redist_read(&g, 0, GICR_CTLR, 4), 0x6);
	guest_done(&g);
}

static void other_widths_read_zero_write_nothing_and_count(void **state)
{
	static const unsigned sizes[] = { 1, 2, 3, 5, 6, 7 };
	struct guest g;
	uint64_t refused = 0;

	(void)state;
	guest_init(&g, NULL);
	redist_write(&g, 0, GICR_PROPBASER, 8, guest_propbaser(&g));
	for (unsigned i = 0; i < PEAL_COUNT_OF(sizes); i++) {
		redist_write(&g, 0, GICR_PROPBASER, sizes[i], 0);
		redist_write(&g, 0, GICR_CTLR, sizes[i], 1);
		assert_int_equal(redist_read(&g, 0, GICR_PROPBASER, sizes[i]), 0);
		assert_int_equal(redist_read(&g, 0, GICR_TYPER, sizes[i]), 0);
		assert_int_equal(g.gic->redists[0].bank.refused, refused += 4);
	}
	/* Over two registers, and not aligned. */
	redist_write(&g, 0, GICR_CTLR, 8, 1);
	redist_write(&g, 0, GICR_PROPBASER + 2, 4, 0);
	assert_int_equal(redist_read(&g, 0, GICR_TYPER + 4, 8), 0);
	assert_int_equal(g.gic->redists[0].bank.refused, refused + 3);
	assert_int_equal(redist_read(&g, 0, GICR_CTLR, 4), 0x6);
	assert_int_equal(redist_read(&g, 0, GICR_PROPBASER, 8), guest_propbaser(&g));
	assert_int_equal(g.gic->redists[0].bank.reserved, 0);
	assert_int_equal(redist_read(&g, 0, 0x20, 4), 0);
	redist_write(&g, 0, 0x10080, 4, 1); /* the SGI frame */
	assert_int_equal(g.gic->redists[0].bank.reserved, 2);
	assert_int_equal(g.gic->redists[1].bank.refused, 0);
	guest_done(&g);
}

/* A known failure of others: MMIO of every width at every offset. */
static void mmio_of_every_width_at_every_offset(void **state)
{
	static const uint64_t values[] = { ~UINT64_C(0), UINT64_C(0x5555555555555555) };
	struct guest_config c = { .id_bits = 14, .direct_lpi = true };
	struct guest g;

	(void)state;
	guest_init(&g, &c);
	for (uint64_t offset = 0; offset < PEAL_GIC_REDIST_SIZE; offset++) {
		for (unsigned size = 1; size <= 8; size++) {
			redist_write(&g, 1, offset, size, values[offset & 1]);
			(void)redist_read(&g, 1, offset, size);
		}
	}
	/* The access reaches past the end. */
	redist_write(&g, 1, PEAL_GIC_REDIST_SIZE - 1, 8, 1);
	assert_int_equal(redist_read(&g, 1, PEAL_GIC_REDIST_SIZE - 1, 8), 0);
	assert_int_equal(redist_read(&g, 0, GICR_CTLR, 4), 0x6); /* the other one */
	/* What is not there reads zero. */
	for (uint64_t offset = 0x100; offset < PEAL_GIC_REDIST_SIZE; offset += 8) {
		if (offset < 0xffd0 || offset >= 0x10000)
			assert_int_equal(redist_read(&g, 1, offset, 8), 0);
	}
	guest_done(&g);
}

/* ---- PROPBASER, PENDBASER ---- */

static void propbaser_is_common_and_frozen_while_any_uses_it(void **state)
{
	struct guest g;
	uint64_t base;

	(void)state;
	guest_init(&g, NULL);
	base = guest_propbaser(&g);
	redist_write(&g, 1, GICR_PROPBASER, 8, base);
	assert_int_equal(redist_read(&g, 0, GICR_PROPBASER, 8), base);
	enable_lpis(&g, 0);
	enable_lpis(&g, 1);
	redist_write(&g, 0, GICR_PROPBASER, 8, 0);
	redist_write(&g, 1, GICR_PROPBASER + 4, 4, 7);
	assert_int_equal(redist_read(&g, 0, GICR_PROPBASER, 8), base);
	disable_lpis(&g, 0);
	redist_write(&g, 0, GICR_PROPBASER, 8, 0);
	assert_int_equal(redist_read(&g, 1, GICR_PROPBASER, 8), base);
	disable_lpis(&g, 1);
	redist_write(&g, 0, GICR_PROPBASER, 8, 0x1000);
	assert_int_equal(redist_read(&g, 1, GICR_PROPBASER, 8), 0x1000);
	guest_done(&g);
}

static void pendbaser_is_frozen_while_its_own_lpis_are_on(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, NULL);
	redist_write(&g, 0, GICR_PROPBASER, 8, guest_propbaser(&g));
	redist_write(&g, 0, GICR_PENDBASER, 8, g.pending[0]);
	enable_lpis(&g, 0);
	redist_write(&g, 0, GICR_PENDBASER, 8, 0x50000);
	redist_write(&g, 1, GICR_PENDBASER, 8, 0x60000);
	assert_int_equal(redist_read(&g, 0, GICR_PENDBASER, 8), g.pending[0]);
	assert_int_equal(redist_read(&g, 1, GICR_PENDBASER, 8), 0x60000);
	disable_lpis(&g, 0);
	redist_write(&g, 0, GICR_PENDBASER, 8, 0x50000);
	assert_int_equal(redist_read(&g, 0, GICR_PENDBASER, 8), 0x50000);
	guest_done(&g);
}

/* Programs redistributor N, with LPI 8192 + 3 enabled and pending in its table. */
static void prepare_pending(struct guest *g, unsigned n, uint64_t more)
{
	guest_configure(g, LPI + 3, LPI_ON);
	*guest_pending_byte(g, n, LPI + 3) = 0x08;
	redist_write(g, n, GICR_PROPBASER, 8, guest_propbaser(g));
	redist_write(g, n, GICR_PENDBASER, 8, g->pending[n] | more);
}

static void ptz_reads_zero_and_leaves_the_table_unread(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, NULL);
	prepare_pending(&g, 0, PTZ);
	assert_int_equal(redist_read(&g, 0, GICR_PENDBASER, 8), g.pending[0]);
	enable_lpis(&g, 0);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	guest_done(&g);
}

static void ptz_is_said_by_the_write_of_its_own_half(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, NULL);
	prepare_pending(&g, 0, PTZ);
	redist_write(&g, 0, GICR_PENDBASER, 4, g.pending[0] & 0xffffffff); /* still PTZ */
	enable_lpis(&g, 0);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	disable_lpis(&g, 0);
	prepare_pending(&g, 0, PTZ);
	redist_write(&g, 0, GICR_PENDBASER + 4, 4, g.pending[0] >> 32); /* no longer */
	enable_lpis(&g, 0);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 3);
	guest_done(&g);
}

static void ptz_holds_for_one_enabling(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, NULL);
	prepare_pending(&g, 0, PTZ);
	enable_lpis(&g, 0);
	disable_lpis(&g, 0);
	*guest_pending_byte(&g, 0, LPI + 3) = 0x08;
	enable_lpis(&g, 0);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 3);
	guest_done(&g);
}

/* The half of the register with PTZ is not written again. */
static void ptz_does_not_outlive_a_reset(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, NULL);
	prepare_pending(&g, 0, PTZ);
	peal_gic_reset(g.gic);
	guest_configure(&g, LPI + 3, LPI_ON);
	*guest_pending_byte(&g, 0, LPI + 3) = 0x08;
	redist_write(&g, 0, GICR_PROPBASER, 8, guest_propbaser(&g));
	redist_write(&g, 0, GICR_PENDBASER, 4, g.pending[0] & 0xffffffff);
	enable_lpis(&g, 0);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 3);
	guest_done(&g);
}

/* ---- EnableLPIs ---- */

static void enabling_reads_the_pending_table(void **state)
{
	static const uint32_t intids[] = { LPI, LPI + 7, LPI + 8, 12345, 65534, 65535 };
	struct guest g;

	(void)state;
	guest_init(&g, NULL);
	for (unsigned i = 0; i < PEAL_COUNT_OF(intids); i++) {
		guest_configure(&g, intids[i], LPI_ON);
		*guest_pending_byte(&g, 1, intids[i]) |= (uint8_t)(1 << intids[i] % 8);
	}
	guest_start_redist(&g, 1);
	assert_int_equal(g.kicks[1], PEAL_COUNT_OF(intids));
	for (unsigned i = 0; i < PEAL_COUNT_OF(intids); i++)
		assert_int_equal(guest_acknowledge(&g, 1), intids[i]);
	assert_int_equal(guest_acknowledge(&g, 1), SPURIOUS);
	guest_done(&g);
}

/* A known failure of others. */
static void pending_table_of_the_wrong_vcpu(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, NULL);
	for (unsigned i = 0; i < 2; i++) {
		guest_configure(&g, LPI + i, LPI_ON);
		*guest_pending_byte(&g, i, LPI + i) = (uint8_t)(1 << i);
	}
	guest_start_redist(&g, 1);
	guest_start_redist(&g, 0);
	assert_int_equal(guest_acknowledge(&g, 0), LPI);
	assert_int_equal(guest_acknowledge(&g, 1), LPI + 1);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	assert_int_equal(guest_acknowledge(&g, 1), SPURIOUS);
	/* And writes back to its own. */
	disable_lpis(&g, 0);
	assert_int_equal(*guest_pending_byte(&g, 0, LPI), 0);
	assert_int_equal(*guest_pending_byte(&g, 1, LPI), 0x02);
	guest_done(&g);
}

/* A known failure of others. */
static void two_lpis_sharing_a_pending_byte(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, NULL);
	guest_configure(&g, LPI + 8, LPI_ON);
	guest_configure(&g, LPI + 9, LPI_ON);
	*guest_pending_byte(&g, 0, LPI + 8) = 0x03;
	guest_start_redist(&g, 0);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 8);
	disable_lpis(&g, 0);
	assert_int_equal(*guest_pending_byte(&g, 0, LPI + 8), 0x02);
	enable_lpis(&g, 0);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 9);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	guest_done(&g);
}

static void bits_of_what_is_no_lpi_are_not_read(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, NULL);
	memset(guest_pending_byte(&g, 0, 0), 0xff, LPI / 8);
	memset(test_ram_at(&g.ram, g.configuration, 65536), LPI_ON, 65536);
	guest_start_redist(&g, 0);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	disable_lpis(&g, 0);
	assert_int_equal(*guest_pending_byte(&g, 0, LPI - 1), 0xff); /* nor written */
	guest_done(&g);
}

static void disabling_writes_the_pending_table_back(void **state)
{
	struct guest g;
	struct guest_its *its = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	guest_start(&g);
	its_map_collections(its);
	its_map_lpis(its, 1, LPI + 10, 3, 0, 0x80);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(peal_its_send(its->its, 1, i), 1);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 10);
	*guest_pending_byte(&g, 0, LPI + 10) = 0x04; /* stale: it was taken */
	disable_lpis(&g, 0);
	assert_int_equal(*guest_pending_byte(&g, 0, LPI + 10), 0x18);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	assert_false(guest_is_pending(&g, 0, LPI + 11));
	assert_int_equal(peal_its_send(its->its, 1, 0), -EBUSY);
	enable_lpis(&g, 0);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 11);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 12);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	guest_done(&g);
}

static void a_table_that_moved_is_found_at_its_new_place(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, NULL);
	prepare_pending(&g, 0, 0);
	enable_lpis(&g, 0);
	disable_lpis(&g, 0);
	memset(guest_pending_byte(&g, 0, LPI), 0, 8);
	*guest_pending_byte(&g, 1, LPI + 3) = 0x08;
	redist_write(&g, 0, GICR_PENDBASER, 8, g.pending[1]);
	enable_lpis(&g, 0);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 3);
	guest_done(&g);
}

/* With fewer bits than the GIC has the table is shorter; what lies behind it is the guest's. */
static void memory_behind_a_short_pending_table_is_left_alone(void **state)
{
	const uint32_t table = (1u << 14) / 8, behind = (1u << 16) / 8 - table;
	struct guest g;
	uint8_t *memory;

	(void)state;
	guest_init(&g, NULL);
	memory = test_ram_at(&g.ram, g.pending[0], table + behind);
	memset(memory, 0xff, table + behind);
	redist_write(&g, 0, GICR_PROPBASER, 8, g.configuration | 13);
	redist_write(&g, 0, GICR_PENDBASER, 8, g.pending[0]);
	enable_lpis(&g, 0);
	assert_true(guest_is_pending(&g, 0, 16383));
	assert_false(guest_is_pending(&g, 0, 16384));
	peal_gic_restore_pending(g.gic);
	assert_false(guest_is_pending(&g, 0, 16384));
	disable_lpis(&g, 0);
	for (uint32_t i = 1024; i < table + behind; i++)
		assert_int_equal(memory[i], 0xff);
	enable_lpis(&g, 0);
	redist_write(&g, 1, GICR_PENDBASER, 8, g.pending[1] | PTZ);
	enable_lpis(&g, 1);
	peal_gic_reset(g.gic);
	guest_done(&g);
}

/* The table ends before the LPIs do: the rest is disabled, and not as what came before. */
static void a_configuration_that_cannot_be_read_is_disabled(void **state)
{
	const uint64_t at = UINT64_C(1) << 40, size = 4096;
	uint8_t *memory = aligned_alloc(size, size);
	struct guest g;

	(void)state;
	assert_non_null(memory);
	memset(memory, LPI_ON, size);
	guest_init(&g, NULL);
	assert_int_equal(peal_space_map(g.ram.space, at, size, memory, PEAL_MEM_RW), 0);
	*guest_pending_byte(&g, 0, LPI + 4095) |= 1u << 7;
	*guest_pending_byte(&g, 0, LPI + 4096) |= 1u;
	redist_write(&g, 0, GICR_PROPBASER, 8, at | 15);
	redist_write(&g, 0, GICR_PENDBASER, 8, g.pending[0]);
	enable_lpis(&g, 0);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 4095);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	assert_true(guest_is_pending(&g, 0, LPI + 4096));
	peal_gic_reset(g.gic);
	assert_int_equal(peal_space_unmap(g.ram.space, at, size), 0);
	peal_space_sync(g.ram.space);
	guest_done(&g);
	free(memory);
}

static void writing_ctlr_again_changes_nothing(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, NULL);
	prepare_pending(&g, 0, 0);
	enable_lpis(&g, 0);
	assert_int_equal(redist_read(&g, 0, GICR_CTLR, 4), 0x7);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 3);
	*guest_pending_byte(&g, 0, LPI + 3) = 0x08;
	enable_lpis(&g, 0); /* the table is not read a second time */
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	disable_lpis(&g, 0);
	disable_lpis(&g, 0);
	assert_int_equal(redist_read(&g, 0, GICR_CTLR, 4), 0x6);
	guest_done(&g);
}

static void enabling_without_tables_gives_no_lpis(void **state)
{
	static const uint64_t tables[] = { 0, 0x1000, UINT64_C(0x000ffffffffff000) };
	struct guest_config c = { .direct_lpi = true };
	struct guest g;

	(void)state;
	guest_init(&g, &c);
	for (unsigned i = 0; i < PEAL_COUNT_OF(tables); i++) {
		redist_write(&g, 0, GICR_PROPBASER, 8, tables[i] | 15);
		redist_write(&g, 0, GICR_PENDBASER, 8, tables[i]);
		enable_lpis(&g, 0);
		redist_write(&g, 0, GICR_SETLPIR, 8, LPI); /* pending, but not enabled */
		assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
		disable_lpis(&g, 0);
	}
	redist_write(&g, 0, GICR_PROPBASER, 8, 0);
	enable_lpis(&g, 0);
	redist_write(&g, 0, GICR_SETLPIR, 8, LPI);
	assert_false(guest_is_pending(&g, 0, LPI));
	guest_done(&g);
}

/* ---- PROPBASER.IDbits ---- */

static void set_id_bits(struct guest *g, unsigned bits)
{
	redist_write(g, 0, GICR_PROPBASER, 8, g->configuration | (bits - 1));
}

static void propbaser_id_bits_limit_the_lpis(void **state)
{
	struct guest_config c = { .direct_lpi = true };
	struct guest g;

	(void)state;
	guest_init(&g, &c);
	memset(test_ram_at(&g.ram, g.configuration, 65536), LPI_ON, 65536);
	redist_write(&g, 0, GICR_PENDBASER, 8, g.pending[0]);
	for (unsigned bits = 1; bits <= 32; bits++) {
		uint64_t end = bits > 16 ? 65536 : bits < 14 ? 0 : UINT64_C(1) << bits;

		set_id_bits(&g, bits);
		enable_lpis(&g, 0);
		redist_write(&g, 0, GICR_SETLPIR, 8, end);
		assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
		redist_write(&g, 0, GICR_SETLPIR, 8, end - 1);
		assert_int_equal(guest_acknowledge(&g, 0), end ? end - 1 : SPURIOUS);
		redist_write(&g, 0, GICR_SETLPIR, 8, LPI);
		assert_int_equal(guest_acknowledge(&g, 0), end ? LPI : SPURIOUS);
		disable_lpis(&g, 0);
	}
	guest_done(&g);
}

static void lpis_past_a_lowered_limit_are_not_delivered(void **state)
{
	struct guest g;
	struct guest_its *its = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	guest_start(&g);
	its_map_collections(its);
	its_map_lpis(its, 1, 32768, 1, 0, 0x80);
	assert_int_equal(peal_its_send(its->its, 1, 0), 1);
	assert_int_equal(guest_acknowledge(&g, 0), 32768);
	disable_lpis(&g, 0);
	disable_lpis(&g, 1);
	set_id_bits(&g, 15); /* ends at 32767 */
	enable_lpis(&g, 0);
	(void)peal_its_send(its->its, 1, 0);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	disable_lpis(&g, 0);
	set_id_bits(&g, 16);
	enable_lpis(&g, 0);
	assert_int_equal(peal_its_send(its->its, 1, 0), 1);
	assert_int_equal(guest_acknowledge(&g, 0), 32768);
	guest_done(&g);
}

/* ---- registers that take an INTID ---- */

static const uint64_t no_lpis[] = {
	0, 31, 32, 1019, 1020, 1023, 1024, 8191, 65536, 0x7fffffff, 0x80000000, 0xffffffff,
};

static void what_is_no_lpi_does_nothing(void **state)
{
	static const uint32_t registers[] = { GICR_SETLPIR, GICR_CLRLPIR, GICR_INVLPIR };
	struct guest_config c = { .direct_lpi = true };
	struct guest g;

	(void)state;
	guest_init(&g, &c);
	memset(test_ram_at(&g.ram, g.configuration, 65536), LPI_ON, 65536);
	guest_start_redist(&g, 0);
	redist_write(&g, 0, GICR_SETLPIR, 8, LPI);
	for (unsigned i = 0; i < PEAL_COUNT_OF(registers); i++) {
		for (unsigned j = 0; j < PEAL_COUNT_OF(no_lpis); j++) {
			redist_write(&g, 0, registers[i], 8, no_lpis[j]);
			redist_write(&g, 0, registers[i], 4, no_lpis[j]);
			assert_false(guest_is_pending(&g, 0, (uint32_t)no_lpis[j]));
		}
		/* The high half alone is a write of 0 to the low one. */
		redist_write(&g, 0, registers[i] + 4, 4, LPI);
		assert_int_equal(redist_read(&g, 0, registers[i], 8), 0);
	}
	assert_int_equal(guest_acknowledge(&g, 0), LPI);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	assert_int_equal(g.kicks[0], 1);
	guest_done(&g);
}

static void setlpir_pends_and_clrlpir_takes_back(void **state)
{
	struct guest_config c = { .direct_lpi = true };
	struct guest g;

	(void)state;
	guest_init(&g, &c);
	guest_configure(&g, 65535, LPI_ON);
	guest_start_redist(&g, 0);
	guest_start_redist(&g, 1);
	redist_write(&g, 1, GICR_SETLPIR, 8, UINT64_C(0xffffffff0000ffff)); /* high half RES0 */
	assert_int_equal(g.kicks[1], 1);
	assert_int_equal(guest_highest(&g, 0), SPURIOUS);
	assert_int_equal(guest_highest(&g, 1), 65535);
	redist_write(&g, 0, GICR_CLRLPIR, 8, 65535); /* of the other one */
	assert_int_equal(guest_highest(&g, 1), 65535);
	redist_write(&g, 1, GICR_CLRLPIR, 4, 65535);
	assert_int_equal(guest_highest(&g, 1), SPURIOUS);
	disable_lpis(&g, 1);
	redist_write(&g, 1, GICR_SETLPIR, 8, 65535);
	assert_false(guest_is_pending(&g, 1, 65535));
	guest_done(&g);
}

static void without_direct_lpi_setlpir_and_clrlpir_do_nothing(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, NULL);
	prepare_pending(&g, 0, 0);
	enable_lpis(&g, 0);
	redist_write(&g, 0, GICR_SETLPIR, 8, LPI);
	redist_write(&g, 0, GICR_CLRLPIR, 8, LPI + 3);
	assert_false(guest_is_pending(&g, 0, LPI));
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 3);
	guest_done(&g);
}

static void invlpir_reads_one_configuration_again(void **state)
{
	struct guest_config c = { .direct_lpi = true };
	struct guest g;

	(void)state;
	guest_init(&g, &c);
	guest_start_redist(&g, 0);
	redist_write(&g, 0, GICR_SETLPIR, 8, LPI + 1);
	redist_write(&g, 0, GICR_SETLPIR, 8, LPI + 2);
	guest_configure(&g, LPI + 1, LPI_ON);
	guest_configure(&g, LPI + 2, LPI_ON);
	assert_int_equal(guest_highest(&g, 0), SPURIOUS);
	redist_write(&g, 0, GICR_INVLPIR, 8, LPI + 2);
	assert_int_equal(g.kicks[0], 1);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 2);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	redist_write(&g, 0, GICR_INVALLR, 8, 0);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 1);
	guest_done(&g);
}

static void registers_for_lpis_do_nothing_while_these_are_off(void **state)
{
	const struct guest_config c = { .direct_lpi = true };
	struct guest g;

	(void)state;
	guest_init(&g, &c);
	guest_start(&g);
	redist_write(&g, 0, GICR_SETLPIR, 8, LPI);
	disable_lpis(&g, 0);
	guest_configure(&g, LPI + 1, LPI_ON);
	redist_write(&g, 0, GICR_SETLPIR, 8, LPI + 1);
	redist_write(&g, 0, GICR_CLRLPIR, 8, LPI);
	redist_write(&g, 0, GICR_INVLPIR, 8, LPI + 1);
	redist_write(&g, 0, GICR_INVALLR, 8, 0);
	/* Nothing was read: the other one, whose LPIs are on, still has it disabled. */
	redist_write(&g, 1, GICR_SETLPIR, 8, LPI + 1);
	assert_int_equal(guest_highest(&g, 1), SPURIOUS);
	assert_int_equal(*guest_pending_byte(&g, 0, LPI), 1);
	redist_write(&g, 1, GICR_INVALLR, 8, 0);
	assert_int_equal(guest_acknowledge(&g, 1), LPI + 1);
	guest_done(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_well_made),
		cmocka_unit_test(registers_reset_to_their_values),
		cmocka_unit_test(typer_names_processor_and_affinity),
		cmocka_unit_test(wide_registers_take_halves),
		cmocka_unit_test(fields_that_are_not_there_read_zero),
		cmocka_unit_test(other_widths_read_zero_write_nothing_and_count),
		cmocka_unit_test(mmio_of_every_width_at_every_offset),
		cmocka_unit_test(propbaser_is_common_and_frozen_while_any_uses_it),
		cmocka_unit_test(pendbaser_is_frozen_while_its_own_lpis_are_on),
		cmocka_unit_test(ptz_reads_zero_and_leaves_the_table_unread),
		cmocka_unit_test(ptz_is_said_by_the_write_of_its_own_half),
		cmocka_unit_test(ptz_holds_for_one_enabling),
		cmocka_unit_test(ptz_does_not_outlive_a_reset),
		cmocka_unit_test(enabling_reads_the_pending_table),
		cmocka_unit_test(pending_table_of_the_wrong_vcpu),
		cmocka_unit_test(two_lpis_sharing_a_pending_byte),
		cmocka_unit_test(bits_of_what_is_no_lpi_are_not_read),
		cmocka_unit_test(disabling_writes_the_pending_table_back),
		cmocka_unit_test(a_table_that_moved_is_found_at_its_new_place),
		cmocka_unit_test(memory_behind_a_short_pending_table_is_left_alone),
		cmocka_unit_test(a_configuration_that_cannot_be_read_is_disabled),
		cmocka_unit_test(writing_ctlr_again_changes_nothing),
		cmocka_unit_test(enabling_without_tables_gives_no_lpis),
		cmocka_unit_test(propbaser_id_bits_limit_the_lpis),
		cmocka_unit_test(lpis_past_a_lowered_limit_are_not_delivered),
		cmocka_unit_test(what_is_no_lpi_does_nothing),
		cmocka_unit_test(setlpir_pends_and_clrlpir_takes_back),
		cmocka_unit_test(without_direct_lpi_setlpir_and_clrlpir_do_nothing),
		cmocka_unit_test(invlpir_reads_one_configuration_again),
		cmocka_unit_test(registers_for_lpis_do_nothing_while_these_are_off),
	};

	return cmocka_run_group_tests_name("gic-redist", tests, NULL, NULL);
}
