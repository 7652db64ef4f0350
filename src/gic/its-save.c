/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Saving the mappings into the guest's tables, in the format that its-tables.c describes.
 *
 * Who restores finds the first entry of a table by looking at one after the other, and goes from
 * each to the next; a distance that does not fit into the field is cut short, and looking goes on
 * there. So what a guest left where it will be looked at would come back as a mapping: it is
 * cleared. What is looked at here and there is the same, and within the same budget.
 *
 * Under the ITS's mutex. Commands wait, sends do not: nothing here is what they change.
 */
#include "gic.h"
#include "its-tables.h"

/* Entries that stand one behind the other in memory are written, and reported, in one go. */
struct batch {
	struct peal_space *memory;
	uint64_t address;
	size_t bytes;
	uint8_t buffer[64 * ITS_ENTRY_SIZE];
};

static int flush(struct batch *batch)
{
	size_t bytes = batch->bytes;

	batch->bytes = 0;
	return bytes == 0 ? 0
			  : peal_space_write_memory(batch->memory, batch->address, batch->buffer,
						    bytes);
}

static int append(struct batch *batch, uint64_t address, uint64_t value)
{
	int r = 0;

	if (batch->bytes == sizeof(batch->buffer) || address != batch->address + batch->bytes)
		r = flush(batch);
	if (batch->bytes == 0)
		batch->address = address;
	peal_store_le(batch->buffer + batch->bytes, ITS_ENTRY_SIZE, value);
	batch->bytes += ITS_ENTRY_SIZE;
	return r;
}

/* Entries that know the distance to the next one: written when that is known. */
struct chain {
	const struct its_chain_format *format;
	struct its_walk walk; /* over what is in the way */
	struct batch batch;
	uint64_t count; /* ids that the table is looked through for */
	bool pending;
	uint64_t id;
	uint64_t value;
};

static void chain_begin(struct chain *chain, const struct its_chain_format *format,
			const struct its_table *table, uint64_t count, uint64_t *budget)
{
	chain->format = format;
	chain->count = count;
	chain->pending = false;
	chain->batch.memory = table->memory;
	chain->batch.bytes = 0;
	its_walk_begin(&chain->walk, table, format->present, budget);
}

/* Clears what is there from FROM to before TO. */
static int scrub(struct chain *chain, uint64_t from, uint64_t to)
{
	static const uint8_t zero[ITS_ENTRY_SIZE];
	struct its_found found;
	int r;

	while ((r = its_walk_find(&chain->walk, from, to, &found)) == 1) {
		r = peal_space_write_memory(chain->walk.table.memory, found.address, zero,
					    sizeof(zero));
		if (r < 0)
			return r;
		from = found.id + 1;
	}
	return r;
}

static int emit(struct chain *chain, uint64_t next)
{
	uint64_t address;
	int r = its_table_place(&chain->walk.table, chain->id, &address);

	if (r == 0)
		r = append(&chain->batch, address, chain->value | next << chain->format->shift);
	return r;
}

static int chain_add(struct chain *chain, uint64_t id, uint64_t value)
{
	uint64_t from = 0;
	int r = 0;

	if (chain->pending) {
		uint64_t distance = id - chain->id;

		from = distance > chain->format->cap ? chain->id + chain->format->cap : id;
		r = emit(chain, from - chain->id);
	}
	if (r == 0)
		r = scrub(chain, from, id);
	chain->pending = true;
	chain->id = id;
	chain->value = value;
	return r;
}

static int chain_end(struct chain *chain)
{
	int r = chain->pending ? emit(chain, 0) : scrub(chain, 0, chain->count);

	return r == 0 ? flush(&chain->batch) : r;
}

/* ---- devices and their events ---- */

struct save {
	struct peal_its *its;
	struct chain devices;
	uint64_t budget;
};

static int save_events(struct save *save, const struct its_device *device)
{
	struct its_table itt = its_table_of(save->its, device);
	uint64_t entry;
	struct chain chain;
	int r = 0;

	chain_begin(&chain, &its_event_format, &itt, itt.count, &save->budget);
	for (uint32_t event = 0; r == 0 && its_next_event(device, &event, &entry); event++)
		r = chain_add(&chain, event,
			      (uint64_t)ENTRY_INTID(entry) << 16 | ENTRY_ICID(entry));
	return r == 0 ? chain_end(&chain) : r;
}

static int save_device(void *user, struct its_device *device)
{
	struct save *save = user;
	int r = save_events(save, device);

	if (r == 0)
		r = chain_add(&save->devices, device->id,
			      ITS_VALID | device->itt >> 8 << 5 | (device->event_bits - 1u));
	return r;
}

static int save_devices(struct save *save)
{
	struct its_table table;
	int r;

	/* Without a table there are no devices. */
	if (!its_table_open(save->its, ITS_BASER_DEVICE, &table))
		return 0;
	chain_begin(&save->devices, &its_device_format, &table,
		    its_table_devices(save->its, &table), &save->budget);
	r = its_for_each_device(save->its, save_device, save);
	return r == 0 ? chain_end(&save->devices) : r;
}

/* ---- collections ---- */

static int save_collections(struct peal_its *its)
{
	struct batch batch = { .memory = its->gic->memory };
	struct its_table table = { 0 };
	bool valid = its_table_open(its, ITS_BASER_COLLECTION, &table);
	uint64_t n = 0, address;
	int r = 0;

	for (uint32_t icid = 0; r == 0 && icid < UINT32_C(1) << its->config.icid_bits; icid++) {
		const struct gic_redist *target = its_find_target(its, icid);
		uint64_t rdbase = target ? target->processor_number : ITS_NOT_MAPPED;

		if (!target && !its_member_count(its, icid))
			continue;
		/* There are never more of them than the table has entries. */
		if (!valid || !its_table_has(its, ITS_BASER_COLLECTION, icid) ||
		    its_table_place(&table, n++, &address) < 0)
			return -EFAULT;
		r = append(&batch, address, ITS_VALID | rdbase << 16 | icid);
	}
	if (r == 0 && valid && n < table.count) {
		r = its_table_place(&table, n, &address);
		if (r == 0)
			r = append(&batch, address, 0);
	}
	return r == 0 ? flush(&batch) : r;
}

int peal_its_save_tables(struct peal_its *its)
{
	struct save *save = peal_alloc(its->host, sizeof(*save));
	int r;

	if (!save)
		return -ENOMEM;
	save->its = its;
	save->budget = ITS_WALK_BUDGET;
	peal_mutex_lock(&its->mutex);
	r = its_check_overlap(its);
	if (r == 0)
		r = save_devices(save);
	if (r == 0)
		r = save_collections(its);
	peal_mutex_unlock(&its->mutex);
	peal_free(its->host, save, sizeof(*save));
	return r;
}
