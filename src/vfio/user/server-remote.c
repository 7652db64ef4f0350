/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DMA by messages: DMA_READ and DMA_WRITE to a client that shares no memory for a range.
 * vfio-user Protocol Specification 0.9, "VFIO_USER_DMA_READ", "VFIO_USER_DMA_WRITE".
 *
 *   twin socket      who accesses sends and receives itself, under the mutex
 *   shared socket    who accesses sends and waits; the server's thread receives the reply
 *
 * On a shared socket the server's own thread cannot wait for itself, and a client that waits for
 * the reply to its request may not answer ours (QEMU does not): such an access is refused. Nor can
 * the thread wait in peal_space_sync() for who waits for it: it ends their waits first (drain).
 *
 * Nor while a command waits for who waits: a reset for the request that a queue is in, a change of
 * state for all requests. So who sees the thread stay in one command gives up, and lets it go on.
 *
 * A client that does not answer in time is disconnected, so that no late reply is ever taken for
 * another.
 */
#include <errno.h>

#include "base/clock-posix.h"
#include "server.h"

#define GIVE_UP_MS 1000 /* or a quarter of the time that the client has */

int vfu_remote_init(struct vfu_session *session)
{
	struct vfu_remote *remote = &session->remote;
	int r = peal_clock_cond_init(&remote->done);

	if (r < 0)
		return r;
	r = -pthread_mutex_init(&remote->mutex, NULL);
	if (r < 0) {
		(void)pthread_cond_destroy(&remote->done);
		return r;
	}
	remote->server = pthread_self();
	remote->ready = true;
	return 0;
}

void vfu_remote_done(struct vfu_session *session)
{
	struct vfu_remote *remote = &session->remote;

	if (!remote->ready)
		return;
	(void)pthread_mutex_destroy(&remote->mutex);
	(void)pthread_cond_destroy(&remote->done);
	remote->ready = false;
}

/* ---- replies ---- */

static bool is_reply_to(const struct vfu_remote_wait *wait, const struct vfu_message *message)
{
	return wait->id == message->header.id && wait->command == message->header.command;
}

/* The data of a reply, if it is the one to WAIT. */
static int take_reply(const struct vfu_remote_wait *wait, const struct vfu_message *message)
{
	struct vfu_dma_access access = { 0 };
	size_t fixed = sizeof(access);
	int r;

	if (message->header.flags & VFU_ERROR)
		return vfu_reply_error(&message->header);
	r = vfu_reply_check(wait->command, message->payload, message->size, message->fds.count);
	if (r < 0)
		return r;
	/* The count of a write's reply has 4 or 8 bytes; no count has more than 32 bits of value. */
	if (message->size < fixed)
		fixed = message->size;
	memcpy(&access, message->payload, fixed);
	if (!wait->bytes)
		access.count = (uint32_t)access.count;
	if (access.address != wait->access.address || access.count != wait->access.count)
		return -EPROTO;
	if (wait->bytes) {
		if (message->size != sizeof(access) + wait->access.count)
			return -EPROTO;
		memcpy(wait->bytes, message->payload + sizeof(access), (size_t)wait->access.count);
	} else if (message->size > sizeof(access)) {
		return -EPROTO;
	}
	return 0;
}

static void finish(struct vfu_remote *remote, struct vfu_remote_wait *wait, int result)
{
	struct vfu_remote_wait **link = &remote->waits;

	while (*link != wait)
		link = &(*link)->next;
	*link = wait->next;
	wait->result = result;
	wait->done = true;
	(void)pthread_cond_broadcast(&remote->done);
}

bool vfu_remote_reply(struct vfu_session *session, const struct vfu_message *message)
{
	struct vfu_remote *remote = &session->remote;
	struct vfu_remote_wait *wait;

	(void)pthread_mutex_lock(&remote->mutex);
	for (wait = remote->waits; wait; wait = wait->next) {
		if (is_reply_to(wait, message)) {
			finish(remote, wait, take_reply(wait, message));
			break;
		}
	}
	(void)pthread_mutex_unlock(&remote->mutex);
	return wait;
}

