/* SPDX-License-Identifier: BSD-2-Clause */
/* The server: what each command answers to a client that keeps to the rules. */
#include "rig.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/un.h>

#define TRIGGER_FDS  (PEAL_VFIO_DATA_EVENTFD | PEAL_VFIO_ACTION_TRIGGER)
#define TRIGGER_NONE (PEAL_VFIO_DATA_NONE | PEAL_VFIO_ACTION_TRIGGER)

static void qemu_is_answered_with_a_subset(void **state)
{
	struct vfu_capabilities c;
	struct vfu_version version;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	assert_int_equal(rig_version(&rig, 0, 0, RIG_QEMU), 0);
	memcpy(&version, rig.message.payload, sizeof(version));
	assert_int_equal(version.major, 0);
	assert_int_equal(version.minor, 0);
	assert_int_equal(vfu_capabilities_parse(&c, rig.message.payload + 4, rig.message.size - 4),
			 0);
	assert_int_equal(c.max_msg_fds, 16);
	assert_int_equal(c.max_data_xfer_size, 1048576);
	assert_true(c.write_multiple);
	assert_false(c.twin_socket);
	assert_int_equal(rig.message.fds.count, 0);
	rig_done(&rig);
}

static void minor_is_the_lower_of_the_two(void **state)
{
	struct vfu_version version;

	(void)state;
	for (uint16_t minor = 0; minor < 5; minor++) {
		struct rig rig;

		rig_init(&rig);
		assert_int_equal(rig_version(&rig, 0, minor, NULL), 0);
		memcpy(&version, rig.message.payload, sizeof(version));
		assert_int_equal(version.minor, minor < VFU_MINOR ? minor : VFU_MINOR);
		rig_done(&rig);
	}
}

static void another_major_ends_the_connection(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig);
	assert_int_equal(rig_version(&rig, 1, 0, RIG_QEMU), -ENOTSUP);
	rig_expect_end(&rig);
	rig_done(&rig);
}

static void device_and_regions_are_described(void **state)
{
	struct vfu_device_info info = { .argsz = 16 };
	struct vfu_region_info region = { .argsz = 32 };
	struct vfu_irq_info irq = { .argsz = 16 };
	struct rig rig;

	(void)state;
	rig_start(&rig);
	assert_int_equal(rig_ask(&rig, VFU_DEVICE_GET_INFO, &info, sizeof(info)), 0);
	assert_int_equal(rig.message.size, sizeof(info));
	memcpy(&info, rig.message.payload, sizeof(info));
	assert_int_equal(info.argsz, 16);
	assert_int_equal(info.flags, 3);
	assert_int_equal(info.num_regions, 9);
	assert_int_equal(info.num_irqs, 5);
	for (uint32_t i = 0; i < 9; i++) {
		region = (struct vfu_region_info){ .argsz = 32, .index = i };
		assert_int_equal(rig_ask(&rig, VFU_DEVICE_GET_REGION_INFO, &region, sizeof(region)),
				 0);
		assert_int_equal(rig.message.size, 32);
		memcpy(&region, rig.message.payload, sizeof(region));
		assert_int_equal(region.index, i);
		assert_int_equal(region.size, i == 0   ? RIG_BAR_SIZE
					      : i == 2 ? 16384
					      : i == 7 ? 256
						       : 0);
		vfu_fds_close(&rig.message.fds);
	}
	region = (struct vfu_region_info){ .argsz = 32, .index = 9 };
	assert_int_equal(rig_ask(&rig, VFU_DEVICE_GET_REGION_INFO, &region, sizeof(region)),
			 -EINVAL);
	irq.index = PEAL_VFIO_IRQ_MSIX;
	assert_int_equal(rig_ask(&rig, VFU_DEVICE_GET_IRQ_INFO, &irq, sizeof(irq)), 0);
	memcpy(&irq, rig.message.payload, sizeof(irq));
	assert_int_equal(irq.count, RIG_MSIX);
	assert_true(irq.flags & PEAL_VFIO_IRQ_EVENTFD);
	irq.index = 5;
	assert_int_equal(rig_ask(&rig, VFU_DEVICE_GET_IRQ_INFO, &irq, sizeof(irq)), -EINVAL);
	rig_done(&rig);
}

