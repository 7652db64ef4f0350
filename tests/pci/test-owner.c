/* SPDX-License-Identifier: BSD-2-Clause */
/* Owners of vectors: who takes them by number, what masks them, and what comes and goes with it. */
#include "fixture.h"

#define VECTORS     4u
#define ID_MSI      0x05u
#define MSI_CONTROL 2u
#define MSI_MASK    12u

struct owner {
	unsigned delivered[VECTORS];
	int answer;
};

static int owner_deliver(void *user, unsigned vector)
{
	struct owner *owner = user;

	thread_assert(vector < VECTORS);
	owner->delivered[vector]++;
	return owner->answer;
}

static const struct peal_vector_owner owner_ops = { .deliver = owner_deliver };

/* Plugged, enabled, owned; nothing open. */
static void init(struct fixture *f, struct owner *owner)
{
	*owner = (struct owner){ .answer = 1 };
	fixture_init_msix(f, VECTORS);
	set_control(f, MSIX_ENABLE);
	assert_int_equal(peal_msix_set_owner(f->msix, &owner_ops, owner), 0);
}

static void open_vector_goes_to_its_owner_by_number(void **state)
{
	struct owner owner;
	struct fixture f;

	(void)state;
	init(&f, &owner);
	peal_msix_open(f.msix, 2, true);
	assert_int_equal(peal_msix_notify(f.msix, 2), 1);
	assert_int_equal(owner.delivered[2], 1);
	assert_int_equal(test_sink_count(&f.sink), 0);
	/* Its answer is the raise's; it counts for itself. */
	owner.answer = 0;
	assert_int_equal(peal_msix_notify(f.msix, 2), 0);
	owner.answer = -ENOSPC;
	assert_int_equal(peal_msix_notify(f.msix, 2), -ENOSPC);
	assert_int_equal(owner.delivered[2], 3);
	assert_int_equal(counters(f.msix, 2).blocked, 0);
	assert_int_equal(counters(f.msix, 2).failed, 0);
	assert_int_equal(counters(f.msix, 2).sent, 0);
	fixture_done(&f);
}

static void closed_vector_pends_and_is_delivered_when_it_opens(void **state)
{
	struct owner owner;
	struct fixture f;

	(void)state;
	init(&f, &owner);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(peal_msix_notify(f.msix, 1), 0);
	assert_true(pba(&f, 1));
	assert_int_equal(owner.delivered[1], 0);
	peal_msix_open(f.msix, 1, true);
	assert_int_equal(owner.delivered[1], 1);
	assert_false(pba(&f, 1));
	peal_msix_open(f.msix, 1, true);
	peal_msix_open(f.msix, 1, false);
	assert_int_equal(peal_msix_notify(f.msix, 1), 0);
	assert_int_equal(owner.delivered[1], 1);
	assert_int_equal(peal_msix_notify(f.msix, 0), 0);
	assert_int_equal(owner.delivered[0], 0);
	fixture_done(&f);
}

/* ---- an owner that had closed the vector when a raise came to it ---- */

struct late {
	struct peal_msix *msix;
	struct peal_msi *msi; /* NULL: it is MSI-X */
	bool reopens;
	bool unuses;
	bool opens; /* what pended comes from there */
	unsigned delivered;
	int pend; /* what it was told */
};

static void late_open(struct late *late, bool open)
{
	late->opens = true;
	if (late->msi)
		peal_msi_open(late->msi, 0, open);
	else
		peal_msix_open(late->msix, 0, open);
	late->opens = false;
}

static int late_deliver(void *user, unsigned vector)
{
	struct late *late = user;

	if (!late->opens)
		late_open(late, late->reopens);
	if (late->unuses)
		peal_msix_unuse(late->msix, 0);
	late->pend = late->msi ? peal_msi_pend(late->msi, vector)
			       : peal_msix_pend(late->msix, vector);
	late->delivered += late->pend > 0;
	return late->pend > 0 ? 1 : late->pend;
}

static const struct peal_vector_owner late_ops = { .deliver = late_deliver };

