/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a server may do wrong when it is asked for migration, the log of DMA and descriptors: the
 * client answers with an error, keeps no descriptor, and writes nothing beyond what it was given.
 */
#include "script.h"

#include <fcntl.h>

/* A reply of SIZE bytes, of which the first are FIRST; descriptors of /dev/null with it. */
struct reply {
	size_t size;
	uint32_t first[12];
	unsigned nfds;
	int r; /* what the client's op says */
};

static const struct reply *told;

static bool tell(struct script *s, struct vfu_message *m)
{
	uint8_t bytes[16384] = { 0 };
	int fds[8];

	if (m->header.command < VFU_DEVICE_FEATURE && m->header.command != VFU_DEVICE_GET_REGION_IO)
		return honest(s, m);
	memcpy(bytes, told->first, sizeof(told->first));
	for (unsigned i = 0; i < told->nfds; i++)
		fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
	say(s, &m->header, 1, bytes, told->size, fds, told->nfds);
	for (unsigned i = 0; i < told->nfds; i++)
		(void)close(fds[i]);
	return true;
}

static void run(const struct reply *rows, size_t count,
		int (*op)(struct peal_vfio_device *device, const struct reply *row))
{
	for (size_t i = 0; i < count; i++) {
		struct script s = { .answer = tell };
		struct peal_vfu_client *client;

		told = &rows[i];
		assert_int_equal(start(&s, &client, 4096), 0);
		assert_int_equal(op(peal_vfu_client_device(client), &rows[i]), rows[i].r);
		end(&s, client);
	}
}

#define GET_FLAGS (PEAL_VFIO_FEATURE_MIGRATION | PEAL_VFIO_FEATURE_GET)

static int get_flags(struct peal_vfio_device *device, const struct reply *row)
{
	uint64_t flags = 77;
	int r = peal_vfio_migration_flags(device, &flags);

	assert_int_equal(flags, row->r ? 77 : 5);
	return r;
}

static void answers_about_migration(void **state)
{
	static const struct reply rows[] = {
		{ 16, { 16, GET_FLAGS, 5 }, 0, 0 },
		{ 15, { 16, GET_FLAGS, 5 }, 0, -EPROTO },
		{ 8, { 16, GET_FLAGS }, 0, -EPROTO },
		{ 7, { 16, GET_FLAGS }, 0, -EPROTO },
		{ 16, { 16, GET_FLAGS + 1, 5 }, 0, -EPROTO },
		{ 16, { 16, GET_FLAGS, 5 }, 1, -EPROTO },
	};

	(void)state;
	run(rows, PEAL_COUNT_OF(rows), get_flags);
}

static int read_data(struct peal_vfio_device *device, const struct reply *row)
{
	uint8_t bytes[101];
	size_t done = 7;
	int r;

	memset(bytes, 0xee, sizeof(bytes));
	r = peal_vfio_mig_read(device, bytes, 100, &done);
	assert_int_equal(bytes[100], 0xee);
	assert_int_equal(done, row->r ? 7 : row->first[1]);
	return r;
}

static void data_that_was_not_asked_for(void **state)
{
	static const struct reply rows[] = {
		{ 8, { 8, 0 }, 0, 0 },
		{ 8 + 99, { 8, 99 }, 0, 0 },
		{ 8 + 101, { 109, 101 }, 0, -EPROTO },
		{ 8 + 4096, { 4104, 4096 }, 0, -EPROTO },
		{ 8 + 50, { 8, 51 }, 0, -EPROTO },
		{ 8 + 51, { 8, 50 }, 0, -EPROTO },
		{ 8, { 8, UINT32_MAX }, 0, -EPROTO },
		{ 4, { 8 }, 0, -EPROTO },
	};

	(void)state;
	run(rows, PEAL_COUNT_OF(rows), read_data);
}

#define REPORT (PEAL_VFIO_FEATURE_DMA_LOGGING_REPORT | PEAL_VFIO_FEATURE_GET)

static int ask_report(struct peal_vfio_device *device, const struct reply *row)
{
	const struct peal_vfio_range range = { 0, 65 * 4096 };
	uint64_t bitmap[3] = { 0, 0, 0x1234 };
	int r = peal_vfio_dma_log_report(device, &range, 4096, bitmap);

	(void)row;
	assert_int_equal(bitmap[2], 0x1234);
	return r;
}

static void reports_that_are_too_short(void **state)
{
	static const struct reply rows[] = {
		{ 32 + 16, { 48, REPORT }, 0, 0 },       { 32 + 4000, { 48, REPORT }, 0, 0 },
		{ 32 + 15, { 48, REPORT }, 0, -EPROTO }, { 32, { 48, REPORT }, 0, -EPROTO },
		{ 8, { 48, REPORT }, 0, -EPROTO },
	};

	(void)state;
	run(rows, PEAL_COUNT_OF(rows), ask_report);
}

static int ask_io(struct peal_vfio_device *device, const struct reply *row)
{
	struct peal_vfio_io_fd list[4];
	unsigned count = 0;
	int r = peal_vfio_io_fds(device, 0, list, 4, &count);

	if (r == 0 && row->nfds)
		assert_true(count > 0 && fcntl(list[0].fd, F_GETFD) >= 0);
	if (r == 0 && row->first[10])
		assert_int_equal(count, 0);
	return r;
}

/* argsz, flags, index, count; offset × 2, size × 2, fd_index, type */
static void descriptors_for_nothing(void **state)
{
	static const struct reply rows[] = {
		{ 16, { 16, 0, 0, 0 }, 0, 0 },
		{ 56, { 56, 0, 0, 1, 4092, 0, 4, 0, 0, 0 }, 1, 0 },
		/* Two that share one. */
		{ 96, { 96, 0, 0, 2, 0, 0, 4, 0, 0, 0 }, 1, 0 },
		/* Out of the region, or without a descriptor. */
		{ 56, { 56, 0, 0, 1, 4093, 0, 4, 0, 0, 0 }, 1, -EPROTO },
		{ 56, { 56, 0, 0, 1, UINT32_MAX, UINT32_MAX, 4, 0, 0, 0 }, 1, -EPROTO },
		{ 56, { 56, 0, 0, 1, 0, 0, 4, 0, 1, 0 }, 1, -EPROTO },
		{ 56, { 56, 0, 0, 1, 0, 0, 4, 0, UINT32_MAX, 0 }, 1, -EPROTO },
		{ 56, { 56, 0, 0, 1, 0, 0, 4, 0, 0, 0 }, 0, -EPROTO },
		/* More of them than there are bytes for. */
		{ 56, { 56, 0, 0, 2, 0, 0, 4, 0, 0, 0 }, 1, -EPROTO },
		{ 16, { 16, 0, 0, UINT32_MAX }, 1, -EPROTO },
		{ 55, { 56, 0, 0, 1 }, 1, -EPROTO },
		/* Another region. */
		{ 16, { 16, 0, 1, 0 }, 0, -EPROTO },
		/* Descriptors that nobody said anything of. */
		{ 16, { 16, 0, 0, 0 }, 8, 0 },
	};
	unsigned before = open_fds();

	(void)state;
	run(rows, PEAL_COUNT_OF(rows) - 1, ask_io);
	assert_int_equal(open_fds(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fds_test(answers_about_migration),
		fds_test(data_that_was_not_asked_for),
		fds_test(reports_that_are_too_short),
		fds_test(descriptors_for_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
