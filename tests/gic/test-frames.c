/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that aims the tables and queues of the GIC at register frames: at those of the GIC
 * itself, whose lock is held while it looks at its tables, or at a device's. They are not in
 * memory, so an ITS and a redistributor find nothing there, and no frame is accessed.
 */
#include "its-guest.h"

#define FRAME      UINT64_C(0x8000000)
#define FRAME_SIZE UINT64_C(0x200000)

struct world {
	struct guest g;
	unsigned accesses;
};

static int frame_read(void *user, uint64_t offset, void *bytes, size_t size)
{
	struct world *w = user;

	(void)offset;
	w->accesses++;
	memset(bytes, 0xff, size); /* all valid, all enabled, all pending */
	return 0;
}

static int frame_write(void *user, uint64_t offset, const void *bytes, size_t size)
{
	struct world *w = user;

	(void)offset;
	(void)bytes;
	(void)size;
	w->accesses++;
	return 0;
}

static void world_init(struct world *w)
{
	static const struct peal_mem_ops ops = { .read = frame_read, .write = frame_write };
	int r;

	guest_init(&w->g, NULL);
	w->accesses = 0;
	r = peal_space_map_ops(w->g.ram.space, FRAME, FRAME_SIZE, &ops, w);
	assert_int_equal(r, 0);
}

static void world_done(struct world *w)
{
	assert_int_equal(w->accesses, 0);
	guest_done(&w->g);
}

static void queue_at_a_frame_cannot_be_read(void **state)
{
	struct world w;
	struct guest_its *gi = &w.g.its[0];

	(void)state;
	world_init(&w);
	guest_program_its(gi);
	its_write(gi, GITS_CBASER, VALID | FRAME | 15);
	its_write32(gi, GITS_CTLR, 1);
	its_write(gi, GITS_CWRITER, 3 * 32);
	assert_int_equal(gi->nerrors, 3);
	assert_int_equal(gi->error.error, 0x0100fe);
	assert_int_equal(its_read(gi, GITS_CREADR), 3 * 32);
	world_done(&w);
}

static void tables_at_a_frame_have_no_entries(void **state)
{
	struct world w;
	struct guest_its *gi = &w.g.its[0];

	(void)state;
	world_init(&w);
	guest_start(&w.g);
	its_write32(gi, GITS_CTLR, 0);
	its_write(gi, GITS_BASER(0), VALID | INDIRECT | FRAME);
	its_write(gi, GITS_BASER(1), VALID | FRAME);
	its_write32(gi, GITS_CTLR, 1);
	assert_int_equal(its_mapd(gi, 1, 4, its_itt(gi, 0)), 0x010801);
	assert_int_equal(its_mapc(gi, 1, 0), 0x010903);
	/* A flat table; a level 2 page; an interrupt translation table. */
	its_write32(gi, GITS_CTLR, 0);
	its_write(gi, GITS_BASER(0), VALID | FRAME);
	its_write32(gi, GITS_CTLR, 1);
	assert_int_equal(its_mapd(gi, 1, 4, its_itt(gi, 0)), 0x010801);
	its_write32(gi, GITS_CTLR, 0);
	guest_store(&w.g, gi->devices, VALID | FRAME);
	its_write(gi, GITS_BASER(0), VALID | INDIRECT | gi->devices);
	its_write32(gi, GITS_CTLR, 1);
	assert_int_equal(its_mapd(gi, 1, 4, its_itt(gi, 0)), 0x010801);
	guest_store(&w.g, gi->devices, VALID | (gi->devices + 0x8000));
	assert_int_equal(its_mapd(gi, 1, 4, FRAME), 0);
	assert_int_equal(its_mapti(gi, 1, 0, LPI, 1), 0x010a05);
	world_done(&w);
}

static void configuration_at_a_frame_enables_nothing(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	redist_write(&w.g, 0, GICR_PROPBASER, 8, FRAME | 15);
	redist_write(&w.g, 0, GICR_PENDBASER, 8, w.g.pending[0]);
	*guest_pending_byte(&w.g, 0, LPI) = 1;
	enable_lpis(&w.g, 0);
	redist_write(&w.g, 0, GICR_INVLPIR, 8, LPI);
	redist_write(&w.g, 0, GICR_INVALLR, 8, 0);
	assert_true(peal_gic_is_pending(w.g.gic, 0, LPI));
	assert_int_equal(peal_gic_highest_pending(w.g.gic, 0, ALL_PRIORITIES, NULL), SPURIOUS);
	world_done(&w);
}

static void pending_table_at_a_frame_is_neither_read_nor_written(void **state)
{
	struct world w;
	struct guest_its *gi = &w.g.its[0];

	(void)state;
	world_init(&w);
	guest_start(&w.g);
	disable_lpis(&w.g, 0);
	redist_write(&w.g, 0, GICR_PENDBASER, 8, FRAME);
	enable_lpis(&w.g, 0);
	assert_false(peal_gic_is_pending(w.g.gic, 0, LPI));
	assert_int_equal(its_mapc(gi, 1, 0), 0);
	assert_int_equal(its_mapd(gi, 1, 4, its_itt(gi, 0)), 0);
	assert_int_equal(its_mapti(gi, 1, 0, LPI, 1), 0);
	assert_int_equal(peal_its_send(gi->its, 1, 0), 1);
	disable_lpis(&w.g, 0);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queue_at_a_frame_cannot_be_read),
		cmocka_unit_test(tables_at_a_frame_have_no_entries),
		cmocka_unit_test(configuration_at_a_frame_enables_nothing),
		cmocka_unit_test(pending_table_at_a_frame_is_neither_read_nor_written),
	};

	return cmocka_run_group_tests_name("gic-frames", tests, NULL, NULL);
}
