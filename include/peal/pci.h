/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI functions: configuration space, base address registers, capabilities, MSI-X, and the bus
 * they are plugged into. PCI Local Bus 3.0, PCI Express Base 6.0.
 *
 * A device author makes a function, adds BARs with handlers and capabilities, plugs it into a bus,
 * and raises vectors. Everything else (masks, sizing, decode, pending bits, the bus master gate) is
 * the function's.
 *
 *   peal_pci_function_new → add_bar … → add_msix… → peal_pci_bus_plug → peal_msix_notify
 *
 * Threads: peal_msix_notify() from any thread, without a lock. Configuration and BAR accesses,
 * reset and the getters from any thread. Adding BARs and capabilities: before the function is
 * plugged. Free: after it was unplugged, and nobody raises any more.
 *
 * Locks: one mutex per function around its configuration registers, one around its MSI-X registers,
 * which is also held while a message is sent because of their change (unmask). Neither is held
 * while a BAR handler or peal_pci_function_ops run. Hooks of capability rows run under the first:
 * they do not touch configuration space, BARs they may. Order: bus → configuration → MSI-X → sink.
 */
#ifndef PEAL_PCI_H
#define PEAL_PCI_H

#include <peal/base.h>
#include <peal/irq.h>
#include <peal/mem.h>
#include <peal/regs.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PEAL_PCI_CONFIG_SIZE 4096u
#define PEAL_PCI_BARS        6u

struct peal_pci_function;
struct peal_pci_bus;
struct peal_msix;

/* ---- functions ---- */

/*
 * reset: the function was reset (FLR, D3hot→D0, or peal_pci_function_reset): bring the device
 * back to its first state. No message of the function is sent and no DMA is made on its behalf
 * after this returns until the driver starts again. Called without locks.
 * bus_master: Command.BusMaster changed; may be NULL. Called without locks.
 * intx_eoi: the guest ended an interrupt of the function's INTx line (peal_pci_bus_intx_eoi): lower
 * the line if its cause is gone. May be NULL.
 * state: how the device is migrated. NULL: it cannot be.
 * doorbells: where they are, always the same. NULL: there are none.
 */
struct peal_pci_state_ops;
struct peal_pci_doorbells;

struct peal_pci_function_ops {
	void (*reset)(void *user);
	void (*bus_master)(void *user, bool enabled);
	void (*intx_eoi)(void *user);
	const struct peal_pci_state_ops *state;
	void (*doorbells)(void *user, struct peal_pci_doorbells *ret);
};

/*
 * What a device has beside its function's state, for migration. One call at a time, without locks.
 *
 * stop: with STOPPED the device makes no DMA, raises no interrupt and changes nothing by itself any
 *	more on return; what it had begun is complete. Registers are accessed all the same, and what
 *	they ask for is done when it is started again.
 * size: bytes of its state, always the same.
 * save: puts SIZE of them; the device is stopped. load: takes them, while it is stopped, after the
 *	function's state was loaded (peal_pci_function_load). -EINVAL and nothing changed: not such a
 *	state, or one that does not fit the vectors in use (peal_msix_uses).
 */
struct peal_pci_state_ops {
	void (*stop)(void *user, bool stopped);
	size_t (*size)(void *user);
	void (*save)(void *user, uint8_t *bytes);
	int (*load)(void *user, const uint8_t *bytes, size_t size);
};

/*
 * Registers of a BAR that only tell the device to look: what is written does not matter. COUNT of
 * them, STRIDE bytes apart, written with SIZE bytes.
 */
struct peal_pci_doorbells {
	unsigned bar;
	uint32_t offset;
	uint32_t stride;
	uint32_t count;
	uint32_t size;
};

struct peal_pci_function_config {
	const struct peal_host *host;
	uint16_t vendor_id;
	uint16_t device_id;
	uint16_t subsystem_vendor_id;
	uint16_t subsystem_id;
	uint8_t revision_id;
	uint8_t interrupt_pin; /* 0 none, 1..4 = INTA#..INTD# */
	bool multifunction;
	bool no_messages;    /* the platform takes none: MSI and MSI-X are refused, INTx is left */
	uint32_t class_code; /* base class << 16 | sub-class << 8 | interface */
	const struct peal_pci_function_ops *ops; /* NULL: nothing to do */
	void *user;
};

