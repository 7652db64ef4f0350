/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One table of commands and their fields. What no field of a command covers is reserved (RES0).
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <peal/bits.h>
#include <peal/gic.h>

#include "its-command.h"

#define FIELDS_MAX 5u

enum field_kind {
	FIELD_END,
	FIELD_NUMBER,
	FIELD_ID,      /* a number that is read in hexadecimal */
	FIELD_ADDRESS, /* bits in place */
	FIELD_SIZE,    /* 2^(n + 1) events */
	FIELD_LPI,
};

struct field {
	const char *name; /* in text */
	const char *key;  /* in JSON */
	enum field_kind kind;
	uint8_t dw, high, low;
};

struct opcode {
	uint8_t code;
	const char *name;
	struct field fields[FIELDS_MAX];
};

/* clang-format off */
#define DEVICE  { "device", "device_id", FIELD_ID, 0, 63, 32 }
#define EVENT   { "event", "event_id", FIELD_NUMBER, 1, 31, 0 }
#define ICID    { "icid", "icid", FIELD_NUMBER, 2, 15, 0 }
#define RDBASE  { "rdbase", "rdbase", FIELD_NUMBER, 2, 50, 16 }
#define RDBASE2 { "rdbase2", "rdbase2", FIELD_NUMBER, 3, 50, 16 }
#define VALID   { "valid", "valid", FIELD_NUMBER, 2, 63, 63 }

static const struct opcode opcodes[] = {
	{ 0x01, "MOVI", { DEVICE, EVENT, ICID } },
	{ 0x03, "INT", { DEVICE, EVENT } },
	{ 0x04, "CLEAR", { DEVICE, EVENT } },
	{ 0x05, "SYNC", { RDBASE } },
	{ 0x08, "MAPD", { DEVICE, VALID, { "size", "size", FIELD_SIZE, 1, 4, 0 },
			  { "itt", "itt_address", FIELD_ADDRESS, 2, 51, 8 } } },
	{ 0x09, "MAPC", { ICID, RDBASE, VALID } },
	{ 0x0a, "MAPTI", { DEVICE, EVENT, { "intid", "intid", FIELD_LPI, 1, 63, 32 }, ICID } },
	{ 0x0b, "MAPI", { DEVICE, { "event", "event_id", FIELD_LPI, 1, 31, 0 }, ICID } },
	{ 0x0c, "INV", { DEVICE, EVENT } },
	{ 0x0d, "INVALL", { ICID } },
	{ 0x0e, "MOVALL", { RDBASE, RDBASE2 } },
	{ 0x0f, "DISCARD", { DEVICE, EVENT } },
};

/* Named, so that a guest that takes the ITS for a GICv4 one is recognised. */
static const struct opcode virtual_opcodes[] = {
	{ 0x21, "VMOVI", { { 0 } } }, { 0x22, "VMOVP", { { 0 } } }, { 0x23, "VSGI", { { 0 } } },
	{ 0x25, "VSYNC", { { 0 } } }, { 0x29, "VMAPP", { { 0 } } }, { 0x2a, "VMAPTI", { { 0 } } },
	{ 0x2b, "VMAPI", { { 0 } } }, { 0x2d, "VINVALL", { { 0 } } }, { 0x2e, "INVDB", { { 0 } } },
};
/* clang-format on */

static const struct opcode *find_in(const struct opcode *rows, size_t n, uint64_t code)
{
	for (size_t i = 0; i < n; i++) {
		if (rows[i].code == code)
			return &rows[i];
	}
	return NULL;
}

static const struct opcode *find(const uint64_t *dw)
{
	return find_in(opcodes, PEAL_COUNT_OF(opcodes), dw[0] & 0xff);
}

static const struct opcode *find_virtual(const uint64_t *dw)
{
	return find_in(virtual_opcodes, PEAL_COUNT_OF(virtual_opcodes), dw[0] & 0xff);
}

/* The fields of a command, up to one without name. */
#define FOR_EACH_FIELD(f, opcode)                      \
	for (const struct field *f = (opcode)->fields; \
	     f < (opcode)->fields + FIELDS_MAX && f->kind != FIELD_END; f++)

static uint64_t value_of(const struct field *f, const uint64_t *dw)
{
	uint64_t value = peal_field(dw[f->dw], f->high, f->low);

	return f->kind == FIELD_ADDRESS ? value << f->low : value;
}

/* ---- text ---- */

static size_t __attribute__((format(printf, 3, 4)))
append(char *text, size_t at, const char *format, ...)
{
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(text + at, ITS_COMMAND_TEXT - at, format, list);
	va_end(list);
	at += n > 0 ? (size_t)n : 0;
	return at < ITS_COMMAND_TEXT ? at : ITS_COMMAND_TEXT - 1;
}

