/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QEMU's device models without a guest: the qtest protocol. Lines of text go to QEMU over a socket
 * ("writel ADDRESS VALUE", "read ADDRESS SIZE") and each is answered by a line that begins with OK.
 *
 * Writes are collected and their answers read together with the next read's, so that thousands of
 * them take the time of one. QEMU comes from tests/guest/get-qemu and ends with the test.
 */
#ifndef PEAL_TESTS_GUEST_QTEST_H
#define PEAL_TESTS_GUEST_QTEST_H

#include <support.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define QTEST_BUFFER 0x10000u /* what QEMU answers to so many bytes fits into a socket */
#define QTEST_CHUNK  0x1000u  /* of memory in a line */

struct qtest {
	pid_t pid;
	int fd;
	FILE *in;
	char *line;
	size_t line_size;
	char out[QTEST_BUFFER];
	size_t used;
	unsigned owed; /* answers that are not read yet */
	/* Lines that tell of interrupts ("IRQ raise 16"); NULL: nobody wants to know. */
	void (*irq)(void *user, const char *line);
	void *irq_user;
};

static inline void qtest_path(char *path, size_t size, const char *name)
{
	const char *root = getenv("PEAL_SOURCE_ROOT");

	(void)snprintf(path, size, "%s/tests/guest/%s", root ? root : ".", name);
}

/* Is there a QEMU? If not, says why, and the test returns. */
static inline bool qtest_available(void)
{
	char path[4096], line[1024] = "";
	FILE *pipe;
	int status;

	qtest_path(path, sizeof(path), "get-qemu");
	pipe = popen(path, "r");
	assert_non_null(pipe);
	while (fgets(line, sizeof(line), pipe))
		;
	status = pclose(pipe);
	line[strcspn(line, "\n")] = '\0';
	if (status == 0)
		return true;
	/* Only "cannot be had" is a reason to skip. */
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 77);
	print_message("%s\n", line);
	return false;
}

/* In the child of PARENT. FD is its end of the socket. */
static inline void qtest_exec(pid_t parent, int fd, const char *arch, const char *const *arguments)
{
	const char *argv[32] = { NULL };
	char path[4096], socket[64];
	unsigned n = 0;

	qtest_path(path, sizeof(path), "qemu");
	(void)snprintf(socket, sizeof(socket), "socket,id=qtest,fd=%d", fd);
	argv[n++] = path;
	argv[n++] = arch;
	while (*arguments && n < PEAL_COUNT_OF(argv) - 12)
		argv[n++] = *arguments++;
	for (const char *const *last =
		     (const char *const[]){ "-nodefaults", "-display", "none", "-accel", "qtest",
					    "-qtest-log", "/dev/null", "-chardev", socket, "-qtest",
					    "chardev:qtest", NULL };
	     *last; last++)
		argv[n++] = *last;
	/* QEMU ends with the test, also when that is gone already. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	(void)fcntl(fd, F_SETFD, 0);
	(void)execv(path, (char *const *)(uintptr_t)argv);
	_exit(127);
}

/* ARGUMENTS end with NULL: the machine. */
static inline void qtest_start(struct qtest *q, const char *arch, const char *const *arguments)
{
	pid_t parent = getpid();
	int fds[2];
	int r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);

	assert_int_equal(r, 0);
	memset(q, 0, sizeof(*q));
	q->pid = fork();
	assert_true(q->pid >= 0);
	if (q->pid == 0)
		qtest_exec(parent, fds[1], arch, arguments);
	(void)close(fds[1]);
	q->fd = fds[0];
	q->in = fdopen(q->fd, "r");
	assert_non_null(q->in);
}

static inline void qtest_stop(struct qtest *q)
{
	(void)kill(q->pid, SIGKILL);
	(void)waitpid(q->pid, NULL, 0);
	(void)fclose(q->in);
	free(q->line);
	memset(q, 0, sizeof(*q));
}

static inline void qtest_send(struct qtest *q)
{
	for (size_t done = 0; done < q->used;) {
		ssize_t n = send(q->fd, q->out + done, q->used - done, MSG_NOSIGNAL);

		assert_true(n > 0);
		done += (size_t)n;
	}
	q->used = 0;
}

