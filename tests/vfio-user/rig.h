/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device with a little of everything, a server that shows it in a thread of its own, and a peer
 * that says what the test wants said. The device's interrupts are a real irqset with eventfds.
 */
#ifndef PEAL_TESTS_VFIO_USER_RIG_H
#define PEAL_TESTS_VFIO_USER_RIG_H

#include "fds.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <peal/vfio-user.h>

#include "vfio/user/channel.h"

#define RIG_MSIX     8u
#define RIG_BAR      0u
#define RIG_BAR_SIZE 8192u
#define RIG_MAPPED   2u /* a BAR with areas that can be mapped */
#define RIG_CONFIG   256u
#define RIG_TIMEOUT  20000

/* ---- the device ---- */

struct fake_device {
	struct peal_vfio_device device;
	struct peal_irqset *irqset;
	struct peal_eventfds *eventfds;
	uint8_t config[RIG_CONFIG];
	uint8_t bar[RIG_BAR_SIZE];
	int file; /* of RIG_MAPPED */
	unsigned resets;
	unsigned writes;
	/* Called for a write to the BAR, in the server's thread. */
	void (*on_write)(void *user, uint64_t offset, size_t size);
	void *user;
};

static inline struct fake_device *fake_of(struct peal_vfio_device *device)
{
	return peal_container_of(device, struct fake_device, device);
}

static inline int fake_get_info(struct peal_vfio_device *device, struct peal_vfio_device_info *ret)
{
	(void)device;
	*ret = (struct peal_vfio_device_info){
		.flags = PEAL_VFIO_DEVICE_RESET | PEAL_VFIO_DEVICE_PCI,
		.num_regions = PEAL_VFIO_REGIONS,
		.num_irqs = PEAL_VFIO_IRQS,
	};
	return 0;
}

static inline int fake_region_info(struct peal_vfio_device *device, unsigned index,
				   struct peal_vfio_region_info *ret)
{
	(void)device;
	*ret = (struct peal_vfio_region_info){ 0 };
	if (index >= PEAL_VFIO_REGIONS)
		return -EINVAL;
	if (index == RIG_BAR)
		ret->size = RIG_BAR_SIZE;
	else if (index == PEAL_VFIO_REGION_CONFIG)
		ret->size = RIG_CONFIG;
	else if (index == RIG_MAPPED)
		ret->size = 16384;
	if (ret->size)
		ret->flags = PEAL_VFIO_REGION_READ | PEAL_VFIO_REGION_WRITE;
	if (index == RIG_MAPPED) {
		ret->flags |= PEAL_VFIO_REGION_MMAP;
		ret->nareas = 2;
		ret->areas[0] = (struct peal_vfio_area){ 0, 4096 };
		ret->areas[1] = (struct peal_vfio_area){ 8192, 8192 };
	}
	return 0;
}

static inline uint8_t *fake_bytes(struct fake_device *fake, unsigned index, uint64_t offset,
				  size_t size)
{
	if (index == RIG_BAR && peal_in_range(offset, size, RIG_BAR_SIZE))
		return fake->bar + offset;
	if (index == PEAL_VFIO_REGION_CONFIG && peal_in_range(offset, size, RIG_CONFIG))
		return fake->config + offset;
	return NULL;
}

static inline int fake_region_read(struct peal_vfio_device *device, unsigned index, uint64_t offset,
				   void *bytes, size_t size)
{
	struct fake_device *fake = fake_of(device);
	const uint8_t *from = fake_bytes(fake, index, offset, size);

	if (index == RIG_MAPPED)
		return pread(fake->file, bytes, size, (off_t)offset) == (ssize_t)size ? 0 : -EIO;
	if (!from)
		return -EINVAL;
	memcpy(bytes, from, size);
	return 0;
}

static inline int fake_region_write(struct peal_vfio_device *device, unsigned index,
				    uint64_t offset, const void *bytes, size_t size)
{
	struct fake_device *fake = fake_of(device);
	uint8_t *to = fake_bytes(fake, index, offset, size);

	if (index == RIG_MAPPED)
		return pwrite(fake->file, bytes, size, (off_t)offset) == (ssize_t)size ? 0 : -EIO;
	if (!to)
		return -EINVAL;
	memcpy(to, bytes, size);
	(void)__atomic_fetch_add(&fake->writes, 1, __ATOMIC_SEQ_CST);
	if (index == RIG_BAR && fake->on_write)
		fake->on_write(fake->user, offset, size);
	return 0;
}

static inline int fake_irq_info(struct peal_vfio_device *device, unsigned index,
				struct peal_vfio_irq_info *ret)
{
	return peal_irqset_info(fake_of(device)->irqset, index, ret);
}

static inline int fake_set_irqs(struct peal_vfio_device *device,
				const struct peal_irqset_request *request, const void *data,
				size_t size)
{
	return peal_irqset_set(fake_of(device)->irqset, request, data, size);
}

static inline int fake_reset(struct peal_vfio_device *device)
{
	struct fake_device *fake = fake_of(device);

	fake->resets++;
	memset(fake->bar, 0, sizeof(fake->bar));
	return 0;
}

