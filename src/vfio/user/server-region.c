/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Region accesses, and which regions clients may map. vfio-user Protocol Specification 0.9, "Read and
 * Write Operations", "VFIO_USER_REGION_WRITE_MULTI".
 */
#include <unistd.h>

#include "server.h"

/* PCI Local Bus 3.0, 6.7 and 6.8.2. */
#define PCI_STATUS          0x06u
#define PCI_STATUS_CAP_LIST 0x10u
#define PCI_CAPABILITIES    0x34u
#define CAPABILITIES_MOST   48u /* in 256 bytes of configuration space */
#define CAP_MSIX            0x11u
#define MSIX_CONTROL        2u
#define MSIX_CONTROL_SIZE   0x7ffu /* less one */
#define MSIX_TABLE          4u
#define MSIX_TABLE_BIR      0x7u
#define MSIX_ENTRY          16u

/* Is it a place in a region that can be accessed so? */
static int check_access(const struct vfu_session *session, uint32_t region, uint64_t offset,
			uint64_t count, uint32_t flag)
{
	const struct peal_vfio_region_info *info;

	if (region >= session->server->info.num_regions)
		return -EINVAL;
	info = &session->server->regions[region];
	if (!(info->flags & flag) || !peal_in_range(offset, count, info->size))
		return -EINVAL;
	return 0;
}

int vfu_handle_region_read(struct vfu_session *session, struct vfu_message *message,
			   struct vfu_out *reply)
{
	struct vfu_region_access access;
	uint8_t *room;
	int r;

	memcpy(&access, message->payload, sizeof(access));
	r = check_access(session, access.region, access.offset, access.count,
			 PEAL_VFIO_REGION_READ);
	if (r < 0)
		return r;
	room = vfu_session_room(session, sizeof(access) + access.count);
	if (!room)
		return -ENOMEM;
	memcpy(room, &access, sizeof(access));
	if (access.count)
		r = peal_vfio_region_read(session->server->config.device, access.region,
					  access.offset, room + sizeof(access), access.count);
	reply->data = room;
	reply->data_size = sizeof(access) + access.count;
	return r;
}

static int write_region(struct vfu_session *session, uint32_t region, uint64_t offset,
			const void *bytes, uint32_t count)
{
	int r = check_access(session, region, offset, count, PEAL_VFIO_REGION_WRITE);

	if (r < 0 || count == 0)
		return r;
	return peal_vfio_region_write(session->server->config.device, region, offset, bytes, count);
}

int vfu_handle_region_write(struct vfu_session *session, struct vfu_message *message,
			    struct vfu_out *reply)
{
	struct vfu_region_access access;

	memcpy(&access, message->payload, sizeof(access));
	reply->data = message->payload;
	reply->data_size = sizeof(access);
	return write_region(session, access.region, access.offset,
			    message->payload + sizeof(access), access.count);
}

/* All are checked before the first is carried out. */
int vfu_handle_write_multi(struct vfu_session *session, struct vfu_message *message,
			   struct vfu_out *reply)
{
	const uint8_t *writes = message->payload + sizeof(struct vfu_write_multi);
	struct vfu_single_write write;
	struct vfu_write_multi multi;
	int r = 0;

	memcpy(&multi, message->payload, sizeof(multi));
	for (uint64_t i = 0; r == 0 && i < multi.count; i++) {
		memcpy(&write, writes + i * sizeof(write), sizeof(write));
		r = check_access(session, write.region, write.offset, write.count,
				 PEAL_VFIO_REGION_WRITE);
	}
	for (uint64_t i = 0; r == 0 && i < multi.count; i++) {
		memcpy(&write, writes + i * sizeof(write), sizeof(write));
		r = write_region(session, write.region, write.offset, write.data, write.count);
	}
	reply->data = message->payload;
	reply->data_size = sizeof(multi);
	return r;
}

/* ---- regions that clients map ---- */

/* A field of configuration space, 0 where there is none. */
static uint32_t config_field(const struct peal_vfu_server *server, uint32_t at, unsigned size)
{
	uint8_t bytes[4] = { 0 };

	if (peal_vfio_region_read(server->config.device, PEAL_VFIO_REGION_CONFIG, at, bytes, size) <
	    0)
		return 0;
	return (uint32_t)peal_load_le(bytes, size);
}

static uint32_t find_msix(const struct peal_vfu_server *server)
{
	uint32_t at = 0;

	if (config_field(server, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST)
		at = config_field(server, PCI_CAPABILITIES, 1) & ~3u;
	for (unsigned i = 0; at && i < CAPABILITIES_MOST; i++) {
		if (config_field(server, at, 1) == CAP_MSIX)
			return at;
		at = config_field(server, at + 1, 1) & ~3u;
	}
	return 0;
}

/* Can a client map any of the bytes FIRST..LAST of the region? */
static bool is_mappable(const struct peal_vfio_region_info *region, uint64_t first, uint64_t last)
{
	if (!(region->flags & PEAL_VFIO_REGION_MMAP))
		return false;
	for (unsigned i = 0; i < region->nareas; i++) {
		const struct peal_vfio_area *area = &region->areas[i];

		if (area->offset <= last && area->offset + area->size > first)
			return true;
	}
	return !region->nareas;
}

bool vfu_server_exports_msix(const struct peal_vfu_server *server)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint32_t at = find_msix(server), table, entries;
	uint64_t first, last;

	if (!at)
		return false;
	entries = (config_field(server, at + MSIX_CONTROL, 2) & MSIX_CONTROL_SIZE) + 1;
	table = config_field(server, at + MSIX_TABLE, 4);
	first = table & ~MSIX_TABLE_BIR;
	last = peal_round_up(first + (uint64_t)entries * MSIX_ENTRY, page) - 1;
	first &= ~(page - 1);
	return (table & MSIX_TABLE_BIR) < server->info.num_regions &&
	       is_mappable(&server->regions[table & MSIX_TABLE_BIR], first, last);
}
