/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a server may do wrong to our client: nonsense ends the connection with an error, silence with
 * -ETIMEDOUT, and whatever it says, the client can be freed.
 */
#include "script.h"

/* ---- while agreeing ---- */

static bool version_variant(struct script *s, struct vfu_message *m)
{
	static const char *const replies[] = {
		"\1\0\0\0", /* another major */
		"\0\0\3\0", /* a minor that was not proposed */
		"\0\0\0\0{",
		"\0\0\0\0[]",
		"\0\0\0\0{\"capabilities\":{\"max_msg_fds\":-1}}",
		/* A twin socket that is not there, or out of range, or without number. */
		"\0\0\0\0{\"capabilities\":{\"twin_socket\":{\"supported\":true}}}",
		"\0\0\0\0{\"capabilities\":{\"twin_socket\":{\"supported\":true,\"fd_index\":0}}}",
		"\0\0\0\0{\"capabilities\":{\"twin_socket\":{\"supported\":true,\"fd_index\":4294967295}}}",
		/* Descriptors without one. */
		"\0\0\0\0{}",
	};
	const char *reply = replies[s->variant];
	const int fds[2] = { 0, 1 };
	unsigned nfds = s->variant == 8 ? 2 : s->variant == 7 ? 1 : 0;

	say(s, &m->header, 1, reply, 4 + (s->variant > 1 ? strlen(reply + 4) + 1 : 0), fds, nfds);
	return true;
}

static void agreements_that_are_none(void **state)
{
	struct peal_vfu_client *client = NULL;

	(void)state;
	for (unsigned i = 0; i < 9; i++) {
		struct script s = { .answer = version_variant, .variant = i };

		assert_int_equal(start(&s, &client, 0), -EPROTO);
		assert_null(client);
		end(&s, NULL);
	}
}

/* A twin socket that is none: nothing would end what waits in it. */
static bool twin_variant(struct script *s, struct vfu_message *m)
{
	static const uint8_t reply[] = "\0\0\0\0{\"capabilities\":{\"twin_socket\":"
				       "{\"supported\":true,\"fd_index\":0}}}";
	int pair[2] = { -1, -1 };
	int fd;

	if (m->header.command != VFU_VERSION)
		return honest(s, m);
	switch (s->variant) {
	case 0:
		fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
		break;
	case 1:
		fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		break;
	case 2:
		fd = memfd_create("twin", MFD_CLOEXEC);
		break;
	default:
		thread_assert(pipe2(pair, O_CLOEXEC) == 0);
		fd = pair[0];
	}
	thread_assert(fd >= 0);
	say(s, &m->header, 1, reply, sizeof(reply), &fd, 1);
	thread_assert(close(fd) == 0);
	if (pair[1] >= 0)
		thread_assert(close(pair[1]) == 0);
	return true;
}

static void twin_sockets_that_are_none(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct script s = { .answer = twin_variant, .variant = i };
		struct peal_vfu_client *client = NULL;

		assert_int_equal(start(&s, &client, 0), -EPROTO);
		assert_null(client);
		end(&s, NULL);
	}
}

/* ---- what it says about the device ---- */

static bool info_variant(struct script *s, struct vfu_message *m)
{
	struct vfu_device_info info = { 16, 3, 101, 1 };
	struct {
		struct vfu_region_info info;
		struct vfu_sparse_mmap cap;
		struct vfu_area areas[2];
	} r = { { 80, 0xf, 0, 32, 8192, 0 }, { 1, 1, 0, 2, 0 }, { { 0, 4096 }, { 4096, 4096 } } };
	struct vfu_irq_info irq = { 16, 9, 7, 1 };
	const int fds[20] = { 0 };

	if (m->header.command == VFU_DEVICE_GET_INFO && s->variant <= 1) {
		info.num_regions = s->variant == 0 ? 101 : 1;
		info.num_irqs = s->variant == 1 ? UINT32_MAX : 1;
		say(s, &m->header, 1, &info, sizeof(info), NULL, 0);
		return true;
	}
	if (m->header.command == VFU_DEVICE_GET_IRQ_INFO && s->variant == 2) {
		say(s, &m->header, 1, &irq, sizeof(irq), NULL, 0);
		return true;
	}
	if (m->header.command != VFU_DEVICE_GET_REGION_INFO || s->variant <= 2)
		return honest(s, m);
	switch (s->variant) {
	case 3: /* wants to be asked for 4 GiB */
		r.info.argsz = UINT32_MAX;
		break;
	case 4: /* capabilities behind the end, before the beginning, in a circle */
		r.info.cap_offset = 79;
		break;
	case 5:
		r.info.cap_offset = UINT32_MAX;
		break;
	case 6:
		r.info.cap_offset = 1;
		break;
	case 7:
		r.cap.next = 32;
		break;
	case 8:
		r.cap.next = 33;
		break;
	case 9: /* more areas than there are bytes */
		r.cap.count = UINT32_MAX;
		break;
	case 10: /* areas that overlap, are empty, or not in the region */
		r.areas[1].offset = 4095;
		break;
	case 11:
		r.areas[0].size = 0;
		break;
	case 12:
		r.areas[1].offset = UINT64_MAX;
		break;
	case 13:
		r.areas[1].size = UINT64_MAX;
		break;
	case 14: /* of another region */
		r.info.index = 1;
		break;
	default: /* more descriptors than the client takes */
		say(s, &m->header, 1, &r, sizeof(r), fds, 20);
		return true;
	}
	say(s, &m->header, 1, &r, sizeof(r), fds, 1);
	return true;
}

