/* SPDX-License-Identifier: BSD-2-Clause */
/* DMA: files that are mapped, and files that shrink. */
#include "pattern.h"

#include <signal.h>

#include "vfio/user/sigbus.h"

static void files_are_mapped_at_their_offset(void **state)
{
	int fd = pattern_file();
	uint8_t bytes[64];
	struct rig rig;

	(void)state;
	rig_start(&rig);
	assert_int_equal(rig_map(&rig, 0x100000, 8192, 3, fd, 4096), 0);
	assert_int_equal(peal_space_read(rig.space, 0x100010, bytes, 64), 0);
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(bytes[i], pattern(4096 + 16 + i));
	/* In the middle of a page, and over its end. */
	assert_int_equal(rig_map(&rig, 0x200000, 5000, 3, fd, 4096 + 1234), 0);
	assert_int_equal(peal_space_read(rig.space, 0x200000 + 4990, bytes, 10), 0);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(bytes[i], pattern(4096 + 1234 + 4990 + i));
	assert_int_equal(peal_space_read(rig.space, 0x200000 + 4991, bytes, 10), -EFAULT);
	assert_int_equal(peal_space_write(rig.space, 0x101000, "written", 7), 0);
	assert_int_equal(pread(fd, bytes, 7, 8192), 7);
	assert_memory_equal(bytes, "written", 7);
	assert_int_equal(close(fd), 0);
	rig_done(&rig);
}

static void access_is_what_the_flags_say(void **state)
{
	int fd = pattern_file();
	uint8_t byte;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	assert_int_equal(rig_map(&rig, 0x1000, 4096, 1, fd, 0), 0);
	assert_int_equal(rig_map(&rig, 0x2000, 4096, 2, fd, 0), 0);
	assert_int_equal(rig_map(&rig, 0x3000, 4096, 1, -1, 0), 0);
	assert_int_equal(peal_space_read(rig.space, 0x1000, &byte, 1), 0);
	assert_int_equal(peal_space_write(rig.space, 0x1000, &byte, 1), -EFAULT);
	assert_int_equal(peal_space_read(rig.space, 0x2000, &byte, 1), -EFAULT);
	assert_int_equal(peal_space_write(rig.space, 0x2000, &byte, 1), 0);
	assert_int_equal(peal_space_write(rig.space, 0x3000, &byte, 1), -EFAULT);
	assert_int_equal(close(fd), 0);
	rig_done(&rig);
}

static void overlaps_are_refused(void **state)
{
	struct rig rig;

	(void)state;
	rig_start(&rig);
	assert_int_equal(rig_map(&rig, 0x10000, 0x2000, 3, -1, 0), 0);
	assert_int_equal(rig_map(&rig, 0x10000, 0x2000, 3, -1, 0), -EEXIST);
	assert_int_equal(rig_map(&rig, 0xf000, 0x1001, 3, -1, 0), -EEXIST);
	assert_int_equal(rig_map(&rig, 0x11fff, 0x1000, 3, -1, 0), -EEXIST);
	assert_int_equal(rig_map(&rig, 0x10800, 0x10, 3, -1, 0), -EEXIST);
	assert_int_equal(rig_map(&rig, 0, UINT64_MAX, 3, -1, 0), -EEXIST);
	assert_int_equal(rig_map(&rig, 0xf000, 0x1000, 3, -1, 0), 0);
	assert_int_equal(rig_map(&rig, 0x12000, 0x1000, 3, -1, 0), 0);
	assert_int_equal(rig_map(&rig, UINT64_MAX, 1, 3, -1, 0), 0);
	assert_int_equal(rig_counters(&rig).dma_maps, 4);
	rig_done(&rig);
}

/* Large ranges over many mappings or none, as QEMU sends them with a virtual IOMMU. */
static void unmap_takes_all_that_is_inside(void **state)
{
	int fd = pattern_file();
	struct rig rig;

	(void)state;
	rig_start(&rig);
	for (uint64_t i = 0; i < 16; i++)
		assert_int_equal(
			rig_map(&rig, 0x10000 + i * 4096, 4096, 3, i % 3 ? fd : -1, i * 4096), 0);
	assert_int_equal(rig_unmap(&rig, 0x10000 + 4096, 4096, 0), 0);
	assert_int_equal(rig.message.size, 24); /* the request again */
	assert_int_equal(rig_counters(&rig).dma_maps, 15);
	assert_false(peal_space_is_memory(rig.space, 0x11000, 1, PEAL_MEM_READ));
	assert_int_equal(rig_unmap(&rig, 0x10000 + 4096, 4096, 0), 0);
	assert_int_equal(rig_unmap(&rig, 0x18000, 0x8000000, 0), 0);
	assert_int_equal(rig_counters(&rig).dma_maps, 7);
	assert_int_equal(rig_unmap(&rig, 0x800, 0x10000, 0), -EINVAL); /* ends inside one */
	assert_int_equal(rig_unmap(&rig, 0x10800, 0x10000, 0), -EINVAL);
	assert_int_equal(rig_unmap(&rig, 0x10800, 16, 0), -EINVAL);
	assert_int_equal(rig_counters(&rig).dma_maps, 7);
	assert_int_equal(rig_unmap(&rig, 0, 0, VFU_DMA_UNMAP_ALL), 0);
	assert_int_equal(rig_counters(&rig).dma_maps, 0);
	assert_int_equal(rig_unmap(&rig, 0, UINT64_MAX, 0), 0);
	assert_int_equal(close(fd), 0);
	rig_done(&rig);
}

