/* SPDX-License-Identifier: BSD-2-Clause */
/* The split ring, driver side, against a device's side that the test plays honestly or not. */
#include "fake.h"
#include "driver/queue.h"

#define COOKIE(n) ((void *)(uintptr_t)(0x1000 + (n)))

/* A queue without a virtio driver around it, and the fake knows where its rings are. */
struct bench {
	struct fake fake;
	struct peal_driver_queue queue;
};

static struct bench bench;

static struct peal_driver_queue_config queue_config(unsigned size, uint64_t features,
						    unsigned indirect)
{
	return (struct peal_driver_queue_config){
		.host = &bench.fake.th.host,
		.ops = &fake_ops,
		.user = &bench.fake,
		.features = features,
		.size = (uint16_t)size,
		.indirect_limit = indirect,
	};
}

static struct peal_driver_queue *begin(unsigned size, uint64_t features, unsigned indirect)
{
	struct peal_driver_queue *queue = &bench.queue;
	struct peal_driver_queue_config config;
	struct fake_queue *fq = &bench.fake.queues[0];

	fake_init(&bench.fake);
	memset(queue, 0, sizeof(*queue));
	config = queue_config(size, features, indirect);
	assert_int_equal(peal_driver_queue_init(queue, &config), 0);
	fq->size = (uint16_t)size;
	fq->desc = queue->memory.address;
	fq->driver = queue->memory.address + queue->avail_offset;
	fq->device = queue->memory.address + queue->used_offset;
	return queue;
}

static void end(void)
{
	peal_driver_queue_done(&bench.queue);
	fake_check_clean(&bench.fake);
}

static int add(unsigned nout, unsigned nin, unsigned cookie)
{
	struct peal_driver_segment segments[FAKE_CHAIN_MAX];

	assert_true(nout + nin <= PEAL_COUNT_OF(segments));
	for (unsigned i = 0; i < nout + nin; i++)
		segments[i] = (struct peal_driver_segment){ 0x10000 * (i + 1) + cookie, 100 + i };
	return peal_driver_queue_add(&bench.queue, segments, nout, nin, COOKIE(cookie));
}

static void check_harvest(unsigned cookie, uint32_t length)
{
	uint32_t written = 0;
	void *got = NULL;

	assert_int_equal(peal_driver_queue_harvest(&bench.queue, &got, &written), 1);
	assert_ptr_equal(got, COOKIE(cookie));
	assert_int_equal(written, length);
}

static void check_nothing(int r)
{
	uint32_t written = 77;
	void *got = &written;

	assert_int_equal(peal_driver_queue_harvest(&bench.queue, &got, &written), r);
	assert_ptr_equal(got, &written);
	assert_int_equal(written, 77);
}

/* The chain at HEAD is what add() made. */
static void check_chain(uint16_t head, unsigned nout, unsigned nin, unsigned cookie)
{
	struct fake_desc chain[FAKE_CHAIN_MAX];

	assert_int_equal(fake_chain(&bench.fake, 0, head, chain), nout + nin);
	for (unsigned i = 0; i < nout + nin; i++) {
		assert_int_equal(chain[i].address, 0x10000 * (i + 1) + cookie);
		assert_int_equal(chain[i].length, 100 + i);
		assert_int_equal(!!(chain[i].flags & PEAL_VRING_DESC_F_WRITE), i >= nout);
	}
}

static void a_chain_goes_there_and_back(void **state)
{
	struct peal_driver_queue *queue = begin(8, 0, 0);
	uint16_t head;

	(void)state;
	assert_int_equal(add(2, 3, 1), 0);
	assert_false(fake_pop(&bench.fake, 0, &head));
	(void)peal_driver_queue_publish(queue);
	assert_true(fake_pop(&bench.fake, 0, &head));
	check_chain(head, 2, 3, 1);
	check_nothing(0);
	fake_push(&bench.fake, 0, head, 309);
	check_harvest(1, 309);
	check_nothing(0);
	assert_int_equal(peal_driver_queue_in_flight(queue), 0);
	end();
}

