/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands as a table, and the checks of one message. vfio-user Protocol Specification 0.9,
 * "Commands" and the sections of each.
 */
#include "codec.h"

/* Many times what any version of the protocol puts before the data. */
#define FIXED_MAX 64u
/* A message has room for this much even if less data was agreed on: what is no data does not count. */
#define SMALLEST_MAX (VFU_CAPS_MAX + FIXED_MAX)

#define COPY(type, name, payload) \
	struct type name;         \
	memcpy(&name, payload, sizeof(name))

/* ---- checks of single commands; the fixed part is there ---- */

static int check_version(const uint8_t *payload, size_t size, uint64_t max_data, unsigned nfds)
{
	(void)payload;
	(void)max_data;
	(void)nfds;
	return size - sizeof(struct vfu_version) <= VFU_JSON_MAX ? 0 : -E2BIG;
}

static int check_range(uint64_t address, uint64_t size)
{
	return size && address + (size - 1) >= address ? 0 : -EINVAL;
}

static int check_dma_map(const uint8_t *payload, size_t size, uint64_t max_data, unsigned nfds)
{
	COPY(vfu_dma_map, map, payload);

	(void)size;
	(void)max_data;
	if (map.argsz < sizeof(map) || nfds > 1)
		return -EINVAL;
	if (!map.flags || map.flags & ~(VFU_DMA_READABLE | VFU_DMA_WRITABLE))
		return -EINVAL;
	if (nfds && !peal_in_range(map.offset, map.size, INT64_MAX)) /* off_t */
		return -EINVAL;
	return check_range(map.address, map.size);
}

static int check_dma_unmap(const uint8_t *payload, size_t size, uint64_t max_data, unsigned nfds)
{
	COPY(vfu_dma_unmap, unmap, payload);

	(void)size;
	(void)max_data;
	(void)nfds;
	if (unmap.argsz < sizeof(unmap) || unmap.flags & ~VFU_DMA_UNMAP_ALL)
		return -EINVAL;
	if (unmap.flags & VFU_DMA_UNMAP_ALL)
		return unmap.address || unmap.size ? -EINVAL : 0;
	return check_range(unmap.address, unmap.size);
}

/* The infos begin with argsz and are as long in the request as in the reply. */
static int check_argsz(const uint8_t *payload, size_t size, uint64_t max_data, unsigned nfds)
{
	uint32_t argsz;

	(void)max_data;
	(void)nfds;
	memcpy(&argsz, payload, sizeof(argsz));
	return argsz < size ? -EINVAL : 0;
}

static int check_feature(const uint8_t *payload, size_t size, uint64_t max_data, unsigned nfds)
{
	COPY(vfu_feature, feature, payload);

	(void)nfds;
	if (size - sizeof(feature) > max_data)
		return -E2BIG;
	return feature.argsz < sizeof(feature) ? -EINVAL : 0;
}

/* All else that SET_IRQS may have wrong depends on the device (vfio irq set). */
static int check_set_irqs(const uint8_t *payload, size_t size, uint64_t max_data, unsigned nfds)
{
	COPY(vfu_set_irqs, set, payload);

	(void)size;
	(void)max_data;
	(void)nfds;
	return set.argsz < sizeof(set) ? -EINVAL : 0;
}

static int check_region_read(const uint8_t *payload, size_t size, uint64_t max_data, unsigned nfds)
{
	COPY(vfu_region_access, access, payload);

	(void)size;
	(void)nfds;
	return access.count > max_data ? -E2BIG : 0;
}

static int check_region_write(const uint8_t *payload, size_t size, uint64_t max_data, unsigned nfds)
{
	COPY(vfu_region_access, access, payload);

	(void)nfds;
	if (access.count > max_data)
		return -E2BIG;
	return size - sizeof(access) == access.count ? 0 : -EINVAL;
}

static int check_dma_read(const uint8_t *payload, size_t size, uint64_t max_data, unsigned nfds)
{
	COPY(vfu_dma_access, access, payload);

	(void)size;
	(void)nfds;
	return access.count > max_data ? -E2BIG : 0;
}

static int check_dma_write(const uint8_t *payload, size_t size, uint64_t max_data, unsigned nfds)
{
	COPY(vfu_dma_access, access, payload);

	(void)nfds;
	if (access.count > max_data)
		return -E2BIG;
	return size - sizeof(access) == access.count ? 0 : -EINVAL;
}

static int check_multi(const uint8_t *payload, size_t size, uint64_t max_data, unsigned nfds)
{
	size_t tail = size - sizeof(struct vfu_write_multi);

	COPY(vfu_write_multi, multi, payload);
	(void)max_data;
	(void)nfds;
	if (tail % sizeof(struct vfu_single_write) ||
	    tail / sizeof(struct vfu_single_write) != multi.count)
		return -EINVAL;
	for (uint64_t i = 0; i < multi.count; i++) {
		COPY(vfu_single_write, write,
		     payload + sizeof(multi) + i * sizeof(struct vfu_single_write));

		if (write.count > sizeof(write.data))
			return -EINVAL;
	}
	return 0;
}

static int check_mig_read(const uint8_t *payload, size_t size, uint64_t max_data, unsigned nfds)
{
	COPY(vfu_mig_data, data, payload);

	(void)size;
	(void)nfds;
	if (data.size > max_data)
		return -E2BIG;
	/* "The size of the above structure": who follows the text does not count the data. */
	return data.argsz < sizeof(data) ? -EINVAL : 0;
}

