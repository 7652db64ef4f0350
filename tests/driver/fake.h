/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A scripted virtio device and the system it is reached through, as struct peal_driver_ops. It does
 * what the specification says until a field tells it to lie, and stops the test when the driver
 * does what no driver may: an access of another width than the field's, outside a BAR, while the
 * function does not decode; a queue enabled before its addresses; DMA memory freed while a device
 * that was not reset can still reach it.
 */
#ifndef PEAL_TESTS_DRIVER_FAKE_H
#define PEAL_TESTS_DRIVER_FAKE_H

#include <support.h>

#include <peal/driver.h>
#include <peal/virtio-abi.h>

#define FAKE_BAR          4u
#define FAKE_BAR_SIZE     0x1000u
#define FAKE_COMMON       0x000u
#define FAKE_ISR          0x100u
#define FAKE_DEVICE       0x200u
#define FAKE_NOTIFY       0x300u
#define FAKE_QUEUES       8u
#define FAKE_VECTORS      16u
#define FAKE_DMA_OFFSET   UINT64_C(0x100000000000) /* device address - CPU address */
#define FAKE_DISK_SECTORS 256u

/* Positions of the capabilities that fake_init writes. */
#define FAKE_CAP_COMMON 0x40u
#define FAKE_CAP_NOTIFY 0x50u
#define FAKE_CAP_ISR    0x64u
#define FAKE_CAP_DEVICE 0x74u
#define FAKE_CAP_SPARE  0x90u

struct fake_bar {
	uint64_t size; /* 0: none */
	bool is_io;
};

struct fake_queue {
	uint16_t size_max;
	uint16_t size;
	uint16_t vector;
	uint16_t enable;
	uint64_t desc, driver, device;
	uint16_t seen;          /* available entries taken */
	uint16_t used;          /* used entries written */
	unsigned notifications; /* atomic */
};

struct fake_handler {
	void (*handler)(void *arg);
	void *arg;
	unsigned cpu_hint;
};

struct fake {
	struct test_host th;
	uint8_t config[256];
	struct fake_bar bars[6];

	/* Registers. */
	uint64_t offered, accepted;
	uint32_t feature_select, accepted_select;
	uint16_t config_vector, num_queues, queue_select;
	uint8_t status, generation;
	struct fake_queue queues[FAKE_QUEUES];
	uint32_t multiplier;
	uint16_t notify_off_base;
	uint8_t device[64];

	/* Lies. */
	bool refuse_features;       /* FEATURES_OK does not stay */
	bool refuse_ok;             /* NEEDS_RESET instead of DRIVER_OK */
	bool never_reset;           /* status never reads 0 again */
	unsigned reset_polls;       /* reads of the status before a reset is done */
	unsigned vectors;           /* vectors from here on read back NO_VECTOR */
	bool refuse_config_vector;  /* the one for configuration changes alone */
	bool ignore_size;           /* a smaller queue size is not taken */
	unsigned generation_steps;  /* reads of config_generation that still change it */
	unsigned status_never_zero; /* internal of reset_polls */

	/* The system. */
	unsigned irq_limit;     /* most vectors it has */
	int irq_fail_at;        /* irq_setup of this number fails; -1 none */
	int irq_setups;         /* so far */
	unsigned irq_allocated; /* now */
	unsigned irq_allocs;    /* successful ones so far */
	unsigned irq_last_count;
	struct fake_handler handlers[FAKE_VECTORS];
	unsigned handlers_live;
	int64_t dma_fail_at, dma_points, dma_live;
	uint64_t delayed_us;
	unsigned config_writes, bar_accesses;
	unsigned resets;        /* status writes of 0 */
	uint8_t status_log[64]; /* values written */
	unsigned status_logged;
	struct {
		uint16_t offset, size;
		bool write;
	} device_log[64];
	unsigned device_logged;
	void (*notified)(struct fake *fake, unsigned queue); /* in bar_write */

	uint8_t disk[FAKE_DISK_SECTORS * 512];
};

/* ---- configuration space ---- */

static inline void fake_set_config(struct fake *fake, uint32_t offset, unsigned size,
				   uint64_t value)
{
	peal_store_le(fake->config + offset, size, value);
}

