/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Probe: is it a virtio device, and where are its registers? Virtio 1.2 §4.1.2, §4.1.4; PCI Local
 * Bus 3.0 §6.7 (capability list).
 *
 * A capability is used only if everything it says can be: its own length, the BAR, and offset and
 * length inside the BAR. Others are passed over, the first usable one of a type wins (§4.1.4.1).
 */
#include <peal/base.h>
#include <peal/bits.h>
#include <peal/driver.h>
#include <peal/virtio-abi.h>

#include "driver/virtio.h"

#define CONFIG_SIZE        256u /* capabilities live in the first 256 bytes */
#define CONFIG_VENDOR_ID   0u
#define CONFIG_DEVICE_ID   2u
#define CONFIG_STATUS      6u
#define CONFIG_CAP_POINTER 0x34u
#define STATUS_CAP_LIST    0x10u
#define CAP_FIRST          0x40u
#define MODERN_LAST        (PEAL_VIRTIO_PCI_MODERN + 0x3f) /* of the ids given to virtio */
#define CAP_ID_VENDOR      9u

static uint32_t config_read(struct peal_virtio_driver *driver, uint32_t offset, unsigned size)
{
	return (uint32_t)(driver->ops->config_read(driver->user, offset, size) & peal_ones(size));
}

/* A block that a capability may describe. */
struct wanted {
	uint8_t type;
	uint8_t cap_len;    /* least */
	uint32_t length;    /* least */
	uint32_t alignment; /* §4.1.4.3.1, §4.1.4.4.1, §4.1.4.6.1 */
	bool required;
	size_t region; /* in struct peal_virtio_driver */
};

#define REGION(name) offsetof(struct peal_virtio_driver, name)

static const struct wanted wanted[] = {
	{ PEAL_VIRTIO_PCI_CAP_COMMON, 16, PEAL_VIRTIO_COMMON_SIZE, 4, true, REGION(common) },
	{ PEAL_VIRTIO_PCI_CAP_NOTIFY, 20, 2, 2, true, REGION(notify) },
	{ PEAL_VIRTIO_PCI_CAP_ISR, 16, 1, 1, true, REGION(isr) },
	{ PEAL_VIRTIO_PCI_CAP_DEVICE, 16, 1, 4, false, REGION(device) },
};

static struct peal_driver_region *region_of(struct peal_virtio_driver *driver,
					    const struct wanted *row)
{
	return (struct peal_driver_region *)((char *)driver + row->region);
}

/* Takes what the capability at POSITION says if it can be used. */
static void try_capability(struct peal_virtio_driver *driver, const struct wanted *row,
			   uint32_t position, uint32_t cap_len)
{
	struct peal_driver_region *region = region_of(driver, row);
	uint32_t bar = config_read(driver, position + PEAL_VIRTIO_PCI_CAP_BAR, 1);
	uint32_t offset = config_read(driver, position + PEAL_VIRTIO_PCI_CAP_OFFSET, 4);
	uint32_t length = config_read(driver, position + PEAL_VIRTIO_PCI_CAP_LENGTH, 4);
	uint64_t size = 0;
	bool is_io = false;

	if (region->length || cap_len < row->cap_len || bar > 5)
		return;
	if (length < row->length || offset % row->alignment)
		return;
	if (driver->ops->bar_info(driver->user, bar, &size, &is_io) < 0)
		return;
	if (!peal_in_range(offset, length, size))
		return;
	*region = (struct peal_driver_region){
		.bar = (uint8_t)bar, .is_io = is_io, .offset = offset, .length = length
	};
	if (row->type == PEAL_VIRTIO_PCI_CAP_NOTIFY)
		driver->notify_multiplier =
			config_read(driver, position + PEAL_VIRTIO_PCI_CAP_MULTIPLIER, 4);
}

static void visit_capability(struct peal_virtio_driver *driver, uint32_t position)
{
	uint32_t cap_len, type;

	/* Position is dword aligned; a virtio capability has at least 16 bytes. */
	if (config_read(driver, position, 1) != CAP_ID_VENDOR ||
	    position + PEAL_VIRTIO_PCI_CAP_SIZE > CONFIG_SIZE)
		return;
	cap_len = config_read(driver, position + PEAL_VIRTIO_PCI_CAP_LEN, 1);
	type = config_read(driver, position + PEAL_VIRTIO_PCI_CAP_TYPE, 1);
	if (!peal_in_range(position, cap_len, CONFIG_SIZE))
		return;
	for (unsigned i = 0; i < PEAL_COUNT_OF(wanted); i++)
		if (wanted[i].type == type)
			try_capability(driver, &wanted[i], position, cap_len);
}

int peal_driver_find_regions(struct peal_virtio_driver *driver)
{
	uint64_t visited = 0; /* a bit per dword */
	uint32_t position;

	if (!(config_read(driver, CONFIG_STATUS, 2) & STATUS_CAP_LIST))
		return -ENODEV;
	position = config_read(driver, CONFIG_CAP_POINTER, 1) & ~3u;
	/* A list that comes back to where it was ends there. */
	while (position >= CAP_FIRST && !(visited & PEAL_BIT(position / 4))) {
		visited |= PEAL_BIT(position / 4);
		visit_capability(driver, position);
		position = config_read(driver, position + 1, 1) & ~3u;
	}
	for (unsigned i = 0; i < PEAL_COUNT_OF(wanted); i++)
		if (wanted[i].required && !region_of(driver, &wanted[i])->length)
			return -ENODEV;
	return 0;
}

int peal_driver_identify(const struct peal_virtio_driver_config *config, unsigned *type)
{
	uint64_t vendor = config->ops->config_read(config->user, CONFIG_VENDOR_ID, 2) & 0xffff;
	uint64_t device;

	if (vendor != PEAL_VIRTIO_PCI_VENDOR)
		return -ENXIO;
	device = config->ops->config_read(config->user, CONFIG_DEVICE_ID, 2) & 0xffff;
	/* §4.1.2.1: 0x1000..0x103f are transitional devices, which need another transport. */
	if (device < PEAL_VIRTIO_PCI_MODERN || device > MODERN_LAST)
		return -ENXIO;
	*type = (unsigned)device - PEAL_VIRTIO_PCI_MODERN;
	return 0;
}

int peal_virtio_driver_probe(struct peal_virtio_driver **ret,
			     const struct peal_virtio_driver_config *config)
{
	struct peal_virtio_driver *driver;
	unsigned type;
	int r;

	r = peal_driver_identify(config, &type);
	if (r < 0)
		return r;
	driver = peal_alloc(config->host, sizeof(*driver));
	if (!driver)
		return -ENOMEM;
	driver->host = config->host;
	driver->ops = config->ops;
	driver->user = config->user;
	driver->transport = &peal_driver_modern_transport;
	driver->type = type;
	r = peal_driver_find_regions(driver);
	if (r < 0) {
		peal_free(config->host, driver, sizeof(*driver));
		return r;
	}
	peal_driver_decode(driver);
	*ret = driver;
	return 0;
}