void its_command_text(const uint64_t dw[4], char text[ITS_COMMAND_TEXT])
{
	const struct opcode *o = find(dw), *v = find_virtual(dw);
	size_t at;

	if (!o) {
		at = append(text, 0, "%s 0x%02x", v ? v->name : "opcode", (unsigned)dw[0] & 0xff);
		for (unsigned i = 0; i < 4; i++)
			at = append(text, at, " %016" PRIx64, dw[i]);
		return;
	}
	at = append(text, 0, "%s", o->name);
	FOR_EACH_FIELD(f, o)
	{
		uint64_t value = value_of(f, dw);
		bool hex = f->kind == FIELD_ID || f->kind == FIELD_ADDRESS;

		at = append(text, at, hex ? " %s 0x%" PRIx64 : " %s %" PRIu64, f->name, value);
		if (f->kind == FIELD_SIZE)
			at = append(text, at, " (%" PRIu64 " events)", UINT64_C(2) << value);
	}
}

/* ---- JSON ---- */

static json_t *address(uint64_t value)
{
	return json_sprintf("0x%" PRIx64, value);
}

void its_command_json(const uint64_t dw[4], json_t *object)
{
	const struct opcode *o = find(dw), *named = o ? o : find_virtual(dw);
	json_t *words = json_array();

	(void)json_object_set_new(object, "name", named ? json_string(named->name) : json_null());
	(void)json_object_set_new(object, "opcode", json_integer((json_int_t)(dw[0] & 0xff)));
	if (o) {
		FOR_EACH_FIELD(f, o)
		{
			uint64_t value = value_of(f, dw);
			json_t *shown = f->kind == FIELD_ADDRESS ? address(value)
					: f->high == f->low      ? json_boolean(value != 0)
								 : json_integer((json_int_t)value);

			(void)json_object_set_new(object, f->key, shown);
		}
	}
	for (unsigned i = 0; i < 4; i++)
		(void)json_array_append_new(words, json_sprintf("0x%016" PRIx64, dw[i]));
	(void)json_object_set_new(object, "doublewords", words);
}

/* ---- what is wrong ---- */

unsigned its_command_remarks(const uint64_t dw[4], char remarks[ITS_COMMAND_REMARKS][80])
{
	const struct opcode *o = find(dw);
	uint64_t used[4] = { 0xff };
	unsigned n = 0;

	if (!o) {
		(void)snprintf(remarks[0], 80, "%s",
			       find_virtual(dw) ? "a GICv4 command: unknown to an ITS for GICv3"
						: "unknown command");
		return 1;
	}
	FOR_EACH_FIELD(f, o)
	{
		used[f->dw] |= PEAL_MASK(f->high, f->low);
		if (f->kind == FIELD_LPI && value_of(f, dw) < PEAL_GIC_FIRST_LPI)
			(void)snprintf(remarks[n++], 80, "INTID %" PRIu64 " is no LPI",
				       value_of(f, dw));
	}
	for (unsigned i = 0; i < 4; i++) {
		if (dw[i] & ~used[i])
			(void)snprintf(remarks[n++], 80,
				       "reserved bits of doubleword %u are set: 0x%016" PRIx64, i,
				       dw[i] & ~used[i]);
	}
	return n;
}

/* §5.5; the low byte means another thing for some commands, whose error is named whole. */
const char *its_error_text(uint32_t error)
{
	static const struct {
		uint32_t mask, error;
		const char *text;
	} rows[] = {
		{ 0xffffff, 0x0100fe, "the command cannot be read" },
		{ 0xffffff, 0x010801, "DeviceID out of range" },
		{ 0xffffff, 0x010802, "ITT size out of range" },
		{ 0xffffff, 0x010902, "RDbase is no redistributor" },
		{ 0xffffff, 0x010e01, "RDbase is no redistributor" },
		{ 0xff00ff, 0x010000, "unknown command" },
		{ 0xff00ff, 0x010003, "collection out of range" },
		{ 0xff00ff, 0x010004, "unmapped device" },
		{ 0xff00ff, 0x010005, "EventID out of range" },
		{ 0xff00ff, 0x010006, "INTID out of range" },
		{ 0xff00ff, 0x010007, "unmapped event" },
		{ 0xff00ff, 0x010009, "unmapped collection" },
		{ 0xff00ff, 0x0100ff, "no memory for the mapping" },
	};

	for (size_t i = 0; i < PEAL_COUNT_OF(rows); i++) {
		if ((error & rows[i].mask) == rows[i].error)
			return rows[i].text;
	}
	return "unknown error";
}
