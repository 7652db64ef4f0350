/* SPDX-License-Identifier: BSD-2-Clause */
/* MSI and MSI-X: blocks of triggers, what failure undoes, dynamic vectors, bypass, old kernels. */
#include "fixture.h"

#define LINUX PEAL_IRQSET_LINUX_7_0

static void each_raise_signals_its_trigger_once(void **state)
{
	struct rig *rig = rig_new(LINUX, 0);

	(void)state;
	enable(rig, MSIX, 2048);
	assert_int_equal(peal_irqset_active(rig->irqset), MSIX);
	for (unsigned i = 0; i < 2048; i++) {
		struct peal_irqset_counters counters;

		assert_int_equal(peal_irqset_raise(rig->irqset, MSIX, i), 1);
		assert_int_equal(rig_events(rig, FD + (int)i), 1);
		peal_irqset_counters(rig->irqset, MSIX, i, &counters);
		assert_int_equal(counters.signalled, 1);
		assert_int_equal(counters.missed, 0);
	}
	assert_int_equal(peal_irqset_raise(rig->irqset, MSIX, 2048), 0);
	assert_int_equal(peal_irqset_raise(rig->irqset, MSI, 0), 0);
	assert_int_equal(set_none(rig, TRIGGER, MSIX, 0, 0), 0);
	assert_int_equal(rig->references, 0);
	assert_int_equal(peal_irqset_active(rig->irqset), PEAL_VFIO_IRQ_NONE);
	rig_free(rig);
}

static void indexes_exclude_each_other(void **state)
{
	static const uint32_t indexes[] = { INTX, MSI, MSIX };

	(void)state;
	for (unsigned a = 0; a < 3; a++) {
		struct rig *rig = rig_new(LINUX, 0);

		enable(rig, indexes[a], 1);
		for (unsigned b = 0; b < 3; b++) {
			if (a != b)
				assert_int_equal(set_fd(rig, TRIGGER, indexes[b], 0, FD + 1),
						 -EINVAL);
		}
		/* ERR and REQ are independent. */
		assert_int_equal(set_fd(rig, TRIGGER, ERR, 0, FD + 7), 0);
		assert_int_equal(set_fd(rig, TRIGGER, REQ, 0, FD + 8), 0);
		assert_int_equal(set_none(rig, TRIGGER, indexes[a], 0, 0), 0);
		assert_int_equal(peal_irqset_raise(rig->irqset, ERR, 0), 1);
		assert_int_equal(rig_events(rig, FD + 7), 1);
		enable(rig, indexes[(a + 1) % 3], 1);
		rig_free(rig);
	}
}

static void trigger_is_set_swapped_and_dropped(void **state)
{
	static const int32_t fds[] = { FD + 10, -1, FD + 12 };
	struct rig *rig = rig_new(LINUX, 0);

	(void)state;
	assert_int_equal(set_fds(rig, TRIGGER, MSIX, 1, 3, fds), 0);
	/* start + count vectors are there. */
	assert_string_equal(rig->log, "enable 2/4 get 110 open 2/1 get 112 open 2/3 ");
	rig_forget(rig);
	assert_int_equal(set_fd(rig, TRIGGER, MSIX, 1, FD + 20), 0);
	assert_string_equal(rig->log, "get 120 put 110 ");
	rig_forget(rig);
	assert_int_equal(set_fd(rig, TRIGGER, MSIX, 1, -1), 0);
	assert_string_equal(rig->log, "close 2/1 put 120 ");
	assert_false(peal_irqset_has_trigger(rig->irqset, MSIX, 1));
	assert_true(peal_irqset_has_trigger(rig->irqset, MSIX, 3));
	rig_forget(rig);
	/* Dropping nothing is nothing. */
	assert_int_equal(set_fd(rig, TRIGGER, MSIX, 1, -1), 0);
	assert_string_equal(rig->log, "");
	assert_int_equal(set_none(rig, TRIGGER, MSIX, 0, 0), 0);
	assert_string_equal(rig->log, "close 2/3 put 112 disable 2 ");
	rig_free(rig);
}

