/* SPDX-License-Identifier: BSD-2-Clause */
/* The codec: every command at its limits, and the JSON of the version. */
#include "support.h"

#include "vfio/user/codec.h"

#define XFER (UINT64_C(1) << 20)

static int check(uint16_t command, const void *payload, size_t size, unsigned nfds)
{
	const struct vfu_header header = { .command = command };

	return vfu_request_check(&header, payload, size, XFER, nfds, true);
}

static void header_bounds_what_follows(void **state)
{
	struct vfu_header header = { .size = 16 };

	(void)state;
	assert_int_equal(vfu_header_check(&header, 100), 0);
	header.size = 15;
	assert_int_equal(vfu_header_check(&header, 100), -EPROTO);
	header.size = 0;
	assert_int_equal(vfu_header_check(&header, 100), -EPROTO);
	header.size = 101;
	assert_int_equal(vfu_header_check(&header, 100), -EMSGSIZE);
	header.size = UINT32_MAX;
	assert_int_equal(vfu_header_check(&header, vfu_max_size(XFER)), -EMSGSIZE);
	header.size = 16;
	for (uint32_t type = 0; type < 16; type++) {
		header.flags = type;
		assert_int_equal(vfu_header_check(&header, 100), type > 1 ? -EPROTO : 0);
	}
}

static void unknown_commands_are_refused(void **state)
{
	const uint8_t payload[64] = { 0 };

	(void)state;
	assert_int_equal(check(0, payload, 0, 0), -ENOSYS);
	assert_int_equal(check(14, payload, 0, 0), -ENOSYS);
	assert_int_equal(check(19, payload, 0, 0), -ENOSYS);
	assert_int_equal(check(0xffff, payload, 64, 0), -ENOSYS);
	/* Commands of the server to the client, sent to the server. */
	assert_int_equal(check(VFU_DMA_READ, payload, 16, 0), -ENOSYS);
	assert_int_equal(check(VFU_DMA_WRITE, payload, 16, 0), -ENOSYS);
	assert_string_equal(vfu_command_name(VFU_DMA_MAP), "DMA_MAP");
	assert_string_equal(vfu_command_name(999), "?");
}

/* Each command with all lengths shorter than its fixed part, and one byte more where it is all. */
static void lengths_are_those_of_the_command(void **state)
{
	uint8_t payload[64] = { 0 };

	(void)state;
	for (uint16_t number = 0; number < VFU_COMMANDS; number++) {
		const struct vfu_command *command = vfu_command(number);

		if (!command || command->from_server)
			continue;
		for (size_t size = 0; size < command->request; size++)
			assert_int_equal(check(number, payload, size, 0), -EINVAL);
		if (!command->tail)
			assert_int_equal(check(number, payload, command->request + 1, 0), -EINVAL);
	}
}

static void descriptors_only_where_they_belong(void **state)
{
	const struct vfu_dma_map map = { .argsz = 32, .flags = 3, .size = 4096 };
	const struct vfu_set_irqs irqs = { .argsz = 20 };
	const struct vfu_device_info info = { .argsz = 16 };

	(void)state;
	assert_int_equal(check(VFU_DMA_MAP, &map, sizeof(map), 0), 0);
	assert_int_equal(check(VFU_DMA_MAP, &map, sizeof(map), 1), 0);
	assert_int_equal(check(VFU_DMA_MAP, &map, sizeof(map), 2), -EINVAL);
	assert_int_equal(check(VFU_DEVICE_SET_IRQS, &irqs, sizeof(irqs), 16), 0);
	assert_int_equal(check(VFU_DEVICE_GET_INFO, &info, sizeof(info), 0), 0);
	assert_int_equal(check(VFU_DEVICE_GET_INFO, &info, sizeof(info), 1), -EINVAL);
	assert_int_equal(check(VFU_DEVICE_RESET, "", 0, 1), -EINVAL);
}

