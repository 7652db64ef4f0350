/* SPDX-License-Identifier: BSD-2-Clause */
/* The device side of the split ring with a driver that keeps the rules. */
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

static void begin(void)
{
	assert_true(peal_vring_begin(&f.ring, f.space));
}

static void an_empty_ring_has_no_chain(void **state)
{
	(void)state;
	begin();
	assert_false(peal_vring_look(&f.ring));
	assert_false(peal_vring_pop(&f.ring, &f.chain));
	assert_false(peal_vring_is_broken(&f.ring));
	assert_false(peal_vring_publish(&f.ring));
	peal_vring_end(&f.ring);
}

static void pop_translates_each_descriptor(void **state)
{
	(void)state;
	write_desc(&f, DESC, 3, DATA, 16, NEXT, 5);
	write_desc(&f, DESC, 5, DATA + 0x100, 512, NEXT | WRITE, 0);
	write_desc(&f, DESC, 0, DATA + 0x1000, 1, WRITE, 0);
	offer(&f, 3);
	begin();
	assert_true(peal_vring_look(&f.ring));
	assert_true(peal_vring_pop(&f.ring, &f.chain));
	assert_int_equal(f.chain.head, 3);
	assert_int_equal(f.chain.nsegments, 3);
	assert_int_equal(f.chain.nreadable, 1);
	assert_int_equal(f.chain.readable, 16);
	assert_int_equal(f.chain.writable, 513);
	assert_ptr_equal(f.segments[0].host, at(&f, DATA));
	assert_int_equal(f.segments[0].address, DATA);
	assert_int_equal(f.segments[0].length, 16);
	assert_false(f.segments[0].writable);
	assert_ptr_equal(f.segments[1].host, at(&f, DATA + 0x100));
	assert_int_equal(f.segments[1].length, 512);
	assert_true(f.segments[1].writable);
	assert_ptr_equal(f.segments[2].host, at(&f, DATA + 0x1000));
	assert_true(f.segments[2].writable);
	assert_false(peal_vring_pop(&f.ring, &f.chain));
	assert_false(peal_vring_is_broken(&f.ring));
}

static void a_buffer_across_ranges_becomes_several_segments(void **state)
{
	static uint8_t second[0x1000], third[0x1000];

	(void)state;
	assert_int_equal(
		peal_space_map(f.space, RAM + RAM_SIZE, sizeof(second), second, PEAL_MEM_RW), 0);
	assert_int_equal(peal_space_map(f.space, RAM + RAM_SIZE + 0x1000, sizeof(third), third,
					PEAL_MEM_RW),
			 0);
	write_desc(&f, DESC, 0, RAM + RAM_SIZE - 0x10, 0x1030, WRITE, 0);
	offer(&f, 0);
	begin();
	assert_true(peal_vring_pop(&f.ring, &f.chain));
	assert_int_equal(f.chain.nsegments, 3);
	assert_int_equal(f.chain.writable, 0x1030);
	assert_int_equal(f.segments[0].length, 0x10);
	assert_ptr_equal(f.segments[1].host, second);
	assert_int_equal(f.segments[1].length, 0x1000);
	assert_int_equal(f.segments[1].address, RAM + RAM_SIZE);
	assert_ptr_equal(f.segments[2].host, third);
	assert_int_equal(f.segments[2].length, 0x20);
	/* Bytes of a chain run over the borders. */
	assert_true(peal_vring_chain_write(&f.chain, 0x0e, "abcd", 4));
	assert_memory_equal(at(&f, RAM + RAM_SIZE - 2), "ab", 2);
	assert_memory_equal(second, "cd", 2);
	assert_true(peal_vring_chain_write(&f.chain, 0x1030 - 1, "z", 1));
	assert_int_equal(third[0x1f], 'z');
	assert_false(peal_vring_chain_write(&f.chain, 0x1030, "z", 1));
	assert_false(peal_vring_chain_write(&f.chain, UINT64_MAX, "z", 2));
}

