/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Multiple Message Enable as the guest wrote it: more vectors than the function has.
 */
#define NO_CLAMP
#include "msi.pml"
