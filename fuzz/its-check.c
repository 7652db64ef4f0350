/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>

#include "its.h"

_Noreturn void fuzz_failed(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
	abort();
}

/* ---- the host ---- */

static void *host_alloc(void *user, size_t size)
{
	const struct peal_host *host = peal_host_default();
	struct fuzz *z = user;
	void *memory = host->alloc(host->user, size);

	z->allocated += memory ? size : 0;
	return memory;
}

static void host_free(void *user, void *pointer, size_t size)
{
	const struct peal_host *host = peal_host_default();
	struct fuzz *z = user;

	FUZZ_ASSERT(size <= z->allocated);
	z->allocated -= size;
	host->free(host->user, pointer, size);
}

/* ---- what the VM is told ---- */

static void on_kick(void *user, unsigned redist)
{
	FUZZ_ASSERT(redist < REDISTS);
	((struct fuzz *)user)->kicked[redist] = true;
}

static void on_error(void *user, const struct peal_its_error *error)
{
	struct fuzz_its *i = user;

	FUZZ_ASSERT(error->error >> 16 == 1 && error->offset % 32 == 0 && error->offset < 1 << 20);
	i->errors++;
	i->unreadable += error->error == 0x0100fe;
}

static void on_trace(void *user, const struct peal_its_trace *trace)
{
	struct fuzz_its *i = user;

	if (trace->kind == PEAL_ITS_TRACE_COMMAND)
		i->commands++;
	else
		i->messages++;
}

/* ---- the VM ---- */

void fuzz_init(struct fuzz *z, uint32_t shape)
{
	static const struct peal_redist_config redists[REDISTS] = { { 5, 0 },
								    { 0, 1 },
								    { 300, 2 } };
	struct peal_space_config space = { .host = peal_host_default() };
	struct peal_gic_config gic = {
		.id_bits = ID_BITS,
		.direct_lpi = shape & 1,
		.nredists = REDISTS,
		.redists = redists,
		.kick = on_kick,
		.user = z,
	};
	struct peal_its_config its = {
		.device_bits = 1 + (shape >> 8) % 32,
		.event_bits = 1 + (shape >> 16) % 24,
		.icid_bits = 1 + (shape >> 24) % 16,
		.stall_on_fault = shape & 2,
		.memory_limit = MEMORY_LIMIT,
		.error = on_error,
		.trace = on_trace,
	};
	int r = peal_space_new(&z->space, &space);

	FUZZ_ASSERT(r == 0);
	r = peal_space_map(z->space, RAM, RAM_SIZE, z->ram, PEAL_MEM_RW);
	FUZZ_ASSERT(r == 0);
	z->host = *peal_host_default();
	z->host.alloc = host_alloc;
	z->host.free = host_free;
	z->host.user = z;
	gic.host = &z->host;
	gic.memory = z->space;
	r = peal_gic_new(&z->gic, &gic);
	FUZZ_ASSERT(r == 0);
	for (unsigned n = 0; n < ITSES; n++) {
		its.gic = z->gic;
		its.user = &z->its[n];
		r = peal_its_new(&z->its[n].its, &its);
		FUZZ_ASSERT(r == 0);
	}
	z->constant = z->allocated;
}

void fuzz_done(struct fuzz *z)
{
	for (unsigned n = 0; n < ITSES; n++)
		peal_its_free(z->its[n].its);
	peal_gic_free(z->gic);
	FUZZ_ASSERT(z->allocated == 0);
	peal_space_free(z->space);
}

void fuzz_boot_redists(struct fuzz *z)
{
	for (unsigned n = 0; n < REDISTS; n++) {
		peal_redist_write(z->gic, n, 0x70, 8, CONFIG | (ID_BITS - 1));
		peal_redist_write(z->gic, n, 0x78, 8, PENDING(n));
		peal_redist_write(z->gic, n, 0x00, 4, 1);
	}
}

void fuzz_boot_its(struct fuzz *z, unsigned n)
{
	struct peal_its *its = z->its[n].its;

	peal_its_write(its, 0x00, 4, 0);
	peal_its_write(its, 0x100, 8, VALID | DEVICES(n) | 3);
	peal_its_write(its, 0x108, 8, VALID | ICIDS(n) | 3);
	peal_its_write(its, 0x80, 8, VALID | QUEUE(n) | 1);
	peal_its_write(its, 0x00, 4, 1);
}

