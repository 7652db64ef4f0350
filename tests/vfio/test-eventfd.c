/* SPDX-License-Identifier: BSD-2-Clause */
/* Real eventfds as triggers and watchers: what is one, counters that are full, no descriptor lost. */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "fixture.h"

#include "vfio/eventfd.h"

static unsigned open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	(void)closedir(dir);
	return count;
}

static uint64_t taken(int fd)
{
	uint64_t count;
	struct pollfd poller = { .fd = fd, .events = POLLIN };

	if (poll(&poller, 1, 0) != 1)
		return 0;
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	return count;
}

/* ---- what is an eventfd ---- */

struct kind {
	const char *name;
	int fd;
	bool is_eventfd;
};

static unsigned make_kinds(struct kind *kinds, int pair[2], int pipes[2])
{
	const struct kind made[] = {
		{ "eventfd", eventfd(0, 0), true },
		{ "full eventfd", eventfd(0, EFD_NONBLOCK), true },
		{ "semaphore", eventfd(5, EFD_SEMAPHORE), true },
		{ "timerfd", timerfd_create(CLOCK_MONOTONIC, 0), false },
		{ "epoll", epoll_create1(0), false },
		{ "null", open("/dev/null", O_RDWR), false },
		{ "directory", open("/", O_RDONLY), false },
		{ "pipe", pipes[1], false },
		{ "datagrams", pair[0], false },
	};
	const uint64_t full = UINT64_MAX - 1;

	memcpy(kinds, made, sizeof(made));
	assert_int_equal(write(kinds[1].fd, &full, sizeof(full)), sizeof(full));
	return PEAL_COUNT_OF(made);
}

static void only_eventfds_are_eventfds(void **state)
{
	/* Also where there is no /proc. */
	static const char *const procs[] = { "/proc/self/fd", "/nowhere" };
	struct kind kinds[16];
	int pair[2], pipes[2];
	char byte;
	unsigned count;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
	count = make_kinds(kinds, pair, pipes);
	for (unsigned i = 0; i < count; i++) {
		assert_true(kinds[i].fd >= 0);
		for (unsigned n = 0; n < 2; n++) {
			if (eventfd_is(kinds[i].fd, procs[n]) != kinds[i].is_eventfd)
				fail_msg("%s by %s", kinds[i].name, procs[n]);
		}
	}
	/* Asking left nothing behind. */
	assert_int_equal(taken(kinds[0].fd), 0);
	assert_true(taken(kinds[1].fd) == UINT64_MAX - 1);
	assert_int_equal(read(pipes[0], &byte, 1), -1);
	assert_int_equal(recv(pair[1], &byte, 1, 0), -1);
	for (unsigned i = 0; i < count; i++)
		(void)close(kinds[i].fd);
	(void)close(pair[1]);
	(void)close(pipes[0]);
}

/* ---- an irqset with them ---- */

struct real {
	struct rig *rig;
	struct peal_eventfds *eventfds;
	unsigned before;
};

static void real_start(struct real *real)
{
	real->before = open_descriptors();
	real->rig = malloc(sizeof(*real->rig));
	assert_non_null(real->rig);
	assert_int_equal(peal_eventfds_new(&real->eventfds), 0);
	rig_defaults(real->rig);
	real->rig->config.triggers = peal_eventfds_ops();
	real->rig->config.triggers_user = real->eventfds;
	rig_start(real->rig);
}

static void real_done(struct real *real)
{
	rig_free(real->rig);
	peal_eventfds_free(real->eventfds);
	assert_int_equal(open_descriptors(), real->before);
}

static void raise_reaches_the_users_eventfd(void **state)
{
	struct real real;
	int fd = eventfd(0, 0);

	(void)state;
	real_start(&real);
	assert_int_equal(set_fd(real.rig, TRIGGER, MSIX, 1, fd), 0);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(peal_irqset_raise(real.rig->irqset, MSIX, 1), 1);
	assert_int_equal(taken(fd), 5);
	/* The irqset has a descriptor of its own. */
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	(void)close(fd);
	assert_int_equal(peal_irqset_raise(real.rig->irqset, MSIX, 1), 1);
	real.before--;
	real_done(&real);
}

