#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whole runs for ThreadSanitizer, which ends the program at the first race."""

import os
import signal
import subprocess
import time

from peal import (MIB, PATIENCE, PEAL, case, check_counts, environment, good_run, main, parse,
                  peal)


@case
def the_default_image_goes_through(scratch):
    run = good_run("--vcpus", "2", "--queues", "2", tmpdir=scratch)
    assert run["bytes"] == 64 * MIB and run["requests"] == 16384
    assert os.listdir(scratch) == []


@case
def queues_and_vcpus_need_not_agree(scratch):
    image = f"{scratch}/disk.img"
    with open(image, "wb") as file:
        file.truncate(4 * MIB)
    for vcpus, queues in ((1, 3), (3, 1), (4, 4)):
        good_run("--disk", image, "--vcpus", str(vcpus), "--queues", str(queues))


@case
def writing_flushing_and_reading_go_through(scratch):
    image = f"{scratch}/disk.img"
    with open(image, "wb") as file:
        file.truncate(8 * MIB)
    run = good_run("--disk", image, "--mode", "verify", "--write")
    assert run["bytes"] == 16 * MIB
    good_run("--disk", image, "--mode", "write", "--write", "--seconds", "0.5")


@case
def a_guest_that_errs_is_watched_from_outside(_scratch):
    for mistake in ("wrong-address", "function-masked", "no-bus-master", "lpi-disabled"):
        result = peal("run", "--mistake", mistake, "--stall-timeout", "0.5", "--json")
        assert result.code == 1 and result.err == "", result
        run = parse(result)
        check_counts(run)
        assert run["diagnosis"], result


@case
def a_signal_ends_it(scratch):
    with subprocess.Popen([PEAL, "run", "--seconds", "60", "--json"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=environment(scratch)) as process:
        while process.poll() is None and len(os.listdir(f"/proc/{process.pid}/task")) < 5:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1 and err == b"" and b'"interrupted":true' in out, (out, err)
    assert os.listdir(scratch) == []


main()
