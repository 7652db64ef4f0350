/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a server prints on standard output: whole, from any thread, and without waiting for long. A
 * server whose reader does not read can still be ended.
 */
#ifndef PEAL_CLI_SERVE_OUTPUT_H
#define PEAL_CLI_SERVE_OUTPUT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

struct serve_output {
	pthread_mutex_t mutex;
	FILE *text; /* what is being printed */
	char *bytes;
	size_t size;
	bool is_stuck; /* nobody took it: nothing is printed any more */
};

#define SERVE_OUTPUT_INIT                          \
	{                                          \
		.mutex = PTHREAD_MUTEX_INITIALIZER \
	}

/* Where to print to, until serve_output_end(). NULL: out of memory, and it has ended. */
FILE *serve_output_begin(struct serve_output *output);
void serve_output_end(struct serve_output *output);

/* CODE, or after a message CLI_FAILED. */
int serve_output_check(const struct serve_output *output, int code);

#endif
