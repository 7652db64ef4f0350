/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which LPI is next: priorities, masks, configuration that changes under pending LPIs, and a
 * comparison with a reference that scans them all.
 */
#include "its-guest.h"

static void pend(struct guest *g, unsigned redist, uint32_t intid)
{
	redist_write(g, redist, GICR_SETLPIR, 8, intid);
}

static void invalidate(struct guest *g, uint32_t intid)
{
	redist_write(g, 0, GICR_INVLPIR, 8, intid);
}

static void configure(struct guest *g, uint32_t intid, unsigned byte)
{
	guest_configure(g, intid, byte);
	invalidate(g, intid);
}

static void setup(struct guest *g, unsigned id_bits)
{
	const struct guest_config c = { .id_bits = id_bits, .direct_lpi = true };

	guest_init(g, &c);
	guest_start_redist(g, 0);
	guest_start_redist(g, 1);
}

/* ---- order ---- */

static void highest_priority_comes_first(void **state)
{
	static const struct {
		uint32_t intid;
		unsigned priority;
	} lpis[] = {
		{ LPI, 0xfc },   { LPI + 1, 0xa0 }, { LPI + 64, 0x00 }, { 20000, 0x04 },
		{ 65535, 0x40 }, { 40000, 0x80 },   { 40001, 0x7c },
	};
	static const uint32_t order[] = { LPI + 64, 20000, 65535, 40001, 40000, LPI + 1, LPI };
	struct guest g;

	(void)state;
	setup(&g, 16);
	for (unsigned i = 0; i < PEAL_COUNT_OF(lpis); i++) {
		configure(&g, lpis[i].intid, lpis[i].priority | LPI_ON);
		pend(&g, 0, lpis[i].intid);
	}
	for (unsigned i = 0; i < PEAL_COUNT_OF(order); i++)
		assert_int_equal(guest_acknowledge(&g, 0), order[i]);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	guest_done(&g);
}

static void lowest_intid_comes_first_among_equals(void **state)
{
	/* In one word, in one group of words, far apart. */
	static const uint32_t intids[] = { 60000, LPI + 70, LPI + 5, LPI + 4, 9000, 65535, 30000 };
	static const uint32_t order[] = { LPI + 4, LPI + 5, LPI + 70, 9000, 30000, 60000, 65535 };
	struct guest g;

	(void)state;
	setup(&g, 16);
	for (unsigned i = 0; i < PEAL_COUNT_OF(intids); i++) {
		configure(&g, intids[i], 0x80 | LPI_ON);
		pend(&g, 1, intids[i]);
	}
	for (unsigned i = 0; i < PEAL_COUNT_OF(order); i++)
		assert_int_equal(guest_acknowledge(&g, 1), order[i]);
	assert_int_equal(guest_acknowledge(&g, 1), SPURIOUS);
	guest_done(&g);
}

static void only_priorities_above_the_mask_are_found(void **state)
{
	struct guest g;
	uint8_t priority = 1;

	(void)state;
	setup(&g, 16);
	configure(&g, LPI + 1, 0x80 | LPI_ON);
	configure(&g, LPI + 2, 0xfc | LPI_ON);
	configure(&g, LPI + 3, 0x00 | LPI_ON);
	pend(&g, 0, LPI + 1);
	assert_int_equal(peal_gic_highest_pending(g.gic, 0, 0x80, &priority), SPURIOUS);
	assert_int_equal(priority, PEAL_GIC_IDLE_PRIORITY);
	assert_int_equal(peal_gic_acknowledge(g.gic, 0, 0x80, &priority), SPURIOUS);
	assert_int_equal(peal_gic_highest_pending(g.gic, 0, 0x81, &priority), LPI + 1);
	assert_int_equal(priority, 0x80);
	assert_int_equal(peal_gic_acknowledge(g.gic, 0, 0x84, &priority), LPI + 1);
	assert_int_equal(priority, 0x80);
	pend(&g, 0, LPI + 2);
	assert_int_equal(peal_gic_acknowledge(g.gic, 0, 0xfc, NULL), SPURIOUS);
	assert_int_equal(peal_gic_acknowledge(g.gic, 0, 0xff, NULL), LPI + 2);
	pend(&g, 0, LPI + 3);
	assert_int_equal(peal_gic_acknowledge(g.gic, 0, 0x00, NULL), SPURIOUS);
	assert_int_equal(peal_gic_acknowledge(g.gic, 0, 0x01, NULL), LPI + 3);
	guest_done(&g);
}

