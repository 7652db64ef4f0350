/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client as a device: each op is a request or some. vfio-user Protocol Specification 0.9.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"

static struct peal_vfu_client *client_of(struct peal_vfio_device *device)
{
	return peal_container_of(device, struct peal_vfu_client, device);
}

/* A request whose reply holds nothing that is wanted. */
static int request(struct peal_vfu_client *client, uint16_t command, const void *fixed, size_t size,
		   const int *fds, unsigned nfds)
{
	struct vfu_out out = {
		.header = { .command = command },
		.fixed = fixed,
		.fixed_size = size,
		.fds = fds,
		.nfds = nfds,
	};
	int r = vfu_client_ask(client, &out);

	if (r == 0)
		vfu_fds_close(&client->message.fds);
	return r;
}

/* ---- information: known since the beginning ---- */

static int get_info(struct peal_vfio_device *device, struct peal_vfio_device_info *ret)
{
	*ret = client_of(device)->info;
	return 0;
}

static int region_info(struct peal_vfio_device *device, unsigned index,
		       struct peal_vfio_region_info *ret)
{
	const struct peal_vfu_client *client = client_of(device);

	if (index >= client->info.num_regions)
		return -EINVAL;
	*ret = client->regions[index].info;
	return 0;
}

static int irq_info(struct peal_vfio_device *device, unsigned index, struct peal_vfio_irq_info *ret)
{
	const struct peal_vfu_client *client = client_of(device);

	if (index >= client->info.num_irqs || client->irq_absent[index])
		return -EINVAL;
	*ret = client->irqs[index];
	return 0;
}

static int region_fd(struct peal_vfio_device *device, unsigned index, int *fd, uint64_t *offset)
{
	const struct peal_vfu_client *client = client_of(device);

	if (index >= client->info.num_regions || client->regions[index].fd < 0)
		return -ENOTSUP;
	*fd = client->regions[index].fd;
	*offset = client->regions[index].offset;
	return 0;
}

/* ---- regions ---- */

static int check_access(const struct peal_vfu_client *client, unsigned index, uint64_t offset,
			size_t size)
{
	if (index >= client->info.num_regions ||
	    !peal_in_range(offset, size, client->regions[index].info.size))
		return -EINVAL;
	return 0;
}

static int read_part(struct peal_vfu_client *client, unsigned index, uint64_t offset,
		     uint8_t *bytes, uint32_t size)
{
	const struct vfu_region_access access = { offset, index, size };
	struct vfu_region_access got;
	int r = request(client, VFU_REGION_READ, &access, sizeof(access), NULL, 0);

	if (r < 0)
		return r;
	memcpy(&got, client->message.payload, sizeof(got));
	if (memcmp(&got, &access, sizeof(got)) != 0 ||
	    client->message.size != sizeof(got) + (size_t)size)
		return vfu_client_nonsense(client);
	memcpy(bytes, client->message.payload + sizeof(got), size);
	return 0;
}

static int write_part(struct peal_vfu_client *client, unsigned index, uint64_t offset,
		      const uint8_t *bytes, uint32_t size)
{
	const struct vfu_region_access access = { offset, index, size };
	struct vfu_out out = {
		.header = { .command = VFU_REGION_WRITE },
		.fixed = &access,
		.fixed_size = sizeof(access),
		.data = bytes,
		.data_size = size,
	};
	int r;

	if (client->config.flags & PEAL_VFU_POSTED_WRITES)
		return vfu_client_tell(client, &out);
	r = vfu_client_ask(client, &out);
	if (r < 0)
		return r;
	return memcmp(client->message.payload, &access, sizeof(access)) == 0
		       ? 0
		       : vfu_client_nonsense(client);
}

/* In pieces that both sides take. */
static int access_region(struct peal_vfio_device *device, unsigned index, uint64_t offset,
			 uint8_t *to, const uint8_t *from, size_t size)
{
	struct peal_vfu_client *client = client_of(device);
	int r = check_access(client, index, offset, size);

	vfu_client_lock(client);
	while (r == 0 && size) {
		uint32_t part = (uint32_t)(size < client->max_data ? size : client->max_data);

		if (to) {
			r = read_part(client, index, offset, to, part);
			to += part;
		} else {
			r = write_part(client, index, offset, from, part);
			from += part;
		}
		offset += part;
		size -= part;
	}
	vfu_client_unlock(client);
	return r;
}

static int region_read(struct peal_vfio_device *device, unsigned index, uint64_t offset,
		       void *bytes, size_t size)
{
	return access_region(device, index, offset, bytes, NULL, size);
}

static int region_write(struct peal_vfio_device *device, unsigned index, uint64_t offset,
			const void *bytes, size_t size)
{
	return access_region(device, index, offset, NULL, bytes, size);
}

