/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where interrupts stop: a block driver on a virtio disk, with a guest that gets one step wrong at
 * a time. Each mistake is seen at its own station, exactly, and named in the diagnosis.
 */
#include <unistd.h>

#include <peal/virtio.h>

#include "rig.h"

#define QUEUES    2u
#define DEPTH     8u
#define REQUESTS  (QUEUES * DEPTH)
#define DISK_SIZE (UINT64_C(64) << 10)

struct work {
	enum peal_guest_mistake mistake;
	struct peal_virtio_blk *blk;
	struct peal_msix *msix;
	struct peal_blk_request requests[REQUESTS];
	uint64_t good, canceled, other; /* requests, by status */
	uint64_t ended;                 /* before the driver was detached */
	bool detaching;
	struct peal_path_counters path;
	struct peal_path_counters after; /* the driver is gone */
	uint64_t vectors_handled;
	bool vectors_masked; /* by Vector Control or Function Mask */
};

/* What is expected of a mistake. */
static const struct {
	enum peal_guest_mistake mistake;
	size_t station; /* offset of the counter in which all raises end */
	const char *words;
	bool is_quiet; /* the device raises nothing */
	bool is_sent;
	bool is_translated;
} mistakes[] = {
	{ .mistake = PEAL_GUEST_WRONG_ADDRESS,
	  .station = offsetof(struct peal_path_counters, unrouted),
	  .words = "address of the MSI-X entries",
	  .is_sent = true },
	{ .mistake = PEAL_GUEST_WRONG_FRAME,
	  .station = offsetof(struct peal_path_counters, misdirected),
	  .words = "GITS_TRANSLATER",
	  .is_sent = true },
	{ .mistake = PEAL_GUEST_WRONG_EVENT,
	  .station = offsetof(struct peal_path_counters, unmapped),
	  .words = "data of the MSI-X entries",
	  .is_sent = true },
	{ .mistake = PEAL_GUEST_NEVER_UNMASKED,
	  .station = offsetof(struct peal_path_counters, pended),
	  .words = "Mask bit" },
	{ .mistake = PEAL_GUEST_FUNCTION_MASKED,
	  .station = offsetof(struct peal_path_counters, pended),
	  .words = "Function Mask" },
	{ .mistake = PEAL_GUEST_NO_BUS_MASTER,
	  .station = offsetof(struct peal_path_counters, dropped),
	  .words = "Bus Master",
	  .is_quiet = true },
	{ .mistake = PEAL_GUEST_LPI_DISABLED,
	  .station = offsetof(struct peal_path_counters, silent),
	  .words = "LPI configuration table",
	  .is_sent = true,
	  .is_translated = true },
	{ .mistake = PEAL_GUEST_NO_COLLECTION,
	  .station = offsetof(struct peal_path_counters, no_collection),
	  .words = "MAPC",
	  .is_sent = true },
	{ .mistake = PEAL_GUEST_LPIS_OFF,
	  .station = offsetof(struct peal_path_counters, disabled),
	  .words = "GICR_CTLR.EnableLPIs",
	  .is_sent = true },
	{ .mistake = PEAL_GUEST_ITS_OFF,
	  .station = offsetof(struct peal_path_counters, disabled),
	  .words = "GITS_CTLR.Enabled",
	  .is_sent = true },
};
_Static_assert(PEAL_COUNT_OF(mistakes) + 1 == PEAL_GUEST_MISTAKES, "every mistake is made");

static uint64_t station_of(const struct peal_path_counters *path, size_t offset)
{
	uint64_t value;

	memcpy(&value, (const uint8_t *)path + offset, sizeof(value));
	return value;
}

/* ---- the guest ---- */

static void done(struct peal_blk_request *request, int status)
{
	struct work *w = request->user;

	peal_count(status == 0 ? &w->good : status == -ECANCELED ? &w->canceled : &w->other, 1);
	thread_assert(status != -ECANCELED || __atomic_load_n(&w->detaching, __ATOMIC_SEQ_CST));
}

static void submit_all(struct work *w, struct peal_blk_driver *driver, void *cpu, uint64_t address)
{
	for (unsigned i = 0; i < REQUESTS; i++) {
		w->requests[i] = (struct peal_blk_request){
			.op = PEAL_BLK_READ,
			.sector = i,
			.buffer = (uint8_t *)cpu + UINT64_C(512) * i,
			.address = address + UINT64_C(512) * i,
			.length = 512,
			.done = done,
			.user = w,
		};
		thread_assert(peal_blk_driver_submit(driver, i % QUEUES, &w->requests[i]) == 0);
	}
	for (unsigned i = 0; i < QUEUES; i++)
		peal_blk_driver_kick(driver, i);
}

