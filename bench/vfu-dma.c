/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `peal bench vfu-dma-map`: ranges that a client maps for DMA of a device in another process, on the
 * same CPU, up to as many as there may be. The baseline is bare messages of the same sizes there and
 * back.
 *
 * Beside the main figure, in the same rounds:
 *   flatness       time of a map in the last tenth / in the first
 *   lookup_1k_ns   finding one of 1,000 ranges of the space that the server maps into, at random, and
 *   lookup_all_ns  one of all
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock-posix.h"
#include "context.h"
#include "vfu-device.h"

#define PAGE        4096u
#define MOST        65535u
#define TENTHS      10u
#define FEW         1000u
#define LOOKUPS     100000u
#define MAP_REQUEST 48u /* header, and the range */
#define MAP_REPLY   16u

struct options {
	uint64_t maps;
	bool random;
};

struct state {
	uint32_t maps;
	uint32_t *order;
	uint8_t memory[PAGE];
	struct bench_process bare;
	double *ns, *bare_ns, *first_ns, *last_ns; /* of each round */
};

static double now_ns(void)
{
	return (double)peal_clock_ns();
}

static uint32_t random_below(uint64_t *seed, uint32_t limit)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((*seed >> 33) % limit);
}

/* Ranges do not touch, so that nobody can make one of two. */
static uint64_t address_of(uint32_t index)
{
	return (uint64_t)index * 2 * PAGE;
}

/* ---- ours ---- */

static int map_some(struct state *state, struct peal_vfio_device *device, uint32_t first,
		    uint32_t end)
{
	int r = 0;

	for (uint32_t i = first; r == 0 && i < end; i++) {
		const struct peal_vfio_dma dma = {
			.iova = address_of(state->order[i]),
			.size = PAGE,
			.flags = PEAL_VFIO_DMA_READ | PEAL_VFIO_DMA_WRITE,
			.fd = -1,
			.memory = state->memory,
		};

		r = peal_vfio_dma_map(device, &dma);
	}
	return r;
}

/* Maps all, a tenth after the other: ns of a map in each. */
static int map_all(struct state *state, struct peal_vfio_device *device, double tenths[TENTHS])
{
	int r = 0;

	for (uint32_t t = 0; r == 0 && t < TENTHS; t++) {
		uint32_t first = state->maps * t / TENTHS, end = state->maps * (t + 1) / TENTHS;
		double start = now_ns();

		r = map_some(state, device, first, end);
		tenths[t] = (now_ns() - start) / (end - first);
	}
	return r;
}

static int round_of_maps(struct bench_context *context, struct state *state, unsigned round)
{
	struct bench_process server = { 0 };
	struct peal_vfu_client *client = NULL;
	double tenths[TENTHS];
	int r = bench_vfu_connect(&server, &client, context, 0, 0, 0);

	if (r == 0)
		r = map_all(state, peal_vfu_client_device(client), tenths);
	peal_vfu_client_free(client);
	bench_process_end(&server);
	if (r < 0)
		return r;
	state->first_ns[round] = tenths[0];
	state->last_ns[round] = tenths[TENTHS - 1];
	state->ns[round] = bench_stats_of(tenths, TENTHS).median;
	return 0;
}

/* ---- the baseline ---- */

static void answer(int fd, const void *user)
{
	uint8_t bytes[MAP_REQUEST] = { 0 };

	(void)user;
	while (bench_receive(fd, bytes, MAP_REQUEST, 0) == 0 &&
	       bench_send(fd, bytes, MAP_REPLY) == 0)
		;
}

static int round_of_messages(struct state *state, unsigned round)
{
	uint32_t count = state->maps / TENTHS;
	uint8_t bytes[MAP_REQUEST] = { 0 };
	double tenths[TENTHS];
	int r = 0;

	for (unsigned t = 0; t < TENTHS; t++) {
		double start = now_ns();

		for (uint32_t i = 0; r == 0 && i < count; i++) {
			r = bench_send(state->bare.fd, bytes, MAP_REQUEST);
			if (r == 0)
				r = bench_receive(state->bare.fd, bytes, MAP_REPLY, 0);
		}
		tenths[t] = (now_ns() - start) / count;
	}
	state->bare_ns[round] = bench_stats_of(tenths, TENTHS).median;
	return r;
}

/* ---- lookups ---- */

