/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI whose guest enabled fewer vectors than the function has: those past them are raised as vector
 * modulo the number, whenever they were raised (PCIe Base 6.0 §6.1.4.4). And loading of MSI.
 */
#include "fixture.h"

#define ID_MSI      0x05u
#define AT_CONTROL  2u
#define AT_ADDRESS  4u
#define AT_DATA     8u
#define AT_MASK     12u
#define ENABLE      1u
#define MULTIPLE(n) ((n) << 4)
#define ADDRESS     UINT64_C(0xfee02000)
#define DATA        0x4400u
#define CONFIG_AT   16u /* of configuration space in a state */

struct shared {
	struct fixture f;
	struct peal_msi *msi;
	unsigned at;
};

/* Eight maskable vectors, none of them in use; plugged, mastering, the message written. */
static void init(struct shared *s)
{
	const struct peal_msi_config config = { .vectors = 8, .maskable = true };

	fixture_init(&s->f);
	assert_int_equal(peal_pci_function_add_msi(s->f.function, &config), 0);
	assert_int_equal(peal_pci_function_add_power_management(s->f.function), 0);
	s->msi = peal_pci_function_msi(s->f.function);
	s->at = find_capability(s->f.function, ID_MSI, 0);
	fixture_plug(&s->f);
	set_command(&s->f, COMMAND_BUS_MASTER);
	config_write(&s->f, s->at + AT_ADDRESS, 4, ADDRESS);
	config_write(&s->f, s->at + AT_DATA, 2, DATA);
}

static void use_all(struct shared *s)
{
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(peal_msi_use(s->msi, i), 0);
}

static void enable(struct shared *s, unsigned log2)
{
	config_write(&s->f, s->at + AT_CONTROL, 2, ENABLE | MULTIPLE(log2));
}

static void mask(struct shared *s, unsigned bits)
{
	config_write(&s->f, s->at + AT_MASK, 4, bits);
}

static unsigned pending(struct shared *s)
{
	return (unsigned)config_read(&s->f, s->at + AT_MASK + 4, 4);
}

/* It sent what stood in a message that nobody wrote: address 0. */
static void pended_before_enable_fires_as_a_vector_that_is_enabled(void **state)
{
	struct shared s;

	(void)state;
	init(&s);
	use_all(&s);
	assert_int_equal(peal_msi_notify(s.msi, 5), 0);
	assert_int_equal(pending(&s), 1u << 5);
	enable(&s, 1);
	assert_int_equal(test_sink_count(&s.f.sink), 1);
	assert_message(&s.f.sink, ADDRESS, DATA | 1);
	assert_int_equal(pending(&s), 0);
	fixture_done(&s.f);
}

static void pended_before_enable_obeys_the_mask_of_whom_it_is_raised_as(void **state)
{
	struct shared s;

	(void)state;
	init(&s);
	use_all(&s);
	assert_int_equal(peal_msi_notify(s.msi, 6), 0);
	mask(&s, 1);
	enable(&s, 0);
	assert_int_equal(test_sink_count(&s.f.sink), 0);
	assert_int_equal(pending(&s), 1);
	mask(&s, 0);
	assert_int_equal(test_sink_count(&s.f.sink), 1);
	assert_message(&s.f.sink, ADDRESS, DATA);
	fixture_done(&s.f);
}

static void fewer_vectors_while_enabled_take_over_what_pends(void **state)
{
	struct shared s;

	(void)state;
	init(&s);
	use_all(&s);
	enable(&s, 3);
	mask(&s, 0x80);
	assert_int_equal(peal_msi_notify(s.msi, 7), 0);
	assert_int_equal(test_sink_count(&s.f.sink), 0);
	enable(&s, 2);
	assert_int_equal(test_sink_count(&s.f.sink), 1);
	assert_message(&s.f.sink, ADDRESS, DATA | 3);
	assert_int_equal(pending(&s), 0);
	fixture_done(&s.f);
}

