/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ten million raises from four threads while two mask, one toggles Function Mask (with MSI: the
 * number of vectors) and one toggles Enable. Each raise was delivered or merged into a pending bit,
 * to the last one.
 */
#include "fixture.h"

#define RAISERS 4u
#define THREADS (RAISERS + 4)
#define RAISES  2500000u /* of each raiser */
#define VECTORS 8u

#define ID_MSI      0x05u
#define MSI_CONTROL 2u
#define MSI_MASK    16u
#define MSI_ENABLE  0x01u
#define MULTIPLE(n) ((n) << 4)
#define MSI_ADDRESS UINT64_C(0xfee00000)

struct storm {
	struct fixture f;
	struct peal_msi *msi; /* NULL: MSI-X */
	unsigned raising;
	uint64_t delivered;
	uint64_t raised;
	uint64_t changes;
	/* Of MSI, whose masks and control are bits of shared registers. */
	struct peal_mutex registers;
	unsigned masks, control;
};

static int deliver(void *user, const struct peal_msi_msg *msg)
{
	struct storm *storm = user;

	thread_assert(msg->address >> 8 == MSI_ADDRESS >> 8 && msg->requester_id == REQUESTER);
	thread_assert(storm->msi ? msg->data < VECTORS
				 : msg->data == VECTOR_DATA((unsigned)msg->address >> 4 & 0xf));
	peal_count(&storm->delivered, 1);
	return 1;
}

static void raise_all(struct storm *storm, unsigned me)
{
	uint64_t random = me;

	for (unsigned i = 0; i < RAISES; i++) {
		unsigned vector = (unsigned)test_random_below(&random, VECTORS);
		int r = storm->msi ? peal_msi_notify(storm->msi, vector)
				   : peal_msix_notify(storm->f.msix, vector);

		thread_assert(r == 0 || r == 1);
		/* Few processors: let the guest have its turn. */
		if (i % 64 == 0)
			peal_host_default()->relax(NULL);
	}
	peal_count(&storm->raised, RAISES);
	(void)__atomic_sub_fetch(&storm->raising, 1, __ATOMIC_RELEASE);
}

/* Threads 0 and 1 mask vectors, 2 and 3 toggle bits of the control word. */
static void change_msix(struct storm *storm, unsigned which, uint64_t *random)
{
	struct fixture *f = &storm->f;
	bool work = test_random_below(random, 4);

	if (which < 2)
		set_mask(f, 4 * which + (unsigned)test_random_below(random, 4), !work);
	else if (which == 2)
		config_write(f, f->capability + MSIX_CONTROL + 1, 1, work ? 0x80 : 0xc0);
	else
		config_write(f, f->capability + MSIX_CONTROL + 1, 1, work ? 0x80 : 0);
}

static void change_msi(struct storm *storm, unsigned which, uint64_t *random)
{
	struct fixture *f = &storm->f;
	unsigned bit = 1u << (4 * (which & 1) + test_random_below(random, 4));

	peal_mutex_lock(&storm->registers);
	if (which < 2)
		storm->masks = test_random_below(random, 4) ? storm->masks & ~bit
							    : storm->masks | bit;
	else if (which == 2)
		storm->control = (storm->control & MSI_ENABLE) |
				 MULTIPLE((unsigned)test_random_below(random, 4));
	else
		storm->control = (storm->control & ~MSI_ENABLE) |
				 (test_random_below(random, 4) ? MSI_ENABLE : 0);
	if (which < 2)
		config_write(f, f->capability + MSI_MASK, 1, storm->masks);
	else
		config_write(f, f->capability + MSI_CONTROL, 2, storm->control);
	peal_mutex_unlock(&storm->registers);
}

