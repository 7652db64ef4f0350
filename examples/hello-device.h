/* SPDX-License-Identifier: BSD-2-Clause */
/* A PCI device with one register: what is written to it comes back as interrupts. */
#ifndef PEAL_EXAMPLES_HELLO_DEVICE_H
#define PEAL_EXAMPLES_HELLO_DEVICE_H

#include <peal/peal.h>

#define HELLO_VENDOR_ID 0x1234u
#define HELLO_DEVICE_ID 0xe110u
#define HELLO_BAR       0u /* 4 KiB of memory; the doorbell is at 0 */
#define HELLO_MSIX_BAR  1u

struct hello {
	const struct peal_host *host;
	struct peal_pci_function *function;
	uint64_t rings;
};

extern const struct peal_pci_state_ops hello_state_ops;

/* 0 or -errno. */
int hello_new(struct hello **ret, const struct peal_host *host);

/* NULL is fine. The function must not be plugged. */
void hello_free(struct hello *hello);

/* To be plugged into a bus; owned by the device. */
struct peal_pci_function *hello_function(struct hello *hello);

#endif