/* What was translated in one section means nothing in the next. */
static void memory_that_moved_is_found_again(void **state)
{
	static uint8_t first[0x1000], second[0x1000], *const memories[] = { first, second, first };
	const uint64_t address = RAM + RAM_SIZE;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(peal_space_map(f.space, address, 0x1000, memories[i], PEAL_MEM_RW),
				 0);
		write_desc(&f, DESC, 0, address + 0x800, 4, NEXT, 1);
		write_desc(&f, DESC, 1, address + 0x900, 4, NEXT, 2);
		write_desc(&f, DESC, 2, address + 0x10, 4, NEXT, 3);
		write_desc(&f, DESC, 3, address + 0x20, 4, WRITE, 0);
		offer(&f, 0);
		begin();
		assert_true(peal_vring_pop(&f.ring, &f.chain));
		assert_ptr_equal(f.segments[0].host, memories[i] + 0x800);
		assert_ptr_equal(f.segments[1].host, memories[i] + 0x900);
		assert_ptr_equal(f.segments[2].host, memories[i] + 0x10);
		assert_ptr_equal(f.segments[3].host, memories[i] + 0x20);
		peal_vring_push(&f.ring, &f.chain, 0);
		(void)peal_vring_publish(&f.ring);
		peal_vring_end(&f.ring);
		assert_int_equal(peal_space_unmap(f.space, address, 0x1000), 0);
	}
}

static void chain_read_gathers_readable_bytes_only(void **state)
{
	char bytes[8] = "";

	(void)state;
	memcpy(at(&f, DATA), "abc", 3);
	memcpy(at(&f, DATA + 0x100), "defg", 4);
	write_desc(&f, DESC, 0, DATA, 3, NEXT, 1);
	write_desc(&f, DESC, 1, DATA + 0x100, 4, NEXT, 2);
	write_desc(&f, DESC, 2, DATA + 0x200, 4, WRITE, 0);
	offer(&f, 0);
	begin();
	assert_true(peal_vring_pop(&f.ring, &f.chain));
	assert_true(peal_vring_chain_read(&f.chain, 0, bytes, 7));
	assert_string_equal(bytes, "abcdefg");
	memset(bytes, 0, sizeof(bytes));
	assert_true(peal_vring_chain_read(&f.chain, 4, bytes, 2));
	assert_string_equal(bytes, "ef");
	assert_false(peal_vring_chain_read(&f.chain, 4, bytes, 4));
	assert_true(peal_vring_chain_read(&f.chain, 7, bytes, 0));
}

static void chain_write_zeroes_without_bytes(void **state)
{
	(void)state;
	memset(at(&f, DATA), 0xff, 8);
	write_desc(&f, DESC, 0, DATA, 8, WRITE, 0);
	offer(&f, 0);
	begin();
	assert_true(peal_vring_pop(&f.ring, &f.chain));
	assert_true(peal_vring_chain_write(&f.chain, 2, NULL, 4));
	assert_memory_equal(at(&f, DATA), "\xff\xff\0\0\0\0\xff\xff", 8);
}

/* Through the table that begins at TABLE + SKEW. */
static void pop_through_table(uint64_t skew)
{
	fixture_start(&f, 8, true, false);
	write_desc(&f, TABLE + skew, 0, DATA, 16, NEXT, 2);
	write_desc(&f, TABLE + skew, 2, DATA + 0x100, 4096, WRITE, 0);
	/* The write flag of the descriptor of a table means nothing (§2.7.5.3.2). */
	write_desc(&f, DESC, 7, TABLE + skew, 3 * 16, INDIRECT | (skew ? WRITE : 0), 9999);
	offer(&f, 7);
	begin();
	assert_true(peal_vring_pop(&f.ring, &f.chain));
	assert_int_equal(f.chain.head, 7);
	assert_int_equal(f.chain.nsegments, 2);
	assert_int_equal(f.chain.readable, 16);
	assert_int_equal(f.chain.writable, 4096);
	assert_ptr_equal(f.segments[1].host, at(&f, DATA + 0x100));
	peal_vring_push(&f.ring, &f.chain, 0);
	(void)peal_vring_publish(&f.ring);
	peal_vring_end(&f.ring);
}

static void an_indirect_table_may_stand_anywhere(void **state)
{
	(void)state;
	pop_through_table(0);
	pop_through_table(8);
	pop_through_table(1);
	pop_through_table(15);
}

static void an_indirect_table_may_cross_ranges(void **state)
{
	static uint8_t second[0x1000];
	uint64_t table = RAM + RAM_SIZE - 24;

	(void)state;
	assert_int_equal(
		peal_space_map(f.space, RAM + RAM_SIZE, sizeof(second), second, PEAL_MEM_READ), 0);
	write_desc(&f, table, 0, DATA, 16, NEXT, 1);
	/* The second descriptor lies on the border: 8 bytes on each side. */
	peal_store_le(at(&f, table + 16), 8, DATA + 0x40);
	peal_store_le(second, 4, 7);
	peal_store_le(second + 4, 2, WRITE);
	write_desc(&f, DESC, 0, table, 2 * 16, INDIRECT, 0);
	offer(&f, 0);
	begin();
	assert_true(peal_vring_pop(&f.ring, &f.chain));
	assert_int_equal(f.chain.nsegments, 2);
	assert_ptr_equal(f.segments[1].host, at(&f, DATA + 0x40));
	assert_int_equal(f.segments[1].length, 7);
}

