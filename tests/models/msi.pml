/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Model of MSI whose guest changes how many vectors there are (src/pci/msi.c): a function with two
 * vectors, each raised without a lock, and a guest that masks, disables, and enables one vector,
 * both, or more than there are. Vector 1 is raised as vector 0 while one is enabled. Proved for
 * every interleaving:
 *
 *   Multiple Message Enable is never more than the function is capable of, and no raise leaves the
 *   vectors; nothing is lost: in the end, with the enabled vectors unmasked, all that was raised is
 *   told, though the mask of a vector that is not enabled stays; nothing is sent twice:
 *   sent + merged = raised; a message names a vector that is enabled, and one that the device uses or
 *   that stands for all; and a raise goes round again only behind a change: it does not wait for
 *   the guest.
 *
 * One step is one atomic operation of the code, whose name stands beside it; what happens to one
 * vector alone, the message among it, is the matter of msix.pml: its change is one step here.
 * LAST_ONLY: the device uses vector 1 only, so vector 0 is in use just while it stands for it
 * (msi-last-only.pml).
 *
 * Seeded errors, found through the twins *.expect-error.pml: NO_CLAMP takes Multiple Message Enable
 * as it was written, NO_RETRY does not look whether the number changed while it raised, NO_MOVE
 * leaves what pends where it was, LATE_ADMIT publishes the number before who stands for others is in
 * use, LOOK_FIRST moves a pending bit that it saw before, though its raise has taken it meanwhile,
 * STANDS_STILL takes the same number for no change, MOVE_FIRST gives back what pends for others
 * before it closes the vector to them.
 */
#define COUNT 2
#ifndef RAISES
#define RAISES 2	/* of each vector */
#endif
#ifndef CHANGES
#define CHANGES 2	/* of the guest, before the last one */
#endif
#ifdef LAST_ONLY
#define USED(v) ((v) == 1)
#else
#define USED(v) true
#endif

/* The word: struct pci_vector.state */
#define W_MASK 1
#define W_OFF 2
#define W_PENDING 4
#define W_UNUSED 8
#define MASKED (W_MASK | W_OFF)

byte state[COUNT];
byte data[COUNT];	/* low bits of the message, which change under W_OFF only */
byte multiple;		/* msi->enabled */
byte shared = COUNT;	/* vectors->shared */
/* For the assertions: */
byte number;		/* what the guest enabled */
byte stores;		/* to multiple; with LAST_ONLY, where it matters */

/* What happened, for the assertions. What pended as another vector when the number grows stays
 * with that one, so a pending bit has the set of those whose raises it holds. */
byte raised[COUNT], told[COUNT];
byte held[COUNT];
byte sent, merged;

/* peal_msi_deliver: whoever takes the message looks at all that is raised as its vector, and at
 * those in WHO. */
inline deliver(w, who)
{
	assert(number > 0 && data[w] < number);
	assert(USED(w) || number == 1);
	sent++;
	held[w] = held[w] | who | (number == 1 -> 3 : 1 << w);
	if
	:: held[w] & 1 -> told[0] = raised[0]
	:: else
	fi;
	if
	:: held[w] & 2 -> told[1] = raised[1]
	:: else
	fi;
	held[w] = 0
}

/* peal_msi_notify */
proctype raiser(byte vector)
{
	byte e, as, now, s, who, seen, late;
	bit nobody, pends;

	do
	:: raised[vector] == RAISES -> break
	:: else ->
		atomic { raised[vector]++; who = 1 << vector; e = multiple; seen = stores }	/* load enabled, seq_cst */
again:		atomic {
			as = (e -> vector % e : vector);
			assert(as < COUNT)
		}
		/* pci_vectors_raise_checked; its rounds are those of msix.pml */
		atomic {
			s = state[as];
			nobody = (s & W_UNUSED) != 0;
			pends = !nobody && s & MASKED;
			if
			:: nobody
			:: pends ->				/* compare_exchange state */
				merged = merged + (s & W_PENDING -> 1 : 0);
				state[as] = s | W_PENDING;
				held[as] = held[as] | who
			:: else -> deliver(as, who)
			fi;
			s = 0
		}
		if
		:: !nobody && !pends -> skip
		:: else ->
#ifndef NO_RETRY
			atomic {				/* load enabled, seq_cst */
				now = multiple;
				late = stores - seen;
				seen = stores
			}
			if
#ifndef STANDS_STILL
			:: nobody ->
#else
			:: nobody && now == e -> skip
			:: nobody && now != e ->
#endif
				atomic {
					assert(late > 0);
					e = now; now = 0;
					goto again
				}
			:: pends && now > 0 && as >= now ->
				/* pci_vectors_take_pending */
				atomic {			/* fetch_and state */
					if
					:: state[as] & W_PENDING ->
						state[as] = state[as] & (15 - W_PENDING);
						who = who | held[as];
						held[as] = 0;
						e = now; now = 0;
						goto again
					:: else
					fi
				}
			:: else -> skip
			fi
#else
			skip
#endif
		fi;
		atomic { e = 0; as = 0; now = 0; who = 0; seen = 0; late = 0; nobody = 0; pends = 0 }
	od
}

