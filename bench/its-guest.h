/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's interrupt controller, set up as a guest does it: tables in guest memory, registers, and
 * commands in the ring.
 */
#ifndef PEAL_BENCH_ITS_GUEST_H
#define PEAL_BENCH_ITS_GUEST_H

#include <peal/gic.h>

#include "bench.h"

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
	unsigned id_bits;

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
/* The same with at least ID_BITS bits of INTIDs. */
int bench_its_new_wide(struct bench_its *vm, uint32_t devices, uint32_t events, unsigned id_bits);

/* Opcodes: IHI 0069H §5.3. */
#define BENCH_MOVI    0x01u
#define BENCH_SYNC    0x05u
#define BENCH_MAPD    0x08u
#define BENCH_MAPC    0x09u
#define BENCH_MAPTI   0x0au
#define BENCH_INVALL  0x0du
#define BENCH_MOVALL  0x0eu
#define BENCH_DISCARD 0x0fu

/* Puts a command into the ring; bench_its_run_commands() lets the ITS see those that are there. */
void bench_its_put(struct bench_its *vm, const uint64_t dw[4]);
void bench_its_run_commands(struct bench_its *vm);
/* The LPI's byte in the configuration table. */
uint8_t *bench_its_configuration(const struct bench_its *vm, uint32_t intid);
/* The events are mapped, all commands done, and none failed. */
bool bench_its_is_up(struct bench_its *vm);

/* What --devices and --events set, with their defaults: rows 0 and 1. */
void bench_its_options(uint64_t *devices, uint64_t *events, struct cli_option *rows);
/* CLI_OK; CLI_USAGE, and it was said: more than BENCH_MAX_TOTAL events. */
int bench_its_check(const struct bench_context *context, uint64_t total);

/* A zeroed one is fine. */
void bench_its_done(struct bench_its *vm);

#endif
