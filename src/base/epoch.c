/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Epochs: the waiting side. The reader's side is in the header.
 *
 * A slot counts how many sections were entered and left, apart for the two parities. New sections
 * take the parity that stands in the epoch; the writer turns it over, so that the sections of the
 * other one run out. A reader that read the parity and was then held up may still enter the old
 * one, at any time later. It does no harm to the writer that has just turned the parity: that
 * reader's pointer loads come after its entry, the entry after the writer's look, and the look
 * after the writer took the object away. But it is in the way of the next writer, which would turn
 * the parity back to the one this reader is in and wait for the other only. Hence two phases: wait
 * until the parity that is going to be current is empty, turn, wait for the one that was.
 *
 * Invariants: in[p] - out[p] of a slot is how many sections of this parity are in it; both only
 * grow. All looks of the writer are sequentially consistent loads.
 *
 * Lock order: the mutex is innermost; sync calls nothing but relax() with it.
 */
#include <peal/epoch.h>

int peal_epoch_init(struct peal_epoch *epoch, const struct peal_host *host)
{
	memset(epoch, 0, sizeof(*epoch));
	return peal_mutex_init(&epoch->mutex, host);
}

void peal_epoch_done(struct peal_epoch *epoch)
{
	peal_mutex_done(&epoch->mutex);
}

/*
 * Was there a moment without sections of this parity in the slot? OUT is loaded first: out(t1) ==
 * in(t2) with t1 before t2 means that in and out were equal at t1, as neither ever shrinks.
 */
static bool slot_is_empty(const struct peal_epoch_slot *slot, unsigned parity)
{
	uint64_t out = __atomic_load_n(&slot->out[parity], __ATOMIC_SEQ_CST);

	return out == __atomic_load_n(&slot->in[parity], __ATOMIC_SEQ_CST);
}

/* Each slot needs a moment of its own only: whoever enters it later is nobody to wait for. */
static void wait_for_parity(struct peal_epoch *epoch, unsigned parity)
{
	const struct peal_host *host = epoch->mutex.host;

	for (unsigned i = 0; i < PEAL_EPOCH_SLOTS; i++) {
		while (!slot_is_empty(&epoch->slots[i], parity))
			host->relax(host->user);
	}
}

void peal_epoch_sync(struct peal_epoch *epoch)
{
	unsigned parity;

	peal_mutex_lock(&epoch->mutex);
	parity = __atomic_load_n(&epoch->parity, __ATOMIC_RELAXED) & 1;
	wait_for_parity(epoch, parity ^ 1);
	__atomic_store_n(&epoch->parity, parity ^ 1, __ATOMIC_SEQ_CST);
	wait_for_parity(epoch, parity);
	peal_mutex_unlock(&epoch->mutex);
}

uint64_t peal_epoch_entered(const struct peal_epoch *epoch)
{
	uint64_t entered = 0;

	for (unsigned i = 0; i < PEAL_EPOCH_SLOTS; i++) {
		entered += __atomic_load_n(&epoch->slots[i].in[0], __ATOMIC_RELAXED);
		entered += __atomic_load_n(&epoch->slots[i].in[1], __ATOMIC_RELAXED);
	}
	return entered;
}
