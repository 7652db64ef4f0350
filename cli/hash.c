/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "hash.h"

#define CHUNK ((size_t)1 << 20)

struct hash {
	EVP_MD_CTX *context;
};

struct hash *hash_new(void)
{
	struct hash *hash = calloc(1, sizeof(*hash));

	if (!hash)
		return NULL;
	hash->context = EVP_MD_CTX_new();
	if (!hash->context || !EVP_DigestInit_ex(hash->context, EVP_sha256(), NULL)) {
		hash_free(hash);
		return NULL;
	}
	return hash;
}

void hash_free(struct hash *hash)
{
	if (!hash)
		return;
	EVP_MD_CTX_free(hash->context);
	free(hash);
}

void hash_add(struct hash *hash, const void *bytes, size_t size)
{
	(void)EVP_DigestUpdate(hash->context, bytes, size);
}

void hash_end(struct hash *hash, char hex[HASH_HEX])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned size = 0;

	(void)EVP_DigestFinal_ex(hash->context, digest, &size);
	for (unsigned i = 0; i < size && 2 * i + 2 < HASH_HEX; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	hash_free(hash);
}

int hash_fd(int fd, char hex[HASH_HEX], const volatile int *stop)
{
	struct hash *hash = hash_new();
	char *buffer = malloc(CHUNK);
	off_t at = 0;
	ssize_t n = 1;
	int r = hash && buffer ? 0 : -ENOMEM;

	while (r == 0 && n != 0) {
		n = pread(fd, buffer, CHUNK, at);
		if (n > 0) {
			hash_add(hash, buffer, (size_t)n);
			at += n;
		} else if (n < 0 && errno != EINTR) {
			r = -errno;
		}
		if (*stop)
			r = -ECANCELED;
	}
	if (r == 0)
		hash_end(hash, hex);
	else
		hash_free(hash);
	free(buffer);
	return r;
}