void vfu_remote_drain(struct vfu_session *session)
{
	struct vfu_remote *remote = &session->remote;

	if (!remote->ready)
		return;
	(void)pthread_mutex_lock(&remote->mutex);
	remote->draining = session->twin.host == NULL;
	while (remote->draining && remote->waits)
		finish(remote, remote->waits, -EIO);
	(void)pthread_mutex_unlock(&remote->mutex);
}

void vfu_remote_resume(struct vfu_session *session)
{
	struct vfu_remote *remote = &session->remote;

	if (!remote->ready)
		return;
	(void)pthread_mutex_lock(&remote->mutex);
	remote->draining = false;
	(void)pthread_mutex_unlock(&remote->mutex);
}

void vfu_remote_end(struct vfu_session *session)
{
	struct vfu_remote *remote = &session->remote;

	if (!remote->ready)
		return;
	/* Who waits there has the mutex. */
	if (__atomic_load_n(&remote->has_twin, __ATOMIC_ACQUIRE))
		vfu_channel_shut(&session->twin);
	(void)pthread_mutex_lock(&remote->mutex);
	remote->over = true;
	while (remote->waits)
		finish(remote, remote->waits, -EIO);
	(void)pthread_mutex_unlock(&remote->mutex);
}

void vfu_remote_turn(struct vfu_session *session)
{
	uint32_t *turn = &session->remote.turn;

	/* Only the server's thread changes it. */
	__atomic_store_n(turn, *turn + 1, __ATOMIC_RELAXED);
}

/* ---- requests ---- */

static int send_request(struct vfu_channel *channel, const struct vfu_remote_wait *wait,
			const void *data)
{
	const struct vfu_out out = {
		.header = { .id = wait->id, .command = wait->command },
		.fixed = &wait->access,
		.fixed_size = sizeof(wait->access),
		.data = data,
		.data_size = data ? (size_t)wait->access.count : 0,
	};

	return vfu_channel_send(channel, &out);
}

/* The reply on the twin socket, whatever others come before it. */
static int receive_twin(struct vfu_session *session, const struct vfu_remote_wait *wait)
{
	struct vfu_message *message = &session->remote.message;
	const int limit = session->twin.timeout;
	uint64_t t = peal_clock_ns() / PEAL_NS_PER_MS;
	const uint64_t end = limit < 0 ? UINT64_MAX : t + (uint64_t)limit;

	for (;;) {
		int r = vfu_channel_receive(&session->twin, message,
					    limit < 0 ? -1 : (int)(end - t));

		if (r < 0)
			return r == -EAGAIN ? -ETIMEDOUT : r;
		if (vfu_is_command(message)) {
			r = -EPROTO; /* they do not belong there */
		} else if (is_reply_to(wait, message)) {
			return 0;
		} else {
			peal_count(&session->server->counters.unsolicited, 1);
			t = peal_clock_ns() / PEAL_NS_PER_MS;
			r = t < end ? 0 : -ETIMEDOUT;
		}
		vfu_fds_close(&message->fds);
		if (r < 0)
			return r;
	}
}

/* With a socket of its own. The mutex is held. */
static int ask_twin(struct vfu_session *session, const struct vfu_remote_wait *wait,
		    const void *data)
{
	struct vfu_message *message = &session->remote.message;
	int r = send_request(&session->twin, wait, data);

	if (r == 0)
		r = receive_twin(session, wait);
	if (r < 0) {
		vfu_channel_shut(&session->twin);
		vfu_channel_shut(&session->channel);
		return -EIO;
	}
	r = take_reply(wait, message);
	vfu_fds_close(&message->fds);
	return r;
}

/* The mutex is held, and let go while waiting: until it is done, or NS. */
static void wait_until(struct vfu_remote *remote, const struct vfu_remote_wait *wait, uint64_t ns)
{
	const struct timespec end = peal_clock_timespec(ns);
	int r = 0;

	while (!wait->done && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&remote->done, &remote->mutex, &end);
}

/* Is the server's thread in the command that it was in at TURN? */
static bool is_in_command(const struct vfu_remote *remote, uint32_t turn)
{
	return turn & 1 && turn == __atomic_load_n(&remote->turn, __ATOMIC_RELAXED);
}

