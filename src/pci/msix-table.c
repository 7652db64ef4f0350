/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI-X as the guest sees it: the capability, the table and the pending bit array in their BARs;
 * and what a table must fulfil to be made. PCI Express Base 6.0 §7.7.2.
 */
#include "msix.h"

#define CAPABILITY_SIZE       12u
#define CONTROL               2u
#define CONTROL_FUNCTION_MASK 0x4000u
#define CONTROL_ENABLE        0x8000u
#define MAX_VECTORS           2048u

/* Where the PBA stands in the bank, behind the largest table. */
#define BANK_PBA 0x10000u

/* ---- registers ---- */

static uint64_t control_word(const struct peal_msix *msix)
{
	return peal_reg_get(msix->function->image + msix->config.position, CONTROL, 2);
}

bool pci_msix_enable_bit(const struct peal_msix *msix)
{
	return control_word(msix) & CONTROL_ENABLE;
}

/* Function Mask, and MSI-X not being enabled, mask all vectors alike. */
void pci_msix_evaluate(struct peal_msix *msix)
{
	uint64_t control = control_word(msix);
	bool enable = control & CONTROL_ENABLE;

	peal_mutex_lock(&msix->vectors.mutex);
	__atomic_store_n(&msix->enabled, enable, __ATOMIC_RELAXED);
	pci_vectors_set_off(&msix->vectors, !enable || control & CONTROL_FUNCTION_MASK);
	peal_mutex_unlock(&msix->vectors.mutex);
}

static void write_control(void *owner, const struct peal_reg_write *write)
{
	struct peal_msix *msix = owner;

	if (write->old == write->value)
		return;
	pci_msix_evaluate(msix);
	/* MSI gives way, and INTx is not used while messages are. */
	if (msix->function->msi)
		pci_msi_evaluate(msix->function->msi);
	pci_intx_evaluate(msix->function);
}

static uint64_t read_address_low(void *owner, const struct peal_reg *reg, unsigned index)
{
	(void)reg;
	return (uint32_t)peal_msix_message(owner, index).address;
}

static uint64_t read_address_high(void *owner, const struct peal_reg *reg, unsigned index)
{
	(void)reg;
	return peal_msix_message(owner, index).address >> 32;
}

static uint64_t read_data(void *owner, const struct peal_reg *reg, unsigned index)
{
	(void)reg;
	return peal_msix_message(owner, index).data;
}

static uint64_t read_vector_control(void *owner, const struct peal_reg *reg, unsigned index)
{
	const struct peal_msix *msix = owner;

	(void)reg;
	return msix->vectors.list[index].control;
}

static void write_address_low(void *owner, const struct peal_reg_write *write)
{
	struct peal_msix *msix = owner;
	struct peal_msi_msg msg = peal_msix_message(msix, write->index);

	pci_vectors_set_message(&msix->vectors, write->index,
				(msg.address & ~UINT64_C(0xffffffff)) | write->value, msg.data);
}

static void write_address_high(void *owner, const struct peal_reg_write *write)
{
	struct peal_msix *msix = owner;
	struct peal_msi_msg msg = peal_msix_message(msix, write->index);

	pci_vectors_set_message(&msix->vectors, write->index,
				(uint32_t)msg.address | write->value << 32, msg.data);
}

static void write_data(void *owner, const struct peal_reg_write *write)
{
	struct peal_msix *msix = owner;

	pci_vectors_set_message(&msix->vectors, write->index,
				peal_msix_message(msix, write->index).address,
				(uint32_t)write->value);
}

static void write_vector_control(void *owner, const struct peal_reg_write *write)
{
	struct peal_msix *msix = owner;

	msix->vectors.list[write->index].control = (uint32_t)write->value;
	if ((write->old ^ write->value) & MSIX_ENTRY_MASK)
		pci_vectors_set_mask(&msix->vectors, write->index, write->value & MSIX_ENTRY_MASK);
}

