/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lspci as the oracle: functions are made at random through the public interface, their
 * configuration spaces are dumped, and what lspci prints of them has to be what was configured.
 * The lines that are expected are written here, from the configuration; the program's printer has
 * no part in it. Then the printer itself, on functions whose interrupts are under way.
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include <peal/pci.h>

#include "../../cli/pci-print.h"
#include "support.h"

#define FUNCTIONS 50u
#define LINES     64u
#define LINE      160u

/* What a function was made of, as the lines that lspci has to print for it. */
struct wanted {
	char lines[LINES][LINE];
	unsigned nlines;
	unsigned capabilities;
	bool msix, msi;
	struct peal_msix_config msix_config;
	struct peal_msi_config msi_config;
};

static void __attribute__((format(printf, 2, 3))) want(struct wanted *w, const char *format, ...)
{
	va_list list;

	assert_true(w->nlines < LINES);
	va_start(list, format);
	assert_true(vsnprintf(w->lines[w->nlines++], LINE, format, list) < (int)LINE);
	va_end(list);
}

/* ---- making functions ---- */

static uint64_t below(uint64_t *state, uint64_t n)
{
	return test_random_below(state, n);
}

static bool chance(uint64_t *state, unsigned percent)
{
	return below(state, 100) < percent;
}

static struct peal_pci_function *make_header(uint64_t *state, struct wanted *w)
{
	/* Classes with a name of one word each, so that the line can be known. */
	static const struct {
		uint32_t code;
		const char *name;
	} classes[] = {
		{ 0x010000, "SCSI storage controller" },
		{ 0x020000, "Ethernet controller" },
		{ 0x088000, "System peripheral" },
		{ 0x028000, "Network controller" },
	};
	const struct peal_pci_function_config config = {
		.host = peal_host_default(),
		.vendor_id = 0x1234, /* no name in the database */
		.device_id = (uint16_t)(0x8000 | below(state, 0x1000)),
		.subsystem_vendor_id = 0x1234,
		.subsystem_id = (uint16_t)(0x8000 | below(state, 0x1000)),
		.revision_id = (uint8_t)(1 + below(state, 255)),
		.interrupt_pin = (uint8_t)below(state, 5),
		.class_code = classes[below(state, 4)].code,
	};
	struct peal_pci_function *function;
	const char *name = NULL;

	for (unsigned i = 0; i < 4; i++) {
		if (classes[i].code == config.class_code)
			name = classes[i].name;
	}
	assert_int_equal(peal_pci_function_new(&function, &config), 0);
	want(w, "%s: Device 1234:%04x (rev %02x)", name, config.device_id, config.revision_id);
	want(w, "\tSubsystem: Device 1234:%04x", config.subsystem_id);
	if (config.interrupt_pin) {
		unsigned line = (unsigned)below(state, 255);

		peal_pci_config_write(function, 0x3c, 1, line);
		want(w, "\tInterrupt: pin %c routed to IRQ %u", 'A' + config.interrupt_pin - 1,
		     line);
	}
	return function;
}

/* Regions of all kinds, the first of them memory. */
static void add_regions(struct peal_pci_function *f, uint64_t *state, struct wanted *w)
{
	uint64_t next = UINT64_C(0x10000000);

	for (unsigned i = 0; i < PEAL_PCI_BARS; i++) {
		static const unsigned kinds[] = { PEAL_PCI_BAR_MEM32, PEAL_PCI_BAR_MEM64,
						  PEAL_PCI_BAR_IO };
		unsigned flags = kinds[below(state, i == 5 ? 1 : 3)];
		uint64_t size = UINT64_C(1) << (4 + below(state, 19)), high = 0;

		if (i > 0 && chance(state, 40))
			continue;
		if (i == 0)
			flags &= PEAL_PCI_BAR_MEM64; /* no I/O: MSI-X needs one */
		if (flags == PEAL_PCI_BAR_IO)
			size = UINT64_C(1) << (2 + below(state, 7));
		else if (chance(state, 50))
			flags |= PEAL_PCI_BAR_PREFETCHABLE;
		assert_int_equal(peal_pci_function_add_bar(f, i, flags, size, NULL, NULL), 0);
		next = peal_round_up(next, size);
		if (flags == PEAL_PCI_BAR_IO) {
			uint64_t port = 0x1000 + 0x100 * i;

			peal_pci_config_write(f, 0x10 + 4 * i, 4, port);
			want(w, "\tRegion %u: I/O ports at %04" PRIx64, i, port);
			continue;
		}
		if (flags & PEAL_PCI_BAR_MEM64)
			high = UINT64_C(1) << (32 + below(state, 16));
		peal_pci_config_write(f, 0x10 + 4 * i, high ? 8 : 4, high | next);
		want(w, "\tRegion %u: Memory at %08" PRIx64 " (%s, %sprefetchable)", i, high | next,
		     flags & PEAL_PCI_BAR_MEM64 ? "64-bit" : "32-bit",
		     flags & PEAL_PCI_BAR_PREFETCHABLE ? "" : "non-");
		next += size;
		i += (flags & PEAL_PCI_BAR_MEM64) != 0;
	}
	peal_pci_config_write(f, 0x04, 2, 0x0003);
	want(w, "\tControl: I/O+ Mem+ BusMaster- SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- "
		"SERR- FastB2B- DisINTx-");
}

