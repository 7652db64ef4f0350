/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address spaces: ranges in two search trees that take turns.
 *
 * The nodes stand in one pool and carry two sets of links, one per tree:
 *
 *            sequence even: readers ─┐            ┌─ sequence odd: readers
 *                                    ▼            ▼
 *              roots[0] ──▶ tree of links[0]   tree of links[1] ◀── roots[1]
 *                                    └─▶ nodes ◀──┘
 *
 * A writer makes the sequence odd, changes tree 0, makes it even, changes tree 1. So the tree that
 * a reader chose by the sequence is whole as long as the sequence stays; a reader that finds it
 * changed looks again. What such a reader saw meanwhile may be of different times: links may lead
 * in circles and a node may have been given to another range. Hence a reader looks at the sequence
 * every few steps too, follows indices, which always are of some node of the pool, and takes a
 * copy of what it found before it believes it.
 *
 * The trees are treaps: their shape is that of a tree into which the ranges came in random order,
 * whatever order the guest chose. The priorities come from a generator that starts from an address
 * of the host.
 *
 * Nodes lie in chunks that double in size and stay until the space is freed, so an index is good
 * for ever and a reader needs no section to follow one.
 *
 * Orders: every field of a node that a reader may see is stored with release and loaded with
 * acquire: whoever sees a value of a change sees that the sequence moved before it. The sequence
 * itself is sequentially consistent, as it is what takes a range out of reach (peal/epoch.h).
 *
 * Invariants: both trees hold the same ranges when the mutex is free; ranges do not overlap; the
 * fields of a node change only while it is in no tree.
 *
 * Lock order: the mutex guards writers and is innermost (it may be held around host->alloc). The
 * mutex of the epoch is not taken with it.
 */
#include <peal/bits.h>
#include <peal/epoch.h>
#include <peal/mem.h>

#define FIRST_CHUNK 64u /* nodes in chunk 0; chunk k has FIRST_CHUNK << k */
#define CHUNKS      24u /* FIRST_CHUNK * (2^24 - 1): a thousand million ranges */
#define NONE        0u  /* no node: indices start at 1 */
#define MAX_RANGES  65535u
#define LOOK_EVERY  32u /* steps between looks at the sequence */

/* Beside PEAL_MEM_READ and PEAL_MEM_WRITE in a range's access: it is host memory. */
#define ACCESS_MEMORY 4u

enum side {
	LEFT,
	RIGHT
};

struct node {
	uint64_t first;
	uint64_t last;
	void *memory;                   /* NULL: an accessor */
	const struct peal_mem_ops *ops; /* of the accessor */
	void *user;
	uint32_t access;
	uint32_t priority;
	uint32_t links[2][2]; /* of tree 0 and 1: LEFT, RIGHT; links[0][LEFT] links free nodes */
};

/* What a lookup gives back: a copy, taken under an unchanged sequence. */
struct range {
	uint64_t first;
	uint64_t last;
	uint8_t *memory;
	const struct peal_mem_ops *ops;
	void *user;
	uint32_t access;
};

struct peal_space {
	/* What readers load, apart from what they change. */
	uint64_t sequence;
	uint32_t roots[2];
	struct node *chunks[CHUNKS];
	void (*dirty)(void *user, uint64_t address, uint64_t size);
	void *user;

	const struct peal_host *host;
	struct peal_mutex mutex;
	uint64_t random;
	uint64_t max_ranges;
	uint64_t nranges;
	uint32_t free_nodes; /* removed ones, linked */
	uint32_t used_nodes; /* indices 1..used_nodes were given out */
	unsigned nchunks;

	uint64_t faults __attribute__((aligned(PEAL_CACHE_LINE)));
	struct peal_epoch epoch;
};

/* ---- the pool ---- */

/* INDEX counts from 1; index 1 is node 0 of chunk 0. */
static unsigned chunk_of(uint32_t index, uint32_t *in_chunk)
{
	uint32_t place = index - 1 + FIRST_CHUNK;
	unsigned chunk = (unsigned)(__builtin_clz(FIRST_CHUNK) - __builtin_clz(place));

	*in_chunk = place - (FIRST_CHUNK << chunk);
	return chunk;
}

