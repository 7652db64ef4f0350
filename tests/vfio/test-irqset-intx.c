/* SPDX-License-Identifier: BSD-2-Clause */
/* INTx: automask, user mask, virtual mask, loopback, unmask watcher, lines of the host. */
#include "fixture.h"

static struct rig *rig_with_intx(void)
{
	struct rig *rig = rig_new(PEAL_IRQSET_LINUX_7_0, 0);

	enable(rig, INTX, 1);
	return rig;
}

static void line(struct rig *rig, bool asserted)
{
	peal_irqset_set_intx_line(rig->irqset, asserted);
}

static void asserted_line_masks_itself_and_signals_once(void **state)
{
	struct rig *rig = rig_with_intx();

	(void)state;
	line(rig, true);
	assert_int_equal(rig_events(rig, FD), 1);
	assert_true(peal_irqset_intx_is_masked(rig->irqset));
	line(rig, false);
	line(rig, true);
	assert_int_equal(rig_events(rig, FD), 1);
	/* Still asserted: masked again, signalled again. */
	assert_int_equal(set_none(rig, UNMASK, INTX, 0, 1), 0);
	assert_int_equal(rig_events(rig, FD), 2);
	assert_true(peal_irqset_intx_is_masked(rig->irqset));
	line(rig, false);
	assert_int_equal(set_bool(rig, UNMASK, INTX, 0, 1), 0);
	assert_int_equal(rig_events(rig, FD), 2);
	assert_false(peal_irqset_intx_is_masked(rig->irqset));
	line(rig, true);
	assert_int_equal(rig_events(rig, FD), 3);
	rig_free(rig);
}

static void user_mask_holds_the_line_back(void **state)
{
	struct rig *rig = rig_with_intx();

	(void)state;
	assert_int_equal(set_bool(rig, MASK, INTX, 0, 0), 0);
	assert_false(peal_irqset_intx_is_masked(rig->irqset));
	assert_int_equal(set_none(rig, MASK, INTX, 0, 1), 0);
	assert_int_equal(set_bool(rig, MASK, INTX, 0, 1), 0);
	line(rig, true);
	assert_int_equal(rig_events(rig, FD), 0);
	assert_int_equal(set_bool(rig, UNMASK, INTX, 0, 0), 0);
	assert_int_equal(rig_events(rig, FD), 0);
	assert_int_equal(set_bool(rig, UNMASK, INTX, 0, 1), 0);
	assert_int_equal(rig_events(rig, FD), 1);
	rig_free(rig);
}

static void line_that_was_asserted_before_signals_at_enable(void **state)
{
	struct rig *rig = rig_new(PEAL_IRQSET_LINUX_7_0, 0);

	(void)state;
	line(rig, true);
	enable(rig, INTX, 1);
	assert_int_equal(rig_events(rig, FD), 1);
	/* The mask does not outlive the index. */
	assert_int_equal(set_none(rig, TRIGGER, INTX, 0, 0), 0);
	assert_false(peal_irqset_intx_is_masked(rig->irqset));
	assert_int_equal(rig->references, 0);
	line(rig, true);
	assert_int_equal(rig_events(rig, FD), 1);
	enable(rig, INTX, 1);
	assert_int_equal(rig_events(rig, FD), 2);
	rig_free(rig);
}

static void interrupt_disable_is_a_mask_of_its_own(void **state)
{
	struct rig *rig = rig_with_intx();

	(void)state;
	peal_irqset_set_intx_disable(rig->irqset, true);
	line(rig, true);
	/* Every signal is suppressed, loopback included, and UNMASK does not lift it. */
	assert_int_equal(set_none(rig, TRIGGER, INTX, 0, 1), 0);
	assert_int_equal(set_none(rig, UNMASK, INTX, 0, 1), 0);
	assert_int_equal(rig_events(rig, FD), 0);
	assert_false(peal_irqset_intx_is_masked(rig->irqset));
	/* Clearing it looks at the line again. */
	peal_irqset_set_intx_disable(rig->irqset, false);
	assert_int_equal(rig_events(rig, FD), 1);
	assert_true(peal_irqset_intx_is_masked(rig->irqset));
	/* It does not lift the user's. */
	peal_irqset_set_intx_disable(rig->irqset, true);
	peal_irqset_set_intx_disable(rig->irqset, false);
	assert_int_equal(rig_events(rig, FD), 1);
	rig_free(rig);
}

