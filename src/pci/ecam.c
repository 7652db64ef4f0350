/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The enhanced configuration access mechanism. PCI Express Base 6.0 §7.2.2.
 *
 *   bus 27:20, device 19:15, function 14:12, register 11:0
 */
#include "bus.h"

typedef void access_fn(struct peal_pci_bus *bus, uint64_t offset, unsigned size, bool write,
		       uint64_t *value);

/* One access within a dword. Nobody there: the root complex answers with all ones. */
static void bus_access(struct peal_pci_bus *bus, uint64_t offset, unsigned size, bool write,
		       uint64_t *value)
{
	unsigned token = peal_epoch_enter(&bus->epoch);
	struct peal_pci_function *function = peal_epoch_load(&bus->functions[offset >> 12 & 0xff]);
	uint32_t reg = (uint32_t)offset & 0xfff;

	if (write && function)
		peal_pci_config_write(function, reg, size, *value);
	if (!write)
		*value = function ? peal_pci_config_read(function, reg, size) : ~UINT64_C(0);
	peal_epoch_leave(&bus->epoch, token);
}

static bool is_behind(const struct peal_pci_bus *bus, unsigned number)
{
	unsigned first = __atomic_load_n(&bus->number, __ATOMIC_RELAXED);

	/* 0 is what a bridge has before the guest gave it a number. */
	return first && number >= first &&
	       number <= __atomic_load_n(&bus->subordinate, __ATOMIC_RELAXED);
}

/* Finds the bus with the access's number from BUS down, and stays in each on the way. */
static void host_access(struct peal_pci_bus *bus, uint64_t offset, unsigned size, bool write,
			uint64_t *value)
{
	unsigned number = (unsigned)(offset >> 20);
	unsigned token;

	if (number == __atomic_load_n(&bus->number, __ATOMIC_RELAXED)) {
		bus_access(bus, offset, size, write, value);
		return;
	}
	*value = write ? *value : ~UINT64_C(0);
	token = peal_epoch_enter(&bus->epoch);
	for (unsigned i = 0; i < BUS_FUNCTIONS; i++) {
		struct peal_pci_function *function = peal_epoch_load(&bus->functions[i]);

		if (!function || !function->bridge ||
		    !is_behind(pci_bridge_secondary(function->bridge), number))
			continue;
		host_access(pci_bridge_secondary(function->bridge), offset, size, write, value);
		break;
	}
	peal_epoch_leave(&bus->epoch, token);
}

/* In pieces that do not leave their dword. */
static int access_all(struct peal_pci_bus *bus, uint64_t offset, uint8_t *bytes, size_t size,
		      bool write, access_fn *access)
{
	while (size) {
		unsigned left = 4 - (unsigned)(offset % 4);
		unsigned piece = size < left ? (unsigned)size : left;
		uint64_t value = write ? peal_load_le(bytes, piece) : 0;

		access(bus, offset, piece, write, &value);
		if (!write)
			peal_store_le(bytes, piece, value);
		bytes += piece;
		offset += piece;
		size -= piece;
	}
	return 0;
}

static int bus_read(void *user, uint64_t offset, void *bytes, size_t size)
{
	return access_all(user, offset, bytes, size, false, bus_access);
}

/* Nothing is written through the pointer. */
static int bus_write(void *user, uint64_t offset, const void *bytes, size_t size)
{
	return access_all(user, offset, (uint8_t *)(uintptr_t)bytes, size, true, bus_access);
}

static int host_read(void *user, uint64_t offset, void *bytes, size_t size)
{
	return access_all(user, offset, bytes, size, false, host_access);
}

static int host_write(void *user, uint64_t offset, const void *bytes, size_t size)
{
	return access_all(user, offset, (uint8_t *)(uintptr_t)bytes, size, true, host_access);
}

const struct peal_mem_ops *peal_pci_bus_ecam(void)
{
	static const struct peal_mem_ops ops = { .read = bus_read, .write = bus_write };

	return &ops;
}

const struct peal_mem_ops *peal_pci_host_ecam(void)
{
	static const struct peal_mem_ops ops = { .read = host_read, .write = host_write };

	return &ops;
}
