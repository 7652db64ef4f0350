/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writers put records into a ring; one thread takes them out, keeps the last commands, and writes
 * to the reader without blocking. While its output is full it leaves the ring alone, which then
 * fills and loses what comes.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <peal/bits.h>

#include "base/clock-posix.h"
#include "base/thread-posix.h"
#include "trace-record.h"
#include "trace-server.h"

#define RING_ORDER   16u
#define HISTORY      4096u /* commands; a power of two */
#define OUTPUT_SIZE  65536u
#define LOOK_MS      5  /* how often the ring is looked at for a reader */
#define IDLE_MS      50 /* and for the history alone */
#define LAST_WORD_NS UINT64_C(1000000000)

struct trace_server {
	struct peal_trace_ring *ring;
	struct sockaddr_un address;
	struct stat socket; /* the file that is ours to remove */
	int listener;
	int stop; /* eventfd */
	pthread_t thread;
	uint64_t began; /* ns */
	uint32_t connected;

	/* The thread's. */
	int client; /* -1: none */
	struct peal_trace_record history[HISTORY];
	uint64_t history_next; /* number of the next command */
	uint64_t replay;       /* commands from here on still go to the client… */
	uint64_t replay_end;   /* …up to here */
	uint64_t lost;         /* as told to the client */
	uint8_t output[OUTPUT_SIZE];
	size_t output_at, output_end;
};

void trace_server_its(void *user, const struct peal_its_trace *trace)
{
	struct trace_server *s = user;
	struct peal_trace_record record;

	/* Messages are many: they count for who looks at them. Commands tell what is mapped. */
	if (trace->kind == PEAL_ITS_TRACE_MESSAGE &&
	    !__atomic_load_n(&s->connected, __ATOMIC_RELAXED))
		return;
	trace_record_its(&record, peal_clock_ns() - s->began, trace);
	(void)peal_trace_push(s->ring, &record);
}

/* ---- output ---- */

static void disconnect(struct trace_server *s)
{
	__atomic_store_n(&s->connected, 0, __ATOMIC_RELAXED);
	if (s->client >= 0)
		(void)close(s->client);
	s->client = -1;
	s->output_at = s->output_end = 0;
}

static bool has_room(const struct trace_server *s)
{
	return OUTPUT_SIZE - s->output_end >= 2 * TRACE_RECORD_SIZE;
}

static void put_word(struct trace_server *s, uint64_t word)
{
	peal_store_le(s->output + s->output_end, 8, word);
	s->output_end += 8;
}

static void put(struct trace_server *s, const struct peal_trace_record *record)
{
	for (unsigned i = 0; i < PEAL_TRACE_WORDS; i++)
		put_word(s, record->words[i]);
}

static void put_lost(struct trace_server *s, uint64_t count)
{
	struct peal_trace_record record;

	trace_record_lost(&record, peal_clock_ns() - s->began, count);
	put(s, &record);
}

