/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Power Management and PCI Express: D3hot stops everything but configuration, leaving it resets,
 * and so does Function Level Reset.
 */
#include "fixture.h"

#define PMC               2u
#define PMCSR             4u
#define D0                0u
#define D3HOT             3u
#define DEVICE_CAPABILITY 4u
#define DEVICE_CONTROL    8u
#define DEVICE_STATUS     10u
#define INITIATE_FLR      0x8000u

#define BAR_ADDRESS (WINDOW32 + 0x10000)

struct powered {
	struct fixture f;
	unsigned pm, express;
};

/* A running function: two vectors enabled, BAR 0 (MSI-X) and 1 (the device's) decode. */
static void powered_init(struct powered *p)
{
	struct fixture *f = &p->f;

	fixture_init(f);
	assert_int_equal(peal_pci_function_add_power_management(f->function), 0);
	assert_int_equal(peal_pci_function_add_pci_express(f->function), 0);
	assert_int_equal(peal_pci_function_add_bar(f->function, 1, PEAL_PCI_BAR_MEM32, 4096,
						   &device_bar_ops, &f->device),
			 0);
	assert_int_equal(peal_pci_function_add_msix_exclusive(f->function, 2, 0), 0);
	f->msix = peal_pci_function_msix(f->function);
	f->capability = find_capability(f->function, ID_MSIX, 0);
	p->pm = find_capability(f->function, ID_POWER_MANAGEMENT, 0);
	p->express = find_capability(f->function, ID_EXPRESS, 0);
	assert_true(p->pm && p->express && f->capability);
	assert_int_equal(peal_msix_use(f->msix, 0), 0);
	assert_int_equal(peal_msix_use(f->msix, 1), 0);
	fixture_plug(f);
}

static void run(struct powered *p)
{
	struct fixture *f = &p->f;

	config_write(f, BAR(0), 4, WINDOW32);
	config_write(f, BAR(1), 4, BAR_ADDRESS);
	set_command(f, COMMAND_MEMORY | COMMAND_BUS_MASTER);
	set_control(f, MSIX_ENABLE);
	program_vector(f, 0, false);
	program_vector(f, 1, false);
	f->device.resets = 0;
	f->device.bus_master_changes = 0;
}

static void assert_runs(struct powered *p)
{
	struct fixture *f = &p->f;
	uint64_t before = test_sink_count(&f->sink);

	assert_true(is_mapped(f->ram.space, BAR_ADDRESS));
	assert_true(is_mapped(f->ram.space, WINDOW32));
	assert_true(peal_pci_function_is_bus_master(f->function));
	assert_ptr_equal(peal_pci_function_dma(f->function), f->ram.space);
	assert_int_equal(peal_msix_notify(f->msix, 1), 1);
	assert_int_equal(test_sink_count(&f->sink), before + 1);
	assert_message(&f->sink, VECTOR_ADDRESS(1), VECTOR_DATA(1));
}

static void assert_stopped(struct powered *p)
{
	struct fixture *f = &p->f;
	uint64_t before = test_sink_count(&f->sink);

	assert_false(is_mapped(f->ram.space, BAR_ADDRESS));
	assert_false(is_mapped(f->ram.space, WINDOW32));
	assert_false(peal_pci_function_is_bus_master(f->function));
	assert_null(peal_pci_function_dma(f->function));
	assert_int_equal(peal_msix_notify(f->msix, 1), 0);
	assert_int_equal(test_sink_count(&f->sink), before);
}

/* The state after power-on. */
static void assert_reset(struct powered *p)
{
	struct fixture *f = &p->f;

	assert_int_equal(config_read(f, COMMAND, 2), 0);
	assert_int_equal(config_read(f, BAR(0), 8), 0);
	assert_int_equal(config_read(f, p->pm + PMCSR, 2), 0);
	assert_int_equal(control(f), 1);
	assert_false(peal_msix_is_enabled(f->msix));
	for (unsigned v = 0; v < 2; v++) {
		assert_int_equal(table_read(f, 16 * v, 8), 0);
		assert_int_equal(table_read(f, 16 * v + 8, 8), PEAL_BIT(32));
		assert_false(pba(f, v));
	}
}

