/* SPDX-License-Identifier: BSD-2-Clause */
/* Base address registers: sizing, refusals, and how an access to a BAR reaches the device. */
#include "fixture.h"

static int add_bar(struct fixture *f, unsigned index, unsigned flags, uint64_t size)
{
	return peal_pci_function_add_bar(f->function, index, flags, size, &device_bar_ops,
					 &f->device);
}

/* ---- registers ---- */

static void sizing_a_32_bit_bar_reads_back_its_mask(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(add_bar(&f, 0, PEAL_PCI_BAR_MEM32, 16), 0);
	assert_int_equal(add_bar(&f, 1, PEAL_PCI_BAR_MEM32, 0x10000), 0);
	assert_int_equal(add_bar(&f, 5, PEAL_PCI_BAR_MEM32, PEAL_BIT(31)), 0);
	for (unsigned i = 0; i < 6; i++)
		config_write(&f, BAR(i), 4, 0xffffffff);
	assert_int_equal(config_read(&f, BAR(0), 4), 0xfffffff0);
	assert_int_equal(config_read(&f, BAR(1), 4), 0xffff0000);
	assert_int_equal(config_read(&f, BAR(5), 4), 0x80000000);
	for (unsigned i = 2; i < 5; i++)
		assert_int_equal(config_read(&f, BAR(i), 4), 0);
	config_write(&f, BAR(1), 4, 0x8765432f);
	assert_int_equal(config_read(&f, BAR(1), 4), 0x87650000);
	fixture_done(&f);
}

static void prefetchable_is_bit_3(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(add_bar(&f, 2, PEAL_PCI_BAR_PREFETCHABLE, 256), 0);
	assert_int_equal(config_read(&f, BAR(2), 4), 0x8);
	config_write(&f, BAR(2), 4, 0xffffffff);
	assert_int_equal(config_read(&f, BAR(2), 4), 0xffffff08);
	config_write(&f, BAR(2), 4, 0);
	assert_int_equal(config_read(&f, BAR(2), 4), 0x8);
	fixture_done(&f);
}

static void sizing_a_64_bit_bar_takes_both_dwords(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(add_bar(&f, 0, PEAL_PCI_BAR_MEM64, 16384), 0);
	assert_int_equal(
		add_bar(&f, 2, PEAL_PCI_BAR_MEM64 | PEAL_PCI_BAR_PREFETCHABLE, PEAL_BIT(36)), 0);
	assert_int_equal(add_bar(&f, 4, PEAL_PCI_BAR_MEM64, PEAL_BIT(63)), 0);
	assert_int_equal(config_read(&f, BAR(0), 8), 4);
	for (unsigned i = 0; i < 6; i++)
		config_write(&f, BAR(i), 4, 0xffffffff);
	assert_int_equal(config_read(&f, BAR(0), 8), UINT64_C(0xffffffffffffc004));
	assert_int_equal(config_read(&f, BAR(2), 8), UINT64_C(0xfffffff00000000c));
	assert_int_equal(config_read(&f, BAR(4), 8), UINT64_C(0x8000000000000004));
	fixture_done(&f);
}

static void sizing_an_io_bar_reads_back_its_mask(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(add_bar(&f, 0, PEAL_PCI_BAR_IO, 4), 0);
	assert_int_equal(add_bar(&f, 3, PEAL_PCI_BAR_IO, 256), 0);
	config_write(&f, BAR(0), 4, 0xffffffff);
	config_write(&f, BAR(3), 4, 0xffffffff);
	assert_int_equal(config_read(&f, BAR(0), 4), 0xfffffffd);
	assert_int_equal(config_read(&f, BAR(3), 4), 0xffffff01);
	config_write(&f, BAR(0), 4, 0);
	assert_int_equal(config_read(&f, BAR(0), 4), 1);
	fixture_done(&f);
}

static void bar_register_takes_bytes(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(add_bar(&f, 0, PEAL_PCI_BAR_MEM64, 0x20000), 0);
	for (unsigned i = 0; i < 8; i++)
		config_write(&f, BAR(0) + i, 1, 0x11 * (i + 1));
	assert_int_equal(config_read(&f, BAR(0), 8), UINT64_C(0x8877665544320004));
	config_write(&f, BAR(0) + 2, 4, 0xa5a5a5a5);
	assert_int_equal(config_read(&f, BAR(0), 8), UINT64_C(0x8877a5a5a5a40004));
	fixture_done(&f);
}

/* ---- refusals ---- */

