/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Queues served by worker threads: nothing is lost between notification, suppression and sleep,
 * and whoever resets, gates or takes away the device finds the rings left alone.
 *
 * That the device left memory alone is seen by ThreadSanitizer: the test overwrites the rings with
 * plain stores as soon as it may.
 */
#include <sched.h>
#include <time.h>

#include <virtio/device.h>

#include "echo.h"

#define QUEUES  3u
#define SIZE    32u
#define SLOTS   (SIZE / 2u) /* chains of two descriptors */
#define DEFAULT PEAL_VIRTIO_SPIN_DEFAULT
#define NEVER   PEAL_VIRTIO_SPIN_NEVER

static struct echo echo;
static struct guest g;

static void open_device(unsigned workers, unsigned spin_ns)
{
	struct peal_virtio_config config = echo_config(&echo, peal_host_default());
	int r;

	memset(&echo, 0, sizeof(echo));
	config.workers = workers;
	config.spin_ns = spin_ns;
	r = peal_virtio_new(&echo.device, &config);
	assert_int_equal(r, 0);
	guest_init(&g, peal_virtio_function(echo.device));
}

static void close_device(void)
{
	guest_done(&g);
	peal_virtio_free(echo.device);
}

/* A minute is for ever. */
static void wait_a_bit(time_t *deadline)
{
	if (!*deadline)
		*deadline = time(NULL) + 60;
	thread_assert(time(NULL) < *deadline);
	(void)sched_yield();
}

/* ---- a driver with many requests in flight ---- */

struct driver {
	struct guest_queue *q;
	unsigned rounds;
	bool on_interrupts; /* looks at the used ring only after an interrupt */
};

/* Offers COUNT chains in slots FIRST and up; slot s uses descriptors 2s and 2s + 1. */
static void offer(struct guest_queue *q, unsigned first, unsigned count, uint32_t value)
{
	uint16_t old = q->avail_index;

	for (unsigned i = 0; i < count; i++) {
		unsigned slot = (first + i) % SLOTS;
		struct guest_buffer buffers[2];

		echo_buffers(&g, q->index * SLOTS + slot, value + i, buffers);
		q->next_desc = (uint16_t)(2 * slot);
		guest_offer(q, guest_write_chain(q, buffers, 2));
	}
	guest_publish(q);
	if (guest_must_notify(q, old))
		guest_notify(q);
}

/* Interrupts of the queue so far: messages of its vector. */
static uint64_t interrupts(const struct guest_queue *q)
{
	struct peal_msix_counters c;

	peal_msix_counters(peal_pci_function_msix(g.function), q->index + 1, &c);
	return c.sent;
}

static void drive(struct driver *d)
{
	struct guest_queue *q = d->q;
	uint64_t seed = q->index;
	uint32_t value = 1;
	unsigned slot = 0;

	for (unsigned round = 0; round < d->rounds; round++) {
		unsigned count = 1 + (unsigned)test_random_below(&seed, SLOTS);
		uint64_t seen = interrupts(q);
		unsigned got = 0;
		uint32_t id, length;
		time_t deadline = 0;

		/* Wants to hear of the last of them. */
		guest_set_used_event(q, (uint16_t)(q->used_index + count - 1));
		offer(q, slot, count, value);
		while (d->on_interrupts && q->event_idx && interrupts(q) == seen)
			wait_a_bit(&deadline);
		while (got < count) {
			if (!guest_take(q, &id, &length)) {
				/* It was interrupted, so all of them have to be there. */
				thread_assert(!(d->on_interrupts && q->event_idx));
				wait_a_bit(&deadline);
				continue;
			}
			thread_assert(id == 2 * ((slot + got) % SLOTS) && length == 4);
			got++;
		}
		for (unsigned i = 0; i < count; i++) {
			uint32_t sent = value + i, answer = 0;
			unsigned at = q->index * SLOTS + (slot + i) % SLOTS;

			for (unsigned k = 0; k < 32; k += 8)
				answer |= (((sent >> k) + 1) & 0xff) << k;
			thread_assert(echo_result(&g, at) == answer);
		}
		slot = (slot + count) % SLOTS;
		value += count;
	}
}

