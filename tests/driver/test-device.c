/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block driver on the real block device over a file: end to end, with the device's workers and
 * CPUs as threads, or all in one thread.
 */
#include "real.h"
#include "driver/virtio.h"

#define DISK_SIZE    (1u << 20)
#define DISK_SECTORS (DISK_SIZE / 512)

struct rig {
	struct real real;
	char path[64];
	uint8_t *content; /* of the file, at first */
	struct peal_blk_file *file;
	struct peal_blk_backend_ops backend; /* the file's, but the size can change */
	uint64_t size;
	struct peal_virtio_blk *device;
	struct peal_blk_driver *blk;
};

static struct rig rig;

static uint64_t disk_size(void *user)
{
	(void)user;
	return rig.size;
}

/* A device with QUEUES queues over a fresh file; WORKERS threads serve them, or who notifies. */
static void begin(unsigned queues, unsigned workers, bool writable)
{
	struct peal_blk_file_config file = { .host = peal_host_default(), .writable = writable };
	struct peal_virtio_blk_config device = { .host = peal_host_default(), .id = "the disk" };
	uint64_t seed = 42;
	int fd;

	memset(&rig, 0, sizeof(rig));
	strcpy(rig.path, "/tmp/peal-test-driver-XXXXXX");
	fd = mkstemp(rig.path);
	assert_true(fd >= 0);
	rig.content = malloc(DISK_SIZE);
	assert_non_null(rig.content);
	for (unsigned i = 0; i < DISK_SIZE; i += 8)
		peal_store_le(rig.content + i, 8, test_random(&seed));
	assert_int_equal(write(fd, rig.content, DISK_SIZE), DISK_SIZE);
	assert_int_equal(close(fd), 0);

	file.path = rig.path;
	assert_int_equal(peal_blk_file_open(&rig.file, &file, NULL), 0);
	device.backend = peal_blk_file_backend(rig.file);
	rig.backend = *device.backend.ops;
	rig.backend.capacity = disk_size;
	rig.size = DISK_SIZE;
	device.backend.ops = &rig.backend;
	device.num_queues = queues;
	device.queue_size_max = 64;
	device.workers = workers;
	assert_int_equal(peal_virtio_blk_new(&rig.device, &device), 0);
	real_init(&rig.real);
	real_plug(&rig.real, peal_virtio_blk_function(rig.device));
}

static void end(void)
{
	real_done(&rig.real);
	peal_virtio_blk_free(rig.device);
	peal_blk_file_close(rig.file);
	assert_int_equal(unlink(rig.path), 0);
	free(rig.content);
}

static struct peal_blk_driver_config driver_config(unsigned queues)
{
	return (struct peal_blk_driver_config){
		.host = &rig.real.th.host,
		.ops = &real_ops,
		.ops_user = &rig.real,
		.queues = queues,
	};
}

static void attach(const struct peal_blk_driver_config *config)
{
	assert_int_equal(peal_blk_driver_new(&rig.blk, config), 0);
}

static void detach(void)
{
	peal_blk_driver_free(rig.blk);
	rig.blk = NULL;
	real_check_clean(&rig.real);
	assert_int_equal(peal_virtio_status(peal_virtio_blk_device(rig.device)), 0);
}

/* ---- one request at a time, in one thread ---- */

static int last_status;
static unsigned ended;

static void on_done(struct peal_blk_request *request, int status)
{
	(void)request;
	last_status = status;
	ended++;
}

/* Carries a request out, with the interrupt handlers called here; its buffer begins at BUFFER. */
static int carry_out(enum peal_blk_op op, uint64_t sector, uint64_t buffer, uint32_t length)
{
	struct peal_blk_request request = {
		.op = op,
		.sector = sector,
		.address = buffer,
		.length = length,
		.done = on_done,
	};
	int r = peal_blk_driver_submit(rig.blk, 0, &request);

	if (r < 0)
		return r;
	ended = 0;
	peal_blk_driver_kick(rig.blk, 0);
	assert_int_equal(real_dispatch(&rig.real), 1);
	assert_int_equal(ended, 1);
	return last_status;
}

#define BUFFER (REAL_RAM_ADDRESS + REAL_RAM_SIZE / 2)

static uint8_t *buffer_at(uint64_t offset)
{
	return test_ram_at(&rig.real.ram, BUFFER + offset, 4096);
}

