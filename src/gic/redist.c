/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Redistributor registers for LPIs. Arm IHI 0069H, "GIC Redistributor register descriptions";
 * a row's section is the register's name there.
 * All accesses run under the GIC's mutex.
 */
#include "gic.h"

#define CTLR_CES 0x2u
#define CTLR_IR  0x4u

#define PENDBASER_PTZ PEAL_BIT(62)
#define PENDBASER_RW  (PEAL_MASK(58, 56) | PEAL_MASK(51, 16) | PEAL_MASK(11, 7))
#define PROPBASER_RW  (PEAL_MASK(58, 56) | PEAL_MASK(51, 12) | PEAL_MASK(11, 7) | PEAL_MASK(4, 0))

static uint64_t get(const struct gic_redist *redist, uint32_t offset, unsigned width)
{
	return peal_reg_get(redist->image, offset, width);
}

static void enable_lpis(struct gic_redist *redist)
{
	struct peal_gic *gic = redist->gic;

	if (gic->nenabled++ == 0) {
		/* PROPBASER may have changed: events can be mapped to LPIs that now are none. */
		gic_disable_past_limit(gic);
		/* Nothing is pending anywhere. */
		__atomic_store_n(&gic->strayed, 0, __ATOMIC_SEQ_CST);
	}
	redist->table_stale = false;
	gic_read_all_config(gic);
	if (!redist->pending_table_zero)
		gic_load_pending(redist,
				 get(redist, REDIST_PENDBASER, 8) & REDIST_PENDBASER_ADDRESS);
	__atomic_store_n(&redist->lpis_enabled, 1, __ATOMIC_SEQ_CST);
	gic_announce_all(redist);
}

/* The pending state goes back to the guest's table, where enabling finds it again. */
static void disable_lpis(struct gic_redist *redist)
{
	struct peal_gic *gic = redist->gic;

	__atomic_store_n(&redist->lpis_enabled, 0, __ATOMIC_SEQ_CST);
	peal_epoch_sync(&gic->epoch);
	gic_store_pending(redist, get(redist, REDIST_PENDBASER, 8) & REDIST_PENDBASER_ADDRESS);
	redist->pending_table_zero = false;
	gic->nenabled--;
}

static void write_ctlr(void *owner, const struct peal_reg_write *write)
{
	struct gic_redist *redist = owner;

	if ((write->old ^ write->value) & REDIST_CTLR_ENABLE_LPIS)
		(write->value & REDIST_CTLR_ENABLE_LPIS ? enable_lpis : disable_lpis)(redist);
}

static uint64_t read_propbaser(void *owner, const struct peal_reg *reg, unsigned index)
{
	const struct gic_redist *redist = owner;

	(void)reg;
	(void)index;
	return redist->gic->propbaser;
}

/* One table for all (CommonLPIAff 0): it stays while any of them uses it. */
static void write_propbaser(void *owner, const struct peal_reg_write *write)
{
	struct gic_redist *redist = owner;
	struct peal_gic *gic = redist->gic;
	uint64_t id_bits = (write->value & 0x1f) + 1;
	uint32_t limit = 0;

	if (gic->nenabled)
		return;
	gic->propbaser = gic_sanitise(write->value);
	/* Below 14 bits there are no LPIs; above ours, ours count (GICR_PROPBASER.IDbits). */
	if (id_bits >= 14)
		limit = id_bits < 32 && PEAL_BIT(id_bits) < gic->id_count ? UINT32_C(1) << id_bits
									  : gic->id_count;
	__atomic_store_n(&gic->lpi_limit, limit, __ATOMIC_RELAXED);
}

static void write_pendbaser(void *owner, const struct peal_reg_write *write)
{
	struct gic_redist *redist = owner;

	if (redist->lpis_enabled) {
		peal_reg_set(redist->image, write->reg->offset, 8, write->old);
		return;
	}
	peal_reg_set(redist->image, write->reg->offset, 8, gic_sanitise(write->value));
	if (write->written & PENDBASER_PTZ)
		redist->pending_table_zero = write->raw & PENDBASER_PTZ;
}

