/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest for the tests of virtio devices: it finds the function through ECAM, places its BARs,
 * walks the capabilities, and drives rings in its RAM. It touches the device only as a guest can.
 *
 * Without a lock; one thread at a time for the registers and for each queue.
 */
#ifndef PEAL_TESTS_VIRTIO_GUEST_H
#define PEAL_TESTS_VIRTIO_GUEST_H

#include <peal/pci.h>
#include <peal/virtio-abi.h>

#include "support.h"

#define GUEST_RAM       UINT64_C(0x40000000)
#define GUEST_RAM_SIZE  UINT64_C(0x400000)
#define GUEST_ECAM      UINT64_C(0x10000000)
#define GUEST_WINDOW32  UINT64_C(0x20000000)
#define GUEST_WINDOW64  UINT64_C(0x8000000000)
#define GUEST_WINDOW    UINT64_C(0x1000000)
#define GUEST_DEVFN     8u
#define GUEST_MESSAGE   UINT64_C(0xfee00000)
#define GUEST_QUEUES    8u
#define GUEST_CAP_TYPES 9u

/* A queue as the driver keeps it; chains use descriptors in a circle. */
struct guest_queue {
	struct guest *guest;
	unsigned index;
	uint16_t size;
	bool event_idx;
	uint64_t desc, avail, used; /* addresses */
	uint64_t notify;
	uint16_t next_desc;
	uint16_t avail_index;
	uint16_t used_index;
};

struct guest {
	struct test_ram ram; /* what the CPU and the device see */
	struct test_sink sink;
	struct peal_pci_bus *bus;
	struct peal_pci_function *function;
	uint64_t bars[PEAL_PCI_BARS];
	uint64_t structures[GUEST_CAP_TYPES]; /* addresses by cfg_type */
	uint32_t lengths[GUEST_CAP_TYPES];
	uint32_t multiplier;
	uint8_t msix;       /* position of the capability */
	uint8_t pci_access; /* of the PCI access capability */
	uint8_t express;
	uint8_t power;
	uint64_t table; /* of MSI-X */
	unsigned vectors;
	uint64_t next_free; /* RAM given out so far */
	struct guest_queue queues[GUEST_QUEUES];
};

/* ---- accesses ---- */

static inline uint64_t guest_read(struct guest *g, uint64_t address, size_t size)
{
	uint8_t bytes[8];
	int r = peal_space_read(g->ram.space, address, bytes, size);

	thread_assert(r == 0);
	return peal_load_le(bytes, size);
}

static inline void guest_write(struct guest *g, uint64_t address, size_t size, uint64_t value)
{
	uint8_t bytes[8];
	int r;

	peal_store_le(bytes, 8, value);
	r = peal_space_write(g->ram.space, address, bytes, size);
	thread_assert(r == 0);
}

static inline uint64_t guest_config_read(struct guest *g, unsigned offset, size_t size)
{
	return guest_read(g, GUEST_ECAM + GUEST_DEVFN * 4096u + offset, size);
}

static inline void guest_config_write(struct guest *g, unsigned offset, size_t size, uint64_t value)
{
	guest_write(g, GUEST_ECAM + GUEST_DEVFN * 4096u + offset, size, value);
}

static inline uint64_t guest_common_read(struct guest *g, unsigned offset, size_t size)
{
	return guest_read(g, g->structures[PEAL_VIRTIO_PCI_CAP_COMMON] + offset, size);
}

static inline void guest_common_write(struct guest *g, unsigned offset, size_t size, uint64_t value)
{
	guest_write(g, g->structures[PEAL_VIRTIO_PCI_CAP_COMMON] + offset, size, value);
}

static inline uint8_t guest_status(struct guest *g)
{
	return (uint8_t)guest_common_read(g, PEAL_VIRTIO_COMMON_DEVICE_STATUS, 1);
}

/* Gains bits. */
static inline void guest_set_status(struct guest *g, uint8_t bits)
{
	guest_common_write(g, PEAL_VIRTIO_COMMON_DEVICE_STATUS, 1, guest_status(g) | bits);
}

static inline void guest_reset(struct guest *g)
{
	guest_common_write(g, PEAL_VIRTIO_COMMON_DEVICE_STATUS, 1, 0);
}

static inline uint64_t guest_alloc(struct guest *g, uint64_t size, uint64_t alignment)
{
	uint64_t address = peal_round_up(g->next_free, alignment);

	thread_assert(peal_in_range(address - GUEST_RAM, size, GUEST_RAM_SIZE));
	g->next_free = address + size;
	return address;
}

static inline void *guest_at(struct guest *g, uint64_t address)
{
	thread_assert(address >= GUEST_RAM && address - GUEST_RAM < GUEST_RAM_SIZE);
	return g->ram.memory + (address - GUEST_RAM);
}

