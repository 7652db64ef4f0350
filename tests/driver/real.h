/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver's system around the real device: struct peal_driver_ops over a PCI function's
 * configuration space and BARs, RAM for DMA, and messages that become calls of handlers.
 *
 * A message sets its vector's pending bit. The handlers are called by real_dispatch(), or by CPUs,
 * which are threads that wait for pending vectors of theirs. A handler runs with its vector's mutex
 * held, so irq_teardown waits for it.
 */
#ifndef PEAL_TESTS_DRIVER_REAL_H
#define PEAL_TESTS_DRIVER_REAL_H

#include <support.h>

#include <fcntl.h>
#include <unistd.h>

#include <peal/driver.h>
#include <peal/pci.h>
#include <peal/virtio.h>

#define REAL_RAM_ADDRESS UINT64_C(0x40000000)
#define REAL_RAM_SIZE    (UINT64_C(16) << 20)
#define REAL_DOORBELL    UINT64_C(0xfee00000)
#define REAL_VECTORS     16u
#define REAL_CPUS        2u
#define REAL_CAP_MSIX    0x11u

struct real_vector {
	pthread_mutex_t mutex; /* of the handler, held while it runs */
	void (*handler)(void *arg);
	void *arg;
	unsigned cpu;
	bool pending;      /* under the system's mutex */
	uint64_t messages; /* all that arrived; atomic */
	uint64_t merged;   /* of these: found it pending */
	uint64_t dispatched;
};

struct real {
	struct test_host th; /* of the driver */
	struct test_ram ram;
	struct peal_pci_bus *bus;
	struct peal_pci_function *function;
	uint16_t requester_id;

	/* DMA: a region each, given back to the last one only; enough for a test. */
	uint64_t dma_next;
	int64_t dma_live, dma_points, dma_fail_at;

	unsigned irq_allocated;
	unsigned irq_limit;
	struct real_vector vectors[REAL_VECTORS];

	pthread_mutex_t mutex; /* pending bits, stopping */
	pthread_cond_t wake;
	bool stopping;
	pthread_t cpus[REAL_CPUS];
};

/* ---- messages and CPUs ---- */

static inline int real_deliver(void *user, const struct peal_msi_msg *msg)
{
	struct real *real = (struct real *)user;
	unsigned v = msg->data & 0xff;

	thread_assert(msg->data >> 8 == 0xabc && v < REAL_VECTORS);
	thread_assert(msg->address == REAL_DOORBELL + 8 * v);
	thread_assert(msg->requester_id == real->requester_id);
	thread_assert(pthread_mutex_lock(&real->mutex) == 0);
	real->vectors[v].messages++;
	if (real->vectors[v].pending)
		real->vectors[v].merged++;
	real->vectors[v].pending = true;
	thread_assert(pthread_cond_broadcast(&real->wake) == 0);
	thread_assert(pthread_mutex_unlock(&real->mutex) == 0);
	return 1;
}

/* Takes the pending bit of one vector of CPU (REAL_CPUS: of any) and calls its handler. */
static inline bool real_dispatch_one(struct real *real, unsigned cpu)
{
	struct real_vector *found = NULL;

	thread_assert(pthread_mutex_lock(&real->mutex) == 0);
	for (unsigned v = 0; v < REAL_VECTORS && !found; v++) {
		struct real_vector *vector = &real->vectors[v];

		if (vector->pending && (cpu == REAL_CPUS || vector->cpu % REAL_CPUS == cpu)) {
			vector->pending = false;
			vector->dispatched++;
			found = vector;
		}
	}
	thread_assert(pthread_mutex_unlock(&real->mutex) == 0);
	if (!found)
		return false;
	thread_assert(pthread_mutex_lock(&found->mutex) == 0);
	if (found->handler)
		found->handler(found->arg);
	thread_assert(pthread_mutex_unlock(&found->mutex) == 0);
	return true;
}

/* Calls the handlers of all that is pending; returns how many. */
static inline unsigned real_dispatch(struct real *real)
{
	unsigned count = 0;

	while (real_dispatch_one(real, REAL_CPUS))
		count++;
	return count;
}

struct real_cpu {
	struct real *real;
	unsigned index;
};

static inline bool real_has_work(struct real *real, unsigned cpu)
{
	for (unsigned v = 0; v < REAL_VECTORS; v++)
		if (real->vectors[v].pending && real->vectors[v].cpu % REAL_CPUS == cpu)
			return true;
	return false;
}

