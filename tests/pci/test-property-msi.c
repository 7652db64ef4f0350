/* SPDX-License-Identifier: BSD-2-Clause */
/* MSI, INTx, a consumer, saving and loading against their model: 10^5 operations. */
#include "property-msi.h"

static void function_does_what_the_model_does(void **state)
{
	(void)state;
	msi_property_test(50);
}

/* The comparison is worth something: errors in the model are found, by few operations. */
static void seeded_error_is_found_and_shrunk(void **state)
{
	static const enum msi_bug bugs[] = { MSI_NO_MODULO, MSI_LINE_STAYS, MSI_LOAD_FORGETS };
	struct msi_op *ops = (struct msi_op *)calloc(MSI_OPS, sizeof(*ops));

	(void)state;
	assert_non_null(ops);
	for (size_t i = 0; i < PEAL_COUNT_OF(bugs); i++) {
		const char *what = NULL;
		unsigned shape, count = msi_search(48, bugs[i], ops, &shape, &what);

		assert_in_range(count, 1, 12);
		assert_non_null(what);
	}
	free(ops);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(function_does_what_the_model_does),
		cmocka_unit_test(seeded_error_is_found_and_shrunk),
	};

	return cmocka_run_group_tests_name("pci-property-msi", tests, NULL, NULL);
}
