/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device side of the split ring with a driver that breaks the rules: each way ends in its
 * fault, and in no crash, no loop and no access to memory that is not the driver's.
 */
#include "ring-fixture.h"

static struct fixture f;

static int setup(void **state)
{
	(void)state;
	fixture_init(&f);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_done(&f);
	return 0;
}

/* The ring is there, but to pop from it breaks it so. */
static void expect_pop_breaks(enum peal_vring_fault fault)
{
	assert_true(peal_vring_begin(&f.ring, f.space));
	assert_false(peal_vring_pop(&f.ring, &f.chain));
	assert_int_equal(f.ring.fault, fault);
	/* It stays broken, and nothing was used. */
	assert_false(peal_vring_pop(&f.ring, &f.chain));
	assert_false(peal_vring_look(&f.ring));
	assert_false(peal_vring_listen(&f.ring));
	assert_false(peal_vring_publish(&f.ring));
	assert_int_equal(used_index(&f), 0);
	peal_vring_end(&f.ring);
	assert_false(peal_vring_begin(&f.ring, f.space));
	assert_int_equal(f.ring.popped, 0);
}

static void a_loop_of_descriptors(void **state)
{
	(void)state;
	write_desc(&f, DESC, 0, DATA, 4, NEXT, 1);
	write_desc(&f, DESC, 1, DATA, 4, NEXT, 0);
	offer(&f, 0);
	expect_pop_breaks(PEAL_VRING_FAULT_LOOP);
}

static void a_descriptor_that_is_its_own_next(void **state)
{
	(void)state;
	write_desc(&f, DESC, 7, DATA, 4, NEXT | WRITE, 7);
	offer(&f, 7);
	expect_pop_breaks(PEAL_VRING_FAULT_LOOP);
}

static void a_loop_in_an_indirect_table(void **state)
{
	(void)state;
	write_desc(&f, TABLE, 0, DATA, 4, NEXT, 1);
	write_desc(&f, TABLE, 1, DATA, 4, NEXT, 0);
	write_desc(&f, DESC, 0, TABLE, 32, INDIRECT, 0);
	offer(&f, 0);
	expect_pop_breaks(PEAL_VRING_FAULT_LOOP);
}

static void an_indirect_chain_longer_than_the_queue(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 9; i++)
		write_desc(&f, TABLE, i, DATA, 4, i < 8 ? NEXT : 0, (uint16_t)(i + 1));
	write_desc(&f, DESC, 0, TABLE, 9 * 16, INDIRECT, 0);
	offer(&f, 0);
	expect_pop_breaks(PEAL_VRING_FAULT_LOOP);
}

static void a_next_past_the_queue(void **state)
{
	(void)state;
	write_desc(&f, DESC, 0, DATA, 4, NEXT, 8);
	offer(&f, 0);
	expect_pop_breaks(PEAL_VRING_FAULT_NEXT);
}

static void a_next_past_the_indirect_table(void **state)
{
	(void)state;
	/* Inside the queue's size, outside the table's. */
	write_desc(&f, TABLE, 0, DATA, 4, NEXT, 2);
	write_desc(&f, DESC, 0, TABLE, 32, INDIRECT, 0);
	offer(&f, 0);
	expect_pop_breaks(PEAL_VRING_FAULT_NEXT);
}

static void a_head_past_the_queue(void **state)
{
	(void)state;
	offer(&f, 8);
	expect_pop_breaks(PEAL_VRING_FAULT_HEAD);
}

static void a_head_of_all_ones(void **state)
{
	(void)state;
	offer(&f, 0xffff);
	expect_pop_breaks(PEAL_VRING_FAULT_HEAD);
}

static void an_index_that_jumps_by_more_than_the_size(void **state)
{
	(void)state;
	peal_store_le(at(&f, AVAIL + 2), 2, 9);
	expect_pop_breaks(PEAL_VRING_FAULT_INDEX);
}

static void an_index_that_goes_back(void **state)
{
	(void)state;
	peal_store_le(at(&f, AVAIL + 2), 2, 0xffff);
	expect_pop_breaks(PEAL_VRING_FAULT_INDEX);
}

