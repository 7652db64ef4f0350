/* SPDX-License-Identifier: BSD-2-Clause */
/* A vector of an irqset, whose sections that signalled nothing take their entry back. */
#define TAKES_BACK
#include "epoch.pml"
