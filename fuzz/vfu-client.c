/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target: a vfio-user client that makes each of its requests, and a server that answers what the
 * input has.
 *
 * The first byte says whether the server opens a second socket. The rest is steps: {good, kind,
 * descriptors, length, payload}: so many requests get good replies first, the one after them what
 * KIND says. Behind the last step all replies are good. The server is a thread that sends only when
 * it was asked, so the same input does the same again but for when the client looks.
 *
 * Held after each input: as many descriptors and as much memory as before, and the client ended. When
 * there are no steps, each op succeeded.
 */
#include <errno.h>
#include <pthread.h>

#include <peal/vfio-user.h>

#include <vfio/user/codec.h>

#include "vfu.h"

#define REGIONS  9u
#define IRQS     5u
#define SIZE     8192u /* of each region */
#define MOST     65536u
#define SHORTEST 5u /* input with a step */

enum kind {
	EDITED, /* the payload is {offset, value} pairs, put into a good reply */
	HEADER, /* flags, error and size of the header are the payload's */
	ASKED,  /* a command of the server first: {command, address, count} */
	FDS,    /* a good reply with descriptors */
	CUT,    /* payload of another length */
	RAW,    /* the payload, as it is */
	CLOSED,
	UNASKED, /* the good reply twice */
	KINDS,
};

struct fuzz {
	struct fuzz_host count;
	uint8_t memory[4096]; /* for DMA */
	bool good;            /* all replies are: no op fails */
};

struct server {
	struct fuzz *z;
	int fd, twin, twin_peer;
	const uint8_t *in;
	size_t left;
	unsigned good; /* replies before the next step */
	uint8_t request[MOST];
	uint8_t reply[MOST];
	size_t size; /* of the reply */
	int reply_fd;
};

/* ---- good replies ---- */

static void add(struct server *s, const void *bytes, size_t size)
{
	if (size)
		memcpy(s->reply + s->size, bytes, size);
	s->size += size;
}

static void version(struct server *s)
{
	static const char *const texts[] = {
		"{\"capabilities\":{\"max_msg_fds\":8,\"write_multiple\":true,"
		"\"migration\":{\"pgsize\":4096}}}",
		"{\"capabilities\":{\"write_multiple\":true,\"max_data_xfer_size\":4096,"
		"\"twin_socket\":{\"supported\":true,\"fd_index\":0}}}",
	};
	const char *text = texts[s->twin >= 0];

	add(s, &(struct vfu_version){ VFU_MAJOR, VFU_MINOR }, sizeof(struct vfu_version));
	add(s, text, strlen(text) + 1);
	s->reply_fd = s->twin_peer;
}

static void region_info(struct server *s, const uint8_t *payload)
{
	struct {
		struct vfu_region_info info;
		struct vfu_sparse_mmap sparse;
		struct vfu_area area;
	} m = {
		.info = { .argsz = sizeof(m), .size = SIZE, .cap_offset = sizeof(m.info) },
		.sparse = { .id = VFU_CAP_SPARSE_MMAP, .version = 1, .count = 1 },
		.area = { .offset = 4096, .size = 4096 },
	};

	memcpy(&m.info.index, payload + offsetof(struct vfu_region_info, index), 4);
	m.info.flags = PEAL_VFIO_REGION_READ | PEAL_VFIO_REGION_WRITE;
	if (m.info.index == 0) {
		m.info.flags |= PEAL_VFIO_REGION_MMAP | PEAL_VFIO_REGION_CAPS;
		s->reply_fd = s->z->count.kinds[1];
	}
	add(s, &m, sizeof(m));
}

static void region_io(struct server *s, const uint8_t *payload)
{
	struct vfu_region_io io;
	const struct vfu_sub_region sub = { .offset = 64, .size = 4 };

	memcpy(&io, payload, sizeof(io));
	io.argsz = sizeof(io) + sizeof(sub);
	io.count = 1;
	add(s, &io, sizeof(io));
	add(s, &sub, sizeof(sub));
	s->reply_fd = s->z->count.kinds[0];
}

/* What is asked for comes back, with COUNT zeros behind it. */
static void echo(struct server *s, const uint8_t *payload, size_t size, size_t count)
{
	add(s, payload, size);
	if (count > SIZE)
		count = SIZE;
	memset(s->reply + s->size, 0, count);
	s->size += count;
}

