/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts of a served device, taken as a driver takes them: an eventfd for each vector of one
 * index, masks where the device has them, and two ways of ringing: through the server (loopback), or
 * through the registers of a bell.
 */
#ifndef PEAL_CLI_IRQ_DEVICE_H
#define PEAL_CLI_IRQ_DEVICE_H

#include "vfio-target.h"

#define IRQ_VECTORS_MAX 2048u

struct irq_vector {
	bool chosen;
	int fd;            /* -1: not chosen */
	uint64_t arrived;  /* since the last look */
	uint64_t expected; /* since the last look */
	bool pends;        /* rung while masked: the unmasking will deliver it */
	bool touched;      /* MSI-X: its table entry was written */
	uint32_t control;  /* and what it had */
};

struct irq_device {
	struct vfio_target *target; /* borrowed */
	unsigned index;
	unsigned count; /* of vectors of the index */
	bool is_bell;   /* rings go through the registers */
	bool is_on;
	bool masked;
	bool has_command;
	uint16_t command;   /* as it was */
	uint16_t control;   /* message control, as it was */
	uint32_t at;        /* of the capability in configuration space, 0: none */
	uint32_t table_bar; /* MSI-X */
	uint32_t table;
	uint32_t pba_bar;
	uint32_t pba;
	uint32_t mask_at; /* MSI: register, 0: none */
	bool touched;     /* and it was written */
	uint32_t mask;    /* what it had */
	struct irq_vector vectors[IRQ_VECTORS_MAX];
};

/* All return CLI_OK, or the exit code after a message. */

/* Looks where the index's masks are. Nothing is changed. IS_BELL: the device has to be one. */
int irq_device_find(struct irq_device *ret, struct vfio_target *target, unsigned index,
		    bool is_bell);

/* Enables the index for the chosen vectors, and lets the device send. */
int irq_device_enable(struct irq_device *device);

/* Rings each chosen vector once. */
int irq_device_ring(struct irq_device *device);

int irq_device_mask(struct irq_device *device, bool mask);

/* A bell: rings by itself, RATE times a second (0: no more). */
int irq_device_ring_at(struct irq_device *device, uint64_t rate);

/* Counts what has arrived, and acknowledges INTx at a bell. */
int irq_device_look(struct irq_device *device);

/* Is a vector pending at the device? Not known: false. */
int irq_device_pending(struct irq_device *device, unsigned vector, bool *known, bool *ret);

/* Puts back what enable and mask have changed. */
void irq_device_done(struct irq_device *device);

#endif
