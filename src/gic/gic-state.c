/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Saving and restoring redistributors: pending bits in the guest's pending tables, and a snapshot
 * of the LPI registers and pending bits.
 *
 * The snapshot, all numbers little-endian:
 *
 *   u32 magic, u32 version, u64 size of all of it
 *   u32 number of INTIDs, u32 redistributors, u64 PROPBASER
 *   each: u32 processor number, u32 flags (bit 0 LPIs on, bit 1 PENDBASER.PTZ), u64 PENDBASER,
 *     pending bits of the LPIs as u64 words
 *
 * It is checked whole before anything changes, and then nothing can fail. The configuration of
 * LPIs is not in it: that is read from the guest's table.
 */
#include "base/cursor.h"
#include "gic.h"

#define MAGIC   0x43494750u /* "PGIC" */
#define VERSION 1u

#define FLAG_ON  0x1u
#define FLAG_PTZ 0x2u

#define FIRST_WORD (PEAL_GIC_FIRST_LPI / 64)
#define BLOCK      256u /* bytes of a pending table; it has whole ones */

static uint64_t pendbaser(const struct gic_redist *redist)
{
	return peal_reg_get(redist->image, REDIST_PENDBASER, 8);
}

static uint64_t word_of(const struct gic_redist *redist, uint32_t word)
{
	return __atomic_load_n(&redist->pending[word], __ATOMIC_SEQ_CST);
}

/* ---- the guest's pending tables ---- */

/* Brings a block of the table to BYTES. Where there is no memory, nothing is pending. */
static int update_block(struct gic_redist *redist, uint64_t address, const uint8_t *bytes, bool any)
{
	struct peal_space *memory = redist->gic->memory;
	uint8_t old[BLOCK];

	if (peal_space_read_memory(memory, address, old, BLOCK) < 0)
		return any ? -EFAULT : 0;
	if (memcmp(old, bytes, BLOCK) == 0)
		return 0;
	return peal_space_write_memory(memory, address, bytes, BLOCK);
}

static int save_pending(struct gic_redist *redist)
{
	struct peal_gic *gic = redist->gic;
	uint64_t table = pendbaser(redist) & REDIST_PENDBASER_ADDRESS;
	uint32_t end = (gic->lpi_limit < gic->id_count ? gic->lpi_limit : gic->id_count) / 8;
	int result = 0;

	for (uint32_t at = FIRST_WORD * 8; at < end; at += BLOCK) {
		uint8_t bytes[BLOCK];
		uint64_t any = 0;
		int r;

		for (uint32_t i = 0; i < BLOCK; i += 8) {
			uint64_t bits = word_of(redist, (at + i) / 8);

			peal_store_le(bytes + i, 8, bits);
			any |= bits;
		}
		if (any)
			redist->table_stale = true;
		r = update_block(redist, table + at, bytes, any != 0);
		if (r < 0)
			result = r;
	}
	return result;
}

int peal_gic_save_pending(struct peal_gic *gic)
{
	int result = 0;

	peal_mutex_lock(&gic->mutex);
	for (unsigned i = 0; i < gic->nredists; i++) {
		int r = gic->redists[i].lpis_enabled ? save_pending(&gic->redists[i]) : 0;

		if (r < 0)
			result = r;
	}
	peal_mutex_unlock(&gic->mutex);
	return result;
}

/* Turns LPIs off for as long as it takes: what is sent meanwhile does not get lost between. */
static void restore_pending(struct gic_redist *redist)
{
	__atomic_store_n(&redist->lpis_enabled, 0, __ATOMIC_SEQ_CST);
	peal_epoch_sync(&redist->gic->epoch);
	gic_drop_pending(redist);
	gic_load_pending(redist, pendbaser(redist) & REDIST_PENDBASER_ADDRESS);
	__atomic_store_n(&redist->lpis_enabled, 1, __ATOMIC_SEQ_CST);
	gic_announce_all(redist);
}

void peal_gic_restore_pending(struct peal_gic *gic)
{
	peal_mutex_lock(&gic->mutex);
	for (unsigned i = 0; i < gic->nredists; i++) {
		if (gic->redists[i].lpis_enabled)
			restore_pending(&gic->redists[i]);
	}
	peal_mutex_unlock(&gic->mutex);
}

/* ---- saving ---- */

static size_t redist_size(const struct peal_gic *gic)
{
	return 4 + 4 + 8 + 8 * (size_t)(gic->words - FIRST_WORD);
}

size_t peal_gic_state_size(const struct peal_gic *gic)
{
	return 4 + 4 + 8 + 4 + 4 + 8 + gic->nredists * redist_size(gic);
}

