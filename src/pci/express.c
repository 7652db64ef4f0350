/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Power Management and PCI Express capabilities.
 * PCI Power Management 1.2 §3.2; PCI Express Base 6.0 §7.5.3, §6.6.2 (Function Level Reset).
 */
#include "function.h"

#define PM_SIZE        8u
#define PM_STATE_D0    0u
#define PM_STATE_D3HOT 3u

#define EXPRESS_SIZE         60u
#define EXPRESS_INITIATE_FLR 0x8000u
#define EXPRESS_FLR_CAPABLE  0x10000000u
#define EXPRESS_ROLE_BASED   0x00008000u
#define EXPRESS_ROOT_PORT    0x0042u /* version 2, device/port type 4 */

static void write_power_state(void *owner, const struct peal_reg_write *write)
{
	struct peal_pci_function *function = owner;
	unsigned was = write->old & 3, now = write->value & 3;

	if (now == was)
		return;
	if (now != PM_STATE_D0 && now != PM_STATE_D3HOT) {
		/* An unsupported state: the write completes and the state stays (§3.2.4). */
		peal_reg_set(function->image, function->power_management + write->reg->offset, 2,
			     write->old);
		return;
	}
	/* Without No_Soft_Reset, leaving D3hot is a reset; until it is done nothing wakes up. */
	if (now == PM_STATE_D0) {
		function->deferred |= PCI_DEFERRED_RESET;
		return;
	}
	function->powered_down = true;
	pci_intx_evaluate(function);
	function->deferred |= PCI_DEFERRED_DECODE | PCI_DEFERRED_BUS_MASTER;
}

/* clang-format off */
const struct peal_reg pci_power_management_rows[] = {
	PEAL_PCI_CAPABILITY_HEADER,
	{ .offset = 2, .width = 2, .reset = 0x0003, .name = "Power Management Capabilities",
	  .section = "PM 1.2 3.2.3" },
	{ .offset = 4, .width = 2, .rw = 0x0003, .write = write_power_state,
	  .name = "Power Management Control/Status", .section = "PM 1.2 3.2.4" },
	{ .offset = 6, .width = 1, .name = "PMCSR_BSE", .section = "PM 1.2 3.2.5" },
	{ .offset = 7, .width = 1, .name = "Data", .section = "PM 1.2 3.2.6" },
};
/* clang-format on */
const unsigned pci_power_management_nrows = PEAL_COUNT_OF(pci_power_management_rows);

bool pci_is_powered_down(const struct peal_pci_function *function)
{
	return function->power_management &&
	       (peal_reg_get(function->image, function->power_management + 4u, 2) & 3) ==
		       PM_STATE_D3HOT;
}

int peal_pci_function_add_power_management(struct peal_pci_function *function)
{
	if (function->power_management)
		return -EBUSY;
	return peal_pci_function_add_capability(function, PCI_CAP_ID_PM, 0, PM_SIZE,
						pci_power_management_rows,
						pci_power_management_nrows, function,
						&function->power_management);
}

static void write_device_control(void *owner, const struct peal_reg_write *write)
{
	struct peal_pci_function *function = owner;

	/* Initiate Function Level Reset always reads 0: it is in no mask (§7.5.3.4). */
	if (write->raw & write->written & EXPRESS_INITIATE_FLR &&
	    peal_reg_get(function->image, function->express + 4u, 4) & EXPRESS_FLR_CAPABLE)
		function->deferred |= PCI_DEFERRED_FLR;
}

/* clang-format off */
const struct peal_reg pci_express_rows[] = {
	PEAL_PCI_CAPABILITY_HEADER,
	{ .offset = 0x02, .width = 2, .reset = 0x0002, .name = "PCI Express Capabilities",
	  .section = "PCIe 7.5.3.2" },
	{ .offset = 0x04, .width = 4, .reset = 0x10008000, .name = "Device Capabilities",
	  .section = "PCIe 7.5.3.3" },
	{ .offset = 0x08, .width = 2, .reset = 0x2810, .rw = 0x7fff, .write = write_device_control,
	  .name = "Device Control", .section = "PCIe 7.5.3.4" },
	{ .offset = 0x0a, .width = 2, .w1c = 0x000f, .name = "Device Status",
	  .section = "PCIe 7.5.3.5" },
	{ .offset = 0x0c, .width = 4, .reset = 0x00000011, .name = "Link Capabilities",
	  .section = "PCIe 7.5.3.6" },
	{ .offset = 0x10, .width = 2, .rw = 0x00c3, .name = "Link Control",
	  .section = "PCIe 7.5.3.7" },
	{ .offset = 0x12, .width = 2, .reset = 0x0011, .name = "Link Status",
	  .section = "PCIe 7.5.3.8" },
	{ .offset = 0x24, .width = 4, .name = "Device Capabilities 2", .section = "PCIe 7.5.3.15" },
	{ .offset = 0x28, .width = 2, .name = "Device Control 2", .section = "PCIe 7.5.3.16" },
	{ .offset = 0x2a, .width = 2, .name = "Device Status 2", .section = "PCIe 7.5.3.17" },
	{ .offset = 0x2c, .width = 4, .reset = 0x00000002, .name = "Link Capabilities 2",
	  .section = "PCIe 7.5.3.18" },
	{ .offset = 0x30, .width = 2, .reset = 0x0001, .name = "Link Control 2",
	  .section = "PCIe 7.5.3.19" },
	{ .offset = 0x32, .width = 2, .name = "Link Status 2", .section = "PCIe 7.5.3.20" },
};
/* clang-format on */
const unsigned pci_express_nrows = PEAL_COUNT_OF(pci_express_rows);

int peal_pci_function_add_pci_express(struct peal_pci_function *function)
{
	int r;

	if (function->express)
		return -EBUSY;
	r = peal_pci_function_add_capability(function, PCI_CAP_ID_EXPRESS, 0, EXPRESS_SIZE,
					     pci_express_rows, pci_express_nrows, function,
					     &function->express);
	/* Extended configuration space comes with PCI Express (§7.2). */
	if (r == 0)
		function->config_size = PEAL_PCI_CONFIG_SIZE;
	return r;
}

int pci_function_add_root_port(struct peal_pci_function *function)
{
	int r = peal_pci_function_add_pci_express(function);

	if (r < 0)
		return r;
	peal_pci_function_set_config(function, function->express + 2u, 2, EXPRESS_ROOT_PORT);
	peal_pci_function_set_config(function, function->express + 4u, 4, EXPRESS_ROLE_BASED);
	return 0;
}
