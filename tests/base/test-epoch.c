/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Epochs: what sync waits for and what not, and readers against writers that free.
 */
#include <support.h>

#include <sched.h>

#include <peal/epoch.h>

static void epoch_setup(struct peal_epoch *epoch)
{
	assert_int_equal(peal_epoch_init(epoch, peal_host_default()), 0);
}

static void sync_without_readers_returns(void **state)
{
	struct peal_epoch epoch;

	(void)state;
	epoch_setup(&epoch);
	for (unsigned i = 0; i < 5; i++)
		peal_epoch_sync(&epoch);
	for (unsigned i = 0; i < 5; i++) {
		peal_epoch_leave(&epoch, peal_epoch_enter(&epoch));
		peal_epoch_sync(&epoch);
	}
	peal_epoch_done(&epoch);
}

static void entered_counts_every_section(void **state)
{
	struct peal_epoch epoch;
	unsigned outer, inner;

	(void)state;
	epoch_setup(&epoch);
	assert_int_equal(peal_epoch_entered(&epoch), 0);
	outer = peal_epoch_enter(&epoch);
	inner = peal_epoch_enter(&epoch);
	assert_int_equal(peal_epoch_entered(&epoch), 2);
	peal_epoch_leave(&epoch, outer); /* any order */
	peal_epoch_leave(&epoch, inner);
	peal_epoch_sync(&epoch); /* turns the parity: the other counters */
	peal_epoch_leave(&epoch, peal_epoch_enter(&epoch));
	assert_int_equal(peal_epoch_entered(&epoch), 3);
	peal_epoch_done(&epoch);
}

/* A host whose relax is under the test's control: it is how sync says that it waits. */
struct patient_host {
	struct peal_host host;
	struct peal_epoch epoch;
	unsigned relaxed;
	unsigned leave_after; /* relax calls until the section is left */
	unsigned token;
	unsigned newcomer;
	bool newcomer_stays;
};

static void patient_relax(void *user)
{
	struct patient_host *patient = user;

	patient->relaxed++;
	/* A section that begins while sync waits; it is left after sync only. */
	if (patient->relaxed == 1 && patient->newcomer_stays)
		patient->newcomer = peal_epoch_enter(&patient->epoch);
	if (patient->relaxed == patient->leave_after)
		peal_epoch_leave(&patient->epoch, patient->token);
	thread_assert(patient->relaxed <= patient->leave_after);
}

static void patient_setup(struct patient_host *patient)
{
	memset(patient, 0, sizeof(*patient));
	patient->host = *peal_host_default();
	patient->host.relax = patient_relax;
	patient->host.user = patient;
	assert_int_equal(peal_epoch_init(&patient->epoch, &patient->host), 0);
}

static void sync_waits_for_a_section_in_progress(void **state)
{
	struct patient_host patient;

	(void)state;
	patient_setup(&patient);
	/* Both parities take their turn. */
	for (unsigned i = 0; i < 4; i++) {
		patient.relaxed = 0;
		patient.leave_after = 10;
		patient.token = peal_epoch_enter(&patient.epoch);
		peal_epoch_sync(&patient.epoch);
		assert_int_equal(patient.relaxed, 10);
	}
	peal_epoch_done(&patient.epoch);
}

/* Entered with the parity of before the last sync: the first phase is for them. */
static void sync_waits_for_a_late_entry(void **state)
{
	struct patient_host patient;

	(void)state;
	patient_setup(&patient);
	patient.token = peal_epoch_enter(&patient.epoch);
	peal_epoch_leave(&patient.epoch, patient.token);
	peal_epoch_sync(&patient.epoch);
	assert_int_equal(patient.relaxed, 0);
	/* What a reader does that loaded the parity before that sync, and goes on only now. */
	(void)__atomic_fetch_add(&patient.epoch.slots[patient.token >> 1].in[patient.token & 1], 1,
				 __ATOMIC_SEQ_CST);
	patient.leave_after = 7;
	peal_epoch_sync(&patient.epoch);
	assert_int_equal(patient.relaxed, 7);
	peal_epoch_done(&patient.epoch);
}

static void sync_does_not_wait_for_newcomers(void **state)
{
	struct patient_host patient;

	(void)state;
	patient_setup(&patient);
	patient.token = peal_epoch_enter(&patient.epoch);
	patient.leave_after = 3;
	patient.newcomer_stays = true;
	peal_epoch_sync(&patient.epoch);
	assert_int_equal(patient.relaxed, 3);
	/* The next one does. */
	patient.relaxed = 0;
	patient.newcomer_stays = false;
	patient.token = patient.newcomer;
	peal_epoch_sync(&patient.epoch);
	assert_int_equal(patient.relaxed, 3);
	peal_epoch_done(&patient.epoch);
}

