/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vector of msix.pml with one raiser, that raises more often.
 */
#define RAISERS 1
#define RAISES 4
#include "msix.pml"
