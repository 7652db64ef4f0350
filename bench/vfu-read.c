/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `peal bench vfu-read`: a read of 4 bytes from a BAR of a device in another process. The baseline
 * is what cannot be less: messages of the same sizes there and back over such a socket, with one
 * sendmsg and one recvmsg a side, between two processes that do nothing else.
 *
 * Both processes of a side are on one CPU, or each on its own; they sleep until a message is there,
 * or look for it all the time (those of the baseline likewise).
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <peal/bits.h>

#include "vfu-device.h"

#define BATCH    16u
#define POLL_US  200u /* as long as the baseline looks; then the CPU is the other side's */
#define REQUEST  32u  /* header, and where to read what */
#define REPLY    36u
#define REGISTER 0x40u

struct options {
	bool two_cores;
	bool poll;
};

struct state {
	struct bench_process server, echo;
	struct peal_vfu_client *client;
	int echo_flags;
};

/* ---- ours ---- */

static int work_read(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	const struct state *state = user;
	struct peal_vfio_device *device = peal_vfu_client_device(state->client);

	(void)thread;
	(void)first;
	for (uint64_t i = 0; i < count; i++) {
		uint8_t bytes[4];
		int r = peal_vfio_region_read(device, BENCH_VFU_BAR, REGISTER, bytes,
					      sizeof(bytes));

		if (r < 0)
			return r;
		if (peal_load_le(bytes, sizeof(bytes)) != BENCH_VFU_VALUE)
			return -EIO;
	}
	return 0;
}

/* ---- the baseline ---- */

static void echo(int fd, const void *user)
{
	const struct state *state = user;
	uint8_t bytes[REPLY] = { 0 };

	while (bench_receive(fd, bytes, REQUEST, state->echo_flags) == 0 &&
	       bench_send(fd, bytes, REPLY) == 0)
		;
}

static int work_echo(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	const struct state *state = user;
	uint8_t bytes[REPLY] = { 0 };
	int r = 0;

	(void)thread;
	(void)first;
	for (uint64_t i = 0; r == 0 && i < count; i++) {
		r = bench_send(state->echo.fd, bytes, REQUEST);
		if (r == 0)
			r = bench_receive(state->echo.fd, bytes, REPLY, state->echo_flags);
	}
	return r;
}

/* ---- the frame ---- */

static int run(struct bench_context *context, const void *values)
{
	const struct options *o = values;
	struct state state = { .echo_flags = o->poll ? MSG_DONTWAIT : 0 };
	struct bench_side sides[] = {
		{ .threads = 1, .batch = BATCH, .work = work_read, .user = &state },
		{ .threads = 1, .batch = BATCH, .work = work_echo, .user = &state },
	};
	int r, code;

	if (o->poll && !o->two_cores)
		return bench_error(context, CLI_USAGE, "--poll needs --two-cores");
	if (o->two_cores && bench_cpus(context) < 2)
		return bench_error(context, CLI_FAILED, "--two-cores: there is one CPU");
	r = bench_process_start(&state.echo, context, o->two_cores, echo, &state);
	if (r == 0)
		r = bench_vfu_connect(&state.server, &state.client, context, o->two_cores,
				      o->poll ? POLL_US : 0, 0);
	if (r == 0)
		code = bench_measure(context, sides, 2);
	else
		code = bench_error(context, CLI_FAILED, "setting up: %s", strerror(-r));
	if (code == CLI_OK) {
		bench_param_count(context, "cores", o->two_cores ? 2 : 1);
		bench_param_text(context, "waits", o->poll ? "polling" : "sleeping");
		bench_param_real(context, "times", sides[0].times);
		bench_target_at_most(context, "times", o->two_cores ? 1.2 : 1.1);
	}
	peal_vfu_client_free(state.client);
	bench_process_end(&state.server);
	bench_process_end(&state.echo);
	return code;
}

static void options(void *values, struct cli_option *rows)
{
	struct options *o = values;

	rows[0] = (struct cli_option){ .name = "two-cores",
				       .kind = CLI_FLAG,
				       .value = &o->two_cores,
				       .help = "A CPU for each process, not one for both." };
	rows[1] = (struct cli_option){ .name = "poll",
				       .kind = CLI_FLAG,
				       .value = &o->poll,
				       .help = "Look for messages all the time." };
}

const struct bench bench_vfu_read = {
	.name = "vfu-read",
	.line = "a 4-byte read of another process's device; messages of the same sizes",
	.baseline = "ping-pong",
	.notes =
		"  times: time of a read / time of the bare messages, there and back, in the same round;\n"
		"         the median",
	.options_size = sizeof(struct options),
	.options = options,
	.run = run,
};
