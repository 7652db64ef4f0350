/* SPDX-License-Identifier: BSD-2-Clause */
/* The word is changed by a load and a store: a step in between is forgotten. */
#define PLAIN_STEP
#include "irqset.pml"
