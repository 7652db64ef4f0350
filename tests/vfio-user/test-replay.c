/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QEMU attaches again: every message that it sent once, byte for byte, with descriptors of the same
 * kind, has the answer that it was content with. The recording is of QEMU 11.1 with `-M q35 -m 512M`,
 * shared memory, and the device below, from VERSION to the firmware's view of memory and the end.
 */
#include "rig.h"

#define RECORDING "/tests/vfio-user/data/qemu-11-attach.txt"
#define LINE_MAX_ 8192

static void put_le(uint8_t *at, size_t size, uint64_t value)
{
	peal_store_le(at, size, value);
}

/* An MSI-X function with an interrupt pin and no BAR that QEMU would size. */
static void look_like_pci(struct fake_device *fake)
{
	memset(fake->config, 0, sizeof(fake->config));
	put_le(fake->config + 0x00, 4, 0xe1101234);
	put_le(fake->config + 0x06, 2, 0x10);
	put_le(fake->config + 0x08, 4, 0xff000000);
	fake->config[0x34] = 0x40;
	fake->config[0x3d] = 1;
	fake->config[0x40] = 0x11;
	put_le(fake->config + 0x42, 2, RIG_MSIX - 1);
	put_le(fake->config + 0x44, 4, 0x1000);
	put_le(fake->config + 0x48, 4, 0x1800);
}

static size_t from_hex(const char *hex, uint8_t *bytes, size_t room)
{
	size_t size = 0;
	unsigned byte;

	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2) {
		assert_true(size < room);
		bytes[size++] = (uint8_t)byte;
	}
	return size;
}

/* The message with a descriptor: memory for DMA_MAP, else an event. */
static void send_recorded(struct rig *rig, const uint8_t *bytes, size_t size, unsigned nfds)
{
	struct vfu_out out = { .data = bytes + sizeof(out.header),
			       .data_size = size - sizeof(out.header),
			       .nfds = nfds };
	int fd = -1;

	assert_in_range(nfds, 0, 1);
	memcpy(&out.header, bytes, sizeof(out.header));
	assert_int_equal(out.header.size, size);
	if (nfds && out.header.command == VFU_DMA_MAP) {
		fd = memfd_create("ram", MFD_CLOEXEC);
		assert_int_equal(ftruncate(fd, (off_t)512 << 20), 0);
	} else if (nfds) {
		fd = eventfd(0, EFD_CLOEXEC);
	}
	out.fds = &fd;
	assert_int_equal(vfu_channel_send(&rig->peer, &out), 0);
	if (fd >= 0)
		assert_int_equal(close(fd), 0);
}

static void expect_recorded(struct rig *rig, const uint8_t *bytes, size_t size, unsigned nfds)
{
	assert_int_equal(vfu_channel_receive(&rig->peer, &rig->message, RIG_TIMEOUT), 0);
	assert_int_equal(rig->message.header.size, size);
	assert_memory_equal(&rig->message.header, bytes, sizeof(rig->message.header));
	assert_memory_equal(rig->message.payload, bytes + sizeof(rig->message.header),
			    size - sizeof(rig->message.header));
	assert_int_equal(rig->message.fds.count, nfds);
	vfu_fds_close(&rig->message.fds);
}

static void qemu_attaches_byte_for_byte(void **state)
{
	const char *root = getenv("PEAL_SOURCE_ROOT");
	char path[4096], line[LINE_MAX_];
	unsigned from_client = 0, from_server = 0;
	struct rig rig;
	FILE *file;

	(void)state;
	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__) {
		print_message("# skip: the recording is of a little-endian machine\n");
		return;
	}
	(void)snprintf(path, sizeof(path), "%s%s", root ? root : ".", RECORDING);
	file = fopen(path, "r");
	assert_non_null(file);
	rig_init(&rig);
	look_like_pci(&rig.fake);
	while (fgets(line, sizeof(line), file)) {
		uint8_t bytes[LINE_MAX_ / 2];
		unsigned nfds;
		int hex = 0;
		size_t size;

		if (line[0] == '#')
			continue;
		assert_int_equal(sscanf(line + 1, "%u %n", &nfds, &hex), 1);
		size = from_hex(line + 1 + hex, bytes, sizeof(bytes));
		if (line[0] == 'C') {
			send_recorded(&rig, bytes, size, nfds);
			from_client++;
		} else {
			expect_recorded(&rig, bytes, size, nfds);
			from_server++;
		}
	}
	(void)fclose(file);
	assert_int_equal(from_client, 45);
	assert_int_equal(from_server, 45);
	assert_int_equal(rig_counters(&rig).errors, 0);
	assert_int_equal(rig_disconnect(&rig), 0);
	rig_done(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fds_test(qemu_attaches_byte_for_byte),
	};

	return cmocka_run_group_tests_name("vfio-user replay", tests, NULL, NULL);
}