/* -EINVAL: a class code past 24 bits, a pin past 4. -ENOMEM. */
PEAL_PUBLIC int peal_pci_function_new(struct peal_pci_function **ret,
				      const struct peal_pci_function_config *config);

/* NULL is fine. The function must not be plugged. */
PEAL_PUBLIC void peal_pci_function_free(struct peal_pci_function *function);

/* Reads SIZE (1, 2, 4, 8) bytes at OFFSET. Past the end: all ones. */
PEAL_PUBLIC uint64_t peal_pci_config_read(struct peal_pci_function *function, uint32_t offset,
					  unsigned size);

/* Writes as a guest would, under the masks. Past the end: nothing. */
PEAL_PUBLIC void peal_pci_config_write(struct peal_pci_function *function, uint32_t offset,
				       unsigned size, uint64_t value);

/*
 * Back to the state after power-on: registers, MSI-X, MSI, then ops->reset. The guest's own resets
 * do the same, but a Function Level Reset keeps what belongs to the link (Max_Payload_Size, Link
 * Control), and like a secondary bus reset or the way out of D3hot the sticky bits of Advanced
 * Error Reporting (PCIe 6.6.2, 7.4).
 */
PEAL_PUBLIC void peal_pci_function_reset(struct peal_pci_function *function);

/* Command.BusMaster: may the function read and write memory? */
PEAL_PUBLIC bool peal_pci_function_is_bus_master(const struct peal_pci_function *function);

/* segment << 16 | bus << 8 | device << 3 | function, as plugged. */
PEAL_PUBLIC uint32_t peal_pci_function_requester_id(const struct peal_pci_function *function);

/*
 * The space for the function's DMA. NULL while it is not plugged or may not master the bus: a
 * device asks again for every piece of work.
 */
PEAL_PUBLIC struct peal_space *peal_pci_function_dma(struct peal_pci_function *function);

/* What the function was made with; NULL: nothing. */
PEAL_PUBLIC const struct peal_pci_function_ops *
peal_pci_function_device_ops(const struct peal_pci_function *function, void **user);

/* Accesses past the end of configuration space or of a BAR. */
PEAL_PUBLIC uint64_t peal_pci_function_past_end(const struct peal_pci_function *function);

/*
 * Saves the function: registers, MSI-X and MSI with their pending bits and uses, the wish for INTx.
 * The device's own state is its own matter. BYTES has room for peal_pci_function_state_size();
 * -ENOSPC: it has not. Any time; exact when nobody raises.
 */
PEAL_PUBLIC size_t peal_pci_function_state_size(const struct peal_pci_function *function);
PEAL_PUBLIC int peal_pci_function_save(struct peal_pci_function *function, void *bytes,
				       size_t size);

/*
 * Replaces the state by one that was saved from a function made the same way. Vectors that are
 * pending and come out unmasked fire, once. SIZE is what was saved.
 * -EINVAL and nothing changed: not such a state, another version, another function, corrupt.
 */
PEAL_PUBLIC int peal_pci_function_load(struct peal_pci_function *function, const void *bytes,
				       size_t size);

/* ---- base address registers ---- */

#define PEAL_PCI_BAR_MEM32        0u
#define PEAL_PCI_BAR_IO           1u
#define PEAL_PCI_BAR_MEM64        4u /* takes the next index as well */
#define PEAL_PCI_BAR_PREFETCHABLE 8u /* memory only */

/*
 * Handlers of a BAR: SIZE is 1, 2, 4 or 8, at any alignment; OFFSET + SIZE lies in the BAR. Called
 * without locks, from any thread. The MSI-X table and PBA never reach them.
 */
struct peal_pci_bar_ops {
	uint64_t (*read)(void *user, uint64_t offset, unsigned size);
	void (*write)(void *user, uint64_t offset, unsigned size, uint64_t value);
};

/*
 * Adds BAR INDEX. OPS may be NULL for a BAR that holds only MSI-X structures: the rest reads zero.
 * -EINVAL: index past 5 (4 for 64 bits), size not a power of two, below 16 (I/O: 4), above 2 GiB
 * for 32 bits (I/O: 256). -EBUSY: the index is taken.
 */
