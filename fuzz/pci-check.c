/* SPDX-License-Identifier: BSD-2-Clause */
/* What holds of a PCI function whatever was done to it. PCI 3.0 §6; PCIe Base 6.0 §6.1, §7.7. */
#include <stdio.h>
#include <stdlib.h>

#include "pci.h"

_Noreturn void fuzz_failed(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
	abort();
}

/* ---- both kinds of vectors ---- */

int side_notify(struct side *side, unsigned vector)
{
	side->raised += vector < side->vectors && side_is_used(side, vector);
	return side->msix ? peal_msix_notify(side->msix, vector)
			  : peal_msi_notify(side->msi, vector);
}

bool side_is_masked(const struct side *side, unsigned vector)
{
	return side->msix ? peal_msix_is_masked(side->msix, vector)
			  : peal_msi_is_masked(side->msi, vector);
}

bool side_is_pending(const struct side *side, unsigned vector)
{
	return side->msix ? peal_msix_is_pending(side->msix, vector)
			  : peal_msi_is_pending(side->msi, vector);
}

bool side_is_used(const struct side *side, unsigned vector)
{
	return side->msix ? peal_msix_is_used(side->msix, vector)
			  : peal_msi_is_used(side->msi, vector);
}

void side_counters(const struct side *side, unsigned vector, struct peal_msix_counters *ret)
{
	if (side->msix)
		peal_msix_counters(side->msix, vector, ret);
	else
		peal_msi_counters(side->msi, vector, ret);
}

static struct peal_msi_msg side_message(const struct side *side, unsigned vector)
{
	return side->msix ? peal_msix_message(side->msix, vector)
			  : peal_msi_message(side->msi, vector);
}

static void check_vector(const struct side *side, unsigned vector)
{
	bool masked = side_is_masked(side, vector), pending = side_is_pending(side, vector);

	FUZZ_ASSERT(masked || !pending);
	if (side->msix) {
		FUZZ_ASSERT(side_is_used(side, vector) || !pending);
		FUZZ_ASSERT(side_is_used(side, vector) == (side->uses[vector] > 0));
	}
	if (!side->registered)
		return;
	FUZZ_ASSERT(masked ? !side->told[vector] : side->told[vector] || side->failed[vector]);
	if (side->told[vector] && !side->failed[vector]) {
		struct peal_msi_msg now = side_message(side, vector);

		FUZZ_ASSERT(side->held[vector].address == now.address &&
			    side->held[vector].data == now.data);
	}
}

static uint64_t check_side(const struct side *side, bool full)
{
	struct peal_msix_counters c;

	if (!side->vectors)
		return 0;
	FUZZ_ASSERT(side->depth == 0 || side->brackets > 0);
	for (unsigned i = 0; i < side->vectors; i++) {
		if (full || i < 8)
			check_vector(side, i);
	}
	if (!full)
		return 0;
	side_counters(side, PEAL_MSIX_ALL, &c);
	FUZZ_ASSERT(side->raised == c.sent - c.refired + c.pended + c.merged + c.dropped);
	FUZZ_ASSERT(c.refired <= c.sent + c.dropped);
	return c.sent;
}

/* ---- configuration space ---- */

static uint64_t get(struct fuzz *z, unsigned at, unsigned size)
{
	return peal_pci_config_read(z->function, at, size);
}

static bool is_same(struct fuzz *z, unsigned at, unsigned size, uint64_t mask)
{
	return ((get(z, at, size) ^ peal_load_le(z->defaults + at, size)) & mask) == 0;
}

static void check_msi_registers(struct fuzz *z)
{
	unsigned control = (unsigned)get(z, z->msi_at + 2, 2);
	unsigned at = z->msi_at + (z->msi_config.wide ? 12 : 8);

	FUZZ_ASSERT(is_same(z, z->msi_at + 2, 2, 0xfb8e));
	FUZZ_ASSERT((control >> 4 & 7) <= (control >> 1 & 7));
	FUZZ_ASSERT(peal_msi_enabled(z->msi.msi) == (control & 1 ? 1u << (control >> 4 & 7) : 0));
	FUZZ_ASSERT((get(z, z->msi_at + 4, 1) & 3) == 0);
	if (!z->msi_config.extended_data)
		FUZZ_ASSERT(!(control & 0x400) && get(z, at + 2, 2) == 0);
	if (z->msi_config.maskable) {
		uint64_t past = ~(PEAL_BIT(z->msi.vectors) - 1);

		FUZZ_ASSERT(!((get(z, at + 4, 4) | get(z, at + 8, 4)) & past));
	}
}

