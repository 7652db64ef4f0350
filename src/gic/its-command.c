/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command queue and the twelve commands. Arm IHI 0069H §5.3.
 *
 * Commands run in the thread that wrote CWRITER, under the ITS's mutex, and are complete when the
 * write returns: SYNC has nothing left to do. A command that fails changes nothing, is reported
 * and counted, and the queue goes on. At most a whole queue, 32768 commands, runs in one go, and
 * not that when INVALL and MOVALL have much to do: the rest is left for when the guest looks how
 * far it is.
 */
#include "gic.h"

#define COMMAND_SIZE 32u
/*
 * LPIs that INVALL and MOVALL go over in one go. Guests have one such command for some hundred
 * others; a ring full of them, with all LPIs there can be, would hold the ITS for hours.
 */
#define RUN_LPIS (1u << 20)

#define CBASER_ADDRESS PEAL_MASK(51, 12)
#define CREADR_STALLED 0x1u
#define CWRITER_RETRY  0x1u
#define OFFSET_MASK    PEAL_MASK(19, 5)

/* Reasons, the low byte of a command error (§5.5). */
#define E_DEVICE              0x01u /* MAPD: DeviceID out of range */
#define E_RDBASE1             0x01u /* MOVALL: RDbase */
#define E_SIZE                0x02u /* MAPD: ITT size */
#define E_RDBASE              0x02u /* MAPC: RDbase */
#define E_COLLECTION          0x03u /* collection out of range */
#define E_UNMAPPED_DEVICE     0x04u
#define E_EVENT               0x05u /* EventID out of range */
#define E_INTID               0x06u /* physical INTID out of range */
#define E_UNMAPPED_EVENT      0x07u /* unmapped interrupt */
#define E_UNMAPPED_COLLECTION 0x09u
#define E_MEMORY              0xffu /* Peal: the mapping would take more host memory than the limit */

/* Peal: no opcode has this number, not even 0 when it is unknown. */
#define UNREADABLE 0x0100feu

struct command {
	const char *name;
	uint8_t class; /* middle byte of its errors; the opcode, except for CLEAR (§5.5) */
	uint32_t (*run)(struct peal_its *its, const uint64_t *dw); /* 0, or the reason */
};

static uint32_t device_id(const uint64_t *dw)
{
	return (uint32_t)(dw[0] >> 32);
}

static uint32_t event_id(const uint64_t *dw)
{
	return (uint32_t)dw[1];
}

static uint32_t icid(const uint64_t *dw)
{
	return (uint32_t)dw[2] & 0xffff;
}

static bool is_valid(const uint64_t *dw)
{
	return dw[2] & ITS_VALID;
}

/* The mapped event that a command names: its place, or NULL. */
static uint64_t *find_event(struct peal_its *its, const uint64_t *dw, struct its_device **device)
{
	uint64_t *place;

	*device = its_find_device(its, device_id(dw));
	place = *device ? its_find_entry(*device, event_id(dw)) : NULL;
	return place && *place ? place : NULL;
}

static struct gic_redist *find_rdbase(struct peal_its *its, uint64_t dw)
{
	int index = gic_find_redist(its->gic, peal_field(dw, 50, 16));

	return index < 0 ? NULL : &its->gic->redists[index];
}

static uint32_t run_movi(struct peal_its *its, const uint64_t *dw)
{
	struct its_device *device;
	uint64_t *place = find_event(its, dw, &device);
	struct gic_redist *to;
	uint64_t old;

	if (!place)
		return E_UNMAPPED_EVENT;
	to = its_find_target(its, icid(dw));
	if (!to)
		return E_UNMAPPED_COLLECTION;
	old = *place;
	if (its_move_event(its, place, icid(dw)) < 0)
		return E_MEMORY;
	gic_command_move(its_find_target(its, ENTRY_ICID(old)), to, ENTRY_INTID(old));
	return 0;
}

static uint32_t run_int(struct peal_its *its, const uint64_t *dw)
{
	struct its_device *device;
	uint64_t *place = find_event(its, dw, &device);
	struct gic_redist *target = place ? its_find_target(its, ENTRY_ICID(*place)) : NULL;

	if (!target)
		return E_UNMAPPED_EVENT;
	gic_command_pend(target, ENTRY_INTID(*place));
	return 0;
}

static uint32_t run_clear(struct peal_its *its, const uint64_t *dw)
{
	struct its_device *device;
	uint64_t *place = find_event(its, dw, &device);

	if (!place)
		return E_UNMAPPED_EVENT;
	its_clear_pending(its, *place);
	return 0;
}

static uint32_t run_sync(struct peal_its *its, const uint64_t *dw)
{
	(void)its;
	(void)dw;
	return 0;
}

