/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block device over a backend. Virtio 1.2 §5.2.
 *
 * A request is a header, data and a status byte; where descriptors begin and end among them means
 * nothing (§2.7.4): header and data of a write are the readable bytes, data of a read and the
 * status are the writable ones. A request without room for header or status breaks the queue: there
 * is no place for an answer. All other bad requests are answered.
 *
 * All writable bytes of a request are written, with zeroes where there is no data, so the length
 * in the used ring is always the whole of them and a driver never takes old memory for data.
 *
 * Each queue is served by one thread at a time, which is the only writer of its counters.
 */
#include "device.h"

#define SECTOR_SHIFT       9u
#define QUEUE_SIZE_DEFAULT 256u
#define CLASS_CODE         0x018000u /* mass storage, other */
/* Segments more than descriptors: borders of mapped ranges inside buffers. */
#define SEGMENTS_SPARE 64u

struct blk_queue {
	struct peal_vring_chain chain;
	struct peal_vring_segment *segments;
	struct peal_blk_buffer *buffers;
	struct peal_virtio_blk_counters counters;
} __attribute__((aligned(PEAL_CACHE_LINE)));

struct peal_virtio_blk {
	const struct peal_host *host;
	struct peal_virtio *device;
	struct peal_blk_backend backend;
	struct blk_queue *queues;
	unsigned num_queues;
	unsigned max_segments;
	char id[PEAL_VIRTIO_BLK_ID_SIZE];
	bool write_through; /* §5.2.6.2: the driver does not flush */
	uint64_t sectors;   /* capacity; changed under the device's configuration lock */
	struct peal_reg_bank bank;
	uint8_t config[PEAL_VIRTIO_BLK_CONFIG_SIZE] __attribute__((aligned(8)));
	struct peal_mutex error_mutex;
	struct peal_virtio_blk_error error;
};

/* ---- device configuration ---- */

/* clang-format off */
const struct peal_reg virtio_blk_rows[] = {
	{ .offset = PEAL_VIRTIO_BLK_CAPACITY, .width = 8, .name = "capacity", .section = "5.2.4" },
	{ .offset = PEAL_VIRTIO_BLK_SIZE_MAX, .width = 4, .name = "size_max", .section = "5.2.4" },
	{ .offset = PEAL_VIRTIO_BLK_SEG_MAX, .width = 4, .name = "seg_max", .section = "5.2.4" },
	{ .offset = PEAL_VIRTIO_BLK_BLK_SIZE, .width = 4, .name = "blk_size", .section = "5.2.4" },
	{ .offset = PEAL_VIRTIO_BLK_NUM_QUEUES, .width = 2, .name = "num_queues",
	  .section = "5.2.4" },
};
/* clang-format on */
const unsigned virtio_blk_nrows = PEAL_COUNT_OF(virtio_blk_rows);

static uint64_t config_read(void *user, uint32_t offset, unsigned size)
{
	struct peal_virtio_blk *blk = user;

	return peal_reg_bank_read(&blk->bank, offset, size);
}

static int negotiated(void *user, uint64_t features)
{
	struct peal_virtio_blk *blk = user;

	__atomic_store_n(&blk->write_through, !(features & PEAL_BIT(PEAL_VIRTIO_BLK_F_FLUSH)),
			 __ATOMIC_RELAXED);
	return 0;
}

static void set_capacity(struct peal_virtio_blk *blk, uint64_t sectors)
{
	__atomic_store_n(&blk->sectors, sectors, __ATOMIC_RELAXED);
	peal_reg_set(blk->config, PEAL_VIRTIO_BLK_CAPACITY, 8, sectors);
}

void peal_virtio_blk_resize(struct peal_virtio_blk *blk)
{
	uint64_t sectors = blk->backend.ops->capacity(blk->backend.user) >> SECTOR_SHIFT;
	bool changed;

	peal_virtio_config_lock(blk->device);
	changed = sectors != blk->sectors;
	set_capacity(blk, sectors);
	peal_virtio_config_unlock(blk->device, changed);
}