static void maps_are_limited(void **state)
{
	const struct peal_vfu_server_config config = { .max_dma_maps = 100 };
	struct rig rig;

	(void)state;
	rig_init_config(&rig, &config);
	rig_connect(&rig);
	assert_int_equal(rig_version(&rig, 0, 0, RIG_QEMU), 0);
	for (uint64_t i = 0; i < 100; i++) /* backwards: each goes to the front of the table */
		assert_int_equal(rig_map(&rig, (1000 - i) * 4096, 4096, 3, -1, 0), 0);
	assert_int_equal(rig_map(&rig, 0, 4096, 3, -1, 0), -ENOSPC);
	assert_int_equal(rig_unmap(&rig, 1000 * 4096, 4096, 0), 0);
	assert_int_equal(rig_map(&rig, 0, 4096, 3, -1, 0), 0);
	rig_done(&rig);
}

static void files_that_cannot_be_mapped_are_refused(void **state)
{
	int fd = pattern_file(), pipes[2], read_only;
	char path[64];
	struct rig rig;

	(void)state;
	rig_start(&rig);
	assert_int_equal(rig_map(&rig, 0, SIZE + 1, 3, fd, 0), -EINVAL);
	assert_int_equal(rig_map(&rig, 0, 4096, 3, fd, SIZE - 4095), -EINVAL);
	assert_int_equal(pipe(pipes), 0);
	assert_true(rig_map(&rig, 0, 4096, 3, pipes[0], 0) < 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	read_only = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(rig_map(&rig, 0, 4096, 3, read_only, 0), -EACCES);
	assert_int_equal(rig_map(&rig, 0, 4096, 1, read_only, 0), 0);
	assert_int_equal(rig_counters(&rig).dma_maps, 1);
	assert_int_equal(close(fd) + close(pipes[0]) + close(pipes[1]) + close(read_only), 0);
	rig_done(&rig);
}

/* cmocka has a handler of its own around each test. */
static struct sigaction own_handler;

static void a_file_that_shrinks_costs_the_connection_only(void **state)
{
	int fd = pattern_file();
	uint8_t bytes[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct sigaction cmocka;
	struct rig rig;

	(void)state;
	assert_int_equal(sigaction(SIGBUS, &own_handler, &cmocka), 0);
	rig_start(&rig);
	assert_int_equal(rig_map(&rig, 0, SIZE, 3, fd, 0), 0);
	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_int_equal(peal_space_read(rig.space, 0, bytes, 8), 0);
	assert_int_equal(bytes[1], pattern(1));
	/* Behind the end: zeros, and the client is gone. */
	assert_int_equal(peal_space_read(rig.space, 8192 + 4092, bytes, 8), 0);
	assert_memory_equal(bytes, "\0\0\0\0\0\0\0\0", 8);
	rig_expect_end(&rig);
	assert_int_equal(rig_disconnect(&rig), -EFAULT);
	assert_int_equal(rig_counters(&rig).truncated, 2);
	/* The next one is served. */
	rig_connect(&rig);
	assert_int_equal(rig_version(&rig, 0, 0, RIG_QEMU), 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(sigaction(SIGBUS, &cmocka, NULL), 0);
	rig_done(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fds_test(files_are_mapped_at_their_offset),
		fds_test(access_is_what_the_flags_say),
		fds_test(overlaps_are_refused),
		fds_test(unmap_takes_all_that_is_inside),
		fds_test(maps_are_limited),
		fds_test(files_that_cannot_be_mapped_are_refused),
		fds_test(a_file_that_shrinks_costs_the_connection_only),
	};

	if (vfu_sigbus_install() < 0 || sigaction(SIGBUS, NULL, &own_handler) < 0)
		return EXIT_FAILURE;
	return cmocka_run_group_tests_name("vfio-user DMA", tests, NULL, NULL);
}
