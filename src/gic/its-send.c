/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Translation and delivery: from (DeviceID, EventID) to a pending LPI. Arm IHI 0069H §5.2.
 *
 * The hot path. It runs in a section of the GIC's epoch, so what it can reach is not freed before
 * it leaves; it takes no lock, allocates nothing, and every step is an index into an array.
 */
#include "gic.h"

struct its_device *its_find_device(struct peal_its *its, uint32_t id)
{
	void *node = peal_epoch_load(&its->root);

	if (peal_unlikely(id >= its->device_count))
		return NULL;
	for (unsigned left = its->depth; node && left > 0; left--) {
		unsigned index = id >> (RADIX_BITS * (left - 1)) & (RADIX_SIZE - 1);

		node = peal_epoch_load(&((struct its_node *)node)->children[index]);
	}
	return node;
}

uint64_t *its_find_entry(struct its_device *device, uint32_t event)
{
	uint64_t *chunk;

	if (peal_unlikely(event >> device->event_bits))
		return NULL;
	if (peal_likely(its_is_small(device)))
		return &device->entries[event];
	chunk = peal_epoch_load(&device->chunks[event >> device->chunk_bits]);
	if (peal_unlikely(!chunk))
		return NULL;
	return &chunk[event & ((UINT32_C(1) << device->chunk_bits) - 1)];
}

struct gic_redist *its_find_target(struct peal_its *its, uint32_t icid)
{
	uint32_t *page = peal_epoch_load(&its->collections[icid / COLLECTION_PAGE]);
	uint32_t target = page ? peal_epoch_load(&page[icid % COLLECTION_PAGE]) : 0;

	return target ? &its->gic->redists[target - 1] : NULL;
}

/* 1 with the entry and its target; else what send returns, counted. */
static inline int translate(struct peal_its *its, struct its_send_counters *counts, uint32_t id,
			    uint32_t event, uint64_t *entry, struct gic_redist **target)
{
	struct its_device *device;
	uint64_t *place;

	if (peal_unlikely(!peal_epoch_load(&its->enabled))) {
		peal_count(&counts->disabled, 1);
		return -EBUSY;
	}
	device = its_find_device(its, id);
	place = device ? its_find_entry(device, event) : NULL;
	*entry = place ? peal_epoch_load(place) : 0;
	if (peal_unlikely(!*entry)) {
		peal_count(&counts->unmapped, 1);
		return 0;
	}
	*target = its_find_target(its, ENTRY_ICID(*entry));
	if (peal_unlikely(!*target)) {
		peal_count(&counts->no_collection, 1);
		return 0;
	}
	if (peal_unlikely(!peal_epoch_load(&(*target)->lpis_enabled))) {
		peal_count(&counts->disabled, 1);
		return -EBUSY;
	}
	return 1;
}

static void __attribute__((noinline, cold))
trace_message(struct peal_its *its, uint32_t device, uint32_t event, int result, uint64_t entry,
	      const struct gic_redist *target)
{
	const struct peal_its_trace trace = {
		.kind = PEAL_ITS_TRACE_MESSAGE,
		.device = device,
		.event = event,
		.result = result,
		.intid = entry ? ENTRY_INTID(entry) : 0,
		.redist = target ? target->index : PEAL_ITS_TRACE_NOWHERE,
	};

	its->trace(its->config.user, &trace);
}

int peal_its_send(struct peal_its *its, uint32_t device, uint32_t event)
{
	unsigned token = peal_epoch_enter(&its->gic->epoch);
	struct its_send_counters *counts = &its->counts[token >> 1];
	struct gic_redist *target = NULL;
	uint64_t entry = 0;
	int r = translate(its, counts, device, event, &entry, &target);

	if (peal_likely(r == 1)) {
		(void)gic_pend(target, ENTRY_INTID(entry));
		peal_count(&counts->translated, 1);
	}
	if (peal_unlikely(its->trace))
		trace_message(its, device, event, r, entry, target);
	peal_epoch_leave(&its->gic->epoch, token);
	return r;
}

int peal_its_translate(struct peal_its *its, uint32_t device, uint32_t event,
		       struct peal_its_translation *ret)
{
	unsigned token = peal_epoch_enter(&its->gic->epoch);
	struct its_send_counters unused = { 0 };
	struct gic_redist *target;
	uint64_t entry;
	int r = translate(its, &unused, device, event, &entry, &target);

	if (r == 1) {
		ret->intid = ENTRY_INTID(entry);
		ret->icid = ENTRY_ICID(entry);
		ret->redist = target->index;
	}
	peal_epoch_leave(&its->gic->epoch, token);
	return r;
}

static int deliver(void *user, const struct peal_msi_msg *msg)
{
	struct peal_its_sink *sink = user;

	if (peal_unlikely(msg->address - sink->address != ITS_TRANSLATER)) {
		peal_count(&sink->its->counts[0].misdirected, 1);
		return 0;
	}
	return peal_its_send(sink->its, msg->requester_id, msg->data);
}

struct peal_msi_sink peal_its_sink(struct peal_its_sink *sink)
{
	static const struct peal_msi_sink_ops ops = { .deliver = deliver };

	return (struct peal_msi_sink){ .ops = &ops, .user = sink };
}
