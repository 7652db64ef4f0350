/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's interrupt vectors: allocation, limits, and the way of each to its vCPU. */
#include "rig.h"

#define LPIS        8192u /* that the guest has */
#define VECTORS_MAX 2048u
#define MSIX_ENABLE 0x8000u

/* What the handler of a vector is given. */
struct line {
	uint64_t count;
	pthread_t thread; /* it ran in last */
};

static void handle(void *arg)
{
	struct line *line = arg;

	line->thread = pthread_self();
	(void)__atomic_fetch_add(&line->count, 1, __ATOMIC_RELEASE);
}

static const struct peal_driver_ops *ops(void)
{
	return peal_guest_driver_ops();
}

static bool msix_is_enabled(struct peal_guest_function *f)
{
	return ops()->config_read(f, 0x34, 1) &&
	       ops()->config_read(f, (uint32_t)ops()->config_read(f, 0x34, 1) + 2, 2) & MSIX_ENABLE;
}

/* Raises a vector and waits until it was handled. */
static void raise_one(struct rig *rig, struct peal_msix *msix, unsigned vector, struct line *line)
{
	uint64_t before = peal_counted(&line->count);

	thread_assert(peal_msix_notify(msix, vector) == 1);
	rig_wait_for(rig, &line->count, before + 1);
}

/* ---- what is refused ---- */

static void ask_for_vectors(struct rig *rig)
{
	struct peal_guest_function *f, *plain;
	struct peal_guest_vector v;

	rig_guest_new(rig, PEAL_GUEST_RIGHT);
	f = rig_find(rig, 1);
	plain = rig_find(rig, 2);
	thread_assert(ops()->irq_alloc(f, PEAL_IRQ_MSIX, 5) == -ENOSPC);
	thread_assert(ops()->irq_alloc(f, PEAL_IRQ_MSIX, ~0u) == -ENOSPC);
	thread_assert(ops()->irq_alloc(f, PEAL_IRQ_MSIX, 0) == -ENOSPC);
	thread_assert(ops()->irq_alloc(f, PEAL_IRQ_MSI, 1) == -ENOSPC);
	thread_assert(ops()->irq_alloc(f, PEAL_IRQ_INTX, 1) == -ENOSPC);
	thread_assert(ops()->irq_alloc(plain, PEAL_IRQ_MSIX, 1) == -ENOSPC);
	thread_assert(!msix_is_enabled(f));
	thread_assert(!peal_guest_vector(f, 0, &v));
	/* All there are, and what was there before is in the way of nothing. */
	for (unsigned count = 1; count <= 4; count++) {
		thread_assert(ops()->irq_alloc(f, PEAL_IRQ_MSIX, count) == 0);
		thread_assert(msix_is_enabled(f));
		thread_assert(peal_guest_vector(f, count - 1, &v) && v.vector == count - 1);
		thread_assert(v.lpi == 0 && v.handled == 0);
		thread_assert(!peal_guest_vector(f, count, &v));
		ops()->irq_release(f);
		thread_assert(!msix_is_enabled(f));
	}
	peal_guest_function_free(f);
	peal_guest_function_free(plain);
	rig_guest_free(rig);
}

static void more_vectors_than_the_table_has_are_refused(void **state)
{
	struct peal_pci_function *with = rig_msix_function(1, 4);
	struct peal_pci_function *without = rig_function(2, false);
	struct peal_its_counters c;
	struct rig rig;

	(void)state;
	rig_new(&rig, 1);
	rig_plug(&rig, 1 << 3, with);
	rig_plug(&rig, 2 << 3, without);
	rig_run(&rig, ask_for_vectors, NULL);
	peal_its_counters(peal_machine_its(rig.machine), &c);
	assert_int_equal(c.errors, 0);
	assert_int_equal(c.devices, 0);
	rig_unplug(&rig, with);
	rig_unplug(&rig, without);
	rig_done(&rig);
}

/* Takes all guest memory, in pieces of a page. */
static unsigned take_memory(struct rig *rig, uint64_t *addresses, unsigned max)
{
	unsigned n = 0;
	void *cpu;

	while (n < max && peal_guest_alloc(rig->guest, 4096, 1, &cpu, &addresses[n]) == 0)
		n++;
	thread_assert(n < max);
	return n;
}

