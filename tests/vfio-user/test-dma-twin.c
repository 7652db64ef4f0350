/* SPDX-License-Identifier: BSD-2-Clause */
/* DMA: memory that is reached by messages, on a socket of their own. */
#include <sched.h>

#include "access.h"

static const char wants_twin[] = "{\"capabilities\":{\"twin_socket\":{\"supported\":true}}}";

/* A client with a socket for the server's commands: its end of that. */
static int connect_twin(struct rig *rig, const struct peal_vfu_server_config *config)
{
	rig_init_config(rig, config);
	rig_connect(rig);
	assert_int_equal(rig_version(rig, 0, 0, wants_twin), 0);
	return vfu_fds_take(&rig->message.fds, 0);
}

static void *serve_twin(void *user)
{
	const int *fd = user;
	struct vfu_channel twin;
	const struct vfu_dma_access reply = { 0x1000, 4 };
	static struct vfu_message message;
	struct vfu_out out = { .fixed = &reply, .fixed_size = 16, .data = "twin", .data_size = 4 };

	thread_assert(vfu_channel_init(&twin, peal_host_default(), *fd, 65536, 0, RIG_TIMEOUT) ==
		      0);
	thread_assert(vfu_channel_receive(&twin, &message, RIG_TIMEOUT) == 0);
	thread_assert(message.header.command == VFU_DMA_READ);
	out.header = message.header;
	out.header.flags = VFU_TYPE_REPLY;
	thread_assert(vfu_channel_send(&twin, &out) == 0);
	vfu_channel_done(&twin);
	return NULL;
}

static void with_a_twin_socket_there_is_one_inside(void **state)
{
	struct vfu_capabilities c;
	struct inside inside;
	pthread_t thread;
	struct rig rig;
	int fd;

	(void)state;
	rig_init(&rig);
	inside.rig = &rig;
	rig.fake.on_write = read_inside;
	rig.fake.user = &inside;
	assert_int_equal(rig_version(&rig, 0, 0, wants_twin), 0);
	assert_int_equal(vfu_capabilities_parse(&c, rig.message.payload + 4, rig.message.size - 4),
			 0);
	assert_true(c.twin_socket && c.has_fd_index);
	assert_int_equal(c.fd_index, 0);
	assert_int_equal(rig.message.fds.count, 1);
	fd = vfu_fds_take(&rig.message.fds, 0);
	assert_int_equal(pthread_create(&thread, NULL, serve_twin, &fd), 0);
	assert_int_equal(rig_map(&rig, 0x1000, 4096, 3, -1, 0), 0);
	assert_int_equal(rig_write(&rig, RIG_BAR, 0, "x", 1), 0);
	assert_int_equal(inside.result, 0);
	assert_memory_equal(inside.bytes, "twin", 4);
	assert_int_equal(pthread_join(thread, NULL), 0);
	rig_done(&rig);
}

/* What a client says before each reply. */
struct stray {
	int fd;
	uint32_t flags;
	unsigned count; /* ~0: until nobody listens */
};

static void *reply_to_all(void *user)
{
	const struct stray *stray = user;
	const struct vfu_dma_access access = { 0x1000, 5 };
	static struct vfu_message message;
	struct vfu_out out = { .fixed = &access, .fixed_size = 16, .data = "wrong", .data_size = 5 };
	struct vfu_channel twin;

	thread_assert(vfu_channel_init(&twin, peal_host_default(), stray->fd, 65536, 0,
				       RIG_TIMEOUT) == 0);
	while (vfu_channel_receive(&twin, &message, RIG_TIMEOUT) == 0) {
		int r = 0;

		out.header = message.header;
		out.header.id--;
		out.header.flags = stray->flags;
		out.data = "wrong";
		for (unsigned i = 0; r == 0 && i < stray->count; i++)
			r = vfu_channel_send(&twin, &out);
		out.header = message.header;
		out.header.flags = VFU_TYPE_REPLY;
		out.data = "right";
		if (r == 0)
			(void)vfu_channel_send(&twin, &out);
	}
	vfu_channel_done(&twin);
	return NULL;
}

