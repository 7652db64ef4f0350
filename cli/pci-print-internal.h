/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of the printer: a file for the header, one for the lists, one a kind of structure. */
#ifndef PEAL_CLI_PCI_PRINT_INTERNAL_H
#define PEAL_CLI_PCI_PRINT_INTERNAL_H

#include <peal/bits.h>

#include "pci-print.h"

#define PCI_CONVENTIONAL_SIZE 256u
#define PCI_HEADER_SIZE       64u

#define PCI_HEADER_TYPE_DEVICE 0u
#define PCI_HEADER_TYPE_BRIDGE 1u

struct pci_print {
	const struct pci_source *source;
	struct pci_names *names;
	struct pci_out *out;
	/* All of the configuration space, read once. Zero past SIZE. */
	uint8_t config[PEAL_PCI_CONFIG_SIZE];
	uint32_t size;
	/* Which structure has each dword: its position, 0 for none. */
	uint16_t owner[PEAL_PCI_CONFIG_SIZE / 4];
	unsigned express_type; /* PCI_EXPRESS_NONE: no PCI Express capability so far */
	bool msi_enabled;
};

#define PCI_EXPRESS_NONE        (~0u)
#define PCI_EXPRESS_ENDPOINT    0u
#define PCI_EXPRESS_LEGACY      1u
#define PCI_EXPRESS_ROOT_PORT   4u
#define PCI_EXPRESS_UPSTREAM    5u
#define PCI_EXPRESS_DOWNSTREAM  6u
#define PCI_EXPRESS_TO_PCI      7u
#define PCI_EXPRESS_FROM_PCI    8u
#define PCI_EXPRESS_RC_ENDPOINT 9u
#define PCI_EXPRESS_RC_EVENTS   10u

static inline uint32_t pci_print_get(const struct pci_print *p, uint32_t at, unsigned size)
{
	return peal_in_range(at, size, sizeof(p->config))
		       ? (uint32_t)peal_load_le(p->config + at, size)
		       : 0;
}

static inline uint32_t pci_print_field(uint32_t value, unsigned high, unsigned low)
{
	return (uint32_t)peal_field(value, high, low);
}

/* "!!! …" on a line of its own. */
void __attribute__((format(printf, 2, 3)))
pci_print_problem(struct pci_print *p, const char *format, ...);

/* NAMES[index], or "unknown" past COUNT. */
const char *pci_print_choice(const char *const *names, unsigned count, unsigned index);

/* Bits 10:9 of Status and Secondary Status, PCI 3.0 §6.2.3. */
const char *pci_print_devsel(uint32_t status);

/* " [size=4K]": in the largest unit that leaves no rest. */
void pci_print_size(struct pci_out *out, uint64_t size);

/* pci-regions.c: "Region N: …". */
void pci_print_regions(struct pci_print *p, unsigned count);
void pci_print_rom(struct pci_print *p, uint32_t at);
/* pci-bridge.c: from the bus numbers to the bridge control; after the regions. */
void pci_print_bridge(struct pci_print *p);

/* pci-list.c: both lists of capabilities. */
void pci_print_lists(struct pci_print *p);
/* Where a bridge tells its subsystem, in a capability; 0: nowhere. */
uint32_t pci_print_subsystem_at(const struct pci_print *p);

/*
 * A capability at AT: the rest of the line that begins with its position, and the lines below.
 * pci-list.c has checked that its smallest size lies in the space.
 */
void pci_print_power_management(struct pci_print *p, uint32_t at);
void pci_print_vendor(struct pci_print *p, uint32_t at);
void pci_print_subsystem(struct pci_print *p, uint32_t at);
void pci_print_msi(struct pci_print *p, uint32_t at);
void pci_print_msix(struct pci_print *p, uint32_t at);
void pci_print_express(struct pci_print *p, uint32_t at);
void pci_print_error_reporting(struct pci_print *p, uint32_t at);
void pci_print_serial_number(struct pci_print *p, uint32_t at);

/* How many bytes the capability at AT takes, at least. */
uint32_t pci_print_vendor_size(const struct pci_print *p, uint32_t at);
uint32_t pci_print_msi_size(const struct pci_print *p, uint32_t at);
uint32_t pci_print_express_size(const struct pci_print *p, uint32_t at);
uint32_t pci_print_error_reporting_size(const struct pci_print *p, uint32_t at);

#endif
