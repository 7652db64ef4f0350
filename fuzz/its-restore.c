/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target: tables and snapshots that no save wrote. A small ITS is saved, then bytes of what it
 * saved are changed as the input says (or all of it comes from the input), and it is taken back.
 * Either it is good, and then saving and taking it again gives the same; or it is refused, and then
 * everything is as it was.
 */
#include <stdlib.h>

#include "its.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define CHANGES_MAX 64u

static void command(struct fuzz *z, uint64_t dw0, uint64_t dw1, uint64_t dw2)
{
	const uint64_t dw[4] = { dw0, dw1, dw2 };

	fuzz_command(z, 0, dw);
}

/* Some devices, events and collections; SHAPE chooses which. */
static void map_something(struct fuzz *z, uint8_t shape)
{
	static const uint32_t devices[] = { 0, 1, 9, 300 };

	command(z, 0x09, 0, VALID | 5 << 16 | 0);
	command(z, 0x09, 0, VALID | 300 << 16 | 7);
	for (uint64_t i = 0; i < PEAL_COUNT_OF(devices); i++) {
		uint64_t device = (uint64_t)devices[i] << 32;

		if (!(shape >> i & 1))
			continue;
		command(z, device | 0x08, 2 * i, VALID | ITT(0, i));
		for (uint64_t event = 0; event <= i; event++)
			command(z, device | 0x0a, (8192 + 8 * i + event) << 32 | event,
				event & 1 ? 7 : 0);
		fuzz_send(z, 0, devices[i], 0);
	}
}

/* Bytes of what was saved are changed: place, new value. */
static void change(struct input *in, uint8_t *bytes, size_t size)
{
	unsigned n = (unsigned)take(in, 1) % CHANGES_MAX;

	for (unsigned i = 0; i < n; i++) {
		size_t at = take(in, 2) % size;

		bytes[at] = (uint8_t)take(in, 1);
	}
}

static bool is_same(const struct peal_its_counters *a, const struct peal_its_counters *b)
{
	return a->devices == b->devices && a->events == b->events && a->memory == b->memory;
}

/* ---- tables ---- */

/* Where tables and ITTs of the ITS are: 8-byte entries, most of them 0. */
static void change_tables(struct fuzz *z, struct input *in)
{
	unsigned n = (unsigned)take(in, 1) % CHANGES_MAX;

	for (unsigned i = 0; i < n; i++) {
		static const uint64_t tables[] = { DEVICES(0), ICIDS(0),  ITT(0, 0), ITT(0, 1),
						   ITT(0, 2),  ITT(0, 3), DEVICES(1) };
		uint8_t what = (uint8_t)take(in, 1);
		uint64_t at = tables[what % PEAL_COUNT_OF(tables)] + 8 * (take(in, 2) % 512) - RAM;

		if (what & 0x80)
			peal_store_le(z->ram + at, 8, take(in, 8));
		else
			z->ram[at + take(in, 1) % 8] = (uint8_t)take(in, 1);
	}
}

/* The ITS goes on with another device table, flat or indirect, of any place and size. */
static void change_basers(struct fuzz *z, struct input *in)
{
	uint8_t what = (uint8_t)take(in, 1);

	if (what & 1)
		peal_its_write(z->its[0].its, 0x100, 8,
			       VALID | (what & 2 ? PEAL_BIT(62) : 0) | DEVICES(take(in, 1) & 1) |
				       (uint64_t)(what >> 2 & 3) << 8 | what >> 4);
	if (what & 8)
		peal_its_write(z->its[0].its, 0x108, 8, VALID | ICIDS(0) | (take(in, 1) & 0xff));
}

static void try_tables(struct fuzz *z, struct input *in)
{
	struct peal_its *its = z->its[0].its;
	struct peal_its_counters before, after;
	int r = peal_its_save_tables(its);

	FUZZ_ASSERT(r == 0);
	peal_its_write(its, 0x00, 4, 0);
	change_tables(z, in);
	change_basers(z, in);
	peal_its_counters(its, &before);
	r = peal_its_restore_tables(its);
	FUZZ_ASSERT(r == 0 || r == -EINVAL || r == -ENOMEM);
	peal_its_counters(its, &after);
	if (r < 0) {
		FUZZ_ASSERT(is_same(&before, &after));
		return;
	}
	before = after;
	/* Two devices may have been given one ITT, or a table that is too sparse to go over. */
	r = peal_its_save_tables(its);
	FUZZ_ASSERT(r == 0 || r == -EINVAL || r == -E2BIG || r == -EFAULT);
	if (r < 0)
		return;
	r = peal_its_restore_tables(its);
	FUZZ_ASSERT(r == 0 || r == -ENOMEM);
	peal_its_counters(its, &after);
	FUZZ_ASSERT(is_same(&before, &after));
}

