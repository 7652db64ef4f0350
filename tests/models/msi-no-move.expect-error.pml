/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A change to one vector that leaves vector 1 pending where it was.
 */
#define NO_MOVE
#include "msi.pml"
