/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target: everything that a guest, devices and the CPU interface can do to a GIC with two
 * ITSes. The input is the shape, then steps of an opcode and arguments; after each step
 * fuzz_check() (its-check.c) says what has to hold.
 */
#include <stdlib.h>

#include "its.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define STEPS_MAX 300u

/* Frequent offsets by a small number, all others as they are. */
static uint64_t its_offset(struct input *in)
{
	static const uint32_t offsets[] = { 0x00, 0x04,  0x08,  0x80,  0x84,    0x88,
					    0x90, 0x100, 0x104, 0x108, 0x10c,   0x110,
					    0x94, 0x8c,  0x138, 0x40,  0x10040, 0xffe8 };
	uint8_t which = (uint8_t)take(in, 1);

	return which < PEAL_COUNT_OF(offsets) ? offsets[which] : take(in, 3) % 0x20000;
}

static uint64_t redist_offset(struct input *in)
{
	static const uint32_t offsets[] = { 0x00, 0x04, 0x08, 0x40, 0x48, 0x70, 0x74,
					    0x78, 0x7c, 0xa0, 0xb0, 0xc0, 0x14, 0x10080 };
	uint8_t which = (uint8_t)take(in, 1);

	return which < PEAL_COUNT_OF(offsets) ? offsets[which] : take(in, 3) % 0x20000;
}

static unsigned width(struct input *in)
{
	return 1u << take(in, 1) % 4;
}

/* Guest memory by a number of 64 KiB or anything. */
static uint64_t value(struct input *in)
{
	uint8_t kind = (uint8_t)take(in, 1);

	switch (kind % 4) {
	case 0:
		return take(in, 1);
	case 1:
		return VALID | (RAM + (take(in, 1) << 12)) | (uint64_t)(kind >> 2) << 8 |
		       (kind & 0x80 ? PEAL_BIT(62) : 0);
	case 2:
		return (RAM + (take(in, 1) << 12)) | kind >> 2;
	default:
		return take(in, 8);
	}
}

static void step_its(struct fuzz *z, struct input *in, unsigned n)
{
	uint64_t offset = its_offset(in);
	unsigned size = width(in);

	peal_its_write(z->its[n].its, offset, size, value(in) & peal_ones(size));
	(void)peal_its_read(z->its[n].its, offset, size);
}

static void step_redist(struct fuzz *z, struct input *in, unsigned n)
{
	unsigned redist = (unsigned)take(in, 1) % REDISTS, size = width(in);
	uint64_t offset = redist_offset(in);

	(void)n;
	peal_redist_write(z->gic, redist, offset, size, value(in) & peal_ones(size));
	(void)peal_redist_read(z->gic, redist, offset, size);
}

/* A DeviceID, an EventID: small mostly. */
static uint32_t id(struct input *in)
{
	uint8_t small = (uint8_t)take(in, 1);

	return small < 0xf0 ? small % 32 : (uint32_t)take(in, 4);
}

static uint64_t processor(struct input *in)
{
	static const uint16_t numbers[] = { 5, 0, 300, 1 };

	return numbers[take(in, 1) % 4];
}

static void step_command(struct fuzz *z, struct input *in, unsigned n)
{
	static const uint8_t codes[] = { 0x0a, 0x09, 0x08, 0x01, 0x03, 0x04, 0x05, 0x0a,
					 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x0a, 0x03, 0x08 };
	uint8_t pick = (uint8_t)take(in, 1), code = codes[pick % 16];
	uint32_t device = id(in), event = id(in);
	uint64_t dw[4] = { code | (uint64_t)device << 32, event, take(in, 1) % 8 };

	if (code == 0x08) {
		dw[1] = event % 32;
		dw[2] = ITT(n, device);
	}
	if (code == 0x09)
		dw[2] |= processor(in) << 16;
	if (code == 0x0a)
		dw[1] |= (8192 + take(in, 1) % 80) << 32;
	if (code == 0x0b)
		dw[1] += 8192;
	if (code == 0x0e) {
		dw[2] = processor(in) << 16;
		dw[3] = processor(in) << 16;
	}
	if (pick & 0x10 || code == 0x0a)
		dw[2] ^= code == 0x08 || code == 0x09 ? VALID : 0;
	if (pick & 0x80) /* a flipped bit */
		dw[pick >> 5 & 3] ^= PEAL_BIT(take(in, 1) % 64);
	fuzz_command(z, n, dw);
}

static void step_raw_command(struct fuzz *z, struct input *in, unsigned n)
{
	uint64_t dw[4];

	for (unsigned i = 0; i < 4; i++)
		dw[i] = take(in, 8);
	fuzz_command(z, n, dw);
}

static void step_send(struct fuzz *z, struct input *in, unsigned n)
{
	uint32_t device = id(in);

	fuzz_send(z, n, device, id(in));
}

static void step_acknowledge(struct fuzz *z, struct input *in, unsigned n)
{
	unsigned redist = (unsigned)take(in, 1) % REDISTS;

	(void)n;
	(void)peal_gic_acknowledge(z->gic, redist, (uint8_t)take(in, 1), NULL);
}

