/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory is bounded whatever the other side says: a server in a process whose address space is
 * limited and a client that asks for all that can be asked for, and the reverse. When it is over
 * an honest peer is served as if nothing had been.
 */
#include "rig.h"

#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define ROOM     (UINT64_C(56) << 20) /* beyond what the process has when it begins */
#define MAX_MAPS 65535u
#define FDS      253u
#define PATH     "/tmp/peal-test-bounds-%d"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* ---- a process with little room ---- */

/* Ends a process that cmocka knows nothing of. */
#define CHECK(condition)                                                          \
	do {                                                                      \
		if (!(condition)) {                                               \
			fprintf(stderr, "# line %d: %s\n", __LINE__, #condition); \
			_exit(1);                                                 \
		}                                                                 \
	} while (0)

static void limit_room(void)
{
	struct rlimit limit;
	unsigned long pages = 0;
	FILE *statm = fopen("/proc/self/statm", "r");

	CHECK(statm && fscanf(statm, "%lu", &pages) == 1);
	(void)fclose(statm);
	(void)mallopt(M_ARENA_MAX, 1); /* an arena takes 64 MiB of addresses and uses a page */
	limit.rlim_cur = limit.rlim_max = pages * 4096 + ROOM;
	CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
}

static pid_t start_process(void (*work)(const char *path, int listener), char path[64])
{
	pid_t pid;
	int fd;

	(void)snprintf(path, 64, PATH, (int)getpid());
	assert_int_equal(peal_vfu_listen(&fd, path), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		limit_room();
		work(path, fd);
		_exit(0);
	}
	assert_int_equal(close(fd), 0);
	return pid;
}

static void expect_exit(pid_t pid)
{
	int status = -1;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- the server ---- */

static struct peal_vfu_server *stopped_by_signal;

static void stop_server(int number)
{
	(void)number;
	peal_vfu_server_stop(stopped_by_signal);
}

static void serve(const char *path, int listener)
{
	const struct peal_vfu_server_config config = { .timeout_ms = 50 };
	unsigned before = open_fds();
	struct rig rig;

	(void)path;
	rig_init_config(&rig, &config);
	stopped_by_signal = rig.server;
	(void)signal(SIGTERM, stop_server);
	CHECK(peal_vfu_server_run(rig.server, listener) == 0);
	peal_vfu_server_free(rig.server);
	peal_space_free(rig.space);
	peal_irqset_free(rig.fake.irqset);
	peal_eventfds_free(rig.fake.eventfds);
	(void)close(rig.fake.file);
	CHECK(rig.host.bytes == 0);
	CHECK(open_fds() == before);
}

/* A client of the process: the peer's end of a rig that has no server. */
static void dial(struct rig *rig, const char *path)
{
	int fd;

	memset(rig, 0, sizeof(*rig));
	assert_int_equal(peal_vfu_connect(&fd, path), 0);
	assert_int_equal(vfu_channel_init(&rig->peer, peal_host_default(), fd, (size_t)32 << 20,
					  VFU_FDS_MAX, RIG_TIMEOUT),
			 0);
}

static void hang_up(struct rig *rig)
{
	vfu_channel_done(&rig->peer);
}

static void expect_service(const char *path)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);
	struct rig rig;

	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	dial(&rig, path);
	assert_int_equal(rig_version(&rig, 0, 0, RIG_QEMU), 0);
	assert_int_equal(rig_read(&rig, PEAL_VFIO_REGION_CONFIG, 0, 256), 0);
	assert_int_equal(rig_map(&rig, 0, 1 << 20, 3, fd, 0), 0);
	assert_int_equal(rig_irqs(&rig, PEAL_VFIO_DATA_EVENTFD | PEAL_VFIO_ACTION_TRIGGER,
				  PEAL_VFIO_IRQ_MSIX, 0, 1, &fd, 0),
			 0);
	hang_up(&rig);
	assert_int_equal(close(fd), 0);
}

/* As many as there may be, without a file and with one, and files that are larger than anything. */
static void maps_without_end(const char *path)
{
	int fd = memfd_create("ram", MFD_CLOEXEC), large = memfd_create("large", MFD_CLOEXEC);
	unsigned mapped = 0;
	struct rig rig;

	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_int_equal(ftruncate(large, INT64_C(1) << 40), 0);
	dial(&rig, path);
	assert_int_equal(rig_version(&rig, 0, 0, RIG_QEMU), 0);
	assert_int_equal(rig_map(&rig, 0, UINT64_C(1) << 40, 3, large, 0), -ENOMEM);
	for (uint64_t i = 0; i < MAX_MAPS; i++)
		assert_int_equal(rig_map(&rig, i << 13, 4096, 3, -1, 0), 0);
	assert_int_equal(rig_map(&rig, UINT64_C(1) << 50, 4096, 3, -1, 0), -ENOSPC);
	assert_int_equal(rig_unmap(&rig, 0, 0, 2), 0);
	for (uint64_t i = 0; i < MAX_MAPS && rig_map(&rig, i << 13, 4096, 3, fd, 0) == 0; i++)
		mapped++;
	assert_in_range(mapped, 1000, MAX_MAPS - 1); /* no room for more, and the server says so */
	assert_int_equal(rig_read(&rig, PEAL_VFIO_REGION_CONFIG, 0, 4), 0);
	hang_up(&rig);
	assert_int_equal(close(fd) + close(large), 0);
}

