/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event descriptors for registers: a signal does what a write does, without a message; what is
 * signalled is not lost when the device moves; and they go with the client.
 */
#include "movers.h"

#include <fcntl.h>
#include <sys/resource.h>

#include "vfio/user/channel.h"

#define ROOM 300u

static unsigned get(struct peal_vfio_device *device, unsigned region, struct peal_vfio_io_fd *list)
{
	unsigned count = 777;

	assert_int_equal(peal_vfio_io_fds(device, region, list, ROOM, &count), 0);
	return count;
}

static void ring(int fd)
{
	const uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static uint64_t messages(const struct served *s)
{
	struct peal_vfu_counters c;

	peal_vfu_server_counters(s->server, &c);
	return c.commands;
}

/* Each rings its vector, through the server and without it, and no message goes. */
static void a_signal_rings_the_bell(void **state)
{
	struct peal_vfio_io_fd list[ROOM], direct[ROOM];
	struct bells b;
	uint64_t before;

	(void)state;
	bells_init(&b, 10);
	served_enable_msix(&b.served[0], 10);
	assert_int_equal(get(b.served[0].device, PEAL_BELL_BAR, list), 10);
	assert_int_equal(get(peal_vfio_function_device(b.served[0].vfio), PEAL_BELL_BAR, direct),
			 10);
	before = messages(&b.served[0]);
	for (unsigned round = 1; round < 20; round++) {
		for (unsigned v = 0; v < 10; v++) {
			assert_int_equal(list[v].offset, PEAL_BELL_RING_EACH + 4 * v);
			assert_int_equal(list[v].size, 4);
			assert_int_equal(list[v].flags, 0);
			ring(round % 2 ? list[v].fd : direct[v].fd);
			served_wait(&b.served[0], v);
			assert_int_equal(peal_bell_rings(b.bells[0], v), round);
		}
	}
	assert_int_equal(messages(&b.served[0]), before);
	/* The server's own descriptors are not used any more when it closes them. */
	(void)bell_read(&b.served[0], PEAL_BELL_ID);
	bells_done(&b);
}

/* Requests are noticed by signals alone. */
static void a_signal_notifies_a_queue(void **state)
{
	(void)state;
	for (unsigned workers = 0; workers < 2; workers++) {
		struct pair *p = pair_new(QUEUES, workers, 0, 0);
		struct peal_vfio_io_fd list[ROOM];
		struct served *s = &p->served[0];

		assert_int_equal(get(s->device, VIRTIO_BAR, list), QUEUES);
		for (unsigned q = 0; q < QUEUES; q++) {
			assert_int_equal(list[q].offset, VIRTIO_NOTIFY + 4 * q);
			assert_int_equal(list[q].size, 2);
		}
		for (unsigned n = 0; n < 100; n++) {
			offer_request(&p->r, n % 2);
			ring(list[n % 2].fd);
			while (!take_request(&p->r, n % 2)) {
				if (!queue_listen(&p->r.queues[n % 2]))
					served_wait(s, n % 2 + 1);
			}
		}
		pair_expect_done(p, 100);
		pair_free(p);
	}
}

static void other_regions_have_none(void **state)
{
	struct peal_vfio_io_fd list[ROOM];
	struct bells b;
	unsigned count;

	(void)state;
	bells_init(&b, 10);
	for (unsigned region = 1; region < PEAL_VFIO_REGIONS; region++)
		assert_int_equal(get(b.served[0].device, region, list), 0);
	assert_int_equal(peal_vfio_io_fds(b.served[0].device, 9, list, ROOM, &count), -EINVAL);
	assert_int_equal(peal_vfio_io_fds(peal_vfio_function_device(b.served[0].vfio), 9, list,
					  ROOM, &count),
			 -EINVAL);
	bells_done(&b);
}

static void there_are_as_many_as_a_message_carries(void **state)
{
	static const unsigned most[] = { 1, 16, 253, 253 };
	static const uint64_t data[] = { 0, 0, 0, 64 }; /* these are none */

	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(most); i++) {
		const struct peal_vfu_client_config config = { .max_msg_fds = most[i],
							       .max_data_xfer_size = data[i] };
		struct peal_vfio_io_fd list[ROOM];
		struct bells b;
		unsigned count;

		bells_init(&b, 2048);
		served_disconnect(&b.served[0]);
		served_connect(&b.served[0], &config);
		assert_int_equal(get(b.served[0].device, PEAL_BELL_BAR, list), most[i]);
		assert_int_equal(
			peal_vfio_io_fds(b.served[0].device, PEAL_BELL_BAR, list, 1, &count), 0);
		assert_int_equal(count, 1);
		assert_int_equal(
			peal_vfio_io_fds(b.served[0].device, PEAL_BELL_BAR, NULL, 0, &count), 0);
		assert_int_equal(count, 0);
		/* Here, too. */
		assert_int_equal(
			get(peal_vfio_function_device(b.served[1].vfio), PEAL_BELL_BAR, list), 253);
		bells_done(&b);
	}
}

