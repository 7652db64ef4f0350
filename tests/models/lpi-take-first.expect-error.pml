/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The summary of LPIs with a MOVALL that takes the pending bits of a word before it resets the byte
 * above it: a send in between sets its bit and lowers the byte, and is forgotten.
 */
#define TAKE_FIRST
#define TAKE
#include "lpi.pml"