static struct node *node_at(const struct peal_space *space, uint32_t index)
{
	uint32_t in_chunk;
	unsigned chunk = chunk_of(index, &in_chunk);

	return __atomic_load_n(&space->chunks[chunk], __ATOMIC_ACQUIRE) + in_chunk;
}

static int node_new(struct peal_space *space, uint32_t *ret)
{
	uint32_t in_chunk;
	unsigned chunk;

	if (space->nranges == space->max_ranges)
		return -ENOSPC;
	if (space->free_nodes != NONE) {
		*ret = space->free_nodes;
		space->free_nodes =
			__atomic_load_n(&node_at(space, *ret)->links[0][LEFT], __ATOMIC_RELAXED);
		return 0;
	}
	chunk = chunk_of(space->used_nodes + 1, &in_chunk);
	if (chunk == CHUNKS)
		return -ENOSPC;
	if (chunk == space->nchunks) {
		struct node *nodes =
			peal_alloc(space->host, sizeof(*nodes) * ((size_t)FIRST_CHUNK << chunk));

		if (!nodes)
			return -ENOMEM;
		__atomic_store_n(&space->chunks[chunk], nodes, __ATOMIC_RELEASE);
		space->nchunks++;
	}
	*ret = ++space->used_nodes;
	return 0;
}

/* A late reader may still be looking at the node; it will find that the sequence moved. */
static void node_recycle(struct peal_space *space, uint32_t index)
{
	__atomic_store_n(&node_at(space, index)->links[0][LEFT], space->free_nodes,
			 __ATOMIC_RELEASE);
	space->free_nodes = index;
}

static void node_set(struct node *node, const struct range *range, uint32_t priority)
{
	__atomic_store_n(&node->first, range->first, __ATOMIC_RELEASE);
	__atomic_store_n(&node->last, range->last, __ATOMIC_RELEASE);
	__atomic_store_n(&node->memory, (void *)range->memory, __ATOMIC_RELEASE);
	__atomic_store_n(&node->ops, range->ops, __ATOMIC_RELEASE);
	__atomic_store_n(&node->user, range->user, __ATOMIC_RELEASE);
	__atomic_store_n(&node->access, range->access, __ATOMIC_RELEASE);
	node->priority = priority; /* writers only */
}

/* xorshift64*, Marsaglia 2003, Vigna 2016. */
static uint32_t next_priority(struct peal_space *space)
{
	space->random ^= space->random >> 12;
	space->random ^= space->random << 25;
	space->random ^= space->random >> 27;
	return (uint32_t)(space->random * UINT64_C(0x2545f4914f6cdd1d) >> 32);
}

/* ---- the trees, as their writer sees them ---- */

static uint32_t link_get(const uint32_t *link)
{
	return __atomic_load_n(link, __ATOMIC_RELAXED);
}

static void link_set(uint32_t *link, uint32_t index)
{
	__atomic_store_n(link, index, __ATOMIC_RELEASE);
}

static void tree_insert(struct peal_space *space, unsigned tree, uint32_t index)
{
	struct node *node = node_at(space, index);
	uint32_t *link = &space->roots[tree];
	uint32_t *left = &node->links[tree][LEFT];
	uint32_t *right = &node->links[tree][RIGHT];
	uint32_t below;

	while ((below = link_get(link)) != NONE) {
		struct node *other = node_at(space, below);

		if (other->priority < node->priority)
			break;
		link = &other->links[tree][node->first < other->first ? LEFT : RIGHT];
	}
	link_set(link, index);
	/* What hung here is split at the new range. */
	while (below != NONE) {
		struct node *other = node_at(space, below);

		if (other->first < node->first) {
			link_set(left, below);
			left = &other->links[tree][RIGHT];
			below = link_get(left);
		} else {
			link_set(right, below);
			right = &other->links[tree][LEFT];
			below = link_get(right);
		}
	}
	link_set(left, NONE);
	link_set(right, NONE);
}

