/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `peal bench its-command`: what a guest's commands cost. An operation is a pair: the DISCARD of a
 * random event, and the MAPTI that maps it again, among all events of all devices. The commands are
 * in the ring already; what is measured is the write of GITS_CWRITER. The baseline is what cannot be
 * less: two commands that have nothing to do (SYNC).
 *
 * Beside the main figure, in the same rounds:
 *   flatness       a pair of one of 16 events / the same where no others are mapped: what grows with
 *                  the number of mappings
 *   random         a pair of any event / a pair where only 16 are mapped: with what caches do
 *   invall_N       ns for an LPI, of an INVALL of a collection with N, all with a new priority
 *   invall_linear  the dearest of these / the cheapest, if that is of a smaller collection
 *   movall_N       ns for an LPI, of a MOVALL of N pending ones
 *   movall_linear  the same of these
 *
 * INVALL and MOVALL are measured with 24 bits of INTIDs, 16 million LPIs: who went over all of them
 * would take as long for 1024 as for 65536.
 */
#include <errno.h>
#include <string.h>

#include <peal/bits.h>

#include "its-guest.h"

#define BATCH        1024u /* pairs */
#define SMALL_EVENTS 16u
#define WIDE_BITS    24u
#define GROUPS       3u
#define GROUP_EVENTS 64u /* of a device of the wide machine */
#define GROUP_ICID   BENCH_REDISTS
#define VALID        PEAL_BIT(63)

struct options {
	uint64_t devices;
	uint64_t events;
};

enum {
	PAIRS,
	SYNCS,
	SAME,
	SMALL,
	INVALLS,
	MOVALLS = INVALLS + GROUPS,
	SIDES = MOVALLS + GROUPS
};

/* LPIs of one collection, GROUP_ICID + n; pending on redistributor 2n or the next one. */
struct group {
	struct bench_its *vm;
	const char *invall, *movall; /* names of the parameters */
	uint32_t first;              /* of the machine's events, counted through */
	uint32_t count;
	unsigned n;
	uint64_t moves;
};

/* Pairs of the first events of a machine. */
struct pairs {
	struct bench_its *vm;
	uint32_t devices, events;
};

struct state {
	struct bench_its large, small, wide;
	struct pairs all, same, few;
	struct group groups[GROUPS];
	struct bench_side sides[SIDES];
};

/* ---- commands ---- */

static void put(struct bench_its *vm, uint64_t dw0, uint64_t dw1, uint64_t dw2, uint64_t dw3)
{
	const uint64_t dw[4] = { dw0, dw1, dw2, dw3 };

	bench_its_put(vm, dw);
}

static void prepare_pairs(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	const struct pairs *pairs = user;
	struct bench_its *vm = pairs->vm;

	(void)thread;
	for (uint64_t i = first; i < first + count; i++) {
		uint64_t which = i * UINT64_C(0x9e3779b97f4a7c15) >> 32;
		uint32_t device = (uint32_t)(which % pairs->devices);
		uint32_t event = (uint32_t)(which / pairs->devices % pairs->events);
		uint64_t lpi = bench_its_lpi(vm, device, event);

		put(vm, BENCH_DISCARD | (uint64_t)device << 32, event, 0, 0);
		put(vm, BENCH_MAPTI | (uint64_t)device << 32, lpi << 32 | event,
		    bench_its_redist(device, event), 0);
	}
}

static void prepare_syncs(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	const struct pairs *pairs = user;

	(void)thread;
	(void)first;
	for (uint64_t i = 0; i < 2 * count; i++)
		put(pairs->vm, BENCH_SYNC, 0, 0, 0);
}

/* Another priority for each LPI, and what tells the GIC. */
static void prepare_invall(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	const struct group *group = user;
	uint8_t *bytes = bench_its_configuration(group->vm, PEAL_GIC_FIRST_LPI + group->first);

	(void)thread;
	(void)first;
	memset(bytes, *bytes ^ 0x40, (size_t)count);
	put(group->vm, BENCH_INVALL, 0, GROUP_ICID + group->n, 0);
}

