/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Channel: whole messages with their descriptors over one stream socket. POSIX.1-2017, and Linux
 * for MSG_CMSG_CLOEXEC.
 *
 * The header is received on its own: a longer receive could reach into the next message and bring
 * that one's descriptors. What follows is received without room for descriptors, so that the
 * kernel drops those that a peer attached to it.
 *
 * Lock: send_mutex, around one whole message; leaf.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "channel.h"

#define FIRST_ROOM 4096u
#define PARTS      3

/* ---- descriptors ---- */

int vfu_fds_take(struct vfu_fds *fds, unsigned index)
{
	int fd = fds->fd[index];

	fds->fd[index] = -1;
	return fd;
}

void vfu_fds_close(struct vfu_fds *fds)
{
	for (unsigned i = 0; i < fds->count; i++) {
		if (fds->fd[i] >= 0)
			(void)close(fds->fd[i]);
	}
	fds->count = 0;
}

/* Keeps what the kernel gave us, so that it can be closed; false: there were too many. */
static bool take_control(struct msghdr *msg, struct vfu_fds *fds, unsigned max_fds)
{
	bool fits = !(msg->msg_flags & MSG_CTRUNC);

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (fds->count == VFU_FDS_MAX) {
				(void)close(fd);
				fits = false;
				continue;
			}
			fds->fd[fds->count++] = fd;
		}
	}
	return fits && fds->count <= max_fds;
}

/* ---- time ---- */

static uint64_t now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The end of MS milliseconds from now; 0: never. */
static uint64_t deadline_in(int ms)
{
	return ms < 0 ? 0 : now() + (uint64_t)ms * 1000000u;
}

/* 0, -ETIMEDOUT, or -errno. */
static int wait_for(int fd, short events, uint64_t deadline)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = events };
		int left = -1, r;

		if (deadline) {
			uint64_t t = now();

			left = t < deadline ? (int)((deadline - t + 999999u) / 1000000u) : 0;
		}
		r = poll(&p, 1, left);
		if (r > 0)
			return 0;
		if (r == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

/* ---- life ---- */

int vfu_channel_init(struct vfu_channel *channel, const struct peal_host *host, int fd,
		     size_t max_size, unsigned max_fds, int timeout)
{
	int r;

	*channel = (struct vfu_channel){
		.host = host,
		.fd = fd,
		.max_size = max_size,
		.max_fds = max_fds < VFU_FDS_MAX ? max_fds : VFU_FDS_MAX,
		.timeout = timeout,
		.room = FIRST_ROOM,
	};
	channel->buffer = peal_alloc(host, channel->room);
	r = channel->buffer ? -pthread_mutex_init(&channel->send_mutex, NULL) : -ENOMEM;
	if (r < 0) {
		peal_free(host, channel->buffer, channel->room);
		(void)close(fd);
		channel->host = NULL;
	}
	return r;
}

void vfu_channel_done(struct vfu_channel *channel)
{
	if (!channel->host)
		return;
	(void)close(channel->fd);
	(void)pthread_mutex_destroy(&channel->send_mutex);
	peal_free(channel->host, channel->buffer, channel->room);
	channel->host = NULL;
}

void vfu_channel_shut(struct vfu_channel *channel)
{
	(void)shutdown(channel->fd, SHUT_RDWR);
}

/* ---- receiving ---- */

/* Room for SIZE bytes, which max_size bounds. What is in the buffer is lost. */
static int make_room(struct vfu_channel *channel, size_t size)
{
	size_t room = channel->room;
	uint8_t *buffer;

	if (size <= room)
		return 0;
	while (room < size)
		room *= 2;
	buffer = peal_alloc(channel->host, room);
	if (!buffer)
		return -ENOMEM;
	peal_free(channel->host, channel->buffer, channel->room);
	channel->buffer = buffer;
	channel->room = room;
	return 0;
}

static bool is_again(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* Some bytes of a header with what descriptors came along: how many, 0 at the end, -errno. */
static ssize_t receive_some(struct vfu_channel *channel, uint8_t *bytes, size_t size,
			    struct vfu_message *ret, int flags)
{
	/* Aligned as the kernel writes it, with room for all that can be sent at once. */
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(VFU_FDS_MAX * sizeof(int))];
	} control;
	struct iovec part = { .iov_base = bytes, .iov_len = size };
	struct msghdr msg = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		/* One more than allowed shows that there were too many. */
		.msg_controllen = CMSG_SPACE(((size_t)channel->max_fds + 1) * sizeof(int)),
	};
	ssize_t n;

	if (msg.msg_controllen > sizeof(control.bytes))
		msg.msg_controllen = sizeof(control.bytes);
	n = recvmsg(channel->fd, &msg, flags | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return is_again() ? -EAGAIN : -errno;
	if (!take_control(&msg, &ret->fds, channel->max_fds))
		ret->fds_error = -EINVAL;
	return n;
}

/* The first bytes of a header: looks for a while when asked to, then sleeps. */
static ssize_t receive_first(struct vfu_channel *channel, uint8_t *bytes, struct vfu_message *ret,
			     int wait)
{
	uint64_t deadline = deadline_in(wait);
	uint64_t spin_end = channel->spin && wait ? now() + channel->spin : 0;
	int flags = wait < 0 && !spin_end ? 0 : MSG_DONTWAIT;

	for (;;) {
		ssize_t n = receive_some(channel, bytes, sizeof(struct vfu_header), ret, flags);
		int r;

		if (n != -EAGAIN)
			return n;
		if (spin_end && now() < spin_end) {
			(void)sched_yield();
			continue;
		}
		spin_end = 0;
		r = wait_for(channel->fd, POLLIN, deadline);
		if (r < 0)
			return r == -ETIMEDOUT ? -EAGAIN : r;
	}
}

