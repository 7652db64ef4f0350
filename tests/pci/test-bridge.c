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
#define IO_WINDOW        0x1cu
#define IO_UPPER         0x30u
#define CONTROL          0x3eu
#define INTX_DISABLE     0x0400u
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
	/* A window of everything is not one of 2^64 = 0 bytes. */
	port_write(&t, PREFETCH, 4, 0xfff00000);
	port_write(&t, PREFETCH + 4, 8, UINT64_C(0xffffffff) << 32);
	assert_true(is_mapped(t.f.ram.space, WINDOW64));
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
/* A root port says that it has none, and is not reset by who asks for one. */
static void port_has_no_function_level_reset(void **state)
{
	struct tree t;
	unsigned at;

	(void)state;
	init(&t);
	at = find_capability(peal_pci_bridge_function(t.port), ID_EXPRESS, 0);
	assert_int_equal(
		peal_pci_config_read(peal_pci_bridge_function(t.port), at + 4, 4) >> 28 & 1, 0);
	port_write(&t, SECONDARY, 4, NUMBERS(ROOT, 5, 6));
	port_write(&t, at + 8, 2, 0x8000);
	assert_int_equal(ecam(&t, ROOT, PORT, SECONDARY, 4), NUMBERS(ROOT, 5, 6));
	assert_int_equal(ecam(&t, ROOT, PORT, at + 8, 2) & 0x8000, 0);
	done(&t);
}

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

/* ---- what a second bridge and another function behind it bring ---- */

struct deep {
	struct tree t;
	struct peal_pci_bridge *inner;
	struct peal_pci_function *function; /* 00.0 behind the inner bridge; no ops */
	struct peal_msi *msi;
};

/* Port: buses 4 to 6; inner bridge, device 0 of bus 4: bus 6. All of them master. */
static void deep_init(struct deep *d)
{
	const struct peal_msi_config msi = { .vectors = 2 };
	struct peal_pci_function_config config;

	init(&d->t);
	config = function_config(&d->t.f);
	config.ops = NULL;
	assert_int_equal(peal_pci_bridge_new(&d->inner, peal_pci_bridge_bus(d->t.port), 0, &config),
			 0);
	assert_int_equal(peal_pci_function_new(&d->function, &config), 0);
	assert_int_equal(peal_pci_function_add_bar(d->function, 0, PEAL_PCI_BAR_IO, 16,
						   &device_bar_ops, &d->t.f.device),
			 0);
	assert_int_equal(peal_pci_function_add_msi(d->function, &msi), 0);
	d->msi = peal_pci_function_msi(d->function);
	assert_int_equal(peal_msi_use(d->msi, 0), 0);
	assert_int_equal(peal_pci_bus_plug(peal_pci_bridge_bus(d->inner), 0, d->function), 0);
	port_write(&d->t, SECONDARY, 4, NUMBERS(ROOT, 4, 6));
	port_write(&d->t, COMMAND, 2, COMMAND_BUS_MASTER);
	peal_pci_config_write(peal_pci_bridge_function(d->inner), SECONDARY, 4, NUMBERS(4, 6, 6));
	peal_pci_config_write(peal_pci_bridge_function(d->inner), COMMAND, 2, COMMAND_BUS_MASTER);
	peal_pci_config_write(d->function, COMMAND, 2, COMMAND_BUS_MASTER);
}

static void deep_done(struct deep *d)
{
	peal_pci_bus_unplug(peal_pci_bridge_bus(d->inner), d->function);
	peal_pci_function_free(d->function);
	peal_pci_bridge_free(d->inner);
	done(&d->t);
}

/* FIRST to LAST, in units of 4 KiB of I/O space. */
static void open_io(struct peal_pci_bridge *bridge, unsigned first, unsigned last)
{
	struct peal_pci_function *function = peal_pci_bridge_function(bridge);

	peal_pci_config_write(function, IO_WINDOW, 1, first << 4 & 0xf0);
	peal_pci_config_write(function, IO_WINDOW + 1, 1, last << 4 & 0xf0);
	peal_pci_config_write(function, IO_UPPER, 2, first >> 4);
	peal_pci_config_write(function, IO_UPPER + 2, 2, last >> 4);
}

