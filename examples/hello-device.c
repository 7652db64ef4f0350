/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A complete PCI device: a doorbell register in BAR 0. Writing it raises MSI-X vector 0; reading it
 * tells how often it was written. Everything else that makes it a PCI function (configuration
 * space, sizing, masks, pending bits, reset) is the library's. How it is saved: hello-device-state.c.
 */
#include "hello-device.h"

/* Accesses come from any thread and at any time: the driver is free to do what it likes. */
static uint64_t bar_read(void *user, uint64_t offset, unsigned size)
{
	struct hello *hello = user;

	(void)size;
	return offset == 0 ? __atomic_load_n(&hello->rings, __ATOMIC_RELAXED) : 0;
}

static void bar_write(void *user, uint64_t offset, unsigned size, uint64_t value)
{
	struct hello *hello = user;

	(void)size;
	(void)value;
	if (offset != 0)
		return;
	__atomic_fetch_add(&hello->rings, 1, __ATOMIC_RELAXED);
	/* Sent now, or once the driver unmasks the vector: either way it is not lost. */
	(void)peal_msix_notify(peal_pci_function_msix(hello->function), 0);
}

static const struct peal_pci_bar_ops bar_ops = { .read = bar_read, .write = bar_write };

static void reset(void *user)
{
	struct hello *hello = user;

	__atomic_store_n(&hello->rings, 0, __ATOMIC_RELAXED);
}

static const struct peal_pci_function_ops function_ops = { .reset = reset,
							   .state = &hello_state_ops };

int hello_new(struct hello **ret, const struct peal_host *host)
{
	struct hello *hello = peal_alloc(host, sizeof(*hello));
	const struct peal_pci_function_config config = {
		.host = host,
		.vendor_id = HELLO_VENDOR_ID,
		.device_id = HELLO_DEVICE_ID,
		.class_code = 0xff0000, /* fits no class */
		.ops = &function_ops,
		.user = hello,
	};
	int r;

	if (!hello)
		return -ENOMEM;
	hello->host = host;
	r = peal_pci_function_new(&hello->function, &config);
	if (r == 0)
		r = peal_pci_function_add_bar(hello->function, HELLO_BAR, PEAL_PCI_BAR_MEM32, 4096,
					      &bar_ops, hello);
	if (r == 0)
		r = peal_pci_function_add_pci_express(hello->function);
	if (r == 0)
		r = peal_pci_function_add_msix_exclusive(hello->function, 1, HELLO_MSIX_BAR);
	if (r == 0) /* the device is going to raise vector 0 */
		r = peal_msix_use(peal_pci_function_msix(hello->function), 0);
	if (r < 0) {
		hello_free(hello);
		return r;
	}
	*ret = hello;
	return 0;
}

void hello_free(struct hello *hello)
{
	if (!hello)
		return;
	peal_pci_function_free(hello->function);
	peal_free(hello->host, hello, sizeof(*hello));
}

struct peal_pci_function *hello_function(struct hello *hello)
{
	return hello->function;
}
