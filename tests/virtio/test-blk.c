/* SPDX-License-Identifier: BSD-2-Clause */
/* The block device over a backend in memory that fails when told to. */
#include "blk-guest.h"

#define SECTORS 64u
#define BYTES   (SECTORS * 512u)
#define ID      "0123456789abcdefghijklmnop"

struct disk {
	uint8_t bytes[BYTES];
	uint64_t capacity;
	uint64_t bad; /* the byte at which transfers fail; all ones: none */
	int error;
	int flush_error;
	unsigned reads, writes, flushes, buffers;
};

static struct disk disk;
static struct peal_virtio_blk *blk;
static struct guest g;

static uint64_t disk_capacity(void *user)
{
	return ((struct disk *)user)->capacity;
}

static int disk_move(struct disk *d, uint64_t offset, const struct peal_blk_buffer *buffers,
		     unsigned nbuffers, uint64_t *done, bool write)
{
	d->buffers += nbuffers;
	*done = 0;
	for (unsigned i = 0; i < nbuffers; i++) {
		uint8_t *base = buffers[i].base;

		for (size_t k = 0; k < buffers[i].length; k++) {
			uint64_t at = offset + (*done)++;

			assert_true(at < d->capacity);
			if (at == d->bad) {
				(*done)--;
				return d->error;
			}
			if (write)
				d->bytes[at] = base[k];
			else
				base[k] = d->bytes[at];
		}
	}
	return 0;
}

static int disk_read(void *user, uint64_t offset, const struct peal_blk_buffer *buffers,
		     unsigned nbuffers, uint64_t *done)
{
	struct disk *d = user;

	d->reads++;
	return disk_move(d, offset, buffers, nbuffers, done, false);
}

static int disk_write(void *user, uint64_t offset, const struct peal_blk_buffer *buffers,
		      unsigned nbuffers, uint64_t *done)
{
	struct disk *d = user;

	d->writes++;
	return disk_move(d, offset, buffers, nbuffers, done, true);
}

static int disk_flush(void *user)
{
	struct disk *d = user;

	d->flushes++;
	return d->flush_error;
}

static const struct peal_blk_backend_ops disk_ops = {
	.capacity = disk_capacity,
	.read = disk_read,
	.write = disk_write,
	.flush = disk_flush,
};

static struct peal_virtio_blk_config blk_config(const struct peal_host *host)
{
	return (struct peal_virtio_blk_config){
		.host = host,
		.backend = { .ops = &disk_ops, .user = &disk },
		.id = ID,
		.num_queues = 2,
		.queue_size_max = 128,
	};
}

static void open_device(const struct peal_virtio_blk_config *config)
{
	int r;

	memset(&disk, 0, sizeof(disk));
	for (unsigned i = 0; i < BYTES; i++)
		disk.bytes[i] = (uint8_t)(i * 7 + i / 512);
	disk.capacity = BYTES;
	disk.bad = UINT64_MAX;
	r = peal_virtio_blk_new(&blk, config);
	assert_int_equal(r, 0);
	guest_init(&g, peal_virtio_blk_function(blk));
}

static int setup(void **state)
{
	struct peal_virtio_blk_config config = blk_config(peal_host_default());

	(void)state;
	open_device(&config);
	guest_start(&g, BLK_BIT(FLUSH), 2, 128);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	guest_done(&g);
	peal_virtio_blk_free(blk);
	return 0;
}

static unsigned request(uint32_t type, uint64_t sector, uint32_t length)
{
	return blk_request(&g, 0, type, sector, length);
}

static struct peal_virtio_blk_counters counters(void)
{
	struct peal_virtio_blk_counters c;

	peal_virtio_blk_counters(blk, PEAL_VIRTIO_BLK_ALL, &c);
	return c;
}

