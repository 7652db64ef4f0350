/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target: a vfio-user server with a PCI function, and a client that says what the input has.
 *
 * The input is steps: {command, flags, descriptors, length, payload}. A header is made around each
 * payload, unless the step wants its bytes to go as they are. All is written before the server
 * begins, which then runs in this thread until the end of the stream: the same input does the same
 * again. Before it VERSION is sent, unless the first byte says otherwise. Command STREAM_STEP is a
 * MIG_DATA_WRITE of a part of a stream that is good.
 *
 * Held after each input: as many descriptors and as much memory as before, nothing mapped for DMA,
 * no interrupt in use.
 */
#include <peal/pci.h>
#include <peal/vfio-function.h>
#include <peal/vfio-user.h>

#include "vfu.h"

#define VECTORS     4u
#define STREAM_STEP 19u
#define MAX_MAPS    8u

struct fuzz {
	struct fuzz_host count;
	struct peal_eventfds *eventfds;
	struct peal_pci_function *function;
	struct peal_vfio_function *vfio;
	struct peal_vfu_server *server;
	bool stopped;
	uint8_t state[16];
	uint8_t stream[8192]; /* of a migration, as it was saved at first */
	size_t stream_size;
};

/* A doorbell: the device reads what the client mapped, writes it, and raises a vector. */
static void bar_write(void *user, uint64_t offset, unsigned size, uint64_t value)
{
	struct fuzz *z = user;
	struct peal_space *dma = peal_vfio_function_dma(z->vfio);
	uint8_t bytes[64];

	(void)size;
	memcpy(z->state, &value, sizeof(value));
	if (z->stopped)
		return;
	if (peal_space_read(dma, value, bytes, sizeof(bytes)) == 0)
		(void)peal_space_write(dma, value + 1, bytes, sizeof(bytes));
	(void)peal_msix_notify(peal_pci_function_msix(z->function), (unsigned)offset % VECTORS);
}

static uint64_t bar_read(void *user, uint64_t offset, unsigned size)
{
	(void)user;
	(void)size;
	return offset;
}

/* ---- its state, for migration ---- */

static void stop(void *user, bool stopped)
{
	struct fuzz *z = user;

	FUZZ_ASSERT(z->stopped != stopped);
	z->stopped = stopped;
}

static size_t state_size(void *user)
{
	const struct fuzz *z = user;

	return sizeof(z->state);
}

static void save(void *user, uint8_t *bytes)
{
	const struct fuzz *z = user;

	FUZZ_ASSERT(z->stopped);
	memcpy(bytes, z->state, sizeof(z->state));
}

static int load(void *user, const uint8_t *bytes, size_t size)
{
	struct fuzz *z = user;

	FUZZ_ASSERT(z->stopped && size == sizeof(z->state));
	if (bytes[0] == 0xff)
		return -EINVAL;
	memcpy(z->state, bytes, size);
	return 0;
}

static void doorbells(void *user, struct peal_pci_doorbells *ret)
{
	(void)user;
	*ret = (struct peal_pci_doorbells){ .offset = 64, .stride = 4, .size = 4, .count = 4 };
}

static const struct peal_pci_state_ops state_ops = {
	.stop = stop,
	.size = state_size,
	.save = save,
	.load = load,
};

static const struct peal_pci_function_ops function_ops = {
	.state = &state_ops,
	.doorbells = doorbells,
};

