/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the fuzz targets of the ITS share: a VM with three redistributors and two ITSes over the
 * same LPIs, its memory, a host that knows what is allocated, and what has to hold at any time.
 */
#ifndef PEAL_FUZZ_ITS_H
#define PEAL_FUZZ_ITS_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <peal/bits.h>
#include <peal/gic.h>

#define FUZZ_ASSERT(condition) ((condition) ? (void)0 : fuzz_failed(__FILE__, __LINE__, #condition))
_Noreturn void fuzz_failed(const char *file, int line, const char *condition);

#define REDISTS      3u
#define ITSES        2u
#define ID_BITS      14u
#define ID_COUNT     (1u << ID_BITS)
#define RAM          UINT64_C(0x40000000)
#define RAM_SIZE     0x80000u
#define CONFIG       RAM
#define PENDING(n)   (RAM + 0x10000u * (1 + (n)))
#define QUEUE(n)     (RAM + 0x40000u + 0x20000u * (n))
#define DEVICES(n)   (QUEUE(n) + 0x4000u)
#define ICIDS(n)     (QUEUE(n) + 0x8000u)
#define ITT(n, d)    (QUEUE(n) + 0x10000u + 0x1000u * ((d) % 16))
#define MEMORY_LIMIT 0x20000u
#define VALID        PEAL_BIT(63)

/* The bytes of an input; behind their end there are zeros. */
struct input {
	const uint8_t *bytes;
	size_t size;
};

static inline uint64_t take(struct input *in, size_t size)
{
	size_t have = size < in->size ? size : in->size;
	uint64_t value = have ? peal_load_le(in->bytes, have) : 0;

	in->bytes += have;
	in->size -= have;
	return value;
}

struct fuzz_its {
	struct peal_its *its;
	/* What was seen of it, to compare the counters with. */
	uint64_t delivered, blocked, busy;
	uint64_t errors, unreadable, commands, messages;
};

struct fuzz {
	struct peal_host host;
	uint64_t allocated; /* bytes now */
	uint64_t constant;  /* of these: not for what the guest maps */
	struct peal_space *space;
	uint64_t cut; /* RAM is mapped as two ranges, up to here and from here on; 0: one */
	struct peal_gic *gic;
	bool kicked[REDISTS]; /* since nothing was deliverable there */
	struct fuzz_its its[ITSES];
	uint8_t ram[RAM_SIZE];
};

/* SHAPE: widths and options. */
void fuzz_init(struct fuzz *z, uint32_t shape);
/* Everything is freed, and nothing may be left. */
void fuzz_done(struct fuzz *z);

/* Tables in place and everything on, as after a guest's boot. */
void fuzz_boot_redists(struct fuzz *z);
void fuzz_boot_its(struct fuzz *z, unsigned n);

/* Puts a command where the ITS will look, and tells it. */
void fuzz_command(struct fuzz *z, unsigned n, const uint64_t dw[4]);

/* Sends and compares what came of it. */
void fuzz_send(struct fuzz *z, unsigned n, uint32_t device, uint32_t event);

/* Everything that has to hold between two steps. */
void fuzz_check(struct fuzz *z);
/* Acknowledges all that is deliverable: in order, and each once. */
void fuzz_drain(struct fuzz *z);

#endif
