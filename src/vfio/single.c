/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ERR and REQ indexes: one trigger each, which the host signals when the device is in error or
 * is wanted back. They are independent of the other indexes. uapi linux/vfio.h.
 *
 * Kernels of three generations answer differently. 4.6: ERR looks at neither start nor count, REQ
 * wants one; DATA_NONE always signals, set or not. 5.14 and 4.6: descriptors below -1 are nothing.
 */
#include "irqset.h"

static void set_trigger(struct peal_irqset *irqset, unsigned index, void *trigger)
{
	irq_trigger_swap(irqset->vectors[index], trigger);
	irq_retire(irqset, index, 0, 1);
}

static int set_fd(struct peal_irqset *irqset, unsigned index, int fd)
{
	void *trigger;
	int r;

	if (fd < -1)
		return irqset->config.compat == PEAL_IRQSET_LINUX_7_0 ? -EINVAL : 0;
	r = irq_trigger_get(irqset, fd, &trigger);
	if (r == 0)
		set_trigger(irqset, index, trigger);
	return r;
}

/* DATA_NONE without count takes the trigger away. */
static int bare(struct peal_irqset *irqset, unsigned index, bool signal)
{
	struct irq_vector *vector = irqset->vectors[index];

	if (!vector->trigger)
		return irqset->config.compat == PEAL_IRQSET_LINUX_4_6 ? 0 : -EINVAL;
	if (signal)
		(void)irq_signal(irqset, vector);
	else
		set_trigger(irqset, index, NULL);
	return 0;
}

int irq_single_trigger(struct peal_irqset *irqset, const struct irq_block *block)
{
	bool old = irqset->config.compat == PEAL_IRQSET_LINUX_4_6;

	/* Only 4.6 gets here with a range that was not checked. */
	if (!irqset->config.count[block->index])
		return -ENOTTY;
	if (old && block->index == PEAL_VFIO_IRQ_REQ && (block->start != 0 || block->count != 1))
		return -EINVAL;
	if (block->data == PEAL_VFIO_DATA_NONE)
		return bare(irqset, block->index, block->count || old);
	if (block->count == 0)
		return -EINVAL;
	if (block->data == PEAL_VFIO_DATA_EVENTFD)
		return set_fd(irqset, block->index, irq_block_fd(block, 0));
	if (irq_block_bool(block, 0))
		(void)irq_signal(irqset, irqset->vectors[block->index]);
	return 0;
}
