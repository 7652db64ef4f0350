/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A thread that sleeps beside the server's while a client is served, and wakes it up out of what a
 * client can hold it up in when it cannot look itself: an eventfd whose counter the client filled
 * after it cleared O_NONBLOCK (vfio/eventfd-posix.c). While the client is there that is its own
 * device, and its own harm. When it is gone, or the server is stopped, the next client's turn has come:
 * from then on the guard empties such counters until the irqset has given back all it had of this one.
 * Nor does anybody wait then for an answer of the client: it may give them byte for byte, on a socket of
 * their own that it kept open.
 *
 * It waits for a hang-up only, not for messages, and so costs them nothing.
 */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <peal/bits.h>

#include "base/thread-posix.h"
#include "server.h"

#define AGAIN_MS 10
#define STACK    (256u << 10)

static void *watch(void *argument)
{
	struct vfu_session *session = argument;
	struct peal_irqset *irqset = session->server->config.irqset;
	struct pollfd p[3] = {
		{ .fd = session->guard.end_fd, .events = POLLIN },
		{ .fd = session->server->stop_fd, .events = POLLIN },
		{ .fd = session->channel.fd, .events = POLLRDHUP },
	};
	int wait = -1;

	for (;;) {
		if (poll(p, PEAL_COUNT_OF(p), wait) < 0)
			continue;
		if (p[0].revents)
			return NULL;
		if (wait < 0)
			vfu_remote_end(session);
		if (irqset)
			peal_irqset_unblock(irqset);
		/* What has happened stays so; who was woken may be held up in the next one. */
		p[1].fd = p[2].fd = -1;
		wait = AGAIN_MS;
	}
}

static int start(struct vfu_session *session)
{
	pthread_attr_t attributes;
	int r = -pthread_attr_init(&attributes);

	if (r < 0)
		return r;
	(void)pthread_attr_setstacksize(&attributes, STACK);
	r = peal_thread_create(&session->guard.thread, &attributes, watch, session);
	(void)pthread_attr_destroy(&attributes);
	return r;
}

int vfu_guard_start(struct vfu_session *session)
{
	int r;

	session->guard.end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (session->guard.end_fd < 0)
		return -errno;
	r = start(session);
	if (r < 0)
		(void)close(session->guard.end_fd);
	session->guard.is_running = r == 0;
	return r;
}

void vfu_guard_end(struct vfu_session *session)
{
	const uint64_t one = 1;
	ssize_t n;

	if (!session->guard.is_running)
		return;
	n = write(session->guard.end_fd, &one, sizeof(one));
	PEAL_ASSERT(n == (ssize_t)sizeof(one));
	(void)pthread_join(session->guard.thread, NULL);
	(void)close(session->guard.end_fd);
	session->guard.is_running = false;
}
