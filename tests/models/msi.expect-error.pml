/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A raise that began when both vectors were enabled, or none, and does not look again: it pends as
 * vector 1 behind the change to one vector, and the mask of vector 1 is nobody's to clear.
 */
#define NO_RETRY
#include "msi.pml"
