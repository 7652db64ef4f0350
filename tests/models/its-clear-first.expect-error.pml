/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A DISCARD that takes the pending state away before the sends in progress are over: one that loaded
 * the mapping makes its LPI pending afterwards.
 */
#define CLEAR_FIRST
#include "its.pml"