static uint32_t run_mapd(struct peal_its *its, const uint64_t *dw)
{
	unsigned event_bits = (unsigned)peal_field(dw[1], 4, 0) + 1;

	if (device_id(dw) >= its->device_count ||
	    !its_table_has(its, ITS_BASER_DEVICE, device_id(dw)))
		return E_DEVICE;
	if (!is_valid(dw)) {
		its_unmap_device(its, device_id(dw));
		its_clear_saved_device(its, device_id(dw));
		return 0;
	}
	if (event_bits > its->config.event_bits)
		return E_SIZE;
	return its_map_device(its, device_id(dw), event_bits, dw[2] & PEAL_MASK(51, 8)) < 0
		       ? E_MEMORY
		       : 0;
}

static bool has_collection(struct peal_its *its, uint32_t id)
{
	return id < UINT32_C(1) << its->config.icid_bits &&
	       its_table_has(its, ITS_BASER_COLLECTION, id);
}

static uint32_t run_mapc(struct peal_its *its, const uint64_t *dw)
{
	struct gic_redist *redist = find_rdbase(its, dw[2]);

	if (!has_collection(its, icid(dw)))
		return E_COLLECTION;
	if (!is_valid(dw)) {
		its_unmap_collection(its, icid(dw));
		return 0;
	}
	if (!redist)
		return E_RDBASE;
	return its_map_collection(its, icid(dw), redist->index) < 0 ? E_MEMORY : 0;
}

static uint32_t map_event(struct peal_its *its, const uint64_t *dw, uint32_t intid)
{
	struct its_device *device = its_find_device(its, device_id(dw));
	uint32_t event = event_id(dw);

	if (!device)
		return E_UNMAPPED_DEVICE;
	if (event >> device->event_bits ||
	    !peal_space_is_memory(its->gic->memory, device->itt + (uint64_t)event * ITS_ENTRY_SIZE,
				  ITS_ENTRY_SIZE, PEAL_MEM_RW))
		return E_EVENT;
	if (!has_collection(its, icid(dw)))
		return E_COLLECTION;
	if (!gic_is_lpi(its->gic, intid))
		return E_INTID;
	/* The configuration first: a send that finds the entry finds it as well. */
	peal_mutex_lock(&its->gic->mutex);
	gic_read_config(its->gic, intid, 1);
	peal_mutex_unlock(&its->gic->mutex);
	return its_map_event(its, device, event, ENTRY(icid(dw), intid)) < 0 ? E_MEMORY : 0;
}

static uint32_t run_mapti(struct peal_its *its, const uint64_t *dw)
{
	return map_event(its, dw, (uint32_t)(dw[1] >> 32));
}

static uint32_t run_mapi(struct peal_its *its, const uint64_t *dw)
{
	return map_event(its, dw, event_id(dw));
}

static uint32_t run_inv(struct peal_its *its, const uint64_t *dw)
{
	struct its_device *device;
	uint64_t *place = find_event(its, dw, &device);

	if (!place)
		return E_UNMAPPED_EVENT;
	peal_mutex_lock(&its->gic->mutex);
	if (gic_is_lpi(its->gic, ENTRY_INTID(*place)))
		gic_read_config(its->gic, ENTRY_INTID(*place), 1);
	peal_mutex_unlock(&its->gic->mutex);
	return 0;
}

/*
 * The LPIs of the collection, one by one, or, when these are many, the whole table: more than asked
 * for, in one pass. An LPI costs as much as MEMBER_BYTES of the table, at most.
 */
#define MEMBER_BYTES 128u

static uint32_t run_invall(struct peal_its *its, const uint64_t *dw)
{
	struct peal_gic *gic = its->gic;
	uint32_t count = its_member_count(its, icid(dw)), most;

	if (!its_find_target(its, icid(dw)))
		return E_UNMAPPED_COLLECTION;
	peal_mutex_lock(&gic->mutex);
	most = gic->lpi_limit / MEMBER_BYTES;
	if (count < most)
		its_member_read_config(its, icid(dw));
	else
		gic_read_all_config(gic);
	peal_mutex_unlock(&gic->mutex);
	its->work += count < most ? count : most;
	return 0;
}

static uint32_t run_movall(struct peal_its *its, const uint64_t *dw)
{
	struct gic_redist *from = find_rdbase(its, dw[2]);
	struct gic_redist *to = find_rdbase(its, dw[3]);

	if (!from || !to)
		return E_RDBASE1;
	/* Sends that found the collection's old target are over before its bits are moved. */
	peal_epoch_sync(&its->gic->epoch);
	its->work += gic_command_move_all(from, to);
	return 0;
}

