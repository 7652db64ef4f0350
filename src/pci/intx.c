/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * INTx: a level-triggered line per function, shared by the functions of a bus.
 * PCI Local Bus 3.0 §2.2.6, §6.2.2 (Interrupt Disable), §6.2.3 (Interrupt Status).
 *
 *   line out = the device's wish, unless Command.InterruptDisable, MSI or MSI-X is enabled
 *   bus line = any function of the bus on that pin, after the swizzle (device + pin) mod 4
 *
 * The wish and the line are under the function's configuration mutex, the bus's counts under the
 * INTx mutex of the bus, which is also held while the bus's owner hears of an edge, so it hears of
 * them in their order. Lock order: configuration → INTx of the bus.
 */
#include "function.h"

#define STATUS_INTERRUPT 0x0008u

void pci_intx_evaluate(struct peal_pci_function *function)
{
	uint16_t command = (uint16_t)peal_reg_get(function->image, PCI_COMMAND, 2);
	uint64_t status = peal_reg_get(function->image, PCI_STATUS, 2);
	unsigned pin = function->image[PCI_INTERRUPT_PIN];
	bool messages = (function->msi && peal_msi_enabled(function->msi)) ||
			(function->msix && peal_msix_is_enabled(function->msix));
	bool line = function->intx_wish && pin && function->bus && !messages &&
		    !function->powered_down && !(command & PCI_COMMAND_INTX_DISABLE);

	status = function->intx_wish ? status | STATUS_INTERRUPT
				     : status & ~(uint64_t)STATUS_INTERRUPT;
	peal_reg_set(function->image, PCI_STATUS, 2, status);
	if (line == function->intx_line)
		return;
	function->intx_line = line;
	pci_bus_intx(function->bus, pci_intx_pin(function), line);
}

/* Of a function with a line. */
unsigned pci_intx_pin(const struct peal_pci_function *function)
{
	unsigned pin = function->image[PCI_INTERRUPT_PIN];

	return pin ? ((function->devfn >> 3) + pin - 1) % 4 : ~0u;
}

void pci_intx_detach(struct peal_pci_function *function)
{
	if (function->intx_line)
		pci_bus_intx(function->bus, pci_intx_pin(function), false);
	function->intx_line = false;
}

void peal_pci_function_set_intx(struct peal_pci_function *function, bool asserted)
{
	peal_mutex_lock(&function->mutex);
	function->intx_wish = asserted;
	pci_intx_evaluate(function);
	peal_mutex_unlock(&function->mutex);
}

bool peal_pci_function_intx_line(struct peal_pci_function *function)
{
	bool line;

	peal_mutex_lock(&function->mutex);
	line = function->intx_line;
	peal_mutex_unlock(&function->mutex);
	return line;
}