static void enabled_under_interrupt_disable_starts_masked(void **state)
{
	struct rig *rig = rig_new(PEAL_IRQSET_LINUX_7_0, 0);

	(void)state;
	peal_irqset_set_intx_disable(rig->irqset, true);
	line(rig, true);
	enable(rig, INTX, 1);
	assert_int_equal(rig_events(rig, FD), 0);
	peal_irqset_set_intx_disable(rig->irqset, false);
	assert_int_equal(rig_events(rig, FD), 1);
	rig_free(rig);
}

static void loopback_does_not_look_at_the_user_mask(void **state)
{
	struct rig *rig = rig_with_intx();

	(void)state;
	assert_int_equal(set_none(rig, MASK, INTX, 0, 1), 0);
	assert_int_equal(set_none(rig, TRIGGER, INTX, 0, 1), 0);
	assert_int_equal(set_bool(rig, TRIGGER, INTX, 0, 1), 0);
	assert_int_equal(set_bool(rig, TRIGGER, INTX, 0, 0), 0);
	assert_int_equal(rig_events(rig, FD), 2);
	assert_int_equal(set_none(rig, UNMASK, INTX, 0, 1), 0);
	/* And it does not mask. */
	assert_int_equal(set_none(rig, TRIGGER, INTX, 0, 1), 0);
	assert_false(peal_irqset_intx_is_masked(rig->irqset));
	rig_free(rig);
}

/* CVE-2024-26812 */
static void enabled_without_trigger_nothing_crashes(void **state)
{
	struct rig *rig = rig_new(PEAL_IRQSET_LINUX_7_0, 0);

	(void)state;
	assert_int_equal(set_fd(rig, TRIGGER, INTX, 0, -1), 0);
	assert_int_equal(peal_irqset_active(rig->irqset), INTX);
	assert_int_equal(set_none(rig, TRIGGER, INTX, 0, 1), 0);
	assert_int_equal(set_bool(rig, TRIGGER, INTX, 0, 1), 0);
	line(rig, true);
	assert_int_equal(set_none(rig, MASK, INTX, 0, 1), 0);
	assert_int_equal(set_none(rig, UNMASK, INTX, 0, 1), 0);
	/* Nobody was told yet: the line signals when the trigger comes. */
	assert_int_equal(set_fd(rig, TRIGGER, INTX, 0, FD + 1), 0);
	assert_int_equal(rig_events(rig, FD + 1), 1);
	rig_free(rig);
}

static void trigger_is_swapped_and_dropped_while_active(void **state)
{
	struct rig *rig = rig_with_intx();

	(void)state;
	assert_int_equal(set_fd(rig, TRIGGER, INTX, 0, FD + 1), 0);
	assert_string_equal(rig->log, "get 100 enable 0/1 get 101 put 100 ");
	line(rig, true);
	assert_int_equal(rig_events(rig, FD), 0);
	assert_int_equal(rig_events(rig, FD + 1), 1);
	assert_int_equal(set_fd(rig, TRIGGER, INTX, 0, -1), 0);
	assert_int_equal(rig->references, 0);
	assert_int_equal(peal_irqset_active(rig->irqset), INTX);
	assert_int_equal(set_none(rig, UNMASK, INTX, 0, 1), 0);
	assert_int_equal(set_none(rig, TRIGGER, INTX, 0, 1), 0);
	assert_int_equal(rig_events(rig, FD + 1), 1);
	rig_free(rig);
}

static void bad_descriptor_changes_nothing(void **state)
{
	struct rig *rig = rig_new(PEAL_IRQSET_LINUX_7_0, 0);

	(void)state;
	assert_int_equal(set_fd(rig, TRIGGER, INTX, 0, FD_NOT_OPEN), -EBADF);
	assert_int_equal(set_fd(rig, TRIGGER, INTX, 0, FD_NO_EVENT), -EINVAL);
	assert_int_equal(peal_irqset_active(rig->irqset), PEAL_VFIO_IRQ_NONE);
	rig->enable_error = -ENODEV;
	assert_int_equal(set_fd(rig, TRIGGER, INTX, 0, FD), -ENODEV);
	assert_int_equal(set_fd(rig, TRIGGER, INTX, 0, -1), -ENODEV);
	assert_int_equal(rig->references, 0);
	rig->enable_error = 0;
	enable(rig, INTX, 1);
	assert_int_equal(set_fd(rig, TRIGGER, INTX, 0, FD_NOT_OPEN), -EBADF);
	assert_true(peal_irqset_has_trigger(rig->irqset, INTX, 0));
	line(rig, true);
	assert_int_equal(rig_events(rig, FD), 1);
	rig_free(rig);
}

