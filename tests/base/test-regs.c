/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine of register banks: what an access does to the registers it touches. The property
 * against a bytewise reference is at the end; before it, what the header promises, one by one.
 */
#include <support.h>

#include <peal/regs.h>

/* ---- an owner that writes down what its hooks were told ---- */

#define LOG 64u

struct owner {
	uint64_t answer; /* of the read hook */
	unsigned nreads, nwrites;
	unsigned reads[LOG]; /* the indices */
	struct peal_reg_write writes[LOG];
};

static uint64_t read_hook(void *user, const struct peal_reg *reg, unsigned index)
{
	struct owner *owner = user;

	assert_true(owner->nreads < LOG && reg->read == read_hook);
	owner->reads[owner->nreads++] = index;
	return owner->answer;
}

static void write_hook(void *user, const struct peal_reg_write *write)
{
	struct owner *owner = user;

	assert_true(owner->nwrites < LOG);
	owner->writes[owner->nwrites++] = *write;
}

static void assert_call(const struct peal_reg_write *call, const struct peal_reg *reg,
			unsigned index, uint64_t old, uint64_t value, uint64_t raw,
			uint64_t written)
{
	assert_ptr_equal(call->reg, reg);
	assert_int_equal(call->index, index);
	assert_true(call->old == old);
	assert_true(call->value == value);
	assert_true(call->raw == raw);
	assert_true(call->written == written);
}

/* A bank of one group at BASE. */
struct one {
	struct peal_reg_bank bank;
	struct owner owner;
	_Alignas(8) uint8_t state[256];
};

static void one_setup(struct one *one, uint32_t base, const struct peal_reg *rows, unsigned nrows)
{
	const struct peal_reg_group group = {
		.base = base,
		.size = sizeof(one->state),
		.rows = rows,
		.nrows = nrows,
		.state = one->state,
		.owner = &one->owner,
	};
	unsigned row;

	memset(one, 0, sizeof(*one));
	assert_null(peal_reg_check(rows, nrows, &row));
	assert_int_equal(peal_reg_bank_add(&one->bank, &group), 0);
}

/* ---- one register ---- */

static void reset_fills_the_image(void **state)
{
	static const struct peal_reg rows[] = {
		{ .offset = 0, .width = 1, .reset = 0x5a, .name = "a", .section = "1" },
		{ .offset = 4, .width = 4, .reset = 0x01020304, .name = "b", .section = "1" },
		{ .offset = 8,
		  .width = 2,
		  .count = 3,
		  .stride = 4,
		  .reset = 0xbeef,
		  .name = "c",
		  .section = "1" },
		{ .offset = 24,
		  .width = 8,
		  .reset = UINT64_C(0x1122334455667788),
		  .name = "d",
		  .section = "1" },
	};
	static const uint8_t image[32] = {
		0x5a, 0,    0, 0, 4, 3, 2, 1, 0xef, 0xbe, 0,    0,    0xef, 0xbe, 0,    0,
		0xef, 0xbe, 0, 0, 0, 0, 0, 0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
	};
	struct one one;

	(void)state;
	one_setup(&one, 0, rows, PEAL_COUNT_OF(rows));
	assert_memory_equal(one.state, image, sizeof(image));
	peal_reg_set(one.state, 12, 2, 0);
	peal_reg_set(one.state, 24, 8, 1);
	peal_reg_group_reset(&one.bank.groups[0]);
	assert_memory_equal(one.state, image, sizeof(image));
	assert_int_equal(peal_reg_get(one.state, 0, 1), 0x5a);
	assert_int_equal(peal_reg_get(one.state, 12, 2), 0xbeef);
	assert_int_equal(peal_reg_get(one.state, 4, 4), 0x01020304);
	assert_true(peal_reg_get(one.state, 24, 8) == UINT64_C(0x1122334455667788));
}

