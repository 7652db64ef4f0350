/* SPDX-License-Identifier: BSD-2-Clause */
/* The common configuration, the ISR byte and the device configuration of the PCI transport. */
#include <sched.h>

#include <virtio/device.h>

#include "echo.h"

static struct echo echo;
static struct guest g;

static int setup(void **state)
{
	struct peal_virtio_config config = echo_config(&echo, peal_host_default());
	int r;

	(void)state;
	memset(&echo, 0, sizeof(echo));
	r = peal_virtio_new(&echo.device, &config);
	assert_int_equal(r, 0);
	guest_init(&g, peal_virtio_function(echo.device));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	guest_done(&g);
	peal_virtio_free(echo.device);
	return 0;
}

static uint64_t get(unsigned offset, size_t size)
{
	return guest_common_read(&g, offset, size);
}

static void set(unsigned offset, size_t size, uint64_t value)
{
	guest_common_write(&g, offset, size, value);
}

static void every_bank_is_well_made(void **state)
{
	unsigned row;

	(void)state;
	assert_null(peal_reg_check(virtio_common_rows, virtio_common_nrows, &row));
	assert_null(peal_reg_check(virtio_isr_rows, virtio_isr_nrows, &row));
	assert_null(peal_reg_check(virtio_pci_access_rows, virtio_pci_access_nrows, &row));
	assert_null(peal_reg_check(virtio_blk_rows, virtio_blk_nrows, &row));
}

static void first_values(void **state)
{
	(void)state;
	assert_int_equal(get(PEAL_VIRTIO_COMMON_DEVICE_STATUS, 1), 0);
	assert_int_equal(get(PEAL_VIRTIO_COMMON_NUM_QUEUES, 2), 3);
	assert_int_equal(get(PEAL_VIRTIO_COMMON_CONFIG_MSIX_VECTOR, 2), PEAL_VIRTIO_NO_VECTOR);
	for (unsigned i = 0; i < 3; i++) {
		set(PEAL_VIRTIO_COMMON_QUEUE_SELECT, 2, i);
		assert_int_equal(get(PEAL_VIRTIO_COMMON_QUEUE_SELECT, 2), i);
		assert_int_equal(get(PEAL_VIRTIO_COMMON_QUEUE_SIZE, 2), 64);
		assert_int_equal(get(PEAL_VIRTIO_COMMON_QUEUE_MSIX_VECTOR, 2),
				 PEAL_VIRTIO_NO_VECTOR);
		assert_int_equal(get(PEAL_VIRTIO_COMMON_QUEUE_ENABLE, 2), 0);
		assert_int_equal(get(PEAL_VIRTIO_COMMON_QUEUE_NOTIFY_OFF, 2), i);
		assert_int_equal(get(PEAL_VIRTIO_COMMON_QUEUE_DESC, 8), 0);
	}
}

static void features_are_offered_by_halves(void **state)
{
	(void)state;
	assert_true(guest_device_features(&g) ==
		    (PEAL_BIT(32) | PEAL_BIT(28) | PEAL_BIT(29) | PEAL_BIT(3) | PEAL_BIT(4)));
	set(PEAL_VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4, 2);
	assert_int_equal(get(PEAL_VIRTIO_COMMON_DEVICE_FEATURE, 4), 0);
	set(PEAL_VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4, 0xffffffff);
	assert_int_equal(get(PEAL_VIRTIO_COMMON_DEVICE_FEATURE, 4), 0);
	/* What the device offers is not the driver's to write. */
	set(PEAL_VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4, 0);
	set(PEAL_VIRTIO_COMMON_DEVICE_FEATURE, 4, 0xffffffff);
	assert_int_equal(get(PEAL_VIRTIO_COMMON_DEVICE_FEATURE, 4), 0x30000018);
}

