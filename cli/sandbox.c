/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A seccomp filter. Whoever takes over a server, through a socket that a guest's VMM holds the other
 * end of, finds no way to open files, to make processes, to reach the network or to bring code.
 */
#include <errno.h>

#include "sandbox.h"

#if PEAL_HAVE_SECCOMP

#include <seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

static const int allowed[] = {
	/* the socket of the client, its descriptors, the triggers */
	SCMP_SYS(accept4),
	SCMP_SYS(close),
	SCMP_SYS(dup),
	SCMP_SYS(dup3),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(eventfd2),
	SCMP_SYS(fcntl),
	SCMP_SYS(getsockopt),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(read),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(shutdown),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	/* the guest's memory */
	SCMP_SYS(brk),
	SCMP_SYS(madvise),
	SCMP_SYS(mremap),
	SCMP_SYS(munmap),
	/* the image */
	SCMP_SYS(fdatasync),
	SCMP_SYS(fstat),
	SCMP_SYS(fstatfs),
	SCMP_SYS(fsync),
	SCMP_SYS(lseek),
	SCMP_SYS(newfstatat),
	SCMP_SYS(pread64),
	SCMP_SYS(preadv),
	SCMP_SYS(preadv2),
	SCMP_SYS(pwrite64),
	SCMP_SYS(pwritev),
	SCMP_SYS(pwritev2),
	SCMP_SYS(statx),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	/* threads, signals, time */
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(futex),
	SCMP_SYS(getpid),
	SCMP_SYS(getrandom),
	SCMP_SYS(gettid),
	SCMP_SYS(membarrier),
	SCMP_SYS(nanosleep),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rseq),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_yield),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(tgkill),
};

static const int mapping[] = { SCMP_SYS(mmap), SCMP_SYS(mprotect) };

#define THREAD_FLAGS 0x00010900u /* CLONE_VM | CLONE_SIGHAND | CLONE_THREAD */

static int add_rules(scmp_filter_ctx filter)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	/* No memory that can be executed but what there is. */
	for (size_t i = 0; r == 0 && i < sizeof(mapping) / sizeof(mapping[0]); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, mapping[i], 1,
				     SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	/* The flags of clone3 cannot be seen: let the C library fall back to clone, of threads. */
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				     SCMP_A0_64(SCMP_CMP_MASKED_EQ, THREAD_FLAGS, THREAD_FLAGS));
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1,
				     SCMP_A0_64(SCMP_CMP_EQ, AF_UNIX, 0));
	/* The names of threads. */
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
				     SCMP_A0_64(SCMP_CMP_EQ, PR_SET_NAME, 0));
	return r;
}

int sandbox_enter(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r;

	if (!filter)
		return -ENOMEM;
	r = add_rules(filter);
	/* For the threads that run already, too. */
	if (r == 0)
		r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}

#else

int sandbox_enter(void)
{
	return -ENOSYS;
}

#endif
