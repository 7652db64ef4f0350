/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MSI-X table and PBA, read as a guest would (PCI Local Bus 3.0 §6.8.2), and the vectors of
 * MSI, with what the function's owner knows besides: who uses a vector, and where its raises went.
 *
 * In text, neighbours that are alike and have not moved since reset share a line.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "pci-vectors.h"

#define ENTRY_SIZE 16u
#define ENTRY_MASK 1u

struct vector {
	uint64_t address;
	uint32_t data;
	uint32_t control;
	bool pending;
	bool known; /* EXTRA is */
	struct pci_source_vector extra;
};

static int read_bar(const struct pci_print *p, unsigned bar, uint64_t offset, unsigned size,
		    uint64_t *ret)
{
	return p->source->ops->read_bar(p->source->user, bar, offset, size, ret);
}

static int read_vector(const struct pci_print *p, unsigned index, const struct pci_place *table,
		       const struct pci_place *pba, struct vector *ret)
{
	const struct pci_source *s = p->source;
	uint64_t at = table->offset + (uint64_t)index * ENTRY_SIZE, words[4], pending;
	struct vector v = { 0 };
	int r;

	for (unsigned i = 0; i < 4; i++) {
		r = read_bar(p, table->bar, at + 4 * i, 4, &words[i]);
		if (r < 0)
			return r;
	}
	r = read_bar(p, pba->bar, pba->offset + index / 32 * 4, 4, &pending);
	if (r < 0)
		return r;
	v.address = words[0] | words[1] << 32;
	v.data = (uint32_t)words[2];
	v.control = (uint32_t)words[3];
	v.pending = pending >> (index % 32) & 1;
	v.known = s->ops->vector && s->ops->vector(s->user, PCI_SOURCE_MSIX, index, &v.extra) == 0;
	*ret = v;
	return 0;
}

/* ---- JSON ---- */

static void put_vector(struct pci_out *o, unsigned index, const struct vector *v)
{
	const struct peal_msix_counters *c = &v->extra.counters;
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{ "sent", c->sent },     { "refired", c->refired },       { "pended", c->pended },
		{ "merged", c->merged }, { "dropped", c->dropped },       { "blocked", c->blocked },
		{ "failed", c->failed }, { "use_failed", c->use_failed },
	};

	pci_out_open_in(o, "entries");
	pci_out_number(o, "vector", index);
	pci_out_address(o, "address", v->address);
	pci_out_number(o, "data", v->data);
	pci_out_bool(o, "masked", v->control & ENTRY_MASK);
	pci_out_bool(o, "pending", v->pending);
	if (v->known) {
		pci_out_bool(o, "used", v->extra.used);
		pci_out_open(o, "counters");
		for (size_t i = 0; i < PEAL_COUNT_OF(rows); i++)
			pci_out_number(o, rows[i].name, rows[i].value);
		pci_out_close(o);
	}
	pci_out_close(o);
}

/* ---- text ---- */

static bool is_alike(const struct vector *a, const struct vector *b)
{
	static const struct peal_msix_counters none;

	return a->address == b->address && a->data == b->data && a->control == b->control &&
	       a->pending == b->pending && a->known == b->known && a->extra.used == b->extra.used &&
	       memcmp(&a->extra.counters, &none, sizeof(none)) == 0 &&
	       memcmp(&b->extra.counters, &none, sizeof(none)) == 0;
}

static void print_head(struct pci_out *o, bool known)
{
	pci_out_text(o, "\t\t%-9s %-16s %-8s  mask pend", "vector", "address", "data");
	pci_out_text(o, known ? " used %9s %9s %9s %9s %9s %9s %9s\n" : "\n", "sent", "refired",
		     "pended", "merged", "dropped", "blocked", "failed");
}

static void print_vector(struct pci_out *o, unsigned first, unsigned last, const struct vector *v)
{
	const struct peal_msix_counters *c = &v->extra.counters;
	char range[16];

	(void)snprintf(range, sizeof(range), first == last ? "%u" : "%u-%u", first, last);
	pci_out_text(o, "\t\t%-9s %016" PRIx64 " %08" PRIx32 "  %4s %4s", range, v->address,
		     v->data, v->control & ENTRY_MASK ? "+" : "-", v->pending ? "+" : "-");
	if (v->known)
		pci_out_text(o,
			     " %4s %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64
			     " %9" PRIu64 " %9" PRIu64,
			     v->extra.used ? "+" : "-", c->sent, c->refired, c->pended, c->merged,
			     c->dropped, c->blocked, c->failed);
	pci_out_text(o, "\n");
}

/* ---- a list of vectors ---- */

struct list {
	struct pci_print *p;
	unsigned begin; /* of those that share a line */
	struct vector first;
};

static void add(struct list *list, unsigned index, const struct vector *v)
{
	struct pci_out *o = list->p->out;

	put_vector(o, index, v);
	if (index == 0)
		print_head(o, v->known);
	else if (is_alike(&list->first, v))
		return;
	else
		print_vector(o, list->begin, index - 1, &list->first);
	list->first = *v;
	list->begin = index;
}

static void end(struct list *list, unsigned count)
{
	if (count)
		print_vector(list->p->out, list->begin, count - 1, &list->first);
}

void pci_print_vectors(struct pci_print *p, unsigned count, const struct pci_place *table,
		       const struct pci_place *pba)
{
	struct list list = { .p = p };
	unsigned i;

	if (!p->source->ops->read_bar)
		return;
	for (i = 0; i < count; i++) {
		struct vector v;

		if (read_vector(p, i, table, pba, &v) < 0)
			break;
		add(&list, i, &v);
	}
	end(&list, i);
	if (i < count)
		pci_print_problem(p, "MSI-X vector %u cannot be read", i);
}

/* Vector k replaces the low bits of the data, as many as tell the enabled vectors apart (§6.8.1.3). */
void pci_print_msi_vectors(struct pci_print *p, const struct pci_msi_state *state)
{
	const struct pci_source *s = p->source;
	struct list list = { .p = p };
	unsigned i;

	if (!s->ops->vector)
		return;
	for (i = 0; i < state->count; i++) {
		uint32_t low = state->enabled - 1;
		struct vector v = {
			.address = state->address,
			.data = (state->data & ~low) | (i & low),
			.control = state->maskable ? state->mask >> i & ENTRY_MASK : 0,
			.pending = state->maskable && state->pending >> i & 1,
			.known = true,
		};

		if (s->ops->vector(s->user, PCI_SOURCE_MSI, i, &v.extra) < 0)
			break;
		add(&list, i, &v);
	}
	end(&list, i);
}