/* Looks now and then whether there is anybody to receive the reply. */
static void await(struct vfu_session *session, struct vfu_remote_wait *wait)
{
	const int limit = session->channel.timeout;
	const int look_ms = limit < 0 || limit / 4 > GIVE_UP_MS ? GIVE_UP_MS : limit / 4 + 1;
	struct vfu_remote *remote = &session->remote;
	uint64_t t = peal_clock_ns();
	const uint64_t end = limit < 0 ? UINT64_MAX : t + (uint64_t)limit * PEAL_NS_PER_MS;

	while (!wait->done) {
		const uint64_t look = t + (uint64_t)look_ms * PEAL_NS_PER_MS;
		const uint32_t turn = __atomic_load_n(&remote->turn, __ATOMIC_RELAXED);

		wait_until(remote, wait, look < end ? look : end);
		t = peal_clock_ns();
		if (wait->done)
			return;
		if (t >= end)
			vfu_channel_shut(&session->channel);
		else if (is_in_command(remote, turn))
			remote->given_up = turn;
		else
			continue;
		finish(remote, wait, -EIO);
	}
}

/*
 * On the socket of all. The mutex is held, and let go while sending, too: a client that does not read
 * meanwhile may be saying something itself, and the server's thread takes it in and gives the replies
 * to who waits.
 */
static int ask_shared(struct vfu_session *session, struct vfu_remote_wait *wait, const void *data)
{
	struct vfu_remote *remote = &session->remote;
	int r;

	if (pthread_equal(pthread_self(), remote->server))
		return -EDEADLK;
	/* What one has waited for in vain no other waits for. */
	if (remote->draining || is_in_command(remote, remote->given_up))
		return -EIO;
	wait->next = remote->waits;
	remote->waits = wait;
	(void)pthread_mutex_unlock(&remote->mutex);
	r = send_request(&session->channel, wait, data);
	(void)pthread_mutex_lock(&remote->mutex);
	if (r < 0 && !wait->done)
		finish(remote, wait, -EIO);
	await(session, wait);
	return wait->result;
}

static int ask(struct vfu_session *session, uint16_t command, uint64_t address, uint8_t *bytes,
	       const uint8_t *data, size_t size)
{
	struct peal_vfu_counters *counters = &session->server->counters;
	struct vfu_remote *remote = &session->remote;
	struct vfu_remote_wait wait = {
		.access = { .address = address, .count = size },
		.command = command,
		.bytes = bytes,
	};
	int r;

	(void)pthread_mutex_lock(&remote->mutex);
	wait.id = remote->next_id++;
	peal_count(&counters->dma_remote, 1);
	if (remote->over)
		r = -EIO;
	else if (session->twin.host)
		r = ask_twin(session, &wait, data);
	else
		r = ask_shared(session, &wait, data);
	(void)pthread_mutex_unlock(&remote->mutex);
	if (r < 0)
		peal_count(&counters->dma_failed, 1);
	return r;
}

/* In pieces that the client takes. */
static int access_remote(struct vfu_mapping *mapping, uint64_t offset, uint8_t *bytes,
			 const uint8_t *data, size_t size)
{
	struct vfu_session *session = mapping->session;
	int r = 0;

	if (!(mapping->flags & (data ? VFU_DMA_WRITABLE : VFU_DMA_READABLE)))
		return -EFAULT;
	while (r == 0 && size) {
		size_t part = size < session->max_data ? size : (size_t)session->max_data;

		r = ask(session, data ? VFU_DMA_WRITE : VFU_DMA_READ, mapping->first + offset,
			bytes, data, part);
		/* Also of one that failed nobody knows that nothing was written. */
		if (data)
			peal_space_dirty(session->server->config.dma, mapping->first + offset,
					 part);
		offset += part;
		size -= part;
		if (data)
			data += part;
		else
			bytes += part;
	}
	return r;
}

static int remote_read(void *user, uint64_t offset, void *bytes, size_t size)
{
	return access_remote(user, offset, bytes, NULL, size);
}

static int remote_write(void *user, uint64_t offset, const void *bytes, size_t size)
{
	return access_remote(user, offset, NULL, bytes, size);
}

const struct peal_mem_ops *vfu_remote_ops(void)
{
	static const struct peal_mem_ops ops = { .read = remote_read, .write = remote_write };

	return &ops;
}
