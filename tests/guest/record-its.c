/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The recorder inside QEMU: a library that tests/guest/record-its preloads. QEMU opens its trace
 * log with fopen(); for the file that RECORD_ITS_LOG names this library answers with a stream of
 * its own, so that every trace line arrives here in the thread that caused it, before the guest
 * goes on. At that moment the guest's RAM (RECORD_ITS_RAM, the file of a shared memory back-end)
 * holds what the interrupt controller saw: the four doublewords of a command as the guest wrote
 * them, and the tables that the guest fills, the LPI configuration and the level 1 device table.
 * The recording goes to RECORD_ITS_OUT, in the format that tests/gic/replay.h describes.
 *
 * Invariants: QEMU traces a command before it carries it out and the register write behind it
 * (GITS_CWRITER) after it; a change of memory is recorded before the next event, whatever it is.
 * A line that does not read as expected ends the recording with a record `x`, which no replay
 * takes.
 *
 * Locks: trace lines come one after the other under the stream's own lock, and QEMU handles the
 * interrupt controller under one global lock: the order of the lines is the order of the events.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define RAM_BASE    UINT64_C(0x40000000) /* of QEMU's machine `virt` */
#define MAX_CPUS    16u
#define MAX_WATCHED 8u
#define LINE        512u

struct watched {
	uint64_t address;
	uint64_t size;
	uint8_t *seen; /* as recorded last */
};

static struct {
	FILE *out;
	uint8_t *ram;
	uint64_t ram_size;
	uint64_t queue;
	struct watched watched[MAX_WATCHED];
	unsigned nwatched;
	char last_read[LINE]; /* a poll that reads the same again is recorded once */
	bool translating;     /* between a write to GITS_TRANSLATER and what came of it */
	unsigned long long intid;
	unsigned long long device; /* whose entry was read last */
	bool failed;

	char console[LINE]; /* the line that the guest is printing */
	size_t console_length;
	unsigned cpus[MAX_CPUS]; /* the columns of /proc/interrupts */
	unsigned ncpus;
	char counts[16 * 1024]; /* records to be, until the guest says that they hold */
	size_t counts_length;
} rec;

/* The library has nobody to report to but the recording. */
static void fail(const char *why, const char *line)
{
	if (!rec.failed)
		fprintf(rec.out, "x %s: %s\n", why, line);
	rec.failed = true;
	fflush(rec.out);
}

/* ---- guest memory ---- */

static const uint8_t *ram_at(uint64_t address, uint64_t size)
{
	uint64_t offset = address - RAM_BASE;

	if (address < RAM_BASE || offset > rec.ram_size || size > rec.ram_size - offset)
		return NULL;
	return rec.ram + offset;
}

static void watch(uint64_t address, uint64_t size)
{
	struct watched *w = &rec.watched[rec.nwatched];

	for (unsigned i = 0; i < rec.nwatched; i++) {
		if (rec.watched[i].address == address)
			return;
	}
	if (rec.nwatched == MAX_WATCHED || !ram_at(address, size)) {
		fail("table", "too many, or outside RAM");
		return;
	}
	w->address = address;
	w->size = size;
	w->seen = calloc(1, size);
	rec.nwatched++;
}

/* Records what changed, as runs of one byte. */
static void record_memory(struct watched *w)
{
	const uint8_t *now = ram_at(w->address, w->size);

	if (memcmp(now, w->seen, w->size) == 0)
		return;
	for (uint64_t i = 0, n; i < w->size; i += n) {
		uint8_t byte = *(const volatile uint8_t *)&now[i];

		n = 1;
		if (byte == w->seen[i])
			continue;
		while (i + n < w->size && now[i + n] == byte && w->seen[i + n] != byte)
			n++;
		memset(w->seen + i, byte, n);
		fprintf(rec.out, "m %llx %llx %x\n", (unsigned long long)(w->address + i),
			(unsigned long long)n, byte);
	}
}

static void record_all_memory(void)
{
	for (unsigned i = 0; i < rec.nwatched; i++)
		record_memory(&rec.watched[i]);
}

