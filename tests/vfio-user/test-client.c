/* SPDX-License-Identifier: BSD-2-Clause */
/* Our client with our server: every op of a device, over the socket. */
#include "rig.h"

#include <sys/un.h>

#define TRIGGER_FDS  (PEAL_VFIO_DATA_EVENTFD | PEAL_VFIO_ACTION_TRIGGER)
#define TRIGGER_NONE (PEAL_VFIO_DATA_NONE | PEAL_VFIO_ACTION_TRIGGER)

struct both {
	struct rig rig;
	struct peal_vfu_client *client;
	struct peal_vfio_device *device;
};

static void both_init_config(struct both *b, const struct peal_vfu_client_config *with,
			     const struct peal_vfu_server_config *server)
{
	struct peal_vfu_client_config config = *with;
	struct rig *rig = &b->rig;
	int pair[2];

	rig_init_config(rig, server);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	rig->server_fd = pair[0];
	assert_int_equal(pthread_create(&rig->thread, NULL, rig_serve, rig), 0);
	rig->serving = true;
	config.host = &rig->host.host;
	assert_int_equal(peal_vfu_client_new(&b->client, &config, pair[1]), 0);
	b->device = peal_vfu_client_device(b->client);
}

static void both_init(struct both *b)
{
	const struct peal_vfu_client_config client = { 0 };
	const struct peal_vfu_server_config server = { 0 };

	both_init_config(b, &client, &server);
}

static void both_done(struct both *b)
{
	peal_vfu_client_free(b->client);
	assert_int_equal(rig_disconnect(&b->rig), 0);
	rig_done(&b->rig);
}

static int irqs(struct both *b, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
		const int32_t *fds)
{
	const size_t size = fds ? count * sizeof(*fds) : 0;
	const struct peal_irqset_request request = { (uint32_t)(20 + size), flags, index, start,
						     count };

	return peal_vfio_set_irqs(b->device, &request, fds, size);
}

static void the_device_is_the_same_on_both_sides(void **state)
{
	struct peal_vfio_device_info info;
	struct peal_vfio_irq_info irq, fake_irq;
	struct both b;

	(void)state;
	both_init(&b);
	assert_int_equal(peal_vfio_get_info(b.device, &info), 0);
	assert_int_equal(info.flags, 3);
	assert_int_equal(info.num_regions, 9);
	assert_int_equal(info.num_irqs, 5);
	for (unsigned i = 0; i < 9; i++) {
		struct peal_vfio_region_info has, said;

		assert_int_equal(peal_vfio_region_info(&b.rig.fake.device, i, &has), 0);
		assert_int_equal(peal_vfio_region_info(b.device, i, &said), 0);
		assert_int_equal(has.size, said.size);
		assert_int_equal(has.flags, said.flags);
		assert_int_equal(has.nareas, said.nareas);
		for (unsigned k = 0; k < has.nareas; k++) {
			assert_int_equal(has.areas[k].offset, said.areas[k].offset);
			assert_int_equal(has.areas[k].size, said.areas[k].size);
		}
	}
	for (unsigned i = 0; i < 6; i++) {
		int r = peal_vfio_irq_info(&b.rig.fake.device, i, &fake_irq);

		assert_int_equal(peal_vfio_irq_info(b.device, i, &irq), r);
		if (r == 0)
			assert_int_equal(irq.count, fake_irq.count);
		if (r == 0)
			assert_int_equal(irq.flags, fake_irq.flags);
	}
	both_done(&b);
}

static void what_the_server_said_can_be_asked(void **state)
{
	const struct peal_vfu_client_config client = { .flags = PEAL_VFU_NO_WRITE_MULTIPLE };
	const struct peal_vfu_server_config server = { .max_msg_fds = 5,
						       .max_data_xfer_size = 12345,
						       .max_dma_maps = 17 };
	struct peal_vfu_agreement said;
	struct both b;

	(void)state;
	both_init_config(&b, &client, &server);
	peal_vfu_client_agreement(b.client, &said);
	assert_int_equal(said.major, 0);
	assert_int_equal(said.max_msg_fds, 5);
	assert_int_equal(said.max_data_xfer_size, 12345);
	assert_int_equal(said.max_dma_maps, 17);
	assert_int_equal(said.pgsizes, sysconf(_SC_PAGESIZE));
	assert_true(said.twin_socket);
	assert_false(said.write_multiple);
	both_done(&b);
}

