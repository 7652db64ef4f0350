/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file or a block device as a block backend. POSIX.1-2017, and Linux for block devices.
 *
 * The capacity is that of when the file was opened. Transfers are repeated until they are whole:
 * a signal or a short transfer is no error, the end of a file that has shrunk is (EIO).
 *
 * A flush that failed may have dropped what it could not write, and the next one would not know:
 * so a failed flush stays failed until the file is opened again.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <peal/bits.h>
#include <peal/virtio.h>

#define SECTOR 512u
#define VECTOR 64u /* buffers per system call */

struct peal_blk_file {
	const struct peal_host *host;
	int fd;
	bool writable;
	uint64_t size;
	uint32_t block_size;
	int flush_error; /* sticks */
};

/* ---- transfers ---- */

typedef ssize_t transfer_fn(int fd, const struct iovec *vector, int count, off_t offset);

/* As many of the buffers as a system call takes, from SKIP bytes into the first. */
static int fill_vector(struct iovec *vector, const struct peal_blk_buffer *buffers,
		       unsigned nbuffers, size_t skip)
{
	unsigned n = nbuffers < VECTOR ? nbuffers : VECTOR;

	for (unsigned i = 0; i < n; i++) {
		vector[i].iov_base = (uint8_t *)buffers[i].base + skip;
		vector[i].iov_len = buffers[i].length - skip;
		skip = 0;
	}
	return (int)n;
}

static int transfer(const struct peal_blk_file *file, transfer_fn *run, uint64_t offset,
		    const struct peal_blk_buffer *buffers, unsigned nbuffers, uint64_t *done)
{
	struct iovec vector[VECTOR];
	size_t skip = 0;

	while (nbuffers) {
		int n = fill_vector(vector, buffers, nbuffers, skip);
		ssize_t moved = run(file->fd, vector, n, (off_t)(offset + *done));

		if (moved < 0 && errno == EINTR)
			continue;
		if (moved < 0)
			return -errno;
		/* The file is shorter than it was; writes of 0 bytes would go on for ever too. */
		if (moved == 0)
			return -EIO;
		*done += (uint64_t)moved;
		skip += (size_t)moved;
		while (nbuffers && skip >= buffers->length) {
			skip -= buffers->length;
			buffers++;
			nbuffers--;
		}
	}
	return 0;
}

static int file_read(void *user, uint64_t offset, const struct peal_blk_buffer *buffers,
		     unsigned nbuffers, uint64_t *done)
{
	struct peal_blk_file *file = user;

	/* The usual request, without a vector to fill and to copy. */
	if (peal_likely(nbuffers == 1)) {
		ssize_t moved = pread(file->fd, buffers->base, buffers->length, (off_t)offset);

		if (peal_likely(moved > 0 && (size_t)moved == buffers->length)) {
			*done = (uint64_t)moved;
			return 0;
		}
	}
	*done = 0;
	return transfer(file, preadv, offset, buffers, nbuffers, done);
}

static int file_write(void *user, uint64_t offset, const struct peal_blk_buffer *buffers,
		      unsigned nbuffers, uint64_t *done)
{
	*done = 0;
	return transfer(user, pwritev, offset, buffers, nbuffers, done);
}

static int file_flush(void *user)
{
	struct peal_blk_file *file = user;
	int error = __atomic_load_n(&file->flush_error, __ATOMIC_SEQ_CST);
	int r;

	if (error || !file->writable)
		return error;
	do
		r = fdatasync(file->fd);
	while (r < 0 && errno == EINTR);
	if (r < 0) {
		error = -errno;
		__atomic_store_n(&file->flush_error, error, __ATOMIC_SEQ_CST);
		return error;
	}
	/* Two flushes at once: the error was told to one of them only. */
	return __atomic_load_n(&file->flush_error, __ATOMIC_SEQ_CST);
}

static uint64_t file_capacity(void *user)
{
	const struct peal_blk_file *file = user;

	return file->size;
}

/* ---- opening ---- */

static int refuse(int error, const char *why, const char **reason)
{
	if (reason)
		*reason = why;
	return error;
}