static void a_table_may_follow_direct_descriptors(void **state)
{
	(void)state;
	write_desc(&f, DESC, 0, DATA, 16, NEXT, 1);
	write_desc(&f, DESC, 1, TABLE, 2 * 16, INDIRECT, 0);
	write_desc(&f, TABLE, 0, DATA + 0x100, 4, NEXT, 1);
	write_desc(&f, TABLE, 1, DATA + 0x200, 4, WRITE, 0);
	offer(&f, 0);
	begin();
	assert_true(peal_vring_pop(&f.ring, &f.chain));
	assert_int_equal(f.chain.nsegments, 3);
	assert_int_equal(f.chain.readable, 20);
}

static void a_chain_may_have_as_many_descriptors_as_the_queue(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++)
		write_desc(&f, DESC, i, DATA + 16 * i, 16, i < 7 ? NEXT : 0, (uint16_t)(i + 1));
	offer(&f, 0);
	for (unsigned i = 0; i < 8; i++)
		write_desc(&f, TABLE, i, DATA + 16 * i, 16, i < 7 ? NEXT : 0, (uint16_t)(i + 1));
	begin();
	assert_true(peal_vring_pop(&f.ring, &f.chain));
	assert_int_equal(f.chain.nsegments, 8);
	peal_vring_push(&f.ring, &f.chain, 0);
	(void)peal_vring_publish(&f.ring);
	write_desc(&f, DESC, 0, TABLE, 8 * 16, INDIRECT, 0);
	offer(&f, 0);
	assert_true(peal_vring_pop(&f.ring, &f.chain));
	assert_int_equal(f.chain.nsegments, 8);
}

static void push_is_seen_after_publish(void **state)
{
	(void)state;
	write_desc(&f, DESC, 1, DATA, 64, WRITE, 0);
	write_desc(&f, DESC, 2, DATA + 64, 64, WRITE, 0);
	offer(&f, 1);
	offer(&f, 2);
	begin();
	assert_true(peal_vring_pop(&f.ring, &f.chain));
	peal_vring_push(&f.ring, &f.chain, 10);
	assert_true(peal_vring_pop(&f.ring, &f.chain));
	peal_vring_push(&f.ring, &f.chain, 64);
	assert_int_equal(used_index(&f), 0);
	assert_true(peal_vring_publish(&f.ring));
	assert_int_equal(used_index(&f), 2);
	assert_int_equal(peal_load_le(at(&f, USED + 4), 4), 1);
	assert_int_equal(peal_load_le(at(&f, USED + 8), 4), 10);
	assert_int_equal(peal_load_le(at(&f, USED + 12), 4), 2);
	assert_int_equal(peal_load_le(at(&f, USED + 16), 4), 64);
	/* Nothing new: no interrupt. */
	assert_false(peal_vring_publish(&f.ring));
	assert_int_equal(f.ring.popped, 2);
}

static void the_budget_ends_a_batch(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		write_desc(&f, DESC, i, DATA, 1, WRITE, 0);
		offer(&f, (uint16_t)i);
	}
	f.ring.budget = 2;
	begin();
	for (unsigned i = 0; i < 2; i++) {
		assert_true(peal_vring_pop(&f.ring, &f.chain));
		peal_vring_push(&f.ring, &f.chain, 0);
	}
	assert_false(peal_vring_pop(&f.ring, &f.chain));
	assert_false(peal_vring_is_broken(&f.ring));
	(void)peal_vring_publish(&f.ring);
	assert_true(peal_vring_look(&f.ring));
	f.ring.budget = 1;
	assert_true(peal_vring_pop(&f.ring, &f.chain));
	assert_int_equal(f.chain.head, 2);
}

/* Indices wrap at 2^16 whatever the size. */
static void indices_wrap(void **state)
{
	(void)state;
	fixture_start(&f, 4, false, false);
	begin();
	for (unsigned i = 0; i < 70000; i++) {
		uint16_t head = (uint16_t)(i & 3);

		f.ring.budget = 1;
		write_desc(&f, DESC, head, DATA, 4, WRITE, 0);
		offer(&f, head);
		assert_true(peal_vring_pop(&f.ring, &f.chain));
		assert_int_equal(f.chain.head, head);
		peal_vring_push(&f.ring, &f.chain, 4);
		assert_true(peal_vring_publish(&f.ring));
		assert_int_equal(used_index(&f), (uint16_t)(i + 1));
		assert_int_equal(peal_load_le(at(&f, USED + 4 + 8 * head), 4), head);
	}
	assert_false(peal_vring_pop(&f.ring, &f.chain));
}

