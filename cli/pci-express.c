/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PCI Express capability. PCI Express Base 6.0 §7.5.3.
 *
 * Which registers are there depends on the version and on the type of device or port: links of all
 * but what is integrated in the root complex, slots where Slot Implemented says so, root registers
 * of root ports and event collectors.
 */
#include <inttypes.h>
#include <stdio.h>

#include "pci-express.h"

#define SLOT_IMPLEMENTED 0x0100u
#define FLR_CAPABLE      0x10000000u
#define FLR_INITIATE     0x8000u

/* clang-format off */
static const char *const type_names[] = {
	[PCI_EXPRESS_ENDPOINT] = "Endpoint",
	[PCI_EXPRESS_LEGACY] = "Legacy Endpoint",
	[PCI_EXPRESS_ROOT_PORT] = "Root Port",
	[PCI_EXPRESS_UPSTREAM] = "Upstream Port",
	[PCI_EXPRESS_DOWNSTREAM] = "Downstream Port",
	[PCI_EXPRESS_TO_PCI] = "PCI-Express to PCI/PCI-X Bridge",
	[PCI_EXPRESS_FROM_PCI] = "PCI/PCI-X to PCI-Express Bridge",
	[PCI_EXPRESS_RC_ENDPOINT] = "Root Complex Integrated Endpoint",
	[PCI_EXPRESS_RC_EVENTS] = "Root Complex Event Collector",
};

static const struct pci_flag ext_tag[] = { { 0x20, "ExtTag" }, { 0, NULL } };
static const struct pci_flag indicator_flags[] = {
	{ 0x1000, "AttnBtn" }, { 0x2000, "AttnInd" }, { 0x4000, "PwrInd" }, { 0, NULL },
};
static const struct pci_flag role_based[] = { { 0x8000, "RBE" }, { 0, NULL } };
static const struct pci_flag reset_capable[] = { { FLR_CAPABLE, "FLReset" }, { 0, NULL } };
static const struct pci_flag reporting_flags[] = {
	{ 0x1, "CorrErr" }, { 0x2, "NonFatalErr" }, { 0x4, "FatalErr" }, { 0x8, "UnsupReq" },
	{ 0, NULL },
};
static const struct pci_flag control_flags[] = {
	{ 0x0010, "RlxdOrd" }, { 0x0100, "ExtTag" }, { 0x0200, "PhantFunc" }, { 0x0400, "AuxPwr" },
	{ 0x0800, "NoSnoop" }, { 0, NULL },
};
static const struct pci_flag reset_initiate[] = { { FLR_INITIATE, "FLReset" }, { 0, NULL } };
static const struct pci_flag retry_enable[] = { { FLR_INITIATE, "BrConfRtry" }, { 0, NULL } };
static const struct pci_flag status_flags[] = {
	{ 0x01, "CorrErr" }, { 0x02, "NonFatalErr" }, { 0x04, "FatalErr" }, { 0x08, "UnsupReq" },
	{ 0x10, "AuxPwr" }, { 0x20, "TransPend" }, { 0, NULL },
};
static const struct pci_flag slot_flags[] = {
	{ 0x01, "AttnBtn" }, { 0x02, "PwrCtrl" }, { 0x04, "MRL" }, { 0x08, "AttnInd" },
	{ 0x10, "PwrInd" }, { 0x40, "HotPlug" }, { 0x20, "Surprise" }, { 0, NULL },
};
static const struct pci_flag slot_lock_flags[] = {
	{ 0x20000, "Interlock" }, { 0x40000, "NoCompl" }, { 0, NULL },
};
static const struct pci_flag slot_enable_flags[] = {
	{ 0x0001, "AttnBtn" }, { 0x0002, "PwrFlt" }, { 0x0004, "MRL" }, { 0x0008, "PresDet" },
	{ 0x0010, "CmdCplt" }, { 0x0020, "HPIrq" }, { 0x1000, "LinkChg" }, { 0, NULL },
};
static const struct pci_flag slot_control_flags[] = {
	{ 0x0400, "Power" }, { 0x0800, "Interlock" }, { 0, NULL },
};
static const struct pci_flag slot_status_flags[] = {
	{ 0x01, "AttnBtn" }, { 0x02, "PowerFlt" }, { 0x20, "MRL" }, { 0x10, "CmdCplt" },
	{ 0x40, "PresDet" }, { 0x80, "Interlock" }, { 0, NULL },
};
static const struct pci_flag slot_changed_flags[] = {
	{ 0x004, "MRL" }, { 0x008, "PresDet" }, { 0x100, "LinkState" }, { 0, NULL },
};
static const struct pci_flag root_capability_flags[] = { { 1, "CRSVisible" }, { 0, NULL } };
static const struct pci_flag root_control_flags[] = {
	{ 0x01, "ErrCorrectable" }, { 0x02, "ErrNon-Fatal" }, { 0x04, "ErrFatal" },
	{ 0x08, "PMEIntEna" }, { 0x10, "CRSVisible" }, { 0, NULL },
};
static const struct pci_flag root_status_flags[] = {
	{ 0x10000, "PMEStatus" }, { 0x20000, "PMEPending" }, { 0, NULL },
};
/* clang-format on */