static int receive_header(struct vfu_channel *channel, struct vfu_message *ret, int wait,
			  uint64_t *deadline)
{
	uint8_t bytes[sizeof(struct vfu_header)];
	ssize_t n = receive_first(channel, bytes, ret, wait);
	size_t have;

	if (n <= 0)
		return n == 0 ? -ECONNRESET : (int)n;
	*deadline = deadline_in(channel->timeout);
	for (have = (size_t)n; have < sizeof(bytes); have += (size_t)n) {
		n = receive_some(channel, bytes + have, sizeof(bytes) - have, ret, MSG_DONTWAIT);
		if (n == -EAGAIN) {
			int r = wait_for(channel->fd, POLLIN, *deadline);

			if (r < 0)
				return r;
			n = 0;
		} else if (n <= 0) {
			return n == 0 ? -ECONNRESET : (int)n;
		}
	}
	memcpy(&ret->header, bytes, sizeof(bytes));
	return vfu_header_check(&ret->header, channel->max_size);
}

static int receive_payload(struct vfu_channel *channel, size_t size, uint64_t deadline)
{
	size_t have = 0;
	int r = make_room(channel, size);

	while (r == 0 && have < size) {
		ssize_t n = recv(channel->fd, channel->buffer + have, size - have, MSG_DONTWAIT);

		if (n > 0)
			have += (size_t)n;
		else if (n == 0)
			r = -ECONNRESET;
		else
			r = is_again() ? wait_for(channel->fd, POLLIN, deadline) : -errno;
	}
	return r;
}

int vfu_channel_receive(struct vfu_channel *channel, struct vfu_message *ret, int wait)
{
	uint64_t deadline = 0;
	int r;

	ret->fds.count = 0;
	ret->fds_error = 0;
	ret->size = 0;
	r = receive_header(channel, ret, wait, &deadline);
	if (r == 0) {
		ret->size = ret->header.size - sizeof(ret->header);
		r = receive_payload(channel, ret->size, deadline);
		ret->payload = channel->buffer;
	}
	if (r < 0 || ret->fds_error)
		vfu_fds_close(&ret->fds);
	return r;
}

/* ---- sending ---- */

static void attach(struct msghdr *msg, char *control, const struct vfu_out *out)
{
	struct cmsghdr *c;

	if (!out->nfds)
		return;
	msg->msg_control = control;
	msg->msg_controllen = CMSG_SPACE(out->nfds * sizeof(int));
	memset(control, 0, msg->msg_controllen);
	c = CMSG_FIRSTHDR(msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(out->nfds * sizeof(int));
	memcpy(CMSG_DATA(c), out->fds, out->nfds * sizeof(int));
}

/* Takes N sent bytes off the front of PARTS. */
static void advance(struct iovec *parts, size_t n)
{
	for (unsigned i = 0; i < PARTS; i++) {
		size_t part = parts[i].iov_len < n ? parts[i].iov_len : n;

		if (!part) /* there may be nothing, at NULL */
			continue;
		parts[i].iov_base = (char *)parts[i].iov_base + part;
		parts[i].iov_len -= part;
		n -= part;
	}
}

static int send_parts(struct vfu_channel *channel, struct msghdr *msg, size_t left)
{
	uint64_t deadline = 0;

	while (left) {
		ssize_t n = sendmsg(channel->fd, msg, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0) {
			int r;

			if (!is_again())
				return errno == ECONNRESET ? -EPIPE : -errno;
			if (!deadline)
				deadline = deadline_in(channel->timeout);
			r = wait_for(channel->fd, POLLOUT, deadline);
			if (r < 0)
				return r;
			continue;
		}
		/* The descriptors went with the first byte. */
		msg->msg_control = NULL;
		msg->msg_controllen = 0;
		left -= (size_t)n;
		advance(msg->msg_iov, (size_t)n);
	}
	return 0;
}

int vfu_channel_send(struct vfu_channel *channel, const struct vfu_out *out)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(VFU_FDS_MAX * sizeof(int))];
	} control;
	struct vfu_header header = out->header;
	struct iovec parts[PARTS] = {
		{ .iov_base = &header, .iov_len = sizeof(header) },
		{ .iov_base = (void *)(uintptr_t)out->fixed, .iov_len = out->fixed_size },
		{ .iov_base = (void *)(uintptr_t)out->data, .iov_len = out->data_size },
	};
	struct msghdr msg = { .msg_iov = parts, .msg_iovlen = PARTS };
	size_t size = sizeof(header) + out->fixed_size + out->data_size;
	int r;

	PEAL_ASSERT(out->nfds <= VFU_FDS_MAX && size <= UINT32_MAX);
	header.size = (uint32_t)size;
	attach(&msg, control.bytes, out);
	(void)pthread_mutex_lock(&channel->send_mutex);
	r = send_parts(channel, &msg, size);
	(void)pthread_mutex_unlock(&channel->send_mutex);
	return r;
}
