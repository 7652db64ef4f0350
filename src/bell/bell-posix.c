/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bell device; its registers are described in <peal/bell.h>.
 *
 * The rounds are the thread's: it rings without the mutex, looking before each ring whether it shall
 * go on. Who wants something else of it waits first until it says that it has stopped, and where:
 * so nothing rings after the write, and a device that is stopped goes on with the next vector.
 *
 * Lock order: registers (mutex) → control → rounds; the INTx mutex is a leaf, with only the
 * function's INTx below. A ring is made with neither of the device's mutexes held, but that of a
 * register access.
 */

#include <peal/bits.h>

#include "base/clock-posix.h"
#include "base/thread-posix.h"
#include "bell.h"

#define CLASS_CODE 0xff0000u /* fits no class */
#define US         UINT64_C(1000)

/* ---- ringing ---- */

/* The line follows the cause; who changed it looks again under the mutex. */
void bell_drive_intx(struct peal_bell *bell)
{
	peal_mutex_lock(&bell->intx_mutex);
	peal_pci_function_set_intx(bell->function,
				   __atomic_load_n(&bell->cause, __ATOMIC_SEQ_CST) != 0);
	peal_mutex_unlock(&bell->intx_mutex);
}

void peal_bell_ring(struct peal_bell *bell, unsigned vector)
{
	if (vector >= bell->vectors)
		return;
	peal_count(&bell->rings[vector], 1);
	if (peal_msix_is_enabled(bell->msix)) {
		(void)peal_msix_notify(bell->msix, vector);
	} else if (peal_msi_enabled(bell->msi)) {
		(void)peal_msi_notify(bell->msi, vector % peal_msi_vectors(bell->msi));
	} else {
		__atomic_store_n(&bell->cause, 1, __ATOMIC_SEQ_CST);
		bell_drive_intx(bell);
	}
}

uint64_t peal_bell_rings(const struct peal_bell *bell, unsigned vector)
{
	return vector < bell->vectors ? peal_counted(&bell->rings[vector]) : 0;
}

/* ---- rounds ---- */

static bool is_wanted(const struct peal_bell *bell, uint64_t number)
{
	return __atomic_load_n(&bell->wanted, __ATOMIC_SEQ_CST) == number;
}

/* The vectors of a round from AT on; how far it came. */
static uint32_t ring_round(struct peal_bell *bell, const struct bell_program *program, uint32_t at,
			   uint64_t number)
{
	for (; at < program->count && is_wanted(bell, number); at++) {
		/* Numbers that wrap around are no vectors. */
		if (program->first >= bell->vectors || at >= bell->vectors - program->first)
			return program->count;
		peal_bell_ring(bell, program->first + at);
	}
	return at;
}

/* Under the mutex: until then, or until something else is wanted. */
static void wait_until(struct peal_bell *bell, uint64_t number, uint64_t ns)
{
	const struct timespec then = peal_clock_timespec(ns);

	while (is_wanted(bell, number) &&
	       pthread_cond_timedwait(&bell->changed, &bell->rounds_mutex, &then) != ETIMEDOUT)
		;
}

/* Under the mutex, which it gives away while it rings. */
static void run_rounds(struct peal_bell *bell, uint64_t number)
{
	struct bell_rounds *rounds = &bell->rounds;
	const struct bell_program program = rounds->program;
	uint64_t next = peal_clock_ns();

	while (is_wanted(bell, number) && rounds->left > 0) {
		uint32_t at = rounds->at;

		if (rounds->waits) {
			next += program.period * US;
			wait_until(bell, number, next);
			rounds->waits = !is_wanted(bell, number);
			continue;
		}
		(void)pthread_mutex_unlock(&bell->rounds_mutex);
		at = ring_round(bell, &program, at, number);
		(void)pthread_mutex_lock(&bell->rounds_mutex);
		rounds->at = at;
		if (at < program.count)
			continue;
		rounds->at = 0;
		if (program.rounds != PEAL_BELL_ENDLESS)
			rounds->left--;
		rounds->waits = program.period && rounds->left > 0;
	}
}

