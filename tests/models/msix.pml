/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Model of a vector of MSI-X and MSI (src/pci/vectors.c): two raisers without a lock, and under the
 * mutex a guest that masks, rewrites the message and unmasks, one that sets and clears Function
 * Mask, and one that reads the PBA. Proved for every interleaving:
 *
 *   nothing is lost: what was raised is delivered at or after its raise, at the latest by the
 *   unmask, and until then the PBA shows it; nothing is sent twice: sent + merged = raised;
 *   no message is torn: address and data belong together, also when the guest writes them one
 *   after the other under its mask; PENDING stands only with a mask.
 *
 * One step is one atomic operation of the code, whose name stands beside it. The state word is
 * stored as its fields, which only ever change together. The operations are acquire, release or
 * sequentially consistent in the code, and the last load of a raise is ordered by the acquire loads
 * before it: so steps that interleave are all there is.
 *
 * UNMASKED is the other guest: it masks and unmasks, and changes address and data in one step
 * whether the vector is masked or not (msix-unmasked.pml). RAISERS 1 is one raiser, which raises
 * more often (msix-one-raiser.pml).
 *
 * Seeded errors, found through the twins *.expect-error.pml: PLAIN_PEND pends by a load and a store
 * instead of a compare-exchange, PLAIN_UNMASK unmasks so, NO_RECHECK sends without looking at the
 * word again, NO_VERSION flips SELECT and counts nothing, LATE_MESSAGE looks whether the vector is
 * unmasked and then sends what the message is by the time it is whole.
 */
#ifndef RAISERS
#define RAISERS 2
#endif
#ifndef RAISES
#define RAISES 2	/* of each raiser */
#endif
#ifndef REWRITES
#define REWRITES 2
#endif
#ifdef NO_VERSION
#define VERSIONS 1
#else
#define VERSIONS 8	/* more than there are changes: the real one has 24 bits */
#endif

/* The word: struct pci_vector.state */
#define W_MASK 1
#define W_OFF 2
#define W_PENDING 4
#define W_SELECT 8
#define W_VERSION 16
#define MASKED (W_MASK | W_OFF)
#define NEXT(w) (((w) ^ W_SELECT) & 15 | ((((w) / W_VERSION) + 1) % VERSIONS) * W_VERSION)

byte state;
byte address[2], data[2];	/* of rewrite n: n and n */
bit mutex;			/* vectors->mutex */

/* What happened, for the assertions; moves in the step of the code that it belongs to. */
byte raised[2];			/* raises that began: what the device has to tell */
byte returned[2];		/* raises that came back */
byte told[2];			/* of them, what a delivery has told */
byte sent, merged;

inline lock()
{
	atomic { !mutex -> mutex = 1 }
}

inline unlock()
{
	mutex = 0
}

/* peal_msi_deliver: whoever takes the message looks at everything that was raised by now. */
inline deliver(a, d)
{
	atomic {
		assert(a == d);
		sent++;
		told[0] = raised[0];
		told[1] = raised[1]
	}
}

inline check_word()
{
	assert(!(state & W_PENDING) || state & MASKED)
}

/* pci_vectors_raise, which is the first round, and pci_vectors_raise_slow */
proctype raiser(bit me)
{
	byte s, a, d;

	do
	:: raised[me] == RAISES -> break
	:: else ->
		atomic {
			raised[me]++;
again:			s = state				/* load state, acquire */
		}
		if
		:: s & MASKED ->
			atomic {				/* compare_exchange state */
#ifndef PLAIN_PEND
				if
				:: state == s
				:: else -> goto again
				fi;
#endif
				state = s | W_PENDING;
				check_word();
				merged = merged + (s & W_PENDING -> 1 : 0);
				returned[me]++;
				s = 0
			}
		:: !(s & MASKED) ->
			/* message_of */
read:			a = address[s / W_SELECT & 1];		/* load address, acquire */
			d = data[s / W_SELECT & 1];		/* load data, acquire */
#ifndef NO_RECHECK
			if					/* load state */
			:: state == s
#ifdef LATE_MESSAGE
			:: atomic { state != s -> s = state; goto read }
#else
			:: atomic { state != s -> a = 0; d = 0; goto again }
#endif
			fi;
#endif
			atomic { deliver(a, d); returned[me]++; s = 0; a = 0; d = 0 }
		fi
	od
}

/* change(), under the mutex */
inline change(set, clear)
{
	s = state;						/* load state */
	do
	:: atomic {						/* compare_exchange state */
#ifdef PLAIN_UNMASK
			true ->
#else
			state == s ->
#endif
			to = (s | set) & (255 - (clear));
			fire = to & W_PENDING && !(to & MASKED);
			if
			:: fire -> to = to & (255 - W_PENDING)
			:: else
			fi;
			state = to;
			check_word()
		}
		break
#ifndef PLAIN_UNMASK
	:: atomic { state != s -> s = state }			/* … failed: the word as it is */
#endif
	od;
	if
	:: fire ->
		/* pci_vectors_message: the mutex keeps the message as it is. */
		a = address[to / W_SELECT & 1];			/* load address, acquire */
		d = data[to / W_SELECT & 1];			/* load data, acquire */
		deliver(a, d)
	:: else
	fi;
	d_step { s = 0; to = 0; fire = 0; a = 0; d = 0 }
}

/* pci_vectors_set_message, under the mutex; X and Y are the registers' new values */
inline set_message(x, y)
{
	s = state;						/* load state */
	to = 1 - (s / W_SELECT & 1);
	address[to] = x;					/* store address, release */
	data[to] = y;						/* store data, release */
	do
	:: atomic { state == s -> state = NEXT(s); check_word() }	/* compare_exchange state */
		break
	:: atomic { state != s -> s = state }
	od;
	atomic { s = 0; to = 0 }
}

/* A guest masks, and unmasks in the end. */
proctype masker(byte bits)
{
	byte s, to, a, d;
	bit fire;

	lock(); change(bits, 0); unlock();
	lock(); change(0, bits); unlock()
}

#ifdef UNMASKED
proctype rewriter()
{
	byte s, to, n;

	do
	:: n == REWRITES -> break
	:: else ->
		n++;
		lock(); set_message(n, n); unlock()
	od
}
#else
/* pci_vectors_set_mask, then each register of the table, then the mask again */
proctype rewriter()
{
	byte s, to, a, d, n;
	bit fire;

	do
	:: n == REWRITES -> break
	:: else ->
		n++;
		lock(); change(W_MASK, 0); unlock();
		lock(); set_message(n, n - 1); unlock();
		lock(); set_message(n, n); unlock();
		lock(); change(0, W_MASK); unlock()
	od
}
#endif

/*
 * read_pba: what came back and is not told is shown. Nobody unmasks meanwhile, and a raise that is
 * unmasked comes back after it told.
 */
proctype reader()
{
	lock();
	atomic {						/* load state */
		assert(state & W_PENDING ||
		       (told[0] >= returned[0] && told[1] >= returned[1]))
	}
	unlock()
}

init {
	atomic {
		run raiser(0);
#if RAISERS > 1
		run raiser(1);
#endif
#ifdef UNMASKED
		run masker(W_MASK);
#endif
		run masker(W_OFF);
		run rewriter();
		run reader()
	}
	_nr_pr == 1;
	/* Unmasked and quiet. */
	assert(!(state & (MASKED | W_PENDING)));
	assert(told[0] == raised[0] && told[1] == raised[1]);
	assert(sent + merged == RAISERS * RAISES)
}
