/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `peal irq`: interrupts of a device that another process serves. Steps are carried out one after
 * the other on one connection, since a server forgets masks and triggers with it; what arrives is
 * counted for each step.
 *
 * SIGINT and SIGTERM end it between two requests, so that the device is left as it was.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <peal/bits.h>

#include "base/clock-posix.h"
#include "commands.h"
#include "irq-device.h"
#include "irq-report.h"
#include "options.h"
#include "vfio-print.h"
#include "vfio-target.h"

#define NO_INDEX UINT32_MAX
#define TIMEOUT  5.0 /* seconds, as QEMU's */

struct irq_options {
	const char *target;
	const char *steps[IRQ_STEPS_MAX];
	unsigned nsteps;
	unsigned index;
	const char *vectors;
	uint64_t times, rate;
	double seconds, timeout;
	bool bell, json;
};

struct irq {
	const struct irq_options *o;
	struct irq_device device;
	struct irq_report report;
	int signals;
};

/* ---- options ---- */

static bool has_step(const struct irq_options *o, const char *name)
{
	for (unsigned i = 0; i < o->nsteps; i++) {
		if (strcmp(o->steps[i], name) == 0)
			return true;
	}
	return false;
}

/* Options that nothing would come of are mistakes. */
static int check(struct irq_options *o)
{
	const struct {
		bool given;
		const char *option, *step;
	} rows[] = {
		{ o->times != 0, "--times", "ring" },
		{ o->seconds > 0, "--seconds", "wait" },
		{ o->rate != 0, "--rate", "wait" },
	};

	for (size_t i = 0; i < PEAL_COUNT_OF(rows); i++) {
		if (rows[i].given && !has_step(o, rows[i].step))
			return cli_error(CLI_USAGE, "irq", "%s: there is no step %s",
					 rows[i].option, rows[i].step);
	}
	if (o->rate && !o->bell)
		return cli_error(CLI_USAGE, "irq", "--rate: only a bell rings by itself; --bell");
	if (!o->nsteps && (o->vectors || o->bell || o->index != NO_INDEX))
		return cli_error(CLI_USAGE, "irq", "what is to be done? ring, mask, unmask, wait");
	o->times = o->times ? o->times : 1;
	o->seconds = o->seconds > 0 ? o->seconds : 1;
	o->timeout = o->timeout > 0 ? o->timeout : TIMEOUT;
	return -1;
}

static int take_words(struct irq_options *o, const char *const *words)
{
	static const char *const known[] = { "ring", "mask", "unmask", "wait" };

	if (!words[0])
		return cli_error(CLI_USAGE, "irq",
				 "which device? " VFIO_TARGET_PREFIX
				 "PATH, the socket of a server");
	o->target = words[0];
	for (words++; *words; words++) {
		bool good = false;

		for (size_t i = 0; i < PEAL_COUNT_OF(known); i++)
			good = good || strcmp(known[i], *words) == 0;
		if (!good)
			return cli_error(CLI_USAGE, "irq",
					 "%s: no such step; one of ring, mask, unmask, wait",
					 *words);
		o->steps[o->nsteps++] = *words;
	}
	return check(o);
}

static int parse(struct irq_options *o, int argc, char **argv)
{
	const struct cli_option options[] = {
		{ .name = "index",
		  .kind = CLI_CHOICE,
		  .value = &o->index,
		  .argument = "NAME",
		  .choices = vfio_irq_names,
		  .help = "Which interrupts. Default: the first of msix, msi, intx that there "
			  "are." },
		{ .name = "vectors",
		  .kind = CLI_STRING,
		  .value = &o->vectors,
		  .argument = "LIST",
		  .help = "Which vectors: \"3\", \"0-7\", \"0-3,9\". Default: all." },
		{ .name = "times",
		  .kind = CLI_NUMBER,
		  .value = &o->times,
		  .min = 1,
		  .max = 1000000000,
		  .argument = "N",
		  .help = "ring: so often. Default 1." },
		{ .name = "seconds",
		  .kind = CLI_SECONDS,
		  .value = &o->seconds,
		  .argument = "S",
		  .help = "wait: so long. Default 1." },
		{ .name = "bell",
		  .kind = CLI_FLAG,
		  .value = &o->bell,
		  .help = "The device is a bell: ring through its registers, as a guest would." },
		{ .name = "rate",
		  .kind = CLI_NUMBER,
		  .value = &o->rate,
		  .min = 1,
		  .max = 1000000,
		  .argument = "N",
		  .help = "wait: let the bell ring by itself, so often a second. Default: it does "
			  "not." },
		{ .name = "timeout",
		  .kind = CLI_SECONDS,
		  .value = &o->timeout,
		  .argument = "S",
		  .help = "How long to wait for an answer, or an interrupt that was rung. Default "
			  "5." },
		{ .name = "json",
		  .kind = CLI_FLAG,
		  .value = &o->json,
		  .help = "Print the result as JSON." },
		{ 0 },
	};
	const struct cli_command command = {
		.name = "irq",
		.line = "Interrupts of a device that is served over vfio-user, counted for each "
			"vector and step. Steps:\n"
			"  ring    ring each vector: the server signals it (loopback), whatever is "
			"masked\n"
			"  mask    mask them: MSI-X in the table, MSI in its register, INTx by VFIO\n"
			"  unmask  unmask them: what a device has kept pending comes\n"
			"  wait    count what the device raises by itself\n"
			"Without steps, lists the interrupts that the device has. It is left as it "
			"was found.",
		.synopsis = VFIO_TARGET_PREFIX "PATH [STEP...] [OPTIONS]",
		.example = "  peal serve bell --socket-path=/tmp/bell.sock &\n"
			   "  peal irq " VFIO_TARGET_PREFIX "/tmp/bell.sock\n"
			   "  peal irq " VFIO_TARGET_PREFIX "/tmp/bell.sock --bell --vectors 0-3 "
			   "ring mask ring unmask\n"
			   "  peal irq " VFIO_TARGET_PREFIX
			   "/tmp/bell.sock --bell --rate 1000 wait",
		.options = options,
		.max_arguments = IRQ_STEPS_MAX + 1,
	};
	const char *words[IRQ_STEPS_MAX + 2];
	int r = cli_parse(&command, argc, argv, words);

	return r < 0 ? take_words(o, words) : r;
}

