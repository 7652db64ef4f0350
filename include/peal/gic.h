/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GICv3: the LPI side of redistributors, and Interrupt Translation Services. Arm IHI 0069H.
 *
 * A struct peal_gic holds the redistributors of one VM with their LPIs; any number of struct
 * peal_its translate into it. The embedder gives guest memory, forwards the register frames, and
 * connects its CPU interface:
 *
 *   device ──(DeviceID, EventID)──▶ peal_its_send ──▶ LPI pending ──kick──▶ vCPU thread
 *                                                                            │
 *                       peal_gic_highest_pending / peal_gic_acknowledge ◀────┘
 *
 * Threads: peal_its_send(), peal_its_translate(), and register reads and writes from any thread.
 * Per redistributor, highest_pending and acknowledge from one thread at a time (its vCPU's).
 * Sending takes no lock, allocates nothing and is O(1).
 *
 * Locks: one mutex per ITS around its registers and commands, one per GIC around redistributor
 * registers. Order: ITS → GIC. The callbacks say which are held.
 */
#ifndef PEAL_GIC_H
#define PEAL_GIC_H

#include <peal/base.h>
#include <peal/irq.h>
#include <peal/mem.h>

#ifdef __cplusplus
extern "C" {
#endif

struct peal_gic;
struct peal_its;

#define PEAL_GIC_FRAME         UINT64_C(0x10000)
#define PEAL_GIC_REDIST_SIZE   (2 * PEAL_GIC_FRAME) /* RD frame, SGI frame */
#define PEAL_GIC_FIRST_LPI     8192u
#define PEAL_GIC_SPURIOUS      1023u
#define PEAL_GIC_IDLE_PRIORITY 0xffu

/* ---- the redistributors of a VM ---- */

struct peal_redist_config {
	uint16_t processor_number; /* GICR_TYPER 23:8: what RDbase says with PTA 0 */
	uint32_t affinity;         /* GICR_TYPER 63:32 */
};

struct peal_gic_config {
	const struct peal_host *host;
	struct peal_space *memory; /* the guest's: its tables and queues are in host memory there */
	unsigned id_bits;          /* INTID width, 14..24; 0: 16 */
	bool direct_lpi;           /* GICR_TYPER.DirectLPI: SETLPIR and CLRLPIR work */
	unsigned nredists;
	const struct peal_redist_config *redists; /* processor numbers are all different */
	/*
	 * An LPI became deliverable on REDIST (an index of REDISTS): wake its vCPU and let it ask
	 * for the highest pending one. Called from the thread that sent, or wrote a register; it
	 * does not block and does not call into the GIC or an ITS.
	 */
	void (*kick)(void *user, unsigned redist);
	void *user;
};

/* -EINVAL: id_bits or nredists out of range, a processor number twice. -ENOMEM. */
PEAL_PUBLIC int peal_gic_new(struct peal_gic **ret, const struct peal_gic_config *config);

/* NULL is fine. All its ITSes are freed before. */
PEAL_PUBLIC void peal_gic_free(struct peal_gic *gic);

/*
 * Every redistributor back to the state after power-on: LPIs off, none pending, guest memory as it
 * is. The ITSes are reset for themselves.
 */
PEAL_PUBLIC void peal_gic_reset(struct peal_gic *gic);

/* Registers of a redistributor, OFFSET 0..PEAL_GIC_REDIST_SIZE - 1; SIZE 1, 2, 4, 8. */
PEAL_PUBLIC uint64_t peal_redist_read(struct peal_gic *gic, unsigned redist, uint64_t offset,
				      unsigned size);
PEAL_PUBLIC void peal_redist_write(struct peal_gic *gic, unsigned redist, uint64_t offset,
				   unsigned size, uint64_t value);

/*
 * The highest-priority LPI that is pending and enabled on REDIST with a priority above (a number
 * below) MASK, the lowest INTID first among equals; PEAL_GIC_SPURIOUS when there is none. Its
 * priority goes to *PRIORITY (may be NULL). Does not change anything the guest sees.
 */
PEAL_PUBLIC uint32_t peal_gic_highest_pending(struct peal_gic *gic, unsigned redist, uint8_t mask,
					      uint8_t *priority);

/* The same, and takes its pending state away: ICC_IAR1_EL1 of an LPI. LPIs have no active state. */
PEAL_PUBLIC uint32_t peal_gic_acknowledge(struct peal_gic *gic, unsigned redist, uint8_t mask,
					  uint8_t *priority);

/* Is the LPI pending on the redistributor? False for what is no LPI. */
PEAL_PUBLIC bool peal_gic_is_pending(const struct peal_gic *gic, unsigned redist, uint32_t intid);

/*
 * Writes the pending bits of every redistributor whose LPIs are on into its pending table, where
 * turning them on finds them. LPIs stay on, and what is sent later is not in the tables: no device
 * sends and no vCPU runs when the image of memory is taken.
 * -EFAULT: an LPI is pending and its place is not in memory; the other tables are written.
 */
PEAL_PUBLIC int peal_gic_save_pending(struct peal_gic *gic);

/*
 * Takes the pending bits of every redistributor whose LPIs are on from its pending table, and
 * forgets those it had: for an embedder that restores memory after it turned LPIs on. What is not
 * in memory is not pending. Sends meanwhile get -EBUSY.
 */
PEAL_PUBLIC void peal_gic_restore_pending(struct peal_gic *gic);

/*
 * A snapshot of the redistributors: LPI registers and pending bits. Guest memory is restored
 * before; the configuration of LPIs is read from there. No vCPU runs. The ITSes have their own.
 * save: -ENOSPC: SIZE is below peal_gic_state_size(), which is constant for a GIC.
 * load: into a GIC of the same id_bits and processor numbers, in any state. -EINVAL: BYTES are not
 * its snapshot; the GIC is as it was.
 */
PEAL_PUBLIC size_t peal_gic_state_size(const struct peal_gic *gic);
PEAL_PUBLIC int peal_gic_save(struct peal_gic *gic, void *bytes, size_t size);
PEAL_PUBLIC int peal_gic_load(struct peal_gic *gic, const void *bytes, size_t size);

struct peal_redist_counters {
	uint64_t merged;       /* sends and moves that found the LPI pending already */
	uint64_t acknowledged; /* LPIs taken by the CPU interface */
	uint64_t disabled; /* sends whose LPI was disabled in its configuration: pending, silent */
};
PEAL_PUBLIC void peal_redist_counters(const struct peal_gic *gic, unsigned redist,
				      struct peal_redist_counters *ret);

/* ---- Interrupt Translation Services ---- */

/*
 * A command that failed. ERROR is the architecture's number (IHI 0069 §5.5, "ITS command error
 * encodings"), 0x01 in the upper byte. Numbers of Peal's own: 0x01 << 16 | opcode << 8 for an
 * unknown opcode; 0xff in the low byte when the host has no memory for the mapping or the limit is
 * reached; 0x0100fe for a command that cannot be read. COMMAND are the four doublewords as they
 * were read.
 */
struct peal_its_error {
	uint32_t error;
	uint64_t command[4];
	uint32_t offset; /* of the command in the queue */
};

/* What an ITS did, for who traces it. */
enum peal_its_trace_kind {
	PEAL_ITS_TRACE_COMMAND, /* ran: command, offset, error */
	PEAL_ITS_TRACE_MESSAGE, /* came: device, event, result, intid, redist */
};

#define PEAL_ITS_TRACE_NOWHERE UINT32_MAX

struct peal_its_trace {
	enum peal_its_trace_kind kind;
	uint32_t error;      /* 0: the command succeeded; else as in struct peal_its_error */
	uint64_t command[4]; /* zeros when it could not be read */
	uint32_t offset;
	uint32_t device;
	uint32_t event;
	int result;      /* of peal_its_send */
	uint32_t intid;  /* 0: the event is not mapped, or the ITS is off */
	uint32_t redist; /* index; PEAL_ITS_TRACE_NOWHERE: its collection is not mapped */
};

struct peal_its_config {
	struct peal_gic *gic;  /* borrowed; outlives the ITS */
	unsigned device_bits;  /* 1..32; 0: 16 */
	unsigned event_bits;   /* GITS_TYPER.ID_bits, 1..24; 0: 16 */
	unsigned icid_bits;    /* 1..16; 0: 16. Below 16, CIL is set */
	bool stall_on_fault;   /* an unreadable queue stalls instead of skipping the command */
	uint64_t memory_limit; /* bytes that the guest can make the ITS allocate; 0: 64 MiB */
	/* A command failed. Called with the ITS's mutex held, in the thread that ran the queue; it
	 * does not call into the ITS. NULL: only counted. */
	void (*error)(void *user, const struct peal_its_error *error);
	/* Told of every command, under the same rules, and of every message, in the thread that
	 * sends it. It does not wait and does not call into the ITS or its GIC. NULL: no trace; a
	 * send then costs one branch more. */
	void (*trace)(void *user, const struct peal_its_trace *trace);
	void *user;
};

/* -EINVAL: a width out of range. -ENOMEM. */
PEAL_PUBLIC int peal_its_new(struct peal_its **ret, const struct peal_its_config *config);

/* NULL is fine. Nobody may be sending. */
PEAL_PUBLIC void peal_its_free(struct peal_its *its);

/* Back to the state after power-on; every mapping is gone. */
PEAL_PUBLIC void peal_its_reset(struct peal_its *its);

/*
 * Registers: OFFSET 0..0x1ffff (control frame, translation frame), SIZE 1, 2, 4, 8. A write to
 * GITS_TRANSLATER here does nothing, as no DeviceID comes with it: devices send.
 * Commands run in the write of GITS_CWRITER, or of GITS_CTLR, and are done when it returns. Only
 * when INVALL and MOVALL go over more than a million LPIs, the rest is done in the next reads, as
 * a guest that waits for CREADR does them.
 */
PEAL_PUBLIC uint64_t peal_its_read(struct peal_its *its, uint64_t offset, unsigned size);
PEAL_PUBLIC void peal_its_write(struct peal_its *its, uint64_t offset, unsigned size,
				uint64_t value);

/*
 * A device writes EVENT to GITS_TRANSLATER. 1: the LPI is pending (or was). 0: the guest has not
 * mapped the event, or not its collection. -EBUSY: the ITS is off, or the target's LPIs are.
 */
PEAL_PUBLIC int peal_its_send(struct peal_its *its, uint32_t device, uint32_t event);

struct peal_its_translation {
	uint32_t intid;
	uint32_t icid;
	unsigned redist; /* index, not processor number */
};

/* 1 and *RET: where the event would go; 0: not mapped (as for send). */
PEAL_PUBLIC int peal_its_translate(struct peal_its *its, uint32_t device, uint32_t event,
				   struct peal_its_translation *ret);

/*
 * The ITS as a message sink: the translation frame stands at ADDRESS in the devices' view. The
 * message's data is the EventID, its requester id the DeviceID. Valid as long as SINK is.
 */
struct peal_its_sink {
	struct peal_its *its;
	uint64_t address;
};
PEAL_PUBLIC struct peal_msi_sink peal_its_sink(struct peal_its_sink *sink);

struct peal_its_counters {
	uint64_t sends;         /* accepted or not */
	uint64_t translated;    /* of these: reached a redistributor */
	uint64_t unmapped;      /* device or event without mapping */
	uint64_t no_collection; /* event mapped, its collection not */
	uint64_t disabled;      /* ITS or the target's LPIs off */
	uint64_t misdirected;   /* writes into the translation frame beside GITS_TRANSLATER */
	uint64_t commands;      /* executed */
	uint64_t errors;        /* failed, or could not be read and were not executed */
	uint64_t devices;       /* mapped now */
	uint64_t events;        /* mapped now */
	uint64_t memory;        /* bytes allocated now on the guest's behalf */
};
PEAL_PUBLIC void peal_its_counters(struct peal_its *its, struct peal_its_counters *ret);

/* ---- saving and restoring an ITS ---- */

/*
 * Into the guest's tables, in revision 0 of the format that Linux documents for KVM: an image can
 * go from one to the other. The order to save in is: of each ITS the registers, CREADR last, and
 * then the tables, with no access between; the pending tables; guest memory. The order to restore
 * in is: guest memory; the redistributors with
 * peal_redist_write(), GICR_CTLR last; then of each ITS CBASER, the other registers, the tables,
 * CTLR last, with the functions here.
 *
 * save: in any state of the ITS, from any thread. Commands wait, sends do not. Writes go to the
 * space's dirty log. -EFAULT: an entry is not in guest memory: an ITT, a page of level 2, or the
 * collection of an event is outside its table. -EINVAL: two devices share a part of their ITTs.
 * -E2BIG: the tables are so sparse that going over them would take too long. -ENOMEM. The ITS goes
 * on after each of them; the tables are incomplete then.
 */
PEAL_PUBLIC int peal_its_save_tables(struct peal_its *its);

/*
 * What is in the tables replaces what is mapped; pending states stay as they are. -EBUSY: the ITS
 * is enabled. -EINVAL: the tables hold what no save wrote (see there, and its-tables.c). -ENOMEM:
 * also when it would be more than memory_limit. In all three the ITS is as it was.
 */
PEAL_PUBLIC int peal_its_restore_tables(struct peal_its *its);

/*
 * Sets a register as the host: the whole of it, at its OFFSET. GITS_CREADR, while the ITS is off,
 * and GITS_IIDR can be set so, too; else it is what the guest's write does. Enabling runs the
 * commands from CREADR to CWRITER, as the guest's write does.
 * -EBUSY: CBASER, CREADR and BASER<n>, while the ITS is on. -ENXIO: no such register. -EINVAL: a
 * CREADR or CWRITER beyond the queue; an IIDR whose Revision, that of the table format, is not 0
 * (the other fields do not matter); a TYPER other than the ITS's; a BASER<n> with another type or
 * size of entries; enabling without valid CBASER, BASER0, BASER1.
 */
PEAL_PUBLIC int peal_its_set_register(struct peal_its *its, uint64_t offset, uint64_t value);

/*
 * A snapshot that needs nothing of the guest's tables. Commands wait, sends go on while saving and
 * get -EBUSY while loading.
 * save: -ENOSPC: SIZE is below peal_its_state_size(), which grows with what is mapped.
 * load: into an ITS of the same widths, in any state; the GIC was loaded before. Bytes behind the
 * snapshot do not matter. -EINVAL: BYTES are no snapshot of such an ITS. -ENOMEM: also when it
 * would be more than memory_limit. In both the ITS is as it was.
 */
PEAL_PUBLIC size_t peal_its_state_size(struct peal_its *its);
PEAL_PUBLIC int peal_its_save(struct peal_its *its, void *bytes, size_t size);
PEAL_PUBLIC int peal_its_load(struct peal_its *its, const void *bytes, size_t size);

#ifdef __cplusplus
}
#endif

#endif
