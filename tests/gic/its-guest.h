/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's side of the GIC for tests: a VM's memory with the tables that a guest builds there,
 * the registers by their architectural names, and commands that are written into the ring.
 *
 *   GUEST_RAM ┬ LPI configuration table
 *             ├ one LPI pending table for each redistributor
 *             └ for each ITS: command queue, device table, collection table, ITTs
 *
 * Offsets and fields are those of Arm IHI 0069H, written down once more: a test that took them
 * from the library could not find them wrong.
 */
#ifndef PEAL_TESTS_GIC_ITS_GUEST_H
#define PEAL_TESTS_GIC_ITS_GUEST_H

#include <support.h>

#include <peal/gic.h>

#define GITS_CTLR       0x0u
#define GITS_IIDR       0x4u
#define GITS_TYPER      0x8u
#define GITS_CBASER     0x80u
#define GITS_CWRITER    0x88u
#define GITS_CREADR     0x90u
#define GITS_BASER(n)   (0x100u + 8 * (n))
#define GITS_PIDR2      0xffe8u
#define GITS_TRANSLATER 0x10040u

#define GICR_CTLR      0x0u
#define GICR_TYPER     0x8u
#define GICR_SETLPIR   0x40u
#define GICR_CLRLPIR   0x48u
#define GICR_PROPBASER 0x70u
#define GICR_PENDBASER 0x78u
#define GICR_INVLPIR   0xa0u
#define GICR_INVALLR   0xb0u
#define GICR_SYNCR     0xc0u

#define VALID     (UINT64_C(1) << 63)
#define INDIRECT  (UINT64_C(1) << 62)
#define PTZ       (UINT64_C(1) << 62)
#define PAGE_4K   (UINT64_C(0) << 8)
#define PAGE_16K  (UINT64_C(1) << 8)
#define PAGE_64K  (UINT64_C(2) << 8)
#define QUIESCENT 0x80000000u

#define LPI             8192u /* the first */
#define LPI_ON          0x01u
#define SPURIOUS        1023u
#define ALL_PRIORITIES  0xffu
#define GUEST_REDISTS   8u
#define GUEST_ITSES     2u
#define GUEST_RAM       UINT64_C(0x40000000)
#define GUEST_ITS_SPACE UINT64_C(0x100000)
#define GUEST_DEVICES   8192u /* the flat device table has so many entries */
#define GUEST_ICIDS     512u  /* and the collection table */

/* Opcodes */
#define MOVI    0x01u
#define INT     0x03u
#define CLEAR   0x04u
#define SYNC    0x05u
#define MAPD    0x08u
#define MAPC    0x09u
#define MAPTI   0x0au
#define MAPI    0x0bu
#define INV     0x0cu
#define INVALL  0x0du
#define MOVALL  0x0eu
#define DISCARD 0x0fu

struct guest_config {
	unsigned id_bits;           /* 0: 16 */
	unsigned nredists;          /* 0: 2 */
	unsigned nits;              /* 0: 1 */
	const uint16_t *processors; /* NULL: 0, 1, 2, … */
	bool direct_lpi;
	/* Of every ITS, as in struct peal_its_config. */
	unsigned device_bits;
	unsigned event_bits;
	unsigned icid_bits;
	bool stall_on_fault;
	uint64_t memory_limit;
};

struct guest_its {
	struct guest *guest;
	struct peal_its *its;
	uint64_t queue; /* guest addresses */
	uint64_t devices;
	uint64_t collections;
	uint64_t itts;
	uint32_t queue_size;
	uint32_t writer; /* where the next command goes */
	unsigned nerrors;
	struct peal_its_error error; /* the last one */
};

struct guest {
	struct test_host th;
	struct test_ram ram;
	struct peal_gic *gic;
	unsigned id_bits;
	unsigned nredists;
	unsigned nits;
	uint16_t processors[GUEST_REDISTS];
	uint64_t configuration;
	uint64_t pending[GUEST_REDISTS];
	struct guest_its its[GUEST_ITSES];
	uint64_t kicks[GUEST_REDISTS];
};

/* ---- construction ---- */

