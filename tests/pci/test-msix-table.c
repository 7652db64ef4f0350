/* SPDX-License-Identifier: BSD-2-Clause */
/* Accesses to the MSI-X table and PBA: every width and alignment, and nothing beyond. */
#include "fixture.h"

#define VECTORS    8u
#define TABLE_SIZE (16 * VECTORS)
#define PBA        2048u

/* ---- the table against bytes and their masks ---- */

struct reference {
	uint8_t value[TABLE_SIZE];
};

/* Address bits 1:0 read zero, the control has its Mask bit only. */
static uint8_t writable(unsigned offset)
{
	static const uint8_t masks[16] = { 0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
					   0xff, 0xff, 0xff, 0xff, 0x01, 0,    0,    0 };

	return masks[offset % 16];
}

static void reference_init(struct reference *reference)
{
	memset(reference, 0, sizeof(*reference));
	for (unsigned v = 0; v < VECTORS; v++)
		reference->value[16 * v + 12] = 1;
}

static void reference_write(struct reference *reference, unsigned offset, unsigned size,
			    uint64_t value)
{
	for (unsigned i = 0; i < size; i++, value >>= 8)
		reference->value[offset + i] = (uint8_t)value & writable(offset + i);
}

static void assert_table(struct fixture *f, const struct reference *reference)
{
	for (unsigned at = 0; at < TABLE_SIZE; at += 8)
		assert_int_equal(table_read(f, at, 8), peal_load_le(reference->value + at, 8));
	for (unsigned v = 0; v < VECTORS; v++) {
		const uint8_t *entry = reference->value + 16 * v;
		struct peal_msi_msg msg = peal_msix_message(f->msix, v);

		assert_int_equal(msg.address, peal_load_le(entry, 8));
		assert_int_equal(msg.data, peal_load_le(entry + 8, 4));
	}
}

static void write_of_any_width_and_alignment_loses_no_byte_and_spares_neighbours(void **state)
{
	static const uint64_t patterns[] = { ~UINT64_C(0), 0, UINT64_C(0x5aa5c33c0ff01ee1),
					     UINT64_C(0xa55a3cc3f00fe11e) };
	struct reference reference;
	struct fixture f;

	(void)state;
	fixture_init_msix(&f, VECTORS);
	reference_init(&reference);
	assert_table(&f, &reference);
	for (unsigned size = 1; size <= 8; size *= 2) {
		for (unsigned offset = 0; offset <= TABLE_SIZE - size; offset++) {
			for (size_t i = 0; i < PEAL_COUNT_OF(patterns); i++) {
				table_write(&f, offset, size, patterns[i]);
				reference_write(&reference, offset, size, patterns[i]);
				assert_table(&f, &reference);
			}
		}
	}
	fixture_done(&f);
}

static void read_of_any_width_and_alignment_gives_the_bytes(void **state)
{
	uint8_t bytes[TABLE_SIZE];
	struct fixture f;

	(void)state;
	fixture_init_msix(&f, VECTORS);
	for (unsigned v = 0; v < VECTORS; v++) {
		table_write(&f, 16 * v, 8, UINT64_C(0x1122334455667788) * (v + 1));
		table_write(&f, 16 * v + 8, 8, UINT64_C(0x99aabbcc) * (v + 1));
	}
	for (unsigned at = 0; at < TABLE_SIZE; at++)
		bytes[at] = (uint8_t)table_read(&f, at, 1);
	for (unsigned size = 2; size <= 8; size *= 2) {
		for (unsigned offset = 0; offset <= TABLE_SIZE - size; offset++)
			assert_int_equal(table_read(&f, offset, size),
					 peal_load_le(bytes + offset, size));
	}
	fixture_done(&f);
}

