/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Model of a vector under an owner (src/pci/vectors.c, src/vfio/function/function.c): a device that
 * raises it, and a user that takes its trigger away and sets one. Proved for every interleaving: a
 * raise is signalled, or it merges with one that pends; what pends comes with the next trigger.
 *
 * One step is one atomic operation of the code. That the trigger is good while it is signalled is
 * what tests/models/epoch-takes-back.pml is about.
 *
 * Seeded errors, found through the twins *.expect-error.pml: NO_PEND is an owner that does nothing
 * with a raise for which there is no trigger any more, NULL_FIRST takes the trigger before it closes
 * the vector, and who then finds none pends into a vector that is open.
 */
#define RAISERS 2
#define RAISES 2	/* of each */
#define CHANGES 2	/* the trigger goes, and comes */

#define CLOSED 1
#define PENDING 2

byte word;		/* the vector's; open */
bool trigger = true;
byte signals;
byte merged;
byte raisers = RAISERS;

/* Of a word S that says CLOSED; DONE: it was S still. */
inline pend()
{
	atomic {
		if
		:: word == s ->
			if
			:: s & PENDING -> merged++
			:: else -> word = s | PENDING
			fi;
			done = true
		:: else -> done = false
		fi
	}
}

/* The owner's deliver. */
inline deliver()
{
	do
	:: trigger -> signals++; break			/* peal_epoch_load, and signal */
	:: !trigger ->
#ifdef NO_PEND
		break
#else
		s = word;				/* pci_vectors_pend: load */
		if
#ifdef NULL_FIRST
		:: true ->
#else
		:: s & CLOSED ->
#endif
			pend();
			if
			:: done -> break
			:: else
			fi
#ifndef NULL_FIRST
		:: else					/* open again */
#endif
		fi
#endif
	od
}

proctype raiser()
{
	byte s, n;
	bool done;

	do
	:: n == RAISES -> break
	:: else ->
		done = false;
		do
		:: done -> break
		:: else ->
			s = word;			/* raise_checked: load */
			if
			:: s & CLOSED -> pend()
			:: else ->
				deliver();
				done = true
			fi
		od;
		n++
	od;
	raisers--
}

proctype user()
{
	byte s, n;
	bool done, fire;

	do
	:: n == CHANGES -> break
	:: else ->
#ifdef NULL_FIRST
		trigger = false;
		word = word | CLOSED;
#else
		word = word | CLOSED;			/* close: one step of the word */
		trigger = false;			/* peal_epoch_store */
#endif
		trigger = true;
		atomic {				/* open: the step takes what pends */
			fire = (word & PENDING) != 0;
			word = 0
		};
		if
		:: fire -> deliver()
		:: else
		fi;
		n++
	od;
	raisers == 0;
	assert(word == 0);
	assert(signals + merged == RAISERS * RAISES)
}

init {
	atomic {
		run raiser();
		run raiser();
		run user()
	}
}
