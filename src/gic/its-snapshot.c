/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A snapshot of an ITS that needs nothing of the guest's tables.
 *
 * All numbers little-endian:
 *
 *   u32 magic, u32 version, u64 size of all of it
 *   u32 device bits, u32 event bits, u32 ICID bits
 *   u32 CTLR; u64 CBASER, CWRITER, CREADR, BASER0, BASER1
 *   u32 collections; each, by ascending ICID: u32 ICID, u32 processor number of the target
 *   u32 devices; each, by ascending DeviceID: u32 DeviceID, u32 EventID bits, u64 ITT address,
 *     u32 events; each, by ascending EventID: u32 EventID, u32 ICID, u32 INTID
 *
 * What is loaded becomes registers and mappings of an ITS aside. When all of it is good, the ITS
 * is turned off, takes them, and is turned on again if it was when it was saved.
 */
#include "base/cursor.h"
#include "its-tables.h"

#define MAGIC   0x53544950u /* "PITS" */
#define VERSION 1u

#define ITT_ADDRESS PEAL_MASK(51, 8)

static uint64_t get(const struct peal_its *its, uint32_t offset)
{
	return peal_reg_get(its->image, offset, 8);
}

/* ---- saving ---- */

static void put_collections(struct peal_cursor *c, struct peal_its *its)
{
	uint32_t count = 0;

	for (unsigned pass = 0; pass < 2; pass++) {
		if (pass == 1)
			peal_cursor_put(c, 4, count);
		for (uint32_t icid = 0; icid < UINT32_C(1) << its->config.icid_bits; icid++) {
			const struct gic_redist *target = its_find_target(its, icid);

			/* Most pages of collections are not there. */
			if (!its->collections[icid / COLLECTION_PAGE])
				icid |= COLLECTION_PAGE - 1;
			if (!target)
				continue;
			count++;
			if (pass == 0)
				continue;
			peal_cursor_put(c, 4, icid);
			peal_cursor_put(c, 4, target->processor_number);
		}
	}
}

static int put_device(void *user, struct its_device *device)
{
	struct peal_cursor *c = user;
	uint64_t entry;

	peal_cursor_put(c, 4, device->id);
	peal_cursor_put(c, 4, device->event_bits);
	peal_cursor_put(c, 8, device->itt);
	peal_cursor_put(c, 4, device->mapped);
	for (uint32_t event = 0; its_next_event(device, &event, &entry); event++) {
		peal_cursor_put(c, 4, event);
		peal_cursor_put(c, 4, ENTRY_ICID(entry));
		peal_cursor_put(c, 4, ENTRY_INTID(entry));
	}
	return 0;
}

static void put_all(struct peal_cursor *c, struct peal_its *its, uint64_t total)
{
	peal_cursor_put(c, 4, MAGIC);
	peal_cursor_put(c, 4, VERSION);
	peal_cursor_put(c, 8, total);
	peal_cursor_put(c, 4, its->config.device_bits);
	peal_cursor_put(c, 4, its->config.event_bits);
	peal_cursor_put(c, 4, its->config.icid_bits);
	peal_cursor_put(c, 4, its->enabled);
	peal_cursor_put(c, 8, get(its, ITS_CBASER));
	peal_cursor_put(c, 8, get(its, ITS_CWRITER));
	peal_cursor_put(c, 8, get(its, ITS_CREADR));
	peal_cursor_put(c, 8, get(its, ITS_BASER));
	peal_cursor_put(c, 8, get(its, ITS_BASER + 8));
	put_collections(c, its);
	peal_cursor_put(c, 4, its->ndevices);
	(void)its_for_each_device(its, put_device, c);
}

/* Under the mutex. */
static size_t state_size(struct peal_its *its)
{
	struct peal_cursor counter = PEAL_CURSOR_COUNT;

	put_all(&counter, its, 0);
	return counter.at;
}

size_t peal_its_state_size(struct peal_its *its)
{
	size_t size;

	peal_mutex_lock(&its->mutex);
	size = state_size(its);
	peal_mutex_unlock(&its->mutex);
	return size;
}

int peal_its_save(struct peal_its *its, void *bytes, size_t size)
{
	size_t total;
	int r = 0;

	peal_mutex_lock(&its->mutex);
	total = state_size(its);
	if (size < total) {
		r = -ENOSPC;
	} else {
		struct peal_cursor c = { .bytes = bytes, .size = total };

		put_all(&c, its, total);
		PEAL_ASSERT(!c.bad && c.at == total);
	}
	peal_mutex_unlock(&its->mutex);
	return r;
}

/* ---- loading ---- */

struct load {
	struct peal_cursor c;
	struct peal_its *aside;
	bool enabled;
};

static uint32_t take32(struct load *load)
{
	return (uint32_t)peal_cursor_take(&load->c, 4);
}

