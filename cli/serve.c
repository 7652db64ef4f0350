/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `peal serve`: a device for QEMU, or for another client of vfio-user.
 *
 * The main thread serves. Signals are blocked in every thread and taken by one of their own:
 * SIGTERM and SIGINT end the program cleanly, SIGUSR1 prints the statistics.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <jansson.h>
#include <peal/vfio-function.h>
#include <peal/vfio-user.h>
#include <peal/virtio.h>

#include "commands.h"
#include "json-text.h"
#include "model.h"
#include "options.h"
#include "sandbox.h"
#include "serve-output.h"
#include "serve-socket.h"

#define MEMORY_DISK (UINT64_C(64) << 20)
#define POLL_US     1000u

struct options {
	unsigned model;
	const char *socket_path, *disk;
	uint64_t fd, queues, vectors;
	bool read_only, no_msix, poll, json, no_sandbox;
};

struct serve {
	struct options o;
	struct cli_model *model;
	struct peal_eventfds *eventfds;
	struct peal_vfio_function *vfio;
	struct peal_vfu_server *server;
	struct serve_socket socket;
	struct serve_output output;
	pthread_t signals;
	bool over; /* nothing is to be taken any more */
};

/* ---- options ---- */

static int parse_model(struct options *o, const char *name)
{
	if (!name)
		return cli_error(CLI_USAGE, "serve", "which device? One of blk, rng, bell, hello");
	for (o->model = 0; cli_model_names[o->model]; o->model++) {
		if (strcmp(name, cli_model_names[o->model]) == 0)
			return -1;
	}
	return cli_error(CLI_USAGE, "serve", "%s: no such device; one of blk, rng, bell, hello",
			 name);
}

static bool is(const struct options *o, const char *model)
{
	return strcmp(cli_model_names[o->model], model) == 0;
}

/* Options that the device cannot take are mistakes. */
static int check(const struct options *o)
{
	if (!is(o, "blk") && (o->disk || o->read_only || o->queues))
		return cli_error(CLI_USAGE, "serve", "%s is for blk, not for %s",
				 o->disk        ? "--disk"
				 : o->read_only ? "--read-only"
						: "--queues",
				 cli_model_names[o->model]);
	if (!is(o, "blk") && !is(o, "rng") && o->no_msix)
		return cli_error(CLI_USAGE, "serve", "--no-msix is for blk and rng, not for %s",
				 cli_model_names[o->model]);
	if (!is(o, "bell") && o->vectors)
		return cli_error(CLI_USAGE, "serve", "--vectors is for bell, not for %s",
				 cli_model_names[o->model]);
	if (o->socket_path && o->fd != SERVE_SOCKET_NO_FD)
		return cli_error(CLI_USAGE, "serve", "--socket-path and --fd exclude each other");
	return -1;
}