static uint32_t run_discard(struct peal_its *its, const uint64_t *dw)
{
	struct its_device *device;
	uint64_t *place = find_event(its, dw, &device);

	if (!place)
		return E_UNMAPPED_EVENT;
	its_unmap_event(its, device, place);
	its_clear_saved_event(its, device, event_id(dw));
	return 0;
}

/* clang-format off */
static const struct command commands[] = {
	[0x01] = { "MOVI",    0x01, run_movi },
	[0x03] = { "INT",     0x03, run_int },
	[0x04] = { "CLEAR",   0x05, run_clear },
	[0x05] = { "SYNC",    0x05, run_sync },
	[0x08] = { "MAPD",    0x08, run_mapd },
	[0x09] = { "MAPC",    0x09, run_mapc },
	[0x0a] = { "MAPTI",   0x0a, run_mapti },
	[0x0b] = { "MAPI",    0x0b, run_mapi },
	[0x0c] = { "INV",     0x0c, run_inv },
	[0x0d] = { "INVALL",  0x0d, run_invall },
	[0x0e] = { "MOVALL",  0x0e, run_movall },
	[0x0f] = { "DISCARD", 0x0f, run_discard },
};
/* clang-format on */

static void report(struct peal_its *its, uint32_t number, const uint64_t *dw, uint32_t offset)
{
	struct peal_its_error error = { .error = number, .offset = offset };

	its->errors++;
	if (!its->config.error)
		return;
	memcpy(error.command, dw, sizeof(error.command));
	its->config.error(its->config.user, &error);
}

/* 0, or the error's number. */
static uint32_t run_command(struct peal_its *its, const uint64_t *dw)
{
	uint32_t opcode = (uint32_t)dw[0] & 0xff, reason;

	its->commands++;
	if (opcode >= PEAL_COUNT_OF(commands) || !commands[opcode].run)
		return 0x010000 | opcode << 8;
	reason = commands[opcode].run(its, dw);
	return reason ? 0x010000 | (uint32_t)commands[opcode].class << 8 | reason : 0;
}

/* What came of the command at OFFSET, for the embedder. */
static void finish(struct peal_its *its, uint32_t number, const uint64_t *dw, uint32_t offset)
{
	struct peal_its_trace trace = {
		.kind = PEAL_ITS_TRACE_COMMAND,
		.error = number,
		.offset = offset,
	};

	if (number)
		report(its, number, dw, offset);
	if (!its->trace)
		return;
	memcpy(trace.command, dw, sizeof(trace.command));
	its->trace(its->config.user, &trace);
}

static uint64_t get(const struct peal_its *its, uint32_t offset)
{
	return peal_reg_get(its->image, offset, 8);
}

/* False: the command cannot be read and the queue stalls. */
static bool run_at(struct peal_its *its, uint64_t queue, uint32_t offset)
{
	uint8_t bytes[COMMAND_SIZE];
	uint64_t dw[4] = { 0 };

	if (peal_space_read_memory(its->gic->memory, queue + offset, bytes, sizeof(bytes)) < 0) {
		finish(its, UNREADABLE, dw, offset);
		return !its->config.stall_on_fault;
	}
	for (unsigned i = 0; i < 4; i++)
		dw[i] = peal_load_le(bytes + 8 * i, 8);
	finish(its, run_command(its, dw), dw, offset);
	return true;
}

void its_run_queue(struct peal_its *its)
{
	uint64_t cbaser = get(its, ITS_CBASER), cwriter = get(its, ITS_CWRITER);
	uint32_t size = ((uint32_t)peal_field(cbaser, 7, 0) + 1) * 4096;
	uint32_t to = (uint32_t)(cwriter & OFFSET_MASK);
	uint64_t creadr = get(its, ITS_CREADR);
	uint32_t at = (uint32_t)(creadr & OFFSET_MASK);
	bool stalled = creadr & CREADR_STALLED;

	if (cwriter & CWRITER_RETRY)
		peal_reg_set(its->image, ITS_CWRITER, 8, cwriter & ~(uint64_t)CWRITER_RETRY);
	if (!its->enabled || !(cbaser & ITS_VALID) || (stalled && !(cwriter & CWRITER_RETRY)))
		return;
	its->work = 0;
	for (stalled = false; at != to && !stalled && its->work < RUN_LPIS;) {
		stalled = !run_at(its, cbaser & CBASER_ADDRESS, at);
		if (!stalled)
			at = at + COMMAND_SIZE == size ? 0 : at + COMMAND_SIZE;
	}
	peal_reg_set(its->image, ITS_CREADR, 8, at | (stalled ? CREADR_STALLED : 0));
}