static int send_multi(struct peal_vfu_client *client, const struct peal_vfu_write *writes,
		      size_t count)
{
	const struct vfu_write_multi multi = { count };
	struct vfu_out out = {
		.header = { .command = VFU_REGION_WRITE_MULTI },
		.fixed = &multi,
		.fixed_size = sizeof(multi),
		.data = writes,
		.data_size = count * sizeof(*writes),
	};
	uint64_t done;
	int r;

	_Static_assert(sizeof(struct peal_vfu_write) == sizeof(struct vfu_single_write),
		       "what is given is what is sent");
	if (client->config.flags & PEAL_VFU_POSTED_WRITES)
		return vfu_client_tell(client, &out);
	r = vfu_client_ask(client, &out);
	if (r < 0)
		return r;
	memcpy(&done, client->message.payload, sizeof(done));
	return done == count ? 0 : done < count ? -EIO : vfu_client_nonsense(client);
}

int peal_vfu_client_write_multi(struct peal_vfu_client *client, const struct peal_vfu_write *writes,
				size_t count)
{
	const size_t most = (size_t)client->max_data / sizeof(*writes);
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++) {
		if (writes[i].count > sizeof(writes[i].data))
			return -EINVAL;
		r = check_access(client, writes[i].region, writes[i].offset, writes[i].count);
	}
	vfu_client_lock(client);
	while (r == 0 && count) {
		size_t part = 1;

		if (client->theirs.write_multiple && most) {
			part = count < most ? count : most;
			r = send_multi(client, writes, part);
		} else {
			r = write_part(client, writes->region, writes->offset, writes->data,
				       writes->count);
		}
		writes += part;
		count -= part;
	}
	vfu_client_unlock(client);
	return r;
}

/* ---- mapping regions ---- */

static bool is_mappable(const struct vfu_client_region *region, uint64_t offset, uint64_t size)
{
	const struct peal_vfio_region_info *info = &region->info;

	if (region->fd < 0 || !size || !peal_in_range(offset, size, info->size))
		return false;
	for (unsigned i = 0; i < info->nareas; i++) {
		if (offset >= info->areas[i].offset &&
		    peal_in_range(offset - info->areas[i].offset, size, info->areas[i].size))
			return true;
	}
	return info->nareas == 0;
}

static int map_file(struct peal_vfu_client *client, const struct vfu_client_region *region,
		    uint64_t offset, size_t size, int prot, struct vfu_client_map *map)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct stat status;

	if (!peal_in_range(region->offset, offset, INT64_MAX) ||
	    !peal_in_range(region->offset + offset, size, INT64_MAX))
		return -ENOTSUP;
	if (fstat(region->fd, &status) < 0)
		return -errno;
	if (S_ISREG(status.st_mode) &&
	    !peal_in_range(region->offset + offset, size, (uint64_t)status.st_size))
		return -ENOTSUP;
	map->memory =
		mmap(NULL, size, prot, MAP_SHARED, region->fd, (off_t)(region->offset + offset));
	if (map->memory == MAP_FAILED)
		return -errno;
	map->size = size;
	if (client->config.flags & PEAL_VFU_NO_SIGBUS)
		return 0;
	map->sigbus = vfu_sigbus_add(map->memory, (size + page - 1) & ~(page - 1), page,
				     client->channel.fd, &client->faulted, &client->truncated);
	if (map->sigbus)
		return 0;
	(void)munmap(map->memory, size);
	return -ENOMEM;
}

static int region_map(struct peal_vfio_device *device, unsigned index, uint64_t offset,
		      uint64_t size, unsigned flags, void **ret)
{
	struct peal_vfu_client *client = client_of(device);
	int prot = (flags & PEAL_VFIO_REGION_READ ? PROT_READ : 0) |
		   (flags & PEAL_VFIO_REGION_WRITE ? PROT_WRITE : 0);
	struct vfu_client_map *map;
	int r;

	if (index >= client->info.num_regions || size > SIZE_MAX)
		return -EINVAL;
	if (!is_mappable(&client->regions[index], offset, size))
		return -ENOTSUP;
	map = peal_alloc(client->config.host, sizeof(*map));
	if (!map)
		return -ENOMEM;
	r = map_file(client, &client->regions[index], offset, (size_t)size, prot, map);
	if (r < 0) {
		peal_free(client->config.host, map, sizeof(*map));
		return r;
	}
	vfu_client_lock(client);
	map->next = client->maps;
	client->maps = map;
	vfu_client_unlock(client);
	*ret = map->memory;
	return 0;
}

static void free_map(struct peal_vfu_client *client, struct vfu_client_map *map)
{
	vfu_sigbus_remove(map->sigbus);
	(void)munmap(map->memory, map->size);
	peal_free(client->config.host, map, sizeof(*map));
}

