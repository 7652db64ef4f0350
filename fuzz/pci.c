/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target: a PCI function of any shape, and everything that a guest, its device, a consumer and
 * a migration stream can do to it. The input is the shape, then steps of an opcode and arguments;
 * after each step fuzz_check() (pci-check.c) says what has to hold.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "pci.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define STEPS_MAX 400u

/* ---- the function's surroundings ---- */

static uint64_t bar_read(void *user, uint64_t offset, unsigned size)
{
	const struct fuzz *z = user;

	FUZZ_ASSERT(peal_is_power_of_two(size) && size <= 8);
	return offset * 0x0101010101010101u + z->devfn;
}

static void bar_write(void *user, uint64_t offset, unsigned size, uint64_t value)
{
	(void)user;
	FUZZ_ASSERT(peal_is_power_of_two(size) && size <= 8);
	FUZZ_ASSERT(size == 8 || value >> (8 * size) == 0);
	(void)offset;
}

static int deliver(void *user, const struct peal_msi_msg *msg)
{
	struct fuzz *z = user;

	FUZZ_ASSERT(z->plugged && msg->requester_id == (BUS_NUMBER << 8 | z->devfn));
	FUZZ_ASSERT((msg->address & 3) == 0);
	z->delivered++;
	return z->answer;
}

static void on_line(void *user, unsigned pin, bool asserted)
{
	struct fuzz *z = user;

	z->bus_lines = asserted ? z->bus_lines | 1u << pin : z->bus_lines & ~(1u << pin);
}

static void on_reset(void *user)
{
	struct fuzz *z = user;

	/* A device that raises while it is being stopped leaves nothing behind. */
	if (z->msix.msix)
		(void)side_notify(&z->msix, 0);
	if (z->msi.msi)
		(void)side_notify(&z->msi, 0);
	z->wish = false;
}

static void on_bus_master(void *user, bool enabled)
{
	struct fuzz *z = user;

	FUZZ_ASSERT(z->bus_master != enabled);
	z->bus_master = enabled;
}

static void on_eoi(void *user)
{
	FUZZ_ASSERT(((struct fuzz *)user)->plugged);
}

static const struct peal_pci_function_ops function_ops = {
	.reset = on_reset,
	.bus_master = on_bus_master,
	.intx_eoi = on_eoi,
};
static const struct peal_pci_bar_ops bar_ops = { .read = bar_read, .write = bar_write };
static const struct peal_msi_sink_ops sink_ops = { .deliver = deliver };

/* ---- consumers ---- */

static int on_use(void *user, unsigned vector, const struct peal_msi_msg *msg)
{
	struct side *side = user;
	bool fails = side->fail_mask >> (vector % 8) & 1;

	FUZZ_ASSERT(side->depth == 1 && vector < side->vectors);
	side->failed[vector] = fails;
	side->told[vector] |= !fails;
	if (!fails)
		side->held[vector] = *msg;
	return fails ? -EIO : 0;
}

static void on_release(void *user, unsigned vector)
{
	struct side *side = user;

	FUZZ_ASSERT(side->depth == 1 && vector < side->vectors && side->told[vector]);
	side->told[vector] = false;
}

static void on_poll(void *user, unsigned first, unsigned end)
{
	struct side *side = user;
	unsigned vector = side->poll_raises - 1u;

	FUZZ_ASSERT(first < end && end <= side->vectors);
	if (!side->poll_raises || vector < first || vector >= end)
		return;
	side->poll_raises = 0;
	(void)side_notify(side, vector);
}

static void on_begin(void *user)
{
	struct side *side = user;

	FUZZ_ASSERT(side->depth++ == 0);
	side->batches++;
}

static void on_commit(void *user)
{
	FUZZ_ASSERT(((struct side *)user)->depth-- == 1);
}

static const struct peal_vector_consumer consumer = {
	.use = on_use,
	.release = on_release,
	.poll = on_poll,
	.begin = on_begin,
	.commit = on_commit,
};

static int set_consumer(struct side *side, const struct peal_vector_consumer *ops)
{
	return side->msix ? peal_msix_set_consumer(side->msix, ops, side)
			  : peal_msi_set_consumer(side->msi, ops, side);
}

