/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an ITS has mapped: devices, events, collections. Under the ITS's mutex.
 *
 * Sends read all of it at the same time. So something new is complete before it is in reach, and
 * something old is out of reach, and every send that could see it over (peal_epoch_sync), before
 * its LPI's pending state is taken away or its memory freed. All memory that a guest's commands
 * make the ITS allocate counts against one limit.
 */
#include "gic.h"

void *its_allocate(struct peal_its *its, uint64_t size)
{
	void *memory;

	if (!peal_in_range(its->memory, size, its->config.memory_limit))
		return NULL;
	memory = peal_alloc(its->host, size);
	if (memory)
		its->memory += size;
	return memory;
}

void its_release(struct peal_its *its, void *memory, uint64_t size)
{
	if (!memory)
		return;
	its->memory -= size;
	peal_free(its->host, memory, size);
}

static void sync_sends(struct peal_its *its)
{
	if (!its->aside)
		peal_epoch_sync(&its->gic->epoch);
}

/* ---- devices ---- */

static uint64_t chunk_size(const struct its_device *device)
{
	return PEAL_BIT(device->chunk_bits) * sizeof(uint64_t);
}

static uint32_t chunk_count(const struct its_device *device)
{
	return UINT32_C(1) << (device->event_bits - device->chunk_bits);
}

static uint64_t device_size(const struct its_device *device)
{
	return sizeof(*device) + (its_is_small(device) ? chunk_size(device)
						       : chunk_count(device) * sizeof(uint64_t *));
}

/* A chunk holds 64 events, more for devices so large that their list of chunks would grow. */
static unsigned chunk_bits(unsigned event_bits)
{
	unsigned bits = event_bits > 16 ? event_bits - 10 : SMALL_EVENT_BITS;

	return bits < event_bits ? bits : event_bits;
}

static unsigned radix_index(uint32_t id, unsigned left)
{
	return id >> (RADIX_BITS * (left - 1)) & (RADIX_SIZE - 1);
}

/* The path of nodes to a device id, the root first; missing ones are made. */
static int make_path(struct peal_its *its, uint32_t id, struct its_node **path)
{
	for (unsigned i = 0; i < its->depth; i++) {
		struct its_node *parent = i ? path[i - 1] : NULL;
		unsigned index = parent ? radix_index(id, its->depth - i + 1) : 0;
		struct its_node *node = parent ? parent->children[index] : its->root;

		if (!node) {
			node = its_allocate(its, sizeof(*node));
			if (!node)
				return -ENOMEM;
			if (parent) {
				peal_epoch_store(&parent->children[index], (void *)node);
				parent->used++;
			} else {
				peal_epoch_store(&its->root, node);
			}
		}
		path[i] = node;
	}
	return 0;
}

/* Frees the nodes of the path to ID that hold nothing any more. */
static void prune_path(struct peal_its *its, uint32_t id)
{
	struct its_node *path[4];
	unsigned n = 0;

	for (struct its_node *node = its->root; node && n < its->depth; n++) {
		path[n] = node;
		node = n + 1 < its->depth ? node->children[radix_index(id, its->depth - n)] : NULL;
	}
	while (n-- > 0 && path[n]->used == 0) {
		if (n > 0) {
			peal_epoch_store(
				&path[n - 1]->children[radix_index(id, its->depth - n + 1)], NULL);
			path[n - 1]->used--;
		} else {
			peal_epoch_store(&its->root, NULL);
		}
		sync_sends(its);
		its_release(its, path[n], sizeof(*path[n]));
	}
}

void its_clear_pending(struct peal_its *its, uint64_t entry)
{
	if (its->aside)
		return;
	gic_command_unpend(its->gic, its_find_target(its, ENTRY_ICID(entry)), ENTRY_INTID(entry));
}

/* What is left of an entry that no send can see any more. */
static void forget_entry(struct peal_its *its, uint64_t entry)
{
	its_clear_pending(its, entry);
	its_member_remove(its, ENTRY_ICID(entry), ENTRY_NODE(entry));
}

static void forget_entries(struct peal_its *its, const uint64_t *entries, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		if (entries[i])
			forget_entry(its, entries[i]);
	}
}