static void drive_one(void *user, unsigned index)
{
	drive(&((struct driver *)user)[index]);
}

static void drive_all(unsigned workers, unsigned spin_ns, uint64_t features, unsigned rounds)
{
	struct driver drivers[QUEUES];
	struct peal_virtio_counters c;

	open_device(workers, spin_ns);
	guest_start(&g, features, QUEUES, SIZE);
	for (unsigned i = 0; i < QUEUES; i++)
		drivers[i] = (struct driver){ &g.queues[i], rounds, true };
	test_threads(QUEUES, drive_one, drivers);
	for (unsigned i = 0; i < QUEUES; i++) {
		peal_virtio_counters(echo.device, i, &c);
		assert_int_equal((uint16_t)c.chains, g.queues[i].used_index);
		assert_int_equal(c.breaks, 0);
		assert_true(c.interrupts <= c.batches && c.batches <= c.chains);
	}
	assert_int_equal(guest_status(&g), 15);
	close_device();
}

#define EVENT_IDX PEAL_BIT(PEAL_VIRTIO_F_EVENT_IDX)

static void no_request_is_lost_when_workers_look_first(void **state)
{
	(void)state;
	drive_all(PEAL_VIRTIO_WORKER_PER_QUEUE, DEFAULT, 0, 300);
	drive_all(PEAL_VIRTIO_WORKER_PER_QUEUE, DEFAULT, EVENT_IDX, 300);
}

static void no_request_is_lost_when_workers_sleep_at_once(void **state)
{
	(void)state;
	drive_all(PEAL_VIRTIO_WORKER_PER_QUEUE, NEVER, 0, 300);
	drive_all(PEAL_VIRTIO_WORKER_PER_QUEUE, NEVER, EVENT_IDX, 300);
}

static void workers_are_shared_by_queues(void **state)
{
	(void)state;
	drive_all(1, DEFAULT, EVENT_IDX, 200);
	drive_all(2, NEVER, EVENT_IDX, 200);
}

static void notifiers_serve_when_there_are_no_workers(void **state)
{
	(void)state;
	drive_all(0, DEFAULT, EVENT_IDX, 300);
}

/* Two CPUs notify one queue without workers: it is served by one at a time. */
static void notify_often(void *user, unsigned index)
{
	(void)index;
	for (unsigned i = 0; i < 2000; i++)
		guest_notify(user);
}

static void a_queue_is_served_by_one_thread_at_a_time(void **state)
{
	(void)state;
	open_device(0, DEFAULT);
	guest_start(&g, 0, 1, SIZE);
	offer(&g.queues[0], 0, SLOTS, 1);
	test_threads(3, notify_often, &g.queues[0]);
	assert_int_equal(guest_used_index(&g.queues[0]), SLOTS);
	assert_int_equal(echo.chains, SLOTS);
	close_device();
}

/* ---- taken away in flight ---- */

/* All the memory that the device could touch, with plain stores. */
static void overwrite_ram(void)
{
	memset(g.ram.memory, 0, 0x8000);
	memset(guest_at(&g, GUEST_RAM + GUEST_RAM_SIZE / 2), 0, (size_t)64 * QUEUES * SLOTS);
}

/* Requests on all queues; some are done, some are not. */
static void put_in_flight(uint64_t *seed)
{
	uint64_t before = __atomic_load_n(&echo.chains, __ATOMIC_SEQ_CST);
	time_t deadline = 0;

	for (unsigned i = 0; i < QUEUES; i++)
		offer(&g.queues[i], 0, SLOTS, 1);
	if (test_random(seed) & 1)
		return;
	while (__atomic_load_n(&echo.chains, __ATOMIC_SEQ_CST) == before)
		wait_a_bit(&deadline);
}

