/* SPDX-License-Identifier: BSD-2-Clause */
/* The list ITS. Lock order: ITS → redistributor. */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "its-guest.h"
#include "its-list.h"

/* A node of a doubly linked list; the head is one too. The first member of what is listed. */
struct node {
	struct node *next;
	struct node *previous;
};

struct list_redist {
	pthread_mutex_t lock;
	struct node pending; /* LPIs */
};

struct list_collection {
	uint32_t id;
	struct list_redist *target;
};

struct list_lpi {
	struct node in_redist;
	uint32_t intid;
	uint8_t priority;
	bool enabled;
	bool pending;
};

struct list_event {
	struct node in_device;
	uint32_t id;
	struct list_lpi *lpi;
	struct list_collection *collection;
};

struct list_device {
	struct node in_its;
	uint32_t id;
	uint32_t event_bits;
	uint64_t itt;
	struct node events;
};

#define SLOT 64u /* bytes; every node fits */

/*
 * Where nodes come from. A heap that has been in use for a while, or an allocator with randomised
 * free lists, gives memory in no order: list order and memory order are not the same, and no
 * prefetcher runs ahead of the walk. A fresh heap gives one node behind the other.
 */
struct list_heap {
	char *slots;
	uint32_t *order;
	uint32_t next;
};

struct list_its {
	struct list_heap heap;
	pthread_mutex_t lock;
	struct node devices;
	struct list_collection collections[BENCH_REDISTS];
	struct list_redist redists[BENCH_REDISTS];
};

_Static_assert(sizeof(struct list_device) <= SLOT && sizeof(struct list_event) <= SLOT &&
		       sizeof(struct list_lpi) <= SLOT,
	       "every node fits its slot");

static void init(struct node *head)
{
	head->next = head->previous = head;
}

static void append(struct node *head, struct node *node)
{
	node->next = head;
	node->previous = head->previous;
	head->previous->next = node;
	head->previous = node;
}

/* ---- memory ---- */

static int heap_init(struct list_heap *heap, uint32_t count, bool fresh)
{
	uint64_t random = 1;

	heap->slots = aligned_alloc(SLOT, (size_t)count * SLOT);
	heap->order = calloc(count, sizeof(*heap->order));
	if (!heap->slots || !heap->order)
		return -ENOMEM;
	memset(heap->slots, 0, (size_t)count * SLOT);
	for (uint32_t i = 0; i < count; i++)
		heap->order[i] = i;
	for (uint32_t i = count - 1; !fresh && i > 0; i--) {
		uint32_t other, value = heap->order[i];

		random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		other = (uint32_t)((random >> 33) % (i + 1));
		heap->order[i] = heap->order[other];
		heap->order[other] = value;
	}
	return 0;
}

static void heap_done(struct list_heap *heap)
{
	free(heap->slots);
	free(heap->order);
}

/* There are as many slots as nodes. */
static void *heap_get(struct list_heap *heap)
{
	return heap->slots + (size_t)heap->order[heap->next++] * SLOT;
}

/* ---- mapping ---- */

static void map_event(struct list_its *its, struct list_device *device, uint32_t id, uint32_t intid)
{
	struct list_event *event = heap_get(&its->heap);
	struct list_lpi *lpi = heap_get(&its->heap);

	lpi->intid = intid;
	lpi->enabled = true;
	lpi->priority = 0xa0;
	event->id = id;
	event->lpi = lpi;
	event->collection = &its->collections[bench_its_redist(device->id, id)];
	append(&device->events, &event->in_device);
}

/* A device with its events, as a guest's driver maps them: one device after the other. */
static void map_device(struct list_its *its, uint32_t id, uint32_t events)
{
	struct list_device *device = heap_get(&its->heap);

	device->id = id;
	init(&device->events);
	append(&its->devices, &device->in_its);
	for (uint32_t e = 0; e < events; e++)
		map_event(its, device, e, PEAL_GIC_FIRST_LPI + id * events + e);
}

int list_its_new(struct list_its **ret, uint32_t devices, uint32_t events, bool fresh)
{
	struct list_its *its = calloc(1, sizeof(*its));

	if (!its)
		return -ENOMEM;
	(void)pthread_mutex_init(&its->lock, NULL);
	init(&its->devices);
	for (unsigned i = 0; i < BENCH_REDISTS; i++) {
		(void)pthread_mutex_init(&its->redists[i].lock, NULL);
		init(&its->redists[i].pending);
		its->collections[i] = (struct list_collection){ i, &its->redists[i] };
	}
	if (heap_init(&its->heap, devices * (1 + 2 * events), fresh) < 0) {
		list_its_free(its);
		return -ENOMEM;
	}
	for (uint32_t d = 0; d < devices; d++)
		map_device(its, d, events);
	*ret = its;
	return 0;
}

void list_its_free(struct list_its *its)
{
	if (!its)
		return;
	heap_done(&its->heap);
	for (unsigned i = 0; i < BENCH_REDISTS; i++)
		(void)pthread_mutex_destroy(&its->redists[i].lock);
	(void)pthread_mutex_destroy(&its->lock);
	free(its);
}

/* ---- sending ---- */

static struct list_device *find_device(struct list_its *its, uint32_t id)
{
	for (struct node *node = its->devices.next; node != &its->devices; node = node->next) {
		struct list_device *device = (struct list_device *)node;

		if (device->id == id)
			return device;
	}
	return NULL;
}

static struct list_event *find_event(struct list_device *device, uint32_t id)
{
	for (struct node *node = device->events.next; node != &device->events; node = node->next) {
		struct list_event *event = (struct list_event *)node;

		if (event->id == id)
			return event;
	}
	return NULL;
}

static void pend(struct list_redist *redist, struct list_lpi *lpi)
{
	(void)pthread_mutex_lock(&redist->lock);
	if (!lpi->pending) {
		lpi->pending = true;
		if (lpi->enabled)
			append(&redist->pending, &lpi->in_redist);
	}
	(void)pthread_mutex_unlock(&redist->lock);
}

int list_its_send(struct list_its *its, uint32_t device, uint32_t event)
{
	struct list_device *d;
	struct list_event *e;

	(void)pthread_mutex_lock(&its->lock);
	d = find_device(its, device);
	e = d ? find_event(d, event) : NULL;
	if (e)
		pend(e->collection->target, e->lpi);
	(void)pthread_mutex_unlock(&its->lock);
	return e ? 1 : 0;
}

uint64_t list_its_clear(struct list_its *its)
{
	uint64_t cleared = 0;

	for (unsigned i = 0; i < BENCH_REDISTS; i++) {
		struct list_redist *redist = &its->redists[i];

		(void)pthread_mutex_lock(&redist->lock);
		for (struct node *node = redist->pending.next; node != &redist->pending;
		     node = node->next) {
			((struct list_lpi *)node)->pending = false;
			cleared++;
		}
		init(&redist->pending);
		(void)pthread_mutex_unlock(&redist->lock);
	}
	return cleared;
}
