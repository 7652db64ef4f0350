/* SPDX-License-Identifier: BSD-2-Clause */
/* The bus: plugging, ECAM, and what is in the spaces while BARs decode. */
#include "fixture.h"

/* The address of a register in ECAM. */
#define CONFIG(device, function, reg) (ECAM + ((device) << 15 | (function) << 12 | (reg)))

static void fixture_add_bars(struct fixture *f)
{
	assert_int_equal(peal_pci_function_add_bar(f->function, 0, PEAL_PCI_BAR_MEM32, 4096,
						   &device_bar_ops, &f->device),
			 0);
	assert_int_equal(peal_pci_function_add_bar(f->function, 1, PEAL_PCI_BAR_IO, 16,
						   &device_bar_ops, &f->device),
			 0);
	assert_int_equal(peal_pci_function_add_bar(f->function, 2, PEAL_PCI_BAR_MEM64, 8192,
						   &device_bar_ops, &f->device),
			 0);
}

/* Another function like the fixture's, with a 4 KiB BAR, at DEVFN. */
static struct peal_pci_function *plug_another(struct fixture *f, uint8_t devfn,
					      struct test_device *device)
{
	struct peal_pci_function_config config = function_config(f);
	struct peal_pci_function *function;

	config.device_id = 0x2000;
	config.user = device;
	assert_int_equal(peal_pci_function_new(&function, &config), 0);
	assert_int_equal(peal_pci_function_add_bar(function, 0, PEAL_PCI_BAR_MEM32, 4096,
						   &device_bar_ops, device),
			 0);
	assert_int_equal(peal_pci_bus_plug(f->bus, devfn, function), 0);
	return function;
}

static void unplug_another(struct fixture *f, struct peal_pci_function *function)
{
	peal_pci_bus_unplug(f->bus, function);
	peal_pci_function_free(function);
}

/* ---- ECAM ---- */

static void ecam_finds_functions_by_device_and_function(void **state)
{
	struct peal_pci_function *second, *last;
	struct fixture f;

	(void)state;
	fixture_init(&f);
	fixture_plug(&f);
	second = plug_another(&f, 5 << 3 | 3, &f.device);
	last = plug_another(&f, 0xff, &f.device);
	assert_int_equal(space_read(f.ram.space, CONFIG(0, 0, 0), 4), 0x10421af4);
	assert_int_equal(space_read(f.ram.space, CONFIG(5, 3, 0), 4), 0x20001af4);
	assert_int_equal(space_read(f.ram.space, CONFIG(31, 7, 2), 2), 0x2000);
	assert_int_equal(space_write(f.ram.space, CONFIG(5, 3, 0x3c), 1, 0x42), 0);
	assert_int_equal(peal_pci_config_read(second, 0x3c, 1), 0x42);
	assert_int_equal(config_read(&f, 0x3c, 1), 0);
	assert_int_equal(peal_pci_config_read(last, 0x3c, 1), 0);
	unplug_another(&f, second);
	unplug_another(&f, last);
	fixture_done(&f);
}

static void absent_function_reads_ones_and_ignores_writes(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	fixture_plug(&f);
	for (unsigned size = 1; size <= 8; size *= 2) {
		assert_int_equal(space_read(f.ram.space, CONFIG(1, 0, 0), size), peal_ones(size));
		assert_int_equal(space_read(f.ram.space, CONFIG(31, 7, 0xff8), size),
				 peal_ones(size));
		assert_int_equal(space_write(f.ram.space, CONFIG(0, 1, 4), size, 0), 0);
		/* Of a function that is there: past its 256 bytes. */
		assert_int_equal(space_read(f.ram.space, CONFIG(0, 0, 0x100), size),
				 peal_ones(size));
	}
	fixture_done(&f);
}

