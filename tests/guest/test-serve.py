#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A served block device in Linux guests: reads, writes, interrupts, drivers that come and go,
servers and guests that are killed."""

import signal

from guest import booted, make_image, served, sha256, vfio_user
from peal import MIB, case, main

SIZE, WRITTEN = 24 * MIB, 16 * MIB

# Reads all, writes a part, counts interrupts; then the driver goes and comes, and a reset between.
SCRIPT = """
say read $(sum /dev/vda)
dd if=/dev/urandom of=/tmp/data bs=1M count=16 2>/dev/null
dd if=/tmp/data of=/dev/vda bs=1M conv=fsync,notrunc 2>/dev/null
say written $(sum /tmp/data)
say interrupts $(grep virtio /proc/interrupts | tr -s ' \\n' ' ;')
function=$(basename $(readlink -f /sys/block/vda/device/..))
driver=/sys/bus/pci/drivers/virtio-pci
echo 3 >/proc/sys/vm/drop_caches
for i in $(seq 10); do
	echo $function >$driver/unbind
	echo $function >$driver/bind
done
say rebound $(dd if=/dev/vda bs=1M count=16 2>/dev/null | sum)
echo $function >$driver/unbind
echo 1 >/sys/bus/pci/devices/$function/reset
say reset $?
echo $function >$driver/bind
say again $(dd if=/dev/vda bs=1M count=16 2>/dev/null | sum)
"""


def whole_life(scratch, arch, append=""):
    """Runs SCRIPT in a guest; the text of its /proc/interrupts, and the server's statistics."""
    image = make_image(scratch, SIZE)
    before = sha256(image)
    with served(scratch, "blk", "--disk", image, "--queues=2") as server:
        with booted(scratch, arch, SCRIPT, vfio_user(server.path), append) as guest:
            assert guest.line("read") == before
            written = guest.line("written")
            assert sha256(image, WRITTEN) == written
            interrupts = guest.line("interrupts").split(";")
            assert guest.line("rebound") == written
            assert guest.line("reset") == "0"
            assert guest.line("again") == written
            guest.end()
        statistics = server.stop()
        assert statistics["errors"] == 0 and statistics["dma_failed"] == 0, statistics
        assert statistics["device"]["refused"] == 0 == statistics["device"]["failed"], statistics
        assert statistics["device"]["written_bytes"] == WRITTEN, statistics
        return [line.split() for line in interrupts if line.strip()], statistics


def count_of(line):
    """Of all CPUs: the numbers after the first column."""
    return sum(int(word) for word in line[1:3])


def check_msix(interrupts, chip):
    queues = [line for line in interrupts if "-req." in line[-1]]
    assert len(queues) == 2, interrupts
    assert all(chip in " ".join(line) for line in queues), interrupts
    assert sum(map(count_of, queues)) > 100, interrupts


@case
def amd64_reads_writes_and_counts_by_msix(scratch):
    interrupts, statistics = whole_life(scratch, "amd64")
    check_msix(interrupts, "PCI-MSIX-")
    assert {i["index"] for i in statistics["interrupts"]} == {"msix"}, statistics


@case
def arm64_reads_writes_and_counts_by_its_its(scratch):
    interrupts, statistics = whole_life(scratch, "arm64")
    check_msix(interrupts, "ITS-PCI-MSIX-")
    assert {i["index"] for i in statistics["interrupts"]} == {"msix"}, statistics


def check_intx(interrupts, statistics, chip):
    assert len(interrupts) == 1 and chip in " ".join(interrupts[0]), interrupts
    assert count_of(interrupts[0]) > 100, interrupts
    assert {i["index"] for i in statistics["interrupts"]} == {"intx"}, statistics


@case
def amd64_without_msi_goes_by_intx(scratch):
    check_intx(*whole_life(scratch, "amd64", "pci=nomsi"), "IO-APIC")


@case
def arm64_without_msi_goes_by_intx(scratch):
    check_intx(*whole_life(scratch, "arm64", "pci=nomsi"), "GIC")


# ---- ends ------------------------------------------------------------------------------------

BUSY = """
say sum $(sum /dev/vda)
(while dd if=/dev/vda of=/dev/null bs=64k iflag=direct 2>/dev/null; do :; done) &
(while dd if=/tmp/data of=/dev/vda bs=64k oflag=direct,notrunc 2>/dev/null; do :; done) &
sleep 1
say busy
for i in $(seq 60); do sleep 1; say alive; done
"""


@case
def a_guest_that_is_killed_in_the_middle_leaves_nothing(scratch):
    image = make_image(scratch, SIZE)
    with served(scratch, "blk", "--disk", image, "--queues=2") as server:
        idle = server.descriptors()
        for _ in range(2):
            before = sha256(image)
            with booted(scratch, "amd64", BUSY, vfio_user(server.path)) as guest:
                assert guest.line("sum") == before
                guest.line("busy")
                guest.process.send_signal(signal.SIGKILL)
            statistics = server.idle_statistics()
            assert statistics["dma_maps"] == 0, statistics
            assert server.comes_back_to(idle)
        assert server.stop()["clients"] == 2


# The driver is idle when the server goes: QEMU 11.1 with a request under way may fail an assertion
# of its own (error_setv).
IDLE = """
say sum $(sum /dev/vda)
for i in $(seq 100); do sleep 0.3; say alive; done
"""


@case
def a_guest_outlives_its_server_and_the_next_server_serves(scratch):
    image = make_image(scratch, SIZE)
    before = sha256(image)
    with served(scratch, "blk", "--disk", image, "--read-only") as server:
        with booted(scratch, "amd64", IDLE, vfio_user(server.path)) as guest:
            assert guest.line("sum") == before
            guest.line("alive")
            server.kill()
            for _ in range(5):
                guest.line("alive")
        server.start()
        with booted(scratch, "amd64", "say sum $(sum /dev/vda)", vfio_user(server.path)) as guest:
            assert guest.line("sum") == before
            guest.end()
        assert server.stop()["clients"] == 1


# ---- several ---------------------------------------------------------------------------------

@case
def two_servers_in_one_guest(scratch):
    first, second = make_image(scratch, MIB, "first"), make_image(scratch, 2 * MIB, "second")
    with served(scratch, "blk", "--disk", first) as one, \
            served(scratch, "blk", "--disk", second) as two:
        with booted(scratch, "amd64", "say two $(sum /dev/vda) $(sum /dev/vdb)",
                    vfio_user(one.path) + vfio_user(two.path)) as guest:
            assert set(guest.line("two").split()) == {sha256(first), sha256(second)}
            guest.end()
        assert one.stop()["clients"] == 1
        assert two.stop()["clients"] == 1


main()
