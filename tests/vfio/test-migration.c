/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The states of a migration, against the rules that they follow from (shortest way, no saving state
 * in between), and the stream: what is no stream of this device leaves ERROR and changes nothing.
 */
#include <peal/vfio.h>

#include "support.h"
#include "vfio/migration.h"

#define STATES 8u
#define BYTES  100u
#define STREAM (VFIO_MIGRATION_HEAD_SIZE + BYTES + VFIO_MIGRATION_TAIL_SIZE)
#define LOG    64u

#define S  PEAL_VFIO_MIG_STOP
#define R  PEAL_VFIO_MIG_RUNNING
#define SC PEAL_VFIO_MIG_STOP_COPY
#define RE PEAL_VFIO_MIG_RESUMING
#define PC PEAL_VFIO_MIG_PRE_COPY

/* ---- a device that writes down what it is told ---- */

struct device {
	struct test_host host;
	struct vfio_migration m;
	uint8_t bytes[BYTES];
	uint64_t kind;
	bool stopped;
	int save_error;
	int load_error;
	int stop_error;
	unsigned resets;
	char log[LOG];
};

static void note(struct device *d, char what)
{
	size_t length = strlen(d->log);

	assert_true(length + 1 < sizeof(d->log));
	d->log[length] = what;
}

static int stop(void *user)
{
	struct device *d = user;

	assert_false(d->stopped);
	if (d->stop_error)
		return d->stop_error;
	d->stopped = true;
	note(d, 's');
	return 0;
}

static void start(void *user)
{
	struct device *d = user;

	assert_true(d->stopped);
	d->stopped = false;
	note(d, 'g');
}

static size_t size(void *user)
{
	(void)user;
	return BYTES;
}

static int save(void *user, uint8_t *bytes)
{
	struct device *d = user;

	assert_true(d->stopped);
	note(d, 'w');
	memcpy(bytes, d->bytes, BYTES);
	return d->save_error;
}

static int load(void *user, const uint8_t *bytes, size_t length)
{
	struct device *d = user;

	assert_true(d->stopped);
	assert_int_equal(length, BYTES);
	note(d, 'l');
	if (d->load_error)
		return d->load_error;
	memcpy(d->bytes, bytes, BYTES);
	return 0;
}

static uint64_t kind(void *user)
{
	return ((struct device *)user)->kind;
}

static void reset(void *user)
{
	struct device *d = user;

	d->resets++;
	memset(d->bytes, 0, sizeof(d->bytes));
}

static void device_init(struct device *d)
{
	static const struct vfio_migration_ops ops = {
		.stop = stop,
		.start = start,
		.size = size,
		.save = save,
		.load = load,
		.kind = kind,
	};

	memset(d, 0, sizeof(*d));
	test_host_init(&d->host);
	d->kind = 0x1af41042;
	for (unsigned i = 0; i < BYTES; i++)
		d->bytes[i] = (uint8_t)(7 * i + 1);
	assert_int_equal(vfio_migration_init(&d->m, &d->host.host, &ops, d), 0);
}

static void device_done(struct device *d)
{
	vfio_migration_done(&d->m);
	test_host_done(&d->host);
}

static void set(struct device *d, enum peal_vfio_mig_state state)
{
	assert_int_equal(vfio_migration_set(&d->m, state), 0);
	assert_int_equal(vfio_migration_get(&d->m), state);
}

static void write_stream(struct device *d, const uint8_t *stream, size_t length)
{
	set(d, RE);
	assert_int_equal(vfio_migration_write(&d->m, stream, length), 0);
}

static void read_stream(struct device *d, uint8_t *stream)
{
	size_t done = 0;

	set(d, SC);
	assert_int_equal(vfio_migration_read(&d->m, stream, STREAM, &done), 0);
	assert_int_equal(done, STREAM);
}

/* ---- the rules ---- */

static const struct {
	enum peal_vfio_mig_state from, to;
} arcs[] = {
	{ R, S },  { SC, S }, { RE, S },  { PC, R }, { S, R },
	{ R, PC }, { S, SC }, { PC, SC }, { S, RE },
};

static bool is_saving(unsigned state)
{
	return state == SC || state == PC;
}

