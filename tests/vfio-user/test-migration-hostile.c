/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is no state of a device is refused, leaves ERROR, and after a reset the device works. A client
 * that does anything in any state of a migration harms only itself.
 */
#include "movers.h"

#include "vfio/user/channel.h"

/* ---- what is no state ---- */

static int try_stream(struct served *s, const uint8_t *stream, size_t size)
{
	uint32_t state;
	int r;

	served_set_state(s, PEAL_VFIO_MIG_RESUMING);
	if (size)
		assert_int_equal(peal_vfio_mig_write(s->device, stream, size), 0);
	r = peal_vfio_mig_set_state(s->device, PEAL_VFIO_MIG_RUNNING);
	assert_int_equal(peal_vfio_mig_get_state(s->device, &state), 0);
	assert_int_equal(state, r < 0 ? PEAL_VFIO_MIG_ERROR : PEAL_VFIO_MIG_RUNNING);
	return r;
}

static void expect_refused(struct served *s, const uint8_t *stream, size_t size)
{
	assert_int_equal(try_stream(s, stream, size), -EINVAL);
	assert_int_equal(peal_vfio_mig_set_state(s->device, PEAL_VFIO_MIG_STOP), -EINVAL);
	assert_int_equal(peal_vfio_reset(s->device), 0);
}