static void write_setlpir(void *owner, const struct peal_reg_write *write)
{
	struct gic_redist *redist = owner;
	uint32_t intid = (uint32_t)(write->raw & write->written);

	if (redist->gic->direct_lpi && redist->lpis_enabled && gic_is_lpi(redist->gic, intid))
		(void)gic_pend(redist, intid);
}

static void write_clrlpir(void *owner, const struct peal_reg_write *write)
{
	struct gic_redist *redist = owner;
	uint32_t intid = (uint32_t)(write->raw & write->written);

	if (redist->gic->direct_lpi && redist->lpis_enabled && gic_is_lpi(redist->gic, intid))
		(void)gic_unpend(redist, intid);
}

static void write_invlpir(void *owner, const struct peal_reg_write *write)
{
	struct gic_redist *redist = owner;
	uint32_t intid = (uint32_t)(write->raw & write->written);

	if (redist->lpis_enabled && gic_is_lpi(redist->gic, intid))
		gic_read_config(redist->gic, intid, 1);
}

static void write_invallr(void *owner, const struct peal_reg_write *write)
{
	struct gic_redist *redist = owner;

	(void)write;
	if (redist->lpis_enabled)
		gic_read_all_config(redist->gic);
}

#define W32 PEAL_REG_W32
#define W64 (PEAL_REG_W32 | PEAL_REG_W64)

/* clang-format off */
const struct peal_reg gic_redist_rows[] = {
	{ .offset = 0x00, .width = 4, .widths = W32, .reset = CTLR_CES | CTLR_IR,
	  .rw = REDIST_CTLR_ENABLE_LPIS, .write = write_ctlr, .name = "GICR_CTLR",
	  .section = "IHI 0069H GICR_CTLR" },
	{ .offset = 0x04, .width = 4, .widths = W32, .flags = PEAL_REG_CONST, .reset = 0x50000000,
	  .name = "GICR_IIDR", .section = "IHI 0069H GICR_IIDR" },
	{ .offset = 0x08, .width = 8, .widths = W64, .name = "GICR_TYPER",
	  .section = "IHI 0069H GICR_TYPER" },
	{ .offset = 0x40, .width = 8, .widths = W64, .flags = PEAL_REG_HOOKED,
	  .write = write_setlpir, .name = "GICR_SETLPIR", .section = "IHI 0069H GICR_SETLPIR" },
	{ .offset = 0x48, .width = 8, .widths = W64, .flags = PEAL_REG_HOOKED,
	  .write = write_clrlpir, .name = "GICR_CLRLPIR", .section = "IHI 0069H GICR_CLRLPIR" },
	{ .offset = 0x70, .width = 8, .widths = W64, .flags = PEAL_REG_HOOKED, .rw = PROPBASER_RW,
	  .read = read_propbaser, .write = write_propbaser, .name = "GICR_PROPBASER",
	  .section = "IHI 0069H GICR_PROPBASER" },
	{ .offset = 0x78, .width = 8, .widths = W64, .rw = PENDBASER_RW, .write = write_pendbaser,
	  .name = "GICR_PENDBASER", .section = "IHI 0069H GICR_PENDBASER" },
	{ .offset = 0xa0, .width = 8, .widths = W64, .flags = PEAL_REG_HOOKED,
	  .write = write_invlpir, .name = "GICR_INVLPIR", .section = "IHI 0069H GICR_INVLPIR" },
	{ .offset = 0xb0, .width = 8, .widths = W64, .flags = PEAL_REG_HOOKED,
	  .write = write_invallr, .name = "GICR_INVALLR", .section = "IHI 0069H GICR_INVALLR" },
	{ .offset = 0xc0, .width = 4, .widths = W32, .flags = PEAL_REG_CONST, .name = "GICR_SYNCR",
	  .section = "IHI 0069H GICR_SYNCR" },
};
/* clang-format on */
const unsigned gic_redist_nrows = PEAL_COUNT_OF(gic_redist_rows);

#define ID(where, value, what)                                                                     \
	{                                                                                          \
		.offset = (where)-GIC_ID_BASE, .width = 4, .widths = W32, .flags = PEAL_REG_CONST, \
		.reset = (value), .name = what, .section = "IHI 0069H identification registers"    \
	}

