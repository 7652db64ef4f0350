/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands that fail: each error number with the last good value and the first bad one beside it,
 * the tables that make an id good, and the ring they come through.
 */
#include "its-guest.h"

static void setup(struct guest *g, const struct guest_config *c)
{
	guest_init(g, c);
	guest_start(g);
}

static void set_baser(struct guest_its *gi, unsigned n, uint64_t value)
{
	its_write32(gi, GITS_CTLR, 0);
	its_write(gi, GITS_BASER(n), value);
	its_write32(gi, GITS_CTLR, 1);
	assert_int_equal(its_read32(gi, GITS_CTLR), QUIESCENT | 1);
}

/* ---- MAPD ---- */

/* A known failure of others: DeviceID 2^Devbits. */
static void device_id_at_two_to_the_devbits(void **state)
{
	static const unsigned widths[] = { 1, 8, 9, 12 };

	(void)state;
	for (unsigned i = 0; i < PEAL_COUNT_OF(widths); i++) {
		const struct guest_config c = { .device_bits = widths[i] };
		uint32_t end = UINT32_C(1) << widths[i];
		struct guest g;
		struct guest_its *gi = &g.its[0];

		setup(&g, &c);
		assert_int_equal(its_mapd(gi, 0, 4, its_itt(gi, 0)), 0);
		assert_int_equal(its_mapd(gi, end - 1, 4, its_itt(gi, 0)), 0);
		assert_int_equal(its_mapd(gi, end, 4, its_itt(gi, 0)), 0x010801);
		assert_int_equal(its_mapd(gi, 0x80000000, 4, its_itt(gi, 0)), 0x010801);
		assert_int_equal(its_mapd(gi, 0xffffffff, 4, its_itt(gi, 0)), 0x010801);
		assert_int_equal(its_unmapd(gi, end), 0x010801);
		assert_int_equal(its_unmapd(gi, end - 1), 0);
		assert_int_equal(its_counters(gi).devices, 1);
		guest_done(&g);
	}
}

static void a_device_needs_its_entry_in_the_flat_table(void **state)
{
	const struct guest_config c = { .device_bits = 32 };
	struct guest g;
	struct guest_its *gi = &g.its[0];
	uint64_t end;

	(void)state;
	setup(&g, &c);
	assert_int_equal(its_mapd(gi, GUEST_DEVICES - 1, 4, its_itt(gi, 0)), 0);
	assert_int_equal(its_mapd(gi, GUEST_DEVICES, 4, its_itt(gi, 0)), 0x010801);
	assert_int_equal(its_mapd(gi, 0x80000000, 4, its_itt(gi, 0)), 0x010801);
	assert_int_equal(its_mapd(gi, 0xffffffff, 4, its_itt(gi, 0)), 0x010801);
	/* 3 pages of 4 KiB and of 16 KiB */
	set_baser(gi, 0, VALID | gi->devices | PAGE_4K | 2);
	assert_int_equal(its_mapd(gi, 3 * 512 - 1, 4, its_itt(gi, 0)), 0);
	assert_int_equal(its_mapd(gi, 3 * 512, 4, its_itt(gi, 0)), 0x010801);
	set_baser(gi, 0, VALID | gi->devices | PAGE_16K | 2);
	assert_int_equal(its_mapd(gi, 3 * 2048 - 1, 4, its_itt(gi, 0)), 0);
	assert_int_equal(its_mapd(gi, 3 * 2048, 4, its_itt(gi, 0)), 0x010801);
	/* The table goes on where memory ends. */
	end = GUEST_RAM + g.ram.size;
	set_baser(gi, 0, VALID | (end - 0x1000) | PAGE_4K | 255);
	assert_int_equal(its_mapd(gi, 511, 4, its_itt(gi, 0)), 0);
	assert_int_equal(its_mapd(gi, 512, 4, its_itt(gi, 0)), 0x010801);
	set_baser(gi, 0, VALID | UINT64_C(0xf00000000000) | PAGE_4K);
	assert_int_equal(its_mapd(gi, 0, 4, its_itt(gi, 0)), 0x010801);
	/* 64 KiB pages: bits 15:12 are address bits 51:48, and there is no memory. */
	set_baser(gi, 0, VALID | gi->devices | PAGE_64K | 0x1000);
	assert_int_equal(its_mapd(gi, 0, 4, its_itt(gi, 0)), 0x010801);
	guest_done(&g);
}

