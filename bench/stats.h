/* SPDX-License-Identifier: BSD-2-Clause */
/* The arithmetic of the benches: medians and ratios. */
#ifndef PEAL_BENCH_STATS_H
#define PEAL_BENCH_STATS_H

#include <stdlib.h>

struct bench_stats {
	double median;
	double min;
	double max;
};

static inline int bench_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Of COUNT figures, at least one; sorts them. The median of an even number is the middle's mean. */
static inline struct bench_stats bench_stats_of(double *figures, unsigned count)
{
	qsort(figures, count, sizeof(figures[0]), bench_compare);
	return (struct bench_stats){
		.median = (figures[(count - 1) / 2] + figures[count / 2]) / 2,
		.min = figures[0],
		.max = figures[count - 1],
	};
}

/* How many times as fast as the baseline: above 1, ours is faster. */
static inline double bench_ratio(double ours, double baseline)
{
	return ours > 0 ? baseline / ours : 0;
}

/* The median of OURS / OTHERS, round by round; RATIOS is room for them. */
static inline double bench_times_of(const double *ours, const double *others, double *ratios,
				    unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++)
		ratios[i] = ours[i] / others[i];
	return bench_stats_of(ratios, rounds).median;
}

#endif
