/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PC without a guest: QEMU's q35 under qtest, with one PCI function that `peal serve` shows to it.
 * What firmware and an operating system do is done here: configuration space is made reachable
 * (ECAM), the function is found and gets its regions, and drivers get struct peal_driver_ops.
 *
 *   driver ──ops──▶ qtest ══▶ QEMU (vfio-user-pci) ══▶ peal serve
 *      └── memory ──▶ one file, shared by all three ◀── DMA ──┘
 *
 * A processor that does not run takes no interrupt, so the messages of MSI-X go where they can be
 * seen: into words of memory, one a vector, as a message is a write like any other. INTx is seen at
 * the inputs of the I/O APIC.
 */
#ifndef PEAL_TESTS_GUEST_QTEST_PCI_H
#define PEAL_TESTS_GUEST_QTEST_PCI_H

#include "qtest.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include <peal/driver.h>

#define PC_RAM_SIZE  0x4000000u
#define PC_WORDS     0x1000000u /* where messages go */
#define PC_DMA       0x2000000u /* what drivers allocate */
#define PC_ECAM      UINT64_C(0xb0000000)
#define PC_WINDOW    UINT64_C(0xe0000000) /* for regions; below the I/O APIC */
#define PC_SLOT      4u
#define PC_VECTORS   64u
#define PC_DATA      0xc0de0000u /* of vector 0 */
#define PC_PATIENCE  60          /* seconds; against hangs only */
#define PC_PCIEXBAR  0x80000060u /* of the host bridge, q35 */
#define PC_CAP_MSIX  0x11u
#define PC_ENTRY     16u
#define PC_PIN_COUNT 24u

struct pc_vector {
	void (*handler)(void *arg);
	void *arg;
	uint64_t messages;
};

struct pc {
	struct qtest q;
	char directory[64];
	char socket[96], ram_path[96], image[96];
	pid_t server;
	uint8_t *ram;
	uint64_t dma_next;
	unsigned dma_live;
	uint64_t bar[6], bar_size[6];
	uint32_t msix, table, table_bar;
	unsigned allocated;
	struct pc_vector vectors[PC_VECTORS];
	unsigned level[PC_PIN_COUNT], raises[PC_PIN_COUNT];
	struct timespec began;
};

/* ---- time ---- */

static inline double pc_seconds(const struct timespec *since)
{
	struct timespec t;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t), 0);
	return (double)(t.tv_sec - since->tv_sec) + (double)(t.tv_nsec - since->tv_nsec) / 1e9;
}

/* Waits a little for something that has to come. */
static inline void pc_wait(const struct timespec *since)
{
	if (pc_seconds(since) > PC_PATIENCE)
		fail_msg("it does not come");
	(void)usleep(50);
}

/* QEMU has looked at everything that waited for it: each answer takes a turn of its loop. */
static inline void pc_settle(struct pc *pc)
{
	for (unsigned i = 0; i < 20; i++)
		(void)qtest_read(&pc->q, PC_WORDS, 4);
}

/* ---- configuration space and regions ---- */

static inline uint64_t pc_config_read(void *user, uint32_t offset, unsigned size)
{
	return qtest_read(&((struct pc *)user)->q, PC_ECAM + (PC_SLOT << 15) + offset, size);
}

static inline void pc_config_write(void *user, uint32_t offset, unsigned size, uint64_t value)
{
	struct qtest *q = &((struct pc *)user)->q;

	qtest_write(q, PC_ECAM + (PC_SLOT << 15) + offset, size, value);
	qtest_flush(q);
}

static inline int pc_bar_info(void *user, unsigned bar, uint64_t *size, bool *is_io)
{
	const struct pc *pc = (struct pc *)user;

	if (bar >= 6 || !pc->bar_size[bar])
		return -ENOENT;
	*size = pc->bar_size[bar];
	*is_io = false;
	return 0;
}

static inline uint64_t pc_bar_read(void *user, unsigned bar, uint64_t offset, unsigned size)
{
	struct pc *pc = (struct pc *)user;

	return qtest_read(&pc->q, pc->bar[bar] + offset, size);
}

static inline void pc_bar_write(void *user, unsigned bar, uint64_t offset, unsigned size,
				uint64_t value)
{
	struct pc *pc = (struct pc *)user;

	qtest_write(&pc->q, pc->bar[bar] + offset, size, value);
	qtest_flush(&pc->q);
}

/* ---- memory ---- */

static inline int pc_dma_alloc(void *user, size_t size, size_t align, void **cpu, uint64_t *address)
{
	struct pc *pc = (struct pc *)user;
	uint64_t at = (pc->dma_next + align - 1) & ~(uint64_t)(align - 1);

	if (at > PC_RAM_SIZE || size > PC_RAM_SIZE - at)
		return -ENOSPC;
	pc->dma_next = at + size;
	pc->dma_live++;
	*address = at;
	*cpu = pc->ram + at;
	memset(*cpu, 0, size);
	return 0;
}

