/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One queue of the block driver: submit, kick, and what the interrupt does. Virtio 1.2 §5.2.6.
 *
 * The lock is held for a few memory accesses at a time; done and notifications are called without
 * it. Nothing is allocated, everything is O(1) per request.
 *
 * The interrupt: no interrupts wanted, take all that is done, call done for each, and only when
 * nothing is left ask for interrupts again and look once more. So a burst costs one interrupt, and
 * what comes between the last look and the wish is seen.
 */
#include <peal/base.h>
#include <peal/bits.h>
#include <peal/driver.h>
#include <peal/virtio-abi.h>

#include "driver/blk.h"

/* What a request has besides its data. */
struct operation {
	uint32_t type;
	bool device_writes; /* the data */
	bool has_data;
};

static const struct operation operations[] = {
	[PEAL_BLK_READ] = { PEAL_VIRTIO_BLK_T_IN, true, true },
	[PEAL_BLK_WRITE] = { PEAL_VIRTIO_BLK_T_OUT, false, true },
	[PEAL_BLK_FLUSH] = { PEAL_VIRTIO_BLK_T_FLUSH, false, false },
	[PEAL_BLK_GET_ID] = { PEAL_VIRTIO_BLK_T_GET_ID, true, true },
};

/* Bytes of data that go over the ring. */
static uint32_t data_length(const struct peal_blk_request *request)
{
	if (!operations[request->op].has_data)
		return 0;
	return request->op == PEAL_BLK_GET_ID ? PEAL_VIRTIO_BLK_ID_SIZE : request->length;
}

/* ---- slots ---- */

static uint8_t *slot_memory(const struct peal_blk_queue *queue, const struct peal_blk_slot *slot)
{
	return (uint8_t *)queue->memory.cpu + (size_t)(slot - queue->slots) * PEAL_BLK_SLOT_SIZE;
}

static void free_slot(struct peal_blk_queue *queue, struct peal_blk_slot *slot)
{
	slot->request = NULL;
	slot->next = queue->free_slot;
	queue->free_slot = (uint16_t)(slot - queue->slots);
}

int peal_blk_queue_init(struct peal_blk_queue *queue, struct peal_blk_driver *driver,
			struct peal_driver_queue *ring, unsigned depth)
{
	struct peal_driver_dma *memory = &queue->memory;
	int r;

	PEAL_ASSERT(depth && depth <= PEAL_VIRTIO_QUEUE_MAX);
	queue->lock.host = driver->host;
	queue->driver = driver;
	queue->ring = ring;
	queue->depth = depth;
	queue->slots = peal_alloc(driver->host, depth * sizeof(queue->slots[0]));
	if (!queue->slots)
		return -ENOMEM;
	memory->size = (size_t)depth * PEAL_BLK_SLOT_SIZE;
	r = driver->ops->dma_alloc(driver->ops_user, memory->size, PEAL_BLK_SLOT_SIZE, &memory->cpu,
				   &memory->address);
	if (r < 0) {
		memory->cpu = NULL;
		peal_free(driver->host, queue->slots, depth * sizeof(queue->slots[0]));
		queue->slots = NULL;
		return r;
	}
	queue->free_slot = PEAL_BLK_NO_SLOT;
	while (depth)
		free_slot(queue, &queue->slots[--depth]);
	return 0;
}

/* ---- submit ---- */

static int check_request(const struct peal_blk_driver *driver,
			 const struct peal_blk_request *request)
{
	uint64_t capacity = __atomic_load_n(&driver->capacity, __ATOMIC_RELAXED);

	switch (request->op) {
	case PEAL_BLK_READ:
	case PEAL_BLK_WRITE:
		if (request->op == PEAL_BLK_WRITE && driver->read_only)
			return -EROFS;
		if (request->length == 0 || request->length % PEAL_VIRTIO_BLK_SECTOR ||
		    request->length > driver->max_transfer)
			return -EINVAL;
		if (!peal_in_range(request->sector, request->length / PEAL_VIRTIO_BLK_SECTOR,
				   capacity))
			return -ERANGE;
		return 0;
	case PEAL_BLK_FLUSH:
		return driver->flush ? 0 : -ENOTSUP;
	case PEAL_BLK_GET_ID:
		return request->length < PEAL_VIRTIO_BLK_ID_SIZE ? -EINVAL : 0;
	}
	return -EINVAL;
}

/* Header, data in pieces that the device takes, status. Returns how many segments. */
static unsigned build_segments(const struct peal_blk_queue *queue,
			       const struct peal_blk_request *request,
			       const struct peal_blk_slot *slot,
			       struct peal_driver_segment *segments)
{
	uint64_t memory =
		queue->memory.address + (uint64_t)(slot - queue->slots) * PEAL_BLK_SLOT_SIZE;
	uint32_t limit = queue->driver->segment_size;
	uint64_t address = request->address;
	unsigned n = 0;

