/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What lspci of pciutils makes of our configuration spaces: a function is dumped as `lspci -xxxx`
 * would show it, and lspci -F has to read from it what was configured.
 */
#include <unistd.h>

#include "fixture.h"

#define OUTPUT 16384u

/* What lspci printed for one dump. */
struct listing {
	char text[OUTPUT];
};

static bool has_lspci(void)
{
	if (system("command -v lspci >/dev/null 2>&1") == 0)
		return true;
	print_message("# skip: lspci (pciutils) is not installed\n");
	return false;
}

/* SIZE bytes of the function, as the device 02:04.0. */
static void write_dump(FILE *file, struct peal_pci_function *function, unsigned size)
{
	fprintf(file, "02:04.0 0000: Peal\n");
	for (unsigned at = 0; at < size; at += 16) {
		fprintf(file, "%02x:", at);
		for (unsigned i = 0; i < 16; i++)
			fprintf(file, " %02x", (unsigned)peal_pci_config_read(function, at + i, 1));
		fprintf(file, "\n");
	}
	fprintf(file, "\n");
}

static void list(struct listing *listing, struct peal_pci_function *function, unsigned size)
{
	char path[] = "/tmp/peal-lspci-XXXXXX", command[128];
	int descriptor = mkstemp(path);
	FILE *file = fdopen(descriptor, "w"), *lspci;
	size_t length;

	assert_non_null(file);
	write_dump(file, function, size);
	assert_int_equal(fclose(file), 0);
	(void)snprintf(command, sizeof(command), "LC_ALL=C lspci -n -vvv -F %s 2>/dev/null", path);
	lspci = popen(command, "r");
	assert_non_null(lspci);
	length = fread(listing->text, 1, OUTPUT - 1, lspci);
	listing->text[length] = '\0';
	assert_int_equal(pclose(lspci), 0);
	assert_int_equal(unlink(path), 0);
}

/* Somewhere after *AT (NULL: from the start) there is TEXT; *AT moves behind it. */
static void assert_next(const struct listing *listing, const char **at, const char *text)
{
	const char *found = strstr(*at ? *at : listing->text, text);

	if (!found)
		print_error("lspci does not say '%s' (in this order):\n%s\n", text, listing->text);
	assert_non_null(found);
	*at = found + strlen(text);
}

static void assert_absent(const struct listing *listing, const char *text)
{
	if (strstr(listing->text, text))
		print_error("lspci says '%s':\n%s\n", text, listing->text);
	assert_null(strstr(listing->text, text));
}

/* What lspci says of a capability list that it cannot follow. */
static void assert_well_formed(const struct listing *listing)
{
	assert_absent(listing, "<chain broken>");
	assert_absent(listing, "<chain looped>");
	assert_absent(listing, "<unreadable>");
	assert_absent(listing, "<access denied>");
	assert_absent(listing, "!!!");
}

static void list_well_formed(struct listing *listing, struct fixture *f, unsigned size)
{
	list(listing, f->function, size);
	assert_well_formed(listing);
}

static void add_bar(struct fixture *f, unsigned index, unsigned flags, uint64_t size)
{
	assert_int_equal(peal_pci_function_add_bar(f->function, index, flags, size, NULL, NULL), 0);
}

/* ---- the header ---- */

static void header_is_what_was_configured(void **state)
{
	const char *at = NULL;
	struct listing listing;
	struct fixture f;

	(void)state;
	if (!has_lspci())
		return;
	fixture_init(&f);
	fixture_plug(&f);
	list_well_formed(&listing, &f, 256);
	assert_next(&listing, &at, "02:04.0 0108: 1af4:1042 (rev 5a) (prog-if 02");
	assert_next(&listing, &at, "Subsystem: 5375:6273");
	assert_next(&listing, &at, "Control: I/O- Mem- BusMaster- ");
	assert_next(&listing, &at, "DisINTx-");
	assert_next(&listing, &at, "Status: Cap- 66MHz- ");
	assert_next(&listing, &at, "INTx-");
	assert_next(&listing, &at, "Interrupt: pin A ");
	assert_absent(&listing, "Region");
	assert_absent(&listing, "Capabilities");
	set_command(&f, 0x0547);
	list_well_formed(&listing, &f, 256);
	at = NULL;
	assert_next(&listing, &at,
		    "Control: I/O+ Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop- "
		    "ParErr+ Stepping- SERR+ FastB2B- DisINTx+");
	fixture_done(&f);
}

