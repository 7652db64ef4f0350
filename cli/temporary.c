/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "temporary.h"

#define TEMPORARY_SIZE ((uint64_t)64 << 20)

static int fill(int fd, const volatile int *stop)
{
	static uint8_t piece[1 << 20];

	for (uint64_t at = 0; at < TEMPORARY_SIZE; at += sizeof(piece)) {
		/* Any content will do as long as no two blocks are alike. */
		for (size_t i = 0; i < sizeof(piece); i += 8) {
			uint64_t value = (at + i) * UINT64_C(0x9e3779b97f4a7c15) ^ 0x7065616c;

			memcpy(piece + i, &value, 8);
		}
		for (size_t done = 0; done < sizeof(piece);) {
			ssize_t n =
				pwrite(fd, piece + done, sizeof(piece) - done, (off_t)(at + done));

			if (stop && *stop)
				return -EINTR;
			if (n < 0 && errno != EINTR)
				return -errno;
			done += n > 0 ? (size_t)n : 0;
		}
	}
	return 0;
}

int temporary_make(char *path, size_t size, const volatile int *stop)
{
	const char *directory = getenv("TMPDIR");
	int fd, r;

	directory = directory && *directory ? directory : "/tmp";
	fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0) {
		/* A file system without nameless files. */
		if ((size_t)snprintf(path, size, "%s/peal-run-XXXXXX", directory) >= size)
			return -ENAMETOOLONG;
		fd = mkostemp(path, O_CLOEXEC);
		if (fd < 0)
			return -errno;
		(void)unlink(path);
	}
	r = fill(fd, stop);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	(void)snprintf(path, size, "/proc/self/fd/%d", fd);
	return fd;
}