static void an_index_that_passes_what_is_in_flight(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		write_desc(&f, DESC, i, DATA, 4, 0, 0);
		offer(&f, (uint16_t)i);
	}
	assert_true(peal_vring_begin(&f.ring, f.space));
	assert_true(peal_vring_pop(&f.ring, &f.chain));
	assert_true(peal_vring_pop(&f.ring, &f.chain));
	/* 8 more, while two of the 8 are not given back. */
	peal_store_le(at(&f, AVAIL + 2), 2, 10);
	assert_false(peal_vring_pop(&f.ring, &f.chain));
	assert_int_equal(f.ring.fault, PEAL_VRING_FAULT_INDEX);
	peal_vring_end(&f.ring);
}

static void an_index_that_goes_back_behind_what_is_in_flight(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		write_desc(&f, DESC, i, DATA, 4, 0, 0);
		offer(&f, (uint16_t)i);
	}
	assert_true(peal_vring_begin(&f.ring, f.space));
	assert_true(peal_vring_pop(&f.ring, &f.chain));
	assert_true(peal_vring_pop(&f.ring, &f.chain));
	peal_store_le(at(&f, AVAIL + 2), 2, 1);
	assert_false(peal_vring_pop(&f.ring, &f.chain));
	assert_int_equal(f.ring.fault, PEAL_VRING_FAULT_INDEX);
	peal_vring_end(&f.ring);
}

static void a_buffer_of_no_bytes(void **state)
{
	(void)state;
	write_desc(&f, DESC, 0, DATA, 0, 0, 0);
	offer(&f, 0);
	expect_pop_breaks(PEAL_VRING_FAULT_LENGTH);
}

static void a_chain_of_more_than_4_gib(void **state)
{
	(void)state;
	/* The same huge range twice: 2 × 2^31 is allowed, one byte more is not. */
	uint8_t *huge = (uint8_t *)(uintptr_t)0x10000; /* never touched */

	assert_int_equal(peal_space_map(f.space, UINT64_C(1) << 40, UINT64_C(1) << 31, huge,
					PEAL_MEM_RW),
			 0);
	write_desc(&f, DESC, 0, UINT64_C(1) << 40, UINT32_C(1) << 31, NEXT | WRITE, 1);
	write_desc(&f, DESC, 1, UINT64_C(1) << 40, UINT32_C(1) << 31, NEXT | WRITE, 2);
	write_desc(&f, DESC, 2, DATA, 1, WRITE, 0);
	offer(&f, 0);
	expect_pop_breaks(PEAL_VRING_FAULT_LENGTH);
	fixture_start(&f, 8, true, false);
	write_desc(&f, DESC, 0, UINT64_C(1) << 40, UINT32_C(1) << 31, NEXT | WRITE, 1);
	write_desc(&f, DESC, 1, UINT64_C(1) << 40, UINT32_C(1) << 31, WRITE, 2);
	offer(&f, 0);
	assert_true(peal_vring_begin(&f.ring, f.space));
	assert_true(peal_vring_pop(&f.ring, &f.chain));
	assert_true(f.chain.writable == UINT64_C(1) << 32);
}

static void an_address_outside_memory(void **state)
{
	static const uint64_t addresses[] = {
		0, RAM - 1, RAM + RAM_SIZE, RAM + RAM_SIZE - 3, UINT64_MAX, UINT64_MAX - 3,
	};

	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(addresses); i++) {
		fixture_start(&f, 8, true, false);
		write_desc(&f, DESC, 0, addresses[i], 4, i & 1 ? WRITE : 0, 0);
		offer(&f, 0);
		expect_pop_breaks(PEAL_VRING_FAULT_ADDRESS);
	}
}

static void a_length_that_wraps_to_mapped_memory(void **state)
{
	static uint8_t low[0x1000], high[0x1000];

	(void)state;
	assert_int_equal(peal_space_map(f.space, 0, sizeof(low), low, PEAL_MEM_RW), 0);
	assert_int_equal(
		peal_space_map(f.space, UINT64_MAX - 0xfff, sizeof(high), high, PEAL_MEM_RW), 0);
	write_desc(&f, DESC, 0, UINT64_MAX - 0xff, 0x200, WRITE, 0);
	offer(&f, 0);
	expect_pop_breaks(PEAL_VRING_FAULT_ADDRESS);
	/* Up to the very end is fine. */
	fixture_start(&f, 8, true, false);
	write_desc(&f, DESC, 0, UINT64_MAX - 0xff, 0x100, WRITE, 0);
	offer(&f, 0);
	assert_true(peal_vring_begin(&f.ring, f.space));
	assert_true(peal_vring_pop(&f.ring, &f.chain));
	assert_ptr_equal(f.segments[0].host, high + 0xf00);
}

