/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration space: the header, every width and alignment of access under the masks, resets. */
#include "fixture.h"

#include "pci/function.h"

static void header_says_what_was_configured(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(config_read(&f, 0x00, 2), 0x1af4);
	assert_int_equal(config_read(&f, 0x02, 2), 0x1042);
	assert_int_equal(config_read(&f, 0x04, 4), 0);
	assert_int_equal(config_read(&f, 0x08, 4), 0x0108025a);
	assert_int_equal(config_read(&f, 0x0c, 4), 0);
	assert_int_equal(config_read(&f, 0x2c, 4), 0x62735375);
	assert_int_equal(config_read(&f, 0x30, 4), 0);
	assert_int_equal(config_read(&f, 0x34, 4), 0);
	assert_int_equal(config_read(&f, 0x3c, 4), 0x00000100);
	fixture_done(&f);
}

static void multifunction_bit_is_bit_7_of_the_header_type(void **state)
{
	struct peal_pci_function_config config;
	struct peal_pci_function *function;
	struct fixture f;

	(void)state;
	fixture_init(&f);
	config = function_config(&f);
	assert_int_equal(config_read(&f, 0x0e, 1), 0x00);
	config.multifunction = true;
	assert_int_equal(peal_pci_function_new(&function, &config), 0);
	assert_int_equal(peal_pci_config_read(function, 0x0e, 1), 0x80);
	peal_pci_function_free(function);
	fixture_done(&f);
}

static void function_with_impossible_values_is_refused(void **state)
{
	struct peal_pci_function *function = (struct peal_pci_function *)&function;
	struct peal_pci_function_config config;
	struct fixture f;

	(void)state;
	fixture_init(&f);
	config = function_config(&f);
	config.class_code = 0x1000000;
	assert_int_equal(peal_pci_function_new(&function, &config), -EINVAL);
	config.class_code = 0xffffff;
	config.interrupt_pin = 5;
	assert_int_equal(peal_pci_function_new(&function, &config), -EINVAL);
	assert_ptr_equal(function, &function); /* untouched */
	config.interrupt_pin = 4;
	assert_int_equal(peal_pci_function_new(&function, &config), 0);
	assert_int_equal(peal_pci_config_read(function, 0x3d, 1), 4);
	assert_int_equal(peal_pci_config_read(function, 0x09, 4), 0xffffff);
	peal_pci_function_free(function);
	fixture_done(&f);
}

/* ---- every width and alignment against bytes and their masks ---- */

struct reference {
	uint8_t value[256], rw[256], w1c[256];
};

/*
 * The masks of the function below as the specification gives them, byte by byte. Command has the
 * bits 0, 1, 2, 6, 8 and 10 of PCI Express, Status its errors, and a BAR those above its size.
 */
static void reference_init(struct reference *reference, unsigned msix)
{
	static const struct {
		uint8_t at, rw;
	} writable[] = {
		{ 0x04, 0x47 }, { 0x05, 0x05 }, { 0x0c, 0xff }, { 0x3c, 0xff },
		{ 0x11, 0xf0 }, { 0x12, 0xff }, { 0x13, 0xff },                 /* 4 KiB */
		{ 0x14, 0xc0 }, { 0x15, 0xff }, { 0x16, 0xff }, { 0x17, 0xff }, /* 64 ports */
		{ 0x1c, 0xfe }, { 0x1d, 0xff }, { 0x1e, 0xff }, { 0x1f, 0xff }, /* 8 GiB */
	};

	memset(reference, 0, sizeof(*reference));
	for (size_t i = 0; i < PEAL_COUNT_OF(writable); i++)
		reference->rw[writable[i].at] = writable[i].rw;
	reference->rw[msix + 3] = 0xc0;
	reference->w1c[0x07] = 0xf9;
}

static void reference_write(struct reference *reference, uint32_t offset, unsigned size,
			    uint64_t value)
{
	for (unsigned i = 0; i < size; i++, value >>= 8) {
		uint8_t *byte = &reference->value[offset + i];
		uint8_t rw = reference->rw[offset + i], written = (uint8_t)value;

		*byte = (uint8_t)((*byte & ~rw) | (written & rw));
		*byte = (uint8_t)(*byte & ~(written & reference->w1c[offset + i]));
	}
}

static void fixture_init_full(struct fixture *f)
{
	const struct peal_msix_config msix = { .vectors = 32, .pba_offset = 2048 };

	fixture_init(f);
	assert_int_equal(
		peal_pci_function_add_bar(f->function, 0, PEAL_PCI_BAR_MEM32, 4096, NULL, NULL), 0);
	assert_int_equal(peal_pci_function_add_bar(f->function, 1, PEAL_PCI_BAR_IO, 64, NULL, NULL),
			 0);
	assert_int_equal(peal_pci_function_add_bar(f->function, 2,
						   PEAL_PCI_BAR_MEM64 | PEAL_PCI_BAR_PREFETCHABLE,
						   PEAL_BIT(33), NULL, NULL),
			 0);
	assert_int_equal(peal_pci_function_add_vendor(f->function, "\5ab", 5, NULL), 0);
	assert_int_equal(peal_pci_function_add_msix(f->function, &msix), 0);
	f->capability = find_capability(f->function, ID_MSIX, 0);
}

