/* SPDX-License-Identifier: BSD-2-Clause */
/* Kicks: a vCPU that was kicked looks, however the kick and its falling asleep come together. */
#include <unistd.h>

#include "rig.h"

#define ALONE   15000u
#define KICKERS 4u
#define KICKS   12000u
#define ROUNDS  150u

struct kicks {
	struct peal_machine *machine;
	uint64_t given; /* before the kick */
	uint64_t seen;  /* what was given when the vCPU looked last */
	uint64_t looks;
	uint64_t all;
	bool ready;
};

static void look(struct rig *rig)
{
	struct kicks *k = rig->user;

	__atomic_store_n(&k->ready, true, __ATOMIC_SEQ_CST);
	while (k->seen < k->all) {
		peal_vcpu_wait_for_interrupt(rig->vcpu);
		k->looks++;
		__atomic_store_n(&k->seen, __atomic_load_n(&k->given, __ATOMIC_SEQ_CST),
				 __ATOMIC_SEQ_CST);
	}
}

static void wait_until_seen(struct kicks *k, uint64_t number)
{
	double begin = rig_now();

	while (__atomic_load_n(&k->seen, __ATOMIC_SEQ_CST) < number) {
		(void)sched_yield();
		thread_assert(rig_now() - begin < RIG_PATIENCE_S);
	}
}

static uint64_t give(struct kicks *k)
{
	uint64_t number = __atomic_add_fetch(&k->given, 1, __ATOMIC_SEQ_CST);

	peal_vcpu_kick(peal_machine_vcpu(k->machine, 0));
	return number;
}

static void begin(struct rig *rig, struct kicks *k, uint64_t all, unsigned spin_us)
{
	const struct peal_machine_config config = {
		.ram_size = 0x10000,
		.vcpus = 1,
		.spin_us = spin_us,
	};

	*rig = (struct rig){ .body = look, .user = k };
	assert_int_equal(peal_machine_new(&rig->machine, &config), 0);
	*k = (struct kicks){ .machine = rig->machine, .all = all };
	assert_int_equal(peal_machine_start(rig->machine, rig_main, rig), 0);
	while (!__atomic_load_n(&k->ready, __ATOMIC_SEQ_CST))
		(void)sched_yield();
}

static void end(struct rig *rig, struct peal_vcpu_counters *c)
{
	rig_wait(rig);
	/* Before the kick of stop. */
	peal_vcpu_counters(peal_machine_vcpu(rig->machine, 0), c);
	peal_machine_stop(rig->machine);
	rig_done(rig);
}

static void kick_alone(unsigned spin_us)
{
	uint64_t seed = 1 + spin_us;
	struct peal_vcpu_counters c;
	struct kicks k;
	struct rig rig;

	begin(&rig, &k, ALONE, spin_us);
	for (unsigned i = 0; i < ALONE; i++) {
		/* From at once to long after it fell asleep. */
		uint64_t pause = test_random_below(&seed, 8) ? test_random_below(&seed, 400) : 0;

		for (uint64_t n = 0; n < pause; n++)
			(void)__atomic_load_n(&k.seen, __ATOMIC_SEQ_CST);
		if (i % 256 == 0)
			(void)usleep(200);
		wait_until_seen(&k, give(&k));
	}
	end(&rig, &c);
	/* Each was a kick of its own, and each ended one wait. */
	assert_int_equal(k.seen, ALONE);
	assert_int_equal(k.looks, ALONE);
	assert_int_equal(c.kicks, ALONE);
	assert_int_equal(c.acknowledged, 0);
	assert_true(c.sleeps <= ALONE);
	if (!spin_us)
		assert_true(c.sleeps > 0);
}

static void each_kick_ends_one_wait(void **state)
{
	(void)state;
	kick_alone(0);
	kick_alone(5);
}

static void kick_often(void *user, unsigned index)
{
	struct kicks *k = user;
	uint64_t seed = index, number = 0;

	for (unsigned i = 0; i < KICKS; i++) {
		number = give(k);
		/* Now and then to the end: then this very kick has to be the one that is seen. */
		if (test_random_below(&seed, 32) == 0)
			wait_until_seen(k, number);
	}
	wait_until_seen(k, number);
}

