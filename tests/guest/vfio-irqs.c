/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vfio-irqs DEVICE: every cell of VFIO_DEVICE_SET_IRQS, index, action, data, range and payload in
 * every state, and what the device answers. One line a cell, and before it the state that is
 * entered,
 *
 *	state msix/on msix:oooo
 *	cell msix.trigger.eventfd(half,absent)/on 0 .... msix:..oo
 *
 * with the answer (0, a positive number, or the name of an error), what was signalled at once, and
 * what each index that is enabled afterwards signals: a character each for the first vector, the
 * two in the middle and the last: `o` the descriptor of before, `n` that of the request, `.` none.
 * Ranges are named in terms of the number of vectors, so that the lines of devices with different
 * numbers can be compared; what takes more vectors than there are is left out. The device must be
 * at rest.
 *
 * Whether a vector has a trigger is found out by loopback (NONE, TRIGGER), which reaches masked
 * vectors, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <peal/bits.h>

#include "vfio-open.h"

#define VECTORS_MAX 32u
#define CLOSED      900 /* a descriptor that is not open */
#define EFFECT_SIZE 64u

#define MASK    PEAL_VFIO_ACTION_MASK
#define UNMASK  PEAL_VFIO_ACTION_UNMASK
#define TRIGGER PEAL_VFIO_ACTION_TRIGGER
#define NONE    PEAL_VFIO_DATA_NONE
#define BOOL    PEAL_VFIO_DATA_BOOL
#define EVENTFD PEAL_VFIO_DATA_EVENTFD

static const char *const indexes[] = { "intx", "msi", "msix", "err", "req" };

struct state;

struct device {
	struct peal_vfio_device *device;
	uint32_t vectors[PEAL_VFIO_IRQS];
	uint32_t most; /* vectors of an index */
	int before[VECTORS_MAX], after[VECTORS_MAX];
	int watched, file;
	/* A state that a refused request left as it was is used again. */
	const struct state *state;
	unsigned state_index;
	char initial[EFFECT_SIZE];
};

/* ---- requests ---- */

enum payload {
	PLAIN,  /* of NONE */
	ONES,   /* BOOL: all true */
	ZEROS,  /* all false */
	FDS,    /* EVENTFD: all there */
	ABSENT, /* all -1 */
	MIXED,  /* the last is -1 */
	BELOW,  /* the last is -2 */
	SHUT,   /* the last is not open */
	FILE_,  /* the last is no eventfd */
	PAYLOADS
};

static const struct {
	const char *name;
	uint32_t data;
} payloads[PAYLOADS] = {
	[PLAIN] = { "", NONE },
	[ONES] = { ",ones", BOOL },
	[ZEROS] = { ",zeros", BOOL },
	[FDS] = { ",fds", EVENTFD },
	[ABSENT] = { ",absent", EVENTFD },
	[MIXED] = { ",mixed", EVENTFD },
	[BELOW] = { ",below", EVENTFD },
	[SHUT] = { ",closed", EVENTFD },
	[FILE_] = { ",file", EVENTFD },
};

/* The payload of COUNT vectors; its size, or what of it fits. */
static size_t fill(const struct device *d, enum payload payload, uint32_t count, uint8_t *to)
{
	int32_t last = payload == ABSENT || payload == MIXED ? -1
		       : payload == BELOW                    ? -2
		       : payload == SHUT                     ? CLOSED
		       : payload == FILE_                    ? d->file
							     : d->after[0];

	if (payload == PLAIN)
		return 0;
	if (count > VECTORS_MAX)
		count = VECTORS_MAX;
	if (payload == ONES || payload == ZEROS) {
		memset(to, payload == ONES, count);
		return count;
	}
	for (uint32_t i = 0; i < count; i++) {
		int32_t fd = payload == ABSENT ? -1 : d->after[i];

		if (i + 1 == count && payload != FDS)
			fd = last;
		memcpy(to + i * sizeof(fd), &fd, sizeof(fd));
	}
	return count * sizeof(int32_t);
}

