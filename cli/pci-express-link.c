/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PCI Express capability, continued: the link registers, and those that came with version 2.
 * PCI Express Base 6.0 §7.5.3.6 to §7.5.3.8, §7.5.3.15 to §7.5.3.20.
 */
#include <inttypes.h>
#include <stdio.h>

#include "pci-express.h"

/* clang-format off */
static const struct pci_flag link_flags[] = {
	{ 0x00040000, "ClockPM" }, { 0x00080000, "Surprise" }, { 0x00100000, "LLActRep" },
	{ 0x00200000, "BwNot" }, { 0x00400000, "ASPMOptComp" }, { 0, NULL },
};
static const struct pci_flag link_control_flags[] = {
	{ 0x0010, "Disabled" }, { 0x0040, "CommClk" }, { 0, NULL },
};
static const struct pci_flag link_control_flags_more[] = {
	{ 0x0080, "ExtSynch" }, { 0x0100, "ClockPM" }, { 0x0200, "AutWidDis" }, { 0x0400, "BWInt" },
	{ 0x0800, "AutBWInt" }, { 0, NULL },
};
static const struct pci_flag link_status_flags[] = {
	{ 0x0400, "TrErr" }, { 0x0800, "Train" }, { 0x1000, "SlotClk" }, { 0x2000, "DLActive" },
	{ 0x4000, "BWMgmt" }, { 0x8000, "ABWMgmt" }, { 0, NULL },
};
static const struct pci_flag device2_flags[] = {
	{ 0x0010, "TimeoutDis" }, { 0x0400, "NROPrPrP" }, { 0x0800, "LTR" }, { 0, NULL },
};
static const struct pci_flag device2_tag_flags[] = {
	{ 0x10000, "10BitTagComp" }, { 0x20000, "10BitTagReq" }, { 0, NULL },
};
static const struct pci_flag device2_prefix_flags[] = {
	{ 0x100000, "ExtFmt" }, { 0x200000, "EETLPPrefix" }, { 0, NULL },
};
static const struct pci_flag device2_power_flags[] = {
	{ 0x4000000, "EmergencyPowerReductionInit" }, { 0, NULL },
};
static const struct pci_flag device2_frs[] = { { 0x80000000, "FRS" }, { 0, NULL } };
static const struct pci_flag device2_arifwd[] = { { 0x20, "ARIFwd" }, { 0, NULL } };
static const struct pci_flag atomic_routing[] = { { 0x40, "Routing" }, { 0, NULL } };
static const struct pci_flag atomic_flags[] = {
	{ 0x080, "32bit" }, { 0x100, "64bit" }, { 0x200, "128bitCAS" }, { 0, NULL },
};
static const struct pci_flag control2_flags[] = {
	{ 0x0010, "TimeoutDis" }, { 0x0400, "LTR" }, { 0x1000, "10BitTagReq" }, { 0, NULL },
};
static const struct pci_flag atomic_request[] = { { 0x40, "ReqEn" }, { 0, NULL } };
static const struct pci_flag atomic_egress[] = { { 0x80, "EgressBlck" }, { 0, NULL } };
static const struct pci_flag link2_flags[] = {
	{ 0x00000100, "Crosslink" }, { 0x00800000, "Retimer" }, { 0x01000000, "2Retimers" },
	{ 0x80000000, "DRS" }, { 0, NULL },
};
static const struct pci_flag link_control2_flags[] = {
	{ 0x10, "EnterCompliance" }, { 0x20, "SpeedDis" }, { 0, NULL },
};
static const struct pci_flag link_control2_compliance[] = {
	{ 0x0400, "EnterModifiedCompliance" }, { 0x0800, "ComplianceSOS" }, { 0, NULL },
};
static const struct pci_flag link_status2_flags[] = {
	{ 0x02, "EqualizationComplete" }, { 0x04, "EqualizationPhase1" }, { 0, NULL },
};
static const struct pci_flag link_status2_flags_more[] = {
	{ 0x08, "EqualizationPhase2" }, { 0x10, "EqualizationPhase3" },
	{ 0x20, "LinkEqualizationRequest" }, { 0, NULL },
};
static const struct pci_flag link_status2_retimers[] = {
	{ 0x40, "Retimer" }, { 0x80, "2Retimers" }, { 0, NULL },
};
static const struct pci_flag link_status2_drs[] = { { 0x8000, "DRS" }, { 0, NULL } };

