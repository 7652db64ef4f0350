/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <peal/bits.h>

#include "decode-its.h"
#include "its-command.h"
#include "its-dump.h"
#include "options.h"

/* ---- input ---- */

static bool is_hex(const char *const *words)
{
	for (; *words; words++) {
		if (!**words || strspn(*words, "0123456789abcdefABCDEFxX \t\n") != strlen(*words))
			return false;
	}
	return true;
}

static int read_words(const char *const *words, struct its_dump *dump, char *error, size_t size)
{
	size_t length = 1;
	char *text;
	int r;

	for (unsigned i = 0; words[i]; i++)
		length += strlen(words[i]) + 1;
	text = calloc(1, length);
	if (!text)
		return -ENOMEM;
	for (unsigned i = 0; words[i]; i++) {
		strcat(text, words[i]);
		strcat(text, " ");
	}
	r = its_dump_parse(dump, text, error, size);
	free(text);
	return r;
}

static int read_input(const char *const *words, struct its_dump *dump)
{
	bool standard = strcmp(words[0], "-") == 0;
	const char *name = standard ? "standard input" : words[0];
	FILE *file = standard ? stdin : words[1] ? NULL : fopen(words[0], "re");
	int r = errno;
	char error[256];

	if (file) {
		r = its_dump_read(dump, file, error, sizeof(error));
		if (!standard)
			(void)fclose(file);
	} else if (is_hex(words)) {
		name = "HEX";
		r = read_words(words, dump, error, sizeof(error));
	} else if (words[1]) {
		return cli_error(CLI_USAGE, "decode",
				 "its: takes one FILE, or words of hexadecimal");
	} else {
		return cli_error(CLI_FAILED, "decode", "%s: %s, and not hexadecimal", words[0],
				 strerror(r));
	}
	if (r == -EPROTO)
		return cli_error(CLI_FAILED, "decode", "%s: %s", name, error);
	if (r < 0)
		return cli_error(CLI_FAILED, "decode", "%s: %s", name, strerror(-r));
	if (!dump->size) {
		free(dump->bytes);
		return cli_error(CLI_FAILED, "decode", "%s: no command in it", name);
	}
	return CLI_OK;
}

/* ---- output ---- */

static void print_text(size_t offset, const uint64_t dw[4])
{
	char text[ITS_COMMAND_TEXT], remarks[ITS_COMMAND_REMARKS][80];
	unsigned n = its_command_remarks(dw, remarks);

	its_command_text(dw, text);
	printf("0x%05zx %s\n", offset, text);
	for (unsigned i = 0; i < n; i++)
		printf("        !!! %s\n", remarks[i]);
}

static void print_json(size_t offset, const uint64_t dw[4])
{
	char remarks[ITS_COMMAND_REMARKS][80];
	unsigned n = its_command_remarks(dw, remarks);
	json_t *object = json_object(), *errors = json_array();

	(void)json_object_set_new(object, "offset", json_integer((json_int_t)offset));
	its_command_json(dw, object);
	for (unsigned i = 0; i < n; i++)
		(void)json_array_append_new(errors, json_string(remarks[i]));
	(void)json_object_set_new(object, "errors", errors);
	if (offset)
		putchar(',');
	(void)json_dumpf(object, stdout, JSON_COMPACT);
	json_decref(object);
}

int decode_its(const char *const *words, bool json)
{
	struct its_dump dump;
	size_t whole, rest;
	int r = read_input(words, &dump);

	if (r != CLI_OK)
		return r;
	rest = dump.size % ITS_COMMAND_SIZE;
	whole = dump.size - rest;
	if (json)
		fputs("{\"commands\":[", stdout);
	for (size_t at = 0; at < whole; at += ITS_COMMAND_SIZE) {
		uint64_t dw[4];

		for (unsigned i = 0; i < 4; i++)
			dw[i] = peal_load_le(dump.bytes + at + 8 * i, 8);
		(json ? print_json : print_text)(at, dw);
	}
	if (json)
		printf("],\"truncated\":%zu}\n", rest);
	else if (rest)
		printf("0x%05zx !!! the last command is truncated: %zu of 32 bytes\n", whole, rest);
	free(dump.bytes);
	return CLI_OK;
}
