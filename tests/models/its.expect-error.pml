/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands of an ITS that do not wait for the sends in progress: one that loaded the old mapping
 * makes its LPI pending after DISCARD took the pending state away.
 */
#define NO_SYNC
#include "its.pml"