static void a_buffer_with_a_hole(void **state)
{
	static uint8_t second[0x1000];

	(void)state;
	assert_int_equal(peal_space_map(f.space, RAM + RAM_SIZE + 0x1000, sizeof(second), second,
					PEAL_MEM_RW),
			 0);
	write_desc(&f, DESC, 0, RAM + RAM_SIZE - 0x10, 0x1020, WRITE, 0);
	offer(&f, 0);
	expect_pop_breaks(PEAL_VRING_FAULT_ADDRESS);
}

static void read_only_memory_as_writable(void **state)
{
	static uint8_t rom[0x1000];

	(void)state;
	assert_int_equal(peal_space_map(f.space, 0x1000, sizeof(rom), rom, PEAL_MEM_READ), 0);
	write_desc(&f, DESC, 0, 0x1000, 4, NEXT, 1);
	write_desc(&f, DESC, 1, 0x1000, 4, WRITE, 0);
	offer(&f, 0);
	expect_pop_breaks(PEAL_VRING_FAULT_ADDRESS);
}

/* After the same memory was read, and so translated, already. */
static void read_only_memory_as_writable_after_reading(void **state)
{
	static uint8_t rom[0x1000];

	(void)state;
	assert_int_equal(peal_space_map(f.space, 0x1000, sizeof(rom), rom, PEAL_MEM_READ), 0);
	write_desc(&f, DESC, 0, 0x1000, 4, NEXT, 1);
	write_desc(&f, DESC, 1, DATA, 4, NEXT | WRITE, 2);
	write_desc(&f, DESC, 2, 0x1100, 4, WRITE, 0);
	offer(&f, 0);
	expect_pop_breaks(PEAL_VRING_FAULT_ADDRESS);
}

static int accessor_read(void *user, uint64_t offset, void *bytes, size_t size)
{
	(void)user;
	(void)offset;
	memset(bytes, 0, size);
	return 0;
}

static int accessor_write(void *user, uint64_t offset, const void *bytes, size_t size)
{
	(void)user;
	(void)offset;
	(void)bytes;
	(void)size;
	return 0;
}

/* DMA to registers would be a way for a guest to have the device call into itself. */
static void registers_as_memory(void **state)
{
	static const struct peal_mem_ops ops = { accessor_read, accessor_write };

	(void)state;
	assert_int_equal(peal_space_map_ops(f.space, 0x1000, 0x1000, &ops, NULL), 0);
	write_desc(&f, DESC, 0, 0x1000, 4, WRITE, 0);
	offer(&f, 0);
	expect_pop_breaks(PEAL_VRING_FAULT_ADDRESS);
	fixture_start(&f, 8, true, false);
	write_desc(&f, DESC, 0, 0x1000, 16, INDIRECT, 0);
	offer(&f, 0);
	expect_pop_breaks(PEAL_VRING_FAULT_ADDRESS);
}

static void readable_after_writable(void **state)
{
	(void)state;
	write_desc(&f, DESC, 0, DATA, 4, NEXT | WRITE, 1);
	write_desc(&f, DESC, 1, DATA, 4, 0, 0);
	offer(&f, 0);
	expect_pop_breaks(PEAL_VRING_FAULT_ORDER);
}

static void indirect_in_indirect(void **state)
{
	(void)state;
	write_desc(&f, DESC, 0, TABLE, 16, INDIRECT, 0);
	write_desc(&f, TABLE, 0, TABLE, 16, INDIRECT, 0);
	offer(&f, 0);
	expect_pop_breaks(PEAL_VRING_FAULT_INDIRECT);
}

static void indirect_without_negotiation(void **state)
{
	(void)state;
	fixture_start(&f, 8, false, false);
	write_desc(&f, DESC, 0, TABLE, 16, INDIRECT, 0);
	write_desc(&f, TABLE, 0, DATA, 16, 0, 0);
	offer(&f, 0);
	expect_pop_breaks(PEAL_VRING_FAULT_INDIRECT);
}

