/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of the GIC's LPI part. Arm IHI 0069H.
 *
 *   peal_its                              peal_gic
 *   ┌───────────────────────────┐         ┌──────────────────────────────────────────────┐
 *   │ device radix → its_device │         │ lpi_config[INTID - 8192]: priority, enable   │
 *   │   chunks[event] = entry ──┼─ ICID ─▶│ redists[n]: pending bits ─▶ summary tree     │
 *   │ collections[ICID] = n ────┼────────▶│                              (best priority) │
 *   └───────────────────────────┘         └──────────────────────────────────────────────┘
 */
#ifndef PEAL_SRC_GIC_GIC_H
#define PEAL_SRC_GIC_GIC_H

#include <peal/bits.h>
#include <peal/epoch.h>
#include <peal/gic.h>
#include <peal/regs.h>

#define LPI_CONFIG_ENABLE   0x01u
#define LPI_CONFIG_PRIORITY 0xfcu
/* In the summary, both lower than the lowest priority of an LPI, 0xfc. */
#define PRIORITY_MAYBE 0xfdu /* nothing to deliver, but disabled LPIs may be pending */
#define PRIORITY_NONE  0xffu /* nothing is pending */

/* Of a table's base register: Shareability 0b11 is reserved and treated as Non-shareable. */
static inline uint64_t gic_sanitise(uint64_t value)
{
	return (value & PEAL_MASK(11, 10)) == PEAL_MASK(11, 10) ? value & ~PEAL_MASK(11, 10)
								: value;
}

/* ---- redistributors ---- */

#define REDIST_IMAGE             0x100u
#define REDIST_CTLR              0x00u
#define REDIST_CTLR_ENABLE_LPIS  0x1u
#define REDIST_TYPER             0x08u
#define REDIST_PROPBASER         0x70u
#define REDIST_PENDBASER         0x78u
#define REDIST_PENDBASER_ADDRESS PEAL_MASK(51, 16)

#define SUMMARY_LEVELS 4u

struct gic_redist {
	uint32_t lpis_enabled;
	unsigned index;
	/* One bit per INTID from 0, as in the guest's pending table, in words of the host. */
	uint64_t *pending;
	/*
	 * The summary: best[0] has a byte for each word of pending, best[n + 1] one for each 64 of
	 * best[n]; a byte is the highest priority (lowest number) of the pending enabled LPIs below
	 * it, PRIORITY_MAYBE or PRIORITY_NONE. It may promise more than there is (an LPI was taken
	 * away), never less once the send is over. The redistributor's own CPU corrects it when it
	 * looks, but only down to PRIORITY_MAYBE; who holds the GIC's mutex and takes everything
	 * away leaves PRIORITY_NONE.
	 */
	uint8_t *best[SUMMARY_LEVELS];
	struct peal_gic *gic;
	uint64_t typer;
	uint16_t processor_number;
	bool pending_table_zero; /* GICR_PENDBASER.PTZ as written last */
	/*
	 * While LPIs are on: the guest's pending table may have bits set, as some were read from it
	 * or written to it. Else it is zero, and only what is pending has to go back to it.
	 */
	bool table_stale;
	struct peal_redist_counters counters __attribute__((aligned(PEAL_CACHE_LINE)));
	uint8_t image[REDIST_IMAGE] __attribute__((aligned(8)));
	struct peal_reg_bank bank;
};

struct peal_gic {
	struct peal_epoch epoch; /* sends, of all ITSes */
	const struct peal_host *host;
	struct peal_space *memory;
	void (*kick)(void *user, unsigned redist);
	void *user;
	uint32_t id_count; /* 1 << id_bits */
	uint32_t words;    /* of pending bits */
	unsigned levels;
	bool direct_lpi;
	uint8_t *lpi_config;
	struct gic_redist *redists;
	unsigned nredists;
	uint16_t *by_processor;  /* redist indexes by ascending processor number */
	struct peal_mutex mutex; /* redistributor registers */
	uint64_t propbaser;      /* common to all; constant while any redistributor has LPIs on */
	uint32_t lpi_limit;      /* first INTID past the configuration table */
	unsigned nenabled;
	/*
	 * LPIs may be pending elsewhere than where the collection of their event points: one was
	 * unmapped or mapped to another redistributor, a MOVALL ran, a pending table was read. Who
	 * takes a pending state away looks at these redistributors then, a bit of strayed_redists
	 * each. strayed itself, the quick look, stays set until all LPIs are off.
	 */
	uint32_t strayed;
	uint64_t *strayed_redists;
};

