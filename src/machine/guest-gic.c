/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's driver for redistributors and the ITS: tables in guest memory, registers, the
 * command queue. Arm IHI 0069H §5.
 */
#include "guest.h"

#define GITS_CTLR    0x0000u
#define GITS_TYPER   0x0008u
#define GITS_CBASER  0x0080u
#define GITS_CWRITER 0x0088u
#define GITS_CREADR  0x0090u
#define GITS_BASER   0x0100u

#define GICR_CTLR      0x0000u
#define GICR_TYPER     0x0008u
#define GICR_PROPBASER 0x0070u
#define GICR_PENDBASER 0x0078u

#define QUEUE_SIZE       UINT64_C(0x10000)
#define COMMAND_SIZE     32u
#define PROPERTIES_SIZE  (UINT64_C(1) << GUEST_ID_BITS)
#define PENDING_SIZE     UINT64_C(0x10000) /* its alignment; 2 KiB are used */
#define TABLE_SIZE       UINT64_C(0x10000)
#define TABLE_ENTRY_SIZE 8u
#define PENDBASER_PTZ    PEAL_BIT(62)
#define VALID            PEAL_BIT(63)

/* How often CREADR is looked at before the ITS counts as dead. */
#define SYNC_LOOKS 1000000u

static uint64_t its_load(struct peal_guest *guest, uint32_t offset, unsigned size)
{
	return peal_machine_load(guest->machine, PEAL_MACHINE_ITS + offset, size);
}

static void its_store(struct peal_guest *guest, uint32_t offset, unsigned size, uint64_t value)
{
	peal_machine_store(guest->machine, PEAL_MACHINE_ITS + offset, size, value);
}

static uint64_t redist(unsigned cpu, uint32_t offset)
{
	return PEAL_MACHINE_REDISTS + cpu * PEAL_GIC_REDIST_SIZE + offset;
}

void guest_lpi_configure(struct peal_guest *guest, uint32_t lpi, uint8_t config)
{
	uint64_t address = guest->properties + lpi - PEAL_GIC_FIRST_LPI;

	if (guest->mistake == PEAL_GUEST_LPI_DISABLED)
		config &= 0xfe;
	*(uint8_t *)peal_machine_ram(guest->machine, address, 1) = config;
}

/* ---- commands ---- */

void guest_its_command(struct peal_guest *guest, uint64_t dw0, uint64_t dw1, uint64_t dw2)
{
	uint8_t *slot =
		peal_machine_ram(guest->machine, guest->queue + guest->queue_offset, COMMAND_SIZE);

	peal_store_le(slot, 8, dw0);
	peal_store_le(slot + 8, 8, dw1);
	peal_store_le(slot + 16, 8, dw2);
	peal_store_le(slot + 24, 8, 0);
	guest->queue_offset = (guest->queue_offset + COMMAND_SIZE) % QUEUE_SIZE;
	/* A full queue looks empty: let the ITS work before that. */
	if (guest->queue_offset % 1024 == 0)
		(void)guest_its_sync(guest);
}

int guest_its_sync(struct peal_guest *guest)
{
	its_store(guest, GITS_CWRITER, 8, guest->queue_offset);
	for (unsigned i = 0; i < SYNC_LOOKS; i++) {
		if (its_load(guest, GITS_CREADR, 8) == guest->queue_offset)
			return 0;
		if (guest->mistake == PEAL_GUEST_ITS_OFF)
			return 0;
	}
	return -EIO;
}

/* ---- bringing up ---- */

