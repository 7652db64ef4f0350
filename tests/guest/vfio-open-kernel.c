/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device of the kernel's VFIO: bound to vfio-pci by who calls, alone in its group, with an IOMMU
 * of type1v2. uapi linux/vfio.h. What the kernel answers is handed on as it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/vfio.h>
#include <peal/bits.h>

#include "vfio-open.h"

struct kernel_device {
	struct peal_vfio_device device; /* first */
	int container;
	int group;
	int fd;
};

const char *const vfio_backend = "/dev/vfio";

_Static_assert(sizeof(struct peal_irqset_request) == sizeof(struct vfio_irq_set),
	       "a request is the head of vfio_irq_set");

static struct kernel_device *kernel_of(struct peal_vfio_device *device)
{
	return peal_container_of(device, struct kernel_device, device);
}

static int answer(int r)
{
	return r < 0 ? -errno : r;
}

static int region(const struct kernel_device *kernel, unsigned index, struct vfio_region_info *ret)
{
	*ret = (struct vfio_region_info){ .argsz = sizeof(*ret), .index = index };
	return answer(ioctl(kernel->fd, VFIO_DEVICE_GET_REGION_INFO, ret));
}

static int region_info(struct peal_vfio_device *device, unsigned index,
		       struct peal_vfio_region_info *ret)
{
	struct vfio_region_info info;
	int r = region(kernel_of(device), index, &info);

	if (r == 0)
		*ret = (struct peal_vfio_region_info){ .size = info.size, .flags = info.flags };
	return r;
}

static int region_read(struct peal_vfio_device *device, unsigned index, uint64_t offset,
		       void *bytes, size_t size)
{
	struct vfio_region_info info;
	int r = region(kernel_of(device), index, &info);
	ssize_t n;

	if (r < 0)
		return r;
	n = pread(kernel_of(device)->fd, bytes, size, (off_t)(info.offset + offset));
	return n < 0 ? -errno : (size_t)n == size ? 0 : -EIO;
}

static int region_write(struct peal_vfio_device *device, unsigned index, uint64_t offset,
			const void *bytes, size_t size)
{
	struct vfio_region_info info;
	int r = region(kernel_of(device), index, &info);
	ssize_t n;

	if (r < 0)
		return r;
	n = pwrite(kernel_of(device)->fd, bytes, size, (off_t)(info.offset + offset));
	return n < 0 ? -errno : (size_t)n == size ? 0 : -EIO;
}

static int region_map(struct peal_vfio_device *device, unsigned index, uint64_t offset,
		      uint64_t size, unsigned flags, void **ret)
{
	struct vfio_region_info info;
	int r = region(kernel_of(device), index, &info);
	int prot = (flags & PEAL_VFIO_REGION_READ ? PROT_READ : 0) |
		   (flags & PEAL_VFIO_REGION_WRITE ? PROT_WRITE : 0);
	void *memory;

	if (r < 0)
		return r;
	memory = mmap(NULL, size, prot, MAP_SHARED, kernel_of(device)->fd,
		      (off_t)(info.offset + offset));
	if (memory == MAP_FAILED)
		return -errno;
	*ret = memory;
	return 0;
}

static void region_unmap(struct peal_vfio_device *device, void *memory, uint64_t size)
{
	(void)device;
	(void)munmap(memory, size);
}

static int irq_info(struct peal_vfio_device *device, unsigned index, struct peal_vfio_irq_info *ret)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };
	int r = answer(ioctl(kernel_of(device)->fd, VFIO_DEVICE_GET_IRQ_INFO, &info));

	if (r == 0)
		*ret = (struct peal_vfio_irq_info){ .flags = info.flags, .count = info.count };
	return r;
}

static int set_irqs(struct peal_vfio_device *device, const struct peal_irqset_request *request,
		    const void *data, size_t size)
{
	uint8_t *whole = malloc(sizeof(*request) + size);
	int r;

	if (!whole)
		return -ENOMEM;
	memcpy(whole, request, sizeof(*request));
	if (size)
		memcpy(whole + sizeof(*request), data, size);
	r = answer(ioctl(kernel_of(device)->fd, VFIO_DEVICE_SET_IRQS, whole));
	free(whole);
	return r;
}

static int reset(struct peal_vfio_device *device)
{
	return answer(ioctl(kernel_of(device)->fd, VFIO_DEVICE_RESET));
}

static void close_device(struct peal_vfio_device *device)
{
	struct kernel_device *kernel = kernel_of(device);
	const int fds[] = { kernel->fd, kernel->group, kernel->container };

	for (unsigned i = 0; i < PEAL_COUNT_OF(fds); i++) {
		if (fds[i] >= 0)
			(void)close(fds[i]);
	}
	free(kernel);
}

static int open_group(const char *name)
{
	char path[128], link[256], node[64];
	const char *number;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", name);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return -errno;
	link[n] = '\0';
	number = strrchr(link, '/');
	(void)snprintf(node, sizeof(node), "/dev/vfio/%.32s", number ? number + 1 : link);
	return answer(open(node, O_RDWR | O_CLOEXEC));
}

static int open_all(struct kernel_device *kernel, const char *name)
{
	int r;

	kernel->container = answer(open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
	if (kernel->container < 0)
		return kernel->container;
	kernel->group = open_group(name);
	if (kernel->group < 0)
		return kernel->group;
	r = answer(ioctl(kernel->group, VFIO_GROUP_SET_CONTAINER, &kernel->container));
	if (r == 0)
		r = answer(ioctl(kernel->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	if (r < 0)
		return r;
	kernel->fd = answer(ioctl(kernel->group, VFIO_GROUP_GET_DEVICE_FD, name));
	return kernel->fd < 0 ? kernel->fd : 0;
}

int vfio_open(struct peal_vfio_device **ret, const char *name)
{
	static const struct peal_vfio_device_ops ops = {
		.region_info = region_info,
		.region_read = region_read,
		.region_write = region_write,
		.region_map = region_map,
		.region_unmap = region_unmap,
		.irq_info = irq_info,
		.set_irqs = set_irqs,
		.reset = reset,
		.free = close_device,
	};
	struct kernel_device *kernel = malloc(sizeof(*kernel));
	int r;

	if (!kernel)
		return -ENOMEM;
	*kernel = (struct kernel_device){ { &ops }, -1, -1, -1 };
	r = open_all(kernel, name);
	if (r < 0) {
		close_device(&kernel->device);
		return r;
	}
	*ret = &kernel->device;
	return 0;
}
