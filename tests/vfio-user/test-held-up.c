/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client that holds up who raises: it gives an eventfd, clears its O_NONBLOCK afterwards and fills
 * its counter, so that the next signal sleeps. It gets no further than its own connection.
 */
#include "rig.h"

#include <sched.h>
#include <sys/syscall.h>

#define MSIX_TRIGGER (PEAL_VFIO_DATA_EVENTFD | PEAL_VFIO_ACTION_TRIGGER)

struct held {
	struct rig rig;
	int fd;
	pid_t thread; /* that raises; 0: not yet */
	unsigned raised;
	bool again; /* it is full again as soon as it was emptied */
};

static void raise_vector(struct held *held)
{
	__atomic_store_n(&held->thread, (pid_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	(void)peal_irqset_raise(held->rig.fake.irqset, PEAL_VFIO_IRQ_MSIX, 3);
	if (held->again) {
		const uint64_t rest = UINT64_MAX - 2;

		thread_assert(write(held->fd, &rest, sizeof(rest)) == sizeof(rest));
		(void)peal_irqset_raise(held->rig.fake.irqset, PEAL_VFIO_IRQ_MSIX, 3);
	}
	(void)__atomic_fetch_add(&held->raised, 1, __ATOMIC_SEQ_CST);
}

static void raise_on_write(void *user, uint64_t offset, size_t size)
{
	(void)offset;
	(void)size;
	raise_vector(user);
}

static void *raise_in_a_thread(void *user)
{
	raise_vector(user);
	return NULL;
}

/* O_NONBLOCK when it is given, not any more when it is full. */
static void hold_start(struct held *held)
{
	const uint64_t most = UINT64_MAX - 1;

	held->thread = 0;
	held->raised = 0;
	held->again = false;
	rig_start(&held->rig);
	held->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	held->rig.fake.on_write = raise_on_write;
	held->rig.fake.user = held;
	assert_int_equal(rig_irqs(&held->rig, MSIX_TRIGGER, PEAL_VFIO_IRQ_MSIX, 3, 1, &held->fd, 1),
			 0);
	assert_int_equal(write(held->fd, &most, sizeof(most)), sizeof(most));
	assert_int_equal(fcntl(held->fd, F_SETFL, 0), 0);
}

static void hold_done(struct held *held)
{
	rig_done(&held->rig);
	(void)close(held->fd);
}

/* Is the thread asleep? */
static bool sleeps(pid_t thread)
{
	char path[64], line[512];
	const char *end;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)thread);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_non_null(fgets(line, sizeof(line), file));
	(void)fclose(file);
	end = strrchr(line, ')');
	assert_non_null(end);
	return end[2] == 'S';
}

/* A thread that is on its way to the signal sleeps nowhere but there. */
static void wait_until_held(const struct held *held)
{
	pid_t thread;

	do {
		(void)sched_yield();
		thread = __atomic_load_n(&held->thread, __ATOMIC_SEQ_CST);
	} while (!thread || !sleeps(thread));
	assert_int_equal(__atomic_load_n(&held->raised, __ATOMIC_SEQ_CST), 0);
}

/* The server's own thread, by a write that nobody waits for. */
static void hold_the_server(struct held *held)
{
	const struct vfu_region_access access = { 0, RIG_BAR, 4 };
	uint8_t message[sizeof(access) + 4] = { 0 };

	memcpy(message, &access, sizeof(access));
	rig_send_fds(&held->rig, VFU_REGION_WRITE, VFU_NO_REPLY, message, sizeof(message), NULL, 0);
	wait_until_held(held);
}

static void a_client_that_holds_the_server_up_and_leaves(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct held held;

		hold_start(&held);
		held.again = i == 1;
		hold_the_server(&held);
		assert_int_equal(rig_disconnect(&held.rig), 0);
		assert_int_equal(held.raised, 1);
		assert_int_equal(rig_signals(held.fd), 1);
		/* The next client is served. */
		rig_connect(&held.rig);
		assert_int_equal(rig_version(&held.rig, 0, 0, RIG_QEMU), 0);
		assert_int_equal(rig_read(&held.rig, PEAL_VFIO_REGION_CONFIG, 0, 4), 0);
		hold_done(&held);
	}
}

static void a_server_that_is_held_up_can_be_stopped(void **state)
{
	struct held held;

	(void)state;
	hold_start(&held);
	hold_the_server(&held);
	peal_vfu_server_stop(held.rig.server);
	assert_int_equal(pthread_join(held.rig.thread, NULL), 0);
	held.rig.serving = false;
	assert_int_equal(held.rig.result, 0);
	assert_int_equal(held.raised, 1);
	hold_done(&held);
}

/*
 * Another thread of the device; the server's waits for it in SET_IRQS, of this vector or another,
 * and in the end of serving.
 */
static void who_takes_a_trigger_away_does_not_wait_for_the_client(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		const int other = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		struct held held;
		pthread_t thread;

		hold_start(&held);
		assert_int_equal(
			rig_irqs(&held.rig, MSIX_TRIGGER, PEAL_VFIO_IRQ_MSIX, 2, 1, &other, 1), 0);
		assert_int_equal(pthread_create(&thread, NULL, raise_in_a_thread, &held), 0);
		wait_until_held(&held);
		if (i == 2)
			assert_int_equal(rig_disconnect(&held.rig), 0);
		else
			assert_int_equal(rig_irqs(&held.rig, MSIX_TRIGGER, PEAL_VFIO_IRQ_MSIX,
						  3 - i, 1, NULL, 0),
					 0);
		/* Another vector's is not waited for; the client lets go by reading. */
		if (i == 1)
			assert_true(rig_signals(held.fd) == UINT64_MAX - 1);
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_int_equal(held.raised, 1);
		/* What it had put there itself is gone, the interrupt is not. */
		assert_int_equal(rig_signals(held.fd), 1);
		hold_done(&held);
		(void)close(other);
	}
}

/* SET_IRQS that signals (loopback) does so with the irqset's mutex held. */
static void loopback_that_is_held_up_ends_with_the_client(void **state)
{
	const struct vfu_set_irqs set = { 20, PEAL_VFIO_DATA_NONE | PEAL_VFIO_ACTION_TRIGGER,
					  PEAL_VFIO_IRQ_MSIX, 3, 1 };
	struct held held;

	(void)state;
	hold_start(&held);
	rig_send_fds(&held.rig, VFU_DEVICE_SET_IRQS, 0, &set, sizeof(set), NULL, 0);
	assert_int_equal(rig_disconnect(&held.rig), 0);
	assert_int_equal(rig_signals(held.fd), 1);
	hold_done(&held);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fds_test(a_client_that_holds_the_server_up_and_leaves),
		fds_test(a_server_that_is_held_up_can_be_stopped),
		fds_test(who_takes_a_trigger_away_does_not_wait_for_the_client),
		fds_test(loopback_that_is_held_up_ends_with_the_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
