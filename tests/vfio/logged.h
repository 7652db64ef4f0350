/* SPDX-License-Identifier: BSD-2-Clause */
/* A log of DMA and its space, for its tests. */
#ifndef PEAL_TESTS_VFIO_LOGGED_H
#define PEAL_TESTS_VFIO_LOGGED_H

#include <peal/vfio.h>

#include "support.h"
#include "vfio/dma-log.h"

#define PAGE  4096u
#define CHUNK (UINT64_C(32768) * PAGE)

struct rig {
	struct test_host host;
	struct peal_space *space;
	struct vfio_dma_log log;
};

static inline void rig_init(struct rig *rig)
{
	struct peal_space_config config = { .dirty = vfio_dma_log_write };

	memset(rig, 0, sizeof(*rig));
	test_host_init(&rig->host);
	config.host = &rig->host.host;
	config.user = &rig->log;
	assert_int_equal(peal_space_new(&rig->space, &config), 0);
	assert_int_equal(vfio_dma_log_init(&rig->log, &rig->host.host, rig->space), 0);
}

static inline void rig_done(struct rig *rig)
{
	vfio_dma_log_done(&rig->log);
	peal_space_free(rig->space);
	test_host_done(&rig->host);
}

static inline void rig_start(struct rig *rig, uint64_t page_size)
{
	assert_int_equal(vfio_dma_log_start(&rig->log, &page_size, NULL, 0), 0);
}

#endif
