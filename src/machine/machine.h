/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of a machine: machine.c is the hardware, vcpu.c a CPU. */
#ifndef PEAL_SRC_MACHINE_MACHINE_H
#define PEAL_SRC_MACHINE_MACHINE_H

#include <pthread.h>

#include <peal/bits.h>
#include <peal/machine.h>

/*
 * A CPU. A kick sets the word; who waits looks at it for a while and then sleeps on it. WAITING
 * spares the system call when nobody sleeps.
 */
struct peal_vcpu {
	uint32_t kicked;
	uint32_t waiting;
	struct peal_machine *machine;
	unsigned index;
	pthread_t thread;
	uint32_t irq_sequence; /* odd while it acknowledges and handles an interrupt */
	uint64_t acknowledged;
	uint64_t kicks;
	uint64_t sleeps;
} __attribute__((aligned(PEAL_CACHE_LINE)));

/* One redistributor as the accessor of its frames. */
struct machine_redist {
	struct peal_gic *gic;
	unsigned index;
};

struct peal_machine {
	const struct peal_host *host;
	struct peal_machine_config config;
	void *ram;
	struct peal_space *space;
	struct peal_gic *gic;
	struct peal_its *its;
	struct peal_its_sink its_sink;
	struct peal_router router;
	struct peal_pci_bus *bus;
	struct machine_redist *redists;
	struct peal_vcpu *vcpus;

	void (*main)(struct peal_vcpu *vcpu, void *user);
	void *main_user;
	void (*irq_entry)(struct peal_vcpu *vcpu, uint32_t intid, void *user);
	void *irq_user;

	pthread_mutex_t lock; /* main_done */
	pthread_cond_t changed;
	bool main_done;
	uint32_t stopping;
	unsigned started; /* vCPU threads */
};

/* Body of a vCPU's thread; ARG is the vCPU. */
void *vcpu_thread(void *arg);

#endif
