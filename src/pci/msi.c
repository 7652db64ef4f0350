/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI: 1 to 32 vectors of one message whose low data bits name the vector.
 * PCI Local Bus 3.0 §6.8.1; PCI Express Base 6.0 §7.7.1.
 *
 *        32-bit address        64-bit address
 *   +00  id, next, control     id, next, control
 *   +04  address               address
 *   +08  data, extended data   upper address
 *   +0c  mask bits (*)         data, extended data
 *   +10  pending bits (*)      mask bits (*)
 *   +14                        pending bits (*)          (*) with per-vector masking
 *
 * The registers decide; every write works out anew what the vectors are (src/pci/vectors.h). Lock
 * order: the function's configuration mutex → the vectors'.
 */
#include "msi.h"

#define CONTROL_ENABLE          0x0001u
#define CONTROL_CAPABLE_SHIFT   1u
#define CONTROL_MULTIPLE_SHIFT  4u
#define CONTROL_MULTIPLE        0x0070u
#define CONTROL_WIDE            0x0080u
#define CONTROL_MASKABLE        0x0100u
#define CONTROL_EXTENDED        0x0200u
#define CONTROL_EXTENDED_ENABLE 0x0400u

#define CONTROL_AT 2u
#define ADDRESS_AT 4u
#define UPPER_AT   8u

static uint32_t data_at(const struct peal_msi *msi)
{
	return msi->config.wide ? 0x0c : 0x08;
}

static uint32_t mask_at(const struct peal_msi *msi)
{
	return data_at(msi) + 4;
}

static uint64_t get(const struct peal_msi *msi, uint32_t offset, unsigned width)
{
	return peal_reg_get(msi->function->image + msi->position, offset, width);
}

/* ---- what the registers say ---- */

bool pci_msi_enable_bit(const struct peal_msi *msi)
{
	return get(msi, CONTROL_AT, 2) & CONTROL_ENABLE;
}

static unsigned enabled_count(const struct peal_msi *msi)
{
	return 1u << ((get(msi, CONTROL_AT, 2) & CONTROL_MULTIPLE) >> CONTROL_MULTIPLE_SHIFT);
}

static void set_messages(struct peal_msi *msi, unsigned count)
{
	uint64_t address = get(msi, ADDRESS_AT, 4);
	uint32_t data = (uint32_t)get(msi, data_at(msi), 2);

	if (msi->config.wide)
		address |= get(msi, UPPER_AT, 4) << 32;
	if (get(msi, CONTROL_AT, 2) & CONTROL_EXTENDED_ENABLE)
		data |= (uint32_t)get(msi, data_at(msi) + 2, 2) << 16;
	/* Vectors past the enabled ones are raised as one of these (§6.1.4.4), and one whose raise
	 * began when it was enabled itself has a message too. */
	for (unsigned i = 0; i < msi->vectors.count; i++)
		pci_vectors_set_message(&msi->vectors, i, address,
					(data & ~(count - 1)) | (i & (count - 1)));
}

static void set_masks(struct peal_msi *msi)
{
	uint64_t mask = msi->config.maskable ? get(msi, mask_at(msi), 4) : 0;

	for (unsigned i = 0; i < msi->vectors.count; i++)
		pci_vectors_set_mask(&msi->vectors, i, mask >> i & 1);
}

void pci_msi_evaluate(struct peal_msi *msi)
{
	const struct peal_pci_function *function = msi->function;
	bool enabled = pci_msi_enable_bit(msi);
	/* Both enabled is undefined by the specification: MSI-X wins. */
	bool off = !enabled || (function->msix && peal_msix_is_enabled(function->msix));
	unsigned count = enabled_count(msi), shared = enabled ? count : msi->vectors.count;

	peal_mutex_lock(&msi->vectors.mutex);
	pci_vectors_begin(&msi->vectors);
	if (off || shared != msi->vectors.shared)
		pci_vectors_set_off(&msi->vectors, true);
	set_messages(msi, count);
	set_masks(msi);
	if (msi->vectors.off)
		pci_vectors_admit(&msi->vectors, shared);
	__atomic_store_n(&msi->enabled, enabled ? count : 0, __ATOMIC_SEQ_CST);
	if (msi->vectors.off)
		pci_vectors_share(&msi->vectors, shared);
	if (!off)
		pci_vectors_set_off(&msi->vectors, false);
	pci_vectors_commit(&msi->vectors);
	peal_mutex_unlock(&msi->vectors.mutex);
}

