/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ranges that a client maps for DMA. vfio-user Protocol Specification 0.9,
 * "VFIO_USER_DMA_MAP", "VFIO_USER_DMA_UNMAP".
 *
 * The text wants an unmap to match a mapping exactly. With a virtual IOMMU, QEMU unmaps ranges that
 * cover many mappings or none: so all inside go, and it is no error when there are none. A mapping
 * that lies across the end of the range is one.
 *
 * Invariant: session->maps is sorted and its ranges do not overlap; each is mapped in the space.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "server.h"

#define HUGETLBFS 0x958458f6 /* linux/magic.h */

/* ---- the table ---- */

/* The first mapping that ends at or behind ADDRESS. */
static size_t find(const struct vfu_session *session, uint64_t address)
{
	size_t low = 0, high = session->nmaps;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (session->maps[middle]->last < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int make_room(struct vfu_session *session)
{
	const struct peal_host *host = session->server->config.host;
	size_t room = session->maps_room ? session->maps_room * 2 : 64;
	struct vfu_mapping **maps;

	if (session->nmaps < session->maps_room)
		return 0;
	maps = peal_alloc(host, room * sizeof(*maps));
	if (!maps)
		return -ENOMEM;
	if (session->nmaps)
		memcpy(maps, session->maps, session->nmaps * sizeof(*maps));
	peal_free(host, session->maps, session->maps_room * sizeof(*maps));
	session->maps = maps;
	session->maps_room = room;
	return 0;
}

/* ---- files ---- */

/* What mmap's offset has to be a multiple of. */
static int page_size(int fd, uint64_t *ret)
{
	struct statfs fs;

	*ret = (uint64_t)sysconf(_SC_PAGESIZE);
	if (fstatfs(fd, &fs) < 0)
		return -errno;
	if ((uint32_t)fs.f_type == HUGETLBFS && fs.f_bsize > 0)
		*ret = (uint64_t)fs.f_bsize;
	return 0;
}

/* Maps the pages that the range lies in. */
static int map_file(struct vfu_mapping *mapping, const struct vfu_dma_map *map, int fd)
{
	struct vfu_session *session = mapping->session;
	struct peal_vfu_server *server = session->server;
	int prot = (map->flags & VFU_DMA_READABLE ? PROT_READ : 0) |
		   (map->flags & VFU_DMA_WRITABLE ? PROT_WRITE : 0);
	uint64_t page, skip, length;
	struct stat status;
	void *base;
	int r = page_size(fd, &page);

	if (r < 0)
		return r;
	if (fstat(fd, &status) < 0)
		return -errno;
	if (S_ISREG(status.st_mode) &&
	    !peal_in_range(map->offset, map->size, (uint64_t)status.st_size))
		return -EINVAL;
	skip = map->offset & (page - 1);
	length = peal_round_up(skip + map->size, page);
	if (length < map->size || length > SIZE_MAX)
		return -EINVAL;
	base = mmap(NULL, (size_t)length, prot, MAP_SHARED | MAP_NORESERVE, fd,
		    (off_t)(map->offset - skip));
	if (base == MAP_FAILED)
		return -errno;
	mapping->mmap_base = base;
	mapping->length = (size_t)length;
	mapping->base = (uint8_t *)base + skip;
	if (server->config.flags & PEAL_VFU_NO_SIGBUS)
		return 0;
	mapping->sigbus = vfu_sigbus_add(base, (size_t)length, (size_t)page, session->channel.fd,
					 &session->faulted, &server->counters.truncated);
	return mapping->sigbus ? 0 : -ENOMEM;
}

static void mapping_free(struct vfu_mapping *mapping)
{
	const struct peal_host *host = mapping->session->server->config.host;

	vfu_sigbus_remove(mapping->sigbus);
	if (mapping->mmap_base)
		(void)munmap(mapping->mmap_base, mapping->length);
	peal_free(host, mapping, sizeof(*mapping));
}

/* ---- the device's side ---- */

static int connect_mapping(struct vfu_mapping *mapping, const struct vfu_dma_map *map, int fd)
{
	const struct peal_vfu_server_config *config = &mapping->session->server->config;
	const struct peal_vfio_dma dma = {
		.iova = map->address,
		.size = map->size,
		.flags = map->flags,
		.fd = fd,
		.offset = map->offset,
		.memory = mapping->base,
	};

	if (!config->dma)
		return peal_vfio_dma_map(config->device, &dma);
	if (mapping->base)
		return peal_space_map(config->dma, map->address, map->size, mapping->base,
				      map->flags);
	return peal_space_map_ops(config->dma, map->address, map->size, vfu_remote_ops(), mapping);
}

_Static_assert(PEAL_MEM_READ == VFU_DMA_READABLE && PEAL_MEM_WRITE == VFU_DMA_WRITABLE,
	       "flags are passed on");

/* Nobody uses them on return. Waits for accesses once for all. */
static void disconnect_mappings(struct vfu_session *session, size_t first, size_t end)
{
	const struct peal_vfu_server_config *config = &session->server->config;

	for (size_t i = first; i < end; i++) {
		const struct vfu_mapping *mapping = session->maps[i];
		uint64_t size = mapping->last - mapping->first + 1;

		if (config->dma)
			(void)peal_space_unmap(config->dma, mapping->first, size);
		else
			(void)peal_vfio_dma_unmap(config->device, mapping->first, size);
	}
	if (config->dma) {
		/* Who waits for the client's answer would be waited for: this thread receives it. */
		vfu_remote_drain(session);
		peal_space_sync(config->dma);
		vfu_remote_resume(session);
	}
}

static void unmap_range(struct vfu_session *session, size_t first, size_t end)
{
	size_t behind = session->nmaps - end;

	if (first == end)
		return;
	disconnect_mappings(session, first, end);
	for (size_t i = first; i < end; i++)
		mapping_free(session->maps[i]);
	memmove(&session->maps[first], &session->maps[end], behind * sizeof(*session->maps));
	session->nmaps = first + behind;
	__atomic_store_n(&session->server->counters.dma_maps, session->nmaps, __ATOMIC_RELAXED);
}

void vfu_session_release_dma(struct vfu_session *session)
{
	unmap_range(session, 0, session->nmaps);
}

/* ---- the commands ---- */

int vfu_handle_dma_map(struct vfu_session *session, struct vfu_message *message,
		       struct vfu_out *reply)
{
	const struct peal_host *host = session->server->config.host;
	struct vfu_mapping *mapping;
	struct vfu_dma_map map;
	size_t at;
	int fd = -1, r;

	(void)reply;
	memcpy(&map, message->payload, sizeof(map));
	at = find(session, map.address);
	if (at < session->nmaps && session->maps[at]->first <= map.address + (map.size - 1))
		return -EEXIST;
	if (session->nmaps >= session->server->ours.max_dma_maps)
		return -ENOSPC;
	r = make_room(session);
	if (r < 0)
		return r;
	mapping = peal_alloc(host, sizeof(*mapping));
	if (!mapping)
		return -ENOMEM;
	mapping->session = session;
	mapping->first = map.address;
	mapping->last = map.address + (map.size - 1);
	mapping->flags = map.flags;
	if (message->fds.count) {
		fd = message->fds.fd[0];
		r = map_file(mapping, &map, fd);
	}
	if (r == 0)
		r = connect_mapping(mapping, &map, fd);
	if (r < 0) {
		mapping_free(mapping);
		return r;
	}
	memmove(&session->maps[at + 1], &session->maps[at],
		(session->nmaps - at) * sizeof(*session->maps));
	session->maps[at] = mapping;
	session->nmaps++;
	__atomic_store_n(&session->server->counters.dma_maps, session->nmaps, __ATOMIC_RELAXED);
	return 0;
}

int vfu_handle_dma_unmap(struct vfu_session *session, struct vfu_message *message,
			 struct vfu_out *reply)
{
	size_t first = 0, end = session->nmaps;
	struct vfu_dma_unmap unmap;

	memcpy(&unmap, message->payload, sizeof(unmap));
	if (!(unmap.flags & VFU_DMA_UNMAP_ALL)) {
		uint64_t last = unmap.address + (unmap.size - 1);

		first = find(session, unmap.address);
		for (end = first; end < session->nmaps && session->maps[end]->first <= last;
		     end++) {
			const struct vfu_mapping *mapping = session->maps[end];

			if (mapping->first < unmap.address || mapping->last > last)
				return -EINVAL;
		}
	}
	unmap_range(session, first, end);
	reply->data = message->payload;
	reply->data_size = sizeof(unmap);
	return 0;
}
