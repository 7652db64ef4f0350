/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dumps that nobody checked: noise, text with mistakes, configuration spaces whose lists lead
 * anywhere. Whatever comes, reading ends with an answer, and what was read can be printed, in an
 * amount that has a bound. Run it under the sanitizers.
 */
#include <ctype.h>
#include <stdio.h>

#include "../../cli/pci-dump.h"
#include "../../cli/pci-print.h"
#include "support.h"

#define DUMPS     10000u
#define TEXT_MAX  32768u
#define PRINT_MAX (1u << 20) /* characters that one function may take */

struct bench {
	struct pci_names *names;
	uint64_t state;
	char text[TEXT_MAX];
	size_t length;
	unsigned accepted, refused;
};

static uint64_t below(struct bench *b, uint64_t n)
{
	return test_random_below(&b->state, n);
}

static size_t print(struct bench *b, const struct pci_dump_device *device, bool json)
{
	struct pci_source_bytes bytes = { .bytes = device->bytes, .size = device->size };
	const struct pci_source source = pci_source_bytes(&bytes, device->address);
	struct pci_out out;
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	assert_non_null(file);
	pci_out_begin(&out, file, json);
	assert_int_equal(pci_print(&source, b->names, &out), 0);
	pci_out_end(&out);
	assert_int_equal(fclose(file), 0);
	assert_true(size > 0 && size < PRINT_MAX);
	free(text);
	return size;
}

/* Reads what is in TEXT, and prints it when it is a dump. */
static int decode(struct bench *b)
{
	FILE *file = fmemopen(b->text, b->length, "r");
	struct pci_dump dump;
	char error[512] = "";
	int r;

	assert_non_null(file);
	r = pci_dump_read(&dump, file, error, sizeof(error));
	(void)fclose(file);
	if (r < 0) {
		assert_int_equal(r, -EPROTO);
		assert_memory_equal(error, "line ", 5);
		assert_true(isdigit((unsigned char)error[5]));
		assert_null(strchr(error, '\n'));
		b->refused++;
		return r;
	}
	assert_true(dump.ndevices > 0);
	for (size_t i = 0; i < dump.ndevices; i++) {
		(void)print(b, &dump.devices[i], false);
		if (i == 0)
			(void)print(b, &dump.devices[i], true);
	}
	pci_dump_free(&dump);
	b->accepted++;
	return 0;
}

/* ---- bytes ---- */