const char *pci_express_l0s(unsigned code)
{
	static const char *const names[] = { "<64ns", "<128ns", "<256ns", "<512ns",
					     "<1us",  "<2us",   "<4us",   "unlimited" };

	return names[code & 7];
}

const char *pci_express_l1(unsigned code)
{
	static const char *const names[] = { "<1us",  "<2us",  "<4us",  "<8us",
					     "<16us", "<32us", "<64us", "unlimited" };

	return names[code & 7];
}

static bool has_slot(uint32_t capabilities, unsigned type)
{
	return capabilities & SLOT_IMPLEMENTED &&
	       (type == PCI_EXPRESS_ROOT_PORT || type == PCI_EXPRESS_DOWNSTREAM ||
		type == PCI_EXPRESS_FROM_PCI);
}

static bool has_root(unsigned type)
{
	return type == PCI_EXPRESS_ROOT_PORT || type == PCI_EXPRESS_RC_EVENTS;
}

/* Version 1 ends with the last register that the device has (§7.5.3). */
uint32_t pci_print_express_size(const struct pci_print *p, uint32_t at)
{
	uint32_t capabilities = pci_print_get(p, at + 2, 2);
	unsigned type = capabilities >> 4 & 0xf;

	if ((capabilities & 0xf) >= 2)
		return 0x3c;
	if (has_root(type))
		return 0x24;
	return has_slot(capabilities, type) ? 0x1c : 0x14;
}

/*
 * §7.5.3.3, §7.5.3.9: value × 1, 0.1, 0.01, 0.001 W, in the fewest digits. From 0xf0 W on, steps of
 * 25 W from 250 W, and the last is more than all of them.
 */
static void print_power(struct pci_print *p, uint32_t value, unsigned scale)
{
	static const unsigned divisors[] = { 1, 10, 100, 1000 };
	char text[24];

	if (scale == 0 && value == 0xff)
		(void)snprintf(text, sizeof(text), ">600");
	else if (scale == 0 && value >= 0xf0)
		(void)snprintf(text, sizeof(text), "%" PRIu32, 250 + 25 * (value - 0xf0));
	else
		(void)snprintf(text, sizeof(text), "%g", (double)value / divisors[scale]);
	pci_out_text(p->out, "%sW", text);
	pci_out_string(p->out, "slot_power_limit_w", text);
}

