/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Resets of a function, and what survives which. PCI Express Base 6.0 §6.6, §7.4 (sticky bits).
 *
 *                          sticky bits   the link's fields   all else
 *   power-on, unplugging        -               -               -
 *   secondary bus reset,      kept              -               -
 *   leaving D3hot
 *   Function Level Reset      kept            kept              -
 */
#include "function.h"

struct survivor {
	uint8_t capability; /* PCI_CAP_ID_EXPRESS; 0: Advanced Error Reporting */
	uint8_t offset;     /* of a register of 4 bytes */
	bool sticky;
	uint32_t mask;
};

/* Of what the guest can write. */
static const struct survivor survivors[] = {
	/* Max_Payload_Size; ASPM Control, Common Clock Configuration, Extended Synch (§6.6.2) */
	{ PCI_CAP_ID_EXPRESS, 0x08, false, 0x000000e0 },
	{ PCI_CAP_ID_EXPRESS, 0x10, false, 0x000000c3 },
	/* Status, Mask and Severity of errors (§7.8.4) */
	{ 0, 0x04, true, 0xffffffff },
	{ 0, 0x08, true, 0xffffffff },
	{ 0, 0x0c, true, 0xffffffff },
	{ 0, 0x10, true, 0xffffffff },
	{ 0, 0x14, true, 0xffffffff },
};

/* Under the mutex. */
static void restore_defaults(struct peal_pci_function *function, enum pci_reset reset)
{
	uint32_t old[PEAL_COUNT_OF(survivors)], at[PEAL_COUNT_OF(survivors)];

	for (size_t i = 0; i < PEAL_COUNT_OF(survivors); i++) {
		const struct survivor *s = &survivors[i];
		uint32_t base = s->capability ? function->express : function->aer;
		bool kept = s->sticky ? reset != PCI_RESET_COLD : reset == PCI_RESET_FUNCTION;

		at[i] = base && kept ? base + s->offset : 0;
		old[i] = (uint32_t)peal_reg_get(function->image, at[i], 4);
	}
	memcpy(function->image, function->defaults, sizeof(function->image));
	for (size_t i = 0; i < PEAL_COUNT_OF(survivors); i++) {
		uint32_t mask = survivors[i].mask;

		if (at[i])
			peal_reg_set(function->image, at[i], 4,
				     (peal_reg_get(function->image, at[i], 4) & ~(uint64_t)mask) |
					     (old[i] & mask));
	}
}

void pci_function_reset(struct peal_pci_function *function, enum pci_reset reset)
{
	peal_mutex_lock(&function->mutex);
	restore_defaults(function, reset);
	function->powered_down = false;
	function->deferred = 0;
	if (function->msix)
		pci_msix_reset(function->msix);
	if (function->msi)
		pci_msi_reset(function->msi);
	peal_pci_function_set_intx(function, false);
	pci_intx_evaluate(function);
	peal_mutex_unlock(&function->mutex);

	pci_function_settle(function,
			    PCI_DEFERRED_BUS_MASTER | PCI_DEFERRED_DECODE | PCI_DEFERRED_BRIDGE);
	if (function->ops && function->ops->reset)
		function->ops->reset(function->user);
	if (function->msix)
		pci_msix_clear_pending(function->msix);
	if (function->msi)
		pci_msi_clear_pending(function->msi);
}

void peal_pci_function_reset(struct peal_pci_function *function)
{
	pci_function_reset(function, PCI_RESET_COLD);
}