static void configuration_describes_the_disk(void **state)
{
	uint64_t at = g.structures[PEAL_VIRTIO_PCI_CAP_DEVICE];

	(void)state;
	assert_int_equal(guest_config_read(&g, 2, 2), 0x1042);
	assert_int_equal(guest_config_read(&g, 8, 4) >> 8, 0x018000);
	assert_int_equal(guest_read(&g, at + PEAL_VIRTIO_BLK_CAPACITY, 8), SECTORS);
	assert_int_equal(guest_read(&g, at + PEAL_VIRTIO_BLK_SEG_MAX, 4), 126);
	assert_int_equal(guest_read(&g, at + PEAL_VIRTIO_BLK_BLK_SIZE, 4), 512);
	assert_int_equal(guest_read(&g, at + PEAL_VIRTIO_BLK_NUM_QUEUES, 2), 2);
	assert_int_equal(g.lengths[PEAL_VIRTIO_PCI_CAP_DEVICE], 60);
	/* Read-only. */
	guest_write(&g, at, 8, 1);
	assert_int_equal(guest_read(&g, at, 8), SECTORS);
	assert_true(guest_device_features(&g) ==
		    (BLK_BIT(SEG_MAX) | BLK_BIT(BLK_SIZE) | BLK_BIT(FLUSH) | BLK_BIT(MQ) |
		     PEAL_BIT(28) | PEAL_BIT(29) | PEAL_BIT(32)));
}

static void read_moves_sectors(void **state)
{
	struct peal_virtio_blk_counters c;

	(void)state;
	assert_int_equal(request(PEAL_VIRTIO_BLK_T_IN, 3, 4096), PEAL_VIRTIO_BLK_S_OK);
	assert_memory_equal(guest_at(&g, BLK_DATA), disk.bytes + 3 * 512, 4096);
	assert_int_equal(request(PEAL_VIRTIO_BLK_T_IN, 0, BYTES), PEAL_VIRTIO_BLK_S_OK);
	assert_memory_equal(guest_at(&g, BLK_DATA), disk.bytes, BYTES);
	assert_int_equal(request(PEAL_VIRTIO_BLK_T_IN, SECTORS - 1, 512), PEAL_VIRTIO_BLK_S_OK);
	c = counters();
	assert_int_equal(c.requests[PEAL_VIRTIO_BLK_OP_READ], 3);
	assert_int_equal(c.read_bytes, 4096 + BYTES + 512);
	assert_int_equal(c.refused + c.failed + c.written_bytes, 0);
	assert_int_equal(test_sink_count(&g.sink), 3);
}

static void write_moves_sectors(void **state)
{
	uint8_t expected[BYTES];

	(void)state;
	memcpy(expected, disk.bytes, BYTES);
	memset(expected + 5 * 512, 0x5a, 1024);
	memset(guest_at(&g, BLK_DATA), 0x5a, 1024);
	assert_int_equal(request(PEAL_VIRTIO_BLK_T_OUT, 5, 1024), PEAL_VIRTIO_BLK_S_OK);
	assert_memory_equal(disk.bytes, expected, BYTES);
	assert_int_equal(counters().written_bytes, 1024);
	assert_int_equal(disk.flushes, 0);
	assert_int_equal(request(PEAL_VIRTIO_BLK_T_FLUSH, 0, 0), PEAL_VIRTIO_BLK_S_OK);
	assert_int_equal(disk.flushes, 1);
}

static void get_id_fills_twenty_bytes(void **state)
{
	uint8_t *data = guest_at(&g, BLK_DATA);

	(void)state;
	memset(data, 0xff, 64);
	assert_int_equal(request(PEAL_VIRTIO_BLK_T_GET_ID, 0, 20), PEAL_VIRTIO_BLK_S_OK);
	assert_memory_equal(data, ID, 20);
	assert_int_equal(data[20], 0xff);
	/* More room is zeroed, less gets less. */
	assert_int_equal(request(PEAL_VIRTIO_BLK_T_GET_ID, 0, 32), PEAL_VIRTIO_BLK_S_OK);
	assert_int_equal(data[20], 0);
	assert_int_equal(data[31], 0);
	assert_int_equal(data[32], 0xff);
	memset(data, 0xff, 64);
	assert_int_equal(request(PEAL_VIRTIO_BLK_T_GET_ID, 0, 3), PEAL_VIRTIO_BLK_S_OK);
	assert_memory_equal(data, "012\xff", 4);
	assert_int_equal(request(PEAL_VIRTIO_BLK_T_GET_ID, 0, 0), PEAL_VIRTIO_BLK_S_OK);
}