static void feature(struct server *s, const uint8_t *payload, size_t size)
{
	struct vfu_feature f;

	memcpy(&f, payload, sizeof(f));
	if ((f.flags & VFU_FEATURE_INDEX) == PEAL_VFIO_FEATURE_DMA_LOGGING_REPORT)
		echo(s, payload, size, 8);
	else if (f.flags & VFU_FEATURE_GET && !(f.flags & VFU_FEATURE_PROBE))
		echo(s, payload, sizeof(f), 8);
	else
		echo(s, payload, size, 0);
}

static void good_reply(struct server *s, const struct vfu_header *request)
{
	const uint8_t *payload = s->request + sizeof(*request);
	size_t size = request->size - sizeof(*request);
	struct vfu_header header = *request;
	uint32_t count = 0;

	s->size = sizeof(header);
	s->reply_fd = -1;
	if (request->command == VFU_VERSION) {
		version(s);
	} else if (request->command == VFU_DEVICE_GET_INFO) {
		add(s, &(struct vfu_device_info){ 16, 3, REGIONS, IRQS }, 16);
	} else if (request->command == VFU_DEVICE_GET_REGION_INFO) {
		region_info(s, payload);
	} else if (request->command == VFU_DEVICE_GET_REGION_IO) {
		region_io(s, payload);
	} else if (request->command == VFU_DEVICE_GET_IRQ_INFO) {
		memcpy(&count, payload + 8, 4);
		add(s, &(struct vfu_irq_info){ 16, PEAL_VFIO_IRQ_EVENTFD, count, 4 }, 16);
	} else if (request->command == VFU_REGION_READ) {
		memcpy(&count, payload + 12, 4);
		echo(s, payload, 16, count);
	} else if (request->command == VFU_MIG_DATA_READ) {
		add(s, &(struct vfu_mig_data){ 8 + 16, 16 }, 8);
		echo(s, payload, 0, 16);
	} else if (request->command == VFU_DEVICE_FEATURE) {
		feature(s, payload, size);
	} else {
		echo(s, payload, vfu_command(request->command)->reply, 0);
	}
	header.flags = VFU_TYPE_REPLY;
	header.size = (uint32_t)s->size;
	memcpy(s->reply, &header, sizeof(header));
}

/* ---- replies that are not ---- */

static void edit(struct server *s, const uint8_t *in, size_t length)
{
	for (size_t i = 0; i + 3 <= length; i += 3)
		s->reply[(in[i] | (size_t)in[i + 1] << 8) % s->size] = in[i + 2];
}

/* Its answer is read with the requests. */
static void ask(struct server *s, const uint8_t *in, size_t length)
{
	struct {
		struct vfu_header header;
		struct vfu_dma_access access;
		uint8_t data[64];
	} m = { .header = { .command = VFU_DMA_READ, .size = sizeof(m) - sizeof(m.data) } };

	if (length > 0 && in[0] & 1) {
		m.header.command = VFU_DMA_WRITE;
		m.header.size = sizeof(m);
	}
	if (length > 1)
		memcpy(&m.access, in + 1, length - 1 < 16 ? length - 1 : 16);
	if (length > 0 && in[0] & 2)
		m.access.count = sizeof(m.data);
	if (length > 0 && in[0] & 4)
		m.header.command = in[0] >> 3;
	(void)fuzz_send(s->twin >= 0 ? s->twin : s->fd, &m, m.header.size, -1, 0);
}

