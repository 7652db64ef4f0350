/* SPDX-License-Identifier: BSD-2-Clause */
/* The log of DMA: exact for one writer against a model. */
#include "logged.h"

/* The bits of up to 64 units from IOVA. */
static uint64_t report(struct rig *rig, uint64_t iova, uint64_t size, uint64_t page_size)
{
	const struct peal_vfio_range range = { iova, size };
	uint64_t bits = 0;

	assert_int_equal(peal_vfio_dma_log_words(size, page_size), 1);
	assert_int_equal(vfio_dma_log_report(&rig->log, &range, page_size, &bits), 0);
	return bits;
}

static void pages_that_were_written_are_told_once(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig);
	vfio_dma_log_write(&rig.log, 0, PAGE); /* off: nobody hears it */
	rig_start(&rig, PAGE);
	assert_int_equal(report(&rig, 0, 64 * PAGE, PAGE), 0);
	vfio_dma_log_write(&rig.log, 5 * PAGE, 1);
	vfio_dma_log_write(&rig.log, 7 * PAGE + 4095, 2);
	vfio_dma_log_write(&rig.log, 20 * PAGE, 3 * PAGE);
	assert_int_equal(report(&rig, 0, 64 * PAGE, PAGE), 0x7001a0);
	assert_int_equal(report(&rig, 0, 64 * PAGE, PAGE), 0);
	/* Another range is told on its own. */
	vfio_dma_log_write(&rig.log, 3 * PAGE, 2 * PAGE);
	assert_int_equal(report(&rig, 4 * PAGE, 8 * PAGE, PAGE), 1);
	assert_int_equal(report(&rig, 0, 64 * PAGE, PAGE), 8);
	rig_done(&rig);
}

static void units_may_be_larger_or_smaller_than_pages(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig_start(&rig, PAGE);
	vfio_dma_log_write(&rig.log, 5 * PAGE, 1);
	assert_int_equal(report(&rig, 0, 64 * PAGE, 4 * PAGE), 2);
	vfio_dma_log_write(&rig.log, 5 * PAGE, 1);
	assert_int_equal(report(&rig, 4 * PAGE, 4 * PAGE, 512), 0xff00);
	vfio_dma_log_write(&rig.log, 5 * PAGE, 1);
	assert_int_equal(report(&rig, 0, UINT64_MAX, UINT64_C(1) << 63), 1);
	vfio_dma_log_write(&rig.log, UINT64_MAX - 1, 2);
	assert_int_equal(report(&rig, 1, UINT64_MAX, UINT64_C(1) << 63), 2);
	rig_done(&rig);
}

/* A page of which a report covers a part is told there, and again with the rest. */
static void part_of_a_page_does_not_take_the_rest(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig_start(&rig, PAGE);
	vfio_dma_log_write(&rig.log, 2 * PAGE, 1);
	assert_int_equal(report(&rig, 2 * PAGE + 512, 1024, 512), 3);
	assert_int_equal(report(&rig, 2 * PAGE, 1024, 512), 3);
	assert_int_equal(report(&rig, 2 * PAGE, PAGE, PAGE), 1);
	assert_int_equal(report(&rig, 2 * PAGE, PAGE, PAGE), 0);
	/* Bits count from where the range begins. */
	vfio_dma_log_write(&rig.log, 9 * PAGE, PAGE);
	assert_int_equal(report(&rig, 2 * PAGE + 100, 20 * PAGE, PAGE), 1u << 6 | 1u << 7);
	rig_done(&rig);
}

static void the_page_size_is_the_hint_or_more(void **state)
{
	static const struct {
		uint64_t hint, answer;
		int r;
	} rows[] = {
		{ 1, PAGE, 0 },
		{ 512, PAGE, 0 },
		{ PAGE, PAGE, 0 },
		{ 2 << 20, 2 << 20, 0 },
		{ 0, 0, -EINVAL },
		{ 4097, 4097, -EINVAL },
		{ UINT64_C(1) << 63, UINT64_C(1) << 63, 0 },
	};

	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(rows); i++) {
		uint64_t page_size = rows[i].hint;
		struct rig rig;

		rig_init(&rig);
		assert_int_equal(vfio_dma_log_start(&rig.log, &page_size, NULL, 0), rows[i].r);
		assert_int_equal(page_size, rows[i].answer);
		if (rows[i].r == 0) {
			const struct peal_vfio_range all = { 0, UINT64_C(1) << 63 };
			uint64_t bits = 0;

			vfio_dma_log_write(&rig.log, 12345, 1);
			assert_int_equal(
				vfio_dma_log_report(&rig.log, &all, UINT64_C(1) << 62, &bits), 0);
			assert_int_equal(bits, page_size > UINT64_C(1) << 62 ? 3 : 1);
		}
		rig_done(&rig);
	}
}

