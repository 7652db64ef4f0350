/* SPDX-License-Identifier: BSD-2-Clause */
/* The life cycle: reset, negotiation, queues, start, stop, reinit, and what goes wrong in each. */
#include "fake.h"
#include "driver/virtio.h"

#define WANTED UINT64_MAX

static struct fake fake;

static struct peal_virtio_driver *probe(void)
{
	struct peal_virtio_driver_config config = fake_config(&fake);
	struct peal_virtio_driver *driver = NULL;

	assert_int_equal(peal_virtio_driver_probe(&driver, &config), 0);
	return driver;
}

static struct peal_virtio_driver *begin(void)
{
	fake_init(&fake);
	return probe();
}

static void end(struct peal_virtio_driver *driver)
{
	peal_virtio_driver_free(driver);
	fake_check_clean(&fake);
}

static bool no_work(void *arg)
{
	(void)arg;
	return false;
}

static const struct peal_virtio_queue_info infos[] = {
	{ .handler = no_work, .indirect_limit = 4 },
	{ .handler = NULL, .size_limit = 16 },
	{ .handler = no_work, .size_limit = 40 },
};
static const struct peal_virtio_intr_config intr_config = { .disable_msix = false };

static int alloc(struct peal_virtio_driver *driver)
{
	return peal_virtio_driver_alloc_virtqueues(driver, PEAL_COUNT_OF(infos), infos);
}

/* Up to DRIVER_OK; the first failure. */
static int bring_up(struct peal_virtio_driver *driver)
{
	int r = peal_virtio_driver_negotiate(driver, WANTED);

	if (r == 0)
		r = alloc(driver);
	if (r == 0)
		r = peal_virtio_driver_setup_intr(driver, &intr_config);
	if (r == 0)
		r = peal_virtio_driver_start(driver);
	return r;
}

/* The driver gave everything back, and said FAILED unless the device does not even reset. */
static void check_failed(bool said)
{
	bool found = false;

	for (unsigned i = 0; i < fake.status_logged; i++)
		if (fake.status_log[i] & PEAL_VIRTIO_FAILED)
			found = true;
	assert_int_equal(found, said);
	assert_int_equal(fake.dma_live, 0);
	assert_int_equal(fake.irq_allocated, 0);
	assert_int_equal(fake.th.live, 1); /* the driver itself */
	assert_int_equal(fake_command(&fake) & 4, 0);
	if (said)
		assert_int_equal(fake.status, 0);
}

/* ---- the way up ---- */

static void status_bits_are_set_in_order_and_only_added(void **state)
{
	static const uint8_t expected[] = { 0, 1, 3, 11, 15 };
	struct peal_virtio_driver *driver = begin();

	(void)state;
	assert_int_equal(bring_up(driver), 0);
	assert_int_equal(fake.status_logged, sizeof(expected));
	assert_memory_equal(fake.status_log, expected, sizeof(expected));
	assert_int_equal(peal_virtio_driver_status(driver), 15);
	assert_int_equal(fake_command(&fake) & 4, 4);
	end(driver);
	assert_int_equal(fake.status, 0);
}

static void each_step_refuses_what_does_not_follow(void **state)
{
	struct peal_virtio_driver *driver = begin();

	(void)state;
	assert_int_equal(alloc(driver), -EINVAL);
	assert_int_equal(peal_virtio_driver_setup_intr(driver, &intr_config), -EINVAL);
	assert_int_equal(peal_virtio_driver_start(driver), -EINVAL);
	assert_int_equal(peal_virtio_driver_reinit(driver, WANTED), -EINVAL);
	assert_int_equal(peal_virtio_driver_negotiate(driver, WANTED), 0);
	assert_int_equal(peal_virtio_driver_alloc_virtqueues(driver, 0, infos), -EINVAL);
	assert_int_equal(alloc(driver), 0);
	assert_int_equal(alloc(driver), -EALREADY);
	assert_int_equal(peal_virtio_driver_negotiate(driver, WANTED), -EALREADY);
	assert_int_equal(peal_virtio_driver_start(driver), -EINVAL);
	assert_int_equal(peal_virtio_driver_setup_intr(driver, &intr_config), 0);
	assert_int_equal(peal_virtio_driver_setup_intr(driver, &intr_config), -EALREADY);
	assert_int_equal(peal_virtio_driver_start(driver), 0);
	assert_int_equal(peal_virtio_driver_start(driver), -EINVAL);
	end(driver);
}

