/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The summary of LPIs with a repair that looks below a byte before it resets it: a send in between
 * sets its bit, finds the old promise, and is forgotten.
 */
#define LOOK_FIRST
#include "lpi.pml"
