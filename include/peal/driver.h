/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Drivers of virtio PCI devices: what runs in the guest, or wherever a device can be reached.
 * Virtio 1.2, §2 (rings), §3.1 (initialization), §4.1 (PCI), §5.2 (block).
 *
 * A driver reaches its device only through struct peal_driver_ops: configuration space, BARs, memory
 * for DMA, interrupts. It does not trust the device: whatever the device answers, the driver
 * refuses it or fails the requests; it never crashes, hangs or leaks.
 *
 *   class driver (block)      peal_blk_driver_*
 *   virtio driver             peal_virtio_driver_*    life cycle, features, interrupts
 *   rings                     peal_driver_queue_*
 *   the system                struct peal_driver_ops
 *
 * Threads: the life cycle of a driver (probe, negotiate, alloc, setup, start, stop, free) belongs
 * to one caller at a time. A queue is used by one caller at a time; the block driver takes care of
 * that for its queues. Interrupt handlers run in a thread of the system.
 */
#ifndef PEAL_DRIVER_H
#define PEAL_DRIVER_H

#include <peal/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what a driver needs of the system it runs on ---- */

enum peal_irq_kind {
	PEAL_IRQ_MSIX,
	PEAL_IRQ_MSI,
	PEAL_IRQ_INTX,
};

/*
 * All functions are required, each gets USER.
 *
 * config_read, config_write: SIZE 1, 2 or 4, naturally aligned; absent registers read all ones.
 *
 * bar_info: 0, the BAR's size and whether it is I/O; -ENOENT: there is no such BAR, or it is the
 * upper half of another. bar_read, bar_write: SIZE 1, 2 or 4, naturally aligned, inside the BAR.
 * A write reaches the device after all writes to memory before it.
 *
 * dma_alloc: zeroed memory that the device may reach: *CPU here, *ADDRESS for the device, both
 * aligned to ALIGN (a power of two). 0 or -errno. dma_free: exactly what dma_alloc gave.
 *
 * irq_alloc: COUNT vectors of a kind for the function, all or -ENOSPC, and enables that kind in
 * the function. irq_release: gives them back; every vector is torn down before. Only one
 * allocation at a time.
 *
 * irq_setup: HANDLER is called with ARG when VECTOR (0..count - 1) is raised, on CPU_HINT (modulo
 * what there is) when the system can choose; 0 or -errno. What was written before irq_setup is
 * visible to the handler. A call never interrupts a function of this header on the same thread.
 * irq_teardown: on return the handler does not run and is not called any more; never called from a
 * handler.
 *
 * delay: waits at least that long.
 */
struct peal_driver_ops {
	uint64_t (*config_read)(void *user, uint32_t offset, unsigned size);
	void (*config_write)(void *user, uint32_t offset, unsigned size, uint64_t value);
	int (*bar_info)(void *user, unsigned bar, uint64_t *size, bool *is_io);
	uint64_t (*bar_read)(void *user, unsigned bar, uint64_t offset, unsigned size);
	void (*bar_write)(void *user, unsigned bar, uint64_t offset, unsigned size, uint64_t value);
	int (*dma_alloc)(void *user, size_t size, size_t align, void **cpu, uint64_t *address);
	void (*dma_free)(void *user, void *cpu, uint64_t address, size_t size);
	int (*irq_alloc)(void *user, enum peal_irq_kind kind, unsigned count);
	void (*irq_release)(void *user);
	int (*irq_setup)(void *user, unsigned vector, void (*handler)(void *arg), void *arg,
			 unsigned cpu_hint);
	void (*irq_teardown)(void *user, unsigned vector);
	void (*delay)(void *user, unsigned microseconds);
};

/* ---- the virtio driver ---- */

struct peal_virtio_driver;
struct peal_driver_queue;

/* HOST, OPS and USER are borrowed as long as the driver lives. */
struct peal_virtio_driver_config {
	const struct peal_host *host;
	const struct peal_driver_ops *ops;
	void *user;
};