static void counts_without_end(const char *path)
{
	static const uint32_t counts[] = { 1 << 20, UINT32_MAX, 0x80000000, 0x40000001 };
	uint8_t payload[64];
	struct rig rig;

	dial(&rig, path);
	assert_int_equal(rig_version(&rig, 0, 0, RIG_QEMU), 0);
	for (unsigned i = 0; i < 4; i++) {
		for (uint16_t command = 2; command < VFU_COMMANDS; command++) {
			for (unsigned at = 0; at < sizeof(payload); at += 4) {
				memset(payload, 0, sizeof(payload));
				memcpy(payload + at, &counts[i], 4);
				payload[0] |= 64; /* argsz, of those that have it */
				for (size_t size = 0; size <= sizeof(payload); size += 4) {
					(void)rig_ask(&rig, command, payload, size);
					vfu_fds_close(&rig.message.fds);
				}
			}
		}
	}
	hang_up(&rig);
}

/* With every command, and with many that nobody reads the replies of. */
static void descriptors_without_end(const char *path)
{
	uint8_t payload[32] = { 32 };
	int fds[FDS];
	struct rig rig;

	for (unsigned i = 0; i < FDS; i++)
		fds[i] = i ? fds[0] : eventfd(0, EFD_CLOEXEC);
	dial(&rig, path);
	assert_int_equal(rig_version(&rig, 0, 0, RIG_QEMU), 0);
	for (uint16_t command = 0; command < 20; command++) {
		for (unsigned n = 1; n <= FDS; n += 28)
			(void)rig_ask_fds(&rig, command, payload, sizeof(payload), fds, n);
	}
	for (unsigned i = 0; i < 500; i++)
		rig_send_fds(&rig, VFU_DEVICE_SET_IRQS, VFU_NO_REPLY, payload, 20, fds, FDS);
	hang_up(&rig);
	assert_int_equal(close(fds[0]), 0);
}

/* Every index, every action, every kind of data; what it enables stays until the client leaves. */
static void interrupts_without_end(const char *path)
{
	int fds[RIG_MSIX];
	struct rig rig;

	for (unsigned i = 0; i < RIG_MSIX; i++)
		fds[i] = i ? fds[0] : eventfd(0, EFD_CLOEXEC);
	dial(&rig, path);
	assert_int_equal(rig_version(&rig, 0, 0, RIG_QEMU), 0);
	for (unsigned round = 0; round < 20; round++) {
		for (uint32_t index = 0; index < 6; index++) {
			for (uint32_t flags = 0; flags < 64; flags++)
				(void)rig_irqs(&rig, flags, index, 0, RIG_MSIX, fds,
					       flags & 4 ? RIG_MSIX : 0);
			(void)rig_irqs(&rig, 0x24, index, 0, 1, fds, 1);
			(void)rig_irqs(&rig, 0x14, index, 0, 1, fds, 1);
		}
	}
	hang_up(&rig);
	assert_int_equal(close(fds[0]), 0);
}

/* Of as many bytes as a message may have, and left in the middle. */
static void halves_without_end(const char *path)
{
	static uint8_t bytes[1 << 16];
	struct vfu_header header = { 1, VFU_REGION_WRITE, (1 << 20) + 32, 0, 0 };

	for (unsigned i = 0; i < 50; i++) {
		struct rig rig;

		dial(&rig, path);
		assert_int_equal(rig_version(&rig, 0, 0, RIG_QEMU), 0);
		header.size -= 4096 * (i & 1);
		assert_int_equal(send(rig.peer.fd, &header, sizeof(header), MSG_NOSIGNAL), 16);
		(void)send(rig.peer.fd, bytes, sizeof(bytes) - i * 1000, MSG_NOSIGNAL);
		hang_up(&rig);
	}
}

