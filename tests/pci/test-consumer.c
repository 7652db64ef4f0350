/* SPDX-License-Identifier: BSD-2-Clause */
/* Consumers of vectors: who hears of use, release and poll, when, and in which brackets. */
#include "fixture.h"

#define VECTORS 2048u

struct consumer {
	struct peal_msix *msix;
	struct peal_msi_msg held[VECTORS];
	bool used[VECTORS];
	unsigned uses, releases, begins, commits, depth;
	unsigned fail_at; /* this use, counted from 1, fails */
	unsigned released[8];
	unsigned poll_first, poll_end, polls;
	unsigned pend_at_poll; /* vector + 1 */
};

static int on_use(void *user, unsigned vector, const struct peal_msi_msg *msg)
{
	struct consumer *c = user;

	thread_assert(c->depth == 1);
	if (++c->uses == c->fail_at)
		return -ENOSPC;
	c->used[vector] = true;
	c->held[vector] = *msg;
	return 0;
}

static void on_release(void *user, unsigned vector)
{
	struct consumer *c = user;

	thread_assert(c->depth == 1);
	c->used[vector] = false;
	c->released[c->releases++ % 8] = vector;
}

static void on_poll(void *user, unsigned first, unsigned end)
{
	struct consumer *c = user;

	c->poll_first = first;
	c->poll_end = end;
	c->polls++;
	if (c->pend_at_poll)
		(void)peal_msix_notify(c->msix, c->pend_at_poll - 1);
	c->pend_at_poll = 0;
}

static void on_begin(void *user)
{
	struct consumer *c = user;

	thread_assert(c->depth == 0);
	c->depth++;
	c->begins++;
}

static void on_commit(void *user)
{
	struct consumer *c = user;

	thread_assert(c->depth == 1);
	c->depth--;
	c->commits++;
}

static const struct peal_vector_consumer consumer_ops = {
	.use = on_use,
	.release = on_release,
	.poll = on_poll,
	.begin = on_begin,
	.commit = on_commit,
};

static void init(struct fixture *f, struct consumer *c, unsigned vectors)
{
	fixture_init_msix(f, vectors);
	memset(c, 0, sizeof(*c));
	c->msix = f->msix;
}

static void hears_of_every_transition_once(void **state)
{
	struct consumer c;
	struct fixture f;

	(void)state;
	init(&f, &c, 4);
	assert_int_equal(peal_msix_set_consumer(f.msix, &consumer_ops, &c), 0);
	program_vector(&f, 1, false);
	assert_int_equal(c.uses, 0); /* MSI-X is off: masked */
	set_control(&f, MSIX_ENABLE);
	assert_int_equal(c.uses, 1);
	assert_true(c.used[1]);
	assert_int_equal(c.held[1].address, VECTOR_ADDRESS(1));
	assert_int_equal(c.held[1].data, VECTOR_DATA(1));
	assert_int_equal(c.held[1].requester_id, REQUESTER);
	set_mask(&f, 1, false); /* unmasked already */
	assert_int_equal(c.uses, 1);
	set_mask(&f, 1, true);
	assert_int_equal(c.releases, 1);
	set_control(&f, MSIX_ENABLE | MSIX_FUNCTION_MASK); /* masked already */
	assert_int_equal(c.releases, 1);
	set_mask(&f, 1, false);
	assert_int_equal(c.uses, 1);
	set_control(&f, MSIX_ENABLE);
	assert_int_equal(c.uses, 2);
	/* Disabling releases what was unmasked. */
	set_control(&f, 0);
	assert_int_equal(c.releases, 2);
	assert_false(c.used[1]);
	fixture_done(&f);
}

