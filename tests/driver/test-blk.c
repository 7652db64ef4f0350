/* SPDX-License-Identifier: BSD-2-Clause */
/* The block driver on the scripted device: requests, bursts, limits, lies, detaching. */
#include "fake.h"
#include "driver/blk.h"

static struct fake fake;

static struct peal_blk_driver_config blk_config(void)
{
	return (struct peal_blk_driver_config){
		.host = &fake.th.host,
		.ops = &fake_ops,
		.ops_user = &fake,
	};
}

static struct peal_blk_driver *start(const struct peal_blk_driver_config *config)
{
	struct peal_blk_driver *blk = NULL;

	assert_int_equal(peal_blk_driver_new(&blk, config), 0);
	return blk;
}

static struct peal_blk_driver *begin(void)
{
	struct peal_blk_driver_config config;

	fake_init(&fake);
	for (unsigned i = 0; i < sizeof(fake.disk); i++)
		fake.disk[i] = (uint8_t)(i / 512 + i % 7);
	config = blk_config();
	return start(&config);
}

static void end(struct peal_blk_driver *blk)
{
	peal_blk_driver_free(blk);
	fake_check_clean(&fake);
}

/* ---- requests that remember how they ended ---- */

struct request {
	struct peal_blk_request blk;
	unsigned ended;
	int status;
	unsigned order; /* how many had ended before */
	uint8_t buffer[4096];
};

static unsigned ended_total;

static void on_done(struct peal_blk_request *blk, int status)
{
	struct request *request = peal_container_of(blk, struct request, blk);

	request->ended++;
	request->status = status;
	request->order = ended_total++;
}

static struct peal_blk_request *prepare(struct request *request, enum peal_blk_op op,
					uint64_t sector, uint32_t length)
{
	request->ended = 0;
	request->status = 1;
	request->blk = (struct peal_blk_request){
		.op = op,
		.sector = sector,
		.buffer = request->buffer,
		.address = fake_address(request->buffer),
		.length = length,
		.done = on_done,
	};
	return &request->blk;
}

static int submit(struct peal_blk_driver *blk, struct request *request, enum peal_blk_op op,
		  uint64_t sector, uint32_t length)
{
	return peal_blk_driver_submit(blk, 0, prepare(request, op, sector, length));
}

static void check_ended(const struct request *request, int status)
{
	assert_int_equal(request->ended, 1);
	assert_int_equal(request->status, status);
}

/* ---- the honest device ---- */

static void limits_come_from_the_device(void **state)
{
	struct peal_blk_driver_config config;
	struct peal_blk_driver *blk = begin();
	struct peal_blk_info info;

	(void)state;
	peal_blk_driver_info(blk, &info);
	assert_int_equal(info.capacity, FAKE_DISK_SECTORS);
	assert_int_equal(info.block_size, 4096);
	assert_int_equal(info.max_segments, 8);
	assert_int_equal(info.queues, 1);
	assert_int_equal(info.depth, 64);
	assert_false(info.read_only);
	assert_true(info.flush);
	assert_int_equal(info.intr, PEAL_VIRTIO_INTR_MSIX_PER_QUEUE);
	assert_int_equal(info.features, fake.accepted);
	end(blk);

	/* As few queues as the device has; as deep as descriptors allow. */
	config = blk_config();
	config.queues = 9;
	config.features_off = PEAL_BIT(PEAL_VIRTIO_F_INDIRECT_DESC) |
			      PEAL_BIT(PEAL_VIRTIO_BLK_F_FLUSH) |
			      PEAL_BIT(PEAL_VIRTIO_BLK_F_BLK_SIZE);
	blk = start(&config);
	peal_blk_driver_info(blk, &info);
	assert_int_equal(info.queues, 4);
	assert_int_equal(info.depth, 64 / 3);
	assert_int_equal(info.block_size, 512);
	assert_false(info.flush);
	end(blk);

	config.depth = 5;
	config.features_off = PEAL_BIT(PEAL_VIRTIO_BLK_F_MQ);
	blk = start(&config);
	peal_blk_driver_info(blk, &info);
	assert_int_equal(info.queues, 1);
	assert_int_equal(info.depth, 5);
	end(blk);
}

