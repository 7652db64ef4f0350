/* SPDX-License-Identifier: BSD-2-Clause */
/* What `peal irq` has counted, as a table or as JSON. */
#ifndef PEAL_CLI_IRQ_REPORT_H
#define PEAL_CLI_IRQ_REPORT_H

#include <jansson.h>

#include "irq-device.h"

#define IRQ_STEPS_MAX 16u

struct irq_row {
	uint64_t counts[IRQ_STEPS_MAX];
	bool pending_known, pending;
};

struct irq_report {
	unsigned nsteps;
	const char *steps[IRQ_STEPS_MAX];
	uint64_t missing; /* interrupts that were to come and did not */
	bool interrupted;
	struct irq_row rows[IRQ_VECTORS_MAX];
};

/* Of the chosen vectors; in text, neighbours that are alike share a line. */
void irq_report_print(const struct irq_report *report, const struct irq_device *device, bool json);

#endif
