/* SPDX-License-Identifier: BSD-2-Clause */
/* A function of this process as a VFIO device: regions, who owns the MSI-X table, resets, DMA. */
#include "function.h"

#include "pci/msi.h"
#include "pci/msix.h"

/* ---- regions ---- */

static void device_says_what_it_has(void **state)
{
	static const uint64_t sizes[] = { BAR0_SIZE, 4096, 0, 0, 0, 0, 0, 4096, 0 };
	static const uint32_t counts[] = { 1, VECTORS, VECTORS, 1, 1 };
	struct device *d = device_new();
	struct peal_vfio_device_info info;
	struct peal_vfio_region_info region;
	struct peal_vfio_irq_info irq;

	(void)state;
	assert_int_equal(peal_vfio_get_info(d->user, &info), 0);
	assert_int_equal(info.flags, PEAL_VFIO_DEVICE_RESET | PEAL_VFIO_DEVICE_PCI);
	assert_int_equal(info.num_regions, 9);
	assert_int_equal(info.num_irqs, 5);
	for (unsigned i = 0; i < 9; i++) {
		assert_int_equal(peal_vfio_region_info(d->user, i, &region), 0);
		assert_int_equal(region.size, sizes[i]);
		assert_int_equal(region.flags, sizes[i] ? 3 : 0);
	}
	assert_int_equal(peal_vfio_region_info(d->user, 9, &region), -EINVAL);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(peal_vfio_irq_info(d->user, i, &irq), 0);
		assert_int_equal(irq.count, counts[i]);
	}
	assert_int_equal(peal_vfio_irq_info(d->user, 5, &irq), -EINVAL);
	device_free(d);
}

static void conventional_function_has_256_bytes_and_no_err(void **state)
{
	struct device *d = calloc(1, sizeof(*d));
	struct peal_vfio_region_info region;
	struct peal_vfio_irq_info irq;

	(void)state;
	assert_non_null(d);
	rig_defaults(&d->rig);
	device_make_function(d, &d->rig.th.host, false);
	assert_int_equal(device_open(d, &d->rig.th.host), 0);
	assert_int_equal(peal_vfio_region_info(d->user, PEAL_VFIO_REGION_CONFIG, &region), 0);
	assert_int_equal(region.size, 256);
	assert_int_equal(peal_vfio_irq_info(d->user, ERR, &irq), -EINVAL);
	device_free(d);
}

static void region_is_accessed_in_any_length_within_it(void **state)
{
	struct device *d = device_new();
	uint8_t out[64], in[64] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		out[i] = (uint8_t)(i + 1);
	for (unsigned offset = 0; offset < 9; offset++) {
		for (size_t size = 0; size <= 32; size++) {
			memset(d->bytes, 0, 64);
			assert_int_equal(peal_vfio_region_write(d->user, 0, offset, out, size), 0);
			assert_memory_equal(d->bytes + offset, out, size);
			assert_int_equal(d->bytes[offset + size], 0);
			assert_int_equal(peal_vfio_region_read(d->user, 0, offset, in, size), 0);
			assert_memory_equal(in, out, size);
		}
	}
	assert_int_equal(config_read(d, 0, 4), 0x56781234);
	/* What a bus can do at once is one access, wherever it is. */
	for (size_t size = 1; size <= 8; size *= 2) {
		d->accesses = 0;
		assert_int_equal(peal_vfio_region_write(d->user, 0, 1, out, size), 0);
		assert_int_equal(peal_vfio_region_read(d->user, 0, 3, in, size), 0);
		assert_int_equal(d->accesses, 2);
	}
	device_free(d);
}