/* ---- power management ---- */

static void d0_and_d3hot_are_the_states(void **state)
{
	struct powered p;

	(void)state;
	powered_init(&p);
	/* Version 3, no D1, no D2, no PME, and no No_Soft_Reset. */
	assert_int_equal(config_read(&p.f, p.pm + PMC, 2), 3);
	assert_int_equal(config_read(&p.f, p.pm + PMCSR, 4), D0);
	config_write(&p.f, p.pm + PMC, 2, 0xffff);
	assert_int_equal(config_read(&p.f, p.pm + PMC, 2), 3);
	fixture_done(&p.f);
}

static void d3hot_stops_decode_dma_and_messages(void **state)
{
	struct powered p;

	(void)state;
	powered_init(&p);
	run(&p);
	assert_runs(&p);
	config_write(&p.f, p.pm + PMCSR, 2, D3HOT);
	assert_int_equal(config_read(&p.f, p.pm + PMCSR, 2), D3HOT);
	assert_stopped(&p);
	assert_int_equal(p.f.device.bus_master_changes, 1);
	assert_false(p.f.device.bus_master);
	assert_int_equal(p.f.device.resets, 0);
	/* The registers are still there, and do not bring it to life. */
	assert_int_equal(config_read(&p.f, COMMAND, 2), COMMAND_MEMORY | COMMAND_BUS_MASTER);
	set_command(&p.f, 0);
	set_command(&p.f, COMMAND_MEMORY | COMMAND_BUS_MASTER);
	assert_stopped(&p);
	fixture_done(&p.f);
}

static void leaving_d3hot_resets(void **state)
{
	struct powered p;

	(void)state;
	powered_init(&p);
	run(&p);
	config_write(&p.f, p.pm + PMCSR, 2, D3HOT);
	assert_int_equal(peal_msix_notify(p.f.msix, 0), 0);
	config_write(&p.f, p.pm + PMCSR, 2, D0);
	assert_int_equal(p.f.device.resets, 1);
	assert_reset(&p);
	assert_stopped(&p);
	run(&p);
	assert_runs(&p);
	fixture_done(&p.f);
}

static void unsupported_state_is_ignored(void **state)
{
	struct powered p;

	(void)state;
	powered_init(&p);
	run(&p);
	for (unsigned unsupported = 1; unsupported <= 2; unsupported++) {
		config_write(&p.f, p.pm + PMCSR, 2, unsupported);
		assert_int_equal(config_read(&p.f, p.pm + PMCSR, 2), D0);
		assert_runs(&p);
	}
	config_write(&p.f, p.pm + PMCSR, 1, D3HOT);
	for (unsigned unsupported = 1; unsupported <= 2; unsupported++) {
		config_write(&p.f, p.pm + PMCSR, 4, unsupported);
		assert_int_equal(config_read(&p.f, p.pm + PMCSR, 2), D3HOT);
		assert_stopped(&p);
	}
	assert_int_equal(p.f.device.resets, 0);
	fixture_done(&p.f);
}

static void same_state_again_does_nothing(void **state)
{
	struct powered p;

	(void)state;
	powered_init(&p);
	run(&p);
	config_write(&p.f, p.pm + PMCSR, 2, D0);
	assert_runs(&p);
	config_write(&p.f, p.pm + PMCSR + 1, 1, 0xff); /* not the state's byte */
	assert_runs(&p);
	assert_int_equal(p.f.device.resets, 0);
	fixture_done(&p.f);
}

