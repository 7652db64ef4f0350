#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The VFIO of Linux, in a guest behind an emulated IOMMU: it drives served bells of 64 and 1,024
vectors, each rung 1,000 times and counted; and it answers every SET_IRQS on devices of QEMU, cell
by cell as we do and as docs/vfio-conformance.md has it (`--write` writes it there).

One guest for all. Its programs are in $PEAL_VFIO_GUEST, $PEAL_VFIO_IRQS is ours.
"""

import functools
import os
import re
import sys

from guest import booted, served, vfio_user
from irqtables import Table, compare, document, msi_grows, ours, parse, write_document
from peal import Skip, case, directory, main

PROGRAM = os.environ["PEAL_VFIO_IRQS"]
GUEST = os.environ.get("PEAL_VFIO_GUEST", "")
PROGRAMS = "guest-vfio-ring", "guest-vfio-irqs"

# 1,024 vectors take six CPUs: x86 has some 200 for devices on each.
CPUS = 6
IOMMU = ["-device", "intel-iommu,intremap=on,caching-mode=on"]
PORTS = ["-device", "pcie-root-port,id=port0,chassis=1,addr=0x16"]
QEMU = {"edu": "edu,addr=0x10", "virtio-rng": "virtio-rng-pci,addr=0x11",
        "e1000e": "e1000e,netdev=net,addr=0x12", "xhci": "nec-usb-xhci,msi=on,msix=on,addr=0x13",
        "igb": "igb,netdev=net2,bus=port0"}  # not on a root bus
BELLS = {"bell": 0x14, "big": 0x15}
FULLEST = "xhci"  # INTx, MSI and MSI-X with 16 vectors, PCI Express: the table of the document

# Device, index, form and rounds of vfio-ring.
RINGS = [
    ("bell", "msix", "register", 1000), ("bell", "msix", "burst", 100),
    ("bell", "msix", "timer", 20), ("bell", "msi", "register", 1000),
    ("bell", "intx", "register", 1000),
    ("big", "msix", "register", 1000), ("big", "msix", "burst", 20),
]
VECTORS = {"bell": dict(intx=1, msi=32, msix=64), "big": dict(intx=1, msi=32, msix=1024)}

SCRIPT = """
bind() {{
	function=$1
	echo vfio-pci >/sys/bus/pci/devices/$function/driver_override
	[ ! -e /sys/bus/pci/devices/$function/driver ] ||
		echo $function >/sys/bus/pci/devices/$function/driver/unbind
	echo $function >/sys/bus/pci/drivers_probe
}}
for function in {functions}; do bind $function; done
ring() {{
	answer=$(guest-vfio-ring $1 $2 $3 $4 2>&1)
	say ring $? $answer
}}
{rings}
irqs() {{
	guest-vfio-irqs $1 >/tmp/irqs
	say irqs $? $(wc -l </tmp/irqs)
	cat /tmp/irqs
	say shown
}}
{irqs}
say linux $(uname -r)
"""


def function(name):
    """Where the guest has it: behind the port, or on the root bus."""
    slot = re.search("addr=0x(.*)", QEMU[name]) if name in QEMU else None
    if name in BELLS:
        return f"0000:00:{BELLS[name]:x}.0"
    return f"0000:00:{slot[1]}.0" if slot else "0000:01:00.0"


def run(scratch):
    """What the guest said, by the test."""
    script = SCRIPT.format(
        functions=" ".join(function(name) for name in (*QEMU, *BELLS)),
        rings="\n".join(f"ring {function(d)} {i} {f} {n}" for d, i, f, n in RINGS),
        irqs="\n".join(f"irqs {function(d)}" for d in QEMU))
    devices = ["-netdev", "hubport,hubid=0,id=net", "-netdev", "hubport,hubid=0,id=net2", *PORTS]
    for arguments in QEMU.values():
        devices += ["-device", arguments]
    said = {"rings": [], "tables": {}}
    with served(scratch, "bell") as small, served(scratch, "bell", "--vectors=1024") as big:
        for name, server in ("bell", small), ("big", big):
            devices += vfio_user(server.path, addr=f"{BELLS[name]:x}")
        with booted(scratch, "amd64", script, devices, "intel_iommu=on", smp=CPUS,
                    modules=("vfio-pci", "vfio_iommu_type1"), extra=IOMMU,
                    files=[os.path.join(GUEST, name) for name in PROGRAMS]) as guest:
            for _ in RINGS:
                said["rings"].append(guest.line("ring"))
            for name in QEMU:
                code, lines = guest.line("irqs").split()
                begin = len(guest.log)
                guest.line("shown")
                said["tables"][name] = (code, int(lines), begin)
            said["linux"] = guest.line("linux")
            guest.end()
            log = guest.log
        said["statistics"] = {"bell": small.stop(), "big": big.stop()}
    for name, (code, lines, begin) in said["tables"].items():
        assert code == "0", (name, log[begin:begin + 20])
        shown = log[begin:]
        table = shown[:next(i for i, line in enumerate(shown) if "guest: shown" in line)]
        assert len(table) == lines, (name, len(table), lines)
        said["tables"][name] = Table(table)
    return said


@functools.lru_cache(None)
def guest_said():
    """Its one life; whoever asks first waits for it."""
    if not GUEST:
        raise Skip("the guest's programs need x86_64, a static C library, and no sanitizer")
    with directory() as scratch:
        return run(scratch)


@case
def every_ring_arrives_once(_scratch):
    said = guest_said()
    for (device, index, form, rounds), answer in zip(RINGS, said["rings"]):
        signals = VECTORS[device][index]
        words = answer.split()
        print(f"# {device} {index} {form} {rounds}: {answer}")
        assert words[:5] == ["0", "rang", str(signals), str(rounds), "arrived"], answer
        arrived = int(words[5])
        if form == "timer":
            assert signals <= arrived <= signals * rounds, answer
        else:
            assert arrived == signals * rounds, answer


@case
def the_server_counted_the_same(_scratch):
    for device, statistics in guest_said()["statistics"].items():
        assert statistics["errors"] == 0 == statistics["dma_failed"], statistics
        assert statistics["clients"] == 1 and statistics["dma_maps"] == 0, statistics
        signalled = {}
        for row in statistics["interrupts"]:
            signalled.setdefault(row["index"], {})[row["vector"]] = row["signalled"]
            assert row["missed"] == 0, row
        for index, count in VECTORS[device].items():
            rings = sum(n for d, i, _, n in RINGS if (d, i) == (device, index))
            expected = {v: rings for v in range(count)} if rings else None
            assert signalled.get(index) == expected, (device, index, signalled.get(index))


@case
def linux_answers_as_the_document_says(_scratch):
    said = guest_said()
    before, table, _ = document()
    print(f"# {said['linux']}")
    assert said["tables"][FULLEST].cells == parse(table)
    assert said["linux"] in before, said["linux"]


@case
def linux_answers_as_we_do(_scratch):
    """Each index of each device as that of a bell with as many vectors."""
    tables = guest_said()["tables"]
    for name, theirs in tables.items():
        cells = 0
        for index in "intx", "msi", "msix", "err", "req", "bad":
            count = theirs.counts.get(index, 1)
            like = index if index in ("msi", "msix") else "msix"
            mine = ours(PROGRAM, f"bell:{theirs.counts[like] or 1}")
            part = {key: text for key, text in theirs.cells.items()
                    if key.startswith(index + ".")}
            if count and index != "bad":
                assert theirs.flags[index] == mine.flags[index], (name, theirs.flags, mine.flags)
            if count:
                assert part and (index == "bad" or mine.counts[index] == count), (name, index)
            grows = [msi_grows] if index == "msi" and count >= 4 else []
            cells += compare(part, mine.cells, grows, f"{name}, {index}")
            if index != "bad" and count:
                assert len(part) == len([k for k in part if k in mine.cells]), (name, index)
        empty = {text for key, text in theirs.cells.items() if key.startswith("empty-")}
        assert empty <= {"EINVAL"}, (name, empty)
        print(f"# {name}: {cells} cells, vectors {theirs.counts}")


if sys.argv[1:] == ["--write"]:
    write_document(guest_said()["tables"][FULLEST])
else:
    main()
