/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What commands and mappings cost: INVALL and MOVALL look at the LPIs concerned and not at all that
 * could be, memory grows with what is mapped. Times are only compared with each other, by factors
 * far from both what is and what would be wrong.
 */
#include "tables-guest.h"

#include <time.h>

#include "gic/gic.h"

static void setup(struct guest *g, const struct guest_config *c)
{
	guest_init(g, c);
	guest_start(g);
	for (unsigned i = 0; i < g->nits; i++)
		its_map_collections(&g->its[i]);
}

/* The configuration that the GIC works with. */
static unsigned known(const struct guest *g, uint32_t intid)
{
	return g->gic->lpi_config[intid - LPI];
}

/* ---- INVALL ---- */

static void invall_reads_what_its_collection_has(void **state)
{
	const struct guest_config c = { .id_bits = 24 };
	const uint32_t last = (1u << 24) - 1;
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, &c);
	its_map_lpis(gi, 1, LPI, 2, 0, 0x80);
	its_map_lpis(gi, 2, 0x123456, 2, 1, 0x80);
	assert_int_equal(its_mapti(gi, 1, 5, last, 0), 0);
	for (unsigned round = 0; round < 2; round++) {
		unsigned byte = round ? 0x41 : 0xc0, other = round ? 0xc0 : 0x81;

		guest_configure(&g, LPI + 1, byte);
		guest_configure(&g, last, byte);
		guest_configure(&g, 0x123457, byte);
		assert_int_equal(its_invall(gi, 0), 0);
		assert_int_equal(known(&g, LPI + 1), byte);
		assert_int_equal(known(&g, last), byte);
		/* The whole table would have had it. */
		assert_int_equal(known(&g, 0x123457), other);
		assert_int_equal(its_invall(gi, 1), 0);
		assert_int_equal(known(&g, 0x123457), byte);
	}
	/* Nothing in it: nothing to do. */
	guest_configure(&g, LPI, 0);
	assert_int_equal(its_mapc(gi, 2, 0), 0);
	assert_int_equal(its_invall(gi, 2), 0);
	assert_int_equal(known(&g, LPI), 0x81);
	/* LPIs that are none any more, as the guest has made its table smaller, are not read. */
	disable_lpis(&g, 0);
	disable_lpis(&g, 1);
	redist_write(&g, 0, GICR_PROPBASER, 8, g.configuration | 13);
	enable_lpis(&g, 0);
	enable_lpis(&g, 1);
	guest_configure(&g, 0x123457, 0x21);
	assert_int_equal(its_invall(gi, 1), 0);
	assert_int_equal(known(&g, 0x123457), 0);
	guest_done(&g);
}

/* Half of 14 bits: more than the list is worth. */
static void invall_of_many_lpis_reads_the_whole_table(void **state)
{
	const struct guest_config c = { .id_bits = 14 };
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, &c);
	for (unsigned device = 0; device < 32; device++)
		its_map_lpis(gi, device, LPI + 32 * device, 32, 0, 0x80);
	for (uint32_t intid = LPI; intid < 16384; intid++)
		guest_configure(&g, intid, intid & 0xfd);
	assert_int_equal(its_invall(gi, 0), 0);
	for (uint32_t intid = LPI; intid < 16384; intid++)
		assert_int_equal(known(&g, intid), intid & 0xfd);
	guest_done(&g);
}

/* ---- lists of collections ---- */

#define DEVICES 4u
#define EVENTS  32u
#define ICIDS   6u

/* Two of them on other pages; one is never mapped. */
static const uint32_t icids[ICIDS] = { 0, 1, 2, 255, 256, 511 };

/* What the test knows: the collection and LPI of each event. */
struct mapping {
	bool mapped;
	unsigned icid; /* index of icids */
	uint32_t intid;
};

struct mappings {
	bool devices[DEVICES];
	struct mapping events[DEVICES][EVENTS];
};

