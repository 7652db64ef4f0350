/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address spaces: reading and writing, accessors, dirty reports.
 *
 * The space of most tests:
 *
 *   0x1000   memory  read and write
 *   0x1100   device
 *   0x1200   memory  read and write
 *   0x1300   memory  read only
 *   0x1400   nothing
 */
#include <support.h>

#define LOG 32u

struct device_call {
	bool write;
	uint64_t offset;
	size_t size;
};

/* An accessor that keeps bytes and writes down who asked. */
struct device {
	uint8_t bytes[0x100];
	struct device_call calls[LOG];
	unsigned ncalls;
	int answer;
	/* Done inside the next access. */
	struct peal_space *space;
	uint64_t unmap_address, unmap_size;
	uint64_t map_address, map_size;
	int map_answer;
};

static void device_call(struct device *device, bool write, uint64_t offset, size_t size)
{
	assert_true(device->ncalls < LOG);
	device->calls[device->ncalls++] = (struct device_call){ write, offset, size };
	assert_true(peal_in_range(offset, size, sizeof(device->bytes)));
	if (device->unmap_size) {
		assert_int_equal(peal_space_unmap(device->space, device->unmap_address,
						  device->unmap_size),
				 0);
		device->unmap_size = 0;
	}
	if (device->map_size) {
		device->map_answer = peal_space_map(device->space, device->map_address,
						    device->map_size, device->bytes, PEAL_MEM_RW);
		device->map_size = 0;
	}
}

static int device_read(void *user, uint64_t offset, void *bytes, size_t size)
{
	struct device *device = user;

	device_call(device, false, offset, size);
	memcpy(bytes, device->bytes + offset, size);
	return device->answer;
}

static int device_write(void *user, uint64_t offset, const void *bytes, size_t size)
{
	struct device *device = user;

	device_call(device, true, offset, size);
	memcpy(device->bytes + offset, bytes, size);
	return device->answer;
}

static const struct peal_mem_ops device_ops = { .read = device_read, .write = device_write };

struct dirty_call {
	uint64_t address, size;
	uint8_t first; /* byte that was there when it was reported */
};

struct fixture {
	struct peal_space *space;
	struct device device;
	uint8_t low[0x100], high[0x100], rom[0x100];
	struct dirty_call dirty[LOG];
	unsigned ndirty;
};

