/* SPDX-License-Identifier: BSD-2-Clause */
/* Every cell of index × action × data × state, and what is refused before the state counts. */
#include "fixture.h"

#define T (-ENOTTY)
#define V (-EINVAL)
#define R (-ERANGE)

/* Answers by state and count 0, 1. Idle: nothing of it is set; own: it is; other: another is. */
struct cell {
	unsigned index;
	uint32_t action;
	uint32_t data;
	int idle[2];
	int own[2];
	int other[2];
};

#define NONE    PEAL_VFIO_DATA_NONE
#define BOOL    PEAL_VFIO_DATA_BOOL
#define EVENTFD PEAL_VFIO_DATA_EVENTFD

/* clang-format off */
#define NO_MASK(index)                                                  \
	{ index, MASK, NONE, { T, T }, { T, T }, { T, T } },            \
	{ index, MASK, BOOL, { T, T }, { T, T }, { T, T } },            \
	{ index, MASK, EVENTFD, { T, T }, { T, T }, { T, T } },         \
	{ index, UNMASK, NONE, { T, T }, { T, T }, { T, T } },          \
	{ index, UNMASK, BOOL, { T, T }, { T, T }, { T, T } },          \
	{ index, UNMASK, EVENTFD, { T, T }, { T, T }, { T, T } }
#define MESSAGES(index)                                                 \
	NO_MASK(index),                                                 \
	{ index, TRIGGER, NONE, { V, V }, { 0, 0 }, { V, V } },         \
	{ index, TRIGGER, BOOL, { V, V }, { 0, 0 }, { V, V } },         \
	{ index, TRIGGER, EVENTFD, { R, 0 }, { 0, 0 }, { V, V } }
#define SINGLE(index)                                                   \
	NO_MASK(index),                                                 \
	{ index, TRIGGER, NONE, { V, V }, { 0, 0 }, { V, V } },         \
	{ index, TRIGGER, BOOL, { V, 0 }, { V, 0 }, { V, 0 } },         \
	{ index, TRIGGER, EVENTFD, { V, 0 }, { V, 0 }, { V, 0 } }

static const struct cell cells[] = {
	{ INTX, MASK, NONE, { V, V }, { V, 0 }, { V, V } },
	{ INTX, MASK, BOOL, { V, V }, { V, 0 }, { V, V } },
	{ INTX, MASK, EVENTFD, { V, V }, { V, T }, { V, V } },
	{ INTX, UNMASK, NONE, { V, V }, { V, 0 }, { V, V } },
	{ INTX, UNMASK, BOOL, { V, V }, { V, 0 }, { V, V } },
	{ INTX, UNMASK, EVENTFD, { V, V }, { V, 0 }, { V, V } },
	{ INTX, TRIGGER, NONE, { V, V }, { 0, 0 }, { V, V } },
	{ INTX, TRIGGER, BOOL, { V, V }, { V, 0 }, { V, V } },
	{ INTX, TRIGGER, EVENTFD, { V, 0 }, { V, 0 }, { V, V } },
	MESSAGES(MSI),
	MESSAGES(MSIX),
	SINGLE(ERR),
	SINGLE(REQ),
};
/* clang-format on */

_Static_assert(PEAL_COUNT_OF(cells) == 5 * 3 * 3, "every index, action and data");

enum state {
	IDLE,
	OWN,
	OTHER
};

/* A rig in a state; OTHER: MSI-X, or for MSI-X itself MSI. */
static struct rig *rig_in(enum state state, unsigned index)
{
	struct rig *rig = rig_new(PEAL_IRQSET_LINUX_7_0, 0);

	if (state == OWN)
		enable(rig, index, index == INTX || index >= ERR ? 1 : 4);
	if (state == OTHER)
		enable(rig, index == MSIX ? MSI : MSIX, 4);
	rig_forget(rig);
	return rig;
}

/* One request in the way of the ioctl or of a message; BAD: with one byte of payload missing. */
static int request(struct rig *rig, const struct cell *cell, uint32_t count, bool message)
{
	const uint8_t one = 1;
	const int32_t fd = FD + 50;
	const struct peal_irqset_request r = {
		.argsz = PEAL_VFIO_IRQ_REQUEST_SIZE + 4,
		.flags = cell->action | cell->data,
		.index = cell->index,
		.count = count,
	};

	if (cell->data == EVENTFD && message)
		return peal_irqset_set_message(rig->irqset, &r, NULL, 0, &fd, count);
	if (message)
		return peal_irqset_set_message(rig->irqset, &r, &one, 1, NULL, 0);
	return peal_irqset_set(rig->irqset, &r, cell->data == EVENTFD ? (const void *)&fd : &one,
			       cell->data == EVENTFD ? 4 : 1);
}

