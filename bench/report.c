/* SPDX-License-Identifier: BSD-2-Clause */
/* What a bench shows: a JSON object, or a table with the targets. */
#include <stdio.h>
#include <string.h>

#include "context.h"

void bench_param_count(struct bench_context *context, const char *name, uint64_t value)
{
	(void)json_object_set_new(context->params, name, json_integer((json_int_t)value));
}

void bench_param_real(struct bench_context *context, const char *name, double value)
{
	(void)json_object_set_new(context->params, name, json_real(value));
}

void bench_param_text(struct bench_context *context, const char *name, const char *value)
{
	(void)json_object_set_new(context->params, name, json_string(value));
}

void bench_param_none(struct bench_context *context, const char *name)
{
	(void)json_object_set_new(context->params, name, json_null());
}

static void add_target(struct bench_context *context, const char *name, double limit, bool at_most)
{
	if (context->ntargets == BENCH_TARGETS)
		return;
	context->targets[context->ntargets++] = (struct bench_target){ name, limit, at_most };
}

void bench_target_at_least(struct bench_context *context, const char *name, double limit)
{
	add_target(context, name, limit, false);
}

void bench_target_at_most(struct bench_context *context, const char *name, double limit)
{
	add_target(context, name, limit, true);
}

static double ratio(const struct bench_context *context)
{
	return bench_ratio(context->ours.ns_per_op.median, context->baseline.ns_per_op.median);
}

json_t *bench_report_json(const struct bench_context *context)
{
	const struct bench_stats *ours = &context->ours.ns_per_op;

	return json_pack("{s:s, s:O, s:f, s:{s:s, s:f}, s:f, s:i, s:f, s:f}", /* clang-format off */
			 "bench", context->bench->name,
			 "params", context->params,
			 "ns_per_op", ours->median,
			 "baseline",
				"name", context->bench->baseline,
				"ns_per_op", context->baseline.ns_per_op.median,
			 "ratio", ratio(context),
			 "runs", (int)context->rounds,
			 "min", ours->min,
			 "max", ours->max); /* clang-format on */
}

/* ---- for people ---- */

static void print_stats(const char *name, const struct bench_stats *stats)
{
	printf("  %-18s %12.1f %12.1f %12.1f\n", name, stats->median, stats->min, stats->max);
}

static bool is_target(const struct bench_context *context, const char *name)
{
	for (unsigned i = 0; i < context->ntargets; i++) {
		if (strcmp(context->targets[i].name, name) == 0)
			return true;
	}
	return false;
}

static void print_param(const char *name, const json_t *value)
{
	char text[64] = "not measured";

	if (json_is_real(value))
		(void)snprintf(text, sizeof(text), "%.2f", json_real_value(value));
	else if (json_is_integer(value))
		(void)snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(value));
	else if (json_is_boolean(value))
		(void)snprintf(text, sizeof(text), "%s", json_is_true(value) ? "yes" : "no");
	else if (json_is_string(value))
		(void)snprintf(text, sizeof(text), "%s", json_string_value(value));
	printf("  %-18s %12s\n", name, text);
}

static void print_params(const struct bench_context *context)
{
	json_t *params = context->params;

	for (void *i = json_object_iter(params); i; i = json_object_iter_next(params, i)) {
		if (!is_target(context, json_object_iter_key(i)))
			print_param(json_object_iter_key(i), json_object_iter_value(i));
	}
}

static void print_target(const struct bench_context *context, const struct bench_target *target)
{
	const json_t *param = json_object_get(context->params, target->name);
	double value = param ? json_number_value(param) : ratio(context);
	bool met = target->at_most ? value <= target->limit : value >= target->limit;

	if (param && json_is_null(param))
		printf("  %-18s %12s   target %s %g\n", target->name, "not measured",
		       target->at_most ? "<=" : ">=", target->limit);
	else
		printf("  %-18s %12.2f   target %s %g: %s\n", target->name, value,
		       target->at_most ? "<=" : ">=", target->limit, met ? "met" : "MISSED");
}

void bench_report_print(const struct bench_context *context)
{
	printf("%s: %s\n\n", context->bench->name, context->bench->line);
	printf("  %-18s %12s %12s %12s   (%u runs)\n", "ns per operation", "median", "min", "max",
	       context->rounds);
	print_stats("peal", &context->ours.ns_per_op);
	print_stats(context->bench->baseline, &context->baseline.ns_per_op);
	putchar('\n');
	print_params(context);
	if (context->ntargets)
		putchar('\n');
	for (unsigned i = 0; i < context->ntargets; i++)
		print_target(context, &context->targets[i]);
	if (context->bench->notes)
		printf("\n%s\n", context->bench->notes);
	if (context->pin_error)
		printf("\n  The threads could not be pinned to CPUs: %s.\n",
		       strerror(-context->pin_error));
	if (context->crowded)
		printf("\n  There are fewer CPUs than threads: %u.\n", bench_cpus(context));
}
