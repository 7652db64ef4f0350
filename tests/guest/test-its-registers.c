/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is written to the registers of ITS and redistributors reads back from Peal as from QEMU, in
 * accesses of 64 and 32 bits. Compared are the fields that the architecture defines; reserved
 * encodings are not written. Each omission has its name in docs/its-differences.md.
 */
#include "its-twins.h"

#define VALUES 100u

#define CACHE       (PEAL_MASK(61, 59) | PEAL_MASK(55, 53))
#define LPI_CACHE   (PEAL_MASK(58, 56) | PEAL_MASK(9, 7))
#define SHARE       PEAL_MASK(11, 10)
#define BASER_PAGES PEAL_MASK(9, 8)

struct row {
	const char *name;
	bool redist;
	uint32_t offset;
	unsigned size;
	uint64_t writable; /* 0: only read */
	uint64_t compared;
};

/* clang-format off */
static const struct row rows[] = {
	{ "GITS_CBASER", false, GITS_CBASER, 8,
	  ~UINT64_C(0), VALID | CACHE | PEAL_MASK(51, 12) | SHARE | PEAL_MASK(7, 0) },
	{ "GITS_BASER0", false, GITS_BASER(0), 8, ~UINT64_C(0), ~UINT64_C(0) },
	/* flat-collections */
	{ "GITS_BASER1", false, GITS_BASER(1), 8, ~UINT64_C(0), ~INDIRECT },
	{ "GITS_BASER2", false, GITS_BASER(2), 8, ~UINT64_C(0), ~UINT64_C(0) },
	{ "GITS_BASER7", false, GITS_BASER(7), 8, ~UINT64_C(0), ~UINT64_C(0) },
	{ "GITS_CTLR", false, GITS_CTLR, 4, 0, 0x80000001 },
	/* typer */
	{ "GITS_TYPER", false, GITS_TYPER, 8, 0, PEAL_MASK(31, 8) | 7 },
	{ "GITS_CREADR", false, GITS_CREADR, 8, 0, PEAL_MASK(19, 5) | 1 },
	{ "GITS_PIDR2", false, GITS_PIDR2, 4, 0, 0xf0 },
	/* ptz */
	{ "GICR_PENDBASER", true, GICR_PENDBASER, 8,
	  ~UINT64_C(0), LPI_CACHE | SHARE | PEAL_MASK(51, 16) },
	{ "GICR_PROPBASER", true, GICR_PROPBASER, 8,
	  ~UINT64_C(0), LPI_CACHE | SHARE | PEAL_MASK(51, 12) | PEAL_MASK(4, 0) },
	{ "GICR_CTLR", true, GICR_CTLR, 4, 0, 0x1 | 0x2 | 0x8 },
	/* typer */
	{ "GICR_TYPER", true, GICR_TYPER, 8, 0, PEAL_MASK(23, 0) },
};
/* clang-format on */

static void write_both(struct twins *t, const struct row *row, unsigned n, uint32_t at,
		       unsigned size, uint64_t value)
{
	if (row->redist)
		twins_redist_write(t, n, row->offset + at, size, value);
	else
		twins_its_write(t, row->offset + at, size, value);
}

static void compare_part(struct twins *t, const struct row *row, unsigned n, uint32_t at,
			 unsigned size)
{
	uint32_t offset = row->offset + at;
	uint64_t mask = row->compared >> 8 * at & (size == 8 ? ~UINT64_C(0) : 0xffffffff);
	uint64_t peal = row->redist ? redist_read(&t->guest, n, offset, size)
				    : peal_its_read(t->gi->its, offset, size);
	uint64_t qemu =
		qtest_read(&t->qtest, (row->redist ? virt_redist(n) : VIRT_ITS) + offset, size);

	if ((peal ^ qemu) & mask)
		fail_msg("%s %u, %u bits at +%u: Peal 0x%llx, QEMU 0x%llx", row->name, n, 8 * size,
			 at, (unsigned long long)peal, (unsigned long long)qemu);
}

static void compare_row(struct twins *t, const struct row *row, unsigned n)
{
	compare_part(t, row, n, 0, row->size);
	for (uint32_t at = 0; row->size == 8 && at < 8; at += 4)
		compare_part(t, row, n, at, 4);
}

static void compare_all(struct twins *t)
{
	for (unsigned i = 0; i < PEAL_COUNT_OF(rows); i++) {
		for (unsigned n = 0; n < (rows[i].redist ? TWIN_REDISTS : 1); n++) {
			/* propbaser: Peal's is one for all. */
			if (rows[i].offset != GICR_PROPBASER || n == 0)
				compare_row(t, &rows[i], n);
		}
	}
}

