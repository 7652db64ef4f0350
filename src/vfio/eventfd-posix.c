/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Eventfds as triggers and unmask watchers. eventfd(2), epoll(7), proc(5).
 *
 * A trigger is nothing but a duplicate of the user's descriptor: its number, and whether writing to
 * it may block, are the handle, so a signal is one system call (two if it could block). The
 * descriptor comes from a peer that may have filled its counter up: a write that would block has
 * nothing to tell, as what is there has not been read. Whether it would is asked first; the user's
 * open file description, with its O_NONBLOCK, is not ours to change.
 *
 * Nor is it ours to keep: a peer may clear O_NONBLOCK afterwards, or fill the counter behind the
 * question, and the write sleeps. There is no write that would not (RWF_NOWAIT is EOPNOTSUPP here,
 * aio and io_uring cost more than the write). Who sleeps so is woken by trigger_unblock().
 *
 * Watchers are in an epoll instance that a thread of their own waits for; it knows them by number,
 * because it may come with an event of one that is gone. The mutex is a leaf: fire is called without
 * it, as it may take as long as its user likes; who takes the watcher away waits for that, others
 * do not.
 *
 * That a watcher's last other descriptor was closed cannot be seen here: the duplicate keeps the
 * eventfd open. It goes with its INTx index.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <peal/vfio.h>

#include "base/thread-posix.h"
#include "eventfd.h"

#define FIRST_FD 3 /* 0, 1 and 2 are the program's, and a trigger is not NULL */

struct watcher {
	struct watcher *next;
	uint64_t number;
	int fd;
	void (*fire)(void *argument, bool closed);
	void *argument;
};

struct peal_eventfds {
	pthread_mutex_t mutex;
	pthread_cond_t fired;
	pthread_t thread;
	int epoll; /* -1: no watcher yet, no thread */
	int stop;
	uint64_t numbers; /* given to watchers; 0 is the stop */
	struct watcher *watchers;
	const struct watcher *firing; /* by the thread */
};

/* ---- descriptors ---- */

static bool behaves_as_eventfd(int fd)
{
	const uint64_t nothing = 0;
	struct stat st;

	/* An anonymous inode has no type; of those that can be written to, only an eventfd takes
	 * eight zero bytes as they are, and they change nothing. */
	return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == 0 &&
	       write(fd, &nothing, sizeof(nothing)) == (ssize_t)sizeof(nothing);
}

bool eventfd_is(int fd, const char *proc)
{
	static const char target[] = "anon_inode:[eventfd]";
	char path[64], link[sizeof(target) + 1];
	ssize_t length;

	(void)snprintf(path, sizeof(path), "%s/%d", proc, fd);
	length = readlink(path, link, sizeof(link));
	if (length < 0)
		return behaves_as_eventfd(fd);
	return (size_t)length == sizeof(target) - 1 &&
	       memcmp(link, target, sizeof(target) - 1) == 0;
}

/* A duplicate of an eventfd. First duplicated, then looked at: nobody changes it in between. */
static int duplicate(int fd)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD);

	if (own < 0)
		return -errno;
	if (eventfd_is(own, "/proc/self/fd"))
		return own;
	(void)close(own);
	return -EINVAL;
}

/* ---- triggers: the descriptor, and in bit 0 whether it blocks ---- */

static int trigger_get(void *user, int fd, void **ret)
{
	int own = duplicate(fd), flags;

	(void)user;
	if (own < 0)
		return own;
	flags = fcntl(own, F_GETFL);
	*ret = (void *)((uintptr_t)own << 1 | (flags < 0 || !(flags & O_NONBLOCK)));
	return 0;
}

static int trigger_fd(void *trigger)
{
	return (int)((uintptr_t)trigger >> 1);
}

static void trigger_put(void *user, void *trigger)
{
	(void)user;
	(void)close(trigger_fd(trigger));
}

static bool is_full(int fd)
{
	struct pollfd poller = { .fd = fd, .events = POLLOUT };

	return poll(&poller, 1, 0) != 1;
}

/*
 * Adds one event: 0 or -errno. Not write(), which is a point of cancellation: a thread that raises
 * is in a section of the irqset that it must come out of. And not syscall() where it need not be:
 * its return comes behind the system call (see peal_trigger_ops).
 */
