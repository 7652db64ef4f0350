/* SPDX-License-Identifier: BSD-2-Clause */
/* A hierarchy of buses: numbers, windows, mastering, lines and resets through bridges. */
#include "fixture.h"

#include "pci/bridge.h"

#define HOST_ECAM        UINT64_C(0x50000000)
#define BUSES            8u
#define ROOT             3u /* the fixture's bus number */
#define PORT             (4u << 3)
#define SECONDARY        0x18u /* primary, secondary, subordinate as one dword */
#define MEMORY           0x20u
#define PREFETCH         0x24u
#define CONTROL          0x3eu
#define NUMBERS(p, s, t) ((uint32_t)(p) | (uint32_t)(s) << 8 | (uint32_t)(t) << 16)

struct tree {
	struct fixture f; /* its function goes behind the bridge */
	struct peal_pci_bridge *port;
	unsigned pins[4], edges;
};

static void init(struct tree *t)
{
	struct peal_pci_function_config config;

	memset(t, 0, sizeof(*t));
	fixture_init(&t->f);
	config = function_config(&t->f);
	config.class_code = 0x060400;
	config.device_id = 0x000c;
	assert_int_equal(peal_pci_bridge_new(&t->port, t->f.bus, PORT, &config), 0);
	assert_int_equal(peal_space_map_ops(t->f.ram.space, HOST_ECAM, BUSES * PEAL_PCI_ECAM_SIZE,
					    peal_pci_host_ecam(), t->f.bus),
			 0);
	assert_int_equal(peal_pci_function_add_bar(t->f.function, 2, PEAL_PCI_BAR_MEM32, 4096,
						   &device_bar_ops, &t->f.device),
			 0);
	assert_int_equal(peal_pci_function_add_msix_exclusive(t->f.function, 2, 0), 0);
	t->f.msix = peal_pci_function_msix(t->f.function);
	t->f.capability = find_capability(t->f.function, ID_MSIX, 0);
	assert_int_equal(peal_msix_use(t->f.msix, 0), 0);
	assert_int_equal(peal_pci_bus_plug(peal_pci_bridge_bus(t->port), 1 << 3, t->f.function), 0);
}

static void done(struct tree *t)
{
	peal_pci_bus_unplug(peal_pci_bridge_bus(t->port), t->f.function);
	peal_pci_bridge_free(t->port);
	fixture_done(&t->f);
}

static uint64_t ecam(struct tree *t, unsigned bus, unsigned devfn, unsigned reg, unsigned size)
{
	return space_read(t->f.ram.space, HOST_ECAM + (bus << 20 | devfn << 12 | reg), size);
}

static void port_write(struct tree *t, uint32_t offset, unsigned size, uint64_t value)
{
	peal_pci_config_write(peal_pci_bridge_function(t->port), offset, size, value);
}

static void open_memory(struct tree *t, uint64_t base, uint64_t limit)
{
	port_write(t, MEMORY, 2, base >> 16);
	port_write(t, MEMORY + 2, 2, limit >> 16);
	port_write(t, COMMAND, 2, COMMAND_MEMORY | COMMAND_BUS_MASTER);
}

static void rows_pass_the_register_walk(void **state)
{
	unsigned row;

	(void)state;
	assert_null(peal_reg_check(pci_bridge_rows, pci_bridge_nrows, &row));
}

static void header_is_type_1(void **state)
{
	struct tree t;

	(void)state;
	init(&t);
	assert_int_equal(ecam(&t, ROOT, PORT, 0x0e, 1), 1);
	assert_int_equal(ecam(&t, ROOT, PORT, 0x0a, 2), 0x0604);
	/* A root port: type 4, no Function Level Reset. */
	assert_int_equal(
		peal_pci_config_read(
			peal_pci_bridge_function(t.port),
			find_capability(peal_pci_bridge_function(t.port), ID_EXPRESS, 0) + 2,
			2) >> 4 &
			0xf,
		4);
	/* Its two BARs are not there. */
	port_write(&t, BAR(0), 8, ~UINT64_C(0));
	assert_int_equal(ecam(&t, ROOT, PORT, BAR(0), 8), 0);
	done(&t);
}

