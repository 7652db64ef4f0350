/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Saving and loading a function: registers, MSI-X, MSI, INTx.
 *
 * All numbers little-endian:
 *
 *   u32 magic, u32 version, u32 size of all of it
 *   u32 size of configuration space, its bytes
 *   u32 MSI-X vectors; each: u64 address, u32 data, u32 vector control, u32 uses; pending bits
 *   u32 MSI vectors; each: u32 uses; pending bits
 *   u32 INTx wish
 *
 * Pending bits are u64 words. What is loaded is checked whole before anything changes: sizes and
 * counts are the function's own, and every bit that the guest cannot write is what it is here.
 */
#include "base/cursor.h"
#include "msi.h"
#include "msix.h"

#define MAGIC   0x49435050u /* "PPCI" */
#define VERSION 1u

#define MSIX_FUNCTION_MASK 0x4000u
#define MSIX_ENABLE        0x8000u
#define MSIX_RESERVED      0xfffffffeu
#define SAVED_ENTRY        20u /* bytes of an MSI-X vector */
#define USES_MAX           0x7fffffffu

static unsigned pending_words(const struct pci_vectors *vectors)
{
	return (vectors->count + 63) / 64;
}

/* ---- saving ---- */

static void put_pending(struct peal_cursor *c, const struct pci_vectors *vectors)
{
	for (unsigned word = 0; word < pending_words(vectors); word++) {
		uint64_t bits = 0;

		for (unsigned i = word * 64; i < vectors->count && i < word * 64 + 64; i++) {
			if (pci_vectors_state(vectors, i) & PCI_VECTOR_PENDING)
				bits |= PEAL_BIT(i % 64);
		}
		peal_cursor_put(c, 8, bits);
	}
}

static void put_msix(struct peal_cursor *c, struct peal_msix *msix)
{
	peal_cursor_put(c, 4, msix ? msix->vectors.count : 0);
	if (!msix)
		return;
	peal_mutex_lock(&msix->vectors.mutex);
	/* Interrupts that a consumer took elsewhere belong to the state. */
	pci_vectors_begin(&msix->vectors);
	pci_vectors_poll(&msix->vectors, 0, msix->vectors.count);
	pci_vectors_commit(&msix->vectors);
	for (unsigned i = 0; i < msix->vectors.count; i++) {
		const struct peal_msi_msg msg = pci_vectors_message(&msix->vectors, i);

		peal_cursor_put(c, 8, msg.address);
		peal_cursor_put(c, 4, msg.data);
		peal_cursor_put(c, 4, msix->vectors.list[i].control);
		peal_cursor_put(c, 4, msix->vectors.list[i].uses);
	}
	put_pending(c, &msix->vectors);
	peal_mutex_unlock(&msix->vectors.mutex);
}

static void put_msi(struct peal_cursor *c, struct peal_msi *msi)
{
	peal_cursor_put(c, 4, msi ? msi->vectors.count : 0);
	if (!msi)
		return;
	peal_mutex_lock(&msi->vectors.mutex);
	pci_vectors_begin(&msi->vectors);
	pci_vectors_poll(&msi->vectors, 0, msi->vectors.count);
	pci_vectors_commit(&msi->vectors);
	for (unsigned i = 0; i < msi->vectors.count; i++)
		peal_cursor_put(c, 4, msi->vectors.list[i].uses);
	put_pending(c, &msi->vectors);
	peal_mutex_unlock(&msi->vectors.mutex);
}

size_t peal_pci_function_state_size(const struct peal_pci_function *function)
{
	size_t size = 3 * 4 + 4 + function->config_size + 4 + 4 + 4;

	if (function->msix)
		size += 20 * (size_t)function->msix->vectors.count +
			8 * (size_t)pending_words(&function->msix->vectors);
	if (function->msi)
		size += 4 * (size_t)function->msi->vectors.count +
			8 * (size_t)pending_words(&function->msi->vectors);
	return size;
}

