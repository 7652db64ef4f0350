/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stopping a virtio device, saving and loading it.
 *
 * A device that is paused serves no queue, whoever notifies; who served has given back all that he
 * took. So nothing is in flight, and an index says all of a ring. It is asked for work when it goes
 * on: notifications that came meanwhile need not be remembered.
 *
 * All numbers little-endian:
 *
 *   u32 version, u32 queues, u64 features offered
 *   u8 status, u8 ISR, u8 generation, u8 zero, u16 configuration's vector, u16 queue_select
 *   u32 device_feature_select, u32 driver_feature_select, u32 driver features × 4
 *   u32 bar, offset, length of the PCI access capability
 *   each queue: u16 size, u16 vector, u8 enabled, u8 live, u16 index, u32 fault, u64 addresses × 3
 *   what the class has
 */
#include "base/cursor.h"
#include "device.h"

#define VERSION          1u
#define FIXED_SIZE       (16u + 8u + 8u + 4u * VIRTIO_FEATURE_WORDS + 12u)
#define QUEUE_STATE_SIZE 36u

#define STATUS                                                                  \
	(PEAL_VIRTIO_ACKNOWLEDGE | PEAL_VIRTIO_DRIVER | PEAL_VIRTIO_DRIVER_OK | \
	 PEAL_VIRTIO_FEATURES_OK | PEAL_VIRTIO_NEEDS_RESET | PEAL_VIRTIO_FAILED)

/* What is saved beside the queues, as it is taken before anything changes. */
struct state {
	uint8_t status;
	uint8_t isr;
	uint8_t generation;
	uint16_t config_vector;
	uint16_t queue_select;
	uint32_t device_feature_select;
	uint32_t driver_feature_select;
	uint32_t driver_features[VIRTIO_FEATURE_WORDS];
	uint32_t access[3];
};

struct queue_state {
	uint16_t size;
	uint16_t vector;
	bool enabled;
	bool live;
	uint16_t index;
	uint32_t fault;
	uint64_t addresses[3];
};

static void stop(void *user, bool stopped)
{
	struct peal_virtio *device = user;

	__atomic_store_n(&device->paused, stopped, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < device->config.num_queues; i++) {
		if (stopped)
			virtio_queue_sync(&device->queues[i]);
		else
			peal_virtio_kick(device, i);
	}
}

static size_t class_size(const struct peal_virtio *device)
{
	const struct peal_virtio_class_ops *ops = device->config.ops;

	return ops->save ? ops->state_size(device->config.user) : 0;
}

static size_t state_size(void *user)
{
	const struct peal_virtio *device = user;

	return FIXED_SIZE + device->config.num_queues * (size_t)QUEUE_STATE_SIZE +
	       class_size(device);
}

/* ---- saving ---- */

static void put_queue(struct peal_cursor *c, struct virtio_queue *queue)
{
	bool live = __atomic_load_n(&queue->live, __ATOMIC_SEQ_CST);

	PEAL_ASSERT(!live || queue->ring.next_avail == queue->ring.published);
	peal_cursor_put(c, 2, queue->size);
	peal_cursor_put(c, 2, __atomic_load_n(&queue->vector, __ATOMIC_RELAXED));
	peal_cursor_put(c, 1, queue->enabled);
	peal_cursor_put(c, 1, live);
	peal_cursor_put(c, 2, live ? queue->ring.published : 0);
	peal_cursor_put(c, 4, __atomic_load_n(&queue->last_fault, __ATOMIC_RELAXED));
	for (unsigned i = 0; i < 3; i++)
		peal_cursor_put(c, 8, queue->addresses[i]);
}

static void put_registers(struct peal_cursor *c, struct peal_virtio *device)
{
	peal_cursor_put(c, 4, VERSION);
	peal_cursor_put(c, 4, device->config.num_queues);
	peal_cursor_put(c, 8, device->offered);
	peal_cursor_put(c, 1, virtio_status(device));
	peal_cursor_put(c, 1, __atomic_load_n(&device->isr, __ATOMIC_SEQ_CST));
	peal_cursor_put(c, 2, device->generation);
	peal_cursor_put(c, 2, __atomic_load_n(&device->config_vector, __ATOMIC_RELAXED));
	peal_cursor_put(c, 2, peal_reg_get(device->common, PEAL_VIRTIO_COMMON_QUEUE_SELECT, 2));
	peal_cursor_put(c, 4,
			peal_reg_get(device->common, PEAL_VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4));
	peal_cursor_put(c, 4,
			peal_reg_get(device->common, PEAL_VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4));
	for (unsigned i = 0; i < VIRTIO_FEATURE_WORDS; i++)
		peal_cursor_put(c, 4, device->driver_features[i]);
	peal_cursor_put(c, 4, __atomic_load_n(&device->access_bar, __ATOMIC_RELAXED));
	peal_cursor_put(c, 4, __atomic_load_n(&device->access_offset, __ATOMIC_RELAXED));
	peal_cursor_put(c, 4, __atomic_load_n(&device->access_length, __ATOMIC_RELAXED));
}

