/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client takes the memory away that it shared, under a thread that is not the program's own: the
 * worker of a queue, and the thread that waits for doorbells. That costs the client its connection,
 * and not the server its life.
 */
#include "movers.h"

#include <signal.h>

#include "vfio/user/sigbus.h"

/* cmocka has a handler of its own around each test. */
static struct sigaction own_handler;

static void await_end(struct served *s)
{
	uint8_t byte;
	int r;

	do
		r = peal_vfio_region_read(s->device, VIRTIO_BAR, PEAL_VIRTIO_COMMON_DEVICE_STATUS,
					  &byte, 1);
	while (r == 0);
	assert_true(r == -ECONNRESET || r == -EPIPE);
	peal_vfu_client_free(s->client);
	assert_int_equal(pthread_join(s->thread, NULL), 0);
	assert_int_equal(s->result, -EFAULT);
}

static void truncate_under(unsigned workers)
{
	struct pair *p = pair_new(QUEUES, workers, 0, 0);
	struct served *s = &p->served[0];
	struct peal_vfio_io_fd list[QUEUES];
	struct peal_vfu_counters counters;
	const uint64_t one = 1;
	unsigned count;

	assert_int_equal(peal_vfio_io_fds(s->device, VIRTIO_BAR, list, QUEUES, &count), 0);
	assert_int_equal(count, QUEUES);
	offer_request(&p->r, 0);
	assert_int_equal(ftruncate(p->r.ram.fd, 0), 0);
	assert_int_equal(write(list[0].fd, &one, sizeof(one)), sizeof(one));
	await_end(s);
	peal_vfu_server_counters(s->server, &counters);
	assert_true(counters.truncated > 0);
	/* The next one is served. */
	served_connect(s, &(struct peal_vfu_client_config){ 0 });
	assert_int_equal(served_read(s, PEAL_VFIO_REGION_CONFIG, 0, 2), PEAL_VIRTIO_PCI_VENDOR);
	pair_free(p);
}

static void the_worker_of_a_queue_survives(void **state)
{
	struct sigaction cmocka;

	(void)state;
	assert_int_equal(sigaction(SIGBUS, &own_handler, &cmocka), 0);
	truncate_under(1);
	assert_int_equal(sigaction(SIGBUS, &cmocka, NULL), 0);
}

static void the_thread_that_waits_for_doorbells_survives(void **state)
{
	struct sigaction cmocka;

	(void)state;
	assert_int_equal(sigaction(SIGBUS, &own_handler, &cmocka), 0);
	truncate_under(0);
	assert_int_equal(sigaction(SIGBUS, &cmocka, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fds_test(the_worker_of_a_queue_survives),
		fds_test(the_thread_that_waits_for_doorbells_survives),
	};

	if (vfu_sigbus_install() < 0 || sigaction(SIGBUS, NULL, &own_handler) < 0)
		return EXIT_FAILURE;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
