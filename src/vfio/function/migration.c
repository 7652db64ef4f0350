/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The migration of a function that is a device, and the log of its DMA.
 *
 * To stop: doorbells that rang are answered, then the device finishes what it began, then all its
 * vectors are closed and its line is held, so that whatever is raised pends, also when the
 * user goes on accessing registers. What pends is part of the state. To start: the reverse.
 *
 * The state is the function's (peal_pci_function_save) and behind it the device's
 * (struct peal_pci_state_ops). When the device does not take its part, the function gets its own
 * back.
 */
#include "function.h"

#include <peal/bits.h>

#include "../irqset.h"

#define PCI_ID           0x00u
#define PCI_SUBSYSTEM_ID 0x2cu

/* ---- interrupts ---- */

void vfio_function_set_wanted(struct peal_vfio_function *vfio, unsigned index, unsigned vector,
			      bool open)
{
	uint64_t bit = PEAL_BIT(vector % 64), *word = &vfio->wanted_msix[vector / 64];

	if (index == PEAL_VFIO_IRQ_MSIX)
		*word = open ? *word | bit : *word & ~bit;
	else
		vfio->wanted_msi =
			(uint32_t)(open ? vfio->wanted_msi | bit : vfio->wanted_msi & ~bit);
}

void vfio_function_open(struct peal_vfio_function *vfio, unsigned index, unsigned vector, bool open)
{
	if (index == PEAL_VFIO_IRQ_MSIX)
		peal_msix_open(peal_pci_function_msix(vfio->function), vector, open);
	else
		peal_msi_open(peal_pci_function_msi(vfio->function), vector, open);
}

static void open_wanted(struct peal_vfio_function *vfio, bool open)
{
	for (unsigned i = 0; i < VFIO_FUNCTION_VECTORS; i++) {
		if (vfio->wanted_msix[i / 64] & PEAL_BIT(i % 64))
			vfio_function_open(vfio, PEAL_VFIO_IRQ_MSIX, i, open);
	}
	for (unsigned i = 0; i < PEAL_MSI_VECTORS_MAX; i++) {
		if (vfio->wanted_msi & PEAL_BIT(i))
			vfio_function_open(vfio, PEAL_VFIO_IRQ_MSI, i, open);
	}
}

static void set_stopped(struct peal_vfio_function *vfio, bool stopped)
{
	peal_mutex_lock(&vfio->mutex);
	vfio->stopped = stopped;
	open_wanted(vfio, !stopped);
	peal_mutex_unlock(&vfio->mutex);
	irq_intx_hold(vfio->irqset, stopped);
}

/* ---- as struct vfio_migration_ops ---- */

static int stop(void *user)
{
	struct peal_vfio_function *vfio = user;

	vfio_function_io_stop(vfio);
	vfio->ops->state->stop(vfio->user, true);
	set_stopped(vfio, true);
	return 0;
}

static void start(void *user)
{
	struct peal_vfio_function *vfio = user;

	set_stopped(vfio, false);
	vfio->ops->state->stop(vfio->user, false);
	vfio_function_io_start(vfio);
}

static size_t state_size(void *user)
{
	const struct peal_vfio_function *vfio = user;

	return peal_pci_function_state_size(vfio->function) + vfio->ops->state->size(vfio->user);
}

static int save(void *user, uint8_t *bytes)
{
	struct peal_vfio_function *vfio = user;
	const size_t size = peal_pci_function_state_size(vfio->function);
	int r = peal_pci_function_save(vfio->function, bytes, size);

	if (r == 0)
		vfio->ops->state->save(vfio->user, bytes + size);
	return r;
}

static int load(void *user, const uint8_t *bytes, size_t size)
{
	struct peal_vfio_function *vfio = user;
	const size_t first = peal_pci_function_state_size(vfio->function);
	uint8_t *before = peal_alloc(vfio->host, first);
	int r, back;

	if (!before)
		return -ENOMEM;
	r = peal_pci_function_save(vfio->function, before, first);
	if (r == 0)
		r = peal_vfio_function_load(vfio, bytes, first);
	if (r == 0) {
		r = vfio->ops->state->load(vfio->user, bytes + first, size - first);
		if (r < 0) {
			back = peal_vfio_function_load(vfio, before, first);
			PEAL_ASSERT(back == 0); /* it was just saved */
		}
	}
	peal_free(vfio->host, before, first);
	return r;
}

static uint64_t kind(void *user)
{
	const struct peal_vfio_function *vfio = user;

	return peal_pci_config_read(vfio->function, PCI_ID, 4) |
	       peal_pci_config_read(vfio->function, PCI_SUBSYSTEM_ID, 4) << 32;
}

