/* SPDX-License-Identifier: BSD-2-Clause */
/* The capabilities MSI and MSI-X. PCI Local Bus 3.0 §6.8; PCI Express Base 6.0 §7.7.1, §7.7.2. */
#include <inttypes.h>
#include <stdio.h>

#include "pci-vectors.h"

#define MSI_ENABLE      0x0001u
#define MSI_64BIT       0x0080u
#define MSI_MASKABLE    0x0100u
#define MSI_EXTENDED    0x0200u
#define MSI_EXTENDED_ON 0x0400u
#define MSI_VECTORS_MAX 32u
#define MSIX_ENABLE     0x8000u
#define MSIX_FUNCTION   0x4000u
#define MSIX_COUNT      0x07ffu
#define MSIX_ENTRY_SIZE 16u
#define BAR_INDICATOR   7u

/* clang-format off */
static const struct pci_flag msi_enable[] = { { MSI_ENABLE, "Enable" }, { 0, NULL } };
static const struct pci_flag msi_shape[] = {
	{ MSI_MASKABLE, "Maskable" }, { MSI_64BIT, "64bit" }, { 0, NULL },
};
static const struct pci_flag msix_enable[] = { { MSIX_ENABLE, "Enable" }, { 0, NULL } };
static const struct pci_flag msix_masked[] = { { MSIX_FUNCTION, "Masked" }, { 0, NULL } };
/* clang-format on */

/* Data follows the address; mask and pending come after both, at the same place in each layout. */
uint32_t pci_print_msi_size(const struct pci_print *p, uint32_t at)
{
	uint32_t control = pci_print_get(p, at + 2, 2);
	uint32_t size = control & MSI_64BIT ? 14 : 10;

	if (control & (MSI_EXTENDED | MSI_MASKABLE))
		size += 2;
	return control & MSI_MASKABLE ? size + 8 : size;
}

/* With the upper half of the data, when it is enabled. */
static void print_msi_message(struct pci_print *p, uint32_t at, uint32_t control,
			      struct pci_msi_state *state)
{
	bool wide = control & MSI_64BIT;
	uint32_t data_at = at + (wide ? 12 : 8), data = pci_print_get(p, data_at, 2);
	uint64_t address = pci_print_get(p, at + 4, 4);
	struct pci_out *o = p->out;

	if (wide)
		address |= (uint64_t)pci_print_get(p, at + 8, 4) << 32;
	pci_out_text(o,
		     wide ? "\t\tAddress: %016" PRIx64 "  Data: %04" PRIx32 "\n"
			  : "\t\tAddress: %08" PRIx64 "  Data: %04" PRIx32 "\n",
		     address, data);
	pci_out_address(o, "address", address);
	pci_out_number(o, "data", data);
	if (control & MSI_EXTENDED) {
		uint32_t extended = pci_print_get(p, data_at + 2, 2);

		pci_out_text(o, "\t\tExtended data: %s, %04" PRIx32 "\n",
			     control & MSI_EXTENDED_ON ? "enabled" : "disabled", extended);
		pci_out_bool(o, "extended_data_enabled", control & MSI_EXTENDED_ON);
		pci_out_number(o, "extended_data", extended);
		if (control & MSI_EXTENDED_ON)
			data |= extended << 16;
	}
	if (control & MSI_MASKABLE) {
		state->maskable = true;
		state->mask = pci_print_get(p, data_at + 4, 4);
		state->pending = pci_print_get(p, data_at + 8, 4);
		pci_out_text(o, "\t\tMasking: %08" PRIx32 "  Pending: %08" PRIx32 "\n", state->mask,
			     state->pending);
		pci_out_number(o, "mask", state->mask);
		pci_out_number(o, "pending", state->pending);
	}
	state->address = address;
	state->data = data;
}

