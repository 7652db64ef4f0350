/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A function with MSI-X as the specification describes it, and nothing else: bytes and their masks,
 * vectors as plain fields, every operation from its beginning to its end. It shares no code with
 * the library and knows no concurrency; test-msix-property.c compares the two.
 *
 * PCI Local Bus 3.0 §6.1, §6.2, §6.8.2; PCI Power Management 1.2 §3.2; PCIe Base 6.0 §6.6.2, §7.5.3.
 */
#ifndef PEAL_TESTS_PCI_MODEL_H
#define PEAL_TESTS_PCI_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MODEL_VECTORS 70u
#define MODEL_CONFIG  4096u
#define MODEL_TABLE   (16 * MODEL_VECTORS)
#define MODEL_PBA     2048u
#define MODEL_PBA_END (MODEL_PBA + 16)
#define MODEL_BAR     4096u
#define MODEL_SENT    (2 * MODEL_VECTORS) /* no operation sends more */

struct model_message {
	uint64_t address;
	uint32_t data;
};

struct model_vector {
	bool pending;
	unsigned uses;
	uint64_t sent, refired, pended, merged, dropped, blocked, failed;
};

/* Seeded errors, to see that the comparison finds them. */
enum model_bug {
	MODEL_CORRECT,
	MODEL_FUNCTION_MASK_LOSES, /* a raise under Function Mask pends nothing */
	MODEL_MASKED_FIRES,        /* clearing the Mask bit fires under Function Mask too */
	MODEL_KEEPS_PENDING,       /* a reset leaves the pending bits */
};

struct model {
	/* Where the capabilities are. */
	unsigned pm, express, msix;
	enum model_bug bug;

	uint8_t config[MODEL_CONFIG];
	uint8_t defaults[MODEL_CONFIG];
	uint8_t rw[MODEL_CONFIG];
	uint8_t w1c[MODEL_CONFIG];
	bool plugged;
	uint64_t past_end;

	uint8_t table[MODEL_TABLE];
	struct model_vector vectors[MODEL_VECTORS];
	int answer; /* of the sink */
	/* What the operation has sent. */
	struct model_message messages[MODEL_SENT];
	unsigned nmessages;
	unsigned resets;
};

static inline uint64_t model_load(const uint8_t *bytes, unsigned size)
{
	uint64_t value = 0;

	while (size-- > 0)
		value = value << 8 | bytes[size];
	return value;
}

/* CONFIG: what the function reads at first. */
static inline void model_init(struct model *m, const uint8_t *config, unsigned pm, unsigned express,
			      unsigned msix)
{
	static const struct {
		uint8_t at, rw, w1c;
	} header[] = {
		{ 0x04, 0x47, 0 }, { 0x05, 0x05, 0 },                    /* Command */
		{ 0x07, 0, 0xf9 },                                       /* Status */
		{ 0x0c, 0xff, 0 },                                       /* Cache Line Size */
		{ 0x11, 0xf0, 0 }, { 0x12, 0xff, 0 }, { 0x13, 0xff, 0 }, /* BAR 0 */
		{ 0x3c, 0xff, 0 },                                       /* Interrupt Line */
	};

	memset(m, 0, sizeof(*m));
	m->pm = pm;
	m->express = express;
	m->msix = msix;
	memcpy(m->config, config, MODEL_CONFIG);
	memcpy(m->defaults, config, MODEL_CONFIG);
	for (unsigned i = 0; i < sizeof(header) / sizeof(header[0]); i++) {
		m->rw[header[i].at] = header[i].rw;
		m->w1c[header[i].at] = header[i].w1c;
	}
	m->rw[pm + 4] = 0x03;
	m->rw[express + 8] = 0xff; /* Device Control; bit 15 reads 0 */
	m->rw[express + 9] = 0x7f;
	m->w1c[express + 10] = 0x0f;
	m->rw[express + 16] = 0xc3; /* Link Control */
	m->rw[msix + 3] = 0xc0;
	for (unsigned v = 0; v < MODEL_VECTORS; v++)
		m->table[16 * v + 12] = 1;
	m->answer = 1;
}

/* ---- what follows from the registers ---- */

static inline bool model_in_d3hot(const struct model *m)
{
	return (m->config[m->pm + 4] & 3) == 3;
}

static inline bool model_is_bus_master(const struct model *m)
{
	return m->plugged && m->config[4] & 4 && !model_in_d3hot(m);
}

static inline bool model_is_off(const struct model *m)
{
	return (m->config[m->msix + 3] & 0xc0) != 0x80;
}

static inline bool model_is_masked(const struct model *m, unsigned v)
{
	return model_is_off(m) || m->table[16 * v + 12] & 1;
}

/* Where BAR 0 decodes, if it does and lies in [FIRST, FIRST + SIZE). */
static inline bool model_decodes(const struct model *m, uint64_t first, uint64_t size,
				 uint64_t *address)
{
	*address = model_load(m->config + 0x10, 4) & ~UINT64_C(0xfff);
	return m->plugged && m->config[4] & 2 && !model_in_d3hot(m) && *address >= first &&
	       *address - first < size;
}

/* ---- interrupts ---- */

static inline int model_send(struct model *m, unsigned v)
{
	m->messages[m->nmessages++] = (struct model_message){
		model_load(m->table + 16 * v, 8),
		(uint32_t)model_load(m->table + 16 * v + 8, 4),
	};
	m->vectors[v].sent++;
	m->vectors[v].blocked += m->answer == 0;
	m->vectors[v].failed += m->answer < 0;
	return m->answer;
}