void fuzz_command(struct fuzz *z, unsigned n, const uint64_t dw[4])
{
	struct peal_its *its = z->its[n].its;
	uint64_t cbaser = peal_its_read(its, 0x80, 8);
	uint64_t at = peal_its_read(its, 0x88, 8) & PEAL_MASK(19, 5);
	uint64_t address = (cbaser & PEAL_MASK(51, 12)) + at - RAM;
	uint64_t size = ((cbaser & 0xff) + 1) * 4096;

	for (unsigned i = 0; i < 4 && peal_in_range(address, 32, RAM_SIZE); i++)
		peal_store_le(z->ram + address + 8 * (uint64_t)i, 8, dw[i]);
	peal_its_write(its, 0x88, 8, at + 32 < size ? at + 32 : 0);
}

void fuzz_send(struct fuzz *z, unsigned n, uint32_t device, uint32_t event)
{
	struct fuzz_its *i = &z->its[n];
	struct peal_its_translation to;
	int expected = peal_its_translate(i->its, device, event, &to);
	int r = peal_its_send(i->its, device, event);

	FUZZ_ASSERT(r == expected);
	i->delivered += r == 1;
	i->blocked += r == 0;
	i->busy += r == -EBUSY;
	FUZZ_ASSERT(r == 1 || r == 0 || r == -EBUSY);
	if (r != 1)
		return;
	FUZZ_ASSERT(to.redist < REDISTS && to.intid >= 8192 && to.intid < ID_COUNT);
	FUZZ_ASSERT(peal_gic_is_pending(z->gic, to.redist, to.intid));
}

/* ---- what has to hold ---- */

static void check_redist(struct fuzz *z, unsigned n)
{
	bool on = peal_redist_read(z->gic, n, 0x00, 4) & 1;
	uint8_t priority = 0;
	uint32_t intid = peal_gic_highest_pending(z->gic, n, 0xff, &priority);

	if (intid == PEAL_GIC_SPURIOUS) {
		z->kicked[n] = false;
		return;
	}
	FUZZ_ASSERT(on && z->kicked[n]);
	FUZZ_ASSERT(intid >= 8192 && intid < ID_COUNT);
	FUZZ_ASSERT(peal_gic_is_pending(z->gic, n, intid));
	FUZZ_ASSERT((priority & 3) == 0);
	FUZZ_ASSERT(peal_gic_highest_pending(z->gic, n, priority, NULL) == PEAL_GIC_SPURIOUS);
	FUZZ_ASSERT(peal_gic_highest_pending(z->gic, n, priority + 1, NULL) == intid);
}

static uint64_t check_its(struct fuzz *z, unsigned n)
{
	struct fuzz_its *i = &z->its[n];
	struct peal_its_counters c;

	peal_its_counters(i->its, &c);
	FUZZ_ASSERT(c.sends == i->messages);
	FUZZ_ASSERT(c.translated == i->delivered && c.disabled == i->busy);
	FUZZ_ASSERT(c.unmapped + c.no_collection == i->blocked);
	FUZZ_ASSERT(c.sends == c.translated + c.unmapped + c.no_collection + c.disabled);
	FUZZ_ASSERT(c.errors == i->errors && c.commands + i->unreadable == i->commands);
	FUZZ_ASSERT(c.memory <= MEMORY_LIMIT);
	FUZZ_ASSERT(c.events == 0 || c.devices > 0);
	FUZZ_ASSERT(c.devices == 0 || c.memory > 0);
	if (peal_its_read(i->its, 0x00, 4) & 1)
		FUZZ_ASSERT(peal_its_read(i->its, 0x80, 8) & VALID);
	FUZZ_ASSERT((peal_its_read(i->its, 0x90, 8) & PEAL_MASK(19, 5)) <
		    ((peal_its_read(i->its, 0x80, 8) & 0xff) + 1) * 4096);
	return c.memory;
}

void fuzz_check(struct fuzz *z)
{
	uint64_t memory = 0;

	for (unsigned n = 0; n < REDISTS; n++)
		check_redist(z, n);
	for (unsigned n = 0; n < ITSES; n++)
		memory += check_its(z, n);
	FUZZ_ASSERT(z->allocated == z->constant + memory);
}

void fuzz_drain(struct fuzz *z)
{
	for (unsigned n = 0; n < REDISTS; n++) {
		struct peal_redist_counters before, after;
		uint32_t last = 0, intid;
		uint64_t taken = 0;
		uint8_t priority;

		peal_redist_counters(z->gic, n, &before);
		while ((intid = peal_gic_acknowledge(z->gic, n, 0xff, &priority)) !=
		       PEAL_GIC_SPURIOUS) {
			uint32_t order = (uint32_t)priority << 24 | intid;

			FUZZ_ASSERT(order > last);
			FUZZ_ASSERT(!peal_gic_is_pending(z->gic, n, intid));
			last = order;
			taken++;
		}
		peal_redist_counters(z->gic, n, &after);
		FUZZ_ASSERT(after.acknowledged - before.acknowledged == taken);
	}
}