/* Replies of a MiB each, that it does not read. */
static void replies_without_end(const char *path)
{
	struct {
		struct vfu_header header;
		struct vfu_region_access access;
	} m = { { 1, VFU_REGION_READ, 32, 0, 0 }, { 0, RIG_BAR, RIG_BAR_SIZE } };
	struct rig rig;

	dial(&rig, path);
	assert_int_equal(rig_version(&rig, 0, 0, RIG_QEMU), 0);
	while (send(rig.peer.fd, &m, sizeof(m), MSG_NOSIGNAL) == sizeof(m))
		;
	hang_up(&rig);
}

/* JSON of all sizes, whole and nested, in VERSION and in more of them. */
static void words_without_end(const char *path)
{
	static uint8_t text[4 + VFU_JSON_MAX + 64];

	for (unsigned kind = 0; kind < 3; kind++) {
		for (size_t size = 1; size < sizeof(text); size += size < 64 ? 1 : 331) {
			struct rig rig;

			memset(text, kind == 0 ? '[' : kind == 1 ? ' ' : '"', sizeof(text));
			memset(text, 0, 4);
			if (size >= 7)
				memcpy(text + size - 3, "{}", 3);
			dial(&rig, path);
			(void)rig_ask(&rig, VFU_VERSION, text, size);
			vfu_fds_close(&rig.message.fds);
			hang_up(&rig);
		}
	}
}

static void a_server_is_bounded_whatever_a_client_sends(void **state)
{
	static void (*const attacks[])(const char *) = {
		maps_without_end,       counts_without_end, descriptors_without_end,
		interrupts_without_end, halves_without_end, replies_without_end,
		words_without_end,
	};
	char path[64];
	pid_t pid;

	(void)state;
	if (SANITIZED) {
		print_message("# skip: a sanitizer takes all addresses for itself\n");
		return;
	}
	pid = start_process(serve, path);
	expect_service(path);
	for (unsigned round = 0; round < 2; round++) {
		/* The first one takes its time, and what it leaves is counted in the end. */
		for (unsigned i = round; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
			attacks[i](path);
			expect_service(path);
		}
	}
	assert_int_equal(kill(pid, SIGTERM), 0);
	expect_exit(pid);
	assert_int_equal(unlink(path), 0);
}

/* ---- the client ---- */

enum variant {
	HONEST,
	LONG_VERSION,
	MANY_REGIONS,
	LONG_REGION_INFO,
	LONG_CHAIN,
	MANY_AREAS,
	MANY_INTERRUPTS,
	LONG_REPLY,
	HUGE_REPLY,
	FLOOD,
	VARIANTS
};

static void reply(struct vfu_channel *to, const struct vfu_message *m, const void *bytes,
		  size_t size)
{
	const struct vfu_out out = {
		.header = { .id = m->header.id, .command = m->header.command, .flags = 1 },
		.data = bytes,
		.data_size = size,
	};

	(void)vfu_channel_send(to, &out); /* the client may be gone */
}

/* A region with capabilities that go on for as long as a message can be. */
static void reply_region(struct vfu_channel *to, const struct vfu_message *m, enum variant variant)
{
	static uint8_t bytes[1 << 20];
	struct vfu_region_info info = { 32, 3, 0, 0, 4096, 0 };
	size_t size = sizeof(info);

	memcpy(&info.index, m->payload + offsetof(struct vfu_region_info, index), 4);
	memset(bytes, 0, sizeof(bytes));
	if (variant == LONG_REGION_INFO) {
		info.argsz = UINT32_MAX;
	} else if (variant == LONG_CHAIN || variant == MANY_AREAS) {
		uint32_t argsz;

		info.flags |= 0xc;
		info.cap_offset = 32;
		info.argsz = sizeof(bytes);
		memcpy(&argsz, m->payload, 4);
		size = argsz < sizeof(bytes) ? size : sizeof(bytes);
	}
	memcpy(bytes, &info, sizeof(info));
	for (uint32_t at = 32; variant == LONG_CHAIN && at < sizeof(bytes); at += 16) {
		const struct vfu_sparse_mmap cap = { .id = 9, .version = 1, .next = at + 16 };

		memcpy(bytes + at, &cap, sizeof(cap));
	}
	if (variant == MANY_AREAS) {
		const struct vfu_sparse_mmap cap = { .id = 1, .version = 1, .count = UINT32_MAX };

		memcpy(bytes + 32, &cap, sizeof(cap));
	}
	reply(to, m, bytes, size);
}

static void flood(struct vfu_channel *to)
{
	const struct vfu_dma_access access = { 0, UINT64_C(1) << 40 };

	for (unsigned i = 0; i < 2000; i++) {
		const struct vfu_out out = {
			.header = { (uint16_t)i, (uint16_t)(VFU_DMA_READ + i % 3), 0,
				    i % 5 == 0 ? VFU_TYPE_REPLY : VFU_NO_REPLY, 0 },
			.data = &access,
			.data_size = sizeof(access),
		};

		if (vfu_channel_send(to, &out) < 0)
			return;
	}
}