static void access_outside_a_region_is_einval(void **state)
{
	static const struct {
		unsigned index;
		uint64_t offset;
		size_t size;
	} rows[] = {
		{ 0, BAR0_SIZE, 1 },   { 0, BAR0_SIZE - 3, 4 },
		{ 0, UINT64_MAX, 2 },  { 0, UINT64_MAX - 3, 8 },
		{ 2, 0, 1 },           { 6, 0, 4 },
		{ 7, 4096, 1 },        { 7, 4095, 2 },
		{ 8, 0, 1 },           { 9, 0, 1 },
		{ 7, 0x100000000, 4 }, { ~0u, 0, 4 },
	};
	struct device *d = device_new();
	uint8_t bytes[8] = { 0x55 };

	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(rows); i++) {
		assert_int_equal(peal_vfio_region_read(d->user, rows[i].index, rows[i].offset,
						       bytes, rows[i].size),
				 -EINVAL);
		assert_int_equal(peal_vfio_region_write(d->user, rows[i].index, rows[i].offset,
							bytes, rows[i].size),
				 -EINVAL);
	}
	assert_int_equal(bytes[0], 0x55);
	assert_int_equal(peal_vfio_region_map(d->user, 0, 0, 4096, 3, NULL), -ENOTSUP);
	device_free(d);
}

/* ---- the MSI-X table ---- */

static void vmm_that_keeps_the_table_gets_every_vector(void **state)
{
	struct device *d = device_new();

	(void)state;
	/* What a VMM forwards: Enable, while the guest's table stays with it. */
	config_write(d, d->msix_at + 2, 2, MSIX_ENABLE);
	enable(&d->rig, MSIX, VECTORS);
	for (unsigned i = 0; i < VECTORS; i++) {
		assert_int_equal(peal_msix_notify(d->msix, i), 1);
		assert_int_equal(events(d, i), 1);
	}
	assert_int_equal(pba(d), 0);
	device_free(d);
}

static void user_that_only_sets_irqs_finds_msix_enabled(void **state)
{
	struct device *d = device_new();

	(void)state;
	assert_int_equal(config_read(d, d->msix_at + 2, 2) & MSIX_ENABLE, 0);
	config_write(d, d->msix_at + 2, 2, FUNCTION_MASK);
	enable(&d->rig, MSIX, 2);
	assert_int_equal(config_read(d, d->msix_at + 2, 2), MSIX_ENABLE | FUNCTION_MASK | 7);
	assert_true(peal_msix_is_enabled(d->msix));
	/* Function Mask counts whoever set it. */
	assert_int_equal(peal_msix_notify(d->msix, 0), 0);
	assert_int_equal(events(d, 0), 0);
	assert_int_equal(pba(d), 1);
	config_write(d, d->msix_at + 2, 2, MSIX_ENABLE);
	assert_int_equal(events(d, 0), 1);
	assert_int_equal(pba(d), 0);
	assert_int_equal(set_none(&d->rig, TRIGGER, MSIX, 0, 0), 0);
	assert_int_equal(config_read(d, d->msix_at + 2, 2), 7);
	device_free(d);
}

static void driver_that_programs_the_table_gets_masks_and_pba(void **state)
{
	struct device *d = device_new();

	(void)state;
	enable(&d->rig, MSIX, VECTORS);
	table_write(d, 3, 12, 1);
	assert_int_equal(peal_msix_notify(d->msix, 3), 0);
	assert_int_equal(peal_msix_notify(d->msix, 3), 0);
	assert_int_equal(events(d, 3), 0);
	assert_int_equal(pba(d), 1 << 3);
	table_write(d, 3, 0, 0xfee00000);
	table_write(d, 3, 8, 0x4123);
	table_write(d, 3, 12, 0);
	assert_int_equal(events(d, 3), 1);
	assert_int_equal(pba(d), 0);
	assert_int_equal(peal_msix_notify(d->msix, 3), 1);
	assert_int_equal(events(d, 3), 2);
	/* The others' masks were not touched. */
	assert_int_equal(peal_msix_notify(d->msix, 4), 1);
	assert_int_equal(events(d, 4), 1);
	device_free(d);
}

