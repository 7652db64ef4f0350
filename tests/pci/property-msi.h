/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI of all layouts with INTx, a consumer, saving and loading: random operations on a function and
 * on a model of plain fields, compared after each; a failing sequence is made shorter and printed.
 * PCI Local Bus 3.0 §6.2.2, §6.8.1; PCIe Base 6.0 §6.1.4, §7.7.1.
 */
#ifndef PEAL_TESTS_PCI_PROPERTY_MSI_H
#define PEAL_TESTS_PCI_PROPERTY_MSI_H

#include <time.h>

#include "fixture.h"

#define MSI_MAX   32u
#define MSI_OPS   2000u /* on one function */
#define MSI_AT    0x4cu
#define MSIX_AT   0x40u
#define STATE_MAX 1024u
#define STATE_AT  16u /* of configuration space in a state */

/* ---- the model ---- */

struct msi_vector {
	bool pending;
	uint32_t uses;
	uint64_t sent, refired, pended, merged, dropped, blocked, failed;
};

/* What a state holds. */
struct msi_registers {
	uint16_t command, control, data, extended;
	uint64_t address;
	uint32_t mask;
	bool msix, wish;
	struct {
		bool pending;
		uint32_t uses;
	} vectors[MSI_MAX];
};

enum msi_bug {
	MSI_CORRECT,
	MSI_NO_MODULO,   /* what pended past the enabled vectors stays there */
	MSI_LINE_STAYS,  /* INTx does not follow MSI enable */
	MSI_LOAD_FORGETS /* loading loses the pending bits */
};

struct msi_model {
	struct peal_msi_config shape;
	enum msi_bug bug;
	struct msi_registers r;
	struct msi_vector v[MSI_MAX];
	unsigned shared; /* as which vectors are raised */
	bool plugged;
	int answer;
	struct peal_msi_msg messages[2 * MSI_MAX];
	unsigned nmessages;
};

static inline bool m_is_on(const struct msi_model *m)
{
	return m->r.control & 1 && !m->r.msix;
}

static inline bool m_is_masked(const struct msi_model *m, unsigned i)
{
	return !m_is_on(m) || m->r.mask >> i & 1;
}

static inline bool m_is_master(const struct msi_model *m)
{
	return m->plugged && m->r.command & COMMAND_BUS_MASTER;
}

static inline bool m_line(const struct msi_model *m)
{
	return m->r.wish && m->plugged && !(m->r.command & 0x400) && !m->r.msix &&
	       (m->bug == MSI_LINE_STAYS || !(m->r.control & 1));
}

static inline struct peal_msi_msg m_message(const struct msi_model *m, unsigned i)
{
	uint32_t low = (1u << (m->r.control >> 4 & 7)) - 1;
	uint32_t data = m->r.data | (m->r.control & 0x400 ? (uint32_t)m->r.extended << 16 : 0);

	return (struct peal_msi_msg){ .address = m->r.address, .data = (data & ~low) | (i & low) };
}

static inline int m_send(struct msi_model *m, unsigned i)
{
	if (!m_is_master(m)) {
		m->v[i].dropped++;
		return 0;
	}
	m->messages[m->nmessages++ % (2 * MSI_MAX)] = m_message(m, i);
	m->v[i].sent++;
	m->v[i].blocked += m->answer == 0;
	m->v[i].failed += m->answer < 0;
	return m->answer;
}

static inline bool m_in_use(const struct msi_model *m, unsigned i)
{
	bool used = m->v[i].uses;

	for (unsigned k = i; i < m->shared && k < m->shape.vectors; k += m->shared)
		used = used || m->v[k].uses;
	return used;
}

static inline int m_notify(struct msi_model *m, unsigned k)
{
	struct msi_vector *v;

	if (k >= m->shape.vectors || !m->v[k].uses)
		return 0;
	v = &m->v[k % m->shared];
	if (!m_is_masked(m, k % m->shared))
		return m_send(m, k % m->shared);
	v->merged += v->pending;
	v->pended += !v->pending;
	v->pending = true;
	return 0;
}