/* ---- trace lines ---- */

typedef unsigned long long ull;

static void read_once(const char *record)
{
	if (strcmp(record, rec.last_read) == 0)
		return;
	(void)snprintf(rec.last_read, sizeof(rec.last_read), "%s", record);
	fputs(record, rec.out);
}

static bool its_read(const char *line)
{
	char record[LINE];
	ull offset, value;
	unsigned size;

	if (sscanf(line, "GICv3 ITS read: offset %llx data %llx size %u", &offset, &value, &size) !=
	    3)
		return false;
	(void)snprintf(record, sizeof(record), "R %llx %x %llx\n", offset, size, value);
	read_once(record);
	return true;
}

static bool its_write(const char *line)
{
	ull offset, value;
	unsigned size;

	if (sscanf(line, "GICv3 ITS write: offset %llx data %llx size %u", &offset, &value,
		   &size) != 3)
		return false;
	fprintf(rec.out, "W %llx %x %llx\n", offset, size, value);
	if (offset == 0x80)
		rec.queue = value & UINT64_C(0x000ffffffffff000);
	/* GITS_BASER0, valid and indirect: its level 1 is the guest's to write */
	if (offset == 0x100 && value >> 62 == 3)
		watch(value & UINT64_C(0x0000fffffffff000),
		      ((value & 0xff) + 1) * (UINT64_C(0x1000) << 2 * (value >> 8 & 3)));
	return true;
}

static bool is_lpi_register(ull offset)
{
	return offset <= 0x8 || offset == 0x70 || offset == 0x78 || offset == 0x40 ||
	       offset == 0x48 || offset == 0xa0 || offset == 0xb0 || offset == 0xc0;
}

static bool redist_read(const char *line)
{
	char record[LINE];
	ull offset, value;
	unsigned cpu, size;

	if (sscanf(line, "GICv3 redistributor %x read: offset %llx data %llx size %u", &cpu,
		   &offset, &value, &size) != 4)
		return false;
	(void)snprintf(record, sizeof(record), "r %x %llx %x %llx\n", cpu, offset, size, value);
	if (is_lpi_register(offset))
		read_once(record);
	return true;
}

static bool redist_write(const char *line)
{
	ull offset, value;
	unsigned cpu, size;

	if (sscanf(line, "GICv3 redistributor %x write: offset %llx data %llx size %u", &cpu,
		   &offset, &value, &size) != 4)
		return false;
	if (is_lpi_register(offset))
		fprintf(rec.out, "w %x %llx %x %llx\n", cpu, offset, size, value);
	if (offset == 0x70)
		watch(value & UINT64_C(0x000ffffffffff000), (UINT64_C(2) << (value & 0x1f)) - 8192);
	return true;
}

/* The traced opcode has to be that of the words in memory, or the moment was missed. */
static bool command(const char *line)
{
	const uint8_t *at;
	uint64_t words[4];
	ull index, opcode;

	if (sscanf(line, "GICv3 ITS: processing command at offset %llx: %llx", &index, &opcode) !=
	    2)
		return false;
	at = ram_at(rec.queue + 32 * index, sizeof(words));
	if (!at)
		return false;
	memcpy(words, at, sizeof(words));
	rec.translating = false;
	fprintf(rec.out, "c %llx %llx %llx %llx %llx\n", index, (ull)words[0], (ull)words[1],
		(ull)words[2], (ull)words[3]);
	return (words[0] & 0xff) == opcode;
}

static bool translation_write(const char *line)
{
	ull offset, event, device;
	unsigned size;

	if (sscanf(line,
		   "GICv3 ITS TRANSLATER write: offset %llx data %llx size %u requester_id %llx",
		   &offset, &event, &size, &device) != 4)
		return false;
	fprintf(rec.out, "t %llx %llx\n", device, event);
	rec.translating = true;
	rec.intid = 0;
	return true;
}

/* `Device Table read for DeviceID 0x8: valid 1 size 0x2 ITTaddr 0x483e4c00` */
static bool dte_read(const char *line)
{
	return sscanf(line, "GICv3 ITS: Device Table read for DeviceID %llx", &rec.device) == 1;
}

