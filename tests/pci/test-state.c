/* SPDX-License-Identifier: BSD-2-Clause */
/* Saving and loading a function: what comes back, what fires, and what is refused. */
#include <stdlib.h>

#include "fixture.h"

#define ID_MSI    0x05u
#define VECTORS   70u
#define CONFIG_AT 16u /* of configuration space in the state */

/* MSI-X, MSI, power management, PCI Express, a 64-bit BAR and the line: all that has a state. */
static void init(struct fixture *f)
{
	fixture_init(f);
	assert_int_equal(peal_pci_function_add_bar(f->function, 2,
						   PEAL_PCI_BAR_MEM64 | PEAL_PCI_BAR_PREFETCHABLE,
						   DEVICE_BYTES, &device_bar_ops, &f->device),
			 0);
	assert_int_equal(peal_pci_function_add_msix_exclusive(f->function, VECTORS, 0), 0);
	assert_int_equal(peal_pci_function_add_msi(f->function,
						   &(struct peal_msi_config){ .vectors = 4,
									      .wide = true,
									      .maskable = true }),
			 0);
	assert_int_equal(peal_pci_function_add_power_management(f->function), 0);
	assert_int_equal(peal_pci_function_add_pci_express(f->function), 0);
	assert_int_equal(peal_pci_function_add_aer(f->function), 0);
	f->msix = peal_pci_function_msix(f->function);
	f->capability = find_capability(f->function, ID_MSIX, 0);
	fixture_plug(f);
}

static uint8_t *save(struct fixture *f, size_t *size)
{
	uint8_t *bytes;

	*size = peal_pci_function_state_size(f->function);
	bytes = calloc(1, *size);
	assert_non_null(bytes);
	assert_int_equal(peal_pci_function_save(f->function, bytes, *size), 0);
	return bytes;
}

/* A state with a bit of everything. */
static void live(struct fixture *f)
{
	for (unsigned v = 0; v < VECTORS; v++)
		assert_int_equal(peal_msix_use(f->msix, v), 0);
	config_write(f, BAR(2), 4, (uint32_t)WINDOW64);
	config_write(f, BAR(3), 4, WINDOW64 >> 32);
	set_command(f, COMMAND_BUS_MASTER | COMMAND_MEMORY);
	for (unsigned v = 0; v < VECTORS; v++)
		program_vector(f, v, v % 3 == 0);
	set_control(f, MSIX_ENABLE);
	(void)peal_msix_notify(f->msix, 3);
	(void)peal_msix_notify(f->msix, 66);
	peal_pci_function_set_intx(f->function, true);
}

static void everything_comes_back(void **state)
{
	struct fixture a, b;
	size_t size;
	uint8_t *bytes;

	(void)state;
	init(&a);
	init(&b);
	live(&a);
	bytes = save(&a, &size);
	assert_int_equal(peal_pci_function_load(b.function, bytes, size), 0);
	for (uint32_t at = 0; at < 4096; at += 4)
		assert_int_equal(config_read(&b, at, 4), config_read(&a, at, 4));
	for (uint64_t at = 0; at < 4096; at += 4)
		assert_int_equal(table_read(&b, at, 4), table_read(&a, at, 4));
	assert_true(pba(&b, 3) && pba(&b, 66) && !pba(&b, 4));
	assert_int_equal(test_sink_count(&b.sink), 0);
	assert_true(is_mapped(b.ram.space, WINDOW64));
	assert_true(peal_pci_function_is_bus_master(b.function));
	/* It works on: pending ones fire when unmasked, uses are there. */
	set_mask(&b, 66, false);
	assert_message(&b.sink, VECTOR_ADDRESS(66), VECTOR_DATA(66));
	assert_int_equal(peal_msix_notify(b.msix, 1), 1);
	peal_msix_unuse(b.msix, 1);
	assert_int_equal(peal_msix_notify(b.msix, 1), 0);
	free(bytes);
	fixture_done(&a);
	fixture_done(&b);
}

static void saving_again_gives_the_same_bytes(void **state)
{
	struct fixture a, b;
	size_t size, again;
	uint8_t *bytes, *more;

	(void)state;
	init(&a);
	init(&b);
	live(&a);
	bytes = save(&a, &size);
	assert_int_equal(peal_pci_function_load(b.function, bytes, size), 0);
	more = save(&b, &again);
	assert_int_equal(again, size);
	assert_memory_equal(more, bytes, size);
	free(more);
	free(bytes);
	fixture_done(&a);
	fixture_done(&b);
}

/* Pending under Function Mask, and the control word of the state lets it go. */
static void pending_vector_that_comes_out_unmasked_fires_once(void **state)
{
	struct fixture a;
	size_t size;
	uint8_t *bytes;

	(void)state;
	init(&a);
	live(&a);
	set_mask(&a, 4, false);
	set_control(&a, MSIX_ENABLE | MSIX_FUNCTION_MASK);
	(void)peal_msix_notify(a.msix, 4);
	bytes = save(&a, &size);
	peal_store_le(bytes + CONFIG_AT + a.capability + MSIX_CONTROL, 2,
		      (VECTORS - 1) | MSIX_ENABLE);
	peal_pci_function_reset(a.function);
	assert_int_equal(peal_pci_function_load(a.function, bytes, size), 0);
	assert_int_equal(test_sink_count(&a.sink), 1);
	assert_message(&a.sink, VECTOR_ADDRESS(4), VECTOR_DATA(4));
	assert_false(pba(&a, 4));
	assert_true(pba(&a, 3)); /* still masked */
	free(bytes);
	fixture_done(&a);
}

