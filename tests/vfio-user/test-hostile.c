/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a client may do wrong: each has an error reply or a closed connection, nothing changes, and
 * the next client is served. Bytes go to the socket as they are, not through our own channel.
 */
#include "rig.h"

#define TRIGGER_FDS (PEAL_VFIO_DATA_EVENTFD | PEAL_VFIO_ACTION_TRIGGER)

static void raw(struct rig *rig, const void *bytes, size_t size)
{
	assert_int_equal(send(rig->peer.fd, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
}

static void raw_header(struct rig *rig, uint16_t command, uint32_t size, uint32_t flags)
{
	const struct vfu_header header = { ++rig->id, command, size, flags, 0 };

	raw(rig, &header, sizeof(header));
}

/* The client is gone; another one finds the device as it was. */
static void expect_end_and_next(struct rig *rig, int result)
{
	rig_expect_end(rig);
	assert_int_equal(rig_disconnect(rig), result);
	rig_connect(rig);
	assert_int_equal(rig_version(rig, 0, 0, RIG_QEMU), 0);
	assert_int_equal(rig_read(rig, PEAL_VFIO_REGION_CONFIG, 0, 4), 0);
	assert_int_equal(rig_counters(rig).dma_maps, 0);
}

/* ---- the stream ---- */

static void a_size_below_the_header_ends_it(void **state)
{
	(void)state;
	for (uint32_t size = 0; size < 16; size += 5) {
		struct rig rig;

		rig_start(&rig);
		raw_header(&rig, VFU_DEVICE_RESET, size, 0);
		expect_end_and_next(&rig, -EPROTO);
		assert_int_equal(rig.fake.resets, 0);
		rig_done(&rig);
	}
}

static void a_huge_size_takes_no_memory(void **state)
{
	static const uint32_t sizes[] = { UINT32_MAX, 0x80000000, 16 << 20, (1 << 20) + 200 };

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct rig rig;
		int64_t before;

		rig_start(&rig);
		before = __atomic_load_n(&rig.host.bytes, __ATOMIC_RELAXED);
		raw_header(&rig, VFU_REGION_WRITE, sizes[i], 0);
		/* It is told why. */
		assert_int_equal(rig_reply(&rig, VFU_REGION_WRITE), -EMSGSIZE);
		assert_true(__atomic_load_n(&rig.host.bytes, __ATOMIC_RELAXED) <= before);
		expect_end_and_next(&rig, -EPROTO);
		rig_done(&rig);
		/* A reply is not replied to. */
		rig_start(&rig);
		raw_header(&rig, VFU_DMA_READ, sizes[i], VFU_TYPE_REPLY);
		expect_end_and_next(&rig, -EPROTO);
		rig_done(&rig);
	}
}

static void neither_command_nor_reply_ends_it(void **state)
{
	(void)state;
	for (uint32_t type = 2; type < 16; type++) {
		struct rig rig;

		rig_start(&rig);
		raw_header(&rig, VFU_DEVICE_RESET, 16, type);
		expect_end_and_next(&rig, -EPROTO);
		rig_done(&rig);
	}
}

/* Cut at every byte: what was there before stays, what came along is closed. */
static void a_client_that_vanishes_in_a_message(void **state)
{
	struct {
		struct vfu_header header;
		struct vfu_dma_map map;
	} m = { { 1, VFU_DMA_MAP, 48, 0, 0 }, { 32, 3, 0, 0x1000, 4096 } };
	unsigned before;
	struct rig rig;
	int fd = memfd_create("ram", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(ftruncate(fd, 4096), 0);
	rig_start(&rig);
	before = open_fds();
	for (size_t size = 1; size < sizeof(m); size++) {
		char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = { 0 };
		struct iovec part = { &m, size };
		struct msghdr msg = { .msg_iov = &part,
				      .msg_iovlen = 1,
				      .msg_control = control,
				      .msg_controllen = sizeof(control) };
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
		assert_int_equal(sendmsg(rig.peer.fd, &msg, 0), (ssize_t)size);
		assert_int_equal(rig_disconnect(&rig), 0);
		assert_int_equal(rig_counters(&rig).dma_maps, 0);
		rig_connect(&rig);
		assert_int_equal(rig_version(&rig, 0, 0, RIG_QEMU), 0);
	}
	assert_int_equal(open_fds(), before);
	assert_int_equal(close(fd), 0);
	rig_done(&rig);
}

static void a_client_that_stops_in_a_message(void **state)
{
	const struct peal_vfu_server_config config = { .timeout_ms = 30 };
	struct rig rig;

	(void)state;
	rig_init_config(&rig, &config);
	rig_connect(&rig);
	assert_int_equal(rig_version(&rig, 0, 0, RIG_QEMU), 0);
	raw(&rig, "1234567", 7);
	expect_end_and_next(&rig, -ETIMEDOUT);
	raw_header(&rig, VFU_DEVICE_RESET, 17, 0);
	expect_end_and_next(&rig, -ETIMEDOUT);
	rig_done(&rig);
}

/* It asks and asks and never reads: the server does not wait for ever, nor keep it in memory. */
static void a_client_that_does_not_read(void **state)
{
	const struct peal_vfu_server_config config = { .timeout_ms = 30 };
	struct {
		struct vfu_header header;
		struct vfu_region_access access;
	} m = { { 1, VFU_REGION_READ, 32, 0, 0 }, { 0, RIG_BAR, RIG_BAR_SIZE } };
	struct rig rig;

	(void)state;
	rig_init_config(&rig, &config);
	rig_connect(&rig);
	assert_int_equal(rig_version(&rig, 0, 0, RIG_QEMU), 0);
	while (send(rig.peer.fd, &m, sizeof(m), MSG_NOSIGNAL) == sizeof(m))
		;
	assert_true(errno == EPIPE || errno == ECONNRESET);
	assert_int_equal(rig_disconnect(&rig), -ETIMEDOUT);
	rig_done(&rig);
}

/* ---- commands ---- */

static void unknown_commands_keep_the_connection(void **state)
{
	static const uint16_t numbers[] = { 0, 11, 12, 14, 19, 255, 0xffff };
	const uint8_t payload[64] = { 0 };
	struct rig rig;

	(void)state;
	rig_start(&rig);
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		assert_int_equal(rig_ask(&rig, numbers[i], payload, i * 8), -ENOSYS);
		assert_int_equal(rig_read(&rig, PEAL_VFIO_REGION_CONFIG, 1, 1), 0);
	}
	rig_done(&rig);
}

/* Every command at every length up to more than it has, of bytes that are all alike. */
static void every_length_of_every_command(void **state)
{
	static const uint8_t fills[] = { 0x00, 0x01, 0x7f, 0xff };
	uint8_t payload[80];
	struct rig rig;

	(void)state;
	rig_start(&rig);
	for (uint16_t command = 0; command < 20; command++) {
		for (size_t size = 0; size < sizeof(payload); size++) {
			for (unsigned fill = 0; fill < sizeof(fills); fill++) {
				memset(payload, fills[fill], size);
				(void)rig_ask(&rig, command, payload, size);
				vfu_fds_close(&rig.message.fds);
			}
		}
	}
	assert_int_equal(rig_read(&rig, PEAL_VFIO_REGION_CONFIG, 0, 256), 0);
	rig_done(&rig);
}

static void nothing_before_version(void **state)
{
	struct vfu_device_info info = { .argsz = 16 };
	struct rig rig;

	(void)state;
	rig_init(&rig);
	assert_int_equal(rig_ask(&rig, VFU_DEVICE_GET_INFO, &info, sizeof(info)), -EINVAL);
	assert_int_equal(rig_map(&rig, 0, 4096, 3, -1, 0), -EINVAL);
	assert_int_equal(rig_ask(&rig, VFU_DEVICE_RESET, NULL, 0), -EINVAL);
	assert_int_equal(rig.fake.resets, 0);
	assert_int_equal(rig_version(&rig, 0, 0, RIG_QEMU), 0);
	/* And no second one. */
	assert_int_equal(rig_version(&rig, 0, 0, RIG_QEMU), -EINVAL);
	assert_int_equal(rig_ask(&rig, VFU_DEVICE_RESET, NULL, 0), 0);
	rig_done(&rig);
}

static void json_that_is_not_json_ends_it(void **state)
{
	static const char *const texts[] = { "{", "nonsense", "{\"capabilities\":[]}",
					     "{\"capabilities\":{\"max_msg_fds\":\"many\"}}" };

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct rig rig;

		rig_init(&rig);
		assert_int_equal(rig_version(&rig, 0, 0, texts[i]), -EINVAL);
		expect_end_and_next(&rig, 0);
		rig_done(&rig);
	}
}