static bool dte_write(const char *line)
{
	ull device;
	unsigned valid;

	if (sscanf(line, "GICv3 ITS: Device Table write for DeviceID %llx: valid %u", &device,
		   &valid) != 2)
		return false;
	fprintf(rec.out, "d %llx %x\n", device, valid);
	return true;
}

/* `… for ITTaddr 0x483e4c00 EventID 0x1: valid 1 inttype 1 intid 0x2001 ICID 0x0 …` */
static bool read_ite(const char *line, ull *event, ull *intid, ull *icid)
{
	const char *at = strstr(line, " EventID ");
	unsigned valid, type;

	if (!at || sscanf(at, " EventID %llx: valid %u inttype %u intid %llx ICID %llx", event,
			  &valid, &type, intid, icid) != 5)
		return false;
	*intid = valid ? *intid : 0;
	return true;
}

static bool ite_read(const char *line)
{
	ull event, icid;

	return read_ite(line, &event, &rec.intid, &icid);
}

static bool ite_write(const char *line)
{
	ull event, intid, icid;

	if (!read_ite(line, &event, &intid, &icid))
		return false;
	fprintf(rec.out, "e %llx %llx %llx %llx\n", rec.device, event, intid, icid);
	return true;
}

static bool cte_read(const char *line)
{
	const char *at = strstr(line, ": valid ");
	unsigned valid;
	ull cpu;

	if (!at || sscanf(at, ": valid %u RDBase %llx", &valid, &cpu) != 2)
		return false;
	if (rec.translating && rec.intid && valid)
		fprintf(rec.out, "l %llx %llx\n", rec.intid, cpu);
	rec.translating = false;
	return true;
}

static bool acknowledge(const char *line)
{
	ull intid;
	unsigned cpu;

	if (sscanf(line, "GICv3 ICC_IAR1 read cpu %x value %llx", &cpu, &intid) != 2)
		return false;
	if (intid >= 8192)
		fprintf(rec.out, "a %x %llx\n", cpu, intid);
	return true;
}

/* ---- the guest's console ---- */

static void console_columns(void)
{
	const char *at = rec.console;
	int length;
	unsigned cpu;

	for (rec.ncpus = 0; rec.ncpus < MAX_CPUS && sscanf(at, " CPU%u%n", &cpu, &length) == 1;
	     at += length)
		rec.cpus[rec.ncpus++] = cpu;
	rec.counts_length = 0;
}

/* ` 20:  1  0  7  0  ITS-PCI-MSIX-0000:00:01.0   1 Edge  virtio0-req.0` */
static void console_row(const char *where)
{
	unsigned bus, device, function, event, counts[MAX_CPUS] = { 0 };
	const char *at = strchr(rec.console, ':');
	size_t room = sizeof(rec.counts) - rec.counts_length;
	int n;

	if (!at ||
	    sscanf(where, "ITS-PCI-MSI%*[^:]:%x:%x.%u %u", &bus, &device, &function, &event) != 4) {
		fail("row of /proc/interrupts", rec.console);
		return;
	}
	at++;
	for (unsigned i = 0; i < rec.ncpus; i++, at += n) {
		if (sscanf(at, " %u%n", &counts[rec.cpus[i]], &n) != 1) {
			fail("count of /proc/interrupts", rec.console);
			return;
		}
	}
	for (unsigned i = 0; i < rec.ncpus; i++) {
		n = snprintf(rec.counts + rec.counts_length, room, "i %x %x %x %x\n",
			     bus << 8 | device << 3 | function, event, rec.cpus[i],
			     counts[rec.cpus[i]]);
		if ((size_t)n >= room) {
			fail("/proc/interrupts", "too long");
			return;
		}
		rec.counts_length += (size_t)n;
		room -= (size_t)n;
	}
}

