#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""peal serve: its sockets, what it prints, its signals, and mistakes. Bytes on the socket are those
of the vfio-user specification; what real clients do with it is tests/guest's matter."""

import contextlib
import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import time

from peal import (MIB, PATIENCE, PEAL, Skip, as_nobody, case, complains, copy_for_others,
                  environment, main, peal)
from served import Client, has_sandbox, path_of, serving

# ---- life ------------------------------------------------------------------------------------

@case
def it_says_when_it_is_ready_and_removes_its_socket(scratch):
    path = path_of(scratch)
    with serving("rng", "--socket-path=" + path) as server:
        assert server.event("ready") == {"event": "ready", "model": "rng", "socket": path,
                                         "pid": server.process.pid}
        assert stat.S_ISSOCK(os.stat(path).st_mode)
        code, out, err = server.end()
        assert (code, err) == (0, ""), (code, err)
        assert json.loads(out)["clients"] == 0
        assert not os.path.exists(path)


@case
def text_is_one_line_when_ready_and_a_table_at_the_end(scratch):
    path = path_of(scratch)
    with serving("bell", "--socket-path", path, json_events=False) as server:
        assert server.line() == f"bell is ready at {path}\n"
        code, out, err = server.end(signal.SIGINT)
        assert (code, err) == (0, "")
        assert out.startswith("statistics of bell\n") and "clients" in out and "rings" in out


@case
def one_client_after_the_other_finds_the_device_as_it_was(scratch):
    path = path_of(scratch)
    with serving("bell", "--vectors", "5", "--socket-path", path) as server:
        server.event("ready")
        for turn in range(3):
            client = Client(path)
            assert client.read(7, 0, 4) == 0xbe111234
            assert client.read(0, 4, 4) == 5
            assert client.read(0, 0x10, 4) == turn
            client.write(0, 0x10, 4, turn + 1)
            client.close()
        code, out, _ = server.end()
        assert code == 0 and json.loads(out)["clients"] == 3, out


@case
def rings_reach_the_eventfds_of_their_vectors(scratch):
    path = path_of(scratch)
    with serving("bell", "--vectors=16", "--socket-path", path) as server:
        server.event("ready")
        client = Client(path)
        client.write(7, 4, 2, 0x0006)
        fds = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(4)]
        client.set_irqs(2, 0x24, 0, 4, fds)
        for vector in (0, 3, 3, 3):
            client.write(0, 0x2000 + 4 * vector, 4, 1)
        assert os.eventfd_read(fds[0]) == 1
        assert os.eventfd_read(fds[3]) == 3
        for fd in fds[1:3]:
            try:
                assert os.eventfd_read(fd) == 0
            except BlockingIOError:
                pass
        statistics = server.statistics()
        assert statistics["device"] == {"rings": 4}
        assert statistics["interrupts"] == [
            {"index": "msix", "vector": 0, "signalled": 1, "missed": 0},
            {"index": "msix", "vector": 3, "signalled": 3, "missed": 0}]
        client.close()
        assert server.end()[0] == 0


@case
def a_connected_descriptor_is_served_until_the_client_leaves(scratch):
    ours, theirs = socket.socketpair()
    with serving("hello", f"--fd={theirs.fileno()}", pass_fds=[theirs.fileno()]) as server:
        theirs.close()
        server.event("ready")
        client = Client(ours)
        assert client.read(7, 0, 2) == 0x1234
        client.close()
        code, out, err = server.end(None)
        assert (code, err) == (0, ""), err
        assert json.loads(out)["clients"] == 1


@case
def a_listening_descriptor_is_served_until_a_signal(scratch):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path_of(scratch))
    listener.listen()
    with serving("hello", f"--fd={listener.fileno()}", pass_fds=[listener.fileno()]) as server:
        server.event("ready")
        for _ in range(2):
            Client(path_of(scratch)).close()
        code, out, _ = server.end()
        assert code == 0 and json.loads(out)["clients"] == 2
    # The file is not the server's.
    assert os.path.exists(path_of(scratch))