/* Two that pend and become one have merged. */
static inline void m_move(struct msi_model *m, unsigned from, unsigned to)
{
	if (!m->v[from].pending)
		return;
	m->v[from].pended -= m->v[to].pending;
	m->v[from].merged += m->v[to].pending;
	m->v[from].pending = false;
	m->v[to].pending = true;
}

/* A register has changed. */
static inline void m_evaluate(struct msi_model *m)
{
	unsigned count = m->shape.vectors;
	unsigned shared = m->r.control & 1 ? 1u << (m->r.control >> 4 & 7) : count;

	for (unsigned i = 0; i < m->shared && shared != m->shared; i++) {
		unsigned k = i;

		while (k < count && !m->v[k].uses)
			k += m->shared;
		if (k < count && k != i)
			m_move(m, i, k);
	}
	m->shared = shared;
	for (unsigned i = shared; i < count && m->bug != MSI_NO_MODULO; i++)
		m_move(m, i, i % shared);
	for (unsigned i = 0; i < count; i++) {
		if (!m->v[i].pending || m_is_masked(m, i))
			continue;
		m->v[i].pending = false;
		m->v[i].refired++;
		(void)m_send(m, i);
	}
}

static inline void m_unuse(struct msi_model *m, unsigned k)
{
	m->v[k].uses--;
	if (!m_in_use(m, k))
		m->v[k].pending = false;
	if (!m_in_use(m, k % m->shared))
		m->v[k % m->shared].pending = false;
}

static inline void m_reset(struct msi_model *m)
{
	struct msi_registers none = { .control = m->r.control & 0x38e };

	m->r = none;
	for (unsigned i = 0; i < MSI_MAX; i++)
		m->v[i].pending = false;
	m_evaluate(m);
}

/* The registers of the layout, from the capability's start: where, how wide, which. */
enum msi_register {
	R_CONTROL,
	R_ADDRESS,
	R_UPPER,
	R_DATA,
	R_EXTENDED,
	R_MASK,
	R_PENDING,
	R_COUNT
};

static inline unsigned m_offset(const struct msi_model *m, enum msi_register which, unsigned *width)
{
	static const uint8_t narrow[R_COUNT] = { 2, 4, 0, 8, 10, 12, 16 };
	static const uint8_t wide[R_COUNT] = { 2, 4, 8, 12, 14, 16, 20 };
	static const uint8_t widths[R_COUNT] = { 2, 4, 4, 2, 2, 4, 4 };

	*width = widths[which];
	if (which >= R_MASK && !m->shape.maskable)
		return 0;
	return m->shape.wide ? wide[which] : narrow[which];
}

static inline uint32_t m_get(const struct msi_model *m, enum msi_register which)
{
	uint32_t bits = 0;

	switch (which) {
	case R_CONTROL:
		return m->r.control;
	case R_ADDRESS:
		return (uint32_t)m->r.address;
	case R_UPPER:
		return (uint32_t)(m->r.address >> 32);
	case R_DATA:
		return m->r.data;
	case R_EXTENDED:
		return m->r.extended;
	case R_MASK:
		return m->r.mask;
	default:
		for (unsigned i = 0; i < m->shape.vectors; i++)
			bits |= (uint32_t)m->v[i].pending << i;
		return bits;
	}
}

static inline void m_put(struct msi_model *m, enum msi_register which, uint32_t value)
{
	uint32_t capable = m->r.control >> 1 & 7, multiple = value >> 4 & 7;

	switch (which) {
	case R_CONTROL:
		multiple = multiple > capable ? capable : multiple;
		value &= m->shape.extended_data ? 0x401 : 1;
		m->r.control = (uint16_t)((m->r.control & 0x38e) | value | multiple << 4);
		break;
	case R_ADDRESS:
		m->r.address = (m->r.address & ~UINT64_C(0xffffffff)) | (value & ~3u);
		break;
	case R_UPPER:
		m->r.address = (uint32_t)m->r.address | (uint64_t)value << 32;
		break;
	case R_DATA:
		m->r.data = (uint16_t)value;
		break;
	case R_EXTENDED:
		m->r.extended = m->shape.extended_data ? (uint16_t)value : 0;
		break;
	case R_MASK:
		m->r.mask = value & (uint32_t)(PEAL_BIT(m->shape.vectors) - 1);
		break;
	default:
		return;
	}
	m_evaluate(m);
}