/* Of a device that no send can see. */
static void free_device(struct peal_its *its, struct its_device *device)
{
	uint64_t per_chunk = PEAL_BIT(device->chunk_bits);

	if (its_is_small(device))
		forget_entries(its, device->entries, per_chunk);
	for (uint32_t i = 0; !its_is_small(device) && i < chunk_count(device); i++) {
		uint64_t *chunk = device->chunks[i];

		forget_entries(its, chunk, chunk ? per_chunk : 0);
		its_release(its, chunk, chunk_size(device));
	}
	its->nevents -= device->mapped;
	its->ndevices--;
	its_release(its, device, device_size(device));
}

void its_unmap_device(struct peal_its *its, uint32_t id)
{
	struct its_device *device = its_find_device(its, id);
	struct its_node *node = its->root;

	if (!device)
		return;
	for (unsigned left = its->depth; left > 1; left--)
		node = node->children[radix_index(id, left)];
	peal_epoch_store(&node->children[radix_index(id, 1)], NULL);
	node->used--;
	sync_sends(its);
	free_device(its, device);
	prune_path(its, id);
}

int its_map_device(struct peal_its *its, uint32_t id, unsigned event_bits, uint64_t itt)
{
	struct its_device shape = {
		.id = id,
		.event_bits = (uint8_t)event_bits,
		.chunk_bits = (uint8_t)chunk_bits(event_bits),
		.itt = itt,
	};
	struct its_device *device, *old = its_find_device(its, id);
	struct its_node *path[4];

	device = its_allocate(its, device_size(&shape));
	if (!device)
		return -ENOMEM;
	*device = shape;
	if (make_path(its, id, path) < 0) {
		its_release(its, device, device_size(device));
		prune_path(its, id);
		return -ENOMEM;
	}
	peal_epoch_store(&path[its->depth - 1]->children[radix_index(id, 1)], (void *)device);
	its->ndevices++;
	if (old) {
		sync_sends(its);
		free_device(its, old);
	} else {
		path[its->depth - 1]->used++;
	}
	return 0;
}

/* Everything at or below a node, DEPTH levels above the devices. */
static void free_tree(struct peal_its *its, void *node, unsigned depth)
{
	if (!node)
		return;
	if (depth == 0) {
		free_device(its, node);
		return;
	}
	for (unsigned i = 0; i < RADIX_SIZE; i++)
		free_tree(its, ((struct its_node *)node)->children[i], depth - 1);
	its_release(its, node, sizeof(struct its_node));
}

void its_unmap_all_devices(struct peal_its *its)
{
	struct its_node *root = its->root;

	if (!root)
		return;
	peal_epoch_store(&its->root, NULL);
	sync_sends(its);
	free_tree(its, root, its->depth);
}

/* ---- events ---- */

/* ENTRY with a node of its collection's list. */
static int add_member(struct peal_its *its, uint64_t *entry)
{
	uint32_t node;
	int r = its_member_add(its, ENTRY_ICID(*entry), ENTRY_INTID(*entry), &node);

	if (r == 0)
		*entry |= (uint64_t)node << 40;
	return r;
}

int its_map_event(struct peal_its *its, struct its_device *device, uint32_t event, uint64_t entry)
{
	uint64_t *place = its_find_entry(device, event), *chunk = NULL, old;

	if (place && *place && ENTRY_PLAIN(*place) == entry)
		return 0;
	if (!place) {
		chunk = its_allocate(its, chunk_size(device));
		if (!chunk)
			return -ENOMEM;
	}
	if (add_member(its, &entry) < 0) {
		its_release(its, chunk, chunk_size(device));
		return -ENOMEM;
	}
	if (chunk) {
		peal_epoch_store(&device->chunks[event >> device->chunk_bits], chunk);
		place = its_find_entry(device, event);
	}
	old = *place;
	peal_epoch_store(place, entry);
	if (old) {
		sync_sends(its);
		forget_entry(its, old);
	} else {
		device->mapped++;
		its->nevents++;
	}
	return 0;
}