static inline void pc_dma_free(void *user, void *cpu, uint64_t address, size_t size)
{
	struct pc *pc = (struct pc *)user;

	assert_ptr_equal(cpu, pc->ram + address);
	memset(cpu, 0xdd, size);
	if (--pc->dma_live == 0)
		pc->dma_next = PC_DMA;
}

/* ---- interrupts ---- */

static inline uint32_t *pc_word(struct pc *pc, unsigned vector)
{
	return (uint32_t *)(void *)(pc->ram + PC_WORDS) + vector;
}

static inline void pc_mask(struct pc *pc, unsigned vector, bool mask)
{
	pc_bar_write(pc, pc->table_bar, pc->table + PC_ENTRY * vector + 12, 4, mask);
}

/* Takes the messages that have come; calls their handlers. How many. */
static inline unsigned pc_dispatch(struct pc *pc)
{
	unsigned count = 0;

	for (unsigned v = 0; v < PC_VECTORS; v++) {
		uint32_t data = __atomic_exchange_n(pc_word(pc, v), 0, __ATOMIC_SEQ_CST);

		if (!data)
			continue;
		assert_int_equal(data, PC_DATA + v);
		pc->vectors[v].messages++;
		count++;
		if (pc->vectors[v].handler)
			pc->vectors[v].handler(pc->vectors[v].arg);
	}
	return count;
}

static inline int pc_irq_alloc(void *user, enum peal_irq_kind kind, unsigned count)
{
	struct pc *pc = (struct pc *)user;
	uint32_t control = (uint32_t)pc_config_read(pc, pc->msix + 2, 2);

	if (kind != PEAL_IRQ_MSIX || count > (control & 0x7ff) + 1 || count > PC_VECTORS)
		return -ENOSPC;
	assert_int_equal(pc->allocated, 0);
	pc->allocated = count;
	pc_config_write(pc, pc->msix + 2, 2, 0x8000);
	return 0;
}

static inline void pc_irq_release(void *user)
{
	struct pc *pc = (struct pc *)user;

	pc_config_write(pc, pc->msix + 2, 2, 0);
	pc->allocated = 0;
}

static inline int pc_irq_setup(void *user, unsigned vector, void (*handler)(void *arg), void *arg,
			       unsigned cpu_hint)
{
	struct pc *pc = (struct pc *)user;
	uint64_t entry = pc->table + PC_ENTRY * (uint64_t)vector;

	(void)cpu_hint;
	assert_true(vector < pc->allocated);
	pc->vectors[vector].handler = handler;
	pc->vectors[vector].arg = arg;
	pc_bar_write(pc, pc->table_bar, entry, 4, PC_WORDS + 4 * vector);
	pc_bar_write(pc, pc->table_bar, entry + 4, 4, 0);
	pc_bar_write(pc, pc->table_bar, entry + 8, 4, PC_DATA + vector);
	pc_mask(pc, vector, false);
	return 0;
}

static inline void pc_irq_teardown(void *user, unsigned vector)
{
	struct pc *pc = (struct pc *)user;

	pc_mask(pc, vector, true);
	pc->vectors[vector].handler = NULL;
}

static inline void pc_delay(void *user, unsigned microseconds)
{
	(void)user;
	(void)usleep(microseconds);
}

static const struct peal_driver_ops pc_ops = {
	.config_read = pc_config_read,
	.config_write = pc_config_write,
	.bar_info = pc_bar_info,
	.bar_read = pc_bar_read,
	.bar_write = pc_bar_write,
	.dma_alloc = pc_dma_alloc,
	.dma_free = pc_dma_free,
	.irq_alloc = pc_irq_alloc,
	.irq_release = pc_irq_release,
	.irq_setup = pc_irq_setup,
	.irq_teardown = pc_irq_teardown,
	.delay = pc_delay,
};

/* "IRQ raise 16" at the I/O APIC's inputs. */
static inline void pc_take_irq(void *user, const char *line)
{
	struct pc *pc = (struct pc *)user;
	char verb[16];
	unsigned pin;

	if (sscanf(line, "IRQ %15s %u", verb, &pin) != 2 || pin >= PC_PIN_COUNT)
		return;
	pc->level[pin] = strcmp(verb, "raise") == 0;
	pc->raises[pin] += pc->level[pin];
}

/* ---- the server ---- */

static inline void pc_start_server(struct pc *pc, const char *const *arguments)
{
	const char *argv[16] = { getenv("PEAL"), "serve" };
	struct timespec since;
	pid_t parent = getpid();
	unsigned n = 2;

	while (*arguments && n < PEAL_COUNT_OF(argv) - 3)
		argv[n++] = *arguments++;
	argv[n++] = "--socket-path";
	argv[n++] = pc->socket;
	pc->server = fork();
	assert_true(pc->server >= 0);
	if (pc->server == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent || !freopen("/dev/null", "w", stdout))
			_exit(127);
		(void)execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &since), 0);
	while (access(pc->socket, F_OK) != 0) {
		assert_int_equal(waitpid(pc->server, NULL, WNOHANG), 0);
		pc_wait(&since);
	}
}

/* ---- the machine ---- */

