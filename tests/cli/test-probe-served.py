#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""peal probe vfio-user:PATH: our own servers, a strange one, and those that do not answer."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading

from peal import as_nobody, case, complains, copy_for_others, environment, main, peal
from served import GET_INFO, REGION_READ, VERSION, Client, path_of, serving
from strange import strange

MODELS = ["blk", "rng", "bell", "hello"]


def probe(path, *args):
    result = peal("probe", "vfio-user:" + path, *args)
    assert result.code == 0 and result.err == "", result
    return result.out


# ---- our servers -----------------------------------------------------------------------------

@case
def served_function_is_printed_as_the_model_is(scratch):
    for model in MODELS:
        path = path_of(scratch)
        with serving(model, "--socket-path", path) as server:
            server.event("ready")
            served = json.loads(probe(path, "--json"))
            text = probe(path)
            assert server.end()[0] == 0
        made = json.loads(peal("probe", "--model", model, "--json").out)
        assert set(served) == set(made) - {"accesses"} | {"vfio_user"}, set(served) ^ set(made)
        assert served["address"] is None
        for name in ("vendor_id", "device_id", "class_code", "config_size", "subsystem"):
            assert served.get(name) == made.get(name), (model, name)
        assert [(r["index"], r["size"], r["type"]) for r in served["regions"]] == \
               [(r["index"], r["size"], r["type"]) for r in made["regions"]]
        assert [c["name"] for c in served["capabilities"]] == \
               [c["name"] for c in made["capabilities"]]
        for ours, theirs in zip(made["capabilities"], served["capabilities"]):
            # What only the owner of the function knows is about the vectors of MSI.
            assert set(theirs) == set(ours) - ({"entries"} if ours["name"] == "MSI" else set())
            for one, other in zip(ours.get("entries", []), theirs.get("entries", [])):
                assert set(other) == set(one) - {"used", "counters"}, other
            if ours["name"] == "MSI-X":
                assert len(theirs["entries"]) == ours["vectors"], theirs
        lines = text.split("\n")
        assert any(line.startswith("\tvfio-user: version 0.") for line in lines), text
        assert not lines[0].startswith("00:"), lines[0]


@case
def regions_and_interrupts_are_those_of_the_server(scratch):
    path = path_of(scratch)
    with serving("bell", "--vectors=100", "--socket-path", path) as server:
        server.event("ready")
        said = json.loads(probe(path, "--json"))["vfio_user"]
        assert server.end()[0] == 0
    assert said["flags"] == {"reset": True, "pci": True}
    assert said["capabilities"]["max_msg_fds"] == 16, said
    assert said["capabilities"]["pgsizes"] & os.sysconf("SC_PAGESIZE")
    regions = {r["name"]: r for r in said["regions"]}
    assert set(regions) == {"BAR 0", "BAR 1", "config"}, regions
    assert regions["BAR 0"]["size"] == 32768 and regions["config"]["size"] == 4096
    irqs = {i["name"]: i for i in said["irqs"]}
    assert {name: irq["count"] for name, irq in irqs.items()} == \
           {"intx": 1, "msi": 32, "msix": 100, "err": 1, "req": 1}
    assert irqs["intx"]["automasked"] and irqs["intx"]["maskable"] and not irqs["intx"]["noresize"]
    assert irqs["msi"]["noresize"] and irqs["msi"]["eventfd"]