/* Any number of vectors, at any place of any region that takes them, or a region of their own. */
static void add_msix(struct peal_pci_function *f, uint64_t *state, struct wanted *w)
{
	struct peal_msix_config c = { .vectors = (unsigned)(1 + below(state, 2048)) };
	bool enable = chance(state, 50), mask = chance(state, 50);
	uint32_t control = (enable ? 0x8000u : 0) | (mask ? 0x4000u : 0), position;

	for (unsigned tries = 0;; tries++) {
		unsigned size;

		c.table_bar = (uint8_t)below(state, 6);
		c.pba_bar = (uint8_t)below(state, 6);
		size = (unsigned)peal_pci_bar_size(f, c.table_bar);
		c.table_offset = (uint32_t)below(state, size / 8 + 1) * 8;
		size = (unsigned)peal_pci_bar_size(f, c.pba_bar);
		c.pba_offset = (uint32_t)below(state, size / 8 + 1) * 8;
		if (peal_pci_function_add_msix(f, &c) == 0)
			break;
		c.vectors = 1 + c.vectors / 2;
		if (tries == 1000)
			return; /* no region takes it */
	}
	w->msix = true;
	w->msix_config = c;
	w->capabilities++;
	position = (uint32_t)peal_pci_config_read(f, 0x34, 1);
	while (peal_pci_config_read(f, position, 1) != 0x11)
		position = (uint32_t)peal_pci_config_read(f, position + 1, 1);
	peal_pci_config_write(f, position + 2, 2, control);
	want(w, "\tCapabilities: [%02" PRIx32 "] MSI-X: Enable%c Count=%u Masked%c", position,
	     enable ? '+' : '-', c.vectors, mask ? '+' : '-');
	want(w, "\t\tVector table: BAR=%u offset=%08" PRIx32, c.table_bar, c.table_offset);
	want(w, "\t\tPBA: BAR=%u offset=%08" PRIx32, c.pba_bar, c.pba_offset);
}

static void add_msi(struct peal_pci_function *f, uint64_t *state, struct wanted *w)
{
	unsigned capable = (unsigned)below(state, 6), enabled = (unsigned)below(state, capable + 1);
	struct peal_msi_config c = {
		.vectors = 1u << capable,
		.wide = chance(state, 50),
		.maskable = chance(state, 50),
	};
	uint64_t address = (c.wide ? test_random(state) : (uint32_t)test_random(state)) &
			   ~UINT64_C(3);
	uint32_t data = (uint32_t)below(state, 0x10000), position, at;
	bool enable = chance(state, 70);
	uint32_t mask = (uint32_t)test_random(state) & (uint32_t)peal_ones(4) >> (32 - c.vectors);

	assert_int_equal(peal_pci_function_add_msi(f, &c), 0);
	w->msi = true;
	w->msi_config = c;
	w->capabilities++;
	position = (uint32_t)peal_pci_config_read(f, 0x34, 1);
	while (peal_pci_config_read(f, position, 1) != 0x05)
		position = (uint32_t)peal_pci_config_read(f, position + 1, 1);
	at = position + (c.wide ? 12 : 8);
	peal_pci_config_write(f, position + 4, c.wide ? 8 : 4, address);
	peal_pci_config_write(f, at, 2, data);
	if (c.maskable)
		peal_pci_config_write(f, at + 4, 4, mask);
	peal_pci_config_write(f, position + 2, 2, enabled << 4 | enable);
	want(w, "\tCapabilities: [%02" PRIx32 "] MSI: Enable%c Count=%u/%u Maskable%c 64bit%c",
	     position, enable ? '+' : '-', 1u << enabled, c.vectors, c.maskable ? '+' : '-',
	     c.wide ? '+' : '-');
	want(w,
	     c.wide ? "\t\tAddress: %016" PRIx64 "  Data: %04" PRIx32
		    : "\t\tAddress: %08" PRIx64 "  Data: %04" PRIx32,
	     address, data);
	if (c.maskable)
		want(w, "\t\tMasking: %08" PRIx32 "  Pending: 00000000", mask);
}