static void a_file_is_read_written_and_flushed(void **state)
{
	struct peal_blk_driver_config config;
	struct peal_blk_info info;
	uint8_t bytes[4096];
	int fd;

	(void)state;
	begin(1, 0, true);
	config = driver_config(1);
	attach(&config);
	peal_blk_driver_info(rig.blk, &info);
	assert_int_equal(info.capacity, DISK_SECTORS);
	assert_int_equal(info.depth, 64);
	assert_true(info.flush);
	assert_false(info.read_only);
	assert_true(info.features & PEAL_BIT(PEAL_VIRTIO_F_EVENT_IDX));
	assert_true(info.features & PEAL_BIT(PEAL_VIRTIO_F_INDIRECT_DESC));

	for (uint64_t sector = 0; sector < DISK_SECTORS; sector += 8) {
		assert_int_equal(carry_out(PEAL_BLK_READ, sector, BUFFER, 4096), 0);
		assert_memory_equal(buffer_at(0), rig.content + 512 * sector, 4096);
	}
	memset(buffer_at(0), 0xa5, 4096);
	assert_int_equal(carry_out(PEAL_BLK_WRITE, 16, BUFFER, 4096), 0);
	assert_int_equal(carry_out(PEAL_BLK_FLUSH, 0, 0, 0), 0);
	fd = open(rig.path, O_RDONLY);
	assert_int_equal(pread(fd, bytes, sizeof(bytes), 16 * 512), sizeof(bytes));
	assert_memory_equal(bytes, buffer_at(0), sizeof(bytes));
	assert_int_equal(close(fd), 0);

	assert_int_equal(carry_out(PEAL_BLK_GET_ID, 0, BUFFER, 20), 0);
	assert_string_equal((char *)buffer_at(0), "the disk");
	detach();
	end();
}

static void every_combination_of_ring_features_works(void **state)
{
	static const uint64_t off[] = {
		0,
		PEAL_BIT(PEAL_VIRTIO_F_EVENT_IDX),
		PEAL_BIT(PEAL_VIRTIO_F_INDIRECT_DESC),
		PEAL_BIT(PEAL_VIRTIO_F_EVENT_IDX) | PEAL_BIT(PEAL_VIRTIO_F_INDIRECT_DESC),
	};

	(void)state;
	begin(1, 0, false);
	for (unsigned i = 0; i < 2 * PEAL_COUNT_OF(off); i++) {
		struct peal_blk_driver_config config = driver_config(1);

		config.features_off = off[i / 2];
		config.size_limit = i % 2 ? 4 : 0;
		attach(&config);
		/* Often enough for the indices to go around the ring. */
		for (unsigned n = 0; n < 200; n++) {
			assert_int_equal(carry_out(PEAL_BLK_READ, n, BUFFER, 512), 0);
			assert_memory_equal(buffer_at(0), rig.content + 512 * n, 512);
		}
		detach();
	}
	end();
}

static void a_read_only_file_is_a_read_only_disk(void **state)
{
	struct peal_blk_driver_config config;
	struct peal_blk_info info;

	(void)state;
	begin(1, 0, false);
	config = driver_config(1);
	attach(&config);
	peal_blk_driver_info(rig.blk, &info);
	assert_true(info.read_only);
	assert_int_equal(carry_out(PEAL_BLK_WRITE, 0, BUFFER, 512), -EROFS);
	detach();
	/* A driver that does not look is told by the device. */
	config.features_off = PEAL_BIT(PEAL_VIRTIO_BLK_F_RO);
	attach(&config);
	assert_int_equal(carry_out(PEAL_BLK_WRITE, 0, BUFFER, 512), -EIO);
	assert_int_equal(carry_out(PEAL_BLK_READ, 0, BUFFER, 512), 0);
	assert_memory_equal(buffer_at(0), rig.content, 512);
	detach();
	end();
}

static void a_buffer_outside_memory_fails_and_the_process_lives(void **state)
{
	struct peal_blk_driver_config config;

	(void)state;
	begin(1, 0, false);
	config = driver_config(1);
	attach(&config);
	{
		struct peal_blk_request request = {
			.op = PEAL_BLK_READ, .address = 0x1000, .length = 512, .done = on_done
		};

		ended = 0;
		assert_int_equal(peal_blk_driver_submit(rig.blk, 0, &request), 0);
		peal_blk_driver_kick(rig.blk, 0);
		/* NEEDS_RESET and a configuration interrupt: the driver fails what is in flight. */
		assert_true(real_dispatch(&rig.real) >= 1);
		assert_int_equal(ended, 1);
		assert_int_equal(last_status, -EIO);
		assert_string_equal(peal_blk_driver_broken(rig.blk, 0), "the device needs a reset");
	}
	detach();
	/* After the reset all is well again. */
	attach(&config);
	assert_int_equal(carry_out(PEAL_BLK_READ, 5, BUFFER, 512), 0);
	detach();
	end();
}

