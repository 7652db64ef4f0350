/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PCI transport of a virtio device: the function, its BARs and capabilities.
 * Virtio 1.2 §4.1.
 *
 *   BAR 1  MSI-X table and PBA
 *   BAR 4  0x0000 common configuration │ 0x1000 ISR │ 0x2000 device configuration │ 0x3000 notify
 *
 * The PCI access capability (§4.1.4.9) carries out BAR accesses out of configuration accesses, so
 * with the function's mutex held: BAR handlers here take no mutex of the function.
 */
#include "device.h"

#define CAP_ID_VENDOR          0x09u
#define SUBSYSTEM_ID_BASE      0x40u /* §4.1.2.1: 0x40 or higher */
#define PCI_ACCESS_SIZE        20u
#define PCI_ACCESS_DATA_OFFSET 16u

/* ---- BAR 4 ---- */

/* A byte of the device configuration, or 0 past its end; under the mutex. */
static uint64_t read_device_config(struct peal_virtio *device, uint64_t offset, unsigned size)
{
	const struct peal_virtio_config *c = &device->config;
	uint64_t value = 0;

	if (!c->ops->config_read)
		return 0;
	if (peal_in_range(offset, size, c->config_size))
		return c->ops->config_read(c->user, (uint32_t)offset, size);
	for (unsigned i = 0; i < size && offset + i < c->config_size; i++)
		value |= (c->ops->config_read(c->user, (uint32_t)offset + i, 1) & 0xff) << (8 * i);
	return value;
}

static void write_device_config(struct peal_virtio *device, uint64_t offset, unsigned size,
				uint64_t value)
{
	const struct peal_virtio_config *c = &device->config;

	if (!c->ops->config_write)
		return;
	if (peal_in_range(offset, size, c->config_size)) {
		c->ops->config_write(c->user, (uint32_t)offset, size, value);
		return;
	}
	for (unsigned i = 0; i < size && offset + i < c->config_size; i++)
		c->ops->config_write(c->user, (uint32_t)offset + i, 1, value >> (8 * i) & 0xff);
}

static bool in_page(uint64_t offset, uint64_t page)
{
	return offset - page < VIRTIO_BAR_PAGE;
}

static uint64_t bar_read(void *user, uint64_t offset, unsigned size)
{
	struct peal_virtio *device = user;
	uint64_t value;

	/* Interrupt handlers read it: not behind a reset that takes its time. */
	if (in_page(offset, VIRTIO_BAR_ISR))
		return peal_reg_bank_read(&device->bank, offset, size);
	peal_mutex_lock(&device->mutex);
	if (in_page(offset, VIRTIO_BAR_DEVICE))
		value = read_device_config(device, offset - VIRTIO_BAR_DEVICE, size);
	else
		value = peal_reg_bank_read(&device->bank, offset, size);
	virtio_unlock(device);
	return value;
}

static void bar_write(void *user, uint64_t offset, unsigned size, uint64_t value)
{
	struct peal_virtio *device = user;

	/* The hot one. The place says which queue (§4.1.4.4), so the value need not. */
	if (in_page(offset, VIRTIO_BAR_NOTIFY)) {
		uint64_t place = offset - VIRTIO_BAR_NOTIFY;

		if (place % VIRTIO_NOTIFY_MULTIPLIER == 0)
			virtio_notify(device, (unsigned)place / VIRTIO_NOTIFY_MULTIPLIER);
		return;
	}
	peal_mutex_lock(&device->mutex);
	if (in_page(offset, VIRTIO_BAR_DEVICE))
		write_device_config(device, offset - VIRTIO_BAR_DEVICE, size, value);
	else
		peal_reg_bank_write(&device->bank, offset, size, value);
	virtio_unlock(device);
}

/* ---- function ---- */

static void function_reset(void *user)
{
	struct peal_virtio *device = user;

	/* Bus Master is off now and was told to function_bus_master(): nobody makes DMA. */
	peal_mutex_lock(&device->mutex);
	virtio_device_reset(device);
	virtio_unlock(device);
	__atomic_store_n(&device->access_bar, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&device->access_offset, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&device->access_length, 0, __ATOMIC_RELAXED);
}

static void function_bus_master(void *user, bool enabled)
{
	struct peal_virtio *device = user;

	for (unsigned i = 0; i < device->config.num_queues; i++) {
		/* Whoever had asked for the space before is done with it after this. Notifications
		 * that came while there was none are made up for. */
		if (enabled)
			peal_virtio_kick(device, i);
		else
			virtio_queue_sync(&device->queues[i]);
	}
}

static void function_doorbells(void *user, struct peal_pci_doorbells *ret)
{
	const struct peal_virtio *device = user;

	*ret = (struct peal_pci_doorbells){
		.bar = VIRTIO_BAR,
		.offset = VIRTIO_BAR_NOTIFY,
		.stride = VIRTIO_NOTIFY_MULTIPLIER,
		.count = device->config.num_queues,
		.size = 2, /* §4.1.5.2: the 16 bits of the queue's number */
	};
}

