/* SPDX-License-Identifier: BSD-2-Clause */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <peal/bits.h>

#include "its-dump.h"

enum layout {
	LAYOUT_NONE,   /* no row so far */
	LAYOUT_OFFSET, /* rows begin with their offset */
	LAYOUT_PLAIN,  /* bytes, or doublewords, one after another */
};

struct reader {
	struct its_dump dump;
	size_t room;
	enum layout layout;
	size_t row;    /* bytes of the last row */
	bool repeated; /* "*": that row again and again, up to the next offset */
	unsigned line;
	char *error;
	size_t error_size;
};

static int __attribute__((format(printf, 2, 3))) wrong(struct reader *r, const char *format, ...)
{
	int n = snprintf(r->error, r->error_size, "line %u: ", r->line);
	va_list list;

	va_start(list, format);
	if (n >= 0 && (size_t)n < r->error_size)
		(void)vsnprintf(r->error + n, r->error_size - (size_t)n, format, list);
	va_end(list);
	return -EPROTO;
}

static int append(struct reader *r, const void *bytes, size_t size)
{
	if (size > ITS_DUMP_MAX - r->dump.size)
		return wrong(r, "more than %" PRIu64 " MiB; a queue has at most 1 MiB",
			     ITS_DUMP_MAX >> 20);
	if (size > r->room - r->dump.size) {
		size_t room = 2 * (r->dump.size + size);
		void *more = realloc(r->dump.bytes, room);

		if (!more)
			return -ENOMEM;
		r->dump.bytes = more;
		r->room = room;
	}
	memcpy(r->dump.bytes + r->dump.size, bytes, size);
	r->dump.size += size;
	return 0;
}

/* ---- text ---- */

static size_t hex_digits(const char *text)
{
	size_t n = 0;

	while (isxdigit((unsigned char)text[n]))
		n++;
	return n;
}

static int no_byte(struct reader *r, const char *text)
{
	size_t n = strcspn(text, " \t");

	return wrong(r, "'%.*s' is not a byte in hexadecimal", (int)(n < 20 ? n : 20), text);
}

static bool has_prefix(const char *text)
{
	return text[0] == '0' && (text[1] | 0x20) == 'x';
}

/* A line that begins with "0x": doublewords, as errors have them. */
static int read_doublewords(struct reader *r, const char *text)
{
	int e = 0;

	for (; e == 0 && *(text += strspn(text, " \t")); text += strcspn(text, " \t")) {
		const char *digits = text + 2 * has_prefix(text);
		size_t n = hex_digits(digits);
		uint8_t bytes[8];

		if (n < 1 || n > 16 || (digits[n] && !isspace((unsigned char)digits[n])))
			return wrong(r, "'%.20s' is not a doubleword in hexadecimal", text);
		peal_store_le(bytes, 8, strtoull(digits, NULL, 16));
		e = append(r, bytes, 8);
	}
	return e;
}

/* In a row with offset, what comes behind 16 bytes or a bar shows them as text. */
static int read_words(struct reader *r, const char *text, bool offset)
{
	size_t before = r->dump.size;
	int e = 0;

	while (e == 0 && *(text += strspn(text, " \t"))) {
		size_t n = hex_digits(text);

		if (offset && (*text == '|' || *text == '>' || r->dump.size - before >= 16))
			break;
		if (!n || n % 2 || (text[n] && !isspace((unsigned char)text[n])))
			return no_byte(r, text);
		for (; n && e == 0; n -= 2, text += 2) {
			char digits[3] = { text[0], text[1] };
			uint8_t byte = (uint8_t)strtoul(digits, NULL, 16);

			e = append(r, &byte, 1);
		}
	}
	r->row = r->dump.size - before;
	return e;
}

