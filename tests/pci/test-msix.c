/* SPDX-License-Identifier: BSD-2-Clause */
/* What a raise does: sent, pended, merged or dropped, and what unmasking makes of it. */
#include "fixture.h"

#define VECTORS 66u /* two words of PBA */

/* All vectors programmed and unmasked, MSI-X on. */
static void running_init(struct fixture *f)
{
	fixture_init_msix(f, VECTORS);
	for (unsigned v = 0; v < VECTORS; v++)
		program_vector(f, v, false);
	set_control(f, MSIX_ENABLE);
}

static void assert_sent(struct fixture *f, uint64_t count)
{
	assert_int_equal(test_sink_count(&f->sink), count);
}

/* ---- raising ---- */

static void unmasked_vector_sends_its_message_once(void **state)
{
	struct fixture f;

	(void)state;
	running_init(&f);
	for (unsigned v = 0; v < VECTORS; v++) {
		assert_int_equal(peal_msix_notify(f.msix, v), 1);
		assert_sent(&f, v + 1);
		assert_message(&f.sink, VECTOR_ADDRESS(v), VECTOR_DATA(v));
		assert_false(pba(&f, v));
	}
	assert_raised(f.msix, PEAL_MSIX_ALL, VECTORS);
	fixture_done(&f);
}

static void vector_out_of_range_does_nothing(void **state)
{
	static const unsigned vectors[] = { VECTORS, VECTORS + 1, 2048, 0x10000, ~0u };
	struct fixture f;

	(void)state;
	running_init(&f);
	for (size_t i = 0; i < PEAL_COUNT_OF(vectors); i++)
		assert_int_equal(peal_msix_notify(f.msix, vectors[i]), 0);
	assert_sent(&f, 0);
	assert_raised(f.msix, PEAL_MSIX_ALL, 0);
	fixture_done(&f);
}

static void answer_of_the_sink_is_returned_and_counted(void **state)
{
	struct fixture f;

	(void)state;
	running_init(&f);
	f.sink.answer = 0;
	assert_int_equal(peal_msix_notify(f.msix, 1), 0);
	f.sink.answer = -EIO;
	assert_int_equal(peal_msix_notify(f.msix, 1), -EIO);
	assert_int_equal(peal_msix_notify(f.msix, 2), -EIO);
	assert_int_equal(counters(f.msix, 1).blocked, 1);
	assert_int_equal(counters(f.msix, 1).failed, 1);
	assert_int_equal(counters(f.msix, 1).sent, 2);
	assert_int_equal(counters(f.msix, PEAL_MSIX_ALL).failed, 2);
	/* What the sink says about a refired one is counted too. */
	set_mask(&f, 1, true);
	(void)peal_msix_notify(f.msix, 1);
	set_mask(&f, 1, false);
	assert_int_equal(counters(f.msix, 1).failed, 2);
	assert_raised(f.msix, 1, 3);
	assert_raised(f.msix, 2, 1);
	fixture_done(&f);
}

/* ---- pending ---- */

static void masked_vector_pends_and_unmask_fires_once(void **state)
{
	struct fixture f;

	(void)state;
	running_init(&f);
	for (unsigned v = 0; v < VECTORS; v += 13) {
		uint64_t before = test_sink_count(&f.sink);

		set_mask(&f, v, true);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(peal_msix_notify(f.msix, v), 0);
		assert_sent(&f, before);
		assert_true(pba(&f, v));
		assert_true(peal_msix_is_pending(f.msix, v));
		set_mask(&f, v, false);
		assert_sent(&f, before + 1);
		assert_message(&f.sink, VECTOR_ADDRESS(v), VECTOR_DATA(v));
		assert_false(pba(&f, v));
		/* Unmasked to unmasked, and again around: nothing is left to fire. */
		set_mask(&f, v, false);
		set_mask(&f, v, true);
		set_mask(&f, v, false);
		assert_sent(&f, before + 1);
		assert_int_equal(counters(f.msix, v).pended, 1);
		assert_int_equal(counters(f.msix, v).merged, 2);
		assert_int_equal(counters(f.msix, v).refired, 1);
		assert_raised(f.msix, v, 3);
	}
	fixture_done(&f);
}