static void eight_byte_write_sets_data_before_it_unmasks(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init_msix(&f, VECTORS);
	set_control(&f, MSIX_ENABLE);
	table_write(&f, 16 * 3, 8, VECTOR_ADDRESS(3));
	assert_int_equal(peal_msix_notify(f.msix, 3), 0);
	table_write(&f, 16 * 3 + 8, 8, 0x77);
	assert_int_equal(test_sink_count(&f.sink), 1);
	assert_message(&f.sink, VECTOR_ADDRESS(3), 0x77);
	/* And misaligned: data's upper half, and the control's lower. */
	set_mask(&f, 3, true);
	assert_int_equal(peal_msix_notify(f.msix, 3), 0);
	table_write(&f, 16 * 3 + 10, 4, 0x1234);
	assert_int_equal(test_sink_count(&f.sink), 2);
	assert_message(&f.sink, VECTOR_ADDRESS(3), 0x12340077);
	fixture_done(&f);
}

static void only_the_mask_byte_masks(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init_msix(&f, VECTORS);
	set_control(&f, MSIX_ENABLE);
	program_vector(&f, 2, false);
	/* Everything around the Mask bit of vector 2, in every width that spares it. */
	table_write(&f, 16 * 2 + 13, 1, 0xff);
	table_write(&f, 16 * 2 + 14, 2, 0xffff);
	table_write(&f, 16 * 2 + 13, 4, 0xffffffff); /* reaches vector 3's address */
	table_write(&f, 16 * 2 + 8, 4, 0xffffffff);
	table_write(&f, 16 * 2 + 4, 8, ~UINT64_C(0));
	table_write(&f, 16 * 2 + 12, 1, 0xfe);
	assert_false(peal_msix_is_masked(f.msix, 2));
	assert_int_equal(table_read(&f, 16 * 2 + 12, 4), 0);
	table_write(&f, 16 * 2 + 12, 1, 0xff);
	assert_true(peal_msix_is_masked(f.msix, 2));
	assert_int_equal(table_read(&f, 16 * 2 + 12, 4), 1);
	table_write(&f, 16 * 2 + 9, 8, 0); /* data, control, and vector 3's address */
	assert_false(peal_msix_is_masked(f.msix, 2));
	assert_true(peal_msix_is_masked(f.msix, 1));
	assert_true(peal_msix_is_masked(f.msix, 3));
	fixture_done(&f);
}

/* ---- PBA ---- */

static void pba_shows_pending_vectors_at_every_width_and_alignment(void **state)
{
	static const unsigned raised[] = { 0, 7, 8, 31, 32, 63, 64, 69 };
	uint8_t expected[16] = { 0 };
	struct fixture f;

	(void)state;
	fixture_init_msix(&f, 70);
	for (size_t i = 0; i < PEAL_COUNT_OF(raised); i++) {
		assert_int_equal(peal_msix_notify(f.msix, raised[i]), 0);
		expected[raised[i] / 8] |= (uint8_t)(1 << raised[i] % 8);
	}
	for (unsigned size = 1; size <= 8; size *= 2) {
		for (unsigned at = 0; at <= sizeof(expected) - size; at++)
			assert_int_equal(table_read(&f, PBA + at, size),
					 peal_load_le(expected + at, size));
	}
	fixture_done(&f);
}

static void pba_is_read_only_and_writes_are_counted(void **state)
{
	uint64_t writes = 0;
	struct fixture f;

	(void)state;
	fixture_init_msix(&f, 70);
	assert_int_equal(peal_msix_notify(f.msix, 3), 0);
	for (unsigned size = 1; size <= 8; size *= 2) {
		for (unsigned at = 0; at < 16; at += size) {
			table_write(&f, PBA + at, size, 0);
			table_write(&f, PBA + at, size, ~UINT64_C(0));
			writes += 2;
			assert_int_equal(table_read(&f, PBA, 8), 8);
			assert_int_equal(table_read(&f, PBA + 8, 8), 0);
		}
	}
	assert_int_equal(peal_msix_pba_writes(f.msix), writes);
	for (unsigned v = 0; v < 70; v++)
		assert_int_equal(peal_msix_is_pending(f.msix, v), v == 3);
	fixture_done(&f);
}

/* ---- the rest of the BAR ---- */