/* Each register that the access meets, in ascending order, under its own rules. */
static inline void m_write(struct msi_model *m, unsigned offset, unsigned size, uint64_t value)
{
	for (unsigned which = 0; which < R_COUNT; which++) {
		unsigned width, at = m_offset(m, which, &width);
		uint32_t now = m_get(m, which);
		bool met = false;

		for (unsigned i = 0; at && i < size; i++) {
			unsigned byte = offset + i - at;

			if (offset + i < at || byte >= width)
				continue;
			now &= ~(0xffu << (8 * byte));
			now |= (uint32_t)(value >> (8 * i) & 0xff) << (8 * byte);
			met = true;
		}
		if (met)
			m_put(m, which, now);
	}
}

/* Only of bytes in the registers above. */
static inline uint64_t m_read(const struct msi_model *m, unsigned offset, unsigned size)
{
	uint64_t value = 0;

	for (unsigned which = 0; which < R_COUNT; which++) {
		unsigned width, at = m_offset(m, which, &width);

		for (unsigned i = 0; at && i < size; i++) {
			if (offset + i >= at && offset + i < at + width)
				value |= (uint64_t)(m_get(m, which) >> (8 * (offset + i - at)) &
						    0xff)
					 << (8 * i);
		}
	}
	return value;
}

/* ---- operations ---- */

enum msi_kind {
	M_NOTIFY,
	M_WRITE,
	M_READ,
	M_COMMAND,
	M_MSIX,
	M_WISH,
	M_USE,
	M_UNUSE,
	M_UNUSE_ALL,
	M_CONSUMER,
	M_POLL,
	M_SAVE,
	M_LOAD,
	M_LOAD_UNMASKED,
	M_RESET,
	M_REPLUG,
	M_ANSWER,
	M_START,
	M_KINDS,
};

struct msi_op {
	enum msi_kind kind;
	unsigned at, size;
	uint64_t value;
};

static inline struct msi_op msi_random_op(uint64_t *random)
{
	static const uint8_t weights[M_KINDS] = { 60, 60, 15, 6, 3, 8, 10, 4, 1,
						  4,  6,  3,  2, 2, 1, 1,  3, 8 };
	struct msi_op op = { .size = 1 + (unsigned)test_random_below(random, 8),
			     .value = test_random(random) };
	uint64_t pick = test_random_below(random, 197);

	while (pick >= weights[op.kind])
		pick -= weights[op.kind++];
	op.at = (unsigned)test_random_below(random, 34);
	if (test_random_below(random, 2))
		op.at %= 4;
	if (op.kind == M_WRITE || op.kind == M_READ) {
		op.at = 2 + (unsigned)test_random_below(random, 22);
		if (op.size + op.at > 24)
			op.size = 24 - op.at;
		/* Registers alone, with their own width, and values that mean something. */
		if (test_random_below(random, 3)) {
			op.at = op.at < 4 ? 2 : op.at & ~3u;
			op.size = op.at == 2 ? 2 : 4;
		}
		if (op.at == 2 && test_random_below(random, 4))
			op.value |= 1;
	}
	return op;
}

struct msi_property {
	struct fixture f;
	struct peal_msi *msi;
	struct msi_model m;
	struct peal_msi_msg messages[2 * MSI_MAX];
	unsigned nmessages;
	bool requester_wrong;
	/* The consumer. */
	const char *wrong;
	bool registered;
	bool held[MSI_MAX], failed[MSI_MAX];
	struct peal_msi_msg what[MSI_MAX];
	unsigned depth, polls, events, batches;
	uint32_t fails;        /* uses of these fail */
	unsigned poll_raises;  /* vector + 1 */
	unsigned polls_wanted; /* of the operation */
	/* The slot. */
	uint8_t state[STATE_MAX];
	struct msi_registers saved;
	size_t size;
};