/* ---- counting ---- */

static void count_own(uint64_t *counter, uint64_t by)
{
	__atomic_store_n(counter, *counter + by, __ATOMIC_RELAXED);
}

static void remember_error(struct peal_virtio_blk *blk, int error, enum peal_virtio_blk_op op,
			   uint64_t offset)
{
	peal_mutex_lock(&blk->error_mutex);
	blk->error = (struct peal_virtio_blk_error){
		.count = blk->error.count + 1,
		.error = error,
		.op = op,
		.offset = offset,
	};
	peal_mutex_unlock(&blk->error_mutex);
}

void peal_virtio_blk_last_error(struct peal_virtio_blk *blk, struct peal_virtio_blk_error *ret)
{
	peal_mutex_lock(&blk->error_mutex);
	*ret = blk->error;
	peal_mutex_unlock(&blk->error_mutex);
}

static void add_counters(const struct blk_queue *queue, struct peal_virtio_blk_counters *sum)
{
	const struct peal_virtio_blk_counters *c = &queue->counters;

	for (unsigned i = 0; i < PEAL_VIRTIO_BLK_OPS; i++)
		sum->requests[i] += peal_counted(&c->requests[i]);
	sum->read_bytes += peal_counted(&c->read_bytes);
	sum->written_bytes += peal_counted(&c->written_bytes);
	sum->refused += peal_counted(&c->refused);
	sum->failed += peal_counted(&c->failed);
}

void peal_virtio_blk_counters(const struct peal_virtio_blk *blk, unsigned queue,
			      struct peal_virtio_blk_counters *ret)
{
	*ret = (struct peal_virtio_blk_counters){ 0 };
	PEAL_ASSERT(queue == PEAL_VIRTIO_BLK_ALL || queue < blk->num_queues);
	for (unsigned i = 0; i < blk->num_queues; i++) {
		if (queue == PEAL_VIRTIO_BLK_ALL || queue == i)
			add_counters(&blk->queues[i], ret);
	}
}

/* ---- requests ---- */

struct request {
	struct peal_virtio_blk *blk;
	struct blk_queue *queue;
	uint64_t sector;
	uint64_t data; /* bytes of data that the chain has room for, in its direction */
	bool written;  /* all of the writable data was written */
};

/* The segments of data as buffers: LENGTH bytes from OFFSET of the readable or writable ones. */
static unsigned make_buffers(struct blk_queue *queue, bool writable, uint64_t offset,
			     uint64_t length)
{
	const struct peal_vring_chain *chain = &queue->chain;
	unsigned n = 0;

	for (unsigned i = writable ? chain->nreadable : 0; length; i++) {
		const struct peal_vring_segment *segment = &chain->segments[i];
		uint64_t part;

		if (offset >= segment->length) {
			offset -= segment->length;
			continue;
		}
		part = segment->length - offset;
		if (part > length)
			part = length;
		queue->buffers[n].base = (uint8_t *)segment->host + offset;
		queue->buffers[n].length = (size_t)part;
		n++;
		length -= part;
		offset = 0;
	}
	return n;
}

static uint8_t refuse(struct request *r)
{
	count_own(&r->queue->counters.refused, 1);
	return PEAL_VIRTIO_BLK_S_IOERR;
}

static uint8_t fail(struct request *r, int error, enum peal_virtio_blk_op op, uint64_t offset)
{
	count_own(&r->queue->counters.failed, 1);
	remember_error(r->blk, error, op, offset);
	return PEAL_VIRTIO_BLK_S_IOERR;
}

/* Whole sectors within the capacity (§5.2.6.1). */
static bool is_in_range(const struct request *r)
{
	uint64_t sectors = __atomic_load_n(&r->blk->sectors, __ATOMIC_RELAXED);

	return r->data % PEAL_VIRTIO_BLK_SECTOR == 0 &&
	       peal_in_range(r->sector, r->data >> SECTOR_SHIFT, sectors);
}

