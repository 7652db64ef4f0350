/* SPDX-License-Identifier: BSD-2-Clause */
/* MSI by behaviour: its four layouts, message arithmetic, masks, pending bits, and MSI-X beside. */
#include "fixture.h"

#include "pci/msi.h"

#define ID_MSI       0x05u
#define CONTROL      2u
#define ADDRESS      4u
#define ENABLE       0x0001u
#define MULTIPLE(n)  ((n) << 4)
#define EXTENDED_ON  0x0400u
#define MSI_ADDRESS  UINT64_C(0xfee01000)
#define WIDE_ADDRESS UINT64_C(0x123456789a0)
#define MSI_DATA     0x4ac0u

struct msi_fixture {
	struct fixture f;
	struct peal_msi *msi;
	unsigned at;
	unsigned data;
	unsigned mask;
	unsigned pending;
};

static struct peal_msi_config shape(unsigned vectors, bool wide, bool maskable)
{
	return (struct peal_msi_config){ .vectors = vectors, .wide = wide, .maskable = maskable };
}

/* All vectors in use, plugged, mastering the bus, the message written, not enabled. */
static void init(struct msi_fixture *m, const struct peal_msi_config *config)
{
	fixture_init(&m->f);
	assert_int_equal(peal_pci_function_add_msi(m->f.function, config), 0);
	m->msi = peal_pci_function_msi(m->f.function);
	m->at = find_capability(m->f.function, ID_MSI, 0);
	m->data = m->at + (config->wide ? 12 : 8);
	m->mask = m->data + 4;
	m->pending = m->data + 8;
	for (unsigned i = 0; i < config->vectors; i++)
		assert_int_equal(peal_msi_use(m->msi, i), 0);
	fixture_plug(&m->f);
	set_command(&m->f, COMMAND_BUS_MASTER);
	config_write(&m->f, m->at + ADDRESS, 4, config->wide ? WIDE_ADDRESS : MSI_ADDRESS);
	if (config->wide)
		config_write(&m->f, m->at + 8, 4, WIDE_ADDRESS >> 32);
	config_write(&m->f, m->data, 2, MSI_DATA);
}

static void enable(struct msi_fixture *m, unsigned log2)
{
	config_write(&m->f, m->at + CONTROL, 2, ENABLE | MULTIPLE(log2));
}

static void layouts_pass_the_register_walk(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		const struct pci_msi_layout *layout = &pci_msi_layouts[i / 2][i % 2];
		unsigned row;

		assert_null(peal_reg_check(layout->rows, layout->nrows, &row));
	}
}

static void control_tells_the_shape(void **state)
{
	(void)state;
	for (unsigned log2 = 0; log2 <= 5; log2++) {
		for (unsigned i = 0; i < 4; i++) {
			struct peal_msi_config config = shape(1u << log2, i / 2, i % 2);
			struct msi_fixture m;

			init(&m, &config);
			assert_int_equal(config_read(&m.f, m.at + CONTROL, 2),
					 log2 << 1 | (i / 2 ? 0x80u : 0) | (i % 2 ? 0x100u : 0));
			assert_int_equal(peal_msi_vectors(m.msi), 1u << log2);
			fixture_done(&m.f);
		}
	}
}

static void creation_refuses_other_counts(void **state)
{
	static const unsigned bad[] = { 0, 3, 5, 24, 33, 64, 0x80000000u };
	struct fixture f;

	(void)state;
	fixture_init(&f);
	for (size_t i = 0; i < PEAL_COUNT_OF(bad); i++) {
		struct peal_msi_config config = shape(bad[i], true, true);

		assert_int_equal(peal_pci_function_add_msi(f.function, &config), -EINVAL);
		assert_null(peal_pci_function_msi(f.function));
		assert_int_equal(find_capability(f.function, ID_MSI, 0), 0);
	}
	assert_int_equal(peal_pci_function_add_msi(f.function,
						   &(struct peal_msi_config){ .vectors = 1 }),
			 0);
	assert_int_equal(peal_pci_function_add_msi(f.function,
						   &(struct peal_msi_config){ .vectors = 1 }),
			 -EBUSY);
	fixture_done(&f);
}

static void vector_k_sends_data_with_its_low_bits(void **state)
{
	(void)state;
	for (unsigned wide = 0; wide < 2; wide++) {
		struct peal_msi_config config = shape(32, wide, false);
		struct msi_fixture m;

		init(&m, &config);
		/* Low bits that the vector's number replaces. */
		config_write(&m.f, m.data, 2, MSI_DATA | 0x1f);
		enable(&m, 5);
		for (unsigned k = 0; k < 32; k++) {
			assert_int_equal(peal_msi_notify(m.msi, k), 1);
			assert_message(&m.f.sink, wide ? WIDE_ADDRESS : MSI_ADDRESS, MSI_DATA | k);
		}
		assert_int_equal(peal_msi_notify(m.msi, 32), 0);
		assert_int_equal(test_sink_count(&m.f.sink), 32);
		fixture_done(&m.f);
	}
}

