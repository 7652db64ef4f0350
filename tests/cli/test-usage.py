#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Wrong command lines and unfit files: one line that names the thing, the exit code, no trace."""

import hashlib
import os
import re
import socket

from peal import (MIB, PEAL, Skip, as_nobody, case, complains, copy_for_others, main, peal)

NUMBERS = ("--vcpus", "--queues", "--depth", "--block-size")
TIMES = ("--seconds", "--stall-timeout")


def make_file(path, size):
    with open(path, "wb") as file:
        file.truncate(size)
    return path


# ---- help ------------------------------------------------------------------------------------

@case
def help_is_there_for_everything(scratch):
    result = peal("--help", tmpdir=scratch)
    assert result.code == 0 and result.err == "", result
    commands = re.findall(r"^  ([a-z]+) +\S", result.out, re.M)
    assert "run" in commands and "bench" in commands, result
    assert peal("help").out == result.out
    for command in commands:
        result = peal(command, "--help", tmpdir=scratch)
        assert result.code == 0 and result.err == "", result
        assert result.out.startswith(f"Usage: peal {command}"), result
        assert "Example" in result.out and "--help" in result.out, result
        assert all(len(line) <= 200 for line in result.out.splitlines()), result
    assert os.listdir(scratch) == []


@case
def help_of_run_names_every_option(_scratch):
    text = peal("run", "--help").out
    for option in ("--disk FILE", "--write", "--mode MODE", "--seconds S", "--all", "--json",
                   "--mistake NAME", "--stall-timeout S", *NUMBERS):
        assert re.search(rf"^  {option}\b", text, re.M), option
    # Also behind other options.
    assert peal("run", "--vcpus", "3", "--help").out == text


@case
def version_is_one_line(_scratch):
    result = peal("--version")
    assert result.code == 0 and re.fullmatch(r"peal \d+\.\d+\.\d+\n", result.out), result


# ---- command lines ---------------------------------------------------------------------------

@case
def numbers_out_of_range_are_named(scratch):
    bad = ["0", "-1", "99999999999999999999", "18446744073709551616", "abc", "1.5", "", " 4",
           "4 ", "+4", "0x10", "1e3", "4x", "4KK", "--json"]
    most = {"--vcpus": 512, "--queues": 256, "--depth": 4096, "--block-size": MIB}
    for option in NUMBERS:
        for text in [*bad, str(most[option] + 1)]:
            complains(peal("run", option, text, tmpdir=scratch), 2, f"{option} {text}",
                      "whole number", str(most[option]))
        # The same in one word.
        complains(peal("run", f"{option}=0", tmpdir=scratch), 2, f"{option} 0", "whole number")
    for text in ("1K", "1M"):
        complains(peal("run", "--vcpus", text), 2, "--vcpus", text)
    for text in ("511", "2M", "1G", "16777216T", "17179869184G"):
        complains(peal("run", "--block-size", text), 2, "--block-size", text)
    for text in ("1000", "513", "1048575"):
        complains(peal("run", "--block-size", text), 2, "--block-size", text, "multiple of 512")
    assert os.listdir(scratch) == []


@case
def times_have_to_be_above_zero(_scratch):
    for option in TIMES:
        for text in ("0", "-1", "0.0", "abc", "", "nan", "inf", "1s", "1e400", " 1", "1 ", "--"):
            complains(peal("run", option, text), 2, f"{option} {text}", "seconds")


@case
def choices_are_told(_scratch):
    for text in ("foo", "", "READ", "readx", "rea"):
        complains(peal("run", "--mode", text), 2, "--mode", text, "read", "write", "verify")
        complains(peal("run", "--mistake", text), 2, "--mistake", text, "wrong-address", "its-off")


@case
def unknown_words_are_named(scratch):
    lines = [
        (("run", "--nope"), "--nope"),
        (("run", "--json", "--nope=3"), "--nope=3"),
        (("run", "-x"), "-x"),
        # Not the word before it.
        (("run", "--json", "-xy"), "-x"),
        (("run", "--vcpus", "2", "-j", "4"), "-j"),
        (("run", "--json=1"), "--json=1"),
        (("run", "--help=1"), "--help=1"),
        (("run", "stray"), "stray"),
        (("run", "--json", "stray", "--vcpus", "2"), "stray"),
        (("run", "--", "stray"), "stray"),
        (("run", "-"), "-"),
        (("run", ""), "unexpected argument"),
        (("nope",), "nope"),
        (("--nope",), "--nope"),
        (("-h",), "-h"),
        (("runs", "--json"), "runs"),
        (("",), "no such command"),
        ((), "no command"),
        (("bench", "--nope"), "--nope"),
        (("bench", "no-such-bench"), "no-such-bench"),
    ]
    for args, word in lines:
        complains(peal(*args, tmpdir=scratch), 2, word, "--help" if "bench" not in args else "")
    assert os.listdir(scratch) == []


@case
def missing_values_are_named(_scratch):
    for option in (*NUMBERS, *TIMES, "--disk", "--mode", "--mistake"):
        complains(peal("run", "--json", option), 2, option, "needs a value")
    complains(peal("run", "--disk", ""), 2, "--disk")


@case
def options_that_exclude_each_other_are_named(_scratch):
    complains(peal("run", "--all", "--seconds", "1"), 2, "--all", "--seconds")
    complains(peal("run", "--queues", "256", "--depth", "4096", "--block-size", "1M"), 2,
              "--queues", "--depth", "--block-size")


