#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`peal run` on good input: what it does to the file, what it counts, what it prints."""

import hashlib
import os
import pty
import random
import re
import select
import shutil
import subprocess
import time

from peal import (MIB, PATIENCE, PEAL, Skip, case, check_types, environment, good_run, is_slow,
                  main, peal)


def make_image(path, size, seed=1):
    """Bytes that nobody can guess; their SHA-256."""
    content = random.Random(seed).randbytes(size)
    with open(path, "wb") as file:
        file.write(content)
    return hashlib.sha256(content).hexdigest()


def hash_of(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def state_of(path):
    stat = os.stat(path)
    return hash_of(path), stat.st_size, stat.st_mtime_ns, stat.st_mode, stat.st_ino


def sizes(run, size, block):
    """It went once over SIZE bytes in blocks."""
    assert run["bytes"] == size, run
    assert run["requests"] == (size + block - 1) // block, run


@case
def default_run_prints_all_fields(scratch):
    run = good_run(tmpdir=scratch)
    check_types(run)
    assert run["irqchip"] == "its" and run["irq"] == "msix"
    assert run["transport"] == "modern" and run["path"] == "direct"
    assert run["vcpus"] == 2 and run["queues"] == 2
    sizes(run, 64 * MIB, 4096)
    assert re.fullmatch("[0-9a-f]{64}", run["sha256"])
    # The configuration does not change, both queues have work on a vCPU each.
    vectors = run["vectors"]
    assert vectors[0]["count"] == 0 and vectors[1]["count"] > 0 and vectors[2]["count"] > 0
    assert vectors[1]["vcpu"] != vectors[2]["vcpu"]
    assert os.listdir(scratch) == []


@case
def text_shows_the_path(scratch):
    result = peal("run", tmpdir=scratch)
    assert result.code == 0 and result.err == "", result
    count = {}
    for station in ("raised", "messages", "translated", "LPI pending", "acknowledged", "handled",
                    "lost"):
        found = re.findall(rf"\b{station} +(\d+)", result.out)
        assert len(found) == 1, (station, result)
        count[station] = int(found[0])
    merged_pba = int(re.search(r"(\d+) merged in the PBA", result.out).group(1))
    merged_lpi = int(re.search(r"set, (\d+) merged", result.out).group(1))
    assert count["raised"] == count["messages"] + merged_pba
    assert count["translated"] == count["messages"]
    assert count["LPI pending"] == count["translated"] - merged_lpi
    assert count["acknowledged"] == count["LPI pending"]
    assert count["handled"] == count["acknowledged"] > 0
    assert count["lost"] == 0
    guest, file = re.findall(r"(?:guest|file) +([0-9a-f]{64})$", result.out, re.M)
    assert guest == file
    assert re.search(r"^ok: ", result.out, re.M)
    assert "64.0 MiB read" in result.out and "requests/s" in result.out
    for share in ("p50", "p99", "max"):
        assert re.search(rf"{share} [\d.]+ us", result.out), share
    assert os.listdir(scratch) == []


@case
def reading_returns_what_is_in_the_file(scratch):
    image = f"{scratch}/disk.img"
    digest = make_image(image, 5 * MIB)
    before = state_of(image)
    for args in ((), ("--mode", "read"), ("--all",), ("--write",), ("--mode", "read", "--write")):
        run = good_run("--disk", image, *args)
        assert run["sha256"] == digest, args
        sizes(run, 5 * MIB, 4096)
        assert state_of(image) == before, args
    assert os.listdir(scratch) == ["disk.img"]


@case
def any_block_size_covers_any_image(scratch):
    image = f"{scratch}/disk.img"
    blocks = {"512": 512, "4096": 4096, "64K": 65536, "65536": 65536, "1M": MIB}
    # Multiples of all, of none but 512, smaller than a block, one block and a sector.
    for size in (2 * MIB, 3 * MIB + 7 * 512, 512, 65536 + 512):
        digest = make_image(image, size, size)
        for text, block in blocks.items():
            run = good_run("--disk", image, "--block-size", text)
            assert run["sha256"] == digest, (size, block)
            sizes(run, size, block)


@case
def any_number_of_vcpus_serves_any_number_of_queues(scratch):
    image = f"{scratch}/disk.img"
    digest = make_image(image, MIB // 2 if is_slow() else 3 * MIB + 512)
    for vcpus in (1, 2, 4, 8):
        for queues in (1, 2, 4):
            run = good_run("--disk", image, "--vcpus", str(vcpus), "--queues", str(queues))
            assert run["vcpus"] == vcpus and run["queues"] == queues
            assert run["sha256"] == digest, (vcpus, queues)
            # Queue q interrupts vCPU q - 1, around.
            assert [v["vcpu"] for v in run["vectors"][1:]] == [q % vcpus for q in range(queues)]
            assert all(v["count"] > 0 for v in run["vectors"][1:])


@case
def limits_of_the_machine_work(scratch):
    image = f"{scratch}/disk.img"
    digest = make_image(image, MIB)
    shapes = [
        ("--vcpus", "1", "--queues", "1", "--depth", "1"),
        ("--depth", "4096", "--block-size", "512"),
        ("--queues", "64", "--vcpus", "3", "--depth", "7"),
        ("--depth", "1", "--block-size", "1M"),
    ]
    if not is_slow():
        shapes += [("--vcpus", "512"), ("--queues", "256", "--vcpus", "5")]
    for shape in shapes:
        assert good_run("--disk", image, *shape)["sha256"] == digest, shape


@case
def writing_fills_the_file(scratch):
    image = f"{scratch}/disk.img"
    size = 2 * MIB + 5 * 512
    hashes = set()
    for seed, args in enumerate(((), ("--block-size", "512"), ("--block-size", "1M"),
                                 ("--vcpus", "1", "--queues", "3"))):
        before = make_image(image, size, seed)
        run = good_run("--disk", image, "--mode", "write", "--write", *args)
        assert run["sha256"] == hash_of(image) != before
        assert os.path.getsize(image) == size
        hashes.add(run["sha256"])
    # The pattern depends on the place alone, so a block that went astray would be seen.
    assert len(hashes) == 1
    with open(image, "rb") as file:
        content = file.read()
    sectors = {content[at:at + 512] for at in range(0, size, 512)}
    assert len(sectors) == size // 512
    # And the guest reads what it wrote.
    assert good_run("--disk", image)["sha256"] in hashes


@case
def verifying_reads_back_what_was_written(scratch):
    image = f"{scratch}/disk.img"
    size = MIB + 512
    make_image(image, size)
    run = good_run("--disk", image, "--mode", "verify", "--write")
    assert run["sha256"] == hash_of(image)
    assert run["bytes"] == 2 * size and os.path.getsize(image) == size
    # Twice over the disk, and a flush between.
    assert run["requests"] == 2 * ((size + 4095) // 4096) + 1
    # Without a file it has its own, and may write to that.
    for mode in ("verify", "write"):
        good_run("--mode", mode, tmpdir=scratch)
    assert os.listdir(scratch) == ["disk.img"]


@case
def seconds_limit_the_time(scratch):
    image = f"{scratch}/disk.img"
    size = MIB // 4
    digest = make_image(image, size)
    # The clock runs while the guest comes up, too, which is not in "seconds".
    run = good_run("--disk", image, "--seconds", "0.4")
    assert run["seconds"] > 0.2 and run["sha256"] == digest
    # More than once over a small disk.
    assert run["bytes"] > size
    run = good_run("--disk", image, "--seconds", "0.3", "--mode", "verify", "--write")
    assert run["seconds"] > 0.1 and run["sha256"] == hash_of(image)
    run = good_run("--disk", image, "--seconds", ".2", "--mode", "write", "--write")
    assert run["sha256"] == hash_of(image)
    # Less than once: then there is no hash to compare.
    with open(f"{scratch}/large.img", "wb") as file:
        file.truncate(1 << 40)
    run = good_run("--disk", f"{scratch}/large.img", "--seconds", "0.1")
    check_types(run, sha256=type(None), sha256_file=type(None))
    assert 0 < run["bytes"] < 1 << 40


@case
def an_ext4_image_goes_through(scratch):
    if not shutil.which("mkfs.ext4"):
        raise Skip("mkfs.ext4 (e2fsprogs) is not installed")
    tree, image = f"{scratch}/tree", f"{scratch}/ext4.img"
    os.makedirs(f"{tree}/directory/below")
    for number in range(40):
        make_image(f"{tree}/directory/{number}", 1000 * number, number)
    os.symlink("directory/7", f"{tree}/link")
    subprocess.run(["mkfs.ext4", "-q", "-d", tree, image, "16M"], check=True,
                   stdout=subprocess.DEVNULL, timeout=PATIENCE)
    before = state_of(image)
    run = good_run("--disk", image, "--vcpus", "2", "--queues", "2")
    assert run["sha256"] == before[0]
    sizes(run, 16 * MIB, 4096)
    assert state_of(image) == before


@case
def runs_at_the_same_time_do_not_disturb_each_other(scratch):
    runs = [subprocess.Popen([PEAL, "run", "--json"], stdout=subprocess.PIPE,
                             env=environment(scratch)) for _ in range(3)]
    for run in runs:
        run.communicate(timeout=PATIENCE)
        assert run.returncode == 0
    assert os.listdir(scratch) == []


# ---- terminals -------------------------------------------------------------------------------

def on_terminal(args, stdout_too=False):
    """Runs with stderr on a terminal: exit code, stdout, what the terminal got."""
    try:
        master, slave = pty.openpty()
    except OSError as error:
        raise Skip(f"no pseudo-terminal: {error}") from None
    with subprocess.Popen([PEAL, *args], stdin=subprocess.DEVNULL, stderr=slave,
                          stdout=slave if stdout_too else subprocess.PIPE,
                          env=environment()) as process:
        os.close(slave)
        shown, began = b"", time.monotonic()
        while True:
            assert time.monotonic() - began < PATIENCE
            if not select.select([master], [], [], 1)[0]:
                continue
            try:
                piece = os.read(master, 65536)
            except OSError:  # the other side is closed
                break
            if not piece:
                break
            shown += piece
        out = b"" if stdout_too else process.stdout.read()
    os.close(master)
    return process.returncode, out.decode(), shown.decode()


@case
def a_terminal_gets_a_progress_bar(scratch):
    image = f"{scratch}/disk.img"
    make_image(image, 8 * MIB)
    code, out, shown = on_terminal(["run", "--disk", image])
    assert code == 0 and "\nok: " in out, (code, out, shown)
    assert re.search(r"\r\[#{40}\] 100 %  8 MiB  \d+ MiB/s", shown), shown
    # Gone in the end.
    assert shown.endswith("\r\x1b[K"), shown
    assert "\r" not in out and "\x1b" not in out
    # Without an end there is no bar, but the time and what was done.
    code, out, shown = on_terminal(["run", "--disk", image, "--seconds", "0.4"])
    assert code == 0 and re.search(r"\r\d+ s  \d+ MiB  \d+ MiB/s", shown), shown
    code, _, shown = on_terminal(["run", "--disk", image], stdout_too=True)
    assert code == 0 and "100 %" in shown and "ok: " in shown


@case
def json_and_pipes_get_none(scratch):
    image = f"{scratch}/disk.img"
    make_image(image, MIB)
    code, out, shown = on_terminal(["run", "--disk", image, "--json"])
    assert code == 0 and out.count("\n") == 1 and shown == "", shown
    result = peal("run", "--disk", image, "--seconds", "0.3")
    assert result.code == 0 and result.err == "", result
    assert "\r" not in result.out and "\x1b" not in result.out


main()
