/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the server says about its device, asked once and checked: nothing of it changes later, and
 * nothing of it sizes memory beyond the limits here. vfio-user Protocol Specification 0.9,
 * "VFIO_USER_DEVICE_GET_INFO", "VFIO_USER_DEVICE_GET_REGION_INFO", "VFIO_USER_DEVICE_GET_IRQ_INFO".
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "client.h"

static int ask(struct peal_vfu_client *client, uint16_t command, void *request, size_t size)
{
	struct vfu_out out = {
		.header = { .command = command },
		.fixed = request,
		.fixed_size = size,
	};
	int r = vfu_client_ask(client, &out);

	if (r == 0)
		memcpy(request, client->message.payload, size);
	return r;
}

/* ---- regions ---- */

/* Sorted, not overlapping, in the region. */
static bool insert_area(struct peal_vfio_region_info *info, const struct vfu_area *area)
{
	unsigned at = info->nareas;

	if (!area->size || !peal_in_range(area->offset, area->size, info->size))
		return false;
	while (at && info->areas[at - 1].offset > area->offset)
		at--;
	if (at && info->areas[at - 1].offset + info->areas[at - 1].size > area->offset)
		return false;
	if (at < info->nareas && area->offset + area->size > info->areas[at].offset)
		return false;
	if (info->nareas == PEAL_VFIO_AREAS) /* the rest is reached by messages */
		return true;
	memmove(&info->areas[at + 1], &info->areas[at],
		(info->nareas - at) * sizeof(info->areas[0]));
	info->areas[at] = (struct peal_vfio_area){ area->offset, area->size };
	info->nareas++;
	return true;
}

/* BYTES are the payload with SIZE bytes, CAP lies in it at AT. */
static bool take_sparse(struct peal_vfio_region_info *info, const uint8_t *bytes, size_t size,
			size_t at)
{
	struct vfu_sparse_mmap cap;

	if (!peal_in_range(at, sizeof(cap), size))
		return false;
	memcpy(&cap, bytes + at, sizeof(cap));
	at += sizeof(cap);
	if (cap.count > (size - at) / sizeof(struct vfu_area))
		return false;
	for (uint32_t i = 0; i < cap.count; i++, at += sizeof(struct vfu_area)) {
		struct vfu_area area;

		memcpy(&area, bytes + at, sizeof(area));
		if (!insert_area(info, &area))
			return false;
	}
	return true;
}

/* Follows the list, which only leads forward. */
static bool take_capabilities(struct peal_vfio_region_info *info, const uint8_t *bytes, size_t size,
			      size_t at)
{
	while (at) {
		struct {
			uint16_t id;
			uint16_t version;
			uint32_t next;
		} head;

		if (!peal_in_range(at, sizeof(head), size) || at < sizeof(struct vfu_region_info))
			return false;
		memcpy(&head, bytes + at, sizeof(head));
		if (head.id == VFU_CAP_SPARSE_MMAP && !take_sparse(info, bytes, size, at))
			return false;
		if (head.next && head.next <= at)
			return false;
		at = head.next;
	}
	return true;
}

static int take_region(struct peal_vfu_client *client, struct vfu_client_region *region,
		       unsigned index)
{
	struct vfu_message *message = &client->message;
	struct vfu_region_info info;

	memcpy(&info, message->payload, sizeof(info));
	if (info.index != index)
		return vfu_client_nonsense(client);
	region->info = (struct peal_vfio_region_info){ .size = info.size, .flags = info.flags };
	region->offset = info.offset;
	if (info.flags & PEAL_VFIO_REGION_CAPS && info.argsz <= message->size &&
	    !take_capabilities(&region->info, message->payload, message->size, info.cap_offset))
		return vfu_client_nonsense(client);
	region->info.flags &= ~PEAL_VFIO_REGION_CAPS;
	if (info.flags & PEAL_VFIO_REGION_MMAP && message->fds.count)
		region->fd = vfu_fds_take(&message->fds, 0);
	else
		region->info.flags &= ~PEAL_VFIO_REGION_MMAP;
	return 0;
}

/* Asks again when the capabilities did not fit. */
static int ask_region(struct peal_vfu_client *client, unsigned index)
{
	struct vfu_region_info info = { .argsz = sizeof(info), .index = index };
	int r = ask(client, VFU_DEVICE_GET_REGION_INFO, &info, sizeof(info));

	if (r < 0)
		return r;
	if (info.argsz > sizeof(info)) {
		const uint32_t needed = info.argsz;

		vfu_fds_close(&client->message.fds);
		if (needed > VFU_CAPS_MAX)
			return vfu_client_nonsense(client);
		info = (struct vfu_region_info){ .argsz = needed, .index = index };
		r = ask(client, VFU_DEVICE_GET_REGION_INFO, &info, sizeof(info));
	}
	if (r == 0)
		r = take_region(client, &client->regions[index], index);
	vfu_fds_close(&client->message.fds);
	return r;
}

/* ---- all ---- */

static int ask_irq(struct peal_vfu_client *client, unsigned index)
{
	struct vfu_irq_info info = { .argsz = sizeof(info), .index = index };
	int r = ask(client, VFU_DEVICE_GET_IRQ_INFO, &info, sizeof(info));

	if (r == 0 && info.index != index)
		return vfu_client_nonsense(client);
	/* An index that the device does not have is an error of the request, not of ours. */
	client->irq_absent[index] = r < 0;
	if (r < 0)
		return client->broken;
	client->irqs[index] = (struct peal_vfio_irq_info){ info.flags, info.count };
	return 0;
}