struct pages {
	uint64_t field;
	uint32_t size;
};

static const struct pages page_sizes[] = {
	{ PAGE_4K, 0x1000 },
	{ PAGE_16K, 0x4000 },
	{ PAGE_64K, 0x10000 },
};

/* A known failure of others: the last entry of a level-2 page. */
static void last_level_2_entry(void **state)
{
	const struct guest_config c = { .device_bits = 32 };

	(void)state;
	for (unsigned i = 0; i < PEAL_COUNT_OF(page_sizes); i++) {
		const struct pages *p = &page_sizes[i];
		uint32_t each = p->size / 8; /* entries of a page, on either level */
		struct guest g;
		struct guest_its *gi = &g.its[0];
		uint64_t level2;

		setup(&g, &c);
		level2 = GUEST_RAM + g.ram.size - p->size; /* the last page of memory */
		set_baser(gi, 0, VALID | INDIRECT | gi->devices | p->field);
		assert_int_equal(its_mapd(gi, 0, 4, its_itt(gi, 0)), 0x010801); /* no page */
		guest_store(&g, gi->devices, VALID | level2);
		assert_int_equal(its_mapd(gi, 0, 4, its_itt(gi, 0)), 0);
		assert_int_equal(its_mapd(gi, each - 1, 4, its_itt(gi, 1)), 0);
		assert_int_equal(its_mapd(gi, each, 4, its_itt(gi, 2)), 0x010801);
		/* The last one of level 1. */
		guest_store(&g, gi->devices + p->size - 8, VALID | level2);
		guest_store(&g, gi->devices + p->size, VALID | level2); /* behind it */
		assert_int_equal(its_mapd(gi, each * each - 1, 4, its_itt(gi, 2)), 0);
		assert_int_equal(its_mapd(gi, each * each, 4, its_itt(gi, 3)), 0x010801);
		assert_int_equal(its_counters(gi).devices, 3);
		/* Two pages of level 1 are one after the other. */
		set_baser(gi, 0, VALID | INDIRECT | gi->devices | p->field | 1);
		assert_int_equal(its_mapd(gi, each * each, 4, its_itt(gi, 3)), 0);
		assert_int_equal(its_mapd(gi, 2 * each * each, 4, its_itt(gi, 3)), 0x010801);
		guest_done(&g);
	}
}

/* A known failure of others. */
static void unreachable_level_2_page(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];
	uint64_t end;

	(void)state;
	setup(&g, NULL);
	end = GUEST_RAM + g.ram.size;
	set_baser(gi, 0, VALID | INDIRECT | gi->devices | PAGE_4K);
	guest_store(&g, gi->devices, gi->itts); /* not valid */
	assert_int_equal(its_mapd(gi, 0, 4, its_itt(gi, 1)), 0x010801);
	guest_store(&g, gi->devices, VALID | end);
	assert_int_equal(its_mapd(gi, 0, 4, its_itt(gi, 1)), 0x010801);
	guest_store(&g, gi->devices, ~UINT64_C(0));
	assert_int_equal(its_mapd(gi, 0, 4, its_itt(gi, 1)), 0x010801);
	/* Bits beside the address do not matter. */
	guest_store(&g, gi->devices, VALID | UINT64_C(0x7ff0000000000fff) | gi->itts);
	assert_int_equal(its_mapd(gi, 511, 4, its_itt(gi, 1)), 0);
	/* It goes away below a mapped device: the guest cannot unmap it by name any more. */
	guest_store(&g, gi->devices, 0);
	assert_int_equal(its_unmapd(gi, 511), 0x010801);
	assert_int_equal(its_counters(gi).devices, 1);
	set_baser(gi, 0, VALID | gi->devices | PAGE_4K);
	assert_int_equal(its_counters(gi).devices, 0);
	guest_done(&g);
}

