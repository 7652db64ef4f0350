/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <peal/bits.h>
#include <peal/virtio.h>

#include "../examples/hello-device.h"
#include "probe-model.h"

#define IMAGE_SIZE 0x100000
#define BUS        1 /* as behind a root port */
#define WINDOW_IO  UINT64_C(0x1000)
#define WINDOW32   UINT64_C(0xc0000000)
#define WINDOW64   UINT64_C(0x8000000000)
#define WINDOW_MAX (UINT64_C(1) << 39)

struct kind {
	int (*make)(struct probe_model *model, struct peal_pci_function **ret);
	void (*free)(struct probe_model *model);
	bool plugs; /* make has plugged it, and free unplugs it */
};

struct probe_model {
	const struct kind *kind;
	void *device;
	struct peal_blk_file *file;
	struct peal_pci_function *function;
	struct peal_space *memory, *io;
	struct peal_pci_bus *bus;
	bool plugged;
};

/* ---- the devices ---- */

/* A disk needs a medium: memory that has a name while this process lives. */
static int open_image(struct peal_blk_file **ret)
{
	struct peal_blk_file_config config = { .host = peal_host_default(), .writable = true };
	char path[32];
	int fd = memfd_create("peal-probe", MFD_CLOEXEC), r;

	if (fd < 0 || ftruncate(fd, IMAGE_SIZE) < 0) {
		r = -errno;
	} else {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		config.path = path;
		r = peal_blk_file_open(ret, &config, NULL);
	}
	if (fd >= 0)
		(void)close(fd);
	return r;
}

static int make_blk(struct probe_model *model, struct peal_pci_function **ret)
{
	struct peal_virtio_blk_config config = { .host = peal_host_default() };
	struct peal_virtio_blk *blk;
	int r = open_image(&model->file);

	if (r < 0)
		return r;
	config.backend = peal_blk_file_backend(model->file);
	r = peal_virtio_blk_new(&blk, &config);
	if (r < 0)
		return r;
	model->device = blk;
	*ret = peal_virtio_blk_function(blk);
	return 0;
}

static void free_blk(struct probe_model *model)
{
	peal_virtio_blk_free(model->device);
	peal_blk_file_close(model->file);
}

static int make_rng(struct probe_model *model, struct peal_pci_function **ret)
{
	const struct peal_virtio_rng_config config = { .host = peal_host_default() };
	struct peal_virtio_rng *rng;
	int r = peal_virtio_rng_new(&rng, &config);

	if (r < 0)
		return r;
	model->device = rng;
	*ret = peal_virtio_rng_function(rng);
	return 0;
}

static void free_rng(struct probe_model *model)
{
	peal_virtio_rng_free(model->device);
}

static int make_hello(struct probe_model *model, struct peal_pci_function **ret)
{
	struct hello *hello;
	int r = hello_new(&hello, peal_host_default());

	if (r < 0)
		return r;
	model->device = hello;
	*ret = hello_function(hello);
	return 0;
}

static void free_hello(struct probe_model *model)
{
	hello_free(model->device);
}

/* A root port with an empty bus behind it: numbered, and with closed windows. */
static int make_bridge(struct probe_model *model, struct peal_pci_function **ret)
{
	const struct peal_pci_function_config config = {
		.host = peal_host_default(),
		.vendor_id = HELLO_VENDOR_ID,
		.device_id = 0xe111,
		.class_code = 0x060400,
		.interrupt_pin = 1,
	};
	struct peal_pci_bridge *bridge;
	int r = peal_pci_bridge_new(&bridge, model->bus, 0, &config);

	if (r < 0)
		return r;
	model->device = bridge;
	*ret = peal_pci_bridge_function(bridge);
	peal_pci_config_write(*ret, 0x18, 4, BUS | (BUS + 1) << 8 | (BUS + 1) << 16);
	peal_pci_config_write(*ret, 0x1c, 2, 0x00f0);     /* I/O: base above limit */
	peal_pci_config_write(*ret, 0x20, 4, 0x0000fff0); /* memory */
	peal_pci_config_write(*ret, 0x24, 4, 0x0000fff0); /* prefetchable memory */
	return 0;
}

static void free_bridge(struct probe_model *model)
{
	peal_pci_bridge_free(model->device);
}

const char *const probe_model_names[] = { "blk", "rng", "hello", "bridge", NULL };

static const struct kind kinds[] = {
	{ .make = make_blk, .free = free_blk },
	{ .make = make_rng, .free = free_rng },
	{ .make = make_hello, .free = free_hello },
	{ .make = make_bridge, .free = free_bridge, .plugs = true },
};

_Static_assert(PEAL_COUNT_OF(kinds) + 1 == PEAL_COUNT_OF(probe_model_names), "a name each");

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

int probe_model_new(struct probe_model **ret, unsigned index)
{
	struct probe_model *model = calloc(1, sizeof(*model));
	int r;

	if (!model)
		return -ENOMEM;
	model->kind = &kinds[index];
	r = make_bus(model);
	if (r == 0)
		r = model->kind->make(model, &model->function);
	if (r == 0 && !model->kind->plugs)
		r = peal_pci_bus_plug(model->bus, 0, model->function);
	if (r < 0) {
		probe_model_free(model);
		return r;
	}
	model->plugged = !model->kind->plugs;
	place(model->function);
	*ret = model;
	return 0;
}

void probe_model_free(struct probe_model *model)
{
	if (!model)
		return;
	if (model->plugged)
		peal_pci_bus_unplug(model->bus, model->function);
	model->kind->free(model);
	peal_pci_bus_free(model->bus);
	peal_space_free(model->io);
	peal_space_free(model->memory);
	free(model);
}

struct peal_pci_function *probe_model_function(struct probe_model *model)
{
	return model->function;
}
