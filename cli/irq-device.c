/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * uapi linux/vfio.h (VFIO_DEVICE_SET_IRQS); PCI Local Bus 3.0 §6.8 (MSI, MSI-X) and §6.2.3 (Interrupt
 * Status); <peal/bell.h>.
 *
 * INTx is masked through VFIO; MSI and MSI-X are at the device, as in a guest.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <peal/bell.h>
#include <peal/bits.h>

#include "irq-device.h"
#include "options.h"
#include "vfio-print.h"

#define COMMAND          0x04u
#define COMMAND_MEMORY   0x0002u
#define COMMAND_MASTER   0x0004u
#define COMMAND_INTX_OFF 0x0400u
#define STATUS           0x06u
#define STATUS_CAP       0x0010u
#define STATUS_INTX      0x0008u
#define CAPABILITIES     0x34u
#define ID_MSI           0x05u
#define ID_MSIX          0x11u
#define CAPS_MAX         48u /* that fit into the space */
#define ENTRY_SIZE       16u
#define ENTRY_CONTROL    12u
#define ENTRY_MASK       1u

/* ---- registers ---- */

static int get(struct irq_device *device, unsigned region, uint64_t offset, unsigned size,
	       uint32_t *ret)
{
	uint8_t bytes[4];
	int r = peal_vfio_region_read(device->target->device, region, offset, bytes, size);

	if (r < 0)
		return vfio_target_failed(device->target, "reading a register", r);
	*ret = (uint32_t)peal_load_le(bytes, size);
	return CLI_OK;
}

static int put(struct irq_device *device, unsigned region, uint64_t offset, unsigned size,
	       uint32_t value)
{
	uint8_t bytes[4];
	int r;

	peal_store_le(bytes, size, value);
	r = peal_vfio_region_write(device->target->device, region, offset, bytes, size);
	return r < 0 ? vfio_target_failed(device->target, "writing a register", r) : CLI_OK;
}

static int get_config(struct irq_device *device, uint32_t offset, unsigned size, uint32_t *ret)
{
	return get(device, PEAL_VFIO_REGION_CONFIG, offset, size, ret);
}

static int put_config(struct irq_device *device, uint32_t offset, unsigned size, uint32_t value)
{
	return put(device, PEAL_VFIO_REGION_CONFIG, offset, size, value);
}

/* ---- finding ---- */

static int find_capability(struct irq_device *device, unsigned id, uint32_t *ret)
{
	uint32_t status = 0, at = 0, head = 0;
	int r = get_config(device, STATUS, 2, &status);

	*ret = 0;
	if (r != CLI_OK || !(status & STATUS_CAP))
		return r;
	r = get_config(device, CAPABILITIES, 1, &at);
	for (unsigned i = 0; r == CLI_OK && i < CAPS_MAX && (at & ~3u); i++) {
		at &= ~3u;
		r = get_config(device, at, 2, &head);
		if (r == CLI_OK && (head & 0xff) == id) {
			*ret = at;
			return CLI_OK;
		}
		at = head >> 8;
	}
	return r;
}

/* §6.8.2: table and PBA are offsets into BARs. */
static int find_msix(struct irq_device *device)
{
	int r = find_capability(device, ID_MSIX, &device->at);

	if (r != CLI_OK || !device->at)
		return r;
	r = get_config(device, device->at + 4, 4, &device->table);
	if (r == CLI_OK)
		r = get_config(device, device->at + 8, 4, &device->pba);
	device->table_bar = device->table & 7;
	device->table &= ~7u;
	device->pba_bar = device->pba & 7;
	device->pba &= ~7u;
	return r;
}

/* §6.8.1: bit 7 of Message Control, 64-bit addresses; bit 8, masks. */
static int find_msi(struct irq_device *device)
{
	uint32_t control = 0;
	int r = find_capability(device, ID_MSI, &device->at);

	if (r == CLI_OK && device->at)
		r = get_config(device, device->at + 2, 2, &control);
	if (control & 0x0100)
		device->mask_at = device->at + (control & 0x0080 ? 0x10 : 0x0c);
	return r;
}