static void allocate_without_memory(struct rig *rig)
{
	uint64_t pages[RIG_RAM / 4096 + 64];
	struct peal_guest_function *f;
	unsigned n;

	rig_guest_new(rig, PEAL_GUEST_RIGHT);
	f = rig_find(rig, 1);
	n = take_memory(rig, pages, PEAL_COUNT_OF(pages));
	/* No room for the interrupt translation table. */
	thread_assert(ops()->irq_alloc(f, PEAL_IRQ_MSIX, VECTORS_MAX) == -ENOMEM);
	thread_assert(!msix_is_enabled(f));
	while (n)
		peal_guest_release(rig->guest, pages[--n], 4096);
	thread_assert(ops()->irq_alloc(f, PEAL_IRQ_MSIX, VECTORS_MAX) == 0);
	ops()->irq_release(f);
	peal_guest_function_free(f);
	rig_guest_free(rig);
}

static void vectors_need_guest_memory(void **state)
{
	struct peal_pci_function *function = rig_msix_function(1, VECTORS_MAX);
	struct rig rig;

	(void)state;
	rig_new(&rig, 1);
	rig_plug(&rig, 1 << 3, function);
	rig_run(&rig, allocate_without_memory, NULL);
	rig_unplug(&rig, function);
	rig_done(&rig);
}

/* ---- to all vCPUs ---- */

struct everywhere {
	struct peal_msix *msix;
	struct line *lines;
	unsigned rounds;
	unsigned vectors; /* 0: one per vCPU */
	uint64_t handled;
};

static void check_vector(struct rig *rig, struct peal_guest_function *f, unsigned index,
			 uint64_t handled)
{
	struct peal_guest_vector v;

	thread_assert(peal_guest_vector(f, index, &v));
	thread_assert(v.vector == index && v.event == index);
	thread_assert(v.lpi >= PEAL_GIC_FIRST_LPI && v.lpi < PEAL_GIC_FIRST_LPI + LPIS);
	thread_assert(v.vcpu == index % peal_machine_vcpus(rig->machine));
	thread_assert(v.handled == handled);
}

static void interrupt_everywhere(struct rig *rig)
{
	struct everywhere *e = rig->user;
	unsigned vcpus = peal_machine_vcpus(rig->machine);
	unsigned n = e->vectors ? e->vectors : vcpus;
	struct peal_guest_function *f;

	rig_guest_new(rig, PEAL_GUEST_RIGHT);
	f = rig_find(rig, 1);
	rig_set_master(f);
	thread_assert(ops()->irq_alloc(f, PEAL_IRQ_MSIX, n) == 0);
	for (unsigned i = 0; i < n; i++)
		thread_assert(ops()->irq_setup(f, i, handle, &e->lines[i], i) == 0);
	for (unsigned round = 0; round < e->rounds; round++) {
		for (unsigned i = 0; i < n; i++)
			raise_one(rig, e->msix, i, &e->lines[i]);
	}
	for (unsigned i = 0; i < n; i++) {
		check_vector(rig, f, i, e->rounds);
		/* Vectors of one vCPU run in one thread, of two in two. */
		thread_assert(pthread_equal(e->lines[i].thread, e->lines[i % vcpus].thread));
		thread_assert(i % vcpus == 0 ||
			      !pthread_equal(e->lines[i].thread, e->lines[0].thread));
		ops()->irq_teardown(f, i);
	}
	thread_assert(pthread_equal(e->lines[0].thread, pthread_self()));
	ops()->irq_release(f);
	for (unsigned i = 0; i < n; i++)
		check_vector(rig, f, i, e->rounds);
	e->handled = peal_guest_handled(rig->guest);
	thread_assert(peal_guest_unhandled(rig->guest) == 0);
	peal_guest_function_free(f);
	rig_guest_free(rig);
}