static inline void guest_kick(void *user, unsigned redist)
{
	struct guest *g = (struct guest *)user;

	(void)__atomic_fetch_add(&g->kicks[redist], 1, __ATOMIC_SEQ_CST);
}

static inline void guest_its_error(void *user, const struct peal_its_error *error)
{
	struct guest_its *gi = (struct guest_its *)user;

	gi->nerrors++;
	gi->error = *error;
}

static inline void guest_new_gic(struct guest *g, const struct guest_config *c)
{
	struct peal_redist_config redists[GUEST_REDISTS];
	const struct peal_gic_config config = {
		.host = &g->th.host,
		.memory = g->ram.space,
		.id_bits = c->id_bits,
		.direct_lpi = c->direct_lpi,
		.nredists = g->nredists,
		.redists = redists,
		.kick = guest_kick,
		.user = g,
	};
	int r;

	for (unsigned i = 0; i < g->nredists; i++) {
		redists[i].processor_number = g->processors[i];
		redists[i].affinity = 0x100 + i;
	}
	r = peal_gic_new(&g->gic, &config);
	assert_int_equal(r, 0);
}

static inline void guest_new_its(struct guest *g, unsigned n, const struct guest_config *c)
{
	struct guest_its *gi = &g->its[n];
	const struct peal_its_config config = {
		.gic = g->gic,
		.device_bits = c->device_bits,
		.event_bits = c->event_bits,
		.icid_bits = c->icid_bits,
		.stall_on_fault = c->stall_on_fault,
		.memory_limit = c->memory_limit,
		.error = guest_its_error,
		.user = gi,
	};
	int r = peal_its_new(&gi->its, &config);

	assert_int_equal(r, 0);
	gi->guest = g;
}

/* A GIC and ITSes that no guest has touched yet. C may be NULL. */
static inline void guest_init(struct guest *g, const struct guest_config *c)
{
	const struct guest_config defaults = { 0 };
	uint64_t at = GUEST_RAM, table;

	c = c ? c : &defaults;
	memset(g, 0, sizeof(*g));
	test_host_init(&g->th);
	g->id_bits = c->id_bits ? c->id_bits : 16;
	g->nredists = c->nredists ? c->nredists : 2;
	g->nits = c->nits ? c->nits : 1;
	table = peal_round_up((UINT64_C(1) << g->id_bits) / 8, 0x10000);
	g->configuration = at;
	at += peal_round_up(UINT64_C(1) << g->id_bits, 0x10000);
	for (unsigned i = 0; i < g->nredists; i++, at += table) {
		g->pending[i] = at;
		g->processors[i] = c->processors ? c->processors[i] : (uint16_t)i;
	}
	for (unsigned i = 0; i < g->nits; i++, at += GUEST_ITS_SPACE) {
		g->its[i].queue = at;
		g->its[i].queue_size = 0x10000;
		g->its[i].devices = at + 0x10000;
		g->its[i].collections = at + 0x20000;
		g->its[i].itts = at + 0x40000;
	}
	test_ram_init(&g->ram, &g->th.host, GUEST_RAM, at - GUEST_RAM);
	guest_new_gic(g, c);
	for (unsigned i = 0; i < g->nits; i++)
		guest_new_its(g, i, c);
}

/* Everything goes, and nothing may be left. */
static inline void guest_done(struct guest *g)
{
	for (unsigned i = 0; i < g->nits; i++)
		peal_its_free(g->its[i].its);
	peal_gic_free(g->gic);
	test_ram_done(&g->ram);
	test_host_done(&g->th);
}

/* ---- registers ---- */

static inline uint64_t its_read(const struct guest_its *gi, uint64_t offset)
{
	return peal_its_read(gi->its, offset, 8);
}

static inline void its_write(struct guest_its *gi, uint64_t offset, uint64_t value)
{
	peal_its_write(gi->its, offset, 8, value);
}

static inline uint32_t its_read32(const struct guest_its *gi, uint64_t offset)
{
	return (uint32_t)peal_its_read(gi->its, offset, 4);
}

static inline void its_write32(struct guest_its *gi, uint64_t offset, uint32_t value)
{
	peal_its_write(gi->its, offset, 4, value);
}

static inline uint64_t redist_read(struct guest *g, unsigned n, uint64_t offset, unsigned size)
{
	return peal_redist_read(g->gic, n, offset, size);
}

