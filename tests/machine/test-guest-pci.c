/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's enumeration: which functions it finds, and where their BARs come to lie. */
#include "rig.h"

#define MIB            (UINT64_C(1) << 20)
#define GIB            (UINT64_C(1) << 30)
#define WINDOW64_END   (PEAL_MACHINE_WINDOW64 << 1)
#define COMMAND_MEMORY 2u
#define NFUNCTIONS     256u

struct bar_plan {
	unsigned index;
	unsigned flags;
	uint64_t size;
};

/* A function as the test plugs it, and what the guest makes of it. */
struct plan {
	uint8_t devfn;
	bool multifunction;
	struct bar_plan bars[PEAL_PCI_BARS];
	int found; /* what peal_guest_find says */
	struct peal_pci_function *function;
	uint64_t offsets[PEAL_PCI_BARS]; /* of the last access of a BAR's handler */
};

/* Device ids are the place in the list. */
struct plans {
	struct plan list[NFUNCTIONS];
	unsigned count;
	struct {
		uint64_t address, size;
	} placed[NFUNCTIONS * 3];
	unsigned nplaced;
};

static uint64_t bar_read(void *user, uint64_t offset, unsigned size)
{
	*(uint64_t *)user = offset;
	return size == 4 ? 0x600df00d : 0;
}

static void bar_write(void *user, uint64_t offset, unsigned size, uint64_t value)
{
	(void)size;
	*(uint64_t *)user = offset ^ value;
}

static const struct peal_pci_bar_ops bar_ops = { .read = bar_read, .write = bar_write };

static void plug_all(struct rig *rig, struct plans *plans)
{
	for (unsigned i = 0; i < plans->count; i++) {
		struct plan *p = &plans->list[i];

		p->function = rig_function((uint16_t)i, p->multifunction);
		for (unsigned b = 0; b < PEAL_PCI_BARS; b++) {
			const struct bar_plan *bar = &p->bars[b];

			if (bar->size)
				assert_int_equal(peal_pci_function_add_bar(
							 p->function, bar->index, bar->flags,
							 bar->size, &bar_ops, &p->offsets[b]),
						 0);
		}
		rig_plug(rig, p->devfn, p->function);
	}
}

/* Aligned, in its window, apart from all others, and where its handler answers. */
static void check_bar(struct rig *rig, struct plans *plans, struct plan *p, unsigned b,
		      struct peal_guest_function *f)
{
	const struct peal_driver_ops *ops = peal_guest_driver_ops();
	const struct bar_plan *bar = &p->bars[b];
	uint32_t at = 0x10 + 4 * bar->index;
	bool wide = bar->flags & PEAL_PCI_BAR_MEM64;
	uint64_t address = ops->config_read(f, at, 4) & ~UINT64_C(0xf);
	uint64_t size = 0;
	bool is_io = true;

	if (wide)
		address |= ops->config_read(f, at + 4, 4) << 32;
	thread_assert(ops->bar_info(f, bar->index, &size, &is_io) == 0);
	thread_assert(size == bar->size && !is_io);
	thread_assert(address % size == 0);
	if (wide) {
		thread_assert(address >= PEAL_MACHINE_WINDOW64 && address + size <= WINDOW64_END);
		thread_assert(ops->bar_info(f, bar->index + 1, &size, &is_io) == -ENOENT);
	} else {
		thread_assert(address >= PEAL_MACHINE_WINDOW32 &&
			      address + size <= PEAL_MACHINE_ECAM);
	}
	for (unsigned i = 0; i < plans->nplaced; i++)
		thread_assert(address + bar->size <= plans->placed[i].address ||
			      plans->placed[i].address + plans->placed[i].size <= address);
	plans->placed[plans->nplaced].address = address;
	plans->placed[plans->nplaced++].size = bar->size;

