/* SPDX-License-Identifier: BSD-2-Clause */
/* The rounds that a bell rings by itself, and ringing from several threads. */
#include <sched.h>

#include "rig.h"

#define RINGS 20000u

static struct rig rig;

static void start(uint32_t first, uint32_t count, uint32_t rounds, uint32_t period)
{
	rig_write(&rig, PEAL_BELL_FIRST, first);
	rig_write(&rig, PEAL_BELL_COUNT, count);
	rig_write(&rig, PEAL_BELL_ROUNDS, rounds);
	rig_write(&rig, PEAL_BELL_PERIOD, period);
	rig_write(&rig, PEAL_BELL_CONTROL, 1);
}

static void wait_until_idle(void)
{
	while (rig_read(&rig, PEAL_BELL_BUSY))
		(void)sched_yield();
}

static void a_burst_rings_every_vector_of_it_in_every_round(void **state)
{
	(void)state;
	rig_open(&rig, 64);
	rig_enable_msix(&rig, 64);
	start(8, 40, 1000, 0);
	wait_until_idle();
	for (unsigned v = 0; v < 64; v++)
		assert_int_equal(rig_messages(&rig, v), v >= 8 && v < 48 ? 1000 : 0);
	assert_int_equal(rig_read(&rig, PEAL_BELL_LEFT), 0);
	rig_close(&rig);
}

static void vectors_past_the_last_are_left_out(void **state)
{
	(void)state;
	rig_open(&rig, 4);
	rig_enable_msix(&rig, 4);
	start(2, UINT32_MAX, 3, 0);
	wait_until_idle();
	start(UINT32_MAX, 8, 3, 0);
	wait_until_idle();
	assert_int_equal(rig_read(&rig, PEAL_BELL_RINGS), 6);
	assert_int_equal(rig_messages(&rig, 2), 3);
	assert_int_equal(rig_messages(&rig, 3), 3);
	rig_close(&rig);
}

static void a_period_lies_between_two_rounds(void **state)
{
	struct timespec begin, end;
	int64_t us;

	(void)state;
	rig_open(&rig, 1);
	rig_enable_msix(&rig, 1);
	(void)clock_gettime(CLOCK_MONOTONIC, &begin);
	start(0, 1, 11, 2000);
	wait_until_idle();
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	us = (end.tv_sec - begin.tv_sec) * 1000000 + (end.tv_nsec - begin.tv_nsec) / 1000;
	/* Ten periods; how much longer it takes is the machine's matter. */
	assert_true(us >= 20000);
	assert_int_equal(rig_messages(&rig, 0), 11);
	rig_close(&rig);
}

static void nothing_rings_after_it_was_stopped(void **state)
{
	(void)state;
	rig_open(&rig, 2);
	rig_enable_msix(&rig, 2);
	for (unsigned i = 0; i < 200; i++) {
		uint64_t rings;

		start(0, 2, PEAL_BELL_ENDLESS, i % 2);
		assert_int_equal(rig_read(&rig, PEAL_BELL_LEFT), PEAL_BELL_ENDLESS);
		while (i % 8 == 0 && rig_read(&rig, PEAL_BELL_RINGS) < 2 * i)
			(void)sched_yield();
		rig_write(&rig, PEAL_BELL_CONTROL, 0);
		rings = rig_messages(&rig, 0) + rig_messages(&rig, 1);
		assert_int_equal(rig_read(&rig, PEAL_BELL_BUSY), 0);
		for (unsigned n = 0; n < 20; n++)
			(void)sched_yield();
		assert_int_equal(rig_messages(&rig, 0) + rig_messages(&rig, 1), rings);
		assert_int_equal(rig_read(&rig, PEAL_BELL_RINGS), rings);
	}
	rig_close(&rig);
}

static void a_new_start_replaces_the_old_one(void **state)
{
	(void)state;
	rig_open(&rig, 8);
	rig_enable_msix(&rig, 8);
	start(0, 4, PEAL_BELL_ENDLESS, 0);
	start(4, 4, 50, 0);
	wait_until_idle();
	for (unsigned v = 4; v < 8; v++)
		assert_int_equal(rig_messages(&rig, v), 50);
	rig_close(&rig);
}

static void ring_start_or_stop(void *user, unsigned index)
{
	(void)user;
	for (unsigned i = 0; i < RINGS; i++) {
		if (index < 2)
			rig_write(&rig, PEAL_BELL_RING_EACH + 4 * (i % 16), 1);
		else if (i % 64 == 0)
			rig_write(&rig, PEAL_BELL_CONTROL, i / 64 % 2);
	}
}