static void bars_have_their_addresses_and_types(void **state)
{
	const char *at = NULL;
	struct listing listing;
	struct fixture f;

	(void)state;
	if (!has_lspci())
		return;
	fixture_init(&f);
	add_bar(&f, 0, PEAL_PCI_BAR_MEM32, 4096);
	add_bar(&f, 1, PEAL_PCI_BAR_IO, 64);
	add_bar(&f, 2, PEAL_PCI_BAR_MEM64 | PEAL_PCI_BAR_PREFETCHABLE, 16384);
	add_bar(&f, 4, PEAL_PCI_BAR_PREFETCHABLE, 32768);
	add_bar(&f, 5, PEAL_PCI_BAR_MEM32, 16);
	fixture_plug(&f);
	config_write(&f, BAR(0), 4, WINDOW32 + 0x1fff);
	config_write(&f, BAR(1), 4, 0xc07f);
	config_write(&f, BAR(2), 8, WINDOW64 + 0x4000);
	config_write(&f, BAR(4), 4, WINDOW32 + 0x8000);
	config_write(&f, BAR(5), 4, WINDOW32 + 0x10010);
	set_command(&f, COMMAND_IO | COMMAND_MEMORY);
	list_well_formed(&listing, &f, 256);
	assert_next(&listing, &at, "Region 0: Memory at 80001000 (32-bit, non-prefetchable)");
	assert_next(&listing, &at, "Region 1: I/O ports at c040");
	assert_next(&listing, &at, "Region 2: Memory at 4000004000 (64-bit, prefetchable)");
	assert_next(&listing, &at, "Region 4: Memory at 80008000 (32-bit, prefetchable)");
	assert_next(&listing, &at, "Region 5: Memory at 80010010 (32-bit, non-prefetchable)");
	assert_absent(&listing, "[disabled]");
	set_command(&f, COMMAND_MEMORY);
	list_well_formed(&listing, &f, 256);
	at = NULL;
	assert_next(&listing, &at, "Region 1: I/O ports at c040 [disabled]");
	set_command(&f, COMMAND_IO);
	list_well_formed(&listing, &f, 256);
	at = NULL;
	assert_next(&listing, &at,
		    "Region 0: Memory at 80001000 (32-bit, non-prefetchable) "
		    "[disabled]");
	fixture_done(&f);
}

/* ---- capabilities ---- */

static void msix_says_where_its_structures_are(void **state)
{
	static const struct {
		unsigned vectors;
		const char *count, *table, *pba;
	} layouts[] = {
		{ 1, "Count=1 ", "BAR=3 offset=00000000", "BAR=3 offset=00000800" },
		{ 128, "Count=128 ", "BAR=3 offset=00000000", "BAR=3 offset=00000800" },
		{ 129, "Count=129 ", "BAR=3 offset=00000000", "BAR=3 offset=00000810" },
		{ 2048, "Count=2048 ", "BAR=3 offset=00000000", "BAR=3 offset=00008000" },
	};

	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(layouts) && has_lspci(); i++) {
		const char *at = NULL;
		struct listing listing;
		struct fixture f;

		fixture_init(&f);
		assert_int_equal(
			peal_pci_function_add_msix_exclusive(f.function, layouts[i].vectors, 3), 0);
		fixture_plug(&f);
		list_well_formed(&listing, &f, 256);
		assert_next(&listing, &at, "Capabilities: [40] MSI-X: Enable- ");
		assert_next(&listing, &at, layouts[i].count);
		assert_next(&listing, &at, "Masked-");
		assert_next(&listing, &at, "Vector table: ");
		assert_next(&listing, &at, layouts[i].table);
		assert_next(&listing, &at, "PBA: ");
		assert_next(&listing, &at, layouts[i].pba);
		fixture_done(&f);
	}
}

