/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * As many mappings as there can be. Linux counts those of a process (vm.max_map_count), and a page
 * that is replaced in the middle of one takes two more. (ThreadSanitizer needs some, too: not there.)
 */
#include "pattern.h"

#include <signal.h>

#include "vfio/user/sigbus.h"

static struct sigaction own_handler;

struct shrunk {
	struct peal_space *space;
	uint64_t maps;
	uint64_t sum; /* of all that was read */
	int result;
};

/* While a command is handled: until then the client is not let go. */
static void read_shrunk(void *user, uint64_t offset, size_t size)
{
	struct shrunk *shrunk = user;

	(void)offset;
	(void)size;
	for (uint64_t i = 0; i < shrunk->maps; i += 100) {
		/* In the middle, at some place of the others, at the end. */
		for (uint64_t page = 1; page < 16; page += 7) {
			uint64_t value;

			shrunk->result |= peal_space_read(shrunk->space, i * SIZE + page * 4096,
							  &value, sizeof(value));
			shrunk->sum |= value;
		}
	}
}

static void a_file_that_shrinks_when_all_mappings_are_used(void **state)
{
	const struct vfu_region_access access = { 0, RIG_BAR, 0 };
	int fd = pattern_file();
	uint8_t write[sizeof(access) + 1];
	struct sigaction cmocka;
	struct shrunk shrunk = { 0 };
	struct rig rig;

	(void)state;
	assert_int_equal(sigaction(SIGBUS, &own_handler, &cmocka), 0);
	rig_start(&rig);
	shrunk.space = rig.space;
	rig.fake.on_write = read_shrunk;
	rig.fake.user = &shrunk;
	for (uint64_t n = 0; n < 65535; n++) {
		const struct vfu_dma_map map = { 32, 3, 0, n * SIZE, SIZE };

		rig_send_fds(&rig, VFU_DMA_MAP, VFU_NO_REPLY, &map, sizeof(map), &fd, 1);
	}
	assert_int_equal(rig_read(&rig, RIG_BAR, 0, 4), 0);
	shrunk.maps = rig_counters(&rig).dma_maps;
	assert_int_equal(ftruncate(fd, 4096), 0);
	memcpy(write, &access, sizeof(access));
	write[12] = 1;
	rig_send_fds(&rig, VFU_REGION_WRITE, 0, write, sizeof(write), NULL, 0);
	rig_expect_end(&rig);
	assert_int_equal(rig_disconnect(&rig), -EFAULT);
	assert_true(shrunk.maps > 1000 && shrunk.result == 0 && shrunk.sum == 0);
	/* All of them can be had again. */
	rig_connect(&rig);
	assert_int_equal(rig_version(&rig, 0, 0, RIG_QEMU), 0);
	for (uint64_t n = 0; n < 100; n++)
		assert_int_equal(rig_map(&rig, n * SIZE, 4096, 3, fd, 0), 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(sigaction(SIGBUS, &cmocka, NULL), 0);
	rig_done(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fds_test(a_file_that_shrinks_when_all_mappings_are_used),
	};

	if (vfu_sigbus_install() < 0 || sigaction(SIGBUS, NULL, &own_handler) < 0)
		return EXIT_FAILURE;
	return cmocka_run_group_tests_name("vfio-user DMA, many mappings", tests, NULL, NULL);
}