/* ---- enumeration ---- */

static inline void guest_place_bars(struct guest *g)
{
	uint64_t next32 = GUEST_WINDOW32, next64 = GUEST_WINDOW64;

	for (unsigned i = 0; i < PEAL_PCI_BARS; i++) {
		unsigned at = 0x10 + 4 * i;
		uint32_t flags;
		uint64_t mask, size;
		bool wide;

		guest_config_write(g, at, 4, 0xffffffff);
		mask = guest_config_read(g, at, 4);
		if (!mask)
			continue;
		flags = mask & 0xf;
		wide = flags & PEAL_PCI_BAR_MEM64;
		if (wide) {
			guest_config_write(g, at + 4, 4, 0xffffffff);
			mask |= guest_config_read(g, at + 4, 4) << 32;
		} else {
			mask |= UINT64_C(0xffffffff00000000);
		}
		size = ~(mask & ~UINT64_C(0xf)) + 1;
		g->bars[i] = peal_round_up(wide ? next64 : next32, size);
		*(wide ? &next64 : &next32) = g->bars[i] + size;
		guest_config_write(g, at, 4, g->bars[i]);
		if (wide) {
			guest_config_write(g, at + 4, 4, g->bars[i] >> 32);
			i++;
		}
	}
}

static inline void guest_read_structure(struct guest *g, unsigned at)
{
	unsigned type = (unsigned)guest_config_read(g, at + PEAL_VIRTIO_PCI_CAP_TYPE, 1);
	unsigned bar = (unsigned)guest_config_read(g, at + PEAL_VIRTIO_PCI_CAP_BAR, 1);

	thread_assert(type < GUEST_CAP_TYPES && bar < PEAL_PCI_BARS);
	if (type == PEAL_VIRTIO_PCI_CAP_PCI) {
		g->pci_access = (uint8_t)at;
		return;
	}
	g->structures[type] =
		g->bars[bar] + guest_config_read(g, at + PEAL_VIRTIO_PCI_CAP_OFFSET, 4);
	g->lengths[type] = (uint32_t)guest_config_read(g, at + PEAL_VIRTIO_PCI_CAP_LENGTH, 4);
	if (type == PEAL_VIRTIO_PCI_CAP_NOTIFY)
		g->multiplier =
			(uint32_t)guest_config_read(g, at + PEAL_VIRTIO_PCI_CAP_MULTIPLIER, 4);
}

static inline void guest_walk_capabilities(struct guest *g)
{
	for (unsigned at = (unsigned)guest_config_read(g, 0x34, 1); at;
	     at = (unsigned)guest_config_read(g, at + 1, 1)) {
		switch (guest_config_read(g, at, 1)) {
		case 0x01:
			g->power = (uint8_t)at;
			break;
		case 0x09:
			guest_read_structure(g, at);
			break;
		case 0x10:
			g->express = (uint8_t)at;
			break;
		case 0x11: {
			uint64_t table = guest_config_read(g, at + 4, 4);

			g->msix = (uint8_t)at;
			g->vectors = (unsigned)(guest_config_read(g, at + 2, 2) & 0x7ff) + 1;
			g->table = g->bars[table & 7] + (table & ~UINT64_C(7));
			break;
		}
		default:
			break;
		}
	}
}

/* Memory decode and bus mastering. */
static inline void guest_enable(struct guest *g)
{
	guest_config_write(g, 0x04, 2, 0x0006);
}

/* Vector V sends V to GUEST_MESSAGE, unmasked; MSI-X on. */
static inline void guest_enable_msix(struct guest *g)
{
	for (unsigned v = 0; v < g->vectors; v++) {
		guest_write(g, g->table + 16 * v, 4, GUEST_MESSAGE);
		guest_write(g, g->table + 16 * v + 4, 4, 0);
		guest_write(g, g->table + 16 * v + 8, 4, v);
		guest_write(g, g->table + 16 * v + 12, 4, 0);
	}
	guest_config_write(g, g->msix + 2u, 2, 0x8000);
}

static inline void guest_init(struct guest *g, struct peal_pci_function *function)
{
	const struct peal_host *host = peal_host_default();
	struct peal_pci_bus_config config = {
		.host = host,
		.window32_address = GUEST_WINDOW32,
		.window32_size = GUEST_WINDOW,
		.window64_address = GUEST_WINDOW64,
		.window64_size = GUEST_WINDOW,
	};
	int r;

	memset(g, 0, sizeof(*g));
	test_ram_init(&g->ram, host, GUEST_RAM, GUEST_RAM_SIZE);
	config.memory = config.dma = g->ram.space;
	config.sink = test_sink_init(&g->sink);
	r = peal_pci_bus_new(&g->bus, &config);
	assert_int_equal(r, 0);
	r = peal_space_map_ops(g->ram.space, GUEST_ECAM, PEAL_PCI_ECAM_SIZE, peal_pci_bus_ecam(),
			       g->bus);
	assert_int_equal(r, 0);
	g->function = function;
	r = peal_pci_bus_plug(g->bus, GUEST_DEVFN, function);
	assert_int_equal(r, 0);
	g->next_free = GUEST_RAM + 0x1000;
	guest_place_bars(g);
	guest_walk_capabilities(g);
	guest_enable(g);
	if (g->msix)
		guest_enable_msix(g);
}

