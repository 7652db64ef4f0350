#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""peal decode config: random functions against lspci, every form of a dump, lists that cannot be
right, and input that is no dump."""

import json
import os
import random
import re
import shutil
import struct
import subprocess

from peal import PATIENCE, PEAL, Result, Skip, case, complains, environment, main, peal


def run(text, *args):
    """peal decode config - with TEXT (bytes or str) on standard input."""
    args = ("decode", "config", "-", *args)
    done = subprocess.run([PEAL, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          input=text.encode() if isinstance(text, str) else text,
                          timeout=PATIENCE, env=environment(), check=False)
    return Result(args, done.returncode, done.stdout.decode(errors="replace"),
                  done.stderr.decode(errors="replace"))


def decode(text, *args):
    result = run(text, *args)
    assert result.code == 0 and result.err == "", result
    return result.out


def rows(space, begin=0):
    return "".join(f"{at:02x}: " + " ".join(f"{b:02x}" for b in space[at:at + 16]) + "\n"
                   for at in range(begin, len(space), 16))


def dump(space, address="00:01.0"):
    return f"{address} a device\n{rows(space)}\n"


def space_of(size=256, **fields):
    """A space with some registers: w0x10=1 is a dword at 10, b… a byte, h… 16 bits."""
    space = bytearray(size)
    struct.pack_into("<HHHH", space, 0, 0x1234, 0x5678, 0, 0x0010)
    struct.pack_into("<H", space, 0x0a, 0x0200)
    for name, value in fields.items():
        width = {"b": "<B", "h": "<H", "w": "<I"}[name[0]]
        struct.pack_into(width, space, int(name[1:], 16), value)
    return space


# ---- random functions ------------------------------------------------------------------------

class Maker:
    """Functions whose structures are in order and whose registers hold anything."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def contents(self, size):
        kind = self.random.random()
        if kind < .2:
            return bytes(size)
        if kind < .3:
            return b"\xff" * size
        if kind < .5:
            return bytes(self.random.choice((0, 0, 0, 1 << self.random.randrange(8)))
                         for _ in range(size))
        return self.random.randbytes(size)

    def header(self):
        rnd, space = self.random, bytearray(4096)
        bridge = rnd.random() < .3
        ids = [(0x1af4, 0x1042), (0x8086, 0x100e), (0x1b36, 0x000c),
               (rnd.randrange(1, 0xffff), rnd.randrange(0x10000))]
        space[0:4] = struct.pack("<HH", *rnd.choice(ids))
        space[4:8] = self.contents(4)
        space[6] |= 0x10
        space[8] = rnd.choice((0, 1, rnd.randrange(256)))
        space[9] = rnd.choice((0, 0, rnd.randrange(256)))
        struct.pack_into("<H", space, 10, 0x0604 if bridge else rnd.choice(
            (0x0200, 0x0100, 0x0c03, 0x0108, 0x0601, 0xff00, 0x0300)))
        space[12:16] = self.contents(4)
        space[14] = bridge | rnd.randrange(2) << 7
        count = 2 if bridge else 6
        for i in range(count):
            struct.pack_into("<I", space, 16 + 4 * i, rnd.choice(
                (0, 1, rnd.getrandbits(32), 0xfe000000 | rnd.randrange(16),
                 rnd.getrandbits(16) | 1)))
        struct.pack_into("<I", space, 16, 0xfe000000 | rnd.choice((0, 8)))
        last = 16 + 4 * (count - 1)
        if space[last] & 7 == 4:
            space[last] = 0  # no room for its upper half
        space[16 + 4 * count:0x40] = self.contents(0x40 - 16 - 4 * count)
        space[0x3d] %= 5
        return space

    def capability(self, kind):
        rnd = self.random
        size = {1: 8, 5: 24, 9: rnd.choice((3, 16, 20, 40)), 0xd: 8, 0x10: 60, 0x11: 12,
                0x77: 4}[kind]
        body = bytearray(self.contents(size))
        if kind == 1:
            body[6] &= 0xc0
        if kind == 5:
            body[3] &= 0xf9  # no extended data: lspci does not know it
        if kind == 9:
            body[2] = size
            if size > 3:
                body[3] = rnd.randrange(10)
        if kind == 0x10:
            body[2] = rnd.choice((1, 2, 2, 3)) | rnd.choice((0, 1, 2, 4, 5, 6, 7, 8, 9, 10)) << 4
            if body[0x25] & 0x30 == 0x20:
                body[0x25] &= 0x0f  # a reserved value, of which lspci makes half a line
        body[0:2] = kind, 0
        return body

    def function(self):
        rnd, space = self.random, self.header()
        at, before, kinds = 0x40, 0x34, []
        for _ in range(rnd.randrange(7)):
            kind = rnd.choice((1, 5, 9, 0xd, 0x10, 0x11, 0x77))
            body = self.capability(kind)
            if kind == 0x10 and kind in kinds or at + len(body) > 256:
                continue
            space[before] = at
            space[at:at + len(body)] = body
            before, at = at + 1, at + (len(body) + 3) // 4 * 4
            kinds.append(kind)
        if not kinds:
            space[0x34] = 0
        if 0x10 in kinds:
            self.extended(space)
        return space

    def extended(self, space):
        at, before = 0x100, None
        for _ in range(self.random.randrange(4)):
            kind, size = self.random.choice(((1, 0x48), (3, 12), (0x733, 8)))
            space[at:at + size] = self.contents(size)
            struct.pack_into("<I", space, at, kind | self.random.choice((1, 2)) << 16)
            if before:
                space[before + 2:before + 4] = struct.pack(
                    "<H", space[before + 2] & 0xf | at << 4)
            before, at = at, at + size + self.random.choice((0, 16))