static void every_cell_answers_as_the_table_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(cells); i++) {
		const struct cell *cell = &cells[i];
		const int *answers[] = { cell->idle, cell->own, cell->other };

		for (unsigned n = 0; n < 3 * 2 * 2; n++) {
			enum state in = (enum state)(n / 4);
			struct rig *rig = rig_in(in, cell->index);
			int64_t references = rig->references;
			int expected = answers[in][n & 1], r;

			r = request(rig, cell, n & 1, n & 2);
			if (r != expected)
				print_error("index %u action %#x data %u state %u count %u: %d\n",
					    cell->index, cell->action, cell->data, in, n & 1, r);
			assert_int_equal(r, expected);
			/* What was refused changed nothing. */
			if (r < 0) {
				assert_string_equal(rig->log, "");
				assert_int_equal(rig->references, references);
			}
			rig_free(rig);
		}
	}
}

static void not_exactly_one_action_is_enotty(void **state)
{
	static const uint32_t bad[] = { 0, MASK | UNMASK, MASK | TRIGGER, UNMASK | TRIGGER,
					MASK | UNMASK | TRIGGER };

	(void)state;
	for (unsigned index = 0; index < PEAL_VFIO_IRQS; index++) {
		for (size_t i = 0; i < PEAL_COUNT_OF(bad); i++) {
			struct rig *rig = rig_in(OWN, index);
			const int32_t fd = FD;

			assert_int_equal(set_none(rig, bad[i], index, 0, 1), T);
			assert_int_equal(set_bool(rig, bad[i], index, 0, 1), T);
			assert_int_equal(set_fds(rig, bad[i], index, 0, 1, &fd), T);
			/* What does not hold together comes first. */
			assert_int_equal(set_none(rig, bad[i], index, 0, 4000), V);
			assert_string_equal(rig->log, "");
			rig_free(rig);
		}
	}
}

struct bad {
	const char *what;
	struct peal_irqset_request request;
	size_t size; /* of the payload */
};

#define MAX UINT32_MAX

static const struct bad bads[] = {
	{ "argsz", { 19, NONE | TRIGGER, MSIX, 0, 1 }, 0 },
	{ "argsz 0", { 0, NONE | TRIGGER, MSIX, 0, 0 }, 0 },
	{ "index", { 20, NONE | TRIGGER, 5, 0, 0 }, 0 },
	{ "index", { 20, NONE | TRIGGER, MAX, 0, 0 }, 0 },
	{ "flags", { 20, NONE | TRIGGER | 0x40, MSIX, 0, 1 }, 0 },
	{ "flags", { 20, NONE | TRIGGER | 0x80000000, MSIX, 0, 1 }, 0 },
	{ "no data", { 24, TRIGGER, MSIX, 0, 1 }, 4 },
	{ "two data", { 24, NONE | BOOL | TRIGGER, MSIX, 0, 1 }, 4 },
	{ "two data", { 24, BOOL | EVENTFD | TRIGGER, MSIX, 0, 1 }, 4 },
	{ "all data", { 24, NONE | BOOL | EVENTFD | TRIGGER, MSIX, 0, 1 }, 4 },
	{ "start", { 20, NONE | TRIGGER, MSIX, 2048, 0 }, 0 },
	{ "start", { 20, NONE | TRIGGER, MSIX, MAX, 0 }, 0 },
	{ "range", { 20, NONE | TRIGGER, MSIX, 2047, 2 }, 0 },
	{ "range", { 20, NONE | TRIGGER, MSIX, 0, 2049 }, 0 },
	/* CVE-2016-9083: start + count wraps. */
	{ "wrap", { 20, NONE | TRIGGER, MSIX, 1, MAX }, 0 },
	{ "wrap", { 20, NONE | TRIGGER, MSIX, 4, MAX - 2 }, 0 },
	{ "wrap", { 20, NONE | TRIGGER, MSIX, MAX, 1 }, 0 },
	{ "wrap", { 20, NONE | TRIGGER, MSIX, 0, MAX }, 0 },
	{ "wrap", { MAX, BOOL | TRIGGER, MSIX, 2, MAX - 1 }, 64 },
	/* CVE-2016-9084: count × size wraps. */
	{ "product", { 24, EVENTFD | TRIGGER, MSIX, 0, 0x40000001 }, 4 },
	{ "product", { 20, EVENTFD | TRIGGER, MSIX, 0, 0x40000000 }, 0 },
	{ "product", { MAX, EVENTFD | TRIGGER, MSIX, 0, 0x80000001 }, 64 },
	{ "payload", { 23, EVENTFD | TRIGGER, MSIX, 0, 1 }, 4 },
	{ "payload", { 24, EVENTFD | TRIGGER, MSIX, 0, 1 }, 3 },
	{ "payload", { 27, EVENTFD | TRIGGER, MSIX, 0, 2 }, 8 },
	{ "payload", { 20, BOOL | TRIGGER, MSIX, 0, 1 }, 1 },
	{ "payload", { 24, BOOL | TRIGGER, MSIX, 0, 4 }, 3 },
	{ "start", { 20, NONE | TRIGGER, ERR, 1, 0 }, 0 },
	{ "range", { 20, NONE | TRIGGER, ERR, 0, 2 }, 0 },
	{ "range", { 28, EVENTFD | TRIGGER, REQ, 0, 2 }, 8 },
	{ "start", { 20, NONE | MASK, INTX, 1, 1 }, 0 },
	{ "range", { 20, NONE | MASK, INTX, 0, 2 }, 0 },
	{ "range", { 20, NONE | TRIGGER, MSI, 32, 1 }, 0 },
};

