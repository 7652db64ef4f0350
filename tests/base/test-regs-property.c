/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine of register banks against a bytewise reference: random tables of every kind of row,
 * every width and alignment of access, and the reference knows nothing but bytes and their masks.
 */
#include <support.h>

#include <peal/regs.h>

#define TABLES    40u
#define ACCESSES  1500u
#define SIZE      96u /* of the group */
#define MAX_ROWS  40u
#define MAX_CALLS 16u

struct call {
	unsigned row, index;
	uint64_t old, value, raw, written;
};

/* One byte of the group as the reference sees it. */
struct byte {
	int row; /* -1: nobody's */
	unsigned index;
	unsigned place; /* in its register */
	uint32_t start; /* of its register */
	uint8_t value;  /* stored, or what the read hook gives */
	uint8_t rw, w1c, rsvdz;
};

struct fixture {
	struct peal_reg rows[MAX_ROWS];
	unsigned nrows;
	struct peal_reg_bank bank;
	uint32_t base;
	_Alignas(8) uint8_t state[SIZE];
	/* What the hooked registers hold, at their place. */
	uint8_t hooked[SIZE + 8];
	struct call calls[MAX_CALLS];
	unsigned ncalls;
	uint8_t read_once[SIZE];

	struct byte bytes[SIZE];
	struct call expected[MAX_CALLS];
	unsigned nexpected;
	uint64_t refused, reserved;
};

static uint32_t start_of(const struct peal_reg *reg, unsigned index)
{
	return reg->offset + index * reg->stride;
}

static uint64_t read_hook(void *user, const struct peal_reg *reg, unsigned index)
{
	struct fixture *f = user;
	uint32_t start = start_of(reg, index);

	assert_int_equal(f->read_once[start], 0);
	f->read_once[start] = 1;
	return peal_load_le(f->hooked + start, reg->width);
}

static void write_hook(void *user, const struct peal_reg_write *write)
{
	struct fixture *f = user;
	const struct peal_reg *reg = write->reg;

	assert_true(f->ncalls < MAX_CALLS);
	f->calls[f->ncalls++] = (struct call){
		(unsigned)(reg - f->rows),
		write->index,
		write->old,
		write->value,
		write->raw,
		write->written,
	};
	if (reg->flags & PEAL_REG_HOOKED)
		peal_store_le(f->hooked + start_of(reg, write->index), reg->width, write->value);
}

/* ---- tables ---- */

static void random_row(struct peal_reg *reg, uint64_t *random, uint32_t offset, unsigned width)
{
	uint64_t ones = peal_ones(width), kind = test_random_below(random, 6);

	*reg = (struct peal_reg){
		.offset = offset, .width = (uint8_t)width, .name = "r", .section = "s"
	};
	for (unsigned bit = 0; bit < 8 * width; bit++) {
		uint64_t *mask[4] = { &reg->rw, &reg->w1c, &reg->rsvdz, NULL };
		uint64_t *chosen = mask[test_random_below(random, 4)];

		if (chosen)
			*chosen |= PEAL_BIT(bit);
	}
	reg->reset = test_random(random) & ones & ~reg->rsvdz;
	if (kind == 0) {
		reg->flags = PEAL_REG_CONST;
		reg->rw = reg->w1c = 0;
		return;
	}
	if (kind == 1) {
		reg->flags = PEAL_REG_HOOKED;
		reg->reset = 0;
		reg->read = read_hook;
	}
	if (kind <= 3)
		reg->write = write_hook;
	if (test_random_below(random, 4) == 0)
		reg->widths = (uint8_t)(1 + test_random_below(random, 2 * width - 1));
}

