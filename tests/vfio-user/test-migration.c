/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Devices of ours move from one server to another, as a VMM moves them: their memory and their medium
 * are the same on both sides, and what the client sees has no seam.
 */
#include "movers.h"

#include "../../examples/hello-device-state.c"
#include "../../examples/hello-device.c"

static void requests_under_way_are_done_once(void **state)
{
	static const struct {
		unsigned workers, every;
		uint64_t features;
	} rows[] = {
		{ 2, 40, 0 },
		{ 1, 7, PEAL_BIT(PEAL_VIRTIO_F_EVENT_IDX) | PEAL_BIT(PEAL_VIRTIO_BLK_F_FLUSH) },
		{ 0, 100, PEAL_BIT(PEAL_VIRTIO_F_INDIRECT_DESC) },
	};

	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(rows); i++) {
		struct pair *p = pair_new(QUEUES, rows[i].workers, 5, rows[i].features);

		run_and_move(p, 600, rows[i].every);
		pair_expect_done(p, 600);
		pair_free(p);
	}
}

/* What is asked for while it is stopped is done when it goes on. */
static void a_stopped_device_does_nothing(void **state)
{
	static const uint32_t states[] = { PEAL_VFIO_MIG_STOP, PEAL_VFIO_MIG_STOP_COPY };

	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(states); i++) {
		/* Without workers whoever notifies does the work, before he is answered. */
		struct pair *p = pair_new(1, 0, 0, 0);
		struct served *s = &p->served[0];
		struct queue *q = &p->r.queues[0];
		const struct peal_vfio_range all = { RAM, RAM_SIZE };
		uint64_t page_size = 4096, written = 0;
		uint8_t used[4096];

		offer_request(&p->r, 0);
		queue_notify(s, q);
		assert_true(take_request(&p->r, 0));
		assert_int_equal(served_signals(s, 1), 1);
		served_set_state(s, states[i]);
		memcpy(used, queue_at(q, QUEUE_USED), sizeof(used));
		assert_int_equal(peal_vfio_dma_log_start(s->device, &page_size, NULL, 0), 0);
		for (unsigned n = 0; n < 5; n++) {
			offer_request(&p->r, 0);
			queue_notify(s, q);
		}
		assert_memory_equal(queue_at(q, QUEUE_USED), used, sizeof(used));
		/* Not even what it takes back. */
		assert_int_equal(peal_vfio_dma_log_report(s->device, &all, RAM_SIZE, &written), 0);
		assert_int_equal(written, 0);
		assert_int_equal(queue_used_index(q), 1);
		assert_int_equal(p->paths[0].requests, 1);
		served_set_state(s, PEAL_VFIO_MIG_RUNNING);
		while (take_request(&p->r, 0))
			;
		assert_int_equal(peal_vfio_dma_log_report(s->device, &all, RAM_SIZE, &written), 0);
		assert_int_equal(written, 1);
		pair_expect_done(p, 6);
		assert_true(served_signals(s, 1) > 0);
		pair_free(p);
	}
}

static void a_medium_of_another_size_is_refused(void **state)
{
	struct pair *p = pair_new(1, 0, 0, 0);
	uint8_t *stream = malloc(SERVED_STREAM);
	size_t size;

	(void)state;
	assert_non_null(stream);
	served_set_state(&p->served[0], PEAL_VFIO_MIG_STOP_COPY);
	size = served_read_stream(&p->served[0], stream, 0);
	pair_free(p);
	p = pair_new(2, 0, 0, 0);
	served_set_state(&p->served[1], PEAL_VFIO_MIG_RESUMING);
	/* It has more queues, so another size too; what fits of it is not enough. */
	(void)peal_vfio_mig_write(p->served[1].device, stream, size);
	assert_int_equal(peal_vfio_mig_set_state(p->served[1].device, PEAL_VFIO_MIG_STOP), -EINVAL);
	pair_free(p);
	free(stream);
}

/* ---- rng ---- */

static int fill_a5(void *user, void *bytes, size_t size)
{
	(void)user;
	memset(bytes, 0xa5, size);
	return 0;
}