static uint8_t do_read(struct request *r)
{
	const struct peal_blk_backend *backend = &r->blk->backend;
	uint64_t offset = r->sector << SECTOR_SHIFT, done = 0;
	unsigned n;
	int error;

	count_own(&r->queue->counters.requests[PEAL_VIRTIO_BLK_OP_READ], 1);
	r->data = r->queue->chain.writable - 1;
	if (!is_in_range(r))
		return refuse(r);
	n = make_buffers(r->queue, true, 0, r->data);
	error = backend->ops->read(backend->user, offset, r->queue->buffers, n, &done);
	if (peal_unlikely(error < 0))
		return fail(r, error, PEAL_VIRTIO_BLK_OP_READ, offset + done);
	r->written = true;
	count_own(&r->queue->counters.read_bytes, r->data);
	return PEAL_VIRTIO_BLK_S_OK;
}

static uint8_t do_flush(struct request *r)
{
	const struct peal_blk_backend *backend = &r->blk->backend;
	int error = backend->ops->flush(backend->user);

	count_own(&r->queue->counters.requests[PEAL_VIRTIO_BLK_OP_FLUSH], 1);
	return error < 0 ? fail(r, error, PEAL_VIRTIO_BLK_OP_FLUSH, 0) : PEAL_VIRTIO_BLK_S_OK;
}

static uint8_t do_write(struct request *r)
{
	const struct peal_blk_backend *backend = &r->blk->backend;
	uint64_t offset = r->sector << SECTOR_SHIFT, done = 0;
	unsigned n;
	int error;

	count_own(&r->queue->counters.requests[PEAL_VIRTIO_BLK_OP_WRITE], 1);
	r->data = r->queue->chain.readable - PEAL_VIRTIO_BLK_HEADER_SIZE;
	if (backend->read_only || !is_in_range(r))
		return refuse(r);
	n = make_buffers(r->queue, false, PEAL_VIRTIO_BLK_HEADER_SIZE, r->data);
	error = backend->ops->write(backend->user, offset, r->queue->buffers, n, &done);
	if (peal_unlikely(error < 0))
		return fail(r, error, PEAL_VIRTIO_BLK_OP_WRITE, offset + done);
	if (__atomic_load_n(&r->blk->write_through, __ATOMIC_RELAXED)) {
		error = backend->ops->flush(backend->user);
		if (error < 0)
			return fail(r, error, PEAL_VIRTIO_BLK_OP_FLUSH, offset);
	}
	count_own(&r->queue->counters.written_bytes, r->data);
	return PEAL_VIRTIO_BLK_S_OK;
}

static uint8_t do_get_id(struct request *r)
{
	uint64_t room = r->queue->chain.writable - 1;
	uint64_t size = room < sizeof(r->blk->id) ? room : sizeof(r->blk->id);

	count_own(&r->queue->counters.requests[PEAL_VIRTIO_BLK_OP_GET_ID], 1);
	(void)peal_vring_chain_write(&r->queue->chain, 0, r->blk->id, size);
	(void)peal_vring_chain_write(&r->queue->chain, size, NULL, room - size);
	r->written = true;
	return PEAL_VIRTIO_BLK_S_OK;
}

static uint8_t do_unknown(struct request *r)
{
	count_own(&r->queue->counters.requests[PEAL_VIRTIO_BLK_OP_UNKNOWN], 1);
	return PEAL_VIRTIO_BLK_S_UNSUPP;
}

static const struct {
	uint32_t type;
	uint8_t (*run)(struct request *r);
} requests[] = {
	{ PEAL_VIRTIO_BLK_T_IN, do_read },
	{ PEAL_VIRTIO_BLK_T_OUT, do_write },
	{ PEAL_VIRTIO_BLK_T_FLUSH, do_flush },
	{ PEAL_VIRTIO_BLK_T_GET_ID, do_get_id },
};