static void bar_of_impossible_shape_is_refused(void **state)
{
	static const struct {
		unsigned index, flags;
		uint64_t size;
	} refused[] = {
		{ 0, PEAL_PCI_BAR_MEM32, 0 },
		{ 0, PEAL_PCI_BAR_MEM32, 8 },
		{ 0, PEAL_PCI_BAR_MEM32, 24 },
		{ 0, PEAL_PCI_BAR_MEM32, PEAL_BIT(32) },
		{ 0, PEAL_PCI_BAR_PREFETCHABLE, PEAL_BIT(33) },
		{ 0, PEAL_PCI_BAR_MEM64, 0 },
		{ 0, PEAL_PCI_BAR_MEM64, 8 },
		{ 0, PEAL_PCI_BAR_MEM64, PEAL_BIT(40) + 4096 },
		{ 0, PEAL_PCI_BAR_IO, 2 },
		{ 0, PEAL_PCI_BAR_IO, 512 },
		{ 0, PEAL_PCI_BAR_IO, 12 },
		{ 0, PEAL_PCI_BAR_IO | PEAL_PCI_BAR_PREFETCHABLE, 16 },
		{ 0, PEAL_PCI_BAR_IO | PEAL_PCI_BAR_MEM64, 16 },
		{ 0, 2, 16 },
		{ 0, 16, 16 },
		{ 6, PEAL_PCI_BAR_MEM32, 16 },
		{ 5, PEAL_PCI_BAR_MEM64, 16 },
		{ ~0u, PEAL_PCI_BAR_MEM32, 16 },
		{ ~0u, PEAL_PCI_BAR_MEM64, 16 }, /* index + 1 is 0 */
	};
	struct fixture f;

	(void)state;
	fixture_init(&f);
	for (size_t i = 0; i < PEAL_COUNT_OF(refused); i++)
		assert_int_equal(add_bar(&f, refused[i].index, refused[i].flags, refused[i].size),
				 -EINVAL);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(peal_pci_bar_size(f.function, i), 0);
		assert_int_equal(config_read(&f, BAR(i), 4), 0);
	}
	fixture_done(&f);
}

static void taken_index_is_refused(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(add_bar(&f, 1, PEAL_PCI_BAR_MEM64, 64), 0);
	assert_int_equal(add_bar(&f, 4, PEAL_PCI_BAR_IO, 64), 0);
	assert_int_equal(add_bar(&f, 1, PEAL_PCI_BAR_MEM32, 16), -EBUSY);
	assert_int_equal(add_bar(&f, 2, PEAL_PCI_BAR_MEM32, 16), -EBUSY); /* the upper half */
	assert_int_equal(add_bar(&f, 0, PEAL_PCI_BAR_MEM64, 16), -EBUSY); /* reaches into 1 */
	assert_int_equal(add_bar(&f, 3, PEAL_PCI_BAR_MEM64, 16), -EBUSY);
	assert_int_equal(add_bar(&f, 3, PEAL_PCI_BAR_MEM32, 16), 0);
	assert_int_equal(add_bar(&f, 0, PEAL_PCI_BAR_MEM32, 16), 0);
	assert_int_equal(peal_pci_bar_size(f.function, 1), 64);
	assert_int_equal(peal_pci_bar_size(f.function, 2), 0);
	assert_int_equal(peal_pci_bar_size(f.function, 4), 64);
	assert_int_equal(peal_pci_bar_size(f.function, 6), 0);
	assert_int_equal(peal_pci_bar_size(f.function, ~0u), 0);
	fixture_done(&f);
}

/* ---- accesses ---- */

static void access_reaches_the_device_as_it_is(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(add_bar(&f, 0, PEAL_PCI_BAR_MEM32, 4096), 0);
	for (unsigned size = 1, n = 0; size <= 8; size *= 2) {
		for (uint64_t offset = 0x100; offset < 0x108; offset++) {
			f.device.accesses = n = 0;
			peal_pci_bar_write(f.function, 0, offset, size,
					   UINT64_C(0x1122334455667788));
			assert_access(&f.device, n++, offset, size, true);
			assert_int_equal(peal_pci_bar_read(f.function, 0, offset, size),
					 UINT64_C(0x1122334455667788) & peal_ones(size));
			assert_access(&f.device, n++, offset, size, false);
			assert_int_equal(f.device.accesses, n);
		}
	}
	fixture_done(&f);
}

static uint64_t dirty_read(void *user, uint64_t offset, unsigned size)
{
	(void)user;
	(void)offset;
	(void)size;
	return ~UINT64_C(0);
}

