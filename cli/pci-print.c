/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The header of a PCI function, in the words of `lspci -vvv`. PCI Local Bus 3.0 §6.1, §6.2.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pci-print-internal.h"

/* clang-format off */
static const struct pci_flag command_flags[] = {
	{ 0x0001, "I/O" }, { 0x0002, "Mem" }, { 0x0004, "BusMaster" }, { 0x0008, "SpecCycle" },
	{ 0x0010, "MemWINV" }, { 0x0020, "VGASnoop" }, { 0x0040, "ParErr" }, { 0x0080, "Stepping" },
	{ 0x0100, "SERR" }, { 0x0200, "FastB2B" }, { 0x0400, "DisINTx" }, { 0, NULL },
};
static const struct pci_flag status_flags_low[] = {
	{ 0x0010, "Cap" }, { 0x0020, "66MHz" }, { 0x0040, "UDF" }, { 0x0080, "FastB2B" },
	{ 0x0100, "ParErr" }, { 0, NULL },
};
static const struct pci_flag status_flags_high[] = {
	{ 0x0800, ">TAbort" }, { 0x1000, "<TAbort" }, { 0x2000, "<MAbort" }, { 0x4000, ">SERR" },
	{ 0x8000, "<PERR" }, { 0x0008, "INTx" }, { 0, NULL },
};
/* clang-format on */

void pci_print_problem(struct pci_print *p, const char *format, ...)
{
	char text[256];
	va_list list;

	va_start(list, format);
	(void)vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	pci_out_text(p->out, "\t!!! %s\n", text);
	pci_out_remark(p->out, "problems", text);
}

const char *pci_print_choice(const char *const *names, unsigned count, unsigned index)
{
	return index < count && names[index] ? names[index] : "unknown";
}

/* ---- the first lines ---- */

static void title_of(const uint8_t *config, struct pci_names *names, char *title, size_t size)
{
	uint16_t class_code = (uint16_t)peal_load_le(config + 0x0a, 2);
	char class_name[128], device[256], interface[128];
	const char *name =
		pci_names_interface(names, class_code, config[0x09], interface, sizeof(interface));
	int n = snprintf(title, size, "%s: %s",
			 pci_names_class(names, class_code, class_name, sizeof(class_name)),
			 pci_names_device(names, (uint16_t)peal_load_le(config, 2),
					  (uint16_t)peal_load_le(config + 2, 2), device,
					  sizeof(device)));

	if (config[0x08] && n >= 0 && (size_t)n < size)
		n += snprintf(title + n, size - (size_t)n, " (rev %02x)", config[0x08]);
	if ((name || config[0x09]) && n >= 0 && (size_t)n < size)
		(void)snprintf(title + n, size - (size_t)n,
			       name ? " (prog-if %02x [%s])" : " (prog-if %02x%s)", config[0x09],
			       name ? name : "");
}

static void print_identity(struct pci_print *p)
{
	uint16_t vendor = (uint16_t)pci_print_get(p, 0, 2);
	uint16_t device = (uint16_t)pci_print_get(p, 2, 2);
	uint16_t class_code = (uint16_t)pci_print_get(p, 0x0a, 2);
	struct pci_out *o = p->out;
	char title[640], name[256];

	title_of(p->config, p->names, title, sizeof(title));
	if (p->source->address[0])
		pci_out_text(o, "%s ", p->source->address);
	pci_out_text(o, "%s\n", title);
	pci_out_string(o, "address", p->source->address[0] ? p->source->address : NULL);
	pci_out_number(o, "vendor_id", vendor);
	pci_out_number(o, "device_id", device);
	pci_out_string(o, "device", pci_names_device(p->names, vendor, device, name, sizeof(name)));
	pci_out_number(o, "class_code", pci_print_get(p, 0x08, 4) >> 8);
	pci_out_string(o, "class", pci_names_class(p->names, class_code, name, sizeof(name)));
	pci_out_number(o, "revision", p->config[0x08]);
	pci_out_number(o, "header_type", p->config[0x0e] & 0x7f);
	pci_out_bool(o, "multifunction", p->config[0x0e] & 0x80);
	pci_out_number(o, "config_size", p->size);
}

/* AT is the place of the two ids, 0: there are none. */
static void print_subsystem(struct pci_print *p, uint32_t at)
{
	const uint16_t ids[4] = {
		(uint16_t)pci_print_get(p, 0, 2),
		(uint16_t)pci_print_get(p, 2, 2),
		(uint16_t)pci_print_get(p, at, 2),
		(uint16_t)pci_print_get(p, at + 2, 2),
	};
	char name[256];

	if (!at || ids[2] == 0 || ids[2] == 0xffff)
		return;
	pci_names_subsystem(p->names, ids, name, sizeof(name));
	pci_out_text(p->out, "\tSubsystem: %s\n", name);
	pci_out_open(p->out, "subsystem");
	pci_out_number(p->out, "vendor_id", ids[2]);
	pci_out_number(p->out, "device_id", ids[3]);
	pci_out_string(p->out, "name", name);
	pci_out_close(p->out);
}

const char *pci_print_devsel(uint32_t status)
{
	static const char *const speeds[] = { "fast", "medium", "slow", "??" };

	return speeds[status >> 9 & 3];
}

/* A bridge has a header of type 1, and what has one is a kind of bridge (PCIe 7.5.1.1.9). */
static void check_class(struct pci_print *p, unsigned type)
{
	uint32_t class_code = pci_print_get(p, 0x0a, 2);

	if (type == PCI_HEADER_TYPE_BRIDGE ? class_code >> 8 != 0x06 : class_code == 0x0604)
		pci_print_problem(p, "Invalid class %04" PRIx32 " for header type %02x", class_code,
				  type);
}

