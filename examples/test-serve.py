#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""serve-hello and drive-hello, one against the other. Arguments: the two programs."""

import os
import subprocess
import sys
import tempfile

SERVE, DRIVE = sys.argv[1:]
PATIENCE = 60  # seconds; against hangs only
SAID = "device 1234:e110\n" + "".join(f"ring {n}: 1 interrupt\n" for n in range(1, 4))


def drive(path):
    return subprocess.run([DRIVE, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=PATIENCE, check=False)


def main():
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "hello.sock")
        without = drive(path)
        assert without.returncode == 1 and b"No such file" in without.stderr, without
        server = subprocess.Popen([SERVE, path], stdout=subprocess.PIPE)
        try:
            assert server.stdout.readline() == b"ready\n"
            first, second = drive(path), drive(path)
            server.terminate()
            assert server.wait(PATIENCE) == 0
            assert not os.path.exists(path)
        finally:
            server.kill()
            server.communicate()
    assert first.returncode == 0 and first.stdout.decode() == SAID, first
    # The device keeps its state when its user leaves.
    assert second.returncode == 0 and b"ring 4: 1 interrupt" in second.stdout, second
    print("1..1\nok 1 - a device is served and driven")


main()
