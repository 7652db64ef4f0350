#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""peal decode its: every command with every field, what is wrong with one, every form of a dump,
and input that is none."""

import json
import os
import random
import struct
import subprocess

from peal import PATIENCE, PEAL, Result, case, complains, environment, main, peal

VALID = 1 << 63

# Name, doublewords, the text's fields, the JSON's fields. Written from IHI 0069H §5.3.
COMMANDS = [
    ("MOVI", (0x0123456700000001, 0x89abcdef, 0xfffe, 0),
     "device 0x1234567 event 2309737967 icid 65534",
     {"device_id": 0x1234567, "event_id": 0x89abcdef, "icid": 0xfffe}),
    ("INT", (0xffffffff00000003, 7, 0, 0), "device 0xffffffff event 7",
     {"device_id": 0xffffffff, "event_id": 7}),
    ("CLEAR", (0x100000004, 0xffffffff, 0, 0), "device 0x1 event 4294967295",
     {"device_id": 1, "event_id": 0xffffffff}),
    ("SYNC", (5, 0, 0x7ffff0000 | 0x4000000000000, 0), "rdbase 17180393471",
     {"rdbase": 0x40007ffff}),
    ("MAPD", (0x800000008, 0x1f, VALID | 0xfffffffffff00, 0),
     "device 0x8 valid 1 size 31 (4294967296 events) itt 0xfffffffffff00",
     {"device_id": 8, "valid": True, "size": 31, "itt_address": "0xfffffffffff00"}),
    ("MAPD", (0x800000008, 0, 0, 0), "device 0x8 valid 0 size 0 (2 events) itt 0x0",
     {"device_id": 8, "valid": False, "size": 0, "itt_address": "0x0"}),
    ("MAPC", (9, 0, VALID | 0x7fff0003, 0), "icid 3 rdbase 32767 valid 1",
     {"icid": 3, "rdbase": 0x7fff, "valid": True}),
    ("MAPTI", (0x80000000a, 0x200300000003, 0x8000, 0),
     "device 0x8 event 3 intid 8195 icid 32768",
     {"device_id": 8, "event_id": 3, "intid": 8195, "icid": 0x8000}),
    ("MAPI", (0x80000000b, 0x2003, 1, 0), "device 0x8 event 8195 icid 1",
     {"device_id": 8, "event_id": 8195, "icid": 1}),
    ("INV", (0x80000000c, 1, 0, 0), "device 0x8 event 1", {"device_id": 8, "event_id": 1}),
    ("INVALL", (0xd, 0, 0xffff, 0), "icid 65535", {"icid": 65535}),
    ("MOVALL", (0xe, 0, 0x10000, 0x4000000020000), "rdbase 1 rdbase2 17179869186",
     {"rdbase": 1, "rdbase2": 0x400000002}),
    ("DISCARD", (0x80000000f, 1, 0, 0), "device 0x8 event 1", {"device_id": 8, "event_id": 1}),
]
# Bits of each doubleword that belong to a field of the command.
USED = {
    "MOVI": (0xffffffff000000ff, 0xffffffff, 0xffff, 0),
    "INT": (0xffffffff000000ff, 0xffffffff, 0, 0),
    "CLEAR": (0xffffffff000000ff, 0xffffffff, 0, 0),
    "SYNC": (0xff, 0, 0x7ffffffff0000, 0),
    "MAPD": (0xffffffff000000ff, 0x1f, 0x800fffffffffff00, 0),
    "MAPC": (0xff, 0, 0x8007ffffffffffff, 0),
    "MAPTI": (0xffffffff000000ff, 0xffffffffffffffff, 0xffff, 0),
    "MAPI": (0xffffffff000000ff, 0xffffffff, 0xffff, 0),
    "INV": (0xffffffff000000ff, 0xffffffff, 0, 0),
    "INVALL": (0xff, 0, 0xffff, 0),
    "MOVALL": (0xff, 0, 0x7ffffffff0000, 0x7ffffffff0000),
    "DISCARD": (0xffffffff000000ff, 0xffffffff, 0, 0),
}


def pack(*commands):
    return b"".join(struct.pack("<4Q", *dw) for dw in commands)


def run(data, *args):
    """peal decode its - with DATA (bytes or str) on standard input."""
    args = ("decode", "its", "-", *args)
    done = subprocess.run([PEAL, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          input=data.encode() if isinstance(data, str) else data,
                          timeout=PATIENCE, env=environment(), check=False)
    return Result(args, done.returncode, done.stdout.decode(errors="replace"),
                  done.stderr.decode(errors="replace"))


def decode(data, *args):
    result = run(data, *args)
    assert result.code == 0 and result.err == "", result
    return result.out


def parse(data):
    return json.loads(decode(data, "--json"))


def queue():
    """All commands, and a gap of empty places such as a queue in use has."""
    every = [dw for _, dw, _, _ in COMMANDS]
    return pack(*every) + bytes(32 * 9) + pack(*every)


@case
def every_command_shows_every_field(_):
    data = pack(*(dw for _, dw, _, _ in COMMANDS))
    lines = decode(data).splitlines()
    assert len(lines) == len(COMMANDS), lines
    decoded = parse(data)
    assert decoded["truncated"] == 0
    for number, ((name, dw, text, fields), line, object_) in enumerate(
            zip(COMMANDS, lines, decoded["commands"])):
        assert line == f"0x{32 * number:05x} {name} {text}", line
        assert object_ == {
            "offset": 32 * number, "name": name, "opcode": dw[0] & 0xff, **fields,
            "doublewords": [f"0x{word:016x}" for word in dw], "errors": []}, object_


@case
def every_reserved_bit_is_told(_):
    seen = set()
    for name, dw, _, _ in COMMANDS:
        if name in seen:
            continue
        seen.add(name)
        flips = [(word, bit) for word in range(4) for bit in range(64)
                 if not USED[name][word] >> bit & 1]
        commands = [[dw[i] ^ (1 << bit if i == word else 0) for i in range(4)]
                    for word, bit in flips]
        for (word, bit), object_ in zip(flips, parse(pack(*commands))["commands"]):
            assert object_["name"] == name
            assert object_["errors"] == [
                f"reserved bits of doubleword {word} are set: 0x{1 << bit:016x}"], object_
    assert len(seen) == 12
    assert "!!! reserved bits of doubleword 3 are set: 0x0000000000000100" in decode(
        pack((5, 0, 0, 256)))


@case
def unknown_opcodes_are_told(_):
    known = {dw[0] & 0xff for _, dw, _, _ in COMMANDS}
    virtual = {0x21, 0x22, 0x23, 0x25, 0x29, 0x2a, 0x2b, 0x2d, 0x2e}
    commands = [(opcode | 0xabcd << 40, 1, 2, 3) for opcode in range(256)]
    text = decode(pack(*commands))
    for opcode, object_ in enumerate(parse(pack(*commands))["commands"]):
        assert object_["opcode"] == opcode
        assert (object_["name"] is None) == (opcode not in known | virtual), object_
        if opcode in virtual:
            assert object_["errors"] == ["a GICv4 command: unknown to an ITS for GICv3"]
        elif opcode not in known:
            assert object_["errors"] == ["unknown command"], object_
            assert f"opcode 0x{opcode:02x} {commands[opcode][0]:016x} " in text


@case
def what_is_no_lpi_is_told(_):
    for intid in (0, 1023, 8191, 8192, 0xffffffff):
        errors = [] if intid >= 8192 else [f"INTID {intid} is no LPI"]
        assert parse(pack((0xa, intid << 32, 0, 0)))["commands"][0]["errors"] == errors
        assert parse(pack((0xb, intid, 0, 0)))["commands"][0]["errors"] == errors


@case
def a_truncated_command_is_told(_):
    whole = pack(COMMANDS[0][1])
    for size in range(1, 32):
        data = whole + b"\x08" + bytes(size - 1)
        out = decode(data)
        assert out.endswith(f"0x00020 !!! the last command is truncated: {size} of 32 bytes\n"), out
        assert parse(data)["truncated"] == size
    assert decode("08") == "0x00000 !!! the last command is truncated: 1 of 32 bytes\n"
    assert json.loads(decode("08", "--json")) == {"commands": [], "truncated": 1}


def tool(name, *args):
    def form(data):
        return subprocess.run([name, *args], input=data, stdout=subprocess.PIPE,
                              check=True).stdout.decode()
    return form


@case
def every_form_of_a_dump_is_the_same(scratch):
    data = queue()
    expected = decode(data)
    path = os.path.join(scratch, "queue.bin")
    with open(path, "wb") as file:
        file.write(data)
    assert peal("decode", "its", path).out == expected
    words = [f"{word:#x}" for word in struct.unpack(f"<{len(data) // 8}Q", data)]
    forms = {
        "od": tool("od", "-A", "x", "-t", "x1")(data),
        "od with text": tool("od", "-A", "x", "-t", "x1z")(data),
        "od without *": tool("od", "-v", "-A", "x", "-t", "x1")(data),
        "bytes": " ".join(f"{byte:02x}" for byte in data),
        "one word": data.hex(),
        "upper case": data.hex().upper(),
        "a line a byte": "\n".join(f"{byte:02x}" for byte in data),
        "lines of 8 digits": "\n".join(data[at:at + 4].hex() for at in range(0, len(data), 4)),
        "groups of 8 digits": " ".join(data[at:at + 4].hex() for at in range(0, len(data), 4)),
        "DOS lines": "\r\n".join(data[at:at + 32].hex() for at in range(0, len(data), 32)),
        "comments": "# a queue\n\n  " + data.hex() + "\n# its end\n",
        "doublewords": " ".join(words),
        "four a line": "\n".join(" ".join(words[i:i + 4]) for i in range(0, len(words), 4)),
        "hexdump -C": "".join(
            f"{at:08x}  {data[at:at + 8].hex(' ')}  {data[at + 8:at + 16].hex(' ')}  |ab de  f|\n"
            for at in range(0, len(data), 16)) + f"{len(data):08x}\n",
        "xxd": "".join(f"{at:08x}: {data[at:at + 16].hex(' ', -2)}  ab de  f\n"
                       for at in range(0, len(data), 16)),
    }
    for name, text in forms.items():
        assert decode(text) == expected, name
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        assert peal("decode", "its", path).out == expected, name


@case
def hexadecimal_on_the_command_line(_):
    for words in (["0x80000000a", "0x200300000003", "0", "0x0"],
                  ["0x80000000a 0x200300000003 0x0 0x0"],
                  ["0a00000008000000", "0300000003200000", "00" * 16],
                  ["0a 00 00 00 08 00 00 00 03 00 00 00 03 20 00 00" + " 00" * 16]):
        result = peal("decode", "its", *words)
        assert result.code == 0 and result.err == "", result
        assert result.out == "0x00000 MAPTI device 0x8 event 3 intid 8195 icid 0\n", result
    assert json.loads(peal("decode", "its", "--json", "0x5", "0", "0", "0").out)[
        "commands"][0]["name"] == "SYNC"


@case
def a_file_comes_before_hexadecimal(scratch):
    with open(os.path.join(scratch, "0805"), "wb") as file:
        file.write(pack((5, 0, 0, 0)))
    assert peal("decode", "its", "0805", cwd=scratch).out == "0x00000 SYNC rdbase 0\n"


@case
def what_is_no_dump_is_refused(scratch):
    complains(peal("decode", "its"), 2, "its", "FILE")
    complains(peal("decode", "its", "0805", "nonsense"), 2, "one FILE", "hexadecimal")
    complains(peal("decode", "its", *["08"] * 6), 2, "unexpected argument")
    complains(peal("decode", "config", "-", "more"), 2, "more")
    complains(peal("decode", "its", os.path.join(scratch, "none")), 1, "No such file")
    complains(peal("decode", "its", scratch), 1, "directory")
    complains(peal("decode", "its", "080"), 1, "'080'")
    complains(peal("decode", "its", "0x12345678123456789"), 1, "0x1234")
    complains(peal("decode", "its", ""), 1)
    for text, *words in (
            ("", "no command"), ("# nothing\n\n", "no command"),
            ("00 0g\n", "line 1", "'0g'"), ("00\n0\n", "line 2", "'0'"),
            ("*\n", "line 1", "'*'"), ("0000: 00\n*\n", "'*'"),
            ("0000: 00\n*\nfffffffff: 00\n", "line 3", "'*'"),
            ("0000: 00 01\n0003: 02\n", "line 2", "offset 3"),
            ("0000: 00 01\n*\n0005: 02\n", "line 3", "offset 5"),
            ("0x\n", "line 1", "0x"), ("hello\n", "line 1", "hello")):
        complains(run(text), 1, "standard input", *words)


@case
def a_dump_is_limited(_):
    result = run("0000: " + "00 " * 16 + "\n*\n1000010: 00\n")
    complains(result, 1, "1000010")
    result = run(bytes(range(128, 144)) * (1 << 20) + b"\x80")
    complains(result, 1, "16 MiB")


@case
def noise_ends_with_an_answer(_):
    rnd = random.Random(7)
    text = queue().hex(" ")
    for _ in range(60):
        data = bytearray(text[:rnd.randrange(1, 400)].encode())
        for _ in range(rnd.randrange(4)):
            data[rnd.randrange(len(data))] = rnd.choice(b"*:0xX|\n\r\t #>gf\x00\xff")
        for args in ((), ("--json",)):
            result = run(bytes(data), *args)
            assert result.code in (0, 1), result
            assert (result.code == 0) == (result.err == ""), result
            if args and result.code == 0:
                json.loads(result.out)


main()
