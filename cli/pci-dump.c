/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A dump is read line by line; memory grows with the devices that are complete, and those are
 * limited in number. Lines that begin with a blank or # are decoration (lspci -v) unless bytes
 * without offsets are being read.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <peal/pci.h>

#include "pci-dump.h"

#define LINE_MAX_LENGTH 32768u
#define DEVICES_MAX     65536u
#define OFFSET_DIGITS   6u /* of an offset without colon: hexdump -C, od */

enum layout {
	LAYOUT_NONE,   /* no row so far */
	LAYOUT_OFFSET, /* rows begin with their offset */
	LAYOUT_PLAIN,  /* bytes one after another */
};

struct reader {
	struct pci_dump dump;
	char *error;
	size_t error_size;
	uint64_t line;
	/* The device that is being read. */
	bool open;
	enum layout layout;
	char address[24];
	uint8_t bytes[PEAL_PCI_CONFIG_SIZE];
	uint32_t size;
	uint32_t row;  /* bytes of the last row */
	bool repeated; /* "*": the last row again and again, up to the next offset */
	/* The beginning of the file, which is text or a configuration space. */
	FILE *file;
	char head[PEAL_PCI_CONFIG_SIZE + 1];
	size_t head_size, head_at;
};

static int __attribute__((format(printf, 2, 3))) wrong(struct reader *r, const char *format, ...)
{
	int n = snprintf(r->error, r->error_size, "line %" PRIu64 ": ", r->line);
	va_list list;

	va_start(list, format);
	if (n >= 0 && (size_t)n < r->error_size)
		(void)vsnprintf(r->error + n, r->error_size - (size_t)n, format, list);
	va_end(list);
	return -EPROTO;
}

/* ---- devices ---- */

static bool is_size(uint32_t size)
{
	return size == 64 || size == 128 || size == 256 || size == PEAL_PCI_CONFIG_SIZE;
}

/* "00:02.0: ", or nothing when it has no address. */
static const char *prefix(const struct reader *r, char text[32])
{
	(void)snprintf(text, 32, "%s%s", r->address, r->address[0] ? ": " : "");
	return text;
}

static int append(struct reader *r)
{
	struct pci_dump *d = &r->dump;
	struct pci_dump_device *device;

	if (d->ndevices == DEVICES_MAX)
		return wrong(r, "more than %u devices", DEVICES_MAX);
	/* Room is made in powers of two. */
	if (!(d->ndevices & (d->ndevices - 1))) {
		size_t room = d->ndevices ? 2 * d->ndevices : 1;
		void *more = realloc(d->devices, room * sizeof(*d->devices));

		if (!more)
			return -ENOMEM;
		d->devices = more;
	}
	device = &d->devices[d->ndevices];
	device->bytes = malloc(r->size);
	if (!device->bytes)
		return -ENOMEM;
	memcpy(device->bytes, r->bytes, r->size);
	memcpy(device->address, r->address, sizeof(device->address));
	device->size = r->size;
	d->ndevices++;
	return 0;
}

static int end_device(struct reader *r)
{
	char text[32];
	int e;

	if (!r->open)
		return 0;
	if (!r->size)
		return wrong(r,
			     "%sthe device has no bytes; lspci prints them with -x, -xxx or -xxxx",
			     prefix(r, text));
	if (!is_size(r->size))
		return wrong(r,
			     "%sthe dump ends after %" PRIu32
			     " bytes; a whole one has 64, 128, 256 or 4096",
			     prefix(r, text), r->size);
	e = append(r);
	r->open = false;
	return e;
}

static int begin_device(struct reader *r, const char *address, size_t length)
{
	int e = end_device(r);

	if (e < 0)
		return e;
	r->open = true;
	r->layout = LAYOUT_NONE;
	r->size = 0;
	r->row = 0;
	r->repeated = false;
	memcpy(r->address, address, length);
	r->address[length] = '\0';
	return 0;
}

/* ---- tokens ---- */

static size_t hex_digits(const char *text)
{
	size_t n = 0;

	while (isxdigit((unsigned char)text[n]))
		n++;
	return n;
}

static unsigned hex_value(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c | 0x20) - 'a' + 10;
}

/* As many characters of the first word as an error shows. */
static int word_length(const char *text)
{
	size_t n = strcspn(text, " \t");

	return n < 20 ? (int)n : 20;
}

