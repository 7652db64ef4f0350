/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random operations on a function and on its model (model.h), compared after each; a sequence that
 * fails is made shorter until every operation of it is needed, and printed.
 */
#ifndef PEAL_TESTS_PCI_PROPERTY_H
#define PEAL_TESTS_PCI_PROPERTY_H

#include <time.h>

#include "fixture.h"
#include "model.h"

enum kind {
	NOTIFY,
	CONFIG_READ,
	CONFIG_WRITE,
	BAR_READ,
	BAR_WRITE,
	SPACE_READ,
	SPACE_WRITE,
	USE,
	UNUSE,
	UNUSE_ALL,
	RESET,
	REPLUG,
	ANSWER,
	START,
	KINDS,
};

/* AT: a vector, or an offset. START: what a driver does first, as several writes. */
struct op {
	enum kind kind;
	unsigned size;
	uint32_t at;
	uint64_t value;
};

#define SEQUENCE 10000u /* operations on one function */

/* ---- random operations ---- */

/* How the function below is laid out: fixture_init_property() asserts it. */
#define AT_PM      0x48u
#define AT_EXPRESS 0x50u
#define AT_MSIX    0x8cu

static inline uint32_t random_config_offset(uint64_t *random)
{
	static const uint16_t hot[] = { 0x04, 0x10, AT_PM + 4, AT_EXPRESS + 8, AT_MSIX + 2, 0xffc };

	if (test_random_below(random, 4) == 0)
		return (uint32_t)test_random_below(random, 260);
	/* At one of these, or a little before. */
	return (uint32_t)(hot[test_random_below(random, 6)] - test_random_below(random, 3) +
			  test_random_below(random, 3));
}

static inline uint64_t random_config_value(uint64_t *random)
{
	uint64_t value = test_random(random);

	switch (test_random_below(random, 6)) {
	case 0: /* Command with everything; MSI-X enabled, in words that begin there or before */
		return UINT64_C(0x8000800080008007);
	case 1: /* a BAR in the window */
		return (WINDOW32 | (value & 0xff000)) * UINT64_C(0x100000001);
	case 2: /* bits of the control word's upper byte, at any byte */
		return value & UINT64_C(0xc0c0c0c0c0c0c0c0);
	case 3: /* seldom a reset: no bit 15 of a word that is odd, nor D0 */
		return value | UINT64_C(0x0303030303030303);
	case 4:
		return 0;
	default:
		return value & ~UINT64_C(0x8080808080808080);
	}
}

/* Vectors 0..3, 63..66 and the last more often than the others. */
static inline uint32_t random_vector(uint64_t *random)
{
	uint32_t any = (uint32_t)test_random_below(random, MODEL_VECTORS + 2);

	switch (test_random_below(random, 4)) {
	case 0:
		return any;
	case 1:
		return 62 + any % 5;
	default:
		return any % 4;
	}
}

static inline uint32_t random_bar_offset(uint64_t *random)
{
	uint32_t entry = 16 * random_vector(random);

	switch (test_random_below(random, 8)) {
	case 0:
		return (uint32_t)test_random_below(random, MODEL_BAR + 8);
	case 1:
		return MODEL_PBA - 4 + (uint32_t)test_random_below(random, 24);
	case 2:
		return MODEL_TABLE - 8 + (uint32_t)test_random_below(random, 16);
	case 3:
		return entry + (uint32_t)test_random_below(random, 16);
	case 4:
		return entry;
	case 5:
		return entry + 8;
	default:
		return entry + 12;
	}
}

static inline struct op random_op(uint64_t *random)
{
	static const uint8_t weights[KINDS] = {
		[NOTIFY] = 250,    [CONFIG_READ] = 20, [CONFIG_WRITE] = 80, [BAR_READ] = 80,
		[BAR_WRITE] = 250, [SPACE_READ] = 40,  [SPACE_WRITE] = 80,  [USE] = 40,
		[UNUSE] = 10,      [UNUSE_ALL] = 1,    [RESET] = 1,         [REPLUG] = 1,
		[ANSWER] = 4,      [START] = 20,
	};
	uint64_t pick = test_random_below(random, 877);
	struct op op = { .size = 1u << test_random_below(random, 4), .value = test_random(random) };

	while (pick >= weights[op.kind])
		pick -= weights[op.kind++];
	switch (op.kind) {
	case CONFIG_READ:
	case CONFIG_WRITE:
		op.at = random_config_offset(random);
		op.value = random_config_value(random);
		break;
	case BAR_READ:
	case BAR_WRITE:
	case SPACE_READ:
	case SPACE_WRITE:
		op.at = random_bar_offset(random);
		if (op.at % 16 == 12 && test_random_below(random, 4))
			op.value &= 1; /* a mask, mostly alone */
		break;
	default:
		op.at = random_vector(random);
	}
	return op;
}

