/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The summary of LPIs with a repair that shows nothing at all for a moment: a MOVALL at that moment
 * leaves LPIs behind that are pending for long.
 */
#define REPAIR_TO_NONE
#define TAKE
#include "lpi.pml"