/*
 * Looks whether this is a device for us (vendor 0x1af4, device 0x1040..0x107f), finds its register
 * blocks through the capabilities (§4.1.4) and lets it decode its BARs. The device is not reset yet.
 * -ENXIO: not ours, nothing was touched. -ENODEV: a block that a driver needs is missing, or not
 * usable where the capability says; nothing was written. -ENOMEM.
 */
PEAL_PUBLIC int peal_virtio_driver_probe(struct peal_virtio_driver **ret,
					 const struct peal_virtio_driver_config *config);

/*
 * Detaches: the device is reset, its interrupts are torn down, bus mastering is off, all memory is
 * given back. NULL is fine. Chains still in flight are forgotten: their owner takes them before
 * (peal_virtio_driver_quiesce, peal_driver_queue_take).
 */
PEAL_PUBLIC void peal_virtio_driver_free(struct peal_virtio_driver *driver);

/* Device type (§5), 2 for a block device. */
PEAL_PUBLIC unsigned peal_virtio_driver_type(const struct peal_virtio_driver *driver);

/* "Virtio PCI block adapter"; "Virtio PCI Unknown adapter" for a type without a name. */
PEAL_PUBLIC const char *peal_virtio_driver_description(const struct peal_virtio_driver *driver);

/*
 * Starts the life cycle (§3.1.1): reset, ACKNOWLEDGE, DRIVER, features, FEATURES_OK. Negotiated
 * are the features that the device offers, WANTED asks for and the ring knows; VERSION_1 always.
 * Also after a failure or a stop, when all that was allocated is given back.
 * -ETIMEDOUT: the reset takes more than 5 seconds. -ENOTSUP: no VERSION_1, or the device refused
 * the features. -EALREADY: queues are allocated. After a failure the device has FAILED and a reset.
 */
PEAL_PUBLIC int peal_virtio_driver_negotiate(struct peal_virtio_driver *driver, uint64_t wanted);

PEAL_PUBLIC uint64_t peal_virtio_driver_offered(const struct peal_virtio_driver *driver);
PEAL_PUBLIC uint64_t peal_virtio_driver_features(const struct peal_virtio_driver *driver);

/* Name of a feature bit of a device type, without prefix ("EVENT_IDX"); NULL: it has none. */
PEAL_PUBLIC const char *peal_virtio_feature_name(unsigned type, unsigned bit);

/*
 * Writes the names of FEATURES, separated by spaces, into TEXT (SIZE bytes, always terminated
 * unless SIZE is 0); bits without a name as "bit:N". Returns the length of the whole text.
 */
PEAL_PUBLIC size_t peal_virtio_features_print(unsigned type, uint64_t features, char *text,
					      size_t size);

/*
 * A queue that a class driver wants.
 *
 * size_limit: at most so many descriptors, rounded down to a power of two; 0: what the device has.
 * indirect_limit: longest chain to be put in an indirect table; 0: none (§2.7.5.3).
 * handler: called in interrupt context for the queue; returns whether there was work. NULL: the
 * queue never interrupts. The call comes once more work may be there; a shared vector calls the
 * handlers of all queues.
 */
struct peal_virtio_queue_info {
	unsigned size_limit;
	unsigned indirect_limit;
	bool (*handler)(void *arg);
	void *arg;
	unsigned cpu_hint;
};

/*
 * Makes queues 0..COUNT - 1 and tells the device where they are. After negotiate.
 * -EALREADY: done before and not given back. -EINVAL: COUNT is 0, or nothing negotiated.
 * -ENODEV: the device has not so many queues. -EPROTO: a queue size that is not a power of two or
 * changes, a notification address outside its block. -ENOMEM, or what dma_alloc said. After a
 * failure of the device or the host the device has FAILED and a reset, and nothing is allocated.
 */
PEAL_PUBLIC int peal_virtio_driver_alloc_virtqueues(struct peal_virtio_driver *driver,
						    unsigned count,
						    const struct peal_virtio_queue_info *infos);

PEAL_PUBLIC struct peal_driver_queue *peal_virtio_driver_queue(struct peal_virtio_driver *driver,
							       unsigned index);
