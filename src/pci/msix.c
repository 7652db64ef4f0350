/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI-X. PCI Local Bus 3.0 §6.8.2; PCI Express Base 6.0 §7.7.2.
 *
 * All that decides what a raise does is in one word per vector, and each change of it is one
 * atomic step, so raise, mask, unmask, function mask, enable and the bus master gate have an order:
 *
 *   31                    8  5       4     3       2        1         0
 *   ┌──────────────────────┬──┬──────┬───────┬────────┬──────────┬──────┐
 *   │ version of message   │  │UNUSED│NO_BUS │ SELECT │ FUNCTION │ MASK │ + PENDING
 *   └──────────────────────┴──┴──────┴───────┴────────┴──────────┴──────┘
 *
 * MASK is the Mask bit of the entry; FUNCTION says that Function Mask is set or MSI-X is off;
 * SELECT names which of two copies of address and data is the message; a change of the message
 * writes the other copy and then flips SELECT and advances the version in one step, so a raise
 * that read a torn copy sees another word and looks again.
 *
 * Invariants: PENDING only while MASK or FUNCTION is set; whoever clears PENDING in a step that
 * leaves the vector unmasked sends the message, exactly once. A raise that finds PENDING set still
 * makes an atomic step on the word: what its device wrote before is then seen by who clears it.
 * Modelled in tests/models/msix.pml.
 *
 * Everything but raising runs under the mutex.
 */
#include "function.h"

#define STATE_MASK     0x01u
#define STATE_FUNCTION 0x02u
#define STATE_SELECT   0x04u
#define STATE_NO_BUS   0x08u
#define STATE_UNUSED   0x10u
#define STATE_PENDING  0x20u
#define STATE_VERSION  0x100u

#define STATE_MASKED (STATE_MASK | STATE_FUNCTION)
#define STATE_SLOW   (STATE_MASKED | STATE_NO_BUS | STATE_UNUSED)

#define CAPABILITY_SIZE       12u
#define CONTROL               2u
#define CONTROL_FUNCTION_MASK 0x4000u
#define CONTROL_ENABLE        0x8000u
#define ENTRY_SIZE            16u
#define ENTRY_CONTROL_MASK    1u
#define MAX_VECTORS           2048u

/* Where the PBA stands in the bank, behind the largest table. */
#define BANK_PBA 0x10000u

/* One cache line: a raise touches no other. */
struct msix_vector {
	uint32_t state;
	uint32_t control; /* vector control as the guest sees it */
	uint64_t address[2];
	uint32_t data[2];
	uint32_t uses;
	uint32_t unused;
	uint64_t sent;
	uint64_t pended;
	uint64_t merged;
} __attribute__((aligned(PEAL_CACHE_LINE)));

_Static_assert(sizeof(struct msix_vector) == PEAL_CACHE_LINE, "a vector is one cache line");

/* Counters that a raise seldom touches. */
struct msix_rare {
	uint64_t refired;
	uint64_t dropped;
	uint64_t blocked;
	uint64_t failed;
};

struct peal_msix {
	struct msix_vector *vectors;
	struct msix_rare *rare;
	struct peal_msi_sink sink;
	uint32_t requester_id;
	uint32_t count;
	struct peal_pci_function *function;
	const struct peal_host *host;
	struct peal_mutex mutex;
	struct peal_reg_bank bank;
	struct peal_msix_config config;
	bool enabled;
	bool function_mask;
	bool bus_master;
	uint64_t pba_writes;
};

/* ---- raising ---- */

/* The sink's answer, seldom anything but 1. */
static int __attribute__((noinline))
count_answer(struct peal_msix *msix, unsigned vector, int answer)
{
	if (answer == 0)
		peal_count(&msix->rare[vector].blocked, 1);
	if (answer < 0)
		peal_count(&msix->rare[vector].failed, 1);
	return answer;
}

