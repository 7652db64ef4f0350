/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Features of the device: migration and the log of its DMA. vfio-user Protocol Specification 0.9.2,
 * "VFIO_USER_DEVICE_FEATURE", "VFIO_USER_MIG_DATA_READ", "VFIO_USER_MIG_DATA_WRITE".
 *
 * A change of state is complete before it is answered: a client waits for the device's requests in
 * flight. DMA by messages on the socket of all cannot be waited for by who receives its replies: what
 * is on its way when a log is switched fails.
 */
#include "server.h"

#define HEAD sizeof(struct vfu_feature)

/* What follows the head of a request of SIZE bytes, at least WANTED. */
static const uint8_t *data_of(const struct vfu_message *message, size_t wanted)
{
	return message->size - HEAD >= wanted ? message->payload + HEAD : NULL;
}

static uint32_t argsz_of(const struct vfu_message *message)
{
	struct vfu_feature feature;

	memcpy(&feature, message->payload, sizeof(feature));
	return feature.argsz;
}

/* The request as it came. */
static int echo(const struct vfu_message *message, struct vfu_out *reply)
{
	reply->data = message->payload;
	reply->data_size = message->size;
	return 0;
}

/*
 * Room for a reply of SIZE bytes, of which those of the request stand in it already. FIXED bytes are
 * sent when the client has no room for more: then *RET is NULL.
 */
static int begin_reply(struct vfu_session *session, const struct vfu_message *message, size_t fixed,
		       size_t size, struct vfu_out *reply, uint8_t **ret)
{
	uint8_t *room = vfu_session_room(session, size);
	const uint32_t argsz = (uint32_t)size;

	if (!room)
		return -ENOMEM;
	memcpy(room, message->payload, message->size < fixed ? message->size : fixed);
	memcpy(room, &argsz, sizeof(argsz));
	reply->data = room;
	reply->data_size = vfu_reply_size(argsz_of(message), fixed, size);
	*ret = reply->data_size == size ? room : NULL;
	return 0;
}

/* ---- migration ---- */

static int get_migration(struct vfu_session *session, const struct vfu_message *message,
			 struct vfu_out *reply)
{
	struct vfu_migration migration;
	uint8_t *room;
	int r = peal_vfio_migration_flags(session->server->config.device, &migration.flags);

	if (r == 0)
		r = begin_reply(session, message, HEAD, HEAD + sizeof(migration), reply, &room);
	if (r == 0 && room)
		memcpy(room + HEAD, &migration, sizeof(migration));
	return r;
}

static int get_state(struct vfu_session *session, const struct vfu_message *message,
		     struct vfu_out *reply)
{
	struct vfu_mig_state state = { .data_fd = -1 };
	uint8_t *room;
	int r = peal_vfio_mig_get_state(session->server->config.device, &state.state);

	if (r == 0)
		r = begin_reply(session, message, HEAD, HEAD + sizeof(state), reply, &room);
	if (r == 0 && room)
		memcpy(room + HEAD, &state, sizeof(state));
	return r;
}

static int set_state(struct vfu_session *session, const struct vfu_message *message,
		     struct vfu_out *reply)
{
	struct vfu_mig_state state;
	const uint8_t *data = data_of(message, sizeof(state));
	int r;

	if (!data)
		return -EINVAL;
	memcpy(&state, data, sizeof(state));
	r = peal_vfio_mig_set_state(session->server->config.device, state.state);
	return r == 0 ? echo(message, reply) : r;
}

int vfu_handle_mig_read(struct vfu_session *session, struct vfu_message *message,
			struct vfu_out *reply)
{
	struct vfu_mig_data data;
	size_t done = 0;
	uint8_t *room;
	int r;

	memcpy(&data, message->payload, sizeof(data));
	room = vfu_session_room(session, sizeof(data) + data.size);
	if (!room)
		return -ENOMEM;
	r = peal_vfio_mig_read(session->server->config.device, room + sizeof(data), data.size,
			       &done);
	data.size = (uint32_t)done;
	data.argsz = (uint32_t)(sizeof(data) + done);
	memcpy(room, &data, sizeof(data));
	reply->data = room;
	reply->data_size = data.argsz;
	return r;
}

int vfu_handle_mig_write(struct vfu_session *session, struct vfu_message *message,
			 struct vfu_out *reply)
{
	struct vfu_mig_data data;

	(void)reply;
	memcpy(&data, message->payload, sizeof(data));
	return peal_vfio_mig_write(session->server->config.device, message->payload + sizeof(data),
				   data.size);
}

/*
 * A device that was stopped when its client left was given to somebody else, or was to become
 * somebody else's: it begins anew. What is being copied goes on where it is.
 */
static void end_states(struct peal_vfio_device *device)
{
	uint32_t state;

	if (peal_vfio_mig_get_state(device, &state) < 0 || state == PEAL_VFIO_MIG_RUNNING)
		return;
	if (state != PEAL_VFIO_MIG_PRE_COPY ||
	    peal_vfio_mig_set_state(device, PEAL_VFIO_MIG_RUNNING) < 0)
		(void)peal_vfio_reset(device);
}

/* ---- the log of DMA ---- */

