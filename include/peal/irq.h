/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupt messages and where they go.
 *
 * A message signalled interrupt is a memory write: address, data, and who sent it. A sink takes
 * messages: an ITS, an APIC, a KVM route, a recorder. The sink is the one seam between PCI and
 * every interrupt controller; a router is a sink that finds another one by address.
 */
#ifndef PEAL_IRQ_H
#define PEAL_IRQ_H

#include <peal/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* REQUESTER_ID: segment << 16 | bus << 8 | device << 3 | function. */
struct peal_msi_msg {
	uint64_t address;
	uint32_t data;
	uint32_t requester_id;
};

/*
 * deliver: 1 delivered (or merged into one that is still pending), 0 blocked by the guest's own
 * programming, -errno. Called from any thread, any number at once, in the hot path and sometimes
 * with the lock of the PCI function held: it does not block and does not call into the function.
 */
struct peal_msi_sink_ops {
	int (*deliver)(void *user, const struct peal_msi_msg *msg);
};

struct peal_msi_sink {
	const struct peal_msi_sink_ops *ops;
	void *user;
};

static inline int peal_msi_deliver(const struct peal_msi_sink *sink, const struct peal_msi_msg *msg)
{
	return sink->ops->deliver(sink->user, msg);
}

/*
 * Router: sinks by address range. Caller-allocated. Ranges are added before the first message and
 * stay until the router is no longer used; deliver is lock-free.
 */
#define PEAL_ROUTER_RANGES 16u

struct peal_router_range {
	uint64_t first;
	uint64_t last;
	struct peal_msi_sink sink;
};

struct peal_router {
	struct peal_router_range ranges[PEAL_ROUTER_RANGES];
	unsigned nranges;
	uint64_t unrouted;         /* messages that no range took */
	uint64_t unrouted_address; /* the address of the last one */
};

PEAL_PUBLIC void peal_router_init(struct peal_router *router);

/* -EINVAL: empty, wraps, or overlaps a range. -ENOSPC: PEAL_ROUTER_RANGES are there. */
PEAL_PUBLIC int peal_router_add(struct peal_router *router, uint64_t address, uint64_t size,
				struct peal_msi_sink sink);

/* The router as a sink; a message to an address without range is counted and answered with 0. */
PEAL_PUBLIC struct peal_msi_sink peal_router_sink(struct peal_router *router);

#ifdef __cplusplus
}
#endif

#endif