static void print_device_capabilities(struct pci_print *p, uint32_t at, unsigned type)
{
	uint32_t value = pci_print_get(p, at + 4, 4);
	bool endpoint = type == PCI_EXPRESS_ENDPOINT || type == PCI_EXPRESS_LEGACY;
	struct pci_out *o = p->out;

	pci_out_text(o, "\t\tDevCap:\tMaxPayload %u bytes, PhantFunc %" PRIu32, 128u << (value & 7),
		     (UINT32_C(1) << (value >> 3 & 3)) - 1);
	pci_out_open(o, "device_capabilities");
	pci_out_number(o, "max_payload", UINT64_C(128) << (value & 7));
	if (endpoint) {
		pci_out_text(o, ", Latency L0s %s, L1 %s", pci_express_l0s(value >> 6),
			     pci_express_l1(value >> 9));
		pci_out_string(o, "latency_l0s", pci_express_l0s(value >> 6));
		pci_out_string(o, "latency_l1", pci_express_l1(value >> 9));
	}
	pci_out_text(o, "\n\t\t\t");
	pci_out_flags(o, value, ext_tag, " ");
	if (endpoint || type == PCI_EXPRESS_UPSTREAM || type == PCI_EXPRESS_TO_PCI) {
		pci_out_text(o, " ");
		pci_out_flags(o, value, indicator_flags, " ");
	}
	pci_out_text(o, " ");
	pci_out_flags(o, value, role_based, " ");
	if (endpoint || type == PCI_EXPRESS_RC_ENDPOINT) {
		pci_out_text(o, " ");
		pci_out_flags(o, value, reset_capable, " ");
	}
	if (type == PCI_EXPRESS_ENDPOINT || type == PCI_EXPRESS_UPSTREAM ||
	    type == PCI_EXPRESS_TO_PCI) {
		pci_out_text(o, " SlotPowerLimit ");
		print_power(p, value >> 18 & 0xff, value >> 26 & 3);
	}
	pci_out_close(o);
	pci_out_text(o, "\n");
}

/* Bit 15 is Initiate FLR, of a bridge to PCI: Bridge Configuration Retry Enable (§7.5.3.4). */
static void print_device_control(struct pci_print *p, uint32_t at, unsigned type)
{
	uint32_t control = pci_print_get(p, at + 8, 2), status = pci_print_get(p, at + 10, 2);
	bool resets = type == PCI_EXPRESS_ENDPOINT || type == PCI_EXPRESS_LEGACY ||
		      type == PCI_EXPRESS_RC_ENDPOINT;
	struct pci_out *o = p->out;

	pci_out_text(o, "\t\tDevCtl:\t");
	pci_out_open(o, "device_control");
	pci_out_flags(o, control, reporting_flags, " ");
	pci_out_text(o, "\n\t\t\t");
	pci_out_flags(o, control, control_flags, " ");
	if (type == PCI_EXPRESS_TO_PCI) {
		pci_out_text(o, " ");
		pci_out_flags(o, control, retry_enable, " ");
	}
	if (resets && pci_print_get(p, at + 4, 4) & FLR_CAPABLE) {
		pci_out_text(o, " ");
		pci_out_flags(o, control, reset_initiate, " ");
	}
	pci_out_text(o, "\n\t\t\tMaxPayload %u bytes, MaxReadReq %u bytes\n\t\tDevSta:\t",
		     128u << (control >> 5 & 7), 128u << (control >> 12 & 7));
	pci_out_number(o, "max_payload", UINT64_C(128) << (control >> 5 & 7));
	pci_out_number(o, "max_read_request", UINT64_C(128) << (control >> 12 & 7));
	pci_out_close(o);
	pci_out_open(o, "device_status");
	pci_out_flags(o, status, status_flags, " ");
	pci_out_close(o);
	pci_out_text(o, "\n");
}

static void print_slot_capabilities(struct pci_print *p, uint32_t at)
{
	uint32_t value = pci_print_get(p, at + 0x14, 4);
	struct pci_out *o = p->out;

	pci_out_text(o, "\t\tSltCap:\t");
	pci_out_open(o, "slot_capabilities");
	pci_out_flags(o, value, slot_flags, " ");
	pci_out_text(o, "\n\t\t\tSlot #%" PRIu32 ", PowerLimit ", value >> 19);
	pci_out_number(o, "slot", value >> 19);
	print_power(p, value >> 7 & 0xff, value >> 15 & 3);
	pci_out_text(o, "; ");
	pci_out_flags(o, value, slot_lock_flags, " ");
	pci_out_close(o);
	pci_out_text(o, "\n");
}

