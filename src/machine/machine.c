/* SPDX-License-Identifier: BSD-2-Clause */
/* The hardware of a machine: memory, register frames, bus, interrupt controller, threads. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/clock-posix.h"
#include "base/thread-posix.h"
#include "machine.h"

#define RAM_GRANULE   UINT64_C(0x10000)
#define RAM_MAX       (PEAL_MACHINE_WINDOW64 - PEAL_MACHINE_RAM)
#define WINDOW64_SIZE (UINT64_C(1) << 39)

/* ---- register frames ---- */

/* A frame takes accesses of 1, 2, 4, 8 bytes; a copy comes as such. */
static size_t piece_of(size_t size)
{
	return size >= 8 ? 8 : size >= 4 ? 4 : size >= 2 ? 2 : 1;
}

static int its_read(void *user, uint64_t offset, void *bytes, size_t size)
{
	for (size_t piece; size; size -= piece, offset += piece) {
		piece = piece_of(size);
		peal_store_le(bytes, piece, peal_its_read(user, offset, (unsigned)piece));
		bytes = (uint8_t *)bytes + piece;
	}
	return 0;
}

static int its_write(void *user, uint64_t offset, const void *bytes, size_t size)
{
	for (size_t piece; size; size -= piece, offset += piece) {
		piece = piece_of(size);
		peal_its_write(user, offset, (unsigned)piece, peal_load_le(bytes, piece));
		bytes = (const uint8_t *)bytes + piece;
	}
	return 0;
}

static const struct peal_mem_ops its_ops = { .read = its_read, .write = its_write };

static int redist_read(void *user, uint64_t offset, void *bytes, size_t size)
{
	const struct machine_redist *r = user;

	for (size_t piece; size; size -= piece, offset += piece) {
		piece = piece_of(size);
		peal_store_le(bytes, piece,
			      peal_redist_read(r->gic, r->index, offset, (unsigned)piece));
		bytes = (uint8_t *)bytes + piece;
	}
	return 0;
}

static int redist_write(void *user, uint64_t offset, const void *bytes, size_t size)
{
	const struct machine_redist *r = user;

	for (size_t piece; size; size -= piece, offset += piece) {
		piece = piece_of(size);
		peal_redist_write(r->gic, r->index, offset, (unsigned)piece,
				  peal_load_le(bytes, piece));
		bytes = (const uint8_t *)bytes + piece;
	}
	return 0;
}

static const struct peal_mem_ops redist_ops = { .read = redist_read, .write = redist_write };

uint64_t peal_machine_load(struct peal_machine *machine, uint64_t address, unsigned size)
{
	uint8_t bytes[8];

	PEAL_ASSERT(size >= 1 && size <= 8);
	if (peal_space_read(machine->space, address, bytes, size) < 0)
		return peal_ones(size);
	return peal_load_le(bytes, size);
}

void peal_machine_store(struct peal_machine *machine, uint64_t address, unsigned size,
			uint64_t value)
{
	uint8_t bytes[8];

	PEAL_ASSERT(size >= 1 && size <= 8);
	peal_store_le(bytes, size, value);
	(void)peal_space_write(machine->space, address, bytes, size);
}

/* ---- making ---- */

static void kick(void *user, unsigned redist)
{
	struct peal_machine *machine = user;

	peal_vcpu_kick(&machine->vcpus[redist]);
}

static int make_gic(struct peal_machine *machine)
{
	unsigned n = machine->config.vcpus;
	struct peal_gic_config gic = {
		.host = machine->host,
		.memory = machine->space,
		.nredists = n,
		.kick = kick,
		.user = machine,
	};
	struct peal_its_config its = { 0 };
	struct peal_redist_config *redists = calloc(n, sizeof(*redists));
	int r;

	if (!redists)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		redists[i].processor_number = (uint16_t)i;
		/* Affinity as on real machines: 16 CPUs a cluster. */
		redists[i].affinity = (i / 16) << 8 | i % 16;
	}
	gic.redists = redists;
	r = peal_gic_new(&machine->gic, &gic);
	free(redists);
	if (r < 0)
		return r;
	its.gic = machine->gic;
	its.trace = machine->config.its_trace;
	its.user = machine->config.its_user;
	r = peal_its_new(&machine->its, &its);
	if (r < 0)
		return r;
	r = peal_space_map_ops(machine->space, PEAL_MACHINE_ITS, 2 * PEAL_GIC_FRAME, &its_ops,
			       machine->its);
	for (unsigned i = 0; r == 0 && i < n; i++) {
		machine->redists[i] = (struct machine_redist){ machine->gic, i };
		r = peal_space_map_ops(machine->space,
				       PEAL_MACHINE_REDISTS + i * PEAL_GIC_REDIST_SIZE,
				       PEAL_GIC_REDIST_SIZE, &redist_ops, &machine->redists[i]);
	}
	return r;
}