static int request(struct device *d, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
		   const void *data, size_t size)
{
	const struct peal_irqset_request r = {
		.argsz = (uint32_t)(PEAL_VFIO_IRQ_REQUEST_SIZE + size),
		.flags = flags,
		.index = index,
		.start = start,
		.count = count,
	};

	return peal_vfio_set_irqs(d->device, &r, size ? data : NULL, size);
}

/* ---- states ---- */

static int set_fds(struct device *d, unsigned index, uint32_t count, bool there)
{
	int32_t fds[VECTORS_MAX];

	for (uint32_t i = 0; i < count; i++)
		fds[i] = there ? d->before[i] : -1;
	return request(d, EVENTFD | TRIGGER, index, 0, count, fds, count * sizeof(*fds));
}

static int enable(struct device *d, unsigned index, uint32_t count, bool there)
{
	return count ? set_fds(d, index, count, there) : -ENODEV;
}

static int state_idle(struct device *d, unsigned index)
{
	(void)d;
	(void)index;
	return 0;
}

static int state_on(struct device *d, unsigned index)
{
	return enable(d, index, d->vectors[index], true);
}

static int state_bare(struct device *d, unsigned index)
{
	return enable(d, index, d->vectors[index], false);
}

static int state_part(struct device *d, unsigned index)
{
	return d->vectors[index] < 4 ? -ENODEV : enable(d, index, d->vectors[index] / 2, true);
}

static int state_masked(struct device *d, unsigned index)
{
	int r = state_on(d, index);

	return r ? r : request(d, NONE | MASK, index, 0, 1, NULL, 0);
}

static int state_watched(struct device *d, unsigned index)
{
	int r = state_on(d, index);

	return r ? r : request(d, EVENTFD | UNMASK, index, 0, 1, &d->watched, sizeof(d->watched));
}

static int state_intx(struct device *d, unsigned index)
{
	(void)index;
	return enable(d, PEAL_VFIO_IRQ_INTX, d->vectors[PEAL_VFIO_IRQ_INTX], true);
}

static int state_msi(struct device *d, unsigned index)
{
	(void)index;
	return enable(d, PEAL_VFIO_IRQ_MSI, d->vectors[PEAL_VFIO_IRQ_MSI], true);
}

static int state_msix(struct device *d, unsigned index)
{
	(void)index;
	return enable(d, PEAL_VFIO_IRQ_MSIX, d->vectors[PEAL_VFIO_IRQ_MSIX], true);
}

#define OF(index) (1u << PEAL_VFIO_IRQ_##index)
#define MESSAGES  (OF(MSI) | OF(MSIX))
#define SINGLE    (OF(ERR) | OF(REQ))

static const struct state {
	const char *name;
	int (*enter)(struct device *d, unsigned index);
	unsigned indexes; /* of which requests are made in it */
} states[] = {
	{ "idle", state_idle, OF(INTX) | MESSAGES | SINGLE },
	{ "on", state_on, OF(INTX) | MESSAGES | SINGLE },
	{ "bare", state_bare, OF(INTX) | MESSAGES },
	{ "part", state_part, MESSAGES },
	{ "masked", state_masked, OF(INTX) },
	{ "watched", state_watched, OF(INTX) },
	{ "with-intx", state_intx, MESSAGES },
	{ "with-msi", state_msi, OF(INTX) | OF(MSIX) },
	{ "with-msix", state_msix, OF(INTX) | OF(MSI) | SINGLE },
};

static void take(int fd)
{
	uint64_t count;

	(void)!read(fd, &count, sizeof(count));
}

static void drain(struct device *d)
{
	for (unsigned i = 0; i < d->most; i++) {
		take(d->before[i]);
		take(d->after[i]);
	}
}

static void off(struct device *d)
{
	for (unsigned index = 0; index < PEAL_VFIO_IRQS; index++)
		(void)request(d, NONE | TRIGGER, index, 0, 0, NULL, 0);
	drain(d);
	take(d->watched);
}

/* ---- what came of it ---- */

