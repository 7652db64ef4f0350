/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `peal bench its-migrate`: what the interrupt controller adds to the downtime of a VM that moves.
 * Every event of every device is mapped and pending. An operation is an LPI; a batch saves the
 * ITS and the pending bits into the guest's tables and restores the ITS from them. The baseline is
 * what cannot be less: as many entries of 8 bytes, written one by one to guest memory.
 *
 * Beside the main figure, in the same rounds:
 *   save_ms, restore_ms  the two halves, of all LPIs
 *   linear               time for an LPI in all, against that of a VM with an eighth of the devices
 *   snapshot_ms          save and load of the snapshot that needs no tables
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "its-guest.h"

#define GITS_CTLR 0x0000u
#define FEWER     8u

struct options {
	uint64_t devices;
	uint64_t events;
};

enum {
	BOTH,
	WRITE,
	SAVE,
	RESTORE,
	SMALL,
	SNAPSHOT,
	SIDES
};

struct machine {
	struct bench_its vm;
	void *snapshot;
	size_t snapshot_size;
};

struct state {
	struct machine large, small;
	struct bench_side sides[SIDES];
};

static uint64_t lpis(const struct bench_its *vm)
{
	return (uint64_t)vm->devices * vm->events;
}

/* ---- what is measured ---- */

static int save(struct bench_its *vm)
{
	int r = peal_its_save_tables(vm->its);

	return r == 0 ? peal_gic_save_pending(vm->gic) : r;
}

static int restore(struct bench_its *vm)
{
	int r;

	peal_its_write(vm->its, GITS_CTLR, 4, 0);
	r = peal_its_restore_tables(vm->its);
	peal_its_write(vm->its, GITS_CTLR, 4, 1);
	return r;
}

static int work_save(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	struct machine *machine = user;

	(void)thread;
	(void)first;
	(void)count;
	return save(&machine->vm);
}

static int work_restore(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	struct machine *machine = user;

	(void)thread;
	(void)first;
	(void)count;
	return restore(&machine->vm);
}

static int work_both(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	int r = work_save(user, thread, first, count);

	return r == 0 ? work_restore(user, thread, first, count) : r;
}

static int work_write(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	const struct machine *machine = user;
	const struct bench_its *vm = &machine->vm;

	(void)thread;
	(void)first;
	/* The command queue is a place that nobody reads now. */
	for (uint64_t i = 0; i < count; i++) {
		uint64_t entry = i;
		int r = peal_space_write_memory(vm->space, vm->queue + i * 8 % BENCH_QUEUE_SIZE,
						&entry, sizeof(entry));

		if (r < 0)
			return r;
	}
	return 0;
}

static int work_snapshot(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	struct machine *machine = user;
	int r = peal_its_save(machine->vm.its, machine->snapshot, machine->snapshot_size);

	(void)thread;
	(void)first;
	(void)count;
	return r == 0 ? peal_its_load(machine->vm.its, machine->snapshot, machine->snapshot_size)
		      : r;
}

/* ---- the frame ---- */

static int make(struct machine *machine, uint32_t devices, uint32_t events)
{
	int r = bench_its_new(&machine->vm, devices, events);

	for (uint32_t d = 0; r == 0 && d < devices; d++) {
		for (uint32_t e = 0; e < events; e++) {
			if (peal_its_send(machine->vm.its, d, e) != 1)
				r = -EIO;
		}
	}
	if (r < 0)
		return r;
	machine->snapshot_size = peal_its_state_size(machine->vm.its);
	machine->snapshot = malloc(machine->snapshot_size);
	return machine->snapshot ? 0 : -ENOMEM;
}

static void take_down(struct machine *machine)
{
	free(machine->snapshot);
	bench_its_done(&machine->vm);
}

/* Is every event where it was, and its LPI pending? */
static bool is_complete(struct machine *machine)
{
	struct bench_its *vm = &machine->vm;

	for (uint32_t d = 0; d < vm->devices; d++) {
		for (uint32_t e = 0; e < vm->events; e++) {
			struct peal_its_translation t;

			if (peal_its_translate(vm->its, d, e, &t) != 1 ||
			    t.intid != bench_its_lpi(vm, d, e) ||
			    t.redist != bench_its_redist(d, e) ||
			    !peal_gic_is_pending(vm->gic, t.redist, t.intid))
				return false;
		}
	}
	return true;
}

static void set_sides(struct state *state)
{
	static int (*const work[SIDES])(void *, unsigned, uint64_t, uint64_t) = {
		[BOTH] = work_both,       [WRITE] = work_write, [SAVE] = work_save,
		[RESTORE] = work_restore, [SMALL] = work_both,  [SNAPSHOT] = work_snapshot,
	};

	for (unsigned i = 0; i < SIDES; i++) {
		struct machine *machine = i == SMALL ? &state->small : &state->large;

		state->sides[i] = (struct bench_side){
			.threads = 1,
			.batch = lpis(&machine->vm),
			.work = work[i],
			.user = machine,
		};
	}
}

static double ms(const struct state *state, unsigned side)
{
	return state->sides[side].ns_per_op.median * (double)state->sides[side].batch / 1e6;
}

static void report(struct bench_context *context, const struct state *state)
{
	bench_param_count(context, "devices", state->large.vm.devices);
	bench_param_count(context, "events", state->large.vm.events);
	bench_param_count(context, "redistributors", BENCH_REDISTS);
	bench_param_real(context, "save_ms", ms(state, SAVE));
	bench_param_real(context, "restore_ms", ms(state, RESTORE));
	bench_param_real(context, "snapshot_ms", ms(state, SNAPSHOT));
	bench_param_real(context, "linear",
			 state->sides[BOTH].ns_per_op.median /
				 state->sides[SMALL].ns_per_op.median);
	bench_target_at_most(context, "linear", 2);
}

static int run(struct bench_context *context, const void *values)
{
	const struct options *options = values;
	uint64_t fewer = (options->devices + FEWER - 1) / FEWER;
	struct state state = { 0 };
	int r, code;

	code = bench_its_check(context, options->devices * options->events);
	if (code != CLI_OK)
		return code;
	r = make(&state.large, (uint32_t)options->devices, (uint32_t)options->events);
	if (r == 0)
		r = make(&state.small, (uint32_t)fewer, (uint32_t)options->events);
	set_sides(&state);
	if (r == 0)
		code = bench_measure(context, state.sides, SIDES);
	else
		code = bench_error(context, CLI_FAILED, "setting up: %s", strerror(-r));
	if (code == CLI_OK && (!is_complete(&state.large) || !is_complete(&state.small)))
		code = bench_error(context, CLI_FAILED, "an event is not where it was");
	if (code == CLI_OK)
		report(context, &state);
	take_down(&state.small);
	take_down(&state.large);
	return code;
}

static void fill_options(void *values, struct cli_option *rows)
{
	struct options *options = values;

	bench_its_options(&options->devices, &options->events, rows);
}

const struct bench bench_its_migrate = {
	.name = "its-migrate",
	.line = "an LPI saved into the guest's tables and restored; one write of 8 bytes",
	.baseline = "write",
	.notes = "  save_ms, restore_ms: the halves, of all LPIs\n"
		 "  snapshot_ms: save and load of the snapshot that needs no tables\n"
		 "  linear: time for an LPI / that with an eighth of the devices",
	.options_size = sizeof(struct options),
	.options = fill_options,
	.run = run,
};