static void a_full_queue_says_so_and_recovers(void **state)
{
	struct peal_driver_queue *queue = begin(8, 0, 0);
	uint16_t heads[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(add(1, 1, i), 0);
	assert_int_equal(add(1, 1, 9), -EAGAIN);
	assert_int_equal(add(0, 1, 9), -EAGAIN);
	assert_int_equal(add(4, 5, 9), -E2BIG);
	(void)peal_driver_queue_publish(queue);
	for (unsigned i = 0; i < 4; i++)
		assert_true(fake_pop(&bench.fake, 0, &heads[i]));
	/* Done in another order than asked. */
	fake_push(&bench.fake, 0, heads[2], 1);
	fake_push(&bench.fake, 0, heads[0], 0);
	check_harvest(2, 1);
	assert_int_equal(add(1, 2, 5), -EAGAIN);
	check_harvest(0, 0);
	assert_int_equal(add(2, 2, 5), 0);
	assert_int_equal(add(1, 0, 6), -EAGAIN);
	end();
}

static void chains_survive_many_wraps_of_the_indices(void **state)
{
	struct peal_driver_queue *queue = begin(4, 0, 0);
	uint64_t seed = 1;

	(void)state;
	for (unsigned i = 0; i < 150000; i++) {
		unsigned nout = 1 + (unsigned)test_random_below(&seed, 2);
		unsigned nin = 1 + (unsigned)test_random_below(&seed, 2);
		uint16_t head;

		assert_int_equal(add(nout, nin, i % 1000), 0);
		(void)peal_driver_queue_publish(queue);
		assert_true(fake_pop(&bench.fake, 0, &head));
		check_chain(head, nout, nin, i % 1000);
		fake_push(&bench.fake, 0, head, 100);
		check_harvest(i % 1000, 100);
	}
	end();
}

/* Random chains, completed in random order, against a list of what is in flight. */
static void random_traffic(uint64_t features, unsigned indirect, unsigned size)
{
	struct peal_driver_queue *queue = begin(size, features, indirect);
	struct {
		uint16_t head;
		unsigned cookie, nin;
	} flight[64];
	unsigned in_flight = 0, next = 0;
	unsigned shape[1000][2];
	uint64_t seed = size;

	for (unsigned step = 0; step < 20000; step++) {
		uint16_t head;

		if (test_random_below(&seed, 2)) {
			unsigned nout = (unsigned)test_random_below(&seed, 3);
			unsigned nin = (unsigned)test_random_below(&seed, 3) + !nout;

			if (add(nout, nin, next) == 0) {
				shape[next][0] = nout;
				shape[next][1] = nin;
				next = (next + 1) % 1000;
			}
			(void)peal_driver_queue_publish(queue);
		}
		while (fake_pop(&bench.fake, 0, &head)) {
			unsigned cookie = (unsigned)(next + 999) % 1000;

			check_chain(head, shape[cookie][0], shape[cookie][1], cookie);
			flight[in_flight].head = head;
			flight[in_flight].cookie = cookie;
			flight[in_flight++].nin = shape[cookie][1];
		}
		if (in_flight && test_random_below(&seed, 2)) {
			unsigned n = (unsigned)test_random_below(&seed, in_flight);

			fake_push(&bench.fake, 0, flight[n].head, flight[n].nin * 100);
			check_harvest(flight[n].cookie, flight[n].nin * 100);
			flight[n] = flight[--in_flight];
		}
		assert_int_equal(peal_driver_queue_in_flight(queue), in_flight);
	}
	assert_null(peal_driver_queue_broken(queue));
	end();
}

static void random_traffic_is_exact(void **state)
{
	(void)state;
	random_traffic(0, 0, 16);
	random_traffic(PEAL_BIT(PEAL_VIRTIO_F_INDIRECT_DESC), 3, 16);
	random_traffic(PEAL_BIT(PEAL_VIRTIO_F_INDIRECT_DESC), 8, 64);
	random_traffic(0, 0, 4);
}

static void indirect_chains_take_one_descriptor(void **state)
{
	struct peal_driver_queue *queue = begin(4, PEAL_BIT(PEAL_VIRTIO_F_INDIRECT_DESC), 8);
	uint16_t head;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(add(2, 2, i), 0);
	assert_int_equal(add(1, 1, 9), -EAGAIN);
	/* §2.7.5.3.1: no longer than the queue, indirect or not. */
	assert_int_equal(add(2, 3, 9), -E2BIG);
	(void)peal_driver_queue_publish(queue);
	for (unsigned i = 0; i < 4; i++) {
		const uint8_t *table = fake_pointer(bench.fake.queues[0].desc);
		struct fake_desc desc;

		assert_true(fake_pop(&bench.fake, 0, &head));
		desc = fake_desc_at(table, head);
		assert_int_equal(desc.flags, PEAL_VRING_DESC_F_INDIRECT);
		assert_int_equal(desc.length, 4 * 16);
		check_chain(head, 2, 2, i);
		fake_push(&bench.fake, 0, head, 0);
		check_harvest(i, 0);
	}
	/* One segment needs no table. */
	assert_int_equal(add(0, 1, 7), 0);
	(void)peal_driver_queue_publish(queue);
	assert_true(fake_pop(&bench.fake, 0, &head));
	assert_int_equal(fake_desc_at(fake_pointer(bench.fake.queues[0].desc), head).flags,
			 PEAL_VRING_DESC_F_WRITE);
	end();
}

static void a_queue_of_one_works(void **state)
{
	struct peal_driver_queue *queue = begin(1, 0, 0);
	uint16_t head;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(add(0, 1, i), 0);
		assert_int_equal(add(0, 1, 9), -EAGAIN);
		assert_int_equal(add(1, 1, 9), -E2BIG);
		(void)peal_driver_queue_publish(queue);
		assert_true(fake_pop(&bench.fake, 0, &head));
		fake_push(&bench.fake, 0, head, 100);
		check_harvest(i, 100);
	}
	end();
}