static void check_lists(struct guest *g, const struct mappings *m, uint64_t round)
{
	uint32_t counts[ICIDS] = { 0 };
	unsigned icid = (unsigned)(round % (ICIDS - 1)), byte = (unsigned)round & 0xfd;

	for (unsigned i = 0; i < DEVICES * EVENTS; i++)
		counts[m->events[i / EVENTS][i % EVENTS].icid] +=
			m->events[i / EVENTS][i % EVENTS].mapped;
	for (unsigned i = 0; i < ICIDS; i++)
		assert_int_equal(its_member_count(g->its[0].its, icids[i]), counts[i]);
	for (uint32_t intid = LPI; intid < LPI + 0x10000; intid += 0x400)
		guest_configure(g, intid, byte);
	assert_int_equal(its_invall(&g->its[0], icids[icid]), 0);
	for (unsigned i = 0; i < DEVICES * EVENTS; i++) {
		const struct mapping *event = &m->events[i / EVENTS][i % EVENTS];

		if (event->mapped && event->icid == icid)
			assert_int_equal(known(g, event->intid), byte);
	}
}

static void change(struct guest_its *gi, struct mappings *m, uint64_t *random)
{
	uint32_t device = (uint32_t)test_random_below(random, DEVICES);
	uint32_t n = (uint32_t)test_random_below(random, EVENTS);
	unsigned icid = (unsigned)test_random_below(random, ICIDS);
	uint32_t intid = LPI + (uint32_t)test_random_below(random, 64) * 0x400;
	struct mapping *event = &m->events[device][n];
	uint64_t what = test_random_below(random, 100);
	uint32_t error;

	if (what < 60) {
		error = its_mapti(gi, device, n, intid, icids[icid]);
		assert_int_equal(error, m->devices[device] ? 0 : 0x010a04);
		if (error == 0)
			*event = (struct mapping){ true, icid, intid };
	} else if (what < 75) {
		error = its_movi(gi, device, n, icids[icid]);
		assert_int_equal(error, !event->mapped      ? 0x010107
					: icid == ICIDS - 1 ? 0x010109
							    : 0);
		event->icid = error ? event->icid : icid;
	} else if (what < 90) {
		error = its_event(gi, DISCARD, device, n);
		assert_int_equal(error, event->mapped ? 0 : 0x010f07);
		event->mapped = false;
	} else {
		m->devices[device] = what < 97;
		error = m->devices[device] ? its_mapd(gi, device, 4, its_itt(gi, device))
					   : its_unmapd(gi, device);
		assert_int_equal(error, 0);
		memset(m->events[device], 0, sizeof(m->events[device]));
	}
}

static void lists_follow_every_change(void **state)
{
	const struct guest_config c = { .id_bits = 20 };
	struct mappings m = { 0 };
	struct guest g;
	uint64_t random = 3;

	(void)state;
	setup(&g, &c);
	for (unsigned i = 0; i < ICIDS - 1; i++)
		assert_int_equal(its_mapc(&g.its[0], icids[i], i % 2), 0);
	for (uint64_t round = 0; round < 5000; round++) {
		change(&g.its[0], &m, &random);
		check_lists(&g, &m, round);
	}
	guest_done(&g);
}

/* ---- memory ---- */

#define PER_EVENT 24u /* bytes of a mapped event, beside the word that its device has for it */

/* Queues many commands, as a ring of them is shorter. */
static void queue(struct guest_its *gi, uint64_t dw0, uint64_t dw1, uint64_t dw2, uint64_t dw3)
{
	its_queue(gi, dw0, dw1, dw2, dw3);
	if (gi->writer % (gi->queue_size / 2) == 0)
		its_ring(gi);
}

static void map_many(struct guest_its *gi, uint32_t first, uint32_t devices, uint32_t events)
{
	for (uint32_t i = 0; i < devices * events; i++) {
		uint32_t device = first + i / events, event = i % events;

		queue(gi, dw_device(MAPTI, device), (uint64_t)(LPI + i) << 32 | event, i % 2, 0);
	}
	its_ring(gi);
	assert_int_equal(gi->nerrors, 0);
}

static void discard_many(struct guest_its *gi, uint32_t first, uint32_t devices, uint32_t events)
{
	for (uint32_t i = 0; i < devices * events; i++)
		queue(gi, dw_device(DISCARD, first + i / events), i % events, 0, 0);
	its_ring(gi);
	assert_int_equal(gi->nerrors, 0);
}