static void devices_that_cannot_be(void **state)
{
	struct peal_vfu_client *client = NULL;

	(void)state;
	for (unsigned i = 0; i <= 15; i++) {
		struct script s = { .answer = info_variant, .variant = i };

		assert_int_equal(start(&s, &client, 0), -EPROTO);
		assert_null(client);
		end(&s, NULL);
	}
}

/* ---- replies ---- */

static bool read_variant(struct script *s, struct vfu_message *m)
{
	struct {
		struct vfu_region_access access;
		uint8_t data[64];
	} r = { 0 };
	struct vfu_header header = m->header;
	size_t size = 16 + 4;
	const int fd = 0;

	if (m->header.command != VFU_REGION_READ)
		return honest(s, m);
	memcpy(&r, m->payload, 16);
	switch (s->variant) {
	case 0: /* too short, too long, of other things */
		size = 15;
		break;
	case 1:
		size = 19;
		break;
	case 2:
		size = 21;
		break;
	case 3:
		r.access.count = 64;
		size = 16 + 64;
		break;
	case 4:
		r.access.offset++;
		break;
	case 5:
		r.access.region++;
		break;
	case 6: /* with a descriptor */
		say(s, &header, 1, &r, size, &fd, 1);
		return true;
	case 7: /* neither command nor reply */
		say(s, &header, 2, &r, size, NULL, 0);
		return true;
	default: /* 4 GiB */
		header.size = UINT32_MAX;
		header.flags = 1;
		(void)send(s->channel.fd, &header, sizeof(header), MSG_NOSIGNAL);
		return true;
	}
	say(s, &header, 1, &r, size, NULL, 0);
	return true;
}

static void replies_that_make_no_sense(void **state)
{
	(void)state;
	for (unsigned i = 0; i <= 8; i++) {
		struct script s = { .answer = read_variant, .variant = i };
		struct peal_vfu_client *client;
		uint8_t bytes[8];

		memset(bytes, 0x55, sizeof(bytes));
		assert_int_equal(start(&s, &client, 0), 0);
		assert_int_equal(peal_vfio_region_read(peal_vfu_client_device(client), 0, 0, bytes,
						       4),
				 -EPROTO);
		assert_int_equal(bytes[0], 0x55);
		assert_int_equal(peal_vfio_reset(peal_vfu_client_device(client)), -EPROTO);
		end(&s, client);
	}
}

static bool error_variant(struct script *s, struct vfu_message *m)
{
	static const uint32_t numbers[] = { 0, ENOENT, 4095, 4096, 0x80000000, UINT32_MAX };

	if (m->header.command != VFU_DEVICE_RESET)
		return honest(s, m);
	m->header.error = numbers[s->variant++ % 6];
	say(s, &m->header, VFU_TYPE_REPLY | VFU_ERROR, "ignored", s->variant > 3 ? 7 : 0, NULL, 0);
	return true;
}

static void error_numbers_that_are_none(void **state)
{
	static const int expect[] = { -EIO, -ENOENT, -4095, -EIO, -EIO, -EIO };
	struct script s = { .answer = error_variant };
	struct peal_vfu_client *client;

	(void)state;
	assert_int_equal(start(&s, &client, 0), 0);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(peal_vfio_reset(peal_vfu_client_device(client)), expect[i]);
	end(&s, client);
}

/* ---- silence and noise ---- */

