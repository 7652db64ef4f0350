/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interrupt ladder: ways to connect a device's interrupts, from best to worst. Virtio 1.2
 * §4.1.5.1.2 (MSI-X vector configuration), §4.1.5.3, §4.1.5.4.
 *
 * Each rung is a row of the table. An attempt that fails at any step is undone before the next:
 * vectors in the device back to NO_VECTOR, then handlers removed, then vectors released.
 *
 * Queues without handler get NO_VECTOR and take no vector: the vectors of a rung are counted over
 * the queues that interrupt, not over all.
 */
#include <peal/base.h>
#include <peal/bits.h>
#include <peal/driver.h>
#include <peal/virtio-abi.h>

#include "driver/virtio.h"

struct rung {
	enum peal_virtio_intr intr;
	const char *name;
	enum peal_irq_kind kind;
	/* Vectors for so many interrupting queues. */
	unsigned (*count)(unsigned interrupting);
	/* The vector of the NTH interrupting queue. */
	unsigned (*vector)(unsigned nth);
	/* Handler of the vectors after the first, which is for configuration changes. */
	void (*handler)(void *vector);
};

/* ---- handlers, in interrupt context ---- */

static void on_config(void *arg)
{
	struct peal_driver_vector *vector = arg;
	const struct peal_virtio_intr_config *config = &vector->driver->intr_config;

	peal_count(&vector->interrupts, 1);
	if (config->config_changed)
		config->config_changed(config->arg);
}

static void on_queue(void *arg)
{
	struct peal_driver_vector *vector = arg;
	const struct peal_virtio_queue_info *info = &vector->driver->slots[vector->queue].info;

	peal_count(&vector->interrupts, 1);
	if (!info->handler(info->arg))
		peal_count(&vector->stray, 1);
}

/* Whose work it is cannot be told: every queue that interrupts is asked. */
static void on_shared(void *arg)
{
	struct peal_driver_vector *vector = arg;
	struct peal_virtio_driver *driver = vector->driver;
	bool found = false;

	peal_count(&vector->interrupts, 1);
	for (unsigned i = 0; i < driver->nqueues; i++) {
		const struct peal_virtio_queue_info *info = &driver->slots[i].info;

		if (info->handler && info->handler(info->arg))
			found = true;
	}
	if (!found)
		peal_count(&vector->stray, 1);
}

/* ---- the ladder ---- */

static unsigned count_per_queue(unsigned interrupting)
{
	return 1 + interrupting;
}

static unsigned vector_per_queue(unsigned nth)
{
	return 1 + nth;
}

static unsigned count_shared(unsigned interrupting)
{
	(void)interrupting;
	return 2;
}

static unsigned vector_shared(unsigned nth)
{
	(void)nth;
	return 1;
}

static const struct rung ladder[] = {
	{ PEAL_VIRTIO_INTR_MSIX_PER_QUEUE, "msix-per-queue", PEAL_IRQ_MSIX, count_per_queue,
	  vector_per_queue, on_queue },
	{ PEAL_VIRTIO_INTR_MSIX_SHARED, "msix-shared", PEAL_IRQ_MSIX, count_shared, vector_shared,
	  on_shared },
};

static bool is_skipped(const struct rung *rung, const struct peal_virtio_intr_config *config)
{
	if (rung->kind == PEAL_IRQ_MSIX && config->disable_msix)
		return true;
	return rung->intr == PEAL_VIRTIO_INTR_MSIX_PER_QUEUE && config->disable_msix_per_queue;
}

/* ---- one attempt ---- */

int peal_driver_register_vectors(struct peal_virtio_driver *driver)
{
	const struct peal_driver_transport *transport = driver->transport;

	/* §4.1.5.1.2.1: a device that lacks resources for a vector answers NO_VECTOR. */
	if (transport->config_vector(driver, 0) != 0)
		return -ENXIO;
	for (unsigned i = 0; i < driver->nqueues; i++) {
		unsigned vector = driver->slots[i].vector;

		if (transport->queue_vector(driver, i, vector) != vector)
			return -ENXIO;
	}
	return 0;
}

static void unregister_vectors(struct peal_virtio_driver *driver)
{
	(void)driver->transport->config_vector(driver, PEAL_VIRTIO_NO_VECTOR);
	for (unsigned i = 0; i < driver->nqueues; i++) {
		(void)driver->transport->queue_vector(driver, i, PEAL_VIRTIO_NO_VECTOR);
		driver->slots[i].vector = PEAL_VIRTIO_NO_VECTOR;
	}
}

