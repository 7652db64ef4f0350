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
 *
 * Linux counts the mappings of a process (vm.max_map_count), and a page in the middle of one makes
 * three of it. A client that has used them all up must not have the handler find none: so some are
 * kept back, and when single pages would take more than those, all of a range is replaced, which
 * then is no more mappings than it was.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "sigbus.h"

#define DEFAULT_MAP_COUNT 65530u /* of Linux */
#define KEPT_BACK         4096u  /* for the program, and two for each page */
#define PAGES_MOST        1024u

struct vfu_sigbus_range {
	struct vfu_sigbus_range *next;      /* in the list of all; never changes */
	struct vfu_sigbus_range *next_free; /* under the mutex */
	uintptr_t base;
	size_t length; /* 0: not in use */
	size_t page;
	int fd;
	uint32_t replaced; /* pages */
	uint32_t *faulted;
	uint64_t *counter;
};

static struct {
	pthread_mutex_t mutex;
	struct vfu_sigbus_range *all;
	struct vfu_sigbus_range *unused;
	size_t in_use;
	size_t most;
	uint32_t replaced; /* of all ranges */
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

static bool put_zeros(uintptr_t address, size_t size)
{
	return mmap((void *)address, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != MAP_FAILED;
}

static bool replace(struct vfu_sigbus_range *range, uintptr_t address)
{
	(void)__atomic_fetch_add(&range->replaced, 1, __ATOMIC_RELAXED);
	if (__atomic_add_fetch(&sigbus.replaced, 1, __ATOMIC_RELAXED) <= PAGES_MOST &&
	    put_zeros(address & ~(uintptr_t)(range->page - 1), range->page))
		return true;
	return put_zeros(range->base, range->length);
}

static void handle(int number, siginfo_t *info, void *context)
{
	uintptr_t address = (uintptr_t)info->si_addr;
	struct vfu_sigbus_range *range = find(address);
	int saved = errno;

	if (!range || !replace(range, address)) {
		pass_on(number, info, context);
		return;
	}
	(void)__atomic_fetch_add(range->counter, 1, __ATOMIC_RELAXED);
	__atomic_store_n(range->faulted, 1, __ATOMIC_RELEASE);
	(void)shutdown(range->fd, SHUT_RDWR);
	errno = saved;
}

/* How many ranges there may be at a time. */
static size_t most_ranges(void)
{
	FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
	unsigned count = DEFAULT_MAP_COUNT;

	if (file) {
		if (fscanf(file, "%u", &count) != 1)
			count = DEFAULT_MAP_COUNT;
		(void)fclose(file);
	}
	return count > 2 * KEPT_BACK ? count - KEPT_BACK : count / 2;
}

int vfu_sigbus_install(void)
{
	struct sigaction action = { .sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	int r = 0;

	(void)sigemptyset(&action.sa_mask);
	(void)pthread_mutex_lock(&sigbus.mutex);
	if (!sigbus.installed) {
		sigbus.most = most_ranges();
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
	if (sigbus.in_use >= sigbus.most) {
		range = NULL;
	} else if (range) {
		sigbus.unused = range->next_free;
	} else {
		range = calloc(1, sizeof(*range));
		is_new = true;
	}
	if (range) {
		sigbus.in_use++;
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
	(void)__atomic_fetch_sub(&sigbus.replaced, range->replaced, __ATOMIC_RELAXED);
	range->replaced = 0;
	sigbus.in_use--;
	range->next_free = sigbus.unused;
	sigbus.unused = range;
	(void)pthread_mutex_unlock(&sigbus.mutex);
}
