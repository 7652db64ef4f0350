/* SPDX-License-Identifier: BSD-2-Clause */
/* Where clients come from: a path, a descriptor, or systemd (sd_listen_fds(3)). */
#ifndef PEAL_CLI_SERVE_SOCKET_H
#define PEAL_CLI_SERVE_SOCKET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SERVE_SOCKET_NO_FD UINT64_MAX

struct serve_socket {
	int fd;
	bool is_listening; /* clients connect to it; else it is connected to one */
	const char *path;  /* borrowed; NULL: a descriptor */
	bool is_ours;      /* the file at PATH was made here, and is this one: */
	dev_t device;
	ino_t inode;
};

/* Listens at PATH; without, takes FD, or without that what systemd gives. CLI_OK, or the exit code
 * after a message. */
int serve_socket_open(struct serve_socket *s, const char *path, uint64_t fd);

/* Removes the file, if it was made here and nobody else has put his own there. */
void serve_socket_close(struct serve_socket *s);

#endif