static char signalled(int before, int after)
{
	uint64_t count;
	bool o = read(before, &count, sizeof(count)) == sizeof(count);
	bool n = read(after, &count, sizeof(count)) == sizeof(count);

	return o && n ? '2' : o ? 'o' : n ? 'n' : '.';
}

/*
 * What vectors of an index signalled, or signal by loopback. The request's descriptors are numbered
 * as in its payload, so START is where it began.
 */
static char *look_at(struct device *d, unsigned index, uint32_t start, bool ring, char *to)
{
	uint32_t n = d->vectors[index];
	const uint32_t looked_at[] = { 0, n / 2 - 1, n / 2, n - 1 };

	for (unsigned i = n < 4 ? 3 : 0; n && i < 4; i++) {
		uint32_t v = looked_at[i];

		if (ring && request(d, NONE | TRIGGER, index, v, 1, NULL, 0) != 0)
			*to++ = '!';
		else
			*to++ = signalled(d->before[v], d->after[v >= start ? v - start : 0]);
	}
	return to;
}

/* What each index signals. */
static void effect(struct device *d, uint32_t start, char to[EFFECT_SIZE])
{
	for (unsigned index = 0; index < PEAL_VFIO_IRQS; index++) {
		if (!d->vectors[index] || request(d, NONE | TRIGGER, index, 0, 1, NULL, 0) != 0)
			continue;
		drain(d);
		to += sprintf(to, " %s:", indexes[index]);
		to = look_at(d, index, start, true, to);
	}
	*to = '\0';
}

static void print_answer(int r)
{
	if (r >= 0)
		printf(" %d", r);
	else
		printf(" %s", strerrorname_np(-r));
}

/* Enters the state; false: this device has no such state. */
static bool enter(struct device *d, const struct state *state, unsigned index)
{
	if (d->state == state && d->state_index == index)
		return true;
	off(d);
	d->state = NULL;
	if (state->enter(d, index) != 0)
		return false;
	effect(d, 0, d->initial);
	printf("state %s/%s%s\n", indexes[index], state->name, d->initial);
	d->state = state;
	d->state_index = index;
	return true;
}

/* After a request for INDEX from START on, which was answered with R. */
static void print_result(struct device *d, unsigned index, uint32_t start, int r)
{
	char at_once[8], then[EFFECT_SIZE];

	*look_at(d, index, start, false, at_once) = '\0';
	effect(d, start, then);
	print_answer(r);
	printf(" %s%s\n", at_once, then);
	if (r >= 0 || strcmp(then, d->initial) != 0)
		d->state = NULL;
}

/* ---- cells ---- */

static const struct {
	const char *name;
	uint32_t flag;
} actions[] = { { "mask", MASK }, { "unmask", UNMASK }, { "trigger", TRIGGER } };

/* In half vectors of N: start and count are N * half / 2 + add. */
struct range {
	const char *name;
	unsigned start_halves;
	uint32_t start;
	unsigned count_halves;
	uint32_t count;
	uint32_t least; /* vectors that it takes to be of its own */
	bool whole;     /* inside, and not empty: with all payloads */
};

static const struct range ranges[] = {
	{ "none", 0, 0, 0, 0, 1, false },   { "one", 0, 0, 0, 1, 1, true },
	{ "all", 0, 0, 2, 0, 4, true },     { "half", 0, 0, 1, 0, 4, true },
	{ "tail", 1, 0, 1, 0, 4, true },    { "last", 2, -1u, 0, 1, 4, true },
	{ "end", 2, 0, 0, 0, 1, false },    { "past", 2, 0, 0, 1, 1, false },
	{ "more", 0, 0, 2, 1, 1, false },   { "over", 2, -1u, 0, 2, 1, false },
	{ "wrap", 0, 1, 0, -1u, 1, false }, { "huge", 0, 0, 0, -1u, 1, false },
	{ "far", 0, -1u, 0, 1, 1, false },  { "edge", 0, 1, 0, -2u, 1, false },
};