static void toggle_consumer(struct side *side, uint8_t fail_mask)
{
	int r;

	side->fail_mask = fail_mask;
	if (side->registered) {
		FUZZ_ASSERT(set_consumer(side, &consumer) == -EBUSY);
		FUZZ_ASSERT(set_consumer(side, NULL) == 0);
		side->registered = false;
	} else {
		r = set_consumer(side, &consumer);
		FUZZ_ASSERT(r == 0 || (r == -EIO && fail_mask));
		side->registered = r == 0;
	}
	if (side->registered)
		return;
	/* Who left has been released of everything. */
	FUZZ_ASSERT(side->depth == 0);
	for (unsigned i = 0; i < side->vectors; i++)
		FUZZ_ASSERT(!side->told[i]);
}

/* ---- uses ---- */

static void use(struct side *side, unsigned vector)
{
	int r = side->msix ? peal_msix_use(side->msix, vector) : peal_msi_use(side->msi, vector);

	FUZZ_ASSERT(r == (vector < side->vectors ? 0 : -EINVAL));
	if (r == 0)
		side->uses[vector]++;
}

static void unuse(struct side *side, unsigned vector)
{
	if (vector >= side->vectors || !side->uses[vector])
		return;
	side->uses[vector]--;
	if (side->msix)
		peal_msix_unuse(side->msix, vector);
	else
		peal_msi_unuse(side->msi, vector);
}

static void unuse_all(struct side *side)
{
	memset(side->uses, 0, sizeof(side->uses));
	if (side->msix)
		peal_msix_unuse_all(side->msix);
	else
		peal_msi_unuse_all(side->msi);
}

/* A device that was loaded has the uses of its state; here it asks and counts anew. */
static void reuse(struct side *side)
{
	if (!side->vectors)
		return;
	unuse_all(side);
	for (unsigned i = 0; i < side->vectors && i < 80; i++)
		use(side, i);
}

/* ---- the shape ---- */

static void make_bars(struct fuzz *z, struct input *in)
{
	for (unsigned i = 0; i < PEAL_PCI_BARS; i++) {
		unsigned flags = (unsigned)take(in, 1);
		uint64_t size = PEAL_BIT(flags >> 4 & 15) << (flags & 2 ? 20 : 0);

		(void)peal_pci_function_add_bar(z->function, i, flags & 0xd, size,
						flags & 2 ? NULL : &bar_ops, z);
	}
}

static unsigned vector_count(uint8_t pick, uint64_t other)
{
	static const uint16_t common[] = { 1, 2, 8, 33, 63, 64, 65, 128 };

	return pick & 8 ? (unsigned)other : common[pick % 8];
}

static void make_msix(struct fuzz *z, struct input *in)
{
	uint8_t how = (uint8_t)take(in, 1);
	struct peal_msix_config config = { 0 };
	int r;

	config.vectors = vector_count((uint8_t)(how >> 4), how & 0x80 ? take(in, 4) : 0);
	if (how & 1) {
		r = peal_pci_function_add_msix_exclusive(z->function, config.vectors, how >> 1 & 7);
	} else {
		config.table_bar = (uint8_t)take(in, 1);
		config.pba_bar = (uint8_t)take(in, 1);
		config.table_offset = (uint32_t)take(in, 4);
		config.pba_offset = (uint32_t)take(in, 4);
		config.position = (uint8_t)take(in, 1);
		r = peal_pci_function_add_msix(z->function, &config);
	}
	FUZZ_ASSERT(r == 0 || r == -EINVAL || r == -EBUSY || r == -ENOSPC);
	FUZZ_ASSERT(!z->msix.msix || r != 0);
	z->msix.msix = peal_pci_function_msix(z->function);
	FUZZ_ASSERT(r != 0 || z->msix.msix);
	if (r == 0)
		z->msix.vectors = peal_msix_vectors(z->msix.msix);
}

static void make_msi(struct fuzz *z, struct input *in)
{
	uint8_t how = (uint8_t)take(in, 1);
	struct peal_msi_config config = {
		.vectors = how & 8 ? how : 1u << (how & 7),
		.wide = how >> 4 & 1,
		.maskable = how >> 5 & 1,
		.extended_data = how >> 6 & 1,
		.position = how & 0x80 ? (uint8_t)take(in, 1) : 0,
	};

	if (peal_pci_function_add_msi(z->function, &config) < 0)
		return;
	z->msi_config = config;
	z->msi.msi = peal_pci_function_msi(z->function);
	z->msi.vectors = peal_msi_vectors(z->msi.msi);
}

