/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Register banks: registers as constant rows, and one engine that carries out any access on them.
 *
 * A bank is a list of groups; a group is a table of rows at a base offset, with the state that
 * belongs to it. Configuration space, MSI-X tables, ITS and redistributor frames and the virtio
 * common configuration are banks. No device switches on an offset.
 *
 *   bank ─┬─ group at 0x00: rows of the type 0 header, state = 64 bytes, owner = the function
 *         ├─ group at 0x40: rows of the MSI-X capability, owner = its struct
 *         └─ …
 *
 * The state of a group is the image of its registers: the value of a row lives at the row's own
 * offset, little-endian, in one indivisible store of the row's width. So a reader without the
 * owner's lock sees whole values, and saving a group is copying its image.
 *
 * Threads: the engine takes no lock. Writers of one group exclude each other (its owner's mutex);
 * readers need not, unless a hook says so.
 */
#ifndef PEAL_REGS_H
#define PEAL_REGS_H

#include <peal/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct peal_reg;

/* Value of the register, of its row's width. INDEX is 0 for a row without count. */
typedef uint64_t peal_reg_read_fn(void *owner, const struct peal_reg *reg, unsigned index);

/*
 * A write that reached a register. VALUE is its new value: the written bytes under the row's masks
 * (rw takes the bit, w1c clears it), all else as it was; it is in the state already. OLD is the
 * value before. RAW is what was written, and WRITTEN has ones in the bits of the bytes that the
 * access covered: write-only and write-1 bits are found there.
 */
struct peal_reg_write {
	const struct peal_reg *reg;
	unsigned index; /* 0 for a row without count */
	uint64_t old;
	uint64_t value;
	uint64_t raw;
	uint64_t written;
};

typedef void peal_reg_write_fn(void *owner, const struct peal_reg_write *write);

/* Row flags */
#define PEAL_REG_CONST  1u /* reads as RESET, has no state, writes change nothing */
#define PEAL_REG_HOOKED 2u /* has no state: read() gives the value, write() takes it */

/* Widths of access that a row accepts, or'ed; 0 accepts every width and alignment. */
#define PEAL_REG_W8  1u
#define PEAL_REG_W16 2u
#define PEAL_REG_W32 4u
#define PEAL_REG_W64 8u

/*
 * One register, or COUNT alike that stand STRIDE bytes apart. Bits that are in none of the masks
 * keep their value and cannot be changed by the guest (read-only). Rows with WIDTHS refuse
 * accesses of other widths, unaligned ones and those that reach past the register: the bytes of
 * such an access that fall on the register read zero and write nothing, and it is counted.
 */
struct peal_reg {
	uint32_t offset; /* from the group's base */
	uint8_t width;   /* 1, 2, 4, 8 bytes; offset is a multiple of it */
	uint8_t flags;
	uint8_t widths;
	uint16_t count; /* 0 is 1 */
	uint32_t stride;
	uint64_t reset;
	uint64_t rw;    /* a write replaces these bits */
	uint64_t w1c;   /* writing 1 clears them */
	uint64_t rsvdz; /* read zero always */
	peal_reg_read_fn *read;
	peal_reg_write_fn *write;
	const char *name;
	const char *section; /* of the specification that the file's top names */
};

struct peal_reg_group {
	uint32_t base;
	uint32_t size; /* bytes that the group covers from its base */
	const struct peal_reg *rows;
	unsigned nrows;
	/* Image of SIZE bytes, aligned to the widest row; NULL when every row is hooked or constant. */
	void *state;
	void *owner; /* given to the hooks */
	/* COUNT of the rows that have one, when it differs between owners (a table's size); 0: the
	 * row's own. */
	uint16_t count;
};

#define PEAL_REG_GROUPS 48u /* 256 bytes hold no more capabilities */

struct peal_reg_bank {
	struct peal_reg_group groups[PEAL_REG_GROUPS];
	unsigned ngroups;
	uint64_t refused;  /* accesses that a row's widths refuse */
	uint64_t reserved; /* accesses that meet no register at all */
};

/*
 * Adds a group and sets its state to the reset values.
 * -EINVAL: it overlaps another group. -ENOSPC: PEAL_REG_GROUPS are there already.
 */
PEAL_PUBLIC int peal_reg_bank_add(struct peal_reg_bank *bank, const struct peal_reg_group *group);

/* Sets the state of a group to the reset values of its rows; calls no hook. */
PEAL_PUBLIC void peal_reg_group_reset(const struct peal_reg_group *group);

/*
 * Reads SIZE bytes (1..8, any alignment) at OFFSET as a little-endian number. Bytes outside all
 * rows read zero. A register that the access touches is read once.
 */
PEAL_PUBLIC uint64_t peal_reg_bank_read(struct peal_reg_bank *bank, uint64_t offset, size_t size);

/* Writes SIZE bytes (1..8, any alignment). Registers are written in ascending order. */
PEAL_PUBLIC void peal_reg_bank_write(struct peal_reg_bank *bank, uint64_t offset, size_t size,
				     uint64_t value);

/*
 * Is a table of rows well made? Sorted by offset, naturally aligned, no two registers share a
 * byte, the masks are disjoint and within the width, a hooked row has its hooks, every row has a
 * name and a section. NULL, or what is wrong, with the row in *ROW. For tests: each table of the
 * library is walked by one.
 */
PEAL_PUBLIC const char *peal_reg_check(const struct peal_reg *rows, unsigned nrows, unsigned *row);

/* State accessors for owners: the value at OFFSET of the image, WIDTH bytes. */
PEAL_PUBLIC uint64_t peal_reg_get(const void *state, uint32_t offset, unsigned width);
PEAL_PUBLIC void peal_reg_set(void *state, uint32_t offset, unsigned width, uint64_t value);

#ifdef __cplusplus
}
#endif

#endif
