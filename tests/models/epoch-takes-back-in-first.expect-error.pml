/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The same that loads `in` before `out`: one who entered, signalled and left in between stands for one
 * who is still inside.
 */
#define TAKES_BACK
#define IN_FIRST
#include "epoch.pml"
