/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An ITS that frees an unmapped device before the sends in progress are over: one that found the
 * device looks into freed memory.
 */
#define FREE_FIRST
#include "its.pml"
