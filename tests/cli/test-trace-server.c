/* SPDX-License-Identifier: BSD-2-Clause */
/* The tracing side of `peal run --trace` against a reader that is slow, late, or gone. */
#include <support.h>

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cli/trace-record.h>
#include <cli/trace-server.h>

struct fixture {
	char directory[32];
	char path[64];
	struct trace_server *server;
};

static int init(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	strcpy(f->directory, "/tmp/peal-trace-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	(void)snprintf(f->path, sizeof(f->path), "%s/trace", f->directory);
	assert_int_equal(trace_server_new(&f->server, f->path), 0);
	*state = f;
	return 0;
}

static int done(void **state)
{
	struct fixture *f = *state;

	trace_server_free(f->server);
	assert_int_equal(access(f->path, F_OK), -1); /* its socket went with it */
	assert_int_equal(rmdir(f->directory), 0);
	free(f);
	return 0;
}

static void trace_command(struct fixture *f, uint64_t number)
{
	const struct peal_its_trace trace = { .kind = PEAL_ITS_TRACE_COMMAND,
					      .command = { 5, number } };

	trace_server_its(f->server, &trace);
}

static void trace_message(struct fixture *f, uint32_t event)
{
	const struct peal_its_trace trace = { .kind = PEAL_ITS_TRACE_MESSAGE,
					      .event = event,
					      .result = 1 };

	trace_server_its(f->server, &trace);
}

/* ---- a reader ---- */

static int open_reader(const struct fixture *f)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	strcpy(address.sun_path, f->path);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* All SIZE bytes, or false at the end. */
static bool read_all(int fd, void *bytes, size_t size)
{
	for (size_t at = 0; at < size;) {
		ssize_t n = read(fd, (uint8_t *)bytes + at, size - at);

		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

static uint64_t read_status(int fd)
{
	uint8_t header[TRACE_HEADER_SIZE];

	assert_true(read_all(fd, header, sizeof(header)));
	assert_int_equal(peal_load_le(header, 8), TRACE_MAGIC);
	return peal_load_le(header + 8, 8);
}

/* Once it is there, what is traced is traced for the reader. */
static int connect_reader(const struct fixture *f)
{
	int fd = open_reader(f);

	assert_int_equal(read_status(fd), TRACE_READY);
	return fd;
}

static bool read_record(int fd, struct peal_trace_record *ret)
{
	uint8_t bytes[TRACE_RECORD_SIZE];

	if (!read_all(fd, bytes, sizeof(bytes)))
		return false;
	for (unsigned i = 0; i < PEAL_TRACE_WORDS; i++)
		ret->words[i] = peal_load_le(bytes + 8 * (size_t)i, 8);
	return true;
}

static void expect(int fd, unsigned kind, unsigned word, uint64_t value)
{
	struct peal_trace_record record;

	assert_true(read_record(fd, &record));
	assert_int_equal(trace_record_kind(&record), kind);
	assert_int_equal(record.words[word], value);
}

/* ---- the cases ---- */

/* One is let in once the server knows that the last one is gone. */
static int connect_next_reader(const struct fixture *f)
{
	for (;;) {
		int fd = open_reader(f);

		if (read_status(fd) == TRACE_READY)
			return fd;
		assert_int_equal(close(fd), 0);
	}
}

static void commands_from_before_come_first(void **state)
{
	struct fixture *f = *state;

	trace_message(f, 1); /* nobody wants it */
	for (uint64_t i = 0; i < 3; i++)
		trace_command(f, i);
	for (unsigned reader = 0; reader < 3; reader++) {
		int fd = connect_next_reader(f);

		for (uint64_t i = 0; i < 3; i++)
			expect(fd, TRACE_COMMAND, 3, i);
		trace_message(f, 7);
		expect(fd, TRACE_MESSAGE, 2, 7);
		assert_int_equal(close(fd), 0);
	}
}

static void the_history_is_limited_and_says_so(void **state)
{
	struct fixture *f = *state;
	int fd;

	for (uint64_t i = 0; i < 5000; i++)
		trace_command(f, i);
	fd = connect_reader(f);
	expect(fd, TRACE_LOST, 2, 5000 - 4096);
	for (uint64_t i = 5000 - 4096; i < 5000; i++)
		expect(fd, TRACE_COMMAND, 3, i);
	assert_int_equal(close(fd), 0);
}

static void *read_to_the_end(void *arg)
{
	struct peal_trace_record record;
	uint64_t sum = 0, next = 0;
	int fd = *(int *)arg;

	while (read_record(fd, &record)) {
		if (trace_record_kind(&record) == TRACE_LOST) {
			sum += record.words[2];
			continue;
		}
		thread_assert(trace_record_kind(&record) == TRACE_MESSAGE);
		thread_assert(record.words[2] >= next);
		next = record.words[2] + 1;
		sum++;
	}
	return (void *)(uintptr_t)sum;
}

/* More than the ring, the server and the socket hold, and nobody waits for the reader. */
static void a_slow_reader_is_told_what_it_lost(void **state)
{
	struct fixture *f = *state;
	int fd = connect_reader(f);
	pthread_t reader;
	void *sum;

	for (uint32_t i = 0; i < 200000; i++)
		trace_message(f, i);
	assert_int_equal(pthread_create(&reader, NULL, read_to_the_end, &fd), 0);
	trace_server_free(f->server);
	f->server = NULL;
	assert_int_equal(pthread_join(reader, &sum), 0);
	assert_int_equal((uintptr_t)sum, 200000);
	assert_int_equal(close(fd), 0);
}

static void a_reader_that_never_reads_does_not_stop_the_end(void **state)
{
	struct fixture *f = *state;
	int fd = connect_reader(f);

	for (uint32_t i = 0; i < 100000; i++)
		trace_message(f, i);
	trace_server_free(f->server);
	f->server = NULL;
	assert_int_equal(close(fd), 0);
}

static void a_second_reader_is_sent_away(void **state)
{
	struct fixture *f = *state;
	int fd = connect_reader(f), second = open_reader(f);
	uint8_t byte;

	assert_int_equal(read_status(second), TRACE_BUSY);
	assert_int_equal(read(second, &byte, 1), 0);
	assert_int_equal(close(second), 0);
	trace_message(f, 3);
	expect(fd, TRACE_MESSAGE, 2, 3);
	assert_int_equal(close(fd), 0);
}

static void only_its_owner_may_connect(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(lstat(f->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 077, 0);
}

static void bad_paths_are_refused(void **state)
{
	struct fixture *f = *state;
	struct trace_server *other = NULL;
	char file[80], longer[200];
	FILE *made;

	assert_int_equal(trace_server_new(&other, f->path), -EADDRINUSE);
	assert_int_equal(trace_server_new(&other, ""), -ENOENT);
	assert_int_equal(trace_server_new(&other, "/nonexistent/trace"), -ENOENT);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(trace_server_new(&other, longer), -ENAMETOOLONG);
	(void)snprintf(file, sizeof(file), "%s/file", f->directory);
	made = fopen(file, "we");
	assert_non_null(made);
	assert_int_equal(fclose(made), 0);
	assert_int_equal(trace_server_new(&other, file), -EADDRINUSE);
	assert_null(other);
	assert_int_equal(unlink(file), 0); /* it is still there */
}

static void a_socket_that_was_left_behind_is_replaced(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct trace_server *server;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/left", f->directory);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(trace_server_new(&server, address.sun_path), 0);
	trace_server_free(server);
	assert_int_equal(access(address.sun_path, F_OK), -1);
}

/* ---- what is printed ---- */

static void check_print(const struct peal_trace_record *record, bool json, const char *expected)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	assert_non_null(to);
	assert_true(trace_record_print(record, to, json));
	assert_int_equal(fclose(to), 0);
	assert_string_equal(text, expected);
	free(text);
}

static void records_are_printed(void **state)
{
	static const struct {
		struct peal_its_trace trace;
		const char *text;
	} rows[] = {
		{ { .kind = PEAL_ITS_TRACE_COMMAND, .command = { 0x80000000a, 0x200300000003 } },
		  "12.345678 cmd MAPTI device 0x8 event 3 intid 8195 icid 0\n" },
		{ { .kind = PEAL_ITS_TRACE_COMMAND, .command = { 13 }, .error = 0x010d09 },
		  "12.345678 cmd INVALL icid 0 !!! 0x010d09 unmapped collection\n" },
		{ { .device = 8, .event = 3, .intid = 8195, .redist = 0, .result = 1 },
		  "12.345678 msg device 0x8 event 3 -> lpi 8195 vcpu 0\n" },
		{ { .device = 8, .event = 3, .intid = 8195, .redist = 2, .result = -EBUSY },
		  "12.345678 msg device 0x8 event 3 -> lpi 8195 vcpu 2 !!! lpis-off\n" },
		{ { .event = 3, .redist = PEAL_ITS_TRACE_NOWHERE, .result = -EBUSY },
		  "12.345678 msg device 0x0 event 3 -> !!! its-off\n" },
		{ { .event = 3, .redist = PEAL_ITS_TRACE_NOWHERE },
		  "12.345678 msg device 0x0 event 3 -> !!! unmapped\n" },
		{ { .intid = 9000, .redist = PEAL_ITS_TRACE_NOWHERE },
		  "12.345678 msg device 0x0 event 0 -> lpi 9000 !!! no-collection\n" },
	};
	struct peal_trace_record record;

	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(rows); i++) {
		struct peal_its_trace trace = rows[i].trace;

		trace.kind = i < 2 ? PEAL_ITS_TRACE_COMMAND : PEAL_ITS_TRACE_MESSAGE;
		trace_record_its(&record, UINT64_C(12345678999), &trace);
		check_print(&record, false, rows[i].text);
	}
	trace_record_lost(&record, 1000, 321);
	check_print(&record, false, "0.000001 lost 321 records\n");
	check_print(&record, true, "{\"time\":1e-6,\"kind\":\"lost\",\"count\":321}\n");
	record.words[1] = 4;
	assert_false(trace_record_print(&record, stdout, false));
	record.words[1] = 0;
	assert_false(trace_record_print(&record, stdout, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(commands_from_before_come_first, init, done),
		cmocka_unit_test_setup_teardown(the_history_is_limited_and_says_so, init, done),
		cmocka_unit_test_setup_teardown(a_slow_reader_is_told_what_it_lost, init, done),
		cmocka_unit_test_setup_teardown(a_reader_that_never_reads_does_not_stop_the_end,
						init, done),
		cmocka_unit_test_setup_teardown(a_second_reader_is_sent_away, init, done),
		cmocka_unit_test_setup_teardown(only_its_owner_may_connect, init, done),
		cmocka_unit_test_setup_teardown(bad_paths_are_refused, init, done),
		cmocka_unit_test_setup_teardown(a_socket_that_was_left_behind_is_replaced, init,
						done),
		cmocka_unit_test(records_are_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