static int check_mig_write(const uint8_t *payload, size_t size, uint64_t max_data, unsigned nfds)
{
	COPY(vfu_mig_data, data, payload);

	(void)nfds;
	if (data.size > max_data)
		return -E2BIG;
	return size - sizeof(data) == data.size && data.argsz >= sizeof(data) ? 0 : -EINVAL;
}

/* ---- the table ---- */

/* clang-format off */
static const struct vfu_command commands[VFU_COMMANDS] = {
	[VFU_VERSION] = { .name = "VERSION", .request = 4, .reply = 4, .tail = true,
		.reply_tail = true, .reply_fds = true, .check = check_version },
	[VFU_DMA_MAP] = { .name = "DMA_MAP", .request = 32, .fds = true, .check = check_dma_map },
	[VFU_DMA_UNMAP] = { .name = "DMA_UNMAP", .request = 24, .reply = 24,
		.check = check_dma_unmap },
	[VFU_DEVICE_GET_INFO] = { .name = "DEVICE_GET_INFO", .request = 16, .reply = 16,
		.check = check_argsz },
	[VFU_DEVICE_GET_REGION_INFO] = { .name = "DEVICE_GET_REGION_INFO", .request = 32,
		.reply = 32, .reply_tail = true, .reply_fds = true, .check = check_argsz },
	[VFU_DEVICE_GET_REGION_IO] = { .name = "DEVICE_GET_REGION_IO_FDS", .request = 16,
		.reply = 16, .reply_tail = true, .reply_fds = true, .check = check_argsz },
	[VFU_DEVICE_GET_IRQ_INFO] = { .name = "DEVICE_GET_IRQ_INFO", .request = 16, .reply = 16,
		.check = check_argsz },
	[VFU_DEVICE_SET_IRQS] = { .name = "DEVICE_SET_IRQS", .request = 20, .tail = true,
		.fds = true, .check = check_set_irqs },
	[VFU_REGION_READ] = { .name = "REGION_READ", .request = 16, .reply = 16,
		.reply_tail = true, .check = check_region_read },
	[VFU_REGION_WRITE] = { .name = "REGION_WRITE", .request = 16, .reply = 16, .tail = true,
		.check = check_region_write },
	[VFU_DMA_READ] = { .name = "DMA_READ", .request = 16, .reply = 16, .reply_tail = true,
		.from_server = true, .check = check_dma_read },
	/* The count of the reply is 4 bytes in the text, 8 in practice: both pass. */
	[VFU_DMA_WRITE] = { .name = "DMA_WRITE", .request = 16, .reply = 12, .tail = true,
		.reply_tail = true, .from_server = true, .check = check_dma_write },
	[VFU_DEVICE_RESET] = { .name = "DEVICE_RESET" },
	[VFU_REGION_WRITE_MULTI] = { .name = "REGION_WRITE_MULTI", .request = 8, .reply = 8,
		.tail = true, .check = check_multi },
	[VFU_DEVICE_FEATURE] = { .name = "DEVICE_FEATURE", .request = 8, .reply = 8, .tail = true,
		.reply_tail = true, .check = check_feature },
	[VFU_MIG_DATA_READ] = { .name = "MIG_DATA_READ", .request = 8, .reply = 8,
		.reply_tail = true, .check = check_mig_read },
	[VFU_MIG_DATA_WRITE] = { .name = "MIG_DATA_WRITE", .request = 8, .tail = true,
		.check = check_mig_write },
};
/* clang-format on */

const struct vfu_command *vfu_command(uint16_t number)
{
	return number < VFU_COMMANDS && commands[number].name ? &commands[number] : NULL;
}

const char *vfu_command_name(uint16_t number)
{
	const struct vfu_command *command = vfu_command(number);

	return command ? command->name : "?";
}

/* ---- messages ---- */

size_t vfu_max_size(uint64_t max_data)
{
	size_t tail = max_data > SMALLEST_MAX ? (size_t)max_data : SMALLEST_MAX;

	return sizeof(struct vfu_header) + FIXED_MAX + tail;
}

int vfu_header_check(const struct vfu_header *header, size_t max_size)
{
	if (header->size < sizeof(*header))
		return -EPROTO;
	if ((header->flags & VFU_TYPE_MASK) > VFU_TYPE_REPLY)
		return -EPROTO;
	return header->size > max_size ? -EMSGSIZE : 0;
}

int vfu_request_check(const struct vfu_header *header, const uint8_t *payload, size_t size,
		      uint64_t max_data, unsigned nfds, bool to_server)
{
	const struct vfu_command *command = vfu_command(header->command);

	if (!command || command->from_server == to_server)
		return -ENOSYS;
	if (size < command->request || (size > command->request && !command->tail))
		return -EINVAL;
	if (nfds && !command->fds)
		return -EINVAL;
	return command->check ? command->check(payload, size, max_data, nfds) : 0;
}

int vfu_reply_check(uint16_t number, const uint8_t *payload, size_t size, unsigned nfds)
{
	const struct vfu_command *command = vfu_command(number);

	(void)payload;
	if (!command || size < command->reply)
		return -EPROTO;
	if (size > command->reply && !command->reply_tail)
		return -EPROTO;
	return nfds && !command->reply_fds ? -EPROTO : 0;
}

int vfu_reply_error(const struct vfu_header *header)
{
	return header->error && header->error <= VFU_ERRNO_MAX ? -(int)header->error : -EIO;
}

size_t vfu_reply_size(uint32_t argsz, size_t fixed, size_t needed)
{
	return argsz < needed ? fixed : needed;
}
