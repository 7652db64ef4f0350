/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `peal bench vfu-irq`: a vector that the device of a vfio-user server raises, until the eventfd that
 * its client gave has it. The baseline is a write to an eventfd. Both are O_NONBLOCK, as those of
 * VMMs are: one that could block is looked at before it is written to.
 *
 * Beside the main figure, in the same rounds, a thread that sleeps in a read of the eventfd:
 *   wake_ns        from the raise to its answer, which is a write to another eventfd
 *   wake_bare_ns   the same with a write instead of the raise
 *   wake_times     the first / the second, in the same round, the median
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "context.h"
#include "vfu-device.h"

#define BATCH      4096u
#define WAKE_BATCH 64u
#define COMMAND    0x04u
#define BUS_MASTER 0x04u

enum {
	RAISE,
	WRITE,
	WAKE,
	WAKE_BARE,
	SIDES
};

/* Vectors: with an eventfd that nobody reads, and one with a thread that sleeps there. */
enum {
	PLAIN,
	AWAITED,
	VECTORS
};
_Static_assert(VECTORS <= BENCH_VFU_VECTORS, "the device has them");

/* An eventfd, and a thread that answers what comes there. */
struct reader {
	int fd, answer;
	pthread_t thread;
	bool started;
};

struct state {
	struct bench_vfu_device device;
	struct peal_msix *msix;
	struct peal_vfu_client *client;
	pthread_t server;
	bool serving;
	int server_fd;
	int fd, bare; /* nobody reads there: of the vector PLAIN, of none */
	struct reader ours, theirs;
	struct bench_side sides[SIDES];
};

/* ---- what is measured ---- */

static int work_raise(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	struct state *state = user;
	uint64_t delivered = 0;

	(void)thread;
	(void)first;
	for (uint64_t i = 0; i < count; i++)
		delivered += peal_msix_notify(state->msix, PLAIN) == 1;
	return delivered == count ? 0 : -EIO;
}

static int signal_fd(int fd)
{
	const uint64_t one = 1;

	return write(fd, &one, sizeof(one)) == sizeof(one) ? 0 : -errno;
}

static int work_write(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	const struct state *state = user;
	int r = 0;

	(void)thread;
	(void)first;
	for (uint64_t i = 0; r == 0 && i < count; i++)
		r = signal_fd(state->bare);
	return r;
}

static int await(int fd)
{
	uint64_t value;

	return read(fd, &value, sizeof(value)) == sizeof(value) ? 0 : -errno;
}

static int work_wake(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	struct state *state = user;
	int r = 0;

	(void)thread;
	(void)first;
	for (uint64_t i = 0; r == 0 && i < count; i++) {
		if (peal_msix_notify(state->msix, AWAITED) != 1)
			return -EIO;
		r = await(state->ours.answer);
	}
	return r;
}

static int work_wake_bare(void *user, unsigned thread, uint64_t first, uint64_t count)
{
	const struct state *state = user;
	int r = 0;

	(void)thread;
	(void)first;
	for (uint64_t i = 0; r == 0 && i < count; i++) {
		r = signal_fd(state->theirs.fd);
		if (r == 0)
			r = await(state->theirs.answer);
	}
	return r;
}

/* ---- the reader ---- */

static void *answer(void *user)
{
	const struct reader *reader = user;

	while (await(reader->fd) == 0 && signal_fd(reader->answer) == 0)
		;
	return NULL;
}

static int start_reader(struct reader *reader)
{
	int r;

	reader->fd = eventfd(0, EFD_CLOEXEC);
	reader->answer = eventfd(0, EFD_CLOEXEC);
	if (reader->fd < 0 || reader->answer < 0)
		return -errno;
	r = -pthread_create(&reader->thread, NULL, answer, reader);
	reader->started = r == 0;
	return r;
}

/* The reader's read is a point of cancellation. */
static void stop_reader(struct reader *reader)
{
	if (reader->started) {
		(void)pthread_cancel(reader->thread);
		(void)pthread_join(reader->thread, NULL);
	}
	if (reader->fd >= 0)
		(void)close(reader->fd);
	if (reader->answer >= 0)
		(void)close(reader->answer);
}

/* ---- the server and its client ---- */

static void *serve(void *user)
{
	struct state *state = user;

	(void)peal_vfu_server_serve(state->device.server, state->server_fd);
	return NULL;
}

