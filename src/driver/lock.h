/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lock for sections of a few memory accesses on the hot path: no call out of the driver is made
 * while it is held, so nobody waits long. The host's mutex is not for that (peal/base.h).
 */
#ifndef PEAL_DRIVER_LOCK_H
#define PEAL_DRIVER_LOCK_H

#include <peal/base.h>

struct peal_driver_lock {
	const struct peal_host *host;
	uint32_t held;
};

static inline void peal_driver_lock(struct peal_driver_lock *lock)
{
	while (__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE)) {
		while (__atomic_load_n(&lock->held, __ATOMIC_RELAXED))
			lock->host->relax(lock->host->user);
	}
}

static inline void peal_driver_unlock(struct peal_driver_lock *lock)
{
	__atomic_store_n(&lock->held, 0, __ATOMIC_RELEASE);
}

/* Advances a counter that only the holder of a lock changes and anybody reads. */
static inline void peal_driver_count(uint64_t *counter, uint64_t by)
{
	__atomic_store_n(counter, *counter + by, __ATOMIC_RELAXED);
}

#endif
