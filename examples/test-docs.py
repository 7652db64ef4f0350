#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Code that a document quotes from an example stands in the example, line for line: a block of
```c in docs/*.md belongs to the file that the document's last `examples/….c` before it names. An
ellipsis alone on a line leaves something out."""

import glob
import os
import re

ROOT = os.environ.get("PEAL_SOURCE_ROOT", os.path.join(os.path.dirname(__file__), ".."))


def blocks(text):
    """(example, block) of all ```c blocks after the first name of an example."""
    example = None
    for match in re.finditer(r"`(examples/[\w-]+\.c)`|^```c\n(.*?)^```", text, re.M | re.S):
        if match[1]:
            example = match[1]
        elif example:
            yield example, match[2]


def missing(block, source):
    """The piece of BLOCK that does not come after the ones before it, or None."""
    at = 0
    for piece in re.split(r"^\s*…\n", block, flags=re.M):
        found = source.find("\n" + piece, at)
        if piece and found < 0:
            return piece
        at = max(at, found)
    return None


def main():
    cases = []
    for path in sorted(glob.glob(os.path.join(ROOT, "docs", "*.md"))):
        with open(path, encoding="utf-8") as file:
            cases += [(os.path.basename(path), *rest) for rest in blocks(file.read())]
    print(f"1..{len(cases) + 1}")
    for number, (document, example, block) in enumerate(cases, 1):
        with open(os.path.join(ROOT, example), encoding="utf-8") as file:
            piece = missing(block, file.read())
        for line in piece.splitlines() if piece else []:
            print(f"# {line}")
        name = f"{document} quotes {example}: {block.splitlines()[0].strip()}".replace("#", "")
        print(f"{'not ok' if piece else 'ok'} {number} - {name}")
    with open(os.path.join(ROOT, "examples/hello-device.c"), encoding="utf-8") as file:
        lines = len(file.readlines())
    print(f"{'ok' if lines < 100 else 'not ok'} {len(cases) + 1} - a whole device in {lines} lines")


main()