static void ecam_access_may_cross_dwords_and_functions(void **state)
{
	struct peal_pci_function *second;
	uint8_t bytes[48];
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(peal_pci_function_add_pci_express(f.function), 0);
	fixture_plug(&f);
	second = plug_another(&f, 1, &f.device);
	for (unsigned size = 2; size <= 8; size *= 2) {
		for (unsigned at = 0; at <= 64 - size; at++)
			assert_int_equal(space_read(f.ram.space, CONFIG(0, 0, at), size),
					 config_read(&f, at, size));
	}
	/* Interrupt Line and nothing else takes it; 0x3b to 0x3e is two dwords. */
	assert_int_equal(space_write(f.ram.space, CONFIG(0, 0, 0x3b), 4, 0xa1a2a3a4), 0);
	assert_int_equal(config_read(&f, 0x38, 8), UINT64_C(0x000001a300000000));
	/* From the end of function 0 into function 1. */
	assert_int_equal(space_read(f.ram.space, CONFIG(0, 0, 0xffe), 4), 0x1af40000);
	assert_int_equal(space_write(f.ram.space, CONFIG(0, 0, 0xffc), 8, ~UINT64_C(0)), 0);
	assert_int_equal(peal_space_read(f.ram.space, CONFIG(0, 1, 1), bytes, sizeof(bytes)), 0);
	for (unsigned i = 0; i < sizeof(bytes); i++)
		assert_int_equal(bytes[i], peal_pci_config_read(second, 1 + i, 1));
	unplug_another(&f, second);
	fixture_done(&f);
}

static void requester_id_is_segment_bus_device_function(void **state)
{
	struct peal_pci_function *second;
	struct fixture f;

	(void)state;
	fixture_init_msix(&f, 1);
	second = plug_another(&f, 0xfd, &f.device);
	assert_int_equal(peal_pci_function_requester_id(f.function), 0x10300);
	assert_int_equal(peal_pci_function_requester_id(second), 0x103fd);
	program_vector(&f, 0, false);
	set_control(&f, MSIX_ENABLE);
	assert_int_equal(peal_msix_notify(f.msix, 0), 1);
	assert_int_equal(test_sink_last(&f.sink)->requester_id, 0x10300);
	assert_int_equal(peal_msix_message(f.msix, 0).requester_id, 0x10300);
	/* The same function elsewhere. */
	fixture_unplug(&f);
	assert_int_equal(peal_pci_bus_plug(f.bus, 0xfc, f.function), 0);
	f.plugged = true;
	set_command(&f, COMMAND_BUS_MASTER);
	program_vector(&f, 0, false);
	set_control(&f, MSIX_ENABLE);
	assert_int_equal(peal_msix_notify(f.msix, 0), 1);
	assert_int_equal(test_sink_last(&f.sink)->requester_id, 0x103fc);
	unplug_another(&f, second);
	fixture_done(&f);
}

/* ---- plugging ---- */

static void taken_place_and_plugged_function_are_refused(void **state)
{
	struct peal_pci_function_config config;
	struct peal_pci_function *second;
	struct fixture f;

	(void)state;
	fixture_init(&f);
	fixture_plug(&f);
	config = function_config(&f);
	assert_int_equal(peal_pci_function_new(&second, &config), 0);
	assert_int_equal(peal_pci_bus_plug(f.bus, 0, second), -EBUSY);
	assert_int_equal(peal_pci_bus_plug(f.bus, 8, f.function), -EBUSY);
	assert_int_equal(space_read(f.ram.space, CONFIG(1, 0, 0), 4), 0xffffffff);
	assert_int_equal(peal_pci_function_requester_id(f.function), REQUESTER);
	assert_int_equal(peal_pci_bus_plug(f.bus, 8, second), 0);
	unplug_another(&f, second);
	fixture_done(&f);
}

