/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Model of sends against commands (src/gic/its-send.c, its-map.c, its-command.c): two senders, and
 * an ITS that discards, remaps and moves an event, maps its device anew, and gives its collection
 * to another redistributor. Proved for every interleaving: once a command is over, no send sets the
 * pending state that the command took away or left behind, and no send touches a freed device.
 *
 *   device ─▶ entry[device] = collection and LPI ─▶ target[collection] ─▶ pending[target, LPI]
 *
 * One step is one atomic operation of the code, sequentially consistent. The epoch is its contract
 * (proved in epoch.pml): sync returns when every section that was entered before has been left.
 *
 * Seeded error, found through the twin its.expect-error.pml: NO_SYNC leaves the sync out.
 */
#define SENDERS 2
#define SENDS 2		/* of each */
#define COMMANDS 3
#define DEVICES 3	/* objects: one, and two that replace it at most */
#define NO_DEVICE 3

#define NONE 0		/* an entry that is not mapped; others: collection << 2 | LPI, LPI 1 or 2 */
#define ENTRY(collection, lpi) ((collection) << 2 | (lpi))
#define AT(redist, lpi) ((redist) * 2 + (lpi) - 1)

byte section[SENDERS];	/* number of the section a sender is in; 0: in none */
byte device;		/* the radix tree's pointer */
byte entry[DEVICES];
byte target[2];		/* redistributors 0 and 1 of the collections */
bool pending[4];

/* What no send may do any more; not part of the code. */
bool gone[4];		/* this LPI must not become pending there */
bool freed[DEVICES];

proctype sender(byte self)
{
	byte sent, d, e, t;

	do
	:: sent == SENDS -> break
	:: else ->
		sent++;
		section[self] = sent;			/* peal_epoch_enter */
		d = device;				/* its_find_device */
		if
		:: d == NO_DEVICE
		:: else ->
			assert(!freed[d]);
			e = entry[d];			/* its_find_entry */
			if
			:: e == NONE
			:: else ->
				t = target[e >> 2];	/* its_find_target */
				atomic {		/* gic_pend */
					assert(!gone[AT(t, e & 3)]);
					pending[AT(t, e & 3)] = true
				}
			fi;
			assert(!freed[d])		/* the last use */
		fi;
		section[self] = 0			/* peal_epoch_leave */
	od
}

/* peal_epoch_sync: waits for the sections in progress, one sender after the other */
inline sync()
{
#ifndef NO_SYNC
	seen = section[0];
	seen == 0 || section[0] != seen;
	seen = section[1];
	seen == 0 || section[1] != seen;
#endif
	skip
}

/* A mapping that is about to be in reach may pend. */
inline allow(e)
{
	gone[AT(target[(e) >> 2], (e) & 3)] = false
}

/*
 * gic_command_unpend: the pending state goes wherever it is (LPIs strayed), and no send that is
 * still on its way may bring it back. What is mapped now may of course.
 */
inline clear_pending(e)
{
	pending[AT(0, (e) & 3)] = false;
	atomic {
		pending[AT(1, (e) & 3)] = false;
		gone[AT(0, (e) & 3)] = true;
		gone[AT(1, (e) & 3)] = true;
		if
		:: entry[device] != NONE -> allow(entry[device])
		:: else
		fi
	}
}

/* its_map_event: MAPTI, also of a mapped event */
inline mapti(e)
{
	old = entry[device];
	atomic {
		allow(e);
		entry[device] = e			/* peal_epoch_store */
	}
	if
	:: old != NONE && old != e ->
		sync();
		clear_pending(old)
	:: else
	fi
}

/* its_unmap_event: nothing is left anywhere */
inline discard()
{
	old = entry[device];
	if
	:: old != NONE ->
		entry[device] = NONE;
		sync();
		clear_pending(old);
		assert(!pending[AT(0, old & 3)] && !pending[AT(1, old & 3)])
	:: else
	fi
}

/* run_movi, to the other collection; the pending state goes along */
inline movi()
{
	old = entry[device];
	if
	:: old != NONE ->
		atomic {
			allow(old ^ 4);
			entry[device] = old ^ 4
		}
		sync();
		t = target[(old ^ 4) >> 2];
		atomic {				/* gic_command_move: from the other one */
			was = pending[AT(1 - t, old & 3)];
			pending[AT(1 - t, old & 3)] = false;
			gone[AT(1 - t, old & 3)] = true
		}
		if
		:: was -> pending[AT(t, old & 3)] = true
		:: else
		fi
	:: else
	fi
}

/* its_map_device of a mapped device */
inline mapd()
{
	old = entry[device];
	was_device = device;
	device = device + 1;				/* peal_epoch_store: the new one is empty */
	sync();
	if
	:: old != NONE -> clear_pending(old)
	:: else
	fi;
	freed[was_device] = true
}

/* its_map_collection to the other redistributor; what is pending stays */
inline mapc(c)
{
	t = target[c];
	atomic {
		gone[AT(1 - t, 1)] = false;
		gone[AT(1 - t, 2)] = false;
		target[c] = 1 - t			/* peal_epoch_store */
	}
	sync();
	atomic {
		if
		:: target[1 - c] != t ->
			gone[AT(t, 1)] = true;
			gone[AT(t, 2)] = true
		:: else
		fi
	}
}

proctype its()
{
	byte commands, seen, old, t, was_device;
	bool was;

	do
	:: commands == COMMANDS -> break
	:: else ->
		commands++;
		if
		:: discard()
		:: mapti(ENTRY(0, 1))
		:: mapti(ENTRY(0, 2))
		:: mapti(ENTRY(1, 1))
		:: movi()
		:: device < DEVICES - 1 -> mapd()
		:: mapc(0)
		:: mapc(1)
		fi
	od
}

init {
	atomic {
		entry[0] = ENTRY(0, 1);
		target[1] = 1;
		run sender(0);
		run sender(1);
		run its()
	}
}