static void serve(struct peal_virtio_blk *blk, struct blk_queue *queue, struct peal_vring *ring)
{
	uint8_t header[PEAL_VIRTIO_BLK_HEADER_SIZE];
	struct peal_vring_chain *chain = &queue->chain;
	struct request r = { .blk = blk, .queue = queue };
	uint8_t (*run)(struct request * r) = do_unknown;
	uint32_t type;
	uint8_t status;

	if (peal_unlikely(!chain->writable ||
			  !peal_vring_chain_read(chain, 0, header, sizeof(header)))) {
		peal_vring_break(ring, PEAL_VRING_FAULT_REQUEST);
		return;
	}
	type = (uint32_t)peal_load_le(header, 4);
	r.sector = peal_load_le(header + 8, 8);
	for (size_t i = 0; i < PEAL_COUNT_OF(requests); i++) {
		if (requests[i].type == type) {
			run = requests[i].run;
			break;
		}
	}
	status = run(&r);
	if (!r.written)
		(void)peal_vring_chain_write(chain, 0, NULL, chain->writable - 1);
	(void)peal_vring_chain_write(chain, chain->writable - 1, &status, 1);
	peal_vring_push(ring, chain, (uint32_t)chain->writable);
}

static void process(void *user, unsigned index, struct peal_vring *ring)
{
	struct peal_virtio_blk *blk = user;
	struct blk_queue *queue = &blk->queues[index];

	while (peal_vring_pop(ring, &queue->chain))
		serve(blk, queue, ring);
}

/* ---- life ---- */

/* The medium is elsewhere; that it is the same one is up to whoever migrates, its size is not. */
static size_t state_size(void *user)
{
	(void)user;
	return sizeof(uint64_t);
}

static void save(void *user, uint8_t *bytes)
{
	const struct peal_virtio_blk *blk = user;

	peal_store_le(bytes, sizeof(uint64_t), blk->sectors);
}

static int load(void *user, const uint8_t *bytes, size_t size)
{
	const struct peal_virtio_blk *blk = user;

	return size == sizeof(uint64_t) && peal_load_le(bytes, size) == blk->sectors ? 0 : -EINVAL;
}

static const struct peal_virtio_class_ops class_ops = {
	.negotiated = negotiated,
	.config_read = config_read,
	.process = process,
	.state_size = state_size,
	.save = save,
	.load = load,
};

static int init_queues(struct peal_virtio_blk *blk)
{
	blk->queues = peal_alloc(blk->host, blk->num_queues * sizeof(*blk->queues));
	if (!blk->queues)
		return -ENOMEM;
	for (unsigned i = 0; i < blk->num_queues; i++) {
		struct blk_queue *queue = &blk->queues[i];

		queue->segments =
			peal_alloc(blk->host, blk->max_segments * sizeof(*queue->segments));
		queue->buffers = peal_alloc(blk->host, blk->max_segments * sizeof(*queue->buffers));
		if (!queue->segments || !queue->buffers)
			return -ENOMEM;
		queue->chain.segments = queue->segments;
		queue->chain.max_segments = blk->max_segments;
	}
	return 0;
}

static void init_config(struct peal_virtio_blk *blk, unsigned queue_size_max)
{
	const struct peal_reg_group group = {
		.size = PEAL_VIRTIO_BLK_CONFIG_SIZE,
		.rows = virtio_blk_rows,
		.nrows = virtio_blk_nrows,
		.state = blk->config,
		.owner = blk,
	};
	const struct peal_blk_backend *backend = &blk->backend;
	int r = peal_reg_bank_add(&blk->bank, &group);

	PEAL_ASSERT(r == 0);
	set_capacity(blk, backend->ops->capacity(backend->user) >> SECTOR_SHIFT);
	/* Header and status take a descriptor each. */
	peal_reg_set(blk->config, PEAL_VIRTIO_BLK_SEG_MAX, 4,
		     queue_size_max > 2 ? queue_size_max - 2 : 1);
	peal_reg_set(blk->config, PEAL_VIRTIO_BLK_BLK_SIZE, 4,
		     backend->block_size ? backend->block_size : PEAL_VIRTIO_BLK_SECTOR);
	peal_reg_set(blk->config, PEAL_VIRTIO_BLK_NUM_QUEUES, 2, blk->num_queues);
}