static void kick_together(unsigned spin_us)
{
	struct peal_vcpu_counters c;
	struct kicks k;
	struct rig rig;

	begin(&rig, &k, KICKERS * KICKS, spin_us);
	test_threads(KICKERS, kick_often, &k);
	end(&rig, &c);
	assert_int_equal(k.given, KICKERS * KICKS);
	assert_int_equal(k.seen, KICKERS * KICKS);
	/* Kicks merge, but no wait ends without one; the last look took at most one. */
	assert_true(c.kicks <= KICKERS * KICKS);
	assert_true(k.looks <= c.kicks && k.looks + 1 >= c.kicks);
	/* The last wait may sleep, and end with the machine. */
	assert_true(c.sleeps <= k.looks + 1);
}

static void kicks_of_many_threads_are_all_seen(void **state)
{
	(void)state;
	kick_together(0);
	kick_together(20);
}

/* A kick before the vCPU waits is not forgotten. */
static void look_late(struct rig *rig)
{
	struct kicks *k = rig->user;
	double start = rig_now();

	while (!__atomic_load_n(&k->ready, __ATOMIC_SEQ_CST))
		thread_assert(rig_now() - start < RIG_PATIENCE_S);
	peal_vcpu_wait_for_interrupt(rig->vcpu);
	k->looks = 1;
}

static void a_kick_before_the_wait_counts(void **state)
{
	struct kicks k = { 0 };
	struct rig rig;

	(void)state;
	rig_new(&rig, 1);
	rig.body = look_late;
	rig.user = &k;
	assert_int_equal(peal_machine_start(rig.machine, rig_main, &rig), 0);
	peal_vcpu_kick(peal_machine_vcpu(rig.machine, 0));
	peal_vcpu_kick(peal_machine_vcpu(rig.machine, 0));
	__atomic_store_n(&k.ready, true, __ATOMIC_SEQ_CST);
	rig_wait(&rig);
	peal_machine_stop(rig.machine);
	assert_int_equal(k.looks, 1);
	rig_done(&rig);
}

/* ---- kicks while it starts and stops ---- */

struct storm {
	struct peal_machine *machine;
	unsigned runs;
	bool end;
};

static void count_run(struct peal_vcpu *vcpu, void *user)
{
	struct storm *s = user;

	peal_vcpu_kick(peal_machine_vcpu(s->machine, 1));
	peal_vcpu_wait_for_interrupt(vcpu);
	s->runs++;
}

static void storm(void *user, unsigned index)
{
	struct storm *s = user;

	while (index && !__atomic_load_n(&s->end, __ATOMIC_SEQ_CST)) {
		for (unsigned i = 0; i < 3; i++)
			peal_vcpu_kick(peal_machine_vcpu(s->machine, i));
		(void)sched_yield();
	}
	for (unsigned i = 0; !index && i < ROUNDS; i++) {
		double start = rig_now();

		thread_assert(peal_machine_start(s->machine, count_run, s) == 0);
		while (!peal_machine_wait(s->machine, 100))
			thread_assert(rig_now() - start < RIG_PATIENCE_S);
		peal_machine_stop(s->machine);
	}
	if (!index)
		__atomic_store_n(&s->end, true, __ATOMIC_SEQ_CST);
}

static void a_machine_starts_and_stops_under_kicks(void **state)
{
	struct storm s = { 0 };
	struct rig rig;

	(void)state;
	rig_new(&rig, 3);
	s.machine = rig.machine;
	test_threads(2, storm, &s);
	assert_int_equal(s.runs, ROUNDS);
	rig_done(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kick_ends_one_wait),
		cmocka_unit_test(kicks_of_many_threads_are_all_seen),
		cmocka_unit_test(a_kick_before_the_wait_counts),
		cmocka_unit_test(a_machine_starts_and_stops_under_kicks),
	};

	return cmocka_run_group_tests_name("vcpu-threads", tests, NULL, NULL);
}
