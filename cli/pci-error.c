/* SPDX-License-Identifier: BSD-2-Clause */
/* Advanced Error Reporting. PCI Express Base 6.0 §7.8.4. */
#include <inttypes.h>

#include "pci-print-internal.h"

#define SIZE      0x2cu
#define SIZE_ROOT 0x38u

/* clang-format off */
static const struct pci_flag uncorrectable_flags[] = {
	{ 0x00000010, "DLP" }, { 0x00000020, "SDES" }, { 0x00001000, "TLP" }, { 0x00002000, "FCP" },
	{ 0x00004000, "CmpltTO" }, { 0x00008000, "CmpltAbrt" }, { 0x00010000, "UnxCmplt" },
	{ 0x00020000, "RxOF" }, { 0x00040000, "MalfTLP" }, { 0x00080000, "ECRC" },
	{ 0x00100000, "UnsupReq" }, { 0x00200000, "ACSViol" }, { 0, NULL },
};
static const struct pci_flag correctable_flags[] = {
	{ 0x0001, "RxErr" }, { 0x0040, "BadTLP" }, { 0x0080, "BadDLLP" }, { 0x0100, "Rollover" },
	{ 0x1000, "Timeout" }, { 0x2000, "AdvNonFatalErr" }, { 0, NULL },
};
static const struct pci_flag control_flags[] = {
	{ 0x0020, "ECRCGenCap" }, { 0x0040, "ECRCGenEn" }, { 0x0080, "ECRCChkCap" },
	{ 0x0100, "ECRCChkEn" }, { 0, NULL },
};
static const struct pci_flag log_flags[] = {
	{ 0x0200, "MultHdrRecCap" }, { 0x0400, "MultHdrRecEn" }, { 0x0800, "TLPPfxPres" },
	{ 0x1000, "HdrLogCap" }, { 0, NULL },
};
static const struct pci_flag root_command_flags[] = {
	{ 0x1, "CERptEn" }, { 0x2, "NFERptEn" }, { 0x4, "FERptEn" }, { 0, NULL },
};
static const struct pci_flag root_status_flags_low[] = {
	{ 0x01, "CERcvd" }, { 0x02, "MultCERcvd" }, { 0x04, "UERcvd" }, { 0x08, "MultUERcvd" },
	{ 0, NULL },
};
static const struct pci_flag root_status_flags_high[] = {
	{ 0x10, "FirstFatal" }, { 0x20, "NonFatalMsg" }, { 0x40, "FatalMsg" }, { 0, NULL },
};

static const struct {
	uint32_t offset;
	const char *title;
	const char *key;
	const struct pci_flag *flags;
} registers[] = {
	{ 0x04, "UESta", "uncorrectable_status", uncorrectable_flags },
	{ 0x08, "UEMsk", "uncorrectable_mask", uncorrectable_flags },
	{ 0x0c, "UESvrt", "uncorrectable_severity", uncorrectable_flags },
	{ 0x10, "CESta", "correctable_status", correctable_flags },
	{ 0x14, "CEMsk", "correctable_mask", correctable_flags },
};
/* clang-format on */

/* Root ports and event collectors have three registers more. */
static bool has_root_registers(const struct pci_print *p)
{
	return p->express_type == PCI_EXPRESS_ROOT_PORT || p->express_type == PCI_EXPRESS_RC_EVENTS;
}

uint32_t pci_print_error_reporting_size(const struct pci_print *p, uint32_t at)
{
	(void)at;
	return has_root_registers(p) ? SIZE_ROOT : SIZE;
}

static void print_header_log(struct pci_print *p, uint32_t at)
{
	struct pci_out *o = p->out;
	char key[] = "header_log_0";

	pci_out_text(o, "\t\tHeaderLog:");
	for (unsigned i = 0; i < 4; i++) {
		uint32_t word = pci_print_get(p, at + 0x1c + 4 * i, 4);

		key[sizeof(key) - 2] = (char)('0' + i);
		pci_out_text(o, " %08" PRIx32, word);
		pci_out_number(o, key, word);
	}
	pci_out_text(o, "\n");
}

static void print_root(struct pci_print *p, uint32_t at)
{
	uint32_t status = pci_print_get(p, at + 0x30, 4);
	uint32_t correctable = pci_print_get(p, at + 0x34, 2);
	uint32_t uncorrectable = pci_print_get(p, at + 0x36, 2);
	struct pci_out *o = p->out;

	pci_out_text(o, "\t\tRootCmd: ");
	pci_out_open(o, "root_command");
	pci_out_flags(o, pci_print_get(p, at + 0x2c, 4), root_command_flags, " ");
	pci_out_close(o);
	pci_out_text(o, "\n\t\tRootSta: ");
	pci_out_open(o, "root_status");
	pci_out_flags(o, status, root_status_flags_low, " ");
	pci_out_text(o, "\n\t\t\t ");
	pci_out_flags(o, status, root_status_flags_high, " ");
	pci_out_text(o, " IntMsg %" PRIu32 "\n", status >> 27);
	pci_out_number(o, "IntMsg", status >> 27);
	pci_out_close(o);
	pci_out_text(o, "\t\tErrorSrc: ERR_COR: %04" PRIx32 " ERR_FATAL/NONFATAL: %04" PRIx32 "\n",
		     correctable, uncorrectable);
	pci_out_number(o, "correctable_source", correctable);
	pci_out_number(o, "uncorrectable_source", uncorrectable);
}

void pci_print_error_reporting(struct pci_print *p, uint32_t at)
{
	uint32_t control = pci_print_get(p, at + 0x18, 4);
	struct pci_out *o = p->out;

	pci_out_text(o, "Advanced Error Reporting\n");
	for (size_t i = 0; i < PEAL_COUNT_OF(registers); i++) {
		pci_out_text(o, "\t\t%s:\t", registers[i].title);
		pci_out_open(o, registers[i].key);
		pci_out_flags(o, pci_print_get(p, at + registers[i].offset, 4), registers[i].flags,
			      " ");
		pci_out_close(o);
		pci_out_text(o, "\n");
	}
	pci_out_text(o, "\t\tAERCap:\tFirst Error Pointer: %02" PRIx32 ", ", control & 0x1f);
	pci_out_open(o, "control");
	pci_out_number(o, "first_error_pointer", control & 0x1f);
	pci_out_flags(o, control, control_flags, " ");
	pci_out_text(o, "\n\t\t\t");
	pci_out_flags(o, control, log_flags, " ");
	pci_out_close(o);
	pci_out_text(o, "\n");
	print_header_log(p, at);
	if (has_root_registers(p))
		print_root(p, at);
}