static void unmask_without_pending_bit_sends_nothing(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init_msix(&f, VECTORS);
	set_control(&f, MSIX_ENABLE);
	for (unsigned v = 0; v < VECTORS; v++)
		program_vector(&f, v, false);
	set_control(&f, MSIX_ENABLE | MSIX_FUNCTION_MASK);
	set_control(&f, 0);
	set_control(&f, MSIX_ENABLE);
	assert_sent(&f, 0);
	fixture_done(&f);
}

/* A way to mask a vector, and back. */
struct masking {
	const char *name;
	unsigned control; /* while it is masked */
	bool mask;        /* the Mask bit meanwhile */
};

static void every_way_to_mask_pends_and_every_way_back_fires(void **state)
{
	static const struct masking ways[] = {
		{ "mask bit", MSIX_ENABLE, true },
		{ "function mask", MSIX_ENABLE | MSIX_FUNCTION_MASK, false },
		{ "not enabled", 0, false },
		{ "not enabled and function mask", MSIX_FUNCTION_MASK, false },
	};
	uint64_t sent = 0;
	struct fixture f;

	(void)state;
	running_init(&f);
	for (size_t i = 0; i < PEAL_COUNT_OF(ways); i++) {
		set_control(&f, ways[i].control);
		set_mask(&f, 65, ways[i].mask);
		assert_true(peal_msix_is_masked(f.msix, 65));
		assert_int_equal(peal_msix_notify(f.msix, 65), 0);
		assert_true(pba(&f, 65));
		assert_sent(&f, sent);
		if (ways[i].mask)
			set_mask(&f, 65, false);
		else
			set_control(&f, MSIX_ENABLE);
		assert_sent(&f, ++sent);
		assert_message(&f.sink, VECTOR_ADDRESS(65), VECTOR_DATA(65));
		assert_false(pba(&f, 65));
		assert_false(peal_msix_is_masked(f.msix, 65));
	}
	fixture_done(&f);
}

static void masked_to_masked_sends_nothing_and_keeps_the_bit(void **state)
{
	struct fixture f;

	(void)state;
	running_init(&f);
	set_mask(&f, 5, true);
	assert_int_equal(peal_msix_notify(f.msix, 5), 0);
	/* The other two masks come and go. */
	set_control(&f, MSIX_ENABLE | MSIX_FUNCTION_MASK);
	set_control(&f, MSIX_ENABLE);
	set_control(&f, 0);
	set_control(&f, MSIX_FUNCTION_MASK);
	set_mask(&f, 5, true);
	set_mask(&f, 5, false); /* from one mask into another */
	set_control(&f, MSIX_FUNCTION_MASK | MSIX_ENABLE);
	set_mask(&f, 5, true);
	set_control(&f, MSIX_ENABLE);
	assert_sent(&f, 0);
	assert_true(pba(&f, 5));
	set_mask(&f, 5, false);
	assert_sent(&f, 1);
	assert_raised(f.msix, 5, 1);
	fixture_done(&f);
}

static void message_rewritten_while_masked_is_what_is_sent(void **state)
{
	struct fixture f;

	(void)state;
	running_init(&f);
	set_mask(&f, 0, true);
	assert_int_equal(peal_msix_notify(f.msix, 0), 0);
	table_write(&f, 0, 4, 0xaaaa0000);
	table_write(&f, 4, 4, 0x12);
	table_write(&f, 8, 4, 0xbbbb);
	assert_sent(&f, 0);
	set_mask(&f, 0, false);
	assert_message(&f.sink, UINT64_C(0x12aaaa0000), 0xbbbb);
	/* Rewritten while unmasked, from the next raise on. */
	table_write(&f, 8, 2, 0xcccc);
	assert_sent(&f, 1);
	assert_int_equal(peal_msix_notify(f.msix, 0), 1);
	assert_message(&f.sink, UINT64_C(0x12aaaa0000), 0xcccc);
	fixture_done(&f);
}

