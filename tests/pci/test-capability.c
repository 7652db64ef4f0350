/* SPDX-License-Identifier: BSD-2-Clause */
/* The capability list, vendor specific capabilities and those of a device model. */
#include "fixture.h"

static int add_vendor(struct fixture *f, uint8_t size, uint8_t *ret)
{
	uint8_t bytes[254];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i ? 0xc0 + i : size);
	return peal_pci_function_add_vendor(f->function, bytes, size, ret);
}

static void list_is_empty_at_first(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(config_read(&f, CAPABILITIES, 1), 0);
	assert_int_equal(config_read(&f, STATUS, 2) & 0x10, 0);
	fixture_done(&f);
}

static void list_reads_in_the_order_of_adding(void **state)
{
	static const uint8_t order[] = { ID_VENDOR, ID_POWER_MANAGEMENT, ID_EXPRESS, ID_MSIX };
	struct fixture f;
	unsigned at;

	(void)state;
	fixture_init(&f);
	assert_int_equal(add_vendor(&f, 5, NULL), 0);
	assert_int_equal(peal_pci_function_add_power_management(f.function), 0);
	assert_int_equal(peal_pci_function_add_pci_express(f.function), 0);
	assert_int_equal(peal_pci_function_add_msix_exclusive(f.function, 1, 0), 0);
	assert_int_equal(config_read(&f, STATUS, 2), 0x10);
	at = (unsigned)config_read(&f, CAPABILITIES, 1);
	for (unsigned i = 0; i < sizeof(order); i++) {
		assert_true(at >= 0x40 && at % 4 == 0);
		assert_int_equal(config_read(&f, at, 1), order[i]);
		at = (unsigned)config_read(&f, at + 1, 1);
	}
	assert_int_equal(at, 0);
	fixture_done(&f);
}

static void capabilities_are_dword_aligned_and_lie_apart(void **state)
{
	struct fixture f;
	uint8_t a, b, c;

	(void)state;
	fixture_init(&f);
	assert_int_equal(add_vendor(&f, 5, &a), 0);
	assert_int_equal(add_vendor(&f, 3, &b), 0);
	assert_int_equal(add_vendor(&f, 8, &c), 0);
	assert_int_equal(a, 0x40);
	assert_int_equal(b, 0x48);
	assert_int_equal(c, 0x4c);
	for (unsigned i = 2; i < 5; i++)
		assert_int_equal(config_read(&f, a + i, 1), i == 2 ? 5 : 0xc0 + i - 2);
	assert_int_equal(config_read(&f, b + 2, 1), 3);
	assert_int_equal(config_read(&f, c + 7, 1), 0xc5);
	fixture_done(&f);
}

/* The rows of a device model: a register with every kind of mask and a hook. */
static void model_write(void *owner, const struct peal_reg_write *write)
{
	*(uint64_t *)owner = write->value << 32 | write->old;
}

static const struct peal_reg model_rows[] = {
	PEAL_PCI_CAPABILITY_HEADER,
	{ .offset = 2, .width = 1, .rw = 0x0f, .reset = 0x31, .name = "A", .section = "test" },
	{ .offset = 4,
	  .width = 4,
	  .rw = 0xff00,
	  .w1c = 0xff,
	  .rsvdz = 0xff0000,
	  .reset = 0x120034ff,
	  .write = model_write,
	  .name = "B",
	  .section = "test" },
};

static int add_model(struct fixture *f, uint8_t position, uint8_t size, void *owner, uint8_t *ret)
{
	return peal_pci_function_add_capability(f->function, 0x42, position, size, model_rows,
						PEAL_COUNT_OF(model_rows), owner, ret);
}

static void capability_of_a_model_keeps_to_its_masks_and_calls_its_hook(void **state)
{
	uint64_t owner = 0;
	struct fixture f;
	uint8_t at = 0;

	(void)state;
	fixture_init(&f);
	assert_int_equal(add_model(&f, 0x80, 8, &owner, &at), 0);
	assert_int_equal(at, 0x80);
	assert_int_equal(config_read(&f, 0x80, 8), UINT64_C(0x120034ff00310042));
	config_write(&f, 0x82, 4, 0xabcdffff);
	/* A takes the low nibble; B is written 0xabcd in its low half: a8 is cleared by cd. */
	assert_int_equal(config_read(&f, 0x80, 8), UINT64_C(0x1200ab32003f0042));
	assert_int_equal(owner, UINT64_C(0x1200ab32120034ff));
	peal_pci_function_reset(f.function);
	assert_int_equal(config_read(&f, 0x80, 8), UINT64_C(0x120034ff00310042));
	fixture_done(&f);
}

