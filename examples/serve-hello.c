/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device of your own for QEMU: hello-device.c, served at a socket until SIGTERM. The guest sees a
 * PCI device; the MSI-X vector that it raises arrives in the guest's driver.
 *
 *	cc serve-hello.c hello-device*.c $(pkg-config --cflags --libs libpeal) -o serve-hello
 *	./serve-hello /tmp/hello.sock
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "hello-device.h"

static struct peal_vfu_server *server;

static void check(int r, const char *what)
{
	if (r < 0) {
		fprintf(stderr, "serve-hello: %s: %s\n", what, strerror(-r));
		exit(1);
	}
}

static void stop(int signal)
{
	(void)signal;
	peal_vfu_server_stop(server);
}

int main(int argc, char **argv)
{
	const struct peal_host *host = peal_host_default();
	struct peal_vfio_function_config function = { .host = host };
	struct peal_vfu_server_config config = { .host = host };
	struct peal_eventfds *eventfds;
	struct peal_vfio_function *vfio;
	struct hello *hello;
	int listener;

	if (argc != 2) {
		fprintf(stderr, "usage: serve-hello PATH\n");
		return 2;
	}
	/* The device, as it would be plugged into any bus. */
	check(hello_new(&hello, host), "device");
	/* As a VFIO device: its vectors go to eventfds, which QEMU hands over. */
	check(peal_eventfds_new(&eventfds), "eventfds");
	function.function = hello_function(hello);
	function.triggers = peal_eventfds_ops();
	function.triggers_user = eventfds;
	check(peal_vfio_function_new(&vfio, &function), "VFIO device");
	/* Over a socket. */
	config.device = peal_vfio_function_device(vfio);
	config.dma = peal_vfio_function_dma(vfio);
	config.irqset = peal_vfio_function_irqset(vfio);
	check(peal_vfu_server_new(&server, &config), "server");
	check(peal_vfu_listen(&listener, argv[1]), argv[1]);
	(void)signal(SIGTERM, stop);
	(void)signal(SIGINT, stop);
	printf("ready\n");
	(void)fflush(stdout);
	check(peal_vfu_server_run(server, listener), "serving");

	(void)close(listener);
	(void)unlink(argv[1]);
	peal_vfu_server_free(server);
	peal_vfio_function_free(vfio);
	peal_eventfds_free(eventfds);
	hello_free(hello);
	return 0;
}
