/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Snapshots of a GIC and of an ITS: round trips, every corruption, every allocation; and registers
 * as the host sets them.
 */
#include "tables-guest.h"

static const uint16_t processors[] = { 4, 9, 300 };
static const struct guest_config three = { .nredists = 3, .processors = processors };
/* Small pending tables. */
static const struct guest_config small = { .id_bits = 14 };

static void build(struct guest *g, const struct guest_config *config)
{
	struct guest_its *gi = &g->its[0];

	guest_init(g, config);
	guest_start(g);
	its_map_collections(gi);
	its_map_lpis(gi, 3, LPI, 5, 0, 0x20);
	its_map_lpis(gi, 70, LPI + 5, 5, 1, 0x40);
	assert_int_equal(its_mapd(gi, 8000, 15, gi->itts + 0x40000), 0);
	assert_int_equal(its_mapti(gi, 8000, 65535, LPI + 100, 1), 0);
	assert_int_equal(its_mapti(gi, 8000, 4711, LPI + 101, 400), 0);
}

static struct image gic_image(const struct guest *g)
{
	struct image image = { .size = peal_gic_state_size(g->gic) };

	image.bytes = malloc(image.size);
	assert_non_null(image.bytes);
	assert_int_equal(peal_gic_save(g->gic, image.bytes, image.size), 0);
	return image;
}

static bool gic_is_image(const struct guest *g, const struct image *image)
{
	struct image now = gic_image(g);
	bool same = now.size == image->size && memcmp(now.bytes, image->bytes, now.size) == 0;

	image_done(&now);
	return same;
}

/* TO becomes what FROM is, by snapshots. */
static void move(struct guest *to, struct guest *from, const struct guest_config *config)
{
	struct image gic = gic_image(from), its = its_image(&from->its[0]);

	guest_successor(to, from, config);
	assert_int_equal(peal_gic_load(to->gic, gic.bytes, gic.size), 0);
	assert_int_equal(peal_its_load(to->its[0].its, its.bytes, its.size), 0);
	assert_true(gic_is_image(to, &gic));
	assert_true(its_is_image(&to->its[0], &its));
	to->its[0].writer = from->its[0].writer;
	image_done(&gic);
	image_done(&its);
}

/* ---- an ITS ---- */

static void a_snapshot_has_its_documented_bytes(void **state)
{
	static const uint64_t words[] = {
		0x53544950, 1,          132,        0,          16, 16, 16, 1, /* magic .. CTLR */
		0x4003000f, 0x80000000, 96,         0,          96, 0, /* CBASER, CWRITER, CREADR */
		0x40040200, 0x81070000, 0x40050000, 0x84070000,        /* BASER0, BASER1 */
		1,          7,          9,                             /* a collection */
		1,          5,          3,          0x40070000, 0,     /* a device: ITT */
		1,          6,          7,          8195,              /* an event */
	};
	struct guest_config config = three;
	struct guest g;
	struct guest_its *gi = &g.its[0];
	struct image image;

	(void)state;
	config.nredists = 2;
	guest_init(&g, &config);
	guest_start(&g);
	assert_int_equal(its_mapc(gi, 7, 9), 0);
	assert_int_equal(its_mapd(gi, 5, 2, gi->itts), 0);
	assert_int_equal(its_mapti(gi, 5, 6, 8195, 7), 0);
	image = its_image(gi);
	assert_int_equal(image.size, 4 * PEAL_COUNT_OF(words));
	for (unsigned i = 0; i < PEAL_COUNT_OF(words); i++)
		assert_int_equal(peal_load_le(image.bytes + 4 * i, 4),
				 i == 2 ? image.size : words[i]);
	image_done(&image);
	guest_done(&g);
}

