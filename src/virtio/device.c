/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio device: life, status, interrupts. Virtio 1.2 §2.1, §2.2, §3.1.
 *
 * The status register only gains bits until it is written 0. FEATURES_OK stays clear when the
 * driver's choice is refused, DRIVER_OK when it comes without FEATURES_OK. Reset is carried out
 * within the write of 0: when the register reads 0, no queue is served and nothing is in the rings.
 */
#include "device.h"

#define BATCH_DEFAULT 16u

#define DRIVER_STATUS                                                           \
	(PEAL_VIRTIO_ACKNOWLEDGE | PEAL_VIRTIO_DRIVER | PEAL_VIRTIO_DRIVER_OK | \
	 PEAL_VIRTIO_FEATURES_OK | PEAL_VIRTIO_FAILED)

/* ---- interrupts ---- */

/*
 * §4.1.4.5.1: Interrupt Status is the OR of the ISR bits, and the line follows it. Whoever changed
 * the bits looks at them again under the mutex: the last of several sees what stands.
 */
void virtio_drive_intx(struct peal_virtio *device)
{
	peal_mutex_lock(&device->intx_mutex);
	peal_pci_function_set_intx(device->function,
				   __atomic_load_n(&device->isr, __ATOMIC_SEQ_CST) != 0);
	peal_mutex_unlock(&device->intx_mutex);
}

static void set_isr(struct peal_virtio *device, uint32_t bit)
{
	if (!(__atomic_fetch_or(&device->isr, bit, __ATOMIC_SEQ_CST) & bit))
		virtio_drive_intx(device);
}

void virtio_raise_queue(struct virtio_queue *queue)
{
	struct peal_virtio *device = queue->device;
	uint16_t vector = __atomic_load_n(&queue->vector, __ATOMIC_RELAXED);

	/* §4.1.4.5.1: the ISR bit of queues is for INTx only. */
	if (peal_unlikely(!device->msix || !peal_msix_is_enabled(device->msix)))
		set_isr(device, VIRTIO_ISR_QUEUE);
	if (vector != PEAL_VIRTIO_NO_VECTOR)
		(void)peal_msix_notify(device->msix, vector);
}

void virtio_raise_config(struct peal_virtio *device)
{
	uint32_t vector = __atomic_load_n(&device->config_vector, __ATOMIC_RELAXED);

	set_isr(device, VIRTIO_ISR_CONFIG);
	if (vector != PEAL_VIRTIO_NO_VECTOR)
		(void)peal_msix_notify(device->msix, vector);
}

void virtio_needs_reset(struct peal_virtio *device)
{
	uint32_t old =
		__atomic_fetch_or(&device->status, PEAL_VIRTIO_NEEDS_RESET, __ATOMIC_SEQ_CST);

	/* §2.1.2: told only to a driver that is there, and once. */
	if (old & PEAL_VIRTIO_DRIVER_OK && !(old & PEAL_VIRTIO_NEEDS_RESET))
		virtio_raise_config(device);
}

uint16_t virtio_assign_vector(struct peal_virtio *device, uint16_t old, uint16_t wanted)
{
	if (wanted == old)
		return old;
	/* The new one first: an interrupt in between meets one of them. */
	if (wanted >= device->config.vectors || peal_msix_use(device->msix, wanted) < 0)
		wanted = PEAL_VIRTIO_NO_VECTOR;
	if (old != PEAL_VIRTIO_NO_VECTOR)
		peal_msix_unuse(device->msix, old);
	return wanted;
}

/* ---- notifications ---- */

static void kick(struct peal_virtio *device, unsigned queue)
{
	struct virtio_queue *q = &device->queues[queue];

	if (device->workers) {
		virtio_workers_kick(device->workers, queue);
		return;
	}
	do {
		while (virtio_queue_serve(q))
			;
	} while (virtio_queue_listen(q));
}

void virtio_notify(struct peal_virtio *device, unsigned queue)
{
	if (queue >= device->config.num_queues)
		return;
	peal_count(&device->queues[queue].notifications, 1);
	kick(device, queue);
}

