/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block driver: limits from the device's configuration, start, detach. Virtio 1.2 §5.2.4,
 * §5.2.5. The requests are in blk-queue.c.
 */
#include <peal/base.h>
#include <peal/bits.h>
#include <peal/driver.h>
#include <peal/virtio-abi.h>

#include "driver/blk.h"
#include "driver/virtio.h"

#define SEGMENT_SIZE_LIMIT PEAL_BIT32(30) /* keeps lengths of a chain below 32 bits */
#define BLOCK_SIZE_LIMIT   PEAL_BIT32(20)

static const uint64_t wanted_features =
	PEAL_BIT(PEAL_VIRTIO_F_INDIRECT_DESC) | PEAL_BIT(PEAL_VIRTIO_F_EVENT_IDX) |
	PEAL_BIT(PEAL_VIRTIO_BLK_F_SIZE_MAX) | PEAL_BIT(PEAL_VIRTIO_BLK_F_SEG_MAX) |
	PEAL_BIT(PEAL_VIRTIO_BLK_F_RO) | PEAL_BIT(PEAL_VIRTIO_BLK_F_BLK_SIZE) |
	PEAL_BIT(PEAL_VIRTIO_BLK_F_FLUSH) | PEAL_BIT(PEAL_VIRTIO_BLK_F_MQ);

static bool has(const struct peal_blk_driver *driver, unsigned feature)
{
	return peal_virtio_driver_features(driver->virtio) & PEAL_BIT(feature);
}

static int read_field(struct peal_blk_driver *driver, uint32_t offset, size_t size, uint64_t *ret)
{
	uint8_t bytes[8];
	int r = peal_virtio_driver_config_read(driver->virtio, offset, bytes, size);

	if (r == 0)
		*ret = peal_load_le(bytes, size);
	/* Shorter than the features say, or never at rest: the device is wrong. */
	return r < 0 ? -EPROTO : 0;
}

/* The field if its feature was negotiated, else DEFAULT_VALUE. */
static int read_optional(struct peal_blk_driver *driver, unsigned feature, uint32_t offset,
			 size_t size, uint64_t default_value, uint64_t *ret)
{
	*ret = default_value;
	return has(driver, feature) ? read_field(driver, offset, size, ret) : 0;
}

static int read_capacity(struct peal_blk_driver *driver)
{
	uint64_t capacity = 0;
	int r = read_field(driver, PEAL_VIRTIO_BLK_CAPACITY, 8, &capacity);

	if (r == 0)
		__atomic_store_n(&driver->capacity, capacity, __ATOMIC_RELAXED);
	return r;
}

/* Limits of requests as the device tells them, checked, before there are queues. */
static int read_limits(struct peal_blk_driver *driver)
{
	uint64_t size_max = 0, seg_max = 0, block_size = 0;
	int r;

	r = read_capacity(driver);
	if (r == 0)
		r = read_optional(driver, PEAL_VIRTIO_BLK_F_SIZE_MAX, PEAL_VIRTIO_BLK_SIZE_MAX, 4,
				  SEGMENT_SIZE_LIMIT, &size_max);
	if (r == 0)
		r = read_optional(driver, PEAL_VIRTIO_BLK_F_SEG_MAX, PEAL_VIRTIO_BLK_SEG_MAX, 4,
				  PEAL_BLK_SEGMENT_LIMIT, &seg_max);
	if (r == 0)
		r = read_optional(driver, PEAL_VIRTIO_BLK_F_BLK_SIZE, PEAL_VIRTIO_BLK_BLK_SIZE, 4,
				  PEAL_VIRTIO_BLK_SECTOR, &block_size);
	if (r < 0)
		return r;
	driver->segment_size =
		(uint32_t)(size_max < SEGMENT_SIZE_LIMIT ? size_max : SEGMENT_SIZE_LIMIT);
	driver->max_segments =
		(uint32_t)(seg_max < PEAL_BLK_SEGMENT_LIMIT ? seg_max : PEAL_BLK_SEGMENT_LIMIT);
	/* A hint only: one that makes no sense is not worth a device. */
	if (!peal_is_power_of_two(block_size) || block_size < PEAL_VIRTIO_BLK_SECTOR ||
	    block_size > BLOCK_SIZE_LIMIT)
		block_size = PEAL_VIRTIO_BLK_SECTOR;
	driver->block_size = (uint32_t)block_size;
	driver->read_only = has(driver, PEAL_VIRTIO_BLK_F_RO);
	driver->flush = has(driver, PEAL_VIRTIO_BLK_F_FLUSH);
	return 0;
}