/* There, and back the next time. */
static void prepare_movall(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	struct group *group = user;
	uint64_t from = 2 * group->n + (group->moves & 1);

	(void)thread;
	(void)first;
	(void)count;
	put(group->vm, BENCH_MOVALL, 0, from << 16, (from ^ 1) << 16);
	group->moves++;
}

static int work_pairs(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	const struct pairs *pairs = user;

	(void)thread;
	(void)first;
	(void)count;
	bench_its_run_commands(pairs->vm);
	return 0;
}

static int work_group(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	const struct group *group = user;

	(void)thread;
	(void)first;
	(void)count;
	bench_its_run_commands(group->vm);
	return 0;
}

/* ---- the machines ---- */

static int fill_group(const struct group *group)
{
	struct bench_its *vm = group->vm;
	uint64_t icid = GROUP_ICID + group->n;

	put(vm, BENCH_MAPC, 0, VALID | (uint64_t)group->n << 17 | icid, 0);
	for (uint32_t i = group->first; i < group->first + group->count; i++) {
		uint32_t device = i / GROUP_EVENTS, event = i % GROUP_EVENTS;

		put(vm, BENCH_MOVI | (uint64_t)device << 32, event, icid, 0);
		bench_its_run_commands(vm);
		if (peal_its_send(vm->its, device, event) != 1)
			return -EIO;
	}
	return 0;
}

static int make_groups(struct state *state)
{
	static const struct group rows[GROUPS] = {
		{ .invall = "invall_1k", .movall = "movall_1k", .count = 1024 },
		{ .invall = "invall_8k", .movall = "movall_8k", .count = 8192 },
		{ .invall = "invall_64k", .movall = "movall_64k", .count = 65536 },
	};
	uint32_t first = 0;
	int r = 0;

	for (unsigned i = 0; i < GROUPS; i++)
		first += rows[i].count;
	r = bench_its_new_wide(&state->wide, first / GROUP_EVENTS, GROUP_EVENTS, WIDE_BITS);
	first = 0;
	for (unsigned i = 0; r == 0 && i < GROUPS; i++) {
		struct group *group = &state->groups[i];

		*group = rows[i];
		group->vm = &state->wide;
		group->first = first;
		group->n = i;
		first += group->count;
		r = fill_group(group);
	}
	return r;
}

static void set_pairs(struct state *state)
{
	const struct bench_side pairs = {
		.threads = 1, .batch = BATCH, .prepare = prepare_pairs, .work = work_pairs
	};
	struct bench_its *large = &state->large;
	uint32_t few = large->events < SMALL_EVENTS ? large->events : SMALL_EVENTS;

	state->all = (struct pairs){ large, large->devices, large->events };
	state->same = (struct pairs){ large, 1, few };
	state->few = (struct pairs){ &state->small, 1, SMALL_EVENTS };
	for (unsigned i = PAIRS; i <= SMALL; i++)
		state->sides[i] = pairs;
	state->sides[SYNCS].prepare = prepare_syncs;
	state->sides[PAIRS].user = state->sides[SYNCS].user = &state->all;
	state->sides[SAME].user = &state->same;
	state->sides[SMALL].user = &state->few;
}

static void set_sides(struct state *state)
{
	set_pairs(state);
	for (unsigned i = 0; i < GROUPS; i++) {
		struct bench_side side = {
			.threads = 1,
			.batch = state->groups[i].count,
			.prepare = prepare_invall,
			.work = work_group,
			.user = &state->groups[i],
		};

		state->sides[INVALLS + i] = side;
		side.prepare = prepare_movall;
		state->sides[MOVALLS + i] = side;
	}
}

static bool is_group_complete(const struct group *group)
{
	struct bench_its *vm = group->vm;
	unsigned redist = 2 * group->n + (unsigned)(group->moves & 1);

	for (uint32_t i = 0; i < group->count; i++) {
		if (!peal_gic_is_pending(vm->gic, redist, PEAL_GIC_FIRST_LPI + group->first + i))
			return false;
	}
	return true;
}

