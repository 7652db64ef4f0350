/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time that nobody sets, for hosted code: CLOCK_MONOTONIC. clock_gettime(2),
 * pthread_condattr_setclock(3).
 */
#ifndef PEAL_BASE_CLOCK_POSIX_H
#define PEAL_BASE_CLOCK_POSIX_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#define PEAL_NS_PER_MS     UINT64_C(1000000)
#define PEAL_NS_PER_SECOND UINT64_C(1000000000)

static inline uint64_t peal_clock_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * PEAL_NS_PER_SECOND + (uint64_t)t.tv_nsec;
}

static inline struct timespec peal_clock_timespec(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / PEAL_NS_PER_SECOND),
				  .tv_nsec = (long)(ns % PEAL_NS_PER_SECOND) };
}

/* A condition whose timed waits are by this clock. -errno. */
static inline int peal_clock_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attributes;
	int error = pthread_condattr_init(&attributes);

	if (error)
		return -error;
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	error = pthread_cond_init(cond, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	return -error;
}

#endif
