#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Every cell of SET_IRQS, of a bell in this process and of a served one, against the table of Linux
in docs/vfio-conformance.md; and rings, counted by our client. No guest is needed.

$PEAL_VFIO_IRQS and $PEAL_VFIO_RING are the programs vfio-irqs and vfio-ring."""

import os
import resource
import subprocess

from guest import served
from irqtables import cannot_be_sent, compare, document, msi_grows, ours, parse
from peal import case, main

PROGRAM, RING = os.environ["PEAL_VFIO_IRQS"], os.environ["PEAL_VFIO_RING"]
VECTORS = 1024


@case
def a_function_answers_as_linux_does(_scratch):
    table = parse(document()[1])
    mine = ours(PROGRAM, "bell:16")
    assert compare(table, mine.cells, [msi_grows], "Linux") == len(table) > 2500
    assert set(mine.cells) == set(table)


@case
def a_served_device_answers_as_a_function(scratch):
    """Also with more vectors than a message has descriptors."""
    for count in 16, 32:
        with served(scratch, "bell", f"--vectors={count}") as server:
            theirs, mine = ours(PROGRAM, f"bell:{count}"), ours(PROGRAM, server.path)
            assert theirs.counts == mine.counts == dict(intx=1, msi=count, msix=count, err=1, req=1)
            assert theirs.flags == mine.flags
            assert set(theirs.cells) == set(mine.cells)
            compare(theirs.cells, mine.cells, [cannot_be_sent], f"{count} vectors")
            statistics = server.idle_statistics()
            assert statistics["clients"] == 1, statistics


def ring(path, *arguments):
    done = subprocess.run([RING, path, *arguments], stdout=subprocess.PIPE, check=False,
                          stderr=subprocess.STDOUT, timeout=240)
    return done.stdout.decode().split()


@case
def every_ring_arrives_once_at_our_client(scratch):
    """Also where the usual limit is 1,024 descriptors."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
    try:
        with served(scratch, "bell", f"--vectors={VECTORS}") as server:
            for index, form, count, rounds in (
                    ("msix", "register", VECTORS, 20), ("msix", "burst", VECTORS, 50),
                    ("msi", "register", 32, 100), ("msi", "burst", 32, 100),
                    ("intx", "register", 1, 100)):
                said = ring(server.path, index, form, str(rounds))
                assert said == ["rang", str(count), str(rounds), "arrived",
                                str(count * rounds)], (index, form, said)
            statistics = server.idle_statistics()
            assert statistics["errors"] == 0, statistics
            signalled = {"msix": 70, "msi": 200, "intx": 100}
            for row in statistics["interrupts"]:
                assert row["signalled"] == signalled[row["index"]], row
            assert len(statistics["interrupts"]) == VECTORS + 32 + 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


main()
