/* SPDX-License-Identifier: BSD-2-Clause */
/* DMA: memory that is reached by messages, on the socket of all. */
#include <sched.h>
#include <sys/ioctl.h>

#include "access.h"

static void peer_expects(struct rig *rig, uint16_t command, uint64_t address, uint64_t count)
{
	struct vfu_dma_access access;

	assert_int_equal(vfu_channel_receive(&rig->peer, &rig->message, RIG_TIMEOUT), 0);
	assert_int_equal(rig->message.header.command, command);
	assert_int_equal(rig->message.header.flags, 0);
	memcpy(&access, rig->message.payload, sizeof(access));
	assert_int_equal(access.address, address);
	assert_int_equal(access.count, count);
	assert_int_equal(rig->message.size, 16 + (command == VFU_DMA_WRITE ? count : 0));
}

static void peer_replies(struct rig *rig, uint32_t flags, uint32_t error, uint64_t address,
			 uint64_t count, size_t fixed, const void *data, size_t size)
{
	const struct vfu_dma_access access = { address, count };
	const struct vfu_out out = {
		.header = { .id = rig->message.header.id,
			    .command = rig->message.header.command,
			    .flags = VFU_TYPE_REPLY | flags,
			    .error = error },
		.fixed = &access,
		.fixed_size = fixed,
		.data = data,
		.data_size = size,
	};

	assert_int_equal(vfu_channel_send(&rig->peer, &out), 0);
}

static void memory_is_reached_by_messages(void **state)
{
	struct access a;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	assert_int_equal(rig_map(&rig, 0x1000, 4096, 3, -1, 0), 0);
	start_access(&a, &rig, 0x1010, 5, false);
	peer_expects(&rig, VFU_DMA_READ, 0x1010, 5);
	peer_replies(&rig, 0, 0, 0x1010, 5, 16, "hello", 5);
	assert_int_equal(end_access(&a), 0);
	assert_memory_equal(a.bytes, "hello", 5);
	start_access(&a, &rig, 0x1ff0, 16, true);
	peer_expects(&rig, VFU_DMA_WRITE, 0x1ff0, 16);
	assert_memory_equal(rig.message.payload + 16, a.bytes, 16);
	/* The client asks something first; then a count of 8 bytes, the next time of 4. */
	assert_int_equal(rig_read(&rig, RIG_BAR, 0, 4), 0);
	rig.message.header.id = 1;
	rig.message.header.command = VFU_DMA_WRITE;
	peer_replies(&rig, 0, 0, 0x1ff0, 16, 16, NULL, 0);
	assert_int_equal(end_access(&a), 0);
	start_access(&a, &rig, 0x1000, 1, true);
	peer_expects(&rig, VFU_DMA_WRITE, 0x1000, 1);
	peer_replies(&rig, 0, 0, 0x1000, 1, 12, NULL, 0);
	assert_int_equal(end_access(&a), 0);
	assert_int_equal(rig_counters(&rig).dma_remote, 3);
	assert_int_equal(rig_counters(&rig).dma_failed, 0);
	rig_done(&rig);
}

static void transfers_are_cut_to_what_the_client_takes(void **state)
{
	struct access a;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	assert_int_equal(
		rig_version(&rig, 0, 0, "{\"capabilities\":{\"max_data_xfer_size\":4096}}"), 0);
	assert_int_equal(rig_map(&rig, 0, 65536, 3, -1, 0), 0);
	start_access(&a, &rig, 100, 10000, true);
	for (uint64_t at = 0; at < 10000; at += 4096) {
		uint64_t part = 10000 - at < 4096 ? 10000 - at : 4096;

		peer_expects(&rig, VFU_DMA_WRITE, 100 + at, part);
		assert_memory_equal(rig.message.payload + 16, a.bytes + at, part);
		peer_replies(&rig, 0, 0, 100 + at, part, 16, NULL, 0);
	}
	assert_int_equal(end_access(&a), 0);
	assert_int_equal(rig_read(&rig, RIG_BAR, 0, 4096), 0);
	assert_int_equal(rig_read(&rig, RIG_BAR, 0, 4097), -E2BIG);
	rig_done(&rig);
}