@case
def the_socket_of_systemd_is_taken_when_no_other_is_given(scratch):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path_of(scratch))
    listener.listen()
    # As systemd starts it: descriptor 3, and a process that knows it is meant.
    script = 'exec 3<&$FD; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$PEAL" serve rng --json "$@"'
    options = [] if has_sandbox() else ["--no-sandbox"]
    process = subprocess.Popen(["sh", "-c", script, "sh", *options], stdout=subprocess.PIPE,
                               env=environment(FD=str(listener.fileno()), PEAL=PEAL),
                               pass_fds=[listener.fileno()])
    try:
        assert json.loads(process.stdout.readline())["socket"] == "descriptor 3"
        Client(path_of(scratch)).close()
        process.terminate()
        out, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0 and json.loads(out)["clients"] == 1
    finally:
        process.kill()
        process.communicate()


@case
def a_killed_servers_socket_is_replaced_a_living_ones_is_not(scratch):
    path = path_of(scratch)
    with serving("rng", "--socket-path", path) as server:
        server.event("ready")
        complains(peal("serve", "rng", "--socket-path", path), 1, path, "listens")
        Client(path).close()
        server.process.kill()
        server.process.wait(timeout=PATIENCE)
    assert os.path.exists(path)
    with serving("rng", "--socket-path", path) as server:
        server.event("ready")
        Client(path).close()
        assert server.end()[0] == 0


@case
def an_image_can_be_served_read_only_and_by_many_queues(scratch):
    path, image = path_of(scratch), os.path.join(scratch, "disk")
    with open(image, "wb") as file:
        file.truncate(MIB)
    os.chmod(image, 0o444)
    with serving("blk", "--disk", image, "--read-only", "--queues=4",
                 "--socket-path", path) as server:
        server.event("ready")
        client = Client(path)
        assert client.read(4, 0x2000, 8) == MIB // 512
        assert client.read(4, 0x2000 + 34, 2) == 4
        client.write(4, 0, 4, 0)
        assert client.read(4, 4, 4) & 1 << 5, "VIRTIO_BLK_F_RO"
        client.close()
        assert server.end()[0] == 0


@case
def the_sandbox_is_on_unless_it_is_turned_off(scratch):
    if not has_sandbox():
        raise Skip("built without libseccomp")
    path = path_of(scratch)
    for options, mode in (((), 2), (("--no-sandbox",), 0)):
        with serving("rng", "--socket-path", path, *options) as server:
            server.event("ready")
            with open(f"/proc/{server.process.pid}/status", encoding="ascii") as file:
                modes = [int(line.split()[1]) for line in file if line.startswith("Seccomp:")]
            assert modes == [mode], modes
            Client(path).close()
            assert server.end()[0] == 0


@case
def a_client_that_talks_nonsense_is_shown_out_and_the_next_is_served(scratch):
    path = path_of(scratch)
    with serving("bell", "--socket-path", path) as server:
        server.event("ready")
        for garbage in (b"GET / HTTP/1.1\r\n\r\n" * 4, b"\0" * 64, b"\xff" * 4096, b"x"):
            with socket.socket(socket.AF_UNIX) as rude:
                rude.settimeout(PATIENCE)
                rude.connect(path)
                with contextlib.suppress(OSError):
                    rude.sendall(garbage)
                    rude.shutdown(socket.SHUT_WR)
                    while rude.recv(4096):
                        pass
        client = Client(path)
        assert client.read(0, 0, 4) == 0x4c4c4542
        client.close()
        assert server.end()[0] == 0


# ---- polling ---------------------------------------------------------------------------------

