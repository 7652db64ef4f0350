/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts of a device that raises from several threads, against a guest that changes things. */
#include <unistd.h>

#include "rig.h"

#define VCPUS    3u
#define VECTORS  7u
#define RAISERS  2u
#define RAISES   12000u
#define CYCLES   400u
#define WAKES    4000u
#define ENTRY(v) ((uint64_t)(v)*16 + 12) /* Vector Control, in BAR 0 */
#define LIVE     UINT64_C(0x6c697665)

/* What a handler is given; freed as soon as its vector is torn down. */
struct line {
	uint64_t magic;
	uint64_t *count;
};

struct stress {
	struct peal_machine *machine;
	struct peal_msix *msix;
	uint64_t counts[VECTORS]; /* of handlers that ran */
	uint64_t raised;
	uint64_t expected[VCPUS]; /* interrupts of each */
	uint64_t arrived;         /* raisers, in all rounds together */
	unsigned raisers;         /* running */
	bool end;
	bool reboots;
	unsigned spin_us;
	struct peal_path_counters path;
	uint64_t vectors_handled;
};

static const struct peal_driver_ops *ops(void)
{
	return peal_guest_driver_ops();
}

static void handle(void *arg)
{
	struct line *line = arg;

	thread_assert(line->magic == LIVE);
	/* Some take their time: who tears them down waits for them. */
	if (__atomic_load_n(line->count, __ATOMIC_RELAXED) % 8 == 0) {
		(void)sched_yield();
		thread_assert(line->magic == LIVE);
	}
	(void)__atomic_fetch_add(line->count, 1, __ATOMIC_RELEASE);
}

static struct line *set_up(struct peal_guest_function *f, struct stress *s, unsigned vector)
{
	struct line *line = malloc(sizeof(*line));

	thread_assert(line);
	*line = (struct line){ LIVE, &s->counts[vector] };
	thread_assert(ops()->irq_setup(f, vector, handle, line, vector) == 0);
	return line;
}

static void tear_down(struct peal_guest_function *f, unsigned vector, struct line *line)
{
	ops()->irq_teardown(f, vector);
	line->magic = 0;
	free(line);
}

static void raise_some(struct stress *s, uint64_t *seed)
{
	int r = peal_msix_notify(s->msix, (unsigned)test_random_below(seed, VECTORS));

	/* One that was on its way when the guest went down finds the ITS off. */
	thread_assert(r >= 0 || (r == -EBUSY && s->reboots));
	(void)__atomic_fetch_add(&s->raised, 1, __ATOMIC_RELAXED);
	/* Two cores, and the guest needs one. */
	if (test_random_below(seed, 64) == 0)
		(void)sched_yield();
}

/* Each counter is one of a sum; all agree once nothing moves. */
static void settle(struct rig *rig, struct stress *s)
{
	double begin = rig_now();

	do {
		peal_vcpu_take_interrupts(rig->vcpu);
		(void)sched_yield();
		peal_machine_path(rig->machine, s->msix, rig->guest, &s->path);
		thread_assert(rig_now() - begin < RIG_PATIENCE_S);
	} while (s->path.lost);
}

static void sum_vectors(struct peal_guest_function *f, struct stress *s)
{
	struct peal_guest_vector v;

	s->vectors_handled = 0;
	for (unsigned i = 0; peal_guest_vector(f, i, &v); i++) {
		thread_assert(v.handled == __atomic_load_n(&s->counts[i], __ATOMIC_ACQUIRE));
		s->vectors_handled += v.handled;
	}
}

static void with_device(void (*body)(struct rig *rig), struct stress *s,
			void (*raise)(void *user, unsigned index))
{
	struct peal_pci_function *function = rig_msix_function(1, VECTORS);
	struct rig rig;

	s->msix = peal_pci_function_msix(function);
	for (unsigned i = 0; i < VECTORS; i++)
		assert_int_equal(peal_msix_use(s->msix, i), 0);
	rig_new_with(&rig, VCPUS, RIG_RAM, s->spin_us);
	rig_plug(&rig, 5 << 3, function);
	s->machine = rig.machine;
	s->raisers = RAISERS;
	rig.body = body;
	rig.user = s;
	assert_int_equal(peal_machine_start(rig.machine, rig_main, &rig), 0);
	test_threads(RAISERS, raise, s);
	rig_wait(&rig);
	peal_machine_stop(rig.machine);
	rig_unplug(&rig, function);
	rig_done(&rig);
}

