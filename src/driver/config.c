/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device's own configuration, driver side. Virtio 1.2 §2.5, §4.1.3.1 (widths), §4.1.4.3
 * (config_generation).
 */
#include <peal/base.h>
#include <peal/bits.h>
#include <peal/driver.h>

#include "driver/virtio.h"

#define GENERATION_TRIES 64u

/* The widest naturally aligned access at OFFSET of at most LEFT bytes: 4, 2 or 1. */
static unsigned access_size(uint64_t offset, size_t left)
{
	if (offset % 4 == 0 && left >= 4)
		return 4;
	return offset % 2 == 0 && left >= 2 ? 2 : 1;
}

static void read_once(struct peal_virtio_driver *driver, const struct peal_driver_region *region,
		      uint32_t offset, uint8_t *bytes, size_t length)
{
	unsigned size;

	for (; length; offset += size, bytes += size, length -= size) {
		size = access_size(offset, length);
		peal_store_le(bytes, size, peal_driver_read(driver, region, offset, size));
	}
}

int peal_virtio_driver_config_read(struct peal_virtio_driver *driver, uint32_t offset, void *bytes,
				   size_t length)
{
	struct peal_driver_region region = driver->transport->config_region(driver);
	uint8_t copy[64];

	if (!peal_in_range(offset, length, region.length))
		return -ERANGE;
	/* A read is coherent in itself; a longer one than any field is a row of reads. */
	for (size_t done = 0; done < length;) {
		size_t part = length - done < sizeof(copy) ? length - done : sizeof(copy);
		unsigned tries = 0;
		unsigned before, after;

		do {
			if (tries++ == GENERATION_TRIES)
				return -EAGAIN;
			before = driver->transport->config_generation(driver);
			read_once(driver, &region, offset + (uint32_t)done, copy, part);
			after = driver->transport->config_generation(driver);
		} while (before != after);
		memcpy((uint8_t *)bytes + done, copy, part);
		done += part;
	}
	return 0;
}

int peal_virtio_driver_config_write(struct peal_virtio_driver *driver, uint32_t offset,
				    const void *bytes, size_t length)
{
	struct peal_driver_region region = driver->transport->config_region(driver);
	const uint8_t *from = bytes;
	unsigned size;

	if (!peal_in_range(offset, length, region.length))
		return -ERANGE;
	for (; length; offset += size, from += size, length -= size) {
		size = access_size(offset, length);
		peal_driver_write(driver, &region, offset, size, peal_load_le(from, size));
	}
	return 0;
}