/* ---- the unmask watcher ---- */

static void watcher_unmasks(void **state)
{
	struct rig *rig = rig_with_intx();

	(void)state;
	assert_int_equal(set_fd(rig, UNMASK, INTX, 0, FD + 1), 0);
	line(rig, true);
	assert_int_equal(rig_events(rig, FD), 1);
	/* Resample: still asserted. */
	rig->fire(rig->fire_argument, false);
	assert_int_equal(rig_events(rig, FD), 2);
	line(rig, false);
	rig->fire(rig->fire_argument, false);
	assert_int_equal(rig_events(rig, FD), 2);
	assert_false(peal_irqset_intx_is_masked(rig->irqset));
	rig_free(rig);
}

static void there_is_one_watcher(void **state)
{
	struct rig *rig = rig_with_intx();

	(void)state;
	assert_int_equal(set_fd(rig, UNMASK, INTX, 0, FD_NOT_OPEN), -EBADF);
	assert_int_equal(set_fd(rig, UNMASK, INTX, 0, FD_NO_EVENT), -EINVAL);
	assert_int_equal(set_fd(rig, UNMASK, INTX, 0, -1), 0);
	assert_int_equal(set_fd(rig, UNMASK, INTX, 0, FD + 1), 0);
	assert_int_equal(set_fd(rig, UNMASK, INTX, 0, FD + 2), -EBUSY);
	/* What is no event descriptor is so whatever the state. */
	assert_int_equal(set_fd(rig, UNMASK, INTX, 0, FD_NOT_OPEN), -EBADF);
	assert_int_equal(set_fd(rig, UNMASK, INTX, 0, FD_NO_EVENT), -EINVAL);
	assert_int_equal(rig->watchers, 1);
	assert_int_equal(set_fd(rig, UNMASK, INTX, 0, -1), 0);
	assert_int_equal(rig->watchers, 0);
	assert_int_equal(set_fd(rig, UNMASK, INTX, 0, FD + 2), 0);
	/* One whose descriptor was closed is none. */
	rig->fire(rig->fire_argument, true);
	assert_int_equal(set_fd(rig, UNMASK, INTX, 0, FD + 3), 0);
	assert_int_equal(set_fd(rig, UNMASK, INTX, 0, FD + 4), -EBUSY);
	assert_int_equal(rig->watchers, 1);
	rig_free(rig);
}

static void watcher_that_is_signalled_already_fires_at_once(void **state)
{
	struct rig *rig = rig_with_intx();

	(void)state;
	line(rig, true);
	rig->resample = 3;
	assert_int_equal(set_fd(rig, UNMASK, INTX, 0, FD + 1), 0);
	assert_int_equal(rig_events(rig, FD), 2);
	/* A signal that came before its removal counts, too. */
	rig->resample = 1;
	assert_int_equal(set_fd(rig, UNMASK, INTX, 0, -1), 0);
	assert_int_equal(rig_events(rig, FD), 3);
	rig_free(rig);
}

static void watcher_goes_before_the_trigger(void **state)
{
	struct rig *rig = rig_with_intx();

	(void)state;
	assert_int_equal(set_fd(rig, UNMASK, INTX, 0, FD + 1), 0);
	rig_forget(rig);
	assert_int_equal(set_none(rig, TRIGGER, INTX, 0, 0), 0);
	assert_string_equal(rig->log, "unwatch 0 put 100 disable 0 ");
	rig_free(rig);
}

static void message_removes_the_watcher_by_no_descriptor(void **state)
{
	const struct peal_irqset_request r = { 20, PEAL_VFIO_DATA_EVENTFD | UNMASK, INTX, 0, 1 };
	const int fd = FD + 1;
	struct rig *rig = rig_with_intx();

	(void)state;
	assert_int_equal(peal_irqset_set_message(rig->irqset, &r, NULL, 0, &fd, 1), 0);
	assert_int_equal(rig->watchers, 1);
	assert_int_equal(peal_irqset_set_message(rig->irqset, &r, NULL, 0, NULL, 0), 0);
	assert_int_equal(rig->watchers, 0);
	rig_free(rig);
}

