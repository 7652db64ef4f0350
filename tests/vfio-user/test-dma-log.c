/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of a served device's writes: every byte that a block device changed in memory lies in a
 * page that is told, pages that it did not touch are not, and no client makes the log grow.
 */
#include "movers.h"

#include "vfio/user/channel.h"

#define PAGE  4096u
#define PAGES (RAM_SIZE / PAGE)

static void start_log(struct served *s, uint64_t page_size)
{
	const struct peal_vfio_range range = { RAM, RAM_SIZE };

	assert_int_equal(peal_vfio_dma_log_start(s->device, &page_size, &range, 1), 0);
}

static void report(struct served *s, uint64_t *bitmap)
{
	const struct peal_vfio_range range = { RAM, RAM_SIZE };

	memset(bitmap, 0, PAGES / 8);
	assert_int_equal(peal_vfio_dma_log_report(s->device, &range, PAGE, bitmap), 0);
}

static bool is_set(const uint64_t *bitmap, uint64_t page)
{
	return bitmap[page / 64] >> page % 64 & 1;
}

static void do_requests(struct pair *p, unsigned count)
{
	run_and_move(p, p->r.done + count, ~0u);
}

static void what_the_device_wrote_is_told(void **state)
{
	struct pair *p = pair_new(QUEUES, 1, 0, 0);
	uint8_t *before = malloc(RAM_SIZE);
	uint64_t bitmap[PAGES / 64];
	unsigned told = 0, changed = 0;

	(void)state;
	assert_non_null(before);
	do_requests(p, 100);
	/* The last ones are done; the device may be about to ask for notifications. */
	served_set_state(&p->served[0], PEAL_VFIO_MIG_STOP);
	start_log(&p->served[0], PAGE);
	report(&p->served[0], bitmap);
	for (uint64_t page = 0; page < PAGES; page++)
		assert_false(is_set(bitmap, page));
	served_set_state(&p->served[0], PEAL_VFIO_MIG_RUNNING);
	for (unsigned round = 0; round < 5; round++) {
		memcpy(before, p->r.ram.memory, RAM_SIZE);
		do_requests(p, 100);
		/* With the device at rest there is nothing more to come. */
		served_set_state(&p->served[0], PEAL_VFIO_MIG_STOP);
		report(&p->served[0], bitmap);
		for (uint64_t page = 0; page < PAGES; page++) {
			/* The driver wrote available rings, headers and data itself. */
			bool driver = page < 32      ? page % 16 < 4
				      : page < 0x200 ? true
						     : is_set(bitmap, page);

			told += is_set(bitmap, page);
			if (memcmp(before + PAGE * page, p->r.ram.memory + PAGE * page, PAGE) !=
				    0 &&
			    !driver) {
				assert_true(is_set(bitmap, page));
				changed++;
			}
		}
		/* Used rings of both queues. */
		assert_true(is_set(bitmap, 4) && is_set(bitmap, 20));
		/* Nobody writes what the driver only offers. */
		assert_false(is_set(bitmap, 0) || is_set(bitmap, 2) || is_set(bitmap, PAGES - 1));
		report(&p->served[0], bitmap);
		for (uint64_t page = 0; page < PAGES; page++)
			assert_false(is_set(bitmap, page));
		served_set_state(&p->served[0], PEAL_VFIO_MIG_RUNNING);
	}
	assert_true(changed >= 10 && told < 200);
	assert_int_equal(peal_vfio_dma_log_stop(p->served[0].device), 0);
	pair_free(p);
	free(before);
}

/* Live: memory is copied while the device works, then what the log says, then the device stops. */
static void memory_that_is_copied_by_the_log_is_the_same(void **state)
{
	struct pair *p = pair_new(QUEUES, 2, 3, 0);
	struct served *s = &p->served[0];
	uint8_t *copy = malloc(RAM_SIZE);
	uint64_t bitmap[PAGES / 64];

	(void)state;
	assert_non_null(copy);
	/* All is asked for at once: from here on only the device writes. */
	for (unsigned n = 0; n < 160; n++)
		offer_request(&p->r, n % 2);
	start_log(s, PAGE);
	queue_notify(s, &p->r.queues[0]);
	queue_notify(s, &p->r.queues[1]);
	for (uint64_t i = 0; i < RAM_SIZE; i += 8) {
		uint64_t word = __atomic_load_n((uint64_t *)(void *)(p->r.ram.memory + i),
						__ATOMIC_RELAXED);

		memcpy(copy + i, &word, 8);
	}
	for (unsigned last = 0; last < 2; last++) {
		if (last)
			served_set_state(s, PEAL_VFIO_MIG_STOP_COPY);
		report(s, bitmap);
		for (uint64_t page = 0; page < PAGES; page++) {
			if (is_set(bitmap, page))
				memcpy(copy + PAGE * page, p->r.ram.memory + PAGE * page, PAGE);
		}
	}
	assert_memory_equal(copy, p->r.ram.memory, RAM_SIZE);
	pair_free(p);
	free(copy);
}

