/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Vectors of MSI-X and MSI. PCI Local Bus 3.0 §6.8; PCI Express Base 6.0 §6.1.4, §7.7.
 *
 * All that decides what a raise does is in one word per vector, and each change of it is one
 * atomic step, so raise, mask, unmask, function mask, enable and the bus master gate have an order:
 *
 *   31                  8     7      6      5       4        3       2      1     0
 *   ┌────────────────────┬───────┬──────┬───────┬────────┬────────┬────────┬─────┬──────┐
 *   │ version of message │ OWNED │CLOSED│PENDING│ UNUSED │ NO_BUS │ SELECT │ OFF │ MASK │
 *   └────────────────────┴───────┴──────┴───────┴────────┴────────┴────────┴─────┴──────┘
 *
 * MASK is the vector's own; OFF says that all are: Function Mask is set, or the capability is not
 * enabled. SELECT names which of two copies of address and data is the message; a change of the
 * message writes the other copy and then flips SELECT and advances the version in one step, so a
 * raise that read a torn copy sees another word and looks again.
 *
 * OWNED vectors are delivered to the owner, by number, and masked by it with CLOSED. The owner is set
 * before the first word says so, and goes after the last one did.
 *
 * Invariants: PENDING only while MASK, OFF or CLOSED is set; whoever clears PENDING in a step that leaves
 * the vector unmasked sends the message, exactly once. A raise that finds PENDING set still makes
 * an atomic step on the word: what its device wrote before is then seen by who clears it. MASK and
 * OFF change only under the mutex.
 * Modelled in tests/models/msix.pml, and how MSI shares vectors in tests/models/msi.pml.
 */
#include "vectors.h"

/* Of one piece with raise: returns cost much behind a system call (vfio/irqset.c). */
#define INLINE static inline __attribute__((always_inline))

/* ---- raising ---- */

/* The sink's answer, seldom anything but 1. */
int pci_vectors_count_answer(struct pci_vectors *vectors, unsigned vector, int answer)
{
	if (answer == 0)
		peal_count(&vectors->rare[vector].blocked, 1);
	if (answer < 0)
		peal_count(&vectors->rare[vector].failed, 1);
	return answer;
}

/* Of its own, so that the message's place is not in the frame of who calls. */
static __attribute__((noinline)) int send(struct pci_vectors *vectors, unsigned vector, uint32_t s)
{
	return pci_vectors_send(vectors, vector, s);
}

/* Who takes by number what a vector raises. */
struct taker {
	const struct peal_vector_owner *owner;
	void *user;
};

/*
 * The owner of the word S. False: it is not S any more. An owner and the user of another are not
 * taken for a pair: owners only follow on none.
 */
INLINE bool taker_of(const struct pci_vectors *vectors, unsigned vector, uint32_t s,
		     struct taker *ret)
{
	const uint32_t owners = __atomic_load_n(&vectors->owners, __ATOMIC_ACQUIRE);

	ret->owner = __atomic_load_n(&vectors->owner, __ATOMIC_ACQUIRE);
	ret->user = __atomic_load_n(&vectors->owner_user, __ATOMIC_ACQUIRE);
	return ret->owner && __atomic_load_n(&vectors->owners, __ATOMIC_ACQUIRE) == owners &&
	       __atomic_load_n(&vectors->list[vector].state, __ATOMIC_RELAXED) == s;
}

