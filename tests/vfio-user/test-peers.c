/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What other implementations of the protocol are known to have got wrong, and is not said by a case
 * of test-hostile.c: each was somebody's bug.
 */
#include "rig.h"

#define TRIGGER_FDS   (PEAL_VFIO_DATA_EVENTFD | PEAL_VFIO_ACTION_TRIGGER)
#define TRIGGER_BOOLS (PEAL_VFIO_DATA_BOOL | PEAL_VFIO_ACTION_TRIGGER)

/* Loops from start that end at count: descriptors for the last vectors reach none of them. */
static void ranges_of_vectors_begin_at_start(void **state)
{
	struct rig rig;
	int fds[3];

	(void)state;
	rig_start(&rig);
	for (unsigned i = 0; i < 3; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(rig_irqs(&rig, TRIGGER_FDS, PEAL_VFIO_IRQ_MSIX, 5, 3, fds, 3), 0);
	for (unsigned i = 0; i < RIG_MSIX; i++)
		assert_int_equal(peal_irqset_raise(rig.fake.irqset, PEAL_VFIO_IRQ_MSIX, i), i >= 5);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(rig_signals(fds[i]), 1);
		assert_int_equal(close(fds[i]), 0);
	}
	rig_done(&rig);
}

/* An argsz below the fixed part, in every command that has one. */
static void argsz_that_is_too_small(void **state)
{
	static const struct {
		uint16_t command;
		uint32_t fixed;
	} commands[] = {
		{ VFU_DMA_MAP, 32 },
		{ VFU_DMA_UNMAP, 24 },
		{ VFU_DEVICE_GET_INFO, 16 },
		{ VFU_DEVICE_GET_REGION_INFO, 32 },
		{ VFU_DEVICE_GET_REGION_IO, 16 },
		{ VFU_DEVICE_GET_IRQ_INFO, 16 },
		{ VFU_DEVICE_SET_IRQS, 20 },
		{ VFU_DEVICE_FEATURE, 8 },
		{ VFU_MIG_DATA_READ, 8 },
		{ VFU_MIG_DATA_WRITE, 8 },
	};
	const struct vfu_dma_map map = { 0, 3, 0, 0x1000, 4096 };
	struct rig rig;

	(void)state;
	rig_start(&rig);
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		uint8_t payload[32] = { 0 };

		if (commands[i].command == VFU_DMA_MAP)
			memcpy(payload, &map, sizeof(map));
		for (uint32_t argsz = 0; argsz < commands[i].fixed; argsz++) {
			memcpy(payload, &argsz, sizeof(argsz));
			assert_int_equal(rig_ask(&rig, commands[i].command, payload,
						 commands[i].fixed),
					 -EINVAL);
		}
	}
	assert_int_equal(rig_counters(&rig).dma_maps, 0);
	assert_int_equal(peal_irqset_active(rig.fake.irqset), PEAL_VFIO_IRQ_NONE);
	rig_done(&rig);
}

/* Nothing comes back for what wants no reply, be it right, wrong or unknown; the next reply does. */
static void no_reply_means_none(void **state)
{
	const uint8_t payload[64] = { 64 };
	struct rig rig;

	(void)state;
	rig_start(&rig);
	for (uint16_t command = 0; command < 24; command++) {
		for (size_t size = 0; size <= sizeof(payload); size += 4)
			rig_send_fds(&rig, command, VFU_NO_REPLY, payload, size, NULL, 0);
	}
	/* rig_reply() wants the id of the last command, and no other message before it. */
	assert_int_equal(rig_read(&rig, PEAL_VFIO_REGION_CONFIG, 0, 4), 0);
	rig_done(&rig);
}