@case
def random_functions_read_as_lspci_reads_them(scratch):
    if not shutil.which("lspci"):
        raise Skip("no lspci")
    version = subprocess.run(["lspci", "--version"], stdout=subprocess.PIPE, check=True)
    if b" 3.9" not in version.stdout:
        raise Skip("the words are those of lspci 3.9")
    maker = Maker(3)
    text = "".join(dump(maker.function(), f"{bus:02x}:00.0") for bus in range(256))
    if "Red Hat" not in decode(text):
        raise Skip("built without libpci")
    path = os.path.join(scratch, "dump")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    theirs = subprocess.run(["lspci", "-F", path, "-vvv"], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, env=environment(), check=True)
    theirs = theirs.stdout.decode(errors="replace").strip("\n").split("\n\n")
    ours = decode(text).strip("\n").split("\n\n")
    assert len(ours) == len(theirs) == 256, (len(ours), len(theirs))
    for function in zip(ours, theirs):
        halves = {int(index) + 1 for index in
                  re.findall(r"^\tRegion (\d): Memory.*64-bit", function[0], re.M)}
        # lspci takes the upper half of a 64-bit region for a region, and remarks on less.
        a, b = [[line for line in text.split("\n")
                 if "!!!" not in line and
                 not any(line.startswith(f"\tRegion {index}: ") for index in halves)]
                for text in function]
        assert a == b, "\n".join([a[0]] + [f"ours:  {x!r}\nlspci: {y!r}"
                                           for x, y in zip(a, b) if x != y])


# ---- forms of a dump -------------------------------------------------------------------------

def forms(space):
    """The same space in each form, by its name."""
    pairs = ["".join(f"{b:02x}" for b in space[at:at + 2]) for at in range(0, len(space), 2)]
    yield "plain", "\n".join(" ".join(f"{b:02x}" for b in space[at:at + 32])
                             for at in range(0, len(space), 32))
    yield "one word", bytes(space).hex()
    yield "capitals", bytes(space).hex().upper() + "\r\n"
    yield "words of four bytes", " ".join(bytes(space[at:at + 4]).hex()
                                          for at in range(0, len(space), 4))
    yield "offsets only", rows(space)
    yield "xxd", "".join(f"{at:08x}: {' '.join(pairs[at // 2:at // 2 + 8])}  "
                         f"{'ab cd: 0123 |.x.'}\n" for at in range(0, len(space), 16))
    yield "od", "".join(f"{at:06x} " + " ".join(f"{b:02x}" for b in space[at:at + 16]) + "\n"
                        for at in range(0, len(space), 16)) + f"{len(space):06x}\n"
    yield "raw", bytes(space)
    hexdump, last = "", None
    for at in range(0, len(space), 16):
        row = space[at:at + 16]
        if row == last:
            hexdump += "*\n" if not hexdump.endswith("*\n") else ""
            continue
        half = [" ".join(f"{b:02x}" for b in part) for part in (row[:8], row[8:])]
        hexdump += f"{at:08x}  {half[0]}  {half[1]}  |................|\n"
        last = row
    yield "hexdump -C", hexdump + f"{len(space):08x}\n"


@case
def every_form_of_a_dump_is_read(_):
    for size in (64, 256, 4096):
        space = Maker(size).function()[:size]
        space[6] |= 0x10
        wanted = decode(dump(space)).split("\n")
        wanted[0] = wanted[0][len("00:01.0 "):]
        for name, text in forms(space):
            assert decode(text).split("\n") == wanted, (size, name)