/* ---- when the device moves ---- */

/* What was signalled before it stops is part of what moves; what comes after waits. */
static void rings_are_not_lost_when_the_device_stops(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		struct peal_vfio_io_fd list[ROOM];
		struct bells b;
		struct served *s = &b.served[0];

		bells_init(&b, 10);
		served_enable_msix(s, 10);
		assert_int_equal(get(s->device, PEAL_BELL_BAR, list), 10);
		for (unsigned v = 0; v < 10; v++)
			ring(list[v].fd);
		served_set_state(s, PEAL_VFIO_MIG_STOP);
		for (unsigned v = 0; v < 10; v++) {
			assert_int_equal(peal_bell_rings(b.bells[0], v), 1);
			ring(list[v].fd);
		}
		served_set_state(s, PEAL_VFIO_MIG_STOP_COPY);
		for (unsigned v = 0; v < 10; v++)
			assert_int_equal(peal_bell_rings(b.bells[0], v), 1);
		served_set_state(s, PEAL_VFIO_MIG_RUNNING);
		for (unsigned v = 0; v < 10; v++) {
			uint64_t signals = served_signals(s, v);

			while (signals < 2) {
				struct pollfd p = { .fd = s->irqs[v], .events = POLLIN };

				assert_int_equal(poll(&p, 1, SERVED_TIMEOUT), 1);
				signals += served_signals(s, v);
			}
			assert_int_equal(signals, 2);
			assert_int_equal(peal_bell_rings(b.bells[0], v), 2);
		}
		bells_done(&b);
	}
}

/* What was signalled before a reset is over with it, whether the device was stopped or ran. */
static void a_reset_forgets_the_rings_before_it(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 40; round++) {
		struct peal_vfio_io_fd list[ROOM];
		struct bells b;
		struct served *s = &b.served[0];

		bells_init(&b, 10);
		assert_int_equal(get(s->device, PEAL_BELL_BAR, list), 10);
		served_set_state(s, round % 2 ? PEAL_VFIO_MIG_STOP : PEAL_VFIO_MIG_RUNNING);
		for (unsigned v = 0; v < 10; v++)
			ring(list[v].fd);
		assert_int_equal(peal_vfio_reset(s->device), 0);
		ring(list[0].fd);
		/* All have been looked at. */
		served_set_state(s, PEAL_VFIO_MIG_STOP);
		for (unsigned v = 0; v < 10; v++)
			assert_int_equal(peal_bell_rings(b.bells[0], v), v == 0);
		bells_done(&b);
	}
}

