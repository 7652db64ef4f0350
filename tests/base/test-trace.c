/* SPDX-License-Identifier: BSD-2-Clause */
#include <support.h>

#include <peal/trace.h>

#define WRITERS 3u

static struct peal_trace_record record(uint64_t value)
{
	struct peal_trace_record r;

	for (unsigned i = 0; i < PEAL_TRACE_WORDS; i++)
		r.words[i] = value + i;
	return r;
}

static bool push(struct peal_trace_ring *ring, uint64_t value)
{
	const struct peal_trace_record r = record(value);

	return peal_trace_push(ring, &r);
}

static void check_record(const struct peal_trace_record *r)
{
	for (unsigned i = 1; i < PEAL_TRACE_WORDS; i++)
		assert_int_equal(r->words[i], r->words[0] + i);
}

/* Takes a record that has to be there. */
static uint64_t pop(struct peal_trace_ring *ring)
{
	struct peal_trace_record r;

	assert_true(peal_trace_pop(ring, &r));
	check_record(&r);
	return r.words[0];
}

static void records_come_in_order(void **state)
{
	struct peal_trace_ring *ring;
	struct peal_trace_record r;
	struct test_host th;
	int e;

	(void)state;
	test_host_init(&th);
	e = peal_trace_ring_new(&ring, &th.host, 3);
	assert_int_equal(e, 0);
	assert_false(peal_trace_pop(ring, &r));
	/* More than once around, with every fill from empty to full. */
	for (uint64_t round = 0, next = 0; round < 100; round++, next += 1 + round % 8) {
		for (uint64_t i = 0; i < 1 + round % 8; i++)
			assert_true(push(ring, next + i));
		for (uint64_t i = 0; i < 1 + round % 8; i++)
			assert_int_equal(pop(ring), next + i);
		assert_false(peal_trace_pop(ring, &r));
	}
	assert_int_equal(peal_trace_lost(ring), 0);
	peal_trace_ring_free(ring);
	test_host_done(&th);
}

static void a_full_ring_loses_the_newest_and_counts(void **state)
{
	struct peal_trace_ring *ring;
	struct test_host th;
	int e;

	(void)state;
	test_host_init(&th);
	e = peal_trace_ring_new(&ring, &th.host, 1);
	assert_int_equal(e, 0);
	assert_true(push(ring, 10));
	assert_true(push(ring, 20));
	assert_false(push(ring, 30));
	assert_false(push(ring, 40));
	assert_int_equal(peal_trace_lost(ring), 2);
	assert_int_equal(pop(ring), 10);
	assert_true(push(ring, 50));
	assert_int_equal(pop(ring), 20);
	assert_int_equal(pop(ring), 50);
	assert_int_equal(peal_trace_lost(ring), 2);
	peal_trace_ring_free(ring);
	test_host_done(&th);
}

static void making_a_ring_may_fail(void **state)
{
	struct peal_trace_ring *ring = NULL;
	struct test_host th;

	(void)state;
	test_host_init(&th);
	assert_int_equal(peal_trace_ring_new(&ring, &th.host, 0), -EINVAL);
	assert_int_equal(peal_trace_ring_new(&ring, &th.host, 25), -EINVAL);
	for (th.fail_at = 0; th.fail_at < 2; th.fail_at++) {
		th.points = 0;
		assert_int_equal(peal_trace_ring_new(&ring, &th.host, 4), -ENOMEM);
		assert_null(ring);
		assert_int_equal(th.live, 0);
	}
	peal_trace_ring_free(NULL);
	test_host_done(&th);
}

/* ---- threads ---- */

struct shared {
	struct peal_trace_ring *ring;
	uint32_t going;   /* writers */
	uint64_t refused; /* pushes */
};

struct writer {
	struct shared *shared;
	uint64_t number;
};

#define PUSHES 30000u

static void *write_records(void *arg)
{
	struct writer *w = (struct writer *)arg;
	uint64_t refused = 0;

	for (uint64_t i = 0; i < PUSHES; i++)
		refused += !push(w->shared->ring, w->number << 32 | i * PEAL_TRACE_WORDS);
	(void)__atomic_fetch_add(&w->shared->refused, refused, __ATOMIC_RELAXED);
	(void)__atomic_fetch_sub(&w->shared->going, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* Every record arrives whole, each writer's in order, and what is missing was counted as lost. */
static void many_writers_one_reader(void **state)
{
	struct shared s = { .going = WRITERS };
	struct writer writers[WRITERS];
	pthread_t threads[WRITERS];
	uint64_t next[WRITERS] = { 0 }, popped = 0;
	struct test_host th;
	int e;

	(void)state;
	test_host_init(&th);
	e = peal_trace_ring_new(&s.ring, &th.host, 6);
	assert_int_equal(e, 0);
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){ &s, i };
		assert_int_equal(pthread_create(&threads[i], NULL, write_records, &writers[i]), 0);
	}
	for (;;) {
		bool over = !__atomic_load_n(&s.going, __ATOMIC_ACQUIRE);
		struct peal_trace_record r;

		while (peal_trace_pop(s.ring, &r)) {
			uint64_t writer = r.words[0] >> 32, number = r.words[0] & UINT32_MAX;

			check_record(&r);
			assert_true(writer < WRITERS && number >= next[writer]);
			next[writer] = number + 1;
			popped++;
		}
		if (over)
			break;
	}
	for (unsigned i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(peal_trace_lost(s.ring), s.refused);
	assert_int_equal(popped + s.refused, WRITERS * PUSHES);
	peal_trace_ring_free(s.ring);
	test_host_done(&th);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_come_in_order),
		cmocka_unit_test(a_full_ring_loses_the_newest_and_counts),
		cmocka_unit_test(making_a_ring_may_fail),
		cmocka_unit_test(many_writers_one_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
