/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest runtime: bringing the machine up and down, and the guest's memory. */
#include "rig.h"

#define GITS_CTLR      (PEAL_MACHINE_ITS + 0x00)
#define GITS_CBASER    (PEAL_MACHINE_ITS + 0x80)
#define GITS_BASER     (PEAL_MACHINE_ITS + 0x100)
#define GICR_CTLR      0x00u
#define GICR_PROPBASER 0x70u
#define GICR_PENDBASER 0x78u
#define CHUNK          UINT64_C(0x10000)
#define LEFT_OVER      (PEAL_MACHINE_RAM + 0x200000) /* tables of somebody before */

static uint64_t redist_load(struct rig *rig, unsigned cpu, uint32_t offset, unsigned size)
{
	return peal_machine_load(rig->machine,
				 PEAL_MACHINE_REDISTS + cpu * PEAL_GIC_REDIST_SIZE + offset, size);
}

static bool is_in_ram(struct rig *rig, uint64_t address, uint64_t size)
{
	return address > PEAL_MACHINE_RAM &&
	       peal_in_range(address - PEAL_MACHINE_RAM, size, peal_machine_ram_size(rig->machine));
}

/* ---- bringing up ---- */

/* The ITS is on with tables in RAM, or off; so are the LPIs of all redistributors. */
static void check_controllers(struct rig *rig, unsigned on)
{
	thread_assert((peal_machine_load(rig->machine, GITS_CTLR, 4) & 1) == on);
	for (unsigned i = 0; i < peal_machine_vcpus(rig->machine); i++)
		thread_assert((redist_load(rig, i, GICR_CTLR, 4) & 1) == on);
}

static void check_tables(struct rig *rig)
{
	unsigned vcpus = peal_machine_vcpus(rig->machine);
	uint64_t properties = redist_load(rig, 0, GICR_PROPBASER, 8) & PEAL_MASK(51, 12);
	uint64_t at[3] = {
		peal_machine_load(rig->machine, GITS_CBASER, 8),
		peal_machine_load(rig->machine, GITS_BASER, 8),
		peal_machine_load(rig->machine, GITS_BASER + 8, 8),
	};

	for (unsigned i = 0; i < 3; i++) {
		thread_assert(at[i] >> 63);
		thread_assert(is_in_ram(rig, at[i] & PEAL_MASK(47, 12),
					((at[i] & 0xff) + 1) * UINT64_C(4096)));
	}
	thread_assert(is_in_ram(rig, properties, 0x2000));
	for (unsigned i = 0; i < vcpus; i++) {
		uint64_t pending = redist_load(rig, i, GICR_PENDBASER, 8) & PEAL_MASK(51, 16);

		thread_assert(is_in_ram(rig, pending, CHUNK));
		for (unsigned j = 0; j < i; j++)
			thread_assert(pending !=
				      (redist_load(rig, j, GICR_PENDBASER, 8) & PEAL_MASK(51, 16)));
	}
}

static void come_up_and_down(struct rig *rig)
{
	unsigned vcpus = peal_machine_vcpus(rig->machine);
	struct peal_its_counters c;

	check_controllers(rig, 0);
	rig_guest_new(rig, PEAL_GUEST_RIGHT);
	check_controllers(rig, 1);
	check_tables(rig);
	/* MAPC, SYNC, INVALL for each vCPU. */
	peal_its_counters(peal_machine_its(rig->machine), &c);
	thread_assert(c.commands == *(uint64_t *)rig->user + 3 * vcpus && c.errors == 0);
	*(uint64_t *)rig->user = c.commands;
	thread_assert(peal_guest_handled(rig->guest) == 0);
	thread_assert(peal_guest_unhandled(rig->guest) == 0);
	rig_guest_free(rig);
	check_controllers(rig, 0);
}

static void comes_up(unsigned vcpus)
{
	uint64_t commands = 0;
	struct rig rig;

	rig_new(&rig, vcpus);
	rig_run(&rig, come_up_and_down, &commands);
	/* And again on the same machine, as after a reboot. */
	rig_run(&rig, come_up_and_down, &commands);
	rig_run(&rig, come_up_and_down, &commands);
	rig_done(&rig);
}

static void one_vcpu_comes_up(void **state)
{
	(void)state;
	comes_up(1);
}