/* ---- notifications and interrupts ---- */

static void the_flag_suppresses_notifications(void **state)
{
	struct peal_driver_queue *queue = begin(8, 0, 0);

	(void)state;
	assert_false(peal_driver_queue_publish(queue)); /* nothing to show */
	assert_int_equal(add(1, 0, 1), 0);
	assert_true(peal_driver_queue_publish(queue));
	assert_false(peal_driver_queue_publish(queue));
	peal_atomic_store_le16(fake_used(&bench.fake, 0), PEAL_VRING_USED_F_NO_NOTIFY,
			       __ATOMIC_SEQ_CST);
	assert_int_equal(add(1, 0, 2), 0);
	assert_false(peal_driver_queue_publish(queue));
	assert_int_equal(fake_avail_index(&bench.fake, 0), 2);
	end();
}

static void the_event_index_suppresses_notifications(void **state)
{
	struct peal_driver_queue *queue = begin(8, PEAL_BIT(PEAL_VIRTIO_F_EVENT_IDX), 0);

	(void)state;
	/* The flag has no meaning here. */
	peal_atomic_store_le16(fake_used(&bench.fake, 0), PEAL_VRING_USED_F_NO_NOTIFY,
			       __ATOMIC_SEQ_CST);
	assert_int_equal(add(1, 0, 1), 0);
	assert_true(peal_driver_queue_publish(queue));
	assert_int_equal(add(1, 0, 2), 0);
	assert_false(peal_driver_queue_publish(queue));
	/* Asked for at entry 3, the fourth: a batch over it notifies once. */
	fake_set_avail_event(&bench.fake, 0, 3);
	assert_int_equal(add(1, 0, 3), 0);
	assert_false(peal_driver_queue_publish(queue));
	assert_int_equal(add(1, 0, 4), 0);
	assert_int_equal(add(1, 0, 5), 0);
	assert_true(peal_driver_queue_publish(queue));
	assert_int_equal(add(1, 0, 6), 0);
	assert_false(peal_driver_queue_publish(queue));
	end();
}

