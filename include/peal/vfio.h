/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VFIO: the interrupts of a device as its user sees them (VFIO_DEVICE_SET_IRQS), and the device
 * itself as an interface that a kernel device, a vfio-user client and a function of this process
 * (<peal/vfio-function.h>) have in common. The values are those of uapi linux/vfio.h.
 *
 * An irqset is the state machine between what raises interrupts (its source) and the event
 * descriptors that a user wants signalled (its triggers). It has no transport and no system of its
 * own: descriptors are behind struct peal_trigger_ops, for POSIX programs peal_eventfds.
 *
 *   device ──raise──▶ source ──peal_irqset_raise(index, vector)──▶ trigger ──signal──▶ user
 *                      ▲ enable, open, close, disable                  ▲
 *                      └───────────── peal_irqset_set() ◀──────────────┘ descriptors
 *
 * Threads: peal_irqset_raise(), peal_irqset_set_intx_line(), peal_irqset_set_intx_disable(),
 * peal_irqset_intx_arrived() and the getters from any thread, without a lock. peal_irqset_set()
 * and peal_irqset_set_message() from any thread; one at a time gets in. Free: when nobody raises
 * any more.
 *
 * Locks: one mutex per irqset around changes. It is held while the source's and the triggers' ops
 * run, except signal, which is called without it and with whatever the caller of raise holds.
 */
#ifndef PEAL_VFIO_H
#define PEAL_VFIO_H

#include <peal/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- constants of linux/vfio.h ---- */

#define PEAL_VFIO_DEVICE_RESET 0x1u /* the device can be reset */
#define PEAL_VFIO_DEVICE_PCI   0x2u

#define PEAL_VFIO_REGION_BAR0   0u /* to 5: the BARs */
#define PEAL_VFIO_REGION_ROM    6u
#define PEAL_VFIO_REGION_CONFIG 7u
#define PEAL_VFIO_REGION_VGA    8u
#define PEAL_VFIO_REGIONS       9u

#define PEAL_VFIO_REGION_READ  0x1u
#define PEAL_VFIO_REGION_WRITE 0x2u
#define PEAL_VFIO_REGION_MMAP  0x4u
#define PEAL_VFIO_REGION_CAPS  0x8u

#define PEAL_VFIO_IRQ_INTX 0u
#define PEAL_VFIO_IRQ_MSI  1u
#define PEAL_VFIO_IRQ_MSIX 2u
#define PEAL_VFIO_IRQ_ERR  3u
#define PEAL_VFIO_IRQ_REQ  4u
#define PEAL_VFIO_IRQS     5u
#define PEAL_VFIO_IRQ_NONE (~0u) /* no index is active */

#define PEAL_VFIO_IRQ_EVENTFD    0x1u
#define PEAL_VFIO_IRQ_MASKABLE   0x2u
#define PEAL_VFIO_IRQ_AUTOMASKED 0x4u
#define PEAL_VFIO_IRQ_NORESIZE   0x8u

/* Flags of a request: one DATA and one ACTION. */
#define PEAL_VFIO_DATA_NONE      0x01u
#define PEAL_VFIO_DATA_BOOL      0x02u /* a byte for each vector */
#define PEAL_VFIO_DATA_EVENTFD   0x04u /* an int32_t for each vector, -1: none */
#define PEAL_VFIO_DATA           0x07u
#define PEAL_VFIO_ACTION_MASK    0x08u
#define PEAL_VFIO_ACTION_UNMASK  0x10u
#define PEAL_VFIO_ACTION_TRIGGER 0x20u
#define PEAL_VFIO_ACTION         0x38u

/* VFIO_DEVICE_FEATURE: an index, and what to do with it. */
#define PEAL_VFIO_FEATURE_MIGRATION          1u
#define PEAL_VFIO_FEATURE_MIG_DEVICE_STATE   2u
#define PEAL_VFIO_FEATURE_DMA_LOGGING_START  6u
#define PEAL_VFIO_FEATURE_DMA_LOGGING_STOP   7u
#define PEAL_VFIO_FEATURE_DMA_LOGGING_REPORT 8u
#define PEAL_VFIO_FEATURE_GET                0x10000u
#define PEAL_VFIO_FEATURE_SET                0x20000u