static int switch_log(struct vfu_session *session, uint64_t *page_size,
		      const struct peal_vfio_range *ranges, uint32_t count)
{
	struct peal_vfio_device *device = session->server->config.device;
	int r;

	vfu_remote_drain(session);
	r = page_size ? peal_vfio_dma_log_start(device, page_size, ranges, count)
		      : peal_vfio_dma_log_stop(device);
	vfu_remote_resume(session);
	return r;
}

static int start_log(struct vfu_session *session, const struct vfu_message *message,
		     struct vfu_out *reply)
{
	struct vfu_log_start start;
	const uint8_t *data = data_of(message, sizeof(start));
	size_t ranges = HEAD + sizeof(start);
	uint8_t *room;
	int r;

	_Static_assert(sizeof(struct peal_vfio_range) == sizeof(struct vfu_area),
		       "what is received is what is given on");
	if (!data)
		return -EINVAL;
	memcpy(&start, data, sizeof(start));
	if ((message->size - ranges) / sizeof(struct vfu_area) != start.num_ranges ||
	    (message->size - ranges) % sizeof(struct vfu_area))
		return -EINVAL;
	room = vfu_session_room(session, message->size);
	if (!room)
		return -ENOMEM;
	memcpy(room, message->payload, message->size);
	r = switch_log(session, &start.page_size, (const void *)(room + ranges), start.num_ranges);
	memcpy(room + HEAD, &start, sizeof(start));
	reply->data = room;
	reply->data_size = message->size;
	return r;
}

static int stop_log(struct vfu_session *session, const struct vfu_message *message,
		    struct vfu_out *reply)
{
	int r = switch_log(session, NULL, NULL, 0);

	return r == 0 ? echo(message, reply) : r;
}

/* What is told is forgotten: not before the client has room for it. */
static int report_log(struct vfu_session *session, const struct vfu_message *message,
		      struct vfu_out *reply)
{
	struct vfu_log_report report;
	const uint8_t *data = data_of(message, sizeof(report));
	const size_t fixed = HEAD + sizeof(report);
	struct peal_vfio_range range;
	uint64_t words;
	uint8_t *room;
	int r;

	if (!data)
		return -EINVAL;
	memcpy(&report, data, sizeof(report));
	range = (struct peal_vfio_range){ report.iova, report.size };
	words = peal_vfio_dma_log_words(report.size, report.page_size);
	if (words == 0)
		return -EINVAL;
	if (words > session->max_data / sizeof(uint64_t) ||
	    words > session->max_bitmap / sizeof(uint64_t))
		return -E2BIG;
	r = begin_reply(session, message, fixed, fixed + (size_t)words * sizeof(uint64_t), reply,
			&room);
	if (r < 0 || !room)
		return r;
	memset(room + fixed, 0, (size_t)words * sizeof(uint64_t));
	return peal_vfio_dma_log_report(session->server->config.device, &range, report.page_size,
					(void *)(room + fixed));
}

void vfu_session_end_migration(struct vfu_session *session)
{
	end_states(session->server->config.device);
	/* -EINVAL: there is none. */
	(void)switch_log(session, NULL, NULL, 0);
}

/* ---- the command ---- */

typedef int feature_handler(struct vfu_session *session, const struct vfu_message *message,
			    struct vfu_out *reply);

static const struct {
	uint32_t index;
	feature_handler *get;
	feature_handler *set;
} features[] = {
	{ PEAL_VFIO_FEATURE_MIGRATION, get_migration, NULL },
	{ PEAL_VFIO_FEATURE_MIG_DEVICE_STATE, get_state, set_state },
	{ PEAL_VFIO_FEATURE_DMA_LOGGING_START, NULL, start_log },
	{ PEAL_VFIO_FEATURE_DMA_LOGGING_STOP, NULL, stop_log },
	{ PEAL_VFIO_FEATURE_DMA_LOGGING_REPORT, report_log, NULL },
};

_Static_assert(PEAL_VFIO_FEATURE_GET == VFU_FEATURE_GET && PEAL_VFIO_FEATURE_SET == VFU_FEATURE_SET,
	       "flags are passed on");

static feature_handler *find_handler(uint32_t index, bool set)
{
	for (size_t i = 0; i < PEAL_COUNT_OF(features); i++) {
		if (features[i].index == index)
			return set ? features[i].set : features[i].get;
	}
	return NULL;
}

/* Unknown features get the kernel's answer, from the device. */
int vfu_handle_feature(struct vfu_session *session, struct vfu_message *message,
		       struct vfu_out *reply)
{
	const uint32_t methods = VFU_FEATURE_GET | VFU_FEATURE_SET;
	struct vfu_feature feature;
	feature_handler *handler;
	int r;

	memcpy(&feature, message->payload, sizeof(feature));
	if (feature.flags & ~(VFU_FEATURE_INDEX | methods | VFU_FEATURE_PROBE))
		return -EINVAL;
	r = peal_vfio_feature_probe(session->server->config.device,
				    feature.flags & (VFU_FEATURE_INDEX | methods));
	if (r < 0)
		return r;
	if (feature.flags & VFU_FEATURE_PROBE)
		return echo(message, reply);
	if (!(feature.flags & methods) || (feature.flags & methods) == methods)
		return -EINVAL;
	handler = find_handler(feature.flags & VFU_FEATURE_INDEX, feature.flags & VFU_FEATURE_SET);
	return handler ? handler(session, message, reply) : -ENOTTY;
}