static void print_slot(struct pci_print *p, uint32_t at)
{
	static const char *const indicators[] = { "Unknown", "On", "Blink", "Off" };
	uint32_t control = pci_print_get(p, at + 0x18, 2), status = pci_print_get(p, at + 0x1a, 2);
	struct pci_out *o = p->out;

	print_slot_capabilities(p, at);
	pci_out_text(o, "\t\tSltCtl:\tEnable: ");
	pci_out_open(o, "slot_control");
	pci_out_open(o, "enable");
	pci_out_flags(o, control, slot_enable_flags, " ");
	pci_out_close(o);
	pci_out_text(o, "\n\t\t\tControl: AttnInd %s, PwrInd %s, ", indicators[control >> 6 & 3],
		     indicators[control >> 8 & 3]);
	pci_out_string(o, "AttnInd", indicators[control >> 6 & 3]);
	pci_out_string(o, "PwrInd", indicators[control >> 8 & 3]);
	pci_out_flags(o, control, slot_control_flags, " ");
	pci_out_close(o);
	pci_out_text(o, "\n\t\tSltSta:\tStatus: ");
	pci_out_open(o, "slot_status");
	pci_out_flags(o, status, slot_status_flags, " ");
	pci_out_text(o, "\n\t\t\tChanged: ");
	pci_out_open(o, "changed");
	pci_out_flags(o, status, slot_changed_flags, " ");
	pci_out_close(o);
	pci_out_close(o);
	pci_out_text(o, "\n");
}

static void print_root(struct pci_print *p, uint32_t at)
{
	uint32_t status = pci_print_get(p, at + 0x20, 4);
	struct pci_out *o = p->out;

	pci_out_open(o, "root");
	pci_out_text(o, "\t\tRootCap: ");
	pci_out_open(o, "capabilities");
	pci_out_flags(o, pci_print_get(p, at + 0x1e, 2), root_capability_flags, " ");
	pci_out_close(o);
	pci_out_text(o, "\n\t\tRootCtl: ");
	pci_out_open(o, "control");
	pci_out_flags(o, pci_print_get(p, at + 0x1c, 2), root_control_flags, " ");
	pci_out_close(o);
	pci_out_text(o, "\n\t\tRootSta: PME ReqID %04" PRIx32 ", ", status & 0xffff);
	pci_out_open(o, "status");
	pci_out_number(o, "pme_requester_id", status & 0xffff);
	pci_out_flags(o, status, root_status_flags, " ");
	pci_out_close(o);
	pci_out_close(o);
	pci_out_text(o, "\n");
}

void pci_print_express(struct pci_print *p, uint32_t at)
{
	uint32_t capabilities = pci_print_get(p, at + 2, 2);
	unsigned version = capabilities & 0xf, type = capabilities >> 4 & 0xf;
	const char *name = type < PEAL_COUNT_OF(type_names) ? type_names[type] : NULL;
	bool linked = type != PCI_EXPRESS_RC_ENDPOINT && type != PCI_EXPRESS_RC_EVENTS;
	struct pci_out *o = p->out;

	p->express_type = type;
	pci_out_text(o, "Express (v%u) ", version);
	if (name)
		pci_out_text(o, "%s", name);
	else
		pci_out_text(o, "Unknown type %u", type);
	if (type == PCI_EXPRESS_ROOT_PORT || type == PCI_EXPRESS_DOWNSTREAM ||
	    type == PCI_EXPRESS_FROM_PCI)
		pci_out_text(o, " (Slot%c)", capabilities & SLOT_IMPLEMENTED ? '+' : '-');
	pci_out_text(o, ", MSI %02" PRIx32 "\n", capabilities >> 9 & 0x1f);
	pci_out_number(o, "version", version);
	pci_out_number(o, "type", type);
	pci_out_string(o, "type_name", name);
	pci_out_bool(o, "slot", capabilities & SLOT_IMPLEMENTED);
	pci_out_number(o, "interrupt_message", capabilities >> 9 & 0x1f);
	if (!peal_in_range(at, pci_print_express_size(p, at), PCI_CONVENTIONAL_SIZE))
		return; /* reported by the list */
	print_device_capabilities(p, at, type);
	print_device_control(p, at, type);
	if (linked)
		pci_express_link(p, at, type);
	if (has_slot(capabilities, type))
		print_slot(p, at);
	if (has_root(type))
		print_root(p, at);
	if (version >= 2)
		pci_express_second(p, at, type, linked);
}