static void notify_writes_the_queue_index(void **state)
{
	struct peal_driver_queue *queue = begin(8, 0, 0);

	(void)state;
	fake_set_config(&bench.fake, 4, 2, 2);
	queue->notify_bar = FAKE_BAR;
	queue->notify_offset = FAKE_NOTIFY + 3 * 4;
	queue->notify_value = 3;
	peal_driver_queue_notify(queue);
	assert_int_equal(bench.fake.queues[3].notifications, 1);
	end();
}

static void interrupts_are_switched_by_the_flag(void **state)
{
	struct peal_driver_queue *queue = begin(8, 0, 0);
	const uint8_t *flags;

	(void)state;
	flags = fake_avail(&bench.fake, 0);
	assert_int_equal(peal_load_le(flags, 2), 0);
	peal_driver_queue_disable_interrupts(queue);
	assert_int_equal(peal_load_le(flags, 2), PEAL_VRING_AVAIL_F_NO_INTERRUPT);
	assert_false(peal_driver_queue_enable_interrupts(queue));
	assert_int_equal(peal_load_le(flags, 2), 0);
	end();
}

static void interrupts_are_asked_for_at_the_event(void **state)
{
	struct peal_driver_queue *queue = begin(8, PEAL_BIT(PEAL_VIRTIO_F_EVENT_IDX), 0);
	uint16_t head;

	(void)state;
	assert_int_equal(fake_used_event(&bench.fake, 0), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(add(0, 1, i), 0);
		(void)peal_driver_queue_publish(queue);
		assert_true(fake_pop(&bench.fake, 0, &head));
		fake_push(&bench.fake, 0, head, 0);
	}
	peal_driver_queue_disable_interrupts(queue);
	assert_int_equal(peal_load_le(fake_avail(&bench.fake, 0), 2), 0);
	check_harvest(0, 0);
	check_harvest(1, 0);
	assert_int_equal(fake_used_event(&bench.fake, 0), 0);
	assert_false(peal_driver_queue_enable_interrupts(queue));
	assert_int_equal(fake_used_event(&bench.fake, 0), 2);
	end();
}

static void enabling_interrupts_finds_what_came_before(void **state)
{
	static const uint64_t features[] = { 0, PEAL_BIT(PEAL_VIRTIO_F_EVENT_IDX) };

	(void)state;
	for (unsigned i = 0; i < PEAL_COUNT_OF(features); i++) {
		struct peal_driver_queue *queue = begin(8, features[i], 0);
		uint16_t head;

		assert_int_equal(add(0, 1, 1), 0);
		(void)peal_driver_queue_publish(queue);
		peal_driver_queue_disable_interrupts(queue);
		check_nothing(0);
		assert_true(fake_pop(&bench.fake, 0, &head));
		fake_push(&bench.fake, 0, head, 0);
		assert_true(peal_driver_queue_enable_interrupts(queue));
		check_harvest(1, 0);
		assert_false(peal_driver_queue_enable_interrupts(queue));
		end();
	}
}

/* ---- distrust ---- */

/* Three chains in flight, one added and not shown; the device took the three. */
static struct peal_driver_queue *begin_flight(uint64_t features, uint16_t heads[3])
{
	struct peal_driver_queue *queue = begin(16, features, 4);

	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(add(1, 2, i), 0);
	(void)peal_driver_queue_publish(queue);
	for (unsigned i = 0; i < 3; i++)
		assert_true(fake_pop(&bench.fake, 0, &heads[i]));
	assert_int_equal(add(1, 2, 3), 0);
	return queue;
}