static void tree_remove(struct peal_space *space, unsigned tree, uint32_t index)
{
	struct node *node = node_at(space, index);
	uint32_t *link = &space->roots[tree];
	uint32_t left = link_get(&node->links[tree][LEFT]);
	uint32_t right = link_get(&node->links[tree][RIGHT]);

	while (link_get(link) != index) {
		struct node *other = node_at(space, link_get(link));

		link = &other->links[tree][node->first < other->first ? LEFT : RIGHT];
	}
	/* Its two sides become one, the higher priority above. */
	while (left != NONE && right != NONE) {
		struct node *a = node_at(space, left), *b = node_at(space, right);

		if (a->priority >= b->priority) {
			link_set(link, left);
			link = &a->links[tree][RIGHT];
			left = link_get(link);
		} else {
			link_set(link, right);
			link = &b->links[tree][LEFT];
			right = link_get(link);
		}
	}
	link_set(link, left != NONE ? left : right);
}

static void both_trees(struct peal_space *space, uint32_t index,
		       void (*change)(struct peal_space *space, unsigned tree, uint32_t index))
{
	uint64_t sequence = __atomic_load_n(&space->sequence, __ATOMIC_RELAXED);

	peal_epoch_store(&space->sequence, sequence + 1);
	change(space, 0, index);
	peal_epoch_store(&space->sequence, sequence + 2);
	change(space, 1, index);
}

/* The lowest range that ends at or behind ADDRESS, or NONE. */
static uint32_t first_ending_behind(const struct peal_space *space, uint64_t address)
{
	uint32_t index = link_get(&space->roots[0]), best = NONE;

	while (index != NONE) {
		const struct node *node = node_at(space, index);

		if (node->last >= address) {
			best = index;
			index = link_get(&node->links[0][LEFT]);
		} else {
			index = link_get(&node->links[0][RIGHT]);
		}
	}
	return best;
}

static int map_range(struct peal_space *space, const struct range *range)
{
	uint32_t index;
	int r;

	peal_mutex_lock(&space->mutex);
	index = first_ending_behind(space, range->first);
	if (index != NONE && node_at(space, index)->first <= range->last)
		r = -EEXIST;
	else
		r = node_new(space, &index);
	if (r == 0) {
		node_set(node_at(space, index), range, next_priority(space));
		both_trees(space, index, tree_insert);
		space->nranges++;
	}
	peal_mutex_unlock(&space->mutex);
	return r;
}

/* ---- the trees, as readers see them ---- */

/* Goes down to the range that covers ADDRESS. False: the tree changed under us. */
static bool try_lookup(const struct peal_space *space, uint64_t address, struct range *range,
		       bool *found)
{
	uint64_t sequence = peal_epoch_load(&space->sequence);
	unsigned tree = sequence & 1;
	uint32_t index = __atomic_load_n(&space->roots[tree], __ATOMIC_ACQUIRE);

	*found = false;
	for (unsigned steps = 1; index != NONE; steps++) {
		const struct node *node = node_at(space, index);
		enum side side;

		range->first = __atomic_load_n(&node->first, __ATOMIC_ACQUIRE);
		range->last = __atomic_load_n(&node->last, __ATOMIC_ACQUIRE);
		if (address >= range->first && address <= range->last) {
			range->memory = __atomic_load_n(&node->memory, __ATOMIC_ACQUIRE);
			range->ops = __atomic_load_n(&node->ops, __ATOMIC_ACQUIRE);
			range->user = __atomic_load_n(&node->user, __ATOMIC_ACQUIRE);
			range->access = __atomic_load_n(&node->access, __ATOMIC_ACQUIRE);
			*found = true;
			break;
		}
		if (steps % LOOK_EVERY == 0 &&
		    __atomic_load_n(&space->sequence, __ATOMIC_RELAXED) != sequence)
			return false;
		side = address < range->first ? LEFT : RIGHT;
		index = __atomic_load_n(&node->links[tree][side], __ATOMIC_ACQUIRE);
	}
	return __atomic_load_n(&space->sequence, __ATOMIC_RELAXED) == sequence;
}

static bool lookup(const struct peal_space *space, uint64_t address, struct range *range)
{
	bool found;

	while (!try_lookup(space, address, range, &found))
		;
	return found;
}