static void device_ids_are_unsigned(void **state)
{
	const struct guest_config c = { .device_bits = 32 };
	struct guest g;
	struct guest_its *gi = &g.its[0];
	uint64_t table;

	(void)state;
	setup(&g, &c);
	/* Of the level 1 table only the entry of this id lies in memory: 2 MiB behind its start. */
	table = gi->devices - UINT64_C(0x80000000) / 8192 * 8;
	set_baser(gi, 0, VALID | INDIRECT | table | PAGE_64K | 255);
	assert_int_equal(its_mapd(gi, 0x80000000, 4, its_itt(gi, 1)), 0x010801);
	guest_store(&g, gi->devices, VALID | gi->collections);
	assert_int_equal(its_mapd(gi, 0x80000000, 4, its_itt(gi, 1)), 0);
	assert_int_equal(its_mapd(gi, 0x80000000 - 1, 4, its_itt(gi, 1)), 0x010801);
	assert_int_equal(its_mapc(gi, 0, 0), 0);
	guest_configure(&g, LPI, LPI_ON);
	assert_int_equal(its_mapti(gi, 0x80000000, 7, LPI, 0), 0);
	assert_int_equal(peal_its_send(gi->its, 0x80000000, 7), 1);
	assert_int_equal(peal_its_send(gi->its, 0, 7), 0);
	assert_int_equal(guest_acknowledge(&g, 0), LPI);
	guest_done(&g);
}

static void itt_size_is_limited_by_the_event_bits(void **state)
{
	static const unsigned widths[] = { 1, 5, 16, 24 };

	(void)state;
	for (unsigned i = 0; i < PEAL_COUNT_OF(widths); i++) {
		const struct guest_config c = { .event_bits = widths[i] };
		struct guest g;
		struct guest_its *gi = &g.its[0];

		setup(&g, &c);
		assert_int_equal(its_mapd(gi, 1, widths[i] - 1, its_itt(gi, 0)), 0);
		assert_int_equal(its_mapd(gi, 2, widths[i], its_itt(gi, 0)), 0x010802);
		assert_int_equal(its_mapd(gi, 2, 31, its_itt(gi, 0)), 0x010802);
		assert_int_equal(its_counters(gi).devices, 1);
		/* Nobody asks for the size of what is unmapped. */
		assert_int_equal(its_run(gi, dw_device(MAPD, 1), 31, 0, 0), 0);
		assert_int_equal(its_counters(gi).devices, 0);
		guest_done(&g);
	}
}

/* ---- MAPC ---- */

static void collections_need_a_good_id(void **state)
{
	const struct guest_config c = { .icid_bits = 4 };
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	assert_int_equal(its_mapc(gi, GUEST_ICIDS - 1, 0), 0);
	assert_int_equal(its_mapc(gi, GUEST_ICIDS, 0), 0x010903);
	assert_int_equal(its_mapc(gi, 65535, 0), 0x010903);
	assert_int_equal(its_unmapc(gi, GUEST_ICIDS, 0), 0x010903);
	set_baser(gi, 1, VALID | gi->queue | PAGE_64K | 7); /* as many as 16 bits can name */
	assert_int_equal(its_mapc(gi, 65535, 0), 0);
	guest_done(&g);
	setup(&g, &c);
	assert_int_equal(its_mapc(gi, 15, 0), 0);
	assert_int_equal(its_mapc(gi, 16, 0), 0x010903);
	guest_done(&g);
}

/* A known failure of others. */
static void non_contiguous_vcpu_ids(void **state)
{
	static const uint16_t processors[] = { 40000, 3, 65535, 0 };
	static const uint64_t bad[] = {
		1, 2, 4, 39999, 40001, 65534, 65536, 65539, UINT64_C(0x400000003),
	};
	const struct guest_config c = { .nredists = 4, .processors = processors };
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, &c);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(its_mapc(gi, i, processors[i]), 0);
		its_map_lpis(gi, i, LPI + i, 1, i, 0);
		assert_int_equal(peal_its_send(gi->its, i, 0), 1);
		assert_int_equal(guest_acknowledge(&g, i), LPI + i);
	}
	for (unsigned i = 0; i < PEAL_COUNT_OF(bad); i++) {
		assert_int_equal(its_mapc(gi, 0, bad[i]), 0x010902);
		assert_int_equal(its_movall(gi, bad[i], 3), 0x010e01);
		assert_int_equal(its_movall(gi, 3, bad[i]), 0x010e01);
	}
	assert_int_equal(its_movall(gi, 40000, 65535), 0);
	/* The failed ones changed nothing. */
	assert_int_equal(peal_its_send(gi->its, 0, 0), 1);
	assert_int_equal(guest_acknowledge(&g, 0), LPI);
	guest_done(&g);
}

