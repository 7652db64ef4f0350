/* SPDX-License-Identifier: BSD-2-Clause */
/* SHA-256, by libcrypto: it uses the CPU's own instructions. */
#ifndef PEAL_CLI_HASH_H
#define PEAL_CLI_HASH_H

#include <stdbool.h>
#include <stddef.h>

#define HASH_HEX 65u /* with the terminating zero */

struct hash;

/* NULL: out of memory, or libcrypto has no SHA-256. */
struct hash *hash_new(void);
void hash_add(struct hash *hash, const void *bytes, size_t size);
/* Ends it and frees it. */
void hash_end(struct hash *hash, char hex[HASH_HEX]);
void hash_free(struct hash *hash);

/*
 * Of a file from its begin to its end, however it is called by now. *STOP becoming non-zero ends it
 * with -ECANCELED. -ENOMEM, or what reading says.
 */
int hash_fd(int fd, char hex[HASH_HEX], const volatile int *stop);

#endif