PEAL_PUBLIC unsigned peal_virtio_driver_max_queues(struct peal_virtio_driver *driver);

/* The rungs of the interrupt ladder, best first. */
enum peal_virtio_intr {
	PEAL_VIRTIO_INTR_NONE,
	PEAL_VIRTIO_INTR_MSIX_PER_QUEUE, /* one for configuration, one for each queue with a handler */
	PEAL_VIRTIO_INTR_MSIX_SHARED,    /* one for configuration, one for all queues */
};

struct peal_virtio_intr_config {
	void (*config_changed)(void *arg); /* in interrupt context; NULL: not wanted */
	void *arg;
	bool disable_msix;           /* skips both MSI-X rungs */
	bool disable_msix_per_queue; /* skips the best one */
};

/*
 * Connects the interrupts, after alloc_virtqueues: tries the rungs from best to worst, each either
 * whole or undone without trace. -EALREADY: done before. -EINVAL: no queues. -ENXIO: no rung left;
 * the device has FAILED and a reset, and nothing is allocated.
 */
PEAL_PUBLIC int peal_virtio_driver_setup_intr(struct peal_virtio_driver *driver,
					      const struct peal_virtio_intr_config *config);

PEAL_PUBLIC enum peal_virtio_intr peal_virtio_driver_intr(const struct peal_virtio_driver *driver);
PEAL_PUBLIC const char *peal_virtio_intr_name(enum peal_virtio_intr intr);

/* The MSI-X vector of a queue, 0xffff: none. Vector 0 is for configuration changes. */
PEAL_PUBLIC unsigned peal_virtio_driver_queue_vector(const struct peal_virtio_driver *driver,
						     unsigned index);

/*
 * Enables the queues and sets DRIVER_OK: the device lives. -EINVAL: no interrupts set up.
 * -EIO: the device does not take it; it has FAILED and a reset, and nothing is allocated.
 */
PEAL_PUBLIC int peal_virtio_driver_start(struct peal_virtio_driver *driver);

/*
 * Resets the device; queues and interrupts stay allocated. Owners of chains take them back with
 * peal_driver_queue_take. -ETIMEDOUT: the device does not finish; then bus mastering is off.
 */
PEAL_PUBLIC int peal_virtio_driver_stop(struct peal_virtio_driver *driver);

/*
 * Stop, and the handlers do not run any more: nobody but the caller uses the queues. What is left
 * to do is to take the chains and free. From outside handlers.
 */
PEAL_PUBLIC void peal_virtio_driver_quiesce(struct peal_virtio_driver *driver);

/*
 * After stop: brings the device back to where setup_intr had left it, with no more features than
 * before; every queue is empty and has the size it had. Then start. Owners have taken their chains.
 * -EPROTO: a queue has another size. -ENXIO: the device refuses a vector. As negotiate. After a
 * failure the device has FAILED and a reset, and nothing is allocated.
 */
PEAL_PUBLIC int peal_virtio_driver_reinit(struct peal_virtio_driver *driver, uint64_t wanted);

/* The device status register (§2.1). */
PEAL_PUBLIC unsigned peal_virtio_driver_status(struct peal_virtio_driver *driver);

/*
 * Reads LENGTH bytes of the device's own configuration, in accesses of 4, 2 and 1 bytes, again until
 * the device did not change it meanwhile (§2.5.1). -ERANGE: there is not so much, nothing was
 * read. -EAGAIN: it never stayed the same; BYTES is not touched.
 */
PEAL_PUBLIC int peal_virtio_driver_config_read(struct peal_virtio_driver *driver, uint32_t offset,
					       void *bytes, size_t length);

/* Writes the same way, once. -ERANGE. */
PEAL_PUBLIC int peal_virtio_driver_config_write(struct peal_virtio_driver *driver, uint32_t offset,
						const void *bytes, size_t length);

