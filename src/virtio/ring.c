/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device side of a split virtqueue: indices and notifications. Virtio 1.2 §2.7.
 *
 *   available ring (driver writes)           used ring (device writes)
 *   ┌───────┬───────┬──────────┬──────────┐  ┌───────┬───────┬───────────────┬───────────┐
 *   │ flags │ index │ head × n │used_event│  │ flags │ index │{id, length}× n│avail_event│
 *   └───────┴───────┴──────────┴──────────┘  └───────┴───────┴───────────────┴───────────┘
 *
 * Orders. The index of a side is published with release and read with acquire. Suppression is a
 * question of two variables: each side stores its own (index, or "notify me") and then loads the
 * other's; both are sequentially consistent, so never do both sides miss the other (§2.7.13.3,
 * §2.7.14).
 *
 * Invariants: published ≤ next_used ≤ next_avail ≤ seen_avail ≤ published + size, as distances
 * modulo 2^16; so at most SIZE chains are in flight, whatever the driver writes.
 */
#include <peal/bits.h>

#include "ring.h"

void peal_vring_start(struct peal_vring *ring, const struct peal_vring_config *config)
{
	PEAL_ASSERT(peal_is_power_of_two(config->size) && config->size <= PEAL_VIRTIO_QUEUE_MAX);
	/* All but the counter at the end, which goes on and may be read meanwhile. */
	memset(ring, 0, offsetof(struct peal_vring, popped));
	ring->desc_address = config->desc_address;
	ring->avail_address = config->avail_address;
	ring->used_address = config->used_address;
	ring->size = config->size;
	ring->indirect = config->indirect;
	ring->event_idx = config->event_idx;
}

void peal_vring_resume(struct peal_vring *ring, uint16_t index)
{
	PEAL_ASSERT(!ring->space);
	ring->next_avail = ring->seen_avail = index;
	ring->next_used = ring->published = index;
}

void peal_vring_break(struct peal_vring *ring, enum peal_vring_fault fault)
{
	PEAL_ASSERT(fault != PEAL_VRING_OK && fault < PEAL_VRING_FAULTS);
	if (ring->fault == PEAL_VRING_OK)
		ring->fault = fault;
}

const char *peal_vring_fault_name(enum peal_vring_fault fault)
{
	static const char *const names[PEAL_VRING_FAULTS] = {
		[PEAL_VRING_OK] = "none",
		[PEAL_VRING_FAULT_RING] = "ring memory is not mapped in one piece or is misaligned",
		[PEAL_VRING_FAULT_INDEX] = "the available index jumped",
		[PEAL_VRING_FAULT_HEAD] = "an available entry names no descriptor",
		[PEAL_VRING_FAULT_NEXT] = "the next of a descriptor names no descriptor",
		[PEAL_VRING_FAULT_LOOP] = "a chain has more descriptors than the queue",
		[PEAL_VRING_FAULT_LENGTH] = "a buffer of no bytes or a chain of too many",
		[PEAL_VRING_FAULT_ADDRESS] = "a buffer lies outside the memory for DMA",
		[PEAL_VRING_FAULT_ORDER] = "a readable buffer follows a writable one",
		[PEAL_VRING_FAULT_INDIRECT] = "a bad indirect descriptor",
		[PEAL_VRING_FAULT_SEGMENTS] = "a chain has too many segments",
		[PEAL_VRING_FAULT_REQUEST] = "a request without header or status",
	};

	return (unsigned)fault < PEAL_VRING_FAULTS ? names[fault] : "unknown";
}

/* SIZE bytes in one range, aligned for the guest and for our own atomic accesses. */
static uint8_t *find_part(struct peal_space *space, uint64_t address, uint64_t size,
			  unsigned alignment, unsigned access)
{
	uint64_t contiguous;
	uint8_t *host;

	if (address % alignment)
		return NULL;
	host = peal_space_translate(space, address, access, &contiguous);
	if (!host || contiguous < size || (uintptr_t)host % alignment)
		return NULL;
	return host;
}

bool peal_vring_begin(struct peal_vring *ring, struct peal_space *space)
{
	PEAL_ASSERT(!ring->space);
	if (peal_vring_is_broken(ring))
		return false;
	ring->token = peal_space_enter(space);
	ring->desc = find_part(space, ring->desc_address, peal_vring_desc_bytes(ring->size),
			       PEAL_VRING_DESC_ALIGN, PEAL_MEM_READ);
	ring->avail = find_part(space, ring->avail_address, peal_vring_avail_bytes(ring->size),
				PEAL_VRING_AVAIL_ALIGN, PEAL_MEM_READ);
	ring->used = find_part(space, ring->used_address, peal_vring_used_bytes(ring->size),
			       PEAL_VRING_USED_ALIGN, PEAL_MEM_RW);
	if (!ring->desc || !ring->avail || !ring->used) {
		peal_space_leave(space, ring->token);
		peal_vring_break(ring, PEAL_VRING_FAULT_RING);
		return false;
	}
	memset(ring->windows, 0, sizeof(ring->windows));
	ring->space = space;
	return true;
}