static void random_table(struct fixture *f, uint64_t *random)
{
	uint32_t offset = 0;

	memset(f, 0, sizeof(*f));
	while (offset < SIZE / 2) {
		unsigned width = 1u << test_random_below(random, 4);

		offset = (uint32_t)peal_round_up(offset, width);
		if (test_random_below(random, 4) > 0)
			random_row(&f->rows[f->nrows++], random, offset, width);
		offset += width;
	}
	/* A family of 3 that interleaves: 16 bytes apart, 4 + 2 + 8 of them used. */
	offset = (uint32_t)peal_round_up(offset, 16);
	random_row(&f->rows[f->nrows++], random, offset, 4);
	random_row(&f->rows[f->nrows++], random, offset + 4, 2);
	random_row(&f->rows[f->nrows++], random, offset + 8, 8);
	for (unsigned i = 1; i <= 3; i++) {
		f->rows[f->nrows - i].count = 2;
		f->rows[f->nrows - i].stride = 16;
	}
}

static void reference_reset(struct fixture *f)
{
	for (unsigned i = 0; i < SIZE; i++)
		f->bytes[i].row = -1;
	for (unsigned row = 0; row < f->nrows; row++) {
		const struct peal_reg *reg = &f->rows[row];

		for (unsigned index = 0; index < (reg->count ? reg->count : 1u); index++) {
			for (unsigned i = 0; i < reg->width; i++) {
				uint32_t start = start_of(reg, index);

				assert_int_equal(f->bytes[start + i].row, -1);
				f->bytes[start + i] = (struct byte){
					.row = (int)row,
					.index = index,
					.place = i,
					.start = start,
					.value = (uint8_t)(reg->reset >> (8 * i)),
					.rw = (uint8_t)(reg->rw >> (8 * i)),
					.w1c = (uint8_t)(reg->w1c >> (8 * i)),
					.rsvdz = (uint8_t)(reg->rsvdz >> (8 * i)),
				};
			}
		}
	}
}

static void fixture_setup(struct fixture *f, uint64_t *random)
{
	struct peal_reg_group group = { .size = SIZE, .owner = f };
	unsigned row = 0;

	random_table(f, random);
	reference_reset(f);
	f->base = (uint32_t)test_random_below(random, 3) * 20;
	group.base = f->base;
	group.rows = f->rows;
	group.nrows = f->nrows;
	group.state = f->state;
	assert_null(peal_reg_check(f->rows, f->nrows, &row));
	assert_int_equal(peal_reg_bank_add(&f->bank, &group), 0);
}

/* ---- the reference ---- */

/* The byte of the group at OFFSET of the bank, or NULL. */
static struct byte *byte_at(struct fixture *f, uint64_t offset)
{
	struct byte *byte;

	if (offset < f->base || offset - f->base >= SIZE)
		return NULL;
	byte = &f->bytes[offset - f->base];
	return byte->row < 0 ? NULL : byte;
}

static bool refuses(const struct fixture *f, const struct byte *byte, uint64_t offset, size_t size)
{
	const struct peal_reg *reg = &f->rows[byte->row];
	int64_t away = (int64_t)offset - (int64_t)f->base - (int64_t)byte->start;
	bool width_listed = (size == 1 && (reg->widths & PEAL_REG_W8)) ||
			    (size == 2 && (reg->widths & PEAL_REG_W16)) ||
			    (size == 4 && (reg->widths & PEAL_REG_W32)) ||
			    (size == 8 && (reg->widths & PEAL_REG_W64));

	return reg->widths && (!width_listed || away < 0 || away % (int64_t)size != 0 ||
			       away + (int64_t)size > reg->width);
}

static void reference_count(struct fixture *f, uint64_t offset, size_t size)
{
	bool met = false, refused = false;

	for (size_t i = 0; i < size; i++) {
		const struct byte *byte = byte_at(f, offset + i);

		met |= byte != NULL;
		refused |= byte && refuses(f, byte, offset, size);
	}
	f->reserved += !met;
	f->refused += refused;
}

static uint64_t reference_read(struct fixture *f, uint64_t offset, size_t size)
{
	uint64_t value = 0;

	for (size_t i = 0; i < size; i++) {
		const struct byte *byte = byte_at(f, offset + i);

		if (byte && !refuses(f, byte, offset, size))
			value |= (uint64_t)(byte->value & (uint8_t)~byte->rsvdz) << (8 * i);
	}
	return value;
}

static uint64_t register_value(const struct fixture *f, const struct byte *byte)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < f->rows[byte->row].width; i++)
		value |= (uint64_t)f->bytes[byte->start + i].value << (8 * i);
	return value;
}