static int check_bell(struct irq_device *device)
{
	struct peal_vfio_region_info info;
	uint32_t id = 0, magic = 0, vectors = 0;
	int r = get_config(device, 0, 4, &id);

	if (r != CLI_OK)
		return r;
	if (id == (PEAL_BELL_DEVICE_ID << 16 | PEAL_BELL_VENDOR_ID) &&
	    peal_vfio_region_info(device->target->device, PEAL_BELL_BAR, &info) == 0 &&
	    info.size >= PEAL_BELL_BAR_SIZE) {
		r = get(device, PEAL_BELL_BAR, PEAL_BELL_ID, 4, &magic);
		if (r == CLI_OK)
			r = get(device, PEAL_BELL_BAR, PEAL_BELL_VECTORS, 4, &vectors);
	}
	if (r != CLI_OK)
		return r;
	if (magic != PEAL_BELL_MAGIC || !vectors)
		return cli_error(CLI_FAILED, "irq", "%s: --bell: the device is no bell",
				 device->target->name);
	if (device->index > PEAL_VFIO_IRQ_MSIX)
		return cli_error(CLI_USAGE, "irq", "--bell: a bell does not ring %s",
				 vfio_irq_names[device->index]);
	return CLI_OK;
}

int irq_device_find(struct irq_device *ret, struct vfio_target *target, unsigned index,
		    bool is_bell)
{
	struct peal_vfio_irq_info info;
	int r = CLI_OK;

	memset(ret, 0, sizeof(*ret));
	ret->target = target;
	ret->index = index;
	ret->is_bell = is_bell;
	for (unsigned i = 0; i < IRQ_VECTORS_MAX; i++)
		ret->vectors[i].fd = -1;
	if (peal_vfio_irq_info(target->device, index, &info) < 0 || !info.count)
		return cli_error(CLI_FAILED, "irq", "%s: has no %s", target->name,
				 vfio_irq_names[index]);
	ret->count = info.count < IRQ_VECTORS_MAX ? info.count : IRQ_VECTORS_MAX;
	if (!vfio_print_has_config(target))
		return is_bell ? cli_error(CLI_FAILED, "irq", "%s: --bell: not a PCI device",
					   target->name)
			       : CLI_OK;
	if (index == PEAL_VFIO_IRQ_MSIX)
		r = find_msix(ret);
	else if (index == PEAL_VFIO_IRQ_MSI)
		r = find_msi(ret);
	return r == CLI_OK && is_bell ? check_bell(ret) : r;
}

/* ---- requests ---- */

static struct peal_irqset_request request_of(const struct irq_device *device, uint32_t flags,
					     uint32_t start, uint32_t count, size_t size)
{
	return (struct peal_irqset_request){
		.argsz = (uint32_t)(PEAL_VFIO_IRQ_REQUEST_SIZE + size),
		.flags = flags,
		.index = device->index,
		.start = start,
		.count = count,
	};
}

static int set_irqs(struct irq_device *device, uint32_t flags, uint32_t start, uint32_t count,
		    const void *data, size_t size, const char *what)
{
	const struct peal_irqset_request request = request_of(device, flags, start, count, size);
	int r = peal_vfio_set_irqs(device->target->device, &request, data, size);

	if (r > 0)
		return cli_error(CLI_FAILED, "irq", "%s: %s: there are only %d vectors",
				 device->target->name, what, r);
	return r < 0 ? vfio_target_failed(device->target, what, r) : CLI_OK;
}

/* The chosen vectors: from START, COUNT, with gaps or without. */
static bool range_of(const struct irq_device *device, uint32_t *start, uint32_t *count)
{
	uint32_t chosen = 0, last = 0;

	*start = device->count;
	for (uint32_t i = 0; i < device->count; i++) {
		if (!device->vectors[i].chosen)
			continue;
		if (!chosen++)
			*start = i;
		last = i;
	}
	*count = last + 1 - *start;
	return chosen == *count;
}

/* ---- life ---- */

/* As many descriptors as vectors. */
static int open_eventfds(struct irq_device *device)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	for (unsigned i = 0; i < device->count; i++) {
		struct irq_vector *v = &device->vectors[i];

		if (!v->chosen)
			continue;
		v->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (v->fd < 0)
			return cli_error(CLI_FAILED, "irq", "eventfd of vector %u: %s", i,
					 strerror(errno));
	}
	return CLI_OK;
}

/* Memory decodes and messages can be sent; INTx is on. */
static int enable_device(struct irq_device *device)
{
	uint32_t command = 0, control = 0;
	int r;

	if (!vfio_print_has_config(device->target))
		return CLI_OK;
	r = get_config(device, COMMAND, 2, &command);
	if (r == CLI_OK && device->at)
		r = get_config(device, device->at + 2, 2, &control);
	if (r != CLI_OK)
		return r;
	device->command = (uint16_t)command;
	device->control = (uint16_t)control;
	device->has_command = true;
	return put_config(device, COMMAND, 2,
			  (command | COMMAND_MEMORY | COMMAND_MASTER) & ~COMMAND_INTX_OFF);
}

