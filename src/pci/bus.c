/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PCI bus: functions by device and function number, their BARs in address spaces, their
 * lines. The configuration access mechanism is in ecam.c, what bridges let through in forward.c.
 *
 * A function's BARs are mapped into the bus's spaces while its Command register lets them decode.
 * One that would lie over something else is misplaced: it waits until its place is free.
 * Lock order: bus → configuration mutex of a function.
 */
#include "bus.h"

int peal_pci_bus_new(struct peal_pci_bus **ret, const struct peal_pci_bus_config *config)
{
	struct peal_pci_bus *bus = peal_alloc(config->host, sizeof(*bus));
	int r;

	if (!bus)
		return -ENOMEM;
	bus->config = *config;
	bus->number = config->bus;
	bus->subordinate = config->bus;
	bus->masters = true;
	bus->windows[0] = (struct pci_window){ config->window32_address, config->window32_size };
	bus->windows[1] = (struct pci_window){ config->window64_address, config->window64_size };
	bus->io_window = (struct pci_window){ 0, UINT64_C(1) << 32 };
	r = peal_mutex_init(&bus->mutex, config->host);
	if (r == 0)
		r = peal_mutex_init(&bus->intx_mutex, config->host);
	if (r == 0)
		r = peal_epoch_init(&bus->epoch, config->host);
	if (r < 0) {
		peal_pci_bus_free(bus);
		return r;
	}
	*ret = bus;
	return 0;
}

void peal_pci_bus_free(struct peal_pci_bus *bus)
{
	if (!bus)
		return;
	for (unsigned i = 0; i < BUS_FUNCTIONS; i++)
		PEAL_ASSERT(!bus->functions[i]);
	peal_epoch_done(&bus->epoch);
	peal_mutex_done(&bus->intx_mutex);
	peal_mutex_done(&bus->mutex);
	peal_free(bus->config.host, bus, sizeof(*bus));
}

/* ---- decode ---- */

static bool in_window(const struct pci_window *window, uint64_t address, uint64_t size)
{
	return address >= window->address &&
	       peal_in_range(address - window->address, size, window->size);
}

/* Does what is above the bus forward accesses to the BAR at ADDRESS? */
static bool is_forwarded(const struct peal_pci_bus *bus, const struct pci_bar *bar,
			 uint64_t address)
{
	if (bar->flags == PEAL_PCI_BAR_IO)
		return in_window(&bus->io_window, address, bar->size);
	for (unsigned i = 0; i < BUS_WINDOWS; i++) {
		if (in_window(&bus->windows[i], address, bar->size))
			return true;
	}
	return false;
}

/* Does the BAR decode, and where? Under the function's mutex. */
static bool decodes(const struct peal_pci_bus *bus, const struct pci_bar *bar, uint64_t *address)
{
	const struct peal_pci_function *function = bar->function;
	const uint8_t *registers = function->image + PCI_BAR0 + 4 * bar->index;
	uint16_t command = pci_effective_command(function);

	if (bar->flags == PEAL_PCI_BAR_IO) {
		*address = peal_load_le(registers, 4) & ~UINT64_C(3);
		return command & PCI_COMMAND_IO && bus->config.io;
	}
	*address = peal_load_le(registers, bar->flags & PEAL_PCI_BAR_MEM64 ? 8 : 4) &
		   ~UINT64_C(0xf);
	return command & PCI_COMMAND_MEMORY;
}

static struct peal_space *space_of(struct peal_pci_bus *bus, const struct pci_bar *bar)
{
	return bar->flags == PEAL_PCI_BAR_IO ? bus->config.io : bus->config.memory;
}

/* Takes the BAR from where it no longer belongs. True: a range became free. */
static bool displace(struct peal_pci_bus *bus, struct pci_bar *bar, bool plugged)
{
	bool was = bar->mapped;
	uint64_t address;

	if (plugged && decodes(bus, bar, &address) && address == bar->address &&
	    (bar->misplaced || is_forwarded(bus, bar, address)))
		return false;
	if (was)
		(void)peal_space_unmap(space_of(bus, bar), bar->address, bar->size);
	bar->mapped = false;
	bar->misplaced = false;
	return was;
}

/* Maps a BAR that decodes. One that stands in the way of something else waits, misplaced. */
static void place(struct peal_pci_bus *bus, struct pci_bar *bar)
{
	uint64_t address;

	if (bar->mapped || !decodes(bus, bar, &address))
		return;
	bar->address = address;
	bar->mapped = is_forwarded(bus, bar, address) &&
		      peal_space_map_ops(space_of(bus, bar), address, bar->size, &pci_bar_mem_ops,
					 bar) == 0;
	if (!bar->mapped && !bar->misplaced)
		peal_count(&bus->misplaced, 1);
	bar->misplaced = !bar->mapped;
}

/* Under the function's mutex. True: a range became free. */
static bool displace_all(struct peal_pci_bus *bus, struct peal_pci_function *function, bool plugged)
{
	bool freed = false;

	for (unsigned i = 0; i < PEAL_PCI_BARS; i++) {
		if (function->bars[i].size)
			freed |= displace(bus, &function->bars[i], plugged);
	}
	return freed;
}

static void place_all(struct peal_pci_bus *bus, struct peal_pci_function *function)
{
	for (unsigned i = 0; i < PEAL_PCI_BARS; i++) {
		if (function->bars[i].size)
			place(bus, &function->bars[i]);
	}
}

/*
 * First all BARs go, then they come: they may change places. What they were in the way of comes
 * to its place then, as it would on hardware.
 */
