/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests share: a host whose nth allocation fails and that knows what is still allocated,
 * a sink that counts, a space with RAM in it, threads that start together, repeatable random
 * numbers.
 *
 * cmocka's assertions leave the test with longjmp, so threads other than the test's own use
 * thread_assert(), which aborts.
 */
#ifndef PEAL_TESTS_SUPPORT_H
#define PEAL_TESTS_SUPPORT_H

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <peal/base.h>
#include <peal/bits.h>
#include <peal/irq.h>
#include <peal/mem.h>

#define thread_assert(condition) \
	((condition) ? (void)0   \
		     : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition), abort()))

/* ---- a host that can run out ---- */

/*
 * Give &th.host to what is tested. Every alloc and mutex_new is one point of failure; they are
 * counted from 0 and the one with number FAIL_AT answers no (-1: none). A free of something else
 * than what is allocated, or with another size, aborts.
 */
struct test_host {
	struct peal_host host;
	int64_t fail_at;
	int64_t points; /* asked for so far */
	int64_t live;   /* allocations and mutexes that are not freed */
	int64_t bytes;  /* allocated now */
};

struct test_allocation {
	uint64_t magic;
	size_t size;
	uint8_t unused[PEAL_CACHE_LINE - sizeof(uint64_t) - sizeof(size_t)];
};

#define TEST_ALLOCATED UINT64_C(0x616c6c6f63617465)

static inline bool test_host_refuses(struct test_host *th)
{
	return __atomic_fetch_add(&th->points, 1, __ATOMIC_RELAXED) == th->fail_at;
}

static inline void *test_host_alloc(void *user, size_t size)
{
	struct test_host *th = (struct test_host *)user;
	struct test_allocation *head;

	if (test_host_refuses(th))
		return NULL;
	head = (struct test_allocation *)aligned_alloc(
		PEAL_CACHE_LINE,
		(sizeof(*head) + size + PEAL_CACHE_LINE - 1) / PEAL_CACHE_LINE * PEAL_CACHE_LINE);
	thread_assert(head);
	memset(head, 0, sizeof(*head) + size);
	head->magic = TEST_ALLOCATED;
	head->size = size;
	(void)__atomic_fetch_add(&th->live, 1, __ATOMIC_RELAXED);
	(void)__atomic_fetch_add(&th->bytes, (int64_t)size, __ATOMIC_RELAXED);
	return head + 1;
}

/* What is freed is overwritten first: who still reads it gets caught without a sanitizer too. */
static inline void test_host_free(void *user, void *pointer, size_t size)
{
	struct test_host *th = (struct test_host *)user;
	struct test_allocation *head = (struct test_allocation *)pointer - 1;

	thread_assert(head->magic == TEST_ALLOCATED);
	thread_assert(head->size == size);
	memset(head, 0xdd, sizeof(*head) + size);
	free(head);
	(void)__atomic_fetch_sub(&th->live, 1, __ATOMIC_RELAXED);
	(void)__atomic_fetch_sub(&th->bytes, (int64_t)size, __ATOMIC_RELAXED);
}

static inline int test_host_mutex_new(void *user, void **ret)
{
	struct test_host *th = (struct test_host *)user;
	const struct peal_host *host = peal_host_default();
	int r;

	if (test_host_refuses(th))
		return -ENOMEM;
	r = host->mutex_new(host->user, ret);
	thread_assert(r == 0);
	(void)__atomic_fetch_add(&th->live, 1, __ATOMIC_RELAXED);
	return 0;
}

static inline void test_host_mutex_free(void *user, void *mutex)
{
	struct test_host *th = (struct test_host *)user;
	const struct peal_host *host = peal_host_default();

	host->mutex_free(host->user, mutex);
	(void)__atomic_fetch_sub(&th->live, 1, __ATOMIC_RELAXED);
}

static inline void test_host_init(struct test_host *th)
{
	memset(th, 0, sizeof(*th));
	th->host = *peal_host_default();
	th->host.alloc = test_host_alloc;
	th->host.free = test_host_free;
	th->host.mutex_new = test_host_mutex_new;
	th->host.mutex_free = test_host_mutex_free;
	th->host.user = th;
	th->fail_at = -1;
}

/* The point of failure that is NUMBER points away (0: the next one) will fail. */
static inline void test_host_fail_in(struct test_host *th, int64_t number)
{
	th->fail_at = __atomic_load_n(&th->points, __ATOMIC_RELAXED) + number;
}

static inline void test_host_fail_never(struct test_host *th)
{
	th->fail_at = -1;
}

/* Everything was given back. */
static inline void test_host_done(const struct test_host *th)
{
	assert_int_equal(th->live, 0);
	assert_int_equal(th->bytes, 0);
}

/*
 * Calls MAKE again and again, with the 1st, 2nd, … allocation failing, until it succeeds. MAKE
 * builds something with HOST, frees what it built, and returns the error of the construction.
 * Every failure has to be -ENOMEM and leave nothing allocated. Returns how many points failed.
 */