	thread_assert(ops->bar_read(f, bar->index, bar->size - 4, 4) == 0x600df00d);
	thread_assert(p->offsets[b] == bar->size - 4);
	ops->bar_write(f, bar->index, 8, 4, 0x70);
	thread_assert(p->offsets[b] == 0x78);
	thread_assert(peal_machine_load(rig->machine, address, 4) == 0x600df00d);
	thread_assert(p->offsets[b] == 0);
}

static void check_plan(struct rig *rig, struct plans *plans, unsigned i)
{
	struct plan *p = &plans->list[i];
	struct peal_guest_function *f = NULL;
	const struct peal_driver_ops *ops = peal_guest_driver_ops();
	int r = peal_guest_find(&f, rig->guest, RIG_VENDOR, (uint16_t)i);

	thread_assert(r == p->found);
	if (r < 0) {
		thread_assert(!f);
		/* What was not placed does not decode. */
		thread_assert(!(peal_pci_config_read(p->function, 4, 2) & COMMAND_MEMORY));
		return;
	}
	thread_assert(ops->config_read(f, 0, 4) == (RIG_VENDOR | i << 16));
	thread_assert(ops->config_read(f, 4, 2) == COMMAND_MEMORY);
	for (unsigned b = 0; b < PEAL_PCI_BARS; b++) {
		if (p->bars[b].size)
			check_bar(rig, plans, p, b, f);
	}
	peal_guest_function_free(f);
	thread_assert(peal_pci_config_read(p->function, 4, 2) == 0);
}

static void scan(struct rig *rig)
{
	struct plans *plans = rig->user;
	struct peal_guest_function *f = NULL;

	rig_guest_new(rig, PEAL_GUEST_RIGHT);
	for (unsigned i = 0; i < plans->count; i++)
		check_plan(rig, plans, i);
	thread_assert(peal_guest_find(&f, rig->guest, RIG_VENDOR, 0xfffe) == -ENODEV);
	thread_assert(peal_guest_find(&f, rig->guest, RIG_VENDOR + 1, 0) == -ENODEV);
	thread_assert(peal_guest_find(&f, rig->guest, 0xffff, 0xffff) == -ENODEV);
	thread_assert(!f);
	rig_guest_free(rig);
}

static void check_plans(struct plans *plans)
{
	struct rig rig;

	rig_new(&rig, 1);
	plug_all(&rig, plans);
	/* The second scan finds BARs that hold addresses, the first had zeroes. */
	for (unsigned i = 0; i < 2; i++) {
		plans->nplaced = 0;
		rig_run(&rig, scan, plans);
	}
	/* None of the BARs lay over another, or outside, while it decoded. */
	assert_int_equal(peal_pci_bus_misplaced(peal_machine_bus(rig.machine)), 0);
	for (unsigned i = 0; i < plans->count; i++)
		rig_unplug(&rig, plans->list[i].function);
	rig_done(&rig);
	free(plans);
}

static struct plans *new_plans(void)
{
	struct plans *plans = calloc(1, sizeof(*plans));

	assert_non_null(plans);
	return plans;
}

static struct plan *add(struct plans *plans, uint8_t devfn)
{
	struct plan *p = &plans->list[plans->count++];

	p->devfn = devfn;
	return p;
}

#define MEM32(i, s)                                                    \
	{                                                              \
		.index = (i), .flags = PEAL_PCI_BAR_MEM32, .size = (s) \
	}
#define MEM64(i, s)                                                    \
	{                                                              \
		.index = (i), .flags = PEAL_PCI_BAR_MEM64, .size = (s) \
	}

static void an_empty_bus_has_nothing_to_find(void **state)
{
	(void)state;
	check_plans(new_plans());
}