/* Broken: nothing goes in or out, and each chain in TAKEN (a bit per cookie) comes back once. */
static void check_broken(struct peal_driver_queue *queue, unsigned taken)
{
	void *cookie;

	check_nothing(-EIO);
	check_nothing(-EIO);
	assert_non_null(peal_driver_queue_broken(queue));
	assert_int_equal(add(1, 1, 9), -EIO);
	assert_false(peal_driver_queue_publish(queue));
	assert_false(peal_driver_queue_enable_interrupts(queue));
	while ((cookie = peal_driver_queue_take(queue))) {
		unsigned bit = 1u << ((uintptr_t)cookie - 0x1000);

		assert_true(taken & bit);
		taken &= ~bit;
	}
	assert_int_equal(taken, 0);
	assert_int_equal(peal_driver_queue_in_flight(queue), 0);
	end();
}

static const uint64_t both[] = { 0, PEAL_BIT(PEAL_VIRTIO_F_INDIRECT_DESC) |
					    PEAL_BIT(PEAL_VIRTIO_F_EVENT_IDX) };

static void a_used_id_past_the_end_breaks_the_queue(void **state)
{
	static const uint32_t ids[] = { 16, 17, 0xffff, 0x10000, 0x80000000, 0xffffffff };
	uint16_t heads[3];

	(void)state;
	for (unsigned i = 0; i < PEAL_COUNT_OF(ids) * 2; i++) {
		struct peal_driver_queue *queue = begin_flight(both[i % 2], heads);

		fake_push(&bench.fake, 0, ids[i / 2], 0);
		check_broken(queue, 0xf);
	}
}

static void a_used_id_that_is_free_breaks_the_queue(void **state)
{
	uint16_t heads[3];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct peal_driver_queue *queue = begin_flight(both[i], heads);

		fake_push(&bench.fake, 0, 15, 0);
		check_broken(queue, 0xf);
	}
}

static void a_used_id_inside_a_chain_breaks_the_queue(void **state)
{
	struct peal_driver_queue *queue;
	uint16_t heads[3];
	struct fake_desc desc;

	(void)state;
	queue = begin_flight(0, heads);
	desc = fake_desc_at(fake_pointer(bench.fake.queues[0].desc), heads[1]);
	fake_push(&bench.fake, 0, desc.next, 0);
	check_broken(queue, 0xf);
}

static void a_chain_used_twice_breaks_the_queue(void **state)
{
	uint16_t heads[3];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct peal_driver_queue *queue = begin_flight(both[i], heads);

		fake_push(&bench.fake, 0, heads[1], 203);
		fake_push(&bench.fake, 0, heads[1], 203);
		check_harvest(1, 203);
		check_broken(queue, 0xd);
	}
}

static void a_chain_not_shown_yet_breaks_the_queue(void **state)
{
	uint16_t heads[3];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct peal_driver_queue *queue = begin_flight(both[i], heads);
		const uint8_t *ring;
		uint32_t guess;

		/* A device that reads on in the available ring finds it. */
		ring = fake_avail(&bench.fake, 0) + 4;
		guess = (uint32_t)peal_load_le(ring + 2 * 3, 2);
		fake_push(&bench.fake, 0, guess, 0);
		check_broken(queue, 0xf);
	}
}

static void a_used_length_above_the_writable_breaks_the_queue(void **state)
{
	static const uint32_t lengths[] = { 204, 0xffffffff };
	uint16_t heads[3];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct peal_driver_queue *queue = begin_flight(both[i % 2], heads);

		fake_push(&bench.fake, 0, heads[0], 203); /* 101 + 102: all of it */
		check_harvest(0, 203);
		fake_push(&bench.fake, 0, heads[2], lengths[i / 2]);
		check_broken(queue, 0xe);
	}
}

