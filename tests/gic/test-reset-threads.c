/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM may be reset at any time: devices send and vCPUs take LPIs meanwhile. */
#include <sched.h>

#include "its-guest.h"

#define ROUNDS 60u

struct world {
	struct guest g;
	uint32_t stop;
	uint64_t accepted;
};

static bool is_over(struct world *w)
{
	return __atomic_load_n(&w->stop, __ATOMIC_SEQ_CST);
}

static void *run_device(void *arg)
{
	struct world *w = (struct world *)arg;

	for (uint32_t n = 0; !is_over(w); n++) {
		int r = peal_its_send(w->g.its[n & 1].its, 1, n >> 1 & 3);

		thread_assert(r == 1 || r == 0 || r == -EBUSY);
		if (r == 1)
			(void)__atomic_fetch_add(&w->accepted, 1, __ATOMIC_SEQ_CST);
		if (n % 64 == 0)
			(void)sched_yield();
	}
	return NULL;
}

static void *run_vcpu(void *arg)
{
	struct world *w = (struct world *)arg;

	while (!is_over(w)) {
		uint32_t intid = guest_acknowledge(&w->g, 0);

		thread_assert(intid == SPURIOUS || (intid >= LPI && intid < LPI + 8));
		if (intid == SPURIOUS)
			(void)sched_yield();
	}
	return NULL;
}

/* After both kinds of reset nothing is left of before, whatever was on its way. */
static void reset_both(struct guest *g, unsigned round)
{
	if (round & 1)
		peal_gic_reset(g->gic);
	for (unsigned i = 0; i < 2; i++)
		peal_its_reset(g->its[i].its);
	if (!(round & 1))
		peal_gic_reset(g->gic);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(its_counters(&g->its[i]).memory, 0);
		assert_int_equal(peal_its_send(g->its[i].its, 1, 0), -EBUSY);
		for (uint32_t n = 0; n < 8; n++)
			assert_false(guest_is_pending(g, i, LPI + n));
	}
}

static void resets_while_devices_send(void **state)
{
	const struct guest_config c = { .nits = 2 };
	struct world w = { 0 };
	pthread_t device, vcpu;

	(void)state;
	guest_init(&w.g, &c);
	assert_int_equal(pthread_create(&device, NULL, run_device, &w), 0);
	assert_int_equal(pthread_create(&vcpu, NULL, run_vcpu, &w), 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t before;

		guest_start(&w.g);
		for (unsigned i = 0; i < 2; i++) {
			its_map_collections(&w.g.its[i]);
			its_map_lpis(&w.g.its[i], 1, LPI + 4 * i, 4, round & 1, 0x80);
		}
		before = __atomic_load_n(&w.accepted, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(&w.accepted, __ATOMIC_SEQ_CST) < before + 8)
			(void)sched_yield();
		reset_both(&w.g, round);
	}
	__atomic_store_n(&w.stop, 1, __ATOMIC_SEQ_CST);
	assert_int_equal(pthread_join(device, NULL), 0);
	assert_int_equal(pthread_join(vcpu, NULL), 0);
	guest_done(&w.g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resets_while_devices_send),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