/* 64 pending bits of vectors 64 · INDEX and up. */
static uint64_t read_pba(void *owner, const struct peal_reg *reg, unsigned index)
{
	const struct peal_msix *msix = owner;
	unsigned first = 64 * index;
	uint64_t bits = 0;

	(void)reg;
	for (unsigned i = 0; i < 64 && first + i < msix->vectors.count; i++) {
		if (peal_msix_is_pending(msix, first + i))
			bits |= PEAL_BIT(i);
	}
	return bits;
}

static void write_pba(void *owner, const struct peal_reg_write *write)
{
	struct peal_msix *msix = owner;

	(void)write;
	peal_count(&msix->pba_writes, 1);
}

/* clang-format off */
const struct peal_reg pci_msix_capability_rows[] = {
	PEAL_PCI_CAPABILITY_HEADER,
	{ .offset = 2, .width = 2, .rw = CONTROL_FUNCTION_MASK | CONTROL_ENABLE,
	  .write = write_control, .name = "Message Control", .section = "PCIe 7.7.2.2" },
	{ .offset = 4, .width = 4, .name = "Table Offset/Table BIR", .section = "PCIe 7.7.2.3" },
	{ .offset = 8, .width = 4, .name = "PBA Offset/PBA BIR", .section = "PCIe 7.7.2.4" },
};
/* clang-format on */
const unsigned pci_msix_capability_nrows = PEAL_COUNT_OF(pci_msix_capability_rows);

/* The count is the group's. Reserved bits of Vector Control are preserved as read. */
/* clang-format off */
const struct peal_reg pci_msix_table_rows[] = {
	{ .offset = 0, .width = 4, .flags = PEAL_REG_HOOKED, .count = 1, .stride = MSIX_ENTRY_SIZE,
	  .rw = 0xfffffffc, .rsvdz = 3, .read = read_address_low, .write = write_address_low,
	  .name = "Message Address", .section = "PCIe 7.7.2.5" },
	{ .offset = 4, .width = 4, .flags = PEAL_REG_HOOKED, .count = 1, .stride = MSIX_ENTRY_SIZE,
	  .rw = 0xffffffff, .read = read_address_high, .write = write_address_high,
	  .name = "Message Upper Address", .section = "PCIe 7.7.2.6" },
	{ .offset = 8, .width = 4, .flags = PEAL_REG_HOOKED, .count = 1, .stride = MSIX_ENTRY_SIZE,
	  .rw = 0xffffffff, .read = read_data, .write = write_data, .name = "Message Data",
	  .section = "PCIe 7.7.2.7" },
	{ .offset = 12, .width = 4, .flags = PEAL_REG_HOOKED, .count = 1, .stride = MSIX_ENTRY_SIZE,
	  .rw = MSIX_ENTRY_MASK, .read = read_vector_control, .write = write_vector_control,
	  .name = "Vector Control", .section = "PCIe 7.7.2.8" },
};
/* clang-format on */
const unsigned pci_msix_table_nrows = PEAL_COUNT_OF(pci_msix_table_rows);

/* clang-format off */
const struct peal_reg pci_msix_pba_rows[] = {
	{ .offset = 0, .width = 8, .flags = PEAL_REG_HOOKED, .count = 1, .stride = 8,
	  .read = read_pba, .write = write_pba, .name = "Pending Bits", .section = "PCIe 7.7.2.9" },
};
/* clang-format on */
const unsigned pci_msix_pba_nrows = PEAL_COUNT_OF(pci_msix_pba_rows);

/* ---- the structures in their BARs ---- */

static uint32_t table_size(const struct peal_msix *msix)
{
	return msix->vectors.count * MSIX_ENTRY_SIZE;
}

static uint32_t pba_size(unsigned vectors)
{
	return (vectors + 63) / 64 * 8;
}

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

bool pci_msix_meets(const struct peal_msix *msix, unsigned bar, uint64_t offset, unsigned size)
{
	const struct peal_msix_config *c = &msix->config;

	return (bar == c->table_bar && overlap(offset, size, c->table_offset, table_size(msix))) ||
	       (bar == c->pba_bar &&
		overlap(offset, size, c->pba_offset, pba_size(msix->vectors.count)));
}

