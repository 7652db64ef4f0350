/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of a bus: bus.c has the functions and lines, forward.c what bridges let through. */
#ifndef PEAL_SRC_PCI_BUS_H
#define PEAL_SRC_PCI_BUS_H

#include <peal/epoch.h>

#include "bridge.h"

#define BUS_FUNCTIONS 256u
#define BUS_WINDOWS   8u /* behind six bridges; see set_windows */

struct peal_pci_bus {
	struct peal_pci_bus_config config;
	struct peal_mutex mutex;
	struct peal_epoch epoch; /* accesses through ECAM, which may be mapped anywhere */
	struct peal_pci_function *functions[BUS_FUNCTIONS];
	struct peal_mutex intx_mutex; /* innermost: intx */
	unsigned intx[4];             /* functions that assert INTA#..INTD# */
	uint64_t misplaced;

	/* What the bridges above let through; all there is on a bus without one. */
	struct peal_pci_bus *primary; /* NULL: the root */
	uint8_t number;
	uint8_t subordinate;
	uint32_t masters;                       /* bool: functions may master */
	struct pci_window windows[BUS_WINDOWS]; /* of memory */
	struct pci_window io_window;
};

/* segment, number and DEVFN as one. */
uint32_t pci_bus_requester(const struct peal_pci_bus *bus, unsigned devfn);

/* Under the bus's mutex: maps the function's BARs as they decode and are forwarded. */
void pci_bus_place(struct peal_pci_bus *bus, struct peal_pci_function *function, bool plugged);

#endif
