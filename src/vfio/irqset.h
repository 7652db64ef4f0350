/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of an irqset: irqset.c has its life and the way in, the others an index each. */
#ifndef PEAL_SRC_VFIO_IRQSET_H
#define PEAL_SRC_VFIO_IRQSET_H

#include <peal/epoch.h>
#include <peal/vfio.h>

/* One cache line: a signal touches no other. */
struct irq_vector {
	void *trigger; /* read in a section of the epoch */
	uint64_t signalled;
	/* Under the mutex. */
	void *retired; /* a trigger that was taken away, not yet given back */
	bool allocated;
	bool bypassed;
} __attribute__((aligned(PEAL_CACHE_LINE)));

_Static_assert(sizeof(struct irq_vector) == PEAL_CACHE_LINE, "a vector is one cache line");

struct peal_irqset {
	struct peal_irqset_config config;
	struct peal_mutex mutex;
	struct peal_epoch epoch; /* who signals a trigger */
	struct irq_vector *list;
	struct irq_vector *vectors[PEAL_VFIO_IRQS]; /* parts of the list */
	unsigned total;
	/* Written under the mutex. */
	uint32_t active;
	uint32_t enabled; /* vectors that the active index was enabled with */
	void *watcher;

	uint32_t watcher_closed;
	uint32_t intx;     /* IRQ_INTX_ bits */
	uint32_t settling; /* who wants the line's mask looked at */
	uint64_t missed;
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

/* Signals the vector's trigger, if it has one. */
int irq_signal(struct peal_irqset *irqset, struct irq_vector *vector);

/* A trigger for FD in *RET; NULL for a negative one. */
int irq_trigger_get(struct peal_irqset *irqset, int fd, void **ret);

/* Puts TRIGGER (or NULL) in place of the vector's, which retires. */
void irq_trigger_swap(struct irq_vector *vector, void *trigger);

/* Gives back what retired in vectors [START, END) of INDEX, once nobody can signal it. */
void irq_retire(struct peal_irqset *irqset, unsigned index, uint32_t start, uint32_t end);

static inline void irq_set_active(struct peal_irqset *irqset, uint32_t index, uint32_t enabled)
{
	__atomic_store_n(&irqset->enabled, enabled, __ATOMIC_RELAXED);
	__atomic_store_n(&irqset->active, index, __ATOMIC_RELAXED);
}

#endif