static void *run(void *argument)
{
	struct peal_bell *bell = argument;

	(void)pthread_mutex_lock(&bell->rounds_mutex);
	while (!bell->end) {
		uint64_t number = bell->wanted;

		if (bell->seen == number) {
			(void)pthread_cond_wait(&bell->changed, &bell->rounds_mutex);
			continue;
		}
		bell->seen = number;
		(void)pthread_cond_broadcast(&bell->changed);
		if (number & 1)
			run_rounds(bell, number);
	}
	(void)pthread_mutex_unlock(&bell->rounds_mutex);
	return NULL;
}

/* Under CONTROL. A ring from the thread takes no register mutex, so waiting under one is safe. */
static void halt(struct peal_bell *bell)
{
	(void)pthread_mutex_lock(&bell->rounds_mutex);
	__atomic_store_n(&bell->wanted, bell->wanted + (bell->wanted & 1), __ATOMIC_SEQ_CST);
	(void)pthread_cond_broadcast(&bell->changed);
	while (bell->is_running && bell->seen != bell->wanted)
		(void)pthread_cond_wait(&bell->changed, &bell->rounds_mutex);
	(void)pthread_mutex_unlock(&bell->rounds_mutex);
}

/* The same: what is left, if the device is not stopped. */
static void go_on(struct peal_bell *bell)
{
	(void)pthread_mutex_lock(&bell->rounds_mutex);
	if (!bell->is_paused && bell->rounds.left > 0) {
		__atomic_store_n(&bell->wanted, bell->wanted + 1, __ATOMIC_SEQ_CST);
		(void)pthread_cond_broadcast(&bell->changed);
	}
	(void)pthread_mutex_unlock(&bell->rounds_mutex);
}

void bell_set_rounds(struct peal_bell *bell, const struct bell_rounds *rounds)
{
	peal_mutex_lock(&bell->control);
	halt(bell);
	(void)pthread_mutex_lock(&bell->rounds_mutex);
	bell->rounds = *rounds;
	(void)pthread_mutex_unlock(&bell->rounds_mutex);
	go_on(bell);
	peal_mutex_unlock(&bell->control);
}

struct bell_rounds bell_get_rounds(struct peal_bell *bell)
{
	struct bell_rounds rounds;

	(void)pthread_mutex_lock(&bell->rounds_mutex);
	rounds = bell->rounds;
	(void)pthread_mutex_unlock(&bell->rounds_mutex);
	return rounds;
}

void bell_pause(struct peal_bell *bell, bool paused)
{
	peal_mutex_lock(&bell->control);
	halt(bell);
	bell->is_paused = paused;
	go_on(bell);
	peal_mutex_unlock(&bell->control);
}

static void stop_rounds(struct peal_bell *bell)
{
	const struct bell_rounds none = { .left = 0 };

	bell_set_rounds(bell, &none);
}

/* ---- registers ---- */

static uint64_t read_vectors(void *owner, const struct peal_reg *reg, unsigned index)
{
	(void)reg;
	(void)index;
	return ((struct peal_bell *)owner)->vectors;
}

static uint64_t read_cause(void *owner, const struct peal_reg *reg, unsigned index)
{
	(void)reg;
	(void)index;
	return __atomic_load_n(&((struct peal_bell *)owner)->cause, __ATOMIC_SEQ_CST);
}

static void write_cause(void *owner, const struct peal_reg_write *write)
{
	struct peal_bell *bell = owner;

	if (!(write->raw & write->written & 1))
		return;
	__atomic_store_n(&bell->cause, 0, __ATOMIC_SEQ_CST);
	bell_drive_intx(bell);
}

static uint64_t read_zero(void *owner, const struct peal_reg *reg, unsigned index)
{
	(void)owner;
	(void)reg;
	(void)index;
	return 0;
}

static void write_ring(void *owner, const struct peal_reg_write *write)
{
	peal_bell_ring(owner, (uint32_t)write->raw);
}

static void write_ring_each(void *owner, const struct peal_reg_write *write)
{
	peal_bell_ring(owner, write->index);
}

