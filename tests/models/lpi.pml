/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Model of src/gic/lpi.c: two senders that set pending bits and lower the summary, a CPU that
 * looks for the next LPI, acknowledges it and repairs the summary, and INV that enables an LPI.
 * Proved for every interleaving: when all is quiet (senders and INV are done and the CPU has looked
 * after the last kick), no LPI is pending and enabled, and of one that is pending the summary tells;
 * and the CPU's look comes to an end, however long the others stand still (accept_look is not passed
 * infinitely often).
 *
 * With TAKE (lpi-movall.pml): MOVALL, or EnableLPIs cleared, twice, that takes away whatever is
 * pending, in the place of INV and of one send. Proved beside: it leaves nothing behind whose send
 * was over before, disabled or not.
 *
 *   top ─┬─ best[0] ── word 0: LPI 0, LPI 1
 *        └─ best[1] ── word 1: LPI 2
 *
 * One step is one atomic operation of the code, all sequentially consistent; a word of pending
 * bits is loaded at once. Priorities: 0 is the highest, 1 the lowest; MAYBE and NONE are
 * PRIORITY_MAYBE and PRIORITY_NONE of the summary.
 *
 * Seeded errors, each found through a twin: with LOOK_FIRST, repair() looks below a byte before it
 * resets it, so a send in between finds the old promise and leaves it alone; with REPAIR_TO_NONE,
 * it resets to NONE, and a MOVALL at that moment finds nothing; with TAKE_FIRST, MOVALL takes what
 * is below a byte before it resets it.
 */
#define LPIS 3
#define WORDS 2
#define MAYBE 2
#define NONE 3
#define MOVALLS 2
#define DISABLED 4	/* configuration; else it is the priority */

#ifdef REPAIR_TO_NONE
#define REPAIRED NONE
#else
#define REPAIRED MAYBE
#endif

#define WORD(lpi) ((lpi) / 2)

bool pending[LPIS];
byte config[LPIS];
byte best[WORDS];
byte top;

bool kick;		/* the CPU was kicked and has not looked since */
bool idle;		/* it has looked and waits for a kick */
byte done;		/* senders, INV or MOVALL that are through */

/* Not part of the code. */
byte owner[LPIS];	/* whose send made it pending */
bool settled[LPIS];	/* pending, and that send is over */
bool leave[LPIS];	/* MOVALL has to take this one */

/*
 * lower(): whatever its loop meets, what it does in the end is one step: the load that finds the
 * byte low enough, or the compare-and-exchange that succeeds.
 */
inline lower(place, level)
{
	atomic {
		if
		:: level < place -> place = level
		:: else
		fi
	}
}

/* announce() */
inline announce(lpi)
{
	c = config[lpi];
	if
	:: c == DISABLED ->
		lower(best[WORD(lpi)], MAYBE);
		lower(top, MAYBE)
	:: else ->
		lower(best[WORD(lpi)], c);
		lower(top, c);
		kick = true
	fi
}

/* gic_pend() */
inline pend(lpi)
{
	atomic {
		was = pending[lpi];
		pending[lpi] = true;
		if
		:: !was -> owner[lpi] = _pid
		:: else
		fi
	}
	if
	:: was
	:: else ->
		announce(lpi);
		d_step { settled[lpi] = pending[lpi] && owner[lpi] == _pid }
	fi
}

proctype two_sends()
{
	byte c;
	bool was;

	pend(0);
	pend(1);
	done++
}

proctype one_send()
{
	byte c;
	bool was;

	if
	:: pend(0)
	:: pend(1)
	:: pend(2)
	fi;
	done++
}

proctype disabled_send()
{
	byte c;
	bool was;

	pend(1);
	done++
}

/* set_config() */
inline configure(lpi, value)
{
	config[lpi] = value;
	if
	:: pending[lpi] -> announce(lpi)
	:: else
	fi
}

inline take(lpi)
{
	pending[lpi] = false;
	settled[lpi] = false;
	leave[lpi] = false
}

inline take_word(w)
{
	atomic {
		if
		:: w == 0 -> take(0); take(1)
		:: else -> take(2)
		fi
	}
}

