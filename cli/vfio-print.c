/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vfio-user Protocol Specification 0.9: "VFIO_USER_VERSION", "VFIO_USER_DEVICE_GET_INFO", and those
 * of regions and interrupts. Nothing is written to the device.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <peal/bits.h>

#include "vfio-print.h"

#define HEADER_SIZE 64u
#define ROW_SIZE    16u

const char *const vfio_irq_names[] = { "intx", "msi", "msix", "err", "req", NULL };

static const char *const region_names[PEAL_VFIO_REGIONS] = {
	"BAR 0", "BAR 1", "BAR 2", "BAR 3", "BAR 4", "BAR 5", "ROM", "config", "VGA",
};

/* ---- as a PCI function ---- */

static uint32_t config_size(void *user)
{
	const struct vfio_target *target = user;
	struct peal_vfio_region_info info;

	if (peal_vfio_region_info(target->device, PEAL_VFIO_REGION_CONFIG, &info) < 0)
		return 0;
	if (info.size > PEAL_PCI_CONFIG_SIZE)
		return PEAL_PCI_CONFIG_SIZE;
	return (uint32_t)info.size & ~(ROW_SIZE - 1);
}

/* Not every server takes the whole space in one access: then as a kernel would read it. */
static int read_config(void *user, uint32_t offset, void *bytes, uint32_t size)
{
	const struct vfio_target *target = user;
	int r = peal_vfio_region_read(target->device, PEAL_VFIO_REGION_CONFIG, offset, bytes, size);

	for (uint32_t i = 0; r < 0 && i < size; i += 4) {
		int part = peal_vfio_region_read(target->device, PEAL_VFIO_REGION_CONFIG,
						 offset + i, (uint8_t *)bytes + i,
						 size - i < 4 ? size - i : 4);

		if (part < 0)
			return part;
		if (i + 4 >= size)
			r = 0;
	}
	return r;
}

static int region(void *user, unsigned index, struct pci_source_region *ret)
{
	const struct vfio_target *target = user;
	struct peal_vfio_region_info info;
	int r = peal_vfio_region_info(target->device, index, &info);

	if (r == 0)
		*ret = (struct pci_source_region){ .size = info.size };
	return r;
}

static int read_bar(void *user, unsigned index, uint64_t offset, unsigned size, uint64_t *ret)
{
	const struct vfio_target *target = user;
	uint8_t bytes[8];
	int r;

	if (index >= PEAL_VFIO_REGION_ROM)
		return -EINVAL;
	r = peal_vfio_region_read(target->device, index, offset, bytes, size);
	if (r == 0)
		*ret = peal_load_le(bytes, size);
	return r;
}

static const struct pci_source_ops source_ops = {
	.config_size = config_size,
	.read_config = read_config,
	.region = region,
	.read_bar = read_bar,
};

struct pci_source vfio_print_source(struct vfio_target *target)
{
	return (struct pci_source){ .ops = &source_ops, .user = target };
}

bool vfio_print_has_config(const struct vfio_target *target)
{
	struct peal_vfio_device_info info;

	return peal_vfio_get_info(target->device, &info) == 0 &&
	       info.flags & PEAL_VFIO_DEVICE_PCI &&
	       config_size((void *)(uintptr_t)target) >= HEADER_SIZE;
}

/* ---- the connection ---- */

/* Sizes of pages, as a mask: "4K 2M". */
static void print_page_sizes(struct pci_out *out, uint64_t sizes)
{
	pci_out_text(out, "pages of");
	for (unsigned bit = 0; bit < 64; bit++) {
		if (sizes >> bit & 1)
			pci_out_text(out, " %llu%c", 1ull << bit % 10, "BKMGTPE"[bit / 10]);
	}
}

static void print_limit(struct pci_out *out, const char *name, uint64_t value)
{
	pci_out_text(out, "%s %" PRIu64 ", ", name, value);
	pci_out_number(out, name, value);
}

static void print_connection(const struct vfio_target *target, struct pci_out *out)
{
	struct peal_vfu_agreement a;
	static const struct pci_flag flags[] = {
		{ 1, "twin_socket" }, { 2, "write_multiple" }, { 4, "migration" }, { 0, NULL }
	};

	peal_vfu_client_agreement(target->client, &a);
	pci_out_text(out, "\tvfio-user: version %u.%u, ", a.major, a.minor);
	pci_out_number(out, "major", a.major);
	pci_out_number(out, "minor", a.minor);
	pci_out_open(out, "capabilities");
	pci_out_flags(out,
		      (a.twin_socket ? 1u : 0) | (a.write_multiple ? 2u : 0) |
			      (a.migration ? 4u : 0),
		      flags, " ");
	pci_out_text(out, "\n\t\t");
	print_limit(out, "max_msg_fds", a.max_msg_fds);
	print_limit(out, "max_data_xfer_size", a.max_data_xfer_size);
	print_limit(out, "max_dma_maps", a.max_dma_maps);
	print_page_sizes(out, a.pgsizes);
	pci_out_number(out, "pgsizes", a.pgsizes);
	pci_out_text(out, "\n");
	pci_out_close(out);
}