static void replies_that_nobody_asked_for(void **state)
{
	struct rig rig;

	(void)state;
	rig_start(&rig);
	for (uint16_t command = 0; command < 20; command++)
		rig_send_fds(&rig, command, VFU_TYPE_REPLY, "12345678901234567890", 20, NULL, 0);
	for (uint16_t command = 0; command < 20; command++)
		rig_send_fds(&rig, command, VFU_TYPE_REPLY | VFU_ERROR, NULL, 0, NULL, 0);
	assert_int_equal(rig_ask(&rig, VFU_DEVICE_RESET, NULL, 0), 0);
	assert_int_equal(rig_counters(&rig).unsolicited, 40);
	rig_done(&rig);
}

/* ---- regions ---- */

static void accesses_outside_of_regions(void **state)
{
	static const struct {
		uint32_t region;
		uint64_t offset;
		uint32_t count;
		int expect;
	} accesses[] = {
		{ RIG_BAR, RIG_BAR_SIZE, 1, -EINVAL },
		{ RIG_BAR, RIG_BAR_SIZE - 1, 2, -EINVAL },
		{ RIG_BAR, 0, RIG_BAR_SIZE + 1, -EINVAL },
		{ RIG_BAR, UINT64_MAX, 1, -EINVAL },
		{ RIG_BAR, UINT64_MAX, 2, -EINVAL }, /* the sum wraps to 1 */
		{ RIG_BAR, UINT64_MAX - 3, 8, -EINVAL },
		{ RIG_BAR, 0, 1 << 20, -EINVAL },
		{ RIG_BAR, 0, (1 << 20) + 1, -E2BIG },
		{ RIG_BAR, 0, UINT32_MAX, -E2BIG },
		{ 1, 0, 1, -EINVAL }, /* has no bytes */
		{ 8, 0, 1, -EINVAL },
		{ 9, 0, 1, -EINVAL },
		{ UINT32_MAX, 0, 1, -EINVAL },
	};
	struct rig rig;

	(void)state;
	rig_start(&rig);
	for (unsigned i = 0; i < sizeof(accesses) / sizeof(accesses[0]); i++) {
		assert_int_equal(rig_read(&rig, accesses[i].region, accesses[i].offset,
					  accesses[i].count),
				 accesses[i].expect);
		if (accesses[i].count <= 8)
			assert_int_equal(rig_write(&rig, accesses[i].region, accesses[i].offset,
						   "12345678", accesses[i].count),
					 accesses[i].expect);
	}
	assert_int_equal(rig.fake.writes, 0);
	rig_done(&rig);
}

