/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests of functions as VFIO devices share: a function with all kinds of interrupts, and
 * its user.
 *
 *   BAR 0  16 KiB of memory     BAR 1  MSI-X: table at 0, PBA at 2048
 *   MSI-X  8 vectors            MSI    8 vectors, maskable            INTx pin A
 */
#ifndef PEAL_TESTS_VFIO_FUNCTION_H
#define PEAL_TESTS_VFIO_FUNCTION_H

#include "fixture.h"

#include <peal/vfio-function.h>

#define COMMAND              0x04u
#define COMMAND_BUS_MASTER   0x0004u
#define COMMAND_INTX_DISABLE 0x0400u
#define STATUS               0x06u
#define STATUS_INTERRUPT     0x0008u
#define CAPABILITIES         0x34u
#define MSIX_ENABLE          0x8000u
#define FUNCTION_MASK        0x4000u
#define MSI_ENABLE           0x0001u
#define VECTORS              8u
#define BAR0_SIZE            16384u
#define PBA                  2048u

struct device {
	struct rig rig; /* descriptors; its source is not used */
	struct peal_pci_function *function;
	struct peal_vfio_function *vfio;
	struct peal_vfio_device *user;
	struct peal_msix *msix;
	struct peal_msi *msi;
	uint8_t bytes[BAR0_SIZE];
	unsigned resets;
	unsigned accesses; /* of BAR 0 */
	int load_error;    /* of its part of a state */
	uint32_t msix_at;
	uint32_t msi_at;
	uint32_t express_at;
};

static inline uint64_t device_read(void *user, uint64_t offset, unsigned size)
{
	struct device *d = (struct device *)user;

	d->accesses++;
	return peal_load_le(d->bytes + offset, size);
}

static inline void device_write(void *user, uint64_t offset, unsigned size, uint64_t value)
{
	struct device *d = (struct device *)user;

	d->accesses++;
	peal_store_le(d->bytes + offset, size, value);
}

static inline void device_reset(void *user)
{
	((struct device *)user)->resets++;
}

/* It has nothing of its own that moves, and is at rest at any time. */
static inline void device_stop(void *user, bool stopped)
{
	(void)user;
	(void)stopped;
}

static inline size_t device_state_size(void *user)
{
	(void)user;
	return 0;
}

static inline void device_save(void *user, uint8_t *bytes)
{
	(void)user;
	(void)bytes;
}

static inline int device_load(void *user, const uint8_t *bytes, size_t size)
{
	(void)bytes;
	thread_assert(size == 0);
	return ((struct device *)user)->load_error;
}

static inline uint32_t find(struct peal_pci_function *function, unsigned id)
{
	uint32_t at = (uint32_t)peal_pci_config_read(function, CAPABILITIES, 1);

	while (at && peal_pci_config_read(function, at, 1) != id)
		at = (uint32_t)peal_pci_config_read(function, at + 1, 1);
	return at;
}

static inline void device_make_function(struct device *d, const struct peal_host *host,
					bool express)
{
	static const struct peal_pci_bar_ops bar = { .read = device_read, .write = device_write };
	static const struct peal_pci_state_ops moves = {
		.stop = device_stop,
		.size = device_state_size,
		.save = device_save,
		.load = device_load,
	};
	static const struct peal_pci_function_ops ops = { .reset = device_reset, .state = &moves };
	const struct peal_pci_function_config config = {
		.host = host,
		.vendor_id = 0x1234,
		.device_id = 0x5678,
		.interrupt_pin = 1,
		.ops = &ops,
		.user = d,
	};
	const struct peal_msi_config msi = { .vectors = VECTORS, .wide = true, .maskable = true };

	assert_int_equal(peal_pci_function_new(&d->function, &config), 0);
	assert_int_equal(peal_pci_function_add_bar(d->function, 0, PEAL_PCI_BAR_MEM32, BAR0_SIZE,
						   &bar, d),
			 0);
	assert_int_equal(peal_pci_function_add_msix_exclusive(d->function, VECTORS, 1), 0);
	assert_int_equal(peal_pci_function_add_msi(d->function, &msi), 0);
	if (express)
		assert_int_equal(peal_pci_function_add_pci_express(d->function), 0);
	d->msix = peal_pci_function_msix(d->function);
	d->msi = peal_pci_function_msi(d->function);
	for (unsigned i = 0; i < VECTORS; i++) {
		assert_int_equal(peal_msix_use(d->msix, i), 0);
		assert_int_equal(peal_msi_use(d->msi, i), 0);
	}
	d->msix_at = find(d->function, 0x11);
	d->msi_at = find(d->function, 0x05);
	d->express_at = find(d->function, 0x10);
}

static inline int device_open(struct device *d, const struct peal_host *host)
{
	const struct peal_vfio_function_config config = {
		.host = host,
		.function = d->function,
		.triggers = &rig_triggers,
		.triggers_user = &d->rig,
	};
	int r = peal_vfio_function_new(&d->vfio, &config);

	if (r == 0) {
		d->user = peal_vfio_function_device(d->vfio);
		d->rig.irqset = peal_vfio_function_irqset(d->vfio);
	}
	return r;
}

/* ---- the user ---- */

static inline uint32_t config_read(struct device *d, uint32_t offset, unsigned size)
{
	uint8_t bytes[4];

	thread_assert(
		peal_vfio_region_read(d->user, PEAL_VFIO_REGION_CONFIG, offset, bytes, size) == 0);
	return (uint32_t)peal_load_le(bytes, size);
}

static inline void config_write(struct device *d, uint32_t offset, unsigned size, uint32_t value)
{
	uint8_t bytes[4];

	peal_store_le(bytes, size, value);
	thread_assert(
		peal_vfio_region_write(d->user, PEAL_VFIO_REGION_CONFIG, offset, bytes, size) == 0);
}

static inline void table_write(struct device *d, unsigned vector, unsigned field, uint32_t value)
{
	uint8_t bytes[4];

	peal_store_le(bytes, 4, value);
	thread_assert(peal_vfio_region_write(d->user, 1, 16 * vector + field, bytes, 4) == 0);
}

static inline uint64_t pba(struct device *d)
{
	uint8_t bytes[8];

	thread_assert(peal_vfio_region_read(d->user, 1, PBA, bytes, 8) == 0);
	return peal_load_le(bytes, 8);
}

static inline void device_master(struct device *d)
{
	config_write(d, COMMAND, 2, config_read(d, COMMAND, 2) | COMMAND_BUS_MASTER);
}

static inline struct device *device_new(void)
{
	struct device *d = (struct device *)calloc(1, sizeof(*d));

	assert_non_null(d);
	rig_defaults(&d->rig);
	device_make_function(d, &d->rig.th.host, true);
	assert_int_equal(device_open(d, &d->rig.th.host), 0);
	device_master(d);
	return d;
}

static inline void device_free(struct device *d)
{
	peal_vfio_free(d->user);
	peal_pci_function_free(d->function);
	assert_int_equal(d->rig.references, 0);
	test_host_done(&d->rig.th);
	free(d);
}

static inline uint64_t events(const struct device *d, unsigned vector)
{
	return rig_events(&d->rig, FD + (int)vector);
}

#endif
