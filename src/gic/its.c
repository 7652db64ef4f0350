/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An Interrupt Translation Service: life cycle and registers. Arm IHI 0069H, "ITS register
 * descriptions"; a row's section is the register's name there.
 *
 * All register accesses run under the mutex; the commands that a write sets going too.
 */
#include "gic.h"

#define DEFAULT_MEMORY_LIMIT (UINT64_C(64) << 20)

#define CTLR_ENABLED   0x1u
#define CTLR_QUIESCENT 0x80000000u

#define CBASER_RW \
	(ITS_VALID | PEAL_MASK(61, 59) | PEAL_MASK(55, 53) | PEAL_MASK(51, 10) | PEAL_MASK(7, 0))
#define BASER_RW         (PEAL_MASK(63, 62) | PEAL_MASK(61, 59) | PEAL_MASK(55, 53) | PEAL_MASK(47, 0))
#define BASER_TYPE(type) ((uint64_t)(type) << 56)
#define BASER_ENTRY_SIZE ((uint64_t)(ITS_ENTRY_SIZE - 1) << 48)
#define BASER_FIXED      (PEAL_MASK(58, 56) | PEAL_MASK(52, 48))
#define CREADR_BITS      (PEAL_MASK(19, 5) | 1)
#define IIDR_REVISION    PEAL_MASK(15, 12)

static uint64_t get(const struct peal_its *its, uint32_t offset)
{
	return peal_reg_get(its->image, offset, 8);
}

/* ---- registers ---- */

static uint64_t read_ctlr(void *owner, const struct peal_reg *reg, unsigned index)
{
	const struct peal_its *its = owner;
	/* Nothing runs now; commands may be left. */
	bool quiescent = !its->enabled ||
			 (get(its, ITS_CREADR) & PEAL_MASK(19, 5)) == get(its, ITS_CWRITER);

	(void)reg;
	(void)index;
	return its->enabled | (quiescent ? CTLR_QUIESCENT : 0);
}

static void write_ctlr(void *owner, const struct peal_reg_write *write)
{
	struct peal_its *its = owner;
	bool enable = write->value & CTLR_ENABLED;

	if (enable == (write->old & CTLR_ENABLED))
		return;
	/* Without a queue or a table there is nothing to work with. */
	if (enable &&
	    !(get(its, ITS_CBASER) & get(its, ITS_BASER) & get(its, ITS_BASER + 8) & ITS_VALID))
		return;
	peal_epoch_store(&its->enabled, enable);
	if (enable)
		its_run_queue(its);
	else
		peal_epoch_sync(&its->gic->epoch);
}

static void write_cbaser(void *owner, const struct peal_reg_write *write)
{
	struct peal_its *its = owner;

	if (its->enabled) {
		peal_reg_set(its->image, write->reg->offset, 8, write->old);
		return;
	}
	peal_reg_set(its->image, write->reg->offset, 8, gic_sanitise(write->value));
	peal_reg_set(its->image, ITS_CWRITER, 8, 0);
	peal_reg_set(its->image, ITS_CREADR, 8, 0);
}

/* Of what CWRITER or CREADR may hold. */
static bool is_in_queue(const struct peal_its *its, uint64_t value)
{
	uint64_t size = (peal_field(get(its, ITS_CBASER), 7, 0) + 1) * 4096;

	return (value & PEAL_MASK(19, 5)) < size;
}

static void write_cwriter(void *owner, const struct peal_reg_write *write)
{
	struct peal_its *its = owner;

	if (!is_in_queue(its, write->value))
		peal_reg_set(its->image, write->reg->offset, 8, write->old);
	else
		its_run_queue(its);
}

/* The fields that a table's BASER has beside those the guest writes. */
static uint64_t baser_fixed(unsigned index)
{
	if (index == ITS_BASER_DEVICE)
		return BASER_TYPE(1) | BASER_ENTRY_SIZE;
	if (index == ITS_BASER_COLLECTION)
		return BASER_TYPE(4) | BASER_ENTRY_SIZE;
	return 0;
}

