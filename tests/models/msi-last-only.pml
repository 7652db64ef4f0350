/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The function of msi.pml whose device uses its last vector only.
 */
#define LAST_ONLY
#include "msi.pml"