static void capabilities_come_when_there_is_room(void **state)
{
	struct vfu_region_info region = { .argsz = 32, .index = RIG_MAPPED };
	const size_t needed = 32 + 16 + 2 * 16;
	struct vfu_sparse_mmap cap;
	struct vfu_area areas[2];
	struct rig rig;
	void *memory;

	(void)state;
	rig_start(&rig);
	assert_int_equal(rig_ask(&rig, VFU_DEVICE_GET_REGION_INFO, &region, sizeof(region)), 0);
	assert_int_equal(rig.message.size, 32);
	assert_int_equal(rig.message.fds.count, 0);
	memcpy(&region, rig.message.payload, sizeof(region));
	assert_int_equal(region.argsz, needed);
	/* QEMU 11 refuses flags that promise capabilities without saying where they will be. */
	assert_int_equal(region.cap_offset, 32);
	region = (struct vfu_region_info){ .argsz = (uint32_t)needed, .index = RIG_MAPPED };
	assert_int_equal(rig_ask(&rig, VFU_DEVICE_GET_REGION_INFO, &region, sizeof(region)), 0);
	assert_int_equal(rig.message.size, needed);
	memcpy(&region, rig.message.payload, sizeof(region));
	assert_int_equal(region.flags, 0xf);
	assert_int_equal(region.cap_offset, 32);
	memcpy(&cap, rig.message.payload + 32, sizeof(cap));
	assert_int_equal(cap.id, 1);
	assert_int_equal(cap.version, 1);
	assert_int_equal(cap.next, 0);
	assert_int_equal(cap.count, 2);
	memcpy(areas, rig.message.payload + 48, sizeof(areas));
	assert_int_equal(areas[1].offset, 8192);
	assert_int_equal(areas[1].size, 8192);
	/* The descriptor is the region: what is written through it is read by message. */
	assert_int_equal(rig.message.fds.count, 1);
	memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, rig.message.fds.fd[0],
		      (off_t)(region.offset + areas[1].offset));
	assert_ptr_not_equal(memory, MAP_FAILED);
	memcpy(memory, "through", 8);
	vfu_fds_close(&rig.message.fds);
	assert_int_equal(rig_read(&rig, RIG_MAPPED, 8192, 8), 0);
	assert_memory_equal(rig.message.payload + 16, "through", 8);
	assert_int_equal(munmap(memory, 8192), 0);
	rig_done(&rig);
}

static void regions_are_read_and_written(void **state)
{
	struct rig rig;

	(void)state;
	rig_start(&rig);
	assert_int_equal(rig_read(&rig, PEAL_VFIO_REGION_CONFIG, 0, 256), 0);
	assert_int_equal(rig.message.size, 16 + 256);
	assert_memory_equal(rig.message.payload + 16, rig.fake.config, 256);
	assert_int_equal(rig_write(&rig, RIG_BAR, 8, "12345678", 8), 0);
	assert_int_equal(rig.message.size, 16);
	assert_int_equal(rig_read(&rig, RIG_BAR, 8, 4), 0);
	assert_memory_equal(rig.message.payload + 16, "1234", 4);
	assert_int_equal(rig_read(&rig, RIG_BAR, RIG_BAR_SIZE, 0), 0);
	assert_int_equal(rig.message.size, 16);
	rig_done(&rig);
}

