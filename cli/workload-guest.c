/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest of a run: brings the machine up, starts the block driver, moves blocks, and leaves
 * everything as it was. It runs on vCPU 0; requests end in interrupts of the vCPU that has the
 * queue's vector.
 *
 * In order (read, write, verify): vCPU 0 submits blocks and takes them in order; a handler marks
 * its slot and kicks vCPU 0. At random: a handler submits the next request itself.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock-posix.h"
#include "workload-internal.h"

void workload_fail(struct workload *w, const char *format, ...)
{
	va_list list;

	if (__atomic_exchange_n(&w->failed, 1, __ATOMIC_SEQ_CST))
		return;
	va_start(list, format);
	(void)vsnprintf(w->error, sizeof(w->error), format, list);
	va_end(list);
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

void workload_pattern(uint64_t offset, void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i += 8) {
		uint64_t value = mix((offset + i) * UINT64_C(0x9e3779b97f4a7c15) + 1);

		memcpy((uint8_t *)bytes + i, &value, 8);
	}
}

static bool is_stopping(const struct workload *w)
{
	return __atomic_load_n(&w->stop, __ATOMIC_RELAXED) != WORKLOAD_GO ||
	       __atomic_load_n(&w->failed, __ATOMIC_RELAXED);
}

static bool is_abandoned(const struct workload *w)
{
	return __atomic_load_n(&w->stop, __ATOMIC_RELAXED) == WORKLOAD_ABANDON;
}

/* ---- requests ---- */

static const char *const op_names[] = {
	[PEAL_BLK_READ] = "read",
	[PEAL_BLK_WRITE] = "write",
	[PEAL_BLK_FLUSH] = "flush",
	[PEAL_BLK_GET_ID] = "get-id",
};

/* Counts one that ended; in the context of the queue's interrupt. */
static void account(struct slot *slot, int status)
{
	struct workload *w = slot->workload;
	struct queue_stats *q = &w->queues[slot->queue];

	/* What comes to light only when the driver is detached did not reach the guest. */
	if (status == -ECANCELED || is_abandoned(w))
		return;
	if (status < 0) {
		workload_fail(w, "%s at offset %llu: %s", op_names[slot->request.op],
			      (unsigned long long)slot->request.sector * 512, strerror(-status));
		return;
	}
	__atomic_store_n(&q->requests, q->requests + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&q->bytes, q->bytes + slot->request.length, __ATOMIC_RELAXED);
	if (slot->started)
		histogram_add(&q->latency, peal_clock_ns() - slot->started);
}

static void done_in_order(struct peal_blk_request *request, int status)
{
	struct slot *slot = request->user;

	account(slot, status);
	__atomic_store_n(&slot->state, SLOT_DONE, __ATOMIC_RELEASE);
	peal_vcpu_kick(peal_machine_vcpu(slot->workload->machine, 0));
}

static int submit(struct slot *slot, enum peal_blk_op op, uint64_t block,
		  void (*done)(struct peal_blk_request *request, int status))
{
	struct workload *w = slot->workload;
	uint64_t offset = block * w->config.block_size;
	uint64_t left = w->capacity - offset;

	slot->block = block;
	slot->started = w->config.no_latency ? 0 : peal_clock_ns();
	slot->request.op = op;
	slot->request.sector = offset / 512;
	slot->request.length =
		(uint32_t)(left < w->config.block_size ? left : w->config.block_size);
	/* Before it is submitted: whoever kicks the queue next sends it off. */
	if (op == PEAL_BLK_FLUSH)
		slot->request.length = 0;
	slot->request.done = done;
	__atomic_store_n(&slot->state, SLOT_BUSY, __ATOMIC_RELAXED);
	return peal_blk_driver_submit(w->driver, slot->queue, &slot->request);
}

static void kick_queues(struct workload *w)
{
	for (unsigned i = 0; i < w->info.queues; i++) {
		if (w->to_kick[i])
			peal_blk_driver_kick(w->driver, i);
		w->to_kick[i] = false;
	}
}

/* ---- in order ---- */

