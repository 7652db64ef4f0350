/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's side of a run: the device, the machine, watching over it, and what came of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock-posix.h"
#include "options.h"
#include "workload-internal.h"

#define TICK_MS 100u
/* A request that the device works on may take longer than one that is stuck on the way. */
#define SLOW_DEVICE 60.0
/* Who asked to stop does not wait longer than that for what is stuck on the way. */
#define STALL_WHEN_STOPPED 1.0

/* ---- making ---- */

static unsigned queue_size(const struct workload_config *c)
{
	unsigned size = 64;

	/* Header, data, status: three descriptors where a chain is not indirect. */
	while (size < 4 * c->depth)
		size *= 2;
	return size;
}

static uint64_t ram_size(const struct workload_config *c)
{
	uint64_t buffers = (uint64_t)c->queues * c->depth * peal_round_up(c->block_size, 4096);
	uint64_t rings = (uint64_t)c->queues * queue_size(c) * 4096;

	return peal_round_up(buffers + rings + (uint64_t)c->vcpus * 0x10000 + (64u << 20), 0x10000);
}

static const char *disk_name(const struct workload *w)
{
	return w->config.disk_name ? w->config.disk_name : w->config.disk;
}

static int open_disk(struct workload *w)
{
	const struct peal_blk_file_config config = {
		.host = peal_host_default(),
		.path = w->config.disk,
		.writable = w->config.writable,
	};
	const char *reason = NULL;
	int r = peal_blk_file_open(&w->file, &config, &reason);

	if (r < 0)
		return cli_error(CLI_FAILED, w->name, "%s: %s", disk_name(w),
				 reason ? reason : strerror(-r));
	return CLI_OK;
}

static int make_device(struct workload *w)
{
	const struct peal_virtio_blk_config config = {
		.host = peal_host_default(),
		.backend = peal_blk_file_backend(w->file),
		.num_queues = w->config.queues,
		.queue_size_max = queue_size(&w->config),
		.workers = w->config.workers,
	};
	int r = peal_virtio_blk_new(&w->device, &config);

	if (r < 0)
		return cli_error(CLI_FAILED, w->name, "block device with %u queues: %s",
				 w->config.queues, strerror(-r));
	w->capacity = config.backend.ops->capacity(config.backend.user);
	w->nblocks = (w->capacity + w->config.block_size - 1) / w->config.block_size;
	if (w->config.mode == WORKLOAD_RANDOM)
		w->nblocks = w->capacity / w->config.block_size;
	if (!w->nblocks)
		return cli_error(CLI_FAILED, w->name, "%s: smaller than a block of %u bytes",
				 disk_name(w), w->config.block_size);
	return CLI_OK;
}

static int make_machine(struct workload *w)
{
	const struct peal_machine_config config = {
		.ram_size = ram_size(&w->config),
		.vcpus = w->config.vcpus,
		.spin_us = 50,
		.its_trace = w->config.its_trace,
		.its_user = w->config.its_user,
	};
	int r = peal_machine_new(&w->machine, &config);

	if (r < 0)
		return cli_error(CLI_FAILED, w->name, "machine with %u vCPUs and %llu MiB: %s",
				 w->config.vcpus, (unsigned long long)(config.ram_size >> 20),
				 strerror(-r));
	r = peal_pci_bus_plug(peal_machine_bus(w->machine), 1 << 3,
			      peal_virtio_blk_function(w->device));
	PEAL_ASSERT(r == 0); /* an empty bus */
	return CLI_OK;
}

int workload_new(struct workload **ret, const struct workload_config *config, const char *name)
{
	struct workload *w = calloc(1, sizeof(*w));
	int r = CLI_OK;

	if (w) {
		(void)pthread_mutex_init(&w->lock, NULL);
		(void)peal_clock_cond_init(&w->batch_done);
		w->config = *config;
		w->name = name;
		w->nslots = config->queues * config->depth;
		w->slots = calloc(w->nslots, sizeof(*w->slots));
		w->queues = peal_alloc(peal_host_default(), config->queues * sizeof(*w->queues));
		w->to_kick = calloc(config->queues, sizeof(*w->to_kick));
	}
	if (!w || !w->slots || !w->queues || !w->to_kick)
		r = cli_error(CLI_FAILED, name, "out of memory");
	if (r == CLI_OK)
		r = open_disk(w);
	if (r == CLI_OK)
		r = make_device(w);
	if (r == CLI_OK)
		r = make_machine(w);
	if (r != CLI_OK) {
		workload_free(w);
		return r;
	}
	*ret = w;
	return CLI_OK;
}