static void dma_ranges_do_not_wrap(void **state)
{
	struct vfu_dma_map map = { .argsz = 32, .flags = 3, .size = 4096 };
	struct vfu_dma_unmap unmap = { .argsz = 24, .size = 4096 };

	(void)state;
	map.address = unmap.address = UINT64_MAX - 4095;
	assert_int_equal(check(VFU_DMA_MAP, &map, sizeof(map), 0), 0);
	assert_int_equal(check(VFU_DMA_UNMAP, &unmap, sizeof(unmap), 0), 0);
	map.address = unmap.address = UINT64_MAX - 4094;
	assert_int_equal(check(VFU_DMA_MAP, &map, sizeof(map), 0), -EINVAL);
	assert_int_equal(check(VFU_DMA_UNMAP, &unmap, sizeof(unmap), 0), -EINVAL);
	map.address = unmap.address = 0;
	map.size = unmap.size = 0;
	assert_int_equal(check(VFU_DMA_MAP, &map, sizeof(map), 0), -EINVAL);
	assert_int_equal(check(VFU_DMA_UNMAP, &unmap, sizeof(unmap), 0), -EINVAL);
	map.size = 4096;
	map.offset = INT64_MAX;
	assert_int_equal(check(VFU_DMA_MAP, &map, sizeof(map), 1), -EINVAL);
	map.offset = 0;
	map.flags = 0;
	assert_int_equal(check(VFU_DMA_MAP, &map, sizeof(map), 1), -EINVAL);
	map.flags = 7;
	assert_int_equal(check(VFU_DMA_MAP, &map, sizeof(map), 1), -EINVAL);
	map.flags = 1;
	map.argsz = 31;
	assert_int_equal(check(VFU_DMA_MAP, &map, sizeof(map), 1), -EINVAL);
	/* As QEMU unmaps all. */
	unmap.flags = VFU_DMA_UNMAP_ALL;
	assert_int_equal(check(VFU_DMA_UNMAP, &unmap, sizeof(unmap), 0), 0);
	unmap.size = 1;
	assert_int_equal(check(VFU_DMA_UNMAP, &unmap, sizeof(unmap), 0), -EINVAL);
}

static void writes_bring_the_data_they_count(void **state)
{
	struct {
		struct vfu_region_access access;
		uint8_t data[8];
	} write = { .access = { .count = 8 } };
	struct vfu_region_access read = { .count = XFER };

	(void)state;
	assert_int_equal(check(VFU_REGION_WRITE, &write, 24, 0), 0);
	assert_int_equal(check(VFU_REGION_WRITE, &write, 23, 0), -EINVAL);
	write.access.count = 7;
	assert_int_equal(check(VFU_REGION_WRITE, &write, 24, 0), -EINVAL);
	/* A huge count asks for no memory. */
	write.access.count = UINT32_MAX;
	assert_int_equal(check(VFU_REGION_WRITE, &write, 24, 0), -E2BIG);
	assert_int_equal(check(VFU_REGION_READ, &read, 16, 0), 0);
	read.count = XFER + 1;
	assert_int_equal(check(VFU_REGION_READ, &read, 16, 0), -E2BIG);
	read.count = UINT32_MAX;
	assert_int_equal(check(VFU_REGION_READ, &read, 16, 0), -E2BIG);
}

static void multiple_writes_are_counted(void **state)
{
	struct {
		struct vfu_write_multi multi;
		struct vfu_single_write writes[2];
	} multi = { .multi = { .count = 2 }, .writes = { { .count = 8 }, { .count = 1 } } };

	(void)state;
	assert_int_equal(check(VFU_REGION_WRITE_MULTI, &multi, sizeof(multi), 0), 0);
	assert_int_equal(check(VFU_REGION_WRITE_MULTI, &multi, sizeof(multi) - 1, 0), -EINVAL);
	assert_int_equal(check(VFU_REGION_WRITE_MULTI, &multi, sizeof(multi) - 24, 0), -EINVAL);
	multi.writes[1].count = 9;
	assert_int_equal(check(VFU_REGION_WRITE_MULTI, &multi, sizeof(multi), 0), -EINVAL);
	multi.writes[1].count = 8;
	/* 24 times this count is 48 again, modulo 2^64. */
	multi.multi.count = 2 + (UINT64_C(1) << 61);
	assert_int_equal(check(VFU_REGION_WRITE_MULTI, &multi, sizeof(multi), 0), -EINVAL);
}

