#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""peal irq: rings, masks and counts, on our bell, on a strange server, and mistakes."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import time

from peal import PATIENCE, PEAL, case, complains, environment, main, peal
from served import SET_IRQS, Client, path_of, serving
from strange import strange


def irq(path, *args, **more):
    result = peal("irq", "vfio-user:" + path, *args, "--json", **more)
    assert result.code == 0 and result.err == "", result
    return json.loads(result.out)


def counts(answer):
    return {v["vector"]: v["interrupts"] for v in answer["vectors"]}


@contextlib.contextmanager
def bell(scratch, vectors=16):
    path = path_of(scratch)
    with serving("bell", f"--vectors={vectors}", "--socket-path", path) as server:
        server.event("ready")
        yield path, server
        assert server.end()[0] == 0


def signalled(server):
    return {(i["index"], i["vector"]): i["signalled"] for i in server.statistics()["interrupts"]}


# ---- what there is ---------------------------------------------------------------------------

@case
def without_steps_it_lists(scratch):
    with bell(scratch) as (path, _):
        result = peal("irq", "vfio-user:" + path)
        assert result.code == 0 and result.err == "", result
        rows = [line.split() for line in result.out.splitlines()]
        assert rows[0] == ["interrupt", "vectors"], result
        assert [row[:2] for row in rows[1:]] == [["intx", "1"], ["msi", "16"], ["msix", "16"],
                                                 ["err", "1"], ["req", "1"]], result
        assert {i["name"]: i["count"] for i in irq(path)["irqs"]} == \
               {"intx": 1, "msi": 16, "msix": 16, "err": 1, "req": 1}


# ---- loopback --------------------------------------------------------------------------------

@case
def loopback_rings_every_index(scratch):
    with bell(scratch) as (path, server):
        before = {}
        for index, count in (("intx", 1), ("msi", 16), ("msix", 16), ("err", 1), ("req", 1)):
            answer = irq(path, "--index", index, "--times=7", "ring", "ring")
            assert answer["index"] == index and answer["count"] == count, answer
            assert answer["by"] == "loopback" and answer["steps"] == ["ring", "ring"], answer
            assert answer["ok"] is True and answer["missing"] == 0, answer
            assert counts(answer) == {v: [7, 7] for v in range(count)}, answer
            after = signalled(server)
            assert {key: n - before.get(key, 0) for key, n in after.items()
                    if key not in before} == {(index, v): 14 for v in range(count)}
            before = after
        # The device did not ring.
        assert server.statistics()["device"] == {"rings": 0}


@case
def only_the_vectors_that_are_named_ring(scratch):
    with bell(scratch) as (path, server):
        for text, chosen in (("0", [0]), ("15", [15]), ("3-5", [3, 4, 5]),
                             ("0-1,7,9-10", [0, 1, 7, 9, 10]), ("5,5,4", [4, 5])):
            before = signalled(server)
            answer = irq(path, "--vectors", text, "ring")
            assert counts(answer) == {v: [1] for v in chosen}, answer
            after = signalled(server)
            assert [key[1] for key in after if after[key] != before.get(key, 0)] == chosen, after


@case
def table_has_a_line_for_vectors_that_are_alike(scratch):
    with bell(scratch) as (path, _):
        result = peal("irq", "vfio-user:" + path, "--vectors=0-3,8", "--times=2", "ring", "mask",
                      "ring")
        assert result.code == 0 and result.err == "", result
        rows = [line.split() for line in result.out.splitlines()]
        assert rows[1] == ["vector", "ring", "mask", "ring", "total", "pending"], result
        # Loopback does not look at masks.
        assert rows[2:] == [["0-3", "2", "0", "2", "4", "-"], ["8", "2", "0", "2", "4", "-"]]


# ---- a device that rings ---------------------------------------------------------------------