#define PEAL_VFIO_MIGRATION_STOP_COPY 0x1u
#define PEAL_VFIO_MIGRATION_P2P       0x2u
#define PEAL_VFIO_MIGRATION_PRE_COPY  0x4u

/* enum vfio_device_mig_state. The P2P states are not supported. */
enum peal_vfio_mig_state {
	PEAL_VFIO_MIG_ERROR = 0,
	PEAL_VFIO_MIG_STOP = 1,
	PEAL_VFIO_MIG_RUNNING = 2,
	PEAL_VFIO_MIG_STOP_COPY = 3,
	PEAL_VFIO_MIG_RESUMING = 4,
	PEAL_VFIO_MIG_RUNNING_P2P = 5,
	PEAL_VFIO_MIG_PRE_COPY = 6,
	PEAL_VFIO_MIG_PRE_COPY_P2P = 7,
};

#define PEAL_VFIO_IRQ_REQUEST_SIZE 20u /* argsz of a request without payload */

#define PEAL_VFIO_DMA_READ  0x1u /* the device may read; as PEAL_MEM_READ */
#define PEAL_VFIO_DMA_WRITE 0x2u

/* ---- irqset: what it is connected to ---- */

/* Who signalled a trigger has left it. 1. */
static inline int peal_trigger_leave(uint64_t *left)
{
	(void)__atomic_fetch_add(left, 1, __ATOMIC_RELEASE);
	return 1;
}

/*
 * Event descriptors. FD is the user's number and stays the user's: get and watch take a reference
 * of their own. A trigger is never 0 (NULL).
 *
 * get: 0 and a trigger in *RET; -EBADF: not open; -EINVAL: not an event descriptor; -errno.
 * put: gives it back; nobody signals it any more.
 * signal: adds one event, and then, as the last it does, returns peal_trigger_leave(LEFT): until
 *	then the trigger is not given back. Hot path: from any thread, any number at once, with locks
 *	of the device's function held: it does not block. (That signal leaves, not who calls it, makes
 *	the calls from a device's raise to here jumps: behind a system call a processor that mitigates
 *	speculation predicts no return, and each costs more than all that is done on the way.)
 * unblock: SIGNAL of this trigger may be held up by whom it is for: then it comes out. From any
 *	thread, with no lock; what the user has not seen yet is not taken from him. NULL: never is.
 * watch: calls FIRE(ARGUMENT, false) whenever FD was signalled, also before the call, and takes the
 *	signal; FIRE(ARGUMENT, true) when its last descriptor was closed, if that can be known.
 *	Errors as get. NULL: -ENOTSUP for unmask watchers. FIRE may be called in any thread, also from
 *	inside watch, unwatch and flush, several at once, and takes no lock that these are called with.
 * unwatch: a signal that was made before is still taken; FIRE is not called any more on return.
 * flush: signals that were made before have been taken on return, and who FIRE was called for before
 *	has come out of it. NULL: for unmask watchers alone.
 * create: a new descriptor of events, or -errno; destroy closes it. NULL: none can be made.
 * bypass_add: offers the trigger of a vector to whoever can deliver without it (KVM irqfd): a
 *	producer {TRIGGER, INDEX, VECTOR}. A refusal (-errno) is counted and not an error.
 *	bypass_remove: before the vector or its trigger goes; not after a refusal. NULL: nobody.
 */
struct peal_trigger_ops {
	int (*get)(void *user, int fd, void **ret);
	void (*put)(void *user, void *trigger);
	int (*signal)(void *user, void *trigger, uint64_t *left);
	void (*unblock)(void *user, void *trigger);
	int (*watch)(void *user, int fd, void (*fire)(void *argument, bool closed), void *argument,
		     void **ret);
	void (*unwatch)(void *user, void *watcher);
	void (*flush)(void *user, void *watcher);
	int (*bypass_add)(void *user, void *trigger, unsigned index, unsigned vector);
	void (*bypass_remove)(void *user, void *trigger, unsigned index, unsigned vector);
	int (*create)(void *user);
	void (*destroy)(void *user, int fd);
};

