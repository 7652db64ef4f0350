/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI raised by a device's thread while the guest changes how many vectors there are: nothing is
 * left behind at a vector that nobody looks at any more. The interleavings that this meets by luck
 * are all in tests/models/msi.pml.
 */
#include <pthread.h>
#include <sched.h>

#include "fixture.h"

#define ID_MSI     0x05u
#define AT_CONTROL 2u
#define AT_ADDRESS 4u
#define AT_DATA    8u
#define AT_MASK    12u
#define ENABLE(n)  (1u | (n) << 4) /* 2^n vectors */
#define ROUNDS     20000u

struct race {
	struct fixture f;
	struct peal_msi *msi;
	unsigned at;
	unsigned last;  /* the vector that is raised */
	uint32_t round; /* that the device may go on with */
	uint32_t done;  /* rounds that it has ended */
};

static void init_sink(struct race *r, const struct peal_msi_sink *sink, unsigned vectors,
		      bool last_only)
{
	const struct peal_msi_config config = { .vectors = vectors, .maskable = true };

	memset(r, 0, sizeof(*r));
	fixture_init_sink(&r->f, sink);
	assert_int_equal(peal_pci_function_add_msi(r->f.function, &config), 0);
	r->msi = peal_pci_function_msi(r->f.function);
	r->at = find_capability(r->f.function, ID_MSI, 0);
	r->last = vectors - 1;
	for (unsigned i = last_only ? r->last : 0; i < vectors; i++)
		assert_int_equal(peal_msi_use(r->msi, i), 0);
	fixture_plug(&r->f);
	set_command(&r->f, COMMAND_BUS_MASTER);
	config_write(&r->f, r->at + AT_ADDRESS, 4, 0xfee00000);
	config_write(&r->f, r->at + AT_DATA, 2, 0x40);
	/* As drivers do: masked are those that nobody asked for. */
	config_write(&r->f, r->at + AT_MASK, 4, ~1u);
}

static void *device(void *user)
{
	struct race *r = user;

	for (uint32_t round = 1; round <= ROUNDS; round++) {
		while (__atomic_load_n(&r->round, __ATOMIC_ACQUIRE) < round)
			sched_yield();
		for (unsigned i = 0; i <= round % 4; i++)
			(void)peal_msi_notify(r->msi, r->last);
		__atomic_store_n(&r->done, round, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void change_and_raise(unsigned vectors, unsigned log2, bool last_only)
{
	struct peal_msix_counters c;
	uint64_t raised = 0;
	unsigned stuck = 0, miscounted = 0;
	pthread_t thread;
	struct race r;

	init_sink(&r, NULL, vectors, last_only);
	assert_int_equal(pthread_create(&thread, NULL, device, &r), 0);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		__atomic_store_n(&r.round, round, __ATOMIC_RELEASE);
		/* Off, with all there are, and with one, in which all come as vector 0. */
		config_write(&r.f, r.at + AT_CONTROL, 2, 0);
		if (round % 2)
			config_write(&r.f, r.at + AT_CONTROL, 2, ENABLE(log2));
		config_write(&r.f, r.at + AT_CONTROL, 2, ENABLE(0u));
		while (__atomic_load_n(&r.done, __ATOMIC_ACQUIRE) < round)
			sched_yield();
		raised += 1 + round % 4;
		peal_msi_counters(r.msi, PEAL_MSIX_ALL, &c);
		stuck += config_read(&r.f, r.at + AT_MASK + 4, 4) != 0;
		miscounted += c.sent + c.merged != raised ||
			      c.sent - c.refired + c.pended + c.merged != raised;
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(stuck, 0);
	assert_int_equal(miscounted, 0);
	assert_int_equal(test_sink_last(&r.f.sink)->data, 0x40);
	fixture_done(&r.f);
}

static void change_of_the_number_loses_nothing_and_sends_nothing_twice(void **state)
{
	(void)state;
	change_and_raise(2, 1, false);
	change_and_raise(32, 5, false);
}

static void change_of_the_number_is_heard_by_the_only_user(void **state)
{
	(void)state;
	change_and_raise(2, 1, true);
	change_and_raise(32, 5, true);
}

/* ---- only the last vector is used, and enabled, or one ---- */

struct grown {
	struct race r;
	bool done;
	bool all;      /* all are being enabled; of the guest's thread */
	uint64_t lost; /* messages that name a vector that nobody uses */
};

static __thread bool is_guest;

static int grown_deliver(void *user, const struct peal_msi_msg *msg)
{
	struct grown *g = user;

	if (is_guest && g->all && msg->data != 0x40 + g->r.last)
		peal_count(&g->lost, 1);
	return 1;
}

static void *grown_device(void *user)
{
	struct grown *g = user;

	while (!__atomic_load_n(&g->done, __ATOMIC_RELAXED))
		(void)peal_msi_notify(g->r.msi, g->r.last);
	return NULL;
}

/* What pended while one was enabled, or is raised as one amid the change, names the only user. */
static void change_to_more_vectors_names_the_only_user(void **state)
{
	static const struct peal_msi_sink_ops ops = { .deliver = grown_deliver };
	static struct grown g;
	const struct peal_msi_sink sink = { .ops = &ops, .user = &g };
	struct peal_msix_counters c;
	pthread_t thread;

	(void)state;
	g = (struct grown){ 0 };
	init_sink(&g.r, &sink, 32, true);
	config_write(&g.r.f, g.r.at + AT_MASK, 4, 0);
	is_guest = true;
	assert_int_equal(pthread_create(&thread, NULL, grown_device, &g), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		config_write(&g.r.f, g.r.at + AT_CONTROL, 2, ENABLE(i % 5));
		g.all = true;
		config_write(&g.r.f, g.r.at + AT_CONTROL, 2, ENABLE(5u));
		g.all = false;
	}
	__atomic_store_n(&g.done, true, __ATOMIC_RELAXED);
	assert_int_equal(pthread_join(thread, NULL), 0);
	is_guest = false;
	assert_int_equal(g.lost, 0);
	peal_msi_counters(g.r.msi, PEAL_MSIX_ALL, &c);
	assert_int_equal(c.pended, c.refired);
	fixture_done(&g.r.f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(change_of_the_number_loses_nothing_and_sends_nothing_twice),
		cmocka_unit_test(change_of_the_number_is_heard_by_the_only_user),
		cmocka_unit_test(change_to_more_vectors_names_the_only_user),
	};

	return cmocka_run_group_tests_name("pci-msi-threads", tests, NULL, NULL);
}
