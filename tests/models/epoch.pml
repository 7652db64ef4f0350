/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Model of peal_epoch (include/peal/epoch.h, src/base/epoch.c): two readers and a writer that
 * replaces and frees an object twice. Proved for every interleaving: no reader looks at an object
 * that is freed.
 *
 * One step is one atomic operation of the code, whose name stands beside it. The operations are
 * sequentially consistent there, except two: the load of the parity is relaxed, so it may give an
 * old value here; leaving is a release, and what it has to follow precedes it in its thread.
 *
 * TAKES_BACK is an irqset's vector (src/vfio/irqset.c, epoch-takes-back.pml): one slot, whose pointer
 * may show nothing. A section that found nothing leaves by taking its entry back, and taking nothing
 * away is not waited for.
 *
 * Seeded errors, found through the twins *.expect-error.pml: ONE_PHASE leaves the first wait of
 * peal_epoch_sync() out, IN_FIRST turns the two loads of slot_is_empty() around.
 */
#ifdef TAKES_BACK
#define SLOTS 1
#define REPLACEMENTS 4
#define OBJECTS 5
#define NOTHING(object) ((object) % 3 == 1)
#else
#define SLOTS 2
#define REPLACEMENTS 2
#define OBJECTS 3	/* REPLACEMENTS + 1 */
#define NOTHING(object) false
#endif
#define SECTIONS 2	/* of each reader */

#define AT(slot, p) ((slot) * 2 + (p))

byte in[4];		/* slots[slot].in[parity] at AT(slot, parity) */
byte out[4];
bit parity;
byte place;		/* which object the pointer shows */
bool freed[OBJECTS];

proctype reader()
{
	byte slot, object, section;
	bit p;

	do
	:: section == SECTIONS -> break
	:: else ->
		/* peal_epoch_enter: any slot will do */
		if
		:: slot = 0
		:: slot = SLOTS - 1
		fi;
		if
		:: p = parity				/* load parity, relaxed */
#ifndef ONE_PHASE
		:: p = 1 - parity			/* … may be late */
#endif
		fi;
		in[AT(slot, p)]++;			/* fetch_add in, seq_cst */
		object = place;				/* peal_epoch_load, seq_cst */
		if
		:: NOTHING(object) ->
			in[AT(slot, p)]--		/* fetch_sub in, release */
		:: else ->
			assert(!freed[object]);		/* the first use */
			assert(!freed[object]);		/* the last use */
			out[AT(slot, p)]++		/* fetch_add out, release */
		fi;
		section++
	od
}

/* wait_for_parity: each slot until slot_is_empty */
inline wait_for_parity(q)
{
	s = 0;
	do
	:: s == SLOTS -> break
	:: else ->
#ifdef IN_FIRST
		seen = in[AT(s, q)];			/* load in */
		if
		:: out[AT(s, q)] == seen -> s++		/* load out */
		:: else -> skip
		fi
#else
		seen = out[AT(s, q)];			/* load out, seq_cst */
		if
		:: in[AT(s, q)] == seen -> s++		/* load in, seq_cst */
		:: else -> skip				/* relax */
		fi
#endif
	od
}

proctype writer()
{
	byte s, seen, old, replacement;
	bit p;

	do
	:: replacement == REPLACEMENTS -> break
	:: else ->
		old = place;
		replacement++;
		place = replacement;			/* peal_epoch_store, seq_cst */
		if
		:: NOTHING(old) -> skip
		:: else ->
			/* peal_epoch_sync; one writer, so the mutex is left out */
			p = parity;			/* load parity */
#ifndef ONE_PHASE
			wait_for_parity(1 - p);
#endif
			parity = 1 - p;			/* store parity, seq_cst */
			wait_for_parity(p);
			freed[old] = true
		fi
	od
}

init {
	atomic {
		run reader();
		run reader();
		run writer()
	}
}