/* How many arcs from FROM to TO at least, with no saving state between, in DEPTH arcs; ~0: no way. */
static unsigned distance(unsigned from, unsigned to, unsigned depth)
{
	unsigned best = ~0u;

	if (from == to)
		return 0;
	if (depth == 0)
		return ~0u;
	for (size_t i = 0; i < PEAL_COUNT_OF(arcs); i++) {
		unsigned rest;

		if (arcs[i].from != from || (arcs[i].to != to && is_saving(arcs[i].to)))
			continue;
		rest = distance(arcs[i].to, to, depth - 1);
		if (rest != ~0u && rest + 1 < best)
			best = rest + 1;
	}
	return best;
}

/* What the arcs of the shortest way do, after LOG. */
static void expect_way(unsigned from, unsigned to, char *log)
{
	while (from != to) {
		unsigned left = distance(from, to, 6), next = from;

		for (size_t i = 0; i < PEAL_COUNT_OF(arcs); i++) {
			if (arcs[i].from == from && (arcs[i].to == to || !is_saving(arcs[i].to)) &&
			    distance(arcs[i].to, to, 6) == left - 1)
				next = arcs[i].to;
		}
		if (next == S && from == R)
			strcat(log, "s");
		if (next == R && from == S)
			strcat(log, "g");
		if (next == SC)
			strcat(log, from == PC ? "sw" : "w");
		if (next == S && from == RE)
			strcat(log, "l");
		from = next;
	}
}

static const enum peal_vfio_mig_state real[] = { S, R, SC, RE, PC };

static void every_change_goes_the_shortest_way(void **state)
{
	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(real); i++) {
		for (size_t j = 0; j < PEAL_COUNT_OF(real); j++) {
			uint8_t stream[STREAM];
			char expect[LOG] = "";
			struct device d;

			device_init(&d);
			read_stream(&d, stream);
			set(&d, R);
			set(&d, real[i]);
			if (real[i] == RE) /* what leaves RESUMING has to be whole */
				write_stream(&d, stream, sizeof(stream));
			memset(d.log, 0, sizeof(d.log));
			assert_true(distance(real[i], real[j], 6) <= 3);
			/* There would be a way, but the text says that this one is refused. */
			if (real[i] == SC && real[j] == PC) {
				assert_int_equal(vfio_migration_set(&d.m, real[j]), -EINVAL);
				assert_int_equal(vfio_migration_get(&d.m), real[i]);
			} else {
				set(&d, real[j]);
				expect_way(real[i], real[j], expect);
			}
			assert_string_equal(d.log, expect);
			device_done(&d);
		}
	}
}

static void states_that_are_none_are_refused(void **state)
{
	static const uint32_t none[] = {
		PEAL_VFIO_MIG_ERROR, PEAL_VFIO_MIG_RUNNING_P2P, PEAL_VFIO_MIG_PRE_COPY_P2P, 8, 255,
		UINT32_MAX
	};

	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(real); i++) {
		struct device d;

		device_init(&d);
		set(&d, real[i]);
		for (size_t j = 0; j < PEAL_COUNT_OF(none); j++)
			assert_int_equal(vfio_migration_set(&d.m, none[j]), -EINVAL);
		assert_int_equal(vfio_migration_get(&d.m), real[i]);
		device_done(&d);
	}
}

static void only_a_reset_leaves_error(void **state)
{
	struct device d;

	(void)state;
	device_init(&d);
	set(&d, RE);
	assert_int_equal(vfio_migration_set(&d.m, S), -EINVAL);
	for (uint32_t to = 0; to < STATES + 1; to++) {
		assert_int_equal(vfio_migration_get(&d.m), PEAL_VFIO_MIG_ERROR);
		assert_int_equal(vfio_migration_set(&d.m, to), -EINVAL);
	}
	assert_true(d.stopped);
	vfio_migration_reset(&d.m, reset);
	assert_int_equal(vfio_migration_get(&d.m), R);
	assert_false(d.stopped);
	assert_int_equal(d.resets, 1);
	device_done(&d);
}

static void reset_ends_every_state(void **state)
{
	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(real); i++) {
		size_t done;
		uint8_t byte;
		struct device d;

		device_init(&d);
		set(&d, real[i]);
		vfio_migration_reset(&d.m, reset);
		assert_int_equal(vfio_migration_get(&d.m), R);
		assert_false(d.stopped);
		assert_int_equal(vfio_migration_read(&d.m, &byte, 1, &done), -EINVAL);
		assert_int_equal(vfio_migration_write(&d.m, &byte, 1), -EINVAL);
		device_done(&d);
	}
}

/* ---- the stream ---- */