void peal_virtio_kick(struct peal_virtio *device, unsigned queue)
{
	PEAL_ASSERT(queue < device->config.num_queues);
	kick(device, queue);
}

void virtio_unlock(struct peal_virtio *device)
{
	bool kick_all = device->kick_all;

	device->kick_all = false;
	peal_mutex_unlock(&device->mutex);
	for (unsigned i = 0; kick_all && i < device->config.num_queues; i++)
		kick(device, i);
}

/* ---- status ---- */

void virtio_device_reset(struct peal_virtio *device)
{
	const struct peal_virtio_config *config = &device->config;

	for (unsigned i = 0; i < config->num_queues; i++)
		virtio_queue_stop(&device->queues[i]);
	if (config->ops->reset)
		config->ops->reset(config->user);
	for (unsigned i = 0; i < config->num_queues; i++)
		virtio_queue_reset(&device->queues[i]);
	__atomic_store_n(&device->config_vector, PEAL_VIRTIO_NO_VECTOR, __ATOMIC_RELAXED);
	if (device->msix)
		peal_msix_unuse_all(device->msix);
	memset(device->common, 0, sizeof(device->common));
	memset(device->driver_features, 0, sizeof(device->driver_features));
	device->kick_all = false;
	__atomic_store_n(&device->isr, 0, __ATOMIC_SEQ_CST);
	virtio_drive_intx(device);
	__atomic_store_n(&device->status, 0, __ATOMIC_SEQ_CST);
}

/* §2.2.2, §3.1.1 step 5 */
static bool features_ok(struct peal_virtio *device)
{
	const struct peal_virtio_config *config = &device->config;
	uint64_t wanted = virtio_negotiated(device);

	for (unsigned i = 2; i < VIRTIO_FEATURE_WORDS; i++) {
		if (device->driver_features[i])
			return false;
	}
	if (wanted & ~device->offered || !(wanted & PEAL_BIT(PEAL_VIRTIO_F_VERSION_1)))
		return false;
	return !config->ops->negotiated || config->ops->negotiated(config->user, wanted) == 0;
}

static void driver_ok(struct peal_virtio *device)
{
	for (unsigned i = 0; i < device->config.num_queues; i++)
		virtio_queue_start(&device->queues[i]);
	/* What was made available before DRIVER_OK was not notified (§3.1.1). */
	device->kick_all = true;
}

void virtio_write_status(struct peal_virtio *device, uint8_t value)
{
	uint8_t old = virtio_status(device);
	uint8_t gained = (uint8_t)(value & DRIVER_STATUS & ~old);

	if (value == 0) {
		virtio_device_reset(device);
		return;
	}
	if (gained & PEAL_VIRTIO_FEATURES_OK && !features_ok(device))
		gained &= (uint8_t)~PEAL_VIRTIO_FEATURES_OK;
	/* Without features there is no going on, nor after FAILED: only a reset helps (§2.1.1). */
	if (!((old | gained) & PEAL_VIRTIO_FEATURES_OK) || (old | gained) & PEAL_VIRTIO_FAILED)
		gained &= (uint8_t)~PEAL_VIRTIO_DRIVER_OK;
	(void)__atomic_fetch_or(&device->status, gained, __ATOMIC_SEQ_CST);
	if (gained & PEAL_VIRTIO_DRIVER_OK)
		driver_ok(device);
	if (gained & PEAL_VIRTIO_FAILED) {
		for (unsigned i = 0; i < device->config.num_queues; i++)
			virtio_queue_stop(&device->queues[i]);
	}
}

uint8_t peal_virtio_status(const struct peal_virtio *device)
{
	return virtio_status(device);
}

/* ---- configuration ---- */

void peal_virtio_config_lock(struct peal_virtio *device)
{
	peal_mutex_lock(&device->mutex);
}

void peal_virtio_config_unlock(struct peal_virtio *device, bool changed)
{
	if (changed)
		device->generation++;
	/* §4.1.4.3.1: the new generation is there before the driver is told. */
	if (changed && virtio_status(device) & PEAL_VIRTIO_DRIVER_OK)
		virtio_raise_config(device);
	virtio_unlock(device);
}