static void what_goes_by_messages_is_told_too(void **state)
{
	const struct peal_vfio_range range = { RAM, 4 * PAGE };
	struct pair *p = pair_new(1, 0, 0, 0);
	struct served *s = &p->served[0];
	struct peal_vfio_dma dma = {
		.iova = RAM,
		.size = 4 * PAGE,
		.flags = PEAL_VFIO_DMA_READ | PEAL_VFIO_DMA_WRITE,
		.fd = -1,
		.memory = p->r.ram.memory,
	};
	uint64_t page_size = PAGE, bitmap = 0;
	uint8_t bytes[16] = { 1 };

	(void)state;
	assert_int_equal(peal_vfio_dma_unmap(s->device, RAM, RAM_SIZE), 0);
	assert_int_equal(peal_vfio_dma_map(s->device, &dma), 0);
	assert_int_equal(peal_vfio_dma_log_start(s->device, &page_size, &range, 1), 0);
	assert_int_equal(peal_space_write(peal_vfio_function_dma(s->vfio), RAM + 2 * PAGE - 8,
					  bytes, sizeof(bytes)),
			 0);
	assert_int_equal(
		peal_space_read(peal_vfio_function_dma(s->vfio), RAM, bytes, sizeof(bytes)), 0);
	assert_int_equal(p->r.ram.memory[2 * PAGE - 8], 1);
	assert_int_equal(peal_vfio_dma_log_report(s->device, &range, PAGE, &bitmap), 0);
	assert_int_equal(bitmap, 0x6);
	pair_free(p);
}

/* ---- in pieces ---- */

static void a_report_goes_in_as_many_messages_as_it_takes(void **state)
{
	const struct peal_vfu_client_config config = { .max_data_xfer_size = 64 };
	struct pair *p = pair_new(QUEUES, 0, 0, 0);
	uint64_t bitmap[PAGES / 64 + 1], direct[PAGES / 64 + 1];
	struct peal_vfio_range range = { RAM, RAM_SIZE };
	struct served *s = &p->served[0];

	(void)state;
	served_disconnect(s);
	served_connect(s, &config);
	assert_int_equal(peal_vfio_reset(s->device), 0);
	served_map(s, &p->r.ram);
	served_enable_msix(s, QUEUES + 1);
	start_log(s, PAGE);
	virtio_start(s, p->r.queues, QUEUES, &p->r.ram, 0);
	for (unsigned i = 0; i < 2; i++) {
		do_requests(p, 100);
		memset(bitmap, 0, sizeof(bitmap));
		memset(direct, 0, sizeof(direct));
		assert_int_equal(peal_vfio_dma_log_report(s->device, &range, PAGE, bitmap), 0);
		/* What was told is forgotten. */
		assert_int_equal(peal_vfio_dma_log_report(peal_vfio_function_device(s->vfio),
							  &range, PAGE, direct),
				 0);
		for (size_t w = 0; w < PEAL_COUNT_OF(direct); w++)
			assert_int_equal(direct[w], 0);
		assert_true(is_set(bitmap, 4) && is_set(bitmap, 0x200 + 100 * i / 8 + 1));
		assert_int_equal(bitmap[PAGES / 64], 0);
	}
	/* Bits that were set stay. */
	memset(bitmap, 0xff, sizeof(bitmap));
	assert_int_equal(peal_vfio_dma_log_report(s->device, &range, PAGE, bitmap), 0);
	for (size_t w = 0; w < PEAL_COUNT_OF(bitmap); w++)
		assert_true(bitmap[w] == UINT64_MAX);
	/* So little memory, all of 2^64 bytes, in units as small as one byte. */
	range = (struct peal_vfio_range){ 0, UINT64_MAX };
	assert_int_equal(peal_vfio_dma_log_report(s->device, &range, UINT64_C(1) << 63, bitmap), 0);
	range = (struct peal_vfio_range){ RAM, 1024 };
	assert_int_equal(peal_vfio_dma_log_report(s->device, &range, 1, bitmap), 0);
	range = (struct peal_vfio_range){ RAM, 0 };
	assert_int_equal(peal_vfio_dma_log_report(s->device, &range, PAGE, bitmap), -EINVAL);
	range = (struct peal_vfio_range){ UINT64_MAX, 2 };
	assert_int_equal(peal_vfio_dma_log_report(s->device, &range, PAGE, bitmap), -EINVAL);
	pair_free(p);
}

