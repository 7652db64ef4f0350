/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address spaces: mapping, unmapping, translating.
 */
#include <support.h>

static uint8_t memory[0x4000];

static int no_read(void *user, uint64_t offset, void *bytes, size_t size)
{
	(void)user;
	(void)offset;
	(void)bytes;
	(void)size;
	return -EIO;
}

static int no_write(void *user, uint64_t offset, const void *bytes, size_t size)
{
	(void)user;
	(void)offset;
	(void)bytes;
	(void)size;
	return -EIO;
}

static const struct peal_mem_ops no_ops = { .read = no_read, .write = no_write };

static struct peal_space *space_new(uint64_t max_ranges)
{
	const struct peal_space_config config = { .host = peal_host_default(),
						  .max_ranges = max_ranges };
	struct peal_space *space;

	assert_int_equal(peal_space_new(&space, &config), 0);
	return space;
}

static void ranges_are_checked(void **state)
{
	static const struct {
		uint64_t address, size;
		int r;
	} ranges[] = {
		{ 0x2000, 0x1000, 0 },
		{ 0x8000, 0, -EINVAL },
		{ 0, 0, -EINVAL },
		{ UINT64_MAX, 2, -EINVAL },
		{ 0x8000, UINT64_MAX, -EINVAL },
		{ UINT64_MAX - 0xfff, 0x1001, -EINVAL },
		{ 0x2000, 0x1000, -EEXIST },
		{ 0x1fff, 2, -EEXIST },
		{ 0x2fff, 1, -EEXIST },
		{ 0x2800, 8, -EEXIST },
		{ 0x1000, 0x4000, -EEXIST },
		{ 0, UINT64_MAX, -EEXIST },
		{ 0x1000, 0x1000, 0 }, /* touches */
		{ 0x3000, 0x1000, 0 },
		{ 0, 1, 0 },
		{ UINT64_MAX - 0xfff, 0x1000, 0 }, /* ends with the space */
		{ UINT64_MAX, 1, -EEXIST },
	};
	struct peal_space *space = space_new(0);

	(void)state;
	for (unsigned i = 0; i < PEAL_COUNT_OF(ranges); i++) {
		assert_int_equal(peal_space_map(space, ranges[i].address, ranges[i].size, memory,
						PEAL_MEM_RW),
				 ranges[i].r);
		/* The same answer for an accessor, now that the good ones are there. */
		assert_int_equal(peal_space_map_ops(space, ranges[i].address, ranges[i].size,
						    &no_ops, NULL),
				 ranges[i].r ? ranges[i].r : -EEXIST);
	}
	peal_space_free(space);
	peal_space_free(NULL);
}

static void unmap_takes_whole_ranges_only(void **state)
{
	struct peal_space *space = space_new(0);

	(void)state;
	assert_int_equal(peal_space_unmap(space, 0x1000, 0x1000), -ENOENT);
	assert_int_equal(peal_space_map(space, 0x1000, 0x1000, memory, PEAL_MEM_RW), 0);
	assert_int_equal(peal_space_map_ops(space, 0x2000, 0x1000, &no_ops, NULL), 0);
	assert_int_equal(peal_space_unmap(space, 0x1000, 0x800), -ENOENT);
	assert_int_equal(peal_space_unmap(space, 0x1000, 0x2000), -ENOENT);
	assert_int_equal(peal_space_unmap(space, 0x1800, 0x800), -ENOENT);
	assert_int_equal(peal_space_unmap(space, 0x800, 0x1800), -ENOENT);
	assert_int_equal(peal_space_unmap(space, 0x1000, 0), -ENOENT);
	assert_int_equal(peal_space_unmap(space, 0x3000, 1), -ENOENT);
	assert_true(peal_space_is_memory(space, 0x1000, 0x1000, PEAL_MEM_RW));
	assert_int_equal(peal_space_unmap(space, 0x1000, 0x1000), 0);
	assert_int_equal(peal_space_unmap(space, 0x1000, 0x1000), -ENOENT);
	assert_false(peal_space_is_memory(space, 0x1000, 1, PEAL_MEM_READ));
	assert_int_equal(peal_space_unmap(space, 0x2000, 0x1000), 0);
	peal_space_sync(space);
	peal_space_free(space);
}

