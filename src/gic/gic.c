/* SPDX-License-Identifier: BSD-2-Clause */
/* The redistributors of a VM as one object: life cycle and lookups. */
#include "gic.h"

#define MIN_ID_BITS 14u
#define MAX_ID_BITS 24u
#define MAX_REDISTS 65536u

static uint32_t level_bytes(const struct peal_gic *gic, unsigned level)
{
	uint32_t bytes = gic->words >> (6 * level);

	/* Whole groups of 64, so that a group is read without a bound. */
	return bytes < 64 ? 64 : bytes;
}

static void free_redist(struct gic_redist *redist)
{
	struct peal_gic *gic = redist->gic;

	if (!gic)
		return;
	peal_free(gic->host, redist->pending, gic->words * sizeof(uint64_t));
	for (unsigned level = 0; level < gic->levels; level++)
		peal_free(gic->host, redist->best[level], level_bytes(gic, level));
}

static int make_redist(struct peal_gic *gic, unsigned index, const struct peal_gic_config *config)
{
	struct gic_redist *redist = &gic->redists[index];

	redist->gic = gic;
	redist->index = index;
	redist->pending = peal_alloc(gic->host, gic->words * sizeof(uint64_t));
	if (!redist->pending)
		return -ENOMEM;
	for (unsigned level = 0; level < gic->levels; level++) {
		redist->best[level] = peal_alloc(gic->host, level_bytes(gic, level));
		if (!redist->best[level])
			return -ENOMEM;
		memset(redist->best[level], PRIORITY_NONE, level_bytes(gic, level));
	}
	gic_redist_init(redist, &config->redists[index], index + 1 == gic->nredists);
	return 0;
}

/* Sorts the indexes by processor number. -EINVAL: one is there twice. */
static int sort_by_processor(struct peal_gic *gic, const struct peal_gic_config *config)
{
	for (unsigned i = 0; i < gic->nredists; i++) {
		uint16_t number = config->redists[i].processor_number;
		unsigned at = i;

		while (at > 0 &&
		       config->redists[gic->by_processor[at - 1]].processor_number >= number) {
			if (config->redists[gic->by_processor[at - 1]].processor_number == number)
				return -EINVAL;
			gic->by_processor[at] = gic->by_processor[at - 1];
			at--;
		}
		gic->by_processor[at] = (uint16_t)i;
	}
	return 0;
}

static int fill(struct peal_gic *gic, const struct peal_gic_config *config)
{
	int r;

	gic->redists = peal_alloc(gic->host, gic->nredists * sizeof(*gic->redists));
	gic->by_processor = peal_alloc(gic->host, gic->nredists * sizeof(*gic->by_processor));
	gic->lpi_config = peal_alloc(gic->host, gic->id_count - PEAL_GIC_FIRST_LPI);
	gic->strayed_redists = peal_alloc(gic->host, gic_strayed_words(gic) * sizeof(uint64_t));
	if (!gic->redists || !gic->by_processor || !gic->lpi_config || !gic->strayed_redists)
		return -ENOMEM;
	r = sort_by_processor(gic, config);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < gic->nredists; i++) {
		r = make_redist(gic, i, config);
		if (r < 0)
			return r;
	}
	r = peal_mutex_init(&gic->mutex, gic->host);
	if (r < 0)
		return r;
	return peal_epoch_init(&gic->epoch, gic->host);
}

int peal_gic_new(struct peal_gic **ret, const struct peal_gic_config *config)
{
	unsigned id_bits = config->id_bits ? config->id_bits : 16;
	struct peal_gic *gic;
	int r;

	if (id_bits < MIN_ID_BITS || id_bits > MAX_ID_BITS || config->nredists < 1 ||
	    config->nredists > MAX_REDISTS)
		return -EINVAL;
	gic = peal_alloc(config->host, sizeof(*gic));
	if (!gic)
		return -ENOMEM;
	gic->host = config->host;
	gic->memory = config->memory;
	gic->kick = config->kick;
	gic->user = config->user;
	gic->direct_lpi = config->direct_lpi;
	gic->nredists = config->nredists;
	gic->id_count = UINT32_C(1) << id_bits;
	gic->words = gic->id_count / 64;
	gic->levels = 1;
	for (uint32_t bytes = gic->words; bytes > 1; bytes = (bytes + 63) / 64)
		gic->levels++;
	PEAL_ASSERT(gic->levels <= SUMMARY_LEVELS);
	r = fill(gic, config);
	if (r < 0) {
		peal_gic_free(gic);
		return r;
	}
	*ret = gic;
	return 0;
}

void peal_gic_free(struct peal_gic *gic)
{
	if (!gic)
		return;
	peal_epoch_done(&gic->epoch);
	peal_mutex_done(&gic->mutex);
	for (unsigned i = 0; gic->redists && i < gic->nredists; i++)
		free_redist(&gic->redists[i]);
	peal_free(gic->host, gic->lpi_config, gic->id_count - PEAL_GIC_FIRST_LPI);
	peal_free(gic->host, gic->by_processor, gic->nredists * sizeof(*gic->by_processor));
	peal_free(gic->host, gic->strayed_redists, gic_strayed_words(gic) * sizeof(uint64_t));
	peal_free(gic->host, gic->redists, gic->nredists * sizeof(*gic->redists));
	peal_free(gic->host, gic, sizeof(*gic));
}

int gic_find_redist(const struct peal_gic *gic, uint64_t processor_number)
{
	unsigned low = 0, high = gic->nredists;

	while (low < high) {
		unsigned middle = (low + high) / 2;
		unsigned index = gic->by_processor[middle];

		if (gic->redists[index].processor_number == processor_number)
			return (int)index;
		if (gic->redists[index].processor_number < processor_number)
			low = middle + 1;
		else
			high = middle;
	}
	return -1;
}

void peal_redist_counters(const struct peal_gic *gic, unsigned redist,
			  struct peal_redist_counters *ret)
{
	const struct peal_redist_counters *c = &gic->redists[redist].counters;

	PEAL_ASSERT(redist < gic->nredists);
	ret->merged = peal_counted(&c->merged);
	ret->acknowledged = peal_counted(&c->acknowledged);
	ret->disabled = peal_counted(&c->disabled);
}
