/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vfio-ring DEVICE intx|msi|msix register|burst|timer ROUNDS: rings each vector of a bell
 * (<peal/bell.h>) ROUNDS times and counts what arrives in its eventfd.
 *
 * register: each vector by its own register, then waits for all of them; then the next round.
 * burst: the same, the device rings all at once.
 * timer: the device rings rounds by itself, 20 ms apart. Two rings of a vector may arrive as one
 *	when nobody looks in between, as MSI allows: each vector arrives, and none too often.
 *
 * In the first two a vector is not rung again before it arrived, so the counts are exact: none is
 * lost, none comes twice. Eventfds add up, so a second arrival is seen even when both are read at
 * once. Prints `rang VECTORS ROUNDS arrived SUM`; exit 1 and a reason when a count is wrong.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <peal/bell.h>

#include "vfio-open.h"

#define PATIENCE_MS 120000 /* against hangs only */
#define PERIOD_US   20000u
#define EVENTS      256

struct ring {
	struct peal_vfio_device *device;
	volatile uint8_t *bar; /* NULL: by messages */
	unsigned index;
	unsigned vectors;
	unsigned rounds;
	unsigned signals; /* triggers: INTx has one for all vectors */
	int epoll;
	int *fds;
	uint64_t *counts;
};

static int fail(const char *what, int r)
{
	(void)fprintf(stderr, "vfio-ring: %s: %s\n", what, strerror(-r));
	return 1;
}

/* ---- registers ---- */

static uint64_t bell_read(struct ring *ring, uint32_t offset, size_t size)
{
	uint64_t value = 0;

	if (ring->bar)
		return size == 8 ? *(volatile uint64_t *)(ring->bar + offset)
				 : *(volatile uint32_t *)(ring->bar + offset);
	if (peal_vfio_region_read(ring->device, PEAL_BELL_BAR, offset, &value, size) < 0)
		exit(fail("reading a register", -EIO));
	return value;
}

static void bell_write(struct ring *ring, uint32_t offset, uint32_t value)
{
	if (ring->bar)
		*(volatile uint32_t *)(ring->bar + offset) = value;
	else if (peal_vfio_region_write(ring->device, PEAL_BELL_BAR, offset, &value, 4) < 0)
		exit(fail("writing a register", -EIO));
}

/* ---- interrupts ---- */

static int set_irqs(struct ring *ring, uint32_t flags, uint32_t count)
{
	size_t size = flags & PEAL_VFIO_DATA_EVENTFD ? count * sizeof(int32_t) : 0;
	const struct peal_irqset_request request = {
		.argsz = (uint32_t)(PEAL_VFIO_IRQ_REQUEST_SIZE + size),
		.flags = flags,
		.index = ring->index,
		.count = count,
	};

	return peal_vfio_set_irqs(ring->device, &request, size ? ring->fds : NULL, size);
}

static int set_up(struct ring *ring)
{
	struct rlimit limit;
	int r;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	ring->fds = calloc(ring->signals, sizeof(*ring->fds));
	ring->counts = calloc(ring->signals, sizeof(*ring->counts));
	ring->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!ring->fds || !ring->counts || ring->epoll < 0)
		return fail("starting", -ENOMEM);
	for (unsigned i = 0; i < ring->signals; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data = { .u32 = i } };

		ring->fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (ring->fds[i] < 0 || epoll_ctl(ring->epoll, EPOLL_CTL_ADD, ring->fds[i], &event))
			return fail("eventfd", -errno);
	}
	r = set_irqs(ring, PEAL_VFIO_DATA_EVENTFD | PEAL_VFIO_ACTION_TRIGGER, ring->signals);
	if (r > 0)
		(void)fprintf(stderr, "vfio-ring: %d vectors at most\n", r);
	return r ? fail("SET_IRQS", r < 0 ? r : -ENOSPC) : 0;
}

static void acknowledge(struct ring *ring)
{
	int r;

	bell_write(ring, PEAL_BELL_CAUSE, 1);
	r = set_irqs(ring, PEAL_VFIO_DATA_NONE | PEAL_VFIO_ACTION_UNMASK, 1);
	if (r < 0)
		exit(fail("unmasking INTx", r));
}

/* Takes what is there; waits until something is. False: it takes too long. */
static bool take(struct ring *ring, int timeout)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(ring->epoll, events, EVENTS, timeout);

	for (int i = 0; i < n; i++) {
		uint32_t v = events[i].data.u32;
		uint64_t count;

		if (read(ring->fds[v], &count, sizeof(count)) != sizeof(count))
			continue;
		ring->counts[v] += count;
		if (ring->index == PEAL_VFIO_IRQ_INTX)
			acknowledge(ring);
	}
	return n > 0;
}

/* Is every count between LEAST and MOST? */
static int check(const struct ring *ring, uint64_t least, uint64_t most)
{
	for (unsigned i = 0; i < ring->signals; i++) {
		if (ring->counts[i] >= least && ring->counts[i] <= most)
			continue;
		(void)fprintf(stderr,
			      "vfio-ring: vector %u arrived %" PRIu64 " times of %" PRIu64 "\n", i,
			      ring->counts[i], most);
		return 1;
	}
	return 0;
}

