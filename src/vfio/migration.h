/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The migration of a device: its states, and the stream that its state travels in. uapi
 * linux/vfio.h, enum vfio_device_mig_state; vfio-user Protocol Specification 0.9.2,
 * "VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE".
 *
 *   RUNNING ◀──▶ STOP ◀──▶ STOP_COPY        any failed load ──▶ ERROR ──reset──▶ RUNNING
 *     ▲ │         ▲ ▼          ▲
 *     │ ▼      RESUMING        │
 *   PRE_COPY ──────────────────┘
 *
 * The stream, all numbers little-endian:
 *
 *   u32 magic, u32 version, u64 kind of device, u64 size of all of it    the head: also in PRE_COPY
 *   the device's bytes
 *   u32 CRC-32 of all before
 *
 * A stream has the size that the device has here, so a peer cannot make it take more memory.
 *
 * Threads: any, one at a time gets in. The mutex is held while the ops run.
 */
#ifndef PEAL_SRC_VFIO_MIGRATION_H
#define PEAL_SRC_VFIO_MIGRATION_H

#include <peal/vfio.h>

#define VFIO_MIGRATION_MAGIC     0x474d5650u /* "PVMG" */
#define VFIO_MIGRATION_VERSION   1u
#define VFIO_MIGRATION_HEAD_SIZE 24u
#define VFIO_MIGRATION_TAIL_SIZE 4u

/*
 * stop: see peal_vfio_mig_set_state(); -errno: it is not stopped. start: the contrary. size: of what
 * save puts and load takes, always the same. save and load: of a device that is stopped; -errno, of
 * load: nothing changed. kind: streams of another kind are not taken.
 */
struct vfio_migration_ops {
	int (*stop)(void *user);
	void (*start)(void *user);
	size_t (*size)(void *user);
	int (*save)(void *user, uint8_t *bytes);
	int (*load)(void *user, const uint8_t *bytes, size_t size);
	uint64_t (*kind)(void *user);
};

struct vfio_migration {
	const struct peal_host *host;
	const struct vfio_migration_ops *ops;
	void *user;
	struct peal_mutex mutex;
	enum peal_vfio_mig_state state;
	uint8_t *stream; /* of a session: PRE_COPY, STOP_COPY, RESUMING */
	size_t size;
	size_t ready; /* bytes that can be read, or were written */
	size_t at;    /* that was read */
};

/* RUNNING. -errno of the host's mutex. */
int vfio_migration_init(struct vfio_migration *migration, const struct peal_host *host,
			const struct vfio_migration_ops *ops, void *user);
/* Also of one that was zeroed and never made. */
void vfio_migration_done(struct vfio_migration *migration);

/* These as peal_vfio_mig_…(). */
enum peal_vfio_mig_state vfio_migration_get(struct vfio_migration *migration);
int vfio_migration_set(struct vfio_migration *migration, uint32_t state);
int vfio_migration_read(struct vfio_migration *migration, void *bytes, size_t size, size_t *done);
int vfio_migration_write(struct vfio_migration *migration, const void *bytes, size_t size);

/* RESET brings the device to its first state; after that it is RUNNING. */
void vfio_migration_reset(struct vfio_migration *migration, void (*reset)(void *user));

#endif