static inline void redist_write(struct guest *g, unsigned n, uint64_t offset, unsigned size,
				uint64_t value)
{
	peal_redist_write(g->gic, n, offset, size, value);
}

static inline void enable_lpis(struct guest *g, unsigned n)
{
	redist_write(g, n, GICR_CTLR, 4, 1);
}

static inline void disable_lpis(struct guest *g, unsigned n)
{
	redist_write(g, n, GICR_CTLR, 4, 0);
}

/* ---- memory ---- */

static inline uint64_t guest_load(struct guest *g, uint64_t address)
{
	return peal_load_le(test_ram_at(&g->ram, address, 8), 8);
}

static inline void guest_store(struct guest *g, uint64_t address, uint64_t value)
{
	peal_store_le(test_ram_at(&g->ram, address, 8), 8, value);
}

/* The LPI's byte in the configuration table; the GIC learns of it with INV. */
static inline void guest_configure(struct guest *g, uint32_t intid, unsigned byte)
{
	*(uint8_t *)test_ram_at(&g->ram, g->configuration + intid - LPI, 1) = (uint8_t)byte;
}

/* The LPI's byte in a pending table. */
static inline uint8_t *guest_pending_byte(struct guest *g, unsigned redist, uint32_t intid)
{
	return (uint8_t *)test_ram_at(&g->ram, g->pending[redist] + intid / 8, 1);
}

/* ---- starting ---- */

static inline uint64_t guest_propbaser(const struct guest *g)
{
	return g->configuration | (g->id_bits - 1);
}

static inline void guest_start_redist(struct guest *g, unsigned n)
{
	redist_write(g, n, GICR_PROPBASER, 8, guest_propbaser(g));
	redist_write(g, n, GICR_PENDBASER, 8, g->pending[n]);
	enable_lpis(g, n);
}

static inline void guest_program_its(struct guest_its *gi)
{
	its_write(gi, GITS_BASER(0), VALID | gi->devices | PAGE_64K | 0);
	its_write(gi, GITS_BASER(1), VALID | gi->collections | PAGE_4K | 0);
	its_write(gi, GITS_CBASER, VALID | gi->queue | (gi->queue_size / 4096 - 1));
	gi->writer = 0;
}

/* As a guest does when it boots: every table in place, everything enabled, nothing mapped. */
static inline void guest_start(struct guest *g)
{
	for (unsigned i = 0; i < g->nredists; i++)
		guest_start_redist(g, i);
	for (unsigned i = 0; i < g->nits; i++) {
		guest_program_its(&g->its[i]);
		its_write32(&g->its[i], GITS_CTLR, 1);
		assert_int_equal(its_read32(&g->its[i], GITS_CTLR), 1 | QUIESCENT);
	}
}

/* ---- commands ---- */

/* Puts a command into the ring; its_ring() lets the ITS see it. */
static inline void its_queue(struct guest_its *gi, uint64_t dw0, uint64_t dw1, uint64_t dw2,
			     uint64_t dw3)
{
	uint64_t at = gi->queue + gi->writer;

	guest_store(gi->guest, at, dw0);
	guest_store(gi->guest, at + 8, dw1);
	guest_store(gi->guest, at + 16, dw2);
	guest_store(gi->guest, at + 24, dw3);
	gi->writer = (gi->writer + 32) % gi->queue_size;
}

static inline void its_ring(struct guest_its *gi)
{
	its_write(gi, GITS_CWRITER, gi->writer);
}

/* Runs one command: its error number, 0 when it succeeded. */
static inline uint32_t its_run(struct guest_its *gi, uint64_t dw0, uint64_t dw1, uint64_t dw2,
			       uint64_t dw3)
{
	unsigned before = gi->nerrors;

	its_queue(gi, dw0, dw1, dw2, dw3);
	its_ring(gi);
	return gi->nerrors == before ? 0 : gi->error.error;
}

static inline uint64_t dw_device(unsigned opcode, uint32_t device)
{
	return (uint64_t)device << 32 | opcode;
}

/* SIZE is the field: the device has 2^(SIZE + 1) events. */
static inline uint32_t its_mapd(struct guest_its *gi, uint32_t device, unsigned size, uint64_t itt)
{
	return its_run(gi, dw_device(MAPD, device), size, VALID | itt, 0);
}

