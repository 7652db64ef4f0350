/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the vfio-user benches serve: a PCI function with a register in BAR 0 and MSI-X in BAR 1, as a
 * device with a server.
 */
#ifndef PEAL_BENCH_VFU_DEVICE_H
#define PEAL_BENCH_VFU_DEVICE_H

#include <peal/pci.h>
#include <peal/vfio-function.h>
#include <peal/vfio-user.h>

#include "process.h"

#define BENCH_VFU_BAR      0u
#define BENCH_VFU_BAR_SIZE 4096u
#define BENCH_VFU_VECTORS  2u
#define BENCH_VFU_WRITTEN  8u /* reads as how many writes there were */
#define BENCH_VFU_VALUE    0x5ea1u

struct bench_vfu_device {
	struct peal_eventfds *eventfds;
	struct peal_pci_function *function;
	struct peal_vfio_function *vfio;
	struct peal_vfu_server *server;
	uint64_t writes;
};

/* -errno, with what there is to be taken down. */
int bench_vfu_device_new(struct bench_vfu_device *device, uint32_t poll_us);
void bench_vfu_device_done(struct bench_vfu_device *device);

/* A client of a server in a process on the CPU-th CPU. -errno. */
int bench_vfu_connect(struct bench_process *process, struct peal_vfu_client **ret,
		      struct bench_context *context, unsigned cpu, uint32_t poll_us,
		      unsigned flags);

#endif