/* The device was told of all there is, and did what it could. */
static bool device_is_done(struct work *w)
{
	uint64_t notified = 0, chains = 0, batches = 0, interrupts = 0;
	struct peal_virtio_blk_counters blk;

	for (unsigned i = 0; i < QUEUES; i++) {
		struct peal_virtio_counters c;

		peal_virtio_counters(peal_virtio_blk_device(w->blk), i, &c);
		notified += c.notifications > 0;
		chains += c.chains;
		batches += c.batches > 0;
		interrupts += c.interrupts;
	}
	peal_virtio_blk_counters(w->blk, PEAL_VIRTIO_BLK_ALL, &blk);
	if (w->mistake == PEAL_GUEST_NO_BUS_MASTER)
		return notified == QUEUES;
	return chains == REQUESTS && blk.requests[PEAL_VIRTIO_BLK_OP_READ] == REQUESTS &&
	       batches == QUEUES && interrupts == w->path.raised;
}

static void look(struct rig *rig, struct peal_path_counters *path)
{
	struct work *w = rig->user;

	peal_machine_path(rig->machine, w->msix, rig->guest, path);
}

static void wait_for_work(struct rig *rig)
{
	struct work *w = rig->user;
	struct peal_path_counters again;
	double begin = rig_now();

	do {
		peal_vcpu_take_interrupts(rig->vcpu);
		thread_assert(rig_now() - begin < RIG_PATIENCE_S);
		look(rig, &w->path);
		(void)usleep(1000);
		look(rig, &again);
	} while (!device_is_done(w) || memcmp(&w->path, &again, sizeof(again)) != 0 ||
		 (w->mistake == PEAL_GUEST_RIGHT && w->path.lost));
}

static void use_disk(struct rig *rig)
{
	struct work *w = rig->user;
	struct peal_blk_driver_config config = {
		.host = peal_host_default(),
		.ops = peal_guest_driver_ops(),
		.queues = QUEUES,
	};
	struct peal_guest_function *function;
	struct peal_blk_driver *driver;
	struct peal_guest_vector v;
	uint64_t address;
	void *cpu;

	rig_guest_new(rig, w->mistake);
	thread_assert(peal_guest_find(&function, rig->guest, PEAL_VIRTIO_PCI_VENDOR,
				      PEAL_VIRTIO_PCI_MODERN + PEAL_VIRTIO_BLK) == 0);
	thread_assert(peal_guest_alloc(rig->guest, 512 * REQUESTS, 512, &cpu, &address) == 0);
	config.ops_user = function;
	thread_assert(peal_blk_driver_new(&driver, &config) == 0);
	peal_guest_make_late_mistake(function);
	submit_all(w, driver, cpu, address);
	wait_for_work(rig);
	w->ended = peal_counted(&w->good) + peal_counted(&w->canceled) + peal_counted(&w->other);
	w->vectors_masked = peal_msix_is_masked(w->msix, 1) && peal_msix_is_masked(w->msix, 2);
	__atomic_store_n(&w->detaching, true, __ATOMIC_SEQ_CST);
	peal_blk_driver_free(driver);
	for (unsigned i = 0; peal_guest_vector(function, i, &v); i++)
		w->vectors_handled += v.handled;
	look(rig, &w->after);
	/* A read of the disk came back whole. */
	for (unsigned i = 0; w->mistake == PEAL_GUEST_RIGHT && i < 512 * REQUESTS; i++)
		thread_assert(((uint8_t *)cpu)[i] == (uint8_t)(i / 512 + i));
	peal_guest_release(rig->guest, address, 512 * REQUESTS);
	peal_guest_function_free(function);
	rig_guest_free(rig);
}

/* ---- the host ---- */