/* ---- what clients say ---- */

struct talk {
	struct bells bells;
	struct served *served;
	struct vfu_channel peer;
	struct vfu_message message;
	uint16_t id;
};

static int say(struct talk *t, uint16_t command, const void *bytes, size_t size)
{
	const struct vfu_out out = {
		.header = { .id = ++t->id, .command = command },
		.data = bytes,
		.data_size = size,
	};

	assert_int_equal(vfu_channel_send(&t->peer, &out), 0);
	assert_int_equal(vfu_channel_receive(&t->peer, &t->message, SERVED_TIMEOUT), 0);
	assert_int_equal(t->message.header.id, t->id);
	return -(int)t->message.header.error;
}

static void talk_init(struct talk *t, const char *json)
{
	const struct vfu_version version = { 0, 1 };
	uint8_t bytes[1000];
	size_t length = strlen(json) + 1;

	memset(t, 0, sizeof(*t));
	bells_init(&t->bells, 3);
	t->served = &t->bells.served[0];
	served_disconnect(t->served);
	assert_int_equal(vfu_channel_init(&t->peer, peal_host_default(), served_listen(t->served),
					  (size_t)4 << 20, VFU_FDS_MAX, SERVED_TIMEOUT),
			 0);
	memcpy(bytes, &version, sizeof(version));
	memcpy(bytes + sizeof(version), json, length);
	assert_int_equal(say(t, VFU_VERSION, bytes, sizeof(version) + length), 0);
}

static void talk_done(struct talk *t)
{
	const struct peal_vfu_client_config config = { 0 };

	vfu_channel_done(&t->peer);
	assert_int_equal(pthread_join(t->served->thread, NULL), 0);
	assert_int_equal(t->served->result, 0);
	served_connect(t->served, &config);
	bells_done(&t->bells);
}

static int start(struct talk *t, uint64_t page_size, uint32_t said, const struct vfu_area *ranges,
		 uint32_t count)
{
	struct {
		struct vfu_feature feature;
		struct vfu_log_start start;
		struct vfu_area ranges[2000];
	} m = { .feature = { sizeof(m), PEAL_VFIO_FEATURE_DMA_LOGGING_START | VFU_FEATURE_SET } };

	m.start.page_size = page_size;
	m.start.num_ranges = said;
	if (count)
		memcpy(m.ranges, ranges, count * sizeof(*ranges));
	return say(t, VFU_DEVICE_FEATURE, &m, 24 + count * sizeof(*ranges));
}

static int ask_report(struct talk *t, uint32_t argsz, uint64_t iova, uint64_t size,
		      uint64_t page_size)
{
	const struct {
		struct vfu_feature feature;
		struct vfu_log_report report;
	} m = { { argsz, PEAL_VFIO_FEATURE_DMA_LOGGING_REPORT | VFU_FEATURE_GET },
		{ iova, size, page_size } };

	return say(t, VFU_DEVICE_FEATURE, &m, sizeof(m));
}

static const char *const agreement =
	"{\"capabilities\":{\"max_data_xfer_size\":65536,\"migration\":{\"pgsize\":4096,"
	"\"max_bitmap_size\":4096}}}";

static void the_agreement_says_how_long_a_bitmap_is(void **state)
{
	struct vfu_capabilities said;
	struct talk t;

	(void)state;
	talk_init(&t, agreement);
	assert_int_equal(vfu_capabilities_parse(&said, t.message.payload + 4, t.message.size - 4),
			 0);
	assert_true(said.has_migration);
	assert_int_equal(said.migration_pgsize, 4096);
	assert_int_equal(said.migration_max_bitmap_size, 4096);
	assert_int_equal(start(&t, PAGE, 0, NULL, 0), 0);
	assert_int_equal(ask_report(&t, 1 << 20, 0, 8 * 4096 * PAGE, PAGE), 0);
	assert_int_equal(t.message.size, 32 + 4096);
	assert_int_equal(ask_report(&t, 1 << 20, 0, 8 * 4096 * PAGE + 1, PAGE), -E2BIG);
	assert_int_equal(ask_report(&t, 1 << 20, 0, UINT64_MAX, 1), -E2BIG);
	assert_int_equal(ask_report(&t, 1 << 20, 0, UINT64_MAX, 0), -EINVAL);
	assert_int_equal(ask_report(&t, 1 << 20, 0, 64, 3), -EINVAL);
	assert_int_equal(ask_report(&t, 1 << 20, 0, 0, PAGE), -EINVAL);
	talk_done(&t);
}