@case
def writing_needs_to_be_allowed(scratch):
    path = make_file(f"{scratch}/disk.img", MIB)
    with open(path, "r+b") as file:
        file.write(b"precious" * 1000)
    before = os.stat(path), hashlib.sha256(open(path, "rb").read()).hexdigest()
    for mode in ("write", "verify"):
        complains(peal("run", "--disk", path, "--mode", mode), 2, path, "--write", mode)
        complains(peal("run", "--disk", path, "--mode", mode, "--json"), 2, path, "--write")
    after = os.stat(path), hashlib.sha256(open(path, "rb").read()).hexdigest()
    assert before[1] == after[1] and before[0].st_mtime_ns == after[0].st_mtime_ns


# ---- files -----------------------------------------------------------------------------------

def refuses(path, *words, **more):
    """Both kinds of output, both ways to open."""
    for args in ((), ("--json",), ("--write",), ("--write", "--mode", "verify", "--json")):
        complains(peal("run", "--disk", path, *args, **more), 1, path, *words)


@case
def files_that_are_not_there_are_named(scratch):
    refuses(f"{scratch}/missing.img", "no such file")
    refuses(f"{scratch}/no/such/directory.img", "no such file")
    refuses(make_file(f"{scratch}/file", 512) + "/disk.img", "not a directory")
    os.symlink("nowhere", f"{scratch}/dangling")
    refuses(f"{scratch}/dangling", "no such file")
    os.symlink("loop", f"{scratch}/loop")
    refuses(f"{scratch}/loop", "symbolic links")
    refuses(f"{scratch}/" + "x" * 300, "too long")


@case
def files_that_are_no_disks_are_named(scratch):
    refuses(make_file(f"{scratch}/empty", 0), "empty")
    for size in (1, 511, 513, MIB + 1, MIB - 1):
        refuses(make_file(f"{scratch}/odd-{size}", size), "multiple of 512")
    refuses(scratch, "directory")
    refuses(f"{scratch}/", "directory")
    refuses("/dev/null", "character device")
    refuses("/dev/zero", "character device")
    os.symlink("/dev/null", f"{scratch}/to-null")
    refuses(f"{scratch}/to-null", "character device")
    # Nobody is at the other end: opening it would wait for ever.
    os.mkfifo(f"{scratch}/fifo")
    refuses(f"{scratch}/fifo", "FIFO")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{scratch}/socket")
        refuses(f"{scratch}/socket", "socket")
    # None was changed.
    assert os.path.getsize(f"{scratch}/empty") == 0
    assert os.path.getsize(f"{scratch}/odd-513") == 513


@case
def files_that_may_not_be_read_are_named(scratch):
    prefix = as_nobody()
    more = {"prefix": prefix, "binary": copy_for_others(scratch)}
    path = make_file(f"{scratch}/secret.img", MIB)
    os.chmod(path, 0o600)
    refuses(path, "permission denied", **more)
    os.mkdir(f"{scratch}/closed", 0o700)
    refuses(f"{scratch}/closed/disk.img", "permission denied", **more)
    # Readable is enough, but not to write.
    os.chmod(path, 0o444)
    result = peal("run", "--disk", path, "--json", **more)
    assert result.code == 0, result
    complains(peal("run", "--disk", path, "--write", **more), 1, path, "permission denied")


@case
def odd_names_are_shown_as_they_are(scratch):
    for name in ("two words.img", "-dash", "ümlaut", "per%cent%s%n", "'\"$(id)"):
        refuses(f"{scratch}/{name}", "no such file")
    os.chdir(scratch)
    binary = os.path.abspath(PEAL)
    make_file("--json", 512)
    complains(peal("run", "--disk", "--missing", binary=binary), 1, "--missing", "no such file")
    result = peal("run", "--disk", "--json", binary=binary)
    assert result.code == 0 and result.out.startswith("--json: "), result
    os.chdir("/")


# ---- surroundings ----------------------------------------------------------------------------

@case
def a_directory_for_the_temporary_image_is_needed(scratch):
    complains(peal("run", tmpdir=f"{scratch}/missing"), 1, "TMPDIR", "No such file")
    complains(peal("run", "--json", tmpdir=make_file(f"{scratch}/file", 0)), 1, "TMPDIR",
              "Not a directory")
    complains(peal("run", tmpdir="/" + "x" * 5000), 1, "TMPDIR", "too long")
    os.mkdir(f"{scratch}/closed", 0o755)
    complains(peal("run", tmpdir=f"{scratch}/closed", prefix=as_nobody(),
                   binary=copy_for_others(scratch)), 1, "TMPDIR", "Permission denied")


@case
def output_that_does_not_arrive_is_a_failure(scratch):
    if not os.path.exists("/dev/full"):
        raise Skip("there is no /dev/full")
    for args in ("run", "run --json", "--help", "run --help", "--version"):
        result = peal(prefix=["sh", "-c", f'exec "$0" {args} >/dev/full'], tmpdir=scratch)
        complains(result, 1, "No space left")
    # Nobody reads any more, or nobody ever did.
    for redirect in ("| :", ">&-", "2>&-", "<&-", ">&- 2>&- <&-"):
        result = peal(prefix=["sh", "-c", f'"$0" run --json {redirect}'], tmpdir=scratch)
        assert result.code in (0, 1), result
        assert result.err.count("\n") <= 1, result
    assert os.listdir(scratch) == []


main()