static void region_unmap(struct peal_vfio_device *device, void *memory, uint64_t size)
{
	struct peal_vfu_client *client = client_of(device);
	struct vfu_client_map **link = &client->maps, *map;

	vfu_client_lock(client);
	while (*link && (*link)->memory != memory)
		link = &(*link)->next;
	map = *link;
	PEAL_ASSERT(map && map->size == size);
	*link = map->next;
	vfu_client_unlock(client);
	free_map(client, map);
}

void vfu_client_unmap_all(struct peal_vfu_client *client)
{
	while (client->maps) {
		struct vfu_client_map *map = client->maps;

		client->maps = map->next;
		free_map(client, map);
	}
}

/* ---- interrupts ---- */

static int send_irqs(struct peal_vfu_client *client, const struct peal_irqset_request *from,
		     uint32_t start, uint32_t count, const void *data, size_t size, const int *fds,
		     unsigned nfds)
{
	const struct vfu_set_irqs set = {
		.argsz = (uint32_t)(sizeof(set) + size),
		.flags = from->flags,
		.index = from->index,
		.start = start,
		.count = count,
	};
	struct vfu_out out = {
		.header = { .command = VFU_DEVICE_SET_IRQS },
		.fixed = &set,
		.fixed_size = sizeof(set),
		.data = data,
		.data_size = size,
		.fds = fds,
		.nfds = nfds,
	};

	return vfu_client_ask(client, &out);
}

/* How many from FDS on are all there, or all absent, and fit into a message. */
static uint32_t piece(const struct peal_vfu_client *client, const int32_t *fds, uint32_t count)
{
	uint32_t most = client->theirs.max_msg_fds, n = 1;

	if (most > VFU_FDS_MAX)
		most = VFU_FDS_MAX;
	while (n < count && (fds[n] < 0) == (fds[0] < 0) && (fds[0] < 0 || n < most))
		n++;
	return n;
}

/*
 * What a kernel leaves behind when it refuses descriptors of MSI or MSI-X: no trigger in the vectors
 * from START to the one that it fell over, and an index that was not enabled before is not enabled.
 * The other indexes have one vector, and keep its trigger.
 */
static void take_back(struct peal_vfu_client *client, const struct peal_irqset_request *from,
		      uint32_t count)
{
	struct peal_irqset_request off = {
		.flags = PEAL_VFIO_DATA_NONE | PEAL_VFIO_ACTION_TRIGGER,
		.index = from->index,
	};

	if (client->broken ||
	    (from->index != PEAL_VFIO_IRQ_MSI && from->index != PEAL_VFIO_IRQ_MSIX))
		return;
	if (client->irq_active[from->index])
		(void)send_irqs(client, from, from->start, count, NULL, 0, NULL, 0);
	else
		(void)send_irqs(client, &off, 0, 0, NULL, 0, NULL, 0);
}

/*
 * A message cannot say -1, so a mixed range goes in pieces. The first of them enables the index, and
 * only as many vectors as it knows of: so the whole range is enabled without descriptors before.
 */
static int send_descriptors(struct peal_vfu_client *client, const struct peal_irqset_request *from,
			    const int32_t *fds)
{
	uint32_t done = 0;
	int r = 0;

	for (uint32_t i = 0; client->theirs.max_msg_fds == 0 && i < from->count; i++) {
		if (fds[i] >= 0)
			return -ENOTSUP;
	}
	if (piece(client, fds, from->count) < from->count && !client->irq_active[from->index])
		r = send_irqs(client, from, from->start, from->count, NULL, 0, NULL, 0);
	while (r == 0 && done < from->count) {
		uint32_t n = piece(client, fds + done, from->count - done);
		bool present = fds[done] >= 0;

		r = send_irqs(client, from, from->start + done, n, NULL, 0,
			      present ? fds + done : NULL, present ? n : 0);
		done += n;
	}
	if (r < 0 && done)
		take_back(client, from, done);
	return r;
}

static bool is_off(const struct peal_irqset_request *request)
{
	return request->flags == (PEAL_VFIO_DATA_NONE | PEAL_VFIO_ACTION_TRIGGER) &&
	       request->count == 0;
}

/* ERR and REQ take no number below -1, which a message cannot tell from it. */
static int check_absent(const struct peal_irqset_request *from, int32_t fd)
{
	return fd < -1 && from->index >= PEAL_VFIO_IRQ_ERR && from->flags & PEAL_VFIO_ACTION_TRIGGER
		       ? -EINVAL
		       : 0;
}

