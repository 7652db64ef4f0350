/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Devices that move from one server to another: block devices with one medium and requests to it, and
 * bells.
 */
#ifndef PEAL_TESTS_VFIO_USER_MOVERS_H
#define PEAL_TESTS_VFIO_USER_MOVERS_H

#include "served.h"

/* ---- a medium that counts ---- */

#define SECTORS 2048u
#define SECTOR  512u

struct medium {
	uint8_t bytes[SECTORS * SECTOR];
	uint32_t writes[SECTORS];
	uint32_t reads[SECTORS];
};

/* How each of the devices gets there; slowly, so that requests are under way. */
struct path {
	struct medium *medium;
	uint32_t requests;
	unsigned yields;
};

static inline uint64_t medium_capacity(void *user)
{
	(void)user;
	return SECTORS * SECTOR;
}

static inline int medium_move(struct path *path, uint64_t offset,
			      const struct peal_blk_buffer *buffers, unsigned nbuffers,
			      uint64_t *done, bool write)
{
	struct medium *medium = path->medium;
	uint32_t *counts = write ? medium->writes : medium->reads;

	(void)__atomic_fetch_add(&path->requests, 1, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < path->yields; i++)
		(void)sched_yield();
	(void)__atomic_fetch_add(&counts[offset / SECTOR], 1, __ATOMIC_SEQ_CST);
	*done = 0;
	for (unsigned i = 0; i < nbuffers; i++) {
		uint8_t *here = medium->bytes + offset + *done;

		memcpy(write ? (void *)here : buffers[i].base,
		       write ? buffers[i].base : (void *)here, buffers[i].length);
		*done += buffers[i].length;
	}
	return 0;
}

static inline int medium_read(void *user, uint64_t offset, const struct peal_blk_buffer *buffers,
			      unsigned nbuffers, uint64_t *done)
{
	return medium_move(user, offset, buffers, nbuffers, done, false);
}

static inline int medium_write(void *user, uint64_t offset, const struct peal_blk_buffer *buffers,
			       unsigned nbuffers, uint64_t *done)
{
	return medium_move(user, offset, buffers, nbuffers, done, true);
}

static inline int medium_flush(void *user)
{
	(void)user;
	return 0;
}

static inline struct peal_virtio_blk *blk_new(struct path *path, unsigned queues, unsigned workers)
{
	static const struct peal_blk_backend_ops ops = {
		.capacity = medium_capacity,
		.read = medium_read,
		.write = medium_write,
		.flush = medium_flush,
	};
	const struct peal_virtio_blk_config config = {
		.host = peal_host_default(),
		.backend = { .ops = &ops, .user = path },
		.num_queues = queues,
		.workers = workers,
		.batch = 3,
	};
	struct peal_virtio_blk *blk;

	assert_int_equal(peal_virtio_blk_new(&blk, &config), 0);
	return blk;
}

/* ---- requests: number n is for sector n, its header, status and data have places of their own ---- */

#define HEADERS (RAM + 0x100000)
#define DATA    (RAM + 0x200000)
#define QUEUES  2u

struct requests {
	struct ram ram;
	struct queue queues[QUEUES];
	uint16_t number[QUEUES][QUEUE_SIZE]; /* of the request with this head */
	unsigned under_way[QUEUES];
	unsigned offered;
	unsigned done;
	bool finished[SECTORS];
};

static inline bool is_write(unsigned n)
{
	return n % 2 == 0;
}

static inline uint8_t byte_of(unsigned n, unsigned i, bool written)
{
	return (uint8_t)(n * 31 + i * 7 + (written ? 100 : 0) + n / 256);
}

static inline void fill(uint8_t *bytes, unsigned n, bool written)
{
	for (unsigned i = 0; i < SECTOR; i++)
		bytes[i] = byte_of(n, i, written);
}

static inline void offer_request(struct requests *r, unsigned queue)
{
	struct queue *q = &r->queues[queue];
	unsigned n = r->offered++;
	uint64_t header = HEADERS + 32 * n, data = DATA + SECTOR * n;
	uint8_t *at = r->ram.memory + (header - RAM);
	uint16_t head;

	peal_store_le(at, 4, is_write(n) ? PEAL_VIRTIO_BLK_T_OUT : PEAL_VIRTIO_BLK_T_IN);
	peal_store_le(at + 8, 8, n);
	at[16] = 0xee;
	if (is_write(n))
		fill(r->ram.memory + (data - RAM), n, true);
	head = queue_describe(q, header, PEAL_VIRTIO_BLK_HEADER_SIZE, false, true);
	(void)queue_describe(q, data, SECTOR, !is_write(n), true);
	(void)queue_describe(q, header + 16, 1, true, false);
	r->number[queue][head] = (uint16_t)n;
	r->under_way[queue]++;
	queue_offer(q, head);
}

static inline bool take_request(struct requests *r, unsigned queue)
{
	const uint8_t *status;
	uint32_t head;
	unsigned n;

	if (!queue_take(&r->queues[queue], &head))
		return false;
	assert_in_range(head, 0, QUEUE_SIZE - 1);
	n = r->number[queue][head];
	status = r->ram.memory + (HEADERS - RAM) + 32 * n + 16;
	assert_int_equal(__atomic_load_n(status, __ATOMIC_SEQ_CST), PEAL_VIRTIO_BLK_S_OK);
	assert_false(r->finished[n]);
	r->finished[n] = true;
	r->under_way[queue]--;
	r->done++;
	return true;
}