/* What stays once it was needed: room for ranges in a space, the thread that waits for watchers. */
static void warm_up(struct fuzz *z)
{
	static uint8_t memory[MAX_MAPS];
	struct peal_space *space = peal_vfio_function_dma(z->vfio);
	struct peal_irqset *irqset = peal_vfio_function_irqset(z->vfio);
	struct peal_irqset_request request = {
		.argsz = PEAL_VFIO_IRQ_REQUEST_SIZE + sizeof(int32_t),
		.flags = PEAL_VFIO_DATA_EVENTFD | PEAL_VFIO_ACTION_TRIGGER,
		.count = 1,
	};
	const int32_t fd = z->count.kinds[0];

	for (unsigned i = 0; i < MAX_MAPS; i++)
		FUZZ_ASSERT(peal_space_map(space, i, 1, memory + i, PEAL_MEM_READ) == 0);
	for (unsigned i = 0; i < MAX_MAPS; i++)
		FUZZ_ASSERT(peal_space_unmap(space, i, 1) == 0);
	peal_space_sync(space);
	FUZZ_ASSERT(peal_irqset_set(irqset, &request, &fd, sizeof(fd)) == 0);
	request.flags = PEAL_VFIO_DATA_EVENTFD | PEAL_VFIO_ACTION_UNMASK;
	FUZZ_ASSERT(peal_irqset_set(irqset, &request, &fd, sizeof(fd)) == 0);
	peal_irqset_disable(irqset);
}

static void save_stream(struct fuzz *z)
{
	struct peal_vfio_device *device = peal_vfio_function_device(z->vfio);

	FUZZ_ASSERT(peal_vfio_mig_set_state(device, PEAL_VFIO_MIG_STOP_COPY) == 0);
	FUZZ_ASSERT(peal_vfio_mig_read(device, z->stream, sizeof(z->stream), &z->stream_size) == 0);
	FUZZ_ASSERT(z->stream_size && z->stream_size < sizeof(z->stream));
	FUZZ_ASSERT(peal_vfio_mig_set_state(device, PEAL_VFIO_MIG_RUNNING) == 0);
}

static struct fuzz *setup(void)
{
	static const struct peal_pci_bar_ops ops = { .read = bar_read, .write = bar_write };
	struct fuzz *z = calloc(1, sizeof(*z));
	struct peal_pci_function_config config = { .vendor_id = 0x1234,
						   .interrupt_pin = 1,
						   .ops = &function_ops };
	struct peal_vfio_function_config vfio = { .triggers = peal_eventfds_ops() };
	struct peal_vfu_server_config server = { .max_data_xfer_size = 8192,
						 .timeout_ms = 1,
						 .max_dma_maps = MAX_MAPS };

	FUZZ_ASSERT(z);
	fuzz_host_init(&z->count);
	config.user = z;
	config.host = vfio.host = server.host = &z->count.host;
	FUZZ_ASSERT(peal_eventfds_new(&z->eventfds) == 0);
	FUZZ_ASSERT(peal_pci_function_new(&z->function, &config) == 0);
	FUZZ_ASSERT(peal_pci_function_add_bar(z->function, 0, PEAL_PCI_BAR_MEM32, 4096, &ops, z) ==
		    0);
	FUZZ_ASSERT(peal_pci_function_add_pci_express(z->function) == 0);
	FUZZ_ASSERT(peal_pci_function_add_msix_exclusive(z->function, VECTORS, 1) == 0);
	for (unsigned i = 0; i < VECTORS; i++)
		FUZZ_ASSERT(peal_msix_use(peal_pci_function_msix(z->function), i) == 0);
	vfio.function = z->function;
	vfio.triggers_user = z->eventfds;
	FUZZ_ASSERT(peal_vfio_function_new(&z->vfio, &vfio) == 0);
	warm_up(z);
	save_stream(z);
	server.device = peal_vfio_function_device(z->vfio);
	server.dma = peal_vfio_function_dma(z->vfio);
	server.irqset = peal_vfio_function_irqset(z->vfio);
	FUZZ_ASSERT(peal_vfu_server_new(&z->server, &server) == 0);
	return z;
}

static void put_version(int fd, bool twin)
{
	struct {
		struct vfu_header header;
		struct vfu_version version;
		char json[80];
	} m = { .header = { .command = VFU_VERSION, .size = sizeof(m) } };

	memset(m.json, ' ', sizeof(m.json) - 1);
	if (twin)
		memcpy(m.json, "{\"capabilities\":{\"twin_socket\":{\"supported\":true}}}", 51);
	else
		memcpy(m.json, "{}", 2);
	(void)fuzz_send(fd, &m, sizeof(m), -1, 0);
}