static void ports_decode_inside_the_io_windows_only(void **state)
{
	struct peal_pci_function *inner;
	struct deep d;

	(void)state;
	deep_init(&d);
	inner = peal_pci_bridge_function(d.inner);
	/* 32-bit addressing is said in the low nibble, which cannot be written. */
	peal_pci_config_write(inner, IO_WINDOW, 2, 0xffff);
	assert_int_equal(peal_pci_config_read(inner, IO_WINDOW, 2), 0xf1f1);
	peal_pci_config_write(d.function, BAR(0), 4, 0x12010);
	peal_pci_config_write(d.function, COMMAND, 2, COMMAND_IO);
	open_io(d.t.port, 0x12, 0x13);
	open_io(d.inner, 0x10, 0x12);
	assert_false(is_mapped(d.t.f.io, 0x12010));
	port_write(&d.t, COMMAND, 2, COMMAND_IO);
	assert_false(is_mapped(d.t.f.io, 0x12010));
	peal_pci_config_write(inner, COMMAND, 2, COMMAND_IO);
	assert_true(is_mapped(d.t.f.io, 0x12010));
	assert_false(is_mapped(d.t.f.io, 0x12020));
	/* The low 16 bits of the address alone do not let it through, and a whole window is 4 KiB. */
	peal_pci_config_write(d.function, BAR(0), 4, 0x2010);
	assert_false(is_mapped(d.t.f.io, 0x2010));
	peal_pci_config_write(d.function, BAR(0), 4, 0x12ff0);
	assert_true(is_mapped(d.t.f.io, 0x12fff));
	peal_pci_config_write(d.function, BAR(0), 4, 0x13000);
	assert_false(is_mapped(d.t.f.io, 0x13000));
	open_io(d.inner, 0x12, 0x13);
	assert_true(is_mapped(d.t.f.io, 0x13000));
	/* A limit below the base is no window; nor is one of a bridge that does not decode. */
	open_io(d.t.port, 0x14, 0x13);
	assert_false(is_mapped(d.t.f.io, 0x13000));
	open_io(d.t.port, 0x13, 0x13);
	assert_true(is_mapped(d.t.f.io, 0x13000));
	port_write(&d.t, COMMAND, 2, COMMAND_MEMORY);
	assert_false(is_mapped(d.t.f.io, 0x13000));
	deep_done(&d);
}

/* All that there is, in both windows. */
static void open_all(struct peal_pci_function *bridge)
{
	peal_pci_config_write(bridge, MEMORY, 4, 0xfff00000);
	peal_pci_config_write(bridge, PREFETCH, 4, 0xfff00000);
	peal_pci_config_write(bridge, PREFETCH + 4, 8, UINT64_C(0xffffffff) << 32);
	peal_pci_config_write(bridge, COMMAND, 2, COMMAND_MEMORY);
}

/* The pieces of what overlaps took the place of the window above 4 GiB. */
static void windows_that_overlap_on_every_level_forward_all(void **state)
{
	struct peal_pci_function_config config;
	struct peal_pci_function *function;
	struct deep d;

	(void)state;
	deep_init(&d);
	config = function_config(&d.t.f);
	assert_int_equal(peal_pci_function_new(&function, &config), 0);
	assert_int_equal(peal_pci_function_add_bar(function, 0, PEAL_PCI_BAR_MEM64, 4096,
						   &device_bar_ops, &d.t.f.device),
			 0);
	assert_int_equal(peal_pci_bus_plug(peal_pci_bridge_bus(d.inner), 2 << 3, function), 0);
	open_all(peal_pci_bridge_function(d.t.port));
	open_all(peal_pci_bridge_function(d.inner));
	peal_pci_config_write(function, COMMAND, 2, COMMAND_MEMORY);
	peal_pci_config_write(function, BAR(0), 8, WINDOW64);
	assert_true(is_mapped(d.t.f.ram.space, WINDOW64));
	peal_pci_config_write(function, BAR(0), 8, WINDOW32);
	assert_true(is_mapped(d.t.f.ram.space, WINDOW32));
	assert_false(is_mapped(d.t.f.ram.space, WINDOW64));
	/* One that reaches up to the end of all and overlaps the other from behind. */
	port_write(&d.t, PREFETCH, 2, 0xfff0 & (WINDOW32 >> 16));
	assert_true(is_mapped(d.t.f.ram.space, WINDOW32));
	peal_pci_config_write(function, BAR(0), 8, WINDOW64);
	assert_true(is_mapped(d.t.f.ram.space, WINDOW64));
	peal_pci_bus_unplug(peal_pci_bridge_bus(d.inner), function);
	peal_pci_function_free(function);
	deep_done(&d);
}