/* false: the connection is over. */
static bool send_reply(struct server *s)
{
	const uint8_t *in = s->in;
	struct vfu_header header;
	size_t length;
	int any = s->reply_fd;
	unsigned nfds = any >= 0;

	if (s->good > 0 || s->left < 4) {
		s->good -= s->good > 0;
		return fuzz_send(s->fd, s->reply, s->size, any, nfds);
	}
	length = in[3] < s->left - 4 ? in[3] : s->left - 4;
	s->in += 4 + length;
	s->left -= 4 + length;
	s->good = s->left ? s->in[0] % 32 : 0;
	memcpy(&header, s->reply, sizeof(header));
	switch ((enum kind)(in[1] % KINDS)) {
	case EDITED:
		edit(s, in + 4, length);
		break;
	case HEADER:
		if (length)
			memcpy(s->reply + 4, in + 4, length < 12 ? length : 12);
		break;
	case ASKED:
		ask(s, in + 4, length);
		break;
	case FDS:
		nfds = (in[2] >> 2) % (FUZZ_FDS + 1);
		any = s->z->count.kinds[in[2] & 3];
		break;
	case CUT:
		header.size = (uint32_t)(sizeof(header) + length);
		memcpy(s->reply, &header, sizeof(header));
		memcpy(s->reply + sizeof(header), in + 4, length);
		s->size = header.size;
		break;
	case RAW:
		return length == 0 || fuzz_send(s->fd, in + 4, length, any, nfds);
	case CLOSED:
		return false;
	case UNASKED:
		(void)fuzz_send(s->fd, s->reply, s->size, any, nfds);
		break;
	case KINDS:
		break;
	}
	return fuzz_send(s->fd, s->reply, s->size, any, nfds);
}

/* SIZE bytes; descriptors that come along are closed by the kernel, as there is no room for them. */
static bool receive(int fd, void *bytes, size_t size)
{
	return !size || recv(fd, bytes, size, MSG_WAITALL) == (ssize_t)size;
}

static void *serve(void *user)
{
	struct server *s = user;
	struct vfu_header header;
	bool goes_on = true;

	while (goes_on && receive(s->fd, &header, sizeof(header))) {
		FUZZ_ASSERT(header.size >= sizeof(header) && header.size <= MOST);
		memset(s->request, 0, 256);
		if (!receive(s->fd, s->request + sizeof(header), header.size - sizeof(header)))
			break;
		if ((header.flags & VFU_TYPE_MASK) == VFU_TYPE_REPLY || header.flags & VFU_NO_REPLY)
			continue;
		good_reply(s, &header);
		goes_on = send_reply(s);
	}
	(void)shutdown(s->fd, SHUT_RDWR);
	if (s->twin >= 0)
		(void)shutdown(s->twin, SHUT_RDWR);
	return NULL;
}

/* ---- the client ---- */

/* The answer of an op. */
static void answered(const struct fuzz *z, int r)
{
	FUZZ_ASSERT(r <= 0 && (!z->good || r == 0));
}

static void use_regions(struct fuzz *z, struct peal_vfu_client *client,
			struct peal_vfio_device *device)
{
	const struct peal_vfu_write writes[] = { { 0, 0, 4, { 1 } }, { 64, 1, 8, { 2 } } };
	struct peal_vfio_region_info info;
	struct peal_vfio_io_fd list[4];
	uint8_t bytes[5000] = { 0 };
	unsigned count = 0;
	void *memory;

	for (unsigned i = 0; i < REGIONS; i++)
		answered(z, peal_vfio_region_info(device, i, &info));
	answered(z, peal_vfio_region_read(device, 0, 0, bytes, 4));
	answered(z, peal_vfio_region_read(device, 0, 100, bytes, sizeof(bytes)));
	answered(z, peal_vfio_region_write(device, 0, 100, bytes, sizeof(bytes)));
	answered(z, peal_vfu_client_write_multi(client, writes, 2));
	if (peal_vfio_region_map(device, 0, 4096, 4096, PEAL_VFIO_REGION_READ, &memory) == 0)
		peal_vfio_region_unmap(device, memory, 4096);
	answered(z, peal_vfio_region_map(device, 0, 4096, 4096, PEAL_VFIO_REGION_READ, &memory));
	answered(z, peal_vfio_io_fds(device, 0, list, 4, &count));
	FUZZ_ASSERT(count <= 4);
	peal_vfio_io_release(device);
}

static void use_irqs(struct fuzz *z, struct peal_vfio_device *device)
{
	const int32_t fds[2] = { z->count.kinds[0], -1 };
	struct peal_irqset_request request = {
		.argsz = PEAL_VFIO_IRQ_REQUEST_SIZE + sizeof(fds),
		.flags = PEAL_VFIO_DATA_EVENTFD | PEAL_VFIO_ACTION_TRIGGER,
		.index = PEAL_VFIO_IRQ_MSIX,
		.count = 2,
	};
	struct peal_vfio_irq_info info;

	for (unsigned i = 0; i < IRQS; i++)
		answered(z, peal_vfio_irq_info(device, i, &info));
	answered(z, peal_vfio_set_irqs(device, &request, fds, sizeof(fds)));
	request.flags = PEAL_VFIO_DATA_NONE | PEAL_VFIO_ACTION_TRIGGER;
	request.count = 0;
	answered(z, peal_vfio_set_irqs(device, &request, NULL, 0));
}