static void save(void *user, uint8_t *bytes)
{
	struct peal_virtio *device = user;
	struct peal_cursor c = { .bytes = bytes, .size = state_size(device) };

	peal_mutex_lock(&device->mutex);
	put_registers(&c, device);
	PEAL_ASSERT(c.at == FIXED_SIZE);
	for (unsigned i = 0; i < device->config.num_queues; i++)
		put_queue(&c, &device->queues[i]);
	if (device->config.ops->save)
		device->config.ops->save(device->config.user, bytes + c.at);
	PEAL_ASSERT(!c.bad && c.at + class_size(device) == c.size);
	virtio_unlock(device);
}

/* ---- checking ---- */

static struct state take_state(struct peal_cursor *c)
{
	struct state s;

	s.status = (uint8_t)peal_cursor_take(c, 1);
	s.isr = (uint8_t)peal_cursor_take(c, 1);
	s.generation = (uint8_t)peal_cursor_take(c, 1);
	c->bad |= peal_cursor_take(c, 1) != 0;
	s.config_vector = (uint16_t)peal_cursor_take(c, 2);
	s.queue_select = (uint16_t)peal_cursor_take(c, 2);
	s.device_feature_select = (uint32_t)peal_cursor_take(c, 4);
	s.driver_feature_select = (uint32_t)peal_cursor_take(c, 4);
	for (unsigned i = 0; i < VIRTIO_FEATURE_WORDS; i++)
		s.driver_features[i] = (uint32_t)peal_cursor_take(c, 4);
	for (unsigned i = 0; i < 3; i++)
		s.access[i] = (uint32_t)peal_cursor_take(c, 4);
	return s;
}

static struct queue_state take_queue(struct peal_cursor *c)
{
	struct queue_state q;
	uint64_t enabled, live;

	q.size = (uint16_t)peal_cursor_take(c, 2);
	q.vector = (uint16_t)peal_cursor_take(c, 2);
	enabled = peal_cursor_take(c, 1);
	live = peal_cursor_take(c, 1);
	c->bad |= enabled > 1 || live > 1;
	q.enabled = enabled;
	q.live = live;
	q.index = (uint16_t)peal_cursor_take(c, 2);
	q.fault = (uint32_t)peal_cursor_take(c, 4);
	for (unsigned i = 0; i < 3; i++)
		q.addresses[i] = peal_cursor_take(c, 8);
	return q;
}

static uint64_t features_of(const struct state *s)
{
	return s->driver_features[0] | (uint64_t)s->driver_features[1] << 32;
}

static bool vector_is_possible(const struct peal_virtio *device, uint16_t vector)
{
	return vector == PEAL_VIRTIO_NO_VECTOR || vector < device->config.vectors;
}

static bool state_is_possible(const struct peal_virtio *device, const struct state *s)
{
	if (s->status & ~STATUS || s->isr & ~(VIRTIO_ISR_QUEUE | VIRTIO_ISR_CONFIG) ||
	    !vector_is_possible(device, s->config_vector))
		return false;
	if (s->status & PEAL_VIRTIO_FEATURES_OK)
		return !(features_of(s) & ~device->offered) && !s->driver_features[2] &&
		       !s->driver_features[3] && features_of(s) & PEAL_BIT(PEAL_VIRTIO_F_VERSION_1);
	return !(s->status & PEAL_VIRTIO_DRIVER_OK);
}

static bool queue_is_possible(const struct peal_virtio *device, const struct state *s,
			      const struct queue_state *q)
{
	if (!peal_is_power_of_two(q->size) || q->size > device->config.queue_size_max ||
	    !vector_is_possible(device, q->vector) || q->fault >= PEAL_VRING_FAULTS)
		return false;
	return !q->live ||
	       (q->enabled && (s->status & (PEAL_VIRTIO_DRIVER_OK | PEAL_VIRTIO_FAILED)) ==
				      PEAL_VIRTIO_DRIVER_OK);
}

