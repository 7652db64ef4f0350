/* SPDX-License-Identifier: BSD-2-Clause */
/* Base address registers and the expansion ROM. PCI Local Bus 3.0 §6.2.5. */
#include <inttypes.h>
#include <stdio.h>

#include "pci-print-internal.h"

#define COMMAND_IO     1u
#define COMMAND_MEMORY 2u

void pci_print_size(struct pci_out *out, uint64_t size)
{
	static const char units[] = "KMGT";
	char unit[2] = "";

	for (unsigned i = 0; i < 4 && size && size % 1024 == 0; i++) {
		size /= 1024;
		unit[0] = units[i];
	}
	pci_out_text(out, " [size=%" PRIu64 "%s]", size, unit);
}

static const char *type_name(uint32_t low)
{
	static const char *const types[] = { "32-bit", "low-1M", "64-bit", "type 3" };

	return low & 1 ? "io" : types[low >> 1 & 3];
}

static void print_region(struct pci_print *p, unsigned index, uint32_t low, uint64_t address,
			 uint64_t size)
{
	bool io = low & 1;
	bool enabled = pci_print_get(p, 0x04, 2) & (io ? COMMAND_IO : COMMAND_MEMORY);
	struct pci_out *o = p->out;

	pci_out_open_in(o, "regions");
	pci_out_number(o, "index", index);
	pci_out_string(o, "type", type_name(low));
	pci_out_bool(o, "prefetchable", !io && low & 8);
	pci_out_address(o, "address", address);
	if (size)
		pci_out_number(o, "size", size);
	pci_out_bool(o, "enabled", enabled);
	pci_out_close(o);

	pci_out_text(o, "\tRegion %u: %s at ", index, io ? "I/O ports" : "Memory");
	if (address || (io && enabled)) /* port 0 is a port */
		pci_out_text(o, io ? "%04" PRIx64 : "%08" PRIx64, address);
	else
		pci_out_text(o, "<unassigned>");
	if (!io)
		pci_out_text(o, " (%s, %sprefetchable)", type_name(low), low & 8 ? "" : "non-");
	pci_out_text(o, enabled ? "" : " [disabled]");
	if (size)
		pci_print_size(o, size);
	pci_out_text(o, "\n");
}

/*
 * Without a source that knows the regions, a register that reads 0 is none: a 32-bit region that is
 * nowhere cannot be told from it. One that reads all ones does not answer.
 */
void pci_print_regions(struct pci_print *p, unsigned count)
{
	const struct pci_source *s = p->source;

	for (unsigned i = 0; i < count; i++) {
		uint32_t low = pci_print_get(p, 0x10 + 4 * i, 4);
		uint64_t address = low & (low & 1 ? ~3u : ~0xfu);
		struct pci_source_region region = { 0 };
		unsigned index = i;

		if (s->ops->region && s->ops->region(s->user, i, &region) < 0)
			region.size = 0;
		if ((!low || low == 0xffffffff) && !region.size)
			continue;
		if ((low & 7) == PEAL_PCI_BAR_MEM64) {
			if (i + 1 == count) {
				pci_print_problem(p, "Region %u has 64 bits and no upper half", i);
				continue;
			}
			address |= (uint64_t)pci_print_get(p, 0x10 + 4 * ++i, 4) << 32;
		}
		print_region(p, index, low, address, region.size);
	}
}

/* Bit 0 enables, the address is a multiple of 2 KiB (§6.2.5.2). */
void pci_print_rom(struct pci_print *p, uint32_t at)
{
	uint32_t value = pci_print_get(p, at, 4), address = value & 0xfffff800u;
	struct pci_out *o = p->out;

	if (!value)
		return;
	pci_out_open(o, "rom");
	pci_out_address(o, "address", address);
	pci_out_bool(o, "enabled", value & 1);
	pci_out_close(o);
	if (address == 0xfffff800u) /* read while it was being sized */
		pci_out_text(o, "\tExpansion ROM at <ignored>");
	else if (address)
		pci_out_text(o, "\tExpansion ROM at %08" PRIx32, address);
	else
		pci_out_text(o, "\tExpansion ROM at <unassigned>");
	if (!(value & 1))
		pci_out_text(o, " [disabled]");
	else if (!(pci_print_get(p, 0x04, 2) & COMMAND_MEMORY))
		pci_out_text(o, " [disabled by cmd]");
	pci_out_text(o, "\n");
}
