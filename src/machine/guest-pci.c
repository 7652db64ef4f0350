/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's PCI code: finds functions through ECAM, sizes and places their BARs, and is the
 * system that a driver runs on (struct peal_driver_ops). PCI Local Bus 3.0 §6.2.5.1.
 */
#include <stdlib.h>
#include <time.h>

#include "guest.h"

#define PCI_ID          0x00u
#define PCI_COMMAND     0x04u
#define PCI_HEADER_TYPE 0x0eu
#define PCI_BAR         0x10u
#define COMMAND_MEMORY  0x2u
#define COMMAND_MASTER  0x4u
#define BAR_IO          0x1u
#define BAR_WIDE        0x4u

uint64_t guest_config_read(struct peal_guest *guest, uint8_t devfn, uint32_t offset, unsigned size)
{
	return peal_machine_load(guest->machine,
				 PEAL_MACHINE_ECAM + ((uint64_t)devfn << 12) + offset, size);
}

void guest_config_write(struct peal_guest *guest, uint8_t devfn, uint32_t offset, unsigned size,
			uint64_t value)
{
	peal_machine_store(guest->machine, PEAL_MACHINE_ECAM + ((uint64_t)devfn << 12) + offset,
			   size, value);
}

/* ---- enumeration ---- */

/* Writes all ones, reads what sticks; BAR INDEX and, when it is wide, the one after it. */
static void size_bar(struct peal_guest *guest, struct guest_found *found, unsigned index)
{
	uint32_t at = PCI_BAR + 4 * index;
	struct guest_bar *bar = &found->bars[index];
	uint64_t bits;

	guest_config_write(guest, found->devfn, at, 4, 0xffffffff);
	bits = guest_config_read(guest, found->devfn, at, 4);
	if (!bits)
		return;
	bar->is_io = bits & BAR_IO;
	bar->is_wide = !bar->is_io && bits & BAR_WIDE && index + 1 < PEAL_PCI_BARS;
	bits &= bar->is_io ? ~UINT64_C(3) : ~UINT64_C(0xf);
	if (bar->is_wide) {
		guest_config_write(guest, found->devfn, at + 4, 4, 0xffffffff);
		bits |= guest_config_read(guest, found->devfn, at + 4, 4) << 32;
	} else {
		bits |= UINT64_C(0xffffffff00000000);
	}
	bar->size = ~bits + 1;
}

static bool place_bar(struct peal_guest *guest, struct guest_found *found, unsigned index)
{
	struct guest_bar *bar = &found->bars[index];
	uint64_t *next = bar->is_wide ? &guest->next64 : &guest->next32;
	uint64_t end = bar->is_wide ? PEAL_MACHINE_WINDOW64 << 1 : PEAL_MACHINE_ECAM;
	uint64_t at = peal_round_up(*next, bar->size);

	if (bar->is_io) /* this machine has no I/O space */
		return true;
	if (at < *next || at > end || bar->size > end - at)
		return false;
	bar->address = at;
	*next = at + bar->size;
	guest_config_write(guest, found->devfn, PCI_BAR + 4 * index, 4, at & 0xffffffff);
	if (bar->is_wide)
		guest_config_write(guest, found->devfn, PCI_BAR + 4 * index + 4, 4, at >> 32);
	return true;
}

static void add_function(struct peal_guest *guest, uint8_t devfn)
{
	struct guest_found *found = &guest->found[guest->nfound++];
	uint32_t id = (uint32_t)guest_config_read(guest, devfn, PCI_ID, 4);

	found->devfn = devfn;
	found->vendor = (uint16_t)id;
	found->device = (uint16_t)(id >> 16);
	found->placed = true;
	guest_config_write(guest, devfn, PCI_COMMAND, 2, 0);
	for (unsigned i = 0; i < PEAL_PCI_BARS; i += found->bars[i].is_wide ? 2 : 1)
		size_bar(guest, found, i);
	for (unsigned i = 0; i < PEAL_PCI_BARS; i++) {
		if (found->bars[i].size && !place_bar(guest, found, i))
			found->placed = false;
	}
}

void guest_scan(struct peal_guest *guest)
{
	for (unsigned device = 0; device < 32; device++) {
		unsigned functions = 1;

		for (unsigned function = 0; function < functions; function++) {
			uint8_t devfn = (uint8_t)(device << 3 | function);

			if ((guest_config_read(guest, devfn, PCI_ID, 2)) == 0xffff)
				continue;
			add_function(guest, devfn);
			if (function == 0 &&
			    guest_config_read(guest, devfn, PCI_HEADER_TYPE, 1) & 0x80)
				functions = 8;
		}
	}
}