static inline void fake_capability(struct fake *fake, uint8_t position, uint8_t next,
				   uint8_t length, uint8_t type, uint8_t bar, uint32_t offset,
				   uint32_t size)
{
	uint8_t *cap = fake->config + position;

	cap[0] = 9;
	cap[1] = next;
	cap[2] = length;
	cap[3] = type;
	cap[4] = bar;
	peal_store_le(cap + 8, 4, offset);
	peal_store_le(cap + 12, 4, size);
}

static inline unsigned fake_command(const struct fake *fake)
{
	return (unsigned)peal_load_le(fake->config + 4, 2);
}

static inline uint64_t fake_config_read(void *user, uint32_t offset, unsigned size)
{
	struct fake *fake = (struct fake *)user;

	thread_assert((size == 1 || size == 2 || size == 4) && offset % size == 0);
	thread_assert(peal_in_range(offset, size, sizeof(fake->config)));
	return peal_load_le(fake->config + offset, size);
}

static inline void fake_config_write(void *user, uint32_t offset, unsigned size, uint64_t value)
{
	struct fake *fake = (struct fake *)user;

	thread_assert(offset == 4 && size == 2);
	fake->config_writes++;
	fake_set_config(fake, offset, size, value);
}

static inline int fake_bar_info(void *user, unsigned bar, uint64_t *size, bool *is_io)
{
	struct fake *fake = (struct fake *)user;

	thread_assert(bar < 6);
	if (!fake->bars[bar].size)
		return -ENOENT;
	*size = fake->bars[bar].size;
	*is_io = fake->bars[bar].is_io;
	return 0;
}

/* ---- registers ---- */

/* Width of the field at an offset of the common configuration, 0: there is none. */
static inline unsigned fake_width(uint64_t offset)
{
	static const struct {
		uint8_t offset, width;
	} fields[] = { { 0, 4 },  { 4, 4 },  { 8, 4 },  { 12, 4 }, { 16, 2 }, { 18, 2 }, { 20, 1 },
		       { 21, 1 }, { 22, 2 }, { 24, 2 }, { 26, 2 }, { 28, 2 }, { 30, 2 }, { 32, 4 },
		       { 36, 4 }, { 40, 4 }, { 44, 4 }, { 48, 4 }, { 52, 4 } };

	for (unsigned i = 0; i < PEAL_COUNT_OF(fields); i++)
		if (fields[i].offset == offset)
			return fields[i].width;
	return 0;
}

static inline struct fake_queue *fake_selected(struct fake *fake)
{
	return fake->queue_select < fake->num_queues ? &fake->queues[fake->queue_select] : NULL;
}

static inline uint8_t fake_read_status(struct fake *fake)
{
	if (fake->status_never_zero) {
		fake->status_never_zero--;
		return 0x8f;
	}
	if (fake->never_reset && fake->resets)
		return 0x8f;
	return fake->status;
}

static inline uint64_t fake_common_read(struct fake *fake, uint64_t offset)
{
	const struct fake_queue *queue = fake_selected(fake);

	switch (offset) {
	case PEAL_VIRTIO_COMMON_DEVICE_FEATURE:
		return fake->feature_select < 2
			       ? (uint32_t)(fake->offered >> (32 * fake->feature_select))
			       : 0;
	case PEAL_VIRTIO_COMMON_CONFIG_MSIX_VECTOR:
		return fake->config_vector;
	case PEAL_VIRTIO_COMMON_NUM_QUEUES:
		return fake->num_queues;
	case PEAL_VIRTIO_COMMON_DEVICE_STATUS:
		return fake_read_status(fake);
	case PEAL_VIRTIO_COMMON_CONFIG_GENERATION:
		if (fake->generation_steps) {
			fake->generation_steps--;
			fake->generation++;
		}
		return fake->generation;
	case PEAL_VIRTIO_COMMON_QUEUE_SIZE:
		return queue ? queue->size : 0;
	case PEAL_VIRTIO_COMMON_QUEUE_MSIX_VECTOR:
		return queue ? queue->vector : PEAL_VIRTIO_NO_VECTOR;
	case PEAL_VIRTIO_COMMON_QUEUE_ENABLE:
		return queue ? queue->enable : 0;
	case PEAL_VIRTIO_COMMON_QUEUE_NOTIFY_OFF:
		return (uint64_t)fake->queue_select + fake->notify_off_base;
	default:
		return 0;
	}
}