static const struct peal_pci_function_ops function_ops = {
	.reset = function_reset,
	.bus_master = function_bus_master,
	.state = &virtio_state_ops,
	.doorbells = function_doorbells,
};

/* Of a class that has a state and does not say how it is saved. */
static const struct peal_pci_function_ops function_ops_without_state = {
	.reset = function_reset,
	.bus_master = function_bus_master,
	.doorbells = function_doorbells,
};

static const struct peal_pci_bar_ops bar_ops = {
	.read = bar_read,
	.write = bar_write,
};

/* ---- the PCI access capability ---- */

static uint32_t *access_field(struct peal_virtio *device, const struct peal_reg *reg)
{
	if (reg->offset == PEAL_VIRTIO_PCI_CAP_BAR)
		return &device->access_bar;
	if (reg->offset == PEAL_VIRTIO_PCI_CAP_OFFSET)
		return &device->access_offset;
	return &device->access_length;
}

static uint64_t read_access_field(void *owner, const struct peal_reg *reg, unsigned index)
{
	(void)index;
	return __atomic_load_n(access_field(owner, reg), __ATOMIC_RELAXED);
}

static void write_access_field(void *owner, const struct peal_reg_write *write)
{
	__atomic_store_n(access_field(owner, write->reg), (uint32_t)write->value, __ATOMIC_RELAXED);
}

struct access {
	unsigned bar;
	uint32_t offset;
	unsigned length;
};

/* §4.1.4.9.1: 1, 2 or 4 bytes, aligned, in a BAR that is there; else nothing happens. */
static bool get_access(struct peal_virtio *device, struct access *access)
{
	access->bar = __atomic_load_n(&device->access_bar, __ATOMIC_RELAXED);
	access->offset = __atomic_load_n(&device->access_offset, __ATOMIC_RELAXED);
	access->length = __atomic_load_n(&device->access_length, __ATOMIC_RELAXED);
	return access->bar < PEAL_PCI_BARS && access->length <= 4 &&
	       peal_is_power_of_two(access->length) && access->offset % access->length == 0 &&
	       peal_in_range(access->offset, access->length,
			     peal_pci_bar_size(device->function, access->bar));
}

static uint64_t read_access_data(void *owner, const struct peal_reg *reg, unsigned index)
{
	struct peal_virtio *device = owner;
	struct access a;

	(void)reg;
	(void)index;
	if (!get_access(device, &a))
		return 0;
	return peal_pci_bar_read(device->function, a.bar, a.offset, a.length);
}

static void write_access_data(void *owner, const struct peal_reg_write *write)
{
	struct peal_virtio *device = owner;
	struct access a;

	if (get_access(device, &a))
		peal_pci_bar_write(device->function, a.bar, a.offset, a.length,
				   write->value & peal_ones(a.length));
}

/* Data is a register with state only so that writing it does not read the BAR. */
/* clang-format off */
const struct peal_reg virtio_pci_access_rows[] = {
	PEAL_PCI_CAPABILITY_HEADER,
	{ .offset = PEAL_VIRTIO_PCI_CAP_LEN, .width = 1, .flags = PEAL_REG_CONST,
	  .reset = PCI_ACCESS_SIZE, .name = "cap_len", .section = "4.1.4" },
	{ .offset = PEAL_VIRTIO_PCI_CAP_TYPE, .width = 1, .flags = PEAL_REG_CONST,
	  .reset = PEAL_VIRTIO_PCI_CAP_PCI, .name = "cfg_type", .section = "4.1.4" },
	{ .offset = PEAL_VIRTIO_PCI_CAP_BAR, .width = 1, .flags = PEAL_REG_HOOKED, .rw = 0xff,
	  .read = read_access_field, .write = write_access_field,
	  .name = "cap.bar", .section = "4.1.4.9" },
	{ .offset = PEAL_VIRTIO_PCI_CAP_OFFSET, .width = 4, .flags = PEAL_REG_HOOKED,
	  .rw = 0xffffffff, .read = read_access_field, .write = write_access_field,
	  .name = "cap.offset", .section = "4.1.4.9" },
	{ .offset = PEAL_VIRTIO_PCI_CAP_LENGTH, .width = 4, .flags = PEAL_REG_HOOKED,
	  .rw = 0xffffffff, .read = read_access_field, .write = write_access_field,
	  .name = "cap.length", .section = "4.1.4.9" },
	{ .offset = PCI_ACCESS_DATA_OFFSET, .width = 4, .rw = 0xffffffff,
	  .read = read_access_data, .write = write_access_data,
	  .name = "pci_cfg_data", .section = "4.1.4.9" },
};
/* clang-format on */
const unsigned virtio_pci_access_nrows = PEAL_COUNT_OF(virtio_pci_access_rows);

