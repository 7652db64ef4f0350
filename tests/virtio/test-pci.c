/* SPDX-License-Identifier: BSD-2-Clause */
/* The PCI function of a virtio device: identity, capabilities, resets, and the way of a request. */
#include <sched.h>

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

static void identity_is_that_of_a_modern_device(void **state)
{
	(void)state;
	assert_int_equal(guest_config_read(&g, 0, 2), 0x1af4);
	assert_int_equal(guest_config_read(&g, 2, 2), 0x1040 + ECHO_TYPE);
	assert_int_equal(guest_config_read(&g, 8, 1), 1);
	assert_int_equal(guest_config_read(&g, 0x2c, 2), 0x1af4);
	assert_true(guest_config_read(&g, 0x2e, 2) >= 0x40);
}

static void capabilities_say_where_the_structures_are(void **state)
{
	static const uint8_t types[] = {
		PEAL_VIRTIO_PCI_CAP_COMMON,
		PEAL_VIRTIO_PCI_CAP_NOTIFY,
		PEAL_VIRTIO_PCI_CAP_ISR,
		PEAL_VIRTIO_PCI_CAP_DEVICE,
	};

	(void)state;
	assert_int_equal(guest_config_read(&g, 0x20, 4) & 0xf, 0xc);
	assert_true(g.bars[4] >= GUEST_WINDOW64);
	for (size_t i = 0; i < PEAL_COUNT_OF(types); i++) {
		assert_true(g.structures[types[i]] >= g.bars[4]);
		assert_true(g.structures[types[i]] - g.bars[4] + g.lengths[types[i]] <= 0x4000);
		assert_int_equal(g.structures[types[i]] % 4096, 0);
	}
	assert_int_equal(g.lengths[PEAL_VIRTIO_PCI_CAP_COMMON], 56);
	assert_int_equal(g.lengths[PEAL_VIRTIO_PCI_CAP_NOTIFY], 12);
	assert_int_equal(g.multiplier, 4);
	assert_true(g.msix && g.power && g.express && g.pci_access);
	assert_int_equal(g.vectors, 4);
	assert_in_range(g.table, g.bars[1], g.bars[1] + 4095);
	/* Capabilities are read-only. */
	guest_config_write(&g, g.pci_access + 2u, 1, 0);
	assert_int_equal(guest_config_read(&g, g.pci_access + 2u, 1), 20);
	assert_int_equal(guest_config_read(&g, g.pci_access + 3u, 1), PEAL_VIRTIO_PCI_CAP_PCI);
}

static void bad_configurations_are_refused(void **state)
{
	struct peal_virtio_config good = echo_config(&echo, peal_host_default()), c;
	struct peal_virtio *device = NULL;

	(void)state;
#define REFUSED(field, value)                                            \
	do {                                                             \
		c = good;                                                \
		c.field = (value);                                       \
		assert_int_equal(peal_virtio_new(&device, &c), -EINVAL); \
		assert_null(device);                                     \
	} while (0)
	REFUSED(device_type, 0);
	REFUSED(device_type, 64);
	REFUSED(num_queues, 0);
	REFUSED(num_queues, 1025);
	REFUSED(num_queues, UINT32_MAX);
	REFUSED(queue_size_max, 0);
	REFUSED(queue_size_max, 3);
	REFUSED(queue_size_max, 65536);
	REFUSED(config_size, 4097);
	REFUSED(batch, 32769);
	REFUSED(vectors, 2049);
	REFUSED(class_code, 0x1000000);
#undef REFUSED
}

/* ---- requests ---- */

static void a_request_is_answered_and_interrupts(void **state)
{
	struct guest_buffer buffers[2];
	struct peal_virtio_counters c;
	uint32_t id, length;
	uint16_t head;

	(void)state;
	guest_start(&g, 0, 3, 16);
	for (unsigned q = 0; q < 3; q++) {
		echo_buffers(&g, q, 0x11223344, buffers);
		head = guest_send(&g.queues[q], buffers, 2);
		assert_true(guest_take(&g.queues[q], &id, &length));
		assert_int_equal(id, head);
		assert_int_equal(length, 4);
		assert_int_equal(echo_result(&g, q), 0x12233445);
		assert_int_equal(test_sink_count(&g.sink), q + 1);
		assert_int_equal(test_sink_last(&g.sink)->data, q + 1);
		assert_int_equal(test_sink_last(&g.sink)->address, GUEST_MESSAGE);
		peal_virtio_counters(echo.device, q, &c);
		assert_int_equal(c.notifications, 1);
		assert_int_equal(c.chains, 1);
		assert_int_equal(c.batches, 1);
		assert_int_equal(c.interrupts, 1);
		assert_int_equal(c.breaks, 0);
	}
}

