/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PCI bus: functions by device and function number, their BARs in address spaces, and the
 * enhanced configuration access mechanism. PCI Express Base 6.0 §7.2.2.
 *
 * A function's BARs are mapped into the bus's spaces while its Command register lets them decode.
 * Lock order: bus → configuration mutex of a function.
 */
#include <peal/epoch.h>

#include "function.h"

#define BUS_FUNCTIONS 256u

struct peal_pci_bus {
	struct peal_pci_bus_config config;
	struct peal_mutex mutex;
	struct peal_pci_function *functions[BUS_FUNCTIONS];
	uint64_t misplaced;
};

int peal_pci_bus_new(struct peal_pci_bus **ret, const struct peal_pci_bus_config *config)
{
	struct peal_pci_bus *bus = peal_alloc(config->host, sizeof(*bus));
	int r;

	if (!bus)
		return -ENOMEM;
	bus->config = *config;
	r = peal_mutex_init(&bus->mutex, config->host);
	if (r < 0) {
		peal_free(config->host, bus, sizeof(*bus));
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
	peal_mutex_done(&bus->mutex);
	peal_free(bus->config.host, bus, sizeof(*bus));
}

/* ---- decode ---- */

static bool in_window(uint64_t address, uint64_t size, uint64_t window, uint64_t window_size)
{
	return address >= window && peal_in_range(address - window, size, window_size);
}

/* Where the BAR should be mapped; false: nowhere. */
static bool wanted(struct peal_pci_bus *bus, const struct pci_bar *bar, uint64_t *address)
{
	const struct peal_pci_function *function = bar->function;
	const uint8_t *registers = function->image + PCI_BAR0 + 4 * bar->index;
	uint16_t command = pci_effective_command(function);
	const struct peal_pci_bus_config *c = &bus->config;

	if (bar->flags == PEAL_PCI_BAR_IO) {
		*address = peal_load_le(registers, 4) & ~UINT64_C(3);
		return command & PCI_COMMAND_IO && c->io;
	}
	if (!(command & PCI_COMMAND_MEMORY))
		return false;
	*address = peal_load_le(registers, bar->flags & PEAL_PCI_BAR_MEM64 ? 8 : 4) &
		   ~UINT64_C(0xf);
	if (in_window(*address, bar->size, c->window32_address, c->window32_size) ||
	    in_window(*address, bar->size, c->window64_address, c->window64_size))
		return true;
	peal_count(&bus->misplaced, 1);
	return false;
}

static struct peal_space *space_of(struct peal_pci_bus *bus, const struct pci_bar *bar)
{
	return bar->flags == PEAL_PCI_BAR_IO ? bus->config.io : bus->config.memory;
}

/* Under both mutexes. PLUGGED false: nothing is wanted any more. */
static void place(struct peal_pci_bus *bus, struct pci_bar *bar, bool plugged)
{
	uint64_t address = 0;
	bool want = plugged && wanted(bus, bar, &address);

	if (bar->mapped && want && bar->address == address)
		return;
	if (bar->mapped)
		(void)peal_space_unmap(space_of(bus, bar), bar->address, bar->size);
	bar->mapped = false;
	if (!want)
		return;
	if (peal_space_map_ops(space_of(bus, bar), address, bar->size, &pci_bar_mem_ops, bar) < 0) {
		/* Over something else, as hardware would not decode it sensibly either. */
		peal_count(&bus->misplaced, 1);
		return;
	}
	bar->mapped = true;
	bar->address = address;
}

static void place_all(struct peal_pci_bus *bus, struct peal_pci_function *function, bool plugged)
{
	peal_mutex_lock(&function->mutex);
	for (unsigned i = 0; i < PEAL_PCI_BARS; i++) {
		if (function->bars[i].size)
			place(bus, &function->bars[i], plugged);
	}
	peal_mutex_unlock(&function->mutex);
}

void pci_bus_update_decode(struct peal_pci_bus *bus, struct peal_pci_function *function)
{
	peal_mutex_lock(&bus->mutex);
	place_all(bus, function, bus->functions[function->devfn] == function);
	peal_mutex_unlock(&bus->mutex);
}

/* ---- plugging ---- */

int peal_pci_bus_plug(struct peal_pci_bus *bus, uint8_t devfn, struct peal_pci_function *function)
{
	const struct peal_pci_bus_config *c = &bus->config;

	peal_mutex_lock(&bus->mutex);
	if (bus->functions[devfn] || function->bus) {
		peal_mutex_unlock(&bus->mutex);
		return -EBUSY;
	}
	function->bus = bus;
	function->devfn = devfn;
	function->requester_id = (uint32_t)c->segment << 16 | (uint32_t)c->bus << 8 | devfn;
	function->dma = c->dma;
	if (function->msix)
		pci_msix_connect(function->msix, &c->sink, function->requester_id);
	peal_epoch_store(&bus->functions[devfn], function);
	peal_mutex_unlock(&bus->mutex);
	pci_function_settle(function, PCI_DEFERRED_DECODE | PCI_DEFERRED_BUS_MASTER);
	return 0;
}

void peal_pci_bus_unplug(struct peal_pci_bus *bus, struct peal_pci_function *function)
{
	PEAL_ASSERT(function->bus == bus);
	peal_mutex_lock(&bus->mutex);
	peal_epoch_store(&bus->functions[function->devfn], NULL);
	place_all(bus, function, false);
	peal_mutex_unlock(&bus->mutex);
	/* Accesses that found the function or its BARs before are over after this. */
	peal_space_sync(bus->config.memory);
	if (bus->config.io)
		peal_space_sync(bus->config.io);
	peal_pci_function_reset(function);
	if (function->msix)
		pci_msix_connect(function->msix, NULL, 0);
	function->bus = NULL;
	function->dma = NULL;
}

uint64_t peal_pci_bus_misplaced(const struct peal_pci_bus *bus)
{
	return peal_counted(&bus->misplaced);
}

/* ---- ECAM: device 19:15, function 14:12, register 11:0 ---- */

static int ecam_read(void *user, uint64_t offset, void *bytes, size_t size)
{
	struct peal_pci_bus *bus = user;
	uint8_t *to = bytes;

	while (size) {
		struct peal_pci_function *function =
			peal_epoch_load(&bus->functions[offset >> 12 & 0xff]);
		uint32_t reg = (uint32_t)offset & 0xfff;
		unsigned piece = size < 4 - reg % 4 ? (unsigned)size : 4 - reg % 4;

		/* Nobody there: the root complex answers with all ones. */
		peal_store_le(to, piece,
			      function ? peal_pci_config_read(function, reg, piece) : ~UINT64_C(0));
		to += piece;
		offset += piece;
		size -= piece;
	}
	return 0;
}

static int ecam_write(void *user, uint64_t offset, const void *bytes, size_t size)
{
	struct peal_pci_bus *bus = user;
	const uint8_t *from = bytes;

	while (size) {
		struct peal_pci_function *function =
			peal_epoch_load(&bus->functions[offset >> 12 & 0xff]);
		uint32_t reg = (uint32_t)offset & 0xfff;
		unsigned piece = size < 4 - reg % 4 ? (unsigned)size : 4 - reg % 4;

		if (function)
			peal_pci_config_write(function, reg, piece, peal_load_le(from, piece));
		from += piece;
		offset += piece;
		size -= piece;
	}
	return 0;
}

const struct peal_mem_ops *peal_pci_bus_ecam(void)
{
	static const struct peal_mem_ops ops = { .read = ecam_read, .write = ecam_write };

	return &ops;
}