static void what_pends_comes_with_the_trigger(void **state)
{
	struct rig *rig = rig_new(LINUX, 0);

	(void)state;
	assert_int_equal(set_fd(rig, TRIGGER, MSIX, 3, -1), 0);
	rig_raise(rig, MSIX, 2);
	rig_raise(rig, MSIX, 2);
	assert_int_equal(set_fd(rig, TRIGGER, MSIX, 2, FD), 0);
	assert_int_equal(rig_events(rig, FD), 1);
	rig_free(rig);
}

static void loopback_skips_vectors_without_trigger(void **state)
{
	static const int32_t fds[] = { FD, -1, FD + 2, -1 };
	static const uint8_t bools[] = { 0, 1, 2, 255 };
	struct rig *rig = rig_new(LINUX, 0);

	(void)state;
	assert_int_equal(set_fds(rig, TRIGGER, MSI, 0, 4, fds), 0);
	assert_int_equal(set_none(rig, TRIGGER, MSI, 0, 4), 0);
	assert_int_equal(rig_events(rig, FD), 1);
	assert_int_equal(rig_events(rig, FD + 2), 1);
	/* Also those that were not allocated. */
	assert_int_equal(set_none(rig, TRIGGER, MSI, 1, 31), 0);
	assert_int_equal(rig_events(rig, FD + 2), 2);
	assert_int_equal(
		set_raw(rig, PEAL_VFIO_DATA_BOOL | TRIGGER, MSI, 0, 4, bools, sizeof(bools)), 0);
	assert_int_equal(rig_events(rig, FD), 1);
	assert_int_equal(rig_events(rig, FD + 2), 3);
	rig_free(rig);
}

static void block_that_fails_drops_its_vectors_up_to_there(void **state)
{
	static const struct {
		int fd;
		int error;
	} rows[] = { { FD_NOT_OPEN, -EBADF }, { FD_NO_EVENT, -EINVAL } };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		const int32_t fds[] = { FD + 20, FD + 21, rows[i].fd, FD + 23 };
		struct rig *rig = rig_new(LINUX, 0);

		enable(rig, MSIX, 8);
		rig_forget(rig);
		assert_int_equal(set_fds(rig, TRIGGER, MSIX, 2, 4, fds), rows[i].error);
		for (unsigned v = 0; v < 8; v++)
			assert_int_equal(peal_irqset_has_trigger(rig->irqset, MSIX, v),
					 v < 2 || v > 4);
		assert_int_equal(rig->references, 5);
		assert_int_equal(peal_irqset_active(rig->irqset), MSIX);
		/* The others still signal, and these can be set again. */
		rig_raise(rig, MSIX, 5);
		assert_int_equal(rig_events(rig, FD + 5), 1);
		rig_raise(rig, MSIX, 4);
		assert_int_equal(set_fd(rig, TRIGGER, MSIX, 4, FD + 30), 0);
		assert_int_equal(rig_events(rig, FD + 30), 1);
		rig_free(rig);
	}
}

static void first_enable_that_fails_disables_the_index(void **state)
{
	static const int32_t fds[] = { FD, FD + 1, FD_NOT_OPEN };
	struct rig *rig = rig_new(LINUX, 0);

	(void)state;
	assert_int_equal(set_fds(rig, TRIGGER, MSIX, 0, 3, fds), -EBADF);
	assert_int_equal(peal_irqset_active(rig->irqset), PEAL_VFIO_IRQ_NONE);
	assert_string_equal(rig->log, "enable 2/3 get 100 open 2/0 get 101 open 2/1 "
				      "close 2/1 close 2/0 put 101 put 100 disable 2 ");
	assert_int_equal(rig->references, 0);
	/* Any other may be enabled now. */
	enable(rig, INTX, 1);
	rig_free(rig);
}

