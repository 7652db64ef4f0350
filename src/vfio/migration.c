/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The migration of a device, see migration.h.
 *
 * Two tables say all: which way to go, and what an arc does. A change goes arc by arc; the state is
 * the one that was reached when an arc fails.
 */
#include "migration.h"

#include <peal/bits.h>

#define STATES (PEAL_VFIO_MIG_PRE_COPY_P2P + 1u)

/* ---- the stream ---- */

/* CRC-32 of IEEE 802.3, four bits at a time. */
static uint32_t crc32(const uint8_t *bytes, size_t size)
{
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < size; i++) {
		crc = crc >> 4 ^ table[(crc ^ bytes[i]) & 0xf];
		crc = crc >> 4 ^ table[(crc ^ bytes[i] >> 4) & 0xf];
	}
	return ~crc;
}

static void put_head(const struct vfio_migration *m, uint8_t *to)
{
	peal_store_le(to, 4, VFIO_MIGRATION_MAGIC);
	peal_store_le(to + 4, 4, VFIO_MIGRATION_VERSION);
	peal_store_le(to + 8, 8, m->ops->kind(m->user));
	peal_store_le(to + 16, 8, m->size);
}

static void end_session(struct vfio_migration *m)
{
	peal_free(m->host, m->stream, m->size);
	m->stream = NULL;
	m->size = m->ready = m->at = 0;
}

static int begin_session(struct vfio_migration *m)
{
	size_t size = VFIO_MIGRATION_HEAD_SIZE + m->ops->size(m->user) + VFIO_MIGRATION_TAIL_SIZE;

	m->stream = peal_alloc(m->host, size);
	if (!m->stream)
		return -ENOMEM;
	m->size = size;
	m->ready = m->at = 0;
	return 0;
}

static int fill_stream(struct vfio_migration *m)
{
	const size_t tail = m->size - VFIO_MIGRATION_TAIL_SIZE;
	int r = m->ops->save(m->user, m->stream + VFIO_MIGRATION_HEAD_SIZE);

	if (r < 0)
		return r;
	put_head(m, m->stream);
	peal_store_le(m->stream + tail, 4, crc32(m->stream, tail));
	m->ready = m->size;
	return 0;
}

static int take_stream(struct vfio_migration *m)
{
	const size_t tail = m->size - VFIO_MIGRATION_TAIL_SIZE;
	uint8_t head[VFIO_MIGRATION_HEAD_SIZE];

	put_head(m, head);
	if (m->ready != m->size || memcmp(head, m->stream, sizeof(head)) != 0 ||
	    peal_load_le(m->stream + tail, 4) != crc32(m->stream, tail))
		return -EINVAL;
	return m->ops->load(m->user, m->stream + VFIO_MIGRATION_HEAD_SIZE, tail - sizeof(head));
}

/* ---- the arcs ---- */

static int arc_stop(struct vfio_migration *m)
{
	return m->ops->stop(m->user);
}

static int arc_start(struct vfio_migration *m)
{
	m->ops->start(m->user);
	return 0;
}

static int arc_end(struct vfio_migration *m)
{
	end_session(m);
	return 0;
}

static int arc_pre_copy(struct vfio_migration *m)
{
	int r = begin_session(m);

	if (r < 0)
		return r;
	put_head(m, m->stream);
	m->ready = VFIO_MIGRATION_HEAD_SIZE;
	return 0;
}

static int arc_stop_copy(struct vfio_migration *m)
{
	int r = begin_session(m);

	if (r == 0)
		r = fill_stream(m);
	if (r < 0)
		end_session(m);
	return r;
}

/* The session goes on: what was read is not read again. */
static int arc_stop_and_copy(struct vfio_migration *m)
{
	int r = m->ops->stop(m->user);

	if (r < 0)
		return r;
	r = fill_stream(m);
	if (r < 0)
		m->ops->start(m->user);
	return r;
}

static int arc_resumed(struct vfio_migration *m)
{
	int r = take_stream(m);

	end_session(m);
	if (r < 0)
		m->state = PEAL_VFIO_MIG_ERROR;
	return r;
}

#define STOP      PEAL_VFIO_MIG_STOP
#define RUNNING   PEAL_VFIO_MIG_RUNNING
#define STOP_COPY PEAL_VFIO_MIG_STOP_COPY
#define RESUMING  PEAL_VFIO_MIG_RESUMING
#define PRE_COPY  PEAL_VFIO_MIG_PRE_COPY