static void data_is_read_and_written(void **state)
{
	static struct request write, read, flush, id;
	struct peal_blk_driver *blk = begin();

	(void)state;
	assert_int_equal(submit(blk, &read, PEAL_BLK_READ, 3, 1024), 0);
	peal_blk_driver_kick(blk, 0);
	assert_int_equal(fake.queues[0].notifications, 1);
	assert_int_equal(fake_blk_serve(&fake, 0), 1);
	assert_int_equal(read.ended, 0);
	fake_raise(&fake, 1);
	check_ended(&read, 0);
	assert_memory_equal(read.buffer, fake.disk + 3 * 512, 1024);

	memset(write.buffer, 0x5a, sizeof(write.buffer));
	assert_int_equal(submit(blk, &write, PEAL_BLK_WRITE, FAKE_DISK_SECTORS - 8, 4096), 0);
	assert_int_equal(submit(blk, &flush, PEAL_BLK_FLUSH, 0, 0), 0);
	assert_int_equal(submit(blk, &id, PEAL_BLK_GET_ID, 0, 20), 0);
	peal_blk_driver_kick(blk, 0);
	assert_int_equal(fake_blk_serve(&fake, 0), 3);
	fake_raise(&fake, 1);
	check_ended(&write, 0);
	check_ended(&flush, 0);
	check_ended(&id, 0);
	assert_memory_equal(fake.disk + sizeof(fake.disk) - 4096, write.buffer, 4096);
	assert_string_equal((char *)id.buffer, "a fake disk");
	end(blk);
}

static void submitted_is_unseen_until_the_kick(void **state)
{
	static struct request requests[3];
	struct peal_blk_counters counters;
	struct peal_blk_driver *blk = begin();

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(submit(blk, &requests[i], PEAL_BLK_READ, i, 512), 0);
	assert_int_equal(fake_blk_serve(&fake, 0), 0);
	assert_int_equal(fake.queues[0].notifications, 0);
	peal_blk_driver_kick(blk, 0);
	peal_blk_driver_kick(blk, 0); /* nothing new */
	assert_int_equal(fake.queues[0].notifications, 1);
	assert_int_equal(fake_blk_serve(&fake, 0), 3);
	fake_raise(&fake, 1);
	for (unsigned i = 0; i < 3; i++) {
		check_ended(&requests[i], 0);
		assert_memory_equal(requests[i].buffer, fake.disk + 512 * i, 512);
	}
	peal_blk_driver_counters(blk, 0, &counters);
	assert_int_equal(counters.submitted, 3);
	assert_int_equal(counters.completed, 3);
	assert_int_equal(counters.failed, 0);
	assert_int_equal(counters.kicks, 1);
	assert_int_equal(counters.notifications, 1);
	assert_int_equal(counters.interrupts, 1);
	assert_int_equal(counters.spurious, 0);
	end(blk);
}

static void interrupts_without_work_are_counted(void **state)
{
	struct peal_virtio_driver_counters virtio;
	struct peal_blk_counters counters;
	struct peal_blk_driver *blk = begin();

	(void)state;
	fake_raise(&fake, 1);
	fake_raise(&fake, 1);
	peal_blk_driver_counters(blk, 0, &counters);
	assert_int_equal(counters.interrupts, 2);
	assert_int_equal(counters.spurious, 2);
	peal_virtio_driver_counters(peal_blk_driver_virtio(blk), &virtio);
	assert_int_equal(virtio.queue_interrupts, 2);
	assert_int_equal(virtio.stray, 2);
	end(blk);
}

static void a_full_queue_is_busy_until_something_ends(void **state)
{
	static struct request requests[65];
	struct peal_blk_driver *blk = begin();

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 64; i++)
			assert_int_equal(submit(blk, &requests[i], PEAL_BLK_READ, i, 512), 0);
		assert_int_equal(submit(blk, &requests[64], PEAL_BLK_READ, 0, 512), -EAGAIN);
		peal_blk_driver_kick(blk, 0);
		assert_int_equal(fake_blk_serve(&fake, 0), 64);
		assert_int_equal(submit(blk, &requests[64], PEAL_BLK_READ, 0, 512), -EAGAIN);
		fake_raise(&fake, 1);
		for (unsigned i = 0; i < 64; i++) {
			check_ended(&requests[i], 0);
			assert_memory_equal(requests[i].buffer, fake.disk + 512 * i, 512);
		}
	}
	end(blk);
}