@case
def dump_is_read_by_lspci_and_decode(scratch):
    path, file = path_of(scratch), os.path.join(scratch, "dump")
    with serving("blk", "--socket-path", path) as server:
        server.event("ready")
        text = probe(path)
        with open(file, "w", encoding="utf-8") as to:
            to.write(probe(path, "--dump"))
        assert server.end()[0] == 0
    decoded = peal("decode", "config", file)
    assert decoded.code == 0 and decoded.err == "", decoded
    known = set(re.sub(r" \[size=\w+\](?! \[\d+-bit\])", "", line) for line in text.split("\n"))
    first, *lines = decoded.out.rstrip("\n").split("\n")
    assert first.startswith("00:00.0 ") and first[8:] in known, first
    # A region that is nowhere shows in the dump only by its type.
    assert [line for line in lines if line not in known] == [], decoded
    if shutil.which("lspci"):
        done = subprocess.run(["lspci", "-F", file, "-vvv"], env=environment(), check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert b"MSI-X: Enable- Count=2" in done.stdout, done.stdout


@case
def looking_changes_nothing(scratch):
    path = path_of(scratch)
    with serving("bell", "--socket-path", path) as server:
        server.event("ready")
        client = Client(path)
        client.write(7, 0x04, 2, 6)
        client.write(7, 0x10, 4, 0x80000000)
        client.write(1, 12, 4, 0)
        client.write(0, 0x10, 4, 7)
        client.close()
        before = probe(path)
        assert "BusMaster+" in before and "Memory at 80000000" in before, before
        assert probe(path) == before
        client = Client(path)
        assert client.read(0, 0x10, 4) == 7
        client.close()
        code, out, _ = server.end()
        assert code == 0 and json.loads(out)["errors"] == 0, out


# ---- another server --------------------------------------------------------------------------

@case
def a_strange_server_is_shown_as_it_is(scratch):
    path = path_of(scratch)
    with strange(path):
        device = json.loads(probe(path, "--json"))
        text = probe(path)
    assert (device["vendor_id"], device["device_id"], device["config_size"]) == \
           (0x1234, 0x5678, 256), device
    said = device["vfio_user"]
    assert (said["major"], said["minor"]) == (0, 1)
    assert said["capabilities"] == {"twin_socket": False, "write_multiple": False,
                                    "migration": False, "max_msg_fds": 3,
                                    "max_data_xfer_size": 1 << 20, "max_dma_maps": 65535,
                                    "pgsizes": 0x201000}, said
    assert said["regions"][0] == {
        "index": 0, "name": "BAR 0", "size": 1 << 20, "read": True, "write": True, "mmap": True,
        "areas": [{"offset": 0x2000, "size": 0x3000}, {"offset": 0x80000, "size": 0x80000}]}
    assert [r["name"] for r in said["regions"]] == ["BAR 0", "config", "region 9"]
    assert [(i["name"], i["count"]) for i in said["irqs"]] == [("index 5", 9)]
    assert "mmap+ 0x2000-0x4fff, 0x80000-0xfffff\n" in text, text
    assert "pages of 4K 2M\n" in text, text


@case
def what_is_no_pci_function_has_only_regions_and_interrupts(scratch):
    path = path_of(scratch)
    with strange(path, pci=False):
        device = json.loads(probe(path, "--json"))
        assert set(device) == {"vfio_user"}, device
        assert device["vfio_user"]["flags"]["pci"] is False
        assert probe(path).startswith("\tvfio-user: version 0.1, ")
        complains(peal("probe", "vfio-user:" + path, "--dump"), 1, path, "not a PCI device")


@case
def wrong_answers_are_told(scratch):
    path = path_of(scratch)
    rows = [
        (VERSION, struct.pack("<HH", 7, 0), ["does not speak vfio-user"]),
        (VERSION, b"\0\0\0\0{{{\0", ["does not speak vfio-user"]),
        (VERSION, b"", ["does not speak vfio-user"]),
        (VERSION, 13, ["Permission denied"]),
        (GET_INFO, 5, ["Input/output error"]),
        (GET_INFO, struct.pack("<IIII", 16, 3, 1 << 30, 5), ["does not speak vfio-user"]),
        (REGION_READ, 5, ["configuration space", "Input/output error"]),
        (REGION_READ, bytes(16), ["configuration space", "nonsense"]),
    ]
    for command, answer, words in rows:
        with strange(path, answers={command: answer}):
            complains(peal("probe", "vfio-user:" + path), 1, path, *words)
    for command, word in ((VERSION, "no answer"), (REGION_READ, "does not answer any more")):
        with strange(path, answers={command: None}):
            complains(peal("probe", "vfio-user:" + path, "--timeout=0.2"), 1, path,
                      word)


# ---- nobody ----------------------------------------------------------------------------------

@case
def sockets_that_nobody_serves(scratch):
    path = path_of(scratch)
    complains(peal("probe", "vfio-user:" + path), 1, path, "no such socket")
    with open(path, "w", encoding="ascii") as file:
        file.write("x")
    complains(peal("probe", "vfio-user:" + path), 1, path, "not a socket")
    complains(peal("probe", "vfio-user:" + scratch), 1, scratch, "not a socket")
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        complains(peal("probe", "vfio-user:" + path), 1, path, "nobody listens")
    os.unlink(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        complains(peal("probe", "vfio-user:" + path), 1, path, "not a stream socket")
    complains(peal("probe", "vfio-user:" + "x" * 108), 1, "x" * 108, "107")


@case
def socket_that_is_not_ours_to_use(scratch):
    prefix = as_nobody()
    path = path_of(scratch)
    with serving("rng", "--socket-path", path) as server:
        server.event("ready")
        os.chmod(path, 0o700)
        complains(peal("probe", "vfio-user:" + path, prefix=prefix,
                       binary=copy_for_others(scratch)), 1, path, "Permission denied")
        assert server.end()[0] == 0


@case
def somebody_else_is_connected(scratch):
    path = path_of(scratch)
    with serving("rng", "--socket-path", path) as server:
        server.event("ready")
        client = Client(path)
        # By another name of it, too.
        link = os.path.join(scratch, "link")
        os.symlink(path, link)
        for name in (path, link):
            complains(peal("probe", "vfio-user:" + name, "--timeout=0.3"), 1, name,
                      "somebody else is connected", "one client at a time")
        client.close()
        probe(path)
        assert server.end()[0] == 0


@case
def server_that_is_stopped(scratch):
    path = path_of(scratch)
    with serving("rng", "--socket-path", path) as server:
        server.event("ready")
        server.process.send_signal(signal.SIGSTOP)
        complains(peal("probe", "vfio-user:" + path, "--timeout=0.3"), 1, path, "no answer",
                  "stopped")
        server.process.send_signal(signal.SIGCONT)
        probe(path)
        assert server.end()[0] == 0


@case
def who_speaks_something_else(scratch):
    path = path_of(scratch)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def serve(says):
            with listener.accept()[0] as client:
                if says:
                    client.recv(16)
                    with contextlib.suppress(OSError):
                        client.sendall(says)
                        client.recv(1 << 16)

        for says, word in ((b"", "hung up"), (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not speak"),
                           (b"\0" * 64, "not speak"), (b"\xff" * 64, "not speak")):
            thread = threading.Thread(target=serve, args=(says,))
            thread.start()
            complains(peal("probe", "vfio-user:" + path), 1, path, word)
            thread.join()


@case
def mistakes_on_the_line(_):
    complains(peal("probe", "vfio-user:"), 2, "vfio-user:PATH")
    complains(peal("probe", "/run/peal.sock"), 2, "/run/peal.sock", "vfio-user:PATH")
    complains(peal("probe", "vfio-user:x", "--model=blk"), 2, "--model", "vfio-user:x")
    complains(peal("probe", "vfio-user:x", "--raise=0"), 2, "--raise", "vfio-user:x")
    complains(peal("probe", "vfio-user:x", "vfio-user:y"), 2, "vfio-user:y")
    complains(peal("probe", "vfio-user:x", "--dump", "--json"), 2, "--dump", "--json")
    complains(peal("probe", "--timeout=1"), 2, "--timeout", "vfio-user:PATH")
    complains(peal("probe", "vfio-user:x", "--timeout=0"), 2, "--timeout")


main()
