/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads dumps of configuration spaces: what `lspci -x`, -xxx, -xxxx print (also with -v), hexdump
 * -C, xxd, od -A x -t x1, plain hexadecimal bytes, and the bytes themselves as sysfs has them.
 */
#ifndef PEAL_CLI_PCI_DUMP_H
#define PEAL_CLI_PCI_DUMP_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct pci_dump_device {
	char address[24]; /* "" when the dump names none */
	uint8_t *bytes;
	uint32_t size; /* 64, 128, 256 or 4096 */
};

struct pci_dump {
	struct pci_dump_device *devices;
	size_t ndevices;
};

/*
 * 0, or -EPROTO with one line in ERROR that names the line and says what is wrong with it; other
 * -errno: FILE could not be read, -ENOMEM. *RET is to be freed when this returns 0.
 */
int pci_dump_read(struct pci_dump *ret, FILE *file, char *error, size_t size);

void pci_dump_free(struct pci_dump *dump);

#endif