static void print_command(struct pci_print *p)
{
	uint32_t status = pci_print_get(p, 0x06, 2);
	const char *speed = pci_print_devsel(status);
	struct pci_out *o = p->out;

	pci_out_text(o, "\tControl: ");
	pci_out_open(o, "control");
	pci_out_flags(o, pci_print_get(p, 0x04, 2), command_flags, " ");
	pci_out_close(o);
	pci_out_text(o, "\n\tStatus: ");
	pci_out_open(o, "status");
	pci_out_flags(o, status, status_flags_low, " ");
	pci_out_text(o, " DEVSEL=%s ", speed);
	pci_out_string(o, "DEVSEL", speed);
	pci_out_flags(o, status, status_flags_high, " ");
	pci_out_close(o);
	pci_out_text(o, "\n");
}

/* §6.2.4: timer in clocks, cache line in dwords, Min_Gnt and Max_Lat in units of 250 ns. */
static void print_latency(struct pci_print *p)
{
	unsigned line = p->config[0x0c], timer = p->config[0x0d];
	unsigned grant = p->config[0x3e], latency = p->config[0x3f];
	bool device = (p->config[0x0e] & 0x7f) == PCI_HEADER_TYPE_DEVICE;
	struct pci_out *o = p->out;

	pci_out_number(o, "latency_timer", timer);
	pci_out_number(o, "cache_line_bytes", line * 4);
	if (!(pci_print_get(p, 0x04, 2) & 0x0004))
		return;
	pci_out_text(o, "\tLatency: %u", timer);
	if (device && (grant || latency)) {
		pci_out_text(o, " (");
		if (grant)
			pci_out_text(o, "%uns min", grant * 250);
		if (grant && latency)
			pci_out_text(o, ", ");
		if (latency)
			pci_out_text(o, "%uns max", latency * 250);
		pci_out_text(o, ")");
	}
	if (line)
		pci_out_text(o, ", Cache Line Size: %u bytes", line * 4);
	pci_out_text(o, "\n");
}

static void print_interrupt(struct pci_print *p)
{
	unsigned line = p->config[0x3c], pin = p->config[0x3d];
	char name[2] = { (char)('A' + pin - 1), 0 };

	if (!pin && !line)
		return;
	if (!pin || pin > 26)
		name[0] = '?';
	pci_out_text(p->out, "\tInterrupt: pin %s routed to IRQ %u\n", name, line);
	pci_out_open(p->out, "interrupt");
	pci_out_string(p->out, "pin", name);
	pci_out_number(p->out, "line", line);
	pci_out_close(p->out);
}

/* §6.2.4: bit 7 capable, bit 6 running, the code of the last result. */
static void print_self_test(struct pci_print *p)
{
	unsigned bist = p->config[0x0f];

	if (!(bist & 0x80))
		return;
	if (bist & 0x40)
		pci_out_text(p->out, "\tBIST is running\n");
	else
		pci_out_text(p->out, "\tBIST result: %02x\n", bist & 0x0f);
	pci_out_number(p->out, "self_test", bist);
}

static void print_accesses(struct pci_print *p)
{
	const struct pci_source *s = p->source;
	struct pci_source_accesses a;

	if (!s->ops->accesses || s->ops->accesses(s->user, &a) < 0)
		return;
	pci_out_text(p->out,
		     "\tAccesses: %" PRIu64 " past the end, %" PRIu64 " writes to the PBA\n",
		     a.past_end, a.pba_writes);
	pci_out_open(p->out, "accesses");
	pci_out_number(p->out, "past_end", a.past_end);
	pci_out_number(p->out, "pba_writes", a.pba_writes);
	pci_out_close(p->out);
}

/* ---- all of it ---- */

static int load(struct pci_print *p)
{
	const struct pci_source *s = p->source;

	p->size = s->ops->config_size(s->user);
	if (p->size < PCI_HEADER_SIZE)
		return -EPROTO;
	if (p->size > sizeof(p->config))
		p->size = sizeof(p->config);
	return s->ops->read_config(s->user, 0, p->config, p->size);
}

int pci_print_title(const struct pci_source *source, struct pci_names *names, char *title,
		    size_t size)
{
	uint8_t config[PCI_HEADER_SIZE];
	int r;

	if (source->ops->config_size(source->user) < sizeof(config))
		return -EPROTO;
	r = source->ops->read_config(source->user, 0, config, sizeof(config));
	if (r == 0)
		title_of(config, names, title, size);
	return r;
}

int pci_print(const struct pci_source *source, struct pci_names *names, struct pci_out *out)
{
	struct pci_print p = {
		.source = source, .names = names, .out = out, .express_type = PCI_EXPRESS_NONE
	};
	int r = load(&p);
	unsigned type;

	if (r < 0)
		return r;
	type = p.config[0x0e] & 0x7f;
	print_identity(&p);
	print_subsystem(&p, type == PCI_HEADER_TYPE_DEVICE ? 0x2c : pci_print_subsystem_at(&p));
	if (type > PCI_HEADER_TYPE_BRIDGE) {
		pci_print_problem(&p, "Unknown header type %02x", type);
		return 0;
	}
	check_class(&p, type);
	print_command(&p);
	print_latency(&p);
	print_interrupt(&p);
	print_self_test(&p);
	pci_print_regions(&p, type == PCI_HEADER_TYPE_BRIDGE ? 2 : 6);
	if (type == PCI_HEADER_TYPE_BRIDGE)
		pci_print_bridge(&p);
	else
		pci_print_rom(&p, 0x30);
	pci_print_lists(&p);
	print_accesses(&p);
	return 0;
}
