/* SPDX-License-Identifier: BSD-2-Clause */
/* Processes of a bench. Linux, for close_range and PR_SET_PDEATHSIG. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "context.h"
#include "process.h"

#define LOOKS 1000u /* some 200 us: who waits for longer is not the one that is measured */

int bench_process_start(struct bench_process *ret, struct bench_context *context, unsigned cpu,
			void (*work)(int fd, const void *user), const void *user)
{
	int pair[2], r;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		r = -errno;
		(void)close(pair[0]);
		(void)close(pair[1]);
		return r;
	}
	if (pid == 0) {
		/* An end of another process's socket that stayed open would keep that from its end. */
		int fd = dup2(pair[1], STDERR_FILENO + 1);

		(void)close_range(STDERR_FILENO + 2, UINT_MAX, 0);
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		bench_pin(context, cpu);
		work(fd, user);
		_exit(0);
	}
	(void)close(pair[1]);
	*ret = (struct bench_process){ pid, pair[0] };
	return 0;
}

void bench_process_end(struct bench_process *process)
{
	if (!process->pid)
		return;
	if (process->fd >= 0)
		(void)close(process->fd);
	while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR)
		;
	process->pid = 0;
}

int bench_send(int fd, void *bytes, size_t size)
{
	struct iovec part = { .iov_base = bytes, .iov_len = size };
	const struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };
	ssize_t n = sendmsg(fd, &msg, MSG_NOSIGNAL);

	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -ECONNRESET;
}

int bench_receive(int fd, void *bytes, size_t size, int flags)
{
	struct iovec part = { .iov_base = bytes, .iov_len = size };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };
	unsigned looks = 0;
	ssize_t n;

	do {
		n = recvmsg(fd, &msg, looks++ < LOOKS ? flags : 0);
	} while (n < 0 && (errno == EAGAIN || errno == EINTR));
	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -ECONNRESET;
}
