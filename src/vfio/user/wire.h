/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vfio-user on the wire: commands, flags and the fixed part of each message.
 *
 * Numbers are in the byte order of the host and naturally aligned, so the fixed parts are C
 * structures without padding. They are never laid over received bytes: those are copied
 * (codec.h). vfio-user Protocol Specification, "Protocol Specification".
 */
#ifndef PEAL_VFIO_USER_WIRE_H
#define PEAL_VFIO_USER_WIRE_H

#include <stdint.h>

#define VFU_VERSION                1u
#define VFU_DMA_MAP                2u
#define VFU_DMA_UNMAP              3u
#define VFU_DEVICE_GET_INFO        4u
#define VFU_DEVICE_GET_REGION_INFO 5u
#define VFU_DEVICE_GET_REGION_IO   6u
#define VFU_DEVICE_GET_IRQ_INFO    7u
#define VFU_DEVICE_SET_IRQS        8u
#define VFU_REGION_READ            9u
#define VFU_REGION_WRITE           10u
#define VFU_DMA_READ               11u /* these two: server to client */
#define VFU_DMA_WRITE              12u
#define VFU_DEVICE_RESET           13u
#define VFU_REGION_WRITE_MULTI     15u
#define VFU_DEVICE_FEATURE         16u
#define VFU_MIG_DATA_READ          17u
#define VFU_MIG_DATA_WRITE         18u
#define VFU_COMMANDS               19u

#define VFU_MAJOR 0u
#define VFU_MINOR 2u

/* Header, "Flags". */
#define VFU_TYPE_MASK    0xfu
#define VFU_TYPE_COMMAND 0u
#define VFU_TYPE_REPLY   1u
#define VFU_NO_REPLY     0x10u
#define VFU_ERROR        0x20u

#define VFU_ERRNO_MAX 4095u

struct vfu_header {
	uint16_t id;
	uint16_t command;
	uint32_t size; /* with the header */
	uint32_t flags;
	uint32_t error;
};
_Static_assert(sizeof(struct vfu_header) == 16, "16 bytes of header");

struct vfu_version {
	uint16_t major;
	uint16_t minor;
	/* JSON with NUL */
};
_Static_assert(sizeof(struct vfu_version) == 4, "Version");

#define VFU_DMA_READABLE 1u
#define VFU_DMA_WRITABLE 2u

struct vfu_dma_map {
	uint32_t argsz;
	uint32_t flags;
	uint64_t offset;
	uint64_t address;
	uint64_t size;
};
_Static_assert(sizeof(struct vfu_dma_map) == 32, "VFIO_USER_DMA_MAP");

#define VFU_DMA_UNMAP_ALL 2u

struct vfu_dma_unmap {
	uint32_t argsz;
	uint32_t flags;
	uint64_t address;
	uint64_t size;
};
_Static_assert(sizeof(struct vfu_dma_unmap) == 24, "VFIO_USER_DMA_UNMAP");

struct vfu_device_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t num_regions;
	uint32_t num_irqs;
};
_Static_assert(sizeof(struct vfu_device_info) == 16, "VFIO_USER_DEVICE_GET_INFO");

struct vfu_region_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t cap_offset;
	uint64_t size;
	uint64_t offset;
	/* capabilities */
};
_Static_assert(sizeof(struct vfu_region_info) == 32, "VFIO_USER_DEVICE_GET_REGION_INFO");

#define VFU_CAP_SPARSE_MMAP 1u

struct vfu_sparse_mmap {
	uint16_t id;
	uint16_t version;
	uint32_t next;
	uint32_t count;
	uint32_t reserved;
	/* struct vfu_area[count] */
};
_Static_assert(sizeof(struct vfu_sparse_mmap) == 16, "VFIO region info cap sparse mmap");

struct vfu_area {
	uint64_t offset;
	uint64_t size;
};
_Static_assert(sizeof(struct vfu_area) == 16, "VFIO region info cap sparse mmap");

struct vfu_region_io {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t count;
	/* struct vfu_sub_region[count] */
};
_Static_assert(sizeof(struct vfu_region_io) == 16, "VFIO_USER_DEVICE_GET_REGION_IO_FDS");

struct vfu_sub_region {
	uint64_t offset;
	uint64_t size;
	uint32_t fd_index;
	uint32_t type;
	uint32_t flags;
	uint32_t padding;
	uint64_t datamatch;
};
_Static_assert(sizeof(struct vfu_sub_region) == 40, "Sub-Region IO FD info format");

#define VFU_IO_FD_TYPE_IOEVENTFD 0u

struct vfu_irq_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t count;
};
_Static_assert(sizeof(struct vfu_irq_info) == 16, "VFIO_USER_DEVICE_GET_IRQ_INFO");

struct vfu_set_irqs {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t start;
	uint32_t count;
	/* uint8_t[count] with DATA_BOOL */
};
_Static_assert(sizeof(struct vfu_set_irqs) == 20, "VFIO_USER_DEVICE_SET_IRQS");

struct vfu_region_access {
	uint64_t offset;
	uint32_t region;
	uint32_t count;
	/* data */
};
_Static_assert(sizeof(struct vfu_region_access) == 16, "VFIO_USER_REGION_READ");

struct vfu_dma_access {
	uint64_t address;
	uint64_t count;
	/* data */
};
_Static_assert(sizeof(struct vfu_dma_access) == 16, "VFIO_USER_DMA_READ");

struct vfu_write_multi {
	uint64_t count;
	/* struct vfu_single_write[count] */
};
_Static_assert(sizeof(struct vfu_write_multi) == 8, "VFIO_USER_REGION_WRITE_MULTI");

struct vfu_single_write {
	uint64_t offset;
	uint32_t region;
	uint32_t count;
	uint8_t data[8];
};
_Static_assert(sizeof(struct vfu_single_write) == 24, "Single Device Write Format");

#define VFU_FEATURE_INDEX 0xffffu
#define VFU_FEATURE_GET   0x10000u
#define VFU_FEATURE_SET   0x20000u
#define VFU_FEATURE_PROBE 0x40000u

struct vfu_feature {
	uint32_t argsz;
	uint32_t flags;
	/* data */
};
_Static_assert(sizeof(struct vfu_feature) == 8, "VFIO_USER_DEVICE_FEATURE");

struct vfu_migration {
	uint64_t flags;
};
_Static_assert(sizeof(struct vfu_migration) == 8, "VFIO_DEVICE_FEATURE_MIGRATION");

struct vfu_mig_state {
	uint32_t state;
	int32_t data_fd; /* not used: -1 */
};
_Static_assert(sizeof(struct vfu_mig_state) == 8, "VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE");

struct vfu_log_start {
	uint64_t page_size;
	uint32_t num_ranges;
	uint32_t reserved;
	/* struct vfu_area[num_ranges] */
};
_Static_assert(sizeof(struct vfu_log_start) == 16, "VFIO_DEVICE_FEATURE_DMA_LOGGING_START");

struct vfu_log_report {
	uint64_t iova;
	uint64_t size;
	uint64_t page_size;
	/* uint64_t bitmap[] */
};
_Static_assert(sizeof(struct vfu_log_report) == 24, "VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT");

struct vfu_mig_data {
	uint32_t argsz;
	uint32_t size;
	/* data */
};
_Static_assert(sizeof(struct vfu_mig_data) == 8, "VFIO_USER_MIG_DATA_READ");

#endif