static int parse(struct options *o, int argc, char **argv)
{
	const struct cli_option options[] = {
		{ .name = "socket-path",
		  .kind = CLI_STRING,
		  .value = &o->socket_path,
		  .argument = "PATH",
		  .help = "Listen at this socket; the file is removed at the end." },
		{ .name = "fd",
		  .kind = CLI_NUMBER,
		  .value = &o->fd,
		  .max = 65535,
		  .argument = "FDNUM",
		  .help = "Use this socket: a connected one for one client, or a listening one." },
		{ .name = "disk",
		  .kind = CLI_STRING,
		  .value = &o->disk,
		  .argument = "FILE",
		  .help = "blk: the disk image or block device. Default: 64 MiB of memory, whose "
			  "content is lost at the end." },
		{ .name = "queues",
		  .kind = CLI_NUMBER,
		  .value = &o->queues,
		  .min = 1,
		  .max = PEAL_VIRTIO_QUEUES_MAX,
		  .argument = "N",
		  .help = "blk: number of queues, each with a thread. Default 1." },
		{ .name = "read-only",
		  .kind = CLI_FLAG,
		  .value = &o->read_only,
		  .help = "blk: open the image read-only, and tell the guest." },
		{ .name = "no-msix",
		  .kind = CLI_FLAG,
		  .value = &o->no_msix,
		  .help = "blk, rng: have INTx only. QEMU 11.1 ends when a device with MSI-X is "
			  "unplugged; one without can be." },
		{ .name = "vectors",
		  .kind = CLI_NUMBER,
		  .value = &o->vectors,
		  .min = 1,
		  .max = 2048,
		  .argument = "N",
		  .help = "bell: number of interrupt vectors. Default 64." },
		{ .name = "poll",
		  .kind = CLI_FLAG,
		  .value = &o->poll,
		  .help = "Look for the next request for a millisecond before sleeping: faster, "
			  "and takes a CPU while the client is busy." },
		{ .name = "no-sandbox",
		  .kind = CLI_FLAG,
		  .value = &o->no_sandbox,
		  .help = "Keep all system calls. Default: only those that serving takes." },
		{ .name = "json",
		  .kind = CLI_FLAG,
		  .value = &o->json,
		  .help = "Print events (ready, statistics) as JSON, one object a line." },
		{ 0 },
	};
	const struct cli_command command = {
		.name = "serve",
		.line = "Serves a device over vfio-user, to QEMU and others, one client at a time. "
			"A line says when\nit is ready. SIGUSR1 prints statistics, SIGTERM ends "
			"it; the device keeps its state between\nclients. Without --socket-path "
			"and --fd, the socket is taken from systemd (LISTEN_FDS).",
		.synopsis = "MODEL --socket-path=PATH|--fd=FDNUM [OPTIONS]",
		.example =
			"  peal serve blk --socket-path=/run/peal.sock --disk disk.img --queues 4\n"
			"  qemu-system-x86_64 -M q35,memory-backend=mem -m 1G \\\n"
			"    -object memory-backend-memfd,id=mem,size=1G,share=on \\\n"
			"    -device '{\"driver\":\"vfio-user-pci\",\"socket\":{\"type\":\"unix\","
			"\"path\":\"/run/peal.sock\"}}'",
		.options = options,
		.max_arguments = 1,
	};
	const char *words[2];
	int r = cli_parse(&command, argc, argv, words);

	if (r < 0)
		r = parse_model(o, words[0]);
	return r < 0 ? check(o) : r;
}

/* ---- statistics ---- */

static json_t *interrupts(struct peal_irqset *irqset)
{
	static const char *const names[PEAL_VFIO_IRQS] = { "intx", "msi", "msix", "err", "req" };
	json_t *all = json_array();

	for (unsigned index = 0; index < PEAL_VFIO_IRQS; index++) {
		struct peal_vfio_irq_info info;

		if (peal_irqset_info(irqset, index, &info) < 0)
			continue;
		for (unsigned v = 0; v < info.count; v++) {
			struct peal_irqset_counters c;

			peal_irqset_counters(irqset, index, v, &c);
			if (c.signalled || c.missed)
				json_array_append_new(
					all, json_pack("{s:s,s:i,s:I,s:I}", "index", names[index],
						       "vector", (int)v, "signalled",
						       (json_int_t)c.signalled, "missed",
						       (json_int_t)c.missed));
		}
	}
	return all;
}

static json_t *statistics(struct serve *s)
{
	struct peal_vfu_counters c;

	peal_vfu_server_counters(s->server, &c);
	return json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:o}", "event", "statistics",
			 "model", cli_model_names[s->o.model], "clients", (json_int_t)c.clients,
			 "commands", (json_int_t)c.commands, "errors", (json_int_t)c.errors,
			 "dma_maps", (json_int_t)c.dma_maps, "dma_remote", (json_int_t)c.dma_remote,
			 "dma_failed", (json_int_t)c.dma_failed, "truncated",
			 (json_int_t)c.truncated, "device", cli_model_statistics(s->model),
			 "interrupts", interrupts(peal_vfio_function_irqset(s->vfio)));
}