static void the_low_bits_of_the_byte_are_no_priority(void **state)
{
	struct guest g;
	uint8_t priority;

	(void)state;
	setup(&g, 16);
	configure(&g, LPI + 1, 0x83); /* bit 1 is RES1 */
	configure(&g, LPI, 0x84 | LPI_ON);
	pend(&g, 0, LPI);
	pend(&g, 0, LPI + 1);
	assert_int_equal(peal_gic_acknowledge(g.gic, 0, 0xff, &priority), LPI + 1);
	assert_int_equal(priority, 0x80);
	configure(&g, LPI + 2, 0x82);
	pend(&g, 0, LPI + 2);
	assert_int_equal(guest_acknowledge(&g, 0), LPI);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	guest_done(&g);
}

static void redistributors_do_not_see_each_other(void **state)
{
	struct guest g;

	(void)state;
	setup(&g, 16);
	configure(&g, LPI, LPI_ON);
	pend(&g, 0, LPI);
	assert_int_equal(guest_acknowledge(&g, 1), SPURIOUS);
	pend(&g, 1, LPI);
	assert_int_equal(guest_acknowledge(&g, 0), LPI);
	assert_true(guest_is_pending(&g, 1, LPI));
	assert_int_equal(guest_acknowledge(&g, 1), LPI);
	guest_done(&g);
}

static void every_width_of_intid_has_its_ends(void **state)
{
	(void)state;
	for (unsigned bits = 14; bits <= 24; bits++) {
		uint32_t count = UINT32_C(1) << bits;
		const uint32_t intids[] = { LPI,        LPI + 63,   LPI + 64, 3 * count / 4,
					    count - 65, count - 64, count - 1 };
		struct guest g;

		setup(&g, bits);
		for (unsigned i = PEAL_COUNT_OF(intids); i-- > 0;) {
			configure(&g, intids[i], 0xa0 | LPI_ON);
			pend(&g, 0, intids[i]);
		}
		pend(&g, 0, count);
		assert_false(guest_is_pending(&g, 0, count));
		for (unsigned i = 0; i < PEAL_COUNT_OF(intids); i++)
			assert_int_equal(guest_acknowledge(&g, 0), intids[i]);
		assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
		guest_done(&g);
	}
}

/* ---- state ---- */

static void acknowledging_takes_the_pending_state(void **state)
{
	struct guest g;

	(void)state;
	setup(&g, 16);
	configure(&g, LPI, LPI_ON);
	pend(&g, 0, LPI);
	pend(&g, 0, LPI); /* merges */
	assert_int_equal(guest_highest(&g, 0), LPI);
	assert_int_equal(guest_highest(&g, 0), LPI); /* looking takes nothing */
	assert_true(guest_is_pending(&g, 0, LPI));
	assert_int_equal(guest_acknowledge(&g, 0), LPI);
	assert_false(guest_is_pending(&g, 0, LPI));
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	pend(&g, 0, LPI); /* no active state: again at once */
	assert_int_equal(guest_acknowledge(&g, 0), LPI);
	assert_int_equal(guest_counters(&g, 0).merged, 1);
	assert_int_equal(guest_counters(&g, 0).acknowledged, 2);
	assert_int_equal(guest_counters(&g, 0).disabled, 0);
	assert_int_equal(guest_counters(&g, 1).acknowledged, 0);
	guest_done(&g);
}

static void neighbours_in_a_word_keep_their_state(void **state)
{
	struct guest g;

	(void)state;
	setup(&g, 16);
	for (uint32_t i = 0; i < 64; i++) {
		configure(&g, LPI + 64 + i, (i % 2 ? 0x40 : 0x80) | LPI_ON);
		pend(&g, 0, LPI + 64 + i);
	}
	for (uint32_t i = 1; i < 64; i += 2) {
		assert_int_equal(guest_acknowledge(&g, 0), LPI + 64 + i);
		for (uint32_t k = 0; k < 64; k++)
			assert_int_equal(guest_is_pending(&g, 0, LPI + 64 + k),
					 k % 2 == 0 || k > i);
	}
	for (uint32_t i = 0; i < 64; i += 2)
		assert_int_equal(guest_acknowledge(&g, 0), LPI + 64 + i);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	guest_done(&g);
}

static void what_is_no_lpi_is_never_pending(void **state)
{
	static const uint32_t intids[] = { 0, 32, 1023, 8191, 65536, 0x80000000, 0xffffffff };
	struct guest g;

	(void)state;
	setup(&g, 16);
	for (unsigned i = 0; i < PEAL_COUNT_OF(intids); i++) {
		pend(&g, 0, intids[i]);
		assert_false(guest_is_pending(&g, 0, intids[i]));
	}
	guest_done(&g);
}

