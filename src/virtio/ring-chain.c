/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device side of a split virtqueue: descriptor chains. Virtio 1.2 §2.7.5.
 *
 * A walk takes each descriptor once into a copy and ends after as many as the queue has, whatever
 * they say (§2.7.5.3.1: a chain is no longer than the queue, its indirect table included).
 */
#include <peal/bits.h>

#include "ring.h"

struct descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags;
	uint16_t next;
};

/* What a walk goes through: the ring's descriptors, or an indirect table. */
struct table {
	const uint8_t *host; /* NULL: not in one piece, read through the space */
	uint64_t address;
	uint32_t count;
	bool indirect;
};

static struct descriptor unpack(uint64_t low, uint64_t high)
{
	return (struct descriptor){
		.address = low,
		.length = (uint32_t)high,
		.flags = (uint16_t)(high >> 32),
		.next = (uint16_t)(high >> 48),
	};
}

static bool read_descriptor(struct peal_vring *ring, const struct table *table, uint32_t index,
			    struct descriptor *d)
{
	uint64_t offset = index * (uint64_t)PEAL_VRING_DESC_SIZE;
	uint8_t bytes[PEAL_VRING_DESC_SIZE];

	if (peal_likely(table->host != NULL)) {
		const uint8_t *at = table->host + offset;

		*d = unpack(peal_atomic_load_le64(at, __ATOMIC_RELAXED),
			    peal_atomic_load_le64(at + 8, __ATOMIC_RELAXED));
		return true;
	}
	if (peal_space_read_memory(ring->space, table->address + offset, bytes, sizeof(bytes)) < 0)
		return false;
	*d = unpack(peal_load_le(bytes, 8), peal_load_le(bytes + 8, 8));
	return true;
}

/* §2.7.5.3: a table of whole descriptors, in a descriptor that ends the chain. */
static bool enter_indirect(struct peal_vring *ring, const struct descriptor *d, struct table *table)
{
	uint64_t contiguous;

	if (!ring->indirect || table->indirect || d->flags & PEAL_VRING_DESC_F_NEXT ||
	    d->length == 0 || d->length % PEAL_VRING_DESC_SIZE ||
	    d->length / PEAL_VRING_DESC_SIZE > PEAL_VIRTIO_QUEUE_MAX) {
		peal_vring_break(ring, PEAL_VRING_FAULT_INDIRECT);
		return false;
	}
	table->host = peal_space_translate(ring->space, d->address, PEAL_MEM_READ, &contiguous);
	table->address = d->address;
	table->count = d->length / PEAL_VRING_DESC_SIZE;
	table->indirect = true;
	/* The specification wants no alignment of a table; indivisible loads do. */
	if (!table->host || contiguous < d->length || (uintptr_t)table->host % 8)
		table->host = NULL;
	if (!table->host &&
	    !peal_space_is_memory(ring->space, d->address, d->length, PEAL_MEM_READ)) {
		peal_vring_break(ring, PEAL_VRING_FAULT_ADDRESS);
		return false;
	}
	return true;
}

/* Buffers of one driver mostly lie in one range: it is looked up again only below the last one. */
static void *translate(struct peal_vring *ring, uint64_t address, bool writable,
		       uint64_t *contiguous)
{
	struct peal_vring_window *window = &ring->windows[writable];
	uint64_t offset = address - window->address;

	if (peal_unlikely(offset >= window->size)) {
		uint64_t size;
		uint8_t *host = peal_space_translate(
			ring->space, address, writable ? PEAL_MEM_WRITE : PEAL_MEM_READ, &size);

		if (!host)
			return NULL;
		*window = (struct peal_vring_window){ address, size, host };
		offset = 0;
	}
	*contiguous = window->size - offset;
	return window->host + offset;
}

/* Translates a buffer: one segment per mapped range that it touches. */
static bool add_segments(struct peal_vring *ring, struct peal_vring_chain *chain, uint64_t address,
			 uint32_t length, bool writable)
{
	if (length == 0) {
		peal_vring_break(ring, PEAL_VRING_FAULT_LENGTH);
		return false;
	}
	if (length - 1 > UINT64_MAX - address) {
		peal_vring_break(ring, PEAL_VRING_FAULT_ADDRESS);
		return false;
	}
	while (length) {
		struct peal_vring_segment *segment = &chain->segments[chain->nsegments];
		uint64_t contiguous;
		uint32_t part = length;
		void *host = translate(ring, address, writable, &contiguous);

		if (peal_unlikely(!host || chain->nsegments == chain->max_segments)) {
			peal_vring_break(ring, host ? PEAL_VRING_FAULT_SEGMENTS
						    : PEAL_VRING_FAULT_ADDRESS);
			return false;
		}
		if (contiguous < part)
			part = (uint32_t)contiguous;
		segment->host = host;
		segment->address = address;
		segment->length = part;
		segment->writable = writable;
		chain->nsegments++;
		address += part;
		length -= part;
	}
	return true;
}