@case
def output_of_lspci_with_its_words_is_read(_):
    first, second = space_of(64), space_of(256, w34=0x40, w40=0x0009, b42=8)
    text = (f"00:01.0 Ethernet controller: X\n\tSubsystem: 10: 20\n\tControl: I/O- Mem+\n"
            f"{rows(first)}\n0001:7f:1f.7 Something: with a: colon\n\tFlags: fast devsel\n"
            f"\tCapabilities: <access denied>\n\tKernel driver in use: x\n{rows(second)}\n\n")
    blocks = decode(text).rstrip("\n").split("\n\n")
    assert len(blocks) == 2, blocks
    assert blocks[0].startswith("00:01.0 ") and blocks[1].startswith("0001:7f:1f.7 "), blocks
    assert "Capabilities: [40] Vendor Specific Information: Len=08 <?>" in blocks[1], blocks
    functions = json.loads(decode(text, "--json"))["functions"]
    assert [f["address"] for f in functions] == ["00:01.0", "0001:7f:1f.7"], functions
    assert functions[1]["vendor_id"] == 0x1234 and functions[0]["config_size"] == 64, functions


@case
def files_are_read_by_name(scratch):
    path = os.path.join(scratch, "config")
    with open(path, "wb") as file:
        file.write(space_of(256))
    result = peal("decode", "config", path)
    assert result.code == 0 and "Device 1234:5678" in result.out, result
    complains(peal("decode", "config", path + "x"), 1, path + "x", "No such file")
    complains(peal("decode", "config", scratch), 1, scratch, "directory")


# ---- what cannot be right --------------------------------------------------------------------

EXTENDED = {"w34": 0x40, "w40": 0x00020010, "size": 4096}

STRANGE = {
    "a loop of one": ({"w34": 0x40, "w40": 0x4009, "b42": 3}, "closes a loop, to 40"),
    "a loop of two": ({"w34": 0x40, "w40": 0x5009, "b42": 3, "w50": 0x4009, "b52": 3},
                      "Capability pointer at 51 closes a loop, to 40"),
    "into the header": ({"w34": 0x10}, "points into the header, to 10"),
    "all ones": ({"w34": 0x40, "w40": 0xffffffff}, "Capability at 40 reads all ones"),
    "overlap": ({"w34": 0x40, "w40": 0x4409, "b42": 8, "w44": 0x0009, "b46": 8},
                "Capability [44] overlaps [40]"),
    "past the end": ({"w34": 0xfc, "wfc": 0x0011}, "Capability [fc] of 12 bytes ends past 0x100"),
    "Express past the end": ({"w34": 0xe0, "we0": 0x00020010},
                             "Capability [e0] of 60 bytes ends past 0x100"),
    "MSI past the end": ({"w34": 0xf4, "wf4": 0x01800005},
                         "Capability [f4] of 24 bytes ends past 0x100"),
    "too short": ({"w34": 0x40, "w40": 0x0009, "b42": 2}, "has a length of 2"),
    "table in no BAR": ({"w34": 0x40, "w40": 0x0011, "w44": 6, "w48": 0x1000},
                        "MSI-X vector table lies in BAR 6"),
    "PBA in I/O": ({"w10": 0x1001, "w34": 0x40, "w40": 0x0011, "w44": 1, "w48": 0},
                   "MSI-X PBA lies in BAR 0, which is I/O"),
    "table and PBA overlap": ({"w34": 0x40, "w40": 0x00010011, "w44": 0, "w48": 0x18},
                              "MSI-X vector table and PBA overlap"),
    "both enabled": ({"w34": 0x40, "w40": 0x00015005, "w50": 0x80000011, "w58": 0x1000},
                     "MSI and MSI-X are both enabled"),
    "more than enabled": ({"w34": 0x40, "w40": 0x00110005},
                          "MSI has 2 vectors enabled and is capable of 1"),
    "too many vectors": ({"w34": 0x40, "w40": 0x000c0005}, "MSI is capable of 64 vectors"),
    "half a region": ({"w24": 0xfe000004}, "Region 5 has 64 bits and no upper half"),
    "class": ({"wa": 0x0604}, "Invalid class 0604 for header type 00"),
    "header": ({"be": 3}, "Unknown header type 03"),
    "extended loop": ({**EXTENDED, "w100": 0x10010003}, "[100] closes a loop, to 100"),
    "extended backwards": ({**EXTENDED, "w100": 0x08010003},
                           "followed by 080, which is conventional space"),
    "extended into nothing": ({**EXTENDED, "w100": 0x20010003},
                              "[100] is followed by 200, where there is none"),
    "extended past the end": ({**EXTENDED, "w100": 0xff810003, "wff8": 0x00010003},
                              "Capability [ff8] of 12 bytes ends past 0x1000"),
    "extended overlap": ({**EXTENDED, "w100": 0x10410003, "w104": 0x00010003},
                         "Capability [104] overlaps [100]"),
}


