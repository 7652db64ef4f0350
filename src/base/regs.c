/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Register banks: the engine that carries out accesses on rows, and the walk that checks a table.
 *
 * An access is taken apart in ascending order: the register that covers the next byte is found,
 * read or written once and whole, and the walk goes on behind it. The rest of the access never
 * sees a half of a register.
 *
 * Invariants: groups of a bank are sorted by base and do not overlap; every register lies in its
 * group, so an access can reach nothing outside the image. Both are made sure by
 * peal_reg_bank_add().
 */
#include <peal/bits.h>
#include <peal/regs.h>

#define ALL_WIDTHS (PEAL_REG_W8 | PEAL_REG_W16 | PEAL_REG_W32 | PEAL_REG_W64)

/* ---- the image ---- */

uint64_t peal_reg_get(const void *state, uint32_t offset, unsigned width)
{
	const uint8_t *at = (const uint8_t *)state + offset;

	switch (width) {
	case 1:
		return __atomic_load_n(at, __ATOMIC_RELAXED);
	case 2:
		return peal_atomic_load_le16(at, __ATOMIC_RELAXED);
	case 4:
		return peal_atomic_load_le32(at, __ATOMIC_RELAXED);
	default:
		PEAL_ASSERT(width == 8);
		return peal_atomic_load_le64(at, __ATOMIC_RELAXED);
	}
}

void peal_reg_set(void *state, uint32_t offset, unsigned width, uint64_t value)
{
	uint8_t *at = (uint8_t *)state + offset;

	switch (width) {
	case 1:
		__atomic_store_n(at, (uint8_t)value, __ATOMIC_RELAXED);
		return;
	case 2:
		peal_atomic_store_le16(at, (uint16_t)value, __ATOMIC_RELAXED);
		return;
	case 4:
		peal_atomic_store_le32(at, (uint32_t)value, __ATOMIC_RELAXED);
		return;
	default:
		PEAL_ASSERT(width == 8);
		peal_atomic_store_le64(at, value, __ATOMIC_RELAXED);
	}
}

/* ---- finding a register ---- */

/* One register of a row: its place in the group's image, and what it is the part of. */
struct found {
	const struct peal_reg_group *group;
	const struct peal_reg *reg;
	unsigned index;
	uint32_t offset;
};

static bool has_state(const struct peal_reg *reg)
{
	return !(reg->flags & (PEAL_REG_CONST | PEAL_REG_HOOKED));
}

static uint32_t row_count(const struct peal_reg_group *group, const struct peal_reg *reg)
{
	if (reg->count == 0)
		return 1;
	return group->count ? group->count : reg->count;
}

/* The group that covers POS, or NULL: the last one that does not begin behind it. */
static const struct peal_reg_group *find_group(const struct peal_reg_bank *bank, uint64_t pos)
{
	unsigned low = 0, high = bank->ngroups;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (bank->groups[middle].base <= pos)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || pos - bank->groups[low - 1].base >= bank->groups[low - 1].size)
		return NULL;
	return &bank->groups[low - 1];
}

/* Does a register of the row cover the byte at POS of the group? */
static bool row_covers(const struct peal_reg_group *group, const struct peal_reg *reg, uint32_t pos,
		       struct found *found)
{
	uint32_t away = pos - reg->offset;
	uint32_t index = 0;

	if (reg->stride && away >= reg->width) {
		index = away / reg->stride;
		if (index >= row_count(group, reg))
			return false;
		away -= index * reg->stride;
	}
	if (away >= reg->width)
		return false;
	*found = (struct found){ group, reg, index, pos - away };
	return true;
}

/*
 * Rows are sorted by offset, but repeated ones may interleave, so the one that covers a byte is
 * among those that do not begin behind it, most likely the last.
 */
static bool find_register(const struct peal_reg_bank *bank, uint64_t pos, struct found *found)
{
	const struct peal_reg_group *group = find_group(bank, pos);
	unsigned low = 0, high;
	uint32_t in_group;

	if (!group)
		return false;
	in_group = (uint32_t)(pos - group->base);
	high = group->nrows;
	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (group->rows[middle].offset <= in_group)
			low = middle + 1;
		else
			high = middle;
	}
	while (low-- > 0) {
		if (row_covers(group, &group->rows[low], in_group, found))
			return true;
	}
	return false;
}

/* ---- groups ---- */

void peal_reg_group_reset(const struct peal_reg_group *group)
{
	for (unsigned i = 0; i < group->nrows; i++) {
		const struct peal_reg *reg = &group->rows[i];

		if (!has_state(reg))
			continue;
		for (uint32_t n = 0; n < row_count(group, reg); n++)
			peal_reg_set(group->state, reg->offset + n * reg->stride, reg->width,
				     reg->reset);
	}
}