	segments[n++] = (struct peal_driver_segment){ memory, PEAL_VIRTIO_BLK_HEADER_SIZE };
	for (uint32_t left = data_length(request), part; left; left -= part, address += part) {
		part = left < limit ? left : limit;
		segments[n++] = (struct peal_driver_segment){ address, part };
	}
	segments[n++] = (struct peal_driver_segment){ memory + PEAL_BLK_SLOT_STATUS, 1 };
	return n;
}

static void write_header(uint8_t *header, const struct peal_blk_request *request)
{
	bool has_sector = request->op == PEAL_BLK_READ || request->op == PEAL_BLK_WRITE;

	peal_atomic_store_le32(header, operations[request->op].type, __ATOMIC_RELAXED);
	peal_atomic_store_le32(header + 4, 0, __ATOMIC_RELAXED);
	peal_atomic_store_le64(header + 8, has_sector ? request->sector : 0, __ATOMIC_RELAXED);
	/* No status of §5.2.6: a device that does not write it is found out. */
	__atomic_store_n(header + PEAL_BLK_SLOT_STATUS, UINT8_MAX, __ATOMIC_RELAXED);
}

static int submit_locked(struct peal_blk_queue *queue, struct peal_blk_request *request)
{
	struct peal_driver_segment segments[PEAL_BLK_SEGMENT_LIMIT + 2];
	struct peal_blk_slot *slot;
	unsigned total, nin;
	int r;

	if (queue->closed)
		return -EIO;
	if (queue->free_slot == PEAL_BLK_NO_SLOT)
		return peal_driver_queue_broken(queue->ring) ? -EIO : -EAGAIN;
	slot = &queue->slots[queue->free_slot];
	total = build_segments(queue, request, slot, segments);
	nin = operations[request->op].device_writes ? total - 1 : 1;
	write_header(slot_memory(queue, slot), request);
	r = peal_driver_queue_add(queue->ring, segments, total - nin, nin, slot);
	if (r < 0)
		return r;
	queue->free_slot = slot->next;
	slot->request = request;
	peal_driver_count(&queue->counters.submitted, 1);
	return 0;
}

int peal_blk_driver_submit(struct peal_blk_driver *driver, unsigned index,
			   struct peal_blk_request *request)
{
	struct peal_blk_queue *queue;
	int r;

	PEAL_ASSERT(index < driver->nqueues && request->done);
	queue = &driver->queues[index];
	r = check_request(driver, request);
	if (r < 0)
		return r;
	peal_driver_lock(&queue->lock);
	r = submit_locked(queue, request);
	peal_driver_unlock(&queue->lock);
	return r;
}

static void kick(struct peal_blk_queue *queue)
{
	bool notify = false;
	uint64_t before;

	peal_driver_lock(&queue->lock);
	before = queue->ring->published;
	if (!queue->closed)
		notify = peal_driver_queue_publish(queue->ring);
	if (queue->ring->published != before)
		peal_driver_count(&queue->counters.kicks, 1);
	if (notify)
		peal_driver_count(&queue->counters.notifications, 1);
	peal_driver_unlock(&queue->lock);
	/* Not under the lock: a device may do its work in there. */
	if (notify)
		peal_driver_queue_notify(queue->ring);
}

void peal_blk_driver_kick(struct peal_blk_driver *driver, unsigned index)
{
	PEAL_ASSERT(index < driver->nqueues);
	kick(&driver->queues[index]);
}

/* ---- completion ---- */

/* Requests that ended, in order, not yet told. */
struct finished {
	struct peal_blk_request *first;
	struct peal_blk_request **last;
	unsigned count;
};

static void finish(struct peal_blk_queue *queue, struct finished *finished,
		   struct peal_blk_slot *slot, int status)
{
	struct peal_blk_request *request = slot->request;

	request->status = status;
	request->next = NULL;
	*finished->last = request;
	finished->last = &request->next;
	finished->count++;
	free_slot(queue, slot);
	peal_driver_count(&queue->counters.completed, 1);
	if (status < 0)
		peal_driver_count(&queue->counters.failed, 1);
}

/*
 * What the status byte says. §2.7.8.2: nothing may be assumed about bytes beyond the length that the
 * device reports; a read or an id that it did not write in full has failed.
 */
