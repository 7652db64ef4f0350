/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio devices: rings, the PCI transport, the workers, and the block device. Virtio 1.2.
 *
 * A device author writes a class: what the driver may negotiate, the device's configuration, and
 * process(), which takes chains from a ring, works on them and gives them back:
 *
 *	static void process(void *user, unsigned queue, struct peal_vring *ring)
 *	{
 *		struct peal_vring_segment segments[64];
 *		struct peal_vring_chain chain = { .segments = segments, .max_segments = 64 };
 *
 *		while (peal_vring_pop(ring, &chain))
 *			peal_vring_push(ring, &chain, work_on(&chain));
 *	}
 *
 * peal_virtio_new() makes a PCI function of it, which is plugged into a bus like any other:
 *
 *	peal_virtio_new → peal_virtio_function → peal_pci_bus_plug … peal_pci_bus_unplug →
 *	peal_virtio_free
 *
 * The transport does the rest: registers, negotiation, resets, notifications and their
 * suppression, MSI-X vectors, and a driver that breaks the rules (the queue is broken,
 * NEEDS_RESET and a configuration interrupt, §2.1.2).
 *
 * Threads: queues are served by worker threads, each queue by one at a time; process() of two
 * queues runs at the same time. peal_virtio_kick(), the counters and peal_virtio_function() from
 * any thread; new and free from one. Free only after the function was unplugged.
 */
#ifndef PEAL_VIRTIO_H
#define PEAL_VIRTIO_H

#include <peal/base.h>
#include <peal/mem.h>
#include <peal/pci.h>
#include <peal/virtio-abi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- rings, as process() sees them ---- */

struct peal_vring;

/* A piece of a buffer that is contiguous in host memory; valid until process() returns. */
struct peal_vring_segment {
	void *host;
	uint64_t address; /* of the guest */
	uint32_t length;  /* never 0 */
	bool writable;    /* by the device; else the device only reads it */
};

/*
 * A chain of descriptors: what the driver wants done. The readable segments come first. The array
 * is the caller's and may be used again for the next chain; a descriptor takes one segment, and
 * one more for each border of mapped ranges inside it.
 */
struct peal_vring_chain {
	struct peal_vring_segment *segments;
	unsigned max_segments;
	unsigned nsegments;
	unsigned nreadable; /* how many of the segments are readable */
	uint16_t head;
	uint64_t readable; /* bytes */
	uint64_t writable;
};

/* Why a queue is broken: what the driver did (§2.7). */
enum peal_vring_fault {
	PEAL_VRING_OK,
	PEAL_VRING_FAULT_RING,     /* ring memory not mapped, misaligned, in two ranges */
	PEAL_VRING_FAULT_INDEX,    /* the available index jumped by more than the size */
	PEAL_VRING_FAULT_HEAD,     /* a head that is no descriptor */
	PEAL_VRING_FAULT_NEXT,     /* a next that is no descriptor */
	PEAL_VRING_FAULT_LOOP,     /* more descriptors than the queue has */
	PEAL_VRING_FAULT_LENGTH,   /* a buffer of 0 bytes, a chain of more than 2^32 */
	PEAL_VRING_FAULT_ADDRESS,  /* memory that the device may not access so */
	PEAL_VRING_FAULT_ORDER,    /* readable after writable */
	PEAL_VRING_FAULT_INDIRECT, /* indirect: not negotiated, nested, with next, bad length */
	PEAL_VRING_FAULT_SEGMENTS, /* more segments than the device takes */
	PEAL_VRING_FAULT_REQUEST,  /* the class could not make sense of it */
	PEAL_VRING_FAULTS,
};

/* In words, for operators. */
PEAL_PUBLIC const char *peal_vring_fault_name(enum peal_vring_fault fault);

/*
 * The next chain; the caller owns it until it pushes it. False: none for now (nothing available,
 * a batch is full, or the queue is broken): return from process(). Only inside process().
 */
PEAL_PUBLIC bool peal_vring_pop(struct peal_vring *ring, struct peal_vring_chain *chain);

/*
 * Gives a chain back, with the first WRITTEN bytes of its writable segments written. The driver
 * sees it when process() returns or the batch is full, and is interrupted then, once.
 */