/* clang-format off */
const struct peal_reg gic_id_rows[] = {
	ID(0xffd0, 0x40, "PIDR4"), ID(0xffd4, 0x00, "PIDR5"), ID(0xffd8, 0x00, "PIDR6"),
	ID(0xffdc, 0x00, "PIDR7"), ID(0xffe0, 0x92, "PIDR0"), ID(0xffe4, 0xb4, "PIDR1"),
	ID(0xffe8, 0x3b, "PIDR2"), ID(0xffec, 0x00, "PIDR3"), ID(0xfff0, 0x0d, "CIDR0"),
	ID(0xfff4, 0xf0, "CIDR1"), ID(0xfff8, 0x05, "CIDR2"), ID(0xfffc, 0xb1, "CIDR3"),
};
/* clang-format on */
const unsigned gic_id_nrows = PEAL_COUNT_OF(gic_id_rows);

void gic_redist_init(struct gic_redist *redist, const struct peal_redist_config *config, bool last)
{
	const struct peal_reg_group registers = {
		.size = REDIST_IMAGE,
		.rows = gic_redist_rows,
		.nrows = gic_redist_nrows,
		.state = redist->image,
		.owner = redist,
	};
	const struct peal_reg_group ids = {
		.base = GIC_ID_BASE,
		.size = GIC_ID_SIZE,
		.rows = gic_id_rows,
		.nrows = gic_id_nrows,
	};
	int r = peal_reg_bank_add(&redist->bank, &registers);

	PEAL_ASSERT(r == 0);
	r = peal_reg_bank_add(&redist->bank, &ids);
	PEAL_ASSERT(r == 0);
	redist->processor_number = config->processor_number;
	redist->typer = (uint64_t)config->affinity << 32 | (uint64_t)config->processor_number << 8 |
			(last ? 0x10 : 0) | (redist->gic->direct_lpi ? 0x8 : 0) | 0x1;
	peal_reg_set(redist->image, REDIST_TYPER, 8, redist->typer);
}

static void reset_redist(struct gic_redist *redist)
{
	gic_drop_pending(redist);
	gic_clear_strayed(redist);
	redist->pending_table_zero = false;
	peal_reg_group_reset(&redist->bank.groups[0]);
	peal_reg_set(redist->image, REDIST_TYPER, 8, redist->typer);
}

void gic_reset(struct peal_gic *gic)
{
	for (unsigned i = 0; i < gic->nredists; i++)
		__atomic_store_n(&gic->redists[i].lpis_enabled, 0, __ATOMIC_SEQ_CST);
	/* Sends that saw them on are over; what they left goes with the rest. */
	peal_epoch_sync(&gic->epoch);
	for (unsigned i = 0; i < gic->nredists; i++)
		reset_redist(&gic->redists[i]);
	gic->nenabled = 0;
	gic->propbaser = 0;
	__atomic_store_n(&gic->lpi_limit, 0, __ATOMIC_RELAXED);
	gic_disable_past_limit(gic);
}

void peal_gic_reset(struct peal_gic *gic)
{
	peal_mutex_lock(&gic->mutex);
	gic_reset(gic);
	peal_mutex_unlock(&gic->mutex);
}

uint64_t peal_redist_read(struct peal_gic *gic, unsigned redist, uint64_t offset, unsigned size)
{
	uint64_t value;

	PEAL_ASSERT(redist < gic->nredists && size >= 1 && size <= 8);
	peal_mutex_lock(&gic->mutex);
	value = peal_reg_bank_read(&gic->redists[redist].bank, offset, size);
	peal_mutex_unlock(&gic->mutex);
	return value;
}

void peal_redist_write(struct peal_gic *gic, unsigned redist, uint64_t offset, unsigned size,
		       uint64_t value)
{
	PEAL_ASSERT(redist < gic->nredists && size >= 1 && size <= 8);
	peal_mutex_lock(&gic->mutex);
	peal_reg_bank_write(&gic->redists[redist].bank, offset, size, value);
	peal_mutex_unlock(&gic->mutex);
}
