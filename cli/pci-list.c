/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two lists of capabilities. PCI Local Bus 3.0 §6.7; PCI Express Base 6.0 §7.6, §7.7, §7.9.
 *
 * Lists come from anywhere, so they are not believed: a position is visited once, it lies behind
 * the header (or the conventional space), and a structure that overlaps another or leaves the space
 * is reported. A walk therefore ends after at most one step for each dword of the space.
 */
#include <inttypes.h>
#include <stdio.h>

#include "pci-print-internal.h"

#define STATUS_CAPABILITIES 0x0010u
#define ID_SUBSYSTEM        0x0du

/* A structure that the printer knows; without print only its name is told. */
struct capability {
	uint16_t id;
	uint16_t size; /* at least so many bytes */
	const char *name;
	void (*print)(struct pci_print *p, uint32_t at); /* prints the name itself */
	uint32_t (*full_size)(const struct pci_print *p, uint32_t at);
};

/* clang-format off */
static const struct capability capabilities[] = {
	{ 0x00, 2, "Null", NULL, NULL },
	{ 0x01, 8, "Power Management", pci_print_power_management, NULL },
	{ 0x02, 2, "AGP", NULL, NULL },
	{ 0x03, 8, "Vital Product Data", NULL, NULL },
	{ 0x04, 4, "Slot ID", NULL, NULL },
	{ 0x05, 10, "MSI", pci_print_msi, pci_print_msi_size },
	{ 0x06, 4, "CompactPCI hot-swap", NULL, NULL },
	{ 0x07, 2, "PCI-X", NULL, NULL },
	{ 0x08, 2, "HyperTransport", NULL, NULL },
	{ 0x09, 3, "Vendor Specific Information", pci_print_vendor, pci_print_vendor_size },
	{ 0x0a, 4, "Debug port", NULL, NULL },
	{ 0x0b, 2, "CompactPCI central resource control", NULL, NULL },
	{ 0x0c, 4, "Hot-plug capable", NULL, NULL },
	{ ID_SUBSYSTEM, 8, "Subsystem", pci_print_subsystem, NULL },
	{ 0x0e, 2, "AGP3", NULL, NULL },
	{ 0x0f, 2, "Secure device", NULL, NULL },
	{ 0x10, 20, "Express", pci_print_express, pci_print_express_size },
	{ 0x11, 12, "MSI-X", pci_print_msix, NULL },
	{ 0x12, 8, "SATA HBA", NULL, NULL },
	{ 0x13, 6, "PCI Advanced Features", NULL, NULL },
	{ 0x14, 4, "Enhanced Allocation (EA)", NULL, NULL },
	{ 0x15, 4, "Flattening Portal Bridge", NULL, NULL },
};