static void fewer_enabled_vectors_are_shared(void **state)
{
	struct peal_msi_config config = shape(16, true, false);
	struct msi_fixture m;

	(void)state;
	init(&m, &config);
	enable(&m, 2);
	assert_int_equal(peal_msi_enabled(m.msi), 4);
	for (unsigned k = 0; k < 16; k++) {
		assert_int_equal(peal_msi_notify(m.msi, k), 1);
		assert_message(&m.f.sink, WIDE_ADDRESS, MSI_DATA | (k % 4));
	}
	fixture_done(&m.f);
}

static void multiple_message_enable_is_clamped(void **state)
{
	struct peal_msi_config config = shape(4, false, false);
	struct msi_fixture m;

	(void)state;
	init(&m, &config);
	enable(&m, 7);
	assert_int_equal(config_read(&m.f, m.at + CONTROL, 2) >> 4 & 7, 2);
	assert_int_equal(peal_msi_enabled(m.msi), 4);
	fixture_done(&m.f);
}

static void masked_vector_pends_and_fires_once(void **state)
{
	struct peal_msi_config config = shape(8, true, true);
	struct peal_msix_counters c;
	struct msi_fixture m;

	(void)state;
	init(&m, &config);
	enable(&m, 3);
	config_write(&m.f, m.mask, 4, 0x24);
	assert_int_equal(peal_msi_notify(m.msi, 2), 0);
	assert_int_equal(peal_msi_notify(m.msi, 2), 0);
	assert_int_equal(peal_msi_notify(m.msi, 5), 0);
	assert_int_equal(peal_msi_notify(m.msi, 3), 1);
	assert_int_equal(config_read(&m.f, m.pending, 4), 0x24);
	/* Read-only. */
	config_write(&m.f, m.pending, 4, 0);
	assert_int_equal(config_read(&m.f, m.pending, 4), 0x24);
	config_write(&m.f, m.mask, 4, 0x20);
	assert_int_equal(test_sink_count(&m.f.sink), 2);
	assert_message(&m.f.sink, WIDE_ADDRESS, MSI_DATA | 2);
	assert_int_equal(config_read(&m.f, m.pending, 4), 0x20);
	/* Masked to masked sends nothing. */
	config_write(&m.f, m.mask, 4, 0xe0);
	assert_int_equal(test_sink_count(&m.f.sink), 2);
	peal_msi_counters(m.msi, 2, &c);
	assert_int_equal(c.pended, 1);
	assert_int_equal(c.merged, 1);
	assert_int_equal(c.refired, 1);
	fixture_done(&m.f);
}

static void mask_bits_past_the_count_are_zero(void **state)
{
	(void)state;
	for (unsigned log2 = 0; log2 <= 5; log2++) {
		struct peal_msi_config config = shape(1u << log2, false, true);
		struct msi_fixture m;

		init(&m, &config);
		config_write(&m.f, m.mask, 4, 0xffffffff);
		assert_int_equal(config_read(&m.f, m.mask, 4), peal_ones(4) >> (32 - (1u << log2)));
		fixture_done(&m.f);
	}
}

static void enabling_fires_what_pended_before(void **state)
{
	struct peal_msi_config config = shape(2, false, false);
	struct msi_fixture m;

	(void)state;
	init(&m, &config);
	assert_int_equal(peal_msi_notify(m.msi, 0), 0);
	assert_true(peal_msi_is_pending(m.msi, 0));
	enable(&m, 1);
	assert_int_equal(test_sink_count(&m.f.sink), 1);
	assert_message(&m.f.sink, MSI_ADDRESS, MSI_DATA);
	fixture_done(&m.f);
}

static void extended_data_makes_32_bits(void **state)
{
	struct peal_msi_config config = shape(2, true, true);
	struct msi_fixture m;

	(void)state;
	config.extended_data = true;
	init(&m, &config);
	config_write(&m.f, m.data + 2, 2, 0xbeef);
	enable(&m, 1);
	(void)peal_msi_notify(m.msi, 1);
	assert_message(&m.f.sink, WIDE_ADDRESS, MSI_DATA | 1);
	config_write(&m.f, m.at + CONTROL, 2, ENABLE | MULTIPLE(1) | EXTENDED_ON);
	(void)peal_msi_notify(m.msi, 1);
	assert_message(&m.f.sink, WIDE_ADDRESS, 0xbeef0000u | MSI_DATA | 1);
	fixture_done(&m.f);

	/* Not capable: neither the enable bit nor the register take anything. */
	config.extended_data = false;
	init(&m, &config);
	config_write(&m.f, m.data + 2, 2, 0xbeef);
	config_write(&m.f, m.at + CONTROL, 2, ENABLE | MULTIPLE(1) | EXTENDED_ON);
	assert_int_equal(config_read(&m.f, m.data + 2, 2), 0);
	assert_int_equal(config_read(&m.f, m.at + CONTROL, 2) & EXTENDED_ON, 0);
	fixture_done(&m.f);
}

