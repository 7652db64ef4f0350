/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Features of a device behind a server: migration and the log of its DMA. vfio-user Protocol
 * Specification 0.9.2, "VFIO_USER_DEVICE_FEATURE", "VFIO_USER_MIG_DATA_READ".
 *
 * What is longer than a message goes in several, in order.
 */
#include "client.h"

#define HEAD sizeof(struct vfu_feature)

static struct peal_vfu_client *client_of(struct peal_vfio_device *device)
{
	return peal_container_of(device, struct peal_vfu_client, device);
}

/*
 * DATA of SIZE bytes, of which the first ones may be FIXED. Under the mutex. The reply, which has
 * WANTED bytes behind its head, stands in client->message.
 */
static int ask(struct peal_vfu_client *client, uint32_t flags, const void *data, size_t size,
	       const void *tail, size_t tail_size, size_t wanted)
{
	uint8_t fixed[HEAD + sizeof(struct vfu_log_report)];
	const size_t sent = size + tail_size;
	const struct vfu_feature feature = {
		.argsz = (uint32_t)(HEAD + (wanted > sent ? wanted : sent)),
		.flags = flags,
	};
	struct vfu_out out = {
		.header = { .command = VFU_DEVICE_FEATURE },
		.fixed = fixed,
		.fixed_size = HEAD + size,
		.data = tail,
		.data_size = tail_size,
	};
	struct vfu_feature got;
	int r;

	PEAL_ASSERT(size <= sizeof(fixed) - HEAD);
	memcpy(fixed, &feature, HEAD);
	if (size)
		memcpy(fixed + HEAD, data, size);
	r = vfu_client_ask(client, &out);
	if (r < 0)
		return r;
	memcpy(&got, client->message.payload, sizeof(got));
	if (got.flags != flags || client->message.size < HEAD + wanted)
		return vfu_client_nonsense(client);
	return 0;
}

/* A question without data, whose answer is SIZE bytes. */
static int get(struct peal_vfu_client *client, uint32_t feature, void *ret, size_t size)
{
	int r;

	vfu_client_lock(client);
	r = ask(client, feature | VFU_FEATURE_GET, NULL, 0, NULL, 0, size);
	if (r == 0)
		memcpy(ret, client->message.payload + HEAD, size);
	vfu_client_unlock(client);
	return r;
}

int vfu_client_feature_probe(struct peal_vfio_device *device, uint32_t flags)
{
	struct peal_vfu_client *client = client_of(device);
	int r;

	vfu_client_lock(client);
	r = ask(client, flags | VFU_FEATURE_PROBE, NULL, 0, NULL, 0, 0);
	vfu_client_unlock(client);
	return r;
}

/* ---- migration ---- */

int vfu_client_migration_flags(struct peal_vfio_device *device, uint64_t *ret)
{
	struct vfu_migration migration;
	int r = get(client_of(device), PEAL_VFIO_FEATURE_MIGRATION, &migration, sizeof(migration));

	if (r == 0)
		*ret = migration.flags;
	return r;
}

int vfu_client_mig_get_state(struct peal_vfio_device *device, uint32_t *ret)
{
	struct vfu_mig_state state;
	int r = get(client_of(device), PEAL_VFIO_FEATURE_MIG_DEVICE_STATE, &state, sizeof(state));

	if (r == 0)
		*ret = state.state;
	return r;
}

int vfu_client_mig_set_state(struct peal_vfio_device *device, uint32_t to)
{
	struct peal_vfu_client *client = client_of(device);
	const struct vfu_mig_state state = { .state = to, .data_fd = -1 };
	int r;

	vfu_client_lock(client);
	r = ask(client, PEAL_VFIO_FEATURE_MIG_DEVICE_STATE | VFU_FEATURE_SET, &state, sizeof(state),
		NULL, 0, 0);
	vfu_client_unlock(client);
	return r;
}

/* One message's; less in *DONE: there are no more. */
static int read_part(struct peal_vfu_client *client, uint8_t *bytes, uint32_t size, size_t *done)
{
	const struct vfu_mig_data data = { (uint32_t)sizeof(data) + size, size };
	struct vfu_out out = {
		.header = { .command = VFU_MIG_DATA_READ },
		.fixed = &data,
		.fixed_size = sizeof(data),
	};
	struct vfu_mig_data got;
	int r = vfu_client_ask(client, &out);

	if (r < 0)
		return r;
	memcpy(&got, client->message.payload, sizeof(got));
	if (got.size > size || client->message.size != sizeof(got) + (size_t)got.size)
		return vfu_client_nonsense(client);
	if (got.size)
		memcpy(bytes, client->message.payload + sizeof(got), got.size);
	*done = got.size;
	return 0;
}

