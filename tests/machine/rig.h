/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine with a body of guest code: rig_run() starts it, lets BODY run on vCPU 0, and stops it.
 * The body runs on another thread than the test, so it uses thread_assert(). A body that hangs
 * aborts the program. And a PCI function whose vectors a test raises.
 */
#ifndef PEAL_TESTS_MACHINE_RIG_H
#define PEAL_TESTS_MACHINE_RIG_H

#include "support.h"

#include <sched.h>
#include <time.h>

#include <peal/machine.h>

#define RIG_RAM        (UINT64_C(4) << 20)
#define RIG_VENDOR     0x1234u
#define RIG_PATIENCE_S 100u /* meson ends a test after longer than that */

struct rig {
	struct peal_machine *machine;
	struct peal_guest *guest;
	struct peal_vcpu *vcpu; /* the one that runs the body */
	void (*body)(struct rig *rig);
	void *user;
};

static inline double rig_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline void rig_new_with(struct rig *rig, unsigned vcpus, uint64_t ram, unsigned spin_us)
{
	const struct peal_machine_config config = {
		.ram_size = ram,
		.vcpus = vcpus,
		.spin_us = spin_us,
	};

	memset(rig, 0, sizeof(*rig));
	assert_int_equal(peal_machine_new(&rig->machine, &config), 0);
}

static inline void rig_new_with_ram(struct rig *rig, unsigned vcpus, uint64_t ram)
{
	rig_new_with(rig, vcpus, ram, 0);
}

static inline void rig_new(struct rig *rig, unsigned vcpus)
{
	rig_new_with_ram(rig, vcpus, RIG_RAM + vcpus * UINT64_C(0x10000));
}

static inline void rig_main(struct peal_vcpu *vcpu, void *user)
{
	struct rig *rig = (struct rig *)user;

	rig->vcpu = vcpu;
	rig->body(rig);
}

static inline void rig_wait(struct rig *rig)
{
	double begin = rig_now();

	while (!peal_machine_wait(rig->machine, 1000))
		thread_assert(rig_now() - begin < RIG_PATIENCE_S);
}

static inline void rig_run(struct rig *rig, void (*body)(struct rig *rig), void *user)
{
	rig->body = body;
	rig->user = user;
	assert_int_equal(peal_machine_start(rig->machine, rig_main, rig), 0);
	rig_wait(rig);
	peal_machine_stop(rig->machine);
}

/* Nothing may be plugged any more. */
static inline void rig_done(struct rig *rig)
{
	peal_machine_free(rig->machine);
	memset(rig, 0, sizeof(*rig));
}

/* ---- for bodies ---- */

static inline void rig_guest_new(struct rig *rig, enum peal_guest_mistake mistake)
{
	int r = peal_guest_new(&rig->guest, rig->machine, mistake);

	thread_assert(r == 0);
}

static inline void rig_guest_free(struct rig *rig)
{
	peal_guest_free(rig->guest);
	rig->guest = NULL;
}

static inline struct peal_guest_function *rig_find(struct rig *rig, uint16_t device)
{
	struct peal_guest_function *function = NULL;
	int r = peal_guest_find(&function, rig->guest, RIG_VENDOR, device);

	thread_assert(r == 0 && function);
	return function;
}

/* Takes interrupts until *COUNTER is at least VALUE; what was written before it was, is visible. */
static inline void rig_wait_for(struct rig *rig, const uint64_t *counter, uint64_t value)
{
	double begin = rig_now();

	while (__atomic_load_n(counter, __ATOMIC_ACQUIRE) < value) {
		peal_vcpu_take_interrupts(rig->vcpu);
		(void)sched_yield();
		thread_assert(rig_now() - begin < RIG_PATIENCE_S);
	}
}

/* ---- a function with MSI-X, in BAR 0 ---- */

static inline struct peal_pci_function *rig_function(uint16_t device, bool multifunction)
{
	const struct peal_pci_function_config config = {
		.host = peal_host_default(),
		.vendor_id = RIG_VENDOR,
		.device_id = device,
		.multifunction = multifunction,
		.class_code = 0xff0000,
	};
	struct peal_pci_function *function;

	assert_int_equal(peal_pci_function_new(&function, &config), 0);
	return function;
}

static inline struct peal_pci_function *rig_msix_function(uint16_t device, unsigned vectors)
{
	struct peal_pci_function *function = rig_function(device, false);

	assert_int_equal(peal_pci_function_add_msix_exclusive(function, vectors, 0), 0);
	return function;
}

static inline void rig_plug(struct rig *rig, uint8_t devfn, struct peal_pci_function *function)
{
	assert_int_equal(peal_pci_bus_plug(peal_machine_bus(rig->machine), devfn, function), 0);
}

static inline void rig_unplug(struct rig *rig, struct peal_pci_function *function)
{
	peal_pci_bus_unplug(peal_machine_bus(rig->machine), function);
	peal_pci_function_free(function);
}

/* What a driver does before it expects interrupts: Command.BusMaster. */
static inline void rig_set_master(struct peal_guest_function *function)
{
	const struct peal_driver_ops *ops = peal_guest_driver_ops();

	ops->config_write(function, 4, 2, ops->config_read(function, 4, 2) | 4);
}

#endif
