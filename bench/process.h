/* SPDX-License-Identifier: BSD-2-Clause */
/* A process of a bench at the other end of a socket. */
#ifndef PEAL_BENCH_PROCESS_H
#define PEAL_BENCH_PROCESS_H

#include <sys/types.h>

#include "bench.h"

struct bench_process {
	pid_t pid; /* 0: there is none */
	int fd;    /* our end of a stream socket; -1: given away */
};

/*
 * Runs WORK in a process on the CPU-th CPU, until it returns; FD is its end of the socket, and its
 * only descriptor but 0, 1 and 2. Before there are threads. -errno.
 */
int bench_process_start(struct bench_process *ret, struct bench_context *context, unsigned cpu,
			void (*work)(int fd, const void *user), const void *user);

/* Closes our end, if it was not given away, and waits for the process, which is to see that. */
void bench_process_end(struct bench_process *process);

/*
 * A bare message over the socket: one sendmsg, one recvmsg (FLAGS: with MSG_DONTWAIT it looks
 * many times before it sleeps). 0; -ECONNRESET: not whole; -errno.
 */
int bench_send(int fd, void *bytes, size_t size);
int bench_receive(int fd, void *bytes, size_t size, int flags);

#endif
