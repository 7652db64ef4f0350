/* SPDX-License-Identifier: BSD-2-Clause */
/* The trigger goes before the vector is closed: what pends meanwhile pends in a vector that is open. */
#define NULL_FIRST
#include "owner-close.pml"
