/* SPDX-License-Identifier: BSD-2-Clause */
/* Functions come, change and go while other threads access them through ECAM and the spaces. */
#include "fixture.h"

#define ROUNDS 60u

/* ---- unplug waits ---- */

struct slow {
	struct fixture f;
	struct peal_space *config_space; /* ECAM of a CPU that is not the bus's memory */
	int inside;                      /* a thread is in the device */
	int entered;
	bool armed;
};

static void dawdle(struct slow *slow)
{
	if (!__atomic_exchange_n(&slow->armed, false, __ATOMIC_SEQ_CST))
		return;
	__atomic_store_n(&slow->inside, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&slow->entered, 1, __ATOMIC_SEQ_CST);
	/* Long enough that a caller who does not wait has returned. */
	for (unsigned i = 0; i < 3000; i++)
		peal_host_default()->relax(NULL);
	__atomic_store_n(&slow->inside, 0, __ATOMIC_SEQ_CST);
}

static void slow_reset(void *user)
{
	dawdle(user);
}

static uint64_t slow_read(void *user, uint64_t offset, unsigned size)
{
	(void)offset;
	(void)size;
	dawdle(user);
	return 0;
}

static void slow_write(void *user, uint64_t offset, unsigned size, uint64_t value)
{
	(void)value;
	(void)slow_read(user, offset, size);
}

static void slow_init(struct slow *slow)
{
	static const struct peal_pci_function_ops ops = { .reset = slow_reset };
	static const struct peal_pci_bar_ops bar_ops = { .read = slow_read, .write = slow_write };
	struct peal_pci_function_config config;
	struct peal_space_config space;
	struct fixture *f = &slow->f;

	memset(slow, 0, sizeof(*slow));
	fixture_init(f);
	peal_pci_function_free(f->function);
	config = function_config(f);
	config.ops = &ops;
	config.user = slow;
	assert_int_equal(peal_pci_function_new(&f->function, &config), 0);
	assert_int_equal(peal_pci_function_add_bar(f->function, 0, PEAL_PCI_BAR_MEM32, 4096,
						   &bar_ops, slow),
			 0);
	assert_int_equal(
		peal_pci_function_add_bar(f->function, 1, PEAL_PCI_BAR_IO, 16, &bar_ops, slow), 0);
	assert_int_equal(peal_pci_function_add_pci_express(f->function), 0);
	space = (struct peal_space_config){ .host = &f->host.host };
	assert_int_equal(peal_space_new(&slow->config_space, &space), 0);
	assert_int_equal(peal_space_map_ops(slow->config_space, 0, PEAL_PCI_ECAM_SIZE,
					    peal_pci_bus_ecam(), f->bus),
			 0);
	fixture_plug(f);
	config_write(f, BAR(0), 4, WINDOW32);
	config_write(f, BAR(1), 4, 0x100);
	set_command(f, COMMAND_MEMORY | COMMAND_IO);
	__atomic_store_n(&slow->armed, true, __ATOMIC_SEQ_CST);
}

static void slow_done(struct slow *slow)
{
	peal_space_free(slow->config_space);
	fixture_done(&slow->f);
}

static void unplug_when_entered(struct slow *slow)
{
	while (!__atomic_load_n(&slow->entered, __ATOMIC_SEQ_CST))
		peal_host_default()->relax(NULL);
	peal_pci_bus_unplug(slow->f.bus, slow->f.function);
	thread_assert(!__atomic_load_n(&slow->inside, __ATOMIC_SEQ_CST));
	slow->f.plugged = false;
}

static void access_memory(void *user, unsigned index)
{
	struct slow *slow = user;

	if (index)
		(void)space_read(slow->f.ram.space, WINDOW32, 4);
	else
		unplug_when_entered(slow);
}

static void access_io(void *user, unsigned index)
{
	struct slow *slow = user;

	if (index)
		(void)space_write(slow->f.io, 0x104, 4, 0);
	else
		unplug_when_entered(slow);
}

/* Function Level Reset through ECAM: the device is reset inside the access. */
static void access_ecam(void *user, unsigned index)
{
	struct slow *slow = user;

	if (index) {
		uint64_t at = space_read(slow->config_space, CAPABILITIES, 1);

		(void)space_write(slow->config_space, at + 8, 2, 0x8000);
	} else {
		unplug_when_entered(slow);
	}
}

static void unplug_waits_for_accesses_in_the_device(void **state)
{
	void (*const accesses[])(void *user, unsigned index) = {
		access_memory,
		access_io,
		access_ecam,
	};
	struct slow slow;

	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(accesses); i++) {
		slow_init(&slow);
		test_threads(2, accesses[i], &slow);
		assert_int_equal(slow.entered, 1);
		slow_done(&slow);
	}
}