static void write_control(void *owner, const struct peal_reg_write *write)
{
	struct peal_bell *bell = owner;
	const struct bell_rounds rounds = {
		.program = {
			.first = (uint32_t)peal_reg_get(bell->image, PEAL_BELL_FIRST, 4),
			.count = (uint32_t)peal_reg_get(bell->image, PEAL_BELL_COUNT, 4),
			.rounds = (uint32_t)peal_reg_get(bell->image, PEAL_BELL_ROUNDS, 4),
			.period = (uint32_t)peal_reg_get(bell->image, PEAL_BELL_PERIOD, 4),
		},
		.left = (uint32_t)peal_reg_get(bell->image, PEAL_BELL_ROUNDS, 4),
	};

	if (write->raw & 1)
		bell_set_rounds(bell, &rounds);
	else
		stop_rounds(bell);
}

static uint64_t read_left(void *owner, const struct peal_reg *reg, unsigned index)
{
	uint32_t left = bell_get_rounds(owner).left;

	(void)index;
	return reg->offset == PEAL_BELL_BUSY ? left > 0 : left;
}

static uint64_t read_rings(void *owner, const struct peal_reg *reg, unsigned index)
{
	const struct peal_bell *bell = owner;
	uint64_t sum = 0;

	(void)reg;
	(void)index;
	for (unsigned i = 0; i < bell->vectors; i++)
		sum += peal_counted(&bell->rings[i]);
	return sum;
}

static uint64_t read_rings_each(void *owner, const struct peal_reg *reg, unsigned index)
{
	(void)reg;
	return peal_bell_rings(owner, index);
}

/* clang-format off */
const struct peal_reg bell_rows[] = {
	{ .offset = PEAL_BELL_ID, .width = 4, .flags = PEAL_REG_CONST, .reset = PEAL_BELL_MAGIC,
	  .name = "ID", .section = "bell.h" },
	{ .offset = PEAL_BELL_VECTORS, .width = 4, .flags = PEAL_REG_HOOKED, .read = read_vectors,
	  .name = "VECTORS", .section = "bell.h" },
	{ .offset = PEAL_BELL_CAUSE, .width = 4, .flags = PEAL_REG_HOOKED, .rw = 1,
	  .read = read_cause, .write = write_cause, .name = "CAUSE", .section = "bell.h" },
	{ .offset = PEAL_BELL_RING, .width = 4, .flags = PEAL_REG_HOOKED, .rw = UINT32_MAX,
	  .widths = PEAL_REG_W32, .read = read_zero, .write = write_ring,
	  .name = "RING", .section = "bell.h" },
	{ .offset = PEAL_BELL_FIRST, .width = 4, .rw = UINT32_MAX,
	  .name = "FIRST", .section = "bell.h" },
	{ .offset = PEAL_BELL_COUNT, .width = 4, .rw = UINT32_MAX,
	  .name = "COUNT", .section = "bell.h" },
	{ .offset = PEAL_BELL_ROUNDS, .width = 4, .rw = UINT32_MAX,
	  .name = "ROUNDS", .section = "bell.h" },
	{ .offset = PEAL_BELL_PERIOD, .width = 4, .rw = UINT32_MAX,
	  .name = "PERIOD", .section = "bell.h" },
	{ .offset = PEAL_BELL_CONTROL, .width = 4, .flags = PEAL_REG_HOOKED, .rw = 1,
	  .widths = PEAL_REG_W32, .read = read_zero, .write = write_control,
	  .name = "CONTROL", .section = "bell.h" },
	{ .offset = PEAL_BELL_BUSY, .width = 4, .flags = PEAL_REG_HOOKED, .read = read_left,
	  .name = "BUSY", .section = "bell.h" },
	{ .offset = PEAL_BELL_LEFT, .width = 4, .flags = PEAL_REG_HOOKED, .read = read_left,
	  .name = "LEFT", .section = "bell.h" },
	{ .offset = PEAL_BELL_RINGS, .width = 8, .flags = PEAL_REG_HOOKED, .read = read_rings,
	  .name = "RINGS", .section = "bell.h" },
};
const unsigned bell_nrows = PEAL_COUNT_OF(bell_rows);

const struct peal_reg bell_ring_rows[] = {
	{ .offset = 0, .width = 4, .flags = PEAL_REG_HOOKED, .count = BELL_VECTORS_MAX,
	  .stride = 4, .rw = UINT32_MAX, .widths = PEAL_REG_W32, .read = read_zero,
	  .write = write_ring_each, .name = "RING_EACH", .section = "bell.h" },
};
const unsigned bell_ring_nrows = PEAL_COUNT_OF(bell_ring_rows);