/* ---- making it ---- */

static int add_structure(struct peal_virtio *device, uint8_t type, uint32_t offset, uint32_t length)
{
	bool notify = type == PEAL_VIRTIO_PCI_CAP_NOTIFY;
	uint8_t cap[PEAL_VIRTIO_PCI_CAP_MULTIPLIER + 4] = { 0 };
	uint8_t size = notify ? sizeof(cap) : PEAL_VIRTIO_PCI_CAP_SIZE;

	cap[PEAL_VIRTIO_PCI_CAP_LEN] = size;
	cap[PEAL_VIRTIO_PCI_CAP_TYPE] = type;
	cap[PEAL_VIRTIO_PCI_CAP_BAR] = VIRTIO_BAR;
	peal_store_le(cap + PEAL_VIRTIO_PCI_CAP_OFFSET, 4, offset);
	peal_store_le(cap + PEAL_VIRTIO_PCI_CAP_LENGTH, 4, length);
	if (notify)
		peal_store_le(cap + PEAL_VIRTIO_PCI_CAP_MULTIPLIER, 4, VIRTIO_NOTIFY_MULTIPLIER);
	return peal_pci_function_add_vendor(device->function, cap + 2, size, NULL);
}

static int add_structures(struct peal_virtio *device)
{
	const struct peal_virtio_config *c = &device->config;
	int r = add_structure(device, PEAL_VIRTIO_PCI_CAP_COMMON, VIRTIO_BAR_COMMON,
			      PEAL_VIRTIO_COMMON_SIZE);

	if (r == 0)
		r = add_structure(device, PEAL_VIRTIO_PCI_CAP_ISR, VIRTIO_BAR_ISR, 1);
	if (r == 0 && c->config_size)
		r = add_structure(device, PEAL_VIRTIO_PCI_CAP_DEVICE, VIRTIO_BAR_DEVICE,
				  c->config_size);
	if (r == 0)
		r = add_structure(device, PEAL_VIRTIO_PCI_CAP_NOTIFY, VIRTIO_BAR_NOTIFY,
				  c->num_queues * VIRTIO_NOTIFY_MULTIPLIER);
	if (r == 0)
		r = peal_pci_function_add_capability(device->function, CAP_ID_VENDOR, 0,
						     PCI_ACCESS_SIZE, virtio_pci_access_rows,
						     virtio_pci_access_nrows, device, NULL);
	return r;
}

static void make_bank(struct peal_virtio *device)
{
	const struct peal_reg_group common = {
		.base = VIRTIO_BAR_COMMON,
		.size = PEAL_VIRTIO_COMMON_SIZE,
		.rows = virtio_common_rows,
		.nrows = virtio_common_nrows,
		.state = device->common,
		.owner = device,
	};
	const struct peal_reg_group isr = {
		.base = VIRTIO_BAR_ISR,
		.size = 1,
		.rows = virtio_isr_rows,
		.nrows = virtio_isr_nrows,
		.owner = device,
	};
	int r = peal_reg_bank_add(&device->bank, &common);

	PEAL_ASSERT(r == 0);
	r = peal_reg_bank_add(&device->bank, &isr);
	PEAL_ASSERT(r == 0);
}

int virtio_pci_init(struct peal_virtio *device)
{
	const struct peal_virtio_config *c = &device->config;
	const struct peal_pci_function_config config = {
		.host = c->host,
		.vendor_id = PEAL_VIRTIO_PCI_VENDOR,
		.device_id = (uint16_t)(PEAL_VIRTIO_PCI_MODERN + c->device_type),
		.subsystem_vendor_id = PEAL_VIRTIO_PCI_VENDOR,
		.subsystem_id = (uint16_t)(SUBSYSTEM_ID_BASE + c->device_type),
		.revision_id = 1,
		.interrupt_pin = 1,
		.class_code = c->class_code,
		.ops = !c->ops->reset || c->ops->save ? &function_ops : &function_ops_without_state,
		.user = device,
	};
	int r = peal_pci_function_new(&device->function, &config);

	if (r < 0)
		return r;
	make_bank(device);
	r = peal_pci_function_add_bar(device->function, VIRTIO_BAR,
				      PEAL_PCI_BAR_MEM64 | PEAL_PCI_BAR_PREFETCHABLE,
				      VIRTIO_BAR_SIZE, &bar_ops, device);
	if (r == 0)
		r = peal_pci_function_add_power_management(device->function);
	if (r == 0)
		r = peal_pci_function_add_pci_express(device->function);
	if (r == 0 && c->vectors)
		r = peal_pci_function_add_msix_exclusive(device->function, c->vectors,
							 VIRTIO_MSIX_BAR);
	if (r == 0)
		r = add_structures(device);
	if (r == 0)
		device->msix = peal_pci_function_msix(device->function);
	return r;
}