static unsigned changes;

static void on_changed(void *user)
{
	(void)user;
	changes++;
}

static void a_resize_reaches_the_driver(void **state)
{
	struct peal_blk_driver_config config;
	struct peal_blk_info info;

	(void)state;
	begin(1, 0, false);
	config = driver_config(1);
	config.changed = on_changed;
	attach(&config);
	changes = 0;
	rig.size = 64 * 512;
	peal_virtio_blk_resize(rig.device);
	assert_int_equal(real_dispatch(&rig.real), 1);
	assert_int_equal(changes, 1);
	peal_blk_driver_info(rig.blk, &info);
	assert_int_equal(info.capacity, 64);
	assert_int_equal(carry_out(PEAL_BLK_READ, 63, BUFFER, 512), 0);
	assert_int_equal(carry_out(PEAL_BLK_READ, 64, BUFFER, 512), -ERANGE);
	detach();
	end();
}

static void every_failure_of_start_is_undone(void **state)
{
	(void)state;
	begin(2, 0, false);
	for (unsigned kind = 0; kind < 2; kind++) {
		for (int64_t n = 0;; n++) {
			struct peal_blk_driver_config config = driver_config(2);
			int r;

			rig.real.dma_points = 0;
			rig.real.dma_fail_at = kind ? n : -1;
			if (kind == 0)
				test_host_fail_in(&rig.real.th, n);
			r = peal_blk_driver_new(&rig.blk, &config);
			if (r == 0)
				break;
			assert_int_equal(r, kind ? -ENOSPC : -ENOMEM);
			real_check_clean(&rig.real);
			assert_true(n < 50);
		}
		test_host_fail_never(&rig.real.th);
		assert_int_equal(carry_out(PEAL_BLK_READ, 0, BUFFER, 512), 0);
		detach();
	}
	end();
}

/* ---- many requests, many threads ---- */

#define DEPTH 24u

/* A lane reads (or writes) its own part of the disk over one queue, many requests in flight. */
struct lane {
	unsigned queue;
	uint64_t next_sector, end_sector, step;
	bool write;
	unsigned depth;
	uint64_t buffers; /* DEPTH of 4096 bytes */
	struct peal_blk_request requests[DEPTH];
	unsigned in_flight; /* atomic */
	unsigned ended;     /* atomic */
};

static struct lane lanes[4];

static void check_read(const struct peal_blk_request *request)
{
	const uint8_t *bytes = test_ram_at(&rig.real.ram, request->address, request->length);

	thread_assert(memcmp(bytes, rig.content + 512 * request->sector, request->length) == 0);
}

/* The next request of the lane, or it goes to rest. Called by the thread that owns the request. */
static void lane_submit(struct lane *lane, struct peal_blk_request *request)
{
	uint64_t sector = __atomic_fetch_add(&lane->next_sector, lane->step, __ATOMIC_RELAXED);
	int r;

	if (sector >= lane->end_sector) {
		(void)__atomic_fetch_sub(&lane->in_flight, 1, __ATOMIC_RELEASE);
		return;
	}
	request->sector = sector;
	request->length = (uint32_t)(512 * lane->step);
	if (lane->write)
		memcpy(test_ram_at(&rig.real.ram, request->address, request->length),
		       rig.content + 512 * sector, request->length);
	r = peal_blk_driver_submit(rig.blk, lane->queue, request);
	thread_assert(r == 0);
}

static void lane_done(struct peal_blk_request *request, int status)
{
	struct lane *lane = request->user;

	thread_assert(status == 0);
	if (!lane->write)
		check_read(request);
	(void)__atomic_fetch_add(&lane->ended, 1, __ATOMIC_RELAXED);
	lane_submit(lane, request);
}

