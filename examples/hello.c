/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other side of hello-device.c: a bus with the device in it, a sink that takes its interrupt
 * messages, and what a guest does until the first of them arrives.
 *
 *	cc hello*.c $(pkg-config --cflags --libs libpeal) -o hello && ./hello
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "hello-device.h"

#define WINDOW   UINT64_C(0xc0000000) /* where the guest may put BARs */
#define DOORBELL WINDOW
#define TABLE    (WINDOW + 4096)

static void check(int r, const char *what)
{
	if (r < 0) {
		fprintf(stderr, "hello: %s: %s\n", what, strerror(-r));
		exit(1);
	}
}

/* In a machine, this is an interrupt controller. */
static int deliver(void *user, const struct peal_msi_msg *msg)
{
	*(unsigned *)user += 1;
	printf("function %02x:%02x.%x sent %#" PRIx32 " to %#" PRIx64 "\n",
	       msg->requester_id >> 8 & 0xff, msg->requester_id >> 3 & 0x1f, msg->requester_id & 7,
	       msg->data, msg->address);
	return 1;
}

static const struct peal_msi_sink_ops sink_ops = { .deliver = deliver };

/* A store of the guest's CPU. */
static void store(struct peal_space *memory, uint64_t address, uint32_t value)
{
	uint8_t bytes[4];

	peal_store_le(bytes, 4, value);
	check(peal_space_write(memory, address, bytes, 4), "store");
}

static uint32_t find_capability(struct peal_pci_function *function, uint8_t id)
{
	uint32_t at = (uint32_t)peal_pci_config_read(function, 0x34, 1);

	while (at && peal_pci_config_read(function, at, 1) != id)
		at = (uint32_t)peal_pci_config_read(function, at + 1, 1);
	return at;
}

static void be_the_guest(struct peal_pci_function *function, struct peal_space *memory)
{
	uint32_t msix = find_capability(function, 0x11), mask;

	peal_pci_config_write(function, 0x10, 4, 0xffffffff); /* how large is BAR 0? */
	mask = (uint32_t)peal_pci_config_read(function, 0x10, 4);
	printf("BAR 0 takes %" PRIu32 " bytes\n", ~(mask & ~0xfu) + 1);
	peal_pci_config_write(function, 0x10, 4, DOORBELL);
	peal_pci_config_write(function, 0x14, 4, TABLE);
	peal_pci_config_write(function, 0x04, 2, 0x0006);     /* memory and bus master on */
	peal_pci_config_write(function, msix + 2, 2, 0x8000); /* MSI-X on */
	store(memory, TABLE + 0, 0xfee00000);                 /* vector 0: address, low */
	store(memory, TABLE + 4, 0);                          /* and high */
	store(memory, TABLE + 8, 0x41);                       /* data */
	store(memory, DOORBELL, 1);                           /* masked: it waits */
	printf("the doorbell was rung, the vector is masked\n");
	store(memory, TABLE + 12, 0); /* unmasked: here it is */
}

int main(void)
{
	const struct peal_host *host = peal_host_default();
	const struct peal_space_config space_config = { .host = host };
	unsigned messages = 0;
	struct peal_pci_bus_config bus_config = {
		.host = host,
		.sink = { &sink_ops, &messages },
		.window32_address = WINDOW,
		.window32_size = UINT64_C(1) << 20,
	};
	struct peal_space *memory;
	struct peal_pci_bus *bus;
	struct hello *hello;

	check(peal_space_new(&memory, &space_config), "address space");
	bus_config.memory = bus_config.dma = memory;
	check(peal_pci_bus_new(&bus, &bus_config), "bus");
	check(hello_new(&hello, host), "device");
	check(peal_pci_bus_plug(bus, 1 << 3, hello_function(hello)), "plug");

	be_the_guest(hello_function(hello), memory);

	peal_pci_bus_unplug(bus, hello_function(hello));
	hello_free(hello);
	peal_pci_bus_free(bus);
	peal_space_free(memory);
	return messages == 1 ? 0 : 1;
}
