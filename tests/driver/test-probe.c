/* SPDX-License-Identifier: BSD-2-Clause */
/* Probe: which devices are ours, and what is taken from their capabilities. */
#include "fake.h"
#include "driver/virtio.h"

static int probe(struct fake *fake, struct peal_virtio_driver **driver)
{
	struct peal_virtio_driver_config config = fake_config(fake);

	return peal_virtio_driver_probe(driver, &config);
}

/* The probe says R and leaves no trace: no write, no memory, no output. */
static void check_refused(struct fake *fake, int r)
{
	struct peal_virtio_driver *driver = (struct peal_virtio_driver *)1;

	assert_int_equal(probe(fake, &driver), r);
	assert_ptr_equal(driver, (void *)1);
	assert_int_equal(fake->config_writes, 0);
	assert_int_equal(fake->bar_accesses, 0);
	assert_int_equal(fake->resets, 0);
	fake_check_clean(fake);
}

static void other_devices_are_not_touched(void **state)
{
	static const struct {
		uint16_t vendor, device;
	} ids[] = { { 0xffff, 0xffff }, { 0x8086, 0x1042 }, { 0x1af4, 0x0fff }, { 0x1af4, 0x1000 },
		    { 0x1af4, 0x1001 }, { 0x1af4, 0x103f }, { 0x1af4, 0x1080 }, { 0x1af4, 0xffff } };
	static struct fake fake;

	(void)state;
	for (unsigned i = 0; i < PEAL_COUNT_OF(ids); i++) {
		fake_init(&fake);
		fake_set_config(&fake, 0, 2, ids[i].vendor);
		fake_set_config(&fake, 2, 2, ids[i].device);
		check_refused(&fake, -ENXIO);
	}
}

static void type_and_description_come_from_the_device_id(void **state)
{
	static const struct {
		uint16_t device;
		const char *description;
	} ids[] = { { 0x1041, "Virtio PCI network adapter" },
		    { 0x1042, "Virtio PCI block adapter" },
		    { 0x1040, "Virtio PCI Unknown adapter" },
		    { 0x107f, "Virtio PCI Unknown adapter" } };
	static struct fake fake;

	(void)state;
	for (unsigned i = 0; i < PEAL_COUNT_OF(ids); i++) {
		struct peal_virtio_driver *driver;

		fake_init(&fake);
		fake_set_config(&fake, 2, 2, ids[i].device);
		assert_int_equal(probe(&fake, &driver), 0);
		assert_int_equal(peal_virtio_driver_type(driver), ids[i].device - 0x1040);
		assert_string_equal(peal_virtio_driver_description(driver), ids[i].description);
		peal_virtio_driver_free(driver);
		fake_check_clean(&fake);
	}
}

static void probe_enables_decoding_and_no_bus_mastering(void **state)
{
	static struct fake fake;
	struct peal_virtio_driver *driver;

	(void)state;
	fake_init(&fake);
	fake_set_config(&fake, 4, 2, 0x404); /* bus mastering left on, interrupts disabled */
	assert_int_equal(probe(&fake, &driver), 0);
	assert_int_equal(fake_command(&fake), 0x402);
	assert_int_equal(fake.resets, 0);
	peal_virtio_driver_free(driver);
	assert_int_equal(fake_command(&fake), 0x402);

	fake_init(&fake);
	fake.bars[FAKE_BAR].is_io = true;
	assert_int_equal(probe(&fake, &driver), 0);
	assert_int_equal(fake_command(&fake), 1);
	peal_virtio_driver_free(driver);
	fake_check_clean(&fake);
}

/* ---- capabilities ---- */

static void set_bar(struct fake *fake, unsigned value)
{
	fake->config[FAKE_CAP_COMMON + 4] = (uint8_t)value;
}

static void set_place(struct fake *fake, uint8_t position, uint32_t offset, uint32_t length)
{
	fake_set_config(fake, position + 8u, 4, offset);
	fake_set_config(fake, position + 12u, 4, length);
}

/* One way of being wrong each; without the spare the device cannot be used. */
static void break_no_list(struct fake *fake)
{
	fake_set_config(fake, 6, 2, 0);
}

static void break_pointer(struct fake *fake)
{
	fake_set_config(fake, 0x34, 1, 0);
}

static void break_pointer_into_header(struct fake *fake)
{
	fake_set_config(fake, 0x34, 1, 0x3c);
}

static void break_id(struct fake *fake)
{
	fake->config[FAKE_CAP_COMMON] = 5;
}

static void break_short(struct fake *fake)
{
	fake->config[FAKE_CAP_COMMON + 2] = 15;
}

static void break_zero_length(struct fake *fake)
{
	fake->config[FAKE_CAP_COMMON + 2] = 0;
}

static void break_past_the_end(struct fake *fake)
{
	fake->config[FAKE_CAP_COMMON + 2] = 0xff;
}