static void rng_moves(void **state)
{
	const struct peal_virtio_rng_config config = { .host = peal_host_default(),
						       .fill = fill_a5,
						       .workers = 1 };
	struct peal_virtio_rng *rngs[2];
	struct served served[2];
	struct queue q;
	struct ram ram;
	uint32_t head;

	(void)state;
	ram_init(&ram);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(peal_virtio_rng_new(&rngs[i], &config), 0);
		served_open(&served[i], peal_virtio_rng_function(rngs[i]));
		served_map(&served[i], &ram);
		served_enable_msix(&served[i], 2);
	}
	virtio_start(&served[0], &q, 1, &ram, 0);
	for (unsigned n = 0; n < 100; n++)
		queue_offer(&q, queue_describe(&q, DATA + 64 * n, 64, true, false));
	queue_notify(&served[0], &q);
	served_move(&served[0], &served[1]);
	for (unsigned n = 0; n < 100; n++) {
		while (!queue_take(&q, &head))
			served_wait(&served[1], 1);
		assert_int_equal(head, n);
		for (unsigned i = 0; i < 64; i++)
			assert_int_equal(ram.memory[(DATA - RAM) + 64 * n + i], 0xa5);
	}
	for (unsigned i = 0; i < 2; i++) {
		served_close(&served[i]);
		peal_virtio_rng_free(rngs[i]);
	}
	ram_done(&ram);
}

/* ---- hello ---- */

static void hello_moves(void **state)
{
	struct hello *hellos[2];
	struct served served[2];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(hello_new(&hellos[i], peal_host_default()), 0);
		served_open(&served[i], hello_function(hellos[i]));
		served_write(&served[i], PEAL_VFIO_REGION_CONFIG, 0x04, 2, 6);
		served_enable_msix(&served[i], 1);
	}
	for (unsigned i = 0; i < 5; i++)
		served_write(&served[0], HELLO_BAR, 0, 4, 1);
	served_move(&served[0], &served[1]);
	assert_int_equal(served_read(&served[1], HELLO_BAR, 0, 4), 5);
	served_write(&served[1], HELLO_BAR, 0, 4, 1);
	assert_int_equal(served_read(&served[1], HELLO_BAR, 0, 4), 6);
	assert_int_equal(served_signals(&served[0], 0), 5);
	assert_int_equal(served_signals(&served[1], 0), 1);
	for (unsigned i = 0; i < 2; i++) {
		served_close(&served[i]);
		hello_free(hellos[i]);
	}
}

/* ---- bell ---- */

static void start_rounds(struct served *s, uint32_t rounds, uint32_t period)
{
	bell_write(s, PEAL_BELL_FIRST, 0);
	bell_write(s, PEAL_BELL_COUNT, VECTORS);
	bell_write(s, PEAL_BELL_ROUNDS, rounds);
	bell_write(s, PEAL_BELL_PERIOD, period);
	bell_write(s, PEAL_BELL_CONTROL, 1);
}

/* It rings on where it was: each vector as often as asked, each ring one signal, here or there. */
static void a_bell_moves_in_the_middle_of_rounds(void **state)
{
	struct bells b;
	unsigned runs = 0, moves = 0;

	(void)state;
	bells_init(&b, VECTORS);
	served_enable_msix(&b.served[0], VECTORS);
	served_enable_msix(&b.served[1], VECTORS);
	start_rounds(&b.served[0], ROUNDS, 0);
	while (bell_read(&b.served[runs], PEAL_BELL_BUSY)) {
		served_move(&b.served[runs], &b.served[!runs]);
		runs = !runs;
		moves++;
	}
	print_message("# %u moves\n", moves);
	assert_int_equal(bell_read(&b.served[runs], PEAL_BELL_LEFT), 0);
	assert_int_equal(served_read(&b.served[runs], PEAL_BELL_BAR, PEAL_BELL_RINGS, 8),
			 ROUNDS * VECTORS);
	for (unsigned v = 0; v < VECTORS; v++) {
		assert_int_equal(served_read(&b.served[runs], PEAL_BELL_BAR,
					     PEAL_BELL_RINGS_EACH + 8 * v, 8),
				 ROUNDS);
		assert_int_equal(served_signals(&b.served[0], v) + served_signals(&b.served[1], v),
				 ROUNDS);
	}
	bells_done(&b);
}

