/* SPDX-License-Identifier: BSD-2-Clause */
/* `peal run`: options, the image, signals, and the exit code. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <peal/bits.h>

#include "commands.h"
#include "options.h"
#include "progress.h"
#include "report.h"
#include "temporary.h"
#include "trace-server.h"
#include "workload.h"

#define BUFFERS_MAX ((uint64_t)8 << 30)

static volatile sig_atomic_t stop_signal;

static void on_signal(int signal)
{
	stop_signal = signal;
}

struct run_options {
	const char *disk, *trace;
	bool write, all, json;
	uint64_t vcpus, queues, depth, block_size;
	double seconds, stall;
	unsigned mode, mistake;
};

static const char *const modes[] = { "read", "write", "verify", NULL };

/* Names of the guest's mistakes as a table of choices. */
static const char *const *mistake_names(void)
{
	static const char *names[PEAL_GUEST_MISTAKES + 1];

	for (unsigned i = 0; i < PEAL_GUEST_MISTAKES; i++)
		names[i] = peal_guest_mistake_name(i);
	return names;
}

static int parse(struct run_options *o, int argc, char **argv)
{
	const struct cli_option options[] = {
		{ .name = "disk",
		  .kind = CLI_STRING,
		  .value = &o->disk,
		  .argument = "FILE",
		  .help = "Disk image or block device; opened read-only unless --write. Without "
			  "it, a temporary image of 64 MiB." },
		{ .name = "write",
		  .kind = CLI_FLAG,
		  .value = &o->write,
		  .help = "Let --mode write and verify change FILE." },
		{ .name = "mode",
		  .kind = CLI_CHOICE,
		  .value = &o->mode,
		  .argument = "MODE",
		  .choices = modes,
		  .help = "read: read and hash; write: write a pattern; verify: write it and read "
			  "it back. Default read." },
		{ .name = "vcpus",
		  .kind = CLI_NUMBER,
		  .value = &o->vcpus,
		  .min = 1,
		  .max = PEAL_MACHINE_VCPUS_MAX,
		  .argument = "N",
		  .help = "vCPUs of the machine, a thread each. Default 2." },
		{ .name = "queues",
		  .kind = CLI_NUMBER,
		  .value = &o->queues,
		  .min = 1,
		  .max = 256,
		  .argument = "N",
		  .help = "Queues of the disk, an MSI-X vector each. Default 2." },
		{ .name = "depth",
		  .kind = CLI_NUMBER,
		  .value = &o->depth,
		  .min = 1,
		  .max = 4096,
		  .argument = "N",
		  .help = "Requests in flight on each queue. Default 32." },
		{ .name = "block-size",
		  .kind = CLI_NUMBER,
		  .value = &o->block_size,
		  .min = 512,
		  .max = 1 << 20,
		  .suffixes = true,
		  .argument = "BYTES",
		  .help = "Size of a request, a multiple of 512. Default 4096." },
		{ .name = "all",
		  .kind = CLI_FLAG,
		  .value = &o->all,
		  .help = "Go once over the whole disk. This is the default." },
		{ .name = "seconds",
		  .kind = CLI_SECONDS,
		  .value = &o->seconds,
		  .argument = "S",
		  .help = "Go over the disk again and again for S seconds." },
		{ .name = "stall-timeout",
		  .kind = CLI_SECONDS,
		  .value = &o->stall,
		  .argument = "S",
		  .help = "Give up and tell where interrupts stop when nothing moves for S "
			  "seconds. Default 5." },
		{ .name = "mistake",
		  .kind = CLI_CHOICE,
		  .value = &o->mistake,
		  .argument = "NAME",
		  .choices = mistake_names(),
		  .help = "Let the guest get one step wrong, to see the diagnosis." },
		{ .name = "trace",
		  .kind = CLI_STRING,
		  .value = &o->trace,
		  .argument = "PATH",
		  .help = "Listen at PATH for `peal trace its PATH`." },
		{ .name = "json",
		  .kind = CLI_FLAG,
		  .value = &o->json,
		  .help = "Print the result as JSON." },
		{ 0 },
	};
	const struct cli_command command = {
		.name = "run",
		.line = "Runs a machine in this process: a guest reads (or writes) a disk through a "
			"virtio block\ndevice with MSI-X, an ITS and vCPUs, and every interrupt on "
			"the way is counted.",
		.synopsis = "[--disk FILE] [OPTIONS]",
		.example = "  peal run --disk disk.img --vcpus 2 --queues 2\n"
			   "  peal run --mode verify --json",
		.options = options,
	};
	int r = cli_parse(&command, argc, argv, NULL);

	if (r >= 0)
		return r;
	if (o->disk && !*o->disk)
		return cli_error(CLI_USAGE, "run", "--disk: needs the name of a file");
	if (o->block_size % 512)
		return cli_error(CLI_USAGE, "run", "--block-size %llu: takes a multiple of 512",
				 (unsigned long long)o->block_size);
	if (o->all && o->seconds > 0)
		return cli_error(CLI_USAGE, "run", "--all and --seconds exclude each other");
	if (o->queues * o->depth * peal_round_up(o->block_size, 4096) > BUFFERS_MAX)
		return cli_error(
			CLI_USAGE, "run",
			"%llu queues with %llu requests of %llu bytes take more than 8 GiB "
			"of guest memory; lower --queues, --depth or --block-size",
			(unsigned long long)o->queues, (unsigned long long)o->depth,
			(unsigned long long)o->block_size);
	if (o->disk && o->mode != WORKLOAD_READ && !o->write)
		return cli_error(CLI_USAGE, "run", "--mode %s changes %s: add --write to allow it",
				 modes[o->mode], o->disk);
	return -1;
}