static void any_write_to_an_entry_makes_its_mask_count(void **state)
{
	static const unsigned fields[] = { 0, 4, 8, 12 };
	struct device *d = device_new();
	uint8_t entry[16] = { 0 };

	(void)state;
	enable(&d->rig, MSIX, VECTORS);
	for (unsigned i = 0; i < 4; i++) {
		/* Mask is 1 since the reset. */
		table_write(d, i, fields[i], i == 3);
		assert_int_equal(peal_msix_notify(d->msix, i), 0);
		assert_int_equal(events(d, i), 0);
	}
	assert_int_equal(pba(d), 0xf);
	/* A whole entry at once unmasks, a read changes nothing. */
	assert_int_equal(peal_vfio_region_write(d->user, 1, 0, entry, 16), 0);
	assert_int_equal(events(d, 0), 1);
	assert_int_equal(peal_vfio_region_read(d->user, 1, 16 * 5, entry, 16), 0);
	assert_int_equal(entry[12], 1);
	assert_int_equal(peal_msix_notify(d->msix, 5), 1);
	/* A write over two entries counts for both. */
	assert_int_equal(peal_vfio_region_write(d->user, 1, 16 * 7 - 2, "\1\0\0\0", 4), 0);
	assert_int_equal(peal_msix_notify(d->msix, 6), 0);
	assert_int_equal(peal_msix_notify(d->msix, 7), 0);
	device_free(d);
}

static void enabling_forgets_the_masks_of_before(void **state)
{
	struct device *d = device_new();

	(void)state;
	table_write(d, 0, 12, 1);
	enable(&d->rig, MSIX, 1);
	assert_int_equal(peal_msix_notify(d->msix, 0), 1);
	table_write(d, 0, 12, 1);
	assert_int_equal(peal_msix_notify(d->msix, 0), 0);
	assert_int_equal(set_none(&d->rig, TRIGGER, MSIX, 0, 0), 0);
	/* It pends until there is a trigger again. */
	enable(&d->rig, MSIX, 1);
	assert_int_equal(events(d, 0), 2);
	device_free(d);
}

static void vector_without_trigger_pends(void **state)
{
	struct device *d = device_new();

	(void)state;
	assert_int_equal(set_fd(&d->rig, TRIGGER, MSIX, 3, -1), 0);
	assert_int_equal(peal_msix_notify(d->msix, 1), 0);
	assert_int_equal(peal_msix_notify(d->msix, 1), 0);
	assert_int_equal(pba(d), 2);
	assert_int_equal(set_fd(&d->rig, TRIGGER, MSIX, 1, FD + 1), 0);
	assert_int_equal(events(d, 1), 1);
	assert_int_equal(pba(d), 0);
	assert_int_equal(set_fd(&d->rig, TRIGGER, MSIX, 1, -1), 0);
	assert_int_equal(peal_msix_notify(d->msix, 1), 0);
	assert_int_equal(pba(d), 2);
	/* Beyond those it was enabled with: dynamic. */
	assert_int_equal(set_fd(&d->rig, TRIGGER, MSIX, 7, FD + 7), 0);
	assert_int_equal(peal_msix_notify(d->msix, 7), 1);
	assert_int_equal(events(d, 7), 1);
	device_free(d);
}

/* As it comes to the owner of the vectors. */
static void raise_past_the_mask_finds_no_trigger(struct device *d, bool msix)
{
	const struct pci_vectors *vectors = msix ? &d->msix->vectors : &d->msi->vectors;

	enable(&d->rig, msix ? MSIX : MSI, 2);
	assert_int_equal(set_fd(&d->rig, TRIGGER, msix ? MSIX : MSI, 1, -1), 0);
	assert_int_equal(vectors->owner->deliver(vectors->owner_user, 1), 0);
	assert_int_equal(vectors->owner->deliver(vectors->owner_user, 1), 0);
	assert_true(msix ? peal_msix_is_pending(d->msix, 1) : peal_msi_is_pending(d->msi, 1));
	assert_int_equal(events(d, 1), 0);
	assert_int_equal(set_fd(&d->rig, TRIGGER, msix ? MSIX : MSI, 1, FD + 1), 0);
	assert_int_equal(events(d, 1), 1);
	/* Nor is one lost when the index is disabled meanwhile. */
	assert_int_equal(set_none(&d->rig, TRIGGER, msix ? MSIX : MSI, 0, 0), 0);
	assert_int_equal(vectors->owner->deliver(vectors->owner_user, 1), 0);
	enable(&d->rig, msix ? MSIX : MSI, 2);
	assert_int_equal(events(d, 1), 2);
}

static void raise_that_finds_its_trigger_just_gone_pends(void **state)
{
	(void)state;
	for (unsigned msix = 0; msix < 2; msix++) {
		struct device *d = device_new();

		raise_past_the_mask_finds_no_trigger(d, msix);
		device_free(d);
	}
}