static void a_length_for_a_chain_without_writable_breaks_the_queue(void **state)
{
	struct peal_driver_queue *queue = begin(8, 0, 0);
	uint16_t head;

	(void)state;
	assert_int_equal(add(2, 0, 0), 0);
	(void)peal_driver_queue_publish(queue);
	assert_true(fake_pop(&bench.fake, 0, &head));
	fake_push(&bench.fake, 0, head, 1);
	check_broken(queue, 1);
}

static void a_used_index_that_jumps_breaks_the_queue(void **state)
{
	static const uint16_t jumps[] = { 5, 17, 0x8000, 0xffff };
	uint16_t heads[3];

	(void)state;
	for (unsigned i = 0; i < PEAL_COUNT_OF(jumps) * 2; i++) {
		struct peal_driver_queue *queue = begin_flight(both[i % 2], heads);

		peal_atomic_store_le16(fake_used(&bench.fake, 0) + 2, jumps[i / 2],
				       __ATOMIC_SEQ_CST);
		check_broken(queue, 0xf);
	}
}

static void a_used_index_that_goes_back_breaks_the_queue(void **state)
{
	struct peal_driver_queue *queue;
	uint16_t heads[3];

	(void)state;
	queue = begin_flight(0, heads);
	fake_push(&bench.fake, 0, heads[0], 0);
	fake_push(&bench.fake, 0, heads[1], 0);
	check_harvest(0, 0);
	/* Seen is seen: the second is taken whatever the index says now. */
	peal_atomic_store_le16(fake_used(&bench.fake, 0) + 2, 0, __ATOMIC_SEQ_CST);
	check_harvest(1, 0);
	check_broken(queue, 0xc);
}

static void a_jump_is_found_when_interrupts_are_enabled(void **state)
{
	struct peal_driver_queue *queue;
	uint16_t heads[3];

	(void)state;
	queue = begin_flight(both[1], heads);
	peal_atomic_store_le16(fake_used(&bench.fake, 0) + 2, 100, __ATOMIC_SEQ_CST);
	assert_true(peal_driver_queue_enable_interrupts(queue)); /* work: the bad news */
	check_broken(queue, 0xf);
}

static void what_the_device_writes_into_descriptors_is_not_read_back(void **state)
{
	struct peal_driver_queue *queue;
	uint16_t heads[3];

	(void)state;
	queue = begin_flight(0, heads);
	memset(fake_pointer(bench.fake.queues[0].desc), 0xff, peal_vring_desc_bytes(16));
	for (unsigned i = 0; i < 3; i++) {
		fake_push(&bench.fake, 0, heads[i], 0);
		check_harvest(i, 0);
	}
	(void)peal_driver_queue_publish(queue);
	/* All descriptors are there again: five chains of three and the one in flight. */
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(add(1, 2, i), 0);
	assert_int_equal(add(0, 1, 4), 0);
	assert_int_equal(add(0, 1, 5), -EAGAIN);
	end();
}

static void random_lies_never_do_harm(void **state)
{
	uint64_t seed = 3;
	unsigned broken = 0;

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		uint64_t features = both[round % 2];
		struct peal_driver_queue *queue = begin(8, features, 4);
		unsigned in_flight = 0;

		for (unsigned step = 0; step < 30; step++) {
			uint8_t *used = fake_used(&bench.fake, 0);
			uint32_t written;
			void *cookie;

			if (add(1, (unsigned)test_random_below(&seed, 3), step) == 0)
				in_flight++;
			(void)peal_driver_queue_publish(queue);
			/* Small values, which are near the truth, in the device's ring. */
			used[test_random_below(&seed, peal_vring_used_bytes(8))] =
				(uint8_t)test_random_below(&seed, 9);
			while (peal_driver_queue_harvest(queue, &cookie, &written) == 1) {
				assert_true(in_flight > 0);
				in_flight--;
			}
			(void)peal_driver_queue_enable_interrupts(queue);
			assert_int_equal(peal_driver_queue_in_flight(queue), in_flight);
		}
		if (peal_driver_queue_broken(queue))
			broken++;
		while (peal_driver_queue_take(queue))
			in_flight--;
		assert_int_equal(in_flight, 0);
		end();
	}
	assert_true(broken > 0);
}

