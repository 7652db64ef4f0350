/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PCI-to-PCI bridge, as a root port has: a function with a type 1 header and the bus behind it.
 * PCI-to-PCI Bridge 1.2 §3.2, §4.3, §9.1; PCI Express Base 6.0 §7.5.1.3.
 *
 * The guest's bus numbers, windows and Command of the bridge decide what the bus behind it is: its
 * number (and so the requester ids of its functions), which of their BARs decode, and whether
 * they may master. A change of one of these registers works all of it out anew, without locks held:
 *
 *   registers ──▶ struct pci_forwarding ──▶ the secondary bus ──▶ its functions, bridges among them
 */
#include "bridge.h"

#define PRIMARY            0x18u
#define SECONDARY          0x19u
#define SUBORDINATE        0x1au
#define IO_BASE            0x1cu
#define IO_LIMIT           0x1du
#define MEMORY_BASE        0x20u
#define MEMORY_LIMIT       0x22u
#define PREFETCHABLE_BASE  0x24u
#define PREFETCHABLE_LIMIT 0x26u
#define PREFETCHABLE_UPPER 0x28u
#define PREFETCHABLE_TOP   0x2cu
#define IO_BASE_UPPER      0x30u
#define IO_LIMIT_UPPER     0x32u
#define BRIDGE_CONTROL     0x3eu

#define CONTROL_BUS_RESET 0x0040u

struct peal_pci_bridge {
	struct peal_pci_function *function;
	struct peal_pci_bus *primary;
	struct peal_pci_bus *secondary;
	const struct peal_host *host;
};

/* ---- registers ---- */

static void write_forwarding(void *owner, const struct peal_reg_write *write)
{
	struct peal_pci_function *function = owner;

	if (write->old != write->value)
		function->deferred |= PCI_DEFERRED_BRIDGE;
}

static void write_command(void *owner, const struct peal_reg_write *write)
{
	struct peal_pci_function *function = owner;
	uint64_t changed = write->old ^ write->value;

	if (changed & (PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER))
		function->deferred |= PCI_DEFERRED_BRIDGE;
	if (changed & PCI_COMMAND_BUS_MASTER)
		function->deferred |= PCI_DEFERRED_BUS_MASTER;
	if (changed & PCI_COMMAND_INTX_DISABLE)
		pci_intx_evaluate(function);
}

static void write_bridge_control(void *owner, const struct peal_reg_write *write)
{
	struct peal_pci_function *function = owner;

	if (write->value & ~write->old & CONTROL_BUS_RESET)
		function->deferred |= PCI_DEFERRED_BUS_RESET;
}