/* Unplugs the function; what made it frees it. */
static inline void guest_done(struct guest *g)
{
	int r;

	peal_pci_bus_unplug(g->bus, g->function);
	r = peal_space_unmap(g->ram.space, GUEST_ECAM, PEAL_PCI_ECAM_SIZE);
	assert_int_equal(r, 0);
	peal_pci_bus_free(g->bus);
	test_ram_done(&g->ram);
}

/* ---- life cycle ---- */

static inline uint64_t guest_device_features(struct guest *g)
{
	uint64_t features = 0;

	for (unsigned i = 0; i < 2; i++) {
		guest_common_write(g, PEAL_VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4, i);
		features |= guest_common_read(g, PEAL_VIRTIO_COMMON_DEVICE_FEATURE, 4) << (32 * i);
	}
	return features;
}

static inline void guest_driver_features(struct guest *g, uint64_t features)
{
	for (unsigned i = 0; i < 2; i++) {
		guest_common_write(g, PEAL_VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, i);
		guest_common_write(g, PEAL_VIRTIO_COMMON_DRIVER_FEATURE, 4, features >> (32 * i));
	}
}

/* Reset to FEATURES_OK. True: the device took the features. */
static inline bool guest_negotiate(struct guest *g, uint64_t features)
{
	guest_reset(g);
	thread_assert(guest_status(g) == 0);
	guest_set_status(g, PEAL_VIRTIO_ACKNOWLEDGE);
	guest_set_status(g, PEAL_VIRTIO_DRIVER);
	guest_driver_features(g, features);
	guest_set_status(g, PEAL_VIRTIO_FEATURES_OK);
	return guest_status(g) & PEAL_VIRTIO_FEATURES_OK;
}

static inline void guest_write64(struct guest *g, unsigned offset, uint64_t value)
{
	guest_common_write(g, offset, 4, value);
	guest_common_write(g, offset + 4, 4, value >> 32);
}