static inline void fake_reset(struct fake *fake)
{
	fake->resets++;
	fake->status_never_zero = fake->reset_polls;
	fake->status = 0;
	fake->accepted = 0;
	fake->config_vector = PEAL_VIRTIO_NO_VECTOR;
	for (unsigned i = 0; i < FAKE_QUEUES; i++) {
		struct fake_queue *queue = &fake->queues[i];

		queue->size = queue->size_max;
		queue->vector = PEAL_VIRTIO_NO_VECTOR;
		queue->enable = 0;
		queue->seen = queue->used = 0;
		queue->desc = queue->driver = queue->device = 0;
	}
}

static inline void fake_write_status(struct fake *fake, uint8_t status)
{
	fake->status_log[fake->status_logged++ % PEAL_COUNT_OF(fake->status_log)] = status;
	if (status == 0) {
		fake_reset(fake);
		return;
	}
	thread_assert((fake->status & ~status) == 0 || fake->never_reset);
	if (fake->refuse_features)
		status &= (uint8_t)~PEAL_VIRTIO_FEATURES_OK;
	if (fake->refuse_ok && (status & PEAL_VIRTIO_DRIVER_OK))
		status |= PEAL_VIRTIO_NEEDS_RESET;
	fake->status = status;
}

static inline uint16_t fake_vector(const struct fake *fake, uint64_t value)
{
	return (uint16_t)(value < fake->vectors ? value : PEAL_VIRTIO_NO_VECTOR);
}

static inline void fake_half(uint64_t *field, bool high, uint64_t value)
{
	*field = high ? (*field & UINT32_MAX) | value << 32
		      : (*field & ~UINT64_C(0xffffffff)) | value;
}

static inline void fake_queue_write(struct fake *fake, uint64_t offset, uint64_t value)
{
	struct fake_queue *queue = fake_selected(fake);

	thread_assert(queue);
	switch (offset) {
	case PEAL_VIRTIO_COMMON_QUEUE_SIZE:
		if (!fake->ignore_size)
			queue->size = (uint16_t)value;
		break;
	case PEAL_VIRTIO_COMMON_QUEUE_MSIX_VECTOR:
		thread_assert(!queue->enable);
		queue->vector = fake_vector(fake, value);
		break;
	case PEAL_VIRTIO_COMMON_QUEUE_ENABLE:
		thread_assert(value == 1 && queue->desc && queue->driver && queue->device);
		thread_assert((fake->status & PEAL_VIRTIO_FEATURES_OK) &&
			      !(fake->status & PEAL_VIRTIO_DRIVER_OK));
		queue->enable = 1;
		break;
	case PEAL_VIRTIO_COMMON_QUEUE_DESC:
	case PEAL_VIRTIO_COMMON_QUEUE_DESC + 4:
		fake_half(&queue->desc, offset % 8, value);
		break;
	case PEAL_VIRTIO_COMMON_QUEUE_DRIVER:
	case PEAL_VIRTIO_COMMON_QUEUE_DRIVER + 4:
		fake_half(&queue->driver, offset % 8, value);
		break;
	case PEAL_VIRTIO_COMMON_QUEUE_DEVICE:
	case PEAL_VIRTIO_COMMON_QUEUE_DEVICE + 4:
		fake_half(&queue->device, offset % 8, value);
		break;
	default:
		thread_assert(false); /* not for a driver to write */
	}
}

static inline void fake_common_write(struct fake *fake, uint64_t offset, uint64_t value)
{
	switch (offset) {
	case PEAL_VIRTIO_COMMON_DEVICE_FEATURE_SELECT:
		fake->feature_select = (uint32_t)value;
		break;
	case PEAL_VIRTIO_COMMON_DRIVER_FEATURE_SELECT:
		fake->accepted_select = (uint32_t)value;
		break;
	case PEAL_VIRTIO_COMMON_DRIVER_FEATURE:
		thread_assert(fake->accepted_select < 2);
		thread_assert(!(fake->status & PEAL_VIRTIO_FEATURES_OK));
		fake_half(&fake->accepted, fake->accepted_select, value);
		thread_assert((fake->accepted & ~fake->offered) == 0);
		break;
	case PEAL_VIRTIO_COMMON_CONFIG_MSIX_VECTOR:
		fake->config_vector = fake->refuse_config_vector ? PEAL_VIRTIO_NO_VECTOR
								 : fake_vector(fake, value);
		break;
	case PEAL_VIRTIO_COMMON_DEVICE_STATUS:
		fake_write_status(fake, (uint8_t)value);
		break;
	case PEAL_VIRTIO_COMMON_QUEUE_SELECT:
		fake->queue_select = (uint16_t)value;
		break;
	default:
		fake_queue_write(fake, offset, value);
	}
}