/* ---- vectors ---- */

/* A number at *TEXT, which moves behind it; false: there is none. */
static bool take_number(const char **text, unsigned long *ret)
{
	char *end;

	if (**text < '0' || **text > '9')
		return false;
	*ret = strtoul(*text, &end, 10);
	*text = end;
	return true;
}

static int choose(struct irq_device *device, const char *list)
{
	const char *at = list ? list : "0";
	unsigned long first, last;

	if (!list) {
		for (unsigned i = 0; i < device->count; i++)
			device->vectors[i].chosen = true;
		return CLI_OK;
	}
	for (;;) {
		if (!take_number(&at, &first))
			break;
		last = first;
		if (*at == '-' && (at++, !take_number(&at, &last)))
			break;
		if (last < first || (*at && *at != ','))
			break;
		if (last >= device->count)
			return cli_error(CLI_USAGE, "irq", "--vectors %s: %s has %u, from 0", list,
					 vfio_irq_names[device->index], device->count);
		for (unsigned long i = first; i <= last; i++)
			device->vectors[i].chosen = true;
		if (!*at++)
			return CLI_OK;
	}
	return cli_error(CLI_USAGE, "irq", "--vectors %s: takes numbers and ranges, \"0-3,9\"",
			 list);
}

/* ---- time ---- */

static double now(void)
{
	return (double)peal_clock_ns() / 1e9;
}

static bool is_interrupted(struct irq *irq)
{
	struct pollfd p = { .fd = irq->signals, .events = POLLIN };

	if (poll(&p, 1, 0) > 0)
		irq->report.interrupted = true;
	return irq->report.interrupted;
}

/* Sleeps until something arrives, a signal comes, or the time is over. */
static void sleep_until(struct irq *irq, double end)
{
	static const int most_ms = 100; /* so that a server that has gone is seen */
	struct pollfd p[IRQ_VECTORS_MAX + 1];
	double left = (end - now()) * 1000 + 1;
	nfds_t n = 0;

	for (unsigned i = 0; i < irq->device.count; i++) {
		if (irq->device.vectors[i].fd >= 0)
			p[n++] = (struct pollfd){ .fd = irq->device.vectors[i].fd,
						  .events = POLLIN };
	}
	p[n++] = (struct pollfd){ .fd = irq->signals, .events = POLLIN };
	if (left > 0)
		(void)poll(p, n, left < most_ms ? (int)left : most_ms);
}

/* ---- steps ---- */

static int step_ring(struct irq *irq)
{
	int r = CLI_OK;

	for (uint64_t i = 0; r == CLI_OK && i < irq->o->times && !is_interrupted(irq); i++)
		r = irq_device_ring(&irq->device);
	return r;
}

static int step_wait(struct irq *irq)
{
	const double end = now() + irq->o->seconds;
	int r = irq->o->rate ? irq_device_ring_at(&irq->device, irq->o->rate) : CLI_OK;
	int stop;

	while (r == CLI_OK && now() < end && !is_interrupted(irq)) {
		bool known, pending;

		sleep_until(irq, end);
		r = irq_device_look(&irq->device);
		/* Is anybody there? */
		if (r == CLI_OK)
			r = irq_device_pending(&irq->device, 0, &known, &pending);
	}
	stop = irq->o->rate && r == CLI_OK ? irq_device_ring_at(&irq->device, 0) : CLI_OK;
	return r == CLI_OK ? stop : r;
}

static uint64_t missing(const struct irq_device *device)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < device->count; i++) {
		const struct irq_vector *v = &device->vectors[i];

		sum += v->expected > v->arrived ? v->expected - v->arrived : 0;
	}
	return sum;
}

