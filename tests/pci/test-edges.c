/* SPDX-License-Identifier: BSD-2-Clause */
/* Refusals and rare ways that no other program of this directory takes. */
#include "fixture.h"

static void extended_capabilities_need_extended_space_and_room(void **state)
{
	static const struct peal_reg rows[] = {
		PEAL_PCI_EXTENDED_HEADER,
		{ .offset = 4, .width = 4, .rw = 0xff, .name = "A register", .section = "none" },
	};
	struct fixture f;
	unsigned added = 0;
	uint16_t at = 0;
	int r;

	(void)state;
	fixture_init(&f);
	r = peal_pci_function_add_extended(f.function, 0xb, 1, 8, rows, 2, NULL, &at);
	assert_int_equal(r, -ENOTSUP);
	assert_int_equal(peal_pci_function_add_pci_express(f.function), 0);
	r = peal_pci_function_add_extended(f.function, 0xb, 1, 2, rows, 2, NULL, &at);
	assert_int_equal(r, -EINVAL);
	r = peal_pci_function_add_extended(f.function, 0xb, 1, 10, rows, 2, NULL, &at);
	assert_int_equal(r, -EINVAL);
	r = peal_pci_function_add_extended(f.function, 0xb, 16, 8, rows, 2, NULL, &at);
	assert_int_equal(r, -EINVAL);
	assert_int_equal(at, 0);
	/* 0x100..0xfff is full, or the bank is. */
	while ((r = peal_pci_function_add_extended(f.function, 0xb, 1, 1024, rows, 2, NULL, &at)) ==
	       0)
		added++;
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(added, 3);
	for (added = 0; added < 64; added++) {
		r = peal_pci_function_add_extended(f.function, 0xb, 1, 8, rows, 2, NULL, &at);
		if (r < 0)
			break;
	}
	assert_int_equal(r, -ENOSPC);
	/* Three of 1 KiB, PCI Express, and then as many as there may be. */
	assert_int_equal(added, PEAL_PCI_CAPABILITIES - 4);
	fixture_done(&f);
}

/* Every way to add one more answers -ENOSPC, with nothing changed, though there is room. */
static void capabilities_past_the_limit_are_refused_whole(void **state)
{
	static const struct peal_reg rows[] = { PEAL_PCI_EXTENDED_HEADER };
	const struct peal_msi_config msi = { .vectors = 1 };
	uint64_t before[64];
	struct fixture f;
	uint16_t extended = 0xeeee;
	uint8_t at = 0xee;

	(void)state;
	fixture_init(&f);
	assert_int_equal(peal_pci_function_add_pci_express(f.function), 0);
	for (unsigned i = 1; i < PEAL_PCI_CAPABILITIES; i++)
		assert_int_equal(peal_pci_function_add_extended(f.function, 0xb, 1, 4, rows, 1,
								NULL, NULL),
				 0);
	for (unsigned i = 0; i < 64; i++)
		before[i] = config_read(&f, 8 * i, 8);
	assert_int_equal(peal_pci_function_add_extended(f.function, 0xb, 1, 4, rows, 1, NULL,
							&extended),
			 -ENOSPC);
	assert_int_equal(peal_pci_function_add_aer(f.function), -ENOSPC);
	assert_int_equal(peal_pci_function_add_serial_number(f.function, 1), -ENOSPC);
	assert_int_equal(peal_pci_function_add_power_management(f.function), -ENOSPC);
	assert_int_equal(peal_pci_function_add_vendor(f.function, "\3", 3, &at), -ENOSPC);
	assert_int_equal(peal_pci_function_add_msi(f.function, &msi), -ENOSPC);
	assert_int_equal(peal_pci_function_add_msix_exclusive(f.function, 4, 0), -ENOSPC);
	assert_int_equal(extended, 0xeeee);
	assert_int_equal(at, 0xee);
	assert_null(peal_pci_function_msi(f.function));
	assert_null(peal_pci_function_msix(f.function));
	assert_int_equal(peal_pci_bar_size(f.function, 0), 0);
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(config_read(&f, 8 * i, 8), before[i]);
	fixture_done(&f);
}

