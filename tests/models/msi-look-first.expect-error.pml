/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A change of the number that sees a pending bit, and then moves it, while the raise that set it
 * takes it back to raise again: it is sent twice.
 */
#define LOOK_FIRST
#include "msi.pml"
