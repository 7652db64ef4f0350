/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The modern PCI transport, driver side: registers of the common configuration. Virtio 1.2
 * §4.1.4.3. Each field is accessed in its own width, 64-bit fields as two halves (§4.1.3.1).
 *
 * What a register reads is cut to its width: the system behind bar_read may return more.
 */
#include <peal/base.h>
#include <peal/bits.h>
#include <peal/driver.h>
#include <peal/virtio-abi.h>

#include "driver/virtio.h"

static uint32_t common_read(struct peal_virtio_driver *driver, unsigned offset, unsigned size)
{
	return (uint32_t)(peal_driver_read(driver, &driver->common, offset, size) &
			  peal_ones(size));
}

static void common_write(struct peal_virtio_driver *driver, unsigned offset, unsigned size,
			 uint32_t value)
{
	peal_driver_write(driver, &driver->common, offset, size, value);
}

static void common_write64(struct peal_virtio_driver *driver, unsigned offset, uint64_t value)
{
	common_write(driver, offset, 4, (uint32_t)value);
	common_write(driver, offset + 4, 4, (uint32_t)(value >> 32));
}

static unsigned modern_get_status(struct peal_virtio_driver *driver)
{
	return common_read(driver, PEAL_VIRTIO_COMMON_DEVICE_STATUS, 1);
}

static void modern_set_status(struct peal_virtio_driver *driver, unsigned status)
{
	common_write(driver, PEAL_VIRTIO_COMMON_DEVICE_STATUS, 1, status);
}

static uint64_t modern_get_features(struct peal_virtio_driver *driver)
{
	uint64_t features = 0;

	for (unsigned i = 0; i < 2; i++) {
		common_write(driver, PEAL_VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4, i);
		features |= (uint64_t)common_read(driver, PEAL_VIRTIO_COMMON_DEVICE_FEATURE, 4)
			    << (32 * i);
	}
	return features;
}

static void modern_set_features(struct peal_virtio_driver *driver, uint64_t features)
{
	for (unsigned i = 0; i < 2; i++) {
		common_write(driver, PEAL_VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, i);
		common_write(driver, PEAL_VIRTIO_COMMON_DRIVER_FEATURE, 4,
			     (uint32_t)(features >> (32 * i)));
	}
}

static unsigned modern_num_queues(struct peal_virtio_driver *driver)
{
	return common_read(driver, PEAL_VIRTIO_COMMON_NUM_QUEUES, 2);
}

static void select_queue(struct peal_virtio_driver *driver, unsigned index)
{
	common_write(driver, PEAL_VIRTIO_COMMON_QUEUE_SELECT, 2, index);
}

static unsigned modern_queue_size(struct peal_virtio_driver *driver, unsigned index)
{
	select_queue(driver, index);
	return common_read(driver, PEAL_VIRTIO_COMMON_QUEUE_SIZE, 2);
}

/* §4.1.4.4: queue_notify_off counts in units of the multiplier from the block's start. */
static int find_notify(struct peal_virtio_driver *driver, struct peal_driver_queue *queue)
{
	uint64_t number = common_read(driver, PEAL_VIRTIO_COMMON_QUEUE_NOTIFY_OFF, 2);
	uint64_t offset = number * driver->notify_multiplier;

	if (!peal_in_range(offset, 2, driver->notify.length) || offset % 2)
		return -EPROTO;
	queue->notify_bar = driver->notify.bar;
	queue->notify_offset = driver->notify.offset + offset;
	queue->notify_value = queue->index;
	return 0;
}

static int modern_queue_setup(struct peal_virtio_driver *driver, struct peal_driver_queue *queue)
{
	int r;

	select_queue(driver, queue->index);
	r = find_notify(driver, queue);
	if (r < 0)
		return r;
	/* §4.1.5.1.3: a driver may make the queue smaller. */
	common_write(driver, PEAL_VIRTIO_COMMON_QUEUE_SIZE, 2, queue->size);
	if (common_read(driver, PEAL_VIRTIO_COMMON_QUEUE_SIZE, 2) != queue->size)
		return -EPROTO;
	common_write64(driver, PEAL_VIRTIO_COMMON_QUEUE_DESC, queue->memory.address);
	common_write64(driver, PEAL_VIRTIO_COMMON_QUEUE_DRIVER,
		       queue->memory.address + queue->avail_offset);
	common_write64(driver, PEAL_VIRTIO_COMMON_QUEUE_DEVICE,
		       queue->memory.address + queue->used_offset);
	return 0;
}

static void modern_queue_enable(struct peal_virtio_driver *driver, unsigned index)
{
	/* §4.1.4.3.2: only after the rest of the queue's fields, and never 0. */
	select_queue(driver, index);
	common_write(driver, PEAL_VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
}

static unsigned modern_config_vector(struct peal_virtio_driver *driver, unsigned vector)
{
	common_write(driver, PEAL_VIRTIO_COMMON_CONFIG_MSIX_VECTOR, 2, vector);
	return common_read(driver, PEAL_VIRTIO_COMMON_CONFIG_MSIX_VECTOR, 2);
}

static unsigned modern_queue_vector(struct peal_virtio_driver *driver, unsigned index,
				    unsigned vector)
{
	select_queue(driver, index);
	common_write(driver, PEAL_VIRTIO_COMMON_QUEUE_MSIX_VECTOR, 2, vector);
	return common_read(driver, PEAL_VIRTIO_COMMON_QUEUE_MSIX_VECTOR, 2);
}

static struct peal_driver_region modern_config_region(const struct peal_virtio_driver *driver)
{
	return driver->device;
}

static unsigned modern_config_generation(struct peal_virtio_driver *driver)
{
	return common_read(driver, PEAL_VIRTIO_COMMON_CONFIG_GENERATION, 1);
}

const struct peal_driver_transport peal_driver_modern_transport = {
	.name = "modern",
	.modern = true,
	.get_status = modern_get_status,
	.set_status = modern_set_status,
	.get_features = modern_get_features,
	.set_features = modern_set_features,
	.num_queues = modern_num_queues,
	.queue_size = modern_queue_size,
	.queue_setup = modern_queue_setup,
	.queue_enable = modern_queue_enable,
	.config_vector = modern_config_vector,
	.queue_vector = modern_queue_vector,
	.config_region = modern_config_region,
	.config_generation = modern_config_generation,
};