static void source_that_cannot_open_is_a_failed_block(void **state)
{
	static const int32_t fds[] = { FD, FD + 1, FD + 2 };
	struct rig *rig = rig_new(LINUX, 0);

	(void)state;
	rig->open_error_at = 1;
	assert_int_equal(set_fds(rig, TRIGGER, MSIX, 0, 3, fds), -EIO);
	assert_int_equal(rig->references, 0);
	assert_int_equal(rig->index, PEAL_VFIO_IRQ_NONE);
	rig->open_error_at = -1;
	assert_int_equal(set_fds(rig, TRIGGER, MSIX, 0, 3, fds), 0);
	rig->get_error = -ENOMEM;
	assert_int_equal(set_fds(rig, TRIGGER, MSIX, 0, 3, fds), -ENOMEM);
	assert_false(peal_irqset_has_trigger(rig->irqset, MSIX, 0));
	assert_true(peal_irqset_has_trigger(rig->irqset, MSIX, 1));
	rig_free(rig);
}

static void fewer_vectors_are_a_positive_answer(void **state)
{
	int32_t fds[8] = { FD, FD, FD, FD, FD, FD, FD, FD };
	struct rig *rig = rig_new(LINUX, 0);

	(void)state;
	rig->available = 5;
	assert_int_equal(set_fds(rig, TRIGGER, MSI, 0, 8, fds), 5);
	assert_int_equal(rig->references, 0);
	assert_int_equal(peal_irqset_active(rig->irqset), PEAL_VFIO_IRQ_NONE);
	assert_string_equal(rig->log, "");
	assert_int_equal(set_fds(rig, TRIGGER, MSI, 0, 5, fds), 0);
	assert_int_equal(set_none(rig, TRIGGER, MSI, 0, 0), 0);
	rig->enable_error = -ENOSPC;
	assert_int_equal(set_fds(rig, TRIGGER, MSI, 0, 8, fds), -ENOSPC);
	assert_int_equal(rig->references, 0);
	rig_free(rig);
}

static void vector_past_the_allocated_is_einval(void **state)
{
	static const int32_t fds[] = { FD + 3, FD + 4 };
	struct rig *rig = rig_new(LINUX, 0);

	(void)state;
	enable(rig, MSIX, 4);
	rig_forget(rig);
	assert_int_equal(set_fd(rig, TRIGGER, MSIX, 4, FD + 9), -EINVAL);
	assert_string_equal(rig->log, "get 109 put 109 ");
	/* There is nothing to drop. */
	assert_int_equal(set_fd(rig, TRIGGER, MSIX, 4, -1), 0);
	assert_int_equal(set_fds(rig, TRIGGER, MSIX, 3, 2, fds), -EINVAL);
	assert_false(peal_irqset_has_trigger(rig->irqset, MSIX, 3));
	rig_free(rig);
	/* Kernels before looked at the range first. */
	rig = rig_new(PEAL_IRQSET_LINUX_5_14, PEAL_IRQSET_DYNAMIC);
	enable(rig, MSIX, 4);
	rig_forget(rig);
	assert_int_equal(set_fds(rig, TRIGGER, MSIX, 3, 2, fds), -EINVAL);
	assert_int_equal(set_fd(rig, TRIGGER, MSIX, 4, -1), -EINVAL);
	assert_int_equal(set_none(rig, TRIGGER, MSIX, 3, 2), -EINVAL);
	assert_string_equal(rig->log, "");
	assert_true(peal_irqset_has_trigger(rig->irqset, MSIX, 3));
	rig_free(rig);
}