static void print_device(const struct peal_vfio_device_info *info, struct pci_out *out)
{
	static const struct pci_flag flags[] = { { PEAL_VFIO_DEVICE_RESET, "reset" },
						 { PEAL_VFIO_DEVICE_PCI, "pci" },
						 { 0, NULL } };

	pci_out_text(out, "\t\t%u regions, %u kinds of interrupt, ", info->num_regions,
		     info->num_irqs);
	pci_out_open(out, "flags");
	pci_out_flags(out, info->flags, flags, " ");
	pci_out_close(out);
	pci_out_text(out, "\n");
}

/* ---- regions and interrupts ---- */

static void print_areas(const struct peal_vfio_region_info *info, struct pci_out *out)
{
	for (unsigned i = 0; i < info->nareas; i++) {
		const struct peal_vfio_area *area = &info->areas[i];

		pci_out_open_in(out, "areas");
		pci_out_number(out, "offset", area->offset);
		pci_out_number(out, "size", area->size);
		pci_out_close(out);
		pci_out_text(out, "%s0x%" PRIx64 "-0x%" PRIx64, i ? ", " : " ", area->offset,
			     area->offset + area->size - 1);
	}
}

static void print_region(const struct peal_vfio_region_info *info, unsigned index,
			 struct pci_out *out)
{
	static const struct pci_flag flags[] = { { PEAL_VFIO_REGION_READ, "read" },
						 { PEAL_VFIO_REGION_WRITE, "write" },
						 { PEAL_VFIO_REGION_MMAP, "mmap" },
						 { 0, NULL } };
	char name[24];

	(void)snprintf(name, sizeof(name), "region %u", index);
	if (index < PEAL_VFIO_REGIONS)
		(void)snprintf(name, sizeof(name), "%s", region_names[index]);
	pci_out_open_in(out, "regions");
	pci_out_number(out, "index", index);
	pci_out_string(out, "name", name);
	pci_out_number(out, "size", info->size);
	pci_out_text(out, "\t\t%-9s %12" PRIu64 "  ", name, info->size);
	pci_out_flags(out, info->flags, flags, " ");
	print_areas(info, out);
	pci_out_close(out);
	pci_out_text(out, "\n");
}

static void print_irq(const struct peal_vfio_irq_info *info, unsigned index, struct pci_out *out)
{
	static const struct pci_flag flags[] = { { PEAL_VFIO_IRQ_EVENTFD, "eventfd" },
						 { PEAL_VFIO_IRQ_MASKABLE, "maskable" },
						 { PEAL_VFIO_IRQ_AUTOMASKED, "automasked" },
						 { PEAL_VFIO_IRQ_NORESIZE, "noresize" },
						 { 0, NULL } };
	char name[24];

	(void)snprintf(name, sizeof(name), "index %u", index);
	if (index < PEAL_VFIO_IRQS)
		(void)snprintf(name, sizeof(name), "%s", vfio_irq_names[index]);
	pci_out_open_in(out, "irqs");
	pci_out_number(out, "index", index);
	pci_out_string(out, "name", name);
	pci_out_number(out, "count", info->count);
	pci_out_text(out, "\t\t%-9s %12" PRIu32 "  ", name, info->count);
	pci_out_flags(out, info->flags, flags, " ");
	pci_out_close(out);
	pci_out_text(out, "\n");
}

void vfio_print_irqs(const struct vfio_target *target, struct pci_out *out)
{
	struct peal_vfio_device_info device;
	bool head = true;

	if (peal_vfio_get_info(target->device, &device) < 0)
		return;
	for (unsigned i = 0; i < device.num_irqs; i++) {
		struct peal_vfio_irq_info info;

		if (peal_vfio_irq_info(target->device, i, &info) < 0 || !info.count)
			continue;
		if (head)
			pci_out_text(out, "\t\t%-9s %12s\n", "interrupt", "vectors");
		head = false;
		print_irq(&info, i, out);
	}
}

/* Regions without size and interrupts without vectors are left out: they are not there. */
void vfio_print(const struct vfio_target *target, struct pci_out *out)
{
	struct peal_vfio_device_info device;
	bool head = true;

	if (peal_vfio_get_info(target->device, &device) < 0)
		return;
	pci_out_open(out, "vfio_user");
	print_connection(target, out);
	print_device(&device, out);
	for (unsigned i = 0; i < device.num_regions; i++) {
		struct peal_vfio_region_info info;

		if (peal_vfio_region_info(target->device, i, &info) < 0 || !info.size)
			continue;
		if (head)
			pci_out_text(out, "\t\t%-9s %12s\n", "region", "bytes");
		head = false;
		print_region(&info, i, out);
	}
	vfio_print_irqs(target, out);
	pci_out_close(out);
}
