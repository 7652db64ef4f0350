/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands about the device as a whole: information, interrupts, reset.
 * vfio-user Protocol Specification 0.9, the section of each command.
 */
#include "server.h"

int vfu_handle_get_info(struct vfu_session *session, struct vfu_message *message,
			struct vfu_out *reply)
{
	const struct peal_vfio_device_info *has = &session->server->info;
	const struct vfu_device_info info = {
		.argsz = sizeof(info),
		.flags = has->flags,
		.num_regions = has->num_regions,
		.num_irqs = has->num_irqs,
	};
	uint8_t *room = vfu_session_room(session, sizeof(info));

	(void)message;
	if (!room)
		return -ENOMEM;
	memcpy(room, &info, sizeof(info));
	reply->data = room;
	reply->data_size = sizeof(info);
	return 0;
}

/* ---- regions ---- */

/* The file of a region that can be mapped: needs a descriptor to give. */
static int region_file(struct vfu_session *session, unsigned index, int *fd, uint64_t *offset)
{
	struct peal_vfio_device *device = session->server->config.device;

	if (!(session->server->regions[index].flags & PEAL_VFIO_REGION_MMAP) ||
	    !device->ops->region_fd || session->theirs.max_msg_fds == 0)
		return -ENOTSUP;
	return device->ops->region_fd(device, index, fd, offset);
}

static void put_sparse(uint8_t *to, const struct peal_vfio_region_info *region)
{
	const struct vfu_sparse_mmap cap = {
		.id = VFU_CAP_SPARSE_MMAP,
		.version = 1,
		.count = region->nareas,
	};

	memcpy(to, &cap, sizeof(cap));
	to += sizeof(cap);
	for (unsigned i = 0; i < region->nareas; i++, to += sizeof(struct vfu_area)) {
		const struct vfu_area area = { region->areas[i].offset, region->areas[i].size };

		memcpy(to, &area, sizeof(area));
	}
}

int vfu_handle_region_info(struct vfu_session *session, struct vfu_message *message,
			   struct vfu_out *reply)
{
	const struct peal_vfio_region_info *region;
	struct vfu_region_info info;
	size_t needed = sizeof(info), size;
	uint64_t offset = 0;
	uint32_t argsz;
	uint8_t *room;

	memcpy(&info, message->payload, sizeof(info));
	if (info.index >= session->server->info.num_regions)
		return -EINVAL;
	region = &session->server->regions[info.index];
	argsz = info.argsz;
	info = (struct vfu_region_info){
		.flags = region->flags & ~(PEAL_VFIO_REGION_MMAP | PEAL_VFIO_REGION_CAPS),
		.index = info.index,
		.size = region->size,
	};
	if (region_file(session, info.index, &session->reply_fd, &offset) == 0) {
		info.flags |= PEAL_VFIO_REGION_MMAP;
		info.offset = offset;
		if (region->nareas) {
			info.flags |= PEAL_VFIO_REGION_CAPS;
			needed += sizeof(struct vfu_sparse_mmap) +
				  region->nareas * sizeof(struct vfu_area);
		}
	}
	room = vfu_session_room(session, needed);
	if (!room)
		return -ENOMEM;
	info.argsz = (uint32_t)needed;
	size = vfu_reply_size(argsz, sizeof(info), needed);
	if (needed > sizeof(info))
		info.cap_offset = sizeof(info);
	if (size > sizeof(info))
		put_sparse(room + sizeof(info), region);
	/* Who has to ask again gets the descriptor then. */
	if (info.flags & PEAL_VFIO_REGION_MMAP && size == needed) {
		reply->fds = &session->reply_fd;
		reply->nfds = 1;
	}
	memcpy(room, &info, sizeof(info));
	reply->data = room;
	reply->data_size = size;
	return 0;
}

static void put_sub_regions(struct vfu_session *session, uint8_t *to,
			    const struct peal_vfio_io_fd *list, unsigned count)
{
	for (unsigned i = 0; i < count; i++, to += sizeof(struct vfu_sub_region)) {
		const struct vfu_sub_region sub = {
			.offset = list[i].offset,
			.size = list[i].size,
			.fd_index = i,
			.type = VFU_IO_FD_TYPE_IOEVENTFD,
			.flags = list[i].flags,
			.datamatch = list[i].datamatch,
		};

		memcpy(to, &sub, sizeof(sub));
		session->io_fds[i] = list[i].fd;
	}
}

/* As many as one message can carry; the client writes the other registers. */
int vfu_handle_region_io(struct vfu_session *session, struct vfu_message *message,
			 struct vfu_out *reply)
{
	struct peal_vfio_device *device = session->server->config.device;
	struct peal_vfio_io_fd list[VFU_FDS_MAX];
	unsigned count = 0, most = session->theirs.max_msg_fds;
	struct vfu_region_io io;
	size_t needed, size;
	uint8_t *room;
	int r;

