/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What Linux does with an ITS (data/linux-arm64.its, see replay.h), on a GIC that is replaced by a
 * new one again and again, between the guest's accesses: also with commands in the queue
 * that no CWRITER has told of, with LPIs pending and with drivers half bound. The state goes with a
 * snapshot, or through the guest's own tables.
 */
#include "replay.h"

static unsigned every;   /* migrates before each EVERYth record */
static unsigned records; /* so far */
static unsigned migrations;
static void (*migrate)(struct replay *r, struct peal_gic *gic, struct peal_its *its);

/* Commands are counted anew; those that the guest has queued but not told of come later. */
static void carry_on(struct replay *r, struct peal_its *old)
{
	struct peal_its_counters before, after;

	peal_its_counters(old, &before);
	peal_its_counters(r->its, &after);
	assert_int_equal(before.errors + after.errors, 0);
	assert_int_equal(before.devices, after.devices);
	assert_int_equal(before.events, after.events);
	r->ncommands += after.commands - before.commands;
}

static void replace(struct replay *r)
{
	struct peal_gic *gic = r->gic;
	struct peal_its *its = r->its;

	if (records++ % every != 0)
		return;
	migrations++;
	memset(r->awake, 0, sizeof(r->awake));
	replay_new_gic(r);
	migrate(r, gic, its);
	carry_on(r, its);
	peal_its_free(its);
	peal_gic_free(gic);
}

static void runs_with(void (*how)(struct replay *r, struct peal_gic *gic, struct peal_its *its),
		      const char *name, unsigned period, const char *reason)
{
	static struct replay r;
	char *text = replay_load_kept(name);

	assert_non_null(text);
	every = period;
	records = migrations = 0;
	migrate = how;
	replay_run_with(&r, text, replace);
	free(text);
	if (!strstr(r.reason, reason) || (!reason[0] && r.reason[0]))
		fail_msg("%s: \"%s\" expected", r.reason, reason);
	print_message("# %u migrations\n", migrations);
}

/* ---- by snapshot ---- */

static void by_snapshot(struct replay *r, struct peal_gic *gic, struct peal_its *its)
{
	size_t gic_size = peal_gic_state_size(gic), its_size = peal_its_state_size(its);
	void *gic_state = malloc(gic_size), *its_state = malloc(its_size);

	assert_non_null(gic_state);
	assert_non_null(its_state);
	assert_int_equal(peal_gic_save(gic, gic_state, gic_size), 0);
	assert_int_equal(peal_its_save(its, its_state, its_size), 0);
	assert_int_equal(peal_gic_load(r->gic, gic_state, gic_size), 0);
	assert_int_equal(peal_its_load(r->its, its_state, its_size), 0);
	free(gic_state);
	free(its_state);
}

static void linux_runs_through_snapshots(void **state)
{
	(void)state;
	runs_with(by_snapshot, "linux-arm64.its", 3, "");
	runs_with(by_snapshot, "linux-arm64-wide.its", 101, "");
}

/* ---- through the guest's tables ---- */

static void copy_redists(struct replay *r, struct peal_gic *gic)
{
	static const struct {
		uint32_t offset;
		unsigned size;
	} registers[] = { { GICR_PROPBASER, 8 }, { GICR_PENDBASER, 8 }, { GICR_CTLR, 4 } };

	for (unsigned i = 0; i < r->cpus; i++) {
		for (size_t k = 0; k < PEAL_COUNT_OF(registers); k++)
			peal_redist_write(r->gic, i, registers[k].offset, registers[k].size,
					  peal_redist_read(gic, i, registers[k].offset,
							   registers[k].size));
	}
}

static void copy_register(struct replay *r, struct peal_its *its, uint64_t offset, unsigned size)
{
	int result = peal_its_set_register(r->its, offset, peal_its_read(its, offset, size));

	assert_int_equal(result, 0);
}

static void copy_its(struct replay *r, struct peal_its *its)
{
	copy_register(r, its, GITS_CBASER, 8);
	copy_register(r, its, GITS_IIDR, 4);
	copy_register(r, its, GITS_CREADR, 8);
	copy_register(r, its, GITS_CWRITER, 8);
	copy_register(r, its, GITS_BASER(0), 8);
	copy_register(r, its, GITS_BASER(1), 8);
	assert_int_equal(peal_its_restore_tables(r->its), 0);
	copy_register(r, its, GITS_CTLR, 4);
}

static void by_tables(struct replay *r, struct peal_gic *gic, struct peal_its *its)
{
	assert_int_equal(peal_gic_save_pending(gic), 0);
	assert_int_equal(peal_its_save_tables(its), 0);
	copy_redists(r, gic);
	copy_its(r, its);
}

static void linux_runs_through_its_tables(void **state)
{
	(void)state;
	runs_with(by_tables, "linux-arm64.its", 3, "");
	runs_with(by_tables, "linux-arm64-wide.its", 101, "");
}

/* Back and forth between the two. */
static void by_both(struct replay *r, struct peal_gic *gic, struct peal_its *its)
{
	(migrations % 2 ? by_tables : by_snapshot)(r, gic, its);
}

static void linux_runs_through_both(void **state)
{
	(void)state;
	runs_with(by_both, "linux-arm64.its", 5, "");
}

/* ---- and if something stayed behind ---- */

static void without_pending(struct replay *r, struct peal_gic *gic, struct peal_its *its)
{
	assert_int_equal(peal_its_save_tables(its), 0);
	copy_redists(r, gic);
	copy_its(r, its);
}

static void lost_pending_states_are_noticed(void **state)
{
	(void)state;
	runs_with(without_pending, "linux-arm64.its", 1, "is not pending on CPU");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linux_runs_through_snapshots),
		cmocka_unit_test(linux_runs_through_its_tables),
		cmocka_unit_test(linux_runs_through_both),
		cmocka_unit_test(lost_pending_states_are_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