static void range_at_the_top_ends_with_the_space(void **state)
{
	const uint64_t top = UINT64_MAX - 0xfff;
	struct peal_space *space = space_new(0);
	uint64_t size = 0, value = 0;

	(void)state;
	memset(memory, 0, sizeof(memory));
	assert_int_equal(peal_space_map(space, top, 0x1000, memory, PEAL_MEM_RW), 0);
	assert_ptr_equal(peal_space_translate(space, UINT64_MAX, PEAL_MEM_RW, &size),
			 memory + 0xfff);
	assert_int_equal(size, 1);
	assert_ptr_equal(peal_space_translate(space, top, PEAL_MEM_RW, &size), memory);
	assert_int_equal(size, 0x1000);
	assert_true(peal_space_is_memory(space, top, 0x1000, PEAL_MEM_RW));
	assert_int_equal(peal_space_write(space, UINT64_MAX - 7, "12345678", 8), 0);
	assert_int_equal(peal_space_read(space, UINT64_MAX - 7, &value, 8), 0);
	assert_memory_equal(&value, "12345678", 8);
	/* What wraps is not there, whatever is at 0. */
	assert_int_equal(peal_space_map(space, 0, 0x1000, memory + 0x1000, PEAL_MEM_RW), 0);
	assert_int_equal(peal_space_faults(space), 0);
	assert_int_equal(peal_space_read(space, UINT64_MAX - 6, &value, 8), -EFAULT);
	assert_int_equal(peal_space_write(space, UINT64_MAX, &value, 2), -EFAULT);
	assert_int_equal(peal_space_faults(space), 2);
	assert_false(peal_space_is_memory(space, UINT64_MAX, 2, PEAL_MEM_READ));
	assert_false(peal_space_is_memory(space, 1, UINT64_MAX, PEAL_MEM_READ));
	assert_int_equal(peal_space_unmap(space, top, 0x1000), 0);
	peal_space_free(space);
}

static void largest_range_is_all_but_one_byte(void **state)
{
	struct peal_space *space = space_new(0);
	uint64_t size = 0;

	(void)state;
	assert_int_equal(peal_space_map(space, 0, UINT64_MAX, memory, PEAL_MEM_RW), 0);
	assert_ptr_equal(peal_space_translate(space, 5, PEAL_MEM_READ, &size), memory + 5);
	assert_true(size == UINT64_MAX - 5);
	assert_null(peal_space_translate(space, UINT64_MAX, PEAL_MEM_READ, &size));
	assert_int_equal(peal_space_map(space, UINT64_MAX, 1, memory, PEAL_MEM_RW), 0);
	assert_true(peal_space_is_memory(space, 1, UINT64_MAX, PEAL_MEM_RW));
	peal_space_free(space);
}

static void translate_tells_what_is_contiguous(void **state)
{
	struct peal_space *space = space_new(0);
	uint64_t size = 77;

	(void)state;
	assert_int_equal(peal_space_map(space, 0x1000, 0x1000, memory, PEAL_MEM_RW), 0);
	assert_int_equal(peal_space_map(space, 0x2000, 0x1000, memory + 0x1000, PEAL_MEM_READ), 0);
	assert_int_equal(peal_space_map(space, 0x3000, 0x1000, memory + 0x2000, PEAL_MEM_WRITE), 0);
	assert_int_equal(peal_space_map(space, 0x4000, 0x1000, memory + 0x3000, 0), 0);
	assert_int_equal(peal_space_map_ops(space, 0x5000, 0x1000, &no_ops, NULL), 0);

	assert_ptr_equal(peal_space_translate(space, 0x1000, PEAL_MEM_RW, &size), memory);
	assert_int_equal(size, 0x1000);
	assert_ptr_equal(peal_space_translate(space, 0x1ffe, PEAL_MEM_WRITE, &size),
			 memory + 0xffe);
	assert_int_equal(size, 2);
	assert_non_null(peal_space_translate(space, 0x2abc, PEAL_MEM_READ, &size));
	assert_int_equal(size, 0x544);
	assert_non_null(peal_space_translate(space, 0x3abc, PEAL_MEM_WRITE, &size));
	assert_int_equal(peal_space_faults(space), 0);

	size = 77;
	assert_null(peal_space_translate(space, 0xfff, PEAL_MEM_READ, &size));
	assert_null(peal_space_translate(space, 0x6000, PEAL_MEM_READ, &size));
	assert_null(peal_space_translate(space, 0x2000, PEAL_MEM_WRITE, &size));
	assert_null(peal_space_translate(space, 0x2000, PEAL_MEM_RW, &size));
	assert_null(peal_space_translate(space, 0x3000, PEAL_MEM_READ, &size));
	assert_null(peal_space_translate(space, 0x4000, PEAL_MEM_READ, &size));
	assert_null(peal_space_translate(space, 0x4000, PEAL_MEM_WRITE, &size));
	assert_int_equal(peal_space_faults(space), 7);
	/* Not host memory, but there: no fault. */
	assert_null(peal_space_translate(space, 0x5000, PEAL_MEM_READ, &size));
	assert_int_equal(peal_space_faults(space), 7);
	assert_int_equal(size, 77); /* outputs of failures stay */
	peal_space_free(space);
}

