/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target: the checks of vfio-user messages, and the JSON of the version. The first bytes are
 * a header and a number of descriptors, the rest a payload or JSON. What the checks let pass has to
 * be what their callers rely on; capabilities that were read are printed and read again.
 */
#include <stdlib.h>

#include <vfio/user/codec.h>

#define MAX_DATA 4096u

#define FUZZ_ASSERT(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define COPY(type, name)          \
	struct type name = { 0 }; \
	memcpy(&name, bytes, sizeof(name))

static void check_dma(uint16_t command, const uint8_t *bytes)
{
	if (command == VFU_DMA_MAP) {
		COPY(vfu_dma_map, map);
		FUZZ_ASSERT(map.size && map.address <= UINT64_MAX - (map.size - 1));
	} else {
		COPY(vfu_dma_unmap, unmap);
		FUZZ_ASSERT(unmap.flags || unmap.size);
		FUZZ_ASSERT(!unmap.size || unmap.address <= UINT64_MAX - (unmap.size - 1));
	}
}

static void check_multi(const uint8_t *bytes, size_t size)
{
	COPY(vfu_write_multi, multi);
	FUZZ_ASSERT(size == sizeof(multi) + multi.count * sizeof(struct vfu_single_write));
	bytes += sizeof(multi);
	for (uint64_t i = 0; i < multi.count; i++, bytes += sizeof(struct vfu_single_write)) {
		COPY(vfu_single_write, write);
		FUZZ_ASSERT(write.count <= sizeof(write.data));
	}
}

/* What the handlers do not look at again. */
static void check_request(uint16_t command, const uint8_t *bytes, size_t size)
{
	if (command == VFU_DMA_MAP || command == VFU_DMA_UNMAP) {
		check_dma(command, bytes);
	} else if (command == VFU_REGION_READ || command == VFU_REGION_WRITE) {
		COPY(vfu_region_access, access);
		FUZZ_ASSERT(access.count <= MAX_DATA);
		FUZZ_ASSERT(size ==
			    sizeof(access) + (command == VFU_REGION_WRITE ? access.count : 0));
	} else if (command == VFU_REGION_WRITE_MULTI) {
		check_multi(bytes, size);
	} else if (command == VFU_DMA_READ || command == VFU_DMA_WRITE) {
		COPY(vfu_dma_access, access);
		FUZZ_ASSERT(access.count <= MAX_DATA);
		FUZZ_ASSERT(size == sizeof(access) + (command == VFU_DMA_WRITE ? access.count : 0));
	} else if (command == VFU_MIG_DATA_READ || command == VFU_MIG_DATA_WRITE) {
		COPY(vfu_mig_data, data);
		FUZZ_ASSERT(data.size <= MAX_DATA);
		FUZZ_ASSERT(command == VFU_MIG_DATA_READ || size == sizeof(data) + data.size);
	}
}

static void check_messages(const uint8_t *bytes, size_t size)
{
	struct vfu_header header;
	unsigned nfds;
	int r;

	if (size < sizeof(header) + 1)
		return;
	memcpy(&header, bytes, sizeof(header));
	header.command %= 32;
	nfds = bytes[sizeof(header)];
	bytes += sizeof(header) + 1;
	size -= sizeof(header) + 1;
	r = vfu_header_check(&header, vfu_max_size(MAX_DATA));
	FUZZ_ASSERT(r < 0 || (header.size >= 16 && header.size <= vfu_max_size(MAX_DATA)));
	r = vfu_request_check(&header, bytes, size, MAX_DATA, nfds, true);
	if (r == 0) {
		const struct vfu_command *command = vfu_command(header.command);

		FUZZ_ASSERT(command && !command->from_server && size >= command->request);
		FUZZ_ASSERT(!nfds || command->fds);
		check_request(header.command, bytes, size);
	}
	r = vfu_request_check(&header, bytes, size, MAX_DATA, nfds, false);
	FUZZ_ASSERT(r < 0 || header.command == VFU_DMA_READ || header.command == VFU_DMA_WRITE);
	if (r == 0)
		check_request(header.command, bytes, size);
	r = vfu_reply_check(header.command, bytes, size, nfds);
	FUZZ_ASSERT(r < 0 || size >= vfu_command(header.command)->reply);
	r = vfu_reply_error(&header);
	FUZZ_ASSERT(r < 0 && r >= -4095);
}

static void check_json(const uint8_t *bytes, size_t size)
{
	struct vfu_capabilities first, second, answer;
	char json[VFU_JSON_MAX], again[VFU_JSON_MAX];
	size_t length, length_again;

	if (vfu_capabilities_parse(&first, bytes, size) < 0)
		return;
	FUZZ_ASSERT(vfu_capabilities_print(&first, json, sizeof(json), &length) == 0);
	FUZZ_ASSERT(vfu_capabilities_parse(&second, json, length) == 0);
	FUZZ_ASSERT(vfu_capabilities_print(&second, again, sizeof(again), &length_again) == 0);
	FUZZ_ASSERT(length == length_again && memcmp(json, again, length) == 0);
	vfu_capabilities_default(&second);
	vfu_capabilities_answer(&answer, &second, &first);
	FUZZ_ASSERT(answer.max_data_xfer_size <= second.max_data_xfer_size);
	FUZZ_ASSERT(!answer.twin_socket && answer.max_msg_fds <= second.max_msg_fds);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	check_messages(bytes, size);
	check_json(bytes, size);
	return 0;
}
