/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `peal bench its-send`: from (DeviceID, EventID) to a pending LPI.
 *
 * The events of all devices in random order, once each before the order begins again. After a batch
 * the CPUs acknowledge, outside the measured time, so every send finds its LPI clear and makes it
 * pending; that all of them did is checked after each batch. With several threads each has its own
 * part of the order, over all devices.
 *
 * Beside the main figure, in the same rounds:
 *   flatness   the same number of sends over all events, against over one device with 64 events
 *   scaling    throughput of two threads (or of --threads, when more), against one
 *   hot        one event over and over: a send and the acknowledge that makes the next one count
 *   merged     one event over and over that is never acknowledged: a send to a pending LPI
 *   fetch_or   one uncontended atomic OR, the least that a send can cost
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "its-guest.h"
#include "its-list.h"

#define BATCH        512u  /* sends between two acknowledges, of all threads */
#define REPEATS      4096u /* the same where one event repeats */
#define SMALL_EVENTS 64u
#define ALL_PRIORITY 0xffu

struct options {
	uint64_t devices;
	uint64_t events;
	uint64_t threads;
};

struct event {
	uint32_t device;
	uint32_t event;
};

/* A side: who sends to whom. */
struct load {
	struct bench_its *vm;
	struct list_its *list;
	uint32_t devices;
	uint32_t events;
	bool repeats;                      /* sends one event over and over */
	unsigned bits;                     /* of the number of an event, 0..devices × events - 1 */
	uint64_t share;                    /* events of each thread */
	uint64_t expected;                 /* LPIs that a batch makes pending */
	struct event *next[BENCH_THREADS]; /* what the thread's next batch sends */
	uint64_t word;
};

/* ---- the random order ---- */

/* A permutation of the numbers of BITS bits: each step can be undone. */
static uint64_t mix(uint64_t x, unsigned bits)
{
	uint64_t mask = (UINT64_C(1) << bits) - 1;

	for (unsigned i = 0; i < 3; i++) {
		x = (x * UINT64_C(0x9e3779b97f4a7c15) + UINT64_C(0x7f4a7c15)) & mask;
		x ^= x >> (bits / 2 + 1);
	}
	return x;
}

/* Event number N of the order. The steps of a permutation from below the total lead back there. */
static struct event event_at(const struct load *load, uint64_t n)
{
	uint64_t total = (uint64_t)load->devices * load->events;

	do
		n = mix(n, load->bits);
	while (n >= total);
	return (struct event){ (uint32_t)(n / load->events), (uint32_t)(n % load->events) };
}

/*
 * Not measured: the order of a batch is worked out before, and where it is kept is so small that it
 * takes no cache from what is measured.
 */
static void prepare(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	const struct load *load = user;

	for (uint64_t i = 0; i < count; i++)
		load->next[thread][i] =
			event_at(load, thread * load->share + (first + i) % load->share);
}

/* ---- sending ---- */

static int work_peal(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	const struct load *load = user;
	const struct event *next = load->next[thread];
	uint64_t delivered = 0;

	(void)first;
	for (uint64_t i = 0; i < count; i++)
		delivered += peal_its_send(load->vm->its, next[i].device, next[i].event) == 1;
	return delivered == count ? 0 : -EIO;
}

static int work_list(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	const struct load *load = user;
	const struct event *next = load->next[thread];
	uint64_t delivered = 0;

	(void)first;
	for (uint64_t i = 0; i < count; i++)
		delivered += list_its_send(load->list, next[i].device, next[i].event) == 1;
	return delivered == count ? 0 : -EIO;
}

static int clear_peal(void *user)
{
	const struct load *load = user;
	uint64_t taken = 0;

	for (unsigned n = 0; n < BENCH_REDISTS; n++) {
		while (peal_gic_acknowledge(load->vm->gic, n, ALL_PRIORITY, NULL) !=
		       PEAL_GIC_SPURIOUS)
			taken++;
	}
	return taken == load->expected ? 0 : -EIO;
}

static int clear_list(void *user)
{
	const struct load *load = user;

	return list_its_clear(load->list) == load->expected ? 0 : -EIO;
}

static int work_hot(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	const struct load *load = user;
	uint64_t taken = 0;

	(void)thread;
	(void)first;
	for (uint64_t i = 0; i < count; i++) {
		(void)peal_its_send(load->vm->its, 0, 0);
		taken += peal_gic_acknowledge(load->vm->gic, 0, ALL_PRIORITY, NULL) ==
			 PEAL_GIC_FIRST_LPI;
	}
	return taken == count ? 0 : -EIO;
}