static void is_memory_looks_at_every_byte(void **state)
{
	struct peal_space *space = space_new(0);

	(void)state;
	assert_int_equal(peal_space_map(space, 0x1000, 0x1000, memory, PEAL_MEM_RW), 0);
	assert_int_equal(peal_space_map(space, 0x2000, 0x1000, memory, PEAL_MEM_RW), 0);
	assert_int_equal(peal_space_map(space, 0x3000, 0x1000, memory, PEAL_MEM_READ), 0);
	assert_int_equal(peal_space_map_ops(space, 0x4000, 0x1000, &no_ops, NULL), 0);
	assert_true(peal_space_is_memory(space, 0x1000, 0x2000, PEAL_MEM_RW));
	assert_true(peal_space_is_memory(space, 0x1fff, 2, PEAL_MEM_RW));
	assert_true(peal_space_is_memory(space, 0x1000, 0x3000, PEAL_MEM_READ));
	assert_true(peal_space_is_memory(space, 0x9999, 0, PEAL_MEM_RW));
	assert_false(peal_space_is_memory(space, 0x1000, 0x2001, PEAL_MEM_RW));
	assert_false(peal_space_is_memory(space, 0x1000, 0x3000, PEAL_MEM_WRITE));
	assert_false(peal_space_is_memory(space, 0x1000, 0x3001, PEAL_MEM_READ));
	assert_false(peal_space_is_memory(space, 0x4000, 1, PEAL_MEM_READ));
	assert_false(peal_space_is_memory(space, 0xfff, 2, PEAL_MEM_READ));
	assert_false(peal_space_is_memory(space, 0x5000, 1, PEAL_MEM_READ));
	assert_int_equal(peal_space_faults(space), 0); /* a question is no access */
	peal_space_free(space);
}

static void number_of_ranges_is_limited(void **state)
{
	struct peal_space *space = space_new(3);

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(peal_space_map(space, i, 1, memory, PEAL_MEM_RW), 0);
		assert_int_equal(peal_space_map(space, 3, 1, memory, PEAL_MEM_RW), -ENOSPC);
		assert_int_equal(peal_space_map(space, 0, 1, memory, PEAL_MEM_RW), -EEXIST);
		assert_int_equal(peal_space_unmap(space, 1, 1), 0);
		assert_int_equal(peal_space_map(space, 3, 1, memory, PEAL_MEM_RW), 0);
		assert_int_equal(peal_space_unmap(space, 0, 1), 0);
		assert_int_equal(peal_space_unmap(space, 2, 1), 0);
		assert_int_equal(peal_space_unmap(space, 3, 1), 0);
	}
	peal_space_free(space);
}

/* ---- allocation ---- */

static int make_space(const struct peal_host *host, void *user)
{
	const struct peal_space_config config = { .host = host };
	struct peal_space *space = NULL;
	int r = peal_space_new(&space, &config);

	(void)user;
	if (r < 0)
		assert_null(space);
	peal_space_free(space);
	return r;
}

static void new_fails_whole(void **state)
{
	(void)state;
	test_every_allocation(make_space, NULL);
}

/* Every map may be the one that needs memory: without it nothing changes, with it all goes on. */
static void map_without_memory_changes_nothing(void **state)
{
	struct peal_space_config config = { 0 };
	struct peal_space *space;
	struct test_host th;
	unsigned failed = 0;

	(void)state;
	test_host_init(&th);
	config.host = &th.host;
	assert_int_equal(peal_space_new(&space, &config), 0);
	for (uint64_t i = 0; i < 1000; i++) {
		int r;

		test_host_fail_in(&th, 0);
		r = peal_space_map(space, i * 16, 16, memory, PEAL_MEM_RW);
		test_host_fail_never(&th);
		if (r == 0)
			continue;
		assert_int_equal(r, -ENOMEM);
		failed++;
		assert_false(peal_space_is_memory(space, i * 16, 1, PEAL_MEM_READ));
		assert_true(peal_space_is_memory(space, 0, i * 16, PEAL_MEM_RW));
		assert_int_equal(peal_space_map(space, i * 16, 16, memory, PEAL_MEM_RW), 0);
	}
	assert_true(failed >= 2); /* the pool grew a few times, not for every range */
	assert_true(failed <= 10);
	assert_true(peal_space_is_memory(space, 0, 16000, PEAL_MEM_RW));
	peal_space_free(space); /* with all its ranges */
	test_host_done(&th);
}

