/* SPDX-License-Identifier: BSD-2-Clause */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include <peal/base.h>

#include "pci-out.h"

void pci_out_begin(struct pci_out *out, FILE *to, bool json)
{
	*out = (struct pci_out){ .to = to, .json = json };
	if (json)
		out->at[0] = json_object();
}

void pci_out_end(struct pci_out *out)
{
	PEAL_ASSERT(out->depth == 0);
	if (!out->json)
		return;
	(void)json_dumpf(out->at[0], out->to, JSON_COMPACT);
	json_decref(out->at[0]);
}

void pci_out_text(struct pci_out *out, const char *format, ...)
{
	va_list list;

	if (out->json)
		return;
	va_start(list, format);
	(void)vfprintf(out->to, format, list);
	va_end(list);
}

static void set(struct pci_out *out, const char *key, json_t *value)
{
	(void)json_object_set_new(out->at[out->depth], key, value);
}

/* The parent keeps the object; the stack borrows it. */
static void push(struct pci_out *out, json_t *object)
{
	PEAL_ASSERT(out->depth + 1 < PCI_OUT_DEPTH);
	out->at[++out->depth] = object;
}

void pci_out_open(struct pci_out *out, const char *key)
{
	if (!out->json)
		return;
	set(out, key, json_object());
	push(out, json_object_get(out->at[out->depth], key));
}

static json_t *array(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	if (value)
		return value;
	(void)json_object_set_new(object, key, json_array());
	return json_object_get(object, key);
}

void pci_out_open_in(struct pci_out *out, const char *key)
{
	json_t *list;

	if (!out->json)
		return;
	list = array(out->at[out->depth], key);
	if (json_array_append_new(list, json_object()) < 0)
		list = NULL;
	push(out, list ? json_array_get(list, json_array_size(list) - 1) : NULL);
}

void pci_out_close(struct pci_out *out)
{
	if (!out->json)
		return;
	PEAL_ASSERT(out->depth > 0);
	out->depth--;
}

void pci_out_number(struct pci_out *out, const char *key, uint64_t value)
{
	if (out->json)
		set(out, key, json_integer((json_int_t)value));
}

void pci_out_address(struct pci_out *out, const char *key, uint64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "0x%" PRIx64, value);
	pci_out_string(out, key, text);
}

void pci_out_bool(struct pci_out *out, const char *key, bool value)
{
	if (out->json)
		set(out, key, json_boolean(value));
}

void pci_out_string(struct pci_out *out, const char *key, const char *value)
{
	if (out->json)
		set(out, key, value ? json_string(value) : json_null());
}

void pci_out_remark(struct pci_out *out, const char *key, const char *value)
{
	if (out->json)
		(void)json_array_append_new(array(out->at[0], key), json_string(value));
}

void pci_out_flags(struct pci_out *out, uint64_t value, const struct pci_flag *flags,
		   const char *separator)
{
	for (const struct pci_flag *f = flags; f->name; f++) {
		bool on = value & f->mask;

		pci_out_text(out, "%s%s%c", f == flags ? "" : separator, f->name, on ? '+' : '-');
		pci_out_bool(out, f->name, on);
	}
}