PEAL_PUBLIC void peal_vring_push(struct peal_vring *ring, const struct peal_vring_chain *chain,
				 uint32_t written);

/* The driver sent what the device cannot answer: the queue is broken. No push for its chain. */
PEAL_PUBLIC void peal_vring_break(struct peal_vring *ring, enum peal_vring_fault fault);

/* Copies from the readable bytes, beginning at OFFSET. False: there are not so many. */
PEAL_PUBLIC bool peal_vring_chain_read(const struct peal_vring_chain *chain, uint64_t offset,
				       void *bytes, size_t size);

/* Copies to the writable bytes, or (BYTES is NULL) zeroes them. False: there are not so many. */
PEAL_PUBLIC bool peal_vring_chain_write(const struct peal_vring_chain *chain, uint64_t offset,
					const void *bytes, uint64_t size);

/* ---- devices ---- */

struct peal_virtio;

/*
 * The class of a device. All but process may be NULL.
 *
 * negotiated: the driver wants FEATURES, of those offered, VERSION_1 among them. Not 0: refused,
 *	the driver sees FEATURES_OK clear.
 * config_read, config_write: SIZE 1..8 bytes of the device configuration, little-endian;
 *	OFFSET + SIZE lies in config_size.
 * reset: back to the first state. No queue is being served and none will be before the driver
 *	starts again.
 * process: QUEUE has chains. In a worker, or with workers = 0 in the thread that notified;
 *	never twice at a time for one queue. It may block on its backend: a reset waits for it.
 *	It may leave chains in the ring and ask for another call with peal_virtio_kick().
 *
 * state_size, save, load: what the class has to take along when the device is migrated, of a size
 *	that is always the same; while no queue is served. load: -EINVAL and nothing changed: not
 *	such a state, or the device here is another; negotiated is called after it. All three or
 *	none: a class with a reset and without these is not migrated.
 *
 * All but process are called with the device's lock held, out of register accesses: they call no
 * function of the device.
 */
struct peal_virtio_class_ops {
	int (*negotiated)(void *user, uint64_t features);
	uint64_t (*config_read)(void *user, uint32_t offset, unsigned size);
	void (*config_write)(void *user, uint32_t offset, unsigned size, uint64_t value);
	void (*reset)(void *user);
	void (*process)(void *user, unsigned queue, struct peal_vring *ring);
	size_t (*state_size)(void *user);
	void (*save)(void *user, uint8_t *bytes);
	int (*load)(void *user, const uint8_t *bytes, size_t size);
};

#define PEAL_VIRTIO_QUEUES_MAX       1024u
#define PEAL_VIRTIO_WORKER_PER_QUEUE (~0u)
#define PEAL_VIRTIO_SPIN_DEFAULT     0u
#define PEAL_VIRTIO_SPIN_NEVER       (~0u)
#define PEAL_VIRTIO_TRANSPORT_FEATURES \
	(PEAL_BIT(PEAL_VIRTIO_F_INDIRECT_DESC) | PEAL_BIT(PEAL_VIRTIO_F_EVENT_IDX))

struct peal_virtio_config {
	const struct peal_host *host;
	const struct peal_virtio_class_ops *ops;
	void *user;
	uint16_t device_type;    /* 1..63, §5: 2 is a block device */
	uint32_t class_code;     /* of PCI: base class << 16 | sub-class << 8 | interface */
	unsigned num_queues;     /* 1..PEAL_VIRTIO_QUEUES_MAX */
	unsigned queue_size_max; /* power of two, 1..PEAL_VIRTIO_QUEUE_MAX */
	unsigned vectors;        /* of MSI-X; 0: one per queue and one for configuration changes */
	bool no_msix;            /* INTx is all there is (§4.1.5.1.1), VECTORS are not looked at */
	uint32_t config_size;    /* bytes of device configuration, at most 4096 */
	/* Offered, besides VERSION_1: the class's and of PEAL_VIRTIO_TRANSPORT_FEATURES those that
	 * the driver may use. */
	uint64_t features;
	/* Threads that serve the queues, queue q by thread q % workers; more than num_queues is one
	 * per queue. 0: none, whoever notifies serves. */
	unsigned workers;
	/* How long a worker without work looks for more before it sleeps, in ns; it is less when
	 * looking does not pay. PEAL_VIRTIO_SPIN_DEFAULT, PEAL_VIRTIO_SPIN_NEVER. */
	unsigned spin_ns;
	unsigned batch; /* chains at most before the driver is told of them; 0: 16 */
};