int peal_pci_function_save(struct peal_pci_function *function, void *bytes, size_t size)
{
	size_t total = peal_pci_function_state_size(function);
	struct peal_cursor c = { .bytes = bytes, .size = total };

	if (size < total)
		return -ENOSPC;
	peal_cursor_put(&c, 4, MAGIC);
	peal_cursor_put(&c, 4, VERSION);
	peal_cursor_put(&c, 4, total);
	peal_mutex_lock(&function->mutex);
	peal_cursor_put(&c, 4, function->config_size);
	memcpy(peal_cursor_advance(&c, function->config_size), function->image,
	       function->config_size);
	put_msix(&c, function->msix);
	put_msi(&c, function->msi);
	peal_cursor_put(&c, 4, pci_intx_wish(function));
	peal_mutex_unlock(&function->mutex);
	PEAL_ASSERT(!c.bad && c.at == total);
	return 0;
}

/* ---- checking ---- */

/* May one register have this value here? */
static bool is_possible(const struct peal_pci_function *function, const struct peal_reg *reg,
			uint32_t at, uint64_t value)
{
	uint64_t here = peal_reg_get(function->defaults, at, reg->width);
	uint64_t free = reg->rw | reg->w1c;

	if (reg->flags & (PEAL_REG_CONST | PEAL_REG_HOOKED) && at != PCI_STATUS)
		return true;
	/* What the guest can write to a BAR, its flags aside, comes from its size. */
	if (!function->bridge && at >= PCI_BAR0 && at < PCI_BAR0 + 4 * PEAL_PCI_BARS)
		return value == pci_bar_register(function, (at - PCI_BAR0) / 4, (uint32_t)value);
	if (function->msi && !pci_msi_is_possible(function->msi, at, value))
		return false;
	/* D1 and D2 are not supported. */
	if (function->power_management && at == function->power_management + 4u &&
	    (value & 3) % 3 != 0)
		return false;
	return ((value ^ here) & ~free) == 0;
}

/* Calls on every register of configuration space that has a state. */
static bool config_is_possible(const struct peal_pci_function *function, const uint8_t *config)
{
	for (unsigned i = 0; i < function->bank.ngroups; i++) {
		const struct peal_reg_group *group = &function->bank.groups[i];

		for (unsigned j = 0; j < group->nrows; j++) {
			const struct peal_reg *reg = &group->rows[j];
			unsigned count = !reg->count ? 1 : group->count ? group->count : reg->count;

			for (unsigned k = 0; k < count; k++) {
				uint32_t at = group->base + reg->offset + k * reg->stride;

				if (!is_possible(function, reg, at,
						 peal_load_le(config + at, reg->width)))
					return false;
			}
		}
	}
	return true;
}

/*
 * USES: those of the vectors, STRIDE bytes apart. A vector pends only while it, or with MSI one
 * behind it that is raised as it, is in use; and no count may be near its end.
 */
static bool pending_is_possible(struct peal_cursor *c, const struct pci_vectors *vectors,
				const uint8_t *uses, size_t stride, bool shared)
{
	const uint8_t *bits = peal_cursor_advance(c, 8 * (size_t)pending_words(vectors));
	bool used = false;

	if (!bits)
		return false;
	for (unsigned i = pending_words(vectors) * 64; i-- > 0;) {
		uint64_t count = i < vectors->count ? peal_load_le(uses + i * stride, 4) : 0;

		if (count > USES_MAX)
			return false;
		used = count || (shared && used);
		if (bits[i / 8] >> (i % 8) & 1 && !used)
			return false;
	}
	return true;
}

static bool msix_is_possible(struct peal_cursor *c, const struct peal_msix *msix)
{
	uint64_t count = peal_cursor_take(c, 4);
	const uint8_t *entries;

	if (count != (msix ? msix->vectors.count : 0))
		return false;
	entries = peal_cursor_advance(c, SAVED_ENTRY * count);
	for (uint64_t i = 0; entries && i < count; i++) {
		if (peal_load_le(entries + SAVED_ENTRY * i, 4) & 3 ||
		    peal_load_le(entries + SAVED_ENTRY * i + 12, 4) & MSIX_RESERVED)
			return false;
	}
	return !msix || (entries &&
			 pending_is_possible(c, &msix->vectors, entries + 16, SAVED_ENTRY, false));
}

static bool msi_is_possible(struct peal_cursor *c, const struct peal_msi *msi)
{
	uint64_t count = peal_cursor_take(c, 4);
	const uint8_t *uses;

	if (count != (msi ? msi->vectors.count : 0))
		return false;
	uses = peal_cursor_advance(c, 4 * count);
	return !msi || (uses && pending_is_possible(c, &msi->vectors, uses, 4, true));
}

