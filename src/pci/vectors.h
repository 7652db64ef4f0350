/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vectors of a function, as MSI-X and MSI have them in common: raising, masking, pending bits,
 * who consumes them, and counting.
 */
#ifndef PEAL_SRC_PCI_VECTORS_H
#define PEAL_SRC_PCI_VECTORS_H

#include "function.h"

/* One cache line: a raise touches no other. */
struct pci_vector {
	uint32_t state;
	uint32_t control; /* the owner's: vector control of an MSI-X entry */
	uint64_t address[2];
	uint32_t data[2];
	uint32_t uses;
	uint32_t written; /* MSI-X under an owner: the guest wrote the table entry, its mask counts */
	uint64_t sent;
	uint64_t pended;
	uint64_t merged;
} __attribute__((aligned(PEAL_CACHE_LINE)));

_Static_assert(sizeof(struct pci_vector) == PEAL_CACHE_LINE, "a vector is one cache line");

/* Counters that a raise seldom touches. */
struct pci_vector_rare {
	uint64_t refired;
	uint64_t dropped;
	uint64_t blocked;
	uint64_t failed;
	uint64_t use_failed;
	bool held; /* by the consumer */
};

struct pci_vectors {
	struct pci_vector *list;
	struct pci_vector_rare *rare;
	const struct peal_msi_sink *sink; /* the bus's */
	uint32_t requester_id;
	uint32_t count;
	const struct peal_host *host;
	struct peal_mutex mutex; /* everything but raising */
	bool bus_master;
	bool off; /* PCI_VECTOR_OFF is in all words */
	const struct peal_vector_consumer *consumer;
	void *consumer_user;
	unsigned shared; /* vectors that differ by this are raised as one; the count: none are */
	unsigned batch;  /* brackets that are open */
	bool batch_told;
	const struct peal_vector_owner *owner;
	void *owner_user;
	uint32_t owners; /* that were set */
};

#define PCI_VECTOR_MASK    0x01u
#define PCI_VECTOR_OFF     0x02u
#define PCI_VECTOR_SELECT  0x04u
#define PCI_VECTOR_NO_BUS  0x08u
#define PCI_VECTOR_UNUSED  0x10u
#define PCI_VECTOR_PENDING 0x20u
#define PCI_VECTOR_CLOSED  0x40u
#define PCI_VECTOR_OWNED   0x80u
#define PCI_VECTOR_VERSION 0x100u

#define PCI_VECTOR_MASKED (PCI_VECTOR_MASK | PCI_VECTOR_OFF | PCI_VECTOR_CLOSED)
#define PCI_VECTOR_SLOW \
	(PCI_VECTOR_MASKED | PCI_VECTOR_NO_BUS | PCI_VECTOR_UNUSED | PCI_VECTOR_OWNED)

/* All masked, off, unused and without bus. -ENOMEM, or what the mutex said. */
int pci_vectors_init(struct pci_vectors *vectors, const struct peal_host *host, unsigned count);
/* Also of one that was zeroed and never made. */
void pci_vectors_done(struct pci_vectors *vectors);

/* Connects to a sink, while Bus Master is off. The last one stays until there is another. */
void pci_vectors_connect(struct pci_vectors *vectors, const struct peal_msi_sink *sink,
			 uint32_t requester_id);
/* The bus got another number. */
static inline void pci_vectors_set_requester(struct pci_vectors *vectors, uint32_t requester_id)
{
	__atomic_store_n(&vectors->requester_id, requester_id, __ATOMIC_RELAXED);
}

/* Takes the mutex. */
void pci_vectors_set_bus_master(struct pci_vectors *vectors, bool enabled);

/* The rest of a raise: neither of the bits of PCI_VECTOR_SLOW may be set for the fast way. */
int pci_vectors_raise_slow(struct pci_vectors *vectors, unsigned vector);
/* The same, and tells from all answers of a sink that the vector is not in use. */
#define PCI_VECTORS_NOBODY (-4096)
/* Likewise: its word is not the one any more. */
#define PCI_VECTORS_CHANGED (-4097)
int pci_vectors_raise_checked(struct pci_vectors *vectors, unsigned vector);
/* A raise that came to the owner, who had closed the vector: it pends (0), or is in no use (NOBODY).
 * 1: it is open again, and the owner's to deliver. */
int pci_vectors_pend(struct pci_vectors *vectors, unsigned vector, int nobody);
/* Clears the pending bit of a vector, whose raise is done again. False: it is not set any more. */
bool pci_vectors_take_pending(struct pci_vectors *vectors, unsigned vector);
int pci_vectors_count_answer(struct pci_vectors *vectors, unsigned vector, int answer);

/* The message that the word S selects. False: the word is not S any more, nor is the message. */
static inline bool pci_vectors_message_of(const struct pci_vectors *vectors,
					  const struct pci_vector *v, uint32_t s,
					  struct peal_msi_msg *msg)
{
	unsigned select = s / PCI_VECTOR_SELECT & 1;

