/* SPDX-License-Identifier: BSD-2-Clause */
/* How the device of hello-device.c is stopped, saved and loaded, as a move to another host needs. */
#include "hello-device.h"

#include <peal/bits.h>

/* It does nothing by itself, so there is nothing to stop. Its vector is always in use. */
static void stop(void *user, bool stopped)
{
	(void)user;
	(void)stopped;
}

static size_t state_size(void *user)
{
	(void)user;
	return sizeof(uint64_t);
}

static void save(void *user, uint8_t *bytes)
{
	const struct hello *hello = user;

	peal_store_le(bytes, 8, __atomic_load_n(&hello->rings, __ATOMIC_RELAXED));
}

static int load(void *user, const uint8_t *bytes, size_t size)
{
	struct hello *hello = user;

	if (size != 8 || peal_msix_uses(peal_pci_function_msix(hello->function), 0) != 1)
		return -EINVAL;
	__atomic_store_n(&hello->rings, peal_load_le(bytes, 8), __ATOMIC_RELAXED);
	return 0;
}

const struct peal_pci_state_ops hello_state_ops = {
	.stop = stop,
	.size = state_size,
	.save = save,
	.load = load,
};