static void negotiated_is_offered_and_wanted_and_known(void **state)
{
	static const uint64_t version = PEAL_BIT(PEAL_VIRTIO_F_VERSION_1);
	struct peal_virtio_driver *driver = begin();

	(void)state;
	/* Everything: the ring takes only what it knows, bits of the device type all pass. */
	fake.offered = UINT64_MAX;
	assert_int_equal(peal_virtio_driver_negotiate(driver, UINT64_MAX), 0);
	assert_int_equal(fake.accepted, ~PEAL_MASK(49, 24) | version | PEAL_BIT(28) | PEAL_BIT(29));
	assert_int_equal(peal_virtio_driver_features(driver), fake.accepted);
	assert_int_equal(peal_virtio_driver_offered(driver), UINT64_MAX);

	assert_int_equal(peal_virtio_driver_negotiate(driver, PEAL_BIT(5)), 0);
	assert_int_equal(fake.accepted, version | PEAL_BIT(5));
	fake.offered = version | PEAL_BIT(6);
	assert_int_equal(peal_virtio_driver_negotiate(driver, PEAL_BIT(5) | PEAL_BIT(29)), 0);
	assert_int_equal(fake.accepted, version);
	end(driver);
}

static void queues_are_told_to_the_device(void **state)
{
	static const unsigned sizes[] = { 64, 16, 32 };
	struct peal_virtio_driver *driver = begin();

	(void)state;
	assert_int_equal(bring_up(driver), 0);
	for (unsigned i = 0; i < 3; i++) {
		const struct peal_driver_queue *queue = peal_virtio_driver_queue(driver, i);
		const struct fake_queue *told = &fake.queues[i];

		assert_int_equal(peal_driver_queue_size(queue), sizes[i]);
		assert_int_equal(told->size, sizes[i]);
		assert_int_equal(told->enable, 1);
		assert_int_equal(told->desc, queue->memory.address);
		assert_int_equal(told->desc % PEAL_VRING_DESC_ALIGN, 0);
		assert_int_equal(told->driver % PEAL_VRING_AVAIL_ALIGN, 0);
		assert_int_equal(told->device % PEAL_VRING_USED_ALIGN, 0);
		assert_true(told->driver >= told->desc + peal_vring_desc_bytes(sizes[i]));
		assert_true(told->device >= told->driver + peal_vring_avail_bytes(sizes[i]));
		assert_true(peal_in_range(told->device - told->desc,
					  peal_vring_used_bytes(sizes[i]), queue->memory.size));
	}
	assert_int_equal(fake.queues[3].enable, 0);
	end(driver);
}

static void notifications_go_where_the_device_says(void **state)
{
	static const uint32_t multipliers[] = { 0, 2, 4, 12 };

	(void)state;
	for (unsigned i = 0; i < PEAL_COUNT_OF(multipliers); i++) {
		struct peal_virtio_driver *driver;

		fake_init(&fake);
		fake.multiplier = multipliers[i];
		fake.notify_off_base = 2;
		fake_set_config(&fake, FAKE_CAP_NOTIFY + 16, 4, multipliers[i]);
		driver = probe();
		assert_int_equal(bring_up(driver), 0);
		peal_driver_queue_notify(peal_virtio_driver_queue(driver, 2));
		assert_int_equal(fake.queues[2].notifications, 1);
		end(driver);
	}
}

/* ---- failures ---- */

static void a_reset_that_does_not_end_is_given_up(void **state)
{
	struct peal_virtio_driver *driver = begin();

	(void)state;
	fake.never_reset = true;
	assert_int_equal(peal_virtio_driver_negotiate(driver, WANTED), -ETIMEDOUT);
	assert_in_range(fake.delayed_us, 5000000, 6000000);
	assert_int_equal(fake.resets, 1);
	check_failed(false);
	/* No second wait on the way out. */
	peal_virtio_driver_free(driver);
	assert_in_range(fake.delayed_us, 5000000, 6000000);
	fake_check_clean(&fake);
}