/* ---- everything at once ---- */

struct storm {
	struct fixture f;
	bool stop;
};

/* A device in one thread at a time would not do here: several access it. */
static uint64_t storm_read(void *user, uint64_t offset, unsigned size)
{
	const uint64_t *word = user;

	(void)offset;
	return __atomic_load_n(word, __ATOMIC_RELAXED) & peal_ones(size);
}

static void storm_write(void *user, uint64_t offset, unsigned size, uint64_t value)
{
	(void)offset;
	(void)size;
	__atomic_store_n((uint64_t *)user, value, __ATOMIC_RELAXED);
}

/* Makes, plugs, unplugs and frees functions: what is freed is overwritten by the test's host. */
static void plugger(struct storm *storm, unsigned devfn)
{
	static const struct peal_pci_bar_ops ops = { .read = storm_read, .write = storm_write };
	const struct peal_pci_function_config config = {
		.host = &storm->f.host.host,
		.vendor_id = 0x1af4,
		.device_id = 0x1042,
		.class_code = 0x010802,
	};

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct peal_pci_function *function;
		uint64_t word = 0;

		thread_assert(peal_pci_function_new(&function, &config) == 0);
		thread_assert(peal_pci_function_add_bar(function, 0, PEAL_PCI_BAR_MEM32, 4096, &ops,
							&word) == 0);
		thread_assert(peal_pci_function_add_msix_exclusive(function, 3, 1) == 0);
		thread_assert(peal_pci_function_add_pci_express(function) == 0);
		thread_assert(peal_pci_bus_plug(storm->f.bus, (uint8_t)devfn, function) == 0);
		for (unsigned v = 0; v < 3; v++) {
			thread_assert(peal_msix_use(peal_pci_function_msix(function), v) == 0);
			(void)peal_msix_notify(peal_pci_function_msix(function), v);
			peal_host_default()->relax(NULL);
		}
		peal_pci_bus_unplug(storm->f.bus, function);
		thread_assert(!peal_pci_function_is_bus_master(function));
		peal_pci_function_free(function);
	}
}

/* A guest that writes whatever it likes to configuration space and finds BARs by chance. */
static void guest(struct storm *storm, unsigned index)
{
	uint64_t random = index;

	while (!__atomic_load_n(&storm->stop, __ATOMIC_RELAXED)) {
		uint64_t function = ECAM + (test_random_below(&random, 2) << 12);
		uint64_t place = WINDOW32 + (test_random_below(&random, 4) << 12);

		switch (test_random_below(&random, 6)) {
		case 0:
			(void)space_write(storm->f.ram.space, function + COMMAND, 2,
					  test_random(&random) & 7);
			break;
		case 1:
			(void)space_write(storm->f.ram.space,
					  function + BAR(test_random_below(&random, 2)), 4, place);
			break;
		case 2:
			(void)space_write(storm->f.ram.space,
					  function + 0x40 + test_random_below(&random, 64), 4,
					  test_random(&random));
			break;
		case 3:
			(void)space_write(storm->f.ram.space,
					  place + test_random_below(&random, 48), 4,
					  test_random(&random));
			break;
		case 4:
			(void)space_read(storm->f.ram.space,
					 place + test_random_below(&random, 4088), 8);
			break;
		default:
			(void)space_read(storm->f.ram.space,
					 function + test_random_below(&random, 256), 4);
		}
	}
}

static unsigned pluggers_left;

static void storm_thread(void *user, unsigned index)
{
	struct storm *storm = user;

	if (index >= 2) {
		guest(storm, index);
		return;
	}
	plugger(storm, index);
	if (__atomic_sub_fetch(&pluggers_left, 1, __ATOMIC_SEQ_CST) == 0)
		__atomic_store_n(&storm->stop, true, __ATOMIC_RELAXED);
}

static void functions_come_and_go_while_guests_access_them(void **state)
{
	struct storm storm = { 0 };

	(void)state;
	fixture_init(&storm.f);
	pluggers_left = 2;
	test_threads(5, storm_thread, &storm);
	/* Nothing is left in the spaces. */
	for (unsigned i = 0; i < 4; i++)
		assert_false(is_mapped(storm.f.ram.space, WINDOW32 + (i << 12)));
	assert_int_equal(space_read(storm.f.ram.space, ECAM, 4), 0xffffffff);
	fixture_done(&storm.f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unplug_waits_for_accesses_in_the_device),
		cmocka_unit_test(functions_come_and_go_while_guests_access_them),
	};

	return cmocka_run_group_tests_name("pci-bus-threads", tests, NULL, NULL);
}