static int connect_client(struct state *state)
{
	const struct peal_vfu_client_config config = { .host = peal_host_default() };
	static const uint8_t command[2] = { BUS_MASTER };
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	state->server_fd = pair[0];
	r = -pthread_create(&state->server, NULL, serve, state);
	state->serving = r == 0;
	if (r < 0) {
		(void)close(pair[0]);
		(void)close(pair[1]);
		return r;
	}
	r = peal_vfu_client_new(&state->client, &config, pair[1]);
	/* Without Bus Master there are no messages (PCI Express 7.5.1.1.3). */
	return r == 0 ? peal_vfio_region_write(peal_vfu_client_device(state->client),
					       PEAL_VFIO_REGION_CONFIG, COMMAND, command,
					       sizeof(command))
		      : r;
}

/* The triggers, which go over the socket. */
static int set_triggers(struct state *state)
{
	const int32_t fds[VECTORS] = { [PLAIN] = state->fd, [AWAITED] = state->ours.fd };
	const struct peal_irqset_request request = {
		.argsz = PEAL_VFIO_IRQ_REQUEST_SIZE + sizeof(fds),
		.flags = PEAL_VFIO_DATA_EVENTFD | PEAL_VFIO_ACTION_TRIGGER,
		.index = PEAL_VFIO_IRQ_MSIX,
		.count = VECTORS,
	};

	return peal_vfio_set_irqs(peal_vfu_client_device(state->client), &request, fds,
				  sizeof(fds));
}

static int set_up(struct state *state)
{
	int r = bench_vfu_device_new(&state->device, 0);

	state->fd = state->bare = -1;
	state->ours.fd = state->ours.answer = state->theirs.fd = state->theirs.answer = -1;
	if (r < 0)
		return r;
	state->msix = peal_pci_function_msix(state->device.function);
	state->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	state->bare = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (state->fd < 0 || state->bare < 0)
		return -errno;
	r = connect_client(state);
	if (r == 0)
		r = start_reader(&state->ours);
	if (r == 0)
		r = start_reader(&state->theirs);
	return r == 0 ? set_triggers(state) : r;
}

static void take_down(struct state *state)
{
	peal_vfu_client_free(state->client);
	if (state->serving)
		(void)pthread_join(state->server, NULL);
	bench_vfu_device_done(&state->device);
	stop_reader(&state->ours);
	stop_reader(&state->theirs);
	if (state->fd >= 0)
		(void)close(state->fd);
	if (state->bare >= 0)
		(void)close(state->bare);
}

/* ---- the frame ---- */

static void set_sides(struct state *state)
{
	static const struct bench_side sides[SIDES] = {
		[RAISE] = { .batch = BATCH, .work = work_raise },
		[WRITE] = { .batch = BATCH, .work = work_write },
		[WAKE] = { .batch = WAKE_BATCH, .work = work_wake },
		[WAKE_BARE] = { .batch = WAKE_BATCH, .work = work_wake_bare },
	};

	for (unsigned i = 0; i < SIDES; i++) {
		state->sides[i] = sides[i];
		state->sides[i].threads = 1;
		state->sides[i].user = state;
	}
}

static int run(struct bench_context *context, const void *values)
{
	struct state state = { 0 };
	const struct bench_side *sides = state.sides;
	int r, code;

	(void)values;
	bench_pin(context, 0); /* the readers too: what a wake-up costs does not depend on where */
	r = set_up(&state);
	set_sides(&state);
	if (r == 0)
		code = bench_measure(context, state.sides, SIDES);
	else
		code = bench_error(context, CLI_FAILED, "setting up: %s", strerror(-r));
	if (code == CLI_OK) {
		bench_param_real(context, "times", sides[RAISE].times);
		bench_param_real(context, "wake_ns", sides[WAKE].ns_per_op.median);
		bench_param_real(context, "wake_bare_ns", sides[WAKE_BARE].ns_per_op.median);
		bench_param_real(context, "wake_times", sides[WAKE].times);
		bench_target_at_most(context, "times", 1.05);
	}
	take_down(&state);
	(void)sched_setaffinity(0, sizeof(context->allowed), &context->allowed);
	return code;
}

const struct bench bench_vfu_irq = {
	.name = "vfu-irq",
	.line = "raising a vector of a served device into the client's eventfd; a bare write there",
	.baseline = "eventfd-write",
	.notes =
		"  times: time of a raise / time of a write to an eventfd in the same round, the median\n"
		"  wake_ns, wake_bare_ns: until a thread that slept in a read has answered\n"
		"  wake_times: the first / the second",
	.run = run,
};