static int make_bus(struct peal_machine *machine)
{
	struct peal_pci_bus_config bus = {
		.host = machine->host,
		.memory = machine->space,
		.dma = machine->space,
		.sink = peal_router_sink(&machine->router),
		.window32_address = PEAL_MACHINE_WINDOW32,
		.window32_size = PEAL_MACHINE_ECAM - PEAL_MACHINE_WINDOW32,
		.window64_address = PEAL_MACHINE_WINDOW64,
		.window64_size = WINDOW64_SIZE,
	};
	int r;

	peal_router_init(&machine->router);
	machine->its_sink.its = machine->its;
	machine->its_sink.address = PEAL_MACHINE_ITS + PEAL_GIC_FRAME;
	r = peal_router_add(&machine->router, machine->its_sink.address, PEAL_GIC_FRAME,
			    peal_its_sink(&machine->its_sink));
	if (r < 0)
		return r;
	r = peal_pci_bus_new(&machine->bus, &bus);
	if (r < 0)
		return r;
	return peal_space_map_ops(machine->space, PEAL_MACHINE_ECAM, PEAL_PCI_ECAM_SIZE,
				  peal_pci_bus_ecam(), machine->bus);
}

static int make_memory(struct peal_machine *machine)
{
	struct peal_space_config space = { .host = machine->host };
	uint64_t size = machine->config.ram_size;
	int r = peal_space_new(&machine->space, &space);

	if (r < 0)
		return r;
	machine->ram = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (machine->ram == MAP_FAILED) {
		machine->ram = NULL;
		return -ENOMEM;
	}
	return peal_space_map(machine->space, PEAL_MACHINE_RAM, size, machine->ram, PEAL_MEM_RW);
}

static void make_vcpus(struct peal_machine *machine)
{
	for (unsigned i = 0; i < machine->config.vcpus; i++) {
		machine->vcpus[i].machine = machine;
		machine->vcpus[i].index = i;
	}
}

int peal_machine_new(struct peal_machine **ret, const struct peal_machine_config *config)
{
	const struct peal_host *host = config->host ? config->host : peal_host_default();
	struct peal_machine *machine;
	int r;

	if (config->vcpus < 1 || config->vcpus > PEAL_MACHINE_VCPUS_MAX || !config->ram_size ||
	    config->ram_size % RAM_GRANULE || config->ram_size > RAM_MAX)
		return -EINVAL;
	machine = peal_alloc(host, sizeof(*machine));
	if (!machine)
		return -ENOMEM;
	machine->host = host;
	machine->config = *config;
	(void)pthread_mutex_init(&machine->lock, NULL);
	(void)peal_clock_cond_init(&machine->changed);
	machine->vcpus = peal_alloc(host, config->vcpus * sizeof(*machine->vcpus));
	machine->redists = peal_alloc(host, config->vcpus * sizeof(*machine->redists));
	if (!machine->vcpus || !machine->redists)
		r = -ENOMEM;
	else
		r = make_memory(machine);
	if (r == 0) {
		make_vcpus(machine);
		r = make_gic(machine);
	}
	if (r == 0)
		r = make_bus(machine);
	if (r < 0) {
		peal_machine_free(machine);
		return r;
	}
	*ret = machine;
	return 0;
}

void peal_machine_free(struct peal_machine *machine)
{
	if (!machine)
		return;
	PEAL_ASSERT(machine->started == 0);
	peal_pci_bus_free(machine->bus);
	peal_its_free(machine->its);
	peal_gic_free(machine->gic);
	peal_space_free(machine->space);
	if (machine->ram)
		(void)munmap(machine->ram, machine->config.ram_size);
	peal_free(machine->host, machine->redists,
		  machine->config.vcpus * sizeof(*machine->redists));
	peal_free(machine->host, machine->vcpus, machine->config.vcpus * sizeof(*machine->vcpus));
	(void)pthread_cond_destroy(&machine->changed);
	(void)pthread_mutex_destroy(&machine->lock);
	peal_free(machine->host, machine, sizeof(*machine));
}

