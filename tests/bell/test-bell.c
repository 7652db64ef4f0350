/* SPDX-License-Identifier: BSD-2-Clause */
/* The bell's registers, its three kinds of interrupts, and its life. */
#include "bell/bell.h"
#include "rig.h"

static struct rig rig;

static void register_tables_are_well_made(void **state)
{
	unsigned row;

	(void)state;
	assert_null(peal_reg_check(bell_rows, bell_nrows, &row));
	assert_null(peal_reg_check(bell_ring_rows, bell_ring_nrows, &row));
	assert_null(peal_reg_check(bell_rings_rows, bell_rings_nrows, &row));
}

static void identity_and_number_of_vectors_can_be_read(void **state)
{
	(void)state;
	rig_open(&rig, 5);
	assert_int_equal(peal_pci_config_read(rig.function, 0, 4), 0xbe111234);
	assert_int_equal(rig_read(&rig, PEAL_BELL_ID), 0x4c4c4542);
	assert_int_equal(rig_read(&rig, PEAL_BELL_VECTORS), 5);
	rig_write(&rig, PEAL_BELL_VECTORS, 7);
	assert_int_equal(rig_read(&rig, PEAL_BELL_VECTORS), 5);
	assert_int_equal(peal_msix_vectors(peal_pci_function_msix(rig.function)), 5);
	assert_int_equal(peal_msi_vectors(peal_pci_function_msi(rig.function)), 4);
	rig_close(&rig);
}

static void each_vector_is_rung_by_its_register(void **state)
{
	(void)state;
	rig_open(&rig, 2048);
	rig_enable_msix(&rig, 2048);
	for (unsigned v = 0; v < 2048; v++)
		rig_write(&rig, PEAL_BELL_RING_EACH + 4 * v, v);
	rig_write(&rig, PEAL_BELL_RING, 2047);
	rig_write(&rig, PEAL_BELL_RING, 2048);
	rig_write(&rig, PEAL_BELL_RING, UINT32_MAX);
	for (unsigned v = 0; v < 2048; v++) {
		assert_int_equal(rig_messages(&rig, v), v == 2047 ? 2 : 1);
		assert_int_equal(peal_pci_bar_read(rig.function, PEAL_BELL_BAR,
						   PEAL_BELL_RINGS_EACH + 8 * v, 8),
				 v == 2047 ? 2 : 1);
	}
	assert_int_equal(peal_pci_bar_read(rig.function, PEAL_BELL_BAR, PEAL_BELL_RINGS, 8), 2049);
	rig_close(&rig);
}

static void a_vector_that_is_not_there_does_not_ring(void **state)
{
	(void)state;
	rig_open(&rig, 3);
	rig_enable_msix(&rig, 3);
	rig_write(&rig, PEAL_BELL_RING_EACH + 4 * 3, 1);
	rig_write(&rig, PEAL_BELL_RING_EACH + 4 * 2047, 1);
	rig_write(&rig, PEAL_BELL_RING, 3);
	assert_int_equal(rig_read(&rig, PEAL_BELL_RINGS), 0);
	assert_int_equal(rig_read(&rig, PEAL_BELL_RINGS_EACH + 8 * 3), 0);
	assert_false(rig_line(&rig));
	rig_close(&rig);
}

static void msi_takes_the_vector_modulo_its_own(void **state)
{
	uint32_t msi;

	(void)state;
	rig_open(&rig, 40);
	msi = rig_capability(&rig, 0x05);
	peal_pci_config_write(rig.function, msi + 4, 8, 0xfee00000);
	peal_pci_config_write(rig.function, msi + 12, 2, 64);
	peal_pci_config_write(rig.function, msi + 2, 2, 0x0051); /* all 32 */
	rig_write(&rig, PEAL_BELL_RING, 31);
	rig_write(&rig, PEAL_BELL_RING, 33);
	assert_int_equal(rig_messages(&rig, 64 + 31), 1);
	assert_int_equal(rig_messages(&rig, 64 + 1), 1);
	assert_int_equal(rig_read(&rig, PEAL_BELL_RINGS_EACH + 8 * 33), 1);
	assert_false(rig_line(&rig));
	rig_close(&rig);
}

