#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What goes wrong while it runs: signals, full disks, disks that shrink, guests that err."""

import concurrent.futures
import contextlib
import hashlib
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

from peal import (MIB, PATIENCE, PEAL, Result, Skip, as_nobody, case, check_counts, check_types,
                  complains, copy_for_others, environment, good_run, is_slow, main, parse, peal)


def make_image(path, size, seed=1):
    content = random.Random(seed).randbytes(size)
    with open(path, "wb") as file:
        file.write(content)
    return hashlib.sha256(content).hexdigest()


def hash_of(path, size=-1):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read(size)).hexdigest()


# ---- signals ---------------------------------------------------------------------------------

def start(*args, tmpdir):
    return subprocess.Popen([PEAL, "run", *args], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=environment(tmpdir))


def wait_for_threads(process):
    """The machine runs: there are threads of vCPUs and of the device."""
    began = time.monotonic()
    while len(os.listdir(f"/proc/{process.pid}/task")) < 4:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() - began < PATIENCE
        time.sleep(0.005)


def end(process, number, times=1):
    """Sends a signal and waits for the end: the result, and how long it took."""
    began = time.monotonic()
    for _ in range(times):
        process.send_signal(number)
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    return (Result(process.args[1:], process.returncode, out.decode(), err.decode()),
            time.monotonic() - began)


def limit():
    """Seconds in which a signal ends a run."""
    return 10 if is_slow() else 2


def check_interrupted(result, seconds):
    assert result.code == 1 and result.err == "", result
    assert seconds < limit(), seconds
    run = parse(result)
    check_types(run, sha256=type(run["sha256"]), sha256_file=type(run["sha256_file"]))
    check_counts(run)
    assert run["ok"] is False and run["interrupted"] is True, result
    # All that was begun came to its end, or is not counted.
    assert run["interrupts"]["lost"] == 0, result
    return run


@case
def a_signal_ends_a_run_with_what_is_known(scratch):
    for number in (signal.SIGINT, signal.SIGTERM):
        process = start("--seconds", "30", "--json", tmpdir=scratch)
        wait_for_threads(process)
        # Until there is something to tell.
        time.sleep(0.3)
        run = check_interrupted(*end(process, number))
        assert run["requests"] > 0 and run["interrupts"]["handled"] > 0
        assert run["bytes"] == run["requests"] * 4096
        assert 0 < run["seconds"] < 30
        assert os.listdir(scratch) == []


@case
def a_signal_in_text_shows_the_path_so_far(scratch):
    process = start("--seconds", "30", tmpdir=scratch)
    wait_for_threads(process)
    result, seconds = end(process, signal.SIGINT)
    assert result.code == 1 and seconds < limit() and result.err == "", (result, seconds)
    assert "interrupted" in result.out and "handled" in result.out, result
    assert not re.search("^ok", result.out, re.M), result
    assert os.listdir(scratch) == []


@case
def a_signal_while_writing_leaves_a_whole_file(scratch):
    image = f"{scratch}/disk.img"
    for mode in ("write", "verify", "read"):
        make_image(image, 8 * MIB)
        process = start("--disk", image, "--mode", mode, "--write", "--seconds", "30", "--json",
                        tmpdir=scratch)
        wait_for_threads(process)
        check_interrupted(*end(process, signal.SIGTERM))
        assert os.path.getsize(image) == 8 * MIB
        assert os.listdir(scratch) == ["disk.img"]
        # Nothing holds it any more.
        good_run("--disk", image)


@case
def signals_again_and_again_change_nothing(scratch):
    process = start("--seconds", "30", "--json", tmpdir=scratch)
    wait_for_threads(process)
    check_interrupted(*end(process, signal.SIGINT, times=20))
    assert os.listdir(scratch) == []


@case
def a_signal_at_any_moment_leaves_nothing_behind(scratch):
    chance = random.Random(5)
    for _ in range(6 if is_slow() else 20):
        process = start("--json", tmpdir=scratch)
        time.sleep(chance.random() * (0.6 if is_slow() else 0.2))
        result, seconds = end(process, chance.choice((signal.SIGINT, signal.SIGTERM)))
        assert seconds < limit(), seconds
        # It had ended, it was interrupted, or it had not begun to listen.
        assert result.code in (0, 1, -signal.SIGINT, -signal.SIGTERM), result
        if result.code == 1:
            assert "interrupted" in result.out + result.err, result
        assert os.listdir(scratch) == [], result