/* Now that the queues' sizes are known. */
static int fit_limits(struct peal_blk_driver *driver)
{
	uint64_t transfer;

	for (unsigned i = 0; i < driver->nqueues; i++) {
		/* Header and status take two; §2.7.5.3.1: no chain is longer than the queue. */
		unsigned size = peal_driver_queue_size(peal_virtio_driver_queue(driver->virtio, i));
		unsigned room = size > 2 ? size - 2 : 0;

		driver->max_segments = driver->max_segments < room ? driver->max_segments : room;
	}
	transfer = (uint64_t)driver->segment_size * driver->max_segments;
	if (transfer > SEGMENT_SIZE_LIMIT)
		transfer = SEGMENT_SIZE_LIMIT;
	driver->max_transfer = (uint32_t)transfer & ~(PEAL_VIRTIO_BLK_SECTOR - 1);
	return driver->max_transfer ? 0 : -EPROTO;
}

/* §5.2.4: a device without F_MQ has one queue. */
static int count_queues(struct peal_blk_driver *driver, unsigned wanted, unsigned *ret)
{
	unsigned most = peal_virtio_driver_max_queues(driver->virtio);
	uint64_t offered = 0;
	int r = read_optional(driver, PEAL_VIRTIO_BLK_F_MQ, PEAL_VIRTIO_BLK_NUM_QUEUES, 2, 1,
			      &offered);

	if (r < 0)
		return r;
	if (offered < wanted)
		wanted = (unsigned)offered;
	if (most < wanted)
		wanted = most;
	*ret = wanted ? wanted : 1;
	return 0;
}

static int alloc_rings(struct peal_blk_driver *driver, const struct peal_blk_driver_config *config)
{
	size_t bytes = driver->nqueues * sizeof(struct peal_virtio_queue_info);
	struct peal_virtio_queue_info *infos = peal_alloc(driver->host, bytes);
	int r;

	if (!infos)
		return -ENOMEM;
	for (unsigned i = 0; i < driver->nqueues; i++)
		infos[i] = (struct peal_virtio_queue_info){
			.size_limit = config->size_limit,
			.indirect_limit = driver->max_segments + 2,
			.handler = peal_blk_queue_interrupt,
			.arg = &driver->queues[i],
			.cpu_hint = i,
		};
	r = peal_virtio_driver_alloc_virtqueues(driver->virtio, driver->nqueues, infos);
	peal_free(driver->host, infos, bytes);
	return r;
}

static int init_queues(struct peal_blk_driver *driver, unsigned depth_limit)
{
	bool indirect = has(driver, PEAL_VIRTIO_F_INDIRECT_DESC);

	for (unsigned i = 0; i < driver->nqueues; i++) {
		struct peal_driver_queue *ring = peal_virtio_driver_queue(driver->virtio, i);
		/* Without a table a request takes three descriptors, or more. */
		unsigned depth = peal_driver_queue_size(ring) / (indirect ? 1 : 3);
		int r;

		if (depth_limit && depth > depth_limit)
			depth = depth_limit;
		r = peal_blk_queue_init(&driver->queues[i], driver, ring, depth);
		if (r < 0)
			return r;
		if (driver->depth == 0 || depth < driver->depth)
			driver->depth = depth;
	}
	return 0;
}

/* In the interrupt context of the configuration vector. */
static void on_config_changed(void *arg)
{
	struct peal_blk_driver *driver = arg;

	/* §2.1.2: what is in flight need not end any more. */
	if (peal_virtio_driver_status(driver->virtio) & PEAL_VIRTIO_NEEDS_RESET) {
		for (unsigned i = 0; i < driver->nqueues; i++)
			peal_blk_queue_break(&driver->queues[i], "the device needs a reset");
	}
	(void)read_capacity(driver);
	if (driver->changed && __atomic_load_n(&driver->started, __ATOMIC_ACQUIRE))
		driver->changed(driver->user);
}