static void a_choice_of_what_is_offered_is_accepted(void **state)
{
	(void)state;
	assert_true(guest_negotiate(&g, PEAL_BIT(32) | PEAL_BIT(ECHO_FEATURE)));
	assert_true(echo.negotiated == (PEAL_BIT(32) | PEAL_BIT(ECHO_FEATURE)));
	set(PEAL_VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, 1);
	assert_int_equal(get(PEAL_VIRTIO_COMMON_DRIVER_FEATURE, 4), 1);
	/* It stays as it was agreed on. */
	set(PEAL_VIRTIO_COMMON_DRIVER_FEATURE, 4, 0);
	assert_int_equal(get(PEAL_VIRTIO_COMMON_DRIVER_FEATURE, 4), 1);
}

static void bad_choices_leave_features_ok_clear(void **state)
{
	(void)state;
	/* Without VERSION_1, with bits that were not offered, with what the class refuses. */
	assert_false(guest_negotiate(&g, 0));
	assert_false(guest_negotiate(&g, PEAL_BIT(ECHO_FEATURE)));
	assert_false(guest_negotiate(&g, PEAL_BIT(32) | PEAL_BIT(0)));
	assert_false(guest_negotiate(&g, PEAL_BIT(32) | PEAL_BIT(33)));
	assert_false(guest_negotiate(&g, UINT64_MAX));
	assert_false(guest_negotiate(&g, PEAL_BIT(32) | PEAL_BIT(ECHO_REFUSED)));
	assert_int_equal(echo.negotiated, 0);
	/* The driver may choose again. */
	guest_driver_features(&g, PEAL_BIT(32));
	guest_set_status(&g, PEAL_VIRTIO_FEATURES_OK);
	assert_int_equal(guest_status(&g),
			 PEAL_VIRTIO_ACKNOWLEDGE | PEAL_VIRTIO_DRIVER | PEAL_VIRTIO_FEATURES_OK);
}

static void feature_bits_past_64_are_refused(void **state)
{
	(void)state;
	guest_set_status(&g, PEAL_VIRTIO_ACKNOWLEDGE | PEAL_VIRTIO_DRIVER);
	guest_driver_features(&g, PEAL_BIT(32));
	set(PEAL_VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, 2);
	set(PEAL_VIRTIO_COMMON_DRIVER_FEATURE, 4, 1);
	guest_set_status(&g, PEAL_VIRTIO_FEATURES_OK);
	assert_false(guest_status(&g) & PEAL_VIRTIO_FEATURES_OK);
	set(PEAL_VIRTIO_COMMON_DRIVER_FEATURE, 4, 0);
	set(PEAL_VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, 1000);
	set(PEAL_VIRTIO_COMMON_DRIVER_FEATURE, 4, 1);
	assert_int_equal(get(PEAL_VIRTIO_COMMON_DRIVER_FEATURE, 4), 0);
	guest_set_status(&g, PEAL_VIRTIO_FEATURES_OK);
	assert_true(guest_status(&g) & PEAL_VIRTIO_FEATURES_OK);
}

static void status_only_gains_bits_until_reset(void **state)
{
	unsigned resets;

	(void)state;
	assert_true(guest_negotiate(&g, PEAL_BIT(32)));
	/* A driver that forgets its bits does not take them back. */
	set(PEAL_VIRTIO_COMMON_DEVICE_STATUS, 1, PEAL_VIRTIO_DRIVER_OK);
	assert_int_equal(guest_status(&g), PEAL_VIRTIO_ACKNOWLEDGE | PEAL_VIRTIO_DRIVER |
						   PEAL_VIRTIO_FEATURES_OK | PEAL_VIRTIO_DRIVER_OK);
	/* NEEDS_RESET is the device's; bits without meaning stay clear. */
	set(PEAL_VIRTIO_COMMON_DEVICE_STATUS, 1, PEAL_VIRTIO_NEEDS_RESET | 0x30);
	assert_int_equal(guest_status(&g), 15);
	resets = echo.resets;
	set(PEAL_VIRTIO_COMMON_DEVICE_STATUS, 1, 0);
	assert_int_equal(guest_status(&g), 0);
	assert_int_equal(echo.resets, resets + 1);
	assert_int_equal(peal_virtio_status(echo.device), 0);
}

