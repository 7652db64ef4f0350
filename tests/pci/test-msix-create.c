/* SPDX-License-Identifier: BSD-2-Clause */
/* Making MSI-X: what is refused, with nothing changed, and where the exclusive BAR puts things. */
#include "fixture.h"

/* BAR 0 64 KiB, BAR 1 I/O, BAR 2 of 64 bits with 128 KiB, BAR 5 4 KiB. */
static void fixture_init_bars(struct fixture *f)
{
	fixture_init(f);
	assert_int_equal(peal_pci_function_add_bar(f->function, 0, PEAL_PCI_BAR_MEM32, 0x10000,
						   NULL, NULL),
			 0);
	assert_int_equal(
		peal_pci_function_add_bar(f->function, 1, PEAL_PCI_BAR_IO, 256, NULL, NULL), 0);
	assert_int_equal(peal_pci_function_add_bar(f->function, 2, PEAL_PCI_BAR_MEM64, 0x20000,
						   NULL, NULL),
			 0);
	assert_int_equal(peal_pci_function_add_bar(f->function, 5, PEAL_PCI_BAR_MEM32, 0x1000, NULL,
						   NULL),
			 0);
}

static void assert_refused(struct fixture *f, const struct peal_msix_config *config)
{
	uint64_t before[32];

	for (unsigned i = 0; i < 32; i++)
		before[i] = config_read(f, 8 * i, 8);
	assert_int_equal(peal_pci_function_add_msix(f->function, config), -EINVAL);
	for (unsigned i = 0; i < 32; i++)
		assert_int_equal(config_read(f, 8 * i, 8), before[i]);
	assert_null(peal_pci_function_msix(f->function));
}

static void vectors_outside_1_to_2048_are_refused(void **state)
{
	/* Numbers that a narrowing to 8, 16 or 11 bits would make small come here too. */
	static const unsigned refused[] = { 0, 2049, 4096, 65536 + 33, 19923041, 0x80000000, ~0u };
	struct fixture f;

	(void)state;
	fixture_init(&f);
	/* With room for every table. */
	assert_int_equal(peal_pci_function_add_bar(f.function, 2, PEAL_PCI_BAR_MEM64, PEAL_BIT(40),
						   NULL, NULL),
			 0);
	for (size_t i = 0; i < PEAL_COUNT_OF(refused); i++) {
		struct peal_msix_config config = { .vectors = refused[i],
						   .table_bar = 2,
						   .table_offset = 1u << 30,
						   .pba_bar = 2 };

		assert_refused(&f, &config);
		assert_int_equal(peal_pci_function_add_msix_exclusive(f.function, refused[i], 4),
				 -EINVAL);
		assert_int_equal(peal_pci_bar_size(f.function, 4), 0);
	}
	fixture_done(&f);
}

static void bar_that_is_not_there_or_not_memory_is_refused(void **state)
{
	/* I/O, the upper half of BAR 2, none, and indices that the BIR cannot say. */
	static const uint8_t refused[] = { 1, 3, 4, 6, 7, 8, 0xff };
	struct fixture f;

	(void)state;
	fixture_init_bars(&f);
	for (size_t i = 0; i < sizeof(refused); i++) {
		assert_refused(&f, &(struct peal_msix_config){
					   .vectors = 1, .table_bar = refused[i], .pba_bar = 0 });
		assert_refused(&f, &(struct peal_msix_config){
					   .vectors = 1, .table_bar = 0, .pba_bar = refused[i] });
	}
	for (unsigned index = 6; index < 9; index++)
		assert_int_equal(peal_pci_function_add_msix_exclusive(f.function, 1, index),
				 -EINVAL);
	assert_int_equal(peal_pci_function_add_msix_exclusive(f.function, 1, ~0u), -EINVAL);
	fixture_done(&f);
}

static void offsets_that_are_unaligned_or_do_not_fit_are_refused(void **state)
{
	static const struct peal_msix_config refused[] = {
		/* 33 vectors: 528 bytes of table, 8 of PBA */
		{ .vectors = 33, .table_offset = 4, .pba_offset = 0x800 },
		{ .vectors = 33, .table_offset = 1, .pba_offset = 0x800 },
		{ .vectors = 33, .pba_offset = 0x804 },
		{ .vectors = 33, .pba_offset = 0x801 },
		/* past the end of the BAR */
		{ .vectors = 33, .table_offset = 0x10000 - 520 },
		{ .vectors = 33, .table_offset = 0x10000 },
		{ .vectors = 33, .pba_offset = 0x10000 },
		{ .vectors = 65, .pba_offset = 0x10000 - 8 },
		{ .vectors = 257, .table_bar = 5, .pba_bar = 0 },
		/* sums that wrap in 32 bits */
		{ .vectors = 33, .table_offset = 0xfffffff8, .pba_offset = 0x800 },
		{ .vectors = 33, .table_offset = 0xfffffdf0, .pba_offset = 0x800 },
		{ .vectors = 33, .pba_offset = 0xfffffff8 },
		{ .vectors = 33, .table_bar = 2, .table_offset = 0xfffffff8 },
		{ .vectors = 2048, .table_offset = 0xffff8000, .pba_offset = 0x800 },
	};
	struct fixture f;

	(void)state;
	fixture_init_bars(&f);
	for (size_t i = 0; i < PEAL_COUNT_OF(refused); i++)
		assert_refused(&f, &refused[i]);
	fixture_done(&f);
}