static void raise_a_number(void *user, unsigned index)
{
	struct stress *s = user;
	uint64_t seed = index;

	/* Not before the guest has set its vectors up. */
	while (!__atomic_load_n(&s->end, __ATOMIC_SEQ_CST))
		(void)sched_yield();
	for (unsigned i = 0; i < RAISES; i++)
		raise_some(s, &seed);
	(void)__atomic_sub_fetch(&s->raisers, 1, __ATOMIC_SEQ_CST);
}

/* ---- counts ---- */

static void count_all(struct rig *rig)
{
	struct stress *s = rig->user;
	struct line *lines[VECTORS];
	struct peal_guest_function *f;

	rig_guest_new(rig, PEAL_GUEST_RIGHT);
	f = rig_find(rig, 1);
	rig_set_master(f);
	thread_assert(ops()->irq_alloc(f, PEAL_IRQ_MSIX, VECTORS) == 0);
	for (unsigned v = 0; v < VECTORS; v++)
		lines[v] = set_up(f, s, v);
	__atomic_store_n(&s->end, true, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&s->raisers, __ATOMIC_SEQ_CST))
		peal_vcpu_take_interrupts(rig->vcpu);
	settle(rig, s);
	sum_vectors(f, s);
	for (unsigned v = 0; v < VECTORS; v++)
		tear_down(f, v, lines[v]);
	ops()->irq_release(f);
	peal_guest_function_free(f);
	rig_guest_free(rig);
}

static void every_raise_is_accounted_for(void **state)
{
	struct stress s = { 0 };

	(void)state;
	with_device(count_all, &s, raise_a_number);
	assert_int_equal(s.raised, RAISERS * RAISES);
	assert_int_equal(s.path.raised, RAISERS * RAISES);
	assert_int_equal(s.path.sent, RAISERS * RAISES);
	assert_int_equal(s.path.translated, RAISERS * RAISES);
	assert_int_equal(s.path.acknowledged, RAISERS * RAISES - s.path.merged_lpi);
	assert_int_equal(s.path.handled, s.path.acknowledged);
	assert_int_equal(s.path.handled, s.vectors_handled);
	assert_int_equal(s.path.unhandled, 0);
	assert_int_equal(s.path.pended + s.path.merged_pba, 0);
	assert_null(peal_path_diagnose(&s.path));
}

/* ---- masking ---- */

static void mask_and_unmask(struct rig *rig)
{
	struct stress *s = rig->user;
	struct line *lines[VECTORS];
	struct peal_guest_function *f;
	uint64_t seed = 3;

	rig_guest_new(rig, PEAL_GUEST_RIGHT);
	f = rig_find(rig, 1);
	rig_set_master(f);
	thread_assert(ops()->irq_alloc(f, PEAL_IRQ_MSIX, VECTORS) == 0);
	for (unsigned v = 0; v < VECTORS; v++)
		lines[v] = set_up(f, s, v);
	__atomic_store_n(&s->end, true, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&s->raisers, __ATOMIC_SEQ_CST)) {
		unsigned v = (unsigned)test_random_below(&seed, VECTORS);

		ops()->bar_write(f, 0, ENTRY(v), 4, test_random(&seed) & 1);
		peal_vcpu_take_interrupts(rig->vcpu);
	}
	for (unsigned v = 0; v < VECTORS; v++)
		ops()->bar_write(f, 0, ENTRY(v), 4, 0);
	settle(rig, s);
	sum_vectors(f, s);
	for (unsigned v = 0; v < VECTORS; v++)
		tear_down(f, v, lines[v]);
	ops()->irq_release(f);
	peal_guest_function_free(f);
	rig_guest_free(rig);
}

static void masking_loses_nothing(void **state)
{
	struct stress s = { 0 };

	(void)state;
	with_device(mask_and_unmask, &s, raise_a_number);
	assert_int_equal(s.path.raised, RAISERS * RAISES);
	assert_true(s.path.pended > 0);
	/* What waited in the PBA was sent in the end. */
	assert_int_equal(s.path.sent, RAISERS * RAISES - s.path.merged_pba);
	assert_int_equal(s.path.translated, s.path.sent);
	assert_int_equal(s.path.handled, s.path.sent - s.path.merged_lpi);
	assert_int_equal(s.path.handled, s.vectors_handled);
	assert_null(peal_path_diagnose(&s.path));
}

/* ---- setting up and tearing down ---- */

static void raise_until_the_end(void *user, unsigned index)
{
	struct stress *s = user;
	uint64_t seed = index;

	while (!__atomic_load_n(&s->end, __ATOMIC_SEQ_CST))
		raise_some(s, &seed);
	(void)__atomic_sub_fetch(&s->raisers, 1, __ATOMIC_SEQ_CST);
}

