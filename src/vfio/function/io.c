/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event descriptors for the doorbells of a function: a signal is a write of the doorbell.
 *
 * They are made when they are asked for first and stay until they are released. While the device is
 * stopped a ring is remembered; io_stop looks once at all of them and carries out what there was, so
 * a ring that was made before it has been carried out when it returns.
 *
 * A ring takes no lock here, as who takes its watcher away waits for it under the mutex.
 */
#include "function.h"

#include <peal/bits.h>

/* As many as one message of vfio-user can carry. */
#define DOORS_MAX 253u

static bool get_doorbells(const struct peal_vfio_function *vfio, struct peal_pci_doorbells *ret)
{
	const struct peal_trigger_ops *triggers = vfio->triggers;

	if (!vfio->ops || !vfio->ops->doorbells || !triggers->create || !triggers->watch ||
	    !triggers->flush)
		return false;
	vfio->ops->doorbells(vfio->user, ret);
	return ret->count > 0;
}

static void ring(struct vfio_door *door)
{
	struct peal_pci_doorbells bells;

	door->vfio->ops->doorbells(door->vfio->user, &bells);
	/* A doorbell of virtio is written its number; others do not care. */
	peal_pci_bar_write(door->vfio->function, bells.bar,
			   bells.offset + (uint64_t)door->index * bells.stride, bells.size,
			   door->index);
}

static bool is_stopped(const struct vfio_door *door)
{
	return __atomic_load_n(&door->vfio->io.stopped, __ATOMIC_SEQ_CST);
}

static void fire(void *argument, bool closed)
{
	struct vfio_door *door = argument;

	if (closed)
		return;
	if (is_stopped(door)) {
		__atomic_store_n(&door->rung, 1, __ATOMIC_SEQ_CST);
		/* Who starts looks for it after it said so. */
		if (is_stopped(door) || !__atomic_exchange_n(&door->rung, 0, __ATOMIC_SEQ_CST))
			return;
	}
	ring(door);
}

/* ---- under the mutex ---- */

static int add_door(struct peal_vfio_function *vfio)
{
	struct vfio_door *door = &vfio->io.doors[vfio->io.ndoors];
	int r;

	*door = (struct vfio_door){ .vfio = vfio, .index = vfio->io.ndoors };
	door->fd = vfio->triggers->create(vfio->triggers_user);
	if (door->fd < 0)
		return door->fd;
	r = vfio->triggers->watch(vfio->triggers_user, door->fd, fire, door, &door->watcher);
	if (r < 0) {
		vfio->triggers->destroy(vfio->triggers_user, door->fd);
		return r;
	}
	vfio->io.ndoors++;
	return 0;
}

static void release(struct peal_vfio_function *vfio)
{
	struct vfio_io *io = &vfio->io;

	for (unsigned i = 0; i < io->ndoors; i++) {
		vfio->triggers->unwatch(vfio->triggers_user, io->doors[i].watcher);
		vfio->triggers->destroy(vfio->triggers_user, io->doors[i].fd);
	}
	peal_free(vfio->host, io->doors, io->room * sizeof(*io->doors));
	io->doors = NULL;
	io->ndoors = io->room = 0;
}

/* At least COUNT doors; those that are there already stay when others cannot be had. */
static int make_doors(struct peal_vfio_function *vfio, unsigned count, unsigned all)
{
	struct vfio_io *io = &vfio->io;
	int r = 0;

	if (!io->doors) {
		io->doors = peal_alloc(vfio->host, all * sizeof(*io->doors));
		if (!io->doors)
			return -ENOMEM;
		io->room = all;
	}
	while (r == 0 && io->ndoors < count)
		r = add_door(vfio);
	return r;
}

/* ---- the device's ops ---- */

int vfio_function_io_fds(struct peal_vfio_device *device, unsigned index,
			 struct peal_vfio_io_fd *list, unsigned room, unsigned *count)
{
	struct peal_vfio_function *vfio = vfio_of(device);
	struct peal_pci_doorbells bells;
	unsigned all, wanted;
	int r;

	if (index >= PEAL_VFIO_REGIONS)
		return -EINVAL;
	if (!get_doorbells(vfio, &bells) || bells.bar != index) {
		*count = 0;
		return 0;
	}
	all = bells.count < DOORS_MAX ? bells.count : DOORS_MAX;
	wanted = room < all ? room : all;
	peal_mutex_lock(&vfio->io.mutex);
	r = make_doors(vfio, wanted, all);
	for (unsigned i = 0; r == 0 && i < wanted; i++)
		list[i] = (struct peal_vfio_io_fd){
			.offset = bells.offset + (uint64_t)i * bells.stride,
			.size = bells.size,
			.fd = vfio->io.doors[i].fd,
		};
	if (r == 0)
		*count = wanted;
	peal_mutex_unlock(&vfio->io.mutex);
	return r;
}

void vfio_function_io_release(struct peal_vfio_device *device)
{
	struct peal_vfio_function *vfio = vfio_of(device);

	if (!vfio->io.mutex.impl) /* half built */
		return;
	peal_mutex_lock(&vfio->io.mutex);
	release(vfio);
	peal_mutex_unlock(&vfio->io.mutex);
}

/* ---- migration ---- */

static void carry_out(struct peal_vfio_function *vfio)
{
	for (unsigned i = 0; i < vfio->io.ndoors; i++) {
		if (__atomic_exchange_n(&vfio->io.doors[i].rung, 0, __ATOMIC_SEQ_CST))
			ring(&vfio->io.doors[i]);
	}
}

static void set_stopped(struct vfio_io *io, bool stopped)
{
	__atomic_store_n(&io->stopped, stopped, __ATOMIC_SEQ_CST);
}

/* Rings that were made before are in RUNG on return; while it is stopped. */
static void flush(struct peal_vfio_function *vfio)
{
	for (unsigned i = 0; i < vfio->io.ndoors; i++)
		vfio->triggers->flush(vfio->triggers_user, vfio->io.doors[i].watcher);
}

void vfio_function_io_stop(struct peal_vfio_function *vfio)
{
	struct vfio_io *io = &vfio->io;

	peal_mutex_lock(&io->mutex);
	set_stopped(io, true);
	flush(vfio);
	carry_out(vfio);
	peal_mutex_unlock(&io->mutex);
}

void vfio_function_io_reset(struct peal_vfio_function *vfio)
{
	struct vfio_io *io = &vfio->io;
	bool stopped;

	peal_mutex_lock(&io->mutex);
	stopped = __atomic_load_n(&io->stopped, __ATOMIC_SEQ_CST);
	set_stopped(io, true);
	flush(vfio);
	for (unsigned i = 0; i < io->ndoors; i++)
		__atomic_store_n(&io->doors[i].rung, 0, __ATOMIC_SEQ_CST);
	set_stopped(io, stopped);
	/* Those that came behind it. */
	if (!stopped)
		carry_out(vfio);
	peal_mutex_unlock(&io->mutex);
}

void vfio_function_io_start(struct peal_vfio_function *vfio)
{
	peal_mutex_lock(&vfio->io.mutex);
	set_stopped(&vfio->io, false);
	carry_out(vfio);
	peal_mutex_unlock(&vfio->io.mutex);
}
