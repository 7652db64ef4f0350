/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address spaces: 65535 ranges, in any order, stay fast. What is compared is the thread's CPU time
 * per operation between a small space and a full one: O(log n) makes it a few times more, a list
 * or a tree that degenerates in some order a hundred times and more.
 */
#include <support.h>

#include <time.h>

#define FULL  65535u
#define SMALL 512u
#define WORSE 25.0 /* log 65535 / log 512 is 2; the rest is for caches and noise */

static uint8_t memory[16];

enum order {
	ASCENDING,
	DESCENDING,
	OUTSIDE_IN,
	RANDOM,
	ORDERS
};

/* The INDEXth of COUNT, each once. 32749 is a prime and no factor of COUNT. */
static uint64_t place(enum order order, uint64_t index, uint64_t count)
{
	switch (order) {
	case ASCENDING:
		return index;
	case DESCENDING:
		return count - 1 - index;
	case OUTSIDE_IN:
		return index % 2 ? count - 1 - index / 2 : index / 2;
	default:
		return index * 32749 % count;
	}
}

static double cpu_seconds(void)
{
	struct timespec time;

	assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time), 0);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* Seconds per operation of mapping COUNT ranges, looking each up, and unmapping them. */
static double fill(uint64_t count, enum order order)
{
	const struct peal_space_config config = { .host = peal_host_default() };
	struct peal_space *space;
	double began;

	assert_int_equal(peal_space_new(&space, &config), 0);
	began = cpu_seconds();
	for (uint64_t i = 0; i < count; i++)
		assert_int_equal(peal_space_map(space, place(order, i, count) * 32, 16, memory,
						PEAL_MEM_RW),
				 0);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t size;

		assert_non_null(peal_space_translate(space, i * 32 + 15, PEAL_MEM_RW, &size));
		assert_null(peal_space_translate(space, i * 32 + 16, PEAL_MEM_RW, &size));
	}
	for (uint64_t i = 0; i < count; i++)
		assert_int_equal(peal_space_unmap(space, place(order, i, count) * 32, 16), 0);
	began = cpu_seconds() - began;
	assert_int_equal(peal_space_faults(space), count);
	peal_space_free(space);
	return began / (4.0 * (double)count);
}

static double least(uint64_t count, enum order order, unsigned times)
{
	double best = fill(count, order);

	for (unsigned i = 1; i < times; i++) {
		double again = fill(count, order);

		if (again < best)
			best = again;
	}
	return best;
}

static void full_space_is_as_fast_in_any_order(void **state)
{
	double small = least(SMALL, RANDOM, 9);

	(void)state;
	for (enum order order = ASCENDING; order < ORDERS; order++) {
		double full = fill(FULL, order);

		print_message("# order %u: %.0f ns with %u ranges, %.0f ns with %u\n", order,
			      small * 1e9, SMALL, full * 1e9, FULL);
		assert_true(full < WORSE * small);
	}
}

static void full_space_says_no_and_recovers(void **state)
{
	const struct peal_space_config config = { .host = peal_host_default() };
	struct peal_space *space;

	(void)state;
	assert_int_equal(peal_space_new(&space, &config), 0);
	for (uint64_t i = 0; i < FULL; i++)
		assert_int_equal(peal_space_map(space, i, 1, memory, PEAL_MEM_RW), 0);
	assert_int_equal(peal_space_map(space, FULL, 1, memory, PEAL_MEM_RW), -ENOSPC);
	assert_true(peal_space_is_memory(space, 0, FULL, PEAL_MEM_RW));
	assert_int_equal(peal_space_unmap(space, 12345, 1), 0);
	assert_int_equal(peal_space_map(space, FULL, 1, memory, PEAL_MEM_RW), 0);
	assert_false(peal_space_is_memory(space, 0, FULL, PEAL_MEM_RW));
	peal_space_free(space);
}

static void more_than_the_default_can_be_asked_for(void **state)
{
	const struct peal_space_config config = { .host = peal_host_default(),
						  .max_ranges = UINT64_MAX };
	struct peal_space *space;

	(void)state;
	assert_int_equal(peal_space_new(&space, &config), 0);
	for (uint64_t i = 0; i < FULL + 1000; i++)
		assert_int_equal(peal_space_map(space, i, 1, memory, PEAL_MEM_RW), 0);
	assert_true(peal_space_is_memory(space, 0, FULL + 1000, PEAL_MEM_RW));
	peal_space_free(space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_space_is_as_fast_in_any_order),
		cmocka_unit_test(full_space_says_no_and_recovers),
		cmocka_unit_test(more_than_the_default_can_be_asked_for),
	};

	return cmocka_run_group_tests_name("mem-space-scale", tests, NULL, NULL);
}