void peal_vring_end(struct peal_vring *ring)
{
	PEAL_ASSERT(ring->space && ring->published == ring->next_used);
	peal_space_leave(ring->space, ring->token);
	ring->space = NULL;
}

/* Takes the driver's index, if it can be true. */
static bool look_with(struct peal_vring *ring, int order)
{
	uint16_t index = peal_atomic_load_le16(ring->avail + PEAL_VRING_INDEX, order);
	uint16_t ahead = (uint16_t)(index - ring->next_avail);
	uint16_t in_flight = (uint16_t)(ring->next_avail - ring->published);

	if (peal_unlikely(ahead > ring->size - in_flight)) {
		peal_vring_break(ring, PEAL_VRING_FAULT_INDEX);
		return false;
	}
	ring->seen_avail = index;
	return ahead != 0;
}

bool peal_vring_look(struct peal_vring *ring)
{
	return !peal_vring_is_broken(ring) && look_with(ring, __ATOMIC_ACQUIRE);
}

/* ---- notifications of the driver ---- */

static void store_used16(struct peal_vring *ring, size_t offset, uint16_t value)
{
	peal_atomic_store_le16(ring->used + offset, value, __ATOMIC_SEQ_CST);
	peal_space_dirty(ring->space, ring->used_address + offset, 2);
}

static size_t avail_event(const struct peal_vring *ring)
{
	return PEAL_VRING_RING + PEAL_VRING_USED_SIZE * (size_t)ring->size;
}

void peal_vring_quiet(struct peal_vring *ring)
{
	if (ring->quiet)
		return;
	ring->quiet = true;
	/* With event index the driver notifies when it passes avail_event, and that it did. */
	if (!ring->event_idx)
		store_used16(ring, PEAL_VRING_FLAGS, PEAL_VRING_USED_F_NO_NOTIFY);
}

bool peal_vring_listen(struct peal_vring *ring)
{
	uint16_t seen = ring->seen_avail;

	if (peal_vring_is_broken(ring))
		return false;
	ring->quiet = false;
	if (ring->event_idx)
		store_used16(ring, avail_event(ring), seen);
	else
		store_used16(ring, PEAL_VRING_FLAGS, 0);
	(void)look_with(ring, __ATOMIC_SEQ_CST);
	return ring->seen_avail != seen;
}

/* ---- used ring ---- */

static void report_used(struct peal_vring *ring, uint16_t from, uint16_t to)
{
	uint16_t mask = (uint16_t)(ring->size - 1);
	uint64_t elements = ring->used_address + PEAL_VRING_RING;
	uint32_t first = from & mask, count = (uint16_t)(to - from);
	uint32_t before_end = count < ring->size - first ? count : ring->size - first;

	peal_space_dirty(ring->space, elements + PEAL_VRING_USED_SIZE * (uint64_t)first,
			 PEAL_VRING_USED_SIZE * (uint64_t)before_end);
	if (before_end < count)
		peal_space_dirty(ring->space, elements,
				 PEAL_VRING_USED_SIZE * (uint64_t)(count - before_end));
}

/* The bytes that the device wrote: the first WRITTEN of the writable segments. */
static void report_written(struct peal_vring *ring, const struct peal_vring_chain *chain,
			   uint64_t written)
{
	for (unsigned i = chain->nreadable; i < chain->nsegments && written; i++) {
		const struct peal_vring_segment *segment = &chain->segments[i];
		uint64_t part = segment->length < written ? segment->length : written;

		peal_space_dirty(ring->space, segment->address, part);
		written -= part;
	}
}

void peal_vring_push(struct peal_vring *ring, const struct peal_vring_chain *chain,
		     uint32_t written)
{
	uint8_t *element = ring->used + PEAL_VRING_RING +
			   PEAL_VRING_USED_SIZE * (size_t)(ring->next_used & (ring->size - 1));

	PEAL_ASSERT(ring->next_used != ring->next_avail && written <= chain->writable);
	report_written(ring, chain, written);
	peal_atomic_store_le32(element, chain->head, __ATOMIC_RELAXED);
	peal_atomic_store_le32(element + 4, written, __ATOMIC_RELAXED);
	ring->next_used++;
}

bool peal_vring_publish(struct peal_vring *ring)
{
	uint16_t old = ring->published, new = ring->next_used;
	size_t used_event = PEAL_VRING_RING + 2 * (size_t)ring->size;

	if (old == new)
		return false;
	report_used(ring, old, new);
	store_used16(ring, PEAL_VRING_INDEX, new);
	ring->published = new;
	if (ring->event_idx) {
		uint16_t event = peal_atomic_load_le16(ring->avail + used_event, __ATOMIC_SEQ_CST);

		return peal_vring_need_event(event, new, old);
	}
	return !(peal_atomic_load_le16(ring->avail + PEAL_VRING_FLAGS, __ATOMIC_SEQ_CST) &
		 PEAL_VRING_AVAIL_F_NO_INTERRUPT);
}