static void lane_run(void *user, unsigned index)
{
	struct lane *lane = &lanes[index];

	(void)user;
	__atomic_store_n(&lane->in_flight, lane->depth, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < lane->depth; i++) {
		lane->requests[i] = (struct peal_blk_request){
			.op = lane->write ? PEAL_BLK_WRITE : PEAL_BLK_READ,
			.address = lane->buffers + 4096 * (uint64_t)i,
			.done = lane_done,
			.user = lane,
		};
		lane_submit(lane, &lane->requests[i]);
		if (i % 4 == 3)
			peal_blk_driver_kick(rig.blk, lane->queue);
	}
	peal_blk_driver_kick(rig.blk, lane->queue);
	/* The rest is done by interrupts alone: a lost one would hang the test. */
	while (__atomic_load_n(&lane->in_flight, __ATOMIC_ACQUIRE))
		(void)usleep(100);
}

/* COUNT lanes over as many queues as there are; the whole disk once, in pieces of STEP sectors. */
static void run_lanes(unsigned count, unsigned queues, uint64_t step, bool writing)
{
	uint64_t share = DISK_SECTORS / count;
	struct peal_blk_info info;
	unsigned depth;

	peal_blk_driver_info(rig.blk, &info);
	depth = info.depth * queues / count;
	for (unsigned i = 0; i < count; i++) {
		memset(&lanes[i], 0, sizeof(lanes[i]));
		lanes[i].queue = i % queues;
		lanes[i].next_sector = share * i;
		lanes[i].end_sector = share * (i + 1);
		lanes[i].step = step;
		lanes[i].write = writing;
		lanes[i].depth = depth < DEPTH ? depth : DEPTH;
		lanes[i].buffers = BUFFER + (uint64_t)i * DEPTH * 4096;
	}
	test_threads(count, lane_run, NULL);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(lanes[i].ended, share / step);
}

/* Every request ended, and every message became a call of a handler or merged into one. */
static void check_counters(unsigned queues, uint64_t requests)
{
	uint64_t submitted = 0, completed = 0, failed = 0, messages = 0, merged = 0, called = 0;
	struct peal_virtio_driver_counters virtio;

	for (unsigned q = 0; q < queues; q++) {
		struct peal_blk_counters counters;

		peal_blk_driver_counters(rig.blk, q, &counters);
		submitted += counters.submitted;
		completed += counters.completed;
		failed += counters.failed;
		assert_true(counters.notifications <= counters.kicks);
		assert_true(counters.spurious <= counters.interrupts);
	}
	assert_int_equal(submitted, requests);
	assert_int_equal(completed, requests);
	assert_int_equal(failed, 0);
	peal_virtio_driver_counters(peal_blk_driver_virtio(rig.blk), &virtio);
	for (unsigned v = 1; v < REAL_VECTORS; v++) {
		messages += rig.real.vectors[v].messages;
		merged += rig.real.vectors[v].merged;
		called += rig.real.vectors[v].dispatched;
	}
	assert_int_equal(messages - merged, called);
	assert_int_equal(virtio.queue_interrupts, called);
	assert_int_equal(virtio.config_interrupts, 0);
}

static void settle(void)
{
	/* Stopped CPUs have called the handlers of all messages that came before; these are late. */
	real_stop_cpus(&rig.real);
	(void)real_dispatch(&rig.real);
}

static void traffic(unsigned queues, unsigned workers, unsigned count, uint64_t features_off,
		    bool shared)
{
	struct peal_blk_driver_config config;
	struct peal_blk_info info;

	begin(queues, workers, false);
	config = driver_config(queues);
	config.features_off = features_off;
	config.disable_msix_per_queue = shared;
	attach(&config);
	peal_blk_driver_info(rig.blk, &info);
	assert_int_equal(info.queues, queues);
	assert_int_equal(info.intr,
			 shared ? PEAL_VIRTIO_INTR_MSIX_SHARED : PEAL_VIRTIO_INTR_MSIX_PER_QUEUE);
	real_start_cpus(&rig.real);
	run_lanes(count, queues, 1, false);
	settle();
	check_counters(queues, DISK_SECTORS);
	detach();
	end();
}

static void workers_and_cpus_lose_nothing(void **state)
{
	(void)state;
	traffic(2, PEAL_VIRTIO_WORKER_PER_QUEUE, 2, 0, false);
}

static void two_threads_share_a_queue(void **state)
{
	(void)state;
	traffic(1, 1, 2, 0, false);
}

static void flags_instead_of_the_event_index_lose_nothing(void **state)
{
	(void)state;
	traffic(2, 2, 2, PEAL_BIT(PEAL_VIRTIO_F_EVENT_IDX), false);
}

static void chains_without_tables_lose_nothing(void **state)
{
	(void)state;
	traffic(2, 2, 2, PEAL_BIT(PEAL_VIRTIO_F_INDIRECT_DESC), false);
}