static void capability_that_does_not_fit_is_refused_and_changes_nothing(void **state)
{
	static const struct {
		uint8_t position, size;
	} refused[] = {
		{ 0x3c, 8 },                           /* the header */
		{ 0x04, 8 }, { 0x81, 8 }, { 0x82, 8 }, /* unaligned */
		{ 0xfc, 8 },                           /* past the end */
		{ 0x60, 8 }, { 0x5c, 8 }, { 0x64, 8 }, { 0x58, 12 }, { 0x40, 100 }, /* overlaps */
		{ 0x80, 1 }, { 0x80, 0 }, { 0, 0 },    { 0, 1 }, /* no room for the header */
	};
	uint64_t before[32];
	struct fixture f;
	uint8_t at = 0xee;

	(void)state;
	fixture_init(&f);
	assert_int_equal(add_model(&f, 0x60, 8, NULL, NULL), 0);
	for (unsigned i = 0; i < 32; i++)
		before[i] = config_read(&f, 8 * i, 8);
	for (size_t i = 0; i < PEAL_COUNT_OF(refused); i++) {
		assert_int_equal(add_model(&f, refused[i].position, refused[i].size, NULL, &at),
				 -EINVAL);
		assert_int_equal(at, 0xee);
		for (unsigned k = 0; k < 32; k++)
			assert_int_equal(config_read(&f, 8 * k, 8), before[k]);
	}
	/* The neighbours on both sides do fit. */
	assert_int_equal(add_model(&f, 0x58, 8, NULL, &at), 0);
	assert_int_equal(add_model(&f, 0x68, 8, NULL, &at), 0);
	assert_int_equal(add_model(&f, 0xf8, 8, NULL, &at), 0);
	fixture_done(&f);
}

static void full_space_has_no_room(void **state)
{
	struct fixture f;
	uint8_t at;

	(void)state;
	fixture_init(&f);
	for (unsigned i = 0; i < 12; i++) {
		assert_int_equal(add_vendor(&f, 16, &at), 0);
		assert_int_equal(at, 0x40 + 16 * i);
	}
	at = 0xee;
	assert_int_equal(add_vendor(&f, 3, &at), -ENOSPC);
	assert_int_equal(peal_pci_function_add_power_management(f.function), -ENOSPC);
	assert_int_equal(peal_pci_function_add_pci_express(f.function), -ENOSPC);
	assert_int_equal(at, 0xee);
	assert_int_equal(config_read(&f, 0x100, 1), 0xff); /* still conventional */
	fixture_done(&f);
}

static void place_is_searched_between_others(void **state)
{
	struct fixture f;
	uint8_t at;

	(void)state;
	fixture_init(&f);
	assert_int_equal(add_model(&f, 0x48, 8, NULL, NULL), 0);
	assert_int_equal(add_vendor(&f, 12, &at), 0);
	assert_int_equal(at, 0x50);
	assert_int_equal(add_vendor(&f, 8, &at), 0);
	assert_int_equal(at, 0x40);
	fixture_done(&f);
}

static void vendor_capability_is_read_only_and_survives_reset(void **state)
{
	struct fixture f;
	uint8_t at = 0;

	(void)state;
	fixture_init(&f);
	assert_int_equal(add_vendor(&f, 8, &at), 0);
	assert_int_equal(config_read(&f, at, 8), UINT64_C(0xc5c4c3c2c1080009));
	config_write(&f, at, 8, 0);
	config_write(&f, at, 8, ~UINT64_C(0));
	assert_int_equal(config_read(&f, at, 8), UINT64_C(0xc5c4c3c2c1080009));
	peal_pci_function_reset(f.function);
	assert_int_equal(config_read(&f, at, 8), UINT64_C(0xc5c4c3c2c1080009));
	fixture_done(&f);
}

static void vendor_capability_needs_its_length_byte(void **state)
{
	struct fixture f;
	uint8_t at = 0xee;

	(void)state;
	fixture_init(&f);
	for (uint8_t size = 0; size < 3; size++)
		assert_int_equal(add_vendor(&f, size, &at), -EINVAL);
	assert_int_equal(at, 0xee);
	assert_int_equal(add_vendor(&f, 193, &at), -ENOSPC);
	assert_int_equal(add_vendor(&f, 192, &at), 0);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_is_empty_at_first),
		cmocka_unit_test(list_reads_in_the_order_of_adding),
		cmocka_unit_test(capabilities_are_dword_aligned_and_lie_apart),
		cmocka_unit_test(capability_of_a_model_keeps_to_its_masks_and_calls_its_hook),
		cmocka_unit_test(capability_that_does_not_fit_is_refused_and_changes_nothing),
		cmocka_unit_test(full_space_has_no_room),
		cmocka_unit_test(place_is_searched_between_others),
		cmocka_unit_test(vendor_capability_is_read_only_and_survives_reset),
		cmocka_unit_test(vendor_capability_needs_its_length_byte),
	};

	return cmocka_run_group_tests_name("pci-capability", tests, NULL, NULL);
}