/* clang-format off */
static int (*const arcs[STATES][STATES])(struct vfio_migration *m) = {
	[RUNNING][STOP] = arc_stop,
	[RUNNING][PRE_COPY] = arc_pre_copy,
	[STOP][RUNNING] = arc_start,
	[STOP][STOP_COPY] = arc_stop_copy,
	[STOP][RESUMING] = begin_session,
	[STOP_COPY][STOP] = arc_end,
	[RESUMING][STOP] = arc_resumed,
	[PRE_COPY][RUNNING] = arc_end,
	[PRE_COPY][STOP_COPY] = arc_stop_and_copy,
};

/* Where the way from the one to the other begins; 0 (ERROR): there is none. */
static const uint8_t ways[STATES][STATES] = {
	[STOP] = { [STOP] = STOP, [RUNNING] = RUNNING, [STOP_COPY] = STOP_COPY,
		[RESUMING] = RESUMING, [PRE_COPY] = RUNNING },
	[RUNNING] = { [STOP] = STOP, [RUNNING] = RUNNING, [STOP_COPY] = STOP,
		[RESUMING] = STOP, [PRE_COPY] = PRE_COPY },
	[STOP_COPY] = { [STOP] = STOP, [RUNNING] = STOP, [STOP_COPY] = STOP_COPY,
		[RESUMING] = STOP },
	[RESUMING] = { [STOP] = STOP, [RUNNING] = STOP, [STOP_COPY] = STOP,
		[RESUMING] = RESUMING, [PRE_COPY] = STOP },
	[PRE_COPY] = { [STOP] = RUNNING, [RUNNING] = RUNNING, [STOP_COPY] = STOP_COPY,
		[RESUMING] = RUNNING, [PRE_COPY] = PRE_COPY },
};
/* clang-format on */

/* ---- what users call ---- */

enum peal_vfio_mig_state vfio_migration_get(struct vfio_migration *m)
{
	enum peal_vfio_mig_state state;

	peal_mutex_lock(&m->mutex);
	state = m->state;
	peal_mutex_unlock(&m->mutex);
	return state;
}

int vfio_migration_set(struct vfio_migration *m, uint32_t state)
{
	int r = 0;

	if (state >= STATES)
		return -EINVAL;
	peal_mutex_lock(&m->mutex);
	if (ways[m->state][state] == PEAL_VFIO_MIG_ERROR)
		r = -EINVAL;
	while (r == 0 && m->state != state) {
		enum peal_vfio_mig_state next = ways[m->state][state];

		r = arcs[m->state][next](m);
		if (r == 0)
			m->state = next;
	}
	peal_mutex_unlock(&m->mutex);
	return r;
}

int vfio_migration_read(struct vfio_migration *m, void *bytes, size_t size, size_t *done)
{
	int r = -EINVAL;

	peal_mutex_lock(&m->mutex);
	if (m->state == PRE_COPY || m->state == STOP_COPY) {
		if (size > m->ready - m->at)
			size = m->ready - m->at;
		memcpy(bytes, m->stream + m->at, size);
		m->at += size;
		*done = size;
		r = 0;
	}
	peal_mutex_unlock(&m->mutex);
	return r;
}

/* More than there can be is wrong, and what came before it is no whole state either. */
int vfio_migration_write(struct vfio_migration *m, const void *bytes, size_t size)
{
	int r = -EINVAL;

	peal_mutex_lock(&m->mutex);
	if (m->state == RESUMING && size <= m->size - m->ready) {
		memcpy(m->stream + m->ready, bytes, size);
		m->ready += size;
		r = 0;
	} else if (m->state == RESUMING) {
		m->ready = m->size;
		memset(m->stream, 0, VFIO_MIGRATION_HEAD_SIZE);
	}
	peal_mutex_unlock(&m->mutex);
	return r;
}

void vfio_migration_reset(struct vfio_migration *m, void (*reset)(void *user))
{
	bool stopped;

	peal_mutex_lock(&m->mutex);
	stopped = m->state != RUNNING && m->state != PRE_COPY;
	end_session(m);
	reset(m->user);
	if (stopped)
		m->ops->start(m->user);
	m->state = RUNNING;
	peal_mutex_unlock(&m->mutex);
}

/* ---- life ---- */

int vfio_migration_init(struct vfio_migration *m, const struct peal_host *host,
			const struct vfio_migration_ops *ops, void *user)
{
	m->host = host;
	m->ops = ops;
	m->user = user;
	m->state = RUNNING;
	return peal_mutex_init(&m->mutex, host);
}

void vfio_migration_done(struct vfio_migration *m)
{
	if (m->host)
		end_session(m);
	peal_mutex_done(&m->mutex);
}