static void handler_with_too_many_bits_is_cut(void **state)
{
	static const struct peal_pci_bar_ops ops = { .read = dirty_read };
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(
		peal_pci_function_add_bar(f.function, 0, PEAL_PCI_BAR_MEM32, 16, &ops, NULL), 0);
	assert_int_equal(peal_pci_bar_read(f.function, 0, 0, 2), 0xffff);
	peal_pci_bar_write(f.function, 0, 0, 2, 0); /* no handler: nothing */
	fixture_done(&f);
}

static void access_past_the_end_of_a_bar_never_reaches_the_device(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(add_bar(&f, 0, PEAL_PCI_BAR_MEM64, 4096), 0);
	for (unsigned size = 1; size <= 8; size *= 2) {
		for (unsigned into = 0; into < size; into++) {
			assert_int_equal(peal_pci_bar_read(f.function, 0, 4096 - into, size),
					 peal_ones(size));
			peal_pci_bar_write(f.function, 0, 4096 - into, size, 0);
		}
		assert_int_equal(peal_pci_bar_read(f.function, 0, ~UINT64_C(0), size),
				 peal_ones(size));
		peal_pci_bar_write(f.function, 0, ~UINT64_C(0) - 3, size, 0);
	}
	assert_int_equal(f.device.accesses, 0);
	assert_int_equal(peal_pci_bar_read(f.function, 0, 4088, 8), 0);
	assert_int_equal(f.device.accesses, 1);
	fixture_done(&f);
}

static void absent_bar_reads_ones(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(add_bar(&f, 0, PEAL_PCI_BAR_MEM64, 4096), 0);
	for (unsigned i = 1; i < 6; i++) { /* 1: the upper half */
		peal_pci_bar_write(f.function, i, 0, 4, 0);
		assert_int_equal(peal_pci_bar_read(f.function, i, 0, 4), 0xffffffff);
	}
	assert_int_equal(f.device.accesses, 0);
	assert_int_equal(peal_pci_function_past_end(f.function), 10);
	fixture_done(&f);
}

static void bar_without_handlers_reads_zero(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(
		peal_pci_function_add_bar(f.function, 0, PEAL_PCI_BAR_MEM32, 64, NULL, NULL), 0);
	peal_pci_bar_write(f.function, 0, 8, 8, ~UINT64_C(0));
	assert_int_equal(peal_pci_bar_read(f.function, 0, 8, 8), 0);
	fixture_done(&f);
}

/* ---- MSI-X structures inside a BAR of the device ---- */

/* BAR 0 of 8192 bytes: table of 4 at 0x800, PBA at 0x1000, the rest is the device's. */
#define TABLE     0x800u
#define TABLE_END 0x840u
#define PBA       0x1000u

static void fixture_init_shared(struct fixture *f)
{
	const struct peal_msix_config config = { .vectors = 4,
						 .table_offset = TABLE,
						 .pba_offset = PBA };

	fixture_init(f);
	assert_int_equal(add_bar(f, 0, PEAL_PCI_BAR_MEM32, DEVICE_BYTES), 0);
	assert_int_equal(peal_pci_function_add_msix(f->function, &config), 0);
	f->msix = peal_pci_function_msix(f->function);
}

static void device_registers_beside_the_table_get_their_own_width(void **state)
{
	static const uint64_t beside[] = { TABLE - 8, TABLE_END, PBA - 8, PBA + 8 };
	struct fixture f;

	(void)state;
	fixture_init_shared(&f);
	for (size_t i = 0; i < PEAL_COUNT_OF(beside); i++) {
		f.device.accesses = 0;
		peal_pci_bar_write(f.function, 0, beside[i], 8, ~UINT64_C(0));
		(void)peal_pci_bar_read(f.function, 0, beside[i], 8);
		assert_access(&f.device, 0, beside[i], 8, true);
		assert_access(&f.device, 1, beside[i], 8, false);
		assert_int_equal(f.device.accesses, 2);
	}
	assert_int_equal(peal_pci_bar_read(f.function, 0, TABLE, 8), 0);
	assert_int_equal(peal_pci_bar_read(f.function, 0, TABLE_END - 4, 4), 1);
	fixture_done(&f);
}

static void table_and_pba_never_reach_the_device(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init_shared(&f);
	memset(f.device.bytes, 0xdd, sizeof(f.device.bytes));
	for (unsigned size = 1; size <= 8; size *= 2) {
		for (uint64_t at = TABLE; at <= TABLE_END - size; at++) {
			peal_pci_bar_write(f.function, 0, at, size, 0);
			(void)peal_pci_bar_read(f.function, 0, at, size);
		}
		for (uint64_t at = PBA; at <= PBA + 8 - size; at++) {
			peal_pci_bar_write(f.function, 0, at, size, 0);
			assert_int_equal(peal_pci_bar_read(f.function, 0, at, size), 0);
		}
	}
	assert_int_equal(f.device.accesses, 0);
	fixture_done(&f);
}

