/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Channel: whole messages with their descriptors over one stream socket.
 *
 * Descriptors belong to the message whose first byte they were sent with. A received message owns its
 * descriptors until somebody takes them (vfu_fds_take); vfu_fds_close() closes the rest.
 *
 * Threads: send from any thread; receive by one at a time.
 */
#ifndef PEAL_VFIO_USER_CHANNEL_H
#define PEAL_VFIO_USER_CHANNEL_H

#include <pthread.h>
#include <sys/un.h>

#include "codec.h"

/*
 * The address of the socket at PATH. -ENAMETOOLONG. -ENOENT: the empty path, which would be a name
 * apart from the file system (unix(7), abstract).
 */
int vfu_address(struct sockaddr_un *ret, const char *path);

struct vfu_fds {
	unsigned count;
	int fd[VFU_FDS_MAX]; /* -1: taken */
};

/* The descriptor at INDEX, which the caller closes from now on. */
int vfu_fds_take(struct vfu_fds *fds, unsigned index);
void vfu_fds_close(struct vfu_fds *fds);

struct vfu_message {
	struct vfu_header header;
	const uint8_t *payload; /* in the channel's buffer, until the next receive */
	size_t size;            /* of the payload */
	int fds_error;          /* -EINVAL: there were too many descriptors; none is left */
	struct vfu_fds fds;
};

/* Else it is a reply. */
static inline bool vfu_is_command(const struct vfu_message *message)
{
	return (message->header.flags & VFU_TYPE_MASK) == VFU_TYPE_COMMAND;
}

/* What is sent: header.size is filled in. */
struct vfu_out {
	struct vfu_header header;
	const void *fixed;
	size_t fixed_size;
	const void *data;
	size_t data_size;
	const int *fds; /* borrowed */
	unsigned nfds;
};

struct vfu_channel {
	const struct peal_host *host;
	int fd;
	size_t max_size;  /* of a message that is received */
	unsigned max_fds; /* of such a message */
	int timeout;      /* ms, of what follows a first byte and of a send; -1: none */
	uint64_t spin;    /* ns that a receive looks before it sleeps */
	bool ahead;       /* messages behind the one that is wanted may be received with it */
	int wait;         /* ms: such a receive sleeps in recvmsg; 0: none does */
	uint8_t *buffer;
	size_t room;
	size_t begin; /* of what was received and not given out */
	size_t end;
	struct vfu_fds fds; /* of the last message that begins there */
	int fds_error;
	pthread_mutex_t send_mutex;
};

/* FD is consumed, also on failure. -ENOMEM. */
int vfu_channel_init(struct vfu_channel *channel, const struct peal_host *host, int fd,
		     size_t max_size, unsigned max_fds, int timeout);
void vfu_channel_done(struct vfu_channel *channel);

/* Ends what is waiting in the channel, in both directions. From any thread. */
void vfu_channel_shut(struct vfu_channel *channel);

/*
 * Receives with this WAIT (ms) need one system call, as those for ever do; a signal may end them early
 * with -EAGAIN. Before the first receive.
 */
void vfu_channel_set_wait(struct vfu_channel *channel, int wait);

/*
 * Receives one message. WAIT: ms until its first byte, -1 for ever. The caller closes *RET's
 * descriptors. After any error but -EAGAIN the stream is of no use any more, and *RET holds no
 * descriptors.
 * -EAGAIN: nothing came within WAIT. -ECONNRESET: the peer is gone. -ETIMEDOUT: it stopped in the
 * middle. -EPROTO, -EMSGSIZE: as vfu_header_check(), with the header in *RET. -ENOMEM.
 */
int vfu_channel_receive(struct vfu_channel *channel, struct vfu_message *ret, int wait);

/*
 * Sends one message, whole or not at all as far as this end is concerned.
 * -EPIPE: the peer is gone. -ETIMEDOUT: it does not read. After an error the stream is of no use;
 * behind half a message it ends.
 */
int vfu_channel_send(struct vfu_channel *channel, const struct vfu_out *out);

#endif