static void wrong_replies_fail_the_access(void **state)
{
	static const struct {
		uint32_t flags, error;
		uint64_t address, count;
		size_t size;
		int expect;
	} replies[] = {
		{ VFU_ERROR, EFAULT, 0, 0, 0, -EFAULT },
		{ VFU_ERROR, 0, 0, 0, 0, -EIO },
		{ VFU_ERROR, 4096, 0, 0, 0, -EIO },
		{ VFU_ERROR, UINT32_MAX, 0, 0, 0, -EIO },
		{ 0, 0, 0x1000, 5, 4, -EPROTO },
		{ 0, 0, 0x1000, 5, 6, -EPROTO },
		{ 0, 0, 0x1000, 5, 4096, -EPROTO },
		{ 0, 0, 0x1000, 6, 6, -EPROTO },
		{ 0, 0, 0x1001, 5, 5, -EPROTO },
		{ 0, 0, 0x1000, 5 + (UINT64_C(1) << 32), 5, -EPROTO },
	};
	static const uint8_t data[4096];
	struct access a;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	assert_int_equal(rig_map(&rig, 0x1000, 4096, 3, -1, 0), 0);
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
		memset(a.bytes, 0x55, 8);
		start_access(&a, &rig, 0x1000, 5, false);
		peer_expects(&rig, VFU_DMA_READ, 0x1000, 5);
		peer_replies(&rig, replies[i].flags, replies[i].error, replies[i].address,
			     replies[i].count, replies[i].flags ? 0 : 16, data, replies[i].size);
		assert_int_equal(end_access(&a), replies[i].expect);
		assert_int_equal(a.bytes[0], 0x55);
		assert_int_equal(a.bytes[5], 0x55);
	}
	/* Nobody asked for these. */
	rig.message.header.id = 12345;
	peer_replies(&rig, 0, 0, 0x1000, 5, 16, data, 5);
	rig.message.header.command = VFU_DEVICE_RESET;
	peer_replies(&rig, 0, 0, 0, 0, 0, NULL, 0);
	assert_int_equal(rig_read(&rig, RIG_BAR, 0, 4), 0);
	assert_int_equal(rig_counters(&rig).unsolicited, 2);
	assert_int_equal(rig_counters(&rig).dma_failed, 10);
	rig_done(&rig);
}

static void a_client_that_does_not_answer_is_let_go(void **state)
{
	const struct peal_vfu_server_config config = { .timeout_ms = 50 };
	struct access a;
	struct rig rig;

	(void)state;
	rig_init_config(&rig, &config);
	rig_connect(&rig);
	assert_int_equal(rig_version(&rig, 0, 0, RIG_QEMU), 0);
	assert_int_equal(rig_map(&rig, 0x1000, 4096, 3, -1, 0), 0);
	start_access(&a, &rig, 0x1000, 5, false);
	assert_int_equal(end_access(&a), -EIO);
	assert_int_equal(vfu_channel_receive(&rig.peer, &rig.message, RIG_TIMEOUT), 0);
	rig_expect_end(&rig);
	rig_done(&rig);
}

static void unmap_does_not_wait_for_a_reply(void **state)
{
	int fd = pattern_file();
	struct access a;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	assert_int_equal(rig_map(&rig, 0x1000, 4096, 3, -1, 0), 0);
	assert_int_equal(rig_map(&rig, 0x2000, 4096, 3, fd, 0), 0);
	start_access(&a, &rig, 0x1000, 5, false);
	peer_expects(&rig, VFU_DMA_READ, 0x1000, 5);
	assert_int_equal(rig_unmap(&rig, 0x1000, 4096, 0), 0);
	assert_int_equal(end_access(&a), -EIO);
	assert_int_equal(close(fd), 0);
	rig_done(&rig);
}

static void disconnecting_ends_the_wait(void **state)
{
	struct access a;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	assert_int_equal(rig_map(&rig, 0x1000, 4096, 3, -1, 0), 0);
	start_access(&a, &rig, 0x1000, 5, false);
	peer_expects(&rig, VFU_DMA_READ, 0x1000, 5);
	assert_int_equal(rig_disconnect(&rig), 0);
	assert_int_equal(end_access(&a), -EIO);
	rig_done(&rig);
}

