/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A place in bytes that are saved or loaded: numbers are put and taken one behind the other,
 * little-endian. Out of bounds is remembered, and then nothing moves: who puts or takes looks at
 * BAD once, at the end.
 *
 * Without bytes (NULL) it only counts how many would be put.
 */
#ifndef PEAL_SRC_BASE_CURSOR_H
#define PEAL_SRC_BASE_CURSOR_H

#include <peal/bits.h>

struct peal_cursor {
	uint8_t *bytes;
	size_t size;
	size_t at;
	bool bad;
};

/* To count: no bytes, and no bound. */
#define PEAL_CURSOR_COUNT ((struct peal_cursor){ .size = SIZE_MAX })

/* Nothing may be put through this one. */
static inline struct peal_cursor peal_cursor_reader(const void *bytes, size_t size)
{
	return (struct peal_cursor){ .bytes = (uint8_t *)(uintptr_t)bytes, .size = size };
}

/* The next SIZE bytes; NULL: there are not so many, or it only counts. */
static inline uint8_t *peal_cursor_advance(struct peal_cursor *c, size_t size)
{
	uint8_t *here = c->bytes ? c->bytes + c->at : NULL;

	if (c->bad || !peal_in_range(c->at, size, c->size)) {
		c->bad = true;
		return NULL;
	}
	c->at += size;
	return here;
}

static inline void peal_cursor_put(struct peal_cursor *c, size_t size, uint64_t value)
{
	uint8_t *to = peal_cursor_advance(c, size);

	if (to)
		peal_store_le(to, size, value);
}

/* 0 when there are no more bytes. */
static inline uint64_t peal_cursor_take(struct peal_cursor *c, size_t size)
{
	const uint8_t *from = peal_cursor_advance(c, size);

	return from ? peal_load_le(from, size) : 0;
}

#endif