static void unplugged_function_is_gone_and_reset(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	fixture_add_bars(&f);
	fixture_plug(&f);
	config_write(&f, BAR(0), 4, WINDOW32);
	config_write(&f, BAR(1), 4, 0x1000);
	set_command(&f, COMMAND_MEMORY | COMMAND_IO | COMMAND_BUS_MASTER);
	assert_true(is_mapped(f.ram.space, WINDOW32));
	assert_true(is_mapped(f.io, 0x1000));
	assert_ptr_equal(peal_pci_function_dma(f.function), f.ram.space);
	f.device.resets = 0;
	fixture_unplug(&f);
	assert_int_equal(f.device.resets, 1);
	assert_false(f.device.bus_master);
	assert_false(is_mapped(f.ram.space, WINDOW32));
	assert_false(is_mapped(f.io, 0x1000));
	assert_null(peal_pci_function_dma(f.function));
	assert_int_equal(space_read(f.ram.space, CONFIG(0, 0, 0), 4), 0xffffffff);
	assert_int_equal(config_read(&f, BAR(0), 8), PEAL_BIT(32));
	/* Alone, it decodes nothing and masters nothing. */
	set_command(&f, COMMAND_MEMORY | COMMAND_IO | COMMAND_BUS_MASTER);
	assert_false(peal_pci_function_is_bus_master(f.function));
	assert_null(peal_pci_function_dma(f.function));
	/* Plugged again, it does what its registers say. */
	config_write(&f, BAR(0), 4, WINDOW32 + 4096);
	fixture_plug(&f);
	assert_true(is_mapped(f.ram.space, WINDOW32 + 4096));
	assert_true(peal_pci_function_is_bus_master(f.function));
	fixture_done(&f);
}

static void bus_master_gates_dma(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	fixture_plug(&f);
	assert_null(peal_pci_function_dma(f.function));
	set_command(&f, COMMAND_BUS_MASTER);
	assert_ptr_equal(peal_pci_function_dma(f.function), f.ram.space);
	assert_int_equal(f.device.bus_master_changes, 1);
	assert_true(f.device.bus_master);
	set_command(&f, COMMAND_BUS_MASTER | COMMAND_MEMORY);
	assert_int_equal(f.device.bus_master_changes, 1);
	config_write(&f, COMMAND, 1, 0);
	assert_null(peal_pci_function_dma(f.function));
	assert_int_equal(f.device.bus_master_changes, 2);
	assert_false(f.device.bus_master);
	fixture_done(&f);
}

/* ---- decode ---- */

static void bar_decodes_only_while_its_command_bit_is_set(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	fixture_add_bars(&f);
	fixture_plug(&f);
	config_write(&f, BAR(0), 4, WINDOW32 + 0x3000);
	config_write(&f, BAR(1), 4, 0xc000);
	config_write(&f, BAR(2), 8, WINDOW64 + 0x2000);
	for (unsigned command = 0; command < 4; command++) {
		set_command(&f, command);
		assert_int_equal(is_mapped(f.io, 0xc000), (command & COMMAND_IO) != 0);
		assert_int_equal(is_mapped(f.ram.space, WINDOW32 + 0x3000),
				 (command & COMMAND_MEMORY) != 0);
		assert_int_equal(is_mapped(f.ram.space, WINDOW64 + 0x2000),
				 (command & COMMAND_MEMORY) != 0);
	}
	set_command(&f, 0);
	assert_false(is_mapped(f.io, 0xc000));
	assert_false(is_mapped(f.ram.space, WINDOW32 + 0x3000));
	assert_int_equal(peal_pci_bus_misplaced(f.bus), 0);
	fixture_done(&f);
}

static void access_through_the_space_reaches_the_device(void **state)
{
	uint8_t bytes[13] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13 };
	struct fixture f;

	(void)state;
	fixture_init(&f);
	fixture_add_bars(&f);
	fixture_plug(&f);
	config_write(&f, BAR(2), 8, WINDOW64);
	set_command(&f, COMMAND_MEMORY);
	for (unsigned size = 1; size <= 8; size *= 2) {
		f.device.accesses = 0;
		assert_int_equal(
			space_write(f.ram.space, WINDOW64 + 0x1003, size, 0x8877665544332211), 0);
		assert_access(&f.device, 0, 0x1003, size, true);
		assert_int_equal(space_read(f.ram.space, WINDOW64 + 0x1003, size),
				 UINT64_C(0x8877665544332211) & peal_ones(size));
		assert_access(&f.device, 1, 0x1003, size, false);
	}
	/* A copy of another length comes in natural pieces: 1, 2, 4, 4, 2. */
	f.device.accesses = 0;
	assert_int_equal(peal_space_write(f.ram.space, WINDOW64 + 1, bytes, sizeof(bytes)), 0);
	assert_int_equal(f.device.accesses, 5);
	assert_access(&f.device, 0, 1, 1, true);
	assert_access(&f.device, 1, 2, 2, true);
	assert_access(&f.device, 2, 4, 4, true);
	assert_access(&f.device, 3, 8, 4, true);
	assert_access(&f.device, 4, 12, 2, true);
	assert_memory_equal(f.device.bytes + 1, bytes, sizeof(bytes));
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(peal_space_read(f.ram.space, WINDOW64 + 1, bytes, sizeof(bytes)), 0);
	assert_memory_equal(f.device.bytes + 1, bytes, sizeof(bytes));
	fixture_done(&f);
}

