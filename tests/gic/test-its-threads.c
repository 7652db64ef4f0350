/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sends from several threads while another runs commands, a third switches LPIs off and on, one
 * saves, and vCPUs acknowledge. What was accepted is accounted for exactly, what was discarded stays away,
 * and nobody waits for a kick in vain. Under AddressSanitizer: nothing is used after it is freed.
 */
#include "its-guest.h"

#include <sched.h>

#define SENDERS  4u
#define COMMANDS 6000u

/* One VM, and the roles that a test gives its threads. */
struct world {
	struct guest g;
	unsigned senders_left;  /* the others go on until there are none */
	unsigned commands_left; /* senders go on until there are none */
	uint64_t sends;
	uint64_t accepted[2]; /* sends that returned 1: to stable events, to changing ones */
	uint64_t acknowledged[GUEST_REDISTS];
	uint32_t generation;    /* of test events: odd while they are mapped */
	uint64_t refused;       /* sends that were seen to be blocked */
	uint64_t delivered[64]; /* acknowledged, by INTID - LPI */
};

static void world_init(struct world *w, const struct guest_config *c)
{
	memset(w, 0, sizeof(*w));
	guest_init(&w->g, c);
	guest_start(&w->g);
	for (unsigned i = 0; i < w->g.nits; i++)
		its_map_collections(&w->g.its[i]);
	w->senders_left = SENDERS;
	w->commands_left = COMMANDS;
}

static bool is_over(struct world *w)
{
	return __atomic_load_n(&w->senders_left, __ATOMIC_ACQUIRE) == 0;
}

static void sender_ends(struct world *w)
{
	(void)__atomic_fetch_sub(&w->senders_left, 1, __ATOMIC_RELEASE);
}

/* There are more threads than processors: give the others a turn, outside of sections. */
static void be_fair(uint64_t *random)
{
	if (test_random_below(random, 16) == 0)
		(void)sched_yield();
}

static bool acknowledge_one(struct world *w, unsigned redist)
{
	uint32_t intid = guest_acknowledge(&w->g, redist);

	if (intid == SPURIOUS)
		return false;
	thread_assert(intid >= LPI && intid < LPI + 64);
	(void)__atomic_fetch_add(&w->delivered[intid - LPI], 1, __ATOMIC_RELAXED);
	(void)__atomic_fetch_add(&w->acknowledged[redist], 1, __ATOMIC_RELAXED);
	return true;
}

static void run_vcpu(struct world *w, unsigned redist)
{
	while (!is_over(w)) {
		if (!acknowledge_one(w, redist))
			(void)sched_yield();
	}
}

static void drain(struct world *w)
{
	for (unsigned i = 0; i < w->g.nredists; i++) {
		while (acknowledge_one(w, i))
			;
	}
}

/* Switches the LPIs of redistributors off and on; ends with all of them on. */
static void run_toggler(struct world *w)
{
	for (unsigned n = 0; !is_over(w); n++) {
		disable_lpis(&w->g, n % w->g.nredists);
		(void)sched_yield();
		enable_lpis(&w->g, n % w->g.nredists);
		(void)sched_yield();
	}
}

/* ---- accounting ---- */

/*
 * Redistributors 0 and 1 get the events of device 1, which stay mapped but move between them;
 * redistributor 2 gets those of devices 2 to 5, which come and go.
 */
#define STABLE       1u
#define FIRST_CHANGE 2u
#define CHANGING     4u

static void run_sender(struct world *w, unsigned index)
{
	struct peal_its *its = w->g.its[0].its;
	uint64_t random = index, sends = 0;

	while (__atomic_load_n(&w->commands_left, __ATOMIC_RELAXED) > 0) {
		uint32_t event = (uint32_t)test_random_below(&random, 32);
		uint32_t device = STABLE;
		int r;

		be_fair(&random);

		if (test_random_below(&random, 2))
			device = FIRST_CHANGE + (uint32_t)test_random_below(&random, CHANGING);
		r = peal_its_send(its, device, event);
		thread_assert(r == 1 || r == 0 || r == -EBUSY);
		(void)__atomic_fetch_add(&w->accepted[device != STABLE], r == 1, __ATOMIC_RELAXED);
		sends++;
	}
	(void)__atomic_fetch_add(&w->sends, sends, __ATOMIC_RELAXED);
	sender_ends(w);
}

