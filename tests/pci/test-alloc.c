/* SPDX-License-Identifier: BSD-2-Clause */
/* Every allocation of every constructor fails once: -ENOMEM, nothing left, nothing half done. */
#include "fixture.h"

#define UNTOUCHED ((void *)(uintptr_t)0x1234)

static const struct peal_pci_function_config plain = {
	.vendor_id = 0x1af4,
	.device_id = 0x1042,
	.class_code = 0x010802,
};

static int make_function(const struct peal_host *host, void *user)
{
	struct peal_pci_function_config config = plain;
	struct peal_pci_function *function = UNTOUCHED;
	int r;

	(void)user;
	config.host = host;
	r = peal_pci_function_new(&function, &config);
	if (r == 0)
		peal_pci_function_free(function);
	else
		assert_ptr_equal(function, UNTOUCHED);
	return r;
}

static void function_new(void **state)
{
	(void)state;
	(void)test_every_allocation(make_function, NULL);
}

static int make_bus(const struct peal_host *host, void *user)
{
	const struct peal_pci_bus_config config = { .host = host };
	struct peal_pci_bus *bus = UNTOUCHED;
	int r = peal_pci_bus_new(&bus, &config);

	(void)user;
	if (r == 0)
		peal_pci_bus_free(bus);
	else
		assert_ptr_equal(bus, UNTOUCHED);
	return r;
}

static void bus_new(void **state)
{
	(void)state;
	(void)test_every_allocation(make_bus, NULL);
}

/* MSI-X on a function that is there: what fails leaves it as it was, and works when tried again. */
static void add_msix(int (*add)(struct peal_pci_function *function))
{
	for (int64_t n = 0;; n++) {
		struct peal_pci_function *function;
		uint64_t before[32];
		struct test_host th;
		int64_t live;
		int r;

		test_host_init(&th);
		assert_int_equal(peal_pci_function_new(
					 &function,
					 &(struct peal_pci_function_config){ .host = &th.host }),
				 0);
		assert_int_equal(peal_pci_function_add_bar(function, 0, PEAL_PCI_BAR_MEM32, 4096,
							   NULL, NULL),
				 0);
		for (unsigned i = 0; i < 32; i++)
			before[i] = peal_pci_config_read(function, 8 * i, 8);
		live = th.live;
		test_host_fail_in(&th, n);
		r = add(function);
		if (r == 0) {
			assert_true(n > 0);
			assert_non_null(peal_pci_function_msix(function));
			peal_pci_function_free(function);
			test_host_done(&th);
			return;
		}
		assert_int_equal(r, -ENOMEM);
		assert_int_equal(th.live, live);
		assert_null(peal_pci_function_msix(function));
		assert_int_equal(peal_pci_bar_size(function, 1), 0);
		for (unsigned i = 0; i < 32; i++)
			assert_int_equal(peal_pci_config_read(function, 8 * i, 8), before[i]);
		test_host_fail_never(&th);
		assert_int_equal(add(function), 0);
		peal_pci_function_free(function);
		test_host_done(&th);
	}
}

static int add_to_bar(struct peal_pci_function *function)
{
	const struct peal_msix_config config = { .vectors = 64, .pba_offset = 2048 };

	return peal_pci_function_add_msix(function, &config);
}

static int add_exclusive(struct peal_pci_function *function)
{
	return peal_pci_function_add_msix_exclusive(function, 2048, 1);
}

static void msix_in_a_bar(void **state)
{
	(void)state;
	add_msix(add_to_bar);
}

static void msix_with_a_bar_of_its_own(void **state)
{
	(void)state;
	add_msix(add_exclusive);
}

/* A space that cannot take another range: the BAR does not decode, and does once there is room. */
static void bar_without_room_in_its_space_waits(void **state)
{
	const uint64_t away = WINDOW32 + 0x800000;
	struct fixture f;
	uint8_t ram[16];
	unsigned mapped = 0;

	(void)state;
	fixture_init(&f);
	assert_int_equal(peal_pci_function_add_bar(f.function, 0, PEAL_PCI_BAR_MEM32, 4096,
						   &device_bar_ops, &f.device),
			 0);
	fixture_plug(&f);
	config_write(&f, BAR(0), 4, WINDOW32);
	/* Fill the space's nodes until the next one needs memory, which is not there. */
	do {
		test_host_fail_in(&f.host, 0);
	} while (peal_space_map(f.ram.space, away + 16 * mapped++, 16, ram, PEAL_MEM_RW) == 0);
	test_host_fail_in(&f.host, 0);
	set_command(&f, COMMAND_MEMORY);
	assert_false(is_mapped(f.ram.space, WINDOW32));
	assert_int_equal(peal_pci_bus_misplaced(f.bus), 1);
	test_host_fail_never(&f.host);
	set_command(&f, 0);
	set_command(&f, COMMAND_MEMORY);
	assert_true(is_mapped(f.ram.space, WINDOW32));
	fixture_done(&f);
}

static void free_takes_null(void **state)
{
	(void)state;
	peal_pci_function_free(NULL);
	peal_pci_bus_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(function_new),
		cmocka_unit_test(bus_new),
		cmocka_unit_test(msix_in_a_bar),
		cmocka_unit_test(msix_with_a_bar_of_its_own),
		cmocka_unit_test(bar_without_room_in_its_space_waits),
		cmocka_unit_test(free_takes_null),
	};

	return cmocka_run_group_tests_name("pci-alloc", tests, NULL, NULL);
}