static uint64_t features_of(const struct peal_virtio_blk *blk)
{
	uint64_t features = PEAL_VIRTIO_TRANSPORT_FEATURES | PEAL_BIT(PEAL_VIRTIO_BLK_F_SEG_MAX) |
			    PEAL_BIT(PEAL_VIRTIO_BLK_F_BLK_SIZE) |
			    PEAL_BIT(PEAL_VIRTIO_BLK_F_FLUSH);

	if (blk->backend.read_only)
		features |= PEAL_BIT(PEAL_VIRTIO_BLK_F_RO);
	if (blk->num_queues > 1)
		features |= PEAL_BIT(PEAL_VIRTIO_BLK_F_MQ);
	return features;
}

static int init(struct peal_virtio_blk *blk, const struct peal_virtio_blk_config *config,
		unsigned queue_size_max)
{
	const struct peal_virtio_config device = {
		.host = blk->host,
		.ops = &class_ops,
		.user = blk,
		.device_type = PEAL_VIRTIO_BLK,
		.class_code = CLASS_CODE,
		.num_queues = blk->num_queues,
		.queue_size_max = queue_size_max,
		.config_size = PEAL_VIRTIO_BLK_CONFIG_SIZE,
		.features = features_of(blk),
		.no_msix = config->no_msix,
		.workers = config->workers,
		.spin_ns = config->spin_ns,
		.batch = config->batch,
	};
	int r = peal_mutex_init(&blk->error_mutex, blk->host);

	if (r == 0)
		r = init_queues(blk);
	init_config(blk, queue_size_max);
	return r == 0 ? peal_virtio_new(&blk->device, &device) : r;
}

static void set_id(struct peal_virtio_blk *blk, const char *id)
{
	for (size_t i = 0; i < sizeof(blk->id) && id[i]; i++)
		blk->id[i] = id[i];
}

int peal_virtio_blk_new(struct peal_virtio_blk **ret, const struct peal_virtio_blk_config *config)
{
	const struct peal_blk_backend *backend = &config->backend;
	unsigned num_queues = config->num_queues ? config->num_queues : 1;
	unsigned size = config->queue_size_max ? config->queue_size_max : QUEUE_SIZE_DEFAULT;
	struct peal_virtio_blk *blk;
	int r;

	if (num_queues > PEAL_VIRTIO_QUEUES_MAX || size > PEAL_VIRTIO_QUEUE_MAX ||
	    backend->ops->capacity(backend->user) < PEAL_VIRTIO_BLK_SECTOR)
		return -EINVAL;
	blk = peal_alloc(config->host, sizeof(*blk));
	if (!blk)
		return -ENOMEM;
	blk->host = config->host;
	blk->backend = *backend;
	blk->num_queues = num_queues;
	blk->max_segments = size + SEGMENTS_SPARE;
	set_id(blk, config->id ? config->id : "peal");
	r = init(blk, config, size);
	if (r < 0) {
		peal_virtio_blk_free(blk);
		return r;
	}
	*ret = blk;
	return 0;
}

void peal_virtio_blk_free(struct peal_virtio_blk *blk)
{
	if (!blk)
		return;
	peal_virtio_free(blk->device);
	for (unsigned i = 0; blk->queues && i < blk->num_queues; i++) {
		struct blk_queue *queue = &blk->queues[i];

		peal_free(blk->host, queue->segments, blk->max_segments * sizeof(*queue->segments));
		peal_free(blk->host, queue->buffers, blk->max_segments * sizeof(*queue->buffers));
	}
	peal_free(blk->host, blk->queues, blk->num_queues * sizeof(*blk->queues));
	peal_mutex_done(&blk->error_mutex);
	peal_free(blk->host, blk, sizeof(*blk));
}

struct peal_virtio *peal_virtio_blk_device(struct peal_virtio_blk *blk)
{
	return blk->device;
}

struct peal_pci_function *peal_virtio_blk_function(struct peal_virtio_blk *blk)
{
	return peal_virtio_function(blk->device);
}