static void late_init(struct fixture *f, struct late *late)
{
	fixture_init_msix(f, VECTORS);
	late->msix = f->msix;
	set_control(f, MSIX_ENABLE);
	assert_int_equal(peal_msix_set_owner(f->msix, &late_ops, late), 0);
}

static void raise_that_finds_its_vector_just_closed_pends(void **state)
{
	struct late late = { 0 };
	struct fixture f;

	(void)state;
	late_init(&f, &late);
	late_open(&late, true);
	assert_int_equal(peal_msix_notify(f.msix, 0), 0);
	assert_true(pba(&f, 0));
	assert_int_equal(peal_msix_notify(f.msix, 0), 0);
	assert_int_equal(counters(f.msix, 0).pended, 1);
	assert_int_equal(counters(f.msix, 0).merged, 1);
	assert_int_equal(late.delivered, 0);
	late.reopens = true;
	late_open(&late, true);
	assert_int_equal(late.delivered, 1);
	assert_false(pba(&f, 0));
	/* Without owner it is nobody's. */
	assert_int_equal(peal_msix_set_owner(f.msix, NULL, NULL), 0);
	set_mask(&f, 0, false);
	assert_int_equal(peal_msix_pend(f.msix, 0), 0);
	assert_false(pba(&f, 0));
	fixture_done(&f);
}

static void raise_that_finds_its_vector_open_again_is_delivered(void **state)
{
	struct late late = { .reopens = true };
	struct fixture f;

	(void)state;
	late_init(&f, &late);
	peal_msix_open(f.msix, 0, true);
	assert_int_equal(peal_msix_notify(f.msix, 0), 1);
	assert_int_equal(late.delivered, 1);
	assert_false(pba(&f, 0));
	/* Nobody uses it any more: nothing pends. */
	late.reopens = false;
	late.unuses = true;
	assert_int_equal(peal_msix_notify(f.msix, 0), 0);
	assert_false(pba(&f, 0));
	fixture_done(&f);
}

static void all_masks_of_the_guest_but_those_of_the_table_count(void **state)
{
	struct owner owner;
	struct fixture f;

	(void)state;
	init(&f, &owner);
	peal_msix_open(f.msix, 0, true);
	set_control(&f, MSIX_ENABLE | MSIX_FUNCTION_MASK);
	assert_int_equal(peal_msix_notify(f.msix, 0), 0);
	set_control(&f, MSIX_ENABLE);
	assert_int_equal(owner.delivered[0], 1);
	set_control(&f, 0);
	assert_int_equal(peal_msix_notify(f.msix, 0), 0);
	set_control(&f, MSIX_ENABLE);
	assert_int_equal(owner.delivered[0], 2);
	set_command(&f, COMMAND_MEMORY);
	assert_int_equal(peal_msix_notify(f.msix, 0), 0);
	assert_int_equal(counters(f.msix, 0).dropped, 1);
	assert_int_equal(owner.delivered[0], 2);
	fixture_done(&f);
}

static void mask_bit_counts_from_the_first_write_to_its_entry(void **state)
{
	/* Any write does, also one that leaves all as it was, and one that only touches the entry. */
	const struct {
		unsigned at, size;
		uint64_t value;
	} writes[] = {
		{ 0, 4, 0xfee00000 }, { 8, 4, 0 }, { 12, 4, 1 }, { 15, 1, 0 }, { 14, 2, 0 },
	};

	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(writes); i++) {
		struct owner owner;
		struct fixture f;

		init(&f, &owner);
		for (unsigned v = 0; v < VECTORS; v++)
			peal_msix_open(f.msix, v, true);
		assert_true(table_read(&f, 16 + 12, 4));
		assert_int_equal(peal_msix_notify(f.msix, 1), 1);
		table_write(&f, 16 + writes[i].at, writes[i].size, writes[i].value);
		assert_int_equal(peal_msix_notify(f.msix, 1), 0);
		/* Of this entry only. */
		assert_int_equal(peal_msix_notify(f.msix, 0), 1);
		assert_int_equal(peal_msix_notify(f.msix, 2), 1);
		set_mask(&f, 1, false);
		assert_int_equal(owner.delivered[1], 2);
		set_mask(&f, 1, true);
		assert_int_equal(peal_msix_notify(f.msix, 1), 0);
		peal_msix_forget_masks(f.msix);
		assert_int_equal(owner.delivered[1], 3);
		set_mask(&f, 1, true);
		assert_int_equal(peal_msix_notify(f.msix, 1), 0);
		fixture_done(&f);
	}
}