static void write_baser(void *owner, const struct peal_reg_write *write)
{
	struct peal_its *its = owner;
	uint32_t offset = write->reg->offset + write->index * write->reg->stride;
	uint64_t value = gic_sanitise(write->value);

	if (its->enabled || !baser_fixed(write->index)) {
		peal_reg_set(its->image, offset, 8, write->old);
		return;
	}
	if (write->index == ITS_BASER_COLLECTION)
		value &= ~ITS_BASER_INDIRECT;
	if (peal_field(value, 9, 8) == 3) /* reserved: treated as 64 KiB */
		value &= ~PEAL_BIT(8);
	peal_reg_set(its->image, offset, 8, value);
	if (value == write->old)
		return;
	if (write->index == ITS_BASER_DEVICE)
		its_unmap_all_devices(its);
	else
		its_unmap_all_collections(its);
}

static void write_translater(void *owner, const struct peal_reg_write *write)
{
	struct peal_its *its = owner;

	(void)write;
	/* A CPU's write comes without DeviceID. */
	peal_count(&its->counts[0].misdirected, 1);
}

#define W32 PEAL_REG_W32
#define W64 (PEAL_REG_W32 | PEAL_REG_W64)

/* clang-format off */
const struct peal_reg its_control_rows[] = {
	{ .offset = 0x000, .width = 4, .widths = W32, .flags = PEAL_REG_HOOKED, .rw = CTLR_ENABLED,
	  .read = read_ctlr, .write = write_ctlr, .name = "GITS_CTLR",
	  .section = "IHI 0069H GITS_CTLR" },
	{ .offset = 0x004, .width = 4, .widths = W32, .name = "GITS_IIDR", .reset = 0x50000000,
	  .section = "IHI 0069H GITS_IIDR" },
	{ .offset = 0x008, .width = 8, .widths = W64, .name = "GITS_TYPER",
	  .section = "IHI 0069H GITS_TYPER" },
	{ .offset = 0x080, .width = 8, .widths = W64, .rw = CBASER_RW, .write = write_cbaser,
	  .name = "GITS_CBASER", .section = "IHI 0069H GITS_CBASER" },
	{ .offset = 0x088, .width = 8, .widths = W64, .rw = PEAL_MASK(19, 5) | 1,
	  .write = write_cwriter, .name = "GITS_CWRITER", .section = "IHI 0069H GITS_CWRITER" },
	{ .offset = 0x090, .width = 8, .widths = W64, .name = "GITS_CREADR",
	  .section = "IHI 0069H GITS_CREADR" },
	{ .offset = 0x100, .width = 8, .widths = W64, .count = 8, .stride = 8, .rw = BASER_RW,
	  .write = write_baser, .name = "GITS_BASER", .section = "IHI 0069H GITS_BASER<n>" },
};
/* clang-format on */
const unsigned its_control_nrows = PEAL_COUNT_OF(its_control_rows);

/* clang-format off */
const struct peal_reg its_translation_rows[] = {
	{ .offset = ITS_TRANSLATER, .width = 4, .widths = PEAL_REG_W16 | PEAL_REG_W32,
	  .flags = PEAL_REG_HOOKED, .write = write_translater, .name = "GITS_TRANSLATER",
	  .section = "IHI 0069H GITS_TRANSLATER" },
};
/* clang-format on */
const unsigned its_translation_nrows = PEAL_COUNT_OF(its_translation_rows);

uint64_t peal_its_read(struct peal_its *its, uint64_t offset, unsigned size)
{
	uint64_t value;

	PEAL_ASSERT(size >= 1 && size <= 8);
	peal_mutex_lock(&its->mutex);
	/* What was left of the queue: who waits for it looks at CREADR. */
	its_run_queue(its);
	value = peal_reg_bank_read(&its->bank, offset, size);
	peal_mutex_unlock(&its->mutex);
	return value;
}