/* Exactly the vectors whose bits are read. */
static void poll_pba(struct peal_msix *msix, uint64_t offset, unsigned size)
{
	unsigned first = 8 * (unsigned)offset, end = first + 8 * size;

	pci_vectors_poll(&msix->vectors, first,
			 end < msix->vectors.count ? end : msix->vectors.count);
}

bool pci_msix_access(struct peal_msix *msix, unsigned bar, uint64_t offset, unsigned size,
		     bool write, uint64_t *value)
{
	const struct peal_msix_config *c = &msix->config;
	uint64_t at;

	if (bar == c->table_bar && offset >= c->table_offset &&
	    peal_in_range(offset - c->table_offset, size, table_size(msix)))
		at = offset - c->table_offset;
	else if (bar == c->pba_bar && offset >= c->pba_offset &&
		 peal_in_range(offset - c->pba_offset, size, pba_size(msix->vectors.count)))
		at = offset - c->pba_offset + BANK_PBA;
	else
		return false;
	peal_mutex_lock(&msix->vectors.mutex);
	pci_vectors_begin(&msix->vectors);
	if (write) {
		peal_reg_bank_write(&msix->bank, at, size, *value);
		if (msix->vectors.owner && at < BANK_PBA)
			pci_msix_written(msix, (unsigned)at / MSIX_ENTRY_SIZE,
					 (unsigned)(at + size - 1) / MSIX_ENTRY_SIZE);
	} else {
		if (at >= BANK_PBA)
			poll_pba(msix, at - BANK_PBA, size);
		*value = peal_reg_bank_read(&msix->bank, at, size);
	}
	pci_vectors_commit(&msix->vectors);
	peal_mutex_unlock(&msix->vectors.mutex);
	return true;
}

/* ---- creation ---- */

static int check(const struct peal_pci_function *function, const struct peal_msix_config *c)
{
	uint32_t table, pba;

	/* Before any narrowing: 19923041 is not 33. */
	if (c->vectors < 1 || c->vectors > MAX_VECTORS)
		return -EINVAL;
	table = c->vectors * MSIX_ENTRY_SIZE;
	pba = pba_size(c->vectors);
	if (c->table_bar >= PEAL_PCI_BARS || c->pba_bar >= PEAL_PCI_BARS)
		return -EINVAL;
	if (function->bars[c->table_bar].flags == PEAL_PCI_BAR_IO ||
	    function->bars[c->pba_bar].flags == PEAL_PCI_BAR_IO)
		return -EINVAL;
	if (c->table_offset % 8 || c->pba_offset % 8)
		return -EINVAL;
	if (!peal_in_range(c->table_offset, table, function->bars[c->table_bar].size) ||
	    !peal_in_range(c->pba_offset, pba, function->bars[c->pba_bar].size))
		return -EINVAL;
	if (c->table_bar == c->pba_bar && overlap(c->table_offset, table, c->pba_offset, pba))
		return -EINVAL;
	return 0;
}

void pci_msix_free(struct peal_msix *msix)
{
	if (!msix)
		return;
	pci_vectors_done(&msix->vectors);
	peal_free(msix->host, msix, sizeof(*msix));
}

static int allocate(struct peal_msix **ret, struct peal_pci_function *function,
		    const struct peal_msix_config *config)
{
	struct peal_msix *msix = peal_alloc(function->host, sizeof(*msix));
	int r;

	if (!msix)
		return -ENOMEM;
	msix->host = function->host;
	msix->function = function;
	msix->config = *config;
	r = pci_vectors_init(&msix->vectors, function->host, config->vectors);
	if (r < 0) {
		pci_msix_free(msix);
		return r;
	}
	*ret = msix;
	return 0;
}

static void make_bank(struct peal_msix *msix)
{
	const struct peal_reg_group table = {
		.size = table_size(msix),
		.rows = pci_msix_table_rows,
		.nrows = pci_msix_table_nrows,
		.owner = msix,
		.count = (uint16_t)msix->vectors.count,
	};
	const struct peal_reg_group pba = {
		.base = BANK_PBA,
		.size = pba_size(msix->vectors.count),
		.rows = pci_msix_pba_rows,
		.nrows = pci_msix_pba_nrows,
		.owner = msix,
		.count = (uint16_t)(pba_size(msix->vectors.count) / 8),
	};
	int r = peal_reg_bank_add(&msix->bank, &table);

	PEAL_ASSERT(r == 0);
	r = peal_reg_bank_add(&msix->bank, &pba);
	PEAL_ASSERT(r == 0);
}