int irq_device_enable(struct irq_device *device)
{
	int32_t fds[IRQ_VECTORS_MAX];
	uint32_t start, count;
	int r = open_eventfds(device);

	if (r == CLI_OK)
		r = enable_device(device);
	if (r != CLI_OK)
		return r;
	(void)range_of(device, &start, &count);
	for (uint32_t i = 0; i < count; i++)
		fds[i] = device->vectors[start + i].fd;
	device->is_on = true;
	return set_irqs(device, PEAL_VFIO_DATA_EVENTFD | PEAL_VFIO_ACTION_TRIGGER, start, count,
			fds, count * sizeof(fds[0]), "enabling");
}

static void put_back(struct irq_device *device, unsigned region, uint64_t offset, unsigned size,
		     uint32_t value)
{
	uint8_t bytes[4];

	peal_store_le(bytes, size, value);
	(void)peal_vfio_region_write(device->target->device, region, offset, bytes, size);
}

static void put_masks_back(struct irq_device *device)
{
	if (device->touched)
		put_back(device, PEAL_VFIO_REGION_CONFIG, device->mask_at, 4, device->mask);
	for (unsigned i = 0; i < device->count; i++) {
		const struct irq_vector *v = &device->vectors[i];

		if (v->touched)
			put_back(device, device->table_bar,
				 device->table + (uint64_t)i * ENTRY_SIZE + ENTRY_CONTROL, 4,
				 v->control);
	}
}

/* What fails here has failed before. */
void irq_device_done(struct irq_device *device)
{
	for (unsigned i = 0; i < device->count; i++) {
		if (device->vectors[i].fd >= 0)
			(void)close(device->vectors[i].fd);
		device->vectors[i].fd = -1;
	}
	if (device->is_on) {
		const struct peal_irqset_request off =
			request_of(device, PEAL_VFIO_DATA_NONE | PEAL_VFIO_ACTION_TRIGGER, 0, 0, 0);

		put_masks_back(device);
		(void)peal_vfio_set_irqs(device->target->device, &off, NULL, 0);
	}
	if (device->is_on && device->at)
		put_back(device, PEAL_VFIO_REGION_CONFIG, device->at + 2, 2, device->control);
	if (device->has_command)
		put_back(device, PEAL_VFIO_REGION_CONFIG, COMMAND, 2, device->command);
}

/* ---- counting ---- */

static int unmask_intx(struct irq_device *device)
{
	return set_irqs(device, PEAL_VFIO_DATA_NONE | PEAL_VFIO_ACTION_UNMASK, 0, 1, NULL, 0,
			"unmasking intx");
}

/* What a handler does: the device lets go of its line, then the mask that VFIO has set is lifted. */
static int acknowledge(struct irq_device *device)
{
	int r = put(device, PEAL_BELL_BAR, PEAL_BELL_CAUSE, 4, 1);

	return r == CLI_OK && !device->masked ? unmask_intx(device) : r;
}

int irq_device_look(struct irq_device *device)
{
	bool is_level = device->index == PEAL_VFIO_IRQ_INTX && device->is_bell;
	int r = CLI_OK;

	for (unsigned i = 0; r == CLI_OK && i < device->count; i++) {
		struct irq_vector *v = &device->vectors[i];
		uint64_t value;

		if (v->fd < 0 || read(v->fd, &value, sizeof(value)) != (ssize_t)sizeof(value))
			continue;
		v->arrived += value;
		if (is_level)
			r = acknowledge(device);
	}
	return r;
}

int irq_device_pending(struct irq_device *device, unsigned vector, bool *known, bool *ret)
{
	uint32_t bit = device->index == PEAL_VFIO_IRQ_INTX ? STATUS_INTX : 1u << vector % 32;
	uint32_t value = 0;
	int r = CLI_OK;

	*known = *ret = false;
	if (device->index == PEAL_VFIO_IRQ_MSIX && device->at)
		r = get(device, device->pba_bar, device->pba + vector / 32 * 4u, 4, &value);
	else if (device->index == PEAL_VFIO_IRQ_MSI && device->mask_at)
		r = get_config(device, device->mask_at + 4, 4, &value);
	else if (device->index == PEAL_VFIO_IRQ_INTX && device->has_command)
		r = get_config(device, STATUS, 2, &value);
	else
		return CLI_OK;
	*known = r == CLI_OK;
	*ret = value & bit;
	return r;
}

/* ---- ringing ---- */