/* Stopping takes nothing that the host may not have. */
static void a_host_without_descriptors_can_stop_the_device(void **state)
{
	struct peal_vfio_io_fd list[ROOM];
	struct peal_vfio_device *direct;
	struct rlimit limit, low;
	struct bells b;

	(void)state;
	bells_init(&b, 10);
	served_enable_msix(&b.served[0], 10);
	direct = peal_vfio_function_device(b.served[0].vfio);
	assert_int_equal(get(direct, PEAL_BELL_BAR, list), 10);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = 3;
	for (unsigned round = 1; round < 4; round++) {
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
		assert_int_equal(peal_vfio_mig_set_state(direct, PEAL_VFIO_MIG_STOP), 0);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		assert_int_equal(peal_vfio_mig_set_state(direct, PEAL_VFIO_MIG_RUNNING), 0);
		for (unsigned v = 0; v < 10; v++) {
			ring(list[v].fd);
			served_wait(&b.served[0], v);
			assert_int_equal(peal_bell_rings(b.bells[0], v), round);
		}
	}
	/* The server closes them, see above. */
	(void)bell_read(&b.served[0], PEAL_BELL_ID);
	bells_done(&b);
}

/* ---- who has them ---- */

/* A client that kept a descriptor rings for nobody. */
static void descriptors_go_with_their_client(void **state)
{
	const struct peal_vfu_client_config config = { .max_msg_fds = 16 };
	struct peal_vfio_io_fd list[ROOM];
	struct bells b;
	int kept;

	(void)state;
	bells_init(&b, 10);
	assert_int_equal(get(b.served[0].device, PEAL_BELL_BAR, list), 10);
	kept = fcntl(list[3].fd, F_DUPFD_CLOEXEC, 0);
	assert_true(kept >= 0);
	served_disconnect(&b.served[0]);
	served_connect(&b.served[0], &config);
	served_enable_msix(&b.served[0], 10);
	ring(kept);
	assert_int_equal(get(b.served[0].device, PEAL_BELL_BAR, list), 10);
	ring(list[4].fd);
	served_wait(&b.served[0], 4);
	assert_int_equal(peal_bell_rings(b.bells[0], 3), 0);
	assert_int_equal(close(kept), 0);
	bells_done(&b);
}

static void release_gives_all_of_them_back(void **state)
{
	struct peal_vfio_io_fd list[ROOM];
	struct bells b;
	unsigned before;

	(void)state;
	bells_init(&b, 10);
	/* The thread that looks at them, and what it looks with, stay. */
	(void)get(b.served[0].device, PEAL_BELL_BAR, list);
	peal_vfio_io_release(b.served[0].device);
	peal_vfio_io_release(peal_vfio_function_device(b.served[0].vfio));
	before = open_fds();
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(get(b.served[0].device, PEAL_BELL_BAR, list), 10);
		/* A descriptor here, one there, and the watcher's. */
		assert_int_equal(open_fds(), before + 30);
		peal_vfio_io_release(b.served[0].device);
		peal_vfio_io_release(peal_vfio_function_device(b.served[0].vfio));
		assert_int_equal(open_fds(), before);
	}
	bells_done(&b);
}

/* Without descriptors or memory nothing is half made, and later all is there. */
static void descriptors_that_cannot_be_had(void **state)
{
	struct peal_vfio_io_fd list[ROOM];
	struct peal_vfio_device *direct;
	struct rlimit limit, low;
	unsigned count = 777, failed = 0, before;
	struct bells b;
	int r = -1;

	(void)state;
	bells_init(&b, 10);
	direct = peal_vfio_function_device(b.served[0].vfio);
	before = open_fds();
	test_host_fail_in(&b.served[0].host, 0);
	assert_int_equal(peal_vfio_io_fds(direct, PEAL_BELL_BAR, list, ROOM, &count), -ENOMEM);
	test_host_fail_never(&b.served[0].host);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	for (low.rlim_cur = 3; r < 0; low.rlim_cur++) {
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
		r = peal_vfio_io_fds(direct, PEAL_BELL_BAR, list, ROOM, &count);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		peal_vfio_io_release(direct);
		assert_true(r == 0 || r == -EMFILE);
		assert_int_equal(count, r < 0 ? 777 : 10);
		failed += r < 0;
		/* Where what watches them is there, it stays. */
		assert_in_range(open_fds(), before, before + 2);
	}
	assert_true(failed > 20);
	assert_int_equal(get(direct, PEAL_BELL_BAR, list), 10);
	bells_done(&b);
}

