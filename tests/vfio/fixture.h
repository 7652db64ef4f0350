/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests of irqsets share: descriptors that are numbers, and a source that knows what it
 * may be asked.
 *
 *   descriptors  100..2199   event descriptors
 *                5000..      open, but something else
 *                all others  not open
 */
#ifndef PEAL_TESTS_VFIO_FIXTURE_H
#define PEAL_TESTS_VFIO_FIXTURE_H

#include <support.h>

#include <peal/vfio.h>

#define FD           100
#define FDS          2100
#define FD_NO_EVENT  5000
#define FD_NOT_OPEN  4000
#define SOURCE_COUNT 2048u
#define LOG_SIZE     131072u

/* The log: one letter and number for each op, in their order: "get 100 enable 2/4 open 2/0 …". */
struct rig {
	struct test_host th;
	struct peal_irqset *irqset;
	struct peal_irqset_config config;
	char log[LOG_SIZE];
	size_t log_used;
	bool quiet; /* for threads: no log */

	/* descriptors */
	int64_t references; /* triggers and watchers that are not given back */
	uint64_t events[FDS];
	int64_t held[FDS];
	int get_error; /* of the next get of an event descriptor */
	bool refuse_bypass;
	int64_t bypassed;
	void *offered[2048]; /* by vector: what the bypass consumer has */
	void (*fire)(void *argument, bool closed);
	void *fire_argument;
	uint64_t resample; /* what the watched descriptor holds already */
	unsigned watchers;

	/* source */
	unsigned index; /* that is enabled */
	unsigned vectors;
	unsigned available; /* vectors the host has */
	int enable_error;
	int open_error_at; /* vector whose open fails; -1 */
	int allocate_error;
	bool open[SOURCE_COUNT];
	bool pending[SOURCE_COUNT];
	bool allocated[SOURCE_COUNT];
	bool decode;
	bool line_mask;
	bool asserted;
};

static inline void rig_log(struct rig *rig, const char *word, int a, int b)
{
	int n;

	if (rig->quiet)
		return;
	n = b < 0 ? snprintf(rig->log + rig->log_used, LOG_SIZE - rig->log_used, "%s %d ", word, a)
		  : snprintf(rig->log + rig->log_used, LOG_SIZE - rig->log_used, "%s %d/%d ", word,
			     a, b);
	thread_assert(n > 0 && rig->log_used + (size_t)n < LOG_SIZE);
	rig->log_used += (size_t)n;
}

static inline void rig_forget(struct rig *rig)
{
	rig->log_used = 0;
	rig->log[0] = 0;
}

/* ---- descriptors ---- */

static inline int rig_check_fd(int fd)
{
	if (fd >= FD_NO_EVENT)
		return -EINVAL;
	return fd >= FD && fd < FD + FDS ? 0 : -EBADF;
}

static inline int rig_get(void *user, int fd, void **ret)
{
	struct rig *rig = (struct rig *)user;
	int r = rig_check_fd(fd);

	if (r == 0 && rig->get_error) {
		r = rig->get_error;
		rig->get_error = 0;
	}
	if (r < 0)
		return r;
	rig_log(rig, "get", fd, -1);
	rig->references++;
	(void)__atomic_fetch_add(&rig->held[fd - FD], 1, __ATOMIC_RELAXED);
	*ret = &rig->events[fd - FD];
	return 0;
}

static inline int rig_number(const struct rig *rig, const void *trigger)
{
	return (int)((const uint64_t *)trigger - rig->events);
}

static inline void rig_put(void *user, void *trigger)
{
	struct rig *rig = (struct rig *)user;
	int n = rig_number(rig, trigger);

	thread_assert(__atomic_load_n(&rig->held[n], __ATOMIC_RELAXED) > 0);
	rig_log(rig, "put", FD + n, -1);
	(void)__atomic_fetch_sub(&rig->held[n], 1, __ATOMIC_RELAXED);
	rig->references--;
}

static inline int rig_signal(void *user, void *trigger, uint64_t *left)
{
	struct rig *rig = (struct rig *)user;

	/* Who signals what was given back is caught. */
	thread_assert(__atomic_load_n(&rig->held[rig_number(rig, trigger)], __ATOMIC_RELAXED) > 0);
	(void)__atomic_fetch_add((uint64_t *)trigger, 1, __ATOMIC_RELAXED);
	return peal_trigger_leave(left);
}