static inline void pc_map_ram(struct pc *pc)
{
	int fd = open(pc->ram_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, PC_RAM_SIZE), 0);
	pc->ram = (uint8_t *)mmap(NULL, PC_RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true((void *)pc->ram != MAP_FAILED);
	(void)close(fd);
	pc->dma_next = PC_DMA;
}

/* Finds the regions' sizes, gives them places and lets them decode. */
static inline void pc_place_bars(struct pc *pc)
{
	uint64_t at = PC_WINDOW;

	for (unsigned i = 0; i < 6; i++) {
		uint32_t offset = 0x10 + 4 * i, low;
		bool wide;

		pc_config_write(pc, offset, 4, 0xffffffff);
		low = (uint32_t)pc_config_read(pc, offset, 4);
		if (!(low & ~0xfu))
			continue;
		assert_int_equal(low & 1, 0);
		wide = (low & 6) == 4;
		pc->bar_size[i] = (uint32_t) ~(low & ~0xfu) + UINT64_C(1);
		at = (at + pc->bar_size[i] - 1) & ~(pc->bar_size[i] - 1);
		pc->bar[i] = at;
		at += pc->bar_size[i];
		pc_config_write(pc, offset, 4, pc->bar[i]);
		if (wide) {
			i++;
			pc_config_write(pc, offset + 4, 4, 0);
		}
	}
	pc_config_write(pc, 0x04, 2, 0x0006);
}

static inline void pc_find_msix(struct pc *pc)
{
	uint32_t at = (uint32_t)pc_config_read(pc, 0x34, 1);

	while (at && pc_config_read(pc, at, 1) != PC_CAP_MSIX)
		at = (uint32_t)pc_config_read(pc, at + 1, 1);
	assert_int_not_equal(at, 0);
	pc->msix = at;
	pc->table = (uint32_t)pc_config_read(pc, at + 4, 4);
	pc->table_bar = pc->table & 7;
	pc->table &= ~7u;
}

static inline void pc_start_machine(struct pc *pc)
{
	char ram[256], device[256];
	const char *const arguments[] = {
		"-M",         "q35,memory-backend=ram",
		"-m",         "64M",
		"-object",    ram,
		"-device",    device,
		(char *)NULL,
	};

	(void)snprintf(ram, sizeof(ram), "memory-backend-file,id=ram,size=64M,share=on,mem-path=%s",
		       pc->ram_path);
	(void)snprintf(device, sizeof(device),
		       "{\"driver\":\"vfio-user-pci\",\"addr\":\"%u\",\"socket\":"
		       "{\"type\":\"unix\",\"path\":\"%s\"}}",
		       PC_SLOT, pc->socket);
	qtest_start(&pc->q, "x86_64", arguments);
	pc->q.irq = pc_take_irq;
	pc->q.irq_user = pc;
	qtest_say(&pc->q, "irq_intercept_in ioapic");
	qtest_access(&pc->q, "outl", 0xcf8, PC_PCIEXBAR);
	qtest_access(&pc->q, "outl", 0xcfc, PC_ECAM | 1);
	qtest_flush(&pc->q);
	pc_place_bars(pc);
	pc_find_msix(pc);
}

/* False: it cannot be had here, and the reason was printed. */
static inline bool pc_available(void)
{
	if (!getenv("PEAL")) {
		print_message("# skip: PEAL does not say where the program is\n");
		return false;
	}
	return qtest_available();
}

/* A new directory with an image of IMAGE_SIZE bytes of BYTES, unless that is 0. */
static inline void pc_init(struct pc *pc, const void *bytes, size_t image_size)
{
	memset(pc, 0, sizeof(*pc));
	(void)snprintf(pc->directory, sizeof(pc->directory), "/tmp/peal-qtest-XXXXXX");
	assert_non_null(mkdtemp(pc->directory));
	(void)snprintf(pc->socket, sizeof(pc->socket), "%s/socket", pc->directory);
	(void)snprintf(pc->ram_path, sizeof(pc->ram_path), "%s/ram", pc->directory);
	(void)snprintf(pc->image, sizeof(pc->image), "%s/image", pc->directory);
	if (image_size) {
		FILE *file = fopen(pc->image, "wb");

		assert_non_null(file);
		assert_int_equal(fwrite(bytes, 1, image_size, file), image_size);
		assert_int_equal(fclose(file), 0);
	}
	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &pc->began), 0);
	pc_map_ram(pc);
}

/* QEMU first: it does not bear that its server goes. */
static inline void pc_done(struct pc *pc)
{
	int status = 0;

	qtest_stop(&pc->q);
	assert_int_equal(kill(pc->server, SIGTERM), 0);
	assert_int_equal(waitpid(pc->server, &status, 0), pc->server);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	/* The server has removed its socket. */
	assert_int_not_equal(access(pc->socket, F_OK), 0);
	assert_int_equal(munmap(pc->ram, PC_RAM_SIZE), 0);
	(void)unlink(pc->ram_path);
	(void)unlink(pc->image);
	assert_int_equal(rmdir(pc->directory), 0);
	print_message("# %.2f s\n", pc_seconds(&pc->began));
}

#endif