static const char *const speeds[] = {
	NULL, "2.5GT/s", "5GT/s", "8GT/s", "16GT/s", "32GT/s", "64GT/s",
};
static const char *const power_states[] = { "not supported", "L0s", "L1", "L0s L1" };
static const char *const enabled_states[] = {
	"Disabled", "L0s Enabled", "L1 Enabled", "L0s L1 Enabled",
};
/* The ranges that a device supports, §7.5.3.15. */
static const char *const timeout_ranges[16] = {
	"Not Supported", "Range A", "Range B", "Range AB", [6] = "Range BC", [7] = "Range ABC",
	[14] = "Range BCD", [15] = "Range ABCD",
};
static const char *const timeouts[16] = {
	"50us to 50ms", "50us to 100us", "1ms to 10ms", [5] = "16ms to 55ms",
	[6] = "65ms to 210ms", [9] = "260ms to 900ms", [10] = "1s to 3.5s", [13] = "4s to 13s",
	[14] = "17s to 64s",
};
static const char *const buffer_flush[] = {
	"Not Supported", "Via message", "Via WAKE#", "Via message/WAKE#",
};
static const char *const buffer_flush_control[] = {
	"Disabled", "Via message A", "Via message B", "Via WAKE#",
};
static const char *const power_reductions[] = {
	"Not Supported", "Dev Specific", "Form Factor Dev Specific", "Reserved",
};
static const char *const line_sizes[] = {
	"Not Supported", "64byte cachelines", "128byte cachelines", "Reserved",
};
static const char *const margins[8] = {
	"Normal Operating Range", "800-1200mV(full-swing)/400-700mV(half-swing)",
	"200-400mV(full-swing)/100-200mV(half-swing)", "200-400mV(full-swing)/100-200mV(half-swing)",
	"200-400mV(full-swing)/100-200mV(half-swing)", "200-400mV(full-swing)/100-200mV(half-swing)",
};
static const char *const presets[16] = {
	"-6dB de-emphasis, 0dB preshoot", "-3.5dB de-emphasis, 0dB preshoot",
	"-4.4dB de-emphasis, 0dB preshoot", "-2.5dB de-emphasis, 0dB preshoot",
	"0dB de-emphasis, 0dB preshoot", "0dB de-emphasis, 1.9dB preshoot",
	"0dB de-emphasis, 2.5dB preshoot", "-6.0dB de-emphasis, 3.5dB preshoot",
	"-3.5dB de-emphasis, 3.5dB preshoot", "0dB de-emphasis, 3.5dB preshoot",
};
static const char *const crosslinks[] = {
	"unsupported", "Upstream Port", "Downstream Port", "incomplete",
};
static const char *const components[8] = {
	"Link Down - Not Determined", "Link Down - Not Present", "Link Down - Present",
	NULL, "Link Up - Present", "Link Up - Present and DRS Received",
};
/* clang-format on */

static const char *or_unknown(const char *name)
{
	return name ? name : "Unknown";
}

static const char *speed_name(unsigned code)
{
	return code < PEAL_COUNT_OF(speeds) && speeds[code] ? speeds[code] : "unknown";
}

