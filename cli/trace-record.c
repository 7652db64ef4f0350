/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "its-command.h"
#include "trace-record.h"

void trace_record_its(struct peal_trace_record *ret, uint64_t ns,
		      const struct peal_its_trace *trace)
{
	memset(ret, 0, sizeof(*ret));
	ret->words[0] = ns;
	if (trace->kind == PEAL_ITS_TRACE_COMMAND) {
		ret->words[1] = TRACE_COMMAND | (uint64_t)trace->error << 32;
		memcpy(&ret->words[2], trace->command, sizeof(trace->command));
		ret->words[6] = trace->offset;
		return;
	}
	ret->words[1] = TRACE_MESSAGE | (uint64_t)(uint32_t)trace->result << 32;
	ret->words[2] = (uint64_t)trace->device << 32 | trace->event;
	ret->words[3] = (uint64_t)trace->redist << 32 | trace->intid;
}

void trace_record_lost(struct peal_trace_record *ret, uint64_t ns, uint64_t count)
{
	memset(ret, 0, sizeof(*ret));
	ret->words[0] = ns;
	ret->words[1] = TRACE_LOST;
	ret->words[2] = count;
}

/* ---- commands ---- */

static void print_command(const struct peal_trace_record *r, FILE *to)
{
	uint32_t error = (uint32_t)(r->words[1] >> 32);
	char text[ITS_COMMAND_TEXT];

	its_command_text(&r->words[2], text);
	fprintf(to, "cmd %s", text);
	if (error)
		fprintf(to, " !!! 0x%06" PRIx32 " %s", error, its_error_text(error));
}

static void command_json(const struct peal_trace_record *r, json_t *object)
{
	uint32_t error = (uint32_t)(r->words[1] >> 32);

	(void)json_object_set_new(object, "kind", json_string("command"));
	(void)json_object_set_new(object, "offset", json_integer((json_int_t)r->words[6]));
	its_command_json(&r->words[2], object);
	(void)json_object_set_new(object, "error",
				  error ? json_sprintf("0x%06" PRIx32, error) : json_null());
	(void)json_object_set_new(object, "error_text",
				  error ? json_string(its_error_text(error)) : json_null());
}

/* ---- messages ---- */

struct message {
	uint32_t device, event, intid, redist;
	const char *state; /* what came of it */
};

static struct message message_of(const struct peal_trace_record *r)
{
	struct message m = {
		.device = (uint32_t)(r->words[2] >> 32),
		.event = (uint32_t)r->words[2],
		.intid = (uint32_t)r->words[3],
		.redist = (uint32_t)(r->words[3] >> 32),
		.state = "delivered",
	};
	uint32_t result = (uint32_t)(r->words[1] >> 32);

	if (result == (uint32_t)-EBUSY)
		m.state = m.intid ? "lpis-off" : "its-off";
	else if (result != 1)
		m.state = m.intid ? "no-collection" : "unmapped";
	return m;
}

static void print_message(const struct peal_trace_record *r, FILE *to)
{
	struct message m = message_of(r);

	fprintf(to, "msg device 0x%" PRIx32 " event %" PRIu32 " ->", m.device, m.event);
	if (m.intid)
		fprintf(to, " lpi %" PRIu32, m.intid);
	if (m.redist != PEAL_ITS_TRACE_NOWHERE)
		fprintf(to, " vcpu %" PRIu32, m.redist);
	if (strcmp(m.state, "delivered") != 0)
		fprintf(to, " !!! %s", m.state);
}

static json_t *number_or_null(uint32_t value, uint32_t none)
{
	return value == none ? json_null() : json_integer(value);
}

static void message_json(const struct peal_trace_record *r, json_t *object)
{
	struct message m = message_of(r);

	(void)json_object_set_new(object, "kind", json_string("message"));
	(void)json_object_set_new(object, "device_id", json_integer(m.device));
	(void)json_object_set_new(object, "event_id", json_integer(m.event));
	(void)json_object_set_new(object, "intid", number_or_null(m.intid, 0));
	(void)json_object_set_new(object, "vcpu", number_or_null(m.redist, PEAL_ITS_TRACE_NOWHERE));
	(void)json_object_set_new(object, "result", json_string(m.state));
}

/* ---- lost ---- */

static void print_lost(const struct peal_trace_record *r, FILE *to)
{
	fprintf(to, "lost %" PRIu64 " records", r->words[2]);
}

static void lost_json(const struct peal_trace_record *r, json_t *object)
{
	(void)json_object_set_new(object, "kind", json_string("lost"));
	(void)json_object_set_new(object, "count", json_integer((json_int_t)r->words[2]));
}

static const struct {
	void (*print)(const struct peal_trace_record *r, FILE *to);
	void (*json)(const struct peal_trace_record *r, json_t *object);
} kinds[] = {
	[TRACE_COMMAND] = { print_command, command_json },
	[TRACE_MESSAGE] = { print_message, message_json },
	[TRACE_LOST] = { print_lost, lost_json },
};

bool trace_record_print(const struct peal_trace_record *record, FILE *to, bool json)
{
	unsigned kind = trace_record_kind(record);
	json_t *object;

	if (kind < TRACE_COMMAND || kind > TRACE_LOST)
		return false;
	if (!json) {
		fprintf(to, "%" PRIu64 ".%06" PRIu64 " ", record->words[0] / 1000000000,
			record->words[0] / 1000 % 1000000);
		kinds[kind].print(record, to);
		putc('\n', to);
		return true;
	}
	object = json_object();
	(void)json_object_set_new(object, "time", json_real((double)record->words[0] / 1e9));
	kinds[kind].json(record, object);
	(void)json_dumpf(object, to, JSON_COMPACT | JSON_REAL_PRECISION(12));
	putc('\n', to);
	json_decref(object);
	return true;
}