static void posted_writes_get_no_reply(void **state)
{
	struct {
		struct vfu_region_access access;
		uint8_t data[4];
	} write = { .access = { .count = 4 } };
	struct rig rig;

	(void)state;
	rig_start(&rig);
	for (unsigned i = 0; i < 100; i++) {
		write.data[0] = (uint8_t)i;
		rig_send_fds(&rig, VFU_REGION_WRITE, VFU_NO_REPLY, &write, 20, NULL, 0);
	}
	/* Nor does one that fails. */
	write.access.offset = UINT64_MAX;
	rig_send_fds(&rig, VFU_REGION_WRITE, VFU_NO_REPLY, &write, 20, NULL, 0);
	rig_send_fds(&rig, 999, VFU_NO_REPLY, NULL, 0, NULL, 0);
	assert_int_equal(rig_read(&rig, RIG_BAR, 0, 4), 0);
	assert_int_equal(rig.message.payload[16], 99);
	assert_int_equal(rig_counters(&rig).errors, 2);
	rig_done(&rig);
}

static void many_writes_in_one_message(void **state)
{
	struct {
		struct vfu_write_multi multi;
		struct vfu_single_write writes[3];
	} m = { .multi = { 3 },
		.writes = { { 0, RIG_BAR, 1, "a" },
			    { 1, RIG_BAR, 2, "bc" },
			    { 4, RIG_BAR, 8, "defghij" } } };
	uint64_t done;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	assert_int_equal(rig_ask(&rig, VFU_REGION_WRITE_MULTI, &m, sizeof(m)), 0);
	assert_int_equal(rig.message.size, 8);
	memcpy(&done, rig.message.payload, 8);
	assert_int_equal(done, 3);
	assert_memory_equal(rig.fake.bar, "abc\0defghij", 12);
	/* One that is wrong: none is made. */
	m.writes[0].data[0] = 'x';
	m.writes[2].offset = RIG_BAR_SIZE - 7;
	assert_int_equal(rig_ask(&rig, VFU_REGION_WRITE_MULTI, &m, sizeof(m)), -EINVAL);
	assert_int_equal(rig.fake.bar[0], 'a');
	rig_done(&rig);
}

static void reset_reaches_the_device(void **state)
{
	struct rig rig;

	(void)state;
	rig_start(&rig);
	assert_int_equal(rig_write(&rig, RIG_BAR, 0, "x", 1), 0);
	assert_int_equal(rig_ask(&rig, VFU_DEVICE_RESET, NULL, 0), 0);
	assert_int_equal(rig.message.size, 0);
	assert_int_equal(rig.fake.resets, 1);
	assert_int_equal(rig.fake.bar[0], 0);
	rig_done(&rig);
}

/* ---- interrupts ---- */