static void add_vendor(struct peal_pci_function *f, uint64_t *state, struct wanted *w)
{
	uint8_t bytes[40] = { 0 }, size = (uint8_t)(3 + below(state, 30)), position;

	bytes[0] = size;
	assert_int_equal(peal_pci_function_add_vendor(f, bytes, size, &position), 0);
	want(w, "\tCapabilities: [%02x] Vendor Specific Information: Len=%02x <?>", position, size);
	w->capabilities++;
}

static void add_express(struct peal_pci_function *f, uint64_t *state, struct wanted *w)
{
	uint64_t number = test_random(state);

	assert_int_equal(peal_pci_function_add_pci_express(f), 0);
	want(w, "\t\t\tExtTag- AttnBtn- AttnInd- PwrInd- RBE+ FLReset+ SlotPowerLimit 0W");
	w->capabilities++;
	if (chance(state, 50)) {
		assert_int_equal(peal_pci_function_add_aer(f), 0);
		want(w, "\t\tUESta:\tDLP- SDES- TLP- FCP- CmpltTO- CmpltAbrt- UnxCmplt- RxOF- "
			"MalfTLP- ECRC- UnsupReq- ACSViol-");
		w->capabilities++;
	}
	if (chance(state, 50)) {
		char text[32];
		int n = 0;

		for (unsigned i = 0; i < 8; i++)
			n += snprintf(text + n, sizeof(text) - (size_t)n, "%s%02x", i ? "-" : "",
				      (unsigned)(number >> (56 - 8 * i) & 0xff));
		assert_int_equal(peal_pci_function_add_serial_number(f, number), 0);
		want(w, "Device Serial Number %s", text);
		w->capabilities++;
	}
}

static void add_power_management(struct peal_pci_function *f, struct wanted *w)
{
	assert_int_equal(peal_pci_function_add_power_management(f), 0);
	want(w, "Power Management version 3");
	want(w, "\t\tStatus: D0 NoSoftRst- PME-Enable- DSel=0 DScale=0 PME-");
	w->capabilities++;
}

static struct peal_pci_function *make(uint64_t *state, struct wanted *w)
{
	struct peal_pci_function *f;

	memset(w, 0, sizeof(*w));
	f = make_header(state, w);
	add_regions(f, state, w);
	if (chance(state, 60))
		add_power_management(f, w);
	if (chance(state, 60))
		add_vendor(f, state, w);
	if (chance(state, 60))
		add_express(f, state, w);
	add_msix(f, state, w);
	if (chance(state, 60))
		add_msi(f, state, w);
	if (chance(state, 30))
		add_vendor(f, state, w);
	return f;
}

/* ---- asking lspci ---- */

static char *printed_by_lspci(struct peal_pci_function *function)
{
	const struct pci_source source = pci_source_function(function);
	char path[] = "/tmp/peal-probe-XXXXXX", command[128], *text = calloc(1, 1 << 16);
	int fd = mkstemp(path);
	FILE *file = fdopen(fd, "w");

	assert_non_null(file);
	assert_int_equal(pci_source_dump(&source, "dump", file), 0);
	assert_int_equal(fclose(file), 0);
	(void)snprintf(command, sizeof(command), "lspci -F %s -vvv 2>/dev/null", path);
	file = popen(command, "r");
	assert_non_null(file);
	assert_true(fread(text, 1, (1 << 16) - 1, file) > 0);
	assert_int_equal(pclose(file), 0);
	assert_int_equal(unlink(path), 0);
	return text;
}

static char *printed_by_us(struct peal_pci_function *function, bool json)
{
	const struct pci_source source = pci_source_function(function);
	struct pci_names *names = pci_names_new();
	struct pci_out out;
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	assert_non_null(names);
	assert_non_null(file);
	pci_out_begin(&out, file, json);
	assert_int_equal(pci_print(&source, names, &out), 0);
	pci_out_end(&out);
	assert_int_equal(fclose(file), 0);
	pci_names_free(names);
	return text;
}