/* ---- descriptors ---- */

static void descriptors_where_none_belong(void **state)
{
	static const struct {
		uint16_t command;
		size_t size;
	} commands[] = {
		{ VFU_DMA_UNMAP, 24 },
		{ VFU_DEVICE_GET_INFO, 16 },
		{ VFU_DEVICE_GET_REGION_INFO, 32 },
		{ VFU_DEVICE_GET_IRQ_INFO, 16 },
		{ VFU_REGION_READ, 16 },
		{ VFU_REGION_WRITE, 16 },
		{ VFU_DEVICE_RESET, 0 },
		{ VFU_REGION_WRITE_MULTI, 8 },
		{ 99, 8 },
	};
	uint8_t payload[32];
	unsigned before;
	struct rig rig;
	int fds[16];

	(void)state;
	rig_start(&rig);
	for (unsigned i = 0; i < 16; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	before = open_fds();
	memset(payload, 0, sizeof(payload));
	payload[0] = 32;
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		assert_true(rig_ask_fds(&rig, commands[i].command, payload, commands[i].size, fds,
					1 + i) < 0);
		assert_int_equal(open_fds(), before);
	}
	/* With a reply. */
	rig_send_fds(&rig, VFU_DEVICE_RESET, VFU_TYPE_REPLY, NULL, 0, fds, 3);
	assert_int_equal(rig_ask(&rig, VFU_DEVICE_RESET, NULL, 0), 0);
	assert_int_equal(rig.fake.resets, 1);
	assert_int_equal(open_fds(), before);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(close(fds[i]), 0);
	rig_done(&rig);
}

