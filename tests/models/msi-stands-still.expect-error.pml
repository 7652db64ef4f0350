/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A raise that meets a vector that is not in use, and believes it when the number of vectors is what
 * it was before: in between it was another.
 */
#define LAST_ONLY
#define STANDS_STILL
#include "msi.pml"