static void user_turns_msix_off_and_on(void **state)
{
	struct device *d = device_new();

	(void)state;
	enable(&d->rig, MSIX, 1);
	config_write(d, d->msix_at + 2, 2, 0);
	assert_false(peal_msix_is_enabled(d->msix));
	assert_int_equal(peal_msix_notify(d->msix, 0), 0);
	config_write(d, d->msix_at + 3, 1, MSIX_ENABLE >> 8);
	assert_int_equal(events(d, 0), 1);
	device_free(d);
}

/* Neither another register nor a reset turns on what the user turned off. */
static void what_the_user_turned_off_stays_off(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct device *d = device_new();
		uint32_t at = (i ? d->msix_at : d->msi_at) + 2;
		uint32_t on = i ? MSIX_ENABLE : MSI_ENABLE;

		enable(&d->rig, i ? MSIX : MSI, 1);
		config_write(d, at, 2, 0);
		device_master(d);
		assert_int_equal(config_read(d, at, 2) & on, 0);
		assert_int_equal(i ? peal_msix_notify(d->msix, 0) : peal_msi_notify(d->msi, 0), 0);
		assert_int_equal(events(d, 0), 0);
		assert_int_equal(peal_vfio_reset(d->user), 0);
		assert_int_equal(config_read(d, at, 2) & on, 0);
		/* Until the user turns it on; and from then on a reset does not turn it off. */
		config_write(d, at, 2, on);
		assert_int_equal(peal_vfio_reset(d->user), 0);
		assert_int_equal(config_read(d, at, 2) & on, on);
		config_write(d, at, 2, 0);
		assert_int_equal(set_none(&d->rig, TRIGGER, i ? MSIX : MSI, 0, 0), 0);
		enable(&d->rig, i ? MSIX : MSI, 1);
		assert_int_equal(peal_vfio_reset(d->user), 0);
		assert_int_equal(config_read(d, at, 2) & on, on);
		device_free(d);
	}
}

/* One more vector does not turn it on either; who turns it on may send as many. */
static void vectors_are_added_to_what_is_off(void **state)
{
	struct device *d = device_new();

	(void)state;
	enable(&d->rig, MSI, 2);
	config_write(d, d->msi_at + 2, 2, 0);
	assert_int_equal(set_fd(&d->rig, TRIGGER, MSI, 3, FD + 3), 0);
	assert_int_equal(config_read(d, d->msi_at + 2, 2) & 0x71, 0);
	assert_int_equal(peal_msi_notify(d->msi, 3), 0);
	assert_int_equal(events(d, 3), 0);
	config_write(d, d->msi_at + 2, 2, MSI_ENABLE | 2 << 4);
	assert_int_equal(config_read(d, d->msi_at + 2, 2) & 0x71, MSI_ENABLE | 2 << 4);
	assert_int_equal(events(d, 3), 1);
	device_free(d);
}

static void without_bus_master_nothing_is_sent(void **state)
{
	struct device *d = device_new();

	(void)state;
	enable(&d->rig, MSIX, 1);
	config_write(d, COMMAND, 2, 0);
	assert_int_equal(peal_msix_notify(d->msix, 0), 0);
	assert_int_equal(events(d, 0), 0);
	/* Loopback is no message. */
	assert_int_equal(set_none(&d->rig, TRIGGER, MSIX, 0, 1), 0);
	assert_int_equal(events(d, 0), 1);
	device_free(d);
}

/* ---- resets ---- */

static void reset_keeps_the_enabled_interrupts(void **state)
{
	(void)state;
	for (unsigned flr = 0; flr < 2; flr++) {
		struct device *d = device_new();

		enable(&d->rig, MSIX, VECTORS);
		table_write(d, 2, 12, 1);
		if (flr)
			config_write(d, d->express_at + 8, 2, 0x8000);
		else
			assert_int_equal(peal_vfio_reset(d->user), 0);
		assert_int_equal(d->resets, 1);
		assert_int_equal(config_read(d, COMMAND, 2), 0);
		assert_int_equal(config_read(d, d->msix_at + 2, 2), MSIX_ENABLE | 7);
		device_master(d);
		for (unsigned i = 0; i < VECTORS; i++) {
			assert_int_equal(peal_msix_notify(d->msix, i), 1);
			assert_int_equal(events(d, i), 1);
		}
		device_free(d);
	}
}

