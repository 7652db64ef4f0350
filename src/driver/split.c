/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The split ring, driver side. Virtio 1.2 §2.7.
 *
 * The driver writes the descriptors and the available ring, the device the used ring. Nothing in the
 * used ring is trusted: an index that moves by more than is in flight, an id that is no head in
 * flight, a length above what was writable, break the queue.
 *
 * Order (§2.7.13, §2.7.14, without fences): each side stores its index or its wish to be told,
 * then loads the other's, all four sequentially consistent; so one of the two always sees the
 * other's store and no notification or interrupt is lost.
 */
#include <peal/base.h>
#include <peal/bits.h>
#include <peal/driver.h>
#include <peal/virtio-abi.h>

#include "driver/queue.h"

static uint8_t *used_event(struct peal_driver_queue *queue)
{
	return queue->avail + PEAL_VRING_RING + 2 * (size_t)queue->size;
}

static uint8_t *avail_event(struct peal_driver_queue *queue)
{
	return queue->used + PEAL_VRING_RING + PEAL_VRING_USED_SIZE * (size_t)queue->size;
}

static void split_layout(struct peal_driver_queue *queue)
{
	queue->avail_offset = peal_vring_desc_bytes(queue->size);
	/* The used ring on a cache line of its own: the other side writes it. */
	queue->used_offset = (size_t)peal_round_up(
		queue->avail_offset + peal_vring_avail_bytes(queue->size), PEAL_CACHE_LINE);
	queue->memory_size = queue->used_offset + peal_vring_used_bytes(queue->size);
}

static void split_reset(struct peal_driver_queue *queue)
{
	/* All zero is an empty ring with interrupts wanted: flags, or used_event, are 0. */
	(void)queue;
}

static void write_desc(uint8_t *desc, uint64_t address, uint32_t length, unsigned flags,
		       uint16_t next)
{
	peal_atomic_store_le64(desc + PEAL_VRING_DESC_ADDRESS, address, __ATOMIC_RELAXED);
	peal_atomic_store_le32(desc + PEAL_VRING_DESC_LENGTH, length, __ATOMIC_RELAXED);
	peal_atomic_store_le16(desc + PEAL_VRING_DESC_FLAGS, (uint16_t)flags, __ATOMIC_RELAXED);
	peal_atomic_store_le16(desc + PEAL_VRING_DESC_NEXT, next, __ATOMIC_RELAXED);
}

/* Flags of segment I of TOTAL, of which the first NOUT are for the device to read. */
static unsigned segment_flags(unsigned i, unsigned nout, unsigned total)
{
	return (i >= nout ? PEAL_VRING_DESC_F_WRITE : 0) |
	       (i + 1 < total ? PEAL_VRING_DESC_F_NEXT : 0);
}

/* One descriptor that points to the head's own table. */
static void add_indirect(struct peal_driver_queue *queue, uint16_t id,
			 const struct peal_driver_segment *segments, unsigned nout, unsigned total)
{
	size_t offset = queue->indirect_stride * id;
	uint8_t *table = (uint8_t *)queue->indirect.cpu + offset;

	for (unsigned i = 0; i < total; i++)
		write_desc(table + (size_t)i * PEAL_VRING_DESC_SIZE, segments[i].address,
			   segments[i].length, segment_flags(i, nout, total), (uint16_t)(i + 1));
	write_desc(queue->desc + (size_t)id * PEAL_VRING_DESC_SIZE,
		   queue->indirect.address + offset, (uint32_t)(total * PEAL_VRING_DESC_SIZE),
		   PEAL_VRING_DESC_F_INDIRECT, 0);
}

/* TOTAL descriptors along the free list; returns the last. */
static uint16_t add_direct(struct peal_driver_queue *queue, uint16_t id,
			   const struct peal_driver_segment *segments, unsigned nout,
			   unsigned total)
{
	for (unsigned i = 0;; i++) {
		uint16_t next = queue->heads[id].next;

		write_desc(queue->desc + (size_t)id * PEAL_VRING_DESC_SIZE, segments[i].address,
			   segments[i].length, segment_flags(i, nout, total), next);
		if (i + 1 == total)
			return id;
		id = next;
	}
}

static int split_add(struct peal_driver_queue *queue, const struct peal_driver_segment *segments,
		     unsigned nout, unsigned nin, void *cookie)
{
	unsigned total = nout + nin;
	bool indirect = total > 1 && total <= queue->indirect_limit;
	unsigned needed = indirect ? 1 : total;
	uint16_t id = queue->free_head;
	struct peal_driver_head *head = &queue->heads[id];
	uint64_t writable = 0;
	uint16_t last = id;

	if (needed > queue->free)
		return -EAGAIN;
	for (unsigned i = 0; i < total; i++) {
		PEAL_ASSERT(segments[i].length);
		writable += i >= nout ? segments[i].length : 0;
	}
	PEAL_ASSERT(writable <= UINT32_MAX);

	if (indirect)
		add_indirect(queue, id, segments, nout, total);
	else
		last = add_direct(queue, id, segments, nout, total);
	queue->free_head = queue->heads[last].next;
	queue->free = (uint16_t)(queue->free - needed);
	queue->in_flight++;
	head->cookie = cookie;
	head->writable = (uint32_t)writable;
	head->last = last;
	head->count = (uint16_t)needed;
	head->sequence = queue->added;

	peal_atomic_store_le16(queue->avail + PEAL_VRING_RING +
				       2 * ((size_t)queue->added & queue->mask),
			       id, __ATOMIC_RELAXED);
	queue->added++;
	return 0;
}