void pci_print_msi(struct pci_print *p, uint32_t at)
{
	uint32_t control = pci_print_get(p, at + 2, 2);
	struct pci_msi_state state = { .count = 1u << (control >> 1 & 7),
				       .enabled = 1u << (control >> 4 & 7) };
	struct pci_out *o = p->out;

	pci_out_text(o, "MSI: ");
	pci_out_flags(o, control, msi_enable, " ");
	pci_out_text(o, " Count=%u/%u ", state.enabled, state.count);
	pci_out_number(o, "enabled_vectors", state.enabled);
	pci_out_number(o, "vectors", state.count);
	pci_out_flags(o, control, msi_shape, " ");
	pci_out_text(o, "\n");
	if (!peal_in_range(at, pci_print_msi_size(p, at), PCI_CONVENTIONAL_SIZE))
		return; /* reported by the list */
	print_msi_message(p, at, control, &state);
	if (state.count > MSI_VECTORS_MAX)
		pci_print_problem(p, "MSI is capable of %u vectors, at most %u are allowed",
				  state.count, MSI_VECTORS_MAX);
	else if (state.enabled > state.count)
		pci_print_problem(p, "MSI has %u vectors enabled and is capable of %u",
				  state.enabled, state.count);
	else
		pci_print_msi_vectors(p, &state);
	p->msi_enabled = control & MSI_ENABLE;
}

/* ---- MSI-X ---- */

static void print_place(struct pci_print *p, const char *title, const char *key,
			const struct pci_place *place)
{
	pci_out_text(p->out, "\t\t%s: BAR=%u offset=%08" PRIx32 "\n", title, place->bar,
		     place->offset);
	pci_out_open(p->out, key);
	pci_out_number(p->out, "bar", place->bar);
	pci_out_number(p->out, "offset", place->offset);
	pci_out_number(p->out, "size", place->size);
	pci_out_close(p->out);
}

/* Does the BAR hold it? What the source does not know counts as right. */
static bool check_place(struct pci_print *p, const char *title, const struct pci_place *place)
{
	const struct pci_source *s = p->source;
	struct pci_source_region region;

	if (place->bar >= PEAL_PCI_BARS) {
		pci_print_problem(p, "MSI-X %s lies in BAR %u, which does not exist", title,
				  place->bar);
		return false;
	}
	if (pci_print_get(p, 0x10 + 4 * place->bar, 4) & PEAL_PCI_BAR_IO) {
		pci_print_problem(p, "MSI-X %s lies in BAR %u, which is I/O", title, place->bar);
		return false;
	}
	if (!s->ops->region || s->ops->region(s->user, place->bar, &region) < 0)
		return true;
	if (!peal_in_range(place->offset, place->size, region.size)) {
		pci_print_problem(p, "MSI-X %s ends past BAR %u of %" PRIu64 " bytes", title,
				  place->bar, region.size);
		return false;
	}
	return true;
}

void pci_print_msix(struct pci_print *p, uint32_t at)
{
	uint32_t control = pci_print_get(p, at + 2, 2);
	uint32_t table_word = pci_print_get(p, at + 4, 4), pba_word = pci_print_get(p, at + 8, 4);
	unsigned count = (control & MSIX_COUNT) + 1;
	const struct pci_place table = { table_word & BAR_INDICATOR, table_word & ~BAR_INDICATOR,
					 count * MSIX_ENTRY_SIZE };
	const struct pci_place pba = { pba_word & BAR_INDICATOR, pba_word & ~BAR_INDICATOR,
				       (count + 63) / 64 * 8 };
	struct pci_out *o = p->out;
	bool good;

	pci_out_text(o, "MSI-X: ");
	pci_out_flags(o, control, msix_enable, " ");
	pci_out_text(o, " Count=%u ", count);
	pci_out_number(o, "vectors", count);
	pci_out_flags(o, control, msix_masked, " ");
	pci_out_text(o, "\n");
	print_place(p, "Vector table", "table", &table);
	print_place(p, "PBA", "pba", &pba);
	good = check_place(p, "vector table", &table);
	good = check_place(p, "PBA", &pba) && good;
	if (table.bar == pba.bar && table.offset < (uint64_t)pba.offset + pba.size &&
	    pba.offset < (uint64_t)table.offset + table.size)
		pci_print_problem(p, "MSI-X vector table and PBA overlap");
	if (p->msi_enabled && control & MSIX_ENABLE)
		pci_print_problem(p, "MSI and MSI-X are both enabled");
	if (good)
		pci_print_vectors(p, count, &table, &pba);
}
