/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Router: which sink gets a message.
 */
#include <support.h>

static int send(struct peal_router *router, uint64_t address, uint32_t data)
{
	const struct peal_msi_sink sink = peal_router_sink(router);
	const struct peal_msi_msg msg = { .address = address, .data = data, .requester_id = 0x8 };

	return peal_msi_deliver(&sink, &msg);
}

static void message_goes_to_the_sink_of_its_address(void **state)
{
	struct test_sink sinks[3];
	struct peal_router router;

	(void)state;
	peal_router_init(&router);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(peal_router_add(&router, 0x1000 * (3 - i), 0x1000,
						 test_sink_init(&sinks[i])),
				 0);
	}
	/* First and last byte of each range. */
	assert_int_equal(send(&router, 0x3000, 1), 1);
	assert_int_equal(send(&router, 0x3fff, 2), 1);
	assert_int_equal(send(&router, 0x2000, 3), 1);
	assert_int_equal(send(&router, 0x2fff, 4), 1);
	assert_int_equal(send(&router, 0x1000, 5), 1);
	assert_int_equal(test_sink_count(&sinks[0]), 2);
	assert_int_equal(test_sink_count(&sinks[1]), 2);
	assert_int_equal(test_sink_count(&sinks[2]), 1);
	assert_int_equal(test_sink_last(&sinks[1])->data, 4);
	assert_int_equal(test_sink_last(&sinks[2])->address, 0x1000);
	assert_int_equal(test_sink_last(&sinks[2])->requester_id, 0x8);
	assert_int_equal(router.unrouted, 0);
}

static void unrouted_message_is_counted_and_answered_with_0(void **state)
{
	struct test_sink sink;
	struct peal_router router;

	(void)state;
	peal_router_init(&router);
	assert_int_equal(send(&router, 0x77, 0), 0);
	assert_int_equal(router.unrouted, 1);
	assert_int_equal(peal_router_add(&router, 0x1000, 4, test_sink_init(&sink)), 0);
	assert_int_equal(send(&router, 0xfff, 0), 0);
	assert_int_equal(router.unrouted_address, 0xfff);
	assert_int_equal(send(&router, 0x1004, 0), 0);
	assert_int_equal(router.unrouted_address, 0x1004);
	assert_int_equal(router.unrouted, 3);
	assert_int_equal(test_sink_count(&sink), 0);
}

static void answer_of_the_sink_comes_back(void **state)
{
	struct test_sink sink;
	struct peal_router router;

	(void)state;
	peal_router_init(&router);
	assert_int_equal(peal_router_add(&router, 0, 16, test_sink_init(&sink)), 0);
	sink.answer = 0;
	assert_int_equal(send(&router, 0, 0), 0);
	sink.answer = -EIO;
	assert_int_equal(send(&router, 0, 0), -EIO);
	assert_int_equal(router.unrouted, 0);
}

static void bad_ranges_are_refused(void **state)
{
	static const struct {
		uint64_t address, size;
		int r;
	} ranges[] = {
		{ 0x1000, 0x1000, 0 },
		{ 0x5000, 0, -EINVAL },
		{ 0, 0, -EINVAL },
		{ 0x1000, 0x1000, -EINVAL },
		{ 0xfff, 2, -EINVAL },
		{ 0x1fff, 1, -EINVAL },
		{ 0, 0x10000, -EINVAL },
		{ 0x1800, 8, -EINVAL },
		{ UINT64_MAX, 2, -EINVAL },      /* wraps */
		{ 0x2000, UINT64_MAX, -EINVAL }, /* wraps */
		{ 0xfff, 1, 0 },
		{ 0x2000, 1, 0 },
		{ UINT64_MAX - 3, 4, 0 }, /* up to the end */
		{ UINT64_MAX, 1, -EINVAL },
	};
	struct test_sink sink;
	struct peal_router router;

	(void)state;
	peal_router_init(&router);
	for (unsigned i = 0; i < PEAL_COUNT_OF(ranges); i++) {
		unsigned before = router.nranges;

		assert_int_equal(peal_router_add(&router, ranges[i].address, ranges[i].size,
						 test_sink_init(&sink)),
				 ranges[i].r);
		assert_int_equal(router.nranges, before + (ranges[i].r == 0));
	}
	assert_int_equal(send(&router, UINT64_MAX, 9), 1);
	assert_int_equal(test_sink_last(&sink)->data, 9);
}

