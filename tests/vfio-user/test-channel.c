/* SPDX-License-Identifier: BSD-2-Clause */
/* The channel: messages that come in pieces, with descriptors, too long, or not at all. */
#include "fds.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vfio/user/channel.h"

#define MAX_SIZE 8192u
#define MAX_FDS  4u
#define SHORT    50 /* ms, of what is to run out */
#define LONG     5000

struct fixture {
	struct test_host host;
	struct vfu_channel channel;
	int peer;
	struct vfu_message message;
};

static void setup(struct fixture *f, int timeout)
{
	int pair[2];

	test_host_init(&f->host);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(vfu_channel_init(&f->channel, &f->host.host, pair[0], MAX_SIZE, MAX_FDS,
					  timeout),
			 0);
	f->peer = pair[1];
}

static void teardown(struct fixture *f)
{
	if (f->peer >= 0)
		assert_int_equal(close(f->peer), 0);
	vfu_channel_done(&f->channel);
	test_host_done(&f->host);
}

/* BYTES as they are, with NFDS event descriptors. */
static void peer_sends(struct fixture *f, const void *bytes, size_t size, unsigned nfds)
{
	static _Alignas(struct cmsghdr) char control[CMSG_SPACE(64 * sizeof(int))];
	struct iovec part = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = size };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };
	int fds[64];

	if (nfds) {
		struct cmsghdr *c;

		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		for (unsigned i = 0; i < nfds; i++)
			fds[i] = eventfd(i, 0);
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	assert_int_equal(sendmsg(f->peer, &msg, 0), (ssize_t)size);
	for (unsigned i = 0; i < nfds; i++)
		assert_int_equal(close(fds[i]), 0);
}

static struct vfu_header header(uint16_t id, uint32_t size)
{
	return (struct vfu_header){ .id = id, .command = VFU_DEVICE_RESET, .size = size };
}

static void descriptors_stay_with_their_message(void **state)
{
	struct fixture f;
	uint64_t value = 0;

	(void)state;
	setup(&f, LONG);
	for (uint16_t i = 0; i < 6; i++) {
		struct vfu_header h = header(i, 16);

		peer_sends(&f, &h, sizeof(h), i == 3 ? 2 : i == 4 ? 1 : 0);
	}
	for (uint16_t i = 0; i < 6; i++) {
		assert_int_equal(vfu_channel_receive(&f.channel, &f.message, -1), 0);
		assert_int_equal(f.message.header.id, i);
		assert_int_equal(f.message.fds.count, i == 3 ? 2 : i == 4 ? 1 : 0);
		if (i == 3) {
			int fd = vfu_fds_take(&f.message.fds, 1);

			assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
			assert_int_equal(read(fd, &value, sizeof(value)), sizeof(value));
			assert_int_equal(value, 1);
			assert_int_equal(close(fd), 0);
		}
		vfu_fds_close(&f.message.fds);
	}
	teardown(&f);
}

/* Each piece of a header brings as many as one send can: no more are kept than anybody may take. */
static void descriptors_with_each_piece_of_a_header(void **state)
{
	struct vfu_header h = header(1, sizeof(h));
	const uint8_t *bytes = (const uint8_t *)&h;
	struct fixture f;

	(void)state;
	setup(&f, LONG);
	f.channel.max_fds = VFU_FDS_MAX;
	for (unsigned i = 0; i < 8; i++)
		peer_sends(&f, bytes + (size_t)2 * i, 2, 64);
	assert_int_equal(vfu_channel_receive(&f.channel, &f.message, -1), 0);
	assert_int_equal(f.message.header.id, 1);
	assert_int_equal(f.message.fds_error, -EINVAL);
	assert_int_equal(f.message.fds.count, 0);
	teardown(&f);
}

/* Six of 16 bytes at once, the last one of them in two pieces. */
static void one_receive_brings_many_messages(void **state)
{
	struct vfu_header all[6];
	struct fixture f;
	uint8_t byte;

	(void)state;
	setup(&f, LONG);
	for (uint16_t i = 0; i < 6; i++)
		all[i] = header(i, 16);
	peer_sends(&f, all, sizeof(all) - 5, 0);
	for (uint16_t i = 0; i < 6; i++) {
		if (i == 5)
			peer_sends(&f, (const char *)all + sizeof(all) - 5, 5, 1);
		assert_int_equal(vfu_channel_receive(&f.channel, &f.message, 0), 0);
		assert_int_equal(f.message.header.id, i);
		/* Nothing is left in the socket, and what came with the last one is the last one's. */
		assert_int_equal(recv(f.channel.fd, &byte, 1, MSG_DONTWAIT), -1);
		assert_int_equal(f.message.fds.count, i == 5);
		vfu_fds_close(&f.message.fds);
	}
	assert_int_equal(vfu_channel_receive(&f.channel, &f.message, 0), -EAGAIN);
	teardown(&f);
}

