/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mappings in the guest's tables: the format, and restoring from it. Revision 0 of the format that
 * Linux documents for KVM (Documentation/virt/kvm/devices/arm-vgic-its.rst, "ITS Table ABI REV0");
 * all entries are 8 bytes, little-endian.
 *
 *              63    62                49 48                                5 4    0
 *   device     │ V │ distance to the next │ ITT address >> 8                 │ Size │
 *              63    62     52 51                              16 15              0
 *   collection │ V │ 0        │ processor number of the target   │ ICID            │
 *              63                48 47                         16 15              0
 *   event      │ distance to next  │ INTID, 0: no event          │ ICID            │
 *
 * Devices are found by DeviceID and events by EventID, each from the first; distance 0 is the
 * last's, and one that does not fit is all ones: looking goes on there. The collection table is a
 * list that ends with an entry that is not valid, or with the table. A collection that events use
 * and that is not mapped has target 0xffffffff, which is KVM's COLLECTION_NOT_MAPPED.
 *
 * What is restored is built aside, with its own account of memory, and takes the place of what is
 * mapped when all of it is good. Under the ITS's mutex, while the ITS is off.
 */
#include "its-tables.h"

const struct its_chain_format its_device_format = {
	.present = ITS_VALID,
	.shift = 49,
	.cap = PEAL_MASK(13, 0),
};

const struct its_chain_format its_event_format = {
	.present = PEAL_MASK(47, 16),
	.shift = 48,
	.cap = PEAL_MASK(15, 0),
};

uint64_t its_table_devices(const struct peal_its *its, const struct its_table *table)
{
	return table->count < its->device_count ? table->count : its->device_count;
}

/* ---- going over what is mapped ---- */

bool its_next_event(const struct its_device *device, uint32_t *event, uint64_t *entry)
{
	uint32_t per_chunk = UINT32_C(1) << device->chunk_bits;

	for (uint32_t e = *event; e >> device->event_bits == 0; e++) {
		const uint64_t *chunk = its_is_small(device) ? device->entries
							     : device->chunks[e / per_chunk];

		if (!chunk) {
			e |= per_chunk - 1;
			continue;
		}
		if (chunk[e % per_chunk]) {
			*event = e;
			*entry = chunk[e % per_chunk];
			return true;
		}
	}
	return false;
}

static int visit_below(void *node, unsigned depth,
		       int (*visit)(void *user, struct its_device *device), void *user)
{
	int r = 0;

	if (depth == 0)
		return visit(user, node);
	for (unsigned i = 0; r == 0 && i < RADIX_SIZE; i++) {
		void *child = ((struct its_node *)node)->children[i];

		if (child)
			r = visit_below(child, depth - 1, visit, user);
	}
	return r;
}

int its_for_each_device(struct peal_its *its, int (*visit)(void *user, struct its_device *device),
			void *user)
{
	return its->root ? visit_below(its->root, its->depth, visit, user) : 0;
}

/* ---- do ITTs overlap? ---- */

struct extent {
	uint64_t first; /* bytes in guest memory */
	uint64_t last;
};

struct extents {
	struct extent *list;
	uint64_t n;
};

static uint32_t last_event(const struct its_device *device)
{
	uint32_t event = 0, last = UINT32_MAX >> (32 - device->event_bits);
	uint64_t entry;

	if (device->mapped == 0)
		return last;
	for (uint32_t n = device->mapped; n > 0; n--, event++) {
		(void)its_next_event(device, &event, &entry);
		last = event;
	}
	return last;
}

static int add_extent(void *user, struct its_device *device)
{
	struct extents *extents = user;

	extents->list[extents->n++] = (struct extent){
		.first = device->itt,
		.last = device->itt + (last_event(device) + UINT64_C(1)) * ITS_ENTRY_SIZE - 1,
	};
	return 0;
}

/* Moves the extent at the top of a heap of N down to its place. */
static void sift(struct extent *heap, uint64_t at, uint64_t n)
{
	for (uint64_t child; (child = 2 * at + 1) < n; at = child) {
		struct extent low = heap[at];

		if (child + 1 < n && heap[child + 1].first > heap[child].first)
			child++;
		if (heap[child].first <= low.first)
			return;
		heap[at] = heap[child];
		heap[child] = low;
	}
}

static void sort_extents(struct extent *list, uint64_t n)
{
	for (uint64_t at = n / 2; at-- > 0;)
		sift(list, at, n);
	while (n > 1) {
		struct extent highest = list[0];

		list[0] = list[--n];
		list[n] = highest;
		sift(list, 0, n);
	}
}

int its_check_overlap(struct peal_its *its)
{
	uint64_t size = its->ndevices * sizeof(struct extent);
	struct extents extents = { .n = 0 };
	int r = 0;

	if (its->ndevices < 2)
		return 0;
	extents.list = peal_alloc(its->host, size);
	if (!extents.list)
		return -ENOMEM;
	(void)its_for_each_device(its, add_extent, &extents);
	sort_extents(extents.list, extents.n);
	for (uint64_t i = 1; i < extents.n; i++) {
		if (extents.list[i].first <= extents.list[i - 1].last)
			r = -EINVAL;
	}
	peal_free(its->host, extents.list, size);
	return r;
}

/* ---- building aside ---- */

int its_aside_new(struct peal_its **ret, const struct peal_its *its)
{
	struct peal_its_config config = its->config;
	struct peal_its *aside;
	int r;

	config.error = NULL;
	config.trace = NULL;
	r = peal_its_new(&aside, &config);
	if (r < 0)
		return r;
	aside->aside = true;
	*ret = aside;
	return 0;
}