static void masks_say_what_a_write_changes(void **state)
{
	static const struct peal_reg rows[] = {
		{ .offset = 4,
		  .width = 4,
		  .reset = 0x00ff0f55,
		  .rw = 0x000000ff,
		  .w1c = 0x0000ff00,
		  .rsvdz = 0xff000000,
		  .write = write_hook,
		  .name = "a",
		  .section = "1" },
	};
	struct one one;

	(void)state;
	one_setup(&one, 0x10, rows, PEAL_COUNT_OF(rows));
	peal_reg_bank_write(&one.bank, 0x14, 4, 0xffff03aa);
	/* rw replaced, w1c cleared where 1, read-only kept, reserved still zero. */
	assert_int_equal(peal_reg_bank_read(&one.bank, 0x14, 4), 0x00ff0caa);
	assert_int_equal(one.owner.nwrites, 1);
	assert_call(&one.owner.writes[0], &rows[0], 0, 0x00ff0f55, 0x00ff0caa, 0xffff03aa,
		    0xffffffff);
	/* Zeros clear nothing. */
	peal_reg_bank_write(&one.bank, 0x14, 4, 0);
	assert_int_equal(peal_reg_bank_read(&one.bank, 0x14, 4), 0x00ff0c00);
}

static void bytes_that_are_not_written_stay(void **state)
{
	static const struct peal_reg rows[] = {
		{ .offset = 0,
		  .width = 4,
		  .reset = 0xa1b2c3d4,
		  .rw = 0x00ffff00,
		  .w1c = 0xff,
		  .write = write_hook,
		  .name = "a",
		  .section = "1" },
	};
	struct one one;

	(void)state;
	one_setup(&one, 0, rows, PEAL_COUNT_OF(rows));
	peal_reg_bank_write(&one.bank, 1, 2, 0x1234);
	assert_int_equal(peal_reg_bank_read(&one.bank, 0, 4), 0xa11234d4);
	assert_call(&one.owner.writes[0], &rows[0], 0, 0xa1b2c3d4, 0xa11234d4, 0x00123400,
		    0x00ffff00);
	/* What lies past the size of the access does not count as written. */
	peal_reg_bank_write(&one.bank, 0, 1, UINT64_C(0xffffffffffffff14));
	assert_int_equal(peal_reg_bank_read(&one.bank, 0, 4), 0xa11234c0);
	assert_call(&one.owner.writes[1], &rows[0], 0, 0xa11234d4, 0xa11234c0, 0x14, 0xff);
}

static void quadword_takes_two_halves(void **state)
{
	static const struct peal_reg rows[] = {
		{ .offset = 8,
		  .width = 8,
		  .rw = UINT64_MAX,
		  .widths = PEAL_REG_W32 | PEAL_REG_W64,
		  .write = write_hook,
		  .name = "a",
		  .section = "1" },
	};
	struct one one;

	(void)state;
	one_setup(&one, 0, rows, PEAL_COUNT_OF(rows));
	peal_reg_bank_write(&one.bank, 12, 4, 0x11223344);
	assert_call(&one.owner.writes[0], &rows[0], 0, 0, UINT64_C(0x1122334400000000),
		    UINT64_C(0x1122334400000000), UINT64_C(0xffffffff00000000));
	peal_reg_bank_write(&one.bank, 8, 4, 0x55667788);
	assert_true(peal_reg_bank_read(&one.bank, 8, 8) == UINT64_C(0x1122334455667788));
	assert_int_equal(peal_reg_bank_read(&one.bank, 12, 4), 0x11223344);
	assert_int_equal(one.bank.refused, 0);
}

static void reserved_bits_read_zero_whatever_is_stored(void **state)
{
	static const struct peal_reg rows[] = {
		{ .offset = 0,
		  .width = 2,
		  .rw = 0x00ff,
		  .rsvdz = 0xff00,
		  .name = "a",
		  .section = "1" },
		{ .offset = 2,
		  .width = 2,
		  .flags = PEAL_REG_HOOKED,
		  .rsvdz = 0xf000,
		  .read = read_hook,
		  .name = "b",
		  .section = "1" },
	};
	struct one one;

	(void)state;
	one_setup(&one, 0, rows, PEAL_COUNT_OF(rows));
	peal_reg_set(one.state, 0, 2, 0xffff);
	one.owner.answer = UINT64_C(0xabcdef123456);
	assert_int_equal(peal_reg_bank_read(&one.bank, 0, 4), 0x045600ff);
}

static void constant_reads_its_reset_value_only(void **state)
{
	static const struct peal_reg rows[] = {
		{ .offset = 0,
		  .width = 4,
		  .flags = PEAL_REG_CONST,
		  .reset = 0xcafe0001,
		  .name = "a",
		  .section = "1" },
	};
	struct one one;

	(void)state;
	one_setup(&one, 0, rows, PEAL_COUNT_OF(rows));
	peal_reg_bank_write(&one.bank, 0, 4, 0);
	assert_int_equal(peal_reg_bank_read(&one.bank, 0, 4), 0xcafe0001);
	assert_int_equal(peal_reg_bank_read(&one.bank, 2, 2), 0xcafe);
	assert_int_equal(peal_reg_get(one.state, 0, 4), 0); /* it has no state */
}