static inline int fake_region_fd(struct peal_vfio_device *device, unsigned index, int *fd,
				 uint64_t *offset)
{
	if (index != RIG_MAPPED)
		return -ENOTSUP;
	*fd = fake_of(device)->file;
	*offset = 0;
	return 0;
}

static inline int fake_enable(void *user, unsigned index, unsigned count)
{
	(void)user;
	(void)index;
	(void)count;
	return 0;
}

static inline void fake_disable(void *user, unsigned index)
{
	(void)user;
	(void)index;
}

static inline int fake_open(void *user, unsigned index, unsigned vector)
{
	(void)user;
	(void)index;
	(void)vector;
	return 0;
}

static inline void fake_close(void *user, unsigned index, unsigned vector)
{
	(void)user;
	(void)index;
	(void)vector;
}

static inline void fake_init(struct fake_device *fake, const struct peal_host *host)
{
	static const struct peal_vfio_device_ops ops = {
		.get_info = fake_get_info,
		.region_info = fake_region_info,
		.region_read = fake_region_read,
		.region_write = fake_region_write,
		.irq_info = fake_irq_info,
		.set_irqs = fake_set_irqs,
		.reset = fake_reset,
		.region_fd = fake_region_fd,
	};
	static const struct peal_irq_source_ops source = {
		.enable = fake_enable,
		.disable = fake_disable,
		.open = fake_open,
		.close = fake_close,
	};
	struct peal_irqset_config config = {
		.host = host,
		.source = &source,
		.triggers = peal_eventfds_ops(),
		.count = { 1, 0, RIG_MSIX, 1, 1 },
	};

	memset(fake, 0, sizeof(*fake));
	fake->device.ops = &ops;
	assert_int_equal(peal_eventfds_new(&fake->eventfds), 0);
	config.triggers_user = fake->eventfds;
	assert_int_equal(peal_irqset_new(&fake->irqset, &config), 0);
	fake->file = memfd_create("bar2", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fake->file, 16384), 0);
	for (unsigned i = 0; i < RIG_CONFIG; i++)
		fake->config[i] = (uint8_t)i;
}

static inline void fake_done(struct fake_device *fake)
{
	peal_irqset_free(fake->irqset);
	peal_eventfds_free(fake->eventfds);
	assert_int_equal(close(fake->file), 0);
}

/* ---- the server, and the peer's end ---- */

struct rig {
	struct test_host host;
	struct fake_device fake;
	struct peal_space *space;
	struct peal_vfu_server *server;
	pthread_t thread;
	bool serving;
	int server_fd;
	int result; /* of serve */
	struct vfu_channel peer;
	struct vfu_message message; /* what the peer received */
	uint16_t id;
};

static inline void *rig_serve(void *user)
{
	struct rig *rig = (struct rig *)user;

	rig->result = peal_vfu_server_serve(rig->server, rig->server_fd);
	return NULL;
}

/* A client connects, without a word. */
static inline void rig_connect(struct rig *rig)
{
	int pair[2];

	thread_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	rig->server_fd = pair[0];
	thread_assert(vfu_channel_init(&rig->peer, peal_host_default(), pair[1], (size_t)32 << 20,
				       VFU_FDS_MAX, RIG_TIMEOUT) == 0);
	thread_assert(pthread_create(&rig->thread, NULL, rig_serve, rig) == 0);
	rig->serving = true;
}

/* The client leaves (if it has not): what serve said. */
static inline int rig_disconnect(struct rig *rig)
{
	vfu_channel_done(&rig->peer);
	if (rig->serving)
		thread_assert(pthread_join(rig->thread, NULL) == 0);
	rig->serving = false;
	return rig->result;
}

static inline void rig_init_config(struct rig *rig, const struct peal_vfu_server_config *with)
{
	struct peal_vfu_server_config config = *with;
	struct peal_space_config space = { 0 };

	memset(rig, 0, sizeof(*rig));
	test_host_init(&rig->host);
	fake_init(&rig->fake, &rig->host.host);
	space.host = &rig->host.host;
	assert_int_equal(peal_space_new(&rig->space, &space), 0);
	config.host = &rig->host.host;
	config.device = &rig->fake.device;
	config.dma = rig->space;
	config.irqset = rig->fake.irqset;
	assert_int_equal(peal_vfu_server_new(&rig->server, &config), 0);
}

static inline void rig_init(struct rig *rig)
{
	const struct peal_vfu_server_config config = { 0 };

	rig_init_config(rig, &config);
	rig_connect(rig);
}

static inline void rig_done(struct rig *rig)
{
	(void)rig_disconnect(rig);
	peal_vfu_server_free(rig->server);
	peal_space_free(rig->space);
	fake_done(&rig->fake);
	test_host_done(&rig->host);
}

static inline struct peal_vfu_counters rig_counters(const struct rig *rig)
{
	struct peal_vfu_counters counters;

	peal_vfu_server_counters(rig->server, &counters);
	return counters;
}

