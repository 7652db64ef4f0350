/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Command lines as tables: one row an option, from which parsing, checking, error messages and help
 * come. Errors are one line on stderr that names the option and says what it takes.
 */
#ifndef PEAL_CLI_OPTIONS_H
#define PEAL_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* Exit codes of every command. */
#define CLI_OK     0
#define CLI_FAILED 1
#define CLI_USAGE  2

enum cli_kind {
	CLI_FLAG,    /* bool: set to true */
	CLI_NUMBER,  /* uint64_t: MIN..MAX; K, M, G, T multiply by powers of 1024 when SUFFIXES */
	CLI_SECONDS, /* double: more than 0, fractions allowed */
	CLI_STRING,  /* const char * */
	CLI_CHOICE,  /* unsigned: index into CHOICES */
};

struct cli_option {
	const char *name; /* without dashes; NULL ends the table */
	enum cli_kind kind;
	void *value;
	uint64_t min, max;          /* CLI_NUMBER */
	bool suffixes;              /* CLI_NUMBER */
	const char *const *choices; /* CLI_CHOICE: names, ended by NULL */
	const char *argument;       /* "N", "FILE" for the help; NULL for a flag */
	const char *help;           /* one sentence; states the default */
};

struct cli_command {
	const char *name;     /* "run" */
	const char *line;     /* what it does, one line */
	const char *synopsis; /* after the name: "[--disk FILE] …" */
	const char *example;  /* a line or several, shown as they are */
	const struct cli_option *options;
	unsigned max_arguments; /* words that are no options */
};

/*
 * Parses ARGV[1..]; --help is known everywhere: prints the help to stdout. Returns -1 to go on,
 * with the words that are no options in ARGUMENTS (NULL-terminated, at least max_arguments + 1
 * places; NULL when max_arguments is 0), or the exit code.
 */
int cli_parse(const struct cli_command *command, int argc, char **argv, const char **arguments);

/* "peal NAME: …" on stderr, one line; returns CODE. */
int __attribute__((format(printf, 3, 4)))
cli_error(int code, const char *name, const char *format, ...);

#endif