static void interrupts_without_trigger_are_counted_by_vector(void **state)
{
	struct rig *rig = rig_new(LINUX, 0);

	(void)state;
	enable(rig, MSIX, 3);
	assert_int_equal(set_fd(rig, TRIGGER, MSIX, 1, -1), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(peal_irqset_raise(rig->irqset, MSIX, i), i != 1);
	/* A loopback is no interrupt. */
	assert_int_equal(set_none(rig, TRIGGER, MSIX, 1, 1), 0);
	for (unsigned i = 0; i < 3; i++) {
		struct peal_irqset_counters counters;

		peal_irqset_counters(rig->irqset, MSIX, i, &counters);
		assert_int_equal(counters.signalled, i != 1);
		assert_int_equal(counters.missed, i == 1);
	}
	rig_free(rig);
}

static void dynamic_vector_is_allocated_and_freed_at_disable(void **state)
{
	struct rig *rig = rig_new(LINUX, PEAL_IRQSET_DYNAMIC);

	(void)state;
	enable(rig, MSIX, 1);
	rig_forget(rig);
	assert_int_equal(set_fd(rig, TRIGGER, MSIX, 9, FD + 9), 0);
	assert_string_equal(rig->log, "get 109 allocate 2/9 open 2/9 ");
	rig_forget(rig);
	/* Dropped, it stays allocated. */
	assert_int_equal(set_fd(rig, TRIGGER, MSIX, 9, -1), 0);
	assert_int_equal(set_fd(rig, TRIGGER, MSIX, 9, FD + 9), 0);
	assert_string_equal(rig->log, "close 2/9 put 109 get 109 open 2/9 ");
	assert_int_equal(peal_irqset_raise(rig->irqset, MSIX, 9), 1);
	rig->allocate_error = -ENOSPC;
	assert_int_equal(set_fd(rig, TRIGGER, MSIX, 10, FD + 10), -ENOSPC);
	rig->allocate_error = 0;
	assert_int_equal(set_none(rig, TRIGGER, MSIX, 0, 0), 0);
	enable(rig, MSIX, 1);
	rig_forget(rig);
	assert_int_equal(set_fd(rig, TRIGGER, MSIX, 9, FD + 9), 0);
	assert_string_equal(rig->log, "get 109 allocate 2/9 open 2/9 ");
	assert_int_equal(set_none(rig, TRIGGER, MSIX, 0, 0), 0);
	/* MSI is never dynamic. */
	enable(rig, MSI, 1);
	assert_int_equal(set_fd(rig, TRIGGER, MSI, 1, FD + 9), -EINVAL);
	rig_free(rig);
}

/* As QEMU enables 32 vectors, with 16 descriptors in a message. */
static void msi_is_enabled_in_pieces(void **state)
{
	struct rig *rig = rig_new(LINUX, PEAL_IRQSET_DYNAMIC_MSI);
	int32_t fds[16];

	(void)state;
	for (int piece = 0; piece < 2; piece++) {
		for (int i = 0; i < 16; i++)
			fds[i] = FD + 16 * piece + i;
		assert_int_equal(set_fds(rig, TRIGGER, MSI, 16 * (uint32_t)piece, 16, fds), 0);
		assert_int_equal(peal_irqset_msi_limit(rig->irqset), 4 + piece);
	}
	for (unsigned i = 0; i < 32; i++)
		assert_int_equal(peal_irqset_raise(rig->irqset, MSI, i), 1);
	assert_int_equal(set_none(rig, TRIGGER, MSI, 0, 0), 0);
	/* From behind, too. */
	enable(rig, MSI, 1);
	assert_int_equal(set_fd(rig, TRIGGER, MSI, 7, FD + 7), 0);
	assert_int_equal(peal_irqset_msi_limit(rig->irqset), 3);
	assert_int_equal(set_fd(rig, TRIGGER, MSI, 1, FD + 1), 0);
	assert_int_equal(peal_irqset_msi_limit(rig->irqset), 3);
	assert_int_equal(set_none(rig, TRIGGER, MSI, 0, 0), 0);
	/* A vector that cannot be had changes nothing. */
	enable(rig, MSI, 1);
	rig->allocate_error = -ENOSPC;
	assert_int_equal(set_fd(rig, TRIGGER, MSI, 1, FD + 1), -ENOSPC);
	assert_int_equal(peal_irqset_msi_limit(rig->irqset), 0);
	/* MSI-X is a matter of its own. */
	assert_int_equal(set_none(rig, TRIGGER, MSI, 0, 0), 0);
	rig->allocate_error = 0;
	enable(rig, MSIX, 1);
	assert_int_equal(set_fd(rig, TRIGGER, MSIX, 1, FD + 1), -EINVAL);
	rig_free(rig);
}

static void limit_of_multiple_messages_follows_the_enabled(void **state)
{
	static const unsigned rows[][2] = { { 1, 0 }, { 2, 1 },  { 3, 2 }, { 4, 2 },
					    { 5, 3 }, { 17, 5 }, { 32, 5 } };
	struct rig *rig = rig_new(LINUX, 0);

	(void)state;
	assert_int_equal(peal_irqset_msi_limit(rig->irqset), 5);
	for (size_t i = 0; i < PEAL_COUNT_OF(rows); i++) {
		enable(rig, MSI, rows[i][0]);
		assert_int_equal(peal_irqset_msi_limit(rig->irqset), rows[i][1]);
		assert_int_equal(set_none(rig, TRIGGER, MSI, 0, 0), 0);
	}
	rig_free(rig);
}

static struct rig *rig_with_bypass(void)
{
	struct rig *rig = malloc(sizeof(*rig));

	assert_non_null(rig);
	rig_defaults(rig);
	rig->config.triggers = &rig_bypass_triggers;
	rig_start(rig);
	return rig;
}

static void bypass_is_offered_and_taken_back_before_the_vector(void **state)
{
	struct rig *rig = rig_with_bypass();
	struct peal_irqset_counters counters;

	(void)state;
	enable(rig, MSIX, 2);
	assert_string_equal(rig->log, "enable 2/2 get 100 open 2/0 bypass 2/0 "
				      "get 101 open 2/1 bypass 2/1 ");
	rig_forget(rig);
	assert_int_equal(set_fd(rig, TRIGGER, MSIX, 0, FD + 5), 0);
	assert_string_equal(rig->log, "get 105 unbypass 2/0 bypass 2/0 put 100 ");
	rig_forget(rig);
	assert_int_equal(set_none(rig, TRIGGER, MSIX, 0, 0), 0);
	assert_string_equal(rig->log, "unbypass 2/1 close 2/1 unbypass 2/0 close 2/0 "
				      "put 101 put 105 disable 2 ");
	/* A refusal is reported and no error, and there is nothing to take back. */
	rig->refuse_bypass = true;
	enable(rig, MSIX, 2);
	peal_irqset_counters(rig->irqset, MSIX, 0, &counters);
	assert_int_equal(counters.bypass_refused, 2);
	rig_free(rig);
}

static bool decode(void *user, bool on)
{
	struct rig *rig = user;
	bool was = rig->decode;

	rig->decode = on;
	rig_log(rig, "decode", on, -1);
	return was;
}

static void memory_decodes_while_vectors_are_programmed(void **state)
{
	struct peal_irq_source_ops source = rig_source;
	struct rig *rig = malloc(sizeof(*rig));

	(void)state;
	assert_non_null(rig);
	rig_defaults(rig);
	source.decode = decode;
	rig->config.source = &source;
	rig_start(rig);
	enable(rig, MSIX, 1);
	assert_string_equal(rig->log, "decode 1 enable 2/1 get 100 open 2/0 decode 0 ");
	assert_false(rig->decode);
	rig_forget(rig);
	assert_int_equal(set_fd(rig, TRIGGER, MSIX, 0, FD_NO_EVENT), -EINVAL);
	assert_string_equal(rig->log, "decode 1 close 2/0 put 100 decode 0 ");
	rig_forget(rig);
	rig->decode = true;
	assert_int_equal(set_none(rig, TRIGGER, MSIX, 0, 0), 0);
	assert_string_equal(rig->log, "decode 1 disable 2 decode 1 ");
	rig_free(rig);
}

static void message_without_descriptors_takes_the_range_away(void **state)
{
	const uint32_t flags = PEAL_VFIO_DATA_EVENTFD | TRIGGER;
	const struct peal_irqset_request first = { 20, flags, MSIX, 0, 8 };
	const struct peal_irqset_request range = { 20, flags, MSIX, 5, 3 };
	const int fds[] = { FD, FD + 1, FD + 2 };
	struct rig *rig = rig_new(LINUX, 0);

	(void)state;
	/* A VMM's first step: enabled, nothing triggered. */
	assert_int_equal(peal_irqset_set_message(rig->irqset, &first, NULL, 0, NULL, 0), 0);
	assert_string_equal(rig->log, "enable 2/8 ");
	assert_int_equal(peal_irqset_set_message(rig->irqset, &range, NULL, 0, fds, 3), 0);
	assert_true(peal_irqset_has_trigger(rig->irqset, MSIX, 7));
	rig_forget(rig);
	/* All of it, also when start is past count. */
	assert_int_equal(peal_irqset_set_message(rig->irqset, &range, NULL, 0, NULL, 0), 0);
	assert_string_equal(rig->log, "close 2/5 close 2/6 close 2/7 put 102 put 101 put 100 ");
	rig_free(rig);
}

static void kernel_4_6_looks_at_no_range_without_data(void **state)
{
	struct rig *rig = rig_new(PEAL_IRQSET_LINUX_4_6, 0);

	(void)state;
	enable(rig, MSIX, 4);
	rig_forget(rig);
	assert_int_equal(set_none(rig, TRIGGER, MSIX, 3000, 1), -EINVAL);
	/* The sum wraps: there is nothing between. */
	assert_int_equal(set_none(rig, TRIGGER, MSIX, 4, UINT32_MAX), 0);
	assert_int_equal(set_none(rig, TRIGGER, MSIX, UINT32_MAX, 2), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(rig_events(rig, FD + i), 0);
	assert_int_equal(set_bool(rig, TRIGGER, MSIX, 3000, 1), -EINVAL);
	assert_int_equal(set_none(rig, TRIGGER, INTX, 9, 1), -EINVAL);
	assert_int_equal(set_none(rig, TRIGGER, MSIX, 4000, 0), 0);
	assert_int_equal(peal_irqset_active(rig->irqset), PEAL_VFIO_IRQ_NONE);
	rig_free(rig);
}

static void err_and_req_answer_as_their_kernel(void **state)
{
	static const struct {
		enum peal_irqset_compat compat;
		int below;   /* descriptor -2 */
		int unset;   /* DATA_NONE without trigger */
		bool clears; /* DATA_NONE, count 0 */
	} rows[] = {
		{ PEAL_IRQSET_LINUX_7_0, -EINVAL, -EINVAL, true },
		{ PEAL_IRQSET_LINUX_5_14, 0, -EINVAL, true },
		{ PEAL_IRQSET_LINUX_4_6, 0, 0, false },
	};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct rig *rig = rig_new(rows[i].compat, 0);

		assert_int_equal(set_none(rig, TRIGGER, ERR, 0, 1), rows[i].unset);
		assert_int_equal(set_none(rig, TRIGGER, REQ, 0, 1), rows[i].unset);
		assert_int_equal(set_fd(rig, TRIGGER, ERR, 0, -1), 0);
		assert_int_equal(set_fd(rig, TRIGGER, ERR, 0, FD), 0);
		assert_int_equal(set_fd(rig, TRIGGER, ERR, 0, -2), rows[i].below);
		assert_int_equal(set_fd(rig, TRIGGER, ERR, 0, FD_NOT_OPEN), -EBADF);
		assert_int_equal(set_fd(rig, TRIGGER, ERR, 0, FD_NO_EVENT), -EINVAL);
		/* None of these took it away. */
		assert_int_equal(peal_irqset_raise(rig->irqset, ERR, 0), 1);
		assert_int_equal(rig_events(rig, FD), 1);
		assert_int_equal(set_none(rig, TRIGGER, ERR, 0, 1), 0);
		assert_int_equal(rig_events(rig, FD), 2);
		assert_int_equal(set_bool(rig, TRIGGER, ERR, 0, 0), 0);
		assert_int_equal(set_bool(rig, TRIGGER, ERR, 0, 9), 0);
		assert_int_equal(rig_events(rig, FD), 3);
		assert_int_equal(set_none(rig, TRIGGER, ERR, 0, 0), 0);
		assert_int_equal(peal_irqset_has_trigger(rig->irqset, ERR, 0), !rows[i].clears);
		assert_int_equal(rig_events(rig, FD), rows[i].clears ? 3 : 4);
		assert_int_equal(set_fd(rig, TRIGGER, ERR, 0, -1), 0);
		assert_int_equal(rig->references, 0);
		rig_free(rig);
	}
}

static void kernel_4_6_differs_between_err_and_req(void **state)
{
	struct rig *rig = rig_new(PEAL_IRQSET_LINUX_4_6, 0);

	(void)state;
	assert_int_equal(set_none(rig, TRIGGER, ERR, 77, 5), 0);
	assert_int_equal(set_none(rig, TRIGGER, REQ, 0, 0), -EINVAL);
	assert_int_equal(set_none(rig, TRIGGER, REQ, 1, 1), -EINVAL);
	rig_free(rig);
	rig = malloc(sizeof(*rig));
	assert_non_null(rig);
	rig_defaults(rig);
	rig->config.compat = PEAL_IRQSET_LINUX_4_6;
	rig->config.count[ERR] = 0;
	rig_start(rig);
	assert_int_equal(set_none(rig, TRIGGER, ERR, 0, 1), -ENOTTY);
	rig_free(rig);
}

static int make(const struct peal_host *host, void *user)
{
	struct rig *rig = user;
	int r;

	rig->config.host = host;
	r = peal_irqset_new(&rig->irqset, &rig->config);
	if (r == 0)
		peal_irqset_free(rig->irqset);
	return r;
}

static void construction_fails_cleanly_at_every_allocation(void **state)
{
	struct rig *rig = malloc(sizeof(*rig));

	(void)state;
	assert_non_null(rig);
	rig_defaults(rig);
	assert_int_equal(test_every_allocation(make, rig), 3);
	free(rig);
}

static void configuration_is_checked(void **state)
{
	static const unsigned limits[] = { 1, 32, 2048, 1, 1 };
	struct peal_irq_source_ops source = rig_source;
	struct rig *rig = malloc(sizeof(*rig));

	(void)state;
	assert_non_null(rig);
	for (unsigned i = 0; i < PEAL_VFIO_IRQS; i++) {
		rig_defaults(rig);
		rig->config.count[i] = limits[i] + 1;
		assert_int_equal(peal_irqset_new(&rig->irqset, &rig->config), -EINVAL);
	}
	rig_defaults(rig);
	source.allocate = NULL;
	rig->config.source = &source;
	rig->config.flags = PEAL_IRQSET_DYNAMIC;
	assert_int_equal(peal_irqset_new(&rig->irqset, &rig->config), -EINVAL);
	rig->config.flags = PEAL_IRQSET_DYNAMIC_MSI;
	assert_int_equal(peal_irqset_new(&rig->irqset, &rig->config), -EINVAL);
	rig->config.source = &rig_source;
	rig->config.flags = 4;
	assert_int_equal(peal_irqset_new(&rig->irqset, &rig->config), -EINVAL);
	peal_irqset_free(NULL);
	free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_raise_signals_its_trigger_once),
		cmocka_unit_test(indexes_exclude_each_other),
		cmocka_unit_test(trigger_is_set_swapped_and_dropped),
		cmocka_unit_test(what_pends_comes_with_the_trigger),
		cmocka_unit_test(loopback_skips_vectors_without_trigger),
		cmocka_unit_test(block_that_fails_drops_its_vectors_up_to_there),
		cmocka_unit_test(first_enable_that_fails_disables_the_index),
		cmocka_unit_test(source_that_cannot_open_is_a_failed_block),
		cmocka_unit_test(fewer_vectors_are_a_positive_answer),
		cmocka_unit_test(vector_past_the_allocated_is_einval),
		cmocka_unit_test(interrupts_without_trigger_are_counted_by_vector),
		cmocka_unit_test(dynamic_vector_is_allocated_and_freed_at_disable),
		cmocka_unit_test(msi_is_enabled_in_pieces),
		cmocka_unit_test(limit_of_multiple_messages_follows_the_enabled),
		cmocka_unit_test(bypass_is_offered_and_taken_back_before_the_vector),
		cmocka_unit_test(memory_decodes_while_vectors_are_programmed),
		cmocka_unit_test(message_without_descriptors_takes_the_range_away),
		cmocka_unit_test(kernel_4_6_looks_at_no_range_without_data),
		cmocka_unit_test(err_and_req_answer_as_their_kernel),
		cmocka_unit_test(kernel_4_6_differs_between_err_and_req),
		cmocka_unit_test(construction_fails_cleanly_at_every_allocation),
		cmocka_unit_test(configuration_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
