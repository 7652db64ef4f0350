/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The common configuration structure and the ISR byte, as register banks.
 * Virtio 1.2 §4.1.4.3, §4.1.4.5.
 *
 * Registers of a queue stand once and mean the queue that queue_select names; when there is no
 * such queue they read 0 and writes change nothing. All under the device's mutex but the ISR byte.
 */
#include "device.h"

/* ---- features, in words of 32 bits ---- */

static uint64_t read_device_feature(void *owner, const struct peal_reg *reg, unsigned index)
{
	struct peal_virtio *device = owner;
	uint64_t word = peal_reg_get(device->common, PEAL_VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4);

	(void)reg;
	(void)index;
	return word < 2 ? (uint32_t)(device->offered >> (32 * word)) : 0;
}

static uint32_t *driver_word(struct peal_virtio *device)
{
	uint64_t word = peal_reg_get(device->common, PEAL_VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4);

	return word < VIRTIO_FEATURE_WORDS ? &device->driver_features[word] : NULL;
}

static uint64_t read_driver_feature(void *owner, const struct peal_reg *reg, unsigned index)
{
	const uint32_t *word = driver_word(owner);

	(void)reg;
	(void)index;
	return word ? *word : 0;
}

static void write_driver_feature(void *owner, const struct peal_reg_write *write)
{
	struct peal_virtio *device = owner;
	uint32_t *word = driver_word(device);

	/* §3.1.1: what was agreed on stays. */
	if (word && !(virtio_status(device) & PEAL_VIRTIO_FEATURES_OK))
		*word = (uint32_t)write->value;
}

/* ---- the device ---- */

static uint64_t read_config_vector(void *owner, const struct peal_reg *reg, unsigned index)
{
	struct peal_virtio *device = owner;

	(void)reg;
	(void)index;
	return __atomic_load_n(&device->config_vector, __ATOMIC_RELAXED);
}

static void write_config_vector(void *owner, const struct peal_reg_write *write)
{
	struct peal_virtio *device = owner;
	uint16_t vector =
		virtio_assign_vector(device, (uint16_t)write->old, (uint16_t)write->value);

	__atomic_store_n(&device->config_vector, vector, __ATOMIC_RELAXED);
}

static uint64_t read_num_queues(void *owner, const struct peal_reg *reg, unsigned index)
{
	const struct peal_virtio *device = owner;

	(void)reg;
	(void)index;
	return device->config.num_queues;
}

static uint64_t read_status(void *owner, const struct peal_reg *reg, unsigned index)
{
	(void)reg;
	(void)index;
	return virtio_status(owner);
}

static void write_status(void *owner, const struct peal_reg_write *write)
{
	virtio_write_status(owner, (uint8_t)write->value);
}

static uint64_t read_generation(void *owner, const struct peal_reg *reg, unsigned index)
{
	const struct peal_virtio *device = owner;

	(void)reg;
	(void)index;
	return device->generation;
}

/* ---- the selected queue ---- */

static struct virtio_queue *selected(struct peal_virtio *device)
{
	uint64_t index = peal_reg_get(device->common, PEAL_VIRTIO_COMMON_QUEUE_SELECT, 2);

	return index < device->config.num_queues ? &device->queues[index] : NULL;
}

/* The selected queue while the driver may still set it up (§4.1.5.1.3). */
static struct virtio_queue *selected_idle(struct peal_virtio *device)
{
	struct virtio_queue *queue = selected(device);

	return queue && !queue->enabled ? queue : NULL;
}

static uint64_t read_queue_size(void *owner, const struct peal_reg *reg, unsigned index)
{
	const struct virtio_queue *queue = selected(owner);

	(void)reg;
	(void)index;
	return queue ? queue->size : 0;
}

static void write_queue_size(void *owner, const struct peal_reg_write *write)
{
	struct peal_virtio *device = owner;
	struct virtio_queue *queue = selected_idle(device);

	if (queue && peal_is_power_of_two(write->value) &&
	    write->value <= device->config.queue_size_max)
		queue->size = (uint16_t)write->value;
}