static void memory_grows_with_what_is_mapped(void **state)
{
	const struct guest_config c = { .id_bits = 18 };
	struct guest g;
	struct guest_its *gi = &g.its[0];
	uint64_t empty, devices, events;

	(void)state;
	setup(&g, &c);
	empty = its_counters(gi).memory;
	for (uint32_t device = 0; device < 1024; device++)
		assert_int_equal(its_mapd(gi, device, 5, its_itt(gi, 0)), 0);
	devices = its_counters(gi).memory;
	/* 64 words, and a few of its own: a place in the tree among them. */
	assert_true(devices - empty <= 1024 * (64 * 8 + 64));
	map_many(gi, 0, 1024, 64);
	events = its_counters(gi).memory;
	assert_int_equal(its_counters(gi).events, 65536);
	assert_true(events - devices <= 65536 * PER_EVENT);
	print_message("# %.2f bytes an event, %.2f bytes a device of 64\n",
		      (double)(events - devices) / 65536, (double)(devices - empty) / 1024);
	/* What one gives back another can have. */
	discard_many(gi, 0, 1023, 64);
	assert_int_equal(its_counters(gi).events, 64);
	assert_true(its_counters(gi).memory - devices <= (events - devices));
	map_many(gi, 0, 1023, 64);
	assert_int_equal(its_counters(gi).memory, events);
	for (uint32_t device = 0; device < 1024; device++)
		assert_int_equal(its_unmapd(gi, device), 0);
	assert_int_equal(its_counters(gi).memory, empty);
	guest_done(&g);
}

/* A device with many events has words for those near the mapped ones only. */
static void memory_of_a_large_device_is_bounded(void **state)
{
	const struct guest_config c = { .id_bits = 18 };
	struct guest g;
	struct guest_its *gi = &g.its[0];
	uint64_t empty, device;

	(void)state;
	setup(&g, &c);
	empty = its_counters(gi).memory;
	assert_int_equal(its_mapd(gi, 1, 15, gi->itts), 0);
	device = its_counters(gi).memory;
	assert_true(device - empty <= 65536 * 8 / 16);
	map_many(gi, 1, 1, 65536);
	assert_true(its_counters(gi).memory - empty <= 65536 * (8 + PER_EVENT));
	discard_many(gi, 1, 1, 65536);
	/* The words stay until the device goes. */
	assert_true(its_counters(gi).memory - device <= 65536 * 8);
	assert_int_equal(its_unmapd(gi, 1), 0);
	assert_int_equal(its_counters(gi).memory, empty);
	guest_done(&g);
}

/* An event that comes and goes beside a full leaf of the lists does not make and free one. */
static void an_event_that_comes_and_goes_allocates_nothing(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	assert_int_equal(its_mapd(gi, 1, 8, its_itt(gi, 0)), 0);
	for (uint32_t n = 0; n < 512; n++) {
		uint64_t before;

		assert_int_equal(its_mapti(gi, 1, n, LPI + n, 0), 0);
		if (n == 0)
			continue;
		before = its_counters(gi).memory;
		assert_int_equal(its_event(gi, DISCARD, 1, n), 0);
		assert_int_equal(its_counters(gi).memory, before);
		test_host_fail_in(&g.th, 0);
		assert_int_equal(its_mapti(gi, 1, n, LPI + n, 0), 0);
		test_host_fail_never(&g.th);
	}
	guest_done(&g);
}

/* ---- MOVALL and pending tables ---- */

#define SOME 40u

/* LPIs near and far, the first and the last, every second one disabled. */
static uint32_t some_lpi(unsigned n)
{
	const uint32_t span = (1u << 24) - LPI;

	if (n == 0)
		return LPI;
	return LPI + (uint32_t)((uint64_t)(span - 1) * n / (SOME - 1)) - n % 3 * (n < SOME - 1);
}

static void setup_some(struct guest *g)
{
	const struct guest_config c = { .id_bits = 24, .nredists = 3 };
	struct guest_its *gi = &g->its[0];

	setup(g, &c);
	assert_int_equal(its_mapd(gi, 1, 8, its_itt(gi, 0)), 0);
	for (unsigned n = 0; n < SOME; n++) {
		guest_configure(g, some_lpi(n), n % 2 ? 0x80 : 0x81);
		assert_int_equal(its_mapti(gi, 1, n, some_lpi(n), 0), 0);
	}
}

static void send_some(struct guest *g)
{
	for (unsigned n = 0; n < SOME; n++)
		assert_int_equal(peal_its_send(g->its[0].its, 1, n), 1);
}