static int allocate_tables(struct peal_guest *guest)
{
	unsigned cpus = peal_machine_vcpus(guest->machine);
	const struct {
		uint64_t size, align, *address;
	} tables[] = {
		{ QUEUE_SIZE, 0x10000, &guest->queue },
		{ PROPERTIES_SIZE - PEAL_GIC_FIRST_LPI, 0x1000, &guest->properties },
		{ TABLE_SIZE, 0x10000, &guest->device_table },
		{ TABLE_SIZE, 0x10000, &guest->collection_table },
		{ cpus * PENDING_SIZE, 0x10000, &guest->pending_tables },
	};

	for (size_t i = 0; i < PEAL_COUNT_OF(tables); i++) {
		int r = guest_allocate(guest, tables[i].size, tables[i].align, tables[i].address);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Writes a register and sees that it took the address. */
static int set_base(struct peal_guest *guest, uint64_t at, uint64_t value, uint64_t mask)
{
	peal_machine_store(guest->machine, at, 8, value);
	return ((peal_machine_load(guest->machine, at, 8) ^ value) & mask) == 0 ? 0 : -EIO;
}

static int init_redist(struct peal_guest *guest, unsigned cpu)
{
	uint64_t pending = guest->pending_tables + cpu * PENDING_SIZE;
	int r = set_base(guest, redist(cpu, GICR_PROPBASER),
			 guest->properties | (GUEST_ID_BITS - 1), PEAL_MASK(51, 12) | 0x1f);

	if (r == 0)
		r = set_base(guest, redist(cpu, GICR_PENDBASER), pending | PENDBASER_PTZ,
			     PEAL_MASK(51, 16));
	if (r == 0 && guest->mistake != PEAL_GUEST_LPIS_OFF)
		peal_machine_store(guest->machine, redist(cpu, GICR_CTLR), 4, 1);
	return r;
}

static int init_its(struct peal_guest *guest)
{
	uint64_t device_bits = peal_field(its_load(guest, GITS_TYPER, 8), 17, 13) + 1;
	uint64_t pages = TABLE_SIZE / 0x1000;
	uint64_t all = PEAL_MASK(47, 12);
	int r;

	if (device_bits < 13) /* bus 0, device, function, of 8-byte entries in 64 KiB */
		pages = peal_round_up((TABLE_ENTRY_SIZE << device_bits), 0x1000) / 0x1000;
	r = set_base(guest, PEAL_MACHINE_ITS + GITS_BASER,
		     VALID | guest->device_table | (pages - 1), all | VALID);
	if (r == 0)
		r = set_base(guest, PEAL_MACHINE_ITS + GITS_BASER + 8,
			     VALID | guest->collection_table | (TABLE_SIZE / 0x1000 - 1),
			     all | VALID);
	if (r == 0)
		r = set_base(guest, PEAL_MACHINE_ITS + GITS_CBASER,
			     VALID | guest->queue | (QUEUE_SIZE / 0x1000 - 1),
			     PEAL_MASK(51, 12) | VALID);
	if (r < 0 || guest->mistake == PEAL_GUEST_ITS_OFF)
		return r;
	its_store(guest, GITS_CTLR, 4, 1);
	return its_load(guest, GITS_CTLR, 4) & 1 ? 0 : -EIO;
}

/* Collection n is CPU n. */
static int map_collections(struct peal_guest *guest)
{
	for (unsigned cpu = 0; cpu < peal_machine_vcpus(guest->machine); cpu++) {
		uint64_t typer = peal_machine_load(guest->machine, redist(cpu, GICR_TYPER), 8);

		if (guest->mistake == PEAL_GUEST_NO_COLLECTION)
			continue;
		guest_its_command(guest, ITS_MAPC, 0,
				  ITS_COMMAND_VALID | peal_field(typer, 23, 8) << 16 | cpu);
		guest_its_command(guest, ITS_SYNC, 0, peal_field(typer, 23, 8) << 16);
		guest_its_command(guest, ITS_INVALL, 0, cpu);
	}
	return guest_its_sync(guest);
}

int guest_gic_init(struct peal_guest *guest)
{
	int r;

	(void)pthread_mutex_lock(&guest->lock);
	r = allocate_tables(guest);
	for (unsigned cpu = 0; r == 0 && cpu < peal_machine_vcpus(guest->machine); cpu++)
		r = init_redist(guest, cpu);
	if (r == 0)
		r = init_its(guest);
	if (r == 0)
		r = map_collections(guest);
	(void)pthread_mutex_unlock(&guest->lock);
	return r;
}

void guest_gic_done(struct peal_guest *guest)
{
	unsigned cpus = peal_machine_vcpus(guest->machine);

	its_store(guest, GITS_CTLR, 4, 0);
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		peal_machine_store(guest->machine, redist(cpu, GICR_CTLR), 4, 0);
	(void)pthread_mutex_lock(&guest->lock);
	if (guest->queue)
		guest_free_memory(guest, guest->queue, QUEUE_SIZE);
	if (guest->properties)
		guest_free_memory(guest, guest->properties, PROPERTIES_SIZE - PEAL_GIC_FIRST_LPI);
	if (guest->device_table)
		guest_free_memory(guest, guest->device_table, TABLE_SIZE);
	if (guest->collection_table)
		guest_free_memory(guest, guest->collection_table, TABLE_SIZE);
	if (guest->pending_tables)
		guest_free_memory(guest, guest->pending_tables, cpus * PENDING_SIZE);
	(void)pthread_mutex_unlock(&guest->lock);
}
