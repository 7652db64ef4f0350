/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What Linux does with an ITS, recorded by tests/guest/record-its and kept in data/: all of it, and
 * delivered to the CPUs that took the interrupts then. The same recordings with one thing changed
 * have to be found wrong.
 *
 * test-gic-linux-replay FILE...: the same for other recordings.
 */
#include "replay.h"

/* Lines that one test replays of a recording's changed copies; of a long one it takes a sample. */
#define LINES      600000u
#define RECORDINGS 4u

struct recording {
	char *text;
	unsigned lines;
};

static struct recording recordings[RECORDINGS];
static unsigned nrecordings;

static bool add_recording(char *text, const char *name)
{
	struct recording *recording = &recordings[nrecordings];

	if (!text || nrecordings == RECORDINGS) {
		fprintf(stderr, "no recording %s\n", name);
		return false;
	}
	nrecordings++;
	recording->text = text;
	for (const char *at = text; *at; at++)
		recording->lines += *at == '\n';
	return true;
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
	for (unsigned i = 0; i < nrecordings; i++) {
		replay_run(&r, recordings[i].text);
		assert_reason(&r, "");
		print_message("# %llu commands, %llu interrupts, %llu counts\n",
			      (unsigned long long)r.nkinds['c'], (unsigned long long)r.nkinds['a'],
			      (unsigned long long)r.nkinds['i']);
	}
}

static void linux_boots_again_after_a_reset(void **state)
{
	static struct replay r;

	(void)state;
	for (unsigned i = 0; i < nrecordings; i++) {
		const char *text = recordings[i].text;
		size_t length = strlen(text);
		char *twice = (char *)malloc(2 * length + 1);

		assert_non_null(twice);
		memcpy(twice, text, length);
		memcpy(twice + length, text, length + 1);
		replay_run(&r, twice);
		free(twice);
		assert_reason(&r, "");
		assert_int_equal(r.nkinds['h'], 2);
	}
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

static char *copy(const struct recording *recording)
{
	char *text = strdup(recording->text);

	assert_non_null(text);
	return text;
}

/* Replays RECORDING with the line at AT of it changed to LINE: is it refused? */
static bool is_missed(const struct recording *recording, const char *at, const char *line)
{
	static struct replay r;
	char *text = copy(recording);

	change_line(text + (at - recording->text), line);
	replay_run(&r, text);
	free(text);
	return r.reason[0];
}

/* Each how many lines are changed when there are CHANGES that could be made. */
static unsigned sample(const struct recording *recording, unsigned changes)
{
	return 1 + (unsigned)((uint64_t)changes * recording->lines / LINES);
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
		char *text = copy(&recordings[0]);

		change_line(find_line(find_line(text, change->after), change->start), change->line);
		replay_run(&r, text);
		free(text);
		assert_reason(&r, change->reason);
	}
}

/* GITS_IIDR is the implementation's own. */
static bool is_observation(const char *at)
{
	return strchr("Rrlai", *at) && strncmp(at, "R 4 ", 4) != 0;
}

/* Each single line of what was seen counts: with another last digit it is refused, there. */
static void change_observations(const struct recording *recording)
{
	static struct replay r;
	char *text = copy(recording), where[32];
	unsigned number = 0, seen = 0, step;

	for (char *at = text; *at; at = next_line(at))
		seen += is_observation(at);
	step = sample(recording, seen);
	seen = 0;
	for (char *at = text; *at; at = next_line(at)) {
		char *last = at + strcspn(at, "\n") - 1, was = *last;

		number++;
		if (!is_observation(at) || seen++ % step != 0)
			continue;
		*last = was == '0' ? '1' : '0';
		replay_run(&r, text);
		*last = was;
		(void)snprintf(where, sizeof(where), "(line %u)", number);
		assert_reason(&r, where);
	}
	print_message("# every %u. of %u observations\n", step, seen);
	assert_true(seen >= 100);
	free(text);
}

static void every_observation_counts(void **state)
{
	(void)state;
	for (unsigned i = 0; i < nrecordings; i++)
		change_observations(&recordings[i]);
}

/* What the guest wrote into its tables: without it interrupts are not enabled, or not mapped. */
static void memory_is_missed(void **state)
{
	(void)state;
	for (unsigned i = 0; i < nrecordings; i++) {
		const struct recording *recording = &recordings[i];
		unsigned step = sample(recording, 500), given = 0, missed = 0;

		for (char *at = find_line(recording->text, "# boot"); *at; at = next_line(at)) {
			if (*at == 'm' && given++ % step == 0)
				missed += is_missed(recording, at, "");
		}
		print_message("# every %u. of %u: %u\n", step, given, missed);
		assert_true(missed > 0);
	}
}

/*
 * What gets lost when a command is a SYNC instead. Not all INVs change something: the guest also
 * masks what is masked already.
 */
static void change_commands(const struct recording *recording, unsigned opcode, bool all)
{
	unsigned step = sample(recording, 200), given = 0, changed = 0, missed = 0, index, word;
	char line[32];

	for (char *at = recording->text; *at; at = next_line(at)) {
		if (sscanf(at, "c %x %x", &index, &word) != 2 || (word & 0xff) != opcode ||
		    given++ % step != 0)
			continue;
		(void)snprintf(line, sizeof(line), "c %x 5 0 0 0\n", index);
		missed += is_missed(recording, at, line);
		changed++;
	}
	print_message("# command %#x, every %u. of %u: %u\n", opcode, step, given, missed);
	assert_true(missed > 0);
	if (all)
		assert_int_equal(missed, changed);
}

static void every_command_is_missed(void **state)
{
	static const struct {
		unsigned opcode;
		bool all;
	} commands[] = {
		{ MOVI, true },  { MAPD, true }, { MAPC, false },
		{ MAPTI, true }, { INV, false }, { DISCARD, true },
	};

	(void)state;
	for (unsigned i = 0; i < nrecordings; i++) {
		for (size_t k = 0; k < PEAL_COUNT_OF(commands); k++)
			change_commands(&recordings[i], commands[k].opcode, commands[k].all);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linux_runs_as_it_did),
		cmocka_unit_test(linux_boots_again_after_a_reset),
		cmocka_unit_test(what_did_not_happen_is_refused),
		cmocka_unit_test(every_observation_counts),
		cmocka_unit_test(memory_is_missed),
		cmocka_unit_test(every_command_is_missed),
	};
	static const char *const kept[] = { "linux-arm64.its", "linux-arm64-wide.its" };
	int r;

	for (int i = 1; i < argc; i++) {
		if (!add_recording(replay_load(argv[i]), argv[i]))
			return 1;
	}
	for (size_t i = 0; argc < 2 && i < PEAL_COUNT_OF(kept); i++) {
		if (!add_recording(replay_load_kept(kept[i]), kept[i]))
			return 1;
	}
	r = cmocka_run_group_tests(tests, NULL, NULL);
	for (unsigned i = 0; i < nrecordings; i++)
		free(recordings[i].text);
	return r;
}
