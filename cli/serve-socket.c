/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <peal/vfio-user.h>

#include "options.h"
#include "serve-socket.h"

#define LISTEN_FDS_START 3 /* of systemd's protocol */

/* ---- a path ---- */

static int make_socket(struct serve_socket *s)
{
	int r = peal_vfu_listen(&s->fd, s->path);
	struct stat status;

	if (r == -EADDRINUSE && lstat(s->path, &status) == 0 && !S_ISSOCK(status.st_mode))
		return cli_error(CLI_FAILED, "serve", "%s: there is a file that is no socket",
				 s->path);
	if (r < 0)
		return cli_error(CLI_FAILED, "serve", "%s: %s", s->path,
				 r == -EADDRINUSE ? "another server listens there" : strerror(-r));
	s->is_listening = true;
	s->is_ours = lstat(s->path, &status) == 0;
	s->device = s->is_ours ? status.st_dev : 0;
	s->inode = s->is_ours ? status.st_ino : 0;
	return CLI_OK;
}

void serve_socket_close(struct serve_socket *s)
{
	struct stat status;

	if (!s->is_ours)
		return;
	(void)close(s->fd);
	/* Somebody may have put another server's in its place. */
	if (lstat(s->path, &status) == 0 && status.st_dev == s->device && status.st_ino == s->inode)
		(void)unlink(s->path);
}

/* ---- a descriptor ---- */

static bool is_listening(int fd)
{
	int value = 0;
	socklen_t size = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) == 0 && value;
}

/* A number in the environment, or -1. */
static long environment_number(const char *name)
{
	const char *text = getenv(name);
	char *end = NULL;
	long value = text && *text ? strtol(text, &end, 10) : -1;

	return end && !*end ? value : -1;
}

/* sd_listen_fds(3): how many, for this process; 0: none. */
static long systemd_sockets(void)
{
	long count = environment_number("LISTEN_FDS");

	return environment_number("LISTEN_PID") == (long)getpid() && count > 0 ? count : 0;
}

static int take_socket(struct serve_socket *s, uint64_t fd)
{
	const long count = fd == SERVE_SOCKET_NO_FD ? systemd_sockets() : 1;
	int type;
	socklen_t size = sizeof(type);

	if (count == 0)
		return cli_error(CLI_USAGE, "serve",
				 "where? Give --socket-path=PATH, --fd=FDNUM, or a socket through "
				 "systemd");
	if (count > 1)
		return cli_error(CLI_USAGE, "serve",
				 "systemd gives %ld sockets (LISTEN_FDS), and one device is served "
				 "at one",
				 count);
	s->fd = fd == SERVE_SOCKET_NO_FD ? LISTEN_FDS_START : (int)fd;
	if (getsockopt(s->fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
		return cli_error(CLI_FAILED, "serve", "descriptor %d: %s", s->fd,
				 errno == ENOTSOCK ? "not a socket"
				 : errno == EBADF  ? "not open"
						   : strerror(errno));
	if (type != SOCK_STREAM)
		return cli_error(CLI_FAILED, "serve", "descriptor %d: not a stream socket", s->fd);
	s->is_listening = is_listening(s->fd);
	return CLI_OK;
}

int serve_socket_open(struct serve_socket *s, const char *path, uint64_t fd)
{
	s->path = path;
	return path ? make_socket(s) : take_socket(s, fd);
}
