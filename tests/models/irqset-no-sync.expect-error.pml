/* SPDX-License-Identifier: BSD-2-Clause */
/* A trigger that was replaced is given back while somebody signals it. */
#define NO_SYNC
#include "irqset.pml"