static void reset_takes_interrupt_disable_back(void **state)
{
	struct device *d = device_new();

	(void)state;
	enable(&d->rig, INTX, 1);
	config_write(d, COMMAND, 2, COMMAND_INTX_DISABLE);
	assert_int_equal(set_none(&d->rig, TRIGGER, INTX, 0, 1), 0);
	assert_int_equal(events(d, 0), 0);
	assert_int_equal(peal_vfio_reset(d->user), 0);
	assert_int_equal(set_none(&d->rig, TRIGGER, INTX, 0, 1), 0);
	assert_int_equal(events(d, 0), 1);
	device_free(d);
}

/* ---- state ---- */

static void loaded_state_keeps_the_users_interrupts(void **state)
{
	struct device *d = device_new();
	size_t size = peal_pci_function_state_size(d->function);
	uint8_t *bytes = malloc(size);

	(void)state;
	assert_non_null(bytes);
	/* Saved where the VMM kept the table, but a driver had masked vector 3 here. */
	enable(&d->rig, MSIX, VECTORS);
	table_write(d, 3, 0, 0xfee00000);
	assert_int_equal(peal_msix_notify(d->msix, 3), 0);
	config_write(d, COMMAND, 2, COMMAND_BUS_MASTER | COMMAND_INTX_DISABLE);
	assert_int_equal(peal_pci_function_save(d->function, bytes, size), 0);
	peal_vfio_free(d->user);
	assert_int_equal(device_open(d, &d->rig.th.host), 0);
	/* The other side: the user's triggers may come before or after the state. */
	for (unsigned late = 0; late < 2; late++) {
		if (!late)
			enable(&d->rig, MSIX, VECTORS);
		assert_int_equal(peal_vfio_function_load(d->vfio, bytes, size), 0);
		if (late)
			enable(&d->rig, MSIX, VECTORS);
		for (unsigned i = 0; i < VECTORS; i++)
			assert_int_equal(peal_msix_notify(d->msix, i), i != 3);
		assert_int_equal(pba(d), 1 << 3);
		assert_int_equal(peal_vfio_function_load(d->vfio, bytes, size - 1), -EINVAL);
		assert_int_equal(set_none(&d->rig, TRIGGER, MSIX, 0, 0), 0);
	}
	/* Interrupt Disable came with it. */
	enable(&d->rig, INTX, 1);
	memset(d->rig.events, 0, sizeof(d->rig.events));
	assert_int_equal(set_none(&d->rig, TRIGGER, INTX, 0, 1), 0);
	assert_int_equal(events(d, 0), 0);
	free(bytes);
	device_free(d);
}

/* The user has enabled less here, and turned it off, before the state comes. */
static void loaded_state_brings_no_more_messages_than_are_enabled(void **state)
{
	struct device *d = device_new();
	size_t size = peal_pci_function_state_size(d->function);
	uint8_t *bytes = malloc(size);

	(void)state;
	assert_non_null(bytes);
	enable(&d->rig, MSI, 8);
	assert_int_equal(peal_pci_function_save(d->function, bytes, size), 0);
	assert_int_equal(set_none(&d->rig, TRIGGER, MSI, 0, 0), 0);
	enable(&d->rig, MSI, 2);
	config_write(d, d->msi_at + 2, 2, 0);
	assert_int_equal(peal_vfio_function_load(d->vfio, bytes, size), 0);
	assert_int_equal(config_read(d, d->msi_at + 2, 2) & 0x71, MSI_ENABLE | 1 << 4);
	memset(d->rig.events, 0, sizeof(d->rig.events));
	assert_int_equal(peal_msi_notify(d->msi, 7), 1);
	assert_int_equal(events(d, 1), 1);
	assert_int_equal(peal_vfio_reset(d->user), 0);
	assert_int_equal(config_read(d, d->msi_at + 2, 2) & 0x71, MSI_ENABLE | 1 << 4);
	free(bytes);
	device_free(d);
}