/* Those of which a function has one. */
static void second_capability_of_its_kind_is_refused(void **state)
{
	const struct peal_msi_config msi = { .vectors = 1 };
	uint64_t before[64];
	struct fixture f;

	(void)state;
	fixture_init(&f);
	for (unsigned time = 0; time < 2; time++) {
		int r = time ? -EBUSY : 0;

		assert_int_equal(peal_pci_function_add_power_management(f.function), r);
		assert_int_equal(peal_pci_function_add_pci_express(f.function), r);
		assert_int_equal(peal_pci_function_add_msi(f.function, &msi), r);
		assert_int_equal(peal_pci_function_add_msix_exclusive(f.function, 4, 0), r);
		assert_int_equal(peal_pci_function_add_aer(f.function), r);
		assert_int_equal(peal_pci_function_add_serial_number(f.function, 7), r);
		for (unsigned i = 0; i < 64; i++) {
			if (time)
				assert_int_equal(config_read(&f, 8 * i, 8), before[i]);
			before[i] = config_read(&f, 8 * i, 8);
		}
	}
	fixture_done(&f);
}

static void extended_header_is_the_function_s(void **state)
{
	static const struct peal_reg rows[] = {
		PEAL_PCI_EXTENDED_HEADER,
		{ .offset = 4, .width = 4, .rw = 0xff, .name = "A register", .section = "none" },
	};
	struct fixture f;
	uint16_t at;

	(void)state;
	fixture_init(&f);
	assert_int_equal(peal_pci_function_add_pci_express(f.function), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(peal_pci_function_add_extended(f.function, 0xb, 1, 8, rows, 2,
								NULL, &at),
				 0);
		assert_int_equal(at, 0x100 + 8 * i);
	}
	config_write(&f, 0x100, 8, ~UINT64_C(0));
	assert_int_equal(config_read(&f, 0x100, 8), UINT64_C(0xff1081000b));
	assert_int_equal(config_read(&f, 0x108, 8), 0x0001000b);
	fixture_done(&f);
}

/* A platform without messages: with -ENOTSUP a device knows that INTx is what it has. */
static void platform_without_messages_refuses_msi_and_msix(void **state)
{
	const struct peal_msix_config msix = { .vectors = 4, .pba_offset = 2048 };
	const struct peal_msi_config msi = { .vectors = 4 };
	struct peal_pci_function_config config;
	uint64_t before[32];
	struct fixture f;
	int64_t live;

	(void)state;
	fixture_init(&f);
	peal_pci_function_free(f.function);
	config = function_config(&f);
	config.no_messages = true;
	assert_int_equal(peal_pci_function_new(&f.function, &config), 0);
	assert_int_equal(
		peal_pci_function_add_bar(f.function, 0, PEAL_PCI_BAR_MEM32, 4096, NULL, NULL), 0);
	live = f.host.live;
	for (unsigned i = 0; i < 32; i++)
		before[i] = config_read(&f, 8 * i, 8);
	assert_int_equal(peal_pci_function_add_msix(f.function, &msix), -ENOTSUP);
	assert_int_equal(peal_pci_function_add_msix_exclusive(f.function, 4, 1), -ENOTSUP);
	assert_int_equal(peal_pci_function_add_msi(f.function, &msi), -ENOTSUP);
	assert_null(peal_pci_function_msix(f.function));
	assert_null(peal_pci_function_msi(f.function));
	assert_int_equal(peal_pci_bar_size(f.function, 1), 0);
	assert_int_equal(f.host.live, live);
	for (unsigned i = 0; i < 32; i++)
		assert_int_equal(config_read(&f, 8 * i, 8), before[i]);
	fixture_plug(&f);
	peal_pci_function_set_intx(f.function, true);
	assert_true(peal_pci_bus_intx_level(f.bus, 0));
	fixture_done(&f);
}

/* Its functions would have nowhere to send to. */
static void bus_without_sink_takes_no_function_with_messages(void **state)
{
	const struct peal_msi_config msi = { .vectors = 4 };
	struct fixture f;
	struct peal_pci_bus *bus;

	(void)state;
	for (unsigned kind = 0; kind < 3; kind++) {
		struct peal_pci_bus_config config;

		fixture_init(&f);
		config = (struct peal_pci_bus_config){ .host = &f.host.host,
						       .memory = f.ram.space,
						       .dma = f.ram.space };
		assert_int_equal(peal_pci_bus_new(&bus, &config), 0);
		if (kind == 1)
			assert_int_equal(peal_pci_function_add_msi(f.function, &msi), 0);
		if (kind == 2)
			assert_int_equal(peal_pci_function_add_msix_exclusive(f.function, 4, 0), 0);
		assert_int_equal(peal_pci_bus_plug(bus, 8, f.function), kind ? -ENOTSUP : 0);
		if (kind == 0)
			peal_pci_bus_unplug(bus, f.function);
		/* It is as it was, and can go elsewhere. */
		assert_int_equal(peal_pci_function_requester_id(f.function), kind ? 0 : 8);
		peal_pci_bus_free(bus);
		fixture_plug(&f);
		fixture_done(&f);
	}
}

