/* SPDX-License-Identifier: BSD-2-Clause */
/* The interrupt ladder: which rung is taken, what the device is told, what a failed one leaves. */
#include "fake.h"
#include "driver/virtio.h"

#define NONE PEAL_VIRTIO_NO_VECTOR

static struct fake fake;

/* Calls of the handlers of the three queues, and of config_changed. */
static unsigned calls[4];
static unsigned work; /* a bit per queue that has something to do */

static bool handle(void *arg)
{
	unsigned queue = *(const unsigned *)arg;

	calls[queue]++;
	return work & (1u << queue);
}

static void changed(void *arg)
{
	assert_ptr_equal(arg, &fake);
	calls[3]++;
}

static unsigned numbers[] = { 0, 1, 2 };

/* The middle queue is silent. */
static const struct peal_virtio_queue_info infos[] = {
	{ .handler = handle, .arg = &numbers[0], .cpu_hint = 5 },
	{ .handler = NULL },
	{ .handler = handle, .arg = &numbers[2], .cpu_hint = 7 },
};

static struct peal_virtio_intr_config intr_config;

/* A driver with three queues, before setup_intr. */
static struct peal_virtio_driver *begin(void)
{
	struct peal_virtio_driver_config config;
	struct peal_virtio_driver *driver = NULL;

	fake_init(&fake);
	memset(calls, 0, sizeof(calls));
	work = 0;
	intr_config = (struct peal_virtio_intr_config){ .config_changed = changed, .arg = &fake };
	config = fake_config(&fake);
	assert_int_equal(peal_virtio_driver_probe(&driver, &config), 0);
	assert_int_equal(peal_virtio_driver_negotiate(driver, UINT64_MAX), 0);
	assert_int_equal(peal_virtio_driver_alloc_virtqueues(driver, 3, infos), 0);
	return driver;
}

static int setup(struct peal_virtio_driver *driver)
{
	return peal_virtio_driver_setup_intr(driver, &intr_config);
}

static void end(struct peal_virtio_driver *driver)
{
	peal_virtio_driver_free(driver);
	fake_check_clean(&fake);
}

/* What the device was told, and what the driver says about it. */
static void check_vectors(struct peal_virtio_driver *driver, unsigned config, unsigned q0,
			  unsigned q1, unsigned q2)
{
	const unsigned queues[] = { q0, q1, q2 };

	assert_int_equal(fake.config_vector, config);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(fake.queues[i].vector, queues[i]);
		assert_int_equal(peal_virtio_driver_queue_vector(driver, i), queues[i]);
	}
}

static void check_calls(unsigned q0, unsigned q2, unsigned config)
{
	assert_int_equal(calls[0], q0);
	assert_int_equal(calls[1], 0);
	assert_int_equal(calls[2], q2);
	assert_int_equal(calls[3], config);
}

static void check_counters(const struct peal_virtio_driver *driver, unsigned config, unsigned queue,
			   unsigned stray)
{
	struct peal_virtio_driver_counters counters;

	peal_virtio_driver_counters(driver, &counters);
	assert_int_equal(counters.config_interrupts, config);
	assert_int_equal(counters.queue_interrupts, queue);
	assert_int_equal(counters.stray, stray);
}

static void each_queue_gets_a_vector_and_silent_ones_take_none(void **state)
{
	struct peal_virtio_driver *driver = begin();

	(void)state;
	assert_int_equal(setup(driver), 0);
	assert_int_equal(peal_virtio_driver_intr(driver), PEAL_VIRTIO_INTR_MSIX_PER_QUEUE);
	assert_string_equal(peal_virtio_intr_name(peal_virtio_driver_intr(driver)),
			    "msix-per-queue");
	assert_int_equal(fake.irq_allocated, 3);
	assert_int_equal(fake.handlers_live, 3);
	check_vectors(driver, 0, 1, NONE, 2);
	assert_int_equal(fake.handlers[1].cpu_hint, 5);
	assert_int_equal(fake.handlers[2].cpu_hint, 7);
	end(driver);
}