static void change_stable(struct guest_its *gi, uint64_t *random)
{
	uint32_t icid = (uint32_t)test_random_below(random, 2);

	switch (test_random_below(random, 7)) {
	case 0:
	case 1:
		thread_assert(its_movi(gi, STABLE, (uint32_t)test_random_below(random, 32), icid) ==
			      0);
		break;
	case 2:
		thread_assert(its_movall(gi, icid, icid ^ 1) == 0);
		break;
	case 3: /* elsewhere, in one step or two */
		if (test_random_below(random, 2))
			thread_assert(its_unmapc(gi, icid, 0) == 0);
		thread_assert(its_mapc(gi, icid, test_random_below(random, 2)) == 0);
		break;
	case 4:
		thread_assert(its_event(gi, INV, STABLE, (uint32_t)test_random_below(random, 32)) ==
			      0);
		break;
	case 5:
		thread_assert(its_invall(gi, icid) == 0);
		break;
	default:
		its_write32(gi, GITS_CTLR, 0);
		its_write32(gi, GITS_CTLR, 1);
		break;
	}
}

static void change_changing(struct guest_its *gi, uint64_t *random)
{
	uint32_t device = FIRST_CHANGE + (uint32_t)test_random_below(random, CHANGING);
	uint32_t event = (uint32_t)test_random_below(random, 32);
	/* Shared now and then. */
	uint32_t intid = LPI + 32 + (uint32_t)test_random_below(random, 32);

	switch (test_random_below(random, 40)) {
	case 0:
		thread_assert(its_mapd(gi, device, 4, its_itt(gi, device)) == 0);
		break;
	case 1:
		thread_assert(its_unmapd(gi, device) == 0);
		break;
	case 2:
	case 3:
	case 4:
	case 5:
		(void)its_event(gi, DISCARD, device, event);
		break;
	case 6:
		(void)its_event(gi, CLEAR, device, event);
		break;
	case 7:
		thread_assert(its_unmapc(gi, 2, 2) == 0);
		thread_assert(its_mapc(gi, 2, 2) == 0);
		break;
	default:
		if (its_mapti(gi, device, event, intid, 2) == 0x010a04)
			thread_assert(its_mapd(gi, device, 4, its_itt(gi, device)) == 0);
		break;
	}
}

/* Real traffic, however the machine shares its time out. */
static bool is_enough(struct world *w)
{
	return __atomic_load_n(&w->accepted[0], __ATOMIC_RELAXED) > 1000 &&
	       __atomic_load_n(&w->accepted[1], __ATOMIC_RELAXED) > 1000 &&
	       __atomic_load_n(&w->acknowledged[2], __ATOMIC_RELAXED) > 100;
}

static void run_commander(struct world *w)
{
	uint64_t random = 99;

	for (unsigned n = 0; n < COMMANDS || !is_enough(w); n++) {
		if (test_random_below(&random, 3) == 0)
			change_stable(&w->g.its[0], &random);
		else
			change_changing(&w->g.its[0], &random);
		be_fair(&random);
	}
	__atomic_store_n(&w->commands_left, 0, __ATOMIC_RELAXED);
}

/* Saves whatever there is, again and again; what it saves is others' to check. */
static void run_saver(struct world *w)
{
	struct peal_its *its = w->g.its[0].its;
	static uint8_t bytes[1 << 20];

	do {
		thread_assert(peal_its_save_tables(its) == 0);
		thread_assert(peal_gic_save_pending(w->g.gic) == 0);
		thread_assert(peal_its_save(its, bytes, sizeof(bytes)) == 0);
		thread_assert(peal_gic_save(w->g.gic, bytes, sizeof(bytes)) == 0);
		(void)sched_yield();
	} while (!is_over(w));
}