/* reserved-encodings: shareability 3, and of a table the page size 3. */
static uint64_t draw(uint64_t *random, const struct row *row)
{
	uint64_t value = test_random(random);

	/* Fields at their ends more often than chance has them. */
	if (test_random_below(random, 4) == 0)
		value |= test_random(random) | test_random(random);
	if ((value & SHARE) == SHARE)
		value &= ~PEAL_BIT(10);
	if (!row->redist && row->offset >= GITS_BASER(0) && (value & BASER_PAGES) == BASER_PAGES)
		value &= ~PEAL_BIT(8);
	return value;
}

/* reset-values */
static void clear_all(struct twins *t)
{
	for (unsigned i = 0; i < PEAL_COUNT_OF(rows); i++) {
		for (unsigned n = 0; n < (rows[i].redist ? TWIN_REDISTS : 1); n++) {
			if (rows[i].writable)
				write_both(t, &rows[i], n, 0, 8, 0);
		}
	}
}

static void what_is_written_reads_back(void **state)
{
	static struct twins t;
	uint64_t random = 1;

	(void)state;
	if (!qtest_available())
		return;
	twins_init(&t);
	clear_all(&t);
	compare_all(&t);
	for (unsigned i = 0; i < VALUES * PEAL_COUNT_OF(rows); i++) {
		const struct row *row = &rows[i % PEAL_COUNT_OF(rows)];
		uint64_t value = draw(&random, row);
		unsigned n = (unsigned)test_random_below(&random, TWIN_REDISTS);
		uint32_t half = (uint32_t)test_random_below(&random, 3);

		if (!row->writable)
			continue;
		if (row->offset == GICR_PROPBASER)
			n = 0;
		if (half == 2)
			write_both(&t, row, n, 0, 8, value);
		else
			write_both(&t, row, n, 4 * half, 4, value >> 32 * half & 0xffffffff);
		compare_row(&t, row, n);
	}
	compare_all(&t);
	twins_done(&t);
}

static void start(struct twins *t)
{
	for (unsigned n = 0; n < TWIN_REDISTS; n++)
		twins_start_redist(t, n);
	twins_start_its(t, VALID | t->gi->devices | PAGE_64K, VALID | t->gi->collections | PAGE_4K);
}

static void tables_and_queue_stay_while_enabled(void **state)
{
	static struct twins t;
	uint64_t random = 2;

	(void)state;
	if (!qtest_available())
		return;
	twins_init(&t);
	start(&t);
	compare_all(&t);
	for (unsigned i = 0; i < VALUES * 5; i++) {
		const struct row *row = &rows[i % 5]; /* CBASER and the BASERs */

		assert_false(row->redist);
		write_both(&t, row, 0, 0, 8, draw(&random, row));
		compare_row(&t, row, 0);
	}
	compare_all(&t);
	/* And what they describe still works. */
	its_map_collections(t.gi);
	its_map_lpis(t.gi, 5, LPI + 100, 8, 3, 0xa0);
	assert_int_equal(its_event(t.gi, INT, 5, 7), 0);
	assert_true(guest_is_pending(&t.guest, 3, LPI + 107));
	assert_true(twins_compare(&t));
	twins_done(&t);
}

/* The queue's registers through a pause of the ITS, in which commands are left in it. */
static void a_paused_queue_goes_on(void **state)
{
	static struct twins t;

	(void)state;
	if (!qtest_available())
		return;
	twins_init(&t);
	start(&t);
	its_map_collections(t.gi);
	its_map_lpis(t.gi, 1, LPI, 4, 1, 0xa0);
	twins_its_write(&t, GITS_CTLR, 4, 0);
	compare_all(&t);
	(void)its_event(t.gi, INT, 1, 2);
	twins_flush(&t);
	compare_all(&t);
	assert_false(guest_is_pending(&t.guest, 1, LPI + 2));
	assert_true(twins_compare(&t));
	twins_its_write(&t, GITS_CTLR, 4, 1);
	assert_true(guest_is_pending(&t.guest, 1, LPI + 2));
	assert_true(twins_compare(&t));
	compare_all(&t);
	twins_enable_lpis(&t, 1, false);
	compare_all(&t);
	assert_true(twins_compare(&t));
	twins_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_reads_back),
		cmocka_unit_test(tables_and_queue_stay_while_enabled),
		cmocka_unit_test(a_paused_queue_goes_on),
	};

	return cmocka_run_group_tests_name("its_registers", tests, NULL, NULL);
}