static void descriptors_run_out_before_slots(void **state)
{
	static struct request requests[4];
	struct peal_blk_driver_config config;
	struct peal_blk_driver *blk;

	(void)state;
	fake_init(&fake);
	fake.offered |= PEAL_BIT(PEAL_VIRTIO_BLK_F_SIZE_MAX);
	peal_store_le(fake.device + PEAL_VIRTIO_BLK_SIZE_MAX, 4, 512);
	config = blk_config();
	config.size_limit = 16;
	config.features_off = PEAL_BIT(PEAL_VIRTIO_F_INDIRECT_DESC);
	blk = start(&config);
	/* 8 pieces and two: 10 of 16 descriptors. Five slots, but no room for another. */
	assert_int_equal(submit(blk, &requests[0], PEAL_BLK_READ, 0, 4096), 0);
	assert_int_equal(submit(blk, &requests[1], PEAL_BLK_READ, 8, 4096), -EAGAIN);
	assert_int_equal(submit(blk, &requests[1], PEAL_BLK_READ, 8, 2048), 0);
	assert_int_equal(submit(blk, &requests[2], PEAL_BLK_READ, 8, 512), -EAGAIN);
	peal_blk_driver_kick(blk, 0);
	assert_int_equal(fake_blk_serve(&fake, 0), 2);
	fake_raise(&fake, 1);
	check_ended(&requests[0], 0);
	check_ended(&requests[1], 0);
	assert_memory_equal(requests[0].buffer, fake.disk, 4096);
	assert_int_equal(submit(blk, &requests[2], PEAL_BLK_READ, 8, 4096), 0);
	end(blk);
	check_ended(&requests[2], -ECANCELED);
}

static void large_requests_are_cut_into_pieces(void **state)
{
	static struct request request;
	struct fake_desc chain[FAKE_CHAIN_MAX];
	struct peal_blk_driver_config config;
	struct peal_blk_driver *blk;
	struct peal_blk_info info;
	uint16_t head;

	(void)state;
	fake_init(&fake);
	fake.offered |= PEAL_BIT(PEAL_VIRTIO_BLK_F_SIZE_MAX);
	peal_store_le(fake.device + PEAL_VIRTIO_BLK_SIZE_MAX, 4, 1000);
	peal_store_le(fake.device + PEAL_VIRTIO_BLK_SEG_MAX, 4, 4);
	config = blk_config();
	blk = start(&config);
	peal_blk_driver_info(blk, &info);
	assert_int_equal(info.max_segments, 4);
	assert_int_equal(info.max_transfer, 4000 / 512 * 512);
	assert_int_equal(submit(blk, &request, PEAL_BLK_READ, 0, 4096), -EINVAL);
	assert_int_equal(submit(blk, &request, PEAL_BLK_READ, 0, info.max_transfer), 0);
	peal_blk_driver_kick(blk, 0);
	assert_true(fake_pop(&fake, 0, &head));
	assert_int_equal(fake_chain(&fake, 0, head, chain), 6);
	for (unsigned i = 1; i < 5; i++) {
		assert_int_equal(chain[i].address, fake_address(request.buffer) + 1000 * (i - 1));
		assert_int_equal(chain[i].length, i < 4 ? 1000 : 584);
	}
	end(blk);
	check_ended(&request, -ECANCELED);
}

/* ---- bursts ---- */

/* Submits itself again until LEFT is 0, without a kick. */
struct chain_request {
	struct request request;
	struct peal_blk_driver *blk;
	unsigned left;
};

static void on_done_again(struct peal_blk_request *blk, int status)
{
	struct chain_request *chain = peal_container_of(blk, struct chain_request, request.blk);

	assert_int_equal(status, 0);
	if (chain->left--)
		assert_int_equal(peal_blk_driver_submit(chain->blk, 0, blk), 0);
	else
		chain->request.ended = 1;
}

static void serve_at_once(struct fake *device, unsigned queue)
{
	(void)fake_blk_serve(device, queue);
	/* Ask for the next notification. */
	fake_set_avail_event(device, queue, device->queues[queue].seen);
}

static void done_may_submit_and_one_interrupt_ends_a_burst(void **state)
{
	static struct chain_request chains[8];
	struct peal_blk_counters counters;
	struct peal_blk_driver *blk = begin();

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		prepare(&chains[i].request, PEAL_BLK_READ, i, 512);
		chains[i].request.blk.done = on_done_again;
		chains[i].blk = blk;
		chains[i].left = 10 + i;
		assert_int_equal(peal_blk_driver_submit(blk, 0, &chains[i].request.blk), 0);
	}
	/* The device serves in the notification, so each batch is there when the handler looks. */
	fake.notified = serve_at_once;
	peal_blk_driver_kick(blk, 0);
	fake_raise(&fake, 1);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(chains[i].request.ended, 1);
	peal_blk_driver_counters(blk, 0, &counters);
	assert_int_equal(counters.submitted, 8 * 11 + 28);
	assert_int_equal(counters.completed, 8 * 11 + 28);
	assert_int_equal(counters.interrupts, 1);
	assert_int_equal(counters.kicks, 18);
	end(blk);
}

