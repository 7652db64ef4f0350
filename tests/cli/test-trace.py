#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""peal run --trace and peal trace its: what is shown is what the run did, and neither waits for or
falls over the other."""

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import time

from peal import PATIENCE, PEAL, case, check_counts, complains, environment, main, peal


@contextlib.contextmanager
def traced_run(path, *args):
    """A run that listens at PATH; the caller has to end it with finish()."""
    run = subprocess.Popen([PEAL, "run", "--json", "--trace", path, *args],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, env=environment())
    try:
        deadline = time.monotonic() + PATIENCE
        while not os.path.exists(path) and run.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield run
    finally:
        if run.poll() is None:
            run.kill()
        run.communicate()


def finish(run):
    out, err = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0 and err == b"", (run.returncode, out, err)
    result = json.loads(out)
    check_counts(result)
    assert result["ok"] is True, result
    return result


def trace(path, *args):
    result = peal("trace", "its", path, *args)
    assert result.code == 0 and result.err == "", result
    return result.out


def objects(text):
    return [json.loads(line) for line in text.splitlines()]


@case
def the_trace_is_what_the_run_did(scratch):
    path = os.path.join(scratch, "trace")
    with traced_run(path, "--seconds", "1", "--vcpus", "3", "--queues", "3") as run:
        shown = objects(trace(path, "--json"))
        result = finish(run)
    assert not os.path.exists(path)
    assert all(a["time"] <= b["time"] + 0.1 for a, b in zip(shown, shown[1:]))
    commands = [o for o in shown if o["kind"] == "command"]
    messages = [o for o in shown if o["kind"] == "message"]
    assert all(o["error"] is None for o in commands)
    names = [o["name"] for o in commands]
    assert names[:3] == ["MAPC", "SYNC", "INVALL"], names
    assert names[-1] == "MAPD" and commands[-1]["valid"] is False
    assert [o["offset"] for o in commands] == [32 * i for i in range(len(commands))]
    for vector in result["vectors"]:
        mapped = [o for o in commands if o["name"] == "MAPTI"
                  and o["event_id"] == vector["event"]]
        assert [o["intid"] for o in mapped] == [vector["lpi"]], mapped
        assert all((o["intid"], o["vcpu"]) == (vector["lpi"], vector["vcpu"])
                   for o in messages if o["event_id"] == vector["event"])
    assert all(o["device_id"] == 8 and o["result"] == "delivered" for o in messages)
    lost = sum(o["count"] for o in shown if o["kind"] == "lost")
    assert 0 < len(messages) + lost <= result["interrupts"]["translated"] + lost
    assert len(messages) <= result["interrupts"]["translated"]


@case
def lines_end_where_they_are_told_to(scratch):
    path = os.path.join(scratch, "trace")
    with traced_run(path, "--seconds", "60") as run:
        lines = trace(path, "--count", "3").splitlines()
        assert [line.split(" ", 1)[1] for line in lines] == [
            "cmd MAPC icid 0 rdbase 0 valid 1", "cmd SYNC rdbase 0", "cmd INVALL icid 0"], lines
        began = time.monotonic()
        out = trace(path, "--seconds", "0.3")
        assert time.monotonic() - began > 0.25
        assert "cmd MAPTI device 0x8 event 0 intid 8192 icid 0\n" in out, out[:2000]
        assert " msg device 0x8 event 1 -> lpi 8193 vcpu 0\n" in out, out[:2000]
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=PATIENCE)
    assert not os.path.exists(path)


@case
def a_signal_ends_the_trace_and_not_the_run(scratch):
    path = os.path.join(scratch, "trace")
    with traced_run(path, "--seconds", "2") as run:
        for number in (signal.SIGINT, signal.SIGTERM):
            tracer = subprocess.Popen([PEAL, "trace", "its", path], stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, env=environment())
            assert tracer.stdout.readline().endswith(b"cmd MAPC icid 0 rdbase 0 valid 1\n")
            tracer.send_signal(number)
            _, err = tracer.communicate(timeout=PATIENCE)
            assert tracer.returncode == 0 and err == b"", (tracer.returncode, err)
        tracer = subprocess.Popen([PEAL, "trace", "its", path], stdout=subprocess.PIPE,
                                  env=environment())
        tracer.stdout.readline()
        tracer.kill()
        tracer.communicate()
        finish(run)


@case
def a_closed_pipe_ends_the_trace(scratch):
    path = os.path.join(scratch, "trace")
    with traced_run(path, "--seconds", "1") as run:
        done = subprocess.run(f"{PEAL} trace its {path} | head -n 2", shell=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
        assert done.stdout.count(b"\n") == 2 and done.stderr == b"", done
        if os.path.exists("/dev/full"):
            with open("/dev/full", "wb") as full:
                done = subprocess.run([PEAL, "trace", "its", path], check=False, stdout=full,
                                      stderr=subprocess.PIPE, timeout=PATIENCE)
            assert done.returncode == 1 and b"No space left" in done.stderr, done
        finish(run)


@case
def a_reader_that_does_not_read_costs_the_run_nothing(scratch):
    path = os.path.join(scratch, "trace")
    with traced_run(path, "--seconds", "1") as run:
        with socket.socket(socket.AF_UNIX) as reader:
            reader.connect(path)
            assert reader.recv(16) == b"PEALTRC1" + bytes(8)
            complains(peal("trace", "its", path), 1, path, "somebody else")
            finish(run)


@case
def what_a_guest_forgot_is_not_there(scratch):
    path = os.path.join(scratch, "trace")
    with traced_run(path, "--seconds", "60", "--mistake", "no-collection",
                    "--stall-timeout", "1") as run:
        out = trace(path)
        run.communicate(timeout=PATIENCE)
        assert run.returncode == 1
    assert " MAPTI " in out and " MAPC " not in out, out
    messages = [line for line in out.splitlines() if " msg " in line]
    assert all(line.endswith(" !!! no-collection") for line in messages), messages


@case
def what_cannot_be_traced_is_told(scratch):
    none = os.path.join(scratch, "none")
    complains(peal("trace"), 2, "--help")
    complains(peal("trace", "pci", none), 2, "pci", "its")
    complains(peal("trace", "its"), 2, "PATH")
    complains(peal("trace", "its", none, "more"), 2, "more")
    complains(peal("trace", "its", none, "--count", "0"), 2, "--count")
    complains(peal("trace", "its", none, "--seconds", "0"), 2, "--seconds")
    complains(peal("trace", "its", none), 1, none, "No such file", "peal run --trace")
    complains(peal("trace", "its", "x" * 200), 1, "File name too long")
    complains(peal("run", "--trace", ""), 2, "--trace")
    complains(peal("run", "--trace", "x" * 200), 1, "--trace", "File name too long")
    complains(peal("run", "--trace", os.path.join(none, "x")), 1, "--trace", "No such file")
    with open(none, "wb") as file:
        file.write(b"precious")
    complains(peal("run", "--trace", none), 1, "--trace", "in use")
    complains(peal("trace", "its", none), 1, none, "refused")
    with open(none, "rb") as file:
        assert file.read() == b"precious"


@case
def what_is_no_trace_is_refused(scratch):
    path = os.path.join(scratch, "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(1)
        for answer, code, words in (
                (b"220 mail.example ESMTP hello", 1, ["no peal run"]),
                (b"PEAL", 1, ["no peal run"]),
                (b"", 0, []),
                (b"PEALTRC1" + bytes(8), 0, []),
                (b"PEALTRC1" + bytes(8) + bytes(55), 0, []),
                (b"PEALTRC1" + bytes(8) + struct.pack("<7Q", 0, 9, 0, 0, 0, 0, 0), 1, ["kind"])):
            tracer = subprocess.Popen([PEAL, "trace", "its", path], stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, env=environment())
            connection, _ = listener.accept()
            connection.sendall(answer)
            connection.close()
            out, err = tracer.communicate(timeout=PATIENCE)
            assert (tracer.returncode, out) == (code, b""), (answer, out, err)
            assert all(word in err.decode() for word in words), err


main()