static inline int p_deliver(void *user, const struct peal_msi_msg *msg)
{
	struct msi_property *p = (struct msi_property *)user;

	p->messages[p->nmessages++ % (2 * MSI_MAX)] = *msg;
	p->requester_wrong |= msg->requester_id != REQUESTER;
	return p->m.answer;
}

static inline void p_expect(struct msi_property *p, bool condition, const char *what)
{
	if (!condition && !p->wrong)
		p->wrong = what;
}

static inline int p_use(void *user, unsigned i, const struct peal_msi_msg *msg)
{
	struct msi_property *p = (struct msi_property *)user;
	bool fails = p->fails >> i & 1;

	p->events++;
	p_expect(p, p->depth == 1, "a use outside begin and commit");
	p_expect(p,
		 !p->held[i] || p->what[i].address != msg->address || p->what[i].data != msg->data,
		 "a use of what was held");
	p->failed[i] = fails;
	if (fails)
		return -EIO;
	p->held[i] = true;
	p->what[i] = *msg;
	return 0;
}

static inline void p_release(void *user, unsigned i)
{
	struct msi_property *p = (struct msi_property *)user;

	p->events++;
	p_expect(p, p->depth == 1, "a release outside begin and commit");
	p_expect(p, p->held[i], "a release of what was not held");
	p->held[i] = false;
}

static inline void p_poll(void *user, unsigned first, unsigned end)
{
	struct msi_property *p = (struct msi_property *)user;

	p->polls++;
	p_expect(p, first == 0 && end == p->m.shape.vectors, "the range of a poll");
	if (p->poll_raises) {
		(void)peal_msi_notify(p->msi, p->poll_raises - 1);
		(void)m_notify(&p->m, p->poll_raises - 1);
	}
	p->poll_raises = 0;
}

static inline void p_begin(void *user)
{
	struct msi_property *p = (struct msi_property *)user;

	p_expect(p, p->depth++ == 0, "begin in begin");
	p->events = 0;
	p->batches++;
}

static inline void p_commit(void *user)
{
	struct msi_property *p = (struct msi_property *)user;

	p_expect(p, p->depth-- == 1, "commit without begin");
	p_expect(p, p->events > 0, "a batch of nothing");
}

static inline bool p_consumer(struct msi_property *p, uint32_t fails)
{
	static const struct peal_vector_consumer consumer = { .use = p_use,
							      .release = p_release,
							      .poll = p_poll,
							      .begin = p_begin,
							      .commit = p_commit };
	int r, want = 0;

	if (p->registered) {
		p->registered = false;
		return peal_msi_set_consumer(p->msi, NULL, NULL) == 0;
	}
	p->fails = fails;
	for (unsigned i = 0; i < p->m.shape.vectors; i++)
		want = !m_is_masked(&p->m, i) && fails >> i & 1 ? -EIO : want;
	p->polls_wanted = want == 0;
	r = peal_msi_set_consumer(p->msi, &consumer, p);
	p->registered = r == 0;
	return r == want;
}

static inline bool p_save(struct msi_property *p)
{
	p->polls_wanted = p->registered;
	p->size = peal_pci_function_state_size(p->f.function);
	if (p->size > STATE_MAX || peal_pci_function_save(p->f.function, p->state, p->size) < 0)
		return false;
	p->saved = p->m.r;
	for (unsigned i = 0; i < MSI_MAX; i++) {
		p->saved.vectors[i].pending = p->m.v[i].pending;
		p->saved.vectors[i].uses = p->m.v[i].uses;
	}
	return true;
}

