# SPDX-License-Identifier: BSD-2-Clause
"""A vfio-user server that is not ours, for tests of clients."""

import contextlib
import json
import os
import socket
import struct
import threading

from served import GET_INFO, REGION_READ, VERSION

GET_REGION_INFO, GET_IRQ_INFO = 5, 7


class Strange:
    """A server of a device with parts of regions that can be mapped, which takes accesses of four
    bytes at most, and which says more than is known today. ANSWERS: replies instead of its own, by
    command: bytes, an errno, or None for no answer. IRQS: the counts of indexes."""

    def __init__(self, path, pci=True, answers=None, irqs=None):
        self.irqs = irqs or {5: 9}
        self.flags = 3 if pci else 1
        self.answers = answers or {}
        self.file = os.memfd_create("region")
        os.ftruncate(self.file, 1 << 20)
        self.config = bytearray(256)
        struct.pack_into("<HHHHI", self.config, 0, 0x1234, 0x5678, 6, 0, 0x02000001)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        with contextlib.suppress(OSError, EOFError):
            while True:
                with self.listener.accept()[0] as client:
                    self.serve(client)

    def serve(self, client):
        with contextlib.suppress(EOFError), client.makefile("rb") as stream:
            while True:
                header = stream.read(16)
                if len(header) < 16:
                    return
                id_, command, size, _, _ = struct.unpack("<HHIII", header)
                answer, fds = self.answer(command, stream.read(size - 16))
                if command in self.answers:
                    answer = self.answers[command]
                if answer is None:
                    continue
                if isinstance(answer, int):
                    reply = struct.pack("<HHIII", id_, command, 16, 0x21, answer)
                else:
                    reply = struct.pack("<HHIII", id_, command, 16 + len(answer), 1, 0) + answer
                socket.send_fds(client, [reply], fds)

    def answer(self, command, payload):
        if command == VERSION:
            return struct.pack("<HH", 0, 1) + json.dumps(
                {"capabilities": {"max_msg_fds": 3, "pgsizes": 0x200000 | 4096,
                                  "future": {"x": 1}}}).encode() + b"\0", []
        if command == GET_INFO:
            return struct.pack("<IIII", 16, self.flags, 10, 6), []
        if command == GET_REGION_INFO:
            return self.region(*struct.unpack_from("<I4xI", payload))
        if command == GET_IRQ_INFO:
            index, = struct.unpack_from("<8xI", payload)
            return struct.pack("<IIII", 16, 1, index, self.irqs.get(index, 0)), []
        if command == REGION_READ:
            offset, region, count = struct.unpack("<QII", payload)
            if count > 4 or region != 7:
                return 22, []
            return payload + bytes(self.config[offset:offset + count]), []
        return 38, []

    def region(self, argsz, index):
        size = {0: 1 << 20, 7: 256, 9: 512}.get(index, 0)
        if index != 0:
            return struct.pack("<IIIIQQ", 32, 1, index, 0, size, 0), []
        areas = struct.pack("<HHIIIQQQQ", 1, 1, 0, 2, 0, 0x2000, 0x3000, 0x80000, 0x80000)
        info = struct.pack("<IIIIQQ", 32 + len(areas), 15, index, 32, size, 0)
        return (info + areas, [self.file]) if argsz >= 32 + len(areas) else (info, [])

    def close(self):
        # Whoever accepts wakes up.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()
        os.close(self.file)


@contextlib.contextmanager
def strange(path, **more):
    server = Strange(path, **more)
    try:
        yield server
    finally:
        server.close()
        os.unlink(path)
