/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Saving and restoring for tests: the entries of the guest's tables as numbers, a second VM with
 * the same memory that takes over, and comparing what two ITSes do.
 *
 * The entries are written as in the documented format, field by field, and not by the library.
 */
#ifndef PEAL_TESTS_GIC_TABLES_GUEST_H
#define PEAL_TESTS_GIC_TABLES_GUEST_H

#include "its-guest.h"

#define NOT_MAPPED UINT64_C(0xffffffff)

/* SIZE is the field: EventID bits less one. */
static inline uint64_t dte(uint64_t next, uint64_t itt, unsigned size)
{
	return UINT64_C(1) << 63 | next << 49 | itt / 256 * 32 | size;
}

static inline uint64_t cte(uint64_t processor, uint64_t icid)
{
	return UINT64_C(1) << 63 | processor << 16 | icid;
}

static inline uint64_t ite(uint64_t next, uint64_t intid, uint64_t icid)
{
	return next << 48 | intid << 16 | icid;
}

/* Entry N of a flat table at ADDRESS. */
static inline uint64_t entry_at(struct guest *g, uint64_t address, uint64_t n)
{
	return guest_load(g, address + 8 * n);
}

static inline void set_entry(struct guest *g, uint64_t address, uint64_t n, uint64_t value)
{
	guest_store(g, address + 8 * n, value);
}

/* What of an ITS's state is not in memory: as a VMM reads it before it stops. */
struct saved_registers {
	uint64_t cbaser, cwriter, creadr, basers[8];
	uint32_t iidr, ctlr;
};

static inline struct saved_registers save_registers(const struct guest_its *gi)
{
	struct saved_registers s = {
		.cbaser = its_read(gi, GITS_CBASER),
		.cwriter = its_read(gi, GITS_CWRITER),
		.iidr = its_read32(gi, GITS_IIDR),
		.ctlr = its_read32(gi, GITS_CTLR),
	};

	for (unsigned i = 0; i < 8; i++)
		s.basers[i] = its_read(gi, GITS_BASER(i));
	/* Last: a read may let commands run. */
	s.creadr = its_read(gi, GITS_CREADR);
	return s;
}

static inline void set_register(struct guest_its *gi, uint64_t offset, uint64_t value)
{
	assert_int_equal(peal_its_set_register(gi->its, offset, value), 0);
}

/* All but the tables and CTLR. */
static inline void restore_registers(struct guest_its *gi, const struct saved_registers *s)
{
	set_register(gi, GITS_CBASER, s->cbaser);
	set_register(gi, GITS_IIDR, s->iidr);
	set_register(gi, GITS_CREADR, s->creadr);
	set_register(gi, GITS_CWRITER, s->cwriter);
	for (unsigned i = 0; i < 8; i++)
		set_register(gi, GITS_BASER(i), s->basers[i]);
}

/* A new VM like FROM, with a copy of its memory. */
static inline void guest_successor(struct guest *to, const struct guest *from,
				   const struct guest_config *config)
{
	guest_init(to, config);
	assert_int_equal(to->ram.size, from->ram.size);
	memcpy(to->ram.memory, from->ram.memory, (size_t)from->ram.size);
}

/* What a VMM does over guest tables: FROM stops, TO takes over in the documented order. */
static inline void guest_migrate(struct guest *to, struct guest *from,
				 const struct guest_config *config)
{
	struct saved_registers saved[GUEST_ITSES];

	for (unsigned i = 0; i < from->nits; i++) {
		saved[i] = save_registers(&from->its[i]);
		assert_int_equal(peal_its_save_tables(from->its[i].its), 0);
	}
	assert_int_equal(peal_gic_save_pending(from->gic), 0);
	guest_successor(to, from, config);
	for (unsigned i = 0; i < from->nredists; i++) {
		redist_write(to, i, GICR_PROPBASER, 8, redist_read(from, i, GICR_PROPBASER, 8));
		redist_write(to, i, GICR_PENDBASER, 8, redist_read(from, i, GICR_PENDBASER, 8));
		redist_write(to, i, GICR_CTLR, 4, redist_read(from, i, GICR_CTLR, 4));
	}
	for (unsigned i = 0; i < from->nits; i++) {
		const struct saved_registers *s = &saved[i];

		restore_registers(&to->its[i], s);
		assert_int_equal(peal_its_restore_tables(to->its[i].its), 0);
		set_register(&to->its[i], GITS_CTLR, s->ctlr);
		assert_int_equal(its_read32(&to->its[i], GITS_CTLR) & 1, s->ctlr & 1);
		to->its[i].writer = from->its[i].writer;
	}
}

/* The state of an ITS as a snapshot, which the caller frees. */
struct image {
	uint8_t *bytes;
	size_t size;
};

static inline struct image its_image(const struct guest_its *gi)
{
	struct image image = { .size = peal_its_state_size(gi->its) };

	image.bytes = (uint8_t *)malloc(image.size);
	assert_non_null(image.bytes);
	assert_int_equal(peal_its_save(gi->its, image.bytes, image.size), 0);
	return image;
}

static inline void image_done(struct image *image)
{
	free(image->bytes);
	image->bytes = NULL;
}

/* Does the ITS have exactly the state of IMAGE? */
static inline bool its_is_image(const struct guest_its *gi, const struct image *image)
{
	struct image now = its_image(gi);
	bool same = now.size == image->size && memcmp(now.bytes, image->bytes, now.size) == 0;

	image_done(&now);
	return same;
}

static inline bool its_same_state(const struct guest_its *a, const struct guest_its *b)
{
	struct image image = its_image(a);
	bool same = its_is_image(b, &image);

	image_done(&image);
	return same;
}

#endif