static uint64_t read_queue_vector(void *owner, const struct peal_reg *reg, unsigned index)
{
	const struct virtio_queue *queue = selected(owner);

	(void)reg;
	(void)index;
	return queue ? __atomic_load_n(&queue->vector, __ATOMIC_RELAXED) : 0;
}

static void write_queue_vector(void *owner, const struct peal_reg_write *write)
{
	struct peal_virtio *device = owner;
	struct virtio_queue *queue = selected(device);
	uint16_t vector;

	if (!queue)
		return;
	vector = virtio_assign_vector(device, (uint16_t)write->old, (uint16_t)write->value);
	__atomic_store_n(&queue->vector, vector, __ATOMIC_RELAXED);
}

static uint64_t read_queue_enable(void *owner, const struct peal_reg *reg, unsigned index)
{
	const struct virtio_queue *queue = selected(owner);

	(void)reg;
	(void)index;
	return queue && queue->enabled;
}

static void write_queue_enable(void *owner, const struct peal_reg_write *write)
{
	struct peal_virtio *device = owner;
	struct virtio_queue *queue = selected_idle(device);

	/* Only a reset disables a queue: writing 0 means nothing (§4.1.4.3.2). */
	if (!queue || write->value != 1)
		return;
	queue->enabled = true;
	if ((virtio_status(device) & (PEAL_VIRTIO_DRIVER_OK | PEAL_VIRTIO_FAILED)) ==
	    PEAL_VIRTIO_DRIVER_OK) {
		virtio_queue_start(queue);
		device->kick_all = true;
	}
}

static uint64_t read_notify_off(void *owner, const struct peal_reg *reg, unsigned index)
{
	const struct virtio_queue *queue = selected(owner);

	(void)reg;
	(void)index;
	return queue ? queue->index : 0;
}

static unsigned address_index(const struct peal_reg *reg)
{
	return (reg->offset - PEAL_VIRTIO_COMMON_QUEUE_DESC) / 8;
}

static uint64_t read_queue_address(void *owner, const struct peal_reg *reg, unsigned index)
{
	const struct virtio_queue *queue = selected(owner);

	(void)index;
	return queue ? queue->addresses[address_index(reg)] : 0;
}

static void write_queue_address(void *owner, const struct peal_reg_write *write)
{
	struct virtio_queue *queue = selected_idle(owner);

	if (queue)
		queue->addresses[address_index(write->reg)] = write->value;
}