/* ---- registers ---- */

static void write_register(void *owner, const struct peal_reg_write *write)
{
	struct peal_msi *msi = owner;

	if (write->value != write->old)
		pci_msi_evaluate(msi);
}

static void write_control(void *owner, const struct peal_reg_write *write)
{
	struct peal_msi *msi = owner;
	uint64_t capable = peal_field(write->value, 3, 1), value = write->value;

	if (peal_field(value, 6, 4) > capable)
		value = (value & ~(uint64_t)CONTROL_MULTIPLE) | capable << CONTROL_MULTIPLE_SHIFT;
	if (!msi->config.extended_data)
		value &= ~(uint64_t)CONTROL_EXTENDED_ENABLE;
	peal_reg_set(msi->function->image + msi->position, CONTROL_AT, 2, value);
	if (value == write->old)
		return;
	pci_msi_evaluate(msi);
	pci_intx_evaluate(msi->function);
}

static void write_extended_data(void *owner, const struct peal_reg_write *write)
{
	struct peal_msi *msi = owner;

	if (!msi->config.extended_data)
		peal_reg_set(msi->function->image + msi->position, write->reg->offset, 2,
			     write->old);
	else if (write->value != write->old)
		pci_msi_evaluate(msi);
}

static void write_mask(void *owner, const struct peal_reg_write *write)
{
	struct peal_msi *msi = owner;

	/* Bits past the vector count are read-only zero. */
	peal_reg_set(msi->function->image + msi->position, write->reg->offset, 4,
		     write->value & (PEAL_BIT(msi->vectors.count) - 1));
	pci_msi_evaluate(msi);
}

static uint64_t read_pending(void *owner, const struct peal_reg *reg, unsigned index)
{
	struct peal_msi *msi = owner;
	uint64_t bits = 0;

	(void)reg;
	(void)index;
	peal_mutex_lock(&msi->vectors.mutex);
	pci_vectors_begin(&msi->vectors);
	pci_vectors_poll(&msi->vectors, 0, msi->vectors.count);
	pci_vectors_commit(&msi->vectors);
	peal_mutex_unlock(&msi->vectors.mutex);
	for (unsigned i = 0; i < msi->vectors.count; i++) {
		if (peal_msi_is_pending(msi, i))
			bits |= PEAL_BIT(i);
	}
	return bits;
}

/* clang-format off */
#define CONTROL_ROW                                                                               \
	{ .offset = CONTROL_AT, .width = 2,                                                       \
	  .rw = CONTROL_ENABLE | CONTROL_MULTIPLE | CONTROL_EXTENDED_ENABLE,                      \
	  .write = write_control, .name = "Message Control", .section = "PCIe 7.7.1.2" }
#define ADDRESS_ROW                                                                               \
	{ .offset = ADDRESS_AT, .width = 4, .rw = 0xfffffffc, .rsvdz = 3,                         \
	  .write = write_register, .name = "Message Address", .section = "PCIe 7.7.1.3" }
#define UPPER_ROW                                                                                 \
	{ .offset = UPPER_AT, .width = 4, .rw = 0xffffffff, .write = write_register,              \
	  .name = "Message Upper Address", .section = "PCIe 7.7.1.4" }
#define DATA_ROWS(at)                                                                             \
	{ .offset = (at), .width = 2, .rw = 0xffff, .write = write_register,                      \
	  .name = "Message Data", .section = "PCIe 7.7.1.5" },                                    \
	{ .offset = (at) + 2, .width = 2, .rw = 0xffff, .write = write_extended_data,             \
	  .name = "Extended Message Data", .section = "PCIe 7.7.1.6" }
#define MASK_ROWS(at)                                                                             \
	{ .offset = (at), .width = 4, .rw = 0xffffffff, .write = write_mask,                      \
	  .name = "Mask Bits", .section = "PCIe 7.7.1.7" },                                       \
	{ .offset = (at) + 4, .width = 4, .flags = PEAL_REG_HOOKED, .read = read_pending,         \
	  .name = "Pending Bits", .section = "PCIe 7.7.1.8" }