/* gic.c: index of the redistributor with this processor number, or -1. */
int gic_find_redist(const struct peal_gic *gic, uint64_t processor_number);

/* Is INTID an LPI that the configuration table covers? */
static inline bool gic_is_lpi(const struct peal_gic *gic, uint32_t intid)
{
	return intid >= PEAL_GIC_FIRST_LPI &&
	       intid < __atomic_load_n(&gic->lpi_limit, __ATOMIC_RELAXED);
}

/* lpi.c: sets the pending bit; true: it was clear. Lock-free. INTID is below gic->id_count. */
bool gic_pend(struct gic_redist *redist, uint32_t intid);
/* Clears the pending bit; true: it was set. */
bool gic_unpend(struct gic_redist *redist, uint32_t intid);
/*
 * For commands: set the pending bit unless the redistributor's LPIs are off; take the pending state
 * away wherever it is; move it to TO, unless TO's LPIs are off. FIRST is where the collection
 * points, or NULL. They take the GIC's mutex, which keeps EnableLPIs as it is.
 */
void gic_command_pend(struct gic_redist *redist, uint32_t intid);
void gic_command_unpend(struct peal_gic *gic, struct gic_redist *first, uint32_t intid);
void gic_command_move(struct gic_redist *first, struct gic_redist *to, uint32_t intid);
/* How many it moved. */
uint32_t gic_command_move_all(struct gic_redist *from, struct gic_redist *to);
/* LPIs that are pending on REDIST may be some that do not target it. */
void gic_set_strayed(struct gic_redist *redist);
void gic_clear_strayed(struct gic_redist *redist);
static inline uint32_t gic_strayed_words(const struct peal_gic *gic)
{
	return (gic->nredists + 63) / 64;
}
/*
 * Re-reads COUNT configuration bytes from the guest's table, for INTIDs that are LPIs; all there
 * are; disables those that the table does not cover. Under the GIC's mutex.
 */
void gic_read_config(struct peal_gic *gic, uint32_t first, uint32_t count);
void gic_read_all_config(struct peal_gic *gic);
void gic_disable_past_limit(struct peal_gic *gic);
/*
 * Reads the guest's pending table into the redistributor; writes what is pending back, with the
 * table as of the load, and clears the bits. LPIs are off.
 */
void gic_load_pending(struct gic_redist *redist, uint64_t table);
void gic_store_pending(struct gic_redist *redist, uint64_t table);
/* Sets bits of a word; they are not announced yet. */
void gic_put_pending(struct gic_redist *redist, uint32_t word, uint64_t bits);
/* Clears the bits. */
void gic_drop_pending(struct gic_redist *redist);
/* Announces all that is pending and enabled. */
void gic_announce_all(struct gic_redist *redist);

/* redist.c */
extern const struct peal_reg gic_redist_rows[];
extern const unsigned gic_redist_nrows;
extern const struct peal_reg gic_id_rows[];
extern const unsigned gic_id_nrows;
#define GIC_ID_BASE 0xffd0u
#define GIC_ID_SIZE 0x30u
/* peal_gic_reset() under the GIC's mutex. */
void gic_reset(struct peal_gic *gic);
void gic_redist_init(struct gic_redist *redist, const struct peal_redist_config *config, bool last);

/* ---- ITS ---- */

#define ITS_IMAGE            0x140u
#define ITS_IIDR             0x04u
#define ITS_TYPER            0x08u
#define ITS_CBASER           0x80u
#define ITS_CWRITER          0x88u
#define ITS_CREADR           0x90u
#define ITS_BASER            0x100u
#define ITS_BASER_DEVICE     0u
#define ITS_BASER_COLLECTION 1u
#define ITS_TRANSLATER       0x40u /* in the translation frame */

#define ITS_VALID          PEAL_BIT(63)
#define ITS_BASER_INDIRECT PEAL_BIT(62)
#define ITS_ENTRY_SIZE     8u

/*
 * An event's entry: valid 63, number of its node in the collection's list 62:40, ICID 39:24, INTID
 * 23:0. One word, so a change is one store. ENTRY makes one without a node.
 */
