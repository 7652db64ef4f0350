/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device of ours behind a server, and a client that has it: memory that several of them share, and
 * a driver of virtio that needs no more than the client's device.
 */
#ifndef PEAL_TESTS_VFIO_USER_SERVED_H
#define PEAL_TESTS_VFIO_USER_SERVED_H

#include "fds.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <peal/bell.h>
#include <peal/vfio-function.h>
#include <peal/vfio-user.h>
#include <peal/virtio.h>

#define SERVED_VECTORS 64u
#define SERVED_TIMEOUT 20000

struct served {
	struct test_host host;
	struct peal_eventfds *eventfds;
	struct peal_vfio_function *vfio;
	struct peal_vfu_server *server;
	pthread_t thread;
	int fd;     /* the server's end */
	int result; /* of serve */
	struct peal_vfu_client *client;
	struct peal_vfio_device *device; /* the client's */
	int irqs[SERVED_VECTORS];
	unsigned nirqs;
};

static inline void *served_run(void *user)
{
	struct served *s = (struct served *)user;

	s->result = peal_vfu_server_serve(s->server, s->fd);
	return NULL;
}

/* The client's end of a new connection. */
static inline int served_listen(struct served *s)
{
	int pair[2];

	thread_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	s->fd = pair[0];
	thread_assert(pthread_create(&s->thread, NULL, served_run, s) == 0);
	return pair[1];
}

static inline void served_connect(struct served *s, const struct peal_vfu_client_config *with)
{
	struct peal_vfu_client_config config = *with;

	config.host = &s->host.host;
	config.timeout_ms = SERVED_TIMEOUT;
	assert_int_equal(peal_vfu_client_new(&s->client, &config, served_listen(s)), 0);
	s->device = peal_vfu_client_device(s->client);
}

static inline void served_disconnect(struct served *s)
{
	peal_vfu_client_free(s->client);
	s->client = NULL;
	assert_int_equal(pthread_join(s->thread, NULL), 0);
	assert_int_equal(s->result, 0);
}

/* Makes all but the connection. */
static inline void served_init(struct served *s, struct peal_pci_function *function)
{
	struct peal_vfio_function_config vfio = { .function = function,
						  .triggers = peal_eventfds_ops() };
	struct peal_vfu_server_config server = { .timeout_ms = SERVED_TIMEOUT };

	memset(s, 0, sizeof(*s));
	test_host_init(&s->host);
	vfio.host = server.host = &s->host.host;
	assert_int_equal(peal_eventfds_new(&s->eventfds), 0);
	vfio.triggers_user = s->eventfds;
	assert_int_equal(peal_vfio_function_new(&s->vfio, &vfio), 0);
	server.device = peal_vfio_function_device(s->vfio);
	server.dma = peal_vfio_function_dma(s->vfio);
	server.irqset = peal_vfio_function_irqset(s->vfio);
	assert_int_equal(peal_vfu_server_new(&s->server, &server), 0);
}

static inline void served_open(struct served *s, struct peal_pci_function *function)
{
	const struct peal_vfu_client_config config = { .max_msg_fds = 64 };

	served_init(s, function);
	served_connect(s, &config);
}

static inline void served_done(struct served *s)
{
	peal_vfu_server_free(s->server);
	peal_vfio_function_free(s->vfio);
	peal_eventfds_free(s->eventfds);
	for (unsigned i = 0; i < s->nirqs; i++)
		assert_int_equal(close(s->irqs[i]), 0);
	test_host_done(&s->host);
}

static inline void served_close(struct served *s)
{
	served_disconnect(s);
	served_done(s);
}

/* ---- registers and interrupts ---- */

static inline uint64_t served_read(struct served *s, unsigned region, uint64_t offset, size_t size)
{
	uint8_t bytes[8];

	thread_assert(peal_vfio_region_read(s->device, region, offset, bytes, size) == 0);
	return peal_load_le(bytes, size);
}

static inline void served_write(struct served *s, unsigned region, uint64_t offset, size_t size,
				uint64_t value)
{
	uint8_t bytes[8];

	peal_store_le(bytes, 8, value);
	thread_assert(peal_vfio_region_write(s->device, region, offset, bytes, size) == 0);
}

/* An eventfd for each of COUNT vectors of MSI-X, and the bus is the device's. */
static inline void served_enable_msix(struct served *s, unsigned count)
{
	const struct peal_irqset_request request = {
		.argsz = 20 + 4 * count,
		.flags = PEAL_VFIO_DATA_EVENTFD | PEAL_VFIO_ACTION_TRIGGER,
		.index = PEAL_VFIO_IRQ_MSIX,
		.count = count,
	};

	assert_true(count <= SERVED_VECTORS);
	for (; s->nirqs < count; s->nirqs++)
		s->irqs[s->nirqs] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(peal_vfio_set_irqs(s->device, &request, s->irqs, 4 * count), 0);
}

