/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device class for the tests of the transport: it answers each chain with its readable bytes,
 * each plus one. Its configuration is 11 bytes, which the driver may write.
 */
#ifndef PEAL_TESTS_VIRTIO_ECHO_H
#define PEAL_TESTS_VIRTIO_ECHO_H

#include <peal/virtio.h>

#include "guest.h"

#define ECHO_TYPE        42u
#define ECHO_CONFIG_SIZE 11u
#define ECHO_FEATURE     3u
#define ECHO_REFUSED     4u /* offered, but refused by negotiated() */
#define ECHO_SEGMENTS    64u

struct echo {
	struct peal_virtio *device;
	uint8_t config[ECHO_CONFIG_SIZE];
	uint64_t negotiated;
	unsigned resets;
	unsigned processed; /* calls of process */
	unsigned chains;
	unsigned leave;  /* chains to leave in the ring */
	unsigned inside; /* threads in process(), of all queues */
	int64_t block;   /* while set, process() waits with a chain in its hands */
};

static inline int echo_negotiated(void *user, uint64_t features)
{
	struct echo *e = (struct echo *)user;

	if (features & PEAL_BIT(ECHO_REFUSED))
		return -EINVAL;
	e->negotiated = features;
	return 0;
}

static inline uint64_t echo_config_read(void *user, uint32_t offset, unsigned size)
{
	struct echo *e = (struct echo *)user;

	thread_assert(peal_in_range(offset, size, ECHO_CONFIG_SIZE));
	return peal_load_le(e->config + offset, size);
}

static inline void echo_config_write(void *user, uint32_t offset, unsigned size, uint64_t value)
{
	struct echo *e = (struct echo *)user;

	thread_assert(peal_in_range(offset, size, ECHO_CONFIG_SIZE));
	peal_store_le(e->config + offset, size, value);
}

static inline void echo_reset(void *user)
{
	struct echo *e = (struct echo *)user;

	thread_assert(__atomic_load_n(&e->inside, __ATOMIC_SEQ_CST) == 0);
	e->negotiated = 0;
	e->resets++;
}

static inline uint32_t echo_answer(const struct peal_vring_chain *chain)
{
	uint8_t bytes[256];
	size_t size = chain->readable < chain->writable ? (size_t)chain->readable
							: (size_t)chain->writable;

	thread_assert(size <= sizeof(bytes));
	thread_assert(peal_vring_chain_read(chain, 0, bytes, size));
	for (size_t i = 0; i < size; i++)
		bytes[i]++;
	thread_assert(peal_vring_chain_write(chain, 0, bytes, size));
	return (uint32_t)size;
}

static inline void echo_process(void *user, unsigned queue, struct peal_vring *ring)
{
	struct echo *e = (struct echo *)user;
	struct peal_vring_segment segments[ECHO_SEGMENTS];
	struct peal_vring_chain chain = { .segments = segments, .max_segments = ECHO_SEGMENTS };

	(void)queue;
	(void)__atomic_fetch_add(&e->inside, 1, __ATOMIC_SEQ_CST);
	(void)__atomic_fetch_add(&e->processed, 1, __ATOMIC_SEQ_CST);
	while (!e->leave && peal_vring_pop(ring, &chain)) {
		while (__atomic_load_n(&e->block, __ATOMIC_SEQ_CST))
			(void)sched_yield();
		peal_vring_push(ring, &chain, echo_answer(&chain));
		(void)__atomic_fetch_add(&e->chains, 1, __ATOMIC_SEQ_CST);
	}
	(void)__atomic_fetch_sub(&e->inside, 1, __ATOMIC_SEQ_CST);
}

static const struct peal_virtio_class_ops echo_ops = {
	.negotiated = echo_negotiated,
	.config_read = echo_config_read,
	.config_write = echo_config_write,
	.reset = echo_reset,
	.process = echo_process,
};

static inline struct peal_virtio_config echo_config(struct echo *e, const struct peal_host *host)
{
	return (struct peal_virtio_config){
		.host = host,
		.ops = &echo_ops,
		.user = e,
		.device_type = ECHO_TYPE,
		.class_code = 0x00ff00,
		.num_queues = 3,
		.queue_size_max = 64,
		.config_size = ECHO_CONFIG_SIZE,
		.features = PEAL_VIRTIO_TRANSPORT_FEATURES | PEAL_BIT(ECHO_FEATURE) |
			    PEAL_BIT(ECHO_REFUSED),
	};
}

/* A chain of 4 bytes there and 4 back, in the queue's own corner of RAM. */
static inline void echo_buffers(struct guest *g, unsigned slot, uint32_t value,
				struct guest_buffer buffers[2])
{
	uint64_t at = GUEST_RAM + GUEST_RAM_SIZE / 2 + 64 * (uint64_t)slot;

	guest_write(g, at, 4, value);
	guest_write(g, at + 32, 4, 0);
	buffers[0] = (struct guest_buffer){ at, 4, false };
	buffers[1] = (struct guest_buffer){ at + 32, 4, true };
}

static inline uint32_t echo_result(struct guest *g, unsigned slot)
{
	return (uint32_t)guest_read(g, GUEST_RAM + GUEST_RAM_SIZE / 2 + 64 * (uint64_t)slot + 32,
				    4);
}

#endif