/* 0..3 send, 4 commands, 5..7 acknowledge, 8 (if there is one) toggles, 9 saves. */
static void run_accounting(void *user, unsigned index)
{
	struct world *w = user;

	if (index < SENDERS)
		run_sender(w, index);
	else if (index == SENDERS)
		run_commander(w);
	else if (index < SENDERS + 4)
		run_vcpu(w, index - SENDERS - 1);
	else if (index == SENDERS + 4)
		run_toggler(w);
	else
		run_saver(w);
}

static void check_accounts(struct world *w)
{
	struct peal_redist_counters c[3];
	struct guest_its *gi = &w->g.its[0];

	drain(w);
	for (unsigned i = 0; i < 3; i++) {
		c[i] = guest_counters(&w->g, i);
		assert_int_equal(c[i].acknowledged, w->acknowledged[i]);
		assert_int_equal(c[i].disabled, 0);
	}
	/* Nothing of the stable events got lost and nothing came twice. */
	assert_int_equal(w->accepted[0],
			 c[0].acknowledged + c[0].merged + c[1].acknowledged + c[1].merged);
	/* Of the changing ones, commands took some away. */
	assert_true(w->accepted[1] >= c[2].acknowledged + c[2].merged);
	assert_int_equal(w->accepted[0] + w->accepted[1], its_counters(gi).translated);
	assert_int_equal(its_counters(gi).sends, w->sends);
}

static void map_stable(struct world *w)
{
	struct guest_its *gi = &w->g.its[0];

	its_map_lpis(gi, STABLE, LPI, 32, 0, 0x80);
	for (unsigned i = 32; i < 64; i++)
		guest_configure(&w->g, LPI + i, (i % 4) << 6 | LPI_ON);
	for (unsigned i = 0; i < 32; i += 2)
		assert_int_equal(its_movi(gi, STABLE, i, 1), 0);
}

static void every_accepted_send_is_accounted_for(void **state)
{
	const struct guest_config c = { .nredists = 3, .id_bits = 14 };
	struct world w;

	(void)state;
	world_init(&w, &c);
	map_stable(&w);
	test_threads(SENDERS + 4, run_accounting, &w);
	check_accounts(&w);
	guest_done(&w.g);
}

static void switching_lpis_off_and_on_loses_nothing(void **state)
{
	const struct guest_config c = { .nredists = 3, .id_bits = 14 };
	struct world w;

	(void)state;
	world_init(&w, &c);
	map_stable(&w);
	test_threads(SENDERS + 5, run_accounting, &w);
	check_accounts(&w);
	guest_done(&w.g);
}

static void saving_meanwhile_loses_nothing(void **state)
{
	const struct guest_config c = { .nredists = 3, .id_bits = 14 };
	struct world w;

	(void)state;
	world_init(&w, &c);
	map_stable(&w);
	test_threads(SENDERS + 6, run_accounting, &w);
	check_accounts(&w);
	guest_done(&w.g);
}

/* ---- what is discarded stays away ---- */

#define ROUNDS 400u

/*
 * The generation is odd from before the event is mapped until after it is discarded. Who sees the
 * same even one before and after a send sent what was discarded: it must have been blocked.
 */
static void run_late_sender(struct world *w, uint32_t event)
{
	struct peal_its *its = w->g.its[0].its;
	uint64_t refused = 0, random = event;
	uint32_t before;

	do {
		int r;

		before = __atomic_load_n(&w->generation, __ATOMIC_SEQ_CST);
		be_fair(&random);
		r = peal_its_send(its, 1, event);
		thread_assert(r == 0 || r == 1);
		if (before % 2 == 0 &&
		    __atomic_load_n(&w->generation, __ATOMIC_SEQ_CST) == before) {
			thread_assert(r == 0);
			refused++;
		}
	} while (before < 2 * ROUNDS);
	(void)__atomic_fetch_add(&w->refused, refused, __ATOMIC_RELAXED);
	sender_ends(w);
}

static void next_generation(struct world *w)
{
	(void)__atomic_fetch_add(&w->generation, 1, __ATOMIC_SEQ_CST);
}

