/* SPDX-License-Identifier: BSD-2-Clause */
/* `peal probe`: what a PCI function is, and how its interrupts stand. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "options.h"
#include "pci-print.h"
#include "probe-model.h"

#define NO_VECTOR UINT64_MAX

struct probe_options {
	unsigned model;
	uint64_t raise;
	bool dump, json;
};

static int parse(struct probe_options *o, int argc, char **argv)
{
	const struct cli_option options[] = {
		{ .name = "model",
		  .kind = CLI_CHOICE,
		  .value = &o->model,
		  .argument = "NAME",
		  .choices = probe_model_names,
		  .help = "The device to look at, made for the purpose. Default blk." },
		{ .name = "raise",
		  .kind = CLI_NUMBER,
		  .value = &o->raise,
		  .max = 2047,
		  .argument = "N",
		  .help = "Raise MSI-X vector N first, as the device would." },
		{ .name = "dump",
		  .kind = CLI_FLAG,
		  .value = &o->dump,
		  .help = "Print the configuration space as `lspci -F` reads it, and nothing "
			  "else." },
		{ .name = "json",
		  .kind = CLI_FLAG,
		  .value = &o->json,
		  .help = "Print the result as JSON." },
		{ 0 },
	};
	const struct cli_command command = {
		.name = "probe",
		.line = "Shows a PCI function as lspci does, and what lspci cannot know: the sizes "
			"of its regions, its\nMSI-X table and pending bits, and where each "
			"vector's interrupts went.",
		.synopsis = "[--model NAME] [OPTIONS]",
		.example = "  peal probe --model blk\n"
			   "  peal probe --model hello --dump > hello.dump; lspci -F hello.dump "
			   "-vvv",
		.options = options,
	};
	int r = cli_parse(&command, argc, argv, NULL);

	if (r >= 0)
		return r;
	if (o->dump && o->json)
		return cli_error(CLI_USAGE, "probe", "--dump and --json exclude each other");
	return -1;
}

static int raise_vector(const struct probe_options *o, struct probe_model *model)
{
	struct peal_msix *msix = peal_pci_function_msix(probe_model_function(model));
	unsigned count = msix ? peal_msix_vectors(msix) : 0;

	if (o->raise == NO_VECTOR)
		return CLI_OK;
	if (o->raise >= count)
		return cli_error(CLI_USAGE, "probe", "--raise %u: %s has %u vectors, from 0",
				 (unsigned)o->raise, probe_model_names[o->model], count);
	(void)peal_msix_notify(msix, (unsigned)o->raise);
	return CLI_OK;
}

static int show(const struct probe_options *o, const struct pci_source *source,
		struct pci_names *names)
{
	struct pci_out out;
	char title[640];
	int r;

	if (o->dump) {
		r = pci_print_title(source, names, title, sizeof(title));
		if (r == 0)
			r = pci_source_dump(source, title, stdout);
	} else {
		pci_out_begin(&out, stdout, o->json);
		r = pci_print(source, names, &out);
		pci_out_end(&out);
		if (o->json)
			putchar('\n');
	}
	if (r < 0)
		return cli_error(CLI_FAILED, "probe", "%s: %s", source->address, strerror(-r));
	return CLI_OK;
}

int probe_main(int argc, char **argv)
{
	struct probe_options o = { .raise = NO_VECTOR };
	struct probe_model *model = NULL;
	struct pci_names *names;
	int r = parse(&o, argc, argv);

	if (r >= 0)
		return r;
	names = pci_names_new();
	if (!names)
		return cli_error(CLI_FAILED, "probe", "out of memory");
	r = probe_model_new(&model, o.model);
	if (r == CLI_OK)
		r = raise_vector(&o, model);
	if (r == CLI_OK) {
		struct pci_source source = pci_source_function(probe_model_function(model));

		r = show(&o, &source, names);
	}
	probe_model_free(model);
	pci_names_free(names);
	return r;
}