int its_move_event(struct peal_its *its, uint64_t *place, uint32_t icid)
{
	uint64_t old = *place, entry = ENTRY(icid, ENTRY_INTID(old));

	if (icid == ENTRY_ICID(old))
		return 0;
	if (add_member(its, &entry) < 0)
		return -ENOMEM;
	peal_epoch_store(place, entry);
	sync_sends(its);
	its_member_remove(its, ENTRY_ICID(old), ENTRY_NODE(old));
	return 0;
}

void its_unmap_event(struct peal_its *its, struct its_device *device, uint64_t *place)
{
	uint64_t old = *place;

	peal_epoch_store(place, UINT64_C(0));
	sync_sends(its);
	forget_entry(its, old);
	device->mapped--;
	its->nevents--;
}

/* ---- collections ---- */

int its_map_collection(struct peal_its *its, uint32_t icid, unsigned redist)
{
	uint32_t **slot = &its->collections[icid / COLLECTION_PAGE];
	uint32_t *place, old;

	if (!*slot) {
		uint32_t *page = its_allocate(its, COLLECTION_PAGE * sizeof(*page));

		if (!page)
			return -ENOMEM;
		peal_epoch_store(slot, page);
	}
	place = &(*slot)[icid % COLLECTION_PAGE];
	old = *place;
	peal_epoch_store(place, redist + 1);
	sync_sends(its);
	if (old && old != redist + 1)
		gic_set_strayed(&its->gic->redists[old - 1]);
	return 0;
}

/* Takes page N out of reach and frees it. */
static void free_collection_page(struct peal_its *its, unsigned n)
{
	uint32_t *page = its->collections[n];

	peal_epoch_store(&its->collections[n], NULL);
	sync_sends(its);
	for (unsigned i = 0; i < COLLECTION_PAGE; i++) {
		if (page[i])
			gic_set_strayed(&its->gic->redists[page[i] - 1]);
	}
	its_release(its, page, COLLECTION_PAGE * sizeof(*page));
}

void its_unmap_collection(struct peal_its *its, uint32_t icid)
{
	uint32_t *page = its->collections[icid / COLLECTION_PAGE];
	uint32_t old = page ? page[icid % COLLECTION_PAGE] : 0;

	if (!old)
		return;
	peal_epoch_store(&page[icid % COLLECTION_PAGE], UINT32_C(0));
	sync_sends(its);
	gic_set_strayed(&its->gic->redists[old - 1]);
	for (unsigned i = 0; i < COLLECTION_PAGE; i++) {
		if (page[i])
			return;
	}
	free_collection_page(its, icid / COLLECTION_PAGE);
}

void its_unmap_all_collections(struct peal_its *its)
{
	for (unsigned i = 0; i < PEAL_COUNT_OF(its->collections); i++) {
		if (its->collections[i])
			free_collection_page(its, i);
	}
}

/* ---- all at once ---- */

/* A collection page of ITS, which goes to ASIDE, and the other way. */
static void swap_collections(struct peal_its *its, struct peal_its *aside, unsigned n)
{
	uint32_t *page = its->collections[n];

	peal_epoch_store(&its->collections[n], aside->collections[n]);
	aside->collections[n] = page;
	for (unsigned i = 0; page && i < COLLECTION_PAGE; i++) {
		if (page[i])
			gic_set_strayed(&its->gic->redists[page[i] - 1]);
	}
}

void its_swap_mappings(struct peal_its *its, struct peal_its *aside)
{
	struct its_members members = its->members;
	struct its_node *root = its->root;
	uint64_t memory = its->memory, ndevices = its->ndevices, nevents = its->nevents;

	PEAL_ASSERT(!its->enabled && aside->aside);
	peal_epoch_store(&its->root, aside->root);
	for (unsigned i = 0; i < PEAL_COUNT_OF(its->collections); i++)
		swap_collections(its, aside, i);
	its->members = aside->members;
	its->memory = aside->memory;
	its->ndevices = aside->ndevices;
	its->nevents = aside->nevents;
	aside->root = root;
	aside->members = members;
	aside->memory = memory;
	aside->ndevices = ndevices;
	aside->nevents = nevents;
	sync_sends(its);
}