/*
 * What raises interrupts: the function of this process, or a device of the host. Indexes are INTX,
 * MSI and MSIX; those of one device exclude each other.
 *
 * enable: allocates vectors 0..COUNT-1 of the index and turns it on, each vector closed. 0;
 *	positive, less than COUNT: so many there are, and nothing stays allocated; -errno.
 * disable: all vectors are closed already; turns the index off, frees what enable and allocate
 *	allocated, and restores what INTx needs.
 * allocate: one more vector of an enabled MSIX index, closed (dynamic MSI-X); freed by disable. Of
 *	MSI, too, with PEAL_IRQSET_DYNAMIC_MSI. NULL: cannot be; then neither flag is set.
 * open: from now on the vector's interrupts reach peal_irqset_raise(); one that came while it was
 *	closed and is still pending comes now. The vector's message is written again if a reset may
 *	have cleared it. -errno: it stays closed. Not called for INTX.
 * close: they do not. One that is on its way may still arrive.
 * decode: turns decoding of memory on or off around the programming of vectors and returns what it
 *	was. NULL: not needed.
 * intx_asserted: does the device assert its line (PCI 2.3 Interrupt Status)? For handlers that
 *	share a line, see peal_irqset_intx_arrived(). NULL: the line is the device's own.
 * intx_mask: masks the line at the device or, without Interrupt Disable, at the controller; any
 *	thread, one call at a time, no lock held that peal_irqset_intx_arrived() may be called with.
 *	NULL: the line is level (peal_irqset_set_intx_line) and needs no mask.
 */
struct peal_irq_source_ops {
	int (*enable)(void *user, unsigned index, unsigned count);
	void (*disable)(void *user, unsigned index);
	int (*allocate)(void *user, unsigned index, unsigned vector);
	int (*open)(void *user, unsigned index, unsigned vector);
	void (*close)(void *user, unsigned index, unsigned vector);
	bool (*decode)(void *user, bool on);
	bool (*intx_asserted)(void *user);
	void (*intx_mask)(void *user, bool mask);
};

/* ---- irqset ---- */

struct peal_irqset;

/* Answers of an older kernel. */
enum peal_irqset_compat {
	PEAL_IRQSET_LINUX_7_0 = 0,
	PEAL_IRQSET_LINUX_5_14,
	PEAL_IRQSET_LINUX_4_6, /* its unchecked sums answer as they did, and harm nobody */
};

#define PEAL_IRQSET_DYNAMIC 0x1u /* MSI-X vectors can be added while it is enabled */
/*
 * So can MSI vectors. No kernel does that, but a vfio-user client may enable more vectors than a
 * message has descriptors: QEMU enables 32 by two messages of 16.
 */
#define PEAL_IRQSET_DYNAMIC_MSI 0x2u

struct peal_irqset_config {
	const struct peal_host *host;
	const struct peal_irq_source_ops *source;
	void *source_user;
	const struct peal_trigger_ops *triggers;
	void *triggers_user;
	/*
	 * Vectors of each index: INTX 0 or 1, MSI 0..32, MSIX 0..2048, ERR 0 or 1 (1 on a PCI Express
	 * function), REQ 0 or 1.
	 */
	unsigned count[PEAL_VFIO_IRQS];
	unsigned flags;
	enum peal_irqset_compat compat;
};

/* -EINVAL: a count beyond its limit, a flag without allocate. -ENOMEM, or of the host's mutex. */
PEAL_PUBLIC int peal_irqset_new(struct peal_irqset **ret, const struct peal_irqset_config *config);

/* Disables everything first. NULL is fine. */
PEAL_PUBLIC void peal_irqset_free(struct peal_irqset *irqset);

struct peal_vfio_irq_info {
	uint32_t flags;
	uint32_t count;
};