/* ---- the object ---- */

int peal_space_new(struct peal_space **ret, const struct peal_space_config *config)
{
	const struct peal_host *host = config->host;
	struct peal_space *space = peal_alloc(host, sizeof(*space));
	int r;

	if (!space)
		return -ENOMEM;
	space->host = host;
	space->dirty = config->dirty;
	space->user = config->user;
	space->max_ranges = config->max_ranges ? config->max_ranges : MAX_RANGES;
	/* Not zero, as xorshift would stay there. */
	space->random = (uint64_t)(uintptr_t)space * UINT64_C(0x9e3779b97f4a7c15) | 1;
	r = peal_mutex_init(&space->mutex, host);
	if (r == 0)
		r = peal_epoch_init(&space->epoch, host);
	if (r < 0) {
		peal_space_free(space);
		return r;
	}
	*ret = space;
	return 0;
}

void peal_space_free(struct peal_space *space)
{
	if (!space)
		return;
	for (unsigned i = 0; i < space->nchunks; i++)
		peal_free(space->host, space->chunks[i],
			  sizeof(struct node) * ((size_t)FIRST_CHUNK << i));
	peal_epoch_done(&space->epoch);
	peal_mutex_done(&space->mutex);
	peal_free(space->host, space, sizeof(*space));
}

int peal_space_map(struct peal_space *space, uint64_t address, uint64_t size, void *memory,
		   unsigned access)
{
	const struct range range = {
		.first = address,
		.last = address + (size - 1),
		.memory = memory,
		.access = access | ACCESS_MEMORY,
	};

	PEAL_ASSERT(memory && !(access & ~PEAL_MEM_RW));
	if (size == 0 || range.last < address)
		return -EINVAL;
	return map_range(space, &range);
}

int peal_space_map_ops(struct peal_space *space, uint64_t address, uint64_t size,
		       const struct peal_mem_ops *ops, void *user)
{
	const struct range range = {
		.first = address,
		.last = address + (size - 1),
		.ops = ops,
		.user = user,
		.access = PEAL_MEM_RW,
	};

	PEAL_ASSERT(ops && ops->read && ops->write);
	if (size == 0 || range.last < address)
		return -EINVAL;
	return map_range(space, &range);
}

int peal_space_unmap(struct peal_space *space, uint64_t address, uint64_t size)
{
	int r = -ENOENT;
	uint32_t index;

	peal_mutex_lock(&space->mutex);
	index = first_ending_behind(space, address);
	if (index != NONE) {
		const struct node *node = node_at(space, index);

		/* No range ends before it begins, so SIZE 0 meets none. */
		if (node->first == address && node->last == address + (size - 1)) {
			both_trees(space, index, tree_remove);
			node_recycle(space, index);
			space->nranges--;
			r = 0;
		}
	}
	peal_mutex_unlock(&space->mutex);
	return r;
}

void peal_space_sync(struct peal_space *space)
{
	peal_epoch_sync(&space->epoch);
}

unsigned peal_space_enter(struct peal_space *space)
{
	return peal_epoch_enter(&space->epoch);
}

void peal_space_leave(struct peal_space *space, unsigned token)
{
	peal_epoch_leave(&space->epoch, token);
}

uint64_t peal_space_faults(const struct peal_space *space)
{
	return peal_counted(&space->faults);
}

void peal_space_dirty(struct peal_space *space, uint64_t address, uint64_t size)
{
	if (space->dirty && size > 0)
		space->dirty(space->user, address, size);
}

/* ---- using it ---- */

void *peal_space_translate(struct peal_space *space, uint64_t address, unsigned access,
			   uint64_t *size)
{
	struct range range;

	if (!lookup(space, address, &range) || (range.access & access) != access) {
		peal_count(&space->faults, 1);
		return NULL;
	}
	/* An accessor is no fault: it is there for peal_space_read() and peal_space_write(). */
	if (!range.memory)
		return NULL;
	*size = range.last - address + 1; /* fits: no range is all of the 2^64 bytes */
	return range.memory + (address - range.first);
}