static void indirect_with_next(void **state)
{
	(void)state;
	write_desc(&f, DESC, 0, TABLE, 16, INDIRECT | NEXT, 1);
	write_desc(&f, DESC, 1, DATA, 16, 0, 0);
	write_desc(&f, TABLE, 0, DATA, 16, 0, 0);
	offer(&f, 0);
	expect_pop_breaks(PEAL_VRING_FAULT_INDIRECT);
}

static void indirect_of_bad_length(void **state)
{
	static const uint32_t lengths[] = { 0, 1, 15, 17, 16 * 32769, 0xfffffff0, 0xffffffff };

	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(lengths); i++) {
		fixture_start(&f, 8, true, false);
		write_desc(&f, TABLE, 0, DATA, 16, 0, 0);
		write_desc(&f, DESC, 0, TABLE, lengths[i], INDIRECT, 0);
		offer(&f, 0);
		expect_pop_breaks(PEAL_VRING_FAULT_INDIRECT);
	}
}

static void indirect_table_outside_memory(void **state)
{
	static const uint64_t tables[] = { 0, RAM + RAM_SIZE - 16, UINT64_MAX - 15,
					   UINT64_MAX - 7 };

	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(tables); i++) {
		fixture_start(&f, 8, true, false);
		write_desc(&f, DESC, 0, tables[i], 32, INDIRECT, 0);
		offer(&f, 0);
		expect_pop_breaks(PEAL_VRING_FAULT_ADDRESS);
	}
}

static void more_segments_than_the_device_takes(void **state)
{
	(void)state;
	f.chain.max_segments = 2;
	for (unsigned i = 0; i < 3; i++)
		write_desc(&f, DESC, i, DATA, 4, i < 2 ? NEXT : 0, (uint16_t)(i + 1));
	offer(&f, 0);
	expect_pop_breaks(PEAL_VRING_FAULT_SEGMENTS);
}

/* ---- where the ring is ---- */

static void expect_no_ring(uint64_t desc, uint64_t avail, uint64_t used)
{
	const struct peal_vring_config config = {
		.desc_address = desc,
		.avail_address = avail,
		.used_address = used,
		.size = 8,
	};

	peal_vring_start(&f.ring, &config);
	assert_false(peal_vring_begin(&f.ring, f.space));
	assert_int_equal(f.ring.fault, PEAL_VRING_FAULT_RING);
	assert_null(f.ring.space);
	assert_false(peal_vring_begin(&f.ring, f.space));
}

static void misaligned_rings(void **state)
{
	(void)state;
	expect_no_ring(DESC + 8, AVAIL, USED);
	expect_no_ring(DESC, AVAIL + 1, USED);
	expect_no_ring(DESC, AVAIL, USED + 2);
}

static void unmapped_rings(void **state)
{
	(void)state;
	expect_no_ring(0, AVAIL, USED);
	expect_no_ring(DESC, RAM + RAM_SIZE, USED);
	expect_no_ring(DESC, AVAIL, UINT64_MAX - 3);
	/* The last bytes reach over the end: desc 128, avail 22, used 70. */
	expect_no_ring(RAM + RAM_SIZE - 112, AVAIL, USED);
	expect_no_ring(DESC, RAM + RAM_SIZE - 20, USED);
	expect_no_ring(DESC, AVAIL, RAM + RAM_SIZE - 68);
}

static void a_used_ring_in_read_only_memory(void **state)
{
	static uint8_t rom[0x1000] __attribute__((aligned(16)));

	(void)state;
	assert_int_equal(peal_space_map(f.space, 0x1000, sizeof(rom), rom, PEAL_MEM_READ), 0);
	expect_no_ring(DESC, AVAIL, 0x1000);
}

static void host_memory_that_is_not_aligned(void **state)
{
	static uint8_t memory[0x1010] __attribute__((aligned(16)));

	(void)state;
	assert_int_equal(peal_space_map(f.space, 0x1000, 0x1000, memory + 1, PEAL_MEM_RW), 0);
	expect_no_ring(0x1000, AVAIL, USED);
	expect_no_ring(DESC, 0x1000, USED);
	expect_no_ring(DESC, AVAIL, 0x1000);
}

