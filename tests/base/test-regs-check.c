/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The walk that checks tables of rows: each thing that can be wrong, made wrong alone.
 */
#include <support.h>

#include <peal/regs.h>

static uint64_t read_hook(void *user, const struct peal_reg *reg, unsigned index)
{
	(void)user;
	(void)reg;
	(void)index;
	return 0;
}

static void write_hook(void *user, const struct peal_reg_write *write)
{
	(void)user;
	(void)write;
}

/* Every kind of row there is, all well made. */
#define GOOD_ROWS 9u

static void good_table(struct peal_reg rows[GOOD_ROWS])
{
	const struct peal_reg good[GOOD_ROWS] = {
		{ .offset = 0, .width = 2, .flags = PEAL_REG_CONST, .reset = 0x1af4 },
		{ .offset = 2, .width = 1, .rw = 0x0f, .w1c = 0x30, .rsvdz = 0xc0, .reset = 0x35 },
		{ .offset = 4, .width = 4, .flags = PEAL_REG_HOOKED, .read = read_hook },
		{ .offset = 8,
		  .width = 8,
		  .flags = PEAL_REG_HOOKED,
		  .write = write_hook,
		  .rw = UINT64_MAX,
		  .widths = PEAL_REG_W32 | PEAL_REG_W64 },
		{ .offset = 16,
		  .width = 4,
		  .rw = UINT32_MAX,
		  .write = write_hook,
		  .widths = PEAL_REG_W8 | PEAL_REG_W16 | PEAL_REG_W32 },
		{ .offset = 32, .width = 4, .count = 2048, .stride = 16, .rw = UINT32_MAX },
		{ .offset = 36, .width = 4, .count = 2048, .stride = 16, .read = read_hook },
		{ .offset = 40, .width = 8, .count = 2047, .stride = 16 },
		{ .offset = 0xfffffff8, .width = 8 }, /* the last there can be */
	};

	for (unsigned i = 0; i < GOOD_ROWS; i++) {
		rows[i] = good[i];
		rows[i].name = "name";
		rows[i].section = "1.2.3";
	}
}

static void good_rows_pass(void **state)
{
	struct peal_reg rows[GOOD_ROWS];
	unsigned row = 77;

	(void)state;
	good_table(rows);
	assert_null(peal_reg_check(rows, GOOD_ROWS, &row));
	assert_null(peal_reg_check(rows, 0, &row));
}

static void assert_wrong(const struct peal_reg *rows, unsigned expected)
{
	unsigned row = 77;
	const char *wrong = peal_reg_check(rows, GOOD_ROWS, &row);

	assert_non_null(wrong);
	assert_int_equal(row, expected);
}

/* Spoils one member of one row of the good table. */
#define WRONG(number, member, what)                \
	do {                                       \
		struct peal_reg spoilt[GOOD_ROWS]; \
		good_table(spoilt);                \
		spoilt[number].member = (what);    \
		assert_wrong(spoilt, number);      \
	} while (0)

static void misplaced_rows_are_found(void **state)
{
	(void)state;
	WRONG(0, width, 0);
	WRONG(0, width, 3);
	WRONG(3, width, 16);
	WRONG(2, offset, 5);  /* unaligned */
	WRONG(3, offset, 12); /* unaligned for its width */
	WRONG(4, offset, 4);  /* before the row before it */
	WRONG(3, offset, 0);
	WRONG(5, stride, 0);
	WRONG(5, stride, 2); /* registers of one row over each other */
	WRONG(5, stride, 18);
	WRONG(8, count, 2); /* the second would be past 32 bits */
	WRONG(6, stride, 0x80000000);
}

static void shared_bytes_are_found(void **state)
{
	struct peal_reg rows[GOOD_ROWS];

	(void)state;
	WRONG(1, offset, 1);  /* within row 0 */
	WRONG(2, offset, 0);  /* unsorted as well */
	WRONG(4, offset, 8);  /* where row 3 begins */
	WRONG(6, offset, 32); /* all over row 5 */
	WRONG(7, offset, 32);
	/* Far from where the rows begin: entry 2047 of row 5 is the first to meet row 7. */
	good_table(rows);
	rows[7].offset = 32 + 2047 * 16;
	rows[7].count = 1;
	assert_wrong(rows, 7);
	rows[7].offset = 32 + 2048 * 16;
	assert_null(peal_reg_check(rows, GOOD_ROWS, &(unsigned){ 0 }));
	/* The wider row's tail over the next entry of a narrow one. */
	good_table(rows);
	rows[5].stride = rows[6].stride = 20;
	assert_wrong(rows, 7);
}

static void bad_masks_are_found(void **state)
{
	(void)state;
	WRONG(1, w1c, 0x31);   /* also rw */
	WRONG(1, rsvdz, 0xc1); /* also rw */
	WRONG(1, rsvdz, 0xe0); /* also w1c */
	WRONG(1, rw, 0x10f);   /* past the width */
	WRONG(1, w1c, 0x130);
	WRONG(1, rsvdz, 0x1c0);
	WRONG(1, reset, 0x135);
	WRONG(1, reset, 0x75);                         /* reserved, but set */
	WRONG(4, widths, PEAL_REG_W32 | PEAL_REG_W64); /* 4 bytes never take 8 */
	WRONG(4, widths, 0x14);
}

static void bad_flags_and_hooks_are_found(void **state)
{
	(void)state;
	WRONG(0, flags, PEAL_REG_CONST | PEAL_REG_HOOKED);
	WRONG(0, flags, 4);
	WRONG(0, rw, 1); /* constant */
	WRONG(0, w1c, 1);
	WRONG(0, read, read_hook);
	WRONG(0, write, write_hook);
	WRONG(2, read, NULL); /* hooked without hooks */
	WRONG(2, rw, 1);      /* nobody takes what is written */
	WRONG(2, w1c, 1);
	WRONG(3, write, NULL);
}

static void nameless_rows_are_found(void **state)
{
	(void)state;
	WRONG(0, name, NULL);
	WRONG(8, name, "");
	WRONG(7, section, NULL);
	WRONG(1, section, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_rows_pass),
		cmocka_unit_test(misplaced_rows_are_found),
		cmocka_unit_test(shared_bytes_are_found),
		cmocka_unit_test(bad_masks_are_found),
		cmocka_unit_test(bad_flags_and_hooks_are_found),
		cmocka_unit_test(nameless_rows_are_found),
	};

	return cmocka_run_group_tests_name("base-regs-check", tests, NULL, NULL);
}