static inline void expect_all_done(const struct requests *r, const struct medium *medium,
				   unsigned count)
{
	uint8_t expect[SECTOR];

	assert_int_equal(r->done, count);
	for (unsigned n = 0; n < count; n++) {
		assert_int_equal(medium->writes[n], is_write(n));
		assert_int_equal(medium->reads[n], !is_write(n));
		fill(expect, n, is_write(n));
		assert_memory_equal(medium->bytes + SECTOR * n, expect, SECTOR);
		assert_memory_equal(r->ram.memory + (DATA - RAM) + SECTOR * n, expect, SECTOR);
	}
}

/* ---- blk ---- */

struct pair {
	struct medium medium;
	struct path paths[2];
	struct peal_virtio_blk *blks[2];
	struct served served[2];
	struct requests r;
};

static inline struct pair *pair_new(unsigned queues, unsigned workers, unsigned yields,
				    uint64_t features)
{
	struct pair *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	ram_init(&p->r.ram);
	for (unsigned n = 0; n < SECTORS; n++)
		fill(p->medium.bytes + SECTOR * n, n, false);
	for (unsigned i = 0; i < 2; i++) {
		p->paths[i] = (struct path){ .medium = &p->medium, .yields = yields };
		p->blks[i] = blk_new(&p->paths[i], queues, workers);
		served_open(&p->served[i], peal_virtio_blk_function(p->blks[i]));
		served_map(&p->served[i], &p->r.ram);
		served_enable_msix(&p->served[i], queues + 1);
	}
	virtio_start(&p->served[0], p->r.queues, queues, &p->r.ram, features);
	return p;
}

/* With the devices at rest: their threads have come to an end with what they did. */
static inline void pair_expect_done(struct pair *p, unsigned count)
{
	for (unsigned i = 0; i < 2; i++)
		served_set_state(&p->served[i], PEAL_VFIO_MIG_STOP);
	expect_all_done(&p->r, &p->medium, count);
}

static inline void pair_free(struct pair *p)
{
	for (unsigned i = 0; i < 2; i++) {
		served_close(&p->served[i]);
		peal_virtio_blk_free(p->blks[i]);
	}
	ram_done(&p->r.ram);
	free(p);
}

/*
 * COUNT requests on both queues, with a move to the other device after every EVERY of them. Waits
 * only for signals of the device that runs: one that was lost would hang it.
 */
static inline void run_and_move(struct pair *p, unsigned count, unsigned every)
{
	struct requests *r = &p->r;
	unsigned runs = 0, next = every;

	while (r->done < count) {
		struct served *s = &p->served[runs];
		unsigned before = r->done;

		for (unsigned q = 0; q < QUEUES; q++) {
			unsigned offered = r->offered;

			while (r->offered < count && r->under_way[q] < 60)
				offer_request(r, q);
			if (r->offered != offered)
				queue_notify(s, &r->queues[q]);
		}
		if (r->done >= next) {
			uint32_t requests;

			served_move(s, &p->served[!runs]);
			requests = __atomic_load_n(&p->paths[runs].requests, __ATOMIC_SEQ_CST);
			runs = !runs;
			next += every;
			for (unsigned q = 0; q < QUEUES; q++)
				(void)served_read(&p->served[!runs], VIRTIO_BAR, 0, 4);
			/* Who was left does nothing any more. */
			assert_int_equal(__atomic_load_n(&p->paths[!runs].requests,
							 __ATOMIC_SEQ_CST),
					 requests);
			continue;
		}
		for (unsigned q = 0; q < QUEUES; q++) {
			while (take_request(r, q))
				;
		}
		if (r->done == before && !queue_listen(&r->queues[0]) &&
		    !queue_listen(&r->queues[1]))
			served_wait(s, r->under_way[0] ? 1 : 2);
	}
}

/* ---- bell ---- */

#define VECTORS 64u
#define ROUNDS  300u

struct bells {
	struct peal_bell *bells[2];
	struct served served[2];
};

static inline void bells_init(struct bells *b, unsigned vectors)
{
	const struct peal_bell_config config = { .host = peal_host_default(), .vectors = vectors };

	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(peal_bell_new(&b->bells[i], &config), 0);
		served_open(&b->served[i], peal_bell_function(b->bells[i]));
		served_write(&b->served[i], PEAL_VFIO_REGION_CONFIG, 0x04, 2, 6);
	}
}

static inline void bells_done(struct bells *b)
{
	for (unsigned i = 0; i < 2; i++) {
		served_close(&b->served[i]);
		peal_bell_free(b->bells[i]);
	}
}

static inline uint32_t bell_read(struct served *s, uint64_t offset)
{
	return (uint32_t)served_read(s, PEAL_BELL_BAR, offset, 4);
}

static inline void bell_write(struct served *s, uint64_t offset, uint32_t value)
{
	served_write(s, PEAL_BELL_BAR, offset, 4, value);
}

#endif
