/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PCI function of this process as a VFIO device; see <peal/vfio-function.h>.
 *
 * The function is plugged into a bus of its own, which has no windows: regions are accessed as they
 * are, whatever the decode bits say, as VFIO does. The irqset owns the function's vectors as long as
 * this lives; what is raised while their index is not enabled pends, as it does in hardware.
 *
 * The irqset's enabling turns on Enable in the capability, as the host of a physical device would,
 * and a reset that takes it away has it restored (the user is not told of it: the interrupts that
 * it enabled stay enabled). Only the user's own write turns it off.
 *
 * Lock order: the migration's mutex → that of the doorbells, or the irqset's → the mutex here
 * (configuration writes, resets) → the function's. With the latter two held, the irqset is only called
 * where it takes no lock.
 */
#include "function.h"

#include <peal/bits.h>

#include "../irqset.h"

#define PCI_COMMAND              0x04u
#define PCI_COMMAND_INTX_DISABLE 0x0400u
#define PCI_CAPABILITIES         0x34u
#define PCI_INTERRUPT_PIN        0x3du
#define PCI_CONVENTIONAL_SIZE    256u

#define CAP_MSI     0x05u
#define CAP_EXPRESS 0x10u
#define CAP_MSIX    0x11u

/* Message Control, PCIe 7.7.1.2 and 7.7.2.2. */
#define CONTROL_AT         2u
#define MSI_ENABLE         0x0001u
#define MSI_MULTIPLE_SHIFT 4u
#define MSI_MULTIPLE       0x0070u
#define MSIX_ENABLE        0x8000u

/* ---- Message Control, under the mutex ---- */

static uint16_t read_control(struct peal_vfio_function *vfio, unsigned index)
{
	return (uint16_t)peal_pci_config_read(vfio->function, vfio->control_at[index], 2);
}

/* Also Multiple Message Enable, which VFIO limits to what the index was enabled with. */
static void turn_on(struct peal_vfio_function *vfio)
{
	uint32_t control = read_control(vfio, vfio->active);

	if (vfio->active == PEAL_VFIO_IRQ_MSIX)
		control |= MSIX_ENABLE;
	else
		control = (control & ~MSI_MULTIPLE) | MSI_ENABLE |
			  vfio->multiple << MSI_MULTIPLE_SHIFT;
	peal_pci_config_write(vfio->function, vfio->control_at[vfio->active], 2, control);
	vfio->off = false;
}

static void turn_off(struct peal_vfio_function *vfio)
{
	const uint32_t enable = vfio->active == PEAL_VFIO_IRQ_MSIX ? MSIX_ENABLE : MSI_ENABLE;

	peal_pci_config_write(vfio->function, vfio->control_at[vfio->active], 2,
			      read_control(vfio, vfio->active) & ~enable);
}

static bool is_on(struct peal_vfio_function *vfio)
{
	return read_control(vfio, vfio->active) &
	       (vfio->active == PEAL_VFIO_IRQ_MSIX ? MSIX_ENABLE : MSI_ENABLE);
}

static bool touches(uint64_t offset, size_t size, uint32_t at, uint32_t width)
{
	return offset < at + width && at < offset + size;
}

/* After a write of the user, or with SIZE 0 a reset: what follows from the registers. */
static void settle(struct peal_vfio_function *vfio, uint64_t offset, size_t size)
{
	uint64_t command = peal_pci_config_read(vfio->function, PCI_COMMAND, 2);
	uint32_t at;

	peal_irqset_set_intx_disable(vfio->irqset, command & PCI_COMMAND_INTX_DISABLE);
	if (vfio->active == PEAL_VFIO_IRQ_NONE)
		return;
	at = vfio->control_at[vfio->active];
	if (touches(offset, size, at, 2) || is_on(vfio))
		vfio->off = !is_on(vfio);
	else if (!vfio->off)
		turn_on(vfio); /* not turned off by the user: this was a reset */
	if (vfio->active == PEAL_VFIO_IRQ_MSI &&
	    peal_field(read_control(vfio, PEAL_VFIO_IRQ_MSI), 6, 4) > vfio->multiple)
		peal_pci_config_write(vfio->function, at, 2,
				      (read_control(vfio, PEAL_VFIO_IRQ_MSI) & ~MSI_MULTIPLE) |
					      vfio->multiple << MSI_MULTIPLE_SHIFT);
}