/* What was received ahead is closed with the channel. */
static void descriptors_of_messages_not_given_out_are_closed(void **state)
{
	struct vfu_header all[2] = { header(0, 16), header(1, 16) };
	struct fixture f;

	(void)state;
	setup(&f, LONG);
	peer_sends(&f, all, sizeof(all), 2);
	assert_int_equal(vfu_channel_receive(&f.channel, &f.message, -1), 0);
	assert_int_equal(f.message.fds.count, 0);
	teardown(&f);
}

/* Who polls the socket has to find every message there. */
static void nothing_is_taken_ahead_without_leave(void **state)
{
	uint8_t bytes[4][40] = { 0 }, byte;
	struct fixture f;

	(void)state;
	setup(&f, LONG);
	f.channel.ahead = false;
	for (uint16_t i = 0; i < 4; i++) {
		struct vfu_header h = header(i, 40);

		memcpy(bytes[i], &h, sizeof(h));
	}
	peer_sends(&f, bytes, sizeof(bytes), 0);
	for (uint16_t i = 0; i < 4; i++) {
		assert_int_equal(recv(f.channel.fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK), 1);
		assert_int_equal(byte, i);
		assert_int_equal(vfu_channel_receive(&f.channel, &f.message, -1), 0);
		assert_int_equal(f.message.header.id, i);
	}
	assert_int_equal(recv(f.channel.fd, &byte, 1, MSG_DONTWAIT), -1);
	teardown(&f);
}

/* Partial messages at the end of the buffer, of every length that room there is leads to. */
static void messages_of_all_sizes_in_a_stream(void **state)
{
	static uint8_t stream[200000];
	size_t at = 0, sent = 0, offset = 0;
	struct fixture f;

	(void)state;
	setup(&f, LONG);
	for (uint16_t i = 0; at + MAX_SIZE < sizeof(stream); i++) {
		struct vfu_header h = header(i, 16 + i * 37u % 500 + (i % 97 == 0 ? 7000 : 0));

		memset(stream + at, i, h.size);
		memcpy(stream + at, &h, sizeof(h));
		at += h.size;
	}
	for (uint16_t i = 0; offset < at; i++) {
		while (sent < at && sent < offset + 20000) {
			size_t piece = at - sent < 1777 ? at - sent : 1777;

			peer_sends(&f, stream + sent, piece, 0);
			sent += piece;
		}
		assert_int_equal(vfu_channel_receive(&f.channel, &f.message, -1), 0);
		assert_int_equal(f.message.header.id, i);
		assert_memory_equal(f.message.payload, stream + offset + 16, f.message.size);
		offset += f.message.header.size;
	}
	teardown(&f);
}

static void too_many_descriptors_are_all_closed(void **state)
{
	struct fixture f;
	struct vfu_header h = header(1, 16);

	(void)state;
	setup(&f, LONG);
	for (unsigned n = MAX_FDS; n <= 64; n++) {
		peer_sends(&f, &h, sizeof(h), n);
		assert_int_equal(vfu_channel_receive(&f.channel, &f.message, -1), 0);
		assert_int_equal(f.message.fds_error, n > MAX_FDS ? -EINVAL : 0);
		assert_int_equal(f.message.fds.count, n > MAX_FDS ? 0 : n);
		vfu_fds_close(&f.message.fds);
	}
	teardown(&f);
}

/* A header byte by byte, each with a descriptor, is as much as one with all of them. */
static void descriptors_add_up_over_the_pieces_of_a_header(void **state)
{
	struct fixture f;
	struct vfu_header h = header(1, 16);

	(void)state;
	setup(&f, LONG);
	for (unsigned i = 0; i < 16; i++)
		peer_sends(&f, (const char *)&h + i, 1, 1);
	assert_int_equal(vfu_channel_receive(&f.channel, &f.message, -1), 0);
	assert_int_equal(f.message.fds_error, -EINVAL);
	for (unsigned i = 0; i < 16; i++)
		peer_sends(&f, (const char *)&h + i, 1, i % 8 == 0);
	assert_int_equal(vfu_channel_receive(&f.channel, &f.message, -1), 0);
	assert_int_equal(f.message.fds.count, 2);
	vfu_fds_close(&f.message.fds);
	teardown(&f);
}