static void unmapped_ranges_are_used_again(void **state)
{
	struct peal_space_config config = { 0 };
	struct peal_space *space;
	struct test_host th;
	int64_t bytes;

	(void)state;
	test_host_init(&th);
	config.host = &th.host;
	assert_int_equal(peal_space_new(&space, &config), 0);
	assert_int_equal(peal_space_map(space, 0, 16, memory, PEAL_MEM_RW), 0);
	bytes = th.bytes;
	for (uint64_t i = 1; i < 10000; i++) {
		assert_int_equal(peal_space_map(space, i * 16, 16, memory, PEAL_MEM_RW), 0);
		assert_int_equal(peal_space_unmap(space, (i - 1) * 16, 16), 0);
	}
	assert_int_equal(th.bytes, bytes);
	peal_space_free(space);
	test_host_done(&th);
}

/* ---- against an array ---- */

#define PLACES 300u

/* place[i] is the number of the range that covers byte i, 0 for none. */
static void compare(struct peal_space *space, const uint32_t *place)
{
	for (uint64_t i = 0; i < PLACES; i++) {
		uint64_t size = 0, expected = 0;
		const uint8_t *found = peal_space_translate(space, 1000 + i, PEAL_MEM_RW, &size);

		if (!place[i]) {
			assert_null(found);
			continue;
		}
		/* Range n has its first byte at memory + n, so place and length are told apart. */
		while (i + expected < PLACES && place[i + expected] == place[i])
			expected++;
		assert_int_equal(size, expected);
		for (expected = i; expected > 0 && place[expected - 1] == place[i];)
			expected--;
		assert_ptr_equal(found, memory + place[i] + (i - expected));
	}
}

static void any_sequence_equals_an_array(void **state)
{
	struct peal_space *space = space_new(0);
	uint32_t place[PLACES] = { 0 };
	uint64_t random = 3;

	(void)state;
	for (uint32_t step = 1; step <= 3000; step++) {
		uint64_t first = test_random_below(&random, PLACES);
		uint64_t size = 1 + test_random_below(&random, 8);
		bool overlaps = false;

		if (place[first]) {
			uint64_t end = first;

			while (first > 0 && place[first - 1] == place[first])
				first--;
			while (end < PLACES && place[end] == place[first])
				end++;
			assert_int_equal(peal_space_unmap(space, 1000 + first, end - first), 0);
			memset(&place[first], 0, (size_t)(end - first) * sizeof(place[0]));
		} else {
			if (size > PLACES - first)
				size = PLACES - first;
			for (uint64_t i = 0; i < size; i++)
				overlaps |= place[first + i] != 0;
			assert_int_equal(peal_space_map(space, 1000 + first, size, memory + step,
							PEAL_MEM_RW),
					 overlaps ? -EEXIST : 0);
			for (uint64_t i = 0; i < size && !overlaps; i++)
				place[first + i] = step;
		}
		if (step % 10 == 0)
			compare(space, place);
	}
	peal_space_free(space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_are_checked),
		cmocka_unit_test(unmap_takes_whole_ranges_only),
		cmocka_unit_test(range_at_the_top_ends_with_the_space),
		cmocka_unit_test(largest_range_is_all_but_one_byte),
		cmocka_unit_test(translate_tells_what_is_contiguous),
		cmocka_unit_test(is_memory_looks_at_every_byte),
		cmocka_unit_test(number_of_ranges_is_limited),
		cmocka_unit_test(new_fails_whole),
		cmocka_unit_test(map_without_memory_changes_nothing),
		cmocka_unit_test(unmapped_ranges_are_used_again),
		cmocka_unit_test(any_sequence_equals_an_array),
	};

	return cmocka_run_group_tests_name("mem-space", tests, NULL, NULL);
}