static void cycle(struct rig *rig, struct peal_guest_function *f, unsigned number)
{
	struct stress *s = rig->user;
	unsigned n = 1 + number % VECTORS, which = number / 3 % n;
	struct line *lines[VECTORS];

	thread_assert(ops()->irq_alloc(f, PEAL_IRQ_MSIX, n) == 0);
	for (unsigned v = 0; v < n; v++)
		lines[v] = set_up(f, s, v);
	/* It works before it is taken away. */
	rig_wait_for(rig, &s->counts[which],
		     __atomic_load_n(&s->counts[which], __ATOMIC_ACQUIRE) + 1);
	for (unsigned v = 0; v < n; v++) {
		uint64_t count;

		tear_down(f, v, lines[v]);
		count = __atomic_load_n(&s->counts[v], __ATOMIC_ACQUIRE);
		peal_vcpu_take_interrupts(rig->vcpu);
		thread_assert(__atomic_load_n(&s->counts[v], __ATOMIC_ACQUIRE) == count);
	}
	ops()->irq_release(f);
}

static void cycle_often(struct rig *rig)
{
	struct stress *s = rig->user;
	struct peal_guest_function *f;
	struct peal_its_counters c;

	rig_guest_new(rig, PEAL_GUEST_RIGHT);
	f = rig_find(rig, 1);
	rig_set_master(f);
	for (unsigned i = 0; i < CYCLES; i++)
		cycle(rig, f, i);
	__atomic_store_n(&s->end, true, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&s->raisers, __ATOMIC_SEQ_CST))
		(void)sched_yield();
	peal_machine_wait_for_handlers(rig->machine);
	peal_machine_path(rig->machine, s->msix, rig->guest, &s->path);
	peal_its_counters(peal_machine_its(rig->machine), &c);
	thread_assert(c.errors == 0 && c.devices == 0 && c.events == 0);
	peal_guest_function_free(f);
	rig_guest_free(rig);
}

static void vectors_come_and_go_while_the_device_raises(void **state)
{
	struct stress s = { 0 };
	uint64_t handled = 0;

	(void)state;
	with_device(cycle_often, &s, raise_until_the_end);
	for (unsigned v = 0; v < VECTORS; v++)
		handled += s.counts[v];
	assert_int_equal(s.path.raised, s.raised);
	assert_int_equal(s.path.handled, handled);
	assert_true(handled >= CYCLES);
	/* Nobody took an interrupt whose handler was gone. */
	assert_int_equal(s.path.unhandled, 0);
	assert_int_equal(s.path.acknowledged, s.path.handled);
	assert_int_equal(s.path.sent, s.path.translated + s.path.unmapped);
	assert_true(s.path.translated >= s.path.merged_lpi + s.path.acknowledged);
	assert_true(s.path.pended > 0);
}

/* A guest that goes away, and the next one, on a bus where a device never stops. */
static void reboot_often(struct rig *rig)
{
	struct stress *s = rig->user;

	for (unsigned i = 0; i < CYCLES / 10; i++) {
		struct peal_guest_function *f;

		rig_guest_new(rig, PEAL_GUEST_RIGHT);
		f = rig_find(rig, 1);
		rig_set_master(f);
		cycle(rig, f, i);
		peal_guest_function_free(f);
		thread_assert(peal_guest_unhandled(rig->guest) == 0);
		rig_guest_free(rig);
	}
	__atomic_store_n(&s->end, true, __ATOMIC_SEQ_CST);
}

static void guests_come_and_go_while_the_device_raises(void **state)
{
	struct stress s = { .reboots = true };

	(void)state;
	with_device(reboot_often, &s, raise_until_the_end);
	assert_true(s.counts[0] > 0);
}

/* ---- waking ---- */

static void wait_for_count(const uint64_t *count, uint64_t value)
{
	double begin = rig_now();
	unsigned looks = 0;

	while (__atomic_load_n(count, __ATOMIC_ACQUIRE) < value) {
		if (++looks % 4096)
			continue;
		(void)sched_yield();
		thread_assert(rig_now() - begin < RIG_PATIENCE_S);
	}
}

/*
 * Rounds in which both raisers interrupt the same vCPU at about the same time, and go on when both
 * interrupts are handled: one of them comes when the vCPU sleeps, the other one any time after, as
 * when it has just looked for the last time. Nothing else would wake it.
 */