/* A space whose header is right and whose lists are not: small numbers, pointers, known ids. */
static void make_space(struct bench *b, uint8_t *bytes, uint32_t size)
{
	static const uint8_t ids[] = { 1, 3, 5, 9, 9, 0x0d, 0x10, 0x10, 0x11, 0x12, 0x42, 0xff };

	for (uint32_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(below(b, 3) ? test_random(&b->state) : 0);
	if (below(b, 8))
		bytes[0x0e] &= 0x81; /* a device or a bridge */
	bytes[0x06] |= 0x10;
	if (below(b, 2))
		peal_store_le(bytes, 4, 0x10421af4);
	bytes[0x34] = (uint8_t)(0x40 + 4 * below(b, 48));
	for (uint32_t at = 0x40; at + 4 <= size && at < 0x100; at += 4) {
		if (below(b, 2))
			bytes[at] = ids[below(b, sizeof(ids))];
		if (below(b, 2))
			bytes[at + 1] = (uint8_t)(0x40 + 4 * below(b, 48));
	}
	for (uint32_t at = 0x100; at + 4 <= size; at += 4) {
		if (below(b, 2) && at > 0x100)
			continue;
		peal_store_le(bytes + at, 4,
			      below(b, 5) | below(b, 4) << 16 | below(b, 0x1000) << 20);
	}
}

static void put(struct bench *b, const char *format, ...)
{
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(b->text + b->length, sizeof(b->text) - b->length, format, list);
	va_end(list);
	assert_true(n >= 0 && (size_t)n < sizeof(b->text) - b->length);
	b->length += (size_t)n;
}

static void put_dump(struct bench *b, const uint8_t *bytes, uint32_t size)
{
	if (below(b, 4))
		put(b, "%02x:%02x.%x something\n", (unsigned)below(b, 256), (unsigned)below(b, 32),
		    (unsigned)below(b, 8));
	for (uint32_t at = 0; at < size; at += 16) {
		put(b, "%02x:", at);
		for (uint32_t i = 0; i < 16; i++)
			put(b, " %02x", bytes[at + i]);
		put(b, "\n");
	}
	put(b, "\n");
}

/* A few characters become others, go, or come twice. */
static void spoil(struct bench *b)
{
	static const char letters[] = "0f: .*|\n\t#g-xX\x01\xff";
	unsigned n = (unsigned)below(b, 4);

	while (n-- && b->length > 1) {
		size_t at = below(b, b->length), many = 1 + below(b, 40);

		if (many > b->length - at)
			many = b->length - at;
		switch (below(b, 3)) {
		case 0:
			b->text[at] = letters[below(b, sizeof(letters) - 1)];
			break;
		case 1:
			memmove(b->text + at, b->text + at + many, b->length - at - many);
			b->length -= many;
			break;
		default:
			if (b->length + many > sizeof(b->text))
				break;
			memmove(b->text + at + many, b->text + at, b->length - at);
			b->length += many;
			break;
		}
	}
}

/* ---- tests ---- */

static struct bench bench;

static int set_up(void **unused)
{
	(void)unused;
	memset(&bench, 0, sizeof(bench));
	bench.names = pci_names_new();
	return bench.names ? 0 : -1;
}

static int tear_down(void **unused)
{
	(void)unused;
	pci_names_free(bench.names);
	return 0;
}

static void noise_gets_an_answer(void **unused)
{
	(void)unused;
	for (unsigned i = 0; i < DUMPS; i++) {
		static const size_t sizes[] = { 64, 128, 256, 4096 };
		bool letters = below(&bench, 2);

		bench.length = below(&bench, 4) ? sizes[below(&bench, 4)] : 1 + below(&bench, 6000);
		for (size_t k = 0; k < bench.length; k++)
			bench.text[k] = letters ? "0123456789abcdef :.\n*"[below(&bench, 21)]
						: (char)test_random(&bench.state);
		(void)decode(&bench);
	}
	assert_true(bench.accepted > DUMPS / 4);
	assert_true(bench.refused > DUMPS / 4);
}

/* Each of them is a dump, so each of them is printed. */
static void lists_that_lead_anywhere_end(void **unused)
{
	uint8_t bytes[PEAL_PCI_CONFIG_SIZE];

	(void)unused;
	for (unsigned i = 0; i < DUMPS / 2; i++) {
		uint32_t size = below(&bench, 8) ? 256 : PEAL_PCI_CONFIG_SIZE;

		make_space(&bench, bytes, size);
		bytes[1] = 0; /* no text */
		memcpy(bench.text, bytes, size);
		bench.length = size;
		assert_int_equal(decode(&bench), 0);
	}
}

static void spoiled_dumps_get_an_answer(void **unused)
{
	uint8_t bytes[PEAL_PCI_CONFIG_SIZE];

	(void)unused;
	for (unsigned i = 0; i < DUMPS / 2; i++) {
		unsigned devices = 1 + (unsigned)below(&bench, 3);

		bench.length = 0;
		for (unsigned k = 0; k < devices; k++) {
			uint32_t size = below(&bench, 2) ? 64 : 256;

			make_space(&bench, bytes, size);
			put_dump(&bench, bytes, size);
		}
		spoil(&bench);
		(void)decode(&bench);
	}
	assert_true(bench.accepted > 100);
	assert_true(bench.refused > 100);
}

/* Every beginning of a dump, cut at any character. */
static void cut_dumps_name_the_line(void **unused)
{
	uint8_t bytes[64] = { 0xf4, 0x1a };
	size_t whole;

	(void)unused;
	bench.length = 0;
	put(&bench, "00:01.0 x\n");
	for (uint32_t at = 0; at < sizeof(bytes); at += 16) {
		put(&bench, "%02x:", at);
		for (uint32_t i = 0; i < 16; i++)
			put(&bench, " %02x", bytes[at + i]);
		put(&bench, "\n");
	}
	whole = bench.length;
	for (size_t length = whole - 2; length > 0; length--) {
		bench.length = length;
		assert_int_equal(decode(&bench), -EPROTO);
	}
	bench.length = whole - 1; /* without its last end of line */
	assert_int_equal(decode(&bench), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(noise_gets_an_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lists_that_lead_anywhere_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(spoiled_dumps_get_an_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(cut_dumps_name_the_line, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("cli-decode-fuzz", tests, NULL, NULL);
}