static void renumbering_names_the_requester_of_msi_two_levels_down(void **state)
{
	struct peal_pci_function *inner;
	struct deep d;
	unsigned at;

	(void)state;
	deep_init(&d);
	inner = peal_pci_bridge_function(d.inner);
	at = find_capability(d.function, 0x05, 0);
	peal_pci_config_write(d.function, at + 4, 4, 0xfee00000);
	peal_pci_config_write(d.function, at + 2, 2, 1);
	assert_int_equal(peal_msi_notify(d.msi, 0), 1);
	assert_int_equal(test_sink_last(&d.t.f.sink)->requester_id, SEGMENT << 16 | 6 << 8);
	peal_pci_config_write(inner, SECONDARY, 4, NUMBERS(4, 5, 5));
	assert_int_equal(ecam(&d.t, 5, 0, 0, 4), 0x10421af4);
	assert_int_equal(ecam(&d.t, 6, 0, 0, 4), 0xffffffff);
	assert_int_equal(peal_msi_notify(d.msi, 0), 1);
	assert_int_equal(test_sink_last(&d.t.f.sink)->requester_id, SEGMENT << 16 | 5 << 8);
	/* One byte at a time, as each register may be written; the bridge itself moves with its bus. */
	port_write(&d.t, SECONDARY + 1, 1, 2);
	port_write(&d.t, SECONDARY + 2, 1, 7);
	assert_int_equal(peal_pci_function_requester_id(inner), SEGMENT << 16 | 2 << 8);
	assert_int_equal(ecam(&d.t, 2, 0, 0, 4), 0x10421af4);
	assert_int_equal(ecam(&d.t, 5, 0, 0, 4), 0x10421af4);
	assert_int_equal(ecam(&d.t, 4, 0, 0, 4), 0xffffffff);
	/* The same numbers again are no change; a range that leaves the inner bus out hides it. */
	port_write(&d.t, SECONDARY, 4, NUMBERS(ROOT, 2, 7));
	port_write(&d.t, SECONDARY + 2, 1, 4);
	assert_int_equal(ecam(&d.t, 2, 0, 0, 4), 0x10421af4);
	assert_int_equal(ecam(&d.t, 5, 0, 0, 4), 0xffffffff);
	deep_done(&d);
}

static void bus_master_of_every_bridge_on_the_way_counts(void **state)
{
	struct deep d;

	(void)state;
	deep_init(&d);
	assert_true(peal_pci_function_is_bus_master(d.function));
	assert_non_null(peal_pci_function_dma(d.function));
	peal_pci_config_write(peal_pci_bridge_function(d.inner), COMMAND, 2, 0);
	assert_false(peal_pci_function_is_bus_master(d.function));
	peal_pci_config_write(peal_pci_bridge_function(d.inner), COMMAND, 2, COMMAND_BUS_MASTER);
	assert_true(peal_pci_function_is_bus_master(d.function));
	port_write(&d.t, COMMAND, 2, 0);
	assert_false(peal_pci_function_is_bus_master(d.function));
	assert_null(peal_pci_function_dma(d.function));
	deep_done(&d);
}

static void secondary_bus_reset_reaches_every_level(void **state)
{
	struct peal_pci_function *inner;
	struct deep d;

	(void)state;
	deep_init(&d);
	inner = peal_pci_bridge_function(d.inner);
	peal_pci_function_set_intx(d.function, true);
	port_write(&d.t, CONTROL, 2, 0x40);
	assert_int_equal(d.t.f.device.resets, 1);
	assert_int_equal(peal_pci_config_read(d.function, COMMAND, 2), 0);
	assert_int_equal(peal_pci_config_read(d.function, STATUS, 2) & 8, 0);
	assert_int_equal(peal_pci_config_read(inner, COMMAND, 2), 0);
	assert_int_equal(peal_pci_config_read(inner, SECONDARY, 4), 0);
	assert_false(peal_pci_function_is_bus_master(d.function));
	/* The port stays as it was. */
	assert_int_equal(ecam(&d.t, ROOT, PORT, SECONDARY, 4), NUMBERS(ROOT, 4, 6));
	assert_int_equal(ecam(&d.t, ROOT, PORT, COMMAND, 2), COMMAND_BUS_MASTER);
	deep_done(&d);
}

/* As Function Level Reset, but for the fields of the link (PCIe 6.6.1, 7.4). */
static void secondary_bus_reset_keeps_sticky_bits(void **state)
{
	struct peal_pci_function_config config;
	struct peal_pci_function *function;
	struct tree t;
	unsigned express;

	(void)state;
	init(&t);
	config = function_config(&t.f);
	assert_int_equal(peal_pci_function_new(&function, &config), 0);
	assert_int_equal(peal_pci_function_add_pci_express(function), 0);
	assert_int_equal(peal_pci_function_add_aer(function), 0);
	assert_int_equal(peal_pci_bus_plug(peal_pci_bridge_bus(t.port), 2 << 3, function), 0);
	express = find_capability(function, ID_EXPRESS, 0);
	peal_pci_config_write(function, express + 8, 2, 0x28b0);
	peal_pci_config_write(function, 0x108, 4, 0x00100000);
	port_write(&t, CONTROL, 2, 0x40);
	assert_int_equal(peal_pci_config_read(function, express + 8, 2), 0x2810);
	assert_int_equal(peal_pci_config_read(function, 0x108, 4), 0x00100000);
	peal_pci_bus_unplug(peal_pci_bridge_bus(t.port), function);
	assert_int_equal(peal_pci_config_read(function, 0x108, 4), 0x00400000);
	peal_pci_function_free(function);
	done(&t);
}