static inline bool p_load(struct msi_property *p, bool unmask)
{
	uint8_t bytes[STATE_MAX];
	unsigned width, at = m_offset(&p->m, R_MASK, &width);
	int r;

	if (!p->size)
		return true;
	memcpy(bytes, p->state, p->size);
	p->m.r = p->saved;
	if (unmask && at) {
		memset(bytes + STATE_AT + MSI_AT + at, 0, width);
		p->m.r.mask = 0;
	}
	for (unsigned i = 0; i < MSI_MAX; i++) {
		p->m.v[i].pending = p->saved.vectors[i].pending && p->m.bug != MSI_LOAD_FORGETS;
		p->m.v[i].uses = p->saved.vectors[i].uses;
	}
	/* Pending bits are where they were in the state. */
	p->m.shared = p->m.r.control & 1 ? 1u << (p->m.r.control >> 4 & 7) : p->m.shape.vectors;
	m_evaluate(&p->m);
	r = peal_pci_function_load(p->f.function, bytes, p->size);
	return r == 0;
}

static inline void p_write(struct msi_property *p, unsigned at, unsigned size, uint64_t value)
{
	config_write(&p->f, MSI_AT + at, size, value);
	m_write(&p->m, at, size, value);
}

static inline bool p_read(struct msi_property *p, unsigned at, unsigned size)
{
	unsigned width, pending = m_offset(&p->m, R_PENDING, &width);
	uint64_t value;

	if (at + size > MSI_AT) /* not further than what the model knows */
		return true;
	p->polls_wanted = p->registered && pending && at < pending + 4 && at + size > pending;
	value = config_read(&p->f, MSI_AT + at, size);
	return value == m_read(&p->m, at, size);
}

static inline void p_start(struct msi_property *p, uint64_t value)
{
	config_write(&p->f, COMMAND, 2, COMMAND_BUS_MASTER);
	p->m.r.command = COMMAND_BUS_MASTER;
	config_write(&p->f, MSIX_AT + 2, 2, 0);
	p->m.r.msix = false;
	m_evaluate(&p->m);
	p_write(p, 2, 2, 1 | (value & 0x470));
	for (unsigned i = 0; i < p->m.shape.vectors; i++) {
		(void)peal_msi_use(p->msi, i);
		p->m.v[i].uses++;
	}
}

static inline bool p_uses(struct msi_property *p, const struct msi_op *op)
{
	bool there = op->at < p->m.shape.vectors;

	if (op->kind == M_USE) {
		if (there)
			p->m.v[op->at].uses++;
		return peal_msi_use(p->msi, op->at) == (there ? 0 : -EINVAL);
	}
	if (op->kind == M_UNUSE && there && p->m.v[op->at].uses) {
		peal_msi_unuse(p->msi, op->at);
		m_unuse(&p->m, op->at);
	}
	if (op->kind == M_UNUSE_ALL) {
		peal_msi_unuse_all(p->msi);
		for (unsigned i = 0; i < MSI_MAX; i++) {
			p->m.v[i].pending = false;
			p->m.v[i].uses = 0;
		}
	}
	return true;
}

static inline bool p_do(struct msi_property *p, const struct msi_op *op)
{
	static const int answers[] = { 1, 1, 0, -EIO };
	struct msi_model *m = &p->m;

	switch (op->kind) {
	case M_NOTIFY:
		return peal_msi_notify(p->msi, op->at) == m_notify(m, op->at);
	case M_WRITE:
		p_write(p, op->at, op->size, op->value);
		return true;
	case M_READ:
		return p_read(p, op->at, op->size);
	case M_COMMAND:
		m->r.command = op->value & 0x404;
		config_write(&p->f, COMMAND, 2, m->r.command);
		return true;
	case M_MSIX:
		m->r.msix = op->value & 1;
		config_write(&p->f, MSIX_AT + 2, 2, m->r.msix ? MSIX_ENABLE : 0);
		m_evaluate(m);
		return true;
	case M_WISH:
		m->r.wish = op->value & 1;
		peal_pci_function_set_intx(p->f.function, m->r.wish);
		return true;
	case M_CONSUMER:
		return p_consumer(p, op->at % 4 ? 0 : (uint32_t)op->value);
	case M_POLL:
		p->poll_raises = op->at + 1;
		return true;
	case M_SAVE:
		return p_save(p);
	case M_LOAD:
	case M_LOAD_UNMASKED:
		return p_load(p, op->kind == M_LOAD_UNMASKED);
	case M_RESET:
		peal_pci_function_reset(p->f.function);
		m_reset(m);
		return true;
	case M_REPLUG:
		fixture_unplug(&p->f);
		m_reset(m);
		fixture_plug(&p->f);
		return true;
	case M_ANSWER:
		m->answer = answers[op->value % 4];
		return true;
	case M_START:
		p_start(p, op->value);
		return true;
	default:
		return p_uses(p, op);
	}
}