/* What the engine relies on to stay inside the image. */
static void assert_rows_fit(const struct peal_reg_group *group)
{
	for (unsigned i = 0; i < group->nrows; i++) {
		const struct peal_reg *reg = &group->rows[i];
		uint32_t count = row_count(group, reg);
		uint64_t last = reg->offset + (uint64_t)(count - 1) * reg->stride;

		PEAL_ASSERT(i == 0 || reg->offset > group->rows[i - 1].offset);
		PEAL_ASSERT(count == 1 || reg->stride >= reg->width);
		PEAL_ASSERT(peal_in_range(last, reg->width, group->size));
		if (has_state(reg)) {
			PEAL_ASSERT(group->state);
			PEAL_ASSERT(((uintptr_t)group->state + reg->offset) % reg->width == 0);
		}
	}
}

int peal_reg_bank_add(struct peal_reg_bank *bank, const struct peal_reg_group *group)
{
	unsigned at = bank->ngroups;

	PEAL_ASSERT(group->size > 0 && group->size - 1 <= UINT32_MAX - group->base);
	assert_rows_fit(group);
	for (unsigned i = 0; i < bank->ngroups; i++) {
		const struct peal_reg_group *other = &bank->groups[i];
		bool below = group->base < other->base;

		if (below ? other->base - group->base < group->size
			  : group->base - other->base < other->size)
			return -EINVAL;
	}
	if (bank->ngroups == PEAL_REG_GROUPS)
		return -ENOSPC;
	for (; at > 0 && bank->groups[at - 1].base > group->base; at--)
		bank->groups[at] = bank->groups[at - 1];
	bank->groups[at] = *group;
	bank->ngroups++;
	peal_reg_group_reset(group);
	return 0;
}

/* ---- accesses ---- */

/* Do the row's widths take an access of SIZE bytes that begins at POS of the group? */
static bool accepts(const struct found *found, uint64_t pos, size_t size)
{
	const struct peal_reg *reg = found->reg;
	/* Of an access that begins before the register: past every width. */
	uint64_t away = pos - found->offset;

	if (reg->widths == 0)
		return true;
	/* PEAL_REG_W8 … W64 are the widths themselves; an access of 3 or 5 bytes matches none. */
	return peal_is_power_of_two(size) && (reg->widths & size) && away % size == 0 &&
	       peal_in_range(away, size, reg->width);
}

static uint64_t register_read(const struct found *found)
{
	const struct peal_reg *reg = found->reg;
	uint64_t value = 0;

	if (reg->flags & PEAL_REG_CONST)
		value = reg->reset;
	else if (reg->read)
		value = reg->read(found->group->owner, reg, found->index);
	else if (!(reg->flags & PEAL_REG_HOOKED))
		value = peal_reg_get(found->group->state, found->offset, reg->width);
	return value & ~reg->rsvdz & peal_ones(reg->width);
}

/* RAW has no bits outside WRITTEN. */
static void register_write(const struct found *found, uint64_t raw, uint64_t written)
{
	const struct peal_reg *reg = found->reg;
	void *owner = found->group->owner;
	uint64_t old = 0, value;

	if (reg->flags & PEAL_REG_CONST)
		return;
	if (!(reg->flags & PEAL_REG_HOOKED)) {
		old = peal_reg_get(found->group->state, found->offset, reg->width);
	} else {
		/* Without a write hook nothing comes of it; reading may have an effect: leave it. */
		if (!reg->write)
			return;
		if (reg->read)
			old = reg->read(owner, reg, found->index) & peal_ones(reg->width);
	}
	value = (old & ~(reg->rw & written)) | (raw & reg->rw);
	value &= ~(raw & reg->w1c);
	if (!(reg->flags & PEAL_REG_HOOKED))
		peal_reg_set(found->group->state, found->offset, reg->width, value);
	if (reg->write) {
		const struct peal_reg_write write = {
			.reg = reg,
			.index = found->index,
			.old = old,
			.value = value,
			.raw = raw,
			.written = written,
		};

		reg->write(owner, &write);
	}
}

/* The part of an access that falls on one register. */
struct part {
	struct found found;
	size_t first;  /* byte of the access */
	size_t length; /* bytes */
	size_t skip;   /* bytes of the register before the first */
};

/*
 * The next register at or behind byte *AT of the access, and *AT moves behind it. False: no more.
 * An access to a register that refuses it is left out here.
 */
static bool next_part(struct peal_reg_bank *bank, uint64_t offset, size_t size, size_t *at,
		      struct part *part, unsigned *met, bool *refused)
{
	while (*at < size) {
		uint64_t pos = offset + *at;
		struct found *found = &part->found;
		uint64_t base;

		if (!find_register(bank, pos, found)) {
			(*at)++;
			continue;
		}
		base = found->group->base;
		part->first = *at;
		part->skip = (size_t)(pos - base - found->offset);
		part->length = found->reg->width - part->skip;
		if (part->length > size - *at)
			part->length = size - *at;
		*at += part->length;
		(*met)++;
		if (accepts(found, offset - base, size))
			return true;
		*refused = true;
	}
	return false;
}