/* Until every count is at least COUNT. */
static void wait_for(struct ring *ring, uint64_t count)
{
	for (unsigned i = 0; i < ring->signals;) {
		if (ring->counts[i] >= count)
			i++;
		else if (!take(ring, PATIENCE_MS))
			return;
	}
}

/* ---- the forms ---- */

/* INTx has one signal for all: each ring is waited for. */
static int by_register(struct ring *ring)
{
	unsigned rings = ring->signals < ring->vectors ? ring->signals : ring->vectors;

	for (unsigned round = 1; round <= ring->rounds; round++) {
		for (unsigned v = 0; v < rings; v++)
			bell_write(ring, PEAL_BELL_RING_EACH + 4 * v, 1);
		wait_for(ring, round);
		if (check(ring, round, round))
			return 1;
	}
	return 0;
}

static void start(struct ring *ring, uint32_t rounds, uint32_t period)
{
	bell_write(ring, PEAL_BELL_FIRST, 0);
	bell_write(ring, PEAL_BELL_COUNT, ring->signals);
	bell_write(ring, PEAL_BELL_ROUNDS, rounds);
	bell_write(ring, PEAL_BELL_PERIOD, period);
	bell_write(ring, PEAL_BELL_CONTROL, 1);
}

static int by_burst(struct ring *ring)
{
	start(ring, 0, 0);
	bell_write(ring, PEAL_BELL_ROUNDS, 1);
	for (unsigned round = 1; round <= ring->rounds; round++) {
		bell_write(ring, PEAL_BELL_CONTROL, 1);
		wait_for(ring, round);
		if (check(ring, round, round))
			return 1;
	}
	return 0;
}

static int by_timer(struct ring *ring)
{
	start(ring, ring->rounds, PERIOD_US);
	while (bell_read(ring, PEAL_BELL_BUSY, 4))
		(void)take(ring, 10);
	wait_for(ring, 1);
	while (take(ring, 100))
		;
	return check(ring, 1, ring->rounds);
}

/* What the device itself counted. */
static int check_device(struct ring *ring)
{
	for (unsigned i = 0; i < ring->signals; i++) {
		uint64_t rings = bell_read(ring, PEAL_BELL_RINGS_EACH + 8 * i, 8);

		if (rings == ring->rounds)
			continue;
		(void)fprintf(stderr, "vfio-ring: vector %u rang %" PRIu64 " times of %u\n", i,
			      rings, ring->rounds);
		return 1;
	}
	return 0;
}

static int word(const char *text, const char *const *words)
{
	for (int i = 0; words[i]; i++) {
		if (strcmp(text, words[i]) == 0)
			return i;
	}
	exit(fail(text, -EINVAL));
}

static int run(struct ring *ring, int form)
{
	static int (*const forms[])(struct ring *) = { by_register, by_burst, by_timer };
	struct peal_vfio_irq_info info;
	uint16_t command = 0x0006; /* memory, bus master */
	uint64_t sum = 0;
	void *bar;
	int r;

	(void)peal_vfio_reset(ring->device);
	r = peal_vfio_region_write(ring->device, PEAL_VFIO_REGION_CONFIG, 4, &command, 2);
	if (r < 0)
		return fail("configuration space", r);
	if (peal_vfio_region_map(ring->device, PEAL_BELL_BAR, 0, PEAL_BELL_BAR_SIZE,
				 PEAL_VFIO_REGION_READ | PEAL_VFIO_REGION_WRITE, &bar) == 0)
		ring->bar = bar;
	if (bell_read(ring, PEAL_BELL_ID, 4) != PEAL_BELL_MAGIC)
		return fail("this is no bell", -ENODEV);
	ring->vectors = (unsigned)bell_read(ring, PEAL_BELL_VECTORS, 4);
	r = peal_vfio_irq_info(ring->device, ring->index, &info);
	if (r < 0)
		return fail("interrupts", r);
	ring->signals = info.count;
	if (set_up(ring) || forms[form](ring) || check_device(ring))
		return 1;
	r = set_irqs(ring, PEAL_VFIO_DATA_NONE | PEAL_VFIO_ACTION_TRIGGER, 0);
	if (r < 0)
		return fail("turning it off", r);
	for (unsigned i = 0; i < ring->signals; i++)
		sum += ring->counts[i];
	printf("rang %u %u arrived %" PRIu64 "\n", ring->signals, ring->rounds, sum);
	return 0;
}

int main(int argc, char **argv)
{
	static const char *const indexes[] = { "intx", "msi", "msix", NULL };
	static const char *const forms[] = { "register", "burst", "timer", NULL };
	static struct ring ring;
	int r;

	if (argc != 5)
		return fail("DEVICE intx|msi|msix register|burst|timer ROUNDS", -EINVAL);
	ring.index = (unsigned)word(argv[2], indexes);
	ring.rounds = (unsigned)strtoul(argv[4], NULL, 10);
	r = vfio_open(&ring.device, argv[1]);
	if (r < 0)
		return fail(vfio_backend, r);
	r = run(&ring, word(argv[3], forms));
	peal_vfio_free(ring.device);
	return r;
}