int vfio_function_migration_init(struct peal_vfio_function *vfio)
{
	static const struct vfio_migration_ops ops = {
		.stop = stop,
		.start = start,
		.size = state_size,
		.save = save,
		.load = load,
		.kind = kind,
	};
	int r = peal_mutex_init(&vfio->io.mutex, vfio->host);

	return r == 0 ? vfio_migration_init(&vfio->migration, vfio->host, &ops, vfio) : r;
}

/* ---- the device's ops ---- */

static bool can_migrate(const struct peal_vfio_function *vfio)
{
	return vfio->ops && vfio->ops->state;
}

int vfio_function_feature_probe(struct peal_vfio_device *device, uint32_t flags)
{
	static const struct {
		uint32_t index;
		uint32_t methods;
		bool log;
	} features[] = {
		{ PEAL_VFIO_FEATURE_MIGRATION, PEAL_VFIO_FEATURE_GET, false },
		{ PEAL_VFIO_FEATURE_MIG_DEVICE_STATE, PEAL_VFIO_FEATURE_GET | PEAL_VFIO_FEATURE_SET,
		  false },
		{ PEAL_VFIO_FEATURE_DMA_LOGGING_START, PEAL_VFIO_FEATURE_SET, true },
		{ PEAL_VFIO_FEATURE_DMA_LOGGING_STOP, PEAL_VFIO_FEATURE_SET, true },
		{ PEAL_VFIO_FEATURE_DMA_LOGGING_REPORT, PEAL_VFIO_FEATURE_GET, true },
	};
	const uint32_t methods = PEAL_VFIO_FEATURE_GET | PEAL_VFIO_FEATURE_SET;
	const struct peal_vfio_function *vfio = vfio_of(device);

	for (unsigned i = 0; i < PEAL_COUNT_OF(features); i++) {
		if (features[i].index != (flags & ~methods))
			continue;
		if (!(features[i].log ? vfio->own_dma : can_migrate(vfio)))
			return -ENOTTY;
		return flags & methods & ~features[i].methods ? -EINVAL : 0;
	}
	return -ENOTTY;
}

int vfio_function_migration_flags(struct peal_vfio_device *device, uint64_t *ret)
{
	if (!can_migrate(vfio_of(device)))
		return -ENOTTY;
	*ret = PEAL_VFIO_MIGRATION_STOP_COPY | PEAL_VFIO_MIGRATION_PRE_COPY;
	return 0;
}

int vfio_function_mig_get_state(struct peal_vfio_device *device, uint32_t *ret)
{
	struct peal_vfio_function *vfio = vfio_of(device);

	if (!can_migrate(vfio))
		return -ENOTTY;
	*ret = vfio_migration_get(&vfio->migration);
	return 0;
}

int vfio_function_mig_set_state(struct peal_vfio_device *device, uint32_t state)
{
	struct peal_vfio_function *vfio = vfio_of(device);

	return can_migrate(vfio) ? vfio_migration_set(&vfio->migration, state) : -ENOTTY;
}

int vfio_function_mig_read(struct peal_vfio_device *device, void *bytes, size_t size, size_t *done)
{
	struct peal_vfio_function *vfio = vfio_of(device);

	return can_migrate(vfio) ? vfio_migration_read(&vfio->migration, bytes, size, done)
				 : -ENOTTY;
}

int vfio_function_mig_write(struct peal_vfio_device *device, const void *bytes, size_t size)
{
	struct peal_vfio_function *vfio = vfio_of(device);

	return can_migrate(vfio) ? vfio_migration_write(&vfio->migration, bytes, size) : -ENOTTY;
}

int vfio_function_dma_log_start(struct peal_vfio_device *device, uint64_t *page_size,
				const struct peal_vfio_range *ranges, uint32_t count)
{
	struct peal_vfio_function *vfio = vfio_of(device);

	return vfio->own_dma ? vfio_dma_log_start(&vfio->log, page_size, ranges, count) : -ENOTTY;
}

int vfio_function_dma_log_stop(struct peal_vfio_device *device)
{
	struct peal_vfio_function *vfio = vfio_of(device);

	return vfio->own_dma ? vfio_dma_log_stop(&vfio->log) : -ENOTTY;
}

int vfio_function_dma_log_report(struct peal_vfio_device *device,
				 const struct peal_vfio_range *range, uint64_t page_size,
				 uint64_t *bitmap)
{
	struct peal_vfio_function *vfio = vfio_of(device);

	return vfio->own_dma ? vfio_dma_log_report(&vfio->log, range, page_size, bitmap) : -ENOTTY;
}
