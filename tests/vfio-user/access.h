/* SPDX-License-Identifier: BSD-2-Clause */
/* A device's access of memory, in a thread of its own or inside a command. */
#ifndef PEAL_TESTS_VFIO_USER_ACCESS_H
#define PEAL_TESTS_VFIO_USER_ACCESS_H

#include "pattern.h"

struct access {
	struct rig *rig;
	uint64_t address;
	size_t size;
	bool is_write;
	uint8_t bytes[16384];
	int result;
	pthread_t thread;
};

static inline void *run_access(void *user)
{
	struct access *a = user;

	a->result = a->is_write ? peal_space_write(a->rig->space, a->address, a->bytes, a->size)
				: peal_space_read(a->rig->space, a->address, a->bytes, a->size);
	return NULL;
}

/* The device accesses memory in a thread of its own. */
static inline void start_access(struct access *a, struct rig *rig, uint64_t address, size_t size,
				bool is_write)
{
	a->rig = rig;
	a->address = address;
	a->size = size;
	a->is_write = is_write;
	for (size_t i = 0; is_write && i < size; i++)
		a->bytes[i] = pattern(i);
	thread_assert(pthread_create(&a->thread, NULL, run_access, a) == 0);
}

static inline int end_access(struct access *a)
{
	thread_assert(pthread_join(a->thread, NULL) == 0);
	return a->result;
}

/* A command that waits for who waits for the client, as a reset does for a request under way. */
static inline void wait_for_access(void *user, uint64_t offset, size_t size)
{
	(void)offset;
	(void)size;
	thread_assert(pthread_join(((struct access *)user)->thread, NULL) == 0);
}

struct inside {
	struct rig *rig;
	int result;
	uint8_t bytes[4];
};

static inline void read_inside(void *user, uint64_t offset, size_t size)
{
	struct inside *inside = user;

	(void)offset;
	(void)size;
	inside->result = peal_space_read(inside->rig->space, 0x1000, inside->bytes, 4);
}

#endif
