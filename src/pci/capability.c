/* SPDX-License-Identifier: BSD-2-Clause */
/* The capability list, and the vendor specific capability. PCI Local Bus 3.0 §6.7. */
#include "function.h"

/* Is [position, position + size) free of the header and of every other capability? */
static bool is_free(const struct peal_pci_function *function, unsigned position, unsigned size)
{
	return position >= PCI_HEADER_SIZE &&
	       peal_in_range(position, size, PCI_CONVENTIONAL_SIZE) &&
	       pci_config_is_free(function, position, size);
}

bool pci_config_is_free(const struct peal_pci_function *function, unsigned position, unsigned size)
{
	for (unsigned i = 0; i < function->bank.ngroups; i++) {
		const struct peal_reg_group *group = &function->bank.groups[i];

		if (position < group->base + group->size && group->base < position + size)
			return false;
	}
	return true;
}

static unsigned next_free(const struct peal_pci_function *function, unsigned size)
{
	for (unsigned position = PCI_HEADER_SIZE; position < PCI_CONVENTIONAL_SIZE; position += 4) {
		if (is_free(function, position, size))
			return position;
	}
	return 0;
}

/* GROUP has all but its place. */
static int add_capability(struct peal_pci_function *function, uint8_t id, uint8_t position,
			  struct peal_reg_group group, uint8_t *ret)
{
	unsigned size = group.size;
	unsigned at = position ? position : next_free(function, size);
	int r;

	PEAL_ASSERT(!function->bus);
	if (size < 2 || position % 4)
		return -EINVAL;
	if (!at)
		return -ENOSPC;
	if (!is_free(function, at, size))
		return -EINVAL;
	group.base = at;
	group.state = function->image + at;
	r = peal_reg_bank_add(&function->bank, &group);
	if (r < 0)
		return r;
	memcpy(function->defaults + at, function->image + at, size);
	peal_pci_function_set_config(function, at, 1, id);
	/* The list grows at its end, so it reads in the order the device added. */
	peal_pci_function_set_config(function,
				     function->last_capability ? function->last_capability + 1u
							       : PCI_CAPABILITIES,
				     1, at);
	function->last_capability = (uint8_t)at;
	peal_pci_function_set_config(function, PCI_STATUS, 2,
				     peal_reg_get(function->image, PCI_STATUS, 2) |
					     PCI_STATUS_CAPABILITIES);
	if (ret)
		*ret = (uint8_t)at;
	return 0;
}

int peal_pci_function_add_capability(struct peal_pci_function *function, uint8_t id,
				     uint8_t position, uint8_t size, const struct peal_reg *rows,
				     unsigned nrows, void *owner, uint8_t *ret)
{
	struct peal_reg_group group = {
		.size = size,
		.rows = rows,
		.nrows = nrows,
		.owner = owner,
	};

	return add_capability(function, id, position, group, ret);
}

/* The length is the group's: as many bytes as follow the header. */
/* clang-format off */
const struct peal_reg pci_vendor_rows[] = {
	PEAL_PCI_CAPABILITY_HEADER,
	{ .offset = 2, .width = 1, .count = 1, .stride = 1, .name = "Vendor Specific",
	  .section = "PCI 3.0 Appendix H" },
};
/* clang-format on */
const unsigned pci_vendor_nrows = PEAL_COUNT_OF(pci_vendor_rows);

int peal_pci_function_add_vendor(struct peal_pci_function *function, const void *bytes,
				 uint8_t size, uint8_t *ret)
{
	struct peal_reg_group group = {
		.size = size,
		.rows = pci_vendor_rows,
		.nrows = pci_vendor_nrows,
		.count = (uint16_t)(size - 2),
	};
	uint8_t at;
	int r;

	if (size < 3)
		return -EINVAL;
	r = add_capability(function, PCI_CAP_ID_VENDOR, 0, group, &at);
	if (r < 0)
		return r;
	for (unsigned i = 2; i < size; i++)
		peal_pci_function_set_config(function, at + i, 1, ((const uint8_t *)bytes)[i - 2]);
	if (ret)
		*ret = at;
	return 0;
}
