/* SPDX-License-Identifier: BSD-2-Clause */
/* What a server in its sandbox can do, and what it cannot. Each case is a process of its own. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <support.h>

#include <cli/sandbox.h>

/* 0: done; or the error number. */
typedef int act_fn(void);

static int error_of(long r)
{
	return r < 0 ? errno : 0;
}

static int open_file(void)
{
	return error_of(open("/etc/passwd", O_RDONLY));
}

static int make_process(void)
{
	return error_of(fork());
}

static int execute(void)
{
	return error_of(execl("/bin/true", "true", NULL));
}

static int reach_the_network(void)
{
	return error_of(socket(AF_INET, SOCK_STREAM, 0));
}

static int connect_a_socket(void)
{
	return error_of(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int kill_others(void)
{
	return error_of(kill(getppid(), 0));
}

static int bring_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			       MAP_FAILED
		       ? errno
		       : 0;
}

static int write_code(void)
{
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return -1; /* this it may */
	return error_of(mprotect(memory, 4096, PROT_READ | PROT_EXEC));
}

static void *nothing(void *user)
{
	return user;
}

static int make_a_thread(void)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, nothing, NULL);

	return error ? error : pthread_join(thread, NULL);
}

static int map_memory(void)
{
	void *memory =
		mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? errno : error_of(munmap(memory, 1 << 20));
}

static int signal_an_eventfd(void)
{
	const uint64_t one = 1;
	int fd = eventfd(0, EFD_CLOEXEC);

	return fd < 0 ? errno : error_of(write(fd, &one, sizeof(one)));
}

static const struct {
	const char *name;
	act_fn *act;
	int error;
} acts[] = {
	{ "open a file", open_file, EPERM },
	{ "make a process", make_process, EPERM },
	{ "execute a program", execute, EPERM },
	{ "reach the network", reach_the_network, EPERM },
	{ "connect a socket", connect_a_socket, EPERM },
	{ "signal a process", kill_others, EPERM },
	{ "map memory to execute", bring_code, EPERM },
	{ "make memory executable", write_code, EPERM },
	{ "make a thread", make_a_thread, 0 },
	{ "map memory", map_memory, 0 },
	{ "signal an eventfd", signal_an_eventfd, 0 },
};

/* What ACT says in a process that entered the sandbox; -1: there is none. */
static int in_a_sandbox(act_fn *act)
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
		_exit(sandbox_enter() < 0 ? 255 : act());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status) == 255 ? -1 : WEXITSTATUS(status);
}

static void it_can_serve_and_nothing_else(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		int error = in_a_sandbox(acts[i].act);

		if (error < 0) {
			print_message("# skip: no sandbox in this build\n");
			return;
		}
		if (error != acts[i].error)
			fail_msg("%s: %s", acts[i].name, strerror(error));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_can_serve_and_nothing_else),
	};

	return cmocka_run_group_tests_name("cli-sandbox", tests, NULL, NULL);
}