static void unmapping_a_collection_does_not_look_at_rdbase(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	assert_int_equal(its_mapc(gi, 3, 0), 0);
	its_map_lpis(gi, 0, LPI, 1, 3, 0);
	assert_int_equal(its_unmapc(gi, 3, 77), 0);
	assert_int_equal(peal_its_send(gi->its, 0, 0), 0);
	assert_int_equal(its_unmapc(gi, 3, 77), 0); /* it is not mapped: fine as well */
	guest_done(&g);
}

/* ---- MAPTI, MAPI ---- */

/* A known failure of others: EventID 2^(Size+1). */
static void event_id_at_two_to_the_size_plus_1(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	for (unsigned size = 0; size < 9; size++) {
		uint32_t end = UINT32_C(2) << size;

		assert_int_equal(its_mapd(gi, 1, size, its_itt(gi, 0)), 0);
		assert_int_equal(its_mapti(gi, 1, end - 1, LPI, 0), 0);
		assert_int_equal(its_mapti(gi, 1, end, LPI, 0), 0x010a05);
		assert_int_equal(its_mapti(gi, 1, 0x80000000, LPI, 0), 0x010a05);
		assert_int_equal(its_mapti(gi, 1, 0xffffffff, LPI, 0), 0x010a05);
		assert_int_equal(its_event(gi, INV, 1, end), 0x010c07);
		assert_int_equal(its_event(gi, INV, 1, 0xffffffff), 0x010c07);
		assert_int_equal(peal_its_send(gi->its, 1, end), 0);
		assert_int_equal(peal_its_send(gi->its, 1, 0xffffffff), 0);
		assert_int_equal(its_counters(gi).events, 1);
	}
	guest_done(&g);
}

/* A known failure of others: pINTID 8191, 8192, 2^IDbits - 1, 2^IDbits. */
static void pintid_at_the_ends_of_the_lpis(void **state)
{
	(void)state;
	for (unsigned bits = 14; bits <= 18; bits++) {
		const struct guest_config c = { .id_bits = bits };
		uint32_t end = UINT32_C(1) << bits;
		const uint32_t bad[] = { 0, 1023, 8191, end, end + 1, 0x80002000, 0xffffffff };
		struct guest g;
		struct guest_its *gi = &g.its[0];

		setup(&g, &c);
		assert_int_equal(its_mapd(gi, 1, 4, its_itt(gi, 0)), 0);
		for (unsigned i = 0; i < PEAL_COUNT_OF(bad); i++)
			assert_int_equal(its_mapti(gi, 1, 0, bad[i], 0), 0x010a06);
		assert_int_equal(its_mapti(gi, 1, 0, 8192, 0), 0);
		assert_int_equal(its_mapti(gi, 1, 1, end - 1, 0), 0);
		assert_int_equal(its_counters(gi).events, 2);
		guest_done(&g);
	}
}

static void pintid_is_limited_by_propbaser(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	guest_program_its(gi);
	its_write32(gi, GITS_CTLR, 1);
	assert_int_equal(its_mapd(gi, 1, 4, its_itt(gi, 0)), 0);
	assert_int_equal(its_mapti(gi, 1, 0, LPI, 0), 0x010a06); /* there is no table yet */
	redist_write(&g, 0, GICR_PROPBASER, 8, g.configuration | (15 - 1));
	assert_int_equal(its_mapti(gi, 1, 0, 32767, 0), 0);
	assert_int_equal(its_mapti(gi, 1, 0, 32768, 0), 0x010a06);
	redist_write(&g, 0, GICR_PROPBASER, 8, g.configuration | (32 - 1));
	assert_int_equal(its_mapti(gi, 1, 0, 65535, 0), 0);
	assert_int_equal(its_mapti(gi, 1, 0, 65536, 0), 0x010a06); /* the GIC has 16 bits */
	guest_done(&g);
}