/* Who has no room for the report is told how much he needs, and nothing is forgotten. */
static void a_report_that_does_not_fit_is_not_lost(void **state)
{
	const uint64_t byte = 0;
	uint64_t word;
	struct talk t;
	uint8_t *memory = calloc(1, 65536);
	struct peal_space *dma;

	(void)state;
	assert_non_null(memory);
	talk_init(&t, agreement);
	dma = peal_vfio_function_dma(t.served->vfio);
	assert_int_equal(peal_space_map(dma, RAM, 65536, memory, PEAL_MEM_RW), 0);
	assert_int_equal(start(&t, 512, 0, NULL, 0), 0);
	/* The least that there is. */
	memcpy(&word, t.message.payload + 8, 8);
	assert_int_equal(word, 4096);
	assert_int_equal(peal_space_write(dma, RAM + 5 * PAGE, &byte, 1), 0);
	for (uint32_t argsz = 8; argsz < 40; argsz++) {
		assert_int_equal(ask_report(&t, argsz, RAM, 65536, PAGE), 0);
		assert_int_equal(t.message.size, 32);
		memcpy(&word, t.message.payload, 4);
		assert_int_equal((uint32_t)word, 40);
	}
	assert_int_equal(ask_report(&t, 40, RAM, 65536, PAGE), 0);
	assert_int_equal(t.message.size, 40);
	memcpy(&word, t.message.payload + 32, 8);
	assert_int_equal(word, 1 << 5);
	assert_int_equal(ask_report(&t, 40, RAM, 65536, PAGE), 0);
	memcpy(&word, t.message.payload + 32, 8);
	assert_int_equal(word, 0);
	assert_int_equal(peal_space_unmap(dma, RAM, 65536), 0);
	talk_done(&t);
	free(memory);
}

static void ranges_that_are_none_are_refused(void **state)
{
	const struct vfu_area good = { RAM, RAM_SIZE };
	static const struct vfu_area bad[] = { { 0, 0 }, { UINT64_MAX, 2 }, { 4096, UINT64_MAX } };
	struct vfu_area *many = calloc(2000, sizeof(*many));
	int64_t bytes;
	struct talk t;

	(void)state;
	assert_non_null(many);
	talk_init(&t, agreement);
	for (unsigned i = 0; i < 2000; i++)
		many[i] = good;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(start(&t, PAGE, 1, &bad[i], 1), -EINVAL);
	assert_int_equal(start(&t, PAGE, 0, &good, 1), -EINVAL);
	assert_int_equal(start(&t, PAGE, 2, &good, 1), -EINVAL);
	assert_int_equal(start(&t, PAGE, UINT32_MAX, &good, 1), -EINVAL);
	assert_int_equal(start(&t, 0, 1, &good, 1), -EINVAL);
	assert_int_equal(start(&t, 5000, 1, &good, 1), -EINVAL);
	assert_int_equal(start(&t, PAGE, 2000, many, 2000), -E2BIG);
	assert_int_equal(ask_report(&t, 1000, RAM, PAGE, PAGE), -EINVAL);
	assert_int_equal(start(&t, PAGE, 1, &good, 1), 0);
	assert_int_equal(start(&t, PAGE, 1, &good, 1), -EINVAL);
	bytes = __atomic_load_n(&t.served->host.bytes, __ATOMIC_RELAXED);
	assert_in_range(bytes, 1, 8 << 20);
	talk_done(&t);
	free(many);
}

/* The next client starts its own. */
static void the_log_goes_with_its_client(void **state)
{
	struct talk t;

	(void)state;
	talk_init(&t, agreement);
	assert_int_equal(start(&t, PAGE, 0, NULL, 0), 0);
	vfu_channel_done(&t.peer);
	assert_int_equal(pthread_join(t.served->thread, NULL), 0);
	assert_int_equal(peal_vfio_dma_log_stop(peal_vfio_function_device(t.served->vfio)),
			 -EINVAL);
	served_connect(t.served, &(struct peal_vfu_client_config){ 0 });
	start_log(t.served, PAGE);
	bells_done(&t.bells);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fds_test(what_the_device_wrote_is_told),
		fds_test(memory_that_is_copied_by_the_log_is_the_same),
		fds_test(what_goes_by_messages_is_told_too),
		fds_test(a_report_goes_in_as_many_messages_as_it_takes),
		fds_test(the_agreement_says_how_long_a_bitmap_is),
		fds_test(a_report_that_does_not_fit_is_not_lost),
		fds_test(ranges_that_are_none_are_refused),
		fds_test(the_log_goes_with_its_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
