/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vfu-plain SOCKET [msix]: serves a device with one register, which counts what is written to it,
 * with or without MSI-X: otherwise they are the same. Prints `ready`, and when a client has left
 * `left CLIENTS DMA-MAPS ERRORS`; ends by SIGTERM.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <peal/pci.h>
#include <peal/vfio-function.h>
#include <peal/vfio-user.h>

#define VENDOR_ID  0x1234
#define DEVICE_ID  0x9a1b
#define CLASS_CODE 0xff0000
#define BAR_SIZE   4096u
#define VECTORS    4u

struct plain {
	uint64_t writes;
	struct peal_pci_function *function;
	struct peal_vfio_function *vfio;
	struct peal_eventfds *eventfds;
	struct peal_vfu_server *server;
	int fd;
};

static uint64_t bar_read(void *user, uint64_t offset, unsigned size)
{
	(void)size;
	return offset == 0 ? ((struct plain *)user)->writes : 0;
}

static void bar_write(void *user, uint64_t offset, unsigned size, uint64_t value)
{
	(void)size;
	(void)value;
	if (offset == 0)
		((struct plain *)user)->writes++;
}

static int make_function(struct plain *plain, bool msix)
{
	static const struct peal_pci_bar_ops bar = { .read = bar_read, .write = bar_write };
	const struct peal_pci_function_config config = {
		.host = peal_host_default(),
		.vendor_id = VENDOR_ID,
		.device_id = DEVICE_ID,
		.class_code = CLASS_CODE,
		.interrupt_pin = 1,
		.user = plain,
	};
	const struct peal_msi_config msi = { .vectors = 1, .wide = true };
	int r = peal_pci_function_new(&plain->function, &config);

	if (r == 0)
		r = peal_pci_function_add_bar(plain->function, 0, PEAL_PCI_BAR_MEM32, BAR_SIZE,
					      &bar, plain);
	if (r == 0)
		r = peal_pci_function_add_pci_express(plain->function);
	if (r == 0)
		r = peal_pci_function_add_msi(plain->function, &msi);
	if (r == 0 && msix)
		r = peal_pci_function_add_msix_exclusive(plain->function, VECTORS, 1);
	return r;
}

static int make(struct plain *plain, const char *path, bool msix)
{
	struct peal_vfio_function_config function = {
		.host = peal_host_default(),
		.triggers = peal_eventfds_ops(),
	};
	struct peal_vfu_server_config server = { .host = peal_host_default() };
	int r = make_function(plain, msix);

	if (r == 0)
		r = peal_eventfds_new(&plain->eventfds);
	if (r < 0)
		return r;
	function.function = plain->function;
	function.triggers_user = plain->eventfds;
	r = peal_vfio_function_new(&plain->vfio, &function);
	if (r < 0)
		return r;
	server.device = peal_vfio_function_device(plain->vfio);
	server.dma = peal_vfio_function_dma(plain->vfio);
	server.irqset = peal_vfio_function_irqset(plain->vfio);
	r = peal_vfu_server_new(&plain->server, &server);
	return r < 0 ? r : peal_vfu_listen(&plain->fd, path);
}

int main(int argc, char **argv)
{
	static struct plain plain;
	struct peal_vfu_counters c;
	int r = argc < 2 ? -EINVAL
			 : make(&plain, argv[1], argc > 2 && strcmp(argv[2], "msix") == 0);

	if (r == 0) {
		puts("ready");
		(void)fflush(stdout);
	}
	while (r == 0) {
		int fd = accept4(plain.fd, NULL, NULL, SOCK_CLOEXEC);

		r = fd < 0 ? -errno : peal_vfu_server_serve(plain.server, fd);
		peal_vfu_server_counters(plain.server, &c);
		printf("left %llu %llu %llu\n", (unsigned long long)c.clients,
		       (unsigned long long)c.dma_maps, (unsigned long long)c.errors);
		(void)fflush(stdout);
	}
	(void)fprintf(stderr, "vfu-plain: %s\n", strerror(-r));
	return 1;
}