/* A known failure of others. */
static void itt_outside_memory(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];
	uint64_t end;

	(void)state;
	setup(&g, NULL);
	end = GUEST_RAM + g.ram.size;
	assert_int_equal(its_mapd(gi, 1, 7, end - 0x100), 0); /* 32 of 256 entries fit */
	assert_int_equal(its_mapti(gi, 1, 31, LPI, 0), 0);
	assert_int_equal(its_mapti(gi, 1, 32, LPI, 0), 0x010a05);
	assert_int_equal(its_mapd(gi, 2, 0, end), 0);
	assert_int_equal(its_mapti(gi, 2, 0, LPI, 0), 0x010a05);
	assert_int_equal(its_mapd(gi, 3, 15, UINT64_C(0x000fffffffffff00)), 0);
	assert_int_equal(its_mapti(gi, 3, 65535, LPI, 0), 0x010a05);
	guest_done(&g);
}

static void events_need_a_device_and_a_good_collection_id(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	assert_int_equal(its_mapti(gi, 1, 0, LPI, 0), 0x010a04);
	assert_int_equal(its_mapti(gi, 0xffffffff, 0, LPI, 0), 0x010a04);
	assert_int_equal(its_mapi(gi, 1, LPI, 0), 0x010b04);
	assert_int_equal(its_mapd(gi, 1, 15, its_itt(gi, 0)), 0);
	assert_int_equal(its_mapti(gi, 2, 0, LPI, 0), 0x010a04);
	assert_int_equal(its_mapti(gi, 1, 0, LPI, GUEST_ICIDS - 1), 0);
	assert_int_equal(its_mapti(gi, 1, 0, LPI, GUEST_ICIDS), 0x010a03);
	assert_int_equal(its_mapti(gi, 1, 0, LPI, 65535), 0x010a03);
	assert_int_equal(its_mapi(gi, 1, LPI, GUEST_ICIDS), 0x010b03);
	assert_int_equal(its_mapi(gi, 1, 65536, 0), 0x010b05);
	assert_int_equal(its_mapi(gi, 1, 8191, 0), 0x010b06);
	assert_int_equal(its_mapi(gi, 1, 8192, 0), 0);
	assert_int_equal(its_mapi(gi, 1, 65535, 0), 0);
	assert_int_equal(its_counters(gi).events, 3);
	guest_done(&g);
}

/* ---- commands on what is not mapped ---- */

static void commands_on_unmapped_events_fail(void **state)
{
	static const struct {
		unsigned opcode;
		uint32_t error;
	} commands[] = {
		{ MOVI, 0x010107 }, { INT, 0x010307 },     { CLEAR, 0x010507 },
		{ INV, 0x010c07 },  { DISCARD, 0x010f07 },
	};
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	its_map_collections(gi);
	its_map_lpis(gi, 1, LPI, 1, 0, 0);
	for (unsigned i = 0; i < PEAL_COUNT_OF(commands); i++) {
		unsigned opcode = commands[i].opcode;
		uint32_t error = commands[i].error;

		assert_int_equal(its_event(gi, opcode, 2, 0), error);          /* device */
		assert_int_equal(its_event(gi, opcode, 0xffffffff, 0), error); /* no device */
		assert_int_equal(its_event(gi, opcode, 1, 1), error);          /* same chunk */
		assert_int_equal(its_event(gi, opcode, 1, 31), error);         /* no chunk */
		assert_int_equal(its_event(gi, opcode, 1, 32), error);         /* no such */
		assert_int_equal(its_event(gi, opcode, 1, 0), 0);
	}
	assert_int_equal(its_event(gi, DISCARD, 1, 0), 0x010f07); /* twice */
	assert_int_equal(its_counters(gi).events, 0);
	guest_done(&g);
}

