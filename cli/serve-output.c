/* SPDX-License-Identifier: BSD-2-Clause */
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "options.h"
#include "serve-output.h"

#define PATIENCE_MS 1000

static bool can_write(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, ms) != 0;
}

/*
 * Who has started the server may read the first line and close the pipe: that is not a failure. A
 * full disk is.
 */
static void forgive_closed_pipe(void)
{
	struct pollfd p = { .fd = STDOUT_FILENO, .events = POLLOUT };

	if (ferror(stdout) && poll(&p, 1, 0) == 1 && p.revents & POLLERR)
		clearerr(stdout);
}

/* A pipe that can be written to takes PIPE_BUF bytes, poll(2) and pipe(7). */
static void put(struct serve_output *output)
{
	for (size_t at = 0; at < output->size && !ferror(stdout);) {
		size_t left = output->size - at, part = left < PIPE_BUF ? left : PIPE_BUF;

		output->is_stuck = !can_write(STDOUT_FILENO, PATIENCE_MS);
		if (output->is_stuck)
			return;
		(void)fwrite(output->bytes + at, 1, part, stdout);
		(void)fflush(stdout);
		at += part;
	}
	forgive_closed_pipe();
}

FILE *serve_output_begin(struct serve_output *output)
{
	(void)pthread_mutex_lock(&output->mutex);
	output->text = open_memstream(&output->bytes, &output->size);
	if (!output->text)
		(void)pthread_mutex_unlock(&output->mutex);
	return output->text;
}

void serve_output_end(struct serve_output *output)
{
	if (fclose(output->text) == 0 && !output->is_stuck)
		put(output);
	free(output->bytes);
	output->bytes = NULL;
	(void)pthread_mutex_unlock(&output->mutex);
}

int serve_output_check(const struct serve_output *output, int code)
{
	if (!output->is_stuck)
		return code;
	/* It may be the same pipe. */
	if (can_write(STDERR_FILENO, 0))
		(void)cli_error(CLI_FAILED, "serve", "nobody reads the output");
	return code == CLI_OK ? CLI_FAILED : code;
}