/* ---- carrying out ---- */

struct property {
	struct fixture f;
	struct model_message messages[MODEL_SENT];
	unsigned nmessages;
	bool requester_wrong;
	int answer;
	struct model model;
};

static inline int property_deliver(void *user, const struct peal_msi_msg *msg)
{
	struct property *p = (struct property *)user;

	if (p->nmessages < MODEL_SENT)
		p->messages[p->nmessages] = (struct model_message){ msg->address, msg->data };
	p->nmessages++;
	p->requester_wrong |= msg->requester_id != REQUESTER;
	return p->answer;
}

static inline void property_init(struct property *p, enum model_bug bug)
{
	static const struct peal_msi_sink_ops ops = { .deliver = property_deliver };
	const struct peal_msi_sink sink = { .ops = &ops, .user = p };
	uint8_t config[MODEL_CONFIG];
	struct fixture *f = &p->f;

	p->nmessages = 0;
	p->requester_wrong = false;
	p->answer = 1;
	fixture_init_sink(f, &sink);
	assert_int_equal(peal_pci_function_add_vendor(f->function, "\5ab", 5, NULL), 0);
	assert_int_equal(peal_pci_function_add_power_management(f->function), 0);
	assert_int_equal(peal_pci_function_add_pci_express(f->function), 0);
	assert_int_equal(peal_pci_function_add_msix_exclusive(f->function, MODEL_VECTORS, 0), 0);
	f->msix = peal_pci_function_msix(f->function);
	assert_int_equal(find_capability(f->function, ID_POWER_MANAGEMENT, 0), AT_PM);
	assert_int_equal(find_capability(f->function, ID_EXPRESS, 0), AT_EXPRESS);
	assert_int_equal(find_capability(f->function, ID_MSIX, 0), AT_MSIX);
	for (unsigned at = 0; at < MODEL_CONFIG; at++)
		config[at] = (uint8_t)config_read(f, at, 1);
	for (unsigned v = 0; v < MODEL_VECTORS; v++)
		assert_int_equal(peal_msix_use(f->msix, v), 0);
	fixture_plug(f);
	model_init(&p->model, config, AT_PM, AT_EXPRESS, AT_MSIX);
	p->model.bug = bug;
	p->model.plugged = true;
	for (unsigned v = 0; v < MODEL_VECTORS; v++)
		p->model.vectors[v].uses = 1;
}

/* The address for an access through the memory space: by the BAR register, decoding or not. */
static inline uint64_t space_address(const struct property *p, const struct op *op, bool *decodes)
{
	uint64_t address;

	*decodes = model_decodes(&p->model, WINDOW32, SIZE32, &address) &&
		   op->at + op->size <= MODEL_BAR;
	if (address < WINDOW32 || address - WINDOW32 >= SIZE32)
		address = WINDOW32;
	return address + op->at;
}

/* Accesses. True: both agree on what was read. */
static inline bool property_access(struct property *p, const struct op *op)
{
	uint64_t value = op->value & peal_ones(op->size), address;
	bool decodes;

	switch (op->kind) {
	case CONFIG_READ:
		return config_read(&p->f, op->at, op->size) ==
		       model_config_read(&p->model, op->at, op->size);
	case CONFIG_WRITE:
		config_write(&p->f, op->at, op->size, value);
		model_config_write(&p->model, op->at, op->size, value);
		return true;
	case BAR_READ:
		return table_read(&p->f, op->at, op->size) ==
		       model_bar_read(&p->model, op->at, op->size);
	case BAR_WRITE:
		table_write(&p->f, op->at, op->size, value);
		model_bar_write(&p->model, op->at, op->size, value);
		return true;
	case SPACE_READ:
		address = space_address(p, op, &decodes);
		value = space_read(p->f.ram.space, address, op->size);
		return value == (decodes ? model_bar_read(&p->model, op->at, op->size)
					 : peal_ones(op->size));
	default:
		address = space_address(p, op, &decodes);
		if (decodes)
			model_bar_write(&p->model, op->at, op->size, value);
		return space_write(p->f.ram.space, address, op->size, value) ==
		       (decodes ? 0 : -EFAULT);
	}
}