/* Looks at a block that came back, or was written. */
static void take_block(struct workload *w, struct slot *slot)
{
	static const size_t piece = 4096;
	uint8_t expected[4096];
	const uint8_t *bytes = slot->request.buffer;
	size_t size = slot->request.length;

	if (w->hash)
		hash_add(w->hash, bytes, size);
	if (w->config.mode != WORKLOAD_VERIFY || slot->request.op != PEAL_BLK_READ)
		return;
	for (size_t at = 0; at < size; at += piece) {
		size_t n = size - at < piece ? size - at : piece;

		workload_pattern(slot->block * w->config.block_size + at, expected, n);
		if (memcmp(expected, bytes + at, n) != 0) {
			w->mismatches++;
			workload_fail(w, "verify at offset %llu: not what was written",
				      (unsigned long long)slot->block * w->config.block_size + at);
			return;
		}
	}
}

/* Submits what fits; true: there was something. */
static bool issue(struct workload *w, enum peal_blk_op op, uint64_t *issued, uint64_t taken)
{
	bool moved = false;

	while (*issued < w->nblocks && *issued - taken < w->nslots && !is_stopping(w)) {
		struct slot *slot = &w->slots[*issued % w->nslots];
		int r;

		if (op == PEAL_BLK_WRITE)
			workload_pattern(*issued * w->config.block_size, slot->request.buffer,
					 w->config.block_size);
		r = submit(slot, op, *issued, done_in_order);
		if (r < 0) {
			slot->state = SLOT_FREE;
			workload_fail(w, "%s at offset %llu: %s", op_names[op],
				      (unsigned long long)*issued * w->config.block_size,
				      strerror(-r));
			break;
		}
		w->to_kick[slot->queue] = true;
		++*issued;
		moved = true;
	}
	kick_queues(w);
	return moved;
}

/* Once over the disk. True: all of it. */
static bool run_pass(struct workload *w, struct peal_vcpu *vcpu, enum peal_blk_op op)
{
	uint64_t issued = 0, taken = 0;

	while (taken < w->nblocks) {
		bool moved = issue(w, op, &issued, taken);

		while (taken < issued) {
			struct slot *slot = &w->slots[taken % w->nslots];

			if (__atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) != SLOT_DONE)
				break;
			take_block(w, slot);
			slot->state = SLOT_FREE;
			taken++;
			moved = true;
			/* Half a window free: the device should not run dry. */
			if (issued - taken <= w->nslots / 2)
				break;
		}
		if (is_abandoned(w) || (is_stopping(w) && taken == issued))
			return false;
		if (moved)
			peal_vcpu_take_interrupts(vcpu);
		else
			peal_vcpu_wait_for_interrupt(vcpu);
	}
	return !w->failed;
}

static void run_flush(struct workload *w, struct peal_vcpu *vcpu)
{
	struct slot *slot = &w->slots[0];
	int r;

	if (!w->info.flush || w->failed || is_abandoned(w))
		return;
	r = submit(slot, PEAL_BLK_FLUSH, 0, done_in_order);
	if (r < 0) {
		workload_fail(w, "flush: %s", strerror(-r));
		return;
	}
	peal_blk_driver_kick(w->driver, slot->queue);
	while (__atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) != SLOT_DONE && !is_abandoned(w))
		peal_vcpu_wait_for_interrupt(vcpu);
}

/* The first whole pass is the one that is hashed. */
static bool run_hashed_pass(struct workload *w, struct peal_vcpu *vcpu, enum peal_blk_op op)
{
	bool whole;

	if (!w->sha256[0]) {
		w->hash = hash_new();
		if (!w->hash)
			workload_fail(w, "no SHA-256: out of memory");
	}
	whole = run_pass(w, vcpu, op);
	if (w->hash && whole)
		hash_end(w->hash, w->sha256);
	else
		hash_free(w->hash);
	w->hash = NULL;
	w->passes += whole;
	return whole;
}