/* ---- MSI and INTx ---- */

static void msi_is_enabled_with_as_many_messages(void **state)
{
	struct device *d = device_new();
	uint32_t control;

	(void)state;
	enable(&d->rig, MSI, 3);
	control = config_read(d, d->msi_at + 2, 2);
	assert_int_equal(control & 0x71, MSI_ENABLE | 2 << 4);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(peal_msi_notify(d->msi, i), 1);
		assert_int_equal(events(d, i), 1);
	}
	/* Of four messages, the fourth has no trigger. */
	assert_int_equal(peal_msi_notify(d->msi, 3), 0);
	assert_int_equal(peal_msi_notify(d->msi, 4), 1);
	assert_int_equal(events(d, 0), 2);
	/* The user cannot take more than it enabled, but less. */
	config_write(d, d->msi_at + 2, 2, MSI_ENABLE | 3 << 4);
	assert_int_equal(config_read(d, d->msi_at + 2, 2), control);
	config_write(d, d->msi_at + 2, 2, MSI_ENABLE | 1 << 4);
	assert_int_equal(config_read(d, d->msi_at + 2, 2) & 0x71, MSI_ENABLE | 1 << 4);
	assert_int_equal(set_none(&d->rig, TRIGGER, MSI, 0, 0), 0);
	assert_int_equal(config_read(d, d->msi_at + 2, 2) & MSI_ENABLE, 0);
	device_free(d);
}

/* The user writes how many it wants before it enables them, and has them in two messages. */
static void msi_grows_with_the_vectors_that_are_added(void **state)
{
	struct device *d = device_new();

	(void)state;
	config_write(d, d->msi_at + 2, 2, MSI_ENABLE | 3 << 4);
	enable(&d->rig, MSI, 4);
	assert_int_equal(config_read(d, d->msi_at + 2, 2) & 0x71, MSI_ENABLE | 2 << 4);
	for (unsigned i = 4; i < 8; i++) {
		assert_int_equal(set_fd(&d->rig, TRIGGER, MSI, i, FD + (int)i), 0);
		assert_int_equal(config_read(d, d->msi_at + 2, 2) & 0x71, MSI_ENABLE | 3 << 4);
	}
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(peal_msi_notify(d->msi, i), 1);
		assert_int_equal(events(d, i), 1);
	}
	device_free(d);
}

static void msi_mask_register_counts(void **state)
{
	struct device *d = device_new();

	(void)state;
	enable(&d->rig, MSI, VECTORS);
	config_write(d, d->msi_at + 0x10, 4, 1 << 5);
	assert_int_equal(peal_msi_notify(d->msi, 5), 0);
	assert_int_equal(peal_msi_notify(d->msi, 4), 1);
	assert_int_equal(config_read(d, d->msi_at + 0x14, 4), 1 << 5);
	config_write(d, d->msi_at + 0x10, 4, 0);
	assert_int_equal(events(d, 5), 1);
	assert_int_equal(config_read(d, d->msi_at + 0x14, 4), 0);
	device_free(d);
}

static void intx_follows_wish_disable_and_unmask(void **state)
{
	struct device *d = device_new();

	(void)state;
	enable(&d->rig, INTX, 1);
	peal_pci_function_set_intx(d->function, true);
	assert_int_equal(events(d, 0), 1);
	assert_int_equal(config_read(d, STATUS, 2) & STATUS_INTERRUPT, STATUS_INTERRUPT);
	assert_int_equal(set_none(&d->rig, UNMASK, INTX, 0, 1), 0);
	assert_int_equal(events(d, 0), 2);
	peal_pci_function_set_intx(d->function, false);
	assert_int_equal(set_none(&d->rig, UNMASK, INTX, 0, 1), 0);
	config_write(d, COMMAND + 1, 1, COMMAND_INTX_DISABLE >> 8);
	peal_pci_function_set_intx(d->function, true);
	assert_int_equal(set_none(&d->rig, TRIGGER, INTX, 0, 1), 0);
	assert_int_equal(events(d, 0), 2);
	config_write(d, COMMAND, 2, COMMAND_BUS_MASTER);
	assert_int_equal(events(d, 0), 3);
	device_free(d);
}

