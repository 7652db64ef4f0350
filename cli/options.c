/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

#define MAX_OPTIONS 32u

int cli_error(int code, const char *name, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	fprintf(stderr, "peal %s: ", name);
	vfprintf(stderr, format, list);
	fputc('\n', stderr);
	va_end(list);
	return code;
}

static void print_help(const struct cli_command *command)
{
	printf("Usage: peal %s %s\n\n%s\n\nOptions:\n", command->name, command->synopsis,
	       command->line);
	for (const struct cli_option *o = command->options; o->name; o++) {
		char left[64];

		(void)snprintf(left, sizeof(left), "--%s%s%s", o->name, o->argument ? " " : "",
			       o->argument ? o->argument : "");
		printf("  %-22s %s\n", left, o->help);
		if (o->kind != CLI_CHOICE)
			continue;
		printf("  %-22s One of:", "");
		for (unsigned i = 0; o->choices[i]; i++)
			printf("%s %s", i ? "," : "", o->choices[i]);
		puts(".");
	}
	printf("  %-22s %s\n", "--help", "Show this help.");
	printf("\nExample:\n%s\n\nExit status: 0 done, 1 failed, 2 usage.\n", command->example);
}

/* ---- values ---- */

static bool suffix_shift(const char *end, unsigned *shift)
{
	static const char letters[] = "KMGT";
	const char *at;

	*shift = 0;
	if (!*end)
		return true;
	at = strchr(letters, *end);
	if (!at || end[1])
		return false;
	*shift = 10 * (unsigned)(at - letters + 1);
	return true;
}

static bool parse_number(const struct cli_option *o, const char *text)
{
	unsigned long long value;
	unsigned shift = 0;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text)
		return false;
	if (o->suffixes ? !suffix_shift(end, &shift) : *end)
		return false;
	if (value > UINT64_MAX >> shift)
		return false;
	value <<= shift;
	if (value < o->min || value > o->max)
		return false;
	*(uint64_t *)o->value = value;
	return true;
}

static bool parse_seconds(const struct cli_option *o, const char *text)
{
	double value;
	char *end;

	if ((text[0] < '0' || text[0] > '9') && text[0] != '.')
		return false;
	value = strtod(text, &end);
	if (end == text || *end || !isfinite(value) || value <= 0 || value > 1e9)
		return false;
	*(double *)o->value = value;
	return true;
}

static bool parse_choice(const struct cli_option *o, const char *text)
{
	for (unsigned i = 0; o->choices[i]; i++) {
		if (strcmp(o->choices[i], text) == 0) {
			*(unsigned *)o->value = i;
			return true;
		}
	}
	return false;
}

static int wrong_value(const struct cli_command *command, const struct cli_option *o,
		       const char *text)
{
	char names[256] = "";

	switch (o->kind) {
	case CLI_NUMBER:
		return cli_error(CLI_USAGE, command->name,
				 "--%s %s: takes a whole number from %llu to %llu%s", o->name, text,
				 (unsigned long long)o->min, (unsigned long long)o->max,
				 o->suffixes ? ", K, M, G, T allowed" : "");
	case CLI_SECONDS:
		return cli_error(CLI_USAGE, command->name,
				 "--%s %s: takes a number of seconds above 0", o->name, text);
	default:
		for (unsigned i = 0; o->choices[i]; i++) {
			size_t length = strlen(names);

			(void)snprintf(names + length, sizeof(names) - length, "%s%s",
				       i ? ", " : "", o->choices[i]);
		}
		return cli_error(CLI_USAGE, command->name, "--%s %s: takes one of %s", o->name,
				 text, names);
	}
}

/* -1, or the exit code. */
static int take(const struct cli_command *command, const struct cli_option *o, const char *text)
{
	bool good = true;

	switch (o->kind) {
	case CLI_FLAG:
		*(bool *)o->value = true;
		break;
	case CLI_STRING:
		if (!*text)
			return cli_error(CLI_USAGE, command->name, "--%s: needs a value", o->name);
		*(const char **)o->value = text;
		break;
	case CLI_NUMBER:
		good = parse_number(o, text);
		break;
	case CLI_SECONDS:
		good = parse_seconds(o, text);
		break;
	case CLI_CHOICE:
		good = parse_choice(o, text);
		break;
	}
	return good ? -1 : wrong_value(command, o, text);
}

/* ---- the line ---- */

static unsigned fill_long_options(const struct cli_command *command, struct option *rows)
{
	unsigned n = 0;

	for (; command->options[n].name; n++) {
		rows[n] = (struct option){
			.name = command->options[n].name,
			.has_arg = command->options[n].kind == CLI_FLAG ? no_argument
									: required_argument,
		};
	}
	rows[n].name = "help";
	return n;
}

/* Says what is wrong with the word that getopt_long did not take. */
static int refuse(const struct cli_command *command, const struct option *rows, const char *word)
{
	const char *equals = strchr(word, '=');

	if (optopt) /* "-x", or in the middle of "-xyz" */
		return cli_error(CLI_USAGE, command->name,
				 "-%c: unknown option; see peal %s --help", optopt, command->name);
	for (; equals && rows->name; rows++) {
		size_t length = strlen(rows->name);

		if (rows->has_arg == no_argument && (size_t)(equals - word) == length + 2 &&
		    strncmp(word + 2, rows->name, length) == 0)
			return cli_error(CLI_USAGE, command->name,
					 "%s: --%s takes no value; see peal %s --help", word,
					 rows->name, command->name);
	}
	return cli_error(CLI_USAGE, command->name,
			 "%s: unknown or ambiguous option; see peal %s --help", word,
			 command->name);
}

int cli_parse(const struct cli_command *command, int argc, char **argv, const char **arguments)
{
	struct option rows[MAX_OPTIONS + 2] = { 0 };
	unsigned help = fill_long_options(command, rows), narguments = 0;
	int index = 0, c;

	opterr = 0;
	optind = 1;
	/* "-": words that are no options come in place; ":" tells a missing argument apart. */
	while ((c = getopt_long(argc, argv, "-:", rows, &index)) != -1) {
		int r;

		if (c == 1) {
			if (narguments == command->max_arguments)
				return cli_error(CLI_USAGE, command->name,
						 "%s: unexpected argument; see peal %s --help",
						 optarg, command->name);
			arguments[narguments++] = optarg;
			continue;
		}
		if (c == ':')
			return cli_error(CLI_USAGE, command->name,
					 "%s: needs a value; see peal %s "
					 "--help",
					 argv[optind - 1], command->name);
		if (c != 0)
			return refuse(command, rows, argv[optind - 1]);
		if ((unsigned)index == help) {
			print_help(command);
			return CLI_OK;
		}
		r = take(command, &command->options[index], optarg);
		if (r >= 0)
			return r;
	}
	if (optind < argc)
		return cli_error(CLI_USAGE, command->name,
				 "%s: unexpected argument; see peal %s --help", argv[optind],
				 command->name);
	if (arguments)
		arguments[narguments] = NULL;
	return -1;
}
