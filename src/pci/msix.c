/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI-X. PCI Local Bus 3.0 §6.8.2; PCI Express Base 6.0 §7.7.2.
 *
 * All that decides what a raise does is in one word per vector, and each change of it is one
 * atomic step, so raise, mask, unmask, function mask, enable and the bus master gate have an order:
 *
 *   31                    8  5       4     3       2        1         0
 *   ┌──────────────────────┬──┬──────┬───────┬────────┬──────────┬──────┐
 *   │ version of message   │  │UNUSED│NO_BUS │ SELECT │ FUNCTION │ MASK │ + PENDING
 *   └──────────────────────┴──┴──────┴───────┴────────┴──────────┴──────┘
 *
 * MASK is the Mask bit of the entry; FUNCTION says that Function Mask is set or MSI-X is off;
 * SELECT names which of two copies of address and data is the message; a change of the message
 * writes the other copy and then flips SELECT and advances the version in one step, so a raise
 * that read a torn copy sees another word and looks again.
 *
 * Invariants: PENDING only while MASK or FUNCTION is set; whoever clears PENDING in a step that
 * leaves the vector unmasked sends the message, exactly once. A raise that finds PENDING set still
 * makes an atomic step on the word: what its device wrote before is then seen by who clears it.
 * Modelled in tests/models/msix.pml.
 *
 * Everything but raising runs under the mutex.
 */
#include "msix.h"

#define STATE_MASK     0x01u
#define STATE_FUNCTION 0x02u
#define STATE_SELECT   0x04u
#define STATE_NO_BUS   0x08u
#define STATE_UNUSED   0x10u
#define STATE_PENDING  0x20u
#define STATE_VERSION  0x100u

#define STATE_MASKED (STATE_MASK | STATE_FUNCTION)
#define STATE_SLOW   (STATE_MASKED | STATE_NO_BUS | STATE_UNUSED)

/* ---- raising ---- */

/* The sink's answer, seldom anything but 1. */
static int __attribute__((noinline))
count_answer(struct peal_msix *msix, unsigned vector, int answer)
{
	if (answer == 0)
		peal_count(&msix->rare[vector].blocked, 1);
	if (answer < 0)
		peal_count(&msix->rare[vector].failed, 1);
	return answer;
}

static inline int send(struct peal_msix *msix, unsigned vector, const struct peal_msi_msg *msg)
{
	int answer;

	peal_count(&msix->vectors[vector].sent, 1);
	answer = peal_msi_deliver(&msix->sink, msg);
	return peal_likely(answer > 0) ? answer : count_answer(msix, vector, answer);
}

/*
 * A vector whose word S is masked, unused or without bus. True: the raise is done. False: the word
 * was changed meanwhile; look again.
 */