static bool is_loadable(const struct peal_pci_function *function, struct peal_cursor c)
{
	const uint8_t *config;

	if (peal_cursor_take(&c, 4) != MAGIC || peal_cursor_take(&c, 4) != VERSION ||
	    peal_cursor_take(&c, 4) != c.size || peal_cursor_take(&c, 4) != function->config_size)
		return false;
	config = peal_cursor_advance(&c, function->config_size);
	return config && config_is_possible(function, config) &&
	       msix_is_possible(&c, function->msix) && msi_is_possible(&c, function->msi) &&
	       peal_cursor_take(&c, 4) <= 1 && !c.bad && c.at == c.size;
}

/* ---- loading: all is masked before, and unmasked last ---- */

static void take_pending(struct peal_cursor *c, struct pci_vectors *vectors)
{
	for (unsigned word = 0; word < pending_words(vectors); word++) {
		uint64_t bits = peal_cursor_take(c, 8);

		for (unsigned i = word * 64; i < vectors->count && i < word * 64 + 64; i++)
			pci_vectors_set_pending(vectors, i, bits >> (i % 64) & 1);
	}
}

static void load_msix(struct peal_cursor *c, struct peal_msix *msix)
{
	(void)peal_cursor_take(c, 4);
	if (!msix)
		return;
	peal_mutex_lock(&msix->vectors.mutex);
	pci_vectors_begin(&msix->vectors);
	for (unsigned i = 0; i < msix->vectors.count; i++) {
		uint64_t address = peal_cursor_take(c, 8);
		uint32_t data = (uint32_t)peal_cursor_take(c, 4);

		pci_vectors_set_message(&msix->vectors, i, address, data);
		msix->vectors.list[i].control = (uint32_t)peal_cursor_take(c, 4);
		pci_vectors_set_uses(&msix->vectors, i, (uint32_t)peal_cursor_take(c, 4));
	}
	take_pending(c, &msix->vectors);
	for (unsigned i = 0; i < msix->vectors.count; i++)
		pci_vectors_set_mask(&msix->vectors, i,
				     msix->vectors.list[i].control & MSIX_ENTRY_MASK);
	if (msix->vectors.owner)
		pci_msix_loaded(msix);
	pci_vectors_commit(&msix->vectors);
	peal_mutex_unlock(&msix->vectors.mutex);
}

static void load_msi(struct peal_cursor *c, struct peal_msi *msi)
{
	(void)peal_cursor_take(c, 4);
	if (!msi)
		return;
	peal_mutex_lock(&msi->vectors.mutex);
	for (unsigned i = 0; i < msi->vectors.count; i++)
		pci_vectors_set_uses(&msi->vectors, i, (uint32_t)peal_cursor_take(c, 4));
	take_pending(c, &msi->vectors);
	peal_mutex_unlock(&msi->vectors.mutex);
}

int peal_pci_function_load(struct peal_pci_function *function, const void *bytes, size_t size)
{
	struct peal_cursor c = peal_cursor_reader(bytes, size);

	peal_mutex_lock(&function->mutex);
	if (!is_loadable(function, c)) {
		peal_mutex_unlock(&function->mutex);
		return -EINVAL;
	}
	if (function->msix)
		pci_msix_reset(function->msix);
	if (function->msi)
		pci_msi_stop(function->msi);
	c.at = 4 * 4;
	memcpy(function->image, peal_cursor_advance(&c, function->config_size),
	       function->config_size);
	function->powered_down = pci_is_powered_down(function);
	load_msix(&c, function->msix);
	load_msi(&c, function->msi);
	pci_intx_load(function, peal_cursor_take(&c, 4));
	peal_mutex_unlock(&function->mutex);

	/* What unmasks comes when messages can leave. */
	pci_function_settle(function, PCI_DEFERRED_BUS_MASTER | PCI_DEFERRED_DECODE);
	peal_mutex_lock(&function->mutex);
	if (function->msix)
		pci_msix_evaluate(function->msix);
	if (function->msi)
		pci_msi_evaluate(function->msi);
	peal_mutex_unlock(&function->mutex);
	return 0;
}
