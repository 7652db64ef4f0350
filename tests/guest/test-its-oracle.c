/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Peal's ITS against QEMU's: both get the same random commands, valid and invalid, while the guest
 * changes tables and switches redistributors off and on, and after each SYNC every LPI has to be
 * pending on the same redistributors. What is not compared, and why: docs/its-differences.md, whose
 * names are those of the rules here.
 *
 * A difference is narrowed down to its command at once. By hand:
 *   PEAL_ORACLE_SEED=7      only this seed, a comparison after each command
 *   PEAL_ORACLE_SEEDS=1000  more seeds
 */
#include "its-twins.h"

#define SEEDS        20u
#define COMMANDS     2500u
#define SYNC_EVERY   25u
#define MAX_EVENTS   768u
#define ICIDS        16u /* that are used */
#define SLOTS        24u /* devices with an ITT */
#define SMALL_SIZE   8u  /* 2^9 events: the largest ITT but that of slot 0 */
#define BIG_SIZE     13u /* 2^14 events, so that MAPI reaches LPIs */
#define MAX_SIZE     15u /* as GITS_TYPER.ID_bits says */
#define ITT_SPACE    0x2000u
#define BIG_ITT      0x60000u
#define BIG_SPACE    0x40000u
#define LEVEL_1      0xa0000u /* of an indirect device table, from the ITTs on */
#define LEVEL_2      0xb0000u
#define TABLE_SPACE  0x10000u
#define DRAWS        1000u
#define OPCODE_COUNT 0x80u
#define UNKNOWN      0x7fu
#define SEND         0x70u /* no command: device 0 writes to GITS_TRANSLATER */

/* The first SLOTS have an ITT; the rest is out of range of every table. */
static const uint32_t device_ids[] = {
	0,    1,    2,    3,    7,    8,    9,    100,   101,   256,   511,   512,     513,
	1023, 1024, 4095, 4096, 8191, 8192, 8193, 16383, 16384, 30000, 65535, 0x10000, 0x80000001,
};

struct op {
	unsigned opcode;
	uint32_t device, event, intid, icid;
	uint32_t from, to; /* processor numbers */
	unsigned size;
	bool valid;
};

struct mapping {
	uint32_t device, event, intid, icid;
};

struct slot {
	bool mapped;
	unsigned size; /* 2^(size + 1) events */
	unsigned side; /* its ITT is one of two */
};

struct oracle {
	struct twins t;
	uint64_t random;
	/* What the guest has mapped. */
	struct mapping events[MAX_EVENTS];
	unsigned nevents;
	struct slot slots[SLOTS];
	int collections[ICIDS]; /* redistributor, or -1 */
};

/* Of all seeds. */
struct totals {
	unsigned done[OPCODE_COUNT], refused[OPCODE_COUNT];
	unsigned comparisons, switches, tables;
	unsigned held[4]; /* by each rule */
};

static uint64_t below(struct oracle *o, uint64_t limit)
{
	return test_random_below(&o->random, limit);
}

static bool one_in(struct oracle *o, uint64_t n)
{
	return below(o, n) == 0;
}

/* ---- what is mapped ---- */

static struct mapping *find_event(struct oracle *o, const struct op *op)
{
	for (unsigned i = 0; i < o->nevents; i++) {
		if (o->events[i].device == op->device && o->events[i].event == op->event)
			return &o->events[i];
	}
	return NULL;
}

static struct slot *find_slot(struct oracle *o, uint32_t device)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		if (device_ids[i] == device)
			return &o->slots[i];
	}
	return NULL;
}

static int target_of(const struct oracle *o, uint32_t icid)
{
	return icid < ICIDS ? o->collections[icid] : -1;
}

static void forget_device(struct oracle *o, uint32_t device)
{
	for (unsigned i = 0; i < o->nevents;) {
		if (o->events[i].device == device)
			o->events[i] = o->events[--o->nevents];
		else
			i++;
	}
}

