/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests of PCI share: a bus with its spaces, sink and ECAM, a device that remembers what
 * reached it, and the accesses of a driver.
 *
 *   memory space   0x00000000  RAM, 64 KiB
 *                  0x30000000  ECAM
 *                  0x80000000  window for 32-bit BARs, 256 MiB
 *                0x4000000000  window for 64-bit BARs, 64 GiB
 *   I/O space      everything
 */
#ifndef PEAL_TESTS_PCI_FIXTURE_H
#define PEAL_TESTS_PCI_FIXTURE_H

#include <support.h>

#include <peal/pci.h>

#define RAM_SIZE  0x10000u
#define ECAM      UINT64_C(0x30000000)
#define WINDOW32  UINT64_C(0x80000000)
#define WINDOW64  UINT64_C(0x4000000000)
#define SIZE32    UINT64_C(0x10000000)
#define SIZE64    UINT64_C(0x1000000000)
#define BUS       3u
#define SEGMENT   1u
#define REQUESTER (SEGMENT << 16 | BUS << 8)

#define COMMAND            0x04u
#define COMMAND_IO         0x0001u
#define COMMAND_MEMORY     0x0002u
#define COMMAND_BUS_MASTER 0x0004u
#define STATUS             0x06u
#define BAR(index)         (0x10u + 4 * (index))
#define CAPABILITIES       0x34u

#define ID_POWER_MANAGEMENT 0x01u
#define ID_VENDOR           0x09u
#define ID_EXPRESS          0x10u
#define ID_MSIX             0x11u

#define MSIX_CONTROL       2u /* from the capability's start */
#define MSIX_ENABLE        0x8000u
#define MSIX_FUNCTION_MASK 0x4000u

/* The messages that program_vector() writes: distinct in every byte that vectors differ in. */
#define VECTOR_ADDRESS(vector) (UINT64_C(0xfee00000) + ((uint64_t)(vector) << 4))
#define VECTOR_DATA(vector)    (0x4100u + (uint32_t)(vector))

/* ---- a device ---- */

#define DEVICE_BYTES 8192u
#define DEVICE_LOG   16u

struct device_access {
	uint64_t offset;
	unsigned size;
	bool write;
	uint64_t value;
};

/* A BAR of plain memory, and what happened to it and to the function. */
struct test_device {
	uint8_t bytes[DEVICE_BYTES];
	struct device_access log[DEVICE_LOG];
	unsigned accesses;
	unsigned resets;
	unsigned bus_master_changes;
	bool bus_master;
};

static inline void device_log(struct test_device *device, uint64_t offset, unsigned size,
			      bool write, uint64_t value)
{
	device->log[device->accesses++ % DEVICE_LOG] =
		(struct device_access){ offset, size, write, value };
	thread_assert(size == 1 || size == 2 || size == 4 || size == 8);
	thread_assert(offset + size <= DEVICE_BYTES);
}

static inline uint64_t device_read(void *user, uint64_t offset, unsigned size)
{
	struct test_device *device = (struct test_device *)user;
	uint64_t value = peal_load_le(device->bytes + offset, size);

	device_log(device, offset, size, false, value);
	return value;
}

static inline void device_write(void *user, uint64_t offset, unsigned size, uint64_t value)
{
	struct test_device *device = (struct test_device *)user;

	device_log(device, offset, size, true, value);
	peal_store_le(device->bytes + offset, size, value);
}

static const struct peal_pci_bar_ops device_bar_ops = {
	.read = device_read,
	.write = device_write,
};

static inline void device_reset(void *user)
{
	(void)__atomic_add_fetch(&((struct test_device *)user)->resets, 1, __ATOMIC_RELAXED);
}

static inline void device_bus_master(void *user, bool enabled)
{
	struct test_device *device = (struct test_device *)user;

	/* Two CPUs may be in this at once. */
	(void)__atomic_add_fetch(&device->bus_master_changes, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&device->bus_master, enabled, __ATOMIC_RELAXED);
}

static const struct peal_pci_function_ops device_ops = {
	.reset = device_reset,
	.bus_master = device_bus_master,
};