static void count_access(struct peal_reg_bank *bank, unsigned met, bool refused)
{
	if (peal_unlikely(!met))
		peal_count(&bank->reserved, 1);
	else if (peal_unlikely(refused))
		peal_count(&bank->refused, 1);
}

uint64_t peal_reg_bank_read(struct peal_reg_bank *bank, uint64_t offset, size_t size)
{
	uint64_t result = 0;
	struct part part;
	unsigned met = 0;
	bool refused = false;

	PEAL_ASSERT(size >= 1 && size <= 8);
	/* Bases have 32 bits: past them there is nothing, and below them no sum wraps. */
	for (size_t at = offset > UINT32_MAX ? size : 0;
	     next_part(bank, offset, size, &at, &part, &met, &refused);) {
		uint64_t value = register_read(&part.found) >> (8 * part.skip);

		result |= (value & peal_ones(part.length)) << (8 * part.first);
	}
	count_access(bank, met, refused);
	return result;
}

void peal_reg_bank_write(struct peal_reg_bank *bank, uint64_t offset, size_t size, uint64_t value)
{
	struct part part;
	unsigned met = 0;
	bool refused = false;

	PEAL_ASSERT(size >= 1 && size <= 8);
	for (size_t at = offset > UINT32_MAX ? size : 0;
	     next_part(bank, offset, size, &at, &part, &met, &refused);) {
		uint64_t written = peal_ones(part.length) << (8 * part.skip);
		uint64_t raw = value >> (8 * part.first) << (8 * part.skip);

		register_write(&part.found, raw & written, written);
	}
	count_access(bank, met, refused);
}

/* ---- the walk ---- */

static bool rows_share_a_byte(const struct peal_reg *a, const struct peal_reg *b)
{
	uint32_t count = a->count ? a->count : 1;
	const struct peal_reg_group all_of_b = { .rows = b };

	for (uint32_t n = 0; n < count; n++) {
		uint32_t start = a->offset + n * a->stride;
		struct found found;

		for (uint32_t i = 0; i < a->width; i++) {
			if (start + i >= b->offset && row_covers(&all_of_b, b, start + i, &found))
				return true;
		}
	}
	return false;
}

static const char *check_place(const struct peal_reg *reg)
{
	uint32_t count = reg->count ? reg->count : 1;

	if (reg->width > 8 || !peal_is_power_of_two(reg->width))
		return "the width is not 1, 2, 4 or 8";
	if (reg->offset % reg->width)
		return "the offset is not a multiple of the width";
	if (count > 1 && (reg->stride < reg->width || reg->stride % reg->width))
		return "the stride is not a multiple of the width";
	if (reg->offset + (uint64_t)(count - 1) * reg->stride > UINT32_MAX - (reg->width - 1u))
		return "it reaches past 32 bits";
	if ((reg->widths & ~ALL_WIDTHS) || reg->widths >= 2u * reg->width)
		return "widths that no access to it can have";
	return NULL;
}

static const char *check_masks(const struct peal_reg *reg)
{
	uint64_t all = reg->rw | reg->w1c | reg->rsvdz;

	if ((reg->rw & reg->w1c) || (reg->rw & reg->rsvdz) || (reg->w1c & reg->rsvdz))
		return "a bit is in two masks";
	if ((all | reg->reset) & ~peal_ones(reg->width))
		return "bits past the width";
	if (reg->reset & reg->rsvdz)
		return "a reserved bit is set after reset";
	return NULL;
}

static const char *check_hooks(const struct peal_reg *reg)
{
	bool is_const = reg->flags & PEAL_REG_CONST;
	bool is_hooked = reg->flags & PEAL_REG_HOOKED;

	if (reg->flags & ~(PEAL_REG_CONST | PEAL_REG_HOOKED))
		return "a flag that does not exist";
	if (is_const && is_hooked)
		return "constant and hooked at once";
	if (is_const && (reg->rw || reg->w1c || reg->read || reg->write))
		return "constant, but has something to write or a hook";
	if (is_hooked && !reg->read && !reg->write)
		return "hooked, but has no hook";
	if (is_hooked && (reg->rw || reg->w1c) && !reg->write)
		return "hooked, with bits to write and no hook to take them";
	if (!reg->name || !reg->name[0])
		return "no name";
	if (!reg->section || !reg->section[0])
		return "no section";
	return NULL;
}

const char *peal_reg_check(const struct peal_reg *rows, unsigned nrows, unsigned *row)
{
	for (unsigned i = 0; i < nrows; i++) {
		const char *wrong = check_place(&rows[i]);

		*row = i;
		if (!wrong)
			wrong = check_masks(&rows[i]);
		if (!wrong)
			wrong = check_hooks(&rows[i]);
		if (wrong)
			return wrong;
		if (i > 0 && rows[i].offset < rows[i - 1].offset)
			return "not sorted by offset";
		for (unsigned k = 0; k < i; k++) {
			if (rows_share_a_byte(&rows[k], &rows[i]))
				return "shares a byte with a row before it";
		}
	}
	return NULL;
}