static inline void *real_cpu_main(void *argument)
{
	struct real_cpu *cpu = (struct real_cpu *)argument;
	struct real *real = cpu->real;
	bool stopping;

	do {
		while (real_dispatch_one(real, cpu->index))
			;
		thread_assert(pthread_mutex_lock(&real->mutex) == 0);
		while (!real->stopping && !real_has_work(real, cpu->index))
			thread_assert(pthread_cond_wait(&real->wake, &real->mutex) == 0);
		stopping = real->stopping;
		thread_assert(pthread_mutex_unlock(&real->mutex) == 0);
	} while (!stopping);
	free(cpu);
	return NULL;
}

static inline void real_start_cpus(struct real *real)
{
	real->stopping = false;
	for (unsigned i = 0; i < REAL_CPUS; i++) {
		struct real_cpu *cpu = (struct real_cpu *)malloc(sizeof(*cpu));

		thread_assert(cpu);
		cpu->real = real;
		cpu->index = i;
		thread_assert(pthread_create(&real->cpus[i], NULL, real_cpu_main, cpu) == 0);
	}
}

static inline void real_stop_cpus(struct real *real)
{
	thread_assert(pthread_mutex_lock(&real->mutex) == 0);
	real->stopping = true;
	thread_assert(pthread_cond_broadcast(&real->wake) == 0);
	thread_assert(pthread_mutex_unlock(&real->mutex) == 0);
	for (unsigned i = 0; i < REAL_CPUS; i++)
		thread_assert(pthread_join(real->cpus[i], NULL) == 0);
}

/* ---- struct peal_driver_ops ---- */

static inline uint64_t real_config_read(void *user, uint32_t offset, unsigned size)
{
	return peal_pci_config_read(((struct real *)user)->function, offset, size);
}

static inline void real_config_write(void *user, uint32_t offset, unsigned size, uint64_t value)
{
	peal_pci_config_write(((struct real *)user)->function, offset, size, value);
}

static inline int real_bar_info(void *user, unsigned bar, uint64_t *size, bool *is_io)
{
	struct real *real = (struct real *)user;
	uint64_t bytes = peal_pci_bar_size(real->function, bar);

	if (bytes == 0)
		return -ENOENT;
	*size = bytes;
	*is_io = peal_pci_config_read(real->function, 0x10 + 4 * bar, 4) & 1;
	return 0;
}

static inline uint64_t real_bar_read(void *user, unsigned bar, uint64_t offset, unsigned size)
{
	return peal_pci_bar_read(((struct real *)user)->function, bar, offset, size);
}

static inline void real_bar_write(void *user, unsigned bar, uint64_t offset, unsigned size,
				  uint64_t value)
{
	peal_pci_bar_write(((struct real *)user)->function, bar, offset, size, value);
}

static inline int real_dma_alloc(void *user, size_t size, size_t align, void **cpu,
				 uint64_t *address)
{
	struct real *real = (struct real *)user;
	uint64_t at = peal_round_up(real->dma_next, align);

	if (real->dma_points++ == real->dma_fail_at ||
	    !peal_in_range(at - REAL_RAM_ADDRESS, size, REAL_RAM_SIZE))
		return -ENOSPC;
	real->dma_next = at + size;
	real->dma_live++;
	*address = at;
	*cpu = test_ram_at(&real->ram, at, size);
	memset(*cpu, 0, size);
	return 0;
}

static inline void real_dma_free(void *user, void *cpu, uint64_t address, size_t size)
{
	struct real *real = (struct real *)user;

	thread_assert(cpu == test_ram_at(&real->ram, address, size));
	memset(cpu, 0xdd, size);
	if (--real->dma_live == 0)
		real->dma_next = REAL_RAM_ADDRESS;
}

static inline uint32_t real_find_msix(struct real *real)
{
	uint32_t position = (uint32_t)real_config_read(real, 0x34, 1);

	while (position && real_config_read(real, position, 1) != REAL_CAP_MSIX)
		position = (uint32_t)real_config_read(real, position + 1, 1);
	thread_assert(position);
	return position;
}

static inline int real_irq_alloc(void *user, enum peal_irq_kind kind, unsigned count)
{
	struct real *real = (struct real *)user;
	uint32_t msix = real_find_msix(real);
	unsigned vectors = (unsigned)(real_config_read(real, msix + 2, 2) & 0x7ff) + 1;

	thread_assert(real->irq_allocated == 0 && kind == PEAL_IRQ_MSIX);
	if (count > vectors || count > REAL_VECTORS || count > real->irq_limit)
		return -ENOSPC;
	real_config_write(real, msix + 2, 2, 0x8000);
	real->irq_allocated = count;
	return 0;
}

static inline void real_irq_release(void *user)
{
	struct real *real = (struct real *)user;

	for (unsigned v = 0; v < REAL_VECTORS; v++)
		thread_assert(!real->vectors[v].handler);
	real_config_write(real, real_find_msix(real) + 2, 2, 0);
	real->irq_allocated = 0;
}