/* An access across the end of an entry touches both. */
static void write_across_two_entries_counts_for_both(void **state)
{
	struct owner owner;
	struct fixture f;

	(void)state;
	init(&f, &owner);
	for (unsigned v = 0; v < VECTORS; v++)
		peal_msix_open(f.msix, v, true);
	table_write(&f, 16 + 14, 4, 0);
	for (unsigned v = 0; v < VECTORS; v++)
		assert_int_equal(peal_msix_notify(f.msix, v), v != 1 && v != 2);
	/* The PBA is no entry. */
	table_write(&f, 2048, 8, 0);
	assert_int_equal(peal_msix_notify(f.msix, 0), 1);
	fixture_done(&f);
}

static void reset_forgets_the_masks(void **state)
{
	struct owner owner;
	struct fixture f;

	(void)state;
	init(&f, &owner);
	peal_msix_open(f.msix, 1, true);
	set_mask(&f, 1, true);
	assert_int_equal(peal_msix_notify(f.msix, 1), 0);
	peal_pci_function_reset(f.function);
	assert_false(peal_msix_is_pending(f.msix, 1));
	set_command(&f, COMMAND_BUS_MASTER);
	set_control(&f, MSIX_ENABLE);
	assert_int_equal(owner.delivered[1], 0);
	/* It is open still. */
	assert_int_equal(peal_msix_notify(f.msix, 1), 1);
	assert_int_equal(peal_msix_notify(f.msix, 0), 0);
	fixture_done(&f);
}

static void loaded_entry_that_was_written_is_masked_as_it_says(void **state)
{
	/* Vector 0 as after a reset; 1 has an address, 2 data, 3 no mask. */
	struct owner owner;
	uint8_t *bytes;
	struct fixture f;
	size_t size;

	(void)state;
	init(&f, &owner);
	table_write(&f, 16, 4, 0xfee00000);
	table_write(&f, 32 + 8, 4, 0x41);
	set_mask(&f, 3, false);
	size = peal_pci_function_state_size(f.function);
	bytes = malloc(size);
	assert_non_null(bytes);
	assert_int_equal(peal_pci_function_save(f.function, bytes, size), 0);
	peal_pci_function_reset(f.function);
	assert_int_equal(peal_pci_function_load(f.function, bytes, size), 0);
	for (unsigned v = 0; v < VECTORS; v++) {
		peal_msix_open(f.msix, v, true);
		assert_int_equal(peal_msix_notify(f.msix, v), v == 0 || v == 3);
	}
	/* The entry that was not written counts when it is, not before. */
	table_write(&f, 0, 1, 0);
	assert_int_equal(peal_msix_notify(f.msix, 0), 0);
	free(bytes);
	fixture_done(&f);
}

static void owner_that_leaves_leaves_what_the_guest_made(void **state)
{
	struct owner owner;
	struct fixture f;

	(void)state;
	init(&f, &owner);
	program_vector(&f, 0, false);
	program_vector(&f, 1, true);
	for (unsigned v = 0; v < VECTORS; v++)
		assert_int_equal(peal_msix_notify(f.msix, v), 0);
	peal_msix_open(f.msix, 2, true);
	assert_int_equal(owner.delivered[2], 1);
	assert_int_equal(peal_msix_set_owner(f.msix, NULL, NULL), 0);
	/* Pending and unmasked by the guest: the message goes where it says. */
	assert_int_equal(test_sink_count(&f.sink), 1);
	assert_message(&f.sink, VECTOR_ADDRESS(0), VECTOR_DATA(0));
	assert_true(pba(&f, 1) && !pba(&f, 2) && pba(&f, 3));
	/* The table's masks count again, also those that never did. */
	assert_int_equal(peal_msix_notify(f.msix, 2), 0);
	assert_int_equal(test_sink_count(&f.sink), 1);
	assert_int_equal(peal_msix_notify(f.msix, 0), 1);
	assert_int_equal(owner.delivered[0], 0);
	fixture_done(&f);
}

