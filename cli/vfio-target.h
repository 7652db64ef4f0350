/* SPDX-License-Identifier: BSD-2-Clause */
/* A device that another process serves: "vfio-user:PATH" on a command line. */
#ifndef PEAL_CLI_VFIO_TARGET_H
#define PEAL_CLI_VFIO_TARGET_H

#include <peal/vfio-user.h>

#define VFIO_TARGET_PREFIX "vfio-user:"

struct vfio_target {
	const char *command; /* for messages */
	const char *name;    /* as it was given */
	struct peal_vfu_client *client;
	struct peal_vfio_device *device;
};

/*
 * Connects to what NAME says (borrowed) and agrees with the server, which has TIMEOUT seconds for
 * each answer. CLI_OK, or the exit code after a message.
 */
int vfio_target_open(struct vfio_target *ret, const char *command, const char *name,
		     double timeout);

/* Also of one that is zero. */
void vfio_target_close(struct vfio_target *target);

/* A message about a request that failed with R; the exit code. */
int vfio_target_failed(const struct vfio_target *target, const char *what, int r);

#endif
