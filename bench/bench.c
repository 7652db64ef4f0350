/* SPDX-License-Identifier: BSD-2-Clause */
/* `peal bench`: the table of benches and its command line. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "context.h"

#define MIN_ROUNDS     11u
#define DEFAULT_ROUNDS 25u
#define MAX_ROUNDS     1001u
#define COUNT_OF(a)    (sizeof(a) / sizeof((a)[0]))

/* clang-format off */
static const struct bench *const benches[] = {
	&bench_msix_notify,
	&bench_its_send,
	&bench_its_migrate,
	&bench_its_command,
	&bench_run_blk,
	&bench_vfu_read,
	&bench_vfu_write_posted,
	&bench_vfu_write_multi,
	&bench_vfu_irq,
	&bench_vfu_dma_map,
};
/* clang-format on */

/* What every bench takes. */
struct common {
	bool json;
	uint64_t rounds;
};

int bench_error(const struct bench_context *context, int code, const char *format, ...)
{
	char text[256];
	va_list list;

	va_start(list, format);
	(void)vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	return cli_error(code, context->command, "%s", text);
}

static int print_json(json_t *json)
{
	char *text = json ? json_dumps(json, JSON_REAL_PRECISION(6)) : NULL;

	json_decref(json);
	if (!text)
		return cli_error(CLI_FAILED, "bench", "out of memory");
	puts(text);
	free(text);
	return CLI_OK;
}

/* ---- one bench ---- */

static void add_common_options(struct common *common, struct cli_option *rows)
{
	rows[0] = (struct cli_option){ .name = "runs",
				       .kind = CLI_NUMBER,
				       .value = &common->rounds,
				       .min = MIN_ROUNDS,
				       .max = MAX_ROUNDS,
				       .argument = "N",
				       .help = "Rounds; medians are of so many runs (25)." };
	rows[1] = (struct cli_option){ .name = "json",
				       .kind = CLI_FLAG,
				       .value = &common->json,
				       .help = "Print one JSON object." };
	rows[2] = (struct cli_option){ 0 };
	common->rounds = DEFAULT_ROUNDS;
}

static int parse(struct bench_context *context, struct common *common, void *values, int argc,
		 char **argv)
{
	struct cli_option rows[BENCH_OPTIONS + 3] = { 0 };
	unsigned n = 0;
	char example[80];
	const struct cli_command command = {
		.name = context->command,
		.line = context->bench->line,
		.synopsis = "[options]",
		.example = example,
		.options = rows,
	};

	(void)snprintf(example, sizeof(example), "  peal %s --json", context->command);
	if (context->bench->options)
		context->bench->options(values, rows);
	while (rows[n].name)
		n++;
	add_common_options(common, &rows[n]);
	return cli_parse(&command, argc, argv, NULL);
}

static int measure(struct bench_context *context, const void *values)
{
	int code;

	context->params = json_object();
	if (!context->params)
		return cli_error(CLI_FAILED, context->command, "out of memory");
	code = context->bench->run(context, values);
	if (code == CLI_OK)
		(void)json_object_set_new(context->params, "pinned",
					  json_boolean(!context->pin_error && !context->crowded));
	return code;
}

/* Runs a bench with its own options; shows the result, or in JSON appends it to ALL if given. */
static int run_bench(const struct bench *bench, int argc, char **argv, json_t *all)
{
	struct bench_context context = { .bench = bench, .progress = isatty(STDERR_FILENO) };
	void *values = calloc(1, bench->options_size + 1);
	struct common common = { 0 };
	int code;

	(void)snprintf(context.command, sizeof(context.command), "bench %s", bench->name);
	if (!values)
		return cli_error(CLI_FAILED, context.command, "out of memory");
	code = parse(&context, &common, values, argc, argv);
	if (code >= 0) {
		free(values);
		return code;
	}
	context.rounds = (unsigned)common.rounds;
	if (sched_getaffinity(0, sizeof(context.allowed), &context.allowed) < 0) {
		/* More CPUs than the set has bits; the first will do. */
		CPU_ZERO(&context.allowed);
		CPU_SET(0, &context.allowed);
	}
	code = measure(&context, values);
	if (code == CLI_OK && all)
		(void)json_array_append_new(all, bench_report_json(&context));
	else if (code == CLI_OK && common.json)
		code = print_json(bench_report_json(&context));
	else if (code == CLI_OK)
		bench_report_print(&context);
	json_decref(context.params);
	free(values);
	return code;
}

/* ---- all of them ---- */

static int list(bool json)
{
	json_t *array;

	if (!json) {
		for (size_t i = 0; i < COUNT_OF(benches); i++)
			printf("%-16s %s\n", benches[i]->name, benches[i]->line);
		puts("\nRun one with peal bench NAME, all with peal bench --all.");
		return CLI_OK;
	}
	array = json_array();
	for (size_t i = 0; i < COUNT_OF(benches); i++)
		(void)json_array_append_new(array,
					    json_pack("{s:s, s:s}", "bench", benches[i]->name,
						      "line", benches[i]->line));
	return print_json(array);
}

static int run_all(bool json)
{
	char name[] = "bench", *argv[] = { name, NULL };
	json_t *all = json ? json_array() : NULL;
	int code = CLI_OK;

	for (size_t i = 0; code == CLI_OK && i < COUNT_OF(benches); i++) {
		if (i && !json)
			putchar('\n');
		code = run_bench(benches[i], 1, argv, all);
		(void)fflush(stdout);
	}
	if (code != CLI_OK) {
		json_decref(all);
		return code;
	}
	return json ? print_json(all) : CLI_OK;
}

static int list_or_run_all(int argc, char **argv)
{
	bool all = false, json = false;
	const struct cli_option options[] = {
		{ .name = "all", .kind = CLI_FLAG, .value = &all, .help = "Run every bench." },
		{ .name = "json",
		  .kind = CLI_FLAG,
		  .value = &json,
		  .help = "Print JSON; with --all one array of all results." },
		{ 0 },
	};
	const struct cli_command command = {
		.name = "bench",
		.line = "Measures the library against a baseline; without NAME, lists the benches.",
		.synopsis = "[NAME [options] | --all] [--json]",
		.example = "  peal bench its-send --devices 64 --events 16\n"
			   "  peal bench its-send --help",
		.options = options,
	};
	int code = cli_parse(&command, argc, argv, NULL);

	if (code >= 0)
		return code;
	return all ? run_all(json) : list(json);
}

int bench_main(int argc, char **argv)
{
	if (argc < 2 || argv[1][0] == '-')
		return list_or_run_all(argc, argv);
	for (size_t i = 0; i < COUNT_OF(benches); i++) {
		if (strcmp(argv[1], benches[i]->name) == 0)
			return run_bench(benches[i], argc - 1, argv + 1, NULL);
	}
	return cli_error(CLI_USAGE, "bench", "%s: no such bench; peal bench lists them", argv[1]);
}
