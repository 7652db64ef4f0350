/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each place of the ring has a turn: it may be written when its turn equals the writer's number,
 * and read when it is one more. A writer takes its number only when its place is free, so nobody
 * ever waits for another thread. After the read the place is free for the number one round later.
 */
#include <peal/bits.h>
#include <peal/trace.h>

#define ORDER_MAX 24u

struct place {
	uint64_t turn;
	struct peal_trace_record record;
};

struct peal_trace_ring {
	const struct peal_host *host;
	uint64_t mask;
	struct place *places;
	uint64_t head __attribute__((aligned(PEAL_CACHE_LINE))); /* writers' */
	uint64_t lost;
	uint64_t tail __attribute__((aligned(PEAL_CACHE_LINE))); /* the reader's */
};

int peal_trace_ring_new(struct peal_trace_ring **ret, const struct peal_host *host, unsigned order)
{
	struct peal_trace_ring *ring;

	if (order < 1 || order > ORDER_MAX)
		return -EINVAL;
	ring = peal_alloc(host, sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	ring->host = host;
	ring->mask = PEAL_BIT(order) - 1;
	ring->places = peal_alloc(host, (ring->mask + 1) * sizeof(*ring->places));
	if (!ring->places) {
		peal_free(host, ring, sizeof(*ring));
		return -ENOMEM;
	}
	for (uint64_t i = 0; i <= ring->mask; i++)
		ring->places[i].turn = i;
	*ret = ring;
	return 0;
}

void peal_trace_ring_free(struct peal_trace_ring *ring)
{
	if (!ring)
		return;
	peal_free(ring->host, ring->places, (ring->mask + 1) * sizeof(*ring->places));
	peal_free(ring->host, ring, sizeof(*ring));
}

bool peal_trace_push(struct peal_trace_ring *ring, const struct peal_trace_record *record)
{
	uint64_t number = __atomic_load_n(&ring->head, __ATOMIC_RELAXED);

	for (;;) {
		struct place *place = &ring->places[number & ring->mask];
		uint64_t turn = __atomic_load_n(&place->turn, __ATOMIC_ACQUIRE);

		if (turn == number) {
			/* On failure NUMBER is the new head. */
			if (!__atomic_compare_exchange_n(&ring->head, &number, number + 1, true,
							 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
				continue;
			place->record = *record;
			__atomic_store_n(&place->turn, number + 1, __ATOMIC_RELEASE);
			return true;
		}
		if (turn < number) { /* not read since the last round */
			peal_count(&ring->lost, 1);
			return false;
		}
		number = __atomic_load_n(&ring->head, __ATOMIC_RELAXED);
	}
}

bool peal_trace_pop(struct peal_trace_ring *ring, struct peal_trace_record *ret)
{
	struct place *place = &ring->places[ring->tail & ring->mask];

	if (__atomic_load_n(&place->turn, __ATOMIC_ACQUIRE) != ring->tail + 1)
		return false;
	*ret = place->record;
	__atomic_store_n(&place->turn, ring->tail + ring->mask + 1, __ATOMIC_RELEASE);
	ring->tail++;
	return true;
}

uint64_t peal_trace_lost(const struct peal_trace_ring *ring)
{
	return peal_counted(&ring->lost);
}