/* -EINVAL: a number out of range. -ENOMEM. -EAGAIN: no thread to be had. */
PEAL_PUBLIC int peal_virtio_new(struct peal_virtio **ret, const struct peal_virtio_config *config);

/* NULL is fine. Stops the workers. The function must not be plugged. */
PEAL_PUBLIC void peal_virtio_free(struct peal_virtio *device);

/* The PCI function, owned by the device. */
PEAL_PUBLIC struct peal_pci_function *peal_virtio_function(struct peal_virtio *device);

/* Has process() called for QUEUE as if the driver had notified. With workers = 0: in this thread,
 * so not from process() then. */
PEAL_PUBLIC void peal_virtio_kick(struct peal_virtio *device, unsigned queue);

/*
 * Brackets a change of the device configuration: the driver sees all of it or nothing. Unlock with
 * CHANGED advances config_generation and sends a configuration change notification (§2.5).
 * Not from a class operation.
 */
PEAL_PUBLIC void peal_virtio_config_lock(struct peal_virtio *device);
PEAL_PUBLIC void peal_virtio_config_unlock(struct peal_virtio *device, bool changed);

/* The device status register, §2.1. */
PEAL_PUBLIC uint8_t peal_virtio_status(const struct peal_virtio *device);

struct peal_virtio_counters {
	uint64_t notifications; /* of the driver */
	uint64_t chains;        /* popped */
	uint64_t batches;       /* that made chains visible to the driver */
	uint64_t interrupts;    /* raised; batches − interrupts were suppressed by the driver */
	uint64_t breaks;        /* times the queue broke */
	enum peal_vring_fault fault; /* of the last time */
};

PEAL_PUBLIC void peal_virtio_counters(const struct peal_virtio *device, unsigned queue,
				      struct peal_virtio_counters *ret);

/* ---- block backends ---- */

struct peal_blk_buffer {
	void *base;
	size_t length;
};

/*
 * Called from any thread, any number at once. OFFSET and lengths in bytes, within the capacity.
 * read, write: all of the buffers, or -errno with the bytes done before it in *DONE.
 * flush: what was written before is on stable storage, or -errno.
 */
struct peal_blk_backend_ops {
	uint64_t (*capacity)(void *user); /* bytes, a multiple of 512 */
	int (*read)(void *user, uint64_t offset, const struct peal_blk_buffer *buffers,
		    unsigned nbuffers, uint64_t *done);
	int (*write)(void *user, uint64_t offset, const struct peal_blk_buffer *buffers,
		     unsigned nbuffers, uint64_t *done);
	int (*flush)(void *user);
};

struct peal_blk_backend {
	const struct peal_blk_backend_ops *ops;
	void *user;
	bool read_only;
	uint32_t block_size; /* of the medium; 0: 512 */
};

struct peal_blk_file;

struct peal_blk_file_config {
	const struct peal_host *host;
	const char *path;
	bool writable; /* else nothing can change the file */
};

/*
 * A regular file or a block device as a backend. *REASON (may be NULL) says in words what is wrong
 * with the path when it is refused, a constant.
 * -errno of the file system. -EISDIR: a directory. -ENOTBLK: a FIFO, socket or character device.
 * -EINVAL: empty, or no multiple of 512 bytes. -ENOMEM.
 */
PEAL_PUBLIC int peal_blk_file_open(struct peal_blk_file **ret,
				   const struct peal_blk_file_config *config, const char **reason);

/* NULL is fine. Flushes nothing. */
PEAL_PUBLIC void peal_blk_file_close(struct peal_blk_file *file);

/* Borrowed from FILE. A failed flush stays failed: what it lost cannot be found out later. */
PEAL_PUBLIC struct peal_blk_backend peal_blk_file_backend(struct peal_blk_file *file);

/* ---- the block device, §5.2 ---- */

struct peal_virtio_blk;