/* Gives each queue its vector and each vector its queue; returns how many vectors that takes. */
static unsigned assign_vectors(struct peal_virtio_driver *driver, const struct rung *rung)
{
	unsigned interrupting = 0;

	for (unsigned i = 0; i < driver->nqueues; i++) {
		struct peal_driver_slot *slot = &driver->slots[i];

		slot->vector = PEAL_VIRTIO_NO_VECTOR;
		if (!slot->info.handler)
			continue;
		slot->vector = rung->vector(interrupting++);
		driver->vectors[slot->vector].queue = i;
	}
	return rung->count(interrupting);
}

static void teardown_handlers(struct peal_virtio_driver *driver, unsigned count)
{
	while (count)
		driver->ops->irq_teardown(driver->user, --count);
}

static int setup_handlers(struct peal_virtio_driver *driver, const struct rung *rung,
			  unsigned count)
{
	for (unsigned v = 0; v < count; v++) {
		struct peal_driver_vector *vector = &driver->vectors[v];
		unsigned cpu = v ? driver->slots[vector->queue].info.cpu_hint : 0;
		int r = driver->ops->irq_setup(driver->user, v, v ? rung->handler : on_config,
					       vector, cpu);

		if (r < 0) {
			teardown_handlers(driver, v);
			return r;
		}
	}
	return 0;
}

static int attempt(struct peal_virtio_driver *driver, const struct rung *rung)
{
	unsigned count = assign_vectors(driver, rung);
	int r;

	r = driver->ops->irq_alloc(driver->user, rung->kind, count);
	if (r < 0)
		return r;
	r = setup_handlers(driver, rung, count);
	if (r < 0)
		goto release;
	r = peal_driver_register_vectors(driver);
	if (r < 0)
		goto unregister;
	driver->vectors_used = count;
	driver->intr = rung->intr;
	return 0;
unregister:
	unregister_vectors(driver);
	teardown_handlers(driver, count);
release:
	driver->ops->irq_release(driver->user);
	return r;
}

/* ---- interface ---- */

int peal_virtio_driver_setup_intr(struct peal_virtio_driver *driver,
				  const struct peal_virtio_intr_config *config)
{
	int r = -ENXIO;

	if (driver->intr != PEAL_VIRTIO_INTR_NONE)
		return -EALREADY;
	if (driver->nqueues == 0)
		return -EINVAL;
	driver->intr_config = *config;
	/* Two at least: a rung may take more vectors than there are queues that interrupt. */
	driver->nvectors = 2 + driver->nqueues;
	driver->vectors = peal_alloc(driver->host, driver->nvectors * sizeof(driver->vectors[0]));
	if (!driver->vectors) {
		driver->nvectors = 0;
		peal_driver_fail(driver);
		return -ENOMEM;
	}
	for (unsigned v = 0; v < driver->nvectors; v++)
		driver->vectors[v].driver = driver;

	for (unsigned i = 0; i < PEAL_COUNT_OF(ladder) && r < 0; i++)
		if (!is_skipped(&ladder[i], config))
			r = attempt(driver, &ladder[i]);
	if (r == 0)
		return 0;
	peal_driver_fail(driver);
	return -ENXIO;
}

void peal_driver_release_intr(struct peal_virtio_driver *driver)
{
	if (driver->intr != PEAL_VIRTIO_INTR_NONE) {
		teardown_handlers(driver, driver->vectors_used);
		driver->ops->irq_release(driver->user);
	}
	driver->intr = PEAL_VIRTIO_INTR_NONE;
	for (unsigned i = 0; i < driver->nqueues; i++)
		driver->slots[i].vector = PEAL_VIRTIO_NO_VECTOR;
	peal_free(driver->host, driver->vectors, driver->nvectors * sizeof(driver->vectors[0]));
	driver->vectors = NULL;
	driver->nvectors = 0;
	driver->vectors_used = 0;
}

enum peal_virtio_intr peal_virtio_driver_intr(const struct peal_virtio_driver *driver)
{
	return driver->intr;
}

const char *peal_virtio_intr_name(enum peal_virtio_intr intr)
{
	for (unsigned i = 0; i < PEAL_COUNT_OF(ladder); i++)
		if (ladder[i].intr == intr)
			return ladder[i].name;
	return "none";
}

unsigned peal_virtio_driver_queue_vector(const struct peal_virtio_driver *driver, unsigned index)
{
	PEAL_ASSERT(index < driver->nqueues);
	return driver->slots[index].vector;
}

void peal_virtio_driver_counters(const struct peal_virtio_driver *driver,
				 struct peal_virtio_driver_counters *ret)
{
	*ret = (struct peal_virtio_driver_counters){ 0 };
	for (unsigned v = 0; v < driver->vectors_used; v++) {
		uint64_t interrupts = peal_counted(&driver->vectors[v].interrupts);

		if (v == 0)
			ret->config_interrupts += interrupts;
		else
			ret->queue_interrupts += interrupts;
		ret->stray += peal_counted(&driver->vectors[v].stray);
	}
}