static void regions_of_any_length(void **state)
{
	const struct peal_vfu_client_config client = { .max_data_xfer_size = 1000 };
	const struct peal_vfu_server_config server = { 0 };
	uint8_t out[RIG_BAR_SIZE], in[RIG_BAR_SIZE];
	struct both b;

	(void)state;
	both_init_config(&b, &client, &server);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 31);
	assert_int_equal(peal_vfio_region_write(b.device, RIG_BAR, 0, out, sizeof(out)), 0);
	assert_int_equal(b.rig.fake.writes, 9);
	assert_memory_equal(b.rig.fake.bar, out, sizeof(out));
	assert_int_equal(peal_vfio_region_read(b.device, RIG_BAR, 0, in, sizeof(in)), 0);
	assert_memory_equal(in, out, sizeof(out));
	assert_int_equal(peal_vfio_region_read(b.device, RIG_BAR, 8191, in, 1), 0);
	assert_int_equal(peal_vfio_region_read(b.device, RIG_BAR, 8191, in, 2), -EINVAL);
	assert_int_equal(peal_vfio_region_read(b.device, RIG_BAR, UINT64_MAX, in, 2), -EINVAL);
	assert_int_equal(peal_vfio_region_write(b.device, 3, 0, in, 1), -EINVAL);
	assert_int_equal(peal_vfio_region_write(b.device, 99, 0, in, 1), -EINVAL);
	both_done(&b);
}

static void posted_writes_come_before_the_next_read(void **state)
{
	const struct peal_vfu_client_config client = { .flags = PEAL_VFU_POSTED_WRITES };
	const struct peal_vfu_server_config server = { 0 };
	struct both b;
	uint32_t value;

	(void)state;
	both_init_config(&b, &client, &server);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(peal_vfio_region_write(b.device, RIG_BAR, 4, &i, 4), 0);
	assert_int_equal(peal_vfio_region_read(b.device, RIG_BAR, 4, &value, 4), 0);
	assert_int_equal(value, 999);
	both_done(&b);
}

static void multiple_writes_with_and_without_the_capability(void **state)
{
	struct peal_vfu_write writes[100];

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		writes[i] =
			(struct peal_vfu_write){ .offset = i * 4, .region = RIG_BAR, .count = 4 };
		memcpy(writes[i].data, &i, 4);
	}
	for (unsigned flags = 0; flags < 4; flags++) {
		const struct peal_vfu_client_config client = {
			.flags = (flags & 1 ? PEAL_VFU_NO_WRITE_MULTIPLE : 0) |
				 (flags & 2 ? PEAL_VFU_POSTED_WRITES : 0),
			.max_data_xfer_size = 1024, /* 42 of them */
		};
		const struct peal_vfu_server_config server = { 0 };
		uint32_t values[100];
		struct both b;

		both_init_config(&b, &client, &server);
		writes[99].offset = 99 * 4;
		assert_int_equal(peal_vfu_client_write_multi(b.client, writes, 100), 0);
		assert_int_equal(peal_vfio_region_read(b.device, RIG_BAR, 0, values, 400), 0);
		for (uint32_t i = 0; i < 100; i++)
			assert_int_equal(values[i], i);
		writes[99].offset = RIG_BAR_SIZE;
		assert_int_equal(peal_vfu_client_write_multi(b.client, writes, 100), -EINVAL);
		both_done(&b);
	}
}

static void regions_are_mapped(void **state)
{
	struct both b;
	char *memory, bytes[8];
	void *unused = NULL;

	(void)state;
	both_init(&b);
	assert_int_equal(
		peal_vfio_region_map(b.device, RIG_MAPPED, 8192, 8192, 3, (void **)&memory), 0);
	memcpy(memory + 4096, "mapped", 7);
	assert_int_equal(peal_vfio_region_read(b.device, RIG_MAPPED, 12288, bytes, 7), 0);
	assert_string_equal(bytes, "mapped");
	assert_int_equal(peal_vfio_region_map(b.device, RIG_MAPPED, 4096, 4096, 3, &unused),
			 -ENOTSUP);
	assert_int_equal(peal_vfio_region_map(b.device, RIG_MAPPED, 0, 8192, 3, &unused), -ENOTSUP);
	assert_int_equal(peal_vfio_region_map(b.device, RIG_BAR, 0, 4096, 3, &unused), -ENOTSUP);
	assert_int_equal(peal_vfio_region_map(b.device, 99, 0, 4096, 3, &unused), -EINVAL);
	peal_vfio_region_unmap(b.device, memory, 8192);
	/* One that is not given back goes with the client. */
	assert_int_equal(peal_vfio_region_map(b.device, RIG_MAPPED, 0, 4096, 1, &unused), 0);
	both_done(&b);
}