static void run_in_order(struct workload *w, struct peal_vcpu *vcpu)
{
	do {
		bool whole = true;

		if (w->config.mode == WORKLOAD_VERIFY) {
			whole = run_pass(w, vcpu, PEAL_BLK_WRITE);
			run_flush(w, vcpu);
		}
		if (!whole || is_stopping(w))
			break;
		if (w->config.mode == WORKLOAD_WRITE) {
			(void)run_hashed_pass(w, vcpu, PEAL_BLK_WRITE);
			run_flush(w, vcpu);
		} else {
			(void)run_hashed_pass(w, vcpu, PEAL_BLK_READ);
		}
	} while (w->config.seconds > 0 && !is_stopping(w));
}

/* ---- at random ---- */

uint64_t workload_random_block(uint64_t *state, uint64_t nblocks)
{
	*state += UINT64_C(0x9e3779b97f4a7c15);
	return mix(*state) % nblocks;
}

static void done_at_random(struct peal_blk_request *request, int status)
{
	struct slot *slot = request->user;
	struct workload *w = slot->workload;
	struct queue_stats *q = &w->queues[slot->queue];

	account(slot, status);
	if (status == 0 && q->left > 0 && !is_stopping(w)) {
		q->left--;
		if (submit(slot, PEAL_BLK_READ, workload_random_block(&q->random, w->nblocks),
			   done_at_random) == 0)
			return;
	}
	if (__atomic_sub_fetch(&q->in_flight, 1, __ATOMIC_SEQ_CST) == 0)
		peal_vcpu_kick(peal_machine_vcpu(w->machine, 0));
}

static void run_at_random(struct workload *w, struct peal_vcpu *vcpu, uint64_t requests)
{
	uint64_t share = requests ? requests / w->info.queues : UINT64_MAX;

	/* Handlers take over from the first submit on, so the numbers stand before. */
	for (unsigned i = 0; i < w->info.queues; i++) {
		struct queue_stats *q = &w->queues[i];
		uint64_t first = share < w->config.depth ? share : w->config.depth;

		q->first = first;
		q->left = share - first;
		__atomic_store_n(&q->in_flight, first, __ATOMIC_SEQ_CST);
	}
	for (unsigned i = 0; i < w->nslots; i++) {
		struct slot *slot = &w->slots[i];
		struct queue_stats *q = &w->queues[slot->queue];

		if (i / w->info.queues >= q->first)
			continue;
		if (submit(slot, PEAL_BLK_READ, mix(++q->seed) % w->nblocks, done_at_random) < 0) {
			workload_fail(w, "read: the queue does not take %u requests",
				      w->config.depth);
			(void)__atomic_sub_fetch(&q->in_flight, 1, __ATOMIC_SEQ_CST);
		}
	}
	for (unsigned i = 0; i < w->info.queues; i++)
		peal_blk_driver_kick(w->driver, i);
	for (unsigned i = 0; i < w->info.queues && !is_abandoned(w);) {
		if (__atomic_load_n(&w->queues[i].in_flight, __ATOMIC_SEQ_CST) == 0)
			i++;
		else
			peal_vcpu_wait_for_interrupt(vcpu);
	}
}

/* Batch after batch, as workload_batch asks for them. */
static void serve_batches(struct workload *w, struct peal_vcpu *vcpu)
{
	while (!is_stopping(w)) {
		uint64_t requests = __atomic_exchange_n(&w->batch, 0, __ATOMIC_SEQ_CST);

		if (!requests) {
			peal_vcpu_wait_for_interrupt(vcpu);
			continue;
		}
		run_at_random(w, vcpu, requests);
		(void)pthread_mutex_lock(&w->lock);
		w->batches++;
		(void)pthread_cond_signal(&w->batch_done);
		(void)pthread_mutex_unlock(&w->lock);
	}
}

/* ---- up and down ---- */

static bool make_slots(struct workload *w)
{
	uint64_t stride = peal_round_up(w->config.block_size, 4096);
	uint8_t *cpu;
	int r;

	w->buffers_size = stride * w->nslots;
	r = peal_guest_alloc(w->guest, w->buffers_size, 4096, (void **)&cpu, &w->buffers);
	if (r < 0) {
		w->buffers_size = 0;
		workload_fail(w, "no guest memory for %u buffers: %s", w->nslots, strerror(-r));
		return false;
	}
	for (unsigned i = 0; i < w->nslots; i++) {
		struct slot *slot = &w->slots[i];

		slot->workload = w;
		slot->queue = i % w->info.queues;
		slot->request.user = slot;
		slot->request.buffer = cpu + stride * i;
		slot->request.address = w->buffers + stride * i;
	}
	return true;
}

