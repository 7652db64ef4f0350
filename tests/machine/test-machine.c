/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine itself: its map, its life, its errors. No guest runtime. */
#include <dirent.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"

#define GITS_TYPER UINT64_C(0x8)
#define GICR_TYPER UINT64_C(0x8)

static void numbers_out_of_range_are_refused(void **state)
{
	static const struct peal_machine_config configs[] = {
		{ .vcpus = 0, .ram_size = 0x10000 },
		{ .vcpus = PEAL_MACHINE_VCPUS_MAX + 1, .ram_size = 0x10000 },
		{ .vcpus = ~0u, .ram_size = 0x10000 },
		{ .vcpus = 1, .ram_size = 0 },
		{ .vcpus = 1, .ram_size = 0x8000 },
		{ .vcpus = 1, .ram_size = 0x10001 },
		{ .vcpus = 1, .ram_size = 0x18000 },
		/* RAM that would reach into the window of 64-bit BARs. */
		{ .vcpus = 1, .ram_size = PEAL_MACHINE_WINDOW64 - PEAL_MACHINE_RAM + 0x10000 },
		{ .vcpus = 1, .ram_size = UINT64_MAX - 0xffff },
	};

	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(configs); i++) {
		struct peal_machine *machine = (struct peal_machine *)&configs;

		assert_int_equal(peal_machine_new(&machine, &configs[i]), -EINVAL);
		assert_ptr_equal(machine, &configs);
	}
}

static void free_of_nothing_is_fine(void **state)
{
	(void)state;
	peal_machine_free(NULL);
}

static int make_and_free(const struct peal_host *host, void *user)
{
	const struct peal_machine_config config = {
		.host = host,
		.ram_size = 0x10000,
		.vcpus = *(unsigned *)user,
	};
	struct peal_machine *machine = user;
	int r = peal_machine_new(&machine, &config);

	if (r == 0)
		peal_machine_free(machine);
	else
		assert_ptr_equal(machine, user);
	return r;
}

static void every_allocation_may_fail(void **state)
{
	unsigned vcpus = 1, few;

	(void)state;
	few = test_every_allocation(make_and_free, &vcpus);
	vcpus = 3;
	/* Each vCPU has a redistributor with tables of its own. */
	assert_true(test_every_allocation(make_and_free, &vcpus) > few);
}

static void ram_is_where_the_map_says(void **state)
{
	struct rig rig;
	uint8_t *ram;

	(void)state;
	rig_new_with_ram(&rig, 1, 0x20000);
	assert_int_equal(peal_machine_ram_size(rig.machine), 0x20000);
	ram = peal_machine_ram(rig.machine, PEAL_MACHINE_RAM, 0x20000);
	assert_int_equal(ram[0] | ram[0x1ffff], 0);
	peal_machine_store(rig.machine, PEAL_MACHINE_RAM + 8, 8, UINT64_C(0x8877665544332211));
	assert_int_equal(ram[8], 0x11);
	assert_int_equal(ram[15], 0x88);
	assert_ptr_equal(peal_machine_ram(rig.machine, PEAL_MACHINE_RAM + 0x1ffff, 1),
			 ram + 0x1ffff);
	ram[0x1fffe] = 0xcd;
	ram[0x1ffff] = 0xab;
	assert_int_equal(peal_machine_load(rig.machine, PEAL_MACHINE_RAM + 0x1fffe, 2), 0xabcd);
	/* Half in RAM is nowhere. */
	assert_int_equal(peal_machine_load(rig.machine, PEAL_MACHINE_RAM + 0x1ffff, 2), 0xffff);
	rig_done(&rig);
}

static void nothing_reads_all_ones(void **state)
{
	static const uint64_t holes[] = {
		0,
		PEAL_MACHINE_ITS - 1,
		PEAL_MACHINE_REDISTS + 2 * PEAL_GIC_REDIST_SIZE,
		PEAL_MACHINE_WINDOW32,
		PEAL_MACHINE_ECAM - 8,
		PEAL_MACHINE_ECAM + PEAL_PCI_ECAM_SIZE,
		PEAL_MACHINE_RAM + 0x10000,
		PEAL_MACHINE_WINDOW64,
		UINT64_MAX - 7,
	};
	struct rig rig;

	(void)state;
	rig_new_with_ram(&rig, 2, 0x10000);
	for (size_t i = 0; i < PEAL_COUNT_OF(holes); i++) {
		for (unsigned size = 1; size <= 8; size *= 2) {
			uint64_t ones = size == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * size) - 1;

			peal_machine_store(rig.machine, holes[i], size, 0);
			assert_true(peal_machine_load(rig.machine, holes[i], size) == ones);
		}
	}
	rig_done(&rig);
}

