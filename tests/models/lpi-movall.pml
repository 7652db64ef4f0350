/* SPDX-License-Identifier: BSD-2-Clause */
/* The summary of LPIs with a MOVALL that follows it. */
#define TAKE
#include "lpi.pml"
