/* SPDX-License-Identifier: BSD-2-Clause */
/* The log of DMA with many who write beside who reports, starts and stops. */
#include <sched.h>

#include "logged.h"

#define WRITERS 3u
#define WORDS   4096u /* of memory, 8 pages */
#define WRITES  3000u
#define ROUNDS  30u

struct race {
	struct rig rig;
	uint64_t memory[WORDS];
	uint64_t copy[WORDS]; /* what who migrates has */
	uint32_t writers;
};

/* Each writer counts up words of its own, all over the pages. */
static void write_words(struct race *race, unsigned index)
{
	uint64_t random = index + 1;

	for (uint64_t value = 1; value <= WRITES; value++) {
		uint64_t word = test_random_below(&random, WORDS / WRITERS) * WRITERS + index, size;
		unsigned token = peal_space_enter(race->rig.space);
		uint64_t *at =
			peal_space_translate(race->rig.space, 8 * word, PEAL_MEM_WRITE, &size);

		thread_assert(at);
		__atomic_store_n(at, value, __ATOMIC_RELAXED);
		peal_space_dirty(race->rig.space, 8 * word, 8);
		peal_space_leave(race->rig.space, token);
	}
	(void)__atomic_fetch_sub(&race->writers, 1, __ATOMIC_SEQ_CST);
}

static void copy_page(struct race *race, unsigned page)
{
	for (unsigned i = 512 * page; i < 512 * (page + 1); i++)
		race->copy[i] = __atomic_load_n(&race->memory[i], __ATOMIC_RELAXED);
}

static void copy_dirty(struct race *race)
{
	const struct peal_vfio_range range = { 0, sizeof(race->memory) };
	uint64_t bits = 0;

	thread_assert(vfio_dma_log_report(&race->rig.log, &range, PAGE, &bits) == 0);
	for (unsigned page = 0; page < WORDS / 512; page++) {
		if (bits >> page & 1)
			copy_page(race, page);
	}
}

static void write_or_migrate(void *user, unsigned index)
{
	struct race *race = user;
	uint64_t page_size = PAGE;

	if (index < WRITERS) {
		write_words(race, index);
		return;
	}
	thread_assert(vfio_dma_log_start(&race->rig.log, &page_size, NULL, 0) == 0);
	for (unsigned page = 0; page < WORDS / 512; page++)
		copy_page(race, page);
	while (__atomic_load_n(&race->writers, __ATOMIC_SEQ_CST))
		copy_dirty(race);
	copy_dirty(race);
	thread_assert(vfio_dma_log_stop(&race->rig.log) == 0);
}

static void a_copy_by_the_log_misses_nothing(void **state)
{
	struct race *race = calloc(1, sizeof(*race));

	(void)state;
	assert_non_null(race);
	for (unsigned round = 0; round < ROUNDS; round++) {
		rig_init(&race->rig);
		assert_int_equal(peal_space_map(race->rig.space, 0, sizeof(race->memory),
						race->memory, PEAL_MEM_RW),
				 0);
		race->writers = WRITERS;
		test_threads(WRITERS + 1, write_or_migrate, race);
		assert_memory_equal(race->copy, race->memory, sizeof(race->memory));
		rig_done(&race->rig);
	}
	free(race);
}

/* On and off beside writes: nobody uses a log that is gone. */
static void switch_on_and_off(void *user, unsigned index)
{
	struct race *race = user;
	uint64_t page_size = PAGE;

	if (index < WRITERS) {
		write_words(race, index);
		return;
	}
	while (__atomic_load_n(&race->writers, __ATOMIC_SEQ_CST)) {
		thread_assert(vfio_dma_log_start(&race->rig.log, &page_size, NULL, 0) == 0);
		thread_assert(vfio_dma_log_stop(&race->rig.log) == 0);
	}
}

static void log_can_go_while_it_is_written(void **state)
{
	struct race *race = calloc(1, sizeof(*race));

	(void)state;
	assert_non_null(race);
	rig_init(&race->rig);
	assert_int_equal(peal_space_map(race->rig.space, 0, sizeof(race->memory), race->memory,
					PEAL_MEM_RW),
			 0);
	race->writers = WRITERS;
	test_threads(WRITERS + 1, switch_on_and_off, race);
	rig_done(&race->rig);
	free(race);
}

/* ---- who is in a write when the log comes or goes ---- */

struct held {
	struct rig rig;
	bool stops;
	uint32_t inside;
	uint32_t returned;
};

static void held_run(void *user, unsigned index)
{
	struct held *held = user;
	uint64_t page_size = PAGE;
	unsigned token;

	if (index) {
		while (!__atomic_load_n(&held->inside, __ATOMIC_ACQUIRE))
			sched_yield();
		thread_assert((held->stops ? vfio_dma_log_stop(&held->rig.log)
					   : vfio_dma_log_start(&held->rig.log, &page_size, NULL,
								0)) == 0);
		__atomic_store_n(&held->returned, 1, __ATOMIC_RELEASE);
		return;
	}
	token = peal_space_enter(held->rig.space);
	__atomic_store_n(&held->inside, 1, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < 1000; i++)
		sched_yield();
	thread_assert(!__atomic_load_n(&held->returned, __ATOMIC_ACQUIRE));
	peal_space_leave(held->rig.space, token);
}

/* It may have found no log, or use the one that goes. */
static void start_and_stop_wait_for_who_writes(void **state)
{
	(void)state;
	for (unsigned stops = 0; stops < 2; stops++) {
		struct held held = { .stops = stops };

		rig_init(&held.rig);
		if (stops)
			rig_start(&held.rig, PAGE);
		test_threads(2, held_run, &held);
		rig_done(&held.rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_copy_by_the_log_misses_nothing),
		cmocka_unit_test(start_and_stop_wait_for_who_writes),
		cmocka_unit_test(log_can_go_while_it_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
