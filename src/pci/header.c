/* SPDX-License-Identifier: BSD-2-Clause */
/* The type 0 configuration header. PCI Local Bus 3.0 §6.1, §6.2; PCI Express Base 6.0 §7.5.1. */
#include "function.h"

static void write_command(void *owner, const struct peal_reg_write *write)
{
	struct peal_pci_function *function = owner;
	uint64_t changed = write->old ^ write->value;

	if (changed & (PCI_COMMAND_IO | PCI_COMMAND_MEMORY))
		function->deferred |= PCI_DEFERRED_DECODE;
	if (changed & PCI_COMMAND_INTX_DISABLE)
		pci_intx_evaluate(function);
	if (changed & PCI_COMMAND_BUS_MASTER)
		function->deferred |= PCI_DEFERRED_BUS_MASTER;
}

/* Interrupt Status shows the wish for INTx, whatever keeps the line low. */
uint64_t pci_read_status(void *owner, const struct peal_reg *reg, unsigned index)
{
	const struct peal_pci_function *function = owner;

	(void)reg;
	(void)index;
	return peal_reg_get(function->image, PCI_STATUS, 2) |
	       (pci_intx_wish(function) ? PCI_STATUS_INTERRUPT : 0);
}

void pci_write_status(void *owner, const struct peal_reg_write *write)
{
	struct peal_pci_function *function = owner;

	peal_reg_set(function->image, PCI_STATUS, 2,
		     write->value & ~(uint64_t)PCI_STATUS_INTERRUPT);
}

static void write_bar(void *owner, const struct peal_reg_write *write)
{
	struct peal_pci_function *function = owner;
	uint32_t now = pci_bar_register(function, write->index, (uint32_t)write->value);

	peal_reg_set(function->image, write->reg->offset + 4 * write->index, 4, now);
	if (now != write->old)
		function->deferred |= PCI_DEFERRED_DECODE;
}

/* clang-format off */
const struct peal_reg pci_header_rows[] = {
	{ .offset = 0x00, .width = 2, .name = "Vendor ID", .section = "PCI 3.0 6.2.1" },
	{ .offset = 0x02, .width = 2, .name = "Device ID", .section = "PCI 3.0 6.2.1" },
	{ .offset = 0x04, .width = 2, .rw = 0x0547, .write = write_command, .name = "Command",
	  .section = "PCI 3.0 6.2.2" },
	{ .offset = 0x06, .width = 2, .flags = PEAL_REG_HOOKED, .w1c = 0xf900, .rsvdz = 0x0007,
	  .read = pci_read_status, .write = pci_write_status, .name = "Status",
	  .section = "PCI 3.0 6.2.3" },
	{ .offset = 0x08, .width = 1, .name = "Revision ID", .section = "PCI 3.0 6.2.1" },
	{ .offset = 0x09, .width = 1, .name = "Programming Interface", .section = "PCI 3.0 6.2.1" },
	{ .offset = 0x0a, .width = 2, .name = "Class Code", .section = "PCI 3.0 6.2.1" },
	{ .offset = 0x0c, .width = 1, .rw = 0xff, .name = "Cache Line Size",
	  .section = "PCI 3.0 6.2.4" },
	{ .offset = 0x0d, .width = 1, .name = "Latency Timer", .section = "PCIe 7.5.1.1.8" },
	{ .offset = 0x0e, .width = 1, .name = "Header Type", .section = "PCI 3.0 6.2.1" },
	{ .offset = 0x0f, .width = 1, .name = "BIST", .section = "PCI 3.0 6.2.4" },
	{ .offset = 0x10, .width = 4, .count = 6, .stride = 4, .rw = 0xffffffff, .write = write_bar,
	  .name = "Base Address Register", .section = "PCI 3.0 6.2.5.1" },
	{ .offset = 0x28, .width = 4, .name = "CardBus CIS Pointer", .section = "PCI 3.0 6.2.4" },
	{ .offset = 0x2c, .width = 2, .name = "Subsystem Vendor ID", .section = "PCI 3.0 6.2.4" },
	{ .offset = 0x2e, .width = 2, .name = "Subsystem ID", .section = "PCI 3.0 6.2.4" },
	{ .offset = 0x30, .width = 4, .name = "Expansion ROM Base Address",
	  .section = "PCI 3.0 6.2.5.2" },
	{ .offset = 0x34, .width = 1, .name = "Capabilities Pointer", .section = "PCI 3.0 6.7" },
	{ .offset = 0x3c, .width = 1, .rw = 0xff, .name = "Interrupt Line",
	  .section = "PCI 3.0 6.2.4" },
	{ .offset = 0x3d, .width = 1, .name = "Interrupt Pin", .section = "PCI 3.0 6.2.4" },
	{ .offset = 0x3e, .width = 1, .name = "Min_Gnt", .section = "PCI 3.0 6.2.4" },
	{ .offset = 0x3f, .width = 1, .name = "Max_Lat", .section = "PCI 3.0 6.2.4" },
};
/* clang-format on */
const unsigned pci_header_nrows = PEAL_COUNT_OF(pci_header_rows);

void pci_header_init(struct peal_pci_function *function,
		     const struct peal_pci_function_config *config, unsigned header_type)
{
	const struct {
		uint32_t offset;
		unsigned size;
		uint32_t value;
	} fields[] = {
		{ 0x00, 2, config->vendor_id },
		{ 0x02, 2, config->device_id },
		{ 0x08, 1, config->revision_id },
		{ 0x09, 1, config->class_code & 0xff },
		{ 0x0a, 2, config->class_code >> 8 },
		{ 0x0e, 1, header_type | (config->multifunction ? 0x80u : 0) },
		{ 0x3d, 1, config->interrupt_pin },
		/* Type 0 has these; type 1 has a window there. */
		{ 0x2c, 2, config->subsystem_vendor_id },
		{ 0x2e, 2, config->subsystem_id },
	};
	size_t count = PEAL_COUNT_OF(fields) - (header_type ? 2 : 0);

	for (size_t i = 0; i < count; i++)
		peal_pci_function_set_config(function, fields[i].offset, fields[i].size,
					     fields[i].value);
}

uint16_t pci_effective_command(const struct peal_pci_function *function)
{
	if (function->powered_down)
		return 0;
	return (uint16_t)peal_reg_get(function->image, PCI_COMMAND, 2);
}