void pci_bus_place(struct peal_pci_bus *bus, struct peal_pci_function *function, bool plugged)
{
	bool freed;

	peal_mutex_lock(&function->mutex);
	freed = displace_all(bus, function, plugged);
	if (plugged)
		place_all(bus, function);
	peal_mutex_unlock(&function->mutex);
	for (unsigned i = 0; freed && i < BUS_FUNCTIONS; i++) {
		struct peal_pci_function *other = bus->functions[i];

		if (!other || other == function)
			continue;
		peal_mutex_lock(&other->mutex);
		place_all(bus, other);
		peal_mutex_unlock(&other->mutex);
	}
}

void pci_bus_update_decode(struct peal_pci_bus *bus, struct peal_pci_function *function)
{
	peal_mutex_lock(&bus->mutex);
	pci_bus_place(bus, function, bus->functions[function->devfn] == function);
	peal_mutex_unlock(&bus->mutex);
}

/* ---- plugging ---- */

uint32_t pci_bus_requester(const struct peal_pci_bus *bus, unsigned devfn)
{
	return (uint32_t)bus->config.segment << 16 | (uint32_t)bus->number << 8 | devfn;
}

int peal_pci_bus_plug(struct peal_pci_bus *bus, uint8_t devfn, struct peal_pci_function *function)
{
	const struct peal_pci_bus_config *c = &bus->config;
	uint32_t requester_id;
	int r = -EBUSY;

	if (!c->sink.ops && (function->msi || function->msix))
		return -ENOTSUP;
	peal_mutex_lock(&bus->mutex);
	requester_id = pci_bus_requester(bus, devfn);
	peal_mutex_lock(&function->mutex);
	if (!bus->functions[devfn] && !function->bus) {
		function->devfn = devfn;
		function->intx.pin = function->image[PCI_INTERRUPT_PIN];
		__atomic_store_n(&function->requester_id, requester_id, __ATOMIC_RELAXED);
		__atomic_store_n(&function->dma, c->dma, __ATOMIC_RELAXED);
		if (function->msix)
			pci_msix_connect(function->msix, &c->sink, requester_id);
		if (function->msi)
			pci_msi_connect(function->msi, &c->sink, requester_id);
		__atomic_store_n(&function->bus, bus, __ATOMIC_RELEASE);
		peal_epoch_store(&bus->functions[devfn], function);
		pci_intx_evaluate(function);
		r = 0;
	}
	peal_mutex_unlock(&function->mutex);
	peal_mutex_unlock(&bus->mutex);
	if (r == 0)
		pci_function_settle(function, PCI_DEFERRED_DECODE | PCI_DEFERRED_BUS_MASTER);
	return r;
}

void peal_pci_bus_unplug(struct peal_pci_bus *bus, struct peal_pci_function *function)
{
	PEAL_ASSERT(function->bus == bus);
	peal_mutex_lock(&bus->mutex);
	peal_epoch_store(&bus->functions[function->devfn], NULL);
	pci_bus_place(bus, function, false);
	peal_mutex_unlock(&bus->mutex);
	/* Accesses that found the function or its BARs before are over after this. */
	peal_epoch_sync(&bus->epoch);
	peal_space_sync(bus->config.memory);
	if (bus->config.io)
		peal_space_sync(bus->config.io);
	/* Without a bus it cannot become its master any more, and the reset makes it stop. */
	peal_mutex_lock(&function->mutex);
	__atomic_store_n(&function->bus, NULL, __ATOMIC_RELEASE);
	pci_intx_evaluate(function);
	peal_mutex_unlock(&function->mutex);
	peal_pci_function_reset(function);
	__atomic_store_n(&function->dma, NULL, __ATOMIC_RELAXED);
}

uint64_t peal_pci_bus_misplaced(const struct peal_pci_bus *bus)
{
	return peal_counted(&bus->misplaced);
}

/* ---- INTx ---- */

void pci_bus_intx(struct peal_pci_bus *bus, unsigned pin, bool asserted)
{
	const struct peal_pci_bus_config *c = &bus->config;

	pin %= 4;
	peal_mutex_lock(&bus->intx_mutex);
	if (asserted ? bus->intx[pin]++ == 0 : --bus->intx[pin] == 0) {
		if (c->intx)
			c->intx(c->intx_user, pin, asserted);
	}
	peal_mutex_unlock(&bus->intx_mutex);
}

bool peal_pci_bus_intx_level(struct peal_pci_bus *bus, unsigned pin)
{
	bool level;

	PEAL_ASSERT(pin < 4);
	peal_mutex_lock(&bus->intx_mutex);
	level = bus->intx[pin] > 0;
	peal_mutex_unlock(&bus->intx_mutex);
	return level;
}

void pci_bus_intx_eoi(struct peal_pci_bus *bus, unsigned pin)
{
	unsigned token = peal_epoch_enter(&bus->epoch);

	for (unsigned i = 0; i < BUS_FUNCTIONS; i++) {
		struct peal_pci_function *function = peal_epoch_load(&bus->functions[i]);

		if (!function)
			continue;
		if (function->bridge)
			pci_bridge_intx_eoi(function->bridge, pin);
		if (pci_intx_pin(function) == pin && function->ops && function->ops->intx_eoi)
			function->ops->intx_eoi(function->user);
	}
	peal_epoch_leave(&bus->epoch, token);
}

void peal_pci_bus_intx_eoi(struct peal_pci_bus *bus, unsigned pin)
{
	const struct peal_pci_bus_config *c = &bus->config;

	PEAL_ASSERT(pin < 4);
	pci_bus_intx_eoi(bus, pin);
	/* A line that nobody lowered fires again. */
	peal_mutex_lock(&bus->intx_mutex);
	if (bus->intx[pin] && c->intx)
		c->intx(c->intx_user, pin, true);
	peal_mutex_unlock(&bus->intx_mutex);
}