static void a_slow_reset_is_waited_for(void **state)
{
	struct peal_virtio_driver *driver = begin();

	(void)state;
	fake.reset_polls = 40;
	assert_int_equal(bring_up(driver), 0);
	assert_true(fake.delayed_us >= 400);
	end(driver);
}

static void a_device_that_stops_resetting_loses_the_bus_before_its_memory(void **state)
{
	struct peal_virtio_driver *driver = begin();

	(void)state;
	assert_int_equal(bring_up(driver), 0);
	fake.never_reset = true;
	/* fake_dma_free checks that bus mastering is off. */
	peal_virtio_driver_free(driver);
	fake_check_clean(&fake);
}

static void refused_features_fail_and_a_later_attempt_succeeds(void **state)
{
	struct peal_virtio_driver *driver = begin();

	(void)state;
	fake.refuse_features = true;
	assert_int_equal(peal_virtio_driver_negotiate(driver, WANTED), -ENOTSUP);
	check_failed(true);
	assert_int_equal(alloc(driver), -EINVAL);
	fake.refuse_features = false;
	fake.status_logged = 0;
	assert_int_equal(bring_up(driver), 0);
	assert_int_equal(fake.status_log[0], 0);
	assert_int_equal(fake.status_log[1], PEAL_VIRTIO_ACKNOWLEDGE);
	end(driver);
}

static void a_device_without_version_1_is_refused(void **state)
{
	struct peal_virtio_driver *driver = begin();

	(void)state;
	fake.offered &= ~PEAL_BIT(PEAL_VIRTIO_F_VERSION_1);
	assert_int_equal(peal_virtio_driver_negotiate(driver, WANTED), -ENOTSUP);
	check_failed(true);
	end(driver);
}

static void a_device_that_needs_a_reset_at_once_is_refused(void **state)
{
	struct peal_virtio_driver *driver = begin();

	(void)state;
	fake.refuse_ok = true;
	assert_int_equal(bring_up(driver), -EIO);
	check_failed(true);
	fake.refuse_ok = false;
	assert_int_equal(bring_up(driver), 0);
	end(driver);
}

static void bad_queues_fail_and_a_later_attempt_succeeds(void **state)
{
	static const struct {
		uint16_t size;
		int error;
	} sizes[] = { { 0, -ENODEV }, { 3, -EPROTO }, { 65, -EPROTO }, { 0xffff, -EPROTO } };
	struct peal_virtio_driver *driver = begin();

	(void)state;
	for (unsigned i = 0; i < PEAL_COUNT_OF(sizes); i++) {
		fake.queues[2].size_max = sizes[i].size;
		fake.status_logged = 0;
		assert_int_equal(bring_up(driver), sizes[i].error);
		check_failed(true);
	}
	fake.queues[2].size_max = 64;

	fake.ignore_size = true;
	assert_int_equal(bring_up(driver), -EPROTO);
	check_failed(true);
	fake.ignore_size = false;

	fake.num_queues = 2;
	assert_int_equal(bring_up(driver), -ENODEV);
	check_failed(true);
	fake.num_queues = 4;

	assert_int_equal(bring_up(driver), 0);
	end(driver);
}

static void a_notification_address_outside_its_block_is_refused(void **state)
{
	static const struct {
		uint32_t multiplier;
		uint16_t base;
		int error;
	} cases[] = { { 4, 13, 0 },
		      { 4, 14, -EPROTO },
		      { 1, 0, -EPROTO },
		      { 4, 0xfff0, -EPROTO },
		      { 0xffffffff, 1, -EPROTO },
		      { 31, 0, -EPROTO },
		      { 0x80000000, 2, -EPROTO } };

	(void)state;
	for (unsigned i = 0; i < PEAL_COUNT_OF(cases); i++) {
		struct peal_virtio_driver *driver;

		fake_init(&fake);
		fake_set_config(&fake, FAKE_CAP_NOTIFY + 16, 4, cases[i].multiplier);
		fake.notify_off_base = cases[i].base;
		driver = probe();
		assert_int_equal(bring_up(driver), cases[i].error);
		if (cases[i].error)
			check_failed(true);
		end(driver);
	}
}