static void mixed_ranges_go_in_pieces(void **state)
{
	static const uint8_t patterns[] = { 0xff, 0x00, 0xaa, 0x55, 0x0f, 0xf0, 0x81, 0x7e };
	const struct peal_vfu_client_config client = { 0 };
	const struct peal_vfu_server_config server = { .max_msg_fds = 2 };

	(void)state;
	for (size_t p = 0; p < sizeof(patterns); p++) {
		int32_t fds[RIG_MSIX];
		struct both b;

		both_init_config(&b, &client, &server);
		for (unsigned i = 0; i < RIG_MSIX; i++)
			fds[i] = patterns[p] >> i & 1 ? eventfd(0, EFD_CLOEXEC) : -1;
		/* While it is off, and again while it is on. */
		for (unsigned twice = 0; twice < 2; twice++) {
			assert_int_equal(irqs(&b, TRIGGER_FDS, 2, 0, RIG_MSIX, fds), 0);
			for (unsigned i = 0; i < RIG_MSIX; i++) {
				assert_int_equal(peal_irqset_raise(b.rig.fake.irqset, 2, i),
						 fds[i] >= 0);
				if (fds[i] >= 0)
					assert_int_equal(rig_signals(fds[i]), 1);
			}
		}
		assert_int_equal(irqs(&b, TRIGGER_NONE, 2, 0, 0, NULL), 0);
		assert_int_equal(peal_irqset_active(b.rig.fake.irqset), PEAL_VFIO_IRQ_NONE);
		for (unsigned i = 0; i < RIG_MSIX; i++) {
			if (fds[i] >= 0)
				assert_int_equal(close(fds[i]), 0);
		}
		both_done(&b);
	}
}

static void a_failing_piece_takes_the_others_back(void **state)
{
	const struct peal_vfu_client_config client = { 0 };
	const struct peal_vfu_server_config server = { .max_msg_fds = 1 };
	int32_t fds[4] = { eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC),
			   memfd_create("no event", MFD_CLOEXEC), eventfd(0, EFD_CLOEXEC) };
	struct both b;

	(void)state;
	both_init_config(&b, &client, &server);
	assert_int_equal(irqs(&b, TRIGGER_FDS, 2, 0, 4, fds), -EINVAL);
	for (unsigned i = 0; i < 4; i++)
		assert_false(peal_irqset_has_trigger(b.rig.fake.irqset, 2, i));
	/* A number that is no descriptor harms nobody. */
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(close(fds[i]), 0);
	assert_int_equal(irqs(&b, TRIGGER_FDS, 3, 0, 1, fds), -EBADF);
	assert_int_equal(peal_vfio_reset(b.device), 0);
	assert_int_equal(b.rig.fake.resets, 1);
	both_done(&b);
}

static void requests_that_do_not_hold_together(void **state)
{
	struct peal_irqset_request r = { 20, TRIGGER_FDS, 2, 0, 1 };
	struct both b;
	int32_t fd = -1;

	(void)state;
	both_init(&b);
	assert_int_equal(peal_vfio_set_irqs(b.device, &r, NULL, 0), -EINVAL);
	r.argsz = 24;
	assert_int_equal(peal_vfio_set_irqs(b.device, &r, &fd, 3), -EINVAL);
	r.argsz = 19;
	assert_int_equal(peal_vfio_set_irqs(b.device, &r, &fd, 4), -EINVAL);
	assert_int_equal(irqs(&b, TRIGGER_NONE, 2, 0, UINT32_MAX, NULL), -EINVAL);
	assert_int_equal(irqs(&b, TRIGGER_NONE, 9, 0, 1, NULL), -EINVAL);
	assert_int_equal(irqs(&b, TRIGGER_NONE, 2, RIG_MSIX, 1, NULL), -EINVAL);
	assert_int_equal(irqs(&b, PEAL_VFIO_DATA_NONE, 2, 0, 1, NULL), -ENOTTY);
	assert_int_equal(irqs(&b, PEAL_VFIO_DATA_NONE | PEAL_VFIO_ACTION_MASK, 2, 0, 1, NULL),
			 -ENOTTY);
	both_done(&b);
}