/* ---- as the irqset's source ---- */

/* Multiple Message Enable for so many vectors. */
static unsigned multiple_of(unsigned count)
{
	return count > 1 ? 32u - (unsigned)__builtin_clz(count - 1) : 0;
}

static int source_enable(void *user, unsigned index, unsigned count)
{
	struct peal_vfio_function *vfio = user;

	if (index == PEAL_VFIO_IRQ_INTX)
		return 0;
	peal_mutex_lock(&vfio->mutex);
	vfio->active = index;
	vfio->multiple = multiple_of(count);
	/* The masks that came with a state whose user had it enabled are those of this user. */
	if (index == PEAL_VFIO_IRQ_MSIX && !vfio->keep_masks)
		peal_msix_forget_masks(peal_pci_function_msix(vfio->function));
	vfio->keep_masks = false;
	turn_on(vfio);
	peal_mutex_unlock(&vfio->mutex);
	return 0;
}

static void source_disable(void *user, unsigned index)
{
	struct peal_vfio_function *vfio = user;

	if (index == PEAL_VFIO_IRQ_INTX)
		return;
	peal_mutex_lock(&vfio->mutex);
	turn_off(vfio);
	vfio->active = PEAL_VFIO_IRQ_NONE;
	peal_mutex_unlock(&vfio->mutex);
}

/* A device that is stopped has all vectors closed: what is raised pends until it starts. */
static void set_open(struct peal_vfio_function *vfio, unsigned index, unsigned vector, bool open)
{
	peal_mutex_lock(&vfio->mutex);
	vfio_function_set_wanted(vfio, index, vector, open);
	if (!open || !vfio->stopped)
		vfio_function_open(vfio, index, vector, open);
	peal_mutex_unlock(&vfio->mutex);
}

static int source_open(void *user, unsigned index, unsigned vector)
{
	set_open(user, index, vector, true);
	return 0;
}

static void source_close(void *user, unsigned index, unsigned vector)
{
	set_open(user, index, vector, false);
}

/*
 * All vectors are there from the start; of MSI only as many as are enabled are sent. What the user
 * turned off stays off.
 */
static int source_allocate(void *user, unsigned index, unsigned vector)
{
	struct peal_vfio_function *vfio = user;
	unsigned multiple = multiple_of(vector + 1);

	if (index != PEAL_VFIO_IRQ_MSI)
		return 0;
	peal_mutex_lock(&vfio->mutex);
	if (multiple > vfio->multiple) {
		vfio->multiple = multiple;
		if (!vfio->off)
			turn_on(vfio);
	}
	peal_mutex_unlock(&vfio->mutex);
	return 0;
}

static const struct peal_irq_source_ops source_ops = {
	.enable = source_enable,
	.disable = source_disable,
	.allocate = source_allocate,
	.open = source_open,
	.close = source_close,
};

/* ---- as owner of the vectors, and as the bus ---- */

/*
 * A raise that was past the mask when the vector was closed finds no trigger: it pends, and comes
 * with the next one. A vector that is open has a trigger, so this does not turn for long. Modelled in
 * tests/models/owner-close.pml.
 */
static __attribute__((noinline)) int deliver_late(struct peal_vfio_function *vfio, unsigned index,
						  unsigned vector)
{
	struct irq_vector *v = &vfio->irqset->vectors[index][vector];
	unsigned parity;
	void *trigger;

	do {
		int r = index == PEAL_VFIO_IRQ_MSIX
				? peal_msix_pend(peal_pci_function_msix(vfio->function), vector)
				: peal_msi_pend(peal_pci_function_msi(vfio->function), vector);

		if (r <= 0)
			return r;
		trigger = irq_find(vfio->irqset, v, &parity);
	} while (!trigger);
	return irq_signal_in(vfio->irqset, v, trigger, parity);
}