static int loop_back(struct irq_device *device)
{
	uint8_t bools[IRQ_VECTORS_MAX];
	uint32_t start, count;

	if (range_of(device, &start, &count))
		return set_irqs(device, PEAL_VFIO_DATA_NONE | PEAL_VFIO_ACTION_TRIGGER, start,
				count, NULL, 0, "ringing");
	for (uint32_t i = 0; i < count; i++)
		bools[i] = device->vectors[start + i].chosen;
	return set_irqs(device, PEAL_VFIO_DATA_BOOL | PEAL_VFIO_ACTION_TRIGGER, start, count, bools,
			count, "ringing");
}

/* Loopback does not look at masks; a device does, and keeps one interrupt for later. */
int irq_device_ring(struct irq_device *device)
{
	int r = device->is_bell ? CLI_OK : loop_back(device);

	for (unsigned i = 0; r == CLI_OK && i < device->count; i++) {
		struct irq_vector *v = &device->vectors[i];

		if (!v->chosen)
			continue;
		if (device->is_bell)
			r = put(device, PEAL_BELL_BAR, PEAL_BELL_RING_EACH + 4 * i, 4, 1);
		if (device->is_bell && device->masked)
			v->pends = true;
		else
			v->expected++;
	}
	/* A line that is not let go of does not ring again. */
	return r == CLI_OK && device->index == PEAL_VFIO_IRQ_INTX ? irq_device_look(device) : r;
}

int irq_device_ring_at(struct irq_device *device, uint64_t rate)
{
	const struct {
		uint32_t offset, value;
	} writes[] = {
		{ PEAL_BELL_ROUNDS, PEAL_BELL_ENDLESS },
		{ PEAL_BELL_PERIOD, (uint32_t)(1000000 / (rate ? rate : 1)) },
		{ PEAL_BELL_CONTROL, 1 },
	};
	uint32_t start, count;
	int r;

	if (!rate)
		return put(device, PEAL_BELL_BAR, PEAL_BELL_CONTROL, 4, 0);
	(void)range_of(device, &start, &count);
	r = put(device, PEAL_BELL_BAR, PEAL_BELL_FIRST, 4, start);
	if (r == CLI_OK)
		r = put(device, PEAL_BELL_BAR, PEAL_BELL_COUNT, 4, count);
	for (size_t i = 0; r == CLI_OK && i < PEAL_COUNT_OF(writes); i++)
		r = put(device, PEAL_BELL_BAR, writes[i].offset, 4, writes[i].value);
	return r;
}

/* ---- masks ---- */

static int mask_intx(struct irq_device *device, bool mask)
{
	if (!mask)
		return unmask_intx(device);
	return set_irqs(device, PEAL_VFIO_DATA_NONE | PEAL_VFIO_ACTION_MASK, 0, 1, NULL, 0,
			"masking intx");
}

static int mask_msix(struct irq_device *device, struct irq_vector *v, bool mask)
{
	uint64_t at = device->table + (uint64_t)(v - device->vectors) * ENTRY_SIZE + ENTRY_CONTROL;
	uint32_t control = 0;
	int r = get(device, device->table_bar, at, 4, &control);

	if (r != CLI_OK)
		return r;
	if (!v->touched)
		v->control = control;
	v->touched = true;
	return put(device, device->table_bar, at, 4,
		   mask ? control | ENTRY_MASK : control & ~ENTRY_MASK);
}

static int mask_msi(struct irq_device *device, bool mask)
{
	uint32_t bits = 0, value = 0;
	int r = get_config(device, device->mask_at, 4, &value);

	if (r != CLI_OK)
		return r;
	if (!device->touched)
		device->mask = value;
	device->touched = true;
	for (unsigned i = 0; i < device->count && i < 32; i++)
		bits |= device->vectors[i].chosen ? 1u << i : 0;
	return put_config(device, device->mask_at, 4, mask ? value | bits : value & ~bits);
}

int irq_device_mask(struct irq_device *device, bool mask)
{
	int r = CLI_OK;

	device->masked = mask;
	for (unsigned i = 0; i < device->count && !mask; i++) {
		device->vectors[i].expected += device->vectors[i].pends;
		device->vectors[i].pends = false;
	}
	if (device->index == PEAL_VFIO_IRQ_INTX)
		return mask_intx(device, mask);
	if (device->index == PEAL_VFIO_IRQ_MSI && device->mask_at)
		return mask_msi(device, mask);
	if (device->index != PEAL_VFIO_IRQ_MSIX || !device->at)
		return cli_error(CLI_FAILED, "irq", "%s: %s cannot be masked here",
				 device->target->name, vfio_irq_names[device->index]);
	for (unsigned i = 0; r == CLI_OK && i < device->count; i++) {
		if (device->vectors[i].chosen)
			r = mask_msix(device, &device->vectors[i], mask);
	}
	return r;
}
