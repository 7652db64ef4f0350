/* SPDX-License-Identifier: BSD-2-Clause */
/* The function against its model: a hundred thousand random operations. */
#include "property.h"

static void function_does_what_the_model_does(void **state)
{
	(void)state;
	property_test(10);
}

/* The comparison is worth something: errors in the model are found, by few operations. */
static void seeded_error_is_found_and_shrunk(void **state)
{
	static const enum model_bug bugs[] = {
		MODEL_FUNCTION_MASK_LOSES,
		MODEL_MASKED_FIRES,
		MODEL_KEEPS_PENDING,
	};
	struct op *ops = (struct op *)calloc(SEQUENCE, sizeof(*ops));

	(void)state;
	assert_non_null(ops);
	for (size_t i = 0; i < PEAL_COUNT_OF(bugs); i++) {
		const char *what;
		unsigned count = property_search(10, bugs[i], ops, &what);

		assert_in_range(count, 1, 6);
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

	return cmocka_run_group_tests_name("pci-msix-property", tests, NULL, NULL);
}
