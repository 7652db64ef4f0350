/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the block driver. Each queue has its own lock, requests slots and counters; queues share
 * only what does not change while the device runs, and the capacity.
 *
 * A slot holds what the device needs besides the data, in memory allocated once:
 *
 *   | header 16 | status 1 | unused to 64 |
 */
#ifndef PEAL_DRIVER_BLK_H
#define PEAL_DRIVER_BLK_H

#include <peal/base.h>
#include <peal/driver.h>
#include <peal/virtio-abi.h>

#include "driver/lock.h"
#include "driver/queue.h"

#define PEAL_BLK_SLOT_SIZE     64u
#define PEAL_BLK_SLOT_STATUS   PEAL_VIRTIO_BLK_HEADER_SIZE
#define PEAL_BLK_SEGMENT_LIMIT 32u /* pieces of one request, whatever the device can do */
#define PEAL_BLK_NO_SLOT       UINT16_MAX

struct peal_blk_slot {
	struct peal_blk_request *request; /* NULL: free */
	uint16_t next;                    /* free list */
};

struct peal_blk_queue {
	struct peal_driver_lock lock; /* of all below */
	struct peal_blk_driver *driver;
	struct peal_driver_queue *ring;
	bool closed;
	uint16_t free_slot;
	unsigned depth;
	struct peal_blk_slot *slots;
	struct peal_driver_dma memory;
	struct peal_blk_counters counters;
} __attribute__((aligned(PEAL_CACHE_LINE)));

struct peal_blk_driver {
	const struct peal_host *host;
	const struct peal_driver_ops *ops;
	void *ops_user;
	struct peal_virtio_driver *virtio;
	void (*changed)(void *user);
	void *user;
	bool started; /* atomic: CHANGED may be called */

	uint64_t capacity; /* atomic: sectors, changes with the configuration */
	uint32_t block_size;
	uint32_t segment_size; /* bytes in one piece at most */
	uint32_t max_segments;
	uint32_t max_transfer;
	bool read_only;
	bool flush;

	struct peal_blk_queue *queues;
	unsigned nqueues;
	unsigned depth; /* of the queue with the least */
};

/* A queue in place, zeroed before, for a ring that is there. -ENOMEM, or what dma_alloc said. */
int peal_blk_queue_init(struct peal_blk_queue *queue, struct peal_blk_driver *driver,
			struct peal_driver_queue *ring, unsigned depth);

/*
 * Ends what is in flight, with -ECANCELED unless it was done; the device was reset and no handler
 * runs. Not STARTED: nothing ever was in flight, and the ring may be gone. Takes half-built ones.
 */
void peal_blk_queue_done(struct peal_blk_queue *queue, bool started);

/* No submit succeeds from now on. */
void peal_blk_queue_close(struct peal_blk_queue *queue);

/* The device gave up: ends what is in flight with -EIO. */
void peal_blk_queue_break(struct peal_blk_queue *queue, const char *reason);

/* The interrupt handler; ARG is the queue. */
bool peal_blk_queue_interrupt(void *arg);

#endif