static bool silent_variant(struct script *s, struct vfu_message *m)
{
	struct vfu_header header = { 0, VFU_DMA_READ, 0, 0, 0 };
	const struct vfu_dma_access access = { 0, 4 };

	if (s->variant == 0 || m->header.command == VFU_DEVICE_RESET) {
		/* Says something all the time, but not what was asked for. */
		for (unsigned i = 0; s->variant == 2 && i < 1000000; i++) {
			struct vfu_out out = { .header = header, .data = &access, .data_size = 16 };

			out.header.flags = i & 1;
			if (vfu_channel_send(&s->channel, &out) < 0)
				break;
			(void)recv(s->channel.fd, &(char[4096]){ 0 }, 4096, MSG_DONTWAIT);
		}
		return true;
	}
	return honest(s, m);
}

static void a_server_that_stops_answering(void **state)
{
	struct peal_vfu_client *client = NULL;

	(void)state;
	for (unsigned i = 0; i <= 2; i++) {
		struct script s = { .answer = silent_variant, .variant = i };

		if (i == 0) {
			assert_int_equal(start(&s, &client, 0), -ETIMEDOUT);
			end(&s, NULL);
			continue;
		}
		assert_int_equal(start(&s, &client, 0), 0);
		assert_int_equal(peal_vfio_reset(peal_vfu_client_device(client)), -ETIMEDOUT);
		assert_int_equal(peal_vfio_reset(peal_vfu_client_device(client)), -ETIMEDOUT);
		end(&s, client);
	}
}

/* ---- commands of the server ---- */

static bool command_variant(struct script *s, struct vfu_message *m)
{
	static __thread struct vfu_message reply;
	static const struct {
		uint16_t command;
		uint32_t flags;
		uint64_t address, count;
		size_t size;
		unsigned nfds;
		int expect;
	} commands[] = {
		{ VFU_DMA_READ, 0, 0x1000, 16, 16, 0, 0 },
		{ VFU_DMA_READ, 0, 0x1000, 0, 16, 0, 0 },
		{ VFU_DMA_READ, 0, 0x1ff8, 9, 16, 0, EFAULT },
		{ VFU_DMA_READ, 0, 0xff8, 9, 16, 0, EFAULT },
		{ VFU_DMA_READ, 0, UINT64_MAX, 16, 16, 0, EFAULT },
		{ VFU_DMA_READ, 0, 0x1000, UINT64_MAX, 16, 0, E2BIG },
		{ VFU_DMA_READ, 0, 0x1000, UINT32_MAX, 16, 0, E2BIG },
		{ VFU_DMA_READ, 0, 0x1000, 4097, 16, 0, E2BIG },
		{ VFU_DMA_READ, 0, 0x1000, 16, 15, 0, EINVAL },
		{ VFU_DMA_READ, 0, 0x1000, 16, 17, 0, EINVAL },
		{ VFU_DMA_READ, 0, 0x1000, 16, 16, 1, EINVAL },
		{ VFU_DMA_READ, 0, 0x1000, 16, 16, 40, EINVAL },
		{ VFU_DMA_WRITE, 0, 0x1000, 16, 32, 0, EFAULT }, /* read-only */
		{ VFU_DMA_WRITE, 0, 0x1000, 17, 32, 0, EINVAL },
		{ VFU_DMA_WRITE, 0, 0x1000, UINT64_MAX, 32, 0, E2BIG },
		{ VFU_REGION_READ, 0, 0, 0, 16, 0, ENOSYS },
		{ VFU_VERSION, 0, 0, 0, 16, 0, ENOSYS },
		{ 999, 0, 0, 0, 0, 0, ENOSYS },
	};
	int fds[40];

	if (m->header.command != VFU_DEVICE_RESET)
		return honest(s, m);
	for (unsigned i = 0; i < 40; i++)
		fds[i] = 0;
	/* Before the reply to the reset, on the same socket. */
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct vfu_header header = { (uint16_t)(100 + i), commands[i].command, 0, 0,
						   0 };
		uint8_t bytes[64] = { 0 };

		memcpy(bytes, &commands[i].address, 8);
		memcpy(bytes + 8, &commands[i].count, 8);
		say(s, &header, commands[i].flags, bytes, commands[i].size, fds, commands[i].nfds);
		thread_assert(vfu_channel_receive(&s->channel, &reply, RIG_TIMEOUT) == 0);
		thread_assert(reply.header.id == 100 + i);
		thread_assert(reply.header.command == commands[i].command);
		thread_assert(!(reply.header.flags & VFU_ERROR) == (commands[i].expect == 0));
		if (commands[i].expect)
			thread_assert((int)reply.header.error == commands[i].expect);
		else
			thread_assert(reply.size == 16 + commands[i].count);
		thread_assert(reply.fds.count == 0);
	}
	return honest(s, m);
}

