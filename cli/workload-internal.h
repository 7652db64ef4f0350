/* SPDX-License-Identifier: BSD-2-Clause */
/* Between workload.c, the host's side of a run, and workload-guest.c, the guest's. */
#ifndef PEAL_CLI_WORKLOAD_INTERNAL_H
#define PEAL_CLI_WORKLOAD_INTERNAL_H

#include <pthread.h>

#include "workload.h"

enum workload_stop {
	WORKLOAD_GO,
	WORKLOAD_DRAIN,   /* nothing new; end when all in flight is done */
	WORKLOAD_ABANDON, /* do not wait for what is in flight */
};

enum slot_state {
	SLOT_FREE,
	SLOT_BUSY,
	SLOT_DONE,
};

/* A block in flight, with its buffer. */
struct slot {
	struct peal_blk_request request;
	struct workload *workload;
	unsigned queue;
	uint32_t state;
	uint64_t block;
	uint64_t started; /* ns */
};

/* What the handler of a queue counts; one at a time. */
struct queue_stats {
	uint64_t requests;
	uint64_t bytes;
	uint64_t random; /* state of the generator */
	/* WORKLOAD_RANDOM: */
	uint64_t in_flight;
	uint64_t left;  /* requests still to submit by the handler */
	uint64_t first; /* requests that vCPU 0 submits */
	uint64_t seed;  /* of their blocks */
	struct histogram latency;
} __attribute__((aligned(PEAL_CACHE_LINE)));

struct workload {
	struct workload_config config;
	const char *name;
	struct peal_blk_file *file;
	struct peal_virtio_blk *device;
	struct peal_machine *machine;
	uint64_t capacity; /* bytes */
	uint64_t nblocks;
	uint32_t stop;        /* enum workload_stop */
	uint32_t up;          /* the guest is, since start_ns */
	uint64_t batch;       /* requests of the next batch */
	pthread_mutex_t lock; /* batches */
	pthread_cond_t batch_done;
	uint64_t batches;

	/* The guest's. */
	struct peal_guest *guest;
	struct peal_guest_function *function;
	struct peal_blk_driver *driver;
	struct peal_blk_info info;
	struct slot *slots;
	unsigned nslots;
	uint64_t buffers; /* guest address */
	uint64_t buffers_size;
	struct queue_stats *queues;
	bool *to_kick;
	struct hash *hash;
	uint64_t start_ns, end_ns;
	uint64_t spurious;
	struct peal_path_counters path;
	uint64_t mismatches;
	uint64_t passes; /* whole ones */
	uint32_t failed; /* an error is there */
	char error[WORKLOAD_ERROR];
	char sha256[HASH_HEX];
};

/* Body of vCPU 0; USER is the workload. */
void workload_guest_main(struct peal_vcpu *vcpu, void *user);

/* The first error stays. */
void __attribute__((format(printf, 2, 3)))
workload_fail(struct workload *workload, const char *format, ...);

/* The pattern of WORKLOAD_WRITE at an offset of the disk. */
void workload_pattern(uint64_t offset, void *bytes, size_t size);

#endif