static void a_full_ring_is_popped_whole(void **state)
{
	(void)state;
	f.ring.next_avail = f.ring.seen_avail = f.ring.next_used = f.ring.published = 65533;
	f.avail_index = 65533;
	for (unsigned i = 0; i < 8; i++) {
		write_desc(&f, DESC, i, DATA, 4, 0, 0);
		offer(&f, (uint16_t)i);
	}
	begin();
	for (unsigned i = 0; i < 8; i++) {
		assert_true(peal_vring_pop(&f.ring, &f.chain));
		assert_int_equal(f.chain.head, i);
		peal_vring_push(&f.ring, &f.chain, 0);
	}
	assert_false(peal_vring_pop(&f.ring, &f.chain));
	assert_false(peal_vring_is_broken(&f.ring));
	(void)peal_vring_publish(&f.ring);
	assert_int_equal(used_index(&f), 5);
}

static bool was_dirty(uint64_t address, uint64_t size)
{
	assert_true(f.dirty.count <= PEAL_COUNT_OF(f.dirty.address));
	for (unsigned i = 0; i < f.dirty.count; i++) {
		if (f.dirty.address[i] == address && f.dirty.size[i] == size)
			return true;
	}
	return false;
}

static void what_the_device_writes_is_reported(void **state)
{
	(void)state;
	f.ring.next_avail = f.ring.seen_avail = f.ring.next_used = f.ring.published = 7;
	f.avail_index = 7;
	write_desc(&f, DESC, 0, DATA, 16, NEXT, 1);
	write_desc(&f, DESC, 1, DATA + 0x100, 16, WRITE | NEXT, 2);
	write_desc(&f, DESC, 2, DATA + 0x200, 16, WRITE, 0);
	write_desc(&f, DESC, 3, DATA + 0x300, 16, WRITE, 0);
	offer(&f, 0);
	offer(&f, 3);
	begin();
	assert_true(peal_vring_pop(&f.ring, &f.chain));
	peal_vring_push(&f.ring, &f.chain, 20);
	assert_int_equal(f.dirty.count, 2);
	assert_true(was_dirty(DATA + 0x100, 16));
	assert_true(was_dirty(DATA + 0x200, 4));
	assert_true(peal_vring_pop(&f.ring, &f.chain));
	peal_vring_push(&f.ring, &f.chain, 0);
	assert_int_equal(f.dirty.count, 2);
	(void)peal_vring_publish(&f.ring);
	/* The elements 7 and 0, and the index. */
	assert_int_equal(f.dirty.count, 5);
	assert_true(was_dirty(USED + 4 + 7 * 8, 8));
	assert_true(was_dirty(USED + 4, 8));
	assert_true(was_dirty(USED + 2, 2));
}

/* ---- suppression ---- */

/* One chain there and back; did the driver want an interrupt? */
static bool round_trip(void)
{
	write_desc(&f, DESC, 0, DATA, 4, WRITE, 0);
	offer(&f, 0);
	assert_true(peal_vring_pop(&f.ring, &f.chain));
	peal_vring_push(&f.ring, &f.chain, 0);
	return peal_vring_publish(&f.ring);
}

static void no_interrupt_flag_suppresses(void **state)
{
	(void)state;
	begin();
	assert_true(round_trip());
	peal_store_le(at(&f, AVAIL), 2, PEAL_VRING_AVAIL_F_NO_INTERRUPT);
	assert_false(round_trip());
	assert_false(round_trip());
	peal_store_le(at(&f, AVAIL), 2, 0);
	assert_true(round_trip());
}

static void used_event_asks_for_one_interrupt(void **state)
{
	uint8_t *used_event;

	(void)state;
	fixture_start(&f, 8, false, true);
	used_event = at(&f, AVAIL + 4 + 2 * 8);
	begin();
	/* The flag means nothing with event index (§2.7.7.1). */
	peal_store_le(at(&f, AVAIL), 2, PEAL_VRING_AVAIL_F_NO_INTERRUPT);
	assert_true(round_trip());
	/* 1: the index is past 0 already. */
	assert_false(round_trip());
	peal_store_le(used_event, 2, 3);
	assert_false(round_trip());
	assert_true(round_trip());
	assert_false(round_trip());
}

