/* SPDX-License-Identifier: BSD-2-Clause */
/* The function against its model: a million random operations. */
#include "property.h"

static void function_does_what_the_model_does(void **state)
{
	(void)state;
	property_test(100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(function_does_what_the_model_does),
	};

	return cmocka_run_group_tests_name("pci-msix-property-long", tests, NULL, NULL);
}
