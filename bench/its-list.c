/* SPDX-License-Identifier: BSD-2-Clause */
/* The list ITS. Lock order: ITS → redistributor. */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

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

struct list_its {
	pthread_mutex_t lock;
	struct node devices;
	struct list_collection collections[BENCH_REDISTS];
	struct list_redist redists[BENCH_REDISTS];
};

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

/* ---- mapping ---- */

static int map_event(struct list_its *its, struct list_device *device, uint32_t id, uint32_t intid)
{
	struct list_event *event = calloc(1, sizeof(*event));
	struct list_lpi *lpi = calloc(1, sizeof(*lpi));

	if (!event || !lpi) {
		free(event);
		free(lpi);
		return -ENOMEM;
	}
	lpi->intid = intid;
	lpi->enabled = true;
	lpi->priority = 0xa0;
	event->id = id;
	event->lpi = lpi;
	event->collection = &its->collections[bench_its_redist(device->id, id)];
	append(&device->events, &event->in_device);
	return 0;
}

/* A device with its events, as a guest's driver maps them: one device after the other. */
static int map_device(struct list_its *its, uint32_t id, uint32_t events)
{
	struct list_device *device = calloc(1, sizeof(*device));
	int r = 0;

	if (!device)
		return -ENOMEM;
	device->id = id;
	init(&device->events);
	append(&its->devices, &device->in_its);
	for (uint32_t e = 0; r == 0 && e < events; e++)
		r = map_event(its, device, e, PEAL_GIC_FIRST_LPI + id * events + e);
	return r;
}

int list_its_new(struct list_its **ret, uint32_t devices, uint32_t events)
{
	struct list_its *its = calloc(1, sizeof(*its));
	int r = 0;

	if (!its)
		return -ENOMEM;
	(void)pthread_mutex_init(&its->lock, NULL);
	init(&its->devices);
	for (unsigned i = 0; i < BENCH_REDISTS; i++) {
		(void)pthread_mutex_init(&its->redists[i].lock, NULL);
		init(&its->redists[i].pending);
		its->collections[i] = (struct list_collection){ i, &its->redists[i] };
	}
	for (uint32_t d = 0; r == 0 && d < devices; d++)
		r = map_device(its, d, events);
	if (r < 0) {
		list_its_free(its);
		return r;
	}
	*ret = its;
	return 0;
}

static void free_device(struct list_device *device)
{
	struct node *node = device->events.next;

	while (node != &device->events) {
		struct list_event *event = (struct list_event *)node;

		node = node->next;
		free(event->lpi);
		free(event);
	}
	free(device);
}

void list_its_free(struct list_its *its)
{
	struct node *node;

	if (!its)
		return;
	for (node = its->devices.next; node != &its->devices;) {
		struct list_device *device = (struct list_device *)node;

		node = node->next;
		free_device(device);
	}
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