static void unmap_one_way(struct guest_its *gi, unsigned way)
{
	switch (way) {
	case 0:
		thread_assert(its_event(gi, DISCARD, 1, 0) == 0);
		thread_assert(its_event(gi, DISCARD, 1, 1) == 0);
		break;
	case 1:
		thread_assert(its_unmapd(gi, 1) == 0);
		break;
	default:
		thread_assert(its_mapd(gi, 1, 4, its_itt(gi, 0)) == 0);
		break;
	}
	thread_assert(its_sync(gi, 0) == 0);
}

static void run_discarder(struct world *w)
{
	struct guest_its *gi = &w->g.its[0];

	for (unsigned n = 0; n < ROUNDS; n++) {
		next_generation(w);
		thread_assert(its_mapd(gi, 1, 4, its_itt(gi, 0)) == 0);
		for (uint32_t event = 0; event < 2; event++)
			thread_assert(its_mapti(gi, 1, event, LPI + event, event) == 0);
		while (!guest_is_pending(&w->g, 0, LPI)) /* they are sending */
			(void)sched_yield();
		unmap_one_way(gi, n % 3);
		next_generation(w);
		for (unsigned look = 0; look < 20; look++) {
			thread_assert(!guest_is_pending(&w->g, 0, LPI));
			thread_assert(!guest_is_pending(&w->g, 1, LPI + 1));
		}
	}
}

static void run_discarding(void *user, unsigned index)
{
	struct world *w = user;

	if (index < SENDERS)
		run_late_sender(w, index % 2);
	else
		run_discarder(w);
}

static void nothing_arrives_after_discard_and_sync(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, NULL);
	test_threads(SENDERS + 1, run_discarding, &w);
	assert_true(w.refused > 0);
	assert_int_equal(guest_acknowledge(&w.g, 0), SPURIOUS);
	assert_int_equal(guest_acknowledge(&w.g, 1), SPURIOUS);
	guest_done(&w.g);
}

/* ---- what was replaced or moved stays away ---- */

static void run_replacer(struct world *w)
{
	struct guest_its *gi = &w->g.its[0];

	for (unsigned n = 0; n < ROUNDS; n++) {
		uint32_t old = LPI + n % 2, new = LPI + (n + 1) % 2;

		while (!guest_is_pending(&w->g, 0, old))
			(void)sched_yield();
		switch (n % 3) {
		case 0: /* another LPI */
			thread_assert(its_mapti(gi, 1, 0, new, 1) == 0);
			break;
		case 1: /* another collection; the pending LPI goes along */
			thread_assert(its_movi(gi, 1, 0, 1) == 0);
			break;
		default: /* the collection goes elsewhere; the pending LPI stays */
			thread_assert(its_mapc(gi, 0, 1) == 0);
			while (guest_acknowledge(&w->g, 0) != SPURIOUS)
				;
			break;
		}
		for (unsigned look = 0; look < 20; look++) {
			thread_assert(!guest_is_pending(&w->g, 0, old));
			(void)sched_yield(); /* a sender that was held up goes on */
		}
		thread_assert(its_mapc(gi, 0, 0) == 0);
		thread_assert(its_mapti(gi, 1, 0, new, 0) == 0);
	}
	__atomic_store_n(&w->commands_left, 0, __ATOMIC_RELAXED);
}

/* Sends its event all the time: sender N event N % EVENTS. */
static void run_hammer(struct world *w, unsigned index, unsigned events)
{
	uint64_t random = index;

	while (__atomic_load_n(&w->commands_left, __ATOMIC_RELAXED) > 0) {
		int r = peal_its_send(w->g.its[0].its, 1, index % events);

		thread_assert(r == 1 || r == -EBUSY);
		be_fair(&random);
	}
}

static void run_replacing(void *user, unsigned index)
{
	if (index < SENDERS)
		run_hammer(user, index, 1);
	else
		run_replacer(user);
}