static void what_makes_no_sense_is_refused(void **state)
{
	static const struct peal_vfio_range bad[] = { { 0, 0 },
						      { UINT64_MAX, 2 },
						      { 1, UINT64_MAX } };
	struct peal_vfio_range many[VFIO_DMA_LOG_RANGES + 1];
	const struct peal_vfio_range good = { 0, PAGE };
	uint64_t page_size = PAGE, bits = 0;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	assert_int_equal(vfio_dma_log_stop(&rig.log), -EINVAL);
	assert_int_equal(vfio_dma_log_report(&rig.log, &good, PAGE, &bits), -EINVAL);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(vfio_dma_log_start(&rig.log, &page_size, &bad[i], 1), -EINVAL);
	for (size_t i = 0; i < PEAL_COUNT_OF(many); i++)
		many[i] = good;
	assert_int_equal(vfio_dma_log_start(&rig.log, &page_size, many, PEAL_COUNT_OF(many)),
			 -E2BIG);
	assert_int_equal(vfio_dma_log_start(&rig.log, &page_size, many, PEAL_COUNT_OF(many) - 1),
			 0);
	assert_int_equal(vfio_dma_log_start(&rig.log, &page_size, NULL, 0), -EINVAL);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(vfio_dma_log_report(&rig.log, &bad[i], PAGE, &bits), -EINVAL);
	assert_int_equal(vfio_dma_log_report(&rig.log, &good, 0, &bits), -EINVAL);
	assert_int_equal(vfio_dma_log_report(&rig.log, &good, 3, &bits), -EINVAL);
	assert_int_equal(vfio_dma_log_stop(&rig.log), 0);
	assert_int_equal(vfio_dma_log_stop(&rig.log), -EINVAL);
	test_host_fail_in(&rig.host, 0);
	assert_int_equal(vfio_dma_log_start(&rig.log, &page_size, NULL, 0), -ENOMEM);
	assert_int_equal(bits, 0);
	rig_done(&rig);
}

/* ---- against a model ---- */

#define MODEL_PAGES 4096u
#define REGIONS     8u

/* Pages of the model lie in REGIONS places, far from each other. */
static uint64_t address_of(unsigned page)
{
	return (page / (MODEL_PAGES / REGIONS)) * UINT64_C(0x1234560000000) +
	       (page % (MODEL_PAGES / REGIONS)) * (uint64_t)PAGE + CHUNK - 100 * PAGE;
}

static void log_is_exact(void **state)
{
	static bool dirty[MODEL_PAGES];
	uint64_t random = 1;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig_start(&rig, PAGE);
	memset(dirty, 0, sizeof(dirty));
	for (unsigned step = 0; step < 20000; step++) {
		unsigned page = (unsigned)test_random_below(&random, MODEL_PAGES);
		unsigned room = MODEL_PAGES / REGIONS - page % (MODEL_PAGES / REGIONS);
		unsigned count = (unsigned)test_random_below(&random, 200) + 1;
		struct peal_vfio_range range;
		uint64_t bitmap[4] = { 0 };

		count = count < room ? count : room;
		if (test_random(&random) % 3) {
			uint64_t skip = test_random_below(&random, PAGE);

			vfio_dma_log_write(&rig.log, address_of(page) + skip,
					   count * (uint64_t)PAGE - skip);
			memset(dirty + page, true, count);
			continue;
		}
		range = (struct peal_vfio_range){ address_of(page), count * (uint64_t)PAGE };
		assert_int_equal(vfio_dma_log_report(&rig.log, &range, PAGE, bitmap), 0);
		for (unsigned i = 0; i < 256; i++) {
			bool bit = bitmap[i / 64] >> i % 64 & 1;

			assert_int_equal(bit, i < count && dirty[page + i]);
		}
		memset(dirty + page, false, count);
	}
	rig_done(&rig);
}

/* ---- ranges that begin and end anywhere, in units of any size ---- */

#define ODD_PAGES 512u
#define ODD_BITS  1024u /* of a report at most */

/* Near the end of a chunk, and for the last of them at the end of all addresses. */
static uint64_t odd_base(unsigned round, uint64_t page)
{
	return round % 3 == 2 ? UINT64_MAX - ODD_PAGES * page + 1 : (32768 - 100) * page;
}

/* Was a byte from FIRST to LAST, both counted from the base, in a page that was written? */
static bool odd_is_dirty(const bool *dirty, uint64_t first, uint64_t last, uint64_t page)
{
	for (uint64_t at = first / page; at <= last / page; at++) {
		if (dirty[at])
			return true;
	}
	return false;
}

