/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two trees of a space from the inside: after any sequence of changes both are search trees
 * and heaps of the same ranges with the same shape, and no path is long. A count of nodes, so it
 * says the same on a slow machine.
 */
#include <support.h>

#include "../../src/mem/space.c"

static uint8_t memory[16];

struct walk {
	const struct peal_space *space;
	uint64_t count;
	uint64_t last; /* of the range before */
	bool any;
	unsigned deepest;
};

/* In order; INDEX stands in both trees at the same place, DEPTH below the root. */
static void walk_trees(struct walk *walk, uint32_t index, uint32_t other, unsigned depth)
{
	const struct node *node;

	assert_int_equal(index, other);
	if (index == NONE)
		return;
	assert_true(depth < 1000);
	node = node_at(walk->space, index);
	for (unsigned side = LEFT; side <= RIGHT; side++) {
		uint32_t below = node->links[0][side];

		if (below != NONE)
			assert_true(node_at(walk->space, below)->priority <= node->priority);
		if (side == RIGHT) {
			assert_true(node->first <= node->last);
			assert_true(!walk->any || node->first > walk->last);
			walk->any = true;
			walk->last = node->last;
			walk->count++;
			if (depth + 1 > walk->deepest)
				walk->deepest = depth + 1;
		}
		walk_trees(walk, below, node->links[1][side], depth + 1);
	}
}

/* Returns the length of the longest path. */
static unsigned check_trees(const struct peal_space *space, uint64_t count)
{
	struct walk walk = { .space = space };

	walk_trees(&walk, space->roots[0], space->roots[1], 0);
	assert_int_equal(walk.count, count);
	assert_int_equal(space->nranges, count);
	assert_int_equal(space->sequence % 2, 0);
	return walk.deepest;
}

/*
 * Of a random search tree with n nodes the longest path is about 4.3 ln n (Devroye 1986): 48 for
 * 65535. That it is twice as long does not happen.
 */
#define DEEPEST 96u

static struct peal_space *space_new(void)
{
	const struct peal_space_config config = { .host = peal_host_default() };
	struct peal_space *space;

	assert_int_equal(peal_space_new(&space, &config), 0);
	return space;
}

static void map_at(struct peal_space *space, uint64_t place)
{
	assert_int_equal(peal_space_map(space, place * 32, 16, memory, PEAL_MEM_RW), 0);
}

static void unmap_at(struct peal_space *space, uint64_t place)
{
	assert_int_equal(peal_space_unmap(space, place * 32, 16), 0);
}

static void paths_stay_short_in_any_order(void **state)
{
	(void)state;
	for (unsigned order = 0; order < 4; order++) {
		struct peal_space *space = space_new();

		for (uint64_t i = 0; i < MAX_RANGES; i++) {
			const uint64_t places[4] = { i, MAX_RANGES - 1 - i,
						     i % 2 ? MAX_RANGES - 1 - i / 2 : i / 2,
						     i * 32749 % MAX_RANGES };

			map_at(space, places[order]);
		}
		assert_true(check_trees(space, MAX_RANGES) <= DEEPEST);
		peal_space_free(space);
	}
}

static void paths_stay_short_after_much_churn(void **state)
{
	struct peal_space *space = space_new();
	uint64_t random = 17;

	(void)state;
	for (uint64_t i = 0; i < 4096; i++)
		map_at(space, i);
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t place = test_random_below(&random, 4096);

		unmap_at(space, place);
		map_at(space, place);
	}
	assert_true(check_trees(space, 4096) <= DEEPEST);
	/* The window moves up: always the lowest out, a new highest in. */
	for (uint64_t i = 0; i < 100000; i++) {
		unmap_at(space, i);
		map_at(space, i + 4096);
	}
	assert_true(check_trees(space, 4096) <= DEEPEST);
	peal_space_free(space);
}

static void both_trees_are_equal_after_each_change(void **state)
{
	struct peal_space *space = space_new();
	bool there[40] = { false };
	uint64_t random = 23, count = 0;

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		uint64_t place = test_random_below(&random, PEAL_COUNT_OF(there));

		if (there[place]) {
			unmap_at(space, place);
			count--;
		} else {
			map_at(space, place);
			count++;
		}
		there[place] = !there[place];
		(void)check_trees(space, count);
	}
	peal_space_free(space);
}

static void every_index_has_a_place_of_its_own(void **state)
{
	uint32_t expected = 0, in_chunk;
	unsigned chunk = 0;

	(void)state;
	for (uint32_t index = 1; index < 100000; index++) {
		assert_int_equal(chunk_of(index, &in_chunk), chunk);
		assert_int_equal(in_chunk, expected);
		if (++expected == FIRST_CHUNK << chunk) {
			expected = 0;
			chunk++;
		}
	}
	/* The last index that there is a chunk for, and the first without. */
	assert_int_equal(chunk_of(FIRST_CHUNK * ((1u << CHUNKS) - 1), &in_chunk), CHUNKS - 1);
	assert_int_equal(in_chunk, (FIRST_CHUNK << (CHUNKS - 1)) - 1);
	assert_int_equal(chunk_of(FIRST_CHUNK * ((1u << CHUNKS) - 1) + 1, &in_chunk), CHUNKS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_stay_short_in_any_order),
		cmocka_unit_test(paths_stay_short_after_much_churn),
		cmocka_unit_test(both_trees_are_equal_after_each_change),
		cmocka_unit_test(every_index_has_a_place_of_its_own),
	};

	return cmocka_run_group_tests_name("mem-space-trees", tests, NULL, NULL);
}