static void both_counts_of_a_dma_write_reply_pass(void **state)
{
	const uint8_t payload[32] = { 0 };

	(void)state;
	assert_int_equal(vfu_reply_check(VFU_DMA_WRITE, payload, 12, 0), 0);
	assert_int_equal(vfu_reply_check(VFU_DMA_WRITE, payload, 16, 0), 0);
	assert_int_equal(vfu_reply_check(VFU_DMA_WRITE, payload, 11, 0), -EPROTO);
	assert_int_equal(vfu_reply_check(VFU_REGION_WRITE, payload, 17, 0), -EPROTO);
	assert_int_equal(vfu_reply_check(VFU_REGION_READ, payload, 17, 1), -EPROTO);
	assert_int_equal(vfu_reply_check(77, payload, 0, 0), -EPROTO);
}

static void error_numbers_are_errnos(void **state)
{
	struct vfu_header header = { .flags = VFU_TYPE_REPLY | VFU_ERROR };

	(void)state;
	assert_int_equal(vfu_reply_error(&header), -EIO);
	header.error = ENOENT;
	assert_int_equal(vfu_reply_error(&header), -ENOENT);
	header.error = 4095;
	assert_int_equal(vfu_reply_error(&header), -4095);
	header.error = 4096;
	assert_int_equal(vfu_reply_error(&header), -EIO);
	header.error = UINT32_MAX;
	assert_int_equal(vfu_reply_error(&header), -EIO);
}

static void replies_are_cut_to_the_fixed_part(void **state)
{
	(void)state;
	assert_int_equal(vfu_reply_size(32, 32, 80), 32);
	assert_int_equal(vfu_reply_size(79, 32, 80), 32);
	assert_int_equal(vfu_reply_size(80, 32, 80), 80);
	assert_int_equal(vfu_reply_size(UINT32_MAX, 32, 80), 80);
}

/* ---- JSON ---- */

static int parse(struct vfu_capabilities *ret, const char *json)
{
	return vfu_capabilities_parse(ret, json, strlen(json) + 1);
}

static void qemu_capabilities_are_read(void **state)
{
	struct vfu_capabilities c;

	(void)state;
	assert_int_equal(parse(&c, "{\"capabilities\":{\"pgsizes\":4096,\"max_msg_fds\":16,"
				   "\"max_dma_maps\":65535,\"max_data_xfer_size\":1048576,"
				   "\"migration\":{\"max_bitmap_size\":268435456,\"pgsize\":4096},"
				   "\"write_multiple\":true}}"),
			 0);
	assert_int_equal(c.max_msg_fds, 16);
	assert_int_equal(c.max_dma_maps, 65535);
	assert_int_equal(c.max_data_xfer_size, 1048576);
	assert_int_equal(c.migration_max_bitmap_size, 268435456);
	assert_true(c.has_migration && c.write_multiple && !c.twin_socket);
}

