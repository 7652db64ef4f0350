/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measuring: sides in alternation, threads that are pinned and start together.
 *
 * Thread 0 of a run leads: when the others are ready it takes the time and advances GO; every thread
 * works and notes when it was done; the batch took until the last of them. Threads wait by
 * spinning, so that they start within a fraction of a microsecond.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock-posix.h"
#include "context.h"

#define RUN_NS       4e6 /* of measured time that a run has at least */
#define RUN_WALL_NS  2e7 /* and of all its time, with what is not measured, about at most */
#define MAX_BATCHES  (UINT64_C(1) << 16)
#define SPINS        20000u
#define WARM_UP_RUNS 1u

struct run {
	struct bench_context *context;
	struct bench_side *side;
	uint64_t batches;
	double *ns; /* elapsed, of each batch */

	uint64_t go;    /* batches that were started */
	unsigned ready; /* followers that wait for the next start */
	unsigned done;  /* followers that did the batch */
	uint64_t over;  /* batches that all did */
	bool cancelled; /* there is no leader */
	int error;
	struct follower {
		uint64_t done_at; /* ns */
		char unused[56];  /* threads do not share a line */
	} followers[BENCH_THREADS];
};

struct member {
	struct run *run;
	unsigned index;
	pthread_t thread;
};

/* Once in a loop that waits; gives the CPU away when the other side may need it. */
static void spin(unsigned *spins)
{
	if (++*spins < SPINS) {
#if defined(__x86_64__)
		__builtin_ia32_pause();
#endif
		return;
	}
	(void)sched_yield();
}

/* ---- pinning ---- */

unsigned bench_cpus(const struct bench_context *context)
{
	return (unsigned)CPU_COUNT(&context->allowed);
}