@case
def what_cannot_be_right_is_marked(_):
    for name, (fields, words) in STRANGE.items():
        fields = dict(fields)
        space = space_of(fields.pop("size", 256), **fields)
        marked = re.findall(r"^\t!!! (.*)$", decode(dump(space)), re.M)
        assert len(marked) == 1 and words in marked[0], (name, marked)
        function = json.loads(decode(dump(space), "--json"))["functions"][0]
        assert function["problems"] == marked, (name, function)


@case
def what_is_right_is_not_marked(_):
    for model in ("blk", "rng", "bell", "hello", "bridge"):
        text = peal("probe", "--model", model, "--dump").out
        assert "!!!" not in decode(text), model


@case
def short_dumps_say_what_is_missing(_):
    text = decode(dump(space_of(64, w34=0x40)))
    assert "\tCapabilities: <not in the dump>\n" in text and "!!!" not in text, text


# ---- no dump ---------------------------------------------------------------------------------

HEADER = rows(space_of(64))

WRONG = {
    "nothing": ("", "line 1", "no device"),
    "blank lines": ("\n\n# remark\n\n", "line 4", "no device"),
    "words": ("hello, world\n", "line 1", "neither a device nor a row of bytes"),
    "a device alone": ("00:01.0 Ethernet\n", "line 1", "00:01.0", "no bytes", "-x"),
    "two devices, one empty": (f"00:01.0 a\n\n00:02.0 b\n{HEADER}", "line 3", "00:01.0"),
    "cut": (f"00:01.0 a\n{rows(space_of(48))}", "line 4", "00:01.0", "48 bytes"),
    "cut in a row": (f"00:01.0 a\n{HEADER[:-4]}\n", "line 5", "63 bytes"),
    "cut before the next": (f"00:01.0 a\n{rows(space_of(128))[:-10]}\n00:02.0 b\n{HEADER}",
                            "line 10", "00:01.0"),
    "no hexadecimal": (f"{HEADER[:10]}g0{HEADER[12:]}", "line 1", "'g0'"),
    "half a byte": (f"{HEADER[:10]}0{HEADER[12:]}", "line 1", "'0'"),
    "a row missing": (HEADER + rows(space_of(256), 0x50), "line 5", "offset 50", "40"),
    "a row twice": (HEADER + HEADER, "line 5", "offset 00", "40"),
    "a row without offset": (HEADER + "00 01 02 03\n", "line 5", "without offset"),
    "an offset alone": (HEADER + "40:\n", "line 5", "offset without bytes"),
    "a huge offset": (HEADER + "f" * 17 + ": 00\n", "line 5", "17 digits"),
    "too many bytes": (rows(bytes(4096)) + "1000: 00\n", "line 257", "4096"),
    "too many plain bytes": ("00 " * 4097, "line 1", "4096"),
    "a star first": ("*\n", "line 1", "'*'"),
    "a star too far": ("00000000  " + "00 " * 16 + "\n*\n00002000\n", "line 3", "'*'"),
    "a star uneven": ("00000000  " + "00 " * 16 + "\n*\n00000048\n", "line 3", "'*'"),
    "hexdump without -C": ("0000000 1af4 1042 0000 0000\n", "line 1", "hexdump -C"),
    "a long line": ("0" * 40000, "line 1", "longer"),
    "control characters": (HEADER.encode() + b"40: 00\x01", "line 1"),
    "more bytes than a space": (bytes(5000), "line 1", "4096"),
    "too few raw bytes": (bytes(63), "line 1", "63 bytes"),
}


@case
def input_that_is_no_dump_is_refused_by_line(_):
    for name, (text, *words) in WRONG.items():
        result = run(text)
        complains(result, 1, "standard input: ", *words)
        result = run(text, "--json")
        assert (result.code, result.out) == (1, ""), (name, result)


@case
def many_devices_have_an_end(_):
    many = "".join(f"{i >> 8:04x}:{i & 0xff:02x}:00.0\n{HEADER}" for i in range(300))
    assert len(json.loads(decode(many, "--json"))["functions"]) == 300
    text = "00:00.0\n" + "00000000  " + "00 " * 16 + "\n*\n00000040\n"
    complains(run(text * 65537), 1, "more than 65536 devices")


@case
def mistakes_are_told_in_one_line(_):
    complains(peal("decode"), 2, "of what")
    complains(peal("decode", "config"), 2, "FILE")
    complains(peal("decode", "nothing", "-"), 2, "nothing", "config")
    complains(peal("decode", "config", "-", "x"), 2, "x")
    complains(peal("decode", "--jason", "config", "-"), 2, "--jason")


main()
