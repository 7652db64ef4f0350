/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A function as a VFIO device, for its parts: function.c is the device, migration.c its migration
 * and the log of its DMA, io.c the event descriptors of its doorbells.
 *
 * Lock order: migration → io → that of the triggers; migration → irqset → mutex → those of the
 * function.
 */
#ifndef PEAL_SRC_VFIO_FUNCTION_H
#define PEAL_SRC_VFIO_FUNCTION_H

#include <peal/vfio-function.h>

#include "vfio/dma-log.h"
#include "vfio/migration.h"

#define VFIO_FUNCTION_VECTORS 2048u

/* A doorbell with a descriptor. */
struct vfio_door {
	struct peal_vfio_function *vfio;
	void *watcher;
	uint32_t index;
	int fd;
	uint32_t rung; /* while the device was stopped */
};

struct vfio_io {
	struct peal_mutex mutex;
	struct vfio_door *doors;
	unsigned ndoors; /* that have a descriptor */
	unsigned room;
	uint32_t stopped; /* rings wait */
};

struct peal_vfio_function {
	struct peal_vfio_device device; /* first */
	const struct peal_host *host;
	struct peal_pci_function *function;
	const struct peal_pci_function_ops *ops; /* of the function; NULL: none */
	void *user;
	const struct peal_trigger_ops *triggers;
	void *triggers_user;
	struct peal_pci_bus *bus;
	struct peal_irqset *irqset;
	struct peal_space *dma;
	bool own_dma;
	bool plugged;
	bool owns_msix;
	bool owns_msi;
	uint32_t config_size;
	struct vfio_migration migration;
	struct vfio_dma_log log; /* of our own space */
	struct vfio_io io;
	struct peal_mutex mutex;
	/* Message Control by index, 0: no such capability; under the mutex what stands in it. */
	uint32_t control_at[PEAL_VFIO_IRQS];
	unsigned active; /* MSI, MSIX or NONE */
	unsigned multiple;
	bool off;        /* the user's own write turned the active index off */
	bool keep_masks; /* those of the table are of a user before */
	/* Vectors that the irqset has open; closed all the same while stopped. */
	bool stopped; /* under the mutex */
	uint64_t wanted_msix[VFIO_FUNCTION_VECTORS / 64];
	uint32_t wanted_msi;
};

static inline struct peal_vfio_function *vfio_of(struct peal_vfio_device *device)
{
	return peal_container_of(device, struct peal_vfio_function, device);
}

/* ---- migration.c; the first two under the mutex ---- */

void vfio_function_set_wanted(struct peal_vfio_function *vfio, unsigned index, unsigned vector,
			      bool open);
void vfio_function_open(struct peal_vfio_function *vfio, unsigned index, unsigned vector,
			bool open);
int vfio_function_migration_init(struct peal_vfio_function *vfio);
int vfio_function_feature_probe(struct peal_vfio_device *device, uint32_t flags);
int vfio_function_migration_flags(struct peal_vfio_device *device, uint64_t *ret);
int vfio_function_mig_get_state(struct peal_vfio_device *device, uint32_t *ret);
int vfio_function_mig_set_state(struct peal_vfio_device *device, uint32_t state);
int vfio_function_mig_read(struct peal_vfio_device *device, void *bytes, size_t size, size_t *done);
int vfio_function_mig_write(struct peal_vfio_device *device, const void *bytes, size_t size);
int vfio_function_dma_log_start(struct peal_vfio_device *device, uint64_t *page_size,
				const struct peal_vfio_range *ranges, uint32_t count);
int vfio_function_dma_log_stop(struct peal_vfio_device *device);
int vfio_function_dma_log_report(struct peal_vfio_device *device,
				 const struct peal_vfio_range *range, uint64_t page_size,
				 uint64_t *bitmap);

/* ---- io.c ---- */

int vfio_function_io_fds(struct peal_vfio_device *device, unsigned index,
			 struct peal_vfio_io_fd *list, unsigned room, unsigned *count);
void vfio_function_io_release(struct peal_vfio_device *device);
/* Rings that were made before are carried out on return, later ones wait. */
void vfio_function_io_stop(struct peal_vfio_function *vfio);
/* Rings that were made before are forgotten. */
void vfio_function_io_reset(struct peal_vfio_function *vfio);
void vfio_function_io_start(struct peal_vfio_function *vfio);

#endif