static bool __attribute__((noinline))
raise_slow(struct peal_msix *msix, unsigned vector, uint32_t s)
{
	struct msix_vector *v = &msix->vectors[vector];

	if (s & STATE_UNUSED)
		return true;
	if (s & STATE_MASKED) {
		if (!__atomic_compare_exchange_n(&v->state, &s, s | STATE_PENDING, false,
						 __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
			return false;
		peal_count(s & STATE_PENDING ? &v->merged : &v->pended, 1);
		return true;
	}
	peal_count(&msix->rare[vector].dropped, 1);
	return true;
}

int peal_msix_notify(struct peal_msix *msix, unsigned vector)
{
	struct peal_msi_msg msg;
	struct msix_vector *v;

	if (peal_unlikely(vector >= msix->count))
		return 0;
	v = &msix->vectors[vector];
	for (;;) {
		uint32_t s = __atomic_load_n(&v->state, __ATOMIC_ACQUIRE);
		unsigned select = s / STATE_SELECT & 1;

		if (peal_unlikely(s & STATE_SLOW)) {
			if (raise_slow(msix, vector, s))
				return 0;
			continue;
		}
		msg.address = __atomic_load_n(&v->address[select], __ATOMIC_ACQUIRE);
		msg.data = __atomic_load_n(&v->data[select], __ATOMIC_ACQUIRE);
		if (peal_likely(__atomic_load_n(&v->state, __ATOMIC_RELAXED) == s))
			break;
	}
	msg.requester_id = msix->requester_id;
	return send(msix, vector, &msg);
}

/* ---- changes, under the mutex ---- */

struct peal_msi_msg peal_msix_message(const struct peal_msix *msix, unsigned vector)
{
	const struct msix_vector *v = &msix->vectors[vector];
	struct peal_msi_msg msg;
	uint32_t s;

	PEAL_ASSERT(vector < msix->count);
	do {
		s = __atomic_load_n(&v->state, __ATOMIC_ACQUIRE);
		msg.address = __atomic_load_n(&v->address[s / STATE_SELECT & 1], __ATOMIC_ACQUIRE);
		msg.data = __atomic_load_n(&v->data[s / STATE_SELECT & 1], __ATOMIC_ACQUIRE);
	} while (__atomic_load_n(&v->state, __ATOMIC_RELAXED) != s);
	msg.requester_id = __atomic_load_n(&msix->requester_id, __ATOMIC_RELAXED);
	return msg;
}

/* One step of the word; a step that unmasks a pending vector sends its message. */
static void change(struct peal_msix *msix, unsigned vector, uint32_t set, uint32_t clear)
{
	struct msix_vector *v = &msix->vectors[vector];
	uint32_t s = __atomic_load_n(&v->state, __ATOMIC_RELAXED), to;
	struct peal_msi_msg msg;
	bool fire;

	do {
		to = (s | set) & ~clear;
		fire = to & STATE_PENDING && !(to & STATE_MASKED);
		if (fire)
			to &= ~STATE_PENDING;
	} while (!__atomic_compare_exchange_n(&v->state, &s, to, false, __ATOMIC_SEQ_CST,
					      __ATOMIC_RELAXED));
	if (!fire)
		return;
	peal_count(&msix->rare[vector].refired, 1);
	if (to & STATE_NO_BUS) {
		peal_count(&msix->rare[vector].dropped, 1);
		return;
	}
	msg = peal_msix_message(msix, vector);
	(void)send(msix, vector, &msg);
}

static void change_all(struct peal_msix *msix, uint32_t set, uint32_t clear)
{
	for (unsigned i = 0; i < msix->count; i++)
		change(msix, i, set, clear);
}

void msix_set_message(struct peal_msix *msix, unsigned vector, uint64_t address, uint32_t data)
{
	struct msix_vector *v = &msix->vectors[vector];
	uint32_t s = __atomic_load_n(&v->state, __ATOMIC_RELAXED);
	unsigned other = (s / STATE_SELECT & 1) ^ 1;

	/* Release: whoever reads a half of the new message also sees the word of the change before
	 * this one, and so looks again. */
	__atomic_store_n(&v->address[other], address, __ATOMIC_RELEASE);
	__atomic_store_n(&v->data[other], data, __ATOMIC_RELEASE);
	while (!__atomic_compare_exchange_n(&v->state, &s, (s ^ STATE_SELECT) + STATE_VERSION,
					    false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
}

void msix_set_mask(struct peal_msix *msix, unsigned vector, bool mask)
{
	change(msix, vector, mask ? STATE_MASK : 0, mask ? 0 : STATE_MASK);
}

/* Function Mask and Enable are one bit of the words. */
void msix_set_control(struct peal_msix *msix, bool enable, bool function_mask)
{
	bool off = !enable || function_mask;

	peal_mutex_lock(&msix->mutex);
	__atomic_store_n(&msix->enabled, enable, __ATOMIC_RELAXED);
	change_all(msix, off ? STATE_FUNCTION : 0, off ? 0 : STATE_FUNCTION);
	peal_mutex_unlock(&msix->mutex);
}

/* ---- life ---- */

void msix_init_vectors(struct peal_msix *msix)
{
	for (unsigned i = 0; i < msix->count; i++)
		msix->vectors[i].state = STATE_UNUSED | STATE_NO_BUS;
}

void pci_msix_connect(struct peal_msix *msix, const struct peal_msi_sink *sink,
		      uint32_t requester_id)
{
	/* Nobody sends: NO_BUS is in every word. */
	PEAL_ASSERT(!msix->bus_master);
	msix->sink = *sink;
	__atomic_store_n(&msix->requester_id, requester_id, __ATOMIC_RELAXED);
}

void pci_msix_set_bus_master(struct peal_msix *msix, bool enabled)
{
	peal_mutex_lock(&msix->mutex);
	if (msix->bus_master != enabled)
		change_all(msix, enabled ? 0 : STATE_NO_BUS, enabled ? STATE_NO_BUS : 0);
	msix->bus_master = enabled;
	peal_mutex_unlock(&msix->mutex);
}

/*
 * Masked first, then the pending bit goes: a raise in between pends into what is cleared next. The
 * uses are the device's, not the guest's, and stay.
 */
void pci_msix_reset(struct peal_msix *msix)
{
	peal_mutex_lock(&msix->mutex);
	__atomic_store_n(&msix->enabled, false, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < msix->count; i++) {
		struct msix_vector *v = &msix->vectors[i];

		v->control = ENTRY_CONTROL_MASK;
		change(msix, i, STATE_MASKED, 0);
		change(msix, i, 0, STATE_PENDING);
		msix_set_message(msix, i, 0, 0);
	}
	peal_mutex_unlock(&msix->mutex);
}

void pci_msix_clear_pending(struct peal_msix *msix)
{
	peal_mutex_lock(&msix->mutex);
	change_all(msix, 0, STATE_PENDING);
	peal_mutex_unlock(&msix->mutex);
}

/* ---- use ---- */

int peal_msix_use(struct peal_msix *msix, unsigned vector)
{
	if (vector >= msix->count)
		return -EINVAL;
	peal_mutex_lock(&msix->mutex);
	if (msix->vectors[vector].uses++ == 0)
		change(msix, vector, 0, STATE_UNUSED);
	peal_mutex_unlock(&msix->mutex);
	return 0;
}

void peal_msix_unuse(struct peal_msix *msix, unsigned vector)
{
	PEAL_ASSERT(vector < msix->count);
	peal_mutex_lock(&msix->mutex);
	PEAL_ASSERT(msix->vectors[vector].uses > 0);
	if (--msix->vectors[vector].uses == 0)
		change(msix, vector, STATE_UNUSED, STATE_PENDING);
	peal_mutex_unlock(&msix->mutex);
}

void peal_msix_unuse_all(struct peal_msix *msix)
{
	peal_mutex_lock(&msix->mutex);
	for (unsigned i = 0; i < msix->count; i++)
		msix->vectors[i].uses = 0;
	change_all(msix, STATE_UNUSED, STATE_PENDING);
	peal_mutex_unlock(&msix->mutex);
}

/* ---- looking ---- */

unsigned peal_msix_vectors(const struct peal_msix *msix)
{
	return msix->count;
}

bool peal_msix_is_enabled(const struct peal_msix *msix)
{
	return __atomic_load_n(&msix->enabled, __ATOMIC_RELAXED);
}

static uint32_t state(const struct peal_msix *msix, unsigned vector)
{
	PEAL_ASSERT(vector < msix->count);
	return __atomic_load_n(&msix->vectors[vector].state, __ATOMIC_ACQUIRE);
}

bool peal_msix_is_masked(const struct peal_msix *msix, unsigned vector)
{
	return state(msix, vector) & STATE_MASKED;
}

bool peal_msix_is_pending(const struct peal_msix *msix, unsigned vector)
{
	return state(msix, vector) & STATE_PENDING;
}

static void add_counters(const struct peal_msix *msix, unsigned vector,
			 struct peal_msix_counters *sum)
{
	const struct msix_vector *v = &msix->vectors[vector];
	const struct msix_rare *rare = &msix->rare[vector];

	sum->sent += peal_counted(&v->sent);
	sum->pended += peal_counted(&v->pended);
	sum->merged += peal_counted(&v->merged);
	sum->dropped += peal_counted(&rare->dropped);
	sum->refired += peal_counted(&rare->refired);
	sum->blocked += peal_counted(&rare->blocked);
	sum->failed += peal_counted(&rare->failed);
}

void peal_msix_counters(const struct peal_msix *msix, unsigned vector,
			struct peal_msix_counters *ret)
{
	struct peal_msix_counters sum = { 0 };

	PEAL_ASSERT(vector == PEAL_MSIX_ALL || vector < msix->count);
	for (unsigned i = 0; i < msix->count; i++) {
		if (vector == PEAL_MSIX_ALL || vector == i)
			add_counters(msix, i, &sum);
	}
	*ret = sum;
}

uint64_t peal_msix_pba_writes(const struct peal_msix *msix)
{
	return peal_counted(&msix->pba_writes);
}
