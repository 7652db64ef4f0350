/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vfio-user server: one client at a time, its commands in the order of arrival, each answered
 * before the next is received. vfio-user Protocol Specification 0.9, "Client/server interactions".
 *
 * One thread does it all and sleeps in receive. Who stops the server shuts its connection down,
 * which ends that sleep; between connections it sleeps in poll, with the stop descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server.h"

#define DEFAULT_MSG_FDS  16u /* QEMU refuses a server that says more */
#define DEFAULT_XFER     (UINT64_C(1) << 20)
#define MAX_XFER         (UINT64_C(16) << 20)
#define DEFAULT_DMA_MAPS 65535u
#define DEFAULT_TIMEOUT  5000
#define LOCK_TRIES       1000u /* milliseconds */
#define LACK_MS          100

static vfu_handler handle_version;

static vfu_handler *const handlers[VFU_COMMANDS] = {
	[VFU_VERSION] = handle_version,
	[VFU_DMA_MAP] = vfu_handle_dma_map,
	[VFU_DMA_UNMAP] = vfu_handle_dma_unmap,
	[VFU_DEVICE_GET_INFO] = vfu_handle_get_info,
	[VFU_DEVICE_GET_REGION_INFO] = vfu_handle_region_info,
	[VFU_DEVICE_GET_REGION_IO] = vfu_handle_region_io,
	[VFU_DEVICE_GET_IRQ_INFO] = vfu_handle_irq_info,
	[VFU_DEVICE_SET_IRQS] = vfu_handle_set_irqs,
	[VFU_REGION_READ] = vfu_handle_region_read,
	[VFU_REGION_WRITE] = vfu_handle_region_write,
	[VFU_DEVICE_RESET] = vfu_handle_reset,
	[VFU_REGION_WRITE_MULTI] = vfu_handle_write_multi,
	[VFU_DEVICE_FEATURE] = vfu_handle_feature,
	[VFU_MIG_DATA_READ] = vfu_handle_mig_read,
	[VFU_MIG_DATA_WRITE] = vfu_handle_mig_write,
};

uint8_t *vfu_session_room(struct vfu_session *session, size_t size)
{
	const struct peal_host *host = session->server->config.host;
	uint8_t *room;

	if (size <= session->reply_room)
		return session->reply;
	room = peal_alloc(host, size);
	if (!room)
		return NULL;
	peal_free(host, session->reply, session->reply_room);
	session->reply = room;
	session->reply_room = size;
	return room;
}

/* ---- negotiation ---- */

/* A socket for commands to the client, when it wants one. Without it they share the first. */
static void open_twin(struct vfu_session *session, struct vfu_capabilities *answer)
{
	struct peal_vfu_server *server = session->server;
	int pair[2];

	if (!session->theirs.twin_socket || session->theirs.max_msg_fds == 0 ||
	    server->config.flags & PEAL_VFU_NO_TWIN_SOCKET)
		return;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return;
	if (vfu_channel_init(&session->twin, server->config.host, pair[0],
			     vfu_max_size(session->max_data), 0, session->channel.timeout) < 0) {
		(void)close(pair[1]);
		return;
	}
	__atomic_store_n(&session->remote.has_twin, 1, __ATOMIC_RELEASE);
	session->twin_peer = pair[1];
	answer->twin_socket = answer->has_fd_index = true;
	answer->fd_index = 0;
}

static int handle_version(struct vfu_session *session, struct vfu_message *message,
			  struct vfu_out *reply)
{
	struct vfu_capabilities answer;
	struct vfu_version version;
	size_t size;
	uint8_t *room = vfu_session_room(session, sizeof(version) + VFU_JSON_MAX);
	int r;

