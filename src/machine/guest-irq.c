/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's interrupt code: MSI-X vectors of a function as events of the ITS, and the entry that
 * a vCPU takes with each LPI. Event n of the function is its vector n; collection c is CPU c.
 */
#include <stdlib.h>

#include "guest.h"

#define PCI_STATUS            0x06u
#define PCI_CAPABILITIES      0x34u
#define STATUS_CAPABILITIES   0x10u
#define CAP_ID_MSIX           0x11u
#define MSIX_CONTROL          2u
#define MSIX_TABLE            4u
#define CONTROL_SIZE          0x07ffu
#define CONTROL_FUNCTION_MASK 0x4000u
#define CONTROL_ENABLE        0x8000u
#define ENTRY_SIZE            16u
#define ENTRY_MASK            1u
#define TRANSLATER            (PEAL_MACHINE_ITS + PEAL_GIC_FRAME + 0x40)
#define ITT_ENTRY_SIZE        8u

void guest_irq_entry(struct peal_vcpu *vcpu, uint32_t intid, void *user)
{
	struct peal_guest *guest = user;
	struct guest_handler *h;

	(void)vcpu;
	if (intid - PEAL_GIC_FIRST_LPI >= GUEST_LPIS ||
	    !guest->handlers[intid - PEAL_GIC_FIRST_LPI].handler) {
		peal_count(&guest->unhandled, 1);
		return;
	}
	h = &guest->handlers[intid - PEAL_GIC_FIRST_LPI];
	h->handler(h->arg);
	peal_count(&h->handled, 1);
	peal_count(&guest->handled, 1);
}

void guest_find_msix(struct peal_guest_function *f)
{
	struct peal_guest *guest = f->guest;
	uint8_t devfn = f->found->devfn;
	uint32_t at = (uint32_t)guest_config_read(guest, devfn, PCI_CAPABILITIES, 1);
	uint32_t table;

	if (!(guest_config_read(guest, devfn, PCI_STATUS, 2) & STATUS_CAPABILITIES))
		return;
	/* 48 capabilities fill the space: a longer list is a loop. */
	for (unsigned i = 0; i < 48 && at >= 0x40; i++) {
		if (guest_config_read(guest, devfn, at & 0xfc, 1) == CAP_ID_MSIX) {
			f->msix = (uint8_t)(at & 0xfc);
			break;
		}
		at = (uint32_t)guest_config_read(guest, devfn, (at & 0xfc) + 1, 1);
	}
	if (!f->msix)
		return;
	table = (uint32_t)guest_config_read(guest, devfn, f->msix + MSIX_TABLE, 4);
	f->msix_bar = table & 7;
	f->msix_table = table & ~7u;
	f->table_size = (unsigned)(guest_config_read(guest, devfn, f->msix + MSIX_CONTROL, 2) &
				   CONTROL_SIZE) +
			1;
	if (f->msix_bar >= PEAL_PCI_BARS ||
	    !peal_in_range(f->msix_table, f->table_size * ENTRY_SIZE,
			   f->found->bars[f->msix_bar].size))
		f->msix = 0;
}

static void write_control(struct peal_guest_function *f, uint32_t bits)
{
	guest_config_write(f->guest, f->found->devfn, f->msix + MSIX_CONTROL, 2, bits);
}

static void write_entry(struct peal_guest_function *f, unsigned vector, unsigned dword,
			uint32_t value)
{
	guest_bar_store(f, f->msix_bar, f->msix_table + vector * ENTRY_SIZE + 4 * dword, 4, value);
}

static unsigned event_bits(unsigned count)
{
	unsigned bits = 1;

	while (1u << bits < count)
		bits++;
	return bits;
}

static int map_device(struct peal_guest_function *f, unsigned count)
{
	struct peal_guest *guest = f->guest;
	unsigned bits = event_bits(count);
	int r;

	f->itt_size = (uint64_t)ITT_ENTRY_SIZE << bits;
	r = guest_allocate(guest, f->itt_size, 256, &f->itt);
	if (r < 0)
		return r;
	guest_its_command(guest, ITS_MAPD(f->found->devfn), bits - 1, ITS_COMMAND_VALID | f->itt);
	r = guest_its_sync(guest);
	if (r < 0)
		guest_free_memory(guest, f->itt, f->itt_size);
	return r;
}

int guest_irq_alloc(void *user, enum peal_irq_kind kind, unsigned count)
{
	struct peal_guest_function *f = user;
	struct guest_vector *vectors;
	int r;

	PEAL_ASSERT(f->nvectors == 0);
	if (kind != PEAL_IRQ_MSIX || !f->msix || count < 1 || count > f->table_size)
		return -ENOSPC;
	vectors = calloc(count, sizeof(*vectors));
	if (!vectors)
		return -ENOMEM;
	(void)pthread_mutex_lock(&f->guest->lock);
	r = map_device(f, count);
	(void)pthread_mutex_unlock(&f->guest->lock);
	if (r < 0) {
		free(vectors);
		return r;
	}
	free(f->vectors);
	f->vectors = vectors;
	f->nvectors = count;
	f->nshown = count;
	/* All entries are masked after reset. */
	write_control(f, CONTROL_ENABLE | (f->guest->mistake == PEAL_GUEST_FUNCTION_MASKED
						   ? CONTROL_FUNCTION_MASK
						   : 0));
	return 0;
}