/* Signalling is a jump, see struct peal_trigger_ops. */
IRQ_INLINE int deliver(struct peal_vfio_function *vfio, unsigned index, unsigned vector)
{
	struct irq_vector *v = &vfio->irqset->vectors[index][vector];
	unsigned parity;
	void *trigger = irq_find(vfio->irqset, v, &parity);

	return peal_likely(trigger) ? irq_signal_in(vfio->irqset, v, trigger, parity)
				    : deliver_late(vfio, index, vector);
}

static int deliver_msix(void *user, unsigned vector)
{
	return deliver(user, PEAL_VFIO_IRQ_MSIX, vector);
}

static int deliver_msi(void *user, unsigned vector)
{
	return deliver(user, PEAL_VFIO_IRQ_MSI, vector);
}

static const struct peal_vector_owner msix_owner = { .deliver = deliver_msix };
static const struct peal_vector_owner msi_owner = { .deliver = deliver_msi };

/* Only before the vectors are owned and after. */
static int deliver_nowhere(void *user, const struct peal_msi_msg *msg)
{
	(void)user;
	(void)msg;
	return 0;
}

static const struct peal_msi_sink_ops no_sink = { .deliver = deliver_nowhere };

static void intx(void *user, unsigned pin, bool asserted)
{
	struct peal_vfio_function *vfio = user;

	(void)pin;
	peal_irqset_set_intx_line(vfio->irqset, asserted);
}

/* ---- regions ---- */

static uint64_t region_size(const struct peal_vfio_function *vfio, unsigned index)
{
	if (index == PEAL_VFIO_REGION_CONFIG)
		return vfio->config_size;
	return index < PEAL_PCI_BARS ? peal_pci_bar_size(vfio->function, index) : 0;
}

/* An access of a width that a bus has goes through as it is; others in natural pieces. */
static unsigned next_piece(uint64_t offset, size_t left)
{
	unsigned piece = 8;

	if (left <= 8 && peal_is_power_of_two(left))
		return (unsigned)left;
	while (piece > left || offset % piece)
		piece /= 2;
	return piece;
}

static uint64_t read_piece(struct peal_vfio_function *vfio, unsigned index, uint64_t offset,
			   unsigned size)
{
	if (index == PEAL_VFIO_REGION_CONFIG)
		return peal_pci_config_read(vfio->function, (uint32_t)offset, size);
	return peal_pci_bar_read(vfio->function, index, offset, size);
}

static void write_piece(struct peal_vfio_function *vfio, unsigned index, uint64_t offset,
			unsigned size, uint64_t value)
{
	if (index != PEAL_VFIO_REGION_CONFIG) {
		peal_pci_bar_write(vfio->function, index, offset, size, value);
		return;
	}
	peal_mutex_lock(&vfio->mutex);
	peal_pci_config_write(vfio->function, (uint32_t)offset, size, value);
	settle(vfio, offset, size);
	peal_mutex_unlock(&vfio->mutex);
}

static int region_read(struct peal_vfio_device *device, unsigned index, uint64_t offset,
		       void *bytes, size_t size)
{
	struct peal_vfio_function *vfio = vfio_of(device);
	uint8_t *to = bytes;

	if (!peal_in_range(offset, size, region_size(vfio, index)))
		return -EINVAL;
	while (size) {
		unsigned piece = next_piece(offset, size);

		peal_store_le(to, piece, read_piece(vfio, index, offset, piece));
		to += piece;
		offset += piece;
		size -= piece;
	}
	return 0;
}