static void bus_behind_answers_at_the_number_it_got(void **state)
{
	struct tree t;

	(void)state;
	init(&t);
	for (unsigned bus = 0; bus < BUSES; bus++) {
		if (bus != ROOT)
			assert_int_equal(ecam(&t, bus, 1 << 3, 0, 4), 0xffffffff);
	}
	port_write(&t, SECONDARY, 4, NUMBERS(ROOT, 5, 6));
	assert_int_equal(ecam(&t, 5, 1 << 3, 0, 4), 0x10421af4);
	assert_int_equal(ecam(&t, 6, 1 << 3, 0, 4), 0xffffffff);
	assert_int_equal(peal_pci_function_requester_id(t.f.function), SEGMENT << 16 | 5 << 8 | 8);
	port_write(&t, SECONDARY, 4, NUMBERS(ROOT, 7, 7));
	assert_int_equal(ecam(&t, 5, 1 << 3, 0, 4), 0xffffffff);
	assert_int_equal(ecam(&t, 7, 1 << 3, 0, 4), 0x10421af4);
	done(&t);
}

static void bars_decode_inside_the_windows_only(void **state)
{
	struct tree t;

	(void)state;
	init(&t);
	peal_pci_config_write(t.f.function, BAR(2), 4, WINDOW32 + 0x200000);
	set_command(&t.f, COMMAND_MEMORY);
	assert_false(is_mapped(t.f.ram.space, WINDOW32 + 0x200000));
	open_memory(&t, WINDOW32 + 0x100000, WINDOW32 + 0x2fffff);
	assert_true(is_mapped(t.f.ram.space, WINDOW32 + 0x200000));
	/* The window moves away, and back. */
	port_write(&t, MEMORY + 2, 2, (WINDOW32 + 0x100000) >> 16);
	assert_false(is_mapped(t.f.ram.space, WINDOW32 + 0x200000));
	port_write(&t, MEMORY + 2, 2, (WINDOW32 + 0x200000) >> 16);
	assert_true(is_mapped(t.f.ram.space, WINDOW32 + 0x200000));
	/* The bridge does not decode; a limit below the base is no window. */
	port_write(&t, COMMAND, 2, 0);
	assert_false(is_mapped(t.f.ram.space, WINDOW32 + 0x200000));
	port_write(&t, COMMAND, 2, COMMAND_MEMORY);
	assert_true(is_mapped(t.f.ram.space, WINDOW32 + 0x200000));
	port_write(&t, MEMORY, 2, (WINDOW32 + 0x300000) >> 16);
	assert_false(is_mapped(t.f.ram.space, WINDOW32 + 0x200000));
	/* Nor does the root's window end where the bridge's does. */
	open_memory(&t, 0, 0xffffffff);
	peal_pci_config_write(t.f.function, BAR(2), 4, 0x20000000);
	assert_false(is_mapped(t.f.ram.space, 0x20000000));
	done(&t);
}

static void prefetchable_window_reaches_above_4_gib(void **state)
{
	struct peal_pci_function *function;
	struct peal_pci_function_config config;
	struct tree t;

	(void)state;
	init(&t);
	config = function_config(&t.f);
	assert_int_equal(peal_pci_function_new(&function, &config), 0);
	assert_int_equal(peal_pci_function_add_bar(function, 0, PEAL_PCI_BAR_MEM64, 4096,
						   &device_bar_ops, &t.f.device),
			 0);
	assert_int_equal(peal_pci_bus_plug(peal_pci_bridge_bus(t.port), 2 << 3, function), 0);
	port_write(&t, PREFETCH, 4, 0);
	port_write(&t, PREFETCH + 4, 4, WINDOW64 >> 32);
	port_write(&t, PREFETCH + 8, 4, WINDOW64 >> 32);
	port_write(&t, COMMAND, 2, COMMAND_MEMORY);
	peal_pci_config_write(function, BAR(0), 8, WINDOW64);
	peal_pci_config_write(function, COMMAND, 2, COMMAND_MEMORY);
	assert_true(is_mapped(t.f.ram.space, WINDOW64));
	port_write(&t, PREFETCH + 8, 4, 0);
	assert_false(is_mapped(t.f.ram.space, WINDOW64));
	peal_pci_bus_unplug(peal_pci_bridge_bus(t.port), function);
	peal_pci_function_free(function);
	done(&t);
}

