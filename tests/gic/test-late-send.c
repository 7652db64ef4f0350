/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A send that has found its target, and makes the LPI pending there only after somebody has changed
 * what it had found. Whoever changes it waits for such sends, so the LPI goes where the change says.
 *
 * There is one thread: the test enters a section of the GIC's epoch as the send does, and the rest of
 * the send runs when the change waits for it, in the host's relax().
 */
#include "tables-guest.h"

#include "gic/gic.h"

#define NOWHERE 3u

struct late {
	struct guest g; /* first: its host is the user of relax() */
	bool under_way;
	unsigned token;
};

/* The send goes on. */
static void relax(void *user)
{
	struct late *late = user;

	if (!late->under_way)
		return;
	late->under_way = false;
	(void)gic_pend(&late->g.gic->redists[0], LPI);
	peal_epoch_leave(&late->g.gic->epoch, late->token);
}

/* Event 0 of device 1 is LPI 8192 in collection 0, on redistributor 0. */
static void setup(struct late *late)
{
	const struct guest_config c = { .nredists = 3 };
	struct guest_its *gi = &late->g.its[0];

	guest_init(&late->g, &c);
	late->g.th.host.relax = relax;
	late->under_way = false;
	guest_start(&late->g);
	its_map_collections(gi);
	its_map_lpis(gi, 1, LPI, 2, 0, 0);
}

static void do_movi(struct guest_its *gi)
{
	assert_int_equal(its_movi(gi, 1, 0, 1), 0);
}

static void do_movall(struct guest_its *gi)
{
	assert_int_equal(its_movall(gi, 0, 1), 0);
}

static void do_discard(struct guest_its *gi)
{
	assert_int_equal(its_event(gi, DISCARD, 1, 0), 0);
}

static void do_unmap_device(struct guest_its *gi)
{
	assert_int_equal(its_unmapd(gi, 1), 0);
}

static void do_map_device(struct guest_its *gi)
{
	assert_int_equal(its_mapd(gi, 1, 1, its_itt(gi, 1)), 0);
}

static void do_map_event(struct guest_its *gi)
{
	assert_int_equal(its_mapti(gi, 1, 0, LPI + 1, 0), 0);
}

/* The LPI is where the collection was; the ITS knows that it may be. */
static void do_map_collection(struct guest_its *gi)
{
	assert_int_equal(its_mapc(gi, 0, 1), 0);
	assert_true(guest_is_pending(gi->guest, 0, LPI));
	assert_int_equal(its_event(gi, CLEAR, 1, 0), 0);
}

static void do_unmap_collection(struct guest_its *gi)
{
	assert_int_equal(its_unmapc(gi, 0, 0), 0);
	assert_true(guest_is_pending(gi->guest, 0, LPI));
	assert_int_equal(its_event(gi, CLEAR, 1, 0), 0);
}

static void do_disable(struct guest_its *gi)
{
	its_write32(gi, GITS_CTLR, 0);
}

static void do_reset(struct guest_its *gi)
{
	peal_its_reset(gi->its);
}

static void do_disable_lpis(struct guest_its *gi)
{
	struct guest *g = gi->guest;

	disable_lpis(g, 0);
	assert_false(guest_is_pending(g, 0, LPI));
	assert_int_equal(*guest_pending_byte(g, 0, LPI), 1);
	enable_lpis(g, 0);
}

static void do_reset_gic(struct guest_its *gi)
{
	peal_gic_reset(gi->guest->gic);
}

/* Nothing is in the table. */
static void do_restore_pending(struct guest_its *gi)
{
	peal_gic_restore_pending(gi->guest->gic);
}

static void do_load(struct guest_its *gi)
{
	struct image image = its_image(gi);

	assert_int_equal(peal_its_load(gi->its, image.bytes, image.size), 0);
	image_done(&image);
}

