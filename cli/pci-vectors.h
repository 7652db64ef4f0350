/* SPDX-License-Identifier: BSD-2-Clause */
/* The vectors of MSI-X and MSI as they are now, which only the function itself can tell. */
#ifndef PEAL_CLI_PCI_VECTORS_H
#define PEAL_CLI_PCI_VECTORS_H

#include "pci-print-internal.h"

/* A structure of MSI-X in a BAR. */
struct pci_place {
	unsigned bar;
	uint32_t offset;
	uint32_t size;
};

/* The table and PBA of MSI-X. Nothing when the source cannot read BARs. */
void pci_print_vectors(struct pci_print *p, unsigned count, const struct pci_place *table,
		       const struct pci_place *pba);

/* What the registers of MSI say about its vectors. */
struct pci_msi_state {
	unsigned count;   /* of vectors */
	unsigned enabled; /* power of two */
	uint64_t address;
	uint32_t data;
	bool maskable;
	uint32_t mask, pending;
};

/* Nothing when the source knows no more than the registers tell. */
void pci_print_msi_vectors(struct pci_print *p, const struct pci_msi_state *state);

#endif