static bool has_lspci(void)
{
	return system("lspci --version >/dev/null 2>&1") == 0;
}

static unsigned count_of(const char *text, const char *what)
{
	unsigned n = 0;

	while ((text = strstr(text, what))) {
		text += strlen(what);
		n++;
	}
	return n;
}

/* The lines from FIRST on; line 0 has the name of the class. */
static void check(const char *who, const char *text, const struct wanted *w, unsigned first)
{
	for (unsigned i = first; i < w->nlines; i++) {
		if (!strstr(text, w->lines[i])) {
			print_error("%s does not print\n%s\nbut\n%s\n", who, w->lines[i], text);
			fail();
		}
	}
	assert_int_equal(count_of(text, "\tCapabilities: ["), w->capabilities);
	assert_null(strstr(text, "!!!"));
	assert_null(strstr(text, "<chain"));
}

static void lspci_prints_what_was_configured(void **unused)
{
	uint64_t state = 1;
	unsigned with_msix = 0, with_msi = 0;

	(void)unused;
	if (!has_lspci()) {
		print_message("# skip: no lspci\n");
		return;
	}
	for (unsigned i = 0; i < FUNCTIONS; i++) {
		struct wanted w;
		struct peal_pci_function *f = make(&state, &w);
		char *text = printed_by_lspci(f), *ours = printed_by_us(f, false);

		check("lspci", text, &w, 0);
		check("peal probe", ours, &w, PEAL_HAVE_LIBPCI ? 0 : 1);
		with_msix += w.msix;
		with_msi += w.msi;
		free(text);
		free(ours);
		peal_pci_function_free(f);
	}
	assert_true(with_msix > FUNCTIONS / 2 && with_msi > FUNCTIONS / 5);
}

/* ---- bridges ---- */

/* A window of memory, of UNIT bytes and more; LIMIT below BASE: none. */
static void random_window(uint64_t *state, uint64_t unit, uint64_t *base, uint64_t *limit)
{
	*base = (0x100 + below(state, 0x80)) * unit;
	*limit = *base + unit * (1 + below(state, 0x40)) - 1;
}

static void write_windows(struct peal_pci_function *f, uint64_t *state, struct wanted *w)
{
	uint64_t base, limit;

	random_window(state, 0x100000, &base, &limit);
	peal_pci_config_write(f, 0x20, 2, base >> 16);
	peal_pci_config_write(f, 0x22, 2, limit >> 16);
	want(w, "\tMemory behind bridge: %08" PRIx64 "-%08" PRIx64, base, limit);
	random_window(state, 0x1000, &base, &limit);
	peal_pci_config_write(f, 0x1c, 1, base >> 8);
	peal_pci_config_write(f, 0x1d, 1, limit >> 8);
	peal_pci_config_write(f, 0x30, 2, base >> 16);
	peal_pci_config_write(f, 0x32, 2, limit >> 16);
	want(w, "\tI/O behind bridge: %08" PRIx64 "-%08" PRIx64, base, limit);
	random_window(state, 0x100000, &base, &limit);
	base |= UINT64_C(0x4200000000);
	limit |= UINT64_C(0x4200000000);
	peal_pci_config_write(f, 0x24, 2, base >> 16);
	peal_pci_config_write(f, 0x26, 2, limit >> 16);
	peal_pci_config_write(f, 0x28, 4, base >> 32);
	peal_pci_config_write(f, 0x2c, 4, limit >> 32);
	want(w, "\tPrefetchable memory behind bridge: %016" PRIx64 "-%016" PRIx64, base, limit);
}

static void make_bridge(struct peal_pci_function *f, uint64_t *state, struct wanted *w)
{
	unsigned primary = (unsigned)below(state, 256), secondary = (unsigned)below(state, 256),
		 subordinate = (unsigned)below(state, 256);

	memset(w, 0, sizeof(*w));
	want(w, "PCI bridge: Device 1234:8001");
	peal_pci_config_write(f, 0x18, 4, primary | secondary << 8 | subordinate << 16);
	want(w, "\tBus: primary=%02x, secondary=%02x, subordinate=%02x", primary, secondary,
	     subordinate);
	write_windows(f, state, w);
	peal_pci_config_write(f, 0x04, 2, 0x0007);
	want(w, "\tControl: I/O+ Mem+ BusMaster+ ");
	want(w, "Express (v2) Root Port (Slot-)");
	want(w, "Power Management version 3");
	want(w, "\tInterrupt: pin B ");
	w->capabilities = 2;
}

