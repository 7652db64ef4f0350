/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bits and byte order.
 */
#include <support.h>

static void mask_includes_both_ends(void **state)
{
	(void)state;
	assert_int_equal(PEAL_MASK(7, 2), 0xfc);
	assert_int_equal(PEAL_MASK(0, 0), 1);
	assert_int_equal(PEAL_MASK(31, 0), 0xffffffff);
	assert_true(PEAL_MASK(63, 0) == UINT64_MAX);
	assert_true(PEAL_MASK(63, 63) == UINT64_C(1) << 63);
	for (unsigned high = 0; high < 64; high++) {
		for (unsigned low = 0; low <= high; low++) {
			uint64_t expected = 0;

			for (unsigned bit = low; bit <= high; bit++)
				expected |= PEAL_BIT(bit);
			assert_true(PEAL_MASK(high, low) == expected);
		}
	}
}

static void field_moves_down_to_bit_0(void **state)
{
	(void)state;
	assert_int_equal(peal_field(0x1234, 15, 12), 1);
	assert_int_equal(peal_field(0x1234, 7, 4), 3);
	assert_true(peal_field(UINT64_MAX, 63, 0) == UINT64_MAX);
	assert_int_equal(peal_field(UINT64_C(1) << 63, 63, 63), 1);
}

static void ones_fill_whole_bytes(void **state)
{
	(void)state;
	assert_int_equal(peal_ones(1), 0xff);
	assert_int_equal(peal_ones(3), 0xffffff);
	assert_true(peal_ones(8) == UINT64_MAX);
}

static void power_of_two_is_exactly_one_bit(void **state)
{
	(void)state;
	assert_false(peal_is_power_of_two(0));
	for (unsigned bit = 0; bit < 64; bit++) {
		assert_true(peal_is_power_of_two(PEAL_BIT(bit)));
		if (bit > 0)
			assert_false(peal_is_power_of_two(PEAL_BIT(bit) | 1));
	}
}

static void round_up_keeps_multiples(void **state)
{
	(void)state;
	assert_int_equal(peal_round_up(0, 8), 0);
	assert_int_equal(peal_round_up(1, 8), 8);
	assert_int_equal(peal_round_up(8, 8), 8);
	assert_int_equal(peal_round_up(9, 1), 9);
}

static void in_range_does_not_wrap(void **state)
{
	(void)state;
	assert_true(peal_in_range(0, 0, 0));
	assert_true(peal_in_range(8, 0, 8));
	assert_true(peal_in_range(0, 8, 8));
	assert_false(peal_in_range(1, 8, 8));
	assert_false(peal_in_range(9, 0, 8));
	assert_false(peal_in_range(UINT64_MAX, 2, 8)); /* the sum is 1 */
	assert_false(peal_in_range(2, UINT64_MAX, 8));
	assert_true(peal_in_range(UINT64_MAX, 0, UINT64_MAX));
}

static void loads_and_stores_are_little_endian(void **state)
{
	const uint8_t bytes[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	uint8_t out[10];

	(void)state;
	assert_int_equal(peal_load_le(bytes, 1), 0x01);
	assert_int_equal(peal_load_le(bytes, 2), 0x0201);
	assert_int_equal(peal_load_le(bytes, 3), 0x030201);
	assert_int_equal(peal_load_le(bytes, 4), 0x04030201);
	assert_true(peal_load_le(bytes, 8) == UINT64_C(0x0807060504030201));
	for (size_t size = 1; size <= 8; size++) {
		memset(out, 0xee, sizeof(out));
		peal_store_le(out + 1, size, UINT64_C(0x0807060504030201));
		assert_int_equal(out[0], 0xee);
		assert_memory_equal(out + 1, bytes, size);
		assert_int_equal(out[1 + size], 0xee);
	}
}

static void atomic_accesses_are_little_endian(void **state)
{
	_Alignas(8) uint8_t bytes[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	(void)state;
	assert_int_equal(peal_atomic_load_le16(bytes + 2, __ATOMIC_RELAXED), 0x0403);
	assert_int_equal(peal_atomic_load_le32(bytes + 4, __ATOMIC_ACQUIRE), 0x08070605);
	assert_true(peal_atomic_load_le64(bytes, __ATOMIC_SEQ_CST) == UINT64_C(0x0807060504030201));
	peal_atomic_store_le16(bytes, 0xa1b2, __ATOMIC_RELAXED);
	assert_int_equal(bytes[0], 0xb2);
	assert_int_equal(bytes[1], 0xa1);
	assert_int_equal(bytes[2], 3);
	peal_atomic_store_le32(bytes + 4, 0xc1c2c3c4, __ATOMIC_RELEASE);
	assert_int_equal(bytes[4], 0xc4);
	assert_int_equal(bytes[7], 0xc1);
	peal_atomic_store_le64(bytes, UINT64_C(0x1122334455667788), __ATOMIC_SEQ_CST);
	assert_int_equal(bytes[0], 0x88);
	assert_int_equal(bytes[7], 0x11);
}

struct outer {
	int before;
	int member;
};

static void container_of_finds_the_object(void **state)
{
	struct outer outer;

	(void)state;
	assert_ptr_equal(peal_container_of(&outer.member, struct outer, member), &outer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mask_includes_both_ends),
		cmocka_unit_test(field_moves_down_to_bit_0),
		cmocka_unit_test(ones_fill_whole_bytes),
		cmocka_unit_test(power_of_two_is_exactly_one_bit),
		cmocka_unit_test(round_up_keeps_multiples),
		cmocka_unit_test(in_range_does_not_wrap),
		cmocka_unit_test(loads_and_stores_are_little_endian),
		cmocka_unit_test(atomic_accesses_are_little_endian),
		cmocka_unit_test(container_of_finds_the_object),
	};

	return cmocka_run_group_tests_name("base-bits", tests, NULL, NULL);
}