/* ---- running ---- */

static void join_all(struct peal_machine *machine)
{
	__atomic_store_n(&machine->stopping, 1, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < machine->started; i++)
		peal_vcpu_kick(&machine->vcpus[i]);
	for (unsigned i = 0; i < machine->started; i++)
		(void)pthread_join(machine->vcpus[i].thread, NULL);
	machine->started = 0;
}

int peal_machine_start(struct peal_machine *machine,
		       void (*main)(struct peal_vcpu *vcpu, void *user), void *user)
{
	PEAL_ASSERT(machine->started == 0);
	machine->main = main;
	machine->main_user = user;
	machine->main_done = false;
	__atomic_store_n(&machine->stopping, 0, __ATOMIC_SEQ_CST);
	/* vCPU 0 last: nothing has run when a thread cannot be made. */
	for (unsigned i = machine->config.vcpus; i-- > 0;) {
		struct peal_vcpu *vcpu = &machine->vcpus[i];
		int r = peal_thread_create(&vcpu->thread, NULL, vcpu_thread, vcpu);

		if (r < 0) {
			__atomic_store_n(&machine->stopping, 1, __ATOMIC_SEQ_CST);
			for (unsigned j = i + 1; j < machine->config.vcpus; j++) {
				peal_vcpu_kick(&machine->vcpus[j]);
				(void)pthread_join(machine->vcpus[j].thread, NULL);
			}
			return r;
		}
	}
	machine->started = machine->config.vcpus;
	return 0;
}

bool peal_machine_wait(struct peal_machine *machine, unsigned timeout_ms)
{
	const struct timespec until =
		peal_clock_timespec(peal_clock_ns() + timeout_ms * PEAL_NS_PER_MS);
	bool done;

	(void)pthread_mutex_lock(&machine->lock);
	while (!machine->main_done &&
	       pthread_cond_timedwait(&machine->changed, &machine->lock, &until) == 0)
		;
	done = machine->main_done;
	(void)pthread_mutex_unlock(&machine->lock);
	return done;
}

void peal_machine_stop(struct peal_machine *machine)
{
	join_all(machine);
}

void peal_machine_set_irq_entry(struct peal_machine *machine,
				void (*entry)(struct peal_vcpu *vcpu, uint32_t intid, void *user),
				void *user)
{
	machine->irq_user = user;
	machine->irq_entry = entry;
}

void peal_machine_wait_for_handlers(struct peal_machine *machine)
{
	for (unsigned i = 0; i < machine->config.vcpus; i++) {
		struct peal_vcpu *vcpu = &machine->vcpus[i];
		uint32_t at = __atomic_load_n(&vcpu->irq_sequence, __ATOMIC_SEQ_CST);

		while (at % 2 && __atomic_load_n(&vcpu->irq_sequence, __ATOMIC_SEQ_CST) == at)
			machine->host->relax(machine->host->user);
	}
}

/* ---- parts ---- */

struct peal_pci_bus *peal_machine_bus(struct peal_machine *machine)
{
	return machine->bus;
}

struct peal_gic *peal_machine_gic(struct peal_machine *machine)
{
	return machine->gic;
}

struct peal_its *peal_machine_its(struct peal_machine *machine)
{
	return machine->its;
}

struct peal_space *peal_machine_space(struct peal_machine *machine)
{
	return machine->space;
}

const struct peal_router *peal_machine_router(const struct peal_machine *machine)
{
	return &machine->router;
}

struct peal_vcpu *peal_machine_vcpu(struct peal_machine *machine, unsigned index)
{
	PEAL_ASSERT(index < machine->config.vcpus);
	return &machine->vcpus[index];
}

unsigned peal_machine_vcpus(const struct peal_machine *machine)
{
	return machine->config.vcpus;
}

uint64_t peal_machine_ram_size(const struct peal_machine *machine)
{
	return machine->config.ram_size;
}

void *peal_machine_ram(struct peal_machine *machine, uint64_t address, uint64_t size)
{
	PEAL_ASSERT(address >= PEAL_MACHINE_RAM &&
		    peal_in_range(address - PEAL_MACHINE_RAM, size, machine->config.ram_size));
	return (uint8_t *)machine->ram + (address - PEAL_MACHINE_RAM);
}
