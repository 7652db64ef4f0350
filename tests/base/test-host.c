/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host of a POSIX program, and the helpers of peal/base.h over a host.
 */
#include <support.h>

/* The sanitizers' allocators end the program instead of saying no, unless they are told. */
PEAL_PUBLIC const char *__asan_default_options(void);
PEAL_PUBLIC const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static void allocations_are_zeroed_and_aligned(void **state)
{
	const struct peal_host *host = peal_host_default();

	(void)state;
	/* Twice, so that the second round may get back what the first one made dirty. */
	for (unsigned round = 0; round < 2; round++) {
		for (size_t size = 1; size < 5000; size = size * 3 + 1) {
			uint8_t *bytes = peal_alloc(host, size);

			assert_non_null(bytes);
			assert_int_equal((uintptr_t)bytes % PEAL_CACHE_LINE, 0);
			for (size_t i = 0; i < size; i++)
				assert_int_equal(bytes[i], 0);
			memset(bytes, 0xa5, size);
			peal_free(host, bytes, size);
		}
	}
}

static void impossible_allocation_is_null(void **state)
{
	(void)state;
	assert_null(peal_alloc(peal_host_default(), SIZE_MAX / 2));
}

static void allocation_of_nothing_is_something(void **state)
{
	const struct peal_host *host = peal_host_default();
	void *pointer = peal_alloc(host, 0);

	(void)state;
	assert_non_null(pointer);
	peal_free(host, pointer, 0);
}

static void free_takes_null(void **state)
{
	struct test_host th;

	(void)state;
	test_host_init(&th);
	peal_free(&th.host, NULL, 10); /* would abort in the test host */
	test_host_done(&th);
}

struct counting {
	struct peal_mutex mutex;
	uint64_t guarded;
	uint64_t atomic;
};

static void count_both(void *user, unsigned index)
{
	struct counting *counting = user;

	(void)index;
	for (unsigned i = 0; i < 5000; i++) {
		peal_mutex_lock(&counting->mutex);
		counting->guarded++;
		peal_mutex_unlock(&counting->mutex);
		peal_count(&counting->atomic, 3);
	}
}

static void mutex_excludes_and_counters_lose_nothing(void **state)
{
	struct counting counting = { 0 };

	(void)state;
	assert_int_equal(peal_mutex_init(&counting.mutex, peal_host_default()), 0);
	test_threads(4, count_both, &counting);
	assert_int_equal(counting.guarded, 4 * 5000);
	assert_int_equal(peal_counted(&counting.atomic), 4 * 5000 * 3);
	peal_mutex_done(&counting.mutex);
}

static int make_mutex(const struct peal_host *host, void *user)
{
	struct peal_mutex mutex = { 0 };
	int r = peal_mutex_init(&mutex, host);

	(void)user;
	peal_mutex_done(&mutex);
	return r;
}

static void mutex_that_was_never_made_can_be_done(void **state)
{
	struct peal_mutex mutex = { 0 };

	(void)state;
	peal_mutex_done(&mutex);
	assert_int_equal(test_every_allocation(make_mutex, NULL), 1);
}

static void relax_returns(void **state)
{
	const struct peal_host *host = peal_host_default();

	(void)state;
	host->relax(host->user);
	assert_ptr_equal(host, peal_host_default());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allocations_are_zeroed_and_aligned),
		cmocka_unit_test(impossible_allocation_is_null),
		cmocka_unit_test(allocation_of_nothing_is_something),
		cmocka_unit_test(free_takes_null),
		cmocka_unit_test(mutex_excludes_and_counters_lose_nothing),
		cmocka_unit_test(mutex_that_was_never_made_can_be_done),
		cmocka_unit_test(relax_returns),
	};

	return cmocka_run_group_tests_name("base-host", tests, NULL, NULL);
}