/* -EINVAL: no such index, or ERR of a function that is not PCI Express. */
PEAL_PUBLIC int peal_irqset_info(const struct peal_irqset *irqset, unsigned index,
				 struct peal_vfio_irq_info *ret);

/* struct vfio_irq_set without its payload. ARGSZ: the 20 bytes and the payload. */
struct peal_irqset_request {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t start;
	uint32_t count;
};

/*
 * VFIO_DEVICE_SET_IRQS. DATA is the payload, of which SIZE bytes are there (NULL, 0: none). 0, or:
 *
 * positive: the host has fewer vectors than asked for, so many; nothing is enabled.
 * -EINVAL: the request does not hold together, is out of the index's range, or does not fit the
 *	state (uapi linux/vfio.h); another of INTx, MSI and MSI-X is active; not an event descriptor.
 * -ENOTTY: no such action for this index, or not exactly one. -EBADF: a descriptor is not open.
 * -EBUSY: there is an unmask watcher. -ENODEV: no INTx. -ERANGE: MSI or MSI-X enabled with no vectors.
 * -errno of source and triggers. docs/vfio-conformance.md has every answer beside the kernel's.
 *
 * A request that fails its checks changes nothing. A block of MSI or MSI-X triggers that fails at
 * vector k has dropped the triggers of its vectors start..k; if it was to enable the index, the
 * index is disabled again. Descriptors stay the caller's.
 */
PEAL_PUBLIC int peal_irqset_set(struct peal_irqset *irqset,
				const struct peal_irqset_request *request, const void *data,
				size_t size);

/*
 * The same as a vfio-user message has it: descriptors (FDS, NFDS of them, borrowed) come beside the
 * payload and cannot be -1. EVENTFD without descriptors means -1 for each vector of the range: it
 * takes their triggers away (removes the unmask watcher), and while no index is active enables
 * INDEX with those vectors untriggered. Additional -EINVAL: descriptors without EVENTFD, or neither
 * none nor COUNT of them.
 */
PEAL_PUBLIC int peal_irqset_set_message(struct peal_irqset *irqset,
					const struct peal_irqset_request *request, const void *data,
					size_t size, const int *fds, unsigned nfds);

/* The user is gone: everything is disabled, each trigger and watcher given back. */
PEAL_PUBLIC void peal_irqset_disable(struct peal_irqset *irqset);

/*
 * Whoever is held up in a trigger by its user comes out (struct peal_trigger_ops, unblock). Takes no
 * lock; each call looks at all vectors. A trigger that is taken away needs no such call.
 */
PEAL_PUBLIC void peal_irqset_unblock(struct peal_irqset *irqset);

/*
 * An interrupt of MSI, MSIX, ERR or REQ: signals the vector's trigger. 1: signalled; 0: it has none
 * (counted), or there is no such vector. No lock, no allocation, O(1).
 */
PEAL_PUBLIC int peal_irqset_raise(struct peal_irqset *irqset, unsigned index, unsigned vector);

/*
 * The level of the INTx line. While INTx is enabled, has a trigger and is masked neither by its
 * user nor by Interrupt Disable, an asserted line masks it and signals, once.
 */
PEAL_PUBLIC void peal_irqset_set_intx_line(struct peal_irqset *irqset, bool asserted);

/* The virtual mask: Command.InterruptDisable of what the user sees. It also stops loopback. */
PEAL_PUBLIC void peal_irqset_set_intx_disable(struct peal_irqset *irqset, bool disabled);

/*
 * For the interrupt handler of a host device, whose line is not seen as a level: an interrupt came.
 * False: the device does not assert its line, the interrupt is another's.
 */
PEAL_PUBLIC bool peal_irqset_intx_arrived(struct peal_irqset *irqset);

/* INTX, MSI, MSIX, or PEAL_VFIO_IRQ_NONE. */
PEAL_PUBLIC unsigned peal_irqset_active(const struct peal_irqset *irqset);

