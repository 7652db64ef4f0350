/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory of a client whose bytes tell where they are. */
#ifndef PEAL_TESTS_VFIO_USER_PATTERN_H
#define PEAL_TESTS_VFIO_USER_PATTERN_H

#include "rig.h"

#define SIZE 65536u

/* A file whose byte at N is that of pattern(N). */
static inline uint8_t pattern(size_t n)
{
	return (uint8_t)(n / 4096 * 17 + n);
}

static inline int pattern_file(void)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);
	uint8_t bytes[SIZE];

	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = pattern(i);
	assert_int_equal(write(fd, bytes, SIZE), SIZE);
	return fd;
}

#endif