static void two_vcpus_come_up(void **state)
{
	(void)state;
	comes_up(2);
}

/* One more than a cluster. */
static void seventeen_vcpus_come_up(void **state)
{
	(void)state;
	comes_up(17);
}

/* Their RDbase takes more than a byte. */
static void all_vcpus_come_up(void **state)
{
	(void)state;
	comes_up(PEAL_MACHINE_VCPUS_MAX);
}

static void come_up_without_memory(struct rig *rig)
{
	rig->guest = (struct peal_guest *)rig->user;
	*(int *)rig->user = peal_guest_new(&rig->guest, rig->machine, PEAL_GUEST_RIGHT);
	if (*(int *)rig->user == 0)
		rig_guest_free(rig);
	else
		thread_assert((void *)rig->guest == rig->user);
	check_controllers(rig, 0);
}

static void a_guest_without_memory_does_not_come_up(void **state)
{
	unsigned refused = 0;
	int r = -ENOMEM;

	(void)state;
	for (uint64_t ram = CHUNK; r; ram += CHUNK) {
		struct rig rig;

		assert_true(ram < RIG_RAM);
		rig_new_with_ram(&rig, 2, ram);
		rig_run(&rig, come_up_without_memory, &r);
		assert_true(r == 0 || r == -ENOMEM);
		refused += r != 0;
		rig_done(&rig);
	}
	/* Queue, configuration, devices, collections, pending tables: each was the one too many. */
	assert_true(refused >= 5);
}

/* Somebody has left the redistributors on, so their tables cannot be set. */
static void come_up_on_live_lpis(struct rig *rig)
{
	uint64_t frame = PEAL_MACHINE_REDISTS + PEAL_GIC_REDIST_SIZE;

	peal_machine_store(rig->machine, frame + GICR_PROPBASER, 8, LEFT_OVER | 13);
	peal_machine_store(rig->machine, frame + GICR_PENDBASER, 8, LEFT_OVER + CHUNK);
	peal_machine_store(rig->machine, frame + GICR_CTLR, 4, 1);
	thread_assert(redist_load(rig, 1, GICR_CTLR, 4) & 1);
	thread_assert(peal_guest_new(&rig->guest, rig->machine, PEAL_GUEST_RIGHT) == -EIO);
	thread_assert(!rig->guest);
	/* It was turned off, so the next one comes up. */
	check_controllers(rig, 0);
	rig_guest_new(rig, PEAL_GUEST_RIGHT);
	rig_guest_free(rig);
}

static void come_up_on_a_live_its(struct rig *rig)
{
	peal_machine_store(rig->machine, GITS_CBASER, 8, PEAL_BIT(63) | LEFT_OVER);
	peal_machine_store(rig->machine, GITS_BASER, 8, PEAL_BIT(63) | (LEFT_OVER + CHUNK));
	peal_machine_store(rig->machine, GITS_BASER + 8, 8, PEAL_BIT(63) | (LEFT_OVER + 2 * CHUNK));
	peal_machine_store(rig->machine, GITS_CTLR, 4, 1);
	thread_assert(peal_machine_load(rig->machine, GITS_CTLR, 4) & 1);
	thread_assert(peal_guest_new(&rig->guest, rig->machine, PEAL_GUEST_RIGHT) == -EIO);
	thread_assert(!rig->guest);
	check_controllers(rig, 0);
	rig_guest_new(rig, PEAL_GUEST_RIGHT);
	rig_guest_free(rig);
}

static void registers_that_do_not_read_back_are_an_error(void **state)
{
	struct rig rig;

	(void)state;
	rig_new(&rig, 2);
	rig_run(&rig, come_up_on_live_lpis, NULL);
	rig_run(&rig, come_up_on_a_live_its, NULL);
	rig_done(&rig);
}

static void free_of_nothing_is_fine(void **state)
{
	(void)state;
	peal_guest_free(NULL);
	peal_guest_function_free(NULL);
}

static void mistakes_have_names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PEAL_GUEST_MISTAKES; i++) {
		assert_non_null(peal_guest_mistake_name(i));
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(peal_guest_mistake_name(i),
						peal_guest_mistake_name(j));
	}
	assert_null(peal_guest_mistake_name(PEAL_GUEST_MISTAKES));
	assert_null(peal_guest_mistake_name(~0u));
	assert_string_equal(peal_guest_mistake_name(PEAL_GUEST_WRONG_ADDRESS), "wrong-address");
	assert_string_equal(peal_guest_mistake_name(PEAL_GUEST_ITS_OFF), "its-off");
}