static inline void fake_check_access(struct fake *fake, unsigned bar, uint64_t offset,
				     unsigned size)
{
	thread_assert(bar < 6 && (size == 1 || size == 2 || size == 4) && offset % size == 0);
	thread_assert(peal_in_range(offset, size, fake->bars[bar].size));
	thread_assert(fake_command(fake) & (fake->bars[bar].is_io ? 1u : 2u));
	thread_assert(bar == FAKE_BAR);
	if (offset < FAKE_ISR)
		thread_assert(fake_width(offset) == size);
}

static inline void fake_log_device(struct fake *fake, uint64_t offset, unsigned size, bool write)
{
	unsigned n = fake->device_logged++ % PEAL_COUNT_OF(fake->device_log);

	fake->device_log[n].offset = (uint16_t)offset;
	fake->device_log[n].size = (uint16_t)size;
	fake->device_log[n].write = write;
}

static inline uint64_t fake_bar_read(void *user, unsigned bar, uint64_t offset, unsigned size)
{
	struct fake *fake = (struct fake *)user;

	fake_check_access(fake, bar, offset, size);
	fake->bar_accesses++;
	if (offset < FAKE_ISR)
		return fake_common_read(fake, offset);
	thread_assert(offset >= FAKE_DEVICE &&
		      peal_in_range(offset - FAKE_DEVICE, size, sizeof(fake->device)));
	fake_log_device(fake, offset - FAKE_DEVICE, size, false);
	return peal_load_le(fake->device + (offset - FAKE_DEVICE), size);
}

static inline void fake_bar_write(void *user, unsigned bar, uint64_t offset, unsigned size,
				  uint64_t value)
{
	struct fake *fake = (struct fake *)user;

	fake_check_access(fake, bar, offset, size);
	if (offset >= FAKE_NOTIFY) {
		unsigned index = (unsigned)value;

		thread_assert(size == 2 && index < fake->num_queues);
		thread_assert(offset == FAKE_NOTIFY + (uint64_t)(index + fake->notify_off_base) *
							      fake->multiplier);
		(void)__atomic_fetch_add(&fake->queues[index].notifications, 1, __ATOMIC_RELAXED);
		if (fake->notified)
			fake->notified(fake, index);
		return;
	}
	fake->bar_accesses++;
	if (offset < FAKE_ISR) {
		fake_common_write(fake, offset, value);
		return;
	}
	thread_assert(offset >= FAKE_DEVICE &&
		      peal_in_range(offset - FAKE_DEVICE, size, sizeof(fake->device)));
	fake_log_device(fake, offset - FAKE_DEVICE, size, true);
	peal_store_le(fake->device + (offset - FAKE_DEVICE), size, value);
}

/* ---- DMA memory ---- */

static inline int fake_dma_alloc(void *user, size_t size, size_t align, void **cpu,
				 uint64_t *address)
{
	struct fake *fake = (struct fake *)user;
	void *memory = NULL;

	thread_assert(size && peal_is_power_of_two(align));
	if (fake->dma_points++ == fake->dma_fail_at)
		return -ENOSPC;
	thread_assert(posix_memalign(&memory, align, size) == 0);
	memset(memory, 0, size);
	fake->dma_live++;
	*cpu = memory;
	*address = (uint64_t)(uintptr_t)memory + FAKE_DMA_OFFSET;
	return 0;
}

static inline void fake_dma_free(void *user, void *cpu, uint64_t address, size_t size)
{
	struct fake *fake = (struct fake *)user;

	thread_assert(address == (uint64_t)(uintptr_t)cpu + FAKE_DMA_OFFSET);
	/* §2.4: until it was reset a device may use what it was told. */
	thread_assert((fake->status == 0 && !fake->never_reset) || !(fake_command(fake) & 4));
	memset(cpu, 0xdd, size);
	free(cpu);
	fake->dma_live--;
}

static inline void *fake_pointer(uint64_t address)
{
	return (void *)(uintptr_t)(address - FAKE_DMA_OFFSET);
}

static inline uint64_t fake_address(const void *pointer)
{
	return (uint64_t)(uintptr_t)pointer + FAKE_DMA_OFFSET;
}

/* ---- interrupts ---- */

