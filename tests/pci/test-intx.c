/* SPDX-License-Identifier: BSD-2-Clause */
/* INTx: the line of a function, of a bus that functions share, and the end of an interrupt. */
#include "fixture.h"

#define INTX_DISABLE     0x0400u
#define INTERRUPT_STATUS 0x0008u
#define LOG              32u

struct lines {
	struct test_host host;
	struct test_ram ram;
	struct peal_pci_bus *bus;
	struct peal_msi_sink sink;
	struct test_sink sink_log;
	unsigned edges;
	unsigned pins[LOG];
	bool levels[LOG];
};

struct member {
	struct peal_pci_function *function;
	unsigned eois;
	bool lower_at_eoi;
};

static void on_intx(void *user, unsigned pin, bool asserted)
{
	struct lines *l = user;

	thread_assert(l->edges < LOG);
	l->pins[l->edges] = pin;
	l->levels[l->edges++] = asserted;
}

static void on_eoi(void *user)
{
	struct member *m = user;

	m->eois++;
	if (m->lower_at_eoi)
		peal_pci_function_set_intx(m->function, false);
}

static const struct peal_pci_function_ops member_ops = { .intx_eoi = on_eoi };

static void lines_init(struct lines *l)
{
	struct peal_pci_bus_config bus;

	memset(l, 0, sizeof(*l));
	test_host_init(&l->host);
	l->sink = test_sink_init(&l->sink_log);
	test_ram_init(&l->ram, &l->host.host, 0, RAM_SIZE);
	bus = (struct peal_pci_bus_config){
		.host = &l->host.host,
		.memory = l->ram.space,
		.dma = l->ram.space,
		.sink = l->sink,
		.window32_address = WINDOW32,
		.window32_size = SIZE32,
		.intx = on_intx,
		.intx_user = l,
	};
	assert_int_equal(peal_pci_bus_new(&l->bus, &bus), 0);
}

static void lines_done(struct lines *l)
{
	peal_pci_bus_free(l->bus);
	test_ram_done(&l->ram);
	test_host_done(&l->host);
}

static void member_init_on(struct member *m, struct lines *l, struct peal_pci_bus *bus,
			   unsigned devfn, unsigned pin)
{
	struct peal_pci_function_config config = {
		.host = &l->host.host,
		.vendor_id = 0x1af4,
		.device_id = 0x1000,
		.interrupt_pin = (uint8_t)pin,
		.ops = &member_ops,
		.user = m,
	};

	memset(m, 0, sizeof(*m));
	assert_int_equal(peal_pci_function_new(&m->function, &config), 0);
	assert_int_equal(peal_pci_function_add_power_management(m->function), 0);
	assert_int_equal(peal_pci_function_add_msi(m->function,
						   &(struct peal_msi_config){ .vectors = 1 }),
			 0);
	assert_int_equal(peal_pci_function_add_msix_exclusive(m->function, 1, 0), 0);
	assert_int_equal(peal_pci_bus_plug(bus, (uint8_t)devfn, m->function), 0);
}

static void member_init(struct member *m, struct lines *l, unsigned devfn, unsigned pin)
{
	member_init_on(m, l, l->bus, devfn, pin);
}

static void member_done_on(struct member *m, struct peal_pci_bus *bus)
{
	peal_pci_bus_unplug(bus, m->function);
	peal_pci_function_free(m->function);
}

static void member_done(struct member *m, struct lines *l)
{
	member_done_on(m, l->bus);
}

static void assert_edge(const struct lines *l, unsigned number, unsigned pin, bool level)
{
	assert_int_equal(l->edges, number + 1);
	assert_int_equal(l->pins[number], pin);
	assert_int_equal(l->levels[number], level);
}

static uint64_t status(struct member *m)
{
	return peal_pci_config_read(m->function, STATUS, 2) & INTERRUPT_STATUS;
}

static void line_follows_the_wish(void **state)
{
	struct member m;
	struct lines l;

	(void)state;
	lines_init(&l);
	member_init(&m, &l, 0, 1);
	peal_pci_function_set_intx(m.function, true);
	assert_edge(&l, 0, 0, true);
	peal_pci_function_set_intx(m.function, true);
	assert_int_equal(l.edges, 1);
	assert_true(peal_pci_bus_intx_level(l.bus, 0));
	peal_pci_function_set_intx(m.function, false);
	assert_edge(&l, 1, 0, false);
	assert_false(peal_pci_bus_intx_level(l.bus, 0));
	member_done(&m, &l);
	lines_done(&l);
}