/* ---- memory ---- */

static void a_reset_queue_starts_from_nothing(void **state)
{
	struct peal_driver_queue *queue;
	uint16_t heads[3];

	(void)state;
	queue = begin_flight(both[1], heads);
	fake_push(&bench.fake, 0, 99, 0);
	check_nothing(-EIO);
	while (peal_driver_queue_take(queue))
		;
	peal_driver_queue_reset(queue);
	bench.fake.queues[0].seen = bench.fake.queues[0].used = 0;
	assert_null(peal_driver_queue_broken(queue));
	assert_int_equal(fake_avail_index(&bench.fake, 0), 0);
	assert_int_equal(add(1, 1, 5), 0);
	assert_true(peal_driver_queue_publish(queue));
	assert_true(fake_pop(&bench.fake, 0, &heads[0]));
	fake_push(&bench.fake, 0, heads[0], 1);
	check_harvest(5, 1);
	end();
}

static void init_survives_every_failing_allocation(void **state)
{
	(void)state;
	for (int64_t n = 0; n < 3; n++) {
		struct peal_driver_queue_config config;

		fake_init(&bench.fake);
		memset(&bench.queue, 0, sizeof(bench.queue));
		config = queue_config(16, PEAL_BIT(PEAL_VIRTIO_F_INDIRECT_DESC), 4);
		if (n == 0)
			test_host_fail_in(&bench.fake.th, 0);
		else
			bench.fake.dma_fail_at = n - 1;
		assert_int_equal(peal_driver_queue_init(&bench.queue, &config),
				 n ? -ENOSPC : -ENOMEM);
		fake_check_clean(&bench.fake);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chain_goes_there_and_back),
		cmocka_unit_test(a_full_queue_says_so_and_recovers),
		cmocka_unit_test(chains_survive_many_wraps_of_the_indices),
		cmocka_unit_test(random_traffic_is_exact),
		cmocka_unit_test(indirect_chains_take_one_descriptor),
		cmocka_unit_test(a_queue_of_one_works),
		cmocka_unit_test(the_flag_suppresses_notifications),
		cmocka_unit_test(the_event_index_suppresses_notifications),
		cmocka_unit_test(notify_writes_the_queue_index),
		cmocka_unit_test(interrupts_are_switched_by_the_flag),
		cmocka_unit_test(interrupts_are_asked_for_at_the_event),
		cmocka_unit_test(enabling_interrupts_finds_what_came_before),
		cmocka_unit_test(a_used_id_past_the_end_breaks_the_queue),
		cmocka_unit_test(a_used_id_that_is_free_breaks_the_queue),
		cmocka_unit_test(a_used_id_inside_a_chain_breaks_the_queue),
		cmocka_unit_test(a_chain_used_twice_breaks_the_queue),
		cmocka_unit_test(a_chain_not_shown_yet_breaks_the_queue),
		cmocka_unit_test(a_used_length_above_the_writable_breaks_the_queue),
		cmocka_unit_test(a_length_for_a_chain_without_writable_breaks_the_queue),
		cmocka_unit_test(a_used_index_that_jumps_breaks_the_queue),
		cmocka_unit_test(a_used_index_that_goes_back_breaks_the_queue),
		cmocka_unit_test(a_jump_is_found_when_interrupts_are_enabled),
		cmocka_unit_test(what_the_device_writes_into_descriptors_is_not_read_back),
		cmocka_unit_test(random_lies_never_do_harm),
		cmocka_unit_test(a_reset_queue_starts_from_nothing),
		cmocka_unit_test(init_survives_every_failing_allocation),
	};

	return cmocka_run_group_tests_name("driver-queue", tests, NULL, NULL);
}
