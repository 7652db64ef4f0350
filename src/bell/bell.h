/* SPDX-License-Identifier: BSD-2-Clause */
/* The bell's register tables, for their check. */
#ifndef PEAL_SRC_BELL_BELL_H
#define PEAL_SRC_BELL_BELL_H

#include <peal/regs.h>

#define BELL_REGS_SIZE   0x40u
#define BELL_VECTORS_MAX 2048u

extern const struct peal_reg bell_rows[];
extern const unsigned bell_nrows;
extern const struct peal_reg bell_ring_rows[];
extern const unsigned bell_ring_nrows;
extern const struct peal_reg bell_rings_rows[];
extern const unsigned bell_rings_nrows;

#endif