static const struct {
	const char *name;
	void (*change)(struct guest_its *gi);
	unsigned redist; /* where the LPI is pending in the end */
} changes[] = {
	{ "MOVI", do_movi, 1 },
	{ "MOVALL", do_movall, 1 },
	{ "DISCARD", do_discard, NOWHERE },
	{ "MAPD V=0", do_unmap_device, NOWHERE },
	{ "MAPD", do_map_device, NOWHERE },
	{ "MAPTI", do_map_event, NOWHERE },
	{ "MAPC", do_map_collection, NOWHERE },
	{ "MAPC V=0", do_unmap_collection, NOWHERE },
	{ "GITS_CTLR", do_disable, 0 },
	{ "reset of the ITS", do_reset, NOWHERE },
	{ "GICR_CTLR", do_disable_lpis, 0 },
	{ "reset of the GIC", do_reset_gic, NOWHERE },
	{ "restore of pending tables", do_restore_pending, NOWHERE },
	{ "load of a snapshot", do_load, 0 },
};

static void every_change_waits_for_sends_under_way(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PEAL_COUNT_OF(changes); i++) {
		struct late late;

		setup(&late);
		late.token = peal_epoch_enter(&late.g.gic->epoch);
		late.under_way = true;
		changes[i].change(&late.g.its[0]);
		if (late.under_way)
			fail_msg("%s did not wait", changes[i].name);
		for (unsigned n = 0; n < late.g.nredists; n++) {
			if (guest_is_pending(&late.g, n, LPI) != (n == changes[i].redist))
				fail_msg("%s: pending state of redistributor %u", changes[i].name,
					 n);
		}
		guest_done(&late.g);
	}
}

/* ---- memory ---- */

/*
 * A change that takes one thing out of reach, waits, and then another: a send that begins in between
 * may have found the second. Here it begins when the first wait ends, and is seen by the next.
 */
struct freeing {
	struct guest g; /* first, as above */
	bool under_way;
	unsigned token;
	unsigned more;  /* sends that begin when one ends */
	size_t watched; /* what may not be freed meanwhile: its size */
	unsigned freed;
};

static void end_of_wait(void *user)
{
	struct freeing *f = user;
	unsigned token = f->token;

	f->under_way = f->more > 0;
	if (f->more) {
		f->more--;
		f->token = peal_epoch_enter(&f->g.gic->epoch);
	}
	peal_epoch_leave(&f->g.gic->epoch, token);
}

static void watch_free(void *user, void *pointer, size_t size)
{
	struct freeing *f = user;

	if (size == f->watched) {
		f->freed++;
		thread_assert(!f->under_way);
	}
	test_host_free(user, pointer, size);
}

static void setup_freeing(struct freeing *f, size_t watched)
{
	memset(f, 0, sizeof(*f));
	guest_init(&f->g, NULL);
	guest_start(&f->g);
	its_map_collections(&f->g.its[0]);
	assert_int_equal(its_mapd(&f->g.its[0], 1, 4, its_itt(&f->g.its[0], 1)), 0);
	f->g.th.host.relax = end_of_wait;
	f->g.th.host.free = watch_free;
	f->watched = watched;
	f->more = 1;
	f->token = peal_epoch_enter(&f->g.gic->epoch);
	f->under_way = true;
}

/* The device goes, and then the nodes of the tree that led to it. */
static void nodes_are_out_of_reach_before_they_are_freed(void **state)
{
	struct freeing f;

	(void)state;
	setup_freeing(&f, sizeof(struct its_node));
	assert_int_equal(its_unmapd(&f.g.its[0], 1), 0);
	assert_int_equal(f.freed, 2);
	guest_done(&f.g);
}

/* The last collection goes, and then the page it was in. */
static void collection_pages_are_out_of_reach_before_they_are_freed(void **state)
{
	struct freeing f;
	struct guest_its *gi = &f.g.its[0];

	(void)state;
	setup_freeing(&f, COLLECTION_PAGE * sizeof(uint32_t));
	f.more = 2;
	assert_int_equal(its_unmapc(gi, 1, 0), 0);
	assert_int_equal(f.freed, 0);
	assert_int_equal(its_unmapc(gi, 0, 0), 0);
	assert_int_equal(f.freed, 1);
	guest_done(&f.g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_change_waits_for_sends_under_way),
		cmocka_unit_test(nodes_are_out_of_reach_before_they_are_freed),
		cmocka_unit_test(collection_pages_are_out_of_reach_before_they_are_freed),
	};

	return cmocka_run_group_tests_name("gic-late-send", tests, NULL, NULL);
}