#define ENTRY_VALID        PEAL_BIT(63)
#define ENTRY_NODES        (UINT32_C(1) << 23)
#define ENTRY(icid, intid) (ENTRY_VALID | (uint64_t)(icid) << 24 | (intid))
#define ENTRY_ICID(entry)  ((uint32_t)((entry) >> 24 & 0xffff))
#define ENTRY_INTID(entry) ((uint32_t)(entry)&0xffffff)
#define ENTRY_NODE(entry)  ((uint32_t)((entry) >> 40 & (ENTRY_NODES - 1)))
#define ENTRY_PLAIN(entry) ((entry) & (ENTRY_VALID | PEAL_MASK(39, 0)))

/*
 * Events in chunks that are allocated when the first of theirs is mapped. A device with few has
 * them right behind it: a send then waits for its device and its entry at the same time, not for
 * one after the other.
 */
#define SMALL_EVENT_BITS 6u

struct its_device {
	uint32_t id;
	uint8_t event_bits;
	uint8_t chunk_bits;
	uint32_t mapped; /* events */
	uint64_t itt;    /* guest address of the interrupt translation table */
	union {
		uint64_t entries[0]; /* event_bits <= SMALL_EVENT_BITS */
		uint64_t *chunks[0]; /* else */
	};
};

static inline bool its_is_small(const struct its_device *device)
{
	return device->event_bits <= SMALL_EVENT_BITS;
}

#define RADIX_BITS 8u
#define RADIX_SIZE (1u << RADIX_BITS)

/* Inner nodes of the radix tree over DeviceIDs; the lowest level points to devices. */
struct its_node {
	void *children[RADIX_SIZE];
	unsigned used;
};

#define COLLECTION_PAGE 256u

/* Which events a collection has (its-members.c). */
struct its_members {
	struct its_member_directory *directories[128];
	struct its_member_page *lists[256];
	uint32_t nleaves;
	uint32_t free; /* first of the free nodes */
	uint32_t count;
};

/* What sends count, apart for each slot of the epoch: threads do not share a line. */
struct its_send_counters {
	uint64_t translated;
	uint64_t unmapped;
	uint64_t no_collection;
	uint64_t disabled;
	uint64_t misdirected;
} __attribute__((aligned(PEAL_CACHE_LINE)));

struct peal_its {
	/* Read by sends. */
	struct peal_gic *gic;
	uint32_t enabled;
	unsigned depth;        /* of the radix tree */
	uint64_t device_count; /* 1 << device_bits */
	struct its_node *root;
	void (*trace)(void *user, const struct peal_its_trace *trace);
	uint32_t *collections[65536 / COLLECTION_PAGE]; /* redist index + 1; 0 is unmapped */

	/* Under the mutex. */
	struct peal_mutex mutex __attribute__((aligned(PEAL_CACHE_LINE)));
	const struct peal_host *host;
	struct peal_its_config config;
	struct peal_reg_bank bank;
	uint8_t image[ITS_IMAGE] __attribute__((aligned(8)));
	uint64_t memory;
	uint64_t ndevices;
	uint64_t nevents;
	struct its_members members;
	bool aside; /* mappings that are not in use: its_aside_new() */
	uint64_t commands;
	uint64_t errors;
	uint64_t work; /* LPIs that INVALL and MOVALL went over since its_run_queue() was called */

	struct its_send_counters counts[PEAL_EPOCH_SLOTS];
};

extern const struct peal_reg its_control_rows[];
extern const unsigned its_control_nrows;
extern const struct peal_reg its_translation_rows[];
extern const unsigned its_translation_nrows;

/* its.c: peal_its_set_register() under the mutex. */
int its_set_register(struct peal_its *its, uint64_t offset, uint64_t value);

/* its-send.c; in a section of the GIC's epoch, or under the ITS's mutex. */
struct its_device *its_find_device(struct peal_its *its, uint32_t id);
/* The place of an event's entry; NULL: out of the device's range, or nothing mapped near it. */
uint64_t *its_find_entry(struct its_device *device, uint32_t event);
/* Redistributor of a collection, or NULL. */
struct gic_redist *its_find_target(struct peal_its *its, uint32_t icid);