/* change(), under the mutex, which only the guest takes here; one compare_exchange state */
inline change(w, set, clear)
{
	atomic {
		s = (state[w] | (set)) & (15 - (clear));
		if
		:: s & W_PENDING && !(s & MASKED) ->
			state[w] = s & (15 - W_PENDING);
			deliver(w, 0)
		:: else -> state[w] = s
		fi;
		s = 0
	}
}

inline change_all(set, clear)
{
	do
	:: w < COUNT -> change(w, set, clear); w++
	:: else -> w = 0; break
	od
}

/* Where both pend, one raise has merged after all. The bit of FROM goes with a raise that takes it. */
inline move_pending(from, to)
{
	atomic {						/* fetch_and state */
#ifdef LOOK_FIRST
		if
		:: found
#else
		found = (state[from] & W_PENDING) != 0;
		if
		:: found ->
#endif
			state[from] = state[from] & (15 - W_PENDING);
			who = held[from];
			held[from] = 0
		:: !found
		fi
	}
	if
	:: found ->
		atomic {					/* fetch_or state */
			merged = merged + (state[to] & W_PENDING -> 1 : 0);
			state[to] = state[to] | W_PENDING;
			held[to] = held[to] | who;
			found = 0;
			who = 0
		}
	:: else
	fi
}

inline look(from)
{
#ifdef LOOK_FIRST
	found = (state[from] & W_PENDING) != 0
#else
	skip
#endif
}

/* pci_vectors_admit: who stands for others is in use; N is the new sharing */
inline admit(n)
{
	if
	:: USED(0) || n == 1 -> change(0, 0, W_UNUSED)
	:: else
	fi
}

/* Back to the first that is in use. */
inline unshare()
{
	if
	:: shared == 1 && !USED(0) -> look(0); move_pending(0, 1)
	:: else
	fi
}

/* pci_vectors_share */
inline share(n)
{
#ifdef MOVE_FIRST
	unshare();
#endif
	admit(n);
	if
	:: !USED(0) && n != 1 -> change(0, W_UNUSED, 0)
	:: else
	fi;
#ifndef MOVE_FIRST
	unshare();
#endif
	shared = n;
#ifndef NO_MOVE
	if
	:: n == 1 -> look(1); move_pending(1, 0)
	:: else
	fi
#endif
}

/* write_control, and pci_msi_evaluate: LOG2 is Multiple Message Enable as written */
inline write_control(enable, log2)
{
	atomic {
#ifndef NO_CLAMP
		n = (log2 > 1 -> 2 : 1 << log2);
#else
		n = 1 << log2;
#endif
		assert(n <= COUNT);
		to = (enable -> n : COUNT)
	}
	/* pci_vectors_set_off */
	if
	:: !enable || to != shared -> change_all(W_OFF, 0); off = 1
	:: else
	fi;
	/* set_messages: nobody sends unless nothing changes. */
	if
	:: off -> atomic { data[0] = 0; data[1] = 1 & (n - 1); number = (enable -> n : 0) }
	:: else
	fi;
#ifndef LATE_ADMIT
	if
	:: off -> admit(to)
	:: else
	fi;
#endif
	atomic {						/* store enabled, seq_cst */
		multiple = (enable -> n : 0);
#ifdef LAST_ONLY
		stores++
#endif
	}
	if
	:: off -> share(to)
	:: else
	fi;
	if
	:: enable && off -> change_all(0, W_OFF); off = 0
	:: else
	fi
}

proctype guest()
{
	byte s, to, n, who, changes, log2, w, set, clear;
	bit off = 1, found, enable, control;

	do
	:: changes > CHANGES -> break
	:: else ->
		if
		:: changes < CHANGES -> enable = 0; log2 = 0; control = 1
		:: changes < CHANGES -> enable = 1; log2 = 2; control = 1
		:: changes < CHANGES -> w = 1; set = W_MASK
		:: changes < CHANGES -> w = 1; clear = W_MASK
		:: changes < CHANGES -> w = 0; set = W_MASK
		:: enable = 1; log2 = 0; control = 1
		:: enable = 1; log2 = 1; control = 1
		fi;
		if
		:: control -> write_control(enable, log2)
		:: else -> change(w, set, clear)
		fi;
		atomic { changes++; w = 0; set = 0; clear = 0; control = 0 }
	od;
	/* In the end one vector or both are enabled, and these unmasked; vector 1 need not be. */
	w = log2;
	do
	:: change(w, 0, W_MASK);
		if
		:: w == 0 -> break
		:: else -> w = 0
		fi
	od
}

init {
	atomic {
		state[0] = W_OFF | (USED(0) -> 0 : W_UNUSED);
		state[1] = W_OFF;
		data[1] = 1;
		if
		:: USED(0) -> run raiser(0)
		:: else
		fi;
		run raiser(1);
		run guest()
	}
	_nr_pr == 1;
	/* Enabled, unmasked and quiet. */
	assert(!(state[0] & W_PENDING) && !(state[1] & W_PENDING));
	assert(told[0] == raised[0] && told[1] == raised[1]);
	assert(sent + merged == raised[0] + raised[1])
}
