# SPDX-License-Identifier: BSD-2-Clause
"""Linux guests under QEMU, with devices that `peal serve` serves: what the tests of them share.

A guest runs a shell script and tells of itself in lines `guest: WORD...` on its console. QEMU and
the kernels are those of ./get-qemu; without them a case is skipped.
"""

import contextlib
import functools
import hashlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, os.pardir, "cli"))

# pylint: disable=wrong-import-position
from peal import PEAL, Skip, environment  # noqa: E402
from served import has_sandbox  # noqa: E402

PATIENCE = 600  # seconds; against hangs only
RAM = 384

ARCHES = {
    "amd64": ("x86_64", "q35", [], "ttyS0"),
    "arm64": ("aarch64", "virt,gic-version=3,its=on", ["-cpu", "cortex-a72"], "ttyAMA0"),
}

PROLOGUE = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in $(cat /lib/modules/load.order); do insmod "$module"; done
say() { echo "guest: $*"; }
sum() { sha256sum "$@" | cut -d' ' -f1; }
"""


@functools.lru_cache(None)
def kernels():
    """The directory of ./get-qemu."""
    done = subprocess.run([os.path.join(HERE, "get-qemu")], stdout=subprocess.PIPE, check=False)
    text = done.stdout.decode().strip()
    if done.returncode != 0:
        raise Skip(text.removeprefix("# skip: ") or "no QEMU")
    return text


def kernel(arch):
    boot = os.path.join(kernels(), "kernel", arch, "boot")
    return os.path.join(boot, next(name for name in os.listdir(boot) if "vmlinuz" in name))


def initramfs(scratch, arch, script, modules, files=()):
    init = os.path.join(scratch, "init")
    with open(init, "w", encoding="ascii") as file:
        file.write(PROLOGUE + script + "\npoweroff -f\n")
    out = os.path.join(tempfile.mkdtemp(dir=scratch), "initramfs")
    done = subprocess.run([os.path.join(HERE, "make-initramfs"), arch, init, out, *files, "--",
                           *modules], stdout=subprocess.PIPE, check=False)
    if done.returncode == 77:
        raise Skip(done.stdout.decode().strip().removeprefix("# skip: "))
    assert done.returncode == 0, done.stdout.decode()
    return out


def vfio_user(path, **more):
    """The -device of a served one."""
    return ["-device", json.dumps(dict({"driver": "vfio-user-pci",
                                        "socket": {"type": "unix", "path": path}}, **more))]


class Guest:
    """A running QEMU. Its console's lines are in `log`; those that begin with `guest: ` come one
    by one from `line`."""

    def __init__(self, scratch, arch, script, devices, append="", modules=("virtio_blk",),
                 files=(), smp=2, machine="", extra=()):
        qemu, board, options, console = ARCHES[arch]
        image = initramfs(scratch, arch, script, modules, files)
        self.qmp_path = os.path.join(os.path.dirname(image), "qmp.sock")
        self.log = []
        self.lines = queue.Queue()
        self.process = subprocess.Popen([
            os.path.join(HERE, "qemu"), qemu, "-M", board + ",memory-backend=mem0" + machine,
            *options, "-accel", "tcg", "-m", f"{RAM}M", "-smp", str(smp),
            "-object", f"memory-backend-memfd,id=mem0,size={RAM}M,share=on",
            "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot",
            "-qmp", f"unix:{self.qmp_path},server=on,wait=off",
            "-kernel", kernel(arch), "-initrd", image,
            "-append", f"console={console} panic=-1 quiet {append}", *extra, *devices],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=environment())
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            text = line.decode(errors="replace").strip()
            self.log.append(text)
            if "guest: " in text:
                self.lines.put(text.split("guest: ", 1)[1])
        self.lines.put(None)

    def line(self, word):
        """What follows WORD in the next line, which begins with it."""
        try:
            line = self.lines.get(timeout=PATIENCE)
        except queue.Empty:
            line = "nothing"
        assert line is not None and line.split(" ")[0] == word, \
            "\n".join([f"expected {word}, got {line}"] + self.log)
        return line[len(word):].strip()

    def end(self):
        """It powers off by itself."""
        code = self.process.wait(timeout=PATIENCE)
        self.reader.join()
        assert code == 0, "\n".join([f"QEMU: exit {code}"] + self.log)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()

    def qmp(self):
        """A context in which it takes commands."""
        return qmp(self.qmp_path, self.process, self.log)


class Qmp:
    """QEMU's monitor."""

    def __init__(self, stream):
        self.stream = stream
        self.events = []
        assert "QMP" in self.receive()
        self("qmp_capabilities")

    def receive(self):
        line = self.stream.readline()
        if not line:
            raise ConnectionResetError("QEMU has ended")
        return json.loads(line)

    def __call__(self, command, **arguments):
        """Carries out a command."""
        request = {"execute": command, "arguments": arguments}
        self.stream.write((json.dumps(request) + "\n").encode())
        while True:
            answer = self.receive()
            if "event" not in answer:
                assert "return" in answer, answer
                return answer["return"]
            self.events.append(answer)

    def event(self, name, **data):
        """Waits for an event with (at least) this data."""
        while True:
            while self.events:
                event = self.events.pop(0)
                if event["event"] == name and data.items() <= event["data"].items():
                    return event["data"]
            answer = self.receive()
            assert "event" in answer, answer
            self.events.append(answer)


@contextlib.contextmanager
def qmp(path, process, log):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        while True:
            assert process.poll() is None, "\n".join(log)
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                client.connect(path)
                break
            time.sleep(0.02)
        with client.makefile("rwb", buffering=0) as stream:
            yield Qmp(stream)


@contextlib.contextmanager
def booted(*args, **more):
    guest = Guest(*args, **more)
    try:
        yield guest
    finally:
        guest.kill()


# ---- servers ---------------------------------------------------------------------------------

class Server:
    """`peal serve ARGS` at a socket of its own."""

    def __init__(self, scratch, *args):
        self.path = os.path.join(tempfile.mkdtemp(dir=scratch), "s")
        self.args = args
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [PEAL, "serve", *self.args, "--socket-path", self.path, "--json",
             *([] if has_sandbox() else ["--no-sandbox"])],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment())
        assert self.event()["event"] == "ready"

    def event(self):
        line = self.process.stdout.readline()
        assert line, "the server has ended"
        return json.loads(line)

    def statistics(self):
        self.process.send_signal(signal.SIGUSR1)
        return self.event()

    def idle_statistics(self):
        """When the client is gone and all it gave is released."""
        deadline = time.monotonic() + PATIENCE
        while True:
            statistics = self.statistics()
            if statistics["dma_maps"] == 0 or time.monotonic() > deadline:
                return statistics
            time.sleep(0.05)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def comes_back_to(self, descriptors):
        """They are what they were, soon after the client is gone."""
        deadline = time.monotonic() + PATIENCE
        while self.descriptors() != descriptors and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.descriptors() == descriptors

    def stop(self):
        """Cleanly; its last statistics."""
        self.process.terminate()
        out, _ = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0, self.process.returncode
        return json.loads(out)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


@contextlib.contextmanager
def served(scratch, *args):
    server = Server(scratch, *args)
    try:
        yield server
    finally:
        server.kill()


def make_image(scratch, size, name="disk"):
    """A file of random bytes."""
    path = os.path.join(scratch, name)
    with open(path, "wb") as file:
        file.write(os.urandom(size))
    return path


def sha256(path, size=-1):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read(size)).hexdigest()