static void table_and_pba_that_overlap_are_refused(void **state)
{
	/* 33 vectors at 0x1000: the table ends at 0x1210. */
	static const uint32_t refused[] = { 0x1000, 0x1008, 0x1200, 0x1208 };
	struct peal_msix_config config = { .vectors = 33, .table_offset = 0x1000 };
	struct fixture f;

	(void)state;
	fixture_init_bars(&f);
	for (size_t i = 0; i < PEAL_COUNT_OF(refused); i++) {
		config.pba_offset = refused[i];
		assert_refused(&f, &config);
	}
	/* A PBA that reaches into the table from below. */
	config.vectors = 65;
	config.pba_offset = 0x1000 - 8;
	assert_refused(&f, &config);
	/* Side by side is fine. */
	config.pba_offset = 0x1000 - 16;
	assert_int_equal(peal_pci_function_add_msix(f.function, &config), 0);
	fixture_done(&f);
}

static void table_and_pba_may_fill_their_bar(void **state)
{
	/* 64 vectors have 8 bytes of PBA, 65 have 16. */
	struct peal_msix_config config = {
		.vectors = 65, .table_bar = 0, .table_offset = 0x10000 - 1040, .pba_bar = 5
	};
	struct fixture f;

	(void)state;
	fixture_init_bars(&f);
	config.pba_offset = 0x1000 - 8;
	assert_refused(&f, &config);
	config.vectors = 64;
	assert_int_equal(peal_pci_function_add_msix(f.function, &config), 0);
	fixture_done(&f);
	fixture_init_bars(&f);
	config.vectors = 65;
	config.pba_offset = 0x1000 - 16;
	assert_int_equal(peal_pci_function_add_msix(f.function, &config), 0);
	fixture_done(&f);
}

static void same_offset_in_another_bar_does_not_overlap(void **state)
{
	const struct peal_msix_config config = { .vectors = 2048, .table_bar = 2, .pba_bar = 5 };
	struct fixture f;

	(void)state;
	fixture_init_bars(&f);
	assert_int_equal(peal_pci_function_add_msix(f.function, &config), 0);
	f.capability = find_capability(f.function, ID_MSIX, 0);
	assert_int_equal(config_read(&f, f.capability, 8), UINT64_C(0x207ff0011));
	assert_int_equal(config_read(&f, f.capability + 8, 4), 5);
	fixture_done(&f);
}

static void position_that_is_taken_is_refused(void **state)
{
	struct peal_msix_config config = { .vectors = 1, .pba_offset = 0x800 };
	struct fixture f;
	uint8_t at;

	(void)state;
	fixture_init_bars(&f);
	assert_int_equal(peal_pci_function_add_vendor(f.function, "\6bcd", 6, &at), 0);
	for (unsigned i = 0; i < 4; i++) {
		static const uint8_t refused[] = { 0x40, 0x44, 0x3c, 0x4a };

		config.position = refused[i];
		assert_refused(&f, &config);
	}
	config.position = 0xf8; /* 12 bytes do not fit */
	assert_refused(&f, &config);
	config.position = 0xf4;
	assert_int_equal(peal_pci_function_add_msix(f.function, &config), 0);
	assert_int_equal(find_capability(f.function, ID_MSIX, 0), 0xf4);
	fixture_done(&f);
}

static void without_room_nothing_is_added(void **state)
{
	const struct peal_msix_config config = { .vectors = 1, .pba_offset = 0x800 };
	struct fixture f;

	(void)state;
	fixture_init_bars(&f);
	assert_int_equal(peal_pci_function_add_vendor(f.function, (uint8_t[190]){ 184 }, 184, NULL),
			 0);
	assert_int_equal(peal_pci_function_add_msix(f.function, &config), -ENOSPC);
	assert_null(peal_pci_function_msix(f.function));
	assert_int_equal(peal_pci_function_add_msix_exclusive(f.function, 1, 4), -ENOSPC);
	assert_int_equal(peal_pci_bar_size(f.function, 4), 0);
	config_write(&f, BAR(4), 4, ~0u);
	assert_int_equal(config_read(&f, BAR(4), 4), 0);
	/* The index is free again, also as the upper half of another one. */
	assert_int_equal(
		peal_pci_function_add_bar(f.function, 4, PEAL_PCI_BAR_MEM32, 16, NULL, NULL), 0);
	fixture_done(&f);
}