static void a_snapshot_carries_everything_over(void **state)
{
	struct guest g, to;
	struct guest_its *gi = &to.its[0];

	(void)state;
	build(&g, &three);
	assert_int_equal(peal_its_send(g.its[0].its, 70, 4), 1);
	move(&to, &g, &three);
	assert_int_equal(guest_acknowledge(&to, 1), LPI + 9);
	assert_int_equal(peal_its_send(gi->its, 3, 4), 1);
	assert_int_equal(guest_acknowledge(&to, 0), LPI + 4);
	assert_int_equal(peal_its_send(gi->its, 8000, 4711), 0);
	assert_int_equal(its_mapc(gi, 400, 300), 0);
	guest_configure(&to, LPI + 101, LPI_ON);
	assert_int_equal(its_event(gi, INV, 8000, 4711), 0);
	assert_int_equal(peal_its_send(gi->its, 8000, 4711), 1);
	assert_int_equal(guest_acknowledge(&to, 2), LPI + 101);
	assert_int_equal(its_unmapd(gi, 8000), 0);
	guest_done(&to);
	guest_done(&g);
}

/* Pending states stay where they are, and commands find them there. */
static void a_snapshot_that_moves_a_collection_leaves_no_lpi_behind(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];
	struct image image;

	(void)state;
	build(&g, NULL);
	image = its_image(gi);
	assert_int_equal(its_mapc(gi, 0, 1), 0);
	assert_int_equal(its_mapc(gi, 1, 0), 0);
	peal_gic_reset(g.gic); /* what MAPC did to the GIC is forgotten */
	for (unsigned i = 0; i < g.nredists; i++)
		guest_start_redist(&g, i);
	assert_int_equal(peal_its_send(gi->its, 3, 0), 1);
	assert_int_equal(peal_its_send(gi->its, 3, 1), 1);
	assert_true(guest_is_pending(&g, 1, LPI));
	assert_int_equal(peal_its_load(gi->its, image.bytes, image.size), 0);
	gi->writer = (uint32_t)its_read(gi, GITS_CWRITER);
	assert_true(guest_is_pending(&g, 1, LPI));
	assert_int_equal(its_event(gi, CLEAR, 3, 0), 0);
	assert_false(guest_is_pending(&g, 1, LPI));
	assert_int_equal(its_movi(gi, 3, 1, 400), 0x010109);
	assert_int_equal(its_event(gi, DISCARD, 3, 1), 0);
	assert_false(guest_is_pending(&g, 1, LPI + 1));
	image_done(&image);
	guest_done(&g);
}

static void a_snapshot_replaces_what_was_there(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];
	struct image image;

	(void)state;
	build(&g, NULL);
	image = its_image(gi);
	for (unsigned i = 0; i < 100; i++)
		its_map_lpis(gi, 100 + i, LPI + 200 + i, 1, 1, 0);
	its_write32(gi, GITS_CTLR, 0);
	its_write(gi, GITS_CBASER, 0);
	assert_int_equal(peal_its_load(gi->its, image.bytes, image.size), 0);
	assert_true(its_is_image(gi, &image));
	assert_int_equal(its_read32(gi, GITS_CTLR), 1 | QUIESCENT);
	assert_int_equal(peal_its_send(gi->its, 3, 0), 1);
	assert_int_equal(peal_its_send(gi->its, 100, 0), 0);
	/* Of an ITS that no guest has touched. */
	image_done(&image);
	peal_its_reset(gi->its);
	image = its_image(gi);
	guest_program_its(gi);
	its_write32(gi, GITS_CTLR, 1);
	its_map_collections(gi);
	its_map_lpis(gi, 3, LPI, 5, 0, 0x20);
	assert_int_equal(peal_its_load(gi->its, image.bytes, image.size), 0);
	assert_int_equal(its_counters(gi).memory, 0);
	assert_int_equal(peal_its_send(gi->its, 3, 0), -EBUSY);
	image_done(&image);
	guest_done(&g);
}