/* its-map.c: the host's side of mappings, under the mutex. 0 or -ENOMEM (also: over the limit). */
int its_map_device(struct peal_its *its, uint32_t id, unsigned event_bits, uint64_t itt);
void its_unmap_device(struct peal_its *its, uint32_t id);
void its_unmap_all_devices(struct peal_its *its);
int its_map_event(struct peal_its *its, struct its_device *device, uint32_t event, uint64_t entry);
int its_move_event(struct peal_its *its, uint64_t *place, uint32_t icid);
void its_unmap_event(struct peal_its *its, struct its_device *device, uint64_t *place);
int its_map_collection(struct peal_its *its, uint32_t icid, unsigned redist);
void its_unmap_collection(struct peal_its *its, uint32_t icid);
void its_unmap_all_collections(struct peal_its *its);
/* Takes the pending state of an entry's LPI away. No send of the entry may be on its way. */
void its_clear_pending(struct peal_its *its, uint64_t entry);
/* Gives ITS, which is off, the mappings of ASIDE, and ASIDE those it had. */
void its_swap_mappings(struct peal_its *its, struct peal_its *aside);

/* Zeroed memory within the limit, or NULL; and back. NULL is fine. */
void *its_allocate(struct peal_its *its, uint64_t size);
void its_release(struct peal_its *its, void *memory, uint64_t size);

/*
 * its-members.c: the lists of the collections' events, under the mutex. Adds an LPI to a list and
 * says its node; 0 or -ENOMEM.
 */
int its_member_add(struct peal_its *its, uint32_t icid, uint32_t intid, uint32_t *ret);
void its_member_remove(struct peal_its *its, uint32_t icid, uint32_t node);
uint32_t its_member_count(const struct peal_its *its, uint32_t icid);
/* Re-reads the configuration of all LPIs of a collection. Under the GIC's mutex as well. */
void its_member_read_config(struct peal_its *its, uint32_t icid);

/*
 * its-walk.c: the guest's tables as memory, under the mutex. PAGE is that of level 2; 0: flat.
 * Errors are -EFAULT: the entry is not in guest memory.
 */
struct its_table {
	struct peal_space *memory;
	uint64_t base;
	uint64_t page;
	uint64_t count; /* ids it has entries for, if all of level 1 is valid */
};

/* The table of BASER<n>; false: it is not valid. An ITT. */
bool its_table_open(struct peal_its *its, unsigned n, struct its_table *ret);
struct its_table its_table_of(struct peal_its *its, const struct its_device *device);
/*
 * Where the entry of ID < count is, and in *RUN how many from there on have the same answer: 1 at
 * *ADDRESS and behind it; 0 level 1 has no page for them.
 */
int its_table_locate(const struct its_table *table, uint64_t id, uint64_t *address, uint64_t *run);
/* The same of one entry, which is in guest memory then. */
int its_table_place(const struct its_table *table, uint64_t id, uint64_t *address);
/* Does the guest's table BASER<n> have an entry for ID in guest memory? */
bool its_table_has(struct peal_its *its, unsigned n, uint64_t id);
/* Makes the entry of what is unmapped zero, so that it is not restored; if it is in memory. */
void its_clear_saved_device(struct peal_its *its, uint32_t id);
void its_clear_saved_event(struct peal_its *its, const struct its_device *device, uint32_t event);

/*
 * Going over a table, from low ids to high ones. BUDGET is how many entries may be looked at; more
 * walks may share one.
 */
struct its_walk {
	struct its_table table;
	uint64_t present; /* an entry is there when one of these bits is set */
	uint64_t *budget;
	uint64_t address; /* WINDOW holds BYTES of guest memory from here */
	uint64_t bytes;
	uint8_t window[64 * ITS_ENTRY_SIZE];
};

struct its_found {
	uint64_t id;
	uint64_t value;
	uint64_t address;
};

void its_walk_begin(struct its_walk *walk, const struct its_table *table, uint64_t present,
		    uint64_t *budget);
/* 1 and the first entry of [from, to) that is there; 0; -EFAULT; -E2BIG: out of budget. */
int its_walk_find(struct its_walk *walk, uint64_t from, uint64_t to, struct its_found *found);

/* its-command.c: runs the queue up to CWRITER, or as much of it as is allowed in one go. */
void its_run_queue(struct peal_its *its);

#endif
