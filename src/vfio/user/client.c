/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vfio-user client: the connection. vfio-user Protocol Specification 0.9.
 *
 * One request at a time; who makes it receives its reply. Commands of the server come on a socket of
 * their own when it opens one, and a thread answers them. If not, they come between the replies:
 * who waits for a reply answers what comes before it, and while nobody waits the thread does.
 *
 *   requests ──▶ ═══ channel ═══ ◀── replies, and commands when there is no twin
 *   thread   ◀── ═══  twin   ═══ ◀── commands
 *
 * Locks: mutex is held for a request with its reply, and by the thread while it answers a command
 * that came on the channel.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock-posix.h"
#include "client.h"

#define DEFAULT_MSG_FDS 16u
#define DEFAULT_XFER    (UINT64_C(1) << 20)
#define MAX_XFER        (UINT64_C(16) << 20)
#define DEFAULT_TIMEOUT 5000
#define CONNECT_SECONDS 5

/* ---- commands of the server ---- */

static int dma_read(struct peal_vfu_client *client, const struct vfu_dma_access *access,
		    struct vfu_out *reply)
{
	int r = peal_space_read(client->space, access->address, client->dma_buffer,
				(size_t)access->count);

	reply->data = client->dma_buffer;
	reply->data_size = (size_t)access->count;
	return r;
}

static int handle(struct peal_vfu_client *client, const struct vfu_message *message,
		  struct vfu_dma_access *access, struct vfu_out *reply)
{
	int r = message->fds_error;

	if (r == 0)
		r = vfu_request_check(&message->header, message->payload, message->size,
				      client->max_data, message->fds.count, false);
	if (r < 0)
		return r;
	memcpy(access, message->payload, sizeof(*access));
	reply->fixed = access;
	reply->fixed_size = sizeof(*access);
	if (message->header.command == VFU_DMA_READ)
		return dma_read(client, access, reply);
	return peal_space_write(client->space, access->address, message->payload + sizeof(*access),
				(size_t)access->count);
}

/* Answers the command in MESSAGE, which came on CHANNEL. */
static int answer(struct peal_vfu_client *client, struct vfu_channel *channel,
		  struct vfu_message *message)
{
	struct vfu_dma_access access;
	struct vfu_out reply = { 0 };
	int r = handle(client, message, &access, &reply);

	vfu_fds_close(&message->fds);
	if (r < 0)
		reply = (struct vfu_out){ .header = { .flags = VFU_ERROR, .error = (uint32_t)-r } };
	if (message->header.flags & VFU_NO_REPLY)
		return 0;
	reply.header.id = message->header.id;
	reply.header.command = message->header.command;
	reply.header.flags |= VFU_TYPE_REPLY;
	return vfu_channel_send(channel, &reply);
}

/* ---- requests ---- */

void vfu_client_lock(struct peal_vfu_client *client)
{
	(void)__atomic_fetch_add(&client->waiting, 1, __ATOMIC_RELAXED);
	(void)pthread_mutex_lock(&client->mutex);
}

void vfu_client_unlock(struct peal_vfu_client *client)
{
	if (__atomic_fetch_sub(&client->waiting, 1, __ATOMIC_RELAXED) == 1)
		(void)pthread_cond_signal(&client->idle);
	(void)pthread_mutex_unlock(&client->mutex);
}

static int fail(struct peal_vfu_client *client, int r)
{
	if (!client->broken)
		client->broken = r;
	vfu_channel_shut(&client->channel);
	return r;
}

int vfu_client_nonsense(struct peal_vfu_client *client)
{
	return fail(client, -EPROTO);
}

/*
 * The reply to ID, whatever else comes before it: commands are answered, other replies dropped. All
 * of it within the time limit, so that a server that keeps on talking does not keep us.
 */