struct peal_virtio_driver_counters {
	uint64_t config_interrupts; /* interrupts of the configuration vector */
	uint64_t queue_interrupts;  /* interrupts of the others */
	uint64_t stray;             /* of these: no queue had work */
};

/* Since setup_intr; from any thread while the interrupts are set up. */
PEAL_PUBLIC void peal_virtio_driver_counters(const struct peal_virtio_driver *driver,
					     struct peal_virtio_driver_counters *ret);

/* ---- rings ---- */

/* Memory as the device sees it. */
struct peal_driver_segment {
	uint64_t address;
	uint32_t length; /* not 0 */
};

/*
 * Adds a chain: NOUT segments that the device reads, then NIN that it writes; together not none, and
 * below 4 GiB. COOKIE (not NULL) comes back when the device is done. The device does not see the
 * chain before publish. O(segments).
 * -EAGAIN: not enough descriptors now. -E2BIG: never. -EIO: the queue is broken.
 */
PEAL_PUBLIC int peal_driver_queue_add(struct peal_driver_queue *queue,
				      const struct peal_driver_segment *segments, unsigned nout,
				      unsigned nin, void *cookie);

/* Shows the device all chains that were added. True: it wants a notification. */
PEAL_PUBLIC bool peal_driver_queue_publish(struct peal_driver_queue *queue);

/* Notifies the device. The only function that needs no lock of the queue. */
PEAL_PUBLIC void peal_driver_queue_notify(struct peal_driver_queue *queue);

/*
 * Takes one chain that the device is done with: 1, its cookie and how many bytes were written.
 * 0: none. -EIO: the queue is broken, now or before; take gives the chains in flight.
 */
PEAL_PUBLIC int peal_driver_queue_harvest(struct peal_driver_queue *queue, void **cookie,
					  uint32_t *written);

/*
 * Takes a chain back from a broken queue or a stopped device, in no order. NULL: there are no more.
 * A device that was not reset may still write to its segments.
 */
PEAL_PUBLIC void *peal_driver_queue_take(struct peal_driver_queue *queue);

/* Asks the device for no interrupts: a wish, some may still come. */
PEAL_PUBLIC void peal_driver_queue_disable_interrupts(struct peal_driver_queue *queue);

/* Asks for one with the next chain. True: there is work already, for which none may come. */
PEAL_PUBLIC bool peal_driver_queue_enable_interrupts(struct peal_driver_queue *queue);

/* Marks the queue broken, for instance because the device needs a reset. REASON is constant. */
PEAL_PUBLIC void peal_driver_queue_break(struct peal_driver_queue *queue, const char *reason);

/* Why the queue is broken; NULL: it is not. */
PEAL_PUBLIC const char *peal_driver_queue_broken(const struct peal_driver_queue *queue);

PEAL_PUBLIC unsigned peal_driver_queue_size(const struct peal_driver_queue *queue);
PEAL_PUBLIC unsigned peal_driver_queue_in_flight(const struct peal_driver_queue *queue);

/* ---- block ---- */

struct peal_blk_driver;

enum peal_blk_op {
	PEAL_BLK_READ,
	PEAL_BLK_WRITE,
	PEAL_BLK_FLUSH,  /* no buffer */
	PEAL_BLK_GET_ID, /* 20 bytes, padded with zeroes */
};

/*
 * A request. The caller's until it is submitted, the driver's until done is called.
 *
 * done: 0, or -EIO (the device failed or lied, or the queue is broken), -ENOTSUP (the device
 * does not know the request), -ECANCELED (detached before it was done). Called in the interrupt
 * context of the queue, or by who polls, breaks or detaches the driver; no lock is held. It may submit
 * requests, and need not kick: the caller of done does, once for all.
 */
struct peal_blk_request {
	enum peal_blk_op op;
	uint64_t sector;  /* of 512 bytes: first to read or write */
	void *buffer;     /* for the caller's use; the driver does not touch it */
	uint64_t address; /* the buffer as the device sees it */
	uint32_t length;  /* bytes, a multiple of 512 */
	void (*done)(struct peal_blk_request *request, int status);
	void *user;