static void assert_image(struct fixture *f, const struct reference *reference)
{
	for (unsigned at = 0; at < 256; at += 8)
		assert_int_equal(config_read(f, at, 8), peal_load_le(reference->value + at, 8));
}

static void write_of_any_width_and_alignment_stays_under_the_masks(void **state)
{
	static const uint64_t patterns[] = { 0, ~UINT64_C(0), UINT64_C(0x5aa5c33c0ff01ee1),
					     UINT64_C(0x0123456789abcdef) };
	struct reference reference;
	struct fixture f;

	(void)state;
	fixture_init_full(&f);
	reference_init(&reference, f.capability);
	for (unsigned at = 0; at < 256; at++)
		reference.value[at] = (uint8_t)config_read(&f, at, 1);
	for (unsigned size = 1; size <= 8; size *= 2) {
		for (unsigned offset = 0; offset <= 256 - size; offset++) {
			for (size_t i = 0; i < PEAL_COUNT_OF(patterns); i++) {
				/* Errors to clear. */
				peal_pci_function_set_config(f.function, STATUS, 2, 0xf910);
				reference.value[STATUS] = 0x10;
				reference.value[STATUS + 1] = 0xf9;
				config_write(&f, offset, size, patterns[i]);
				reference_write(&reference, offset, size, patterns[i]);
				assert_image(&f, &reference);
			}
		}
	}
	fixture_done(&f);
}

static void read_of_any_width_and_alignment_gives_the_bytes(void **state)
{
	uint8_t bytes[256];
	struct fixture f;

	(void)state;
	fixture_init_full(&f);
	config_write(&f, 0x10, 8, UINT64_C(0x123456789abcdef0));
	config_write(&f, 0x1c, 4, 0x76543210);
	for (unsigned at = 0; at < 256; at++)
		bytes[at] = (uint8_t)config_read(&f, at, 1);
	assert_int_equal(peal_load_le(bytes + 0x10, 8), UINT64_C(0x123456419abcd000));
	for (unsigned size = 1; size <= 8; size *= 2) {
		for (unsigned offset = 0; offset <= 256 - size; offset++)
			assert_int_equal(config_read(&f, offset, size),
					 peal_load_le(bytes + offset, size));
	}
	fixture_done(&f);
}

/*
 * Writes that begin in one register and end in the next reached the second one's host value
 * without its mask in Xen (CVE-2015-4103 to 4106).
 */
static void spanning_write_obeys_both_registers_cve_2015_4103_to_4106(void **state)
{
	struct fixture f;
	unsigned at;

	(void)state;
	fixture_init_full(&f);
	at = f.capability;
	/* Next pointer (read-only) and Message Control. */
	config_write(&f, at + 1, 4, 0xffffffff);
	assert_int_equal(config_read(&f, at, 4), 0xc01f0011);
	assert_int_equal(config_read(&f, at + 4, 4), 0);
	/* Message Control and the Table register. */
	config_write(&f, at + 3, 4, 0xffffff80);
	assert_int_equal(config_read(&f, at, 4), 0x801f0011);
	assert_int_equal(config_read(&f, at + 4, 4), 0);
	/* Table and PBA registers, from within the one into the other. */
	config_write(&f, at + 6, 4, 0xffffffff);
	assert_int_equal(config_read(&f, at + 4, 8), UINT64_C(2048) << 32);
	/* The last byte of the vendor's capability, the gap behind it, and MSI-X's first half. */
	config_write(&f, at - 4, 8, ~UINT64_C(0));
	assert_int_equal(config_read(&f, at, 4), 0xc01f0011);
	assert_int_equal(config_read(&f, at - 4, 4), 'b');
	/* Command and Status. */
	config_write(&f, COMMAND + 1, 2, 0xffff);
	assert_int_equal(config_read(&f, COMMAND, 4), 0x00100500);
	fixture_done(&f);
}

static void write_of_eight_bytes_is_two_of_four(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init_full(&f);
	config_write(&f, 0x10, 8, UINT64_C(0x0000c0c112345678));
	assert_int_equal(config_read(&f, 0x10, 4), 0x12345000);
	assert_int_equal(config_read(&f, 0x14, 4), 0x0000c0c1);
	assert_int_equal(config_read(&f, 0x10, 8), UINT64_C(0x0000c0c112345000));
	fixture_done(&f);
}

/* ---- the end ---- */

