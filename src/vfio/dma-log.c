/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of DMA, see dma-log.h.
 *
 * A slot's key is the number of its chunk plus 1, taken once by whoever comes first and kept. Keys
 * stand as close behind their place as there is room (linear probing), PROBES at most.
 */
#include "dma-log.h"

#include <peal/bits.h>
#include <peal/epoch.h>

#define PROBES     64u
#define CHUNK_BITS (VFIO_DMA_LOG_WORDS * 64u)

struct slot {
	uint64_t key;
	uint64_t words[VFIO_DMA_LOG_WORDS];
};

struct vfio_dma_log_table {
	unsigned shift;     /* of a page */
	uint32_t nslots;    /* a power of two */
	uint32_t overflown; /* relaxed: once it is set, it stays */
	struct slot slots[] __attribute__((aligned(PEAL_CACHE_LINE)));
};

static size_t table_size(uint32_t nslots)
{
	return sizeof(struct vfio_dma_log_table) + nslots * sizeof(struct slot);
}

static bool is_range(const struct peal_vfio_range *range)
{
	return range->size && range->iova + (range->size - 1) >= range->iova;
}

/* ---- writing ---- */

/* The slot of a chunk; NULL: there is no room for one. */
static struct slot *find_slot(struct vfio_dma_log_table *table, uint64_t chunk)
{
	uint64_t place = chunk * UINT64_C(0x9e3779b97f4a7c15) >> 32;

