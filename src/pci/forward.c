/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bus behind a bridge: what the bridge and all above it let through. PCI-to-PCI Bridge 1.2 §4.
 *
 * A bus keeps windows that are forwarded all the way from the root, so looking is local; a change
 * goes down from bus to bus. Lock order: a bus → the bus behind it → functions.
 */
#include "bus.h"

struct peal_pci_bus_config pci_bus_behind(const struct peal_pci_bus *primary)
{
	struct peal_pci_bus_config config = primary->config;

	config.bus = 0;
	config.window32_size = 0;
	config.window64_size = 0;
	config.intx = NULL;
	return config;
}

void pci_bus_set_primary(struct peal_pci_bus *bus, struct peal_pci_bus *primary)
{
	bus->primary = primary;
	bus->masters = false;
	bus->io_window.size = 0;
}

bool pci_bus_forwards_masters(const struct peal_pci_bus *bus)
{
	return __atomic_load_n(&bus->masters, __ATOMIC_ACQUIRE);
}

static struct pci_window intersect(const struct pci_window *a, const struct pci_window *b)
{
	uint64_t first = a->address > b->address ? a->address : b->address;
	uint64_t a_left = a->size - (first - a->address), b_left = b->size - (first - b->address);

	if (first - a->address >= a->size || first - b->address >= b->size)
		return (struct pci_window){ 0 };
	return (struct pci_window){ first, a_left < b_left ? a_left : b_left };
}

/* Windows that overlap become one, so that each address is in one piece only. */
static void merge(struct pci_window *a, struct pci_window *b)
{
	uint64_t first = a->address < b->address ? a->address : b->address;
	uint64_t a_last = a->address + a->size - 1, b_last = b->address + b->size - 1;
	uint64_t last = a_last > b_last ? a_last : b_last;

	if (!intersect(a, b).size)
		return;
	*a = pci_window(first, last);
	*b = (struct pci_window){ 0 };
}

/*
 * What both the bridge and all above it forward; more pieces than there is room for are dropped. Two
 * windows make at most one piece more than there are above.
 */
static void set_windows(struct peal_pci_bus *bus, const struct pci_forwarding *f,
			const struct peal_pci_bus *above)
{
	struct pci_window own[] = { f->memory, f->prefetchable };
	unsigned n = 0;

	merge(&own[0], &own[1]);
	memset(bus->windows, 0, sizeof(bus->windows));
	for (unsigned i = 0; i < PEAL_COUNT_OF(own); i++) {
		for (unsigned j = 0; j < BUS_WINDOWS && n < BUS_WINDOWS; j++) {
			struct pci_window piece = intersect(&own[i], &above->windows[j]);

			if (piece.size)
				bus->windows[n++] = piece;
		}
	}
	bus->io_window = intersect(&f->io, &above->io_window);
}

static void renumber(struct peal_pci_bus *bus, struct peal_pci_function *function)
{
	uint32_t requester_id = pci_bus_requester(bus, function->devfn);

	peal_mutex_lock(&function->mutex);
	__atomic_store_n(&function->requester_id, requester_id, __ATOMIC_RELAXED);
	if (function->msix)
		pci_msix_set_requester(function->msix, requester_id);
	if (function->msi)
		pci_msi_set_requester(function->msi, requester_id);
	peal_mutex_unlock(&function->mutex);
}

/* The registers are read under the mutex: of two that update, the later one has the later state. */
static void apply_forwarding(struct peal_pci_bus *bus, struct peal_pci_bridge *bridge)
{
	struct pci_forwarding f;

	peal_mutex_lock(&bus->primary->mutex);
	peal_mutex_lock(&bus->mutex);
	f = pci_bridge_forwarding(bridge);
	set_windows(bus, &f, bus->primary);
	__atomic_store_n(&bus->masters, f.master && pci_bus_forwards_masters(bus->primary),
			 __ATOMIC_RELEASE);
	__atomic_store_n(&bus->number, f.bus, __ATOMIC_RELAXED);
	__atomic_store_n(&bus->subordinate, f.subordinate, __ATOMIC_RELAXED);
	peal_mutex_unlock(&bus->primary->mutex);
	for (unsigned i = 0; i < BUS_FUNCTIONS; i++) {
		if (!bus->functions[i])
			continue;
		renumber(bus, bus->functions[i]);
		pci_bus_place(bus, bus->functions[i], true);
	}
	peal_mutex_unlock(&bus->mutex);
}

void pci_bus_update_forwarding(struct peal_pci_bus *bus, struct peal_pci_bridge *bridge)
{
	unsigned token;

	apply_forwarding(bus, bridge);
	token = peal_epoch_enter(&bus->epoch);
	for (unsigned i = 0; i < BUS_FUNCTIONS; i++) {
		struct peal_pci_function *function = peal_epoch_load(&bus->functions[i]);

		if (!function)
			continue;
		pci_function_update_bus_master(function);
		if (function->bridge)
			pci_bridge_update(function->bridge);
	}
	peal_epoch_leave(&bus->epoch, token);
}

void pci_bus_reset_functions(struct peal_pci_bus *bus)
{
	unsigned token = peal_epoch_enter(&bus->epoch);

	for (unsigned i = 0; i < BUS_FUNCTIONS; i++) {
		struct peal_pci_function *function = peal_epoch_load(&bus->functions[i]);

		if (!function)
			continue;
		if (function->bridge)
			pci_bus_reset_functions(pci_bridge_secondary(function->bridge));
		pci_function_reset(function, PCI_RESET_WARM);
	}
	peal_epoch_leave(&bus->epoch, token);
}