/* ---- comparing ---- */

static inline const char *p_compare_vector(struct msi_property *p, unsigned i)
{
	const struct msi_vector *v = &p->m.v[i];
	struct peal_msi_msg want = m_message(&p->m, i), have = peal_msi_message(p->msi, i);
	bool masked = m_is_masked(&p->m, i);
	struct peal_msix_counters c;

	if (peal_msi_is_masked(p->msi, i) != masked)
		return "masked";
	if (peal_msi_is_pending(p->msi, i) != v->pending)
		return "pending";
	if (peal_msi_is_used(p->msi, i) != (v->uses > 0))
		return "used";
	if (have.address != want.address || have.data != want.data)
		return "a vector's message";
	peal_msi_counters(p->msi, i, &c);
	if (c.sent != v->sent || c.refired != v->refired || c.pended != v->pended ||
	    c.merged != v->merged || c.dropped != v->dropped || c.blocked != v->blocked ||
	    c.failed != v->failed)
		return "counters";
	if (!p->registered)
		return p->held[i] ? "a vector held by nobody" : NULL;
	if (masked ? p->held[i] : !p->held[i] && !p->failed[i])
		return "who holds a vector";
	if (p->held[i] && !p->failed[i] &&
	    (p->what[i].address != want.address || p->what[i].data != want.data))
		return "the message that is held";
	return NULL;
}

static inline const char *p_compare(struct msi_property *p)
{
	struct msi_model *m = &p->m;
	const char *what;

	if (p->nmessages != m->nmessages || m->nmessages > 2 * MSI_MAX)
		return "messages sent";
	for (unsigned i = 0; i < m->nmessages; i++) {
		if (p->messages[i].address != m->messages[i].address ||
		    p->messages[i].data != m->messages[i].data)
			return "a message";
	}
	p->nmessages = m->nmessages = 0;
	if (p->requester_wrong)
		return "the requester id";
	if (p->wrong)
		return p->wrong;
	if (p->depth || p->polls != p->polls_wanted)
		return p->depth ? "begin without commit" : "polls";
	p->polls = p->polls_wanted = 0;
	if (peal_pci_function_intx_line(p->f.function) != m_line(m) ||
	    peal_pci_bus_intx_level(p->f.bus, 0) != m_line(m) ||
	    !!(config_read(&p->f, STATUS, 2) & 8) != m->r.wish)
		return "the line";
	if (peal_msi_enabled(p->msi) != (m->r.control & 1 ? 1u << (m->r.control >> 4 & 7) : 0))
		return "enabled";
	for (unsigned i = 0; i < m->shape.vectors; i++) {
		what = p_compare_vector(p, i);
		if (what)
			return what;
	}
	return NULL;
}

/* ---- running and shrinking ---- */

static inline void p_init(struct msi_property *p, unsigned shape, enum msi_bug bug)
{
	static const struct peal_msi_sink_ops ops = { .deliver = p_deliver };
	const struct peal_msi_sink sink = { .ops = &ops, .user = p };

	p->m.shape = (struct peal_msi_config){ .vectors = 1u << shape / 8 % 6,
					       .wide = shape & 1,
					       .maskable = shape >> 1 & 1,
					       .extended_data = shape >> 2 & 1 };
	p->m.bug = bug;
	p->m.answer = 1;
	p->m.shared = p->m.shape.vectors;
	fixture_init_sink(&p->f, &sink);
	assert_int_equal(peal_pci_function_add_msix_exclusive(p->f.function, 2, 0), 0);
	assert_int_equal(peal_pci_function_add_msi(p->f.function, &p->m.shape), 0);
	p->msi = peal_pci_function_msi(p->f.function);
	assert_int_equal(find_capability(p->f.function, 5, 0), MSI_AT);
	p->m.r.control = (uint16_t)config_read(&p->f, MSI_AT + 2, 2);
	fixture_plug(&p->f);
	p->m.plugged = true;
}