/* Peal has carried out the command. (What it should have refused shows when the twins differ.) */
static void learn(struct oracle *o, const struct op *op)
{
	struct mapping *m = find_event(o, op);
	struct slot *slot = find_slot(o, op->device);

	switch (op->opcode) {
	case MAPD:
		forget_device(o, op->device);
		if (slot) {
			slot->mapped = op->valid;
			slot->size = op->size;
		}
		break;
	case MAPC:
		if (op->icid < ICIDS)
			o->collections[op->icid] = op->valid ? (int)op->from : -1;
		break;
	case MAPTI:
	case MAPI:
		o->events[o->nevents++] =
			(struct mapping){ op->device, op->event,
					  op->opcode == MAPI ? op->event : op->intid, op->icid };
		break;
	case MOVI:
		if (m)
			m->icid = op->icid;
		break;
	case DISCARD:
		if (m)
			*m = o->events[--o->nevents];
		break;
	default:
		break;
	}
}

/* ---- what is not compared ---- */

/* Pending on a redistributor that is not the collection's. */
static bool is_strayed(const struct oracle *o, const struct mapping *m)
{
	for (unsigned n = 0; n < TWIN_REDISTS; n++) {
		if ((int)n != target_of(o, m->icid) && guest_is_pending(&o->t.guest, n, m->intid))
			return true;
	}
	return false;
}

static bool maps_mapped_event(struct oracle *o, const struct op *op)
{
	return (op->opcode == MAPTI || op->opcode == MAPI) && find_event(o, op);
}

static bool unmaps_pending(struct oracle *o, const struct op *op)
{
	if (op->opcode != MAPD)
		return false;
	for (unsigned i = 0; i < o->nevents; i++) {
		for (unsigned n = 0; n < TWIN_REDISTS && o->events[i].device == op->device; n++) {
			if (guest_is_pending(&o->t.guest, n, o->events[i].intid))
				return true;
		}
	}
	return false;
}

static bool takes_strayed(struct oracle *o, const struct op *op)
{
	const struct mapping *m = find_event(o, op);

	return (op->opcode == CLEAR || op->opcode == DISCARD || op->opcode == MOVI) && m &&
	       is_strayed(o, m);
}

static bool needs_collection(struct oracle *o, const struct op *op)
{
	const struct mapping *m = find_event(o, op);

	return (op->opcode == DISCARD || op->opcode == MOVI) && m && target_of(o, m->icid) < 0;
}

struct rule {
	const char *name; /* as in docs/its-differences.md */
	bool (*forbids)(struct oracle *o, const struct op *op);
};

static const struct rule rules[] = {
	{ "mapped-event", maps_mapped_event },
	{ "unmap-pending", unmaps_pending },
	{ "strayed", takes_strayed },
	{ "no-collection", needs_collection },
};

static bool allowed(struct oracle *o, const struct op *op, struct totals *totals)
{
	for (unsigned i = 0; i < PEAL_COUNT_OF(rules); i++) {
		if (rules[i].forbids(o, op)) {
			totals->held[i]++;
			return false;
		}
	}
	return true;
}

/* ---- drawing commands ---- */

static const struct {
	unsigned opcode, weight;
} weights[] = {
	{ INT, 40 }, { MAPTI, 25 },  { MOVI, 12 },   { MAPC, 8 },  { CLEAR, 8 },
	{ MAPD, 6 }, { DISCARD, 6 }, { MAPI, 5 },    { INV, 3 },   { MOVALL, 2 },
	{ SYNC, 1 }, { INVALL, 1 },  { UNKNOWN, 1 }, { SEND, 15 },
};

static unsigned draw_opcode(struct oracle *o)
{
	unsigned sum = 0, at;

	for (unsigned i = 0; i < PEAL_COUNT_OF(weights); i++)
		sum += weights[i].weight;
	at = (unsigned)below(o, sum);
	for (unsigned i = 0;; at -= weights[i++].weight) {
		if (at < weights[i].weight)
			return weights[i].opcode;
	}
}

static uint32_t draw_intid(struct oracle *o)
{
	static const uint32_t edges[] = { 0,     1023,  LPI - 1, LPI,   16383,     16384,
					  32767, 32768, 65535,   65536, 0xffffffff };

	if (one_in(o, 20))
		return edges[below(o, PEAL_COUNT_OF(edges))];
	if (one_in(o, 10))
		return LPI + (uint32_t)below(o, TWIN_LPIS);
	return LPI + (uint32_t)below(o, one_in(o, 2) ? 64 : 2048);
}