static void the_size_counts(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];
	struct image image;
	uint8_t more[4096];

	(void)state;
	build(&g, NULL);
	image = its_image(gi);
	assert_int_equal(peal_its_save(gi->its, more, image.size - 1), -ENOSPC);
	assert_int_equal(peal_its_save(gi->its, more, sizeof(more)), 0);
	assert_int_equal(peal_its_load(gi->its, more, sizeof(more)), 0);
	for (size_t size = 0; size < image.size; size++)
		assert_int_equal(peal_its_load(gi->its, image.bytes, size), -EINVAL);
	assert_true(its_is_image(gi, &image));
	image_done(&image);
	image = gic_image(&g);
	assert_int_equal(peal_gic_save(g.gic, image.bytes, image.size - 1), -ENOSPC);
	assert_int_equal(peal_gic_load(g.gic, image.bytes, image.size - 1), -EINVAL);
	assert_int_equal(peal_gic_load(g.gic, image.bytes, 15), -EINVAL);
	image_done(&image);
	guest_done(&g);
}

/* Whatever a byte becomes: the load refuses and changes nothing, or takes exactly these bytes. */
static void every_corrupt_byte_is_refused_or_taken(void **state)
{
	static const uint8_t flips[] = { 0x01, 0x10, 0x80, 0xff };
	struct image image, before;
	struct guest g;
	struct guest_its *gi = &g.its[0];
	unsigned taken = 0, refused = 0;

	(void)state;
	build(&g, NULL);
	image = its_image(gi);
	its_map_lpis(gi, 500, LPI + 500, 3, 1, 0);
	before = its_image(gi);
	for (size_t i = 0; i < image.size * sizeof(flips); i++) {
		uint8_t *byte = &image.bytes[i / sizeof(flips)];
		int r;

		*byte ^= flips[i % sizeof(flips)];
		r = peal_its_load(gi->its, image.bytes, image.size);
		assert_true(r == 0 || r == -EINVAL);
		if (r == 0) {
			assert_true(its_is_image(gi, &image));
			assert_int_equal(peal_its_load(gi->its, before.bytes, before.size), 0);
			taken++;
		} else {
			refused++;
		}
		assert_true(its_is_image(gi, &before));
		*byte ^= flips[i % sizeof(flips)];
	}
	assert_true(taken > 0 && refused > 2 * taken);
	image_done(&before);
	image_done(&image);
	guest_done(&g);
}

static void a_load_without_memory_changes_nothing(void **state)
{
	struct image image, before;
	struct guest g;
	struct guest_its *gi = &g.its[0];
	int64_t n;
	int r;

	(void)state;
	build(&g, NULL);
	image = its_image(gi);
	its_map_lpis(gi, 500, LPI + 500, 3, 1, 0);
	before = its_image(gi);
	for (n = 0, r = -ENOMEM; r != 0; n++) {
		int64_t live = g.th.live;

		test_host_fail_in(&g.th, n);
		r = peal_its_load(gi->its, image.bytes, image.size);
		test_host_fail_never(&g.th);
		if (r == 0)
			break;
		assert_int_equal(r, -ENOMEM);
		assert_int_equal(g.th.live, live);
		assert_true(its_is_image(gi, &before));
		assert_int_equal(peal_its_send(gi->its, 500, 2), 1);
	}
	assert_true(n >= 10);
	assert_true(its_is_image(gi, &image));
	image_done(&before);
	image_done(&image);
	guest_done(&g);
}

/* Places in a snapshot: see the list of documented bytes. */
#define AT_CTLR   28u
#define AT_CBASER 32u
#define AT_CREADR 48u
#define AT_BASER0 56u
#define AT_BASER1 64u

/* Loads IMAGE with VALUE at AT. */
static int load_with(struct guest_its *gi, const struct image *image, unsigned at, uint64_t value)
{
	uint64_t old = peal_load_le(image->bytes + at, 8);
	int r;

	peal_store_le(image->bytes + at, 8, value);
	r = peal_its_load(gi->its, image->bytes, image->size);
	peal_store_le(image->bytes + at, 8, old);
	return r;
}