PEAL_PUBLIC int peal_pci_function_add_bar(struct peal_pci_function *function, unsigned index,
					  unsigned flags, uint64_t size,
					  const struct peal_pci_bar_ops *ops, void *user);

/* Size of a BAR in bytes; 0: there is none, or it is the upper half of a 64-bit one. */
PEAL_PUBLIC uint64_t peal_pci_bar_size(const struct peal_pci_function *function, unsigned index);

/*
 * Accesses a BAR as its bus would, whatever the decode bits say: for buses, servers and tests.
 * SIZE is 1, 2, 4, 8. Past the end of the BAR: reads all ones, writes nothing.
 */
PEAL_PUBLIC uint64_t peal_pci_bar_read(struct peal_pci_function *function, unsigned index,
				       uint64_t offset, unsigned size);
PEAL_PUBLIC void peal_pci_bar_write(struct peal_pci_function *function, unsigned index,
				    uint64_t offset, unsigned size, uint64_t value);

/* ---- capabilities ---- */

/* The rows of the two bytes that every capability begins with: put them first. */
#define PEAL_PCI_CAPABILITY_HEADER                                                      \
	{ .offset = 0, .width = 1, .name = "Capability ID", .section = "PCI 3.0 6.7" }, \
	{                                                                               \
		.offset = 1, .width = 1, .name = "Next Capability Pointer",             \
		.section = "PCI 3.0 6.7"                                                \
	}

/*
 * Adds a capability of SIZE bytes with the given id; ROWS (static, borrowed) describe it, beginning
 * with PEAL_PCI_CAPABILITY_HEADER, and OWNER is given to their hooks. POSITION 0: the next free
 * dword-aligned place. The position goes to *RET (may be NULL).
 * -EINVAL: does not fit, overlaps, unaligned. -ENOSPC: no room, or there are PEAL_PCI_CAPABILITIES
 * already; the functions below add one each and answer the same. Nothing is changed then.
 */
#define PEAL_PCI_CAPABILITIES (PEAL_REG_GROUPS - 1) /* of both kinds, beside the header */
PEAL_PUBLIC int peal_pci_function_add_capability(struct peal_pci_function *function, uint8_t id,
						 uint8_t position, uint8_t size,
						 const struct peal_reg *rows, unsigned nrows,
						 void *owner, uint8_t *ret);

/* Sets a register's bytes as the device does, not the guest: no mask, no hook. For reset values
 * that differ between functions; they survive a reset. Before plugging. */
PEAL_PUBLIC void peal_pci_function_set_config(struct peal_pci_function *function, uint32_t offset,
					      unsigned size, uint64_t value);

/* Vendor specific (id 9): SIZE bytes, of which BYTES fills all after the two of header; read-only. */
PEAL_PUBLIC int peal_pci_function_add_vendor(struct peal_pci_function *function, const void *bytes,
					     uint8_t size, uint8_t *ret);

/*
 * Power Management: D0 and D3hot; leaving D3hot resets the function (No_Soft_Reset = 0).
 * -EBUSY: the function has it.
 */
PEAL_PUBLIC int peal_pci_function_add_power_management(struct peal_pci_function *function);

/* PCI Express endpoint (version 2) with Function Level Reset. -EBUSY: the function has it. */
PEAL_PUBLIC int peal_pci_function_add_pci_express(struct peal_pci_function *function);

/* The row of the four bytes that every extended capability begins with: put it first. */
#define PEAL_PCI_EXTENDED_HEADER                                               \
	{                                                                      \
		.offset = 0, .width = 4, .name = "Extended Capability Header", \
		.section = "PCIe 7.6.3"                                        \
	}

/*
 * Adds an extended capability of SIZE bytes, a multiple of 4, behind the others, from 0x100. ROWS
 * describe all of it, beginning with PEAL_PCI_EXTENDED_HEADER, whose value the function fills in.
 * Otherwise as add_capability.
 * -EINVAL: SIZE, or a VERSION past 15. -ENOTSUP: the function has no PCI Express capability, so no
 * extended configuration space.
 */