/* ---- what the peer says ---- */

static inline void rig_send_fds(struct rig *rig, uint16_t command, uint32_t flags,
				const void *payload, size_t size, const int *fds, unsigned nfds)
{
	const struct vfu_out out = {
		.header = { .id = ++rig->id, .command = command, .flags = flags },
		.data = payload,
		.data_size = size,
		.fds = fds,
		.nfds = nfds,
	};

	assert_int_equal(vfu_channel_send(&rig->peer, &out), 0);
}

/* The reply to the last command: 0 or the error. The message stays for a look; no descriptors. */
static inline int rig_reply(struct rig *rig, uint16_t command)
{
	assert_int_equal(vfu_channel_receive(&rig->peer, &rig->message, RIG_TIMEOUT), 0);
	assert_int_equal(rig->message.header.id, rig->id);
	assert_int_equal(rig->message.header.command, command);
	assert_int_equal(rig->message.header.flags & VFU_TYPE_MASK, VFU_TYPE_REPLY);
	if (!(rig->message.header.flags & VFU_ERROR))
		return 0;
	assert_int_equal(rig->message.size, 0);
	assert_int_equal(rig->message.fds.count, 0);
	assert_in_range(rig->message.header.error, 1, VFU_ERRNO_MAX);
	return -(int)rig->message.header.error;
}

static inline int rig_ask_fds(struct rig *rig, uint16_t command, const void *payload, size_t size,
			      const int *fds, unsigned nfds)
{
	rig_send_fds(rig, command, 0, payload, size, fds, nfds);
	return rig_reply(rig, command);
}

static inline int rig_ask(struct rig *rig, uint16_t command, const void *payload, size_t size)
{
	return rig_ask_fds(rig, command, payload, size, NULL, 0);
}

/* The server hung up. */
static inline void rig_expect_end(struct rig *rig)
{
	assert_int_equal(vfu_channel_receive(&rig->peer, &rig->message, RIG_TIMEOUT), -ECONNRESET);
}

static inline int rig_version(struct rig *rig, uint16_t major, uint16_t minor, const char *json)
{
	uint8_t bytes[VFU_JSON_MAX + 8];
	const struct vfu_version version = { major, minor };
	size_t length = json ? strlen(json) + 1 : 0;

	memcpy(bytes, &version, sizeof(version));
	if (json)
		memcpy(bytes + sizeof(version), json, length);
	return rig_ask(rig, VFU_VERSION, bytes, sizeof(version) + length);
}

#define RIG_QEMU                                                                         \
	"{\"capabilities\":{\"pgsizes\":4096,\"max_msg_fds\":16,\"max_dma_maps\":65535," \
	"\"max_data_xfer_size\":1048576,\"migration\":{\"max_bitmap_size\":268435456,"   \
	"\"pgsize\":4096},\"write_multiple\":true}}"

/* Connected and agreed. */
static inline void rig_start(struct rig *rig)
{
	rig_init(rig);
	assert_int_equal(rig_version(rig, 0, 0, RIG_QEMU), 0);
}

static inline int rig_read(struct rig *rig, uint32_t region, uint64_t offset, uint32_t count)
{
	const struct vfu_region_access access = { offset, region, count };

	return rig_ask(rig, VFU_REGION_READ, &access, sizeof(access));
}

static inline int rig_write(struct rig *rig, uint32_t region, uint64_t offset, const void *bytes,
			    uint32_t count)
{
	const struct vfu_region_access access = { offset, region, count };
	uint8_t message[256];

	memcpy(message, &access, sizeof(access));
	memcpy(message + sizeof(access), bytes, count);
	return rig_ask(rig, VFU_REGION_WRITE, message, sizeof(access) + count);
}

/* FD -1: none. */
static inline int rig_map(struct rig *rig, uint64_t address, uint64_t size, uint32_t flags, int fd,
			  uint64_t offset)
{
	const struct vfu_dma_map map = { 32, flags, offset, address, size };

	return rig_ask_fds(rig, VFU_DMA_MAP, &map, sizeof(map), &fd, fd >= 0);
}

static inline int rig_unmap(struct rig *rig, uint64_t address, uint64_t size, uint32_t flags)
{
	const struct vfu_dma_unmap unmap = { 24, flags, address, size };

	return rig_ask(rig, VFU_DMA_UNMAP, &unmap, sizeof(unmap));
}

static inline int rig_irqs(struct rig *rig, uint32_t flags, uint32_t index, uint32_t start,
			   uint32_t count, const int *fds, unsigned nfds)
{
	const struct vfu_set_irqs set = { 20, flags, index, start, count };

	return rig_ask_fds(rig, VFU_DEVICE_SET_IRQS, &set, sizeof(set), fds, nfds);
}

/* How often the eventfd was signalled since the last look. */
static inline uint64_t rig_signals(int fd)
{
	uint64_t value = 0;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (poll(&p, 1, 0) == 1)
		assert_int_equal(read(fd, &value, sizeof(value)), sizeof(value));
	return value;
}

#endif