static void stream_is_read_in_any_pieces(void **state)
{
	uint8_t whole[STREAM], pieces[STREAM];
	struct device d;

	(void)state;
	device_init(&d);
	read_stream(&d, whole);
	for (size_t piece = 1; piece <= STREAM + 1; piece++) {
		size_t at = 0, done = piece;

		memset(d.log, 0, sizeof(d.log));
		set(&d, piece % 2 ? R : S);
		set(&d, SC);
		while (done == piece) {
			uint8_t room[STREAM + 1];

			assert_int_equal(vfio_migration_read(&d.m, room, piece, &done), 0);
			assert_true(at + done <= STREAM);
			memcpy(pieces + at, room, done);
			at += done;
		}
		assert_int_equal(at, STREAM);
		assert_memory_equal(pieces, whole, STREAM);
	}
	device_done(&d);
}

static void what_was_read_in_pre_copy_is_not_read_again(void **state)
{
	uint8_t whole[STREAM], pieces[STREAM];
	size_t at, done;
	struct device d;

	(void)state;
	device_init(&d);
	read_stream(&d, whole);
	set(&d, R);
	set(&d, PC);
	assert_false(d.stopped);
	assert_int_equal(vfio_migration_read(&d.m, pieces, 10, &at), 0);
	assert_int_equal(at, 10);
	assert_int_equal(vfio_migration_read(&d.m, pieces + at, STREAM - at, &done), 0);
	at += done;
	assert_int_equal(at, VFIO_MIGRATION_HEAD_SIZE);
	assert_int_equal(vfio_migration_read(&d.m, pieces + at, STREAM - at, &done), 0);
	assert_int_equal(done, 0);
	set(&d, SC);
	assert_int_equal(vfio_migration_read(&d.m, pieces + at, STREAM - at, &done), 0);
	assert_int_equal(at + done, STREAM);
	assert_memory_equal(pieces, whole, STREAM);
	device_done(&d);
}

static void stream_is_written_in_any_pieces(void **state)
{
	uint8_t stream[STREAM], before[BYTES];
	struct device d;

	(void)state;
	device_init(&d);
	read_stream(&d, stream);
	memcpy(before, d.bytes, BYTES);
	for (size_t piece = 1; piece <= STREAM; piece++) {
		memset(d.log, 0, sizeof(d.log));
		set(&d, RE);
		memset(d.bytes, 0, BYTES);
		for (size_t at = 0; at < STREAM; at += piece) {
			size_t n = STREAM - at < piece ? STREAM - at : piece;

			assert_int_equal(vfio_migration_write(&d.m, stream + at, n), 0);
		}
		set(&d, piece % 2 ? R : S);
		assert_memory_equal(d.bytes, before, BYTES);
	}
	device_done(&d);
}

static void data_goes_only_where_the_state_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(real); i++) {
		bool can_read = is_saving(real[i]), can_write = real[i] == RE;
		uint8_t byte = 0;
		size_t done = 77;
		struct device d;

		device_init(&d);
		set(&d, real[i]);
		assert_int_equal(vfio_migration_read(&d.m, &byte, 1, &done),
				 can_read ? 0 : -EINVAL);
		assert_int_equal(done, can_read ? 1 : 77);
		assert_int_equal(vfio_migration_write(&d.m, &byte, 1), can_write ? 0 : -EINVAL);
		device_done(&d);
	}
}

/* The state is refused and nothing has changed but that. */
static void expect_refused(struct device *d)
{
	static const uint8_t zero[BYTES];

	assert_int_equal(vfio_migration_set(&d->m, S), -EINVAL);
	assert_int_equal(vfio_migration_get(&d->m), PEAL_VFIO_MIG_ERROR);
	assert_memory_equal(d->bytes, zero, BYTES);
	assert_null(strchr(d->log, 'l'));
	vfio_migration_reset(&d->m, reset);
}

static void a_stream_that_is_cut_or_flipped_or_too_long_leaves_error(void **state)
{
	uint8_t stream[STREAM];
	struct device d;

	(void)state;
	device_init(&d);
	read_stream(&d, stream);
	vfio_migration_reset(&d.m, reset);
	for (size_t length = 0; length < STREAM; length++) {
		memset(d.log, 0, sizeof(d.log));
		write_stream(&d, stream, length);
		expect_refused(&d);
	}
	for (size_t bit = 0; bit < 8 * STREAM; bit++) {
		memset(d.log, 0, sizeof(d.log));
		stream[bit / 8] ^= (uint8_t)(1u << bit % 8);
		write_stream(&d, stream, STREAM);
		stream[bit / 8] ^= (uint8_t)(1u << bit % 8);
		expect_refused(&d);
	}
	memset(d.log, 0, sizeof(d.log));
	write_stream(&d, stream, STREAM);
	assert_int_equal(vfio_migration_write(&d.m, stream, 1), -EINVAL);
	expect_refused(&d);
	/* One byte too many in one piece, and then fewer. */
	memset(d.log, 0, sizeof(d.log));
	write_stream(&d, stream, STREAM - 4);
	assert_int_equal(vfio_migration_write(&d.m, stream, 5), -EINVAL);
	assert_int_equal(vfio_migration_write(&d.m, stream + STREAM - 4, 4), -EINVAL);
	expect_refused(&d);
	device_done(&d);
}

