/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PCI function of this process as a VFIO device: what a vfio-user server shows to its client, and
 * what a driver in the same process uses as it would use a device of the kernel.
 *
 *   function ──vectors, line──▶ irqset ──▶ triggers
 *       ▲ regions (configuration space, BARs)
 *       └── DMA ──▶ space
 *
 * Who owns the MSI-X table: a VMM keeps the guest's table to itself and only sets triggers; what
 * the function has in its own table is then as after a reset, all masked. A driver may also program
 * the function's table through the BAR. Both are served by one rule:
 *
 *   - Enabling MSI-X by SET_IRQS sets MSI-X Enable and forgets the Mask bits of the table; disabling
 *     clears Enable. Enable and Function Mask count whoever writes them.
 *   - From then on a vector's Mask bit counts if the user wrote to the vector's table entry.
 *   - A vector without trigger is masked, too.
 *
 * What is raised while masked pends in the PBA, and is signalled once when the last mask goes. MSI
 * has no table: its Mask register counts always; enabling by SET_IRQS sets Enable and Multiple
 * Message Enable. Address and data of messages can be written and read and mean nothing.
 *
 * Threads: as struct peal_vfio_device. Lock order: irqset → here → those of the function.
 */
#ifndef PEAL_VFIO_FUNCTION_H
#define PEAL_VFIO_FUNCTION_H

#include <peal/mem.h>
#include <peal/pci.h>
#include <peal/vfio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct peal_vfio_function;

struct peal_vfio_function_config {
	const struct peal_host *host;
	struct peal_pci_function *function; /* borrowed; complete, and not plugged */
	/* As in struct peal_irqset_config. */
	const struct peal_trigger_ops *triggers;
	void *triggers_user;
	enum peal_irqset_compat compat;
	/* The function's DMA (borrowed); NULL: a space of its own, whose writes can be logged. */
	struct peal_space *dma;
};

/*
 * Plugs the function into a bus of its own. -EBUSY: it is plugged elsewhere, or somebody owns its
 * vectors. -ENOMEM, or of the host's mutex.
 */
PEAL_PUBLIC int peal_vfio_function_new(struct peal_vfio_function **ret,
				       const struct peal_vfio_function_config *config);

/* Unplugs it, which resets it. Nobody raises its vectors any more. NULL is fine. */
PEAL_PUBLIC void peal_vfio_function_free(struct peal_vfio_function *vfio);

/*
 * peal_pci_function_load() of its function while it is a device: interrupts that the user enabled
 * stay so. A table entry that comes as after a reset counts as not written by the user. When MSI-X
 * was enabled where the state was saved, the next enabling here does not forget the Mask bits.
 * Devices with struct peal_pci_state_ops are better moved by peal_vfio_mig_set_state().
 */
PEAL_PUBLIC int peal_vfio_function_load(struct peal_vfio_function *vfio, const void *bytes,
					size_t size);

/* The device; its free is peal_vfio_function_free(). */
PEAL_PUBLIC struct peal_vfio_device *peal_vfio_function_device(struct peal_vfio_function *vfio);

/* For a server: descriptors come beside the payload (peal_irqset_set_message), a client leaves
 * (peal_irqset_disable), and a device is in error or is to be given back (peal_irqset_raise of
 * ERR or REQ). */
PEAL_PUBLIC struct peal_irqset *peal_vfio_function_irqset(struct peal_vfio_function *vfio);

/* Where the function's DMA goes: for a server, which maps files or remote accessors there. */
PEAL_PUBLIC struct peal_space *peal_vfio_function_dma(struct peal_vfio_function *vfio);

#ifdef __cplusplus
}
#endif

#endif