PEAL_PUBLIC int peal_pci_function_add_extended(struct peal_pci_function *function, uint16_t id,
					       uint8_t version, uint16_t size,
					       const struct peal_reg *rows, unsigned nrows,
					       void *owner, uint16_t *ret);

/* Advanced Error Reporting: registers for errors that the device does not make. -EBUSY: has it. */
PEAL_PUBLIC int peal_pci_function_add_aer(struct peal_pci_function *function);

/* Device serial number, an EUI-64. -EBUSY: the function has one. */
PEAL_PUBLIC int peal_pci_function_add_serial_number(struct peal_pci_function *function,
						    uint64_t number);

/* ---- MSI-X ---- */

struct peal_msix_config {
	unsigned vectors; /* 1..2048 */
	uint8_t table_bar;
	uint8_t pba_bar;
	uint32_t table_offset; /* multiple of 8 */
	uint32_t pba_offset;   /* multiple of 8 */
	uint8_t position;      /* of the capability; 0: next free */
};

/*
 * Adds MSI-X. -EINVAL with nothing changed: vectors outside 1..2048, a BAR that is not there or not
 * memory, unaligned offsets, a table or PBA that does not fit its BAR, table and PBA overlapping, a
 * position that is taken. -EBUSY: the function has MSI-X. -ENOSPC: no room for the capability.
 * -ENOTSUP: the platform takes no messages (no_messages). -ENOMEM.
 */
PEAL_PUBLIC int peal_pci_function_add_msix(struct peal_pci_function *function,
					   const struct peal_msix_config *config);

/*
 * The same with a BAR of its own at INDEX (32-bit memory): table at 0, PBA at 2048 while the table
 * ends before it, else right after the table; 4096 bytes or the next power of two that holds both.
 */
PEAL_PUBLIC int peal_pci_function_add_msix_exclusive(struct peal_pci_function *function,
						     unsigned vectors, unsigned index);

/* NULL: the function has none. */
PEAL_PUBLIC struct peal_msix *peal_pci_function_msix(struct peal_pci_function *function);

/*
 * Raises a vector. Unmasked: the message is sent, once, and the sink's answer returned (1
 * delivered, 0 blocked by the guest, -errno). Masked: the pending bit is set, 0. Not in use or out
 * of range: 0, nothing happens. Bus master off: the message is dropped and counted, 0.
 * No lock, no allocation, O(1). A message whose raise began before a mask write may still be on its
 * way when that write returns, whole and with the message of before.
 */
PEAL_PUBLIC int peal_msix_notify(struct peal_msix *msix, unsigned vector);

/* A device declares the vectors it will raise; counted. -EINVAL: no such vector. */
PEAL_PUBLIC int peal_msix_use(struct peal_msix *msix, unsigned vector);

/* The last one clears the pending bit. The vector must be in use. */
PEAL_PUBLIC void peal_msix_unuse(struct peal_msix *msix, unsigned vector);

/* Clears all uses and pending bits. */
PEAL_PUBLIC void peal_msix_unuse_all(struct peal_msix *msix);

PEAL_PUBLIC unsigned peal_msix_vectors(const struct peal_msix *msix);
PEAL_PUBLIC bool peal_msix_is_enabled(const struct peal_msix *msix);

/* Masked by its Mask bit, by Function Mask, or because MSI-X is off. */
PEAL_PUBLIC bool peal_msix_is_masked(const struct peal_msix *msix, unsigned vector);
PEAL_PUBLIC bool peal_msix_is_pending(const struct peal_msix *msix, unsigned vector);
/* Has the device declared it? */
PEAL_PUBLIC bool peal_msix_is_used(const struct peal_msix *msix, unsigned vector);

/* How often. */
PEAL_PUBLIC unsigned peal_msix_uses(const struct peal_msix *msix, unsigned vector);

/* Address and data that the vector would send now. */
PEAL_PUBLIC struct peal_msi_msg peal_msix_message(const struct peal_msix *msix, unsigned vector);