/* ns of a read of 8 bytes in one of COUNT ranges. */
static int measure_lookup(struct state *state, uint32_t count, double *ret)
{
	const struct peal_space_config config = { .host = peal_host_default() };
	struct peal_space *space;
	uint64_t seed = 1, value;
	double batches[TENTHS];
	int r = peal_space_new(&space, &config);

	if (r < 0)
		return r;
	for (uint32_t i = 0; r == 0 && i < count; i++)
		r = peal_space_map(space, address_of(i), PAGE, state->memory,
				   PEAL_MEM_READ | PEAL_MEM_WRITE);
	for (unsigned t = 0; t < TENTHS; t++) {
		double start = now_ns();

		for (uint32_t i = 0; r == 0 && i < LOOKUPS / TENTHS; i++)
			r = peal_space_read(space, address_of(random_below(&seed, count)), &value,
					    sizeof(value));
		batches[t] = (now_ns() - start) / (LOOKUPS / TENTHS);
	}
	*ret = bench_stats_of(batches, TENTHS).median;
	peal_space_free(space);
	return r;
}

/* ---- the frame ---- */

static int make_order(struct state *state, bool random)
{
	uint64_t seed = 7;

	state->order = calloc(state->maps, sizeof(*state->order));
	if (!state->order)
		return -ENOMEM;
	for (uint32_t i = 0; i < state->maps; i++) {
		uint32_t other = random ? random_below(&seed, i + 1) : i;

		state->order[i] = state->order[other];
		state->order[other] = i;
	}
	return 0;
}

static int measure(struct bench_context *context, struct state *state, double lookups[2])
{
	double *figures = calloc((size_t)context->rounds * 4, sizeof(*figures));
	int r = figures ? 0 : -ENOMEM;

	state->ns = figures;
	state->bare_ns = figures + context->rounds;
	state->first_ns = figures + (size_t)context->rounds * 2;
	state->last_ns = figures + (size_t)context->rounds * 3;
	for (unsigned i = 0; r == 0 && i < context->rounds; i++) {
		r = round_of_maps(context, state, i);
		if (r == 0)
			r = round_of_messages(state, i);
	}
	if (r == 0)
		r = measure_lookup(state, state->maps < FEW ? state->maps : FEW, &lookups[0]);
	if (r == 0)
		r = measure_lookup(state, state->maps, &lookups[1]);
	if (r == 0) {
		double last = bench_stats_of(state->last_ns, context->rounds).median;

		context->ours.ns_per_op = bench_stats_of(state->ns, context->rounds);
		context->baseline.ns_per_op = bench_stats_of(state->bare_ns, context->rounds);
		bench_param_real(context, "flatness",
				 last / bench_stats_of(state->first_ns, context->rounds).median);
	}
	free(figures);
	return r;
}

static int run(struct bench_context *context, const void *values)
{
	const struct options *o = values;
	struct state state = { .maps = (uint32_t)o->maps };
	double lookups[2];
	int r = make_order(&state, o->random);

	bench_param_count(context, "maps", o->maps);
	bench_param_text(context, "order", o->random ? "random" : "ascending");
	bench_pin(context, 0);
	if (r == 0)
		r = bench_process_start(&state.bare, context, 0, answer, NULL);
	if (r == 0)
		r = measure(context, &state, lookups);
	bench_process_end(&state.bare);
	free(state.order);
	(void)sched_setaffinity(0, sizeof(context->allowed), &context->allowed);
	if (r < 0)
		return bench_error(context, CLI_FAILED, "%s", strerror(-r));
	bench_param_real(context, "lookup_1k_ns", lookups[0]);
	bench_param_real(context, "lookup_all_ns", lookups[1]);
	bench_target_at_most(context, "flatness", 2);
	return CLI_OK;
}

static void options(void *values, struct cli_option *rows)
{
	struct options *o = values;

	o->maps = MOST;
	rows[0] = (struct cli_option){ .name = "maps",
				       .kind = CLI_NUMBER,
				       .value = &o->maps,
				       .min = 100,
				       .max = MOST,
				       .argument = "N",
				       .help = "Ranges that are mapped (65535)." };
	rows[1] = (struct cli_option){ .name = "random",
				       .kind = CLI_FLAG,
				       .value = &o->random,
				       .help = "Map them in no order, not from the lowest on." };
}

const struct bench bench_vfu_dma_map = {
	.name = "vfu-dma-map",
	.line = "mapping memory for another process's device; messages of the same sizes",
	.baseline = "ping-pong",
	.notes = "  flatness: time of a map in the last tenth / in the first\n"
		 "  lookup_1k_ns, lookup_all_ns: finding one of 1,000 ranges, and one of all",
	.options_size = sizeof(struct options),
	.options = options,
	.run = run,
};