static void too_many_descriptors(void **state)
{
	struct vfu_set_irqs set = { 20, TRIGGER_FDS, PEAL_VFIO_IRQ_MSIX, 0, 8 };
	unsigned before;
	struct rig rig;
	int fds[VFU_FDS_MAX];

	(void)state;
	rig_start(&rig);
	for (unsigned i = 0; i < VFU_FDS_MAX; i++)
		fds[i] = i ? fds[0] : eventfd(0, EFD_CLOEXEC);
	before = open_fds();
	for (unsigned n = 9; n <= VFU_FDS_MAX; n += 4) {
		assert_int_equal(rig_ask_fds(&rig, VFU_DEVICE_SET_IRQS, &set, sizeof(set), fds, n),
				 -EINVAL);
		assert_int_equal(open_fds(), before);
	}
	assert_int_equal(peal_irqset_active(rig.fake.irqset), PEAL_VFIO_IRQ_NONE);
	/* Fewer than the range. */
	assert_int_equal(rig_ask_fds(&rig, VFU_DEVICE_SET_IRQS, &set, sizeof(set), fds, 7),
			 -EINVAL);
	assert_int_equal(open_fds(), before);
	assert_int_equal(rig_ask_fds(&rig, VFU_DEVICE_SET_IRQS, &set, sizeof(set), fds, 8), 0);
	assert_int_equal(close(fds[0]), 0);
	rig_done(&rig);
}

static void interrupts_out_of_range(void **state)
{
	static const struct vfu_set_irqs sets[] = {
		{ 20, TRIGGER_FDS, PEAL_VFIO_IRQ_MSIX, 0, 9 },
		{ 20, TRIGGER_FDS, PEAL_VFIO_IRQ_MSIX, 8, 1 },
		{ 20, TRIGGER_FDS, PEAL_VFIO_IRQ_MSIX, 7, 2 },
		{ 20, TRIGGER_FDS, PEAL_VFIO_IRQ_MSIX, UINT32_MAX, 1 },
		{ 20, TRIGGER_FDS, PEAL_VFIO_IRQ_MSIX, UINT32_MAX, 2 }, /* the sum wraps */
		{ 20, TRIGGER_FDS, PEAL_VFIO_IRQ_MSIX, 1,
		  UINT32_MAX }, /* a huge count, no memory */
		{ 20, TRIGGER_FDS, PEAL_VFIO_IRQ_MSIX, 0, UINT32_MAX },
		{ 20, TRIGGER_FDS, PEAL_VFIO_IRQ_ERR, 1, 1 },
		{ 20, TRIGGER_FDS, PEAL_VFIO_IRQ_ERR, 0, 2 },
		{ 20, TRIGGER_FDS, PEAL_VFIO_IRQ_REQ, 1, 1 },
		{ 20, TRIGGER_FDS, PEAL_VFIO_IRQ_MSI, 0, 1 },
		{ 20, TRIGGER_FDS, 5, 0, 1 },
		{ 20, TRIGGER_FDS, UINT32_MAX, 0, 1 },
		{ 19, TRIGGER_FDS, PEAL_VFIO_IRQ_MSIX, 0, 1 },
		{ 0, TRIGGER_FDS, PEAL_VFIO_IRQ_MSIX, 0, 1 },
		{ 20, TRIGGER_FDS | PEAL_VFIO_DATA_NONE, PEAL_VFIO_IRQ_MSIX, 0, 1 },
		{ 20, 0x40, PEAL_VFIO_IRQ_MSIX, 0, 1 },
		{ 20, 0, PEAL_VFIO_IRQ_MSIX, 0, 1 },
		{ 20, PEAL_VFIO_DATA_BOOL | PEAL_VFIO_ACTION_TRIGGER, PEAL_VFIO_IRQ_MSIX, 0, 8 },
	};
	int fd = eventfd(0, EFD_CLOEXEC), file = memfd_create("no event", MFD_CLOEXEC);
	unsigned before;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	before = open_fds();
	for (unsigned i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		assert_true(rig_ask(&rig, VFU_DEVICE_SET_IRQS, &sets[i], sizeof(sets[i])) < 0);
		assert_true(rig_ask_fds(&rig, VFU_DEVICE_SET_IRQS, &sets[i], sizeof(sets[i]), &fd,
					1) < 0);
		assert_int_equal(open_fds(), before);
	}
	assert_int_equal(rig_irqs(&rig, TRIGGER_FDS, PEAL_VFIO_IRQ_MSIX, 0, 1, &file, 1), -EINVAL);
	assert_int_equal(rig_irqs(&rig, TRIGGER_FDS, PEAL_VFIO_IRQ_ERR, 0, 1, &file, 1), -EINVAL);
	assert_int_equal(open_fds(), before);
	assert_int_equal(peal_irqset_active(rig.fake.irqset), PEAL_VFIO_IRQ_NONE);
	/* The vectors are whole: nothing of ERR or REQ landed there. */
	assert_int_equal(rig_irqs(&rig, TRIGGER_FDS, PEAL_VFIO_IRQ_ERR, 0, 1, &fd, 1), 0);
	for (unsigned i = 0; i < RIG_MSIX; i++)
		assert_int_equal(peal_irqset_raise(rig.fake.irqset, PEAL_VFIO_IRQ_MSIX, i), 0);
	assert_int_equal(rig_signals(fd), 0);
	assert_int_equal(close(fd) + close(file), 0);
	rig_done(&rig);
}

