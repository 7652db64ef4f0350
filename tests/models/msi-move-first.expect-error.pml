/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A change from one vector to both that gives what pends as vector 0 back to vector 1, and closes
 * vector 0, which the device does not use, after that: a raise in between is sent as vector 0, where
 * nobody listens.
 */
#define LAST_ONLY
#define MOVE_FIRST
#include "msi.pml"