static void driver_ok_without_features_ok_is_refused(void **state)
{
	(void)state;
	guest_set_status(&g, PEAL_VIRTIO_ACKNOWLEDGE | PEAL_VIRTIO_DRIVER);
	guest_set_status(&g, PEAL_VIRTIO_DRIVER_OK);
	assert_int_equal(guest_status(&g), PEAL_VIRTIO_ACKNOWLEDGE | PEAL_VIRTIO_DRIVER);
	/* Both at once count in their order. */
	guest_driver_features(&g, PEAL_BIT(32));
	guest_set_status(&g, PEAL_VIRTIO_DRIVER_OK | PEAL_VIRTIO_FEATURES_OK);
	assert_int_equal(guest_status(&g), 15);
}

static void reset_brings_all_registers_back(void **state)
{
	(void)state;
	guest_start(&g, 0, 3, 16);
	set(PEAL_VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4, 1);
	guest_reset(&g);
	assert_int_equal(get(PEAL_VIRTIO_COMMON_QUEUE_SELECT, 2), 0);
	assert_int_equal(get(PEAL_VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4), 0);
	assert_int_equal(get(PEAL_VIRTIO_COMMON_DRIVER_FEATURE, 4), 0);
	set(PEAL_VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, 1);
	assert_int_equal(get(PEAL_VIRTIO_COMMON_DRIVER_FEATURE, 4), 0);
	first_values(state);
}

static void queue_sizes_are_powers_of_two_up_to_the_maximum(void **state)
{
	static const uint16_t bad[] = { 0, 3, 65, 128, 63, 0xffff, 0x8000 };

	(void)state;
	for (unsigned size = 1; size <= 64; size *= 2) {
		set(PEAL_VIRTIO_COMMON_QUEUE_SIZE, 2, size);
		assert_int_equal(get(PEAL_VIRTIO_COMMON_QUEUE_SIZE, 2), size);
	}
	set(PEAL_VIRTIO_COMMON_QUEUE_SIZE, 2, 32);
	for (size_t i = 0; i < PEAL_COUNT_OF(bad); i++) {
		set(PEAL_VIRTIO_COMMON_QUEUE_SIZE, 2, bad[i]);
		assert_int_equal(get(PEAL_VIRTIO_COMMON_QUEUE_SIZE, 2), 32);
	}
}

static void queue_addresses_are_written_by_halves(void **state)
{
	(void)state;
	set(PEAL_VIRTIO_COMMON_QUEUE_SELECT, 2, 1);
	guest_write64(&g, PEAL_VIRTIO_COMMON_QUEUE_DESC, UINT64_C(0x1122334455667788));
	guest_write64(&g, PEAL_VIRTIO_COMMON_QUEUE_DRIVER, UINT64_C(0x99aabbccddeeff00));
	guest_write64(&g, PEAL_VIRTIO_COMMON_QUEUE_DEVICE, 4096);
	assert_true(get(PEAL_VIRTIO_COMMON_QUEUE_DESC, 8) == UINT64_C(0x1122334455667788));
	assert_int_equal(get(PEAL_VIRTIO_COMMON_QUEUE_DESC + 4, 4), 0x11223344);
	assert_true(get(PEAL_VIRTIO_COMMON_QUEUE_DRIVER, 8) == UINT64_C(0x99aabbccddeeff00));
	assert_int_equal(get(PEAL_VIRTIO_COMMON_QUEUE_DEVICE, 8), 4096);
	/* Of each queue its own. */
	set(PEAL_VIRTIO_COMMON_QUEUE_SELECT, 2, 0);
	assert_int_equal(get(PEAL_VIRTIO_COMMON_QUEUE_DESC, 8), 0);
	set(PEAL_VIRTIO_COMMON_QUEUE_SELECT, 2, 1);
	assert_true(get(PEAL_VIRTIO_COMMON_QUEUE_DESC, 8) == UINT64_C(0x1122334455667788));
}

