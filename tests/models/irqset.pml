/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Model of the INTx index of an irqset (src/vfio/intx.c): a device that asserts its line and waits
 * to be served, a driver that lowers the line and unmasks for each signal (by UNMASK or the unmask
 * watcher, which are the same step), configuration writes that set and clear Interrupt Disable (a
 * device that is stopped and started holds its line by the same step, with a bit of its own), and
 * a user that takes the trigger away, sets one, and replaces it. Proved for every interleaving:
 *
 *   no interrupt is lost: the device is always served (no invalid end state);
 *   none is signalled twice: as many signals as the line was asserted;
 *   no trigger is signalled that was given back, and none is signalled that is not there.
 *
 * One step is one atomic operation of the code, all sequentially consistent. The epoch
 * (tests/models/epoch.pml) is what it promises: sync waits for the sections entered before.
 *
 * Seeded errors, found through the twins *.expect-error.pml: PLAIN_STEP changes the word by a load
 * and a store, NO_TRIGGER_BIT masks whether or not there is somebody to be told, NULL_FIRST takes
 * the trigger before it clears TRIGGER and does not look again, NO_SYNC gives it back at once.
 */
#define ASSERTS 2

#define W_ACTIVE 1
#define W_TRIGGER 2
#define W_VIRTUAL 4
#define W_MASKED 8
#define W_LINE 16

#define DEVICE 0
#define DRIVER 1
#define CONFIG 2
#define USER 3
#define THREADS 4

#ifdef NO_TRIGGER_BIT
#define GATE (W_ACTIVE | W_VIRTUAL | W_MASKED | W_LINE)
#define OPEN (W_ACTIVE | W_LINE)
#else
#define GATE (W_ACTIVE | W_TRIGGER | W_VIRTUAL | W_MASKED | W_LINE)
#define OPEN (W_ACTIVE | W_TRIGGER | W_LINE)
#endif

byte word = W_ACTIVE | W_TRIGGER;	/* irqset->intx */
byte trigger = 1;			/* 0: none */
bool given_back[4];			/* triggers */
byte entered[THREADS];			/* sections of the epoch */
bit inside[THREADS];
byte signals;
byte handled;

/* step() by thread ME */
inline step(me, set, clear)
{
	atomic { inside[me] = 1; entered[me]++ }	/* peal_epoch_enter */
	do
	::
		s = word;				/* load */
		to = (s | (set)) & ~(clear) & 31;
		t = 0;
		fire = ((to & GATE) == OPEN);
		if
		:: fire ->
			to = to | W_MASKED;
			t = trigger			/* peal_epoch_load */
		:: else
		fi;
		if
#if !defined(NO_TRIGGER_BIT) && !defined(NULL_FIRST)
		:: fire && t == 0 -> skip		/* its trigger is gone: again */
#endif
		:: else ->
#ifdef PLAIN_STEP
			word = to;
			break
#else
			if				/* compare-exchange */
			:: atomic { word == s -> word = to }; break
			:: atomic { word != s -> skip }
			fi
#endif
		fi
	od;
	if
	:: t != 0 ->
		assert(!given_back[t]);
		atomic { signals++; assert(signals <= ASSERTS) }
	:: else
	fi;
	inside[me] = 0					/* peal_epoch_leave */
}

proctype device()
{
	byte s, to, t, n;
	bool fire;

	do
	:: n == ASSERTS -> break
	:: else ->
		step(DEVICE, W_LINE, 0);
		n++;
		handled == n
	od
}

proctype driver()
{
	byte s, to, t, n;
	bool fire;

	do
	:: n == ASSERTS -> break
	:: else ->
		signals > n;
		n++;
		step(DRIVER, 0, W_LINE);
		handled++;
		step(DRIVER, 0, W_MASKED)		/* UNMASK, or the watcher fires */
	od
}

proctype config()
{
	byte s, to, t;
	bool fire;

	step(CONFIG, W_VIRTUAL, 0);
	step(CONFIG, 0, W_VIRTUAL)
}

inline sync_and_give_back(old)
{
#ifndef NO_SYNC
	i = 0;
	do
	:: i == THREADS -> break
	:: else ->
		atomic {
			seen = entered[i];
			if
			:: inside[i] && i != USER -> skip
			:: else -> seen = 255
			fi
		};
		(seen == 255 || inside[i] == 0 || entered[i] != seen);
		i++
	od;
#endif
	given_back[old] = true
}

proctype user()
{
	byte s, to, t, i, seen;
	bool fire;

	/* replace(NULL) */
#ifdef NULL_FIRST
	trigger = 0;
	step(USER, 0, W_TRIGGER);
#else
	step(USER, 0, W_TRIGGER);
	trigger = 0;
#endif
	sync_and_give_back(1);
	/* replace(2) */
	trigger = 2;
	step(USER, W_TRIGGER, 0);
	/* replace(3) */
	trigger = 3;
	step(USER, W_TRIGGER, 0);
	sync_and_give_back(2)
}

init {
	atomic {
		run device();
		run driver();
		run config();
		run user()
	}
}
