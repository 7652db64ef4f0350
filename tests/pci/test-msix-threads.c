/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Raises from many threads while a guest masks, disables and rewrites in others; every raise is
 * accounted for, and each message is whole.
 *
 * Raiser r writes the next number into wanted[vector][r] before each raise; a delivery notes what
 * of all raisers it saw. So at the end, when everything is unmasked, each vector has to have seen
 * every raiser's last number: no raise was without a delivery at or after it.
 */
#include "fixture.h"

#define RAISERS 4u
#define VECTORS 4u
#define ROUNDS  3000u /* of each of the guest's threads, at least */

enum role {
	RAISER,
	MASKER = RAISER + RAISERS, /* one for vector 0, one for 1 */
	CONTROL = MASKER + 2,      /* one for Function Mask, one for Enable */
	REWRITER = CONTROL + 2,    /* one for vector 2, one for 3: masks, writes, unmasks */
	STEPPER = REWRITER + 2,    /* changes the messages of 0 and 1 as they are, masked or not */
	READER,
	ROLES,
};

struct storm {
	struct fixture f;
	uint64_t wanted[VECTORS][RAISERS];
	uint64_t seen[VECTORS][RAISERS];
	uint64_t delivered[VECTORS];
	uint64_t raised[VECTORS];
	unsigned raising; /* raisers that are not done */
	unsigned busy;    /* others that have not made their rounds */
	bool bus_master;  /* toggled as well? */
	bool resets;      /* a message may be that of reset: zero */
};

/* ---- messages that prove to be whole ---- */

/*
 * The number of a message is in the upper half of its address. The data of vectors 2 and 3 follows
 * from it, those of 0 and 1 are changed register by register, data first: it is the number or one
 * ahead.
 */
static uint64_t address_of(unsigned vector, uint32_t number)
{
	return (uint64_t)number << 32 | 0xfee00000 | vector << 4;
}

static uint32_t data_of(unsigned vector, uint32_t number)
{
	return vector < 2 ? number : (number * 2654435761u) ^ vector;
}

static bool is_whole(const struct peal_msi_msg *msg)
{
	uint32_t number = (uint32_t)(msg->address >> 32);
	unsigned vector = (unsigned)msg->address >> 4 & 0xf;

	return vector < VECTORS && msg->address == address_of(vector, number) &&
	       (msg->data == data_of(vector, number) || (vector < 2 && msg->data == number + 1));
}