/* A write over control and address, and one over data and mask: each under its own rules. */
static void spanning_writes_act_on_both_registers(void **state)
{
	struct peal_msi_config config = shape(4, false, true);
	struct msi_fixture m;

	(void)state;
	init(&m, &config);
	peal_pci_config_write(m.f.function, m.at, 8,
			      (uint64_t)(MSI_ADDRESS | 0xf03) << 32 | (ENABLE | MULTIPLE(2)) << 16 |
				      0xffff);
	assert_int_equal(config_read(&m.f, m.at, 1), ID_MSI);
	assert_int_equal(config_read(&m.f, m.at + ADDRESS, 4), MSI_ADDRESS | 0xf00);
	assert_int_equal(peal_msi_enabled(m.msi), 4);
	peal_pci_config_write(m.f.function, m.data, 8, UINT64_C(0xffffffff00001230));
	assert_int_equal(config_read(&m.f, m.mask, 4), 0xf);
	(void)peal_msi_notify(m.msi, 3);
	assert_int_equal(config_read(&m.f, m.pending, 4), 8);
	config_write(&m.f, m.mask, 1, 0);
	assert_message(&m.f.sink, MSI_ADDRESS | 0xf00, 0x1233);
	fixture_done(&m.f);
}

static void bus_master_gates_messages(void **state)
{
	struct peal_msi_config config = shape(1, false, false);
	struct peal_msix_counters c;
	struct msi_fixture m;

	(void)state;
	init(&m, &config);
	enable(&m, 0);
	set_command(&m.f, 0);
	assert_int_equal(peal_msi_notify(m.msi, 0), 0);
	peal_msi_counters(m.msi, PEAL_MSIX_ALL, &c);
	assert_int_equal(c.dropped, 1);
	assert_int_equal(test_sink_count(&m.f.sink), 0);
	fixture_done(&m.f);
}

static void msix_wins_over_msi(void **state)
{
	struct fixture f;
	struct peal_msi *msi;
	unsigned at;

	(void)state;
	fixture_init(&f);
	assert_int_equal(peal_pci_function_add_msi(f.function,
						   &(struct peal_msi_config){ .vectors = 2 }),
			 0);
	assert_int_equal(peal_pci_function_add_msix_exclusive(f.function, 2, 0), 0);
	f.msix = peal_pci_function_msix(f.function);
	f.capability = find_capability(f.function, ID_MSIX, 0);
	msi = peal_pci_function_msi(f.function);
	at = find_capability(f.function, ID_MSI, 0);
	assert_int_equal(peal_msi_use(msi, 0), 0);
	assert_int_equal(peal_msix_use(f.msix, 0), 0);
	fixture_plug(&f);
	set_command(&f, COMMAND_BUS_MASTER);
	config_write(&f, at + CONTROL, 2, ENABLE);
	assert_int_equal(peal_msi_notify(msi, 0), 1);
	program_vector(&f, 0, false);
	set_control(&f, MSIX_ENABLE);
	assert_true(peal_msi_is_masked(msi, 0));
	assert_int_equal(peal_msi_notify(msi, 0), 0);
	assert_int_equal(peal_msix_notify(f.msix, 0), 1);
	/* It comes back when MSI-X goes, with what pended. */
	set_control(&f, 0);
	assert_int_equal(test_sink_count(&f.sink), 3);
	assert_int_equal(peal_msi_notify(msi, 0), 1);
	fixture_done(&f);
}

static void reset_forgets_everything_but_uses(void **state)
{
	struct peal_msi_config config = shape(4, true, true);
	struct msi_fixture m;

	(void)state;
	init(&m, &config);
	enable(&m, 2);
	config_write(&m.f, m.mask, 4, 0xf);
	(void)peal_msi_notify(m.msi, 1);
	peal_pci_function_reset(m.f.function);
	assert_int_equal(peal_msi_enabled(m.msi), 0);
	assert_int_equal(config_read(&m.f, m.pending, 4), 0);
	assert_int_equal(config_read(&m.f, m.mask, 4), 0);
	assert_int_equal(config_read(&m.f, m.at + ADDRESS, 4), 0);
	set_command(&m.f, COMMAND_BUS_MASTER);
	enable(&m, 0);
	assert_int_equal(test_sink_count(&m.f.sink), 0);
	assert_int_equal(peal_msi_notify(m.msi, 3), 1);
	fixture_done(&m.f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layouts_pass_the_register_walk),
		cmocka_unit_test(control_tells_the_shape),
		cmocka_unit_test(creation_refuses_other_counts),
		cmocka_unit_test(vector_k_sends_data_with_its_low_bits),
		cmocka_unit_test(fewer_enabled_vectors_are_shared),
		cmocka_unit_test(multiple_message_enable_is_clamped),
		cmocka_unit_test(masked_vector_pends_and_fires_once),
		cmocka_unit_test(mask_bits_past_the_count_are_zero),
		cmocka_unit_test(enabling_fires_what_pended_before),
		cmocka_unit_test(extended_data_makes_32_bits),
		cmocka_unit_test(spanning_writes_act_on_both_registers),
		cmocka_unit_test(bus_master_gates_messages),
		cmocka_unit_test(msix_wins_over_msi),
		cmocka_unit_test(reset_forgets_everything_but_uses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
