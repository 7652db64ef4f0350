/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * LPIs of a redistributor: pending bits, the configuration cache, and which LPI is next.
 * Arm IHI 0069H §5.1, §6.1.
 *
 * A send sets the pending bit and then lowers the bytes of the summary above it; both steps are
 * sequentially consistent. The CPU that looks for the next LPI follows the summary down; where it
 * finds less than was promised it resets that byte and only then looks what is below, and lowers
 * the byte to that. So either its look sees the bit of a send, or that send sees the byte as reset
 * and lowers it: nothing that was announced is overlooked. The CPU resets to PRIORITY_MAYBE, so a
 * byte is PRIORITY_NONE only where nothing is.
 *
 * Who holds the GIC's mutex finds in this way all words that are not empty (MOVALL, the pending
 * table). It takes everything away: from the top down it resets a byte to PRIORITY_NONE and then
 * follows what is below. A send goes up, so where one was late the bytes above are lowered after
 * they were reset, and where it was not its bit is found and taken. The CPU may see a byte without
 * promise meanwhile; what is below goes away or its send is not over and kicks.
 *
 * The rest only lower. The configuration byte is in the same relation to the pending bit: INV writes
 * the byte and then looks at the bits, a send sets the bit and then looks at the byte.
 * Modelled in tests/models/lpi.pml.
 */
#include "gic.h"

static unsigned shift_of(unsigned level)
{
	return 6 * (level + 1);
}