	/* The driver's. */
	struct peal_blk_request *next;
	int status;
};

struct peal_blk_driver_config {
	const struct peal_host *host;
	const struct peal_driver_ops *ops;
	void *ops_user;
	unsigned queues;       /* at most; 0: one */
	unsigned depth;        /* at most so many requests in flight on a queue; 0: all that fit */
	unsigned size_limit;   /* at most so many descriptors in a queue; 0: no limit */
	uint64_t features_off; /* features not to negotiate */
	bool disable_msix;     /* as in peal_virtio_intr_config */
	bool disable_msix_per_queue;
	/* The configuration changed (resize), or the device failed. In interrupt context. */
	void (*changed)(void *user);
	void *user;
};

struct peal_blk_info {
	uint64_t capacity;     /* sectors of 512 bytes */
	uint32_t block_size;   /* bytes; the best unit for requests */
	uint32_t max_segments; /* pieces of memory in one request */
	uint32_t max_transfer; /* bytes in one request */
	bool read_only;
	bool flush;
	unsigned queues;
	unsigned depth; /* requests that fit in one queue */
	uint64_t features;
	enum peal_virtio_intr intr;
};

/*
 * Probes and starts a block device. As peal_virtio_driver_probe, negotiate, alloc_virtqueues,
 * setup_intr and start; -ENXIO also for a virtio device that is not a block device. -EPROTO: limits
 * that allow no request at all. After a failure the device is reset and bus mastering off.
 */
PEAL_PUBLIC int peal_blk_driver_new(struct peal_blk_driver **ret,
				    const struct peal_blk_driver_config *config);

/*
 * Detaches: requests in flight end with -ECANCELED, the device is reset and may not master the bus,
 * everything is given back. Nobody submits any more, except done. NULL is fine. Not from a handler.
 */
PEAL_PUBLIC void peal_blk_driver_free(struct peal_blk_driver *driver);

PEAL_PUBLIC void peal_blk_driver_info(const struct peal_blk_driver *driver,
				      struct peal_blk_info *ret);

/* The virtio driver below, for its names and counters. */
PEAL_PUBLIC struct peal_virtio_driver *peal_blk_driver_virtio(struct peal_blk_driver *driver);

/*
 * Gives a request to queue QUEUE; the device sees it with the next kick. From any thread.
 * -EAGAIN: the queue is full, some done will make room. -EIO: the queue is broken or closed.
 * -EROFS: a write to a read-only device. -ENOTSUP: a flush that the device does not know. -EINVAL:
 * length 0, not a multiple of 512 (GET_ID: below 20), above max_transfer. -ERANGE: past the end.
 */
PEAL_PUBLIC int peal_blk_driver_submit(struct peal_blk_driver *driver, unsigned queue,
				       struct peal_blk_request *request);

/* Shows the device what was submitted and notifies it if it wants to be. From any thread. */
PEAL_PUBLIC void peal_blk_driver_kick(struct peal_blk_driver *driver, unsigned queue);

/* Ends what is done without waiting for the interrupt; returns how many. From any thread. */
PEAL_PUBLIC unsigned peal_blk_driver_poll(struct peal_blk_driver *driver, unsigned queue);

struct peal_blk_counters {
	uint64_t submitted;
	uint64_t completed;     /* of these: done was called */
	uint64_t failed;        /* of these: with an error */
	uint64_t kicks;         /* that had something to show */
	uint64_t notifications; /* of these: that the device wanted */
	uint64_t interrupts;    /* calls of the queue's handler */
	uint64_t spurious;      /* of these: found nothing to do */
};

/* May be read at any time; exact once nothing is in flight. */
PEAL_PUBLIC void peal_blk_driver_counters(const struct peal_blk_driver *driver, unsigned queue,
					  struct peal_blk_counters *ret);

/* Why a queue is broken; NULL: it is not. From any thread. */
PEAL_PUBLIC const char *peal_blk_driver_broken(const struct peal_blk_driver *driver,
					       unsigned queue);

#ifdef __cplusplus
}
#endif

#endif
