/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The INTx index: a level that masks itself when it is signalled. uapi linux/vfio.h,
 * VFIO_IRQ_INFO_AUTOMASKED; PCI Local Bus 3.0 §6.2.2 (Interrupt Disable).
 *
 * All that decides is in one word, and each change of it is one atomic step:
 *
 *   5       4       3      2         1         0
 *   ┌───────┬───────┬──────┬─────────┬─────────┬────────┐
 *   │ HELD  │ LINE  │MASKED│ VIRTUAL │ TRIGGER │ ACTIVE │
 *   └───────┴───────┴──────┴─────────┴─────────┴────────┘
 *
 * A step after which the line is asserted, active, with trigger, with neither mask set and not held,
 * sets MASKED in the same step, and who made it signals, once. So the line, UNMASK, the virtual mask
 * and the unmask watcher may come at the same time from different threads, and each unmask of a line
 * that is still asserted signals exactly once. MASKED is the user's mask and that of the last
 * signal; VIRTUAL is Command.InterruptDisable. HELD is a device that is stopped.
 *
 * TRIGGER is cleared before the trigger goes and set after it came: a line that is asserted
 * meanwhile is not taken for signalled, but signals when the next trigger comes.
 *
 * A host's line may be masked at the device (settle): after the step, by one thread at a time, the
 * last of which finds the last state.
 *
 * Modelled in tests/models/irqset.pml.
 */
#include "irqset.h"

#define ACTIVE  0x01u
#define TRIGGER 0x02u
#define VIRTUAL 0x04u
#define MASKED  0x08u
#define LINE    0x10u
#define HELD    0x20u

#define OPEN (ACTIVE | TRIGGER) /* of these and the masks: those are set, these are not */
#define GATE (ACTIVE | TRIGGER | VIRTUAL | MASKED | HELD)

static struct irq_vector *intx_vector(struct peal_irqset *irqset)
{
	return irqset->vectors[PEAL_VFIO_IRQ_INTX];
}

static uint32_t intx_state(const struct peal_irqset *irqset)
{
	return __atomic_load_n(&irqset->intx, __ATOMIC_SEQ_CST);
}

/* The mask at the device as the word says. Who finds somebody at it leaves it to him. */
static void settle(struct peal_irqset *irqset)
{
	const struct peal_irqset_config *c = &irqset->config;
	uint32_t wanted;

	if (!c->source->intx_mask ||
	    __atomic_fetch_add(&irqset->settling, 1, __ATOMIC_SEQ_CST) != 0)
		return;
	do {
		wanted = __atomic_load_n(&irqset->settling, __ATOMIC_SEQ_CST);
		c->source->intx_mask(c->source_user, (intx_state(irqset) & GATE) != OPEN);
	} while (__atomic_sub_fetch(&irqset->settling, wanted, __ATOMIC_SEQ_CST) != 0);
}

/*
 * The word S after a step, and in *TRIGGER what to signal then, or NULL. False: the trigger of S is
 * gone, so S is not the word any more.
 */
static bool step_from(struct peal_irqset *irqset, uint32_t *s, bool arrived, void **trigger)
{
	*trigger = NULL;
	if (!(*s & LINE || arrived) || (*s & GATE) != OPEN)
		return true;
	*s |= MASKED;
	*trigger = peal_epoch_load(&intx_vector(irqset)->trigger);
	return *trigger;
}

/* A step. ARRIVED: the line is asserted at this moment, whatever LINE says. */
static void step(struct peal_irqset *irqset, uint32_t set, uint32_t clear, bool arrived)
{
	struct irq_vector *vector = intx_vector(irqset);
	unsigned parity = irq_enter(irqset, vector);
	void *trigger;
	uint32_t s, to;

	do {
		s = intx_state(irqset);
		to = (s | set) & ~clear;
	} while (!step_from(irqset, &to, arrived, &trigger) ||
		 !__atomic_compare_exchange_n(&irqset->intx, &s, to, false, __ATOMIC_SEQ_CST,
					      __ATOMIC_SEQ_CST));
	if (trigger)
		(void)irq_signal_in(irqset, vector, trigger, parity);
	else
		irq_take_back(vector, parity);
	settle(irqset);
}

/* ---- the line ---- */

void peal_irqset_set_intx_line(struct peal_irqset *irqset, bool asserted)
{
	step(irqset, asserted ? LINE : 0, asserted ? 0 : LINE, false);
}

void peal_irqset_set_intx_disable(struct peal_irqset *irqset, bool disabled)
{
	step(irqset, disabled ? VIRTUAL : 0, disabled ? 0 : VIRTUAL, false);
}

/* Signals that began are out on return; who is in a step after it finds the line held. */
void irq_intx_hold(struct peal_irqset *irqset, bool held)
{
	step(irqset, held ? HELD : 0, held ? 0 : HELD, false);
	if (!held)
		return;
	peal_mutex_lock(&irqset->mutex);
	irq_wait(irqset, intx_vector(irqset));
	peal_mutex_unlock(&irqset->mutex);
}

/* One that comes although it is masked finds its mask set once more (settle). */
bool peal_irqset_intx_arrived(struct peal_irqset *irqset)
{
	const struct peal_irqset_config *c = &irqset->config;

	if (c->source->intx_asserted && !c->source->intx_asserted(c->source_user))
		return false;
	step(irqset, 0, 0, true);
	return true;
}

bool peal_irqset_intx_is_masked(const struct peal_irqset *irqset)
{
	return intx_state(irqset) & MASKED;
}

/* ---- the unmask watcher ---- */