static const char *errno_reason(int error)
{
	static const struct {
		int error;
		const char *why;
	} reasons[] = {
		{ ENOENT, "there is no such file" },
		{ ENOTDIR, "a part of the path is not a directory" },
		{ EACCES, "permission denied" },
		{ EPERM, "permission denied" },
		{ EROFS, "the file system is read-only" },
		{ EISDIR, "it is a directory" },
		{ EMFILE, "too many open files" },
		{ ENFILE, "too many open files" },
		{ ELOOP, "too many symbolic links" },
		{ ENAMETOOLONG, "the path is too long" },
		{ ETXTBSY, "it is being executed" },
		{ EBUSY, "it is in use" },
	};

	for (size_t i = 0; i < PEAL_COUNT_OF(reasons); i++) {
		if (reasons[i].error == error)
			return reasons[i].why;
	}
	return "it cannot be opened";
}

/* Opening some special files has effects or blocks: their type is looked at before, too. */
static int check_type(const struct stat *st, const char **reason)
{
	if (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode))
		return 0;
	if (S_ISDIR(st->st_mode))
		return refuse(-EISDIR, "it is a directory", reason);
	if (S_ISFIFO(st->st_mode))
		return refuse(-ENOTBLK, "it is a FIFO", reason);
	if (S_ISSOCK(st->st_mode))
		return refuse(-ENOTBLK, "it is a socket", reason);
	return refuse(-ENOTBLK, "it is a character device", reason);
}

static int get_size(struct peal_blk_file *file, const struct stat *st, const char **reason)
{
	file->size = (uint64_t)st->st_size;
	file->block_size = SECTOR;
	if (S_ISBLK(st->st_mode)) {
		int sector = (int)SECTOR;

		if (ioctl(file->fd, BLKGETSIZE64, &file->size) < 0 ||
		    ioctl(file->fd, BLKSSZGET, &sector) < 0)
			return refuse(-errno, "its size cannot be found out", reason);
		file->block_size = (uint32_t)sector;
	}
	if (file->size == 0)
		return refuse(-EINVAL, "it is empty", reason);
	if (file->size % SECTOR)
		return refuse(-EINVAL, "its size is not a multiple of 512 bytes", reason);
	return 0;
}

static int open_file(struct peal_blk_file *file, const char *path, const char **reason)
{
	int flags = (file->writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	struct stat st;
	int r;

	if (stat(path, &st) < 0)
		return refuse(-errno, errno_reason(errno), reason);
	r = check_type(&st, reason);
	if (r < 0)
		return r;
	file->fd = open(path, flags);
	if (file->fd < 0)
		return refuse(-errno, errno_reason(errno), reason);
	if (fstat(file->fd, &st) < 0)
		return refuse(-errno, "it cannot be examined", reason);
	r = check_type(&st, reason);
	if (r < 0)
		return r;
	/* Was for the opening only. */
	if (fcntl(file->fd, F_SETFL, flags & O_ACCMODE) < 0)
		return refuse(-errno, "it cannot be set up", reason);
	return get_size(file, &st, reason);
}

int peal_blk_file_open(struct peal_blk_file **ret, const struct peal_blk_file_config *config,
		       const char **reason)
{
	struct peal_blk_file *file = peal_alloc(config->host, sizeof(*file));
	int r;

	if (!file)
		return refuse(-ENOMEM, "out of memory", reason);
	file->host = config->host;
	file->fd = -1;
	file->writable = config->writable;
	r = open_file(file, config->path, reason);
	if (r < 0) {
		peal_blk_file_close(file);
		return r;
	}
	*ret = file;
	return 0;
}

void peal_blk_file_close(struct peal_blk_file *file)
{
	if (!file)
		return;
	if (file->fd >= 0)
		(void)close(file->fd);
	peal_free(file->host, file, sizeof(*file));
}

struct peal_blk_backend peal_blk_file_backend(struct peal_blk_file *file)
{
	static const struct peal_blk_backend_ops ops = {
		.capacity = file_capacity,
		.read = file_read,
		.write = file_write,
		.flush = file_flush,
	};

	return (struct peal_blk_backend){
		.ops = &ops,
		.user = file,
		.read_only = !file->writable,
		.block_size = file->block_size,
	};
}