static int region_write(struct peal_vfio_device *device, unsigned index, uint64_t offset,
			const void *bytes, size_t size)
{
	struct peal_vfio_function *vfio = vfio_of(device);
	const uint8_t *from = bytes;

	if (!peal_in_range(offset, size, region_size(vfio, index)))
		return -EINVAL;
	while (size) {
		unsigned piece = next_piece(offset, size);

		write_piece(vfio, index, offset, piece, peal_load_le(from, piece));
		from += piece;
		offset += piece;
		size -= piece;
	}
	return 0;
}

static int region_info(struct peal_vfio_device *device, unsigned index,
		       struct peal_vfio_region_info *ret)
{
	struct peal_vfio_region_info info = { .size = 0 };

	if (index >= PEAL_VFIO_REGIONS)
		return -EINVAL;
	info.size = region_size(vfio_of(device), index);
	info.flags = info.size ? PEAL_VFIO_REGION_READ | PEAL_VFIO_REGION_WRITE : 0;
	*ret = info;
	return 0;
}

/* ---- the rest of the device ---- */

static int get_info(struct peal_vfio_device *device, struct peal_vfio_device_info *ret)
{
	(void)device;
	*ret = (struct peal_vfio_device_info){
		.flags = PEAL_VFIO_DEVICE_RESET | PEAL_VFIO_DEVICE_PCI,
		.num_regions = PEAL_VFIO_REGIONS,
		.num_irqs = PEAL_VFIO_IRQS,
	};
	return 0;
}

static int irq_info(struct peal_vfio_device *device, unsigned index, struct peal_vfio_irq_info *ret)
{
	return peal_irqset_info(vfio_of(device)->irqset, index, ret);
}

static int set_irqs(struct peal_vfio_device *device, const struct peal_irqset_request *request,
		    const void *data, size_t size)
{
	return peal_irqset_set(vfio_of(device)->irqset, request, data, size);
}

static void reset_function(void *user)
{
	struct peal_vfio_function *vfio = user;

	vfio_function_io_reset(vfio);
	peal_mutex_lock(&vfio->mutex);
	peal_pci_function_reset(vfio->function);
	vfio->keep_masks = false;
	settle(vfio, 0, 0);
	peal_mutex_unlock(&vfio->mutex);
}

static int reset(struct peal_vfio_device *device)
{
	struct peal_vfio_function *vfio = vfio_of(device);

	vfio_migration_reset(&vfio->migration, reset_function);
	return 0;
}

int peal_vfio_function_load(struct peal_vfio_function *vfio, const void *bytes, size_t size)
{
	const struct peal_msix *msix = peal_pci_function_msix(vfio->function);
	int r;

	peal_mutex_lock(&vfio->mutex);
	r = peal_pci_function_load(vfio->function, bytes, size);
	if (r == 0 && vfio->active == PEAL_VFIO_IRQ_NONE)
		vfio->keep_masks = msix && peal_msix_is_enabled(msix);
	settle(vfio, 0, 0);
	peal_mutex_unlock(&vfio->mutex);
	return r;
}

static int dma_map(struct peal_vfio_device *device, const struct peal_vfio_dma *dma)
{
	const uint32_t both = PEAL_VFIO_DMA_READ | PEAL_VFIO_DMA_WRITE;

	_Static_assert(PEAL_VFIO_DMA_READ == PEAL_MEM_READ, "the same access");
	_Static_assert(PEAL_VFIO_DMA_WRITE == PEAL_MEM_WRITE, "the same access");
	if (!dma->memory || !(dma->flags & both) || dma->flags & ~both)
		return -EINVAL;
	return peal_space_map(vfio_of(device)->dma, dma->iova, dma->size, dma->memory, dma->flags);
}

static int dma_unmap(struct peal_vfio_device *device, uint64_t iova, uint64_t size)
{
	struct peal_vfio_function *vfio = vfio_of(device);
	int r = peal_space_unmap(vfio->dma, iova, size);

	if (r == 0)
		peal_space_sync(vfio->dma);
	return r;
}

