/* SPDX-License-Identifier: BSD-2-Clause */
/* MSI-X towards the device and the host: raising, use, consumers, looking. PCIe 6.0 §7.7.2. */
#include "msix.h"

int peal_msix_notify(struct peal_msix *msix, unsigned vector)
{
	if (peal_unlikely(vector >= msix->vectors.count))
		return 0;
	return pci_vectors_raise(&msix->vectors, vector);
}

int peal_msix_use(struct peal_msix *msix, unsigned vector)
{
	return pci_vectors_use(&msix->vectors, vector);
}

void peal_msix_unuse(struct peal_msix *msix, unsigned vector)
{
	pci_vectors_unuse(&msix->vectors, vector);
}

void peal_msix_unuse_all(struct peal_msix *msix)
{
	pci_vectors_unuse_all(&msix->vectors);
}

int peal_msix_set_consumer(struct peal_msix *msix, const struct peal_vector_consumer *consumer,
			   void *user)
{
	return pci_vectors_set_consumer(&msix->vectors, consumer, user);
}

void peal_msix_begin(struct peal_msix *msix)
{
	peal_mutex_lock(&msix->vectors.mutex);
	pci_vectors_begin(&msix->vectors);
	peal_mutex_unlock(&msix->vectors.mutex);
}

void peal_msix_commit(struct peal_msix *msix)
{
	peal_mutex_lock(&msix->vectors.mutex);
	pci_vectors_commit(&msix->vectors);
	peal_mutex_unlock(&msix->vectors.mutex);
}

unsigned peal_msix_vectors(const struct peal_msix *msix)
{
	return msix->vectors.count;
}

bool peal_msix_is_enabled(const struct peal_msix *msix)
{
	return __atomic_load_n(&msix->enabled, __ATOMIC_RELAXED);
}

bool peal_msix_is_masked(const struct peal_msix *msix, unsigned vector)
{
	return pci_vectors_state(&msix->vectors, vector) & PCI_VECTOR_MASKED;
}

bool peal_msix_is_pending(const struct peal_msix *msix, unsigned vector)
{
	return pci_vectors_state(&msix->vectors, vector) & PCI_VECTOR_PENDING;
}

bool peal_msix_is_used(const struct peal_msix *msix, unsigned vector)
{
	return !(pci_vectors_state(&msix->vectors, vector) & PCI_VECTOR_UNUSED);
}

unsigned peal_msix_uses(const struct peal_msix *msix, unsigned vector)
{
	PEAL_ASSERT(vector < msix->vectors.count);
	return __atomic_load_n(&msix->vectors.list[vector].uses, __ATOMIC_RELAXED);
}

struct peal_msi_msg peal_msix_message(const struct peal_msix *msix, unsigned vector)
{
	PEAL_ASSERT(vector < msix->vectors.count);
	return pci_vectors_message(&msix->vectors, vector);
}

void peal_msix_counters(const struct peal_msix *msix, unsigned vector,
			struct peal_msix_counters *ret)
{
	pci_vectors_counters(&msix->vectors, vector, ret);
}

uint64_t peal_msix_pba_writes(const struct peal_msix *msix)
{
	return peal_counted(&msix->pba_writes);
}
