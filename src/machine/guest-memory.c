/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest memory: the first gap that is large enough. Also the guest's life cycle. */
#include <stdlib.h>

#include "guest.h"

/* Nothing is given out below this: what is at the start of RAM is the "kernel's". */
#define FIRST_FREE (PEAL_MACHINE_RAM + UINT64_C(0x10000))

/*
 * RAM is zero when the machine is made, and not when a guest ran on it before: that one leaves at
 * the start of RAM, which is given to nobody, how far it came.
 */
static uint8_t *traces(const struct peal_guest *guest)
{
	return peal_machine_ram(guest->machine, PEAL_MACHINE_RAM, sizeof(uint64_t));
}

static int grow(struct peal_guest *guest)
{
	size_t size = guest->ranges_size ? 2 * guest->ranges_size : 64;
	struct guest_range *ranges = realloc(guest->ranges, size * sizeof(*ranges));

	if (!ranges)
		return -ENOMEM;
	guest->ranges = ranges;
	guest->ranges_size = size;
	return 0;
}

int guest_allocate(struct peal_guest *guest, uint64_t size, uint64_t align, uint64_t *address)
{
	uint64_t end = PEAL_MACHINE_RAM + peal_machine_ram_size(guest->machine);
	uint64_t at = FIRST_FREE;
	size_t i;

	PEAL_ASSERT(size > 0 && peal_is_power_of_two(align));
	if (size > end || align > end)
		return -ENOMEM;
	if (guest->nranges == guest->ranges_size && grow(guest) < 0)
		return -ENOMEM;
	for (i = 0; i < guest->nranges; i++) {
		const struct guest_range *range = &guest->ranges[i];

		at = peal_round_up(at, align);
		if (at < range->address && size <= range->address - at)
			break;
		at = range->address + range->size;
	}
	at = peal_round_up(at, align);
	if (i == guest->nranges && (at > end || size > end - at))
		return -ENOMEM;
	memmove(&guest->ranges[i + 1], &guest->ranges[i],
		(guest->nranges - i) * sizeof(*guest->ranges));
	guest->ranges[i] = (struct guest_range){ at, size };
	guest->nranges++;
	/* RAM that was never given out is zero, and touching it would cost the host memory. */
	if (at < guest->touched)
		memset(peal_machine_ram(guest->machine, at, size), 0,
		       size < guest->touched - at ? size : guest->touched - at);
	if (at + size > guest->touched)
		guest->touched = at + size;
	*address = at;
	return 0;
}

void guest_free_memory(struct peal_guest *guest, uint64_t address, uint64_t size)
{
	for (size_t i = 0; i < guest->nranges; i++) {
		if (guest->ranges[i].address != address || guest->ranges[i].size != size)
			continue;
		guest->nranges--;
		memmove(&guest->ranges[i], &guest->ranges[i + 1],
			(guest->nranges - i) * sizeof(*guest->ranges));
		return;
	}
	PEAL_ASSERT(false); /* not allocated, or of another size */
}

int peal_guest_alloc(struct peal_guest *guest, uint64_t size, uint64_t align, void **cpu,
		     uint64_t *address)
{
	int r;

	(void)pthread_mutex_lock(&guest->lock);
	r = guest_allocate(guest, size, align, address);
	(void)pthread_mutex_unlock(&guest->lock);
	if (r == 0)
		*cpu = peal_machine_ram(guest->machine, *address, size);
	return r;
}

void peal_guest_release(struct peal_guest *guest, uint64_t address, uint64_t size)
{
	(void)pthread_mutex_lock(&guest->lock);
	guest_free_memory(guest, address, size);
	(void)pthread_mutex_unlock(&guest->lock);
}

/* ---- life ---- */

static const char *const mistakes[] = {
	[PEAL_GUEST_RIGHT] = "none",
	[PEAL_GUEST_WRONG_ADDRESS] = "wrong-address",
	[PEAL_GUEST_WRONG_FRAME] = "wrong-frame",
	[PEAL_GUEST_WRONG_EVENT] = "wrong-event",
	[PEAL_GUEST_NEVER_UNMASKED] = "never-unmasked",
	[PEAL_GUEST_FUNCTION_MASKED] = "function-masked",
	[PEAL_GUEST_NO_BUS_MASTER] = "no-bus-master",
	[PEAL_GUEST_LPI_DISABLED] = "lpi-disabled",
	[PEAL_GUEST_NO_COLLECTION] = "no-collection",
	[PEAL_GUEST_LPIS_OFF] = "lpis-off",
	[PEAL_GUEST_ITS_OFF] = "its-off",
};
_Static_assert(PEAL_COUNT_OF(mistakes) == PEAL_GUEST_MISTAKES, "each mistake has a name");

const char *peal_guest_mistake_name(unsigned mistake)
{
	return mistake < PEAL_GUEST_MISTAKES ? mistakes[mistake] : NULL;
}

int peal_guest_new(struct peal_guest **ret, struct peal_machine *machine,
		   enum peal_guest_mistake mistake)
{
	struct peal_guest *guest = calloc(1, sizeof(*guest));
	int r;

	if (!guest)
		return -ENOMEM;
	guest->machine = machine;
	guest->mistake = mistake;
	guest->next32 = PEAL_MACHINE_WINDOW32;
	guest->next64 = PEAL_MACHINE_WINDOW64;
	guest->touched = peal_load_le(traces(guest), 8);
	(void)pthread_mutex_init(&guest->lock, NULL);
	peal_machine_set_irq_entry(machine, guest_irq_entry, guest);
	r = guest_gic_init(guest);
	if (r < 0) {
		peal_guest_free(guest);
		return r;
	}
	guest_scan(guest);
	*ret = guest;
	return 0;
}

void peal_guest_free(struct peal_guest *guest)
{
	if (!guest)
		return;
	guest_gic_done(guest);
	peal_machine_wait_for_handlers(guest->machine);
	peal_machine_set_irq_entry(guest->machine, NULL, NULL);
	PEAL_ASSERT(guest->nranges == 0);
	peal_store_le(traces(guest), 8, guest->touched);
	free(guest->ranges);
	(void)pthread_mutex_destroy(&guest->lock);
	free(guest);
}

uint64_t peal_guest_unhandled(const struct peal_guest *guest)
{
	return peal_counted(&guest->unhandled);
}

uint64_t peal_guest_handled(const struct peal_guest *guest)
{
	return peal_counted(&guest->handled);
}
