/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vfio-user: a VFIO device over a UNIX socket. A server shows a device of this process to a client
 * such as QEMU; a client is a device of another process as struct peal_vfio_device.
 * vfio-user Protocol Specification 0.9.
 *
 *   peal_vfio_function (or any peal_vfio_device) ──▶ server ═══ socket ═══ client ──▶ driver, VMM
 *
 * Neither side trusts the other: whatever arrives is answered with an error number or ends the
 * connection.
 */
#ifndef PEAL_VFIO_USER_H
#define PEAL_VFIO_USER_H

#include <peal/base.h>
#include <peal/mem.h>
#include <peal/vfio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- server ---- */

/*
 * Threads: one thread serves (peal_vfu_server_run or _serve) and calls the device; stop and the
 * counters from any thread. Free: when nobody serves.
 *
 * DMA of the device goes through the space. A range that comes with a descriptor is mapped there as
 * memory; one without is an accessor that asks the client by DMA_READ and DMA_WRITE. Unless the
 * client takes a socket of its own for these (twin_socket), they cannot be sent while a request of
 * the client is handled, as it may not listen before it has the reply: from inside the device's ops
 * such an access answers -EDEADLK. A device's own thread can always make them; one that an op waits
 * for fails with -EIO when it has waited for a second.
 */
struct peal_vfu_server;

#define PEAL_VFU_NO_TWIN_SOCKET    0x1u
#define PEAL_VFU_NO_WRITE_MULTIPLE 0x2u
/*
 * Without this flag the first server installs a handler for SIGBUS, for the whole process and for
 * good, which takes care of files that a client truncates under a device's DMA: zeros appear in
 * their place and the client is disconnected. Other SIGBUS go to the handler that was there before.
 * Linux ends the process where it is blocked: not in a thread that serves or makes the device's DMA.
 */
#define PEAL_VFU_NO_SIGBUS 0x4u

struct peal_vfu_server_config {
	const struct peal_host *host;
	struct peal_vfio_device *device; /* borrowed */
	struct peal_space *dma;          /* borrowed; NULL: ranges go to the device's dma_map */
	struct peal_irqset *irqset;  /* borrowed; disabled when a client leaves. NULL: set_irqs */
	uint32_t max_msg_fds;        /* 0: 16, at most 253 */
	uint64_t max_data_xfer_size; /* 0: 1 MiB, at most 16 MiB */
	uint64_t max_dma_maps;       /* 0: 65535 */
	int timeout_ms;              /* for a client to go on in the middle; 0: 5000, -1: none */
	uint32_t poll_us;            /* how long to look for a request before sleeping */
	unsigned flags;
};

/*
 * -EINVAL: a limit beyond what is said above; a page of the device's MSI-X table could be mapped.
 * -ENOMEM; errors of the host, of the device.
 */
PEAL_PUBLIC int peal_vfu_server_new(struct peal_vfu_server **ret,
				    const struct peal_vfu_server_config *config);

/* NULL is fine. */
PEAL_PUBLIC void peal_vfu_server_free(struct peal_vfu_server *server);

/*
 * A listening socket at PATH in *RET, close-on-exec. A socket file that nobody listens at any more
 * is replaced. -ENAMETOOLONG, -EADDRINUSE: somebody listens there. -errno.
 */
PEAL_PUBLIC int peal_vfu_listen(int *ret, const char *path);

/*
 * Serves one client after the other that connects to LISTEN_FD (borrowed), until stopped: 0. While
 * there are no descriptors or no memory for a client it waits. -errno: of the listening socket.
 */
PEAL_PUBLIC int peal_vfu_server_run(struct peal_vfu_server *server, int listen_fd);

/*
 * Serves the client at the other end of FD (consumed) until it leaves or the server is stopped: 0.
 * After that all that it gave is released; the device keeps its state.
 * A log of DMA ends with it, and a device that it had stopped for migration is reset and runs: its
 * state was given to somebody else, or was to be. One in PRE_COPY goes on.
 * -ETIMEDOUT: it stopped in the middle. -EPROTO: what it sent is no stream of messages. -EFAULT: it
 * took memory away that it had shared. -errno.
 */
