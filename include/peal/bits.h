/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bits and byte order. Bytes that a guest or a peer sees are little-endian and are only touched
 * through these functions: no bit fields, no structures laid over them.
 */
#ifndef PEAL_BITS_H
#define PEAL_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <peal/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PEAL_BIT(n)   (UINT64_C(1) << (n))
#define PEAL_BIT32(n) (UINT32_C(1) << (n))

/* The bits HIGH..LOW, both included: PEAL_MASK(7, 2) is 0xfc. HIGH is at most 63. */
#define PEAL_MASK(high, low) ((~UINT64_C(0) >> (63 - (high))) & (~UINT64_C(0) << (low)))

#define PEAL_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The field HIGH..LOW of VALUE, moved down to bit 0. */
static inline uint64_t peal_field(uint64_t value, unsigned high, unsigned low)
{
	return (value & PEAL_MASK(high, low)) >> low;
}

/* All ones in the low BYTES bytes (1..8). */
static inline uint64_t peal_ones(size_t bytes)
{
	return ~UINT64_C(0) >> (64 - 8 * bytes);
}

static inline bool peal_is_power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

static inline uint64_t peal_round_up(uint64_t value, uint64_t power_of_two)
{
	return (value + power_of_two - 1) & ~(power_of_two - 1);
}

/* Does [offset, offset + length) lie in [0, size)? No sum that could wrap. */
static inline bool peal_in_range(uint64_t offset, uint64_t length, uint64_t size)
{
	return offset <= size && length <= size - offset;
}

/* SIZE (1..8) bytes at BYTES as a little-endian number. */
static inline uint64_t peal_load_le(const void *bytes, size_t size)
{
	const uint8_t *b = (const uint8_t *)bytes;
	uint64_t value = 0;

	for (size_t i = 0; i < size; i++)
		value |= (uint64_t)b[i] << (8 * i);
	return value;
}

static inline void peal_store_le(void *bytes, size_t size, uint64_t value)
{
	uint8_t *b = (uint8_t *)bytes;

	for (size_t i = 0; i < size; i++)
		b[i] = (uint8_t)(value >> (8 * i));
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define PEAL_LE16(value) ((uint16_t)(value))
#define PEAL_LE32(value) ((uint32_t)(value))
#define PEAL_LE64(value) ((uint64_t)(value))
#else
#define PEAL_LE16(value) __builtin_bswap16((uint16_t)(value))
#define PEAL_LE32(value) __builtin_bswap32((uint32_t)(value))
#define PEAL_LE64(value) __builtin_bswap64((uint64_t)(value))
#endif

/*
 * Naturally aligned little-endian values in memory that another CPU changes at the same time:
 * each access is one indivisible load or store.
 */
static inline uint16_t peal_atomic_load_le16(const void *p, int order)
{
	return PEAL_LE16(__atomic_load_n((const uint16_t *)p, order));
}

static inline uint32_t peal_atomic_load_le32(const void *p, int order)
{
	return PEAL_LE32(__atomic_load_n((const uint32_t *)p, order));
}

static inline uint64_t peal_atomic_load_le64(const void *p, int order)
{
	return PEAL_LE64(__atomic_load_n((const uint64_t *)p, order));
}

static inline void peal_atomic_store_le16(void *p, uint16_t value, int order)
{
	__atomic_store_n((uint16_t *)p, PEAL_LE16(value), order);
}

static inline void peal_atomic_store_le32(void *p, uint32_t value, int order)
{
	__atomic_store_n((uint32_t *)p, PEAL_LE32(value), order);
}

static inline void peal_atomic_store_le64(void *p, uint64_t value, int order)
{
	__atomic_store_n((uint64_t *)p, PEAL_LE64(value), order);
}

#ifdef __cplusplus
}
#endif

#endif
