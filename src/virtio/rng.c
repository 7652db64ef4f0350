/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The entropy device: one queue, each buffer is filled with random bytes. Virtio 1.2 §5.4.
 *
 * A device may return fewer bytes than there is room for, but at least one (§5.4.6.2). So a chain
 * gets a bounded number, and a reset never waits long. A source that fails breaks the queue: a
 * buffer without entropy must not look like one with it.
 */
#include <sys/random.h>

#include <peal/virtio.h>

#define CLASS_CODE         0xff0000u /* fits no class */
#define QUEUE_SIZE_DEFAULT 256u
#define SEGMENTS           64u
#define CHAIN_BYTES_MAX    65536u

struct peal_virtio_rng {
	const struct peal_host *host;
	struct peal_virtio_rng_config config;
	struct peal_virtio *device;
	uint64_t bytes; /* whoever serves */
	uint64_t failed;
};

static int fill_from_system(void *user, void *bytes, size_t size)
{
	(void)user;
	for (size_t done = 0; done < size;) {
		ssize_t n = getrandom((uint8_t *)bytes + done, size - done, 0);

		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* Bytes that were filled, or -errno. */
static int64_t fill(struct peal_virtio_rng *rng, const struct peal_vring_chain *chain)
{
	uint32_t left = CHAIN_BYTES_MAX;

	for (unsigned i = chain->nreadable; i < chain->nsegments && left > 0; i++) {
		const struct peal_vring_segment *segment = &chain->segments[i];
		uint32_t size = segment->length < left ? segment->length : left;
		int r = rng->config.fill(rng->config.user, segment->host, size);

		if (r < 0)
			return r;
		left -= size;
	}
	return CHAIN_BYTES_MAX - left;
}

static void process(void *user, unsigned queue, struct peal_vring *ring)
{
	struct peal_virtio_rng *rng = user;
	struct peal_vring_segment segments[SEGMENTS];
	struct peal_vring_chain chain = { .segments = segments, .max_segments = SEGMENTS };

	(void)queue;
	while (peal_vring_pop(ring, &chain)) {
		int64_t filled = fill(rng, &chain);

		if (filled <= 0 || chain.nreadable > 0) {
			peal_count(&rng->failed, 1);
			peal_vring_break(ring, PEAL_VRING_FAULT_REQUEST);
			return;
		}
		peal_count(&rng->bytes, (uint64_t)filled);
		peal_vring_push(ring, &chain, (uint32_t)filled);
	}
}

static const struct peal_virtio_class_ops class_ops = { .process = process };

int peal_virtio_rng_new(struct peal_virtio_rng **ret, const struct peal_virtio_rng_config *config)
{
	struct peal_virtio_rng *rng = peal_alloc(config->host, sizeof(*rng));
	struct peal_virtio_config device = {
		.host = config->host,
		.ops = &class_ops,
		.user = rng,
		.device_type = PEAL_VIRTIO_RNG,
		.class_code = CLASS_CODE,
		.num_queues = 1,
		.queue_size_max = config->queue_size_max ? config->queue_size_max
							 : QUEUE_SIZE_DEFAULT,
		.features = PEAL_VIRTIO_TRANSPORT_FEATURES,
		.no_msix = config->no_msix,
		.workers = config->workers,
		.spin_ns = config->spin_ns,
	};
	int r;

	if (!rng)
		return -ENOMEM;
	rng->host = config->host;
	rng->config = *config;
	if (!rng->config.fill)
		rng->config.fill = fill_from_system;
	r = peal_virtio_new(&rng->device, &device);
	if (r < 0) {
		peal_virtio_rng_free(rng);
		return r;
	}
	*ret = rng;
	return 0;
}

void peal_virtio_rng_free(struct peal_virtio_rng *rng)
{
	if (!rng)
		return;
	peal_virtio_free(rng->device);
	peal_free(rng->host, rng, sizeof(*rng));
}

struct peal_virtio *peal_virtio_rng_device(struct peal_virtio_rng *rng)
{
	return rng->device;
}

struct peal_pci_function *peal_virtio_rng_function(struct peal_virtio_rng *rng)
{
	return peal_virtio_function(rng->device);
}

void peal_virtio_rng_counters(const struct peal_virtio_rng *rng,
			      struct peal_virtio_rng_counters *ret)
{
	*ret = (struct peal_virtio_rng_counters){
		.bytes = peal_counted(&rng->bytes),
		.failed = peal_counted(&rng->failed),
	};
}
