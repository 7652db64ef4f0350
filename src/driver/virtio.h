/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the virtio driver: its state, and the table of operations of one transport.
 *
 * The state of the life cycle is in the fields: features of the negotiation, nqueues of
 * alloc_virtqueues, intr of setup_intr. Each step asserts or refuses what does not follow the one
 * before it.
 */
#ifndef PEAL_DRIVER_VIRTIO_H
#define PEAL_DRIVER_VIRTIO_H

#include <peal/base.h>
#include <peal/driver.h>

#include "driver/queue.h"

#define PEAL_DRIVER_RESET_LIMIT_US 5000000u

/* A block of registers in a BAR. length 0: there is none. */
struct peal_driver_region {
	uint8_t bar;
	bool is_io;
	uint64_t offset;
	uint64_t length;
};

/*
 * What the life cycle needs of a transport. The functions only move values; limits and checks
 * that do not depend on the transport are the caller's.
 */
struct peal_driver_transport {
	const char *name;
	bool modern; /* VERSION_1, FEATURES_OK, queue_enable, config_generation */
	unsigned (*get_status)(struct peal_virtio_driver *driver);
	void (*set_status)(struct peal_virtio_driver *driver, unsigned status);
	uint64_t (*get_features)(struct peal_virtio_driver *driver);
	void (*set_features)(struct peal_virtio_driver *driver, uint64_t features);
	unsigned (*num_queues)(struct peal_virtio_driver *driver);
	unsigned (*queue_size)(struct peal_virtio_driver *driver, unsigned index);
	/*
	 * Tells the device size and place of a queue and finds its notification register. -EPROTO:
	 * the device does not take the size, or the register is not where it can be.
	 */
	int (*queue_setup)(struct peal_virtio_driver *driver, struct peal_driver_queue *queue);
	void (*queue_enable)(struct peal_virtio_driver *driver, unsigned index);
	/* Write a vector and return what reads back. */
	unsigned (*config_vector)(struct peal_virtio_driver *driver, unsigned vector);
	unsigned (*queue_vector)(struct peal_virtio_driver *driver, unsigned index,
				 unsigned vector);
	/* The device's own configuration. */
	struct peal_driver_region (*config_region)(const struct peal_virtio_driver *driver);
	unsigned (*config_generation)(struct peal_virtio_driver *driver);
};

extern const struct peal_driver_transport peal_driver_modern_transport;

/* One interrupt vector; a line of its own, because different CPUs count here. */
struct peal_driver_vector {
	struct peal_virtio_driver *driver;
	unsigned queue; /* of a rung with one queue per vector */
	uint64_t interrupts;
	uint64_t stray;
} __attribute__((aligned(PEAL_CACHE_LINE)));

/* A queue and what its class driver wants of it. */
struct peal_driver_slot {
	struct peal_driver_queue queue;
	struct peal_virtio_queue_info info;
	unsigned vector;
};

struct peal_virtio_driver {
	const struct peal_host *host;
	const struct peal_driver_ops *ops;
	void *user;
	const struct peal_driver_transport *transport;
	unsigned type;
	bool unresponsive; /* a reset did not end: do not try another one on the way out */
	bool negotiated;
	bool running;

	/* Modern transport. */
	struct peal_driver_region common;
	struct peal_driver_region notify;
	struct peal_driver_region isr;
	struct peal_driver_region device;
	uint32_t notify_multiplier;

	uint64_t offered;
	uint64_t features;

	struct peal_driver_slot *slots;
	unsigned nqueues;

	/* Interrupts. */
	enum peal_virtio_intr intr;
	struct peal_virtio_intr_config intr_config;
	struct peal_driver_vector *vectors;
	unsigned nvectors;     /* size of the array */
	unsigned vectors_used; /* of these: the rung's */
};

/* probe.c: the type of a device that is ours, reading only; -ENXIO: it is not. */
int peal_driver_identify(const struct peal_virtio_driver_config *config, unsigned *type);

/* probe.c: finds the register blocks of the modern transport. 0 or -ENODEV. */
int peal_driver_find_regions(struct peal_virtio_driver *driver);

/* virtio.c */
/* Lets the device answer at the BARs of its regions, and not master the bus. */
void peal_driver_decode(struct peal_virtio_driver *driver);
int peal_driver_reset_device(struct peal_virtio_driver *driver);
void peal_driver_set_status(struct peal_virtio_driver *driver, unsigned bits);
/* FAILED, reset, everything given back; the driver can negotiate again. */
void peal_driver_fail(struct peal_virtio_driver *driver);

/* interrupts.c */
/* Tells the device the vectors of the rung in use: 0, or -ENXIO when it refuses one. */
int peal_driver_register_vectors(struct peal_virtio_driver *driver);
/* The handlers do not run any more; the device is not touched. */
void peal_driver_release_intr(struct peal_virtio_driver *driver);

/* features.c: bits of ring and transport, and those that this driver may take (with the device's). */
uint64_t peal_driver_ring_features(void);
uint64_t peal_driver_known_features(void);

/* One access to a register in a region: OFFSET + SIZE lies in it. */
static inline uint64_t peal_driver_read(struct peal_virtio_driver *driver,
					const struct peal_driver_region *region, uint64_t offset,
					unsigned size)
{
	return driver->ops->bar_read(driver->user, region->bar, region->offset + offset, size);
}

static inline void peal_driver_write(struct peal_virtio_driver *driver,
				     const struct peal_driver_region *region, uint64_t offset,
				     unsigned size, uint64_t value)
{
	driver->ops->bar_write(driver->user, region->bar, region->offset + offset, size, value);
}

#endif