static void device_free(struct peal_vfio_device *device)
{
	peal_vfio_function_free(vfio_of(device));
}

static const struct peal_vfio_device_ops device_ops = {
	.get_info = get_info,
	.region_info = region_info,
	.region_read = region_read,
	.region_write = region_write,
	.irq_info = irq_info,
	.set_irqs = set_irqs,
	.reset = reset,
	.dma_map = dma_map,
	.dma_unmap = dma_unmap,
	.free = device_free,
	.feature_probe = vfio_function_feature_probe,
	.migration_flags = vfio_function_migration_flags,
	.mig_get_state = vfio_function_mig_get_state,
	.mig_set_state = vfio_function_mig_set_state,
	.mig_read = vfio_function_mig_read,
	.mig_write = vfio_function_mig_write,
	.dma_log_start = vfio_function_dma_log_start,
	.dma_log_stop = vfio_function_dma_log_stop,
	.dma_log_report = vfio_function_dma_log_report,
	.io_fds = vfio_function_io_fds,
	.io_release = vfio_function_io_release,
};

/* ---- life ---- */

/* Position of a capability, 0: there is none. */
static uint32_t find_capability(struct peal_pci_function *function, unsigned id)
{
	uint32_t at = (uint32_t)peal_pci_config_read(function, PCI_CAPABILITIES, 1);

	for (unsigned i = 0; at && i < PCI_CONVENTIONAL_SIZE / 4; i++) {
		uint32_t header = (uint32_t)peal_pci_config_read(function, at, 2);

		if ((header & 0xff) == id)
			return at;
		at = header >> 8 & 0xfc;
	}
	return 0;
}

static int make_irqset(struct peal_vfio_function *vfio,
		       const struct peal_vfio_function_config *config)
{
	struct peal_pci_function *function = config->function;
	const struct peal_msix *msix = peal_pci_function_msix(function);
	const struct peal_msi *msi = peal_pci_function_msi(function);
	const struct peal_irqset_config c = {
		.host = config->host,
		.source = &source_ops,
		.source_user = vfio,
		.triggers = config->triggers,
		.triggers_user = config->triggers_user,
		.count = {
			[PEAL_VFIO_IRQ_INTX] = peal_pci_config_read(function, PCI_INTERRUPT_PIN, 1) != 0,
			[PEAL_VFIO_IRQ_MSI] = msi ? peal_msi_vectors(msi) : 0,
			[PEAL_VFIO_IRQ_MSIX] = msix ? peal_msix_vectors(msix) : 0,
			[PEAL_VFIO_IRQ_ERR] = find_capability(function, CAP_EXPRESS) != 0,
			[PEAL_VFIO_IRQ_REQ] = 1,
		},
		.flags = PEAL_IRQSET_DYNAMIC | PEAL_IRQSET_DYNAMIC_MSI,
		.compat = config->compat,
	};

	vfio->control_at[PEAL_VFIO_IRQ_MSI] = find_capability(function, CAP_MSI) + CONTROL_AT;
	vfio->control_at[PEAL_VFIO_IRQ_MSIX] = find_capability(function, CAP_MSIX) + CONTROL_AT;
	vfio->config_size = c.count[PEAL_VFIO_IRQ_ERR] ? PEAL_PCI_CONFIG_SIZE
						       : PCI_CONVENTIONAL_SIZE;
	return peal_irqset_new(&vfio->irqset, &c);
}

static int make_spaces(struct peal_vfio_function *vfio,
		       const struct peal_vfio_function_config *config)
{
	const struct peal_space_config space = {
		.host = config->host,
		.dirty = vfio_dma_log_write,
		.user = &vfio->log,
	};
	int r;

	vfio->own_dma = !config->dma;
	vfio->dma = config->dma;
	if (!vfio->own_dma)
		return 0;
	r = peal_space_new(&vfio->dma, &space);
	return r == 0 ? vfio_dma_log_init(&vfio->log, config->host, vfio->dma) : r;
}