/*
 * A consumer of a function's vectors: who keeps a translation of their messages (KVM routes, VFIO,
 * passthrough). The sink gets the messages all the same.
 *
 * use: a vector was unmasked, or the message of an unmasked one changed. 0, or -errno: counted,
 *	and the vector works without the consumer. release: it was masked.
 * poll: the pending bits of FIRST..END - 1 are about to be read: raise those of them for which an
 *	interrupt was taken elsewhere (peal_msix_notify). May be NULL.
 * begin, commit: around the uses and releases of one access, or of one peal_msix_begin() bracket;
 *	not called when there are none. May be NULL.
 *
 * Called with the function's MSI-X or MSI mutex held: nothing but notify of the function.
 */
struct peal_vector_consumer {
	int (*use)(void *user, unsigned vector, const struct peal_msi_msg *msg);
	void (*release)(void *user, unsigned vector);
	void (*poll)(void *user, unsigned first, unsigned end);
	void (*begin)(void *user);
	void (*commit)(void *user);
};

/*
 * Registers a consumer (borrowed), with a use for each unmasked vector and a poll of all; NULL
 * unregisters it, with a release for each. -EBUSY: there is one. What a use answered: those before
 * it are released in reverse order and nothing is registered.
 */
PEAL_PUBLIC int peal_msix_set_consumer(struct peal_msix *msix,
				       const struct peal_vector_consumer *consumer, void *user);

/* Brackets changes of the guest, so that the consumer commits once for all. They nest. */
PEAL_PUBLIC void peal_msix_begin(struct peal_msix *msix);
PEAL_PUBLIC void peal_msix_commit(struct peal_msix *msix);

/*
 * Where raises went. raised = sent - refired + pended + merged + dropped: exact once nobody raises.
 * To that comes, with an owner, how often its deliver was called; it counts for itself.
 */
struct peal_msix_counters {
	uint64_t sent;       /* messages given to the sink */
	uint64_t refired;    /* of these or dropped: an unmask found the pending bit set */
	uint64_t pended;     /* raises that set the pending bit */
	uint64_t merged;     /* raises that found it set */
	uint64_t dropped;    /* messages that Bus Master = 0 stopped */
	uint64_t blocked;    /* messages that the sink answered with 0 */
	uint64_t failed;     /* messages that the sink answered with -errno */
	uint64_t use_failed; /* unmasks that the consumer answered with -errno */
};

/* Counters of one vector, or with PEAL_MSIX_ALL the sum. */
#define PEAL_MSIX_ALL (~0u)
PEAL_PUBLIC void peal_msix_counters(const struct peal_msix *msix, unsigned vector,
				    struct peal_msix_counters *ret);

/* Writes to the PBA, which is read-only: they change nothing. */
PEAL_PUBLIC uint64_t peal_msix_pba_writes(const struct peal_msix *msix);

/* ---- MSI ---- */

struct peal_msi;

#define PEAL_MSI_VECTORS_MAX 32u

struct peal_msi_config {
	unsigned vectors;   /* 1, 2, 4, 8, 16 or 32 */
	bool wide;          /* 64-bit addresses */
	bool maskable;      /* per-vector masking: Mask and Pending registers */
	bool extended_data; /* 32 bits of data */
	uint8_t position;   /* of the capability; 0: next free */
};

/*
 * Adds MSI. Vectors work as those of MSI-X: masked while their mask bit is set or MSI is not
 * enabled, or while MSI-X is. -EINVAL: not that many vectors, or the position is taken. -EBUSY: the
 * function has MSI. -ENOTSUP: the platform takes no messages. -ENOMEM.
 */
PEAL_PUBLIC int peal_pci_function_add_msi(struct peal_pci_function *function,
					  const struct peal_msi_config *config);

/* NULL: the function has none. */
PEAL_PUBLIC struct peal_msi *peal_pci_function_msi(struct peal_pci_function *function);

/* As peal_msix_notify(). A vector past the enabled ones is raised as vector modulo their number. */
PEAL_PUBLIC int peal_msi_notify(struct peal_msi *msi, unsigned vector);

PEAL_PUBLIC unsigned peal_msi_vectors(const struct peal_msi *msi);
/* How many vectors the guest enabled; 0: MSI is not enabled. */
PEAL_PUBLIC unsigned peal_msi_enabled(const struct peal_msi *msi);