static void an_its_that_could_not_be_on_is_refused(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];
	struct image image;

	(void)state;
	build(&g, NULL);
	for (unsigned on = 2; on-- > 0;) {
		int bad = on ? -EINVAL : 0;

		its_write32(gi, GITS_CTLR, on);
		image = its_image(gi);
		assert_int_equal(peal_load_le(image.bytes + AT_CTLR, 4), on);
		assert_int_equal(load_with(gi, &image, AT_BASER0, UINT64_C(0x0107) << 48), bad);
		assert_int_equal(load_with(gi, &image, AT_BASER1, UINT64_C(0x0407) << 48), bad);
		assert_int_equal(load_with(gi, &image, AT_CREADR, 0), 0); /* commands are left */
		assert_int_equal(load_with(gi, &image, AT_CREADR, 1), 0); /* stalled */
		assert_int_equal(load_with(gi, &image, AT_CREADR, 0x10000), -EINVAL);
		assert_int_equal(load_with(gi, &image, AT_CBASER, 0xf), bad);
		assert_int_equal(peal_its_load(gi->its, image.bytes, image.size), 0);
		image_done(&image);
	}
	guest_done(&g);
}

static void other_widths_are_refused(void **state)
{
	static const struct guest_config others[] = { { .device_bits = 17 },
						      { .event_bits = 17 },
						      { .icid_bits = 15 } };
	struct image image;
	struct guest g, to;

	(void)state;
	build(&g, NULL);
	image = its_image(&g.its[0]);
	for (unsigned i = 0; i < PEAL_COUNT_OF(others); i++) {
		guest_init(&to, &others[i]);
		assert_int_equal(peal_its_load(to.its[0].its, image.bytes, image.size), -EINVAL);
		guest_done(&to);
	}
	image_done(&image);
	guest_done(&g);
}

static void a_stalled_queue_stays_stalled(void **state)
{
	static const struct guest_config config = { .stall_on_fault = true };
	struct guest g, to;
	struct guest_its *gi = &g.its[0];

	(void)state;
	build(&g, &config);
	its_write32(gi, GITS_CTLR, 0);
	its_write(gi, GITS_CBASER, VALID | 0x1000);
	its_write32(gi, GITS_CTLR, 1);
	its_write(gi, GITS_CWRITER, 32);
	assert_int_equal(its_read(gi, GITS_CREADR), 1);
	move(&to, &g, &config);
	assert_int_equal(its_read(&to.its[0], GITS_CREADR), 1);
	assert_int_equal(its_read32(&to.its[0], GITS_CTLR), 1);
	guest_done(&to);
	guest_done(&g);
}

/* ---- the redistributors ---- */

static void redistributors_carry_over(void **state)
{
	struct guest g, to;

	(void)state;
	build(&g, &three);
	assert_int_equal(peal_its_send(g.its[0].its, 3, 0), 1);
	assert_int_equal(peal_its_send(g.its[0].its, 3, 1), 1);
	assert_int_equal(peal_its_send(g.its[0].its, 8000, 65535), 1); /* disabled */
	disable_lpis(&g, 2);
	redist_write(&g, 2, GICR_PENDBASER, 8, g.pending[2] | PTZ);
	*guest_pending_byte(&g, 2, LPI) = 0xff; /* not so: PTZ says it is zero */
	move(&to, &g, &three);
	assert_int_equal(redist_read(&to, 0, GICR_PROPBASER, 8), guest_propbaser(&g));
	assert_int_equal(redist_read(&to, 1, GICR_PENDBASER, 8), g.pending[1]);
	assert_int_equal(redist_read(&to, 1, GICR_CTLR, 4) & 1, 1);
	assert_int_equal(redist_read(&to, 2, GICR_CTLR, 4) & 1, 0);
	assert_true(to.kicks[0] > 0);
	assert_int_equal(to.kicks[1], 0);
	assert_int_equal(guest_acknowledge(&to, 0), LPI);
	assert_int_equal(guest_acknowledge(&to, 0), LPI + 1);
	assert_int_equal(guest_acknowledge(&to, 0), SPURIOUS);
	assert_true(guest_is_pending(&to, 1, LPI + 100));
	enable_lpis(&to, 2);
	assert_false(guest_is_pending(&to, 2, LPI));
	/* What the table had before is not there any more once LPIs are off. */
	*guest_pending_byte(&to, 0, LPI) = 0xff;
	disable_lpis(&to, 0);
	assert_int_equal(*guest_pending_byte(&to, 0, LPI), 0);
	guest_done(&to);
	guest_done(&g);
}

