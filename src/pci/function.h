/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of a PCI function, for the files of this module. */
#ifndef PEAL_SRC_PCI_FUNCTION_H
#define PEAL_SRC_PCI_FUNCTION_H

#include <peal/bits.h>
#include <peal/pci.h>

#define PCI_HEADER_SIZE       64u
#define PCI_CONVENTIONAL_SIZE 256u

#define PCI_COMMAND              0x04u
#define PCI_COMMAND_IO           0x0001u
#define PCI_COMMAND_MEMORY       0x0002u
#define PCI_COMMAND_BUS_MASTER   0x0004u
#define PCI_COMMAND_INTX_DISABLE 0x0400u
#define PCI_STATUS               0x06u
#define PCI_STATUS_CAPABILITIES  0x0010u
#define PCI_STATUS_INTERRUPT     0x0008u
#define PCI_BAR0                 0x10u
#define PCI_CAPABILITIES         0x34u
#define PCI_INTERRUPT_PIN        0x3du

#define PCI_CAP_ID_PM      0x01u
#define PCI_CAP_ID_MSI     0x05u
#define PCI_CAP_ID_VENDOR  0x09u
#define PCI_CAP_ID_EXPRESS 0x10u
#define PCI_CAP_ID_MSIX    0x11u

/* What a configuration write leaves to do once the mutex is free again. */
#define PCI_DEFERRED_DECODE     1u
#define PCI_DEFERRED_BUS_MASTER 2u
#define PCI_DEFERRED_RESET      4u
#define PCI_DEFERRED_BRIDGE     8u
#define PCI_DEFERRED_BUS_RESET  16u
#define PCI_DEFERRED_FLR        32u

enum pci_reset {
	PCI_RESET_COLD,     /* power-on */
	PCI_RESET_WARM,     /* of the bus, or out of D3hot: sticky bits stay */
	PCI_RESET_FUNCTION, /* Function Level Reset: and so do the link's fields */
};

struct pci_bar {
	struct peal_pci_function *function;
	unsigned index;
	unsigned flags;
	uint64_t size; /* 0: not there */
	const struct peal_pci_bar_ops *ops;
	void *user;
	/* Under the bus's mutex. Misplaced: it decodes, but cannot be mapped. */
	bool mapped;
	bool misplaced;
	uint64_t address; /* where it is mapped or misplaced */
};

/* The INTx line (intx.c). */
struct pci_intx {
	struct peal_mutex mutex;
	unsigned pin;                /* as in the register when plugged; 0: none */
	bool wish;                   /* of the device */
	bool line;                   /* what the bus sees of it */
	struct peal_pci_bus *bus;    /* where the line may rise; NULL: nowhere now */
	struct peal_pci_bus *driven; /* where it rose last */
};

struct peal_pci_function {
	uint8_t image[PEAL_PCI_CONFIG_SIZE] __attribute__((aligned(8)));
	/* What the image is after a reset. */
	uint8_t defaults[PEAL_PCI_CONFIG_SIZE] __attribute__((aligned(8)));
	const struct peal_host *host;
	struct peal_mutex mutex; /* image, bank, deferred, powered_down */
	struct peal_reg_bank bank;
	struct pci_bar bars[PEAL_PCI_BARS];
	struct peal_msix *msix;
	struct peal_msi *msi;
	struct peal_pci_bridge *bridge; /* NULL: a type 0 function */
	struct pci_intx intx;
	uint32_t config_size;
	unsigned deferred;
	bool no_messages;         /* the platform takes none */
	bool powered_down;        /* in D3hot: nothing but configuration works */
	uint8_t last_capability;  /* position; 0: none yet */
	uint8_t power_management; /* position */
	uint8_t express;          /* position */
	uint16_t aer;             /* position */
	uint16_t serial_number;   /* position */
	uint16_t last_extended;   /* position of the last extended capability; 0: none yet */
	uint64_t past_end;        /* accesses past the end of configuration space or a BAR */
	const struct peal_pci_function_ops *ops;
	void *user;

	/* Written by bus.c under the mutex; read without it, atomically, by devices. */
	struct peal_pci_bus *bus;
	uint8_t devfn;
	uint32_t requester_id;
	struct peal_space *dma;
	uint32_t bus_master;
};

extern const struct peal_reg pci_header_rows[];
extern const unsigned pci_header_nrows;
extern const struct peal_reg pci_vendor_rows[];
extern const unsigned pci_vendor_nrows;
extern const struct peal_reg pci_power_management_rows[];
extern const unsigned pci_power_management_nrows;
extern const struct peal_reg pci_express_rows[];
extern const unsigned pci_express_nrows;
extern const struct peal_reg pci_msix_capability_rows[];
extern const unsigned pci_msix_capability_nrows;
extern const struct peal_reg pci_msix_table_rows[];
extern const unsigned pci_msix_table_nrows;
extern const struct peal_reg pci_msix_pba_rows[];
extern const unsigned pci_msix_pba_nrows;