void peal_its_write(struct peal_its *its, uint64_t offset, unsigned size, uint64_t value)
{
	PEAL_ASSERT(size >= 1 && size <= 8);
	peal_mutex_lock(&its->mutex);
	peal_reg_bank_write(&its->bank, offset, size, value);
	peal_mutex_unlock(&its->mutex);
}

/* ---- registers as the host sets them ---- */

static void write_register(struct peal_its *its, uint64_t offset, unsigned size, uint64_t value)
{
	peal_reg_bank_write(&its->bank, offset, size, value);
}

static int set_ctlr(struct peal_its *its, uint64_t offset, uint64_t value)
{
	write_register(its, offset, 4, value);
	return its->enabled == (value & CTLR_ENABLED) ? 0 : -EINVAL;
}

/* Revision: that of the format of the guest's tables. There is one so far. */
static int set_iidr(struct peal_its *its, uint64_t offset, uint64_t value)
{
	(void)its;
	(void)offset;
	return value & IIDR_REVISION ? -EINVAL : 0;
}

static int set_typer(struct peal_its *its, uint64_t offset, uint64_t value)
{
	return value == get(its, (uint32_t)offset) ? 0 : -EINVAL;
}

static int set_cbaser(struct peal_its *its, uint64_t offset, uint64_t value)
{
	if (its->enabled)
		return -EBUSY;
	write_register(its, offset, 8, value);
	return 0;
}

static int set_cwriter(struct peal_its *its, uint64_t offset, uint64_t value)
{
	if (!is_in_queue(its, value))
		return -EINVAL;
	write_register(its, offset, 8, value);
	return 0;
}

static int set_creadr(struct peal_its *its, uint64_t offset, uint64_t value)
{
	if (its->enabled)
		return -EBUSY;
	if (!is_in_queue(its, value))
		return -EINVAL;
	peal_reg_set(its->image, (uint32_t)offset, 8, value & CREADR_BITS);
	return 0;
}

static int set_baser(struct peal_its *its, uint64_t offset, uint64_t value)
{
	unsigned index = (unsigned)(offset - ITS_BASER) / 8;

	if ((value & BASER_FIXED) != baser_fixed(index))
		return -EINVAL;
	if (its->enabled)
		return -EBUSY;
	write_register(its, offset, 8, value);
	return 0;
}

int its_set_register(struct peal_its *its, uint64_t offset, uint64_t value)
{
	static const struct {
		uint32_t offset;
		uint32_t count; /* 8 bytes apart */
		int (*set)(struct peal_its *its, uint64_t offset, uint64_t value);
	} rows[] = {
		{ 0x000, 1, set_ctlr },          { ITS_IIDR, 1, set_iidr },
		{ ITS_TYPER, 1, set_typer },     { ITS_CBASER, 1, set_cbaser },
		{ ITS_CWRITER, 1, set_cwriter }, { ITS_CREADR, 1, set_creadr },
		{ ITS_BASER, 8, set_baser },
	};

	for (unsigned i = 0; i < PEAL_COUNT_OF(rows); i++) {
		uint64_t distance = offset - rows[i].offset;

		if (distance % 8 == 0 && distance / 8 < rows[i].count)
			return rows[i].set(its, offset, value);
	}
	return -ENXIO;
}

int peal_its_set_register(struct peal_its *its, uint64_t offset, uint64_t value)
{
	int r;

	peal_mutex_lock(&its->mutex);
	r = its_set_register(its, offset, value);
	peal_mutex_unlock(&its->mutex);
	return r;
}

/* ---- life ---- */

/* Values that differ between ITSes, after the rows' own. */
static void set_fixed(struct peal_its *its)
{
	const struct peal_its_config *c = &its->config;
	uint64_t typer = 0x1 | (uint64_t)(ITS_ENTRY_SIZE - 1) << 4 |
			 (uint64_t)(c->event_bits - 1) << 8 | (uint64_t)(c->device_bits - 1) << 13;

	if (c->icid_bits < 16)
		typer |= PEAL_BIT(36) | (uint64_t)(c->icid_bits - 1) << 32;
	peal_reg_set(its->image, ITS_TYPER, 8, typer);
	for (unsigned i = 0; i < 8; i++)
		peal_reg_set(its->image, ITS_BASER + 8 * i, 8, baser_fixed(i));
}

