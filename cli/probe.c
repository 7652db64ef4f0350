/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `peal probe`: what a PCI function is, and how its interrupts stand: one of our devices, made for
 * the purpose, or one that another process serves.
 */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "options.h"
#include "pci-print.h"
#include "probe-model.h"
#include "vfio-print.h"
#include "vfio-target.h"

#define NO_VECTOR UINT64_MAX
#define NO_MODEL  UINT32_MAX
#define TIMEOUT   5 /* seconds, as QEMU's */

struct probe_options {
	const char *target; /* NULL: a model */
	unsigned model;
	uint64_t raise;
	double timeout;
	bool dump, json;
};

/* Options that say what to look at exclude each other. */
static int check(struct probe_options *o)
{
	if (o->dump && o->json)
		return cli_error(CLI_USAGE, "probe", "--dump and --json exclude each other");
	if (o->target && (o->model != NO_MODEL || o->raise != NO_VECTOR))
		return cli_error(CLI_USAGE, "probe", "%s is not for %s",
				 o->model != NO_MODEL ? "--model" : "--raise", o->target);
	if (!o->target && o->timeout > 0)
		return cli_error(CLI_USAGE, "probe",
				 "--timeout is for " VFIO_TARGET_PREFIX "PATH, not for a model");
	if (o->model == NO_MODEL)
		o->model = 0;
	return -1;
}

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
		{ .name = "timeout",
		  .kind = CLI_SECONDS,
		  .value = &o->timeout,
		  .argument = "S",
		  .help = "How long to wait for an answer of the server. Default 5." },
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
			"vector's interrupts went. With " VFIO_TARGET_PREFIX "PATH, the\n"
			"device that a server shows there, and what it says of itself; nothing is "
			"written to it.",
		.synopsis = "[" VFIO_TARGET_PREFIX "PATH|--model NAME] [OPTIONS]",
		.example = "  peal probe --model blk\n"
			   "  peal probe " VFIO_TARGET_PREFIX "/run/peal.sock\n"
			   "  peal probe --model hello --dump > hello.dump; lspci -F hello.dump "
			   "-vvv",
		.options = options,
		.max_arguments = 1,
	};
	const char *words[2];
	int r = cli_parse(&command, argc, argv, words);

	if (r >= 0)
		return r;
	o->target = words[0];
	return check(o);
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
		const struct vfio_target *target, struct pci_names *names)
{
	struct pci_out out;
	char title[640];
	int r = 0;

	if (o->dump) {
		r = pci_print_title(source, names, title, sizeof(title));
		if (r == 0)
			r = pci_source_dump(source, title, stdout);
	} else {
		pci_out_begin(&out, stdout, o->json);
		if (!target || vfio_print_has_config(target))
			r = pci_print(source, names, &out);
		if (r == 0 && target)
			vfio_print(target, &out);
		pci_out_end(&out);
		if (o->json)
			putchar('\n');
	}
	if (r < 0 && target)
		return vfio_target_failed(target, "configuration space", r);
	if (r < 0)
		return cli_error(CLI_FAILED, "probe", "%s: %s", source->address, strerror(-r));
	return CLI_OK;
}

static int probe_model(const struct probe_options *o, struct pci_names *names)
{
	struct probe_model *model = NULL;
	int r = probe_model_new(&model, o->model);

	if (r == CLI_OK)
		r = raise_vector(o, model);
	if (r == CLI_OK) {
		struct pci_source source = pci_source_function(probe_model_function(model));

		r = show(o, &source, NULL, names);
	}
	probe_model_free(model);
	return r;
}

static int probe_target(const struct probe_options *o, struct pci_names *names)
{
	struct vfio_target target;
	struct pci_source source;
	int r = vfio_target_open(&target, "probe", o->target,
				 o->timeout > 0 ? o->timeout : TIMEOUT);

	if (r != CLI_OK)
		return r;
	source = vfio_print_source(&target);
	if (o->dump) /* lspci wants one, and any will do */
		memcpy(source.address, "00:00.0", sizeof("00:00.0"));
	if (o->dump && !vfio_print_has_config(&target))
		r = cli_error(CLI_FAILED, "probe", "%s: not a PCI device", o->target);
	else
		r = show(o, &source, &target, names);
	vfio_target_close(&target);
	return r;
}

int probe_main(int argc, char **argv)
{
	struct probe_options o = { .model = NO_MODEL, .raise = NO_VECTOR };
	struct pci_names *names;
	int r = parse(&o, argc, argv);

	if (r >= 0)
		return r;
	names = pci_names_new();
	if (!names)
		return cli_error(CLI_FAILED, "probe", "out of memory");
	r = o.target ? probe_target(&o, names) : probe_model(&o, names);
	pci_names_free(names);
	return r;
}