	memcpy(&io, message->payload, sizeof(io));
	if (io.flags || io.count || io.index >= session->server->info.num_regions)
		return -EINVAL;
	if (most > VFU_FDS_MAX)
		most = VFU_FDS_MAX;
	r = peal_vfio_io_fds(device, io.index, list, most, &count);
	if (r < 0 && r != -ENOTSUP)
		return r;
	needed = sizeof(io) + count * sizeof(struct vfu_sub_region);
	size = vfu_reply_size(io.argsz, sizeof(io), needed);
	room = vfu_session_room(session, needed);
	if (!room)
		return -ENOMEM;
	put_sub_regions(session, room + sizeof(io), list, count);
	io.argsz = (uint32_t)needed;
	io.count = count;
	memcpy(room, &io, sizeof(io));
	reply->data = room;
	reply->data_size = size;
	/* Who has to ask again gets the descriptors then. */
	if (size == needed) {
		reply->fds = session->io_fds;
		reply->nfds = count;
	}
	return 0;
}

/* ---- interrupts ---- */

int vfu_handle_irq_info(struct vfu_session *session, struct vfu_message *message,
			struct vfu_out *reply)
{
	struct peal_vfio_irq_info has;
	struct vfu_irq_info info;
	uint8_t *room = vfu_session_room(session, sizeof(info));
	int r;

	if (!room)
		return -ENOMEM;
	memcpy(&info, message->payload, sizeof(info));
	r = peal_vfio_irq_info(session->server->config.device, info.index, &has);
	if (r < 0)
		return r;
	info.argsz = sizeof(info);
	info.flags = has.flags;
	info.count = has.count;
	memcpy(room, &info, sizeof(info));
	reply->data = room;
	reply->data_size = sizeof(info);
	return 0;
}

/*
 * The device wants a descriptor or -1 for each vector. A message brings one for each, or none, which
 * stands for -1 everywhere. A range that the device will refuse anyway needs no room.
 */
static int set_descriptors(struct vfu_session *session, struct peal_irqset_request *request,
			   const struct vfu_fds *fds)
{
	struct peal_vfio_device *device = session->server->config.device;
	struct peal_vfio_irq_info info;
	uint8_t *room = NULL;
	size_t size = 0;
	int r;

	if (fds->count && fds->count != request->count)
		return -EINVAL;
	r = peal_vfio_irq_info(device, request->index, &info);
	if (r < 0)
		return r;
	if (request->count && request->count <= info.count) {
		size = request->count * sizeof(int32_t);
		room = vfu_session_room(session, size);
		if (!room)
			return -ENOMEM;
		memset(room, 0xff, size);
		for (unsigned i = 0; i < fds->count; i++) {
			const int32_t fd = fds->fd[i];

			memcpy(room + i * sizeof(fd), &fd, sizeof(fd));
		}
	}
	request->argsz = (uint32_t)(PEAL_VFIO_IRQ_REQUEST_SIZE + size);
	return peal_vfio_set_irqs(device, request, room, size);
}

int vfu_handle_set_irqs(struct vfu_session *session, struct vfu_message *message,
			struct vfu_out *reply)
{
	struct peal_irqset_request request;
	struct vfu_set_irqs set;
	size_t size = message->size - sizeof(set);
	int r;

	(void)reply;
	memcpy(&set, message->payload, sizeof(set));
	request = (struct peal_irqset_request){
		.argsz = set.argsz,
		.flags = set.flags,
		.index = set.index,
		.start = set.start,
		.count = set.count,
	};
	if ((set.flags & PEAL_VFIO_DATA) == PEAL_VFIO_DATA_EVENTFD) {
		r = set_descriptors(session, &request, &message->fds);
	} else {
		if (message->fds.count)
			return -EINVAL;
		r = peal_vfio_set_irqs(session->server->config.device, &request,
				       message->payload + sizeof(set), size);
	}
	/* Fewer vectors than asked for: a message cannot say how many. */
	return r > 0 ? -ENOSPC : r;
}

void vfu_session_release_irqs(struct vfu_session *session)
{
	const struct peal_vfu_server_config *config = &session->server->config;

	if (config->irqset) {
		peal_irqset_disable(config->irqset);
		return;
	}
	for (unsigned index = 0; index < session->server->info.num_irqs; index++) {
		const struct peal_irqset_request off = {
			.argsz = PEAL_VFIO_IRQ_REQUEST_SIZE,
			.flags = PEAL_VFIO_DATA_NONE | PEAL_VFIO_ACTION_TRIGGER,
			.index = index,
		};

		/* -EINVAL: it was not on. */
		(void)peal_vfio_set_irqs(config->device, &off, NULL, 0);
	}
}

/* ---- the rest ---- */

int vfu_handle_reset(struct vfu_session *session, struct vfu_message *message,
		     struct vfu_out *reply)
{
	(void)message;
	(void)reply;
	return peal_vfio_reset(session->server->config.device);
}