/* Takes what has arrived; a server may be slower with interrupts than with its answer. */
static int collect(struct irq *irq, unsigned step)
{
	const double end = now() + irq->o->timeout;
	int r = irq_device_look(&irq->device);

	while (r == CLI_OK && missing(&irq->device) && now() < end && !is_interrupted(irq)) {
		sleep_until(irq, end);
		r = irq_device_look(&irq->device);
	}
	irq->report.missing += missing(&irq->device);
	for (unsigned i = 0; i < irq->device.count; i++) {
		struct irq_vector *v = &irq->device.vectors[i];

		irq->report.rows[i].counts[step] = v->arrived;
		v->arrived = v->expected = 0;
	}
	return r;
}

static int do_step(struct irq *irq, unsigned step)
{
	const char *name = irq->o->steps[step];
	int r;

	if (strcmp(name, "ring") == 0)
		r = step_ring(irq);
	else if (strcmp(name, "wait") == 0)
		r = step_wait(irq);
	else
		r = irq_device_mask(&irq->device, strcmp(name, "mask") == 0);
	irq->report.steps[step] = name;
	irq->report.nsteps = step + 1;
	return r == CLI_OK ? collect(irq, step) : r;
}

static int do_steps(struct irq *irq)
{
	int r = irq_device_enable(&irq->device);

	for (unsigned i = 0; r == CLI_OK && i < irq->o->nsteps && !is_interrupted(irq); i++)
		r = do_step(irq, i);
	for (unsigned i = 0; r == CLI_OK && i < irq->device.count; i++) {
		struct irq_row *row = &irq->report.rows[i];

		if (irq->device.vectors[i].chosen)
			r = irq_device_pending(&irq->device, i, &row->pending_known, &row->pending);
	}
	return r;
}

/* ---- all ---- */

static int list(const struct irq_options *o)
{
	struct vfio_target target;
	struct pci_out out;
	int r = vfio_target_open(&target, "irq", o->target, o->timeout);

	if (r != CLI_OK)
		return r;
	pci_out_begin(&out, stdout, o->json);
	vfio_print_irqs(&target, &out);
	pci_out_end(&out);
	if (o->json)
		putchar('\n');
	vfio_target_close(&target);
	return CLI_OK;
}

static int default_index(const struct vfio_target *target, unsigned *ret)
{
	static const unsigned order[] = { PEAL_VFIO_IRQ_MSIX, PEAL_VFIO_IRQ_MSI,
					  PEAL_VFIO_IRQ_INTX };

	for (size_t i = 0; i < PEAL_COUNT_OF(order); i++) {
		struct peal_vfio_irq_info info;

		if (peal_vfio_irq_info(target->device, order[i], &info) == 0 && info.count) {
			*ret = order[i];
			return CLI_OK;
		}
	}
	return cli_error(CLI_FAILED, "irq", "%s: has no interrupts", target->name);
}

static int run(struct irq *irq, struct vfio_target *target)
{
	const struct irq_options *o = irq->o;
	unsigned index = o->index;
	int r = index == NO_INDEX ? default_index(target, &index) : CLI_OK;

	if (r == CLI_OK)
		r = irq_device_find(&irq->device, target, index, o->bell);
	if (r == CLI_OK)
		r = choose(&irq->device, o->vectors);
	if (r != CLI_OK)
		return r;
	r = do_steps(irq);
	irq_device_done(&irq->device);
	if (r != CLI_OK)
		return r;
	irq_report_print(&irq->report, &irq->device, o->json);
	if (irq->report.interrupted)
		return cli_error(CLI_FAILED, "irq", "interrupted");
	if (irq->report.missing)
		return cli_error(CLI_FAILED, "irq", "%" PRIu64 " interrupts did not arrive",
				 irq->report.missing);
	return CLI_OK;
}

static int take_signals(struct irq *irq)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	irq->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return irq->signals < 0 ? cli_error(CLI_FAILED, "irq", "signals: %s", strerror(errno))
				: CLI_OK;
}

/* The signals are taken before the client starts its thread, which inherits the mask. */
static int run_steps(const struct irq_options *o, struct irq *irq)
{
	struct vfio_target target;
	int r = take_signals(irq);

	if (r != CLI_OK)
		return r;
	irq->o = o;
	r = vfio_target_open(&target, "irq", o->target, o->timeout);
	if (r == CLI_OK) {
		r = run(irq, &target);
		vfio_target_close(&target);
	}
	(void)close(irq->signals);
	return r;
}

int irq_main(int argc, char **argv)
{
	struct irq_options o = { .index = NO_INDEX };
	struct irq *irq;
	int r = parse(&o, argc, argv);

	if (r >= 0)
		return r;
	if (!o.nsteps)
		return list(&o);
	irq = calloc(1, sizeof(*irq));
	if (!irq)
		return cli_error(CLI_FAILED, "irq", "out of memory");
	r = run_steps(&o, irq);
	free(irq);
	return r;
}
