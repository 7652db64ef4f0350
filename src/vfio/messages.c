/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MSI and MSI-X indexes: as many vectors as the user wants, each with its trigger.
 * uapi linux/vfio.h, VFIO_DEVICE_SET_IRQS.
 *
 * A vector is open at its source exactly while it has a trigger: what is raised before pends there
 * and comes when the trigger does. A trigger is replaced in one step, so nothing is lost then.
 *
 * In the reverse order of setup: bypass, source, trigger; the vectors at last.
 */
#include "irqset.h"

/* ---- one vector ---- */

static void bypass_add(struct peal_irqset *irqset, unsigned index, uint32_t i)
{
	const struct peal_irqset_config *c = &irqset->config;
	struct irq_vector *vector = &irqset->vectors[index][i];

	if (!c->triggers->bypass_add)
		return;
	vector->bypassed = c->triggers->bypass_add(c->triggers_user, vector->trigger, index, i) ==
			   0;
	if (!vector->bypassed)
		peal_count(&irqset->bypass_refused, 1);
}

static void bypass_remove(struct peal_irqset *irqset, unsigned index, uint32_t i)
{
	const struct peal_irqset_config *c = &irqset->config;
	struct irq_vector *vector = &irqset->vectors[index][i];

	if (vector->bypassed && c->triggers->bypass_remove)
		c->triggers->bypass_remove(c->triggers_user, vector->trigger, index, i);
	vector->bypassed = false;
}

/* Its trigger retires. */
static void drop(struct peal_irqset *irqset, unsigned index, uint32_t i)
{
	const struct peal_irqset_config *c = &irqset->config;
	struct irq_vector *vector = &irqset->vectors[index][i];

	if (!vector->trigger)
		return;
	bypass_remove(irqset, index, i);
	c->source->close(c->source_user, index, i);
	irq_trigger_swap(vector, NULL);
}

/* Past those that the index was enabled with. */
static int allocate(struct peal_irqset *irqset, unsigned index, uint32_t i)
{
	const struct peal_irqset_config *c = &irqset->config;
	const unsigned dynamic = index == PEAL_VFIO_IRQ_MSIX ? PEAL_IRQSET_DYNAMIC
							     : PEAL_IRQSET_DYNAMIC_MSI;
	int r;

	if (irqset->vectors[index][i].allocated)
		return 0;
	if (!(c->flags & dynamic))
		return -EINVAL;
	r = c->source->allocate(c->source_user, index, i);
	if (r < 0)
		return r;
	irqset->vectors[index][i].allocated = true;
	/* The limit of Multiple Message Enable follows. */
	if (index == PEAL_VFIO_IRQ_MSI && i >= irqset->enabled)
		irq_set_active(irqset, index, i + 1);
	return 0;
}

/* The trigger that was there retires. */
static void put_trigger(struct peal_irqset *irqset, void *trigger)
{
	irqset->config.triggers->put(irqset->config.triggers_user, trigger);
}

static int set_vector(struct peal_irqset *irqset, unsigned index, uint32_t i, int fd)
{
	const struct peal_irqset_config *c = &irqset->config;
	struct irq_vector *vector = &irqset->vectors[index][i];
	bool was_open = vector->trigger;
	void *trigger;
	int r;

	if (fd < 0) {
		drop(irqset, index, i);
		return 0;
	}
	r = irq_trigger_get(irqset, fd, &trigger);
	if (r < 0)
		return r;
	r = allocate(irqset, index, i);
	if (r < 0) {
		put_trigger(irqset, trigger);
		return r;
	}
	bypass_remove(irqset, index, i);
	irq_trigger_swap(vector, trigger);
	r = was_open ? 0 : c->source->open(c->source_user, index, i);
	if (r < 0) {
		irq_trigger_swap(vector, NULL);
		return r;
	}
	bypass_add(irqset, index, i);
	return 0;
}

/* ---- a block ---- */

static void drop_range(struct peal_irqset *irqset, unsigned index, uint32_t start, uint32_t end)
{
	for (uint32_t i = end; i-- > start;)
		drop(irqset, index, i);
	irq_retire(irqset, index, start, end);
}

