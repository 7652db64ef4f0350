/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of a device's writes to memory: which pages, since they were last asked about. uapi
 * linux/vfio.h, VFIO_DEVICE_FEATURE_DMA_LOGGING_START.
 *
 *   address  ┌───────── chunk ─────────┬── page in it ──┬─ offset ─┐
 *                      │                      │
 *            slots[]: key ──▶ its bitmap: one bit for each page
 *
 * Bitmaps are given out by writes, from a table that is made at the start and does not grow: a
 * write costs a look and an atomic step, and nobody can make the log take more memory. When the
 * table is full, or seems so, the log only knows that it does not know, and says of everything that
 * it was written, until it is stopped.
 *
 * The write comes before its bit, the bit is taken before the pages are copied: what is not copied
 * with its last bytes has its bit set. For that, writes happen in sections of their space, which
 * start and stop wait for: a write that found no log is seen by whoever starts it, and no write
 * uses one that is gone.
 *
 * Threads: write from any thread, in a section of the space, without a lock. The rest from any
 * thread, in no section; one at a time gets in.
 */
#ifndef PEAL_SRC_VFIO_DMA_LOG_H
#define PEAL_SRC_VFIO_DMA_LOG_H

#include <peal/mem.h>
#include <peal/vfio.h>

#define VFIO_DMA_LOG_PAGE   4096u /* the least */
#define VFIO_DMA_LOG_WORDS  512u  /* of a chunk: 32768 pages */
#define VFIO_DMA_LOG_SLOTS  4096u /* at most: 16 MiB */
#define VFIO_DMA_LOG_RANGES 1024u

struct vfio_dma_log_table;

struct vfio_dma_log {
	const struct peal_host *host;
	struct peal_space *space;
	struct vfio_dma_log_table *table; /* NULL: off */
	struct peal_mutex mutex;
};

/* SPACE reports its writes with vfio_dma_log_write(). */
int vfio_dma_log_init(struct vfio_dma_log *log, const struct peal_host *host,
		      struct peal_space *space);
/* Nobody writes any more. Also of one that was zeroed and never made. */
void vfio_dma_log_done(struct vfio_dma_log *log);

/* The dirty callback of a space. */
void vfio_dma_log_write(void *log, uint64_t address, uint64_t size);

/* These as peal_vfio_dma_log_…(). */
int vfio_dma_log_start(struct vfio_dma_log *log, uint64_t *page_size,
		       const struct peal_vfio_range *ranges, uint32_t count);
int vfio_dma_log_stop(struct vfio_dma_log *log);
int vfio_dma_log_report(struct vfio_dma_log *log, const struct peal_vfio_range *range,
			uint64_t page_size, uint64_t *bitmap);

#endif
