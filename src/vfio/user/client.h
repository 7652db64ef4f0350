/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client's parts: client.c is the connection, client-device.c and client-feature.c are the
 * device's ops, client-info.c is what the server says about the device.
 */
#ifndef PEAL_VFIO_USER_CLIENT_H
#define PEAL_VFIO_USER_CLIENT_H

#include <peal/vfio-user.h>

#include "channel.h"
#include "sigbus.h"

/* As much as QEMU takes. */
#define VFU_CLIENT_REGIONS 100u
#define VFU_CLIENT_IRQS    50u

struct vfu_client_region {
	struct peal_vfio_region_info info;
	int fd; /* -1: cannot be mapped */
	uint64_t offset;
	/* Descriptors for registers, under the mutex. */
	struct peal_vfio_io_fd *io; /* NULL: not asked for yet; the fds are the client's */
	unsigned nio;
};

/* A part of a region that somebody mapped. */
struct vfu_client_map {
	struct vfu_client_map *next;
	void *memory;
	size_t size;
	struct vfu_sigbus_range *sigbus;
};

struct peal_vfu_client {
	struct peal_vfio_device device;
	struct peal_vfu_client_config config;
	struct vfu_version version; /* that was agreed on */
	struct vfu_capabilities theirs;
	uint64_t max_data; /* of both sides */

	/* The connection. The mutex is held from a request to its reply; order: mutex, then none. */
	pthread_mutex_t mutex;
	pthread_cond_t idle;
	unsigned waiting; /* for the mutex, or with it */
	struct vfu_channel channel;
	struct vfu_message message; /* the last one received */
	uint16_t next_id;
	int broken; /* -errno: there is no connection any more */
	bool stop;

	/* Commands of the server. */
	struct vfu_channel twin;
	struct vfu_message twin_message;
	pthread_t thread;
	bool has_mutex;
	bool has_thread;
	struct peal_space *space; /* what was mapped for DMA */
	uint8_t *dma_buffer;      /* max_data bytes, of who receives commands */

	struct peal_vfio_device_info info;
	struct vfu_client_region *regions;
	struct peal_vfio_irq_info *irqs;
	bool irq_absent[VFU_CLIENT_IRQS];
	bool irq_active[VFU_CLIENT_IRQS]; /* has been given descriptors */
	struct vfu_client_map *maps;
	uint32_t faulted;
	uint64_t truncated;
};

/* A request and its reply, under the client's mutex. */
void vfu_client_lock(struct peal_vfu_client *client);
void vfu_client_unlock(struct peal_vfu_client *client);

/*
 * Sends OUT, whose command is set, and waits for the reply, which is in client->message until the
 * next request, its form checked. Its descriptors are the caller's to close. -errno.
 */
int vfu_client_ask(struct peal_vfu_client *client, struct vfu_out *out);

/* The same without a reply. */
int vfu_client_tell(struct peal_vfu_client *client, struct vfu_out *out);

/* The server said something that cannot be: the connection is of no use any more. */
int vfu_client_nonsense(struct peal_vfu_client *client);

/* Asks for everything that stays. */
int vfu_client_ask_device(struct peal_vfu_client *client);
void vfu_client_forget_device(struct peal_vfu_client *client);

/* client-feature.c: ops. */
int vfu_client_feature_probe(struct peal_vfio_device *device, uint32_t flags);
int vfu_client_migration_flags(struct peal_vfio_device *device, uint64_t *ret);
int vfu_client_mig_get_state(struct peal_vfio_device *device, uint32_t *ret);
int vfu_client_mig_set_state(struct peal_vfio_device *device, uint32_t state);
int vfu_client_mig_read(struct peal_vfio_device *device, void *bytes, size_t size, size_t *done);
int vfu_client_mig_write(struct peal_vfio_device *device, const void *bytes, size_t size);
int vfu_client_log_start(struct peal_vfio_device *device, uint64_t *page_size,
			 const struct peal_vfio_range *ranges, uint32_t count);
int vfu_client_log_stop(struct peal_vfio_device *device);
int vfu_client_log_report(struct peal_vfio_device *device, const struct peal_vfio_range *range,
			  uint64_t page_size, uint64_t *bitmap);

/* client-info.c: ops. */
int vfu_client_io_fds(struct peal_vfio_device *device, unsigned index, struct peal_vfio_io_fd *list,
		      unsigned room, unsigned *count);
void vfu_client_io_release(struct peal_vfio_device *device);

const struct peal_vfio_device_ops *vfu_client_ops(void);
void vfu_client_unmap_all(struct peal_vfu_client *client);

#endif