static void assert_some_are_pending(struct guest *g, unsigned redist)
{
	for (unsigned n = 0; n < SOME; n++) {
		for (unsigned i = 0; i < g->nredists; i++)
			assert_int_equal(guest_is_pending(g, i, some_lpi(n)), i == redist);
	}
}

static void movall_finds_every_pending_lpi(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup_some(&g);
	for (unsigned round = 0; round < 4; round++) {
		send_some(&g);
		/* A look of the CPU corrects the summary; it must not hide the disabled ones. */
		if (round & 1)
			assert_int_equal(guest_acknowledge(&g, 0), some_lpi(0));
		if (round & 1)
			assert_int_equal(guest_highest(&g, 0), some_lpi(2));
		assert_int_equal(peal_its_send(gi->its, 1, 0), 1);
		assert_int_equal(its_movall(gi, 0, 1), 0);
		assert_some_are_pending(&g, 1);
		assert_int_equal(guest_highest(&g, 0), SPURIOUS);
		assert_int_equal(its_movall(gi, 1, 2), 0);
		assert_some_are_pending(&g, 2);
		for (unsigned n = 0; n < SOME; n += 2)
			assert_int_equal(guest_acknowledge(&g, 2), some_lpi(n));
		assert_int_equal(guest_acknowledge(&g, 2), SPURIOUS);
		/* Only disabled ones are left, and they can move, and be enabled there. */
		assert_int_equal(its_movall(gi, 2, 1), 0);
		guest_configure(&g, some_lpi(7), 0x81);
		assert_int_equal(its_event(gi, INV, 1, 7), 0);
		assert_int_equal(guest_acknowledge(&g, 1), some_lpi(7));
		assert_int_equal(guest_acknowledge(&g, 1), SPURIOUS);
		guest_configure(&g, some_lpi(7), 0x80);
		assert_int_equal(its_event(gi, INV, 1, 7), 0);
		for (unsigned n = 0; n < SOME; n++)
			assert_int_equal(its_event(gi, CLEAR, 1, n), 0);
		assert_some_are_pending(&g, 3);
	}
	guest_done(&g);
}

/* Bits of the guest's pending table that are set. */
static unsigned table_bits(struct guest *g, unsigned redist)
{
	unsigned bits = 0;

	for (uint32_t at = LPI / 8; at < 1u << 21; at += 8)
		bits += (unsigned)__builtin_popcountll(guest_load(g, g->pending[redist] + at));
	return bits;
}

static void a_pending_table_gets_exactly_what_is_pending(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup_some(&g);
	send_some(&g);
	disable_lpis(&g, 0);
	assert_int_equal(table_bits(&g, 0), SOME);
	for (unsigned n = 0; n < SOME; n++)
		assert_int_equal(*guest_pending_byte(&g, 0, some_lpi(n)) >> some_lpi(n) % 8 & 1, 1);
	/* Read again; what goes then, in whatever way, is not in the table any more. */
	enable_lpis(&g, 0);
	assert_some_are_pending(&g, 0);
	assert_int_equal(guest_acknowledge(&g, 0), some_lpi(0));
	assert_int_equal(its_event(gi, CLEAR, 1, 1), 0);
	assert_int_equal(its_event(gi, DISCARD, 1, 2), 0);
	disable_lpis(&g, 0);
	assert_int_equal(table_bits(&g, 0), SOME - 3);
	enable_lpis(&g, 0);
	assert_int_equal(its_movall(gi, 0, 1), 0);
	disable_lpis(&g, 0);
	assert_int_equal(table_bits(&g, 0), 0);
	disable_lpis(&g, 1);
	assert_int_equal(table_bits(&g, 1), SOME - 3);
	/* From a table that is zero, as the guest says, only what came then. */
	memset(test_ram_at(&g.ram, g.pending[1], 1u << 21), 0, 1u << 21);
	redist_write(&g, 1, GICR_PENDBASER, 8, g.pending[1] | PTZ);
	enable_lpis(&g, 1);
	assert_int_equal(its_movi(gi, 1, 3, 1), 0);
	assert_int_equal(peal_its_send(gi->its, 1, 3), 1);
	disable_lpis(&g, 1);
	assert_int_equal(table_bits(&g, 1), 1);
	guest_done(&g);
}

/* ---- time ---- */