/* clang-format off */
const struct peal_reg pci_bridge_rows[] = {
	{ .offset = 0x00, .width = 2, .name = "Vendor ID", .section = "PCI 3.0 6.2.1" },
	{ .offset = 0x02, .width = 2, .name = "Device ID", .section = "PCI 3.0 6.2.1" },
	{ .offset = 0x04, .width = 2, .rw = 0x0547, .write = write_command, .name = "Command",
	  .section = "PPB 1.2 3.2.4.3" },
	{ .offset = 0x06, .width = 2, .flags = PEAL_REG_HOOKED, .w1c = 0xf900, .rsvdz = 0x0007,
	  .read = pci_read_status, .write = pci_write_status, .name = "Status",
	  .section = "PPB 1.2 3.2.4.4" },
	{ .offset = 0x08, .width = 1, .name = "Revision ID", .section = "PCI 3.0 6.2.1" },
	{ .offset = 0x09, .width = 1, .name = "Programming Interface", .section = "PCI 3.0 6.2.1" },
	{ .offset = 0x0a, .width = 2, .name = "Class Code", .section = "PCI 3.0 6.2.1" },
	{ .offset = 0x0c, .width = 1, .rw = 0xff, .name = "Cache Line Size",
	  .section = "PCI 3.0 6.2.4" },
	{ .offset = 0x0d, .width = 1, .name = "Primary Latency Timer", .section = "PCIe 7.5.1.3.5" },
	{ .offset = 0x0e, .width = 1, .name = "Header Type", .section = "PCI 3.0 6.2.1" },
	{ .offset = 0x0f, .width = 1, .name = "BIST", .section = "PCI 3.0 6.2.4" },
	{ .offset = 0x10, .width = 4, .count = 2, .stride = 4, .name = "Base Address Register",
	  .section = "PPB 1.2 3.2.5.1" },
	{ .offset = PRIMARY, .width = 1, .rw = 0xff, .name = "Primary Bus Number",
	  .section = "PPB 1.2 3.2.5.2" },
	{ .offset = SECONDARY, .width = 1, .rw = 0xff, .write = write_forwarding,
	  .name = "Secondary Bus Number", .section = "PPB 1.2 3.2.5.3" },
	{ .offset = SUBORDINATE, .width = 1, .rw = 0xff, .write = write_forwarding,
	  .name = "Subordinate Bus Number", .section = "PPB 1.2 3.2.5.4" },
	{ .offset = 0x1b, .width = 1, .name = "Secondary Latency Timer",
	  .section = "PCIe 7.5.1.3.5" },
	{ .offset = IO_BASE, .width = 1, .reset = 0x01, .rw = 0xf0, .write = write_forwarding,
	  .name = "I/O Base", .section = "PPB 1.2 3.2.5.6" },
	{ .offset = IO_LIMIT, .width = 1, .reset = 0x01, .rw = 0xf0, .write = write_forwarding,
	  .name = "I/O Limit", .section = "PPB 1.2 3.2.5.6" },
	{ .offset = 0x1e, .width = 2, .w1c = 0xf900, .name = "Secondary Status",
	  .section = "PPB 1.2 3.2.5.7" },
	{ .offset = MEMORY_BASE, .width = 2, .rw = 0xfff0, .write = write_forwarding,
	  .name = "Memory Base", .section = "PPB 1.2 3.2.5.8" },
	{ .offset = MEMORY_LIMIT, .width = 2, .rw = 0xfff0, .write = write_forwarding,
	  .name = "Memory Limit", .section = "PPB 1.2 3.2.5.8" },
	{ .offset = PREFETCHABLE_BASE, .width = 2, .reset = 0x0001, .rw = 0xfff0,
	  .write = write_forwarding, .name = "Prefetchable Memory Base",
	  .section = "PPB 1.2 3.2.5.9" },
	{ .offset = PREFETCHABLE_LIMIT, .width = 2, .reset = 0x0001, .rw = 0xfff0,
	  .write = write_forwarding, .name = "Prefetchable Memory Limit",
	  .section = "PPB 1.2 3.2.5.9" },
	{ .offset = PREFETCHABLE_UPPER, .width = 4, .rw = 0xffffffff, .write = write_forwarding,
	  .name = "Prefetchable Base Upper 32 Bits", .section = "PPB 1.2 3.2.5.10" },
	{ .offset = PREFETCHABLE_TOP, .width = 4, .rw = 0xffffffff, .write = write_forwarding,
	  .name = "Prefetchable Limit Upper 32 Bits", .section = "PPB 1.2 3.2.5.10" },
	{ .offset = IO_BASE_UPPER, .width = 2, .rw = 0xffff, .write = write_forwarding,
	  .name = "I/O Base Upper 16 Bits", .section = "PPB 1.2 3.2.5.11" },
	{ .offset = IO_LIMIT_UPPER, .width = 2, .rw = 0xffff, .write = write_forwarding,
	  .name = "I/O Limit Upper 16 Bits", .section = "PPB 1.2 3.2.5.11" },
	{ .offset = 0x34, .width = 1, .name = "Capabilities Pointer", .section = "PCI 3.0 6.7" },
	{ .offset = 0x38, .width = 4, .name = "Expansion ROM Base Address",
	  .section = "PPB 1.2 3.2.5.14" },
	{ .offset = 0x3c, .width = 1, .rw = 0xff, .name = "Interrupt Line",
	  .section = "PCI 3.0 6.2.4" },
	{ .offset = 0x3d, .width = 1, .name = "Interrupt Pin", .section = "PCI 3.0 6.2.4" },
	{ .offset = BRIDGE_CONTROL, .width = 2, .rw = 0x0043, .write = write_bridge_control,
	  .name = "Bridge Control", .section = "PPB 1.2 3.2.5.18" },
};
const unsigned pci_bridge_nrows = PEAL_COUNT_OF(pci_bridge_rows);
/* clang-format on */

/* ---- what the registers say ---- */

static uint64_t get(const struct peal_pci_function *function, uint32_t offset, unsigned width)
{
	return peal_reg_get(function->image, offset, width);
}

/* Under the function's mutex. */
static struct pci_forwarding read_forwarding(const struct peal_pci_function *f)
{
	uint16_t command = pci_effective_command(f);
	struct pci_forwarding to = {
		.bus = (uint8_t)get(f, SECONDARY, 1),
		.subordinate = (uint8_t)get(f, SUBORDINATE, 1),
		.master = command & PCI_COMMAND_BUS_MASTER,
	};

