/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The numbers of Virtio 1.2 that both sides share: feature and status bits, the split ring's
 * layout, the PCI transport's capabilities and registers, the block device's requests.
 */
#ifndef PEAL_VIRTIO_ABI_H
#define PEAL_VIRTIO_ABI_H

#include <stddef.h>
#include <stdint.h>

#include <peal/bits.h>

#ifdef __cplusplus
extern "C" {
#endif

/* §4.1.2 PCI identity */
#define PEAL_VIRTIO_PCI_VENDOR 0x1af4u
#define PEAL_VIRTIO_PCI_MODERN 0x1040u /* + device type */
#define PEAL_VIRTIO_BLK        2u      /* §5 device types */
#define PEAL_VIRTIO_RNG        4u

/* §2.1 device status */
#define PEAL_VIRTIO_ACKNOWLEDGE 1u
#define PEAL_VIRTIO_DRIVER      2u
#define PEAL_VIRTIO_DRIVER_OK   4u
#define PEAL_VIRTIO_FEATURES_OK 8u
#define PEAL_VIRTIO_NEEDS_RESET 64u
#define PEAL_VIRTIO_FAILED      128u

/* §6 feature bits of the ring and transport */
#define PEAL_VIRTIO_F_INDIRECT_DESC 28u
#define PEAL_VIRTIO_F_EVENT_IDX     29u
#define PEAL_VIRTIO_F_VERSION_1     32u

#define PEAL_VIRTIO_NO_VECTOR 0xffffu
#define PEAL_VIRTIO_QUEUE_MAX 32768u /* §2.7 */

/* §2.7.5 descriptor: address 8, length 4, flags 2, next 2 */
#define PEAL_VRING_DESC_SIZE       16u
#define PEAL_VRING_DESC_ADDRESS    0u
#define PEAL_VRING_DESC_LENGTH     8u
#define PEAL_VRING_DESC_FLAGS      12u
#define PEAL_VRING_DESC_NEXT       14u
#define PEAL_VRING_DESC_F_NEXT     1u
#define PEAL_VRING_DESC_F_WRITE    2u
#define PEAL_VRING_DESC_F_INDIRECT 4u

/*
 * §2.7.6 available ring: flags 2, index 2, ring[size] 2 each, used_event 2
 * §2.7.8 used ring: flags 2, index 2, ring[size] of {id 4, length 4}, avail_event 2
 */
#define PEAL_VRING_FLAGS                0u
#define PEAL_VRING_INDEX                2u
#define PEAL_VRING_RING                 4u
#define PEAL_VRING_USED_SIZE            8u
#define PEAL_VRING_AVAIL_F_NO_INTERRUPT 1u
#define PEAL_VRING_USED_F_NO_NOTIFY     1u

/* Bytes of the three parts for a queue of SIZE descriptors, and their alignment. */
static inline size_t peal_vring_desc_bytes(unsigned size)
{
	return (size_t)size * PEAL_VRING_DESC_SIZE;
}

static inline size_t peal_vring_avail_bytes(unsigned size)
{
	return PEAL_VRING_RING + 2 * (size_t)size + 2;
}

static inline size_t peal_vring_used_bytes(unsigned size)
{
	return PEAL_VRING_RING + PEAL_VRING_USED_SIZE * (size_t)size + 2;
}

#define PEAL_VRING_DESC_ALIGN  16u
#define PEAL_VRING_AVAIL_ALIGN 2u
#define PEAL_VRING_USED_ALIGN  4u

/* §2.7.7.2: must a side that asked for EVENT be told, now that the index went from OLD to NEW? */
static inline int peal_vring_need_event(uint16_t event, uint16_t new_index, uint16_t old_index)
{
	return (uint16_t)(new_index - event - 1) < (uint16_t)(new_index - old_index);
}

/* §4.1.4 capabilities: vendor id 9, length, type, BAR, id, offset, size (+ multiplier) */
#define PEAL_VIRTIO_PCI_CAP_COMMON        1u
#define PEAL_VIRTIO_PCI_CAP_NOTIFY        2u
#define PEAL_VIRTIO_PCI_CAP_ISR           3u
#define PEAL_VIRTIO_PCI_CAP_DEVICE        4u
#define PEAL_VIRTIO_PCI_CAP_PCI           5u
#define PEAL_VIRTIO_PCI_CAP_SHARED_MEMORY 8u
#define PEAL_VIRTIO_PCI_CAP_SIZE          16u
#define PEAL_VIRTIO_PCI_CAP_LEN           2u
#define PEAL_VIRTIO_PCI_CAP_TYPE          3u
#define PEAL_VIRTIO_PCI_CAP_BAR           4u
#define PEAL_VIRTIO_PCI_CAP_OFFSET        8u
#define PEAL_VIRTIO_PCI_CAP_LENGTH        12u
#define PEAL_VIRTIO_PCI_CAP_MULTIPLIER    16u

/* §4.1.4.3 common configuration */
#define PEAL_VIRTIO_COMMON_DEVICE_FEATURE_SELECT 0u
#define PEAL_VIRTIO_COMMON_DEVICE_FEATURE        4u
#define PEAL_VIRTIO_COMMON_DRIVER_FEATURE_SELECT 8u
#define PEAL_VIRTIO_COMMON_DRIVER_FEATURE        12u
#define PEAL_VIRTIO_COMMON_CONFIG_MSIX_VECTOR    16u
#define PEAL_VIRTIO_COMMON_NUM_QUEUES            18u
#define PEAL_VIRTIO_COMMON_DEVICE_STATUS         20u
#define PEAL_VIRTIO_COMMON_CONFIG_GENERATION     21u
#define PEAL_VIRTIO_COMMON_QUEUE_SELECT          22u
#define PEAL_VIRTIO_COMMON_QUEUE_SIZE            24u
#define PEAL_VIRTIO_COMMON_QUEUE_MSIX_VECTOR     26u
#define PEAL_VIRTIO_COMMON_QUEUE_ENABLE          28u
#define PEAL_VIRTIO_COMMON_QUEUE_NOTIFY_OFF      30u
#define PEAL_VIRTIO_COMMON_QUEUE_DESC            32u
#define PEAL_VIRTIO_COMMON_QUEUE_DRIVER          40u
#define PEAL_VIRTIO_COMMON_QUEUE_DEVICE          48u
#define PEAL_VIRTIO_COMMON_SIZE                  56u

/* §5.2 block device */
#define PEAL_VIRTIO_BLK_F_SIZE_MAX 1u
#define PEAL_VIRTIO_BLK_F_SEG_MAX  2u
#define PEAL_VIRTIO_BLK_F_RO       5u
#define PEAL_VIRTIO_BLK_F_BLK_SIZE 6u
#define PEAL_VIRTIO_BLK_F_FLUSH    9u
#define PEAL_VIRTIO_BLK_F_MQ       12u

#define PEAL_VIRTIO_BLK_CAPACITY    0u /* device configuration: u64, in sectors of 512 */
#define PEAL_VIRTIO_BLK_SIZE_MAX    8u
#define PEAL_VIRTIO_BLK_SEG_MAX     12u
#define PEAL_VIRTIO_BLK_BLK_SIZE    20u
#define PEAL_VIRTIO_BLK_NUM_QUEUES  34u
#define PEAL_VIRTIO_BLK_CONFIG_SIZE 60u

/* §5.2.6 request: type 4, reserved 4, sector 8 | data | status 1 */
#define PEAL_VIRTIO_BLK_HEADER_SIZE 16u
#define PEAL_VIRTIO_BLK_SECTOR      512u
#define PEAL_VIRTIO_BLK_T_IN        0u
#define PEAL_VIRTIO_BLK_T_OUT       1u
#define PEAL_VIRTIO_BLK_T_FLUSH     4u
#define PEAL_VIRTIO_BLK_T_GET_ID    8u
#define PEAL_VIRTIO_BLK_ID_SIZE     20u
#define PEAL_VIRTIO_BLK_S_OK        0u
#define PEAL_VIRTIO_BLK_S_IOERR     1u
#define PEAL_VIRTIO_BLK_S_UNSUPP    2u

#ifdef __cplusplus
}
#endif

#endif
