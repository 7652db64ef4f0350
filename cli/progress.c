/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <unistd.h>

#include "base/clock-posix.h"
#include "progress.h"

#define WIDTH 40u

void progress_begin(struct progress *progress)
{
	progress->terminal = !progress->quiet && isatty(STDERR_FILENO);
	progress->begin = peal_clock_ns();
}

void progress_show(void *user, uint64_t done, uint64_t all)
{
	const struct progress *progress = user;
	double seconds = (double)(peal_clock_ns() - progress->begin) / 1e9;
	double mib = (double)done / (1 << 20);
	unsigned filled;

	if (!progress->terminal)
		return;
	if (all) {
		filled = done < all ? (unsigned)(done * WIDTH / all) : WIDTH;
		fprintf(stderr, "\r[%.*s%*s] %3u %%  %.0f MiB  %.0f MiB/s ", (int)filled,
			"########################################", (int)(WIDTH - filled), "",
			(unsigned)(filled * 100 / WIDTH), mib, seconds > 0 ? mib / seconds : 0);
	} else {
		fprintf(stderr, "\r%.0f s  %.0f MiB  %.0f MiB/s ", seconds, mib,
			seconds > 0 ? mib / seconds : 0);
	}
	fflush(stderr);
}

void progress_end(struct progress *progress)
{
	if (progress->terminal)
		fputs("\r\033[K", stderr);
}
