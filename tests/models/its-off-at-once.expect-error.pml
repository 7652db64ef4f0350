/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GITS_CTLR.Enabled cleared without waiting for the sends in progress: one of them makes its LPI
 * pending while the ITS is off.
 */
#define OFF_AT_ONCE
#include "its.pml"
