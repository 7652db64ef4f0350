/* SPDX-License-Identifier: BSD-2-Clause */
/* Lookups that do not look at the sequence again: halves of two ranges. */
#define NO_RECHECK
#include "latch.pml"