static int make_bus(struct peal_vfio_function *vfio)
{
	const struct peal_pci_bus_config config = {
		.host = vfio->host,
		.memory = vfio->dma, /* without windows, nothing decodes there */
		.dma = vfio->dma,
		.sink = { .ops = &no_sink },
		.intx = intx,
		.intx_user = vfio,
	};
	int r = peal_pci_bus_new(&vfio->bus, &config);

	if (r < 0)
		return r;
	r = peal_pci_bus_plug(vfio->bus, 0, vfio->function);
	vfio->plugged = r == 0;
	return r;
}

static int own_vectors(struct peal_vfio_function *vfio)
{
	struct peal_msix *msix = peal_pci_function_msix(vfio->function);
	struct peal_msi *msi = peal_pci_function_msi(vfio->function);
	int r = 0;

	if (msix)
		r = peal_msix_set_owner(msix, &msix_owner, vfio);
	vfio->owns_msix = msix && r == 0;
	if (r == 0 && msi) {
		r = peal_msi_set_owner(msi, &msi_owner, vfio);
		vfio->owns_msi = r == 0;
	}
	return r;
}

int peal_vfio_function_new(struct peal_vfio_function **ret,
			   const struct peal_vfio_function_config *config)
{
	struct peal_vfio_function *vfio = peal_alloc(config->host, sizeof(*vfio));
	int r;

	if (!vfio)
		return -ENOMEM;
	vfio->device.ops = &device_ops;
	vfio->host = config->host;
	vfio->function = config->function;
	vfio->active = PEAL_VFIO_IRQ_NONE;
	vfio->triggers = config->triggers;
	vfio->triggers_user = config->triggers_user;
	vfio->ops = peal_pci_function_device_ops(config->function, &vfio->user);
	r = peal_mutex_init(&vfio->mutex, config->host);
	if (r == 0)
		r = vfio_function_migration_init(vfio);
	if (r == 0)
		r = make_spaces(vfio, config);
	if (r == 0)
		r = make_irqset(vfio, config);
	if (r == 0)
		r = make_bus(vfio);
	if (r == 0)
		r = own_vectors(vfio);
	if (r < 0) {
		peal_vfio_function_free(vfio);
		return r;
	}
	settle(vfio, 0, 0);
	*ret = vfio;
	return 0;
}

void peal_vfio_function_free(struct peal_vfio_function *vfio)
{
	if (!vfio)
		return;
	vfio_function_io_release(&vfio->device);
	if (vfio->irqset)
		peal_irqset_disable(vfio->irqset);
	if (vfio->owns_msi)
		(void)peal_msi_set_owner(peal_pci_function_msi(vfio->function), NULL, NULL);
	if (vfio->owns_msix)
		(void)peal_msix_set_owner(peal_pci_function_msix(vfio->function), NULL, NULL);
	if (vfio->plugged)
		peal_pci_bus_unplug(vfio->bus, vfio->function);
	if (vfio->stopped)
		vfio->ops->state->stop(vfio->user, false);
	peal_pci_bus_free(vfio->bus);
	peal_irqset_free(vfio->irqset);
	vfio_dma_log_done(&vfio->log);
	if (vfio->own_dma)
		peal_space_free(vfio->dma);
	vfio_migration_done(&vfio->migration);
	peal_mutex_done(&vfio->io.mutex);
	peal_mutex_done(&vfio->mutex);
	peal_free(vfio->host, vfio, sizeof(*vfio));
}

struct peal_vfio_device *peal_vfio_function_device(struct peal_vfio_function *vfio)
{
	return &vfio->device;
}

struct peal_irqset *peal_vfio_function_irqset(struct peal_vfio_function *vfio)
{
	return vfio->irqset;
}

struct peal_space *peal_vfio_function_dma(struct peal_vfio_function *vfio)
{
	return vfio->dma;
}
