/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owners come and go while a device raises: an owner gets what it has opened and nothing else, two
 * owners are not mixed up, and no message that the guest did not unmask goes to the sink.
 */
#include "fixture.h"

#define VECTORS 2u
#define ROUNDS  3000u

struct owners {
	struct fixture f;
	struct peal_msi *msi;
	bool with_msi;
	unsigned raising;
	uint64_t delivered; /* to all owners */
	uint64_t sunk;
	/* Each round has an owner of its own, of one of two kinds. */
	struct one {
		struct owners *all;
		unsigned kind;
		bool open; /* vector 0; a raise on its way may come after it was closed */
		uint64_t wrong;
	} one[ROUNDS];
};

static int deliver_as(void *user, unsigned vector, unsigned kind)
{
	struct one *one = user;

	if (one->kind != kind || vector != 0 || !__atomic_load_n(&one->open, __ATOMIC_SEQ_CST))
		peal_count(&one->wrong, 1);
	peal_count(&one->all->delivered, 1);
	return 1;
}

static int deliver_0(void *user, unsigned vector)
{
	return deliver_as(user, vector, 0);
}

static int deliver_1(void *user, unsigned vector)
{
	return deliver_as(user, vector, 1);
}

static const struct peal_vector_owner kinds[] = {
	{ .deliver = deliver_0 },
	{ .deliver = deliver_1 },
};

static int sink(void *user, const struct peal_msi_msg *msg)
{
	(void)msg;
	peal_count(&((struct owners *)user)->sunk, 1);
	return 1;
}

static void set_owner(struct owners *o, struct one *one)
{
	const struct peal_vector_owner *ops = one ? &kinds[one->kind] : NULL;
	int r = o->with_msi ? peal_msi_set_owner(o->msi, ops, one)
			    : peal_msix_set_owner(o->f.msix, ops, one);

	thread_assert(r == 0);
}

static void open_vector(struct owners *o, bool open)
{
	if (o->with_msi)
		peal_msi_open(o->msi, 0, open);
	else
		peal_msix_open(o->f.msix, 0, open);
}

/* The second vector stays closed. */
static void own_and_leave(struct owners *o, unsigned round)
{
	struct one *one = &o->one[round];
	uint64_t before = __atomic_load_n(&o->delivered, __ATOMIC_RELAXED);

	one->all = o;
	one->kind = round % 2;
	set_owner(o, one);
	if (round % 8 < 4)
		peal_host_default()->relax(NULL);
	__atomic_store_n(&one->open, true, __ATOMIC_SEQ_CST);
	open_vector(o, true);
	/* It is raised all the time. */
	while (round % 16 == 0 && __atomic_load_n(&o->delivered, __ATOMIC_RELAXED) == before)
		peal_host_default()->relax(NULL);
	if (round % 3 == 0)
		open_vector(o, false);
	set_owner(o, NULL);
}

static void owners_thread(void *user, unsigned index)
{
	struct owners *o = user;

	if (index == 0) {
		for (unsigned round = 0; round < ROUNDS; round++)
			own_and_leave(o, round);
		__atomic_store_n(&o->raising, 0, __ATOMIC_RELEASE);
		return;
	}
	for (unsigned i = 0; __atomic_load_n(&o->raising, __ATOMIC_ACQUIRE); i++) {
		for (unsigned v = 0; v < VECTORS; v++)
			(void)(o->with_msi ? peal_msi_notify(o->msi, v)
					   : peal_msix_notify(o->f.msix, v));
		/* Few processors: let the owners have their turn. */
		if (i % 64 == 0)
			peal_host_default()->relax(NULL);
	}
}

static void init(struct owners *o, const struct peal_msi_sink *the_sink)
{
	const struct peal_msi_config msi = { .vectors = VECTORS };
	struct fixture *f = &o->f;

	fixture_init_sink(f, the_sink);
	assert_int_equal(peal_pci_function_add_msix_exclusive(f->function, VECTORS, 0), 0);
	assert_int_equal(peal_pci_function_add_msi(f->function, &msi), 0);
	f->msix = peal_pci_function_msix(f->function);
	o->msi = peal_pci_function_msi(f->function);
	for (unsigned v = 0; v < VECTORS; v++) {
		assert_int_equal(peal_msix_use(f->msix, v), 0);
		assert_int_equal(peal_msi_use(o->msi, v), 0);
	}
	fixture_plug(f);
	set_command(f, COMMAND_BUS_MASTER);
}

static void owners_get_what_they_opened_and_the_sink_nothing(void **state)
{
	static const struct peal_msi_sink_ops sink_ops = { .deliver = sink };
	static struct owners o;
	const struct peal_msi_sink the_sink = { .ops = &sink_ops, .user = &o };

	(void)state;
	for (unsigned with_msi = 0; with_msi < 2; with_msi++) {
		memset(&o, 0, sizeof(o));
		o.with_msi = with_msi;
		init(&o, &the_sink);
		if (with_msi)
			config_write(&o.f, find_capability(o.f.function, 0x05, 0) + 2, 2, 0x11);
		else
			config_write(&o.f, find_capability(o.f.function, ID_MSIX, 0) + MSIX_CONTROL,
				     2, MSIX_ENABLE);
		o.raising = 1;
		test_threads(3, owners_thread, &o);
		assert_true(o.delivered > 0);
		for (unsigned i = 0; i < ROUNDS; i++)
			assert_int_equal(o.one[i].wrong, 0);
		/* The guest unmasked no entry of MSI-X's table; MSI has no masks here. */
		assert_true(with_msi || o.sunk == 0);
		fixture_done(&o.f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(owners_get_what_they_opened_and_the_sink_nothing),
	};

	return cmocka_run_group_tests_name("pci-owner-threads", tests, NULL, NULL);
}
