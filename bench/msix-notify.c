/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `peal bench msix-notify`: raising an unmasked vector of a function whose messages go to a sink
 * that does nothing. The baseline is what cannot be less: the same message filled in and the call
 * through the sink's ops pointer, which the compiler cannot see through.
 *
 * The function is plugged into a bus and programmed as a guest programs it: table entry through the
 * BAR, MSI-X Enable and Bus Master in configuration space.
 */
#include <errno.h>
#include <string.h>

#include <peal/pci.h>

#include "bench.h"

#define BATCH        65536u
#define BAR          0u
#define COMMAND      0x04u
#define BUS_MASTER   0x04u
#define CAPABILITIES 0x34u
#define MSIX_ID      0x11u
#define MSIX_ENABLE  0x8000u
#define ADDRESS      UINT64_C(0x8090040)
#define DATA         5u
#define REQUESTER_ID 0x0008u /* device 1, function 0 */

struct state {
	struct peal_space *space;
	struct peal_pci_bus *bus;
	struct peal_pci_function *function;
	bool plugged;
	struct peal_msix *msix;
	struct peal_msi_sink sink;
	struct peal_msi_msg msg;
	uint64_t received;
};

/* ---- the sink ---- */

static int __attribute__((noinline)) null_deliver(void *user, const struct peal_msi_msg *msg)
{
	/* The message has to be in memory; nothing else happens. */
	__asm__ volatile("" : : "r"(user), "r"(msg) : "memory");
	return 1;
}

static int check_deliver(void *user, const struct peal_msi_msg *msg)
{
	struct state *state = user;

	state->received++;
	state->msg = *msg;
	return 1;
}

static const struct peal_msi_sink_ops null_ops = { .deliver = null_deliver };
static const struct peal_msi_sink_ops check_ops = { .deliver = check_deliver };

/* ---- the function and its guest ---- */

static int plug(struct state *state, const struct peal_msi_sink_ops *ops)
{
	const struct peal_space_config space = { .host = peal_host_default() };
	struct peal_pci_bus_config bus = { .host = peal_host_default() };
	const struct peal_pci_function_config function = {
		.host = peal_host_default(),
		.vendor_id = 0x1af4,
		.device_id = 0x1000,
		.class_code = 0xff0000,
	};
	int r = peal_space_new(&state->space, &space);

	state->sink = (struct peal_msi_sink){ .ops = ops, .user = state };
	bus.memory = state->space;
	bus.dma = state->space;
	bus.sink = state->sink;
	if (r == 0)
		r = peal_pci_bus_new(&state->bus, &bus);
	if (r == 0)
		r = peal_pci_function_new(&state->function, &function);
	if (r == 0)
		r = peal_pci_function_add_msix_exclusive(state->function, 1, BAR);
	if (r == 0)
		r = peal_pci_bus_plug(state->bus, REQUESTER_ID, state->function);
	state->plugged = r == 0;
	return r;
}

static void unplug(struct state *state)
{
	if (state->plugged)
		peal_pci_bus_unplug(state->bus, state->function);
	peal_pci_function_free(state->function);
	peal_pci_bus_free(state->bus);
	peal_space_free(state->space);
}

static int start(struct state *state)
{
	struct peal_pci_function *f = state->function;
	uint32_t at = (uint32_t)peal_pci_config_read(f, CAPABILITIES, 1);

	while (at && peal_pci_config_read(f, at, 1) != MSIX_ID)
		at = (uint32_t)peal_pci_config_read(f, at + 1, 1);
	if (!at)
		return -EIO;
	peal_pci_bar_write(f, BAR, 0, 4, ADDRESS);
	peal_pci_bar_write(f, BAR, 4, 4, 0);
	peal_pci_bar_write(f, BAR, 8, 4, DATA);
	peal_pci_bar_write(f, BAR, 12, 4, 0);
	peal_pci_config_write(f, at + 2, 2, MSIX_ENABLE);
	peal_pci_config_write(f, COMMAND, 2, BUS_MASTER);
	state->msix = peal_pci_function_msix(f);
	return peal_msix_use(state->msix, 0);
}

/* Does a raise arrive, with the right message? */
static int check_path(void)
{
	struct state state = { 0 };
	int r = plug(&state, &check_ops);

	if (r == 0)
		r = start(&state);
	if (r == 0 && (peal_msix_notify(state.msix, 0) != 1 || state.received != 1 ||
		       state.msg.address != ADDRESS || state.msg.data != DATA ||
		       state.msg.requester_id != REQUESTER_ID))
		r = -EIO;
	unplug(&state);
	return r;
}

/* ---- measuring ---- */

static int work_notify(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	struct state *state = user;
	struct peal_msix *msix = state->msix;
	uint64_t delivered = 0;

	(void)thread;
	(void)first;
	for (uint64_t i = 0; i < count; i++)
		delivered += (uint64_t)peal_msix_notify(msix, 0);
	return delivered == count ? 0 : -EIO;
}

static int work_call(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	const struct state *state = user;
	const struct peal_msi_sink *sink = &state->sink;
	uint64_t delivered = 0;

	(void)thread;
	(void)first;
	for (uint64_t i = 0; i < count; i++) {
		struct peal_msi_msg msg = { ADDRESS, DATA, REQUESTER_ID };

		/* The compiler forgets what it knows of the sink: every call loads its ops. */
		__asm__ volatile("" : "+r"(sink) : : "memory");
		delivered += (uint64_t)peal_msi_deliver(sink, &msg);
	}
	return delivered == count ? 0 : -EIO;
}

static int run(struct bench_context *context, const void *values)
{
	struct state state = { 0 };
	struct bench_side sides[] = {
		{ .threads = 1, .batch = BATCH, .work = work_notify, .user = &state },
		{ .threads = 1, .batch = BATCH, .work = work_call, .user = &state },
	};
	int r = check_path(), code;

	(void)values;
	if (r == 0)
		r = plug(&state, &null_ops);
	if (r == 0)
		r = start(&state);
	if (r == 0)
		code = bench_measure(context, sides, 2);
	else
		code = bench_error(context, CLI_FAILED, "setting up: %s", strerror(-r));
	if (code == CLI_OK) {
		bench_param_count(context, "vectors", 1);
		bench_target_at_least(context, "ratio", 1.0 / 8);
	}
	unplug(&state);
	return code;
}

const struct bench bench_msix_notify = {
	.name = "msix-notify",
	.line = "raising an unmasked vector into a null sink; the bare call of the sink",
	.baseline = "indirect-call",
	.run = run,
};