static uint32_t in_vectors(uint32_t n, unsigned halves, uint32_t add)
{
	return (halves == 2 ? n : halves == 1 ? n / 2 : 0) + add;
}

/* In the last half is what is left by the first. */
static uint32_t count_of(const struct range *range, uint32_t n)
{
	if (range->start_halves == 1)
		return n - n / 2;
	return in_vectors(n, range->count_halves, range->count);
}

static bool is_wanted(const struct range *range, enum payload payload, unsigned action,
		      unsigned index, uint32_t n)
{
	bool first = payload == PLAIN || payload == ONES || payload == FDS;

	if (n < range->least)
		return false;
	if (!range->whole)
		return first;
	/* There is nothing to mask: one answer for all. */
	if (actions[action].flag != TRIGGER && index != PEAL_VFIO_IRQ_INTX)
		return first && count_of(range, n) == 1 && !range->start_halves;
	return payload != MIXED || count_of(range, n) > 1;
}

static void try_cell(struct device *d, unsigned index, unsigned action, const struct range *range,
		     enum payload payload, const struct state *state)
{
	uint32_t n = d->vectors[index];
	uint32_t start = in_vectors(n, range->start_halves, range->start);
	uint32_t count = count_of(range, n);
	uint8_t data[VECTORS_MAX * 4];
	size_t size = fill(d, payload, count, data);
	int r;

	if (!enter(d, state, index))
		return;
	printf("cell %s.%s.%s(%s%s)/%s", indexes[index], actions[action].name,
	       payload == PLAIN ? "none"
	       : payload < FDS  ? "bool"
				: "eventfd",
	       range->name, payloads[payload].name, state->name);
	r = request(d, actions[action].flag | payloads[payload].data, index, start, count, data,
		    size);
	print_result(d, index, start, r);
}

static void try_index(struct device *d, unsigned index)
{
	for (size_t s = 0; s < PEAL_COUNT_OF(states); s++) {
		if (!(states[s].indexes >> index & 1))
			continue;
		for (unsigned a = 0; a < PEAL_COUNT_OF(actions); a++) {
			for (size_t r = 0; r < PEAL_COUNT_OF(ranges); r++) {
				for (enum payload p = 0; p < PAYLOADS; p++) {
					if (is_wanted(&ranges[r], p, a, index, d->vectors[index]))
						try_cell(d, index, a, &ranges[r], p, &states[s]);
				}
			}
		}
	}
}

/* ---- what does not hold together ---- */

static const struct bad {
	const char *name;
	uint32_t flags;
	uint32_t index;
	uint32_t count;
	uint32_t argsz;
} bads[] = {
	{ "argsz-19", NONE | TRIGGER, 0, 1, 19 },
	{ "argsz-0", NONE | TRIGGER, 0, 1, 0 },
	{ "index-5", NONE | TRIGGER, 5, 1, 20 },
	{ "index-max", NONE | TRIGGER, -1u, 1, 20 },
	{ "flag-40", NONE | TRIGGER | 0x40, 0, 1, 20 },
	{ "flag-80000000", NONE | TRIGGER | 0x80000000, 0, 1, 20 },
	{ "flags-0", 0, 0, 1, 20 },
	{ "no-data", TRIGGER, 0, 1, 20 },
	{ "none-bool", NONE | BOOL | TRIGGER, 0, 1, 24 },
	{ "bool-eventfd", BOOL | EVENTFD | TRIGGER, 0, 1, 24 },
	{ "none-eventfd", NONE | EVENTFD | TRIGGER, 0, 1, 24 },
	{ "no-action", NONE, 0, 1, 20 },
	{ "no-action-far", NONE, 0, 2, 20 },
	{ "mask-unmask", NONE | MASK | UNMASK, 0, 1, 20 },
	{ "mask-trigger", NONE | MASK | TRIGGER, 0, 1, 20 },
	{ "all-actions", NONE | MASK | UNMASK | TRIGGER, 0, 1, 20 },
	{ "bool-short", BOOL | TRIGGER, 0, 1, 20 },
	{ "eventfd-short", EVENTFD | TRIGGER, 0, 1, 23 },
	{ "eventfd-none", EVENTFD | TRIGGER, 0, 1, 20 },
	{ "argsz-more", NONE | TRIGGER, 0, 1, 64 },
	{ "argsz-max", NONE | TRIGGER, 0, 1, -1u },
	{ "eventfd-wrap", EVENTFD | TRIGGER, 0, 0x40000001, 24 },
	{ "eventfd-product", EVENTFD | TRIGGER, 0, 0x40000000, 20 },
	{ "req-no-action", NONE, 4, 1, 20 },
	{ "err-mask-unmask", NONE | MASK | UNMASK, 3, 1, 20 },
};

