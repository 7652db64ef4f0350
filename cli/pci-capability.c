/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Small capabilities: Power Management, vendor specific with the structures of virtio, subsystem,
 * serial number. PCI Power Management 1.2 §3.2; Virtio 1.2 §4.1.4; PCI-to-PCI Bridge 1.2 §3.2.5.
 */
#include <inttypes.h>
#include <stdio.h>

#include <peal/virtio-abi.h>

#include "pci-print-internal.h"

/* clang-format off */
static const struct pci_flag power_flags[] = {
	{ 0x0008, "PMEClk" }, { 0x0020, "DSI" }, { 0x0200, "D1" }, { 0x0400, "D2" }, { 0, NULL },
};
static const struct pci_flag power_event_flags[] = {
	{ 0x0800, "D0" }, { 0x1000, "D1" }, { 0x2000, "D2" }, { 0x4000, "D3hot" },
	{ 0x8000, "D3cold" }, { 0, NULL },
};
static const struct pci_flag power_status_flags[] = {
	{ 0x0008, "NoSoftRst" }, { 0x0100, "PME-Enable" }, { 0, NULL },
};
static const struct pci_flag power_event_status[] = { { 0x8000, "PME" }, { 0, NULL } };
/* B2_B3# tells B3 when it is clear. */
static const struct pci_flag power_bridge_flags[] = {
	{ 0x80, "PM" }, { 0x40, "B3" }, { 0, NULL },
};
/* clang-format on */

void pci_print_power_management(struct pci_print *p, uint32_t at)
{
	/* mA that 3.3Vaux takes in D3cold (§3.2.3). */
	static const unsigned currents[] = { 0, 55, 100, 160, 220, 270, 320, 375 };
	uint32_t capabilities = pci_print_get(p, at + 2, 2);
	uint32_t status = pci_print_get(p, at + 4, 2);
	unsigned bridge = p->config[at + 6];
	struct pci_out *o = p->out;

	pci_out_text(o, "Power Management version %u\n\t\tFlags: ", capabilities & 7);
	pci_out_number(o, "version", capabilities & 7);
	pci_out_flags(o, capabilities, power_flags, " ");
	pci_out_text(o, " AuxCurrent=%umA PME(", currents[capabilities >> 6 & 7]);
	pci_out_number(o, "aux_current_ma", currents[capabilities >> 6 & 7]);
	pci_out_open(o, "pme_from");
	pci_out_flags(o, capabilities, power_event_flags, ",");
	pci_out_close(o);
	pci_out_text(o, ")\n\t\tStatus: D%u ", status & 3);
	pci_out_number(o, "state", status & 3);
	pci_out_flags(o, status, power_status_flags, " ");
	pci_out_text(o, " DSel=%u DScale=%u ", status >> 9 & 0xf, status >> 13 & 3);
	pci_out_number(o, "DSel", status >> 9 & 0xf);
	pci_out_number(o, "DScale", status >> 13 & 3);
	pci_out_flags(o, status, power_event_status, " ");
	pci_out_text(o, "\n");
	if (!bridge)
		return;
	pci_out_text(o, "\t\tBridge: ");
	pci_out_open(o, "bridge");
	pci_out_flags(o, bridge ^ 0x40u, power_bridge_flags, " ");
	pci_out_close(o);
	pci_out_text(o, "\n");
}

/* ---- vendor specific ---- */

static const char *const virtio_names[] = {
	[PEAL_VIRTIO_PCI_CAP_COMMON] = "CommonCfg",
	[PEAL_VIRTIO_PCI_CAP_NOTIFY] = "Notify",
	[PEAL_VIRTIO_PCI_CAP_ISR] = "ISR",
	[PEAL_VIRTIO_PCI_CAP_DEVICE] = "DeviceCfg",
};

/* What these are called in JSON, where also those have names that lspci does not know. */
static const char *const virtio_structures[] = {
	[PEAL_VIRTIO_PCI_CAP_COMMON] = "common configuration",
	[PEAL_VIRTIO_PCI_CAP_NOTIFY] = "notification",
	[PEAL_VIRTIO_PCI_CAP_ISR] = "ISR status",
	[PEAL_VIRTIO_PCI_CAP_DEVICE] = "device configuration",
	[PEAL_VIRTIO_PCI_CAP_PCI] = "PCI configuration access",
	[PEAL_VIRTIO_PCI_CAP_SHARED_MEMORY] = "shared memory",
};

