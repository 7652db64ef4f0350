/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address spaces: readers against threads that map and unmap.
 */
#include <support.h>

#include <sched.h>

/* ---- ranges that come and go around readers ---- */

#define READERS 2u
#define MAPPERS 2u
#define RANGES  24u /* of each mapper */
#define ROUNDS  4000u
#define SIZE    64u
#define GONE    0xdddddddddddddddd

/*
 * Places of SIZE bytes: every 4th holds steady memory; the others belong to a mapper each, which
 * maps and unmaps a buffer there. A buffer is full of its own place's address while it is mapped
 * and of GONE when nobody may see it any more.
 */
struct world {
	struct peal_space *space;
	uint64_t steady[4 * RANGES][SIZE / 8];
	uint64_t buffers[MAPPERS][RANGES][SIZE / 8];
	unsigned mappers_left;
	uint64_t hits, misses, faults;
};

static uint64_t place_of(unsigned mapper, unsigned range)
{
	return 0x10000 + SIZE * (4 * range + 1 + mapper);
}

static void fill(uint64_t *words, uint64_t value)
{
	for (unsigned i = 0; i < SIZE / 8; i++)
		words[i] = value;
}

/* Plain stores before mapping and after the sync: a late reader is a data race for TSan. */
static void map_one(struct world *world, unsigned mapper, unsigned range)
{
	uint64_t *buffer = world->buffers[mapper][range];
	uint64_t place = place_of(mapper, range);

	fill(buffer, place);
	thread_assert(peal_space_map(world->space, place, SIZE, buffer, PEAL_MEM_RW) == 0);
	thread_assert(peal_space_map(world->space, place + 8, 8, buffer, PEAL_MEM_RW) == -EEXIST);
}

static void unmap_some(struct world *world, unsigned mapper, unsigned first, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		thread_assert(peal_space_unmap(world->space, place_of(mapper, first + i), SIZE) ==
			      0);
	peal_space_sync(world->space);
	for (unsigned i = 0; i < count; i++)
		fill(world->buffers[mapper][first + i], GONE);
}

static void mapper_run(struct world *world, unsigned mapper)
{
	uint64_t random = mapper;

	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned count = 1 + (unsigned)test_random_below(&random, 4);
		unsigned first = (unsigned)test_random_below(&random, RANGES - count + 1);

		for (unsigned i = 0; i < count; i++)
			map_one(world, mapper, first + i);
		unmap_some(world, mapper, first, count);
	}
	__atomic_sub_fetch(&world->mappers_left, 1, __ATOMIC_RELAXED);
}

static void check_words(const uint64_t *words, unsigned count, uint64_t expected)
{
	for (unsigned i = 0; i < count; i++)
		thread_assert(words[i] == expected);
}

/* A buffer read by copy, or by pointer in a section. 1: it was there. */
static bool read_changing(struct world *world, uint64_t place, uint64_t random)
{
	uint64_t words[SIZE / 8], size = 0;
	uint64_t *pointer;
	unsigned token;

	if (random & 1) {
		int r = peal_space_read(world->space, place, words, sizeof(words));

		thread_assert(r == 0 || r == -EFAULT);
		if (r == 0)
			check_words(words, SIZE / 8, place);
		return r == 0;
	}
	token = peal_space_enter(world->space);
	pointer = peal_space_translate(world->space, place + 16, PEAL_MEM_READ, &size);
	if (pointer) {
		thread_assert(size == SIZE - 16);
		check_words(pointer, SIZE / 8 - 2, place);
	}
	peal_space_leave(world->space, token);
	return pointer != NULL;
}

static void reader_run(struct world *world, unsigned reader)
{
	uint64_t random = 1000 + reader, hits = 0, misses = 0;
	uint64_t steady;

	do {
		for (unsigned range = 0; range < RANGES; range++) {
			uint64_t turn = test_random(&random);
			unsigned mapper = (unsigned)(turn >> 8) % MAPPERS;

			/* Always there, whatever happens to the trees. */
			thread_assert(peal_space_read(world->space, 0x10000 + 4 * SIZE * range,
						      &steady, 8) == 0);
			thread_assert(steady == range);
			if (read_changing(world, place_of(mapper, range), turn))
				hits++;
			else
				misses++;
		}
		sched_yield();
	} while (__atomic_load_n(&world->mappers_left, __ATOMIC_RELAXED));
	peal_count(&world->hits, hits);
	peal_count(&world->misses, misses);
}

static void world_run(void *user, unsigned index)
{
	struct world *world = user;

	if (index < MAPPERS)
		mapper_run(world, index);
	else
		reader_run(world, index - MAPPERS);
}

static void readers_see_a_range_whole_or_not_at_all(void **state)
{
	const struct peal_space_config config = { .host = peal_host_default() };
	struct world *world = calloc(1, sizeof(*world));

	(void)state;
	assert_non_null(world);
	world->mappers_left = MAPPERS;
	assert_int_equal(peal_space_new(&world->space, &config), 0);
	for (unsigned i = 0; i < RANGES; i++) {
		fill(world->steady[i], i);
		assert_int_equal(peal_space_map(world->space, 0x10000 + 4 * SIZE * i, SIZE,
						world->steady[i], PEAL_MEM_READ),
				 0);
	}
	test_threads(MAPPERS + READERS, world_run, world);
	assert_true(world->hits + world->misses >= READERS * RANGES);
	assert_int_equal(peal_space_faults(world->space), world->misses);
	/* All that came went. */
	for (unsigned i = 0; i < RANGES; i++) {
		for (unsigned mapper = 0; mapper < MAPPERS; mapper++)
			assert_false(peal_space_is_memory(world->space, place_of(mapper, i), 1, 0));
	}
	peal_space_free(world->space);
	free(world);
}

