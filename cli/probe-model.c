/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include <peal/bits.h>

#include "../examples/hello-device.h"
#include "model.h"
#include "options.h"
#include "probe-model.h"

#define IMAGE_SIZE 0x100000
#define BUS        1 /* as behind a root port */
#define WINDOW_IO  UINT64_C(0x1000)
#define WINDOW32   UINT64_C(0xc0000000)
#define WINDOW64   UINT64_C(0x8000000000)
#define WINDOW_MAX (UINT64_C(1) << 39)

struct probe_model {
	struct cli_model *device; /* else it is the bridge */
	struct peal_pci_bridge *bridge;
	struct peal_pci_function *function;
	struct peal_space *memory, *io;
	struct peal_pci_bus *bus;
	bool plugged;
};

/* A root port with an empty bus behind it: numbered, and with closed windows. */
static int make_bridge(struct probe_model *model)
{
	const struct peal_pci_function_config config = {
		.host = peal_host_default(),
		.vendor_id = HELLO_VENDOR_ID,
		.device_id = 0xe111,
		.class_code = 0x060400,
		.interrupt_pin = 1,
	};
	int r = peal_pci_bridge_new(&model->bridge, model->bus, 0, &config);

	if (r < 0)
		return r;
	model->function = peal_pci_bridge_function(model->bridge);
	peal_pci_config_write(model->function, 0x18, 4, BUS | (BUS + 1) << 8 | (BUS + 1) << 16);
	peal_pci_config_write(model->function, 0x1c, 2, 0x00f0);     /* I/O: base above limit */
	peal_pci_config_write(model->function, 0x20, 4, 0x0000fff0); /* memory */
	peal_pci_config_write(model->function, 0x24, 4, 0x0000fff0); /* prefetchable memory */
	return 0;
}

/* Those of the devices in their order, and one more. */
const char *const probe_model_names[] = { "blk", "rng", "bell", "hello", "bridge", NULL };

/* ---- the bus ---- */

static int deliver(void *user, const struct peal_msi_msg *msg)
{
	(void)user;
	(void)msg;
	return 1;
}

static const struct peal_msi_sink_ops sink_ops = { .deliver = deliver };

static int make_bus(struct probe_model *model)
{
	const struct peal_space_config space = { .host = peal_host_default() };
	struct peal_pci_bus_config config = {
		.host = peal_host_default(),
		.bus = BUS,
		.sink = { &sink_ops, NULL },
		.window32_address = WINDOW32,
		.window32_size = (UINT64_C(1) << 32) - WINDOW32,
		.window64_address = WINDOW64,
		.window64_size = WINDOW_MAX,
	};
	int r = peal_space_new(&model->memory, &space);

	if (r == 0)
		r = peal_space_new(&model->io, &space);
	if (r < 0)
		return r;
	config.memory = model->memory;
	config.dma = model->memory;
	config.io = model->io;
	return peal_pci_bus_new(&model->bus, &config);
}

/* Places the regions and lets them decode, as firmware would. */
static void place(struct peal_pci_function *function)
{
	uint64_t next[3] = { WINDOW_IO, WINDOW32, WINDOW64 };
	uint64_t command = 0;

	for (unsigned i = 0; i < PEAL_PCI_BARS; i++) {
		uint64_t size = peal_pci_bar_size(function, i), address;
		uint32_t flags = (uint32_t)peal_pci_config_read(function, 0x10 + 4 * i, 4);
		bool io = flags & PEAL_PCI_BAR_IO, wide = !io && flags & PEAL_PCI_BAR_MEM64;
		uint64_t *at = &next[io ? 0 : wide ? 2 : 1];

		if (!size)
			continue;
		address = peal_round_up(*at, size);
		peal_pci_config_write(function, 0x10 + 4 * i, wide ? 8 : 4, address);
		*at = address + size;
		command |= io ? 1 : 2;
	}
	peal_pci_config_write(function, 0x04, 2, command);
}

/* ---- both ---- */

static int make_device(struct probe_model *model, unsigned index)
{
	const struct cli_model_config config = { .name = "probe", .image_size = IMAGE_SIZE };
	int r = cli_model_new(&model->device, index, &config);

	if (r != CLI_OK)
		return r;
	model->function = cli_model_function(model->device);
	r = peal_pci_bus_plug(model->bus, 0, model->function);
	PEAL_ASSERT(r == 0); /* nothing else is there */
	model->plugged = true;
	return CLI_OK;
}

static int make(struct probe_model *model, unsigned index)
{
	int r = make_bus(model);

	if (r == 0 && cli_model_names[index])
		return make_device(model, index);
	if (r == 0)
		r = make_bridge(model);
	return r < 0 ? cli_error(CLI_FAILED, "probe", "%s", strerror(-r)) : CLI_OK;
}

int probe_model_new(struct probe_model **ret, unsigned index)
{
	struct probe_model *model = calloc(1, sizeof(*model));
	int r;

	if (!model)
		return cli_error(CLI_FAILED, "probe", "out of memory");
	r = make(model, index);
	if (r != CLI_OK) {
		probe_model_free(model);
		return r;
	}
	place(model->function);
	*ret = model;
	return CLI_OK;
}

void probe_model_free(struct probe_model *model)
{
	if (!model)
		return;
	if (model->plugged)
		peal_pci_bus_unplug(model->bus, model->function);
	cli_model_free(model->device);
	peal_pci_bridge_free(model->bridge);
	peal_pci_bus_free(model->bus);
	peal_space_free(model->io);
	peal_space_free(model->memory);
	free(model);
}

struct peal_pci_function *probe_model_function(struct probe_model *model)
{
	return model->function;
}
