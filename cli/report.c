/* SPDX-License-Identifier: BSD-2-Clause */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "json-text.h"
#include "report.h"

bool report_is_ok(const struct workload_result *r)
{
	return r->complete && r->path.lost == 0 && !r->mismatches && !r->error[0] &&
	       strcmp(r->sha256, r->sha256_file) == 0;
}

static double latency_us(const struct workload_result *r, double share)
{
	return (double)histogram_at(&r->latency, share) / 1e3;
}

/* ---- JSON ---- */

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static json_t *interrupts(const struct workload_result *r)
{
	const struct peal_path_counters *p = &r->path;
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{ "raised", p->raised },
		{ "pended", p->pended },
		{ "merged_pba", p->merged_pba },
		{ "dropped", p->dropped },
		{ "sent", p->sent },
		{ "unrouted", p->unrouted },
		{ "misdirected", p->misdirected },
		{ "unmapped", p->unmapped },
		{ "no_collection", p->no_collection },
		{ "disabled", p->disabled },
		{ "translated", p->translated },
		{ "merged_lpi", p->merged_lpi },
		{ "acknowledged", p->acknowledged },
		{ "unhandled", p->unhandled },
		{ "handled", p->handled },
		{ "spurious", r->spurious },
		{ "lost", p->lost },
	};
	json_t *object = json_object();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		json_object_set_new(object, rows[i].name, number(rows[i].value));
	return object;
}

