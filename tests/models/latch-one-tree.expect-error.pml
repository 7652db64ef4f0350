/* SPDX-License-Identifier: BSD-2-Clause */
/* Lookups in the tree that is being changed, while the sequence stays. */
#define ONE_TREE
#include "latch.pml"
