/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <peal/bits.h>

#include "pci-source.h"

#define CONVENTIONAL_SIZE 256u
#define CAPABILITIES      0x34u
#define ID_EXPRESS        0x10u

/* ---- a function in this process ---- */

/* The extended space comes with PCI Express (PCIe 7.2). */
static uint32_t function_config_size(void *user)
{
	struct peal_pci_function *function = user;
	uint32_t at = (uint32_t)peal_pci_config_read(function, CAPABILITIES, 1);

	for (unsigned i = 0; at && i < CONVENTIONAL_SIZE / 4; i++) {
		if (peal_pci_config_read(function, at, 1) == ID_EXPRESS)
			return PEAL_PCI_CONFIG_SIZE;
		at = (uint32_t)peal_pci_config_read(function, at + 1, 1);
	}
	return CONVENTIONAL_SIZE;
}

static int function_read_config(void *user, uint32_t offset, void *bytes, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++)
		((uint8_t *)bytes)[i] = (uint8_t)peal_pci_config_read(user, offset + i, 1);
	return 0;
}

static int function_region(void *user, unsigned index, struct pci_source_region *ret)
{
	ret->size = peal_pci_bar_size(user, index);
	ret->flags = (unsigned)peal_pci_config_read(user, 0x10 + 4 * index, 4) & 0xf;
	if (ret->flags & PEAL_PCI_BAR_IO)
		ret->flags = PEAL_PCI_BAR_IO;
	return 0;
}

static int function_read_bar(void *user, unsigned index, uint64_t offset, unsigned size,
			     uint64_t *ret)
{
	if (!peal_in_range(offset, size, peal_pci_bar_size(user, index)))
		return -ERANGE;
	*ret = peal_pci_bar_read(user, index, offset, size);
	return 0;
}

static int function_vector(void *user, enum pci_source_kind kind, unsigned vector,
			   struct pci_source_vector *ret)
{
	const struct peal_msix *msix = peal_pci_function_msix(user);
	const struct peal_msi *msi = peal_pci_function_msi(user);

	if (kind == PCI_SOURCE_MSIX && msix && vector < peal_msix_vectors(msix)) {
		ret->used = peal_msix_is_used(msix, vector);
		peal_msix_counters(msix, vector, &ret->counters);
		return 0;
	}
	if (kind == PCI_SOURCE_MSI && msi && vector < peal_msi_vectors(msi)) {
		ret->used = peal_msi_is_used(msi, vector);
		peal_msi_counters(msi, vector, &ret->counters);
		return 0;
	}
	return -ENOENT;
}

static int function_accesses(void *user, struct pci_source_accesses *ret)
{
	const struct peal_msix *msix = peal_pci_function_msix(user);

	ret->past_end = peal_pci_function_past_end(user);
	ret->pba_writes = msix ? peal_msix_pba_writes(msix) : 0;
	return 0;
}

static const struct pci_source_ops function_ops = {
	.config_size = function_config_size,
	.read_config = function_read_config,
	.region = function_region,
	.read_bar = function_read_bar,
	.vector = function_vector,
	.accesses = function_accesses,
};

struct pci_source pci_source_function(struct peal_pci_function *function)
{
	struct pci_source source = { .ops = &function_ops, .user = function };
	uint32_t id = peal_pci_function_requester_id(function);
	int n = 0;

	if (id >> 16)
		n = snprintf(source.address, sizeof(source.address), "%04" PRIx32 ":", id >> 16);
	(void)snprintf(source.address + n, sizeof(source.address) - (size_t)n,
		       "%02" PRIx32 ":%02" PRIx32 ".%" PRIx32, id >> 8 & 0xff, id >> 3 & 0x1f,
		       id & 7);
	return source;
}

/* ---- bytes of a dump ---- */

static uint32_t bytes_config_size(void *user)
{
	const struct pci_source_bytes *b = user;

	return b->size;
}

static int bytes_read_config(void *user, uint32_t offset, void *bytes, uint32_t size)
{
	const struct pci_source_bytes *b = user;

	memcpy(bytes, b->bytes + offset, size);
	return 0;
}

static const struct pci_source_ops bytes_ops = {
	.config_size = bytes_config_size,
	.read_config = bytes_read_config,
};

struct pci_source pci_source_bytes(struct pci_source_bytes *bytes, const char *address)
{
	struct pci_source source = { .ops = &bytes_ops, .user = bytes };

	(void)snprintf(source.address, sizeof(source.address), "%s", address);
	return source;
}

/* ---- dumping ---- */

int pci_source_dump(const struct pci_source *source, const char *title, FILE *to)
{
	uint32_t size = source->ops->config_size(source->user);
	uint8_t row[16];

	fprintf(to, "%s %s\n", source->address, title);
	for (uint32_t at = 0; at + sizeof(row) <= size; at += (uint32_t)sizeof(row)) {
		int r = source->ops->read_config(source->user, at, row, sizeof(row));

		if (r < 0)
			return r;
		fprintf(to, "%02" PRIx32 ":", at);
		for (size_t i = 0; i < sizeof(row); i++)
			fprintf(to, " %02x", row[i]);
		fputc('\n', to);
	}
	return 0;
}