static void bars_of_all_kinds_get_places(void **state)
{
	struct plans *plans = new_plans();
	struct plan *p;

	(void)state;
	p = add(plans, 0); /* no BARs */
	p = add(plans, 1 << 3);
	memcpy(p->bars,
	       (struct bar_plan[]){ MEM32(0, 16), MEM32(1, 4096), MEM64(2, 16 * 1024),
				    MEM64(4, 64 * 1024) },
	       4 * sizeof(p->bars[0]));
	p = add(plans, 31 << 3);
	memcpy(p->bars,
	       (struct bar_plan[]){ MEM64(0, 4 * GIB),
				    MEM64(2, 16),
				    { .index = 4,
				      .flags = PEAL_PCI_BAR_MEM64 | PEAL_PCI_BAR_PREFETCHABLE,
				      .size = MIB } },
	       3 * sizeof(p->bars[0]));
	p = add(plans, 7 << 3);
	memcpy(p->bars,
	       (struct bar_plan[]){ MEM32(0, 16), MEM32(1, 16), MEM32(2, 32 * MIB), MEM32(3, 16),
				    MEM32(4, 16), MEM32(5, 16) },
	       6 * sizeof(p->bars[0]));
	check_plans(plans);
}

/* The window of 32-bit BARs is 0x1000_0000..0x3eff_ffff. */
static void huge_bars_that_do_not_fit_are_refused(void **state)
{
	struct plans *plans = new_plans();
	struct plan *p;

	(void)state;
	p = add(plans, 1 << 3);
	p->bars[0] = (struct bar_plan)MEM32(0, 512 * MIB);
	p->found = -ENOSPC;
	p = add(plans, 2 << 3);
	p->bars[0] = (struct bar_plan)MEM32(0, 2 * GIB);
	p->found = -ENOSPC;
	p = add(plans, 3 << 3);
	p->bars[0] = (struct bar_plan)MEM64(0, UINT64_C(1) << 40);
	p->found = -ENOSPC;
	p = add(plans, 4 << 3);
	p->bars[0] = (struct bar_plan)MEM64(4, UINT64_C(1) << 63);
	p->found = -ENOSPC;
	/* Those after them find their places as if they were not there. */
	p = add(plans, 5 << 3);
	p->bars[0] = (struct bar_plan)MEM32(0, 256 * MIB);
	p = add(plans, 6 << 3);
	p->bars[0] = (struct bar_plan)MEM64(0, UINT64_C(1) << 39);
	p = add(plans, 7 << 3);
	p->bars[0] = (struct bar_plan)MEM32(0, 256 * MIB);
	/* 240 MiB are left of the one, nothing of the other. */
	p = add(plans, 8 << 3);
	p->bars[0] = (struct bar_plan)MEM32(0, 256 * MIB);
	p->found = -ENOSPC;
	p = add(plans, 9 << 3);
	p->bars[0] = (struct bar_plan)MEM32(0, 128 * MIB);
	p = add(plans, 10 << 3);
	p->bars[0] = (struct bar_plan)MEM64(0, 16);
	p->found = -ENOSPC;
	check_plans(plans);
}

/* One BAR of several does not fit: the function is of no use. */
static void a_function_is_placed_whole_or_not(void **state)
{
	struct plans *plans = new_plans();
	struct plan *p;

	(void)state;
	p = add(plans, 1 << 3);
	p->bars[0] = (struct bar_plan)MEM32(0, 4096);
	p->bars[1] = (struct bar_plan)MEM32(1, 512 * MIB);
	p->bars[2] = (struct bar_plan)MEM64(2, 4096);
	p->found = -ENOSPC;
	p = add(plans, 2 << 3);
	p->bars[0] = (struct bar_plan)MEM32(0, 4096);
	check_plans(plans);
}

static void functions_of_a_device_are_found(void **state)
{
	struct plans *plans = new_plans();
	struct plan *p;

	(void)state;
	p = add(plans, 2 << 3);
	p->multifunction = true;
	p->bars[0] = (struct bar_plan)MEM32(0, 64 * 1024);
	p = add(plans, 2 << 3 | 3);
	p->bars[0] = (struct bar_plan)MEM32(0, 16);
	p = add(plans, 2 << 3 | 7);
	p->bars[0] = (struct bar_plan)MEM64(0, 64 * 1024);
	/* Function 0 does not say that there are more. */
	p = add(plans, 3 << 3);
	p->bars[0] = (struct bar_plan)MEM32(0, 16);
	p = add(plans, 3 << 3 | 1);
	p->bars[0] = (struct bar_plan)MEM32(0, 16);
	p->found = -ENODEV;
	/* Without function 0 there is no device. */
	p = add(plans, 4 << 3 | 1);
	p->multifunction = true;
	p->found = -ENODEV;
	check_plans(plans);
}

