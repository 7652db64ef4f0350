#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Served devices that are plugged and unplugged while QEMU runs.

QEMU 11.1 unplugs a vfio-user-pci that has no MSI-X. One that has fails an assertion of QEMU's when
it is unplugged, whatever else it has or has not and whoever used it: tried were register BARs
mapped and not mapped, the MSI-X table in a BAR of its own, beside registers, beside the PBA or not,
mapped in part, wholly and not; the root bus by ACPI and root ports; amd64 and arm64; guests that
had released it and machines without a guest. Then the server has to survive QEMU, no more.

$PEAL_VFU_PLAIN is the program vfu-plain.
"""

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import tempfile
import threading

from guest import HERE, PATIENCE, booted, kernels, make_image, qmp, served, sha256, vfio_user
from peal import MIB, case, environment, main

ASSERTION = "memory_region_del_subregion: Assertion `subregion->container == mr' failed"
FAILS = "11.1."  # the versions that were seen to fail so

# ---- a server ---------------------------------------------------------------------------------

class Plain:
    """vfu-plain; what it prints comes from `line`."""

    def __init__(self, scratch, *args):
        self.path = os.path.join(tempfile.mkdtemp(dir=scratch), "s")
        self.process = subprocess.Popen([os.environ["PEAL_VFU_PLAIN"], self.path, *args],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        env=environment())
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        assert self.line() == "ready"

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.decode().strip())

    def line(self):
        return self.lines.get(timeout=PATIENCE)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()


@contextlib.contextmanager
def plain(scratch, *args):
    server = Plain(scratch, *args)
    try:
        yield server
    finally:
        server.kill()


# ---- in a guest -------------------------------------------------------------------------------

# Tells when the plain device comes and goes; ends when there is a disk.
GUEST = """
before=
while [ ! -e /dev/vda ]; do
	here=
	for function in /sys/bus/pci/devices/*; do
		[ "$(cat $function/device)" != 0x9a1b ] || here=$function
	done
	if [ -n "$here" ] && [ -z "$before" ]; then
		echo 1 >$here/enable
		address=$(head -n1 $here/resource | cut -d' ' -f1)
		devmem $address 32 1
		say there $(devmem $address 32)
	elif [ -z "$here" ] && [ -n "$before" ]; then
		say gone
	fi
	before=$here
	sleep 0.1
done
say disk $(sum /dev/vda)
say vectors $(grep -c 'MSIX.*-req' /proc/interrupts)
"""


# Reads and writes the disk in each of its lives.
DISK_GUEST = """
for life in 1 2 3; do
	while [ ! -b /dev/vda ]; do sleep 0.1; done
	say disk $(sum /dev/vda)
	echo life $life | dd of=/dev/vda bs=512 seek=$life conv=sync,fsync 2>/dev/null
	say written $(grep -c 'MSIX.*-req' /proc/interrupts)
	[ $life = 3 ] || while [ -e /dev/vda ]; do sleep 0.1; done
	say left
done
"""


def plugged(server, name, port):
    """The arguments of device_add."""
    return json.loads(vfio_user(server.path, id=name, bus=port)[1])


@case
def without_msix_a_device_comes_and_goes_in_a_guest(scratch):
    """And a disk, which has MSI-X, comes."""
    ports = ["-device", "pcie-root-port,id=one,chassis=1,slot=1",
             "-device", "pcie-root-port,id=two,chassis=1,slot=2"]
    image = make_image(scratch, MIB)
    with plain(scratch) as server, served(scratch, "blk", "--disk", image) as disk:
        descriptors = server.descriptors()
        with booted(scratch, "amd64", GUEST, ports + vfio_user(server.path, id="d0", bus="one")
                    ) as guest, guest.qmp() as command:
            for life in range(1, 3):
                assert guest.line("there") == f"0x{life:08X}"
                command("device_del", id=f"d{life - 1}")
                command.event("DEVICE_DELETED", device=f"d{life - 1}")
                guest.line("gone")
                assert server.line() == f"left {life} 0 0"
                assert server.descriptors() == descriptors
                command("device_add", **plugged(server, f"d{life}", "one"))
            assert guest.line("there") == "0x00000003"
            command("device_add", **plugged(disk, "disk", "two"))
            assert guest.line("disk") == sha256(image)
            assert guest.line("vectors") == "1"
            guest.end()
        assert server.line() == "left 3 0 0"
        assert disk.stop()["errors"] == 0


@case
def a_disk_without_msix_comes_and_goes_in_a_guest(scratch):
    port = ["-device", "pcie-root-port,id=one,chassis=1,slot=1"]
    image = make_image(scratch, MIB)
    before = sha256(image)  # while the guest has no disk to write to
    with served(scratch, "blk", "--no-msix", "--disk", image) as disk:
        descriptors = disk.descriptors()
        with booted(scratch, "amd64", DISK_GUEST, port + vfio_user(disk.path, id="d1", bus="one")
                    ) as guest, guest.qmp() as command:
            for life in range(1, 4):
                assert guest.line("disk") == before
                assert guest.line("written") == "0"  # no interrupt of MSI-X
                with open(image, "rb") as file:
                    file.seek(512 * life)
                    assert file.read(512).rstrip(b"\0") == b"life %d\n" % life
                if life < 3:
                    command("device_del", id=f"d{life}")
                    command.event("DEVICE_DELETED", device=f"d{life}")
                    guest.line("left")
                    assert disk.idle_statistics()["dma_maps"] == 0
                    assert disk.comes_back_to(descriptors)
                    before = sha256(image)
                    command("device_add", **plugged(disk, f"d{life + 1}", "one"))
            guest.line("left")
            guest.end()
        statistics = disk.stop()
        assert statistics["clients"] == 3 and statistics["errors"] == 0, statistics
        assert {row["index"] for row in statistics["interrupts"]} == {"intx"}, statistics


# ---- without a guest --------------------------------------------------------------------------

class Machine:
    """QEMU's `pc` with a device in slot 4, driven by qtest; no guest runs."""

    def __init__(self, scratch, server):
        directory = tempfile.mkdtemp(dir=scratch)
        self.qmp_path = os.path.join(directory, "qmp.sock")
        path = os.path.join(directory, "qtest.sock")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.settimeout(PATIENCE)
            listener.bind(path)
            listener.listen(1)
            self.process = subprocess.Popen(
                [os.path.join(HERE, "qemu"), "x86_64", "-M", "pc,memory-backend=mem0", "-m", "64M",
                 "-object", "memory-backend-memfd,id=mem0,size=64M,share=on", "-nodefaults",
                 "-display", "none", "-accel", "qtest", "-qtest", f"unix:{path}",
                 "-qtest-log", "none", "-qmp", f"unix:{self.qmp_path},server=on,wait=off",
                 *vfio_user(server.path, id="d0", addr="4")],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env=environment())
            self.socket, _ = listener.accept()
        self.socket.settimeout(PATIENCE)
        self.stream = self.socket.makefile("rwb", buffering=0)

    def __call__(self, text):
        self.stream.write(text.encode() + b"\n")
        line = b"IRQ"
        while line.startswith(b"IRQ"):
            line = self.stream.readline()
        return line.decode().split()

    def identity(self):
        """Vendor and device in slot 4."""
        self("outl 0xcf8 0x80002000")
        return int(self("inl 0xcfc")[1], 16)

    def eject(self):
        """What a guest does, ACPI PCI hotplug: the bus, then the slot."""
        self("outl 0xae10 0")
        return self("outl 0xae08 0x10")

    def kill(self):
        self.process.kill()
        self.process.communicate()
        self.stream.close()
        self.socket.close()


@contextlib.contextmanager
def machine(scratch, server):
    running = Machine(scratch, server)
    try:
        yield running
    finally:
        running.kill()


def unplug(scratch, server):
    """Plugs and unplugs a device twice; None, or the version of the QEMU that failed."""
    with machine(scratch, server) as running, \
            qmp(running.qmp_path, running.process, []) as command:
        version = command("query-version")["qemu"]
        version = f"{version['major']}.{version['minor']}.{version['micro']}"
        for life in range(2):
            identity = running.identity()
            assert identity & 0xffff in (0x1234, 0x1af4), hex(identity)
            command("device_del", id=f"d{life}")
            running.eject()
            try:
                command.event("DEVICE_DELETED", device=f"d{life}")
            except ConnectionResetError:
                out, _ = running.process.communicate(timeout=PATIENCE)
                assert running.process.returncode == -signal.SIGABRT, running.process.returncode
                assert ASSERTION in out.decode(), out.decode()
                return version
            assert running.identity() == 0xffffffff
            arguments = json.loads(vfio_user(server.path, id=f"d{life + 1}", addr="4")[1])
            command("device_add", **arguments)
    return None


@case
def without_msix_a_device_is_unplugged(scratch):
    kernels()
    with plain(scratch) as server:
        assert unplug(scratch, server) is None
        assert [server.line() for _ in range(3)] == [f"left {n} 0 0" for n in (1, 2, 3)]


def has_to_be_known(what, version):
    if version:
        print(f"# {what}: QEMU {version} fails an assertion")
        assert version.startswith(FAILS), version
    else:
        print(f"# {what}: this QEMU unplugs it")


@case
def with_msix_qemu_fails_and_the_server_lives(scratch):
    kernels()
    with plain(scratch, "msix") as server:
        descriptors = server.descriptors()
        for life in range(1, 3):
            version = unplug(scratch, server)
            has_to_be_known("plain", version)
            lives = [server.line() for _ in range(1 if version else 3)]
            assert lives[-1].endswith(" 0 0"), lives
            if version:
                assert lives == [f"left {life} 0 0"]
            assert server.descriptors() == descriptors


@case
def served_models_without_msix_are_unplugged(scratch):
    kernels()
    for model in "blk", "rng":
        with served(scratch, model, "--no-msix") as server:
            assert unplug(scratch, server) is None
            assert server.stop()["clients"] == 3


@case
def served_models_live_too(scratch):
    kernels()
    for model in "hello", "blk", "rng", "bell":
        with served(scratch, model) as server:
            descriptors = server.descriptors()
            has_to_be_known(model, unplug(scratch, server))
            assert server.idle_statistics()["dma_maps"] == 0
            assert server.comes_back_to(descriptors)
            with machine(scratch, server) as running:
                assert running.identity() != 0xffffffff
            statistics = server.stop()
            assert statistics["clients"] >= 2 and statistics["errors"] == 0, statistics


main()