/* Sends what it can; false: there is something left. */
static bool flush(struct trace_server *s)
{
	while (s->client >= 0 && s->output_at < s->output_end) {
		ssize_t n = send(s->client, s->output + s->output_at, s->output_end - s->output_at,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return false;
		if (n < 0)
			disconnect(s);
		else
			s->output_at += (size_t)n;
	}
	s->output_at = s->output_end = 0;
	return true;
}

/* ---- records ---- */

static void remember(struct trace_server *s, const struct peal_trace_record *record)
{
	if (trace_record_kind(record) != TRACE_COMMAND)
		return;
	s->history[s->history_next++ % HISTORY] = *record;
}

/* Fills the output; false: there is nothing more to take. */
static bool take(struct trace_server *s)
{
	struct peal_trace_record record;

	while (s->client < 0 || has_room(s)) {
		uint64_t lost = peal_trace_lost(s->ring);

		if (s->client >= 0 && s->replay < s->replay_end) {
			put(s, &s->history[s->replay++ % HISTORY]);
			continue;
		}
		if (!peal_trace_pop(s->ring, &record))
			return false;
		remember(s, &record);
		if (s->client < 0)
			continue;
		if (lost != s->lost)
			put_lost(s, lost - s->lost);
		s->lost = lost;
		put(s, &record);
	}
	return true;
}

static void accept_client(struct trace_server *s)
{
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
	uint8_t header[TRACE_HEADER_SIZE];

	if (fd < 0)
		return;
	if (s->client >= 0) {
		peal_store_le(header, 8, TRACE_MAGIC);
		peal_store_le(header + 8, 8, TRACE_BUSY);
		(void)send(fd, header, sizeof(header), MSG_DONTWAIT | MSG_NOSIGNAL);
		(void)close(fd);
		return;
	}
	(void)take(s); /* into the history */
	s->client = fd;
	s->output_at = s->output_end = 0;
	put_word(s, TRACE_MAGIC);
	put_word(s, TRACE_READY);
	s->lost = peal_trace_lost(s->ring);
	s->replay_end = s->history_next;
	s->replay = s->history_next > HISTORY ? s->history_next - HISTORY : 0;
	if (s->replay)
		put_lost(s, s->replay);
	__atomic_store_n(&s->connected, 1, __ATOMIC_RELAXED);
}

/* All that was traced until now, as long as the client takes it. */
static void say_last_word(struct trace_server *s)
{
	uint64_t end = peal_clock_ns() + LAST_WORD_NS;
	bool more = true;

	while (s->client >= 0 && more && peal_clock_ns() < end) {
		struct pollfd client = { .fd = s->client, .events = POLLOUT };
		uint64_t lost = peal_trace_lost(s->ring);

		more = take(s);
		if (!more && lost != s->lost && has_room(s)) {
			put_lost(s, lost - s->lost);
			s->lost = lost;
		}
		if (!flush(s)) {
			more = true;
			(void)poll(&client, 1, 100);
		}
	}
	disconnect(s);
}

static void *serve(void *arg)
{
	struct trace_server *s = arg;

	for (;;) {
		bool full = !flush(s);
		struct pollfd fds[] = {
			{ .fd = s->stop, .events = POLLIN },
			{ .fd = s->listener, .events = POLLIN },
			/* A reader says nothing; what can be read is its end. */
			{ .fd = s->client, .events = (short)(POLLIN | (full ? POLLOUT : 0)) },
		};
		int busy = s->client >= 0 ? LOOK_MS : IDLE_MS;

		(void)poll(fds, PEAL_COUNT_OF(fds), take(s) && !full ? 0 : busy);
		if (fds[0].revents)
			break;
		if (s->client >= 0 && fds[2].revents & (POLLIN | POLLHUP | POLLERR))
			disconnect(s);
		if (fds[1].revents)
			accept_client(s);
	}
	say_last_word(s);
	return NULL;
}

/* ---- life ---- */

/* A socket that nobody listens to any more was left by a run that was killed. */
static void remove_stale(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat st;

	if (fd < 0)
		return;
	if (lstat(address->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	    connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
	    errno == ECONNREFUSED)
		(void)unlink(address->sun_path);
	(void)close(fd);
}

static int start_listening(struct trace_server *s)
{
	const struct sockaddr *address = (const struct sockaddr *)&s->address;
	mode_t mask;
	int r;

	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listener < 0)
		return -errno;
	remove_stale(&s->address);
	mask = umask(0077); /* whose run it is may look */
	r = bind(s->listener, address, sizeof(s->address)) < 0 ? -errno : 0;
	(void)umask(mask);
	if (r < 0)
		return r;
	if (lstat(s->address.sun_path, &s->socket) < 0 || listen(s->listener, 4) < 0)
		return -errno;
	return 0;
}

static int start_thread(struct trace_server *s)
{
	s->stop = eventfd(0, EFD_CLOEXEC);
	if (s->stop < 0)
		return -errno;
	return peal_thread_create(&s->thread, NULL, serve, s);
}

static void destroy(struct trace_server *s)
{
	struct stat st;

	/* Not a file that somebody put in its place. */
	if (s->socket.st_ino && lstat(s->address.sun_path, &st) == 0 &&
	    st.st_ino == s->socket.st_ino && st.st_dev == s->socket.st_dev)
		(void)unlink(s->address.sun_path);
	if (s->listener >= 0)
		(void)close(s->listener);
	if (s->stop >= 0)
		(void)close(s->stop);
	peal_trace_ring_free(s->ring);
	free(s);
}

int trace_server_new(struct trace_server **ret, const char *path)
{
	struct trace_server *s;
	int r;

	if (!*path)
		return -ENOENT;
	if (strlen(path) >= sizeof(s->address.sun_path))
		return -ENAMETOOLONG;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->listener = s->stop = s->client = -1;
	s->began = peal_clock_ns();
	s->address.sun_family = AF_UNIX;
	memcpy(s->address.sun_path, path, strlen(path));
	r = peal_trace_ring_new(&s->ring, peal_host_default(), RING_ORDER);
	if (r == 0)
		r = start_listening(s);
	if (r == 0)
		r = start_thread(s);
	if (r < 0) {
		destroy(s);
		return r;
	}
	*ret = s;
	return 0;
}

void trace_server_free(struct trace_server *server)
{
	if (!server)
		return;
	(void)eventfd_write(server->stop, 1);
	(void)pthread_join(server->thread, NULL);
	destroy(server);
}