static int repeat_row(struct reader *r, uint64_t offset)
{
	if (offset < r->dump.size || offset > ITS_DUMP_MAX || (offset - r->dump.size) % r->row)
		return wrong(r, "offset %" PRIx64 " does not fit behind '*'", offset);
	r->repeated = false;
	while (r->dump.size < offset) {
		uint8_t row[64];
		int e;

		memcpy(row, r->dump.bytes + r->dump.size - r->row, r->row);
		e = append(r, row, r->row);
		if (e < 0)
			return e;
	}
	return 0;
}

static int read_offset_row(struct reader *r, const char *text, size_t digits)
{
	uint64_t offset = strtoull(text, NULL, 16);
	int e = r->repeated ? repeat_row(r, offset) : 0;

	if (e < 0)
		return e;
	if (offset != r->dump.size)
		return wrong(r, "offset %" PRIx64 " where %zx was to come", offset, r->dump.size);
	return read_words(r, text + digits + (text[digits] == ':'), true);
}

/*
 * hexdump and od print an offset of 6 digits or more, then bytes of 2, and after all of them the
 * size alone. Plain bytes may look so as well: the first row, whose offset is 0, decides.
 */
static bool has_offset(const struct reader *r, const char *text, size_t digits)
{
	const char *rest = text + digits + strspn(text + digits, " ");

	if (!digits || digits > 16 || r->layout == LAYOUT_PLAIN)
		return false;
	if (text[digits] == ':' || r->layout == LAYOUT_OFFSET)
		return true;
	return digits >= 6 && digits <= 8 && strspn(text, "0") == digits && hex_digits(rest) == 2;
}

static int read_line(struct reader *r, char *text)
{
	size_t length = strlen(text), digits;

	while (length && isspace((unsigned char)text[length - 1]))
		text[--length] = '\0';
	text += strspn(text, " \t");
	digits = hex_digits(text);
	if (!*text || *text == '#')
		return 0;
	if (strcmp(text, "*") == 0) {
		r->repeated = true;
		return r->row && r->row <= 64 ? 0 : wrong(r, "'*' without a row before it");
	}
	if (has_prefix(text) && r->layout != LAYOUT_OFFSET) {
		r->layout = LAYOUT_PLAIN;
		return read_doublewords(r, text);
	}
	if (has_offset(r, text, digits)) {
		r->layout = LAYOUT_OFFSET;
		return read_offset_row(r, text, digits);
	}
	r->layout = LAYOUT_PLAIN;
	if (r->repeated)
		return wrong(r, "no offset behind '*'");
	return read_words(r, text, false);
}

int its_dump_parse(struct its_dump *ret, char *text, char *error, size_t size)
{
	struct reader r = { .error = error, .error_size = size };
	int e = 0;

	while (text && e == 0) {
		char *line = strsep(&text, "\n");

		r.line++;
		e = read_line(&r, line);
	}
	if (e == 0 && r.repeated)
		e = wrong(&r, "the dump ends with '*', so its length is not known");
	if (e < 0)
		free(r.dump.bytes);
	else
		*ret = r.dump;
	return e;
}

/* ---- files ---- */

static bool is_text(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] >= 0x7f || (bytes[i] < 0x20 && !isspace(bytes[i])))
			return false;
	}
	return true;
}

int its_dump_read(struct its_dump *ret, FILE *file, char *error, size_t size)
{
	struct reader r = { .error = error, .error_size = size, .line = 1 };
	uint8_t block[4096];
	int e = 0;

	for (;;) {
		size_t n;

		errno = 0;
		n = fread(block, 1, sizeof(block), file);
		if (n)
			e = append(&r, block, n);
		else if (ferror(file))
			e = -(errno ? errno : EIO);
		if (e < 0 || !n)
			break;
	}
	if (e == 0 && is_text(r.dump.bytes, r.dump.size)) {
		e = append(&r, "", 1);
		if (e == 0)
			e = its_dump_parse(ret, (char *)r.dump.bytes, error, size);
		free(r.dump.bytes);
		return e;
	}
	if (e < 0)
		free(r.dump.bytes);
	else
		*ret = r.dump;
	return e;
}
