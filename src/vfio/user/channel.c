/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Channel: whole messages with their descriptors over one stream socket. POSIX.1-2017, and Linux
 * for MSG_CMSG_CLOEXEC.
 *
 * A receive brings as many messages as there are, and asks the kernel once for them. Descriptors are
 * a barrier there: a receive ends behind the bytes that they were sent with (unix(7)), so they belong
 * to the last message that begins in what it brought. Who sends several messages at once and attaches
 * descriptors to the first has them at the last, where they are refused. The rest of a payload is
 * received without room for descriptors: the kernel drops those that a peer attached to it.
 *
 * Without AHEAD no byte behind a message is taken: the socket says whether there is another one.
 *
 * Lock: send_mutex, around one whole message; leaf.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock-posix.h"
#include "channel.h"

#define FIRST_ROOM 4096u
#define PARTS      3
#define SMALL      256u     /* bytes that are copied together sooner than sent in parts */
#define YIELD_NS   1000000u /* a poll looks so long before it lets others run */

int vfu_address(struct sockaddr_un *ret, const char *path)
{
	const size_t length = strlen(path);

	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (length == 0 || length >= sizeof(ret->sun_path))
		return length ? -ENAMETOOLONG : -ENOENT;
	memcpy(ret->sun_path, path, length);
	return 0;
}

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

/* Keeps what the kernel gave us, so that it can be closed. */
static void take_control(struct vfu_channel *channel, struct msghdr *msg)
{
	struct vfu_fds *fds = &channel->fds;

	if (msg->msg_flags & MSG_CTRUNC)
		channel->fds_error = -EINVAL;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (fds->count < VFU_FDS_MAX) {
				fds->fd[fds->count++] = fd;
			} else {
				channel->fds_error = -EINVAL;
				(void)close(fd);
			}
		}
	}
	if (fds->count > channel->max_fds)
		channel->fds_error = -EINVAL;
	if (channel->fds_error)
		vfu_fds_close(fds);
}

/* What was received belongs to *RET. */
static void give_fds(struct vfu_channel *channel, struct vfu_message *ret)
{
	ret->fds_error = channel->fds_error;
	ret->fds.count = channel->fds.count;
	memcpy(ret->fds.fd, channel->fds.fd, channel->fds.count * sizeof(int));
	channel->fds.count = 0;
	channel->fds_error = 0;
}

/* ---- time ---- */

/* The end of MS milliseconds from now; 0: never. */
static uint64_t deadline_in(int ms)
{
	return ms < 0 ? 0 : peal_clock_ns() + (uint64_t)ms * PEAL_NS_PER_MS;
}

/* 0, -ETIMEDOUT, or -errno. */
static int wait_for(int fd, short events, uint64_t deadline)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = events };
		int left = -1, r;

		if (deadline) {
			uint64_t t = peal_clock_ns();

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
		.ahead = true,
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
	vfu_fds_close(&channel->fds);
	(void)pthread_mutex_destroy(&channel->send_mutex);
	peal_free(channel->host, channel->buffer, channel->room);
	channel->host = NULL;
}

void vfu_channel_shut(struct vfu_channel *channel)
{
	(void)shutdown(channel->fd, SHUT_RDWR);
}

void vfu_channel_set_wait(struct vfu_channel *channel, int wait)
{
	const struct timeval limit = { .tv_sec = wait / 1000, .tv_usec = wait % 1000 * 1000 };

	if (wait > 0 &&
	    setsockopt(channel->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0)
		channel->wait = wait;
}

/* ---- receiving ---- */

/* Moves what was received to the front of a buffer of SIZE bytes at least; max_size bounds it. */
static int make_room(struct vfu_channel *channel, size_t size)
{
	size_t have = channel->end - channel->begin, room = channel->room;
	uint8_t *buffer = channel->buffer;

	while (room < size)
		room *= 2;
	if (room > channel->room) {
		buffer = peal_alloc(channel->host, room);
		if (!buffer)
			return -ENOMEM;
	}
	if (have)
		memmove(buffer, channel->buffer + channel->begin, have);
	if (buffer != channel->buffer) {
		peal_free(channel->host, channel->buffer, channel->room);
		channel->buffer = buffer;
		channel->room = room;
	}
	channel->begin = 0;
	channel->end = have;
	return 0;
}

static bool is_again(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* At most SIZE bytes with what descriptors came along: how many, 0 at the end, -errno. */
static ssize_t receive_some(struct vfu_channel *channel, size_t size, int flags)
{
	/* Aligned as the kernel writes it, with room for all that can be sent at once. */
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(VFU_FDS_MAX * sizeof(int))];
	} control;
	struct iovec part = { .iov_base = channel->buffer + channel->end, .iov_len = size };
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
	take_control(channel, &msg);
	channel->end += (size_t)n;
	return n;
}

/* Looks for a while. -EAGAIN: nothing came. */
static ssize_t poll_some(struct vfu_channel *channel, size_t size)
{
	uint64_t start = peal_clock_ns(), t = start;

	while (t - start < channel->spin) {
		ssize_t n = receive_some(channel, size, MSG_DONTWAIT);

		if (n != -EAGAIN)
			return n;
		t = peal_clock_ns();
		if (t - start >= YIELD_NS)
			(void)sched_yield();
	}
	return -EAGAIN;
}

