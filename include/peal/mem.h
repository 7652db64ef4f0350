/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address spaces: what a device or a CPU finds at a guest-physical or I/O virtual address.
 *
 * A space maps ranges to host memory or to a remote accessor (a register frame, a device's BAR,
 * memory of another process reached by messages). Everything that touches guest memory goes
 * through a space, with a length.
 *
 * Looking up takes no lock and never waits for a writer: the tree of ranges stands twice, readers
 * use the copy that is not being changed and look again when a change completed meanwhile (a latch
 * on a sequence number; modelled in tests/models/latch.pml). Mapping and unmapping are O(log n).
 *
 * Who uses a range for longer than a lookup does so in a section (peal_space_enter); after
 * peal_space_unmap() and peal_space_sync() nobody uses what was mapped there.
 *
 * Threads: map and unmap from any thread, also from inside an accessor; peal_space_sync() and
 * peal_space_free() only outside sections and accessors of this space. The rest from any thread.
 */
#ifndef PEAL_MEM_H
#define PEAL_MEM_H

#include <peal/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct peal_space;

#define PEAL_MEM_READ  1u
#define PEAL_MEM_WRITE 2u
#define PEAL_MEM_RW    (PEAL_MEM_READ | PEAL_MEM_WRITE)

/*
 * A remote accessor. OFFSET counts from the start of the range and OFFSET + SIZE lies in it.
 * 0, or -errno, which peal_space_read/write return. Called in a section of the space, in the
 * thread of the access.
 */
struct peal_mem_ops {
	int (*read)(void *user, uint64_t offset, void *bytes, size_t size);
	int (*write)(void *user, uint64_t offset, const void *bytes, size_t size);
};

struct peal_space_config {
	const struct peal_host *host;
	/*
	 * Told of every write that the library makes to host memory of this space, after the bytes
	 * are there; NULL: not wanted. May be called from any thread that writes.
	 */
	void (*dirty)(void *user, uint64_t address, uint64_t size);
	void *user;
	uint64_t max_ranges; /* -ENOSPC beyond; 0: 65535 */
};

/* -ENOMEM. */
PEAL_PUBLIC int peal_space_new(struct peal_space **ret, const struct peal_space_config *config);

/* NULL is fine. The memory behind the ranges is the caller's. */
PEAL_PUBLIC void peal_space_free(struct peal_space *space);

/*
 * Maps SIZE bytes at ADDRESS to host memory (borrowed until unmapped and synced).
 * -EINVAL: SIZE is 0 or the range wraps. -EEXIST: overlaps a range. -ENOSPC: too many. -ENOMEM.
 */
PEAL_PUBLIC int peal_space_map(struct peal_space *space, uint64_t address, uint64_t size,
			       void *memory, unsigned access);

/* The same for a remote accessor; OPS and USER are borrowed. */
PEAL_PUBLIC int peal_space_map_ops(struct peal_space *space, uint64_t address, uint64_t size,
				   const struct peal_mem_ops *ops, void *user);

/* Takes back one whole range. -ENOENT: there is none with this address and size. Does not wait. */
PEAL_PUBLIC int peal_space_unmap(struct peal_space *space, uint64_t address, uint64_t size);

/* Waits until everybody who could use an unmapped range is done with it. */
PEAL_PUBLIC void peal_space_sync(struct peal_space *space);

/* A section: what was translated inside stays valid until it is left. May be held long. */
PEAL_PUBLIC unsigned peal_space_enter(struct peal_space *space);
PEAL_PUBLIC void peal_space_leave(struct peal_space *space, unsigned token);

/*
 * The host address of ADDRESS, and in *SIZE how many bytes from there are contiguous in the range.
 * NULL: not mapped, not host memory, or ACCESS not granted. Call it in a section. Who writes
 * through the pointer reports it with peal_space_dirty(). A remote accessor is no fault: it can be
 * reached with peal_space_read() and peal_space_write().
 */
PEAL_PUBLIC void *peal_space_translate(struct peal_space *space, uint64_t address, unsigned access,
				       uint64_t *size);

/* Is all of [address, address + size) host memory with this access? Counts no fault. */
PEAL_PUBLIC bool peal_space_is_memory(struct peal_space *space, uint64_t address, uint64_t size,
				      unsigned access);

/*
 * Copies SIZE bytes. May cross ranges; all of it is checked before a byte moves.
 * -EFAULT: a part is not mapped or may not be accessed so. Else what the accessor said; parts
 * before it have been copied then, as they have when somebody unmaps a range meanwhile that lies
 * behind the first four of an access.
 */
PEAL_PUBLIC int peal_space_read(struct peal_space *space, uint64_t address, void *bytes,
				size_t size);
PEAL_PUBLIC int peal_space_write(struct peal_space *space, uint64_t address, const void *bytes,
				 size_t size);

/*
 * The same of host memory only: -EFAULT also where a remote accessor is. For tables and queues
 * whose address the guest chose, by who holds a lock: aimed at a register frame, they would have
 * its accessor take that lock again.
 */
PEAL_PUBLIC int peal_space_read_memory(struct peal_space *space, uint64_t address, void *bytes,
				       size_t size);
PEAL_PUBLIC int peal_space_write_memory(struct peal_space *space, uint64_t address,
					const void *bytes, size_t size);

/* Reports a write that was made through a translated pointer. */
PEAL_PUBLIC void peal_space_dirty(struct peal_space *space, uint64_t address, uint64_t size);

/* Accesses that met nothing, or not the access they wanted. */
PEAL_PUBLIC uint64_t peal_space_faults(const struct peal_space *space);

#ifdef __cplusplus
}
#endif

#endif