extern const struct peal_reg pci_aer_rows[];
extern const unsigned pci_aer_nrows;
extern const struct peal_reg pci_serial_rows[];
extern const unsigned pci_serial_nrows;

/* capability.c: does no register group touch [position, position + size)? */
bool pci_config_is_free(const struct peal_pci_function *function, unsigned position, unsigned size);

/* Fills the header's read-only registers from the configuration. */
void pci_header_init(struct peal_pci_function *function,
		     const struct peal_pci_function_config *config, unsigned header_type);

/* function.c: a function whose header has these rows. */
int pci_function_new(struct peal_pci_function **ret, const struct peal_pci_function_config *config,
		     const struct peal_reg *rows, unsigned nrows, unsigned header_type);
/* Without locks: what Command.BusMaster comes to, the bridges above included. */
void pci_function_update_bus_master(struct peal_pci_function *function);

/* express.c: PCI Express of a root port, without Function Level Reset. */
int pci_function_add_root_port(struct peal_pci_function *function);

/* header.c: hooks of the Status register, which both header types have. */
peal_reg_read_fn pci_read_status;
peal_reg_write_fn pci_write_status;

/* Command, under the mutex, as far as the power state lets it count. */
uint16_t pci_effective_command(const struct peal_pci_function *function);

/* reset.c; without locks. */
void pci_function_reset(struct peal_pci_function *function, enum pci_reset reset);

/* Does what a configuration write deferred. Without locks. */
void pci_function_settle(struct peal_pci_function *function, unsigned deferred);

/* bus.c: maps the function's BARs as its registers say. Takes the bus's mutex. */
void pci_bus_update_decode(struct peal_pci_bus *bus, struct peal_pci_function *function);

/* bar.c: the value that BAR INDEX takes when VALUE is written to it. */
uint32_t pci_bar_register(const struct peal_pci_function *function, unsigned index, uint32_t value);
/* bar.c: accessor of a struct pci_bar. */
extern const struct peal_mem_ops pci_bar_mem_ops;

/* express.c: does the power management register say D3hot? */
bool pci_is_powered_down(const struct peal_pci_function *function);

/* intx.c; under the function's mutex: the line after a change of what it depends on. */
void pci_intx_evaluate(struct peal_pci_function *function);
/* The same with the wish of a state: the line goes to its level at once. */
void pci_intx_load(struct peal_pci_function *function, bool wish);
bool pci_intx_wish(const struct peal_pci_function *function);
/* Pin of the bus, after the swizzle; ~0: the function has none. */
unsigned pci_intx_pin(const struct peal_pci_function *function);
/* bus.c: a function's line on PIN of the bus changed. */
void pci_bus_intx(struct peal_pci_bus *bus, unsigned pin, bool asserted);

/* msi.c; enable_bit, evaluate and reset under the function's mutex */
void pci_msi_free(struct peal_msi *msi);
bool pci_msi_enable_bit(const struct peal_msi *msi);
void pci_msi_evaluate(struct peal_msi *msi);
void pci_msi_stop(struct peal_msi *msi);
void pci_msi_reset(struct peal_msi *msi);
void pci_msi_connect(struct peal_msi *msi, const struct peal_msi_sink *sink, uint32_t requester_id);
void pci_msi_set_requester(struct peal_msi *msi, uint32_t requester_id);
void pci_msi_set_bus_master(struct peal_msi *msi, bool enabled);
void pci_msi_clear_pending(struct peal_msi *msi);

/* msix-table.c; under the function's mutex: the control word, and that it counts now. */
bool pci_msix_enable_bit(const struct peal_msix *msix);
void pci_msix_evaluate(struct peal_msix *msix);
void pci_msix_free(struct peal_msix *msix);
void pci_msix_reset(struct peal_msix *msix);
/* After a reset: pending bits that the device set while it was being stopped go. */
void pci_msix_clear_pending(struct peal_msix *msix);
/* Connects to a sink, while Bus Master is off. The last one stays until there is another. */
void pci_msix_connect(struct peal_msix *msix, const struct peal_msi_sink *sink,
		      uint32_t requester_id);
void pci_msix_set_requester(struct peal_msix *msix, uint32_t requester_id);
void pci_msix_set_bus_master(struct peal_msix *msix, bool enabled);
/* Is [offset, offset + size) of BAR INDEX wholly or partly the table or PBA? */
bool pci_msix_meets(const struct peal_msix *msix, unsigned bar, uint64_t offset, unsigned size);
/* One access that lies wholly in the table or the PBA; false: it does not. */
bool pci_msix_access(struct peal_msix *msix, unsigned bar, uint64_t offset, unsigned size,
		     bool write, uint64_t *value);

#endif