/* A failing map leaves no mapping, no memory and no descriptor. */
static void maps_that_fail_leave_nothing(void **state)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);
	unsigned before;
	int64_t bytes;
	struct rig rig;

	(void)state;
	assert_int_equal(ftruncate(fd, 8192), 0);
	rig_start(&rig);
	assert_int_equal(rig_map(&rig, 0, 4096, 3, fd, 0), 0);
	before = open_fds();
	bytes = __atomic_load_n(&rig.host.bytes, __ATOMIC_RELAXED);
	assert_int_equal(rig_map(&rig, 0, 4096, 3, fd, 0), -EEXIST);
	assert_int_equal(rig_map(&rig, 4096, 0, 3, fd, 0), -EINVAL);
	assert_int_equal(rig_map(&rig, 4096, 4096, 4, fd, 0), -EINVAL);
	assert_int_equal(rig_map(&rig, UINT64_MAX, 2, 3, fd, 0), -EINVAL);
	assert_int_equal(rig_map(&rig, 4096, 4096, 3, fd, UINT64_MAX), -EINVAL);
	assert_int_equal(rig_map(&rig, 4096, 4096, 3, fd, INT64_MAX - 4095), -EINVAL);
	assert_int_equal(rig_map(&rig, 4096, UINT64_MAX - 8192, 3, fd, 0), -EINVAL);
	for (unsigned point = 0; point < 3; point++) {
		test_host_fail_in(&rig.host, point);
		(void)rig_map(&rig, 0x10000, 4096, 3, fd, 0);
		test_host_fail_never(&rig.host);
		(void)rig_unmap(&rig, 0x10000, 4096, 0);
	}
	assert_int_equal(open_fds(), before);
	assert_int_equal(__atomic_load_n(&rig.host.bytes, __ATOMIC_RELAXED), bytes);
	assert_int_equal(rig_counters(&rig).dma_maps, 1);
	assert_int_equal(close(fd), 0);
	rig_done(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fds_test(a_size_below_the_header_ends_it),
		fds_test(a_huge_size_takes_no_memory),
		fds_test(neither_command_nor_reply_ends_it),
		fds_test(a_client_that_vanishes_in_a_message),
		fds_test(a_client_that_stops_in_a_message),
		fds_test(a_client_that_does_not_read),
		fds_test(unknown_commands_keep_the_connection),
		fds_test(every_length_of_every_command),
		fds_test(nothing_before_version),
		fds_test(json_that_is_not_json_ends_it),
		fds_test(replies_that_nobody_asked_for),
		fds_test(accesses_outside_of_regions),
		fds_test(descriptors_where_none_belong),
		fds_test(too_many_descriptors),
		fds_test(interrupts_out_of_range),
		fds_test(maps_that_fail_leave_nothing),
	};

	return cmocka_run_group_tests_name("vfio-user hostile client", tests, NULL, NULL);
}