static void host_ecam_writes_where_it_reads(void **state)
{
	struct deep d;

	(void)state;
	deep_init(&d);
	assert_int_equal(space_write(d.t.f.ram.space, HOST_ECAM + (6 << 20) + 0x3c, 1, 0x5a), 0);
	assert_int_equal(peal_pci_config_read(d.function, 0x3c, 1), 0x5a);
	assert_int_equal(ecam(&d.t, 6, 0, 0x3c, 1), 0x5a);
	/* No such device, and no such bus: nothing takes it, all ones answer. */
	assert_int_equal(space_write(d.t.f.ram.space, HOST_ECAM + (6 << 20 | 8 << 12), 4, 0), 0);
	assert_int_equal(space_write(d.t.f.ram.space, HOST_ECAM + (1 << 20) + 0x3c, 1, 0x77), 0);
	assert_int_equal(ecam(&d.t, 6, 8, 0, 4), 0xffffffff);
	assert_int_equal(ecam(&d.t, 1, 0, 0x3c, 1), 0xff);
	assert_int_equal(ecam(&d.t, 6, 0, 0x3c, 1), 0x5a);
	deep_done(&d);
}

static void port_has_a_line_of_its_own(void **state)
{
	struct peal_pci_function *port;
	struct tree t;

	(void)state;
	init(&t);
	port = peal_pci_bridge_function(t.port);
	peal_pci_function_set_intx(port, true);
	assert_true(peal_pci_bus_intx_level(t.f.bus, 0)); /* device 4, INTA# */
	port_write(&t, COMMAND, 2, INTX_DISABLE);
	assert_false(peal_pci_bus_intx_level(t.f.bus, 0));
	assert_int_equal(peal_pci_config_read(port, STATUS, 2) & 8, 8);
	/* It gates the port's own interrupts only. */
	peal_pci_function_set_intx(t.f.function, true);
	assert_true(peal_pci_bus_intx_level(t.f.bus, 1));
	port_write(&t, COMMAND, 2, 0);
	assert_true(peal_pci_bus_intx_level(t.f.bus, 0));
	peal_pci_function_set_intx(port, false);
	assert_false(peal_pci_bus_intx_level(t.f.bus, 0));
	done(&t);
}

static void creation_refuses_what_a_function_does(void **state)
{
	struct peal_pci_function_config config;
	struct peal_pci_bridge *bridge = NULL;
	struct tree t;

	(void)state;
	init(&t);
	config = function_config(&t.f);
	assert_int_equal(peal_pci_bridge_new(&bridge, t.f.bus, PORT, &config), -EBUSY);
	config.class_code = 0x1000000;
	assert_int_equal(peal_pci_bridge_new(&bridge, t.f.bus, 0, &config), -EINVAL);
	config.class_code = 0x060400;
	config.interrupt_pin = 5;
	assert_int_equal(peal_pci_bridge_new(&bridge, t.f.bus, 0, &config), -EINVAL);
	assert_null(bridge);
	assert_int_equal(ecam(&t, ROOT, 0, 0, 4), 0xffffffff);
	peal_pci_bridge_free(NULL);
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
		cmocka_unit_test(port_has_no_function_level_reset),
		cmocka_unit_test(windows_of_two_bridges_intersect),
		cmocka_unit_test(state_of_a_bridge_comes_back),
		cmocka_unit_test(ports_decode_inside_the_io_windows_only),
		cmocka_unit_test(windows_that_overlap_on_every_level_forward_all),
		cmocka_unit_test(renumbering_names_the_requester_of_msi_two_levels_down),
		cmocka_unit_test(bus_master_of_every_bridge_on_the_way_counts),
		cmocka_unit_test(secondary_bus_reset_reaches_every_level),
		cmocka_unit_test(secondary_bus_reset_keeps_sticky_bits),
		cmocka_unit_test(host_ecam_writes_where_it_reads),
		cmocka_unit_test(port_has_a_line_of_its_own),
		cmocka_unit_test(creation_refuses_what_a_function_does),
		cmocka_unit_test(creation_fails_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
