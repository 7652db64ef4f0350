/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <peal/bits.h>

#include "options.h"
#include "vfio-target.h"

/* ---- is somebody else connected? ---- */

/* Where the server has bound its socket, which may be another path to it than ours; "": unknown. */
static void find_peer(int fd, struct sockaddr_un *ret)
{
	socklen_t size = sizeof(*ret) - 1;

	memset(ret, 0, sizeof(*ret));
	if (getpeername(fd, (struct sockaddr *)ret, &size) < 0)
		memset(ret, 0, sizeof(*ret));
}

/*
 * Does the server serve a connection while ours waits to be accepted? A line of /proc/net/unix
 * (proc(5)) is a socket; those of a listener's connections have its path, and state 3, connected,
 * once they are accepted, 2 before that. Ours is still open.
 */
static bool is_busy(const struct sockaddr_un *peer)
{
	FILE *file = peer->sun_path[0] ? fopen("/proc/net/unix", "re") : NULL;
	char line[512];
	bool has[4] = { false };

	while (file && fgets(line, sizeof(line), file)) {
		unsigned state;
		int at = 0;

		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%*s %*x %*x %*x %*x %x %*u %n", &state, &at) == 1 && at &&
		    state < PEAL_COUNT_OF(has) && strcmp(line + at, peer->sun_path) == 0)
			has[state] = true;
	}
	if (file)
		(void)fclose(file);
	return has[2] && has[3];
}

/* ---- messages ---- */

static int cannot_connect(const struct vfio_target *target, const char *path, int r)
{
	static const struct {
		int error;
		const char *text;
	} rows[] = {
		{ -ENOENT, "no such socket" },
		{ -ENAMETOOLONG, "a socket's path has at most 107 bytes" },
		{ -EPROTOTYPE, "not a stream socket" },
		{ -ETIMEDOUT, "nobody accepts the connection: the server serves others, one at a "
			      "time, or is stopped" },
	};
	const char *text = strerror(-r);
	struct stat status;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].error == r)
			text = rows[i].text;
	}
	if (r == -ECONNREFUSED)
		text = stat(path, &status) == 0 && !S_ISSOCK(status.st_mode)
			       ? "not a socket"
			       : "nobody listens there; its server has ended";
	return cli_error(CLI_FAILED, target->command, "%s: %s", target->name, text);
}

static int cannot_agree(const struct vfio_target *target, const struct sockaddr_un *peer, int r)
{
	const char *text = strerror(-r);

	if (r == -ETIMEDOUT)
		text = is_busy(peer)
			       ? "somebody else is connected, and a server serves one client "
				 "at a time"
			       : "no answer: the server is stopped, serves another client, or "
				 "does not speak vfio-user";
	else if (r == -EPROTO || r == -EMSGSIZE)
		text = "what answers there does not speak vfio-user 0.x";
	else if (r == -ECONNRESET || r == -EPIPE)
		text = "the server hung up; does it speak vfio-user?";
	return cli_error(CLI_FAILED, target->command, "%s: %s", target->name, text);
}

int vfio_target_failed(const struct vfio_target *target, const char *what, int r)
{
	const char *text = strerror(-r);

	if (r == -ECONNRESET || r == -EPIPE)
		text = "the server has gone";
	else if (r == -ETIMEDOUT)
		text = "the server does not answer any more";
	else if (r == -EPROTO)
		text = "the server answers nonsense";
	return cli_error(CLI_FAILED, target->command, "%s: %s: %s", target->name, what, text);
}

/* ---- life ---- */

int vfio_target_open(struct vfio_target *ret, const char *command, const char *name, double timeout)
{
	const struct peal_vfu_client_config config = {
		.host = peal_host_default(),
		.timeout_ms = timeout < 1e6 ? (int)(timeout * 1000) + 1 : -1,
	};
	struct vfio_target target = { .command = command, .name = name };
	const size_t prefix = strlen(VFIO_TARGET_PREFIX);
	struct sockaddr_un peer;
	int fd, copy, r;

	if (strncmp(name, VFIO_TARGET_PREFIX, prefix) != 0 || !name[prefix])
		return cli_error(CLI_USAGE, command,
				 "%s: takes " VFIO_TARGET_PREFIX "PATH, the socket of a server",
				 name);
	r = peal_vfu_connect(&fd, name + prefix);
	if (r < 0)
		return cannot_connect(&target, name + prefix, r);
	find_peer(fd, &peer);
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* is_busy() */
	r = peal_vfu_client_new(&target.client, &config, fd);
	if (r < 0)
		(void)cannot_agree(&target, &peer, r);
	if (copy >= 0)
		(void)close(copy);
	if (r < 0)
		return CLI_FAILED;
	target.device = peal_vfu_client_device(target.client);
	*ret = target;
	return CLI_OK;
}

void vfio_target_close(struct vfio_target *target)
{
	peal_vfu_client_free(target->client);
	target->client = NULL;
}
