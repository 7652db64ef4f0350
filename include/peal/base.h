/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Base: error codes, assertion, and what the core needs of its host.
 *
 * The core is freestanding C11. Memory, mutual exclusion and a polite way to wait come from the
 * embedder through struct peal_host; peal_host_default() is the one for POSIX programs.
 *
 * Threads: a struct peal_host is constant; its functions are called from any thread that calls
 * into the library.
 */
#ifndef PEAL_BASE_H
#define PEAL_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if __STDC_HOSTED__
#include <errno.h>
#include <string.h>
#else
/* The numbers of Linux: a freestanding embedder gets the same answers as a hosted one. */
#define ENOENT    2
#define EIO       5
#define ENXIO     6
#define E2BIG     7
#define EBADF     9
#define EAGAIN    11
#define ENOMEM    12
#define EFAULT    14
#define EBUSY     16
#define EEXIST    17
#define ENODEV    19
#define EINVAL    22
#define ENOTTY    25
#define ENOSPC    28
#define ERANGE    34
#define EPROTO    71
#define EOVERFLOW 75
#define ENOTSUP   95
#define ETIMEDOUT 110
#define EALREADY  114
#ifdef __cplusplus
extern "C" {
#endif
void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
#ifdef __cplusplus
}
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define PEAL_PUBLIC     __attribute__((visibility("default")))
#define PEAL_CACHE_LINE 64u

#define peal_likely(x)   __builtin_expect(!!(x), 1)
#define peal_unlikely(x) __builtin_expect(!!(x), 0)

/* The caller broke the contract of a header: stop here. Never used for what a guest can cause. */
#define PEAL_ASSERT(condition) ((condition) ? (void)0 : __builtin_trap())

/* The object of which MEMBER is a part. */
#define peal_container_of(pointer, type, member) \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/*
 * What the core needs of its host. All functions are required; each gets USER.
 *
 * alloc: SIZE bytes, zeroed, aligned to PEAL_CACHE_LINE; NULL when there are none.
 * free: what alloc returned, with the size that was asked for. Never called with NULL.
 * mutex_new: 0 and a mutex in *RET, or -errno. Not recursive. Never taken in a hot path.
 * relax: called in a loop that waits for another thread to leave a short section.
 */
struct peal_host {
	void *(*alloc)(void *user, size_t size);
	void (*free)(void *user, void *pointer, size_t size);
	int (*mutex_new)(void *user, void **ret);
	void (*mutex_free)(void *user, void *mutex);
	void (*mutex_lock)(void *user, void *mutex);
	void (*mutex_unlock)(void *user, void *mutex);
	void (*relax)(void *user);
	void *user;
};

/* The host of a POSIX program: posix_memalign, pthread mutexes, sched_yield. Hosted only. */
PEAL_PUBLIC const struct peal_host *peal_host_default(void);

static inline void *peal_alloc(const struct peal_host *host, size_t size)
{
	return host->alloc(host->user, size);
}

/* NULL is fine. */
static inline void peal_free(const struct peal_host *host, void *pointer, size_t size)
{
	if (pointer)
		host->free(host->user, pointer, size);
}

/* A mutex of the host. peal_mutex_done() takes one that was zeroed and never made. */
struct peal_mutex {
	const struct peal_host *host;
	void *impl;
};

static inline int peal_mutex_init(struct peal_mutex *mutex, const struct peal_host *host)
{
	mutex->host = host;
	return host->mutex_new(host->user, &mutex->impl);
}

static inline void peal_mutex_done(struct peal_mutex *mutex)
{
	if (mutex->impl)
		mutex->host->mutex_free(mutex->host->user, mutex->impl);
	mutex->impl = NULL;
}

static inline void peal_mutex_lock(struct peal_mutex *mutex)
{
	mutex->host->mutex_lock(mutex->host->user, mutex->impl);
}

static inline void peal_mutex_unlock(struct peal_mutex *mutex)
{
	mutex->host->mutex_unlock(mutex->host->user, mutex->impl);
}

/* A counter that any thread may advance and any thread may read. */
static inline void peal_count(uint64_t *counter, uint64_t by)
{
	(void)__atomic_fetch_add(counter, by, __ATOMIC_RELAXED);
}

static inline uint64_t peal_counted(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

#ifdef __cplusplus
}
#endif

#endif