static void break_notify_without_multiplier(struct fake *fake)
{
	fake->config[FAKE_CAP_NOTIFY + 2] = 16;
}

static void break_bar_6(struct fake *fake)
{
	set_bar(fake, 6);
}

static void break_bar_255(struct fake *fake)
{
	set_bar(fake, 255);
}

static void break_bar_missing(struct fake *fake)
{
	set_bar(fake, 3);
}

static void break_all_bars_missing(struct fake *fake)
{
	fake->bars[FAKE_BAR].size = 0;
}

static void break_too_small(struct fake *fake)
{
	set_place(fake, FAKE_CAP_COMMON, 0, PEAL_VIRTIO_COMMON_SIZE - 1);
}

static void break_past_the_bar(struct fake *fake)
{
	set_place(fake, FAKE_CAP_COMMON, FAKE_BAR_SIZE - 52, 56);
}

static void break_beyond_the_bar(struct fake *fake)
{
	set_place(fake, FAKE_CAP_COMMON, FAKE_BAR_SIZE + 4, 56);
}

static void break_wraps(struct fake *fake)
{
	set_place(fake, FAKE_CAP_COMMON, UINT32_MAX - 55, 60);
}

static void break_misaligned(struct fake *fake)
{
	set_place(fake, FAKE_CAP_COMMON, 2, 56);
}

static void break_notify_misaligned(struct fake *fake)
{
	set_place(fake, FAKE_CAP_NOTIFY, FAKE_NOTIFY + 1, 64);
}

static void break_notify_empty(struct fake *fake)
{
	set_place(fake, FAKE_CAP_NOTIFY, FAKE_NOTIFY, 1);
}

static void break_isr_empty(struct fake *fake)
{
	set_place(fake, FAKE_CAP_ISR, FAKE_ISR, 0);
}

static void break_isr_type(struct fake *fake)
{
	fake->config[FAKE_CAP_ISR + 3] = 0;
}

static void break_loop(struct fake *fake)
{
	fake->config[FAKE_CAP_COMMON + 1] = FAKE_CAP_COMMON;
}

static void break_long_loop(struct fake *fake)
{
	fake->config[FAKE_CAP_NOTIFY + 1] = FAKE_CAP_COMMON;
}

/* The header at 0xfc has no room for what a virtio capability holds. */
static void break_at_the_end(struct fake *fake)
{
	fake->config[0x34] = 0xfc;
	fake->config[0xfc] = 9;
	fake->config[0xfd] = FAKE_CAP_NOTIFY;
	fake->config[0xfe] = 4;
	fake->config[0xff] = 1;
}

static const struct {
	const char *name;
	void (*apply)(struct fake *fake);
} breakages[] = {
	{ "no list", break_no_list },
	{ "pointer 0", break_pointer },
	{ "pointer into the header", break_pointer_into_header },
	{ "not a vendor capability", break_id },
	{ "cap_len 15", break_short },
	{ "cap_len 0", break_zero_length },
	{ "cap_len past the end", break_past_the_end },
	{ "notify without multiplier", break_notify_without_multiplier },
	{ "BAR 6", break_bar_6 },
	{ "BAR 255", break_bar_255 },
	{ "BAR missing", break_bar_missing },
	{ "all BARs missing", break_all_bars_missing },
	{ "length below the registers", break_too_small },
	{ "length past the BAR", break_past_the_bar },
	{ "offset past the BAR", break_beyond_the_bar },
	{ "offset + length wraps", break_wraps },
	{ "common misaligned", break_misaligned },
	{ "notify misaligned", break_notify_misaligned },
	{ "notify too small", break_notify_empty },
	{ "ISR empty", break_isr_empty },
	{ "ISR missing", break_isr_type },
	{ "list points to itself", break_loop },
	{ "list loops", break_long_loop },
	{ "capability cut by the end", break_at_the_end },
};

static void broken_capabilities_are_refused_without_a_trace(void **state)
{
	static struct fake fake;

	(void)state;
	for (unsigned i = 0; i < PEAL_COUNT_OF(breakages); i++) {
		fake_init(&fake);
		breakages[i].apply(&fake);
		check_refused(&fake, -ENODEV);
	}
}

