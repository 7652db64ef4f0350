#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""peal probe: what lspci says about the same function, what only we know, JSON, and mistakes."""

import json
import os
import re
import shutil
import subprocess

from peal import Skip, case, complains, environment, main, peal

MODELS = ["blk", "rng", "bell", "hello", "bridge"]


def probe(*args):
    result = peal("probe", *args)
    assert result.code == 0 and result.err == "", result
    return result.out


def dump(scratch, model):
    path = os.path.join(scratch, model + ".dump")
    with open(path, "w", encoding="utf-8") as file:
        file.write(probe("--model", model, "--dump"))
    return path


def lspci(path):
    if not shutil.which("lspci"):
        raise Skip("no lspci")
    done = subprocess.run(["lspci", "-F", path, "-vvv"], env=environment(), check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout.decode().strip("\n").split("\n")


def has_names():
    return "Red Hat" in probe("--model", "blk").split("\n")[1]


def is_ours(line):
    """What lspci has no line for."""
    return re.match(r"\t\t(vector |\d+(-\d+)? +[0-9a-f]{16} )|\tAccesses: ", line) is not None


@case
def each_model_reads_as_lspci_reads_its_dump(scratch):
    if not has_names():
        raise Skip("built without libpci")
    for model in MODELS:
        ours = [re.sub(r" \[size=\w+\](?! \[\d+-bit\])", "", line)
                for line in probe("--model", model).rstrip("\n").split("\n")
                if not is_ours(line)]
        theirs = lspci(dump(scratch, model))
        # lspci takes the upper half of a 64-bit region for one more that is nowhere.
        halves = [int(line.split()[1][:-1]) + 1 for line in ours
                  if line.startswith("\tRegion") and "64-bit" in line]
        theirs = [line for line in theirs
                  if not any(line.startswith(f"\tRegion {index}: ") for index in halves)]
        assert ours == theirs, "\n".join([model] + [
            f"ours:  {a!r}\nlspci: {b!r}" for a, b in zip(ours, theirs) if a != b])


@case
def dump_is_one_line_and_rows_of_bytes(_):
    for model in MODELS:
        lines = probe("--model", model, "--dump").rstrip("\n").split("\n")
        assert re.match(r"01:00\.0 \S", lines[0]), lines[0]
        assert len(lines) == 1 + 4096 // 16, len(lines)
        for number, line in enumerate(lines[1:]):
            assert re.fullmatch(rf"{16 * number:02x}:( [0-9a-f]{{2}}){{16}}", line), line


@case
def decode_of_the_dump_is_the_probe_without_what_only_we_know(scratch):
    for model in MODELS:
        decoded = peal("decode", "config", dump(scratch, model))
        assert decoded.code == 0 and decoded.err == "", decoded
        ours = [re.sub(r" \[size=\w+\](?! \[\d+-bit\])", "", line)
                for line in probe("--model", model).split("\n") if not is_ours(line)]
        assert decoded.out.rstrip("\n").split("\n") == ours[:-1], decoded


@case
def pending_bit_of_a_masked_vector_is_seen(_):
    def entry(*args):
        function = json.loads(probe("--model", "hello", "--json", *args))
        return [c for c in function["capabilities"] if c["name"] == "MSI-X"][0]["entries"][0]

    before, after = entry(), entry("--raise", "0")
    assert before["masked"] and not before["pending"], before
    assert before["used"] and before["counters"]["pended"] == 0, before
    assert after["masked"] and after["pending"], after
    assert after["counters"]["pended"] == 1 and after["counters"]["sent"] == 0, after


@case
def json_has_the_function(_):
    function = json.loads(probe("--model", "blk", "--json"))
    assert function["address"] == "01:00.0", function
    assert (function["vendor_id"], function["device_id"]) == (0x1af4, 0x1042), function
    assert function["config_size"] == 4096 and "problems" not in function, function
    names = [c["name"] for c in function["capabilities"]]
    assert names[:3] == ["Power Management", "Express", "MSI-X"], names
    express = function["capabilities"][1]
    assert express["device_capabilities"]["FLReset"] is True, express
    structures = [c["virtio"]["structure"] for c in function["capabilities"] if "virtio" in c]
    assert structures == ["common configuration", "ISR status", "device configuration",
                          "notification", "PCI configuration access"], structures
    msix = function["capabilities"][2]
    assert msix["vectors"] == len(msix["entries"]) == 2, msix
    table = [r for r in function["regions"] if r["index"] == msix["table"]["bar"]][0]
    assert table["size"] == 4096 and table["enabled"] and not table["prefetchable"], table
    assert int(table["address"], 16) % 4096 == 0 and int(table["address"], 16) > 0, table


@case
def mistakes_are_told_in_one_line(_):
    complains(peal("probe", "--model", "nothing"), 2, "--model", "nothing", "blk", "hello")
    complains(peal("probe", "--dump", "--json"), 2, "--dump", "--json")
    complains(peal("probe", "--model", "hello", "--raise", "1"), 2, "--raise 1", "hello")
    complains(peal("probe", "--model", "bridge", "--raise", "0"), 2, "--raise 0", "bridge")
    complains(peal("probe", "--raise", "2048"), 2, "--raise", "2048")
    complains(peal("probe", "blk"), 2, "blk")


@case
def help_has_an_example(_):
    result = peal("probe", "--help")
    assert result.code == 0 and "Example:\n  peal probe" in result.out, result


main()
