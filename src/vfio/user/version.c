/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The JSON of VERSION. vfio-user Protocol Specification, "VFIO_USER_VERSION".
 *
 * The members are rows of a table; what is not in it is skipped, as a later version of the
 * protocol may add some. No number that the peer sends sizes anything here.
 */
#include <jansson.h>

#include "codec.h"

#define DEFAULT_MSG_FDS  1u
#define DEFAULT_XFER     (UINT64_C(1) << 20)
#define DEFAULT_DMA_MAPS 65535u
#define DEFAULT_PGSIZES  4096u
#define DEFAULT_BITMAP   (UINT64_C(256) << 20)

enum kind {
	NUMBER32,
	NUMBER64,
	BOOLEAN
};

/* A member of OBJECT (NULL: of the capabilities themselves), and where it goes. */
struct member {
	const char *object;
	const char *name;
	enum kind kind;
	size_t at;
	size_t said; /* a bool that tells it is there; 0: none */
	uint64_t least;
};

#define AT(field) offsetof(struct vfu_capabilities, field)

/* clang-format off */
static const struct member members[] = {
	{ NULL, "max_msg_fds", NUMBER32, AT(max_msg_fds), AT(said_max_msg_fds), 0 },
	{ NULL, "max_data_xfer_size", NUMBER64, AT(max_data_xfer_size),
		AT(said_max_data_xfer_size), 1 },
	{ NULL, "max_dma_maps", NUMBER64, AT(max_dma_maps), AT(said_max_dma_maps), 0 },
	{ NULL, "pgsizes", NUMBER64, AT(pgsizes), AT(said_pgsizes), 1 },
	{ "migration", "pgsize", NUMBER64, AT(migration_pgsize), AT(has_migration), 1 },
	{ "migration", "max_bitmap_size", NUMBER64, AT(migration_max_bitmap_size),
		AT(has_migration), 1 },
	{ "twin_socket", "supported", BOOLEAN, AT(twin_socket), 0, 0 },
	{ "twin_socket", "fd_index", NUMBER32, AT(fd_index), AT(has_fd_index), 0 },
	{ NULL, "write_multiple", BOOLEAN, AT(write_multiple), 0, 0 },
};
/* clang-format on */

#define MEMBERS (sizeof(members) / sizeof(members[0]))

void vfu_capabilities_default(struct vfu_capabilities *capabilities)
{
	*capabilities = (struct vfu_capabilities){
		.max_msg_fds = DEFAULT_MSG_FDS,
		.max_data_xfer_size = DEFAULT_XFER,
		.max_dma_maps = DEFAULT_DMA_MAPS,
		.pgsizes = DEFAULT_PGSIZES,
		.migration_pgsize = DEFAULT_PGSIZES,
		.migration_max_bitmap_size = DEFAULT_BITMAP,
	};
}

/* ---- reading ---- */

static int take_member(struct vfu_capabilities *ret, const struct member *member,
		       const json_t *value)
{
	char *base = (char *)ret;
	uint64_t number;

	if (member->kind == BOOLEAN) {
		if (!json_is_boolean(value))
			return -EINVAL;
		*(bool *)(void *)(base + member->at) = json_is_true(value);
		return 0;
	}
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return -EINVAL;
	number = (uint64_t)json_integer_value(value);
	if (number < member->least || (member->kind == NUMBER32 && number > UINT32_MAX))
		return -EINVAL;
	if (member->kind == NUMBER32)
		*(uint32_t *)(void *)(base + member->at) = (uint32_t)number;
	else
		*(uint64_t *)(void *)(base + member->at) = number;
	if (member->said)
		*(bool *)(void *)(base + member->said) = true;
	return 0;
}

static int take_capabilities(struct vfu_capabilities *ret, const json_t *capabilities)
{
	for (size_t i = 0; i < MEMBERS; i++) {
		const json_t *from = capabilities, *value;
		int r;

		if (members[i].object) {
			from = json_object_get(capabilities, members[i].object);
			if (!from)
				continue;
			if (!json_is_object(from))
				return -EINVAL;
		}
		value = json_object_get(from, members[i].name);
		if (!value)
			continue;
		r = take_member(ret, &members[i], value);
		if (r < 0)
			return r;
	}
	return 0;
}

