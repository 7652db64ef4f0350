/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An unmask by a plain load and store: what was pended in between is forgotten.
 */
#define PLAIN_UNMASK
#include "msix.pml"