static int request_status(const struct peal_blk_queue *queue, const struct peal_blk_slot *slot,
			  uint32_t written)
{
	const struct peal_blk_request *request = slot->request;
	uint32_t expected = operations[request->op].device_writes ? data_length(request) : 0;

	switch (__atomic_load_n(slot_memory(queue, slot) + PEAL_BLK_SLOT_STATUS,
				__ATOMIC_RELAXED)) {
	case PEAL_VIRTIO_BLK_S_OK:
		return written > expected ? 0 : -EIO;
	case PEAL_VIRTIO_BLK_S_UNSUPP:
		return -ENOTSUP;
	default:
		return -EIO;
	}
}

/* Ends all that is in flight. With the lock. */
static void cancel(struct peal_blk_queue *queue, struct finished *finished, int status)
{
	struct peal_blk_slot *slot;

	while ((slot = peal_driver_queue_take(queue->ring)))
		finish(queue, finished, slot, status);
}

/* Takes all that is done, all there is from a broken queue. With the lock. */
static void collect(struct peal_blk_queue *queue, struct finished *finished)
{
	uint32_t written;
	void *cookie;
	int r;

	*finished = (struct finished){ .last = &finished->first };
	while ((r = peal_driver_queue_harvest(queue->ring, &cookie, &written)) > 0)
		finish(queue, finished, cookie, request_status(queue, cookie, written));
	if (r < 0)
		cancel(queue, finished, -EIO);
}

/* Without the lock; a request is its owner's again when done is called. */
static void tell(const struct finished *finished)
{
	struct peal_blk_request *request, *next;

	for (request = finished->first; request; request = next) {
		next = request->next;
		request->done(request, request->status);
	}
}

/* Until nothing is left and the device will interrupt for the next. Returns how many ended. */
static unsigned work(struct peal_blk_queue *queue)
{
	struct finished finished;
	unsigned total = 0;

	peal_driver_lock(&queue->lock);
	while (!queue->closed) {
		peal_driver_queue_disable_interrupts(queue->ring);
		collect(queue, &finished);
		if (finished.count == 0) {
			if (!peal_driver_queue_enable_interrupts(queue->ring))
				break;
			continue;
		}
		peal_driver_unlock(&queue->lock);
		total += finished.count;
		tell(&finished);
		kick(queue);
		peal_driver_lock(&queue->lock);
	}
	peal_driver_unlock(&queue->lock);
	return total;
}

bool peal_blk_queue_interrupt(void *arg)
{
	struct peal_blk_queue *queue = arg;
	unsigned ended = work(queue);

	peal_count(&queue->counters.interrupts, 1);
	if (ended == 0)
		peal_count(&queue->counters.spurious, 1);
	return ended != 0;
}

unsigned peal_blk_driver_poll(struct peal_blk_driver *driver, unsigned index)
{
	PEAL_ASSERT(index < driver->nqueues);
	return work(&driver->queues[index]);
}

void peal_blk_queue_close(struct peal_blk_queue *queue)
{
	peal_driver_lock(&queue->lock);
	queue->closed = true;
	peal_driver_unlock(&queue->lock);
}

void peal_blk_queue_break(struct peal_blk_queue *queue, const char *reason)
{
	peal_driver_lock(&queue->lock);
	peal_driver_queue_break(queue->ring, reason);
	peal_driver_unlock(&queue->lock);
	(void)work(queue);
}

void peal_blk_queue_done(struct peal_blk_queue *queue, bool started)
{
	struct peal_blk_driver *driver = queue->driver;
	struct finished finished;

	if (!queue->slots)
		return;
	if (started) {
		peal_driver_lock(&queue->lock);
		collect(queue, &finished);
		cancel(queue, &finished, -ECANCELED);
		peal_driver_unlock(&queue->lock);
		tell(&finished);
	}
	driver->ops->dma_free(driver->ops_user, queue->memory.cpu, queue->memory.address,
			      queue->memory.size);
	peal_free(driver->host, queue->slots, queue->depth * sizeof(queue->slots[0]));
	queue->slots = NULL;
}

void peal_blk_driver_counters(const struct peal_blk_driver *driver, unsigned index,
			      struct peal_blk_counters *ret)
{
	const struct peal_blk_counters *counters;

	PEAL_ASSERT(index < driver->nqueues);
	counters = &driver->queues[index].counters;
	*ret = (struct peal_blk_counters){
		.submitted = peal_counted(&counters->submitted),
		.completed = peal_counted(&counters->completed),
		.failed = peal_counted(&counters->failed),
		.kicks = peal_counted(&counters->kicks),
		.notifications = peal_counted(&counters->notifications),
		.interrupts = peal_counted(&counters->interrupts),
		.spurious = peal_counted(&counters->spurious),
	};
}

const char *peal_blk_driver_broken(const struct peal_blk_driver *driver, unsigned index)
{
	PEAL_ASSERT(index < driver->nqueues);
	return peal_driver_queue_broken(driver->queues[index].ring);
}
