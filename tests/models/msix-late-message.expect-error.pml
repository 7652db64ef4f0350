/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A raise that saw the vector unmasked and then reads until the message is whole, masked or not: it
 * sends the new address with the old data while the guest is between the two.
 */
#define LATE_MESSAGE
#include "msix.pml"