static void second_msix_is_refused(void **state)
{
	const struct peal_msix_config config = { .vectors = 1, .pba_offset = 0x800 };
	struct peal_msix *msix;
	struct fixture f;

	(void)state;
	fixture_init_bars(&f);
	assert_int_equal(peal_pci_function_add_msix(f.function, &config), 0);
	msix = peal_pci_function_msix(f.function);
	assert_int_equal(peal_pci_function_add_msix(f.function, &config), -EBUSY);
	assert_int_equal(peal_pci_function_add_msix_exclusive(f.function, 1, 4), -EBUSY);
	assert_int_equal(peal_pci_bar_size(f.function, 4), 0);
	assert_ptr_equal(peal_pci_function_msix(f.function), msix);
	assert_int_equal(find_capability(f.function, ID_MSIX, 1), 0);
	fixture_done(&f);
}

static void exclusive_bar_that_is_taken_is_refused(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init_bars(&f);
	assert_int_equal(peal_pci_function_add_msix_exclusive(f.function, 1, 0), -EBUSY);
	assert_int_equal(peal_pci_function_add_msix_exclusive(f.function, 1, 3), -EBUSY);
	assert_int_equal(peal_pci_bar_size(f.function, 0), 0x10000);
	assert_null(peal_pci_function_msix(f.function));
	fixture_done(&f);
}

static void exclusive_bar_holds_the_table_and_the_pba_behind_it(void **state)
{
	static const struct {
		unsigned vectors;
		uint32_t pba, size;
	} layouts[] = {
		{ 1, 2048, 4096 },   { 64, 2048, 4096 },  { 127, 2048, 4096 },
		{ 128, 2048, 4096 }, { 129, 2064, 4096 }, { 253, 4048, 4096 }, /* 4048 + 32 */
		{ 254, 4064, 4096 }, /* 4064 + 32: to the last byte */
		{ 255, 4080, 8192 }, { 256, 4096, 8192 }, { 2048, 32768, 65536 },
	};

	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(layouts); i++) {
		unsigned vectors = layouts[i].vectors, at;
		struct fixture f;

		fixture_init(&f);
		assert_int_equal(peal_pci_function_add_msix_exclusive(f.function, vectors, 3), 0);
		at = find_capability(f.function, ID_MSIX, 0);
		assert_int_equal(config_read(&f, at + MSIX_CONTROL, 2), vectors - 1);
		assert_int_equal(config_read(&f, at + 4, 4), 3);
		assert_int_equal(config_read(&f, at + 8, 4), layouts[i].pba | 3);
		assert_int_equal(peal_pci_bar_size(f.function, 3), layouts[i].size);
		assert_int_equal(config_read(&f, BAR(3), 4), 0);
		assert_int_equal(peal_msix_vectors(peal_pci_function_msix(f.function)), vectors);
		fixture_done(&f);
	}
}

static void everything_is_masked_and_unused_at_first(void **state)
{
	struct peal_msix *msix;
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(peal_pci_function_add_msix_exclusive(f.function, 65, 0), 0);
	msix = peal_pci_function_msix(f.function);
	assert_false(peal_msix_is_enabled(msix));
	for (unsigned v = 0; v < 65; v++) {
		assert_int_equal(table_read(&f, 16 * v, 8), 0);
		assert_int_equal(table_read(&f, 16 * v + 8, 8), PEAL_BIT(32));
		assert_true(peal_msix_is_masked(msix, v));
		assert_false(peal_msix_is_pending(msix, v));
	}
	assert_int_equal(table_read(&f, 2048, 8), 0);
	assert_int_equal(table_read(&f, 2056, 8), 0);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_outside_1_to_2048_are_refused),
		cmocka_unit_test(bar_that_is_not_there_or_not_memory_is_refused),
		cmocka_unit_test(offsets_that_are_unaligned_or_do_not_fit_are_refused),
		cmocka_unit_test(table_and_pba_that_overlap_are_refused),
		cmocka_unit_test(table_and_pba_may_fill_their_bar),
		cmocka_unit_test(same_offset_in_another_bar_does_not_overlap),
		cmocka_unit_test(position_that_is_taken_is_refused),
		cmocka_unit_test(without_room_nothing_is_added),
		cmocka_unit_test(second_msix_is_refused),
		cmocka_unit_test(exclusive_bar_that_is_taken_is_refused),
		cmocka_unit_test(exclusive_bar_holds_the_table_and_the_pba_behind_it),
		cmocka_unit_test(everything_is_masked_and_unused_at_first),
	};

	return cmocka_run_group_tests_name("pci-msix-create", tests, NULL, NULL);
}