static void what_is_not_said_has_defaults(void **state)
{
	static const char *const texts[] = { "{}", "{\"capabilities\":{}}",
					     "{\"capabilities\":{\"future\":[1,{}]},\"x\":1}" };
	struct vfu_capabilities c;

	(void)state;
	for (unsigned i = 0; i <= 3; i++) {
		memset(&c, 0xff, sizeof(c));
		if (i < 3)
			assert_int_equal(parse(&c, texts[i]), 0);
		else
			assert_int_equal(vfu_capabilities_parse(&c, NULL, 0), 0);
		assert_int_equal(c.max_msg_fds, 1);
		assert_int_equal(c.max_data_xfer_size, 1048576);
		assert_int_equal(c.max_dma_maps, 65535);
		assert_int_equal(c.pgsizes, 4096);
		assert_false(c.write_multiple || c.twin_socket || c.has_migration);
	}
}

static void what_is_not_json_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"{",
		"nonsense",
		"[]",
		"1",
		"{}x",
		"{\"capabilities\":1}",
		"{\"capabilities\":{\"max_msg_fds\":\"16\"}}",
		"{\"capabilities\":{\"max_msg_fds\":-1}}",
		"{\"capabilities\":{\"max_msg_fds\":4294967296}}",
		"{\"capabilities\":{\"max_msg_fds\":1.5}}",
		"{\"capabilities\":{\"max_data_xfer_size\":0}}",
		"{\"capabilities\":{\"pgsizes\":99999999999999999999999}}",
		"{\"capabilities\":{\"twin_socket\":true}}",
		"{\"capabilities\":{\"twin_socket\":{\"supported\":1}}}",
		"{\"capabilities\":{\"write_multiple\":\"yes\"}}",
		"{\"capabilities\":{},\"capabilities\":{}}",
		"{\"capabilities\":\"\xff\xfe\"}",
	};
	struct vfu_capabilities c, before;

	(void)state;
	memset(&c, 0xff, sizeof(c));
	before = c;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(parse(&c, texts[i]), -EINVAL);
		assert_memory_equal(&c, &before, sizeof(c));
	}
	assert_int_equal(vfu_capabilities_parse(&c, "{}", 2), -EINVAL); /* no NUL */
	assert_int_equal(vfu_capabilities_parse(&c, "{}\0", 4), -EINVAL);
}

/* A parser that recurses, and one that makes a value of every two bytes. */
static void deep_and_long_json_is_bounded(void **state)
{
	static char json[VFU_JSON_MAX + 64];
	struct vfu_capabilities c;

	(void)state;
	memset(json, '[', VFU_JSON_MAX - 1);
	json[VFU_JSON_MAX - 1] = 0;
	assert_int_equal(vfu_capabilities_parse(&c, json, VFU_JSON_MAX), -EINVAL);
	memset(json, ' ', sizeof(json));
	memcpy(json, "{}", 2);
	json[sizeof(json) - 1] = 0;
	assert_int_equal(vfu_capabilities_parse(&c, json, sizeof(json)), -EINVAL);
}

static void what_is_printed_is_read_again(void **state)
{
	struct vfu_capabilities c, again;
	char json[VFU_JSON_MAX], json_again[VFU_JSON_MAX];
	size_t size, size_again;

	(void)state;
	memset(&c, 0, sizeof(c));
	memset(&again, 0, sizeof(again));
	c.max_msg_fds = 8;
	c.max_data_xfer_size = UINT64_C(1) << 40;
	c.max_dma_maps = 7;
	c.pgsizes = 0x201000;
	c.said_max_msg_fds = c.said_max_data_xfer_size = c.said_max_dma_maps = c.said_pgsizes =
		true;
	c.twin_socket = c.has_fd_index = c.write_multiple = c.has_migration = true;
	c.fd_index = 3;
	c.migration_pgsize = 4096;
	c.migration_max_bitmap_size = 65536;
	assert_int_equal(vfu_capabilities_print(&c, json, sizeof(json), &size), 0);
	assert_int_equal(size, strlen(json) + 1);
	assert_int_equal(vfu_capabilities_parse(&again, json, size), 0);
	assert_int_equal(
		vfu_capabilities_print(&again, json_again, sizeof(json_again), &size_again), 0);
	assert_string_equal(json, json_again);
	assert_string_equal(json, "{\"capabilities\":{\"max_msg_fds\":8,"
				  "\"max_data_xfer_size\":1099511627776,\"max_dma_maps\":7,"
				  "\"pgsizes\":2101248,\"migration\":{\"pgsize\":4096,"
				  "\"max_bitmap_size\":65536},\"twin_socket\":{\"supported\":true,"
				  "\"fd_index\":3},\"write_multiple\":true}}");
	assert_int_equal(vfu_capabilities_print(&c, json, size - 1, &size), -ENOSPC);
}