static void after_a_reset_the_rings_are_left_alone(void **state)
{
	uint64_t seed = 1;

	(void)state;
	open_device(PEAL_VIRTIO_WORKER_PER_QUEUE, DEFAULT);
	for (unsigned round = 0; round < 150; round++) {
		guest_start(&g, round & 1 ? EVENT_IDX : 0, QUEUES, SIZE);
		put_in_flight(&seed);
		guest_reset(&g);
		assert_int_equal(guest_status(&g), 0);
		overwrite_ram();
	}
	assert_int_equal(guest_status(&g), 0);
	close_device();
}

static void after_a_function_level_reset_the_rings_are_left_alone(void **state)
{
	uint64_t seed = 2, sent;

	(void)state;
	open_device(PEAL_VIRTIO_WORKER_PER_QUEUE, DEFAULT);
	for (unsigned round = 0; round < 100; round++) {
		guest_start(&g, EVENT_IDX, QUEUES, SIZE);
		put_in_flight(&seed);
		guest_config_write(&g, g.express + 8u, 2, 0x8000);
		overwrite_ram();
		sent = test_sink_count(&g.sink);
		assert_int_equal(peal_virtio_status(echo.device), 0);
		guest_place_bars(&g);
		guest_enable(&g);
		guest_enable_msix(&g);
		/* No message of before comes late. */
		assert_int_equal(test_sink_count(&g.sink), sent);
	}
	close_device();
}

static void without_bus_master_the_rings_are_left_alone(void **state)
{
	uint64_t seed = 3;
	time_t deadline = 0;

	(void)state;
	open_device(PEAL_VIRTIO_WORKER_PER_QUEUE, DEFAULT);
	for (unsigned round = 0; round < 100; round++) {
		uint16_t used[QUEUES];

		guest_start(&g, round & 1 ? EVENT_IDX : 0, QUEUES, SIZE);
		put_in_flight(&seed);
		guest_config_write(&g, 4, 2, 0x0002);
		/* Plain loads of what the device writes. */
		for (unsigned i = 0; i < QUEUES; i++)
			memcpy(&used[i], (uint8_t *)guest_at(&g, g.queues[i].used) + 2, 2);
		for (unsigned i = 0; i < QUEUES; i++)
			assert_int_equal(guest_used_index(&g.queues[i]), PEAL_LE16(used[i]));
		guest_config_write(&g, 4, 2, 0x0006);
		/* The rest is served now, without another notification. */
		for (unsigned i = 0; i < QUEUES; i++) {
			while (guest_used_index(&g.queues[i]) != SLOTS)
				wait_a_bit(&deadline);
		}
		guest_reset(&g);
	}
	close_device();
}

static void a_device_is_taken_away_in_flight(void **state)
{
	uint64_t seed = 4;

	(void)state;
	for (unsigned round = 0; round < 30; round++) {
		open_device(round & 1 ? 2 : PEAL_VIRTIO_WORKER_PER_QUEUE,
			    round & 2 ? NEVER : DEFAULT);
		guest_start(&g, EVENT_IDX, QUEUES, SIZE);
		put_in_flight(&seed);
		peal_pci_bus_unplug(g.bus, g.function);
		overwrite_ram();
		assert_int_equal(peal_pci_bus_plug(g.bus, GUEST_DEVFN, g.function), 0);
		close_device();
	}
}

/* A reset waits for a backend that takes its time, and the used ring does not move after it. */
struct slow_reset {
	bool reset;
};

static void reset_or_release(void *user, unsigned index)
{
	struct slow_reset *s = user;
	time_t deadline = 0;

	if (index == 0) {
		while (!__atomic_load_n(&echo.inside, __ATOMIC_SEQ_CST))
			wait_a_bit(&deadline);
		guest_reset(&g);
		__atomic_store_n(&s->reset, true, __ATOMIC_SEQ_CST);
		overwrite_ram();
		return;
	}
	while (!__atomic_load_n(&echo.inside, __ATOMIC_SEQ_CST))
		wait_a_bit(&deadline);
	for (unsigned i = 0; i < 1000; i++) {
		thread_assert(!__atomic_load_n(&s->reset, __ATOMIC_SEQ_CST));
		/* The ISR is read by interrupt handlers meanwhile: it does not wait. */
		(void)guest_read(&g, g.structures[PEAL_VIRTIO_PCI_CAP_ISR], 1);
		(void)sched_yield();
	}
	__atomic_store_n(&echo.block, 0, __ATOMIC_SEQ_CST);
}