static inline unsigned p_run(const struct msi_op *ops, unsigned count, unsigned shape,
			     enum msi_bug bug, const char **what)
{
	struct msi_property *p = (struct msi_property *)calloc(1, sizeof(*p));
	unsigned i;

	assert_non_null(p);
	p_init(p, shape, bug);
	*what = NULL;
	for (i = 0; i < count; i++) {
		*what = p_do(p, &ops[i]) ? p_compare(p) : "what was read or returned";
		if (*what)
			break;
	}
	if (p->registered)
		(void)peal_msi_set_consumer(p->msi, NULL, NULL);
	fixture_done(&p->f);
	free(p);
	return i;
}

static inline unsigned p_shrink(struct msi_op *ops, unsigned count, unsigned shape,
				enum msi_bug bug)
{
	struct msi_op *fewer = (struct msi_op *)calloc(count, sizeof(*ops));
	const char *what;

	assert_non_null(fewer);
	for (unsigned chunk = count / 2 ? count / 2 : 1; chunk > 0; chunk /= 2) {
		for (unsigned at = 0; at < count;) {
			unsigned gone = chunk < count - at ? chunk : count - at, failed;

			memcpy(fewer, ops, at * sizeof(*ops));
			memcpy(fewer + at, ops + at + gone, (count - at - gone) * sizeof(*ops));
			failed = p_run(fewer, count - gone, shape, bug, &what);
			if (what) {
				count = failed + 1;
				memcpy(ops, fewer, count * sizeof(*ops));
			} else {
				at += gone;
			}
		}
	}
	free(fewer);
	return count;
}

static inline uint64_t p_seed(void)
{
	const char *given = getenv("PEAL_SEED");
	struct timespec now;
	uint64_t seed;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	seed = given ? strtoull(given, NULL, 0) : (uint64_t)now.tv_nsec;
	print_message("# PEAL_SEED=%#llx\n", (unsigned long long)seed);
	return seed;
}

/* SEQUENCES on functions of all shapes; what is left of the first that fails, or 0. */
static inline unsigned msi_search(unsigned sequences, enum msi_bug bug, struct msi_op *ops,
				  unsigned *shape, const char **what)
{
	uint64_t random = p_seed();

	for (unsigned n = 0; n < sequences; n++) {
		unsigned failed;

		for (unsigned i = 0; i < MSI_OPS; i++)
			ops[i] = msi_random_op(&random);
		*shape = n % 48;
		failed = p_run(ops, MSI_OPS, *shape, bug, what);
		if (!*what)
			continue;
		failed = p_shrink(ops, failed + 1, *shape, bug);
		(void)p_run(ops, failed, *shape, bug, what);
		return failed;
	}
	return 0;
}

static inline void msi_property_test(unsigned sequences)
{
	static const char *const names[M_KINDS] = {
		"notify", "write",         "read",      "command",  "msix",   "wish",
		"use",    "unuse",         "unuse_all", "consumer", "poll",   "save",
		"load",   "load unmasked", "reset",     "replug",   "answer", "start",
	};
	struct msi_op *ops = (struct msi_op *)calloc(MSI_OPS, sizeof(*ops));
	const char *what;
	unsigned shape, count;

	assert_non_null(ops);
	count = msi_search(sequences, MSI_CORRECT, ops, &shape, &what);
	if (count)
		print_error("shape %u: the function and its model differ in %s:\n", shape, what);
	for (unsigned i = 0; i < count; i++)
		print_error("  %s at %u, %u bytes, %#llx\n", names[ops[i].kind], ops[i].at,
			    ops[i].size, (unsigned long long)ops[i].value);
	free(ops);
	assert_int_equal(count, 0);
}

#endif