void peal_virtio_counters(const struct peal_virtio *device, unsigned queue,
			  struct peal_virtio_counters *ret)
{
	const struct virtio_queue *q = &device->queues[queue];

	PEAL_ASSERT(queue < device->config.num_queues);
	*ret = (struct peal_virtio_counters){
		.notifications = peal_counted(&q->notifications),
		.chains = peal_counted(&q->ring.popped),
		.batches = peal_counted(&q->batches),
		.interrupts = peal_counted(&q->interrupts),
		.breaks = peal_counted(&q->breaks),
		.fault = (enum peal_vring_fault)__atomic_load_n(&q->last_fault, __ATOMIC_RELAXED),
	};
}

/* ---- life ---- */

static bool is_valid(const struct peal_virtio_config *c)
{
	return c->device_type >= 1 && c->device_type <= 63 && c->num_queues >= 1 &&
	       c->num_queues <= PEAL_VIRTIO_QUEUES_MAX &&
	       c->queue_size_max <= PEAL_VIRTIO_QUEUE_MAX &&
	       peal_is_power_of_two(c->queue_size_max) && c->config_size <= VIRTIO_BAR_PAGE &&
	       c->batch <= PEAL_VIRTIO_QUEUE_MAX && c->vectors <= 2048;
}

static int init_queues(struct peal_virtio *device)
{
	const struct peal_virtio_config *config = &device->config;
	int r = 0;

	device->queues = peal_alloc(config->host, config->num_queues * sizeof(*device->queues));
	if (!device->queues)
		return -ENOMEM;
	for (unsigned i = 0; i < config->num_queues && r == 0; i++)
		r = virtio_queue_init(&device->queues[i], device, i);
	return r;
}

static int init(struct peal_virtio *device)
{
	const struct peal_virtio_config *config = &device->config;
	unsigned workers = config->workers;
	int r = peal_mutex_init(&device->mutex, config->host);

	if (r == 0)
		r = peal_mutex_init(&device->intx_mutex, config->host);
	if (r == 0)
		r = init_queues(device);
	if (r == 0)
		r = virtio_pci_init(device);
	if (r == 0 && workers) {
		if (workers > config->num_queues)
			workers = config->num_queues;
		r = virtio_workers_new(&device->workers, device, workers);
	}
	return r;
}

int peal_virtio_new(struct peal_virtio **ret, const struct peal_virtio_config *config)
{
	struct peal_virtio *device;
	int r;

	PEAL_ASSERT(config->ops && config->ops->process);
	if (!is_valid(config))
		return -EINVAL;
	device = peal_alloc(config->host, sizeof(*device));
	if (!device)
		return -ENOMEM;
	device->config = *config;
	if (config->no_msix)
		device->config.vectors = 0;
	else if (!config->vectors)
		device->config.vectors = config->num_queues + 1;
	if (!config->batch)
		device->config.batch = BATCH_DEFAULT;
	device->offered = config->features | PEAL_BIT(PEAL_VIRTIO_F_VERSION_1);
	device->config_vector = PEAL_VIRTIO_NO_VECTOR;
	r = init(device);
	if (r < 0) {
		peal_virtio_free(device);
		return r;
	}
	*ret = device;
	return 0;
}

void peal_virtio_free(struct peal_virtio *device)
{
	if (!device)
		return;
	virtio_workers_free(device->workers);
	peal_pci_function_free(device->function);
	for (unsigned i = 0; device->queues && i < device->config.num_queues; i++)
		virtio_queue_done(&device->queues[i]);
	peal_free(device->config.host, device->queues,
		  device->config.num_queues * sizeof(*device->queues));
	peal_mutex_done(&device->intx_mutex);
	peal_mutex_done(&device->mutex);
	peal_free(device->config.host, device, sizeof(*device));
}

struct peal_pci_function *peal_virtio_function(struct peal_virtio *device)
{
	return device->function;
}
