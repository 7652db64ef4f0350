/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Prints a PCI function as `lspci -vvv` would, line by line, and then what lspci cannot know: the
 * sizes of the regions, the MSI-X table and pending bits, use and counters of the vectors.
 *
 * The function is not trusted: lists that loop or leave the space, and structures that overlap or
 * do not fit, become remarks ("!!! …"; "problems" in JSON), and printing goes on.
 */
#ifndef PEAL_CLI_PCI_PRINT_H
#define PEAL_CLI_PCI_PRINT_H

#include "pci-names.h"
#include "pci-out.h"
#include "pci-source.h"

/* 0, or -errno of the source, before anything is printed. -EPROTO: a space that is smaller than a
 * header. */
int pci_print(const struct pci_source *source, struct pci_names *names, struct pci_out *out);

/* The first line without the address: "SCSI storage controller: … (rev 01)". 0, or -errno. */
int pci_print_title(const struct pci_source *source, struct pci_names *names, char *title,
		    size_t size);

#endif