void workload_free(struct workload *w)
{
	if (!w)
		return;
	peal_guest_function_free(w->function);
	peal_guest_free(w->guest);
	if (w->machine)
		peal_pci_bus_unplug(peal_machine_bus(w->machine),
				    peal_virtio_blk_function(w->device));
	peal_machine_free(w->machine);
	peal_virtio_blk_free(w->device);
	peal_blk_file_close(w->file);
	peal_free(peal_host_default(), w->queues, w->config.queues * sizeof(*w->queues));
	free(w->slots);
	free(w->to_kick);
	(void)pthread_cond_destroy(&w->batch_done);
	(void)pthread_mutex_destroy(&w->lock);
	free(w);
}

uint64_t workload_capacity(const struct workload *w)
{
	return w->capacity;
}

/* ---- watching ---- */

/* What shows that something moves. */
struct pulse {
	uint64_t requests; /* that the guest saw end */
	uint64_t bytes;
	uint64_t chains;   /* that the device took */
	uint64_t answered; /* that it worked on */
};

static struct pulse take_pulse(struct workload *w)
{
	struct peal_virtio_blk_counters blk;
	struct pulse p = { 0 };

	for (unsigned i = 0; i < w->config.queues; i++) {
		struct peal_virtio_counters c;

		peal_virtio_counters(peal_virtio_blk_device(w->device), i, &c);
		p.chains += c.chains;
		p.requests += __atomic_load_n(&w->queues[i].requests, __ATOMIC_RELAXED);
		p.bytes += __atomic_load_n(&w->queues[i].bytes, __ATOMIC_RELAXED);
	}
	peal_virtio_blk_counters(w->device, PEAL_VIRTIO_BLK_ALL, &blk);
	for (unsigned i = 0; i < PEAL_VIRTIO_BLK_OPS; i++)
		p.answered += blk.requests[i];
	return p;
}

static void set_stop(struct workload *w, enum workload_stop stop)
{
	__atomic_store_n(&w->stop, stop, __ATOMIC_SEQ_CST);
	peal_vcpu_kick(peal_machine_vcpu(w->machine, 0));
}

static double seconds_since(uint64_t ns)
{
	return (double)(peal_clock_ns() - ns) / 1e9;
}

/*
 * Since the last tick, but not more than a few ticks: when the whole process was stopped (SIGSTOP,
 * a debugger), the guest could not move either.
 */
static double seconds_of_tick(uint64_t *looked)
{
	double seconds = seconds_since(*looked), most = 5 * TICK_MS / 1e3;

	*looked = peal_clock_ns();
	return seconds < most ? seconds : most;
}

/* Until the guest's main has returned. */
static void watch(struct workload *w, void (*progress)(void *user, uint64_t done, uint64_t all),
		  void *user, const volatile int *stop, struct workload_result *ret)
{
	uint64_t looked = peal_clock_ns();
	uint64_t all = w->config.seconds > 0 || w->config.mode == WORKLOAD_RANDOM ? 0 : w->capacity;
	struct pulse last = { 0 };
	double idle = 0;

	if (w->config.mode == WORKLOAD_VERIFY)
		all *= 2;
	while (!peal_machine_wait(w->machine, TICK_MS)) {
		struct pulse now = take_pulse(w);
		double patience = w->config.stall;
		bool up;

		idle += seconds_of_tick(&looked);
		/* Coming up ends by itself; with gigabytes of buffers it takes its time. */
		up = __atomic_load_n(&w->up, __ATOMIC_ACQUIRE);
		if (!up || memcmp(&now, &last, sizeof(now)) != 0)
			idle = 0;
		last = now;
		if (progress)
			progress(user, now.bytes, all);
		if (stop && *stop && !ret->interrupted) {
			ret->interrupted = true;
			set_stop(w, WORKLOAD_DRAIN);
		}
		if (w->config.seconds > 0 && up && w->stop == WORKLOAD_GO &&
		    seconds_since(w->start_ns) >= w->config.seconds)
			set_stop(w, WORKLOAD_DRAIN);
		if (w->stop != WORKLOAD_GO && patience > STALL_WHEN_STOPPED)
			patience = STALL_WHEN_STOPPED;
		if (now.answered < now.chains)
			patience *= SLOW_DEVICE;
		if (idle >= patience && w->stop != WORKLOAD_ABANDON) {
			/* The guest looks at the path before it cleans up. */
			ret->stalled = true;
			set_stop(w, WORKLOAD_ABANDON);
		}
	}
	if (progress)
		progress(user, take_pulse(w).bytes, all);
}

/* ---- what came of it ---- */