static void device_changed(void *user)
{
	struct workload *w = user;

	peal_vcpu_kick(peal_machine_vcpu(w->machine, 0));
}

static bool start_driver(struct workload *w)
{
	const struct peal_blk_driver_config config = {
		.host = peal_host_default(),
		.ops = peal_guest_driver_ops(),
		.ops_user = w->function,
		.queues = w->config.queues,
		.depth = w->config.depth,
		.changed = device_changed,
		.user = w,
	};
	int r = peal_blk_driver_new(&w->driver, &config);

	if (r < 0) {
		workload_fail(w, "the guest's block driver does not start: %s", strerror(-r));
		return false;
	}
	peal_blk_driver_info(w->driver, &w->info);
	if (w->info.queues != w->config.queues || w->info.depth < w->config.depth ||
	    w->info.max_transfer < w->config.block_size) {
		workload_fail(w, "the device offers %u queues, %u requests each, of %u bytes",
			      w->info.queues, w->info.depth, w->info.max_transfer);
		return false;
	}
	return true;
}

static bool bring_up(struct workload *w)
{
	int r = peal_guest_new(&w->guest, w->machine, w->config.mistake);

	if (r < 0) {
		workload_fail(w, "the guest does not come up: %s", strerror(-r));
		return false;
	}
	r = peal_guest_find(&w->function, w->guest, PEAL_VIRTIO_PCI_VENDOR,
			    PEAL_VIRTIO_PCI_MODERN + PEAL_VIRTIO_BLK);
	if (r < 0) {
		workload_fail(w, "the guest finds no virtio block device: %s", strerror(-r));
		return false;
	}
	return start_driver(w) && make_slots(w);
}

static void look_at_path(struct workload *w)
{
	peal_machine_path(w->machine, peal_pci_function_msix(peal_virtio_blk_function(w->device)),
			  w->guest, &w->path);
}

/*
 * The device is quiet after its reset: no interrupt is raised any more. Those on their way are taken
 * before the vectors are torn down, so that the counts at the end are exact.
 */
static void settle(struct workload *w, struct peal_vcpu *vcpu)
{
	if (!is_abandoned(w))
		(void)peal_virtio_driver_stop(peal_blk_driver_virtio(w->driver));
	look_at_path(w);
	for (unsigned i = 0; i < 1000 && w->path.lost && !is_abandoned(w); i++) {
		const struct timespec millisecond = { .tv_nsec = 1000000 };

		peal_vcpu_take_interrupts(vcpu);
		(void)nanosleep(&millisecond, NULL);
		look_at_path(w);
	}
}

static void bring_down(struct workload *w, struct peal_vcpu *vcpu)
{
	if (w->driver)
		settle(w, vcpu);
	else
		look_at_path(w);
	for (unsigned i = 0; w->driver && i < w->info.queues; i++) {
		struct peal_blk_counters c;

		peal_blk_driver_counters(w->driver, i, &c);
		w->spurious += c.spurious;
	}
	peal_blk_driver_free(w->driver);
	w->driver = NULL;
	if (w->buffers_size)
		peal_guest_release(w->guest, w->buffers, w->buffers_size);
	w->buffers_size = 0;
}

void workload_guest_main(struct peal_vcpu *vcpu, void *user)
{
	struct workload *w = user;

	if (bring_up(w)) {
		peal_guest_make_late_mistake(w->function);
		w->start_ns = peal_clock_ns();
		__atomic_store_n(&w->up, 1, __ATOMIC_RELEASE);
		if (w->config.batched)
			serve_batches(w, vcpu);
		else if (w->config.mode == WORKLOAD_RANDOM)
			run_at_random(w, vcpu, w->config.requests);
		else
			run_in_order(w, vcpu);
		w->end_ns = peal_clock_ns();
	}
	bring_down(w, vcpu);
}
