/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A raise that pends by a plain load and store: an unmask in between finds nothing to send, and the
 * mask that the store writes back is not the guest's any more.
 */
#define PLAIN_PEND
#include "msix.pml"
