/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A queue of the driver: what all ring formats share, and the table of operations of one format.
 *
 * The state of the ring is kept here and never read back from the memory that the device may write:
 * the free list, the chains in flight and the indices are the driver's own.
 *
 * Invariants: free + descriptors of chains in flight = size; a head that is not in flight has no
 * cookie; what the device says is used once, from a copy.
 *
 * Memory for the device, one block:
 *
 *   | descriptors 16·size | available 6 + 2·size | pad to 64 | used 6 + 8·size |
 *
 * and, with indirect descriptors, one table of indirect_stride bytes for each head.
 */
#ifndef PEAL_DRIVER_QUEUE_H
#define PEAL_DRIVER_QUEUE_H

#include <peal/base.h>
#include <peal/driver.h>

struct peal_driver_queue;

struct peal_driver_dma {
	void *cpu;
	uint64_t address;
	size_t size;
};

/* The chain that starts at a descriptor; of the others only next counts. */
struct peal_driver_head {
	void *cookie; /* NULL: not in flight */
	uint64_t sequence;
	uint32_t writable; /* bytes that the device may write */
	uint16_t next;     /* of the chain, or of the free list */
	uint16_t last;     /* descriptor of the chain */
	uint16_t count;    /* descriptors of the chain */
};

/* Operations of a ring format; the functions of peal/driver.h without their common part. */
struct peal_driver_ring_ops {
	const char *name;
	/* Sizes and offsets of the three parts for a queue's size. */
	void (*layout)(struct peal_driver_queue *queue);
	/* An empty ring. */
	void (*reset)(struct peal_driver_queue *queue);
	int (*add)(struct peal_driver_queue *queue, const struct peal_driver_segment *segments,
		   unsigned nout, unsigned nin, void *cookie);
	bool (*publish)(struct peal_driver_queue *queue);
	int (*harvest)(struct peal_driver_queue *queue, void **cookie, uint32_t *written);
	void (*disable_interrupts)(struct peal_driver_queue *queue);
	bool (*enable_interrupts)(struct peal_driver_queue *queue);
	/* Gives the descriptors of a chain back. */
	void (*release)(struct peal_driver_queue *queue, uint16_t id);
};

struct peal_driver_queue {
	const struct peal_driver_ring_ops *ring;
	const struct peal_driver_ops *ops;
	void *user;
	const struct peal_host *host;
	const char *broken; /* why, or NULL */
	uint16_t index;
	uint16_t size;
	uint16_t mask; /* size - 1 */
	bool event_index;
	bool interrupts; /* asked for; only without event index */

	/* Chains. */
	uint16_t free;
	uint16_t free_head;
	uint16_t in_flight; /* chains, with those not yet published */
	uint16_t take_cursor;
	uint64_t added;     /* chains so far */
	uint64_t published; /* of these: shown to the device */
	uint16_t used_next; /* index of the used entry to harvest */
	uint16_t used_seen; /* the device's index when it was last read */
	uint32_t indirect_limit;
	size_t indirect_stride;
	struct peal_driver_head *heads;

	/* Memory that the device sees. */
	struct peal_driver_dma memory;
	struct peal_driver_dma indirect;
	uint8_t *desc;
	uint8_t *avail;
	uint8_t *used;
	size_t avail_offset;
	size_t used_offset;
	size_t memory_size;

	/* The notification register. */
	uint8_t notify_bar;
	uint64_t notify_offset;
	uint16_t notify_value;
};

extern const struct peal_driver_ring_ops peal_driver_split_ring;

struct peal_driver_queue_config {
	const struct peal_host *host;
	const struct peal_driver_ops *ops;
	void *user;
	uint64_t features;
	uint16_t index;
	uint16_t size; /* a power of two */
	unsigned indirect_limit;
};

/* A queue in place, zeroed before. -ENOMEM, or what dma_alloc said. done takes half-built ones. */
int peal_driver_queue_init(struct peal_driver_queue *queue,
			   const struct peal_driver_queue_config *config);
void peal_driver_queue_done(struct peal_driver_queue *queue);

/* An empty ring with the memory it has. Nothing is in flight. */
void peal_driver_queue_reset(struct peal_driver_queue *queue);

#endif
