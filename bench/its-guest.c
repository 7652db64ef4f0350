/* SPDX-License-Identifier: BSD-2-Clause */
/* Bringing up the GIC as its guest. Arm IHI 0069H §5; registers and commands by their names. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <peal/bits.h>

#include "its-guest.h"

#define GITS_CTLR    0x0000u
#define GITS_CBASER  0x0080u
#define GITS_CWRITER 0x0088u
#define GITS_CREADR  0x0090u
#define GITS_BASER0  0x0100u
#define GITS_BASER1  0x0108u

#define GICR_CTLR      0x0000u
#define GICR_PROPBASER 0x0070u
#define GICR_PENDBASER 0x0078u

#define VALID    PEAL_BIT(63)
#define PTZ      PEAL_BIT(62)
#define PAGE_64K (UINT64_C(2) << 8)

#define RAM          UINT64_C(0x40000000)
#define PAGE         UINT64_C(0x10000)
#define QUEUE_SIZE   BENCH_QUEUE_SIZE
#define COMMAND_SIZE 32u
#define LPI_CONFIG   0xa1 /* priority 0xa0, enabled */

/* log2 of the next power of two. */
static unsigned bits_for(uint64_t count)
{
	unsigned bits = 0;

	while (PEAL_BIT(bits) < count)
		bits++;
	return bits;
}

/* An ITT is aligned to 256 bytes and has at least two entries of 8. */
static unsigned itt_bits(const struct bench_its *vm)
{
	return vm->events > 2 ? bits_for(vm->events) : 1;
}

static uint64_t itt_size(const struct bench_its *vm)
{
	return peal_round_up(UINT64_C(8) << itt_bits(vm), 256);
}

static uint64_t pending_size(const struct bench_its *vm)
{
	return peal_round_up(PEAL_BIT(vm->id_bits) / 8, PAGE);
}

static uint64_t device_table_size(const struct bench_its *vm)
{
	return peal_round_up(vm->devices * UINT64_C(8), PAGE);
}

static uint8_t *at(const struct bench_its *vm, uint64_t address)
{
	return (uint8_t *)vm->ram + (address - RAM);
}

/* ---- memory and objects ---- */

static uint64_t take(struct bench_its *vm, uint64_t size)
{
	uint64_t address = RAM + vm->ram_size;

	vm->ram_size += peal_round_up(size, PAGE);
	return address;
}