static const struct peal_reg narrow_rows[] = {
	PEAL_PCI_CAPABILITY_HEADER, CONTROL_ROW, ADDRESS_ROW, DATA_ROWS(0x08),
};
static const struct peal_reg wide_rows[] = {
	PEAL_PCI_CAPABILITY_HEADER, CONTROL_ROW, ADDRESS_ROW, UPPER_ROW, DATA_ROWS(0x0c),
};
static const struct peal_reg narrow_maskable_rows[] = {
	PEAL_PCI_CAPABILITY_HEADER, CONTROL_ROW, ADDRESS_ROW, DATA_ROWS(0x08), MASK_ROWS(0x0c),
};
static const struct peal_reg wide_maskable_rows[] = {
	PEAL_PCI_CAPABILITY_HEADER, CONTROL_ROW, ADDRESS_ROW, UPPER_ROW, DATA_ROWS(0x0c),
	MASK_ROWS(0x10),
};
/* clang-format on */

/* By 64-bit address and per-vector masking. */
const struct pci_msi_layout pci_msi_layouts[2][2] = {
	{
		{ narrow_rows, PEAL_COUNT_OF(narrow_rows), 0x0c },
		{ narrow_maskable_rows, PEAL_COUNT_OF(narrow_maskable_rows), 0x14 },
	},
	{
		{ wide_rows, PEAL_COUNT_OF(wide_rows), 0x10 },
		{ wide_maskable_rows, PEAL_COUNT_OF(wide_maskable_rows), 0x18 },
	},
};

/* ---- life ---- */

int peal_pci_function_add_msi(struct peal_pci_function *function,
			      const struct peal_msi_config *config)
{
	const struct pci_msi_layout *layout = &pci_msi_layouts[config->wide][config->maskable];
	struct peal_msi *msi;
	int r;

	PEAL_ASSERT(!function->bus);
	if (function->no_messages)
		return -ENOTSUP;
	if (function->msi)
		return -EBUSY;
	if (!peal_is_power_of_two(config->vectors) || config->vectors > PEAL_MSI_VECTORS_MAX)
		return -EINVAL;
	msi = peal_alloc(function->host, sizeof(*msi));
	if (!msi)
		return -ENOMEM;
	msi->function = function;
	msi->config = *config;
	r = pci_vectors_init(&msi->vectors, function->host, config->vectors);
	if (r == 0)
		r = peal_pci_function_add_capability(function, PCI_CAP_ID_MSI, config->position,
						     layout->size, layout->rows, layout->nrows, msi,
						     &msi->position);
	if (r < 0) {
		pci_msi_free(msi);
		return r;
	}
	peal_pci_function_set_config(function, msi->position + CONTROL_AT, 2,
				     (uint64_t)__builtin_ctz(config->vectors)
						     << CONTROL_CAPABLE_SHIFT |
					     (config->wide ? CONTROL_WIDE : 0) |
					     (config->maskable ? CONTROL_MASKABLE : 0) |
					     (config->extended_data ? CONTROL_EXTENDED : 0));
	pci_msi_evaluate(msi);
	function->msi = msi;
	return 0;
}

void pci_msi_free(struct peal_msi *msi)
{
	if (!msi)
		return;
	pci_vectors_done(&msi->vectors);
	peal_free(msi->function->host, msi, sizeof(*msi));
}

/* For loading: could the guest have left VALUE in the register AT, as far as its row does not tell? */
bool pci_msi_is_possible(const struct peal_msi *msi, uint32_t at, uint64_t value)
{
	uint32_t offset = at - msi->position;

	if (offset == CONTROL_AT)
		return peal_field(value, 6, 4) <= peal_field(value, 3, 1) &&
		       (msi->config.extended_data || !(value & CONTROL_EXTENDED_ENABLE));
	if (offset == data_at(msi) + 2)
		return msi->config.extended_data || value == 0;
	if (msi->config.maskable && offset == mask_at(msi))
		return value < PEAL_BIT(msi->vectors.count);
	return true;
}

/* All is masked until the registers are evaluated. */
void pci_msi_stop(struct peal_msi *msi)
{
	peal_mutex_lock(&msi->vectors.mutex);
	__atomic_store_n(&msi->enabled, 0, __ATOMIC_RELAXED);
	pci_vectors_begin(&msi->vectors);
	pci_vectors_reset(&msi->vectors);
	msi->vectors.shared = msi->vectors.count;
	pci_vectors_commit(&msi->vectors);
	peal_mutex_unlock(&msi->vectors.mutex);
}

/* After the image went back to its defaults. */
void pci_msi_reset(struct peal_msi *msi)
{
	pci_msi_stop(msi);
	pci_msi_evaluate(msi);
}

void pci_msi_clear_pending(struct peal_msi *msi)
{
	peal_mutex_lock(&msi->vectors.mutex);
	pci_vectors_clear_pending(&msi->vectors);
	peal_mutex_unlock(&msi->vectors.mutex);
}

