/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine in one process: guest memory, a PCI bus with ECAM, an ITS and redistributors, and
 * vCPUs that are threads. The guest's code is C that runs on a vCPU's thread and sees the machine
 * only as a CPU does: memory, loads and stores of device registers, interrupts.
 *
 *   0x0808_0000  ITS control frame, translation frame
 *   0x080a_0000  redistributors, 128 KiB each
 *   0x1000_0000  PCI memory window, 32 bits
 *   0x3f00_0000  ECAM of bus 0
 *   0x4000_0000  RAM
 *   0x80_0000_0000  PCI memory window, 64 bits
 *
 * Threads: functions of struct peal_machine from the thread that made it; those of struct peal_vcpu
 * on that vCPU's thread, peal_vcpu_kick from any.
 */
#ifndef PEAL_MACHINE_H
#define PEAL_MACHINE_H

#include <peal/base.h>
#include <peal/driver.h>
#include <peal/gic.h>
#include <peal/irq.h>
#include <peal/mem.h>
#include <peal/pci.h>

#ifdef __cplusplus
extern "C" {
#endif

struct peal_machine;
struct peal_vcpu;

#define PEAL_MACHINE_ITS       UINT64_C(0x08080000)
#define PEAL_MACHINE_REDISTS   UINT64_C(0x080a0000)
#define PEAL_MACHINE_WINDOW32  UINT64_C(0x10000000)
#define PEAL_MACHINE_ECAM      UINT64_C(0x3f000000)
#define PEAL_MACHINE_RAM       UINT64_C(0x40000000)
#define PEAL_MACHINE_WINDOW64  UINT64_C(0x8000000000)
#define PEAL_MACHINE_VCPUS_MAX 512u

struct peal_machine_config {
	const struct peal_host *host; /* NULL: peal_host_default() */
	uint64_t ram_size;            /* bytes, a multiple of 64 KiB */
	unsigned vcpus;               /* 1..PEAL_MACHINE_VCPUS_MAX */
	/* How long an idle vCPU looks for a kick before its thread sleeps, in microseconds. */
	unsigned spin_us;
	/* As of struct peal_its_config, with ITS_USER; NULL: no trace. */
	void (*its_trace)(void *user, const struct peal_its_trace *trace);
	void *its_user;
};

/* -EINVAL: a number out of range. -ENOMEM. Its vCPUs do not run yet. */
PEAL_PUBLIC int peal_machine_new(struct peal_machine **ret,
				 const struct peal_machine_config *config);

/* NULL is fine. Stopped, and no function plugged. */
PEAL_PUBLIC void peal_machine_free(struct peal_machine *machine);

/* Plug functions here. Borrowed. */
PEAL_PUBLIC struct peal_pci_bus *peal_machine_bus(struct peal_machine *machine);

/*
 * Starts the vCPUs; vCPU 0 runs MAIN(vcpu, USER), the others wait for interrupts. -errno of thread
 * creation, and then none runs.
 */
PEAL_PUBLIC int peal_machine_start(struct peal_machine *machine,
				   void (*main)(struct peal_vcpu *vcpu, void *user), void *user);

/* Waits at most TIMEOUT_MS for MAIN to return; true: it has. */
PEAL_PUBLIC bool peal_machine_wait(struct peal_machine *machine, unsigned timeout_ms);

/* After MAIN returned: ends the vCPUs' threads. */
PEAL_PUBLIC void peal_machine_stop(struct peal_machine *machine);

PEAL_PUBLIC struct peal_gic *peal_machine_gic(struct peal_machine *machine);
PEAL_PUBLIC struct peal_its *peal_machine_its(struct peal_machine *machine);
PEAL_PUBLIC struct peal_space *peal_machine_space(struct peal_machine *machine);
PEAL_PUBLIC const struct peal_router *peal_machine_router(const struct peal_machine *machine);
PEAL_PUBLIC struct peal_vcpu *peal_machine_vcpu(struct peal_machine *machine, unsigned index);
PEAL_PUBLIC unsigned peal_machine_vcpus(const struct peal_machine *machine);

/* ---- what the guest's code has ---- */

PEAL_PUBLIC unsigned peal_vcpu_index(const struct peal_vcpu *vcpu);

/* A load or store of a device register, SIZE 1, 2, 4, 8; reads all ones where nothing answers. */
PEAL_PUBLIC uint64_t peal_machine_load(struct peal_machine *machine, uint64_t address,
				       unsigned size);
PEAL_PUBLIC void peal_machine_store(struct peal_machine *machine, uint64_t address, unsigned size,
				    uint64_t value);

/* RAM at a guest address; the guest's code uses it as a CPU would. */
PEAL_PUBLIC void *peal_machine_ram(struct peal_machine *machine, uint64_t address, uint64_t size);
PEAL_PUBLIC uint64_t peal_machine_ram_size(const struct peal_machine *machine);

/* Where interrupts are taken: called with each LPI that the vCPU acknowledges. */
PEAL_PUBLIC void peal_machine_set_irq_entry(struct peal_machine *machine,
					    void (*entry)(struct peal_vcpu *vcpu, uint32_t intid,
							  void *user),
					    void *user);

/* Takes the interrupts that are pending now. */
PEAL_PUBLIC void peal_vcpu_take_interrupts(struct peal_vcpu *vcpu);

/* Waits until the vCPU was kicked since it last looked, and takes the interrupts. */
PEAL_PUBLIC void peal_vcpu_wait_for_interrupt(struct peal_vcpu *vcpu);

/* Makes a waiting vCPU look. */
PEAL_PUBLIC void peal_vcpu_kick(struct peal_vcpu *vcpu);

/* Waits until no vCPU is in an interrupt that it entered before. Not in an interrupt. */
PEAL_PUBLIC void peal_machine_wait_for_handlers(struct peal_machine *machine);

struct peal_vcpu_counters {
	uint64_t acknowledged; /* interrupts taken */
	uint64_t kicks;
	uint64_t sleeps; /* waits that found nothing and let the thread sleep */
};
PEAL_PUBLIC void peal_vcpu_counters(const struct peal_vcpu *vcpu, struct peal_vcpu_counters *ret);

/* ---- a small guest runtime ---- */

/*
 * Guest-side code that brings the machine up: allocates the GIC's and the ITS's tables in guest
 * memory, sets them going with real register accesses and commands, enumerates the bus through
 * ECAM and places the BARs, and gives drivers their functions, with MSI-X through the ITS.
 */
struct peal_guest;
struct peal_guest_function;

/* A step that the guest gets wrong, to see where interrupts stop. */
enum peal_guest_mistake {
	PEAL_GUEST_RIGHT,
	PEAL_GUEST_WRONG_ADDRESS,   /* MSI-X entries address nothing */
	PEAL_GUEST_WRONG_FRAME,     /* … another register of the translation frame */
	PEAL_GUEST_WRONG_EVENT,     /* MSI-X data is an event past the device's table */
	PEAL_GUEST_NEVER_UNMASKED,  /* the Mask bits of the entries stay set */
	PEAL_GUEST_FUNCTION_MASKED, /* Function Mask stays set */
	PEAL_GUEST_NO_BUS_MASTER,   /* Command.BusMaster is taken back once all is set up */
	PEAL_GUEST_LPI_DISABLED,    /* the enable bits of the LPI configuration stay 0 */
	PEAL_GUEST_NO_COLLECTION,   /* MAPC is never sent */
	PEAL_GUEST_LPIS_OFF,        /* GICR_CTLR.EnableLPIs stays 0 */
	PEAL_GUEST_ITS_OFF,         /* GITS_CTLR.Enabled stays 0 */
	PEAL_GUEST_MISTAKES,
};

/* "wrong-address", …; NULL past the end. */
PEAL_PUBLIC const char *peal_guest_mistake_name(unsigned mistake);

/*
 * Brings the machine up, on a vCPU. -ENOMEM: no guest memory or none of the host. -EIO: the GIC or
 * the ITS does not behave (a register does not read back, a command is not executed).
 */
PEAL_PUBLIC int peal_guest_new(struct peal_guest **ret, struct peal_machine *machine,
			       enum peal_guest_mistake mistake);

/* NULL is fine. Every function was given back. */
PEAL_PUBLIC void peal_guest_free(struct peal_guest *guest);

/*
 * The first function with this vendor and device id, its BARs placed and memory decode on.
 * -ENODEV: there is none. -ENOSPC: its BARs do not fit. It is the ops_user of peal_guest_driver_ops.
 */
PEAL_PUBLIC int peal_guest_find(struct peal_guest_function **ret, struct peal_guest *guest,
				uint16_t vendor, uint16_t device);
PEAL_PUBLIC void peal_guest_function_free(struct peal_guest_function *function);

/* What a driver needs, through configuration space, BARs, guest memory and the ITS only. */
PEAL_PUBLIC const struct peal_driver_ops *peal_guest_driver_ops(void);

/* Guest memory for buffers: ALIGN is a power of two. 0 and both addresses, or -ENOMEM. */
PEAL_PUBLIC int peal_guest_alloc(struct peal_guest *guest, uint64_t size, uint64_t align,
				 void **cpu, uint64_t *address);
PEAL_PUBLIC void peal_guest_release(struct peal_guest *guest, uint64_t address, uint64_t size);

/* The mistake that can only be made once the device runs (no-bus-master). */
PEAL_PUBLIC void peal_guest_make_late_mistake(struct peal_guest_function *function);

/* One interrupt vector as the guest set it up. */
struct peal_guest_vector {
	unsigned vector; /* of the function's MSI-X table */
	uint32_t event;
	uint32_t lpi;
	unsigned vcpu;
	uint64_t handled; /* interrupts whose handler ran */
};

/* Vector INDEX of the function; false: there are not so many. Also after irq_release. */
PEAL_PUBLIC bool peal_guest_vector(const struct peal_guest_function *function, unsigned index,
				   struct peal_guest_vector *ret);

/* Interrupts for which the guest had no handler. */
PEAL_PUBLIC uint64_t peal_guest_unhandled(const struct peal_guest *guest);

/* Interrupts whose handler ran, of all LPIs. */
PEAL_PUBLIC uint64_t peal_guest_handled(const struct peal_guest *guest);

/* ---- where an interrupt got lost ---- */

/* The stations of the path, in order. */
struct peal_path_counters {
	uint64_t raised;      /* by the device */
	uint64_t pended;      /* into the PBA, masked */
	uint64_t merged_pba;  /* found the pending bit set */
	uint64_t dropped;     /* Bus Master off */
	uint64_t sent;        /* messages */
	uint64_t unrouted;    /* to no controller */
	uint64_t misdirected; /* into the translation frame, not to GITS_TRANSLATER */
	uint64_t unmapped;    /* event without mapping */
	uint64_t no_collection;
	uint64_t disabled;     /* ITS or LPIs off */
	uint64_t translated;   /* reached a redistributor */
	uint64_t merged_lpi;   /* found the LPI pending */
	uint64_t silent;       /* LPI pending, disabled in its configuration */
	uint64_t acknowledged; /* by a vCPU */
	uint64_t unhandled;    /* of these: without handler */
	uint64_t handled;
	uint64_t lost; /* raised - merged_pba - merged_lpi - handled; exact once all is quiet */
};

/* GUEST is NULL while there is none. */
PEAL_PUBLIC void peal_machine_path(struct peal_machine *machine, struct peal_msix *msix,
				   const struct peal_guest *guest, struct peal_path_counters *ret);

/* One sentence that names the station where interrupts stop and what to look at; NULL: none do. */
PEAL_PUBLIC const char *peal_path_diagnose(const struct peal_path_counters *path);

#ifdef __cplusplus
}
#endif

#endif
