/* SPDX-License-Identifier: BSD-2-Clause */
/* `peal decode`: what bytes that were taken elsewhere mean. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "decode-its.h"
#include "options.h"
#include "pci-dump.h"
#include "pci-print.h"

struct decode_options {
	const char *arguments[7];
	bool its;
	bool json;
};

static int parse(struct decode_options *o, int argc, char **argv)
{
	const struct cli_option options[] = {
		{ .name = "json",
		  .kind = CLI_FLAG,
		  .value = &o->json,
		  .help = "Print the result as JSON." },
		{ 0 },
	};
	const struct cli_command command = {
		.name = "decode",
		.line = "Explains bytes that were taken elsewhere. What cannot be right is marked "
			"with \"!!!\".\n\n"
			"config: configuration spaces of PCI functions, as `lspci -x`, -xxx and "
			"-xxxx, hexdump -C, xxd\n"
			"        or sysfs have them.\n"
			"its:    a command queue of a GICv3 ITS, 32 bytes a command: raw memory, "
			"bytes in hexadecimal\n"
			"        (also as hexdump -C and xxd print them), or doublewords that begin "
			"with 0x.",
		.synopsis = "config FILE|- [--json]\n       peal decode its FILE|HEX|- [--json]",
		.example = "  lspci -xxxx | peal decode config -\n"
			   "  peal decode config /sys/bus/pci/devices/0000:00:02.0/config --json\n"
			   "  peal decode its queue.bin\n"
			   "  peal decode its 0x80000000a 0x200300000003 0 0",
		.options = options,
		.max_arguments = 6,
	};
	int r = cli_parse(&command, argc, argv, o->arguments);

	if (r >= 0)
		return r;
	if (!o->arguments[0])
		return cli_error(CLI_USAGE, "decode", "of what? See peal decode --help");
	o->its = strcmp(o->arguments[0], "its") == 0;
	if (!o->its && strcmp(o->arguments[0], "config") != 0)
		return cli_error(CLI_USAGE, "decode",
				 "%s: takes config or its; see peal decode --help",
				 o->arguments[0]);
	if (!o->arguments[1])
		return cli_error(CLI_USAGE, "decode", "%s: needs a FILE%s, or - for standard input",
				 o->arguments[0], o->its ? ", hexadecimal" : "");
	if (!o->its && o->arguments[2])
		return cli_error(CLI_USAGE, "decode",
				 "%s: unexpected argument; see peal decode --help",
				 o->arguments[2]);
	return -1;
}

static int read_dump(const char *path, struct pci_dump *dump)
{
	bool standard = strcmp(path, "-") == 0;
	const char *name = standard ? "standard input" : path;
	FILE *file = standard ? stdin : fopen(path, "re");
	char error[512];
	int r;

	if (!file)
		return cli_error(CLI_FAILED, "decode", "%s: %s", path, strerror(errno));
	r = pci_dump_read(dump, file, error, sizeof(error));
	if (!standard)
		(void)fclose(file);
	if (r == -EPROTO)
		return cli_error(CLI_FAILED, "decode", "%s: %s", name, error);
	if (r < 0)
		return cli_error(CLI_FAILED, "decode", "%s: %s", name, strerror(-r));
	return CLI_OK;
}

static void print_device(const struct pci_dump_device *device, struct pci_names *names, bool json)
{
	struct pci_source_bytes bytes = { .bytes = device->bytes, .size = device->size };
	struct pci_source source = pci_source_bytes(&bytes, device->address);
	struct pci_out out;

	pci_out_begin(&out, stdout, json);
	/* It has a header and is in memory. */
	(void)pci_print(&source, names, &out);
	pci_out_end(&out);
	if (!json)
		putchar('\n');
}

static int print_devices(const struct pci_dump *dump, bool json)
{
	struct pci_names *names = pci_names_new();

	if (!names)
		return cli_error(CLI_FAILED, "decode", "out of memory");
	/* One at a time, so that many do not take much memory. */
	if (json)
		fputs("{\"functions\":[", stdout);
	for (size_t i = 0; i < dump->ndevices; i++) {
		if (json && i)
			putchar(',');
		print_device(&dump->devices[i], names, json);
	}
	if (json)
		puts("]}");
	pci_names_free(names);
	return CLI_OK;
}

int decode_main(int argc, char **argv)
{
	struct decode_options o = { 0 };
	struct pci_dump dump;
	int r = parse(&o, argc, argv);

	if (r >= 0)
		return r;
	if (o.its)
		return decode_its(o.arguments + 1, o.json);
	r = read_dump(o.arguments[1], &dump);
	if (r != CLI_OK)
		return r;
	r = print_devices(&dump, o.json);
	pci_dump_free(&dump);
	return r;
}