/* Every vector is in use as often as a register names it. C stands at the queues. */
static bool uses_are_right(const struct peal_virtio *device, const struct state *s,
			   struct peal_cursor c)
{
	const size_t queues = c.at;

	for (unsigned vector = 0; vector < device->config.vectors; vector++) {
		unsigned uses = s->config_vector == vector;

		c.at = queues;
		for (unsigned i = 0; i < device->config.num_queues; i++)
			uses += take_queue(&c).vector == vector;
		if (peal_msix_uses(device->msix, vector) != uses)
			return false;
	}
	return true;
}

/* C stands behind the fixed numbers, and is left at the queues. */
static bool is_loadable(const struct peal_virtio *device, struct peal_cursor *c, struct state *s)
{
	struct peal_cursor queues;

	if (peal_cursor_take(c, 4) != VERSION ||
	    peal_cursor_take(c, 4) != device->config.num_queues ||
	    peal_cursor_take(c, 8) != device->offered)
		return false;
	*s = take_state(c);
	queues = *c;
	if (c->bad || !state_is_possible(device, s))
		return false;
	for (unsigned i = 0; i < device->config.num_queues; i++) {
		const struct queue_state q = take_queue(&queues);

		if (queues.bad || !queue_is_possible(device, s, &q))
			return false;
	}
	return queues.size - queues.at == class_size(device) && uses_are_right(device, s, *c);
}

/* ---- loading ---- */

static void load_registers(struct peal_virtio *device, const struct state *s)
{
	peal_reg_set(device->common, PEAL_VIRTIO_COMMON_QUEUE_SELECT, 2, s->queue_select);
	peal_reg_set(device->common, PEAL_VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4,
		     s->device_feature_select);
	peal_reg_set(device->common, PEAL_VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4,
		     s->driver_feature_select);
	memcpy(device->driver_features, s->driver_features, sizeof(s->driver_features));
	device->generation = s->generation;
	__atomic_store_n(&device->config_vector, s->config_vector, __ATOMIC_RELAXED);
	__atomic_store_n(&device->access_bar, s->access[0], __ATOMIC_RELAXED);
	__atomic_store_n(&device->access_offset, s->access[1], __ATOMIC_RELAXED);
	__atomic_store_n(&device->access_length, s->access[2], __ATOMIC_RELAXED);
	__atomic_store_n(&device->status, s->status, __ATOMIC_SEQ_CST);
	__atomic_store_n(&device->isr, s->isr, __ATOMIC_SEQ_CST);
	virtio_drive_intx(device);
}

static void load_queue(struct virtio_queue *queue, const struct queue_state *q)
{
	queue->size = q->size;
	queue->enabled = q->enabled;
	memcpy(queue->addresses, q->addresses, sizeof(q->addresses));
	__atomic_store_n(&queue->vector, q->vector, __ATOMIC_RELAXED);
	__atomic_store_n(&queue->last_fault, q->fault, __ATOMIC_RELAXED);
	if (q->live)
		virtio_queue_resume(queue, q->index);
}

static int load_all(struct peal_virtio *device, const uint8_t *bytes, size_t size)
{
	const struct peal_virtio_config *config = &device->config;
	struct peal_cursor c = peal_cursor_reader(bytes, size);
	struct state s;
	size_t tail;

	if (!is_loadable(device, &c, &s))
		return -EINVAL;
	tail = c.at + config->num_queues * (size_t)QUEUE_STATE_SIZE;
	if (config->ops->load) {
		int r = config->ops->load(config->user, bytes + tail, size - tail);

		if (r < 0)
			return r;
	}
	if (s.status & PEAL_VIRTIO_FEATURES_OK && config->ops->negotiated)
		(void)config->ops->negotiated(config->user, features_of(&s));
	for (unsigned i = 0; i < config->num_queues; i++)
		virtio_queue_stop(&device->queues[i]);
	load_registers(device, &s);
	for (unsigned i = 0; i < config->num_queues; i++) {
		const struct queue_state q = take_queue(&c);

		load_queue(&device->queues[i], &q);
	}
	return 0;
}

static int load(void *user, const uint8_t *bytes, size_t size)
{
	struct peal_virtio *device = user;
	int r;

	peal_mutex_lock(&device->mutex);
	r = load_all(device, bytes, size);
	virtio_unlock(device);
	return r;
}

const struct peal_pci_state_ops virtio_state_ops = {
	.stop = stop,
	.size = state_size,
	.save = save,
	.load = load,
};