static void movi_needs_a_mapped_collection(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	its_map_collections(gi);
	its_map_lpis(gi, 1, LPI, 1, 0, 0);
	assert_int_equal(its_movi(gi, 1, 0, 2), 0x010109);
	assert_int_equal(its_movi(gi, 1, 0, 65535), 0x010109);
	assert_int_equal(peal_its_send(gi->its, 1, 0), 1);
	assert_int_equal(guest_acknowledge(&g, 0), LPI); /* where it was */
	guest_done(&g);
}

static void int_needs_a_mapped_collection(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	its_map_lpis(gi, 1, LPI, 1, 0, 0);
	assert_int_equal(its_event(gi, INT, 1, 0), 0x010307);
	assert_int_equal(its_mapc(gi, 0, 1), 0);
	assert_int_equal(its_event(gi, INT, 1, 0), 0);
	assert_int_equal(guest_acknowledge(&g, 1), LPI);
	guest_done(&g);
}

/* A known failure of others. */
static void invall_on_an_unmapped_collection(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	its_map_lpis(gi, 1, LPI, 1, 5, 0);
	assert_int_equal(its_invall(gi, 5), 0x010d09);
	assert_int_equal(its_invall(gi, 65535), 0x010d09);
	assert_int_equal(its_mapc(gi, 5, 0), 0);
	assert_int_equal(its_invall(gi, 5), 0);
	assert_int_equal(its_unmapc(gi, 5, 0), 0);
	assert_int_equal(its_invall(gi, 5), 0x010d09);
	guest_done(&g);
}

/* ---- the ring ---- */

/* The guest made its table smaller after it mapped the event. */
static void inv_of_what_is_no_lpi_any_more(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	its_map_collections(gi);
	its_map_lpis(gi, 1, 0xffff, 1, 0, 0);
	for (unsigned n = 0; n < g.nredists; n++)
		disable_lpis(&g, n);
	redist_write(&g, 0, GICR_PROPBASER, 8, g.configuration | 13);
	enable_lpis(&g, 0);
	assert_int_equal(its_event(gi, INV, 1, 0), 0);
	assert_int_equal(peal_its_send(gi->its, 1, 0), 1);
	assert_int_equal(guest_highest(&g, 0), SPURIOUS); /* it is disabled */
	guest_done(&g);
}

static void unknown_opcodes_are_skipped(void **state)
{
	static const uint8_t known[] = { MOVI,  INT,  CLEAR, SYNC,   MAPD,   MAPC,
					 MAPTI, MAPI, INV,   INVALL, MOVALL, DISCARD };
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	for (unsigned opcode = 0; opcode < 256; opcode++) {
		if (memchr(known, (int)opcode, sizeof(known)))
			continue;
		assert_int_equal(its_run(gi, opcode, 0, 0, 0), 0x010000 | opcode << 8);
	}
	assert_int_equal(its_counters(gi).errors, 256 - sizeof(known));
	assert_int_equal(its_counters(gi).commands, 256 - sizeof(known));
	assert_int_equal(its_sync(gi, 0), 0);
	guest_done(&g);
}

static void an_error_is_reported_with_its_command(void **state)
{
	static const uint64_t command[4] = { UINT64_C(0x12345678dead0008), 0x1f, VALID | 0xabc00,
					     UINT64_C(0xfedcba9876543210) };
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	its_queue(gi, SYNC, 0, 0, 0);
	its_queue(gi, command[0], command[1], command[2], command[3]);
	its_queue(gi, MAPC, 0, VALID, 0);
	its_ring(gi);
	assert_int_equal(gi->nerrors, 1);
	assert_int_equal(gi->error.error, 0x010801);
	assert_memory_equal(gi->error.command, command, sizeof(command));
	assert_int_equal(gi->error.offset, 32);
	assert_int_equal(its_counters(gi).commands, 3);
	assert_int_equal(its_counters(gi).errors, 1);
	assert_int_equal(its_read(gi, GITS_CREADR), 96); /* the queue went on */
	assert_int_equal(its_invall(gi, 0), 0);
	guest_done(&g);
}

static void errors_are_counted_when_nobody_listens(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];
	struct peal_its_config config = { .gic = NULL };

	(void)state;
	guest_init(&g, NULL);
	peal_its_free(gi->its);
	config.gic = g.gic;
	assert_int_equal(peal_its_new(&gi->its, &config), 0);
	guest_start(&g);
	assert_int_equal(its_run(gi, 0xee, 0, 0, 0), 0);
	assert_int_equal(its_counters(gi).errors, 1);
	guest_done(&g);
}