static int make_epoch(const struct peal_host *host, void *user)
{
	struct peal_epoch epoch;
	int r = peal_epoch_init(&epoch, host);

	(void)user;
	peal_epoch_done(&epoch);
	return r;
}

static void init_reports_the_mutex(void **state)
{
	(void)state;
	assert_int_equal(test_every_allocation(make_epoch, NULL), 1);
}

static void section_may_be_left_by_another_thread(void *user, unsigned index)
{
	struct patient_host *patient = user;

	(void)index;
	peal_epoch_leave(&patient->epoch, patient->token);
}

static void token_travels_between_threads(void **state)
{
	struct patient_host patient;

	(void)state;
	patient_setup(&patient);
	patient.token = peal_epoch_enter(&patient.epoch);
	test_threads(1, section_may_be_left_by_another_thread, &patient);
	peal_epoch_sync(&patient.epoch); /* relax would abort */
	peal_epoch_done(&patient.epoch);
}

/* ---- readers against writers ---- */

#define READERS      3u
#define WRITERS      2u
#define REPLACEMENTS 300u
#define WHOLE        UINT64_C(0x77686f6c65)
#define POISON       UINT64_C(0x706f69736f6e)

/* Not freed but poisoned and used again: a reader that comes too late sees it for sure. */
struct object {
	uint64_t magic;
	uint64_t twice; /* always magic * 2 */
};

struct stress {
	struct peal_epoch epoch;
	struct object *places[WRITERS];
	uint64_t sections;
	uint64_t poisoned;
	unsigned writers_left;
	struct object pool[WRITERS][2];
};

static void stress_read(struct stress *stress)
{
	uint64_t sections = 0;

	do {
		for (unsigned i = 0; i < WRITERS; i++) {
			unsigned outer = peal_epoch_enter(&stress->epoch);
			unsigned inner = peal_epoch_enter(&stress->epoch);
			struct object *object = peal_epoch_load(&stress->places[i]);

			thread_assert(object->magic == WHOLE);
			peal_epoch_leave(&stress->epoch, inner);
			thread_assert(object->twice == 2 * WHOLE);
			peal_epoch_leave(&stress->epoch, outer);
			sections += 2;
		}
		sched_yield();
	} while (__atomic_load_n(&stress->writers_left, __ATOMIC_RELAXED));
	peal_count(&stress->sections, sections);
}

static void stress_write(struct stress *stress, unsigned writer)
{
	for (unsigned i = 1; i <= REPLACEMENTS; i++) {
		struct object *old = stress->places[writer];
		struct object *new = &stress->pool[writer][i % 2];

		/* Plain accesses: ThreadSanitizer objects if a reader is still in. */
		thread_assert(new != old &&new->magic == POISON);
		new->magic = WHOLE;
		new->twice = 2 * WHOLE;
		peal_epoch_store(&stress->places[writer], new);
		peal_epoch_sync(&stress->epoch);
		old->magic = POISON;
		old->twice = 0;
		peal_count(&stress->poisoned, 1);
	}
	__atomic_sub_fetch(&stress->writers_left, 1, __ATOMIC_RELAXED);
}

static void stress_run(void *user, unsigned index)
{
	struct stress *stress = user;

	if (index < WRITERS)
		stress_write(stress, index);
	else
		stress_read(stress);
}

static void readers_never_meet_a_poisoned_object(void **state)
{
	struct stress stress = { .writers_left = WRITERS };

	(void)state;
	epoch_setup(&stress.epoch);
	for (unsigned i = 0; i < WRITERS; i++) {
		stress.pool[i][0] = (struct object){ WHOLE, 2 * WHOLE };
		stress.pool[i][1] = (struct object){ POISON, 0 };
		stress.places[i] = &stress.pool[i][0];
	}
	test_threads(WRITERS + READERS, stress_run, &stress);
	assert_int_equal(stress.poisoned, WRITERS * REPLACEMENTS);
	assert_int_equal(peal_epoch_entered(&stress.epoch), stress.sections);
	assert_true(stress.sections >= 2 * WRITERS * READERS);
	peal_epoch_sync(&stress.epoch); /* everybody left */
	peal_epoch_done(&stress.epoch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sync_without_readers_returns),
		cmocka_unit_test(entered_counts_every_section),
		cmocka_unit_test(sync_waits_for_a_section_in_progress),
		cmocka_unit_test(sync_waits_for_a_late_entry),
		cmocka_unit_test(sync_does_not_wait_for_newcomers),
		cmocka_unit_test(init_reports_the_mutex),
		cmocka_unit_test(token_travels_between_threads),
		cmocka_unit_test(readers_never_meet_a_poisoned_object),
	};

	return cmocka_run_group_tests_name("base-epoch", tests, NULL, NULL);
}