static void only_one_owner_and_the_next_finds_all_closed_and_forgotten(void **state)
{
	struct owner owner, other = { .answer = 1 };
	struct fixture f;

	(void)state;
	init(&f, &owner);
	peal_msix_open(f.msix, 0, true);
	set_mask(&f, 1, true);
	assert_int_equal(peal_msix_set_owner(f.msix, &owner_ops, &other), -EBUSY);
	assert_int_equal(peal_msix_notify(f.msix, 0), 1);
	assert_int_equal(owner.delivered[0], 1);
	/* Who was refused has not forgotten the masks of who is there. */
	peal_msix_open(f.msix, 1, true);
	assert_int_equal(peal_msix_notify(f.msix, 1), 0);
	assert_int_equal(peal_msix_set_owner(f.msix, NULL, NULL), 0);
	assert_int_equal(peal_msix_set_owner(f.msix, &owner_ops, &other), 0);
	for (unsigned v = 0; v < VECTORS; v++)
		assert_int_equal(peal_msix_notify(f.msix, v), 0);
	for (unsigned v = 0; v < VECTORS; v++) {
		peal_msix_open(f.msix, v, true);
		assert_int_equal(other.delivered[v], 1);
	}
	/* NULL twice is no harm. */
	assert_int_equal(peal_msix_set_owner(f.msix, NULL, NULL), 0);
	assert_int_equal(peal_msix_set_owner(f.msix, NULL, NULL), 0);
	fixture_done(&f);
}

/* ---- with a consumer ---- */

static unsigned commits, changes;

static int count_use(void *user, unsigned vector, const struct peal_msi_msg *msg)
{
	(void)user;
	(void)vector;
	(void)msg;
	changes++;
	return 0;
}

static void count_release(void *user, unsigned vector)
{
	(void)user;
	(void)vector;
	changes++;
}

static void count_commit(void *user)
{
	(void)user;
	commits++;
}

static void owner_comes_and_goes_in_one_commit(void **state)
{
	static const struct peal_vector_consumer consumer = {
		.use = count_use,
		.release = count_release,
		.commit = count_commit,
	};
	struct owner owner = { .answer = 1 };
	struct fixture f;

	(void)state;
	fixture_init_msix(&f, VECTORS);
	for (unsigned v = 0; v < VECTORS; v++)
		program_vector(&f, v, false);
	set_control(&f, MSIX_ENABLE);
	assert_int_equal(peal_msix_set_consumer(f.msix, &consumer, NULL), 0);
	commits = changes = 0;
	assert_int_equal(peal_msix_set_owner(f.msix, &owner_ops, &owner), 0);
	assert_int_equal(changes, VECTORS);
	assert_int_equal(commits, 1);
	for (unsigned v = 0; v < VECTORS; v++) {
		peal_msix_open(f.msix, v, true);
		set_mask(&f, v, true);
	}
	commits = changes = 0;
	peal_msix_forget_masks(f.msix);
	assert_int_equal(changes, VECTORS);
	assert_int_equal(commits, 1);
	/* Masks count again: they all go, in one. */
	commits = changes = 0;
	assert_int_equal(peal_msix_set_owner(f.msix, NULL, NULL), 0);
	assert_int_equal(changes, VECTORS);
	assert_int_equal(commits, 1);
	assert_int_equal(peal_msix_set_consumer(f.msix, NULL, NULL), 0);
	fixture_done(&f);
}

/* ---- MSI ---- */

