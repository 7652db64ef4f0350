/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replays what a guest did with a GICv3 ITS elsewhere, as tests/guest/record-its recorded it in
 * QEMU, and compares what Peal answers and delivers. A recording is text, a record to a line, the
 * numbers hexadecimal:
 *
 *   h CPUS ADDRESS SIZE          the machine: redistributors, the guest's RAM; comes first. Once
 *                                more: it is reset
 *   R OFFSET SIZE VALUE          a register of the ITS was read: Peal has to read the same
 *   W OFFSET SIZE VALUE          and written
 *   r CPU OFFSET SIZE VALUE      the same for the LPI registers of a redistributor
 *   w CPU OFFSET SIZE VALUE
 *   m ADDRESS COUNT BYTE         the guest filled memory that the GIC reads
 *   c INDEX DW0 DW1 DW2 DW3      a command, at INDEX in the queue, that the next write of
 *                                GITS_CWRITER carries out
 *   d DEVICE VALID               what it wrote into the device table
 *   e DEVICE EVENT INTID ICID    and into an interrupt translation table; INTID 0: no mapping
 *   t DEVICE EVENT               a device wrote EVENT to GITS_TRANSLATER
 *   l INTID CPU                  where that went, as an LPI; not there: it went nowhere
 *   a CPU INTID                  the CPU read INTID from ICC_IAR1_EL1
 *   i DEVICE EVENT CPU COUNT     /proc/interrupts said how often the CPU took the interrupt
 *   # …                          comment
 *
 * Exact are: every register that both implement (the masks below), that every command is carried
 * out, each translation, each acknowledged INTID in its order, that a kick told the CPU before,
 * and the guest's own counts.
 */
#ifndef PEAL_TESTS_GIC_REPLAY_H
#define PEAL_TESTS_GIC_REPLAY_H

#include "its-guest.h"

#include <sys/mman.h>

#define REPLAY_CPUS    16u
#define REPLAY_SOURCES 256u
#define REPLAY_DEVICES 4096u
#define REPLAY_ARGS    5u
#define REPLAY_RAM     (UINT64_C(1) << 32) /* at most */
#define REPLAY_INTIDS  65536u

/* A device's event, where it has to go, and how often each CPU took it since MAPD. */
struct replay_source {
	uint32_t device;
	uint32_t event;
	uint32_t intid; /* 0: not mapped */
	uint32_t icid;
	uint64_t counts[REPLAY_CPUS];
};

struct replay {
	char reason[256]; /* why the recording was not taken; "" as long as it is */
	struct test_host th;
	struct peal_space *space;
	struct peal_gic *gic;
	struct peal_its *its;
	uint8_t *ram;
	uint64_t ram_address;
	uint64_t ram_size;
	unsigned cpus;
	uint64_t queue;
	uint64_t ncommands;
	uint32_t device, event; /* of the last record `t` */
	int sent;               /* and what Peal answered, until a record `l` agreed */
	struct peal_its_error error;
	uint64_t nkinds[128];    /* records of each kind */
	bool awake[REPLAY_CPUS]; /* kicked, and not out of LPIs since */
	bool mapped[REPLAY_DEVICES];
	uint16_t source_of[REPLAY_INTIDS];            /* an LPI's source as delivered last */
	struct replay_source sources[REPLAY_SOURCES]; /* from 1 on: 0 is none */
	unsigned nsources;
};

#define replay_refuse(r, ...) \
	((void)snprintf((r)->reason, sizeof((r)->reason), __VA_ARGS__), (void)0)

/* ---- the machine ---- */

static inline void replay_kick(void *user, unsigned redist)
{
	((struct replay *)user)->awake[redist] = true;
}

static inline void replay_error(void *user, const struct peal_its_error *error)
{
	((struct replay *)user)->error = *error;
}

