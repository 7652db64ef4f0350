/* SPDX-License-Identifier: BSD-2-Clause */
/* The devices that the program can make, by their names. */
#ifndef PEAL_CLI_MODEL_H
#define PEAL_CLI_MODEL_H

#include <jansson.h>
#include <peal/pci.h>

/* Ended by NULL. */
extern const char *const cli_model_names[];

struct cli_model_config {
	const char *name;    /* of the command, for messages */
	const char *disk;    /* blk: image; NULL: memory of IMAGE_SIZE bytes */
	uint64_t image_size; /* a multiple of 512 */
	bool read_only;      /* blk */
	unsigned queues;     /* blk; 0: 1 */
	unsigned workers;    /* blk, rng: as in struct peal_virtio_config */
	unsigned vectors;    /* bell; 0: 64 */
	bool no_msix;        /* blk, rng */
};

struct cli_model;

/* Makes number INDEX of the names; CLI_OK, or the exit code after an error message. */
int cli_model_new(struct cli_model **ret, unsigned index, const struct cli_model_config *config);

/* NULL is fine. The function must not be plugged. */
void cli_model_free(struct cli_model *model);

/* Owned by the model. */
struct peal_pci_function *cli_model_function(struct cli_model *model);

/* What the device counted, as an object; NULL: no memory. */
json_t *cli_model_statistics(struct cli_model *model);

#endif