static void hooked_register_stores_nothing(void **state)
{
	static const struct peal_reg rows[] = {
		{ .offset = 0,
		  .width = 4,
		  .flags = PEAL_REG_HOOKED,
		  .rw = 0xffff,
		  .w1c = 0xff0000,
		  .read = read_hook,
		  .write = write_hook,
		  .name = "a",
		  .section = "1" },
		{ .offset = 4,
		  .width = 4,
		  .flags = PEAL_REG_HOOKED,
		  .write = write_hook,
		  .name = "write-only",
		  .section = "1" },
		{ .offset = 8,
		  .width = 4,
		  .flags = PEAL_REG_HOOKED,
		  .read = read_hook,
		  .name = "read-only",
		  .section = "1" },
	};
	static const uint8_t zeros[12];
	struct one one;

	(void)state;
	one_setup(&one, 0, rows, PEAL_COUNT_OF(rows));
	one.owner.answer = 0x00f01111;
	peal_reg_bank_write(&one.bank, 0, 4, 0xffcc2222);
	assert_call(&one.owner.writes[0], &rows[0], 0, 0x00f01111, 0x00302222, 0xffcc2222,
		    0xffffffff);
	peal_reg_bank_write(&one.bank, 4, 4, 0x12345678);
	assert_call(&one.owner.writes[1], &rows[1], 0, 0, 0, 0x12345678, 0xffffffff);
	assert_int_equal(peal_reg_bank_read(&one.bank, 4, 4), 0);
	/* A read may have an effect: a write that nobody takes must not cause it. */
	one.owner.nreads = 0;
	peal_reg_bank_write(&one.bank, 8, 4, 1);
	assert_int_equal(one.owner.nreads, 0);
	assert_int_equal(peal_reg_bank_read(&one.bank, 8, 4), 0x00f01111);
	assert_int_equal(one.owner.nreads, 1);
	assert_memory_equal(one.state, zeros, sizeof(zeros));
}

/* A row with state may still have a read hook, which sees what is stored. */
static void read_hook_of_a_stored_register_gives_the_value(void **state)
{
	static const struct peal_reg rows[] = {
		{ .offset = 0,
		  .width = 4,
		  .rw = 0xffffffff,
		  .read = read_hook,
		  .write = write_hook,
		  .name = "a",
		  .section = "1" },
	};
	struct one one;

	(void)state;
	one_setup(&one, 0, rows, PEAL_COUNT_OF(rows));
	one.owner.answer = 7;
	peal_reg_bank_write(&one.bank, 0, 2, 0x1234);
	assert_int_equal(one.owner.nreads, 0);
	assert_int_equal(one.owner.writes[0].old, 0); /* the stored one */
	assert_int_equal(peal_reg_bank_read(&one.bank, 0, 4), 7);
	assert_int_equal(peal_reg_get(one.state, 0, 4), 0x1234);
}

/* ---- several registers ---- */

static void spanning_access_acts_on_each_under_its_masks(void **state)
{
	static const struct peal_reg rows[] = {
		{ .offset = 0,
		  .width = 2,
		  .rw = 0x0fff,
		  .reset = 0x8000,
		  .read = read_hook,
		  .write = write_hook,
		  .name = "a",
		  .section = "1" },
		{ .offset = 2,
		  .width = 2,
		  .w1c = 0xffff,
		  .reset = 0x3333,
		  .write = write_hook,
		  .name = "b",
		  .section = "1" },
		{ .offset = 5,
		  .width = 1,
		  .rw = 0xff,
		  .write = write_hook,
		  .name = "c",
		  .section = "1" },
	};
	struct one one;

	(void)state;
	one_setup(&one, 0, rows, PEAL_COUNT_OF(rows));
	peal_reg_bank_write(&one.bank, 1, 5, UINT64_C(0x77ff12345f));
	assert_int_equal(one.owner.nwrites, 3); /* ascending, once each; byte 4 is nobody's */
	assert_call(&one.owner.writes[0], &rows[0], 0, 0x8000, 0x8f00, 0x5f00, 0xff00);
	assert_call(&one.owner.writes[1], &rows[1], 0, 0x3333, 0x2103, 0x1234, 0xffff);
	assert_call(&one.owner.writes[2], &rows[2], 0, 0, 0x77, 0x77, 0xff);
	one.owner.answer = 0x8f00;
	assert_true(peal_reg_bank_read(&one.bank, 0, 8) == UINT64_C(0x770021038f00));
	assert_int_equal(one.owner.nreads, 1);
	assert_int_equal(one.bank.reserved, 0);
}