/* Makes rings of SIZE for the queue and enables it with VECTOR. */
static inline struct guest_queue *guest_setup_queue(struct guest *g, unsigned index, uint16_t size,
						    uint16_t vector, uint64_t features)
{
	struct guest_queue *q = &g->queues[index];
	uint64_t off;

	*q = (struct guest_queue){ .guest = g, .index = index, .size = size };
	q->event_idx = features & PEAL_BIT(PEAL_VIRTIO_F_EVENT_IDX);
	q->desc = guest_alloc(g, peal_vring_desc_bytes(size), PEAL_VRING_DESC_ALIGN);
	q->avail = guest_alloc(g, peal_vring_avail_bytes(size), PEAL_VRING_AVAIL_ALIGN);
	q->used = guest_alloc(g, peal_vring_used_bytes(size), PEAL_VRING_USED_ALIGN);
	memset(guest_at(g, q->desc), 0, (size_t)(g->next_free - q->desc));
	guest_common_write(g, PEAL_VIRTIO_COMMON_QUEUE_SELECT, 2, index);
	guest_common_write(g, PEAL_VIRTIO_COMMON_QUEUE_SIZE, 2, size);
	guest_common_write(g, PEAL_VIRTIO_COMMON_QUEUE_MSIX_VECTOR, 2, vector);
	guest_write64(g, PEAL_VIRTIO_COMMON_QUEUE_DESC, q->desc);
	guest_write64(g, PEAL_VIRTIO_COMMON_QUEUE_DRIVER, q->avail);
	guest_write64(g, PEAL_VIRTIO_COMMON_QUEUE_DEVICE, q->used);
	off = guest_common_read(g, PEAL_VIRTIO_COMMON_QUEUE_NOTIFY_OFF, 2);
	q->notify = g->structures[PEAL_VIRTIO_PCI_CAP_NOTIFY] + off * g->multiplier;
	guest_common_write(g, PEAL_VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
	return q;
}

/* From reset to DRIVER_OK with QUEUES queues of SIZE; vector 0 is for configuration changes. */
static inline void guest_start(struct guest *g, uint64_t features, unsigned queues, uint16_t size)
{
	bool ok = guest_negotiate(g, features | PEAL_BIT(PEAL_VIRTIO_F_VERSION_1));

	thread_assert(ok);
	g->next_free = GUEST_RAM + 0x1000;
	guest_common_write(g, PEAL_VIRTIO_COMMON_CONFIG_MSIX_VECTOR, 2, 0);
	for (unsigned i = 0; i < queues; i++)
		guest_setup_queue(g, i, size, (uint16_t)(i + 1), features);
	guest_set_status(g, PEAL_VIRTIO_DRIVER_OK);
}

/* ---- rings ---- */

struct guest_buffer {
	uint64_t address;
	uint32_t length;
	bool writable;
};

static inline void guest_write_desc(struct guest *g, uint64_t table, unsigned index,
				    uint64_t address, uint32_t length, uint16_t flags,
				    uint16_t next)
{
	uint8_t *d = (uint8_t *)guest_at(g, table + index * (uint64_t)PEAL_VRING_DESC_SIZE);

	peal_atomic_store_le64(d, address, __ATOMIC_RELAXED);
	peal_atomic_store_le64(d + 8, length | (uint64_t)flags << 32 | (uint64_t)next << 48,
			       __ATOMIC_RELAXED);
}

/* Writes a chain from the next descriptor on; its head. */
static inline uint16_t guest_write_chain(struct guest_queue *q, const struct guest_buffer *buffers,
					 unsigned count)
{
	uint16_t head = q->next_desc;

	for (unsigned i = 0; i < count; i++) {
		uint16_t next = (uint16_t)((q->next_desc + 1) & (q->size - 1));
		uint16_t flags = (uint16_t)((buffers[i].writable ? PEAL_VRING_DESC_F_WRITE : 0) |
					    (i + 1 < count ? PEAL_VRING_DESC_F_NEXT : 0));

		guest_write_desc(q->guest, q->desc, q->next_desc, buffers[i].address,
				 buffers[i].length, flags, next);
		q->next_desc = next;
	}
	return head;
}

/* Puts a head into the available ring; guest_publish() shows it. */
static inline void guest_offer(struct guest_queue *q, uint16_t head)
{
	uint8_t *ring = (uint8_t *)guest_at(q->guest, q->avail) + PEAL_VRING_RING;

	peal_atomic_store_le16(ring + 2 * (q->avail_index & (q->size - 1)), head, __ATOMIC_RELAXED);
	q->avail_index++;
}

static inline void guest_publish(struct guest_queue *q)
{
	peal_atomic_store_le16((uint8_t *)guest_at(q->guest, q->avail) + PEAL_VRING_INDEX,
			       q->avail_index, __ATOMIC_SEQ_CST);
}

static inline void guest_notify(struct guest_queue *q)
{
	guest_write(q->guest, q->notify, 2, q->index);
}

/* Does the device ask to be notified, now that the index went from OLD to what it is? */
static inline bool guest_must_notify(struct guest_queue *q, uint16_t old)
{
	const uint8_t *used = (const uint8_t *)guest_at(q->guest, q->used);

	if (q->event_idx)
		return peal_vring_need_event(
			peal_atomic_load_le16(used + PEAL_VRING_RING +
						      PEAL_VRING_USED_SIZE * (size_t)q->size,
					      __ATOMIC_SEQ_CST),
			q->avail_index, old);
	return !(peal_atomic_load_le16(used, __ATOMIC_SEQ_CST) & PEAL_VRING_USED_F_NO_NOTIFY);
}

/* A chain, published and notified. */
static inline uint16_t guest_send(struct guest_queue *q, const struct guest_buffer *buffers,
				  unsigned count)
{
	uint16_t head = guest_write_chain(q, buffers, count);

	guest_offer(q, head);
	guest_publish(q);
	guest_notify(q);
	return head;
}

static inline uint16_t guest_used_index(const struct guest_queue *q)
{
	return peal_atomic_load_le16(
		(const uint8_t *)guest_at(q->guest, q->used) + PEAL_VRING_INDEX, __ATOMIC_SEQ_CST);
}

/* The next used element, if there is one. */
static inline bool guest_take(struct guest_queue *q, uint32_t *id, uint32_t *length)
{
	const uint8_t *element;

	if (guest_used_index(q) == q->used_index)
		return false;
	element = (const uint8_t *)guest_at(q->guest, q->used) + PEAL_VRING_RING +
		  PEAL_VRING_USED_SIZE * (size_t)(q->used_index & (q->size - 1));
	*id = peal_atomic_load_le32(element, __ATOMIC_RELAXED);
	*length = peal_atomic_load_le32(element + 4, __ATOMIC_RELAXED);
	q->used_index++;
	return true;
}

/* Asks for an interrupt when the device passes EVENT. */
static inline void guest_set_used_event(struct guest_queue *q, uint16_t event)
{
	peal_atomic_store_le16((uint8_t *)guest_at(q->guest, q->avail) + PEAL_VRING_RING +
				       2 * (size_t)q->size,
			       event, __ATOMIC_SEQ_CST);
}

#endif
