/* SPDX-License-Identifier: BSD-2-Clause */
/* What saving into the guest's tables and restoring from them share: its-tables.c. */
#ifndef PEAL_SRC_GIC_ITS_TABLES_H
#define PEAL_SRC_GIC_ITS_TABLES_H

#include "gic.h"

/*
 * Entries that may be looked at in all tables together, in vain or not: half a GiB of them. Guests
 * whose tables are as large as what they map come nowhere near.
 */
#define ITS_WALK_BUDGET (UINT64_C(1) << 26)

/* Target of a collection that is not mapped. */
#define ITS_NOT_MAPPED UINT64_C(0xffffffff)

/* An entry with the distance to the next one in its upper bits: SHIFT up, at most CAP. */
struct its_chain_format {
	uint64_t present; /* the entry is there when one of these bits is set */
	unsigned shift;
	uint64_t cap;
};

extern const struct its_chain_format its_device_format;
extern const struct its_chain_format its_event_format;

/* How many DeviceIDs the device table is good for. */
uint64_t its_table_devices(const struct peal_its *its, const struct its_table *table);

/*
 * The first mapped event at or behind *EVENT, which is set to it, and its entry; false: none. The
 * caller goes on with the event behind it.
 */
bool its_next_event(const struct its_device *device, uint32_t *event, uint64_t *entry);

/* VISIT for each device in ascending order, until one answers other than 0: that is the result. */
int its_for_each_device(struct peal_its *its, int (*visit)(void *user, struct its_device *device),
			void *user);

/*
 * Do two devices share a part of their ITTs that is looked at? An ITT is looked at up to its last
 * event, all of it when it has none. -EINVAL: yes. -ENOMEM.
 */
int its_check_overlap(struct peal_its *its);

/*
 * An ITS of the same configuration, without mappings, to build new ones aside. What it maps and
 * unmaps does not touch pending states. 0 or -errno. It is freed with peal_its_free().
 */
int its_aside_new(struct peal_its **ret, const struct peal_its *its);

#endif