static void reply_read(struct vfu_channel *to, const struct vfu_message *m, enum variant variant)
{
	static uint8_t bytes[1 << 20];
	struct vfu_header header = m->header;

	memset(bytes, 0, 32);
	memcpy(bytes, m->payload, 16);
	if (variant == FLOOD)
		flood(to);
	if (variant == HUGE_REPLY) {
		header.size = UINT32_MAX;
		header.flags = 1;
		(void)send(to->fd, &header, sizeof(header), MSG_NOSIGNAL);
		(void)send(to->fd, bytes, sizeof(bytes), MSG_NOSIGNAL | MSG_DONTWAIT);
		return;
	}
	reply(to, m, bytes, variant == LONG_REPLY ? sizeof(bytes) : 16 + 4);
}

static void answer(struct vfu_channel *to, const struct vfu_message *m, enum variant variant)
{
	static uint8_t version[1 << 20] = "\0\0\0\0{}";
	struct vfu_device_info info = { 16, 3, 1, 1 };
	struct vfu_irq_info irq = { 16, 9, 0, 1 };

	switch (m->header.command) {
	case VFU_VERSION:
		reply(to, m, version, variant == LONG_VERSION ? sizeof(version) : 7);
		break;
	case VFU_DEVICE_GET_INFO:
		if (variant == MANY_REGIONS)
			info.num_regions = UINT32_MAX;
		else if (variant == LONG_CHAIN || variant == MANY_AREAS)
			info.num_regions = 100;
		reply(to, m, &info, sizeof(info));
		break;
	case VFU_DEVICE_GET_REGION_INFO:
		reply_region(to, m, variant);
		break;
	case VFU_DEVICE_GET_IRQ_INFO:
		memcpy(&irq.index, m->payload + offsetof(struct vfu_irq_info, index), 4);
		irq.count = variant == MANY_INTERRUPTS ? UINT32_MAX : 1;
		reply(to, m, &irq, sizeof(irq));
		break;
	case VFU_REGION_READ:
		reply_read(to, m, variant);
		break;
	default:
		reply(to, m, NULL, 0);
	}
}

/* Reads what it can of every server that is there, the last of them an honest one. */
static void visit(const char *path, int listener)
{
	const struct peal_vfu_client_config config = { .host = peal_host_default(),
						       .timeout_ms = 2000 };
	unsigned before;

	(void)close(listener);
	before = open_fds();
	for (unsigned i = 0; i < 2 * VARIANTS + 1; i++) {
		bool honest = i % VARIANTS == HONEST;
		struct peal_vfu_client *client = NULL;
		uint8_t bytes[4];
		int fd, r;

		CHECK(peal_vfu_connect(&fd, path) == 0);
		r = peal_vfu_client_new(&client, &config, fd);
		CHECK(r == 0 || !honest);
		if (r == 0)
			r = peal_vfio_region_read(peal_vfu_client_device(client), 0, 0, bytes, 4);
		CHECK(r == 0 || !honest);
		peal_vfu_client_free(client);
	}
	CHECK(open_fds() == before);
}

static void a_client_is_bounded_whatever_a_server_sends(void **state)
{
	struct vfu_message *message = calloc(1, sizeof(*message));
	char path[64];
	int listener;
	pid_t pid;

	(void)state;
	if (SANITIZED) {
		print_message("# skip: a sanitizer takes all addresses for itself\n");
		free(message);
		return;
	}
	(void)snprintf(path, sizeof(path), PATH, (int)getpid());
	assert_int_equal(peal_vfu_listen(&listener, path), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		limit_room();
		visit(path, listener);
		_exit(0);
	}
	for (unsigned i = 0; i < 2 * VARIANTS + 1; i++) {
		struct vfu_channel channel;
		int fd = accept(listener, NULL, NULL);

		assert_true(fd >= 0);
		assert_int_equal(vfu_channel_init(&channel, peal_host_default(), fd, 1 << 21,
						  VFU_FDS_MAX, RIG_TIMEOUT),
				 0);
		while (vfu_channel_receive(&channel, message, RIG_TIMEOUT) == 0) {
			answer(&channel, message, (enum variant)(i % VARIANTS));
			vfu_fds_close(&message->fds);
		}
		vfu_channel_done(&channel);
	}
	expect_exit(pid);
	assert_int_equal(close(listener), 0);
	assert_int_equal(unlink(path), 0);
	free(message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fds_test(a_server_is_bounded_whatever_a_client_sends),
		fds_test(a_client_is_bounded_whatever_a_server_sends),
	};

	return cmocka_run_group_tests_name("vfio-user bounds", tests, NULL, NULL);
}
