/* SPDX-License-Identifier: BSD-2-Clause */
/* A device of a vfio-user server; or without transport, as `bell:N`, a bell of this process. */
#include <stdlib.h>
#include <string.h>

#include <peal/bell.h>
#include <peal/vfio-function.h>
#include <peal/vfio-user.h>

#include "vfio-open.h"

#define PATIENCE_MS 60000 /* against hangs only */

const char *const vfio_backend = "peal";

static int open_user(struct peal_vfio_device **ret, const char *path)
{
	const struct peal_vfu_client_config config = {
		.host = peal_host_default(),
		.timeout_ms = PATIENCE_MS,
	};
	struct peal_vfu_client *client;
	int fd, r = peal_vfu_connect(&fd, path);

	if (r == 0)
		r = peal_vfu_client_new(&client, &config, fd);
	if (r == 0)
		*ret = peal_vfu_client_device(client);
	return r;
}

/* What it takes lives as long as the program. */
static int open_here(struct peal_vfio_device **ret, unsigned vectors)
{
	const struct peal_bell_config config = {
		.host = peal_host_default(),
		.vectors = vectors,
	};
	struct peal_vfio_function_config function = {
		.host = peal_host_default(),
		.triggers = peal_eventfds_ops(),
	};
	static struct peal_eventfds *eventfds;
	static struct peal_bell *bell;
	struct peal_vfio_function *vfio;
	int r = peal_bell_new(&bell, &config);

	if (r < 0)
		return r;
	r = peal_eventfds_new(&eventfds);
	if (r < 0)
		return r;
	function.function = peal_bell_function(bell);
	function.triggers_user = eventfds;
	r = peal_vfio_function_new(&vfio, &function);
	if (r == 0)
		*ret = peal_vfio_function_device(vfio);
	return r;
}

int vfio_open(struct peal_vfio_device **ret, const char *name)
{
	if (strncmp(name, "bell:", 5) == 0)
		return open_here(ret, (unsigned)strtoul(name + 5, NULL, 10));
	return open_user(ret, name);
}