static void a_gic_takes_its_own_snapshot_back(void **state)
{
	struct guest g;
	struct image image;

	(void)state;
	build(&g, NULL);
	assert_int_equal(peal_its_send(g.its[0].its, 3, 2), 1);
	image = gic_image(&g);
	assert_int_equal(peal_its_send(g.its[0].its, 3, 3), 1);
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 2);
	disable_lpis(&g, 1);
	*guest_pending_byte(&g, 0, LPI) = 0xff; /* the guest's table is not read */
	assert_int_equal(peal_gic_load(g.gic, image.bytes, image.size), 0);
	assert_true(gic_is_image(&g, &image));
	assert_int_equal(guest_acknowledge(&g, 0), LPI + 2);
	assert_int_equal(guest_acknowledge(&g, 0), SPURIOUS);
	assert_int_equal(peal_its_send(g.its[0].its, 70, 0), 1);
	image_done(&image);
	/* One that no guest has touched. */
	peal_gic_reset(g.gic);
	image = gic_image(&g);
	guest_start(&g);
	assert_int_equal(peal_gic_load(g.gic, image.bytes, image.size), 0);
	assert_int_equal(redist_read(&g, 0, GICR_CTLR, 4) & 1, 0);
	assert_true(gic_is_image(&g, &image));
	image_done(&image);
	guest_done(&g);
}

static void every_corrupt_byte_of_a_gic_is_refused_or_taken(void **state)
{
	struct image image, before;
	struct guest g;
	unsigned taken = 0, refused = 0;

	(void)state;
	build(&g, &small);
	assert_int_equal(peal_its_send(g.its[0].its, 3, 2), 1);
	image = gic_image(&g);
	assert_int_equal(peal_its_send(g.its[0].its, 70, 2), 1);
	before = gic_image(&g);
	for (size_t i = 0; i < image.size * 8; i++) {
		uint8_t *byte = &image.bytes[i / 8];
		int r;

		/* All of the head, a part of the pending bits. */
		if (i / 8 > 60 && i / 8 % 64 != 0)
			continue;
		*byte ^= (uint8_t)(1u << i % 8);
		r = peal_gic_load(g.gic, image.bytes, image.size);
		assert_true(r == 0 || r == -EINVAL);
		if (r == 0) {
			assert_true(gic_is_image(&g, &image));
			assert_int_equal(peal_gic_load(g.gic, before.bytes, before.size), 0);
			taken++;
		} else {
			refused++;
		}
		assert_true(gic_is_image(&g, &before));
		*byte ^= (uint8_t)(1u << i % 8);
	}
	assert_true(taken > 0 && refused > 100);
	image_done(&before);
	image_done(&image);
	guest_done(&g);
}

/* ---- registers ---- */

static int set(struct guest_its *gi, uint64_t offset, uint64_t value)
{
	return peal_its_set_register(gi->its, offset, value);
}

static void the_host_sets_what_the_guest_cannot(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	guest_program_its(gi);
	assert_int_equal(set(gi, GITS_CREADR, 0xffe0), 0);
	assert_int_equal(its_read(gi, GITS_CREADR), 0xffe0);
	assert_int_equal(set(gi, GITS_CREADR, 0x10000), -EINVAL);
	assert_int_equal(set(gi, GITS_CWRITER, 0x10000), -EINVAL);
	assert_int_equal(its_read(gi, GITS_CREADR), 0xffe0);
	assert_int_equal(set(gi, GITS_IIDR, its_read32(gi, GITS_IIDR)), 0);
	assert_int_equal(set(gi, GITS_IIDR, 0x4b00043b), 0); /* another implementation's */
	assert_int_equal(set(gi, GITS_IIDR, 0x4b00143b), -EINVAL);
	assert_int_equal(set(gi, GITS_TYPER, its_read(gi, GITS_TYPER)), 0);
	assert_int_equal(set(gi, GITS_TYPER, its_read(gi, GITS_TYPER) ^ 0x100), -EINVAL);
	assert_int_equal(set(gi, GITS_BASER(0), its_read(gi, GITS_BASER(0)) ^ PEAL_BIT(48)),
			 -EINVAL);
	assert_int_equal(set(gi, GITS_BASER(1), its_read(gi, GITS_BASER(0))), -EINVAL);
	assert_int_equal(set(gi, GITS_BASER(2), VALID), 0); /* not there: ignored, as of a guest */
	assert_int_equal(its_read(gi, GITS_BASER(2)), 0);
	assert_int_equal(set(gi, GITS_BASER(7), 0), 0);
	assert_int_equal(set(gi, GITS_BASER(8), 0), -ENXIO);
	assert_int_equal(set(gi, 0x104, 0), -ENXIO);
	assert_int_equal(set(gi, 0x10040, 0), -ENXIO);
	assert_int_equal(set(gi, 0xffe8, 0x3b), -ENXIO);
	guest_done(&g);
}