static void an_enabled_queue_is_not_set_up_again(void **state)
{
	(void)state;
	set(PEAL_VIRTIO_COMMON_QUEUE_SIZE, 2, 16);
	guest_write64(&g, PEAL_VIRTIO_COMMON_QUEUE_DESC, GUEST_RAM);
	/* Only 1 enables. */
	set(PEAL_VIRTIO_COMMON_QUEUE_ENABLE, 2, 2);
	assert_int_equal(get(PEAL_VIRTIO_COMMON_QUEUE_ENABLE, 2), 0);
	set(PEAL_VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
	assert_int_equal(get(PEAL_VIRTIO_COMMON_QUEUE_ENABLE, 2), 1);
	set(PEAL_VIRTIO_COMMON_QUEUE_SIZE, 2, 32);
	assert_int_equal(get(PEAL_VIRTIO_COMMON_QUEUE_SIZE, 2), 16);
	guest_write64(&g, PEAL_VIRTIO_COMMON_QUEUE_DESC, 0);
	assert_int_equal(get(PEAL_VIRTIO_COMMON_QUEUE_DESC, 8), GUEST_RAM);
	set(PEAL_VIRTIO_COMMON_QUEUE_ENABLE, 2, 0);
	assert_int_equal(get(PEAL_VIRTIO_COMMON_QUEUE_ENABLE, 2), 1);
}

static void a_queue_that_is_not_there_reads_zero(void **state)
{
	static const uint16_t selects[] = { 3, 4, 1024, 0xffff };

	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(selects); i++) {
		set(PEAL_VIRTIO_COMMON_QUEUE_SELECT, 2, selects[i]);
		assert_int_equal(get(PEAL_VIRTIO_COMMON_QUEUE_SELECT, 2), selects[i]);
		set(PEAL_VIRTIO_COMMON_QUEUE_SIZE, 2, 8);
		set(PEAL_VIRTIO_COMMON_QUEUE_MSIX_VECTOR, 2, 1);
		set(PEAL_VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
		guest_write64(&g, PEAL_VIRTIO_COMMON_QUEUE_DESC, 4096);
		for (unsigned at = PEAL_VIRTIO_COMMON_QUEUE_SIZE; at < PEAL_VIRTIO_COMMON_SIZE;
		     at += 2)
			assert_int_equal(get(at, 2), 0);
	}
}

/* Bytes of any width and alignment, past the end too: the device lives and keeps its state. */
static void accesses_of_any_shape(void **state)
{
	uint64_t seed = 5, value;

	(void)state;
	assert_true(guest_negotiate(&g, PEAL_BIT(32)));
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t r = test_random(&seed);
		uint64_t at = g.bars[4] + r % 0x4000;
		size_t size = (size_t)1 << (r >> 20 & 3);

		if (r >> 24 & 1)
			at = g.structures[PEAL_VIRTIO_PCI_CAP_COMMON] + (r & 63);
		if (at + size > g.bars[4] + 0x4000)
			continue;
		if (r >> 25 & 1)
			guest_write(&g, at, size, test_random(&seed));
		else
			(void)guest_read(&g, at, size);
	}
	guest_reset(&g);
	assert_int_equal(guest_status(&g), 0);
	value = get(PEAL_VIRTIO_COMMON_NUM_QUEUES, 2);
	assert_int_equal(value, 3);
	/* Behind the last register there is nothing. */
	assert_int_equal(get(PEAL_VIRTIO_COMMON_SIZE, 8), 0);
	assert_int_equal(get(0xff8, 8), 0);
}

/* ---- vectors ---- */

