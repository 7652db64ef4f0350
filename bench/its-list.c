/* SPDX-License-Identifier: BSD-2-Clause */
/* The list ITS. Lock order: ITS → redistributor. */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "its-guest.h"
#include "its-list.h"

struct list_redist {
	pthread_mutex_t lock;
	struct list_lpi *first;
	struct list_lpi **end; /* where the next one is hung */
};

struct list_lpi {
	uint32_t intid;
	bool pending;
	bool enabled;
	uint8_t priority;
	struct list_redist *target;
	struct list_lpi *next_pending;
};

struct list_event {
	struct list_event *next;
	uint32_t id;
	struct list_lpi *lpi;
};

struct list_device {
	struct list_device *next;
	uint32_t id;
	struct list_event *events;
};

struct list_its {
	pthread_mutex_t lock;
	struct list_device *devices;
	struct list_redist redists[BENCH_REDISTS];
};

static struct list_event *new_event(struct list_its *its, uint32_t device, uint32_t id,
				    uint32_t intid)
{
	struct list_event *event = calloc(1, sizeof(*event));

	if (!event)
		return NULL;
	event->id = id;
	event->lpi = calloc(1, sizeof(*event->lpi));
	if (!event->lpi) {
		free(event);
		return NULL;
	}
	event->lpi->intid = intid;
	event->lpi->enabled = true;
	event->lpi->priority = 0xa0;
	event->lpi->target = &its->redists[bench_its_redist(device, id)];
	return event;
}

/* A device with its events, as a guest's driver maps them: one device after the other. */
static int map_device(struct list_its *its, struct list_device **place, uint32_t id,
		      uint32_t events)
{
	struct list_device *device = calloc(1, sizeof(*device));
	struct list_event **end;

	if (!device)
		return -ENOMEM;
	device->id = id;
	*place = device;
	end = &device->events;
	for (uint32_t e = 0; e < events; e++, end = &(*end)->next) {
		*end = new_event(its, id, e, PEAL_GIC_FIRST_LPI + id * events + e);
		if (!*end)
			return -ENOMEM;
	}
	return 0;
}

int list_its_new(struct list_its **ret, uint32_t devices, uint32_t events)
{
	struct list_its *its = calloc(1, sizeof(*its));
	struct list_device **end;

	if (!its)
		return -ENOMEM;
	(void)pthread_mutex_init(&its->lock, NULL);
	for (unsigned i = 0; i < BENCH_REDISTS; i++) {
		(void)pthread_mutex_init(&its->redists[i].lock, NULL);
		its->redists[i].end = &its->redists[i].first;
	}
	end = &its->devices;
	for (uint32_t d = 0; d < devices; d++, end = &(*end)->next) {
		if (map_device(its, end, d, events) < 0) {
			list_its_free(its);
			return -ENOMEM;
		}
	}
	*ret = its;
	return 0;
}

void list_its_free(struct list_its *its)
{
	if (!its)
		return;
	while (its->devices) {
		struct list_device *device = its->devices;

		its->devices = device->next;
		while (device->events) {
			struct list_event *event = device->events;

			device->events = event->next;
			free(event->lpi);
			free(event);
		}
		free(device);
	}
	for (unsigned i = 0; i < BENCH_REDISTS; i++)
		(void)pthread_mutex_destroy(&its->redists[i].lock);
	(void)pthread_mutex_destroy(&its->lock);
	free(its);
}

static void pend(struct list_lpi *lpi)
{
	struct list_redist *redist = lpi->target;

	(void)pthread_mutex_lock(&redist->lock);
	if (!lpi->pending) {
		lpi->pending = true;
		if (lpi->enabled) {
			lpi->next_pending = NULL;
			*redist->end = lpi;
			redist->end = &lpi->next_pending;
		}
	}
	(void)pthread_mutex_unlock(&redist->lock);
}

int list_its_send(struct list_its *its, uint32_t device, uint32_t event)
{
	const struct list_device *d;
	const struct list_event *e = NULL;

	(void)pthread_mutex_lock(&its->lock);
	for (d = its->devices; d && d->id != device; d = d->next)
		;
	for (e = d ? d->events : NULL; e && e->id != event; e = e->next)
		;
	if (e)
		pend(e->lpi);
	(void)pthread_mutex_unlock(&its->lock);
	return e ? 1 : 0;
}

uint64_t list_its_clear(struct list_its *its)
{
	uint64_t cleared = 0;

	for (unsigned i = 0; i < BENCH_REDISTS; i++) {
		struct list_redist *redist = &its->redists[i];

		(void)pthread_mutex_lock(&redist->lock);
		for (struct list_lpi *lpi = redist->first; lpi; lpi = lpi->next_pending) {
			lpi->pending = false;
			cleared++;
		}
		redist->first = NULL;
		redist->end = &redist->first;
		(void)pthread_mutex_unlock(&redist->lock);
	}
	return cleared;
}