static int make_ram(struct bench_its *vm)
{
	const struct peal_space_config config = { .host = peal_host_default() };
	int r;

	vm->queue = take(vm, QUEUE_SIZE);
	vm->properties = take(vm, PEAL_BIT(vm->id_bits) - PEAL_GIC_FIRST_LPI);
	vm->pending = take(vm, BENCH_REDISTS * pending_size(vm));
	vm->device_table = take(vm, device_table_size(vm));
	vm->collection_table = take(vm, PAGE);
	vm->itts = take(vm, vm->devices * itt_size(vm));
	vm->ram = mmap(NULL, vm->ram_size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (vm->ram == MAP_FAILED) {
		vm->ram = NULL;
		return -ENOMEM;
	}
	r = peal_space_new(&vm->space, &config);
	if (r < 0)
		return r;
	return peal_space_map(vm->space, RAM, vm->ram_size, vm->ram, PEAL_MEM_RW);
}

/* The vCPUs of this VM are always awake. */
static void kick(void *user, unsigned redist)
{
	(void)user;
	(void)redist;
}

static int make_gic(struct bench_its *vm)
{
	struct peal_redist_config redists[BENCH_REDISTS];
	const struct peal_gic_config gic = {
		.host = peal_host_default(),
		.memory = vm->space,
		.id_bits = vm->id_bits,
		.nredists = BENCH_REDISTS,
		.redists = redists,
		.kick = kick,
	};
	struct peal_its_config its = { .memory_limit = UINT64_C(1) << 30 };
	int r;

	for (unsigned i = 0; i < BENCH_REDISTS; i++)
		redists[i] = (struct peal_redist_config){ .processor_number = (uint16_t)i,
							  .affinity = i };
	r = peal_gic_new(&vm->gic, &gic);
	if (r < 0)
		return r;
	its.gic = vm->gic;
	return peal_its_new(&vm->its, &its);
}

/* ---- the guest's driver ---- */

void bench_its_run_commands(struct bench_its *vm)
{
	peal_its_write(vm->its, GITS_CWRITER, 8, vm->writer);
}

void bench_its_put(struct bench_its *vm, const uint64_t dw[4])
{
	uint8_t *place = at(vm, vm->queue + vm->writer);

	for (unsigned i = 0; i < 4; i++)
		peal_store_le(place + 8 * (size_t)i, 8, dw[i]);
	vm->writer = (uint32_t)((vm->writer + COMMAND_SIZE) % QUEUE_SIZE);
}

static void command(struct bench_its *vm, uint64_t dw0, uint64_t dw1, uint64_t dw2)
{
	bench_its_put(vm, (const uint64_t[4]){ dw0, dw1, dw2 });
	/* A full queue looks empty: let the ITS work before that. */
	if (vm->writer % (QUEUE_SIZE / 2) == 0)
		bench_its_run_commands(vm);
}

uint8_t *bench_its_configuration(const struct bench_its *vm, uint32_t intid)
{
	return at(vm, vm->properties + intid - PEAL_GIC_FIRST_LPI);
}

static void start_redist(struct bench_its *vm, unsigned n)
{
	uint64_t pending = vm->pending + n * pending_size(vm);

	peal_redist_write(vm->gic, n, GICR_PROPBASER, 8, vm->properties | (vm->id_bits - 1));
	peal_redist_write(vm->gic, n, GICR_PENDBASER, 8, pending | PTZ);
	peal_redist_write(vm->gic, n, GICR_CTLR, 4, 1);
}

static void start_its(struct bench_its *vm)
{
	peal_its_write(vm->its, GITS_BASER0, 8,
		       VALID | vm->device_table | PAGE_64K | (device_table_size(vm) / PAGE - 1));
	peal_its_write(vm->its, GITS_BASER1, 8, VALID | vm->collection_table | PAGE_64K);
	peal_its_write(vm->its, GITS_CBASER, 8, VALID | vm->queue | (QUEUE_SIZE / 4096 - 1));
	peal_its_write(vm->its, GITS_CTLR, 4, 1);
}

/* Collection n is redistributor n. */
static void map_all(struct bench_its *vm)
{
	for (uint64_t n = 0; n < BENCH_REDISTS; n++)
		command(vm, BENCH_MAPC, 0, VALID | n << 16 | n);
	for (uint32_t d = 0; d < vm->devices; d++) {
		command(vm, BENCH_MAPD | (uint64_t)d << 32, itt_bits(vm) - 1,
			VALID | (vm->itts + d * itt_size(vm)));
		for (uint32_t e = 0; e < vm->events; e++)
			command(vm, BENCH_MAPTI | (uint64_t)d << 32,
				(uint64_t)bench_its_lpi(vm, d, e) << 32 | e,
				bench_its_redist(d, e));
	}
	for (uint64_t n = 0; n < BENCH_REDISTS; n++) {
		command(vm, BENCH_INVALL, 0, n);
		command(vm, BENCH_SYNC, 0, n << 16);
	}
	bench_its_run_commands(vm);
}

bool bench_its_is_up(struct bench_its *vm)
{
	struct peal_its_counters c;

	peal_its_counters(vm->its, &c);
	return c.errors == 0 && c.devices == vm->devices &&
	       c.events == (uint64_t)vm->devices * vm->events &&
	       peal_its_read(vm->its, GITS_CREADR, 8) == vm->writer;
}

int bench_its_new(struct bench_its *vm, uint32_t devices, uint32_t events)
{
	return bench_its_new_wide(vm, devices, events, 14);
}

int bench_its_new_wide(struct bench_its *vm, uint32_t devices, uint32_t events, unsigned id_bits)
{
	unsigned needed = bits_for(PEAL_GIC_FIRST_LPI + (uint64_t)devices * events);
	int r;

	*vm = (struct bench_its){
		.devices = devices,
		.events = events,
		.id_bits = needed > id_bits ? needed : id_bits,
	};
	r = make_ram(vm);
	if (r == 0)
		r = make_gic(vm);
	if (r < 0)
		return r;
	memset(at(vm, vm->properties), LPI_CONFIG, (size_t)devices * events);
	for (unsigned n = 0; n < BENCH_REDISTS; n++)
		start_redist(vm, n);
	start_its(vm);
	map_all(vm);
	return bench_its_is_up(vm) ? 0 : -EIO;
}

void bench_its_done(struct bench_its *vm)
{
	peal_its_free(vm->its);
	peal_gic_free(vm->gic);
	peal_space_free(vm->space);
	if (vm->ram)
		(void)munmap(vm->ram, vm->ram_size);
}

/* ---- options ---- */

void bench_its_options(uint64_t *devices, uint64_t *events, struct cli_option *rows)
{
	*devices = 1024;
	*events = 64;
	rows[0] = (struct cli_option){ .name = "devices",
				       .kind = CLI_NUMBER,
				       .value = devices,
				       .min = 1,
				       .max = BENCH_MAX_DEVICES,
				       .argument = "N",
				       .help = "Devices (1024)." };
	rows[1] = (struct cli_option){ .name = "events",
				       .kind = CLI_NUMBER,
				       .value = events,
				       .min = 1,
				       .max = BENCH_MAX_EVENTS,
				       .argument = "N",
				       .help = "Events of each device (64)." };
}

int bench_its_check(const struct bench_context *context, uint64_t total)
{
	return total <= BENCH_MAX_TOTAL ? CLI_OK
					: bench_error(context, CLI_USAGE,
						      "%llu events in all: at most %u are possible",
						      (unsigned long long)total, BENCH_MAX_TOTAL);
}
