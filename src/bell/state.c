/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stopping a bell, saving and loading it. All numbers little-endian:
 *
 *   u32 version, u32 vectors, u32 CAUSE, u32 FIRST, COUNT, ROUNDS, PERIOD
 *   the rounds: u32 first, count, rounds, period, left, at, waits
 *   each vector: u64 how often it rang
 */
#include "base/cursor.h"
#include "bell.h"

#define VERSION    1u
#define FIXED_SIZE 56u

static const uint32_t saved[] = { PEAL_BELL_FIRST, PEAL_BELL_COUNT, PEAL_BELL_ROUNDS,
				  PEAL_BELL_PERIOD };

static void stop(void *user, bool stopped)
{
	bell_pause(user, stopped);
}

static size_t size(void *user)
{
	const struct peal_bell *bell = user;

	return FIXED_SIZE + bell->vectors * sizeof(uint64_t);
}

static void save(void *user, uint8_t *bytes)
{
	struct peal_bell *bell = user;
	struct peal_cursor c = { .bytes = bytes, .size = size(bell) };
	const struct bell_rounds rounds = bell_get_rounds(bell);

	peal_cursor_put(&c, 4, VERSION);
	peal_cursor_put(&c, 4, bell->vectors);
	peal_mutex_lock(&bell->mutex);
	peal_cursor_put(&c, 4, __atomic_load_n(&bell->cause, __ATOMIC_SEQ_CST));
	for (unsigned i = 0; i < PEAL_COUNT_OF(saved); i++)
		peal_cursor_put(&c, 4, peal_reg_get(bell->image, saved[i], 4));
	peal_mutex_unlock(&bell->mutex);
	peal_cursor_put(&c, 4, rounds.program.first);
	peal_cursor_put(&c, 4, rounds.program.count);
	peal_cursor_put(&c, 4, rounds.program.rounds);
	peal_cursor_put(&c, 4, rounds.program.period);
	peal_cursor_put(&c, 4, rounds.left);
	peal_cursor_put(&c, 4, rounds.at);
	peal_cursor_put(&c, 4, rounds.waits);
	for (unsigned i = 0; i < bell->vectors; i++)
		peal_cursor_put(&c, 8, peal_counted(&bell->rings[i]));
	PEAL_ASSERT(!c.bad && c.at == c.size);
}

/* All vectors are in use, once, as long as there is a bell. */
static bool uses_are_right(const struct peal_bell *bell)
{
	for (unsigned i = 0; i < bell->vectors; i++) {
		if (peal_msix_uses(bell->msix, i) != 1)
			return false;
	}
	for (unsigned i = 0; i < peal_msi_vectors(bell->msi); i++) {
		if (peal_msi_uses(bell->msi, i) != 1)
			return false;
	}
	return true;
}

static bool rounds_are_possible(const struct bell_rounds *rounds, uint64_t waits)
{
	if (waits > 1 || rounds->left > rounds->program.rounds ||
	    (rounds->at && rounds->at >= rounds->program.count))
		return false;
	return !waits || (rounds->program.period && !rounds->at && rounds->left);
}

static int load(void *user, const uint8_t *bytes, size_t length)
{
	struct peal_bell *bell = user;
	struct peal_cursor c = peal_cursor_reader(bytes, length);
	uint32_t image[PEAL_COUNT_OF(saved)], version, vectors;
	struct bell_rounds rounds;
	uint64_t waits, cause;

	version = (uint32_t)peal_cursor_take(&c, 4);
	vectors = (uint32_t)peal_cursor_take(&c, 4);
	cause = peal_cursor_take(&c, 4);
	for (unsigned i = 0; i < PEAL_COUNT_OF(saved); i++)
		image[i] = (uint32_t)peal_cursor_take(&c, 4);
	rounds.program.first = (uint32_t)peal_cursor_take(&c, 4);
	rounds.program.count = (uint32_t)peal_cursor_take(&c, 4);
	rounds.program.rounds = (uint32_t)peal_cursor_take(&c, 4);
	rounds.program.period = (uint32_t)peal_cursor_take(&c, 4);
	rounds.left = (uint32_t)peal_cursor_take(&c, 4);
	rounds.at = (uint32_t)peal_cursor_take(&c, 4);
	waits = peal_cursor_take(&c, 4);
	rounds.waits = waits;
	if (version != VERSION || vectors != bell->vectors || cause > 1 || length != size(bell) ||
	    !rounds_are_possible(&rounds, waits) || !uses_are_right(bell))
		return -EINVAL;
	bell_set_rounds(bell, &rounds);
	peal_mutex_lock(&bell->mutex);
	for (unsigned i = 0; i < PEAL_COUNT_OF(saved); i++)
		peal_reg_set(bell->image, saved[i], 4, image[i]);
	for (unsigned i = 0; i < bell->vectors; i++)
		__atomic_store_n(&bell->rings[i], peal_cursor_take(&c, 8), __ATOMIC_RELAXED);
	__atomic_store_n(&bell->cause, (uint32_t)cause, __ATOMIC_SEQ_CST);
	bell_drive_intx(bell);
	peal_mutex_unlock(&bell->mutex);
	return 0;
}

const struct peal_pci_state_ops bell_state_ops = {
	.stop = stop,
	.size = size,
	.save = save,
	.load = load,
};