static void lower(uint8_t *place, uint8_t priority)
{
	uint8_t now = __atomic_load_n(place, __ATOMIC_SEQ_CST);

	while (priority < now && !__atomic_compare_exchange_n(place, &now, priority, false,
							      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
}

static uint8_t config_of(const struct peal_gic *gic, uint32_t intid)
{
	return __atomic_load_n(&gic->lpi_config[intid - PEAL_GIC_FIRST_LPI], __ATOMIC_SEQ_CST);
}

static inline void lower_all(struct gic_redist *redist, uint32_t intid, uint8_t priority)
{
	for (unsigned level = 0; level < redist->gic->levels; level++)
		lower(&redist->best[level][intid >> shift_of(level)], priority);
}

/* Makes a pending LPI known; to its CPU if it is enabled. */
static bool announce(struct gic_redist *redist, uint32_t intid)
{
	struct peal_gic *gic = redist->gic;
	uint8_t config = config_of(gic, intid);
	bool enabled = config & LPI_CONFIG_ENABLE;

	lower_all(redist, intid, enabled ? config & LPI_CONFIG_PRIORITY : PRIORITY_MAYBE);
	if (peal_likely(enabled))
		gic->kick(gic->user, redist->index);
	return enabled;
}

bool gic_pend(struct gic_redist *redist, uint32_t intid)
{
	uint64_t bit = PEAL_BIT(intid % 64);

	if (__atomic_fetch_or(&redist->pending[intid / 64], bit, __ATOMIC_SEQ_CST) & bit) {
		peal_count(&redist->counters.merged, 1);
		return false;
	}
	if (!announce(redist, intid))
		peal_count(&redist->counters.disabled, 1);
	return true;
}

bool gic_unpend(struct gic_redist *redist, uint32_t intid)
{
	uint64_t bit = PEAL_BIT(intid % 64);

	return __atomic_fetch_and(&redist->pending[intid / 64], ~bit, __ATOMIC_SEQ_CST) & bit;
}

static bool is_pending(const struct gic_redist *redist, uint32_t intid)
{
	return __atomic_load_n(&redist->pending[intid / 64], __ATOMIC_SEQ_CST) >> (intid % 64) & 1;
}

bool peal_gic_is_pending(const struct peal_gic *gic, unsigned redist, uint32_t intid)
{
	PEAL_ASSERT(redist < gic->nredists);
	return intid >= PEAL_GIC_FIRST_LPI && intid < gic->id_count &&
	       is_pending(&gic->redists[redist], intid);
}

/* ---- configuration ---- */

/* True: it has changed, and the LPI is enabled now. */
static bool set_config(struct peal_gic *gic, uint32_t intid, uint8_t config)
{
	uint8_t *place = &gic->lpi_config[intid - PEAL_GIC_FIRST_LPI];

	if (__atomic_load_n(place, __ATOMIC_RELAXED) == config)
		return false;
	__atomic_store_n(place, config, __ATOMIC_SEQ_CST);
	return config & LPI_CONFIG_ENABLE;
}

static void announce_bits(struct gic_redist *redist, uint32_t word, uint64_t bits)
{
	for (; bits; bits &= bits - 1)
		(void)announce(redist, word * 64 + (uint32_t)__builtin_ctzll(bits));
}

/* A word of LPIs at a time: there may be hundreds of redistributors to look at. */
static void announce_enabled(struct peal_gic *gic, uint32_t word, uint64_t enabled)
{
	for (unsigned i = 0; i < gic->nredists; i++) {
		struct gic_redist *redist = &gic->redists[i];

		announce_bits(redist, word,
			      enabled & __atomic_load_n(&redist->pending[word], __ATOMIC_SEQ_CST));
	}
}

/* N neighbours. */
static void set_configs(struct peal_gic *gic, uint32_t first, const uint8_t *bytes, uint32_t n)
{
	uint64_t enabled = 0;

	for (uint32_t i = 0, intid = first; i < n; i++, intid++) {
		if (set_config(gic, intid, bytes[i]))
			enabled |= PEAL_BIT(intid % 64);
		if (enabled && (intid % 64 == 63 || i + 1 == n)) {
			announce_enabled(gic, intid / 64, enabled);
			enabled = 0;
		}
	}
}

/* All writers of the cache hold the GIC's mutex, so one of them may read it as plain bytes. */
static bool config_is(const struct peal_gic *gic, uint32_t first, const uint8_t *bytes, uint32_t n)
{
	return memcmp(&gic->lpi_config[first - PEAL_GIC_FIRST_LPI], bytes, n) == 0;
}

void gic_read_config(struct peal_gic *gic, uint32_t first, uint32_t count)
{
	uint64_t table = gic->propbaser & PEAL_MASK(51, 12);
	uint8_t bytes[256];

	while (count) {
		uint32_t n = count < sizeof(bytes) ? count : (uint32_t)sizeof(bytes);

		/* What cannot be read is disabled. */
		if (peal_space_read_memory(gic->memory, table + first - PEAL_GIC_FIRST_LPI, bytes,
					   n) < 0)
			memset(bytes, 0, n);
		if (!config_is(gic, first, bytes, n))
			set_configs(gic, first, bytes, n);
		first += n;
		count -= n;
	}
}

void gic_read_all_config(struct peal_gic *gic)
{
	if (gic->lpi_limit > PEAL_GIC_FIRST_LPI)
		gic_read_config(gic, PEAL_GIC_FIRST_LPI, gic->lpi_limit - PEAL_GIC_FIRST_LPI);
}

void gic_disable_past_limit(struct peal_gic *gic)
{
	uint32_t intid = gic->lpi_limit > PEAL_GIC_FIRST_LPI ? gic->lpi_limit : PEAL_GIC_FIRST_LPI;

	for (; intid < gic->id_count; intid++)
		(void)set_config(gic, intid, 0);
}

/* ---- the next LPI ---- */

/* Best priority of the LPIs in a word of pending bits; the first that has it goes to *INTID. */
static uint8_t best_of_word(struct gic_redist *redist, uint32_t word, uint32_t *intid)
{
	uint64_t bits = __atomic_load_n(&redist->pending[word], __ATOMIC_SEQ_CST);
	uint8_t best = PRIORITY_NONE;

	while (bits) {
		uint32_t id = word * 64 + (uint32_t)__builtin_ctzll(bits);
		uint8_t config = config_of(redist->gic, id);

		bits &= bits - 1;
		if (config & LPI_CONFIG_ENABLE && (config & LPI_CONFIG_PRIORITY) < best) {
			best = config & LPI_CONFIG_PRIORITY;
			*intid = id;
		}
	}
	return best;
}

/*
 * The same for the 64 bytes below a byte of the summary; the first that has it goes to *CHILD. A
 * byte that is as good as ENOUGH ends the search: a promise tells how good the best can be.
 */
static uint8_t best_of_children(struct gic_redist *redist, unsigned level, uint32_t index,
				uint8_t enough, uint32_t *child)
{
	const uint8_t *bytes = &redist->best[level - 1][index * 64];
	uint8_t best = PRIORITY_NONE;

	for (uint32_t i = 0; i < 64 && best > enough; i++) {
		uint8_t byte = __atomic_load_n(&bytes[i], __ATOMIC_SEQ_CST);

		if (byte < best) {
			best = byte;
			*child = index * 64 + i;
		}
	}
	return best;
}

static uint8_t best_below(struct gic_redist *redist, unsigned level, uint32_t index, uint8_t enough,
			  uint32_t *found)
{
	return level == 0 ? best_of_word(redist, index, found)
			  : best_of_children(redist, level, index, enough, found);
}

/* Corrects a byte that promised too much, and those above it. */
static void repair(struct gic_redist *redist, unsigned level, uint32_t index)
{
	uint32_t unused;

	for (; level < redist->gic->levels; level++, index /= 64) {
		(void)__atomic_exchange_n(&redist->best[level][index], PRIORITY_MAYBE,
					  __ATOMIC_SEQ_CST);
		lower(&redist->best[level][index], best_below(redist, level, index, 0, &unused));
	}
}

static uint32_t select_pending(struct gic_redist *redist, uint8_t mask, uint8_t *priority)
{
	unsigned top = redist->gic->levels - 1;

	for (;;) {
		uint8_t promised = __atomic_load_n(&redist->best[top][0], __ATOMIC_SEQ_CST);
		uint32_t index = 0, found = 0;
		unsigned level = top;

		if (promised >= mask || promised >= PRIORITY_MAYBE)
			return PEAL_GIC_SPURIOUS;
		for (;; level--, index = found) {
			uint8_t best = best_below(redist, level, index, promised, &found);

			if (best > promised)
				break; /* less than promised: correct it and look again */
			promised = best;
			if (level == 0) {
				*priority = best;
				return found;
			}
		}
		repair(redist, level, index);
	}
}

uint32_t peal_gic_highest_pending(struct peal_gic *gic, unsigned redist, uint8_t mask,
				  uint8_t *priority)
{
	struct gic_redist *r = &gic->redists[redist];
	uint8_t found = PEAL_GIC_IDLE_PRIORITY;
	uint32_t intid = PEAL_GIC_SPURIOUS;

	PEAL_ASSERT(redist < gic->nredists);
	if (__atomic_load_n(&r->lpis_enabled, __ATOMIC_ACQUIRE))
		intid = select_pending(r, mask, &found);
	if (priority)
		*priority = found;
	return intid;
}

/* One thread at a time acknowledges, so this takes no atomic addition. */
static void count_acknowledged(struct gic_redist *redist)
{
	uint64_t *counter = &redist->counters.acknowledged;

	__atomic_store_n(counter, peal_counted(counter) + 1, __ATOMIC_RELAXED);
}

uint32_t peal_gic_acknowledge(struct peal_gic *gic, unsigned redist, uint8_t mask,
			      uint8_t *priority)
{
	for (;;) {
		uint32_t intid = peal_gic_highest_pending(gic, redist, mask, priority);

		if (intid == PEAL_GIC_SPURIOUS)
			return intid;
		/* A command may have taken it away meanwhile. */
		if (gic_unpend(&gic->redists[redist], intid)) {
			count_acknowledged(&gic->redists[redist]);
			return intid;
		}
	}
}

/* ---- many at once ---- */

/* Called for each word of pending bits that is not empty, and for some that are. */
struct visitor {
	void (*visit)(const struct visitor *visitor, struct gic_redist *redist, uint32_t word);
	bool takes; /* VISIT leaves the word empty */
	union {
		struct {
			struct gic_redist *to;
			uint32_t *moved;
		};
		uint64_t table;
	};
};

static void visit_below(struct gic_redist *redist, unsigned level, uint32_t index,
			const struct visitor *visitor)
{
	if (visitor->takes)
		(void)__atomic_exchange_n(&redist->best[level][index], PRIORITY_NONE,
					  __ATOMIC_SEQ_CST);
	if (level == 0) {
		visitor->visit(visitor, redist, index);
		return;
	}
	for (uint32_t child = index * 64; child < index * 64 + 64; child++) {
		if (__atomic_load_n(&redist->best[level - 1][child], __ATOMIC_SEQ_CST) !=
		    PRIORITY_NONE)
			visit_below(redist, level - 1, child, visitor);
	}
}

/* Under the GIC's mutex. */
static void visit_all(struct gic_redist *redist, const struct visitor *visitor)
{
	unsigned top = redist->gic->levels - 1;

	if (__atomic_load_n(&redist->best[top][0], __ATOMIC_SEQ_CST) != PRIORITY_NONE)
		visit_below(redist, top, 0, visitor);
}

static uint64_t take_word(struct gic_redist *redist, uint32_t word)
{
	return __atomic_exchange_n(&redist->pending[word], 0, __ATOMIC_SEQ_CST);
}

static void announce_word(const struct visitor *visitor, struct gic_redist *redist, uint32_t word)
{
	(void)visitor;
	announce_bits(redist, word, __atomic_load_n(&redist->pending[word], __ATOMIC_SEQ_CST));
}

void gic_announce_all(struct gic_redist *redist)
{
	const struct visitor visitor = { .visit = announce_word };

	visit_all(redist, &visitor);
}

static void drop_word(const struct visitor *visitor, struct gic_redist *redist, uint32_t word)
{
	(void)visitor;
	(void)take_word(redist, word);
}

void gic_drop_pending(struct gic_redist *redist)
{
	const struct visitor visitor = { .visit = drop_word, .takes = true };

	visit_all(redist, &visitor);
}

/* ---- the guest's pending table ---- */

/* The part of it that holds LPIs of the configuration table; multiples of a block. */
#define BLOCK       256u
#define FIRST_BLOCK (PEAL_GIC_FIRST_LPI / 8)

static uint32_t table_end(const struct peal_gic *gic)
{
	return (gic->lpi_limit < gic->id_count ? gic->lpi_limit : gic->id_count) / 8;
}

static const uint8_t no_lpis[BLOCK];

/* Reads a block; true: some bit is set. What cannot be read is zero. */
static bool read_block(const struct gic_redist *redist, uint64_t address, uint8_t *bytes)
{
	return peal_space_read_memory(redist->gic->memory, address, bytes, BLOCK) == 0 &&
	       memcmp(bytes, no_lpis, BLOCK) != 0;
}

void gic_put_pending(struct gic_redist *redist, uint32_t word, uint64_t bits)
{
	gic_set_strayed(redist);
	(void)__atomic_fetch_or(&redist->pending[word], bits, __ATOMIC_SEQ_CST);
	lower_all(redist, word * 64, PRIORITY_MAYBE);
}

void gic_load_pending(struct gic_redist *redist, uint64_t table)
{
	uint8_t bytes[BLOCK];

	for (uint32_t at = FIRST_BLOCK; at < table_end(redist->gic); at += BLOCK) {
		if (!read_block(redist, table + at, bytes))
			continue;
		redist->table_stale = true;
		for (uint32_t i = 0; i < BLOCK; i += 8) {
			uint64_t bits = peal_load_le(bytes + i, 8);

			if (!bits)
				continue;
			gic_put_pending(redist, (at + i) / 8, bits);
		}
	}
}

static void store_word(const struct visitor *visitor, struct gic_redist *redist, uint32_t word)
{
	uint64_t bits = take_word(redist, word);
	uint8_t bytes[8];

	if (!bits || word * 8 >= table_end(redist->gic))
		return;
	peal_store_le(bytes, 8, bits);
	(void)peal_space_write_memory(redist->gic->memory, visitor->table + word * 8, bytes, 8);
}

void gic_store_pending(struct gic_redist *redist, uint64_t table)
{
	const struct visitor visitor = { .visit = store_word, .takes = true, .table = table };
	uint32_t end = redist->table_stale ? table_end(redist->gic) : 0;
	uint8_t bytes[BLOCK];

	for (uint32_t at = FIRST_BLOCK; at < end; at += BLOCK) {
		if (read_block(redist, table + at, bytes))
			(void)peal_space_write_memory(redist->gic->memory, table + at, no_lpis,
						      BLOCK);
	}
	visit_all(redist, &visitor);
	gic_clear_strayed(redist);
}

/* ---- for commands ---- */

void gic_command_pend(struct gic_redist *redist, uint32_t intid)
{
	struct peal_gic *gic = redist->gic;

	peal_mutex_lock(&gic->mutex);
	if (redist->lpis_enabled)
		(void)gic_pend(redist, intid);
	peal_mutex_unlock(&gic->mutex);
}

void gic_set_strayed(struct gic_redist *redist)
{
	struct peal_gic *gic = redist->gic;

	(void)__atomic_fetch_or(&gic->strayed_redists[redist->index / 64],
				PEAL_BIT(redist->index % 64), __ATOMIC_SEQ_CST);
	__atomic_store_n(&gic->strayed, 1, __ATOMIC_SEQ_CST);
}

void gic_clear_strayed(struct gic_redist *redist)
{
	(void)__atomic_fetch_and(&redist->gic->strayed_redists[redist->index / 64],
				 ~PEAL_BIT(redist->index % 64), __ATOMIC_SEQ_CST);
}

static bool is_strayed(const struct peal_gic *gic)
{
	return __atomic_load_n(&gic->strayed, __ATOMIC_SEQ_CST);
}

/* Takes the pending state from the redistributors with strayed LPIs but one; true: some had it. */
static bool unpend_all_but(struct peal_gic *gic, const struct gic_redist *one, uint32_t intid)
{
	bool found = false;

	for (uint32_t word = 0; word < gic_strayed_words(gic); word++) {
		uint64_t bits = __atomic_load_n(&gic->strayed_redists[word], __ATOMIC_SEQ_CST);

		for (; bits; bits &= bits - 1) {
			unsigned index = word * 64 + (unsigned)__builtin_ctzll(bits);
			struct gic_redist *redist = &gic->redists[index];

			if (redist != one && is_pending(redist, intid) && gic_unpend(redist, intid))
				found = true;
		}
	}
	return found;
}

void gic_command_unpend(struct peal_gic *gic, struct gic_redist *first, uint32_t intid)
{
	if (first && is_pending(first, intid))
		(void)gic_unpend(first, intid);
	/* Strayed is set before a bit moves, and bits move under the mutex. */
	if (peal_likely(!is_strayed(gic)))
		return;
	peal_mutex_lock(&gic->mutex);
	(void)unpend_all_but(gic, NULL, intid);
	peal_mutex_unlock(&gic->mutex);
}

void gic_command_move(struct gic_redist *first, struct gic_redist *to, uint32_t intid)
{
	struct peal_gic *gic = to->gic;
	bool found;

	peal_mutex_lock(&gic->mutex);
	if (!to->lpis_enabled) {
		if (first)
			gic_set_strayed(first);
	} else {
		found = first && first != to && gic_unpend(first, intid);
		if (is_strayed(gic) && unpend_all_but(gic, to, intid))
			found = true;
		if (found)
			(void)gic_pend(to, intid);
	}
	peal_mutex_unlock(&gic->mutex);
}

static void move_word(const struct visitor *visitor, struct gic_redist *from, uint32_t word)
{
	uint64_t bits = take_word(from, word), merged;
	struct gic_redist *to = visitor->to;

	if (!bits)
		return;
	merged = bits & __atomic_fetch_or(&to->pending[word], bits, __ATOMIC_SEQ_CST);
	announce_bits(to, word, bits & ~merged);
	for (; merged; merged &= merged - 1)
		peal_count(&to->counters.merged, 1);
	for (; bits; bits &= bits - 1)
		++*visitor->moved;
}

uint32_t gic_command_move_all(struct gic_redist *from, struct gic_redist *to)
{
	uint32_t moved = 0;
	const struct visitor visitor = {
		.visit = move_word, .takes = true, .to = to, .moved = &moved
	};
	struct peal_gic *gic = to->gic;

	if (from == to)
		return 0;
	peal_mutex_lock(&gic->mutex);
	if (to->lpis_enabled) {
		gic_set_strayed(to);
		/* Before the bits move: who strays to FROM meanwhile sets it again. */
		gic_clear_strayed(from);
		visit_all(from, &visitor);
	}
	peal_mutex_unlock(&gic->mutex);
	return moved;
}