static void reference_write(struct fixture *f, uint64_t offset, size_t size, uint64_t value)
{
	struct call *call = NULL;
	uint32_t start = UINT32_MAX;

	f->nexpected = 0;
	for (size_t i = 0; i < size; i++) {
		struct byte *byte = byte_at(f, offset + i);
		uint8_t raw = (uint8_t)(value >> (8 * i));
		const struct peal_reg *reg;

		if (!byte || refuses(f, byte, offset, size))
			continue;
		reg = &f->rows[byte->row];
		if (reg->write && byte->start != start) {
			start = byte->start;
			call = &f->expected[f->nexpected++];
			*call = (struct call){ .row = (unsigned)byte->row,
					       .index = byte->index,
					       .old = register_value(f, byte) };
		}
		if (!(reg->flags & PEAL_REG_HOOKED) || reg->write) {
			byte->value = (uint8_t)((byte->value & ~byte->rw) | (raw & byte->rw));
			byte->value = (uint8_t)(byte->value & ~(raw & byte->w1c));
		}
		if (reg->write) {
			call->value = register_value(f, byte);
			call->raw |= (uint64_t)raw << (8 * byte->place);
			call->written |= UINT64_C(0xff) << (8 * byte->place);
		}
	}
}

/* ---- the comparison ---- */

static void compare_calls(const struct fixture *f)
{
	assert_int_equal(f->ncalls, f->nexpected);
	for (unsigned i = 0; i < f->ncalls; i++) {
		const struct call *a = &f->calls[i], *b = &f->expected[i];

		assert_int_equal(a->row, b->row);
		assert_int_equal(a->index, b->index);
		assert_true(a->old == b->old);
		assert_true(a->value == b->value);
		assert_true(a->raw == b->raw);
		assert_true(a->written == b->written);
	}
}

static void compare_images(const struct fixture *f)
{
	for (unsigned i = 0; i < SIZE; i++) {
		const struct byte *byte = &f->bytes[i];
		unsigned flags = byte->row < 0 ? PEAL_REG_CONST : f->rows[byte->row].flags;

		assert_int_equal(f->state[i], flags ? 0 : byte->value);
		if (flags & PEAL_REG_HOOKED)
			assert_int_equal(f->hooked[i], byte->value);
	}
}

static void one_access(struct fixture *f, uint64_t offset, size_t size, uint64_t value, bool write)
{
	reference_count(f, offset, size);
	memset(f->read_once, 0, sizeof(f->read_once));
	f->ncalls = 0;
	if (write) {
		reference_write(f, offset, size, value);
		peal_reg_bank_write(&f->bank, offset, size, value);
		compare_calls(f);
		compare_images(f);
	} else {
		uint64_t expected = reference_read(f, offset, size);

		assert_true(peal_reg_bank_read(&f->bank, offset, size) == expected);
		assert_int_equal(f->ncalls, 0);
	}
	assert_int_equal(f->bank.refused, f->refused);
	assert_int_equal(f->bank.reserved, f->reserved);
}

static void every_access_equals_the_bytewise_reference(void **state)
{
	uint64_t random = 1;

	(void)state;
	for (unsigned table = 0; table < TABLES; table++) {
		struct fixture f;

		fixture_setup(&f, &random);
		/* Every place and size once, and then in any order. */
		for (size_t size = 1; size <= 8; size++) {
			for (uint64_t offset = 0; offset < f.base + SIZE + 8; offset++) {
				one_access(&f, offset, size, test_random(&random), true);
				one_access(&f, offset, size, 0, false);
			}
		}
		for (unsigned i = 0; i < ACCESSES; i++) {
			size_t size = (size_t)(1 + test_random_below(&random, 8));
			uint64_t offset = test_random_below(&random, f.base + SIZE + 8);

			one_access(&f, offset, size, test_random(&random), i % 2 == 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_access_equals_the_bytewise_reference),
	};

	return cmocka_run_group_tests_name("base-regs-property", tests, NULL, NULL);
}
