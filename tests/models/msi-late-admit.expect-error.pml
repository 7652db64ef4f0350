/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A change to one vector that tells raises to come as vector 0 while that is not in use yet: they go
 * round until it is.
 */
#define LAST_ONLY
#define LATE_ADMIT
#include "msi.pml"
