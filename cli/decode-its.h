/* SPDX-License-Identifier: BSD-2-Clause */
/* `peal decode its`: a command queue of an ITS. */
#ifndef PEAL_CLI_DECODE_ITS_H
#define PEAL_CLI_DECODE_ITS_H

#include <stdbool.h>

/* WORDS, ended by NULL: one name of a file, "-", or hexadecimal. The exit code. */
int decode_its(const char *const *words, bool json);

#endif
