/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tracing side of `peal run --trace PATH`: listens at PATH and sends what an ITS does to who
 * connects, the last commands from before first. vCPUs and devices never wait for it: what the
 * reader is too slow for is lost and counted.
 */
#ifndef PEAL_CLI_TRACE_SERVER_H
#define PEAL_CLI_TRACE_SERVER_H

#include <peal/gic.h>

struct trace_server;

/* -errno; -EADDRINUSE: somebody listens there. A socket that was left behind is replaced. */
int trace_server_new(struct trace_server **ret, const char *path);

/* NULL is fine. What was traced still goes to the reader, unless it does not read for a second. */
void trace_server_free(struct trace_server *server);

/* The trace callback of an ITS; USER is the server. */
void trace_server_its(void *user, const struct peal_its_trace *trace);

#endif
