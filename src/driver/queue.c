/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the queues of all ring formats have in common: memory, the broken state, notification.
 * Virtio 1.2 §2.6. The formats are in files of their own (split.c).
 */
#include <peal/base.h>
#include <peal/bits.h>
#include <peal/driver.h>
#include <peal/virtio-abi.h>

#include "driver/queue.h"

static int dma_alloc(struct peal_driver_queue *queue, struct peal_driver_dma *dma, size_t size)
{
	void *cpu = NULL;
	uint64_t address = 0;
	int r = queue->ops->dma_alloc(queue->user, size, PEAL_CACHE_LINE, &cpu, &address);

	if (r == 0)
		*dma = (struct peal_driver_dma){ .cpu = cpu, .address = address, .size = size };
	return r;
}

static void dma_free(struct peal_driver_queue *queue, struct peal_driver_dma *dma)
{
	if (dma->cpu)
		queue->ops->dma_free(queue->user, dma->cpu, dma->address, dma->size);
	*dma = (struct peal_driver_dma){ 0 };
}

int peal_driver_queue_init(struct peal_driver_queue *queue,
			   const struct peal_driver_queue_config *config)
{
	int r;

	PEAL_ASSERT(peal_is_power_of_two(config->size) && config->size <= PEAL_VIRTIO_QUEUE_MAX);
	queue->ring = &peal_driver_split_ring;
	queue->host = config->host;
	queue->ops = config->ops;
	queue->user = config->user;
	queue->index = config->index;
	queue->size = config->size;
	queue->mask = (uint16_t)(config->size - 1);
	queue->event_index = config->features & PEAL_BIT(PEAL_VIRTIO_F_EVENT_IDX);

	queue->heads = peal_alloc(queue->host, queue->size * sizeof(queue->heads[0]));
	if (!queue->heads)
		return -ENOMEM;
	queue->ring->layout(queue);
	r = dma_alloc(queue, &queue->memory, queue->memory_size);
	if (r < 0)
		goto fail;
	if ((config->features & PEAL_BIT(PEAL_VIRTIO_F_INDIRECT_DESC)) &&
	    config->indirect_limit > 1) {
		/* §2.7.5.3.1: a chain is never longer than the queue, indirect or not. */
		queue->indirect_limit =
			config->indirect_limit < queue->size ? config->indirect_limit : queue->size;
		queue->indirect_stride = (size_t)peal_round_up(
			(uint64_t)queue->indirect_limit * PEAL_VRING_DESC_SIZE, PEAL_CACHE_LINE);
		r = dma_alloc(queue, &queue->indirect, queue->indirect_stride * queue->size);
		if (r < 0)
			goto fail;
	}
	peal_driver_queue_reset(queue);
	return 0;
fail:
	peal_driver_queue_done(queue);
	return r;
}

void peal_driver_queue_done(struct peal_driver_queue *queue)
{
	if (queue->ops) {
		dma_free(queue, &queue->indirect);
		dma_free(queue, &queue->memory);
	}
	if (queue->heads)
		peal_free(queue->host, queue->heads, queue->size * sizeof(queue->heads[0]));
	queue->heads = NULL;
}

void peal_driver_queue_reset(struct peal_driver_queue *queue)
{
	memset(queue->memory.cpu, 0, queue->memory.size);
	queue->desc = queue->memory.cpu;
	queue->avail = queue->desc + queue->avail_offset;
	queue->used = queue->desc + queue->used_offset;

	for (unsigned i = 0; i < queue->size; i++)
		queue->heads[i] = (struct peal_driver_head){ .next = (uint16_t)(i + 1) };
	queue->free = queue->size;
	queue->free_head = 0;
	queue->in_flight = 0;
	queue->take_cursor = 0;
	queue->added = 0;
	queue->published = 0;
	queue->used_next = 0;
	queue->used_seen = 0;
	queue->interrupts = true;
	__atomic_store_n(&queue->broken, NULL, __ATOMIC_RELAXED);
	queue->ring->reset(queue);
}

int peal_driver_queue_add(struct peal_driver_queue *queue,
			  const struct peal_driver_segment *segments, unsigned nout, unsigned nin,
			  void *cookie)
{
	PEAL_ASSERT(cookie && (nout || nin));
	if (peal_unlikely(queue->broken != NULL))
		return -EIO;
	if (nout > queue->size || nin > queue->size - nout)
		return -E2BIG;
	return queue->ring->add(queue, segments, nout, nin, cookie);
}

bool peal_driver_queue_publish(struct peal_driver_queue *queue)
{
	if (queue->published == queue->added || queue->broken)
		return false;
	return queue->ring->publish(queue);
}

void peal_driver_queue_notify(struct peal_driver_queue *queue)
{
	/* §4.1.5.2: the queue's index to its notification address. */
	queue->ops->bar_write(queue->user, queue->notify_bar, queue->notify_offset, 2,
			      queue->notify_value);
}

int peal_driver_queue_harvest(struct peal_driver_queue *queue, void **cookie, uint32_t *written)
{
	if (peal_unlikely(queue->broken != NULL))
		return -EIO;
	return queue->ring->harvest(queue, cookie, written);
}

void *peal_driver_queue_take(struct peal_driver_queue *queue)
{
	if (queue->in_flight == 0)
		return NULL;
	/* Something is in flight, so the search ends; the cursor makes all takes one pass. */
	for (;; queue->take_cursor = (queue->take_cursor + 1) & queue->mask) {
		void *cookie = queue->heads[queue->take_cursor].cookie;

		if (cookie) {
			queue->ring->release(queue, queue->take_cursor);
			return cookie;
		}
	}
}

void peal_driver_queue_disable_interrupts(struct peal_driver_queue *queue)
{
	queue->ring->disable_interrupts(queue);
}

bool peal_driver_queue_enable_interrupts(struct peal_driver_queue *queue)
{
	if (queue->broken)
		return false;
	return queue->ring->enable_interrupts(queue);
}

void peal_driver_queue_break(struct peal_driver_queue *queue, const char *reason)
{
	if (!queue->broken)
		__atomic_store_n(&queue->broken, reason, __ATOMIC_RELAXED);
}

const char *peal_driver_queue_broken(const struct peal_driver_queue *queue)
{
	return __atomic_load_n(&queue->broken, __ATOMIC_RELAXED);
}

unsigned peal_driver_queue_size(const struct peal_driver_queue *queue)
{
	return queue->size;
}

unsigned peal_driver_queue_in_flight(const struct peal_driver_queue *queue)
{
	return queue->in_flight;
}