/* ---- running ---- */

static void install_handlers(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	(void)sigemptyset(&action.sa_mask);
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN); /* a write beyond `ulimit -f` fails with EFBIG */
}

/* The file as it is after the run, when the whole disk went through. */
static void hash_disk(const char *disk, int fd, struct workload_result *result)
{
	int r;

	if (!result->sha256[0])
		return;
	r = fd < 0 ? fd : hash_fd(fd, result->sha256_file, &stop_signal);
	if (r == -ECANCELED)
		result->interrupted = true;
	else if (r < 0 && !result->error[0])
		(void)snprintf(result->error, sizeof(result->error), "%s: %s", disk, strerror(-r));
}

static int run_traced(const struct run_options *o, const char *disk, bool writable,
		      struct trace_server *trace)
{
	const struct workload_config config = {
		.disk = disk,
		.disk_name = o->disk ? o->disk : "temporary image",
		.writable = writable,
		.mode = (enum workload_mode)o->mode,
		.vcpus = (unsigned)o->vcpus,
		.queues = (unsigned)o->queues,
		.depth = (unsigned)o->depth,
		.block_size = (unsigned)o->block_size,
		.seconds = o->seconds,
		.stall = o->stall,
		.workers = PEAL_VIRTIO_WORKER_PER_QUEUE,
		.mistake = (enum peal_guest_mistake)o->mistake,
		.its_trace = trace ? trace_server_its : NULL,
		.its_user = trace,
	};
	struct progress progress = { .quiet = o->json };
	struct workload_result *result = calloc(1, sizeof(*result));
	struct workload *workload;
	bool ok = false;
	int r, fd;

	if (!result)
		return cli_error(CLI_FAILED, "run", "out of memory");
	r = workload_new(&workload, &config, "run");
	if (r != CLI_OK) {
		free(result);
		return r;
	}
	/* For the hash after the run: the name may mean another file by then, or none. */
	fd = open(disk, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	progress_begin(&progress);
	r = workload_run(workload, progress_show, &progress, &stop_signal, result);
	progress_end(&progress);
	if (r == CLI_OK) {
		hash_disk(disk, fd, result);
		ok = report_is_ok(result);
		if (o->json)
			report_json(result, &config, ok);
		else
			report_text(result, &config, o->disk, ok);
		r = ok ? CLI_OK : CLI_FAILED;
	}
	workload_free(workload);
	if (fd >= 0)
		(void)close(fd);
	free(result->vectors);
	free(result->per_vcpu);
	free(result);
	return r;
}

static int run(const struct run_options *o, const char *disk, bool writable)
{
	struct trace_server *trace = NULL;
	int r = o->trace ? trace_server_new(&trace, o->trace) : 0;

	if (r < 0)
		return cli_error(CLI_FAILED, "run", "--trace %s: %s", o->trace, strerror(-r));
	r = run_traced(o, disk, writable, trace);
	trace_server_free(trace);
	return r;
}

int run_main(int argc, char **argv)
{
	struct run_options o = {
		.vcpus = 2, .queues = 2, .depth = 32, .block_size = 4096, .stall = 5
	};
	char path[4096];
	int r = parse(&o, argc, argv), fd;

	if (r >= 0)
		return r;
	install_handlers();
	if (o.disk)
		return run(&o, o.disk, o.write);
	fd = temporary_make(path, sizeof(path), &stop_signal);
	if (fd == -EINTR)
		return cli_error(CLI_FAILED, "run", "interrupted");
	if (fd < 0)
		return cli_error(CLI_FAILED, "run",
				 "no temporary image of 64 MiB: %s; set TMPDIR to a directory with "
				 "room, or use --disk",
				 strerror(-fd));
	r = run(&o, path, true);
	(void)close(fd);
	return r;
}
