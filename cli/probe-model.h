/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The devices that Peal can make, each as a function on a bus of its own, in the state in which
 * firmware leaves it: its regions have addresses and decode, no interrupt is enabled.
 */
#ifndef PEAL_CLI_PROBE_MODEL_H
#define PEAL_CLI_PROBE_MODEL_H

#include <peal/pci.h>

struct probe_model;

/* Names as a table of choices. */
extern const char *const probe_model_names[];

/* INDEX into the names. CLI_OK, or the exit code after an error message. */
int probe_model_new(struct probe_model **ret, unsigned index);

/* NULL is fine. */
void probe_model_free(struct probe_model *model);

struct peal_pci_function *probe_model_function(struct probe_model *model);

#endif
