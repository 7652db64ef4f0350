/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Saving and loading while others send and map. Each test counts what has to come out, and the
 * sanitizers watch the rest.
 */
#include "tables-guest.h"

#define DEVICES 8u
#define EVENTS  8u
#define ROUNDS  300u

struct race {
	struct guest g;
	struct image its, gic;
	uint32_t stop;
	uint64_t delivered; /* sends that returned 1 */
	unsigned saves;
};

static void race_init(struct race *race)
{
	struct guest_its *gi = &race->g.its[0];

	memset(race, 0, sizeof(*race));
	guest_init(&race->g, NULL);
	guest_start(&race->g);
	its_map_collections(gi);
	for (unsigned d = 0; d < DEVICES; d++)
		its_map_lpis(gi, d, LPI + d * EVENTS, EVENTS, d % 2, 0);
	race->its = its_image(gi);
	race->gic.size = peal_gic_state_size(race->g.gic);
	race->gic.bytes = malloc(race->gic.size);
	assert_non_null(race->gic.bytes);
	assert_int_equal(peal_gic_save(race->g.gic, race->gic.bytes, race->gic.size), 0);
}

static void race_done(struct race *race)
{
	image_done(&race->its);
	image_done(&race->gic);
	guest_done(&race->g);
}

static bool is_over(struct race *race)
{
	return __atomic_load_n(&race->stop, __ATOMIC_ACQUIRE);
}

static void end(struct race *race)
{
	__atomic_store_n(&race->stop, 1, __ATOMIC_RELEASE);
}

static void send_until_over(struct race *race, bool may_be_busy)
{
	for (uint32_t n = 0; n < 64 || !is_over(race); n++) {
		int r = peal_its_send(race->g.its[0].its, n % DEVICES, n / DEVICES % EVENTS);

		thread_assert(r == 1 || (r == -EBUSY && may_be_busy));
		if (r == 1)
			race->delivered++;
	}
}

/* ---- sends and saves ---- */

static void send_or_save(void *user, unsigned index)
{
	struct race *race = user;
	struct peal_its *its = race->g.its[0].its;

	if (index == 0) {
		send_until_over(race, false);
		return;
	}
	for (unsigned i = 0; i < ROUNDS; i++) {
		thread_assert(peal_its_save_tables(its) == 0);
		thread_assert(peal_gic_save_pending(race->g.gic) == 0);
		thread_assert(peal_its_save(its, race->its.bytes, race->its.size) == 0);
		thread_assert(peal_gic_save(race->g.gic, race->gic.bytes, race->gic.size) == 0);
	}
	end(race);
}

static void saves_do_not_disturb_sends(void **state)
{
	struct race race;
	struct peal_redist_counters c[2];

	(void)state;
	race_init(&race);
	test_threads(2, send_or_save, &race);
	for (unsigned i = 0; i < 2; i++)
		c[i] = guest_counters(&race.g, i);
	/* All were pending in the end: each first time, and merged after it. */
	for (unsigned i = 0; i < DEVICES * EVENTS; i++)
		assert_true(guest_is_pending(&race.g, i / EVENTS % 2, LPI + i));
	assert_int_equal(race.delivered, c[0].merged + c[1].merged + DEVICES * EVENTS);
	assert_int_equal(peal_gic_save_pending(race.g.gic), 0);
	assert_int_equal(*guest_pending_byte(&race.g, 0, LPI), 0xff);
	assert_int_equal(*guest_pending_byte(&race.g, 1, LPI), 0);
	race_done(&race);
}

/* ---- commands and saves: a known failure of others: the list overrun by a MAPTI ---- */

static void map_or_save(void *user, unsigned index)
{
	struct race *race = user;
	struct guest_its *gi = &race->g.its[0];

	if (index == 0) {
		for (unsigned i = 0; i < ROUNDS; i++) {
			uint32_t device = 100 + i % 32;

			thread_assert(its_mapd(gi, device, 4, its_itt(gi, device)) == 0);
			for (unsigned e = 0; e < 8; e++)
				thread_assert(its_mapti(gi, device, e, LPI + 1000 + e, e % 2) == 0);
			thread_assert(its_event(gi, DISCARD, device, 3) == 0);
			if (i % 3 == 0)
				thread_assert(its_unmapd(gi, device) == 0);
		}
		end(race);
		return;
	}
	while (!is_over(race)) {
		size_t size = peal_its_state_size(gi->its);
		uint8_t *bytes = malloc(size);
		int r;

		thread_assert(bytes && peal_its_save_tables(gi->its) == 0);
		r = peal_its_save(gi->its, bytes, size);
		/* It may have grown since. */
		thread_assert(r == 0 || r == -ENOSPC);
		free(bytes);
		race->saves++;
	}
}

static void commands_go_on_between_saves(void **state)
{
	struct race race;
	struct guest_its *gi = &race.g.its[0];
	struct image image;

	(void)state;
	race_init(&race);
	test_threads(2, map_or_save, &race);
	image = its_image(gi);
	assert_int_equal(peal_its_save_tables(gi->its), 0);
	its_write32(gi, GITS_CTLR, 0);
	assert_int_equal(peal_its_restore_tables(gi->its), 0);
	its_write32(gi, GITS_CTLR, 1);
	assert_true(its_is_image(gi, &image));
	image_done(&image);
	race_done(&race);
}

/* ---- sends, and an ITS that changes under them ---- */

static void send_or_load(void *user, unsigned index)
{
	struct race *race = user;
	struct guest_its *gi = &race->g.its[0];

	if (index == 0) {
		send_until_over(race, true);
		return;
	}
	for (unsigned i = 0; i < ROUNDS; i++) {
		thread_assert(peal_its_load(gi->its, race->its.bytes, race->its.size) == 0);
		peal_gic_restore_pending(race->g.gic);
		if (i % 8)
			continue;
		thread_assert(peal_its_save_tables(gi->its) == 0);
		its_write32(gi, GITS_CTLR, 0);
		thread_assert(peal_its_restore_tables(gi->its) == 0);
		its_write32(gi, GITS_CTLR, 1);
		thread_assert(peal_gic_load(race->g.gic, race->gic.bytes, race->gic.size) == 0);
	}
	end(race);
}

static void loads_let_sends_through_or_say_busy(void **state)
{
	struct race race;
	struct guest_its *gi = &race.g.its[0];

	(void)state;
	race_init(&race);
	test_threads(2, send_or_load, &race);
	assert_true(its_is_image(gi, &race.its));
	peal_gic_restore_pending(race.g.gic);
	assert_int_equal(guest_acknowledge(&race.g, 0), SPURIOUS);
	assert_int_equal(peal_its_send(gi->its, 7, 7), 1);
	assert_int_equal(guest_acknowledge(&race.g, 1), LPI + 63);
	race_done(&race);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(saves_do_not_disturb_sends),
		cmocka_unit_test(commands_go_on_between_saves),
		cmocka_unit_test(loads_let_sends_through_or_say_busy),
	};

	return cmocka_run_group_tests_name("gic-state-threads", tests, NULL, NULL);
}
