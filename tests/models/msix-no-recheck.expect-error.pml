/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A raise that does not look at the word again after it read the message: two rewrites in between
 * leave it an address of the one and the data of the other.
 */
#define UNMASKED
#define NO_RECHECK
#include "msix.pml"