/* A device that uses only vector 5, and a guest that gave it one: it was never heard. */
static void used_vector_is_heard_though_its_stand_in_is_not_in_use(void **state)
{
	struct shared s;

	(void)state;
	init(&s);
	assert_int_equal(peal_msi_use(s.msi, 5), 0);
	enable(&s, 0);
	assert_int_equal(peal_msi_notify(s.msi, 5), 1);
	assert_message(&s.f.sink, ADDRESS, DATA);
	/* The others are still not in use, the stand-in among them. */
	assert_int_equal(peal_msi_notify(s.msi, 0), 0);
	assert_int_equal(peal_msi_notify(s.msi, 1), 0);
	assert_false(peal_msi_is_used(s.msi, 0));
	assert_true(peal_msi_is_used(s.msi, 5));
	assert_int_equal(test_sink_count(&s.f.sink), 1);
	fixture_done(&s.f);
}

static void vector_used_while_it_is_shared_is_heard(void **state)
{
	struct shared s;

	(void)state;
	init(&s);
	enable(&s, 1);
	assert_int_equal(peal_msi_notify(s.msi, 5), 0);
	assert_int_equal(peal_msi_use(s.msi, 5), 0);
	assert_int_equal(peal_msi_notify(s.msi, 5), 1);
	assert_message(&s.f.sink, ADDRESS, DATA + 1);
	assert_int_equal(peal_msi_uses(s.msi, 5), 1);
	assert_int_equal(peal_msi_uses(s.msi, 1), 0); /* it only stands for 5 */
	peal_msi_unuse(s.msi, 5);
	assert_int_equal(peal_msi_notify(s.msi, 5), 0);
	assert_int_equal(test_sink_count(&s.f.sink), 1);
	fixture_done(&s.f);
}

static void shared_pending_bit_goes_with_the_last_use(void **state)
{
	struct shared s;

	(void)state;
	init(&s);
	assert_int_equal(peal_msi_use(s.msi, 0), 0);
	assert_int_equal(peal_msi_use(s.msi, 4), 0);
	mask(&s, 0xff);
	enable(&s, 2);
	assert_int_equal(peal_msi_notify(s.msi, 4), 0);
	peal_msi_unuse(s.msi, 0);
	assert_int_equal(pending(&s), 1);
	peal_msi_unuse(s.msi, 4);
	assert_int_equal(pending(&s), 0);
	fixture_done(&s.f);
}

/* Off again, each has its own bit, and that of one that is not in use means another's. */
static void pending_bit_goes_back_when_nothing_is_shared(void **state)
{
	struct shared s;

	(void)state;
	init(&s);
	assert_int_equal(peal_msi_use(s.msi, 4), 0);
	mask(&s, 0xff);
	enable(&s, 2);
	assert_int_equal(peal_msi_notify(s.msi, 4), 0);
	assert_int_equal(pending(&s), 1);
	config_write(&s.f, s.at + AT_CONTROL, 2, 0);
	assert_int_equal(pending(&s), 1u << 4);
	peal_msi_unuse(s.msi, 4);
	assert_int_equal(pending(&s), 0);
	fixture_done(&s.f);
}

/* ---- loading ---- */

static size_t save(struct shared *s, uint8_t bytes[1024])
{
	size_t size = peal_pci_function_state_size(s->f.function);

	assert_in_range(size, 300, 1024);
	assert_int_equal(peal_pci_function_save(s->f.function, bytes, size), 0);
	return size;
}

/* It stopped at an assertion. */
static void pending_state_loads_over_an_enabled_function(void **state)
{
	uint8_t bytes[1024];
	struct shared s;
	size_t size;

	(void)state;
	init(&s);
	use_all(&s);
	mask(&s, 4);
	enable(&s, 3);
	assert_int_equal(peal_msi_notify(s.msi, 2), 0);
	size = save(&s, bytes);
	mask(&s, 0);
	assert_int_equal(test_sink_count(&s.f.sink), 1);
	assert_int_equal(peal_pci_function_load(s.f.function, bytes, size), 0);
	assert_int_equal(test_sink_count(&s.f.sink), 1);
	assert_int_equal(pending(&s), 4);
	mask(&s, 0);
	assert_int_equal(test_sink_count(&s.f.sink), 2);
	fixture_done(&s.f);
}