static inline int rig_watch(void *user, int fd, void (*fire)(void *argument, bool closed),
			    void *argument, void **ret)
{
	struct rig *rig = (struct rig *)user;
	int r = rig_check_fd(fd);

	if (r < 0)
		return r;
	thread_assert(rig->watchers == 0);
	rig_log(rig, "watch", fd, -1);
	rig->watchers++;
	rig->references++;
	rig->fire = fire;
	rig->fire_argument = argument;
	*ret = rig;
	if (rig->resample)
		fire(argument, false);
	rig->resample = 0;
	return 0;
}

static inline void rig_unwatch(void *user, void *watcher)
{
	struct rig *rig = (struct rig *)user;

	thread_assert(watcher == rig && rig->watchers == 1);
	if (rig->resample)
		rig->fire(rig->fire_argument, false);
	rig->resample = 0;
	rig_log(rig, "unwatch", 0, -1);
	rig->watchers--;
	rig->references--;
}

static inline int rig_bypass_add(void *user, void *trigger, unsigned index, unsigned vector)
{
	struct rig *rig = (struct rig *)user;

	if (rig->refuse_bypass)
		return -ENOTSUP;
	thread_assert(!rig->offered[vector]);
	rig->offered[vector] = trigger;
	rig_log(rig, "bypass", (int)index, (int)vector);
	rig->bypassed++;
	return 0;
}

static inline void rig_bypass_remove(void *user, void *trigger, unsigned index, unsigned vector)
{
	struct rig *rig = (struct rig *)user;

	thread_assert(rig->held[rig_number(rig, trigger)] > 0);
	thread_assert(rig->offered[vector] == trigger);
	rig->offered[vector] = NULL;
	rig_log(rig, "unbypass", (int)index, (int)vector);
	rig->bypassed--;
}

static const struct peal_trigger_ops rig_triggers = {
	.get = rig_get,
	.put = rig_put,
	.signal = rig_signal,
	.watch = rig_watch,
	.unwatch = rig_unwatch,
};

static const struct peal_trigger_ops rig_bypass_triggers = {
	.get = rig_get,
	.put = rig_put,
	.signal = rig_signal,
	.watch = rig_watch,
	.unwatch = rig_unwatch,
	.bypass_add = rig_bypass_add,
	.bypass_remove = rig_bypass_remove,
};

/* ---- the source ---- */

static inline int source_enable(void *user, unsigned index, unsigned count)
{
	struct rig *rig = (struct rig *)user;

	thread_assert(rig->index == PEAL_VFIO_IRQ_NONE && count > 0);
	if (rig->enable_error)
		return rig->enable_error;
	if (index != PEAL_VFIO_IRQ_INTX && count > rig->available)
		return (int)rig->available;
	rig_log(rig, "enable", (int)index, (int)count);
	rig->index = index;
	rig->vectors = count;
	for (unsigned i = 0; i < count; i++)
		rig->allocated[i] = true;
	return 0;
}

static inline void source_disable(void *user, unsigned index)
{
	struct rig *rig = (struct rig *)user;

	thread_assert(rig->index == index);
	for (unsigned i = 0; i < SOURCE_COUNT; i++) {
		thread_assert(!rig->open[i]);
		rig->allocated[i] = false;
		rig->pending[i] = false;
	}
	rig_log(rig, "disable", (int)index, -1);
	rig->index = PEAL_VFIO_IRQ_NONE;
	rig->vectors = 0;
}

static inline int source_allocate(void *user, unsigned index, unsigned vector)
{
	struct rig *rig = (struct rig *)user;

	thread_assert(rig->index == index && !rig->allocated[vector]);
	if (rig->allocate_error)
		return rig->allocate_error;
	rig_log(rig, "allocate", (int)index, (int)vector);
	rig->allocated[vector] = true;
	return 0;
}

static inline int source_open(void *user, unsigned index, unsigned vector)
{
	struct rig *rig = (struct rig *)user;

	thread_assert(rig->index == index && rig->allocated[vector] && !rig->open[vector]);
	if (rig->open_error_at == (int)vector)
		return -EIO;
	rig_log(rig, "open", (int)index, (int)vector);
	rig->open[vector] = true;
	if (rig->pending[vector])
		(void)peal_irqset_raise(rig->irqset, index, vector);
	rig->pending[vector] = false;
	return 0;
}

static inline void source_close(void *user, unsigned index, unsigned vector)
{
	struct rig *rig = (struct rig *)user;

	thread_assert(rig->index == index && rig->open[vector]);
	rig_log(rig, "close", (int)index, (int)vector);
	rig->open[vector] = false;
}

static const struct peal_irq_source_ops rig_source = {
	.enable = source_enable,
	.disable = source_disable,
	.allocate = source_allocate,
	.open = source_open,
	.close = source_close,
};