/* A client like QEMU waits for the reply to its write and would not see our question. */
static void inside_a_request_there_is_no_deadlock(void **state)
{
	struct inside inside;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	inside.rig = &rig;
	rig.fake.on_write = read_inside;
	rig.fake.user = &inside;
	assert_int_equal(rig_map(&rig, 0x1000, 4096, 3, -1, 0), 0);
	assert_int_equal(rig_write(&rig, RIG_BAR, 0, "x", 1), 0);
	assert_int_equal(inside.result, -EDEADLK);
	assert_int_equal(rig_counters(&rig).dma_failed, 1);
	rig_done(&rig);
}

static void a_command_that_waits_for_an_access_goes_on(void **state)
{
	static const int timeouts[] = { 400, -1 };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		const struct peal_vfu_server_config config = { .timeout_ms = timeouts[i] };
		struct access a;
		struct rig rig;

		rig_init_config(&rig, &config);
		rig_connect(&rig);
		assert_int_equal(rig_version(&rig, 0, 0, RIG_QEMU), 0);
		rig.fake.on_write = wait_for_access;
		rig.fake.user = &a;
		assert_int_equal(rig_map(&rig, 0x1000, 4096, 3, -1, 0), 0);
		start_access(&a, &rig, 0x1000, 5, false);
		peer_expects(&rig, VFU_DMA_READ, 0x1000, 5);
		assert_int_equal(rig_write(&rig, RIG_BAR, 0, "x", 1), 0);
		assert_int_equal(a.result, -EIO);
		/* The connection is there, and the next access takes no late reply. */
		start_access(&a, &rig, 0x1000, 5, false);
		peer_expects(&rig, VFU_DMA_READ, 0x1000, 5);
		rig.message.header.id--;
		peer_replies(&rig, 0, 0, 0x1000, 5, 16, "wrong", 5);
		rig.message.header.id++;
		peer_replies(&rig, 0, 0, 0x1000, 5, 16, "right", 5);
		assert_int_equal(end_access(&a), 0);
		assert_memory_equal(a.bytes, "right", 5);
		rig_done(&rig);
	}
}

static void *run_many(void *user)
{
	for (unsigned i = 0; i < 20; i++)
		(void)run_access(user);
	return NULL;
}

/* The requests of a queue, one after the other. */
static void one_gives_up_for_all(void **state)
{
	const struct peal_vfu_server_config config = { .timeout_ms = 400 };
	const struct vfu_region_access access = { 0, RIG_BAR, 1 };
	uint8_t write[sizeof(access) + 1] = { 0 };
	struct access a = { .address = 0x1000, .size = 5 };
	struct rig rig;

	(void)state;
	rig_init_config(&rig, &config);
	rig_connect(&rig);
	assert_int_equal(rig_version(&rig, 0, 0, RIG_QEMU), 0);
	rig.fake.on_write = wait_for_access;
	rig.fake.user = &a;
	a.rig = &rig;
	assert_int_equal(rig_map(&rig, 0x1000, 4096, 3, -1, 0), 0);
	assert_int_equal(pthread_create(&a.thread, NULL, run_many, &a), 0);
	peer_expects(&rig, VFU_DMA_READ, 0x1000, 5);
	memcpy(write, &access, sizeof(access));
	rig_send_fds(&rig, VFU_REGION_WRITE, 0, write, sizeof(write), NULL, 0);
	/* No others come before the reply. */
	assert_int_equal(rig_reply(&rig, VFU_REGION_WRITE), 0);
	assert_int_equal(rig_counters(&rig).dma_failed, 20);
	/* That was for one command. */
	start_access(&a, &rig, 0x1000, 5, false);
	peer_expects(&rig, VFU_DMA_READ, 0x1000, 5);
	peer_replies(&rig, 0, 0, 0x1000, 5, 16, "right", 5);
	assert_int_equal(end_access(&a), 0);
	rig_done(&rig);
}

static void *write_much(void *user)
{
	static uint8_t bytes[1 << 20];
	struct access *a = user;

	a->result = peal_space_write(a->rig->space, 0, bytes, sizeof(bytes));
	return NULL;
}

static void await_unread(struct rig *rig)
{
	int unread = 0;

	while (unread < 4096) {
		assert_int_equal(ioctl(rig->peer.fd, FIONREAD, &unread), 0);
		(void)sched_yield();
	}
}

