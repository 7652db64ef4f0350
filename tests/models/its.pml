/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Model of sends against commands (src/gic/its-send.c, its-map.c, its-command.c): two senders, and
 * an ITS that discards, remaps and moves an event, unmaps its device or maps it anew, gives its
 * collection to another redistributor, and is switched off and on. Proved for every interleaving:
 * once a command is over, no send sets the pending state that the command took away or left behind,
 * none becomes pending while the ITS is off, and no send touches a freed device.
 *
 *   device ─▶ entry[device] = collection and LPI ─▶ target[collection] ─▶ pending[target, LPI]
 *
 * One step is one atomic operation of the code, sequentially consistent. The epoch is its contract
 * (proved in epoch.pml): sync returns when every section that was entered before has been left.
 *
 * Seeded errors, each found through a twin: NO_SYNC leaves the sync out; FREE_FIRST frees a device
 * before the sync, CLEAR_FIRST takes the pending state away before it; OFF_AT_ONCE does not wait for
 * the sends in progress when the ITS is switched off.
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
byte made = 1;		/* devices so far */
bool its_on = true;	/* GITS_CTLR */
byte entry[DEVICES + 1];	/* the last one stays empty, for NO_DEVICE */
byte target[2];		/* redistributors 0 and 1 of the collections */
bool pending[4];

/* What no send may do any more; not part of the code. */
bool gone[4];		/* this LPI must not become pending there */
bool freed[DEVICES];
bool off;		/* nothing must become pending at all */

proctype sender(byte self)
{
	byte sent, d, e, t;

	do
	:: sent == SENDS -> break
	:: else ->
		sent++;
		section[self] = sent;			/* peal_epoch_enter */
		if					/* peal_epoch_load(&its->enabled) */
		:: its_on -> d = device		/* its_find_device */
		:: !its_on -> d = NO_DEVICE
		fi;
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
					assert(!gone[AT(t, e & 3)] && !off);
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
#ifdef CLEAR_FIRST
		clear_pending(old);
		sync();
#else
		sync();
		clear_pending(old);
#endif
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

/* Of a device that is out of reach: free_device() */
inline free_device(was)
{
#ifdef FREE_FIRST
	freed[was] = true;
#endif
	sync();
	if
	:: old != NONE -> clear_pending(old)
	:: else
	fi;
	freed[was] = true
}

/* its_map_device, of a mapped device as well: the new one is empty */
inline mapd()
{
	old = entry[device];
	was_device = device;
	device = made;					/* peal_epoch_store */
	made++;
	if
	:: was_device != NO_DEVICE -> free_device(was_device)
	:: else
	fi
}

/* its_unmap_device */
inline unmapd()
{
	old = entry[device];
	was_device = device;
	device = NO_DEVICE;				/* peal_epoch_store */
	free_device(was_device)
}

/* write_ctlr, to 0 and back to 1 */
inline toggle()
{
	its_on = false;				/* peal_epoch_store */
#ifndef OFF_AT_ONCE
	sync();
#endif
	off = true;
	off = false;
	its_on = true
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
		:: device != NO_DEVICE -> mapti(ENTRY(0, 1))
		:: device != NO_DEVICE -> mapti(ENTRY(0, 2))
		:: device != NO_DEVICE -> mapti(ENTRY(1, 1))
		:: movi()
		:: made < DEVICES -> mapd()
		:: device != NO_DEVICE -> unmapd()
		:: toggle()
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
