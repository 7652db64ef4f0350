/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of MSI-X: msix.c raises and changes vectors, msix-table.c is what the guest sees. */
#ifndef PEAL_SRC_PCI_MSIX_H
#define PEAL_SRC_PCI_MSIX_H

#include "function.h"

#define ENTRY_CONTROL_MASK 1u

/* One cache line: a raise touches no other. */
struct msix_vector {
	uint32_t state;
	uint32_t control; /* vector control as the guest sees it */
	uint64_t address[2];
	uint32_t data[2];
	uint32_t uses;
	uint32_t unused;
	uint64_t sent;
	uint64_t pended;
	uint64_t merged;
} __attribute__((aligned(PEAL_CACHE_LINE)));

_Static_assert(sizeof(struct msix_vector) == PEAL_CACHE_LINE, "a vector is one cache line");

/* Counters that a raise seldom touches. */
struct msix_rare {
	uint64_t refired;
	uint64_t dropped;
	uint64_t blocked;
	uint64_t failed;
};

struct peal_msix {
	struct msix_vector *vectors;
	struct msix_rare *rare;
	struct peal_msi_sink sink;
	uint32_t requester_id;
	uint32_t count;
	struct peal_pci_function *function;
	const struct peal_host *host;
	struct peal_mutex mutex;
	struct peal_reg_bank bank;
	struct peal_msix_config config;
	bool enabled;
	bool bus_master;
	uint64_t pba_writes;
};

/* msix.c */
void msix_init_vectors(struct peal_msix *msix);
/* Under the mutex: */
void msix_set_mask(struct peal_msix *msix, unsigned vector, bool mask);
void msix_set_message(struct peal_msix *msix, unsigned vector, uint64_t address, uint32_t data);
/* Enable and Function Mask as the control word says. Takes the mutex. */
void msix_set_control(struct peal_msix *msix, bool enable, bool function_mask);

#endif
