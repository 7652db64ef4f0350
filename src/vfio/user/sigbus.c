/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SIGBUS on memory that a client shares and may truncate. POSIX.1-2017 sigaction; mmap in a signal
 * handler is safe on Linux, where it is a plain system call.
 *
 * A signal handler has no argument, so what it needs is the one thing in this library that is
 * global: a list of ranges. Ranges are never freed, only used again, so that the handler can walk
 * the list without a lock; the list is as long as the most ranges there ever were at a time. BASE
 * and LENGTH of a range change only while nobody accesses the memory it stands for, so the thread
 * that faulted sees its own range whole; of others it reads atoms and finds itself outside.
 *
 * A page of the list's growth is bounded by the servers' max_dma_maps.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "sigbus.h"

struct vfu_sigbus_range {
	struct vfu_sigbus_range *next;      /* in the list of all; never changes */
	struct vfu_sigbus_range *next_free; /* under the mutex */
	uintptr_t base;
	size_t length; /* 0: not in use */
	size_t page;
	int fd;
	uint32_t *faulted;
	uint64_t *counter;
};

static struct {
	pthread_mutex_t mutex;
	struct vfu_sigbus_range *all;
	struct vfu_sigbus_range *unused;
	bool installed;
	struct sigaction before;
} sigbus = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static struct vfu_sigbus_range *find(uintptr_t address)
{
	struct vfu_sigbus_range *range = __atomic_load_n(&sigbus.all, __ATOMIC_ACQUIRE);

	for (; range; range = range->next) {
		size_t length = __atomic_load_n(&range->length, __ATOMIC_ACQUIRE);
		uintptr_t base = __atomic_load_n(&range->base, __ATOMIC_RELAXED);

		if (address >= base && address - base < length)
			return range;
	}
	return NULL;
}

/* Not ours: as if this handler were not there. */
static void pass_on(int number, siginfo_t *info, void *context)
{
	if (sigbus.before.sa_flags & SA_SIGINFO) {
		sigbus.before.sa_sigaction(number, info, context);
	} else if (sigbus.before.sa_handler != SIG_DFL && sigbus.before.sa_handler != SIG_IGN) {
		sigbus.before.sa_handler(number);
	} else {
		/* The access is made again on return and ends the process. */
		const struct sigaction plain = { .sa_handler = SIG_DFL };

		(void)sigaction(number, &plain, NULL);
	}
}

static void handle(int number, siginfo_t *info, void *context)
{
	uintptr_t address = (uintptr_t)info->si_addr;
	struct vfu_sigbus_range *range = find(address);
	int saved = errno;
	void *page;

	if (!range) {
		pass_on(number, info, context);
		return;
	}
	page = mmap((void *)(address & ~(uintptr_t)(range->page - 1)), range->page,
		    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (page == MAP_FAILED) {
		pass_on(number, info, context);
		return;
	}
	(void)__atomic_fetch_add(range->counter, 1, __ATOMIC_RELAXED);
	__atomic_store_n(range->faulted, 1, __ATOMIC_RELEASE);
	(void)shutdown(range->fd, SHUT_RDWR);
	errno = saved;
}

int vfu_sigbus_install(void)
{
	struct sigaction action = { .sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	int r = 0;

	(void)sigemptyset(&action.sa_mask);
	(void)pthread_mutex_lock(&sigbus.mutex);
	if (!sigbus.installed) {
		r = sigaction(SIGBUS, NULL, &sigbus.before) < 0 ||
				    sigaction(SIGBUS, &action, NULL) < 0
			    ? -errno
			    : 0;
		sigbus.installed = r == 0;
	}
	(void)pthread_mutex_unlock(&sigbus.mutex);
	return r;
}

struct vfu_sigbus_range *vfu_sigbus_add(void *base, size_t length, size_t page, int fd,
					uint32_t *faulted, uint64_t *counter)
{
	struct vfu_sigbus_range *range;
	bool is_new = false;

	(void)pthread_mutex_lock(&sigbus.mutex);
	range = sigbus.unused;
	if (range) {
		sigbus.unused = range->next_free;
	} else {
		range = calloc(1, sizeof(*range));
		is_new = true;
	}
	if (range) {
		range->page = page;
		range->fd = fd;
		range->faulted = faulted;
		range->counter = counter;
		__atomic_store_n(&range->base, (uintptr_t)base, __ATOMIC_RELAXED);
		__atomic_store_n(&range->length, length, __ATOMIC_RELEASE);
	}
	if (range && is_new) {
		range->next = sigbus.all;
		__atomic_store_n(&sigbus.all, range, __ATOMIC_RELEASE);
	}
	(void)pthread_mutex_unlock(&sigbus.mutex);
	return range;
}

void vfu_sigbus_remove(struct vfu_sigbus_range *range)
{
	if (!range)
		return;
	(void)pthread_mutex_lock(&sigbus.mutex);
	__atomic_store_n(&range->length, 0, __ATOMIC_RELEASE);
	range->next_free = sigbus.unused;
	sigbus.unused = range;
	(void)pthread_mutex_unlock(&sigbus.mutex);
}