static void reaches_everywhere(unsigned vcpus, unsigned vectors)
{
	unsigned n = vectors ? vectors : vcpus;
	struct peal_pci_function *function = rig_msix_function(1, n);
	struct everywhere e = { .rounds = 5, .vectors = vectors };
	struct peal_msix_counters m;
	struct rig rig;

	e.lines = calloc(n, sizeof(*e.lines));
	assert_non_null(e.lines);
	e.msix = peal_pci_function_msix(function);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(peal_msix_use(e.msix, i), 0);
	rig_new(&rig, vcpus);
	rig_plug(&rig, 3 << 3, function);
	rig_run(&rig, interrupt_everywhere, &e);
	/* One at a time, so none merges with another: every count is exact at every station. */
	assert_int_equal(e.handled, 5 * n);
	peal_msix_counters(e.msix, PEAL_MSIX_ALL, &m);
	assert_int_equal(m.sent, 5 * n);
	assert_int_equal(m.pended + m.merged + m.dropped + m.blocked + m.failed, 0);
	for (unsigned i = 0; i < vcpus; i++) {
		uint64_t expected = 5 * ((n + vcpus - 1 - i) / vcpus);
		struct peal_vcpu_counters c;
		struct peal_redist_counters r;

		peal_vcpu_counters(peal_machine_vcpu(rig.machine, i), &c);
		assert_int_equal(c.acknowledged, expected);
		assert_true(c.kicks >= expected);
		peal_redist_counters(peal_machine_gic(rig.machine), i, &r);
		assert_int_equal(r.acknowledged, expected);
		assert_int_equal(r.merged + r.disabled, 0);
	}
	rig_unplug(&rig, function);
	rig_done(&rig);
	free(e.lines);
}

static void one_vcpu_takes_all(void **state)
{
	(void)state;
	reaches_everywhere(1, 3);
}

static void each_vcpu_gets_its_own(void **state)
{
	(void)state;
	reaches_everywhere(2, 0);
	reaches_everywhere(17, 0);
}

static void vectors_go_round_the_vcpus(void **state)
{
	(void)state;
	reaches_everywhere(3, 17);
	reaches_everywhere(17, 40);
}

/* ---- the last LPI ---- */

#define FULL 4u /* functions of 2048 vectors take all 8192 */

struct all_lpis {
	struct peal_msix *msix[FULL + 1];
	struct line lines[FULL + 1][VECTORS_MAX];
	uint8_t seen[LPIS];
};

static void set_up_all(struct all_lpis *all, struct peal_guest_function *f, unsigned n)
{
	thread_assert(ops()->irq_alloc(f, PEAL_IRQ_MSIX, VECTORS_MAX) == 0);
	for (unsigned v = 0; v < VECTORS_MAX; v++) {
		struct peal_guest_vector vector;

		thread_assert(ops()->irq_setup(f, v, handle, &all->lines[n][v], 0) == 0);
		thread_assert(peal_guest_vector(f, v, &vector));
		thread_assert(!all->seen[vector.lpi - PEAL_GIC_FIRST_LPI]++);
	}
}

static void use_all_lpis(struct rig *rig)
{
	struct all_lpis *all = rig->user;
	struct peal_guest_function *f[FULL + 1];
	struct peal_its_counters c;

	rig_guest_new(rig, PEAL_GUEST_RIGHT);
	for (unsigned i = 0; i <= FULL; i++) {
		f[i] = rig_find(rig, (uint16_t)(1 + i));
		rig_set_master(f[i]);
	}
	for (unsigned i = 0; i < FULL; i++)
		set_up_all(all, f[i], i);
	thread_assert(ops()->irq_alloc(f[FULL], PEAL_IRQ_MSIX, 2) == 0);
	thread_assert(ops()->irq_setup(f[FULL], 0, handle, &all->lines[FULL][0], 0) == -ENOSPC);
	/* One is given back: it is the one that there is. */
	ops()->irq_teardown(f[1], 100);
	thread_assert(ops()->irq_setup(f[FULL], 0, handle, &all->lines[FULL][0], 0) == 0);
	thread_assert(ops()->irq_setup(f[FULL], 1, handle, &all->lines[FULL][1], 0) == -ENOSPC);
	raise_one(rig, all->msix[FULL], 0, &all->lines[FULL][0]);
	raise_one(rig, all->msix[3], 2047, &all->lines[3][2047]);
	thread_assert(all->lines[1][100].count == 0);
	/* The vector that was torn down is masked: it waits in the PBA. */
	thread_assert(peal_msix_notify(all->msix[1], 100) == 0);
	thread_assert(peal_msix_is_pending(all->msix[1], 100));
	ops()->irq_teardown(f[FULL], 0);
	ops()->irq_release(f[FULL]);
	for (unsigned i = 0; i < FULL; i++) {
		for (unsigned v = 0; v < VECTORS_MAX; v++) {
			if (i != 1 || v != 100)
				ops()->irq_teardown(f[i], v);
		}
		ops()->irq_release(f[i]);
	}
	peal_its_counters(peal_machine_its(rig->machine), &c);
	thread_assert(c.errors == 0 && c.devices == 0 && c.events == 0);
	for (unsigned i = 0; i <= FULL; i++)
		peal_guest_function_free(f[i]);
	rig_guest_free(rig);
}

