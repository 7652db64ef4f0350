/* SPDX-License-Identifier: BSD-2-Clause */
/* A raise that finds its trigger just gone is lost. */
#define NO_PEND
#include "owner-close.pml"
