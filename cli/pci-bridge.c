/* SPDX-License-Identifier: BSD-2-Clause */
/* The header of a PCI-to-PCI bridge. PCI-to-PCI Bridge 1.2 §3.2.5; PCI Express Base 6.0 §7.5.1.3. */
#include <inttypes.h>

#include "pci-print-internal.h"

/* clang-format off */
static const struct pci_flag secondary_flags_low[] = {
	{ 0x0020, "66MHz" }, { 0x0080, "FastB2B" }, { 0x0100, "ParErr" }, { 0, NULL },
};
static const struct pci_flag secondary_flags_high[] = {
	{ 0x0800, ">TAbort" }, { 0x1000, "<TAbort" }, { 0x2000, "<MAbort" }, { 0x4000, "<SERR" },
	{ 0x8000, "<PERR" }, { 0, NULL },
};
static const struct pci_flag control_flags[] = {
	{ 0x0001, "Parity" }, { 0x0002, "SERR" }, { 0x0004, "NoISA" }, { 0x0008, "VGA" },
	{ 0x0010, "VGA16" }, { 0x0020, "MAbort" }, { 0x0040, ">Reset" }, { 0x0080, "FastB2B" },
	{ 0, NULL },
};
static const struct pci_flag timer_flags[] = {
	{ 0x0100, "PriDiscTmr" }, { 0x0200, "SecDiscTmr" }, { 0x0400, "DiscTmrStat" },
	{ 0x0800, "DiscTmrSERREn" }, { 0, NULL },
};
/* clang-format on */

/* A window that the bridge forwards: from base to limit, both included; base > limit is none. */
struct window {
	const char *title, *key;
	uint64_t base, limit;
	unsigned bits;   /* of an address */
	unsigned digits; /* of an address in print */
};

static void print_window(struct pci_print *p, const struct window *w)
{
	struct pci_out *o = p->out;
	bool enabled = w->base <= w->limit;

	pci_out_text(o, "\t%s behind bridge: %0*" PRIx64 "-%0*" PRIx64, w->title, (int)w->digits,
		     w->base, (int)w->digits, w->limit);
	if (enabled)
		pci_print_size(o, w->limit - w->base + 1);
	else
		pci_out_text(o, " [disabled]");
	pci_out_text(o, " [%u-bit]\n", w->bits);
	pci_out_open(o, w->key);
	pci_out_bool(o, "enabled", enabled);
	pci_out_address(o, "base", w->base);
	pci_out_address(o, "limit", w->limit);
	pci_out_number(o, "bits", w->bits);
	pci_out_close(o);
}

/* The low four bits tell how wide the addresses are; base and limit must agree. */
static void print_io_window(struct pci_print *p)
{
	unsigned base = p->config[0x1c], limit = p->config[0x1d], type = base & 0xf;
	struct window w = { .title = "I/O", .key = "io_window", .bits = 16, .digits = 4 };

	if (type != (limit & 0xf) || type > 1) {
		pci_print_problem(p, "Unknown I/O range types %x/%x", base, limit);
		return;
	}
	w.base = (base & 0xf0u) << 8;
	w.limit = (limit & 0xf0u) << 8 | 0xfff;
	if (type == 1) {
		w.base |= pci_print_get(p, 0x30, 2) << 16;
		w.limit |= pci_print_get(p, 0x32, 2) << 16;
		w.bits = 32;
		w.digits = 8;
	}
	print_window(p, &w);
}

static void print_memory_window(struct pci_print *p)
{
	uint32_t base = pci_print_get(p, 0x20, 2), limit = pci_print_get(p, 0x22, 2);
	const struct window w = {
		.title = "Memory",
		.key = "memory_window",
		.base = (base & 0xfff0) << 16,
		.limit = (limit & 0xfff0) << 16 | 0xfffff,
		.bits = 32,
		.digits = 8,
	};

	if ((base | limit) & 0xf)
		pci_print_problem(p, "Unknown memory range types %" PRIx32 "/%" PRIx32, base,
				  limit);
	else
		print_window(p, &w);
}

static void print_prefetchable_window(struct pci_print *p)
{
	uint32_t base = pci_print_get(p, 0x24, 2), limit = pci_print_get(p, 0x26, 2);
	unsigned type = base & 0xf;
	struct window w = {
		.title = "Prefetchable memory",
		.key = "prefetchable_window",
		.base = (base & 0xfff0) << 16,
		.limit = (limit & 0xfff0) << 16 | 0xfffff,
		.bits = 32,
		.digits = 8,
	};

	if (type != (limit & 0xf) || type > 1) {
		pci_print_problem(p, "Unknown prefetchable memory range types %" PRIx32 "/%" PRIx32,
				  base, limit);
		return;
	}
	if (type == 1) {
		w.base |= (uint64_t)pci_print_get(p, 0x28, 4) << 32;
		w.limit |= (uint64_t)pci_print_get(p, 0x2c, 4) << 32;
		w.bits = 64;
		w.digits = 16;
	}
	print_window(p, &w);
}

static void print_buses(struct pci_print *p)
{
	const struct {
		const char *name;
		unsigned value;
	} rows[] = {
		{ "primary", p->config[0x18] },
		{ "secondary", p->config[0x19] },
		{ "subordinate", p->config[0x1a] },
		{ "sec_latency", p->config[0x1b] },
	};

	pci_out_text(p->out,
		     "\tBus: primary=%02x, secondary=%02x, subordinate=%02x, sec-latency=%u\n",
		     rows[0].value, rows[1].value, rows[2].value, rows[3].value);
	pci_out_open(p->out, "buses");
	for (size_t i = 0; i < PEAL_COUNT_OF(rows); i++)
		pci_out_number(p->out, rows[i].name, rows[i].value);
	pci_out_close(p->out);
}

void pci_print_bridge(struct pci_print *p)
{
	uint32_t secondary = pci_print_get(p, 0x1e, 2), control = pci_print_get(p, 0x3e, 2);
	struct pci_out *o = p->out;

	print_buses(p);
	print_io_window(p);
	print_memory_window(p);
	print_prefetchable_window(p);
	pci_out_text(o, "\tSecondary status: ");
	pci_out_open(o, "secondary_status");
	pci_out_flags(o, secondary, secondary_flags_low, " ");
	pci_out_text(o, " DEVSEL=%s ", pci_print_devsel(secondary));
	pci_out_string(o, "DEVSEL", pci_print_devsel(secondary));
	pci_out_flags(o, secondary, secondary_flags_high, " ");
	pci_out_close(o);
	pci_out_text(o, "\n");
	pci_print_rom(p, 0x38);
	pci_out_text(o, "\tBridgeCtl: ");
	pci_out_open(o, "bridge_control");
	pci_out_flags(o, control, control_flags, " ");
	pci_out_text(o, "\n\t\t");
	pci_out_flags(o, control, timer_flags, " ");
	pci_out_close(o);
	pci_out_text(o, "\n");
}