static void print_member(FILE *to, const char *name, const json_t *value)
{
	if (json_is_integer(value))
		fprintf(to, "  %-14s %12lld\n", name, (long long)json_integer_value(value));
}

static void print_text(FILE *to, json_t *all)
{
	const char *name;
	json_t *value;
	size_t i;

	fprintf(to, "statistics of %s\n", json_string_value(json_object_get(all, "model")));
	json_object_foreach(all, name, value) print_member(to, name, value);
	json_object_foreach(json_object_get(all, "device"), name, value)
		print_member(to, name, value);
	json_array_foreach(json_object_get(all, "interrupts"), i, value)
		fprintf(to, "  %s %lld: %lld signalled, %lld missed\n",
			json_string_value(json_object_get(value, "index")),
			(long long)json_integer_value(json_object_get(value, "vector")),
			(long long)json_integer_value(json_object_get(value, "signalled")),
			(long long)json_integer_value(json_object_get(value, "missed")));
}

/* One line. */
static void print_json(FILE *to, const json_t *object)
{
	if (object && json_dumpf(object, to, JSON_COMPACT) == 0)
		fputc('\n', to);
}

static void print_statistics(struct serve *s)
{
	json_t *all = statistics(s);
	FILE *to = serve_output_begin(&s->output);

	if (to && all && !s->o.json)
		print_text(to, all);
	else if (to)
		print_json(to, all);
	if (to)
		serve_output_end(&s->output);
	json_decref(all);
}

static void print_ready(struct serve *s)
{
	const char *where = s->o.socket_path;
	FILE *to = serve_output_begin(&s->output);
	char fd[32];

	if (!to)
		return;
	if (!where) {
		(void)snprintf(fd, sizeof(fd), "descriptor %d", s->socket.fd);
		where = fd;
	}
	if (s->o.json) {
		json_t *ready = json_pack("{s:s,s:s,s:o,s:i}", "event", "ready", "model",
					  cli_model_names[s->o.model], "socket", json_text(where),
					  "pid", (int)getpid());

		print_json(to, ready);
		json_decref(ready);
	} else {
		fprintf(to, "%s is ready at %s\n", cli_model_names[s->o.model], where);
	}
	serve_output_end(&s->output);
}

/* ---- signals ---- */

static void set_of_signals(sigset_t *set)
{
	(void)sigemptyset(set);
	(void)sigaddset(set, SIGTERM);
	(void)sigaddset(set, SIGINT);
	(void)sigaddset(set, SIGUSR1);
}

static void *take_signals(void *argument)
{
	struct serve *s = argument;
	sigset_t set;
	int signal;

	set_of_signals(&set);
	for (;;) {
		if (sigwait(&set, &signal) != 0)
			continue;
		if (__atomic_load_n(&s->over, __ATOMIC_SEQ_CST))
			return NULL;
		if (signal == SIGUSR1)
			print_statistics(s);
		else
			peal_vfu_server_stop(s->server);
	}
}

/* ---- making it ---- */

static int failed(const char *what, int r)
{
	return cli_error(CLI_FAILED, "serve", "%s: %s", what, strerror(-r));
}

static int make_server(struct serve *s)
{
	struct peal_vfio_function_config function = {
		.host = peal_host_default(),
		.function = cli_model_function(s->model),
		.triggers = peal_eventfds_ops(),
	};
	struct peal_vfu_server_config server = {
		.host = peal_host_default(),
		.poll_us = s->o.poll ? POLL_US : 0,
	};
	int r = peal_eventfds_new(&s->eventfds);

	if (r < 0)
		return failed("eventfds", r);
	function.triggers_user = s->eventfds;
	r = peal_vfio_function_new(&s->vfio, &function);
	if (r < 0)
		return failed("the device as a VFIO device", r);
	server.device = peal_vfio_function_device(s->vfio);
	server.dma = peal_vfio_function_dma(s->vfio);
	server.irqset = peal_vfio_function_irqset(s->vfio);
	r = peal_vfu_server_new(&s->server, &server);
	return r < 0 ? failed("server", r) : CLI_OK;
}