/* clang-format off */
const struct peal_reg virtio_common_rows[] = {
	{ .offset = PEAL_VIRTIO_COMMON_DEVICE_FEATURE_SELECT, .width = 4, .rw = 0xffffffff,
	  .name = "device_feature_select", .section = "4.1.4.3" },
	{ .offset = PEAL_VIRTIO_COMMON_DEVICE_FEATURE, .width = 4, .flags = PEAL_REG_HOOKED,
	  .read = read_device_feature, .name = "device_feature", .section = "4.1.4.3" },
	{ .offset = PEAL_VIRTIO_COMMON_DRIVER_FEATURE_SELECT, .width = 4, .rw = 0xffffffff,
	  .name = "driver_feature_select", .section = "4.1.4.3" },
	{ .offset = PEAL_VIRTIO_COMMON_DRIVER_FEATURE, .width = 4, .flags = PEAL_REG_HOOKED,
	  .rw = 0xffffffff, .read = read_driver_feature, .write = write_driver_feature,
	  .name = "driver_feature", .section = "4.1.4.3" },
	{ .offset = PEAL_VIRTIO_COMMON_CONFIG_MSIX_VECTOR, .width = 2, .flags = PEAL_REG_HOOKED,
	  .rw = 0xffff, .read = read_config_vector, .write = write_config_vector,
	  .name = "config_msix_vector", .section = "4.1.4.3, 4.1.5.1.2" },
	{ .offset = PEAL_VIRTIO_COMMON_NUM_QUEUES, .width = 2, .flags = PEAL_REG_HOOKED,
	  .read = read_num_queues, .name = "num_queues", .section = "4.1.4.3" },
	{ .offset = PEAL_VIRTIO_COMMON_DEVICE_STATUS, .width = 1, .flags = PEAL_REG_HOOKED,
	  .rw = 0xff, .read = read_status, .write = write_status,
	  .name = "device_status", .section = "4.1.4.3, 2.1" },
	{ .offset = PEAL_VIRTIO_COMMON_CONFIG_GENERATION, .width = 1, .flags = PEAL_REG_HOOKED,
	  .read = read_generation, .name = "config_generation", .section = "4.1.4.3" },
	{ .offset = PEAL_VIRTIO_COMMON_QUEUE_SELECT, .width = 2, .rw = 0xffff,
	  .name = "queue_select", .section = "4.1.4.3" },
	{ .offset = PEAL_VIRTIO_COMMON_QUEUE_SIZE, .width = 2, .flags = PEAL_REG_HOOKED,
	  .rw = 0xffff, .read = read_queue_size, .write = write_queue_size,
	  .name = "queue_size", .section = "4.1.4.3" },
	{ .offset = PEAL_VIRTIO_COMMON_QUEUE_MSIX_VECTOR, .width = 2, .flags = PEAL_REG_HOOKED,
	  .rw = 0xffff, .read = read_queue_vector, .write = write_queue_vector,
	  .name = "queue_msix_vector", .section = "4.1.4.3, 4.1.5.1.2" },
	{ .offset = PEAL_VIRTIO_COMMON_QUEUE_ENABLE, .width = 2, .flags = PEAL_REG_HOOKED,
	  .rw = 0xffff, .read = read_queue_enable, .write = write_queue_enable,
	  .name = "queue_enable", .section = "4.1.4.3" },
	{ .offset = PEAL_VIRTIO_COMMON_QUEUE_NOTIFY_OFF, .width = 2, .flags = PEAL_REG_HOOKED,
	  .read = read_notify_off, .name = "queue_notify_off", .section = "4.1.4.3" },
	{ .offset = PEAL_VIRTIO_COMMON_QUEUE_DESC, .width = 8, .flags = PEAL_REG_HOOKED,
	  .rw = UINT64_MAX, .read = read_queue_address, .write = write_queue_address,
	  .name = "queue_desc", .section = "4.1.4.3" },
	{ .offset = PEAL_VIRTIO_COMMON_QUEUE_DRIVER, .width = 8, .flags = PEAL_REG_HOOKED,
	  .rw = UINT64_MAX, .read = read_queue_address, .write = write_queue_address,
	  .name = "queue_driver", .section = "4.1.4.3" },
	{ .offset = PEAL_VIRTIO_COMMON_QUEUE_DEVICE, .width = 8, .flags = PEAL_REG_HOOKED,
	  .rw = UINT64_MAX, .read = read_queue_address, .write = write_queue_address,
	  .name = "queue_device", .section = "4.1.4.3" },
};
/* clang-format on */
const unsigned virtio_common_nrows = PEAL_COUNT_OF(virtio_common_rows);

/* ---- ISR ---- */

static uint64_t read_isr(void *owner, const struct peal_reg *reg, unsigned index)
{
	struct peal_virtio *device = owner;
	uint32_t isr = __atomic_exchange_n(&device->isr, 0, __ATOMIC_SEQ_CST);

	(void)reg;
	(void)index;
	if (isr)
		virtio_drive_intx(device);
	return isr;
}

/* clang-format off */
const struct peal_reg virtio_isr_rows[] = {
	{ .offset = 0, .width = 1, .flags = PEAL_REG_HOOKED, .read = read_isr,
	  .name = "ISR status", .section = "4.1.4.5" },
};
/* clang-format on */
const unsigned virtio_isr_nrows = PEAL_COUNT_OF(virtio_isr_rows);