static inline long add_one(int fd)
{
	static const uint64_t one = 1;
#if defined(__x86_64__)
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "0"((long)SYS_write), "D"((long)fd), "S"(&one), "d"(sizeof(one))
			 : "rcx", "r11", "memory");
	return r < 0 ? r : 0;
#else
	return syscall(SYS_write, fd, &one, sizeof(one)) < 0 ? -errno : 0;
#endif
}

/* A counter that is full says what there is to say. */
static __attribute__((noinline)) void signal_unless_full(int fd)
{
	while (!is_full(fd) && add_one(fd) == -EINTR)
		;
}

/* One that does not block is not interrupted either. */
static int trigger_signal(void *user, void *trigger, uint64_t *left)
{
	(void)user;
	if (peal_unlikely((uintptr_t)trigger & 1))
		signal_unless_full(trigger_fd(trigger));
	else
		(void)add_one(trigger_fd(trigger));
	return peal_trigger_leave(left);
}

/* ---- watchers ---- */

/* Takes the signal without waiting for one, whatever the descriptor's flags are. */
static bool take(int fd)
{
	uint64_t count;
	struct iovec iov = { .iov_base = &count, .iov_len = sizeof(count) };
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	ssize_t n = preadv2(fd, &iov, 1, -1, RWF_NOWAIT);

	if (n < 0 && errno == EOPNOTSUPP && poll(&poller, 1, 0) == 1)
		n = read(fd, &count, sizeof(count));
	return n == (ssize_t)sizeof(count);
}

/*
 * Only the user of a descriptor fills its counter. Who waits to add one does so then: the user finds
 * what it would have found, less what it had put there itself.
 */
static void trigger_unblock(void *user, void *trigger)
{
	const int fd = trigger_fd(trigger);

	(void)user;
	if (is_full(fd))
		(void)take(fd);
}

/* The watcher of a number, if it is still there and was signalled. Under the mutex. */
static struct watcher *take_watcher(const struct peal_eventfds *eventfds, uint64_t number)
{
	struct watcher *w = eventfds->watchers;

	while (w && w->number != number)
		w = w->next;
	return w && take(w->fd) ? w : NULL;
}

static void fire_watcher(struct peal_eventfds *eventfds, uint64_t number)
{
	struct watcher *w;

	(void)pthread_mutex_lock(&eventfds->mutex);
	w = take_watcher(eventfds, number);
	eventfds->firing = w;
	(void)pthread_mutex_unlock(&eventfds->mutex);
	if (!w)
		return;
	w->fire(w->argument, false);
	(void)pthread_mutex_lock(&eventfds->mutex);
	eventfds->firing = NULL;
	(void)pthread_cond_broadcast(&eventfds->fired);
	(void)pthread_mutex_unlock(&eventfds->mutex);
}

static void *watch_thread(void *argument)
{
	struct peal_eventfds *eventfds = argument;

	for (;;) {
		struct epoll_event event;
		int n = epoll_wait(eventfds->epoll, &event, 1, -1);

		if (n < 0 && errno == EINTR)
			continue;
		PEAL_ASSERT(n == 1);
		if (event.data.u64 == 0)
			return NULL;
		fire_watcher(eventfds, event.data.u64);
	}
}