/* Signals of a vector since the last look. */
static inline uint64_t served_signals(struct served *s, unsigned vector)
{
	uint64_t value = 0;

	if (read(s->irqs[vector], &value, sizeof(value)) < 0)
		thread_assert(errno == EAGAIN);
	return value;
}

/* Waits for a signal. */
static inline void served_wait(struct served *s, unsigned vector)
{
	struct pollfd p = { .fd = s->irqs[vector], .events = POLLIN };

	thread_assert(poll(&p, 1, SERVED_TIMEOUT) == 1);
	(void)served_signals(s, vector);
}

/* ---- migration ---- */

static inline void served_set_state(struct served *s, uint32_t state)
{
	uint32_t is;

	assert_int_equal(peal_vfio_mig_set_state(s->device, state), 0);
	assert_int_equal(peal_vfio_mig_get_state(s->device, &is), 0);
	assert_int_equal(is, state);
}

#define SERVED_STREAM 65536u

/* The rest of the stream, in odd pieces. */
static inline size_t served_read_stream(struct served *s, uint8_t *stream, size_t at)
{
	size_t done = 777;

	while (done == 777) {
		assert_true(at + 777 <= SERVED_STREAM);
		assert_int_equal(peal_vfio_mig_read(s->device, stream + at, 777, &done), 0);
		at += done;
	}
	return at;
}

static inline void served_write_stream(struct served *s, const uint8_t *stream, size_t size)
{
	for (size_t at = 0; at < size; at += 1000) {
		size_t part = size - at < 1000 ? size - at : 1000;

		assert_int_equal(peal_vfio_mig_write(s->device, stream + at, part), 0);
	}
}

/* From FROM, which is running, to TO; the one is left in STOP_COPY, the other runs. */
static inline void served_move(struct served *from, struct served *to)
{
	uint8_t *stream = (uint8_t *)malloc(SERVED_STREAM);
	size_t size;

	assert_non_null(stream);
	served_set_state(from, PEAL_VFIO_MIG_PRE_COPY);
	size = served_read_stream(from, stream, 0);
	assert_true(size > 0);
	served_set_state(from, PEAL_VFIO_MIG_STOP_COPY);
	size = served_read_stream(from, stream, size);
	served_set_state(to, PEAL_VFIO_MIG_RESUMING);
	served_write_stream(to, stream, size);
	served_set_state(to, PEAL_VFIO_MIG_RUNNING);
	free(stream);
}

/* ---- memory ---- */

#define RAM      UINT64_C(0x40000000)
#define RAM_SIZE UINT64_C(0x400000)

struct ram {
	int fd;
	uint8_t *memory;
};

static inline void ram_init(struct ram *ram)
{
	ram->fd = memfd_create("ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(ram->fd, (off_t)RAM_SIZE), 0);
	ram->memory =
		(uint8_t *)mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, ram->fd, 0);
	assert_true(ram->memory != MAP_FAILED);
}

static inline void ram_done(struct ram *ram)
{
	assert_int_equal(munmap(ram->memory, RAM_SIZE), 0);
	assert_int_equal(close(ram->fd), 0);
}

static inline void served_map(struct served *s, const struct ram *ram)
{
	const struct peal_vfio_dma dma = {
		.iova = RAM,
		.size = RAM_SIZE,
		.flags = PEAL_VFIO_DMA_READ | PEAL_VFIO_DMA_WRITE,
		.fd = ram->fd,
		.memory = ram->memory,
	};

	assert_int_equal(peal_vfio_dma_map(s->device, &dma), 0);
}

/* ---- a driver of virtio, of a queue of so many entries ---- */

#define VIRTIO_BAR    4u
#define VIRTIO_NOTIFY 0x3000u
#define QUEUE_SIZE    256u
#define QUEUE_STRIDE  UINT64_C(0x10000)
#define QUEUE_AVAIL   UINT64_C(0x2000)
#define QUEUE_USED    UINT64_C(0x4000)

struct queue {
	struct ram *ram;
	unsigned index;
	uint16_t avail;
	uint16_t used;
	uint16_t next; /* descriptor */
};

static inline uint8_t *queue_at(const struct queue *q, uint64_t part)
{
	return q->ram->memory + q->index * QUEUE_STRIDE + part;
}

static inline void common_write(struct served *s, uint64_t offset, size_t size, uint64_t value)
{
	served_write(s, VIRTIO_BAR, offset, size, value);
}