static int ask_info(struct peal_vfu_client *client)
{
	const struct peal_host *host = client->config.host;
	struct vfu_device_info info = { .argsz = sizeof(info) };
	int r = ask(client, VFU_DEVICE_GET_INFO, &info, sizeof(info));

	if (r < 0)
		return r;
	if (info.num_regions > VFU_CLIENT_REGIONS || info.num_irqs > VFU_CLIENT_IRQS)
		return vfu_client_nonsense(client);
	client->info = (struct peal_vfio_device_info){
		.flags = info.flags,
		.num_regions = info.num_regions,
		.num_irqs = info.num_irqs,
	};
	client->regions = peal_alloc(host, VFU_CLIENT_REGIONS * sizeof(*client->regions));
	for (unsigned i = 0; client->regions && i < VFU_CLIENT_REGIONS; i++)
		client->regions[i].fd = -1;
	client->irqs = peal_alloc(host, VFU_CLIENT_IRQS * sizeof(*client->irqs));
	return client->regions && client->irqs ? 0 : -ENOMEM;
}

int vfu_client_ask_device(struct peal_vfu_client *client)
{
	int r;

	vfu_client_lock(client);
	r = ask_info(client);
	for (unsigned i = 0; r == 0 && i < client->info.num_regions; i++) {
		r = ask_region(client, i);
		/* There is none of this number: not all servers say so by -EINVAL. */
		if (r < 0 && r != -ENOMEM)
			r = client->broken;
	}
	for (unsigned i = 0; r == 0 && i < client->info.num_irqs; i++)
		r = ask_irq(client, i);
	vfu_client_unlock(client);
	return r;
}

/* ---- descriptors for registers: asked for when somebody wants them ---- */

#define IO_ROOM (VFU_FDS_MAX * sizeof(struct peal_vfio_io_fd))

static void forget_io(struct peal_vfu_client *client, struct vfu_client_region *region)
{
	for (unsigned i = 0; i < region->nio; i++)
		(void)close(region->io[i].fd);
	peal_free(client->config.host, region->io, IO_ROOM);
	region->io = NULL;
	region->nio = 0;
}

/*
 * Those in the message that we know. Each gets a descriptor of its own: several may share one. What
 * does not lie in the region, or has none, is nonsense.
 */
static int take_io(struct peal_vfu_client *client, struct vfu_client_region *region, uint32_t count)
{
	struct vfu_message *message = &client->message;
	const uint8_t *from = message->payload + sizeof(struct vfu_region_io);

	for (uint32_t i = 0; i < count && region->nio < VFU_FDS_MAX; i++) {
		struct vfu_sub_region sub;
		int fd;

		memcpy(&sub, from + i * sizeof(sub), sizeof(sub));
		if (!peal_in_range(sub.offset, sub.size, region->info.size) ||
		    sub.fd_index >= message->fds.count)
			return vfu_client_nonsense(client);
		if (sub.type != VFU_IO_FD_TYPE_IOEVENTFD)
			continue;
		fd = fcntl(message->fds.fd[sub.fd_index], F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			return -errno;
		region->io[region->nio++] = (struct peal_vfio_io_fd){
			.offset = sub.offset,
			.size = sub.size,
			.datamatch = sub.datamatch,
			.flags = sub.flags,
			.fd = fd,
		};
	}
	return 0;
}

static int ask_io(struct peal_vfu_client *client, struct vfu_client_region *region, unsigned index)
{
	struct vfu_region_io io = {
		.argsz = sizeof(io) + VFU_FDS_MAX * sizeof(struct vfu_sub_region),
		.index = index,
	};
	int r = ask(client, VFU_DEVICE_GET_REGION_IO, &io, sizeof(io));

	if (r < 0)
		return r;
	region->io = peal_alloc(client->config.host, IO_ROOM);
	if (!region->io)
		r = -ENOMEM;
	else if (io.index != index ||
		 io.count > (client->message.size - sizeof(io)) / sizeof(struct vfu_sub_region))
		r = vfu_client_nonsense(client);
	if (r == 0)
		r = take_io(client, region, io.count);
	vfu_fds_close(&client->message.fds);
	if (r < 0)
		forget_io(client, region);
	return r;
}

int vfu_client_io_fds(struct peal_vfio_device *device, unsigned index, struct peal_vfio_io_fd *list,
		      unsigned room, unsigned *count)
{
	struct peal_vfu_client *client = peal_container_of(device, struct peal_vfu_client, device);
	struct vfu_client_region *region;
	int r = 0;

	if (index >= client->info.num_regions)
		return -EINVAL;
	region = &client->regions[index];
	vfu_client_lock(client);
	if (!region->io)
		r = ask_io(client, region, index);
	if (r == 0) {
		*count = region->nio < room ? region->nio : room;
		if (*count)
			memcpy(list, region->io, *count * sizeof(*list));
	}
	vfu_client_unlock(client);
	return r;
}

/* The server keeps its own until we leave. */
void vfu_client_io_release(struct peal_vfio_device *device)
{
	struct peal_vfu_client *client = peal_container_of(device, struct peal_vfu_client, device);

	vfu_client_lock(client);
	for (unsigned i = 0; i < client->info.num_regions; i++)
		forget_io(client, &client->regions[i]);
	vfu_client_unlock(client);
}

void vfu_client_forget_device(struct peal_vfu_client *client)
{
	const struct peal_host *host = client->config.host;

	for (unsigned i = 0; client->regions && i < VFU_CLIENT_REGIONS; i++) {
		if (client->regions[i].fd >= 0)
			(void)close(client->regions[i].fd);
		forget_io(client, &client->regions[i]);
	}
	peal_free(host, client->regions, VFU_CLIENT_REGIONS * sizeof(*client->regions));
	peal_free(host, client->irqs, VFU_CLIENT_IRQS * sizeof(*client->irqs));
}
