/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of MSI-X: msix.c is what the device sees, msix-table.c what the guest sees. */
#ifndef PEAL_SRC_PCI_MSIX_H
#define PEAL_SRC_PCI_MSIX_H

#include "vectors.h"

#define MSIX_ENTRY_SIZE 16u
#define MSIX_ENTRY_MASK 1u

struct peal_msix {
	struct pci_vectors vectors;
	struct peal_pci_function *function;
	const struct peal_host *host;
	struct peal_reg_bank bank;
	struct peal_msix_config config; /* with the position that it got */
	bool enabled;
	uint64_t pba_writes;
};

/* owner.c; under the vectors' mutex, while there is an owner. */
void pci_msix_forget_masks(struct peal_msix *msix);
/* The guest wrote to the table entries FIRST..LAST. */
void pci_msix_written(struct peal_msix *msix, unsigned first, unsigned last);
/* The table was loaded. */
void pci_msix_loaded(struct peal_msix *msix);

#endif