/* ---- DMA ---- */

struct worker {
	struct both *b;
	uint64_t address;
	uint8_t bytes[4096];
	int result;
};

static void *work(void *user)
{
	struct worker *w = user;

	w->result = peal_space_read(w->b->rig.space, w->address, w->bytes, sizeof(w->bytes));
	if (w->result == 0) {
		for (size_t i = 0; i < sizeof(w->bytes); i++)
			w->bytes[i] ^= 0xff;
		w->result =
			peal_space_write(w->b->rig.space, w->address, w->bytes, sizeof(w->bytes));
	}
	return NULL;
}

static void memory_is_shared_or_asked_for(void **state)
{
	(void)state;
	for (unsigned variant = 0; variant < 4; variant++) {
		const struct peal_vfu_client_config client = {
			.flags = variant & 1 ? PEAL_VFU_NO_TWIN_SOCKET : 0,
			.max_data_xfer_size = 1000,
		};
		const struct peal_vfu_server_config server = { 0 };
		int fd = memfd_create("ram", MFD_CLOEXEC);
		struct peal_vfio_dma dma = {
			.iova = 0x10000, .size = 8192, .flags = 3, .fd = variant & 2 ? fd : -1
		};
		struct worker w = { .address = 0x10800 };
		uint8_t *memory;
		pthread_t thread;
		struct both b;

		assert_int_equal(ftruncate(fd, 8192), 0);
		memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		dma.memory = memory;
		both_init_config(&b, &client, &server);
		w.b = &b;
		for (unsigned i = 0; i < 8192; i++)
			memory[i] = (uint8_t)i;
		assert_int_equal(peal_vfio_dma_map(b.device, &dma), 0);
		assert_int_equal(peal_vfio_dma_map(b.device, &dma), -EEXIST);
		assert_int_equal(pthread_create(&thread, NULL, work, &w), 0);
		/* Requests meanwhile: commands come between their replies. */
		for (unsigned i = 0; i < 100; i++) {
			uint32_t value;

			assert_int_equal(peal_vfio_region_read(b.device, RIG_BAR, 0, &value, 4), 0);
		}
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_int_equal(w.result, 0);
		assert_int_equal(rig_counters(&b.rig).dma_remote, variant & 2 ? 0 : 10);
		assert_int_equal(peal_vfio_dma_unmap(b.device, 0x10000, 8192), 0);
		assert_int_equal(peal_space_read(b.rig.space, 0x10000, w.bytes, 1), -EFAULT);
		both_done(&b);
		for (unsigned i = 0; i < 8192; i++)
			assert_int_equal(memory[i],
					 (uint8_t)(i >= 0x800 && i < 0x1800 ? i ^ 0xff : i));
		assert_int_equal(munmap(memory, 8192), 0);
		assert_int_equal(close(fd), 0);
	}
}

/* What the client did not map, or not so, is not accessed; the device sees an error. */
static void dma_beyond_what_is_mapped(void **state)
{
	static uint8_t memory[8192] __attribute__((aligned(4096)));
	struct peal_vfio_dma dma = { .iova = 0x1000,
				     .size = 4096,
				     .flags = PEAL_VFIO_DMA_READ,
				     .fd = -1,
				     .memory = memory };
	struct both b;
	uint8_t byte = 1;

	(void)state;
	both_init(&b);
	assert_int_equal(peal_vfio_dma_map(b.device, &dma), 0);
	assert_int_equal(peal_space_read(b.rig.space, 0x1fff, &byte, 1), 0);
	assert_int_equal(peal_space_write(b.rig.space, 0x1fff, &byte, 1), -EFAULT);
	dma.size = 0;
	assert_int_equal(peal_vfio_dma_map(b.device, &dma), -EINVAL);
	dma.size = 4096;
	dma.flags = 0;
	assert_int_equal(peal_vfio_dma_map(b.device, &dma), -EINVAL);
	dma.flags = 3;
	dma.memory = NULL;
	assert_int_equal(peal_vfio_dma_map(b.device, &dma), -EINVAL);
	both_done(&b);
}