static void reserved_bits_of_commands_are_ignored(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	setup(&g, NULL);
	assert_int_equal(its_run(gi, dw_device(MAPD, 1) | 0xffffff00, ~UINT64_C(0x1b),
				 VALID | UINT64_C(0x7ff00000000000ff) | its_itt(gi, 0), ~0ull),
			 0);
	assert_int_equal(its_run(gi, ~UINT64_C(0xff) | MAPC, ~0ull,
				 VALID | UINT64_C(0x7ff8000000000000) | 1 << 16, ~0ull),
			 0);
	guest_configure(&g, LPI, LPI_ON);
	assert_int_equal(its_run(gi, dw_device(MAPTI, 1) | 0xffffff00, (uint64_t)LPI << 32 | 31,
				 ~UINT64_C(0xffff), ~0ull),
			 0);
	assert_int_equal(peal_its_send(gi->its, 1, 31), 1);
	assert_int_equal(guest_acknowledge(&g, 1), LPI);
	guest_done(&g);
}

static void the_ring_wraps(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	gi->queue_size = 0x1000; /* 128 commands */
	guest_start(&g);
	assert_int_equal(its_mapd(gi, 1, 8, its_itt(gi, 0)), 0);
	assert_int_equal(its_mapc(gi, 0, 0), 0);
	for (unsigned i = 0; i < 300; i++) {
		assert_int_equal(its_mapti(gi, 1, i, LPI + i, 0), 0);
		assert_int_equal(its_read(gi, GITS_CREADR), (i + 3) % 128 * 32);
	}
	assert_int_equal(its_counters(gi).events, 300);
	for (unsigned i = 0; i < 127; i++) /* over the end in one go, as full as it can be */
		its_queue(gi, dw_device(DISCARD, 1), i, 0, 0);
	its_ring(gi);
	assert_int_equal(gi->nerrors, 0);
	assert_int_equal(its_counters(gi).events, 173);
	assert_int_equal(its_read(gi, GITS_CREADR), its_read(gi, GITS_CWRITER));
	its_ring(gi); /* nothing new: nothing runs */
	assert_int_equal(its_counters(gi).commands, 2 + 300 + 127);
	guest_done(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(device_id_at_two_to_the_devbits),
		cmocka_unit_test(a_device_needs_its_entry_in_the_flat_table),
		cmocka_unit_test(last_level_2_entry),
		cmocka_unit_test(unreachable_level_2_page),
		cmocka_unit_test(device_ids_are_unsigned),
		cmocka_unit_test(itt_size_is_limited_by_the_event_bits),
		cmocka_unit_test(collections_need_a_good_id),
		cmocka_unit_test(non_contiguous_vcpu_ids),
		cmocka_unit_test(unmapping_a_collection_does_not_look_at_rdbase),
		cmocka_unit_test(event_id_at_two_to_the_size_plus_1),
		cmocka_unit_test(pintid_at_the_ends_of_the_lpis),
		cmocka_unit_test(pintid_is_limited_by_propbaser),
		cmocka_unit_test(itt_outside_memory),
		cmocka_unit_test(events_need_a_device_and_a_good_collection_id),
		cmocka_unit_test(commands_on_unmapped_events_fail),
		cmocka_unit_test(movi_needs_a_mapped_collection),
		cmocka_unit_test(int_needs_a_mapped_collection),
		cmocka_unit_test(invall_on_an_unmapped_collection),
		cmocka_unit_test(inv_of_what_is_no_lpi_any_more),
		cmocka_unit_test(unknown_opcodes_are_skipped),
		cmocka_unit_test(an_error_is_reported_with_its_command),
		cmocka_unit_test(errors_are_counted_when_nobody_listens),
		cmocka_unit_test(reserved_bits_of_commands_are_ignored),
		cmocka_unit_test(the_ring_wraps),
	};

	return cmocka_run_group_tests_name("gic-commands", tests, NULL, NULL);
}
