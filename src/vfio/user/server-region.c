/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Region accesses. vfio-user Protocol Specification 0.9, "Read and Write Operations",
 * "VFIO_USER_REGION_WRITE_MULTI".
 */
#include "server.h"

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
