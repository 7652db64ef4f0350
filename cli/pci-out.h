/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the printer of PCI functions writes: text as lspci would, or JSON, from the same calls.
 *
 * A call that takes a KEY puts a member into the innermost open JSON object; pci_out_text() and the
 * text of pci_out_flags() only exist in text. Without memory for JSON, members are left out, as
 * jansson does.
 */
#ifndef PEAL_CLI_PCI_OUT_H
#define PEAL_CLI_PCI_OUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define PCI_OUT_DEPTH 8u

struct pci_out {
	FILE *to;
	bool json;
	json_t *at[PCI_OUT_DEPTH];
	unsigned depth;
};

/* One bit (or more, then any of them) of a register, with the name that lspci gives it. */
struct pci_flag {
	uint32_t mask;
	const char *name; /* NULL ends a table */
};

/* TO is where it goes, text at once and JSON with pci_out_end(). */
void pci_out_begin(struct pci_out *out, FILE *to, bool json);

/* Writes the JSON, without an end of line. */
void pci_out_end(struct pci_out *out);

void __attribute__((format(printf, 2, 3)))
pci_out_text(struct pci_out *out, const char *format, ...);

/* An object under KEY until the close that belongs to it. */
void pci_out_open(struct pci_out *out, const char *key);
/* An object at the end of the array KEY. */
void pci_out_open_in(struct pci_out *out, const char *key);
void pci_out_close(struct pci_out *out);

void pci_out_number(struct pci_out *out, const char *key, uint64_t value);
void pci_out_address(struct pci_out *out, const char *key, uint64_t value); /* "0x…" */
void pci_out_bool(struct pci_out *out, const char *key, bool value);
/* VALUE NULL: null. */
void pci_out_string(struct pci_out *out, const char *key, const char *value);
/* A string at the end of the array KEY of the outermost object. */
void pci_out_remark(struct pci_out *out, const char *key, const char *value);

/* "Name+ Name-", with SEPARATOR between them; members of the innermost object. */
void pci_out_flags(struct pci_out *out, uint64_t value, const struct pci_flag *flags,
		   const char *separator);

#endif
