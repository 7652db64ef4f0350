/* SPDX-License-Identifier: BSD-2-Clause */
/* An image of 64 MiB that cannot be left behind: it has no name. */
#ifndef PEAL_CLI_TEMPORARY_H
#define PEAL_CLI_TEMPORARY_H

#include <stddef.h>

/*
 * The descriptor, and in PATH the name under which this process reaches it, /proc/self/fd/N. Or
 * -errno; -EINTR: *STOP became non-zero (NULL: nobody asks to stop).
 */
int temporary_make(char *path, size_t size, const volatile int *stop);

#endif
