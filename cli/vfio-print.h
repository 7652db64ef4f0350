/* SPDX-License-Identifier: BSD-2-Clause */
/* A VFIO device for the printer of PCI functions, and what VFIO says about it besides. */
#ifndef PEAL_CLI_VFIO_PRINT_H
#define PEAL_CLI_VFIO_PRINT_H

#include "pci-out.h"
#include "pci-source.h"
#include "vfio-target.h"

/* "intx", …, by their indexes; ended by NULL. */
extern const char *const vfio_irq_names[];

/*
 * Its configuration space and BARs (borrowed). It has no address. A space that is smaller than a
 * header cannot be printed: see vfio_print_has_config().
 */
struct pci_source vfio_print_source(struct vfio_target *target);

/* Is it a PCI function? */
bool vfio_print_has_config(const struct vfio_target *target);

/* The limits of the connection, the regions and the interrupts: the member "vfio_user" in JSON. */
void vfio_print(const struct vfio_target *target, struct pci_out *out);

/* The interrupts alone. */
void vfio_print_irqs(const struct vfio_target *target, struct pci_out *out);

#endif
