/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "options.h"

static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *line;
} commands[] = {
	{ "run", run_main, "The whole path in one process: a disk image through PCI interrupts" },
	{ "serve", serve_main, "A device for QEMU and others, over vfio-user" },
	{ "probe", probe_main, "What a PCI function is and how its interrupts stand" },
	{ "irq", irq_main, "Rings, masks and counts the interrupts of a served device" },
	{ "decode", decode_main,
	  "What a dump of configuration space, or of an ITS's queue, means" },
	{ "trace", trace_main, "What the ITS of a running machine does, line by line" },
	{ "bench", bench_main, "Measurements, each beside a baseline in the same run" },
};

#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

static int print_help(void)
{
	fputs("Usage: peal COMMAND [OPTIONS]\n\n"
	      "PCI interrupt virtualization: from a device that wants attention to the CPU of a\n"
	      "virtual machine.\n\nCommands:\n",
	      stdout);
	for (size_t i = 0; i < NCOMMANDS; i++)
		printf("  %-8s %s\n", commands[i].name, commands[i].line);
	puts("\npeal COMMAND --help tells more. --version tells the version.");
	return CLI_OK;
}

/*
 * A standard stream that is closed gives its number to the next file that is opened, and what is
 * printed then goes into that file, which may be somebody's disk. A directory holds the place:
 * nothing can be written to it.
 */
static int hold_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/", O_RDONLY | O_DIRECTORY) != fd)
			return CLI_FAILED;
	}
	return CLI_OK;
}

/* Output that did not arrive is a failure; nobody has to be told that a pipe was closed. */
static int flush_output(int code)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	if (errno != EPIPE)
		fprintf(stderr, "peal: cannot write the output: %s\n",
			strerror(errno ? errno : EIO));
	return code == CLI_OK ? CLI_FAILED : code;
}

static int run_command(int argc, char **argv)
{
	if (argc < 2) {
		fputs("peal: no command; see peal --help\n", stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)
		return print_help();
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

/*
 * By the name peal-serve-MODEL it is a program for that device, which takes --socket-path and --fd:
 * vfio-user Protocol Specification, "Backend Program Conventions".
 */
static int run(int argc, char **argv)
{
	static const char prefix[] = "peal-serve-";
	const char *slash = argc ? strrchr(argv[0], '/') : NULL;
	char *name = slash ? argv[0] + (slash + 1 - argv[0]) : argc ? argv[0] : NULL;
	char **words;
	int r;

	if (!name || strncmp(name, prefix, sizeof(prefix) - 1) != 0)
		return run_command(argc, argv);
	words = calloc((size_t)argc + 2, sizeof(*words));
	if (!words)
		return cli_error(CLI_FAILED, "serve", "out of memory");
	words[0] = name;
	words[1] = name + sizeof(prefix) - 1;
	memcpy(words + 2, argv + 1, ((size_t)argc - 1) * sizeof(*words));
	r = serve_main(argc + 1, words);
	free(words);
	return r;
}

int main(int argc, char **argv)
{
	int r = hold_standard_streams();

	return r == CLI_OK ? flush_output(run(argc, argv)) : r;
}