/* These as those of MSI-X. */
PEAL_PUBLIC int peal_msi_use(struct peal_msi *msi, unsigned vector);
PEAL_PUBLIC void peal_msi_unuse(struct peal_msi *msi, unsigned vector);
PEAL_PUBLIC void peal_msi_unuse_all(struct peal_msi *msi);
PEAL_PUBLIC bool peal_msi_is_masked(const struct peal_msi *msi, unsigned vector);
PEAL_PUBLIC bool peal_msi_is_pending(const struct peal_msi *msi, unsigned vector);
PEAL_PUBLIC bool peal_msi_is_used(const struct peal_msi *msi, unsigned vector);
PEAL_PUBLIC unsigned peal_msi_uses(const struct peal_msi *msi, unsigned vector);
PEAL_PUBLIC struct peal_msi_msg peal_msi_message(const struct peal_msi *msi, unsigned vector);
PEAL_PUBLIC int peal_msi_set_consumer(struct peal_msi *msi,
				      const struct peal_vector_consumer *consumer, void *user);
PEAL_PUBLIC void peal_msi_counters(const struct peal_msi *msi, unsigned vector,
				   struct peal_msix_counters *ret);

/* ---- owners ---- */

/*
 * An owner of a function's vectors takes what they raise instead of the bus's sink, by number: VFIO,
 * where a user has a trigger for each (src/vfio/function). It opens and closes them, all are closed
 * at first; closed is masked. Of the guest's masks all count, except that the Mask bit of an MSI-X
 * table entry counts only from the guest's first write to the entry on, after the owner was set:
 * forget_masks begins anew, and so does a reset. Bus Master counts as ever.
 *
 * deliver: as that of a sink, with the same rules for who calls it.
 */
struct peal_vector_owner {
	int (*deliver)(void *user, unsigned vector);
};

/*
 * Sets the owner (borrowed). -EBUSY: there is one. NULL takes it away: the vectors are what the
 * guest made of them, and go to the sink again; a raise that began before may still be on its way
 * to the owner.
 */
PEAL_PUBLIC int peal_msix_set_owner(struct peal_msix *msix, const struct peal_vector_owner *owner,
				    void *user);
PEAL_PUBLIC int peal_msi_set_owner(struct peal_msi *msi, const struct peal_vector_owner *owner,
				   void *user);

/* By the owner; a pending vector whose last mask this was is delivered, once, before it returns. */
PEAL_PUBLIC void peal_msix_open(struct peal_msix *msix, unsigned vector, bool open);
PEAL_PUBLIC void peal_msi_open(struct peal_msi *msi, unsigned vector, bool open);

/*
 * By the owner in deliver, when it finds that it had closed the vector: a raise that was already on
 * its way is not lost but pends. Positive: it is open again, to be delivered after all; else what
 * deliver returns.
 */
PEAL_PUBLIC int peal_msix_pend(struct peal_msix *msix, unsigned vector);
PEAL_PUBLIC int peal_msi_pend(struct peal_msi *msi, unsigned vector);

/* By the owner, too. */
PEAL_PUBLIC void peal_msix_forget_masks(struct peal_msix *msix);

/* ---- INTx ---- */

/*
 * The device's wish for its level-triggered line, from any thread. The line follows it unless
 * Command.InterruptDisable is set, MSI or MSI-X is enabled, or the function has no pin or is in
 * D3hot; Status.InterruptStatus shows the wish. A reset takes the wish back.
 */
PEAL_PUBLIC void peal_pci_function_set_intx(struct peal_pci_function *function, bool asserted);

/* Does the function assert its line? */
PEAL_PUBLIC bool peal_pci_function_intx_line(struct peal_pci_function *function);

/* ---- bus ---- */

struct peal_pci_bus_config {
	const struct peal_host *host;
	uint16_t segment;
	uint8_t bus;
	struct peal_space *memory; /* where memory BARs appear: PCI address = address here */
	struct peal_space *io;     /* where I/O BARs appear; NULL: they do not decode */
	struct peal_space *dma;    /* what the functions read and write */
	struct peal_msi_sink sink; /* where their messages go; ops NULL: the platform takes none */
	/*
	 * The level of the bus's line PIN (0..3 = INTA#..INTD#, after the swizzle of device numbers)
	 * changed, or it is still asserted after an EOI. Leaf: locks of functions and the bus may be
	 * held. NULL: not connected.
	 */
	void (*intx)(void *user, unsigned pin, bool asserted);
	void *intx_user;
	/* A memory BAR decodes only when it lies in one of these; size 0: none. */
	uint64_t window32_address, window32_size;
	uint64_t window64_address, window64_size;
};