static struct peal_blk_file *make_disk(void)
{
	char path[] = "/tmp/peal-test-path-XXXXXX";
	struct peal_blk_file_config config = { .host = peal_host_default(), .path = path };
	struct peal_blk_file *file;
	uint8_t bytes[DISK_SIZE];
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	for (unsigned i = 0; i < DISK_SIZE; i++)
		bytes[i] = (uint8_t)(i / 512 + i);
	assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	assert_int_equal(peal_blk_file_open(&file, &config, NULL), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(close(fd), 0);
	return file;
}

static void run_with(struct work *w, enum peal_guest_mistake mistake, unsigned vcpus)
{
	struct peal_blk_file *file = make_disk();
	const struct peal_virtio_blk_config config = {
		.host = peal_host_default(),
		.backend = peal_blk_file_backend(file),
		.num_queues = QUEUES,
		.workers = PEAL_VIRTIO_WORKER_PER_QUEUE,
	};
	struct peal_pci_function *function;
	struct rig rig;

	*w = (struct work){ .mistake = mistake };
	assert_int_equal(peal_virtio_blk_new(&w->blk, &config), 0);
	function = peal_virtio_blk_function(w->blk);
	w->msix = peal_pci_function_msix(function);
	rig_new(&rig, vcpus);
	rig_plug(&rig, 1 << 3, function);
	rig_run(&rig, use_disk, w);
	peal_pci_bus_unplug(peal_machine_bus(rig.machine), function);
	rig_done(&rig);
	peal_virtio_blk_free(w->blk);
	peal_blk_file_close(file);
	assert_int_equal(w->other, 0);
	assert_int_equal(w->good + w->canceled, REQUESTS);
}

/* The counters of the path where something is kept, other than the station at OFFSET. */
static uint64_t kept_elsewhere(const struct peal_path_counters *path, size_t offset)
{
	static const size_t stations[] = {
		offsetof(struct peal_path_counters, pended),
		offsetof(struct peal_path_counters, dropped),
		offsetof(struct peal_path_counters, unrouted),
		offsetof(struct peal_path_counters, misdirected),
		offsetof(struct peal_path_counters, unmapped),
		offsetof(struct peal_path_counters, no_collection),
		offsetof(struct peal_path_counters, disabled),
		offsetof(struct peal_path_counters, silent),
		offsetof(struct peal_path_counters, unhandled),
	};
	uint64_t sum = 0;

	for (size_t i = 0; i < PEAL_COUNT_OF(stations); i++)
		sum += stations[i] == offset ? 0 : station_of(path, stations[i]);
	return sum;
}

static void check_mistake(unsigned i, unsigned vcpus)
{
	struct work *w = calloc(1, sizeof(*w));
	const struct peal_path_counters *p = &w->path;
	uint64_t station, kept;
	const char *text;

	assert_non_null(w);
	run_with(w, mistakes[i].mistake, vcpus);
	station = station_of(p, mistakes[i].station);
	kept = p->raised - p->merged_pba - p->merged_lpi;
	print_message("# %s: %llu raised, %llu there\n",
		      peal_guest_mistake_name(mistakes[i].mistake), (unsigned long long)p->raised,
		      (unsigned long long)station);
	if (mistakes[i].is_quiet) {
		assert_int_equal(p->raised, 0);
		assert_int_equal(station, 0);
	} else {
		assert_true(p->raised >= QUEUES);
		assert_int_equal(station, kept);
	}
	assert_int_equal(kept_elsewhere(p, mistakes[i].station), 0);
	assert_int_equal(p->sent, mistakes[i].is_sent ? p->raised : 0);
	assert_int_equal(p->translated, mistakes[i].is_translated ? p->raised : 0);
	assert_int_equal(p->acknowledged + p->handled, 0);
	assert_int_equal(p->lost, kept);
	assert_int_equal(w->vectors_masked,
			 mistakes[i].station == offsetof(struct peal_path_counters, pended));
	text = peal_path_diagnose(p);
	assert_non_null(text);
	assert_non_null(strstr(text, mistakes[i].words));
	/* The guest took nothing when it cleaned up, either. */
	assert_int_equal(w->after.handled + w->after.unhandled + w->after.acknowledged, 0);
	assert_int_equal(w->vectors_handled, 0);
	/* The device did the work, but the driver finds that out only when it detaches. */
	assert_int_equal(w->ended, 0);
	assert_int_equal(mistakes[i].is_quiet ? w->canceled : w->good, REQUESTS);
	free(w);
}

static void each_mistake_ends_at_its_station(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PEAL_COUNT_OF(mistakes); i++)
		check_mistake(i, 2);
}

static void a_single_vcpu_tells_mistakes_apart(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PEAL_COUNT_OF(mistakes); i++)
		check_mistake(i, 1);
}

