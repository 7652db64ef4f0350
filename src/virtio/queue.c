/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A queue of a virtio device: when it is served, and how. Virtio 1.2 §2.7.13, §2.7.14, §2.1.2.
 *
 * A queue is live from DRIVER_OK, if it was enabled, until a reset or until the driver broke it.
 * It is served under its mutex in batches: each ends with one publication of the used index and
 * at most one interrupt. Stopping clears LIVE and then takes the mutex once: who served before has
 * left the ring then, and nobody will enter it.
 */
#include "device.h"

/* Batches before the mutex is given back, so that a driver that never stops cannot keep it. */
#define BATCHES_AT_ONCE 64u

int virtio_queue_init(struct virtio_queue *queue, struct peal_virtio *device, unsigned index)
{
	queue->device = device;
	queue->index = index;
	virtio_queue_reset(queue);
	return peal_mutex_init(&queue->mutex, device->config.host);
}

void virtio_queue_done(struct virtio_queue *queue)
{
	peal_mutex_done(&queue->mutex);
}

void virtio_queue_reset(struct virtio_queue *queue)
{
	queue->size = (uint16_t)queue->device->config.queue_size_max;
	queue->enabled = false;
	memset(queue->addresses, 0, sizeof(queue->addresses));
	__atomic_store_n(&queue->vector, PEAL_VIRTIO_NO_VECTOR, __ATOMIC_RELAXED);
}

static bool is_live(const struct virtio_queue *queue)
{
	return __atomic_load_n(&queue->live, __ATOMIC_SEQ_CST);
}

void virtio_queue_start(struct virtio_queue *queue)
{
	virtio_queue_resume(queue, 0);
}

void virtio_queue_resume(struct virtio_queue *queue, uint16_t index)
{
	uint64_t features = virtio_negotiated(queue->device);
	const struct peal_vring_config config = {
		.desc_address = queue->addresses[0],
		.avail_address = queue->addresses[1],
		.used_address = queue->addresses[2],
		.size = queue->size,
		.indirect = features & PEAL_BIT(PEAL_VIRTIO_F_INDIRECT_DESC),
		.event_idx = features & PEAL_BIT(PEAL_VIRTIO_F_EVENT_IDX),
	};

	if (!queue->enabled || is_live(queue))
		return;
	peal_mutex_lock(&queue->mutex);
	peal_vring_start(&queue->ring, &config);
	peal_vring_resume(&queue->ring, index);
	__atomic_store_n(&queue->live, true, __ATOMIC_SEQ_CST);
	peal_mutex_unlock(&queue->mutex);
}

void virtio_queue_sync(struct virtio_queue *queue)
{
	peal_mutex_lock(&queue->mutex);
	peal_mutex_unlock(&queue->mutex);
}

void virtio_queue_stop(struct virtio_queue *queue)
{
	__atomic_store_n(&queue->live, false, __ATOMIC_SEQ_CST);
	virtio_queue_sync(queue);
}

/* A broken queue is served no more (§2.1.2); the others are. */
static void leave(struct virtio_queue *queue)
{
	bool broke = is_live(queue) && peal_vring_is_broken(&queue->ring);

	if (queue->ring.space)
		peal_vring_end(&queue->ring);
	if (broke) {
		__atomic_store_n(&queue->live, false, __ATOMIC_SEQ_CST);
		__atomic_store_n(&queue->last_fault, queue->ring.fault, __ATOMIC_RELAXED);
		peal_count(&queue->breaks, 1);
		virtio_needs_reset(queue->device);
	}
	peal_mutex_unlock(&queue->mutex);
}

/*
 * Takes the mutex and enters the ring. False: there is nothing to do here, or not now. What
 * forbids it is looked at before the mutex too: who waits for the mutex gets it.
 */
static bool enter(struct virtio_queue *queue)
{
	struct peal_pci_function *function = queue->device->function;
	struct peal_space *space;

	if (!is_live(queue) || virtio_is_paused(queue->device) ||
	    !peal_pci_function_is_bus_master(function))
		return false;
	peal_mutex_lock(&queue->mutex);
	/* Asked for under the mutex: who turned Bus Master off waits for it then. */
	space = peal_pci_function_dma(function);
	if (is_live(queue) && !virtio_is_paused(queue->device) && space &&
	    peal_vring_begin(&queue->ring, space))
		return true;
	leave(queue);
	return false;
}

/* Only whoever serves the queue writes these. */
static void count_own(uint64_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

/* One batch. False: nothing was taken. */
static bool serve_batch(struct virtio_queue *queue)
{
	const struct peal_virtio_config *config = &queue->device->config;
	struct peal_vring *ring = &queue->ring;
	uint16_t before = ring->next_avail, published = ring->published;

	ring->budget = (uint16_t)config->batch;
	config->ops->process(config->user, queue->index, ring);
	if (peal_vring_publish(ring)) {
		count_own(&queue->interrupts);
		virtio_raise_queue(queue);
	}
	if (ring->published != published)
		count_own(&queue->batches);
	return ring->next_avail != before;
}

bool virtio_queue_serve(struct virtio_queue *queue)
{
	bool served = false;

	if (!enter(queue))
		return false;
	peal_vring_quiet(&queue->ring);
	for (unsigned n = 0;
	     n < BATCHES_AT_ONCE && is_live(queue) && !virtio_is_paused(queue->device); n++) {
		if (!peal_vring_look(&queue->ring) || !serve_batch(queue))
			break;
		served = true;
	}
	leave(queue);
	return served;
}

bool virtio_queue_listen(struct virtio_queue *queue)
{
	bool work;

	if (!enter(queue))
		return false;
	work = peal_vring_listen(&queue->ring);
	leave(queue);
	return work;
}