static void watching_can_be_unsupported(void **state)
{
	struct peal_trigger_ops triggers = rig_triggers;
	struct rig *rig = malloc(sizeof(*rig));

	(void)state;
	assert_non_null(rig);
	rig_defaults(rig);
	triggers.watch = NULL;
	rig->config.triggers = &triggers;
	rig_start(rig);
	enable(rig, INTX, 1);
	assert_int_equal(set_fd(rig, UNMASK, INTX, 0, FD + 1), -ENOTSUP);
	rig_free(rig);
}

/* ---- lines of the host ---- */

static bool asserted(void *user)
{
	return ((struct rig *)user)->asserted;
}

static void mask(void *user, bool on)
{
	((struct rig *)user)->line_mask = on;
}

static struct rig *rig_of_host(struct peal_irq_source_ops *source, bool shared)
{
	struct rig *rig = malloc(sizeof(*rig));

	assert_non_null(rig);
	rig_defaults(rig);
	*source = rig_source;
	source->intx_asserted = shared ? asserted : NULL;
	source->intx_mask = mask;
	rig->config.source = source;
	rig_start(rig);
	return rig;
}

static void shared_line_of_another_is_not_mine(void **state)
{
	struct peal_irq_source_ops source;
	struct rig *rig = rig_of_host(&source, true);

	(void)state;
	enable(rig, INTX, 1);
	assert_false(rig->line_mask);
	assert_false(peal_irqset_intx_arrived(rig->irqset));
	assert_int_equal(rig_events(rig, FD), 0);
	assert_false(rig->line_mask);
	rig->asserted = true;
	assert_true(peal_irqset_intx_arrived(rig->irqset));
	assert_int_equal(rig_events(rig, FD), 1);
	assert_true(rig->line_mask);
	/* Another interrupt of the shared line meanwhile. */
	assert_true(peal_irqset_intx_arrived(rig->irqset));
	assert_int_equal(rig_events(rig, FD), 1);
	assert_int_equal(set_none(rig, UNMASK, INTX, 0, 1), 0);
	assert_false(rig->line_mask);
	rig_free(rig);
}

static void exclusive_line_is_always_mine(void **state)
{
	struct peal_irq_source_ops source;
	struct rig *rig = rig_of_host(&source, false);

	(void)state;
	enable(rig, INTX, 1);
	assert_true(peal_irqset_intx_arrived(rig->irqset));
	assert_int_equal(rig_events(rig, FD), 1);
	assert_true(rig->line_mask);
	peal_irqset_set_intx_disable(rig->irqset, true);
	assert_int_equal(set_none(rig, UNMASK, INTX, 0, 1), 0);
	assert_true(rig->line_mask);
	peal_irqset_set_intx_disable(rig->irqset, false);
	assert_false(rig->line_mask);
	/* Without trigger nobody would lower it. */
	assert_int_equal(set_fd(rig, TRIGGER, INTX, 0, -1), 0);
	assert_true(rig->line_mask);
	assert_int_equal(set_fd(rig, TRIGGER, INTX, 0, FD), 0);
	assert_false(rig->line_mask);
	assert_int_equal(set_none(rig, TRIGGER, INTX, 0, 0), 0);
	assert_true(rig->line_mask);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asserted_line_masks_itself_and_signals_once),
		cmocka_unit_test(user_mask_holds_the_line_back),
		cmocka_unit_test(line_that_was_asserted_before_signals_at_enable),
		cmocka_unit_test(interrupt_disable_is_a_mask_of_its_own),
		cmocka_unit_test(enabled_under_interrupt_disable_starts_masked),
		cmocka_unit_test(loopback_does_not_look_at_the_user_mask),
		cmocka_unit_test(enabled_without_trigger_nothing_crashes),
		cmocka_unit_test(trigger_is_swapped_and_dropped_while_active),
		cmocka_unit_test(bad_descriptor_changes_nothing),
		cmocka_unit_test(watcher_unmasks),
		cmocka_unit_test(there_is_one_watcher),
		cmocka_unit_test(watcher_that_is_signalled_already_fires_at_once),
		cmocka_unit_test(watcher_goes_before_the_trigger),
		cmocka_unit_test(message_removes_the_watcher_by_no_descriptor),
		cmocka_unit_test(watching_can_be_unsupported),
		cmocka_unit_test(shared_line_of_another_is_not_mine),
		cmocka_unit_test(exclusive_line_is_always_mine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