static void console_line(void)
{
	const char *where = strstr(rec.console, "ITS-PCI-MSI");

	if (strncmp(rec.console, "counts hold", 11) == 0) {
		fwrite(rec.counts, 1, rec.counts_length, rec.out);
		rec.counts_length = 0;
	} else if (strncmp(rec.console, "its: ", 5) == 0) {
		fprintf(rec.out, "# %s\n", rec.console + 5);
	} else if (strstr(rec.console, "  CPU0  ")) {
		console_columns();
	} else if (where) {
		console_row(where);
	}
}

static bool console_write(const char *line)
{
	const char *value = strstr(line, "value ");
	ull offset, byte;

	if (sscanf(line, "addr 0x%llx", &offset) != 1 || !value ||
	    sscanf(value, "value 0x%llx", &byte) != 1)
		return false;
	if (offset != 0 || byte == '\r')
		return true;
	if (byte != '\n' && rec.console_length + 1 < sizeof(rec.console)) {
		rec.console[rec.console_length++] = (char)byte;
		return true;
	}
	rec.console[rec.console_length] = '\0';
	console_line();
	rec.console_length = 0;
	return true;
}

/* ---- the stream ---- */

static const struct {
	const char *event;
	bool (*record)(const char *line);
} events[] = {
	{ "gicv3_its_read ", its_read },
	{ "gicv3_its_write ", its_write },
	{ "gicv3_its_process_command ", command },
	{ "gicv3_its_translation_write ", translation_write },
	{ "gicv3_its_dte_read ", dte_read },
	{ "gicv3_its_dte_write ", dte_write },
	{ "gicv3_its_ite_read ", ite_read },
	{ "gicv3_its_ite_write ", ite_write },
	{ "gicv3_its_cte_read ", cte_read },
	{ "gicv3_redist_read ", redist_read },
	{ "gicv3_redist_write ", redist_write },
	{ "gicv3_icc_iar1_read ", acknowledge },
	{ "pl011_write ", console_write },
};

static void trace_line(const char *line)
{
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]) && !rec.failed; i++) {
		size_t length = strlen(events[i].event);

		if (strncmp(line, events[i].event, length) != 0)
			continue;
		if (events[i].record != its_read && events[i].record != redist_read)
			rec.last_read[0] = '\0';
		record_all_memory();
		if (!events[i].record(line + length))
			fail("trace line", line);
		return;
	}
}

static ssize_t stream_write(void *cookie, const char *data, size_t size)
{
	static char line[LINE];
	static size_t length;

	(void)cookie;
	for (size_t i = 0; i < size; i++) {
		if (data[i] != '\n') {
			if (length + 1 < sizeof(line))
				line[length++] = data[i];
			continue;
		}
		line[length] = '\0';
		length = 0;
		trace_line(line);
	}
	return (ssize_t)size;
}

static int stream_close(void *cookie)
{
	(void)cookie;
	return fflush(rec.out);
}

static FILE *stream_open(void)
{
	static const cookie_io_functions_t functions = {
		.write = stream_write,
		.close = stream_close,
	};
	const char *out = getenv("RECORD_ITS_OUT");
	const char *ram = getenv("RECORD_ITS_RAM");
	struct stat st;
	FILE *stream;
	int fd;

	fd = ram ? open(ram, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0 || fstat(fd, &st) < 0)
		return NULL;
	rec.ram_size = (uint64_t)st.st_size;
	rec.ram = mmap(NULL, rec.ram_size, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (rec.ram == MAP_FAILED)
		return NULL;
	rec.out = out ? fopen(out, "a") : NULL;
	stream = rec.out ? fopencookie(NULL, "w", functions) : NULL;
	if (stream)
		(void)setvbuf(stream, NULL, _IOLBF, BUFSIZ);
	return stream;
}

static FILE *open_file(const char *name, const char *path, const char *mode)
{
	const char *log = getenv("RECORD_ITS_LOG");
	FILE *(*next)(const char *, const char *);

	if (log && strcmp(path, log) == 0)
		return stream_open();
	*(void **)&next = dlsym(RTLD_NEXT, name);
	return next(path, mode);
}

FILE *fopen(const char *path, const char *mode)
{
	return open_file("fopen", path, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
	return open_file("fopen64", path, mode);
}
