/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads of the library in a program that is not ours. pthread_sigmask(3), signal(7).
 *
 * Signals are for the threads of the program, which may wait for them in a thread of its choice. Not
 * those that a thread brings upon itself: where they are blocked the kernel ends the process, whatever
 * handler there is, and SIGBUS has one (vfio/user/sigbus.c).
 */
#ifndef PEAL_BASE_THREAD_POSIX_H
#define PEAL_BASE_THREAD_POSIX_H

#include <pthread.h>
#include <signal.h>

/* As pthread_create(). 0 or -errno. */
static inline int peal_thread_create(pthread_t *ret, const pthread_attr_t *attributes,
				     void *(*run)(void *argument), void *argument)
{
	static const int own[] = { SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGSYS };
	sigset_t others, before;
	int error;

	(void)sigfillset(&others);
	for (unsigned i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		(void)sigdelset(&others, own[i]);
	(void)pthread_sigmask(SIG_SETMASK, &others, &before);
	error = pthread_create(ret, attributes, run, argument);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

#endif