/* ---- memory ---- */

struct piece {
	uint64_t address;
	uint64_t size;
	uint8_t *cpu;
};

static struct piece alloc_piece(struct rig *rig, uint64_t size, uint64_t align)
{
	struct piece p = { .size = size };
	void *cpu = NULL;

	if (peal_guest_alloc(rig->guest, size, align, &cpu, &p.address) < 0)
		return (struct piece){ 0 };
	p.cpu = cpu;
	thread_assert(p.address % align == 0 && is_in_ram(rig, p.address, size));
	thread_assert(p.cpu == peal_machine_ram(rig->machine, p.address, size));
	for (uint64_t i = 0; i < size; i++)
		thread_assert(p.cpu[i] == 0);
	return p;
}

static void release_piece(struct rig *rig, struct piece *p)
{
	/* Who gets it next gets it zeroed. */
	memset(p->cpu, 0xee, p->size);
	peal_guest_release(rig->guest, p->address, p->size);
	*p = (struct piece){ 0 };
}

static void exhaust(struct rig *rig)
{
	static struct piece pieces[256];
	struct piece all;
	uint64_t room;
	unsigned n = 0, r;

	rig_guest_new(rig, PEAL_GUEST_RIGHT);
	while ((pieces[n] = alloc_piece(rig, CHUNK, CHUNK)).size) {
		for (unsigned i = 0; i < n; i++)
			thread_assert(pieces[i].address != pieces[n].address);
		n++;
		thread_assert(n < PEAL_COUNT_OF(pieces));
	}
	/* More than half of the RAM, whatever the tables take. */
	thread_assert(n * CHUNK > peal_machine_ram_size(rig->machine) / 2);
	/* Gaps of one chunk have room for one chunk, again and again, not for two. */
	for (r = 0; r < 3; r++) {
		for (unsigned i = 1; i < n; i += 2)
			release_piece(rig, &pieces[i]);
		thread_assert(!alloc_piece(rig, CHUNK + 1, 1).size);
		for (unsigned i = 1; i < n; i += 2) {
			pieces[i] = alloc_piece(rig, CHUNK, 1);
			thread_assert(pieces[i].size);
		}
		thread_assert(!alloc_piece(rig, 1 + CHUNK / 2, CHUNK).size);
	}
	for (unsigned i = 0; i < n; i++)
		release_piece(rig, &pieces[i]);
	/* What is free is in one piece again: the tables came first. */
	all = alloc_piece(rig, (n - 1) * CHUNK, CHUNK);
	thread_assert(all.size);
	room = PEAL_MACHINE_RAM + peal_machine_ram_size(rig->machine) - all.address;
	release_piece(rig, &all);
	/* To the last byte of RAM, and not one more. */
	thread_assert(!alloc_piece(rig, room + 1, CHUNK).size);
	all = alloc_piece(rig, room, CHUNK);
	thread_assert(all.size == room);
	release_piece(rig, &all);
	rig_guest_free(rig);
}

static void memory_runs_out_and_comes_back(void **state)
{
	struct rig rig;

	(void)state;
	rig_new(&rig, 1);
	rig_run(&rig, exhaust, NULL);
	rig_done(&rig);
}

static void ask_for_too_much(struct rig *rig)
{
	static const struct {
		uint64_t size, align;
	} wishes[] = {
		{ UINT64_MAX, 1 },
		{ UINT64_MAX - 0xffff, 0x10000 },
		{ UINT64_C(1) << 63, 1 },
		{ RIG_RAM + 2 * CHUNK, 1 },
		{ 1, UINT64_C(1) << 63 },
		{ 1, UINT64_C(1) << 31 },
		{ UINT64_MAX, UINT64_C(1) << 63 },
	};
	struct piece p;

	rig_guest_new(rig, PEAL_GUEST_RIGHT);
	for (size_t i = 0; i < PEAL_COUNT_OF(wishes); i++) {
		uint64_t address = 42;
		void *cpu = rig;

		thread_assert(peal_guest_alloc(rig->guest, wishes[i].size, wishes[i].align, &cpu,
					       &address) == -ENOMEM);
		thread_assert(address == 42 && cpu == rig);
	}
	/* RAM begins at 1 GiB: aligned to that there is only its start, which is not given out. */
	thread_assert(!alloc_piece(rig, 1, UINT64_C(1) << 30).size);
	p = alloc_piece(rig, 1, UINT64_C(1) << 21);
	thread_assert(p.size);
	release_piece(rig, &p);
	rig_guest_free(rig);
}