/* visit_below() of a word */
inline visit_word(w)
{
	if
	:: best[w] != NONE ->
#ifdef TAKE_FIRST
		take_word(w);
		best[w] = NONE
#else
		best[w] = NONE;			/* exchange */
		take_word(w)
#endif
	:: else
	fi
}

/* gic_command_move_all(), twice; where to does not matter here */
proctype movall()
{
	byte n;

	do
	:: n == MOVALLS -> break
	:: else ->
		d_step {
			n++;
			leave[0] = settled[0];
			leave[1] = settled[1];
			leave[2] = settled[2]
		}
		if
		:: top != NONE ->
			top = NONE;		/* exchange */
			visit_word(0);
			visit_word(1)
		:: else
		fi;
		assert(!leave[0] && !leave[1] && !leave[2])
	od;
	done++
}

proctype inv()
{
	byte c;

	configure(1, 0);
	done++
}

/* One LPI of a word whose bits were loaded; one that is off is never the best. */
inline consider(lpi, is_set)
{
	if
	:: is_set ->
		c = config[lpi];
		if
		:: c != DISABLED && c < b -> b = c; found = lpi
		:: else
		fi
	:: else
	fi
}

/* best_of_word(): b and found */
inline best_of_word(w)
{
	b = NONE;
	if
	:: w == 0 ->
		d_step {
			bit0 = pending[0];
			bit1 = pending[1]
		}
		consider(0, bit0);
		consider(1, bit1)
	:: else ->
		bit0 = pending[2];
		consider(2, bit0)
	fi;
	bit0 = false;
	bit1 = false
}

/* best_of_children(): ends with the first that is as good as ENOUGH */
inline best_of_children(enough)
{
	b = best[0];
	found = 0;
	if
	:: b > enough ->
		c = best[1];
		if
		:: c < b -> b = c; found = 1
		:: else
		fi
	:: else
	fi
}

/* repair(), for a word and then for the top */
inline repair_word(w)
{
#ifdef LOOK_FIRST
	best_of_word(w);
	best[w] = REPAIRED;
#else
	best[w] = REPAIRED;		/* exchange */
	best_of_word(w);
#endif
	lower(best[w], b);
	repair_top()
}

inline repair_top()
{
#ifdef LOOK_FIRST
	best_of_children(0);
	top = REPAIRED;
#else
	top = REPAIRED;			/* exchange */
	best_of_children(0);
#endif
	lower(top, b)
}

/* peal_gic_acknowledge() until there is nothing, whenever kicked. */
proctype cpu()
{
	byte promised, b, c, found, word;
	bool bit0, bit1;

wait:
	b = 0;
	d_step {
		c = 0;
		found = 0;
		word = 0;
		promised = 0;
		idle = true
	}
end:
	atomic {
		kick;
		kick = false;
		idle = false
	}
accept_look:
	promised = top;
	if
	:: promised >= MAYBE -> goto wait
	:: else
	fi;
	best_of_children(promised);
	if
	:: b > promised ->
		repair_top();
		goto accept_look
	:: else
	fi;
	promised = b;
	word = found;
	best_of_word(word);
	if
	:: b > promised -> repair_word(word)
	:: else -> atomic { take(found) }	/* gic_unpend() */
	fi;
	goto accept_look
}

init {
	atomic {
		config[0] = 1;
		config[1] = DISABLED;
		config[2] = 0;
		/* LPI 2 was sent already: what the CPU leaves when it takes it is a promise too much. */
		pending[2] = true;
		settled[2] = true;
		best[0] = NONE;
		best[1] = 0;
		top = 0;
		kick = true;
#ifdef TAKE
		run one_send();
		run disabled_send();
		run movall();
#else
		run two_sends();
		run one_send();
		run inv();
#endif
		run cpu()
	}
	atomic {
		done == 3 && idle && !kick ->
		assert(!(pending[0] && config[0] != DISABLED));
		assert(!(pending[1] && config[1] != DISABLED));
		assert(!(pending[2] && config[2] != DISABLED));
		assert(!(pending[0] || pending[1]) || (best[0] != NONE && top != NONE));
		assert(!pending[2] || (best[1] != NONE && top != NONE))
	}
}