static void nothing_arrives_at_the_old_place(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, NULL);
	its_map_lpis(&w.g.its[0], 1, LPI, 1, 0, 0x80);
	guest_configure(&w.g, LPI + 1, LPI_ON);
	test_threads(SENDERS + 1, run_replacing, &w);
	guest_done(&w.g);
}

/* ---- LPIs that are off ---- */

static void run_switch(struct world *w)
{
	for (unsigned n = 0; n < ROUNDS; n++) {
		while (!guest_is_pending(&w->g, 0, LPI)) /* they are sending */
			(void)sched_yield();
		disable_lpis(&w->g, 0);
		for (unsigned look = 0; look < 20; look++) {
			for (uint32_t intid = LPI; intid < LPI + SENDERS; intid++)
				thread_assert(!guest_is_pending(&w->g, 0, intid));
		}
		/* The table is zero, the guest says: the next pending LPI is a new one. */
		redist_write(&w->g, 0, GICR_PENDBASER, 8, w->g.pending[0] | PTZ);
		enable_lpis(&w->g, 0);
	}
	__atomic_store_n(&w->commands_left, 0, __ATOMIC_RELAXED);
}

static void run_switching(void *user, unsigned index)
{
	if (index < SENDERS)
		run_hammer(user, index, SENDERS);
	else
		run_switch(user);
}

static void nothing_is_pending_while_lpis_are_off(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, NULL);
	its_map_lpis(&w.g.its[0], 1, LPI, SENDERS, 0, 0x80);
	test_threads(SENDERS + 1, run_switching, &w);
	guest_done(&w.g);
}

/* ---- kicks ---- */

#define TURNS 1000u

/* Sends its event and waits until the vCPU took it, again and again. */
static void run_waiting_sender(struct world *w, unsigned index)
{
	/* Two senders share a word of pending bits, two are far away. */
	uint32_t event = index < 2 ? index : 16 + index;
	uint64_t *taken = &w->delivered[event];

	for (unsigned n = 0; n < TURNS; n++) {
		thread_assert(peal_its_send(w->g.its[0].its, 1, event) == 1);
		/* Mostly at once, so that sends meet the vCPU while it still looks. */
		for (unsigned tries = 1; __atomic_load_n(taken, __ATOMIC_RELAXED) == n; tries++) {
			if (tries % 256 == 0)
				(void)sched_yield();
		}
	}
	sender_ends(w);
}

/* Looks only after a kick, as a vCPU that sleeps does. */
static void run_sleeping_vcpu(struct world *w)
{
	uint64_t seen = 0, slept = 0;

	while (!is_over(w)) {
		uint64_t kicks = __atomic_load_n(&w->g.kicks[0], __ATOMIC_SEQ_CST);

		if (kicks == seen) {
			thread_assert(++slept < 20000000); /* somebody waits in vain */
			(void)sched_yield();
			continue;
		}
		seen = kicks;
		while (acknowledge_one(w, 0))
			;
	}
}

/* Changes priorities and switches LPIs off and on again under way. */
static void run_reconfigurer(struct world *w)
{
	struct guest_its *gi = &w->g.its[0];
	uint64_t random = 5;

	while (!is_over(w)) {
		uint32_t event = (uint32_t)test_random_below(&random, 20);

		guest_configure(&w->g, LPI + event, 0x80);
		thread_assert(its_event(gi, INV, 1, event) == 0);
		guest_configure(&w->g, LPI + event,
				(unsigned)(test_random_below(&random, 4) << 6 | LPI_ON));
		thread_assert(its_event(gi, INV, 1, event) == 0);
	}
}

static void run_kicking(void *user, unsigned index)
{
	struct world *w = user;

	if (index < SENDERS)
		run_waiting_sender(w, index);
	else if (index == SENDERS)
		run_sleeping_vcpu(w);
	else
		run_reconfigurer(w);
}

static void check_kicks(unsigned threads)
{
	struct world w;

	world_init(&w, NULL);
	its_map_lpis(&w.g.its[0], 1, LPI, 20, 0, 0x80);
	test_threads(threads, run_kicking, &w);
	assert_int_equal(w.acknowledged[0], SENDERS * TURNS);
	assert_int_equal(guest_counters(&w.g, 0).merged, 0);
	guest_done(&w.g);
}