static void a_reset_waits_for_a_request_in_the_backend(void **state)
{
	struct slow_reset s = { false };

	(void)state;
	open_device(PEAL_VIRTIO_WORKER_PER_QUEUE, DEFAULT);
	guest_start(&g, 0, 1, SIZE);
	echo.block = 1;
	offer(&g.queues[0], 0, 4, 1);
	test_threads(2, reset_or_release, &s);
	assert_true(s.reset);
	assert_int_equal(guest_status(&g), 0);
	close_device();
}

/* ---- a driver that breaks the rules, with workers ---- */

static void a_worker_tells_of_a_broken_queue(void **state)
{
	time_t deadline = 0;

	(void)state;
	open_device(1, DEFAULT);
	for (unsigned round = 0; round < 50; round++) {
		uint64_t sent;

		guest_start(&g, 0, QUEUES, SIZE);
		sent = test_sink_count(&g.sink);
		guest_offer(&g.queues[1], 0xffff);
		guest_publish(&g.queues[1]);
		guest_notify(&g.queues[1]);
		while (test_sink_count(&g.sink) == sent)
			wait_a_bit(&deadline);
		assert_int_equal(guest_status(&g), 15 | PEAL_VIRTIO_NEEDS_RESET);
	}
	close_device();
}

/* ---- configuration changes while it is read ---- */

static void change_or_read(void *user, unsigned index)
{
	uint64_t at = g.structures[PEAL_VIRTIO_PCI_CAP_DEVICE];
	uint64_t *changes = user;

	for (unsigned i = 0; i < 2000; i++) {
		uint64_t first, before, after, low, high;

		if (index == 0) {
			peal_virtio_config_lock(echo.device);
			peal_store_le(echo.config, 4, i);
			peal_store_le(echo.config + 4, 4, i);
			peal_count(changes, 1);
			peal_virtio_config_unlock(echo.device, true);
			continue;
		}
		first = peal_counted(changes);
		before = guest_common_read(&g, PEAL_VIRTIO_COMMON_CONFIG_GENERATION, 1);
		low = guest_read(&g, at, 4);
		high = guest_read(&g, at + 4, 4);
		after = guest_common_read(&g, PEAL_VIRTIO_COMMON_CONFIG_GENERATION, 1);
		/* Torn only if the generation says so; one byte of it can only say so much. */
		thread_assert(before != after || low == high ||
			      peal_counted(changes) - first >= 256);
	}
}

static void the_generation_tells_of_torn_reads(void **state)
{
	uint64_t changes = 0;

	(void)state;
	open_device(PEAL_VIRTIO_WORKER_PER_QUEUE, DEFAULT);
	guest_start(&g, 0, 1, SIZE);
	test_threads(2, change_or_read, &changes);
	close_device();
}

/* ---- counters, read while the device starts and stops ---- */

static void restart_or_count(void *user, unsigned index)
{
	uint32_t *ended = user;
	uint64_t seen = 0;

	if (index == 0) {
		for (unsigned round = 0; round < 100; round++) {
			time_t deadline = 0;

			guest_start(&g, 0, 1, SIZE);
			offer(&g.queues[0], 0, 1, round);
			while (guest_used_index(&g.queues[0]) != 1)
				wait_a_bit(&deadline);
			guest_reset(&g);
		}
		__atomic_store_n(ended, 1, __ATOMIC_SEQ_CST);
		return;
	}
	while (!__atomic_load_n(ended, __ATOMIC_SEQ_CST)) {
		struct peal_virtio_counters c;

		peal_virtio_counters(echo.device, 0, &c);
		thread_assert(c.chains >= seen);
		seen = c.chains;
	}
}