static void bar_whose_device_only_writes_reads_zero(void **state)
{
	static const struct peal_pci_bar_ops ops = { .write = device_write };
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(peal_pci_function_add_bar(f.function, 0, PEAL_PCI_BAR_MEM32, 4096, &ops,
						   &f.device),
			 0);
	table_write(&f, 8, 4, 0x12345678);
	assert_int_equal(f.device.accesses, 1);
	assert_int_equal(table_read(&f, 8, 4), 0);
	assert_int_equal(f.device.accesses, 1);
	fixture_done(&f);
}

static int fail_use(void *user, unsigned vector, const struct peal_msi_msg *msg)
{
	unsigned *fails = user;

	(void)vector;
	(void)msg;
	return *fails ? -ENOSPC : 0;
}

static void no_release(void *user, unsigned vector)
{
	(void)user;
	(void)vector;
}

/* With neither poll nor brackets; a changed message that it cannot take is counted. */
static void consumer_of_two_callbacks_may_fail_an_announcement(void **state)
{
	static const struct peal_vector_consumer consumer = { .use = fail_use,
							      .release = no_release };
	unsigned fails = 0;
	struct fixture f;

	(void)state;
	fixture_init_msix(&f, 2);
	program_vector(&f, 0, false);
	set_control(&f, MSIX_ENABLE);
	assert_int_equal(peal_msix_set_consumer(f.msix, &consumer, &fails), 0);
	fails = 1;
	table_write(&f, 8, 4, 0x77);
	assert_int_equal(counters(f.msix, 0).use_failed, 1);
	assert_false(pba(&f, 0));
	assert_int_equal(peal_msix_notify(f.msix, 0), 1);
	assert_message(&f.sink, VECTOR_ADDRESS(0), 0x77);
	assert_int_equal(peal_msix_set_consumer(f.msix, NULL, NULL), 0);
	fixture_done(&f);
}

static int make_msi(const struct peal_host *host, void *user)
{
	const struct peal_pci_function_config config = { .host = host };
	struct peal_pci_function *function;
	int r = peal_pci_function_new(&function, &config);

	(void)user;
	if (r < 0)
		return r;
	r = peal_pci_function_add_msi(function, &(struct peal_msi_config){ .vectors = 4 });
	assert_int_equal(!!peal_pci_function_msi(function), r == 0);
	peal_pci_function_free(function);
	return r;
}

static void msi_without_memory_leaves_nothing(void **state)
{
	(void)state;
	assert_in_range(test_every_allocation(make_msi, NULL), 4, 8);
}

static void msi_at_a_taken_position_is_refused(void **state)
{
	struct peal_msi_config config = { .vectors = 4, .position = 0x40 };
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(peal_pci_function_add_power_management(f.function), 0);
	assert_int_equal(peal_pci_function_add_msi(f.function, &config), -EINVAL);
	assert_null(peal_pci_function_msi(f.function));
	config.position = 0x48;
	assert_int_equal(peal_pci_function_add_msi(f.function, &config), 0);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(extended_capabilities_need_extended_space_and_room),
		cmocka_unit_test(capabilities_past_the_limit_are_refused_whole),
		cmocka_unit_test(second_capability_of_its_kind_is_refused),
		cmocka_unit_test(extended_header_is_the_function_s),
		cmocka_unit_test(platform_without_messages_refuses_msi_and_msix),
		cmocka_unit_test(bus_without_sink_takes_no_function_with_messages),
		cmocka_unit_test(bar_whose_device_only_writes_reads_zero),
		cmocka_unit_test(consumer_of_two_callbacks_may_fail_an_announcement),
		cmocka_unit_test(msi_without_memory_leaves_nothing),
		cmocka_unit_test(msi_at_a_taken_position_is_refused),
	};

	return cmocka_run_group_tests_name("pci-edges", tests, NULL, NULL);
}