static unsigned find(struct fuzz *z, unsigned id)
{
	for (unsigned at = z->defaults[0x34], n = 0; at; at = z->defaults[at + 1]) {
		FUZZ_ASSERT(n++ < 48 && at >= 0x40 && at % 4 == 0);
		if (z->defaults[at] == id)
			return at;
	}
	return 0;
}

static bool make_function(struct fuzz *z, struct input *in)
{
	uint8_t what = (uint8_t)take(in, 1), order = (uint8_t)take(in, 1);
	const struct peal_pci_function_config config = {
		.host = peal_host_default(),
		.vendor_id = 0x1af4,
		.device_id = 0x1042,
		.interrupt_pin = what & 7,
		.multifunction = what >> 3 & 1,
		.class_code = (uint32_t)what << 8,
		.ops = &function_ops,
		.user = z,
	};
	int r = peal_pci_function_new(&z->function, &config);

	FUZZ_ASSERT((r == 0) == ((what & 7) <= 4));
	if (r < 0)
		return false;
	z->pin = what & 7;
	make_bars(z, in);
	for (unsigned i = 0; i < 8; i++, order = (uint8_t)(order * 5 + 3)) {
		switch (what & 0x10 ? i : (order ^ i) % 8) {
		case 0:
			if (what & 0x20 && !find(z, 1))
				(void)peal_pci_function_add_power_management(z->function);
			break;
		case 1:
			if (what & 0x40)
				(void)peal_pci_function_add_pci_express(z->function);
			what &= 0xbf;
			break;
		case 2:
			make_msix(z, in);
			break;
		case 3:
			make_msi(z, in);
			break;
		case 4:
			if (what & 0x80)
				(void)peal_pci_function_add_vendor(z->function, "ten bytes!..",
								   order % 13, NULL);
			break;
		case 5:
			(void)peal_pci_function_add_aer(z->function);
			break;
		case 6:
			(void)peal_pci_function_add_serial_number(z->function, take(in, 8));
			break;
		default:
			break;
		}
		for (unsigned at = 0; at < 256; at++)
			z->defaults[at] = (uint8_t)peal_pci_config_read(z->function, at, 1);
	}
	return true;
}

static bool make(struct fuzz *z, struct input *in)
{
	const struct peal_host *host = peal_host_default();
	const struct peal_space_config space = { .host = host };
	struct peal_pci_bus_config bus = {
		.host = host,
		.bus = BUS_NUMBER,
		.sink = { .ops = &sink_ops, .user = z },
		.intx = on_line,
		.intx_user = z,
		.window32_address = WINDOW,
		.window32_size = WINDOW_SIZE,
		.window64_address = UINT64_C(1) << 38,
		.window64_size = UINT64_C(1) << 36,
	};

	z->answer = 1;
	FUZZ_ASSERT(peal_space_new(&z->memory, &space) == 0);
	FUZZ_ASSERT(peal_space_new(&z->io, &space) == 0);
	bus.memory = bus.dma = z->memory;
	bus.io = z->io;
	FUZZ_ASSERT(peal_space_map(z->memory, 0, RAM_SIZE, z->ram, PEAL_MEM_RW) == 0);
	FUZZ_ASSERT(peal_pci_bus_new(&z->bus, &bus) == 0);
	FUZZ_ASSERT(peal_space_map_ops(z->memory, ECAM, PEAL_PCI_ECAM_SIZE, peal_pci_bus_ecam(),
				       z->bus) == 0);
	if (!make_function(z, in))
		return false;
	z->pm = find(z, 1);
	z->express = find(z, 0x10);
	z->msix_at = find(z, 0x11);
	z->msi_at = find(z, 5);
	FUZZ_ASSERT(!!z->msix_at == !!z->msix.msix && !!z->msi_at == !!z->msi.msi);
	reuse(&z->msix);
	reuse(&z->msi);
	return true;
}

