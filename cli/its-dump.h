/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads the bytes of a command queue: raw as they are in memory, or as text of bytes in hexadecimal
 * (plain, hexdump -C, xxd, od -A x -t x1), or doublewords that begin with 0x.
 */
#ifndef PEAL_CLI_ITS_DUMP_H
#define PEAL_CLI_ITS_DUMP_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define ITS_DUMP_MAX (UINT64_C(1) << 24) /* a queue has at most 1 MiB */

struct its_dump {
	uint8_t *bytes;
	size_t size;
};

/*
 * 0, or -EPROTO with one line in ERROR that says what is wrong where; other -errno: FILE could not
 * be read, -ENOMEM. Free RET's bytes when this returns 0.
 */
int its_dump_read(struct its_dump *ret, FILE *file, char *error, size_t size);

/* The same of TEXT, which is changed. */
int its_dump_parse(struct its_dump *ret, char *text, char *error, size_t size);

#endif