static void note_dirty(void *user, uint64_t address, uint64_t size)
{
	struct fixture *f = user;
	uint8_t first = 0;

	assert_true(f->ndirty < LOG);
	assert_int_equal(peal_space_read(f->space, address, &first, 1), 0);
	f->dirty[f->ndirty++] = (struct dirty_call){ address, size, first };
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct peal_space_config config = { .host = peal_host_default(),
						  .dirty = note_dirty,
						  .user = f };

	assert_non_null(f);
	for (unsigned i = 0; i < 0x100; i++) {
		f->low[i] = (uint8_t)i;
		f->device.bytes[i] = (uint8_t)(i ^ 0xff);
		f->high[i] = (uint8_t)(i + 0x80);
		f->rom[i] = (uint8_t)(i * 3);
	}
	assert_int_equal(peal_space_new(&f->space, &config), 0);
	f->device.space = f->space;
	assert_int_equal(peal_space_map(f->space, 0x1200, 0x100, f->high, PEAL_MEM_RW), 0);
	assert_int_equal(peal_space_map(f->space, 0x1000, 0x100, f->low, PEAL_MEM_RW), 0);
	assert_int_equal(peal_space_map(f->space, 0x1300, 0x100, f->rom, PEAL_MEM_READ), 0);
	assert_int_equal(peal_space_map_ops(f->space, 0x1100, 0x100, &device_ops, &f->device), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	peal_space_free(f->space);
	free(f);
	return 0;
}

static void read_crosses_ranges(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[0x400];

	assert_int_equal(peal_space_read(f->space, 0x1000, bytes, sizeof(bytes)), 0);
	assert_memory_equal(bytes, f->low, 0x100);
	assert_memory_equal(bytes + 0x100, f->device.bytes, 0x100);
	assert_memory_equal(bytes + 0x200, f->high, 0x100);
	assert_memory_equal(bytes + 0x300, f->rom, 0x100);
	assert_int_equal(f->device.ncalls, 1);
	assert_int_equal(f->device.calls[0].offset, 0);
	assert_int_equal(f->device.calls[0].size, 0x100);
	memset(bytes, 0xee, sizeof(bytes));
	assert_int_equal(peal_space_read(f->space, 0x10fe, bytes, 4), 0);
	assert_int_equal(peal_load_le(bytes, 4), 0xfefffffe);
	assert_int_equal(bytes[4], 0xee);
	assert_int_equal(f->ndirty, 0);
}

static void write_crosses_ranges_and_reports_memory(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[0x110];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + 1);
	assert_int_equal(peal_space_write(f->space, 0x10f8, bytes, sizeof(bytes)), 0);
	assert_int_equal(f->low[0xf7], 0xf7);
	assert_memory_equal(f->low + 0xf8, bytes, 8);
	assert_memory_equal(f->device.bytes, bytes + 8, 0x100);
	assert_memory_equal(f->high, bytes + 0x108, 8);
	assert_int_equal(f->high[8], 0x88);
	assert_int_equal(f->device.ncalls, 1);
	assert_true(f->device.calls[0].write);
	/* Each part of host memory, after its bytes; an accessor knows for itself. */
	assert_int_equal(f->ndirty, 2);
	assert_int_equal(f->dirty[0].address, 0x10f8);
	assert_int_equal(f->dirty[0].size, 8);
	assert_int_equal(f->dirty[0].first, bytes[0]);
	assert_int_equal(f->dirty[1].address, 0x1200);
	assert_int_equal(f->dirty[1].size, 8);
	assert_int_equal(f->dirty[1].first, bytes[0x108]);
}

static void nothing_moves_unless_all_can(void **state)
{
	struct fixture *f = *state, before = *f;
	uint8_t bytes[0x500], untouched[0x500];

	memset(bytes, 0xcc, sizeof(bytes));
	memset(untouched, 0xcc, sizeof(untouched));
	assert_int_equal(peal_space_read(f->space, 0x1000, bytes, 0x401), -EFAULT);
	assert_int_equal(peal_space_read(f->space, 0xfff, bytes, 2), -EFAULT);
	assert_int_equal(peal_space_write(f->space, 0x1000, bytes, 0x301), -EFAULT);
	assert_int_equal(peal_space_write(f->space, 0x13ff, bytes, 1), -EFAULT);
	assert_int_equal(peal_space_write(f->space, 0x12ff, bytes, 2), -EFAULT);
	assert_int_equal(peal_space_read(f->space, 0x1400, bytes, 1), -EFAULT);
	assert_int_equal(peal_space_faults(f->space), 6);
	assert_memory_equal(bytes, untouched, sizeof(bytes));
	assert_memory_equal(f->low, before.low, sizeof(f->low));
	assert_memory_equal(f->high, before.high, sizeof(f->high));
	assert_memory_equal(f->rom, before.rom, sizeof(f->rom));
	assert_int_equal(f->device.ncalls, 0);
	assert_int_equal(f->ndirty, 0);
}

static void nothing_is_always_there(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(peal_space_read(f->space, 0x9999, NULL, 0), 0);
	assert_int_equal(peal_space_write(f->space, 0x9999, NULL, 0), 0);
	assert_int_equal(peal_space_faults(f->space), 0);
	assert_int_equal(f->ndirty, 0);
}

static void error_of_an_accessor_comes_back(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[0x300] = { 0 };

	f->device.answer = -EIO;
	assert_int_equal(peal_space_read(f->space, 0x1180, bytes, 4), -EIO);
	assert_int_equal(peal_space_write(f->space, 0x1180, bytes, 4), -EIO);
	assert_int_equal(f->device.calls[1].offset, 0x80);
	/* What comes behind it is left alone. */
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(peal_space_write(f->space, 0x1000, bytes, 0x300), -EIO);
	assert_int_equal(f->low[1], 0);
	assert_int_equal(f->high[0], 0x80);
	assert_int_equal(peal_space_faults(f->space), 0);
}

