/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Base address registers: what they read back when sized (PCI Local Bus 3.0 §6.2.5.1), and the
 * way of an access from a BAR to the MSI-X structures or the device's handlers.
 */
#include "function.h"

#define IO_FLAGS_MASK     0x3u
#define MEMORY_FLAGS_MASK 0xfu

static bool is_valid(unsigned flags, uint64_t size)
{
	if (!peal_is_power_of_two(size))
		return false;
	if (flags == PEAL_PCI_BAR_IO)
		return size >= 4 && size <= 256;
	if (flags & ~(PEAL_PCI_BAR_MEM64 | PEAL_PCI_BAR_PREFETCHABLE) || size < 16)
		return false;
	return flags & PEAL_PCI_BAR_MEM64 || size <= PEAL_BIT(31);
}

/* Is INDEX the upper half of a 64-bit BAR? */
static bool is_upper_half(const struct peal_pci_function *function, unsigned index)
{
	return index > 0 && function->bars[index - 1].size &&
	       function->bars[index - 1].flags & PEAL_PCI_BAR_MEM64;
}

int peal_pci_function_add_bar(struct peal_pci_function *function, unsigned index, unsigned flags,
			      uint64_t size, const struct peal_pci_bar_ops *ops, void *user)
{
	bool wide = flags != PEAL_PCI_BAR_IO && flags & PEAL_PCI_BAR_MEM64;
	struct pci_bar *bar;

	PEAL_ASSERT(!function->bus);
	if (index >= PEAL_PCI_BARS - wide || !is_valid(flags, size))
		return -EINVAL;
	bar = &function->bars[index];
	if (bar->size || is_upper_half(function, index) || (wide && bar[1].size))
		return -EBUSY;
	bar->flags = flags;
	bar->size = size;
	bar->ops = ops;
	bar->user = user;
	peal_pci_function_set_config(function, PCI_BAR0 + 4 * index, 4, flags);
	return 0;
}

uint64_t peal_pci_bar_size(const struct peal_pci_function *function, unsigned index)
{
	return index < PEAL_PCI_BARS ? function->bars[index].size : 0;
}

uint32_t pci_bar_register(const struct peal_pci_function *function, unsigned index, uint32_t value)
{
	const struct pci_bar *bar = &function->bars[index];
	uint32_t low_bits;

	if (is_upper_half(function, index))
		return value & (uint32_t)(~(bar[-1].size - 1) >> 32);
	if (!bar->size)
		return 0;
	low_bits = bar->flags == PEAL_PCI_BAR_IO ? IO_FLAGS_MASK : MEMORY_FLAGS_MASK;
	return (value & (uint32_t) ~(bar->size - 1) & ~low_bits) | bar->flags;
}

/* One access of at most 8 bytes that is wholly the device's. */
static void device_access(struct pci_bar *bar, uint64_t offset, unsigned size, bool write,
			  uint64_t *value)
{
	if (write && bar->ops && bar->ops->write)
		bar->ops->write(bar->user, offset, size, *value);
	if (!write)
		*value = bar->ops && bar->ops->read
				 ? bar->ops->read(bar->user, offset, size) & peal_ones(size)
				 : 0;
}

static void bar_access(struct pci_bar *bar, uint64_t offset, unsigned size, bool write,
		       uint64_t *value)
{
	struct peal_msix *msix = bar->function->msix;
	uint64_t all = 0;

	if (!peal_in_range(offset, size, bar->size)) {
		peal_count(&bar->function->past_end, 1);
		*value = write ? *value : peal_ones(size);
		return;
	}
	if (!msix || !pci_msix_meets(msix, bar->index, offset, size)) {
		device_access(bar, offset, size, write, value);
		return;
	}
	if (pci_msix_access(msix, bar->index, offset, size, write, value))
		return;
	/* Partly MSI-X, partly the device's: each byte goes where it belongs. */
	for (unsigned i = 0; i < size; i++) {
		uint64_t byte = *value >> (8 * i) & 0xff;

		if (!pci_msix_access(msix, bar->index, offset + i, 1, write, &byte))
			device_access(bar, offset + i, 1, write, &byte);
		all |= byte << (8 * i);
	}
	*value = all;
}

uint64_t peal_pci_bar_read(struct peal_pci_function *function, unsigned index, uint64_t offset,
			   unsigned size)
{
	uint64_t value = 0;

	PEAL_ASSERT(index < PEAL_PCI_BARS && size <= 8 && peal_is_power_of_two(size));
	bar_access(&function->bars[index], offset, size, false, &value);
	return value;
}

void peal_pci_bar_write(struct peal_pci_function *function, unsigned index, uint64_t offset,
			unsigned size, uint64_t value)
{
	PEAL_ASSERT(index < PEAL_PCI_BARS && size <= 8 && peal_is_power_of_two(size));
	bar_access(&function->bars[index], offset, size, true, &value);
}

/* The largest power of two that both the offset's alignment and what is left allow, at most 8. */
static unsigned piece_size(uint64_t offset, size_t left)
{
	unsigned size = 8;

	while (size > left || offset % size)
		size /= 2;
	return size;
}

/*
 * Accesses from the bus. An access of a width the bus knows goes through as it is, aligned or not;
 * a longer one (a copy) in natural pieces.
 */
static int mem_read(void *user, uint64_t offset, void *bytes, size_t size)
{
	struct pci_bar *bar = user;
	uint8_t *to = bytes;

	while (size) {
		unsigned piece = size <= 8 && peal_is_power_of_two(size) ? (unsigned)size
									 : piece_size(offset, size);
		uint64_t value = 0;

		bar_access(bar, offset, piece, false, &value);
		peal_store_le(to, piece, value);
		to += piece;
		offset += piece;
		size -= piece;
	}
	return 0;
}

static int mem_write(void *user, uint64_t offset, const void *bytes, size_t size)
{
	struct pci_bar *bar = user;
	const uint8_t *from = bytes;

	while (size) {
		unsigned piece = size <= 8 && peal_is_power_of_two(size) ? (unsigned)size
									 : piece_size(offset, size);
		uint64_t value = peal_load_le(from, piece);

		bar_access(bar, offset, piece, true, &value);
		from += piece;
		offset += piece;
		size -= piece;
	}
	return 0;
}

const struct peal_mem_ops pci_bar_mem_ops = { .read = mem_read, .write = mem_write };
