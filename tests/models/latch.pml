/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Model of the lookups of a space (src/mem/space.c): a reader and a writer that maps and unmaps a
 * range three times, always with the same node, as removed nodes are given out again at once. One
 * reader is enough, as readers change nothing.
 *
 * Proved for every interleaving: what a lookup believes is no tree in the middle of a change, not
 * halves of two ranges, and no range that was taken back before the lookup began.
 *
 * One step is one atomic operation of the code. Loads have acquire and stores release order, with
 * those of the sequence between them: who sees a step of a change sees that the sequence moved.
 *
 * Seeded errors, found through the twins *.expect-error.pml: NO_RECHECK believes what it read
 * without a second loat the sequence, ONE_TREE reads the tree that is being changed.
 */
#define MAPPINGS 3
#define LOOKUPS 4

#define NO_NODE 0
#define NODE 1
#define TORN 2		/* a link in the middle of a change: leads anywhere */

byte sequence;
byte root[2];
byte first, last;	/* of the node: both are the number of the mapping */
byte unmapped;		/* mappings up to this one are gone */

proctype reader()
{
	byte s, index, seen_first, seen_last, gone, lookups, tree;

	do
	:: lookups == LOOKUPS -> break
	:: else ->
		lookups++;
		gone = unmapped;			/* what happened before */
		s = sequence;				/* peal_epoch_load, seq_cst */
#ifdef ONE_TREE
		tree = 0;
#else
		tree = s % 2;
#endif
		index = root[tree];			/* load root, acquire */
		if
		:: index != NODE
		:: else ->
			seen_first = first;		/* load first, acquire */
			seen_last = last		/* load last, acquire */
		fi;
		if
#ifndef NO_RECHECK
		:: sequence != s			/* load sequence: loagain */
#endif
		:: else ->
			assert(index != TORN);
			assert(index == NO_NODE || seen_first == seen_last);
			assert(index == NO_NODE || seen_first > gone)
		fi;
		s = 0; index = 0; seen_first = 0; seen_last = 0; gone = 0; tree = 0
	od
}

/* both_trees */
inline change(index)
{
	sequence++;					/* peal_epoch_store: odd */
	root[0] = TORN;
	root[0] = index;
	sequence++;					/* peal_epoch_store: even */
	root[1] = TORN;
	root[1] = index
}

proctype writer()
{
	byte mapping;

	do
	:: mapping == MAPPINGS -> break
	:: else ->
		mapping++;
		first = mapping;			/* node_set */
		last = mapping;
		change(NODE);
		change(NO_NODE);
		unmapped = mapping			/* peal_space_unmap returned */
	od
}

init {
	atomic {
		run reader();
		run writer()
	}
}