void bench_pin(struct bench_context *context, unsigned n)
{
	unsigned left = n % bench_cpus(context), cpu = 0;
	cpu_set_t set;
	int expected = 0;

	while (!CPU_ISSET(cpu, &context->allowed) || left-- > 0)
		cpu++;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		(void)__atomic_compare_exchange_n(&context->pin_error, &expected, -errno, false,
						  __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* ---- a run ---- */

static void fail(struct run *run, int error)
{
	int expected = 0;

	(void)__atomic_compare_exchange_n(&run->error, &expected, error, false, __ATOMIC_RELAXED,
					  __ATOMIC_RELAXED);
}

static uint64_t first_of(const struct bench_side *side, uint64_t batch)
{
	return side->done + batch * side->batch;
}

static void prepare(const struct bench_side *side, unsigned index, uint64_t batch)
{
	if (side->prepare)
		side->prepare(side->user, index, first_of(side, batch), side->batch);
}

static void work(struct run *run, unsigned index, uint64_t batch)
{
	const struct bench_side *side = run->side;
	int r = side->work(side->user, index, first_of(side, batch), side->batch);

	if (r < 0)
		fail(run, r);
}

static void wait_for_all(const unsigned *count, unsigned all)
{
	unsigned spins = 0;

	while (__atomic_load_n(count, __ATOMIC_ACQUIRE) < all)
		spin(&spins);
}

/* The followers are ready: all work. Returns the ns until the last was done. */
static uint64_t lead_batch(struct run *run, uint64_t batch)
{
	unsigned followers = run->side->threads - 1;
	uint64_t start, end;

	__atomic_store_n(&run->ready, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&run->done, 0, __ATOMIC_RELAXED);
	start = peal_clock_ns();
	__atomic_store_n(&run->go, batch + 1, __ATOMIC_RELEASE);
	work(run, 0, batch);
	end = peal_clock_ns();
	wait_for_all(&run->done, followers);
	for (unsigned i = 1; i <= followers; i++) {
		if (run->followers[i].done_at > end)
			end = run->followers[i].done_at;
	}
	return end - start;
}

static void between(struct run *run, unsigned index)
{
	const struct bench_side *side = run->side;
	int r = side->between ? side->between(side->user, index) : 0;

	if (r < 0)
		fail(run, r);
}

static void lead(struct run *run)
{
	for (uint64_t batch = 0; batch < run->batches; batch++) {
		prepare(run->side, 0, batch);
		wait_for_all(&run->ready, run->side->threads - 1);
		run->ns[batch] = (double)lead_batch(run, batch);
		__atomic_store_n(&run->over, batch + 1, __ATOMIC_RELEASE);
		between(run, 0);
	}
}

static void wait_until(const uint64_t *count, uint64_t least)
{
	unsigned spins = 0;

	while (__atomic_load_n(count, __ATOMIC_ACQUIRE) < least)
		spin(&spins);
}

static void follow(struct run *run, unsigned index)
{
	for (uint64_t batch = 0; batch < run->batches; batch++) {
		prepare(run->side, index, batch);
		(void)__atomic_fetch_add(&run->ready, 1, __ATOMIC_RELEASE);
		wait_until(&run->go, batch + 1);
		if (run->cancelled)
			return;
		work(run, index, batch);
		run->followers[index].done_at = peal_clock_ns();
		(void)__atomic_fetch_add(&run->done, 1, __ATOMIC_RELEASE);
		wait_until(&run->over, batch + 1);
		between(run, index);
	}
}

static void *member_main(void *argument)
{
	struct member *member = argument;

	bench_pin(member->run->context, member->index);
	if (member->index == 0)
		lead(member->run);
	else
		follow(member->run, member->index);
	return NULL;
}

/* The elapsed ns of each of BATCHES batches in NS. 0 or -errno. */
static int run_batches(struct bench_context *context, struct bench_side *side, uint64_t batches,
		       double *ns)
{
	struct run run = { .context = context, .side = side, .batches = batches, .ns = ns };
	struct member members[BENCH_THREADS];
	unsigned n = 0;
	int r = 0;

	/* The leader last: without all of its followers it would wait for ever. */
	while (n < side->threads) {
		unsigned index = side->threads - 1 - n;

		members[n] = (struct member){ .run = &run, .index = index };
		r = -pthread_create(&members[n].thread, NULL, member_main, &members[n]);
		if (r < 0)
			break;
		n++;
	}
	if (r < 0) {
		run.cancelled = true;
		__atomic_store_n(&run.go, batches, __ATOMIC_RELEASE);
	}
	while (n-- > 0)
		(void)pthread_join(members[n].thread, NULL);
	side->done += batches * side->batch;
	return r < 0 ? r : run.error;
}

/*
 * One run: its elapsed ns in *TOTAL, and its figure in *NS_PER_OP. The figure is the median of its
 * batches: one in which another process took a CPU away is no measurement. The first quarter only
 * fills the caches, in which the other sides left what is theirs.
 */
static int run_side(struct bench_context *context, struct bench_side *side, uint64_t batches,
		    double *total, double *ns_per_op)
{
	double *ns = calloc(batches, sizeof(*ns));
	int r = ns ? run_batches(context, side, batches, ns) : -ENOMEM;

	if (r == 0) {
		*total = 0;
		for (uint64_t i = 0; i < batches; i++)
			*total += ns[i];
		*ns_per_op =
			bench_stats_of(ns + batches / 4, (unsigned)(batches - batches / 4)).median /
			(double)(side->batch * side->threads);
	}
	free(ns);
	return r;
}

/* ---- rounds ---- */

static int warm_up(struct bench_context *context, struct bench_side *side)
{
	double ns = 0, unused;
	int r = 0;

	if (!side->batches) {
		for (side->batches = 1; r == 0; side->batches *= 2) {
			uint64_t start = peal_clock_ns();

			r = run_side(context, side, side->batches, &ns, &unused);
			if (r < 0 || ns >= RUN_NS || side->batches >= MAX_BATCHES ||
			    (double)(peal_clock_ns() - start) >= RUN_WALL_NS)
				break;
		}
	}
	for (unsigned i = 0; r == 0 && i < WARM_UP_RUNS; i++)
		r = run_side(context, side, side->batches, &ns, &unused);
	return r;
}

static void show_progress(const struct bench_context *context, unsigned round)
{
	if (!context->progress)
		return;
	if (round == 0)
		fprintf(stderr, "\r\033[Kpeal %s: warming up", context->command);
	else if (round <= context->rounds)
		fprintf(stderr, "\r\033[Kpeal %s: round %u of %u", context->command, round,
			context->rounds);
	else
		fputs("\r\033[K", stderr);
	(void)fflush(stderr);
}

static int run_rounds(struct bench_context *context, struct bench_side *sides, unsigned nsides,
		      double *figures)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < nsides; i++)
		r = warm_up(context, &sides[i]);
	for (unsigned round = 0; r == 0 && round < context->rounds; round++) {
		show_progress(context, round + 1);
		for (unsigned i = 0; r == 0 && i < nsides; i++) {
			double unused;

			r = run_side(context, &sides[i], sides[i].batches, &unused,
				     &figures[i * context->rounds + round]);
		}
	}
	return r;
}

int bench_measure(struct bench_context *context, struct bench_side *sides, unsigned nsides)
{
	const unsigned rounds = context->rounds;
	double *figures = calloc((size_t)(nsides + 1) * rounds, sizeof(*figures));
	int r = figures ? 0 : -ENOMEM;

	show_progress(context, 0);
	for (unsigned i = 0; i < nsides; i++)
		context->crowded |= sides[i].threads > bench_cpus(context);
	if (r == 0)
		r = run_rounds(context, sides, nsides, figures);
	show_progress(context, rounds + 1);
	if (r < 0) {
		free(figures);
		return bench_error(context, CLI_FAILED, "%s", strerror(-r));
	}
	for (unsigned i = 0; i + 1 < nsides; i++)
		sides[i].times = bench_times_of(&figures[i * rounds], &figures[(i + 1) * rounds],
						&figures[nsides * rounds], rounds);
	for (unsigned i = 0; i < nsides; i++)
		sides[i].ns_per_op = bench_stats_of(&figures[i * rounds], rounds);
	free(figures);
	context->ours = sides[0];
	context->baseline = sides[1];
	return CLI_OK;
}
