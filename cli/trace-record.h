/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What `peal run --trace` sends to `peal trace`: a header, then records, all of it in little-endian
 * doublewords.
 *
 *   header  "PEALTRC1", status
 *   record  word 0     nanoseconds since the run began
 *           word 1     kind 7:0, error or result 63:32
 *           words 2–6  command: the four doublewords, the offset in the queue
 *                      message: DeviceID 63:32 EventID 31:0, redistributor 63:32 INTID 31:0
 *                      lost: how many records were
 */
#ifndef PEAL_CLI_TRACE_RECORD_H
#define PEAL_CLI_TRACE_RECORD_H

#include <stdbool.h>
#include <stdio.h>

#include <peal/gic.h>
#include <peal/trace.h>

#define TRACE_MAGIC       UINT64_C(0x314352544c414550)
#define TRACE_HEADER_SIZE 16u
#define TRACE_RECORD_SIZE (8u * PEAL_TRACE_WORDS)

enum trace_status {
	TRACE_READY,
	TRACE_BUSY, /* somebody else reads; the connection ends here */
};

enum trace_kind {
	TRACE_COMMAND = 1,
	TRACE_MESSAGE,
	TRACE_LOST,
};

void trace_record_its(struct peal_trace_record *ret, uint64_t ns,
		      const struct peal_its_trace *trace);
void trace_record_lost(struct peal_trace_record *ret, uint64_t ns, uint64_t count);

static inline unsigned trace_record_kind(const struct peal_trace_record *record)
{
	return (unsigned)record->words[1] & 0xff;
}

/* One line. False: a kind that is not known. */
bool trace_record_print(const struct peal_trace_record *record, FILE *to, bool json);

#endif