static void unknown_requests_are_unsupported(void **state)
{
	static const uint32_t types[] = { 2, 3, 5, 9, 11, 13, 0x80000000, 0xffffffff };
	const uint8_t *data = guest_at(&g, BLK_DATA);

	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(types); i++) {
		memset(guest_at(&g, BLK_DATA), 0xff, 16);
		assert_int_equal(request(types[i], 0, 16), PEAL_VIRTIO_BLK_S_UNSUPP);
		assert_int_equal(data[0], 0);
		assert_int_equal(data[15], 0);
	}
	assert_int_equal(counters().requests[PEAL_VIRTIO_BLK_OP_UNKNOWN], 8);
	assert_int_equal(disk.reads + disk.writes + disk.flushes, 0);
	assert_int_equal(guest_status(&g), 15);
}

static void bad_ranges_are_refused(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t length;
	} bad[] = {
		{ SECTORS, 512 },
		{ SECTORS - 1, 1024 },
		{ 0, BYTES + 512 },
		{ UINT64_MAX, 512 },
		{ UINT64_MAX / 512, 512 },
		{ UINT64_C(1) << 55, 512 },
		{ UINT64_C(1) << 63, 512 },
		{ 0, 1 },
		{ 0, 511 },
		{ 0, 513 },
		{ 1, 4095 },
	};
	uint64_t n = 0;

	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(bad); i++) {
		memset(guest_at(&g, BLK_DATA), 0xff, 512);
		assert_int_equal(request(PEAL_VIRTIO_BLK_T_OUT, bad[i].sector, bad[i].length),
				 PEAL_VIRTIO_BLK_S_IOERR);
		assert_int_equal(request(PEAL_VIRTIO_BLK_T_IN, bad[i].sector, bad[i].length),
				 PEAL_VIRTIO_BLK_S_IOERR);
		/* Not what was there before. */
		assert_int_equal(guest_read(&g, BLK_DATA, 1), 0);
		n += 2;
	}
	assert_int_equal(disk.reads + disk.writes, 0);
	assert_int_equal(counters().refused, n);
	assert_int_equal(counters().failed, 0);
	assert_int_equal(guest_status(&g), 15);
	/* No sectors at the very end are in range. */
	assert_int_equal(request(PEAL_VIRTIO_BLK_T_IN, SECTORS, 0), PEAL_VIRTIO_BLK_S_OK);
	assert_int_equal(request(PEAL_VIRTIO_BLK_T_IN, SECTORS + 1, 0), PEAL_VIRTIO_BLK_S_IOERR);
}

/* §2.7.4: where descriptors begin and end means nothing. */
static void framing_means_nothing(void **state)
{
	struct guest_queue *q = &g.queues[0];
	struct guest_buffer in[] = {
		{ BLK_HEADER, 1, false },      { BLK_HEADER + 1, 14, false },
		{ BLK_HEADER + 15, 1, false }, { BLK_DATA, 511, true },
		{ BLK_DATA + 511, 1, true },   { BLK_DATA + 512, 513, true },
	};
	struct guest_buffer out[] = {
		{ BLK_DATA - 16, 600, false },
		{ BLK_DATA - 16 + 600, 440, false },
		{ BLK_STATUS, 1, true },
	};
	uint32_t id, used;

	(void)state;
	blk_header(&g, PEAL_VIRTIO_BLK_T_IN, 2);
	guest_send(q, in, PEAL_COUNT_OF(in));
	assert_true(guest_take(q, &id, &used));
	assert_int_equal(used, 1025);
	/* The status is the last byte, here in the middle of a descriptor's memory. */
	assert_int_equal(guest_read(&g, BLK_DATA + 1024, 1), PEAL_VIRTIO_BLK_S_OK);
	assert_memory_equal(guest_at(&g, BLK_DATA), disk.bytes + 1024, 1024);
	assert_int_equal(disk.buffers, 3);

	blk_header(&g, PEAL_VIRTIO_BLK_T_OUT, 4);
	memcpy(guest_at(&g, BLK_DATA - 16), guest_at(&g, BLK_HEADER), 16);
	memset(guest_at(&g, BLK_DATA), 0x33, 1024);
	guest_send(q, out, PEAL_COUNT_OF(out));
	assert_true(guest_take(q, &id, &used));
	assert_int_equal(guest_read(&g, BLK_STATUS, 1), PEAL_VIRTIO_BLK_S_OK);
	assert_int_equal(disk.bytes[4 * 512], 0x33);
	assert_int_equal(disk.bytes[6 * 512 - 1], 0x33);
	assert_memory_equal(disk.bytes + 6 * 512, "\x06\x0d", 2);
}

