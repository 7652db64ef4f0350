/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `peal bench its-send`: from (DeviceID, EventID) to a pending LPI.
 *
 * The events of all devices in random order, once each before the order begins again. After a batch
 * the CPUs acknowledge, outside the measured time, so every send finds its LPI clear and makes it
 * pending; that all of them did is checked at the end. Redistributors are dealt out to the threads:
 * each acknowledges for its own, as if their vCPUs ran there. With --threads each thread sends its
 * part of the order, to all redistributors.
 *
 * Beside the main figure, in the same rounds:
 *   list_fresh_heap  the list again, with its nodes one behind the other in memory, as they come
 *                    out of a heap that nobody used before; ratio_fresh_heap is against that
 *   flatness         the same number of sends over all events, against one device with 64 events
 *   scaling          throughput of two threads (or of --threads, when more), against one; each
 *                    sends to redistributors of its own, so what they share is the ITS
 *   scaling_apart    the same with an ITS and a GIC for each thread, which share nothing: what the
 *                    machine can do at this moment (two CPUs may be threads of one core)
 *   scaling_crossed  the same with all threads sending to all redistributors: the lines that hold
 *                    the pending bits go from CPU to CPU
 *   hot              one event over and over: a send and its acknowledge
 *   merged           one event over and over that is not acknowledged: a send to a pending LPI
 *   fetch_or         one uncontended atomic OR, the least that a send can cost
 *   transfer         a cache line from one CPU to another, the least that sharing can cost
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "its-guest.h"
#include "its-list.h"

#define BATCH        512u  /* sends between two acknowledges */
#define MANY_BATCH   4096u /* the same where scaling is measured: much longer than a start */
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

/* A thread that sends. */
struct sender {
	struct event *next; /* its next batch */
	uint64_t at;        /* where it is in the order */
	uint64_t taken;     /* LPIs that it acknowledged */
	uint64_t unused[5]; /* threads share no line */
};

/* A side: who sends to whom. */
struct load {
	struct bench_its *vm;
	struct bench_its *apart; /* of the threads but the first, when they share nothing */
	struct list_its *list;
	uint32_t devices;
	uint32_t events;
	unsigned bits; /* of the number of an event, 0..devices × events - 1 */
	unsigned threads;
	bool own;     /* each thread sends to its own redistributors only */
	bool repeats; /* sends one event over and over */
	uint64_t word;
	struct sender senders[BENCH_THREADS];
};

/* ---- the random order ---- */

static uint64_t total_of(const struct load *load)
{
	return (uint64_t)load->devices * load->events;
}

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
	do
		n = mix(n, load->bits);
	while (n >= total_of(load));
	return (struct event){ (uint32_t)(n / load->events), (uint32_t)(n % load->events) };
}

/* The next event of a thread, which comes again only after all others of its. */
static struct event next_event(struct load *load, unsigned thread)
{
	struct sender *sender = &load->senders[thread];
	uint64_t share = total_of(load) / load->threads;
	struct event event;

	if (!load->own)
		return event_at(load, thread * share + sender->at++ % share);
	do
		event = event_at(load, sender->at++ % total_of(load));
	while (bench_its_redist(event.device, event.event) % load->threads != thread);
	return event;
}

/*
 * Not measured: the order of a batch is worked out before, and where it is kept is so small that it
 * takes no cache from what is measured.
 */
static void prepare(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	struct load *load = user;

	(void)first;
	for (uint64_t i = 0; i < count; i++)
		load->senders[thread].next[i] = next_event(load, thread);
}

/* How many events each thread has, at least. */
static uint64_t smallest_share(const struct load *load)
{
	uint64_t counts[BENCH_REDISTS] = { 0 }, least = UINT64_MAX;

	if (!load->own)
		return total_of(load) / load->threads;
	for (uint32_t d = 0; d < load->devices; d++) {
		for (uint32_t e = 0; e < load->events; e++)
			counts[bench_its_redist(d, e) % load->threads]++;
	}
	for (unsigned i = 0; i < load->threads; i++)
		least = counts[i] < least ? counts[i] : least;
	return least;
}

/* ---- sending ---- */

static struct bench_its *vm_of(const struct load *load, unsigned thread)
{
	return load->apart && thread > 0 ? &load->apart[thread - 1] : load->vm;
}

static int work_peal(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	const struct load *load = user;
	const struct event *next = load->senders[thread].next;
	struct peal_its *its = vm_of(load, thread)->its;
	uint64_t delivered = 0;

	(void)first;
	for (uint64_t i = 0; i < count; i++)
		delivered += peal_its_send(its, next[i].device, next[i].event) == 1;
	return delivered == count ? 0 : -EIO;
}

static int work_list(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	const struct load *load = user;
	const struct event *next = load->senders[thread].next;
	uint64_t delivered = 0;

	(void)first;
	for (uint64_t i = 0; i < count; i++)
		delivered += list_its_send(load->list, next[i].device, next[i].event) == 1;
	return delivered == count ? 0 : -EIO;
}