static void the_next_usable_capability_is_taken(void **state)
{
	static struct fake fake;

	(void)state;
	for (unsigned i = 0; i < PEAL_COUNT_OF(breakages); i++) {
		struct peal_virtio_driver *driver;
		uint8_t position = FAKE_CAP_SPARE;

		/* Those that cut the list have no next one. */
		if (breakages[i].apply == break_no_list || breakages[i].apply == break_pointer ||
		    breakages[i].apply == break_pointer_into_header ||
		    breakages[i].apply == break_all_bars_missing ||
		    breakages[i].apply == break_loop || breakages[i].apply == break_long_loop)
			continue;
		fake_init(&fake);
		breakages[i].apply(&fake);
		fake.config[FAKE_CAP_DEVICE + 1] = position;
		fake_capability(&fake, position, position + 16, 16, 1, FAKE_BAR, 0, 56);
		fake_capability(&fake, position + 16, position + 36, 20, 2, FAKE_BAR, FAKE_NOTIFY,
				64);
		fake_set_config(&fake, position + 32u, 4, 4);
		fake_capability(&fake, position + 36, 0, 16, 3, FAKE_BAR, FAKE_ISR, 1);
		if (probe(&fake, &driver) < 0)
			fail_msg("%s", breakages[i].name);
		peal_virtio_driver_free(driver);
		fake_check_clean(&fake);
	}
}

static void the_first_usable_capability_wins(void **state)
{
	static struct fake fake;
	struct peal_virtio_driver *driver;

	(void)state;
	fake_init(&fake);
	fake.config[FAKE_CAP_DEVICE + 1] = FAKE_CAP_SPARE;
	/* Would be seen: the accesses go to a BAR that the fake does not have registers in. */
	fake.bars[2].size = 4096;
	fake_capability(&fake, FAKE_CAP_SPARE, 0, 16, 1, 2, 0, 56);
	assert_int_equal(probe(&fake, &driver), 0);
	assert_int_equal(peal_virtio_driver_status(driver), 0);
	peal_virtio_driver_free(driver);
	fake_check_clean(&fake);
}

static void a_list_that_loops_after_all_was_found_is_used(void **state)
{
	static struct fake fake;
	struct peal_virtio_driver *driver;

	(void)state;
	fake_init(&fake);
	fake.config[FAKE_CAP_DEVICE + 1] = FAKE_CAP_NOTIFY;
	assert_int_equal(probe(&fake, &driver), 0);
	peal_virtio_driver_free(driver);
	fake_check_clean(&fake);
}

static void low_bits_of_pointers_are_ignored(void **state)
{
	static struct fake fake;
	struct peal_virtio_driver *driver;

	(void)state;
	fake_init(&fake);
	fake.config[0x34] |= 3;
	fake.config[FAKE_CAP_COMMON + 1] |= 3;
	assert_int_equal(probe(&fake, &driver), 0);
	peal_virtio_driver_free(driver);
	fake_check_clean(&fake);
}

static void random_capability_lists_are_survived(void **state)
{
	static struct fake fake;
	uint64_t seed = 7;
	unsigned usable = 0;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		struct peal_virtio_driver *driver = NULL;
		unsigned changes = 1 + (unsigned)test_random_below(&seed, 4);
		int r;

		fake_init(&fake);
		while (changes--)
			fake.config[0x34 + test_random_below(&seed, 0x60)] =
				(uint8_t)test_random(&seed);
		r = probe(&fake, &driver);
		assert_true(r == 0 || r == -ENODEV);
		/* What was taken lies in its BAR. */
		if (r == 0) {
			const struct peal_driver_region *regions[] = {
				&driver->common, &driver->notify, &driver->isr, &driver->device
			};

			usable++;
			for (unsigned i = 0; i < PEAL_COUNT_OF(regions); i++)
				assert_true(peal_in_range(regions[i]->offset, regions[i]->length,
							  fake.bars[regions[i]->bar].size) ||
					    regions[i]->length == 0);
			peal_free(&fake.th.host, driver, sizeof(*driver));
		}
	}
	assert_true(usable > 0 && usable < 20000);
}

static int make(const struct peal_host *host, void *user)
{
	struct fake *fake = user;
	struct peal_virtio_driver_config config = fake_config(fake);
	struct peal_virtio_driver *driver = NULL;
	int r;

	config.host = host;
	r = peal_virtio_driver_probe(&driver, &config);
	peal_virtio_driver_free(driver);
	return r;
}

static void probe_survives_every_failing_allocation(void **state)
{
	static struct fake fake;

	(void)state;
	fake_init(&fake);
	assert_int_equal(test_every_allocation(make, &fake), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_devices_are_not_touched),
		cmocka_unit_test(type_and_description_come_from_the_device_id),
		cmocka_unit_test(probe_enables_decoding_and_no_bus_mastering),
		cmocka_unit_test(broken_capabilities_are_refused_without_a_trace),
		cmocka_unit_test(the_next_usable_capability_is_taken),
		cmocka_unit_test(the_first_usable_capability_wins),
		cmocka_unit_test(a_list_that_loops_after_all_was_found_is_used),
		cmocka_unit_test(low_bits_of_pointers_are_ignored),
		cmocka_unit_test(random_capability_lists_are_survived),
		cmocka_unit_test(probe_survives_every_failing_allocation),
	};

	return cmocka_run_group_tests_name("driver-probe", tests, NULL, NULL);
}