PEAL_PUBLIC int peal_vfu_server_serve(struct peal_vfu_server *server, int fd);

/* Ends run and serve, now and in future. Can be called from a signal handler. */
PEAL_PUBLIC void peal_vfu_server_stop(struct peal_vfu_server *server);

struct peal_vfu_counters {
	uint64_t clients;     /* that were served */
	uint64_t commands;    /* that were received whole */
	uint64_t errors;      /* that were answered with an error, or would have been */
	uint64_t unsolicited; /* replies that nobody asked for */
	uint64_t dma_maps;    /* ranges that are mapped now */
	uint64_t dma_remote;  /* DMA_READ and DMA_WRITE that were sent */
	uint64_t dma_failed;  /* of these, or before: no answer, an error, or a deadlock avoided */
	uint64_t truncated;   /* pages that a client took away */
};

PEAL_PUBLIC void peal_vfu_server_counters(const struct peal_vfu_server *server,
					  struct peal_vfu_counters *ret);

/* ---- client ---- */

/*
 * A device of another process. Its ops may be called from any thread; requests go one at a time.
 * A thread of the client answers the server's DMA_READ and DMA_WRITE out of what was mapped with
 * dma_map (its memory), also while a request is waiting.
 *
 * Beyond what <peal/vfio.h> says, each op answers -ETIMEDOUT when the server does not, and -EPROTO
 * when it answers nonsense; after either, and after -ECONNRESET and -EPIPE, the connection is of no
 * use and every op answers so. What the server has is asked once, when the client is made.
 */
struct peal_vfu_client;

/*
 * Region writes are sent and not waited for: the next op that is waited for comes after them, and
 * what they failed with is not known.
 */
#define PEAL_VFU_POSTED_WRITES 0x8u

struct peal_vfu_client_config {
	const struct peal_host *host;
	uint32_t max_msg_fds;        /* 0: 16, at most 253 */
	uint64_t max_data_xfer_size; /* 0: 1 MiB, at most 16 MiB */
	int timeout_ms;              /* for a reply; 0: 5000, -1: none */
	uint32_t poll_us;            /* how long to look for a reply before sleeping */
	unsigned flags;              /* PEAL_VFU_… */
};

/* A socket that is connected to PATH in *RET. -errno; -ETIMEDOUT: nobody accepts for 5 s. */
PEAL_PUBLIC int peal_vfu_connect(int *ret, const char *path);

/*
 * Agrees with the server at the other end of FD (consumed, also on failure) and asks what it has.
 * -EINVAL: a limit beyond what is said above. -EPROTO, -ENOTSUP: no agreement. What the server said;
 * -errno.
 */
PEAL_PUBLIC int peal_vfu_client_new(struct peal_vfu_client **ret,
				    const struct peal_vfu_client_config *config, int fd);

/* Disconnects. No op is running; regions that were mapped are unmapped. NULL is fine. */
PEAL_PUBLIC void peal_vfu_client_free(struct peal_vfu_client *client);

/* The device; its free is peal_vfu_client_free(). */
PEAL_PUBLIC struct peal_vfio_device *peal_vfu_client_device(struct peal_vfu_client *client);

/* What the server said in VERSION, with the protocol's defaults where it said nothing. */
struct peal_vfu_agreement {
	uint16_t major;
	uint16_t minor;
	uint32_t max_msg_fds;
	uint64_t max_data_xfer_size;
	uint64_t max_dma_maps;
	uint64_t pgsizes;
	bool twin_socket;
	bool write_multiple;
	bool migration;
};

PEAL_PUBLIC void peal_vfu_client_agreement(const struct peal_vfu_client *client,
					   struct peal_vfu_agreement *ret);

/* A write of 1 to 8 bytes. */
struct peal_vfu_write {
	uint64_t offset;
	uint32_t region;
	uint32_t count;
	uint8_t data[8];
};

/* Makes the writes in one message, or one after the other if the server cannot take that. */
PEAL_PUBLIC int peal_vfu_client_write_multi(struct peal_vfu_client *client,
					    const struct peal_vfu_write *writes, size_t count);

#ifdef __cplusplus
}
#endif

#endif