static void try_bad(struct device *d, const struct bad *bad, const struct state *state)
{
	const struct peal_irqset_request r = {
		.argsz = bad->argsz,
		.flags = bad->flags,
		.index = bad->index,
		.count = bad->count,
	};
	uint8_t data[64] = { 0 };
	int answer;

	if ((bad->index < PEAL_VFIO_IRQS && !d->vectors[bad->index]) ||
	    !enter(d, state, PEAL_VFIO_IRQ_INTX))
		return;
	memcpy(data, &d->after[0], sizeof(d->after[0]));
	answer = peal_vfio_set_irqs(d->device, &r, data,
				    bad->argsz > 20 && bad->argsz <= 84 ? bad->argsz - 20 : 0);
	printf("cell bad.%s/%s", bad->name, state->name);
	print_result(d, bad->index < PEAL_VFIO_IRQS ? bad->index : 0, 0, answer);
}

static void try_bads(struct device *d)
{
	for (size_t i = 0; i < PEAL_COUNT_OF(bads); i++) {
		try_bad(d, &bads[i], &states[0]);
		try_bad(d, &bads[i], &states[1]);
	}
}

/* An index without vectors refuses everything. */
static void try_empty(struct device *d, unsigned index)
{
	const int32_t fd = d->after[0];

	for (size_t a = 0; a < PEAL_COUNT_OF(actions); a++) {
		for (uint32_t count = 0; count < 2; count++) {
			printf("cell empty-%s.%s(%s)/idle", indexes[index], actions[a].name,
			       count ? "one" : "none");
			print_answer(request(d, EVENTFD | actions[a].flag, index, 0, count, &fd,
					     sizeof(fd)));
			putchar('\n');
		}
	}
}

/* ---- the device ---- */

static int make_fds(struct device *d)
{
	for (unsigned i = 0; i < VECTORS_MAX; i++) {
		d->before[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		d->after[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (d->before[i] < 0 || d->after[i] < 0)
			return -errno;
	}
	d->watched = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	d->file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return d->watched < 0 || d->file < 0 ? -errno : 0;
}

static int look(struct device *d)
{
	for (unsigned index = 0; index < PEAL_VFIO_IRQS; index++) {
		struct peal_vfio_irq_info info = { 0 };
		int r = peal_vfio_irq_info(d->device, index, &info);

		printf("info %s", indexes[index]);
		print_answer(r);
		printf(" flags %#x count %u\n", info.flags, info.count);
		if (info.count > VECTORS_MAX)
			return -E2BIG;
		d->vectors[index] = r < 0 ? 0 : info.count;
		if (info.count > d->most)
			d->most = info.count;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct device d;
	int r = argc == 2 ? vfio_open(&d.device, argv[1]) : -EINVAL;

	if (r == 0)
		r = make_fds(&d);
	if (r == 0)
		r = look(&d);
	if (r < 0) {
		(void)fprintf(stderr, "vfio-irqs: %s: %s\n", vfio_backend, strerror(-r));
		return 1;
	}
	for (unsigned index = 0; index < PEAL_VFIO_IRQS; index++) {
		if (d.vectors[index])
			try_index(&d, index);
		else
			try_empty(&d, index);
	}
	try_bads(&d);
	off(&d);
	peal_vfio_free(d.device);
	return 0;
}