static void commands_for_what_was_not_shared(void **state)
{
	static uint8_t memory[4096];
	const struct peal_vfio_dma dma = { .iova = 0x1000,
					   .size = 4096,
					   .flags = PEAL_VFIO_DMA_READ,
					   .fd = -1,
					   .memory = memory };
	struct script s = { .answer = command_variant };
	struct peal_vfu_client *client;

	(void)state;
	assert_int_equal(start(&s, &client, 4096), 0);
	assert_int_equal(peal_vfio_dma_map(peal_vfu_client_device(client), &dma), 0);
	assert_int_equal(peal_vfio_reset(peal_vfu_client_device(client)), 0);
	end(&s, client);
}

/* ---- servers that can little ---- */

/* Takes no descriptors, and has two interrupts; regions of all sizes are refused with some error. */
static bool poor(struct script *s, struct vfu_message *m)
{
	static const uint8_t version[] = "\0\0\0\0{\"capabilities\":{\"max_msg_fds\":0}}";
	static const uint32_t errors[] = { EINVAL, ENOTSUP, ENOENT };
	const struct vfu_device_info info = { 16, 3, 2, 1 };
	const struct vfu_irq_info irq = { 16, 9, 0, 2 };
	struct vfu_region_info region;
	struct vfu_header header = m->header;

	switch (header.command) {
	case VFU_VERSION:
		say(s, &header, 1, version, sizeof(version), NULL, 0);
		return true;
	case VFU_DEVICE_GET_INFO:
		say(s, &header, 1, &info, sizeof(info), NULL, 0);
		return true;
	case VFU_DEVICE_GET_IRQ_INFO:
		say(s, &header, 1, &irq, sizeof(irq), NULL, 0);
		return true;
	case VFU_DEVICE_GET_REGION_INFO:
		memcpy(&region, m->payload, sizeof(region));
		if (region.index == 0)
			return honest(s, m);
		header.error = errors[s->variant];
		say(s, &header, 1 | VFU_ERROR, NULL, 0, NULL, 0);
		return true;
	default:
		s->variant += header.command == VFU_DEVICE_SET_IRQS;
		return honest(s, m);
	}
}

static void a_region_that_is_refused_is_not_there(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct script s = { .answer = poor, .variant = i };
		struct peal_vfio_region_info info;
		struct peal_vfu_client *client = NULL;

		assert_int_equal(start(&s, &client, 0), 0);
		assert_int_equal(peal_vfio_region_info(peal_vfu_client_device(client), 0, &info),
				 0);
		assert_int_equal(info.size, 4096);
		assert_int_equal(peal_vfio_region_info(peal_vfu_client_device(client), 1, &info),
				 0);
		assert_int_equal(info.size, 0);
		end(&s, client);
	}
}

static void descriptors_that_cannot_be_sent_change_nothing(void **state)
{
	const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	const int32_t mixed[][2] = { { fd, -1 }, { -1, fd }, { fd, fd } };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		const struct peal_irqset_request request = {
			.argsz = 28,
			.flags = PEAL_VFIO_DATA_EVENTFD | PEAL_VFIO_ACTION_TRIGGER,
			.count = 2,
		};
		struct script s = { .answer = poor };
		struct peal_vfu_client *client = NULL;

		assert_int_equal(start(&s, &client, 0), 0);
		assert_int_equal(peal_vfio_set_irqs(peal_vfu_client_device(client), &request,
						    mixed[i], sizeof(mixed[i])),
				 -ENOTSUP);
		end(&s, client);
		assert_int_equal(s.variant, 0);
	}
	assert_int_equal(close(fd), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fds_test(agreements_that_are_none),
		fds_test(twin_sockets_that_are_none),
		fds_test(devices_that_cannot_be),
		fds_test(replies_that_make_no_sense),
		fds_test(error_numbers_that_are_none),
		fds_test(a_server_that_stops_answering),
		fds_test(commands_for_what_was_not_shared),
		fds_test(a_region_that_is_refused_is_not_there),
		fds_test(descriptors_that_cannot_be_sent_change_nothing),
	};

	return cmocka_run_group_tests_name("vfio-user hostile server", tests, NULL, NULL);
}