static uint32_t draw_icid(struct oracle *o)
{
	static const uint32_t edges[] = { GUEST_ICIDS, GUEST_ICIDS + 1, 0xffff };

	return one_in(o, 30) ? edges[below(o, PEAL_COUNT_OF(edges))] : (uint32_t)below(o, ICIDS);
}

static bool is_mapped(struct oracle *o, uint32_t device)
{
	struct slot *slot = find_slot(o, device);

	return slot && slot->mapped;
}

/* A device id; mostly of one that is mapped, or is not, as MAPPED says. */
static uint32_t draw_device(struct oracle *o, bool mapped)
{
	uint32_t device = device_ids[below(o, PEAL_COUNT_OF(device_ids))];

	for (unsigned i = 0; i < 20 && is_mapped(o, device) != mapped && !one_in(o, 40); i++)
		device = device_ids[below(o, PEAL_COUNT_OF(device_ids))];
	return device;
}

/* What is named mostly exists, so that most commands succeed. */
static void draw_event(struct oracle *o, struct op *op)
{
	struct slot *slot;

	/* Device 0 is the one that sends. */
	op->device = one_in(o, 4) ? 0 : draw_device(o, op->opcode != MAPD || one_in(o, 4));
	slot = find_slot(o, op->device);
	op->event = (uint32_t)below(o, slot && slot->mapped ? UINT64_C(2) << slot->size : 40);
	if (one_in(o, 30))
		op->event = (uint32_t)(one_in(o, 2) ? test_random(&o->random) : op->event * 2);
	if (op->opcode == MAPI && !one_in(o, 8)) {
		op->device = device_ids[0];
		op->event = LPI - 4 + (uint32_t)below(o, 256);
	} else if (op->opcode != MAPTI && o->nevents && !one_in(o, 20)) {
		const struct mapping *m = &o->events[below(o, o->nevents)];

		op->device = op->opcode == MAPD ? op->device : m->device;
		op->event = m->event;
	}
}

/* A write by the CPU comes from device 0 in QEMU, so that is the device that can send. */
static void draw_send(struct oracle *o, struct op *op)
{
	op->device = 0;
	op->event = (uint32_t)below(o, 512);
	for (unsigned i = 0; i < 30 && o->nevents && !one_in(o, 40); i++) {
		const struct mapping *m = &o->events[below(o, o->nevents)];

		if (m->device == 0)
			op->event = m->event;
	}
}

static void draw(struct oracle *o, struct op *op)
{
	memset(op, 0, sizeof(*op));
	op->opcode = draw_opcode(o);
	draw_event(o, op);
	if (op->opcode == SEND)
		draw_send(o, op);
	op->intid = draw_intid(o);
	op->icid = draw_icid(o);
	op->from = (uint32_t)below(o, one_in(o, 20) ? 0x10000 : TWIN_REDISTS);
	op->to = (uint32_t)below(o, one_in(o, 20) ? 0x10000 : TWIN_REDISTS);
	op->size = (unsigned)below(o, SMALL_SIZE + 1);
	if (op->device == device_ids[0])
		op->size = BIG_SIZE;
	if (one_in(o, 20))
		op->size = MAX_SIZE + 1 + (unsigned)below(o, 16);
	op->valid = !one_in(o, 16);
}

static void encode(const struct op *op, uint64_t itt, uint64_t *dw)
{
	bool collection = op->opcode == MAPC || op->opcode == MOVALL || op->opcode == SYNC;

	dw[0] = dw_device(op->opcode, op->device);
	dw[1] = (uint64_t)op->intid << 32 | op->event;
	dw[2] = op->icid;
	dw[3] = 0;
	if (op->opcode == MAPD) {
		dw[1] = op->size;
		dw[2] = (op->valid ? VALID : 0) | itt;
	} else if (collection) {
		dw[0] = op->opcode;
		dw[1] = 0;
		dw[2] = (uint64_t)op->from << 16;
		dw[3] = op->opcode == MOVALL ? (uint64_t)op->to << 16 : 0;
		if (op->opcode == MAPC)
			dw[2] |= (op->valid ? VALID : 0) | op->icid;
	}
}