static void make_bank(struct peal_its *its)
{
	const struct peal_reg_group groups[] = {
		{ .size = ITS_IMAGE,
		  .rows = its_control_rows,
		  .nrows = its_control_nrows,
		  .state = its->image,
		  .owner = its },
		{ .base = GIC_ID_BASE,
		  .size = GIC_ID_SIZE,
		  .rows = gic_id_rows,
		  .nrows = gic_id_nrows },
		{ .base = PEAL_GIC_FRAME,
		  .size = PEAL_GIC_FRAME,
		  .rows = its_translation_rows,
		  .nrows = its_translation_nrows,
		  .owner = its },
	};

	for (unsigned i = 0; i < PEAL_COUNT_OF(groups); i++) {
		int r = peal_reg_bank_add(&its->bank, &groups[i]);

		PEAL_ASSERT(r == 0);
	}
}

int peal_its_new(struct peal_its **ret, const struct peal_its_config *config)
{
	struct peal_its_config c = *config;
	struct peal_its *its;
	int r;

	c.device_bits = c.device_bits ? c.device_bits : 16;
	c.event_bits = c.event_bits ? c.event_bits : 16;
	c.icid_bits = c.icid_bits ? c.icid_bits : 16;
	c.memory_limit = c.memory_limit ? c.memory_limit : DEFAULT_MEMORY_LIMIT;
	if (c.device_bits > 32 || c.event_bits > 24 || c.icid_bits > 16)
		return -EINVAL;
	its = peal_alloc(c.gic->host, sizeof(*its));
	if (!its)
		return -ENOMEM;
	its->gic = c.gic;
	its->host = c.gic->host;
	its->trace = c.trace;
	its->config = c;
	its->device_count = PEAL_BIT(c.device_bits);
	its->depth = (c.device_bits + RADIX_BITS - 1) / RADIX_BITS;
	r = peal_mutex_init(&its->mutex, its->host);
	if (r < 0) {
		peal_free(its->host, its, sizeof(*its));
		return r;
	}
	make_bank(its);
	set_fixed(its);
	*ret = its;
	return 0;
}

void peal_its_reset(struct peal_its *its)
{
	peal_mutex_lock(&its->mutex);
	peal_epoch_store(&its->enabled, UINT32_C(0));
	its_unmap_all_devices(its);
	its_unmap_all_collections(its);
	for (unsigned i = 0; i < its->bank.ngroups; i++)
		peal_reg_group_reset(&its->bank.groups[i]);
	set_fixed(its);
	peal_mutex_unlock(&its->mutex);
}

void peal_its_free(struct peal_its *its)
{
	if (!its)
		return;
	peal_its_reset(its);
	PEAL_ASSERT(its->memory == 0);
	peal_mutex_done(&its->mutex);
	peal_free(its->host, its, sizeof(*its));
}

void peal_its_counters(struct peal_its *its, struct peal_its_counters *ret)
{
	struct peal_its_counters sum = { 0 };

	for (unsigned i = 0; i < PEAL_EPOCH_SLOTS; i++) {
		const struct its_send_counters *c = &its->counts[i];

		sum.translated += peal_counted(&c->translated);
		sum.unmapped += peal_counted(&c->unmapped);
		sum.no_collection += peal_counted(&c->no_collection);
		sum.disabled += peal_counted(&c->disabled);
		sum.misdirected += peal_counted(&c->misdirected);
	}
	sum.sends = sum.translated + sum.unmapped + sum.no_collection + sum.disabled;
	peal_mutex_lock(&its->mutex);
	sum.commands = its->commands;
	sum.errors = its->errors;
	sum.devices = its->ndevices;
	sum.events = its->nevents;
	sum.memory = its->memory;
	peal_mutex_unlock(&its->mutex);
	*ret = sum;
}
