/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of the frame: bench.c reads the command line, measure.c measures, report.c shows what
 * was measured.
 */
#ifndef PEAL_BENCH_CONTEXT_H
#define PEAL_BENCH_CONTEXT_H

#include <sched.h>

#include <jansson.h>

#include "bench.h"

#define BENCH_TARGETS 8u

struct bench_target {
	const char *name;
	double limit;
	bool at_most;
};

struct bench_context {
	const struct bench *bench;
	char command[64]; /* "bench NAME", for messages */
	unsigned rounds;
	bool progress;
	cpu_set_t allowed;      /* CPUs of the process */
	int pin_error;          /* the first -errno of pinning a thread */
	bool crowded;           /* threads share CPUs */
	struct bench_side ours; /* as they were measured last */
	struct bench_side baseline;
	json_t *params;
	struct bench_target targets[BENCH_TARGETS];
	unsigned ntargets;
};

/* measure.c: this thread, and those that it makes from now on, run on the N-th CPU of those allowed. */
void bench_pin(struct bench_context *context, unsigned n);

/* report.c */
json_t *bench_report_json(const struct bench_context *context);
void bench_report_print(const struct bench_context *context);

#endif
