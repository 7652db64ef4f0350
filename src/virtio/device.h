/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of a virtio device, for the files of this module.
 *
 * Locks: the device's mutex excludes register accesses and changes of the configuration; each
 * queue's is held while it is served, started or stopped, and by nobody for longer. Order: a PCI
 * function's mutex (through the PCI access capability) → device → queue → (MSI-X). Whoever serves a
 * queue therefore takes no device mutex: the status is changed with atomic operations.
 */
#ifndef PEAL_SRC_VIRTIO_DEVICE_H
#define PEAL_SRC_VIRTIO_DEVICE_H

#include <peal/bits.h>
#include <peal/regs.h>
#include <peal/virtio.h>

#include "ring.h"

/* Where the structures stand in BAR 4; a page each, so that a host can map them apart. */
#define VIRTIO_BAR        4u
#define VIRTIO_BAR_SIZE   0x4000u
#define VIRTIO_BAR_COMMON 0x0000u
#define VIRTIO_BAR_ISR    0x1000u
#define VIRTIO_BAR_DEVICE 0x2000u
#define VIRTIO_BAR_NOTIFY 0x3000u
#define VIRTIO_BAR_PAGE   0x1000u
#define VIRTIO_MSIX_BAR   1u

#define VIRTIO_NOTIFY_MULTIPLIER 4u

#define VIRTIO_ISR_QUEUE  1u
#define VIRTIO_ISR_CONFIG 2u

#define VIRTIO_FEATURE_WORDS 4u

struct virtio_workers;

struct virtio_queue {
	struct peal_mutex mutex;
	struct peal_virtio *device;
	unsigned index;

	/* Registers, under the device's mutex; the vector is also read by who serves. */
	uint16_t size;
	uint16_t vector;
	bool enabled;
	uint64_t addresses[3]; /* descriptors, driver's ring, device's ring */

	/* May the queue be served? Changed under the queue's mutex; looked at without it too, so
	 * that a worker does not stand in the way of who wants to stop the queue. */
	bool live;
	struct peal_vring ring; /* under the queue's mutex */

	uint64_t notifications; /* any thread */
	uint64_t batches;       /* these: whoever serves */
	uint64_t interrupts;
	uint64_t breaks;
	uint32_t last_fault;
} __attribute__((aligned(PEAL_CACHE_LINE)));

struct peal_virtio {
	struct peal_virtio_config config;
	struct peal_pci_function *function;
	struct peal_msix *msix;
	struct virtio_queue *queues;
	struct virtio_workers *workers; /* NULL: whoever notifies serves */

	struct peal_mutex mutex;
	struct peal_reg_bank bank; /* of BAR 4: common configuration, ISR */
	uint8_t common[PEAL_VIRTIO_COMMON_SIZE] __attribute__((aligned(8)));
	uint64_t offered;
	uint32_t driver_features[VIRTIO_FEATURE_WORDS];
	uint8_t generation;
	bool kick_all; /* when the mutex is free again */

	/* Without the mutex too: */
	uint32_t paused; /* no queue is served, whatever happens (state.c) */
	uint32_t status;
	uint32_t isr;
	struct peal_mutex intx_mutex; /* leaf: the line follows the ISR */
	uint32_t config_vector;

	/* The PCI access capability, under the function's mutex. */
	uint32_t access_bar;
	uint32_t access_offset;
	uint32_t access_length;
};

extern const struct peal_reg virtio_common_rows[];
extern const unsigned virtio_common_nrows;
extern const struct peal_reg virtio_isr_rows[];
extern const unsigned virtio_isr_nrows;
extern const struct peal_reg virtio_pci_access_rows[];
extern const unsigned virtio_pci_access_nrows;

/* ---- queue.c ---- */

int virtio_queue_init(struct virtio_queue *queue, struct peal_virtio *device, unsigned index);
void virtio_queue_done(struct virtio_queue *queue);

/* Begins to be served, with a fresh ring, if the driver enabled it. */
void virtio_queue_start(struct virtio_queue *queue);

/* The same with a ring of which the first entries up to INDEX have been done. */
void virtio_queue_resume(struct virtio_queue *queue, uint16_t index);

/* Is not served any more, and whoever did is out of the ring. */
void virtio_queue_stop(struct virtio_queue *queue);

/* Registers back to their first state; the queue is stopped. */
void virtio_queue_reset(struct virtio_queue *queue);

/* Waits until nobody serves the queue who began before the call. */
void virtio_queue_sync(struct virtio_queue *queue);

/* Serves what there is. True: there was something. Notifications are off after it. */
bool virtio_queue_serve(struct virtio_queue *queue);

/* Asks for notifications. True: there is work already. */
bool virtio_queue_listen(struct virtio_queue *queue);

/* ---- blk.c: the device configuration ---- */

extern const struct peal_reg virtio_blk_rows[];
extern const unsigned virtio_blk_nrows;

/* ---- device.c ---- */

void virtio_device_reset(struct peal_virtio *device); /* under the mutex */
void virtio_write_status(struct peal_virtio *device, uint8_t value);
void virtio_needs_reset(struct peal_virtio *device); /* from any thread */
void virtio_raise_queue(struct virtio_queue *queue);
void virtio_raise_config(struct peal_virtio *device);
void virtio_drive_intx(struct peal_virtio *device);
/* Moves a vector register from OLD; what it reads then: NO_VECTOR when WANTED cannot be had. */
uint16_t virtio_assign_vector(struct peal_virtio *device, uint16_t old, uint16_t wanted);
void virtio_notify(struct peal_virtio *device, unsigned queue);
/* Releases the mutex and does what waited for that. */
void virtio_unlock(struct peal_virtio *device);

static inline uint8_t virtio_status(const struct peal_virtio *device)
{
	return (uint8_t)__atomic_load_n(&device->status, __ATOMIC_SEQ_CST);
}

static inline uint64_t virtio_negotiated(const struct peal_virtio *device)
{
	return device->driver_features[0] | (uint64_t)device->driver_features[1] << 32;
}

/* ---- state.c ---- */

extern const struct peal_pci_state_ops virtio_state_ops;

static inline bool virtio_is_paused(const struct peal_virtio *device)
{
	return __atomic_load_n(&device->paused, __ATOMIC_SEQ_CST);
}

/* ---- pci.c ---- */

int virtio_pci_init(struct peal_virtio *device);

/* ---- worker-posix.c ---- */

/* COUNT threads for the queues of DEVICE. -ENOMEM, -EAGAIN. */
int virtio_workers_new(struct virtio_workers **ret, struct peal_virtio *device, unsigned count);
/* Ends and joins the threads. NULL is fine. */
void virtio_workers_free(struct virtio_workers *workers);
void virtio_workers_kick(struct virtio_workers *workers, unsigned queue);

#endif