static void wrong_descriptor_is_ebadf_or_einval(void **state)
{
	struct real real;
	int null = open("/dev/null", O_RDWR), fd = eventfd(0, 0), gone = dup(fd);
	const int32_t fds[] = { fd, fd, null };

	(void)state;
	(void)close(gone);
	real_start(&real);
	assert_int_equal(set_fd(real.rig, TRIGGER, ERR, 0, gone), -EBADF);
	assert_int_equal(set_fd(real.rig, TRIGGER, ERR, 0, INT32_MAX), -EBADF);
	assert_int_equal(set_fd(real.rig, TRIGGER, ERR, 0, null), -EINVAL);
	assert_int_equal(set_fds(real.rig, TRIGGER, MSIX, 0, 3, fds), -EINVAL);
	assert_int_equal(open_descriptors(), real.before);
	assert_int_equal(set_fd(real.rig, TRIGGER, INTX, 0, fd), 0);
	assert_int_equal(set_fd(real.rig, UNMASK, INTX, 0, null), -EINVAL);
	assert_int_equal(set_fd(real.rig, UNMASK, INTX, 0, INT32_MAX), -EBADF);
	assert_int_equal(open_descriptors(), real.before + 1);
	real_done(&real);
	(void)close(null);
	(void)close(fd);
}

static void full_counter_blocks_nobody(void **state)
{
	const uint64_t full = UINT64_MAX - 1;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct real real;
		int fd = eventfd(0, i ? EFD_NONBLOCK : 0);

		real_start(&real);
		assert_int_equal(set_fd(real.rig, TRIGGER, MSIX, 0, fd), 0);
		assert_int_equal(write(fd, &full, sizeof(full)), sizeof(full));
		assert_int_equal(peal_irqset_raise(real.rig->irqset, MSIX, 0), 1);
		assert_true(taken(fd) == full);
		assert_int_equal(peal_irqset_raise(real.rig->irqset, MSIX, 0), 1);
		assert_int_equal(taken(fd), 1);
		real_done(&real);
		(void)close(fd);
	}
}

/* Only what its user has filled is emptied: what he has not read yet is his. */
static void unblock_takes_nothing_from_who_reads(void **state)
{
	const uint64_t most = UINT64_MAX - 1, almost = UINT64_MAX - 2;
	int one = eventfd(0, 0), full = eventfd(0, EFD_NONBLOCK), nearly = eventfd(0, 0);
	struct real real;

	(void)state;
	real_start(&real);
	assert_int_equal(set_fd(real.rig, TRIGGER, MSIX, 2, nearly), 0);
	assert_int_equal(set_fd(real.rig, TRIGGER, MSIX, 0, one), 0);
	assert_int_equal(set_fd(real.rig, TRIGGER, MSIX, 1, full), 0);
	assert_int_equal(peal_irqset_raise(real.rig->irqset, MSIX, 0), 1);
	assert_int_equal(write(full, &most, sizeof(most)), sizeof(most));
	assert_int_equal(write(nearly, &almost, sizeof(almost)), sizeof(almost));
	peal_irqset_unblock(real.rig->irqset);
	assert_int_equal(taken(one), 1);
	assert_int_equal(taken(full), 0);
	assert_true(taken(nearly) == almost);
	real_done(&real);
	(void)close(one);
	(void)close(full);
	(void)close(nearly);
}

static void many_vectors_leave_no_descriptor(void **state)
{
	int32_t fds[64];
	struct real real;

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	real_start(&real);
	for (unsigned n = 0; n < 20; n++) {
		assert_int_equal(set_fds(real.rig, TRIGGER, MSIX, 0, 64, fds), 0);
		assert_int_equal(set_fds(real.rig, TRIGGER, MSIX, 0, 64, fds), 0);
		assert_int_equal(open_descriptors(), real.before + 64);
		assert_int_equal(set_none(real.rig, TRIGGER, MSIX, 0, 0), 0);
		assert_int_equal(open_descriptors(), real.before);
	}
	real_done(&real);
	for (unsigned i = 0; i < 64; i++)
		(void)close(fds[i]);
}

/* Waits for an event; a lost one ends in the test runner's time limit. */
static void await(int fd)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&poller, 1, -1), 1);
	assert_int_equal(taken(fd), 1);
}