static int poller_add(const struct peal_eventfds *eventfds, int fd, uint64_t number)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = number };

	return epoll_ctl(eventfds->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void stop_thread(struct peal_eventfds *eventfds)
{
	if (eventfds->stop >= 0)
		(void)close(eventfds->stop);
	if (eventfds->epoll >= 0)
		(void)close(eventfds->epoll);
	eventfds->stop = -1;
	eventfds->epoll = -1;
}

/* Under the mutex. */
static int start_thread(struct peal_eventfds *eventfds)
{
	int r = 0;

	if (eventfds->epoll >= 0)
		return 0;
	eventfds->epoll = epoll_create1(EPOLL_CLOEXEC);
	eventfds->stop = eventfds->epoll < 0 ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (eventfds->stop < 0)
		r = -errno;
	if (r == 0)
		r = poller_add(eventfds, eventfds->stop, 0);
	if (r == 0)
		r = peal_thread_create(&eventfds->thread, NULL, watch_thread, eventfds);
	if (r < 0)
		stop_thread(eventfds);
	return r;
}

/* Under the mutex. */
static int add_watcher(struct peal_eventfds *eventfds, struct watcher *w)
{
	int r = start_thread(eventfds);

	if (r < 0)
		return r;
	w->number = ++eventfds->numbers;
	r = poller_add(eventfds, w->fd, w->number);
	if (r < 0)
		return r;
	w->next = eventfds->watchers;
	eventfds->watchers = w;
	return 0;
}

static int watch(void *user, int fd, void (*fire)(void *argument, bool closed), void *argument,
		 void **ret)
{
	struct peal_eventfds *eventfds = user;
	struct watcher *w;
	int own = duplicate(fd), r;

	if (own < 0)
		return own;
	w = malloc(sizeof(*w));
	if (!w) {
		(void)close(own);
		return -ENOMEM;
	}
	*w = (struct watcher){ .fd = own, .fire = fire, .argument = argument };
	(void)pthread_mutex_lock(&eventfds->mutex);
	r = add_watcher(eventfds, w);
	(void)pthread_mutex_unlock(&eventfds->mutex);
	if (r < 0) {
		(void)close(own);
		free(w);
		return r;
	}
	*ret = w;
	return 0;
}

/* Takes a signal that the thread has not seen yet, and lets it come out with what it has. */
static bool take_last(struct peal_eventfds *eventfds, const struct watcher *w)
{
	while (eventfds->firing == w)
		(void)pthread_cond_wait(&eventfds->fired, &eventfds->mutex);
	return take(w->fd);
}

static void flush(void *user, void *watcher)
{
	struct peal_eventfds *eventfds = user;
	const struct watcher *w = watcher;
	bool last;

	(void)pthread_mutex_lock(&eventfds->mutex);
	last = take_last(eventfds, w);
	(void)pthread_mutex_unlock(&eventfds->mutex);
	if (last)
		w->fire(w->argument, false);
}

/* A signal that the thread has not seen yet is not lost. */
static void unwatch(void *user, void *watcher)
{
	struct peal_eventfds *eventfds = user;
	struct watcher *w = watcher, **at;
	bool last;

	(void)pthread_mutex_lock(&eventfds->mutex);
	for (at = &eventfds->watchers; *at != w; at = &(*at)->next)
		;
	*at = w->next;
	(void)epoll_ctl(eventfds->epoll, EPOLL_CTL_DEL, w->fd, NULL);
	last = take_last(eventfds, w);
	(void)pthread_mutex_unlock(&eventfds->mutex);
	if (last)
		w->fire(w->argument, false);
	(void)close(w->fd);
	free(w);
}

/* ---- descriptors for others ---- */

static int create(void *user)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	(void)user;
	return fd < 0 ? -errno : fd;
}

static void destroy(void *user, int fd)
{
	(void)user;
	(void)close(fd);
}

/* ---- life ---- */

int peal_eventfds_new(struct peal_eventfds **ret)
{
	struct peal_eventfds *eventfds = malloc(sizeof(*eventfds));
	int error;

	if (!eventfds)
		return -ENOMEM;
	*eventfds = (struct peal_eventfds){ .epoll = -1, .stop = -1 };
	error = pthread_mutex_init(&eventfds->mutex, NULL);
	if (error == 0) {
		error = pthread_cond_init(&eventfds->fired, NULL);
		if (error)
			(void)pthread_mutex_destroy(&eventfds->mutex);
	}
	if (error) {
		free(eventfds);
		return -error;
	}
	*ret = eventfds;
	return 0;
}

void peal_eventfds_free(struct peal_eventfds *eventfds)
{
	const uint64_t one = 1;

	if (!eventfds)
		return;
	PEAL_ASSERT(!eventfds->watchers);
	if (eventfds->epoll >= 0) {
		ssize_t n = write(eventfds->stop, &one, sizeof(one));

		PEAL_ASSERT(n == (ssize_t)sizeof(one));
		(void)pthread_join(eventfds->thread, NULL);
	}
	stop_thread(eventfds);
	(void)pthread_cond_destroy(&eventfds->fired);
	(void)pthread_mutex_destroy(&eventfds->mutex);
	free(eventfds);
}

const struct peal_trigger_ops *peal_eventfds_ops(void)
{
	static const struct peal_trigger_ops ops = {
		.get = trigger_get,
		.put = trigger_put,
		.signal = trigger_signal,
		.unblock = trigger_unblock,
		.watch = watch,
		.unwatch = unwatch,
		.flush = flush,
		.create = create,
		.destroy = destroy,
	};

	return &ops;
}