/* ---- snapshots ---- */

static void try_snapshot(struct fuzz *z, struct input *in)
{
	struct peal_its *its = z->its[0].its;
	size_t size = peal_its_state_size(its), again;
	struct peal_its_counters before, after;
	uint8_t *bytes = malloc(size), *other;
	int r;

	FUZZ_ASSERT(bytes != NULL);
	r = peal_its_save(its, bytes, size);
	FUZZ_ASSERT(r == 0);
	change(in, bytes, size);
	peal_its_counters(its, &before);
	r = peal_its_load(its, bytes, take(in, 1) & 1 ? size : take(in, 2) % (size + 1));
	FUZZ_ASSERT(r == 0 || r == -EINVAL || r == -ENOMEM);
	peal_its_counters(its, &after);
	if (r < 0) {
		FUZZ_ASSERT(is_same(&before, &after));
	} else {
		again = peal_its_state_size(its);
		other = malloc(2 * again);
		FUZZ_ASSERT(other != NULL);
		r = peal_its_save(its, other, again);
		FUZZ_ASSERT(r == 0);
		r = peal_its_load(its, other, again);
		FUZZ_ASSERT(r == 0 || r == -ENOMEM);
		r = peal_its_save(its, other + again, again);
		FUZZ_ASSERT(r == 0 && memcmp(other, other + again, again) == 0);
		free(other);
	}
	free(bytes);
}

static void try_gic_snapshot(struct fuzz *z, struct input *in)
{
	size_t size = peal_gic_state_size(z->gic);
	uint8_t *bytes = malloc(3 * size);
	int r;

	FUZZ_ASSERT(bytes != NULL);
	r = peal_gic_save(z->gic, bytes, size);
	FUZZ_ASSERT(r == 0);
	memcpy(bytes + size, bytes, size);
	change(in, bytes, size);
	r = peal_gic_load(z->gic, bytes, take(in, 1) & 1 ? size : take(in, 2) % (size + 1));
	FUZZ_ASSERT(r == 0 || r == -EINVAL);
	FUZZ_ASSERT(peal_gic_save(z->gic, bytes + 2 * size, size) == 0);
	if (r < 0)
		FUZZ_ASSERT(memcmp(bytes + size, bytes + 2 * size, size) == 0);
	free(bytes);
}

/* All of it is the input's. */
static void try_noise(struct fuzz *z, struct input *in)
{
	uint8_t which = (uint8_t)take(in, 1);

	if (which & 1)
		(void)peal_its_load(z->its[0].its, in->bytes, in->size);
	else
		(void)peal_gic_load(z->gic, in->bytes, in->size);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static void (*const tries[])(struct fuzz * z,
				     struct input * in) = { try_tables, try_snapshot,
							    try_gic_snapshot, try_noise };
	struct input in = { bytes, size };
	struct fuzz *z = calloc(1, sizeof(*z));
	uint8_t first;

	FUZZ_ASSERT(z != NULL);
	fuzz_init(z, 0x080f0f00);
	memset(z->ram, 0xa1, 64);
	fuzz_boot_redists(z);
	fuzz_boot_its(z, 0);
	map_something(z, (uint8_t)take(&in, 1));
	first = (uint8_t)take(&in, 1);
	tries[first % PEAL_COUNT_OF(tries)](z, &in);
	fuzz_check(z);
	/* And a life after it. */
	peal_its_write(z->its[0].its, 0x00, 4, 1);
	for (uint32_t i = 0; i < 10; i++)
		fuzz_send(z, 0, i, i & 3);
	fuzz_check(z);
	fuzz_drain(z);
	fuzz_done(z);
	free(z);
	return 0;
}
