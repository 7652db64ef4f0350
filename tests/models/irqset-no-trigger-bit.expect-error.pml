/* SPDX-License-Identifier: BSD-2-Clause */
/* The line masks itself although there is no trigger: when one comes, nobody is told. */
#define NO_TRIGGER_BIT
#include "irqset.pml"