static void function_mask_collects_all_vectors_and_fires_each_once(void **state)
{
	struct fixture f;

	(void)state;
	running_init(&f);
	set_mask(&f, 64, true);
	set_control(&f, MSIX_ENABLE | MSIX_FUNCTION_MASK);
	for (unsigned v = 0; v < VECTORS; v++) {
		assert_int_equal(peal_msix_notify(f.msix, v), 0);
		assert_int_equal(peal_msix_notify(f.msix, v), 0);
	}
	assert_int_equal(table_read(&f, 2048, 8), ~UINT64_C(0));
	assert_int_equal(table_read(&f, 2056, 8), 3);
	assert_sent(&f, 0);
	set_control(&f, MSIX_ENABLE);
	assert_sent(&f, VECTORS - 1);
	assert_int_equal(table_read(&f, 2048, 8), 0);
	assert_int_equal(table_read(&f, 2056, 8), 1); /* its own mask holds it */
	for (unsigned v = 0; v < VECTORS; v++) {
		assert_int_equal(counters(f.msix, v).sent, v != 64);
		assert_raised(f.msix, v, 2);
	}
	set_mask(&f, 64, false);
	assert_sent(&f, VECTORS);
	fixture_done(&f);
}

/* ---- the control word ---- */

/* The write of SIZE bytes at OFFSET of the capability whose bytes at 2 and 3 are CONTROL's. */
static void write_control(struct fixture *f, int offset, unsigned size, uint64_t control_word)
{
	int shift = 8 * ((int)MSIX_CONTROL - offset);

	config_write(f, (uint32_t)((int)f->capability + offset), size,
		     shift < 0 ? control_word >> -shift : control_word << shift);
}

static void control_word_is_written_by_any_width_that_covers_it(void **state)
{
	static const struct {
		int offset;
		unsigned size;
	} writes[] = { { 2, 2 }, { 3, 1 }, { 0, 4 }, { 1, 4 }, { 3, 2 },
		       { 2, 4 }, { 3, 4 }, { 0, 8 }, { -4, 8 } };
	uint64_t sent = 0;
	struct fixture f;

	(void)state;
	running_init(&f);
	for (size_t i = 0; i < PEAL_COUNT_OF(writes); i++) {
		int offset = writes[i].offset;
		unsigned size = writes[i].size;

		write_control(&f, offset, size, 0);
		assert_int_equal(control(&f), VECTORS - 1);
		assert_int_equal(peal_msix_notify(f.msix, 9), 0);
		write_control(&f, offset, size, MSIX_ENABLE | MSIX_FUNCTION_MASK);
		assert_int_equal(control(&f), 0xc000 | (VECTORS - 1));
		assert_sent(&f, sent);
		write_control(&f, offset, size, MSIX_ENABLE);
		assert_sent(&f, ++sent);
	}
	/* The other byte of the word is the table size: nothing happens. */
	config_write(&f, f.capability + MSIX_CONTROL, 1, 0);
	config_write(&f, f.capability + 1, 2, 0);
	assert_true(peal_msix_is_enabled(f.msix));
	fixture_done(&f);
}

static void table_size_is_read_only(void **state)
{
	struct fixture f;

	(void)state;
	running_init(&f);
	set_control(&f, 0x3fff);
	assert_int_equal(control(&f), VECTORS - 1);
	set_control(&f, 0xffff);
	assert_int_equal(control(&f), 0xc000 | (VECTORS - 1));
	set_control(&f, 0);
	assert_int_equal(control(&f), VECTORS - 1);
	fixture_done(&f);
}

static void disable_pends_and_enable_fires(void **state)
{
	struct fixture f;

	(void)state;
	running_init(&f);
	assert_true(peal_msix_is_enabled(f.msix));
	set_control(&f, 0);
	assert_false(peal_msix_is_enabled(f.msix));
	for (unsigned v = 0; v < VECTORS; v++)
		assert_int_equal(peal_msix_notify(f.msix, v), 0);
	set_control(&f, MSIX_ENABLE | MSIX_FUNCTION_MASK);
	assert_sent(&f, 0);
	set_control(&f, MSIX_ENABLE);
	assert_sent(&f, VECTORS);
	assert_raised(f.msix, PEAL_MSIX_ALL, VECTORS);
	fixture_done(&f);
}