/* Length of "[dddd:]bb:dd.f" at the beginning of TEXT, 0: it is not there. */
static size_t address_length(const char *text)
{
	size_t n = hex_digits(text);

	if (n >= 4 && n <= 8 && text[n] == ':' && hex_digits(text + n + 1) == 2)
		n += 3;
	else if (n != 2)
		return 0;
	if (text[n] != ':' || hex_digits(text + n + 1) != 2 || text[n + 3] != '.' ||
	    text[n + 4] < '0' || text[n + 4] > '7')
		return 0;
	n += 5;
	return !text[n] || isspace((unsigned char)text[n]) ? n : 0;
}

/* ---- rows ---- */

static int add_byte(struct reader *r, const char *digits)
{
	if (r->size == sizeof(r->bytes))
		return wrong(r, "bytes past the 4096 of configuration space");
	r->bytes[r->size++] = (uint8_t)(hex_value(digits[0]) << 4 | hex_value(digits[1]));
	r->row++;
	return 0;
}

/*
 * The bytes of a row, in groups of one or more. After an offset, what comes behind two blanks and
 * is no byte, or behind a bar, shows the bytes as text.
 */
static int read_bytes(struct reader *r, const char *text)
{
	unsigned blanks = 0;

	r->row = 0;
	while (*text) {
		size_t n = hex_digits(text);
		int e = 0;

		if (isspace((unsigned char)*text)) {
			text++;
			blanks++;
			continue;
		}
		if (r->layout == LAYOUT_OFFSET && r->row && (*text == '|' || *text == '>'))
			return 0;
		if (!n || n % 2 || (text[n] && !isspace((unsigned char)text[n]))) {
			if (r->layout == LAYOUT_OFFSET && r->row && blanks >= 2)
				return 0;
			return wrong(r, "'%.*s' is not a byte in hexadecimal", word_length(text),
				     text);
		}
		/* Two blanks and the text column may begin with what looks like bytes: a row of
		 * hexdump and xxd has at most 16. */
		if (r->layout == LAYOUT_OFFSET && r->row >= 16 && blanks >= 2)
			return 0;
		for (size_t i = 0; i < n && e == 0; i += 2)
			e = add_byte(r, text + i);
		if (e < 0)
			return e;
		text += n;
		blanks = 0;
	}
	return 0;
}

/* "*" stood for rows like the last one, up to here. */
static int repeat_row(struct reader *r, uint64_t offset)
{
	if (!r->repeated)
		return 0;
	r->repeated = false;
	if (offset > sizeof(r->bytes) || offset < r->size || (offset - r->size) % r->row)
		return wrong(r, "offset %" PRIx64 " does not fit behind '*'", offset);
	while (r->size < offset) {
		memcpy(r->bytes + r->size, r->bytes + r->size - r->row, r->row);
		r->size += r->row;
	}
	return 0;
}

static int read_offset_row(struct reader *r, const char *text, size_t digits, bool colon)
{
	uint64_t offset = 0;
	int e;

	if (digits > 16)
		return wrong(r, "an offset of %zu digits", digits);
	for (size_t i = 0; i < digits; i++)
		offset = offset << 4 | hex_value(text[i]);
	r->layout = LAYOUT_OFFSET;
	e = repeat_row(r, offset);
	if (e < 0)
		return e;
	if (offset != r->size)
		return wrong(r, "offset %02" PRIx64 " where %02" PRIx32 " was to come", offset,
			     r->size);
	text += digits + colon;
	if (!colon && hex_digits(text + 1) == 4)
		return wrong(r, "words whose byte order is not known; use hexdump -C");
	if (!text[strspn(text, " \t")]) {
		/* The last line of hexdump is the size. */
		return colon ? wrong(r, "an offset without bytes") : 0;
	}
	return read_bytes(r, text);
}