static void vectors_read_back_or_no_vector(void **state)
{
	(void)state;
	assert_int_equal(g.vectors, 4);
	for (unsigned v = 0; v < 4; v++) {
		set(PEAL_VIRTIO_COMMON_CONFIG_MSIX_VECTOR, 2, v);
		assert_int_equal(get(PEAL_VIRTIO_COMMON_CONFIG_MSIX_VECTOR, 2), v);
		set(PEAL_VIRTIO_COMMON_QUEUE_MSIX_VECTOR, 2, v);
		assert_int_equal(get(PEAL_VIRTIO_COMMON_QUEUE_MSIX_VECTOR, 2), v);
	}
	set(PEAL_VIRTIO_COMMON_CONFIG_MSIX_VECTOR, 2, 4);
	assert_int_equal(get(PEAL_VIRTIO_COMMON_CONFIG_MSIX_VECTOR, 2), PEAL_VIRTIO_NO_VECTOR);
	set(PEAL_VIRTIO_COMMON_QUEUE_MSIX_VECTOR, 2, 0xfffe);
	assert_int_equal(get(PEAL_VIRTIO_COMMON_QUEUE_MSIX_VECTOR, 2), PEAL_VIRTIO_NO_VECTOR);
	set(PEAL_VIRTIO_COMMON_QUEUE_MSIX_VECTOR, 2, 2);
	set(PEAL_VIRTIO_COMMON_QUEUE_MSIX_VECTOR, 2, PEAL_VIRTIO_NO_VECTOR);
	assert_int_equal(get(PEAL_VIRTIO_COMMON_QUEUE_MSIX_VECTOR, 2), PEAL_VIRTIO_NO_VECTOR);
}

/* Raised while masked: pends if the vector is in use. */
static bool is_in_use(unsigned vector)
{
	struct peal_msix *msix = peal_pci_function_msix(g.function);
	bool pending;

	guest_write(&g, g.table + 16 * vector + 12, 4, 1);
	(void)peal_msix_notify(msix, vector);
	pending = peal_msix_is_pending(msix, vector);
	guest_write(&g, g.table + 16 * vector + 12, 4, 0);
	return pending;
}

static void vectors_are_used_as_long_as_they_are_assigned(void **state)
{
	(void)state;
	assert_false(is_in_use(1));
	set(PEAL_VIRTIO_COMMON_CONFIG_MSIX_VECTOR, 2, 1);
	set(PEAL_VIRTIO_COMMON_QUEUE_MSIX_VECTOR, 2, 1);
	assert_true(is_in_use(1));
	set(PEAL_VIRTIO_COMMON_CONFIG_MSIX_VECTOR, 2, 2);
	assert_true(is_in_use(1));
	assert_true(is_in_use(2));
	set(PEAL_VIRTIO_COMMON_QUEUE_MSIX_VECTOR, 2, 99);
	assert_false(is_in_use(1));
	/* The same again is no second use. */
	set(PEAL_VIRTIO_COMMON_CONFIG_MSIX_VECTOR, 2, 2);
	set(PEAL_VIRTIO_COMMON_CONFIG_MSIX_VECTOR, 2, PEAL_VIRTIO_NO_VECTOR);
	assert_false(is_in_use(2));
	set(PEAL_VIRTIO_COMMON_QUEUE_MSIX_VECTOR, 2, 3);
	guest_reset(&g);
	assert_false(is_in_use(3));
}

/* ---- ISR, device configuration ---- */

static void isr_says_what_happened_once(void **state)
{
	uint64_t isr = g.structures[PEAL_VIRTIO_PCI_CAP_ISR];
	struct guest_buffer buffers[2];

	(void)state;
	guest_start(&g, 0, 1, 16);
	assert_int_equal(guest_read(&g, isr, 1), 0);
	peal_virtio_config_lock(echo.device);
	peal_virtio_config_unlock(echo.device, true);
	assert_int_equal(guest_read(&g, isr, 1), 2);
	assert_int_equal(guest_read(&g, isr, 1), 0);
	/* The queue bit is for INTx: with MSI-X on it stays clear (§4.1.4.5.1). */
	echo_buffers(&g, 0, 1, buffers);
	guest_send(&g.queues[0], buffers, 2);
	assert_int_equal(guest_read(&g, isr, 1), 0);
	guest_config_write(&g, g.msix + 2u, 2, 0);
	guest_send(&g.queues[0], buffers, 2);
	assert_int_equal(guest_read(&g, isr, 4), 1);
	assert_int_equal(guest_read(&g, isr, 1), 0);
	guest_write(&g, isr, 1, 0xff);
	assert_int_equal(guest_read(&g, isr, 1), 0);
}

