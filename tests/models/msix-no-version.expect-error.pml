/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A word without a version: after two rewrites it is the same word, and a torn message looks whole.
 */
#define UNMASKED
#define NO_VERSION
#include "msix.pml"