static void vectors_signal_their_descriptors(void **state)
{
	struct rig rig;
	int fds[RIG_MSIX];

	(void)state;
	rig_start(&rig);
	for (unsigned i = 0; i < RIG_MSIX; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(
		rig_irqs(&rig, TRIGGER_FDS, PEAL_VFIO_IRQ_MSIX, 0, RIG_MSIX, fds, RIG_MSIX), 0);
	for (unsigned i = 0; i < RIG_MSIX; i++)
		assert_int_equal(peal_irqset_raise(rig.fake.irqset, PEAL_VFIO_IRQ_MSIX, i), 1);
	for (unsigned i = 0; i < RIG_MSIX; i++)
		assert_int_equal(rig_signals(fds[i]), 1);
	/* Without descriptors: the range 2..4 is given back, and only that. */
	assert_int_equal(rig_irqs(&rig, TRIGGER_FDS, PEAL_VFIO_IRQ_MSIX, 2, 3, NULL, 0), 0);
	for (unsigned i = 0; i < RIG_MSIX; i++)
		assert_int_equal(peal_irqset_has_trigger(rig.fake.irqset, PEAL_VFIO_IRQ_MSIX, i),
				 i < 2 || i > 4);
	/* Also where start is larger than count: a loop that ends at count would do nothing. */
	assert_int_equal(rig_irqs(&rig, TRIGGER_FDS, PEAL_VFIO_IRQ_MSIX, 6, 2, NULL, 0), 0);
	assert_false(peal_irqset_has_trigger(rig.fake.irqset, PEAL_VFIO_IRQ_MSIX, 6));
	assert_false(peal_irqset_has_trigger(rig.fake.irqset, PEAL_VFIO_IRQ_MSIX, 7));
	assert_int_equal(rig_irqs(&rig, TRIGGER_NONE, PEAL_VFIO_IRQ_MSIX, 0, 0, NULL, 0), 0);
	assert_int_equal(peal_irqset_active(rig.fake.irqset), PEAL_VFIO_IRQ_NONE);
	for (unsigned i = 0; i < RIG_MSIX; i++)
		assert_int_equal(close(fds[i]), 0);
	rig_done(&rig);
}

/* As QEMU when a guest turns MSI-X on: no descriptor while the index is inactive. */
static void msix_is_enabled_without_descriptors(void **state)
{
	struct rig rig;
	int fd = eventfd(0, EFD_CLOEXEC);

	(void)state;
	rig_start(&rig);
	assert_int_equal(rig_irqs(&rig, TRIGGER_FDS, PEAL_VFIO_IRQ_MSIX, 0, 1, NULL, 0), 0);
	assert_int_equal(peal_irqset_active(rig.fake.irqset), PEAL_VFIO_IRQ_MSIX);
	assert_int_equal(peal_irqset_raise(rig.fake.irqset, PEAL_VFIO_IRQ_MSIX, 0), 0);
	assert_int_equal(rig_irqs(&rig, TRIGGER_FDS, PEAL_VFIO_IRQ_MSIX, 0, 1, &fd, 1), 0);
	assert_int_equal(peal_irqset_raise(rig.fake.irqset, PEAL_VFIO_IRQ_MSIX, 0), 1);
	assert_int_equal(rig_signals(fd), 1);
	assert_int_equal(close(fd), 0);
	rig_done(&rig);
}

static void err_and_req_have_descriptors_of_their_own(void **state)
{
	int fds[3] = { eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC) };
	struct rig rig;

	(void)state;
	rig_start(&rig);
	assert_int_equal(rig_irqs(&rig, TRIGGER_FDS, PEAL_VFIO_IRQ_MSIX, 0, 1, &fds[0], 1), 0);
	assert_int_equal(rig_irqs(&rig, TRIGGER_FDS, PEAL_VFIO_IRQ_ERR, 0, 1, &fds[1], 1), 0);
	assert_int_equal(rig_irqs(&rig, TRIGGER_FDS, PEAL_VFIO_IRQ_REQ, 0, 1, &fds[2], 1), 0);
	assert_int_equal(peal_irqset_raise(rig.fake.irqset, PEAL_VFIO_IRQ_MSIX, 0), 1);
	assert_int_equal(rig_signals(fds[0]), 1);
	assert_int_equal(rig_signals(fds[1]), 0);
	assert_int_equal(rig_signals(fds[2]), 0);
	assert_int_equal(peal_irqset_raise(rig.fake.irqset, PEAL_VFIO_IRQ_ERR, 0), 1);
	assert_int_equal(rig_signals(fds[0]), 0);
	assert_int_equal(rig_signals(fds[1]), 1);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(close(fds[i]), 0);
	rig_done(&rig);
}