/* A zeroed ITT for a MAPD, other than the one the device has. */
static uint64_t prepare_itt(struct oracle *o, const struct op *op)
{
	struct slot *slot = find_slot(o, op->device);
	uint64_t itts = o->t.gi->itts, itt;

	if (op->opcode != MAPD || !op->valid || !slot || op->size > MAX_SIZE)
		return 0; /* it will be refused, and what the device has stays */
	if (slot == &o->slots[0]) {
		twins_zero(&o->t, itts + BIG_ITT, BIG_SPACE);
		return itts + BIG_ITT;
	}
	slot->side ^= 1;
	itt = itts + ((uint64_t)(slot - o->slots) * 2 + slot->side) * ITT_SPACE;
	twins_zero(&o->t, itt, ITT_SPACE);
	return itt;
}

/* Did Peal do it? */
static bool carry_out(struct oracle *o, const struct op *op)
{
	uint64_t dw[4];

	if (op->opcode == SEND)
		return twins_send(&o->t, op->event);
	encode(op, prepare_itt(o, op), dw);
	return twins_run(&o->t, dw) == 0;
}

static void run(struct oracle *o, const struct op *op, struct totals *totals)
{
	if (!carry_out(o, op)) {
		totals->refused[op->opcode]++;
		return;
	}
	totals->done[op->opcode]++;
	learn(o, op);
}

/* ---- what else the guest does ---- */

/* Mostly one that is off, so that few are. */
static unsigned draw_switch(struct oracle *o)
{
	unsigned n = (unsigned)below(o, TWIN_REDISTS);

	for (unsigned i = 0; i < TWIN_REDISTS && o->t.on[n] && !one_in(o, 12); i++)
		n = (n + 1) % TWIN_REDISTS;
	return n;
}

/* Off; or on again, where the pending table may have changed or is new and zero. */
static void switch_redist(struct oracle *o)
{
	struct twins *t = &o->t;
	unsigned n = draw_switch(o);
	uint8_t byte = (uint8_t)below(o, 256);
	uint64_t pendbaser = t->guest.pending[n], size = PEAL_BIT(t->guest.id_bits);

	if (t->on[n]) {
		twins_enable_lpis(t, n, false);
		return;
	}
	switch (below(o, 3)) {
	case 0:
		twins_store(t, pendbaser + (draw_intid(o) & (size - 1)) / 8, &byte, 1);
		break;
	case 1:
		twins_zero(t, pendbaser, TABLE_SPACE);
		pendbaser |= PTZ;
		break;
	default:
		break;
	}
	twins_redist_write(t, n, GICR_PENDBASER, 4, pendbaser & 0xffffffff);
	twins_redist_write(t, n, GICR_PENDBASER + 4, 4, pendbaser >> 32);
	twins_enable_lpis(t, n, true);
}

static void change_configuration(struct oracle *o)
{
	uint8_t byte = (uint8_t)test_random(&o->random);

	twins_store(&o->t, o->t.guest.configuration + below(o, 2048), &byte, 1);
}

/* Level 2 tables for devices whose entries in level 1 are free, as long as there is memory. */
static uint64_t make_indirect(struct oracle *o, uint64_t page, uint64_t size_field)
{
	struct twins *t = &o->t;
	uint64_t level_1 = t->gi->itts + LEVEL_1, level_2 = t->gi->itts + LEVEL_2, at = 0;

	twins_zero(t, level_1, 2 * TABLE_SPACE);
	for (unsigned i = 0; i < SLOTS && at < TABLE_SPACE; i++) {
		uint64_t entry = level_1 + device_ids[i] / (page / 8) * 8;
		uint8_t bytes[8];

		if (guest_load(&t->guest, entry))
			continue;
		peal_store_le(bytes, 8, VALID | (level_2 + at));
		twins_store(t, entry, bytes, 8);
		at += page;
	}
	return VALID | INDIRECT | level_1 | size_field;
}