int peal_pci_function_add_msix(struct peal_pci_function *function,
			       const struct peal_msix_config *config)
{
	struct peal_msix *msix;
	uint8_t at;
	int r;

	PEAL_ASSERT(!function->bus);
	if (function->no_messages)
		return -ENOTSUP;
	if (function->msix)
		return -EBUSY;
	r = check(function, config);
	if (r < 0)
		return r;
	r = allocate(&msix, function, config);
	if (r < 0)
		return r;
	r = peal_pci_function_add_capability(function, PCI_CAP_ID_MSIX, config->position,
					     CAPABILITY_SIZE, pci_msix_capability_rows,
					     pci_msix_capability_nrows, msix, &at);
	if (r < 0) {
		pci_msix_free(msix);
		return r;
	}
	msix->config.position = at;
	make_bank(msix);
	pci_msix_reset(msix);
	peal_pci_function_set_config(function, at + 2u, 2, config->vectors - 1);
	peal_pci_function_set_config(function, at + 4u, 4,
				     config->table_offset | config->table_bar);
	peal_pci_function_set_config(function, at + 8u, 4, config->pba_offset | config->pba_bar);
	function->msix = msix;
	return 0;
}

int peal_pci_function_add_msix_exclusive(struct peal_pci_function *function, unsigned vectors,
					 unsigned index)
{
	struct peal_msix_config config = { .vectors = vectors };
	uint64_t size = 4096;
	uint32_t table;
	int r;

	if (function->no_messages)
		return -ENOTSUP;
	if (vectors < 1 || vectors > MAX_VECTORS || index >= PEAL_PCI_BARS)
		return -EINVAL;
	if (function->msix)
		return -EBUSY;
	table = vectors * MSIX_ENTRY_SIZE;
	config.table_bar = config.pba_bar = (uint8_t)index;
	config.pba_offset = table <= 2048 ? 2048 : table;
	while (size < config.pba_offset + pba_size(vectors))
		size *= 2;
	r = peal_pci_function_add_bar(function, index, PEAL_PCI_BAR_MEM32, size, NULL, NULL);
	if (r < 0)
		return r;
	r = peal_pci_function_add_msix(function, &config);
	if (r < 0) {
		function->bars[index].size = 0;
		function->bars[index].flags = 0;
		peal_pci_function_set_config(function, PCI_BAR0 + 4 * index, 4, 0);
	}
	return r;
}

/* The uses are the device's, not the guest's, and stay. */
void pci_msix_reset(struct peal_msix *msix)
{
	peal_mutex_lock(&msix->vectors.mutex);
	pci_vectors_begin(&msix->vectors);
	__atomic_store_n(&msix->enabled, false, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < msix->vectors.count; i++)
		msix->vectors.list[i].control = MSIX_ENTRY_MASK;
	pci_vectors_reset(&msix->vectors);
	if (msix->vectors.owner)
		pci_msix_forget_masks(msix);
	pci_vectors_commit(&msix->vectors);
	peal_mutex_unlock(&msix->vectors.mutex);
}

void pci_msix_clear_pending(struct peal_msix *msix)
{
	peal_mutex_lock(&msix->vectors.mutex);
	pci_vectors_clear_pending(&msix->vectors);
	peal_mutex_unlock(&msix->vectors.mutex);
}

void pci_msix_connect(struct peal_msix *msix, const struct peal_msi_sink *sink,
		      uint32_t requester_id)
{
	pci_vectors_connect(&msix->vectors, sink, requester_id);
}

void pci_msix_set_bus_master(struct peal_msix *msix, bool enabled)
{
	pci_vectors_set_bus_master(&msix->vectors, enabled);
}

void pci_msix_set_requester(struct peal_msix *msix, uint32_t requester_id)
{
	pci_vectors_set_requester(&msix->vectors, requester_id);
}