const struct peal_reg bell_rings_rows[] = {
	{ .offset = 0, .width = 8, .flags = PEAL_REG_HOOKED, .count = BELL_VECTORS_MAX,
	  .stride = 8, .read = read_rings_each, .name = "RINGS_EACH", .section = "bell.h" },
};
const unsigned bell_rings_nrows = PEAL_COUNT_OF(bell_rings_rows);
/* clang-format on */

/* The doorbells take no mutex: they have no state, and many CPUs may ring. */
static bool is_doorbell(uint64_t offset)
{
	return offset - PEAL_BELL_RING_EACH < 4 * BELL_VECTORS_MAX;
}

static uint64_t bar_read(void *user, uint64_t offset, unsigned size)
{
	struct peal_bell *bell = user;
	uint64_t value;

	peal_mutex_lock(&bell->mutex);
	value = peal_reg_bank_read(&bell->bank, offset, size);
	peal_mutex_unlock(&bell->mutex);
	return value;
}

static void bar_write(void *user, uint64_t offset, unsigned size, uint64_t value)
{
	struct peal_bell *bell = user;

	if (is_doorbell(offset) && size == 4 && offset % 4 == 0) {
		peal_bell_ring(bell, (unsigned)(offset - PEAL_BELL_RING_EACH) / 4);
		return;
	}
	peal_mutex_lock(&bell->mutex);
	peal_reg_bank_write(&bell->bank, offset, size, value);
	peal_mutex_unlock(&bell->mutex);
}

static void reset(void *user)
{
	struct peal_bell *bell = user;

	peal_mutex_lock(&bell->mutex);
	stop_rounds(bell);
	memset(bell->image, 0, sizeof(bell->image));
	for (unsigned i = 0; i < bell->vectors; i++)
		__atomic_store_n(&bell->rings[i], 0, __ATOMIC_RELAXED);
	__atomic_store_n(&bell->cause, 0, __ATOMIC_SEQ_CST);
	bell_drive_intx(bell);
	peal_mutex_unlock(&bell->mutex);
}

static void doorbells(void *user, struct peal_pci_doorbells *ret)
{
	const struct peal_bell *bell = user;

	*ret = (struct peal_pci_doorbells){
		.bar = PEAL_BELL_BAR,
		.offset = PEAL_BELL_RING_EACH,
		.stride = 4,
		.count = bell->vectors,
		.size = 4,
	};
}

/* ---- life ---- */

static void make_bank(struct peal_bell *bell)
{
	const struct peal_reg_group groups[] = {
		{ .size = BELL_REGS_SIZE,
		  .rows = bell_rows,
		  .nrows = bell_nrows,
		  .state = bell->image,
		  .owner = bell },
		{ .base = PEAL_BELL_RING_EACH,
		  .size = 4 * BELL_VECTORS_MAX,
		  .rows = bell_ring_rows,
		  .nrows = bell_ring_nrows,
		  .owner = bell,
		  .count = (uint16_t)bell->vectors },
		{ .base = PEAL_BELL_RINGS_EACH,
		  .size = 8 * BELL_VECTORS_MAX,
		  .rows = bell_rings_rows,
		  .nrows = bell_rings_nrows,
		  .owner = bell,
		  .count = (uint16_t)bell->vectors },
	};

	for (unsigned i = 0; i < PEAL_COUNT_OF(groups); i++) {
		int r = peal_reg_bank_add(&bell->bank, &groups[i]);

		PEAL_ASSERT(r == 0);
	}
}

static unsigned msi_vectors(unsigned vectors)
{
	unsigned n = 1;

	while (2 * n <= vectors && 2 * n <= PEAL_MSI_VECTORS_MAX)
		n *= 2;
	return n;
}

