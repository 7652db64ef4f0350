/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owners of vectors: who takes them instead of the bus's sink, by number (VFIO).
 *
 * The owner's mask (CLOSED) stands beside those of the guest. Of the guest's, Enable, Function Mask
 * and the Mask register of MSI always count. The Mask bit of an MSI-X table entry counts from the
 * guest's first write to the entry on, until the owner forgets the masks: a guest whose VMM keeps
 * the table to itself never writes here, and what is here is as after a reset, masked.
 */
#include "msi.h"
#include "msix.h"

static int set_owner(struct pci_vectors *vectors, const struct peal_vector_owner *owner, void *user)
{
	if (owner && vectors->owner)
		return -EBUSY;
	pci_vectors_begin(vectors);
	pci_vectors_set_owner(vectors, owner, user);
	pci_vectors_commit(vectors);
	return 0;
}

/* ---- MSI-X ---- */

void pci_msix_forget_masks(struct peal_msix *msix)
{
	for (unsigned i = 0; i < msix->vectors.count; i++) {
		msix->vectors.list[i].written = false;
		pci_vectors_set_mask(&msix->vectors, i, false);
	}
}

/* The table's Mask bits count as they are. */
static void restore_masks(struct peal_msix *msix)
{
	for (unsigned i = 0; i < msix->vectors.count; i++)
		pci_vectors_set_mask(&msix->vectors, i,
				     msix->vectors.list[i].control & MSIX_ENTRY_MASK);
}

void pci_msix_written(struct peal_msix *msix, unsigned first, unsigned last)
{
	for (unsigned i = first; i <= last; i++) {
		struct pci_vector *v = &msix->vectors.list[i];

		if (!v->written)
			pci_vectors_set_mask(&msix->vectors, i, v->control & MSIX_ENTRY_MASK);
		v->written = true;
	}
}

/* An entry that is as after a reset was not written where it was saved either. */
void pci_msix_loaded(struct peal_msix *msix)
{
	for (unsigned i = 0; i < msix->vectors.count; i++) {
		const struct peal_msi_msg msg = pci_vectors_message(&msix->vectors, i);
		struct pci_vector *v = &msix->vectors.list[i];

		v->written = msg.address || msg.data || v->control != MSIX_ENTRY_MASK;
		if (!v->written)
			pci_vectors_set_mask(&msix->vectors, i, false);
	}
}

int peal_msix_set_owner(struct peal_msix *msix, const struct peal_vector_owner *owner, void *user)
{
	int r;

	peal_mutex_lock(&msix->vectors.mutex);
	pci_vectors_begin(&msix->vectors);
	if (!owner)
		restore_masks(msix);
	r = set_owner(&msix->vectors, owner, user);
	if (owner && r == 0)
		pci_msix_forget_masks(msix);
	pci_vectors_commit(&msix->vectors);
	peal_mutex_unlock(&msix->vectors.mutex);
	return r;
}

void peal_msix_open(struct peal_msix *msix, unsigned vector, bool open)
{
	PEAL_ASSERT(vector < msix->vectors.count);
	peal_mutex_lock(&msix->vectors.mutex);
	PEAL_ASSERT(msix->vectors.owner);
	pci_vectors_set_closed(&msix->vectors, vector, !open);
	peal_mutex_unlock(&msix->vectors.mutex);
}

int peal_msix_pend(struct peal_msix *msix, unsigned vector)
{
	PEAL_ASSERT(vector < msix->vectors.count);
	return pci_vectors_pend(&msix->vectors, vector, 0);
}

void peal_msix_forget_masks(struct peal_msix *msix)
{
	peal_mutex_lock(&msix->vectors.mutex);
	PEAL_ASSERT(msix->vectors.owner);
	pci_vectors_begin(&msix->vectors);
	pci_msix_forget_masks(msix);
	pci_vectors_commit(&msix->vectors);
	peal_mutex_unlock(&msix->vectors.mutex);
}

/* ---- MSI ---- */

int peal_msi_set_owner(struct peal_msi *msi, const struct peal_vector_owner *owner, void *user)
{
	int r;

	peal_mutex_lock(&msi->vectors.mutex);
	r = set_owner(&msi->vectors, owner, user);
	peal_mutex_unlock(&msi->vectors.mutex);
	return r;
}

void peal_msi_open(struct peal_msi *msi, unsigned vector, bool open)
{
	PEAL_ASSERT(vector < msi->vectors.count);
	peal_mutex_lock(&msi->vectors.mutex);
	PEAL_ASSERT(msi->vectors.owner);
	pci_vectors_set_closed(&msi->vectors, vector, !open);
	peal_mutex_unlock(&msi->vectors.mutex);
}

int peal_msi_pend(struct peal_msi *msi, unsigned vector)
{
	PEAL_ASSERT(vector < msi->vectors.count);
	return pci_vectors_pend(&msi->vectors, vector, PCI_VECTORS_NOBODY);
}