int vfu_client_mig_read(struct peal_vfio_device *device, void *bytes, size_t size, size_t *done)
{
	struct peal_vfu_client *client = client_of(device);
	size_t all = 0;
	int r = 0;

	vfu_client_lock(client);
	do {
		size_t left = size - all, part, got = 0;

		part = left < client->max_data ? left : (size_t)client->max_data;
		r = read_part(client, (uint8_t *)bytes + all, (uint32_t)part, &got);
		all += got;
		if (got < part)
			break;
	} while (r == 0 && all < size);
	vfu_client_unlock(client);
	if (r == 0)
		*done = all;
	return r;
}

int vfu_client_mig_write(struct peal_vfio_device *device, const void *bytes, size_t size)
{
	struct peal_vfu_client *client = client_of(device);
	const uint8_t *from = bytes;
	int r;

	vfu_client_lock(client);
	do {
		size_t part = size < client->max_data ? size : (size_t)client->max_data;
		const struct vfu_mig_data data = { (uint32_t)(sizeof(data) + part),
						   (uint32_t)part };
		struct vfu_out out = {
			.header = { .command = VFU_MIG_DATA_WRITE },
			.fixed = &data,
			.fixed_size = sizeof(data),
			.data = from,
			.data_size = part,
		};

		r = vfu_client_ask(client, &out);
		from += part;
		size -= part;
	} while (r == 0 && size);
	vfu_client_unlock(client);
	return r;
}

/* ---- the log of DMA ---- */

int vfu_client_log_start(struct peal_vfio_device *device, uint64_t *page_size,
			 const struct peal_vfio_range *ranges, uint32_t count)
{
	struct peal_vfu_client *client = client_of(device);
	struct vfu_log_start start = { .page_size = *page_size, .num_ranges = count };
	const size_t size = count * sizeof(*ranges);
	int r;

	_Static_assert(sizeof(*ranges) == sizeof(struct vfu_area), "what is given is what is sent");
	if (client->max_data < sizeof(start) || size > client->max_data - sizeof(start))
		return -E2BIG;
	vfu_client_lock(client);
	r = ask(client, PEAL_VFIO_FEATURE_DMA_LOGGING_START | VFU_FEATURE_SET, &start,
		sizeof(start), ranges, size, sizeof(start));
	if (r == 0) {
		memcpy(&start, client->message.payload + HEAD, sizeof(start));
		*page_size = start.page_size;
	}
	vfu_client_unlock(client);
	return r;
}

int vfu_client_log_stop(struct peal_vfio_device *device)
{
	struct peal_vfu_client *client = client_of(device);
	int r;

	vfu_client_lock(client);
	r = ask(client, PEAL_VFIO_FEATURE_DMA_LOGGING_STOP | VFU_FEATURE_SET, NULL, 0, NULL, 0, 0);
	vfu_client_unlock(client);
	return r;
}

/* One message's, whose bitmap is not too long. */
static int report_part(struct peal_vfu_client *client, const struct vfu_log_report *report,
		       uint64_t *bitmap)
{
	const size_t words = (size_t)peal_vfio_dma_log_words(report->size, report->page_size);
	const uint8_t *from;
	int r = ask(client, PEAL_VFIO_FEATURE_DMA_LOGGING_REPORT | VFU_FEATURE_GET, report,
		    sizeof(*report), NULL, 0, sizeof(*report) + words * sizeof(uint64_t));

	from = client->message.payload + HEAD + sizeof(*report);
	for (size_t i = 0; r == 0 && i < words; i++) {
		uint64_t word;

		memcpy(&word, from + i * sizeof(word), sizeof(word));
		bitmap[i] |= word;
	}
	return r;
}

/* Words of a bitmap that both sides take; at least one. */
static uint64_t most_words(const struct peal_vfu_client *client)
{
	uint64_t bytes = client->max_data;

	if (client->theirs.migration_max_bitmap_size < bytes)
		bytes = client->theirs.migration_max_bitmap_size;
	return bytes < sizeof(uint64_t) ? 1 : bytes / sizeof(uint64_t);
}

int vfu_client_log_report(struct peal_vfio_device *device, const struct peal_vfio_range *range,
			  uint64_t page_size, uint64_t *bitmap)
{
	struct peal_vfu_client *client = client_of(device);
	struct vfu_log_report report = { range->iova, 0, page_size };
	const uint64_t most = most_words(client);
	uint64_t left = range->size, words, step = UINT64_MAX;
	int r;

	if (!left || left - 1 > UINT64_MAX - range->iova || !peal_is_power_of_two(page_size))
		return -EINVAL;
	if (page_size <= UINT64_MAX / 64 / most)
		step = page_size * 64 * most;
	words = step / page_size / 64;
	vfu_client_lock(client);
	do {
		report.size = left < step ? left : step;
		r = report_part(client, &report, bitmap);
		report.iova += report.size;
		left -= report.size;
		bitmap += words;
	} while (r == 0 && left);
	vfu_client_unlock(client);
	return r;
}
