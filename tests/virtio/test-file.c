/* SPDX-License-Identifier: BSD-2-Clause */
/* The file backend: what it opens and refuses, whole transfers, full disks, failed flushes. */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "blk-guest.h"

#define SIZE 65536u

static char directory[64];
static char path[96]; /* of an image with SIZE bytes */

static void name_in(char *to, const char *name)
{
	(void)snprintf(to, sizeof(path), "%s/%s", directory, name);
}

static void make_file(const char *name, off_t size)
{
	char full[sizeof(path)];
	int fd;

	name_in(full, name);
	fd = open(full, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	assert_int_equal(close(fd), 0);
}

static int setup(void **state)
{
	(void)state;
	(void)snprintf(directory, sizeof(directory), "/tmp/peal-test-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	name_in(path, "image");
	make_file("image", SIZE);
	return 0;
}

static int teardown(void **state)
{
	DIR *d = opendir(directory);
	struct dirent *entry;

	(void)state;
	while ((entry = readdir(d)) != NULL) {
		char full[sizeof(directory) + sizeof(entry->d_name) + 1];

		(void)snprintf(full, sizeof(full), "%s/%s", directory, entry->d_name);
		if (entry->d_name[0] != '.' && unlink(full) < 0)
			(void)rmdir(full);
	}
	(void)closedir(d);
	return rmdir(directory);
}

static struct peal_blk_file *open_image(bool writable)
{
	const struct peal_blk_file_config config = { peal_host_default(), path, writable };
	struct peal_blk_file *file;
	const char *reason = NULL;
	int r = peal_blk_file_open(&file, &config, &reason);

	assert_int_equal(r, 0);
	assert_null(reason);
	return file;
}

static int try_open(const char *at, bool writable, const char **reason)
{
	const struct peal_blk_file_config config = { peal_host_default(), at, writable };
	struct peal_blk_file *file = NULL;
	int r;

	*reason = NULL;
	r = peal_blk_file_open(&file, &config, reason);
	if (r == 0)
		peal_blk_file_close(file);
	else
		assert_null(file);
	/* The reason may be left out. */
	assert_int_equal(peal_blk_file_open(&file, &config, NULL), r);
	if (r == 0)
		peal_blk_file_close(file);
	return r;
}

static void expect_refusal(const char *name, int error, const char *words)
{
	char full[sizeof(path)];
	const char *reason;

	if (name[0] == '/')
		(void)snprintf(full, sizeof(full), "%s", name);
	else
		name_in(full, name);
	assert_int_equal(try_open(full, false, &reason), error);
	assert_string_equal(reason, words);
}

static void what_is_no_image_is_refused(void **state)
{
	char full[sizeof(path)];
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	(void)state;
	expect_refusal("missing", -ENOENT, "there is no such file");
	expect_refusal("image/below", -ENOTDIR, "a part of the path is not a directory");
	name_in(full, "directory");
	assert_int_equal(mkdir(full, 0700), 0);
	expect_refusal("directory", -EISDIR, "it is a directory");
	/* Nobody writes to it: an open that waits would hang here. */
	name_in(full, "fifo");
	assert_int_equal(mkfifo(full, 0600), 0);
	expect_refusal("fifo", -ENOTBLK, "it is a FIFO");
	expect_refusal("/dev/null", -ENOTBLK, "it is a character device");
	expect_refusal("/dev/full", -ENOTBLK, "it is a character device");
	name_in(address.sun_path, "socket");
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	expect_refusal("socket", -ENOTBLK, "it is a socket");
	assert_int_equal(close(fd), 0);
	make_file("empty", 0);
	expect_refusal("empty", -EINVAL, "it is empty");
	make_file("odd", 513);
	expect_refusal("odd", -EINVAL, "its size is not a multiple of 512 bytes");
	make_file("small", 511);
	expect_refusal("small", -EINVAL, "its size is not a multiple of 512 bytes");
}

static void what_may_not_be_read_is_refused(void **state)
{
	uid_t before = geteuid();
	const char *reason;

	(void)state;
	assert_int_equal(chmod(directory, 0755), 0);
	assert_int_equal(chmod(path, 0), 0);
	/* Root may read everything: become somebody else. */
	if (before == 0)
		assert_int_equal(seteuid(65534), 0);
	assert_int_equal(try_open(path, false, &reason), -EACCES);
	assert_string_equal(reason, "permission denied");
	if (before == 0)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(chmod(path, 0400), 0);
	if (before == 0) {
		assert_int_equal(chown(path, 65534, (gid_t)-1), 0);
		assert_int_equal(seteuid(65534), 0);
	}
	assert_int_equal(try_open(path, false, &reason), 0);
	assert_int_equal(try_open(path, true, &reason), -EACCES);
	if (before == 0)
		assert_int_equal(seteuid(0), 0);
}

static void a_link_to_an_image_is_one(void **state)
{
	char full[sizeof(path)];
	const char *reason;

	(void)state;
	name_in(full, "link");
	assert_int_equal(symlink("image", full), 0);
	assert_int_equal(try_open(full, true, &reason), 0);
}

static void no_descriptor_is_left_behind(void **state)
{
	char full[sizeof(path)];
	const char *reason;
	int first = dup(0), last;

	(void)state;
	assert_true(first >= 0);
	assert_int_equal(close(first), 0);
	make_file("odd", 513);
	name_in(full, "odd");
	assert_int_equal(try_open(full, true, &reason), -EINVAL);
	peal_blk_file_close(open_image(true));
	last = dup(0);
	assert_int_equal(first, last);
	assert_int_equal(close(last), 0);
	peal_blk_file_close(NULL);
}

static void a_file_is_writable_only_if_asked(void **state)
{
	struct peal_blk_file *file = open_image(false);
	struct peal_blk_backend backend = peal_blk_file_backend(file);
	char bytes[512] = "new";
	const struct peal_blk_buffer buffer = { bytes, sizeof(bytes) };
	uint64_t done;

	(void)state;
	assert_true(backend.read_only);
	assert_int_equal(backend.ops->capacity(backend.user), SIZE);
	assert_int_equal(backend.ops->write(backend.user, 0, &buffer, 1, &done), -EBADF);
	assert_int_equal(done, 0);
	assert_int_equal(backend.ops->flush(backend.user), 0);
	peal_blk_file_close(file);
}

/* More buffers than a system call takes, of many lengths, there and back. */
static void many_buffers_move_whole(void **state)
{
	static uint8_t from[SIZE], to[SIZE];
	struct peal_blk_buffer buffers[300];
	struct peal_blk_file *file = open_image(true);
	struct peal_blk_backend backend = peal_blk_file_backend(file);
	uint64_t seed = 3, done;
	size_t at = 0;

	(void)state;
	assert_false(backend.read_only);
	for (size_t i = 0; i < SIZE; i++)
		from[i] = (uint8_t)test_random(&seed);
	for (unsigned i = 0; i < 300; i++) {
		size_t length = i < 299 ? 1 + test_random_below(&seed, 150) : 512 - at % 512;

		buffers[i] = (struct peal_blk_buffer){ from + at, length };
		at += length;
	}
	assert_int_equal(backend.ops->write(backend.user, 1024, buffers, 300, &done), 0);
	assert_int_equal(done, at);
	for (unsigned i = 0; i < 300; i++)
		buffers[i].base = to + ((uint8_t *)buffers[i].base - from);
	assert_int_equal(backend.ops->read(backend.user, 1024, buffers, 300, &done), 0);
	assert_int_equal(done, at);
	assert_memory_equal(from, to, at);
	assert_int_equal(backend.ops->flush(backend.user), 0);
	peal_blk_file_close(file);
}

static void a_file_that_shrank_ends_in_an_error(void **state)
{
	static uint8_t bytes[8192];
	const struct peal_blk_buffer one = { bytes, sizeof(bytes) };
	const struct peal_blk_buffer two[] = { { bytes, 4096 }, { bytes + 4096, 4096 } };
	struct peal_blk_file *file = open_image(false);
	struct peal_blk_backend backend = peal_blk_file_backend(file);
	uint64_t done = 0;

	(void)state;
	assert_int_equal(truncate(path, 5000), 0);
	/* The short transfer is found out by the next one. */
	assert_int_equal(backend.ops->read(backend.user, 0, &one, 1, &done), -EIO);
	assert_int_equal(done, 5000);
	assert_int_equal(backend.ops->read(backend.user, 0, two, 2, &done), -EIO);
	assert_int_equal(done, 5000);
	assert_int_equal(backend.ops->read(backend.user, 8192, &one, 1, &done), -EIO);
	assert_int_equal(done, 0);
	peal_blk_file_close(file);
}

/* A limit in the middle of a write: the first half is written short, the rest fails. */
static void a_short_write_goes_on_until_the_error(void **state)
{
	static uint8_t bytes[8192];
	const struct peal_blk_buffer two[] = { { bytes, 3000 }, { bytes + 3000, 5192 } };
	struct peal_blk_file *file = open_image(true);
	struct peal_blk_backend backend = peal_blk_file_backend(file);
	void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
	struct rlimit old, low;
	uint64_t done = 0;
	int r;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	low = old;
	low.rlim_cur = 5000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	r = backend.ops->write(backend.user, 0, two, 2, &done);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	(void)signal(SIGXFSZ, before);
	assert_int_equal(r, -EFBIG);
	assert_int_equal(done, 5000);
	peal_blk_file_close(file);
}

/* ---- flush ---- */

/* The descriptor that is open on the image. */
static int image_descriptor(void)
{
	struct stat image, st;

	assert_int_equal(stat(path, &image), 0);
	for (int fd = 3; fd < 256; fd++) {
		if (fstat(fd, &st) == 0 && st.st_ino == image.st_ino && st.st_dev == image.st_dev)
			return fd;
	}
	fail();
	return -1;
}

static void a_failed_flush_stays_failed(void **state)
{
	struct peal_blk_file *file = open_image(true);
	struct peal_blk_backend backend = peal_blk_file_backend(file);
	int fd = image_descriptor(), saved = dup(fd), ends[2];

	(void)state;
	assert_int_equal(backend.ops->flush(backend.user), 0);
	/* A pipe cannot be synchronized. */
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(dup2(ends[0], fd), fd);
	assert_int_equal(backend.ops->flush(backend.user), -EINVAL);
	/* Good again, but what the failed one dropped is not. */
	assert_int_equal(dup2(saved, fd), fd);
	assert_int_equal(backend.ops->flush(backend.user), -EINVAL);
	assert_int_equal(close(saved), 0);
	assert_int_equal(close(ends[0]), 0);
	assert_int_equal(close(ends[1]), 0);
	peal_blk_file_close(file);
	file = open_image(true);
	backend = peal_blk_file_backend(file);
	assert_int_equal(backend.ops->flush(backend.user), 0);
	peal_blk_file_close(file);
}

/* ---- a full disk ---- */

#define CHECK(condition) ((condition) ? (void)0 : _exit(__LINE__ & 0x7f ? __LINE__ & 0x7f : 1))
#define CANNOT           255

/* In a process of its own, with a file system of 64 KiB mounted over the directory. */
static void __attribute__((noreturn)) with_small_disk(void)
{
	static uint8_t bytes[4096], back[4096];
	const struct peal_blk_buffer buffer = { bytes, sizeof(bytes) };
	const struct peal_blk_buffer read_back = { back, sizeof(back) };
	struct peal_blk_backend backend;
	struct peal_blk_file *file;
	uint64_t done, written = 0;
	int r = 0;

	if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		_exit(CANNOT);
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("peal", directory, "tmpfs", 0, "size=64k") < 0)
		_exit(CANNOT);
	make_file("image", 1 << 20);
	file = open_image(true);
	backend = peal_blk_file_backend(file);
	memset(bytes, 0xa5, sizeof(bytes));
	while (written < 1 << 20 && r == 0) {
		r = backend.ops->write(backend.user, written, &buffer, 1, &done);
		written += done;
	}
	CHECK(r == -ENOSPC);
	CHECK(written > 0 && written <= 65536);
	/* What was written before is there, can be flushed, and can be written again. */
	CHECK(backend.ops->flush(backend.user) == 0);
	CHECK(backend.ops->read(backend.user, 0, &read_back, 1, &done) == 0);
	CHECK(memcmp(bytes, back, sizeof(bytes)) == 0);
	CHECK(backend.ops->write(backend.user, 0, &buffer, 1, &done) == 0);
	peal_blk_file_close(file);
	_exit(0);
}

static void a_full_disk_is_reported_with_what_was_done(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (child == 0)
		with_small_disk();
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == CANNOT) {
		print_message("# skip: no mount namespace to be had here\n");
		return;
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* The whole way: a guest writes past the limit of the file's size and hears of it. */
static void a_guest_s_write_that_fails_is_remembered_with_its_offset(void **state)
{
	struct peal_blk_file *file = open_image(true);
	const struct peal_virtio_blk_config config = {
		.host = peal_host_default(),
		.backend = peal_blk_file_backend(file),
	};
	void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
	struct peal_virtio_blk *blk;
	struct peal_virtio_blk_error error;
	struct rlimit old, low;
	struct guest g;

	(void)state;
	assert_int_equal(peal_virtio_blk_new(&blk, &config), 0);
	guest_init(&g, peal_virtio_blk_function(blk));
	guest_start(&g, BLK_BIT(FLUSH), 1, 16);
	memset(guest_at(&g, BLK_DATA), 0x77, 4096);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	low = old;
	low.rlim_cur = 10000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	assert_int_equal(blk_request(&g, 0, PEAL_VIRTIO_BLK_T_OUT, 0, 4096), PEAL_VIRTIO_BLK_S_OK);
	assert_int_equal(blk_request(&g, 0, PEAL_VIRTIO_BLK_T_OUT, 16, 4096),
			 PEAL_VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk_request(&g, 0, PEAL_VIRTIO_BLK_T_FLUSH, 0, 0), PEAL_VIRTIO_BLK_S_OK);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	(void)signal(SIGXFSZ, before);
	peal_virtio_blk_last_error(blk, &error);
	assert_int_equal(error.count, 1);
	assert_int_equal(error.error, -EFBIG);
	assert_int_equal(error.offset, 10000);
	memset(guest_at(&g, BLK_DATA), 0, 4096);
	assert_int_equal(blk_request(&g, 0, PEAL_VIRTIO_BLK_T_IN, 0, 4096), PEAL_VIRTIO_BLK_S_OK);
	assert_int_equal(guest_read(&g, BLK_DATA + 4095, 1), 0x77);
	guest_done(&g);
	peal_virtio_blk_free(blk);
	peal_blk_file_close(file);
}

static int make_backend(const struct peal_host *host, void *user)
{
	const struct peal_blk_file_config config = { host, path, false };
	struct peal_blk_file *file;
	int r = peal_blk_file_open(&file, &config, NULL);

	(void)user;
	if (r == 0)
		peal_blk_file_close(file);
	return r;
}

static void every_allocation_may_fail(void **state)
{
	(void)state;
	assert_int_equal(test_every_allocation(make_backend, NULL), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(what_is_no_image_is_refused),
		TEST(what_may_not_be_read_is_refused),
		TEST(a_link_to_an_image_is_one),
		TEST(no_descriptor_is_left_behind),
		TEST(a_file_is_writable_only_if_asked),
		TEST(many_buffers_move_whole),
		TEST(a_file_that_shrank_ends_in_an_error),
		TEST(a_short_write_goes_on_until_the_error),
		TEST(a_failed_flush_stays_failed),
		TEST(a_full_disk_is_reported_with_what_was_done),
		TEST(a_guest_s_write_that_fails_is_remembered_with_its_offset),
		TEST(every_allocation_may_fail),
	};

	return cmocka_run_group_tests_name("virtio-file", tests, NULL, NULL);
}