static void message_rewritten_while_unmasked_is_announced(void **state)
{
	struct consumer c;
	struct fixture f;

	(void)state;
	init(&f, &c, 2);
	program_vector(&f, 0, false);
	set_control(&f, MSIX_ENABLE);
	assert_int_equal(peal_msix_set_consumer(f.msix, &consumer_ops, &c), 0);
	assert_int_equal(c.uses, 1);
	table_write(&f, 8, 4, 0x1234);
	assert_int_equal(c.uses, 2);
	assert_int_equal(c.held[0].data, 0x1234);
	/* The same once more is no change; under a mask nobody asks. */
	table_write(&f, 8, 4, 0x1234);
	assert_int_equal(c.uses, 2);
	set_mask(&f, 0, true);
	table_write(&f, 8, 4, 0x5678);
	assert_int_equal(c.uses, 2);
	set_mask(&f, 0, false);
	assert_int_equal(c.held[0].data, 0x5678);
	fixture_done(&f);
}

static void registering_undoes_what_a_failing_use_left(void **state)
{
	struct consumer c;
	struct fixture f;

	(void)state;
	init(&f, &c, 4);
	for (unsigned v = 0; v < 4; v++)
		program_vector(&f, v, v == 1);
	set_control(&f, MSIX_ENABLE);
	c.fail_at = 3;
	assert_int_equal(peal_msix_set_consumer(f.msix, &consumer_ops, &c), -ENOSPC);
	assert_int_equal(c.uses, 3);
	assert_int_equal(c.releases, 2);
	assert_int_equal(c.released[0], 2);
	assert_int_equal(c.released[1], 0);
	assert_int_equal(c.commits, 1);
	/* Nothing stayed registered. */
	set_mask(&f, 0, true);
	assert_int_equal(c.releases, 2);
	c.fail_at = 0;
	assert_int_equal(peal_msix_set_consumer(f.msix, &consumer_ops, &c), 0);
	assert_int_equal(peal_msix_set_consumer(f.msix, &consumer_ops, &c), -EBUSY);
	/* Unregistering releases every unmasked one. */
	c.releases = 0;
	assert_int_equal(peal_msix_set_consumer(f.msix, NULL, NULL), 0);
	assert_int_equal(c.releases, 2);
	fixture_done(&f);
}

static void failing_use_leaves_the_sink_to_deliver(void **state)
{
	struct consumer c;
	struct fixture f;

	(void)state;
	init(&f, &c, 1);
	assert_int_equal(peal_msix_set_consumer(f.msix, &consumer_ops, &c), 0);
	program_vector(&f, 0, false);
	c.fail_at = 1;
	set_control(&f, MSIX_ENABLE);
	assert_int_equal(counters(f.msix, 0).use_failed, 1);
	assert_int_equal(peal_msix_notify(f.msix, 0), 1);
	assert_message(&f.sink, VECTOR_ADDRESS(0), VECTOR_DATA(0));
	fixture_done(&f);
}

static void poll_covers_exactly_the_bits_that_are_read(void **state)
{
	static const struct {
		unsigned offset, size, first, end;
	} reads[] = {
		{ 0, 8, 0, 64 },    { 8, 8, 64, 100 }, { 0, 4, 0, 32 },
		{ 12, 4, 96, 100 }, { 1, 1, 8, 16 },   { 3, 2, 24, 40 },
	};
	struct consumer c;
	struct fixture f;

	(void)state;
	init(&f, &c, 100);
	assert_int_equal(peal_msix_set_consumer(f.msix, &consumer_ops, &c), 0);
	assert_int_equal(c.polls, 1);
	assert_int_equal(c.poll_first, 0);
	assert_int_equal(c.poll_end, 100);
	for (size_t i = 0; i < PEAL_COUNT_OF(reads); i++) {
		(void)table_read(&f, 2048 + reads[i].offset, reads[i].size);
		assert_int_equal(c.polls, i + 2);
		assert_int_equal(c.poll_first, reads[i].first);
		assert_int_equal(c.poll_end, reads[i].end);
	}
	/* The table is not the PBA, nor do bits past the last vector stand for one. */
	(void)table_read(&f, 0, 8);
	(void)table_read(&f, 2048 + 13, 1);
	(void)table_read(&f, 2048 + 14, 2);
	assert_int_equal(c.polls, PEAL_COUNT_OF(reads) + 1);
	fixture_done(&f);
}

