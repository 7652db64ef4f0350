/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vector of msix.pml with a guest that changes the message in one step, masked or not.
 */
#define UNMASKED
#include "msix.pml"