def cpu_seconds(process):
    """That all threads of a process have used."""
    total = 0
    for thread in os.listdir(f"/proc/{process.pid}/task"):
        try:
            with open(f"/proc/{process.pid}/task/{thread}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
        except FileNotFoundError as missing:
            raise Skip("no CPU times of threads (schedstat)") from missing
    return total / 1e9


def sleeps(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
        return sum(int(line.split()[1]) for line in file
                   if line.startswith("voluntary_ctxt_switches"))


def share_of_cpu(process, seconds, work):
    """WORK again and again for so long: how much of the time the process ran."""
    before, began = cpu_seconds(process), time.monotonic()
    while time.monotonic() - began < seconds:
        work()
    return (cpu_seconds(process) - before) / (time.monotonic() - began)


@case
def a_polling_server_sleeps_when_its_client_is_idle(scratch):
    path = path_of(scratch)
    with serving("bell", "--poll", "--socket-path", path) as server:
        server.event("ready")
        alone = share_of_cpu(server.process, 0.2, lambda: time.sleep(0.05))
        client = Client(path)
        busy = share_of_cpu(server.process, 0.5, lambda: client.read(0, 0, 4))
        time.sleep(0.05)
        idle = share_of_cpu(server.process, 0.5, lambda: time.sleep(0.05))
        print(f"# CPU of the server: {alone:.1%} alone, {busy:.1%} busy, {idle:.1%} idle")
        assert busy > 0.02, busy
        assert idle < busy / 10 and alone < busy / 10, (alone, busy, idle)
        # And it is still there.
        assert client.read(0, 0, 4) == 0x4c4c4542
        client.close()
        assert server.end()[0] == 0


@case
def a_polling_server_does_not_sleep_between_requests(scratch):
    path = path_of(scratch)
    count = {}
    for options in ((), ("--poll",)):
        with serving("bell", "--socket-path", path, *options) as server:
            server.event("ready")
            client = Client(path)
            tries = []
            # Others may take the CPU from the client for longer than the server looks.
            for _ in range(10):
                before = sleeps(server.process)
                for _ in range(300):
                    client.read(0, 0, 4)
                tries.append(sleeps(server.process) - before)
            count[options] = min(tries)
            client.close()
            assert server.end()[0] == 0
    print(f"# sleeps during 300 requests: {count[()]}, polling {count[('--poll',)]}")
    assert count[("--poll",)] < count[()] / 2, count


# ---- mistakes --------------------------------------------------------------------------------

@case
def mistakes_are_named(scratch):
    missing = os.path.join(scratch, "missing", "a.sock")
    somewhere = "--socket-path=" + path_of(scratch)
    complains(peal("serve"), 2, "which device", "blk", "bell")
    complains(peal("serve", "toaster", somewhere), 2, "toaster", "blk")
    complains(peal("serve", "rng"), 2, "--socket-path", "--fd", "systemd")
    complains(peal("serve", "rng", somewhere, "--fd=5"), 2, "--socket-path", "--fd")
    complains(peal("serve", "rng", somewhere, "--disk=x"), 2, "--disk", "rng")
    complains(peal("serve", "rng", somewhere, "--read-only"), 2, "--read-only", "rng")
    complains(peal("serve", "bell", somewhere, "--queues=2"), 2, "--queues", "bell")
    complains(peal("serve", "bell", somewhere, "--no-msix"), 2, "--no-msix", "bell")
    complains(peal("serve", "blk", somewhere, "--vectors=2"), 2, "--vectors", "blk")
    complains(peal("serve", "bell", somewhere, "--vectors=0"), 2, "--vectors")
    complains(peal("serve", "bell", somewhere, "--vectors=2049"), 2, "--vectors")
    complains(peal("serve", "blk", somewhere, "--queues=x"), 2, "--queues")
    complains(peal("serve", "blk", "rng", somewhere), 2, "rng")
    complains(peal("serve", "blk", somewhere, "--disk=" + scratch), 1, scratch)
    complains(peal("serve", "blk", somewhere, "--disk=/missing/disk"), 1, "/missing/disk")
    complains(peal("serve", "rng", "--socket-path=" + missing), 1, missing)
    complains(peal("serve", "rng", "--socket-path=" + "x" * 200), 1, "x" * 200)
    complains(peal("serve", "rng", "--fd=999"), 1, "999")
    with open(os.devnull, "rb") as null:
        complains(peal("serve", "rng", f"--fd={null.fileno()}", pass_fds=[null.fileno()]), 1,
                  str(null.fileno()))
    assert not os.path.exists(path_of(scratch))


@case
def a_file_that_is_no_socket_is_left_alone(scratch):
    path = path_of(scratch)
    with open(path, "w", encoding="ascii") as file:
        file.write("mine")
    complains(peal("serve", "rng", "--socket-path", path), 1, path, "no socket")
    complains(peal("serve", "rng", "--socket-path", scratch), 1, scratch, "no socket")
    with open(path, encoding="ascii") as file:
        assert file.read() == "mine"


@case
def descriptors_that_are_no_sockets_are_told(scratch):
    complains(peal("serve", "rng", "--fd=999"), 1, "descriptor 999", "not open")
    complains(peal("serve", "rng", "--fd=0"), 1, "descriptor 0", "not a socket")
    complains(peal("serve", "rng", "--fd=-1"), 2, "--fd -1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        fd = datagrams.fileno()
        complains(peal("serve", "rng", f"--fd={fd}", pass_fds=[fd]), 1, str(fd), "stream")
    # A closed standard stream does not become the server's socket.
    for closed in ("<&-", ">&-", "2>&-"):
        subprocess.run(["sh", "-c", f'exec "$0" serve rng --fd=0 {closed}', PEAL], check=False,
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=PATIENCE, env=environment())
    assert os.listdir(scratch) == []


@case
def sockets_of_systemd_that_cannot_be_used_are_told(scratch):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path_of(scratch))
    listener.listen()
    for redirect, variables, code, words in (
            ("3<&$FD", "LISTEN_FDS=2 LISTEN_PID=$$", 2, ["2 sockets", "LISTEN_FDS"]),
            ("3<&$FD", "LISTEN_FDS=0 LISTEN_PID=$$", 2, ["where?"]),
            ("3<&$FD", "LISTEN_FDS=x LISTEN_PID=$$", 2, ["where?"]),
            ("3<&$FD", "LISTEN_FDS=1 LISTEN_PID=1", 2, ["where?"]),
            ("3<&$FD", "LISTEN_FDS=1", 2, ["where?"]),
            ("3<&-", "LISTEN_FDS=1 LISTEN_PID=$$", 1, ["descriptor 3", "not open"]),
            ("3</dev/null", "LISTEN_FDS=1 LISTEN_PID=$$", 1, ["descriptor 3", "not a socket"])):
        script = f'exec {redirect}; export {variables}; exec "$PEAL" serve rng'
        done = subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False,
                              timeout=PATIENCE, pass_fds=[listener.fileno()],
                              env=environment(FD=str(listener.fileno()), PEAL=PEAL))
        assert done.returncode == code and done.stdout == b"", (variables, done)
        for word in words:
            assert word in done.stderr.decode(), (variables, done)


@case
def of_servers_that_find_a_dead_socket_one_gets_it(scratch):
    path = path_of(scratch)
    for _ in range(10):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(path)
        with contextlib.ExitStack() as stack:
            servers = [stack.enter_context(serving("rng", "--socket-path", path))
                       for _ in range(4)]
            lines = [server.line() for server in servers]
            winners = [server for server, line in zip(servers, lines) if "ready" in line]
            assert len(winners) == 1, lines
            Client(path).close()
            assert winners[0].end()[0] == 0
        assert not os.path.exists(path)


@case
def a_socket_of_another_server_is_not_removed(scratch):
    path = path_of(scratch)
    with serving("rng", "--socket-path", path) as first:
        first.event("ready")
        os.unlink(path)
        with serving("bell", "--socket-path", path) as second:
            second.event("ready")
            assert first.end()[0] == 0
            client = Client(path)
            assert client.read(0, 0, 4) == 0x4c4c4542
            client.close()
            assert second.end()[0] == 0
        assert not os.path.exists(path)


@case
def a_directory_that_is_locked_for_good_does_not_stop_it(scratch):
    directory = os.open(scratch, os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)
    with serving("rng", "--socket-path", path_of(scratch)) as server:
        server.event("ready")
        assert server.end()[0] == 0
    os.close(directory)


@case
def names_that_are_no_utf8_are_printed(scratch):
    path = os.fsencode(scratch) + b"/\xff\xfe.sock"
    with serving("rng", "--socket-path", path) as server:
        assert server.event("ready")["socket"] == scratch + "/??.sock"
        client = socket.socket(socket.AF_UNIX)
        client.connect(path)
        Client(client).close()
        assert server.end()[0] == 0
    complains(peal("serve", "rng", "--socket-path", "x" * 108), 1, "File name too long")
    # The longest that there is.
    long = os.path.join(scratch, "y" * (107 - len(scratch) - 1))
    with serving("rng", "--socket-path", long) as server:
        server.event("ready")
        Client(long).close()
        assert server.end()[0] == 0


@case
def places_that_cannot_be_written_are_told(scratch):
    prefix, binary = as_nobody(), copy_for_others(scratch)
    image = os.path.join(scratch, "disk")
    with open(image, "wb") as file:
        file.truncate(MIB)
    complains(peal("serve", "rng", "--socket-path", path_of(scratch), prefix=prefix,
                   binary=binary), 1, path_of(scratch), "Permission denied")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.close()
        args = ("serve", "blk", "--disk", image, f"--fd={theirs.fileno()}",
                *([] if has_sandbox() else ["--no-sandbox"]))
        more = {"prefix": prefix, "binary": binary, "pass_fds": [theirs.fileno()]}
        complains(peal(*args, **more), 1, image, "permission denied", "--read-only")
        result = peal(*args, "--read-only", **more)
        assert result.code == 0 and result.err == "", result


@case
def an_image_has_one_writer_or_any_number_of_readers(scratch):
    image = os.path.join(scratch, "disk")
    with open(image, "wb") as file:
        file.truncate(MIB)

    def blk(name, *options):
        path = os.path.join(scratch, name)
        return ["blk", "--disk", image, "--socket-path", path, *options]

    with serving(*blk("a")) as server:
        server.event("ready")
        for options in ((), ("--read-only",)):
            complains(peal("serve", *blk("b", *options)), 1, image, "somebody else uses it")
        assert server.end()[0] == 0
    with serving(*blk("a", "--read-only")) as first, \
            serving(*blk("b", "--read-only")) as second:
        first.event("ready")
        second.event("ready")
        complains(peal("serve", *blk("c")), 1, image, "somebody else uses it")
        assert first.end()[0] == 0 and second.end()[0] == 0
    with serving(*blk("a")) as server:
        server.event("ready")
        # It goes with its process, however that ends.
        server.process.kill()
        server.process.wait(timeout=PATIENCE)
    with serving(*blk("a")) as server:
        server.event("ready")
        assert server.end()[0] == 0


# ---- output ----------------------------------------------------------------------------------

def started(path, redirect, *options):
    """A server with a redirection of the shell."""
    sandbox = [] if has_sandbox() else ["--no-sandbox"]
    return subprocess.Popen(
        ["sh", "-c", f'exec "$0" "$@" {redirect}', PEAL, "serve", "bell", "--socket-path", path,
         *sandbox, *options], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
        stdout=subprocess.PIPE, env=environment())


def wait_for_server(path):
    """It tells nobody when it is ready."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return Client(path)
        except (FileNotFoundError, ConnectionRefusedError):
            assert time.monotonic() < deadline
            time.sleep(0.01)


@case
def a_reader_who_leaves_after_the_first_line_is_no_failure(scratch):
    for options in ((), ("--json",)):
        path = path_of(scratch)
        process = started(path, "", *options)
        assert b"ready" in process.stdout.readline()
        process.stdout.close()
        client = Client(path)
        process.send_signal(signal.SIGUSR1)
        client.write(0, 0xc, 4, 1)
        assert client.read(0, 0x30, 8) == 1
        client.close()
        process.terminate()
        assert process.wait(timeout=PATIENCE) == 0, process.stderr.read()
        assert process.stderr.read() == b""
        process.stderr.close()
        assert not os.path.exists(path)


@case
def output_that_is_lost_is_told_at_the_end(scratch):
    for redirect in (">&-", ">/dev/full"):
        path = path_of(scratch)
        process = started(path, redirect)
        client = wait_for_server(path)
        assert client.read(0, 0, 4) == 0x4c4c4542
        client.close()
        process.terminate()
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1 and out == b"", (redirect, process.returncode)
        assert err.startswith(b"peal: cannot write the output"), (redirect, err)
        assert not os.path.exists(path)
    # Nobody hears about mistakes; they still count.
    done = subprocess.run(["sh", "-c", 'exec "$0" serve rng --fd=99 2>&-', PEAL], check=False,
                          stdin=subprocess.DEVNULL, timeout=PATIENCE, env=environment())
    assert done.returncode == 1, done


@case
def a_reader_who_does_not_read_does_not_keep_it(scratch):
    path = path_of(scratch)
    process = started(path, "")
    assert b"ready" in process.stdout.readline()
    fd = os.open(f"/proc/self/fd/{process.stdout.fileno()}", os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(fd, b"x" * 4096)
    os.close(fd)
    process.send_signal(signal.SIGUSR1)
    process.terminate()
    assert process.wait(timeout=PATIENCE) == 1
    assert process.stderr.read() == b"peal serve: nobody reads the output\n"
    assert not process.stdout.read().strip(b"x")
    assert not os.path.exists(path)


main()
