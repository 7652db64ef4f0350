/* SPDX-License-Identifier: BSD-2-Clause */
/* A ring in RAM for the tests of the device's side, written to as a driver would. */
#ifndef PEAL_TESTS_VIRTIO_RING_FIXTURE_H
#define PEAL_TESTS_VIRTIO_RING_FIXTURE_H

#include <virtio/ring.h>

#include "support.h"

#define RAM          UINT64_C(0x10000)
#define RAM_SIZE     UINT64_C(0x40000)
#define DESC         (RAM + 0x0000)
#define AVAIL        (RAM + 0x8000)
#define USED         (RAM + 0xc000)
#define TABLE        (RAM + 0x10000) /* for indirect descriptors */
#define DATA         (RAM + 0x20000)
#define MAX_SEGMENTS 32u

struct dirty_log {
	uint64_t address[64], size[64];
	unsigned count;
};

struct fixture {
	struct peal_space *space;
	uint8_t *memory;
	struct peal_vring ring;
	struct peal_vring_segment segments[MAX_SEGMENTS];
	struct peal_vring_chain chain;
	uint16_t size;
	uint16_t avail_index;
	struct dirty_log dirty;
};

static inline void fixture_dirty(void *user, uint64_t address, uint64_t size)
{
	struct dirty_log *log = user;

	if (log->count < PEAL_COUNT_OF(log->address)) {
		log->address[log->count] = address;
		log->size[log->count] = size;
	}
	log->count++;
}

static inline uint8_t *at(struct fixture *f, uint64_t address)
{
	return f->memory + (address - RAM);
}

static inline void fixture_start(struct fixture *f, uint16_t size, bool indirect, bool event_idx)
{
	const struct peal_vring_config config = {
		.desc_address = DESC,
		.avail_address = AVAIL,
		.used_address = USED,
		.size = size,
		.indirect = indirect,
		.event_idx = event_idx,
	};

	f->size = size;
	f->avail_index = 0;
	memset(f->memory, 0, (size_t)RAM_SIZE);
	memset(&f->dirty, 0, sizeof(f->dirty));
	peal_vring_start(&f->ring, &config);
	f->ring.budget = UINT16_MAX;
	f->chain = (struct peal_vring_chain){
		.segments = f->segments,
		.max_segments = MAX_SEGMENTS,
	};
}

static inline void fixture_init(struct fixture *f)
{
	const struct peal_space_config config = {
		.host = peal_host_default(),
		.dirty = fixture_dirty,
		.user = &f->dirty,
	};
	int r;

	memset(f, 0, sizeof(*f));
	r = peal_space_new(&f->space, &config);
	assert_int_equal(r, 0);
	f->memory = aligned_alloc(4096, (size_t)RAM_SIZE);
	assert_non_null(f->memory);
	r = peal_space_map(f->space, RAM, RAM_SIZE, f->memory, PEAL_MEM_RW);
	assert_int_equal(r, 0);
	fixture_start(f, 8, true, false);
}

static inline void fixture_done(struct fixture *f)
{
	if (f->ring.space) {
		f->ring.published = f->ring.next_used;
		peal_vring_end(&f->ring);
	}
	peal_space_free(f->space);
	free(f->memory);
}

static inline void write_desc(struct fixture *f, uint64_t table, unsigned index, uint64_t address,
			      uint32_t length, uint16_t flags, uint16_t next)
{
	uint8_t *d = at(f, table + 16 * index);

	peal_store_le(d, 8, address);
	peal_store_le(d + 8, 4, length);
	peal_store_le(d + 12, 2, flags);
	peal_store_le(d + 14, 2, next);
}

/* Puts HEAD into the available ring and shows it. */
static inline void offer(struct fixture *f, uint16_t head)
{
	peal_store_le(at(f, AVAIL + 4 + 2 * (f->avail_index & (f->size - 1u))), 2, head);
	f->avail_index++;
	peal_store_le(at(f, AVAIL + 2), 2, f->avail_index);
}

static inline uint16_t used_index(struct fixture *f)
{
	return (uint16_t)peal_load_le(at(f, USED + 2), 2);
}

#define NEXT     PEAL_VRING_DESC_F_NEXT
#define WRITE    PEAL_VRING_DESC_F_WRITE
#define INDIRECT PEAL_VRING_DESC_F_INDIRECT

#endif
