/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PEAL_SRC_PCI_MSI_H
#define PEAL_SRC_PCI_MSI_H

#include "vectors.h"

struct peal_msi {
	struct pci_vectors vectors;
	struct peal_pci_function *function;
	struct peal_msi_config config;
	uint8_t position;
	uint32_t enabled; /* vectors; 0: not enabled */
};

/* The four shapes of the capability. */
struct pci_msi_layout {
	const struct peal_reg *rows;
	unsigned nrows;
	uint8_t size;
};
extern const struct pci_msi_layout pci_msi_layouts[2][2];

bool pci_msi_is_possible(const struct peal_msi *msi, uint32_t at, uint64_t value);

#endif