/* A register is good when it takes what was saved as it is. */
static int load_register(struct load *load, uint32_t offset)
{
	uint64_t value = peal_cursor_take(&load->c, 8);

	return its_set_register(load->aside, offset, value) < 0 || get(load->aside, offset) != value
		       ? -EINVAL
		       : 0;
}

static int load_head(struct load *load)
{
	static const uint32_t registers[] = { ITS_CBASER, ITS_CWRITER, ITS_CREADR, ITS_BASER,
					      ITS_BASER + 8 };
	const struct peal_its_config *config = &load->aside->config;
	uint64_t total;
	uint32_t ctlr;
	int r = 0;

	if (take32(load) != MAGIC || take32(load) != VERSION)
		return -EINVAL;
	total = peal_cursor_take(&load->c, 8);
	if (load->c.bad || total > load->c.size)
		return -EINVAL;
	load->c.size = (size_t)total;
	if (take32(load) != config->device_bits || take32(load) != config->event_bits ||
	    take32(load) != config->icid_bits)
		return -EINVAL;
	ctlr = take32(load);
	for (unsigned i = 0; r == 0 && i < PEAL_COUNT_OF(registers); i++)
		r = load_register(load, registers[i]);
	load->enabled = ctlr;
	return r == 0 && ctlr > 1 ? -EINVAL : r;
}

/* Could an ITS with these registers be on? */
static bool may_be_enabled(const struct peal_its *its)
{
	return get(its, ITS_CBASER) & get(its, ITS_BASER) & get(its, ITS_BASER + 8) & ITS_VALID;
}

static int load_collections(struct load *load)
{
	struct peal_its *aside = load->aside;
	uint64_t least = 0;
	int r = 0;

	for (uint32_t n = take32(load); r == 0 && n > 0; n--) {
		uint32_t icid = take32(load);
		int redist = gic_find_redist(aside->gic, take32(load));

		if (load->c.bad || icid < least || icid >> aside->config.icid_bits || redist < 0)
			return -EINVAL;
		least = icid + UINT64_C(1);
		r = its_map_collection(aside, icid, (unsigned)redist);
	}
	return r;
}

static int load_events(struct load *load, struct its_device *device)
{
	struct peal_its *aside = load->aside;
	uint64_t least = 0;
	int r = 0;

	for (uint32_t n = take32(load); r == 0 && n > 0; n--) {
		uint32_t event = take32(load), icid = take32(load), intid = take32(load);

		if (load->c.bad || event < least || event >> device->event_bits ||
		    icid >> aside->config.icid_bits || intid < PEAL_GIC_FIRST_LPI ||
		    intid >= aside->gic->id_count)
			return -EINVAL;
		least = event + UINT64_C(1);
		r = its_map_event(aside, device, event, ENTRY(icid, intid));
	}
	return r;
}

static int load_devices(struct load *load)
{
	struct peal_its *aside = load->aside;
	uint64_t least = 0;
	int r = 0;

	for (uint32_t n = take32(load); r == 0 && n > 0; n--) {
		uint32_t id = take32(load), event_bits = take32(load);
		uint64_t itt = peal_cursor_take(&load->c, 8);

		if (load->c.bad || id < least || id >= aside->device_count || event_bits < 1 ||
		    event_bits > aside->config.event_bits || itt & ~ITT_ADDRESS)
			return -EINVAL;
		least = id + UINT64_C(1);
		r = its_map_device(aside, id, event_bits, itt);
		if (r == 0)
			r = load_events(load, its_find_device(aside, id));
	}
	return r;
}

static int load_aside(struct load *load)
{
	int r = load_head(load);

	if (r == 0 && load->enabled && !may_be_enabled(load->aside))
		r = -EINVAL;
	if (r == 0)
		r = load_collections(load);
	if (r == 0)
		r = load_devices(load);
	if (r == 0 && (load->c.bad || load->c.at != load->c.size))
		r = -EINVAL;
	return r;
}

static void take_over(struct peal_its *its, struct load *load)
{
	struct peal_gic *gic = its->gic;

	peal_mutex_lock(&its->mutex);
	peal_epoch_store(&its->enabled, UINT32_C(0));
	peal_epoch_sync(&gic->epoch);
	memcpy(its->image, load->aside->image, sizeof(its->image));
	its_swap_mappings(its, load->aside);
	peal_mutex_lock(&gic->mutex);
	gic_read_all_config(gic);
	peal_mutex_unlock(&gic->mutex);
	peal_epoch_store(&its->enabled, (uint32_t)load->enabled);
	peal_mutex_unlock(&its->mutex);
}

int peal_its_load(struct peal_its *its, const void *bytes, size_t size)
{
	struct load load = { .c = peal_cursor_reader(bytes, size) };
	int r = its_aside_new(&load.aside, its);

	if (r < 0)
		return r;
	r = load_aside(&load);
	if (r == 0)
		take_over(its, &load);
	peal_its_free(load.aside);
	return r;
}