static void every_failing_allocation_is_undone(void **state)
{
	unsigned failed = 0;

	(void)state;
	/* Memory of the host, memory for DMA, handlers: each point once. */
	for (unsigned kind = 0; kind < 2; kind++) {
		for (int64_t n = 0;; n++, failed++) {
			struct peal_virtio_driver *driver = begin();
			int r;

			if (kind == 0)
				test_host_fail_in(&fake.th, n);
			else
				fake.dma_fail_at = n;
			r = bring_up(driver);
			if (r == 0) {
				end(driver);
				break;
			}
			assert_int_equal(r, kind ? -ENOSPC : -ENOMEM);
			check_failed(true);
			/* The same driver succeeds when there is memory again. */
			test_host_fail_never(&fake.th);
			fake.dma_fail_at = -1;
			assert_int_equal(bring_up(driver), 0);
			end(driver);
		}
	}
	/* slots, three queues, vectors; three rings and one indirect table */
	assert_int_equal(failed, 5 + 4);
}

/* ---- stop and reinit ---- */

static void a_stopped_device_comes_back_with_empty_queues(void **state)
{
	struct peal_virtio_driver *driver = begin();
	struct peal_driver_segment segment = { 0x1000, 16 };
	struct peal_driver_queue *queue;
	uint64_t rings[3];

	(void)state;
	assert_int_equal(bring_up(driver), 0);
	queue = peal_virtio_driver_queue(driver, 0);
	assert_int_equal(peal_driver_queue_add(queue, &segment, 1, 0, &segment), 0);
	(void)peal_driver_queue_publish(queue);
	for (unsigned i = 0; i < 3; i++)
		rings[i] = fake.queues[i].desc;

	assert_int_equal(peal_virtio_driver_stop(driver), 0);
	assert_int_equal(fake.status, 0);
	assert_int_equal(peal_virtio_driver_start(driver), -EINVAL);
	assert_ptr_equal(peal_driver_queue_take(queue), &segment);
	assert_null(peal_driver_queue_take(queue));

	assert_int_equal(peal_virtio_driver_reinit(driver, WANTED), 0);
	assert_int_equal(fake.status, 11);
	assert_int_equal(peal_virtio_driver_start(driver), 0);
	assert_int_equal(fake.irq_allocs, 1);
	assert_int_equal(fake_avail_index(&fake, 0), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(fake.queues[i].desc, rings[i]);
		assert_int_equal(fake.queues[i].enable, 1);
		assert_int_equal(fake.queues[i].vector, peal_virtio_driver_queue_vector(driver, i));
	}
	end(driver);
}

static void reinit_negotiates_no_more_than_before(void **state)
{
	struct peal_virtio_driver *driver = begin();

	(void)state;
	fake.offered &= ~PEAL_BIT(PEAL_VIRTIO_BLK_F_FLUSH);
	assert_int_equal(bring_up(driver), 0);
	assert_int_equal(peal_virtio_driver_stop(driver), 0);
	fake.offered |= PEAL_BIT(PEAL_VIRTIO_BLK_F_FLUSH);
	fake.offered &= ~PEAL_BIT(PEAL_VIRTIO_BLK_F_SEG_MAX);
	assert_int_equal(peal_virtio_driver_reinit(driver, WANTED), 0);
	assert_false(fake.accepted & PEAL_BIT(PEAL_VIRTIO_BLK_F_FLUSH));
	assert_false(fake.accepted & PEAL_BIT(PEAL_VIRTIO_BLK_F_SEG_MAX));
	assert_true(fake.accepted & PEAL_BIT(PEAL_VIRTIO_F_EVENT_IDX));
	end(driver);
}