static void loading_replaces_what_was_there(void **state)
{
	struct fixture a, b;
	size_t size;
	uint8_t *bytes;

	(void)state;
	init(&a);
	init(&b);
	bytes = save(&a, &size);
	live(&b);
	assert_int_equal(peal_pci_function_load(b.function, bytes, size), 0);
	assert_int_equal(test_sink_count(&b.sink), 0);
	assert_false(peal_msix_is_enabled(b.msix));
	assert_false(is_mapped(b.ram.space, WINDOW64));
	assert_false(peal_pci_function_is_bus_master(b.function));
	assert_int_equal(config_read(&b, STATUS, 2) & 8, 0);
	for (unsigned v = 0; v < VECTORS; v++) {
		assert_int_equal(peal_msix_notify(b.msix, v), 0);
		assert_false(pba(&b, v)); /* not in use */
	}
	free(bytes);
	fixture_done(&a);
	fixture_done(&b);
}

static void powered_down_state_stays_down(void **state)
{
	struct fixture a, b;
	size_t size;
	uint8_t *bytes;
	unsigned at;

	(void)state;
	init(&a);
	init(&b);
	live(&a);
	at = find_capability(a.function, ID_POWER_MANAGEMENT, 0);
	config_write(&a, at + 4, 2, 3);
	bytes = save(&a, &size);
	assert_int_equal(peal_pci_function_load(b.function, bytes, size), 0);
	assert_false(is_mapped(b.ram.space, WINDOW64));
	assert_false(peal_pci_function_is_bus_master(b.function));
	config_write(&b, at + 4, 2, 0);
	assert_int_equal(b.device.resets, 1);
	free(bytes);
	fixture_done(&a);
	fixture_done(&b);
}

static void wrong_sizes_and_versions_are_refused(void **state)
{
	struct fixture f;
	size_t size;
	uint8_t *bytes;

	(void)state;
	init(&f);
	live(&f);
	bytes = save(&f, &size);
	assert_int_equal(peal_pci_function_save(f.function, bytes, size - 1), -ENOSPC);
	for (size_t cut = 0; cut < size; cut += cut < 64 ? 1 : 97)
		assert_int_equal(peal_pci_function_load(f.function, bytes, cut), -EINVAL);
	for (unsigned at = 0; at < 16; at++) {
		bytes[at] ^= 0x40;
		assert_int_equal(peal_pci_function_load(f.function, bytes, size), -EINVAL);
		bytes[at] ^= 0x40;
	}
	assert_int_equal(peal_pci_function_load(f.function, bytes, size), 0);
	free(bytes);
	fixture_done(&f);
}

/* Whatever is loaded leaves a function that is as the guest could have made it, or as it was. */
static void corrupt_states_change_nothing_or_nothing_fixed(void **state)
{
	uint64_t random = 1;
	struct fixture f;
	size_t size;
	uint8_t *good, *bad, *now;

	(void)state;
	init(&f);
	live(&f);
	good = save(&f, &size);
	bad = malloc(size);
	assert_non_null(bad);
	for (unsigned i = 0; i < 20000; i++) {
		size_t again;

		memcpy(bad, good, size);
		for (unsigned n = 0; n <= i % 3; n++)
			bad[test_random_below(&random, size)] ^=
				(uint8_t)(1u << test_random_below(&random, 8));
		if (peal_pci_function_load(f.function, bad, size) < 0) {
			now = save(&f, &again);
			assert_memory_equal(now, good, size);
			free(now);
			continue;
		}
		assert_int_equal(config_read(&f, 0, 4), 0x10421af4);
		assert_int_equal(config_read(&f, f.capability, 1), ID_MSIX);
		assert_int_equal(control(&f) & 0x7ff, VECTORS - 1);
		assert_int_equal(peal_pci_function_load(f.function, good, size), 0);
	}
	free(bad);
	free(good);
	fixture_done(&f);
}

static void state_of_another_function_is_refused(void **state)
{
	struct fixture a, b;
	size_t size;
	uint8_t *bytes;

	(void)state;
	init(&a);
	fixture_init_msix(&b, VECTORS);
	bytes = save(&a, &size);
	assert_int_equal(peal_pci_function_load(b.function, bytes, size), -EINVAL);
	free(bytes);
	bytes = save(&b, &size);
	assert_int_equal(peal_pci_function_load(a.function, bytes, size), -EINVAL);
	free(bytes);
	fixture_done(&a);
	fixture_done(&b);
}

/* A vector that is not in use pends nothing, whoever behind it is. */
static void msix_that_pends_unused_is_refused(void **state)
{
	struct fixture f;
	size_t size, pending;
	uint8_t *bytes;

	(void)state;
	fixture_init_msix(&f, 3);
	peal_msix_unuse(f.msix, 1);
	bytes = save(&f, &size);
	/* Then come the counts of no MSI vectors and the line's wish. */
	pending = size - 16;
	for (unsigned v = 0; v < 4; v++) {
		bytes[pending] = (uint8_t)(1u << v);
		assert_int_equal(peal_pci_function_load(f.function, bytes, size),
				 v == 0 || v == 2 ? 0 : -EINVAL);
		assert_int_equal(peal_msix_is_pending(f.msix, 2), v >= 2);
	}
	free(bytes);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_comes_back),
		cmocka_unit_test(saving_again_gives_the_same_bytes),
		cmocka_unit_test(pending_vector_that_comes_out_unmasked_fires_once),
		cmocka_unit_test(loading_replaces_what_was_there),
		cmocka_unit_test(powered_down_state_stays_down),
		cmocka_unit_test(wrong_sizes_and_versions_are_refused),
		cmocka_unit_test(corrupt_states_change_nothing_or_nothing_fixed),
		cmocka_unit_test(state_of_another_function_is_refused),
		cmocka_unit_test(msix_that_pends_unused_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
