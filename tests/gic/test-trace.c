/* SPDX-License-Identifier: BSD-2-Clause */
/* What the trace callback of an ITS is told. */
#include "its-guest.h"

#define TRACES 16u

struct tracer {
	struct guest g;
	struct peal_its_trace traces[TRACES];
	unsigned n;
};

static void on_trace(void *user, const struct peal_its_trace *trace)
{
	struct tracer *t = (struct tracer *)user;

	assert_true(t->n < TRACES);
	t->traces[t->n++] = *trace;
}

/* A started guest whose ITS is traced. */
static void init(struct tracer *t, bool stall)
{
	struct peal_its_config config = { .stall_on_fault = stall, .trace = on_trace, .user = t };
	int r;

	t->n = 0;
	guest_init(&t->g, NULL);
	peal_its_free(t->g.its[0].its);
	config.gic = t->g.gic;
	r = peal_its_new(&t->g.its[0].its, &config);
	assert_int_equal(r, 0);
	guest_start(&t->g);
	assert_int_equal(t->n, 0);
}

/* The next trace, which has to be a message. */
static void check_message(struct tracer *t, unsigned n, uint32_t device, uint32_t event, int result,
			  uint32_t intid, uint32_t redist)
{
	const struct peal_its_trace *trace = &t->traces[n];

	assert_true(n < t->n);
	assert_int_equal(trace->kind, PEAL_ITS_TRACE_MESSAGE);
	assert_int_equal(trace->device, device);
	assert_int_equal(trace->event, event);
	assert_int_equal(trace->result, result);
	assert_int_equal(trace->intid, intid);
	assert_int_equal(trace->redist, redist);
}

static void check_command(struct tracer *t, unsigned n, uint64_t dw0, uint32_t offset,
			  uint32_t error)
{
	const struct peal_its_trace *trace = &t->traces[n];

	assert_true(n < t->n);
	assert_int_equal(trace->kind, PEAL_ITS_TRACE_COMMAND);
	assert_int_equal(trace->command[0], dw0);
	assert_int_equal(trace->offset, offset);
	assert_int_equal(trace->error, error);
}

static void commands_are_traced_as_they_end(void **state)
{
	struct tracer t;
	struct guest_its *gi = &t.g.its[0];

	(void)state;
	init(&t, false);
	its_queue(gi, dw_device(MAPD, 8), 4, VALID | its_itt(gi, 0), 0);
	its_queue(gi, dw_device(MAPTI, 9), 0, 0, 0);
	its_queue(gi, 0x77, 1, 2, 3);
	its_ring(gi);
	assert_int_equal(t.n, 3);
	check_command(&t, 0, dw_device(MAPD, 8), 0, 0);
	assert_int_equal(t.traces[0].command[1], 4);
	assert_int_equal(t.traces[0].command[2], VALID | its_itt(gi, 0));
	check_command(&t, 1, dw_device(MAPTI, 9), 32, 0x010a04);
	check_command(&t, 2, 0x77, 64, 0x017700);
	assert_int_equal(t.traces[2].command[3], 3);
	guest_done(&t.g);
}

static void commands_that_cannot_be_read_are_traced(void **state)
{
	for (unsigned stall = 0; stall < 2; stall++) {
		struct tracer t;
		struct guest_its *gi = &t.g.its[0];

		(void)state;
		init(&t, stall);
		its_write32(gi, GITS_CTLR, 0);
		its_write(gi, GITS_CBASER, VALID | 0x1000);
		its_write32(gi, GITS_CTLR, 1);
		its_write(gi, GITS_CWRITER, 64);
		assert_int_equal(t.n, stall ? 1 : 2);
		check_command(&t, 0, 0, 0, 0x0100fe);
		guest_done(&t.g);
	}
}

static void messages_are_traced_with_what_came_of_them(void **state)
{
	struct tracer t;
	struct guest_its *gi = &t.g.its[0];

	(void)state;
	init(&t, false);
	its_map_collections(gi);
	its_map_lpis(gi, 8, LPI + 3, 2, 1, 0x80);
	t.n = 0;
	assert_int_equal(peal_its_send(gi->its, 8, 1), 1);
	check_message(&t, 0, 8, 1, 1, LPI + 4, 1);
	assert_int_equal(peal_its_send(gi->its, 8, 2), 0);
	check_message(&t, 1, 8, 2, 0, 0, PEAL_ITS_TRACE_NOWHERE);
	assert_int_equal(peal_its_send(gi->its, UINT32_MAX, UINT32_MAX), 0);
	check_message(&t, 2, UINT32_MAX, UINT32_MAX, 0, 0, PEAL_ITS_TRACE_NOWHERE);
	disable_lpis(&t.g, 1);
	assert_int_equal(peal_its_send(gi->its, 8, 0), -EBUSY);
	check_message(&t, 3, 8, 0, -EBUSY, LPI + 3, 1);
	(void)its_unmapc(gi, 1, 1);
	assert_int_equal(peal_its_send(gi->its, 8, 0), 0);
	check_message(&t, 5, 8, 0, 0, LPI + 3, PEAL_ITS_TRACE_NOWHERE);
	its_write32(gi, GITS_CTLR, 0);
	assert_int_equal(peal_its_send(gi->its, 8, 0), -EBUSY);
	check_message(&t, 6, 8, 0, -EBUSY, 0, PEAL_ITS_TRACE_NOWHERE);
	assert_int_equal(t.n, 7);
	guest_done(&t.g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_are_traced_as_they_end),
		cmocka_unit_test(commands_that_cannot_be_read_are_traced),
		cmocka_unit_test(messages_are_traced_with_what_came_of_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
