/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peal_epoch with one wait instead of two: a reader that read the parity, was held up, and entered
 * after the writer had turned it is not waited for by the next writer.
 */
#define ONE_PHASE
#include "epoch.pml"