/* It went to where the bits of the function before the load would have gone. */
static void shared_pending_bit_loads_over_another_number_of_vectors(void **state)
{
	uint8_t bytes[1024];
	struct shared s;
	size_t size;

	(void)state;
	init(&s);
	assert_int_equal(peal_msi_use(s.msi, 4), 0);
	assert_int_equal(peal_msi_use(s.msi, 2), 0);
	mask(&s, 0xff);
	enable(&s, 2);
	assert_int_equal(peal_msi_notify(s.msi, 4), 0);
	size = save(&s, bytes);
	peal_msi_unuse(s.msi, 4);
	enable(&s, 1);
	assert_int_equal(pending(&s), 0);
	assert_int_equal(peal_pci_function_load(s.f.function, bytes, size), 0);
	assert_int_equal(pending(&s), 1);
	/* The same from a single vector: 2, as which it would come back, is another of four. */
	peal_msi_unuse(s.msi, 4);
	enable(&s, 0);
	assert_int_equal(peal_pci_function_load(s.f.function, bytes, size), 0);
	assert_int_equal(pending(&s), 1);
	fixture_done(&s.f);
}

/* Two pending bits that become one have merged, and are counted so. */
static void pending_bits_that_meet_are_counted_as_merged(void **state)
{
	struct peal_msix_counters c;
	struct shared s;

	(void)state;
	init(&s);
	use_all(&s);
	assert_int_equal(peal_msi_notify(s.msi, 3), 0);
	assert_int_equal(peal_msi_notify(s.msi, 7), 0);
	enable(&s, 2);
	assert_int_equal(test_sink_count(&s.f.sink), 1);
	peal_msi_counters(s.msi, PEAL_MSIX_ALL, &c);
	assert_int_equal(c.pended, 1);
	assert_int_equal(c.merged, 1);
	assert_int_equal(c.refired, 1);
	fixture_done(&s.f);
}

/* Nothing but what the guest or the device could have made. */
static void impossible_states_are_refused(void **state)
{
	uint8_t good[1024], bytes[1024];
	struct shared s;
	unsigned pm;
	size_t size;

	(void)state;
	init(&s);
	assert_int_equal(peal_msi_use(s.msi, 1), 0);
	enable(&s, 3);
	pm = find_capability(s.f.function, ID_POWER_MANAGEMENT, 0);
	size = save(&s, good);

	const struct {
		size_t at;
		uint8_t value;
	} bad[] = {
		{ CONFIG_AT + s.at + AT_MASK + 1, 1 },    /* a mask bit past the vectors */
		{ CONFIG_AT + s.at + AT_DATA + 2, 1 },    /* extended data of a function without */
		{ CONFIG_AT + s.at + AT_CONTROL + 1, 5 }, /* its enable bit */
		{ CONFIG_AT + s.at + AT_CONTROL, 0x47 },  /* more enabled than there are */
		{ CONFIG_AT + pm + 4, 1 },                /* D1 */
		{ size - 12, 4 },                         /* pending, and not in use */
		{ size - 11, 1 },                         /* pending past the vectors */
		{ size - 13, 0x80 },                      /* two thousand million uses */
		{ size - 4, 2 },                          /* a line that is not a bool */
	};

	for (size_t i = 0; i < PEAL_COUNT_OF(bad); i++) {
		uint8_t now[1024];

		memcpy(bytes, good, size);
		bytes[bad[i].at] = bad[i].value;
		assert_int_equal(peal_pci_function_load(s.f.function, bytes, size), -EINVAL);
		assert_int_equal(save(&s, now), size);
		assert_memory_equal(now, good, size);
	}
	assert_int_equal(peal_pci_function_load(s.f.function, good, size), 0);
	fixture_done(&s.f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pended_before_enable_fires_as_a_vector_that_is_enabled),
		cmocka_unit_test(pended_before_enable_obeys_the_mask_of_whom_it_is_raised_as),
		cmocka_unit_test(fewer_vectors_while_enabled_take_over_what_pends),
		cmocka_unit_test(used_vector_is_heard_though_its_stand_in_is_not_in_use),
		cmocka_unit_test(vector_used_while_it_is_shared_is_heard),
		cmocka_unit_test(shared_pending_bit_goes_with_the_last_use),
		cmocka_unit_test(pending_bit_goes_back_when_nothing_is_shared),
		cmocka_unit_test(pending_state_loads_over_an_enabled_function),
		cmocka_unit_test(shared_pending_bit_loads_over_another_number_of_vectors),
		cmocka_unit_test(pending_bits_that_meet_are_counted_as_merged),
		cmocka_unit_test(impossible_states_are_refused),
	};

	return cmocka_run_group_tests_name("pci-msi-shared", tests, NULL, NULL);
}