static void without_messages_it_asserts_the_line_until_the_cause_is_cleared(void **state)
{
	(void)state;
	rig_open(&rig, 4);
	assert_int_equal(peal_pci_config_read(rig.function, 0x3d, 1), 1);
	rig_write(&rig, PEAL_BELL_RING, 2);
	assert_true(rig_line(&rig));
	assert_int_equal(rig_read(&rig, PEAL_BELL_CAUSE), 1);
	rig_write(&rig, PEAL_BELL_CAUSE, 0);
	assert_true(rig_line(&rig));
	rig_write(&rig, PEAL_BELL_CAUSE, 1);
	assert_false(rig_line(&rig));
	assert_int_equal(rig_read(&rig, PEAL_BELL_CAUSE), 0);
	rig_write(&rig, PEAL_BELL_RING, 0);
	assert_true(rig_line(&rig));
	rig_enable_msix(&rig, 4);
	assert_false(rig_line(&rig));
	rig_close(&rig);
}

static void a_reset_clears_everything_but_the_identity(void **state)
{
	(void)state;
	rig_open(&rig, 4);
	rig_write(&rig, PEAL_BELL_RING, 1);
	rig_write(&rig, PEAL_BELL_FIRST, 3);
	rig_write(&rig, PEAL_BELL_COUNT, 1);
	rig_write(&rig, PEAL_BELL_ROUNDS, PEAL_BELL_ENDLESS);
	rig_write(&rig, PEAL_BELL_PERIOD, 1000000);
	rig_write(&rig, PEAL_BELL_CONTROL, 1);
	assert_int_equal(rig_read(&rig, PEAL_BELL_BUSY), 1);
	peal_pci_function_reset(rig.function);
	assert_false(rig_line(&rig));
	for (unsigned at = PEAL_BELL_CAUSE; at < PEAL_BELL_RINGS + 8; at += 4)
		assert_int_equal(rig_read(&rig, at), 0);
	assert_int_equal(rig_read(&rig, PEAL_BELL_RINGS_EACH + 8), 0);
	assert_int_equal(rig_read(&rig, PEAL_BELL_ID), 0x4c4c4542);
	/* It rings again. */
	peal_pci_config_write(rig.function, 0x04, 2, 0x0006);
	rig_enable_msix(&rig, 4);
	rig_write(&rig, PEAL_BELL_RING, 1);
	assert_int_equal(rig_messages(&rig, 1), 1);
	rig_close(&rig);
}

static void numbers_of_vectors_out_of_range_are_refused(void **state)
{
	struct peal_bell_config config = { .host = peal_host_default() };
	struct peal_bell *bell = NULL;

	(void)state;
	assert_int_equal(peal_bell_new(&bell, &config), -EINVAL);
	config.vectors = 2049;
	assert_int_equal(peal_bell_new(&bell, &config), -EINVAL);
	assert_null(bell);
}

static int make_one(const struct peal_host *host, void *user)
{
	const struct peal_bell_config config = { .host = host, .vectors = 8 };
	struct peal_bell *bell = NULL;
	int r = peal_bell_new(&bell, &config);

	(void)user;
	peal_bell_free(bell);
	return r;
}

static void every_allocation_may_fail(void **state)
{
	(void)state;
	(void)test_every_allocation(make_one, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(register_tables_are_well_made),
		cmocka_unit_test(identity_and_number_of_vectors_can_be_read),
		cmocka_unit_test(each_vector_is_rung_by_its_register),
		cmocka_unit_test(a_vector_that_is_not_there_does_not_ring),
		cmocka_unit_test(msi_takes_the_vector_modulo_its_own),
		cmocka_unit_test(without_messages_it_asserts_the_line_until_the_cause_is_cleared),
		cmocka_unit_test(a_reset_clears_everything_but_the_identity),
		cmocka_unit_test(numbers_of_vectors_out_of_range_are_refused),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests_name("bell", tests, NULL, NULL);
}