static bool split_publish(struct peal_driver_queue *queue)
{
	uint16_t old = (uint16_t)queue->published;
	uint16_t new = (uint16_t)queue->added;

	queue->published = queue->added;
	peal_atomic_store_le16(queue->avail + PEAL_VRING_INDEX, new, __ATOMIC_SEQ_CST);
	if (queue->event_index)
		return peal_vring_need_event(
			peal_atomic_load_le16(avail_event(queue), __ATOMIC_SEQ_CST), new, old);
	return !(peal_atomic_load_le16(queue->used + PEAL_VRING_FLAGS, __ATOMIC_SEQ_CST) &
		 PEAL_VRING_USED_F_NO_NOTIFY);
}

static void split_release(struct peal_driver_queue *queue, uint16_t id)
{
	struct peal_driver_head *head = &queue->heads[id];

	queue->heads[head->last].next = queue->free_head;
	queue->free_head = id;
	queue->free = (uint16_t)(queue->free + head->count);
	queue->in_flight--;
	head->cookie = NULL;
}

static int broken(struct peal_driver_queue *queue, const char *reason)
{
	peal_driver_queue_break(queue, reason);
	return -EIO;
}

/* Reads the device's index: 1 when there are entries, 0, or -EIO when it cannot be. */
static int look(struct peal_driver_queue *queue, int order)
{
	uint16_t seen = peal_atomic_load_le16(queue->used + PEAL_VRING_INDEX, order);

	if ((uint16_t)(seen - queue->used_next) > queue->in_flight)
		return broken(queue, "the used index moved by more than was in flight");
	queue->used_seen = seen;
	return seen != queue->used_next;
}

static int split_harvest(struct peal_driver_queue *queue, void **cookie, uint32_t *written)
{
	const uint8_t *entry = queue->used + PEAL_VRING_RING +
			       PEAL_VRING_USED_SIZE * ((size_t)queue->used_next & queue->mask);
	struct peal_driver_head *head;
	uint32_t id, length;

	if (queue->used_next == queue->used_seen) {
		int r = look(queue, __ATOMIC_ACQUIRE);

		if (r <= 0)
			return r;
	}
	id = peal_atomic_load_le32(entry, __ATOMIC_RELAXED);
	length = peal_atomic_load_le32(entry + 4, __ATOMIC_RELAXED);
	if (id >= queue->size)
		return broken(queue, "a used id past the end of the queue");
	head = &queue->heads[id];
	if (!head->cookie || head->sequence >= queue->published)
		return broken(queue, "a used id that is not in flight");
	if (length > head->writable)
		return broken(queue, "a used length above what was writable");
	queue->used_next++;
	*cookie = head->cookie;
	*written = length;
	split_release(queue, (uint16_t)id);
	return 1;
}

static void split_disable_interrupts(struct peal_driver_queue *queue)
{
	/*
	 * §2.7.7: with the event index the flag must stay 0. The event lies behind the device's
	 * index after the interrupt it asked for, so no other comes until it is moved.
	 */
	if (queue->event_index || !queue->interrupts)
		return;
	queue->interrupts = false;
	peal_atomic_store_le16(queue->avail + PEAL_VRING_FLAGS, PEAL_VRING_AVAIL_F_NO_INTERRUPT,
			       __ATOMIC_RELAXED);
}

static bool split_enable_interrupts(struct peal_driver_queue *queue)
{
	if (queue->event_index)
		peal_atomic_store_le16(used_event(queue), queue->used_next, __ATOMIC_SEQ_CST);
	else
		peal_atomic_store_le16(queue->avail + PEAL_VRING_FLAGS, 0, __ATOMIC_SEQ_CST);
	queue->interrupts = true;
	/* A queue that broke here has work too: the harvest that says so. */
	return look(queue, __ATOMIC_SEQ_CST) != 0;
}

const struct peal_driver_ring_ops peal_driver_split_ring = {
	.name = "split",
	.layout = split_layout,
	.reset = split_reset,
	.add = split_add,
	.publish = split_publish,
	.harvest = split_harvest,
	.disable_interrupts = split_disable_interrupts,
	.enable_interrupts = split_enable_interrupts,
	.release = split_release,
};