static void done(struct fuzz *z)
{
	if (z->plugged)
		peal_pci_bus_unplug(z->bus, z->function);
	z->plugged = false;
	peal_pci_function_free(z->function);
	peal_pci_bus_free(z->bus);
	peal_space_free(z->io);
	peal_space_free(z->memory);
	free(z->saved);
	free(z);
}

/* ---- steps ---- */

static void config_step(struct fuzz *z, uint32_t at, unsigned size, bool write, struct input *in)
{
	if (write)
		peal_pci_config_write(z->function, at, size, take(in, size));
	else
		(void)peal_pci_config_read(z->function, at, size);
}

/* Registers that matter, written with their own width or another. */
static void hot_step(struct fuzz *z, struct input *in)
{
	unsigned pick = (unsigned)take(in, 1), size = 1u << (pick >> 6);
	unsigned at[] = {
		4,
		0x10 + 4 * (pick >> 3 & 7) % 24,
		z->msix_at + 2,
		z->msi_at + 2,
		z->msi_at + 4,
		z->msi_at + (z->msi_config.wide ? 12 : 8),
		z->msi_at + (z->msi_config.wide ? 16 : 12),
		pick & 8 ? z->pm + 4 : z->express + 8,
	};

	peal_pci_config_write(z->function, at[pick & 7], size, take(in, size));
}

static void bar_step(struct fuzz *z, struct input *in)
{
	unsigned pick = (unsigned)take(in, 1), size = 1u << (pick >> 6), index = pick % 8 % 6;
	uint64_t at = take(in, 3);

	if (pick & 0x10)
		peal_pci_bar_write(z->function, index, at, size, take(in, size));
	else
		(void)peal_pci_bar_read(z->function, index, at, size);
}

/* A field of an MSI-X entry or words of the PBA, where the capability says they are. */
static void table_step(struct fuzz *z, struct input *in)
{
	unsigned pick = (unsigned)take(in, 1), vector = (unsigned)take(in, 1);
	uint64_t table, pba;

	if (!z->msix_at)
		return;
	table = peal_load_le(z->defaults + z->msix_at + 4, 4);
	pba = peal_load_le(z->defaults + z->msix_at + 8, 4);
	if (pick & 0x80) {
		(void)peal_pci_bar_read(z->function, pba & 7, (pba & ~7u) + (vector & 31),
					1u << (pick & 3));
		if (pick & 0x40)
			peal_pci_bar_write(z->function, pba & 7, (pba & ~7u) + (vector & 31),
					   1u << (pick & 3), ~UINT64_C(0));
		return;
	}
	if (pick & 0x40) /* a mask, alone */
		peal_pci_bar_write(z->function, table & 7, (table & ~7u) + 16 * vector + 12, 4,
				   pick & 1);
	else
		peal_pci_bar_write(z->function, table & 7,
				   (table & ~7u) + 16 * vector + (pick & 15), 1u << (pick >> 4 & 3),
				   take(in, 8));
}

/* Through the bus: ECAM, RAM, or where BARs are. */
static void space_step(struct fuzz *z, struct input *in)
{
	unsigned pick = (unsigned)take(in, 1), size = 1 + (unsigned)take(in, 1) % 24;
	uint64_t address = take(in, 3);
	uint8_t bytes[24];

	for (unsigned i = 0; i < size; i++)
		bytes[i] = (uint8_t)take(in, 1);
	switch (pick & 3) {
	case 0:
		address = ECAM + address % PEAL_PCI_ECAM_SIZE;
		break;
	case 1:
		address = ECAM + ((uint64_t)z->devfn << 12) + (address & 0xfff);
		break;
	case 2:
		address += peal_pci_config_read(z->function, 0x10 + 4 * (pick >> 3 & 7) % 24, 4) &
			   ~UINT64_C(15);
		break;
	default:
		break;
	}
	if (pick & 0x40)
		(void)peal_space_write(pick & 4 ? z->io : z->memory, address, bytes, size);
	else
		(void)peal_space_read(pick & 4 ? z->io : z->memory, address, bytes, size);
}