struct peal_virtio_blk_config {
	const struct peal_host *host;
	struct peal_blk_backend backend;
	const char *id;          /* what GET_ID answers: the first 20 bytes; NULL: "peal" */
	unsigned num_queues;     /* 0: 1 */
	unsigned queue_size_max; /* 0: 256 */
	unsigned workers;        /* these as in struct peal_virtio_config */
	unsigned spin_ns;
	unsigned batch;
	bool no_msix;
};

/* As peal_virtio_new(). -EINVAL also: a backend without capacity. */
PEAL_PUBLIC int peal_virtio_blk_new(struct peal_virtio_blk **ret,
				    const struct peal_virtio_blk_config *config);

/* NULL is fine. As peal_virtio_free(). */
PEAL_PUBLIC void peal_virtio_blk_free(struct peal_virtio_blk *blk);

PEAL_PUBLIC struct peal_virtio *peal_virtio_blk_device(struct peal_virtio_blk *blk);
PEAL_PUBLIC struct peal_pci_function *peal_virtio_blk_function(struct peal_virtio_blk *blk);

/* Asks the backend for its capacity again and tells the driver when it is another. */
PEAL_PUBLIC void peal_virtio_blk_resize(struct peal_virtio_blk *blk);

enum peal_virtio_blk_op {
	PEAL_VIRTIO_BLK_OP_READ,
	PEAL_VIRTIO_BLK_OP_WRITE,
	PEAL_VIRTIO_BLK_OP_FLUSH,
	PEAL_VIRTIO_BLK_OP_GET_ID,
	PEAL_VIRTIO_BLK_OP_UNKNOWN, /* answered with S_UNSUPP */
	PEAL_VIRTIO_BLK_OPS,
};

struct peal_virtio_blk_counters {
	uint64_t requests[PEAL_VIRTIO_BLK_OPS];
	uint64_t read_bytes; /* of requests that succeeded */
	uint64_t written_bytes;
	uint64_t refused; /* answered with S_IOERR: out of range, unaligned, read-only */
	uint64_t failed;  /* answered with S_IOERR: the backend failed */
};

/* Of one queue, or with PEAL_VIRTIO_BLK_ALL the sum. */
#define PEAL_VIRTIO_BLK_ALL (~0u)
PEAL_PUBLIC void peal_virtio_blk_counters(const struct peal_virtio_blk *blk, unsigned queue,
					  struct peal_virtio_blk_counters *ret);

/* What the backend failed with last. */
struct peal_virtio_blk_error {
	uint64_t count; /* failures so far; 0: none */
	int error;      /* -errno */
	enum peal_virtio_blk_op op;
	uint64_t offset; /* byte of the medium at which it failed */
};

PEAL_PUBLIC void peal_virtio_blk_last_error(struct peal_virtio_blk *blk,
					    struct peal_virtio_blk_error *ret);

/* ---- the entropy device, §5.4 ---- */

struct peal_virtio_rng;

struct peal_virtio_rng_config {
	const struct peal_host *host;
	/* Fills BYTES: 0, or -errno, which breaks the queue. Called by whoever serves. NULL: the
	 * system's getrandom(). */
	int (*fill)(void *user, void *bytes, size_t size);
	void *user;
	unsigned queue_size_max; /* 0: 256 */
	unsigned workers;        /* these as in struct peal_virtio_config */
	unsigned spin_ns;
	bool no_msix;
};

/* As peal_virtio_new(). */
PEAL_PUBLIC int peal_virtio_rng_new(struct peal_virtio_rng **ret,
				    const struct peal_virtio_rng_config *config);

/* NULL is fine. As peal_virtio_free(). */
PEAL_PUBLIC void peal_virtio_rng_free(struct peal_virtio_rng *rng);

PEAL_PUBLIC struct peal_virtio *peal_virtio_rng_device(struct peal_virtio_rng *rng);
PEAL_PUBLIC struct peal_pci_function *peal_virtio_rng_function(struct peal_virtio_rng *rng);

struct peal_virtio_rng_counters {
	uint64_t bytes;  /* given to the driver */
	uint64_t failed; /* chains that broke the queue: no source, or a buffer to be read */
};

PEAL_PUBLIC void peal_virtio_rng_counters(const struct peal_virtio_rng *rng,
					  struct peal_virtio_rng_counters *ret);

#ifdef __cplusplus
}
#endif

#endif