static inline int fake_irq_alloc(void *user, enum peal_irq_kind kind, unsigned count)
{
	struct fake *fake = (struct fake *)user;

	thread_assert(fake->irq_allocated == 0 && count > 0 && kind == PEAL_IRQ_MSIX);
	if (count > fake->irq_limit)
		return -ENOSPC;
	fake->irq_allocated = fake->irq_last_count = count;
	fake->irq_allocs++;
	return 0;
}

static inline void fake_irq_release(void *user)
{
	struct fake *fake = (struct fake *)user;

	thread_assert(fake->irq_allocated && fake->handlers_live == 0);
	/* The device must not know vectors that are gone. */
	thread_assert(fake->never_reset || fake->config_vector == PEAL_VIRTIO_NO_VECTOR);
	for (unsigned i = 0; i < FAKE_QUEUES; i++)
		thread_assert(fake->never_reset || fake->queues[i].vector == PEAL_VIRTIO_NO_VECTOR);
	fake->irq_allocated = 0;
}

static inline int fake_irq_setup(void *user, unsigned vector, void (*handler)(void *arg), void *arg,
				 unsigned cpu_hint)
{
	struct fake *fake = (struct fake *)user;

	thread_assert(vector < fake->irq_allocated && vector < FAKE_VECTORS);
	thread_assert(!fake->handlers[vector].handler);
	if (fake->irq_setups++ == fake->irq_fail_at)
		return -ENOMEM;
	fake->handlers[vector] = (struct fake_handler){ handler, arg, cpu_hint };
	fake->handlers_live++;
	return 0;
}

static inline void fake_irq_teardown(void *user, unsigned vector)
{
	struct fake *fake = (struct fake *)user;

	thread_assert(vector < fake->irq_allocated && fake->handlers[vector].handler);
	fake->handlers[vector].handler = NULL;
	fake->handlers_live--;
}

/* Raises a vector; nothing happens for NO_VECTOR. */
static inline void fake_raise(struct fake *fake, unsigned vector)
{
	if (vector != PEAL_VIRTIO_NO_VECTOR && fake->handlers[vector].handler)
		fake->handlers[vector].handler(fake->handlers[vector].arg);
}

static inline void fake_delay(void *user, unsigned microseconds)
{
	struct fake *fake = (struct fake *)user;

	fake->delayed_us += microseconds;
}

static const struct peal_driver_ops fake_ops = {
	.config_read = fake_config_read,
	.config_write = fake_config_write,
	.bar_info = fake_bar_info,
	.bar_read = fake_bar_read,
	.bar_write = fake_bar_write,
	.dma_alloc = fake_dma_alloc,
	.dma_free = fake_dma_free,
	.irq_alloc = fake_irq_alloc,
	.irq_release = fake_irq_release,
	.irq_setup = fake_irq_setup,
	.irq_teardown = fake_irq_teardown,
	.delay = fake_delay,
};

/* ---- the device's side of a split ring ---- */

static inline uint8_t *fake_avail(struct fake *fake, unsigned queue)
{
	return (uint8_t *)fake_pointer(fake->queues[queue].driver);
}

static inline uint8_t *fake_used(struct fake *fake, unsigned queue)
{
	return (uint8_t *)fake_pointer(fake->queues[queue].device);
}

static inline uint16_t fake_avail_index(struct fake *fake, unsigned queue)
{
	return peal_atomic_load_le16(fake_avail(fake, queue) + 2, __ATOMIC_SEQ_CST);
}

/* The next chain's head; false: there is none. */
static inline bool fake_pop(struct fake *fake, unsigned queue, uint16_t *head)
{
	struct fake_queue *q = &fake->queues[queue];

	*head = 0;
	if (fake_avail_index(fake, queue) == q->seen)
		return false;
	*head = peal_atomic_load_le16(fake_avail(fake, queue) + 4 + 2 * (q->seen % (size_t)q->size),
				      __ATOMIC_RELAXED);
	thread_assert(*head < q->size);
	q->seen++;
	return true;
}

/* Says anything. */
static inline void fake_push(struct fake *fake, unsigned queue, uint32_t id, uint32_t length)
{
	struct fake_queue *q = &fake->queues[queue];
	uint8_t *entry = fake_used(fake, queue) + 4 + 8 * (q->used % (size_t)q->size);

	peal_atomic_store_le32(entry, id, __ATOMIC_RELAXED);
	peal_atomic_store_le32(entry + 4, length, __ATOMIC_RELAXED);
	q->used++;
	peal_atomic_store_le16(fake_used(fake, queue) + 2, q->used, __ATOMIC_SEQ_CST);
}

