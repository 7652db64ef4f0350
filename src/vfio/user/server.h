/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server's parts: server.c receives and answers, server-device.c, server-region.c, server-dma.c
 * and server-feature.c handle the commands, server-remote.c is DMA by messages, server-guard.c is for
 * clients that hold the server up.
 *
 * Everything that a client brings is in its session, which ends with it.
 */
#ifndef PEAL_VFIO_USER_SERVER_H
#define PEAL_VFIO_USER_SERVER_H

#include <peal/vfio-user.h>

#include "channel.h"
#include "sigbus.h"

#define VFU_REGIONS_MAX 64u

struct vfu_session;

/* A range that the client mapped. */
struct vfu_mapping {
	struct vfu_session *session;
	uint64_t first;
	uint64_t last;
	uint32_t flags; /* VFU_DMA_… */
	uint8_t *base;  /* where FIRST is; NULL: by messages */
	void *mmap_base;
	size_t length; /* of the mmap */
	struct vfu_sigbus_range *sigbus;
};

/* A DMA_READ or DMA_WRITE that waits for its reply; on the stack of who waits. */
struct vfu_remote_wait {
	struct vfu_remote_wait *next;
	struct vfu_dma_access access;
	uint16_t id;
	uint16_t command;
	uint8_t *bytes; /* NULL: a write */
	bool done;
	int result;
};

struct vfu_remote {
	pthread_mutex_t mutex; /* leaf but for the channel's send_mutex */
	pthread_cond_t done;
	struct vfu_remote_wait *waits;
	uint16_t next_id;
	bool draining; /* nobody may wait */
	bool over;     /* nor in future */
	uint32_t has_twin;
	uint32_t turn;     /* odd: the thread is in a command */
	uint32_t given_up; /* the turn that somebody last gave up in */
	pthread_t server;  /* the thread that receives */
	bool ready;
	struct vfu_message message; /* what the twin socket brings */
};

struct vfu_guard {
	pthread_t thread;
	int end_fd;
	bool is_running;
};

struct vfu_session {
	struct peal_vfu_server *server;
	struct vfu_channel channel;
	struct vfu_channel twin; /* twin.host NULL: there is none */
	int twin_peer;           /* the client's end until it was sent; -1 */
	bool negotiated;
	bool leave; /* after the reply */
	struct vfu_capabilities theirs;
	uint64_t max_data; /* of both sides */
	struct vfu_message message;
	uint64_t max_bitmap;     /* bytes, of a report of both sides */
	int reply_fd;            /* that a reply carries; borrowed */
	int io_fds[VFU_FDS_MAX]; /* or these */
	uint8_t *reply;          /* room for a reply's variable part */
	size_t reply_room;
	struct vfu_mapping **maps; /* sorted */
	size_t nmaps;
	size_t maps_room;
	struct vfu_remote remote;
	uint32_t faulted; /* set by the SIGBUS handler */
	struct vfu_guard guard;
};

struct peal_vfu_server {
	struct peal_vfu_server_config config;
	struct vfu_capabilities ours;
	struct peal_vfio_device_info info;
	struct peal_vfio_region_info regions[VFU_REGIONS_MAX];
	int stop_fd; /* eventfd: readable for good once stopped */
	/* A second descriptor of the connection, for stop; between clients one of the eventfd. Its
	 * number stays, so that stop never shuts what another descriptor has become. */
	int shut_fd;
	struct peal_vfu_counters counters;
};

/*
 * Handles MESSAGE, whose form was checked, and fills REPLY (which is the header alone). 0 or -errno.
 * Bytes that REPLY refers to stay good until the next message.
 */
typedef int vfu_handler(struct vfu_session *session, struct vfu_message *message,
			struct vfu_out *reply);

/* Could a client map a page of the MSI-X table, and change messages behind our back? */
bool vfu_server_exports_msix(const struct peal_vfu_server *server);

vfu_handler vfu_handle_get_info;
vfu_handler vfu_handle_region_info;
vfu_handler vfu_handle_region_io;
vfu_handler vfu_handle_irq_info;
vfu_handler vfu_handle_set_irqs;
vfu_handler vfu_handle_reset;
vfu_handler vfu_handle_feature;
vfu_handler vfu_handle_mig_read;
vfu_handler vfu_handle_mig_write;
vfu_handler vfu_handle_region_read;
vfu_handler vfu_handle_region_write;
vfu_handler vfu_handle_write_multi;
vfu_handler vfu_handle_dma_map;
vfu_handler vfu_handle_dma_unmap;

/* Room for SIZE bytes of a reply's variable part; NULL: out of memory. */
uint8_t *vfu_session_room(struct vfu_session *session, size_t size);

/* Gives the client's interrupts back. */
void vfu_session_release_irqs(struct vfu_session *session);

/* The next client finds a device that runs, and no log. */
void vfu_session_end_migration(struct vfu_session *session);

/* Takes all ranges back. */
void vfu_session_release_dma(struct vfu_session *session);

/* Who is held up by a client that is gone comes out. */
int vfu_guard_start(struct vfu_session *session);
void vfu_guard_end(struct vfu_session *session); /* also of one that was not started */

int vfu_remote_init(struct vfu_session *session);
void vfu_remote_done(struct vfu_session *session);
const struct peal_mem_ops *vfu_remote_ops(void); /* USER is the mapping */
/* The reply in the session's message is for somebody who waits. False: for nobody. */
bool vfu_remote_reply(struct vfu_session *session, const struct vfu_message *message);
/* Nobody waits for a reply any more, until vfu_remote_resume(). */
void vfu_remote_drain(struct vfu_session *session);
void vfu_remote_resume(struct vfu_session *session);
/* Nobody waits any more, nor in future. From any thread. */
void vfu_remote_end(struct vfu_session *session);
/* Before a command and behind it. */
void vfu_remote_turn(struct vfu_session *session);

#endif