static void descriptors_of_the_payload_are_dropped(void **state)
{
	struct fixture f;
	struct vfu_header h = header(1, 24);

	(void)state;
	setup(&f, LONG);
	peer_sends(&f, &h, sizeof(h), 1);
	peer_sends(&f, "payload", 8, 3);
	assert_int_equal(vfu_channel_receive(&f.channel, &f.message, -1), 0);
	assert_int_equal(f.message.fds.count, 1);
	assert_memory_equal(f.message.payload, "payload", 8);
	vfu_fds_close(&f.message.fds);
	teardown(&f);
}

static void messages_too_long_take_no_memory(void **state)
{
	struct fixture f;
	struct vfu_header h = header(1, MAX_SIZE + 1);

	(void)state;
	setup(&f, LONG);
	peer_sends(&f, &h, sizeof(h), 2);
	assert_int_equal(vfu_channel_receive(&f.channel, &f.message, -1), -EMSGSIZE);
	assert_int_equal(f.message.header.id, 1);
	assert_int_equal(f.host.bytes, 4096);
	teardown(&f);
}

static void room_grows_for_messages_up_to_the_limit(void **state)
{
	static uint8_t bytes[MAX_SIZE - 16];
	struct fixture f;
	struct vfu_header h = header(1, MAX_SIZE);

	(void)state;
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	setup(&f, LONG);
	test_host_fail_in(&f.host, 0);
	peer_sends(&f, &h, sizeof(h), 1);
	assert_int_equal(vfu_channel_receive(&f.channel, &f.message, -1), -ENOMEM);
	test_host_fail_never(&f.host);
	peer_sends(&f, &h, sizeof(h), 1);
	peer_sends(&f, bytes, sizeof(bytes), 0);
	assert_int_equal(vfu_channel_receive(&f.channel, &f.message, -1), 0);
	assert_memory_equal(f.message.payload, bytes, sizeof(bytes));
	vfu_fds_close(&f.message.fds);
	teardown(&f);
}

static void a_peer_gone_in_the_middle_is_a_disconnect(void **state)
{
	struct vfu_header h = header(1, 32);

	(void)state;
	for (unsigned size = 0; size < 32; size++) {
		uint8_t bytes[32] = { 0 };
		struct fixture f;

		memcpy(bytes, &h, sizeof(h));
		setup(&f, LONG);
		if (size)
			peer_sends(&f, bytes, size, 2);
		assert_int_equal(close(f.peer), 0);
		f.peer = -1;
		assert_int_equal(vfu_channel_receive(&f.channel, &f.message, -1), -ECONNRESET);
		assert_int_equal(f.message.fds.count, 0);
		teardown(&f);
	}
}

static void a_peer_that_stops_in_the_middle_times_out(void **state)
{
	struct vfu_header h = header(1, 32);
	struct fixture f;

	(void)state;
	setup(&f, SHORT);
	assert_int_equal(vfu_channel_receive(&f.channel, &f.message, 1), -EAGAIN);
	assert_int_equal(vfu_channel_receive(&f.channel, &f.message, 0), -EAGAIN);
	peer_sends(&f, &h, 7, 1);
	assert_int_equal(vfu_channel_receive(&f.channel, &f.message, -1), -ETIMEDOUT);
	teardown(&f);
	setup(&f, SHORT);
	peer_sends(&f, &h, 16, 1);
	assert_int_equal(vfu_channel_receive(&f.channel, &f.message, -1), -ETIMEDOUT);
	teardown(&f);
}

static void a_peer_that_does_not_read_times_out(void **state)
{
	static const uint8_t data[65536];
	const struct vfu_out out = { .data = data, .data_size = sizeof(data) };
	struct fixture f;
	int r = 0;

	(void)state;
	setup(&f, SHORT);
	for (unsigned i = 0; i < 1000 && r == 0; i++)
		r = vfu_channel_send(&f.channel, &out);
	assert_int_equal(r, -ETIMEDOUT);
	assert_int_equal(close(f.peer), 0);
	f.peer = -1;
	assert_int_equal(vfu_channel_send(&f.channel, &out), -EPIPE);
	teardown(&f);
}

/* The wait that the channel is set up for, another one, and none. */
/* What comes behind half a message would be taken for the other half. */
static void nothing_follows_half_a_message(void **state)
{
	static uint8_t data[1 << 20];
	const struct vfu_out large = { .data = data, .data_size = sizeof(data) };
	const struct vfu_out small = { .data = "x", .data_size = 1 };
	struct fixture f;
	ssize_t n, sum = 0;

	(void)state;
	setup(&f, SHORT);
	assert_int_equal(vfu_channel_send(&f.channel, &large), -ETIMEDOUT);
	do {
		n = recv(f.peer, data, sizeof(data), MSG_DONTWAIT);
		sum += n > 0 ? n : 0;
	} while (n > 0);
	assert_in_range(sum, 1, sizeof(data));
	/* There is room again, and the peer sees the end. */
	assert_int_equal(n, 0);
	assert_int_equal(vfu_channel_send(&f.channel, &small), -EPIPE);
	teardown(&f);
}

