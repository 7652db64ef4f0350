/* SPDX-License-Identifier: BSD-2-Clause */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "irq-report.h"
#include "json-text.h"
#include "vfio-print.h"

static uint64_t total_of(const struct irq_report *report, unsigned vector)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < report->nsteps; i++)
		total += report->rows[vector].counts[i];
	return total;
}

/* ---- JSON ---- */

static json_t *json_vector(const struct irq_report *report, unsigned vector)
{
	const struct irq_row *row = &report->rows[vector];
	json_t *counts = json_array();

	for (unsigned i = 0; i < report->nsteps; i++)
		json_array_append_new(counts, json_integer((json_int_t)row->counts[i]));
	return json_pack("{s:i,s:o,s:I,s:o}", "vector", (int)vector, "interrupts", counts, "total",
			 (json_int_t)total_of(report, vector), "pending",
			 row->pending_known ? json_boolean(row->pending) : json_null());
}

static void print_json(const struct irq_report *report, const struct irq_device *device)
{
	json_t *steps = json_array(), *vectors = json_array(), *all;

	for (unsigned i = 0; i < report->nsteps; i++)
		json_array_append_new(steps, json_string(report->steps[i]));
	for (unsigned i = 0; i < device->count; i++) {
		if (device->vectors[i].chosen)
			json_array_append_new(vectors, json_vector(report, i));
	}
	all = json_pack("{s:o,s:s,s:i,s:s,s:o,s:o,s:I,s:b,s:b}", "target",
			json_text(device->target->name), "index", vfio_irq_names[device->index],
			"count", (int)device->count, "by", device->is_bell ? "bell" : "loopback",
			"steps", steps, "vectors", vectors, "missing", (json_int_t)report->missing,
			"interrupted", report->interrupted, "ok",
			!report->missing && !report->interrupted);
	if (all && json_dumpf(all, stdout, JSON_COMPACT) == 0)
		putchar('\n');
	json_decref(all);
}

/* ---- text ---- */

static void print_line(const struct irq_report *report, unsigned first, unsigned last)
{
	const struct irq_row *row = &report->rows[first];
	char range[16];

	(void)snprintf(range, sizeof(range), first == last ? "%u" : "%u-%u", first, last);
	printf("  %-9s", range);
	for (unsigned i = 0; i < report->nsteps; i++)
		printf(" %10" PRIu64, row->counts[i]);
	printf(" %10" PRIu64 "  %s\n", total_of(report, first),
	       !row->pending_known ? "?"
	       : row->pending      ? "pending"
				   : "-");
}

static bool is_alike(const struct irq_report *report, unsigned a, unsigned b)
{
	return memcmp(&report->rows[a], &report->rows[b], sizeof(report->rows[a])) == 0;
}

static void print_text(const struct irq_report *report, const struct irq_device *device)
{
	printf("%s: %s, %u vector%s, rung %s\n  %-9s", device->target->name,
	       vfio_irq_names[device->index], device->count, device->count == 1 ? "" : "s",
	       device->is_bell ? "by the device" : "through the server (loopback)", "vector");
	for (unsigned i = 0; i < report->nsteps; i++)
		printf(" %10s", report->steps[i]);
	printf(" %10s  pending\n", "total");
	for (unsigned i = 0; i < device->count; i++) {
		unsigned first = i;

		if (!device->vectors[i].chosen)
			continue;
		while (i + 1 < device->count && device->vectors[i + 1].chosen &&
		       is_alike(report, first, i + 1))
			i++;
		print_line(report, first, i);
	}
}

void irq_report_print(const struct irq_report *report, const struct irq_device *device, bool json)
{
	if (json)
		print_json(report, device);
	else
		print_text(report, device);
}
