/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `peal bench vfu-write-posted` and `vfu-write-multi`: writes of 4 bytes to a BAR of a device in
 * another process that nobody waits for, one a message or many. A batch ends with a read, whose
 * reply comes after all of them, and which says how many the device has seen. The baseline is as
 * many bare messages of the same size, and one back.
 */
#include <errno.h>
#include <string.h>

#include <peal/bits.h>

#include "vfu-device.h"

#define BATCH       4096u
#define MOST        256u /* writes in a message */
#define HEADER      16u
#define SINGLE_SIZE 36u /* header, where, 4 bytes */
#define MULTI_SIZE  24u /* in a message of many: where, 8 bytes */
#define REGISTER    0x40u

struct options {
	uint64_t writes; /* in a message */
	bool two_cores;
};

struct state {
	struct bench_process server, bare;
	struct peal_vfu_client *client;
	unsigned writes;
	size_t size; /* of a message */
	uint64_t seen;
	struct peal_vfu_write list[MOST];
};

/* ---- ours ---- */

/* Has the device seen COUNT more? */
static int check_seen(struct state *state, uint64_t count)
{
	uint8_t bytes[8];
	int r = peal_vfio_region_read(peal_vfu_client_device(state->client), BENCH_VFU_BAR,
				      BENCH_VFU_WRITTEN, bytes, sizeof(bytes));

	state->seen += count;
	if (r == 0 && peal_load_le(bytes, sizeof(bytes)) != state->seen)
		r = -EIO;
	return r;
}

static int work_write(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	static const uint8_t bytes[4] = { 1, 2, 3, 4 };
	struct state *state = user;
	struct peal_vfio_device *device = peal_vfu_client_device(state->client);
	int r = 0;

	(void)thread;
	(void)first;
	for (uint64_t i = 0; r == 0 && i < count; i++)
		r = peal_vfio_region_write(device, BENCH_VFU_BAR, REGISTER, bytes, sizeof(bytes));
	return r == 0 ? check_seen(state, count) : r;
}

static int work_multi(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	struct state *state = user;
	int r = 0;

	(void)thread;
	(void)first;
	for (uint64_t i = 0; r == 0 && i < count; i += state->writes)
		r = peal_vfu_client_write_multi(state->client, state->list, state->writes);
	return r == 0 ? check_seen(state, count) : r;
}

/* ---- the baseline ---- */

static void drain(int fd, const void *user)
{
	const struct state *state = user;
	static uint8_t bytes[HEADER + 8 + MULTI_SIZE * MOST];

	for (;;) {
		for (uint64_t i = 0; i < BATCH; i += state->writes) {
			if (bench_receive(fd, bytes, state->size, 0) < 0)
				return;
		}
		if (bench_send(fd, bytes, SINGLE_SIZE) < 0)
			return;
	}
}

static int work_bare(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	static uint8_t bytes[HEADER + 8 + MULTI_SIZE * MOST];
	const struct state *state = user;
	int r = 0;

	(void)thread;
	(void)first;
	for (uint64_t i = 0; r == 0 && i < count; i += state->writes)
		r = bench_send(state->bare.fd, bytes, state->size);
	return r == 0 ? bench_receive(state->bare.fd, bytes, SINGLE_SIZE, 0) : r;
}

/* ---- the frame ---- */

static int measure(struct bench_context *context, struct state *state, bool two_cores)
{
	struct bench_side sides[] = {
		{ .threads = 1,
		  .batch = BATCH,
		  .work = state->writes > 1 ? work_multi : work_write,
		  .user = state },
		{ .threads = 1, .batch = BATCH, .work = work_bare, .user = state },
	};
	int code = bench_measure(context, sides, 2);

	if (code != CLI_OK)
		return code;
	bench_param_count(context, "cores", two_cores ? 2 : 1);
	bench_param_count(context, "writes", state->writes);
	bench_param_real(context, "per_second", 1e9 / sides[0].ns_per_op.median);
	return code;
}

static int run_with(struct bench_context *context, unsigned writes, bool two_cores)
{
	struct state state = { .writes = writes, .size = SINGLE_SIZE };
	int r, code;

	if (two_cores && bench_cpus(context) < 2)
		return bench_error(context, CLI_FAILED, "--two-cores: there is one CPU");
	if (writes > 1)
		state.size = HEADER + 8 + (size_t)MULTI_SIZE * writes;
	for (unsigned i = 0; i < writes; i++)
		state.list[i] = (struct peal_vfu_write){ REGISTER, BENCH_VFU_BAR, 4, { 1 } };
	r = bench_process_start(&state.bare, context, two_cores, drain, &state);
	if (r == 0)
		r = bench_vfu_connect(&state.server, &state.client, context, two_cores, 0,
				      PEAL_VFU_POSTED_WRITES);
	code = r == 0 ? measure(context, &state, two_cores)
		      : bench_error(context, CLI_FAILED, "setting up: %s", strerror(-r));
	peal_vfu_client_free(state.client);
	bench_process_end(&state.server);
	bench_process_end(&state.bare);
	return code;
}

static int run_posted(struct bench_context *context, const void *values)
{
	const struct options *o = values;

	return run_with(context, 1, o->two_cores);
}

static int run_multi(struct bench_context *context, const void *values)
{
	const struct options *o = values;

	if (BATCH % o->writes || o->writes == 1)
		return bench_error(context, CLI_USAGE, "--writes %llu: a power of two from 2 on",
				   (unsigned long long)o->writes);
	return run_with(context, (unsigned)o->writes, o->two_cores);
}

static void options_posted(void *values, struct cli_option *rows)
{
	struct options *o = values;

	rows[0] = (struct cli_option){ .name = "two-cores",
				       .kind = CLI_FLAG,
				       .value = &o->two_cores,
				       .help = "A CPU for each process, not one for both." };
}

static void options_multi(void *values, struct cli_option *rows)
{
	struct options *o = values;

	options_posted(values, rows);
	o->writes = 32;
	rows[1] = (struct cli_option){ .name = "writes",
				       .kind = CLI_NUMBER,
				       .value = &o->writes,
				       .min = 1,
				       .max = MOST,
				       .argument = "N",
				       .help = "Writes in a message, a power of two (32)." };
}

const struct bench bench_vfu_write_posted = {
	.name = "vfu-write-posted",
	.line = "a 4-byte write to another process's device, not waited for; bare messages",
	.baseline = "send",
	.options_size = sizeof(struct options),
	.options = options_posted,
	.run = run_posted,
};

const struct bench bench_vfu_write_multi = {
	.name = "vfu-write-multi",
	.line = "4-byte writes to another process's device, many in a message; bare messages",
	.baseline = "send",
	.options_size = sizeof(struct options),
	.options = options_multi,
	.run = run_multi,
};