static int make_function(struct peal_bell *bell)
{
	static const struct peal_pci_function_ops function_ops = {
		.reset = reset,
		.state = &bell_state_ops,
		.doorbells = doorbells,
	};
	static const struct peal_pci_bar_ops bar_ops = { .read = bar_read, .write = bar_write };
	const struct peal_pci_function_config config = {
		.host = bell->host,
		.vendor_id = PEAL_BELL_VENDOR_ID,
		.device_id = PEAL_BELL_DEVICE_ID,
		.class_code = CLASS_CODE,
		.interrupt_pin = 1,
		.ops = &function_ops,
		.user = bell,
	};
	const struct peal_msi_config msi = { .vectors = msi_vectors(bell->vectors),
					     .wide = true,
					     .maskable = true };
	int r = peal_pci_function_new(&bell->function, &config);

	if (r == 0)
		r = peal_pci_function_add_bar(bell->function, PEAL_BELL_BAR, PEAL_PCI_BAR_MEM32,
					      PEAL_BELL_BAR_SIZE, &bar_ops, bell);
	if (r == 0)
		r = peal_pci_function_add_power_management(bell->function);
	if (r == 0)
		r = peal_pci_function_add_pci_express(bell->function);
	if (r == 0)
		r = peal_pci_function_add_msi(bell->function, &msi);
	if (r == 0)
		r = peal_pci_function_add_msix_exclusive(bell->function, bell->vectors,
							 PEAL_BELL_MSIX_BAR);
	if (r < 0)
		return r;
	bell->msix = peal_pci_function_msix(bell->function);
	bell->msi = peal_pci_function_msi(bell->function);
	return 0;
}

static int use_vectors(struct peal_bell *bell)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < bell->vectors; i++)
		r = peal_msix_use(bell->msix, i);
	for (unsigned i = 0; r == 0 && i < peal_msi_vectors(bell->msi); i++)
		r = peal_msi_use(bell->msi, i);
	return r;
}

/* The clock of the condition does not jump. */
static int start_thread(struct peal_bell *bell)
{
	int r = peal_clock_cond_init(&bell->changed);

	if (r < 0)
		return r;
	r = -pthread_mutex_init(&bell->rounds_mutex, NULL);
	if (r < 0) {
		(void)pthread_cond_destroy(&bell->changed);
		return r;
	}
	bell->is_ready = true;
	r = peal_thread_create(&bell->thread, NULL, run, bell);
	bell->is_running = r == 0;
	return r;
}

static void stop_thread(struct peal_bell *bell)
{
	if (bell->is_running) {
		stop_rounds(bell);
		(void)pthread_mutex_lock(&bell->rounds_mutex);
		bell->end = true;
		(void)pthread_cond_broadcast(&bell->changed);
		(void)pthread_mutex_unlock(&bell->rounds_mutex);
		(void)pthread_join(bell->thread, NULL);
	}
	if (bell->is_ready) {
		(void)pthread_mutex_destroy(&bell->rounds_mutex);
		(void)pthread_cond_destroy(&bell->changed);
	}
}

static size_t size_of(unsigned vectors)
{
	return sizeof(struct peal_bell) + vectors * sizeof(uint64_t);
}

int peal_bell_new(struct peal_bell **ret, const struct peal_bell_config *config)
{
	struct peal_bell *bell;
	int r;

	if (config->vectors < 1 || config->vectors > BELL_VECTORS_MAX)
		return -EINVAL;
	bell = peal_alloc(config->host, size_of(config->vectors));
	if (!bell)
		return -ENOMEM;
	bell->host = config->host;
	bell->vectors = config->vectors;
	make_bank(bell);
	r = peal_mutex_init(&bell->mutex, bell->host);
	if (r == 0)
		r = peal_mutex_init(&bell->intx_mutex, bell->host);
	if (r == 0)
		r = peal_mutex_init(&bell->control, bell->host);
	if (r == 0)
		r = make_function(bell);
	if (r == 0)
		r = use_vectors(bell);
	if (r == 0)
		r = start_thread(bell);
	if (r < 0) {
		peal_bell_free(bell);
		return r;
	}
	*ret = bell;
	return 0;
}

void peal_bell_free(struct peal_bell *bell)
{
	if (!bell)
		return;
	stop_thread(bell);
	peal_pci_function_free(bell->function);
	peal_mutex_done(&bell->control);
	peal_mutex_done(&bell->intx_mutex);
	peal_mutex_done(&bell->mutex);
	peal_free(bell->host, bell, size_of(bell->vectors));
}

struct peal_pci_function *peal_bell_function(struct peal_bell *bell)
{
	return bell->function;
}
