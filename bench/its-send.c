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

/* Events in the order in which they are sent. */
struct order {
	struct event *events;
	uint64_t count;
};

/* A side: who sends, in which order, by how many threads. */
struct load {
	struct bench_its *vm;
	struct list_its *list;
	const struct order *order;
	bool repeats;      /* sends one event over and over */
	uint64_t share;    /* events of each thread */
	uint64_t expected; /* LPIs that a batch makes pending */
	uint64_t word;
};

/* ---- the random order ---- */

static uint64_t next_random(uint64_t *state) /* splitmix64 */
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static int make_order(struct order *order, uint32_t devices, uint32_t events)
{
	uint64_t state = 1;

	order->count = (uint64_t)devices * events;
	order->events = calloc(order->count, sizeof(order->events[0]));
	if (!order->events)
		return -ENOMEM;
	for (uint64_t i = 0; i < order->count; i++) {
		uint64_t j = next_random(&state) % (i + 1);

		order->events[i] = order->events[j];
		order->events[j] = (struct event){ (uint32_t)(i / events), (uint32_t)(i % events) };
	}
	return 0;
}

/* ---- sending ---- */

static int work_peal(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	const struct load *load = user;
	const struct event *mine = &load->order->events[thread * load->share];
	uint64_t at = first % load->share, delivered = 0;

	for (uint64_t i = 0; i < count; i++) {
		delivered += peal_its_send(load->vm->its, mine[at].device, mine[at].event) == 1;
		at = at + 1 == load->share ? 0 : at + 1;
	}
	return delivered == count ? 0 : -EIO;
}

static int work_list(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	const struct load *load = user;
	const struct event *mine = &load->order->events[thread * load->share];
	uint64_t at = first % load->share, delivered = 0;

	for (uint64_t i = 0; i < count; i++) {
		delivered += list_its_send(load->list, mine[at].device, mine[at].event) == 1;
		at = at + 1 == load->share ? 0 : at + 1;
	}
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
	struct order order, small_order;
	struct load loads[SIDES];
	struct bench_side sides[SIDES];
};

static void set_side(struct state *state, enum side which, struct load load, uint64_t threads,
		     uint64_t total, struct bench_side side)
{
	uint64_t batch = total > threads ? total / threads : 1;

	load.share = load.order->count / threads;
	/* An event that comes twice in a batch would find its LPI pending. */
	if (!load.repeats && batch > load.share)
		batch = load.share;
	load.expected = load.repeats ? 1 : batch * threads;
	side.threads = (unsigned)threads;
	side.batch = batch;
	side.user = &state->loads[which];
	state->loads[which] = load;
	state->sides[which] = side;
}

static uint64_t many_threads(const struct options *options)
{
	uint64_t total = options->devices * options->events;
	uint64_t many = options->threads > 2 ? options->threads : 2;

	return many < total ? many : total;
}

static void set_sides(struct state *state, const struct options *options)
{
	const struct load ours = { .vm = &state->vm, .order = &state->order };
	const struct load list = { .list = state->list, .order = &state->order };
	const struct load small = { .vm = &state->small_vm, .order = &state->small_order };
	const struct load one = { .vm = &state->small_vm,
				  .order = &state->small_order,
				  .repeats = true };
	const struct bench_side send = { .work = work_peal, .between = clear_peal };

	set_side(state, OURS, ours, options->threads, BATCH, send);
	set_side(state, LIST, list, options->threads, BATCH,
		 (struct bench_side){ .work = work_list, .between = clear_list });
	set_side(state, SMALL, small, 1, SMALL_EVENTS, send);
	set_side(state, SAME, ours, 1, SMALL_EVENTS, send);
	set_side(state, HOT, one, 1, REPEATS, (struct bench_side){ .work = work_hot });
	set_side(state, MERGED, one, 1, REPEATS,
		 (struct bench_side){ .work = work_merged, .between = clear_peal });
	set_side(state, FETCH_OR, one, 1, REPEATS, (struct bench_side){ .work = work_fetch_or });
	set_side(state, ONE, ours, 1, BATCH, send);
	set_side(state, MANY, ours, many_threads(options), BATCH, send);
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
	if (r == 0)
		r = make_order(&state->order, devices, events);
	if (r == 0)
		r = make_order(&state->small_order, 1, SMALL_EVENTS);
	return r;
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
	if (r == 0) {
		set_sides(&state, options);
		code = bench_measure(context, state.sides, parallel ? SIDES : MANY);
	} else {
		code = bench_error(context, CLI_FAILED, "setting up: %s", strerror(-r));
	}
	if (code == CLI_OK)
		report(context, options, &state, parallel);
	free(state.order.events);
	free(state.small_order.events);
	list_its_free(state.list);
	bench_its_done(&state.small_vm);
	bench_its_done(&state.vm);
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
	.options_size = sizeof(struct options),
	.options = fill_options,
	.run = run,
};