static int read_row(struct reader *r, const char *text)
{
	size_t digits = hex_digits(text);
	bool colon = digits && text[digits] == ':';
	bool offset = digits >= OFFSET_DIGITS && digits <= 16 && text[digits] == ' ' &&
		      r->layout != LAYOUT_PLAIN &&
		      hex_digits(text + digits + 1 + (text[digits + 1] == ' ')) <= 4;
	int e = 0;

	if (!r->open)
		e = begin_device(r, "", 0);
	if (e < 0)
		return e;
	if (colon || offset)
		return read_offset_row(r, text, digits, colon);
	if (r->layout == LAYOUT_OFFSET && digits >= OFFSET_DIGITS && !text[digits])
		return read_offset_row(r, text, digits, false);
	if (strcmp(text, "*") == 0) {
		if (r->layout != LAYOUT_OFFSET || !r->row)
			return wrong(r, "'*' without a row before it");
		r->repeated = true;
		return 0;
	}
	if (!digits)
		return wrong(r, "'%.40s' is neither a device nor a row of bytes", text);
	if (r->layout == LAYOUT_OFFSET)
		return wrong(r, "a row without offset");
	r->layout = LAYOUT_PLAIN;
	return read_bytes(r, text);
}

static int read_line(struct reader *r, char *text)
{
	size_t length = strlen(text), address;

	while (length && isspace((unsigned char)text[length - 1]))
		text[--length] = '\0';
	address = address_length(text);
	if (address)
		return begin_device(r, text, address);
	if (!length || *text == '#')
		return 0;
	if (isspace((unsigned char)*text)) {
		/* Indented: bytes of a plain dump, or what lspci says about the device. */
		if (r->open && (r->address[0] || r->layout == LAYOUT_OFFSET))
			return 0;
		text += strspn(text, " \t");
	}
	return read_row(r, text);
}

/* ---- files ---- */

/* Text has no control characters but white space. */
static bool is_text(const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)bytes[i];

		if (c == 0x7f || (c < 0x20 && !isspace(c)))
			return false;
	}
	return true;
}

/* The bytes themselves, as in /sys/bus/pci/devices/…/config. */
static int read_raw(struct reader *r)
{
	int e = begin_device(r, "", 0);

	if (e < 0)
		return e;
	if (r->head_size > sizeof(r->bytes))
		return wrong(r, "neither text nor a configuration space: more than 4096 bytes");
	memcpy(r->bytes, r->head, r->head_size);
	r->size = (uint32_t)r->head_size;
	return end_device(r);
}

static int next_character(struct reader *r)
{
	if (r->head_at < r->head_size)
		return (unsigned char)r->head[r->head_at++];
	return fgetc(r->file);
}

/* A line without its end, of at most LINE_MAX_LENGTH - 1 characters. 1, 0 at the end, or -errno. */
static int get_line(struct reader *r, char *line)
{
	size_t length = 0;
	int c;

	r->line++;
	while ((c = next_character(r)) != EOF && c != '\n') {
		if (length == LINE_MAX_LENGTH - 1)
			return wrong(r, "longer than %u characters", LINE_MAX_LENGTH - 1);
		line[length++] = (char)c;
	}
	line[length] = '\0';
	if (c == EOF && ferror(r->file))
		return errno ? -errno : -EIO;
	if (!is_text(line, length))
		return wrong(r, "not text");
	return c != EOF || length;
}

static int read_all(struct reader *r, char *line)
{
	int e;

	r->line = 1;
	r->head_size = fread(r->head, 1, sizeof(r->head), r->file);
	if (ferror(r->file))
		return errno ? -errno : -EIO;
	if (!is_text(r->head, r->head_size))
		return read_raw(r);
	r->line = 0;
	while ((e = get_line(r, line)) > 0) {
		e = read_line(r, line);
		if (e < 0)
			return e;
	}
	r->line -= r->line > 1; /* what is missing is missing after the last line */
	if (e == 0)
		e = end_device(r);
	if (e == 0 && !r->dump.ndevices)
		return wrong(r, "no device and no bytes");
	return e;
}

int pci_dump_read(struct pci_dump *ret, FILE *file, char *error, size_t size)
{
	struct reader *r = calloc(1, sizeof(*r));
	char *line = malloc(LINE_MAX_LENGTH);
	int e = -ENOMEM;

	if (r && line) {
		r->error = error;
		r->error_size = size;
		r->file = file;
		errno = 0;
		e = read_all(r, line);
		if (e < 0)
			pci_dump_free(&r->dump);
		else
			*ret = r->dump;
	}
	free(line);
	free(r);
	return e;
}

void pci_dump_free(struct pci_dump *dump)
{
	for (size_t i = 0; i < dump->ndevices; i++)
		free(dump->devices[i].bytes);
	free(dump->devices);
	*dump = (struct pci_dump){ 0 };
}