static uint64_t make_flat(struct oracle *o, uint64_t page, uint64_t size_field)
{
	uint64_t pages = 1 + below(o, TABLE_SPACE / page);

	twins_zero(&o->t, o->t.gi->devices, TABLE_SPACE);
	return VALID | o->t.gi->devices | size_field | (pages - 1);
}

static uint64_t make_device_table(struct oracle *o)
{
	unsigned size = (unsigned)below(o, 3);
	uint64_t page = UINT64_C(0x1000) << 2 * size;

	return (one_in(o, 2) ? make_indirect : make_flat)(o, page, (uint64_t)size << 8);
}

/* New tables, with nothing in them and nothing pending; the collections may stay. */
static void change_tables(struct oracle *o)
{
	struct twins *t = &o->t;
	uint64_t collections = VALID | t->gi->collections | PAGE_4K;
	bool on[TWIN_REDISTS];

	t->gi->queue_size = 4096 * (1 + (uint32_t)below(o, 16));
	memcpy(on, t->on, sizeof(on));
	for (unsigned n = 0; n < TWIN_REDISTS; n++) {
		twins_enable_lpis(t, n, false);
		twins_zero(t, t->guest.pending[n], TABLE_SPACE);
	}
	twins_its_write(t, GITS_CTLR, 4, 0);
	twins_its_write(t, GITS_BASER(0), 8, 0);
	if (one_in(o, 3)) {
		twins_its_write(t, GITS_BASER(1), 8, 0);
		twins_zero(t, t->gi->collections, TABLE_SPACE);
		for (unsigned i = 0; i < ICIDS; i++)
			o->collections[i] = -1;
	}
	twins_start_its(t, make_device_table(o), collections);
	for (unsigned n = 0; n < TWIN_REDISTS; n++)
		twins_enable_lpis(t, n, on[n]);
	for (unsigned i = 0; i < SLOTS; i++)
		o->slots[i].mapped = false;
	o->nevents = 0;
}

/* The ITS off: messages are lost, commands run when it is on again. */
static void pause_its(struct oracle *o)
{
	struct twins *t = &o->t;

	twins_its_write(t, GITS_CTLR, 4, 0);
	for (uint64_t i = below(o, 4); i > 0 && o->nevents; i--) {
		const struct mapping *m = &o->events[below(o, o->nevents)];

		assert_false(twins_send(t, m->event));
		(void)its_event(t->gi, one_in(o, 4) ? INV : INT, m->device, m->event);
	}
	twins_its_write(t, GITS_CTLR, 4, 1);
}

/* ---- a seed ---- */

static void start(struct oracle *o, uint64_t seed)
{
	memset(o, 0, sizeof(*o));
	o->random = seed;
	twins_init(&o->t);
	o->t.guest.id_bits = 14 + (unsigned)below(o, 3);
	for (unsigned n = 0; n < TWIN_REDISTS; n++)
		twins_start_redist(&o->t, n);
	for (unsigned i = 0; i < ICIDS; i++)
		o->collections[i] = -1;
	twins_start_its(&o->t, make_device_table(o), VALID | o->t.gi->collections | PAGE_4K);
}

static void next(struct oracle *o, struct op *op, struct totals *totals)
{
	unsigned draws = 0;

	do
		draw(o, op);
	while ((!allowed(o, op, totals) || o->nevents == MAX_EVENTS) && ++draws < DRAWS);
	assert_true(draws < DRAWS);
	run(o, op, totals);
}

static void describe(const struct op *op)
{
	print_message("# op 0x%02x device %u event %u intid %u icid %u rdbase %u %u size %u %s\n",
		      op->opcode, op->device, op->event, op->intid, op->icid, op->from, op->to,
		      op->size, op->valid ? "valid" : "");
}

/* COMMANDS of SEED, compared after every EVERY; the number that ran until they differed, or 0. */
static unsigned run_seed(struct oracle *o, uint64_t seed, unsigned every, struct totals *totals)
{
	unsigned found = 0;

	start(o, seed);
	for (unsigned i = 1; i <= COMMANDS && !found; i++) {
		struct op op;

		next(o, &op, totals);
		if (i % every == 0 || i == COMMANDS) {
			totals->comparisons++;
			if (!twins_compare(&o->t))
				found = i;
			if (found && every == 1)
				describe(&op);
		}
		if (one_in(o, 100))
			change_configuration(o);
		if (one_in(o, 40)) {
			switch_redist(o);
			totals->switches++;
		}
		if (one_in(o, 200))
			pause_its(o);
		if (one_in(o, 700)) {
			change_tables(o);
			totals->tables++;
		}
	}
	twins_done(&o->t);
	return found;
}