static void resample_eventfd_unmasks(void **state)
{
	const uint64_t one = 1;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		int flags = i ? EFD_NONBLOCK : 0;
		int trigger = eventfd(0, flags), resample = eventfd(0, flags);
		struct real real;

		real_start(&real);
		assert_int_equal(set_fd(real.rig, TRIGGER, INTX, 0, trigger), 0);
		peal_irqset_set_intx_line(real.rig->irqset, true);
		await(trigger);
		/* Signalled before it is installed. */
		assert_int_equal(write(resample, &one, sizeof(one)), sizeof(one));
		assert_int_equal(set_fd(real.rig, UNMASK, INTX, 0, resample), 0);
		await(trigger);
		assert_int_equal(set_fd(real.rig, UNMASK, INTX, 0, resample), -EBUSY);
		for (unsigned n = 0; n < 50; n++) {
			assert_int_equal(write(resample, &one, sizeof(one)), sizeof(one));
			await(trigger);
		}
		/* The signals were taken. */
		assert_int_equal(taken(resample), 0);
		assert_int_equal(set_fd(real.rig, UNMASK, INTX, 0, -1), 0);
		assert_int_equal(write(resample, &one, sizeof(one)), sizeof(one));
		assert_int_equal(taken(resample), 1);
		assert_true(peal_irqset_intx_is_masked(real.rig->irqset));
		assert_int_equal(taken(trigger), 0);
		assert_int_equal(set_fd(real.rig, UNMASK, INTX, 0, resample), 0);
		real_done(&real);
		(void)close(trigger);
		(void)close(resample);
	}
}

/* Right before its removal: the thread may have seen it or not, it is never lost. */
static void unmask_right_before_removal_is_not_lost(void **state)
{
	const uint64_t one = 1;
	int trigger = eventfd(0, 0), resample = eventfd(0, 0);
	struct real real;

	(void)state;
	real_start(&real);
	assert_int_equal(set_fd(real.rig, TRIGGER, INTX, 0, trigger), 0);
	peal_irqset_set_intx_line(real.rig->irqset, true);
	assert_int_equal(taken(trigger), 1);
	for (unsigned i = 0; i < 300; i++) {
		assert_int_equal(set_fd(real.rig, UNMASK, INTX, 0, resample), 0);
		assert_int_equal(write(resample, &one, sizeof(one)), sizeof(one));
		assert_int_equal(set_fd(real.rig, UNMASK, INTX, 0, -1), 0);
		assert_int_equal(taken(trigger), 1);
	}
	real_done(&real);
	(void)close(trigger);
	(void)close(resample);
}

/* ---- the thread that waits for watchers ---- */

struct slow {
	struct peal_eventfds *eventfds;
	sem_t entered;
	sem_t go_on;
	void *watcher;
	uint32_t fired;
	uint32_t gone;
};

static void slow_fire(void *argument, bool closed)
{
	struct slow *slow = argument;

	thread_assert(!closed);
	(void)__atomic_fetch_add(&slow->fired, 1, __ATOMIC_SEQ_CST);
	thread_assert(sem_post(&slow->entered) == 0);
	while (sem_wait(&slow->go_on) < 0)
		;
	/* Who takes the watcher away waits. */
	thread_assert(!__atomic_load_n(&slow->gone, __ATOMIC_SEQ_CST));
}

static void count_fire(void *argument, bool closed)
{
	thread_assert(!closed);
	(void)__atomic_fetch_add((uint32_t *)argument, 1, __ATOMIC_SEQ_CST);
}