/* From an offset in the payload's first two bytes, all or as many as the next two say. */
static bool put_stream(const struct fuzz *z, int fd, const uint8_t *payload, size_t length)
{
	static uint8_t message[sizeof(struct vfu_header) + sizeof(struct vfu_mig_data) +
			       sizeof(z->stream)];
	struct vfu_header header = { .command = VFU_MIG_DATA_WRITE };
	struct vfu_mig_data data;
	uint16_t part[2] = { 0, UINT16_MAX };
	size_t size;

	memcpy(part, payload, length < sizeof(part) ? length & ~(size_t)1 : sizeof(part));
	part[0] %= (uint16_t)z->stream_size;
	size = z->stream_size - part[0];
	if (part[1] < size)
		size = part[1];
	header.size = (uint32_t)(sizeof(header) + sizeof(data) + size);
	data = (struct vfu_mig_data){ .argsz = (uint32_t)(sizeof(data) + size),
				      .size = (uint32_t)size };
	memcpy(message, &header, sizeof(header));
	memcpy(message + sizeof(header), &data, sizeof(data));
	memcpy(message + sizeof(header) + sizeof(data), z->stream + part[0], size);
	return fuzz_send(fd, message, header.size, -1, 0);
}

/* One step off the input; false at its end. */
static bool put_step(const struct fuzz *z, int fd, const uint8_t **bytes, size_t *size)
{
	uint8_t message[sizeof(struct vfu_header) + 255];
	struct vfu_header header;
	const uint8_t *in = *bytes;
	size_t length;
	unsigned nfds;

	if (*size < 4)
		return false;
	length = in[3] < *size - 4 ? in[3] : *size - 4;
	*bytes += 4 + length;
	*size -= 4 + length;
	nfds = (in[2] >> 2) % (FUZZ_FDS + 1);
	if (in[1] & 0x80) { /* as they are */
		if (length == 0)
			return true;
		return fuzz_send(fd, in + 4, length, z->count.kinds[in[2] & 3], nfds);
	}
	if (in[0] % 20 == STREAM_STEP)
		return put_stream(z, fd, in + 4, length);
	header = (struct vfu_header){
		.id = in[0],
		.command = in[0] % 20,
		.size = (uint32_t)(sizeof(header) + length),
		.flags = in[1] & 0x31,
	};
	memcpy(message, &header, sizeof(header));
	if (length)
		memcpy(message + sizeof(header), in + 4, length);
	return fuzz_send(fd, message, sizeof(header) + length, z->count.kinds[in[2] & 3], nfds);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct fuzz *z;
	struct peal_vfu_counters counters;
	int64_t live;
	unsigned before;
	int pair[2];

	if (size < 1)
		return 0;
	if (!z)
		z = setup();
	before = fuzz_open_fds();
	live = z->count.live;
	FUZZ_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	if (!(bytes[0] & 1))
		put_version(pair[1], bytes[0] & 2);
	bytes++;
	size--;
	while (put_step(z, pair[1], &bytes, &size))
		;
	(void)shutdown(pair[1], SHUT_WR);
	(void)peal_vfu_server_serve(z->server, pair[0]);
	(void)close(pair[1]);
	peal_vfu_server_counters(z->server, &counters);
	FUZZ_ASSERT(counters.dma_maps == 0);
	FUZZ_ASSERT(peal_irqset_active(peal_vfio_function_irqset(z->vfio)) == PEAL_VFIO_IRQ_NONE);
	FUZZ_ASSERT(!z->stopped);
	FUZZ_ASSERT(fuzz_open_fds() == before);
	FUZZ_ASSERT(z->count.live == live);
	peal_pci_function_reset(z->function);
	return 0;
}
