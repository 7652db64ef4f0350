/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Benches: `peal bench NAME`.
 *
 * A bench is a row in the table of bench.c. It measures several sides, the library's and a
 * baseline's first of all, in alternation: each round runs every side once, so that what disturbs
 * the machine disturbs all of them. The figure of a run is the median of its batches, and the medians
 * of the runs are reported.
 *
 * A side's threads are its own, pinned each to a CPU, and start every batch together. Time runs
 * from that start until the last thread has done its batch; what BETWEEN does is not measured.
 */
#ifndef PEAL_BENCH_BENCH_H
#define PEAL_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../cli/options.h"
#include "stats.h"

/* `peal bench …`; ARGV[0] is "bench". Returns the exit code. */
int bench_main(int argc, char **argv);

#define BENCH_OPTIONS 8u /* rows that a bench may have */

struct bench_context;

struct bench {
	const char *name;
	const char *line;     /* what is measured; against what; one line */
	const char *baseline; /* its name in the output */
	const char *notes; /* what the parameters mean; lines that begin with two blanks; or NULL */
	size_t options_size; /* of the struct that OPTIONS fills; 0: no options */
	/* Defaults into VALUES and the rows that point there, at most BENCH_OPTIONS. */
	void (*options)(void *values, struct cli_option *rows);
	/* Measures and reports with the functions below. An exit code; says itself what failed. */
	int (*run)(struct bench_context *context, const void *values);
};

/* Each of these is in a file of its name. */
extern const struct bench bench_msix_notify;
extern const struct bench bench_its_send;
extern const struct bench bench_its_migrate;
extern const struct bench bench_its_command;
extern const struct bench bench_run_blk;
extern const struct bench bench_vfu_read;
extern const struct bench bench_vfu_write_posted;
extern const struct bench bench_vfu_write_multi;
extern const struct bench bench_vfu_irq;
extern const struct bench bench_vfu_dma_map;

/* ---- for a bench ---- */

#define BENCH_THREADS 64u

struct bench_side {
	unsigned threads; /* 1..BENCH_THREADS */
	uint64_t batch;   /* operations of each thread from start to start */
	uint64_t batches; /* of a run; 0: the frame finds out how many make a run long enough */
	/*
	 * In each thread before the start of a batch, not measured; NULL: nothing. FIRST and COUNT
	 * as for WORK.
	 */
	void (*prepare)(void *user, unsigned thread, uint64_t first, uint64_t count);
	/*
	 * Does COUNT operations; FIRST is how many this thread of the side did before, over all
	 * runs. 0, or -errno, which ends the measurement.
	 */
	int (*work)(void *user, unsigned thread, uint64_t first, uint64_t count);
	/* In each thread after a batch, when all have done it; NULL: nothing. 0, or -errno. */
	int (*between)(void *user, unsigned thread);
	void *user;

	struct bench_stats ns_per_op; /* elapsed time / operations of all threads */
	/* Its time / that of the side after it in the same round, the median: what changes from round
	 * to round, such as the clock of the processor, is not in it. */
	double times;
	uint64_t done; /* operations of each thread so far; the frame's */
};

/*
 * Measures SIDES, after a warm-up. CLI_OK, or CLI_FAILED and it was said why. The frame reports
 * SIDES[0] as ours and SIDES[1] as the baseline.
 */
int bench_measure(struct bench_context *context, struct bench_side *sides, unsigned nsides);

/* Adds to the parameters of the report, in this order. */
void bench_param_count(struct bench_context *context, const char *name, uint64_t value);
void bench_param_real(struct bench_context *context, const char *name, double value);
void bench_param_text(struct bench_context *context, const char *name, const char *value);
void bench_param_none(struct bench_context *context, const char *name); /* null: not measurable */

/* A target on a figure; "ratio" is ours against the baseline, else the name of a parameter. */
void bench_target_at_least(struct bench_context *context, const char *name, double limit);
void bench_target_at_most(struct bench_context *context, const char *name, double limit);

/* CPUs that this process may use. */
unsigned bench_cpus(const struct bench_context *context);

/* One line on stderr that begins with "peal bench NAME: "; returns CODE. */
int __attribute__((format(printf, 3, 4)))
bench_error(const struct bench_context *context, int code, const char *format, ...);

#endif
