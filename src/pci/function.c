/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PCI function: its configuration space and life cycle. PCI Local Bus 3.0 §6.1.
 *
 * The configuration space is a register bank over one image. A write changes registers under the
 * mutex and notes what follows from it (decode, bus mastering, reset); that is done after the mutex
 * is free, so the bus, the device and the sink may take locks of their own.
 */
#include "bridge.h"

int peal_pci_function_new(struct peal_pci_function **ret,
			  const struct peal_pci_function_config *config)
{
	return pci_function_new(ret, config, pci_header_rows, pci_header_nrows, 0);
}

int pci_function_new(struct peal_pci_function **ret, const struct peal_pci_function_config *config,
		     const struct peal_reg *rows, unsigned nrows, unsigned header_type)
{
	struct peal_pci_function *function;
	struct peal_reg_group header = {
		.size = PCI_HEADER_SIZE,
		.rows = rows,
		.nrows = nrows,
	};
	int r;

	if (config->class_code > 0xffffff || config->interrupt_pin > 4)
		return -EINVAL;
	function = peal_alloc(config->host, sizeof(*function));
	if (!function)
		return -ENOMEM;
	function->host = config->host;
	function->ops = config->ops;
	function->user = config->user;
	function->no_messages = config->no_messages;
	function->config_size = PCI_CONVENTIONAL_SIZE;
	for (unsigned i = 0; i < PEAL_PCI_BARS; i++) {
		function->bars[i].function = function;
		function->bars[i].index = i;
	}
	r = peal_mutex_init(&function->mutex, config->host);
	if (r == 0)
		r = peal_mutex_init(&function->intx.mutex, config->host);
	if (r < 0) {
		peal_mutex_done(&function->mutex);
		peal_free(config->host, function, sizeof(*function));
		return r;
	}
	header.state = function->image;
	header.owner = function;
	r = peal_reg_bank_add(&function->bank, &header);
	PEAL_ASSERT(r == 0); /* the first group of an empty bank */
	memcpy(function->defaults, function->image, PCI_HEADER_SIZE);
	pci_header_init(function, config, header_type);
	*ret = function;
	return 0;
}

void peal_pci_function_free(struct peal_pci_function *function)
{
	if (!function)
		return;
	PEAL_ASSERT(!function->bus);
	pci_msi_free(function->msi);
	pci_msix_free(function->msix);
	peal_mutex_done(&function->intx.mutex);
	peal_mutex_done(&function->mutex);
	peal_free(function->host, function, sizeof(*function));
}

uint64_t peal_pci_config_read(struct peal_pci_function *function, uint32_t offset, unsigned size)
{
	uint64_t value;

	PEAL_ASSERT(size >= 1 && size <= 8);
	if (!peal_in_range(offset, size, function->config_size)) {
		peal_count(&function->past_end, 1);
		return peal_ones(size);
	}
	peal_mutex_lock(&function->mutex);
	value = peal_reg_bank_read(&function->bank, offset, size);
	peal_mutex_unlock(&function->mutex);
	return value;
}

void peal_pci_config_write(struct peal_pci_function *function, uint32_t offset, unsigned size,
			   uint64_t value)
{
	unsigned deferred;

	PEAL_ASSERT(size >= 1 && size <= 8);
	if (!peal_in_range(offset, size, function->config_size)) {
		peal_count(&function->past_end, 1);
		return;
	}
	peal_mutex_lock(&function->mutex);
	peal_reg_bank_write(&function->bank, offset, size, value);
	deferred = function->deferred;
	function->deferred = 0;
	peal_mutex_unlock(&function->mutex);
	if (deferred)
		pci_function_settle(function, deferred);
}

void peal_pci_function_set_config(struct peal_pci_function *function, uint32_t offset,
				  unsigned size, uint64_t value)
{
	PEAL_ASSERT(size <= 8 && peal_in_range(offset, size, PEAL_PCI_CONFIG_SIZE));
	peal_mutex_lock(&function->mutex);
	peal_store_le(function->image + offset, size, value);
	peal_store_le(function->defaults + offset, size, value);
	peal_mutex_unlock(&function->mutex);
}

/* Recomputed from the registers, so two writers that settle in any order end up right. */
void pci_function_update_bus_master(struct peal_pci_function *function)
{
	bool enabled, was;

	peal_mutex_lock(&function->mutex);
	enabled = function->bus && pci_effective_command(function) & PCI_COMMAND_BUS_MASTER &&
		  pci_bus_forwards_masters(function->bus);
	was = __atomic_exchange_n(&function->bus_master, enabled, __ATOMIC_SEQ_CST);
	if (function->msix)
		pci_msix_set_bus_master(function->msix, enabled);
	if (function->msi)
		pci_msi_set_bus_master(function->msi, enabled);
	peal_mutex_unlock(&function->mutex);
	if (was != enabled && function->ops && function->ops->bus_master)
		function->ops->bus_master(function->user, enabled);
}

static void update_decode(struct peal_pci_function *function)
{
	struct peal_pci_bus *bus = __atomic_load_n(&function->bus, __ATOMIC_ACQUIRE);

	if (bus)
		pci_bus_update_decode(bus, function);
}

static void settle_bridge(struct peal_pci_function *function, unsigned deferred)
{
	if (deferred & (PCI_DEFERRED_BRIDGE | PCI_DEFERRED_DECODE | PCI_DEFERRED_BUS_MASTER))
		pci_bridge_update(function->bridge);
	if (deferred & PCI_DEFERRED_BUS_RESET)
		pci_bus_reset_functions(pci_bridge_secondary(function->bridge));
}

void pci_function_settle(struct peal_pci_function *function, unsigned deferred)
{
	/* Of both at once the one that keeps less. */
	if (deferred & (PCI_DEFERRED_RESET | PCI_DEFERRED_FLR)) {
		pci_function_reset(function, deferred & PCI_DEFERRED_RESET ? PCI_RESET_WARM
									   : PCI_RESET_FUNCTION);
		return;
	}
	if (deferred & PCI_DEFERRED_BUS_MASTER)
		pci_function_update_bus_master(function);
	if (deferred & PCI_DEFERRED_DECODE)
		update_decode(function);
	if (function->bridge)
		settle_bridge(function, deferred);
}

bool peal_pci_function_is_bus_master(const struct peal_pci_function *function)
{
	return __atomic_load_n(&function->bus_master, __ATOMIC_ACQUIRE);
}

uint32_t peal_pci_function_requester_id(const struct peal_pci_function *function)
{
	return __atomic_load_n(&function->requester_id, __ATOMIC_RELAXED);
}

struct peal_space *peal_pci_function_dma(struct peal_pci_function *function)
{
	if (!peal_pci_function_is_bus_master(function))
		return NULL;
	return __atomic_load_n(&function->dma, __ATOMIC_RELAXED);
}

const struct peal_pci_function_ops *
peal_pci_function_device_ops(const struct peal_pci_function *function, void **user)
{
	*user = function->user;
	return function->ops;
}

uint64_t peal_pci_function_past_end(const struct peal_pci_function *function)
{
	return peal_counted(&function->past_end);
}

struct peal_msix *peal_pci_function_msix(struct peal_pci_function *function)
{
	return function->msix;
}