/* Every ring is a message: none is lost or doubled among doorbells, rounds, starts and stops. */
static void rings_and_messages_are_as_many(void **state)
{
	uint64_t messages = 0;

	(void)state;
	rig_open(&rig, 16);
	rig_enable_msix(&rig, 16);
	rig_write(&rig, PEAL_BELL_COUNT, 16);
	rig_write(&rig, PEAL_BELL_ROUNDS, 10);
	test_threads(4, ring_start_or_stop, NULL);
	rig_write(&rig, PEAL_BELL_CONTROL, 0);
	for (unsigned v = 0; v < 16; v++) {
		assert_int_equal(rig_messages(&rig, v), peal_bell_rings(rig.bell, v));
		messages += rig_messages(&rig, v);
	}
	assert_int_equal(rig_read(&rig, PEAL_BELL_RINGS), messages);
	assert_true(messages >= 2 * RINGS);
	rig_close(&rig);
}

static void it_can_be_reset_and_freed_while_it_rings(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		rig_open(&rig, 4);
		rig_enable_msix(&rig, 4);
		start(0, 4, PEAL_BELL_ENDLESS, i % 3);
		if (i & 1) {
			peal_pci_function_reset(rig.function);
			assert_int_equal(rig_read(&rig, PEAL_BELL_RINGS), 0);
		}
		rig_close(&rig);
	}
}

#define RESETS 3000u

struct resets {
	uint32_t round; /* that may begin */
	uint32_t begun;
	uint32_t done;
};

static void reset_or_start(void *user, unsigned index)
{
	struct resets *r = user;

	for (uint32_t i = 1; i <= RESETS; i++) {
		if (index) {
			while (__atomic_load_n(&r->round, __ATOMIC_ACQUIRE) != i)
				(void)sched_yield();
			__atomic_store_n(&r->begun, i, __ATOMIC_RELEASE);
			rig_write(&rig, PEAL_BELL_CONTROL, 1);
			__atomic_store_n(&r->done, i, __ATOMIC_RELEASE);
			continue;
		}
		start(0, 1, PEAL_BELL_ENDLESS, 1000000);
		__atomic_store_n(&r->round, i, __ATOMIC_RELEASE);
		while (i % 2 && __atomic_load_n(&r->begun, __ATOMIC_ACQUIRE) != i)
			;
		peal_pci_function_reset(rig.function);
		while (__atomic_load_n(&r->done, __ATOMIC_ACQUIRE) != i)
			(void)sched_yield();
		/* Before the reset or behind it: there is nothing to run by these registers. */
		thread_assert(rig_read(&rig, PEAL_BELL_ROUNDS) == 0);
		thread_assert(rig_read(&rig, PEAL_BELL_BUSY) == 0);
	}
}

static void no_start_comes_between_the_parts_of_a_reset(void **state)
{
	struct resets r = { 0 };

	(void)state;
	rig_open(&rig, 1);
	test_threads(2, reset_or_start, &r);
	rig_close(&rig);
}

/* Stopped while it waits for its next round, it waits afterwards. */
static void a_period_that_is_cut_begins_anew(void **state)
{
	const struct peal_pci_state_ops *ops;
	void *user;

	(void)state;
	rig_open(&rig, 1);
	ops = peal_pci_function_device_ops(rig.function, &user)->state;
	rig_enable_msix(&rig, 1);
	start(0, 1, 2, 1000000000);
	while (rig_messages(&rig, 0) < 1)
		(void)sched_yield();
	for (unsigned i = 0; i < 100; i++) {
		for (unsigned n = 0; n < 20; n++)
			(void)sched_yield();
		ops->stop(user, true);
		ops->stop(user, false);
	}
	assert_int_equal(rig_read(&rig, PEAL_BELL_LEFT), 1);
	assert_int_equal(rig_messages(&rig, 0), 1);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_rings_every_vector_of_it_in_every_round),
		cmocka_unit_test(vectors_past_the_last_are_left_out),
		cmocka_unit_test(a_period_lies_between_two_rounds),
		cmocka_unit_test(nothing_rings_after_it_was_stopped),
		cmocka_unit_test(a_new_start_replaces_the_old_one),
		cmocka_unit_test(rings_and_messages_are_as_many),
		cmocka_unit_test(no_start_comes_between_the_parts_of_a_reset),
		cmocka_unit_test(a_period_that_is_cut_begins_anew),
		cmocka_unit_test(it_can_be_reset_and_freed_while_it_rings),
	};

	return cmocka_run_group_tests_name("bell: rounds", tests, NULL, NULL);
}
