/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the printer finds a PCI function: in this process, in a dump, behind a socket. Reading
 * changes nothing in the function.
 */
#ifndef PEAL_CLI_PCI_SOURCE_H
#define PEAL_CLI_PCI_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <peal/pci.h>

struct pci_source_region {
	uint64_t size;  /* 0: there is none */
	unsigned flags; /* PEAL_PCI_BAR_… */
};

enum pci_source_kind {
	PCI_SOURCE_MSI,
	PCI_SOURCE_MSIX,
};

/* What no register tells about an interrupt vector. */
struct pci_source_vector {
	bool used; /* the device has declared it */
	struct peal_msix_counters counters;
};

/* Accesses of the guest that met nothing, and those that changed nothing. */
struct pci_source_accesses {
	uint64_t past_end;
	uint64_t pba_writes;
};

/*
 * read_config: SIZE bytes at OFFSET, which lie in config_size(). 0, or -errno.
 * The others may be NULL: the source does not know.
 * region: 0, or -errno.
 * read_bar: SIZE is 4 or 8, OFFSET a multiple of it. 0, or -errno: it cannot be read.
 * vector, accesses: 0, or -errno.
 */
struct pci_source_ops {
	uint32_t (*config_size)(void *user);
	int (*read_config)(void *user, uint32_t offset, void *bytes, uint32_t size);
	int (*region)(void *user, unsigned index, struct pci_source_region *ret);
	int (*read_bar)(void *user, unsigned index, uint64_t offset, unsigned size, uint64_t *ret);
	int (*vector)(void *user, enum pci_source_kind kind, unsigned vector,
		      struct pci_source_vector *ret);
	int (*accesses)(void *user, struct pci_source_accesses *ret);
};

struct pci_source {
	const struct pci_source_ops *ops;
	void *user;
	char address[24]; /* "00:01.0", "" when it has none */
};

/* A function in this process, borrowed. */
struct pci_source pci_source_function(struct peal_pci_function *function);

/* Bytes of a dump; borrowed. */
struct pci_source_bytes {
	const uint8_t *bytes;
	uint32_t size;
};

struct pci_source pci_source_bytes(struct pci_source_bytes *bytes, const char *address);

/*
 * Writes the configuration space to TO in the form that `lspci -F` reads: a line with the address and
 * TITLE, and rows of 16 bytes. 0, or -errno.
 */
int pci_source_dump(const struct pci_source *source, const char *title, FILE *to);

#endif