static void assert_ends_at(struct fixture *f, uint32_t end)
{
	for (unsigned size = 1; size <= 8; size *= 2) {
		for (unsigned into = 0; into < size; into++) {
			config_write(f, end - into, size, 0);
			assert_int_equal(config_read(f, end - into, size), peal_ones(size));
		}
		assert_int_equal(config_read(f, end - size, size), 0);
		assert_int_equal(config_read(f, 0xffffffff, size), peal_ones(size));
		config_write(f, 0xffffffff, size, ~UINT64_C(0));
		assert_int_equal(config_read(f, 0xfffffff8, size), peal_ones(size));
	}
}

static void past_the_end_reads_ones_and_writes_nothing(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_ends_at(&f, 256);
	fixture_done(&f);
}

static void pci_express_brings_extended_space(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(config_read(&f, 0x100, 4), 0xffffffff);
	assert_int_equal(peal_pci_function_add_pci_express(f.function), 0);
	/* No extended capability: PCIe 7.6.1 */
	assert_int_equal(config_read(&f, 0x100, 4), 0);
	config_write(&f, 0x100, 4, 0xffffffff);
	assert_int_equal(config_read(&f, 0x100, 4), 0);
	assert_ends_at(&f, 4096);
	fixture_done(&f);
}

static void access_past_the_end_is_counted(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init_full(&f);
	assert_int_equal(peal_pci_function_past_end(f.function), 0);
	(void)config_read(&f, 253, 4);
	config_write(&f, 256, 1, 0);
	assert_int_equal(peal_pci_function_past_end(f.function), 2);
	(void)config_read(&f, 252, 4);
	assert_int_equal(peal_pci_function_past_end(f.function), 2);
	(void)peal_pci_bar_read(f.function, 0, 4095, 2);
	peal_pci_bar_write(f.function, 0, 4096, 8, 0);
	assert_int_equal(peal_pci_function_past_end(f.function), 4);
	fixture_done(&f);
}

/* ---- reset ---- */

static void reset_restores_every_register(void **state)
{
	uint64_t before[32];
	struct fixture f;

	(void)state;
	fixture_init_full(&f);
	peal_pci_function_set_config(f.function, 0x3e, 1, 0x77);
	for (unsigned i = 0; i < 32; i++)
		before[i] = config_read(&f, 8 * i, 8);
	for (unsigned i = 0; i < 32; i++)
		config_write(&f, 8 * i, 8, ~UINT64_C(0));
	assert_int_equal(config_read(&f, 0x10, 4), 0xfffff000);
	peal_pci_function_reset(f.function);
	for (unsigned i = 0; i < 32; i++)
		assert_int_equal(config_read(&f, 8 * i, 8), before[i]);
	assert_int_equal(config_read(&f, 0x3e, 1), 0x77);
	assert_int_equal(f.device.resets, 1);
	fixture_done(&f);
}

/* ---- the tables of rows ---- */

static void rows_of_every_table_are_well_made(void **state)
{
	const struct {
		const char *name;
		const struct peal_reg *rows;
		unsigned nrows;
	} tables[] = {
		{ "header", pci_header_rows, pci_header_nrows },
		{ "power management", pci_power_management_rows, pci_power_management_nrows },
		{ "express", pci_express_rows, pci_express_nrows },
		{ "vendor", pci_vendor_rows, pci_vendor_nrows },
		{ "msix capability", pci_msix_capability_rows, pci_msix_capability_nrows },
		{ "msix table", pci_msix_table_rows, pci_msix_table_nrows },
		{ "msix pba", pci_msix_pba_rows, pci_msix_pba_nrows },
	};

	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(tables); i++) {
		unsigned row = 0;
		const char *wrong = peal_reg_check(tables[i].rows, tables[i].nrows, &row);

		if (wrong)
			print_error("%s, row %u: %s\n", tables[i].name, row, wrong);
		assert_null(wrong);
		assert_true(tables[i].nrows > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_says_what_was_configured),
		cmocka_unit_test(multifunction_bit_is_bit_7_of_the_header_type),
		cmocka_unit_test(function_with_impossible_values_is_refused),
		cmocka_unit_test(write_of_any_width_and_alignment_stays_under_the_masks),
		cmocka_unit_test(read_of_any_width_and_alignment_gives_the_bytes),
		cmocka_unit_test(spanning_write_obeys_both_registers_cve_2015_4103_to_4106),
		cmocka_unit_test(write_of_eight_bytes_is_two_of_four),
		cmocka_unit_test(past_the_end_reads_ones_and_writes_nothing),
		cmocka_unit_test(pci_express_brings_extended_space),
		cmocka_unit_test(access_past_the_end_is_counted),
		cmocka_unit_test(reset_restores_every_register),
		cmocka_unit_test(rows_of_every_table_are_well_made),
	};

	return cmocka_run_group_tests_name("pci-config", tests, NULL, NULL);
}