static int clear_peal(void *user, unsigned thread)
{
	struct load *load = user;
	struct peal_gic *gic = vm_of(load, thread)->gic;

	for (unsigned n = thread; n < BENCH_REDISTS; n += load->threads) {
		while (peal_gic_acknowledge(gic, n, ALL_PRIORITY, NULL) != PEAL_GIC_SPURIOUS)
			load->senders[thread].taken++;
	}
	return 0;
}

static int clear_list(void *user, unsigned thread)
{
	struct load *load = user;

	if (thread == 0)
		load->senders[thread].taken += list_its_clear(load->list);
	return 0;
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

/* Two threads in turn. */
static int work_transfer(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	struct load *load = user;

	for (uint64_t i = first; i < first + count; i++) {
		while (__atomic_load_n(&load->word, __ATOMIC_ACQUIRE) != 2 * i + thread)
			;
		__atomic_store_n(&load->word, 2 * i + thread + 1, __ATOMIC_RELEASE);
	}
	return 0;
}

/* ---- the sides ---- */

/* Those of several threads are the last: they are left out where there is one CPU. */
enum side {
	OURS,
	LIST,
	FRESH,
	SMALL,
	SAME,
	HOT,
	MERGED,
	FETCH_OR,
	ONE,
	OWN,
	APART,
	CROSSED,
	TRANSFER,
	SIDES
};

struct state {
	struct bench_its vm, small_vm, apart[BENCH_THREADS - 1];
	struct list_its *list, *fresh;
	struct load loads[SIDES];
	struct bench_side sides[SIDES];
};

static int set_side(struct state *state, enum side which, struct load load, uint64_t threads,
		    uint64_t total, struct bench_side side)
{
	uint64_t batch = total > threads ? total / threads : 1, share;
	int r = 0;

	load.threads = (unsigned)threads;
	if (!load.repeats) {
		while (UINT64_C(1) << load.bits < total_of(&load))
			load.bits++;
		/* An event that comes twice in a batch would find its LPI pending. */
		share = smallest_share(&load);
		batch = batch < share ? batch : share;
		side.prepare = prepare;
	}
	for (unsigned i = 0; !load.repeats && i < threads; i++) {
		load.senders[i].next =
			aligned_alloc(64, batch * sizeof(struct event) / 64 * 64 + 64);
		r = load.senders[i].next ? r : -ENOMEM;
	}
	side.threads = (unsigned)threads;
	side.batch = batch;
	side.user = &state->loads[which];
	state->loads[which] = load;
	state->sides[which] = side;
	return r;
}

static uint64_t many_threads(const struct options *options)
{
	uint64_t many = options->threads > 2 ? options->threads : 2;

	return many < BENCH_REDISTS ? many : BENCH_REDISTS;
}

/* Has every thread an event for each of its redistributors, and a CPU? */
static bool is_parallel(const struct bench_context *context, const struct options *options)
{
	return bench_cpus(context) >= many_threads(options) &&
	       options->devices * options->events >= BENCH_REDISTS &&
	       (options->events >= BENCH_REDISTS || options->devices >= BENCH_REDISTS);
}

static int set_sides(struct state *state, const struct options *options, bool parallel)
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
	const struct bench_side transfer = { .work = work_transfer };
	uint64_t many = many_threads(options);
	struct load own = ours, fresh = ours, apart;
	int r = 0;

	own.own = true;
	apart = own;
	apart.apart = state->apart;
	fresh.list = state->fresh;
	const struct {
		enum side which;
		const struct load *load;
		uint64_t threads, total;
		const struct bench_side *side;
	} rows[] = {
		{ OURS, &ours, options->threads, BATCH, &send },
		{ LIST, &ours, options->threads, BATCH, &list },
		{ FRESH, &fresh, options->threads, BATCH, &list },
		{ SMALL, &small, 1, SMALL_EVENTS, &send },
		{ SAME, &ours, 1, SMALL_EVENTS, &send },
		{ HOT, &one, 1, REPEATS, &hot },
		{ MERGED, &one, 1, REPEATS, &merged },
		{ FETCH_OR, &one, 1, REPEATS, &fetch_or },
		{ ONE, &ours, 1, MANY_BATCH, &send },
		{ OWN, &own, many, MANY_BATCH, &send },
		{ APART, &apart, many, MANY_BATCH, &send },
		{ CROSSED, &ours, many, MANY_BATCH, &send },
		{ TRANSFER, &one, 2, REPEATS, &transfer },
	};

	for (unsigned i = 0; r == 0 && i < (parallel ? SIDES : OWN); i++)
		r = set_side(state, rows[i].which, *rows[i].load, rows[i].threads, rows[i].total,
			     *rows[i].side);
	return r;
}

/* Did every send make its LPI pending, and was every LPI taken? */
static bool is_complete(const struct state *state, unsigned nsides)
{
	for (unsigned i = 0; i < nsides; i++) {
		const struct load *load = &state->loads[i];
		uint64_t taken = 0;

		for (unsigned thread = 0; thread < load->threads; thread++)
			taken += load->senders[thread].taken;
		if (!load->repeats && taken != state->sides[i].done * load->threads)
			return false;
	}
	return true;
}