@case
def a_signal_ends_a_run_that_is_stuck(scratch):
    process = start("--mistake", "its-off", "--stall-timeout", "1000", "--json", tmpdir=scratch)
    wait_for_threads(process)
    time.sleep(0.2)
    result, seconds = end(process, signal.SIGINT)
    run = parse(result)
    assert result.code == 1 and seconds < limit() + 1, (result, seconds)
    assert run["interrupted"] is True and "GITS_CTLR" in run["diagnosis"], result
    assert os.listdir(scratch) == []


@case
def even_a_kill_leaves_nothing_behind(scratch):
    process = start("--seconds", "30", tmpdir=scratch)
    wait_for_threads(process)
    result, _ = end(process, signal.SIGKILL)
    assert result.code == -signal.SIGKILL
    assert os.listdir(scratch) == []


@case
def time_in_which_it_was_stopped_is_no_stall(scratch):
    process = start("--seconds", "2.5", "--stall-timeout", "1", "--json", tmpdir=scratch)
    wait_for_threads(process)
    process.send_signal(signal.SIGSTOP)
    time.sleep(1.8)
    result, _ = end(process, signal.SIGCONT)
    assert result.code == 0 and parse(result)["ok"] is True, result


# ---- disks that fail -------------------------------------------------------------------------

