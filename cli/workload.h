/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A whole run: a machine with a block device over a file, and a guest that moves blocks through it.
 * What `peal run` shows and `peal bench run-blk` measures.
 */
#ifndef PEAL_CLI_WORKLOAD_H
#define PEAL_CLI_WORKLOAD_H

#include <peal/machine.h>
#include <peal/virtio.h>

#include "hash.h"
#include "histogram.h"

enum workload_mode {
	WORKLOAD_READ,   /* reads the disk in order and hashes it */
	WORKLOAD_WRITE,  /* writes a pattern over the disk */
	WORKLOAD_VERIFY, /* writes it and reads it back */
	WORKLOAD_RANDOM, /* reads blocks anywhere, without looking at them */
};

#define WORKLOAD_ERROR 4608u /* bytes of an error: a path and a sentence */

struct workload_config {
	const char *disk;
	const char *disk_name; /* in errors; NULL: as disk */
	bool writable;
	enum workload_mode mode;
	unsigned vcpus;
	unsigned queues;
	unsigned depth;      /* requests in flight on each queue */
	unsigned block_size; /* bytes, a multiple of 512 */
	double seconds;      /* 0: once over the whole disk */
	uint64_t requests;   /* WORKLOAD_RANDOM: so many, instead of a time */
	double stall;        /* seconds without any progress that end the run */
	bool no_latency;     /* do not take times of requests */
	bool batched;        /* WORKLOAD_RANDOM: reads only in workload_batch */
	unsigned workers;    /* of the device; PEAL_VIRTIO_WORKER_PER_QUEUE */
	enum peal_guest_mistake mistake;
	/* As of struct peal_machine_config. */
	void (*its_trace)(void *user, const struct peal_its_trace *trace);
	void *its_user;
};

struct workload_vcpu {
	uint64_t interrupts;
	uint64_t sleeps;
};

/* What is known at the end; arrays belong to the workload. */
struct workload_result {
	bool complete;    /* all that was asked for was done, without an error */
	bool interrupted; /* somebody asked to stop */
	bool stalled;
	const char *diagnosis;      /* when stalled: where interrupts stop */
	char error[WORKLOAD_ERROR]; /* what failed first; empty: nothing */
	uint64_t requests;
	uint64_t bytes;
	uint64_t mismatches; /* WORKLOAD_VERIFY: blocks that came back different */
	double seconds;
	char sha256[HASH_HEX];      /* of what the guest saw or wrote; empty: not a whole disk */
	char sha256_file[HASH_HEX]; /* of the file after the run */
	struct peal_path_counters path;
	uint64_t spurious;
	struct histogram latency;
	struct peal_guest_vector *vectors;
	unsigned nvectors;
	struct workload_vcpu *per_vcpu;
	unsigned nvcpus;
};

struct workload;

/* 0, or a CLI exit code with the reason printed as an error of command NAME. */
int workload_new(struct workload **ret, const struct workload_config *config, const char *name);
void workload_free(struct workload *workload);

/*
 * Runs to the end. PROGRESS (may be NULL) is called every 100 ms with the bytes done and to do (0:
 * not known). *STOP becoming non-zero ends the run as soon as what is in flight is done.
 */
int workload_run(struct workload *workload,
		 void (*progress)(void *user, uint64_t done, uint64_t all), void *user,
		 const volatile int *stop, struct workload_result *ret);

/*
 * With config.batched, in place of workload_run: start, any number of batches, finish. A batch is
 * so many requests on all queues together; 0, or -EIO and the run has ended by itself.
 */
int workload_start(struct workload *workload);
int workload_batch(struct workload *workload, uint64_t requests);
void workload_finish(struct workload *workload, struct workload_result *ret);

/* The next block of a random order, the same for the same state. */
uint64_t workload_random_block(uint64_t *state, uint64_t nblocks);

/* Bytes of the disk. */
uint64_t workload_capacity(const struct workload *workload);

#endif