/* The argsz that is too small is answered with what is needed, and without descriptors. */
static void a_reply_that_does_not_fit_has_none(void **state)
{
	static const char json[] = "{\"capabilities\":{\"max_msg_fds\":4}}";
	const struct vfu_version version = { 0, 1 };
	uint8_t bytes[sizeof(version) + sizeof(json)];
	struct vfu_region_io io = { .argsz = sizeof(io), .index = PEAL_BELL_BAR };
	struct vfu_message m;
	struct vfu_channel peer;
	struct vfu_sub_region sub;
	struct served *s;
	struct bells b;

	(void)state;
	bells_init(&b, 10);
	s = &b.served[0];
	served_disconnect(s);
	assert_int_equal(vfu_channel_init(&peer, peal_host_default(), served_listen(s), 65536,
					  VFU_FDS_MAX, SERVED_TIMEOUT),
			 0);
	memcpy(bytes, &version, sizeof(version));
	memcpy(bytes + sizeof(version), json, sizeof(json));
	for (unsigned i = 0; i < 4; i++) {
		const struct vfu_out out = {
			.header = { .command = i ? VFU_DEVICE_GET_REGION_IO : VFU_VERSION },
			.data = i ? (const void *)&io : bytes,
			.data_size = i ? sizeof(io) : sizeof(bytes),
		};

		if (i == 2)
			io.argsz = 16 + 4 * 40 - 1;
		if (i == 3)
			io.argsz = 16 + 4 * 40;
		assert_int_equal(vfu_channel_send(&peer, &out), 0);
		assert_int_equal(vfu_channel_receive(&peer, &m, SERVED_TIMEOUT), 0);
		assert_int_equal(m.header.error, 0);
		if (i == 0)
			continue;
		memcpy(&io, m.payload, sizeof(io));
		assert_int_equal(io.argsz, 16 + 4 * 40);
		assert_int_equal(io.count, 4);
		assert_int_equal(m.size, i == 3 ? 16 + 4 * 40 : 16);
		assert_int_equal(m.fds.count, i == 3 ? 4 : 0);
		io.count = 0;
	}
	for (unsigned i = 0; i < 4; i++) {
		memcpy(&sub, m.payload + 16 + 40 * i, sizeof(sub));
		assert_int_equal(sub.offset, PEAL_BELL_RING_EACH + 4 * i);
		assert_int_equal(sub.size, 4);
		assert_int_equal(sub.fd_index, i);
		assert_int_equal(sub.type, 0);
		assert_int_equal(sub.flags | sub.padding | sub.datamatch, 0);
	}
	vfu_fds_close(&m.fds);
	vfu_channel_done(&peer);
	assert_int_equal(pthread_join(s->thread, NULL), 0);
	served_connect(s, &(struct peal_vfu_client_config){ 0 });
	bells_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fds_test(a_signal_rings_the_bell),
		fds_test(a_signal_notifies_a_queue),
		fds_test(other_regions_have_none),
		fds_test(there_are_as_many_as_a_message_carries),
		fds_test(rings_are_not_lost_when_the_device_stops),
		fds_test(a_reset_forgets_the_rings_before_it),
		fds_test(a_host_without_descriptors_can_stop_the_device),
		fds_test(descriptors_go_with_their_client),
		fds_test(release_gives_all_of_them_back),
		fds_test(descriptors_that_cannot_be_had),
		fds_test(a_reply_that_does_not_fit_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