@case
def masked_vectors_pend_and_come_once(scratch):
    with bell(scratch) as (path, server):
        for index, chosen in (("msix", [2, 3]), ("msi", [2, 3]), ("intx", [0])):
            vectors = ("--vectors=2-3",) if index != "intx" else ()
            args = ("--bell", "--index", index, "--times=3", *vectors)
            answer = irq(path, *args, "ring", "mask", "ring", "ring", "unmask", "ring")
            assert answer["by"] == "bell" and answer["ok"] is True, answer
            assert counts(answer) == {v: [3, 0, 0, 0, 1, 3] for v in chosen}, answer
            assert [v["pending"] for v in answer["vectors"]] == [False] * len(chosen), answer
            answer = irq(path, *args, "mask", "ring")
            assert counts(answer) == {v: [0, 0] for v in chosen}, answer
            assert [v["pending"] for v in answer["vectors"]] == [True] * len(chosen), answer
            # The line of INTx stays asserted until somebody clears the cause.
            if index == "intx":
                client = Client(path)
                client.write(0, 8, 4, 1)
                client.close()
        assert server.statistics()["errors"] == 0


@case
def device_is_left_as_it_was_found(scratch):
    def look():
        result = peal("probe", "vfio-user:" + path)
        assert result.code == 0, result
        return result.out

    with bell(scratch) as (path, _):
        client = Client(path)
        client.write(7, 0x04, 2, 0x0402)
        client.close()
        before = look()
        assert "DisINTx+" in before and "BusMaster-" in before, before
        for args in (("--index=msix", "ring", "mask"), ("--index=msi", "mask"),
                     ("--index=intx", "ring", "mask"), ("--bell", "--rate=1000", "wait",
                                                        "--seconds=0.1")):
            irq(path, *args)
            assert look() == before, args


@case
def what_the_device_raises_by_itself_is_counted(scratch):
    with bell(scratch, 8) as (path, server):
        for index in ("msix", "msi", "intx"):
            before = server.statistics()["device"]["rings"]
            answer = irq(path, "--index", index, "--bell", "--rate=500", "--seconds=0.5", "wait")
            rings = server.statistics()["device"]["rings"] - before
            arrived = sum(v["total"] for v in answer["vectors"])
            if index == "intx":
                # Rings while the line is asserted are one interrupt.
                assert 0 < arrived <= rings, (answer, rings)
            else:
                assert arrived == rings and len(set(map(tuple, counts(answer).values()))) == 1, \
                    (answer, rings)
            # It has stopped.
            assert server.statistics()["device"]["rings"] - before == rings
        assert counts(irq(path, "wait", "--seconds=0.05")) == {v: [0] for v in range(8)}


@case
def as_many_vectors_as_there_can_be(scratch):
    with bell(scratch, 2048) as (path, _):
        answer = irq(path, "ring", preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
        assert counts(answer) == {v: [1] for v in range(2048)}, answer
        result = peal("irq", "vfio-user:" + path, "ring", preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_NOFILE, (64, 64)))
        complains(result, 1, "eventfd", "Too many open files")
        assert counts(irq(path, "ring", "--vectors=2047")) == {2047: [1]}


# ---- ends ------------------------------------------------------------------------------------

def started(path, *args):
    """Waits until the bell rings for it."""
    return subprocess.Popen([PEAL, "irq", "vfio-user:" + path, "--bell", "--rate=1000",
                             "--seconds=1000", "wait", *args], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=environment())


def wait_for_rings(server):
    deadline = time.monotonic() + PATIENCE
    while server.statistics()["device"]["rings"] == 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@case
def a_signal_ends_it_and_the_bell_falls_silent(scratch):
    for number in (signal.SIGINT, signal.SIGTERM):
        with bell(scratch) as (path, server):
            process = started(path, "--json")
            wait_for_rings(server)
            process.send_signal(number)
            out, err = process.communicate(timeout=PATIENCE)
            assert process.returncode == 1 and err.decode() == "peal irq: interrupted\n", err
            answer = json.loads(out)
            assert answer["interrupted"] is True and answer["ok"] is False, answer
            rings = server.statistics()["device"]["rings"]
            assert sum(v["total"] for v in answer["vectors"]) == rings
            time.sleep(0.02)
            assert server.statistics()["device"]["rings"] == rings


