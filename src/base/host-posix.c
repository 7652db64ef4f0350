/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host of a POSIX program: its heap, pthread mutexes, sched_yield. POSIX.1-2017.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include <peal/base.h>

static void *posix_alloc(void *user, size_t size)
{
	void *pointer;

	(void)user;
	/* What malloc(0) returns is the implementation's choice; our callers may rely on != NULL. */
	if (posix_memalign(&pointer, PEAL_CACHE_LINE, size ? size : 1))
		return NULL;
	return memset(pointer, 0, size);
}

static void posix_free(void *user, void *pointer, size_t size)
{
	(void)user;
	(void)size;
	free(pointer);
}

static int posix_mutex_new(void *user, void **ret)
{
	pthread_mutex_t *mutex = malloc(sizeof(*mutex));
	int error;

	(void)user;
	if (!mutex)
		return -ENOMEM;
	error = pthread_mutex_init(mutex, NULL);
	if (error) {
		free(mutex);
		return -error;
	}
	*ret = mutex;
	return 0;
}

static void posix_mutex_free(void *user, void *mutex)
{
	int error = pthread_mutex_destroy(mutex);

	(void)user;
	PEAL_ASSERT(error == 0); /* EBUSY: somebody holds it */
	free(mutex);
}

static void posix_mutex_lock(void *user, void *mutex)
{
	int error = pthread_mutex_lock(mutex);

	(void)user;
	PEAL_ASSERT(error == 0);
}

static void posix_mutex_unlock(void *user, void *mutex)
{
	int error = pthread_mutex_unlock(mutex);

	(void)user;
	PEAL_ASSERT(error == 0);
}

static void posix_relax(void *user)
{
	(void)user;
	(void)sched_yield();
}

const struct peal_host *peal_host_default(void)
{
	static const struct peal_host host = {
		.alloc = posix_alloc,
		.free = posix_free,
		.mutex_new = posix_mutex_new,
		.mutex_free = posix_mutex_free,
		.mutex_lock = posix_mutex_lock,
		.mutex_unlock = posix_mutex_unlock,
		.relax = posix_relax,
	};

	return &host;
}
