/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests to a block device, for the tests of it. */
#ifndef PEAL_TESTS_VIRTIO_BLK_GUEST_H
#define PEAL_TESTS_VIRTIO_BLK_GUEST_H

#include <peal/virtio.h>

#include "guest.h"

/* Where the requests stand: header, status, data. */
#define BLK_HEADER    (GUEST_RAM + 0x100000)
#define BLK_STATUS    (GUEST_RAM + 0x100100)
#define BLK_DATA      (GUEST_RAM + 0x110000)
#define BLK_NO_STATUS 0xee /* what the status byte is before an answer */

#define BLK_BIT(name) PEAL_BIT(PEAL_VIRTIO_BLK_F_##name)

static inline void blk_header(struct guest *g, uint32_t type, uint64_t sector)
{
	guest_write(g, BLK_HEADER, 4, type);
	guest_write(g, BLK_HEADER + 4, 4, 0);
	guest_write(g, BLK_HEADER + 8, 8, sector);
	guest_write(g, BLK_STATUS, 1, BLK_NO_STATUS);
}

/* Sends a request with LENGTH bytes of data at BLK_DATA and takes its answer; the status. */
static inline unsigned blk_request(struct guest *g, unsigned queue, uint32_t type, uint64_t sector,
				   uint32_t length)
{
	struct guest_queue *q = &g->queues[queue];
	bool out = type == PEAL_VIRTIO_BLK_T_OUT;
	struct guest_buffer buffers[3] = { { BLK_HEADER, PEAL_VIRTIO_BLK_HEADER_SIZE, false } };
	unsigned n = 1;
	uint32_t id, used;
	uint16_t head;
	bool taken;

	blk_header(g, type, sector);
	if (length)
		buffers[n++] = (struct guest_buffer){ BLK_DATA, length, !out };
	buffers[n++] = (struct guest_buffer){ BLK_STATUS, 1, true };
	head = guest_send(q, buffers, n);
	taken = guest_take(q, &id, &used);
	assert_true(taken);
	assert_int_equal(id, head);
	/* All writable bytes are written, whatever became of the request. */
	assert_int_equal(used, (out ? 0 : length) + 1);
	return (unsigned)guest_read(g, BLK_STATUS, 1);
}

#endif