	if (!room)
		return -ENOMEM;
	memcpy(&version, message->payload, sizeof(version));
	if (session->negotiated)
		return -EINVAL;
	session->leave = true; /* unless we agree */
	if (version.major != VFU_MAJOR)
		return -ENOTSUP;
	r = vfu_capabilities_parse(&session->theirs, message->payload + sizeof(version),
				   message->size - sizeof(version));
	if (r < 0)
		return r;
	vfu_capabilities_answer(&answer, &session->server->ours, &session->theirs);
	session->max_data = answer.max_data_xfer_size < session->theirs.max_data_xfer_size
				    ? answer.max_data_xfer_size
				    : session->theirs.max_data_xfer_size;
	session->max_bitmap = answer.migration_max_bitmap_size;
	open_twin(session, &answer);
	version.minor = version.minor < VFU_MINOR ? version.minor : VFU_MINOR;
	memcpy(room, &version, sizeof(version));
	r = vfu_capabilities_print(&answer, (char *)room + sizeof(version), VFU_JSON_MAX, &size);
	if (r < 0)
		return r;
	session->leave = false;
	session->negotiated = true;
	reply->data = room;
	reply->data_size = sizeof(version) + size;
	if (session->twin_peer >= 0) {
		reply->fds = &session->twin_peer;
		reply->nfds = 1;
	}
	return 0;
}

/* ---- messages ---- */

static int check(struct vfu_session *session, const struct vfu_message *message)
{
	if (message->fds_error)
		return message->fds_error;
	if (!session->negotiated && message->header.command != VFU_VERSION)
		return -EINVAL;
	return vfu_request_check(&message->header, message->payload, message->size,
				 session->max_data, message->fds.count, true);
}

/* What the sender of HEADER gets: the reply, or with R < 0 the number of its error. */
static int answer(struct vfu_session *session, const struct vfu_header *header,
		  struct vfu_out *reply, int r)
{
	if (r < 0) {
		*reply =
			(struct vfu_out){ .header = { .flags = VFU_ERROR, .error = (uint32_t)-r } };
		peal_count(&session->server->counters.errors, 1);
	}
	if (header->flags & VFU_NO_REPLY)
		return 0;
	reply->header.id = header->id;
	reply->header.command = header->command;
	reply->header.flags |= VFU_TYPE_REPLY;
	return vfu_channel_send(&session->channel, reply);
}

static int handle_command(struct vfu_session *session)
{
	struct vfu_message *message = &session->message;
	struct vfu_out reply = { 0 };
	int r = check(session, message);

	peal_count(&session->server->counters.commands, 1);
	if (r == 0) {
		vfu_handler *handler = handlers[message->header.command];

		vfu_remote_turn(session);
		r = handler ? handler(session, message, &reply) : -ENOTTY;
		vfu_remote_turn(session);
	}
	vfu_fds_close(&message->fds);
	r = answer(session, &message->header, &reply, r);
	if (session->twin_peer >= 0) {
		(void)close(session->twin_peer);
		session->twin_peer = -1;
	}
	return r;
}

static int handle_message(struct vfu_session *session)
{
	struct vfu_message *message = &session->message;

	if (vfu_is_command(message))
		return handle_command(session);
	if (!vfu_remote_reply(session, message))
		peal_count(&session->server->counters.unsolicited, 1);
	vfu_fds_close(&message->fds);
	return 0;
}

/* ---- a client ---- */

static int session_loop(struct vfu_session *session)
{
	int r = 0;

	while (r == 0 && !session->leave) {
		r = vfu_channel_receive(&session->channel, &session->message, -1);
		if (r == 0) {
			r = handle_message(session);
		} else if (r == -EMSGSIZE) {
			struct vfu_out reply = { 0 };

			/* It is told why; what follows is not read. */
			if (vfu_is_command(&session->message))
				(void)answer(session, &session->message.header, &reply, r);
			r = -EPROTO;
		}
	}
	if (__atomic_load_n(&session->faulted, __ATOMIC_ACQUIRE))
		return -EFAULT;
	return r == -ECONNRESET || r == -EPIPE ? 0 : r;
}

static int session_init(struct vfu_session *session, struct peal_vfu_server *server, int fd)
{
	int r;

	session->server = server;
	session->twin_peer = -1;
	vfu_capabilities_default(&session->theirs);
	session->max_data = server->ours.max_data_xfer_size;
	r = vfu_channel_init(&session->channel, server->config.host, fd,
			     vfu_max_size(session->max_data), server->ours.max_msg_fds,
			     server->config.timeout_ms);
	if (r < 0)
		return r;
	session->channel.spin = (uint64_t)server->config.poll_us * 1000;
	return vfu_remote_init(session);
}