/* The first bytes of a message and what comes with them. */
static ssize_t receive_first(struct vfu_channel *channel, int wait)
{
	size_t size = channel->ahead ? channel->room : sizeof(struct vfu_header);
	uint64_t deadline = 0;
	ssize_t n = -EAGAIN;

	channel->begin = channel->end = 0;
	if (wait == 0)
		return receive_some(channel, size, MSG_DONTWAIT);
	if (channel->spin) {
		n = poll_some(channel, size);
		if (n != -EAGAIN)
			return n;
	}
	if (wait == channel->wait)
		return receive_some(channel, size, 0);
	if (wait > 0)
		deadline = deadline_in(wait);
	else
		n = receive_some(channel, size, 0);
	while (n == -EAGAIN) { /* an endless wait can end so by a signal */
		int r = wait_for(channel->fd, POLLIN, deadline);

		if (r < 0)
			return r == -ETIMEDOUT ? -EAGAIN : r;
		n = receive_some(channel, size, MSG_DONTWAIT);
	}
	return n;
}

/* Until SIZE bytes of the message are there, of which none was asked for before. */
static int complete(struct vfu_channel *channel, size_t size, bool in_header, uint64_t *deadline)
{
	int r = 0;

	if (channel->end - channel->begin < size)
		r = make_room(channel, size);
	while (r == 0 && channel->end - channel->begin < size) {
		size_t left = size - channel->end;
		ssize_t n;

		if (in_header) {
			n = receive_some(channel, left, MSG_DONTWAIT);
		} else {
			n = recv(channel->fd, channel->buffer + channel->end, left, MSG_DONTWAIT);
			if (n > 0)
				channel->end += (size_t)n;
			else if (n < 0)
				n = is_again() ? -EAGAIN : -errno;
		}
		if (n == -EAGAIN) {
			if (!*deadline)
				*deadline = deadline_in(channel->timeout);
			r = wait_for(channel->fd, POLLIN, *deadline);
		} else if (n <= 0) {
			r = n == 0 ? -ECONNRESET : (int)n;
		}
	}
	return r;
}

static int receive_message(struct vfu_channel *channel, struct vfu_message *ret, int wait)
{
	uint64_t deadline = 0;
	int r;

	if (channel->begin == channel->end) {
		ssize_t n = receive_first(channel, wait);

		if (n <= 0)
			return n == 0 ? -ECONNRESET : (int)n;
	}
	r = complete(channel, sizeof(ret->header), true, &deadline);
	if (r < 0)
		return r;
	memcpy(&ret->header, channel->buffer + channel->begin, sizeof(ret->header));
	r = vfu_header_check(&ret->header, channel->max_size);
	if (r < 0)
		return r;
	r = complete(channel, ret->header.size, false, &deadline);
	if (r < 0)
		return r;
	ret->payload = channel->buffer + channel->begin + sizeof(ret->header);
	ret->size = ret->header.size - sizeof(ret->header);
	channel->begin += ret->header.size;
	return 0;
}

int vfu_channel_receive(struct vfu_channel *channel, struct vfu_message *ret, int wait)
{
	int r;

	ret->fds.count = 0;
	ret->fds_error = 0;
	ret->size = 0;
	r = receive_message(channel, ret, wait);
	if (r == 0 && channel->begin == channel->end) {
		give_fds(channel, ret);
	} else if (r < 0) {
		vfu_fds_close(&channel->fds);
		channel->fds_error = 0;
		channel->begin = channel->end = 0;
	}
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

/* Takes N sent bytes off the front of the COUNT PARTS. */
static void advance(struct iovec *parts, size_t count, size_t n)
{
	for (size_t i = 0; i < count; i++) {
		size_t part = parts[i].iov_len < n ? parts[i].iov_len : n;

		if (!part) /* there may be nothing, at NULL */
			continue;
		parts[i].iov_base = (char *)parts[i].iov_base + part;
		parts[i].iov_len -= part;
		n -= part;
	}
}

/* One piece that goes alone needs no msghdr, which the kernel would have to fetch. */
static ssize_t send_some(struct vfu_channel *channel, const struct msghdr *msg)
{
	const int flags = MSG_NOSIGNAL | MSG_DONTWAIT;

	if (msg->msg_iovlen == 1 && !msg->msg_control)
		return send(channel->fd, msg->msg_iov->iov_base, msg->msg_iov->iov_len, flags);
	return sendmsg(channel->fd, msg, flags);
}

/* LEFT bytes, of which so many are left when it fails. */
static int send_parts(struct vfu_channel *channel, struct msghdr *msg, size_t *left)
{
	uint64_t deadline = 0;

	while (*left) {
		ssize_t n = send_some(channel, msg);

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
		*left -= (size_t)n;
		advance(msg->msg_iov, msg->msg_iovlen, (size_t)n);
	}
	return 0;
}

/* Makes one piece at BYTES of PARTS, which are small. */
static void gather(struct iovec *parts, uint8_t *bytes)
{
	size_t size = 0;

	for (unsigned i = 0; i < PARTS; i++) {
		if (parts[i].iov_len) /* there may be nothing, at NULL */
			memcpy(bytes + size, parts[i].iov_base, parts[i].iov_len);
		size += parts[i].iov_len;
	}
	parts[0] = (struct iovec){ .iov_base = bytes, .iov_len = size };
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
	size_t size = sizeof(header) + out->fixed_size + out->data_size, left = size;
	uint8_t small[SMALL];
	int r;

	PEAL_ASSERT(out->nfds <= VFU_FDS_MAX && size <= UINT32_MAX);
	header.size = (uint32_t)size;
	if (size <= sizeof(small)) {
		gather(parts, small);
		msg.msg_iovlen = 1;
	}
	attach(&msg, control.bytes, out);
	(void)pthread_mutex_lock(&channel->send_mutex);
	r = send_parts(channel, &msg, &left);
	/* Another sender's message would be taken for the other half of this one. */
	if (r < 0 && left < size)
		vfu_channel_shut(channel);
	(void)pthread_mutex_unlock(&channel->send_mutex);
	return r;
}