static void bridge_gates_mastering_and_names_the_requester(void **state)
{
	struct tree t;

	(void)state;
	init(&t);
	port_write(&t, SECONDARY, 4, NUMBERS(ROOT, 5, 5));
	set_command(&t.f, COMMAND_BUS_MASTER);
	assert_false(peal_pci_function_is_bus_master(t.f.function));
	program_vector(&t.f, 0, false);
	set_control(&t.f, MSIX_ENABLE);
	assert_int_equal(peal_msix_notify(t.f.msix, 0), 0);
	assert_int_equal(counters(t.f.msix, 0).dropped, 1);
	port_write(&t, COMMAND, 2, COMMAND_BUS_MASTER);
	assert_true(peal_pci_function_is_bus_master(t.f.function));
	assert_int_equal(peal_msix_notify(t.f.msix, 0), 1);
	assert_int_equal(test_sink_last(&t.f.sink)->requester_id, SEGMENT << 16 | 5 << 8 | 8);
	/* In flight or not, the number counts that the bus has now. */
	port_write(&t, SECONDARY, 4, NUMBERS(ROOT, 6, 6));
	assert_int_equal(peal_msix_notify(t.f.msix, 0), 1);
	assert_int_equal(test_sink_last(&t.f.sink)->requester_id, SEGMENT << 16 | 6 << 8 | 8);
	port_write(&t, COMMAND, 2, 0);
	assert_false(peal_pci_function_is_bus_master(t.f.function));
	done(&t);
}

/* Device 1's INTA# is line 1 behind the bridge, device 4's swizzle makes it line 1 before it. */
static void lines_swizzle_through_the_bridge(void **state)
{
	struct tree t;

	(void)state;
	init(&t);
	peal_pci_function_set_intx(t.f.function, true);
	assert_true(peal_pci_bus_intx_level(peal_pci_bridge_bus(t.port), 1));
	assert_true(peal_pci_bus_intx_level(t.f.bus, (4 + 1) % 4));
	for (unsigned pin = 0; pin < 4; pin++)
		assert_int_equal(peal_pci_bus_intx_level(t.f.bus, pin), pin == 1);
	peal_pci_function_set_intx(t.f.function, false);
	assert_false(peal_pci_bus_intx_level(t.f.bus, 1));
	done(&t);
}

static void secondary_bus_reset_resets_what_is_behind(void **state)
{
	struct tree t;

	(void)state;
	init(&t);
	set_command(&t.f, COMMAND_MEMORY);
	port_write(&t, CONTROL, 2, 0x40);
	assert_int_equal(t.f.device.resets, 1);
	assert_int_equal(config_read(&t.f, COMMAND, 2), 0);
	/* Once per rising edge. */
	port_write(&t, CONTROL, 2, 0x40);
	port_write(&t, CONTROL, 2, 0);
	assert_int_equal(t.f.device.resets, 1);
	port_write(&t, CONTROL, 2, 0x40);
	assert_int_equal(t.f.device.resets, 2);
	done(&t);
}