static uint64_t flags_in_done;

static void on_done_flags(struct peal_blk_request *blk, int status)
{
	on_done(blk, status);
	flags_in_done = peal_load_le(fake_avail(&fake, 0), 2);
}

static void interrupts_are_off_while_requests_end(void **state)
{
	static struct request request;
	struct peal_blk_driver_config config;
	struct peal_blk_driver *blk;

	(void)state;
	fake_init(&fake);
	config = blk_config();
	config.features_off = PEAL_BIT(PEAL_VIRTIO_F_EVENT_IDX);
	blk = start(&config);
	assert_int_equal(submit(blk, &request, PEAL_BLK_READ, 0, 512), 0);
	request.blk.done = on_done_flags;
	peal_blk_driver_kick(blk, 0);
	assert_int_equal(fake_blk_serve(&fake, 0), 1);
	assert_int_equal(peal_load_le(fake_avail(&fake, 0), 2), 0);
	fake_raise(&fake, 1);
	check_ended(&request, 0);
	assert_int_equal(flags_in_done, PEAL_VRING_AVAIL_F_NO_INTERRUPT);
	assert_int_equal(peal_load_le(fake_avail(&fake, 0), 2), 0);
	end(blk);
}

/* A ring on which the device does its work between the last look and the wish for interrupts. */
static bool enable_late(struct peal_driver_queue *queue)
{
	(void)fake_blk_serve(&fake, 0);
	return peal_driver_split_ring.enable_interrupts(queue);
}

static void what_ends_before_interrupts_are_on_is_not_lost(void **state)
{
	static const uint64_t off[] = { 0, PEAL_BIT(PEAL_VIRTIO_F_EVENT_IDX) };
	static struct request requests[2];

	(void)state;
	for (unsigned n = 0; n < PEAL_COUNT_OF(off); n++) {
		struct peal_driver_ring_ops ring = peal_driver_split_ring;
		struct peal_blk_driver_config config;
		struct peal_blk_driver *blk;

		fake_init(&fake);
		config = blk_config();
		config.features_off = off[n];
		blk = start(&config);
		ring.enable_interrupts = enable_late;
		blk->queues[0].ring->ring = &ring;
		assert_int_equal(submit(blk, &requests[0], PEAL_BLK_READ, 0, 512), 0);
		peal_blk_driver_kick(blk, 0);
		assert_int_equal(fake_blk_serve(&fake, 0), 1);
		assert_int_equal(submit(blk, &requests[1], PEAL_BLK_READ, 1, 512), 0);
		peal_blk_driver_kick(blk, 0);
		/* The second is done in the handler, and no interrupt would come for it. */
		fake_raise(&fake, 1);
		check_ended(&requests[0], 0);
		check_ended(&requests[1], 0);
		if (off[n] == 0)
			assert_int_equal(fake_used_event(&fake, 0), 2);
		else
			assert_int_equal(peal_load_le(fake_avail(&fake, 0), 2), 0);
		end(blk);
	}
}