	if (command & PCI_COMMAND_MEMORY) {
		to.memory = pci_window(get(f, MEMORY_BASE, 2) << 16,
				       get(f, MEMORY_LIMIT, 2) << 16 | 0xfffff);
		to.prefetchable = pci_window((get(f, PREFETCHABLE_BASE, 2) & 0xfff0) << 16 |
						     get(f, PREFETCHABLE_UPPER, 4) << 32,
					     (get(f, PREFETCHABLE_LIMIT, 2) & 0xfff0) << 16 |
						     0xfffff | get(f, PREFETCHABLE_TOP, 4) << 32);
	}
	if (command & PCI_COMMAND_IO)
		to.io = pci_window((get(f, IO_BASE, 1) & 0xf0) << 8 | get(f, IO_BASE_UPPER, 2)
									      << 16,
				   (get(f, IO_LIMIT, 1) & 0xf0) << 8 | 0xfff |
					   get(f, IO_LIMIT_UPPER, 2) << 16);
	return to;
}

struct pci_forwarding pci_bridge_forwarding(struct peal_pci_bridge *bridge)
{
	struct pci_forwarding forwarding;

	peal_mutex_lock(&bridge->function->mutex);
	forwarding = read_forwarding(bridge->function);
	peal_mutex_unlock(&bridge->function->mutex);
	return forwarding;
}

void pci_bridge_update(struct peal_pci_bridge *bridge)
{
	pci_bus_update_forwarding(bridge->secondary, bridge);
}

struct peal_pci_bus *pci_bridge_secondary(struct peal_pci_bridge *bridge)
{
	return bridge->secondary;
}

/* ---- INTx: a line behind the bridge is one of the bridge's device, swizzled again (§9.1) ---- */

static unsigned primary_pin(const struct peal_pci_bridge *bridge, unsigned pin)
{
	return ((bridge->function->devfn >> 3) + pin) % 4;
}

static void forward_intx(void *user, unsigned pin, bool asserted)
{
	struct peal_pci_bridge *bridge = user;

	pci_bus_intx(bridge->primary, primary_pin(bridge, pin), asserted);
}

void pci_bridge_intx_eoi(struct peal_pci_bridge *bridge, unsigned pin)
{
	for (unsigned behind = 0; behind < 4; behind++) {
		if (primary_pin(bridge, behind) == pin)
			pci_bus_intx_eoi(bridge->secondary, behind);
	}
}

/* ---- life ---- */

int peal_pci_bridge_new(struct peal_pci_bridge **ret, struct peal_pci_bus *primary, uint8_t devfn,
			const struct peal_pci_function_config *config)
{
	struct peal_pci_bridge *bridge = peal_alloc(config->host, sizeof(*bridge));
	struct peal_pci_bus_config bus = pci_bus_behind(primary);
	int r;

	if (!bridge)
		return -ENOMEM;
	bridge->host = config->host;
	bridge->primary = primary;
	bus.intx = forward_intx;
	bus.intx_user = bridge;
	r = peal_pci_bus_new(&bridge->secondary, &bus);
	if (r == 0) {
		pci_bus_set_primary(bridge->secondary, primary);
		r = pci_function_new(&bridge->function, config, pci_bridge_rows, pci_bridge_nrows,
				     1);
	}
	if (r == 0)
		r = peal_pci_function_add_power_management(bridge->function);
	if (r == 0)
		r = pci_function_add_root_port(bridge->function);
	if (r == 0) {
		bridge->function->bridge = bridge;
		r = peal_pci_bus_plug(primary, devfn, bridge->function);
	}
	if (r < 0) {
		peal_pci_function_free(bridge->function);
		peal_pci_bus_free(bridge->secondary);
		peal_free(bridge->host, bridge, sizeof(*bridge));
		return r;
	}
	*ret = bridge;
	return 0;
}

void peal_pci_bridge_free(struct peal_pci_bridge *bridge)
{
	if (!bridge)
		return;
	peal_pci_bus_unplug(bridge->primary, bridge->function);
	peal_pci_function_free(bridge->function);
	peal_pci_bus_free(bridge->secondary);
	peal_free(bridge->host, bridge, sizeof(*bridge));
}

struct peal_pci_bus *peal_pci_bridge_bus(struct peal_pci_bridge *bridge)
{
	return bridge->secondary;
}

struct peal_pci_function *peal_pci_bridge_function(struct peal_pci_bridge *bridge)
{
	return bridge->function;
}