static inline void queue_setup(struct served *s, struct queue *q, struct ram *ram, unsigned index)
{
	const uint64_t base = RAM + index * QUEUE_STRIDE;

	*q = (struct queue){ .ram = ram, .index = index };
	memset(queue_at(q, 0), 0, QUEUE_STRIDE);
	common_write(s, PEAL_VIRTIO_COMMON_QUEUE_SELECT, 2, index);
	common_write(s, PEAL_VIRTIO_COMMON_QUEUE_SIZE, 2, QUEUE_SIZE);
	common_write(s, PEAL_VIRTIO_COMMON_QUEUE_MSIX_VECTOR, 2, index + 1);
	common_write(s, PEAL_VIRTIO_COMMON_QUEUE_DESC, 8, base);
	common_write(s, PEAL_VIRTIO_COMMON_QUEUE_DRIVER, 8, base + QUEUE_AVAIL);
	common_write(s, PEAL_VIRTIO_COMMON_QUEUE_DEVICE, 8, base + QUEUE_USED);
	common_write(s, PEAL_VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
}

/* From reset to DRIVER_OK. */
static inline void virtio_start(struct served *s, struct queue *queues, unsigned count,
				struct ram *ram, uint64_t features)
{
	served_write(s, PEAL_VFIO_REGION_CONFIG, 0x04, 2, 0x0006);
	common_write(s, PEAL_VIRTIO_COMMON_DEVICE_STATUS, 1, 0);
	common_write(s, PEAL_VIRTIO_COMMON_DEVICE_STATUS, 1, 3);
	features |= PEAL_BIT(PEAL_VIRTIO_F_VERSION_1);
	for (unsigned i = 0; i < 2; i++) {
		common_write(s, PEAL_VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, i);
		common_write(s, PEAL_VIRTIO_COMMON_DRIVER_FEATURE, 4,
			     (uint32_t)(features >> 32 * i));
	}
	common_write(s, PEAL_VIRTIO_COMMON_DEVICE_STATUS, 1, 11);
	assert_int_equal(served_read(s, VIRTIO_BAR, PEAL_VIRTIO_COMMON_DEVICE_STATUS, 1), 11);
	common_write(s, PEAL_VIRTIO_COMMON_CONFIG_MSIX_VECTOR, 2, 0);
	for (unsigned i = 0; i < count; i++)
		queue_setup(s, &queues[i], ram, i);
	common_write(s, PEAL_VIRTIO_COMMON_DEVICE_STATUS, 1, 15);
}

/* Writes the next descriptor; its number. */
static inline uint16_t queue_describe(struct queue *q, uint64_t address, uint32_t length,
				      bool writable, bool more)
{
	uint16_t at = q->next;
	uint16_t next = (uint16_t)((at + 1) % QUEUE_SIZE);
	uint64_t flags = (writable ? PEAL_VRING_DESC_F_WRITE : 0u) |
			 (more ? PEAL_VRING_DESC_F_NEXT : 0u);
	uint8_t *d = queue_at(q, PEAL_VRING_DESC_SIZE * (uint64_t)at);

	peal_atomic_store_le64(d, address, __ATOMIC_RELAXED);
	peal_atomic_store_le64(d + 8, length | flags << 32 | (uint64_t)next << 48,
			       __ATOMIC_RELAXED);
	q->next = next;
	return at;
}

static inline void queue_offer(struct queue *q, uint16_t head)
{
	uint8_t *avail = queue_at(q, QUEUE_AVAIL);

	peal_atomic_store_le16(avail + PEAL_VRING_RING + 2 * (q->avail % QUEUE_SIZE), head,
			       __ATOMIC_RELAXED);
	q->avail++;
	peal_atomic_store_le16(avail + PEAL_VRING_INDEX, q->avail, __ATOMIC_SEQ_CST);
}

static inline void queue_notify(struct served *s, const struct queue *q)
{
	served_write(s, VIRTIO_BAR, VIRTIO_NOTIFY + 4 * q->index, 2, q->index);
}

static inline uint16_t queue_used_index(const struct queue *q)
{
	return peal_atomic_load_le16(queue_at(q, QUEUE_USED) + PEAL_VRING_INDEX, __ATOMIC_SEQ_CST);
}

/* Asks for an interrupt with the next chain that is done. True: there is one already. */
static inline bool queue_listen(struct queue *q)
{
	peal_atomic_store_le16(queue_at(q, QUEUE_AVAIL) + PEAL_VRING_RING + 2 * QUEUE_SIZE, q->used,
			       __ATOMIC_SEQ_CST);
	return queue_used_index(q) != q->used;
}

/* The head of the next chain that is done; false: none. */
static inline bool queue_take(struct queue *q, uint32_t *head)
{
	const uint8_t *used = queue_at(q, QUEUE_USED);

	if (queue_used_index(q) == q->used)
		return false;
	*head = peal_atomic_load_le32(used + PEAL_VRING_RING +
					      PEAL_VRING_USED_SIZE * (q->used % QUEUE_SIZE),
				      __ATOMIC_RELAXED);
	q->used++;
	return true;
}

#endif
