/* SPDX-License-Identifier: BSD-2-Clause */
/* MSI, INTx, a consumer, saving and loading against their model: 10^6 operations. */
#include "property-msi.h"

static void function_does_what_the_model_does(void **state)
{
	(void)state;
	msi_property_test(500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(function_does_what_the_model_does),
	};

	return cmocka_run_group_tests_name("pci-property-msi-long", tests, NULL, NULL);
}