static const struct capability extended[] = {
	{ 0x00, 4, "Null", NULL, NULL },
	{ 0x01, 0x2c, "Advanced Error Reporting", pci_print_error_reporting,
	  pci_print_error_reporting_size },
	{ 0x02, 4, "Virtual Channel", NULL, NULL },
	{ 0x03, 12, "Device Serial Number", pci_print_serial_number, NULL },
	{ 0x04, 4, "Power Budgeting", NULL, NULL },
	{ 0x05, 4, "Root Complex Link", NULL, NULL },
	{ 0x06, 4, "Root Complex Internal Link", NULL, NULL },
	{ 0x07, 4, "Root Complex Event Collector Endpoint Association", NULL, NULL },
	{ 0x08, 4, "Multi-Function Virtual Channel", NULL, NULL },
	{ 0x09, 4, "Virtual Channel", NULL, NULL },
	{ 0x0a, 4, "Root Complex Register Block", NULL, NULL },
	{ 0x0b, 8, "Vendor Specific Information", NULL, NULL },
	{ 0x0d, 4, "Access Control Services", NULL, NULL },
	{ 0x0e, 8, "Alternative Routing-ID Interpretation (ARI)", NULL, NULL },
	{ 0x0f, 8, "Address Translation Service (ATS)", NULL, NULL },
	{ 0x10, 0x40, "Single Root I/O Virtualization (SR-IOV)", NULL, NULL },
	{ 0x11, 4, "Multi-Root I/O Virtualization", NULL, NULL },
	{ 0x12, 4, "Multicast", NULL, NULL },
	{ 0x13, 16, "Page Request Interface (PRI)", NULL, NULL },
	{ 0x15, 12, "Physical Resizable BAR", NULL, NULL },
	{ 0x16, 4, "Dynamic Power Allocation", NULL, NULL },
	{ 0x17, 12, "Transaction Processing Hints", NULL, NULL },
	{ 0x18, 8, "Latency Tolerance Reporting", NULL, NULL },
	{ 0x19, 12, "Secondary PCI Express", NULL, NULL },
	{ 0x1a, 4, "Protocol Multiplexing", NULL, NULL },
	{ 0x1b, 8, "Process Address Space ID (PASID)", NULL, NULL },
	{ 0x1c, 8, "LN Requester", NULL, NULL },
	{ 0x1d, 12, "Downstream Port Containment", NULL, NULL },
	{ 0x1e, 16, "L1 PM Substates", NULL, NULL },
	{ 0x1f, 12, "Precision Time Measurement", NULL, NULL },
	{ 0x23, 10, "Designated Vendor-Specific", NULL, NULL },
	{ 0x24, 12, "VF Resizable BAR", NULL, NULL },
	{ 0x25, 12, "Data Link Feature", NULL, NULL },
	{ 0x26, 0x20, "Physical Layer 16.0 GT/s", NULL, NULL },
	{ 0x27, 8, "Lane Margining at the Receiver", NULL, NULL },
	{ 0x28, 16, "Hierarchy ID", NULL, NULL },
	{ 0x29, 16, "Native PCIe Enclosure Management", NULL, NULL },
	{ 0x2a, 0x20, "Physical Layer 32.0 GT/s", NULL, NULL },
	{ 0x2b, 12, "Alternate Protocol", NULL, NULL },
	{ 0x2c, 16, "System Firmware Intermediary", NULL, NULL },
	{ 0x2d, 16, "Shadow Functions", NULL, NULL },
	{ 0x2e, 24, "Data Object Exchange", NULL, NULL },
	{ 0x2f, 16, "Device 3", NULL, NULL },
	{ 0x30, 12, "Integrity and Data Encryption", NULL, NULL },
	{ 0x31, 16, "Physical Layer 64.0 GT/s", NULL, NULL },
};
/* clang-format on */

static const struct capability *find(const struct capability *rows, size_t nrows, unsigned id)
{
	for (size_t i = 0; i < nrows; i++) {
		if (rows[i].id == id)
			return &rows[i];
	}
	return NULL;
}

/* Marks the dwords of a structure as its own, and reports the first that is taken. */
static void claim(struct pci_print *p, uint32_t at, uint32_t size)
{
	uint32_t taken = 0;

	for (uint32_t i = at / 4; i < (at + size + 3) / 4; i++) {
		if (p->owner[i] && !taken)
			taken = p->owner[i];
		p->owner[i] = (uint16_t)at;
	}
	if (taken)
		pci_print_problem(p, "Capability [%02" PRIx32 "] overlaps [%02" PRIx32 "]", at,
				  taken);
}

/* What follows the position: the decoded structure, or its name. END is that of the space. */
static void print_structure(struct pci_print *p, const struct capability *c, unsigned id,
			    uint32_t at, uint32_t end)
{
	uint32_t size = c ? c->size : 2;
	bool fits = peal_in_range(at, size, end);
	struct pci_out *o = p->out;

	pci_out_number(o, "position", at);
	pci_out_number(o, "id", id);
	pci_out_string(o, "name", c ? c->name : NULL);
	if (c && c->print && fits) {
		c->print(p, at);
		if (c->full_size)
			size = c->full_size(p, at);
		fits = peal_in_range(at, size, end);
	} else if (c) {
		pci_out_text(o, "%s\n", c->name);
	} else {
		pci_out_text(o,
			     end == PCI_CONVENTIONAL_SIZE ? "Capability ID %#04x [%04x]\n"
							  : "Extended Capability ID %#x\n",
			     id, (unsigned)pci_print_get(p, at + 2, 2));
	}
	if (!fits)
		pci_print_problem(p,
				  "Capability [%02" PRIx32 "] of %" PRIu32
				  " bytes ends past %#" PRIx32,
				  at, size, end);
	claim(p, at, fits ? size : end - at);
}

/* Was AT visited? Positions are multiples of 4. */
static bool is_visited(uint32_t *visited, uint32_t at)
{
	uint32_t bit = UINT32_C(1) << (at / 4 % 32), *word = &visited[at / 4 / 32];
	bool was = *word & bit;

	*word |= bit;
	return was;
}

