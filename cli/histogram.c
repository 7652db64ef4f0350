/* SPDX-License-Identifier: BSD-2-Clause */
#include "histogram.h"

/* Values below 32 have a bucket each; above, the five bits after the first one count. */
static unsigned bucket_of(uint64_t value)
{
	unsigned exponent;

	if (value < HISTOGRAM_SUB)
		return (unsigned)value;
	exponent = 63u - (unsigned)__builtin_clzll(value);
	return (exponent - 4) * HISTOGRAM_SUB +
	       (unsigned)(value >> (exponent - 5) & (HISTOGRAM_SUB - 1));
}

/* The largest value of a bucket. */
static uint64_t top_of(unsigned bucket)
{
	unsigned exponent = bucket / HISTOGRAM_SUB + 4;
	uint64_t sub = bucket % HISTOGRAM_SUB;

	if (bucket < HISTOGRAM_SUB)
		return bucket;
	return ((UINT64_C(1) << exponent) | sub << (exponent - 5)) +
	       ((UINT64_C(1) << (exponent - 5)) - 1);
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
	histogram->counts[bucket_of(value)]++;
	histogram->total++;
	if (value > histogram->max)
		histogram->max = value;
}

void histogram_merge(struct histogram *to, const struct histogram *from)
{
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		to->counts[i] += from->counts[i];
	to->total += from->total;
	if (from->max > to->max)
		to->max = from->max;
}

uint64_t histogram_at(const struct histogram *histogram, double share)
{
	uint64_t seen = 0, wanted = (uint64_t)(share * (double)histogram->total);

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->counts[i];
		if (seen > wanted || (seen && seen == histogram->total)) {
			uint64_t top = top_of(i);

			return top < histogram->max ? top : histogram->max;
		}
	}
	return 0;
}
