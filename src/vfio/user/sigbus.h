/* SPDX-License-Identifier: BSD-2-Clause */
/* SIGBUS on memory that a client shares and may truncate. */
#ifndef PEAL_VFIO_USER_SIGBUS_H
#define PEAL_VFIO_USER_SIGBUS_H

#include <stddef.h>
#include <stdint.h>

struct vfu_sigbus_range;

/* Installs the handler once for the process. 0 or -errno. */
int vfu_sigbus_install(void);

/*
 * From now on a SIGBUS in [BASE, BASE + LENGTH) puts zeroed memory in place of the page (of
 * PAGE bytes) at least, sets *FAULTED, advances *COUNTER and shuts the socket FD down. NULL: no
 * memory, or more ranges than the kernel has mappings for.
 */
struct vfu_sigbus_range *vfu_sigbus_add(void *base, size_t length, size_t page, int fd,
					uint32_t *faulted, uint64_t *counter);

/* Nobody accesses the range any more. NULL is fine. */
void vfu_sigbus_remove(struct vfu_sigbus_range *range);

#endif