/* ---- the rig ---- */

static inline void rig_defaults(struct rig *rig)
{
	memset(rig, 0, sizeof(*rig));
	test_host_init(&rig->th);
	rig->index = PEAL_VFIO_IRQ_NONE;
	rig->available = SOURCE_COUNT;
	rig->open_error_at = -1;
	rig->config = (struct peal_irqset_config){
		.host = &rig->th.host,
		.source = &rig_source,
		.source_user = rig,
		.triggers = &rig_triggers,
		.triggers_user = rig,
		.count = { 1, 32, SOURCE_COUNT, 1, 1 },
	};
}

static inline void rig_start(struct rig *rig)
{
	assert_int_equal(peal_irqset_new(&rig->irqset, &rig->config), 0);
}

static inline struct rig *rig_new(enum peal_irqset_compat compat, unsigned flags)
{
	struct rig *rig = (struct rig *)malloc(sizeof(*rig));

	assert_non_null(rig);
	rig_defaults(rig);
	rig->config.compat = compat;
	rig->config.flags = flags;
	rig_start(rig);
	return rig;
}

/* Whatever was enabled: nothing stays held. */
static inline void rig_free(struct rig *rig)
{
	peal_irqset_free(rig->irqset);
	assert_int_equal(rig->index, PEAL_VFIO_IRQ_NONE);
	assert_int_equal(rig->references, 0);
	assert_int_equal(rig->watchers, 0);
	assert_int_equal(rig->bypassed, 0);
	test_host_done(&rig->th);
	free(rig);
}

/* A vector of the source is raised. */
static inline void rig_raise(struct rig *rig, unsigned index, unsigned vector)
{
	if (index <= PEAL_VFIO_IRQ_MSIX && !(rig->index == index && rig->open[vector])) {
		rig->pending[vector] = true;
		return;
	}
	(void)peal_irqset_raise(rig->irqset, index, vector);
}

static inline uint64_t rig_events(const struct rig *rig, int fd)
{
	return __atomic_load_n(&rig->events[fd - FD], __ATOMIC_RELAXED);
}

/* ---- requests ---- */

static inline int set_raw(struct rig *rig, uint32_t flags, uint32_t index, uint32_t start,
			  uint32_t count, const void *data, size_t size)
{
	const struct peal_irqset_request request = {
		.argsz = PEAL_VFIO_IRQ_REQUEST_SIZE + (uint32_t)size,
		.flags = flags,
		.index = index,
		.start = start,
		.count = count,
	};

	return peal_irqset_set(rig->irqset, &request, data, size);
}

static inline int set_fds(struct rig *rig, uint32_t action, uint32_t index, uint32_t start,
			  uint32_t count, const int32_t *fds)
{
	return set_raw(rig, PEAL_VFIO_DATA_EVENTFD | action, index, start, count, fds,
		       count * sizeof(*fds));
}

#define TRIGGER PEAL_VFIO_ACTION_TRIGGER
#define MASK    PEAL_VFIO_ACTION_MASK
#define UNMASK  PEAL_VFIO_ACTION_UNMASK
#define INTX    PEAL_VFIO_IRQ_INTX
#define MSI     PEAL_VFIO_IRQ_MSI
#define MSIX    PEAL_VFIO_IRQ_MSIX
#define ERR     PEAL_VFIO_IRQ_ERR
#define REQ     PEAL_VFIO_IRQ_REQ

static inline int set_fd(struct rig *rig, uint32_t action, uint32_t index, uint32_t start,
			 int32_t fd)
{
	return set_fds(rig, action, index, start, 1, &fd);
}

static inline int set_none(struct rig *rig, uint32_t action, uint32_t index, uint32_t start,
			   uint32_t count)
{
	return set_raw(rig, PEAL_VFIO_DATA_NONE | action, index, start, count, NULL, 0);
}

static inline int set_bool(struct rig *rig, uint32_t action, uint32_t index, uint32_t start,
			   uint8_t value)
{
	return set_raw(rig, PEAL_VFIO_DATA_BOOL | action, index, start, 1, &value, 1);
}

/* Enables COUNT vectors of INDEX, vector v with descriptor FD + v. */
static inline void enable(struct rig *rig, uint32_t index, uint32_t count)
{
	int32_t fds[SOURCE_COUNT];

	for (uint32_t i = 0; i < count; i++)
		fds[i] = FD + (int32_t)i;
	assert_int_equal(set_fds(rig, TRIGGER, index, 0, count, fds), 0);
}

#endif