static void access_across_the_boundary_goes_bytewise_to_both(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init_shared(&f);
	/* Four bytes of the device, four of entry 0's address. */
	peal_pci_bar_write(f.function, 0, TABLE - 4, 8, UINT64_C(0xa7a6a5a4d3d2d1d0));
	assert_int_equal(f.device.accesses, 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_access(&f.device, i, TABLE - 4 + i, 1, true);
		assert_int_equal(f.device.log[i].value, 0xd0 + i);
	}
	assert_int_equal(peal_msix_message(f.msix, 0).address, 0xa7a6a5a4);
	assert_int_equal(peal_pci_bar_read(f.function, 0, TABLE - 4, 8),
			 UINT64_C(0xa7a6a5a4d3d2d1d0));
	/* Two bytes of entry 3's control, two of the device. */
	f.device.accesses = 0;
	peal_pci_bar_write(f.function, 0, TABLE_END - 2, 4, 0xb3b2b1b0);
	assert_int_equal(f.device.accesses, 2);
	assert_access(&f.device, 0, TABLE_END, 1, true);
	assert_int_equal(peal_pci_bar_read(f.function, 0, TABLE_END - 2, 4), 0xb3b20000);
	assert_int_equal(peal_pci_bar_read(f.function, 0, TABLE_END - 4, 4), 1);
	/* The PBA's end: read-only, and the device's byte beside it. */
	peal_pci_bar_write(f.function, 0, PBA + 7, 2, 0xffff);
	assert_int_equal(peal_pci_bar_read(f.function, 0, PBA + 7, 2), 0xff00);
	fixture_done(&f);
}

static void table_and_pba_may_stand_in_different_bars(void **state)
{
	const struct peal_msix_config config = {
		.vectors = 65, .table_bar = 2, .pba_bar = 0, .table_offset = 64, .pba_offset = 64
	};
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(add_bar(&f, 0, PEAL_PCI_BAR_MEM32, 128), 0);
	assert_int_equal(add_bar(&f, 2, PEAL_PCI_BAR_MEM64, 4096), 0);
	assert_int_equal(peal_pci_function_add_msix(f.function, &config), 0);
	f.msix = peal_pci_function_msix(f.function);
	assert_int_equal(peal_msix_use(f.msix, 64), 0);
	assert_int_equal(peal_msix_notify(f.msix, 64), 0);
	assert_int_equal(peal_pci_bar_read(f.function, 0, 64 + 8, 8), 1);
	assert_int_equal(peal_pci_bar_read(f.function, 2, 64 + 12, 4), 1);
	assert_int_equal(f.device.accesses, 0);
	(void)peal_pci_bar_read(f.function, 2, 64 + 65 * 16, 4);
	(void)peal_pci_bar_read(f.function, 0, 64 + 16, 4);
	(void)peal_pci_bar_read(f.function, 0, 60, 4);
	assert_int_equal(f.device.accesses, 3);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizing_a_32_bit_bar_reads_back_its_mask),
		cmocka_unit_test(prefetchable_is_bit_3),
		cmocka_unit_test(sizing_a_64_bit_bar_takes_both_dwords),
		cmocka_unit_test(sizing_an_io_bar_reads_back_its_mask),
		cmocka_unit_test(bar_register_takes_bytes),
		cmocka_unit_test(bar_of_impossible_shape_is_refused),
		cmocka_unit_test(taken_index_is_refused),
		cmocka_unit_test(access_reaches_the_device_as_it_is),
		cmocka_unit_test(handler_with_too_many_bits_is_cut),
		cmocka_unit_test(access_past_the_end_of_a_bar_never_reaches_the_device),
		cmocka_unit_test(absent_bar_reads_ones),
		cmocka_unit_test(bar_without_handlers_reads_zero),
		cmocka_unit_test(device_registers_beside_the_table_get_their_own_width),
		cmocka_unit_test(table_and_pba_never_reach_the_device),
		cmocka_unit_test(access_across_the_boundary_goes_bytewise_to_both),
		cmocka_unit_test(table_and_pba_may_stand_in_different_bars),
	};

	return cmocka_run_group_tests_name("pci-bar", tests, NULL, NULL);
}