/* IEEE 802.3, a bit at a time. */
static void seal(uint8_t *stream, size_t size)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < size - 4; i++) {
		crc ^= stream[i];
		for (unsigned k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	peal_store_le(stream + size - 4, 4, ~crc);
}

static size_t stream_of(struct served *s, uint8_t *stream)
{
	size_t size;

	served_set_state(s, PEAL_VFIO_MIG_STOP_COPY);
	size = served_read_stream(s, stream, 0);
	served_set_state(s, PEAL_VFIO_MIG_RUNNING);
	return size;
}

/* STEP: every so many bytes are changed. */
static void corrupt(struct served *from, struct served *to, size_t step)
{
	uint8_t *stream = malloc(SERVED_STREAM), *copy = malloc(SERVED_STREAM);
	size_t size;

	assert_non_null(stream);
	assert_non_null(copy);
	size = stream_of(from, stream);
	memcpy(copy, stream, size);
	seal(copy, size);
	assert_memory_equal(copy, stream, size);
	for (size_t length = 0; length < size; length += length < 64 || length > size - 64 ? 1 : 37)
		expect_refused(to, stream, length);
	for (size_t i = 0; i < size; i += step) {
		stream[i] ^= (uint8_t)(1 + i % 255);
		expect_refused(to, stream, size);
		stream[i] ^= (uint8_t)(1 + i % 255);
	}
	/* It was the last byte that was missing. */
	assert_int_equal(try_stream(to, stream, size), 0);
	served_set_state(to, PEAL_VFIO_MIG_STOP_COPY);
	assert_int_equal(served_read_stream(to, copy, 0), size);
	assert_memory_equal(copy, stream, size);
	assert_int_equal(peal_vfio_reset(to->device), 0);
	free(copy);
	free(stream);
}

/* Position of the capability for access by configuration space. */
static uint32_t access_capability(struct served *s)
{
	uint32_t at = (uint32_t)served_read(s, PEAL_VFIO_REGION_CONFIG, 0x34, 1);

	while (at && (served_read(s, PEAL_VFIO_REGION_CONFIG, at, 1) != 0x09 ||
		      served_read(s, PEAL_VFIO_REGION_CONFIG, at + 3, 1) != 5))
		at = (uint32_t)served_read(s, PEAL_VFIO_REGION_CONFIG, at + 1, 1);
	assert_true(at);
	return at;
}

/* What a driver may leave in registers, so that none of it is zero. */
static void fill_registers(struct served *s)
{
	const uint32_t at = access_capability(s);

	common_write(s, PEAL_VIRTIO_COMMON_QUEUE_SELECT, 2, 1);
	common_write(s, PEAL_VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4, 1);
	common_write(s, PEAL_VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, 1);
	served_write(s, PEAL_VFIO_REGION_CONFIG, at + 4, 1, VIRTIO_BAR);
	served_write(s, PEAL_VFIO_REGION_CONFIG, at + 8, 4, PEAL_VIRTIO_COMMON_DEVICE_STATUS);
	served_write(s, PEAL_VFIO_REGION_CONFIG, at + 12, 4, 1);
}

static void corrupt_streams_of_blk_are_refused(void **state)
{
	struct pair *p = pair_new(QUEUES, 1, 0, 0);

	(void)state;
	fill_registers(&p->served[0]);
	for (unsigned n = 0; n < 10; n++)
		offer_request(&p->r, 0);
	queue_notify(&p->served[0], &p->r.queues[0]);
	while (p->r.done < 10) {
		if (!take_request(&p->r, 0))
			served_wait(&p->served[0], 1);
	}
	corrupt(&p->served[0], &p->served[1], 5);
	/* Both work. */
	run_and_move(p, 100, 30);
	pair_expect_done(p, 100);
	pair_free(p);
}

static void corrupt_streams_of_a_bell_are_refused(void **state)
{
	struct bells b;

	(void)state;
	bells_init(&b, 3);
	served_enable_msix(&b.served[0], 3);
	bell_write(&b.served[0], PEAL_BELL_RING, 2);
	for (unsigned at = PEAL_BELL_FIRST; at <= PEAL_BELL_PERIOD; at += 4)
		bell_write(&b.served[0], at, 1000 + at);
	corrupt(&b.served[0], &b.served[1], 1);
	bells_done(&b);
}

/* Somebody who can count: the sum is right, what it is of is not. */
static void forged_streams_break_nothing(void **state)
{
	struct pair *p = pair_new(QUEUES, 1, 0, 0);
	uint8_t *stream = malloc(SERVED_STREAM), *forged = malloc(SERVED_STREAM);
	unsigned taken = 0, refused = 0;
	uint64_t random = 1;
	size_t size;

	(void)state;
	assert_non_null(stream);
	assert_non_null(forged);
	size = stream_of(&p->served[0], stream);
	for (unsigned i = 0; i < 2000; i++) {
		struct served *s = &p->served[1];
		/* Mostly what is the device's own, at the end. */
		size_t from = i % 4 ? size - 4 - 140 : 24;

		memcpy(forged, stream, size);
		for (uint64_t k = test_random_below(&random, 3) + 1; k > 0; k--)
			forged[from + test_random_below(&random, size - 4 - from)] =
				(uint8_t)test_random(&random);
		seal(forged, size);
		if (try_stream(s, forged, size) == 0) {
			taken++;
			/* Whatever it is now, it can be used. */
			for (unsigned q = 0; q < QUEUES; q++) {
				common_write(s, PEAL_VIRTIO_COMMON_QUEUE_SELECT, 2, q);
				common_write(s, PEAL_VIRTIO_COMMON_QUEUE_MSIX_VECTOR, 2,
					     test_random_below(&random, 4));
				served_write(s, VIRTIO_BAR, VIRTIO_NOTIFY + 4 * q, 2, q);
			}
			common_write(s, PEAL_VIRTIO_COMMON_CONFIG_MSIX_VECTOR, 2, 0xffff);
		} else {
			refused++;
		}
		/* ERROR: registers are accessed all the same. */
		common_write(s, PEAL_VIRTIO_COMMON_QUEUE_MSIX_VECTOR, 2, i % 5);
		assert_int_equal(peal_vfio_reset(s->device), 0);
	}
	assert_true(taken > 100 && refused > 100);
	run_and_move(p, 100, 30);
	pair_expect_done(p, 100);
	pair_free(p);
	free(forged);
	free(stream);
}

static void forged_bells_break_nothing(void **state)
{
	uint8_t *stream = malloc(SERVED_STREAM), *forged = malloc(SERVED_STREAM);
	uint64_t random = 1;
	struct bells b;
	size_t size;

	(void)state;
	assert_non_null(stream);
	assert_non_null(forged);
	bells_init(&b, 3);
	size = stream_of(&b.served[0], stream);
	for (unsigned i = 0; i < 1000; i++) {
		size_t from = i % 2 ? size - 4 - 80 : 24;

		memcpy(forged, stream, size);
		forged[from + test_random_below(&random, size - 4 - from)] =
			(uint8_t)test_random(&random);
		seal(forged, size);
		(void)try_stream(&b.served[1], forged, size);
		bell_write(&b.served[1], PEAL_BELL_RING, i % 4);
		assert_int_equal(peal_vfio_reset(b.served[1].device), 0);
	}
	served_write(&b.served[1], PEAL_VFIO_REGION_CONFIG, 0x04, 2, 6);
	served_enable_msix(&b.served[1], 3);
	for (unsigned v = 0; v < 3; v++) {
		bell_write(&b.served[1], PEAL_BELL_RING, v);
		assert_int_equal(served_signals(&b.served[1], v), 1);
	}
	bells_done(&b);
	free(forged);
	free(stream);
}

/* ---- one field that cannot be so ---- */

struct field {
	size_t at; /* from the end of the stream */
	size_t size;
	uint64_t value;
};

static void expect_fields_refused(struct served *from, struct served *to,
				  const struct field *fields, size_t count)
{
	uint8_t *stream = malloc(SERVED_STREAM), *forged = malloc(SERVED_STREAM);
	size_t size = stream_of(from, stream);

	assert_non_null(forged);
	for (size_t i = 0; i < count; i++) {
		memcpy(forged, stream, size);
		peal_store_le(forged + size - fields[i].at, fields[i].size, fields[i].value);
		seal(forged, size);
		expect_refused(to, forged, size);
	}
	assert_int_equal(try_stream(to, stream, size), 0);
	free(forged);
	free(stream);
}

/* Behind each other: 60 bytes of registers, 36 of each queue, 8 of blk, 4 of the sum. */
#define CLASS     (4u + 8u)
#define QUEUE(q)  (CLASS + 36u * (QUEUES - (q)))
#define REGISTERS (QUEUE(0) + 60u)

static void blk_fields_that_cannot_be_are_refused(void **state)
{
	static const struct field fields[] = {
		{ REGISTERS, 4, 2 },               /* version */
		{ REGISTERS - 4, 4, QUEUES + 1 },  /* queues */
		{ REGISTERS - 8, 8, 0 },           /* what is offered */
		{ REGISTERS - 16, 1, 0x1f },       /* status: no such bit */
		{ REGISTERS - 16, 1, 0x07 },       /* DRIVER_OK without FEATURES_OK */
		{ REGISTERS - 16, 1, 0x8f },       /* FAILED, with queues that are served */
		{ REGISTERS - 17, 1, 4 },          /* ISR */
		{ REGISTERS - 19, 1, 1 },          /* nothing */
		{ REGISTERS - 20, 2, QUEUES + 1 }, /* configuration's vector: none, or free */
		{ REGISTERS - 20, 2, 1 },
		{ REGISTERS - 20, 2, 0xffff },
		{ REGISTERS - 32, 4, 0x80000000 }, /* features */
		{ REGISTERS - 36, 4, 0 },
		{ REGISTERS - 40, 4, 1 },
		{ REGISTERS - 44, 4, 1 },
		{ QUEUE(1), 2, 0 }, /* size */
		{ QUEUE(1), 2, 3 },
		{ QUEUE(1), 2, 512 },
		{ QUEUE(1) - 2, 2, QUEUES + 1 }, /* vector */
		{ QUEUE(0) - 2, 2, 2 },
		{ QUEUE(0) - 4, 1, 2 }, /* enabled */
		{ QUEUE(0) - 4, 1, 0 },
		{ QUEUE(0) - 5, 1, 2 },                 /* live */
		{ QUEUE(0) - 8, 4, PEAL_VRING_FAULTS }, /* fault */
		{ CLASS, 8, SECTORS + 1 },
	};
	struct pair *p = pair_new(QUEUES, 0, 0, 0);

	(void)state;
	expect_fields_refused(&p->served[0], &p->served[1], fields, PEAL_COUNT_OF(fields));
	pair_free(p);
}

/* Nor is a vector in use that is not there: the function's part does not name it either. */
static void vectors_of_blk_that_are_not_there_are_refused(void **state)
{
	const size_t uses = 24 + 16 + PEAL_PCI_CONFIG_SIZE + 4 + 16; /* of vector 0 */
	const size_t at[] = { REGISTERS - 20, QUEUE(0) - 2, QUEUE(1) - 2 };
	uint8_t *stream = malloc(SERVED_STREAM), *forged = malloc(SERVED_STREAM);
	struct pair *p = pair_new(QUEUES, 0, 0, 0);
	size_t size;

	(void)state;
	assert_non_null(stream);
	assert_non_null(forged);
	size = stream_of(&p->served[0], stream);
	for (unsigned v = 0; v < PEAL_COUNT_OF(at); v++) {
		memcpy(forged, stream, size);
		assert_int_equal(peal_load_le(forged + uses + 20 * v, 4), 1);
		assert_int_equal(peal_load_le(forged + size - at[v], 2), v);
		peal_store_le(forged + uses + 20 * v, 4, 0);
		peal_store_le(forged + size - at[v], 2, QUEUES + 1);
		seal(forged, size);
		expect_refused(&p->served[1], forged, size);
		/* To name none is fine. */
		peal_store_le(forged + size - at[v], 2, PEAL_VIRTIO_NO_VECTOR);
		seal(forged, size);
		assert_int_equal(try_stream(&p->served[1], forged, size), 0);
		assert_int_equal(peal_vfio_reset(p->served[1].device), 0);
	}
	pair_free(p);
	free(forged);
	free(stream);
}

/* Vectors that the device would not have in use any more, or too often, after a reset too. */
static void bell_fields_that_cannot_be_are_refused(void **state)
{
	enum {
		RINGS = 4 + 3 * 8,
		BELL = RINGS + 56,
		INTX = BELL + 4,
		MSI = INTX + 8 + 2 * 4, /* uses of 2, and what pends */
		MSIX = MSI + 4 + 8 + 3 * 20,
	};
	static const struct field fields[] = {
		{ MSIX - 16, 4, 0 },      { MSIX - 36, 4, 2 },      { MSI, 4, 0 },
		{ MSI - 4, 4, 7 },        { BELL, 4, 2 },           { BELL - 4, 4, 4 },
		{ BELL - 8, 4, 2 },       { BELL - 28 - 16, 4, 1 }, { BELL - 28 - 20, 4, 1 },
		{ BELL - 28 - 24, 4, 1 },
	};
	struct bells b;

	(void)state;
	bells_init(&b, 3);
	expect_fields_refused(&b.served[0], &b.served[1], fields, PEAL_COUNT_OF(fields));
	assert_int_equal(peal_vfio_reset(b.served[1].device), 0);
	expect_fields_refused(&b.served[0], &b.served[1], fields, 4);
	served_write(&b.served[1], PEAL_VFIO_REGION_CONFIG, 0x04, 2, 6);
	served_enable_msix(&b.served[1], 3);
	for (unsigned v = 0; v < 3; v++) {
		bell_write(&b.served[1], PEAL_BELL_RING, v);
		assert_int_equal(served_signals(&b.served[1], v), 1);
	}
	bells_done(&b);
}

/* What was refused is not half there: the vectors are in use as before. */
static void vectors_survive_a_state_that_was_refused(void **state)
{
	const size_t uses = 24 + 16 + PEAL_PCI_CONFIG_SIZE + 4 + 16; /* of vector 0 */
	uint8_t *stream = malloc(SERVED_STREAM);
	struct bells b;
	size_t size;

	(void)state;
	assert_non_null(stream);
	bells_init(&b, 3);
	size = stream_of(&b.served[0], stream);
	assert_int_equal(peal_load_le(stream + uses, 4), 1);
	peal_store_le(stream + uses, 4, 0);
	seal(stream, size);
	expect_refused(&b.served[1], stream, size);
	served_write(&b.served[1], PEAL_VFIO_REGION_CONFIG, 0x04, 2, 6);
	served_enable_msix(&b.served[1], 3);
	bell_write(&b.served[1], PEAL_BELL_RING, 0);
	assert_int_equal(served_signals(&b.served[1], 0), 1);
	bells_done(&b);
	free(stream);
}

/* ---- anything, at any time ---- */

struct hostile {
	struct served *served;
	struct vfu_channel peer;
	struct vfu_message message;
	uint64_t random;
	uint16_t id;
	int memory;
	uint8_t stream[SERVED_STREAM]; /* one that is good */
	size_t size;
	unsigned changed; /* states that were taken */
};

static uint64_t any(struct hostile *h, uint64_t below)
{
	return test_random_below(&h->random, below);
}

static const uint64_t odd_numbers[] = {
	0,
	1,
	2,
	3,
	4095,
	4096,
	65536,
	1 << 20,
	RAM,
	RAM + 4096,
	UINT64_C(1) << 32,
	UINT64_C(1) << 62,
	UINT64_C(1) << 63,
	UINT64_MAX - 1,
	UINT64_MAX,
};

static uint64_t odd_number(struct hostile *h)
{
	return any(h, 4) ? odd_numbers[any(h, PEAL_COUNT_OF(odd_numbers))]
			 : test_random(&h->random);
}

/* Sends it and takes the reply: 0 or the error. */
static int say(struct hostile *h, uint16_t command, const void *bytes, size_t size, const int *fds,
	       unsigned nfds)
{
	const struct vfu_out out = {
		.header = { .id = ++h->id, .command = command },
		.data = bytes,
		.data_size = size,
		.fds = fds,
		.nfds = nfds,
	};

	assert_int_equal(vfu_channel_send(&h->peer, &out), 0);
	assert_int_equal(vfu_channel_receive(&h->peer, &h->message, SERVED_TIMEOUT), 0);
	assert_int_equal(h->message.header.id, h->id);
	vfu_fds_close(&h->message.fds);
	return -(int)h->message.header.error;
}

static void say_feature(struct hostile *h)
{
	static const uint32_t indexes[] = { 0, 1, 2, 2, 2, 2, 6, 7, 8, 8, 9, 0xffff };
	static const uint32_t methods[] = {
		0x10000, 0x20000, 0x20000, 0x30000, 0x40000, 0x60000, 0
	};
	uint32_t index = indexes[any(h, PEAL_COUNT_OF(indexes))];
	uint8_t bytes[8 + 16 + 16 * 40];
	size_t size = 8 + 8 * any(h, 1 + (sizeof(bytes) - 8) / 8);
	uint32_t head[2] = { (uint32_t)(any(h, 3) ? 1 << 16 : any(h, 64)),
			     index | methods[any(h, PEAL_COUNT_OF(methods))] };

	for (size_t i = 8; i + 8 <= sizeof(bytes); i += 8)
		peal_store_le(bytes + i, 8, odd_number(h));
	memcpy(bytes, head, 8);
	if (index == 2 && any(h, 8))
		peal_store_le(bytes + 8, 4, any(h, 8));
	if (index == 6 && any(h, 2)) {
		peal_store_le(bytes + 16, 4, (size - 24) / 16);
		peal_store_le(bytes + 8, 8, UINT64_C(1) << any(h, 64));
	}
	if (index == 8 && any(h, 2)) {
		size = 32;
		peal_store_le(bytes + 16, 8, 1 + any(h, 1 << 24));
		peal_store_le(bytes + 24, 8, UINT64_C(1) << any(h, 64));
	}
	if (any(h, 16) == 0)
		size -= any(h, size < 8 ? size : 8);
	if (say(h, VFU_DEVICE_FEATURE, bytes, size, NULL, 0) == 0 && index == 2)
		h->changed++;
}

static void say_data(struct hostile *h)
{
	static uint8_t bytes[8 + SERVED_STREAM];
	uint32_t head[2] = { 0, (uint32_t)any(h, any(h, 2) ? 100 : SERVED_STREAM) };
	size_t size = 8;
	uint16_t command = VFU_MIG_DATA_READ;

	if (any(h, 2)) {
		const bool good = any(h, 2);

		command = VFU_MIG_DATA_WRITE;
		if (good)
			head[1] = (uint32_t)h->size;
		memcpy(bytes + 8, h->stream, SERVED_STREAM);
		if (!good)
			bytes[8 + any(h, head[1] + 1)] = (uint8_t)test_random(&h->random);
		size += head[1];
	}
	head[0] = any(h, 8) ? (uint32_t)size : (uint32_t)odd_number(h);
	if (any(h, 16) == 0)
		head[1] = (uint32_t)odd_number(h);
	memcpy(bytes, head, 8);
	(void)say(h, command, bytes, size, NULL, 0);
}

static void say_access(struct hostile *h)
{
	static const uint64_t offsets[] = { 0,      4,      8,      12,     0x14, 0x16,
					    0x18,   0x1a,   0x1c,   0x20,   0x28, 0x30,
					    0x1000, 0x2000, 0x3000, 0x3004, 0x92 };
	const unsigned regions[] = { 0, 1, 4, 4, 4, PEAL_VFIO_REGION_CONFIG };
	struct {
		struct vfu_region_access access;
		uint64_t value;
	} m;

	m.access.offset = offsets[any(h, PEAL_COUNT_OF(offsets))];
	m.access.region = regions[any(h, PEAL_COUNT_OF(regions))];
	m.access.count = 1u << any(h, 4);
	m.value = any(h, 3) ? any(h, 16) : odd_number(h);
	if (any(h, 3))
		(void)say(h, VFU_REGION_WRITE, &m, sizeof(m.access) + m.access.count, NULL, 0);
	else
		(void)say(h, VFU_REGION_READ, &m, sizeof(m.access), NULL, 0);
}

static void say_other(struct hostile *h)
{
	const struct vfu_dma_map map = { 32, 3, 0, RAM, RAM_SIZE };
	const struct vfu_dma_unmap unmap = { 24, VFU_DMA_UNMAP_ALL, 0, 0 };
	const struct vfu_region_io io = { (uint32_t)(any(h, 2) ? 16 : 65536), 0,
					  (uint32_t)any(h, 10), 0 };
	const struct vfu_set_irqs irqs = { 20, PEAL_VFIO_DATA_EVENTFD | PEAL_VFIO_ACTION_TRIGGER,
					   (uint32_t)any(h, 5), 0, 1 };
	int event;

	switch (any(h, 7)) {
	case 0:
		(void)say(h, VFU_DEVICE_RESET, NULL, 0, NULL, 0);
		break;
	case 1:
	case 2:
		(void)say(h, VFU_DMA_MAP, &map, sizeof(map), &h->memory, 1);
		break;
	case 3:
		(void)say(h, VFU_DMA_UNMAP, &unmap, sizeof(unmap), NULL, 0);
		break;
	case 4:
		(void)say(h, VFU_DEVICE_GET_REGION_IO, &io, sizeof(io), NULL, 0);
		break;
	default:
		event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		(void)say(h, VFU_DEVICE_SET_IRQS, &irqs, sizeof(irqs), &event, any(h, 3) != 0);
		assert_int_equal(close(event), 0);
		break;
	}
}

static void agree(struct hostile *h)
{
	static const char json[] =
		"{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":1048576,"
		"\"migration\":{\"max_bitmap_size\":65536,\"pgsize\":4096}}}";
	const struct vfu_version version = { 0, 2 };
	uint8_t bytes[sizeof(version) + sizeof(json)];

	memcpy(bytes, &version, sizeof(version));
	memcpy(bytes + sizeof(version), json, sizeof(json));
	assert_int_equal(say(h, VFU_VERSION, bytes, sizeof(bytes), NULL, 0), 0);
}

/* A few clients, one after the other, that say STEPS things each. */
static void be_hostile(struct served *s, unsigned clients, unsigned steps, uint64_t seed)
{
	struct hostile *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	h->served = s;
	h->random = seed;
	h->memory = memfd_create("ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(h->memory, (off_t)RAM_SIZE), 0);
	h->size = stream_of(s, h->stream);
	served_disconnect(s);
	for (unsigned i = 0; i < clients; i++) {
		assert_int_equal(vfu_channel_init(&h->peer, peal_host_default(), served_listen(s),
						  (size_t)4 << 20, VFU_FDS_MAX, SERVED_TIMEOUT),
				 0);
		agree(h);
		for (unsigned k = 0; k < steps; k++) {
			const uint64_t what = any(h, 16);

			if (what < 7)
				say_feature(h);
			else if (what < 11)
				say_data(h);
			else if (what < 14)
				say_access(h);
			else
				say_other(h);
			assert_in_range(__atomic_load_n(&s->host.bytes, __ATOMIC_RELAXED), 0,
					40 << 20);
		}
		vfu_channel_done(&h->peer);
		assert_int_equal(pthread_join(s->thread, NULL), 0);
		assert_int_equal(s->result, 0);
	}
	assert_true(h->changed > clients);
	assert_int_equal(close(h->memory), 0);
	free(h);
}

static void a_client_may_say_anything_to_a_blk(void **state)
{
	const struct peal_vfu_client_config config = { .max_msg_fds = 16 };

	(void)state;
	for (unsigned workers = 0; workers < 2; workers++) {
		struct pair *p = pair_new(QUEUES, workers, 0, 0);
		struct served *s = &p->served[0];

		be_hostile(s, 10, 1000, 1 + workers);
		served_connect(s, &config);
		served_map(s, &p->r.ram);
		served_enable_msix(s, QUEUES + 1);
		assert_int_equal(peal_vfio_reset(s->device), 0);
		memset(p->medium.reads, 0, sizeof(p->medium.reads));
		memset(p->medium.writes, 0, sizeof(p->medium.writes));
		virtio_start(s, p->r.queues, QUEUES, &p->r.ram, 0);
		run_and_move(p, 60, 20);
		pair_free(p);
	}
}

static void a_client_may_say_anything_to_a_bell(void **state)
{
	const struct peal_vfu_client_config config = { .max_msg_fds = 16 };
	struct bells b;

	(void)state;
	bells_init(&b, 3);
	be_hostile(&b.served[0], 10, 1000, 3);
	served_connect(&b.served[0], &config);
	assert_int_equal(peal_vfio_reset(b.served[0].device), 0);
	served_write(&b.served[0], PEAL_VFIO_REGION_CONFIG, 0x04, 2, 6);
	served_enable_msix(&b.served[0], 3);
	for (unsigned v = 0; v < 3; v++) {
		(void)served_signals(&b.served[0], v);
		bell_write(&b.served[0], PEAL_BELL_RING, v);
		assert_int_equal(served_signals(&b.served[0], v), 1);
	}
	bells_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fds_test(corrupt_streams_of_blk_are_refused),
		fds_test(corrupt_streams_of_a_bell_are_refused),
		fds_test(forged_streams_break_nothing),
		fds_test(forged_bells_break_nothing),
		fds_test(blk_fields_that_cannot_be_are_refused),
		fds_test(vectors_of_blk_that_are_not_there_are_refused),
		fds_test(bell_fields_that_cannot_be_are_refused),
		fds_test(vectors_survive_a_state_that_was_refused),
		fds_test(a_client_may_say_anything_to_a_blk),
		fds_test(a_client_may_say_anything_to_a_bell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