/* What Multiple Message Enable is limited to while MSI is active: log2 of the enabled vectors,
 * rounded up; else log2 of all. */
PEAL_PUBLIC unsigned peal_irqset_msi_limit(const struct peal_irqset *irqset);

/* Has the vector a trigger? */
PEAL_PUBLIC bool peal_irqset_has_trigger(const struct peal_irqset *irqset, unsigned index,
					 unsigned vector);

/* Is INTx masked by its user or by its last signal? */
PEAL_PUBLIC bool peal_irqset_intx_is_masked(const struct peal_irqset *irqset);

struct peal_irqset_counters {
	/* Of the vector. */
	uint64_t signalled; /* loopback included */
	uint64_t missed;    /* interrupts that found no trigger */
	/* Of the irqset. */
	uint64_t refused;        /* requests that were answered with an error */
	uint64_t bypass_refused; /* triggers that the bypass consumer did not want */
};

/* The vector must be there. */
PEAL_PUBLIC void peal_irqset_counters(const struct peal_irqset *irqset, unsigned index,
				      unsigned vector, struct peal_irqset_counters *ret);

/* ---- eventfds as triggers; hosted ---- */

/*
 * Triggers and watchers that are eventfds of Linux. A thread of its own waits for the watchers; it
 * is started with the first one. One object serves any number of irqsets.
 *
 * A limit: a signal is a write to a descriptor that its user has, too. Linux cannot be asked to write
 * to it without blocking but by O_NONBLOCK, which the user can clear again, and fill the counter: who
 * raises then waits until the user reads, or goes, or takes the trigger away (see unblock). So a
 * thread that raises for devices of several users is one that each of them can hold up.
 */
struct peal_eventfds;

/* -ENOMEM. */
PEAL_PUBLIC int peal_eventfds_new(struct peal_eventfds **ret);

/* NULL is fine. All triggers and watchers were given back. */
PEAL_PUBLIC void peal_eventfds_free(struct peal_eventfds *eventfds);

/* For struct peal_irqset_config, with the object as triggers_user. No bypass. */
PEAL_PUBLIC const struct peal_trigger_ops *peal_eventfds_ops(void);

/* ---- device ---- */

struct peal_vfio_device_info {
	uint32_t flags;
	uint32_t num_regions;
	uint32_t num_irqs;
};

#define PEAL_VFIO_AREAS 16u

struct peal_vfio_area {
	uint64_t offset;
	uint64_t size;
};

/* Size 0: the region is not there. With MMAP: the areas that can be mapped, sorted; none: all. */
struct peal_vfio_region_info {
	uint64_t size;
	uint32_t flags;
	uint32_t nareas;
	struct peal_vfio_area areas[PEAL_VFIO_AREAS];
};

/*
 * Memory for the device's DMA at IOVA. MEMORY is where it is in this process (borrowed until it is
 * unmapped); FD and OFFSET where it is in a file, for a device of another process; -1: in none.
 */
struct peal_vfio_dma {
	uint64_t iova;
	uint64_t size;
	uint32_t flags;
	int fd;
	uint64_t offset;
	void *memory;
};

/* Addresses that the device's writes are logged of. */
struct peal_vfio_range {
	uint64_t iova;
	uint64_t size;
};

/* An event descriptor that stands for writes of a register. */
#define PEAL_VFIO_IO_DATAMATCH 0x1u /* only of the value DATAMATCH; as KVM_IOEVENTFD_FLAG_… */
#define PEAL_VFIO_IO_PIO       0x2u

struct peal_vfio_io_fd {
	uint64_t offset; /* in the region */
	uint64_t size;   /* of the write; 0: any */
	uint64_t datamatch;
	uint32_t flags;
	int fd;
};

struct peal_vfio_device;

/*
 * Any op may be NULL: -ENOTSUP. 0 or -errno, from any thread; see the functions below.
 */