void pci_msi_connect(struct peal_msi *msi, const struct peal_msi_sink *sink, uint32_t requester_id)
{
	pci_vectors_connect(&msi->vectors, sink, requester_id);
}

void pci_msi_set_requester(struct peal_msi *msi, uint32_t requester_id)
{
	pci_vectors_set_requester(&msi->vectors, requester_id);
}

void pci_msi_set_bus_master(struct peal_msi *msi, bool enabled)
{
	pci_vectors_set_bus_master(&msi->vectors, enabled);
}

/* ---- towards the device and the host ---- */

struct peal_msi *peal_pci_function_msi(struct peal_pci_function *function)
{
	return function->msi;
}

/* After a raise as vector AS that sent nothing: is it to be raised again? NOW: vectors enabled. */
static bool has_to_raise_again(struct peal_msi *msi, unsigned vector, unsigned as, unsigned now,
			       int r)
{
	/* Who was to stand for it did no more, or not yet again. */
	if (r == PCI_VECTORS_NOBODY)
		return pci_vectors_is_used(&msi->vectors, vector);
	return now && as >= now && pci_vectors_take_pending(&msi->vectors, as);
}

/*
 * A function that got fewer vectors than it asked for shares them (§6.1.4.4). When the guest changes
 * their number meanwhile, what pended where nobody looks any more is raised again as it is now:
 * either this sees the new number, or the change sees the pending bit and moves it. Modelled in
 * tests/models/msi.pml.
 */
int peal_msi_notify(struct peal_msi *msi, unsigned vector)
{
	unsigned as, now;
	int r;

	if (peal_unlikely(vector >= msi->vectors.count ||
			  !pci_vectors_is_used(&msi->vectors, vector)))
		return 0;
	now = __atomic_load_n(&msi->enabled, __ATOMIC_SEQ_CST);
	do {
		as = now ? vector & (now - 1) : vector;
		r = pci_vectors_raise_checked(&msi->vectors, as);
		if (peal_likely(r > 0))
			return r;
		now = __atomic_load_n(&msi->enabled, __ATOMIC_SEQ_CST);
	} while (has_to_raise_again(msi, vector, as, now, r));
	return r == PCI_VECTORS_NOBODY ? 0 : r;
}

unsigned peal_msi_vectors(const struct peal_msi *msi)
{
	return msi->vectors.count;
}

unsigned peal_msi_enabled(const struct peal_msi *msi)
{
	return __atomic_load_n(&msi->enabled, __ATOMIC_RELAXED);
}

bool peal_msi_is_masked(const struct peal_msi *msi, unsigned vector)
{
	return pci_vectors_state(&msi->vectors, vector) & PCI_VECTOR_MASKED;
}

bool peal_msi_is_pending(const struct peal_msi *msi, unsigned vector)
{
	return pci_vectors_state(&msi->vectors, vector) & PCI_VECTOR_PENDING;
}

bool peal_msi_is_used(const struct peal_msi *msi, unsigned vector)
{
	return pci_vectors_is_used(&msi->vectors, vector);
}

unsigned peal_msi_uses(const struct peal_msi *msi, unsigned vector)
{
	PEAL_ASSERT(vector < msi->vectors.count);
	return __atomic_load_n(&msi->vectors.list[vector].uses, __ATOMIC_RELAXED);
}

struct peal_msi_msg peal_msi_message(const struct peal_msi *msi, unsigned vector)
{
	PEAL_ASSERT(vector < msi->vectors.count);
	return pci_vectors_message(&msi->vectors, vector);
}

int peal_msi_use(struct peal_msi *msi, unsigned vector)
{
	return pci_vectors_use(&msi->vectors, vector);
}

void peal_msi_unuse(struct peal_msi *msi, unsigned vector)
{
	pci_vectors_unuse(&msi->vectors, vector);
}

void peal_msi_unuse_all(struct peal_msi *msi)
{
	pci_vectors_unuse_all(&msi->vectors);
}

int peal_msi_set_consumer(struct peal_msi *msi, const struct peal_vector_consumer *consumer,
			  void *user)
{
	return pci_vectors_set_consumer(&msi->vectors, consumer, user);
}

void peal_msi_counters(const struct peal_msi *msi, unsigned vector, struct peal_msix_counters *ret)
{
	pci_vectors_counters(&msi->vectors, vector, ret);
}
