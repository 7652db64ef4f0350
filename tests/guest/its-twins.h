/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Twins: QEMU's GICv3 with its ITS (over qtest) and Peal's (a struct guest), with the same memory
 * at the same addresses. What is done here is done to both.
 *
 * Commands run in Peal at once and reach QEMU in one piece, with the next thing that is not a
 * command. So who generates commands can ask Peal what is pending; a wrong answer shows when the
 * twins are compared.
 */
#ifndef PEAL_TESTS_GUEST_ITS_TWINS_H
#define PEAL_TESTS_GUEST_ITS_TWINS_H

#include "qtest.h"

#include <gic/its-guest.h>

/* QEMU's machine `virt`; RAM is at GUEST_RAM. */
#define VIRT_DISTRIBUTOR UINT64_C(0x08000000)
#define VIRT_ITS         UINT64_C(0x08080000)
#define VIRT_REDISTS     UINT64_C(0x080a0000)

#define TWIN_REDISTS GUEST_REDISTS
#define TWIN_LPIS    (65536u - LPI)

struct twins {
	struct guest guest;
	struct guest_its *gi;
	struct qtest qtest;
	uint32_t sent; /* offset in the queue up to which QEMU has the commands */
	bool on[TWIN_REDISTS];
};

/* ---- both ---- */

/* Hands QEMU the bytes FROM..TO of the queue. */
static inline void twins_send_queue(struct twins *t, uint32_t from, uint32_t to)
{
	uint64_t at = t->gi->queue + from;

	if (from != to)
		qtest_write_memory(&t->qtest, at, test_ram_at(&t->guest.ram, at, to - from),
				   to - from);
}

static inline void twins_flush(struct twins *t)
{
	uint32_t to = t->gi->writer;

	if (t->sent == to)
		return;
	if (t->sent > to) {
		twins_send_queue(t, t->sent, t->gi->queue_size);
		twins_send_queue(t, 0, to);
	} else {
		twins_send_queue(t, t->sent, to);
	}
	qtest_write(&t->qtest, VIRT_ITS + GITS_CWRITER, 8, to);
	t->sent = to;
}

static inline void twins_store(struct twins *t, uint64_t address, const void *bytes, size_t size)
{
	twins_flush(t);
	memcpy(test_ram_at(&t->guest.ram, address, size), bytes, size);
	qtest_write_memory(&t->qtest, address, bytes, size);
}

static inline void twins_zero(struct twins *t, uint64_t address, uint64_t size)
{
	twins_flush(t);
	memset(test_ram_at(&t->guest.ram, address, size), 0, (size_t)size);
	qtest_zero(&t->qtest, address, size);
}

static inline void twins_its_write(struct twins *t, uint32_t offset, unsigned size, uint64_t value)
{
	twins_flush(t);
	peal_its_write(t->gi->its, offset, size, value);
	qtest_write(&t->qtest, VIRT_ITS + offset, size, value);
}

static inline uint64_t virt_redist(unsigned n)
{
	return VIRT_REDISTS + n * PEAL_GIC_REDIST_SIZE;
}

static inline void twins_redist_write(struct twins *t, unsigned n, uint32_t offset, unsigned size,
				      uint64_t value)
{
	twins_flush(t);
	redist_write(&t->guest, n, offset, size, value);
	qtest_write(&t->qtest, virt_redist(n) + offset, size, value);
}

static inline void twins_enable_lpis(struct twins *t, unsigned n, bool on)
{
	twins_redist_write(t, n, GICR_CTLR, 4, on);
	t->on[n] = on;
}

/* A command with its error number in Peal; 0: it succeeded. */
static inline uint32_t twins_run(struct twins *t, const uint64_t *dw)
{
	/* A full queue looks like an empty one. */
	if ((t->gi->writer + 32) % t->gi->queue_size == t->sent)
		twins_flush(t);
	return its_run(t->gi, dw[0], dw[1], dw[2], dw[3]);
}