static void moved_bar_is_found_at_its_new_place_only(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	fixture_add_bars(&f);
	fixture_plug(&f);
	set_command(&f, COMMAND_MEMORY | COMMAND_IO);
	config_write(&f, BAR(0), 4, WINDOW32);
	config_write(&f, BAR(0), 4, WINDOW32 + 0x100000);
	assert_false(is_mapped(f.ram.space, WINDOW32));
	assert_true(is_mapped(f.ram.space, WINDOW32 + 0x100000));
	assert_true(is_mapped(f.ram.space, WINDOW32 + 0x100fff));
	assert_false(is_mapped(f.ram.space, WINDOW32 + 0x101000));
	config_write(&f, BAR(1), 4, 0x400);
	config_write(&f, BAR(1), 4, 0x410);
	assert_false(is_mapped(f.io, 0x400));
	assert_true(is_mapped(f.io, 0x410));
	fixture_done(&f);
}

static void bar_outside_the_windows_does_not_decode(void **state)
{
	static const uint64_t outside[] = {
		WINDOW32 - 0x2000,
		WINDOW32 + SIZE32,
		WINDOW64 - 0x2000,
		WINDOW64 + SIZE64,
		0,
		0x2000,
		UINT64_C(0xffffffffffffe000),
	};
	struct fixture f;

	(void)state;
	fixture_init(&f);
	fixture_add_bars(&f);
	fixture_plug(&f);
	for (size_t i = 0; i < PEAL_COUNT_OF(outside); i++) {
		bool other = is_mapped(f.ram.space, outside[i]); /* RAM */

		config_write(&f, BAR(2), 8, outside[i]);
		config_write(&f, BAR(0), 4, WINDOW32);
		set_command(&f, COMMAND_MEMORY);
		assert_int_equal(is_mapped(f.ram.space, outside[i]), other);
		assert_true(is_mapped(f.ram.space, WINDOW32));
		assert_int_equal(peal_pci_bus_misplaced(f.bus), i + 1);
		set_command(&f, 0);
	}
	/* The first and the last place of a window are inside. */
	config_write(&f, BAR(2), 8, WINDOW64 + SIZE64 - 0x2000);
	set_command(&f, COMMAND_MEMORY);
	assert_true(is_mapped(f.ram.space, WINDOW64 + SIZE64 - 1));
	config_write(&f, BAR(2), 8, WINDOW64);
	assert_true(is_mapped(f.ram.space, WINDOW64));
	assert_int_equal(peal_pci_bus_misplaced(f.bus), PEAL_COUNT_OF(outside));
	fixture_done(&f);
}