static void a_vector_of_its_own_examines_only_its_queue(void **state)
{
	struct peal_virtio_driver *driver = begin();

	(void)state;
	assert_int_equal(setup(driver), 0);
	work = 1;
	fake_raise(&fake, 1);
	check_calls(1, 0, 0);
	check_counters(driver, 0, 1, 0);
	fake_raise(&fake, 2);
	check_calls(1, 1, 0);
	check_counters(driver, 0, 2, 1);
	fake_raise(&fake, 0);
	check_calls(1, 1, 1);
	check_counters(driver, 1, 2, 1);
	end(driver);
}

static void a_shared_vector_examines_all_and_counts_strays(void **state)
{
	struct peal_virtio_driver *driver = begin();

	(void)state;
	intr_config.disable_msix_per_queue = true;
	assert_int_equal(setup(driver), 0);
	assert_int_equal(peal_virtio_driver_intr(driver), PEAL_VIRTIO_INTR_MSIX_SHARED);
	assert_string_equal(peal_virtio_intr_name(peal_virtio_driver_intr(driver)), "msix-shared");
	assert_int_equal(fake.irq_allocated, 2);
	check_vectors(driver, 0, 1, NONE, 1);
	work = 4;
	fake_raise(&fake, 1);
	check_calls(1, 1, 0);
	check_counters(driver, 0, 1, 0);
	work = 0;
	fake_raise(&fake, 1);
	check_calls(2, 2, 0);
	check_counters(driver, 0, 2, 1);
	end(driver);
}

static void too_few_vectors_lead_to_the_shared_rung(void **state)
{
	struct peal_virtio_driver *driver = begin();

	(void)state;
	fake.irq_limit = 2;
	assert_int_equal(setup(driver), 0);
	assert_int_equal(peal_virtio_driver_intr(driver), PEAL_VIRTIO_INTR_MSIX_SHARED);
	assert_int_equal(fake.irq_allocs, 1);
	check_vectors(driver, 0, 1, NONE, 1);
	end(driver);
}

static void a_device_that_refuses_a_vector_leads_to_the_shared_rung(void **state)
{
	struct peal_virtio_driver *driver = begin();

	(void)state;
	fake.vectors = 2; /* vector 2 reads back NO_VECTOR */
	assert_int_equal(setup(driver), 0);
	assert_int_equal(peal_virtio_driver_intr(driver), PEAL_VIRTIO_INTR_MSIX_SHARED);
	/* fake_irq_release has checked that the device had forgotten the first rung's vectors. */
	assert_int_equal(fake.irq_allocs, 2);
	assert_int_equal(fake.handlers_live, 2);
	check_vectors(driver, 0, 1, NONE, 1);
	end(driver);
}

static void a_handler_that_cannot_be_set_up_undoes_the_rung(void **state)
{
	(void)state;
	for (int n = 0; n < 3; n++) {
		struct peal_virtio_driver *driver = begin();

		fake.irq_fail_at = n;
		assert_int_equal(setup(driver), 0);
		assert_int_equal(peal_virtio_driver_intr(driver), PEAL_VIRTIO_INTR_MSIX_SHARED);
		assert_int_equal(fake.irq_allocs, 2);
		assert_int_equal(fake.handlers_live, 2);
		check_vectors(driver, 0, 1, NONE, 1);
		end(driver);
	}
}

/* Nothing of the driver is left but the driver. */
static void check_failed(struct peal_virtio_driver *driver)
{
	assert_int_equal(peal_virtio_driver_intr(driver), PEAL_VIRTIO_INTR_NONE);
	assert_string_equal(peal_virtio_intr_name(PEAL_VIRTIO_INTR_NONE), "none");
	assert_int_equal(fake.irq_allocated, 0);
	assert_int_equal(fake.handlers_live, 0);
	assert_int_equal(fake.dma_live, 0);
	assert_int_equal(fake.th.live, 1);
	assert_int_equal(fake.status, 0);
	assert_int_equal(fake.status_log[fake.status_logged - 2] & PEAL_VIRTIO_FAILED,
			 PEAL_VIRTIO_FAILED);
	assert_int_equal(fake.status_log[fake.status_logged - 1], 0);
	end(driver);
}