/* The message of a device; QEMU takes a write of the CPU for one of device 0. */
static inline bool twins_send(struct twins *t, uint32_t event)
{
	twins_flush(t);
	qtest_write(&t->qtest, VIRT_ITS + GITS_TRANSLATER, 4, event);
	return peal_its_send(t->gi->its, 0, event) == 1;
}

/* ---- comparing ---- */

/* A byte of the pending table as Peal has it: with LPIs off it is the guest's memory. */
static inline uint8_t twins_peal_byte(struct twins *t, unsigned n, uint32_t intid)
{
	uint8_t byte = 0;

	if (!t->on[n])
		return *guest_pending_byte(&t->guest, n, intid);
	for (unsigned i = 0; i < 8; i++)
		byte |= (uint8_t)(guest_is_pending(&t->guest, n, intid + i) << i);
	return byte;
}

static inline bool twins_compare_redist(struct twins *t, unsigned n)
{
	uint8_t table[TWIN_LPIS / 8];
	bool same = true;

	qtest_read_memory(&t->qtest, t->guest.pending[n] + LPI / 8, table, sizeof(table));
	for (uint32_t i = 0; i < sizeof(table); i++) {
		uint8_t peal = twins_peal_byte(t, n, LPI + 8 * i);

		for (unsigned bit = 0; bit < 8 && peal != table[i]; bit++) {
			if (!((peal ^ table[i]) >> bit & 1))
				continue;
			print_message("# LPI %u on redistributor %u%s: Peal %u, QEMU %u\n",
				      LPI + 8 * i + bit, n, t->on[n] ? "" : " (off)",
				      peal >> bit & 1, table[i] >> bit & 1);
			same = false;
		}
	}
	return same;
}

/* Where the queue stands, and the pending state of every LPI on every redistributor. */
static inline bool twins_compare(struct twins *t)
{
	uint64_t peal, qemu;
	bool same;

	twins_flush(t);
	peal = its_read(t->gi, GITS_CREADR);
	qemu = qtest_read(&t->qtest, VIRT_ITS + GITS_CREADR, 8);
	same = peal == qemu;
	if (!same)
		print_message("# CREADR: Peal 0x%llx, QEMU 0x%llx\n", (unsigned long long)peal,
			      (unsigned long long)qemu);
	for (unsigned n = 0; n < TWIN_REDISTS; n++)
		same &= twins_compare_redist(t, n);
	return same;
}

/* ---- life ---- */

static inline void twins_init(struct twins *t)
{
	static const char *const machine[] = {
		"-M", "virt,gic-version=3,its=on", "-smp", "8", "-m", "64M", NULL,
	};
	const struct guest_config config = { .nredists = TWIN_REDISTS };

	memset(t, 0, sizeof(*t));
	guest_init(&t->guest, &config);
	t->gi = &t->guest.its[0];
	qtest_start(&t->qtest, "aarch64", machine);
	/* EnableGrp1NS and ARE: without, the CPU interface of QEMU's GIC has nothing to do. */
	qtest_write(&t->qtest, VIRT_DISTRIBUTOR, 4, 0x12);
}

static inline void twins_done(struct twins *t)
{
	qtest_stop(&t->qtest);
	guest_done(&t->guest);
}

static inline void twins_start_redist(struct twins *t, unsigned n)
{
	twins_redist_write(t, n, GICR_PROPBASER, 8, guest_propbaser(&t->guest));
	twins_redist_write(t, n, GICR_PENDBASER, 8, t->guest.pending[n]);
	twins_enable_lpis(t, n, true);
}

/* The queue is empty then, on both sides. */
static inline void twins_start_its(struct twins *t, uint64_t device_baser,
				   uint64_t collection_baser)
{
	twins_its_write(t, GITS_BASER(0), 8, device_baser);
	twins_its_write(t, GITS_BASER(1), 8, collection_baser);
	twins_its_write(t, GITS_CBASER, 8, VALID | t->gi->queue | (t->gi->queue_size / 4096 - 1));
	twins_its_write(t, GITS_CWRITER, 8, 0);
	t->gi->writer = t->sent = 0;
	twins_its_write(t, GITS_CTLR, 4, 1);
}

#endif