static void print_link_capabilities(struct pci_print *p, uint32_t value)
{
	unsigned states = value >> 10 & 3;
	struct pci_out *o = p->out;

	pci_out_text(o, "\t\tLnkCap:\tPort #%" PRIu32 ", Speed %s, Width x%" PRIu32 ", ASPM %s",
		     value >> 24, speed_name(value & 0xf), value >> 4 & 0x3f, power_states[states]);
	pci_out_open(o, "link_capabilities");
	pci_out_number(o, "port", value >> 24);
	pci_out_string(o, "speed", speed_name(value & 0xf));
	pci_out_number(o, "width", value >> 4 & 0x3f);
	pci_out_string(o, "aspm", power_states[states]);
	if (states)
		pci_out_text(o, ", Exit Latency ");
	if (states & 1)
		pci_out_text(o, "L0s %s", pci_express_l0s(value >> 12));
	if (states & 2)
		pci_out_text(o, "%sL1 %s", states & 1 ? ", " : "", pci_express_l1(value >> 15));
	pci_out_text(o, "\n\t\t\t");
	pci_out_flags(o, value, link_flags, " ");
	pci_out_close(o);
	pci_out_text(o, "\n");
}

/* The read completion boundary is the root port's to give and the endpoint's to know. */
static void print_link_control(struct pci_print *p, uint32_t value, unsigned type)
{
	struct pci_out *o = p->out;

	pci_out_text(o, "\t\tLnkCtl:\tASPM %s;", enabled_states[value & 3]);
	pci_out_open(o, "link_control");
	pci_out_string(o, "aspm", enabled_states[value & 3]);
	if (type == PCI_EXPRESS_ROOT_PORT || type == PCI_EXPRESS_ENDPOINT ||
	    type == PCI_EXPRESS_LEGACY || type == PCI_EXPRESS_TO_PCI) {
		pci_out_text(o, " RCB %u bytes,", value & 8 ? 128 : 64);
		pci_out_number(o, "read_completion_boundary", value & 8 ? 128 : 64);
	}
	pci_out_text(o, " ");
	pci_out_flags(o, value, link_control_flags, " ");
	pci_out_text(o, "\n\t\t\t");
	pci_out_flags(o, value, link_control_flags_more, " ");
	pci_out_close(o);
	pci_out_text(o, "\n");
}

/* What is plugged into a port may be less than the port: that is nothing to remark on. */
static const char *compared(uint32_t is, uint32_t could_be, bool port)
{
	if (is > could_be)
		return " (overdriven)";
	return is < could_be && !port ? " (downgraded)" : "";
}

static bool is_downstream(unsigned type)
{
	return type == PCI_EXPRESS_ROOT_PORT || type == PCI_EXPRESS_DOWNSTREAM ||
	       type == PCI_EXPRESS_FROM_PCI;
}

static void print_link_status(struct pci_print *p, uint32_t value, uint32_t capabilities, bool port)
{
	uint32_t speed = value & 0xf, width = value >> 4 & 0x3f;
	struct pci_out *o = p->out;

	pci_out_text(o, "\t\tLnkSta:\tSpeed %s%s, Width x%" PRIu32 "%s\n\t\t\t", speed_name(speed),
		     compared(speed, capabilities & 0xf, port), width,
		     compared(width, capabilities >> 4 & 0x3f, port));
	pci_out_open(o, "link_status");
	pci_out_string(o, "speed", speed_name(speed));
	pci_out_number(o, "width", width);
	pci_out_flags(o, value, link_status_flags, " ");
	pci_out_close(o);
	pci_out_text(o, "\n");
}

void pci_express_link(struct pci_print *p, uint32_t at, unsigned type)
{
	uint32_t capabilities = pci_print_get(p, at + 0x0c, 4);

	print_link_capabilities(p, capabilities);
	print_link_control(p, pci_print_get(p, at + 0x10, 2), type);
	print_link_status(p, pci_print_get(p, at + 0x12, 2), capabilities, is_downstream(type));
}

/* ---- version 2 ---- */

/* The end of the third line: what only some types have. */
static void print_device2_port(struct pci_print *p, uint32_t value, unsigned type)
{
	struct pci_out *o = p->out;

	if (type == PCI_EXPRESS_ROOT_PORT)
		pci_out_text(o, " LN System CLS %s,", line_sizes[value >> 14 & 3]);
	if (type == PCI_EXPRESS_ROOT_PORT || type == PCI_EXPRESS_ENDPOINT) {
		unsigned hints = value >> 12 & 3; /* 2 is reserved */

		pci_out_text(o, " TPHComp%c ExtTPHComp%c", hints & 1 ? '+' : '-',
			     hints == 3 ? '+' : '-');
		pci_out_bool(o, "TPHComp", hints & 1);
		pci_out_bool(o, "ExtTPHComp", hints == 3);
	}
	if (type == PCI_EXPRESS_ROOT_PORT || type == PCI_EXPRESS_DOWNSTREAM) {
		pci_out_text(o, " ");
		pci_out_flags(o, value, device2_arifwd, " ");
	}
}