static void interrupt_taken_elsewhere_shows_in_the_pba(void **state)
{
	struct consumer c;
	struct fixture f;

	(void)state;
	init(&f, &c, 70);
	assert_int_equal(peal_msix_set_consumer(f.msix, &consumer_ops, &c), 0);
	program_vector(&f, 66, true);
	set_control(&f, MSIX_ENABLE);
	c.pend_at_poll = 66 + 1;
	assert_true(pba(&f, 66));
	set_mask(&f, 66, false);
	assert_int_equal(test_sink_count(&f.sink), 1);
	fixture_done(&f);
}

static void interrupt_taken_elsewhere_is_saved(void **state)
{
	struct consumer c;
	struct fixture f;
	uint8_t *bytes;
	size_t size;

	(void)state;
	init(&f, &c, 70);
	assert_int_equal(peal_msix_set_consumer(f.msix, &consumer_ops, &c), 0);
	program_vector(&f, 66, true);
	set_control(&f, MSIX_ENABLE);
	size = peal_pci_function_state_size(f.function);
	bytes = malloc(size);
	assert_non_null(bytes);
	c.pend_at_poll = 66 + 1;
	assert_int_equal(peal_pci_function_save(f.function, bytes, size), 0);
	assert_int_equal(c.poll_first, 0);
	assert_int_equal(c.poll_end, 70);
	peal_pci_function_reset(f.function);
	assert_int_equal(peal_pci_function_load(f.function, bytes, size), 0);
	assert_true(peal_msix_is_pending(f.msix, 66));
	free(bytes);
	fixture_done(&f);
}

static void many_vectors_are_one_commit(void **state)
{
	struct consumer c;
	struct fixture f;

	(void)state;
	init(&f, &c, VECTORS);
	assert_int_equal(peal_msix_set_consumer(f.msix, &consumer_ops, &c), 0);
	set_control(&f, MSIX_ENABLE);
	assert_int_equal(c.commits, 0); /* nothing to tell */
	peal_msix_begin(f.msix);
	for (unsigned v = 0; v < VECTORS; v++)
		set_mask(&f, v, false);
	peal_msix_begin(f.msix); /* they nest */
	for (unsigned v = 0; v < VECTORS; v++)
		set_mask(&f, v, true);
	peal_msix_commit(f.msix);
	assert_int_equal(c.commits, 0);
	peal_msix_commit(f.msix);
	assert_int_equal(c.uses, VECTORS);
	assert_int_equal(c.releases, VECTORS);
	assert_int_equal(c.begins, 1);
	assert_int_equal(c.commits, 1);
	for (unsigned v = 0; v < VECTORS; v++)
		set_mask(&f, v, false);
	c.commits = 0;
	/* Function Mask is one change of all of them. */
	set_control(&f, MSIX_ENABLE | MSIX_FUNCTION_MASK);
	assert_int_equal(c.commits, 1);
	assert_int_equal(c.releases, 2 * VECTORS);
	fixture_done(&f);
}

/* Who needs no brackets has none, and no poll. */
static void consumer_of_use_and_release_only(void **state)
{
	static const struct peal_vector_consumer ops = { .use = on_use, .release = on_release };
	struct consumer c;
	struct fixture f;

	(void)state;
	init(&f, &c, 2);
	c.depth = 1; /* as if in one, for the callbacks' sake */
	assert_int_equal(peal_msix_set_consumer(f.msix, &ops, &c), 0);
	program_vector(&f, 0, false);
	set_control(&f, MSIX_ENABLE);
	assert_int_equal(c.uses, 1);
	assert_false(pba(&f, 0));
	/* It leaves while a bracket of changes is open. */
	peal_msix_begin(f.msix);
	set_mask(&f, 1, false);
	assert_int_equal(c.uses, 2);
	assert_int_equal(peal_msix_set_consumer(f.msix, NULL, NULL), 0);
	assert_int_equal(c.releases, 2);
	peal_msix_commit(f.msix);
	fixture_done(&f);
}

