/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Extended capabilities: Advanced Error Reporting and the device serial number.
 * PCI Express Base 6.0 §7.6 (list), §7.8.4 (AER), §7.9.3 (serial number).
 *
 * The list begins at 0x100; the header's next pointer is the offset of the next one, 0 at the end.
 */
#include "function.h"

#define FIRST       0x100u
#define ID_AER      0x0001u
#define ID_SERIAL   0x0003u
#define AER_SIZE    0x2cu
#define SERIAL_SIZE 12u

int peal_pci_function_add_extended(struct peal_pci_function *function, uint16_t id, uint8_t version,
				   uint16_t size, const struct peal_reg *rows, unsigned nrows,
				   void *owner, uint16_t *ret)
{
	struct peal_reg_group group = {
		.base = FIRST,
		.size = size,
		.rows = rows,
		.nrows = nrows,
		.owner = owner,
	};
	uint64_t last;
	int r;

	PEAL_ASSERT(!function->bus);
	PEAL_ASSERT(nrows > 0 && rows[0].offset == 0 && rows[0].width == 4);
	if (function->config_size < PEAL_PCI_CONFIG_SIZE)
		return -ENOTSUP;
	if (size < 4 || size % 4 || version > 15)
		return -EINVAL;
	/* Each behind the one before, so the first stands where the list begins. */
	while (!pci_config_is_free(function, group.base, size))
		group.base += 4;
	if (!peal_in_range(group.base, size, PEAL_PCI_CONFIG_SIZE))
		return -ENOSPC;
	group.state = function->image + group.base;
	r = peal_reg_bank_add(&function->bank, &group);
	if (r < 0)
		return r;
	memcpy(function->defaults + group.base, function->image + group.base, size);
	peal_pci_function_set_config(function, group.base, 4, (uint32_t)version << 16 | id);
	if (function->last_extended) {
		last = peal_reg_get(function->image, function->last_extended, 4);
		peal_pci_function_set_config(function, function->last_extended, 4,
					     last | group.base << 20);
	}
	function->last_extended = (uint16_t)group.base;
	if (ret)
		*ret = (uint16_t)group.base;
	return 0;
}

/* clang-format off */
const struct peal_reg pci_aer_rows[] = {
	PEAL_PCI_EXTENDED_HEADER,
	{ .offset = 0x04, .width = 4, .w1c = 0x07fff030, .name = "Uncorrectable Error Status",
	  .section = "PCIe 7.8.4.2" },
	{ .offset = 0x08, .width = 4, .reset = 0x00400000, .rw = 0x07fff030,
	  .name = "Uncorrectable Error Mask", .section = "PCIe 7.8.4.3" },
	{ .offset = 0x0c, .width = 4, .reset = 0x00462030, .rw = 0x07fff030,
	  .name = "Uncorrectable Error Severity", .section = "PCIe 7.8.4.4" },
	{ .offset = 0x10, .width = 4, .w1c = 0x0000f1c1, .name = "Correctable Error Status",
	  .section = "PCIe 7.8.4.5" },
	{ .offset = 0x14, .width = 4, .reset = 0x0000e000, .rw = 0x0000f1c1,
	  .name = "Correctable Error Mask", .section = "PCIe 7.8.4.6" },
	{ .offset = 0x18, .width = 4, .name = "Advanced Error Capabilities and Control",
	  .section = "PCIe 7.8.4.7" },
	{ .offset = 0x1c, .width = 4, .count = 4, .stride = 4, .name = "Header Log",
	  .section = "PCIe 7.8.4.8" },
};
const unsigned pci_aer_nrows = PEAL_COUNT_OF(pci_aer_rows);

const struct peal_reg pci_serial_rows[] = {
	PEAL_PCI_EXTENDED_HEADER,
	{ .offset = 4, .width = 4, .name = "Serial Number (Lower)", .section = "PCIe 7.9.3.2" },
	{ .offset = 8, .width = 4, .name = "Serial Number (Upper)", .section = "PCIe 7.9.3.2" },
};
const unsigned pci_serial_nrows = PEAL_COUNT_OF(pci_serial_rows);
/* clang-format on */

int peal_pci_function_add_aer(struct peal_pci_function *function)
{
	if (function->aer)
		return -EBUSY;
	return peal_pci_function_add_extended(function, ID_AER, 2, AER_SIZE, pci_aer_rows,
					      pci_aer_nrows, function, &function->aer);
}

int peal_pci_function_add_serial_number(struct peal_pci_function *function, uint64_t number)
{
	int r;

	if (function->serial_number)
		return -EBUSY;
	r = peal_pci_function_add_extended(function, ID_SERIAL, 1, SERIAL_SIZE, pci_serial_rows,
					   pci_serial_nrows, function, &function->serial_number);
	if (r == 0)
		peal_pci_function_set_config(function, function->serial_number + 4u, 8, number);
	return r;
}