static void access_may_span_groups(void **state)
{
	static const struct peal_reg low[] = {
		{ .offset = 4, .width = 4, .rw = UINT32_MAX, .name = "a", .section = "1" },
	};
	static const struct peal_reg high[] = {
		{ .offset = 0, .width = 4, .rw = 0xffff, .name = "b", .section = "1" },
	};
	_Alignas(8) uint8_t low_state[8], high_state[8] = { 0 };
	struct peal_reg_bank bank = { 0 };
	const struct peal_reg_group groups[] = {
		/* Not in their order. */
		{ .base = 16, .size = 4, .rows = high, .nrows = 1, .state = high_state },
		{ .base = 8, .size = 8, .rows = low, .nrows = 1, .state = low_state },
	};

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(peal_reg_bank_add(&bank, &groups[i]), 0);
	peal_reg_bank_write(&bank, 12, 8, UINT64_C(0x1122334455667788));
	assert_int_equal(peal_reg_get(low_state, 4, 4), 0x55667788);
	assert_int_equal(peal_reg_get(high_state, 0, 4), 0x3344);
	assert_int_equal(peal_reg_bank_read(&bank, 14, 4), 0x33445566);
}

static void rows_interleave_and_owners_have_their_counts(void **state)
{
	static const struct peal_reg rows[] = {
		{ .offset = 0,
		  .width = 4,
		  .count = 2048,
		  .stride = 16,
		  .rw = 0xfffffffc,
		  .name = "address",
		  .section = "1" },
		{ .offset = 4,
		  .width = 4,
		  .count = 2048,
		  .stride = 16,
		  .rw = 0xffffffff,
		  .name = "upper",
		  .section = "1" },
		{ .offset = 8,
		  .width = 4,
		  .count = 2048,
		  .stride = 16,
		  .rw = 0xffffffff,
		  .write = write_hook,
		  .name = "data",
		  .section = "1" },
		{ .offset = 12,
		  .width = 4,
		  .count = 2048,
		  .stride = 16,
		  .rw = 1,
		  .reset = 1,
		  .write = write_hook,
		  .name = "control",
		  .section = "1" },
	};
	_Alignas(8) uint8_t image[5 * 16] = { 0 };
	struct owner owner = { 0 };
	struct peal_reg_bank bank = { 0 };
	const struct peal_reg_group group = {
		.base = 0x800,
		.size = 4 * 16,
		.rows = rows,
		.nrows = 4,
		.state = image,
		.owner = &owner,
		.count = 4,
	};

	(void)state;
	assert_int_equal(peal_reg_bank_add(&bank, &group), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_true(peal_reg_bank_read(&bank, 0x800 + 16 * i + 8, 8) ==
			    UINT64_C(0x100000000));
	peal_reg_bank_write(&bank, 0x838, 8, UINT64_C(0xfffffffe12345678));
	assert_int_equal(owner.nwrites, 2);
	assert_call(&owner.writes[0], &rows[2], 3, 0, 0x12345678, 0x12345678, 0xffffffff);
	assert_call(&owner.writes[1], &rows[3], 3, 1, 0, 0xfffffffe, 0xffffffff);
	/* Entry 4 is not there. */
	peal_reg_bank_write(&bank, 0x840, 8, UINT64_MAX);
	assert_int_equal(peal_reg_bank_read(&bank, 0x840, 8), 0);
	assert_int_equal(bank.reserved, 2);
	assert_int_equal(image[64], 0);
}

/* ---- what is refused, and what is not there ---- */

static void refused_widths_touch_nothing(void **state)
{
	static const struct peal_reg rows[] = {
		{ .offset = 0,
		  .width = 4,
		  .widths = PEAL_REG_W32,
		  .rw = 0xffffffff,
		  .reset = 0x11111111,
		  .read = NULL,
		  .write = write_hook,
		  .name = "a",
		  .section = "1" },
		{ .offset = 4,
		  .width = 4,
		  .rw = 0xffffffff,
		  .reset = 0x22222222,
		  .name = "b",
		  .section = "1" },
		{ .offset = 8,
		  .width = 8,
		  .widths = PEAL_REG_W8 | PEAL_REG_W32 | PEAL_REG_W64,
		  .rw = UINT64_MAX,
		  .reset = 0x33,
		  .name = "c",
		  .section = "1" },
	};
	static const struct {
		uint64_t offset;
		size_t size;
		uint64_t value; /* that is read */
		bool refused;
	} accesses[] = {
		{ 0, 4, 0x11111111, false },
		{ 0, 1, 0, true },
		{ 0, 2, 0, true },
		{ 2, 2, 0, true },
		{ 1, 4, UINT64_C(0x22000000), true }, /* unaligned, and reaches past it */
		{ 0, 8, UINT64_C(0x2222222200000000), true },
		{ 3, 2, UINT64_C(0x2200), true },
		{ 4, 4, 0x22222222, false },
		{ 5, 1, 0x22, false },
		{ 5, 4, 0x00222222, true }, /* its last byte is of c */
		{ 4, 8, 0x22222222, true }, /* begins before c */
		{ 8, 8, 0x33, false },
		{ 12, 4, 0, false },
		{ 8, 1, 0x33, false },
		{ 15, 1, 0, false },
		{ 8, 2, 0, true },
		{ 10, 4, 0, true },
		{ 8, 3, 0, true },
		{ 8, 5, 0, true },
		{ 12, 8, 0, true },
	};
	struct one one;
	uint64_t refused = 0;

	(void)state;
	one_setup(&one, 0, rows, PEAL_COUNT_OF(rows));
	for (unsigned i = 0; i < PEAL_COUNT_OF(accesses); i++) {
		uint64_t offset = accesses[i].offset;
		size_t size = accesses[i].size;

		assert_true(peal_reg_bank_read(&one.bank, offset, size) == accesses[i].value);
		refused += accesses[i].refused;
		assert_int_equal(one.bank.refused, refused);
		/* Writing back what was there: only a refused write would change it, to zero. */
		peal_reg_bank_write(&one.bank, offset, size, accesses[i].value);
		refused += accesses[i].refused;
		assert_int_equal(one.bank.refused, refused);
		assert_int_equal(peal_reg_get(one.state, 0, 4), 0x11111111);
		assert_int_equal(peal_reg_get(one.state, 4, 4), 0x22222222);
		assert_int_equal(peal_reg_get(one.state, 8, 8), 0x33);
	}
	assert_int_equal(one.owner.nwrites, 1);
	assert_int_equal(one.bank.reserved, 0);
}

static void nothing_there_reads_zero_and_is_counted(void **state)
{
	static const struct peal_reg rows[] = {
		{ .offset = 8,
		  .width = 4,
		  .rw = 0xffffffff,
		  .reset = 0x44444444,
		  .name = "a",
		  .section = "1" },
	};
	static const uint64_t empty[] = { 0,          0xff8,           0x1000,
					  0x100c,     0x1010,          0x10fc,
					  0x1100,     UINT32_MAX - 3u, UINT64_C(0x100001008),
					  UINT64_MAX, UINT64_MAX - 7 };
	struct peal_reg_bank bank = { 0 };
	struct one one;

	(void)state;
	assert_int_equal(peal_reg_bank_read(&bank, 0, 8), 0); /* no groups at all */
	assert_int_equal(bank.reserved, 1);
	one_setup(&one, 0x1000, rows, PEAL_COUNT_OF(rows));
	for (unsigned i = 0; i < PEAL_COUNT_OF(empty); i++) {
		assert_int_equal(peal_reg_bank_read(&one.bank, empty[i], 4), 0);
		peal_reg_bank_write(&one.bank, empty[i], 4, UINT64_MAX);
		assert_int_equal(one.bank.reserved, 2 * (i + 1));
	}
	assert_int_equal(peal_reg_get(one.state, 8, 4), 0x44444444);
	/* An access that meets a register as well is none of these. */
	assert_int_equal(peal_reg_bank_read(&one.bank, 0x1004, 8) >> 32, 0x44444444);
	assert_int_equal(one.bank.reserved, 2 * PEAL_COUNT_OF(empty));
}

/* The bytes of an access do not wrap to the registers at 0. */
static void access_at_the_end_does_not_wrap(void **state)
{
	static const struct peal_reg rows[] = {
		{ .offset = 0,
		  .width = 8,
		  .rw = UINT64_MAX,
		  .reset = 1,
		  .name = "a",
		  .section = "1" },
	};
	struct one one;

	(void)state;
	one_setup(&one, 0, rows, PEAL_COUNT_OF(rows));
	for (uint64_t i = 1; i < 8; i++) {
		peal_reg_bank_write(&one.bank, 0 - i, 8, UINT64_MAX);
		assert_int_equal(peal_reg_bank_read(&one.bank, 0 - i, 8), 0);
		peal_reg_bank_write(&one.bank, (UINT64_C(1) << 32) - i, 8, UINT64_MAX);
		assert_int_equal(peal_reg_bank_read(&one.bank, (UINT64_C(1) << 32) - i, 8), 0);
	}
	assert_int_equal(peal_reg_get(one.state, 0, 8), 1);
}

/* ---- groups ---- */

static void groups_must_not_overlap(void **state)
{
	static const struct peal_reg row = { .width = 4, .name = "a", .section = "1" };
	_Alignas(8) uint8_t image[16];
	struct peal_reg_group group = {
		.base = 0x20, .size = 0x10, .rows = &row, .nrows = 1, .state = image
	};
	static const struct {
		uint32_t base, size;
		int r;
	} others[] = {
		{ 0x20, 0x10, -EINVAL },    { 0x2c, 4, -EINVAL },  { 0x2c, 0x100, -EINVAL },
		{ 0x10, 0x14, -EINVAL },    { 0, 0x100, -EINVAL }, { 0x28, 4, -EINVAL },
		{ 0x10, 0x10, 0 },          { 0x30, 4, 0 },        { 0xfffffff0, 0x10, 0 },
		{ 0xfffffff8, 8, -EINVAL },
	};
	struct peal_reg_bank bank = { 0 };

	(void)state;
	assert_int_equal(peal_reg_bank_add(&bank, &group), 0);
	for (unsigned i = 0; i < PEAL_COUNT_OF(others); i++) {
		unsigned before = bank.ngroups;

		group.base = others[i].base;
		group.size = others[i].size;
		assert_int_equal(peal_reg_bank_add(&bank, &group), others[i].r);
		assert_int_equal(bank.ngroups, before + (others[i].r == 0));
	}
}

static void bank_holds_its_number_of_groups(void **state)
{
	static const struct peal_reg row = {
		.width = 4, .rw = 0xffffffff, .name = "a", .section = "1"
	};
	_Alignas(8) uint8_t images[PEAL_REG_GROUPS + 1][8];
	struct peal_reg_bank bank = { 0 };

	(void)state;
	for (unsigned i = 0; i <= PEAL_REG_GROUPS; i++) {
		/* From the top down. */
		struct peal_reg_group group = { .base = 0x1000 - 8 * i,
						.size = 8,
						.rows = &row,
						.nrows = 1,
						.state = images[i] };

		assert_int_equal(peal_reg_bank_add(&bank, &group),
				 i < PEAL_REG_GROUPS ? 0 : -ENOSPC);
	}
	for (unsigned i = 0; i < PEAL_REG_GROUPS; i++)
		peal_reg_bank_write(&bank, 0x1000 - 8 * i, 4, i + 1);
	for (unsigned i = 0; i < PEAL_REG_GROUPS; i++)
		assert_int_equal(peal_reg_get(images[i], 0, 4), i + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reset_fills_the_image),
		cmocka_unit_test(masks_say_what_a_write_changes),
		cmocka_unit_test(bytes_that_are_not_written_stay),
		cmocka_unit_test(quadword_takes_two_halves),
		cmocka_unit_test(reserved_bits_read_zero_whatever_is_stored),
		cmocka_unit_test(constant_reads_its_reset_value_only),
		cmocka_unit_test(hooked_register_stores_nothing),
		cmocka_unit_test(read_hook_of_a_stored_register_gives_the_value),
		cmocka_unit_test(spanning_access_acts_on_each_under_its_masks),
		cmocka_unit_test(access_may_span_groups),
		cmocka_unit_test(rows_interleave_and_owners_have_their_counts),
		cmocka_unit_test(refused_widths_touch_nothing),
		cmocka_unit_test(nothing_there_reads_zero_and_is_counted),
		cmocka_unit_test(access_at_the_end_does_not_wrap),
		cmocka_unit_test(groups_must_not_overlap),
		cmocka_unit_test(bank_holds_its_number_of_groups),
	};

	return cmocka_run_group_tests_name("base-regs", tests, NULL, NULL);
}