bool peal_space_is_memory(struct peal_space *space, uint64_t address, uint64_t size,
			  unsigned access)
{
	uint64_t last = address + (size - 1);

	if (size == 0)
		return true;
	if (last < address)
		return false;
	for (;;) {
		struct range range;

		if (!lookup(space, address, &range) || !range.memory ||
		    (range.access & access) != access)
			return false;
		if (range.last >= last)
			return true;
		address = range.last + 1;
	}
}

/* The ranges of an access that is checked: as many as are worth keeping. */
#define KEPT 4u

struct span {
	struct range ranges[KEPT];
	unsigned nranges;
};

/* Is everything from ADDRESS to LAST there for ACCESS? The first ranges are kept. */
static bool span_check(const struct peal_space *space, uint64_t address, uint64_t last,
		       unsigned access, struct span *span)
{
	span->nranges = 0;
	for (;;) {
		struct range range;

		if (!lookup(space, address, &range) || (range.access & access) != access)
			return false;
		if (span->nranges < KEPT)
			span->ranges[span->nranges++] = range;
		if (range.last >= last)
			return true;
		address = range.last + 1;
	}
}

static int move(struct peal_space *space, const struct range *range, uint64_t address,
		uint8_t *bytes, size_t size, unsigned access)
{
	uint64_t offset = address - range->first;

	if (access & PEAL_MEM_READ) {
		if (!range->memory)
			return range->ops->read(range->user, offset, bytes, size);
		memcpy(bytes, range->memory + offset, size);
		return 0;
	}
	if (!range->memory)
		return range->ops->write(range->user, offset, bytes, size);
	memcpy(range->memory + offset, bytes, size);
	peal_space_dirty(space, address, size);
	return 0;
}

/*
 * Moves what was checked. The ranges that were kept are used as they were found, even if somebody
 * unmaps them meanwhile: in a section they are good. Those beyond are looked up again.
 */
static int span_move(struct peal_space *space, const struct span *span, uint64_t address,
		     uint8_t *bytes, size_t size, unsigned access)
{
	for (unsigned i = 0; size > 0; i++) {
		struct range range;
		uint64_t behind;
		size_t length = size;
		int r;

		if (i < span->nranges) {
			range = span->ranges[i];
		} else if (!lookup(space, address, &range) || (range.access & access) != access) {
			peal_count(&space->faults, 1);
			return -EFAULT;
		}
		behind = range.last - address;
		if (size - 1 > behind)
			length = (size_t)behind + 1;
		r = move(space, &range, address, bytes, length, access);
		if (r < 0)
			return r;
		address += length;
		bytes += length;
		size -= length;
	}
	return 0;
}

static int access_span(struct peal_space *space, uint64_t address, uint8_t *bytes, size_t size,
		       unsigned access)
{
	uint64_t last = address + (size - 1);
	int r = -EFAULT;
	struct span span;
	unsigned token;

	if (size == 0)
		return 0;
	token = peal_epoch_enter(&space->epoch);
	if (last >= address && span_check(space, address, last, access, &span))
		r = span_move(space, &span, address, bytes, size, access);
	else
		peal_count(&space->faults, 1);
	peal_epoch_leave(&space->epoch, token);
	return r;
}

int peal_space_read(struct peal_space *space, uint64_t address, void *bytes, size_t size)
{
	return access_span(space, address, bytes, size, PEAL_MEM_READ);
}

int peal_space_write(struct peal_space *space, uint64_t address, const void *bytes, size_t size)
{
	/* Only read from: access has no PEAL_MEM_READ. */
	return access_span(space, address, (uint8_t *)(uintptr_t)bytes, size, PEAL_MEM_WRITE);
}

int peal_space_read_memory(struct peal_space *space, uint64_t address, void *bytes, size_t size)
{
	return access_span(space, address, bytes, size, PEAL_MEM_READ | ACCESS_MEMORY);
}

int peal_space_write_memory(struct peal_space *space, uint64_t address, const void *bytes,
			    size_t size)
{
	return access_span(space, address, (uint8_t *)(uintptr_t)bytes, size,
			   PEAL_MEM_WRITE | ACCESS_MEMORY);
}