static void print_device2_capabilities(struct pci_print *p, uint32_t value, unsigned type)
{
	const char *range = or_unknown(timeout_ranges[value & 0xf]);
	unsigned prefixes = value >> 22 & 3;
	struct pci_out *o = p->out;

	pci_out_text(o, "\t\tDevCap2: Completion Timeout: %s, ", range);
	pci_out_open(o, "device_capabilities_2");
	pci_out_string(o, "completion_timeout", range);
	pci_out_flags(o, value, device2_flags, " ");
	pci_out_text(o, "\n\t\t\t ");
	pci_out_flags(o, value, device2_tag_flags, " ");
	pci_out_text(o, " OBFF %s, ", buffer_flush[value >> 18 & 3]);
	pci_out_string(o, "OBFF", buffer_flush[value >> 18 & 3]);
	pci_out_flags(o, value, device2_prefix_flags, " ");
	if (value & 0x200000) /* 0 stands for 4 */
		pci_out_text(o, ", MaxEETLPPrefixes %u", prefixes ? prefixes : 4);
	pci_out_text(o, "\n\t\t\t EmergencyPowerReduction %s, ", power_reductions[value >> 24 & 3]);
	pci_out_string(o, "EmergencyPowerReduction", power_reductions[value >> 24 & 3]);
	pci_out_flags(o, value, device2_power_flags, " ");
	pci_out_text(o, "\n\t\t\t ");
	pci_out_flags(o, value, device2_frs, " ");
	print_device2_port(p, value, type);
	pci_out_text(o, "\n");
	pci_out_text(o, "\t\t\t AtomicOpsCap: ");
	if (type >= PCI_EXPRESS_ROOT_PORT && type <= PCI_EXPRESS_DOWNSTREAM) {
		pci_out_flags(o, value, atomic_routing, " ");
		pci_out_text(o, " ");
	}
	pci_out_flags(o, value, atomic_flags, " ");
	pci_out_text(o, "\n");
	pci_out_close(o);
}

static void print_device2_control(struct pci_print *p, uint32_t value, unsigned type)
{
	bool requester = type <= PCI_EXPRESS_LEGACY || type == PCI_EXPRESS_ROOT_PORT ||
			 type == PCI_EXPRESS_RC_ENDPOINT;
	bool port = type >= PCI_EXPRESS_ROOT_PORT && type <= PCI_EXPRESS_DOWNSTREAM;
	const char *timeout = or_unknown(timeouts[value & 0xf]);
	struct pci_out *o = p->out;

	pci_out_text(o, "\t\tDevCtl2: Completion Timeout: %s, ", timeout);
	pci_out_open(o, "device_control_2");
	pci_out_string(o, "completion_timeout", timeout);
	pci_out_flags(o, value, control2_flags, " ");
	pci_out_text(o, " OBFF %s,", buffer_flush_control[value >> 13 & 3]);
	pci_out_string(o, "OBFF", buffer_flush_control[value >> 13 & 3]);
	if (type == PCI_EXPRESS_ROOT_PORT || type == PCI_EXPRESS_DOWNSTREAM) {
		pci_out_text(o, " ");
		pci_out_flags(o, value, device2_arifwd, " ");
	}
	pci_out_text(o, "\n");
	if (requester || port) {
		pci_out_text(o, "\t\t\t AtomicOpsCtl: ");
		if (requester)
			pci_out_flags(o, value, atomic_request, " ");
		pci_out_text(o, requester && port ? " " : "");
		if (port)
			pci_out_flags(o, value, atomic_egress, " ");
		pci_out_text(o, "\n");
	}
	pci_out_close(o);
}