static int await(struct peal_vfu_client *client, uint16_t id, uint16_t command)
{
	uint64_t end = peal_clock_ns() / PEAL_NS_PER_MS +
		       (uint64_t)(client->config.timeout_ms > 0 ? client->config.timeout_ms : 0);
	struct vfu_message *message = &client->message;

	/* All of the time at first, however little of it went by: the channel is set up for that. */
	for (int wait = client->config.timeout_ms;;) {
		int r = vfu_channel_receive(&client->channel, message, wait);

		if (r == 0 && vfu_is_command(message))
			r = answer(client, &client->channel, message);
		else if (r == 0 && message->header.id == id && message->header.command == command)
			return 0;
		else if (r == 0)
			vfu_fds_close(&message->fds);
		if (r < 0 && r != -EAGAIN)
			return r;
		if (client->config.timeout_ms >= 0) {
			uint64_t t = peal_clock_ns() / PEAL_NS_PER_MS;

			if (t >= end)
				return -ETIMEDOUT;
			wait = (int)(end - t);
		}
	}
}

int vfu_client_tell(struct peal_vfu_client *client, struct vfu_out *out)
{
	int r;

	if (client->broken)
		return client->broken;
	out->header.id = client->next_id++;
	out->header.flags = VFU_NO_REPLY;
	r = vfu_channel_send(&client->channel, out);
	return r < 0 ? fail(client, r) : 0;
}

int vfu_client_ask(struct peal_vfu_client *client, struct vfu_out *out)
{
	struct vfu_message *message = &client->message;
	int r;

	if (client->broken)
		return client->broken;
	message->fds.count = 0;
	out->header.id = client->next_id++;
	r = vfu_channel_send(&client->channel, out);
	if (r == -EBADF || r == -ETOOMANYREFS) /* a descriptor to be passed: nothing was sent */
		return r;
	if (r == 0)
		r = await(client, out->header.id, out->header.command);
	if (r < 0)
		return fail(client, r == -EMSGSIZE ? -EPROTO : r);
	if (message->header.flags & VFU_ERROR)
		r = vfu_reply_error(&message->header);
	else if (message->fds_error || vfu_reply_check(out->header.command, message->payload,
						       message->size, message->fds.count) < 0)
		r = vfu_client_nonsense(client);
	if (r < 0)
		vfu_fds_close(&message->fds);
	return r;
}

/* ---- the thread ---- */

static void serve_twin(struct peal_vfu_client *client)
{
	int r = 0;

	while (r == 0) {
		r = vfu_channel_receive(&client->twin, &client->twin_message, -1);
		if (r == 0 && vfu_is_command(&client->twin_message))
			r = answer(client, &client->twin, &client->twin_message);
		else if (r == 0)
			vfu_fds_close(&client->twin_message.fds);
	}
	/* The server sees that nobody answers. */
	vfu_channel_shut(&client->twin);
}

/* Looks only while nobody else does: who makes a request answers what comes meanwhile. */
static void serve_shared(struct peal_vfu_client *client)
{
	(void)pthread_mutex_lock(&client->mutex);
	while (!client->stop && !client->broken) {
		struct pollfd p = { .fd = client->channel.fd, .events = POLLIN };
		int r;

		if (__atomic_load_n(&client->waiting, __ATOMIC_RELAXED)) {
			(void)pthread_cond_wait(&client->idle, &client->mutex);
			continue;
		}
		(void)pthread_mutex_unlock(&client->mutex);
		(void)poll(&p, 1, -1);
		(void)pthread_mutex_lock(&client->mutex);
		if (client->stop || client->broken)
			break;
		r = vfu_channel_receive(&client->channel, &client->message, 0);
		if (r == 0 && vfu_is_command(&client->message))
			r = answer(client, &client->channel, &client->message);
		else if (r == 0)
			vfu_fds_close(&client->message.fds);
		if (r < 0 && r != -EAGAIN)
			(void)fail(client, r);
	}
	(void)pthread_mutex_unlock(&client->mutex);
}

static void *serve(void *user)
{
	struct peal_vfu_client *client = user;

	if (client->twin.host)
		serve_twin(client);
	else
		serve_shared(client);
	return NULL;
}

/* ---- agreeing ---- */