/* §4.1.2: 0x1000..0x107f, the transitional devices first. */
static bool is_virtio(const struct pci_print *p)
{
	uint32_t device = pci_print_get(p, 2, 2);

	return pci_print_get(p, 0, 2) == PEAL_VIRTIO_PCI_VENDOR && device >= 0x1000 &&
	       device <= 0x107f;
}

static void print_virtio(struct pci_print *p, uint32_t at)
{
	unsigned type = p->config[at + PEAL_VIRTIO_PCI_CAP_TYPE];
	unsigned bar = p->config[at + PEAL_VIRTIO_PCI_CAP_BAR];
	uint32_t offset = pci_print_get(p, at + PEAL_VIRTIO_PCI_CAP_OFFSET, 4);
	uint32_t size = pci_print_get(p, at + PEAL_VIRTIO_PCI_CAP_LENGTH, 4);
	uint32_t multiplier = pci_print_get(p, at + PEAL_VIRTIO_PCI_CAP_MULTIPLIER, 4);
	const char *name = type < PEAL_COUNT_OF(virtio_names) ? virtio_names[type] : NULL;
	bool notify = type == PEAL_VIRTIO_PCI_CAP_NOTIFY &&
		      p->config[at + PEAL_VIRTIO_PCI_CAP_LEN] >= PEAL_VIRTIO_PCI_CAP_MULTIPLIER + 4;
	struct pci_out *o = p->out;

	pci_out_text(o, "VirtIO: %s\n", name ? name : "<unknown>");
	pci_out_text(o, "\t\tBAR=%u offset=%08" PRIx32 " size=%08" PRIx32, bar, offset, size);
	if (notify)
		pci_out_text(o, " multiplier=%08" PRIx32, multiplier);
	pci_out_text(o, "\n");
	pci_out_open(o, "virtio");
	pci_out_number(o, "type", type);
	pci_out_string(o, "structure",
		       type < PEAL_COUNT_OF(virtio_structures) ? virtio_structures[type] : NULL);
	pci_out_number(o, "bar", bar);
	pci_out_number(o, "offset", offset);
	pci_out_number(o, "size", size);
	if (notify)
		pci_out_number(o, "multiplier", multiplier);
	pci_out_close(o);
}

uint32_t pci_print_vendor_size(const struct pci_print *p, uint32_t at)
{
	return p->config[at + 2] < 3 ? 3 : p->config[at + 2];
}

void pci_print_vendor(struct pci_print *p, uint32_t at)
{
	unsigned length = p->config[at + 2];

	pci_out_text(p->out, "Vendor Specific Information: ");
	pci_out_number(p->out, "length", length);
	if (is_virtio(p) && length >= PEAL_VIRTIO_PCI_CAP_SIZE &&
	    peal_in_range(at, length, PCI_CONVENTIONAL_SIZE)) {
		print_virtio(p, at);
		return;
	}
	pci_out_text(p->out, "Len=%02x <?>\n", length);
	if (length < 3)
		pci_print_problem(p,
				  "Capability [%02" PRIx32 "] has a length of %u, less than its "
				  "header",
				  at, length);
}

/* ---- others ---- */

void pci_print_subsystem(struct pci_print *p, uint32_t at)
{
	uint16_t vendor = (uint16_t)pci_print_get(p, at + 4, 2);
	uint16_t device = (uint16_t)pci_print_get(p, at + 6, 2);
	const uint16_t ids[4] = { (uint16_t)pci_print_get(p, 0, 2),
				  (uint16_t)pci_print_get(p, 2, 2), vendor, device };
	char name[256];

	pci_names_subsystem(p->names, ids, name, sizeof(name));
	pci_out_text(p->out, "Subsystem: %s\n", name);
	pci_out_number(p->out, "vendor_id", vendor);
	pci_out_number(p->out, "device_id", device);
}

void pci_print_serial_number(struct pci_print *p, uint32_t at)
{
	char text[32];
	int n = 0;

	for (unsigned i = 0; i < 8; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%s%02x", i ? "-" : "",
			      p->config[at + 11 - i]);
	pci_out_text(p->out, "Device Serial Number %s\n", text);
	pci_out_string(p->out, "serial_number", text);
}