static void bar_over_another_waits_until_its_place_is_free(void **state)
{
	struct peal_pci_function *second;
	struct test_device other = { .bytes = { 0x22 } };
	struct fixture f;

	(void)state;
	fixture_init(&f);
	fixture_add_bars(&f);
	fixture_plug(&f);
	f.device.bytes[0] = 0x11;
	second = plug_another(&f, 8, &other);
	config_write(&f, BAR(0), 4, WINDOW32);
	set_command(&f, COMMAND_MEMORY);
	peal_pci_config_write(second, BAR(0), 4, WINDOW32);
	peal_pci_config_write(second, COMMAND, 2, COMMAND_MEMORY);
	assert_int_equal(peal_pci_bus_misplaced(f.bus), 2); /* and BAR 2 of the first, at 0 */
	peal_pci_config_write(second, COMMAND, 2, COMMAND_MEMORY | COMMAND_IO);
	assert_int_equal(peal_pci_bus_misplaced(f.bus), 2); /* once is enough */
	/* The first still answers. */
	assert_int_equal(space_read(f.ram.space, WINDOW32, 1), 0x11);
	peal_pci_config_write(second, BAR(0), 4, WINDOW32 + 0x1000);
	peal_pci_config_write(second, BAR(0), 4, WINDOW32);
	assert_int_equal(peal_pci_bus_misplaced(f.bus), 3);
	assert_int_equal(space_read(f.ram.space, WINDOW32, 1), 0x11);
	assert_false(is_mapped(f.ram.space, WINDOW32 + 0x1000));
	/* The first moves away: the second decodes where it wanted to be. */
	config_write(&f, BAR(0), 4, WINDOW32 + 0x8000);
	assert_int_equal(space_read(f.ram.space, WINDOW32 + 0x8000, 1), 0x11);
	assert_int_equal(space_read(f.ram.space, WINDOW32, 1), 0x22);
	/* And back over it, until it is unplugged. */
	config_write(&f, BAR(0), 4, WINDOW32);
	assert_false(is_mapped(f.ram.space, WINDOW32 + 0x8000));
	assert_int_equal(peal_pci_bus_misplaced(f.bus), 4);
	assert_int_equal(space_read(f.ram.space, WINDOW32, 1), 0x22);
	unplug_another(&f, second);
	assert_int_equal(space_read(f.ram.space, WINDOW32, 1), 0x11);
	fixture_done(&f);
}

static void bars_of_one_function_may_change_places(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(peal_pci_function_add_bar(f.function, i, PEAL_PCI_BAR_MEM32,
							   UINT64_C(4096) << i, &device_bar_ops,
							   &f.device),
				 0);
	fixture_plug(&f);
	config_write(&f, BAR(0), 8, WINDOW32 | (WINDOW32 + 0x2000) << 32);
	set_command(&f, COMMAND_MEMORY);
	assert_true(is_mapped(f.ram.space, WINDOW32 + 0x3fff));
	/* In one write, and dword by dword. */
	config_write(&f, BAR(0), 8, (WINDOW32 + 0x2000) | WINDOW32 << 32);
	assert_true(is_mapped(f.ram.space, WINDOW32 + 0x1fff));
	assert_true(is_mapped(f.ram.space, WINDOW32 + 0x2fff));
	assert_false(is_mapped(f.ram.space, WINDOW32 + 0x3000));
	assert_int_equal(peal_pci_bus_misplaced(f.bus), 0);
	config_write(&f, BAR(0), 4, WINDOW32);
	config_write(&f, BAR(1), 4, WINDOW32 + 0x2000);
	assert_true(is_mapped(f.ram.space, WINDOW32 + 0xfff));
	assert_false(is_mapped(f.ram.space, WINDOW32 + 0x1000));
	assert_true(is_mapped(f.ram.space, WINDOW32 + 0x3fff));
	assert_int_equal(peal_pci_bus_misplaced(f.bus), 1);
	fixture_done(&f);
}

static void bus_without_io_space_decodes_no_ports(void **state)
{
	struct peal_pci_bus_config config;
	struct peal_pci_bus *bus;
	struct fixture f;

	(void)state;
	fixture_init(&f);
	fixture_add_bars(&f);
	config = (struct peal_pci_bus_config){
		.host = &f.host.host,
		.memory = f.ram.space,
		.sink = f.the_sink,
		.window32_address = WINDOW32,
		.window32_size = SIZE32,
	};
	assert_int_equal(peal_pci_bus_new(&bus, &config), 0);
	assert_int_equal(peal_pci_bus_plug(bus, 0, f.function), 0);
	config_write(&f, BAR(0), 4, WINDOW32);
	config_write(&f, BAR(2), 8, WINDOW32 + 0x10000);
	set_command(&f, COMMAND_IO | COMMAND_MEMORY);
	assert_true(is_mapped(f.ram.space, WINDOW32));
	assert_true(is_mapped(f.ram.space, WINDOW32 + 0x10000)); /* 64 bits, low window */
	assert_int_equal(peal_pci_bus_misplaced(bus), 0);
	peal_pci_bus_unplug(bus, f.function);
	peal_pci_bus_free(bus);
	fixture_done(&f);
}

