/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device side of a split virtqueue, for the transport. Virtio 1.2 §2.7.
 *
 * Caller-allocated and without a lock: whoever serves the queue excludes others. Between
 * peal_vring_begin() and peal_vring_end() the ring is mapped and chains can be taken:
 *
 *	begin → (quiet) → look → pop/push … → publish → look … → listen → end
 *
 * Guest memory is little-endian and may be changed by the driver at any time, whatever it owns:
 * every value is loaded once, indivisibly, and the copy is checked.
 */
#ifndef PEAL_SRC_VIRTIO_RING_H
#define PEAL_SRC_VIRTIO_RING_H

#include <peal/mem.h>
#include <peal/virtio.h>

/* Memory that was translated in this section, so need not be again: to the end of its range. */
struct peal_vring_window {
	uint64_t address;
	uint64_t size; /* 0: none */
	uint8_t *host;
};

struct peal_vring {
	/* Of the driver, since peal_vring_start(). */
	uint64_t desc_address;
	uint64_t avail_address;
	uint64_t used_address;
	uint16_t size; /* power of two */
	bool indirect;
	bool event_idx;

	/* Where the device is; indices run freely through 2^16. */
	bool quiet;          /* the driver was told that it need not notify */
	uint16_t next_avail; /* the next entry of the available ring to take */
	uint16_t seen_avail; /* how far the driver was when it was looked at */
	uint16_t next_used;  /* the next entry of the used ring to fill */
	uint16_t published;  /* what the driver sees of the used index */
	uint16_t budget;     /* how many may be popped before the next publish */
	uint32_t fault;      /* enum peal_vring_fault */

	/* In a section: */
	struct peal_space *space;
	unsigned token;
	const uint8_t *desc;
	const uint8_t *avail;
	uint8_t *used;
	struct peal_vring_window windows[2]; /* of buffers: readable, writable */

	uint64_t popped; /* chains, ever; relaxed: others read it. Last: a start leaves it alone */
};

/* A fresh ring at these addresses. */
struct peal_vring_config {
	uint64_t desc_address;
	uint64_t avail_address;
	uint64_t used_address;
	uint16_t size; /* power of two, 1..PEAL_VIRTIO_QUEUE_MAX */
	bool indirect;
	bool event_idx;
};

void peal_vring_start(struct peal_vring *ring, const struct peal_vring_config *config);

/* A ring that was just started goes on at INDEX: all before it is done, nothing is in flight. */
void peal_vring_resume(struct peal_vring *ring, uint16_t index);

/* Enters a section of SPACE and finds the ring in it. False: the ring is broken; no section. */
bool peal_vring_begin(struct peal_vring *ring, struct peal_space *space);

/* Leaves the section. What was pushed must have been published. */
void peal_vring_end(struct peal_vring *ring);

/* Tells the driver that it need not notify. A hint: it may do so all the same. */
void peal_vring_quiet(struct peal_vring *ring);

/* Asks the driver to notify from now on. True: it was too late, there is work already. */
bool peal_vring_listen(struct peal_vring *ring);

/* Are there chains to pop? */
bool peal_vring_look(struct peal_vring *ring);

/* Shows the driver what was pushed. True: it wants to be interrupted. */
bool peal_vring_publish(struct peal_vring *ring);

static inline bool peal_vring_is_broken(const struct peal_vring *ring)
{
	return ring->fault != PEAL_VRING_OK;
}

#endif
