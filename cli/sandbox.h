/* SPDX-License-Identifier: BSD-2-Clause */
/* What a server may ask of the kernel once it runs. */
#ifndef PEAL_CLI_SANDBOX_H
#define PEAL_CLI_SANDBOX_H

/*
 * From now on this process and its threads have only the system calls that serving a device takes;
 * others fail with EPERM. New privileges cannot be had any more. 0; -ENOSYS: built without
 * libseccomp; -ENOTSUP: a filter from outside forbids seccomp(2); -errno.
 */
int sandbox_enter(void);

#endif
