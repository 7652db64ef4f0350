#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What `peal bench` prints, on shapes so small that it is quick. Never how fast anything is."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))

from peal import Skip, case, complains, main, parse, peal  # pylint: disable=wrong-import-position

NAMES = ["msix-notify", "its-send", "its-migrate", "its-command", "run-blk", "vfu-read",
         "vfu-write-posted", "vfu-write-multi", "vfu-irq", "vfu-dma-map"]
SMALL = ("--devices", "4", "--events", "16", "--runs", "11")


def check_result(result, name):
    """The JSON of one bench: the fields, their types, and the arithmetic between them."""
    assert result.code == 0, result
    assert result.err == "", result
    bench = parse(result)
    assert list(bench) == ["bench", "params", "ns_per_op", "baseline", "ratio", "runs", "min",
                           "max"], result
    assert bench["bench"] == name
    assert list(bench["baseline"]) == ["name", "ns_per_op"], result
    assert type(bench["baseline"]["name"]) is str and type(bench["params"]) is dict, result
    for value in (bench["ns_per_op"], bench["baseline"]["ns_per_op"], bench["ratio"],
                  bench["min"], bench["max"]):
        assert type(value) is float and value > 0, result
    assert type(bench["runs"]) is int
    assert bench["min"] <= bench["ns_per_op"] <= bench["max"], result
    ratio = bench["baseline"]["ns_per_op"] / bench["ns_per_op"]
    assert abs(bench["ratio"] / ratio - 1) < 1e-3, result
    assert type(bench["params"]["pinned"]) is bool, result
    return bench


def its_send(*args, **more):
    return check_result(peal("bench", "its-send", *SMALL, *args, "--json", **more), "its-send")


@case
def without_a_name_the_benches_are_listed(_scratch):
    result = peal("bench")
    assert result.code == 0 and result.err == "", result
    assert [line.split()[0] for line in result.out.splitlines()[:len(NAMES)]] == NAMES, result
    rows = parse(peal("bench", "--json"))
    assert [row["bench"] for row in rows] == NAMES
    assert all(list(row) == ["bench", "line"] and row["line"] for row in rows)


@case
def msix_notify_reports_as_promised(_scratch):
    bench = check_result(peal("bench", "msix-notify", "--runs", "11", "--json"), "msix-notify")
    assert bench["runs"] == 11
    assert bench["baseline"]["name"] == "indirect-call"


@case
def its_send_reports_as_promised(_scratch):
    bench = its_send()
    params = bench["params"]
    assert bench["runs"] == 11
    assert bench["baseline"]["name"] == "list"
    assert (params["devices"], params["events"], params["threads"]) == (4, 16, 1), params
    assert params["redistributors"] == 8, params
    for name in ("flatness", "hot", "merged", "fetch_or", "hot_by_fetch_or"):
        assert type(params[name]) is float and params[name] > 0, params


@case
def its_migrate_reports_as_promised(_scratch):
    bench = check_result(peal("bench", "its-migrate", *SMALL, "--json"), "its-migrate")
    params = bench["params"]
    assert bench["baseline"]["name"] == "write"
    assert (params["devices"], params["events"]) == (4, 16), params
    for name in ("save_ms", "restore_ms", "snapshot_ms", "linear"):
        assert type(params[name]) is float and params[name] > 0, params


@case
def its_command_reports_as_promised(_scratch):
    bench = check_result(peal("bench", "its-command", *SMALL, "--json"), "its-command")
    params = bench["params"]
    assert bench["baseline"]["name"] == "sync"
    assert (params["devices"], params["events"]) == (4, 16), params
    figures = [f"{command}_{n}" for command in ("invall", "movall")
               for n in ("1k", "8k", "64k", "linear")]
    for name in ("pairs_per_s", "pairs_per_s_16", "random", "flatness", *figures):
        assert type(params[name]) is float and params[name] > 0, params


@case
def vfu_read_reports_as_promised(_scratch):
    bench = check_result(peal("bench", "vfu-read", "--runs", "11", "--json"), "vfu-read")
    params = bench["params"]
    assert bench["baseline"]["name"] == "ping-pong"
    assert (params["cores"], params["waits"]) == (1, "sleeping"), params
    assert type(params["times"]) is float and params["times"] > 0, params
    complains(peal("bench", "vfu-read", "--poll"), 2, "--two-cores")
    if len(os.sched_getaffinity(0)) < 2:
        raise Skip("there is one CPU")
    bench = check_result(peal("bench", "vfu-read", "--two-cores", "--poll", "--runs", "11",
                              "--json"), "vfu-read")
    assert (bench["params"]["cores"], bench["params"]["waits"]) == (2, "polling"), bench