/* Commands that come in one piece, of which only the last brings descriptors: they are its own. */
static void commands_in_one_piece(void **state)
{
	struct {
		struct vfu_header read_header;
		struct vfu_region_access read;
		struct vfu_header reset;
	} first = { { 1, VFU_REGION_READ, 32, 0, 0 },
		    { 0, PEAL_VFIO_REGION_CONFIG, 4 },
		    { 2, VFU_DEVICE_RESET, 16, 0, 0 } };
	const struct vfu_set_irqs set = { 20, TRIGGER_FDS, PEAL_VFIO_IRQ_MSIX, 0, 1 };
	int fd = eventfd(0, EFD_CLOEXEC);
	struct rig rig;

	(void)state;
	rig_start(&rig);
	rig.id = 2;
	assert_int_equal(send(rig.peer.fd, &first, sizeof(first), MSG_NOSIGNAL), sizeof(first));
	rig_send_fds(&rig, VFU_DEVICE_SET_IRQS, 0, &set, sizeof(set), &fd, 1);
	rig.id = 1;
	assert_int_equal(rig_reply(&rig, VFU_REGION_READ), 0);
	rig.id = 2;
	assert_int_equal(rig_reply(&rig, VFU_DEVICE_RESET), 0);
	rig.id = 3;
	assert_int_equal(rig_reply(&rig, VFU_DEVICE_SET_IRQS), 0);
	assert_int_equal(peal_irqset_raise(rig.fake.irqset, PEAL_VFIO_IRQ_MSIX, 0), 1);
	assert_int_equal(rig_signals(fd), 1);
	assert_int_equal(close(fd), 0);
	rig_done(&rig);
}

/* Our client over the rig's server. */
static struct peal_vfu_client *client_of(struct rig *rig)
{
	const struct peal_vfu_server_config server = { 0 };
	const struct peal_vfu_client_config config = { .host = peal_host_default(),
						       .timeout_ms = RIG_TIMEOUT };
	struct peal_vfu_client *client;
	int fd;

	rig_init_config(rig, &server);
	rig_connect(rig);
	fd = dup(rig->peer.fd);
	assert_int_equal(peal_vfu_client_new(&client, &config, fd), 0);
	return client;
}

/* The booleans go with the message: the device sees which vectors are meant. */
static void booleans_are_sent(void **state)
{
	static const uint8_t bools[] = { 0, 1, 0, 1 };
	const struct peal_irqset_request request = {
		.argsz = PEAL_VFIO_IRQ_REQUEST_SIZE + sizeof(bools),
		.flags = TRIGGER_BOOLS,
		.index = PEAL_VFIO_IRQ_MSIX,
		.start = 2,
		.count = sizeof(bools),
	};
	struct peal_irqset_request set = {
		.argsz = PEAL_VFIO_IRQ_REQUEST_SIZE + RIG_MSIX * sizeof(int32_t),
		.flags = TRIGGER_FDS,
		.index = PEAL_VFIO_IRQ_MSIX,
		.count = RIG_MSIX,
	};
	struct rig rig;
	struct peal_vfu_client *client = client_of(&rig);
	struct peal_vfio_device *device = peal_vfu_client_device(client);
	int32_t fds[RIG_MSIX];

	(void)state;
	for (unsigned i = 0; i < RIG_MSIX; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(peal_vfio_set_irqs(device, &set, fds, sizeof(fds)), 0);
	assert_int_equal(peal_vfio_set_irqs(device, &request, bools, sizeof(bools)), 0);
	for (unsigned i = 0; i < RIG_MSIX; i++) {
		assert_int_equal(rig_signals(fds[i]), i == 3 || i == 5);
		assert_int_equal(close(fds[i]), 0);
	}
	peal_vfu_client_free(client);
	rig_done(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fds_test(ranges_of_vectors_begin_at_start),
		fds_test(argsz_that_is_too_small),
		fds_test(no_reply_means_none),
		fds_test(commands_in_one_piece),
		fds_test(booleans_are_sent),
	};

	return cmocka_run_group_tests_name("vfio-user known failures", tests, NULL, NULL);
}