static double seconds(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

struct order {
	uint64_t dw[4];
};

/* The shortest of some runs of a full ring of the two commands, in turn. */
static double time_ring(struct guest_its *gi, const struct order *a, const struct order *b)
{
	double best = 1e9;

	for (unsigned run = 0; run < 5; run++) {
		double start;

		for (uint32_t n = 0; n < gi->queue_size / 32 - 1; n++) {
			const struct order *order = n % 2 ? b : a;

			its_queue(gi, order->dw[0], order->dw[1], order->dw[2], order->dw[3]);
		}
		start = seconds();
		its_ring(gi);
		start = seconds() - start;
		best = start < best ? start : best;
		assert_int_equal(its_read(gi, GITS_CREADR), gi->writer);
	}
	return best;
}

/*
 * With 24 bits there are 16 million LPIs and 262144 words of pending bits; whoever went over them
 * for each command would take 1000 times as long as a command that does nothing, and more.
 */
static void a_full_ring_with_24_id_bits_is_quick(void **state)
{
	const struct {
		const char *name;
		struct order a, b;
	} rows[] = {
		{ "INVALL", { { INVALL, 0, 0, 0 } }, { { INVALL, 0, 1, 0 } } },
		{ "MOVALL", { { MOVALL, 0, 0, 1 << 16 } }, { { MOVALL, 0, 1 << 16, 0 } } },
		{ "MOVALL after INT",
		  { { INT | 1ull << 32, 0, 0, 0 } },
		  { { MOVALL, 0, 0, 1 << 16 } } },
		{ "INV", { { INV | 1ull << 32, 0, 0, 0 } }, { { INV | 1ull << 32, 1, 0, 0 } } },
		{ "MAPD",
		  { { MAPD | 2ull << 32, 4, VALID, 0 } },
		  { { MAPD | 2ull << 32, 0, 0, 0 } } },
	};
	const struct order sync = { { SYNC, 0, 0, 0 } };
	const struct guest_config c = { .id_bits = 24 };
	struct guest g;
	struct guest_its *gi = &g.its[0];
	double nothing;

	(void)state;
	setup(&g, &c);
	its_map_lpis(gi, 1, LPI, 8, 0, 0x80);
	/* Once everything was pending, as the guest's table has it, and MOVALL took it away. */
	disable_lpis(&g, 1);
	memset(test_ram_at(&g.ram, g.pending[1], 1u << 21), 0xff, 1u << 21);
	enable_lpis(&g, 1);
	assert_int_equal(its_movall(gi, 1, 0), 0);
	disable_lpis(&g, 0);
	redist_write(&g, 0, GICR_PENDBASER, 8, g.pending[0] | PTZ);
	enable_lpis(&g, 0);
	nothing = time_ring(gi, &sync, &sync);
	for (unsigned i = 0; i < PEAL_COUNT_OF(rows); i++) {
		double took = time_ring(gi, &rows[i].a, &rows[i].b);

		print_message("# %s: %.0f ns, SYNC %.0f ns\n", rows[i].name, took * 1e9 / 2047,
			      nothing * 1e9 / 2047);
		assert_true(took < 300 * nothing);
	}
	assert_int_equal(gi->nerrors, 0);
	guest_done(&g);
}

/* ---- many redistributors ---- */

#define CROWD 1024u

static void no_kick(void *user, unsigned redist)
{
	(void)user;
	(void)redist;
}

/* The shortest INVALLR of some, each with another priority for every LPI. */
static double time_invallr(struct guest *g, unsigned nredists)
{
	static struct peal_redist_config redists[CROWD];
	const struct peal_gic_config config = {
		.host = &g->th.host,
		.memory = g->ram.space,
		.id_bits = 14,
		.nredists = nredists,
		.redists = redists,
		.kick = no_kick,
	};
	struct peal_gic *gic;
	double best = 1e9;

	for (unsigned i = 0; i < nredists; i++)
		redists[i].processor_number = (uint16_t)i;
	assert_int_equal(peal_gic_new(&gic, &config), 0);
	peal_redist_write(gic, 0, GICR_PROPBASER, 8, g->configuration | 13);
	peal_redist_write(gic, 0, GICR_PENDBASER, 8, g->pending[0] | PTZ);
	peal_redist_write(gic, 0, GICR_CTLR, 4, 1);
	for (unsigned run = 0; run < 7; run++) {
		double start;

		memset(test_ram_at(&g->ram, g->configuration, LPI),
		       (int)((run + 1) % 4 << 6 | LPI_ON), LPI);
		start = seconds();
		peal_redist_write(gic, 0, GICR_INVALLR, 8, 0);
		start = seconds() - start;
		best = start < best ? start : best;
	}
	peal_gic_free(gic);
	return best;
}

/* Who looked at each redistributor for each LPI would take 200 times as long. */
static void reading_configurations_of_a_vm_with_many_vcpus_is_quick(void **state)
{
	struct guest g;
	double one, crowd;

	(void)state;
	guest_init(&g, NULL);
	one = time_invallr(&g, 1);
	crowd = time_invallr(&g, CROWD);
	print_message("# INVALLR: %.0f us, with %u redistributors %.0f us\n", one * 1e6, CROWD,
		      crowd * 1e6);
	assert_true(crowd < 50 * one);
	guest_done(&g);
}

/* ---- a queue that would take for ever ---- */

#define MANY_BITS 21u
#define MANY      ((1u << MANY_BITS) - LPI)

/* All LPIs pending on redistributor 0, all disabled. */
static const struct guest_config many = { .id_bits = MANY_BITS, .nredists = 2 };

static void setup_many(struct guest *g)
{
	guest_init(g, &many);
	memset(test_ram_at(&g->ram, g->pending[0], 1u << (MANY_BITS - 3)), 0xff,
	       1u << (MANY_BITS - 3));
	guest_start(g);
	its_map_collections(&g->its[0]);
}

static void queue_movall(struct guest_its *gi, unsigned count)
{
	for (uint64_t n = 0; n < count; n++)
		its_queue(gi, MOVALL, 0, (n & 1) << 16, (~n & 1) << 16);
}

static bool all_are_on(const struct guest *g, unsigned redist)
{
	for (uint32_t intid = LPI; intid < LPI + MANY; intid += 61) {
		if (!guest_is_pending(g, redist, intid) || guest_is_pending(g, !redist, intid))
			return false;
	}
	return true;
}

/* A ring of such commands would hold the ITS for hours: one after the other, as the guest looks. */
static void commands_that_do_much_are_spread_over_reads(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];
	uint32_t start;

	(void)state;
	setup_many(&g);
	start = gi->writer;
	queue_movall(gi, 3);
	its_queue(gi, SYNC, 0, 0, 0);
	its_ring(gi);
	assert_true(all_are_on(&g, 1));
	assert_int_equal(its_read32(gi, GITS_CTLR), 1); /* not quiescent; and the second has run */
	assert_true(all_are_on(&g, 0));
	assert_int_equal(its_read(gi, GITS_CREADR), start + 96);
	assert_int_equal(its_read(gi, GITS_CREADR), gi->writer);
	assert_int_equal(its_read32(gi, GITS_CTLR), 1 | QUIESCENT);
	assert_true(all_are_on(&g, 1));
	/* Off in the middle: what is left waits until it is on again. */
	queue_movall(gi, 4);
	its_ring(gi); /* from 0: nothing to move; and to 0 */
	assert_true(all_are_on(&g, 0));
	its_write32(gi, GITS_CTLR, 0);
	assert_int_equal(its_read32(gi, GITS_CTLR), QUIESCENT);
	assert_int_equal(its_read(gi, GITS_CREADR), gi->writer - 64);
	its_write32(gi, GITS_CTLR, 1);
	assert_true(all_are_on(&g, 1));
	its_ring(gi);
	assert_true(all_are_on(&g, 0));
	assert_int_equal(gi->nerrors, 0);
	/* And it ends in any state. */
	queue_movall(gi, 3);
	its_ring(gi);
	peal_its_reset(gi->its);
	assert_int_equal(its_read32(gi, GITS_CTLR), QUIESCENT);
	guest_done(&g);
}