/* ---- functions at work ---- */

struct rig {
	struct test_sink sink;
	struct peal_space *space;
	struct peal_pci_bus *bus;
	struct peal_pci_function *function;
};

static const struct peal_pci_function_config plain = { .vendor_id = 0x1234,
						       .device_id = 0x8001,
						       .class_code = 0x020000 };

static void rig_init(struct rig *rig)
{
	struct peal_space_config space = { .host = peal_host_default() };
	struct peal_pci_bus_config bus = { .host = peal_host_default(),
					   .window32_address = 0x10000000,
					   .window32_size = 0x1000000 };
	struct peal_pci_function_config config = plain;

	config.host = peal_host_default();
	bus.sink = test_sink_init(&rig->sink);
	assert_int_equal(peal_space_new(&rig->space, &space), 0);
	bus.memory = bus.dma = rig->space;
	assert_int_equal(peal_pci_bus_new(&rig->bus, &bus), 0);
	assert_int_equal(peal_pci_function_new(&rig->function, &config), 0);
}

static void rig_plug(struct rig *rig)
{
	assert_int_equal(peal_pci_bus_plug(rig->bus, 3 << 3 | 1, rig->function), 0);
	peal_pci_config_write(rig->function, 0x04, 2, 0x0006);
}

static void rig_done(struct rig *rig)
{
	peal_pci_bus_unplug(rig->bus, rig->function);
	peal_pci_function_free(rig->function);
	peal_pci_bus_free(rig->bus);
	peal_space_free(rig->space);
}

static void bridges_are_listed_as_the_guest_programmed_them(void **unused)
{
	struct peal_pci_function_config config = plain;
	uint64_t state = 7;
	static struct rig rig;

	(void)unused;
	if (!has_lspci()) {
		print_message("# skip: no lspci\n");
		return;
	}
	config.host = peal_host_default();
	config.class_code = 0x060400;
	config.interrupt_pin = 2;
	rig_init(&rig);
	rig_plug(&rig);
	for (unsigned i = 0; i < FUNCTIONS / 5; i++) {
		struct peal_pci_bridge *bridge;
		struct wanted w;
		char *text, *ours;

		assert_int_equal(peal_pci_bridge_new(&bridge, rig.bus, 4 << 3, &config), 0);
		make_bridge(peal_pci_bridge_function(bridge), &state, &w);
		text = printed_by_lspci(peal_pci_bridge_function(bridge));
		ours = printed_by_us(peal_pci_bridge_function(bridge), false);
		check("lspci", text, &w, 0);
		check("peal probe", ours, &w, PEAL_HAVE_LIBPCI ? 0 : 1);
		free(text);
		free(ours);
		peal_pci_bridge_free(bridge);
	}
	rig_done(&rig);
}

static void assert_line(const char *text, const char *line)
{
	if (!strstr(text, line)) {
		print_error("missing\n%s\nin\n%s\n", line, text);
		fail();
	}
}