/* ---- threads that map beside each other ---- */

#define CROWD 4u
#define EACH  300u

static void crowd_run(void *user, unsigned index)
{
	static uint8_t memory[16];
	struct peal_space *space = user;

	for (unsigned i = 0; i < EACH; i++)
		thread_assert(peal_space_map(space, 16 * (i * CROWD + index), 16, memory,
					     PEAL_MEM_RW) == 0);
	/* Every third goes again. */
	for (unsigned i = 0; i < EACH; i += 3)
		thread_assert(peal_space_unmap(space, 16 * (i * CROWD + index), 16) == 0);
}

static void mappers_do_not_lose_ranges(void **state)
{
	struct peal_space_config config = { .max_ranges = CROWD * EACH };
	struct peal_space *space;
	struct test_host th;

	(void)state;
	test_host_init(&th);
	config.host = &th.host;
	assert_int_equal(peal_space_new(&space, &config), 0);
	test_threads(CROWD, crowd_run, space);
	for (unsigned i = 0; i < CROWD * EACH; i++)
		assert_int_equal(peal_space_is_memory(space, 16 * i, 16, PEAL_MEM_RW),
				 i / CROWD % 3 != 0);
	peal_space_free(space);
	test_host_done(&th);
}

/* Only one of those that want the same place gets it. */
struct race {
	struct peal_space *space;
	uint64_t mapped, unmapped;
};

static void race_run(void *user, unsigned index)
{
	static uint8_t memory[16];
	struct race *race = user;

	for (unsigned i = 0; i < 3000; i++) {
		/* Different ranges that share the byte at 0x1008. */
		uint64_t address = 0x1000 + index;
		int r = peal_space_map(race->space, address, 16, memory, PEAL_MEM_RW);

		thread_assert(r == 0 || r == -EEXIST);
		if (r == 0) {
			peal_count(&race->mapped, 1);
			thread_assert(peal_space_is_memory(race->space, 0x1008, 1, PEAL_MEM_RW));
			thread_assert(peal_space_unmap(race->space, address, 16) == 0);
			peal_count(&race->unmapped, 1);
		}
	}
}

static void one_of_many_gets_the_place(void **state)
{
	const struct peal_space_config config = { .host = peal_host_default(), .max_ranges = 1 };
	struct race race = { 0 };

	(void)state;
	assert_int_equal(peal_space_new(&race.space, &config), 0);
	test_threads(4, race_run, &race);
	assert_true(race.mapped > 0);
	assert_int_equal(race.mapped, race.unmapped);
	assert_false(peal_space_is_memory(race.space, 0x1008, 1, PEAL_MEM_RW));
	peal_space_free(race.space);
}

/* ---- accessors that are taken away while they are called ---- */

struct gadget {
	uint64_t alive; /* plain: nobody may be in it when it is changed */
	uint64_t calls;
};

struct workshop {
	struct peal_space *space;
	bool stop;
	uint64_t answered;
};

static int gadget_read(void *user, uint64_t offset, void *bytes, size_t size)
{
	struct gadget *gadget = user;

	thread_assert(gadget->alive == 1 && offset == 8 && size == 4);
	peal_count(&gadget->calls, 1);
	memset(bytes, 0x5a, size);
	return 0;
}

static int gadget_write(void *user, uint64_t offset, const void *bytes, size_t size)
{
	(void)user;
	(void)offset;
	(void)bytes;
	(void)size;
	return -EIO;
}

static void workshop_run(void *user, unsigned index)
{
	static const struct peal_mem_ops ops = { .read = gadget_read, .write = gadget_write };
	struct workshop *workshop = user;
	uint64_t calls = 0;

	if (index > 0) {
		uint64_t answered = 0;

		do {
			uint32_t value = 0;
			int r = peal_space_read(workshop->space, 0x1008, &value, 4);

			thread_assert(r == -EFAULT || (r == 0 && value == 0x5a5a5a5a));
			answered += r == 0;
			sched_yield();
		} while (!__atomic_load_n(&workshop->stop, __ATOMIC_RELAXED));
		peal_count(&workshop->answered, answered);
		return;
	}
	for (unsigned i = 0; i < 2000; i++) {
		struct gadget *gadget = calloc(1, sizeof(*gadget));

		thread_assert(gadget);
		gadget->alive = 1;
		thread_assert(peal_space_map_ops(workshop->space, 0x1000, 0x10, &ops, gadget) == 0);
		sched_yield();
		thread_assert(peal_space_unmap(workshop->space, 0x1000, 0x10) == 0);
		peal_space_sync(workshop->space);
		gadget->alive = 0;
		calls += gadget->calls;
		free(gadget);
	}
	__atomic_store_n(&workshop->stop, true, __ATOMIC_RELAXED);
	/* Taken off again by the test: each call is one answer. */
	peal_count(&workshop->answered, 0 - calls);
}

static void accessor_is_not_called_after_sync(void **state)
{
	const struct peal_space_config config = { .host = peal_host_default() };
	struct workshop workshop = { 0 };

	(void)state;
	assert_int_equal(peal_space_new(&workshop.space, &config), 0);
	test_threads(3, workshop_run, &workshop);
	assert_int_equal(workshop.answered,
			 0); /* every call was answered, no answer without call */
	peal_space_free(workshop.space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readers_see_a_range_whole_or_not_at_all),
		cmocka_unit_test(mappers_do_not_lose_ranges),
		cmocka_unit_test(one_of_many_gets_the_place),
		cmocka_unit_test(accessor_is_not_called_after_sync),
	};

	return cmocka_run_group_tests_name("mem-space-threads", tests, NULL, NULL);
}