static int set_irqs(struct peal_vfio_device *device, const struct peal_irqset_request *from,
		    const void *data, size_t size)
{
	struct peal_vfu_client *client = client_of(device);
	bool has_fds = (from->flags & PEAL_VFIO_DATA) == PEAL_VFIO_DATA_EVENTFD;
	bool has_bools = (from->flags & PEAL_VFIO_DATA) == PEAL_VFIO_DATA_BOOL;
	size_t needed = (size_t)from->count * (has_fds ? sizeof(int32_t) : has_bools ? 1 : 0);
	int r;

	/* What the server would not see, because it is ours to keep: the rest is its answer. */
	if (from->argsz < PEAL_VFIO_IRQ_REQUEST_SIZE || size < needed ||
	    from->argsz - PEAL_VFIO_IRQ_REQUEST_SIZE < needed)
		return -EINVAL;
	if (from->index >= client->info.num_irqs || from->count > client->irqs[from->index].count)
		return -EINVAL;
	vfu_client_lock(client);
	if (has_fds && from->count) {
		int32_t fds[2048];

		if (from->count > sizeof(fds) / sizeof(fds[0])) {
			r = -EINVAL;
		} else {
			memcpy(fds, data, needed);
			r = check_absent(from, fds[0]);
			if (r == 0)
				r = send_descriptors(client, from, fds);
		}
		if (r == 0 && (from->flags & PEAL_VFIO_ACTION) == PEAL_VFIO_ACTION_TRIGGER)
			client->irq_active[from->index] = true;
	} else {
		r = send_irqs(client, from, from->start, from->count, data, needed, NULL, 0);
		if (r == 0 && is_off(from))
			client->irq_active[from->index] = false;
	}
	vfu_client_unlock(client);
	return r;
}

/* ---- reset, DMA ---- */

static int reset(struct peal_vfio_device *device)
{
	struct peal_vfu_client *client = client_of(device);
	int r;

	vfu_client_lock(client);
	r = request(client, VFU_DEVICE_RESET, NULL, 0, NULL, 0);
	vfu_client_unlock(client);
	return r;
}

/* Ours first, so that the server finds it when it asks. */
static int dma_map(struct peal_vfio_device *device, const struct peal_vfio_dma *dma)
{
	struct peal_vfu_client *client = client_of(device);
	const struct vfu_dma_map map = {
		.argsz = sizeof(map),
		.flags = dma->flags,
		.offset = dma->fd >= 0 ? dma->offset : 0,
		.address = dma->iova,
		.size = dma->size,
	};
	bool with_fd = dma->fd >= 0 && client->theirs.max_msg_fds > 0;
	int r;

	if (!dma->flags || dma->flags & ~(PEAL_VFIO_DMA_READ | PEAL_VFIO_DMA_WRITE) ||
	    (!dma->memory && !with_fd))
		return -EINVAL;
	if (dma->memory) {
		r = peal_space_map(client->space, dma->iova, dma->size, dma->memory, dma->flags);
		if (r < 0)
			return r;
	}
	vfu_client_lock(client);
	r = request(client, VFU_DMA_MAP, &map, sizeof(map), &dma->fd, with_fd);
	vfu_client_unlock(client);
	if (r < 0 && dma->memory) {
		(void)peal_space_unmap(client->space, dma->iova, dma->size);
		peal_space_sync(client->space);
	}
	return r;
}

static int dma_unmap(struct peal_vfio_device *device, uint64_t iova, uint64_t size)
{
	struct peal_vfu_client *client = client_of(device);
	const struct vfu_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.address = iova,
		.size = size,
	};
	int r;

	vfu_client_lock(client);
	r = request(client, VFU_DMA_UNMAP, &unmap, sizeof(unmap), NULL, 0);
	vfu_client_unlock(client);
	/* Also when the server is gone: the memory is not used any more. */
	if (peal_space_unmap(client->space, iova, size) == 0)
		peal_space_sync(client->space);
	return r;
}

static void free_device(struct peal_vfio_device *device)
{
	peal_vfu_client_free(client_of(device));
}

const struct peal_vfio_device_ops *vfu_client_ops(void)
{
	static const struct peal_vfio_device_ops ops = {
		.get_info = get_info,
		.region_info = region_info,
		.region_read = region_read,
		.region_write = region_write,
		.region_map = region_map,
		.region_unmap = region_unmap,
		.irq_info = irq_info,
		.set_irqs = set_irqs,
		.reset = reset,
		.dma_map = dma_map,
		.dma_unmap = dma_unmap,
		.free = free_device,
		.region_fd = region_fd,
		.feature_probe = vfu_client_feature_probe,
		.migration_flags = vfu_client_migration_flags,
		.mig_get_state = vfu_client_mig_get_state,
		.mig_set_state = vfu_client_mig_set_state,
		.mig_read = vfu_client_mig_read,
		.mig_write = vfu_client_mig_write,
		.dma_log_start = vfu_client_log_start,
		.dma_log_stop = vfu_client_log_stop,
		.dma_log_report = vfu_client_log_report,
		.io_fds = vfu_client_io_fds,
		.io_release = vfu_client_io_release,
	};

	return &ops;
}