static void rest_of_the_exclusive_bar_reads_zero_and_takes_nothing(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init_msix(&f, VECTORS);
	for (unsigned at = TABLE_SIZE; at < 4096; at += 8) {
		table_write(&f, at, 8, ~UINT64_C(0));
		assert_int_equal(table_read(&f, at, 8), 0);
	}
	/* Across the ends of the table and the PBA. */
	table_write(&f, TABLE_SIZE - 4, 8, ~UINT64_C(0));
	assert_int_equal(table_read(&f, TABLE_SIZE - 4, 8), 1);
	table_write(&f, PBA - 4, 8, ~UINT64_C(0));
	table_write(&f, PBA + 4, 8, ~UINT64_C(0));
	assert_int_equal(table_read(&f, PBA - 4, 8), 0);
	assert_int_equal(table_read(&f, PBA + 4, 8), 0);
	fixture_done(&f);
}

static void past_the_end_of_the_bar_reads_ones(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init_msix(&f, VECTORS);
	assert_int_equal(table_read(&f, 4096, 4), 0xffffffff);
	assert_int_equal(table_read(&f, 4092, 8), ~UINT64_C(0));
	table_write(&f, 4092, 8, 0);
	table_write(&f, UINT64_C(1) << 32, 4, 0);
	table_write(&f, ~UINT64_C(0) - 3, 4, 0);
	assert_int_equal(table_read(&f, 12, 4), 1);
	assert_int_equal(peal_pci_function_past_end(f.function), 5);
	fixture_done(&f);
}

static void last_entry_of_the_largest_table_is_reached(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init_msix(&f, 2048);
	set_control(&f, MSIX_ENABLE);
	program_vector(&f, 2047, false);
	assert_int_equal(peal_msix_notify(f.msix, 2047), 1);
	assert_message(&f.sink, VECTOR_ADDRESS(2047), VECTOR_DATA(2047));
	set_mask(&f, 2047, true);
	assert_int_equal(peal_msix_notify(f.msix, 2047), 0);
	assert_int_equal(table_read(&f, 32768 + 248, 8), PEAL_BIT(63));
	assert_int_equal(table_read(&f, 32768 + 255, 1), 0x80);
	assert_int_equal(table_read(&f, 32768 + 256, 8), 0);
	fixture_done(&f);
}

static void table_is_reached_through_the_bus(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init_msix(&f, VECTORS);
	config_write(&f, BAR(0), 4, WINDOW32);
	set_control(&f, MSIX_ENABLE);
	assert_int_equal(space_write(f.ram.space, WINDOW32 + 16, 8, VECTOR_ADDRESS(1)), 0);
	assert_int_equal(space_write(f.ram.space, WINDOW32 + 24, 8, VECTOR_DATA(1)), 0);
	assert_int_equal(peal_msix_notify(f.msix, 1), 1);
	assert_message(&f.sink, VECTOR_ADDRESS(1), VECTOR_DATA(1));
	assert_int_equal(peal_msix_notify(f.msix, 5), 0);
	assert_int_equal(space_read(f.ram.space, WINDOW32 + PBA, 1), 0x20);
	assert_int_equal(space_read(f.ram.space, WINDOW32 + 15, 8) >> 8,
			 VECTOR_ADDRESS(1) & ~UINT64_C(0) >> 8);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			write_of_any_width_and_alignment_loses_no_byte_and_spares_neighbours),
		cmocka_unit_test(read_of_any_width_and_alignment_gives_the_bytes),
		cmocka_unit_test(eight_byte_write_sets_data_before_it_unmasks),
		cmocka_unit_test(only_the_mask_byte_masks),
		cmocka_unit_test(pba_shows_pending_vectors_at_every_width_and_alignment),
		cmocka_unit_test(pba_is_read_only_and_writes_are_counted),
		cmocka_unit_test(rest_of_the_exclusive_bar_reads_zero_and_takes_nothing),
		cmocka_unit_test(past_the_end_of_the_bar_reads_ones),
		cmocka_unit_test(last_entry_of_the_largest_table_is_reached),
		cmocka_unit_test(table_is_reached_through_the_bus),
	};

	return cmocka_run_group_tests_name("pci-msix-table", tests, NULL, NULL);
}