static inline unsigned test_every_allocation(int (*make)(const struct peal_host *host, void *user),
					     void *user)
{
	for (unsigned n = 0;; n++) {
		struct test_host th;
		int r;

		test_host_init(&th);
		th.fail_at = n;
		r = make(&th.host, user);
		test_host_done(&th);
		if (th.points <= (int64_t)n) {
			assert_int_equal(r, 0);
			assert_true(n > 0);
			return n;
		}
		assert_int_equal(r, -ENOMEM);
	}
}

/* ---- a sink that counts ---- */

#define TEST_SINK_LOG 64u

struct test_sink {
	uint64_t count;                         /* messages, from any thread */
	int answer;                             /* of deliver; 1 after test_sink_init() */
	struct peal_msi_msg log[TEST_SINK_LOG]; /* message n is at n % TEST_SINK_LOG */
};

static inline int test_sink_deliver(void *user, const struct peal_msi_msg *msg)
{
	struct test_sink *sink = (struct test_sink *)user;
	uint64_t n = __atomic_fetch_add(&sink->count, 1, __ATOMIC_RELAXED);
	struct peal_msi_msg *entry = &sink->log[n % TEST_SINK_LOG];

	__atomic_store_n(&entry->address, msg->address, __ATOMIC_RELAXED);
	__atomic_store_n(&entry->data, msg->data, __ATOMIC_RELAXED);
	__atomic_store_n(&entry->requester_id, msg->requester_id, __ATOMIC_RELAXED);
	return __atomic_load_n(&sink->answer, __ATOMIC_RELAXED);
}

static inline struct peal_msi_sink test_sink_init(struct test_sink *sink)
{
	static const struct peal_msi_sink_ops ops = { .deliver = test_sink_deliver };

	memset(sink, 0, sizeof(*sink));
	sink->answer = 1;
	return (struct peal_msi_sink){ .ops = &ops, .user = sink };
}

static inline uint64_t test_sink_count(const struct test_sink *sink)
{
	return __atomic_load_n(&sink->count, __ATOMIC_RELAXED);
}

/* The last message; there must be one. Only while nobody delivers. */
static inline const struct peal_msi_msg *test_sink_last(const struct test_sink *sink)
{
	assert_true(sink->count > 0);
	return &sink->log[(sink->count - 1) % TEST_SINK_LOG];
}

/* ---- a space with RAM ---- */

struct test_ram {
	struct peal_space *space;
	uint8_t *memory; /* SIZE zeroed bytes, what is at ADDRESS */
	uint64_t address;
	uint64_t size;
};

static inline void test_ram_init(struct test_ram *ram, const struct peal_host *host,
				 uint64_t address, uint64_t size)
{
	const struct peal_space_config config = { .host = host };
	int r = peal_space_new(&ram->space, &config);

	assert_int_equal(r, 0);
	ram->memory = (uint8_t *)aligned_alloc(4096, (size_t)peal_round_up(size, 4096));
	assert_non_null(ram->memory);
	memset(ram->memory, 0, (size_t)size);
	ram->address = address;
	ram->size = size;
	r = peal_space_map(ram->space, address, size, ram->memory, PEAL_MEM_RW);
	assert_int_equal(r, 0);
}

static inline void test_ram_done(struct test_ram *ram)
{
	peal_space_free(ram->space);
	free(ram->memory);
	memset(ram, 0, sizeof(*ram));
}

/* The host pointer of guest ADDRESS, of which SIZE bytes are used. */
static inline void *test_ram_at(const struct test_ram *ram, uint64_t address, uint64_t size)
{
	assert_true(address >= ram->address &&
		    peal_in_range(address - ram->address, size, ram->size));
	return ram->memory + (address - ram->address);
}

/* ---- threads ---- */

#define TEST_THREADS 16u

struct test_thread {
	void (*run)(void *user, unsigned index);
	void *user;
	unsigned index;
	pthread_barrier_t *start;
};

static inline void *test_thread_main(void *argument)
{
	struct test_thread *thread = (struct test_thread *)argument;

	(void)pthread_barrier_wait(thread->start);
	thread->run(thread->user, thread->index);
	return NULL;
}

/* RUN(USER, 0..COUNT-1), each in a thread of its own that starts with the others; then joins. */
static inline void test_threads(unsigned count, void (*run)(void *user, unsigned index), void *user)
{
	struct test_thread threads[TEST_THREADS];
	pthread_t ids[TEST_THREADS];
	pthread_barrier_t start;

	thread_assert(count >= 1 && count <= TEST_THREADS);
	thread_assert(pthread_barrier_init(&start, NULL, count) == 0);
	for (unsigned i = 0; i < count; i++) {
		threads[i] = (struct test_thread){ run, user, i, &start };
		thread_assert(pthread_create(&ids[i], NULL, test_thread_main, &threads[i]) == 0);
	}
	for (unsigned i = 0; i < count; i++)
		thread_assert(pthread_join(ids[i], NULL) == 0);
	(void)pthread_barrier_destroy(&start);
}

/* ---- repeatable random numbers ---- */

/* The next number of a sequence (splitmix64); *STATE may start anywhere. */
static inline uint64_t test_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* 0..BELOW-1 */
static inline uint64_t test_random_below(uint64_t *state, uint64_t below)
{
	return test_random(state) % below;
}

#endif
