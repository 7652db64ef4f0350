/* SPDX-License-Identifier: BSD-2-Clause */
/* What `peal run` prints at the end. */
#ifndef PEAL_CLI_REPORT_H
#define PEAL_CLI_REPORT_H

#include "workload.h"

/* Everything was done, nothing differs, no interrupt was lost. */
bool report_is_ok(const struct workload_result *result);

void report_json(const struct workload_result *result, const struct workload_config *config,
		 bool ok);

/* DISK: NULL for the temporary image. */
void report_text(const struct workload_result *result, const struct workload_config *config,
		 const char *disk, bool ok);

#endif