static void use_migration(struct fuzz *z, struct peal_vfio_device *device)
{
	const struct peal_vfio_range range = { 0, 4096 };
	uint64_t flags, page = 4096, bitmap[1];
	uint8_t bytes[64] = { 0 };
	uint32_t state;
	size_t done = 0;

	answered(z, peal_vfio_feature_probe(device, PEAL_VFIO_FEATURE_MIGRATION));
	answered(z, peal_vfio_migration_flags(device, &flags));
	answered(z, peal_vfio_mig_get_state(device, &state));
	answered(z, peal_vfio_mig_set_state(device, PEAL_VFIO_MIG_STOP_COPY));
	answered(z, peal_vfio_mig_read(device, bytes, sizeof(bytes), &done));
	FUZZ_ASSERT(done <= sizeof(bytes));
	answered(z, peal_vfio_mig_write(device, bytes, sizeof(bytes)));
	answered(z, peal_vfio_dma_log_start(device, &page, &range, 1));
	answered(z, peal_vfio_dma_log_report(device, &range, page, bitmap));
	answered(z, peal_vfio_dma_log_stop(device));
}

static void use(struct fuzz *z, struct peal_vfu_client *client)
{
	struct peal_vfio_device *device = peal_vfu_client_device(client);
	struct peal_vfio_dma dma = {
		.iova = 0x1000,
		.size = sizeof(z->memory),
		.flags = PEAL_VFIO_DMA_READ | PEAL_VFIO_DMA_WRITE,
		.fd = -1,
		.memory = z->memory,
	};
	struct peal_vfio_device_info info;

	answered(z, peal_vfio_dma_map(device, &dma));
	dma.iova = 0x10000;
	dma.fd = z->count.kinds[1];
	answered(z, peal_vfio_dma_map(device, &dma));
	answered(z, peal_vfio_get_info(device, &info));
	use_regions(z, client, device);
	use_irqs(z, device);
	use_migration(z, device);
	answered(z, peal_vfio_reset(device));
	answered(z, peal_vfio_dma_unmap(device, 0x1000, sizeof(z->memory)));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct fuzz z;
	static struct server s;
	struct peal_vfu_client_config config = {
		.host = &z.count.host,
		.max_data_xfer_size = 8192,
		/* What holds it up is to be short; a machine that does may be long. */
		.timeout_ms = size < SHORTEST ? 0 : 5,
	};
	struct peal_vfu_client *client;
	int64_t live;
	unsigned before;
	int pair[2], twins[2] = { -1, -1 };
	pthread_t thread;
	int r;

	if (size < 2)
		return 0;
	if (!z.count.host.alloc)
		fuzz_host_init(&z.count);
	before = fuzz_open_fds();
	live = z.count.live;
	FUZZ_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	if (bytes[0] & 1)
		FUZZ_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, twins) == 0);
	s = (struct server){ .z = &z,
			     .fd = pair[1],
			     .twin = twins[1],
			     .twin_peer = twins[0],
			     .in = bytes + 1,
			     .left = size - 1,
			     .good = bytes[1] % 32 };
	FUZZ_ASSERT(pthread_create(&thread, NULL, serve, &s) == 0);
	z.good = size < SHORTEST;
	r = peal_vfu_client_new(&client, &config, pair[0]);
	answered(&z, r);
	if (r == 0) {
		use(&z, client);
		peal_vfu_client_free(client);
	}
	FUZZ_ASSERT(pthread_join(thread, NULL) == 0);
	(void)close(pair[1]);
	for (unsigned i = 0; i < 2; i++) {
		if (twins[i] >= 0)
			(void)close(twins[i]);
	}
	FUZZ_ASSERT(fuzz_open_fds() == before);
	FUZZ_ASSERT(z.count.live == live);
	return 0;
}