static void a_batch_interrupts_once(void **state)
{
	struct guest_queue *q = &g.queues[0];
	struct guest_buffer buffers[2];

	(void)state;
	guest_start(&g, 0, 1, 32);
	for (unsigned i = 0; i < 16; i++) {
		echo_buffers(&g, i, i, buffers);
		guest_offer(q, guest_write_chain(q, buffers, 2));
	}
	guest_publish(q);
	guest_notify(q);
	assert_int_equal(guest_used_index(q), 16);
	assert_int_equal(test_sink_count(&g.sink), 1);
}

static void a_long_run_is_told_in_batches(void **state)
{
	struct guest_queue *q = &g.queues[0];
	struct guest_buffer buffers[2];

	(void)state;
	guest_start(&g, 0, 1, 64);
	for (unsigned i = 0; i < 32; i++) {
		echo_buffers(&g, i, i, buffers);
		guest_offer(q, guest_write_chain(q, buffers, 2));
	}
	guest_publish(q);
	guest_notify(q);
	assert_int_equal(guest_used_index(q), 32);
	assert_int_equal(test_sink_count(&g.sink), 2);
}

static void event_index_suppresses_both_ways(void **state)
{
	struct guest_queue *q = &g.queues[0];
	struct guest_buffer buffers[2];

	(void)state;
	guest_start(&g, PEAL_BIT(PEAL_VIRTIO_F_EVENT_IDX), 1, 64);
	guest_set_used_event(q, 2);
	for (unsigned i = 0; i < 5; i++) {
		uint16_t old = q->avail_index;

		echo_buffers(&g, i, i, buffers);
		guest_offer(q, guest_write_chain(q, buffers, 2));
		guest_publish(q);
		/* The device went to sleep after each: it wants to hear of each. */
		assert_true(guest_must_notify(q, old));
		guest_notify(q);
		assert_int_equal(guest_used_index(q), i + 1);
		assert_int_equal(test_sink_count(&g.sink), i >= 2);
	}
}

static void what_came_before_driver_ok_is_served_with_it(void **state)
{
	struct guest_buffer buffers[2];

	(void)state;
	assert_true(guest_negotiate(&g, PEAL_BIT(32)));
	guest_setup_queue(&g, 0, 16, 1, 0);
	echo_buffers(&g, 0, 7, buffers);
	guest_send(&g.queues[0], buffers, 2);
	assert_int_equal(guest_used_index(&g.queues[0]), 0);
	assert_int_equal(echo.processed, 0);
	guest_set_status(&g, PEAL_VIRTIO_DRIVER_OK);
	assert_int_equal(guest_used_index(&g.queues[0]), 1);
	assert_int_equal(test_sink_count(&g.sink), 1);
}

static void a_queue_that_was_not_enabled_is_not_served(void **state)
{
	(void)state;
	guest_start(&g, 0, 1, 16);
	guest_write(&g, g.structures[PEAL_VIRTIO_PCI_CAP_NOTIFY] + 4, 2, 1);
	/* Nor one that is not there, nor between two. */
	guest_write(&g, g.structures[PEAL_VIRTIO_PCI_CAP_NOTIFY] + 12, 2, 3);
	guest_write(&g, g.structures[PEAL_VIRTIO_PCI_CAP_NOTIFY] + 0xffc, 4, 3);
	guest_write(&g, g.structures[PEAL_VIRTIO_PCI_CAP_NOTIFY] + 2, 2, 3);
	assert_int_equal(echo.processed, 0);
	assert_int_equal(guest_status(&g), 15);
}

