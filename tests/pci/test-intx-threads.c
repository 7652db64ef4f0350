/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device drives its line, the interrupt controller ends interrupts, and the guest resets, saves,
 * loads and gates the function, all at once. The bus counts the line up and down in pairs.
 */
#include "fixture.h"

#define ROUNDS   3000u
#define DISABLE  0x0400u
#define FLR      0x8000u
#define MSIX_OFF 0u

struct lines {
	struct fixture f;
	unsigned express, msix;
	unsigned going; /* threads that have not made their rounds */
	uint8_t *bytes;
	size_t size;
};

static void device(struct lines *l, unsigned round)
{
	peal_pci_function_set_intx(l->f.function, round % 2);
	(void)peal_pci_function_intx_line(l->f.function);
}

static void controller(struct lines *l)
{
	peal_pci_bus_intx_eoi(l->f.bus, 0);
	(void)peal_pci_bus_intx_level(l->f.bus, 0);
	(void)config_read(&l->f, STATUS, 2);
}

static void guest(struct lines *l, unsigned round)
{
	switch (round % 6) {
	case 0:
		config_write(&l->f, l->express + 8, 2, FLR);
		break;
	case 1:
		thread_assert(peal_pci_function_load(l->f.function, l->bytes, l->size) == 0);
		break;
	case 2:
		set_command(&l->f, DISABLE);
		break;
	case 3:
		set_command(&l->f, 0);
		break;
	case 4:
		config_write(&l->f, l->msix + MSIX_CONTROL, 2, MSIX_ENABLE);
		break;
	default:
		config_write(&l->f, l->msix + MSIX_CONTROL, 2, MSIX_OFF);
	}
}

static void saver(struct lines *l)
{
	size_t size = peal_pci_function_state_size(l->f.function);
	uint8_t *bytes = malloc(size);

	thread_assert(bytes && peal_pci_function_save(l->f.function, bytes, size) == 0);
	/* Whatever the moment was, it is one that can be. */
	thread_assert(peal_pci_function_load(l->f.function, bytes, size) == 0);
	free(bytes);
}

static void lines_thread(void *user, unsigned index)
{
	struct lines *l = user;

	for (unsigned round = 0; __atomic_load_n(&l->going, __ATOMIC_RELAXED); round++) {
		if (round == ROUNDS)
			(void)__atomic_sub_fetch(&l->going, 1, __ATOMIC_RELAXED);
		if (index == 0)
			device(l, round);
		else if (index == 1)
			controller(l);
		else if (index == 2)
			guest(l, round);
		else
			saver(l);
	}
}

static void line_goes_up_and_down_in_pairs(void **state)
{
	static struct lines l;
	struct fixture *f = &l.f;

	(void)state;
	fixture_init(f);
	assert_int_equal(peal_pci_function_add_pci_express(f->function), 0);
	assert_int_equal(peal_pci_function_add_msix_exclusive(f->function, 2, 0), 0);
	fixture_plug(f);
	l.express = find_capability(f->function, ID_EXPRESS, 0);
	l.msix = find_capability(f->function, ID_MSIX, 0);
	l.size = peal_pci_function_state_size(f->function);
	l.bytes = malloc(l.size);
	assert_non_null(l.bytes);
	peal_pci_function_set_intx(f->function, true);
	assert_int_equal(peal_pci_function_save(f->function, l.bytes, l.size), 0);
	l.going = 4;
	test_threads(4, lines_thread, &l);
	peal_pci_function_reset(f->function);
	assert_false(peal_pci_bus_intx_level(f->bus, 0));
	peal_pci_function_set_intx(f->function, true);
	assert_true(peal_pci_bus_intx_level(f->bus, 0));
	peal_pci_function_set_intx(f->function, false);
	for (unsigned pin = 0; pin < 4; pin++)
		assert_false(peal_pci_bus_intx_level(f->bus, pin));
	free(l.bytes);
	fixture_done(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_goes_up_and_down_in_pairs),
	};

	return cmocka_run_group_tests_name("pci-intx-threads", tests, NULL, NULL);
}