static void thread(void *user, unsigned index)
{
	struct storm *storm = user;
	uint64_t random = index;

	if (index < RAISERS) {
		raise_all(storm, index);
		return;
	}
	while (__atomic_load_n(&storm->raising, __ATOMIC_ACQUIRE) > 0) {
		if (storm->msi)
			change_msi(storm, index - RAISERS, &random);
		else
			change_msix(storm, index - RAISERS, &random);
		peal_count(&storm->changes, 1);
		peal_host_default()->relax(NULL);
	}
}

static void account(struct storm *storm, const struct peal_msix_counters *c)
{
	print_message("# %llu raised, %llu delivered (%llu of them pended), %llu merged, "
		      "%llu changes\n",
		      (unsigned long long)storm->raised, (unsigned long long)storm->delivered,
		      (unsigned long long)c->pended, (unsigned long long)c->merged,
		      (unsigned long long)storm->changes);
	assert_int_equal(storm->raised, RAISERS * RAISES);
	assert_int_equal(storm->raised, storm->delivered + c->merged);
	assert_int_equal(c->sent, storm->delivered);
	assert_int_equal(c->refired, c->pended);
	assert_int_equal(c->dropped + c->blocked + c->failed, 0);
	assert_true(c->pended > 0 && c->merged > 0);
}

static const struct peal_msi_sink_ops sink_ops = { .deliver = deliver };

static void ten_million_msix_raises_are_delivered_or_merged(void **state)
{
	static struct storm storm;
	const struct peal_msi_sink sink = { .ops = &sink_ops, .user = &storm };
	struct peal_msix_counters c;

	(void)state;
	fixture_init_msix_sink(&storm.f, VECTORS, &sink);
	storm.raising = RAISERS;
	for (unsigned v = 0; v < VECTORS; v++)
		program_vector(&storm.f, v, false);
	set_control(&storm.f, MSIX_ENABLE);
	test_threads(THREADS, thread, &storm);
	set_control(&storm.f, MSIX_ENABLE);
	for (unsigned v = 0; v < VECTORS; v++)
		set_mask(&storm.f, v, false);
	assert_int_equal(table_read(&storm.f, 2048, 8), 0);
	c = counters(storm.f.msix, PEAL_MSIX_ALL);
	account(&storm, &c);
	fixture_done(&storm.f);
}

static void ten_million_msi_raises_are_delivered_or_merged(void **state)
{
	static struct storm storm;
	const struct peal_msi_sink sink = { .ops = &sink_ops, .user = &storm };
	const struct peal_msi_config config = { .vectors = VECTORS,
						.wide = true,
						.maskable = true };
	struct peal_msix_counters c;
	struct fixture *f = &storm.f;

	(void)state;
	fixture_init_sink(f, &sink);
	assert_int_equal(peal_pci_function_add_msi(f->function, &config), 0);
	storm.msi = peal_pci_function_msi(f->function);
	storm.raising = RAISERS;
	assert_int_equal(peal_mutex_init(&storm.registers, peal_host_default()), 0);
	f->capability = find_capability(f->function, ID_MSI, 0);
	for (unsigned v = 0; v < VECTORS; v++)
		assert_int_equal(peal_msi_use(storm.msi, v), 0);
	fixture_plug(f);
	set_command(f, COMMAND_BUS_MASTER);
	config_write(f, f->capability + 4, 8, MSI_ADDRESS);
	test_threads(THREADS, thread, &storm);
	config_write(f, f->capability + MSI_MASK, 4, 0);
	config_write(f, f->capability + MSI_CONTROL, 2, MSI_ENABLE | MULTIPLE(3));
	assert_int_equal(config_read(f, f->capability + MSI_MASK + 4, 4), 0);
	peal_msi_counters(storm.msi, PEAL_MSIX_ALL, &c);
	account(&storm, &c);
	peal_mutex_done(&storm.registers);
	fixture_done(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_million_msix_raises_are_delivered_or_merged),
		cmocka_unit_test(ten_million_msi_raises_are_delivered_or_merged),
	};

	return cmocka_run_group_tests_name("pci-storm-long", tests, NULL, NULL);
}