static void chains_that_the_class_leaves_wait_for_its_kick(void **state)
{
	struct guest_buffer buffers[2];

	(void)state;
	guest_start(&g, 0, 1, 16);
	echo.leave = 1;
	echo_buffers(&g, 0, 7, buffers);
	guest_send(&g.queues[0], buffers, 2);
	assert_true(echo.processed >= 1);
	assert_int_equal(guest_used_index(&g.queues[0]), 0);
	echo.leave = 0;
	peal_virtio_kick(echo.device, 0);
	assert_int_equal(guest_used_index(&g.queues[0]), 1);
}

/* ---- a driver that breaks the rules ---- */

static void break_queue(unsigned queue)
{
	struct guest_queue *q = &g.queues[queue];

	guest_offer(q, 0xffff);
	guest_publish(q);
	guest_notify(q);
}

static void a_broken_queue_needs_reset(void **state)
{
	struct guest_buffer buffers[2];
	struct peal_virtio_counters c;

	(void)state;
	guest_start(&g, 0, 2, 16);
	break_queue(0);
	assert_int_equal(guest_status(&g), 15 | PEAL_VIRTIO_NEEDS_RESET);
	assert_int_equal(test_sink_count(&g.sink), 1);
	assert_int_equal(test_sink_last(&g.sink)->data, 0);
	assert_int_equal(guest_read(&g, g.structures[PEAL_VIRTIO_PCI_CAP_ISR], 1), 2);
	peal_virtio_counters(echo.device, 0, &c);
	assert_int_equal(c.breaks, 1);
	assert_int_equal(c.fault, PEAL_VRING_FAULT_HEAD);
	/* Told once, and the queue is dead. */
	guest_notify(&g.queues[0]);
	assert_int_equal(test_sink_count(&g.sink), 1);
	/* The other one lives. */
	echo_buffers(&g, 1, 7, buffers);
	guest_send(&g.queues[1], buffers, 2);
	assert_int_equal(guest_used_index(&g.queues[1]), 1);
	break_queue(1);
	assert_int_equal(test_sink_count(&g.sink), 2);
	/* A reset brings it back. */
	guest_start(&g, 0, 2, 16);
	assert_int_equal(guest_status(&g), 15);
	guest_send(&g.queues[0], buffers, 2);
	assert_int_equal(guest_used_index(&g.queues[0]), 1);
}

static void what_was_done_before_the_break_is_shown(void **state)
{
	struct guest_queue *q = &g.queues[0];
	struct guest_buffer buffers[2];

	(void)state;
	guest_start(&g, 0, 1, 16);
	echo_buffers(&g, 0, 7, buffers);
	guest_offer(q, guest_write_chain(q, buffers, 2));
	break_queue(0);
	assert_int_equal(guest_used_index(q), 1);
	assert_int_equal(test_sink_count(&g.sink), 2);
	assert_true(guest_status(&g) & PEAL_VIRTIO_NEEDS_RESET);
}