static void disable_gates_the_line_and_status_shows_the_wish(void **state)
{
	struct member m;
	struct lines l;

	(void)state;
	lines_init(&l);
	member_init(&m, &l, 0, 1);
	peal_pci_config_write(m.function, COMMAND, 2, INTX_DISABLE);
	peal_pci_function_set_intx(m.function, true);
	assert_int_equal(l.edges, 0);
	assert_int_equal(status(&m), INTERRUPT_STATUS);
	/* It is not cleared by writing 1. */
	peal_pci_config_write(m.function, STATUS, 2, 0xffff);
	assert_int_equal(status(&m), INTERRUPT_STATUS);
	peal_pci_config_write(m.function, COMMAND, 2, 0);
	assert_edge(&l, 0, 0, true);
	peal_pci_config_write(m.function, COMMAND + 1, 1, INTX_DISABLE >> 8);
	assert_edge(&l, 1, 0, false);
	peal_pci_function_set_intx(m.function, false);
	assert_int_equal(status(&m), 0);
	member_done(&m, &l);
	lines_done(&l);
}

static void enabling_messages_lowers_the_line(void **state)
{
	static const unsigned ids[] = { 0x05, ID_MSIX };
	static const unsigned enables[] = { 0x0001, MSIX_ENABLE };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct member m;
		struct lines l;
		unsigned at;

		lines_init(&l);
		member_init(&m, &l, 0, 1);
		at = find_capability(m.function, ids[i], 0);
		peal_pci_function_set_intx(m.function, true);
		peal_pci_config_write(m.function, at + 2, 2, enables[i]);
		assert_edge(&l, 1, 0, false);
		assert_int_equal(status(&m), INTERRUPT_STATUS);
		peal_pci_config_write(m.function, at + 2, 2, 0);
		assert_edge(&l, 2, 0, true);
		member_done(&m, &l);
		assert_edge(&l, 3, 0, false);
		lines_done(&l);
	}
}

static void d3hot_and_reset_lower_the_line(void **state)
{
	struct member m;
	struct lines l;
	unsigned at;

	(void)state;
	lines_init(&l);
	member_init(&m, &l, 0, 1);
	at = find_capability(m.function, ID_POWER_MANAGEMENT, 0);
	peal_pci_function_set_intx(m.function, true);
	peal_pci_config_write(m.function, at + 4, 2, 3);
	assert_edge(&l, 1, 0, false);
	/* Back in D0 the function was reset, and the wish with it. */
	peal_pci_config_write(m.function, at + 4, 2, 0);
	assert_int_equal(l.edges, 2);
	assert_int_equal(status(&m), 0);
	peal_pci_function_set_intx(m.function, true);
	peal_pci_function_reset(m.function);
	assert_edge(&l, 3, 0, false);
	member_done(&m, &l);
	lines_done(&l);
}

static void pins_swizzle_by_device(void **state)
{
	(void)state;
	for (unsigned device = 0; device < 8; device++) {
		for (unsigned pin = 1; pin <= 4; pin++) {
			struct member m;
			struct lines l;

			lines_init(&l);
			member_init(&m, &l, device << 3, pin);
			peal_pci_function_set_intx(m.function, true);
			assert_edge(&l, 0, (device + pin - 1) % 4, true);
			member_done(&m, &l);
			lines_done(&l);
		}
	}
}

static void function_without_pin_has_no_line(void **state)
{
	struct member m;
	struct lines l;

	(void)state;
	lines_init(&l);
	member_init(&m, &l, 0, 0);
	peal_pci_function_set_intx(m.function, true);
	assert_int_equal(l.edges, 0);
	assert_false(peal_pci_function_intx_line(m.function));
	member_done(&m, &l);
	assert_int_equal(l.edges, 0);
	lines_done(&l);
}

/* Devices 0 and 4 share INTA#; device 1's INTD# swizzles there as well. */
static void shared_line_is_the_or(void **state)
{
	struct member m[3];
	struct lines l;

	(void)state;
	lines_init(&l);
	member_init(&m[0], &l, 0 << 3, 1);
	member_init(&m[1], &l, 4 << 3, 1);
	member_init(&m[2], &l, 1 << 3, 4);
	peal_pci_function_set_intx(m[0].function, true);
	peal_pci_function_set_intx(m[1].function, true);
	peal_pci_function_set_intx(m[2].function, true);
	assert_edge(&l, 0, 0, true);
	peal_pci_function_set_intx(m[0].function, false);
	peal_pci_function_set_intx(m[2].function, false);
	assert_int_equal(l.edges, 1);
	/* Unplugging the last one lowers it. */
	member_done(&m[1], &l);
	assert_edge(&l, 1, 0, false);
	member_done(&m[0], &l);
	member_done(&m[2], &l);
	lines_done(&l);
}