static int start(struct peal_blk_driver *driver, const struct peal_blk_driver_config *config)
{
	const struct peal_virtio_intr_config intr = {
		.config_changed = on_config_changed,
		.arg = driver,
		.disable_msix = config->disable_msix,
		.disable_msix_per_queue = config->disable_msix_per_queue,
	};
	unsigned count = 0;
	int r;

	r = peal_virtio_driver_negotiate(driver->virtio, wanted_features & ~config->features_off);
	if (r == 0)
		r = read_limits(driver);
	if (r == 0)
		r = count_queues(driver, config->queues ? config->queues : 1, &count);
	if (r < 0)
		return r;
	driver->queues = peal_alloc(driver->host, count * sizeof(driver->queues[0]));
	if (!driver->queues)
		return -ENOMEM;
	driver->nqueues = count;
	r = alloc_rings(driver, config);
	if (r == 0)
		r = fit_limits(driver);
	if (r == 0)
		r = init_queues(driver, config->depth);
	if (r == 0)
		r = peal_virtio_driver_setup_intr(driver->virtio, &intr);
	if (r == 0)
		r = peal_virtio_driver_start(driver->virtio);
	return r;
}

int peal_blk_driver_new(struct peal_blk_driver **ret, const struct peal_blk_driver_config *config)
{
	const struct peal_virtio_driver_config virtio = {
		.host = config->host,
		.ops = config->ops,
		.user = config->ops_user,
	};
	struct peal_blk_driver *driver;
	unsigned type;
	int r;

	r = peal_driver_identify(&virtio, &type);
	if (r < 0 || type != PEAL_VIRTIO_BLK)
		return -ENXIO;
	driver = peal_alloc(config->host, sizeof(*driver));
	if (!driver)
		return -ENOMEM;
	driver->host = config->host;
	driver->ops = config->ops;
	driver->ops_user = config->ops_user;
	driver->changed = config->changed;
	driver->user = config->user;
	r = peal_virtio_driver_probe(&driver->virtio, &virtio);
	if (r == 0)
		r = start(driver, config);
	if (r < 0) {
		peal_blk_driver_free(driver);
		return r;
	}
	__atomic_store_n(&driver->started, true, __ATOMIC_RELEASE);
	*ret = driver;
	return 0;
}

void peal_blk_driver_free(struct peal_blk_driver *driver)
{
	if (!driver)
		return;
	for (unsigned i = 0; i < driver->nqueues; i++)
		peal_blk_queue_close(&driver->queues[i]);
	/* The device is quiet and no handler runs before what they use goes. */
	if (driver->virtio)
		peal_virtio_driver_quiesce(driver->virtio);
	for (unsigned i = 0; i < driver->nqueues; i++)
		peal_blk_queue_done(&driver->queues[i], driver->started);
	peal_virtio_driver_free(driver->virtio);
	peal_free(driver->host, driver->queues, driver->nqueues * sizeof(driver->queues[0]));
	peal_free(driver->host, driver, sizeof(*driver));
}

void peal_blk_driver_info(const struct peal_blk_driver *driver, struct peal_blk_info *ret)
{
	*ret = (struct peal_blk_info){
		.capacity = __atomic_load_n(&driver->capacity, __ATOMIC_RELAXED),
		.block_size = driver->block_size,
		.max_segments = driver->max_segments,
		.max_transfer = driver->max_transfer,
		.read_only = driver->read_only,
		.flush = driver->flush,
		.queues = driver->nqueues,
		.depth = driver->depth,
		.features = peal_virtio_driver_features(driver->virtio),
		.intr = peal_virtio_driver_intr(driver->virtio),
	};
}

struct peal_virtio_driver *peal_blk_driver_virtio(struct peal_blk_driver *driver)
{
	return driver->virtio;
}