/* Where the driver wants the interrupt, with the event index. */
static inline uint16_t fake_used_event(struct fake *fake, unsigned queue)
{
	return peal_atomic_load_le16(fake_avail(fake, queue) + 4 +
					     2 * (size_t)fake->queues[queue].size,
				     __ATOMIC_SEQ_CST);
}

static inline void fake_set_avail_event(struct fake *fake, unsigned queue, uint16_t event)
{
	peal_atomic_store_le16(fake_used(fake, queue) + 4 + 8 * (size_t)fake->queues[queue].size,
			       event, __ATOMIC_SEQ_CST);
}

struct fake_desc {
	uint64_t address;
	uint32_t length;
	uint16_t flags;
	uint16_t next;
};

static inline struct fake_desc fake_desc_at(const uint8_t *table, unsigned index)
{
	const uint8_t *desc = table + 16 * (size_t)index;

	return (struct fake_desc){
		.address = peal_atomic_load_le64(desc, __ATOMIC_RELAXED),
		.length = peal_atomic_load_le32(desc + 8, __ATOMIC_RELAXED),
		.flags = peal_atomic_load_le16(desc + 12, __ATOMIC_RELAXED),
		.next = peal_atomic_load_le16(desc + 14, __ATOMIC_RELAXED),
	};
}

#define FAKE_CHAIN_MAX 64u

/* All segments of a chain, through an indirect table; returns how many. */
static inline unsigned fake_chain(struct fake *fake, unsigned queue, uint16_t head,
				  struct fake_desc *ret)
{
	const uint8_t *table = (const uint8_t *)fake_pointer(fake->queues[queue].desc);
	unsigned limit = fake->queues[queue].size;
	unsigned n = 0;

	ret[0] = fake_desc_at(table, head);
	if (ret[0].flags & PEAL_VRING_DESC_F_INDIRECT) {
		thread_assert(ret[0].flags == PEAL_VRING_DESC_F_INDIRECT);
		thread_assert(ret[0].length && ret[0].length % 16 == 0);
		table = (const uint8_t *)fake_pointer(ret[0].address);
		limit = ret[0].length / 16;
		ret[0] = fake_desc_at(table, 0);
	}
	while (ret[n].flags & PEAL_VRING_DESC_F_NEXT) {
		thread_assert(n + 1 < FAKE_CHAIN_MAX && ret[n].next < limit);
		ret[n + 1] = fake_desc_at(table, ret[n].next);
		n++;
	}
	return n + 1;
}

/* ---- the block device ---- */

/* Does what the chain says on the disk and sets the status; returns what was written. */
static inline uint32_t fake_blk_request(struct fake *fake, const struct fake_desc *chain,
					unsigned count)
{
	const uint8_t *header = (const uint8_t *)fake_pointer(chain[0].address);
	uint8_t *status = (uint8_t *)fake_pointer(chain[count - 1].address);
	uint32_t type = (uint32_t)peal_load_le(header, 4);
	uint64_t at = peal_load_le(header + 8, 8) * 512;
	uint32_t written = 0;

	thread_assert(count >= 2 && chain[0].length == 16 && chain[count - 1].length == 1);
	thread_assert(!(chain[0].flags & PEAL_VRING_DESC_F_WRITE));
	thread_assert(chain[count - 1].flags == PEAL_VRING_DESC_F_WRITE);
	for (unsigned i = 1; i + 1 < count; i++) {
		void *data = fake_pointer(chain[i].address);

		thread_assert(!(chain[i].flags & PEAL_VRING_DESC_F_WRITE) ==
			      (type == PEAL_VIRTIO_BLK_T_OUT));
		if (type == PEAL_VIRTIO_BLK_T_GET_ID) {
			thread_assert(chain[i].length == 20);
			memcpy(data, "a fake disk\0\0\0\0\0\0\0\0\0", 20);
		} else {
			thread_assert(peal_in_range(at, chain[i].length, sizeof(fake->disk)));
			if (type == PEAL_VIRTIO_BLK_T_IN)
				memcpy(data, fake->disk + at, chain[i].length);
			else
				memcpy(fake->disk + at, data, chain[i].length);
		}
		at += chain[i].length;
		written += type == PEAL_VIRTIO_BLK_T_OUT ? 0 : chain[i].length;
	}
	*status = type == 0 || type == 1 || type == 4 || type == 8 ? 0 : 2;
	return written + 1;
}