static inline void replay_ram(struct replay *r)
{
	const struct peal_space_config config = { .host = &r->th.host };
	int result;

	r->ram = (uint8_t *)mmap(NULL, (size_t)r->ram_size, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(r->ram, MAP_FAILED);
	result = peal_space_new(&r->space, &config);
	assert_int_equal(result, 0);
	result = peal_space_map(r->space, r->ram_address, r->ram_size, r->ram, PEAL_MEM_RW);
	assert_int_equal(result, 0);
}

static inline void replay_new_gic(struct replay *r)
{
	struct peal_redist_config redists[REPLAY_CPUS];
	const struct peal_gic_config gic = {
		.host = &r->th.host,
		.memory = r->space,
		.nredists = r->cpus,
		.redists = redists,
		.kick = replay_kick,
		.user = r,
	};
	struct peal_its_config its = { .error = replay_error, .user = r };
	int result;

	for (unsigned i = 0; i < r->cpus; i++)
		redists[i] = (struct peal_redist_config){ (uint16_t)i, i };
	result = peal_gic_new(&r->gic, &gic);
	assert_int_equal(result, 0);
	its.gic = r->gic;
	result = peal_its_new(&r->its, &its);
	assert_int_equal(result, 0);
}

/* The power button: memory forgets, the GIC is reset, its counters count on. */
static inline void replay_reset(struct replay *r)
{
	struct peal_its_counters counters;
	int result;

	peal_its_reset(r->its);
	peal_gic_reset(r->gic);
	result = madvise(r->ram, (size_t)r->ram_size, MADV_DONTNEED);
	assert_int_equal(result, 0);
	peal_its_counters(r->its, &counters);
	r->ncommands = counters.commands;
	r->nsources = 0;
	memset(r->sources, 0, sizeof(r->sources));
	memset(r->mapped, 0, sizeof(r->mapped));
	memset(r->awake, 0, sizeof(r->awake));
}

static inline void replay_machine(struct replay *r, const uint64_t *args)
{
	if (r->gic && args[0] == r->cpus && args[1] == r->ram_address && args[2] == r->ram_size) {
		replay_reset(r);
		return;
	}
	if (r->gic || args[0] < 1 || args[0] > REPLAY_CPUS || args[2] == 0 ||
	    args[2] > REPLAY_RAM || args[2] % 4096 != 0 || args[1] % 4096 != 0) {
		replay_refuse(r, "no such machine");
		return;
	}
	r->cpus = (unsigned)args[0];
	r->ram_address = args[1];
	r->ram_size = args[2];
	replay_ram(r);
	replay_new_gic(r);
}

static inline uint8_t *replay_at(struct replay *r, uint64_t address, uint64_t size)
{
	uint64_t offset = address - r->ram_address;

	if (address < r->ram_address || !peal_in_range(offset, size, r->ram_size)) {
		replay_refuse(r, "outside RAM: %#llx", (unsigned long long)address);
		return NULL;
	}
	return r->ram + offset;
}

static inline bool replay_is_cpu(struct replay *r, uint64_t cpu)
{
	if (cpu < r->cpus)
		return true;
	replay_refuse(r, "no CPU %llu", (unsigned long long)cpu);
	return false;
}

/* ---- mappings ---- */

static inline struct replay_source *replay_source(struct replay *r, uint32_t device, uint32_t event)
{
	struct replay_source *source;

	for (unsigned i = 1; i <= r->nsources; i++) {
		if (r->sources[i].device == device && r->sources[i].event == event)
			return &r->sources[i];
	}
	if (r->nsources + 1 == REPLAY_SOURCES) {
		replay_refuse(r, "too many interrupts");
		return NULL;
	}
	source = &r->sources[++r->nsources];
	source->device = device;
	source->event = event;
	return source;
}

/* A mapped or unmapped device has no events, and the guest counts its interrupts from 0 again. */
static inline void replay_device(struct replay *r, const uint64_t *args)
{
	for (unsigned i = 1; i <= r->nsources; i++) {
		if (r->sources[i].device == args[0])
			r->sources[i] = (struct replay_source){
				r->sources[i].device, r->sources[i].event, 0, 0, { 0 }
			};
	}
	r->mapped[args[0] % REPLAY_DEVICES] = args[1] & 1;
}

static inline void replay_event(struct replay *r, const uint64_t *args)
{
	struct replay_source *source = replay_source(r, (uint32_t)args[0], (uint32_t)args[1]);

	if (!source)
		return;
	source->intid = (uint32_t)args[2];
	source->icid = (uint32_t)args[3];
}

static inline void replay_check_mappings(struct replay *r)
{
	struct peal_its_counters counters;
	uint64_t events = 0, devices = 0;

	for (unsigned i = 1; i <= r->nsources; i++) {
		const struct replay_source *s = &r->sources[i];
		struct peal_its_translation to = { 0 };
		int result = peal_its_translate(r->its, s->device, s->event, &to);

		events += s->intid != 0;
		if (result != (s->intid != 0) || to.intid != s->intid || to.icid != s->icid) {
			replay_refuse(r, "device %#x event %#x is LPI %#x, recorded is %#x",
				      s->device, s->event, to.intid, s->intid);
			return;
		}
	}
	for (unsigned i = 0; i < REPLAY_DEVICES; i++)
		devices += r->mapped[i];
	peal_its_counters(r->its, &counters);
	if (counters.events != events || counters.devices != devices)
		replay_refuse(r, "%llu devices and %llu events are mapped",
			      (unsigned long long)counters.devices,
			      (unsigned long long)counters.events);
}

/* ---- registers ---- */

/*
 * What an implementation chooses for itself is not compared: who made it, the sizes of table
 * entries and how many collections there are (GITS_TYPER), whether EnableLPIs can be cleared at
 * once and which redistributors share a table (GICR_CTLR.IR, GICR_TYPER.CommonLPIAff).
 */
struct replay_mask {
	uint64_t offset;
	uint64_t mask;
};

static inline void replay_compare(struct replay *r, const struct replay_mask *masks, size_t n,
				  uint64_t offset, uint64_t recorded, uint64_t read)
{
	uint64_t mask = ~UINT64_C(0);

	for (size_t i = 0; i < n; i++) {
		if (masks[i].offset == offset)
			mask = masks[i].mask;
	}
	if ((recorded ^ read) & mask)
		replay_refuse(r, "register %#llx reads %#llx, recorded is %#llx",
			      (unsigned long long)offset, (unsigned long long)read,
			      (unsigned long long)recorded);
}

static inline void replay_its_read(struct replay *r, const uint64_t *args)
{
	static const struct replay_mask masks[] = {
		{ GITS_IIDR, 0 },
		{ GITS_TYPER, 0xbff01 },
	};
	uint64_t value = peal_its_read(r->its, args[0], (unsigned)args[1]);

	replay_compare(r, masks, PEAL_COUNT_OF(masks), args[0], args[2], value);
}

/* Behind GITS_CWRITER everything that was queued has been carried out. */
static inline void replay_check_commands(struct replay *r)
{
	struct peal_its_counters counters;

	peal_its_counters(r->its, &counters);
	if (counters.errors)
		replay_refuse(r, "command %#llx %#llx %#llx %#llx failed: %#x",
			      (unsigned long long)r->error.command[0],
			      (unsigned long long)r->error.command[1],
			      (unsigned long long)r->error.command[2],
			      (unsigned long long)r->error.command[3], r->error.error);
	else if (counters.commands != r->ncommands)
		replay_refuse(r, "%llu commands were carried out, recorded are %llu",
			      (unsigned long long)counters.commands,
			      (unsigned long long)r->ncommands);
}

static inline void replay_its_write(struct replay *r, const uint64_t *args)
{
	peal_its_write(r->its, args[0], (unsigned)args[1], args[2]);
	if (args[0] == GITS_CBASER)
		r->queue = args[2] & UINT64_C(0x000ffffffffff000);
	if (args[0] == GITS_CWRITER)
		replay_check_commands(r);
	if (args[0] == GITS_CWRITER && !r->reason[0])
		replay_check_mappings(r);
}

static inline void replay_redist_read(struct replay *r, const uint64_t *args)
{
	static const struct replay_mask masks[] = {
		{ GICR_CTLR, 0xb },
		{ 0x4, 0 }, /* GICR_IIDR */
		{ GICR_TYPER, ~UINT64_C(0x3000000) },
	};
	uint64_t value;

	if (!replay_is_cpu(r, args[0]))
		return;
	value = peal_redist_read(r->gic, (unsigned)args[0], args[1], (unsigned)args[2]);
	replay_compare(r, masks, PEAL_COUNT_OF(masks), args[1], args[3], value);
}

static inline void replay_redist_write(struct replay *r, const uint64_t *args)
{
	if (replay_is_cpu(r, args[0]))
		peal_redist_write(r->gic, (unsigned)args[0], args[1], (unsigned)args[2], args[3]);
}

/* ---- memory and commands ---- */

static inline void replay_memory(struct replay *r, const uint64_t *args)
{
	uint8_t *at = replay_at(r, args[0], args[1]);

	if (at)
		memset(at, (int)(args[2] & 0xff), (size_t)args[1]);
}

static inline void replay_command(struct replay *r, const uint64_t *args)
{
	uint8_t *at = replay_at(r, r->queue + 32 * (args[0] & 0x7fff), 32);

	for (unsigned i = 0; at && i < 4; i++)
		peal_store_le(at + 8 * i, 8, args[1 + i]);
	r->ncommands++;
}

/* ---- interrupts ---- */

static inline void replay_send(struct replay *r, const uint64_t *args)
{
	r->device = (uint32_t)args[0];
	r->event = (uint32_t)args[1];
	r->sent = peal_its_send(r->its, r->device, r->event);
}

static inline void replay_landing(struct replay *r, const uint64_t *args)
{
	const struct replay_source *source = replay_source(r, r->device, r->event);
	struct peal_its_translation to = { 0 };
	int result = peal_its_translate(r->its, r->device, r->event, &to);

	if (!source)
		return;
	if (r->sent != 1 || result != 1)
		replay_refuse(r, "device %#x event %#x: sent with %d", r->device, r->event,
			      r->sent);
	else if (to.intid != args[0] || to.redist != args[1] || to.intid >= REPLAY_INTIDS)
		replay_refuse(r, "device %#x event %#x went to LPI %#x of CPU %u", r->device,
			      r->event, to.intid, to.redist);
	else if (!peal_gic_is_pending(r->gic, to.redist, to.intid))
		replay_refuse(r, "LPI %#x is not pending on CPU %u", to.intid, to.redist);
	else
		r->source_of[to.intid] = (uint16_t)(source - r->sources);
	r->sent = 0;
}

static inline void replay_acknowledge(struct replay *r, const uint64_t *args)
{
	unsigned cpu = (unsigned)args[0];
	uint32_t intid;

	if (!replay_is_cpu(r, args[0]))
		return;
	intid = peal_gic_acknowledge(r->gic, cpu, ALL_PRIORITIES, NULL);
	if (intid != args[1])
		replay_refuse(r, "CPU %u took %#x, recorded is %#llx", cpu, intid,
			      (unsigned long long)args[1]);
	else if (!r->awake[cpu])
		replay_refuse(r, "nobody woke CPU %u for %#x", cpu, intid);
	else
		r->sources[r->source_of[intid]].counts[cpu]++;
	if (peal_gic_highest_pending(r->gic, cpu, ALL_PRIORITIES, NULL) == PEAL_GIC_SPURIOUS)
		r->awake[cpu] = false;
}

static inline void replay_count(struct replay *r, const uint64_t *args)
{
	const struct replay_source *source = replay_source(r, (uint32_t)args[0], (uint32_t)args[1]);

	if (source && replay_is_cpu(r, args[2]) && source->counts[args[2]] != args[3])
		replay_refuse(r, "device %#x event %#x: CPU %u took %llu, the guest counted %llu",
			      source->device, source->event, (unsigned)args[2],
			      (unsigned long long)source->counts[args[2]],
			      (unsigned long long)args[3]);
}

/* ---- the recording ---- */

struct replay_kind {
	char letter;
	unsigned nargs;
	void (*run)(struct replay *r, const uint64_t *args);
};

static const struct replay_kind replay_kinds[] = {
	{ 'h', 3, replay_machine },   { 'R', 3, replay_its_read },
	{ 'W', 3, replay_its_write }, { 'r', 4, replay_redist_read },
	{ 'm', 3, replay_memory },    { 'w', 4, replay_redist_write },
	{ 'c', 5, replay_command },   { 't', 2, replay_send },
	{ 'l', 2, replay_landing },   { 'a', 2, replay_acknowledge },
	{ 'i', 4, replay_count },     { 'd', 2, replay_device },
	{ 'e', 4, replay_event },
};

static inline void replay_line(struct replay *r, const char *line)
{
	uint64_t args[REPLAY_ARGS] = { 0 };
	const struct replay_kind *kind = NULL;
	unsigned nargs = 0;
	char *at, *end;

	for (size_t i = 0; i < PEAL_COUNT_OF(replay_kinds); i++) {
		if (replay_kinds[i].letter == line[0])
			kind = &replay_kinds[i];
	}
	if (!kind || (!r->gic && kind->run != replay_machine)) {
		replay_refuse(r, "what is this?");
		return;
	}
	at = (char *)(uintptr_t)(line + 1);
	for (; *at == ' ' && nargs < REPLAY_ARGS; nargs++, at = end) {
		args[nargs] = strtoull(at, &end, 16);
		if (end == at)
			break;
	}
	if (*at != '\0' || nargs != kind->nargs) {
		replay_refuse(r, "not %u numbers", kind->nargs);
		return;
	}
	if (r->sent == 1 && kind->run != replay_landing) {
		replay_refuse(r, "device %#x event %#x was delivered", r->device, r->event);
		return;
	}
	r->nkinds[(unsigned)kind->letter & 0x7f]++;
	kind->run(r, args);
}

/*
 * Replays TEXT into a new machine. R->reason is "" when Peal did all of it as recorded, and says
 * otherwise at which line it did not. A recording without records of a kind is not taken either.
 * BEFORE is called before each record but the first, and may exchange the GIC and the ITS.
 */
static inline void replay_run_with(struct replay *r, const char *text,
				   void (*before)(struct replay *r))
{
	unsigned number = 0;
	char line[256];

	memset(r, 0, sizeof(*r));
	test_host_init(&r->th);
	while (*text && !r->reason[0]) {
		size_t length = strcspn(text, "\n");

		number++;
		if (length >= sizeof(line)) {
			replay_refuse(r, "too long");
			break;
		}
		memcpy(line, text, length);
		line[length] = '\0';
		text += length + (text[length] == '\n');
		if (line[0] == '#')
			continue;
		if (r->gic && before)
			before(r);
		replay_line(r, line);
	}
	for (size_t i = 0; i < PEAL_COUNT_OF(replay_kinds) && !r->reason[0]; i++) {
		if (r->nkinds[(unsigned)replay_kinds[i].letter & 0x7f] == 0)
			replay_refuse(r, "no record %c", replay_kinds[i].letter);
	}
	if (r->reason[0]) {
		size_t used = strlen(r->reason);

		(void)snprintf(r->reason + used, sizeof(r->reason) - used, " (line %u)", number);
	}
	peal_its_free(r->its);
	peal_gic_free(r->gic);
	peal_space_free(r->space);
	if (r->ram)
		(void)munmap(r->ram, (size_t)r->ram_size);
	test_host_done(&r->th);
}

static inline void replay_run(struct replay *r, const char *text)
{
	replay_run_with(r, text, NULL);
}

/* ---- the recordings that are kept ---- */

/* The text of a recording; the caller frees it. NULL: it cannot be read. */
static inline char *replay_load(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text;
	size_t size;

	if (!file)
		return NULL;
	(void)fseek(file, 0, SEEK_END);
	size = (size_t)ftell(file);
	rewind(file);
	text = (char *)malloc(size + 1);
	thread_assert(text && fread(text, 1, size, file) == size);
	text[size] = '\0';
	(void)fclose(file);
	return text;
}

/* The same for one of tests/gic/data. */
static inline char *replay_load_kept(const char *name)
{
	const char *root = getenv("PEAL_SOURCE_ROOT");
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/tests/gic/data/%s", root ? root : ".", name);
	return replay_load(path);
}

#endif