static void an_enabled_its_keeps_its_registers(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];
	struct saved_registers s;

	(void)state;
	guest_init(&g, NULL);
	assert_int_equal(set(gi, GITS_CTLR, 1), -EINVAL); /* nothing is valid */
	assert_int_equal(its_read32(gi, GITS_CTLR), QUIESCENT);
	guest_start(&g);
	s = save_registers(gi);
	assert_int_equal(set(gi, GITS_CREADR, 32), -EBUSY);
	assert_int_equal(set(gi, GITS_CBASER, s.cbaser), -EBUSY);
	assert_int_equal(set(gi, GITS_BASER(0), s.basers[0]), -EBUSY);
	assert_int_equal(set(gi, GITS_BASER(1), s.basers[1]), -EBUSY);
	assert_int_equal(set(gi, GITS_CTLR, 0), 0);
	assert_int_equal(set(gi, GITS_CREADR, 32), 0);
	guest_done(&g);
}

/* CREADR was behind CWRITER's: the commands between are run when the ITS is turned on. */
static void enabling_runs_what_was_left(void **state)
{
	struct guest g;
	struct guest_its *gi = &g.its[0];

	(void)state;
	guest_init(&g, NULL);
	guest_start_redist(&g, 0);
	guest_program_its(gi);
	its_queue(gi, MAPC, 0, VALID | 5, 0); /* was run */
	its_queue(gi, MAPC, 0, VALID | 6, 0);
	assert_int_equal(set(gi, GITS_CREADR, 32), 0);
	assert_int_equal(set(gi, GITS_CWRITER, 64), 0);
	assert_int_equal(its_counters(gi).commands, 0);
	assert_int_equal(set(gi, GITS_CTLR, 1 | QUIESCENT), 0);
	assert_int_equal(its_counters(gi).commands, 1);
	assert_int_equal(its_counters(gi).errors, 0);
	assert_int_equal(its_invall(gi, 6), 0);
	assert_int_not_equal(its_invall(gi, 5), 0);
	guest_done(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_snapshot_has_its_documented_bytes),
		cmocka_unit_test(a_snapshot_carries_everything_over),
		cmocka_unit_test(a_snapshot_replaces_what_was_there),
		cmocka_unit_test(a_snapshot_that_moves_a_collection_leaves_no_lpi_behind),
		cmocka_unit_test(the_size_counts),
		cmocka_unit_test(every_corrupt_byte_is_refused_or_taken),
		cmocka_unit_test(a_load_without_memory_changes_nothing),
		cmocka_unit_test(an_its_that_could_not_be_on_is_refused),
		cmocka_unit_test(other_widths_are_refused),
		cmocka_unit_test(a_stalled_queue_stays_stalled),
		cmocka_unit_test(redistributors_carry_over),
		cmocka_unit_test(a_gic_takes_its_own_snapshot_back),
		cmocka_unit_test(every_corrupt_byte_of_a_gic_is_refused_or_taken),
		cmocka_unit_test(the_host_sets_what_the_guest_cannot),
		cmocka_unit_test(an_enabled_its_keeps_its_registers),
		cmocka_unit_test(enabling_runs_what_was_left),
	};

	return cmocka_run_group_tests_name("gic-snapshot", tests, NULL, NULL);
}