/* ---- the end ---- */

static void a_server_that_ends_is_told(void **state)
{
	struct both b;
	uint32_t value;
	int r;

	(void)state;
	both_init(&b);
	peal_vfu_server_stop(b.rig.server);
	assert_int_equal(pthread_join(b.rig.thread, NULL), 0);
	b.rig.serving = false;
	r = peal_vfio_region_read(b.device, RIG_BAR, 0, &value, 4);
	assert_true(r == -EPIPE || r == -ECONNRESET);
	assert_int_equal(peal_vfio_region_read(b.device, RIG_BAR, 0, &value, 4), r);
	assert_int_equal(peal_vfio_reset(b.device), r);
	peal_vfio_free(b.device);
	rig_done(&b.rig);
}

static void *run_server(void *user)
{
	struct rig *rig = user;

	rig->result = peal_vfu_server_run(rig->server, rig->server_fd);
	return NULL;
}

static void a_path_is_dialled(void **state)
{
	const struct peal_vfu_server_config server = { 0 };
	struct peal_vfu_client_config config = { 0 };
	char directory[] = "/tmp/peal-test-XXXXXX", path[64];
	struct peal_vfu_client *client;
	struct rig rig;
	int fd = -1;

	(void)state;
	rig_init_config(&rig, &server);
	assert_non_null(mkdtemp(directory));
	(void)snprintf(path, sizeof(path), "%s/s", directory);
	assert_int_equal(peal_vfu_connect(&fd, path), -ENOENT);
	assert_int_equal(peal_vfu_connect(&fd, ""), -ENOENT);
	assert_int_equal(peal_vfu_listen(&rig.server_fd, path), 0);
	assert_int_equal(pthread_create(&rig.thread, NULL, run_server, &rig), 0);
	config.host = &rig.host.host;
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(peal_vfu_connect(&fd, path), 0);
		assert_int_equal(peal_vfu_client_new(&client, &config, fd), 0);
		assert_int_equal(peal_vfio_reset(peal_vfu_client_device(client)), 0);
		peal_vfu_client_free(client);
	}
	assert_int_equal(rig.fake.resets, 5);
	peal_vfu_server_stop(rig.server);
	assert_int_equal(pthread_join(rig.thread, NULL), 0);
	assert_int_equal(rig.result, 0);
	assert_int_equal(close(rig.server_fd), 0);
	assert_int_equal(peal_vfu_connect(&fd, path), -ECONNREFUSED);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(directory), 0);
	rig_done(&rig);
}

static int make_client(const struct peal_host *host, void *user)
{
	const struct peal_vfu_client_config config = { .host = host };
	struct rig *rig = user;
	struct peal_vfu_client *client = NULL;
	int pair[2], r;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	rig->server_fd = pair[0];
	assert_int_equal(pthread_create(&rig->thread, NULL, rig_serve, rig), 0);
	r = peal_vfu_client_new(&client, &config, pair[1]);
	peal_vfu_client_free(client);
	assert_int_equal(pthread_join(rig->thread, NULL), 0);
	return r;
}

static void out_of_memory_at_any_point(void **state)
{
	const struct peal_vfu_server_config server = { 0 };
	struct rig rig;

	(void)state;
	rig_init_config(&rig, &server);
	assert_true(test_every_allocation(make_client, &rig) >= 6);
	rig_done(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fds_test(the_device_is_the_same_on_both_sides),
		fds_test(what_the_server_said_can_be_asked),
		fds_test(regions_of_any_length),
		fds_test(posted_writes_come_before_the_next_read),
		fds_test(multiple_writes_with_and_without_the_capability),
		fds_test(regions_are_mapped),
		fds_test(mixed_ranges_go_in_pieces),
		fds_test(a_failing_piece_takes_the_others_back),
		fds_test(requests_that_do_not_hold_together),
		fds_test(memory_is_shared_or_asked_for),
		fds_test(dma_beyond_what_is_mapped),
		fds_test(a_server_that_ends_is_told),
		fds_test(a_path_is_dialled),
		fds_test(out_of_memory_at_any_point),
	};

	return cmocka_run_group_tests_name("vfio-user client", tests, NULL, NULL);
}