PEAL_PUBLIC int peal_pci_bus_new(struct peal_pci_bus **ret,
				 const struct peal_pci_bus_config *config);

/* NULL is fine. Nothing may be plugged. */
PEAL_PUBLIC void peal_pci_bus_free(struct peal_pci_bus *bus);

/*
 * DEVFN = device << 3 | function. -EBUSY: taken, or the function is plugged elsewhere. -ENOTSUP: it
 * has MSI or MSI-X, and the bus has no sink for messages.
 */
PEAL_PUBLIC int peal_pci_bus_plug(struct peal_pci_bus *bus, uint8_t devfn,
				  struct peal_pci_function *function);

/*
 * Takes the function off the bus, waits until no access through the bus's spaces or ECAM is in it,
 * and resets it. Not from inside a handler. Who accesses the function by itself (peal_pci_config_…,
 * peal_pci_bar_…, peal_pci_function_reset) has come to an end before. A peal_msix_notify() that
 * began before its reset may still be on its way to the bus's sink.
 */
PEAL_PUBLIC void peal_pci_bus_unplug(struct peal_pci_bus *bus, struct peal_pci_function *function);

/* The level of a line: whether any function asserts it. PIN 0..3. */
PEAL_PUBLIC bool peal_pci_bus_intx_level(struct peal_pci_bus *bus, unsigned pin);

/*
 * The interrupt controller saw the end of an interrupt of the line: functions on it may lower it
 * (ops->intx_eoi); if it is still asserted after that, intx is called again.
 */
PEAL_PUBLIC void peal_pci_bus_intx_eoi(struct peal_pci_bus *bus, unsigned pin);

/*
 * The bus's configuration space as an accessor of 1 MiB (ECAM, PCI Express §7.2.2): map it with
 * peal_space_map_ops(space, address, PEAL_PCI_ECAM_SIZE, peal_pci_bus_ecam(), bus).
 */
#define PEAL_PCI_ECAM_SIZE (UINT64_C(1) << 20)
PEAL_PUBLIC const struct peal_mem_ops *peal_pci_bus_ecam(void);

/*
 * The same for a hierarchy: USER is the root bus, and bus n stands at n << 20, found through the
 * bridges as the guest numbered them. Map as many MiB as there are buses.
 */
PEAL_PUBLIC const struct peal_mem_ops *peal_pci_host_ecam(void);

/* ---- bridges ---- */

struct peal_pci_bridge;

/*
 * A root port with a bus of its own behind it, plugged into PRIMARY at DEVFN. The guest numbers the
 * bus, opens windows and lets its functions master through the bridge's registers; until then
 * nothing behind decodes. Spaces, sink and segment are those of PRIMARY. Of CONFIG, the
 * subsystem is not used. Errors as peal_pci_function_new and peal_pci_bus_plug.
 */
PEAL_PUBLIC int peal_pci_bridge_new(struct peal_pci_bridge **ret, struct peal_pci_bus *primary,
				    uint8_t devfn, const struct peal_pci_function_config *config);

/* Unplugs and frees it; nothing may be plugged behind. NULL is fine. */
PEAL_PUBLIC void peal_pci_bridge_free(struct peal_pci_bridge *bridge);

/* The bus behind; plug functions there. */
PEAL_PUBLIC struct peal_pci_bus *peal_pci_bridge_bus(struct peal_pci_bridge *bridge);
PEAL_PUBLIC struct peal_pci_function *peal_pci_bridge_function(struct peal_pci_bridge *bridge);

/*
 * How often a guest placed a BAR over something else, or outside the windows. It does not decode,
 * until its own register, its decode bit, or the BAR in its way changes.
 */
PEAL_PUBLIC uint64_t peal_pci_bus_misplaced(const struct peal_pci_bus *bus);

#ifdef __cplusplus
}
#endif

#endif
