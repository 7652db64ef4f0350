/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `peal bench run-blk`: random reads of a file in the page cache through the whole path (guest
 * driver, rings, device, MSI-X, ITS, vCPU), against pread of the same blocks by one thread.
 *
 * The machine runs all the time; a batch is so many requests, depth of them in flight. vCPU 0 and
 * the caller share the first CPU, the device's workers have the second.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../cli/temporary.h"
#include "../cli/workload.h"
#include "context.h"

#define BATCH 8192u

struct options {
	uint64_t queues;
	uint64_t vcpus;
	uint64_t depth;
	uint64_t block_size;
};

struct pread_load {
	int fd;
	void *buffer;
	size_t size;
	uint64_t nblocks;
	uint64_t random;
};

static int work_path(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	(void)thread;
	(void)first;
	return workload_batch(user, count);
}

static int work_pread(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	struct pread_load *load = user;

	(void)thread;
	(void)first;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t block = workload_random_block(&load->random, load->nblocks);

		if (pread(load->fd, load->buffer, load->size, (off_t)(block * load->size)) < 0)
			return -errno;
	}
	return 0;
}

static int measure(struct bench_context *context, const struct options *o,
		   struct workload *workload, struct pread_load *load)
{
	struct bench_side sides[] = {
		{ .threads = 1, .batch = BATCH, .batches = 4, .work = work_path, .user = workload },
		{ .threads = 1, .batch = BATCH, .batches = 4, .work = work_pread, .user = load },
	};

	bench_param_count(context, "queues", o->queues);
	bench_param_count(context, "vcpus", o->vcpus);
	bench_param_count(context, "depth", o->depth);
	bench_param_count(context, "block_size", o->block_size);
	bench_target_at_least(context, "ratio", 0.5);
	return bench_measure(context, sides, sizeof(sides) / sizeof(sides[0]));
}

static int run_on(struct bench_context *context, const struct options *o, const char *disk, int fd)
{
	const struct workload_config config = {
		.disk = disk,
		.mode = WORKLOAD_RANDOM,
		.vcpus = (unsigned)o->vcpus,
		.queues = (unsigned)o->queues,
		.depth = (unsigned)o->depth,
		.block_size = (unsigned)o->block_size,
		.stall = 5,
		.no_latency = true,
		.batched = true,
		.workers = PEAL_VIRTIO_WORKER_PER_QUEUE,
	};
	struct pread_load load = {
		.fd = fd,
		.buffer = aligned_alloc(4096, peal_round_up(o->block_size, 4096)),
		.size = o->block_size,
	};
	struct workload_result *result = calloc(1, sizeof(*result));
	struct workload *workload;
	int r;

	if (!load.buffer || !result) {
		free(load.buffer);
		free(result);
		return bench_error(context, CLI_FAILED, "out of memory");
	}
	bench_pin(context, 1);
	r = workload_new(&workload, &config, context->command);
	bench_pin(context, 0);
	if (r == CLI_OK) {
		load.nblocks = workload_capacity(workload) / o->block_size;
		r = workload_start(workload);
		(void)sched_setaffinity(0, sizeof(context->allowed), &context->allowed);
		if (r == CLI_OK) {
			r = measure(context, o, workload, &load);
			workload_finish(workload, result);
		}
		if (result->error[0] || result->path.lost)
			r = bench_error(context, CLI_FAILED, "%llu interrupts lost; %s",
					(unsigned long long)result->path.lost, result->error);
		workload_free(workload);
	}
	free(result->vectors);
	free(result->per_vcpu);
	free(result);
	free(load.buffer);
	return r;
}

static int run(struct bench_context *context, const void *values)
{
	char path[4096];
	int fd = temporary_make(path, sizeof(path), NULL), r;

	if (fd < 0)
		return bench_error(context, CLI_FAILED,
				   "no temporary image: %s; set TMPDIR to a directory with room",
				   strerror(-fd));
	r = run_on(context, values, path, fd);
	(void)close(fd);
	return r;
}

static void options(void *values, struct cli_option *rows)
{
	struct options *o = values;

	*o = (struct options){ .queues = 1, .vcpus = 1, .depth = 32, .block_size = 4096 };
	rows[0] = (struct cli_option){ .name = "queues",
				       .kind = CLI_NUMBER,
				       .value = &o->queues,
				       .min = 1,
				       .max = 64,
				       .argument = "N",
				       .help = "Queues of the device, a worker each (1)." };
	rows[1] = (struct cli_option){ .name = "vcpus",
				       .kind = CLI_NUMBER,
				       .value = &o->vcpus,
				       .min = 1,
				       .max = 64,
				       .argument = "N",
				       .help = "vCPUs of the machine (1)." };
	rows[2] = (struct cli_option){ .name = "depth",
				       .kind = CLI_NUMBER,
				       .value = &o->depth,
				       .min = 1,
				       .max = 1024,
				       .argument = "N",
				       .help = "Requests in flight on each queue (32)." };
	rows[3] = (struct cli_option){ .name = "block-size",
				       .kind = CLI_NUMBER,
				       .value = &o->block_size,
				       .min = 512,
				       .max = 1 << 20,
				       .suffixes = true,
				       .argument = "BYTES",
				       .help = "Size of a request, a multiple of 512 (4096)." };
}

const struct bench bench_run_blk = {
	.name = "run-blk",
	.line = "random reads of a cached file through the whole path, against pread by one thread",
	.baseline = "pread",
	.options_size = sizeof(struct options),
	.options = options,
	.run = run,
};