static void booleans_choose_the_vectors(void **state)
{
	struct {
		struct vfu_set_irqs set;
		uint8_t which[3];
	} m = { .set = { 23, PEAL_VFIO_DATA_BOOL | PEAL_VFIO_ACTION_TRIGGER, PEAL_VFIO_IRQ_MSIX, 0,
			 3 },
		.which = { 1, 0, 1 } };
	int fds[3];
	struct rig rig;

	(void)state;
	rig_start(&rig);
	for (unsigned i = 0; i < 3; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(rig_irqs(&rig, TRIGGER_FDS, PEAL_VFIO_IRQ_MSIX, 0, 3, fds, 3), 0);
	assert_int_equal(rig_ask(&rig, VFU_DEVICE_SET_IRQS, &m, 23), 0);
	assert_int_equal(rig_signals(fds[0]), 1);
	assert_int_equal(rig_signals(fds[1]), 0);
	assert_int_equal(rig_signals(fds[2]), 1);
	/* The payload that is not sent. */
	assert_int_equal(rig_ask(&rig, VFU_DEVICE_SET_IRQS, &m, 20), -EINVAL);
	assert_int_equal(rig_ask(&rig, VFU_DEVICE_SET_IRQS, &m, 22), -EINVAL);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(rig_signals(fds[i]), 0);
		assert_int_equal(close(fds[i]), 0);
	}
	rig_done(&rig);
}

/* ---- what stays and what goes ---- */

static void a_client_leaves_and_the_next_starts_clean(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC), memory = memfd_create("ram", MFD_CLOEXEC);
	unsigned before;
	struct rig rig;

	(void)state;
	assert_int_equal(ftruncate(memory, 8192), 0);
	rig_start(&rig);
	assert_int_equal(rig_disconnect(&rig), 0);
	before = open_fds();
	for (unsigned i = 0; i < 3; i++) {
		rig_connect(&rig);
		assert_int_equal(rig_version(&rig, 0, 0, RIG_QEMU), 0);
		assert_int_equal(rig_map(&rig, 0x1000, 8192, 3, memory, 0), 0);
		assert_int_equal(rig_map(&rig, 0x8000, 4096, 3, -1, 0), 0);
		assert_int_equal(rig_irqs(&rig, TRIGGER_FDS, 2, 0, 1, &fd, 1), 0);
		assert_int_equal(rig_irqs(&rig, TRIGGER_FDS, 3, 0, 1, &fd, 1), 0);
		assert_true(peal_space_is_memory(rig.space, 0x1000, 8192, PEAL_MEM_RW));
		if (i == 0)
			assert_int_equal(rig_write(&rig, RIG_BAR, 0, "kept", 4), 0);
		else
			assert_int_equal(rig_read(&rig, RIG_BAR, 0, 4), 0);
		if (i > 0)
			assert_memory_equal(rig.message.payload + 16, "kept", 4);
		assert_int_equal(rig_disconnect(&rig), 0);
		assert_false(peal_space_is_memory(rig.space, 0x1000, 1, PEAL_MEM_READ));
		assert_int_equal(rig_counters(&rig).dma_maps, 0);
		assert_int_equal(peal_irqset_active(rig.fake.irqset), PEAL_VFIO_IRQ_NONE);
		assert_int_equal(peal_irqset_raise(rig.fake.irqset, PEAL_VFIO_IRQ_ERR, 0), 0);
		assert_int_equal(open_fds(), before);
	}
	assert_int_equal(rig_counters(&rig).clients, 4);
	assert_int_equal(close(fd), 0);
	assert_int_equal(close(memory), 0);
	rig_done(&rig);
}

static void stop_ends_it(void **state)
{
	struct rig rig;

	(void)state;
	rig_start(&rig);
	peal_vfu_server_stop(rig.server);
	rig_expect_end(&rig);
	assert_int_equal(rig_disconnect(&rig), 0);
	/* For good. */
	rig_connect(&rig);
	rig_expect_end(&rig);
	rig_done(&rig);
}

struct runner {
	struct rig *rig;
	char directory[32], path[64];
	pthread_t thread;
	int listen_fd;
	int result;
};

static void *run_server(void *user)
{
	struct runner *runner = user;

	runner->result = peal_vfu_server_run(runner->rig->server, runner->listen_fd);
	return NULL;
}

