/* SPDX-License-Identifier: BSD-2-Clause */
/* A bell on a bus whose messages are counted per vector: vector v sends data v. */
#ifndef PEAL_TESTS_BELL_RIG_H
#define PEAL_TESTS_BELL_RIG_H

#include <peal/bell.h>

#include "support.h"

#define RIG_VECTORS_MAX 2048u
#define RIG_LINE        1u /* INTA# of device 1, after the swizzle */

struct rig {
	struct test_ram ram;
	struct peal_pci_bus *bus;
	struct peal_bell *bell;
	struct peal_pci_function *function;
	uint64_t messages[RIG_VECTORS_MAX]; /* by data */
};

static inline int rig_deliver(void *user, const struct peal_msi_msg *msg)
{
	struct rig *rig = (struct rig *)user;

	thread_assert(msg->data < RIG_VECTORS_MAX);
	(void)__atomic_fetch_add(&rig->messages[msg->data], 1, __ATOMIC_SEQ_CST);
	return 1;
}

static inline uint64_t rig_messages(const struct rig *rig, unsigned vector)
{
	return __atomic_load_n(&rig->messages[vector], __ATOMIC_SEQ_CST);
}

static inline uint32_t rig_read(struct rig *rig, uint64_t offset)
{
	return (uint32_t)peal_pci_bar_read(rig->function, PEAL_BELL_BAR, offset, 4);
}

static inline void rig_write(struct rig *rig, uint64_t offset, uint32_t value)
{
	peal_pci_bar_write(rig->function, PEAL_BELL_BAR, offset, 4, value);
}

static inline bool rig_line(struct rig *rig)
{
	return peal_pci_bus_intx_level(rig->bus, RIG_LINE);
}

/* Where the capability stands; 0: nowhere. */
static inline uint32_t rig_capability(struct rig *rig, uint8_t id)
{
	uint32_t at = (uint32_t)peal_pci_config_read(rig->function, 0x34, 1);

	while (at && peal_pci_config_read(rig->function, at, 1) != id)
		at = (uint32_t)peal_pci_config_read(rig->function, at + 1, 1);
	return at;
}

static inline void rig_enable_msix(struct rig *rig, unsigned vectors)
{
	for (unsigned v = 0; v < vectors; v++) {
		peal_pci_bar_write(rig->function, PEAL_BELL_MSIX_BAR, 16 * v, 8, 0xfee00000);
		peal_pci_bar_write(rig->function, PEAL_BELL_MSIX_BAR, 16 * v + 8, 8, v);
	}
	peal_pci_config_write(rig->function, rig_capability(rig, 0x11) + 2, 2, 0x8000);
}

static inline void rig_open(struct rig *rig, unsigned vectors)
{
	static const struct peal_msi_sink_ops ops = { .deliver = rig_deliver };
	const struct peal_bell_config config = { .host = peal_host_default(), .vectors = vectors };
	struct peal_pci_bus_config bus = { .host = config.host, .sink = { &ops, rig } };
	int r;

	memset(rig, 0, sizeof(*rig));
	test_ram_init(&rig->ram, config.host, 0, 4096);
	bus.memory = bus.dma = rig->ram.space;
	r = peal_pci_bus_new(&rig->bus, &bus);
	assert_int_equal(r, 0);
	r = peal_bell_new(&rig->bell, &config);
	assert_int_equal(r, 0);
	rig->function = peal_bell_function(rig->bell);
	r = peal_pci_bus_plug(rig->bus, 8, rig->function);
	assert_int_equal(r, 0);
	peal_pci_config_write(rig->function, 0x04, 2, 0x0006);
}

static inline void rig_close(struct rig *rig)
{
	peal_pci_bus_unplug(rig->bus, rig->function);
	peal_bell_free(rig->bell);
	peal_pci_bus_free(rig->bus);
	test_ram_done(&rig->ram);
}

#endif
