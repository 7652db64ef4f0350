/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What Linux does with an ITS, recorded by tests/guest/record-its and kept in
 * data/linux-arm64.its: all of it, and delivered to the CPUs that took the interrupts then. The
 * same recordings with one thing changed have to be found wrong.
 *
 * test-gic-linux-replay FILE: the same for another recording.
 */
#include "replay.h"

static const char *path;
static char *recording;

static char *load(const char *name)
{
	FILE *file = fopen(name, "r");
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

static void assert_reason(const struct replay *r, const char *part)
{
	if (!strstr(r->reason, part) || (part[0] == '\0' && r->reason[0]))
		fail_msg("%s: \"%s\" expected", r->reason[0] ? r->reason : "accepted", part);
}

static void linux_runs_as_it_did(void **state)
{
	static struct replay r;

	(void)state;
	if (!recording)
		fail_msg("no recording %s", path);
	replay_run(&r, recording);
	assert_reason(&r, "");
	print_message("# %llu commands, %llu interrupts, %llu counts\n",
		      (unsigned long long)r.nkinds['c'], (unsigned long long)r.nkinds['a'],
		      (unsigned long long)r.nkinds['i']);
}

/* ---- recordings of something that did not happen ---- */

static char *next_line(char *at)
{
	at += strcspn(at, "\n");
	return at + (*at == '\n');
}

/* The first line from FROM on that starts with START; it is there. */
static char *find_line(char *from, const char *start)
{
	for (char *at = from; *at; at = next_line(at)) {
		if (strncmp(at, start, strlen(start)) == 0)
			return at;
	}
	fail_msg("no line %s", start);
	return NULL;
}

/* Replaces the line at AT by LINE, or takes it out (""). The text does not get longer. */
static void change_line(char *at, const char *line)
{
	size_t old = strcspn(at, "\n") + 1, length = strlen(line);

	assert_true(length <= old);
	memcpy(at, line, length);
	memmove(at + length, at + old, strlen(at + old) + 1);
}

static char *copy_recording(void)
{
	char *text;

	if (!recording)
		fail_msg("no recording %s", path);
	text = strdup(recording);
	assert_non_null(text);
	return text;
}

struct change {
	const char *after; /* the line is behind the first one that starts so */
	const char *start; /* and starts so */
	const char *line;  /* what it becomes; "": it goes */
	const char *reason;
};

static void what_did_not_happen_is_refused(void **state)
{
	static const struct change changes[] = {
		{ "#", "h ", "", "what is this?" },
		{ "h ", "# boot", "z\n", "what is this?" },
		{ "#", "h ", "h 4 40000000 800000\n", "outside RAM" },
		{ "h ", "R 8 ", "R 8 8\n", "not 3 numbers" },
		{ "h ", "R 8 ", "R 8 8 1 1\n", "not 3 numbers" },
		{ "h ", "R 8 ", "R 8 8 1efb1g\n", "not 3 numbers" },
		{ "h ", "W 0 4 80000001", "", "0 commands were carried out" },
		{ "h ", "w 1 0 4 3", "", "is LPI 0, recorded is 0x2" },
	};
	static struct replay r;

	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(changes); i++) {
		const struct change *change = &changes[i];
		char *text = copy_recording();

		change_line(find_line(find_line(text, change->after), change->start), change->line);
		replay_run(&r, text);
		free(text);
		assert_reason(&r, change->reason);
	}
}

/* Each single line of what was seen counts: with another last digit it is refused, there. */
static void every_observation_counts(void **state)
{
	static struct replay r;
	char *text = copy_recording(), *end;
	unsigned number = 0, changed = 0;

	(void)state;
	for (char *at = text; *at; at = next_line(at)) {
		char was, where[32];

		number++;
		/* GITS_IIDR is the implementation's own. */
		if (!strchr("Rrlai", *at) || strncmp(at, "R 4 ", 4) == 0)
			continue;
		end = at + strcspn(at, "\n") - 1;
		was = *end;
		*end = was == '0' ? '1' : '0';
		replay_run(&r, text);
		*end = was;
		(void)snprintf(where, sizeof(where), "(line %u)", number);
		assert_reason(&r, where);
		changed++;
	}
	print_message("# %u observations\n", changed);
	free(text);
}

/* What the guest wrote into its tables: without it interrupts are not enabled, or not mapped. */
static void memory_is_missed(void **state)
{
	static struct replay r;
	unsigned given = 0, missed = 0;

	(void)state;
	for (char *at = find_line(recording, "# boot"); *at; at = next_line(at)) {
		char *text;

		if (*at != 'm')
			continue;
		text = copy_recording();
		change_line(text + (at - recording), "");
		replay_run(&r, text);
		free(text);
		given++;
		missed += r.reason[0] != 0;
	}
	print_message("# %u of %u\n", missed, given);
	assert_true(missed > 0);
}

/* Replays with the command at AT of the recording as a SYNC: was it missed? */
static bool is_missed(const char *at, unsigned index)
{
	static struct replay r;
	char *text = copy_recording(), line[32];

	(void)snprintf(line, sizeof(line), "c %x 5 0 0 0\n", index);
	change_line(text + (at - recording), line);
	replay_run(&r, text);
	free(text);
	return r.reason[0];
}

/*
 * Not all INVs change something: the guest also masks what is masked, and INVALLs where it has
 * mapped nothing yet.
 */
static void commands_are_missed(void **state)
{
	static const struct {
		unsigned opcode;
		bool all;
		const char *name;
	} commands[] = {
		{ MOVI, true, "MOVI" },   { MAPD, true, "MAPD" }, { MAPC, false, "MAPC" },
		{ MAPTI, true, "MAPTI" }, { INV, false, "INV" },  { DISCARD, true, "DISCARD" },
	};

	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(commands); i++) {
		unsigned given = 0, missed = 0, index, opcode;

		for (char *at = recording; at && *at; at = next_line(at)) {
			if (sscanf(at, "c %x %x", &index, &opcode) != 2 ||
			    (opcode & 0xff) != commands[i].opcode)
				continue;
			given++;
			missed += is_missed(at, index);
		}
		print_message("# %s: %u of %u\n", commands[i].name, missed, given);
		assert_true(missed > 0);
		if (commands[i].all)
			assert_int_equal(missed, given);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linux_runs_as_it_did),
		cmocka_unit_test(what_did_not_happen_is_refused),
		cmocka_unit_test(every_observation_counts),
		cmocka_unit_test(memory_is_missed),
		cmocka_unit_test(commands_are_missed),
	};
	const char *root = getenv("PEAL_SOURCE_ROOT");
	char name[4096];
	int r;

	(void)snprintf(name, sizeof(name), "%s/tests/gic/data/linux-arm64.its", root ? root : ".");
	path = argc > 1 ? argv[1] : name;
	recording = load(path);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	free(recording);
	return r;
}