static void expect_broken(const struct guest_buffer *buffers, unsigned count)
{
	struct peal_virtio_counters c;

	guest_start(&g, BLK_BIT(FLUSH), 2, 128);
	blk_header(&g, PEAL_VIRTIO_BLK_T_IN, 0);
	guest_send(&g.queues[0], buffers, count);
	assert_true(guest_status(&g) & PEAL_VIRTIO_NEEDS_RESET);
	assert_int_equal(guest_used_index(&g.queues[0]), 0);
	peal_virtio_counters(peal_virtio_blk_device(blk), 0, &c);
	assert_int_equal(c.fault, PEAL_VRING_FAULT_REQUEST);
}

static void requests_that_cannot_be_answered_break_the_queue(void **state)
{
	const struct guest_buffer no_status[] = {
		{ BLK_HEADER, 16, false },
		{ BLK_DATA, 512, false },
	};
	const struct guest_buffer short_header[] = {
		{ BLK_HEADER, 15, false },
		{ BLK_DATA, 512, true },
		{ BLK_STATUS, 1, true },
	};
	const struct guest_buffer no_header[] = { { BLK_STATUS, 1, true } };

	(void)state;
	expect_broken(no_status, 2);
	expect_broken(short_header, 3);
	expect_broken(no_header, 1);
}

static void read_only_backends_refuse_writes(void **state)
{
	struct peal_virtio_blk_config config = blk_config(peal_host_default());

	teardown(state);
	config.backend.read_only = true;
	config.num_queues = 0;
	open_device(&config);
	assert_true(guest_device_features(&g) & BLK_BIT(RO));
	assert_false(guest_device_features(&g) & BLK_BIT(MQ));
	guest_start(&g, BLK_BIT(RO), 1, 128);
	assert_int_equal(request(PEAL_VIRTIO_BLK_T_OUT, 0, 512), PEAL_VIRTIO_BLK_S_IOERR);
	assert_int_equal(disk.writes, 0);
	assert_int_equal(counters().refused, 1);
	assert_int_equal(request(PEAL_VIRTIO_BLK_T_IN, 0, 512), PEAL_VIRTIO_BLK_S_OK);
	assert_int_equal(request(PEAL_VIRTIO_BLK_T_FLUSH, 0, 0), PEAL_VIRTIO_BLK_S_OK);
}

/* §5.2.6.2: a write is stable when it completes, if the driver cannot flush. */
static void without_flush_every_write_is_stable(void **state)
{
	(void)state;
	guest_start(&g, 0, 2, 128);
	assert_int_equal(request(PEAL_VIRTIO_BLK_T_OUT, 0, 512), PEAL_VIRTIO_BLK_S_OK);
	assert_int_equal(disk.flushes, 1);
	disk.flush_error = -EIO;
	assert_int_equal(request(PEAL_VIRTIO_BLK_T_OUT, 1, 512), PEAL_VIRTIO_BLK_S_IOERR);
	assert_int_equal(disk.flushes, 2);
	guest_start(&g, BLK_BIT(FLUSH), 2, 128);
	assert_int_equal(request(PEAL_VIRTIO_BLK_T_OUT, 0, 512), PEAL_VIRTIO_BLK_S_OK);
	assert_int_equal(disk.flushes, 2);
}

