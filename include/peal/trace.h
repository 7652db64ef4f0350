/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A ring of records between those who trace and one who reads.
 *
 * Pushing never waits, neither for the reader nor for a lock: when the ring is full the record is
 * lost and counted. What a record means is between its writers and its reader.
 *
 * Threads: push from any, pop from one at a time.
 */
#ifndef PEAL_TRACE_H
#define PEAL_TRACE_H

#include <peal/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PEAL_TRACE_WORDS 7u

struct peal_trace_record {
	uint64_t words[PEAL_TRACE_WORDS];
};

struct peal_trace_ring;

/* A ring of 2^ORDER records. -EINVAL: ORDER is not 1..24. -ENOMEM. */
PEAL_PUBLIC int peal_trace_ring_new(struct peal_trace_ring **ret, const struct peal_host *host,
				    unsigned order);

/* NULL is fine. Nobody uses it any more. */
PEAL_PUBLIC void peal_trace_ring_free(struct peal_trace_ring *ring);

/* False: the ring is full, and the record lost. */
PEAL_PUBLIC bool peal_trace_push(struct peal_trace_ring *ring,
				 const struct peal_trace_record *record);

/* False: there is none, or the next one is still being written. */
PEAL_PUBLIC bool peal_trace_pop(struct peal_trace_ring *ring, struct peal_trace_record *ret);

/* Records that were lost so far. */
PEAL_PUBLIC uint64_t peal_trace_lost(const struct peal_trace_ring *ring);

#ifdef __cplusplus
}
#endif

#endif
