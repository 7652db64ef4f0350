/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peal_epoch that loads `in` before `out`: one who entered and left in between stands for one who
 * is still inside.
 */
#define IN_FIRST
#include "epoch.pml"