static void raise_in_rounds(void *user, unsigned index)
{
	struct stress *s = user;
	uint64_t seed = index;

	while (!__atomic_load_n(&s->end, __ATOMIC_SEQ_CST))
		(void)sched_yield();
	for (unsigned i = 0; i < WAKES; i++) {
		unsigned vcpu = 1 + i % 2;
		uint64_t pause = test_random_below(&seed, test_random(&seed) & 3 ? 800 : 5000);

		if (i % 64 == 0)
			(void)usleep(300);
		(void)__atomic_add_fetch(&s->arrived, 1, __ATOMIC_SEQ_CST);
		wait_for_count(&s->arrived, RAISERS * (i + 1));
		for (uint64_t n = 0; n < pause; n++)
			(void)__atomic_load_n(&s->end, __ATOMIC_SEQ_CST);
		thread_assert(peal_msix_notify(s->msix, vcpu + VCPUS * index) == 1);
		for (unsigned other = 0; other < RAISERS; other++)
			wait_for_count(&s->counts[vcpu + VCPUS * other], i / 2 + 1);
	}
	(void)__atomic_sub_fetch(&s->raisers, 1, __ATOMIC_SEQ_CST);
	peal_vcpu_kick(peal_machine_vcpu(s->machine, 0));
}

/*
 * One raiser and one vCPU that does not sleep: the second raise comes any time from before the
 * first is acknowledged until after the vCPU has looked for the last time.
 */
static void raise_in_pairs(void *user, unsigned index)
{
	struct stress *s = user;
	uint64_t seed = index;

	while (!__atomic_load_n(&s->end, __ATOMIC_SEQ_CST))
		(void)sched_yield();
	for (unsigned i = 0; index == 0 && i < RAISERS * WAKES / 2; i++) {
		uint64_t pause = test_random_below(&seed, 2000);

		for (unsigned first = 1; first < VECTORS; first += VCPUS) {
			thread_assert(peal_msix_notify(s->msix, first) == 1);
			for (uint64_t n = 0; n < pause; n++)
				(void)__atomic_load_n(&s->end, __ATOMIC_SEQ_CST);
		}
		for (unsigned first = 1; first < VECTORS; first += VCPUS)
			wait_for_count(&s->counts[first], i + 1);
	}
	(void)__atomic_sub_fetch(&s->raisers, 1, __ATOMIC_SEQ_CST);
	peal_vcpu_kick(peal_machine_vcpu(s->machine, 0));
}

static void sleep_between(struct rig *rig)
{
	struct stress *s = rig->user;
	struct line *lines[VECTORS];
	struct peal_guest_function *f;

	rig_guest_new(rig, PEAL_GUEST_RIGHT);
	f = rig_find(rig, 1);
	rig_set_master(f);
	thread_assert(ops()->irq_alloc(f, PEAL_IRQ_MSIX, VECTORS) == 0);
	for (unsigned v = 0; v < VECTORS; v++)
		lines[v] = set_up(f, s, v);
	__atomic_store_n(&s->end, true, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&s->raisers, __ATOMIC_SEQ_CST))
		peal_vcpu_wait_for_interrupt(rig->vcpu);
	settle(rig, s);
	for (unsigned i = 0; i < VCPUS; i++) {
		struct peal_vcpu_counters c;

		peal_vcpu_counters(peal_machine_vcpu(rig->machine, i), &c);
		thread_assert(c.acknowledged == s->expected[i]);
		thread_assert(s->spin_us || !s->expected[i] || c.sleeps > 0);
	}
	for (unsigned v = 0; v < VECTORS; v++)
		tear_down(f, v, lines[v]);
	ops()->irq_release(f);
	peal_guest_function_free(f);
	rig_guest_free(rig);
}

static void each_interrupt_wakes_its_vcpu(void **state)
{
	struct stress s = { .expected = { 0, WAKES, WAKES } };

	(void)state;
	with_device(sleep_between, &s, raise_in_rounds);
	assert_int_equal(s.path.raised, RAISERS * WAKES);
	assert_int_equal(s.path.handled, RAISERS * WAKES);
	assert_int_equal(s.path.merged_lpi, 0);
}

static void an_interrupt_at_the_last_look_is_taken(void **state)
{
	struct stress s = { .expected = { 0, RAISERS * WAKES, 0 }, .spin_us = 1000 };

	(void)state;
	with_device(sleep_between, &s, raise_in_pairs);
	assert_int_equal(s.path.raised, RAISERS * WAKES);
	assert_int_equal(s.path.handled, RAISERS * WAKES);
	assert_int_equal(s.path.merged_lpi, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_raise_is_accounted_for),
		cmocka_unit_test(masking_loses_nothing),
		cmocka_unit_test(vectors_come_and_go_while_the_device_raises),
		cmocka_unit_test(guests_come_and_go_while_the_device_raises),
		cmocka_unit_test(each_interrupt_wakes_its_vcpu),
		cmocka_unit_test(an_interrupt_at_the_last_look_is_taken),
	};

	return cmocka_run_group_tests_name("interrupt-threads", tests, NULL, NULL);
}
