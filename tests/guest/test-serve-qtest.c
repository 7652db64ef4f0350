/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Served devices in QEMU, without a guest: Peal's own driver of block devices runs against `peal
 * serve blk` through QEMU's vfio-user-pci, with DMA and MSI-X; and each way of interrupting of a bell
 * is seen where QEMU delivers it. What Linux does with the same devices is test-serve.py's.
 */
#include "qtest-pci.h"

#include <peal/bell.h>

#define IMAGE_SIZE   0x100000u
#define CHUNK        0x10000u
#define WRITTEN_AT   0x34000u /* in the image */
#define WRITTEN_SIZE 0x8000u
#define QUEUES       2u
#define BELLS        16u

/* ---- requests ---- */

struct request {
	struct peal_blk_request blk;
	bool done;
	int status;
};

static void request_done(struct peal_blk_request *blk, int status)
{
	struct request *request = (struct request *)blk->user;

	request->done = true;
	request->status = status;
}

/* One request on a queue, that ends by its interrupt. */
static void carry_out(struct pc *pc, struct peal_blk_driver *blk, unsigned queue,
		      enum peal_blk_op op, uint64_t sector, uint64_t address, uint32_t length)
{
	struct request request = {
		.blk = {
			.op = op,
			.sector = sector,
			.address = address,
			.length = length,
			.done = request_done,
			.user = &request,
		},
	};
	struct timespec since;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &since), 0);
	assert_int_equal(peal_blk_driver_submit(blk, queue, &request.blk), 0);
	peal_blk_driver_kick(blk, queue);
	while (!request.done) {
		if (!pc_dispatch(pc))
			pc_wait(&since);
	}
	assert_int_equal(request.status, 0);
}

static struct peal_blk_driver *start_driver(struct pc *pc)
{
	const struct peal_blk_driver_config config = {
		.host = peal_host_default(),
		.ops = &pc_ops,
		.ops_user = pc,
		.queues = QUEUES,
	};
	struct peal_blk_driver *blk = NULL;
	struct peal_blk_info info;

	for (unsigned v = 0; v < PC_VECTORS; v++)
		pc->vectors[v].messages = 0;
	assert_int_equal(peal_blk_driver_new(&blk, &config), 0);
	peal_blk_driver_info(blk, &info);
	assert_int_equal(info.capacity, IMAGE_SIZE / 512);
	assert_int_equal(info.queues, QUEUES);
	assert_int_equal(info.intr, PEAL_VIRTIO_INTR_MSIX_PER_QUEUE);
	assert_false(info.read_only);
	return blk;
}

/* ---- blk ---- */

static void read_image(struct pc *pc, struct peal_blk_driver *blk, const uint8_t *expected)
{
	uint64_t address = 0;
	void *buffer = NULL;

	assert_int_equal(pc_dma_alloc(pc, CHUNK, 4096, &buffer, &address), 0);
	for (uint32_t at = 0; at < IMAGE_SIZE; at += CHUNK) {
		memset(buffer, 0, CHUNK);
		carry_out(pc, blk, at / CHUNK % QUEUES, PEAL_BLK_READ, at / 512, address, CHUNK);
		assert_memory_equal(buffer, expected + at, CHUNK);
	}
	pc_dma_free(pc, buffer, address, CHUNK);
}

static void write_some(struct pc *pc, struct peal_blk_driver *blk, uint8_t *image)
{
	uint8_t *found = (uint8_t *)malloc(IMAGE_SIZE);
	uint64_t address = 0;
	void *buffer = NULL;
	FILE *file;

	assert_non_null(found);
	assert_int_equal(pc_dma_alloc(pc, WRITTEN_SIZE, 512, &buffer, &address), 0);
	for (uint32_t i = 0; i < WRITTEN_SIZE; i++)
		((uint8_t *)buffer)[i] = image[WRITTEN_AT + i] = (uint8_t)(i * 13 + i / 256);
	carry_out(pc, blk, 0, PEAL_BLK_WRITE, WRITTEN_AT / 512, address, WRITTEN_SIZE);
	carry_out(pc, blk, 1, PEAL_BLK_FLUSH, 0, 0, 0);
	pc_dma_free(pc, buffer, address, WRITTEN_SIZE);
	file = fopen(pc->image, "rb");
	assert_non_null(file);
	assert_int_equal(fread(found, 1, IMAGE_SIZE, file), IMAGE_SIZE);
	(void)fclose(file);
	assert_memory_equal(found, image, IMAGE_SIZE);
	free(found);
}

/*
 * A request that ends while its vector is masked. What pends then cannot be seen in the PBA, which
 * QEMU reads from the device: that it comes with the unmasking can.
 */
static void mask_and_unmask(struct pc *pc, struct peal_blk_driver *blk, const uint8_t *image)
{
	unsigned vector = peal_virtio_driver_queue_vector(peal_blk_driver_virtio(blk), 0);
	struct request request = { .status = -1 };
	struct timespec since;
	uint64_t address = 0;
	void *buffer = NULL;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &since), 0);
	assert_int_equal(pc_dma_alloc(pc, 512, 512, &buffer, &address), 0);
	request.blk = (struct peal_blk_request){
		.address = address, .length = 512, .done = request_done, .user = &request
	};
	pc_mask(pc, vector, true);
	assert_int_equal(peal_blk_driver_submit(blk, 0, &request.blk), 0);
	peal_blk_driver_kick(blk, 0);
	while (memcmp(buffer, image, 512) != 0)
		pc_wait(&since);
	pc_settle(pc);
	assert_int_equal(pc_dispatch(pc), 0);
	assert_false(request.done);
	pc_mask(pc, vector, false);
	while (!request.done) {
		if (!pc_dispatch(pc))
			pc_wait(&since);
	}
	assert_int_equal(request.status, 0);
	pc_dma_free(pc, buffer, address, 512);
}

static void check_interrupts(struct pc *pc, struct peal_blk_driver *blk)
{
	for (unsigned i = 0; i < QUEUES; i++) {
		unsigned vector = peal_virtio_driver_queue_vector(peal_blk_driver_virtio(blk), i);
		struct peal_blk_counters c;

		peal_blk_driver_counters(blk, i, &c);
		assert_true(pc->vectors[vector].messages >= IMAGE_SIZE / CHUNK / QUEUES);
		assert_int_equal(c.interrupts, pc->vectors[vector].messages);
		assert_int_equal(c.completed, c.submitted);
	}
}

static void a_disk_is_read_and_written(void **state)
{
	uint8_t *image = (uint8_t *)malloc(IMAGE_SIZE);
	uint64_t random = 5;
	struct pc pc;

	(void)state;
	assert_non_null(image);
	for (uint32_t i = 0; i < IMAGE_SIZE; i++)
		image[i] = (uint8_t)test_random(&random);
	if (pc_available()) {
		pc_init(&pc, image, IMAGE_SIZE);
		pc_start_server(&pc, (const char *const[]){ "blk", "--disk", pc.image, "--queues",
							    "2", NULL });
		pc_start_machine(&pc);
		/* The second driver finds what a reset leaves, and what the first wrote. */
		for (unsigned i = 0; i < 2; i++) {
			struct peal_blk_driver *blk = start_driver(&pc);

			read_image(&pc, blk, image);
			write_some(&pc, blk, image);
			check_interrupts(&pc, blk);
			mask_and_unmask(&pc, blk, image);
			peal_blk_driver_free(blk);
			assert_int_equal(pc.dma_live, 0);
		}
		pc_done(&pc);
	}
	free(image);
}

/* ---- bell ---- */

static void start_bell(struct pc *pc)
{
	pc_init(pc, NULL, 0);
	pc_start_server(pc, (const char *const[]){ "bell", "--vectors", "16", NULL });
	pc_start_machine(pc);
	assert_int_equal(pc_bar_read(pc, PEAL_BELL_BAR, PEAL_BELL_ID, 4), PEAL_BELL_MAGIC);
	assert_int_equal(pc_bar_read(pc, PEAL_BELL_BAR, PEAL_BELL_VECTORS, 4), BELLS);
}

static void ring(struct pc *pc, unsigned vector)
{
	pc_bar_write(pc, PEAL_BELL_BAR, PEAL_BELL_RING, 4, vector);
}

static void count(void *arg)
{
	++*(uint64_t *)arg;
}

static void each_vector_sends_its_own_message(void **state)
{
	uint64_t counts[BELLS] = { 0 };
	struct timespec since;
	struct pc pc;

	(void)state;
	if (!pc_available())
		return;
	start_bell(&pc);
	assert_int_equal(pc_irq_alloc(&pc, PEAL_IRQ_MSIX, BELLS), 0);
	for (unsigned v = 0; v < BELLS; v++)
		assert_int_equal(pc_irq_setup(&pc, v, count, &counts[v], 0), 0);
	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &since), 0);
	for (unsigned i = 0; i < 5 * BELLS; i++) {
		unsigned vector = i * 7 % BELLS;

		ring(&pc, vector);
		while (!pc_dispatch(&pc))
			pc_wait(&since);
		for (unsigned v = 0; v < BELLS; v++)
			assert_int_equal(counts[v], v == vector);
		counts[vector] = 0;
	}
	/* While it is masked it pends, and comes once. */
	pc_mask(&pc, 3, true);
	for (unsigned i = 0; i < 5; i++)
		ring(&pc, 3);
	pc_settle(&pc);
	assert_int_equal(pc_dispatch(&pc), 0);
	pc_mask(&pc, 3, false);
	while (!pc_dispatch(&pc))
		pc_wait(&since);
	pc_settle(&pc);
	assert_int_equal(pc_dispatch(&pc), 0);
	assert_int_equal(counts[3], 1);
	assert_int_equal(pc_bar_read(&pc, PEAL_BELL_BAR, PEAL_BELL_RINGS, 8), 5 * BELLS + 5);
	pc_irq_release(&pc);
	pc_done(&pc);
}

/* The pin that is asserted, of those that anybody has raised; -1: none. */
static int asserted_pin(const struct pc *pc)
{
	for (unsigned i = 0; i < PC_PIN_COUNT; i++) {
		if (pc->level[i])
			return (int)i;
	}
	return -1;
}

static void wait_for_level(struct pc *pc, bool asserted)
{
	struct timespec since;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &since), 0);
	while ((asserted_pin(pc) >= 0) != asserted) {
		pc_wait(&since);
		/* What QEMU says comes with the next answer; a read of the device would end INTx. */
		(void)pc_config_read(pc, 0, 4);
	}
}

static void the_line_follows_the_cause(void **state)
{
	unsigned raises = 0;
	struct pc pc;
	int pin = -1;

	(void)state;
	if (!pc_available())
		return;
	start_bell(&pc);
	assert_int_equal(asserted_pin(&pc), -1);
	for (unsigned i = 0; i < 20; i++) {
		ring(&pc, i % BELLS);
		wait_for_level(&pc, true);
		assert_true(pin < 0 || pin == asserted_pin(&pc));
		pin = asserted_pin(&pc);
		pc_bar_write(&pc, PEAL_BELL_BAR, PEAL_BELL_CAUSE, 4, 1);
		wait_for_level(&pc, false);
		assert_int_equal(pc_bar_read(&pc, PEAL_BELL_BAR, PEAL_BELL_CAUSE, 4), 0);
	}
	/* As long as the cause stands, whoever ends the interrupt gets another. */
	ring(&pc, 0);
	wait_for_level(&pc, true);
	raises = pc.raises[pin];
	assert_int_equal(pc_bar_read(&pc, PEAL_BELL_BAR, PEAL_BELL_CAUSE, 4), 1);
	while (pc.raises[pin] == raises)
		(void)pc_config_read(&pc, 0, 4);
	pc_bar_write(&pc, PEAL_BELL_BAR, PEAL_BELL_CAUSE, 4, 1);
	wait_for_level(&pc, false);
	print_message("# INTx is pin %d of the I/O APIC, raised %u times\n", pin, pc.raises[pin]);
	pc_done(&pc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_disk_is_read_and_written),
		cmocka_unit_test(each_vector_sends_its_own_message),
		cmocka_unit_test(the_line_follows_the_cause),
	};

	return cmocka_run_group_tests_name("serve qtest", tests, NULL, NULL);
}