static inline uint32_t its_unmapd(struct guest_its *gi, uint32_t device)
{
	return its_run(gi, dw_device(MAPD, device), 0, 0, 0);
}

static inline uint32_t its_mapc(struct guest_its *gi, uint32_t icid, uint64_t processor)
{
	return its_run(gi, MAPC, 0, VALID | processor << 16 | icid, 0);
}

static inline uint32_t its_unmapc(struct guest_its *gi, uint32_t icid, uint64_t processor)
{
	return its_run(gi, MAPC, 0, processor << 16 | icid, 0);
}

static inline uint32_t its_mapti(struct guest_its *gi, uint32_t device, uint32_t event,
				 uint32_t intid, uint32_t icid)
{
	return its_run(gi, dw_device(MAPTI, device), (uint64_t)intid << 32 | event, icid, 0);
}

static inline uint32_t its_mapi(struct guest_its *gi, uint32_t device, uint32_t event,
				uint32_t icid)
{
	return its_run(gi, dw_device(MAPI, device), event, icid, 0);
}

static inline uint32_t its_movi(struct guest_its *gi, uint32_t device, uint32_t event,
				uint32_t icid)
{
	return its_run(gi, dw_device(MOVI, device), event, icid, 0);
}

/* INT, CLEAR, INV, DISCARD */
static inline uint32_t its_event(struct guest_its *gi, unsigned opcode, uint32_t device,
				 uint32_t event)
{
	return its_run(gi, dw_device(opcode, device), event, 0, 0);
}

static inline uint32_t its_invall(struct guest_its *gi, uint32_t icid)
{
	return its_run(gi, INVALL, 0, icid, 0);
}

static inline uint32_t its_movall(struct guest_its *gi, uint64_t from, uint64_t to)
{
	return its_run(gi, MOVALL, 0, from << 16, to << 16);
}

static inline uint32_t its_sync(struct guest_its *gi, uint64_t processor)
{
	return its_run(gi, SYNC, 0, processor << 16, 0);
}

/* A place for the ITT of device number N; 512 entries. */
static inline uint64_t its_itt(const struct guest_its *gi, unsigned n)
{
	return gi->itts + (uint64_t)n * 0x1000;
}

/* Maps collection n to redistributor n, each of them. */
static inline void its_map_collections(struct guest_its *gi)
{
	for (unsigned i = 0; i < gi->guest->nredists; i++)
		assert_int_equal(its_mapc(gi, i, gi->guest->processors[i]), 0);
}

/* DEVICE with 32 events, the first COUNT as LPIs from INTID on in ICID, enabled with PRIORITY. */
static inline void its_map_lpis(struct guest_its *gi, uint32_t device, uint32_t intid,
				unsigned count, uint32_t icid, unsigned priority)
{
	assert_int_equal(its_mapd(gi, device, 4, its_itt(gi, device % 64)), 0);
	for (unsigned i = 0; i < count; i++) {
		guest_configure(gi->guest, intid + i, priority | LPI_ON);
		assert_int_equal(its_mapti(gi, device, i, intid + i, icid), 0);
	}
}

static inline struct peal_its_counters its_counters(struct guest_its *gi)
{
	struct peal_its_counters counters;

	peal_its_counters(gi->its, &counters);
	return counters;
}

/* ---- the CPU interface ---- */

static inline uint32_t guest_acknowledge(struct guest *g, unsigned redist)
{
	return peal_gic_acknowledge(g->gic, redist, ALL_PRIORITIES, NULL);
}

static inline uint32_t guest_highest(struct guest *g, unsigned redist)
{
	return peal_gic_highest_pending(g->gic, redist, ALL_PRIORITIES, NULL);
}

static inline bool guest_is_pending(const struct guest *g, unsigned redist, uint32_t intid)
{
	return peal_gic_is_pending(g->gic, redist, intid);
}

static inline struct peal_redist_counters guest_counters(const struct guest *g, unsigned redist)
{
	struct peal_redist_counters counters;

	peal_redist_counters(g->gic, redist, &counters);
	return counters;
}

#endif