/* Of other sockets not all can be shut, and so not each wait be ended. */
static bool is_stream(int fd)
{
	int domain = 0, type = 0;
	socklen_t size = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

/* The server's end of commands, if it opened one. */
static int take_twin(struct peal_vfu_client *client)
{
	struct vfu_fds *fds = &client->message.fds;

	if (!client->theirs.twin_socket)
		return fds->count ? -EPROTO : 0;
	if (client->config.flags & PEAL_VFU_NO_TWIN_SOCKET || !client->theirs.has_fd_index ||
	    client->theirs.fd_index >= fds->count || !is_stream(fds->fd[client->theirs.fd_index]))
		return -EPROTO;
	client->channel.ahead = true; /* the thread does not look at it */
	return vfu_channel_init(&client->twin, client->config.host,
				vfu_fds_take(fds, client->theirs.fd_index),
				vfu_max_size(client->max_data), 0, client->config.timeout_ms);
}

static int take_version(struct peal_vfu_client *client)
{
	const struct vfu_message *message = &client->message;
	struct vfu_version version;
	int r;

	memcpy(&version, message->payload, sizeof(version));
	if (version.major != VFU_MAJOR || version.minor > VFU_MINOR)
		return -EPROTO;
	client->version = version;
	r = vfu_capabilities_parse(&client->theirs, message->payload + sizeof(version),
				   message->size - sizeof(version));
	if (r < 0)
		return r == -EINVAL ? -EPROTO : r;
	if (client->theirs.max_data_xfer_size < client->max_data)
		client->max_data = client->theirs.max_data_xfer_size;
	return take_twin(client);
}

static int agree(struct peal_vfu_client *client)
{
	const struct vfu_version version = { VFU_MAJOR, VFU_MINOR };
	struct vfu_capabilities ours;
	char json[VFU_JSON_MAX];
	struct vfu_out out = {
		.header = { .command = VFU_VERSION },
		.fixed = &version,
		.fixed_size = sizeof(version),
		.data = json,
	};
	int r;

	vfu_capabilities_default(&ours);
	ours.max_msg_fds = client->config.max_msg_fds;
	ours.max_data_xfer_size = client->config.max_data_xfer_size;
	ours.said_max_msg_fds = ours.said_max_data_xfer_size = true;
	ours.pgsizes = (uint64_t)sysconf(_SC_PAGESIZE);
	ours.said_pgsizes = ours.said_max_dma_maps = true;
	ours.write_multiple = !(client->config.flags & PEAL_VFU_NO_WRITE_MULTIPLE);
	ours.has_migration = true;
	ours.migration_max_bitmap_size = client->config.max_data_xfer_size;
	ours.twin_socket = !(client->config.flags & PEAL_VFU_NO_TWIN_SOCKET);
	r = vfu_capabilities_print(&ours, json, sizeof(json), &out.data_size);
	if (r < 0)
		return r;
	vfu_client_lock(client);
	r = vfu_client_ask(client, &out);
	if (r == 0) {
		r = take_version(client);
		vfu_fds_close(&client->message.fds);
	}
	vfu_client_unlock(client);
	return r;
}

/* ---- life ---- */

static int take_config(struct peal_vfu_client *client, const struct peal_vfu_client_config *from)
{
	struct peal_vfu_client_config *config = &client->config;

	*config = *from;
	if (!config->max_msg_fds)
		config->max_msg_fds = DEFAULT_MSG_FDS;
	if (!config->max_data_xfer_size)
		config->max_data_xfer_size = DEFAULT_XFER;
	if (!config->timeout_ms)
		config->timeout_ms = DEFAULT_TIMEOUT;
	client->max_data = config->max_data_xfer_size;
	return config->max_msg_fds > VFU_FDS_MAX || config->max_data_xfer_size > MAX_XFER ? -EINVAL
											  : 0;
}

static int open_connection(struct peal_vfu_client *client, int fd)
{
	const struct peal_space_config space = { .host = client->config.host };
	int r = vfu_channel_init(&client->channel, client->config.host, fd,
				 vfu_max_size(client->max_data), client->config.max_msg_fds,
				 client->config.timeout_ms);

	if (r < 0)
		return r;
	client->channel.spin = (uint64_t)client->config.poll_us * 1000;
	client->channel.ahead = false;
	vfu_channel_set_wait(&client->channel, client->config.timeout_ms);
	r = -pthread_mutex_init(&client->mutex, NULL);
	if (r < 0)
		return r;
	(void)pthread_cond_init(&client->idle, NULL); /* cannot fail on Linux */
	client->has_mutex = true;
	client->dma_buffer = peal_alloc(client->config.host, (size_t)client->max_data);
	if (!client->dma_buffer)
		return -ENOMEM;
	return peal_space_new(&client->space, &space);
}

int peal_vfu_client_new(struct peal_vfu_client **ret, const struct peal_vfu_client_config *config,
			int fd)
{
	struct peal_vfu_client *client = peal_alloc(config->host, sizeof(*client));
	int r;

	if (!client) {
		(void)close(fd);
		return -ENOMEM;
	}
	client->device.ops = vfu_client_ops();
	r = take_config(client, config);
	if (r < 0)
		(void)close(fd);
	else
		r = open_connection(client, fd);
	if (r == 0 && !(config->flags & PEAL_VFU_NO_SIGBUS))
		r = vfu_sigbus_install();
	if (r == 0)
		r = agree(client);
	if (r == 0)
		r = vfu_client_ask_device(client);
	if (r == 0) {
		r = -pthread_create(&client->thread, NULL, serve, client);
		client->has_thread = r == 0;
	}
	if (r < 0) {
		peal_vfu_client_free(client);
		return r;
	}
	*ret = client;
	return 0;
}

void peal_vfu_client_free(struct peal_vfu_client *client)
{
	const struct peal_host *host;

	if (!client)
		return;
	host = client->config.host;
	if (client->has_thread) {
		vfu_client_lock(client);
		client->stop = true;
		vfu_channel_shut(&client->channel);
		if (client->twin.host)
			vfu_channel_shut(&client->twin);
		vfu_client_unlock(client);
		(void)pthread_join(client->thread, NULL);
	}
	vfu_client_unmap_all(client);
	vfu_client_forget_device(client);
	if (client->has_mutex) {
		(void)pthread_cond_destroy(&client->idle);
		(void)pthread_mutex_destroy(&client->mutex);
	}
	vfu_channel_done(&client->twin);
	vfu_channel_done(&client->channel);
	peal_space_free(client->space);
	peal_free(host, client->dma_buffer, (size_t)client->config.max_data_xfer_size);
	peal_free(host, client, sizeof(*client));
}

struct peal_vfio_device *peal_vfu_client_device(struct peal_vfu_client *client)
{
	return &client->device;
}

void peal_vfu_client_agreement(const struct peal_vfu_client *client, struct peal_vfu_agreement *ret)
{
	const struct vfu_capabilities *theirs = &client->theirs;

	*ret = (struct peal_vfu_agreement){
		.major = client->version.major,
		.minor = client->version.minor,
		.max_msg_fds = theirs->max_msg_fds,
		.max_data_xfer_size = theirs->max_data_xfer_size,
		.max_dma_maps = theirs->max_dma_maps,
		.pgsizes = theirs->pgsizes,
		.twin_socket = theirs->twin_socket,
		.write_multiple = theirs->write_multiple,
		.migration = theirs->has_migration,
	};
}

int peal_vfu_connect(int *ret, const char *path)
{
	/* How long connect waits for a place in the queue of a UNIX socket, unix(7). */
	const struct timeval limit = { .tv_sec = CONNECT_SECONDS }, none = { 0 };
	struct sockaddr_un address;
	int fd, r = vfu_address(&address, path);

	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		r = errno == EAGAIN ? -ETIMEDOUT : -errno;
		(void)close(fd);
		return r;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none));
	*ret = fd;
	return 0;
}
