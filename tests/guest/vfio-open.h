/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the programs for VFIO find their device. They are linked twice: for a guest, with
 * vfio-open-kernel.c, and for here, with vfio-open-user.c; all else of them is the same.
 */
#ifndef PEAL_TESTS_GUEST_VFIO_OPEN_H
#define PEAL_TESTS_GUEST_VFIO_OPEN_H

#include <peal/vfio.h>

/* NAME: 0000:00:03.0 for the kernel's, the path of a socket for vfio-user. 0 or -errno. */
int vfio_open(struct peal_vfio_device **ret, const char *name);

/* What a message of an error calls it. */
extern const char *const vfio_backend;

#endif