static void thirty_two_devices_are_found(void **state)
{
	struct plans *plans = new_plans();

	(void)state;
	for (unsigned i = 0; i < 32; i++) {
		/* Plugged in another order than they are found. */
		struct plan *p = add(plans, (uint8_t)((i * 13 % 32) << 3));

		p->bars[0] = (struct bar_plan)MEM32(0, UINT64_C(16) << i % 17);
		p->bars[1] = (struct bar_plan)MEM64(2, UINT64_C(16) << (i * 5 % 32));
		p->bars[2] = (struct bar_plan)MEM32(5, 4096);
	}
	check_plans(plans);
}

static void a_full_bus_is_found(void **state)
{
	struct plans *plans = new_plans();

	(void)state;
	for (unsigned i = 0; i < NFUNCTIONS; i++) {
		struct plan *p = add(plans, (uint8_t)i);

		p->multifunction = i % 8 == 0;
		p->bars[0] = (struct bar_plan)MEM32(1, UINT64_C(16) << i % 11);
		p->bars[1] = (struct bar_plan)MEM64(4, UINT64_C(32) << i % 13);
	}
	check_plans(plans);
}

static void find_io(struct rig *rig)
{
	const struct peal_driver_ops *ops = peal_guest_driver_ops();
	struct peal_guest_function *f;
	uint64_t size = 0;
	bool is_io = false;

	rig_guest_new(rig, PEAL_GUEST_RIGHT);
	f = rig_find(rig, 1);
	thread_assert(ops->bar_info(f, 0, &size, &is_io) == 0);
	thread_assert(is_io && size == 64);
	thread_assert(ops->bar_info(f, 1, &size, &is_io) == 0);
	thread_assert(!is_io && size == 4096);
	for (unsigned bar = 2; bar <= PEAL_PCI_BARS; bar++)
		thread_assert(ops->bar_info(f, bar, &size, &is_io) == -ENOENT);
	thread_assert(ops->bar_info(f, ~0u, &size, &is_io) == -ENOENT);
	thread_assert(size == 4096);
	/* No I/O decode where there is no I/O space. */
	thread_assert(ops->config_read(f, 4, 2) == COMMAND_MEMORY);
	peal_guest_function_free(f);
	rig_guest_free(rig);
}

static void io_bars_do_not_hinder(void **state)
{
	struct peal_pci_function *function = rig_function(1, false);
	struct rig rig;

	(void)state;
	assert_int_equal(
		peal_pci_function_add_bar(function, 0, PEAL_PCI_BAR_IO, 64, &bar_ops, NULL), 0);
	assert_int_equal(peal_pci_function_add_bar(function, 1, PEAL_PCI_BAR_MEM32, 4096, &bar_ops,
						   NULL),
			 0);
	rig_new(&rig, 1);
	rig_plug(&rig, 9 << 3, function);
	rig_run(&rig, find_io, NULL);
	rig_unplug(&rig, function);
	rig_done(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_bus_has_nothing_to_find),
		cmocka_unit_test(bars_of_all_kinds_get_places),
		cmocka_unit_test(huge_bars_that_do_not_fit_are_refused),
		cmocka_unit_test(a_function_is_placed_whole_or_not),
		cmocka_unit_test(functions_of_a_device_are_found),
		cmocka_unit_test(thirty_two_devices_are_found),
		cmocka_unit_test(a_full_bus_is_found),
		cmocka_unit_test(io_bars_do_not_hinder),
	};

	return cmocka_run_group_tests_name("guest-pci", tests, NULL, NULL);
}