static void backend_errors_are_answered_and_remembered(void **state)
{
	struct peal_virtio_blk_error error;
	const uint8_t *data = guest_at(&g, BLK_DATA);

	(void)state;
	peal_virtio_blk_last_error(blk, &error);
	assert_int_equal(error.count, 0);
	disk.bad = 3 * 512 + 100;
	disk.error = -ENOSPC;
	assert_int_equal(request(PEAL_VIRTIO_BLK_T_OUT, 2, 2048), PEAL_VIRTIO_BLK_S_IOERR);
	peal_virtio_blk_last_error(blk, &error);
	assert_int_equal(error.count, 1);
	assert_int_equal(error.error, -ENOSPC);
	assert_int_equal(error.op, PEAL_VIRTIO_BLK_OP_WRITE);
	assert_int_equal(error.offset, 3 * 512 + 100);
	assert_int_equal(counters().failed, 1);
	assert_int_equal(counters().written_bytes, 0);
	/* The next one is not held to it. */
	assert_int_equal(request(PEAL_VIRTIO_BLK_T_OUT, 8, 512), PEAL_VIRTIO_BLK_S_OK);

	disk.error = -EIO;
	memset(guest_at(&g, BLK_DATA), 0xff, 1024);
	assert_int_equal(request(PEAL_VIRTIO_BLK_T_IN, 2, 1024), PEAL_VIRTIO_BLK_S_IOERR);
	/* Half was read: the driver gets none of it. */
	assert_int_equal(data[0], 0);
	assert_int_equal(data[1023], 0);
	peal_virtio_blk_last_error(blk, &error);
	assert_int_equal(error.count, 2);
	assert_int_equal(error.op, PEAL_VIRTIO_BLK_OP_READ);

	disk.flush_error = -EDQUOT;
	assert_int_equal(request(PEAL_VIRTIO_BLK_T_FLUSH, 0, 0), PEAL_VIRTIO_BLK_S_IOERR);
	peal_virtio_blk_last_error(blk, &error);
	assert_int_equal(error.count, 3);
	assert_int_equal(error.error, -EDQUOT);
	assert_int_equal(error.op, PEAL_VIRTIO_BLK_OP_FLUSH);
	assert_int_equal(guest_status(&g), 15);
}

static void each_queue_has_its_counters(void **state)
{
	struct peal_virtio_blk_counters c;

	(void)state;
	assert_int_equal(blk_request(&g, 0, PEAL_VIRTIO_BLK_T_IN, 0, 512), PEAL_VIRTIO_BLK_S_OK);
	assert_int_equal(blk_request(&g, 1, PEAL_VIRTIO_BLK_T_OUT, 0, 1024), PEAL_VIRTIO_BLK_S_OK);
	peal_virtio_blk_counters(blk, 0, &c);
	assert_int_equal(c.requests[PEAL_VIRTIO_BLK_OP_READ], 1);
	assert_int_equal(c.requests[PEAL_VIRTIO_BLK_OP_WRITE], 0);
	peal_virtio_blk_counters(blk, 1, &c);
	assert_int_equal(c.requests[PEAL_VIRTIO_BLK_OP_READ], 0);
	assert_int_equal(c.written_bytes, 1024);
	c = counters();
	assert_int_equal(c.requests[PEAL_VIRTIO_BLK_OP_READ], 1);
	assert_int_equal(c.requests[PEAL_VIRTIO_BLK_OP_WRITE], 1);
}

static void resize_is_announced(void **state)
{
	uint64_t at = g.structures[PEAL_VIRTIO_PCI_CAP_DEVICE];

	(void)state;
	peal_virtio_blk_resize(blk);
	assert_int_equal(test_sink_count(&g.sink), 0);
	disk.capacity = 8 * 512;
	peal_virtio_blk_resize(blk);
	assert_int_equal(test_sink_count(&g.sink), 1);
	assert_int_equal(test_sink_last(&g.sink)->data, 0);
	assert_int_equal(guest_read(&g, at, 8), 8);
	assert_int_equal(request(PEAL_VIRTIO_BLK_T_IN, 8, 512), PEAL_VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(PEAL_VIRTIO_BLK_T_IN, 7, 512), PEAL_VIRTIO_BLK_S_OK);
	/* A reset keeps it. */
	guest_start(&g, 0, 2, 128);
	assert_int_equal(guest_read(&g, at, 8), 8);
}