static void raise_to(uint64_t *place, uint64_t value)
{
	uint64_t old = __atomic_load_n(place, __ATOMIC_RELAXED);

	while (old < value && !__atomic_compare_exchange_n(place, &old, value, false,
							   __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

static int storm_deliver(void *user, const struct peal_msi_msg *msg)
{
	struct storm *storm = user;
	unsigned vector = (unsigned)msg->address >> 4 & 0xf;

	if (storm->resets) {
		/* They come between a guest's writes, so anything may be in the table. */
		peal_count(&storm->delivered[0], 1);
		return 1;
	}
	thread_assert(is_whole(msg));
	thread_assert(msg->requester_id == REQUESTER);
	for (unsigned r = 0; r < RAISERS; r++)
		raise_to(&storm->seen[vector][r],
			 __atomic_load_n(&storm->wanted[vector][r], __ATOMIC_RELAXED));
	peal_count(&storm->delivered[vector], 1);
	return 1;
}

/* ---- the threads ---- */

static void raiser(struct storm *storm, unsigned me)
{
	uint64_t random = me;

	for (uint64_t i = 1; __atomic_load_n(&storm->busy, __ATOMIC_RELAXED) > 0; i++) {
		unsigned vector = (unsigned)test_random_below(&random, VECTORS);
		int r;

		__atomic_store_n(&storm->wanted[vector][me], i, __ATOMIC_RELAXED);
		r = peal_msix_notify(storm->f.msix, vector);
		thread_assert(r == 0 || r == 1);
		/* An unmasked one is told by now; a masked one will be. */
		thread_assert(r == 0 || storm->resets ||
			      __atomic_load_n(&storm->seen[vector][me], __ATOMIC_RELAXED) >= i);
		peal_count(&storm->raised[vector], 1);
		/* Few processors: let the guest have its turn. */
		if (i % 16 == 0)
			peal_host_default()->relax(NULL);
	}
	(void)__atomic_sub_fetch(&storm->raising, 1, __ATOMIC_RELEASE);
}

static void masker(struct storm *storm, unsigned vector, uint64_t *random)
{
	set_mask(&storm->f, vector, test_random(random) & 1);
}

/* Enable or Function Mask; most of the time the vectors are to work. */
static void toggle_control(struct storm *storm, unsigned which, uint64_t *random)
{
	struct fixture *f = &storm->f;
	bool work = test_random_below(random, 4);
	unsigned bits = which == 0 ? (work ? 0 : 0x40) | 0x80 : (work ? 0x80 : 0);

	config_write(f, f->capability + MSIX_CONTROL + 1, 1, bits);
}

/* As a driver changes a vector's destination, in pieces of any width. */
static void rewriter(struct storm *storm, unsigned vector, uint64_t *random)
{
	uint32_t number = (uint32_t)test_random(random);
	uint64_t parts[2] = { address_of(vector, number), data_of(vector, number) };
	struct fixture *f = &storm->f;

	set_mask(f, vector, true);
	thread_assert(peal_msix_is_masked(f->msix, vector));
	for (unsigned at = 0; at < 12;) {
		unsigned size = 1u << test_random_below(random, 4);

		/* Not from the address into the data, nor into the control. */
		while (at % 8 + size > (at < 8 ? 8u : 4u))
			size /= 2;
		table_write(f, 16 * vector + at, size, parts[at / 8] >> (8 * (at % 8)));
		at += size;
	}
	set_mask(f, vector, false);
}

static void stepper(struct storm *storm, unsigned round)
{
	unsigned vector = round & 1;
	uint32_t number = round / 2 + 1;

	table_write(&storm->f, 16 * vector + 8, 4, data_of(vector, number));
	table_write(&storm->f, 16 * vector + 4, 4, number);
}

static void reader(struct storm *storm, uint64_t *random)
{
	unsigned vector = (unsigned)test_random_below(random, 2);
	struct peal_msi_msg msg = peal_msix_message(storm->f.msix, vector);

	thread_assert(is_whole(&msg));
	thread_assert(table_read(&storm->f, 2048, 8) < 1u << VECTORS);
	thread_assert((config_read(&storm->f, storm->f.capability + MSIX_CONTROL, 2) & 0x3fff) ==
		      VECTORS - 1);
	if (storm->bus_master)
		set_command(&storm->f, test_random_below(random, 4) ? COMMAND_BUS_MASTER : 0);
}

/* The guest's threads go on until the raisers are done, and those until each of them did enough. */
static bool goes_on(struct storm *storm, unsigned round)
{
	if (round == ROUNDS)
		(void)__atomic_sub_fetch(&storm->busy, 1, __ATOMIC_RELAXED);
	return __atomic_load_n(&storm->raising, __ATOMIC_ACQUIRE) > 0;
}

static void storm_thread(void *user, unsigned index)
{
	struct storm *storm = user;
	uint64_t random = index;

	if (index < MASKER) {
		raiser(storm, index);
		return;
	}
	for (unsigned round = 0; goes_on(storm, round); round++) {
		if (index < CONTROL)
			masker(storm, index - MASKER, &random);
		else if (index < REWRITER)
			toggle_control(storm, index - CONTROL, &random);
		else if (index < STEPPER)
			rewriter(storm, index - REWRITER + 2, &random);
		else if (index < READER)
			stepper(storm, round);
		else
			reader(storm, &random);
	}
}

/* ---- what has to come out ---- */

static void storm_init(struct storm *storm, unsigned threads)
{
	static const struct peal_msi_sink_ops ops = { .deliver = storm_deliver };
	const struct peal_msi_sink sink = { .ops = &ops, .user = storm };
	struct fixture *f = &storm->f;

	memset(storm, 0, sizeof(*storm));
	fixture_init_msix_sink(f, VECTORS, &sink);
	for (unsigned v = 0; v < VECTORS; v++) {
		table_write(f, 16 * v, 8, address_of(v, 0));
		table_write(f, 16 * v + 8, 8, data_of(v, 0));
	}
	set_control(f, MSIX_ENABLE);
	storm->raising = RAISERS;
	storm->busy = threads - RAISERS;
}

/* Everything unmasked: what still pends is fired. */
static void calm(struct storm *storm)
{
	set_command(&storm->f, COMMAND_BUS_MASTER);
	set_control(&storm->f, MSIX_ENABLE);
	for (unsigned v = 0; v < VECTORS; v++)
		set_mask(&storm->f, v, false);
	assert_int_equal(table_read(&storm->f, 2048, 8), 0);
}

static void no_raise_is_lost_sent_twice_or_torn(void **state)
{
	struct storm storm;
	uint64_t merged = 0;

	(void)state;
	storm_init(&storm, ROLES);
	test_threads(ROLES, storm_thread, &storm);
	calm(&storm);
	for (unsigned v = 0; v < VECTORS; v++) {
		struct peal_msix_counters c = counters(storm.f.msix, v);

		assert_true(storm.raised[v] > 0);
		assert_int_equal(storm.raised[v], storm.delivered[v] + c.merged);
		assert_int_equal(c.sent, storm.delivered[v]);
		assert_int_equal(c.refired, c.pended);
		assert_int_equal(c.dropped, 0);
		assert_raised(storm.f.msix, v, storm.raised[v]);
		for (unsigned r = 0; r < RAISERS; r++)
			assert_int_equal(storm.seen[v][r], storm.wanted[v][r]);
		merged += c.merged;
	}
	assert_true(merged > 0);
	fixture_done(&storm.f);
}

static void toggling_bus_master_drops_and_accounts(void **state)
{
	struct storm storm;

	(void)state;
	storm_init(&storm, ROLES);
	storm.bus_master = true;
	test_threads(ROLES, storm_thread, &storm);
	calm(&storm);
	for (unsigned v = 0; v < VECTORS; v++) {
		struct peal_msix_counters c = counters(storm.f.msix, v);

		assert_int_equal(c.sent, storm.delivered[v]);
		assert_int_equal(c.refired, c.pended);
		/* Each raise was delivered, merged or dropped. */
		assert_int_equal(storm.raised[v], storm.delivered[v] + c.merged + c.dropped);
		assert_raised(storm.f.msix, v, storm.raised[v]);
	}
	fixture_done(&storm.f);
}

/* ---- a duel ---- */

#define DUEL_RAISES 4000u
#define DUEL_VECTOR 1u

struct duel {
	struct storm storm;
	bool done;
	uint64_t cycles; /* of masking and unmasking, completed */
};

/* Raises, and waits for the delivery: after two more unmasks it is there, or it is lost. */
static void duel_raise(struct duel *duel, uint64_t number)
{
	uint64_t cycles;

	__atomic_store_n(&duel->storm.wanted[DUEL_VECTOR][0], number, __ATOMIC_RELAXED);
	(void)peal_msix_notify(duel->storm.f.msix, DUEL_VECTOR);
	cycles = __atomic_load_n(&duel->cycles, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&duel->storm.seen[DUEL_VECTOR][0], __ATOMIC_SEQ_CST) < number) {
		thread_assert(__atomic_load_n(&duel->cycles, __ATOMIC_SEQ_CST) < cycles + 3 ||
			      __atomic_load_n(&duel->storm.seen[DUEL_VECTOR][0],
					      __ATOMIC_SEQ_CST) >= number);
	}
}

static void duel_thread(void *user, unsigned index)
{
	struct duel *duel = user;
	struct fixture *f = &duel->storm.f;

	if (index == 0) {
		for (uint64_t i = 1; i <= DUEL_RAISES; i++)
			duel_raise(duel, i);
		__atomic_store_n(&duel->done, true, __ATOMIC_RELEASE);
		return;
	}
	while (!__atomic_load_n(&duel->done, __ATOMIC_ACQUIRE)) {
		set_mask(f, DUEL_VECTOR, true);
		set_mask(f, DUEL_VECTOR, false);
		(void)__atomic_add_fetch(&duel->cycles, 1, __ATOMIC_SEQ_CST);
	}
}

static void raise_and_unmask_at_the_same_moment_deliver(void **state)
{
	struct duel duel = { 0 };

	(void)state;
	storm_init(&duel.storm, 0);
	calm(&duel.storm);
	test_threads(2, duel_thread, &duel);
	assert_raised(duel.storm.f.msix, DUEL_VECTOR, DUEL_RAISES);
	assert_int_equal(duel.storm.delivered[DUEL_VECTOR], DUEL_RAISES);
	assert_int_equal(counters(duel.storm.f.msix, DUEL_VECTOR).merged, 0);
	fixture_done(&duel.storm.f);
}

/*
 * A driver that moves a vector while its device raises: masks, writes register by register, unmasks.
 * No message may have a half of the old and a half of the new: the rewriting is done under a mask.
 */
static void move_thread(void *user, unsigned index)
{
	struct storm *storm = user;
	uint64_t random = 1;

	if (index < 2) {
		while (__atomic_load_n(&storm->busy, __ATOMIC_RELAXED) > 0) {
			(void)peal_msix_notify(storm->f.msix, 3);
			peal_count(&storm->raised[3], 1);
		}
		return;
	}
	for (unsigned i = 0; i < 4 * ROUNDS; i++)
		rewriter(storm, 3, &random);
	__atomic_store_n(&storm->busy, 0, __ATOMIC_RELAXED);
}

static void raise_amid_a_rewrite_sends_the_message_of_before_or_after(void **state)
{
	struct storm storm;

	(void)state;
	storm_init(&storm, RAISERS + 1);
	test_threads(3, move_thread, &storm);
	calm(&storm);
	assert_raised(storm.f.msix, 3, storm.raised[3]);
	assert_int_equal(counters(storm.f.msix, 3).sent, storm.delivered[3]);
	fixture_done(&storm.f);
}

/* ---- reset and use ---- */

static void reset_thread(void *user, unsigned index)
{
	struct storm *storm = user;
	struct fixture *f = &storm->f;
	uint64_t random = index;

	if (index < RAISERS) {
		raiser(storm, index);
		return;
	}
	for (unsigned round = 0; goes_on(storm, round); round++) {
		unsigned vector = (unsigned)test_random_below(&random, VECTORS);

		/* A device's control path in one thread, a guest in the other. */
		if (index == RAISERS) {
			switch (test_random_below(&random, 64)) {
			case 0:
				peal_msix_unuse_all(f->msix);
				thread_assert(table_read(f, 2048, 8) == 0);
				break;
			case 1:
				peal_pci_function_reset(f->function);
				break;
			default:
				thread_assert(peal_msix_use(f->msix, vector) == 0);
				peal_msix_unuse(f->msix, vector);
			}
			for (unsigned v = 0; v < VECTORS; v++)
				thread_assert(peal_msix_use(f->msix, v) == 0);
		} else {
			set_command(f, COMMAND_BUS_MASTER);
			rewriter(storm, vector, &random);
			set_control(f, MSIX_ENABLE);
		}
	}
}

static void resets_and_uses_amid_raises_leave_a_working_function(void **state)
{
	struct storm storm;

	(void)state;
	storm_init(&storm, RAISERS + 2);
	storm.resets = true;
	test_threads(RAISERS + 2, reset_thread, &storm);
	assert_int_equal(counters(storm.f.msix, PEAL_MSIX_ALL).sent, storm.delivered[0]);
	storm.resets = false;
	/* A driver of its own, and nothing of before. */
	peal_msix_unuse_all(storm.f.msix);
	peal_pci_function_reset(storm.f.function);
	assert_int_equal(table_read(&storm.f, 2048, 8), 0);
	for (unsigned v = 0; v < VECTORS; v++) {
		uint64_t before = storm.delivered[v];

		assert_int_equal(peal_msix_use(storm.f.msix, v), 0);
		table_write(&storm.f, 16 * v, 8, address_of(v, 9));
		table_write(&storm.f, 16 * v + 8, 8, data_of(v, 9));
		set_command(&storm.f, COMMAND_BUS_MASTER);
		set_control(&storm.f, MSIX_ENABLE);
		assert_int_equal(storm.delivered[v], before);
		assert_int_equal(peal_msix_notify(storm.f.msix, v), 1);
		assert_int_equal(storm.delivered[v], before + 1);
	}
	fixture_done(&storm.f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_raise_is_lost_sent_twice_or_torn),
		cmocka_unit_test(toggling_bus_master_drops_and_accounts),
		cmocka_unit_test(raise_and_unmask_at_the_same_moment_deliver),
		cmocka_unit_test(raise_amid_a_rewrite_sends_the_message_of_before_or_after),
		cmocka_unit_test(resets_and_uses_amid_raises_leave_a_working_function),
	};

	return cmocka_run_group_tests_name("pci-msix-threads", tests, NULL, NULL);
}