static void no_rung_left_fails_without_a_trace(void **state)
{
	struct peal_virtio_driver *driver = begin();

	(void)state;
	fake.irq_limit = 1;
	assert_int_equal(setup(driver), -ENXIO);
	assert_int_equal(fake.irq_allocs, 0);
	check_failed(driver);

	driver = begin();
	fake.vectors = 1; /* not even the shared one */
	assert_int_equal(setup(driver), -ENXIO);
	assert_int_equal(fake.irq_allocs, 2);
	check_failed(driver);

	driver = begin();
	fake.vectors = 0; /* nor the one for configuration changes */
	assert_int_equal(setup(driver), -ENXIO);
	check_failed(driver);

	driver = begin();
	fake.refuse_config_vector = true;
	assert_int_equal(setup(driver), -ENXIO);
	check_failed(driver);

	driver = begin();
	intr_config.disable_msix = true;
	assert_int_equal(setup(driver), -ENXIO);
	assert_int_equal(fake.irq_allocs, 0);
	check_failed(driver);
}

static void no_memory_for_vectors_fails_without_a_trace(void **state)
{
	struct peal_virtio_driver *driver = begin();

	(void)state;
	test_host_fail_in(&fake.th, 0);
	assert_int_equal(setup(driver), -ENOMEM);
	check_failed(driver);
}

static void only_silent_queues_still_get_configuration_changes(void **state)
{
	static const struct peal_virtio_queue_info silent[2];
	struct peal_virtio_driver_config config;
	struct peal_virtio_driver *driver = begin();

	(void)state;
	end(driver);
	fake_init(&fake);
	config = fake_config(&fake);
	assert_int_equal(peal_virtio_driver_probe(&driver, &config), 0);
	assert_int_equal(peal_virtio_driver_negotiate(driver, UINT64_MAX), 0);
	assert_int_equal(peal_virtio_driver_alloc_virtqueues(driver, 2, silent), 0);
	assert_int_equal(setup(driver), 0);
	assert_int_equal(fake.irq_allocated, 1);
	assert_int_equal(fake.config_vector, 0);
	assert_int_equal(fake.queues[0].vector, NONE);
	assert_int_equal(fake.queues[1].vector, NONE);
	fake_raise(&fake, 0);
	check_calls(0, 0, 1);
	end(driver);
}

static void no_handler_runs_after_quiesce(void **state)
{
	struct peal_virtio_driver *driver = begin();

	(void)state;
	assert_int_equal(setup(driver), 0);
	assert_int_equal(peal_virtio_driver_start(driver), 0);
	peal_virtio_driver_quiesce(driver);
	assert_int_equal(fake.handlers_live, 0);
	assert_int_equal(fake.irq_allocated, 0);
	assert_int_equal(fake.status, 0);
	assert_true(fake.dma_live > 0); /* the rings are still there for who takes chains */
	end(driver);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_queue_gets_a_vector_and_silent_ones_take_none),
		cmocka_unit_test(a_vector_of_its_own_examines_only_its_queue),
		cmocka_unit_test(a_shared_vector_examines_all_and_counts_strays),
		cmocka_unit_test(too_few_vectors_lead_to_the_shared_rung),
		cmocka_unit_test(a_device_that_refuses_a_vector_leads_to_the_shared_rung),
		cmocka_unit_test(a_handler_that_cannot_be_set_up_undoes_the_rung),
		cmocka_unit_test(no_rung_left_fails_without_a_trace),
		cmocka_unit_test(no_memory_for_vectors_fails_without_a_trace),
		cmocka_unit_test(only_silent_queues_still_get_configuration_changes),
		cmocka_unit_test(no_handler_runs_after_quiesce),
	};

	return cmocka_run_group_tests_name("driver-interrupts", tests, NULL, NULL);
}