static void router_holds_its_number_of_ranges(void **state)
{
	struct test_sink sinks[PEAL_ROUTER_RANGES], other;
	struct peal_router router;

	(void)state;
	peal_router_init(&router);
	for (unsigned i = 0; i < PEAL_ROUTER_RANGES; i++)
		assert_int_equal(peal_router_add(&router, 16 * i, 16, test_sink_init(&sinks[i])),
				 0);
	assert_int_equal(peal_router_add(&router, 0x10000, 16, test_sink_init(&other)), -ENOSPC);
	assert_int_equal(send(&router, 0x10000, 0), 0);
	for (unsigned i = 0; i < PEAL_ROUTER_RANGES; i++) {
		assert_int_equal(send(&router, 16 * i + 15, i), 1);
		assert_int_equal(test_sink_count(&sinks[i]), 1);
	}
}

static void router_is_a_sink_of_another_router(void **state)
{
	struct test_sink sink;
	struct peal_router inner, outer;

	(void)state;
	peal_router_init(&inner);
	peal_router_init(&outer);
	assert_int_equal(peal_router_add(&inner, 0x1000, 16, test_sink_init(&sink)), 0);
	assert_int_equal(peal_router_add(&outer, 0, 0x10000, peal_router_sink(&inner)), 0);
	assert_int_equal(send(&outer, 0x1008, 5), 1);
	assert_int_equal(test_sink_count(&sink), 1);
	assert_int_equal(send(&outer, 0x2000, 5), 0);
	assert_int_equal(inner.unrouted, 1);
	assert_int_equal(outer.unrouted, 0);
}

/* ---- from many threads ---- */

#define SENDERS  4u
#define MESSAGES 3000u

struct traffic {
	struct peal_router router;
	struct test_sink sinks[2];
	struct peal_msi_sink late; /* added while the others send */
};

static void traffic_run(void *user, unsigned index)
{
	struct traffic *traffic = user;

	if (index == SENDERS) {
		thread_assert(peal_router_add(&traffic->router, 0x1000, 16, traffic->late) == 0);
		return;
	}
	for (unsigned i = 0; i < MESSAGES; i++) {
		int r;

		thread_assert(send(&traffic->router, 0, i) == 1);
		/* Whole or not at all. */
		r = send(&traffic->router, 0x1000, i);
		thread_assert(r == 0 || r == 1);
		thread_assert(send(&traffic->router, 0x2000, i) == 0);
	}
}

static void every_message_is_somewhere(void **state)
{
	struct traffic traffic;

	(void)state;
	peal_router_init(&traffic.router);
	assert_int_equal(peal_router_add(&traffic.router, 0, 16, test_sink_init(&traffic.sinks[0])),
			 0);
	traffic.late = test_sink_init(&traffic.sinks[1]);
	test_threads(SENDERS + 1, traffic_run, &traffic);
	assert_int_equal(test_sink_count(&traffic.sinks[0]), SENDERS * MESSAGES);
	assert_int_equal(test_sink_count(&traffic.sinks[1]) +
				 peal_counted(&traffic.router.unrouted),
			 2 * SENDERS * MESSAGES);
	assert_true(peal_counted(&traffic.router.unrouted) >= SENDERS * MESSAGES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message_goes_to_the_sink_of_its_address),
		cmocka_unit_test(unrouted_message_is_counted_and_answered_with_0),
		cmocka_unit_test(answer_of_the_sink_comes_back),
		cmocka_unit_test(bad_ranges_are_refused),
		cmocka_unit_test(router_holds_its_number_of_ranges),
		cmocka_unit_test(router_is_a_sink_of_another_router),
		cmocka_unit_test(every_message_is_somewhere),
	};

	return cmocka_run_group_tests_name("irq-router", tests, NULL, NULL);
}