static inline void property_start(struct property *p)
{
	static const struct op writes[] = {
		{ CONFIG_WRITE, 2, AT_PM + 4, 0 },
		{ CONFIG_WRITE, 4, BAR(0), WINDOW32 },
		{ CONFIG_WRITE, 2, COMMAND, COMMAND_MEMORY | COMMAND_BUS_MASTER },
		{ CONFIG_WRITE, 2, AT_MSIX + MSIX_CONTROL, MSIX_ENABLE },
		{ SPACE_WRITE, 4, 12, 0 },
		{ SPACE_WRITE, 4, 16 * 2 + 12, 0 },
		{ SPACE_WRITE, 4, 16 * 64 + 12, 0 },
	};

	for (size_t i = 0; i < PEAL_COUNT_OF(writes); i++)
		(void)property_access(p, &writes[i]);
}

static inline bool property_do(struct property *p, const struct op *op)
{
	static const int answers[] = { 1, 1, 1, 0, -EIO };
	struct fixture *f = &p->f;
	struct model *m = &p->model;
	int r;

	switch (op->kind) {
	case NOTIFY:
		r = peal_msix_notify(f->msix, op->at);
		return r == model_notify(m, op->at);
	case USE:
		if (op->at < MODEL_VECTORS)
			m->vectors[op->at].uses++;
		return peal_msix_use(f->msix, op->at) == (op->at < MODEL_VECTORS ? 0 : -EINVAL);
	case UNUSE:
		/* Only what is in use may be unused. */
		if (op->at < MODEL_VECTORS && m->vectors[op->at].uses) {
			peal_msix_unuse(f->msix, op->at);
			model_unuse(m, op->at);
		}
		return true;
	case UNUSE_ALL:
		peal_msix_unuse_all(f->msix);
		model_unuse_all(m);
		return true;
	case RESET:
		peal_pci_function_reset(f->function);
		model_reset(m);
		return true;
	case REPLUG:
		fixture_unplug(f);
		model_reset(m);
		m->plugged = false;
		fixture_plug(f);
		m->plugged = true;
		return true;
	case ANSWER:
		p->answer = m->answer = answers[op->value % PEAL_COUNT_OF(answers)];
		return true;
	case START:
		property_start(p);
		return true;
	default:
		return property_access(p, op);
	}
}

static inline bool same_counters(const struct property *p, unsigned v)
{
	struct peal_msix_counters c = counters(p->f.msix, v);
	const struct model_vector *m = &p->model.vectors[v];

	return c.sent == m->sent && c.refired == m->refired && c.pended == m->pended &&
	       c.merged == m->merged && c.dropped == m->dropped && c.blocked == m->blocked &&
	       c.failed == m->failed;
}

/* What the operation sent and what can be asked for; WHOLE: everything. */
static inline const char *property_compare(struct property *p, unsigned v, bool whole)
{
	struct model *m = &p->model;

	if (p->nmessages != m->nmessages)
		return "messages sent";
	if (memcmp(p->messages, m->messages, m->nmessages * sizeof(*m->messages)) != 0)
		return "a message";
	p->nmessages = m->nmessages = 0;
	if (p->requester_wrong)
		return "the requester id";
	if (p->f.device.resets != m->resets)
		return "resets";
	if (peal_pci_function_is_bus_master(p->f.function) != model_is_bus_master(m))
		return "bus master";
	for (v %= MODEL_VECTORS;; v = v ? v - 1 : MODEL_VECTORS - 1) {
		if (peal_msix_is_masked(p->f.msix, v) != model_is_masked(m, v))
			return "masked";
		if (peal_msix_is_pending(p->f.msix, v) != m->vectors[v].pending)
			return "pending";
		if (!same_counters(p, v))
			return "counters";
		if (!whole || v == 0)
			break;
	}
	if (!whole)
		return NULL;
	for (unsigned at = 0; at < MODEL_CONFIG; at += 8) {
		if (config_read(&p->f, at, 8) != model_config_read(m, at, 8))
			return "configuration space";
	}
	for (unsigned at = 0; at < MODEL_BAR; at += 8) {
		if (table_read(&p->f, at, 8) != model_bar_read(m, at, 8))
			return "BAR 0";
	}
	return peal_pci_function_past_end(p->f.function) == m->past_end ? NULL : "past the end";
}