static void rings_outside_memory_need_reset(void **state)
{
	(void)state;
	assert_true(guest_negotiate(&g, PEAL_BIT(32)));
	guest_common_write(&g, PEAL_VIRTIO_COMMON_CONFIG_MSIX_VECTOR, 2, 0);
	/* All addresses 0: nothing is mapped there. */
	guest_common_write(&g, PEAL_VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
	guest_set_status(&g, PEAL_VIRTIO_DRIVER_OK);
	assert_int_equal(guest_status(&g), 15 | PEAL_VIRTIO_NEEDS_RESET);
	assert_int_equal(test_sink_count(&g.sink), 1);
}

/* The ring and the buffers in the device's own BAR: no memory, so no DMA to it. */
static void dma_to_its_own_registers_is_refused(void **state)
{
	struct guest_buffer own = { g.bars[4], 4, true };

	(void)state;
	guest_start(&g, 0, 1, 16);
	guest_send(&g.queues[0], &own, 1);
	assert_int_equal(guest_status(&g), 15 | PEAL_VIRTIO_NEEDS_RESET);
	assert_true(guest_negotiate(&g, PEAL_BIT(32)));
	guest_setup_queue(&g, 0, 16, 1, 0);
	guest_reset(&g);
	guest_negotiate(&g, PEAL_BIT(32));
	guest_write64(&g, PEAL_VIRTIO_COMMON_QUEUE_DESC, g.bars[4]);
	guest_write64(&g, PEAL_VIRTIO_COMMON_QUEUE_DRIVER, g.bars[4]);
	guest_write64(&g, PEAL_VIRTIO_COMMON_QUEUE_DEVICE, g.bars[4]);
	guest_common_write(&g, PEAL_VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
	guest_set_status(&g, PEAL_VIRTIO_DRIVER_OK);
	assert_true(guest_status(&g) & PEAL_VIRTIO_NEEDS_RESET);
}

/* ---- gates and resets ---- */

static void without_bus_master_there_is_no_dma(void **state)
{
	struct guest_buffer buffers[2];

	(void)state;
	guest_start(&g, 0, 1, 16);
	guest_config_write(&g, 4, 2, 0x0002);
	echo_buffers(&g, 0, 7, buffers);
	guest_send(&g.queues[0], buffers, 2);
	assert_int_equal(guest_used_index(&g.queues[0]), 0);
	assert_int_equal(echo.processed, 0);
	assert_int_equal(guest_status(&g), 15);
	/* What was notified meanwhile is not lost. */
	guest_config_write(&g, 4, 2, 0x0006);
	assert_int_equal(guest_used_index(&g.queues[0]), 1);
	assert_int_equal(test_sink_count(&g.sink), 1);
}

static void function_level_reset_resets_the_device(void **state)
{
	struct guest_buffer buffers[2];
	unsigned resets;

	(void)state;
	guest_start(&g, 0, 1, 16);
	resets = echo.resets;
	guest_config_write(&g, g.express + 8u, 2,
			   guest_config_read(&g, g.express + 8u, 2) | 0x8000);
	assert_int_equal(echo.resets, resets + 1);
	assert_int_equal(peal_virtio_status(echo.device), 0);
	assert_int_equal(guest_config_read(&g, 4, 2), 0);
	/* All over again. */
	guest_place_bars(&g);
	guest_enable(&g);
	assert_int_equal(guest_status(&g), 0);
	guest_enable_msix(&g);
	guest_start(&g, 0, 1, 16);
	echo_buffers(&g, 0, 7, buffers);
	guest_send(&g.queues[0], buffers, 2);
	assert_int_equal(test_sink_count(&g.sink), 1);
}

static int setup_without_msix(void **state)
{
	struct peal_virtio_config config = echo_config(&echo, peal_host_default());
	int r;

	(void)state;
	memset(&echo, 0, sizeof(echo));
	config.no_msix = true;
	r = peal_virtio_new(&echo.device, &config);
	assert_int_equal(r, 0);
	guest_init(&g, peal_virtio_function(echo.device));
	return 0;
}

/* §4.1.5.1.1: the ISR status says what it was, and reading it takes the line back. */
static void without_msix_there_is_a_line(void **state)
{
	uint64_t isr = g.structures[PEAL_VIRTIO_PCI_CAP_ISR];
	struct guest_buffer buffers[2];

	(void)state;
	assert_int_equal(g.msix, 0);
	assert_null(peal_pci_function_msix(g.function));
	assert_true(g.power && g.express && g.pci_access);
	guest_start(&g, 0, 1, 16);
	/* §4.1.5.1.2: no vector can be had. */
	guest_common_write(&g, PEAL_VIRTIO_COMMON_CONFIG_MSIX_VECTOR, 2, 0);
	guest_common_write(&g, PEAL_VIRTIO_COMMON_QUEUE_MSIX_VECTOR, 2, 0);
	assert_int_equal(guest_common_read(&g, PEAL_VIRTIO_COMMON_CONFIG_MSIX_VECTOR, 2),
			 PEAL_VIRTIO_NO_VECTOR);
	assert_int_equal(guest_common_read(&g, PEAL_VIRTIO_COMMON_QUEUE_MSIX_VECTOR, 2),
			 PEAL_VIRTIO_NO_VECTOR);
	assert_false(peal_pci_function_intx_line(g.function));
	echo_buffers(&g, 0, 7, buffers);
	guest_send(&g.queues[0], buffers, 2);
	assert_true(peal_pci_function_intx_line(g.function));
	assert_int_equal(guest_read(&g, isr, 1), 1);
	assert_false(peal_pci_function_intx_line(g.function));
	peal_virtio_config_lock(echo.device);
	peal_virtio_config_unlock(echo.device, true);
	assert_int_equal(guest_read(&g, isr, 1), 2);
	guest_reset(&g);
	assert_int_equal(test_sink_count(&g.sink), 0);
}

static void leaving_d3hot_resets_the_device(void **state)
{
	unsigned resets;

	(void)state;
	guest_start(&g, 0, 1, 16);
	resets = echo.resets;
	guest_config_write(&g, g.power + 4u, 2, 3);
	assert_int_equal(echo.resets, resets);
	guest_config_write(&g, g.power + 4u, 2, 0);
	assert_int_equal(echo.resets, resets + 1);
	assert_int_equal(peal_virtio_status(echo.device), 0);
}

static void after_failed_nothing_is_served(void **state)
{
	struct guest_buffer buffers[2];

	(void)state;
	guest_start(&g, 0, 1, 16);
	guest_set_status(&g, PEAL_VIRTIO_FAILED);
	echo_buffers(&g, 0, 7, buffers);
	guest_send(&g.queues[0], buffers, 2);
	assert_int_equal(guest_used_index(&g.queues[0]), 0);
	/* Only a reset goes on from here. */
	guest_set_status(&g, PEAL_VIRTIO_DRIVER_OK);
	guest_send(&g.queues[0], buffers, 2);
	assert_int_equal(guest_used_index(&g.queues[0]), 0);
	guest_start(&g, 0, 1, 16);
	guest_send(&g.queues[0], buffers, 2);
	assert_int_equal(guest_used_index(&g.queues[0]), 1);
}

/* ---- the PCI access capability, §4.1.4.9 ---- */

static void aim(unsigned bar, uint32_t offset, uint32_t length)
{
	guest_config_write(&g, g.pci_access + 4u, 1, bar);
	guest_config_write(&g, g.pci_access + 8u, 4, offset);
	guest_config_write(&g, g.pci_access + 12u, 4, length);
}

static void registers_are_reached_through_configuration_space(void **state)
{
	(void)state;
	/* Without memory decode: that is what it is for. */
	guest_config_write(&g, 4, 2, 0);
	aim(4, PEAL_VIRTIO_COMMON_NUM_QUEUES, 2);
	assert_int_equal(guest_config_read(&g, g.pci_access + 4u, 1), 4);
	assert_int_equal(guest_config_read(&g, g.pci_access + 8u, 4),
			 PEAL_VIRTIO_COMMON_NUM_QUEUES);
	assert_int_equal(guest_config_read(&g, g.pci_access + 12u, 4), 2);
	assert_int_equal(guest_config_read(&g, g.pci_access + 16u, 2), 3);
	aim(4, PEAL_VIRTIO_COMMON_DEVICE_STATUS, 1);
	guest_config_write(&g, g.pci_access + 16u, 1, PEAL_VIRTIO_ACKNOWLEDGE);
	assert_int_equal(peal_virtio_status(echo.device), PEAL_VIRTIO_ACKNOWLEDGE);
	assert_int_equal(guest_config_read(&g, g.pci_access + 16u, 1), PEAL_VIRTIO_ACKNOWLEDGE);
	aim(4, PEAL_VIRTIO_COMMON_QUEUE_DESC, 4);
	guest_config_write(&g, g.pci_access + 16u, 4, 0x12345000);
	guest_config_write(&g, 4, 2, 2);
	assert_int_equal(guest_common_read(&g, PEAL_VIRTIO_COMMON_QUEUE_DESC, 8), 0x12345000);
	/* A reset of the device out of a configuration write. */
	aim(4, PEAL_VIRTIO_COMMON_DEVICE_STATUS, 1);
	guest_config_write(&g, g.pci_access + 16u, 1, 0);
	assert_int_equal(peal_virtio_status(echo.device), 0);
	/* The MSI-X table is in reach too: vector 1's Mask bit. */
	aim(1, 16 + 12, 4);
	guest_config_write(&g, g.pci_access + 16u, 4, 1);
	assert_int_equal(guest_read(&g, g.table + 16 + 12, 4), 1);
}

static void a_notification_through_configuration_space(void **state)
{
	struct guest_queue *q = &g.queues[0];
	struct guest_buffer buffers[2];

	(void)state;
	guest_start(&g, 0, 1, 16);
	echo_buffers(&g, 0, 7, buffers);
	guest_offer(q, guest_write_chain(q, buffers, 2));
	guest_publish(q);
	aim(4, (uint32_t)(q->notify - g.bars[4]), 2);
	guest_config_write(&g, g.pci_access + 16u, 2, 0);
	assert_int_equal(guest_used_index(q), 1);
}

static void reading_isr_through_configuration_space_clears_it(void **state)
{
	uint32_t isr = (uint32_t)(g.structures[PEAL_VIRTIO_PCI_CAP_ISR] - g.bars[4]);

	(void)state;
	guest_start(&g, 0, 1, 16);
	peal_virtio_config_lock(echo.device);
	peal_virtio_config_unlock(echo.device, true);
	aim(4, isr, 1);
	/* Writing data is no read of the BAR. */
	guest_config_write(&g, g.pci_access + 16u, 1, 0);
	assert_int_equal(guest_config_read(&g, g.pci_access + 16u, 1), 2);
	assert_int_equal(guest_config_read(&g, g.pci_access + 16u, 1), 0);
}

static void bad_aims_read_zero_and_write_nothing(void **state)
{
	static const struct {
		unsigned bar;
		uint32_t offset, length;
	} bad[] = {
		{ 4, 20, 0 },     { 4, 20, 3 },         { 4, 20, 8 },          { 4, 21, 2 },
		{ 4, 0x4000, 1 }, { 4, 0xffffffff, 1 }, { 5, 0, 4 },           { 0, 0, 4 },
		{ 6, 0, 4 },      { 255, 0, 4 },        { 4, 20, 0xffffffff }, { 4, 0xfffffffc, 4 },
	};

	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(bad); i++) {
		aim(bad[i].bar, bad[i].offset, bad[i].length);
		guest_config_write(&g, g.pci_access + 16u, 4, 0xffffffff);
		assert_int_equal(guest_config_read(&g, g.pci_access + 16u, 4), 0);
	}
	assert_int_equal(guest_status(&g), 0);
	/* A reset of the function takes the aim away. */
	aim(4, 20, 1);
	guest_config_write(&g, g.express + 8u, 2, 0x8000);
	assert_int_equal(guest_config_read(&g, g.pci_access + 4u, 1), 0);
	assert_int_equal(guest_config_read(&g, g.pci_access + 12u, 4), 0);
}

/* ---- memory ---- */

static int make_device(const struct peal_host *host, void *user)
{
	struct peal_virtio_config config = echo_config(&echo, host);
	struct peal_virtio *device;
	int r;

	config.workers = *(unsigned *)user;
	r = peal_virtio_new(&device, &config);
	if (r == 0)
		peal_virtio_free(device);
	return r;
}

static void every_allocation_may_fail(void **state)
{
	unsigned workers = 0;

	(void)state;
	assert_true(test_every_allocation(make_device, &workers) >= 8);
	workers = 2;
	assert_true(test_every_allocation(make_device, &workers) >= 10);
	peal_virtio_free(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(identity_is_that_of_a_modern_device),
		TEST(capabilities_say_where_the_structures_are),
		cmocka_unit_test(bad_configurations_are_refused),
		TEST(a_request_is_answered_and_interrupts),
		TEST(a_batch_interrupts_once),
		TEST(a_long_run_is_told_in_batches),
		TEST(event_index_suppresses_both_ways),
		TEST(what_came_before_driver_ok_is_served_with_it),
		TEST(a_queue_that_was_not_enabled_is_not_served),
		TEST(chains_that_the_class_leaves_wait_for_its_kick),
		TEST(a_broken_queue_needs_reset),
		TEST(what_was_done_before_the_break_is_shown),
		TEST(rings_outside_memory_need_reset),
		TEST(dma_to_its_own_registers_is_refused),
		TEST(without_bus_master_there_is_no_dma),
		TEST(function_level_reset_resets_the_device),
		TEST(leaving_d3hot_resets_the_device),
		cmocka_unit_test_setup_teardown(without_msix_there_is_a_line, setup_without_msix,
						teardown),
		TEST(after_failed_nothing_is_served),
		TEST(registers_are_reached_through_configuration_space),
		TEST(a_notification_through_configuration_space),
		TEST(reading_isr_through_configuration_space_clears_it),
		TEST(bad_aims_read_zero_and_write_nothing),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests_name("virtio-pci", tests, NULL, NULL);
}