static void line_that_is_up_signals_when_intx_is_enabled(void **state)
{
	struct device *d = device_new();

	(void)state;
	peal_pci_function_set_intx(d->function, true);
	enable(&d->rig, INTX, 1);
	assert_int_equal(events(d, 0), 1);
	/* Messages lower the line. */
	assert_int_equal(set_none(&d->rig, TRIGGER, INTX, 0, 0), 0);
	enable(&d->rig, MSIX, 1);
	assert_false(peal_pci_function_intx_line(d->function));
	assert_int_equal(set_none(&d->rig, TRIGGER, MSIX, 0, 0), 0);
	assert_true(peal_pci_function_intx_line(d->function));
	device_free(d);
}

/* ---- DMA ---- */

static void dma_reaches_what_the_user_mapped(void **state)
{
	static uint8_t memory[4096];
	const struct peal_vfio_dma dma = { .iova = 0x10000,
					   .size = sizeof(memory),
					   .flags = PEAL_VFIO_DMA_READ | PEAL_VFIO_DMA_WRITE,
					   .fd = -1,
					   .memory = memory };
	struct device *d = device_new();
	struct peal_vfio_dma bad = dma;
	struct peal_space *space;

	(void)state;
	assert_int_equal(peal_vfio_dma_map(d->user, &dma), 0);
	assert_int_equal(peal_vfio_dma_map(d->user, &dma), -EEXIST);
	space = peal_pci_function_dma(d->function);
	assert_ptr_equal(space, peal_vfio_function_dma(d->vfio));
	assert_int_equal(peal_space_write(space, 0x10ffc, "\1\2\3\4", 4), 0);
	assert_memory_equal(memory + 0xffc, "\1\2\3\4", 4);
	assert_int_equal(peal_vfio_dma_unmap(d->user, 0x10000, 2048), -ENOENT);
	assert_int_equal(peal_vfio_dma_unmap(d->user, 0x10000, 4096), 0);
	assert_int_equal(peal_space_write(space, 0x10000, "\1", 1), -EFAULT);
	bad.memory = NULL;
	assert_int_equal(peal_vfio_dma_map(d->user, &bad), -EINVAL);
	bad = dma;
	bad.flags = 0;
	assert_int_equal(peal_vfio_dma_map(d->user, &bad), -EINVAL);
	bad.flags = 4 | 1;
	assert_int_equal(peal_vfio_dma_map(d->user, &bad), -EINVAL);
	bad = dma;
	bad.size = 0;
	assert_int_equal(peal_vfio_dma_map(d->user, &bad), -EINVAL);
	bad.iova = UINT64_MAX - 100;
	bad.size = 4096;
	assert_int_equal(peal_vfio_dma_map(d->user, &bad), -EINVAL);
	device_free(d);
}

static void dma_space_can_be_the_callers(void **state)
{
	struct device *d = calloc(1, sizeof(*d));
	struct test_ram ram;
	struct peal_vfio_function_config config = { .triggers = &rig_triggers };

	(void)state;
	assert_non_null(d);
	rig_defaults(&d->rig);
	device_make_function(d, &d->rig.th.host, true);
	test_ram_init(&ram, &d->rig.th.host, 0, 4096);
	config.host = &d->rig.th.host;
	config.function = d->function;
	config.triggers_user = &d->rig;
	config.dma = ram.space;
	assert_int_equal(peal_vfio_function_new(&d->vfio, &config), 0);
	d->user = peal_vfio_function_device(d->vfio);
	device_master(d);
	assert_int_equal(peal_space_write(peal_pci_function_dma(d->function), 8, "\7", 1), 0);
	assert_int_equal(ram.memory[8], 7);
	peal_vfio_function_free(d->vfio);
	d->user = NULL;
	test_ram_done(&ram);
	device_free(d);
}

/* ---- life ---- */

static void function_that_is_taken_is_ebusy(void **state)
{
	struct device *d = device_new(), other = { .function = d->function };

	(void)state;
	assert_int_equal(device_open(&other, &d->rig.th.host), -EBUSY);
	/* The first did not notice. */
	enable(&d->rig, MSIX, 1);
	assert_int_equal(peal_msix_notify(d->msix, 0), 1);
	device_free(d);
}

