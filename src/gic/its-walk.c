/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's tables as memory: where an entry is, and which is the next that holds something.
 * Arm IHI 0069H, "GITS_BASER<n>" and §5.2; the entries themselves are those of its-tables.c.
 *
 *   flat                        indirect
 *   base ─▶ │ entry 0 │         base ─▶ │ level 1 │ ─▶ one page: │ entry 0 │
 *           │ entry 1 │                 │ level 1 │ not valid    │ entry 1 │
 *           │    …    │                 │    …    │              │    …    │
 *
 * Every address comes from the guest. Under the ITS's mutex.
 */
#include "gic.h"

static uint64_t page_size(uint64_t baser)
{
	static const uint64_t sizes[] = { 0x1000, 0x4000, 0x10000, 0x10000 };

	return sizes[peal_field(baser, 9, 8)];
}

/* With 64 KiB pages, bits 15:12 of the field are address bits 51:48. */
static uint64_t table_address(uint64_t baser)
{
	if (page_size(baser) == 0x10000)
		return (baser & PEAL_MASK(47, 16)) | peal_field(baser, 15, 12) << 48;
	return baser & PEAL_MASK(47, 12) & ~(page_size(baser) - 1);
}

bool its_table_open(struct peal_its *its, unsigned n, struct its_table *ret)
{
	uint64_t baser = peal_reg_get(its->image, ITS_BASER + 8 * n, 8);
	uint64_t page = page_size(baser);
	uint64_t entries = (peal_field(baser, 7, 0) + 1) * page / ITS_ENTRY_SIZE;

	if (!(baser & ITS_VALID))
		return false;
	*ret = (struct its_table){
		.memory = its->gic->memory,
		.base = table_address(baser),
		.count = entries,
	};
	if (baser & ITS_BASER_INDIRECT) {
		ret->page = page;
		ret->count *= page / ITS_ENTRY_SIZE;
	}
	return true;
}

struct its_table its_table_of(struct peal_its *its, const struct its_device *device)
{
	return (struct its_table){
		.memory = its->gic->memory,
		.base = device->itt,
		.count = PEAL_BIT(device->event_bits),
	};
}

int its_table_locate(const struct its_table *table, uint64_t id, uint64_t *address, uint64_t *run)
{
	uint64_t per_page = table->page / ITS_ENTRY_SIZE, level1;
	uint8_t bytes[8];

	*run = table->count - id;
	if (!table->page) {
		*address = table->base + id * ITS_ENTRY_SIZE;
		return 1;
	}
	if (peal_space_read_memory(table->memory, table->base + id / per_page * 8, bytes, 8) < 0)
		return -EFAULT;
	level1 = peal_load_le(bytes, 8);
	if (*run > per_page - id % per_page)
		*run = per_page - id % per_page;
	*address =
		(level1 & PEAL_MASK(51, 12) & ~(table->page - 1)) + id % per_page * ITS_ENTRY_SIZE;
	return level1 & ITS_VALID ? 1 : 0;
}

int its_table_place(const struct its_table *table, uint64_t id, uint64_t *address)
{
	uint64_t run;

	if (id >= table->count || its_table_locate(table, id, address, &run) != 1 ||
	    !peal_space_is_memory(table->memory, *address, ITS_ENTRY_SIZE, PEAL_MEM_RW))
		return -EFAULT;
	return 0;
}

bool its_table_has(struct peal_its *its, unsigned n, uint64_t id)
{
	struct its_table table;
	uint64_t address;

	return its_table_open(its, n, &table) && its_table_place(&table, id, &address) == 0;
}

static void clear_entry(const struct its_table *table, uint64_t id)
{
	static const uint8_t zero[ITS_ENTRY_SIZE];
	uint64_t address;

	if (its_table_place(table, id, &address) == 0)
		(void)peal_space_write_memory(table->memory, address, zero, sizeof(zero));
}

void its_clear_saved_device(struct peal_its *its, uint32_t id)
{
	struct its_table table;

	if (its_table_open(its, ITS_BASER_DEVICE, &table))
		clear_entry(&table, id);
}

void its_clear_saved_event(struct peal_its *its, const struct its_device *device, uint32_t event)
{
	const struct its_table itt = its_table_of(its, device);

	clear_entry(&itt, event);
}

/* ---- looking for entries ---- */

void its_walk_begin(struct its_walk *walk, const struct its_table *table, uint64_t present,
		    uint64_t *budget)
{
	walk->table = *table;
	walk->present = present;
	walk->budget = budget;
	walk->bytes = 0;
}

/* The entry at ADDRESS; RUN entries from there belong together. */
static int read_entry(struct its_walk *walk, uint64_t address, uint64_t run, uint64_t *ret)
{
	struct peal_space *memory = walk->table.memory;
	uint64_t bytes = ITS_ENTRY_SIZE * run;

	if (address < walk->address || address - walk->address >= walk->bytes) {
		if (bytes > sizeof(walk->window))
			bytes = sizeof(walk->window);
		/* What lies behind it may be elsewhere than in memory. */
		if (!peal_space_is_memory(memory, address, bytes, PEAL_MEM_READ))
			bytes = ITS_ENTRY_SIZE;
		walk->bytes = 0;
		if (peal_space_read_memory(memory, address, walk->window, bytes) < 0)
			return -EFAULT;
		walk->address = address;
		walk->bytes = bytes;
	}
	*ret = peal_load_le(walk->window + (address - walk->address), ITS_ENTRY_SIZE);
	return 0;
}

static int spend(struct its_walk *walk)
{
	if (*walk->budget == 0)
		return -E2BIG;
	--*walk->budget;
	return 0;
}

/* The same among the RUN entries from ADDRESS on. */
static int find_in_run(struct its_walk *walk, uint64_t address, uint64_t run,
		       struct its_found *found)
{
	for (; run > 0; run--, address += ITS_ENTRY_SIZE, found->id++) {
		int r = spend(walk);

		if (r == 0)
			r = read_entry(walk, address, run, &found->value);
		if (r < 0)
			return r;
		if (found->value & walk->present) {
			found->address = address;
			return 1;
		}
	}
	return 0;
}

int its_walk_find(struct its_walk *walk, uint64_t from, uint64_t to, struct its_found *found)
{
	while (from < to) {
		uint64_t address, run;
		int r = its_table_locate(&walk->table, from, &address, &run);

		if (run > to - from)
			run = to - from;
		found->id = from;
		if (r == 1)
			r = find_in_run(walk, address, run, found);
		else if (r == 0)
			r = spend(walk);
		if (r != 0)
			return r;
		from += run;
	}
	return 0;
}
