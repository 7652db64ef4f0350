/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of the PCI Express capability's printer. */
#ifndef PEAL_CLI_PCI_EXPRESS_H
#define PEAL_CLI_PCI_EXPRESS_H

#include "pci-print-internal.h"

/* Latencies in words; the low three bits of CODE count. */
const char *pci_express_l0s(unsigned code);
const char *pci_express_l1(unsigned code);

/* pci-express-link.c: Link Capabilities, Control, Status. */
void pci_express_link(struct pci_print *p, uint32_t at, unsigned type);
/* The registers of version 2 and above: Device and, when LINKED, Link Capabilities 2 and on. */
void pci_express_second(struct pci_print *p, uint32_t at, unsigned type, bool linked);

#endif