static int make(struct serve *s)
{
	const struct cli_model_config config = {
		.name = "serve",
		.disk = s->o.disk,
		.image_size = MEMORY_DISK,
		.read_only = s->o.read_only,
		.queues = (unsigned)s->o.queues,
		.workers = PEAL_VIRTIO_WORKER_PER_QUEUE,
		.vectors = (unsigned)s->o.vectors,
		.no_msix = s->o.no_msix,
	};
	int r = CLI_OK;

	/* Before a descriptor of ours gets a number that was to be another's. */
	if (!s->o.socket_path)
		r = serve_socket_open(&s->socket, NULL, s->o.fd);
	if (r == CLI_OK)
		r = cli_model_new(&s->model, s->o.model, &config);
	if (r == CLI_OK)
		r = make_server(s);
	/* A path last: who can connect is served. */
	if (r == CLI_OK && s->o.socket_path)
		r = serve_socket_open(&s->socket, s->o.socket_path, s->o.fd);
	return r;
}

static void take_down(struct serve *s)
{
	peal_vfu_server_free(s->server);
	peal_vfio_function_free(s->vfio);
	peal_eventfds_free(s->eventfds);
	cli_model_free(s->model);
	serve_socket_close(&s->socket);
}

static int enter_sandbox(const struct serve *s)
{
	int r;

	/* Reads /dev/urandom, which cannot be opened from within. */
	json_object_seed(0);
	r = s->o.no_sandbox ? 0 : sandbox_enter();

	/* Where it cannot be had the user decides, who may have another one around. */
	if (r < 0)
		return cli_error(CLI_FAILED, "serve", "sandbox: %s; --no-sandbox goes without it",
				 r == -ENOSYS    ? "built without libseccomp"
				 : r == -ENOTSUP ? "seccomp(2) is forbidden here (a unit has to "
						   "have it in SystemCallFilter=)"
						 : strerror(-r));
	return CLI_OK;
}

/* ---- running ---- */

static int serve(struct serve *s)
{
	int r;

	if (s->socket.is_listening)
		r = peal_vfu_server_run(s->server, s->socket.fd);
	else
		r = peal_vfu_server_serve(s->server, s->socket.fd);
	if (r < 0)
		return failed(s->socket.is_listening ? "listening socket" : "client", r);
	return CLI_OK;
}

/* A client may send a descriptor for each of 2,048 vectors, and the usual limit is 1,024. */
static void allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

int serve_main(int argc, char **argv)
{
	struct serve s = { .o = { .fd = SERVE_SOCKET_NO_FD },
			   .socket = { .fd = -1 },
			   .output = SERVE_OUTPUT_INIT };
	sigset_t set;
	int r = parse(&s.o, argc, argv);

	if (r >= 0)
		return r;
	/* Before the first thread is made, so that all of them inherit it. */
	set_of_signals(&set);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
	allow_descriptors();
	r = make(&s);
	if (r == CLI_OK) {
		int error = pthread_create(&s.signals, NULL, take_signals, &s);

		r = error ? failed("thread", -error) : enter_sandbox(&s);
		if (r == CLI_OK) {
			print_ready(&s);
			r = serve(&s);
			print_statistics(&s);
		}
		if (!error) {
			__atomic_store_n(&s.over, true, __ATOMIC_SEQ_CST);
			(void)pthread_kill(s.signals, SIGTERM);
			(void)pthread_join(s.signals, NULL);
		}
	}
	take_down(&s);
	return serve_output_check(&s.output, r);
}
