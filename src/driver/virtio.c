/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life cycle of a virtio device, driver side. Virtio 1.2 §2.1 (status), §2.4 (reset), §3.1
 * (initialization).
 *
 *   negotiate → alloc_virtqueues → setup_intr → start ⇄ stop/reinit → free
 *
 * Every failure ends in peal_driver_fail: FAILED, reset, nothing allocated, and negotiate may begin
 * again. What the device may reach by DMA is given back only after a reset, or with bus mastering off
 * when the reset did not end.
 */
#include <peal/base.h>
#include <peal/bits.h>
#include <peal/driver.h>
#include <peal/virtio-abi.h>

#include "driver/virtio.h"

#define CONFIG_COMMAND     4u
#define COMMAND_IO         1u
#define COMMAND_MEMORY     2u
#define COMMAND_BUS_MASTER 4u

static unsigned read_command(struct peal_virtio_driver *driver)
{
	return (unsigned)driver->ops->config_read(driver->user, CONFIG_COMMAND, 2) & 0xffff;
}

static void set_bus_master(struct peal_virtio_driver *driver, bool on)
{
	unsigned command = read_command(driver);

	driver->ops->config_write(driver->user, CONFIG_COMMAND, 2,
				  on ? command | COMMAND_BUS_MASTER
				     : command & ~COMMAND_BUS_MASTER);
}

void peal_driver_decode(struct peal_virtio_driver *driver)
{
	const struct peal_driver_region *regions[] = { &driver->common, &driver->notify,
						       &driver->isr, &driver->device };
	unsigned command = read_command(driver);

	for (unsigned i = 0; i < PEAL_COUNT_OF(regions); i++)
		if (regions[i]->length)
			command |= regions[i]->is_io ? COMMAND_IO : COMMAND_MEMORY;
	/* Nothing of ours can be in its reach yet: whoever had the device may have left that on. */
	command &= ~COMMAND_BUS_MASTER;
	driver->ops->config_write(driver->user, CONFIG_COMMAND, 2, command);
}

void peal_driver_set_status(struct peal_virtio_driver *driver, unsigned bits)
{
	/* §2.1.1: a driver clears no bit except by a reset. */
	driver->transport->set_status(driver, driver->transport->get_status(driver) | bits);
}

int peal_driver_reset_device(struct peal_virtio_driver *driver)
{
	unsigned waited = 0;
	unsigned pause = 10;

	driver->running = false;
	driver->unresponsive = true;
	driver->transport->set_status(driver, 0);
	/* §4.1.4.3.2: the reset is complete when the status reads 0. */
	while (driver->transport->get_status(driver) != 0) {
		if (waited >= PEAL_DRIVER_RESET_LIMIT_US) {
			set_bus_master(driver, false);
			return -ETIMEDOUT;
		}
		driver->ops->delay(driver->user, pause);
		waited += pause;
		pause = pause < 5000 ? 2 * pause : pause;
	}
	driver->unresponsive = false;
	return 0;
}

static void free_queues(struct peal_virtio_driver *driver)
{
	for (unsigned i = 0; i < driver->nqueues; i++)
		peal_driver_queue_done(&driver->slots[i].queue);
	peal_free(driver->host, driver->slots, driver->nqueues * sizeof(driver->slots[0]));
	driver->slots = NULL;
	driver->nqueues = 0;
}

/* After a reset, or with bus mastering off. */
static void give_back(struct peal_virtio_driver *driver)
{
	peal_driver_release_intr(driver);
	set_bus_master(driver, false);
	free_queues(driver);
	driver->negotiated = false;
	driver->features = 0;
}

void peal_driver_fail(struct peal_virtio_driver *driver)
{
	if (!driver->unresponsive) {
		peal_driver_set_status(driver, PEAL_VIRTIO_FAILED);
		(void)peal_driver_reset_device(driver);
	}
	give_back(driver);
}

void peal_virtio_driver_free(struct peal_virtio_driver *driver)
{
	if (!driver)
		return;
	if (!driver->unresponsive)
		(void)peal_driver_reset_device(driver);
	give_back(driver);
	peal_free(driver->host, driver, sizeof(*driver));
}

unsigned peal_virtio_driver_type(const struct peal_virtio_driver *driver)
{
	return driver->type;
}

uint64_t peal_virtio_driver_offered(const struct peal_virtio_driver *driver)
{
	return driver->offered;
}

uint64_t peal_virtio_driver_features(const struct peal_virtio_driver *driver)
{
	return driver->features;
}

unsigned peal_virtio_driver_status(struct peal_virtio_driver *driver)
{
	return driver->transport->get_status(driver);
}

unsigned peal_virtio_driver_max_queues(struct peal_virtio_driver *driver)
{
	return driver->transport->num_queues(driver);
}

/* From the reset to FEATURES_OK, without cleaning up. ALLOWED: never more than these. */
static int initialize(struct peal_virtio_driver *driver, uint64_t wanted, uint64_t allowed)
{
	uint64_t features;
	int r;

	r = peal_driver_reset_device(driver);
	if (r < 0)
		return r;
	peal_driver_set_status(driver, PEAL_VIRTIO_ACKNOWLEDGE);
	peal_driver_set_status(driver, PEAL_VIRTIO_DRIVER);
	driver->offered = driver->transport->get_features(driver);
	if (driver->transport->modern && !(driver->offered & PEAL_BIT(PEAL_VIRTIO_F_VERSION_1)))
		return -ENOTSUP;
	features = driver->offered & allowed & peal_driver_known_features() &
		   (wanted | PEAL_BIT(PEAL_VIRTIO_F_VERSION_1));
	driver->transport->set_features(driver, features);
	if (driver->transport->modern) {
		peal_driver_set_status(driver, PEAL_VIRTIO_FEATURES_OK);
		if (!(driver->transport->get_status(driver) & PEAL_VIRTIO_FEATURES_OK))
			return -ENOTSUP;
	}
	driver->features = features;
	driver->negotiated = true;
	return 0;
}

