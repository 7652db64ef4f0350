/* SPDX-License-Identifier: BSD-2-Clause */
/* The arithmetic of the benches. */
#include <math.h>

#include <support.h>

#include "../../bench/stats.h"

static void assert_close(double a, double b)
{
	assert_true(fabs(a - b) < 1e-9);
}

static void median_of_odd_number_is_the_middle(void **state)
{
	double figures[] = { 9, 1, 5, 3, 7 };
	struct bench_stats stats = bench_stats_of(figures, 5);

	(void)state;
	assert_close(stats.median, 5);
	assert_close(stats.min, 1);
	assert_close(stats.max, 9);
}

static void median_of_even_number_is_the_mean_of_the_middle(void **state)
{
	double figures[] = { 4, 1, 100, 3 };
	struct bench_stats stats = bench_stats_of(figures, 4);

	(void)state;
	assert_close(stats.median, 3.5);
	assert_close(stats.min, 1);
	assert_close(stats.max, 100);
}

static void one_figure_is_all_three(void **state)
{
	double figure = 2.25;
	struct bench_stats stats = bench_stats_of(&figure, 1);

	(void)state;
	assert_close(stats.median, 2.25);
	assert_close(stats.min, 2.25);
	assert_close(stats.max, 2.25);
}

static void figures_are_ordered_as_numbers(void **state)
{
	/* As texts, or cut to integers, these would come in another order. */
	double figures[] = { 10.5, 9.25, 10.25, 100, 0.5 };
	struct bench_stats stats = bench_stats_of(figures, 5);

	(void)state;
	assert_close(stats.median, 10.25);
	assert_close(stats.min, 0.5);
	assert_close(stats.max, 100);
}

static void outliers_do_not_move_the_median(void **state)
{
	double figures[11];

	(void)state;
	for (unsigned i = 0; i < 11; i++)
		figures[i] = i < 5 ? 1e9 : 40;
	assert_close(bench_stats_of(figures, 11).median, 40);
}

static void ratio_is_baseline_over_ours(void **state)
{
	(void)state;
	assert_close(bench_ratio(50, 2000), 40);
	assert_close(bench_ratio(8, 1), 0.125);
	assert_close(bench_ratio(0, 1), 0);
}

static void times_are_those_of_the_same_round(void **state)
{
	/* A machine that changes its speed within some rounds: the medians say 22 / 12. */
	const double ours[] = { 11, 22, 30, 55, 10 }, others[] = { 10, 20, 12, 50, 9 };
	double ratios[5];

	(void)state;
	assert_close(bench_times_of(ours, others, ratios, 5), 1.1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(median_of_odd_number_is_the_middle),
		cmocka_unit_test(median_of_even_number_is_the_mean_of_the_middle),
		cmocka_unit_test(one_figure_is_all_three),
		cmocka_unit_test(figures_are_ordered_as_numbers),
		cmocka_unit_test(outliers_do_not_move_the_median),
		cmocka_unit_test(ratio_is_baseline_over_ours),
		cmocka_unit_test(times_are_those_of_the_same_round),
	};

	return cmocka_run_group_tests_name("bench-stats", tests, NULL, NULL);
}