int peal_guest_find(struct peal_guest_function **ret, struct peal_guest *guest, uint16_t vendor,
		    uint16_t device)
{
	for (unsigned i = 0; i < guest->nfound; i++) {
		struct guest_found *found = &guest->found[i];
		struct peal_guest_function *f;

		if (found->vendor != vendor || found->device != device)
			continue;
		if (!found->placed)
			return -ENOSPC;
		f = calloc(1, sizeof(*f));
		if (!f)
			return -ENOMEM;
		f->guest = guest;
		f->found = found;
		guest_config_write(guest, found->devfn, PCI_COMMAND, 2, COMMAND_MEMORY);
		guest_find_msix(f);
		*ret = f;
		return 0;
	}
	return -ENODEV;
}

void peal_guest_function_free(struct peal_guest_function *function)
{
	if (!function)
		return;
	PEAL_ASSERT(function->nvectors == 0);
	guest_config_write(function->guest, function->found->devfn, PCI_COMMAND, 2, 0);
	free(function->vectors);
	free(function);
}

void peal_guest_make_late_mistake(struct peal_guest_function *function)
{
	uint8_t devfn = function->found->devfn;

	if (function->guest->mistake != PEAL_GUEST_NO_BUS_MASTER)
		return;
	guest_config_write(function->guest, devfn, PCI_COMMAND, 2,
			   guest_config_read(function->guest, devfn, PCI_COMMAND, 2) &
				   ~(uint64_t)COMMAND_MASTER);
}

/* ---- what a driver needs ---- */

static uint64_t config_read(void *user, uint32_t offset, unsigned size)
{
	struct peal_guest_function *f = user;

	return guest_config_read(f->guest, f->found->devfn, offset, size);
}

static void config_write(void *user, uint32_t offset, unsigned size, uint64_t value)
{
	struct peal_guest_function *f = user;

	guest_config_write(f->guest, f->found->devfn, offset, size, value);
}

static int bar_info(void *user, unsigned bar, uint64_t *size, bool *is_io)
{
	const struct peal_guest_function *f = user;

	if (bar >= PEAL_PCI_BARS || !f->found->bars[bar].size)
		return -ENOENT;
	*size = f->found->bars[bar].size;
	*is_io = f->found->bars[bar].is_io;
	return 0;
}

uint64_t guest_bar_load(struct peal_guest_function *f, unsigned bar, uint64_t offset, unsigned size)
{
	return peal_machine_load(f->guest->machine, f->found->bars[bar].address + offset, size);
}

void guest_bar_store(struct peal_guest_function *f, unsigned bar, uint64_t offset, unsigned size,
		     uint64_t value)
{
	peal_machine_store(f->guest->machine, f->found->bars[bar].address + offset, size, value);
}

static uint64_t bar_read(void *user, unsigned bar, uint64_t offset, unsigned size)
{
	return guest_bar_load(user, bar, offset, size);
}

static void bar_write(void *user, unsigned bar, uint64_t offset, unsigned size, uint64_t value)
{
	guest_bar_store(user, bar, offset, size, value);
}

static int dma_alloc(void *user, size_t size, size_t align, void **cpu, uint64_t *address)
{
	const struct peal_guest_function *f = user;

	return peal_guest_alloc(f->guest, size, align, cpu, address);
}

static void dma_free(void *user, void *cpu, uint64_t address, size_t size)
{
	const struct peal_guest_function *f = user;

	(void)cpu;
	peal_guest_release(f->guest, address, size);
}

static void delay(void *user, unsigned microseconds)
{
	const struct timespec t = {
		.tv_sec = microseconds / 1000000,
		.tv_nsec = (long)(microseconds % 1000000) * 1000,
	};

	(void)user;
	(void)nanosleep(&t, NULL);
}

const struct peal_driver_ops *peal_guest_driver_ops(void)
{
	static const struct peal_driver_ops ops = {
		.config_read = config_read,
		.config_write = config_write,
		.bar_info = bar_info,
		.bar_read = bar_read,
		.bar_write = bar_write,
		.dma_alloc = dma_alloc,
		.dma_free = dma_free,
		.irq_alloc = guest_irq_alloc,
		.irq_release = guest_irq_release,
		.irq_setup = guest_irq_setup,
		.irq_teardown = guest_irq_teardown,
		.delay = delay,
	};

	return &ops;
}