static void impossible_sizes_and_alignments_are_refused(void **state)
{
	struct rig rig;

	(void)state;
	rig_new_with_ram(&rig, 1, RIG_RAM);
	rig_run(&rig, ask_for_too_much, NULL);
	rig_done(&rig);
}

/* What one guest leaves in memory, the next one does not find in what it is given. */
static void leave_traces(struct rig *rig)
{
	struct piece all, p;

	rig_guest_new(rig, PEAL_GUEST_RIGHT);
	all = alloc_piece(rig, 16 * CHUNK, CHUNK);
	p = alloc_piece(rig, 4096, 4096);
	thread_assert(all.size && p.size);
	release_piece(rig, &all);
	release_piece(rig, &p);
	rig_guest_free(rig);
}

static void memory_is_zero_after_a_reboot_too(void **state)
{
	struct rig rig;

	(void)state;
	rig_new(&rig, 1);
	/* alloc_piece looks. */
	rig_run(&rig, leave_traces, NULL);
	rig_run(&rig, leave_traces, NULL);
	rig_run(&rig, exhaust, NULL);
	rig_done(&rig);
}

#define PIECES 300u

static void check_apart(const struct piece *pieces, unsigned which)
{
	const struct piece *p = &pieces[which];

	for (unsigned i = 0; i < PIECES; i++) {
		const struct piece *q = &pieces[i];

		thread_assert(i == which || !q->size || q->address + q->size <= p->address ||
			      p->address + p->size <= q->address);
	}
}

/* Any order of allocating and releasing; each piece keeps what was written to it. */
static void allocate_at_random(struct rig *rig)
{
	static struct piece pieces[PIECES];
	uint64_t seed = 7, refused = 0;

	rig_guest_new(rig, PEAL_GUEST_RIGHT);
	for (unsigned step = 0; step < 6000; step++) {
		unsigned which = (unsigned)test_random_below(&seed, PIECES);
		struct piece *p = &pieces[which];

		if (p->size) {
			for (uint64_t i = 0; i < p->size; i += 97)
				thread_assert(p->cpu[i] == (uint8_t)which);
			release_piece(rig, p);
			continue;
		}
		*p = alloc_piece(rig, 1 + test_random_below(&seed, 0x6000),
				 UINT64_C(1) << test_random_below(&seed, 17));
		refused += !p->size;
		if (!p->size)
			continue;
		check_apart(pieces, which);
		memset(p->cpu, (int)which, p->size);
	}
	/* Both happened: there was room, and there was none. */
	thread_assert(refused > 0 && refused < 3000);
	for (unsigned i = 0; i < PIECES; i++) {
		if (pieces[i].size)
			release_piece(rig, &pieces[i]);
	}
	/* Nothing is left, or this would trap. */
	rig_guest_free(rig);
}

static void pieces_never_overlap(void **state)
{
	struct rig rig;

	(void)state;
	rig_new_with_ram(&rig, 1, UINT64_C(2) << 20);
	rig_run(&rig, allocate_at_random, NULL);
	rig_done(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_vcpu_comes_up),
		cmocka_unit_test(two_vcpus_come_up),
		cmocka_unit_test(seventeen_vcpus_come_up),
		cmocka_unit_test(all_vcpus_come_up),
		cmocka_unit_test(a_guest_without_memory_does_not_come_up),
		cmocka_unit_test(registers_that_do_not_read_back_are_an_error),
		cmocka_unit_test(free_of_nothing_is_fine),
		cmocka_unit_test(mistakes_have_names),
		cmocka_unit_test(memory_runs_out_and_comes_back),
		cmocka_unit_test(memory_is_zero_after_a_reboot_too),
		cmocka_unit_test(impossible_sizes_and_alignments_are_refused),
		cmocka_unit_test(pieces_never_overlap),
	};

	return cmocka_run_group_tests_name("guest", tests, NULL, NULL);
}