static void watcher_fire(void *argument, bool closed)
{
	struct peal_irqset *irqset = argument;

	if (closed)
		__atomic_store_n(&irqset->watcher_closed, true, __ATOMIC_RELEASE);
	else
		step(irqset, 0, MASKED, false);
}

static void watcher_remove(struct peal_irqset *irqset)
{
	const struct peal_irqset_config *c = &irqset->config;

	if (!irqset->watcher)
		return;
	c->triggers->unwatch(c->triggers_user, irqset->watcher);
	irqset->watcher = NULL;
}

/* The descriptor is looked at first. */
static int watcher_busy(struct peal_irqset *irqset, int fd)
{
	const struct peal_irqset_config *c = &irqset->config;
	void *trigger;
	int r = c->triggers->get(c->triggers_user, fd, &trigger);

	if (r < 0)
		return r;
	c->triggers->put(c->triggers_user, trigger);
	return -EBUSY;
}

static int watcher_install(struct peal_irqset *irqset, int fd)
{
	const struct peal_irqset_config *c = &irqset->config;

	if (!c->triggers->watch)
		return -ENOTSUP;
	/* One whose descriptor was closed makes room. */
	if (__atomic_load_n(&irqset->watcher_closed, __ATOMIC_ACQUIRE))
		watcher_remove(irqset);
	if (irqset->watcher)
		return watcher_busy(irqset, fd);
	__atomic_store_n(&irqset->watcher_closed, false, __ATOMIC_RELEASE);
	return c->triggers->watch(c->triggers_user, fd, watcher_fire, irqset, &irqset->watcher);
}

/* ---- actions ---- */

static bool is_active(const struct peal_irqset *irqset)
{
	return irqset->active == PEAL_VFIO_IRQ_INTX;
}

/* MASK and UNMASK take exactly the one there is. */
static bool is_for_active(const struct peal_irqset *irqset, const struct irq_block *block)
{
	return is_active(irqset) && block->start == 0 && block->count == 1;
}

int irq_intx_mask(struct peal_irqset *irqset, const struct irq_block *block)
{
	if (!is_for_active(irqset, block))
		return -EINVAL;
	if (block->data == PEAL_VFIO_DATA_EVENTFD)
		return -ENOTTY;
	if (irq_block_bool(block, 0))
		step(irqset, MASKED, 0, false);
	return 0;
}

int irq_intx_unmask(struct peal_irqset *irqset, const struct irq_block *block)
{
	if (!is_for_active(irqset, block))
		return -EINVAL;
	if (block->data == PEAL_VFIO_DATA_EVENTFD) {
		int fd = irq_block_fd(block, 0);

		if (fd >= 0)
			return watcher_install(irqset, fd);
		watcher_remove(irqset);
		return 0;
	}
	if (irq_block_bool(block, 0))
		step(irqset, 0, MASKED, false);
	return 0;
}

static int enable(struct peal_irqset *irqset, void *trigger)
{
	const struct peal_irqset_config *c = &irqset->config;
	int r = c->source->enable(c->source_user, PEAL_VFIO_IRQ_INTX, 1);

	if (r != 0)
		return r;
	irq_set_active(irqset, PEAL_VFIO_IRQ_INTX, 1);
	irq_trigger_swap(intx_vector(irqset), trigger);
	step(irqset, ACTIVE | (trigger ? TRIGGER : 0), MASKED, false);
	return 0;
}

static void replace(struct peal_irqset *irqset, void *trigger)
{
	if (!trigger)
		step(irqset, 0, TRIGGER, false);
	irq_trigger_swap(intx_vector(irqset), trigger);
	if (trigger)
		step(irqset, TRIGGER, 0, false);
	irq_retire(irqset, PEAL_VFIO_IRQ_INTX, 0, 1);
}

void irq_intx_disable(struct peal_irqset *irqset)
{
	const struct peal_irqset_config *c = &irqset->config;

	watcher_remove(irqset);
	replace(irqset, NULL);
	step(irqset, 0, ACTIVE | MASKED, false);
	c->source->disable(c->source_user, PEAL_VFIO_IRQ_INTX);
	irq_set_active(irqset, PEAL_VFIO_IRQ_NONE, 0);
}

/* Loopback: as the device's interrupt, whatever the user masked, but no interrupt to mask for. */
static int loopback(struct peal_irqset *irqset, const struct irq_block *block)
{
	if (!is_active(irqset))
		return -EINVAL;
	if (irq_block_bool(block, 0) && !(intx_state(irqset) & VIRTUAL))
		(void)irq_signal(irqset, intx_vector(irqset));
	return 0;
}

/* The descriptor is looked at first: one that is none changes nothing. */
static int set_trigger(struct peal_irqset *irqset, int fd)
{
	const struct peal_irqset_config *c = &irqset->config;
	void *trigger;
	int r = irq_trigger_get(irqset, fd, &trigger);

	if (r < 0)
		return r;
	if (is_active(irqset)) {
		replace(irqset, trigger);
		return 0;
	}
	r = enable(irqset, trigger);
	if (r != 0 && trigger)
		c->triggers->put(c->triggers_user, trigger);
	return r;
}

int irq_intx_trigger(struct peal_irqset *irqset, const struct irq_block *block)
{
	if (block->data == PEAL_VFIO_DATA_NONE && block->count == 0) {
		if (!is_active(irqset))
			return -EINVAL;
		irq_intx_disable(irqset);
		return 0;
	}
	if ((irqset->active != PEAL_VFIO_IRQ_NONE && !is_active(irqset)) || block->start != 0 ||
	    block->count != 1)
		return -EINVAL;
	if (block->data == PEAL_VFIO_DATA_EVENTFD)
		return set_trigger(irqset, irq_block_fd(block, 0));
	return loopback(irqset, block);
}
