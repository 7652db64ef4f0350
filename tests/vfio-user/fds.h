/* SPDX-License-Identifier: BSD-2-Clause */
/* How many descriptors this process has open: the same before and after every test. */
#ifndef PEAL_TESTS_VFIO_USER_FDS_H
#define PEAL_TESTS_VFIO_USER_FDS_H

#include <dirent.h>

#include "support.h"

static inline unsigned open_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	thread_assert(directory);
	while (readdir(directory))
		count++;
	(void)closedir(directory);
	return count;
}

static inline int fds_setup(void **state)
{
	*state = (void *)(uintptr_t)open_fds();
	return 0;
}

static inline int fds_teardown(void **state)
{
	unsigned before = (unsigned)(uintptr_t)*state, after = open_fds();

	if (before == after)
		return 0;
	print_message("# %u descriptors before the test, %u after it\n", before, after);
	return -1;
}

#define fds_test(name) cmocka_unit_test_setup_teardown(name, fds_setup, fds_teardown)

#endif