static inline void assert_access(const struct test_device *device, unsigned number, uint64_t offset,
				 unsigned size, bool write)
{
	const struct device_access *access = &device->log[number];

	assert_true(number < device->accesses && device->accesses <= DEVICE_LOG);
	assert_int_equal(access->offset, offset);
	assert_int_equal(access->size, size);
	assert_int_equal(access->write, write);
}

/* ---- the bus ---- */

struct fixture {
	struct test_host host;
	struct test_sink sink;
	struct peal_msi_sink the_sink;
	struct test_ram ram; /* its space is the bus's memory */
	struct peal_space *io;
	struct peal_pci_bus *bus;
	struct test_device device;
	struct peal_pci_function *function; /* plugged at 0 when plug() was called */
	bool plugged;
	struct peal_msix *msix;
	unsigned capability; /* of MSI-X */
};

static inline struct peal_pci_function_config function_config(struct fixture *f)
{
	return (struct peal_pci_function_config){
		.host = &f->host.host,
		.vendor_id = 0x1af4,
		.device_id = 0x1042,
		.subsystem_vendor_id = 0x5375,
		.subsystem_id = 0x6273,
		.revision_id = 0x5a,
		.interrupt_pin = 1,
		.class_code = 0x010802,
		.ops = &device_ops,
		.user = &f->device,
	};
}

/*
 * A bus, and a function that is not plugged yet and has nothing but its header. SINK NULL: the
 * fixture's own.
 */
static inline void fixture_init_sink(struct fixture *f, const struct peal_msi_sink *sink)
{
	struct peal_space_config space;
	struct peal_pci_bus_config bus;
	struct peal_pci_function_config config;

	memset(f, 0, sizeof(*f));
	test_host_init(&f->host);
	f->the_sink = test_sink_init(&f->sink);
	if (sink)
		f->the_sink = *sink;
	test_ram_init(&f->ram, &f->host.host, 0, RAM_SIZE);
	space = (struct peal_space_config){ .host = &f->host.host };
	assert_int_equal(peal_space_new(&f->io, &space), 0);
	bus = (struct peal_pci_bus_config){
		.host = &f->host.host,
		.segment = SEGMENT,
		.bus = BUS,
		.memory = f->ram.space,
		.io = f->io,
		.dma = f->ram.space,
		.sink = f->the_sink,
		.window32_address = WINDOW32,
		.window32_size = SIZE32,
		.window64_address = WINDOW64,
		.window64_size = SIZE64,
	};
	assert_int_equal(peal_pci_bus_new(&f->bus, &bus), 0);
	assert_int_equal(peal_space_map_ops(f->ram.space, ECAM, PEAL_PCI_ECAM_SIZE,
					    peal_pci_bus_ecam(), f->bus),
			 0);
	config = function_config(f);
	assert_int_equal(peal_pci_function_new(&f->function, &config), 0);
}

static inline void fixture_init(struct fixture *f)
{
	fixture_init_sink(f, NULL);
}

static inline void fixture_plug(struct fixture *f)
{
	assert_int_equal(peal_pci_bus_plug(f->bus, 0, f->function), 0);
	f->plugged = true;
}

static inline void fixture_unplug(struct fixture *f)
{
	peal_pci_bus_unplug(f->bus, f->function);
	f->plugged = false;
}

static inline void fixture_done(struct fixture *f)
{
	if (f->plugged)
		fixture_unplug(f);
	peal_pci_function_free(f->function);
	peal_pci_bus_free(f->bus);
	peal_space_free(f->io);
	test_ram_done(&f->ram);
	test_host_done(&f->host);
}

/* ---- what a driver does ---- */

static inline uint64_t config_read(struct fixture *f, uint32_t offset, unsigned size)
{
	return peal_pci_config_read(f->function, offset, size);
}

static inline void config_write(struct fixture *f, uint32_t offset, unsigned size, uint64_t value)
{
	peal_pci_config_write(f->function, offset, size, value);
}

static inline void set_command(struct fixture *f, unsigned command)
{
	config_write(f, COMMAND, 2, command);
}

/* The NUMBERth capability with this id (from 0), or 0. */
static inline unsigned find_capability(struct peal_pci_function *function, unsigned id,
				       unsigned number)
{
	unsigned at = (unsigned)peal_pci_config_read(function, CAPABILITIES, 1);

	for (unsigned seen = 0; at && seen < 64; seen++) {
		if (peal_pci_config_read(function, at, 1) == id && number-- == 0)
			return at;
		at = (unsigned)peal_pci_config_read(function, at + 1, 1);
	}
	return 0;
}

