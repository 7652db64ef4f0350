/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of vendors, devices and classes: those of libpci's database, or their numbers when Peal was
 * built without libpci or the database does not know them.
 */
#ifndef PEAL_CLI_PCI_NAMES_H
#define PEAL_CLI_PCI_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pci_names;

/* NULL: out of memory. */
struct pci_names *pci_names_new(void);
void pci_names_free(struct pci_names *names);

/* Each fills TEXT, which has SIZE bytes, and gives it back. */
const char *pci_names_class(struct pci_names *names, uint16_t class_code, char *text, size_t size);
const char *pci_names_device(struct pci_names *names, uint16_t vendor, uint16_t device, char *text,
			     size_t size);
/* The subsystem's name depends on what it is part of. */
const char *pci_names_subsystem(struct pci_names *names, const uint16_t ids[4], char *text,
				size_t size);
/* NULL: the interface has no name. */
const char *pci_names_interface(struct pci_names *names, uint16_t class_code, uint8_t interface,
				char *text, size_t size);

#endif