static void reinit_refuses_a_device_that_changed(void **state)
{
	struct peal_virtio_driver *driver = begin();

	(void)state;
	assert_int_equal(bring_up(driver), 0);
	assert_int_equal(peal_virtio_driver_stop(driver), 0);
	fake.queues[2].size_max = 8;
	assert_int_equal(peal_virtio_driver_reinit(driver, WANTED), -EPROTO);
	check_failed(true);
	fake.queues[2].size_max = 64;

	assert_int_equal(bring_up(driver), 0);
	assert_int_equal(peal_virtio_driver_stop(driver), 0);
	fake.offered &= ~PEAL_BIT(PEAL_VIRTIO_F_EVENT_IDX);
	assert_int_equal(peal_virtio_driver_reinit(driver, WANTED), -EPROTO);
	check_failed(true);

	assert_int_equal(bring_up(driver), 0);
	assert_int_equal(peal_virtio_driver_stop(driver), 0);
	fake.vectors = 1;
	assert_int_equal(peal_virtio_driver_reinit(driver, WANTED), -ENXIO);
	check_failed(true);
	fake.vectors = FAKE_VECTORS;
	assert_int_equal(bring_up(driver), 0);
	end(driver);
}

static void a_driver_is_freed_from_every_step(void **state)
{
	(void)state;
	for (unsigned steps = 0; steps <= 5; steps++) {
		struct peal_virtio_driver *driver = begin();

		if (steps > 0)
			assert_int_equal(peal_virtio_driver_negotiate(driver, WANTED), 0);
		if (steps > 1)
			assert_int_equal(alloc(driver), 0);
		if (steps > 2)
			assert_int_equal(peal_virtio_driver_setup_intr(driver, &intr_config), 0);
		if (steps > 3)
			assert_int_equal(peal_virtio_driver_start(driver), 0);
		if (steps > 4)
			assert_int_equal(peal_virtio_driver_stop(driver), 0);
		end(driver);
	}
	peal_virtio_driver_free(NULL);
}

/* ---- the device's own configuration ---- */

static void configuration_is_accessed_in_natural_pieces(void **state)
{
	static const struct {
		uint16_t offset, size;
	} expected[] = { { 1, 1 }, { 2, 2 }, { 4, 4 }, { 8, 4 }, { 12, 2 }, { 14, 1 } };
	struct peal_virtio_driver *driver = begin();
	uint8_t bytes[16];

	(void)state;
	for (unsigned i = 0; i < sizeof(fake.device); i++)
		fake.device[i] = (uint8_t)(0x80 + i);
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(peal_virtio_driver_config_read(driver, 1, bytes, 14), 0);
	assert_memory_equal(bytes, fake.device + 1, 14);
	assert_int_equal(bytes[14], 0);
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	assert_int_equal(peal_virtio_driver_config_write(driver, 1, bytes, 14), 0);
	assert_memory_equal(bytes, fake.device + 1, 14);
	assert_int_equal(fake.device[15], 0x8f);

	assert_int_equal(fake.device_logged, 2 * PEAL_COUNT_OF(expected));
	for (unsigned i = 0; i < fake.device_logged; i++) {
		unsigned n = i % PEAL_COUNT_OF(expected);

		assert_int_equal(fake.device_log[i].offset, expected[n].offset);
		assert_int_equal(fake.device_log[i].size, expected[n].size);
		assert_int_equal(fake.device_log[i].write, i >= PEAL_COUNT_OF(expected));
	}
	end(driver);
}

static void configuration_outside_the_block_is_refused(void **state)
{
	struct peal_virtio_driver *driver = begin();
	uint8_t bytes[128] = { 1 };

	(void)state;
	assert_int_equal(peal_virtio_driver_config_read(driver, 61, bytes, 4), -ERANGE);
	assert_int_equal(peal_virtio_driver_config_read(driver, 0, bytes, 65), -ERANGE);
	assert_int_equal(peal_virtio_driver_config_read(driver, UINT32_MAX, bytes, 4), -ERANGE);
	assert_int_equal(peal_virtio_driver_config_write(driver, 64, bytes, 1), -ERANGE);
	assert_int_equal(bytes[0], 1);
	assert_int_equal(fake.device_logged, 0);
	assert_int_equal(peal_virtio_driver_config_read(driver, 64, bytes, 0), 0);
	end(driver);

	fake_init(&fake);
	fake.config[FAKE_CAP_DEVICE + 3] = 99; /* no configuration at all */
	driver = probe();
	assert_int_equal(peal_virtio_driver_config_read(driver, 0, bytes, 1), -ERANGE);
	end(driver);
}