static void accesses_of_memory_reach_no_accessor(void **state)
{
	struct fixture *f = *state;
	const uint8_t ones[0x20] = { 0xff, 0xff };
	uint8_t bytes[0x20] = { 0 };

	assert_int_equal(peal_space_read_memory(f->space, 0x1010, bytes, 0x20), 0);
	assert_memory_equal(bytes, f->low + 0x10, 0x20);
	assert_int_equal(peal_space_read_memory(f->space, 0x12f0, bytes, 0x20), 0);
	assert_memory_equal(bytes, f->high + 0xf0, 0x10);
	assert_memory_equal(bytes + 0x10, f->rom, 0x10);
	assert_int_equal(peal_space_write_memory(f->space, 0x1010, ones, 0x20), 0);
	assert_memory_equal(f->low + 0x10, ones, 0x20);
	assert_int_equal(f->ndirty, 1);
	assert_int_equal(peal_space_faults(f->space), 0);
	for (uint64_t address = 0x10f0; address < 0x1200; address += 0x10) {
		assert_int_equal(peal_space_read_memory(f->space, address, bytes, 0x20), -EFAULT);
		assert_int_equal(peal_space_write_memory(f->space, address, ones, 0x20), -EFAULT);
	}
	assert_int_equal(peal_space_write_memory(f->space, 0x12f0, ones, 0x20), -EFAULT);
	assert_int_equal(f->device.ncalls, 0);
	assert_int_equal(f->ndirty, 1);
	assert_int_equal(f->low[0xf0], 0xf0);
	assert_int_equal(f->high[0], 0x80);
}

static void dirty_is_passed_on(void **state)
{
	struct fixture *f = *state;
	uint64_t size = 0;
	unsigned token = peal_space_enter(f->space);
	uint8_t *at = peal_space_translate(f->space, 0x1010, PEAL_MEM_WRITE, &size);

	at[0] = 0x99;
	peal_space_dirty(f->space, 0x1010, 1);
	peal_space_leave(f->space, token);
	peal_space_dirty(f->space, 0x1010, 0); /* nothing */
	assert_int_equal(f->ndirty, 1);
	assert_int_equal(f->dirty[0].address, 0x1010);
	assert_int_equal(f->dirty[0].first, 0x99);
}

static void dirty_may_be_unwanted(void **state)
{
	struct test_ram ram;

	(void)state;
	test_ram_init(&ram, peal_host_default(), 0, 0x1000);
	peal_space_dirty(ram.space, 0, 1);
	assert_int_equal(peal_space_write(ram.space, 0x10, "abc", 3), 0);
	assert_memory_equal(test_ram_at(&ram, 0x10, 3), "abc", 3);
	test_ram_done(&ram);
}

/* ---- accessors that change the space they are in ---- */

static void accessor_may_map_and_unmap(void **state)
{
	struct fixture *f = *state;
	uint8_t byte = 0;

	f->device.map_address = 0x8000;
	f->device.map_size = 0x100;
	assert_int_equal(peal_space_read(f->space, 0x1100, &byte, 1), 0);
	assert_int_equal(f->device.map_answer, 0);
	f->device.bytes[7] = 0x17;
	assert_int_equal(peal_space_read(f->space, 0x8007, &byte, 1), 0);
	assert_int_equal(byte, 0x17);
	/* Itself. */
	f->device.unmap_address = 0x1100;
	f->device.unmap_size = 0x100;
	assert_int_equal(peal_space_write(f->space, 0x1108, &byte, 1), 0);
	assert_int_equal(f->device.bytes[8], 0x17);
	assert_int_equal(peal_space_read(f->space, 0x1108, &byte, 1), -EFAULT);
	peal_space_sync(f->space);
}

/* The access was checked before, and in its section the range is still good. */
static void access_goes_on_where_an_accessor_unmapped(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[0x200];

	f->device.unmap_address = 0x1200;
	f->device.unmap_size = 0x100;
	assert_int_equal(peal_space_read(f->space, 0x1100, bytes, sizeof(bytes)), 0);
	assert_memory_equal(bytes + 0x100, f->high, 0x100);
	assert_int_equal(peal_space_read(f->space, 0x1100, bytes, sizeof(bytes)), -EFAULT);
}