static void a_kick_is_never_lost(void **state)
{
	(void)state;
	check_kicks(SENDERS + 1);
}

static void a_kick_is_never_lost_while_priorities_change(void **state)
{
	(void)state;
	check_kicks(SENDERS + 2);
}

/* ---- two ITSes ---- */

/*
 * Known failures of others: a snapshot of the LPI list overrun by a concurrent MAPTI; an LPI freed
 * by another ITS during MOVALL. One ITS moves and invalidates everything while the other one maps
 * and unmaps the same LPIs, and devices send through both.
 */
static void run_mover(struct world *w)
{
	struct guest_its *gi = &w->g.its[0];

	for (unsigned n = 0; !is_over(w); n++) {
		thread_assert(its_movall(gi, n & 1, ~n & 1) == 0);
		thread_assert(its_invall(gi, 0) == 0);
	}
}

static void run_mapper(struct world *w)
{
	struct guest_its *gi = &w->g.its[1];

	for (unsigned n = 0; !is_over(w); n++) {
		thread_assert(its_mapd(gi, 1, 4, its_itt(gi, 0)) == 0);
		for (uint32_t event = 0; event < 32; event++)
			thread_assert(its_mapti(gi, 1, event, LPI + event, event % 2) == 0);
		for (uint32_t event = n % 3; event < 32; event += 3)
			thread_assert(its_event(gi, DISCARD, 1, event) == 0);
		thread_assert(its_unmapd(gi, 1) == 0);
	}
}

static void run_two(void *user, unsigned index)
{
	struct world *w = user;
	uint64_t random = index;

	if (index == SENDERS)
		run_mover(w);
	else if (index == SENDERS + 1)
		run_mapper(w);
	else if (index > SENDERS + 1)
		run_vcpu(w, index - SENDERS - 2);
	if (index >= SENDERS)
		return;
	for (unsigned n = 0; n < 4000; n++) {
		uint32_t event = (uint32_t)test_random_below(&random, 32);
		int r = peal_its_send(w->g.its[index % 2].its, 1, event);

		be_fair(&random);
		thread_assert(r == 1 || (index % 2 && r == 0));
		(void)__atomic_fetch_add(&w->accepted[0], (uint64_t)r, __ATOMIC_RELAXED);
	}
	sender_ends(w);
}

static void snapshot_overrun_by_a_concurrent_mapti(void **state)
{
	const struct guest_config c = { .nits = 2, .id_bits = 14 };
	uint64_t known = 0;
	struct world w;

	(void)state;
	world_init(&w, &c);
	its_map_lpis(&w.g.its[0], 1, LPI, 32, 0, 0x80);
	test_threads(SENDERS + 4, run_two, &w);
	/* With the other ITS's events gone before, nothing is taken away from here on. */
	drain(&w);
	for (unsigned i = 0; i < 2; i++)
		known += guest_counters(&w.g, i).acknowledged + guest_counters(&w.g, i).merged;
	assert_true(w.accepted[0] >= known);
	assert_true(known > 100);
	assert_int_equal(its_counters(&w.g.its[1]).devices, 0);
	assert_int_equal(its_counters(&w.g.its[0]).events, 32);
	guest_done(&w.g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_accepted_send_is_accounted_for),
		cmocka_unit_test(switching_lpis_off_and_on_loses_nothing),
		cmocka_unit_test(saving_meanwhile_loses_nothing),
		cmocka_unit_test(nothing_arrives_after_discard_and_sync),
		cmocka_unit_test(nothing_arrives_at_the_old_place),
		cmocka_unit_test(nothing_is_pending_while_lpis_are_off),
		cmocka_unit_test(a_kick_is_never_lost),
		cmocka_unit_test(a_kick_is_never_lost_while_priorities_change),
		cmocka_unit_test(snapshot_overrun_by_a_concurrent_mapti),
	};

	return cmocka_run_group_tests_name("gic-its-threads", tests, NULL, NULL);
}
