/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Workers: the threads that serve the queues of a virtio device.
 *
 * Waking a thread on another CPU costs far more than a small request, so a worker that ran out of
 * work looks for more for a while before it asks for notifications and sleeps. How long adapts:
 * a sleep that ended sooner than the longest look would have brings back the longest one, a longer
 * sleep halves it. Between two looks it yields: others may want the CPU, and it may be the driver.
 *
 * Sleeping and kicking are a question of two variables, each stored by one side before it loads
 * the other's: KICKED and SLEEPING are sequentially consistent. The mutex only covers the wait.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "base/clock-posix.h"
#include "base/thread-posix.h"
#include "device.h"

#define SPIN_NS_DEFAULT 50000u
#define LOOKS_PER_CLOCK 4u

struct virtio_worker {
	struct virtio_workers *workers;
	unsigned index;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	uint32_t kicked;
	uint32_t sleeping;
	uint32_t stop;
	uint64_t spin; /* the thread's own */
} __attribute__((aligned(PEAL_CACHE_LINE)));

struct virtio_workers {
	struct peal_virtio *device;
	unsigned count;
	unsigned started;
	uint64_t spin_max;
	struct virtio_worker *list;
};

static bool is_stopping(const struct virtio_worker *worker)
{
	return __atomic_load_n(&worker->stop, __ATOMIC_SEQ_CST);
}

/* Serves each queue of the worker once. */
static bool serve_all(struct virtio_worker *worker)
{
	struct peal_virtio *device = worker->workers->device;
	bool served = false;

	for (unsigned i = worker->index; i < device->config.num_queues; i += worker->workers->count)
		served |= virtio_queue_serve(&device->queues[i]);
	return served;
}

static bool listen_all(struct virtio_worker *worker)
{
	struct peal_virtio *device = worker->workers->device;
	bool work = false;

	for (unsigned i = worker->index; i < device->config.num_queues; i += worker->workers->count)
		work |= virtio_queue_listen(&device->queues[i]);
	return work;
}

/* Serves until nothing came for the time of a look; who was woken for nothing does not look. */
static void serve_while_busy(struct virtio_worker *worker)
{
	uint64_t idle_since = 0;
	bool busy = false;
	unsigned looks = 0;

	while (!is_stopping(worker)) {
		if (serve_all(worker)) {
			busy = true;
			idle_since = 0;
			looks = 0;
			continue;
		}
		if (!busy || !worker->spin)
			return;
		if (looks++ % LOOKS_PER_CLOCK == 0) {
			uint64_t t = peal_clock_ns();

			if (!idle_since)
				idle_since = t;
			else if (t - idle_since >= worker->spin)
				return;
		}
		(void)sched_yield();
	}
}

static void sleep_until_kicked(struct virtio_worker *worker)
{
	(void)pthread_mutex_lock(&worker->mutex);
	__atomic_store_n(&worker->sleeping, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&worker->kicked, __ATOMIC_SEQ_CST))
		(void)pthread_cond_wait(&worker->wake, &worker->mutex);
	__atomic_store_n(&worker->sleeping, 0, __ATOMIC_SEQ_CST);
	(void)pthread_mutex_unlock(&worker->mutex);
}

static void adapt(struct virtio_worker *worker, uint64_t slept)
{
	uint64_t max = worker->workers->spin_max;

	if (slept < max)
		worker->spin = max;
	else
		worker->spin = worker->spin / 2 >= max / 16 ? worker->spin / 2 : 0;
}

static void *run(void *argument)
{
	struct virtio_worker *worker = argument;

	worker->spin = worker->workers->spin_max;
	while (!is_stopping(worker)) {
		uint64_t start;

		/* Before looking: who kicks after the look is heard. */
		__atomic_store_n(&worker->kicked, 0, __ATOMIC_SEQ_CST);
		serve_while_busy(worker);
		if (listen_all(worker))
			continue;
		start = peal_clock_ns();
		sleep_until_kicked(worker);
		adapt(worker, peal_clock_ns() - start);
	}
	return NULL;
}

static void kick(struct virtio_worker *worker)
{
	/* Who found it set already leaves the waking to who set it. */
	if (__atomic_exchange_n(&worker->kicked, 1, __ATOMIC_SEQ_CST) ||
	    !__atomic_load_n(&worker->sleeping, __ATOMIC_SEQ_CST))
		return;
	(void)pthread_mutex_lock(&worker->mutex);
	(void)pthread_cond_signal(&worker->wake);
	(void)pthread_mutex_unlock(&worker->mutex);
}

void virtio_workers_kick(struct virtio_workers *workers, unsigned queue)
{
	kick(&workers->list[queue % workers->count]);
}

static int start(struct virtio_worker *worker)
{
	char name[16];
	int r = peal_thread_create(&worker->thread, NULL, run, worker);

	if (r < 0)
		return r;
	(void)snprintf(name, sizeof(name), "peal-vq%u", worker->index);
	(void)pthread_setname_np(worker->thread, name);
	return 0;
}

static int init_worker(struct virtio_workers *workers, unsigned index)
{
	struct virtio_worker *worker = &workers->list[index];
	int r;

	worker->workers = workers;
	worker->index = index;
	r = -pthread_mutex_init(&worker->mutex, NULL);
	if (r < 0)
		return r;
	r = -pthread_cond_init(&worker->wake, NULL);
	if (r == 0) {
		r = start(worker);
		if (r == 0)
			return 0;
		(void)pthread_cond_destroy(&worker->wake);
	}
	(void)pthread_mutex_destroy(&worker->mutex);
	return r;
}

int virtio_workers_new(struct virtio_workers **ret, struct peal_virtio *device, unsigned count)
{
	const struct peal_virtio_config *config = &device->config;
	struct virtio_workers *workers = peal_alloc(config->host, sizeof(*workers));
	int r = 0;

	if (!workers)
		return -ENOMEM;
	workers->device = device;
	workers->count = count;
	workers->spin_max = config->spin_ns;
	if (config->spin_ns == PEAL_VIRTIO_SPIN_DEFAULT)
		workers->spin_max = SPIN_NS_DEFAULT;
	if (config->spin_ns == PEAL_VIRTIO_SPIN_NEVER)
		workers->spin_max = 0;
	workers->list = peal_alloc(config->host, count * sizeof(*workers->list));
	if (!workers->list)
		r = -ENOMEM;
	for (; r == 0 && workers->started < count; workers->started += r == 0)
		r = init_worker(workers, workers->started);
	if (r < 0) {
		virtio_workers_free(workers);
		return r;
	}
	*ret = workers;
	return 0;
}

void virtio_workers_free(struct virtio_workers *workers)
{
	const struct peal_host *host;

	if (!workers)
		return;
	host = workers->device->config.host;
	for (unsigned i = 0; i < workers->started; i++) {
		struct virtio_worker *worker = &workers->list[i];

		__atomic_store_n(&worker->stop, 1, __ATOMIC_SEQ_CST);
		kick(worker);
		(void)pthread_join(worker->thread, NULL);
		(void)pthread_cond_destroy(&worker->wake);
		(void)pthread_mutex_destroy(&worker->mutex);
	}
	peal_free(host, workers->list, workers->count * sizeof(*workers->list));
	peal_free(host, workers, sizeof(*workers));
}
