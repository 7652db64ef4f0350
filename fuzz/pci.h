/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the parts of the fuzz target of PCI functions: pci.c makes steps, pci-check.c judges. */
#ifndef PEAL_FUZZ_PCI_H
#define PEAL_FUZZ_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <peal/bits.h>
#include <peal/pci.h>

#define FUZZ_ASSERT(condition) ((condition) ? (void)0 : fuzz_failed(__FILE__, __LINE__, #condition))
_Noreturn void fuzz_failed(const char *file, int line, const char *condition);

#define VECTORS_MAX 2048u
#define CONFIG_SIZE PEAL_PCI_CONFIG_SIZE
#define BUS_NUMBER  3u
#define RAM_SIZE    0x4000u
#define ECAM        UINT64_C(0x30000000)
#define WINDOW      UINT64_C(0x80000000)
#define WINDOW_SIZE UINT64_C(0x40000000)

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

/* MSI-X and MSI, what the device and a consumer know of their vectors. */
struct side {
	struct peal_msix *msix; /* one of the two, or neither */
	struct peal_msi *msi;
	unsigned vectors;
	uint64_t raised; /* raises that count: of vectors in use */
	uint32_t uses[VECTORS_MAX];
	/* The consumer. */
	bool registered;
	bool told[VECTORS_MAX];   /* it has the vector */
	bool failed[VECTORS_MAX]; /* its last use did */
	struct peal_msi_msg held[VECTORS_MAX];
	unsigned depth;
	unsigned brackets;    /* of the device */
	uint64_t batches;     /* begins */
	uint8_t fail_mask;    /* uses of these, by number modulo 8, fail */
	uint16_t poll_raises; /* vector + 1 */
};

struct fuzz {
	struct peal_space *memory, *io;
	struct peal_pci_bus *bus;
	struct peal_pci_function *function;
	uint8_t ram[RAM_SIZE];
	bool plugged;
	uint8_t devfn;
	uint8_t pin; /* 0: none */
	bool wish;
	unsigned pm, express, msix_at, msi_at;
	struct peal_msi_config msi_config;
	struct side msix, msi;
	uint64_t delivered;
	int answer;
	unsigned bus_lines; /* what the bus said last */
	bool bus_master;
	uint8_t *saved;
	size_t saved_size;
	uint8_t defaults[CONFIG_SIZE]; /* what the function read at first */
};

/* A vector of a side by its own functions. */
int side_notify(struct side *side, unsigned vector);
bool side_is_masked(const struct side *side, unsigned vector);
bool side_is_pending(const struct side *side, unsigned vector);
bool side_is_used(const struct side *side, unsigned vector);
void side_counters(const struct side *side, unsigned vector, struct peal_msix_counters *ret);

/* Everything that has to hold between two steps. FULL: of all vectors. */
void fuzz_check(struct fuzz *z, bool full);
/* Saved, loaded and saved again gives the same bytes. */
void fuzz_check_state(struct fuzz *z);

#endif