static void msi_has_an_owner_too(void **state)
{
	const struct peal_msi_config config = { .vectors = VECTORS, .maskable = true };
	struct owner owner = { .answer = 1 };
	struct late late = { 0 };
	struct peal_msi *msi;
	struct fixture f;
	unsigned at;

	(void)state;
	fixture_init(&f);
	assert_int_equal(peal_pci_function_add_msi(f.function, &config), 0);
	msi = peal_pci_function_msi(f.function);
	at = find_capability(f.function, ID_MSI, 0);
	for (unsigned v = 0; v < VECTORS; v++)
		assert_int_equal(peal_msi_use(msi, v), 0);
	fixture_plug(&f);
	set_command(&f, COMMAND_BUS_MASTER);
	config_write(&f, at + 8, 2, 0x40);
	config_write(&f, at + MSI_CONTROL, 2, 0x21); /* all four */
	assert_int_equal(peal_msi_set_owner(msi, &owner_ops, &owner), 0);
	assert_int_equal(peal_msi_set_owner(msi, &owner_ops, &owner), -EBUSY);
	assert_int_equal(peal_msi_notify(msi, 3), 0);
	peal_msi_open(msi, 3, true);
	assert_int_equal(owner.delivered[3], 1);
	assert_int_equal(peal_msi_notify(msi, 3), 1);
	/* The Mask register counts, and fewer vectors are shared. */
	config_write(&f, at + MSI_MASK, 4, 1 << 3);
	assert_int_equal(peal_msi_notify(msi, 3), 0);
	assert_int_equal(owner.delivered[3], 2);
	config_write(&f, at + MSI_MASK, 4, 0);
	assert_int_equal(owner.delivered[3], 3);
	config_write(&f, at + MSI_CONTROL, 2, 0x01);
	peal_msi_open(msi, 0, true);
	assert_int_equal(peal_msi_notify(msi, 3), 1);
	assert_int_equal(owner.delivered[0], 1);
	peal_msi_open(msi, 0, false);
	assert_int_equal(peal_msi_notify(msi, 2), 0);
	assert_int_equal(test_sink_count(&f.sink), 0);
	assert_int_equal(peal_msi_set_owner(msi, NULL, NULL), 0);
	assert_int_equal(test_sink_count(&f.sink), 1);
	assert_int_equal(test_sink_last(&f.sink)->data, 0x40);
	/* One that had closed it. */
	late.msi = msi;
	assert_int_equal(peal_msi_set_owner(msi, &late_ops, &late), 0);
	peal_msi_open(msi, 0, true);
	assert_int_equal(peal_msi_notify(msi, 2), 0);
	assert_true(peal_msi_is_pending(msi, 0));
	late.reopens = true;
	late_open(&late, true);
	assert_int_equal(late.delivered, 1);
	assert_int_equal(peal_msi_notify(msi, 2), 1);
	assert_false(peal_msi_is_pending(msi, 0));
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_vector_goes_to_its_owner_by_number),
		cmocka_unit_test(closed_vector_pends_and_is_delivered_when_it_opens),
		cmocka_unit_test(raise_that_finds_its_vector_just_closed_pends),
		cmocka_unit_test(raise_that_finds_its_vector_open_again_is_delivered),
		cmocka_unit_test(all_masks_of_the_guest_but_those_of_the_table_count),
		cmocka_unit_test(mask_bit_counts_from_the_first_write_to_its_entry),
		cmocka_unit_test(write_across_two_entries_counts_for_both),
		cmocka_unit_test(reset_forgets_the_masks),
		cmocka_unit_test(loaded_entry_that_was_written_is_masked_as_it_says),
		cmocka_unit_test(owner_that_leaves_leaves_what_the_guest_made),
		cmocka_unit_test(only_one_owner_and_the_next_finds_all_closed_and_forgotten),
		cmocka_unit_test(owner_comes_and_goes_in_one_commit),
		cmocka_unit_test(msi_has_an_owner_too),
	};

	return cmocka_run_group_tests_name("pci-owner", tests, NULL, NULL);
}
