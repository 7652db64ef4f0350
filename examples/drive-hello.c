/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver in a plain process: drives the device that serve-hello (or any vfio-user server of such a
 * device) has at a socket. It enables MSI-X with an eventfd, rings the doorbell, and waits for the
 * interrupt.
 *
 *	cc drive-hello.c $(pkg-config --cflags --libs libpeal) -o drive-hello
 *	./drive-hello /tmp/hello.sock
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <peal/peal.h>

#define COMMAND    4 /* of configuration space, PCIe 7.5.1.1.3 */
#define MEMORY     0x2
#define BUS_MASTER 0x4
#define DOORBELL   0 /* of BAR 0 */
#define RINGS      3

static void check(int r, const char *what)
{
	if (r < 0) {
		fprintf(stderr, "drive-hello: %s: %s\n", what, strerror(-r));
		exit(1);
	}
}

/* VFIO_DEVICE_SET_IRQS: vector 0 of MSI-X signals FD from now on. */
static int enable_msix(struct peal_vfio_device *device, int32_t fd)
{
	const struct peal_irqset_request request = {
		.argsz = PEAL_VFIO_IRQ_REQUEST_SIZE + sizeof(fd),
		.flags = PEAL_VFIO_DATA_EVENTFD | PEAL_VFIO_ACTION_TRIGGER,
		.index = PEAL_VFIO_IRQ_MSIX,
		.start = 0,
		.count = 1,
	};

	return peal_vfio_set_irqs(device, &request, &fd, sizeof(fd));
}

static void ring(struct peal_vfio_device *device, int fd)
{
	const uint8_t one[4] = { 1 };
	uint8_t rings[4];
	uint64_t interrupts;

	check(peal_vfio_region_write(device, 0, DOORBELL, one, sizeof(one)), "ringing");
	if (read(fd, &interrupts, sizeof(interrupts)) != sizeof(interrupts))
		check(-errno, "waiting for the interrupt");
	check(peal_vfio_region_read(device, 0, DOORBELL, rings, sizeof(rings)), "reading");
	printf("ring %u: %" PRIu64 " interrupt\n", rings[0], interrupts);
}

int main(int argc, char **argv)
{
	const struct peal_vfu_client_config config = { .host = peal_host_default() };
	const uint8_t command[2] = { MEMORY | BUS_MASTER };
	struct peal_vfu_client *client;
	struct peal_vfio_device *device;
	uint8_t id[4];
	int fd = eventfd(0, EFD_CLOEXEC), socket;

	if (argc != 2) {
		fprintf(stderr, "usage: drive-hello PATH\n");
		return 2;
	}
	check(fd < 0 ? -errno : 0, "eventfd");
	check(peal_vfu_connect(&socket, argv[1]), argv[1]);
	check(peal_vfu_client_new(&client, &config, socket), "agreeing with the server");
	device = peal_vfu_client_device(client);
	check(peal_vfio_region_read(device, PEAL_VFIO_REGION_CONFIG, 0, id, sizeof(id)), "reading");
	printf("device %02x%02x:%02x%02x\n", id[1], id[0], id[3], id[2]);
	/* A message is a memory write of the device: it has to be a bus master. */
	check(peal_vfio_region_write(device, PEAL_VFIO_REGION_CONFIG, COMMAND, command,
				     sizeof(command)),
	      "writing the command register");
	check(enable_msix(device, fd), "enabling MSI-X");
	for (int i = 0; i < RINGS; i++)
		ring(device, fd);
	peal_vfu_client_free(client);
	(void)close(fd);
	return 0;
}