static json_t *vectors(const struct workload_result *r)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < r->nvectors; i++) {
		const struct peal_guest_vector *v = &r->vectors[i];
		json_t *object = json_object();

		json_object_set_new(object, "vector", number(v->vector));
		json_object_set_new(object, "event", number(v->event));
		json_object_set_new(object, "lpi", number(v->lpi));
		json_object_set_new(object, "vcpu", number(v->vcpu));
		json_object_set_new(object, "count", number(v->handled));
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *per_vcpu(const struct workload_result *r)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < r->nvcpus; i++) {
		json_t *object = json_object();

		json_object_set_new(object, "vcpu", number(i));
		json_object_set_new(object, "interrupts", number(r->per_vcpu[i].interrupts));
		json_object_set_new(object, "sleeps", number(r->per_vcpu[i].sleeps));
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *latency(const struct workload_result *r)
{
	json_t *object = json_object();

	json_object_set_new(object, "p50", json_real(latency_us(r, 0.5)));
	json_object_set_new(object, "p99", json_real(latency_us(r, 0.99)));
	json_object_set_new(object, "max", json_real((double)r->latency.max / 1e3));
	return object;
}

void report_json(const struct workload_result *r, const struct workload_config *config, bool ok)
{
	json_t *root = json_object();

	json_object_set_new(root, "ok", json_boolean(ok));
	json_object_set_new(root, "irqchip", json_string("its"));
	json_object_set_new(root, "irq", json_string("msix"));
	json_object_set_new(root, "transport", json_string("modern"));
	json_object_set_new(root, "path", json_string("direct"));
	json_object_set_new(root, "vcpus", number(config->vcpus));
	json_object_set_new(root, "queues", number(config->queues));
	json_object_set_new(root, "requests", number(r->requests));
	json_object_set_new(root, "bytes", number(r->bytes));
	json_object_set_new(root, "sha256", json_text(r->sha256));
	json_object_set_new(root, "sha256_file", json_text(r->sha256_file));
	json_object_set_new(root, "interrupts", interrupts(r));
	json_object_set_new(root, "vectors", vectors(r));
	json_object_set_new(root, "per_vcpu", per_vcpu(r));
	json_object_set_new(root, "latency_us", latency(r));
	json_object_set_new(root, "seconds", json_real(r->seconds));
	json_object_set_new(root, "interrupted", json_boolean(r->interrupted));
	json_object_set_new(root, "error", json_text(r->error));
	json_object_set_new(root, "diagnosis", r->stalled ? json_text(r->diagnosis) : json_null());
	(void)json_dumpf(root, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
	putchar('\n');
	json_decref(root);
}

/* ---- text ---- */

static void print_path(const struct workload_result *r)
{
	const struct peal_path_counters *p = &r->path;

	printf("\n  device            raised        %12" PRIu64 "\n", p->raised);
	printf("    |               masked        %12" PRIu64 " pended, %" PRIu64
	       " merged in the PBA\n",
	       p->pended, p->merged_pba);
	printf("  PCI function      messages      %12" PRIu64, p->sent);
	if (p->dropped)
		printf("   %" PRIu64 " dropped (bus master off)", p->dropped);
	if (p->unrouted)
		printf("   %" PRIu64 " to no controller", p->unrouted);
	printf("\n    |\n  ITS               translated    %12" PRIu64, p->translated);
	if (p->misdirected)
		printf("   %" PRIu64 " beside GITS_TRANSLATER", p->misdirected);
	if (p->unmapped)
		printf("   %" PRIu64 " without mapping", p->unmapped);
	if (p->no_collection)
		printf("   %" PRIu64 " without collection", p->no_collection);
	if (p->disabled)
		printf("   %" PRIu64 " while disabled", p->disabled);
	printf("\n    |\n  redistributor     LPI pending   %12" PRIu64 " set, %" PRIu64 " merged\n",
	       p->translated - p->merged_lpi, p->merged_lpi);
	printf("    |\n  vCPU              acknowledged  %12" PRIu64 "\n", p->acknowledged);
	printf("    |\n  driver            handled       %12" PRIu64 " (%" PRIu64
	       " found no work: an earlier one had done it)\n",
	       p->handled, r->spurious);
	printf("                    lost          %12" PRIu64 "\n", p->lost);
}

static void print_tables(const struct workload_result *r)
{
	printf("\n  vector  event    LPI  vCPU   interrupts\n");
	for (unsigned i = 0; i < r->nvectors; i++) {
		const struct peal_guest_vector *v = &r->vectors[i];

		printf("  %6u  %5u  %5u  %4u  %11" PRIu64 "%s\n", v->vector, v->event, v->lpi,
		       v->vcpu, v->handled, i ? "" : "  (configuration)");
	}
	printf("\n  vCPU   interrupts       sleeps\n");
	for (unsigned i = 0; i < r->nvcpus; i++)
		printf("  %4u  %11" PRIu64 "  %11" PRIu64 "\n", i, r->per_vcpu[i].interrupts,
		       r->per_vcpu[i].sleeps);
}

static void print_verdict(const struct workload_result *r, const char *disk, bool ok)
{
	const char *name = disk ? disk : "temporary image";

	if (r->sha256[0])
		printf("\n  guest   %s\n  file    %s\n", r->sha256,
		       r->sha256_file[0] ? r->sha256_file : "(not read)");
	if (r->interrupted)
		printf("\n%s: interrupted; the counts are those so far\n", name);
	if (r->stalled)
		printf("\n%s: nothing moves any more: %s\n", name,
		       r->diagnosis ? r->diagnosis
				    : "no interrupt is missing; the device or the "
				      "driver stands still");
	if (r->error[0])
		printf("\nfailed: %s\n", r->error);
	if (r->sha256[0] && r->sha256_file[0] && strcmp(r->sha256, r->sha256_file) != 0)
		printf("\nfailed: what the guest saw is not what is in the file\n");
	if (r->path.lost && !r->stalled)
		printf("\nfailed: %" PRIu64 " interrupts were lost\n", r->path.lost);
	if (ok)
		printf("\nok: %s, nothing lost\n",
		       r->sha256[0] ? "the guest and the file agree" : "all requests done");
}

void report_text(const struct workload_result *r, const struct workload_config *config,
		 const char *disk, bool ok)
{
	static const char *const verbs[] = { "read", "written", "written and read back" };
	double mib = (double)r->bytes / (1 << 20);
	double seconds = r->seconds > 0 ? r->seconds : 1;

	printf("%s: %.1f MiB %s in %.3f s, %" PRIu64 " requests of %u bytes, %u vCPUs, %u queues\n",
	       disk ? disk : "temporary image", mib, verbs[config->mode], r->seconds, r->requests,
	       config->block_size, config->vcpus, config->queues);
	printf("%.0f requests/s, %.0f MiB/s, latency p50 %.1f us, p99 %.1f us, max %.1f us\n",
	       (double)r->requests / seconds, mib / seconds, latency_us(r, 0.5),
	       latency_us(r, 0.99), (double)r->latency.max / 1e3);
	print_path(r);
	print_tables(r);
	print_verdict(r, disk, ok);
}