static void requests_end_in_the_order_the_device_says(void **state)
{
	static struct request requests[4];
	struct peal_blk_driver *blk = begin();
	struct fake_desc chain[FAKE_CHAIN_MAX];
	uint16_t heads[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(submit(blk, &requests[i], PEAL_BLK_READ, i, 512), 0);
	peal_blk_driver_kick(blk, 0);
	for (unsigned i = 0; i < 4; i++)
		assert_true(fake_pop(&fake, 0, &heads[i]));
	ended_total = 0;
	for (unsigned i = 4; i-- > 0;)
		fake_push(&fake, 0, heads[i],
			  fake_blk_request(&fake, chain, fake_chain(&fake, 0, heads[i], chain)));
	fake_raise(&fake, 1);
	for (unsigned i = 0; i < 4; i++) {
		check_ended(&requests[i], 0);
		assert_int_equal(requests[i].order, 3 - i);
	}
	end(blk);
}

static void polling_ends_requests_without_an_interrupt(void **state)
{
	static struct request request;
	struct peal_blk_counters counters;
	struct peal_blk_driver *blk = begin();

	(void)state;
	assert_int_equal(peal_blk_driver_poll(blk, 0), 0);
	assert_int_equal(submit(blk, &request, PEAL_BLK_READ, 0, 512), 0);
	peal_blk_driver_kick(blk, 0);
	assert_int_equal(fake_blk_serve(&fake, 0), 1);
	assert_int_equal(peal_blk_driver_poll(blk, 0), 1);
	check_ended(&request, 0);
	peal_blk_driver_counters(blk, 0, &counters);
	assert_int_equal(counters.interrupts, 0);
	end(blk);
}

static void each_queue_has_its_vector(void **state)
{
	static struct request requests[3];
	struct peal_blk_driver_config config;
	struct peal_blk_driver *blk;

	(void)state;
	for (unsigned shared = 0; shared < 2; shared++) {
		fake_init(&fake);
		config = blk_config();
		config.queues = 3;
		config.disable_msix_per_queue = shared;
		blk = start(&config);
		for (unsigned i = 0; i < 3; i++) {
			assert_int_equal(fake.queues[i].vector, shared ? 1 : 1 + i);
			prepare(&requests[i], PEAL_BLK_READ, i, 512);
			assert_int_equal(peal_blk_driver_submit(blk, i, &requests[i].blk), 0);
			peal_blk_driver_kick(blk, i);
			assert_int_equal(fake.queues[i].notifications, 1);
			assert_int_equal(fake_blk_serve(&fake, i), 1);
		}
		fake_raise(&fake, fake.queues[1].vector);
		check_ended(&requests[1], 0);
		assert_int_equal(requests[0].ended, shared);
		assert_int_equal(requests[2].ended, shared);
		peal_blk_driver_free(blk);
		/* What the device had done before it was reset has ended well. */
		check_ended(&requests[0], 0);
		check_ended(&requests[2], 0);
		fake_check_clean(&fake);
	}
}

/* ---- requests that are wrong ---- */

static void bad_requests_are_refused(void **state)
{
	static struct request request;
	struct peal_blk_driver *blk = begin();
	struct peal_blk_counters counters;

	(void)state;
	assert_int_equal(submit(blk, &request, PEAL_BLK_READ, 0, 0), -EINVAL);
	assert_int_equal(submit(blk, &request, PEAL_BLK_READ, 0, 511), -EINVAL);
	assert_int_equal(submit(blk, &request, PEAL_BLK_WRITE, 0, 513), -EINVAL);
	assert_int_equal(submit(blk, &request, PEAL_BLK_READ, 0, UINT32_MAX & ~511u), -EINVAL);
	assert_int_equal(submit(blk, &request, PEAL_BLK_GET_ID, 0, 19), -EINVAL);
	assert_int_equal(submit(blk, &request, PEAL_BLK_READ, FAKE_DISK_SECTORS, 512), -ERANGE);
	assert_int_equal(submit(blk, &request, PEAL_BLK_READ, FAKE_DISK_SECTORS - 1, 1024),
			 -ERANGE);
	assert_int_equal(submit(blk, &request, PEAL_BLK_READ, UINT64_MAX, 512), -ERANGE);
	assert_int_equal(submit(blk, &request, (enum peal_blk_op)4, 0, 512), -EINVAL);
	peal_blk_driver_counters(blk, 0, &counters);
	assert_int_equal(counters.submitted, 0);
	assert_int_equal(request.ended, 0);
	end(blk);
}

static void a_read_only_device_takes_no_writes(void **state)
{
	static struct request request;
	struct peal_blk_driver_config config;
	struct peal_blk_driver *blk;
	struct peal_blk_info info;

	(void)state;
	fake_init(&fake);
	fake.offered |= PEAL_BIT(PEAL_VIRTIO_BLK_F_RO);
	fake.offered &= ~PEAL_BIT(PEAL_VIRTIO_BLK_F_FLUSH);
	config = blk_config();
	blk = start(&config);
	peal_blk_driver_info(blk, &info);
	assert_true(info.read_only);
	assert_false(info.flush);
	assert_int_equal(submit(blk, &request, PEAL_BLK_WRITE, 0, 512), -EROFS);
	assert_int_equal(submit(blk, &request, PEAL_BLK_FLUSH, 0, 0), -ENOTSUP);
	assert_int_equal(submit(blk, &request, PEAL_BLK_READ, 0, 512), 0);
	end(blk);
}

/* ---- devices that are wrong ---- */

/* The device answers one read with STATUS (or leaves it, when negative) and LENGTH. */
static int answer(int status, uint32_t length)
{
	static struct request request;
	struct fake_desc chain[FAKE_CHAIN_MAX];
	struct peal_blk_driver *blk = begin();
	unsigned count;
	uint16_t head;

	assert_int_equal(submit(blk, &request, PEAL_BLK_READ, 0, 512), 0);
	peal_blk_driver_kick(blk, 0);
	assert_true(fake_pop(&fake, 0, &head));
	count = fake_chain(&fake, 0, head, chain);
	if (status >= 0)
		*(uint8_t *)fake_pointer(chain[count - 1].address) = (uint8_t)status;
	fake_push(&fake, 0, head, length);
	fake_raise(&fake, 1);
	assert_int_equal(request.ended, 1);
	assert_null(peal_blk_driver_broken(blk, 0));
	end(blk);
	return request.status;
}

static void status_is_mapped_to_errors(void **state)
{
	(void)state;
	assert_int_equal(answer(PEAL_VIRTIO_BLK_S_OK, 513), 0);
	assert_int_equal(answer(PEAL_VIRTIO_BLK_S_IOERR, 1), -EIO);
	assert_int_equal(answer(PEAL_VIRTIO_BLK_S_UNSUPP, 1), -ENOTSUP);
	assert_int_equal(answer(3, 513), -EIO);
	assert_int_equal(answer(255, 513), -EIO);
	assert_int_equal(answer(-1, 513), -EIO);
	/* Success, but not all of it was written. */
	assert_int_equal(answer(PEAL_VIRTIO_BLK_S_OK, 512), -EIO);
	assert_int_equal(answer(PEAL_VIRTIO_BLK_S_OK, 0), -EIO);
}

static void lie_id(uint16_t head)
{
	(void)head;
	fake_push(&fake, 0, 1000, 1);
}

static void lie_free(uint16_t head)
{
	fake_push(&fake, 0, (head + 32u) % 64, 1);
}

static void lie_length(uint16_t head)
{
	fake_push(&fake, 0, head, 514);
}

static void lie_index(uint16_t head)
{
	(void)head;
	peal_atomic_store_le16(fake_used(&fake, 0) + 2, 0x4000, __ATOMIC_SEQ_CST);
}

static void a_lying_device_fails_what_is_in_flight(void **state)
{
	static void (*const lies[])(uint16_t head) = { lie_id, lie_free, lie_length, lie_index };
	static struct request requests[4], another;

	(void)state;
	for (unsigned n = 0; n < PEAL_COUNT_OF(lies); n++) {
		struct peal_blk_driver *blk = begin();
		struct peal_blk_counters counters;
		uint16_t head;

		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(submit(blk, &requests[i], PEAL_BLK_READ, i, 512), 0);
		peal_blk_driver_kick(blk, 0);
		/* One not shown yet. */
		assert_int_equal(submit(blk, &requests[3], PEAL_BLK_READ, 3, 512), 0);
		assert_true(fake_pop(&fake, 0, &head));
		lies[n](head);
		fake_raise(&fake, 1);
		for (unsigned i = 0; i < 4; i++)
			check_ended(&requests[i], -EIO);
		assert_non_null(peal_blk_driver_broken(blk, 0));
		assert_int_equal(submit(blk, &another, PEAL_BLK_READ, 0, 512), -EIO);
		peal_blk_driver_kick(blk, 0);
		fake_raise(&fake, 1);
		peal_blk_driver_counters(blk, 0, &counters);
		assert_int_equal(counters.failed, 4);
		assert_int_equal(counters.spurious, 1);
		end(blk);
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(requests[i].ended, 1);
	}
}

static unsigned changes;

static void on_changed(void *user)
{
	assert_ptr_equal(user, &fake);
	changes++;
}

static void a_device_that_needs_a_reset_fails_what_is_in_flight(void **state)
{
	static struct request requests[2];
	struct peal_blk_driver_config config;
	struct peal_blk_driver *blk;

	(void)state;
	fake_init(&fake);
	config = blk_config();
	config.queues = 2;
	config.changed = on_changed;
	config.user = &fake;
	blk = start(&config);
	changes = 0;
	for (unsigned i = 0; i < 2; i++) {
		prepare(&requests[i], PEAL_BLK_READ, i, 512);
		assert_int_equal(peal_blk_driver_submit(blk, i, &requests[i].blk), 0);
	}
	fake.status |= PEAL_VIRTIO_NEEDS_RESET;
	fake_raise(&fake, 0);
	assert_int_equal(changes, 1);
	check_ended(&requests[0], -EIO);
	check_ended(&requests[1], -EIO);
	assert_string_equal(peal_blk_driver_broken(blk, 1), "the device needs a reset");
	end(blk);
}

static void a_resize_is_taken_and_told(void **state)
{
	static struct request request;
	struct peal_blk_driver_config config;
	struct peal_blk_driver *blk;
	struct peal_blk_info info;

	(void)state;
	fake_init(&fake);
	config = blk_config();
	config.changed = on_changed;
	config.user = &fake;
	blk = start(&config);
	changes = 0;
	peal_store_le(fake.device, 8, 100);
	fake.generation++;
	assert_int_equal(submit(blk, &request, PEAL_BLK_READ, 100, 512), 0);
	fake_raise(&fake, 0);
	assert_int_equal(changes, 1);
	peal_blk_driver_info(blk, &info);
	assert_int_equal(info.capacity, 100);
	assert_int_equal(submit(blk, &request, PEAL_BLK_READ, 100, 512), -ERANGE);
	end(blk);
}

/* peal_blk_driver_new says R and leaves nothing. */
static void check_new_fails(int r)
{
	struct peal_blk_driver_config config = blk_config();
	struct peal_blk_driver *blk = (struct peal_blk_driver *)1;

	assert_int_equal(peal_blk_driver_new(&blk, &config), r);
	assert_ptr_equal(blk, (void *)1);
	fake_check_clean(&fake);
}

static void other_devices_are_not_touched(void **state)
{
	(void)state;
	fake_init(&fake);
	fake_set_config(&fake, 2, 2, 0x1041);
	check_new_fails(-ENXIO);
	fake_set_config(&fake, 0, 2, 0x1234);
	check_new_fails(-ENXIO);
	assert_int_equal(fake.config_writes, 0);
	assert_int_equal(fake.bar_accesses, 0);
}

static void impossible_limits_are_refused(void **state)
{
	struct peal_blk_driver_config config;
	struct peal_blk_driver *blk;
	struct peal_blk_info info;

	(void)state;
	fake_init(&fake);
	peal_store_le(fake.device + PEAL_VIRTIO_BLK_SEG_MAX, 4, 0);
	check_new_fails(-EPROTO);

	fake_init(&fake);
	fake.offered |= PEAL_BIT(PEAL_VIRTIO_BLK_F_SIZE_MAX); /* 0 */
	check_new_fails(-EPROTO);

	/* Eight pieces of 63 bytes are no sector. */
	peal_store_le(fake.device + PEAL_VIRTIO_BLK_SIZE_MAX, 4, 63);
	check_new_fails(-EPROTO);
	peal_store_le(fake.device + PEAL_VIRTIO_BLK_SIZE_MAX, 4, 64);
	config = blk_config();
	end(start(&config));

	/* No room for header, data and status. */
	fake_init(&fake);
	fake.queues[0].size_max = fake.queues[0].size = 2;
	check_new_fails(-EPROTO);

	/* The configuration ends before the field that a feature promises. */
	fake_init(&fake);
	fake_set_config(&fake, FAKE_CAP_DEVICE + 12, 4, 34);
	check_new_fails(-EPROTO);
	fake_init(&fake);
	fake_set_config(&fake, FAKE_CAP_DEVICE + 12, 4, 4);
	check_new_fails(-EPROTO);
	fake_init(&fake);
	fake.generation_steps = UINT32_MAX;
	check_new_fails(-EPROTO);

	/* A block size that makes no sense is not worth a device; nor are no queues at all. */
	fake_init(&fake);
	peal_store_le(fake.device + PEAL_VIRTIO_BLK_BLK_SIZE, 4, 1000);
	peal_store_le(fake.device + PEAL_VIRTIO_BLK_NUM_QUEUES, 2, 0);
	config = blk_config();
	blk = start(&config);
	peal_blk_driver_info(blk, &info);
	assert_int_equal(info.block_size, 512);
	assert_int_equal(info.queues, 1);
	end(blk);
}

static void every_failure_of_start_is_undone(void **state)
{
	unsigned failed = 0;

	(void)state;
	for (unsigned kind = 0; kind < 2; kind++) {
		for (int64_t n = 0;; n++, failed++) {
			struct peal_blk_driver_config config;
			struct peal_blk_driver *blk = NULL;
			int r;

			fake_init(&fake);
			config = blk_config();
			config.queues = 2;
			if (kind == 0)
				test_host_fail_in(&fake.th, n);
			else
				fake.dma_fail_at = n;
			r = peal_blk_driver_new(&blk, &config);
			if (r == 0) {
				end(blk);
				break;
			}
			assert_int_equal(r, kind ? -ENOSPC : -ENOMEM);
			fake_check_clean(&fake);
		}
	}
	/* blk, virtio, queues, infos, slots, 2 rings, 2 request slots, vectors; DMA: 3 per queue */
	assert_int_equal(failed, 10 + 6);

	fake_init(&fake);
	fake.irq_limit = 1;
	check_new_fails(-ENXIO);
	fake_init(&fake);
	fake.refuse_ok = true;
	check_new_fails(-EIO);
	fake_init(&fake);
	fake.refuse_features = true;
	check_new_fails(-ENOTSUP);
	fake_init(&fake);
	fake.never_reset = true;
	check_new_fails(-ETIMEDOUT);
	assert_in_range(fake.delayed_us, 5000000, 6000000);
}

/* ---- detach ---- */

static struct peal_blk_driver *detached;
static int resubmitted;

static void on_done_resubmit(struct peal_blk_request *blk, int status)
{
	on_done(blk, status);
	resubmitted = peal_blk_driver_submit(detached, 0, blk);
}

static void detaching_ends_requests_in_flight(void **state)
{
	static struct request requests[3];
	struct fake_desc chain[FAKE_CHAIN_MAX];
	struct peal_blk_driver *blk = begin();
	uint16_t head;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(submit(blk, &requests[i], PEAL_BLK_READ, i, 512), 0);
	requests[2].blk.done = on_done_resubmit;
	detached = blk;
	peal_blk_driver_kick(blk, 0);
	/* One was done, its interrupt is still on the way. */
	assert_true(fake_pop(&fake, 0, &head));
	fake_push(&fake, 0, head,
		  fake_blk_request(&fake, chain, fake_chain(&fake, 0, head, chain)));
	end(blk);
	check_ended(&requests[0], 0);
	check_ended(&requests[1], -ECANCELED);
	check_ended(&requests[2], -ECANCELED);
	assert_int_equal(resubmitted, -EIO);
	assert_int_equal(fake.status, 0);
	peal_blk_driver_free(NULL);
}

static void a_device_that_does_not_reset_is_detached_all_the_same(void **state)
{
	static struct request request;
	struct peal_blk_driver *blk = begin();

	(void)state;
	assert_int_equal(submit(blk, &request, PEAL_BLK_READ, 0, 512), 0);
	fake.never_reset = true;
	end(blk);
	check_ended(&request, -ECANCELED);
	assert_in_range(fake.delayed_us, 5000000, 6000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_come_from_the_device),
		cmocka_unit_test(data_is_read_and_written),
		cmocka_unit_test(submitted_is_unseen_until_the_kick),
		cmocka_unit_test(interrupts_without_work_are_counted),
		cmocka_unit_test(a_full_queue_is_busy_until_something_ends),
		cmocka_unit_test(descriptors_run_out_before_slots),
		cmocka_unit_test(large_requests_are_cut_into_pieces),
		cmocka_unit_test(done_may_submit_and_one_interrupt_ends_a_burst),
		cmocka_unit_test(interrupts_are_off_while_requests_end),
		cmocka_unit_test(what_ends_before_interrupts_are_on_is_not_lost),
		cmocka_unit_test(requests_end_in_the_order_the_device_says),
		cmocka_unit_test(polling_ends_requests_without_an_interrupt),
		cmocka_unit_test(each_queue_has_its_vector),
		cmocka_unit_test(bad_requests_are_refused),
		cmocka_unit_test(a_read_only_device_takes_no_writes),
		cmocka_unit_test(status_is_mapped_to_errors),
		cmocka_unit_test(a_lying_device_fails_what_is_in_flight),
		cmocka_unit_test(a_device_that_needs_a_reset_fails_what_is_in_flight),
		cmocka_unit_test(a_resize_is_taken_and_told),
		cmocka_unit_test(other_devices_are_not_touched),
		cmocka_unit_test(impossible_limits_are_refused),
		cmocka_unit_test(every_failure_of_start_is_undone),
		cmocka_unit_test(detaching_ends_requests_in_flight),
		cmocka_unit_test(a_device_that_does_not_reset_is_detached_all_the_same),
	};

	return cmocka_run_group_tests_name("driver-blk", tests, NULL, NULL);
}
