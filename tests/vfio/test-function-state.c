/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A function as a VFIO device that is stopped, saved and loaded: what it asks for meanwhile waits,
 * a state that is refused changes nothing, and whose masks of the table count afterwards.
 */
#include "function.h"

static void set_state(struct device *d, uint32_t state)
{
	uint32_t is;

	assert_int_equal(peal_vfio_mig_set_state(d->user, state), 0);
	assert_int_equal(peal_vfio_mig_get_state(d->user, &is), 0);
	assert_int_equal(is, state);
}

/* ---- while it is stopped ---- */

static void what_is_raised_while_stopped_comes_at_the_start(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		const uint32_t index = i ? MSIX : MSI;
		struct device *d = device_new();

		enable(&d->rig, index, 1);
		set_state(d, PEAL_VFIO_MIG_STOP);
		for (unsigned v = 0; v < 2; v++)
			assert_int_equal(
				i ? peal_msix_notify(d->msix, v) : peal_msi_notify(d->msi, v), 0);
		/* Nor does a trigger that comes meanwhile signal, or one that is replaced. */
		assert_int_equal(set_fd(&d->rig, TRIGGER, index, 0, FD + 7), 0);
		assert_int_equal(set_fd(&d->rig, TRIGGER, index, 1, FD + 1), 0);
		assert_int_equal(set_fd(&d->rig, TRIGGER, index, 2, FD + 2), 0);
		for (unsigned v = 0; v < VECTORS; v++)
			assert_int_equal(events(d, v), 0);
		/* One that goes leaves what pends. */
		assert_int_equal(set_fd(&d->rig, TRIGGER, index, 1, -1), 0);
		set_state(d, PEAL_VFIO_MIG_RUNNING);
		assert_int_equal(events(d, 7), 1);
		assert_int_equal(events(d, 1), 0);
		assert_int_equal(events(d, 2), 0);
		device_free(d);
	}
}

/* ---- a state that is refused ---- */

static void read_stream(struct device *d, uint8_t *stream, size_t room, size_t *size)
{
	set_state(d, PEAL_VFIO_MIG_STOP_COPY);
	assert_int_equal(peal_vfio_mig_read(d->user, stream, room, size), 0);
	assert_true(*size < room);
	set_state(d, PEAL_VFIO_MIG_RUNNING);
}

/* The function's part is right, the device's is not: the function gets its own back. */
static void function_is_as_before_when_its_device_refuses(void **state)
{
	static uint8_t stream[65536];
	struct device *d = device_new();
	uint32_t is;
	size_t size;

	(void)state;
	enable(&d->rig, MSIX, 1);
	table_write(d, 1, 0, 0xfee00000);
	config_write(d, COMMAND, 2, COMMAND_BUS_MASTER | COMMAND_INTX_DISABLE);
	read_stream(d, stream, sizeof(stream), &size);
	config_write(d, COMMAND, 2, COMMAND_BUS_MASTER);
	table_write(d, 1, 0, 0xfee01000);
	assert_int_equal(peal_msix_notify(d->msix, 1), 0);
	set_state(d, PEAL_VFIO_MIG_RESUMING);
	assert_int_equal(peal_vfio_mig_write(d->user, stream, size), 0);
	d->load_error = -EINVAL;
	assert_int_equal(peal_vfio_mig_set_state(d->user, PEAL_VFIO_MIG_STOP), -EINVAL);
	assert_int_equal(peal_vfio_mig_get_state(d->user, &is), 0);
	assert_int_equal(is, PEAL_VFIO_MIG_ERROR);
	assert_int_equal(config_read(d, COMMAND, 2), COMMAND_BUS_MASTER);
	assert_int_equal(peal_msix_message(d->msix, 1).address, 0xfee01000);
	assert_int_equal(pba(d), 2);
	assert_int_equal(peal_vfio_reset(d->user), 0);
	/* And taken, it is the other. */
	d->load_error = 0;
	set_state(d, PEAL_VFIO_MIG_RESUMING);
	assert_int_equal(peal_vfio_mig_write(d->user, stream, size), 0);
	set_state(d, PEAL_VFIO_MIG_RUNNING);
	assert_int_equal(config_read(d, COMMAND, 2), COMMAND_BUS_MASTER | COMMAND_INTX_DISABLE);
	assert_int_equal(peal_msix_message(d->msix, 1).address, 0xfee00000);
	device_free(d);
}

/* ---- masks of the table that came with a state ---- */

struct saved {
	struct device *d;
	size_t size;
	uint8_t *bytes; /* MSI-X is enabled, and the driver masked vector 0 */
};

static struct saved saved_new(void)
{
	struct saved s = { .d = device_new() };

	s.size = peal_pci_function_state_size(s.d->function);
	s.bytes = malloc(s.size);
	assert_non_null(s.bytes);
	enable(&s.d->rig, MSIX, 2);
	table_write(s.d, 0, 0, 0xfee00000);
	assert_int_equal(peal_msix_notify(s.d->msix, 0), 0);
	assert_int_equal(peal_pci_function_save(s.d->function, s.bytes, s.size), 0);
	assert_int_equal(peal_vfio_reset(s.d->user), 0);
	device_master(s.d);
	return s;
}

static void saved_load(struct saved *s)
{
	assert_int_equal(peal_vfio_function_load(s->d->vfio, s->bytes, s->size), 0);
}

static void saved_expect(struct saved *s, bool masked)
{
	assert_int_equal(peal_msix_notify(s->d->msix, 0), !masked);
	free(s->bytes);
	device_free(s->d);
}

static void disable(struct saved *s)
{
	assert_int_equal(set_none(&s->d->rig, TRIGGER, MSIX, 0, 0), 0);
}

static void masks_that_were_loaded_are_kept_for_the_next_enabling_alone(void **state)
{
	(void)state;
	for (unsigned times = 1; times < 3; times++) {
		struct saved s = saved_new();

		disable(&s);
		saved_load(&s);
		enable(&s.d->rig, MSIX, 2);
		if (times == 2) {
			disable(&s);
			enable(&s.d->rig, MSIX, 2);
		}
		saved_expect(&s, times == 1);
	}
}

static void masks_that_were_loaded_into_enabled_msix_go_with_it(void **state)
{
	struct saved s = saved_new();

	(void)state;
	saved_load(&s);
	disable(&s);
	enable(&s.d->rig, MSIX, 2);
	saved_expect(&s, false);
}

static void a_reset_takes_the_masks_that_were_loaded(void **state)
{
	struct saved s = saved_new();

	(void)state;
	disable(&s);
	saved_load(&s);
	assert_int_equal(peal_vfio_reset(s.d->user), 0);
	device_master(s.d);
	/* This one is of a user before. */
	table_write(s.d, 0, 0, 0xfee00000);
	enable(&s.d->rig, MSIX, 2);
	saved_expect(&s, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_raised_while_stopped_comes_at_the_start),
		cmocka_unit_test(function_is_as_before_when_its_device_refuses),
		cmocka_unit_test(masks_that_were_loaded_are_kept_for_the_next_enabling_alone),
		cmocka_unit_test(masks_that_were_loaded_into_enabled_msix_go_with_it),
		cmocka_unit_test(a_reset_takes_the_masks_that_were_loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