struct peal_vfio_device_ops {
	int (*get_info)(struct peal_vfio_device *device, struct peal_vfio_device_info *ret);
	int (*region_info)(struct peal_vfio_device *device, unsigned index,
			   struct peal_vfio_region_info *ret);
	int (*region_read)(struct peal_vfio_device *device, unsigned index, uint64_t offset,
			   void *bytes, size_t size);
	int (*region_write)(struct peal_vfio_device *device, unsigned index, uint64_t offset,
			    const void *bytes, size_t size);
	int (*region_map)(struct peal_vfio_device *device, unsigned index, uint64_t offset,
			  uint64_t size, unsigned flags, void **ret);
	void (*region_unmap)(struct peal_vfio_device *device, void *memory, uint64_t size);
	int (*irq_info)(struct peal_vfio_device *device, unsigned index,
			struct peal_vfio_irq_info *ret);
	int (*set_irqs)(struct peal_vfio_device *device, const struct peal_irqset_request *request,
			const void *data, size_t size);
	int (*reset)(struct peal_vfio_device *device);
	int (*dma_map)(struct peal_vfio_device *device, const struct peal_vfio_dma *dma);
	int (*dma_unmap)(struct peal_vfio_device *device, uint64_t iova, uint64_t size);
	void (*free)(struct peal_vfio_device *device);
	/*
	 * For a server: the file (borrowed) and the offset in it of a region with MMAP. The client gets
	 * the file, all of it, and can truncate one that is not sealed (F_SEAL_SHRINK); the page of an
	 * MSI-X table lies in none.
	 */
	int (*region_fd)(struct peal_vfio_device *device, unsigned index, int *fd,
			 uint64_t *offset);
	/* Migration. These and the log: NULL is -ENOTTY. */
	int (*feature_probe)(struct peal_vfio_device *device, uint32_t flags);
	int (*migration_flags)(struct peal_vfio_device *device, uint64_t *ret);
	int (*mig_get_state)(struct peal_vfio_device *device, uint32_t *ret);
	int (*mig_set_state)(struct peal_vfio_device *device, uint32_t state);
	int (*mig_read)(struct peal_vfio_device *device, void *bytes, size_t size, size_t *done);
	int (*mig_write)(struct peal_vfio_device *device, const void *bytes, size_t size);
	/* The log of DMA. */
	int (*dma_log_start)(struct peal_vfio_device *device, uint64_t *page_size,
			     const struct peal_vfio_range *ranges, uint32_t count);
	int (*dma_log_stop)(struct peal_vfio_device *device);
	int (*dma_log_report)(struct peal_vfio_device *device, const struct peal_vfio_range *range,
			      uint64_t page_size, uint64_t *bitmap);
	/* Event descriptors for registers. */
	int (*io_fds)(struct peal_vfio_device *device, unsigned index, struct peal_vfio_io_fd *list,
		      unsigned room, unsigned *count);
	void (*io_release)(struct peal_vfio_device *device);
};

/* The first member of who implements it. */
struct peal_vfio_device {
	const struct peal_vfio_device_ops *ops;
};

static inline int peal_vfio_get_info(struct peal_vfio_device *device,
				     struct peal_vfio_device_info *ret)
{
	return device->ops->get_info ? device->ops->get_info(device, ret) : -ENOTSUP;
}

/* -EINVAL: no such index. */
static inline int peal_vfio_region_info(struct peal_vfio_device *device, unsigned index,
					struct peal_vfio_region_info *ret)
{
	return device->ops->region_info ? device->ops->region_info(device, index, ret) : -ENOTSUP;
}

/*
 * Reads SIZE bytes of a region: 1, 2, 4 or 8 bytes in one access, more in naturally aligned pieces.
 * -EINVAL: no such region, or not in it.
 */
static inline int peal_vfio_region_read(struct peal_vfio_device *device, unsigned index,
					uint64_t offset, void *bytes, size_t size)
{
	return device->ops->region_read
		       ? device->ops->region_read(device, index, offset, bytes, size)
		       : -ENOTSUP;
}

static inline int peal_vfio_region_write(struct peal_vfio_device *device, unsigned index,
					 uint64_t offset, const void *bytes, size_t size)
{
	return device->ops->region_write
		       ? device->ops->region_write(device, index, offset, bytes, size)
		       : -ENOTSUP;
}