static void lpis_run_out_and_come_back(void **state)
{
	struct peal_pci_function *functions[FULL + 1];
	struct all_lpis *all = calloc(1, sizeof(*all));
	struct rig rig;

	(void)state;
	assert_non_null(all);
	rig_new(&rig, 2);
	for (unsigned i = 0; i <= FULL; i++) {
		functions[i] = rig_msix_function((uint16_t)(1 + i), VECTORS_MAX);
		all->msix[i] = peal_pci_function_msix(functions[i]);
		for (unsigned v = 0; v < VECTORS_MAX; v++)
			assert_int_equal(peal_msix_use(all->msix[i], v), 0);
		rig_plug(&rig, (uint8_t)(i << 3), functions[i]);
	}
	rig_run(&rig, use_all_lpis, all);
	for (unsigned i = 0; i <= FULL; i++)
		rig_unplug(&rig, functions[i]);
	rig_done(&rig);
	free(all);
}

/* ---- an interrupt that nobody wants ---- */

static void take_unwanted(struct rig *rig)
{
	struct peal_guest_function *f;
	struct line line = { 0 };
	struct peal_guest_vector v;
	double begin = rig_now();

	rig_guest_new(rig, PEAL_GUEST_RIGHT);
	f = rig_find(rig, 1);
	rig_set_master(f);
	thread_assert(ops()->irq_alloc(f, PEAL_IRQ_MSIX, 1) == 0);
	thread_assert(ops()->irq_setup(f, 0, NULL, NULL, 0) == 0);
	thread_assert(peal_guest_vector(f, 0, &v));
	thread_assert(peal_msix_notify(rig->user, 0) == 1);
	while (!peal_guest_unhandled(rig->guest)) {
		peal_vcpu_take_interrupts(rig->vcpu);
		thread_assert(rig_now() - begin < RIG_PATIENCE_S);
	}
	thread_assert(peal_guest_handled(rig->guest) == 0);
	ops()->irq_teardown(f, 0);
	/* Its LPI serves the next one. */
	thread_assert(ops()->irq_setup(f, 0, handle, &line, 1) == 0);
	raise_one(rig, rig->user, 0, &line);
	thread_assert(peal_guest_unhandled(rig->guest) == 1 && peal_guest_handled(rig->guest) == 1);
	ops()->irq_teardown(f, 0);
	ops()->irq_release(f);
	peal_guest_function_free(f);
	rig_guest_free(rig);
}

static void an_lpi_without_handler_is_counted(void **state)
{
	struct peal_pci_function *function = rig_msix_function(1, 1);
	struct rig rig;

	(void)state;
	assert_int_equal(peal_msix_use(peal_pci_function_msix(function), 0), 0);
	rig_new(&rig, 2);
	rig_plug(&rig, 1 << 3, function);
	rig_run(&rig, take_unwanted, peal_pci_function_msix(function));
	rig_unplug(&rig, function);
	rig_done(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(more_vectors_than_the_table_has_are_refused),
		cmocka_unit_test(vectors_need_guest_memory),
		cmocka_unit_test(one_vcpu_takes_all),
		cmocka_unit_test(each_vcpu_gets_its_own),
		cmocka_unit_test(vectors_go_round_the_vcpus),
		cmocka_unit_test(lpis_run_out_and_come_back),
		cmocka_unit_test(an_lpi_without_handler_is_counted),
	};

	return cmocka_run_group_tests_name("guest-irq", tests, NULL, NULL);
}