static int work_merged(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	const struct load *load = user;
	uint64_t delivered = 0;

	(void)thread;
	(void)first;
	for (uint64_t i = 0; i < count; i++)
		delivered += peal_its_send(load->vm->its, 0, 0) == 1;
	return delivered == count ? 0 : -EIO;
}

static int work_fetch_or(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	struct load *load = user;
	uint64_t seen = 0;

	(void)thread;
	for (uint64_t i = first; i < first + count; i++)
		seen |= __atomic_fetch_or(&load->word, UINT64_C(1) << i % 63, __ATOMIC_SEQ_CST);
	return seen >> 63 ? -EIO : 0;
}

/* ---- the sides ---- */

/* MANY is the last: it is left out where there is one CPU. */
enum side {
	OURS,
	LIST,
	SMALL,
	SAME,
	HOT,
	MERGED,
	FETCH_OR,
	ONE,
	MANY,
	SIDES
};

struct state {
	struct bench_its vm, small_vm;
	struct list_its *list;
	struct load loads[SIDES];
	struct bench_side sides[SIDES];
};

static int set_side(struct state *state, enum side which, struct load load, uint64_t threads,
		    uint64_t total, struct bench_side side)
{
	uint64_t batch = total > threads ? total / threads : 1;
	int r = 0;

	load.share = (uint64_t)load.devices * load.events / threads;
	while (UINT64_C(1) << load.bits < (uint64_t)load.devices * load.events)
		load.bits++;
	/* An event that comes twice in a batch would find its LPI pending. */
	if (!load.repeats && batch > load.share)
		batch = load.share;
	load.expected = load.repeats ? 1 : batch * threads;
	for (unsigned i = 0; !load.repeats && i < threads; i++) {
		load.next[i] = aligned_alloc(64, batch * sizeof(struct event) / 64 * 64 + 64);
		r = load.next[i] ? r : -ENOMEM;
	}
	side.prepare = load.repeats ? NULL : prepare;
	side.threads = (unsigned)threads;
	side.batch = batch;
	side.user = &state->loads[which];
	state->loads[which] = load;
	state->sides[which] = side;
	return r;
}

static uint64_t many_threads(const struct options *options)
{
	uint64_t total = options->devices * options->events;
	uint64_t many = options->threads > 2 ? options->threads : 2;

	return many < total ? many : total;
}

static int set_sides(struct state *state, const struct options *options)
{
	const struct load ours = { .vm = &state->vm,
				   .list = state->list,
				   .devices = state->vm.devices,
				   .events = state->vm.events };
	const struct load small = { .vm = &state->small_vm, .devices = 1, .events = SMALL_EVENTS };
	const struct load one = { .vm = &state->small_vm, .repeats = true };
	const struct bench_side send = { .work = work_peal, .between = clear_peal };
	const struct bench_side list = { .work = work_list, .between = clear_list };
	const struct bench_side hot = { .work = work_hot };
	const struct bench_side merged = { .work = work_merged, .between = clear_peal };
	const struct bench_side fetch_or = { .work = work_fetch_or };
	const struct {
		enum side which;
		const struct load *load;
		uint64_t threads, total;
		const struct bench_side *side;
	} rows[] = {
		{ OURS, &ours, options->threads, BATCH, &send },
		{ LIST, &ours, options->threads, BATCH, &list },
		{ SMALL, &small, 1, SMALL_EVENTS, &send },
		{ SAME, &ours, 1, SMALL_EVENTS, &send },
		{ HOT, &one, 1, REPEATS, &hot },
		{ MERGED, &one, 1, REPEATS, &merged },
		{ FETCH_OR, &one, 1, REPEATS, &fetch_or },
		{ ONE, &ours, 1, BATCH, &send },
		{ MANY, &ours, many_threads(options), BATCH, &send },
	};
	int r = 0;

	for (unsigned i = 0; r == 0 && i < SIDES; i++)
		r = set_side(state, rows[i].which, *rows[i].load, rows[i].threads, rows[i].total,
			     *rows[i].side);
	return r;
}

static double ns(const struct state *state, enum side which)
{
	return state->sides[which].ns_per_op.median;
}