static void done_right_nothing_is_lost(void **state)
{
	static const unsigned vcpus[] = { 1, 2, 17 };

	(void)state;
	for (unsigned i = 0; i < PEAL_COUNT_OF(vcpus); i++) {
		struct work *w = calloc(1, sizeof(*w));
		const struct peal_path_counters *p = &w->path;

		assert_non_null(w);
		run_with(w, PEAL_GUEST_RIGHT, vcpus[i]);
		assert_int_equal(w->good, REQUESTS);
		assert_int_equal(w->ended, REQUESTS);
		assert_true(p->raised > 0);
		assert_int_equal(p->sent, p->raised);
		assert_int_equal(p->translated, p->sent);
		assert_int_equal(p->acknowledged, p->translated - p->merged_lpi);
		assert_int_equal(p->handled, p->acknowledged);
		assert_int_equal(p->handled, w->vectors_handled);
		assert_int_equal(p->lost, 0);
		assert_int_equal(kept_elsewhere(p, SIZE_MAX), 0);
		assert_false(w->vectors_masked);
		assert_null(peal_path_diagnose(p));
		free(w);
	}
}

/* ---- the diagnosis by itself ---- */

static const struct {
	struct peal_path_counters path;
	const char *words; /* NULL: nothing is wrong */
} cases[] = {
	{ { 0 }, "raised no interrupt" },
	{ { .raised = 5, .sent = 5, .translated = 5, .acknowledged = 5, .handled = 5 }, NULL },
	/* Merged ones are not missing. */
	{ { .raised = 9,
	    .merged_pba = 2,
	    .pended = 1,
	    .sent = 7,
	    .translated = 7,
	    .merged_lpi = 3,
	    .acknowledged = 4,
	    .handled = 4 },
	  NULL },
	{ { .raised = 4, .dropped = 4 }, "Command.BusMaster" },
	{ { .raised = 4, .pended = 1, .merged_pba = 3 }, "pending bit array" },
	/* Masked later: some have come through before. */
	{ { .raised = 9,
	    .sent = 7,
	    .pended = 1,
	    .merged_pba = 1,
	    .translated = 7,
	    .acknowledged = 7,
	    .handled = 7 },
	  "pending bit array" },
	{ { .raised = 9, .sent = 8, .pended = 3, .translated = 8, .acknowledged = 8, .handled = 8 },
	  "pending bit array" },
	{ { .raised = 4, .sent = 4, .unrouted = 1, .translated = 3, .acknowledged = 3 },
	  "no interrupt controller" },
	{ { .raised = 4, .sent = 4, .misdirected = 4 }, "0x40" },
	{ { .raised = 4, .sent = 4, .disabled = 4 }, "GITS_CTLR.Enabled" },
	{ { .raised = 4, .sent = 4, .unmapped = 4 }, "MAPTI" },
	{ { .raised = 4, .sent = 4, .no_collection = 4 }, "MAPC" },
	{ { .raised = 4, .sent = 4, .translated = 4, .silent = 1, .merged_lpi = 3 }, "INV" },
	{ { .raised = 4, .sent = 4, .translated = 4, .merged_lpi = 3 }, "no vCPU acknowledges" },
	/* It was silent, and somebody has enabled it since. */
	{ { .raised = 4, .sent = 4, .translated = 4, .silent = 1, .acknowledged = 4, .handled = 4 },
	  NULL },
	{ { .raised = 4,
	    .sent = 4,
	    .translated = 4,
	    .acknowledged = 4,
	    .unhandled = 1,
	    .handled = 3 },
	  "no handler" },
};

static void diagnosis_names_the_first_station(void **state)
{
	(void)state;
	for (size_t i = 0; i < PEAL_COUNT_OF(cases); i++) {
		const char *text = peal_path_diagnose(&cases[i].path);

		if (!cases[i].words) {
			assert_null(text);
			continue;
		}
		assert_non_null(text);
		assert_non_null(strstr(text, cases[i].words));
		assert_null(strchr(text, '\n'));
	}
}

/* Before there is a guest, as when it does not come up. */
static void a_path_without_guest_is_empty(void **state)
{
	struct peal_pci_function *function = rig_msix_function(1, 1);
	struct peal_path_counters path;
	struct rig rig;

	(void)state;
	rig_new(&rig, 2);
	rig_plug(&rig, 1 << 3, function);
	memset(&path, 0xff, sizeof(path));
	peal_machine_path(rig.machine, peal_pci_function_msix(function), NULL, &path);
	for (size_t at = 0; at < sizeof(path); at += sizeof(uint64_t))
		assert_int_equal(station_of(&path, at), 0);
	rig_unplug(&rig, function);
	rig_done(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(done_right_nothing_is_lost),
		cmocka_unit_test(each_mistake_ends_at_its_station),
		cmocka_unit_test(a_single_vcpu_tells_mistakes_apart),
		cmocka_unit_test(diagnosis_names_the_first_station),
		cmocka_unit_test(a_path_without_guest_is_empty),
	};

	return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