/* ---- bus master ---- */

static void without_bus_master_messages_are_dropped_and_counted(void **state)
{
	struct fixture f;

	(void)state;
	running_init(&f);
	set_command(&f, COMMAND_MEMORY);
	assert_int_equal(peal_msix_notify(f.msix, 0), 0);
	assert_sent(&f, 0);
	assert_false(pba(&f, 0));
	assert_int_equal(counters(f.msix, 0).dropped, 1);
	/* A masked one pends all the same, and an unmask without bus master drops it. */
	set_mask(&f, 0, true);
	set_mask(&f, 1, true);
	assert_int_equal(peal_msix_notify(f.msix, 0), 0);
	assert_int_equal(peal_msix_notify(f.msix, 1), 0);
	assert_true(pba(&f, 0));
	set_mask(&f, 0, false);
	assert_sent(&f, 0);
	assert_false(pba(&f, 0));
	assert_int_equal(counters(f.msix, 0).dropped, 2);
	/* Back on, nothing comes by itself; what still pends is fired by its unmask. */
	set_command(&f, COMMAND_BUS_MASTER);
	assert_sent(&f, 0);
	set_mask(&f, 1, false);
	assert_sent(&f, 1);
	assert_int_equal(peal_msix_notify(f.msix, 0), 1);
	assert_raised(f.msix, 0, 3);
	assert_raised(f.msix, 1, 1);
	fixture_done(&f);
}

static void function_that_is_not_plugged_sends_nothing(void **state)
{
	struct fixture f;

	(void)state;
	running_init(&f);
	fixture_unplug(&f);
	set_command(&f, COMMAND_BUS_MASTER);
	set_control(&f, MSIX_ENABLE);
	program_vector(&f, 0, false);
	assert_int_equal(peal_msix_notify(f.msix, 0), 0);
	assert_int_equal(counters(f.msix, 0).dropped, 1);
	fixture_plug(&f); /* with Bus Master set */
	assert_int_equal(peal_msix_notify(f.msix, 0), 1);
	assert_sent(&f, 1);
	fixture_done(&f);
}

/* ---- use ---- */

static void unused_vector_does_nothing(void **state)
{
	struct fixture f;

	(void)state;
	running_init(&f);
	peal_msix_unuse(f.msix, 3);
	assert_int_equal(peal_msix_notify(f.msix, 3), 0);
	set_mask(&f, 3, true);
	assert_int_equal(peal_msix_notify(f.msix, 3), 0);
	assert_false(pba(&f, 3));
	assert_raised(f.msix, 3, 0);
	set_mask(&f, 3, false);
	assert_sent(&f, 0);
	assert_int_equal(peal_msix_use(f.msix, 3), 0);
	assert_sent(&f, 0);
	assert_int_equal(peal_msix_notify(f.msix, 3), 1);
	assert_message(&f.sink, VECTOR_ADDRESS(3), VECTOR_DATA(3));
	fixture_done(&f);
}

static void last_unuse_clears_the_pending_bit(void **state)
{
	struct fixture f;

	(void)state;
	running_init(&f);
	assert_int_equal(peal_msix_use(f.msix, 4), 0); /* twice now */
	set_mask(&f, 4, true);
	assert_int_equal(peal_msix_notify(f.msix, 4), 0);
	peal_msix_unuse(f.msix, 4);
	assert_true(pba(&f, 4));
	peal_msix_unuse(f.msix, 4);
	assert_false(pba(&f, 4));
	set_mask(&f, 4, false);
	assert_int_equal(peal_msix_use(f.msix, 4), 0);
	assert_sent(&f, 0);
	fixture_done(&f);
}