static void one_vector_for_all_queues_loses_nothing(void **state)
{
	(void)state;
	traffic(4, 2, 4, 0, true);
}

static void a_device_without_threads_serves_in_the_notification(void **state)
{
	(void)state;
	traffic(2, 0, 2, 0, false);
}

static void what_many_threads_write_is_in_the_file(void **state)
{
	struct peal_blk_driver_config config;
	uint8_t *copy = malloc(DISK_SIZE);
	uint64_t seed = 7;
	int fd;

	(void)state;
	begin(2, PEAL_VIRTIO_WORKER_PER_QUEUE, true);
	config = driver_config(2);
	attach(&config);
	for (unsigned i = 0; i < DISK_SIZE; i += 8)
		peal_store_le(rig.content + i, 8, test_random(&seed));
	real_start_cpus(&rig.real);
	run_lanes(2, 2, 4, true);
	run_lanes(2, 2, 8, false);
	settle();
	check_counters(2, DISK_SECTORS / 4 + DISK_SECTORS / 8);
	detach();
	fd = open(rig.path, O_RDONLY);
	assert_int_equal(read(fd, copy, DISK_SIZE), DISK_SIZE);
	assert_int_equal(close(fd), 0);
	assert_memory_equal(copy, rig.content, DISK_SIZE);
	free(copy);
	end();
}

/* ---- detaching in full flight ---- */

static unsigned flight_ended, flight_submitted;

static void flight_done(struct peal_blk_request *request, int status)
{
	thread_assert(status == 0 || status == -ECANCELED);
	(void)__atomic_fetch_add(&flight_ended, 1, __ATOMIC_RELAXED);
	if (peal_blk_driver_submit(rig.blk, request->user == &lanes[1], request) == 0)
		(void)__atomic_fetch_add(&flight_submitted, 1, __ATOMIC_RELAXED);
}

static void detaching_in_full_flight_ends_every_request_once(void **state)
{
	static struct peal_blk_request requests[2 * DEPTH];

	(void)state;
	begin(2, PEAL_VIRTIO_WORKER_PER_QUEUE, false);
	for (unsigned round = 0; round < 20; round++) {
		struct peal_blk_driver_config config = driver_config(2);

		attach(&config);
		flight_ended = flight_submitted = 0;
		for (unsigned i = 0; i < 2 * DEPTH; i++) {
			requests[i] = (struct peal_blk_request){
				.op = PEAL_BLK_READ,
				.sector = i,
				.address = BUFFER + 512 * (uint64_t)i,
				.length = 512,
				.done = flight_done,
				.user = &lanes[i % 2],
			};
			assert_int_equal(peal_blk_driver_submit(rig.blk, i % 2, &requests[i]), 0);
			flight_submitted++;
		}
		real_start_cpus(&rig.real);
		peal_blk_driver_kick(rig.blk, 0);
		peal_blk_driver_kick(rig.blk, 1);
		/* Until some have gone around, then while they do. */
		while (__atomic_load_n(&flight_ended, __ATOMIC_RELAXED) < 4 * DEPTH)
			(void)usleep(50);
		peal_blk_driver_free(rig.blk);
		rig.blk = NULL;
		real_check_clean(&rig.real);
		assert_int_equal(flight_ended, flight_submitted);
		real_stop_cpus(&rig.real);
		(void)real_dispatch(&rig.real);
	}
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_read_written_and_flushed),
		cmocka_unit_test(every_combination_of_ring_features_works),
		cmocka_unit_test(a_read_only_file_is_a_read_only_disk),
		cmocka_unit_test(a_buffer_outside_memory_fails_and_the_process_lives),
		cmocka_unit_test(a_resize_reaches_the_driver),
		cmocka_unit_test(every_failure_of_start_is_undone),
		cmocka_unit_test(workers_and_cpus_lose_nothing),
		cmocka_unit_test(two_threads_share_a_queue),
		cmocka_unit_test(flags_instead_of_the_event_index_lose_nothing),
		cmocka_unit_test(chains_without_tables_lose_nothing),
		cmocka_unit_test(one_vector_for_all_queues_loses_nothing),
		cmocka_unit_test(a_device_without_threads_serves_in_the_notification),
		cmocka_unit_test(what_many_threads_write_is_in_the_file),
		cmocka_unit_test(detaching_in_full_flight_ends_every_request_once),
	};

	return cmocka_run_group_tests_name("driver-device", tests, NULL, NULL);
}