static double ns(const struct state *state, enum side which)
{
	return state->sides[which].ns_per_op.median;
}

static void report_scaling(struct bench_context *context, const struct state *state,
			   enum side which, const char *name, bool parallel)
{
	if (parallel)
		bench_param_real(context, name, bench_ratio(ns(state, which), ns(state, ONE)));
	else
		bench_param_none(context, name);
}

static void report(struct bench_context *context, const struct options *options,
		   const struct state *state, bool parallel)
{
	bench_param_count(context, "devices", options->devices);
	bench_param_count(context, "events", options->events);
	bench_param_count(context, "threads", options->threads);
	bench_param_count(context, "redistributors", BENCH_REDISTS);
	bench_param_real(context, "list_fresh_heap", ns(state, FRESH));
	bench_param_real(context, "ratio_fresh_heap",
			 bench_ratio(ns(state, OURS), ns(state, FRESH)));
	bench_param_real(context, "flatness", bench_ratio(ns(state, SMALL), ns(state, SAME)));
	report_scaling(context, state, OWN, "scaling", parallel);
	report_scaling(context, state, APART, "scaling_apart", parallel);
	report_scaling(context, state, CROSSED, "scaling_crossed", parallel);
	bench_param_real(context, "hot", ns(state, HOT));
	bench_param_real(context, "merged", ns(state, MERGED));
	bench_param_real(context, "fetch_or", ns(state, FETCH_OR));
	bench_param_real(context, "hot_by_fetch_or", ns(state, HOT) / ns(state, FETCH_OR));
	if (parallel)
		bench_param_real(context, "transfer", ns(state, TRANSFER));
	else
		bench_param_none(context, "transfer");
	bench_target_at_least(context, "ratio", 100);
	bench_target_at_most(context, "flatness", 4);
	bench_target_at_least(context, "scaling", 1.8);
	bench_target_at_most(context, "hot_by_fetch_or", 15);
}

static int build(struct state *state, const struct options *options, bool parallel)
{
	uint32_t devices = (uint32_t)options->devices, events = (uint32_t)options->events;
	int r = bench_its_new(&state->vm, devices, events);

	if (r == 0)
		r = bench_its_new(&state->small_vm, 1, SMALL_EVENTS);
	for (unsigned i = 1; r == 0 && parallel && i < many_threads(options); i++)
		r = bench_its_new(&state->apart[i - 1], devices, events);
	if (r == 0)
		r = list_its_new(&state->list, devices, events, false);
	if (r == 0)
		r = list_its_new(&state->fresh, devices, events, true);
	return r == 0 ? set_sides(state, options, parallel) : r;
}

static void take_down(struct state *state)
{
	for (unsigned i = 0; i < SIDES; i++) {
		for (unsigned thread = 0; thread < BENCH_THREADS; thread++)
			free(state->loads[i].senders[thread].next);
	}
	list_its_free(state->fresh);
	list_its_free(state->list);
	for (unsigned i = 0; i < BENCH_THREADS - 1; i++)
		bench_its_done(&state->apart[i]);
	bench_its_done(&state->small_vm);
	bench_its_done(&state->vm);
}

static int run(struct bench_context *context, const void *values)
{
	const struct options *options = values;
	uint64_t total = options->devices * options->events;
	bool parallel = is_parallel(context, options);
	unsigned nsides = parallel ? SIDES : OWN;
	struct state state = { 0 };
	int r, code;

	code = bench_its_check(context, total);
	if (code != CLI_OK)
		return code;
	if (total < options->threads)
		return bench_error(context, CLI_USAGE, "%llu threads for %llu events in all",
				   (unsigned long long)options->threads, (unsigned long long)total);
	r = build(&state, options, parallel);
	if (r == 0)
		code = bench_measure(context, state.sides, nsides);
	else
		code = bench_error(context, CLI_FAILED, "setting up: %s", strerror(-r));
	if (code == CLI_OK && !is_complete(&state, nsides))
		code = bench_error(context, CLI_FAILED, "sends and LPIs taken are not as many");
	if (code == CLI_OK)
		report(context, options, &state, parallel);
	take_down(&state);
	return code;
}

static void fill_options(void *values, struct cli_option *rows)
{
	struct options *options = values;

	options->threads = 1;
	bench_its_options(&options->devices, &options->events, rows);
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
	.notes =
		"  flatness: sends over all events / over one device with 64 events\n"
		"  scaling: throughput of two threads (or --threads, if more) / of one, each to\n"
		"    redistributors of its own; scaling_apart: each with an ITS of its own, so that\n"
		"    they share nothing; scaling_crossed: all threads to all redistributors\n"
		"  hot: ns of one event sent and acknowledged, over and over\n"
		"  merged: ns of one event sent while its LPI is pending\n"
		"  fetch_or: ns of one atomic OR that no other thread is at; hot_by_fetch_or: hot / that\n"
		"  transfer: ns of a cache line from one CPU to another",
	.options_size = sizeof(struct options),
	.options = fill_options,
	.run = run,
};