static void *slow_unwatch(void *user)
{
	struct slow *slow = user;

	peal_eventfds_ops()->unwatch(slow->eventfds, slow->watcher);
	__atomic_store_n(&slow->gone, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* Its user is held up, say: users of others are not. */
static void a_watcher_that_takes_long_holds_up_itself(void **state)
{
	const struct peal_trigger_ops *ops = peal_eventfds_ops();
	int a = eventfd(0, 0), b = eventfd(0, 0);
	struct slow slow = { 0 };
	const uint64_t one = 1;
	uint32_t fired = 0;
	pthread_t thread;
	void *other;

	(void)state;
	assert_int_equal(sem_init(&slow.entered, 0, 0), 0);
	assert_int_equal(sem_init(&slow.go_on, 0, 0), 0);
	assert_int_equal(peal_eventfds_new(&slow.eventfds), 0);
	assert_int_equal(ops->watch(slow.eventfds, a, slow_fire, &slow, &slow.watcher), 0);
	assert_int_equal(write(a, &one, sizeof(one)), sizeof(one));
	while (sem_wait(&slow.entered) < 0)
		;
	assert_int_equal(ops->watch(slow.eventfds, b, count_fire, &fired, &other), 0);
	assert_int_equal(write(b, &one, sizeof(one)), sizeof(one));
	ops->unwatch(slow.eventfds, other);
	assert_int_equal(fired, 1);
	assert_int_equal(pthread_create(&thread, NULL, slow_unwatch, &slow), 0);
	for (unsigned i = 0; i < 100; i++)
		(void)sched_yield();
	assert_int_equal(sem_post(&slow.go_on), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(slow.fired, 1);
	peal_eventfds_free(slow.eventfds);
	(void)sem_destroy(&slow.entered);
	(void)sem_destroy(&slow.go_on);
	(void)close(a);
	(void)close(b);
}

static uint32_t handled;

static void handle(int signal)
{
	(void)signal;
	(void)__atomic_fetch_add(&handled, 1, __ATOMIC_SEQ_CST);
}

/* A program waits for its signals in a thread of its choice. */
static void signals_are_for_the_threads_of_the_program(void **state)
{
	const struct peal_trigger_ops *ops = peal_eventfds_ops();
	const struct sigaction action = { .sa_handler = handle };
	struct sigaction before;
	struct peal_eventfds *eventfds;
	const uint64_t one = 1;
	int fd = eventfd(0, 0), got;
	uint32_t fired = 0;
	sigset_t set, mask;
	void *watcher;

	(void)state;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1);
	assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
	assert_int_equal(peal_eventfds_new(&eventfds), 0);
	assert_int_equal(ops->watch(eventfds, fd, count_fire, &fired, &watcher), 0);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, &mask), 0);
	assert_int_equal(kill(getpid(), SIGUSR1), 0);
	/* The thread does something, so that it would have had it. */
	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
	while (!__atomic_load_n(&fired, __ATOMIC_SEQ_CST))
		(void)sched_yield();
	assert_int_equal(sigwait(&set, &got), 0);
	assert_int_equal(got, SIGUSR1);
	assert_int_equal(handled, 0);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, &mask, NULL), 0);
	assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
	ops->unwatch(eventfds, watcher);
	peal_eventfds_free(eventfds);
	(void)close(fd);
}

static void running_out_of_descriptors_is_an_error(void **state)
{
	int fd = eventfd(0, 0), hoard[64];
	struct rlimit limit, low;
	unsigned count = 0;
	struct real real;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = PEAL_COUNT_OF(hoard);
	real_start(&real);
	assert_int_equal(set_fd(real.rig, TRIGGER, INTX, 0, fd), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	while (count < PEAL_COUNT_OF(hoard) && (hoard[count] = dup(fd)) >= 0)
		count++;
	assert_in_range(count, 4, PEAL_COUNT_OF(hoard) - 1);
	assert_int_equal(set_fd(real.rig, TRIGGER, ERR, 0, fd), -EMFILE);
	/* A watcher needs one, and the first one an epoll and its stop as well. */
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(set_fd(real.rig, UNMASK, INTX, 0, fd), -EMFILE);
		(void)close(hoard[--count]);
	}
	assert_int_equal(set_fd(real.rig, UNMASK, INTX, 0, fd), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	while (count)
		(void)close(hoard[--count]);
	real_done(&real);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_eventfds_are_eventfds),
		cmocka_unit_test(raise_reaches_the_users_eventfd),
		cmocka_unit_test(wrong_descriptor_is_ebadf_or_einval),
		cmocka_unit_test(full_counter_blocks_nobody),
		cmocka_unit_test(unblock_takes_nothing_from_who_reads),
		cmocka_unit_test(many_vectors_leave_no_descriptor),
		cmocka_unit_test(resample_eventfd_unmasks),
		cmocka_unit_test(unmask_right_before_removal_is_not_lost),
		cmocka_unit_test(a_watcher_that_takes_long_holds_up_itself),
		cmocka_unit_test(signals_are_for_the_threads_of_the_program),
		cmocka_unit_test(running_out_of_descriptors_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