static void frames_answer_at_their_addresses(void **state)
{
	struct rig rig;
	uint64_t typer;

	(void)state;
	rig_new(&rig, 17);
	assert_int_equal(peal_machine_vcpus(rig.machine), 17);
	typer = peal_machine_load(rig.machine, PEAL_MACHINE_ITS + GITS_TYPER, 8);
	assert_true(typer != UINT64_MAX && typer & 1); /* physical LPIs */
	for (unsigned i = 0; i < 17; i++) {
		uint64_t at = PEAL_MACHINE_REDISTS + i * PEAL_GIC_REDIST_SIZE + GICR_TYPER;

		typer = peal_machine_load(rig.machine, at, 8);
		assert_int_equal(peal_field(typer, 23, 8), i);
		/* Last: only the last one. */
		assert_int_equal(typer >> 4 & 1, i == 16);
		/* 16 CPUs a cluster. */
		assert_int_equal(typer >> 32, (i / 16) << 8 | i % 16);
		assert_int_equal(peal_machine_load(rig.machine, at + 4, 4), typer >> 32);
		assert_int_equal(peal_vcpu_index(peal_machine_vcpu(rig.machine, i)), i);
	}
	/* No function: vendor id all ones. */
	for (unsigned devfn = 0; devfn < 256; devfn++)
		assert_int_equal(peal_machine_load(rig.machine, PEAL_MACHINE_ECAM + (devfn << 12),
						   4),
				 0xffffffff);
	rig_done(&rig);
}

static void note_vcpu(struct rig *rig)
{
	*(unsigned *)rig->user += 1 + peal_vcpu_index(rig->vcpu);
}

static void runs_main_on_vcpu_0_each_time_it_starts(void **state)
{
	unsigned calls = 0;
	struct rig rig;

	(void)state;
	rig_new(&rig, 17);
	for (unsigned i = 1; i <= 20; i++) {
		rig_run(&rig, note_vcpu, &calls);
		assert_int_equal(calls, i);
	}
	rig_done(&rig);
}

static void many_vcpus_start_and_stop(void **state)
{
	unsigned calls = 0;
	struct rig rig;

	(void)state;
	rig_new(&rig, PEAL_MACHINE_VCPUS_MAX);
	rig_run(&rig, note_vcpu, &calls);
	assert_int_equal(calls, 1);
	rig_done(&rig);
}

static void wait_until_told(struct rig *rig)
{
	while (!__atomic_load_n((bool *)rig->user, __ATOMIC_SEQ_CST))
		peal_vcpu_wait_for_interrupt(rig->vcpu);
}

static void wait_tells_whether_main_has_returned(void **state)
{
	bool end = false;
	struct rig rig;

	(void)state;
	rig_new(&rig, 2);
	rig.body = wait_until_told;
	rig.user = &end;
	assert_int_equal(peal_machine_start(rig.machine, rig_main, &rig), 0);
	assert_false(peal_machine_wait(rig.machine, 0));
	assert_false(peal_machine_wait(rig.machine, 1));
	/* A kick alone does not end it. */
	peal_vcpu_kick(peal_machine_vcpu(rig.machine, 0));
	assert_false(peal_machine_wait(rig.machine, 20));
	__atomic_store_n(&end, true, __ATOMIC_SEQ_CST);
	peal_vcpu_kick(peal_machine_vcpu(rig.machine, 0));
	rig_wait(&rig);
	assert_true(peal_machine_wait(rig.machine, 0));
	peal_machine_stop(rig.machine);
	assert_true(peal_machine_wait(rig.machine, 0));
	rig_done(&rig);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static void threads_that_cannot_be_made_end_all(void **state)
{
	(void)state;
	print_message("# skip: a sanitizer needs more address space than this test leaves\n");
}
#else
static unsigned count_threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	const struct dirent *entry;
	unsigned count = 0;

	if (!tasks)
		return 0;
	while ((entry = readdir(tasks)) != NULL)
		count += entry->d_name[0] != '.';
	(void)closedir(tasks);
	return count;
}

/* In a process of its own, whose address space has no room for so many stacks. */
static int start_without_room(void)
{
	const struct peal_machine_config config = { .ram_size = 0x10000, .vcpus = 64 };
	struct rlimit limit = { 0 };
	struct peal_machine *machine;
	struct rig rig = { .body = note_vcpu };
	unsigned calls = 0, pages;
	FILE *statm = fopen("/proc/self/statm", "r");
	int r;

	if (!statm || fscanf(statm, "%u", &pages) != 1)
		return 1;
	(void)fclose(statm);
	if (peal_machine_new(&machine, &config) < 0)
		return 2;
	/* A few stacks of 8 MiB, each perhaps with an arena. */
	limit.rlim_cur = limit.rlim_max = (rlim_t)pages * 4096 + (UINT64_C(300) << 20);
	if (setrlimit(RLIMIT_AS, &limit) < 0)
		return 3;
	rig.user = &calls;
	r = peal_machine_start(machine, rig_main, &rig);
	if (r != -EAGAIN)
		return 4;
	/* vCPU 0 is made last, so nothing has run; of those before it none is left. */
	if (calls)
		return 5;
	if (count_threads() != 1)
		return 6;
	peal_machine_free(machine);
	return 0;
}

static void threads_that_cannot_be_made_end_all(void **state)
{
	int status = -1;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(start_without_room());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_out_of_range_are_refused),
		cmocka_unit_test(free_of_nothing_is_fine),
		cmocka_unit_test(every_allocation_may_fail),
		cmocka_unit_test(ram_is_where_the_map_says),
		cmocka_unit_test(nothing_reads_all_ones),
		cmocka_unit_test(frames_answer_at_their_addresses),
		cmocka_unit_test(runs_main_on_vcpu_0_each_time_it_starts),
		cmocka_unit_test(many_vcpus_start_and_stop),
		cmocka_unit_test(wait_tells_whether_main_has_returned),
		cmocka_unit_test(threads_that_cannot_be_made_end_all),
	};

	return cmocka_run_group_tests_name("machine", tests, NULL, NULL);
}
