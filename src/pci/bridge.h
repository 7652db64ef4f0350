/* SPDX-License-Identifier: BSD-2-Clause */
/* Between a bridge and the bus behind it. */
#ifndef PEAL_SRC_PCI_BRIDGE_H
#define PEAL_SRC_PCI_BRIDGE_H

#include "function.h"

struct pci_window {
	uint64_t address;
	uint64_t size; /* 0: nothing */
};

/* BASE..LIMIT, both included; nothing when the limit is below the base. */
static inline struct pci_window pci_window(uint64_t base, uint64_t limit)
{
	if (limit < base)
		return (struct pci_window){ 0, 0 };
	/* All there is has a size of 2^64, and nobody misses its last byte. */
	return (struct pci_window){ base,
				    limit - base == UINT64_MAX ? UINT64_MAX : limit - base + 1 };
}

/* What a bridge lets through to its secondary bus, and what that bus is. */
struct pci_forwarding {
	uint8_t bus;
	uint8_t subordinate;
	bool master; /* upstream: the functions' DMA and messages */
	struct pci_window memory;
	struct pci_window prefetchable;
	struct pci_window io;
};

extern const struct peal_reg pci_bridge_rows[];
extern const unsigned pci_bridge_nrows;

/* bridge.c: what the registers say now. Takes the mutex of the bridge's function. */
struct pci_forwarding pci_bridge_forwarding(struct peal_pci_bridge *bridge);
/* Without locks: */
void pci_bridge_update(struct peal_pci_bridge *bridge);
void pci_bridge_intx_eoi(struct peal_pci_bridge *bridge, unsigned pin);
struct peal_pci_bus *pci_bridge_secondary(struct peal_pci_bridge *bridge);

/* forward.c: what a bus behind PRIMARY has of it, and is connected to; no number and no windows yet. */
struct peal_pci_bus_config pci_bus_behind(const struct peal_pci_bus *primary);
void pci_bus_set_primary(struct peal_pci_bus *bus, struct peal_pci_bus *primary);
/* Without locks: numbers, decode and bus mastering of all functions behind. */
void pci_bus_update_forwarding(struct peal_pci_bus *bus, struct peal_pci_bridge *bridge);
void pci_bus_reset_functions(struct peal_pci_bus *bus);
/* Asks the functions of a line, and those behind bridges. */
void pci_bus_intx_eoi(struct peal_pci_bus *bus, unsigned pin);
/* May a function of the bus master, as far as bridges above it go? */
bool pci_bus_forwards_masters(const struct peal_pci_bus *bus);

#endif