/* The rest of the next answer, after its OK. */
static inline const char *qtest_answer(struct qtest *q)
{
	ssize_t n;

	do { /* lines that nobody asked for tell of interrupts */
		n = getline(&q->line, &q->line_size, q->in);
		if (n <= 0)
			fail_msg("QEMU ended");
		if (q->irq && strncmp(q->line, "IRQ", 3) == 0)
			q->irq(q->irq_user, q->line);
	} while (strncmp(q->line, "IRQ", 3) == 0);
	if (strncmp(q->line, "OK", 2) != 0)
		fail_msg("QEMU says %s", q->line);
	q->owed--;
	return q->line + 2;
}

static inline void qtest_flush(struct qtest *q)
{
	qtest_send(q);
	while (q->owed)
		(void)qtest_answer(q);
}

/* Room for a line of SIZE bytes, that the caller fills and counts in USED. */
static inline char *qtest_line(struct qtest *q, size_t size)
{
	if (q->used + size > sizeof(q->out))
		qtest_flush(q);
	q->owed++;
	return q->out + q->used;
}

static inline void qtest_access(struct qtest *q, const char *verb, uint64_t address, uint64_t value)
{
	char *line = qtest_line(q, 80);

	q->used += (size_t)snprintf(line, 80, "%s 0x%llx 0x%llx\n", verb,
				    (unsigned long long)address, (unsigned long long)value);
}

/* A command without numbers. */
static inline void qtest_say(struct qtest *q, const char *command)
{
	char *line = qtest_line(q, 80);

	q->used += (size_t)snprintf(line, 80, "%s\n", command);
}

/* SIZE is 1, 2, 4 or 8. */
static inline void qtest_write(struct qtest *q, uint64_t address, unsigned size, uint64_t value)
{
	static const char *const verbs[] = {
		[1] = "writeb", [2] = "writew", [4] = "writel", [8] = "writeq"
	};

	qtest_access(q, verbs[size], address, value);
}

static inline uint64_t qtest_read(struct qtest *q, uint64_t address, unsigned size)
{
	static const char *const verbs[] = {
		[1] = "readb", [2] = "readw", [4] = "readl", [8] = "readq"
	};

	qtest_flush(q);
	qtest_access(q, verbs[size], address, 0);
	qtest_send(q);
	return strtoull(qtest_answer(q), NULL, 16);
}

static inline void qtest_write_memory(struct qtest *q, uint64_t address, const void *bytes,
				      size_t size)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *from = (const uint8_t *)bytes;

	while (size) {
		size_t n = size < QTEST_CHUNK ? size : QTEST_CHUNK;
		char *to = qtest_line(q, 2 * n + 80);

		to += snprintf(to, 80, "write 0x%llx %zu 0x", (unsigned long long)address, n);
		for (size_t i = 0; i < n; i++) {
			*to++ = digits[from[i] >> 4];
			*to++ = digits[from[i] & 15];
		}
		*to++ = '\n';
		q->used = (size_t)(to - q->out);
		address += n;
		from += n;
		size -= n;
	}
}

static inline void qtest_zero(struct qtest *q, uint64_t address, uint64_t size)
{
	char *line = qtest_line(q, 80);

	q->used += (size_t)snprintf(line, 80, "memset 0x%llx 0x%llx 0\n",
				    (unsigned long long)address, (unsigned long long)size);
}

static inline unsigned qtest_digit(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10) & 15;
}

static inline void qtest_read_memory(struct qtest *q, uint64_t address, void *bytes, size_t size)
{
	uint8_t *to = (uint8_t *)bytes;
	const char *hex;

	qtest_flush(q);
	qtest_access(q, "read", address, size);
	qtest_send(q);
	hex = qtest_answer(q);
	assert_true(strlen(hex) >= 3 + 2 * size && strncmp(hex, " 0x", 3) == 0);
	for (size_t i = 0; i < size; i++)
		to[i] = (uint8_t)(qtest_digit(hex[3 + 2 * i]) << 4 | qtest_digit(hex[4 + 2 * i]));
}

#endif