static void what_does_not_hold_together_is_einval_and_changes_nothing(void **state)
{
	static const int32_t payload[16] = { FD, FD, FD, FD };

	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(bads); i++) {
		for (enum state in = IDLE; in <= OTHER; in++) {
			const struct peal_irqset_request *r = &bads[i].request;
			unsigned index = r->index < PEAL_VFIO_IRQS ? r->index : MSIX;
			struct rig *rig = rig_in(in, index);
			uint32_t active = peal_irqset_active(rig->irqset);
			int answer = peal_irqset_set(rig->irqset, r, payload, bads[i].size);
			struct peal_irqset_counters counters;

			if (answer != V)
				print_error("row %zu, %s: %d\n", i, bads[i].what, answer);
			assert_int_equal(answer, V);
			assert_string_equal(rig->log, "");
			assert_int_equal(peal_irqset_active(rig->irqset), active);
			peal_irqset_counters(rig->irqset, INTX, 0, &counters);
			assert_int_equal(counters.refused, 1);
			rig_free(rig);
		}
	}
}

static void index_without_vectors_refuses_everything(void **state)
{
	static const uint32_t datas[] = { NONE, BOOL, EVENTFD };
	struct rig *rig = malloc(sizeof(*rig));
	const int32_t fd = FD;

	(void)state;
	assert_non_null(rig);
	rig_defaults(rig);
	memset(rig->config.count, 0, sizeof(rig->config.count));
	rig_start(rig);
	for (unsigned index = 0; index < PEAL_VFIO_IRQS; index++) {
		for (unsigned i = 0; i < 3; i++) {
			for (uint32_t count = 0; count < 2; count++)
				assert_int_equal(set_raw(rig, datas[i] | TRIGGER, index, 0, count,
							 &fd, sizeof(fd)),
						 V);
		}
		if (index != INTX)
			assert_int_equal(peal_irqset_raise(rig->irqset, index, 0), 0);
	}
	peal_irqset_set_intx_line(rig->irqset, true);
	assert_string_equal(rig->log, "");
	rig_free(rig);
}