/* A block that fails at vector k leaves vectors start..k without trigger. */
static int set_block(struct peal_irqset *irqset, const struct irq_block *block)
{
	uint32_t done = 0;
	int r = 0;

	while (done < block->count && r == 0) {
		r = set_vector(irqset, block->index, block->start + done,
			       irq_block_fd(block, done));
		done++;
	}
	irq_retire(irqset, block->index, block->start, block->start + done);
	if (r < 0)
		drop_range(irqset, block->index, block->start, block->start + done);
	return r;
}

static bool decode(struct peal_irqset *irqset, bool on)
{
	const struct peal_irqset_config *c = &irqset->config;

	return c->source->decode ? c->source->decode(c->source_user, on) : on;
}

/* ---- the index ---- */

static void turn_off(struct peal_irqset *irqset)
{
	const struct peal_irqset_config *c = &irqset->config;
	unsigned index = irqset->active;

	drop_range(irqset, index, 0, c->count[index]);
	c->source->disable(c->source_user, index);
	for (uint32_t i = 0; i < c->count[index]; i++)
		irqset->vectors[index][i].allocated = false;
	irq_set_active(irqset, PEAL_VFIO_IRQ_NONE, 0);
}

void irq_messages_disable(struct peal_irqset *irqset)
{
	bool decoded = decode(irqset, true);

	turn_off(irqset);
	(void)decode(irqset, decoded);
}

static int turn_on(struct peal_irqset *irqset, const struct irq_block *block)
{
	const struct peal_irqset_config *c = &irqset->config;
	uint32_t vectors = block->start + block->count;
	int r = c->source->enable(c->source_user, block->index, vectors);

	PEAL_ASSERT(r < 0 || (uint32_t)r < vectors);
	if (r != 0)
		return r;
	for (uint32_t i = 0; i < vectors; i++)
		irqset->vectors[block->index][i].allocated = true;
	irq_set_active(irqset, block->index, vectors);
	r = set_block(irqset, block);
	if (r < 0)
		turn_off(irqset);
	return r;
}

/* Older kernels looked at the whole block before its first vector. */
static bool is_allocated(const struct peal_irqset *irqset, const struct irq_block *block)
{
	return block->start < irqset->enabled && block->start + block->count <= irqset->enabled;
}

static int set_triggers(struct peal_irqset *irqset, const struct irq_block *block)
{
	bool active = irqset->active == block->index, decoded;
	int r;

	if (active && irqset->config.compat != PEAL_IRQSET_LINUX_7_0 &&
	    !is_allocated(irqset, block))
		return -EINVAL;
	if (!active && block->start + block->count == 0)
		return -ERANGE;
	decoded = decode(irqset, true);
	r = active ? set_block(irqset, block) : turn_on(irqset, block);
	(void)decode(irqset, decoded);
	return r;
}

/*
 * The block's vectors as if they were raised. Its range is not checked in the way of 4.6: the sum
 * wraps there, and then there is nothing between start and end.
 */
static int loopback(struct peal_irqset *irqset, const struct irq_block *block)
{
	uint32_t end = block->start + block->count;

	if (irqset->active != block->index)
		return -EINVAL;
	if (irqset->config.compat != PEAL_IRQSET_LINUX_7_0 && end > irqset->enabled)
		return -EINVAL;
	for (uint32_t i = block->start; i < end; i++) {
		if (irq_block_bool(block, i - block->start))
			(void)irq_signal(irqset, &irqset->vectors[block->index][i]);
	}
	return 0;
}

int irq_messages_trigger(struct peal_irqset *irqset, const struct irq_block *block)
{
	bool active = irqset->active == block->index;

	if (!active && irqset->active != PEAL_VFIO_IRQ_NONE)
		return -EINVAL;
	if (block->data == PEAL_VFIO_DATA_EVENTFD)
		return set_triggers(irqset, block);
	if (block->data == PEAL_VFIO_DATA_BOOL || block->count)
		return loopback(irqset, block);
	if (!active)
		return -EINVAL;
	irq_messages_disable(irqset);
	return 0;
}