static void waits_run_out(void **state)
{
	static const int waits[] = { SHORT, SHORT / 2, 1, 0 };
	struct vfu_header h = header(1, 16);
	struct fixture f;

	(void)state;
	setup(&f, LONG);
	vfu_channel_set_wait(&f.channel, SHORT);
	assert_int_equal(f.channel.wait, SHORT);
	for (unsigned spin = 0; spin < 2; spin++) {
		for (unsigned i = 0; i < 4; i++) {
			assert_int_equal(vfu_channel_receive(&f.channel, &f.message, waits[i]),
					 -EAGAIN);
			peer_sends(&f, &h, sizeof(h), 0);
			assert_int_equal(vfu_channel_receive(&f.channel, &f.message, waits[i]), 0);
		}
		f.channel.spin = 2000000;
	}
	teardown(&f);
}

static void *shut_later(void *user)
{
	vfu_channel_shut(user);
	return NULL;
}

static void shutting_ends_a_receive(void **state)
{
	struct fixture f;
	pthread_t thread;

	(void)state;
	setup(&f, LONG);
	assert_int_equal(pthread_create(&thread, NULL, shut_later, &f.channel), 0);
	assert_int_equal(vfu_channel_receive(&f.channel, &f.message, -1), -ECONNRESET);
	assert_int_equal(pthread_join(thread, NULL), 0);
	teardown(&f);
}

struct sender {
	struct fixture *f;
	uint8_t *data;
	size_t size;
};

static void *send_large(void *user)
{
	struct sender *s = user;
	const struct vfu_out out = { .header = { .id = 9 },
				     .fixed = "0123456789abcdef",
				     .fixed_size = 16,
				     .data = s->data,
				     .data_size = s->size,
				     .fds = (const int[]){ 0, 1 },
				     .nfds = 2 };

	thread_assert(vfu_channel_send(&s->f->channel, &out) == 0);
	return NULL;
}

/* More than a socket holds goes in pieces; the descriptors go once. */
static void large_messages_go_whole(void **state)
{
	const size_t size = 1 << 20;
	struct fixture f;
	struct vfu_channel other;
	struct sender sender = { .f = &f, .data = malloc(size), .size = size };
	pthread_t thread;

	(void)state;
	for (size_t i = 0; i < size; i++)
		sender.data[i] = (uint8_t)(i % 251);
	setup(&f, LONG);
	assert_int_equal(vfu_channel_init(&other, &f.host.host, f.peer, 2 * size, 2, LONG), 0);
	f.peer = -1;
	assert_int_equal(pthread_create(&thread, NULL, send_large, &sender), 0);
	assert_int_equal(vfu_channel_receive(&other, &f.message, -1), 0);
	assert_int_equal(f.message.header.size, size + 32);
	assert_int_equal(f.message.fds.count, 2);
	assert_memory_equal(f.message.payload, "0123456789abcdef", 16);
	assert_memory_equal(f.message.payload + 16, sender.data, size);
	assert_int_equal(pthread_join(thread, NULL), 0);
	vfu_fds_close(&f.message.fds);
	vfu_channel_done(&other);
	teardown(&f);
	free(sender.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fds_test(descriptors_stay_with_their_message),
		fds_test(descriptors_with_each_piece_of_a_header),
		fds_test(one_receive_brings_many_messages),
		fds_test(descriptors_of_messages_not_given_out_are_closed),
		fds_test(nothing_is_taken_ahead_without_leave),
		fds_test(messages_of_all_sizes_in_a_stream),
		fds_test(too_many_descriptors_are_all_closed),
		fds_test(descriptors_add_up_over_the_pieces_of_a_header),
		fds_test(descriptors_of_the_payload_are_dropped),
		fds_test(messages_too_long_take_no_memory),
		fds_test(room_grows_for_messages_up_to_the_limit),
		fds_test(a_peer_gone_in_the_middle_is_a_disconnect),
		fds_test(a_peer_that_stops_in_the_middle_times_out),
		fds_test(a_peer_that_does_not_read_times_out),
		fds_test(nothing_follows_half_a_message),
		fds_test(waits_run_out),
		fds_test(shutting_ends_a_receive),
		fds_test(large_messages_go_whole),
	};

	return cmocka_run_group_tests_name("vfio-user channel", tests, NULL, NULL);
}