static inline void real_write_entry(struct real *real, unsigned vector, bool masked)
{
	uint32_t table = (uint32_t)real_config_read(real, real_find_msix(real) + 4, 4);
	uint64_t entry = (table & ~7u) + 16u * (uint64_t)vector;

	real_bar_write(real, table & 7, entry + 12, 4, 1);
	if (masked)
		return;
	real_bar_write(real, table & 7, entry, 4, (uint32_t)(REAL_DOORBELL + 8 * vector));
	real_bar_write(real, table & 7, entry + 4, 4, 0);
	real_bar_write(real, table & 7, entry + 8, 4, 0xabc00 | vector);
	real_bar_write(real, table & 7, entry + 12, 4, 0);
}

static inline int real_irq_setup(void *user, unsigned v, void (*handler)(void *arg), void *arg,
				 unsigned cpu_hint)
{
	struct real *real = (struct real *)user;
	struct real_vector *vector = &real->vectors[v];

	thread_assert(v < real->irq_allocated);
	thread_assert(pthread_mutex_lock(&vector->mutex) == 0);
	thread_assert(!vector->handler);
	vector->handler = handler;
	vector->arg = arg;
	thread_assert(pthread_mutex_unlock(&vector->mutex) == 0);
	thread_assert(pthread_mutex_lock(&real->mutex) == 0);
	vector->cpu = cpu_hint;
	thread_assert(pthread_mutex_unlock(&real->mutex) == 0);
	real_write_entry(real, v, false);
	return 0;
}

static inline void real_irq_teardown(void *user, unsigned v)
{
	struct real *real = (struct real *)user;
	struct real_vector *vector = &real->vectors[v];

	real_write_entry(real, v, true);
	thread_assert(pthread_mutex_lock(&vector->mutex) == 0);
	thread_assert(vector->handler);
	vector->handler = NULL;
	thread_assert(pthread_mutex_unlock(&vector->mutex) == 0);
}

static inline void real_delay(void *user, unsigned microseconds)
{
	(void)user;
	(void)usleep(microseconds);
}

static const struct peal_driver_ops real_ops = {
	.config_read = real_config_read,
	.config_write = real_config_write,
	.bar_info = real_bar_info,
	.bar_read = real_bar_read,
	.bar_write = real_bar_write,
	.dma_alloc = real_dma_alloc,
	.dma_free = real_dma_free,
	.irq_alloc = real_irq_alloc,
	.irq_release = real_irq_release,
	.irq_setup = real_irq_setup,
	.irq_teardown = real_irq_teardown,
	.delay = real_delay,
};

/* ---- setting up ---- */

/* A system without device. */
static inline void real_init(struct real *real)
{
	struct peal_pci_bus_config config;
	static const struct peal_msi_sink_ops sink = { .deliver = real_deliver };

	memset(real, 0, sizeof(*real));
	test_host_init(&real->th);
	test_ram_init(&real->ram, peal_host_default(), REAL_RAM_ADDRESS, REAL_RAM_SIZE);
	real->dma_next = REAL_RAM_ADDRESS;
	real->dma_fail_at = -1;
	real->irq_limit = REAL_VECTORS;
	assert_int_equal(pthread_mutex_init(&real->mutex, NULL), 0);
	assert_int_equal(pthread_cond_init(&real->wake, NULL), 0);
	for (unsigned v = 0; v < REAL_VECTORS; v++)
		assert_int_equal(pthread_mutex_init(&real->vectors[v].mutex, NULL), 0);
	config = (struct peal_pci_bus_config){
		.host = peal_host_default(),
		.memory = real->ram.space,
		.dma = real->ram.space,
		.sink = { &sink, real },
	};
	assert_int_equal(peal_pci_bus_new(&real->bus, &config), 0);
}

static inline void real_plug(struct real *real, struct peal_pci_function *function)
{
	real->function = function;
	real->requester_id = 3 << 3;
	assert_int_equal(peal_pci_bus_plug(real->bus, 3 << 3, function), 0);
}

/* Nothing is left of a driver, and the device may not master the bus. */
static inline void real_check_clean(struct real *real)
{
	test_host_done(&real->th);
	assert_int_equal(real->dma_live, 0);
	assert_int_equal(real->irq_allocated, 0);
	assert_int_equal(real_config_read(real, 4, 2) & 4, 0);
}

static inline void real_done(struct real *real)
{
	peal_pci_bus_unplug(real->bus, real->function);
	peal_pci_bus_free(real->bus);
	test_ram_done(&real->ram);
	for (unsigned v = 0; v < REAL_VECTORS; v++)
		(void)pthread_mutex_destroy(&real->vectors[v].mutex);
	(void)pthread_cond_destroy(&real->wake);
	(void)pthread_mutex_destroy(&real->mutex);
}

#endif