/* An object with one of its members: the other one has its default, not 0. */
static void half_of_migration_is_all_of_it(void **state)
{
	static const char *const texts[] = { "{\"capabilities\":{\"migration\":{\"pgsize\":65536}}}",
					     "{\"capabilities\":{\"migration\":"
					     "{\"max_bitmap_size\":4096}}}" };
	struct vfu_capabilities caps, again;
	char json[VFU_JSON_MAX];
	size_t size;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(vfu_capabilities_parse(&caps, texts[i], strlen(texts[i]) + 1), 0);
		assert_true(caps.has_migration);
		assert_int_equal(caps.migration_pgsize, i ? 4096 : 65536);
		assert_int_equal(caps.migration_max_bitmap_size, i ? 4096 : 256 << 20);
		assert_int_equal(vfu_capabilities_print(&caps, json, sizeof(json), &size), 0);
		assert_int_equal(vfu_capabilities_parse(&again, json, size), 0);
		assert_memory_equal(&again.migration_pgsize, &caps.migration_pgsize,
				    sizeof(caps.migration_pgsize));
	}
}

static void answers_are_a_subset(void **state)
{
	struct vfu_capabilities ours, theirs, answer;

	(void)state;
	vfu_capabilities_default(&ours);
	ours.write_multiple = ours.has_migration = ours.twin_socket = true;
	vfu_capabilities_default(&theirs);
	vfu_capabilities_answer(&answer, &ours, &theirs);
	assert_false(answer.said_max_msg_fds || answer.said_pgsizes || answer.write_multiple);
	assert_false(answer.has_migration || answer.twin_socket);
	ours.max_msg_fds = 64; /* told to who would take it for 1 */
	vfu_capabilities_answer(&answer, &ours, &theirs);
	assert_true(answer.said_max_msg_fds);
	assert_int_equal(answer.max_msg_fds, 64);
	theirs.max_msg_fds = 16;
	theirs.said_max_msg_fds = theirs.write_multiple = true;
	vfu_capabilities_answer(&answer, &ours, &theirs);
	assert_true(answer.said_max_msg_fds && answer.write_multiple);
	assert_int_equal(answer.max_msg_fds, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_bounds_what_follows),
		cmocka_unit_test(unknown_commands_are_refused),
		cmocka_unit_test(lengths_are_those_of_the_command),
		cmocka_unit_test(descriptors_only_where_they_belong),
		cmocka_unit_test(dma_ranges_do_not_wrap),
		cmocka_unit_test(writes_bring_the_data_they_count),
		cmocka_unit_test(multiple_writes_are_counted),
		cmocka_unit_test(both_counts_of_a_dma_write_reply_pass),
		cmocka_unit_test(error_numbers_are_errnos),
		cmocka_unit_test(replies_are_cut_to_the_fixed_part),
		cmocka_unit_test(qemu_capabilities_are_read),
		cmocka_unit_test(what_is_not_said_has_defaults),
		cmocka_unit_test(what_is_not_json_is_refused),
		cmocka_unit_test(deep_and_long_json_is_bounded),
		cmocka_unit_test(what_is_printed_is_read_again),
		cmocka_unit_test(half_of_migration_is_all_of_it),
		cmocka_unit_test(answers_are_a_subset),
	};

	return cmocka_run_group_tests_name("vfio-user codec", tests, NULL, NULL);
}