static void print_conventional(struct pci_print *p)
{
	uint32_t visited[PCI_CONVENTIONAL_SIZE / 4 / 32] = { 0 }, at, from = 0x34;
	uint32_t end = p->size < PCI_CONVENTIONAL_SIZE ? p->size : PCI_CONVENTIONAL_SIZE;

	/* The low two bits of a pointer are reserved (§6.7). */
	for (at = p->config[from] & 0xfcu; at; at = p->config[from] & 0xfcu) {
		if (at >= end && end < PCI_CONVENTIONAL_SIZE) {
			pci_out_text(p->out, "\tCapabilities: <not in the dump>\n");
			pci_out_bool(p->out, "truncated", true);
			return;
		}
		if (at < PCI_HEADER_SIZE) {
			pci_print_problem(p,
					  "Capability pointer at %02" PRIx32
					  " points into the header, to %02" PRIx32,
					  from, at);
			return;
		}
		if (is_visited(visited, at)) {
			pci_out_text(p->out, "\tCapabilities: [%02" PRIx32 "] <chain looped>\n",
				     at);
			pci_print_problem(p,
					  "Capability pointer at %02" PRIx32
					  " closes a loop, to %02" PRIx32,
					  from, at);
			return;
		}
		pci_out_text(p->out, "\tCapabilities: [%02" PRIx32 "] ", at);
		if (p->config[at] == 0xff) {
			pci_out_text(p->out, "<chain broken>\n");
			pci_print_problem(p, "Capability at %02" PRIx32 " reads all ones", at);
			return;
		}
		pci_out_open_in(p->out, "capabilities");
		print_structure(p, find(capabilities, PEAL_COUNT_OF(capabilities), p->config[at]),
				p->config[at], at, PCI_CONVENTIONAL_SIZE);
		pci_out_close(p->out);
		from = at + 1;
	}
}

/* PCIe 7.6.3: id in 15:0, version in 19:16, next in 31:20. No list: a header of zeroes. */
static void print_extended(struct pci_print *p)
{
	uint32_t visited[PEAL_PCI_CONFIG_SIZE / 4 / 32] = { 0 };
	uint32_t at = PCI_CONVENTIONAL_SIZE, from = 0;

	while (at) {
		uint32_t head = pci_print_get(p, at, 4);

		if (at < PCI_CONVENTIONAL_SIZE) {
			pci_print_problem(p,
					  "Extended capability [%03" PRIx32
					  "] is followed by %03" PRIx32
					  ", which is conventional space",
					  from, at);
			return;
		}
		if (is_visited(visited, at)) {
			pci_out_text(p->out, "\tCapabilities: [%03" PRIx32 " v%u] <chain looped>\n",
				     at, pci_print_field(head, 19, 16));
			pci_print_problem(p,
					  "Extended capability [%03" PRIx32
					  "] closes a loop, to %03" PRIx32,
					  from, at);
			return;
		}
		if (!head || head == 0xffffffff) {
			if (from)
				pci_print_problem(p,
						  "Extended capability [%03" PRIx32
						  "] is followed by %03" PRIx32 ", where there is "
						  "none",
						  from, at);
			return;
		}
		pci_out_text(p->out, "\tCapabilities: [%03" PRIx32 " v%u] ", at,
			     pci_print_field(head, 19, 16));
		pci_out_open_in(p->out, "extended_capabilities");
		pci_out_number(p->out, "version", pci_print_field(head, 19, 16));
		print_structure(p, find(extended, PEAL_COUNT_OF(extended), head & 0xffff),
				head & 0xffff, at, p->size);
		pci_out_close(p->out);
		from = at;
		at = head >> 20 & 0xffcu;
	}
}

uint32_t pci_print_subsystem_at(const struct pci_print *p)
{
	uint32_t at = p->config[0x34] & 0xfcu;

	if (!(pci_print_get(p, 0x06, 2) & STATUS_CAPABILITIES))
		return 0;
	for (unsigned i = 0; i < PCI_CONVENTIONAL_SIZE / 4 && at >= PCI_HEADER_SIZE; i++) {
		if (p->config[at] == 0xff)
			return 0;
		if (p->config[at] == ID_SUBSYSTEM)
			return at + 4;
		at = p->config[at + 1] & 0xfcu;
	}
	return 0;
}

void pci_print_lists(struct pci_print *p)
{
	if (pci_print_get(p, 0x06, 2) & STATUS_CAPABILITIES)
		print_conventional(p);
	/* The extended space comes with PCI Express (§7.2). */
	if (p->size > PCI_CONVENTIONAL_SIZE && p->express_type != PCI_EXPRESS_NONE)
		print_extended(p);
}
