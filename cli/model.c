/* SPDX-License-Identifier: BSD-2-Clause */
/* A row a device: making it, freeing it, and what it counted. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <peal/bell.h>
#include <peal/virtio.h>

#include "../examples/hello-device.h"
#include "model.h"
#include "options.h"

#define BELL_VECTORS_DEFAULT 64u

struct kind {
	int (*make)(struct cli_model *model, const struct cli_model_config *config);
	void (*free)(struct cli_model *model);
	json_t *(*statistics)(struct cli_model *model);
};

struct cli_model {
	const struct kind *kind;
	void *device;
	struct peal_blk_file *file;
	int lock; /* of the image; -1: none */
	struct peal_pci_function *function;
};

/* An error message for what a constructor answered. */
static int failed(const struct cli_model_config *config, const char *what, int r)
{
	return cli_error(CLI_FAILED, config->name, "%s: %s", what, strerror(-r));
}

/* ---- blk ---- */

/* A disk of memory; it has a name while this process has it open. The descriptor or -errno. */
static int open_memory(const struct cli_model_config *config, char *path, size_t size)
{
	int fd = memfd_create("peal-disk", MFD_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, (off_t)config->image_size) < 0) {
		int r = -errno;

		(void)close(fd);
		return r;
	}
	(void)snprintf(path, size, "/proc/self/fd/%d", fd);
	return fd < 0 ? -errno : fd;
}

/*
 * Nobody else may write to an image that is served, nor look at one that is written to: the locks
 * are those that QEMU sees, too. Where there are none, it goes without.
 */
