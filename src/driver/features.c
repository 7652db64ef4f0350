/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of device types and feature bits. Virtio 1.2 §5 (types), §6 (reserved bits), §5.2.3 (block);
 * legacy bits where devices still offer them.
 */
#include <peal/base.h>
#include <peal/bits.h>
#include <peal/driver.h>
#include <peal/virtio-abi.h>

#include "driver/virtio.h"

struct name {
	unsigned number;
	const char *name;
};

static const struct name type_descriptions[] = {
	{ 1, "Virtio PCI network adapter" },      { 2, "Virtio PCI block adapter" },
	{ 3, "Virtio PCI console adapter" },      { 4, "Virtio PCI entropy adapter" },
	{ 5, "Virtio PCI balloon adapter" },      { 8, "Virtio PCI SCSI host adapter" },
	{ 9, "Virtio PCI 9P transport adapter" }, { 16, "Virtio PCI GPU adapter" },
	{ 18, "Virtio PCI input adapter" },       { 19, "Virtio PCI socket adapter" },
	{ 20, "Virtio PCI crypto adapter" },      { 23, "Virtio PCI IOMMU adapter" },
	{ 24, "Virtio PCI memory adapter" },      { 25, "Virtio PCI sound adapter" },
	{ 26, "Virtio PCI file system adapter" },
};

static const struct name ring_names[] = {
	{ 24, "NOTIFY_ON_EMPTY" },
	{ 27, "ANY_LAYOUT" },
	{ PEAL_VIRTIO_F_INDIRECT_DESC, "INDIRECT_DESC" },
	{ PEAL_VIRTIO_F_EVENT_IDX, "EVENT_IDX" },
	{ PEAL_VIRTIO_F_VERSION_1, "VERSION_1" },
	{ 33, "ACCESS_PLATFORM" },
	{ 34, "RING_PACKED" },
	{ 35, "IN_ORDER" },
	{ 36, "ORDER_PLATFORM" },
	{ 37, "SR_IOV" },
	{ 38, "NOTIFICATION_DATA" },
	{ 39, "NOTIF_CONFIG_DATA" },
	{ 40, "RING_RESET" },
};

static const struct name blk_names[] = {
	{ 0, "BARRIER" },
	{ PEAL_VIRTIO_BLK_F_SIZE_MAX, "SIZE_MAX" },
	{ PEAL_VIRTIO_BLK_F_SEG_MAX, "SEG_MAX" },
	{ 4, "GEOMETRY" },
	{ PEAL_VIRTIO_BLK_F_RO, "RO" },
	{ PEAL_VIRTIO_BLK_F_BLK_SIZE, "BLK_SIZE" },
	{ 7, "SCSI" },
	{ PEAL_VIRTIO_BLK_F_FLUSH, "FLUSH" },
	{ 10, "TOPOLOGY" },
	{ 11, "CONFIG_WCE" },
	{ PEAL_VIRTIO_BLK_F_MQ, "MQ" },
	{ 13, "DISCARD" },
	{ 14, "WRITE_ZEROES" },
	{ 15, "LIFETIME" },
	{ 16, "SECURE_ERASE" },
};

/* §2.2: bits 0..23 and 50..127 belong to the device type, those between to ring and transport. */
#define RING_FIRST 24u
#define RING_LAST  49u

static const char *find_name(const struct name *names, size_t count, unsigned number)
{
	for (size_t i = 0; i < count; i++)
		if (names[i].number == number)
			return names[i].name;
	return NULL;
}

uint64_t peal_driver_ring_features(void)
{
	return PEAL_MASK(RING_LAST, RING_FIRST);
}

uint64_t peal_driver_known_features(void)
{
	return ~peal_driver_ring_features() | PEAL_BIT(PEAL_VIRTIO_F_INDIRECT_DESC) |
	       PEAL_BIT(PEAL_VIRTIO_F_EVENT_IDX) | PEAL_BIT(PEAL_VIRTIO_F_VERSION_1);
}

const char *peal_virtio_driver_description(const struct peal_virtio_driver *driver)
{
	const char *text =
		find_name(type_descriptions, PEAL_COUNT_OF(type_descriptions), driver->type);

	return text ? text : "Virtio PCI Unknown adapter";
}

const char *peal_virtio_feature_name(unsigned type, unsigned bit)
{
	if (bit >= RING_FIRST && bit <= RING_LAST)
		return find_name(ring_names, PEAL_COUNT_OF(ring_names), bit);
	if (type == PEAL_VIRTIO_BLK)
		return find_name(blk_names, PEAL_COUNT_OF(blk_names), bit);
	return NULL;
}

/* Text that knows how long it would be; what does not fit is counted only. */
struct text {
	char *bytes;
	size_t size;
	size_t length;
};

static void append(struct text *text, const char *more)
{
	for (; *more; more++, text->length++)
		if (text->length + 1 < text->size)
			text->bytes[text->length] = *more;
}

size_t peal_virtio_features_print(unsigned type, uint64_t features, char *bytes, size_t size)
{
	struct text text = { .bytes = bytes, .size = size };

	for (unsigned bit = 0; bit < 64; bit++) {
		const char *name = peal_virtio_feature_name(type, bit);
		char number[] = "bit:00";

		if (!(features & PEAL_BIT(bit)))
			continue;
		if (!name) {
			number[4] = (char)('0' + (bit < 10 ? bit : bit / 10));
			number[5] = (char)(bit < 10 ? '\0' : '0' + bit % 10);
			name = number;
		}
		if (text.length)
			append(&text, " ");
		append(&text, name);
	}
	if (size)
		bytes[text.length < size ? text.length : size - 1] = '\0';
	return text.length;
}