/* Maps a part of a region that can be (FLAGS: REGION_READ, REGION_WRITE). -ENOTSUP: it cannot. */
static inline int peal_vfio_region_map(struct peal_vfio_device *device, unsigned index,
				       uint64_t offset, uint64_t size, unsigned flags, void **ret)
{
	return device->ops->region_map
		       ? device->ops->region_map(device, index, offset, size, flags, ret)
		       : -ENOTSUP;
}

/* What region_map gave, with the size that was asked for. */
static inline void peal_vfio_region_unmap(struct peal_vfio_device *device, void *memory,
					  uint64_t size)
{
	if (device->ops->region_unmap)
		device->ops->region_unmap(device, memory, size);
}

/* As peal_irqset_info(). */
static inline int peal_vfio_irq_info(struct peal_vfio_device *device, unsigned index,
				     struct peal_vfio_irq_info *ret)
{
	return device->ops->irq_info ? device->ops->irq_info(device, index, ret) : -ENOTSUP;
}

/* As peal_irqset_set(). */
static inline int peal_vfio_set_irqs(struct peal_vfio_device *device,
				     const struct peal_irqset_request *request, const void *data,
				     size_t size)
{
	return device->ops->set_irqs ? device->ops->set_irqs(device, request, data, size)
				     : -ENOTSUP;
}

/* VFIO_DEVICE_RESET: the function is as after power-on; interrupts that are enabled stay so. */
static inline int peal_vfio_reset(struct peal_vfio_device *device)
{
	return device->ops->reset ? device->ops->reset(device) : -ENOTSUP;
}

/* -EINVAL: empty, wraps, no flag. -EEXIST: overlaps a range. -ENOSPC: too many. -ENOMEM. */
static inline int peal_vfio_dma_map(struct peal_vfio_device *device,
				    const struct peal_vfio_dma *dma)
{
	return device->ops->dma_map ? device->ops->dma_map(device, dma) : -ENOTSUP;
}

/* Exactly a range that was mapped; the device does not use it any more on return. -ENOENT. */
static inline int peal_vfio_dma_unmap(struct peal_vfio_device *device, uint64_t iova, uint64_t size)
{
	return device->ops->dma_unmap ? device->ops->dma_unmap(device, iova, size) : -ENOTSUP;
}

/* ---- migration (VFIO_DEVICE_FEATURE of uapi linux/vfio.h) ---- */

/*
 * Is a feature there, and, with FEATURE_GET or _SET beside the index, can it be got and set?
 * -ENOTTY: no.
 */
static inline int peal_vfio_feature_probe(struct peal_vfio_device *device, uint32_t flags)
{
	return device->ops->feature_probe ? device->ops->feature_probe(device, flags) : -ENOTTY;
}

/* PEAL_VFIO_MIGRATION_…: which states there are beside RUNNING, STOP, RESUMING and ERROR. */
static inline int peal_vfio_migration_flags(struct peal_vfio_device *device, uint64_t *ret)
{
	return device->ops->migration_flags ? device->ops->migration_flags(device, ret) : -ENOTTY;
}

/* enum peal_vfio_mig_state. */
static inline int peal_vfio_mig_get_state(struct peal_vfio_device *device, uint32_t *ret)
{
	return device->ops->mig_get_state ? device->ops->mig_get_state(device, ret) : -ENOTTY;
}

/*
 * Changes the state, by the shortest way whose states in between are no saving ones. In STOP,
 * STOP_COPY and RESUMING the device makes no DMA and signals nothing; what it had begun is complete
 * when STOP is reached, and what was asked for meanwhile is done when RUNNING is.
 * -EINVAL: no such state, no way to it. When it fails the state may be another one on the way, or
 * ERROR, which only peal_vfio_reset() leaves (to RUNNING): so when RESUMING ends with data that is
 * no state of such a device (-EINVAL), or not all of one.
 */