static void check_registers(struct fuzz *z)
{
	FUZZ_ASSERT(is_same(z, 0x00, 4, ~0u));
	FUZZ_ASSERT(is_same(z, 0x04, 2, ~UINT64_C(0x0547)));
	FUZZ_ASSERT(is_same(z, 0x06, 2, ~UINT64_C(0xf908)));
	FUZZ_ASSERT(is_same(z, 0x08, 4, ~0u));
	FUZZ_ASSERT(is_same(z, 0x0d, 3, ~0u));
	FUZZ_ASSERT(is_same(z, 0x28, 8, ~UINT64_C(0)) && is_same(z, 0x30, 8, ~UINT64_C(0)));
	FUZZ_ASSERT(is_same(z, 0x38, 4, ~0u) && is_same(z, 0x3d, 3, ~0u));
	for (unsigned at = z->defaults[0x34]; at; at = z->defaults[at + 1])
		FUZZ_ASSERT(is_same(z, at, 2, ~0u));
	for (unsigned i = 0; i < PEAL_PCI_BARS; i++) {
		uint64_t size = peal_pci_bar_size(z->function, i);

		if (size) /* 15: below all sizes, so only the flags */
			FUZZ_ASSERT(is_same(z, 0x10 + 4 * i, 4, size < 16 ? 3 : 15));
	}
	if (z->pm)
		FUZZ_ASSERT(get(z, z->pm + 4, 2) == 0 || get(z, z->pm + 4, 2) == 3);
	if (z->express)
		FUZZ_ASSERT(is_same(z, z->express + 2, 4, ~0u) &&
			    !(get(z, z->express + 8, 2) & 0x8000));
	if (z->msix_at) {
		FUZZ_ASSERT(is_same(z, z->msix_at + 2, 2, 0x3fff));
		FUZZ_ASSERT(is_same(z, z->msix_at + 4, 8, ~UINT64_C(0)));
		FUZZ_ASSERT(peal_msix_is_enabled(z->msix.msix) ==
			    !!(get(z, z->msix_at + 2, 2) & 0x8000));
	}
	if (z->msi_at)
		check_msi_registers(z);
}

/* ---- what follows from it ---- */

static void check_line(struct fuzz *z, bool down)
{
	bool messages = (z->msix_at && get(z, z->msix_at + 2, 2) & 0x8000) ||
			(z->msi_at && get(z, z->msi_at + 2, 2) & 1);
	bool line = z->wish && z->pin && z->plugged && !down && !messages &&
		    !(get(z, 4, 2) & 0x400);
	unsigned pin = (z->pin - 1u + (z->devfn >> 3)) % 4;

	FUZZ_ASSERT(!!(get(z, 6, 2) & 8) == z->wish);
	FUZZ_ASSERT(peal_pci_function_intx_line(z->function) == line);
	FUZZ_ASSERT(z->bus_lines == (line ? 1u << pin : 0));
	for (unsigned i = 0; i < 4; i++)
		FUZZ_ASSERT(peal_pci_bus_intx_level(z->bus, i) == (z->bus_lines >> i & 1));
}

void fuzz_check(struct fuzz *z, bool full)
{
	bool down = z->pm && (get(z, z->pm + 4, 2) & 3) == 3;
	bool master = z->plugged && !down && get(z, 4, 2) & 4;
	uint64_t sent;

	FUZZ_ASSERT(peal_pci_function_is_bus_master(z->function) == master);
	FUZZ_ASSERT(z->bus_master == master);
	FUZZ_ASSERT((peal_pci_function_dma(z->function) == z->memory) == master);
	check_registers(z);
	check_line(z, down);
	sent = check_side(&z->msix, full);
	sent += check_side(&z->msi, full);
	FUZZ_ASSERT(!full || sent == z->delivered);
	for (unsigned i = 0; full && z->msix_at && i < z->msix.vectors; i++)
		FUZZ_ASSERT(side_is_masked(&z->msix, i) || peal_msix_is_enabled(z->msix.msix));
}

void fuzz_check_state(struct fuzz *z)
{
	size_t size = peal_pci_function_state_size(z->function);
	uint8_t *first = malloc(size), *again = malloc(size);
	uint64_t delivered = z->delivered;

	FUZZ_ASSERT(first && again);
	memset(first, 0x11, size);
	memset(again, 0x22, size);
	/* Polls that raise would change it in between. */
	z->msix.poll_raises = z->msi.poll_raises = 0;
	FUZZ_ASSERT(peal_pci_function_save(z->function, first, size - 1) == -ENOSPC);
	FUZZ_ASSERT(peal_pci_function_save(z->function, first, size) == 0);
	FUZZ_ASSERT(peal_pci_function_load(z->function, first, size - 1) == -EINVAL);
	FUZZ_ASSERT(peal_pci_function_load(z->function, first, size) == 0);
	FUZZ_ASSERT(peal_pci_function_save(z->function, again, size) == 0);
	FUZZ_ASSERT(memcmp(first, again, size) == 0);
	FUZZ_ASSERT(z->delivered == delivered);
	free(z->saved);
	free(again);
	z->saved = first;
	z->saved_size = size;
}