static inline int send(struct peal_msix *msix, unsigned vector, const struct peal_msi_msg *msg)
{
	int answer;

	peal_count(&msix->vectors[vector].sent, 1);
	answer = peal_msi_deliver(&msix->sink, msg);
	return peal_likely(answer > 0) ? answer : count_answer(msix, vector, answer);
}

/*
 * A vector whose word S is masked, unused or without bus. True: the raise is done. False: the word
 * was changed meanwhile; look again.
 */
static bool __attribute__((noinline))
raise_slow(struct peal_msix *msix, unsigned vector, uint32_t s)
{
	struct msix_vector *v = &msix->vectors[vector];

	if (s & STATE_UNUSED)
		return true;
	if (s & STATE_MASKED) {
		if (!__atomic_compare_exchange_n(&v->state, &s, s | STATE_PENDING, false,
						 __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
			return false;
		peal_count(s & STATE_PENDING ? &v->merged : &v->pended, 1);
		return true;
	}
	peal_count(&msix->rare[vector].dropped, 1);
	return true;
}

int peal_msix_notify(struct peal_msix *msix, unsigned vector)
{
	struct peal_msi_msg msg;
	struct msix_vector *v;

	if (peal_unlikely(vector >= msix->count))
		return 0;
	v = &msix->vectors[vector];
	for (;;) {
		uint32_t s = __atomic_load_n(&v->state, __ATOMIC_ACQUIRE);
		unsigned select = s / STATE_SELECT & 1;

		if (peal_unlikely(s & STATE_SLOW)) {
			if (raise_slow(msix, vector, s))
				return 0;
			continue;
		}
		msg.address = __atomic_load_n(&v->address[select], __ATOMIC_ACQUIRE);
		msg.data = __atomic_load_n(&v->data[select], __ATOMIC_ACQUIRE);
		if (peal_likely(__atomic_load_n(&v->state, __ATOMIC_RELAXED) == s))
			break;
	}
	msg.requester_id = msix->requester_id;
	return send(msix, vector, &msg);
}

/* ---- changes, under the mutex ---- */

struct peal_msi_msg peal_msix_message(const struct peal_msix *msix, unsigned vector)
{
	const struct msix_vector *v = &msix->vectors[vector];
	struct peal_msi_msg msg = { .requester_id = msix->requester_id };
	uint32_t s;

	PEAL_ASSERT(vector < msix->count);
	do {
		s = __atomic_load_n(&v->state, __ATOMIC_ACQUIRE);
		msg.address = __atomic_load_n(&v->address[s / STATE_SELECT & 1], __ATOMIC_ACQUIRE);
		msg.data = __atomic_load_n(&v->data[s / STATE_SELECT & 1], __ATOMIC_ACQUIRE);
	} while (__atomic_load_n(&v->state, __ATOMIC_RELAXED) != s);
	return msg;
}

/* One step of the word; a step that unmasks a pending vector sends its message. */
static void change(struct peal_msix *msix, unsigned vector, uint32_t set, uint32_t clear)
{
	struct msix_vector *v = &msix->vectors[vector];
	uint32_t s = __atomic_load_n(&v->state, __ATOMIC_RELAXED), to;
	struct peal_msi_msg msg;
	bool fire;

	do {
		to = (s | set) & ~clear;
		fire = to & STATE_PENDING && !(to & STATE_MASKED);
		if (fire)
			to &= ~STATE_PENDING;
	} while (!__atomic_compare_exchange_n(&v->state, &s, to, false, __ATOMIC_SEQ_CST,
					      __ATOMIC_RELAXED));
	if (!fire)
		return;
	peal_count(&msix->rare[vector].refired, 1);
	if (to & STATE_NO_BUS) {
		peal_count(&msix->rare[vector].dropped, 1);
		return;
	}
	msg = peal_msix_message(msix, vector);
	(void)send(msix, vector, &msg);
}

static void change_all(struct peal_msix *msix, uint32_t set, uint32_t clear)
{
	for (unsigned i = 0; i < msix->count; i++)
		change(msix, i, set, clear);
}

static void set_message(struct msix_vector *v, uint64_t address, uint32_t data)
{
	uint32_t s = __atomic_load_n(&v->state, __ATOMIC_RELAXED);
	unsigned other = (s / STATE_SELECT & 1) ^ 1;

	/* Release: whoever reads a half of the new message also sees the word of the change before
	 * this one, and so looks again. */
	__atomic_store_n(&v->address[other], address, __ATOMIC_RELEASE);
	__atomic_store_n(&v->data[other], data, __ATOMIC_RELEASE);
	while (!__atomic_compare_exchange_n(&v->state, &s, (s ^ STATE_SELECT) + STATE_VERSION,
					    false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
}

/* Function Mask and Enable as one bit of the words. */
static void evaluate(struct peal_msix *msix)
{
	bool off = !msix->enabled || msix->function_mask;

	change_all(msix, off ? STATE_FUNCTION : 0, off ? 0 : STATE_FUNCTION);
}

/* ---- registers ---- */

static void write_control(void *owner, const struct peal_reg *reg, unsigned index, uint64_t old,
			  uint64_t value, uint64_t raw, uint64_t written)
{
	struct peal_msix *msix = owner;

	(void)reg;
	(void)index;
	(void)raw;
	(void)written;
	if (old == value)
		return;
	peal_mutex_lock(&msix->mutex);
	__atomic_store_n(&msix->enabled, (value & CONTROL_ENABLE) != 0, __ATOMIC_RELAXED);
	msix->function_mask = value & CONTROL_FUNCTION_MASK;
	evaluate(msix);
	peal_mutex_unlock(&msix->mutex);
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
	return msix->vectors[index].control;
}

static void write_address_low(void *owner, const struct peal_reg *reg, unsigned index, uint64_t old,
			      uint64_t value, uint64_t raw, uint64_t written)
{
	struct peal_msix *msix = owner;
	struct peal_msi_msg msg = peal_msix_message(msix, index);

	(void)reg;
	(void)old;
	(void)raw;
	(void)written;
	set_message(&msix->vectors[index], (msg.address & ~UINT64_C(0xffffffff)) | value, msg.data);
}

static void write_address_high(void *owner, const struct peal_reg *reg, unsigned index,
			       uint64_t old, uint64_t value, uint64_t raw, uint64_t written)
{
	struct peal_msix *msix = owner;
	struct peal_msi_msg msg = peal_msix_message(msix, index);

	(void)reg;
	(void)old;
	(void)raw;
	(void)written;
	set_message(&msix->vectors[index], (uint32_t)msg.address | value << 32, msg.data);
}

static void write_data(void *owner, const struct peal_reg *reg, unsigned index, uint64_t old,
		       uint64_t value, uint64_t raw, uint64_t written)
{
	struct peal_msix *msix = owner;

	(void)reg;
	(void)old;
	(void)raw;
	(void)written;
	set_message(&msix->vectors[index], peal_msix_message(msix, index).address, (uint32_t)value);
}

static void write_vector_control(void *owner, const struct peal_reg *reg, unsigned index,
				 uint64_t old, uint64_t value, uint64_t raw, uint64_t written)
{
	struct peal_msix *msix = owner;
	bool mask = value & ENTRY_CONTROL_MASK;

	(void)reg;
	(void)raw;
	(void)written;
	msix->vectors[index].control = (uint32_t)value;
	if ((old ^ value) & ENTRY_CONTROL_MASK)
		change(msix, index, mask ? STATE_MASK : 0, mask ? 0 : STATE_MASK);
}

/* 64 pending bits of vectors 64 · INDEX and up. */
static uint64_t read_pba(void *owner, const struct peal_reg *reg, unsigned index)
{
	const struct peal_msix *msix = owner;
	unsigned first = 64 * index;
	uint64_t bits = 0;

	(void)reg;
	for (unsigned i = 0; i < 64 && first + i < msix->count; i++) {
		if (peal_msix_is_pending(msix, first + i))
			bits |= PEAL_BIT(i);
	}
	return bits;
}

static void write_pba(void *owner, const struct peal_reg *reg, unsigned index, uint64_t old,
		      uint64_t value, uint64_t raw, uint64_t written)
{
	struct peal_msix *msix = owner;

	(void)reg;
	(void)index;
	(void)old;
	(void)value;
	(void)raw;
	(void)written;
	peal_count(&msix->pba_writes, 1);
}

const struct peal_reg pci_msix_capability_rows[] = {
	PEAL_PCI_CAPABILITY_HEADER,
	{ .offset = 2,
	  .width = 2,
	  .rw = CONTROL_FUNCTION_MASK | CONTROL_ENABLE,
	  .write = write_control,
	  .name = "Message Control",
	  .section = "PCIe 7.7.2.2" },
	{ .offset = 4, .width = 4, .name = "Table Offset/Table BIR", .section = "PCIe 7.7.2.3" },
	{ .offset = 8, .width = 4, .name = "PBA Offset/PBA BIR", .section = "PCIe 7.7.2.4" },
};
const unsigned pci_msix_capability_nrows = PEAL_COUNT_OF(pci_msix_capability_rows);

/* The count is the group's. Reserved bits of Vector Control are preserved as read. */
const struct peal_reg pci_msix_table_rows[] = {
	{ .offset = 0,
	  .width = 4,
	  .flags = PEAL_REG_HOOKED,
	  .count = 1,
	  .stride = ENTRY_SIZE,
	  .rw = 0xfffffffc,
	  .rsvdz = 3,
	  .read = read_address_low,
	  .write = write_address_low,
	  .name = "Message Address",
	  .section = "PCIe 7.7.2.5" },
	{ .offset = 4,
	  .width = 4,
	  .flags = PEAL_REG_HOOKED,
	  .count = 1,
	  .stride = ENTRY_SIZE,
	  .rw = 0xffffffff,
	  .read = read_address_high,
	  .write = write_address_high,
	  .name = "Message Upper Address",
	  .section = "PCIe 7.7.2.6" },
	{ .offset = 8,
	  .width = 4,
	  .flags = PEAL_REG_HOOKED,
	  .count = 1,
	  .stride = ENTRY_SIZE,
	  .rw = 0xffffffff,
	  .read = read_data,
	  .write = write_data,
	  .name = "Message Data",
	  .section = "PCIe 7.7.2.7" },
	{ .offset = 12,
	  .width = 4,
	  .flags = PEAL_REG_HOOKED,
	  .count = 1,
	  .stride = ENTRY_SIZE,
	  .rw = ENTRY_CONTROL_MASK,
	  .read = read_vector_control,
	  .write = write_vector_control,
	  .name = "Vector Control",
	  .section = "PCIe 7.7.2.8" },
};
const unsigned pci_msix_table_nrows = PEAL_COUNT_OF(pci_msix_table_rows);

const struct peal_reg pci_msix_pba_rows[] = {
	{ .offset = 0,
	  .width = 8,
	  .flags = PEAL_REG_HOOKED,
	  .count = 1,
	  .stride = 8,
	  .read = read_pba,
	  .write = write_pba,
	  .name = "Pending Bits",
	  .section = "PCIe 7.7.2.9" },
};
const unsigned pci_msix_pba_nrows = PEAL_COUNT_OF(pci_msix_pba_rows);

/* ---- the structures in their BARs ---- */

static uint32_t table_size(const struct peal_msix *msix)
{
	return msix->count * ENTRY_SIZE;
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
	       (bar == c->pba_bar && overlap(offset, size, c->pba_offset, pba_size(msix->count)));
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
		 peal_in_range(offset - c->pba_offset, size, pba_size(msix->count)))
		at = offset - c->pba_offset + BANK_PBA;
	else
		return false;
	peal_mutex_lock(&msix->mutex);
	if (write)
		peal_reg_bank_write(&msix->bank, at, size, *value);
	else
		*value = peal_reg_bank_read(&msix->bank, at, size);
	peal_mutex_unlock(&msix->mutex);
	return true;
}

/* ---- creation ---- */

static int check(const struct peal_pci_function *function, const struct peal_msix_config *c)
{
	uint32_t table, pba;

	/* Before any narrowing: 19923041 is not 33. */
	if (c->vectors < 1 || c->vectors > MAX_VECTORS)
		return -EINVAL;
	table = c->vectors * ENTRY_SIZE;
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
	peal_mutex_done(&msix->mutex);
	peal_free(msix->host, msix->rare, msix->count * sizeof(*msix->rare));
	peal_free(msix->host, msix->vectors, msix->count * sizeof(*msix->vectors));
	peal_free(msix->host, msix, sizeof(*msix));
}

static struct peal_msix *allocate(struct peal_pci_function *function,
				  const struct peal_msix_config *config)
{
	struct peal_msix *msix = peal_alloc(function->host, sizeof(*msix));

	if (!msix)
		return NULL;
	msix->host = function->host;
	msix->function = function;
	msix->config = *config;
	msix->count = config->vectors;
	msix->vectors = peal_alloc(msix->host, msix->count * sizeof(*msix->vectors));
	msix->rare = peal_alloc(msix->host, msix->count * sizeof(*msix->rare));
	if (!msix->vectors || !msix->rare || peal_mutex_init(&msix->mutex, msix->host) < 0) {
		pci_msix_free(msix);
		return NULL;
	}
	for (unsigned i = 0; i < msix->count; i++)
		msix->vectors[i].state = STATE_UNUSED | STATE_NO_BUS;
	return msix;
}

static void make_bank(struct peal_msix *msix)
{
	const struct peal_reg_group table = {
		.size = table_size(msix),
		.rows = pci_msix_table_rows,
		.nrows = pci_msix_table_nrows,
		.owner = msix,
		.count = (uint16_t)msix->count,
	};
	const struct peal_reg_group pba = {
		.base = BANK_PBA,
		.size = pba_size(msix->count),
		.rows = pci_msix_pba_rows,
		.nrows = pci_msix_pba_nrows,
		.owner = msix,
		.count = (uint16_t)(pba_size(msix->count) / 8),
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
	if (function->msix)
		return -EBUSY;
	r = check(function, config);
	if (r < 0)
		return r;
	msix = allocate(function, config);
	if (!msix)
		return -ENOMEM;
	r = peal_pci_function_add_capability(function, PCI_CAP_ID_MSIX, config->position,
					     CAPABILITY_SIZE, pci_msix_capability_rows,
					     pci_msix_capability_nrows, msix, &at);
	if (r < 0) {
		pci_msix_free(msix);
		return r;
	}
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

	if (vectors < 1 || vectors > MAX_VECTORS || index >= PEAL_PCI_BARS)
		return -EINVAL;
	if (function->msix)
		return -EBUSY;
	table = vectors * ENTRY_SIZE;
	config.table_bar = config.pba_bar = (uint8_t)index;
	config.pba_offset = table <= 2048 ? 2048 : table;
	while (size < config.pba_offset + pba_size(vectors))
		size *= 2;
	r = peal_pci_function_add_bar(function, index, PEAL_PCI_BAR_MEM32, size, NULL, NULL);
	if (r < 0)
		return r;
	r = peal_pci_function_add_msix(function, &config);
	if (r < 0) {
		memset(&function->bars[index], 0, sizeof(function->bars[index]));
		peal_pci_function_set_config(function, PCI_BAR0 + 4 * index, 4, 0);
	}
	return r;
}

/* ---- life ---- */

void pci_msix_connect(struct peal_msix *msix, const struct peal_msi_sink *sink,
		      uint32_t requester_id)
{
	/* Bus Master is off on both sides of this, so nobody sends. */
	PEAL_ASSERT(!msix->bus_master);
	msix->sink = sink ? *sink : (struct peal_msi_sink){ 0 };
	msix->requester_id = requester_id;
}

void pci_msix_set_bus_master(struct peal_msix *msix, bool enabled)
{
	peal_mutex_lock(&msix->mutex);
	if (msix->bus_master != enabled)
		change_all(msix, enabled ? 0 : STATE_NO_BUS, enabled ? STATE_NO_BUS : 0);
	msix->bus_master = enabled;
	peal_mutex_unlock(&msix->mutex);
}

/*
 * Masked first, then the pending bit goes: a raise in between pends into what is cleared next. The
 * uses are the device's, not the guest's, and stay.
 */
void pci_msix_reset(struct peal_msix *msix)
{
	peal_mutex_lock(&msix->mutex);
	__atomic_store_n(&msix->enabled, false, __ATOMIC_RELAXED);
	msix->function_mask = false;
	for (unsigned i = 0; i < msix->count; i++) {
		struct msix_vector *v = &msix->vectors[i];

		v->control = ENTRY_CONTROL_MASK;
		change(msix, i, STATE_MASKED, 0);
		change(msix, i, 0, STATE_PENDING);
		set_message(v, 0, 0);
	}
	peal_mutex_unlock(&msix->mutex);
}

/* ---- use ---- */

int peal_msix_use(struct peal_msix *msix, unsigned vector)
{
	if (vector >= msix->count)
		return -EINVAL;
	peal_mutex_lock(&msix->mutex);
	if (msix->vectors[vector].uses++ == 0)
		change(msix, vector, 0, STATE_UNUSED);
	peal_mutex_unlock(&msix->mutex);
	return 0;
}

void peal_msix_unuse(struct peal_msix *msix, unsigned vector)
{
	PEAL_ASSERT(vector < msix->count);
	peal_mutex_lock(&msix->mutex);
	PEAL_ASSERT(msix->vectors[vector].uses > 0);
	if (--msix->vectors[vector].uses == 0)
		change(msix, vector, STATE_UNUSED, STATE_PENDING);
	peal_mutex_unlock(&msix->mutex);
}

void peal_msix_unuse_all(struct peal_msix *msix)
{
	peal_mutex_lock(&msix->mutex);
	for (unsigned i = 0; i < msix->count; i++)
		msix->vectors[i].uses = 0;
	change_all(msix, STATE_UNUSED, STATE_PENDING);
	peal_mutex_unlock(&msix->mutex);
}

/* ---- looking ---- */

unsigned peal_msix_vectors(const struct peal_msix *msix)
{
	return msix->count;
}

bool peal_msix_is_enabled(const struct peal_msix *msix)
{
	return __atomic_load_n(&msix->enabled, __ATOMIC_RELAXED);
}

static uint32_t state(const struct peal_msix *msix, unsigned vector)
{
	PEAL_ASSERT(vector < msix->count);
	return __atomic_load_n(&msix->vectors[vector].state, __ATOMIC_ACQUIRE);
}

bool peal_msix_is_masked(const struct peal_msix *msix, unsigned vector)
{
	return state(msix, vector) & STATE_MASKED;
}

bool peal_msix_is_pending(const struct peal_msix *msix, unsigned vector)
{
	return state(msix, vector) & STATE_PENDING;
}

static void add_counters(const struct peal_msix *msix, unsigned vector,
			 struct peal_msix_counters *sum)
{
	const struct msix_vector *v = &msix->vectors[vector];
	const struct msix_rare *rare = &msix->rare[vector];

	sum->sent += peal_counted(&v->sent);
	sum->pended += peal_counted(&v->pended);
	sum->merged += peal_counted(&v->merged);
	sum->dropped += peal_counted(&rare->dropped);
	sum->refired += peal_counted(&rare->refired);
	sum->blocked += peal_counted(&rare->blocked);
	sum->failed += peal_counted(&rare->failed);
}

void peal_msix_counters(const struct peal_msix *msix, unsigned vector,
			struct peal_msix_counters *ret)
{
	struct peal_msix_counters sum = { 0 };

	PEAL_ASSERT(vector == PEAL_MSIX_ALL || vector < msix->count);
	for (unsigned i = 0; i < msix->count; i++) {
		if (vector == PEAL_MSIX_ALL || vector == i)
			add_counters(msix, i, &sum);
	}
	*ret = sum;
}