static void uses_are_counted(void **state)
{
	struct consumer c;
	struct fixture f;
	void *user;

	(void)state;
	init(&f, &c, 2);
	assert_int_equal(peal_msix_use(f.msix, 1), 0);
	assert_int_equal(peal_msix_uses(f.msix, 0), 1);
	assert_int_equal(peal_msix_uses(f.msix, 1), 2);
	peal_msix_unuse_all(f.msix);
	assert_int_equal(peal_msix_uses(f.msix, 1), 0);
	assert_ptr_equal(peal_pci_function_device_ops(f.function, &user), &device_ops);
	assert_ptr_equal(user, &f.device);
	fixture_done(&f);
}

static void reset_releases_what_was_unmasked(void **state)
{
	struct consumer c;
	struct fixture f;

	(void)state;
	init(&f, &c, 3);
	assert_int_equal(peal_msix_set_consumer(f.msix, &consumer_ops, &c), 0);
	program_vector(&f, 0, false);
	program_vector(&f, 2, false);
	set_control(&f, MSIX_ENABLE);
	peal_pci_function_reset(f.function);
	assert_int_equal(c.releases, 2);
	assert_false(c.used[0] || c.used[2]);
	fixture_done(&f);
}

static void vector_that_could_not_be_taken_is_not_released(void **state)
{
	struct consumer c;
	struct fixture f;

	(void)state;
	init(&f, &c, 2);
	assert_int_equal(peal_msix_set_consumer(f.msix, &consumer_ops, &c), 0);
	program_vector(&f, 0, false);
	c.fail_at = 1;
	set_control(&f, MSIX_ENABLE);
	set_control(&f, 0);
	assert_int_equal(c.releases, 0);
	set_control(&f, MSIX_ENABLE);
	set_control(&f, 0);
	assert_int_equal(c.releases, 1);
	fixture_done(&f);
}

static void leaving_in_a_bracket_commits(void **state)
{
	struct consumer c;
	struct fixture f;

	(void)state;
	init(&f, &c, 2);
	assert_int_equal(peal_msix_set_consumer(f.msix, &consumer_ops, &c), 0);
	program_vector(&f, 0, false);
	peal_msix_begin(f.msix);
	set_control(&f, MSIX_ENABLE);
	assert_int_equal(peal_msix_set_consumer(f.msix, NULL, NULL), 0);
	assert_int_equal(c.begins, 1);
	assert_int_equal(c.commits, 1);
	assert_int_equal(c.releases, 1);
	peal_msix_commit(f.msix);
	assert_int_equal(c.commits, 1);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hears_of_every_transition_once),
		cmocka_unit_test(message_rewritten_while_unmasked_is_announced),
		cmocka_unit_test(registering_undoes_what_a_failing_use_left),
		cmocka_unit_test(failing_use_leaves_the_sink_to_deliver),
		cmocka_unit_test(poll_covers_exactly_the_bits_that_are_read),
		cmocka_unit_test(interrupt_taken_elsewhere_shows_in_the_pba),
		cmocka_unit_test(interrupt_taken_elsewhere_is_saved),
		cmocka_unit_test(many_vectors_are_one_commit),
		cmocka_unit_test(consumer_of_use_and_release_only),
		cmocka_unit_test(uses_are_counted),
		cmocka_unit_test(reset_releases_what_was_unmasked),
		cmocka_unit_test(vector_that_could_not_be_taken_is_not_released),
		cmocka_unit_test(leaving_in_a_bracket_commits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