static void rounds_with_a_period_go_on(void **state)
{
	struct bells b;
	uint64_t signals = 0;

	(void)state;
	bells_init(&b, VECTORS);
	served_enable_msix(&b.served[0], VECTORS);
	served_enable_msix(&b.served[1], VECTORS);
	start_rounds(&b.served[0], 20, 500);
	served_wait(&b.served[0], VECTORS - 1);
	signals = 1;
	served_move(&b.served[0], &b.served[1]);
	assert_int_equal(bell_read(&b.served[1], PEAL_BELL_PERIOD), 500);
	signals += served_signals(&b.served[0], VECTORS - 1);
	while (bell_read(&b.served[1], PEAL_BELL_BUSY))
		;
	/* The wait took what there was. */
	assert_in_range(signals + served_signals(&b.served[1], VECTORS - 1), 1, 20);
	assert_int_equal(served_read(&b.served[1], PEAL_BELL_BAR, PEAL_BELL_RINGS, 8),
			 20 * VECTORS);
	bells_done(&b);
}

#define ENTRY(v) (16 * (uint64_t)(v))
#define PBA      2048u

/* Masked by a driver that has the table, or raised while stopped: they come on the other side. */
static void vectors_that_pend_come_on_the_other_side(void **state)
{
	(void)state;
	for (unsigned late = 0; late < 2; late++) {
		struct bells b;
		struct served *from = &b.served[0], *to = &b.served[1];

		bells_init(&b, VECTORS);
		served_enable_msix(from, VECTORS);
		if (!late)
			served_enable_msix(to, VECTORS);
		for (unsigned v = 0; v < VECTORS; v++) {
			served_write(from, PEAL_BELL_MSIX_BAR, ENTRY(v), 8, 0xfee00000);
			served_write(from, PEAL_BELL_MSIX_BAR, ENTRY(v) + 8, 4, v);
			served_write(from, PEAL_BELL_MSIX_BAR, ENTRY(v) + 12, 4, v < 4);
		}
		for (unsigned v = 0; v < 6; v++)
			bell_write(from, PEAL_BELL_RING, v % 3 ? v : 0);
		served_set_state(from, PEAL_VFIO_MIG_STOP);
		/* Nothing of a stopped device is signalled. */
		bell_write(from, PEAL_BELL_RING_EACH + 4 * 10, 1);
		bell_write(from, PEAL_BELL_RING_EACH + 4 * 10, 1);
		served_write(from, PEAL_BELL_MSIX_BAR, ENTRY(2) + 12, 4, 0);
		for (unsigned v = 0; v < VECTORS; v++)
			assert_int_equal(served_signals(from, v), v == 4 || v == 5);
		served_set_state(from, PEAL_VFIO_MIG_RUNNING);
		assert_int_equal(served_signals(from, 2), 1);
		assert_int_equal(served_signals(from, 10), 1); /* pending is one bit */
		served_move(from, to);
		if (late)
			served_enable_msix(to, VECTORS);
		for (unsigned v = 0; v < VECTORS; v++)
			assert_int_equal(served_signals(to, v), 0);
		assert_int_equal(served_read(to, PEAL_BELL_MSIX_BAR, PBA, 8), 3);
		for (unsigned v = 0; v < VECTORS; v++) {
			served_write(to, PEAL_BELL_MSIX_BAR, ENTRY(v) + 12, 4, 0);
			assert_int_equal(served_signals(to, v), v < 2);
		}
		assert_int_equal(served_read(to, PEAL_BELL_BAR, PEAL_BELL_RINGS, 8), 8);
		for (unsigned v = 0; v < VECTORS; v++) {
			bell_write(to, PEAL_BELL_RING, v);
			assert_int_equal(served_signals(to, v), 1);
			assert_int_equal(served_signals(from, v), 0);
		}
		bells_done(&b);
	}
}