	msg->address = __atomic_load_n(&v->address[select], __ATOMIC_ACQUIRE);
	msg->data = __atomic_load_n(&v->data[select], __ATOMIC_ACQUIRE);
	msg->requester_id = __atomic_load_n(&vectors->requester_id, __ATOMIC_RELAXED);
	return __atomic_load_n(&v->state, __ATOMIC_RELAXED) == s;
}

/* Gives the message of the word S, which has no bit of PCI_VECTOR_SLOW, to the sink. */
static inline int pci_vectors_send(struct pci_vectors *vectors, unsigned vector, uint32_t s)
{
	struct pci_vector *v = &vectors->list[vector];
	struct peal_msi_msg msg;
	int answer;

	if (peal_unlikely(!pci_vectors_message_of(vectors, v, s, &msg)))
		return PCI_VECTORS_CHANGED;
	peal_count(&v->sent, 1);
	answer = peal_msi_deliver(__atomic_load_n(&vectors->sink, __ATOMIC_ACQUIRE), &msg);
	return peal_likely(answer > 0) ? answer : pci_vectors_count_answer(vectors, vector, answer);
}

/* Raises VECTOR, which is below the count. */
static inline int pci_vectors_raise(struct pci_vectors *vectors, unsigned vector)
{
	uint32_t s = __atomic_load_n(&vectors->list[vector].state, __ATOMIC_ACQUIRE);
	int answer = PCI_VECTORS_CHANGED;

	if (peal_likely(!(s & PCI_VECTOR_SLOW)))
		answer = pci_vectors_send(vectors, vector, s);
	return peal_likely(answer != PCI_VECTORS_CHANGED) ? answer
							  : pci_vectors_raise_slow(vectors, vector);
}

/* ---- under the mutex ---- */

/* What VECTOR would send now. Also without the mutex. */
struct peal_msi_msg pci_vectors_message(const struct pci_vectors *vectors, unsigned vector);
void pci_vectors_set_message(struct pci_vectors *vectors, unsigned vector, uint64_t address,
			     uint32_t data);
void pci_vectors_set_mask(struct pci_vectors *vectors, unsigned vector, bool mask);
/* The owner's mask, beside the others. */
void pci_vectors_set_closed(struct pci_vectors *vectors, unsigned vector, bool closed);
/* NULL: nobody, and no vector is closed. */
void pci_vectors_set_owner(struct pci_vectors *vectors, const struct peal_vector_owner *owner,
			   void *user);
/* Masks or unmasks all at once, beside the mask of each. */
void pci_vectors_set_off(struct pci_vectors *vectors, bool off);
/* Masked, off, not pending, address and data 0; the uses are the device's and stay. */
void pci_vectors_reset(struct pci_vectors *vectors);
/* Sets and clears pending bits without sending, for loading and for what was pended by a device
 * that was being stopped. */
void pci_vectors_set_pending(struct pci_vectors *vectors, unsigned vector, bool pending);
void pci_vectors_clear_pending(struct pci_vectors *vectors);
/* For loading. */
void pci_vectors_set_uses(struct pci_vectors *vectors, unsigned vector, uint32_t uses);
/*
 * While all are off: vector SHARED and up are raised as vector modulo SHARED from now on. Those that
 * others are raised as are admitted before the first of these raises, and shared after the last of
 * before began.
 */
void pci_vectors_admit(struct pci_vectors *vectors, unsigned shared);
void pci_vectors_share(struct pci_vectors *vectors, unsigned shared);
/* The consumer may know of interrupts of vectors FIRST..END - 1 that were taken elsewhere. */
void pci_vectors_poll(struct pci_vectors *vectors, unsigned first, unsigned end);
/* Brackets changes for the consumer. */
void pci_vectors_begin(struct pci_vectors *vectors);
void pci_vectors_commit(struct pci_vectors *vectors);

/* ---- they take the mutex ---- */

int pci_vectors_set_consumer(struct pci_vectors *vectors,
			     const struct peal_vector_consumer *consumer, void *user);
int pci_vectors_use(struct pci_vectors *vectors, unsigned vector);
void pci_vectors_unuse(struct pci_vectors *vectors, unsigned vector);
void pci_vectors_unuse_all(struct pci_vectors *vectors);

/* ---- without it ---- */

/* Did the device declare it? The state's UNUSED knows of those that are raised as it, too. */
static inline bool pci_vectors_is_used(const struct pci_vectors *vectors, unsigned vector)
{
	PEAL_ASSERT(vector < vectors->count);
	return __atomic_load_n(&vectors->list[vector].uses, __ATOMIC_RELAXED) > 0;
}

static inline uint32_t pci_vectors_state(const struct pci_vectors *vectors, unsigned vector)
{
	PEAL_ASSERT(vector < vectors->count);
	return __atomic_load_n(&vectors->list[vector].state, __ATOMIC_ACQUIRE);
}

void pci_vectors_counters(const struct pci_vectors *vectors, unsigned vector,
			  struct peal_msix_counters *ret);

#endif
