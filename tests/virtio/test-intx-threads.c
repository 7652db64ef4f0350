/* SPDX-License-Identifier: BSD-2-Clause */
/* The INTx line of a virtio device: it is the OR of the ISR bits. Virtio 1.2 §4.1.4.5.1. */
#include <sched.h>

#include "echo.h"

#define LINE   1u /* INTA# of device 1, after the swizzle */
#define ROUNDS 20000u

static struct echo echo;
static struct guest g;

static void open_device(void)
{
	struct peal_virtio_config config = echo_config(&echo, peal_host_default());
	int r;

	memset(&echo, 0, sizeof(echo));
	r = peal_virtio_new(&echo.device, &config);
	assert_int_equal(r, 0);
	guest_init(&g, peal_virtio_function(echo.device));
	guest_config_write(&g, g.msix + 2u, 2, 0);
}

static void close_device(void)
{
	guest_done(&g);
	peal_virtio_free(echo.device);
}

static bool line(void)
{
	return peal_pci_bus_intx_level(g.bus, LINE);
}

static bool interrupt_status(void)
{
	return guest_config_read(&g, 0x06, 2) & 0x8;
}

static uint64_t read_isr(void)
{
	return guest_read(&g, g.structures[PEAL_VIRTIO_PCI_CAP_ISR], 1);
}

static void send_one(void)
{
	struct guest_buffer buffers[2];

	echo_buffers(&g, 0, 7, buffers);
	guest_send(&g.queues[0], buffers, 2);
}

static void a_used_buffer_asserts_the_line_until_isr_is_read(void **state)
{
	(void)state;
	open_device();
	assert_int_equal(guest_config_read(&g, 0x3d, 1), 1);
	guest_start(&g, 0, 1, 16);
	assert_false(line());
	send_one();
	assert_true(line());
	assert_true(interrupt_status());
	assert_int_equal(test_sink_count(&g.sink), 0);
	/* A second one joins the first. */
	send_one();
	assert_int_equal(read_isr(), 1);
	assert_false(line());
	assert_false(interrupt_status());
	send_one();
	assert_true(line());
	close_device();
}

static void a_configuration_change_asserts_the_line(void **state)
{
	(void)state;
	open_device();
	guest_start(&g, 0, 1, 16);
	peal_virtio_config_lock(echo.device);
	peal_virtio_config_unlock(echo.device, true);
	send_one();
	assert_true(line());
	assert_int_equal(read_isr(), 3);
	assert_false(line());
	close_device();
}

static void a_reset_of_the_device_lowers_the_line(void **state)
{
	(void)state;
	open_device();
	guest_start(&g, 0, 1, 16);
	send_one();
	assert_true(line());
	guest_reset(&g);
	assert_false(line());
	assert_int_equal(read_isr(), 0);
	guest_start(&g, 0, 1, 16);
	send_one();
	assert_true(line());
	peal_pci_function_reset(g.function);
	assert_false(line());
	close_device();
}

static void with_msix_there_is_no_line(void **state)
{
	(void)state;
	open_device();
	guest_enable_msix(&g);
	guest_start(&g, 0, 1, 16);
	send_one();
	assert_false(line());
	assert_int_equal(test_sink_count(&g.sink), 1);
	assert_int_equal(read_isr(), 0);
	close_device();
}

static void interrupt_disable_holds_the_line_back(void **state)
{
	(void)state;
	open_device();
	guest_start(&g, 0, 1, 16);
	guest_config_write(&g, 0x04, 2, 0x0406);
	send_one();
	assert_false(line());
	assert_true(interrupt_status());
	guest_config_write(&g, 0x04, 2, 0x0006);
	assert_true(line());
	close_device();
}

/*
 * In each round one thread changes the configuration while the other reads the ISR of an earlier
 * change, as a handler does: whoever comes last, the line is as the ISR.
 */
struct race {
	unsigned round;
	unsigned done;
};

static void change(void)
{
	peal_virtio_config_lock(echo.device);
	peal_virtio_config_unlock(echo.device, true);
}

static void wait_for(const unsigned *counter, unsigned value)
{
	unsigned spins = 0;

	while (__atomic_load_n(counter, __ATOMIC_SEQ_CST) != value) {
		if (++spins % 1024 == 0)
			(void)sched_yield();
	}
}

static void change_or_read(void *user, unsigned index)
{
	struct race *race = user;

	for (unsigned round = 1; round <= ROUNDS; round++) {
		if (index == 1) {
			wait_for(&race->round, round);
			(void)read_isr();
			__atomic_store_n(&race->done, round, __ATOMIC_SEQ_CST);
			continue;
		}
		change();
		__atomic_store_n(&race->round, round, __ATOMIC_SEQ_CST);
		for (unsigned i = 0; i < round % 64; i++)
			(void)line();
		change();
		wait_for(&race->done, round);
		thread_assert(line() == interrupt_status());
		thread_assert(line() == (read_isr() != 0));
		thread_assert(!line());
	}
}

static void the_line_follows_when_raise_and_read_cross(void **state)
{
	struct race race = { 0 };

	(void)state;
	open_device();
	guest_start(&g, 0, 1, 16);
	test_threads(2, change_or_read, &race);
	close_device();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_used_buffer_asserts_the_line_until_isr_is_read),
		cmocka_unit_test(a_configuration_change_asserts_the_line),
		cmocka_unit_test(a_reset_of_the_device_lowers_the_line),
		cmocka_unit_test(with_msix_there_is_no_line),
		cmocka_unit_test(interrupt_disable_holds_the_line_back),
		cmocka_unit_test(the_line_follows_when_raise_and_read_cross),
	};

	return cmocka_run_group_tests_name("virtio: INTx", tests, NULL, NULL);
}