static bool add_buffer(struct peal_vring *ring, struct peal_vring_chain *chain,
		       const struct descriptor *d)
{
	bool writable = d->flags & PEAL_VRING_DESC_F_WRITE;

	if (peal_unlikely(!writable && chain->writable)) {
		peal_vring_break(ring, PEAL_VRING_FAULT_ORDER);
		return false;
	}
	if (!add_segments(ring, chain, d->address, d->length, writable))
		return false;
	if (writable) {
		chain->writable += d->length;
	} else {
		chain->readable += d->length;
		chain->nreadable = chain->nsegments;
	}
	/* §2.7.5: a chain is no longer than 2^32 bytes. */
	if (peal_unlikely(chain->readable + chain->writable > PEAL_BIT(32))) {
		peal_vring_break(ring, PEAL_VRING_FAULT_LENGTH);
		return false;
	}
	return true;
}

static bool walk(struct peal_vring *ring, struct peal_vring_chain *chain)
{
	struct table table = {
		.host = ring->desc,
		.count = ring->size,
	};
	struct descriptor d;
	uint32_t index = chain->head;

	for (unsigned left = ring->size; left > 0; left--) {
		if (peal_unlikely(!read_descriptor(ring, &table, index, &d))) {
			peal_vring_break(ring, PEAL_VRING_FAULT_ADDRESS);
			return false;
		}
		if (d.flags & PEAL_VRING_DESC_F_INDIRECT) {
			/* It is no buffer itself, and comes once. */
			if (!enter_indirect(ring, &d, &table))
				return false;
			left++;
			index = 0;
			continue;
		}
		if (!add_buffer(ring, chain, &d))
			return false;
		if (!(d.flags & PEAL_VRING_DESC_F_NEXT))
			return true;
		index = d.next;
		if (peal_unlikely(index >= table.count)) {
			peal_vring_break(ring, PEAL_VRING_FAULT_NEXT);
			return false;
		}
	}
	peal_vring_break(ring, PEAL_VRING_FAULT_LOOP);
	return false;
}

static uint16_t next_head(const struct peal_vring *ring)
{
	uint16_t mask = (uint16_t)(ring->size - 1);
	size_t entry = PEAL_VRING_RING + 2 * (size_t)(ring->next_avail & mask);

	return peal_atomic_load_le16(ring->avail + entry, __ATOMIC_RELAXED);
}

/* Another CPU wrote the descriptors of the next chain: they come while this one is worked on. */
static void prefetch_next(const struct peal_vring *ring)
{
	uint16_t head;

	if (ring->next_avail == ring->seen_avail)
		return;
	head = next_head(ring);
	if (head < ring->size)
		__builtin_prefetch(ring->desc + head * (size_t)PEAL_VRING_DESC_SIZE);
}

bool peal_vring_pop(struct peal_vring *ring, struct peal_vring_chain *chain)
{
	uint16_t head;

	if (peal_unlikely(peal_vring_is_broken(ring)) || ring->budget == 0)
		return false;
	if (ring->next_avail == ring->seen_avail && !peal_vring_look(ring))
		return false;
	head = next_head(ring);
	if (peal_unlikely(head >= ring->size)) {
		peal_vring_break(ring, PEAL_VRING_FAULT_HEAD);
		return false;
	}
	chain->head = head;
	chain->nsegments = 0;
	chain->nreadable = 0;
	chain->readable = 0;
	chain->writable = 0;
	if (peal_unlikely(!walk(ring, chain)))
		return false;
	ring->next_avail++;
	ring->budget--;
	prefetch_next(ring);
	/* Only whoever serves the queue writes it. */
	__atomic_store_n(&ring->popped, ring->popped + 1, __ATOMIC_RELAXED);
	return true;
}

/* ---- bytes of a chain ---- */

bool peal_vring_chain_read(const struct peal_vring_chain *chain, uint64_t offset, void *bytes,
			   size_t size)
{
	uint8_t *to = bytes;

	if (!peal_in_range(offset, size, chain->readable))
		return false;
	for (unsigned i = 0; size; i++) {
		const struct peal_vring_segment *segment = &chain->segments[i];
		size_t part;

		if (offset >= segment->length) {
			offset -= segment->length;
			continue;
		}
		part = segment->length - (size_t)offset;
		if (part > size)
			part = size;
		memcpy(to, (const uint8_t *)segment->host + offset, part);
		to += part;
		size -= part;
		offset = 0;
	}
	return true;
}

bool peal_vring_chain_write(const struct peal_vring_chain *chain, uint64_t offset,
			    const void *bytes, uint64_t size)
{
	const uint8_t *from = bytes;

	if (!peal_in_range(offset, size, chain->writable))
		return false;
	for (unsigned i = chain->nreadable; size; i++) {
		const struct peal_vring_segment *segment = &chain->segments[i];
		uint64_t part;

		if (offset >= segment->length) {
			offset -= segment->length;
			continue;
		}
		part = segment->length - offset;
		if (part > size)
			part = size;
		if (from) {
			memcpy((uint8_t *)segment->host + offset, from, (size_t)part);
			from += part;
		} else {
			memset((uint8_t *)segment->host + offset, 0, (size_t)part);
		}
		size -= part;
		offset = 0;
	}
	return true;
}