static void nothing_is_found_while_lpis_are_off(void **state)
{
	struct guest g;
	uint8_t priority = 1;

	(void)state;
	setup(&g, 16);
	configure(&g, LPI, LPI_ON);
	pend(&g, 0, LPI);
	disable_lpis(&g, 0);
	assert_int_equal(peal_gic_highest_pending(g.gic, 0, 0xff, &priority), SPURIOUS);
	assert_int_equal(priority, PEAL_GIC_IDLE_PRIORITY);
	assert_int_equal(peal_gic_acknowledge(g.gic, 0, 0xff, &priority), SPURIOUS);
	enable_lpis(&g, 0);
	assert_int_equal(guest_acknowledge(&g, 0), LPI);
	guest_done(&g);
}

/* ---- configuration ---- */

static void disabled_lpis_stay_pending_until_invalidated(void **state)
{
	struct guest g;

	(void)state;
	setup(&g, 16);
	pend(&g, 0, LPI + 9);
	assert_int_equal(guest_counters(&g, 0).disabled, 1);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	guest_configure(&g, LPI + 9, 0x80 | LPI_ON);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS); /* nobody told the GIC */
	assert_true(guest_is_pending(&g, 0, LPI + 9));
	invalidate(&g, LPI + 9);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 9);
	guest_done(&g);
}

static void disabling_hides_a_pending_lpi(void **state)
{
	struct guest g;

	(void)state;
	setup(&g, 16);
	configure(&g, LPI, 0x10 | LPI_ON);
	configure(&g, LPI + 1, 0x20 | LPI_ON);
	pend(&g, 0, LPI);
	pend(&g, 0, LPI + 1);
	configure(&g, LPI, 0x10);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 1);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	assert_true(guest_is_pending(&g, 0, LPI));
	configure(&g, LPI, 0x10 | LPI_ON);
	assert_int_equal(guest_acknowledge(&g, 0), LPI);
	guest_done(&g);
}

static void a_new_priority_reorders_pending_lpis(void **state)
{
	struct guest g;

	(void)state;
	setup(&g, 16);
	for (uint32_t i = 0; i < 3; i++) {
		configure(&g, LPI + 1000 * i, 0x80 | LPI_ON);
		pend(&g, 0, LPI + 1000 * i);
	}
	configure(&g, LPI + 2000, 0x40 | LPI_ON); /* up */
	assert_int_equal(guest_highest(&g, 0), LPI + 2000);
	configure(&g, LPI + 2000, 0xc0 | LPI_ON); /* down */
	assert_int_equal(guest_highest(&g, 0), LPI);
	configure(&g, LPI, 0xf0 | LPI_ON);
	assert_int_equal(peal_gic_highest_pending(g.gic, 0, 0x80, NULL), SPURIOUS);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 1000);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 2000);
	assert_int_equal(guest_acknowledge(&g, 0), LPI);
	guest_done(&g);
}

static void kick_is_called_for_each_newly_deliverable_lpi(void **state)
{
	struct guest g;

	(void)state;
	setup(&g, 16);
	assert_int_equal(g.kicks[0], 0);
	configure(&g, LPI, LPI_ON);
	assert_int_equal(g.kicks[0], 0); /* not pending */
	pend(&g, 0, LPI);
	assert_int_equal(g.kicks[0], 1);
	pend(&g, 0, LPI);
	assert_int_equal(g.kicks[0], 1); /* it was */
	pend(&g, 0, LPI + 1);
	assert_int_equal(g.kicks[0], 1); /* disabled */
	invalidate(&g, LPI);
	assert_int_equal(g.kicks[0], 1); /* nothing new */
	configure(&g, LPI + 1, LPI_ON);
	assert_int_equal(g.kicks[0], 2);
	pend(&g, 0, LPI + 2);
	pend(&g, 0, LPI + 3);
	guest_configure(&g, LPI + 2, LPI_ON);
	guest_configure(&g, LPI + 3, LPI_ON);
	redist_write(&g, 1, GICR_INVALLR, 8, 0);
	assert_int_equal(g.kicks[0], 4);
	assert_int_equal(g.kicks[1], 0);
	disable_lpis(&g, 0);
	assert_int_equal(g.kicks[0], 4);
	enable_lpis(&g, 0);
	assert_int_equal(g.kicks[0], 8); /* all four are deliverable once more */
	guest_done(&g);
}

/* ---- against a reference ---- */

#define CANDIDATES 120u
#define STEPS      20000u

struct reference {
	uint32_t intids[CANDIDATES]; /* ascending */
	uint8_t memory[CANDIDATES];  /* the guest's configuration table */
	uint8_t cache[CANDIDATES];   /* what the GIC was told of it */
	bool pending[2][CANDIDATES];
};

/* A third next to each other, the rest anywhere. */
static void choose_candidates(struct reference *ref, uint32_t count, uint64_t *random)
{
	for (unsigned i = 0; i < CANDIDATES;) {
		uint32_t intid =
			LPI +
			(i < CANDIDATES / 3 ? i : (uint32_t)test_random_below(random, count - LPI));
		unsigned at = i;

		while (at > 0 && ref->intids[at - 1] > intid)
			at--;
		if (at > 0 && ref->intids[at - 1] == intid)
			continue;
		memmove(&ref->intids[at + 1], &ref->intids[at], (i - at) * sizeof(intid));
		ref->intids[at] = intid;
		i++;
	}
}