@case
def a_server_that_goes_is_noticed(scratch):
    path = path_of(scratch)
    with serving("bell", "--socket-path", path) as server:
        server.event("ready")
        process = started(path)
        wait_for_rings(server)
        server.process.kill()
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1 and out == b"", (out, err)
        assert err.decode().count("\n") == 1 and "the server has gone" in err.decode(), err


@case
def interrupts_that_do_not_come_are_told(scratch):
    path = path_of(scratch)
    # It takes every request and rings nothing.
    with strange(path, answers={SET_IRQS: b""}, pci=False, irqs={2: 8}):
        result = peal("irq", "vfio-user:" + path, "ring", "--times=3", "--timeout=0.1", "--json")
        assert result.code == 1, result
        assert result.err == "peal irq: 24 interrupts did not arrive\n", result
        answer = json.loads(result.out)
        assert answer["missing"] == 24 and answer["ok"] is False, answer
        assert all(v["pending"] is None for v in answer["vectors"]), answer
        complains(peal("irq", "vfio-user:" + path, "mask"), 1, "msix cannot be masked")
        complains(peal("irq", "vfio-user:" + path, "ring", "--bell"), 1, "--bell",
                  "not a PCI device")
        complains(peal("irq", "vfio-user:" + path, "ring", "--index=intx"), 1, "has no intx")
    with strange(path, pci=False, irqs={2: 8}):
        complains(peal("irq", "vfio-user:" + path, "ring"), 1, "enabling",
                  "Function not implemented")
    with strange(path, answers={SET_IRQS: None}, irqs={2: 8}):
        complains(peal("irq", "vfio-user:" + path, "ring", "--timeout=0.1"), 1, path)
    with strange(path):
        complains(peal("irq", "vfio-user:" + path, "ring"), 1, "has no interrupts")


# ---- mistakes --------------------------------------------------------------------------------

@case
def mistakes_are_named(scratch):
    path = "vfio-user:" + path_of(scratch)
    complains(peal("irq"), 2, "vfio-user:PATH")
    complains(peal("irq", "ring"), 2, "ring", "vfio-user:PATH")
    complains(peal("irq", path, "rign"), 2, "rign", "ring, mask, unmask, wait")
    complains(peal("irq", path, *["ring"] * 17), 2, "unexpected argument")
    complains(peal("irq", path, "mask", "--times=3"), 2, "--times", "ring")
    complains(peal("irq", path, "ring", "--seconds=3"), 2, "--seconds", "wait")
    complains(peal("irq", path, "ring", "--bell", "--rate=3"), 2, "--rate", "wait")
    complains(peal("irq", path, "wait", "--rate=3"), 2, "--rate", "--bell")
    complains(peal("irq", path, "--vectors=3"), 2, "ring, mask, unmask, wait")
    complains(peal("irq", path, "ring", "--index=gsi"), 2, "--index", "gsi", "msix")
    complains(peal("irq", path, "ring", "--times=0"), 2, "--times")
    complains(peal("irq", path, "ring"), 1, path, "no such socket")
    complains(peal("irq", path), 1, path, "no such socket")
    with bell(scratch):
        for text in ("x", "1-", "-1", "3-1", "0,", ",0", "0 ", "0x1", "1--2", "0-99999999999999999999"):
            complains(peal("irq", path, "ring", "--vectors=" + text), 2, "--vectors " + text)
        complains(peal("irq", path, "ring", "--vectors=0-16"), 2, "0-16", "16")
        complains(peal("irq", path, "ring", "--vectors=2", "--index=intx"), 2, "intx has 1")
        complains(peal("irq", path, "ring", "--index=err", "--bell"), 2, "--bell", "err")
    with serving("rng", "--socket-path", path_of(scratch)) as server:
        server.event("ready")
        complains(peal("irq", path, "ring", "--bell"), 1, "--bell", "no bell")
        complains(peal("irq", path, "ring", "--index=msi"), 1, "has no msi")
        assert server.end()[0] == 0


@case
def options_that_name_the_default_are_fine(scratch):
    with bell(scratch) as (path, _):
        assert counts(irq(path, "ring", "--times=1", "--index=msix", "--timeout=60",
                          "--vectors=0-15")) == {v: [1] for v in range(16)}
        assert os.path.exists(path)


main()
