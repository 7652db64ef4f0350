/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>

#include "pci-names.h"

#if PEAL_HAVE_LIBPCI

#include <pci/pci.h>

/* Asking udev's database leaks memory in libpci 3.9, and it has the same names. */
#define LOOKUP PCI_LOOKUP_NO_HWDB

struct pci_names {
	struct pci_access *access;
};

static void quiet(char *message, ...)
{
	(void)message;
}

struct pci_names *pci_names_new(void)
{
	struct pci_names *names = calloc(1, sizeof(*names));

	if (!names)
		return NULL;
	/* Only the names: the buses of this machine are not looked at. */
	names->access = pci_alloc();
	names->access->warning = quiet;
	names->access->debug = quiet;
	return names;
}

void pci_names_free(struct pci_names *names)
{
	if (!names)
		return;
	pci_cleanup(names->access);
	free(names);
}

const char *pci_names_class(struct pci_names *names, uint16_t class_code, char *text, size_t size)
{
	return pci_lookup_name(names->access, text, (int)size, LOOKUP | PCI_LOOKUP_CLASS,
			       class_code);
}

const char *pci_names_device(struct pci_names *names, uint16_t vendor, uint16_t device, char *text,
			     size_t size)
{
	return pci_lookup_name(names->access, text, (int)size,
			       LOOKUP | PCI_LOOKUP_VENDOR | PCI_LOOKUP_DEVICE, vendor, device);
}

const char *pci_names_subsystem(struct pci_names *names, const uint16_t ids[4], char *text,
				size_t size)
{
	return pci_lookup_name(names->access, text, (int)size,
			       LOOKUP | PCI_LOOKUP_SUBSYSTEM | PCI_LOOKUP_VENDOR |
				       PCI_LOOKUP_DEVICE,
			       ids[0], ids[1], ids[2], ids[3]);
}

const char *pci_names_interface(struct pci_names *names, uint16_t class_code, uint8_t interface,
				char *text, size_t size)
{
	return pci_lookup_name(names->access, text, (int)size,
			       LOOKUP | PCI_LOOKUP_PROGIF | PCI_LOOKUP_NO_NUMBERS, class_code,
			       interface);
}

#else

struct pci_names {
	char unused;
};

struct pci_names *pci_names_new(void)
{
	return calloc(1, sizeof(struct pci_names));
}

void pci_names_free(struct pci_names *names)
{
	free(names);
}

const char *pci_names_class(struct pci_names *names, uint16_t class_code, char *text, size_t size)
{
	(void)names;
	(void)snprintf(text, size, "Class %04x", class_code);
	return text;
}

const char *pci_names_device(struct pci_names *names, uint16_t vendor, uint16_t device, char *text,
			     size_t size)
{
	(void)names;
	(void)snprintf(text, size, "Device %04x:%04x", vendor, device);
	return text;
}

const char *pci_names_subsystem(struct pci_names *names, const uint16_t ids[4], char *text,
				size_t size)
{
	return pci_names_device(names, ids[2], ids[3], text, size);
}

const char *pci_names_interface(struct pci_names *names, uint16_t class_code, uint8_t interface,
				char *text, size_t size)
{
	(void)names;
	(void)class_code;
	(void)interface;
	(void)text;
	(void)size;
	return NULL;
}

#endif