static int reference_highest(const struct reference *ref, unsigned redist, unsigned mask)
{
	int found = -1;

	for (int i = 0; i < (int)CANDIDATES; i++) {
		if (ref->pending[redist][i] && (ref->cache[i] & LPI_ON) &&
		    (ref->cache[i] & 0xfcu) < mask) {
			mask = ref->cache[i] & 0xfcu;
			found = i;
		}
	}
	return found;
}

static void step(struct guest *g, struct reference *ref, uint64_t *random)
{
	unsigned i = (unsigned)test_random_below(random, CANDIDATES);
	unsigned redist = (unsigned)test_random_below(random, 2);
	uint8_t mask = (uint8_t)test_random(random);
	int found;

	switch (test_random_below(random, 16)) {
	default:
		pend(g, redist, ref->intids[i]);
		ref->pending[redist][i] = true;
		break;
	case 0:
		redist_write(g, redist, GICR_CLRLPIR, 8, ref->intids[i]);
		ref->pending[redist][i] = false;
		break;
	case 1:
	case 2:
		/* Few priorities, so that many are equal. */
		ref->memory[i] = (uint8_t)(test_random_below(random, 4) << 6 |
					   (test_random_below(random, 4) != 0));
		guest_configure(g, ref->intids[i], ref->memory[i]);
		break;
	case 3:
	case 4:
		invalidate(g, ref->intids[i]);
		ref->cache[i] = ref->memory[i];
		break;
	case 5:
		if (g->id_bits > 16)
			break;
		redist_write(g, redist, GICR_INVALLR, 8, 0);
		memcpy(ref->cache, ref->memory, sizeof(ref->cache));
		break;
	case 6:
	case 7:
	case 8:
	case 9:
		found = reference_highest(ref, redist, mask);
		assert_int_equal(peal_gic_acknowledge(g->gic, redist, mask, NULL),
				 found < 0 ? SPURIOUS : ref->intids[found]);
		if (found >= 0)
			ref->pending[redist][found] = false;
		break;
	}
}

static void check(struct guest *g, const struct reference *ref, uint64_t *random)
{
	unsigned mask = (unsigned)test_random_below(random, 256);

	for (unsigned redist = 0; redist < 2; redist++) {
		int found = reference_highest(ref, redist, mask);
		uint8_t priority;

		assert_int_equal(peal_gic_highest_pending(g->gic, redist, (uint8_t)mask, &priority),
				 found < 0 ? SPURIOUS : ref->intids[found]);
		assert_int_equal(priority, found < 0 ? 0xff : ref->cache[found] & 0xfc);
	}
}

static void random_steps_agree_with_a_reference(void **state)
{
	static const unsigned widths[] = { 14, 16, 20 };
	uint64_t random = 1;

	(void)state;
	for (unsigned w = 0; w < PEAL_COUNT_OF(widths); w++) {
		struct reference ref = { 0 };
		struct guest g;

		setup(&g, widths[w]);
		choose_candidates(&ref, UINT32_C(1) << widths[w], &random);
		for (unsigned n = 0; n < STEPS; n++) {
			step(&g, &ref, &random);
			check(&g, &ref, &random);
		}
		for (unsigned i = 0; i < CANDIDATES; i++)
			assert_int_equal(guest_is_pending(&g, 0, ref.intids[i]), ref.pending[0][i]);
		guest_done(&g);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(highest_priority_comes_first),
		cmocka_unit_test(lowest_intid_comes_first_among_equals),
		cmocka_unit_test(only_priorities_above_the_mask_are_found),
		cmocka_unit_test(the_low_bits_of_the_byte_are_no_priority),
		cmocka_unit_test(redistributors_do_not_see_each_other),
		cmocka_unit_test(every_width_of_intid_has_its_ends),
		cmocka_unit_test(acknowledging_takes_the_pending_state),
		cmocka_unit_test(neighbours_in_a_word_keep_their_state),
		cmocka_unit_test(what_is_no_lpi_is_never_pending),
		cmocka_unit_test(nothing_is_found_while_lpis_are_off),
		cmocka_unit_test(disabled_lpis_stay_pending_until_invalidated),
		cmocka_unit_test(disabling_hides_a_pending_lpi),
		cmocka_unit_test(a_new_priority_reorders_pending_lpis),
		cmocka_unit_test(kick_is_called_for_each_newly_deliverable_lpi),
		cmocka_unit_test(random_steps_agree_with_a_reference),
	};

	return cmocka_run_group_tests_name("gic-lpi", tests, NULL, NULL);
}