static inline int peal_vfio_mig_set_state(struct peal_vfio_device *device, uint32_t state)
{
	return device->ops->mig_set_state ? device->ops->mig_set_state(device, state) : -ENOTTY;
}

/*
 * The next bytes of the device's state, in PRE_COPY and STOP_COPY: less than SIZE of them in *DONE
 * means that there are no more (in PRE_COPY: for now). -EINVAL: another state.
 */
static inline int peal_vfio_mig_read(struct peal_vfio_device *device, void *bytes, size_t size,
				     size_t *done)
{
	return device->ops->mig_read ? device->ops->mig_read(device, bytes, size, done) : -ENOTTY;
}

/* The next bytes for RESUMING, as they were read. -EINVAL: another state, or too many bytes. */
static inline int peal_vfio_mig_write(struct peal_vfio_device *device, const void *bytes,
				      size_t size)
{
	return device->ops->mig_write ? device->ops->mig_write(device, bytes, size) : -ENOTTY;
}

/*
 * Logs what the device writes to memory from now on, in pages of *PAGE_SIZE, or in the size that is
 * there then. RANGES, COUNT of them (0: everything), are what will be asked about; writes elsewhere
 * may be forgotten. Not from inside an access of the device's memory.
 * -EINVAL: it logs already, no power of two, an empty range or one that wraps. -E2BIG: too many
 * ranges. -ENOMEM.
 */
static inline int peal_vfio_dma_log_start(struct peal_vfio_device *device, uint64_t *page_size,
					  const struct peal_vfio_range *ranges, uint32_t count)
{
	return device->ops->dma_log_start
		       ? device->ops->dma_log_start(device, page_size, ranges, count)
		       : -ENOTTY;
}

/* -EINVAL: it does not log. */
static inline int peal_vfio_dma_log_stop(struct peal_vfio_device *device)
{
	return device->ops->dma_log_stop ? device->ops->dma_log_stop(device) : -ENOTTY;
}

/* The words of a report's bitmap: a bit for each PAGE_SIZE bytes. 0: SIZE or PAGE_SIZE is. */
static inline uint64_t peal_vfio_dma_log_words(uint64_t size, uint64_t page_size)
{
	return size && page_size ? (size - 1) / page_size / 64 + 1 : 0;
}

/*
 * Sets bit N of BITMAP (peal_vfio_dma_log_words() of them) when the N-th PAGE_SIZE bytes of the
 * range were written since the last report, and forgets that they were. Other bits stay.
 * -EINVAL: it does not log; no power of two; an empty range or one that wraps.
 */
static inline int peal_vfio_dma_log_report(struct peal_vfio_device *device,
					   const struct peal_vfio_range *range, uint64_t page_size,
					   uint64_t *bitmap)
{
	return device->ops->dma_log_report
		       ? device->ops->dma_log_report(device, range, page_size, bitmap)
		       : -ENOTTY;
}

/* ---- event descriptors for registers ---- */

/*
 * Descriptors whose signal does what a write to a register does: for KVM_IOEVENTFD, or to write
 * without a message. Up to ROOM into LIST, how many in *COUNT; they are the device's (borrowed) and
 * good until it is freed or peal_vfio_io_release(). Signals that come before the device looks count
 * as one. -EINVAL: no such region. -errno: none could be made.
 */
static inline int peal_vfio_io_fds(struct peal_vfio_device *device, unsigned index,
				   struct peal_vfio_io_fd *list, unsigned room, unsigned *count)
{
	return device->ops->io_fds ? device->ops->io_fds(device, index, list, room, count)
				   : -ENOTSUP;
}

/* Takes all of them back: whoever still has one rings for nobody. */
static inline void peal_vfio_io_release(struct peal_vfio_device *device)
{
	if (device->ops->io_release)
		device->ops->io_release(device);
}

/* NULL is fine. */
static inline void peal_vfio_free(struct peal_vfio_device *device)
{
	if (device && device->ops->free)
		device->ops->free(device);
}

#ifdef __cplusplus
}
#endif

#endif