static inline int model_notify(struct model *m, unsigned v)
{
	struct model_vector *vector;

	if (v >= MODEL_VECTORS || m->vectors[v].uses == 0)
		return 0;
	vector = &m->vectors[v];
	if (model_is_masked(m, v)) {
		if (m->bug == MODEL_FUNCTION_MASK_LOSES && m->config[m->msix + 3] == 0xc0)
			return 0;
		vector->merged += vector->pending;
		vector->pended += !vector->pending;
		vector->pending = true;
		return 0;
	}
	if (model_is_bus_master(m))
		return model_send(m, v);
	vector->dropped++;
	return 0;
}

/* The vector has just been unmasked. */
static inline void model_unmasked(struct model *m, unsigned v)
{
	if (!m->vectors[v].pending)
		return;
	m->vectors[v].pending = false;
	m->vectors[v].refired++;
	if (model_is_bus_master(m))
		(void)model_send(m, v);
	else
		m->vectors[v].dropped++;
}

static inline void model_unuse(struct model *m, unsigned v)
{
	if (m->vectors[v].uses && --m->vectors[v].uses == 0)
		m->vectors[v].pending = false;
}

static inline void model_unuse_all(struct model *m)
{
	for (unsigned v = 0; v < MODEL_VECTORS; v++) {
		m->vectors[v].uses = 0;
		m->vectors[v].pending = false;
	}
}

/* ---- configuration space ---- */

static inline void model_reset(struct model *m)
{
	memcpy(m->config, m->defaults, MODEL_CONFIG);
	memset(m->table, 0, sizeof(m->table));
	for (unsigned v = 0; v < MODEL_VECTORS; v++) {
		m->table[16 * v + 12] = 1;
		if (m->bug != MODEL_KEEPS_PENDING)
			m->vectors[v].pending = false;
	}
	m->resets++;
}

/* Function Level Reset: Max_Payload_Size and what Link Control has to write stay (PCIe 6.6.2). */
static inline void model_flr(struct model *m)
{
	uint8_t *device = &m->config[m->express + 8], *link = &m->config[m->express + 16];
	unsigned old_device = *device, old_link = *link;

	model_reset(m);
	*device = (uint8_t)((*device & 0x1f) | (old_device & 0xe0));
	*link = (uint8_t)((*link & 0x3c) | (old_link & 0xc3));
}

static inline uint64_t model_config_read(struct model *m, uint32_t offset, unsigned size)
{
	if (offset > MODEL_CONFIG || size > MODEL_CONFIG - offset) {
		m->past_end++;
		return ~UINT64_C(0) >> (64 - 8 * size);
	}
	return model_load(m->config + offset, size);
}

static inline void model_config_write(struct model *m, uint32_t offset, unsigned size,
				      uint64_t value)
{
	unsigned power = m->config[m->pm + 4] & 3, now;
	bool off = model_is_off(m), flr = false;

	if (offset > MODEL_CONFIG || size > MODEL_CONFIG - offset) {
		m->past_end++;
		return;
	}
	for (unsigned at = offset; at < offset + size; at++, value >>= 8) {
		uint8_t byte = (uint8_t)value;

		m->config[at] = (uint8_t)((m->config[at] & ~m->rw[at]) | (byte & m->rw[at]));
		m->config[at] = (uint8_t)(m->config[at] & ~(byte & m->w1c[at]));
		flr |= at == m->express + 9 && byte & 0x80; /* Initiate FLR */
	}
	now = m->config[m->pm + 4] & 3;
	if (now == 1 || now == 2) /* D1 and D2 are not supported */
		m->config[m->pm + 4] = (uint8_t)((m->config[m->pm + 4] & ~3u) | power);
	if (off && !model_is_off(m)) {
		for (unsigned v = 0; v < MODEL_VECTORS; v++) {
			if (!model_is_masked(m, v))
				model_unmasked(m, v);
		}
	}
	if (power == 3 && now == 0)
		model_reset(m);
	else if (flr)
		model_flr(m);
}

/* ---- BAR 0 ---- */

static inline uint8_t model_bar_byte(const struct model *m, uint64_t at)
{
	uint8_t byte = 0;

	if (at < MODEL_TABLE)
		return m->table[at];
	for (unsigned i = 0; at >= MODEL_PBA && at < MODEL_PBA_END && i < 8; i++) {
		unsigned v = 8 * (unsigned)(at - MODEL_PBA) + i;

		byte |= (uint8_t)((v < MODEL_VECTORS && m->vectors[v].pending) << i);
	}
	return byte;
}

static inline uint64_t model_bar_read(struct model *m, uint64_t offset, unsigned size)
{
	uint64_t value = 0;

	if (offset > MODEL_BAR || size > MODEL_BAR - offset) {
		m->past_end++;
		return ~UINT64_C(0) >> (64 - 8 * size);
	}
	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)model_bar_byte(m, offset + i) << (8 * i);
	return value;
}

static inline void model_table_byte(struct model *m, unsigned at, uint8_t byte)
{
	unsigned v = at / 16;
	bool masked = model_is_masked(m, v);

	switch (at % 16) {
	case 0:
		m->table[at] = byte & 0xfc;
		break;
	case 12:
		m->table[at] = byte & 1;
		if (m->bug == MODEL_MASKED_FIRES ? !(byte & 1) : masked && !model_is_masked(m, v))
			model_unmasked(m, v);
		break;
	case 13:
	case 14:
	case 15:
		break;
	default:
		m->table[at] = byte;
	}
}

static inline void model_bar_write(struct model *m, uint64_t offset, unsigned size, uint64_t value)
{
	if (offset > MODEL_BAR || size > MODEL_BAR - offset) {
		m->past_end++;
		return;
	}
	for (unsigned i = 0; i < size; i++, value >>= 8) {
		if (offset + i < MODEL_TABLE)
			model_table_byte(m, (unsigned)offset + i, (uint8_t)value);
	}
}

#endif