/* Is everything mapped, every LPI where MOVALL put it, and did no command fail? */
static bool is_complete(struct state *state)
{
	for (unsigned i = 0; i < GROUPS; i++) {
		if (!is_group_complete(&state->groups[i]))
			return false;
	}
	return bench_its_is_up(&state->large) && bench_its_is_up(&state->small) &&
	       bench_its_is_up(&state->wide);
}

/* ---- the report ---- */

static double ns(const struct state *state, unsigned side)
{
	return state->sides[side].ns_per_op.median;
}

/* How much dearer an LPI gets when there are more of them. */
static double linear(const struct state *state, unsigned sides)
{
	double least = ns(state, sides), worst = 1;

	for (unsigned i = 1; i < GROUPS; i++) {
		double now = ns(state, sides + i);

		if (now / least > worst)
			worst = now / least;
		if (now < least)
			least = now;
	}
	return worst;
}

static void report(struct bench_context *context, const struct options *options,
		   const struct state *state)
{
	bench_param_count(context, "devices", options->devices);
	bench_param_count(context, "events", options->events);
	bench_param_real(context, "pairs_per_s", 1e9 / ns(state, SAME));
	bench_param_real(context, "pairs_per_s_16", 1e9 / ns(state, SMALL));
	for (unsigned i = 0; i < GROUPS; i++)
		bench_param_real(context, state->groups[i].invall, ns(state, INVALLS + i));
	for (unsigned i = 0; i < GROUPS; i++)
		bench_param_real(context, state->groups[i].movall, ns(state, MOVALLS + i));
	bench_param_real(context, "random", ns(state, PAIRS) / ns(state, SMALL));
	bench_param_real(context, "flatness", ns(state, SAME) / ns(state, SMALL));
	bench_param_real(context, "invall_linear", linear(state, INVALLS));
	bench_param_real(context, "movall_linear", linear(state, MOVALLS));
	bench_target_at_most(context, "flatness", 1.5);
	bench_target_at_most(context, "invall_linear", 2);
	bench_target_at_most(context, "movall_linear", 2);
}

static int run(struct bench_context *context, const void *values)
{
	const struct options *options = values;
	struct state state = { 0 };
	int r, code;

	code = bench_its_check(context, options->devices * options->events);
	if (code != CLI_OK)
		return code;
	r = bench_its_new(&state.large, (uint32_t)options->devices, (uint32_t)options->events);
	if (r == 0)
		r = bench_its_new(&state.small, 1, SMALL_EVENTS);
	if (r == 0)
		r = make_groups(&state);
	set_sides(&state);
	if (r == 0)
		code = bench_measure(context, state.sides, SIDES);
	else
		code = bench_error(context, CLI_FAILED, "setting up: %s", strerror(-r));
	if (code == CLI_OK && !is_complete(&state))
		code = bench_error(context, CLI_FAILED, "the commands did not do what they say");
	if (code == CLI_OK)
		report(context, options, &state);
	bench_its_done(&state.wide);
	bench_its_done(&state.small);
	bench_its_done(&state.large);
	return code;
}

static void fill_options(void *values, struct cli_option *rows)
{
	struct options *options = values;

	bench_its_options(&options->devices, &options->events, rows);
}

const struct bench bench_its_command = {
	.name = "its-command",
	.line = "a random event discarded and mapped again by commands; two SYNC commands",
	.baseline = "sync",
	.notes =
		"  flatness: time for a pair of one of 16 events / that where no others are mapped\n"
		"  random: time for a pair of any event / that where only 16 are mapped\n"
		"  pairs_per_s: of one of 16 events; pairs_per_s_16: where no others are mapped\n"
		"  invall_N: ns for an LPI, of INVALL of N with a new priority\n"
		"  movall_N: ns for an LPI, of MOVALL of N that are pending\n"
		"  invall_linear, movall_linear: how much dearer an LPI gets when there are more",
	.options_size = sizeof(struct options),
	.options = fill_options,
	.run = run,
};