static int intx(struct served *s, uint32_t flags, uint32_t count, const int *fd)
{
	const struct peal_irqset_request request = {
		.argsz = 20 + (fd ? 4 : 0),
		.flags = flags,
		.index = PEAL_VFIO_IRQ_INTX,
		.count = count,
	};

	return peal_vfio_set_irqs(s->device, &request, fd, fd ? 4 : 0);
}

static void enable_intx(struct served *s)
{
	s->irqs[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->nirqs = 1;
	assert_int_equal(intx(s, PEAL_VFIO_DATA_EVENTFD | PEAL_VFIO_ACTION_TRIGGER, 1, s->irqs), 0);
}

static void a_line_that_is_up_is_up_on_the_other_side(void **state)
{
	const uint32_t unmask = PEAL_VFIO_DATA_NONE | PEAL_VFIO_ACTION_UNMASK;
	struct bells b;

	(void)state;
	bells_init(&b, VECTORS);
	enable_intx(&b.served[0]);
	enable_intx(&b.served[1]);
	served_set_state(&b.served[0], PEAL_VFIO_MIG_STOP);
	bell_write(&b.served[0], PEAL_BELL_RING, 3);
	assert_int_equal(served_signals(&b.served[0], 0), 0);
	assert_int_equal(intx(&b.served[0], unmask, 1, NULL), 0);
	assert_int_equal(served_signals(&b.served[0], 0), 0);
	served_set_state(&b.served[0], PEAL_VFIO_MIG_RUNNING);
	assert_int_equal(served_signals(&b.served[0], 0), 1);
	served_move(&b.served[0], &b.served[1]);
	assert_int_equal(served_signals(&b.served[0], 0), 0);
	assert_int_equal(served_signals(&b.served[1], 0), 1);
	assert_int_equal(bell_read(&b.served[1], PEAL_BELL_CAUSE), 1);
	/* Unmasked while it stands still: it comes when the device goes on. */
	served_set_state(&b.served[1], PEAL_VFIO_MIG_STOP);
	assert_int_equal(intx(&b.served[1], unmask, 1, NULL), 0);
	assert_int_equal(served_signals(&b.served[1], 0), 0);
	served_set_state(&b.served[1], PEAL_VFIO_MIG_RUNNING);
	assert_int_equal(served_signals(&b.served[1], 0), 1);
	bell_write(&b.served[1], PEAL_BELL_CAUSE, 1);
	assert_int_equal(intx(&b.served[1], unmask, 1, NULL), 0);
	assert_int_equal(served_signals(&b.served[1], 0), 0);
	bells_done(&b);
}

/* ---- clients that come and go ---- */

static void the_next_client_finds_a_device_that_runs(void **state)
{
	static const uint32_t states[] = { PEAL_VFIO_MIG_RUNNING,   PEAL_VFIO_MIG_STOP,
					   PEAL_VFIO_MIG_STOP_COPY, PEAL_VFIO_MIG_RESUMING,
					   PEAL_VFIO_MIG_PRE_COPY,  PEAL_VFIO_MIG_ERROR };
	const struct peal_vfu_client_config config = { 0 };

	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(states); i++) {
		bool kept = states[i] == PEAL_VFIO_MIG_RUNNING ||
			    states[i] == PEAL_VFIO_MIG_PRE_COPY;
		struct bells b;
		uint32_t is;

		bells_init(&b, 3);
		bell_write(&b.served[0], PEAL_BELL_FIRST, 77);
		if (states[i] == PEAL_VFIO_MIG_ERROR) {
			served_set_state(&b.served[0], PEAL_VFIO_MIG_RESUMING);
			assert_int_equal(peal_vfio_mig_set_state(b.served[0].device,
								 PEAL_VFIO_MIG_STOP),
					 -EINVAL);
		} else {
			served_set_state(&b.served[0], states[i]);
		}
		served_disconnect(&b.served[0]);
		served_connect(&b.served[0], &config);
		assert_int_equal(peal_vfio_mig_get_state(b.served[0].device, &is), 0);
		assert_int_equal(is, PEAL_VFIO_MIG_RUNNING);
		assert_int_equal(bell_read(&b.served[0], PEAL_BELL_FIRST), kept ? 77 : 0);
		bells_done(&b);
	}
}

