/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PEAL_SRC_VFIO_EVENTFD_H
#define PEAL_SRC_VFIO_EVENTFD_H

#include <stdbool.h>

/*
 * Is FD, which is open, an eventfd? PROC: where the links of descriptors are, "/proc/self/fd"; if
 * there is nothing, the descriptor's behaviour has to tell.
 */
bool eventfd_is(int fd, const char *proc);

#endif