static void counters_only_grow_while_the_device_starts_anew(void **state)
{
	struct peal_virtio_counters c;
	uint32_t ended = 0;

	(void)state;
	open_device(PEAL_VIRTIO_WORKER_PER_QUEUE, DEFAULT);
	test_threads(2, restart_or_count, &ended);
	peal_virtio_counters(echo.device, 0, &c);
	assert_int_equal(c.chains, 100);
	close_device();
}

/* ---- status, vectors and requests from several CPUs at once ---- */

static void poke(unsigned offset, unsigned size, uint64_t value)
{
	peal_pci_bar_write(g.function, 4, offset, size, value);
}

/* Straight to the BAR: another CPU may just have turned its decoding off. */
static void disturb(void *user, unsigned index)
{
	uint64_t seed = index;

	(void)user;
	for (unsigned i = 0; i < 3000; i++) {
		uint64_t r = test_random(&seed), x = r >> 16;

		switch (r & 7) {
		case 0:
			poke(PEAL_VIRTIO_COMMON_DEVICE_STATUS, 1, x & 0xf);
			break;
		case 1:
			poke(PEAL_VIRTIO_COMMON_QUEUE_SELECT, 2, x & 3);
			poke(PEAL_VIRTIO_COMMON_QUEUE_MSIX_VECTOR, 2, x >> 2 & 7);
			break;
		case 2:
			poke(VIRTIO_BAR_NOTIFY + 4 * (unsigned)(x & 3), 2, 0);
			break;
		case 3:
			poke(PEAL_VIRTIO_COMMON_QUEUE_DESC + 8 * (unsigned)(x & 3) % 24, 4,
			     GUEST_RAM + (x >> 2 & 0xfff0));
			break;
		case 4:
			poke(PEAL_VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
			break;
		case 5:
			poke(PEAL_VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, 1);
			poke(PEAL_VIRTIO_COMMON_DRIVER_FEATURE, 4, 1);
			poke(PEAL_VIRTIO_COMMON_DEVICE_STATUS, 1, 0xf);
			break;
		case 6:
			if (x % 16 == 0)
				guest_config_write(&g, g.express + 8u, 2, 0x8000);
			guest_config_write(&g, 4, 2, 0x0006);
			break;
		default:
			(void)peal_pci_bar_read(g.function, 4, x % PEAL_VIRTIO_COMMON_SIZE, 4);
			break;
		}
	}
}

static void any_order_of_registers_from_many_cpus(void **state)
{
	(void)state;
	open_device(2, DEFAULT);
	guest_start(&g, 0, QUEUES, SIZE);
	test_threads(3, disturb, NULL);
	close_device();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_request_is_lost_when_workers_look_first),
		cmocka_unit_test(no_request_is_lost_when_workers_sleep_at_once),
		cmocka_unit_test(workers_are_shared_by_queues),
		cmocka_unit_test(notifiers_serve_when_there_are_no_workers),
		cmocka_unit_test(a_queue_is_served_by_one_thread_at_a_time),
		cmocka_unit_test(after_a_reset_the_rings_are_left_alone),
		cmocka_unit_test(after_a_function_level_reset_the_rings_are_left_alone),
		cmocka_unit_test(without_bus_master_the_rings_are_left_alone),
		cmocka_unit_test(a_device_is_taken_away_in_flight),
		cmocka_unit_test(a_reset_waits_for_a_request_in_the_backend),
		cmocka_unit_test(a_worker_tells_of_a_broken_queue),
		cmocka_unit_test(the_generation_tells_of_torn_reads),
		cmocka_unit_test(counters_only_grow_while_the_device_starts_anew),
		cmocka_unit_test(any_order_of_registers_from_many_cpus),
	};

	return cmocka_run_group_tests_name("virtio-workers", tests, NULL, NULL);
}