static void eoi_asks_the_line_s_functions_and_refires(void **state)
{
	struct member m[3];
	struct lines l;

	(void)state;
	lines_init(&l);
	member_init(&m[0], &l, 0 << 3, 1);
	member_init(&m[1], &l, 4 << 3, 1);
	member_init(&m[2], &l, 1 << 3, 1);
	m[0].lower_at_eoi = true;
	peal_pci_function_set_intx(m[0].function, true);
	peal_pci_bus_intx_eoi(l.bus, 0);
	assert_int_equal(m[0].eois, 1);
	assert_int_equal(m[1].eois, 1);
	assert_int_equal(m[2].eois, 0);
	assert_edge(&l, 1, 0, false);
	/* One that stays asserted fires again. */
	peal_pci_function_set_intx(m[1].function, true);
	peal_pci_bus_intx_eoi(l.bus, 0);
	assert_edge(&l, 3, 0, true);
	for (unsigned i = 0; i < 3; i++)
		member_done(&m[i], &l);
	lines_done(&l);
}

static void raised_before_plugging_shows_when_plugged(void **state)
{
	struct peal_pci_function *function;
	struct lines l;

	(void)state;
	lines_init(&l);
	assert_int_equal(peal_pci_function_new(&function,
					       &(struct peal_pci_function_config){
						       .host = &l.host.host, .interrupt_pin = 2 }),
			 0);
	peal_pci_function_set_intx(function, true);
	assert_int_equal(l.edges, 0);
	assert_int_equal(peal_pci_bus_plug(l.bus, 0, function), 0);
	assert_edge(&l, 0, 1, true);
	peal_pci_bus_unplug(l.bus, function);
	assert_edge(&l, 1, 1, false);
	peal_pci_function_free(function);
	lines_done(&l);
}

/* One who is loaded with a gate and the line's wish never lets the line rise in between. */
static void line_of_a_loaded_function_goes_to_its_level_at_once(void **state)
{
	const struct {
		unsigned id; /* of the capability; 0: the header */
		uint32_t offset;
		unsigned value;
	} gates[] = {
		{ 0, COMMAND, INTX_DISABLE },
		{ 0x05, 2, 0x0001 },
		{ ID_MSIX, 2, MSIX_ENABLE },
		{ ID_POWER_MANAGEMENT, 4, 3 },
	};

	(void)state;
	for (unsigned i = 0; i < PEAL_COUNT_OF(gates); i++) {
		uint8_t open[2048], gated[2048];
		struct member m;
		struct lines l;
		size_t size;
		unsigned at;

		lines_init(&l);
		member_init(&m, &l, 0, 1);
		size = peal_pci_function_state_size(m.function);
		peal_pci_function_set_intx(m.function, true);
		assert_int_equal(peal_pci_function_save(m.function, open, sizeof(open)), 0);
		at = gates[i].id ? find_capability(m.function, gates[i].id, 0) : 0;
		peal_pci_config_write(m.function, at + gates[i].offset, 2, gates[i].value);
		assert_int_equal(peal_pci_function_save(m.function, gated, sizeof(gated)), 0);
		peal_pci_function_reset(m.function);
		assert_edge(&l, 1, 0, false);
		l.edges = 0;
		assert_int_equal(peal_pci_function_load(m.function, gated, size), 0);
		assert_int_equal(l.edges, 0);
		assert_int_equal(status(&m), INTERRUPT_STATUS);
		assert_int_equal(peal_pci_function_load(m.function, open, size), 0);
		assert_edge(&l, 0, 0, true);
		/* Where nothing is different, nothing moves. */
		assert_int_equal(peal_pci_function_load(m.function, open, size), 0);
		assert_int_equal(l.edges, 1);
		assert_int_equal(peal_pci_function_load(m.function, gated, size), 0);
		assert_edge(&l, 1, 0, false);
		member_done(&m, &l);
		assert_int_equal(l.edges, 2);
		lines_done(&l);
	}
}

/* A register of a capability whose hook reaches the device, as virtio's access to BARs does. */
static void hook_lowers(void *owner, const struct peal_reg_write *write)
{
	struct member *m = owner;

	(void)write;
	peal_pci_function_set_intx(m->function, false);
}

static const struct peal_reg hook_rows[] = {
	PEAL_PCI_CAPABILITY_HEADER,
	{ .offset = 2,
	  .width = 2,
	  .rw = 0xffff,
	  .write = hook_lowers,
	  .name = "Doorbell",
	  .section = "none" },
};