int vfu_capabilities_parse(struct vfu_capabilities *ret, const void *json, size_t size)
{
	struct vfu_capabilities got;
	const json_t *capabilities;
	json_t *root;
	int r = 0;

	vfu_capabilities_default(&got);
	if (size == 0) {
		*ret = got;
		return 0;
	}
	if (size > VFU_JSON_MAX || memchr(json, 0, size) != (const char *)json + size - 1)
		return -EINVAL;
	root = json_loadb((const char *)json, size - 1, JSON_REJECT_DUPLICATES, NULL);
	if (!root)
		return -EINVAL;
	capabilities = json_object_get(root, "capabilities");
	if (!json_is_object(root) || (capabilities && !json_is_object(capabilities)))
		r = -EINVAL;
	else if (capabilities)
		r = take_capabilities(&got, capabilities);
	json_decref(root);
	if (r == 0)
		*ret = got;
	return r;
}

/* ---- writing ---- */

static json_t *print_member(const struct vfu_capabilities *from, const struct member *member)
{
	const char *base = (const char *)from;
	uint64_t number;

	if (member->kind == BOOLEAN)
		return json_true();
	number = member->kind == NUMBER32 ? *(const uint32_t *)(const void *)(base + member->at)
					  : *(const uint64_t *)(const void *)(base + member->at);
	return json_integer((json_int_t)(number > INT64_MAX ? INT64_MAX : number));
}

/* A boolean that is false is not said. */
static bool is_said(const struct vfu_capabilities *from, const struct member *member)
{
	const char *base = (const char *)from;

	return *(const bool *)(const void *)(base + (member->said ? member->said : member->at));
}

static json_t *print_capabilities(const struct vfu_capabilities *from)
{
	json_t *root = json_object(), *capabilities = json_object();

	if (json_object_set_new(root, "capabilities", capabilities) < 0)
		goto failed;
	for (size_t i = 0; i < MEMBERS; i++) {
		const struct member *member = &members[i];
		json_t *to = capabilities;

		if (!is_said(from, member))
			continue;
		if (member->object) {
			to = json_object_get(capabilities, member->object);
			if (!to) {
				to = json_object();
				if (json_object_set_new(capabilities, member->object, to) < 0)
					goto failed;
			}
		}
		if (json_object_set_new(to, member->name, print_member(from, member)) < 0)
			goto failed;
	}
	return root;
failed:
	json_decref(root);
	return NULL;
}

int vfu_capabilities_print(const struct vfu_capabilities *capabilities, char *json, size_t room,
			   size_t *size)
{
	json_t *root = print_capabilities(capabilities);
	size_t length;

	if (!root)
		return -ENOMEM;
	length = json_dumpb(root, json, room, JSON_COMPACT);
	json_decref(root);
	if (length == 0)
		return -ENOMEM;
	if (length >= room)
		return -ENOSPC;
	json[length] = 0;
	*size = length + 1;
	return 0;
}

/* ---- agreeing ---- */

static uint64_t lower(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void vfu_capabilities_answer(struct vfu_capabilities *ret, const struct vfu_capabilities *ours,
			     const struct vfu_capabilities *theirs)
{
	struct vfu_capabilities defaults;

	*ret = *ours;
	/* No more than they say of themselves: QEMU refuses a server that takes more than it. */
	if (theirs->said_max_msg_fds)
		ret->max_msg_fds = (uint32_t)lower(ours->max_msg_fds, theirs->max_msg_fds);
	/* One limit for both directions, so who says none has the default in both. */
	ret->max_data_xfer_size = lower(ours->max_data_xfer_size, theirs->max_data_xfer_size);
	if (theirs->said_max_dma_maps)
		ret->max_dma_maps = lower(ours->max_dma_maps, theirs->max_dma_maps);
	/* A limit that the other side would take for another one has to be said all the same. */
	vfu_capabilities_default(&defaults);
	ret->said_max_msg_fds = theirs->said_max_msg_fds ||
				ret->max_msg_fds != defaults.max_msg_fds;
	ret->said_max_data_xfer_size = theirs->said_max_data_xfer_size ||
				       ret->max_data_xfer_size != defaults.max_data_xfer_size;
	ret->said_max_dma_maps = theirs->said_max_dma_maps ||
				 ret->max_dma_maps != defaults.max_dma_maps;
	ret->said_pgsizes = theirs->said_pgsizes || ret->pgsizes != defaults.pgsizes;
	ret->write_multiple = ours->write_multiple && theirs->write_multiple;
	ret->has_migration = ours->has_migration && theirs->has_migration;
	ret->migration_pgsize = lower(ours->migration_pgsize, theirs->migration_pgsize);
	ret->migration_max_bitmap_size =
		lower(ours->migration_max_bitmap_size, theirs->migration_max_bitmap_size);
	ret->twin_socket = ret->has_fd_index = false;
}