static void features_are_what_they_are(void **state)
{
	static const struct {
		uint32_t flags;
		int r;
	} rows[] = {
		{ 1, 0 },
		{ 1 | PEAL_VFIO_FEATURE_GET, 0 },
		{ 1 | PEAL_VFIO_FEATURE_SET, -EINVAL },
		{ 2 | PEAL_VFIO_FEATURE_GET | PEAL_VFIO_FEATURE_SET, 0 },
		{ 6 | PEAL_VFIO_FEATURE_SET, 0 },
		{ 6 | PEAL_VFIO_FEATURE_GET, -EINVAL },
		{ 7 | PEAL_VFIO_FEATURE_SET, 0 },
		{ 8 | PEAL_VFIO_FEATURE_GET, 0 },
		{ 8 | PEAL_VFIO_FEATURE_SET, -EINVAL },
		{ 0, -ENOTTY },
		{ 3, -ENOTTY },
		{ 9, -ENOTTY },
		{ 0xffff, -ENOTTY },
	};
	struct peal_vfio_device *direct;
	uint64_t flags;
	struct bells b;

	(void)state;
	bells_init(&b, 3);
	direct = peal_vfio_function_device(b.served[0].vfio);
	for (size_t i = 0; i < PEAL_COUNT_OF(rows); i++) {
		assert_int_equal(peal_vfio_feature_probe(b.served[0].device, rows[i].flags),
				 rows[i].r);
		assert_int_equal(peal_vfio_feature_probe(direct, rows[i].flags), rows[i].r);
	}
	assert_int_equal(peal_vfio_migration_flags(b.served[0].device, &flags), 0);
	assert_int_equal(flags, PEAL_VFIO_MIGRATION_STOP_COPY | PEAL_VFIO_MIGRATION_PRE_COPY);
	bells_done(&b);
}

/* Without a server between: the same, and less of it. */
static void devices_of_this_process_move(void **state)
{
	uint8_t *stream = malloc(SERVED_STREAM);
	struct peal_vfio_device *from, *to;
	size_t size;
	struct bells b;

	(void)state;
	assert_non_null(stream);
	bells_init(&b, 3);
	from = peal_vfio_function_device(b.served[0].vfio);
	to = peal_vfio_function_device(b.served[1].vfio);
	bell_write(&b.served[0], PEAL_BELL_RING, 1);
	assert_int_equal(peal_vfio_mig_set_state(from, PEAL_VFIO_MIG_STOP_COPY), 0);
	assert_int_equal(peal_vfio_mig_read(from, stream, SERVED_STREAM, &size), 0);
	assert_int_equal(peal_vfio_mig_set_state(to, PEAL_VFIO_MIG_RESUMING), 0);
	assert_int_equal(peal_vfio_mig_write(to, stream, size), 0);
	assert_int_equal(peal_vfio_mig_set_state(to, PEAL_VFIO_MIG_RUNNING), 0);
	assert_int_equal(peal_bell_rings(b.bells[1], 1), 1);
	bells_done(&b);
	free(stream);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fds_test(requests_under_way_are_done_once),
		fds_test(a_stopped_device_does_nothing),
		fds_test(a_medium_of_another_size_is_refused),
		fds_test(rng_moves),
		fds_test(hello_moves),
		fds_test(a_bell_moves_in_the_middle_of_rounds),
		fds_test(rounds_with_a_period_go_on),
		fds_test(vectors_that_pend_come_on_the_other_side),
		fds_test(a_line_that_is_up_is_up_on_the_other_side),
		fds_test(the_next_client_finds_a_device_that_runs),
		fds_test(features_are_what_they_are),
		fds_test(devices_of_this_process_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