static void report(struct bench_context *context, const struct options *options,
		   const struct state *state, bool parallel)
{
	bench_param_count(context, "devices", options->devices);
	bench_param_count(context, "events", options->events);
	bench_param_count(context, "threads", options->threads);
	bench_param_count(context, "redistributors", BENCH_REDISTS);
	bench_param_real(context, "flatness", bench_ratio(ns(state, SMALL), ns(state, SAME)));
	if (parallel)
		bench_param_real(context, "scaling", bench_ratio(ns(state, MANY), ns(state, ONE)));
	else
		bench_param_none(context, "scaling");
	bench_param_real(context, "hot", ns(state, HOT));
	bench_param_real(context, "merged", ns(state, MERGED));
	bench_param_real(context, "fetch_or", ns(state, FETCH_OR));
	bench_target_at_least(context, "ratio", 100);
	bench_target_at_most(context, "flatness", 4);
	bench_target_at_least(context, "scaling", 1.7);
}

static int build(struct state *state, const struct options *options)
{
	uint32_t devices = (uint32_t)options->devices, events = (uint32_t)options->events;
	int r = bench_its_new(&state->vm, devices, events);

	if (r == 0)
		r = bench_its_new(&state->small_vm, 1, SMALL_EVENTS);
	if (r == 0)
		r = list_its_new(&state->list, devices, events);
	return r == 0 ? set_sides(state, options) : r;
}

static void take_down(struct state *state)
{
	for (unsigned i = 0; i < SIDES; i++) {
		for (unsigned thread = 0; thread < BENCH_THREADS; thread++)
			free(state->loads[i].next[thread]);
	}
	list_its_free(state->list);
	bench_its_done(&state->small_vm);
	bench_its_done(&state->vm);
}

static int run(struct bench_context *context, const void *values)
{
	const struct options *options = values;
	uint64_t total = options->devices * options->events;
	bool parallel = bench_cpus(context) >= 2 && total >= 2;
	struct state state = { 0 };
	int r, code;

	if (total > BENCH_MAX_TOTAL)
		return bench_error(context, CLI_USAGE,
				   "%llu events in all: at most %u are possible",
				   (unsigned long long)total, BENCH_MAX_TOTAL);
	if (total < options->threads)
		return bench_error(context, CLI_USAGE, "%llu threads for %llu events in all",
				   (unsigned long long)options->threads, (unsigned long long)total);
	r = build(&state, options);
	if (r == 0)
		code = bench_measure(context, state.sides, parallel ? SIDES : MANY);
	else
		code = bench_error(context, CLI_FAILED, "setting up: %s", strerror(-r));
	if (code == CLI_OK)
		report(context, options, &state, parallel);
	take_down(&state);
	return code;
}

static void fill_options(void *values, struct cli_option *rows)
{
	struct options *options = values;

	*options = (struct options){ .devices = 1024, .events = 64, .threads = 1 };
	rows[0] = (struct cli_option){ .name = "devices",
				       .kind = CLI_NUMBER,
				       .value = &options->devices,
				       .min = 1,
				       .max = BENCH_MAX_DEVICES,
				       .argument = "N",
				       .help = "Devices (1024)." };
	rows[1] = (struct cli_option){ .name = "events",
				       .kind = CLI_NUMBER,
				       .value = &options->events,
				       .min = 1,
				       .max = BENCH_MAX_EVENTS,
				       .argument = "N",
				       .help = "Events of each device (64)." };
	rows[2] = (struct cli_option){ .name = "threads",
				       .kind = CLI_NUMBER,
				       .value = &options->threads,
				       .min = 1,
				       .max = BENCH_THREADS,
				       .argument = "N",
				       .help = "Threads that send at the same time (1)." };
}

const struct bench bench_its_send = {
	.name = "its-send",
	.line = "a random (device, event) sent until its LPI is pending; linear lists, one mutex",
	.baseline = "list",
	.notes = "  flatness: sends over all events / over one device with 64 events\n"
		 "  scaling: throughput of two threads (or --threads, if more) / of one\n"
		 "  hot: ns of one event sent and acknowledged, over and over\n"
		 "  merged: ns of one event sent while its LPI is pending\n"
		 "  fetch_or: ns of one atomic OR that no other thread is at",
	.options_size = sizeof(struct options),
	.options = fill_options,
	.run = run,
};