static void function_plugged_in_d3hot_stays_silent(void **state)
{
	struct powered p;

	(void)state;
	powered_init(&p);
	config_write(&p.f, p.pm + PMCSR, 2, D3HOT);
	fixture_unplug(&p.f);
	config_write(&p.f, p.pm + PMCSR, 2, D3HOT);
	fixture_plug(&p.f);
	run(&p);
	assert_stopped(&p);
	fixture_done(&p.f);
}

/* ---- Function Level Reset ---- */

static void device_capabilities_offer_flr(void **state)
{
	struct powered p;

	(void)state;
	powered_init(&p);
	assert_int_equal(config_read(&p.f, p.express + 2, 2), 0x0002); /* version 2, endpoint */
	assert_int_equal(config_read(&p.f, p.express + DEVICE_CAPABILITY, 4) & PEAL_BIT(28),
			 PEAL_BIT(28));
	fixture_done(&p.f);
}

static void function_level_reset_resets_everything_and_reads_zero(void **state)
{
	/* By every width and alignment that covers bit 15 of Device Control. */
	static const struct {
		int offset;
		unsigned size;
		uint64_t value;
	} writes[] = {
		{ 0, 2, 0x8000 }, { 1, 1, 0x80 },      { 0, 4, 0x8000 },
		{ 1, 2, 0x80 },   { -1, 4, 0x800000 }, { -4, 8, UINT64_C(0x800000000000) },
	};
	struct powered p;
	uint64_t before;

	(void)state;
	powered_init(&p);
	before = config_read(&p.f, p.express + DEVICE_CONTROL, 2);
	for (size_t i = 0; i < PEAL_COUNT_OF(writes); i++) {
		run(&p);
		assert_runs(&p);
		config_write(&p.f, p.express + DEVICE_CONTROL, 2, before ^ 0x0f);
		assert_int_equal(p.f.device.resets, 0);
		config_write(&p.f, (uint32_t)((int)(p.express + DEVICE_CONTROL) + writes[i].offset),
			     writes[i].size, writes[i].value);
		assert_int_equal(p.f.device.resets, 1);
		assert_int_equal(config_read(&p.f, p.express + DEVICE_CONTROL, 2), before);
		assert_reset(&p);
		assert_stopped(&p);
	}
	fixture_done(&p.f);
}

static void device_control_without_the_flr_bit_resets_nothing(void **state)
{
	struct powered p;

	(void)state;
	powered_init(&p);
	run(&p);
	config_write(&p.f, p.express + DEVICE_CONTROL, 2, 0x7fff);
	assert_int_equal(config_read(&p.f, p.express + DEVICE_CONTROL, 2), 0x7fff);
	config_write(&p.f, p.express + DEVICE_CONTROL, 1, 0x80);
	config_write(&p.f, p.express + DEVICE_STATUS, 2, 0x8000);
	assert_int_equal(p.f.device.resets, 0);
	assert_runs(&p);
	fixture_done(&p.f);
}

static void flr_wakes_from_d3hot(void **state)
{
	struct powered p;

	(void)state;
	powered_init(&p);
	run(&p);
	config_write(&p.f, p.pm + PMCSR, 2, D3HOT);
	config_write(&p.f, p.express + DEVICE_CONTROL, 2, INITIATE_FLR);
	assert_int_equal(p.f.device.resets, 1);
	assert_reset(&p);
	run(&p);
	assert_runs(&p);
	fixture_done(&p.f);
}

/* What a driver's reset finds: the pending bits are gone before the device hears of it. */
static void look_when_reset(void *user)
{
	struct fixture *f = user;

	f->device.resets++;
	assert_false(peal_msix_is_pending(f->msix, 0));
}