def fill_disk(directory):
    """Inside a mount namespace: what write and verify make of a disk of 8 MiB."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", directory], check=True)
    image = f"{directory}/disk.img"
    seen = {}
    # All of it is written and flushed.
    with open(image, "wb") as file:
        file.truncate(4 * MIB)
    first = peal("run", "--disk", image, "--write", "--mode", "write", "--json")
    seen["flushed"] = [first.code, first.out, hash_of(image)]
    # Then it becomes larger than its file system.
    os.truncate(image, 32 * MIB)
    for mode in ("write", "verify"):
        for args in ((), ("--json",)):
            result = peal("run", "--disk", image, "--write", "--mode", mode, *args)
            seen[" ".join((mode, *args))] = [result.code, result.out, result.err,
                                             hash_of(image, 4 * MIB), os.path.getsize(image)]
    os.unlink(image)
    result = peal("run", tmpdir=directory)
    seen["temporary"] = [result.code, result.out, result.err, os.listdir(directory)]
    print(json.dumps(seen))


def with_small_disk(scratch):
    """The result of fill_disk in a namespace of its own, as root or as root of a user namespace."""
    command = [sys.executable, os.path.abspath(__file__), "--fill-disk", scratch]
    for options in (["-m"], ["-r", "-m"]):
        if not shutil.which("unshare"):
            break
        try_out = subprocess.run(["unshare", *options, "mount", "-t", "tmpfs", "tmpfs", scratch],
                                 stderr=subprocess.DEVNULL, check=False)
        if try_out.returncode:
            continue
        done = subprocess.run(["unshare", *options, *command], stdout=subprocess.PIPE, text=True,
                              check=True, timeout=PATIENCE, env=environment())
        return json.loads(done.stdout)
    raise Skip("no mount namespace to be had")


def check_full(where, text):
    """The error names file, offset and reason; the offset lies past what was there before."""
    found = re.search(rf"{re.escape(where)}: write at offset (\d+): (.*)", text)
    assert found, text
    assert 4 * MIB <= int(found.group(1)) < 32 * MIB and int(found.group(1)) % 512 == 0, text
    return found.group(2)


@case
def a_full_disk_is_reported_and_keeps_what_was_flushed(scratch):
    seen = with_small_disk(scratch)
    image = f"{scratch}/disk.img"
    code, out, digest = seen["flushed"]
    assert code == 0 and json.loads(out)["sha256"] == digest, seen
    for mode in ("write", "verify"):
        code, out, err, kept, size = seen[f"{mode} --json"]
        assert code == 1 and err == "", seen
        run = json.loads(out)
        check_types(run, sha256=type(None), sha256_file=type(None), error=str)
        check_counts(run)
        assert run["ok"] is False and run["interrupted"] is False and run["diagnosis"] is None
        assert check_full(image, run["error"]) == "No space left on device", run["error"]
        assert run["interrupts"]["lost"] == 0, run
        # The first 4 MiB went to where they were before.
        assert run["requests"] >= 1024, run
        assert kept == digest and size == 32 * MIB
        code, out, err, kept, size = seen[mode]
        assert code == 1 and err == "" and kept == digest and size == 32 * MIB
        assert check_full(image, out) == "No space left on device", out
        assert re.search("^failed: ", out, re.M) and not re.search("^ok", out, re.M), out


@case
def no_room_for_the_temporary_image_is_reported(scratch):
    code, out, err, left = with_small_disk(scratch)["temporary"]
    assert code == 1 and out == "" and left == [], (out, err, left)
    assert err.count("\n") == 1 and "No space left on device" in err and "TMPDIR" in err, err


@case
def a_limit_on_file_sizes_is_an_error_like_others(scratch):
    image = f"{scratch}/disk.img"
    with open(image, "wb") as file:
        file.truncate(8 * MIB)
    result = peal("run", "--disk", image, "--write", "--mode", "write", "--json",
                  preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE,
                                                        (5 * MIB, 5 * MIB)))
    assert result.code == 1, result
    assert check_full(image, parse(result)["error"]) == "File too large", result


@case
def a_disk_that_shrinks_is_reported(scratch):
    image = f"{scratch}/disk.img"
    make_image(image, 16 * MIB)
    process = start("--disk", image, "--seconds", "30", "--json", tmpdir=scratch)
    wait_for_threads(process)
    os.truncate(image, 8 * MIB)
    out, err = process.communicate(timeout=PATIENCE)
    run = json.loads(out)
    check_counts(run)
    assert process.returncode == 1 and err == b"" and run["ok"] is False, (out, err)
    found = re.fullmatch(rf"{re.escape(image)}: read at offset (\d+): Input/output error",
                         run["error"])
    assert found and 8 * MIB <= int(found.group(1)) < 16 * MIB, run["error"]
    assert run["interrupts"]["lost"] == 0


@case
def a_disk_that_changes_meanwhile_is_noticed(scratch):
    """What the guest saw is not what is in the file afterwards."""
    image = f"{scratch}/disk.img"
    make_image(image, 4 * MIB)
    process = start("--disk", image, "--seconds", "1", "--json", tmpdir=scratch)
    wait_for_threads(process)
    time.sleep(0.5)
    with open(image, "r+b") as file:
        file.write(b"changed")
    out, _ = process.communicate(timeout=PATIENCE)
    run = json.loads(out)
    assert process.returncode == 1 and run["ok"] is False, out
    assert run["sha256"] != run["sha256_file"] == hash_of(image), out


@case
def an_error_with_a_name_that_is_no_utf8_is_still_json(scratch):
    image = os.fsencode(scratch) + b"/\xff\xfe-disk.img"
    with open(image, "wb") as file:
        file.truncate(8 * MIB)
    # It is shown as it is, and a long one to its end.
    result = peal("run", "--disk", image, "--write", "--mode", "write", "--json",
                  preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB)))
    assert result.code == 1, result
    assert parse(result)["error"].endswith("File too large"), result
    deep = "/".join([scratch] + ["ö" * 100] * 8)
    os.makedirs(deep)
    with open(f"{deep}/disk.img", "wb") as file:
        file.truncate(8 * MIB)
    result = peal("run", "--disk", f"{deep}/disk.img", "--write", "--mode", "write", "--json",
                  preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB)))
    error = parse(result)["error"]
    assert error.startswith(deep) and error.endswith("File too large"), result


# ---- how the file is opened ------------------------------------------------------------------

def access_of(process, image):
    """How the descriptors of the image were opened: os.O_RDONLY, os.O_RDWR."""
    modes = []
    for fd in os.listdir(f"/proc/{process.pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            if os.readlink(f"/proc/{process.pid}/fd/{fd}") == image:
                with open(f"/proc/{process.pid}/fdinfo/{fd}", encoding="ascii") as file:
                    flags = re.search(r"^flags:\s+([0-7]+)", file.read(), re.M).group(1)
                modes.append(int(flags, 8) & os.O_ACCMODE)
    return modes


@case
def the_image_is_opened_read_only_unless_told_otherwise(scratch):
    image = os.path.realpath(f"{scratch}/disk.img")
    make_image(image, MIB)
    for args, modes in (((), {os.O_RDONLY}), (("--write", "--mode", "verify"),
                                              {os.O_RDONLY, os.O_RDWR})):
        process = start("--disk", image, "--seconds", "30", "--json", *args, tmpdir=scratch)
        seen, began = set(), time.monotonic()
        while seen != modes:
            seen |= set(access_of(process, image))
            assert seen <= modes, (args, seen)
            assert process.poll() is None and time.monotonic() - began < PATIENCE, (args, seen)
        check_interrupted(*end(process, signal.SIGINT))


@case
def a_file_that_may_only_be_read_is_enough(scratch):
    prefix, binary = as_nobody(), copy_for_others(scratch)
    image = f"{scratch}/disk.img"
    digest = make_image(image, MIB)
    os.chmod(image, 0o444)
    run = good_run("--disk", image, prefix=prefix, binary=binary)
    assert run["sha256"] == digest == hash_of(image)
    complains(peal("run", "--disk", image, "--write", "--mode", "write", prefix=prefix,
                   binary=binary), 1, image, "permission denied")
    assert digest == hash_of(image)


# ---- mistakes of the guest -------------------------------------------------------------------

# The station that has all raises, and words of the diagnosis.
MISTAKES = {
    "wrong-address": ("unrouted", "address of the MSI-X entries"),
    "wrong-frame": ("misdirected", "GITS_TRANSLATER"),
    "wrong-event": ("unmapped", "data of the MSI-X entries"),
    "never-unmasked": ("pended", "Mask bit"),
    "function-masked": ("pended", "Function Mask"),
    "no-bus-master": (None, "Bus Master"),
    "lpi-disabled": ("translated", "LPI configuration table"),
    "no-collection": ("no_collection", "MAPC"),
    "lpis-off": ("disabled", "GICR_CTLR.EnableLPIs"),
    "its-off": ("disabled", "GITS_CTLR.Enabled"),
}
TEXT = {
    "unrouted": r"(\d+) to no controller", "misdirected": r"(\d+) beside GITS_TRANSLATER",
    "unmapped": r"(\d+) without mapping", "pended": r"(\d+) pended",
    "translated": r"translated +(\d+)", "no_collection": r"(\d+) without collection",
    "disabled": r"(\d+) while disabled",
}


def check_mistake(name, scratch, args):
    station, words = MISTAKES[name]
    result = peal("run", "--mistake", name, "--stall-timeout", "0.3", *args, tmpdir=scratch)
    assert result.code == 1 and result.err == "", result
    assert not re.search("^ok", result.out, re.M), result
    if "--json" not in args:
        told = re.search(r"^.*nothing moves any more: (.*)$", result.out, re.M)
        assert told and words in told.group(1), result
        if station:
            raised = int(re.search(r"raised +(\d+)", result.out).group(1))
            assert raised > 0
            assert int(re.search(TEXT[station], result.out).group(1)) > 0, result
        assert re.search(r"handled +0 ", result.out), result
        return
    run = parse(result)
    check_types(run, sha256=type(None), sha256_file=type(None), diagnosis=str)
    check_counts(run)
    assert run["ok"] is False and run["interrupted"] is False and words in run["diagnosis"], result
    i = run["interrupts"]
    assert i["acknowledged"] == i["handled"] == 0 and run["requests"] == 0, result
    assert i["lost"] == i["raised"] - i["merged_pba"] - i["merged_lpi"]
    if station:
        assert i["raised"] > 0 and i[station] == i["raised"] - i["merged_pba"], i
        assert i["lost"] > 0, i
    else:
        assert i["raised"] == i["dropped"], i
    stations = {"pended", "dropped", "unrouted", "misdirected", "unmapped", "no_collection",
                "disabled", "translated"} - {station, None if station else "dropped"}
    assert all(i[other] == 0 for other in stations), (name, i)


@case
def each_mistake_is_diagnosed(scratch):
    told = re.search(r"One of: none, ([a-z, \n-]+)\.\n +--|One of: none, (.*?)\.",
                     peal("run", "--help").out)
    names = (told.group(1) or told.group(2)).split(", ")
    assert sorted(names) == sorted(MISTAKES), names
    # They wait most of the time.
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(check_mistake, name, scratch, args) for name in names
                for args in ((), ("--json",), ("--json", "--vcpus", "1", "--queues", "4"))]
        for run in runs:
            run.result()
    assert os.listdir(scratch) == []


@case
def without_a_mistake_nothing_is_diagnosed(scratch):
    good_run("--mistake", "none", "--stall-timeout", "5", tmpdir=scratch)


@case
def impatience_does_not_crash(scratch):
    """A stall before the guest is up, at worst."""
    for vcpus in ("1", "64") if is_slow() else ("1", "512"):
        result = peal("run", "--vcpus", vcpus, "--stall-timeout", "0.000001", "--json",
                      tmpdir=scratch)
        assert result.code in (0, 1) and result.err == "", result
        check_counts(parse(result))


if sys.argv[1:2] == ["--fill-disk"]:
    fill_disk(sys.argv[2])
else:
    main()
