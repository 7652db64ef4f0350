/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of a bell: bell-posix.c is the device, state.c saves and loads it. The register tables
 * are also for their check.
 */
#ifndef PEAL_SRC_BELL_BELL_H
#define PEAL_SRC_BELL_BELL_H

#include <pthread.h>

#include <peal/bell.h>
#include <peal/regs.h>

#define BELL_REGS_SIZE   0x40u
#define BELL_VECTORS_MAX 2048u

struct bell_program {
	uint32_t first;
	uint32_t count;
	uint32_t rounds;
	uint32_t period; /* µs */
};

/* Where the rounds are. */
struct bell_rounds {
	struct bell_program program;
	uint32_t left; /* rounds */
	uint32_t at;   /* vectors of the round that rang already */
	bool waits;    /* for the period before the round */
};

struct peal_bell {
	const struct peal_host *host;
	struct peal_pci_function *function;
	struct peal_msix *msix;
	struct peal_msi *msi;
	unsigned vectors;
	struct peal_reg_bank bank;
	uint8_t image[BELL_REGS_SIZE] __attribute__((aligned(8)));
	struct peal_mutex mutex; /* registers */

	uint32_t cause;
	struct peal_mutex intx_mutex;

	struct peal_mutex control; /* who changes the rounds */
	bool is_paused;            /* under control */
	pthread_mutex_t rounds_mutex;
	pthread_cond_t changed;
	pthread_t thread;
	bool is_ready;   /* mutex and condition are made */
	bool is_running; /* the thread is */
	bool end;
	struct bell_rounds rounds; /* the thread's while it runs them */
	uint64_t wanted;           /* odd: the thread shall run the rounds */
	uint64_t seen;             /* that the thread works by */

	uint64_t rings[]; /* of each vector */
};

/* ---- bell-posix.c ---- */

void bell_drive_intx(struct peal_bell *bell);
/* Replaces the rounds; those of before have stopped on return. */
void bell_set_rounds(struct peal_bell *bell, const struct bell_rounds *rounds);
/* Where they are, exactly while the bell is paused. */
struct bell_rounds bell_get_rounds(struct peal_bell *bell);
/* While it is, it does not ring by itself. */
void bell_pause(struct peal_bell *bell, bool paused);

/* ---- state.c ---- */

extern const struct peal_pci_state_ops bell_state_ops;

extern const struct peal_reg bell_rows[];
extern const unsigned bell_nrows;
extern const struct peal_reg bell_ring_rows[];
extern const unsigned bell_ring_nrows;
extern const struct peal_reg bell_rings_rows[];
extern const unsigned bell_rings_nrows;

#endif
