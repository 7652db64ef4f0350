/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of the guest runtime. This is guest code: it knows where things are on this machine,
 * as firmware tells a guest, and beyond that uses loads, stores and memory only.
 *
 * guest-memory.c  guest memory for tables and drivers
 * guest-gic.c     the GIC's and the ITS's driver
 * guest-pci.c     enumeration and BARs
 * guest-irq.c     MSI-X vectors through the ITS, interrupt entry
 */
#ifndef PEAL_SRC_MACHINE_GUEST_H
#define PEAL_SRC_MACHINE_GUEST_H

#include <pthread.h>

#include <peal/bits.h>
#include <peal/machine.h>

#define GUEST_ID_BITS   14u /* LPIs 8192..16383 */
#define GUEST_LPIS      ((1u << GUEST_ID_BITS) - PEAL_GIC_FIRST_LPI)
#define GUEST_FUNCTIONS 256u
#define GUEST_PRIORITY  0xa0u

struct guest_range {
	uint64_t address;
	uint64_t size;
};

/* Who takes an LPI. Written while the LPI is not mapped. */
struct guest_handler {
	void (*handler)(void *arg);
	void *arg;
	uint64_t handled;
};

struct guest_bar {
	uint64_t size; /* 0: none */
	uint64_t address;
	bool is_io;
	bool is_wide;
};

/* What the bus scan found. */
struct guest_found {
	uint8_t devfn;
	uint16_t vendor;
	uint16_t device;
	bool placed; /* all its BARs fit */
	struct guest_bar bars[PEAL_PCI_BARS];
};

struct peal_guest {
	struct peal_machine *machine;
	enum peal_guest_mistake mistake;
	uint64_t unhandled;
	uint64_t handled;

	pthread_mutex_t lock;       /* all below */
	struct guest_range *ranges; /* allocated memory, by address */
	size_t nranges;
	size_t ranges_size;
	uint64_t touched; /* addresses from here on were never given out */

	uint64_t queue; /* ITS command queue */
	uint32_t queue_offset;
	uint64_t properties; /* LPI configuration table */
	uint64_t device_table;
	uint64_t collection_table;
	uint64_t pending_tables;
	struct guest_handler handlers[GUEST_LPIS];
	uint8_t lpi_used[GUEST_LPIS];

	uint64_t next32, next64; /* where the next BAR goes */
	struct guest_found found[GUEST_FUNCTIONS];
	unsigned nfound;
};

struct guest_vector {
	uint32_t lpi; /* 0: not set up yet */
	uint32_t event;
	unsigned vcpu;
	bool live;
};

struct peal_guest_function {
	struct peal_guest *guest;
	struct guest_found *found;
	uint8_t msix; /* position of the capability; 0: none */
	unsigned msix_bar;
	uint32_t msix_table;
	unsigned table_size;

	unsigned nvectors; /* allocated */
	unsigned nshown;   /* vectors that are still to be told of */
	struct guest_vector *vectors;
	uint64_t itt;
	uint64_t itt_size;
};

/* guest-memory.c; under the lock. */
int guest_allocate(struct peal_guest *guest, uint64_t size, uint64_t align, uint64_t *address);
void guest_free_memory(struct peal_guest *guest, uint64_t address, uint64_t size);

/* guest-gic.c */
int guest_gic_init(struct peal_guest *guest);
void guest_gic_done(struct peal_guest *guest);
/* Puts a command into the queue; guest_its_sync lets the ITS run it and waits. Under the lock. */
void guest_its_command(struct peal_guest *guest, uint64_t dw0, uint64_t dw1, uint64_t dw2);
int guest_its_sync(struct peal_guest *guest);
/* The configuration byte of an LPI. */
void guest_lpi_configure(struct peal_guest *guest, uint32_t lpi, uint8_t config);

#define ITS_MAPD(device)    (UINT64_C(0x08) | (uint64_t)(device) << 32)
#define ITS_MAPC            UINT64_C(0x09)
#define ITS_MAPTI(device)   (UINT64_C(0x0a) | (uint64_t)(device) << 32)
#define ITS_INV(device)     (UINT64_C(0x0c) | (uint64_t)(device) << 32)
#define ITS_INVALL          UINT64_C(0x0d)
#define ITS_DISCARD(device) (UINT64_C(0x0f) | (uint64_t)(device) << 32)
#define ITS_SYNC            UINT64_C(0x05)
#define ITS_COMMAND_VALID   PEAL_BIT(63)

/* guest-pci.c */
uint64_t guest_config_read(struct peal_guest *guest, uint8_t devfn, uint32_t offset, unsigned size);
void guest_config_write(struct peal_guest *guest, uint8_t devfn, uint32_t offset, unsigned size,
			uint64_t value);
void guest_scan(struct peal_guest *guest);
uint64_t guest_bar_load(struct peal_guest_function *f, unsigned bar, uint64_t offset,
			unsigned size);
void guest_bar_store(struct peal_guest_function *f, unsigned bar, uint64_t offset, unsigned size,
		     uint64_t value);

/* guest-irq.c */
void guest_irq_entry(struct peal_vcpu *vcpu, uint32_t intid, void *user);
void guest_find_msix(struct peal_guest_function *f);
int guest_irq_alloc(void *user, enum peal_irq_kind kind, unsigned count);
void guest_irq_release(void *user);
int guest_irq_setup(void *user, unsigned vector, void (*handler)(void *arg), void *arg,
		    unsigned cpu_hint);
void guest_irq_teardown(void *user, unsigned vector);

#endif
