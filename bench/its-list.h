/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The baseline of its-send: what a first implementation of an ITS does. Devices are on a list,
 * their events on a list each, one mutex is around both; an LPI has its pending flag, and its
 * redistributor a list of those that are pending, under a lock of its own.
 */
#ifndef PEAL_BENCH_ITS_LIST_H
#define PEAL_BENCH_ITS_LIST_H

#include <stdbool.h>
#include <stdint.h>

struct list_its;

/*
 * Mapped in the same order and to the same redistributors as struct bench_its. FRESH: the nodes lie
 * in memory as they are on the lists; else anywhere, as in a heap that is in use. -ENOMEM.
 */
int list_its_new(struct list_its **ret, uint32_t devices, uint32_t events, bool fresh);

/* NULL is fine. */
void list_its_free(struct list_its *its);

/* 1: the LPI is pending; 0: not mapped. */
int list_its_send(struct list_its *its, uint32_t device, uint32_t event);

/* Takes every pending LPI; how many there were. */
uint64_t list_its_clear(struct list_its *its);

#endif