/* Takes back what the client gave; the device's state stays. Any half-built session. */
static void session_done(struct vfu_session *session)
{
	const struct peal_host *host = session->server->config.host;

	/* Who sends to a client that does not read comes out, and the guard comes to help. */
	if (session->channel.host)
		vfu_channel_shut(&session->channel);
	vfu_remote_end(session);
	peal_vfio_io_release(session->server->config.device);
	vfu_session_release_irqs(session);
	vfu_guard_end(session);
	vfu_session_end_migration(session);
	vfu_session_release_dma(session);
	vfu_remote_done(session);
	vfu_channel_done(&session->twin);
	vfu_channel_done(&session->channel);
	peal_free(host, session->reply, session->reply_room);
	peal_free(host, session->maps, session->maps_room * sizeof(*session->maps));
	peal_free(host, session, sizeof(*session));
}

static bool is_stopped(const struct peal_vfu_server *server)
{
	struct pollfd p = { .fd = server->stop_fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

int peal_vfu_server_serve(struct peal_vfu_server *server, int fd)
{
	struct vfu_session *session = peal_alloc(server->config.host, sizeof(*session));
	int r;

	if (!session) {
		(void)close(fd);
		return -ENOMEM;
	}
	r = session_init(session, server, fd);
	if (r == 0)
		r = vfu_guard_start(session);
	if (r == 0) {
		peal_count(&server->counters.clients, 1);
		/* Stop shuts the connection after it raised the flag; we look the other way round. */
		if (dup3(fd, server->shut_fd, O_CLOEXEC) < 0)
			r = -errno;
		else if (!is_stopped(server))
			r = session_loop(session);
		(void)dup3(server->stop_fd, server->shut_fd, O_CLOEXEC);
	}
	session_done(session);
	return r;
}

/* What the host lacks now it may have again soon. */
static bool is_lack(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

int peal_vfu_server_run(struct peal_vfu_server *server, int listen_fd)
{
	for (;;) {
		struct pollfd p[2] = { { .fd = server->stop_fd, .events = POLLIN },
				       { .fd = listen_fd, .events = POLLIN } };
		int fd;

		if (poll(p, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (p[0].revents)
			return 0;
		if (p[1].revents & POLLNVAL)
			return -EBADF;
		fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			(void)peal_vfu_server_serve(server, fd); /* a client's failure is its own */
		else if (is_lack(errno))
			(void)poll(p, 1, LACK_MS); /* or until stopped */
		else if (errno != EINTR && errno != ECONNABORTED && errno != EAGAIN)
			return -errno;
	}
}

/* ---- life ---- */

void peal_vfu_server_stop(struct peal_vfu_server *server)
{
	const uint64_t one = 1;
	int saved = errno;

	if (write(server->stop_fd, &one, sizeof(one)) < 0) {
		/* It is full: stopped more often than anybody counts. */
	}
	(void)shutdown(server->shut_fd, SHUT_RDWR);
	errno = saved;
}

static int take_config(struct peal_vfu_server *server, const struct peal_vfu_server_config *config)
{
	struct vfu_capabilities *ours = &server->ours;

	server->config = *config;
	if (config->timeout_ms == 0)
		server->config.timeout_ms = DEFAULT_TIMEOUT;
	vfu_capabilities_default(ours);
	ours->max_msg_fds = config->max_msg_fds ? config->max_msg_fds : DEFAULT_MSG_FDS;
	ours->max_data_xfer_size = config->max_data_xfer_size ? config->max_data_xfer_size
							      : DEFAULT_XFER;
	ours->max_dma_maps = config->max_dma_maps ? config->max_dma_maps : DEFAULT_DMA_MAPS;
	ours->pgsizes = (uint64_t)sysconf(_SC_PAGESIZE);
	ours->write_multiple = !(config->flags & PEAL_VFU_NO_WRITE_MULTIPLE);
	ours->migration_max_bitmap_size = ours->max_data_xfer_size;
	if (ours->max_msg_fds > VFU_FDS_MAX || ours->max_data_xfer_size > MAX_XFER)
		return -EINVAL;
	return 0;
}

/* What the device has does not change while it is served. */
static int ask_device(struct peal_vfu_server *server)
{
	int r = peal_vfio_get_info(server->config.device, &server->info);

	if (r < 0)
		return r;
	if (server->info.num_regions > VFU_REGIONS_MAX)
		return -EINVAL;
	server->ours.has_migration =
		peal_vfio_feature_probe(server->config.device, PEAL_VFIO_FEATURE_MIGRATION) == 0;
	for (unsigned i = 0; i < server->info.num_regions; i++) {
		if (peal_vfio_region_info(server->config.device, i, &server->regions[i]) < 0)
			memset(&server->regions[i], 0, sizeof(server->regions[i]));
	}
	return vfu_server_exports_msix(server) ? -EINVAL : 0;
}

int peal_vfu_server_new(struct peal_vfu_server **ret, const struct peal_vfu_server_config *config)
{
	struct peal_vfu_server *server = peal_alloc(config->host, sizeof(*server));
	int r;

	if (!server)
		return -ENOMEM;
	server->stop_fd = server->shut_fd = -1;
	r = take_config(server, config);
	if (r == 0)
		r = ask_device(server);
	if (r == 0 && !(config->flags & PEAL_VFU_NO_SIGBUS))
		r = vfu_sigbus_install();
	if (r == 0) {
		server->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		r = server->stop_fd < 0 ? -errno : 0;
	}
	if (r == 0) {
		server->shut_fd = fcntl(server->stop_fd, F_DUPFD_CLOEXEC, 0);
		r = server->shut_fd < 0 ? -errno : 0;
	}
	if (r < 0) {
		peal_vfu_server_free(server);
		return r;
	}
	*ret = server;
	return 0;
}

void peal_vfu_server_free(struct peal_vfu_server *server)
{
	if (!server)
		return;
	if (server->stop_fd >= 0)
		(void)close(server->stop_fd);
	if (server->shut_fd >= 0)
		(void)close(server->shut_fd);
	peal_free(server->config.host, server, sizeof(*server));
}

void peal_vfu_server_counters(const struct peal_vfu_server *server, struct peal_vfu_counters *ret)
{
	const struct peal_vfu_counters *c = &server->counters;

	*ret = (struct peal_vfu_counters){
		.clients = peal_counted(&c->clients),
		.commands = peal_counted(&c->commands),
		.errors = peal_counted(&c->errors),
		.unsolicited = peal_counted(&c->unsolicited),
		.dma_maps = peal_counted(&c->dma_maps),
		.dma_remote = peal_counted(&c->dma_remote),
		.dma_failed = peal_counted(&c->dma_failed),
		.truncated = peal_counted(&c->truncated),
	};
}

/* ---- listening ---- */

/* Is there a socket file that nobody listens at? */
static bool is_stale(const struct sockaddr_un *address)
{
	struct stat status;
	bool stale;
	int fd;

	if (lstat(address->sun_path, &status) < 0 || !S_ISSOCK(status.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	stale = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
		errno == ECONNREFUSED;
	(void)close(fd);
	return stale;
}

/*
 * Two servers that find the same dead socket must not remove each other's new one: the directory of
 * PATH is locked from looking to listening. -1 where that cannot be had; who keeps the lock for long
 * is nobody of us.
 */
static int lock_directory(const char *path)
{
	char directory[sizeof(((struct sockaddr_un *)0)->sun_path)];
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) + 1 : 0;
	int fd;

	memcpy(directory, path, length);
	directory[length] = '\0';
	fd = open(slash ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (unsigned i = 0; fd >= 0 && i < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB) < 0; i++)
		(void)poll(NULL, 0, 1);
	return fd;
}

int peal_vfu_listen(int *ret, const char *path)
{
	struct sockaddr_un address;
	int fd, lock, r = vfu_address(&address, path);

	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	lock = lock_directory(path);
	if (is_stale(&address))
		(void)unlink(path);
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
		r = -errno;
	if (lock >= 0)
		(void)close(lock);
	if (r < 0)
		(void)close(fd);
	else
		*ret = fd;
	return r;
}