static void unuse_all_clears_uses_and_pending_bits(void **state)
{
	struct fixture f;

	(void)state;
	running_init(&f);
	assert_int_equal(peal_msix_use(f.msix, 65), 0);
	set_control(&f, 0);
	for (unsigned v = 0; v < VECTORS; v++)
		assert_int_equal(peal_msix_notify(f.msix, v), 0);
	peal_msix_unuse_all(f.msix);
	assert_int_equal(table_read(&f, 2048, 8), 0);
	assert_int_equal(table_read(&f, 2056, 8), 0);
	set_control(&f, MSIX_ENABLE);
	for (unsigned v = 0; v < VECTORS; v++)
		assert_int_equal(peal_msix_notify(f.msix, v), 0);
	assert_sent(&f, 0);
	/* One use is enough again. */
	assert_int_equal(peal_msix_use(f.msix, 65), 0);
	assert_int_equal(peal_msix_notify(f.msix, 65), 1);
	peal_msix_unuse(f.msix, 65);
	assert_int_equal(peal_msix_notify(f.msix, 65), 0);
	fixture_done(&f);
}

static void use_of_no_vector_is_refused(void **state)
{
	struct fixture f;

	(void)state;
	running_init(&f);
	assert_int_equal(peal_msix_use(f.msix, VECTORS), -EINVAL);
	assert_int_equal(peal_msix_use(f.msix, ~0u), -EINVAL);
	assert_int_equal(peal_msix_notify(f.msix, VECTORS), 0);
	fixture_done(&f);
}

/* ---- reset ---- */

static void reset_masks_everything_and_forgets_what_was_pending(void **state)
{
	struct fixture f;

	(void)state;
	running_init(&f);
	set_mask(&f, 7, true);
	for (unsigned v = 0; v < VECTORS; v++)
		(void)peal_msix_notify(f.msix, v);
	assert_sent(&f, VECTORS - 1);
	peal_pci_function_reset(f.function);
	assert_int_equal(control(&f), VECTORS - 1);
	assert_false(peal_msix_is_enabled(f.msix));
	for (unsigned v = 0; v < VECTORS; v++) {
		assert_int_equal(table_read(&f, 16 * v, 8), 0);
		assert_int_equal(table_read(&f, 16 * v + 8, 8), PEAL_BIT(32));
		assert_false(pba(&f, v));
	}
	/* A driver starts anew: the uses are the device's and stay. */
	set_command(&f, COMMAND_BUS_MASTER);
	for (unsigned v = 0; v < VECTORS; v++)
		program_vector(&f, v, false);
	set_control(&f, MSIX_ENABLE);
	assert_sent(&f, VECTORS - 1);
	assert_int_equal(peal_msix_notify(f.msix, 7), 1);
	assert_message(&f.sink, VECTOR_ADDRESS(7), VECTOR_DATA(7));
	assert_raised(f.msix, 7, 2);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unmasked_vector_sends_its_message_once),
		cmocka_unit_test(vector_out_of_range_does_nothing),
		cmocka_unit_test(answer_of_the_sink_is_returned_and_counted),
		cmocka_unit_test(masked_vector_pends_and_unmask_fires_once),
		cmocka_unit_test(unmask_without_pending_bit_sends_nothing),
		cmocka_unit_test(every_way_to_mask_pends_and_every_way_back_fires),
		cmocka_unit_test(masked_to_masked_sends_nothing_and_keeps_the_bit),
		cmocka_unit_test(message_rewritten_while_masked_is_what_is_sent),
		cmocka_unit_test(function_mask_collects_all_vectors_and_fires_each_once),
		cmocka_unit_test(control_word_is_written_by_any_width_that_covers_it),
		cmocka_unit_test(table_size_is_read_only),
		cmocka_unit_test(disable_pends_and_enable_fires),
		cmocka_unit_test(without_bus_master_messages_are_dropped_and_counted),
		cmocka_unit_test(function_that_is_not_plugged_sends_nothing),
		cmocka_unit_test(unused_vector_does_nothing),
		cmocka_unit_test(last_unuse_clears_the_pending_bit),
		cmocka_unit_test(unuse_all_clears_uses_and_pending_bits),
		cmocka_unit_test(use_of_no_vector_is_refused),
		cmocka_unit_test(reset_masks_everything_and_forgets_what_was_pending),
	};

	return cmocka_run_group_tests_name("pci-msix", tests, NULL, NULL);
}
