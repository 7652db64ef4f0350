/* SPDX-License-Identifier: BSD-2-Clause */
/* What the vfio-user benches serve. */
#include <unistd.h>

#include "vfu-device.h"

/* ---- the function ---- */

static uint64_t bar_read(void *user, uint64_t offset, unsigned size)
{
	const struct bench_vfu_device *device = user;

	(void)size;
	return offset == BENCH_VFU_WRITTEN ? device->writes : BENCH_VFU_VALUE;
}

static void bar_write(void *user, uint64_t offset, unsigned size, uint64_t value)
{
	struct bench_vfu_device *device = user;

	(void)offset;
	(void)size;
	(void)value;
	device->writes++;
}

static int add_function(struct bench_vfu_device *device)
{
	static const struct peal_pci_bar_ops ops = { .read = bar_read, .write = bar_write };
	const struct peal_pci_function_config config = {
		.host = peal_host_default(),
		.vendor_id = 0x1234,
		.device_id = 0x5678,
	};
	int r = peal_pci_function_new(&device->function, &config);

	if (r == 0)
		r = peal_pci_function_add_bar(device->function, BENCH_VFU_BAR, PEAL_PCI_BAR_MEM32,
					      BENCH_VFU_BAR_SIZE, &ops, device);
	if (r == 0)
		r = peal_pci_function_add_msix_exclusive(device->function, BENCH_VFU_VECTORS, 1);
	for (unsigned i = 0; r == 0 && i < BENCH_VFU_VECTORS; i++)
		r = peal_msix_use(peal_pci_function_msix(device->function), i);
	return r;
}

int bench_vfu_device_new(struct bench_vfu_device *device, uint32_t poll_us)
{
	struct peal_vfio_function_config vfio = { .host = peal_host_default(),
						  .triggers = peal_eventfds_ops() };
	struct peal_vfu_server_config server = { .host = peal_host_default(), .poll_us = poll_us };
	int r = peal_eventfds_new(&device->eventfds);

	if (r == 0)
		r = add_function(device);
	vfio.function = device->function;
	vfio.triggers_user = device->eventfds;
	if (r == 0)
		r = peal_vfio_function_new(&device->vfio, &vfio);
	if (r < 0)
		return r;
	server.device = peal_vfio_function_device(device->vfio);
	server.dma = peal_vfio_function_dma(device->vfio);
	server.irqset = peal_vfio_function_irqset(device->vfio);
	return peal_vfu_server_new(&device->server, &server);
}

void bench_vfu_device_done(struct bench_vfu_device *device)
{
	peal_vfu_server_free(device->server);
	peal_vfio_function_free(device->vfio);
	peal_pci_function_free(device->function);
	peal_eventfds_free(device->eventfds);
}

/* ---- in a process ---- */

static void serve(int fd, const void *user)
{
	struct bench_vfu_device device = { 0 };
	const uint32_t *poll_us = user;

	if (bench_vfu_device_new(&device, *poll_us) == 0)
		(void)peal_vfu_server_serve(device.server, fd);
	else
		(void)close(fd);
	bench_vfu_device_done(&device);
}

int bench_vfu_connect(struct bench_process *process, struct peal_vfu_client **ret,
		      struct bench_context *context, unsigned cpu, uint32_t poll_us, unsigned flags)
{
	const struct peal_vfu_client_config config = {
		.host = peal_host_default(),
		.poll_us = poll_us,
		.flags = flags,
	};
	int r = bench_process_start(process, context, cpu, serve, &poll_us);

	if (r == 0) {
		r = peal_vfu_client_new(ret, &config, process->fd);
		process->fd = -1;
	}
	return r;
}