static void handler_under_the_configuration_mutex_may_drive_the_line(void **state)
{
	struct peal_pci_function_config config;
	struct member m = { 0 };
	struct lines l;
	uint8_t at;

	(void)state;
	lines_init(&l);
	config = (struct peal_pci_function_config){ .host = &l.host.host, .interrupt_pin = 1 };
	assert_int_equal(peal_pci_function_new(&m.function, &config), 0);
	assert_int_equal(peal_pci_function_add_capability(m.function, ID_VENDOR, 0, 4, hook_rows,
							  PEAL_COUNT_OF(hook_rows), &m, &at),
			 0);
	assert_int_equal(peal_pci_bus_plug(l.bus, 0, m.function), 0);
	peal_pci_function_set_intx(m.function, true);
	peal_pci_config_write(m.function, at + 2u, 2, 1);
	assert_edge(&l, 1, 0, false);
	member_done(&m, &l);
	lines_done(&l);
}

/* Behind PORT, device 2 of the root bus, and INNER, device 3 behind that. */
static void eoi_and_refire_go_through_bridges(void **state)
{
	struct peal_pci_function_config bridge = { .class_code = 0x060400 };
	struct peal_pci_bridge *port, *inner;
	struct member near, far, deep;
	struct lines l;
	unsigned line;

	(void)state;
	lines_init(&l);
	bridge.host = &l.host.host;
	assert_int_equal(peal_pci_bridge_new(&port, l.bus, 2 << 3, &bridge), 0);
	assert_int_equal(peal_pci_bridge_new(&inner, peal_pci_bridge_bus(port), 3 << 3, &bridge),
			 0);
	/* All but FAR come to the same line: ((1 + INTB#) + 3) + 2 = INTD#, 3 + INTA#. */
	member_init_on(&deep, &l, peal_pci_bridge_bus(inner), 1 << 3, 2);
	member_init_on(&near, &l, l.bus, 3 << 3, 1);
	member_init_on(&far, &l, peal_pci_bridge_bus(inner), 1 << 3 | 1, 1);
	line = (1 + 1 + 3 + 2) % 4;
	peal_pci_function_set_intx(deep.function, true);
	assert_edge(&l, 0, line, true);
	/* Still asserted: it fires again. */
	peal_pci_bus_intx_eoi(l.bus, line);
	assert_edge(&l, 1, line, true);
	deep.lower_at_eoi = true;
	peal_pci_bus_intx_eoi(l.bus, line);
	assert_edge(&l, 2, line, false);
	assert_int_equal(deep.eois, 2);
	assert_int_equal(near.eois, 2);
	assert_int_equal(far.eois, 0);
	/* Another line asks those on it only. */
	peal_pci_bus_intx_eoi(l.bus, (line + 3) % 4);
	assert_int_equal(far.eois, 1);
	assert_int_equal(deep.eois + near.eois, 4);
	assert_int_equal(l.edges, 3);
	member_done_on(&far, peal_pci_bridge_bus(inner));
	member_done_on(&deep, peal_pci_bridge_bus(inner));
	member_done(&near, &l);
	peal_pci_bridge_free(inner);
	peal_pci_bridge_free(port);
	lines_done(&l);
}

/* No one listens to the lines, and a function does not care for the end of its interrupts. */
static void eoi_of_a_bus_without_listeners_is_quiet(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	fixture_plug(&f);
	peal_pci_function_set_intx(f.function, true);
	assert_true(peal_pci_bus_intx_level(f.bus, 0));
	peal_pci_bus_intx_eoi(f.bus, 0);
	assert_true(peal_pci_bus_intx_level(f.bus, 0));
	peal_pci_function_set_intx(f.function, false);
	assert_false(peal_pci_bus_intx_level(f.bus, 0));
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_follows_the_wish),
		cmocka_unit_test(disable_gates_the_line_and_status_shows_the_wish),
		cmocka_unit_test(enabling_messages_lowers_the_line),
		cmocka_unit_test(d3hot_and_reset_lower_the_line),
		cmocka_unit_test(pins_swizzle_by_device),
		cmocka_unit_test(function_without_pin_has_no_line),
		cmocka_unit_test(shared_line_is_the_or),
		cmocka_unit_test(eoi_asks_the_line_s_functions_and_refires),
		cmocka_unit_test(raised_before_plugging_shows_when_plugged),
		cmocka_unit_test(line_of_a_loaded_function_goes_to_its_level_at_once),
		cmocka_unit_test(handler_under_the_configuration_mutex_may_drive_the_line),
		cmocka_unit_test(eoi_and_refire_go_through_bridges),
		cmocka_unit_test(eoi_of_a_bus_without_listeners_is_quiet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
