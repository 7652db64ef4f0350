/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Epochs: readers that take no lock, and a writer that waits until they are gone.
 *
 * A reader enters, follows pointers, and leaves: two uncontended atomic additions. A writer takes
 * an object out of reach, calls peal_epoch_sync(), and may then free it: whoever could see the
 * object has left. Sections that begin after the object was out of reach are not waited for.
 *
 * Every load of a pointer that a writer may take away is peal_epoch_load(), every store of one
 * peal_epoch_store(): both are sequentially consistent, which is what makes "entered, then looked"
 * and "took away, then looked who is in" exclude each other.
 *
 * Threads: enter and leave from any thread, any number at once, sections may nest and a section
 * may be left by another thread than entered it (the token says which). peal_epoch_sync() from any
 * thread that is in no section of this epoch; it blocks until the sections in progress end.
 * Modelled in tests/models/epoch.pml.
 */
#ifndef PEAL_EPOCH_H
#define PEAL_EPOCH_H

#include <peal/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PEAL_EPOCH_SLOTS 32u

/* How many entered and left, by parity. A line of its own, so that two threads seldom share one. */
struct peal_epoch_slot {
	uint64_t in[2];
	uint64_t out[2];
	uint64_t unused[4];
} __attribute__((aligned(PEAL_CACHE_LINE)));

struct peal_epoch {
	struct peal_epoch_slot slots[PEAL_EPOCH_SLOTS];
	uint32_t parity;
	struct peal_mutex mutex; /* one writer waits at a time */
};

/* 0, or -errno of the host's mutex. A zeroed epoch may be given to peal_epoch_done(). */
PEAL_PUBLIC int peal_epoch_init(struct peal_epoch *epoch, const struct peal_host *host);

/* Nobody may be in a section. */
PEAL_PUBLIC void peal_epoch_done(struct peal_epoch *epoch);

/* Returns when every section that was entered before the call has been left. */
PEAL_PUBLIC void peal_epoch_sync(struct peal_epoch *epoch);

/* How many sections were ever entered: a free count of operations for their owner. */
PEAL_PUBLIC uint64_t peal_epoch_entered(const struct peal_epoch *epoch);

/*
 * Enters a section; the result goes to peal_epoch_leave(). Which slot is taken does not matter for
 * correctness: the thread's stack address spreads threads over the slots without a thread id.
 */
static inline unsigned peal_epoch_enter(struct peal_epoch *epoch)
{
	uint64_t hash = (uint64_t)((uintptr_t)__builtin_frame_address(0) >> 16);
	unsigned slot = (unsigned)((hash * UINT64_C(0x9e3779b97f4a7c15)) >> 59);
	unsigned parity = __atomic_load_n(&epoch->parity, __ATOMIC_RELAXED) & 1;

	(void)__atomic_fetch_add(&epoch->slots[slot].in[parity], 1, __ATOMIC_SEQ_CST);
	return slot << 1 | parity;
}

static inline void peal_epoch_leave(struct peal_epoch *epoch, unsigned token)
{
	(void)__atomic_fetch_add(&epoch->slots[token >> 1].out[token & 1], 1, __ATOMIC_RELEASE);
}

#define peal_epoch_load(place)         __atomic_load_n((place), __ATOMIC_SEQ_CST)
#define peal_epoch_store(place, value) __atomic_store_n((place), (value), __ATOMIC_SEQ_CST)

#ifdef __cplusplus
}
#endif

#endif