/* What is missing is not taken for the zeros that it would have been. */
static void a_stream_that_lacks_a_zero_at_its_end_is_refused(void **state)
{
	uint8_t stream[STREAM];
	struct device d;

	(void)state;
	device_init(&d);
	do {
		set(&d, R);
		d.bytes[0]++;
		peal_store_le(d.bytes + 1, 2, peal_load_le(d.bytes + 1, 2) + !d.bytes[0]);
		memset(d.log, 0, sizeof(d.log));
		read_stream(&d, stream);
	} while (stream[STREAM - 1]);
	vfio_migration_reset(&d.m, reset);
	memset(d.log, 0, sizeof(d.log));
	write_stream(&d, stream, STREAM - 1);
	expect_refused(&d);
	device_done(&d);
}

static void a_stream_of_another_kind_is_refused(void **state)
{
	uint8_t stream[STREAM];
	struct device d;

	(void)state;
	device_init(&d);
	read_stream(&d, stream);
	vfio_migration_reset(&d.m, reset);
	memset(d.log, 0, sizeof(d.log));
	d.kind++;
	write_stream(&d, stream, STREAM);
	expect_refused(&d);
	device_done(&d);
}

static void what_the_device_refuses_leaves_error(void **state)
{
	uint8_t stream[STREAM];
	struct device d;

	(void)state;
	device_init(&d);
	read_stream(&d, stream);
	write_stream(&d, stream, STREAM);
	d.load_error = -EINVAL;
	assert_int_equal(vfio_migration_set(&d.m, R), -EINVAL);
	assert_int_equal(vfio_migration_get(&d.m), PEAL_VFIO_MIG_ERROR);
	device_done(&d);
}

/* ---- failures of the host ---- */

static void a_change_that_fails_stays_where_it_got(void **state)
{
	struct device d;

	(void)state;
	device_init(&d);
	d.stop_error = -EIO;
	assert_int_equal(vfio_migration_set(&d.m, SC), -EIO);
	assert_int_equal(vfio_migration_get(&d.m), R);
	d.stop_error = 0;
	d.save_error = -EIO;
	assert_int_equal(vfio_migration_set(&d.m, SC), -EIO);
	assert_int_equal(vfio_migration_get(&d.m), S);
	set(&d, PC);
	assert_int_equal(vfio_migration_set(&d.m, SC), -EIO);
	assert_int_equal(vfio_migration_get(&d.m), PC);
	assert_false(d.stopped);
	d.save_error = 0;
	set(&d, SC);
	set(&d, R);
	test_host_fail_in(&d.host, 0);
	assert_int_equal(vfio_migration_set(&d.m, PC), -ENOMEM);
	assert_int_equal(vfio_migration_get(&d.m), R);
	test_host_fail_in(&d.host, 0);
	assert_int_equal(vfio_migration_set(&d.m, RE), -ENOMEM);
	assert_int_equal(vfio_migration_get(&d.m), S);
	device_done(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_change_goes_the_shortest_way),
		cmocka_unit_test(states_that_are_none_are_refused),
		cmocka_unit_test(only_a_reset_leaves_error),
		cmocka_unit_test(reset_ends_every_state),
		cmocka_unit_test(stream_is_read_in_any_pieces),
		cmocka_unit_test(what_was_read_in_pre_copy_is_not_read_again),
		cmocka_unit_test(stream_is_written_in_any_pieces),
		cmocka_unit_test(data_goes_only_where_the_state_says),
		cmocka_unit_test(a_stream_that_is_cut_or_flipped_or_too_long_leaves_error),
		cmocka_unit_test(a_stream_that_lacks_a_zero_at_its_end_is_refused),
		cmocka_unit_test(a_stream_of_another_kind_is_refused),
		cmocka_unit_test(what_the_device_refuses_leaves_error),
		cmocka_unit_test(a_change_that_fails_stays_where_it_got),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