/* Of a long access the first ranges only are kept; one that is gone when its turn comes faults. */
static void range_far_behind_may_be_gone(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[0x100 + 16], small[16] = { 0 };

	assert_int_equal(peal_space_unmap(f->space, 0x1200, 0x100), 0);
	for (uint64_t i = 0; i < 16; i++)
		assert_int_equal(peal_space_map(f->space, 0x1200 + i, 1, small + i, PEAL_MEM_RW),
				 0);
	assert_int_equal(peal_space_read(f->space, 0x1100, bytes, sizeof(bytes)), 0);
	f->device.unmap_address = 0x120f;
	f->device.unmap_size = 1;
	assert_int_equal(peal_space_read(f->space, 0x1100, bytes, sizeof(bytes)), -EFAULT);
	assert_int_equal(peal_space_faults(f->space), 1);
}

/* ---- against an array ---- */

/* Ranges of 1..5 bytes with holes; every access is compared with what bytes alone would do. */
static void every_access_equals_single_bytes(void **state)
{
	uint8_t plain[256], memory[256];
	uint8_t access[256] = { 0 };
	const struct peal_space_config config = { .host = peal_host_default() };
	struct peal_space *space;
	uint64_t random = 5;

	(void)state;
	assert_int_equal(peal_space_new(&space, &config), 0);
	for (unsigned i = 0; i < 256; i++)
		plain[i] = memory[i] = (uint8_t)(i * 5);
	for (uint64_t at = 0; at < 256;) {
		uint64_t size = 1 + test_random_below(&random, 5);
		/* Mostly all access: long accesses shall often succeed. */
		unsigned kind = (unsigned)test_random_below(&random, 40);
		unsigned granted = kind < 3 ? kind : PEAL_MEM_RW;

		if (size > 256 - at)
			size = 256 - at;
		memset(access + at, (int)granted, (size_t)size);
		if (granted)
			assert_int_equal(
				peal_space_map(space, 0x500 + at, size, memory + at, granted), 0);
		at += size;
	}
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t at = test_random_below(&random, 256);
		size_t size = (size_t)test_random_below(&random, 257 - at);
		bool write = i % 2, granted = true;
		uint8_t bytes[256], expected[256];

		if (i % 4 < 2 && size > 24)
			size = 24;
		for (size_t k = 0; k < size; k++) {
			bytes[k] = expected[k] = (uint8_t)test_random(&random);
			granted &= (access[at + k] & (write ? PEAL_MEM_WRITE : PEAL_MEM_READ)) != 0;
		}
		if (write) {
			assert_int_equal(peal_space_write(space, 0x500 + at, bytes, size),
					 granted ? 0 : -EFAULT);
			if (granted)
				memcpy(plain + at, bytes, size);
			assert_memory_equal(memory, plain, 256);
		} else {
			assert_int_equal(peal_space_read(space, 0x500 + at, bytes, size),
					 granted ? 0 : -EFAULT);
			assert_memory_equal(bytes, granted ? plain + at : expected, size);
		}
	}
	peal_space_free(space);
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_fixture(read_crosses_ranges),
		with_fixture(write_crosses_ranges_and_reports_memory),
		with_fixture(nothing_moves_unless_all_can),
		with_fixture(nothing_is_always_there),
		with_fixture(error_of_an_accessor_comes_back),
		with_fixture(accesses_of_memory_reach_no_accessor),
		with_fixture(dirty_is_passed_on),
		cmocka_unit_test(dirty_may_be_unwanted),
		with_fixture(accessor_may_map_and_unmap),
		with_fixture(access_goes_on_where_an_accessor_unmapped),
		with_fixture(range_far_behind_may_be_gone),
		cmocka_unit_test(every_access_equals_single_bytes),
	};

	return cmocka_run_group_tests_name("mem-space-access", tests, NULL, NULL);
}