/* A raise of a vector whose word S is masked. False: it is not S any more. */
INLINE bool pend(struct pci_vector *v, uint32_t s)
{
	if (!__atomic_compare_exchange_n(&v->state, &s, s | PCI_VECTOR_PENDING, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		return false;
	peal_count(s & PCI_VECTOR_PENDING ? &v->merged : &v->pended, 1);
	return true;
}

/*
 * A message is sent only if the vector was unmasked while it was read: under a mask the guest
 * changes it register by register, and what is there in between is nobody's. NOBODY is the answer
 * for one that is not in use. What an owner takes, it counts: its call is the last that is done, so
 * it is a jump, and there is one return less behind its system call.
 */
INLINE int raise_checked(struct pci_vectors *vectors, unsigned vector, int nobody)
{
	struct pci_vector *v = &vectors->list[vector];
	struct taker taker;

	for (;;) {
		uint32_t s = __atomic_load_n(&v->state, __ATOMIC_ACQUIRE);
		int answer;

		if (s & PCI_VECTOR_UNUSED)
			return nobody;
		if (s & PCI_VECTOR_MASKED) {
			if (pend(v, s))
				return 0;
			continue;
		}
		if (s & PCI_VECTOR_NO_BUS) {
			peal_count(&vectors->rare[vector].dropped, 1);
			return 0;
		}
		if (s & PCI_VECTOR_OWNED) {
			if (taker_of(vectors, vector, s, &taker))
				return taker.owner->deliver(taker.user, vector);
			continue;
		}
		answer = send(vectors, vector, s);
		if (answer != PCI_VECTORS_CHANGED)
			return answer;
	}
}

int pci_vectors_raise_checked(struct pci_vectors *vectors, unsigned vector)
{
	return raise_checked(vectors, vector, PCI_VECTORS_NOBODY);
}

int pci_vectors_raise_slow(struct pci_vectors *vectors, unsigned vector)
{
	return raise_checked(vectors, vector, 0);
}

int pci_vectors_pend(struct pci_vectors *vectors, unsigned vector, int nobody)
{
	struct pci_vector *v = &vectors->list[vector];

	for (;;) {
		uint32_t s = __atomic_load_n(&v->state, __ATOMIC_ACQUIRE);

		if (s & PCI_VECTOR_UNUSED)
			return nobody;
		if (!(s & PCI_VECTOR_MASKED))
			return s & PCI_VECTOR_OWNED ? 1 : 0;
		if (pend(v, s))
			return 0;
	}
}

bool pci_vectors_take_pending(struct pci_vectors *vectors, unsigned vector)
{
	struct pci_vector *v = &vectors->list[vector];

	if (!(__atomic_fetch_and(&v->state, ~PCI_VECTOR_PENDING, __ATOMIC_SEQ_CST) &
	      PCI_VECTOR_PENDING))
		return false;
	peal_count(&v->pended, (uint64_t)-1);
	return true;
}

struct peal_msi_msg pci_vectors_message(const struct pci_vectors *vectors, unsigned vector)
{
	const struct pci_vector *v = &vectors->list[vector];
	struct peal_msi_msg msg;

	while (!pci_vectors_message_of(vectors, v, __atomic_load_n(&v->state, __ATOMIC_ACQUIRE),
				       &msg))
		;
	return msg;
}

/* ---- the consumer ---- */

void pci_vectors_begin(struct pci_vectors *vectors)
{
	vectors->batch++;
}

void pci_vectors_commit(struct pci_vectors *vectors)
{
	PEAL_ASSERT(vectors->batch > 0);
	if (--vectors->batch || !vectors->batch_told)
		return;
	vectors->batch_told = false;
	if (vectors->consumer && vectors->consumer->commit)
		vectors->consumer->commit(vectors->consumer_user);
}

/* The consumer hears of a batch with the first change that concerns it. */
static void tell_batch(struct pci_vectors *vectors)
{
	if (vectors->batch_told)
		return;
	vectors->batch_told = true;
	if (vectors->consumer->begin)
		vectors->consumer->begin(vectors->consumer_user);
}

static int consumer_use(struct pci_vectors *vectors, unsigned vector)
{
	const struct peal_msi_msg msg = pci_vectors_message(vectors, vector);
	int r;

	if (!vectors->consumer)
		return 0;
	tell_batch(vectors);
	r = vectors->consumer->use(vectors->consumer_user, vector, &msg);
	if (r == 0)
		vectors->rare[vector].held = true;
	return r;
}

static void consumer_release(struct pci_vectors *vectors, unsigned vector)
{
	/* Who could not take it does not give it back. */
	if (!vectors->consumer || !vectors->rare[vector].held)
		return;
	vectors->rare[vector].held = false;
	tell_batch(vectors);
	vectors->consumer->release(vectors->consumer_user, vector);
}

void pci_vectors_poll(struct pci_vectors *vectors, unsigned first, unsigned end)
{
	if (vectors->consumer && vectors->consumer->poll && first < end)
		vectors->consumer->poll(vectors->consumer_user, first, end);
}

static bool is_masked(const struct pci_vectors *vectors, unsigned vector)
{
	return pci_vectors_state(vectors, vector) & PCI_VECTOR_MASKED;
}

static int add_consumer(struct pci_vectors *vectors)
{
	for (unsigned i = 0; i < vectors->count; i++) {
		int r = is_masked(vectors, i) ? 0 : consumer_use(vectors, i);

		if (r == 0)
			continue;
		while (i-- > 0) {
			if (!is_masked(vectors, i))
				consumer_release(vectors, i);
		}
		return r;
	}
	pci_vectors_poll(vectors, 0, vectors->count);
	return 0;
}

int pci_vectors_set_consumer(struct pci_vectors *vectors,
			     const struct peal_vector_consumer *consumer, void *user)
{
	int r = 0;

	peal_mutex_lock(&vectors->mutex);
	if (consumer && vectors->consumer) {
		peal_mutex_unlock(&vectors->mutex);
		return -EBUSY;
	}
	pci_vectors_begin(vectors);
	if (consumer) {
		vectors->consumer = consumer;
		vectors->consumer_user = user;
		r = add_consumer(vectors);
	} else {
		for (unsigned i = 0; i < vectors->count; i++) {
			if (!is_masked(vectors, i))
				consumer_release(vectors, i);
		}
	}
	pci_vectors_commit(vectors);
	if (!consumer || r < 0) {
		/* A bracket that is still open ends here for who leaves. */
		if (vectors->batch_told && vectors->consumer->commit)
			vectors->consumer->commit(vectors->consumer_user);
		vectors->consumer = NULL;
		vectors->batch_told = false;
	}
	peal_mutex_unlock(&vectors->mutex);
	return r;
}

/* ---- changes ---- */

/*
 * One step of the word; a step that unmasks a pending vector sends its message. The consumer takes
 * a vector before it is unmasked and leaves it after it is masked, so what comes in between finds
 * it ready.
 */
static void change(struct pci_vectors *vectors, unsigned vector, uint32_t set, uint32_t clear)
{
	struct pci_vector *v = &vectors->list[vector];
	uint32_t s = __atomic_load_n(&v->state, __ATOMIC_RELAXED), to;
	bool was_masked = s & PCI_VECTOR_MASKED;
	bool masked = ((s | set) & ~clear) & PCI_VECTOR_MASKED;
	struct taker taker;
	bool fire, known;

	/* A consumer that cannot take it misses the vector's interrupts; the sink does not. */
	if (was_masked && !masked && consumer_use(vectors, vector) < 0)
		peal_count(&vectors->rare[vector].use_failed, 1);
	do {
		to = (s | set) & ~clear;
		fire = to & PCI_VECTOR_PENDING && !masked;
		if (fire)
			to &= ~PCI_VECTOR_PENDING;
	} while (!__atomic_compare_exchange_n(&v->state, &s, to, false, __ATOMIC_SEQ_CST,
					      __ATOMIC_RELAXED));
	if (!was_masked && masked)
		consumer_release(vectors, vector);
	if (!fire)
		return;
	peal_count(&vectors->rare[vector].refired, 1);
	if (to & PCI_VECTOR_NO_BUS) {
		peal_count(&vectors->rare[vector].dropped, 1);
		return;
	}
	if (to & PCI_VECTOR_OWNED) {
		known = taker_of(vectors, vector, to, &taker);
		PEAL_ASSERT(known); /* owners change under the mutex */
		(void)taker.owner->deliver(taker.user, vector);
	} else {
		(void)send(vectors, vector, to);
	}
}

static void change_all(struct pci_vectors *vectors, uint32_t set, uint32_t clear)
{
	pci_vectors_begin(vectors);
	for (unsigned i = 0; i < vectors->count; i++)
		change(vectors, i, set, clear);
	pci_vectors_commit(vectors);
}

void pci_vectors_set_message(struct pci_vectors *vectors, unsigned vector, uint64_t address,
			     uint32_t data)
{
	struct pci_vector *v = &vectors->list[vector];
	uint32_t s = __atomic_load_n(&v->state, __ATOMIC_RELAXED);
	unsigned select = s / PCI_VECTOR_SELECT & 1;

	if (v->address[select] == address && v->data[select] == data)
		return;
	/* Release: whoever reads a half of the new message also sees the word of the change before
	 * this one, and so looks again. */
	__atomic_store_n(&v->address[select ^ 1], address, __ATOMIC_RELEASE);
	__atomic_store_n(&v->data[select ^ 1], data, __ATOMIC_RELEASE);
	while (!__atomic_compare_exchange_n(&v->state, &s,
					    (s ^ PCI_VECTOR_SELECT) + PCI_VECTOR_VERSION, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
	/* A consumer that holds the old message hears of the new one. */
	pci_vectors_begin(vectors);
	if (!is_masked(vectors, vector) && consumer_use(vectors, vector) < 0)
		peal_count(&vectors->rare[vector].use_failed, 1);
	pci_vectors_commit(vectors);
}

void pci_vectors_set_mask(struct pci_vectors *vectors, unsigned vector, bool mask)
{
	pci_vectors_begin(vectors);
	change(vectors, vector, mask ? PCI_VECTOR_MASK : 0, mask ? 0 : PCI_VECTOR_MASK);
	pci_vectors_commit(vectors);
}

void pci_vectors_set_closed(struct pci_vectors *vectors, unsigned vector, bool closed)
{
	pci_vectors_begin(vectors);
	change(vectors, vector, closed ? PCI_VECTOR_CLOSED : 0, closed ? 0 : PCI_VECTOR_CLOSED);
	pci_vectors_commit(vectors);
}

void pci_vectors_set_owner(struct pci_vectors *vectors, const struct peal_vector_owner *owner,
			   void *user)
{
	const uint32_t bits = PCI_VECTOR_OWNED | PCI_VECTOR_CLOSED;

	/* While a word says OWNED there is an owner. */
	if (!owner)
		change_all(vectors, 0, bits);
	if (owner) {
		__atomic_store_n(&vectors->owners, vectors->owners + 1, __ATOMIC_RELEASE);
		__atomic_store_n(&vectors->owner_user, user, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&vectors->owner, owner, __ATOMIC_RELEASE);
	if (owner)
		change_all(vectors, bits, 0);
}

void pci_vectors_set_off(struct pci_vectors *vectors, bool off)
{
	if (vectors->off == off)
		return;
	vectors->off = off;
	change_all(vectors, off ? PCI_VECTOR_OFF : 0, off ? 0 : PCI_VECTOR_OFF);
}

void pci_vectors_set_pending(struct pci_vectors *vectors, unsigned vector, bool pending)
{
	PEAL_ASSERT(!pending || is_masked(vectors, vector));
	change(vectors, vector, pending ? PCI_VECTOR_PENDING : 0, pending ? 0 : PCI_VECTOR_PENDING);
}

/* Is VECTOR, or one that is raised as it, in use? */
static bool is_used_shared(const struct pci_vectors *vectors, unsigned vector, unsigned shared)
{
	bool used = vectors->list[vector].uses;

	for (unsigned i = vector; vector < shared && i < vectors->count && !used; i += shared)
		used = vectors->list[i].uses;
	return used;
}

static bool in_use(const struct pci_vectors *vectors, unsigned vector)
{
	return is_used_shared(vectors, vector, vectors->shared);
}

static void set_uses(struct pci_vectors *vectors, unsigned vector, uint32_t uses)
{
	__atomic_store_n(&vectors->list[vector].uses, uses, __ATOMIC_RELAXED);
}

void pci_vectors_set_uses(struct pci_vectors *vectors, unsigned vector, uint32_t uses)
{
	if (uses)
		change(vectors, vector, 0, PCI_VECTOR_UNUSED);
	set_uses(vectors, vector, uses);
	if (!uses)
		change(vectors, vector, PCI_VECTOR_UNUSED, 0);
}

/*
 * While both are off. Where the other pends already, what pended has merged after all. Whose raise
 * is still at it may take the bit back in the meantime.
 */
static void move_pending(struct pci_vectors *vectors, unsigned from, unsigned to)
{
	struct pci_vector *v = &vectors->list[from];

	if (!pci_vectors_take_pending(vectors, from))
		return;
	if (__atomic_fetch_or(&vectors->list[to].state, PCI_VECTOR_PENDING, __ATOMIC_SEQ_CST) &
	    PCI_VECTOR_PENDING)
		peal_count(&v->merged, 1);
	else
		peal_count(&v->pended, 1);
}

/* What pends for others, raised as vector modulo SHARED, goes back to the first of them. */
static void unshare(struct pci_vectors *vectors, unsigned shared)
{
	for (unsigned i = 0; i < shared; i++) {
		unsigned k = i;

		while (k < vectors->count && !vectors->list[k].uses)
			k += shared;
		if (k != i && k < vectors->count)
			move_pending(vectors, i, k);
	}
}

void pci_vectors_admit(struct pci_vectors *vectors, unsigned shared)
{
	PEAL_ASSERT(vectors->off);
	for (unsigned i = 0; i < shared; i++) {
		if (is_used_shared(vectors, i, shared))
			change(vectors, i, 0, PCI_VECTOR_UNUSED);
	}
}

void pci_vectors_share(struct pci_vectors *vectors, unsigned shared)
{
	const unsigned before = vectors->shared;

	PEAL_ASSERT(vectors->off);
	vectors->shared = shared;
	for (unsigned i = 0; i < vectors->count; i++) {
		bool used = in_use(vectors, i);

		change(vectors, i, used ? 0 : PCI_VECTOR_UNUSED, used ? PCI_VECTOR_UNUSED : 0);
	}
	/* Now nothing more pends where only others were raised. */
	unshare(vectors, before);
	for (unsigned i = shared; i < vectors->count; i++)
		move_pending(vectors, i, i % shared);
}

void pci_vectors_clear_pending(struct pci_vectors *vectors)
{
	change_all(vectors, 0, PCI_VECTOR_PENDING);
}

/* Masked first, then the pending bit goes: a raise in between pends into what is cleared next. */
void pci_vectors_reset(struct pci_vectors *vectors)
{
	vectors->off = true;
	change_all(vectors, PCI_VECTOR_MASK | PCI_VECTOR_OFF, 0);
	pci_vectors_clear_pending(vectors);
	for (unsigned i = 0; i < vectors->count; i++)
		pci_vectors_set_message(vectors, i, 0, 0);
}

/* ---- life ---- */

int pci_vectors_init(struct pci_vectors *vectors, const struct peal_host *host, unsigned count)
{
	int r;

	vectors->host = host;
	vectors->count = count;
	vectors->shared = count;
	vectors->off = true;
	vectors->list = peal_alloc(host, count * sizeof(*vectors->list));
	vectors->rare = peal_alloc(host, count * sizeof(*vectors->rare));
	r = vectors->list && vectors->rare ? peal_mutex_init(&vectors->mutex, host) : -ENOMEM;
	if (r < 0) {
		pci_vectors_done(vectors);
		return r;
	}
	for (unsigned i = 0; i < count; i++)
		vectors->list[i].state = PCI_VECTOR_MASK | PCI_VECTOR_OFF | PCI_VECTOR_NO_BUS |
					 PCI_VECTOR_UNUSED;
	return 0;
}

void pci_vectors_done(struct pci_vectors *vectors)
{
	peal_mutex_done(&vectors->mutex);
	peal_free(vectors->host, vectors->rare, vectors->count * sizeof(*vectors->rare));
	peal_free(vectors->host, vectors->list, vectors->count * sizeof(*vectors->list));
	vectors->rare = NULL;
	vectors->list = NULL;
}

void pci_vectors_connect(struct pci_vectors *vectors, const struct peal_msi_sink *sink,
			 uint32_t requester_id)
{
	/* Nobody sends: NO_BUS is in every word. */
	PEAL_ASSERT(!vectors->bus_master);
	__atomic_store_n(&vectors->sink, sink, __ATOMIC_RELEASE);
	__atomic_store_n(&vectors->requester_id, requester_id, __ATOMIC_RELAXED);
}

void pci_vectors_set_bus_master(struct pci_vectors *vectors, bool enabled)
{
	peal_mutex_lock(&vectors->mutex);
	if (vectors->bus_master != enabled)
		change_all(vectors, enabled ? 0 : PCI_VECTOR_NO_BUS,
			   enabled ? PCI_VECTOR_NO_BUS : 0);
	vectors->bus_master = enabled;
	peal_mutex_unlock(&vectors->mutex);
}

/* ---- use ---- */

int pci_vectors_use(struct pci_vectors *vectors, unsigned vector)
{
	if (vector >= vectors->count)
		return -EINVAL;
	peal_mutex_lock(&vectors->mutex);
	/* The words first: while there are uses, they do not say that there are none. */
	change(vectors, vector, 0, PCI_VECTOR_UNUSED);
	change(vectors, vector % vectors->shared, 0, PCI_VECTOR_UNUSED);
	set_uses(vectors, vector, vectors->list[vector].uses + 1);
	peal_mutex_unlock(&vectors->mutex);
	return 0;
}

/* A pending bit that is shared goes with the last of those who share it. */
void pci_vectors_unuse(struct pci_vectors *vectors, unsigned vector)
{
	PEAL_ASSERT(vector < vectors->count);
	peal_mutex_lock(&vectors->mutex);
	PEAL_ASSERT(vectors->list[vector].uses > 0);
	set_uses(vectors, vector, vectors->list[vector].uses - 1);
	if (!in_use(vectors, vector))
		change(vectors, vector, PCI_VECTOR_UNUSED, PCI_VECTOR_PENDING);
	if (!in_use(vectors, vector % vectors->shared))
		change(vectors, vector % vectors->shared, PCI_VECTOR_UNUSED, PCI_VECTOR_PENDING);
	peal_mutex_unlock(&vectors->mutex);
}

void pci_vectors_unuse_all(struct pci_vectors *vectors)
{
	peal_mutex_lock(&vectors->mutex);
	for (unsigned i = 0; i < vectors->count; i++)
		set_uses(vectors, i, 0);
	change_all(vectors, PCI_VECTOR_UNUSED, PCI_VECTOR_PENDING);
	peal_mutex_unlock(&vectors->mutex);
}

/* ---- counters ---- */

static void add_counters(const struct pci_vectors *vectors, unsigned vector,
			 struct peal_msix_counters *sum)
{
	const struct pci_vector *v = &vectors->list[vector];
	const struct pci_vector_rare *rare = &vectors->rare[vector];

	sum->sent += peal_counted(&v->sent);
	sum->pended += peal_counted(&v->pended);
	sum->merged += peal_counted(&v->merged);
	sum->dropped += peal_counted(&rare->dropped);
	sum->refired += peal_counted(&rare->refired);
	sum->blocked += peal_counted(&rare->blocked);
	sum->failed += peal_counted(&rare->failed);
	sum->use_failed += peal_counted(&rare->use_failed);
}

void pci_vectors_counters(const struct pci_vectors *vectors, unsigned vector,
			  struct peal_msix_counters *ret)
{
	struct peal_msix_counters sum = { 0 };

	PEAL_ASSERT(vector == PEAL_MSIX_ALL || vector < vectors->count);
	for (unsigned i = 0; i < vectors->count; i++) {
		if (vector == PEAL_MSIX_ALL || vector == i)
			add_counters(vectors, i, &sum);
	}
	*ret = sum;
}