@case
def vfu_writes_report_as_promised(_scratch):
    for name, writes in (("vfu-write-posted", 1), ("vfu-write-multi", 32)):
        bench = check_result(peal("bench", name, "--runs", "11", "--json"), name)
        params = bench["params"]
        assert bench["baseline"]["name"] == "send"
        assert (params["cores"], params["writes"]) == (1, writes), params
        assert abs(params["per_second"] * bench["ns_per_op"] / 1e9 - 1) < 1e-3, bench
    for writes in ("1", "3", "257"):
        complains(peal("bench", "vfu-write-multi", "--writes", writes), 2, "--writes")


@case
def vfu_irq_reports_as_promised(_scratch):
    bench = check_result(peal("bench", "vfu-irq", "--runs", "11", "--json"), "vfu-irq")
    params = bench["params"]
    assert bench["baseline"]["name"] == "eventfd-write"
    for name in ("times", "wake_ns", "wake_bare_ns", "wake_times"):
        assert type(params[name]) is float and params[name] > 0, params


@case
def vfu_dma_map_reports_as_promised(_scratch):
    for order in ("ascending", "random"):
        more = ["--random"] if order == "random" else []
        bench = check_result(peal("bench", "vfu-dma-map", "--maps", "1000", "--runs", "11",
                                  "--json", *more), "vfu-dma-map")
        params = bench["params"]
        assert bench["baseline"]["name"] == "ping-pong"
        assert (params["maps"], params["order"]) == (1000, order), params
        for name in ("flatness", "lookup_1k_ns", "lookup_all_ns"):
            assert type(params[name]) is float and params[name] > 0, params


@case
def its_send_takes_every_shape(_scratch):
    # One event; events that are no power of two; more than a device keeps in one place.
    for devices, events in ((1, 1), (7, 3), (3, 65), (300, 2)):
        params = its_send("--devices", str(devices), "--events", str(events))["params"]
        assert (params["devices"], params["events"]) == (devices, events), params


@case
def its_send_takes_threads(_scratch):
    for threads in (2, 3):
        params = its_send("--threads", str(threads))["params"]
        assert params["threads"] == threads
        assert params["pinned"] is (len(os.sched_getaffinity(0)) >= threads), params


@case
def scaling_is_null_where_there_is_one_cpu(_scratch):
    cpus = sorted(os.sched_getaffinity(0))
    alone = its_send(preexec_fn=lambda: os.sched_setaffinity(0, cpus[:1]))
    assert alone["params"]["scaling"] is None and alone["params"]["scaling_crossed"] is None
    assert alone["params"]["pinned"] is True
    if len(cpus) < 2:
        raise Skip("there is one CPU")
    assert its_send()["params"]["scaling"] > 0


@case
def people_see_a_table_with_targets(_scratch):
    result = peal("bench", "its-send", *SMALL)
    assert result.code == 0 and result.err == "", result
    for word in ("its-send", "peal", "list", "median", "11 runs", "ratio", "target >= 100",
                 "flatness", "target <= 4", "scaling"):
        assert word in result.out, f"{word!r} is missing\n{result}"
    assert "\033" not in result.out + result.err, result


@case
def help_tells_the_options(_scratch):
    result = peal("bench", "its-send", "--help")
    assert result.code == 0 and result.err == "", result
    for word in ("--devices", "--events", "--threads", "--runs", "--json", "Example"):
        assert word in result.out, f"{word!r} is missing\n{result}"
    assert "--all" in peal("bench", "--help").out


@case
def wrong_words_are_named(_scratch):
    complains(peal("bench", "nothing"), 2, "nothing")
    complains(peal("bench", "--nothing"), 2, "--nothing")
    complains(peal("bench", "its-send", "--nothing"), 2, "bench its-send", "--nothing")
    complains(peal("bench", "its-send", "more"), 2, "more")
    complains(peal("bench", "msix-notify", "--devices", "4"), 2, "--devices")


@case
def wrong_numbers_are_named(_scratch):
    for option in ("--devices", "--events", "--threads", "--runs"):
        for value in ("0", "-1", "many", "99999999999999999999", ""):
            complains(peal("bench", "its-send", option, value), 2, option)
    complains(peal("bench", "its-send", "--runs", "10"), 2, "--runs")
    complains(peal("bench", "its-send", "--devices", "65536", "--events", "2048"), 2,
              "134217728")
    complains(peal("bench", "its-send", "--devices", "1", "--events", "2", "--threads", "3"), 2,
              "3 threads")


if __name__ == "__main__":
    main()