static void message_needs_descriptors_for_all_or_none(void **state)
{
	static const int fds[] = { FD, FD + 1, FD + 2 };
	const struct peal_irqset_request r = { 20, EVENTFD | TRIGGER, MSIX, 0, 2 };
	const struct peal_irqset_request none = { 20, NONE | TRIGGER, MSIX, 0, 2 };
	const struct peal_irqset_request bools = { 22, BOOL | TRIGGER, MSIX, 0, 2 };
	struct rig *rig = rig_in(OWN, MSIX);

	(void)state;
	assert_int_equal(peal_irqset_set_message(rig->irqset, &r, NULL, 0, fds, 1), V);
	assert_int_equal(peal_irqset_set_message(rig->irqset, &r, NULL, 0, fds, 3), V);
	/* Descriptors where none belong. */
	assert_int_equal(peal_irqset_set_message(rig->irqset, &none, NULL, 0, fds, 2), V);
	assert_int_equal(peal_irqset_set_message(rig->irqset, &bools, "\1\1", 2, fds, 2), V);
	assert_string_equal(rig->log, "");
	assert_int_equal(peal_irqset_set_message(rig->irqset, &bools, "\1\1", 2, NULL, 0), 0);
	assert_int_equal(peal_irqset_set_message(rig->irqset, &r, NULL, 0, fds, 2), 0);
	assert_string_equal(rig->log, "get 100 get 101 put 101 put 100 ");
	rig_free(rig);
}

static void info_says_count_and_flags(void **state)
{
	static const struct {
		unsigned index;
		uint32_t flags;
		uint32_t count;
	} rows[] = {
		{ INTX, 0x7, 1 }, { MSI, 0x9, 32 }, { MSIX, 0x9, 2048 },
		{ ERR, 0x9, 1 },  { REQ, 0x9, 1 },
	};
	struct rig *rig = rig_new(PEAL_IRQSET_LINUX_7_0, 0);
	struct peal_vfio_irq_info info = { 77, 77 };

	(void)state;
	assert_int_equal(peal_irqset_info(rig->irqset, 5, &info), V);
	assert_int_equal(info.count, 77);
	for (size_t i = 0; i < PEAL_COUNT_OF(rows); i++) {
		assert_int_equal(peal_irqset_info(rig->irqset, rows[i].index, &info), 0);
		assert_int_equal(info.flags, rows[i].flags);
		assert_int_equal(info.count, rows[i].count);
	}
	rig_free(rig);
	/* With dynamic allocation MSI-X can be resized, except on kernels that could not. */
	rig = rig_new(PEAL_IRQSET_LINUX_7_0, PEAL_IRQSET_DYNAMIC);
	assert_int_equal(peal_irqset_info(rig->irqset, MSIX, &info), 0);
	assert_int_equal(info.flags, 0x1);
	assert_int_equal(peal_irqset_info(rig->irqset, MSI, &info), 0);
	assert_int_equal(info.flags, 0x9);
	rig_free(rig);
	rig = rig_new(PEAL_IRQSET_LINUX_5_14, PEAL_IRQSET_DYNAMIC);
	assert_int_equal(peal_irqset_info(rig->irqset, MSIX, &info), 0);
	assert_int_equal(info.flags, 0x9);
	rig_free(rig);
}

static void err_of_a_conventional_function_is_not_there(void **state)
{
	struct rig *rig = malloc(sizeof(*rig));
	struct peal_vfio_irq_info info;

	(void)state;
	assert_non_null(rig);
	rig_defaults(rig);
	rig->config.count[ERR] = 0;
	rig->config.count[MSI] = 0;
	rig->config.count[MSIX] = 0;
	rig->config.flags = PEAL_IRQSET_DYNAMIC;
	rig_start(rig);
	assert_int_equal(peal_irqset_info(rig->irqset, ERR, &info), V);
	assert_int_equal(set_fd(rig, TRIGGER, ERR, 0, FD), V);
	/* The others may be without vectors. */
	assert_int_equal(peal_irqset_info(rig->irqset, MSI, &info), 0);
	assert_int_equal(info.count, 0);
	/* There is nothing to resize. */
	assert_int_equal(peal_irqset_info(rig->irqset, MSIX, &info), 0);
	assert_int_equal(info.count, 0);
	assert_int_equal(info.flags, 0x9);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cell_answers_as_the_table_says),
		cmocka_unit_test(not_exactly_one_action_is_enotty),
		cmocka_unit_test(what_does_not_hold_together_is_einval_and_changes_nothing),
		cmocka_unit_test(index_without_vectors_refuses_everything),
		cmocka_unit_test(message_needs_descriptors_for_all_or_none),
		cmocka_unit_test(info_says_count_and_flags),
		cmocka_unit_test(err_of_a_conventional_function_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
