/* SPDX-License-Identifier: BSD-2-Clause */
/* Latencies in nanoseconds, in buckets of at most 1/32 of their value. One writer at a time. */
#ifndef PEAL_CLI_HISTOGRAM_H
#define PEAL_CLI_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB     32u
#define HISTOGRAM_BUCKETS (60u * HISTOGRAM_SUB)

struct histogram {
	uint64_t counts[HISTOGRAM_BUCKETS];
	uint64_t total;
	uint64_t max;
};

void histogram_add(struct histogram *histogram, uint64_t value);
void histogram_merge(struct histogram *to, const struct histogram *from);

/* The value that a share (0..1) of the values does not exceed; 0 when there are none. */
uint64_t histogram_at(const struct histogram *histogram, double share);

#endif
