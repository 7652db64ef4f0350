/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Router: finds the sink of a message by its address.
 *
 * Invariants: ranges[0..nranges) are complete and never change again; a range is filled in before
 * nranges, stored with release, counts it. So deliver needs no lock.
 */
#include <peal/irq.h>

static int router_deliver(void *user, const struct peal_msi_msg *msg)
{
	struct peal_router *router = user;
	unsigned nranges = __atomic_load_n(&router->nranges, __ATOMIC_ACQUIRE);

	for (unsigned i = 0; i < nranges; i++) {
		const struct peal_router_range *range = &router->ranges[i];

		if (msg->address >= range->first && msg->address <= range->last)
			return peal_msi_deliver(&range->sink, msg);
	}
	__atomic_store_n(&router->unrouted_address, msg->address, __ATOMIC_RELAXED);
	peal_count(&router->unrouted, 1);
	return 0;
}

void peal_router_init(struct peal_router *router)
{
	memset(router, 0, sizeof(*router));
}

int peal_router_add(struct peal_router *router, uint64_t address, uint64_t size,
		    struct peal_msi_sink sink)
{
	uint64_t last = address + (size - 1);
	unsigned nranges = __atomic_load_n(&router->nranges, __ATOMIC_RELAXED);

	PEAL_ASSERT(sink.ops && sink.ops->deliver);
	if (size == 0 || last < address)
		return -EINVAL;
	for (unsigned i = 0; i < nranges; i++) {
		const struct peal_router_range *range = &router->ranges[i];

		if (address <= range->last && last >= range->first)
			return -EINVAL;
	}
	if (nranges == PEAL_ROUTER_RANGES)
		return -ENOSPC;
	router->ranges[nranges] = (struct peal_router_range){ address, last, sink };
	__atomic_store_n(&router->nranges, nranges + 1, __ATOMIC_RELEASE);
	return 0;
}

struct peal_msi_sink peal_router_sink(struct peal_router *router)
{
	static const struct peal_msi_sink_ops ops = { .deliver = router_deliver };

	return (struct peal_msi_sink){ .ops = &ops, .user = router };
}