/* ---- restoring ---- */

struct restore {
	struct peal_its *aside;
	uint64_t budget;
	struct its_device *device; /* whose events are read */
	struct its_walk devices, events;
	uint64_t listed[65536 / 64]; /* the collections in the table */
};

static bool is_listed(const struct restore *restore, uint32_t icid)
{
	return restore->listed[icid / 64] >> (icid % 64) & 1;
}

static int restore_collection(struct restore *restore, uint64_t entry)
{
	struct peal_its *aside = restore->aside;
	uint32_t icid = (uint32_t)entry & 0xffff;
	uint64_t rdbase = peal_field(entry, 51, 16);
	int redist;

	if (icid >> aside->config.icid_bits || is_listed(restore, icid) ||
	    !its_table_has(aside, ITS_BASER_COLLECTION, icid))
		return -EINVAL;
	restore->listed[icid / 64] |= PEAL_BIT(icid % 64);
	if (rdbase == ITS_NOT_MAPPED)
		return 0;
	redist = gic_find_redist(aside->gic, rdbase);
	return redist < 0 ? -EINVAL : its_map_collection(aside, icid, (unsigned)redist);
}

static int restore_collections(struct restore *restore)
{
	struct its_table table;
	struct its_found found;
	struct its_walk *walk = &restore->devices;
	int r = 0;

	if (!its_table_open(restore->aside, ITS_BASER_COLLECTION, &table))
		return 0;
	its_walk_begin(walk, &table, ITS_VALID, &restore->budget);
	/* As no ICID is there twice, the list ends. */
	for (uint64_t i = 0; r == 0 && i < table.count; i++) {
		r = its_walk_find(walk, i, i + 1, &found);
		if (r == 0)
			return 0;
		r = r < 0 ? -EINVAL : restore_collection(restore, found.value);
	}
	return r;
}

/* Calls TAKE for each entry of a chain over COUNT ids. */
static int restore_chain(struct restore *restore, struct its_walk *walk, uint64_t count,
			 const struct its_chain_format *format,
			 int (*take)(struct restore *restore, uint64_t id, uint64_t value))
{
	uint64_t from = 0, to = count, next;
	struct its_found found;
	int r = its_walk_find(walk, from, to, &found);

	if (r == 0)
		return 0;
	for (;;) {
		/* Who points to the next one says that there is one. */
		if (r != 1)
			return -EINVAL;
		r = take(restore, found.id, found.value);
		next = found.value >> format->shift & format->cap;
		if (r < 0 || next == 0)
			return r;
		from = found.id + next;
		if (from >= count)
			return -EINVAL;
		to = next == format->cap ? count : from + 1;
		r = its_walk_find(walk, from, to, &found);
	}
}

static int restore_event(struct restore *restore, uint64_t event, uint64_t entry)
{
	uint32_t intid = (uint32_t)peal_field(entry, 47, 16), icid = (uint32_t)entry & 0xffff;
	struct peal_its *aside = restore->aside;

	if (intid < PEAL_GIC_FIRST_LPI || intid >= aside->gic->id_count ||
	    !is_listed(restore, icid))
		return -EINVAL;
	return its_map_event(aside, restore->device, (uint32_t)event, ENTRY(icid, intid));
}

static int restore_device(struct restore *restore, uint64_t id, uint64_t entry)
{
	struct peal_its *aside = restore->aside;
	unsigned event_bits = (unsigned)peal_field(entry, 4, 0) + 1;
	struct its_table itt;
	int r;

	if (event_bits > aside->config.event_bits)
		return -EINVAL;
	r = its_map_device(aside, (uint32_t)id, event_bits, peal_field(entry, 48, 5) << 8);
	if (r < 0)
		return r;
	restore->device = its_find_device(aside, (uint32_t)id);
	itt = its_table_of(aside, restore->device);
	its_walk_begin(&restore->events, &itt, its_event_format.present, &restore->budget);
	return restore_chain(restore, &restore->events, itt.count, &its_event_format,
			     restore_event);
}

static int restore_devices(struct restore *restore)
{
	struct its_table table;

	if (!its_table_open(restore->aside, ITS_BASER_DEVICE, &table))
		return 0;
	its_walk_begin(&restore->devices, &table, ITS_VALID, &restore->budget);
	return restore_chain(restore, &restore->devices, its_table_devices(restore->aside, &table),
			     &its_device_format, restore_device);
}

static int restore_all(struct peal_its *its, struct restore *restore)
{
	struct peal_gic *gic = its->gic;
	int r;

	restore->budget = ITS_WALK_BUDGET;
	memcpy(restore->aside->image, its->image, sizeof(its->image));
	r = restore_collections(restore);
	if (r == 0)
		r = restore_devices(restore);
	if (r == 0)
		r = its_check_overlap(restore->aside);
	if (r < 0)
		return r;
	peal_mutex_lock(&gic->mutex);
	gic_read_all_config(gic);
	peal_mutex_unlock(&gic->mutex);
	its_swap_mappings(its, restore->aside);
	return 0;
}

int peal_its_restore_tables(struct peal_its *its)
{
	struct restore *restore = peal_alloc(its->host, sizeof(*restore));
	int r;

	if (!restore)
		return -ENOMEM;
	r = its_aside_new(&restore->aside, its);
	if (r == 0) {
		peal_mutex_lock(&its->mutex);
		r = its->enabled ? -EBUSY : restore_all(its, restore);
		peal_mutex_unlock(&its->mutex);
		peal_its_free(restore->aside);
	}
	peal_free(its->host, restore, sizeof(*restore));
	return r;
}