static void odd_report(struct rig *rig, bool *dirty, uint64_t base, uint64_t page, uint64_t *random)
{
	const uint64_t unit = UINT64_C(512) << test_random_below(random, 12);
	const uint64_t all = ODD_PAGES * page, first = test_random_below(random, all);
	const uint64_t most = all - first < unit * ODD_BITS ? all - first : unit * ODD_BITS;
	const uint64_t size = test_random_below(random, most) + 1;
	const struct peal_vfio_range range = { base + first, size };
	uint64_t bitmap[ODD_BITS / 64 + 1] = { 0 };

	assert_int_equal(vfio_dma_log_report(&rig->log, &range, unit, bitmap), 0);
	for (uint64_t i = 0; i < PEAL_COUNT_OF(bitmap) * 64; i++) {
		bool bit = bitmap[i / 64] >> i % 64 & 1;
		uint64_t end = (i + 1) * unit < size ? (i + 1) * unit : size;

		assert_int_equal(bit, i * unit < size && odd_is_dirty(dirty, first + i * unit,
								      first + end - 1, page));
	}
	/* Whole pages were told, parts of them stay. */
	for (uint64_t at = (first + page - 1) / page; (at + 1) * page <= first + size; at++)
		dirty[at] = false;
}

static void odd_ranges_are_told_to_the_byte(void **state)
{
	uint64_t random = 7;

	(void)state;
	for (unsigned round = 0; round < 15; round++) {
		const uint64_t page = UINT64_C(4096) << round % 5 * 2;
		const uint64_t base = odd_base(round, page);
		bool dirty[ODD_PAGES] = { false };
		struct rig rig;

		rig_init(&rig);
		rig_start(&rig, page);
		for (unsigned step = 0; step < 300; step++) {
			unsigned at = (unsigned)test_random_below(&random, ODD_PAGES);

			vfio_dma_log_write(&rig.log, base + at * page, 1);
			dirty[at] = true;
			if (step % 3 == 2)
				odd_report(&rig, dirty, base, page, &random);
		}
		rig_done(&rig);
	}
}

/* A write to every chunk of the ranges fits, however they lie. */
static void the_log_is_as_large_as_its_ranges(void **state)
{
	static const struct {
		unsigned ranges, chunks; /* of each */
	} rows[] = { { VFIO_DMA_LOG_RANGES, 1 }, { 1, 1900 }, { 100, 15 }, { 0, 1500 } };

	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(rows); i++) {
		static struct peal_vfio_range ranges[VFIO_DMA_LOG_RANGES];
		const unsigned count = rows[i].ranges ? rows[i].ranges : 1;
		uint64_t page_size = PAGE;
		struct rig rig;

		rig_init(&rig);
		for (unsigned n = 0; n < count; n++)
			ranges[n] =
				(struct peal_vfio_range){ n * 4000 * CHUNK + PAGE,
							  (rows[i].chunks - 1) * CHUNK + 2 * PAGE };
		assert_int_equal(vfio_dma_log_start(&rig.log, &page_size, ranges, rows[i].ranges),
				 0);
		for (unsigned n = 0; n < count * rows[i].chunks; n++)
			vfio_dma_log_write(
				&rig.log,
				ranges[n / rows[i].chunks].iova + n % rows[i].chunks * CHUNK, 1);
		for (unsigned n = 0; n < count; n++)
			assert_int_equal(report(&rig, ranges[n].iova, 2 * PAGE, PAGE), 1);
		rig_done(&rig);
	}
}

/* Writes all over the place: everything is said to be written rather than anything forgotten. */
static void a_full_log_says_everything(void **state)
{
	struct rig rig;
	int64_t bytes;

	(void)state;
	rig_init(&rig);
	rig_start(&rig, PAGE);
	bytes = rig.host.bytes;
	assert_in_range(bytes, 1, 32 << 20);
	for (uint64_t chunk = 0; chunk < 2 * VFIO_DMA_LOG_SLOTS; chunk++)
		vfio_dma_log_write(&rig.log, chunk * CHUNK, 1);
	assert_int_equal(rig.host.bytes, bytes);
	assert_int_equal(report(&rig, 5 * CHUNK, 20 * PAGE, PAGE), 0xfffff);
	assert_int_equal(report(&rig, 7 * CHUNK + PAGE, 64 * PAGE, PAGE), UINT64_MAX);
	assert_int_equal(vfio_dma_log_stop(&rig.log), 0);
	rig_start(&rig, PAGE);
	assert_int_equal(report(&rig, 5 * CHUNK, 20 * PAGE, PAGE), 0);
	rig_done(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_that_were_written_are_told_once),
		cmocka_unit_test(units_may_be_larger_or_smaller_than_pages),
		cmocka_unit_test(part_of_a_page_does_not_take_the_rest),
		cmocka_unit_test(the_page_size_is_the_hint_or_more),
		cmocka_unit_test(what_makes_no_sense_is_refused),
		cmocka_unit_test(log_is_exact),
		cmocka_unit_test(odd_ranges_are_told_to_the_byte),
		cmocka_unit_test(the_log_is_as_large_as_its_ranges),
		cmocka_unit_test(a_full_log_says_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