/* An access through the memory space; a fault reads all ones, as a CPU sees it. */
static inline uint64_t space_read(struct peal_space *space, uint64_t address, unsigned size)
{
	uint8_t bytes[8] = { 0 };

	if (peal_space_read(space, address, bytes, size) < 0)
		return peal_ones(size);
	return peal_load_le(bytes, size);
}

static inline int space_write(struct peal_space *space, uint64_t address, unsigned size,
			      uint64_t value)
{
	uint8_t bytes[8];

	peal_store_le(bytes, 8, value);
	return peal_space_write(space, address, bytes, size);
}

static inline bool is_mapped(struct peal_space *space, uint64_t address)
{
	uint8_t byte;

	return peal_space_read(space, address, &byte, 1) == 0;
}

/* ---- MSI-X ---- */

/* VECTORS in BAR 0 of their own, all in use, plugged, mastering the bus, not enabled. */
static inline void fixture_init_msix_sink(struct fixture *f, unsigned vectors,
					  const struct peal_msi_sink *sink)
{
	fixture_init_sink(f, sink);
	assert_int_equal(peal_pci_function_add_msix_exclusive(f->function, vectors, 0), 0);
	f->msix = peal_pci_function_msix(f->function);
	assert_non_null(f->msix);
	f->capability = find_capability(f->function, ID_MSIX, 0);
	assert_true(f->capability >= 0x40);
	for (unsigned v = 0; v < vectors; v++)
		assert_int_equal(peal_msix_use(f->msix, v), 0);
	fixture_plug(f);
	set_command(f, COMMAND_BUS_MASTER | COMMAND_MEMORY);
}

static inline void fixture_init_msix(struct fixture *f, unsigned vectors)
{
	fixture_init_msix_sink(f, vectors, NULL);
}

static inline void set_control(struct fixture *f, unsigned control)
{
	config_write(f, f->capability + MSIX_CONTROL, 2, control);
}

static inline unsigned control(struct fixture *f)
{
	return (unsigned)config_read(f, f->capability + MSIX_CONTROL, 2);
}

static inline uint64_t table_read(struct fixture *f, uint64_t offset, unsigned size)
{
	return peal_pci_bar_read(f->function, 0, offset, size);
}

static inline void table_write(struct fixture *f, uint64_t offset, unsigned size, uint64_t value)
{
	peal_pci_bar_write(f->function, 0, offset, size, value);
}

static inline void set_mask(struct fixture *f, unsigned vector, bool mask)
{
	table_write(f, 16 * vector + 12, 4, mask);
}

static inline void program_vector(struct fixture *f, unsigned vector, bool mask)
{
	table_write(f, 16 * vector, 8, VECTOR_ADDRESS(vector));
	table_write(f, 16 * vector + 8, 4, VECTOR_DATA(vector));
	set_mask(f, vector, mask);
}

/* The PBA bit of a vector as the driver reads it. */
static inline bool pba(struct fixture *f, unsigned vector)
{
	unsigned table = 16 * peal_msix_vectors(f->msix);
	unsigned at = table <= 2048 ? 2048 : table;

	return table_read(f, at + vector / 64 * 8, 8) >> (vector % 64) & 1;
}

static inline struct peal_msix_counters counters(const struct peal_msix *msix, unsigned vector)
{
	struct peal_msix_counters ret;

	peal_msix_counters(msix, vector, &ret);
	return ret;
}

/* The identity of pci.h. */
static inline void assert_raised(const struct peal_msix *msix, unsigned vector, uint64_t raised)
{
	struct peal_msix_counters c = counters(msix, vector);

	assert_int_equal(c.sent - c.refired + c.pended + c.merged + c.dropped, raised);
}

static inline void assert_message(const struct test_sink *sink, uint64_t address, uint32_t data)
{
	const struct peal_msi_msg *msg = test_sink_last(sink);

	assert_int_equal(msg->address, address);
	assert_int_equal(msg->data, data);
	assert_int_equal(msg->requester_id, REQUESTER);
}

#endif
