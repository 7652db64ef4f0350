/* SPDX-License-Identifier: BSD-2-Clause */
/* The entropy device. Virtio 1.2 §5.4. */
#include <peal/virtio.h>

#include "guest.h"

#define BUFFER (GUEST_RAM + GUEST_RAM_SIZE / 2)

struct source {
	uint8_t next;
	uint64_t bytes;
	int error;
};

static struct source source;
static struct peal_virtio_rng *rng;
static struct guest g;

static int count_up(void *user, void *bytes, size_t size)
{
	struct source *s = user;

	for (size_t i = 0; s->error == 0 && i < size; i++)
		((uint8_t *)bytes)[i] = ++s->next;
	s->bytes += s->error == 0 ? size : 0;
	return s->error;
}

static void open_rng(int (*fill)(void *, void *, size_t))
{
	const struct peal_virtio_rng_config config = {
		.host = peal_host_default(),
		.fill = fill,
		.user = &source,
	};
	int r;

	source = (struct source){ 0 };
	r = peal_virtio_rng_new(&rng, &config);
	assert_int_equal(r, 0);
	guest_init(&g, peal_virtio_rng_function(rng));
	guest_start(&g, 0, 1, 16);
}

static void close_rng(void)
{
	guest_done(&g);
	peal_virtio_rng_free(rng);
}

/* Bytes that the device says it wrote; the chain is COUNT buffers. */
static uint32_t send(const struct guest_buffer *buffers, unsigned count)
{
	uint32_t id, length = 0;

	guest_send(&g.queues[0], buffers, count);
	assert_true(guest_take(&g.queues[0], &id, &length));
	return length;
}

static void identity_is_that_of_an_entropy_device(void **state)
{
	(void)state;
	open_rng(count_up);
	assert_int_equal(guest_config_read(&g, 2, 2), 0x1044);
	assert_int_equal(g.vectors, 2);
	close_rng();
}

static void a_buffer_is_filled_from_the_source(void **state)
{
	const struct guest_buffer buffers[] = { { BUFFER, 5, true }, { BUFFER + 64, 3, true } };
	struct peal_virtio_rng_counters c;

	(void)state;
	open_rng(count_up);
	assert_int_equal(send(buffers, 2), 8);
	assert_int_equal(guest_read(&g, BUFFER, 8), UINT64_C(0x0000000504030201));
	assert_int_equal(guest_read(&g, BUFFER + 64, 4), 0x00080706);
	assert_int_equal(test_sink_count(&g.sink), 1);
	peal_virtio_rng_counters(rng, &c);
	assert_int_equal(c.bytes, 8);
	assert_int_equal(c.failed, 0);
	close_rng();
}

static void a_large_buffer_gets_a_bounded_number_of_bytes(void **state)
{
	const struct guest_buffer large = { BUFFER, 0x100000, true };

	(void)state;
	open_rng(count_up);
	assert_int_equal(send(&large, 1), 65536);
	assert_int_equal(source.bytes, 65536);
	assert_int_equal(guest_read(&g, BUFFER + 65535, 2), source.next);
	close_rng();
}

/* The queue is broken, nothing is used. */
static void assert_broken(void)
{
	struct peal_virtio_rng_counters c;

	assert_true(guest_status(&g) & PEAL_VIRTIO_NEEDS_RESET);
	assert_int_equal(guest_used_index(&g.queues[0]), 0);
	peal_virtio_rng_counters(rng, &c);
	assert_int_equal(c.failed, 1);
	assert_int_equal(c.bytes, 0);
}

static void a_source_that_fails_breaks_the_queue(void **state)
{
	const struct guest_buffer buffer = { BUFFER, 16, true };

	(void)state;
	open_rng(count_up);
	source.error = -EIO;
	guest_send(&g.queues[0], &buffer, 1);
	assert_broken();
	source.error = 0;
	guest_start(&g, 0, 1, 16);
	assert_int_equal(send(&buffer, 1), 16);
	close_rng();
}

static void a_buffer_to_be_read_breaks_the_queue(void **state)
{
	const struct guest_buffer buffers[] = { { BUFFER, 4, false }, { BUFFER + 64, 4, true } };

	(void)state;
	open_rng(count_up);
	guest_send(&g.queues[0], buffers, 2);
	assert_broken();
	close_rng();
	open_rng(count_up);
	guest_send(&g.queues[0], buffers, 1);
	assert_broken();
	close_rng();
}

static void the_system_is_the_source_when_none_is_given(void **state)
{
	const struct guest_buffer first = { BUFFER, 64, true }, second = { BUFFER + 64, 64, true };

	(void)state;
	open_rng(NULL);
	assert_int_equal(send(&first, 1), 64);
	assert_int_equal(send(&second, 1), 64);
	/* That 64 random bytes come twice has a chance of 2^-512. */
	assert_memory_not_equal(guest_at(&g, BUFFER), guest_at(&g, BUFFER + 64), 64);
	close_rng();
}

static int make_one(const struct peal_host *host, void *user)
{
	const struct peal_virtio_rng_config config = {
		.host = host,
		.fill = count_up,
		.user = user,
	};
	struct peal_virtio_rng *made = NULL;
	int r = peal_virtio_rng_new(&made, &config);

	peal_virtio_rng_free(made);
	return r;
}

static void every_allocation_may_fail(void **state)
{
	(void)state;
	(void)test_every_allocation(make_one, &source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(identity_is_that_of_an_entropy_device),
		cmocka_unit_test(a_buffer_is_filled_from_the_source),
		cmocka_unit_test(a_large_buffer_gets_a_bounded_number_of_bytes),
		cmocka_unit_test(a_source_that_fails_breaks_the_queue),
		cmocka_unit_test(a_buffer_to_be_read_breaks_the_queue),
		cmocka_unit_test(the_system_is_the_source_when_none_is_given),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests_name("virtio: entropy", tests, NULL, NULL);
}