/* INVALL counts as the LPIs of the collection, but no more than the whole table is worth. */
static void invall_of_many_lpis_is_spread_over_reads(void **state)
{
	const struct guest_config c = { .id_bits = 24 };
	struct guest g;
	struct guest_its *gi = &g.its[0];
	uint32_t start;

	(void)state;
	setup(&g, &c);
	assert_int_equal(its_mapd(gi, 1, 15, gi->itts), 0);
	map_many(gi, 1, 1, 65536); /* half of them in this collection */
	start = gi->writer;
	for (unsigned n = 0; n < 80; n++)
		its_queue(gi, INVALL, 0, 0, 0);
	its_ring(gi);
	/* Two times 32 commands: one in the write, one in the read. */
	assert_int_equal(its_read(gi, GITS_CREADR), (start + 64 * 32) % gi->queue_size);
	assert_int_equal(its_read(gi, GITS_CREADR), gi->writer);
	assert_int_equal(gi->nerrors, 0);
	guest_done(&g);
}

/* A collection with more LPIs is read with the whole table: a full ring of them is one go. */
static void invall_counts_no_more_than_the_whole_table(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];
	uint64_t before;

	(void)state;
	setup(&g, NULL);
	assert_int_equal(its_mapd(gi, 1, 10, gi->itts), 0);
	for (uint32_t i = 0; i < 1024; i++)
		assert_int_equal(its_mapti(gi, 1, i, LPI + i, 0), 0);
	before = its_counters(gi).commands;
	for (unsigned n = 0; n < 2047; n++)
		its_queue(gi, INVALL, 0, 0, 0);
	its_ring(gi);
	assert_int_equal(its_counters(gi).commands, before + 2047);
	guest_done(&g);
}