static int owned(void *user, unsigned vector)
{
	(void)user;
	(void)vector;
	return 1;
}

static void vectors_that_are_owned_are_ebusy(void **state)
{
	static const struct peal_vector_owner owner = { .deliver = owned };
	struct device *d = device_new();

	(void)state;
	peal_vfio_free(d->user);
	d->user = NULL;
	assert_int_equal(peal_msi_set_owner(d->msi, &owner, NULL), 0);
	assert_int_equal(device_open(d, &d->rig.th.host), -EBUSY);
	assert_int_equal(peal_msi_set_owner(d->msi, NULL, NULL), 0);
	assert_int_equal(device_open(d, &d->rig.th.host), 0);
	device_free(d);
}

static void function_lives_on_after_its_user(void **state)
{
	struct device *d = device_new();

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		enable(&d->rig, i == 0 ? INTX : i == 1 ? MSI : MSIX, 1);
		assert_int_equal(set_fd(&d->rig, TRIGGER, REQ, 0, FD + 9), 0);
		peal_vfio_free(d->user);
		assert_int_equal(d->rig.references, 0);
		assert_int_equal(peal_msix_notify(d->msix, 0), 0);
		assert_true(peal_msix_is_masked(d->msix, 0));
		assert_int_equal(device_open(d, &d->rig.th.host), 0);
		device_master(d);
	}
	device_free(d);
}

static int make(const struct peal_host *host, void *user)
{
	struct device *d = user;
	int r = device_open(d, host);

	if (r == 0)
		peal_vfio_free(d->user);
	return r;
}

static void construction_fails_cleanly_at_every_allocation(void **state)
{
	struct device *d = device_new();

	(void)state;
	peal_vfio_free(d->user);
	assert_true(test_every_allocation(make, d) > 8);
	assert_int_equal(device_open(d, &d->rig.th.host), 0);
	device_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(device_says_what_it_has),
		cmocka_unit_test(conventional_function_has_256_bytes_and_no_err),
		cmocka_unit_test(region_is_accessed_in_any_length_within_it),
		cmocka_unit_test(access_outside_a_region_is_einval),
		cmocka_unit_test(vmm_that_keeps_the_table_gets_every_vector),
		cmocka_unit_test(user_that_only_sets_irqs_finds_msix_enabled),
		cmocka_unit_test(driver_that_programs_the_table_gets_masks_and_pba),
		cmocka_unit_test(any_write_to_an_entry_makes_its_mask_count),
		cmocka_unit_test(enabling_forgets_the_masks_of_before),
		cmocka_unit_test(vector_without_trigger_pends),
		cmocka_unit_test(raise_that_finds_its_trigger_just_gone_pends),
		cmocka_unit_test(user_turns_msix_off_and_on),
		cmocka_unit_test(what_the_user_turned_off_stays_off),
		cmocka_unit_test(vectors_are_added_to_what_is_off),
		cmocka_unit_test(without_bus_master_nothing_is_sent),
		cmocka_unit_test(reset_keeps_the_enabled_interrupts),
		cmocka_unit_test(reset_takes_interrupt_disable_back),
		cmocka_unit_test(loaded_state_keeps_the_users_interrupts),
		cmocka_unit_test(loaded_state_brings_no_more_messages_than_are_enabled),
		cmocka_unit_test(msi_is_enabled_with_as_many_messages),
		cmocka_unit_test(msi_grows_with_the_vectors_that_are_added),
		cmocka_unit_test(msi_mask_register_counts),
		cmocka_unit_test(intx_follows_wish_disable_and_unmask),
		cmocka_unit_test(line_that_is_up_signals_when_intx_is_enabled),
		cmocka_unit_test(dma_reaches_what_the_user_mapped),
		cmocka_unit_test(dma_space_can_be_the_callers),
		cmocka_unit_test(function_that_is_taken_is_ebusy),
		cmocka_unit_test(vectors_that_are_owned_are_ebusy),
		cmocka_unit_test(function_lives_on_after_its_user),
		cmocka_unit_test(construction_fails_cleanly_at_every_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