static void step_configure(struct fuzz *z, struct input *in, unsigned n)
{
	uint64_t at = take(in, 1) % 96;

	(void)n;
	z->ram[CONFIG - RAM + at] = (uint8_t)take(in, 1);
}

static void step_poke(struct fuzz *z, struct input *in, unsigned n)
{
	uint64_t at = take(in, 3) % (RAM_SIZE - 7);

	(void)n;
	peal_store_le(z->ram + at, 8, value(in));
}

static void step_reset(struct fuzz *z, struct input *in, unsigned n)
{
	struct peal_its_counters c;

	if (take(in, 1) & 1) {
		peal_gic_reset(z->gic);
		return;
	}
	peal_its_reset(z->its[n].its);
	peal_its_counters(z->its[n].its, &c);
	FUZZ_ASSERT(c.memory == 0 && c.devices == 0 && c.events == 0);
	FUZZ_ASSERT(peal_its_read(z->its[n].its, 0x00, 4) == 0x80000000);
}

static void step_boot(struct fuzz *z, struct input *in, unsigned n)
{
	(void)in;
	fuzz_boot_redists(z);
	fuzz_boot_its(z, n);
}

/* A part of RAM goes away, or comes back. */
static void step_map(struct fuzz *z, struct input *in, unsigned n)
{
	uint64_t cut = take(in, 1) % (RAM_SIZE >> 12) << 12;

	(void)n;
	(void)peal_space_unmap(z->space, RAM, z->cut ? z->cut : RAM_SIZE);
	(void)peal_space_unmap(z->space, RAM + z->cut, RAM_SIZE - z->cut);
	z->cut = cut;
	peal_space_sync(z->space);
	if (cut)
		(void)peal_space_map(z->space, RAM, cut, z->ram, PEAL_MEM_RW);
	if (take(in, 1) & 1 || !cut)
		(void)peal_space_map(z->space, RAM + cut, RAM_SIZE - cut, z->ram + cut,
				     take(in, 1) & 1 ? PEAL_MEM_READ : PEAL_MEM_RW);
}

/* A snapshot of everything, taken and put back: nothing changes. */
static void step_snapshot(struct fuzz *z, struct input *in, unsigned n)
{
	size_t size = peal_its_state_size(z->its[n].its);
	struct peal_its_counters before, after;
	uint8_t *bytes = malloc(2 * size);
	int r;

	(void)in;
	FUZZ_ASSERT(bytes != NULL);
	peal_its_counters(z->its[n].its, &before);
	r = peal_its_save(z->its[n].its, bytes, size);
	FUZZ_ASSERT(r == 0);
	FUZZ_ASSERT(peal_its_save(z->its[n].its, bytes, size - 1) == -ENOSPC);
	r = peal_its_load(z->its[n].its, bytes, size);
	FUZZ_ASSERT(r == 0 || r == -ENOMEM); /* both at once may be more than the limit */
	peal_its_counters(z->its[n].its, &after);
	FUZZ_ASSERT(before.devices == after.devices && before.events == after.events);
	r = peal_its_save(z->its[n].its, bytes + size, size);
	FUZZ_ASSERT(r == 0 && memcmp(bytes, bytes + size, size) == 0);
	free(bytes);
}

static void step_tables(struct fuzz *z, struct input *in, unsigned n)
{
	uint8_t what = (uint8_t)take(in, 1);

	if (what & 1)
		(void)peal_its_save_tables(z->its[n].its);
	if (what & 2)
		(void)peal_its_restore_tables(z->its[n].its);
	if (what & 4)
		(void)peal_gic_save_pending(z->gic);
	if (what & 8)
		peal_gic_restore_pending(z->gic);
	if (what & 16)
		(void)peal_its_set_register(z->its[n].its, its_offset(in), value(in));
}

static void step_drain(struct fuzz *z, struct input *in, unsigned n)
{
	(void)in;
	(void)n;
	fuzz_drain(z);
}

static void (*const steps[])(struct fuzz *z, struct input *in, unsigned n) = {
	step_command,     step_send,  step_its,       step_redist, step_command, step_send,
	step_acknowledge, step_poke,  step_configure, step_reset,  step_boot,    step_raw_command,
	step_map,         step_drain, step_snapshot,  step_tables,
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input in = { bytes, size };
	struct fuzz *z = calloc(1, sizeof(*z));
	uint32_t shape = (uint32_t)take(&in, 4);

	FUZZ_ASSERT(z != NULL);
	/* Mostly as wide as usual. */
	fuzz_init(z, shape & 4 ? shape : (shape & 3) | 0x080f0f00);
	for (unsigned i = 0; i < REDISTS && !(shape & 8); i++)
		memset(z->ram + 0x1000u * i, 0xa1, 64);
	if (!(shape & 8)) {
		fuzz_boot_redists(z);
		fuzz_boot_its(z, 0);
		fuzz_boot_its(z, 1);
	}
	for (unsigned i = 0; in.size && i < STEPS_MAX; i++) {
		uint8_t opcode = (uint8_t)take(&in, 1);

		steps[opcode % PEAL_COUNT_OF(steps)](z, &in, opcode >> 7);
		fuzz_check(z);
	}
	fuzz_drain(z);
	fuzz_check(z);
	fuzz_done(z);
	free(z);
	return 0;
}
