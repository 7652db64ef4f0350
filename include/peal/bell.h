/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bell: a PCI device for trying interrupts. Each of its vectors is rung by a register; it also
 * rings by itself, at a rate or in bursts, and counts what it rang. MSI-X, MSI and INTx.
 *
 * BAR 0, 32 KiB of memory, little-endian:
 *
 *   0x0000  ID          u32 RO   0x4c4c4542, "BELL"
 *   0x0004  VECTORS     u32 RO   how many it has
 *   0x0008  CAUSE       u32 W1C  bit 0: it rang by INTx; the line is asserted while it is set
 *   0x000c  RING        u32 WO   rings the vector of this number
 *   0x0010  FIRST       u32 RW   of a round: vectors FIRST .. FIRST + COUNT - 1
 *   0x0014  COUNT       u32 RW
 *   0x0018  ROUNDS      u32 RW   how many; all ones: until stopped
 *   0x001c  PERIOD      u32 RW   microseconds from round to round; 0: one after the other
 *   0x0020  CONTROL     u32 WO   1: starts the rounds as FIRST .. PERIOD stand now; 0: stops
 *   0x0024  BUSY        u32 RO   1 while rounds are left
 *   0x0028  LEFT        u32 RO   how many
 *   0x0030  RINGS       u64 RO   of all vectors
 *   0x2000  RING_EACH   u32 WO   one for each vector: whatever is written rings it
 *   0x4000  RINGS_EACH  u64 RO   one for each vector: how often it rang
 *
 * A ring goes out by MSI-X if it is enabled, else by MSI (vector modulo those of MSI), else by INTx,
 * which all vectors share. A vector that is not there does not ring. Stopping is complete when the
 * write returns. A reset stops and clears everything but the identity.
 *
 * Threads: as its PCI function. The rounds are rung by a thread of the device's own.
 */
#ifndef PEAL_BELL_H
#define PEAL_BELL_H

#include <peal/base.h>
#include <peal/pci.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PEAL_BELL_VENDOR_ID 0x1234u
#define PEAL_BELL_DEVICE_ID 0xbe11u

#define PEAL_BELL_BAR      0u
#define PEAL_BELL_BAR_SIZE 0x8000u
#define PEAL_BELL_MSIX_BAR 1u

#define PEAL_BELL_MAGIC      0x4c4c4542u
#define PEAL_BELL_ENDLESS    UINT32_MAX
#define PEAL_BELL_ID         0x0000u
#define PEAL_BELL_VECTORS    0x0004u
#define PEAL_BELL_CAUSE      0x0008u
#define PEAL_BELL_RING       0x000cu
#define PEAL_BELL_FIRST      0x0010u
#define PEAL_BELL_COUNT      0x0014u
#define PEAL_BELL_ROUNDS     0x0018u
#define PEAL_BELL_PERIOD     0x001cu
#define PEAL_BELL_CONTROL    0x0020u
#define PEAL_BELL_BUSY       0x0024u
#define PEAL_BELL_LEFT       0x0028u
#define PEAL_BELL_RINGS      0x0030u
#define PEAL_BELL_RING_EACH  0x2000u
#define PEAL_BELL_RINGS_EACH 0x4000u

struct peal_bell;

struct peal_bell_config {
	const struct peal_host *host;
	unsigned vectors; /* 1..2048; MSI has the largest power of two of them up to 32 */
};

/* -EINVAL: vectors out of range. -ENOMEM. -EAGAIN: no thread to be had. */
PEAL_PUBLIC int peal_bell_new(struct peal_bell **ret, const struct peal_bell_config *config);

/* NULL is fine. The function must not be plugged. */
PEAL_PUBLIC void peal_bell_free(struct peal_bell *bell);

/* Owned by the device. */
PEAL_PUBLIC struct peal_pci_function *peal_bell_function(struct peal_bell *bell);

/* Rings a vector as RING does. */
PEAL_PUBLIC void peal_bell_ring(struct peal_bell *bell, unsigned vector);

/* How often a vector rang since the last reset. */
PEAL_PUBLIC uint64_t peal_bell_rings(const struct peal_bell *bell, unsigned vector);

#ifdef __cplusplus
}
#endif

#endif