static void msix_shows_enable_and_function_mask(void **state)
{
	static const struct {
		unsigned control;
		const char *text;
	} words[] = {
		{ 0, "MSI-X: Enable- Count=33 Masked-" },
		{ MSIX_FUNCTION_MASK, "MSI-X: Enable- Count=33 Masked+" },
		{ MSIX_ENABLE, "MSI-X: Enable+ Count=33 Masked-" },
		{ MSIX_ENABLE | MSIX_FUNCTION_MASK, "MSI-X: Enable+ Count=33 Masked+" },
	};
	const struct peal_msix_config config = {
		.vectors = 33,
		.table_bar = 2,
		.pba_bar = 0,
		.table_offset = 0x12340,
		.pba_offset = 0x678,
		.position = 0xb0,
	};
	struct fixture f;

	(void)state;
	if (!has_lspci())
		return;
	fixture_init(&f);
	add_bar(&f, 0, PEAL_PCI_BAR_MEM32, 4096);
	add_bar(&f, 2, PEAL_PCI_BAR_MEM64, 0x20000);
	assert_int_equal(peal_pci_function_add_msix(f.function, &config), 0);
	f.capability = 0xb0;
	for (size_t i = 0; i < PEAL_COUNT_OF(words); i++) {
		const char *at = NULL;
		struct listing listing;

		set_control(&f, words[i].control);
		list_well_formed(&listing, &f, 256);
		assert_next(&listing, &at, "Capabilities: [b0] ");
		assert_next(&listing, &at, words[i].text);
		assert_next(&listing, &at, "Vector table: BAR=2 offset=00012340");
		assert_next(&listing, &at, "PBA: BAR=0 offset=00000678");
	}
	fixture_done(&f);
}

static void msi_shows_its_message(void **state)
{
	const struct peal_msi_config config = { .vectors = 8, .wide = true, .maskable = true };
	const char *at = NULL;
	struct listing listing;
	struct fixture f;
	unsigned msi;

	(void)state;
	if (!has_lspci())
		return;
	fixture_init(&f);
	assert_int_equal(peal_pci_function_add_msi(f.function, &config), 0);
	msi = find_capability(f.function, 0x05, 0);
	list_well_formed(&listing, &f, 256);
	assert_next(&listing, &at, "MSI: Enable- Count=1/8 Maskable+ 64bit+");
	config_write(&f, msi + 4, 8, UINT64_C(0x12fee01000));
	config_write(&f, msi + 12, 2, 0x4160);
	config_write(&f, msi + 16, 4, 0x05);
	config_write(&f, msi + 2, 2, 0x0021); /* enabled, four vectors */
	list_well_formed(&listing, &f, 256);
	at = NULL;
	assert_next(&listing, &at, "MSI: Enable+ Count=4/8 Maskable+ 64bit+");
	assert_next(&listing, &at, "Address: 00000012fee01000  Data: 4160");
	assert_next(&listing, &at, "Masking: 00000005  Pending: 00000000");
	fixture_done(&f);
}

static void power_state_is_shown(void **state)
{
	const char *at = NULL;
	struct listing listing;
	struct fixture f;

	(void)state;
	if (!has_lspci())
		return;
	fixture_init(&f);
	assert_int_equal(peal_pci_function_add_power_management(f.function), 0);
	list_well_formed(&listing, &f, 256);
	assert_next(&listing, &at, "Capabilities: [40] Power Management version 3");
	assert_next(&listing, &at, "D1- D2- ");
	assert_next(&listing, &at, "Status: D0 NoSoftRst-");
	config_write(&f, 0x44, 2, 3);
	list_well_formed(&listing, &f, 256);
	at = NULL;
	assert_next(&listing, &at, "Status: D3 NoSoftRst-");
	fixture_done(&f);
}

