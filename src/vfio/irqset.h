/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of an irqset: irqset.c has its life and the way in, the others an index each. */
#ifndef PEAL_SRC_VFIO_IRQSET_H
#define PEAL_SRC_VFIO_IRQSET_H

#include <peal/epoch.h>
#include <peal/vfio.h>

/*
 * One cache line: a signal touches no other. Its sections are those of an epoch (<peal/epoch.h>) whose
 * slots are the vectors, as who signals one writes to its line anyway; and what was signalled need
 * not be counted beside them: a section that signalled nothing takes its entry back when it leaves.
 */
struct irq_vector {
	void *trigger;  /* read in a section */
	uint64_t in[2]; /* sections by parity: those that signalled, and those that are in it now */
	uint64_t out[2]; /* those that signalled and left */
	uint64_t missed;
	/* Under the mutex. */
	void *retired; /* a trigger that was taken away, not yet given back */
	bool allocated;
	bool bypassed;
} __attribute__((aligned(PEAL_CACHE_LINE)));

_Static_assert(sizeof(struct irq_vector) == PEAL_CACHE_LINE, "a vector is one cache line");

struct peal_irqset {
	struct peal_irqset_config config;
	struct peal_mutex mutex;
	uint32_t parity; /* of new sections; written under the mutex */
	struct irq_vector *list;
	struct irq_vector *vectors[PEAL_VFIO_IRQS]; /* parts of the list */
	unsigned total; /* INTX has one in any case, for the sections of its line */
	/* Written under the mutex. */
	uint32_t active;
	uint32_t enabled; /* vectors that the active index was enabled with */
	void *watcher;

	uint32_t watcher_closed;
	uint32_t intx;     /* IRQ_INTX_ bits */
	uint32_t settling; /* who wants the line's mask looked at */
	uint64_t refused;
	uint64_t bypass_refused;
};

/*
 * A request that was checked. Descriptor and bool i belong to vector START + i; where the payload
 * does not reach, descriptors are -1.
 */
struct irq_block {
	unsigned index;
	uint32_t start;
	uint32_t count;
	uint32_t data; /* one of PEAL_VFIO_DATA_ */
	const uint8_t *bytes;
	const int *fds; /* beside the payload */
	bool message;   /* it came with descriptors beside the payload */
};

int irq_block_fd(const struct irq_block *block, uint32_t i);
/* NONE: true for every vector. */
bool irq_block_bool(const struct irq_block *block, uint32_t i);

typedef int irq_action_fn(struct peal_irqset *irqset, const struct irq_block *block);

irq_action_fn irq_intx_mask;
irq_action_fn irq_intx_unmask;
irq_action_fn irq_intx_trigger;
irq_action_fn irq_messages_trigger;
irq_action_fn irq_single_trigger;

/* They must be active. */
void irq_intx_disable(struct peal_irqset *irqset);
void irq_messages_disable(struct peal_irqset *irqset);

/*
 * A raise ends in a system call, and behind one returns are not predicted (mitigations of
 * speculation): each costs as much as all that is done here.
 */
#define IRQ_INLINE static inline __attribute__((always_inline))

/*
 * Enters a section of the vector, in which its trigger stays good. Who signals it leaves with that
 * (struct peal_trigger_ops), others take their entry back.
 */
IRQ_INLINE unsigned irq_enter(struct peal_irqset *irqset, struct irq_vector *vector)
{
	unsigned parity = __atomic_load_n(&irqset->parity, __ATOMIC_RELAXED) & 1;

	(void)__atomic_fetch_add(&vector->in[parity], 1, __ATOMIC_SEQ_CST);
	return parity;
}

IRQ_INLINE void irq_take_back(struct irq_vector *vector, unsigned parity)
{
	(void)__atomic_fetch_sub(&vector->in[parity], 1, __ATOMIC_RELEASE);
}

IRQ_INLINE int irq_signal_in(struct peal_irqset *irqset, struct irq_vector *vector, void *trigger,
			     unsigned parity)
{
	const struct peal_irqset_config *c = &irqset->config;

	return c->triggers->signal(c->triggers_user, trigger, &vector->out[parity]);
}

/* The vector's trigger, in a section that who signals it leaves; NULL, and in none: it has none. */
IRQ_INLINE void *irq_find(struct peal_irqset *irqset, struct irq_vector *vector, unsigned *parity)
{
	void *trigger;

	*parity = irq_enter(irqset, vector);
	trigger = peal_epoch_load(&vector->trigger);
	if (peal_unlikely(!trigger))
		irq_take_back(vector, *parity);
	return trigger;
}

/* Signals the vector's trigger, if it has one: 1 or 0. */
IRQ_INLINE int irq_signal(struct peal_irqset *irqset, struct irq_vector *vector)
{
	unsigned parity;
	void *trigger = irq_find(irqset, vector, &parity);

	return peal_likely(trigger) ? irq_signal_in(irqset, vector, trigger, parity) : 0;
}

/* A trigger for FD in *RET; NULL for a negative one. */
int irq_trigger_get(struct peal_irqset *irqset, int fd, void **ret);

/* Puts TRIGGER (or NULL) in place of the vector's, which retires. */
void irq_trigger_swap(struct irq_vector *vector, void *trigger);

/* Gives back what retired in vectors [START, END) of INDEX, once nobody can signal it. */
void irq_retire(struct peal_irqset *irqset, unsigned index, uint32_t start, uint32_t end);

/* Under the mutex: until everybody who is in a section of the vector has left it. */
void irq_wait(struct peal_irqset *irqset, const struct irq_vector *vector);

/* While it is held the line signals nothing; then as if it rose in that moment. In no section. */
void irq_intx_hold(struct peal_irqset *irqset, bool held);

static inline void irq_set_active(struct peal_irqset *irqset, uint32_t index, uint32_t enabled)
{
	__atomic_store_n(&irqset->enabled, enabled, __ATOMIC_RELAXED);
	__atomic_store_n(&irqset->active, index, __ATOMIC_RELAXED);
}

#endif