static void what_nobody_asked_for_on_a_twin_socket(void **state)
{
	static const struct {
		struct stray stray;
		int result;
	} rows[] = {
		{ { .flags = VFU_TYPE_REPLY, .count = 0 }, 0 },
		{ { .flags = VFU_TYPE_REPLY, .count = 3 }, 0 },
		{ { .flags = VFU_TYPE_REPLY, .count = ~0u }, -EIO },
		{ { .flags = VFU_TYPE_COMMAND, .count = 1 }, -EIO },
	};

	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(rows); i++) {
		const struct peal_vfu_server_config config = {
			.timeout_ms = rows[i].stray.count == ~0u ? 50 : RIG_TIMEOUT
		};
		struct stray stray = rows[i].stray;
		pthread_t thread;
		struct access a;
		struct rig rig;

		stray.fd = connect_twin(&rig, &config);
		assert_int_equal(pthread_create(&thread, NULL, reply_to_all, &stray), 0);
		assert_int_equal(rig_map(&rig, 0x1000, 4096, 3, -1, 0), 0);
		for (unsigned n = 0; n < (rows[i].result ? 1 : 2); n++) {
			start_access(&a, &rig, 0x1000, 5, false);
			assert_int_equal(end_access(&a), rows[i].result);
			if (rows[i].result == 0)
				assert_memory_equal(a.bytes, "right", 5);
		}
		/* Who talks like that is let go. */
		if (rows[i].result < 0)
			rig_expect_end(&rig);
		else
			assert_int_equal(rig_counters(&rig).unsolicited, 2 * stray.count);
		(void)rig_disconnect(&rig);
		assert_int_equal(pthread_join(thread, NULL), 0);
		rig_done(&rig);
	}
}

/* A client that leaves, but for the socket that it was given. */
static void a_twin_socket_ends_with_the_first(void **state)
{
	const struct peal_vfu_server_config config = { .timeout_ms = -1 };
	struct vfu_header header;
	struct access a;
	struct rig rig;
	int fd;

	(void)state;
	fd = connect_twin(&rig, &config);
	assert_int_equal(rig_map(&rig, 0x1000, 4096, 3, -1, 0), 0);
	start_access(&a, &rig, 0x1000, 5, false);
	assert_int_equal(recv(fd, &header, sizeof(header), MSG_WAITALL), sizeof(header));
	assert_int_equal(rig_disconnect(&rig), 0);
	assert_int_equal(end_access(&a), -EIO);
	assert_int_equal(close(fd), 0);
	rig_done(&rig);
}

/* A command waits for an access that waits for the client, which answers nothing. */
static void a_command_held_up_on_a_twin_socket_can_be_ended(void **state)
{
	const struct peal_vfu_server_config config = { .timeout_ms = -1 };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		const struct vfu_region_access access = { 0, RIG_BAR, 1 };
		uint8_t write[sizeof(access) + 1] = { 0 };
		struct vfu_header header;
		struct access a;
		struct rig rig;
		int fd;

		fd = connect_twin(&rig, &config);
		rig.fake.on_write = wait_for_access;
		rig.fake.user = &a;
		assert_int_equal(rig_map(&rig, 0x1000, 4096, 3, -1, 0), 0);
		start_access(&a, &rig, 0x1000, 5, false);
		assert_int_equal(recv(fd, &header, sizeof(header), MSG_WAITALL), sizeof(header));
		memcpy(write, &access, sizeof(access));
		rig_send_fds(&rig, VFU_REGION_WRITE, 0, write, sizeof(write), NULL, 0);
		while (__atomic_load_n(&rig.fake.writes, __ATOMIC_SEQ_CST) == 0)
			(void)sched_yield();
		if (i == 0) {
			peal_vfu_server_stop(rig.server);
			assert_int_equal(pthread_join(rig.thread, NULL), 0);
			rig.serving = false;
		} else {
			(void)rig_disconnect(&rig);
		}
		assert_int_equal(a.result, -EIO);
		assert_int_equal(close(fd), 0);
		rig_done(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fds_test(with_a_twin_socket_there_is_one_inside),
		fds_test(what_nobody_asked_for_on_a_twin_socket),
		fds_test(a_twin_socket_ends_with_the_first),
		fds_test(a_command_held_up_on_a_twin_socket_can_be_ended),
	};

	return cmocka_run_group_tests_name("vfio-user DMA on a twin socket", tests, NULL, NULL);
}
