/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "options.h"

static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *line;
} commands[] = {
	{ "run", run_main, "The whole path in one process: a disk image through PCI interrupts" },
	{ "bench", bench_main, "Measurements, each beside a baseline in the same run" },
};

#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

static int print_help(FILE *to)
{
	fputs("Usage: peal COMMAND [OPTIONS]\n\n"
	      "PCI interrupt virtualization: from a device that wants attention to the CPU of a\n"
	      "virtual machine.\n\nCommands:\n",
	      to);
	for (size_t i = 0; i < NCOMMANDS; i++)
		fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].line);
	fputs("\npeal COMMAND --help tells more. --version tells the version.\n", to);
	return CLI_OK;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		(void)print_help(stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)
		return print_help(stdout);
	if (strcmp(argv[1], "--version") == 0) {
		puts("peal " PEAL_VERSION);
		return CLI_OK;
	}
	for (size_t i = 0; i < NCOMMANDS; i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].main(argc - 1, argv + 1);
	}
	fprintf(stderr, "peal: %s: no such command; see peal --help\n", argv[1]);
	return CLI_USAGE;
}