static void rings_at_the_very_end_of_memory(void **state)
{
	const struct peal_vring_config config = {
		.desc_address = RAM + RAM_SIZE - 128,
		.avail_address = AVAIL,
		.used_address = USED,
		.size = 8,
	};

	(void)state;
	peal_vring_start(&f.ring, &config);
	assert_true(peal_vring_begin(&f.ring, f.space));
	peal_vring_end(&f.ring);
}

/* ---- chance ---- */

/* Any bytes in rings and tables: it ends, and segments are of the memory. */
static void random_rings(void **state)
{
	uint64_t seed = 20;

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		fixture_start(&f, 8, round & 1, round & 2);
		for (unsigned i = 0; i < 40; i++) {
			uint64_t r = test_random(&seed);
			uint64_t address = r & 1 ? test_random(&seed) : RAM + (r >> 8) % RAM_SIZE;

			write_desc(&f, i < 8 ? DESC : TABLE, i < 8 ? i : i - 8,
				   r & 0x30 ? address : TABLE,
				   (uint32_t)(r >> 16 & (r & 8 ? 0xfff : 0x70)),
				   (uint16_t)(r >> 33 & 7), (uint16_t)(r >> 36 & 15));
		}
		for (unsigned i = 0; i < 8; i++)
			offer(&f, (uint16_t)(test_random(&seed) & 7));
		if (!(round & 15))
			peal_store_le(at(&f, AVAIL + 2), 2, test_random(&seed));
		assert_true(peal_vring_begin(&f.ring, f.space));
		while (peal_vring_pop(&f.ring, &f.chain)) {
			assert_true(f.chain.nsegments >= 1 && f.chain.nsegments <= 8);
			for (unsigned i = 0; i < f.chain.nsegments; i++) {
				const struct peal_vring_segment *s = &f.segments[i];

				assert_true((uint8_t *)s->host >= f.memory &&
					    (uint8_t *)s->host + s->length <= f.memory + RAM_SIZE);
				assert_int_equal(s->writable, i >= f.chain.nreadable);
			}
			peal_vring_push(&f.ring, &f.chain, 0);
		}
		(void)peal_vring_publish(&f.ring);
		peal_vring_end(&f.ring);
	}
}

static void every_fault_has_a_name(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PEAL_VRING_FAULTS; i++) {
		assert_non_null(peal_vring_fault_name(i));
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(peal_vring_fault_name(i), peal_vring_fault_name(k));
	}
	assert_string_equal(peal_vring_fault_name(PEAL_VRING_FAULTS), "unknown");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(a_loop_of_descriptors),
		TEST(a_descriptor_that_is_its_own_next),
		TEST(a_loop_in_an_indirect_table),
		TEST(an_indirect_chain_longer_than_the_queue),
		TEST(a_next_past_the_queue),
		TEST(a_next_past_the_indirect_table),
		TEST(a_head_past_the_queue),
		TEST(a_head_of_all_ones),
		TEST(an_index_that_jumps_by_more_than_the_size),
		TEST(an_index_that_goes_back),
		TEST(an_index_that_passes_what_is_in_flight),
		TEST(an_index_that_goes_back_behind_what_is_in_flight),
		TEST(a_buffer_of_no_bytes),
		TEST(a_chain_of_more_than_4_gib),
		TEST(an_address_outside_memory),
		TEST(a_length_that_wraps_to_mapped_memory),
		TEST(a_buffer_with_a_hole),
		TEST(read_only_memory_as_writable),
		TEST(read_only_memory_as_writable_after_reading),
		TEST(registers_as_memory),
		TEST(readable_after_writable),
		TEST(indirect_in_indirect),
		TEST(indirect_without_negotiation),
		TEST(indirect_with_next),
		TEST(indirect_of_bad_length),
		TEST(indirect_table_outside_memory),
		TEST(more_segments_than_the_device_takes),
		TEST(misaligned_rings),
		TEST(unmapped_rings),
		TEST(a_used_ring_in_read_only_memory),
		TEST(host_memory_that_is_not_aligned),
		TEST(rings_at_the_very_end_of_memory),
		TEST(random_rings),
		TEST(every_fault_has_a_name),
	};

	return cmocka_run_group_tests_name("virtio-ring-hostile", tests, NULL, NULL);
}