static void configuration_is_read_until_it_does_not_change(void **state)
{
	struct peal_virtio_driver *driver = begin();
	uint8_t bytes[8] = { 0xaa };

	(void)state;
	fake.generation_steps = 6;
	assert_int_equal(peal_virtio_driver_config_read(driver, 0, bytes, 8), 0);
	assert_memory_equal(bytes, fake.device, 8);
	assert_int_equal(fake.device_logged, 2 * 4); /* the fourth time it was at rest */

	fake.generation_steps = UINT32_MAX;
	memset(bytes, 0xaa, sizeof(bytes));
	assert_int_equal(peal_virtio_driver_config_read(driver, 0, bytes, 8), -EAGAIN);
	assert_int_equal(bytes[0], 0xaa);
	end(driver);
}

/* ---- names ---- */

static void features_are_printed_by_name(void **state)
{
	uint64_t features = PEAL_BIT(32) | PEAL_BIT(29) | PEAL_BIT(9) | PEAL_BIT(63) | PEAL_BIT(3);
	static const char text[] = "bit:3 FLUSH EVENT_IDX VERSION_1 bit:63";
	char buffer[64];

	(void)state;
	assert_int_equal(peal_virtio_features_print(2, features, buffer, sizeof(buffer)),
			 strlen(text));
	assert_string_equal(buffer, text);
	/* A type without names has those of the ring. */
	assert_int_equal(peal_virtio_features_print(99, PEAL_BIT(9) | PEAL_BIT(28), buffer, 64),
			 19);
	assert_string_equal(buffer, "bit:9 INDIRECT_DESC");
	/* Too little room: the length is still that of the whole. */
	memset(buffer, 'x', sizeof(buffer));
	assert_int_equal(peal_virtio_features_print(2, features, buffer, 8), strlen(text));
	assert_string_equal(buffer, "bit:3 F");
	assert_int_equal(buffer[8], 'x');
	assert_int_equal(peal_virtio_features_print(2, features, NULL, 0), strlen(text));
	assert_int_equal(peal_virtio_features_print(2, 0, buffer, 1), 0);
	assert_string_equal(buffer, "");
	assert_null(peal_virtio_feature_name(2, 3));
	assert_string_equal(peal_virtio_feature_name(2, 12), "MQ");
	assert_null(peal_virtio_feature_name(1, 12));
	assert_null(peal_virtio_feature_name(2, 1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_bits_are_set_in_order_and_only_added),
		cmocka_unit_test(each_step_refuses_what_does_not_follow),
		cmocka_unit_test(negotiated_is_offered_and_wanted_and_known),
		cmocka_unit_test(queues_are_told_to_the_device),
		cmocka_unit_test(notifications_go_where_the_device_says),
		cmocka_unit_test(a_reset_that_does_not_end_is_given_up),
		cmocka_unit_test(a_slow_reset_is_waited_for),
		cmocka_unit_test(a_device_that_stops_resetting_loses_the_bus_before_its_memory),
		cmocka_unit_test(refused_features_fail_and_a_later_attempt_succeeds),
		cmocka_unit_test(a_device_without_version_1_is_refused),
		cmocka_unit_test(a_device_that_needs_a_reset_at_once_is_refused),
		cmocka_unit_test(bad_queues_fail_and_a_later_attempt_succeeds),
		cmocka_unit_test(a_notification_address_outside_its_block_is_refused),
		cmocka_unit_test(every_failing_allocation_is_undone),
		cmocka_unit_test(a_stopped_device_comes_back_with_empty_queues),
		cmocka_unit_test(reinit_negotiates_no_more_than_before),
		cmocka_unit_test(reinit_refuses_a_device_that_changed),
		cmocka_unit_test(a_driver_is_freed_from_every_step),
		cmocka_unit_test(configuration_is_accessed_in_natural_pieces),
		cmocka_unit_test(configuration_outside_the_block_is_refused),
		cmocka_unit_test(configuration_is_read_until_it_does_not_change),
		cmocka_unit_test(features_are_printed_by_name),
	};

	return cmocka_run_group_tests_name("driver-virtio", tests, NULL, NULL);
}