static int dial(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* A server at a path of its own, which nobody runs yet. */
static void runner_init(struct runner *runner, struct rig *rig)
{
	const struct peal_vfu_server_config config = { 0 };

	rig_init_config(rig, &config);
	*runner = (struct runner){ .rig = rig, .directory = "/tmp/peal-test-XXXXXX" };
	assert_non_null(mkdtemp(runner->directory));
	(void)snprintf(runner->path, sizeof(runner->path), "%s/s", runner->directory);
	assert_int_equal(peal_vfu_listen(&runner->listen_fd, runner->path), 0);
}

static void runner_start(struct runner *runner)
{
	assert_int_equal(pthread_create(&runner->thread, NULL, run_server, runner), 0);
}

static void runner_stop(struct runner *runner)
{
	peal_vfu_server_stop(runner->rig->server);
	assert_int_equal(pthread_join(runner->thread, NULL), 0);
	assert_int_equal(runner->result, 0);
	assert_int_equal(close(runner->listen_fd), 0);
}

static void runner_done(struct runner *runner)
{
	assert_int_equal(unlink(runner->path), 0);
	assert_int_equal(rmdir(runner->directory), 0);
	rig_done(runner->rig);
}

/* The client at FD is served. */
static void is_served(struct rig *rig, int fd)
{
	assert_int_equal(
		vfu_channel_init(&rig->peer, peal_host_default(), fd, 1 << 20, 8, RIG_TIMEOUT), 0);
	assert_int_equal(rig_version(rig, 0, 0, NULL), 0);
	vfu_channel_done(&rig->peer);
}

static void clients_come_one_after_the_other(void **state)
{
	char longer[200];
	struct runner runner;
	struct rig rig;
	int again;

	(void)state;
	runner_init(&runner, &rig);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	assert_int_equal(peal_vfu_listen(&again, longer), -ENAMETOOLONG);
	assert_int_equal(peal_vfu_listen(&again, ""), -ENOENT);
	assert_int_equal(peal_vfu_listen(&again, runner.path), -EADDRINUSE);
	runner_start(&runner);
	for (unsigned i = 0; i < 5; i++)
		is_served(&rig, dial(runner.path));
	runner_stop(&runner);
	/* The file is still there, and nobody listens. */
	assert_int_equal(peal_vfu_listen(&again, runner.path), 0);
	assert_int_equal(close(again), 0);
	runner_done(&runner);
}

/* Whoever connects while there are none is served when there are some again. */
static void descriptors_that_are_short_are_waited_for(void **state)
{
	struct rlimit limit, few;
	struct runner runner;
	struct rig rig;
	int fd;

	(void)state;
	runner_init(&runner, &rig);
	fd = dial(runner.path);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	few = limit;
	few.rlim_cur = 3; /* these are open */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	runner_start(&runner);
	/* Time to fail, or more than that: it is not to end. */
	(void)poll(NULL, 0, 50);
	assert_int_equal(pthread_tryjoin_np(runner.thread, NULL), EBUSY);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	is_served(&rig, fd);
	runner_stop(&runner);
	runner_done(&runner);
}

static int make_server(const struct peal_host *host, void *user)
{
	struct peal_vfu_server_config config = { .host = host, .device = user };
	struct peal_vfu_server *server = NULL;
	int r = peal_vfu_server_new(&server, &config);

	peal_vfu_server_free(server);
	return r;
}

/* RIG_MAPPED can be mapped at 0..4095 and 8192..16383. */
static void a_table_that_could_be_mapped_is_refused(void **state)
{
	static const struct {
		uint32_t table;
		int answer;
	} tables[] = {
		{ 0x0000 | RIG_MAPPED, -EINVAL }, { 0x0ff0 | RIG_MAPPED, -EINVAL },
		{ 0x1000 | RIG_MAPPED, 0 },       { 0x1f80 | RIG_MAPPED, 0 },
		{ 0x1f90 | RIG_MAPPED, -EINVAL }, { 0x2000 | RIG_MAPPED, -EINVAL },
		{ 0x0000 | RIG_BAR, 0 },          { 7, 0 },
	};
	struct peal_vfu_server_config config = { .host = peal_host_default() };
	struct peal_vfu_server *server;
	struct fake_device fake;

	(void)state;
	fake_init(&fake, peal_host_default());
	config.device = &fake.device;
	fake.config[0x06] = 0x10;
	fake.config[0x34] = 0x40;
	memcpy(fake.config + 0x40, "\x01\x50", 2);
	memcpy(fake.config + 0x50, "\x11\x00\x07\x80", 4); /* 8 entries, enabled */
	for (size_t i = 0; i < PEAL_COUNT_OF(tables); i++) {
		peal_store_le(fake.config + 0x54, 4, tables[i].table);
		server = NULL;
		assert_int_equal(peal_vfu_server_new(&server, &config), tables[i].answer);
		peal_vfu_server_free(server);
	}
	/* A list that leads in circles has no MSI-X. */
	peal_store_le(fake.config + 0x54, 4, RIG_MAPPED);
	fake.config[0x41] = 0x40;
	assert_int_equal(peal_vfu_server_new(&server, &config), 0);
	peal_vfu_server_free(server);
	fake_done(&fake);
}

static void out_of_memory_at_any_point(void **state)
{
	struct peal_vfu_server_config config = { .host = peal_host_default() };
	struct peal_vfu_server *server;
	struct fake_device fake;

	(void)state;
	fake_init(&fake, peal_host_default());
	(void)test_every_allocation(make_server, &fake.device);
	config.device = &fake.device;
	config.max_msg_fds = VFU_FDS_MAX + 1;
	assert_int_equal(peal_vfu_server_new(&server, &config), -EINVAL);
	config.max_msg_fds = 0;
	config.max_data_xfer_size = UINT64_MAX;
	assert_int_equal(peal_vfu_server_new(&server, &config), -EINVAL);
	fake_done(&fake);
}

/* Who says no limit has the protocol's, 1 MiB, whatever the server would take. */
static void a_client_that_says_no_limit_has_the_default(void **state)
{
	const struct peal_vfu_server_config config = { .max_data_xfer_size = 4u << 20 };
	struct vfu_capabilities said;
	struct rig rig;

	(void)state;
	rig_init_config(&rig, &config);
	rig_connect(&rig);
	assert_int_equal(rig_version(&rig, 0, 0, NULL), 0);
	assert_int_equal(
		vfu_capabilities_parse(&said, rig.message.payload + 4, rig.message.size - 4), 0);
	assert_int_equal(said.max_data_xfer_size, 1u << 20);
	assert_int_equal(rig_read(&rig, RIG_BAR, 0, (1u << 20) + 1), -E2BIG);
	assert_int_equal(rig_read(&rig, RIG_BAR, 0, 1u << 20), -EINVAL); /* it is smaller */
	rig_done(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fds_test(qemu_is_answered_with_a_subset),
		fds_test(minor_is_the_lower_of_the_two),
		fds_test(another_major_ends_the_connection),
		fds_test(device_and_regions_are_described),
		fds_test(capabilities_come_when_there_is_room),
		fds_test(regions_are_read_and_written),
		fds_test(posted_writes_get_no_reply),
		fds_test(many_writes_in_one_message),
		fds_test(reset_reaches_the_device),
		fds_test(vectors_signal_their_descriptors),
		fds_test(msix_is_enabled_without_descriptors),
		fds_test(err_and_req_have_descriptors_of_their_own),
		fds_test(booleans_choose_the_vectors),
		fds_test(a_client_leaves_and_the_next_starts_clean),
		fds_test(stop_ends_it),
		fds_test(clients_come_one_after_the_other),
		fds_test(descriptors_that_are_short_are_waited_for),
		fds_test(a_table_that_could_be_mapped_is_refused),
		fds_test(out_of_memory_at_any_point),
		fds_test(a_client_that_says_no_limit_has_the_default),
	};

	return cmocka_run_group_tests_name("vfio-user server", tests, NULL, NULL);
}