static void express_is_an_endpoint_with_flr(void **state)
{
	const char *at = NULL;
	struct listing listing;
	struct fixture f;

	(void)state;
	if (!has_lspci())
		return;
	fixture_init(&f);
	assert_int_equal(peal_pci_function_add_pci_express(f.function), 0);
	assert_int_equal(peal_pci_function_add_aer(f.function), 0);
	assert_int_equal(
		peal_pci_function_add_serial_number(f.function, UINT64_C(0x1122334455667788)), 0);
	list_well_formed(&listing, &f, 4096);
	assert_next(&listing, &at, "Capabilities: [40] Express (v2) Endpoint, MSI 00");
	assert_next(&listing, &at, "FLReset+");
	assert_next(&listing, &at, "FLReset-"); /* Device Control */
	assert_next(&listing, &at, "MaxReadReq 512 bytes");
	assert_next(&listing, &at, "LnkCap:\tPort #0, Speed 2.5GT/s, Width x1");
	assert_next(&listing, &at, "LnkSta:\tSpeed 2.5GT/s");
	assert_next(&listing, &at, "Capabilities: [100 v2] Advanced Error Reporting");
	assert_next(&listing, &at, "Device Serial Number 11-22-33-44-55-66-77-88");
	fixture_done(&f);
}

static void list_is_followed_in_order(void **state)
{
	/* virtio_pci_cap (Virtio 1.2 §4.1.4): common configuration, BAR 4, 0x38 bytes at 0x1000 */
	static const uint8_t common[14] = { 16, 1, 4, 0, 0, 0, 0x00, 0x10, 0, 0, 0x38 };
	const char *at = NULL;
	struct listing listing;
	struct fixture f;

	(void)state;
	if (!has_lspci())
		return;
	fixture_init(&f);
	assert_int_equal(peal_pci_function_add_vendor(f.function, "\5ab", 5, NULL), 0);
	assert_int_equal(peal_pci_function_add_power_management(f.function), 0);
	assert_int_equal(peal_pci_function_add_vendor(f.function, common, 16, NULL), 0);
	assert_int_equal(peal_pci_function_add_msix_exclusive(f.function, 4, 0), 0);
	list_well_formed(&listing, &f, 256);
	assert_next(&listing, &at, "Status: Cap+");
	assert_next(&listing, &at, "Capabilities: [40] Vendor Specific Information: Len=05");
	assert_next(&listing, &at, "Capabilities: [48] Power Management");
	assert_next(&listing, &at,
		    "Capabilities: [50] Vendor Specific Information: VirtIO: CommonCfg");
	assert_next(&listing, &at, "BAR=4 offset=00001000 size=00000038");
	assert_next(&listing, &at, "Capabilities: [60] MSI-X: Enable- Count=4 Masked-");
	assert_null(strstr(at, "Capabilities"));
	fixture_done(&f);
}

/* That the other tests look for a broken list is worth something. */
static void broken_list_is_recognised(void **state)
{
	struct listing listing;
	struct fixture f;

	(void)state;
	if (!has_lspci())
		return;
	fixture_init(&f);
	assert_int_equal(peal_pci_function_add_power_management(f.function), 0);
	peal_pci_function_set_config(f.function, 0x41, 1, 0x40); /* its own successor */
	list(&listing, f.function, 256);
	assert_non_null(strstr(listing.text, "<chain looped>"));
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_is_what_was_configured),
		cmocka_unit_test(bars_have_their_addresses_and_types),
		cmocka_unit_test(msix_says_where_its_structures_are),
		cmocka_unit_test(msix_shows_enable_and_function_mask),
		cmocka_unit_test(msi_shows_its_message),
		cmocka_unit_test(power_state_is_shown),
		cmocka_unit_test(express_is_an_endpoint_with_flr),
		cmocka_unit_test(list_is_followed_in_order),
		cmocka_unit_test(broken_list_is_recognised),
	};

	return cmocka_run_group_tests_name("pci-lspci", tests, NULL, NULL);
}