static void device_that_is_reset_finds_no_pending_bit(void **state)
{
	static const struct peal_pci_function_ops ops = { .reset = look_when_reset };
	struct peal_pci_function_config config;
	struct fixture f;

	(void)state;
	fixture_init(&f);
	peal_pci_function_free(f.function);
	config = function_config(&f);
	config.ops = &ops;
	config.user = &f;
	assert_int_equal(peal_pci_function_new(&f.function, &config), 0);
	assert_int_equal(peal_pci_function_add_msix_exclusive(f.function, 2, 0), 0);
	f.msix = peal_pci_function_msix(f.function);
	assert_int_equal(peal_msix_use(f.msix, 0), 0);
	fixture_plug(&f);
	assert_int_equal(peal_msix_notify(f.msix, 0), 0);
	assert_true(peal_msix_is_pending(f.msix, 0));
	peal_pci_function_reset(f.function);
	assert_int_equal(f.device.resets, 1);
	fixture_done(&f);
}

/* A device that is told to stop and raises once more before it does. */
static void raise_when_stopped(void *user, bool enabled)
{
	struct fixture *f = user;

	if (!enabled)
		(void)peal_msix_notify(f->msix, 0);
}

static void raise_when_reset(void *user)
{
	struct fixture *f = user;

	f->device.resets++;
	(void)peal_msix_notify(f->msix, 1);
	(void)peal_msi_notify(peal_pci_function_msi(f->function), 1);
}

static void raises_of_a_device_that_is_being_reset_leave_no_pending_bit(void **state)
{
	static const struct peal_pci_function_ops ops = {
		.reset = raise_when_reset,
		.bus_master = raise_when_stopped,
	};
	const struct peal_msi_config msi = { .vectors = 2, .maskable = true };
	struct peal_pci_function_config config;
	struct fixture f;

	(void)state;
	fixture_init(&f);
	peal_pci_function_free(f.function);
	config = function_config(&f);
	config.ops = &ops;
	config.user = &f;
	assert_int_equal(peal_pci_function_new(&f.function, &config), 0);
	assert_int_equal(peal_pci_function_add_msix_exclusive(f.function, 2, 0), 0);
	assert_int_equal(peal_pci_function_add_msi(f.function, &msi), 0);
	f.msix = peal_pci_function_msix(f.function);
	for (unsigned v = 0; v < 2; v++) {
		assert_int_equal(peal_msix_use(f.msix, v), 0);
		assert_int_equal(peal_msi_use(peal_pci_function_msi(f.function), v), 0);
	}
	fixture_plug(&f);
	set_command(&f, COMMAND_BUS_MASTER);
	peal_pci_function_reset(f.function);
	assert_int_equal(f.device.resets, 1);
	assert_raised(f.msix, PEAL_MSIX_ALL, 2);
	assert_false(peal_msi_is_pending(peal_pci_function_msi(f.function), 1));
	assert_false(pba(&f, 0));
	assert_false(pba(&f, 1));
	assert_int_equal(test_sink_count(&f.sink), 0);
	fixture_done(&f);
}

/* ---- what survives which reset ---- */

#define LINK_CONTROL 16u
#define AER          0x100u

/* Max_Payload_Size, and ASPM, Common Clock and Extended Synch of Link Control. */
static void write_what_may_survive(struct powered *p)
{
	config_write(&p->f, p->express + DEVICE_CONTROL, 2, 0x5fbf); /* not FLR; 4096 bytes */
	config_write(&p->f, p->express + LINK_CONTROL, 2, 0xffff);
	config_write(&p->f, AER + 8, 4, 0x00100000);
	config_write(&p->f, AER + 12, 4, 0x00001000);
	config_write(&p->f, AER + 20, 4, 0x00000041);
}

static void assert_link(struct powered *p, bool kept)
{
	assert_int_equal(config_read(&p->f, p->express + DEVICE_CONTROL, 2),
			 kept ? 0x28b0 : 0x2810);
	assert_int_equal(config_read(&p->f, p->express + LINK_CONTROL, 2), kept ? 0xc3 : 0);
}

static void assert_sticky(struct powered *p, bool kept)
{
	assert_int_equal(config_read(&p->f, AER + 8, 4), kept ? 0x00100000 : 0x00400000);
	assert_int_equal(config_read(&p->f, AER + 12, 4), kept ? 0x00001000 : 0x00462030);
	assert_int_equal(config_read(&p->f, AER + 20, 4), kept ? 0x00000041 : 0x0000e000);
}