static void collect_vectors(struct workload *w, struct workload_result *ret)
{
	struct peal_guest_vector v;

	if (!w->function)
		return;
	while (peal_guest_vector(w->function, ret->nvectors, &v))
		ret->nvectors++;
	ret->vectors = calloc(ret->nvectors + 1, sizeof(*ret->vectors));
	if (!ret->vectors)
		ret->nvectors = 0;
	for (unsigned i = 0; i < ret->nvectors; i++)
		(void)peal_guest_vector(w->function, i, &ret->vectors[i]);
}

static void collect_vcpus(struct workload *w, struct workload_result *ret)
{
	ret->per_vcpu = calloc(w->config.vcpus, sizeof(*ret->per_vcpu));
	ret->nvcpus = ret->per_vcpu ? w->config.vcpus : 0;
	for (unsigned i = 0; i < ret->nvcpus; i++) {
		struct peal_vcpu_counters c;

		peal_vcpu_counters(peal_machine_vcpu(w->machine, i), &c);
		ret->per_vcpu[i].interrupts = c.acknowledged;
		ret->per_vcpu[i].sleeps = c.sleeps;
	}
}

/*
 * The guest saw where it failed first, but only a status byte; the backend knows what it was. Both
 * together, or what there is.
 */
static void collect_error(struct workload *w, struct workload_result *ret)
{
	static const char *const names[] = { "read", "write", "flush", "get-id", "request" };
	const char *reason = strrchr(w->error, ':');
	struct peal_virtio_blk_error e;

	(void)snprintf(ret->error, sizeof(ret->error), "%s", w->error);
	peal_virtio_blk_last_error(w->device, &e);
	if (!e.count)
		return;
	if (reason)
		(void)snprintf(ret->error, sizeof(ret->error), "%s: %.*s: %s", disk_name(w),
			       (int)(reason - w->error), w->error, strerror(-e.error));
	else
		(void)snprintf(ret->error, sizeof(ret->error), "%s: %s at offset %llu: %s",
			       disk_name(w), names[e.op], (unsigned long long)e.offset,
			       strerror(-e.error));
}

static void collect(struct workload *w, struct workload_result *ret)
{
	struct pulse p = take_pulse(w);

	ret->requests = p.requests;
	ret->bytes = p.bytes;
	ret->mismatches = w->mismatches;
	ret->spurious = w->spurious;
	ret->seconds = (double)(w->end_ns - w->start_ns) / 1e9;
	memcpy(ret->sha256, w->sha256, sizeof(ret->sha256));
	for (unsigned i = 0; i < w->config.queues; i++)
		histogram_merge(&ret->latency, &w->queues[i].latency);
	ret->path = w->path;
	if (ret->stalled)
		ret->diagnosis = peal_path_diagnose(&w->path);
	collect_vectors(w, ret);
	collect_vcpus(w, ret);
	collect_error(w, ret);
	ret->complete =
		!ret->interrupted && !ret->stalled && !ret->error[0] &&
		(w->passes > 0 || w->config.seconds > 0 || w->config.mode == WORKLOAD_RANDOM);
}

int workload_start(struct workload *w)
{
	int r = peal_machine_start(w->machine, workload_guest_main, w);

	return r < 0 ? cli_error(CLI_FAILED, w->name, "threads of %u vCPUs: %s", w->config.vcpus,
				 strerror(-r))
		     : CLI_OK;
}

int workload_run(struct workload *w, void (*progress)(void *user, uint64_t done, uint64_t all),
		 void *user, const volatile int *stop, struct workload_result *ret)
{
	int r = workload_start(w);

	memset(ret, 0, sizeof(*ret));
	if (r != CLI_OK)
		return r;
	watch(w, progress, user, stop, ret);
	peal_machine_stop(w->machine);
	collect(w, ret);
	return CLI_OK;
}

int workload_batch(struct workload *w, uint64_t requests)
{
	uint64_t batches = w->batches;
	bool ended = false;

	__atomic_store_n(&w->batch, requests, __ATOMIC_SEQ_CST);
	peal_vcpu_kick(peal_machine_vcpu(w->machine, 0));
	(void)pthread_mutex_lock(&w->lock);
	while (w->batches == batches && !ended) {
		const struct timespec until =
			peal_clock_timespec(peal_clock_ns() + PEAL_NS_PER_SECOND);

		if (pthread_cond_timedwait(&w->batch_done, &w->lock, &until))
			ended = peal_machine_wait(w->machine, 0);
	}
	(void)pthread_mutex_unlock(&w->lock);
	return ended || __atomic_load_n(&w->failed, __ATOMIC_RELAXED) ? -EIO : 0;
}

void workload_finish(struct workload *w, struct workload_result *ret)
{
	memset(ret, 0, sizeof(*ret));
	set_stop(w, WORKLOAD_DRAIN);
	while (!peal_machine_wait(w->machine, TICK_MS))
		;
	peal_machine_stop(w->machine);
	collect(w, ret);
}