static void device_configuration_is_the_class_s(void **state)
{
	uint64_t at = g.structures[PEAL_VIRTIO_PCI_CAP_DEVICE];

	(void)state;
	assert_int_equal(g.lengths[PEAL_VIRTIO_PCI_CAP_DEVICE], ECHO_CONFIG_SIZE);
	memcpy(echo.config, "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b", 11);
	assert_true(guest_read(&g, at, 8) == UINT64_C(0x0807060504030201));
	assert_int_equal(guest_read(&g, at + 9, 1), 0x0a);
	/* Past its end: zero, and nothing is asked of the class. */
	assert_int_equal(guest_read(&g, at + 8, 8), 0x0b0a09);
	assert_int_equal(guest_read(&g, at + 11, 1), 0);
	guest_write(&g, at + 8, 4, 0xffeeddcc);
	assert_memory_equal(echo.config + 8, "\xcc\xdd\xee", 3);
	guest_write(&g, at + 4000, 4, 1);
	guest_write(&g, at + 2, 2, 0x5566);
	assert_memory_equal(echo.config + 2, "\x66\x55", 2);
}

static void a_configuration_change_is_announced(void **state)
{
	uint64_t generation, sent;

	(void)state;
	generation = get(PEAL_VIRTIO_COMMON_CONFIG_GENERATION, 1);
	/* Before DRIVER_OK nobody is told, but the generation moves. */
	peal_virtio_config_lock(echo.device);
	peal_virtio_config_unlock(echo.device, true);
	assert_int_equal(get(PEAL_VIRTIO_COMMON_CONFIG_GENERATION, 1), (generation + 1) & 0xff);
	assert_int_equal(test_sink_count(&g.sink), 0);
	guest_start(&g, 0, 1, 16);
	sent = test_sink_count(&g.sink);
	generation = get(PEAL_VIRTIO_COMMON_CONFIG_GENERATION, 1);
	peal_virtio_config_lock(echo.device);
	peal_virtio_config_unlock(echo.device, false);
	assert_int_equal(test_sink_count(&g.sink), sent);
	assert_int_equal(get(PEAL_VIRTIO_COMMON_CONFIG_GENERATION, 1), generation);
	peal_virtio_config_lock(echo.device);
	peal_virtio_config_unlock(echo.device, true);
	assert_int_equal(test_sink_count(&g.sink), sent + 1);
	assert_int_equal(test_sink_last(&g.sink)->data, 0);
	assert_int_equal(get(PEAL_VIRTIO_COMMON_CONFIG_GENERATION, 1), (generation + 1) & 0xff);
	set(PEAL_VIRTIO_COMMON_CONFIG_GENERATION, 1, 77);
	assert_int_equal(get(PEAL_VIRTIO_COMMON_CONFIG_GENERATION, 1), (generation + 1) & 0xff);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_bank_is_well_made),
		TEST(first_values),
		TEST(features_are_offered_by_halves),
		TEST(a_choice_of_what_is_offered_is_accepted),
		TEST(bad_choices_leave_features_ok_clear),
		TEST(feature_bits_past_64_are_refused),
		TEST(status_only_gains_bits_until_reset),
		TEST(driver_ok_without_features_ok_is_refused),
		TEST(reset_brings_all_registers_back),
		TEST(queue_sizes_are_powers_of_two_up_to_the_maximum),
		TEST(queue_addresses_are_written_by_halves),
		TEST(an_enabled_queue_is_not_set_up_again),
		TEST(a_queue_that_is_not_there_reads_zero),
		TEST(accesses_of_any_shape),
		TEST(vectors_read_back_or_no_vector),
		TEST(vectors_are_used_as_long_as_they_are_assigned),
		TEST(isr_says_what_happened_once),
		TEST(device_configuration_is_the_class_s),
		TEST(a_configuration_change_is_announced),
	};

	return cmocka_run_group_tests_name("virtio-registers", tests, NULL, NULL);
}