/* ---- cases ---- */

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

static void report(const struct totals *totals, uint64_t seeds)
{
	unsigned done = 0, refused = 0;

	for (unsigned i = 0; i < OPCODE_COUNT; i++) {
		done += totals->done[i];
		refused += totals->refused[i];
	}
	print_message("# %llu seeds, %u commands carried out, %u refused, %u comparisons, "
		      "%u switches of redistributors, %u of tables\n",
		      (unsigned long long)seeds, done, refused, totals->comparisons,
		      totals->switches, totals->tables);
	for (unsigned i = 0; i < PEAL_COUNT_OF(weights); i++)
		print_message("# opcode 0x%02x: %u, refused %u\n", weights[i].opcode,
			      totals->done[weights[i].opcode], totals->refused[weights[i].opcode]);
	for (unsigned i = 0; i < PEAL_COUNT_OF(rules); i++)
		print_message("# rule %s: drawn again %u times\n", rules[i].name, totals->held[i]);
}

/* Commands and rules were all put to use: the comparison is worth something. */
static void check_reach(const struct totals *totals)
{
	for (unsigned i = 0; i < PEAL_COUNT_OF(weights); i++) {
		unsigned opcode = weights[i].opcode;

		assert_true(opcode == UNKNOWN || totals->done[opcode] > 100);
		assert_true(opcode == SYNC || totals->refused[opcode] > 10);
	}
	for (unsigned i = 0; i < PEAL_COUNT_OF(rules); i++)
		assert_true(totals->held[i] > 10);
	assert_true(totals->switches > 100 && totals->tables > 20);
}

static void the_same_commands_leave_the_same_pending(void **state)
{
	uint64_t first = setting("PEAL_ORACLE_SEED", 0),
		 seeds = setting("PEAL_ORACLE_SEEDS", SEEDS);
	static struct totals totals;
	static struct oracle oracle;

	(void)state;
	if (!qtest_available())
		return;
	if (first)
		seeds = 1;
	for (uint64_t i = 0; i < seeds; i++) {
		uint64_t seed = first ? first : i + 1;
		unsigned found = run_seed(&oracle, seed, first ? 1 : SYNC_EVERY, &totals);

		if (!found)
			continue;
		print_message("# seed %llu differs within %u commands; command by command:\n",
			      (unsigned long long)seed, found);
		found = run_seed(&oracle, seed, 1, &totals);
		fail_msg("seed %llu differs after command %u", (unsigned long long)seed, found);
	}
	report(&totals, seeds);
	if (!first)
		check_reach(&totals);
}

/* The comparison is not blind. */
static void a_bit_on_one_side_is_found(void **state)
{
	static const uint32_t intids[] = { LPI, LPI + 4711, 65535 };
	static struct oracle oracle;
	struct twins *t = &oracle.t;

	(void)state;
	if (!qtest_available())
		return;
	start(&oracle, 1);
	for (unsigned i = 0; i < PEAL_COUNT_OF(intids); i++) {
		unsigned n = i == 0 ? 0 : TWIN_REDISTS - 1;
		uint64_t at = t->guest.pending[n] + intids[i] / 8;
		uint8_t byte = (uint8_t)(1u << intids[i] % 8), none = 0;

		assert_true(twins_compare(t));
		qtest_write_memory(&t->qtest, at, &byte, 1);
		assert_false(twins_compare(t));
		qtest_write_memory(&t->qtest, at, &none, 1);
	}
	assert_true(twins_compare(t));
	twins_done(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bit_on_one_side_is_found),
		cmocka_unit_test(the_same_commands_leave_the_same_pending),
	};

	return cmocka_run_group_tests_name("its_oracle", tests, NULL, NULL);
}
