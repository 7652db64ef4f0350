/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The events of each collection, so that INVALL (Arm IHI 0069H §5.3.6) looks at these and not at
 * the whole LPI configuration table. Under the ITS's mutex; sends see nothing of it.
 *
 *   lists[ICID / 256] ─▶ first, count ──▶ node ⇄ node ⇄ node     one node for each mapped event;
 *   leaves[N / 65536][N / 256 % 256] ──▶ 256 nodes, number N      its number is in the event's entry
 *
 * A list belongs to the ICID, whether the collection is mapped or not: the events of an unmapped
 * one stay. Numbers instead of pointers make a node 12 bytes, and find room in the entry's word.
 * Node 0 stands for none.
 *
 * Leaves are made one after the other and go in the opposite order once they are empty. One empty
 * leaf is kept, so that an event that comes and goes does not make and free it each time; with the
 * last event all go.
 */
#include "gic.h"

#define LEAF_NODES 256u
#define DIRECTORY  256u /* leaves */
#define LIST_PAGE  256u

struct node {
	uint32_t previous; /* 0 in the first */
	uint32_t next;     /* 0 in the last */
	uint32_t intid;
};

struct its_member_leaf {
	struct node nodes[LEAF_NODES];
	uint32_t used;
};

struct its_member_directory {
	struct its_member_leaf *leaves[DIRECTORY];
};

struct list {
	uint32_t first;
	uint32_t count;
};

struct its_member_page {
	struct list lists[LIST_PAGE];
	uint64_t used; /* members of all */
};

_Static_assert(sizeof(struct node) == 12, "the memory of an event is promised");
_Static_assert(PEAL_COUNT_OF(((struct its_members *)NULL)->directories) * DIRECTORY * LEAF_NODES ==
		       ENTRY_NODES,
	       "every number that an entry can hold has a node");

static struct its_member_leaf **leaf_at(struct its_members *m, uint32_t leaf)
{
	return &m->directories[leaf / DIRECTORY]->leaves[leaf % DIRECTORY];
}

static struct node *node_at(struct its_members *m, uint32_t number)
{
	return &(*leaf_at(m, number / LEAF_NODES))->nodes[number % LEAF_NODES];
}

static void link_node(struct its_members *m, uint32_t *first, uint32_t number)
{
	struct node *node = node_at(m, number);

	node->previous = 0;
	node->next = *first;
	if (*first)
		node_at(m, *first)->previous = number;
	*first = number;
}

static void unlink_node(struct its_members *m, uint32_t *first, uint32_t number)
{
	const struct node *node = node_at(m, number);

	if (node->next)
		node_at(m, node->next)->previous = node->previous;
	if (node->previous)
		node_at(m, node->previous)->next = node->next;
	else
		*first = node->next;
}

/* ---- leaves ---- */

static int add_leaf(struct peal_its *its)
{
	struct its_members *m = &its->members;
	uint32_t leaf = m->nleaves;
	struct its_member_directory **directory = &m->directories[leaf / DIRECTORY];
	bool new_directory = leaf % DIRECTORY == 0;

	if (leaf == ENTRY_NODES / LEAF_NODES)
		return -ENOMEM;
	if (new_directory)
		*directory = its_allocate(its, sizeof(**directory));
	if (!*directory)
		return -ENOMEM;
	*leaf_at(m, leaf) = its_allocate(its, sizeof(struct its_member_leaf));
	if (!*leaf_at(m, leaf)) {
		if (new_directory) {
			its_release(its, *directory, sizeof(**directory));
			*directory = NULL;
		}
		return -ENOMEM;
	}
	m->nleaves++;
	for (uint32_t n = LEAF_NODES; n-- > 0;) {
		if (leaf || n)
			link_node(m, &m->free, leaf * LEAF_NODES + n);
	}
	return 0;
}

static void remove_leaf(struct peal_its *its)
{
	struct its_members *m = &its->members;
	uint32_t leaf = --m->nleaves;

	for (uint32_t n = 0; n < LEAF_NODES; n++) {
		if (leaf || n)
			unlink_node(m, &m->free, leaf * LEAF_NODES + n);
	}
	its_release(its, *leaf_at(m, leaf), sizeof(struct its_member_leaf));
	*leaf_at(m, leaf) = NULL;
	if (leaf % DIRECTORY == 0) {
		struct its_member_directory **directory = &m->directories[leaf / DIRECTORY];

		its_release(its, *directory, sizeof(**directory));
		*directory = NULL;
	}
}

static bool is_empty(struct its_members *m, uint32_t leaf)
{
	return (*leaf_at(m, leaf))->used == 0;
}

static void trim(struct peal_its *its)
{
	struct its_members *m = &its->members;

	while (m->nleaves && is_empty(m, m->nleaves - 1) &&
	       (m->count == 0 || (m->nleaves > 1 && is_empty(m, m->nleaves - 2))))
		remove_leaf(its);
}

/* ---- members ---- */

static void remove_page_if_unused(struct peal_its *its, struct its_member_page **page)
{
	if ((*page)->used)
		return;
	its_release(its, *page, sizeof(**page));
	*page = NULL;
}

int its_member_add(struct peal_its *its, uint32_t icid, uint32_t intid, uint32_t *ret)
{
	struct its_members *m = &its->members;
	struct its_member_page **page = &m->lists[icid / LIST_PAGE];
	struct list *list;
	uint32_t number;

	if (!*page)
		*page = its_allocate(its, sizeof(**page));
	if (!*page)
		return -ENOMEM;
	if (!m->free && add_leaf(its) < 0) {
		remove_page_if_unused(its, page);
		return -ENOMEM;
	}
	list = &(*page)->lists[icid % LIST_PAGE];
	number = m->free;
	unlink_node(m, &m->free, number);
	link_node(m, &list->first, number);
	node_at(m, number)->intid = intid;
	list->count++;
	(*page)->used++;
	(*leaf_at(m, number / LEAF_NODES))->used++;
	m->count++;
	*ret = number;
	return 0;
}

void its_member_remove(struct peal_its *its, uint32_t icid, uint32_t number)
{
	struct its_members *m = &its->members;
	struct its_member_page **page = &m->lists[icid / LIST_PAGE];
	struct list *list = &(*page)->lists[icid % LIST_PAGE];

	unlink_node(m, &list->first, number);
	link_node(m, &m->free, number);
	list->count--;
	(*leaf_at(m, number / LEAF_NODES))->used--;
	m->count--;
	(*page)->used--;
	remove_page_if_unused(its, page);
	trim(its);
}

uint32_t its_member_count(const struct peal_its *its, uint32_t icid)
{
	const struct its_member_page *page = its->members.lists[icid / LIST_PAGE];

	return page ? page->lists[icid % LIST_PAGE].count : 0;
}

/*
 * A guest maps LPIs of neighbouring numbers one after the other, so neighbours in the list are
 * mostly in the same block of the configuration table: it is read once for all of them.
 */
#define BLOCK 64u

void its_member_read_config(struct peal_its *its, uint32_t icid)
{
	struct its_members *m = &its->members;
	const struct its_member_page *page = m->lists[icid / LIST_PAGE];
	uint32_t number = page ? page->lists[icid % LIST_PAGE].first : 0, last = 0;

	while (number) {
		const struct node *node = node_at(m, number);
		uint32_t block = node->intid & ~(BLOCK - 1);

		/* Both ends of the table are multiples of a block. */
		if (block != last && gic_is_lpi(its->gic, node->intid))
			gic_read_config(its->gic, block, BLOCK);
		last = block;
		number = node->next;
	}
}