static void the_longest_request_is_carried_out(void **state)
{
	struct guest_queue *q = &g.queues[0];
	struct guest_buffer buffers[128] = { { BLK_HEADER, 16, false } };
	uint64_t table = BLK_DATA + 0x40000;
	uint32_t id, used;

	(void)state;
	/* 126 segments of 256 bytes: 63 sectors. */
	for (unsigned i = 1; i <= 126; i++)
		buffers[i] = (struct guest_buffer){ BLK_DATA + 0x200 * i, 256, true };
	buffers[127] = (struct guest_buffer){ BLK_STATUS, 1, true };
	blk_header(&g, PEAL_VIRTIO_BLK_T_IN, 1);
	guest_send(q, buffers, 128);
	assert_true(guest_take(q, &id, &used));
	assert_int_equal(guest_read(&g, BLK_STATUS, 1), PEAL_VIRTIO_BLK_S_OK);
	assert_memory_equal(guest_at(&g, BLK_DATA + 0x200), disk.bytes + 512, 256);
	assert_memory_equal(guest_at(&g, BLK_DATA + 0x200 * 126), disk.bytes + 512 + 256 * 125,
			    256);
	/* The same through an indirect table. */
	guest_start(&g, BLK_BIT(FLUSH) | PEAL_BIT(PEAL_VIRTIO_F_INDIRECT_DESC), 2, 128);
	memset(guest_at(&g, BLK_DATA), 0, 0x200 * 127);
	for (unsigned i = 0; i < 128; i++)
		guest_write_desc(&g, table, i, buffers[i].address, buffers[i].length,
				 (uint16_t)((buffers[i].writable ? PEAL_VRING_DESC_F_WRITE : 0) |
					    (i < 127 ? PEAL_VRING_DESC_F_NEXT : 0)),
				 (uint16_t)(i + 1));
	guest_write_desc(&g, q->desc, 0, table, 128 * 16, PEAL_VRING_DESC_F_INDIRECT, 0);
	blk_header(&g, PEAL_VIRTIO_BLK_T_IN, 1);
	guest_offer(q, 0);
	guest_publish(q);
	guest_notify(q);
	assert_true(guest_take(q, &id, &used));
	assert_int_equal(guest_read(&g, BLK_STATUS, 1), PEAL_VIRTIO_BLK_S_OK);
	assert_memory_equal(guest_at(&g, BLK_DATA + 0x200 * 126), disk.bytes + 512 + 256 * 125,
			    256);
}

static void bad_configurations_are_refused(void **state)
{
	struct peal_virtio_blk_config config = blk_config(peal_host_default());
	struct peal_virtio_blk *none = NULL;

	(void)state;
	disk.capacity = 511;
	assert_int_equal(peal_virtio_blk_new(&none, &config), -EINVAL);
	disk.capacity = BYTES;
	config.num_queues = 1025;
	assert_int_equal(peal_virtio_blk_new(&none, &config), -EINVAL);
	config.num_queues = 1;
	config.queue_size_max = 3;
	assert_int_equal(peal_virtio_blk_new(&none, &config), -EINVAL);
	config.queue_size_max = UINT32_MAX;
	assert_int_equal(peal_virtio_blk_new(&none, &config), -EINVAL);
	assert_null(none);
	peal_virtio_blk_free(NULL);
}

static int make_blk(const struct peal_host *host, void *user)
{
	struct peal_virtio_blk_config config = blk_config(host);
	struct peal_virtio_blk *made;
	int r;

	(void)user;
	config.workers = PEAL_VIRTIO_WORKER_PER_QUEUE;
	r = peal_virtio_blk_new(&made, &config);
	if (r == 0)
		peal_virtio_blk_free(made);
	return r;
}

static void every_allocation_may_fail(void **state)
{
	(void)state;
	disk.capacity = BYTES;
	assert_true(test_every_allocation(make_blk, NULL) >= 14);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(configuration_describes_the_disk),
		TEST(read_moves_sectors),
		TEST(write_moves_sectors),
		TEST(get_id_fills_twenty_bytes),
		TEST(unknown_requests_are_unsupported),
		TEST(bad_ranges_are_refused),
		TEST(framing_means_nothing),
		TEST(requests_that_cannot_be_answered_break_the_queue),
		TEST(read_only_backends_refuse_writes),
		TEST(without_flush_every_write_is_stable),
		TEST(backend_errors_are_answered_and_remembered),
		TEST(each_queue_has_its_counters),
		TEST(resize_is_announced),
		TEST(the_longest_request_is_carried_out),
		cmocka_unit_test(bad_configurations_are_refused),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests_name("virtio-blk", tests, NULL, NULL);
}
