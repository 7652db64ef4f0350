/* SPDX-License-Identifier: BSD-2-Clause */
/* A progress bar on stderr when that is a terminal. */
#ifndef PEAL_CLI_PROGRESS_H
#define PEAL_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool quiet;
	bool terminal;
	uint64_t begin; /* ns */
};

void progress_begin(struct progress *progress);
/* USER is the struct progress; ALL 0: the end is not known. */
void progress_show(void *user, uint64_t done, uint64_t all);
void progress_end(struct progress *progress);

#endif