static void smallest_io_bar_decodes_its_four_ports(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(peal_pci_function_add_bar(f.function, 0, PEAL_PCI_BAR_IO, 4,
						   &device_bar_ops, &f.device),
			 0);
	fixture_plug(&f);
	config_write(&f, BAR(0), 4, 0x1234);
	set_command(&f, COMMAND_IO);
	assert_false(is_mapped(f.io, 0x1233));
	assert_true(is_mapped(f.io, 0x1234));
	assert_true(is_mapped(f.io, 0x1237));
	assert_false(is_mapped(f.io, 0x1238));
	fixture_done(&f);
}

static void bar_that_reaches_out_of_its_window_does_not_decode(void **state)
{
	struct peal_pci_bus_config config;
	struct peal_pci_bus *bus;
	struct fixture f;

	(void)state;
	fixture_init(&f);
	fixture_add_bars(&f);
	config = (struct peal_pci_bus_config){
		.host = &f.host.host,
		.memory = f.ram.space,
		.sink = f.the_sink,
		.window32_address = WINDOW32 + 0x800,
		.window32_size = 0x2000,
	};
	assert_int_equal(peal_pci_bus_new(&bus, &config), 0);
	assert_int_equal(peal_pci_bus_plug(bus, 0, f.function), 0);
	set_command(&f, COMMAND_MEMORY);
	for (unsigned page = 0; page < 4; page++) {
		config_write(&f, BAR(0), 4, WINDOW32 + 0x1000 * page);
		assert_int_equal(is_mapped(f.ram.space, WINDOW32 + 0x1000 * page), page == 1);
	}
	peal_pci_bus_unplug(bus, f.function);
	peal_pci_bus_free(bus);
	fixture_done(&f);
}

/* A root complex makes two requests of it, and a BAR is at a place of its own in between. */
static void ecam_access_of_eight_bytes_is_two_of_four(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	fixture_add_bars(&f);
	fixture_plug(&f);
	config_write(&f, BAR(0), 4, WINDOW32 + 0x100000);
	config_write(&f, BAR(2), 8, WINDOW32);
	set_command(&f, COMMAND_MEMORY);
	assert_int_equal(peal_pci_bus_misplaced(f.bus), 0);
	assert_int_equal(space_write(f.ram.space, CONFIG(0, 0, BAR(2)), 8, WINDOW64 + 0x2000), 0);
	assert_int_equal(peal_pci_bus_misplaced(f.bus), 1); /* at 0x2000 */
	assert_true(is_mapped(f.ram.space, WINDOW64 + 0x2000));
	assert_int_equal(space_read(f.ram.space, CONFIG(0, 0, BAR(2)), 8), WINDOW64 + 0x2004);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ecam_finds_functions_by_device_and_function),
		cmocka_unit_test(absent_function_reads_ones_and_ignores_writes),
		cmocka_unit_test(ecam_access_may_cross_dwords_and_functions),
		cmocka_unit_test(requester_id_is_segment_bus_device_function),
		cmocka_unit_test(taken_place_and_plugged_function_are_refused),
		cmocka_unit_test(unplugged_function_is_gone_and_reset),
		cmocka_unit_test(bus_master_gates_dma),
		cmocka_unit_test(bar_decodes_only_while_its_command_bit_is_set),
		cmocka_unit_test(access_through_the_space_reaches_the_device),
		cmocka_unit_test(moved_bar_is_found_at_its_new_place_only),
		cmocka_unit_test(bar_outside_the_windows_does_not_decode),
		cmocka_unit_test(bar_over_another_waits_until_its_place_is_free),
		cmocka_unit_test(bars_of_one_function_may_change_places),
		cmocka_unit_test(bus_without_io_space_decodes_no_ports),
		cmocka_unit_test(smallest_io_bar_decodes_its_four_ports),
		cmocka_unit_test(bar_that_reaches_out_of_its_window_does_not_decode),
		cmocka_unit_test(ecam_access_of_eight_bytes_is_two_of_four),
	};

	return cmocka_run_group_tests_name("pci-bus", tests, NULL, NULL);
}
