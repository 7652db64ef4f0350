/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's interrupt controller, set up as a guest does it: tables in guest memory, registers, and
 * commands in the ring.
 */
#ifndef PEAL_BENCH_ITS_GUEST_H
#define PEAL_BENCH_ITS_GUEST_H

#include <peal/gic.h>

#define BENCH_REDISTS     8u
#define BENCH_MAX_DEVICES 65536u
#define BENCH_MAX_EVENTS  2048u      /* of a device: the largest MSI-X table */
#define BENCH_MAX_TOTAL   (1u << 22) /* of all devices */
#define BENCH_QUEUE_SIZE  UINT64_C(0x100000)

struct bench_its {
	struct peal_its *its;
	struct peal_gic *gic;
	struct peal_space *space;
	void *ram;
	uint64_t ram_size;
	uint32_t devices;
	uint32_t events; /* of each device */

	/* Guest addresses, and where the next command goes. */
	uint64_t queue, properties, pending, device_table, collection_table, itts;
	uint32_t writer;
};

/* The LPI and the redistributor of an event; an MSI-X device spreads its vectors over the CPUs. */
static inline uint32_t bench_its_lpi(const struct bench_its *vm, uint32_t device, uint32_t event)
{
	return PEAL_GIC_FIRST_LPI + device * vm->events + event;
}

static inline unsigned bench_its_redist(uint32_t device, uint32_t event)
{
	return (device + event) % BENCH_REDISTS;
}

/* Every event of every device mapped and enabled. -ENOMEM; -EIO: the ITS refused something. */
int bench_its_new(struct bench_its *vm, uint32_t devices, uint32_t events);

/* A zeroed one is fine. */
void bench_its_done(struct bench_its *vm);

#endif