static void side_step(struct fuzz *z, struct input *in)
{
	unsigned pick = (unsigned)take(in, 1), vector = (unsigned)take(in, 1);
	struct side *side = pick & 0x80 ? &z->msi : &z->msix;

	if (!side->vectors)
		return;
	if (pick & 0x40)
		vector = vector * 9 % (side->vectors + 2);
	switch (pick % 8) {
	case 0:
	case 1:
		(void)side_notify(side, vector);
		break;
	case 2:
		use(side, vector);
		break;
	case 3:
		unuse(side, vector);
		break;
	case 4:
		if (side->brackets == 0)
			toggle_consumer(side, pick & 0x20 ? (uint8_t)take(in, 1) : 0);
		break;
	case 5:
		side->poll_raises = (uint16_t)(vector + 1);
		break;
	case 6:
		if (vector == 0)
			unuse_all(side);
		break;
	default:
		if (!side->msix)
			break;
		if (side->brackets && pick & 0x20) {
			peal_msix_commit(side->msix);
			side->brackets--;
		} else if (side->brackets < 3) {
			peal_msix_begin(side->msix);
			side->brackets++;
		}
	}
}

static void load_step(struct fuzz *z, struct input *in)
{
	unsigned changes = (unsigned)take(in, 1) % 4;
	size_t size = z->saved_size;
	int r;

	if (!z->saved)
		return;
	for (unsigned i = 0; i < changes; i++) {
		size_t at = (size_t)take(in, 2) % size;

		z->saved[at] ^= (uint8_t)take(in, 1);
	}
	if (changes == 3)
		size -= (size_t)take(in, 1) % size;
	z->wish = peal_load_le(z->saved + z->saved_size - 4, 4);
	r = peal_pci_function_load(z->function, z->saved, size);
	if (r < 0) {
		FUZZ_ASSERT(r == -EINVAL);
		z->wish = peal_pci_config_read(z->function, 6, 2) & 8;
		return;
	}
	reuse(&z->msix);
	reuse(&z->msi);
}

static void plug_step(struct fuzz *z, uint8_t devfn)
{
	if (!z->plugged) {
		z->devfn = devfn;
		z->plugged = true;
		FUZZ_ASSERT(peal_pci_bus_plug(z->bus, devfn, z->function) == 0);
		FUZZ_ASSERT(peal_pci_bus_plug(z->bus, devfn, z->function) == -EBUSY);
		return;
	}
	/* What it raises on its way out goes nowhere. */
	peal_pci_bus_unplug(z->bus, z->function);
	z->plugged = false;
}

static void step(struct fuzz *z, struct input *in)
{
	static const int answers[] = { 1, 1, 0, -EIO };
	unsigned code = (unsigned)take(in, 1), size = 1 + (code >> 4) % 8;

	switch (code % 16) {
	case 0:
	case 1:
		config_step(z, (uint32_t)take(in, 2), size, code & 1, in);
		break;
	case 2:
		config_step(z, (uint32_t)take(in, 1), size, code & 0x80, in);
		break;
	case 3:
	case 4:
		hot_step(z, in);
		break;
	case 5:
		bar_step(z, in);
		break;
	case 6:
	case 7:
		table_step(z, in);
		break;
	case 8:
		space_step(z, in);
		break;
	case 9:
	case 10:
	case 11:
		side_step(z, in);
		break;
	case 12:
		z->wish = code >> 4 & 1;
		peal_pci_function_set_intx(z->function, z->wish);
		break;
	case 13:
		if (code & 0x10)
			peal_pci_bus_intx_eoi(z->bus, code >> 5 & 3);
		else if (code >> 5 == 0)
			peal_pci_function_reset(z->function);
		else
			z->answer = answers[code >> 5 & 3];
		break;
	case 14:
		if (code & 0x10)
			fuzz_check_state(z);
		else
			load_step(z, in);
		break;
	default:
		if (code & 0x10 || !z->plugged)
			plug_step(z, (uint8_t)take(in, 1));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input in = { bytes, size };
	struct fuzz *z = calloc(1, sizeof(*z));
	unsigned n = 0;

	FUZZ_ASSERT(z);
	if (make(z, &in)) {
		fuzz_check(z, true);
		while (in.size && n < STEPS_MAX) {
			step(z, &in);
			fuzz_check(z, ++n % 16 == 0 || z->msix.vectors <= 64);
		}
		while (z->msix.brackets) {
			peal_msix_commit(z->msix.msix);
			z->msix.brackets--;
		}
		fuzz_check_state(z);
		fuzz_check(z, true);
	}
	done(z);
	return 0;
}