int peal_virtio_driver_negotiate(struct peal_virtio_driver *driver, uint64_t wanted)
{
	int r;

	if (driver->nqueues)
		return -EALREADY;
	r = initialize(driver, wanted, ~UINT64_C(0));
	if (r < 0)
		peal_driver_fail(driver);
	return r;
}

/* The size of a queue: what the device has, at most LIMIT. */
static int choose_size(struct peal_virtio_driver *driver, unsigned index, unsigned limit)
{
	unsigned size = driver->transport->queue_size(driver, index);

	if (size == 0)
		return -ENODEV;
	if (!peal_is_power_of_two(size) || size > PEAL_VIRTIO_QUEUE_MAX)
		return -EPROTO;
	while (limit && size > limit)
		size /= 2;
	return (int)size;
}

static int alloc_queue(struct peal_virtio_driver *driver, unsigned index)
{
	struct peal_driver_slot *slot = &driver->slots[index];
	int size = choose_size(driver, index, slot->info.size_limit);
	struct peal_driver_queue_config config = {
		.host = driver->host,
		.ops = driver->ops,
		.user = driver->user,
		.features = driver->features,
		.index = (uint16_t)index,
		.size = (uint16_t)size,
		.indirect_limit = slot->info.indirect_limit,
	};
	int r;

	if (size < 0)
		return size;
	r = peal_driver_queue_init(&slot->queue, &config);
	if (r < 0)
		return r;
	return driver->transport->queue_setup(driver, &slot->queue);
}

int peal_virtio_driver_alloc_virtqueues(struct peal_virtio_driver *driver, unsigned count,
					const struct peal_virtio_queue_info *infos)
{
	int r = 0;

	if (driver->nqueues)
		return -EALREADY;
	if (count == 0 || !driver->negotiated)
		return -EINVAL;
	if (count > driver->transport->num_queues(driver)) {
		r = -ENODEV;
		goto fail;
	}
	driver->slots = peal_alloc(driver->host, count * sizeof(driver->slots[0]));
	if (!driver->slots) {
		r = -ENOMEM;
		goto fail;
	}
	driver->nqueues = count;
	for (unsigned i = 0; i < count; i++) {
		driver->slots[i].info = infos[i];
		driver->slots[i].vector = PEAL_VIRTIO_NO_VECTOR;
	}
	for (unsigned i = 0; i < count && r == 0; i++)
		r = alloc_queue(driver, i);
	if (r == 0)
		return 0;
fail:
	peal_driver_fail(driver);
	return r;
}

struct peal_driver_queue *peal_virtio_driver_queue(struct peal_virtio_driver *driver,
						   unsigned index)
{
	PEAL_ASSERT(index < driver->nqueues);
	return &driver->slots[index].queue;
}

int peal_virtio_driver_start(struct peal_virtio_driver *driver)
{
	unsigned status;

	if (driver->intr == PEAL_VIRTIO_INTR_NONE || !driver->negotiated || driver->running)
		return -EINVAL;
	set_bus_master(driver, true);
	for (unsigned i = 0; i < driver->nqueues; i++)
		driver->transport->queue_enable(driver, i);
	peal_driver_set_status(driver, PEAL_VIRTIO_DRIVER_OK);
	status = driver->transport->get_status(driver);
	if (!(status & PEAL_VIRTIO_DRIVER_OK) ||
	    (status & (PEAL_VIRTIO_NEEDS_RESET | PEAL_VIRTIO_FAILED))) {
		peal_driver_fail(driver);
		return -EIO;
	}
	driver->running = true;
	return 0;
}

int peal_virtio_driver_stop(struct peal_virtio_driver *driver)
{
	int r = peal_driver_reset_device(driver);

	driver->negotiated = false;
	return r;
}

void peal_virtio_driver_quiesce(struct peal_virtio_driver *driver)
{
	/* One that does not answer has lost the bus already. */
	if (!driver->unresponsive)
		(void)peal_virtio_driver_stop(driver);
	peal_driver_release_intr(driver);
}

int peal_virtio_driver_reinit(struct peal_virtio_driver *driver, uint64_t wanted)
{
	uint64_t before = driver->features;
	int r;

	if (driver->intr == PEAL_VIRTIO_INTR_NONE)
		return -EINVAL;
	r = initialize(driver, wanted, before);
	/* The rings were made for these features; which class features are there may change. */
	if (r == 0 && ((before ^ driver->features) & peal_driver_ring_features()))
		r = -EPROTO;
	for (unsigned i = 0; r == 0 && i < driver->nqueues; i++) {
		struct peal_driver_slot *slot = &driver->slots[i];

		PEAL_ASSERT(slot->queue.in_flight == 0);
		if (choose_size(driver, i, slot->info.size_limit) != slot->queue.size) {
			r = -EPROTO;
			break;
		}
		peal_driver_queue_reset(&slot->queue);
		r = driver->transport->queue_setup(driver, &slot->queue);
	}
	if (r == 0)
		r = peal_driver_register_vectors(driver);
	if (r < 0)
		peal_driver_fail(driver);
	return r;
}