/* Vectors 0: sent twice. 1: masked, raised twice. 2: not used. 3 to 63: as after the reset. */
static void msix_table_shows_masks_pending_bits_and_counters(void **unused)
{
	static struct rig rig;
	struct peal_msix *msix;
	char *text;

	(void)unused;
	rig_init(&rig);
	assert_int_equal(peal_pci_function_add_msix_exclusive(rig.function, 64, 2), 0);
	msix = peal_pci_function_msix(rig.function);
	assert_int_equal(peal_msix_use(msix, 0), 0);
	assert_int_equal(peal_msix_use(msix, 1), 0);
	rig_plug(&rig);
	peal_pci_config_write(rig.function, 0x42, 2, 0x8000);
	for (unsigned i = 0; i < 2; i++) {
		peal_pci_bar_write(rig.function, 2, 16 * i, 8, 0x1122fee00000 + 4 * i);
		peal_pci_bar_write(rig.function, 2, 16 * i + 8, 4, 0x40 + i);
	}
	peal_pci_bar_write(rig.function, 2, 12, 4, 0);
	for (unsigned i = 0; i < 4; i++)
		(void)peal_msix_notify(msix, i / 2);
	peal_pci_bar_write(rig.function, 2, 2048, 4, 0);
	text = printed_by_us(rig.function, false);
	assert_line(text, "00:03.1 ");
	assert_line(text, "MSI-X: Enable+ Count=64 Masked-\n");
	assert_line(text, "\t\t0         00001122fee00000 00000040     -    -    +         2 "
			  "        0         0         0         0         0         0\n"
			  "\t\t1         00001122fee00004 00000041     +    +    +         0 "
			  "        0         1         1         0         0         0\n"
			  "\t\t2-63      0000000000000000 00000000     +    -    -         0 "
			  "        0         0         0         0         0         0\n");
	assert_line(text, "1 writes to the PBA");
	free(text);

	text = printed_by_us(rig.function, true);
	assert_line(text,
		    "{\"vector\":1,\"address\":\"0x1122fee00004\",\"data\":65,\"masked\":true,"
		    "\"pending\":true,\"used\":true,\"counters\":{\"sent\":0,\"refired\":0,"
		    "\"pended\":1,\"merged\":1,");
	assert_int_equal(count_of(text, "{\"vector\":"), 64);
	free(text);
	rig_done(&rig);
}

static void msi_vectors_show_what_they_send(void **unused)
{
	const struct peal_msi_config config = { .vectors = 4, .wide = true, .maskable = true };
	static struct rig rig;
	struct peal_msi *msi;
	char *text;

	(void)unused;
	rig_init(&rig);
	assert_int_equal(peal_pci_function_add_msi(rig.function, &config), 0);
	msi = peal_pci_function_msi(rig.function);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(peal_msi_use(msi, i), 0);
	rig_plug(&rig);
	peal_pci_config_write(rig.function, 0x44, 8, 0xfee00000);
	peal_pci_config_write(rig.function, 0x4c, 2, 0x30);
	peal_pci_config_write(rig.function, 0x50, 4, 0x4);    /* vector 2 is masked */
	peal_pci_config_write(rig.function, 0x42, 2, 0x0021); /* 4 vectors */
	(void)peal_msi_notify(msi, 1);
	(void)peal_msi_notify(msi, 2);
	text = printed_by_us(rig.function, false);
	assert_line(text, "MSI: Enable+ Count=4/4 Maskable+ 64bit+\n"
			  "\t\tAddress: 00000000fee00000  Data: 0030\n"
			  "\t\tMasking: 00000004  Pending: 00000004\n");
	assert_line(text, "\t\t1         00000000fee00000 00000031     -    -    +         1 ");
	assert_line(text, "\t\t2         00000000fee00000 00000032     +    +    +         0 ");
	free(text);
	rig_done(&rig);
}

static void regions_show_their_sizes(void **unused)
{
	static struct rig rig;
	char *text;

	(void)unused;
	rig_init(&rig);
	assert_int_equal(
		peal_pci_function_add_bar(rig.function, 0, PEAL_PCI_BAR_MEM32, 16, NULL, NULL), 0);
	assert_int_equal(peal_pci_function_add_bar(rig.function, 1,
						   PEAL_PCI_BAR_MEM64 | PEAL_PCI_BAR_PREFETCHABLE,
						   UINT64_C(1) << 36, NULL, NULL),
			 0);
	assert_int_equal(
		peal_pci_function_add_bar(rig.function, 3, PEAL_PCI_BAR_IO, 256, NULL, NULL), 0);
	rig_plug(&rig);
	text = printed_by_us(rig.function, false);
	assert_line(text, "\tRegion 0: Memory at <unassigned> (32-bit, non-prefetchable) "
			  "[size=16]\n");
	assert_line(text, "\tRegion 1: Memory at <unassigned> (64-bit, prefetchable) "
			  "[size=64G]\n");
	assert_line(text, "\tRegion 3: I/O ports at <unassigned> [disabled] [size=256]\n");
	free(text);
	rig_done(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lspci_prints_what_was_configured),
		cmocka_unit_test(bridges_are_listed_as_the_guest_programmed_them),
		cmocka_unit_test(msix_table_shows_masks_pending_bits_and_counters),
		cmocka_unit_test(msi_vectors_show_what_they_send),
		cmocka_unit_test(regions_show_their_sizes),
	};

	return cmocka_run_group_tests_name("cli-probe-oracle", tests, NULL, NULL);
}
