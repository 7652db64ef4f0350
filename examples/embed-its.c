/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VMM with Peal's ITS in it, and a guest that brings it up to its first LPI. A thread stands for
 * a vCPU, mmio() for its exit. docs/embedding-its.md goes through this file.
 *
 *	cc embed-its.c $(pkg-config --cflags --libs libpeal) -lpthread -o embed-its && ./embed-its
 */
#include <err.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include <peal/peal.h>

#define VCPUS   2u
#define RAM     UINT64_C(0x40000000) /* guest addresses */
#define ITS     UINT64_C(0x08080000)
#define REDISTS UINT64_C(0x080a0000)
#define VALID   PEAL_BIT(63)
#define DEVICE  UINT64_C(0x0008) /* DeviceID: as the guest's firmware tables say */

static struct vm {
	uint8_t ram[1 << 20];
	struct peal_space *memory;
	struct peal_gic *gic;
	struct peal_its *its;
	int kicks[VCPUS]; /* eventfds */
} vm;

static void check(int r, const char *what)
{
	if (r < 0)
		errx(1, "%s: %s", what, strerror(-r));
}

/* ---- the VMM ---- */

/* An LPI became deliverable: from any thread, also one that holds locks of the GIC. */
static void kick(void *user, unsigned redist)
{
	(void)eventfd_write(((struct vm *)user)->kicks[redist], 1);
}

static void on_error(void *user, const struct peal_its_error *error)
{
	fprintf(user, "the guest's command at %#x failed: %#x\n", error->offset, error->error);
}

static void make_gic(void)
{
	const struct peal_space_config memory = { .host = peal_host_default() };
	/* Processor number, and affinity as the vCPU's MPIDR_EL1 says it. */
	const struct peal_redist_config redists[VCPUS] = { { 0, 0x000 }, { 1, 0x001 } };
	struct peal_gic_config gic = {
		.host = peal_host_default(),
		.nredists = VCPUS,
		.redists = redists,
		.kick = kick,
		.user = &vm,
	};
	struct peal_its_config its = { .error = on_error, .user = stderr };

	check(peal_space_new(&vm.memory, &memory), "address space");
	check(peal_space_map(vm.memory, RAM, sizeof(vm.ram), vm.ram, PEAL_MEM_RW), "guest memory");
	gic.memory = vm.memory;
	check(peal_gic_new(&vm.gic, &gic), "GIC");
	its.gic = vm.gic;
	check(peal_its_new(&vm.its, &its), "ITS");
	for (unsigned i = 0; i < VCPUS; i++)
		vm.kicks[i] = eventfd(0, EFD_CLOEXEC);
}

/* A vCPU's exit for an access that is not memory; returns what a load gets. */
static uint64_t mmio(uint64_t address, unsigned size, bool is_write, uint64_t value)
{
	uint64_t its = address - ITS, at = address - REDISTS, redist = at / PEAL_GIC_REDIST_SIZE;

	at %= PEAL_GIC_REDIST_SIZE;
	if (its < 2 * PEAL_GIC_FRAME && is_write)
		peal_its_write(vm.its, its, size, value);
	else if (its < 2 * PEAL_GIC_FRAME)
		return peal_its_read(vm.its, its, size);
	else if (redist < VCPUS && is_write)
		peal_redist_write(vm.gic, (unsigned)redist, at, size, value);
	else if (redist < VCPUS)
		return peal_redist_read(vm.gic, (unsigned)redist, at, size);
	return 0;
}

/* The vCPU of redistributor 1: asleep until a kick, then in its guest's interrupt handler. */
static void *run_vcpu1(void *unused)
{
	eventfd_t kicks;

	(void)eventfd_read(vm.kicks[1], &kicks);
	/* While there is something, the VMM asserts the vIRQ; the guest's ICC_IAR1_EL1 takes it. */
	while (peal_gic_highest_pending(vm.gic, 1, PEAL_GIC_IDLE_PRIORITY, NULL) !=
	       PEAL_GIC_SPURIOUS)
		printf("vCPU 1 takes LPI %u\n",
		       peal_gic_acknowledge(vm.gic, 1, PEAL_GIC_IDLE_PRIORITY, NULL));
	return unused;
}

/* From here on the guest: a command goes into the queue, then the ITS is told. */
static void command(uint64_t dw0, uint64_t dw1, uint64_t dw2)
{
	uint64_t at = mmio(ITS + 0x88, 8, false, 0); /* GITS_CWRITER; the queue is at RAM */

	peal_store_le(vm.ram + at, 8, dw0);
	peal_store_le(vm.ram + at + 8, 8, dw1);
	peal_store_le(vm.ram + at + 16, 8, dw2);
	mmio(ITS + 0x88, 8, true, at + 32);
}

static void boot_guest(void)
{
	mmio(ITS + 0x80, 8, true, VALID | RAM);              /* GITS_CBASER: 4 KiB of queue */
	mmio(ITS + 0x100, 8, true, VALID | (RAM + 0x10000)); /* BASER0: devices */
	mmio(ITS + 0x108, 8, true, VALID | (RAM + 0x20000)); /* BASER1: collections */
	mmio(ITS + 0x00, 4, true, 1);                        /* GITS_CTLR.Enabled */
	for (uint64_t i = 0, rd = REDISTS; i < VCPUS; i++, rd += PEAL_GIC_REDIST_SIZE) {
		mmio(rd + 0x70, 8, true, (RAM + 0x30000) | 15); /* PROPBASER: 16-bit INTIDs */
		mmio(rd + 0x78, 8, true, RAM + 0x40000 + i * 0x10000); /* PENDBASER */
		mmio(rd + 0x00, 4, true, 1);                           /* EnableLPIs */
		command(0x09, 0, VALID | i << 16 | i); /* MAPC: collection i is vCPU i */
	}
	vm.ram[0x30000] = 0xa0 | 1; /* LPI 8192: priority 0xa0, enabled */
	command(DEVICE << 32 | 0x08, 0, VALID | (RAM + 0x60000));  /* MAPD: 2 events */
	command(DEVICE << 32 | 0x0a, UINT64_C(8192) << 32 | 1, 1); /* MAPTI: 1 is LPI 8192 */
}

int main(void)
{
	struct peal_its_counters counters;
	pthread_t vcpu1;

	make_gic();
	check(-pthread_create(&vcpu1, NULL, run_vcpu1, NULL), "vCPU");
	boot_guest();
	(void)peal_its_send(vm.its, DEVICE, 1); /* a device, in a thread of its own */
	kick(&vm, 1);                           /* if there was no LPI, let it end all the same */
	check(-pthread_join(vcpu1, NULL), "vCPU");
	peal_its_counters(vm.its, &counters);
	check(peal_gic_is_pending(vm.gic, 1, 8192) ? -EBUSY : 0, "LPI 8192 was not taken");
	peal_its_free(vm.its); /* before its GIC, and that before its memory */
	peal_gic_free(vm.gic);
	peal_space_free(vm.memory);
	return counters.translated == 1 && counters.errors == 0 ? 0 : 1;
}