void guest_irq_release(void *user)
{
	struct peal_guest_function *f = user;

	PEAL_ASSERT(f->nvectors > 0);
	write_control(f, 0);
	(void)pthread_mutex_lock(&f->guest->lock);
	guest_its_command(f->guest, ITS_MAPD(f->found->devfn), 0, 0);
	(void)guest_its_sync(f->guest);
	guest_free_memory(f->guest, f->itt, f->itt_size);
	(void)pthread_mutex_unlock(&f->guest->lock);
	f->nvectors = 0;
}

/* Under the lock. 0: none left. */
static uint32_t take_lpi(struct peal_guest *guest)
{
	for (unsigned i = 0; i < GUEST_LPIS; i++) {
		if (!guest->lpi_used[i]) {
			guest->lpi_used[i] = 1;
			return PEAL_GIC_FIRST_LPI + i;
		}
	}
	return 0;
}

int guest_irq_setup(void *user, unsigned vector, void (*handler)(void *arg), void *arg,
		    unsigned cpu_hint)
{
	struct peal_guest_function *f = user;
	struct peal_guest *guest = f->guest;
	unsigned cpu = cpu_hint % peal_machine_vcpus(guest->machine);
	uint64_t address = TRANSLATER;
	uint32_t data = vector, lpi;
	int r;

	PEAL_ASSERT(vector < f->nvectors && !f->vectors[vector].live);
	(void)pthread_mutex_lock(&guest->lock);
	lpi = take_lpi(guest);
	if (!lpi) {
		(void)pthread_mutex_unlock(&guest->lock);
		return -ENOSPC;
	}
	guest->handlers[lpi - PEAL_GIC_FIRST_LPI] = (struct guest_handler){ handler, arg, 0 };
	guest_lpi_configure(guest, lpi, GUEST_PRIORITY | 1);
	guest_its_command(guest, ITS_MAPTI(f->found->devfn), vector | (uint64_t)lpi << 32, cpu);
	/* A redistributor may have the configuration of the LPI's last use in its cache. */
	guest_its_command(guest, ITS_INV(f->found->devfn), vector, 0);
	guest_its_command(guest, ITS_SYNC, 0, (uint64_t)cpu << 16);
	r = guest_its_sync(guest);
	(void)pthread_mutex_unlock(&guest->lock);
	f->vectors[vector] = (struct guest_vector){ lpi, vector, cpu, true };
	if (r < 0) {
		guest_irq_teardown(f, vector);
		return r;
	}
	if (guest->mistake == PEAL_GUEST_WRONG_ADDRESS)
		address = PEAL_MACHINE_REDISTS + 0x40;
	if (guest->mistake == PEAL_GUEST_WRONG_FRAME)
		address = TRANSLATER + 4;
	if (guest->mistake == PEAL_GUEST_WRONG_EVENT)
		data = 1u << event_bits(f->nvectors);
	write_entry(f, vector, 0, (uint32_t)address);
	write_entry(f, vector, 1, (uint32_t)(address >> 32));
	write_entry(f, vector, 2, data);
	if (guest->mistake != PEAL_GUEST_NEVER_UNMASKED)
		write_entry(f, vector, 3, 0);
	return 0;
}

void guest_irq_teardown(void *user, unsigned vector)
{
	struct peal_guest_function *f = user;
	struct peal_guest *guest = f->guest;
	struct guest_vector *v = &f->vectors[vector];

	PEAL_ASSERT(vector < f->nvectors && v->live);
	write_entry(f, vector, 3, ENTRY_MASK);
	(void)pthread_mutex_lock(&guest->lock);
	guest_its_command(guest, ITS_DISCARD(f->found->devfn), v->event, 0);
	guest_its_command(guest, ITS_SYNC, 0, (uint64_t)v->vcpu << 16);
	(void)guest_its_sync(guest);
	guest_lpi_configure(guest, v->lpi, GUEST_PRIORITY);
	(void)pthread_mutex_unlock(&guest->lock);
	/* The LPI is not pending any more; a handler that has begun may still run. */
	peal_machine_wait_for_handlers(guest->machine);
	(void)pthread_mutex_lock(&guest->lock);
	guest->handlers[v->lpi - PEAL_GIC_FIRST_LPI].handler = NULL;
	guest->lpi_used[v->lpi - PEAL_GIC_FIRST_LPI] = 0;
	v->live = false;
	(void)pthread_mutex_unlock(&guest->lock);
}

bool peal_guest_vector(const struct peal_guest_function *function, unsigned index,
		       struct peal_guest_vector *ret)
{
	const struct guest_vector *v;

	if (index >= function->nshown)
		return false;
	v = &function->vectors[index];
	*ret = (struct peal_guest_vector){
		.vector = index,
		.event = v->event,
		.lpi = v->lpi,
		.vcpu = v->vcpu,
	};
	if (v->lpi)
		ret->handled = peal_counted(
			&function->guest->handlers[v->lpi - PEAL_GIC_FIRST_LPI].handled);
	return true;
}
