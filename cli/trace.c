/* SPDX-License-Identifier: BSD-2-Clause */
/* `peal trace`: what a running `peal run --trace` does, line by line. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <peal/bits.h>

#include "base/clock-posix.h"
#include "commands.h"
#include "options.h"
#include "trace-record.h"

struct trace_options {
	const char *arguments[3];
	double seconds;
	uint64_t count;
	bool json;
};

static volatile sig_atomic_t stop_signal;

static void on_signal(int signal)
{
	stop_signal = signal;
}

static int parse(struct trace_options *o, int argc, char **argv)
{
	const struct cli_option options[] = {
		{ .name = "seconds",
		  .kind = CLI_SECONDS,
		  .value = &o->seconds,
		  .argument = "S",
		  .help = "Stop after S seconds. Default: with the run." },
		{ .name = "count",
		  .kind = CLI_NUMBER,
		  .value = &o->count,
		  .min = 1,
		  .max = UINT64_MAX,
		  .argument = "N",
		  .help = "Stop after N lines." },
		{ .name = "json",
		  .kind = CLI_FLAG,
		  .value = &o->json,
		  .help = "Print one JSON object a line." },
		{ 0 },
	};
	const struct cli_command command = {
		.name = "trace",
		.line = "Shows commands and messages of the ITS of a running `peal run --trace "
			"PATH`, as they come:\nthe last commands from before first. The run never "
			"waits for it; what it is too slow for\nis counted as lost. Times are "
			"seconds since the run began.",
		.synopsis = "its PATH [--seconds S] [--count N] [--json]",
		.example = "  peal run --seconds 60 --trace /tmp/peal.trace &\n"
			   "  peal trace its /tmp/peal.trace --seconds 1",
		.options = options,
		.max_arguments = 2,
	};
	int r = cli_parse(&command, argc, argv, o->arguments);

	if (r >= 0)
		return r;
	if (!o->arguments[0])
		return cli_error(CLI_USAGE, "trace", "of what? See peal trace --help");
	if (strcmp(o->arguments[0], "its") != 0)
		return cli_error(CLI_USAGE, "trace", "%s: takes its; see peal trace --help",
				 o->arguments[0]);
	if (!o->arguments[1] || !*o->arguments[1])
		return cli_error(CLI_USAGE, "trace",
				 "its: needs the PATH of a running peal run --trace PATH");
	return -1;
}

/* The connection, or a CLI code in *CODE and -1. */
static int open_connection(const char *path, int *code)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	*code = CLI_FAILED;
	if (strlen(path) >= sizeof(address.sun_path)) {
		(void)cli_error(CLI_FAILED, "trace", "%s: %s", path, strerror(ENAMETOOLONG));
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		(void)cli_error(CLI_FAILED, "trace", "%s: %s%s", path, strerror(errno),
				errno == ENOENT || errno == ECONNREFUSED
					? "; is peal run --trace running?"
					: "");
		if (fd >= 0)
			(void)close(fd);
		return -1;
	}
	return fd;
}

struct stream {
	int fd;
	uint64_t deadline; /* ms; 0: none */
	uint8_t bytes[64 * TRACE_RECORD_SIZE];
	size_t size;
};

/* What was printed goes out. False: it cannot, and the reason was told. */
static bool flush_lines(void)
{
	if (fflush(stdout) == 0)
		return true;
	/* Nobody has to be told that a pipe was closed. */
	if (errno != EPIPE)
		(void)cli_error(CLI_FAILED, "trace", "cannot write the output: %s",
				strerror(errno));
	clearerr(stdout);
	return false;
}

/* Until there are so many bytes. 1; 0: the end, or time is over; -errno; -EPIPE: of the output. */
static int fill(struct stream *s, size_t size)
{
	while (s->size < size) {
		struct pollfd poll_fd = { .fd = s->fd, .events = POLLIN };
		uint64_t now = peal_clock_ns() / PEAL_NS_PER_MS;
		int wait = 1000;
		ssize_t n;

		if (stop_signal || (s->deadline && now >= s->deadline))
			return 0;
		if (s->deadline && s->deadline - now < 1000)
			wait = (int)(s->deadline - now);
		/* Nothing here yet: what there is may be looked at. */
		if (!flush_lines())
			return -EPIPE;
		if (poll(&poll_fd, 1, wait) <= 0)
			continue;
		n = read(s->fd, s->bytes + s->size, sizeof(s->bytes) - s->size);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return 0;
		s->size += n > 0 ? (size_t)n : 0;
	}
	return 1;
}

static void consume(struct stream *s, size_t size)
{
	s->size -= size;
	memmove(s->bytes, s->bytes + size, s->size);
}

static int read_header(struct stream *s, const char *path)
{
	int r = fill(s, TRACE_HEADER_SIZE);

	if (r < 0)
		return cli_error(CLI_FAILED, "trace", "%s: %s", path, strerror(-r));
	if (r == 0 && s->size == 0)
		return CLI_OK;
	if (r == 0 || peal_load_le(s->bytes, 8) != TRACE_MAGIC)
		return cli_error(CLI_FAILED, "trace", "%s: this is no peal run --trace", path);
	if (peal_load_le(s->bytes + 8, 8) != TRACE_READY)
		return cli_error(CLI_FAILED, "trace", "%s: somebody else is reading this trace",
				 path);
	consume(s, TRACE_HEADER_SIZE);
	return -1;
}

static int print_records(struct stream *s, const struct trace_options *o)
{
	uint64_t left = o->count;
	int r;

	while ((r = fill(s, TRACE_RECORD_SIZE)) > 0) {
		struct peal_trace_record record;

		for (unsigned i = 0; i < PEAL_TRACE_WORDS; i++)
			record.words[i] = peal_load_le(s->bytes + 8 * (size_t)i, 8);
		consume(s, TRACE_RECORD_SIZE);
		if (!trace_record_print(&record, stdout, o->json))
			return cli_error(CLI_FAILED, "trace", "%s: a record of unknown kind",
					 o->arguments[1]);
		if (left && --left == 0)
			return CLI_OK;
	}
	if (r == -EPIPE)
		return CLI_FAILED;
	if (r < 0)
		return cli_error(CLI_FAILED, "trace", "%s: %s", o->arguments[1], strerror(-r));
	return CLI_OK;
}

int trace_main(int argc, char **argv)
{
	const struct sigaction action = { .sa_handler = on_signal };
	struct trace_options o = { 0 };
	struct stream s = { .fd = -1 };
	int r = parse(&o, argc, argv);

	if (r >= 0)
		return r;
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	s.fd = open_connection(o.arguments[1], &r);
	if (s.fd < 0)
		return r;
	if (o.seconds > 0)
		s.deadline = peal_clock_ns() / PEAL_NS_PER_MS + (uint64_t)(o.seconds * 1000) + 1;
	r = read_header(&s, o.arguments[1]);
	if (r < 0)
		r = print_records(&s, &o);
	(void)close(s.fd);
	return r;
}