static int lock_disk(struct cli_model *model, const struct cli_model_config *config)
{
	struct flock lock = {
		.l_type = config->read_only ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
	};

	model->lock = open(config->disk, (config->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (model->lock >= 0 && fcntl(model->lock, F_OFD_SETLK, &lock) < 0 &&
	    (errno == EAGAIN || errno == EACCES))
		return cli_error(CLI_FAILED, config->name, "%s: somebody else uses it",
				 config->disk);
	return CLI_OK;
}

static int open_disk(struct cli_model *model, const struct cli_model_config *config)
{
	const char *what = config->disk ? config->disk : "disk in memory", *reason = NULL;
	char path[32];
	struct peal_blk_file_config file = {
		.host = peal_host_default(),
		.path = config->disk,
		.writable = !config->read_only,
	};
	int fd = -1, r;

	if (!config->disk) {
		fd = open_memory(config, path, sizeof(path));
		if (fd < 0)
			return failed(config, what, fd);
		file.path = path;
	}
	r = peal_blk_file_open(&model->file, &file, &reason);
	if (fd >= 0)
		(void)close(fd);
	if (r < 0)
		return cli_error(CLI_FAILED, config->name, "%s: %s%s", what,
				 reason ? reason : strerror(-r),
				 !config->read_only && (r == -EACCES || r == -EROFS)
					 ? "; --read-only does not write to it"
					 : "");
	return config->disk ? lock_disk(model, config) : CLI_OK;
}

static int make_blk(struct cli_model *model, const struct cli_model_config *config)
{
	struct peal_virtio_blk_config blk = {
		.host = peal_host_default(),
		.num_queues = config->queues,
		.no_msix = config->no_msix,
		.workers = config->workers,
	};
	struct peal_virtio_blk *device;
	int r = open_disk(model, config);

	if (r != CLI_OK)
		return r;
	blk.backend = peal_blk_file_backend(model->file);
	r = peal_virtio_blk_new(&device, &blk);
	if (r < 0)
		return failed(config, "blk", r);
	model->device = device;
	model->function = peal_virtio_blk_function(device);
	return CLI_OK;
}

static void free_blk(struct cli_model *model)
{
	peal_virtio_blk_free(model->device);
	peal_blk_file_close(model->file);
	if (model->lock >= 0)
		(void)close(model->lock);
}

static json_t *blk_statistics(struct cli_model *model)
{
	struct peal_virtio_blk_counters c;

	peal_virtio_blk_counters(model->device, PEAL_VIRTIO_BLK_ALL, &c);
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "reads",
			 (json_int_t)c.requests[PEAL_VIRTIO_BLK_OP_READ], "writes",
			 (json_int_t)c.requests[PEAL_VIRTIO_BLK_OP_WRITE], "flushes",
			 (json_int_t)c.requests[PEAL_VIRTIO_BLK_OP_FLUSH], "get_ids",
			 (json_int_t)c.requests[PEAL_VIRTIO_BLK_OP_GET_ID], "unknown",
			 (json_int_t)c.requests[PEAL_VIRTIO_BLK_OP_UNKNOWN], "read_bytes",
			 (json_int_t)c.read_bytes, "written_bytes", (json_int_t)c.written_bytes,
			 "refused", (json_int_t)c.refused, "failed", (json_int_t)c.failed);
}

/* ---- rng ---- */

static int make_rng(struct cli_model *model, const struct cli_model_config *config)
{
	const struct peal_virtio_rng_config rng = {
		.host = peal_host_default(),
		.no_msix = config->no_msix,
		.workers = config->workers,
	};
	struct peal_virtio_rng *device;
	int r = peal_virtio_rng_new(&device, &rng);

	if (r < 0)
		return failed(config, "rng", r);
	model->device = device;
	model->function = peal_virtio_rng_function(device);
	return CLI_OK;
}

static void free_rng(struct cli_model *model)
{
	peal_virtio_rng_free(model->device);
}

static json_t *rng_statistics(struct cli_model *model)
{
	struct peal_virtio_rng_counters c;

	peal_virtio_rng_counters(model->device, &c);
	return json_pack("{s:I,s:I}", "bytes", (json_int_t)c.bytes, "failed", (json_int_t)c.failed);
}

/* ---- bell ---- */

static int make_bell(struct cli_model *model, const struct cli_model_config *config)
{
	const struct peal_bell_config bell = {
		.host = peal_host_default(),
		.vectors = config->vectors ? config->vectors : BELL_VECTORS_DEFAULT,
	};
	struct peal_bell *device;
	int r = peal_bell_new(&device, &bell);

	if (r < 0)
		return failed(config, "bell", r);
	model->device = device;
	model->function = peal_bell_function(device);
	return CLI_OK;
}

static void free_bell(struct cli_model *model)
{
	peal_bell_free(model->device);
}

static json_t *bell_statistics(struct cli_model *model)
{
	unsigned vectors = peal_msix_vectors(peal_pci_function_msix(model->function));
	uint64_t rings = 0;

	for (unsigned i = 0; i < vectors; i++)
		rings += peal_bell_rings(model->device, i);
	return json_pack("{s:I}", "rings", (json_int_t)rings);
}

/* ---- hello ---- */

static int make_hello(struct cli_model *model, const struct cli_model_config *config)
{
	struct hello *device;
	int r = hello_new(&device, peal_host_default());

	if (r < 0)
		return failed(config, "hello", r);
	model->device = device;
	model->function = hello_function(device);
	return CLI_OK;
}

static void free_hello(struct cli_model *model)
{
	hello_free(model->device);
}

static json_t *no_statistics(struct cli_model *model)
{
	(void)model;
	return json_object();
}

/* ---- all ---- */

const char *const cli_model_names[] = { "blk", "rng", "bell", "hello", NULL };

static const struct kind kinds[] = {
	{ make_blk, free_blk, blk_statistics },
	{ make_rng, free_rng, rng_statistics },
	{ make_bell, free_bell, bell_statistics },
	{ make_hello, free_hello, no_statistics },
};

_Static_assert(PEAL_COUNT_OF(kinds) + 1 == PEAL_COUNT_OF(cli_model_names), "a name each");

int cli_model_new(struct cli_model **ret, unsigned index, const struct cli_model_config *config)
{
	struct cli_model *model = calloc(1, sizeof(*model));
	int r;

	if (!model)
		return cli_error(CLI_FAILED, config->name, "out of memory");
	model->lock = -1;
	model->kind = &kinds[index];
	r = model->kind->make(model, config);
	if (r != CLI_OK) {
		cli_model_free(model);
		return r;
	}
	*ret = model;
	return CLI_OK;
}

void cli_model_free(struct cli_model *model)
{
	if (!model)
		return;
	model->kind->free(model);
	free(model);
}

struct peal_pci_function *cli_model_function(struct cli_model *model)
{
	return model->function;
}

json_t *cli_model_statistics(struct cli_model *model)
{
	return model->kind->statistics(model);
}