/* The number of the first operation after which the two differ, or COUNT. */
static inline unsigned property_run(const struct op *ops, unsigned count, enum model_bug bug,
				    const char **what)
{
	struct property *p = (struct property *)calloc(1, sizeof(*p));
	unsigned i;

	assert_non_null(p);
	property_init(p, bug);
	*what = NULL;
	for (i = 0; i < count; i++) {
		if (!property_do(p, &ops[i]))
			*what = "what was read or returned";
		else
			*what = property_compare(p, ops[i].at, i % 512 == 511 || i + 1 == count);
		if (*what)
			break;
	}
	fixture_done(&p->f);
	free(p);
	return i;
}

/* ---- failing sequences ---- */

/* Leaves out what is not needed for the failure; the new count. */
static inline unsigned property_shrink(struct op *ops, unsigned count, enum model_bug bug)
{
	struct op *fewer = (struct op *)calloc(count, sizeof(*ops));
	const char *what;

	assert_non_null(fewer);
	for (unsigned chunk = count / 2 ? count / 2 : 1; chunk > 0; chunk /= 2) {
		for (unsigned at = 0; at < count;) {
			unsigned gone = chunk < count - at ? chunk : count - at, failed;

			memcpy(fewer, ops, at * sizeof(*ops));
			memcpy(fewer + at, ops + at + gone, (count - at - gone) * sizeof(*ops));
			failed = property_run(fewer, count - gone, bug, &what);
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

static inline void property_print(const struct op *ops, unsigned count, const char *what)
{
	static const char *const names[KINDS] = {
		"notify",     "config_read", "config_write", "bar_read", "bar_write",
		"space_read", "space_write", "use",          "unuse",    "unuse_all",
		"reset",      "replug",      "answer",       "start",
	};

	print_error("after these operations the function and its model differ in %s:\n", what);
	for (unsigned i = 0; i < count; i++)
		print_error("  %s at %#x, %u bytes, %#llx\n", names[ops[i].kind], ops[i].at,
			    ops[i].size, (unsigned long long)ops[i].value);
}

/* $PEAL_SEED, or another one each time. */
static inline uint64_t property_seed(void)
{
	const char *given = getenv("PEAL_SEED");
	struct timespec now;
	uint64_t seed;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	seed = given ? strtoull(given, NULL, 0) : (uint64_t)now.tv_nsec;
	print_message("# PEAL_SEED=%#llx\n", (unsigned long long)seed);
	return seed;
}

/* SEQUENCES of random operations; the number that is left of the first one that fails, or 0. */
static inline unsigned property_search(unsigned sequences, enum model_bug bug, struct op *ops,
				       const char **what)
{
	uint64_t random = property_seed();

	for (unsigned n = 0; n < sequences; n++) {
		unsigned failed;

		for (unsigned i = 0; i < SEQUENCE; i++)
			ops[i] = random_op(&random);
		failed = property_run(ops, SEQUENCE, bug, what);
		if (!*what)
			continue;
		failed = property_shrink(ops, failed + 1, bug);
		(void)property_run(ops, failed, bug, what);
		return failed;
	}
	return 0;
}

static inline void property_test(unsigned sequences)
{
	struct op *ops = (struct op *)calloc(SEQUENCE, sizeof(*ops));
	const char *what;
	unsigned count;

	assert_non_null(ops);
	count = property_search(sequences, MODEL_CORRECT, ops, &what);
	if (count)
		property_print(ops, count, what);
	free(ops);
	assert_int_equal(count, 0);
}

#endif