/* Serves all that is available; returns how many. Raises nothing. */
static inline unsigned fake_blk_serve(struct fake *fake, unsigned queue)
{
	struct fake_desc chain[FAKE_CHAIN_MAX];
	unsigned served = 0;
	uint16_t head;

	for (; fake_pop(fake, queue, &head); served++)
		fake_push(fake, queue, head,
			  fake_blk_request(fake, chain, fake_chain(fake, queue, head, chain)));
	return served;
}

/* ---- setting up ---- */

/* A correct block device: 4 queues of 64, 128 KiB, all features that the driver knows. */
static inline void fake_init(struct fake *fake)
{
	memset(fake, 0, sizeof(*fake));
	test_host_init(&fake->th);
	fake_set_config(fake, 0, 2, 0x1af4);
	fake_set_config(fake, 2, 2, 0x1042);
	fake_set_config(fake, 6, 2, 0x10);
	fake_set_config(fake, 0x34, 1, FAKE_CAP_COMMON);
	fake_capability(fake, FAKE_CAP_COMMON, FAKE_CAP_NOTIFY, 16, 1, FAKE_BAR, FAKE_COMMON, 56);
	fake_capability(fake, FAKE_CAP_NOTIFY, FAKE_CAP_ISR, 20, 2, FAKE_BAR, FAKE_NOTIFY, 64);
	fake_capability(fake, FAKE_CAP_ISR, FAKE_CAP_DEVICE, 16, 3, FAKE_BAR, FAKE_ISR, 1);
	fake_capability(fake, FAKE_CAP_DEVICE, 0, 16, 4, FAKE_BAR, FAKE_DEVICE, 64);
	fake->multiplier = 4;
	fake_set_config(fake, FAKE_CAP_NOTIFY + 16, 4, fake->multiplier);
	fake->bars[FAKE_BAR].size = FAKE_BAR_SIZE;

	fake->offered = PEAL_BIT(PEAL_VIRTIO_F_VERSION_1) | PEAL_BIT(PEAL_VIRTIO_F_EVENT_IDX) |
			PEAL_BIT(PEAL_VIRTIO_F_INDIRECT_DESC) |
			PEAL_BIT(PEAL_VIRTIO_BLK_F_SEG_MAX) | PEAL_BIT(PEAL_VIRTIO_BLK_F_BLK_SIZE) |
			PEAL_BIT(PEAL_VIRTIO_BLK_F_FLUSH) | PEAL_BIT(PEAL_VIRTIO_BLK_F_MQ);
	fake->num_queues = 4;
	for (unsigned i = 0; i < FAKE_QUEUES; i++)
		fake->queues[i].size_max = 64;
	fake->vectors = FAKE_VECTORS;
	fake->irq_limit = FAKE_VECTORS;
	fake->irq_fail_at = -1;
	fake->dma_fail_at = -1;
	fake_reset(fake);
	fake->resets = 0;

	peal_store_le(fake->device + PEAL_VIRTIO_BLK_CAPACITY, 8, FAKE_DISK_SECTORS);
	peal_store_le(fake->device + PEAL_VIRTIO_BLK_SEG_MAX, 4, 8);
	peal_store_le(fake->device + PEAL_VIRTIO_BLK_BLK_SIZE, 4, 4096);
	peal_store_le(fake->device + PEAL_VIRTIO_BLK_NUM_QUEUES, 2, 4);
}

/* Nothing is left of a driver; the device is reset and quiet. */
static inline void fake_check_clean(const struct fake *fake)
{
	test_host_done(&fake->th);
	assert_int_equal(fake->dma_live, 0);
	assert_int_equal(fake->irq_allocated, 0);
	assert_int_equal(fake->handlers_live, 0);
	assert_int_equal(fake_command(fake) & 4, 0);
	if (!fake->never_reset)
		assert_int_equal(fake->status, 0);
}

/* The config of a virtio driver on the fake. */
static inline struct peal_virtio_driver_config fake_config(struct fake *fake)
{
	return (struct peal_virtio_driver_config){
		.host = &fake->th.host,
		.ops = &fake_ops,
		.user = fake,
	};
}

#endif