	for (uint32_t i = 0; i < PROBES; i++) {
		struct slot *slot = &table->slots[(place + i) & (table->nslots - 1)];
		uint64_t key = __atomic_load_n(&slot->key, __ATOMIC_ACQUIRE);

		if (key == 0 && __atomic_compare_exchange_n(&slot->key, &key, chunk + 1, false,
							    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return slot;
		if (key == chunk + 1)
			return slot;
	}
	return NULL;
}

/* Pages FIRST to LAST of a chunk. A bit that is set is set again: the order is the point. */
static void set_bits(struct slot *slot, unsigned first, unsigned last)
{
	for (unsigned word = first / 64; word <= last / 64; word++) {
		uint64_t bits = UINT64_MAX;

		if (word == first / 64)
			bits &= UINT64_MAX << first % 64;
		if (word == last / 64)
			bits &= UINT64_MAX >> (63 - last % 64);
		(void)__atomic_fetch_or(&slot->words[word], bits, __ATOMIC_ACQ_REL);
	}
}

void vfio_dma_log_write(void *user, uint64_t address, uint64_t size)
{
	struct vfio_dma_log *log = user;
	struct vfio_dma_log_table *table = peal_epoch_load(&log->table);
	uint64_t page, last;

	if (peal_likely(!table))
		return;
	page = address >> table->shift;
	last = (address + (size - 1)) >> table->shift;
	while (page <= last) {
		uint64_t chunk = page / CHUNK_BITS, end = chunk * CHUNK_BITS + (CHUNK_BITS - 1);
		struct slot *slot = find_slot(table, chunk);

		if (!slot) {
			__atomic_store_n(&table->overflown, 1, __ATOMIC_RELEASE);
			return;
		}
		if (end > last)
			end = last;
		set_bits(slot, page % CHUNK_BITS, end % CHUNK_BITS);
		page = end + 1;
	}
}

/* ---- reporting ---- */

struct report {
	const struct peal_vfio_range *range;
	unsigned shift; /* of the unit that is asked for */
	uint64_t *bitmap;
};

/* Bytes FIRST to LAST, which are in the range, were written. */
static void report_bytes(const struct report *report, uint64_t first, uint64_t last)
{
	uint64_t bit = (first - report->range->iova) >> report->shift;
	const uint64_t end = (last - report->range->iova) >> report->shift;

	while (bit <= end) {
		uint64_t bits = UINT64_MAX << bit % 64;

		if (end / 64 == bit / 64)
			bits &= UINT64_MAX >> (63 - end % 64);
		report->bitmap[bit / 64] |= bits;
		bit = (bit / 64 + 1) * 64;
	}
}

/* The part of a page that is in the range; there is one. */
static void report_page(const struct report *report, unsigned shift, uint64_t page)
{
	uint64_t first = page << shift, last = first + ((UINT64_C(1) << shift) - 1);
	const uint64_t range_last = report->range->iova + (report->range->size - 1);

	if (first < report->range->iova)
		first = report->range->iova;
	if (last > range_last)
		last = range_last;
	report_bytes(report, first, last);
}

/*
 * Pages FIRST to LAST of a chunk. A page that the range has only a part of keeps its bit: the rest
 * of it has not been told.
 */
static void report_slot(const struct report *report, unsigned shift, struct slot *slot,
			uint64_t first, uint64_t last)
{
	const uint64_t base = (slot->key - 1) * CHUNK_BITS, mask = (UINT64_C(1) << shift) - 1;
	const uint64_t range_last = report->range->iova + (report->range->size - 1);

	for (uint64_t word = (first - base) / 64; word <= (last - base) / 64; word++) {
		uint64_t taken = UINT64_MAX, bits, page = base + word * 64;

		if (page < first)
			taken &= UINT64_MAX << (first - page);
		if (last - page < 63)
			taken &= UINT64_MAX >> (63 - (last - page));
		bits = taken;
		if (report->range->iova & mask && (report->range->iova >> shift) - page < 64)
			taken &= ~PEAL_BIT((report->range->iova >> shift) - page);
		if ((range_last & mask) != mask && (range_last >> shift) - page < 64)
			taken &= ~PEAL_BIT((range_last >> shift) - page);
		bits &= __atomic_fetch_and(&slot->words[word], ~taken, __ATOMIC_ACQ_REL);
		for (; bits; bits &= bits - 1)
			report_page(report, shift, page + (unsigned)__builtin_ctzll(bits));
	}
}

static void report_table(struct vfio_dma_log_table *table, const struct report *report)
{
	const uint64_t first = report->range->iova >> table->shift;
	const uint64_t last = (report->range->iova + (report->range->size - 1)) >> table->shift;

	for (uint32_t i = 0; i < table->nslots; i++) {
		struct slot *slot = &table->slots[i];
		uint64_t key = __atomic_load_n(&slot->key, __ATOMIC_ACQUIRE), from, to;

		if (!key || key - 1 < first / CHUNK_BITS || key - 1 > last / CHUNK_BITS)
			continue;
		from = (key - 1) * CHUNK_BITS;
		to = from + (CHUNK_BITS - 1);
		report_slot(report, table->shift, slot, from < first ? first : from,
			    to > last ? last : to);
	}
}

int vfio_dma_log_report(struct vfio_dma_log *log, const struct peal_vfio_range *range,
			uint64_t page_size, uint64_t *bitmap)
{
	struct report report = { .range = range, .bitmap = bitmap };
	int r = 0;

	if (!is_range(range) || !peal_is_power_of_two(page_size))
		return -EINVAL;
	report.shift = (unsigned)__builtin_ctzll(page_size);
	peal_mutex_lock(&log->mutex);
	if (!log->table)
		r = -EINVAL;
	else if (__atomic_load_n(&log->table->overflown, __ATOMIC_ACQUIRE))
		report_bytes(&report, range->iova, range->iova + (range->size - 1));
	else
		report_table(log->table, &report);
	peal_mutex_unlock(&log->mutex);
	return r;
}

/* ---- on and off ---- */

/* Twice as many as the ranges have chunks, if that is not too many. */
static uint32_t slots_for(const struct peal_vfio_range *ranges, uint32_t count, unsigned shift)
{
	uint64_t chunks = count ? 0 : VFIO_DMA_LOG_SLOTS;
	uint32_t slots = PROBES;

	for (uint32_t i = 0; i < count && chunks < VFIO_DMA_LOG_SLOTS; i++)
		chunks += (ranges[i].size >> shift) / CHUNK_BITS + 2;
	while (slots < VFIO_DMA_LOG_SLOTS && slots < 2 * chunks)
		slots *= 2;
	return slots;
}

int vfio_dma_log_start(struct vfio_dma_log *log, uint64_t *page_size,
		       const struct peal_vfio_range *ranges, uint32_t count)
{
	struct vfio_dma_log_table *table;
	uint64_t page = *page_size < VFIO_DMA_LOG_PAGE ? VFIO_DMA_LOG_PAGE : *page_size;
	uint32_t slots;
	int r = 0;

	if (count > VFIO_DMA_LOG_RANGES)
		return -E2BIG;
	if (!peal_is_power_of_two(*page_size))
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++) {
		if (!is_range(&ranges[i]))
			return -EINVAL;
	}
	peal_mutex_lock(&log->mutex);
	slots = slots_for(ranges, count, (unsigned)__builtin_ctzll(page));
	table = log->table ? NULL : peal_alloc(log->host, table_size(slots));
	if (table) {
		table->shift = (unsigned)__builtin_ctzll(page);
		table->nslots = slots;
		peal_epoch_store(&log->table, table);
		peal_space_sync(log->space);
		*page_size = page;
	} else {
		r = log->table ? -EINVAL : -ENOMEM;
	}
	peal_mutex_unlock(&log->mutex);
	return r;
}

int vfio_dma_log_stop(struct vfio_dma_log *log)
{
	struct vfio_dma_log_table *table;

	peal_mutex_lock(&log->mutex);
	table = log->table;
	if (table) {
		peal_epoch_store(&log->table, NULL);
		peal_space_sync(log->space);
		peal_free(log->host, table, table_size(table->nslots));
	}
	peal_mutex_unlock(&log->mutex);
	return table ? 0 : -EINVAL;
}

int vfio_dma_log_init(struct vfio_dma_log *log, const struct peal_host *host,
		      struct peal_space *space)
{
	log->host = host;
	log->space = space;
	return peal_mutex_init(&log->mutex, host);
}

void vfio_dma_log_done(struct vfio_dma_log *log)
{
	if (log->table)
		peal_free(log->host, log->table, table_size(log->table->nslots));
	log->table = NULL;
	peal_mutex_done(&log->mutex);
}
