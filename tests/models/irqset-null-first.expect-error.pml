/* SPDX-License-Identifier: BSD-2-Clause */
/* The trigger goes before TRIGGER is cleared, and a step that finds none goes on all the same. */
#define NULL_FIRST
#include "irqset.pml"