/* The rest of a queue goes along with the ITS. */
static void a_snapshot_carries_commands_that_are_left(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];
	size_t size;
	void *bytes;

	(void)state;
	setup_many(&g);
	queue_movall(gi, 3);
	its_ring(gi);
	assert_true(all_are_on(&g, 1));
	size = peal_its_state_size(gi->its);
	bytes = malloc(size);
	assert_non_null(bytes);
	assert_int_equal(peal_its_save(gi->its, bytes, size), 0);
	peal_its_reset(gi->its);
	assert_int_equal(peal_its_load(gi->its, bytes, size), 0);
	assert_true(all_are_on(&g, 1));
	(void)its_read(gi, GITS_CREADR);
	assert_true(all_are_on(&g, 0));
	assert_int_equal(its_read(gi, GITS_CREADR), gi->writer);
	assert_true(all_are_on(&g, 1));
	free(bytes);
	guest_done(&g);
}

static void tables_carry_commands_that_are_left(void **state)
{
	struct guest g, to;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup_many(&g);
	queue_movall(gi, 20);
	its_queue(gi, dw_device(MAPD, 7), 4, VALID | its_itt(gi, 1), 0);
	its_queue(gi, dw_device(MAPTI, 7), (uint64_t)LPI << 32, 1, 0);
	its_ring(gi);
	guest_migrate(&to, &g, &many);
	assert_int_equal(its_counters(&g.its[0]).devices, 0);
	gi = &to.its[0];
	for (unsigned n = 0; n < 20 && its_read(gi, GITS_CREADR) != gi->writer; n++)
		;
	assert_int_equal(its_read(gi, GITS_CREADR), gi->writer);
	assert_true(all_are_on(&to, 0));
	assert_int_equal(its_counters(gi).events, 1);
	assert_int_equal(peal_its_send(gi->its, 7, 0), 1);
	assert_int_equal(gi->nerrors, 0);
	guest_done(&to);
	guest_done(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(invall_reads_what_its_collection_has),
		cmocka_unit_test(invall_of_many_lpis_reads_the_whole_table),
		cmocka_unit_test(lists_follow_every_change),
		cmocka_unit_test(memory_grows_with_what_is_mapped),
		cmocka_unit_test(memory_of_a_large_device_is_bounded),
		cmocka_unit_test(an_event_that_comes_and_goes_allocates_nothing),
		cmocka_unit_test(movall_finds_every_pending_lpi),
		cmocka_unit_test(a_pending_table_gets_exactly_what_is_pending),
		cmocka_unit_test(a_full_ring_with_24_id_bits_is_quick),
		cmocka_unit_test(reading_configurations_of_a_vm_with_many_vcpus_is_quick),
		cmocka_unit_test(commands_that_do_much_are_spread_over_reads),
		cmocka_unit_test(invall_of_many_lpis_is_spread_over_reads),
		cmocka_unit_test(invall_counts_no_more_than_the_whole_table),
		cmocka_unit_test(a_snapshot_carries_commands_that_are_left),
		cmocka_unit_test(tables_carry_commands_that_are_left),
	};

	return cmocka_run_group_tests_name("gic-cost", tests, NULL, NULL);
}