/* Two levels: what the inner bridge opens counts as far as the outer one does. */
static void windows_of_two_bridges_intersect(void **state)
{
	struct peal_pci_function_config config;
	struct peal_pci_function *function;
	struct peal_pci_bridge *inner;
	struct tree t;

	(void)state;
	init(&t);
	config = function_config(&t.f);
	assert_int_equal(peal_pci_bridge_new(&inner, peal_pci_bridge_bus(t.port), 0, &config), 0);
	assert_int_equal(peal_pci_function_new(&function, &config), 0);
	assert_int_equal(peal_pci_function_add_bar(function, 0, PEAL_PCI_BAR_MEM32, 4096,
						   &device_bar_ops, &t.f.device),
			 0);
	assert_int_equal(peal_pci_bus_plug(peal_pci_bridge_bus(inner), 0, function), 0);
	port_write(&t, SECONDARY, 4, NUMBERS(ROOT, 4, 6));
	peal_pci_config_write(peal_pci_bridge_function(inner), SECONDARY, 4, NUMBERS(4, 6, 6));
	assert_int_equal(ecam(&t, 6, 0, 0, 4), 0x10421af4);
	peal_pci_config_write(peal_pci_bridge_function(inner), MEMORY, 4,
			      (WINDOW32 + 0x1000000) | WINDOW32 >> 16);
	peal_pci_config_write(peal_pci_bridge_function(inner), COMMAND, 2,
			      COMMAND_MEMORY | COMMAND_BUS_MASTER);
	peal_pci_config_write(function, BAR(0), 4, WINDOW32 + 0x400000);
	peal_pci_config_write(function, COMMAND, 2, COMMAND_MEMORY | COMMAND_BUS_MASTER);
	assert_false(is_mapped(t.f.ram.space, WINDOW32 + 0x400000));
	assert_false(peal_pci_function_is_bus_master(function));
	open_memory(&t, WINDOW32 + 0x400000, WINDOW32 + 0x4fffff);
	assert_true(is_mapped(t.f.ram.space, WINDOW32 + 0x400000));
	assert_true(peal_pci_function_is_bus_master(function));
	port_write(&t, MEMORY, 2, (WINDOW32 + 0x500000) >> 16);
	assert_false(is_mapped(t.f.ram.space, WINDOW32 + 0x400000));
	peal_pci_bus_unplug(peal_pci_bridge_bus(inner), function);
	peal_pci_function_free(function);
	peal_pci_bridge_free(inner);
	done(&t);
}

static void state_of_a_bridge_comes_back(void **state)
{
	struct peal_pci_function *port;
	uint8_t bytes[8192];
	struct tree t;
	size_t size;

	(void)state;
	init(&t);
	port = peal_pci_bridge_function(t.port);
	size = peal_pci_function_state_size(port);
	assert_true(size <= sizeof(bytes));
	port_write(&t, SECONDARY, 4, NUMBERS(ROOT, 5, 6));
	open_memory(&t, WINDOW32 + 0x200000, WINDOW32 + 0x2fffff);
	peal_pci_config_write(t.f.function, BAR(2), 4, WINDOW32 + 0x200000);
	set_command(&t.f, COMMAND_MEMORY | COMMAND_BUS_MASTER);
	assert_int_equal(peal_pci_function_save(port, bytes, size), 0);
	peal_pci_function_reset(port);
	assert_false(is_mapped(t.f.ram.space, WINDOW32 + 0x200000));
	assert_int_equal(peal_pci_function_load(port, bytes, size), 0);
	assert_true(is_mapped(t.f.ram.space, WINDOW32 + 0x200000));
	assert_true(peal_pci_function_is_bus_master(t.f.function));
	assert_int_equal(ecam(&t, 5, 1 << 3, 0, 4), 0x10421af4);
	done(&t);
}

static int make(const struct peal_host *host, void *user)
{
	struct peal_pci_function_config config = { .host = host };
	struct peal_pci_bridge *bridge;
	int r = peal_pci_bridge_new(&bridge, user, 0, &config);

	if (r == 0)
		peal_pci_bridge_free(bridge);
	return r;
}

static void creation_fails_whole(void **state)
{
	struct tree t;

	(void)state;
	init(&t);
	/* The bus behind takes the host of the one before it. */
	(void)test_every_allocation(make, t.f.bus);
	done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_pass_the_register_walk),
		cmocka_unit_test(header_is_type_1),
		cmocka_unit_test(bus_behind_answers_at_the_number_it_got),
		cmocka_unit_test(bars_decode_inside_the_windows_only),
		cmocka_unit_test(prefetchable_window_reaches_above_4_gib),
		cmocka_unit_test(bridge_gates_mastering_and_names_the_requester),
		cmocka_unit_test(lines_swizzle_through_the_bridge),
		cmocka_unit_test(secondary_bus_reset_resets_what_is_behind),
		cmocka_unit_test(windows_of_two_bridges_intersect),
		cmocka_unit_test(state_of_a_bridge_comes_back),
		cmocka_unit_test(creation_fails_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