static void put_redist(struct peal_cursor *c, const struct gic_redist *redist)
{
	uint32_t flags = (redist->lpis_enabled ? FLAG_ON : 0) |
			 (redist->pending_table_zero ? FLAG_PTZ : 0);

	peal_cursor_put(c, 4, redist->processor_number);
	peal_cursor_put(c, 4, flags);
	peal_cursor_put(c, 8, pendbaser(redist));
	for (uint32_t word = FIRST_WORD; word < redist->gic->words; word++)
		peal_cursor_put(c, 8, word_of(redist, word));
}

int peal_gic_save(struct peal_gic *gic, void *bytes, size_t size)
{
	size_t total = peal_gic_state_size(gic);
	struct peal_cursor c = { .bytes = bytes, .size = total };

	if (size < total)
		return -ENOSPC;
	peal_cursor_put(&c, 4, MAGIC);
	peal_cursor_put(&c, 4, VERSION);
	peal_cursor_put(&c, 8, total);
	peal_mutex_lock(&gic->mutex);
	peal_cursor_put(&c, 4, gic->id_count);
	peal_cursor_put(&c, 4, gic->nredists);
	peal_cursor_put(&c, 8, gic->propbaser);
	for (unsigned i = 0; i < gic->nredists; i++)
		put_redist(&c, &gic->redists[i]);
	peal_mutex_unlock(&gic->mutex);
	PEAL_ASSERT(!c.bad && c.at == total);
	return 0;
}

/* ---- loading ---- */

/* Could the register at OFFSET, a table's base, have this value? */
static bool is_possible(uint32_t offset, uint64_t value)
{
	for (unsigned i = 0; i < gic_redist_nrows; i++) {
		if (gic_redist_rows[i].offset == offset)
			return (value & ~gic_redist_rows[i].rw) == 0 &&
			       gic_sanitise(value) == value;
	}
	return false;
}

static bool redist_is_loadable(const struct gic_redist *redist, struct peal_cursor *c)
{
	uint32_t flags;
	uint64_t any = 0;

	if (peal_cursor_take(c, 4) != redist->processor_number)
		return false;
	flags = (uint32_t)peal_cursor_take(c, 4);
	if (flags & ~(FLAG_ON | FLAG_PTZ) || !is_possible(REDIST_PENDBASER, peal_cursor_take(c, 8)))
		return false;
	for (uint32_t word = FIRST_WORD; word < redist->gic->words; word++)
		any |= peal_cursor_take(c, 8);
	/* With LPIs off, what is pending is in the guest's table. */
	return !any || flags & FLAG_ON;
}

/* C is behind the size. */
static bool is_loadable(const struct peal_gic *gic, struct peal_cursor c)
{
	if (peal_cursor_take(&c, 4) != gic->id_count || peal_cursor_take(&c, 4) != gic->nredists ||
	    !is_possible(REDIST_PROPBASER, peal_cursor_take(&c, 8)))
		return false;
	for (unsigned i = 0; i < gic->nredists; i++) {
		if (!redist_is_loadable(&gic->redists[i], &c))
			return false;
	}
	return !c.bad && c.at == c.size;
}

static void load_redist(struct peal_cursor *c, struct gic_redist *redist)
{
	uint32_t flags;

	(void)peal_cursor_take(c, 4);
	flags = (uint32_t)peal_cursor_take(c, 4);
	peal_reg_bank_write(&redist->bank, REDIST_PENDBASER, 8, peal_cursor_take(c, 8));
	/* The table is not read; bits that it has from earlier are in the way later. */
	redist->pending_table_zero = true;
	if (flags & FLAG_ON)
		peal_reg_bank_write(&redist->bank, REDIST_CTLR, 4, REDIST_CTLR_ENABLE_LPIS);
	redist->table_stale = true;
	redist->pending_table_zero = flags & FLAG_PTZ;
	for (uint32_t word = FIRST_WORD; word < redist->gic->words; word++) {
		uint64_t bits = peal_cursor_take(c, 8);

		if (bits)
			gic_put_pending(redist, word, bits);
	}
	gic_announce_all(redist);
}

int peal_gic_load(struct peal_gic *gic, const void *bytes, size_t size)
{
	struct peal_cursor c = peal_cursor_reader(bytes, size);
	size_t total = peal_gic_state_size(gic);

	if (size < total || peal_cursor_take(&c, 4) != MAGIC ||
	    peal_cursor_take(&c, 4) != VERSION || peal_cursor_take(&c, 8) != total)
		return -EINVAL;
	c.size = total;
	if (!is_loadable(gic, c))
		return -EINVAL;
	peal_mutex_lock(&gic->mutex);
	gic_reset(gic);
	c.at += 4 + 4;
	peal_reg_bank_write(&gic->redists[0].bank, REDIST_PROPBASER, 8, peal_cursor_take(&c, 8));
	for (unsigned i = 0; i < gic->nredists; i++)
		load_redist(&c, &gic->redists[i]);
	peal_mutex_unlock(&gic->mutex);
	return 0;
}