/* A vector of speeds; lspci names the range up to the highest (§7.5.3.18). */
static void print_link2_capabilities(struct pci_print *p, uint32_t value)
{
	static const char *const ranges[] = { "Unknown",    "2.5GT/s",    "2.5-5GT/s", "2.5-8GT/s",
					      "2.5-16GT/s", "2.5-32GT/s", "RsvdP",     "RsvdP" };
	uint32_t vector = value >> 1 & 0x7f;
	unsigned highest = vector ? 32 - (unsigned)__builtin_clz(vector) : 0;
	struct pci_out *o = p->out;

	if (!value)
		return;
	pci_out_text(o, "\t\tLnkCap2: Supported Link Speeds: %s, ", ranges[highest]);
	pci_out_open(o, "link_capabilities_2");
	pci_out_number(o, "speeds", vector);
	pci_out_flags(o, value, link2_flags, " ");
	pci_out_close(o);
	pci_out_text(o, "\n");
}

static void print_link2_control(struct pci_print *p, uint32_t value, unsigned type)
{
	unsigned code = value & 0xf;
	const char *speed =
		code == 0 ? speeds[1]
			  : or_unknown(code < PEAL_COUNT_OF(speeds) ? speeds[code] : NULL);
	struct pci_out *o = p->out;

	pci_out_text(o, "\t\tLnkCtl2: Target Link Speed: %s, ", speed);
	pci_out_open(o, "link_control_2");
	pci_out_string(o, "target_speed", speed);
	pci_out_flags(o, value, link_control2_flags, " ");
	if (type == PCI_EXPRESS_DOWNSTREAM)
		pci_out_text(o, ", Selectable De-emphasis: %s", value & 0x40 ? "-3.5dB" : "-6dB");
	pci_out_text(o, "\n\t\t\t Transmit Margin: %s, ", or_unknown(margins[value >> 7 & 7]));
	pci_out_flags(o, value, link_control2_compliance, " ");
	pci_out_text(o, "\n\t\t\t Compliance Preset/De-emphasis: %s\n",
		     or_unknown(presets[value >> 12 & 0xf]));
	pci_out_close(o);
}

/* The downstream component's state is known where Downstream Component Presence is (§7.5.3.20). */
static void print_link2_status(struct pci_print *p, uint32_t value, bool presence)
{
	struct pci_out *o = p->out;

	pci_out_text(o, "\t\tLnkSta2: Current De-emphasis Level: %s, ",
		     value & 1 ? "-3.5dB" : "-6dB");
	pci_out_open(o, "link_status_2");
	pci_out_flags(o, value, link_status2_flags, " ");
	pci_out_text(o, "\n\t\t\t ");
	pci_out_flags(o, value, link_status2_flags_more, " ");
	pci_out_text(o, "\n\t\t\t ");
	pci_out_flags(o, value, link_status2_retimers, " ");
	pci_out_text(o, " CrosslinkRes: %s", crosslinks[value >> 8 & 3]);
	pci_out_string(o, "CrosslinkRes", crosslinks[value >> 8 & 3]);
	if (presence) {
		const char *component = components[value >> 12 & 7];

		pci_out_text(o, ", ");
		pci_out_flags(o, value, link_status2_drs, " ");
		pci_out_text(o, "\n\t\t\t DownstreamComp: %s", component ? component : "Reserved");
	}
	pci_out_close(o);
	pci_out_text(o, "\n");
}

void pci_express_second(struct pci_print *p, uint32_t at, unsigned type, bool linked)
{
	uint32_t link = pci_print_get(p, at + 0x2c, 4);

	print_device2_capabilities(p, pci_print_get(p, at + 0x24, 4), type);
	print_device2_control(p, pci_print_get(p, at + 0x28, 2), type);
	if (!linked)
		return;
	print_link2_capabilities(p, link);
	print_link2_control(p, pci_print_get(p, at + 0x30, 2), type);
	print_link2_status(p, pci_print_get(p, at + 0x32, 2),
			   is_downstream(type) && link & 0x80000000);
}