static void powered_init_aer(struct powered *p)
{
	powered_init(p);
	fixture_unplug(&p->f);
	assert_int_equal(peal_pci_function_add_aer(p->f.function), 0);
	/* An error that the device found before. */
	peal_pci_function_set_config(p->f.function, AER + 4, 4, 0x00005000);
	fixture_plug(&p->f);
}

static void flr_keeps_the_fields_of_the_link_and_sticky_bits(void **state)
{
	struct powered p;

	(void)state;
	powered_init_aer(&p);
	write_what_may_survive(&p);
	config_write(&p.f, AER + 4, 4, 0x00001000); /* write 1 to clear */
	config_write(&p.f, p.express + DEVICE_CONTROL, 2, 0x7fbf | INITIATE_FLR);
	assert_int_equal(p.f.device.resets, 2); /* one is of unplugging */
	assert_link(&p, true);
	assert_sticky(&p, true);
	assert_int_equal(config_read(&p.f, AER + 4, 4), 0x00004000);
	fixture_done(&p.f);
}

/* The write that initiates it also writes Max_Payload_Size, and that is what stays. */
static void flr_keeps_the_payload_size_that_came_with_it(void **state)
{
	struct powered p;

	(void)state;
	powered_init_aer(&p);
	config_write(&p.f, p.express + DEVICE_CONTROL, 2, 0x2840 | INITIATE_FLR);
	assert_int_equal(config_read(&p.f, p.express + DEVICE_CONTROL, 2), 0x2850);
	fixture_done(&p.f);
}

static void leaving_d3hot_keeps_sticky_bits_only(void **state)
{
	struct powered p;

	(void)state;
	powered_init_aer(&p);
	write_what_may_survive(&p);
	config_write(&p.f, p.pm + PMCSR, 2, D3HOT);
	config_write(&p.f, p.pm + PMCSR, 2, D0);
	assert_link(&p, false);
	assert_sticky(&p, true);
	fixture_done(&p.f);
}

static void power_on_keeps_nothing(void **state)
{
	struct powered p;

	(void)state;
	powered_init_aer(&p);
	write_what_may_survive(&p);
	config_write(&p.f, AER + 4, 4, 0xffffffff);
	assert_int_equal(config_read(&p.f, AER + 4, 4), 0);
	peal_pci_function_reset(p.f.function);
	assert_link(&p, false);
	assert_sticky(&p, false);
	assert_int_equal(config_read(&p.f, AER + 4, 4), 0x00005000);
	fixture_done(&p.f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(d0_and_d3hot_are_the_states),
		cmocka_unit_test(d3hot_stops_decode_dma_and_messages),
		cmocka_unit_test(leaving_d3hot_resets),
		cmocka_unit_test(unsupported_state_is_ignored),
		cmocka_unit_test(same_state_again_does_nothing),
		cmocka_unit_test(function_plugged_in_d3hot_stays_silent),
		cmocka_unit_test(device_capabilities_offer_flr),
		cmocka_unit_test(function_level_reset_resets_everything_and_reads_zero),
		cmocka_unit_test(device_control_without_the_flr_bit_resets_nothing),
		cmocka_unit_test(flr_wakes_from_d3hot),
		cmocka_unit_test(flr_keeps_the_fields_of_the_link_and_sticky_bits),
		cmocka_unit_test(flr_keeps_the_payload_size_that_came_with_it),
		cmocka_unit_test(leaving_d3hot_keeps_sticky_bits_only),
		cmocka_unit_test(power_on_keeps_nothing),
		cmocka_unit_test(device_that_is_reset_finds_no_pending_bit),
		cmocka_unit_test(raises_of_a_device_that_is_being_reset_leave_no_pending_bit),
	};

	return cmocka_run_group_tests_name("pci-express", tests, NULL, NULL);
}
