/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * INTx: a level-triggered line per function, shared by the functions of a bus.
 * PCI Local Bus 3.0 §2.2.6, §6.2.2 (Interrupt Disable), §6.2.3 (Interrupt Status).
 *
 *   line out = the device's wish, unless Command.InterruptDisable, MSI or MSI-X is enabled
 *   bus line = any function of the bus on that pin, after the swizzle (device + pin) mod 4
 *
 * Devices set their wish from anywhere, also from handlers that run under the function's
 * configuration mutex, so wish, gate and line have a mutex of their own. The gate is worked out
 * anew, under the configuration mutex, when a register that it depends on changed. The counts of the
 * bus are under its INTx mutex, which is also held while the bus's owner hears of an edge, so it
 * hears of them in their order.
 * Lock order: configuration → INTx of the function → INTx of the bus, and of those above it.
 */
#include "function.h"

/* Under the INTx mutex. */
static void drive(struct peal_pci_function *function)
{
	struct pci_intx *intx = &function->intx;
	bool line = intx->wish && intx->bus;

	if (line == intx->line)
		return;
	intx->line = line;
	/* A line that falls, falls where it rose. */
	if (line)
		intx->driven = intx->bus;
	pci_bus_intx(intx->driven, pci_intx_pin(function), line);
}

/* Where the registers let the line rise; of what was just loaded, only they tell. */
static struct peal_pci_bus *gate(const struct peal_pci_function *function)
{
	uint16_t command = (uint16_t)peal_reg_get(function->image, PCI_COMMAND, 2);
	bool messages = (function->msi && pci_msi_enable_bit(function->msi)) ||
			(function->msix && pci_msix_enable_bit(function->msix));
	bool open = function->intx.pin && !messages && !function->powered_down &&
		    !(command & PCI_COMMAND_INTX_DISABLE);

	return open ? function->bus : NULL;
}

void pci_intx_evaluate(struct peal_pci_function *function)
{
	struct peal_pci_bus *bus = gate(function);

	peal_mutex_lock(&function->intx.mutex);
	function->intx.bus = bus;
	drive(function);
	peal_mutex_unlock(&function->intx.mutex);
}

void pci_intx_load(struct peal_pci_function *function, bool wish)
{
	struct peal_pci_bus *bus = gate(function);

	peal_mutex_lock(&function->intx.mutex);
	__atomic_store_n(&function->intx.wish, wish, __ATOMIC_RELAXED);
	function->intx.bus = bus;
	drive(function);
	peal_mutex_unlock(&function->intx.mutex);
}

void peal_pci_function_set_intx(struct peal_pci_function *function, bool asserted)
{
	peal_mutex_lock(&function->intx.mutex);
	__atomic_store_n(&function->intx.wish, asserted, __ATOMIC_RELAXED);
	drive(function);
	peal_mutex_unlock(&function->intx.mutex);
}

bool pci_intx_wish(const struct peal_pci_function *function)
{
	return __atomic_load_n(&function->intx.wish, __ATOMIC_RELAXED);
}

unsigned pci_intx_pin(const struct peal_pci_function *function)
{
	unsigned pin = function->intx.pin;

	return pin ? ((function->devfn >> 3) + pin - 1) % 4 : ~0u;
}

bool peal_pci_function_intx_line(struct peal_pci_function *function)
{
	bool line;

	peal_mutex_lock(&function->intx.mutex);
	line = function->intx.line;
	peal_mutex_unlock(&function->intx.mutex);
	return line;
}
