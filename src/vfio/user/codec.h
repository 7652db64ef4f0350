/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes to checked messages and back, without any input or output.
 *
 * What is checked here is what can be told from one message alone; what depends on the device or
 * the connection is its handler's. Thread rules: pure functions.
 */
#ifndef PEAL_VFIO_USER_CODEC_H
#define PEAL_VFIO_USER_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <peal/base.h>
#include <peal/bits.h>

#include "wire.h"

/* The most that a sender can attach to one message (SCM_MAX_FD of Linux). */
#define VFU_FDS_MAX 253u

/* The version's JSON, with NUL: QEMU's has some 250 bytes. */
#define VFU_JSON_MAX 4096u

/* A region's information with its capabilities. */
#define VFU_CAPS_MAX 65536u
_Static_assert(VFU_CAPS_MAX >= VFU_JSON_MAX &&
		       VFU_CAPS_MAX >= VFU_FDS_MAX * sizeof(struct vfu_sub_region),
	       "the longest of all but data");

/* What each side says about itself. "VFIO_USER_VERSION", Capabilities. */
struct vfu_capabilities {
	uint32_t max_msg_fds;
	uint64_t max_data_xfer_size;
	uint64_t max_dma_maps;
	uint64_t pgsizes;
	bool twin_socket;
	bool has_fd_index;
	uint32_t fd_index;
	bool write_multiple;
	bool has_migration;
	uint64_t migration_pgsize;
	uint64_t migration_max_bitmap_size;
	bool said_max_msg_fds; /* the rest has defaults when it is not said */
	bool said_max_data_xfer_size;
	bool said_max_dma_maps;
	bool said_pgsizes;
};

void vfu_capabilities_default(struct vfu_capabilities *capabilities);

/*
 * SIZE bytes of JSON with NUL (0: none) into *RET. -EINVAL: not JSON, no NUL or more than one, a
 * member of another type or out of its range. Unknown members are skipped. -ENOMEM.
 */
int vfu_capabilities_parse(struct vfu_capabilities *ret, const void *json, size_t size);

/* The members that were said, as JSON with NUL; *SIZE with it. -ENOSPC, -ENOMEM. */
int vfu_capabilities_print(const struct vfu_capabilities *capabilities, char *json, size_t room,
			   size_t *size);

/*
 * The server's reply to a client that proposed THEIRS: OURS, without what was not proposed (but for
 * limits that are not the default) and no number higher. The twin socket is the server's to add.
 */
void vfu_capabilities_answer(struct vfu_capabilities *ret, const struct vfu_capabilities *ours,
			     const struct vfu_capabilities *theirs);

/* A command: how long its messages are and what may come with them. */
struct vfu_command {
	const char *name; /* NULL: there is no such command */
	uint32_t request; /* bytes of the fixed part of the request's payload */
	uint32_t reply;   /* and of the reply's */
	bool tail;        /* more may follow in a request */
	bool reply_tail;
	bool fds; /* the request may carry descriptors */
	bool reply_fds;
	bool from_server;
	/* What else is wrong with a request, whose fixed part is there. NULL: nothing can be. */
	int (*check)(const uint8_t *payload, size_t size, uint64_t max_data, unsigned nfds);
};

/* NULL: an unknown command. */
const struct vfu_command *vfu_command(uint16_t number);

/* "VERSION", or "?". */
const char *vfu_command_name(uint16_t number);

/*
 * Can the stream go on after this header? -EPROTO: it says less than its own size, or is neither
 * command nor reply. -EMSGSIZE: more than MAX_SIZE bytes in all.
 */
int vfu_header_check(const struct vfu_header *header, size_t max_size);

/*
 * Is this a request of its command, with PAYLOAD of SIZE bytes and NFDS descriptors? MAX_DATA is
 * the receiver's max_data_xfer_size. -ENOSYS: unknown, or for the other side. -EINVAL. -E2BIG:
 * more data than MAX_DATA.
 */
int vfu_request_check(const struct vfu_header *header, const uint8_t *payload, size_t size,
		      uint64_t max_data, unsigned nfds, bool to_server);

/* The same of a reply to COMMAND that is not an error. -EPROTO. */
int vfu_reply_check(uint16_t command, const uint8_t *payload, size_t size, unsigned nfds);

/* What an error reply stands for: -errno, -EIO when the number is 0 or none. */
int vfu_reply_error(const struct vfu_header *header);

/* How many bytes a request for INFO's argsz may get of NEEDED: all, or the fixed part. */
size_t vfu_reply_size(uint32_t argsz, size_t fixed, size_t needed);

/* Bytes of the largest message of a receiver with this max_data_xfer_size. */
size_t vfu_max_size(uint64_t max_data);

#endif
