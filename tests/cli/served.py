# SPDX-License-Identifier: BSD-2-Clause
"""A running `peal serve`, and as much of a vfio-user client as tests need. Bytes on the socket are
those of the vfio-user specification."""

import contextlib
import functools
import json
import os
import signal
import socket
import struct
import subprocess

from peal import PATIENCE, PEAL, environment, peal

VERSION, GET_INFO, SET_IRQS, REGION_READ, REGION_WRITE = 1, 4, 8, 9, 10


@functools.lru_cache(None)
def has_sandbox():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.close()
        done = peal("serve", "hello", f"--fd={theirs.fileno()}", pass_fds=[theirs.fileno()])
    assert done.code == 0 or "libseccomp" in done.err, done
    return done.code == 0


class Server:
    """A running `peal serve ARGS --json`; its events are read in their order."""

    def __init__(self, *args, json_events=True, **more):
        more_args = (["--json"] if json_events else []) + \
                    ([] if has_sandbox() else ["--no-sandbox"])
        self.process = subprocess.Popen(
            [PEAL, "serve", *args, *more_args],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment(), **more)

    def line(self):
        return self.process.stdout.readline().decode()

    def event(self, name):
        event = json.loads(self.line())
        assert event["event"] == name, event
        return event

    def statistics(self):
        self.process.send_signal(signal.SIGUSR1)
        return self.event("statistics")

    def end(self, how=signal.SIGTERM):
        """Ends it by a signal (or waits, when HOW is None); exit code, statistics, stderr."""
        if how is not None:
            self.process.send_signal(how)
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out.decode(), err.decode()


@contextlib.contextmanager
def serving(*args, **more):
    server = Server(*args, **more)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
        server.process.communicate()


class Client:
    """As much of a vfio-user client as these tests need."""

    def __init__(self, where):
        if isinstance(where, socket.socket):
            self.socket = where
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(where)
        self.socket.settimeout(PATIENCE)
        self.id = 0
        version = self.request(VERSION, struct.pack("<HH", 0, 0) +
                               b'{"capabilities":{"max_msg_fds":8}}\0')
        assert struct.unpack_from("<H", version)[0] == 0

    def receive(self, size):
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            assert piece, "the server closed the connection"
            data += piece
        return data

    def request(self, command, payload, fds=()):
        self.id += 1
        header = struct.pack("<HHIII", self.id, command, 16 + len(payload), 0, 0)
        if fds:
            socket.send_fds(self.socket, [header + payload], list(fds))
        else:
            self.socket.sendall(header + payload)
        id_, echoed, size, flags, error = struct.unpack("<HHIII", self.receive(16))
        assert (id_, echoed) == (self.id, command)
        assert flags & 0x20 == 0, os.strerror(error)
        return self.receive(size - 16)

    def read(self, region, offset, size):
        answer = self.request(REGION_READ, struct.pack("<QII", offset, region, size))
        return int.from_bytes(answer[16:], "little")

    def write(self, region, offset, size, value):
        self.request(REGION_WRITE, struct.pack("<QII", offset, region, size) +
                     value.to_bytes(size, "little"))

    def set_irqs(self, index, flags, start, count, fds=()):
        self.request(SET_IRQS, struct.pack("<IIIII", 20, flags, index, start, count), fds)

    def close(self):
        self.socket.close()


def path_of(scratch):
    return os.path.join(scratch, "device.sock")