static void used_event_inside_a_batch_interrupts_once(void **state)
{
	(void)state;
	fixture_start(&f, 8, false, true);
	peal_store_le(at(&f, AVAIL + 4 + 2 * 8), 2, 2);
	for (unsigned i = 0; i < 4; i++) {
		write_desc(&f, DESC, i, DATA, 4, WRITE, 0);
		offer(&f, (uint16_t)i);
	}
	begin();
	while (peal_vring_pop(&f.ring, &f.chain))
		peal_vring_push(&f.ring, &f.chain, 0);
	assert_true(peal_vring_publish(&f.ring));
	assert_false(peal_vring_publish(&f.ring));
}

/* §2.7.7.2: exactly when EVENT lies in [old, new), also around 2^16. */
static void event_arithmetic_is_that_of_the_interval(void **state)
{
	static const uint16_t starts[] = { 0, 1, 100, 32767, 32768, 65500, 65534, 65535 };

	(void)state;
	for (size_t s = 0; s < PEAL_COUNT_OF(starts); s++) {
		for (unsigned distance = 0; distance < 40; distance++) {
			uint16_t old = starts[s], new = (uint16_t)(old + distance);

			for (int e = -20; e < 60; e++) {
				uint16_t event = (uint16_t)(old + e);
				bool inside = e >= 0 && e < (int)distance;

				assert_int_equal(peal_vring_need_event(event, new, old), inside);
			}
		}
	}
}

static void quiet_sets_no_notify_and_listen_clears_it(void **state)
{
	(void)state;
	begin();
	assert_int_equal(peal_load_le(at(&f, USED), 2), 0);
	peal_vring_quiet(&f.ring);
	assert_int_equal(peal_load_le(at(&f, USED), 2), PEAL_VRING_USED_F_NO_NOTIFY);
	assert_false(peal_vring_listen(&f.ring));
	assert_int_equal(peal_load_le(at(&f, USED), 2), 0);
}

static void listen_sets_avail_event_to_where_the_device_is(void **state)
{
	(void)state;
	fixture_start(&f, 8, false, true);
	begin();
	peal_vring_quiet(&f.ring);
	(void)round_trip();
	(void)round_trip();
	assert_int_equal(peal_load_le(at(&f, USED), 2), 0);
	assert_false(peal_vring_listen(&f.ring));
	assert_int_equal(peal_load_le(at(&f, USED + 4 + 8 * 8), 2), 2);
	/* The driver's next chain, the third, passes it. */
	assert_true(peal_vring_need_event(2, 3, 2));
}

static void listen_says_that_work_came_meanwhile(void **state)
{
	(void)state;
	begin();
	peal_vring_quiet(&f.ring);
	assert_false(peal_vring_look(&f.ring));
	write_desc(&f, DESC, 0, DATA, 4, WRITE, 0);
	offer(&f, 0);
	assert_true(peal_vring_listen(&f.ring));
	assert_true(peal_vring_pop(&f.ring, &f.chain));
}

static void chains_that_are_left_are_no_new_work(void **state)
{
	(void)state;
	write_desc(&f, DESC, 0, DATA, 4, WRITE, 0);
	offer(&f, 0);
	begin();
	peal_vring_quiet(&f.ring);
	assert_true(peal_vring_look(&f.ring));
	assert_false(peal_vring_listen(&f.ring));
	offer(&f, 0);
	assert_true(peal_vring_listen(&f.ring));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(an_empty_ring_has_no_chain),
		TEST(pop_translates_each_descriptor),
		TEST(a_buffer_across_ranges_becomes_several_segments),
		TEST(memory_that_moved_is_found_again),
		TEST(chain_read_gathers_readable_bytes_only),
		TEST(chain_write_zeroes_without_bytes),
		TEST(an_indirect_table_may_stand_anywhere),
		TEST(an_indirect_table_may_cross_ranges),
		TEST(a_table_may_follow_direct_descriptors),
		TEST(a_chain_may_have_as_many_descriptors_as_the_queue),
		TEST(push_is_seen_after_publish),
		TEST(the_budget_ends_a_batch),
		TEST(indices_wrap),
		TEST(a_full_ring_is_popped_whole),
		TEST(what_the_device_writes_is_reported),
		TEST(no_interrupt_flag_suppresses),
		TEST(used_event_asks_for_one_interrupt),
		TEST(used_event_inside_a_batch_interrupts_once),
		TEST(event_arithmetic_is_that_of_the_interval),
		TEST(quiet_sets_no_notify_and_listen_clears_it),
		TEST(listen_sets_avail_event_to_where_the_device_is),
		TEST(listen_says_that_work_came_meanwhile),
		TEST(chains_that_are_left_are_no_new_work),
	};

	return cmocka_run_group_tests_name("virtio-ring", tests, NULL, NULL);
}