/*
 * A client that says something long reads when it has said it: the server takes it in, whoever is
 * sending meanwhile.
 */
static void a_request_that_is_not_read_keeps_no_reply(void **state)
{
	struct access read, write;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	assert_int_equal(rig_map(&rig, 0, 1 << 20, 3, -1, 0), 0);
	start_access(&read, &rig, 0x1000, 5, false);
	peer_expects(&rig, VFU_DMA_READ, 0x1000, 5);
	write.rig = &rig;
	assert_int_equal(pthread_create(&write.thread, NULL, write_much, &write), 0);
	await_unread(&rig);
	peer_replies(&rig, 0, 0, 0x1000, 5, 16, "hello", 5);
	assert_int_equal(end_access(&read), 0);
	assert_memory_equal(read.bytes, "hello", 5);
	peer_expects(&rig, VFU_DMA_WRITE, 0, 1 << 20);
	peer_replies(&rig, 0, 0, 0, 1 << 20, 16, NULL, 0);
	assert_int_equal(end_access(&write), 0);
	rig_done(&rig);
}

/* It has nothing more to say, and does not read what it is told. */
static void a_client_that_is_half_gone_is_gone(void **state)
{
	const struct peal_vfu_server_config config = { .timeout_ms = -1 };
	struct access a;
	struct rig rig;

	(void)state;
	rig_init_config(&rig, &config);
	rig_connect(&rig);
	a.rig = &rig;
	assert_int_equal(rig_version(&rig, 0, 0, RIG_QEMU), 0);
	assert_int_equal(rig_map(&rig, 0, 1 << 20, 3, -1, 0), 0);
	assert_int_equal(pthread_create(&a.thread, NULL, write_much, &a), 0);
	await_unread(&rig);
	assert_int_equal(shutdown(rig.peer.fd, SHUT_WR), 0);
	assert_int_equal(pthread_join(rig.thread, NULL), 0);
	rig.serving = false;
	assert_int_equal(end_access(&a), -EIO);
	rig_done(&rig);
}

/* Memory, messages and nothing, side by side: a transfer that cannot be whole moves no byte. */
static void transfers_cross_ranges_whole_or_not(void **state)
{
	int fd = pattern_file();
	struct access a;
	uint8_t byte;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	assert_int_equal(rig_map(&rig, 0x1000, 4096, 3, fd, 0), 0);
	assert_int_equal(rig_map(&rig, 0x2000, 4096, 3, -1, 0), 0);
	start_access(&a, &rig, 0x1ffe, 4, true);
	peer_expects(&rig, VFU_DMA_WRITE, 0x2000, 2);
	assert_memory_equal(rig.message.payload + 16, a.bytes + 2, 2);
	peer_replies(&rig, 0, 0, 0x2000, 2, 16, NULL, 0);
	assert_int_equal(end_access(&a), 0);
	assert_int_equal(pread(fd, &byte, 1, 4095), 1);
	assert_int_equal(byte, pattern(1));
	assert_int_equal(peal_space_write(rig.space, 0x1800, a.bytes, 0x1801), -EFAULT);
	assert_int_equal(pread(fd, &byte, 1, 2048), 1);
	assert_int_equal(byte, pattern(2048));
	assert_int_equal(rig_counters(&rig).dma_remote, 1);
	assert_int_equal(close(fd), 0);
	rig_done(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fds_test(memory_is_reached_by_messages),
		fds_test(transfers_are_cut_to_what_the_client_takes),
		fds_test(wrong_replies_fail_the_access),
		fds_test(a_client_that_does_not_answer_is_let_go),
		fds_test(unmap_does_not_wait_for_a_reply),
		fds_test(disconnecting_ends_the_wait),
		fds_test(inside_a_request_there_is_no_deadlock),
		fds_test(a_command_that_waits_for_an_access_goes_on),
		fds_test(one_gives_up_for_all),
		fds_test(a_request_that_is_not_read_keeps_no_reply),
		fds_test(a_client_that_is_half_gone_is_gone),
		fds_test(transfers_cross_ranges_whole_or_not),
	};

	return cmocka_run_group_tests_name("vfio-user DMA by messages", tests, NULL, NULL);
}
