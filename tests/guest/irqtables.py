# SPDX-License-Identifier: BSD-2-Clause
"""The answers of a device to every SET_IRQS, as vfio-irqs.c prints them: reading and comparing
them, and the form that docs/vfio-conformance.md keeps those of Linux in."""

import os
import re
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
DOCUMENT = os.path.join(HERE, os.pardir, os.pardir, "docs", "vfio-conformance.md")
BEGIN, END = "<!-- the table: made by tests/guest/test-vfio.py -->", "<!-- end of the table -->"

CELL = re.compile(r"cell (?P<key>(?P<index>[^.]+)\S*/(?P<state>\S+)) (?P<answer>\S+) "
                  r"?(?P<at_once>[.on2!]*)(?P<effect>.*)")
KEY = re.compile(r"(?P<request>\w+\.\w+\.\w+)\((?P<of>[^)]*)\)/(?P<state>\S+)")


class Table:
    """What one device answered: `cells` by key, numbers of vectors and flags of the indexes."""

    def __init__(self, lines):
        self.counts, self.flags, self.states, self.cells = {}, {}, {}, {}
        for line in lines:
            self.take(line.strip())

    def take(self, line):
        words = line.split()
        if line.startswith("info "):
            self.counts[words[1]] = int(words[-1])
            self.flags[words[1]] = words[2:-2]
        elif line.startswith("state "):
            effect = " ".join(words[2:])
            assert self.states.setdefault(words[1], effect) == effect, line
        elif line.startswith("cell "):
            match = CELL.fullmatch(line)
            assert match and match["key"] not in self.cells, line
            self.cells[match["key"]] = self.normal(match)

    def normal(self, match):
        """The answer, what was signalled at once, and what each index signals if that changed."""
        index = "intx" if match["index"] == "bad" else match["index"]
        before = self.states.get(f"{index}/{match['state']}", "")
        text = match["answer"]
        if match["at_once"].strip("."):
            text += " rings " + match["at_once"]
        if match["effect"].strip() != before:
            text += ", then " + (match["effect"].strip() or "off")
        return text


def ours(program, device):
    done = subprocess.run([program, device], stdout=subprocess.PIPE, check=True, timeout=240)
    return Table(done.stdout.decode().splitlines())


# ---- the document ----------------------------------------------------------------------------

def render(table):
    """As Markdown: requests down, states across; rows with the same answers are one."""
    requests = {}
    for key, text in table.cells.items():
        match = KEY.fullmatch(key)
        if match:
            rows = requests.setdefault(match["request"], {})
            rows.setdefault(match["of"], {})[match["state"]] = text
    lines = []
    for request, rows in requests.items():
        states = list(next(iter(rows.values())))
        folded = {}
        for of, cells in rows.items():
            folded.setdefault(tuple(cells.items()), []).append(of)
        lines += ["", f"#### {request}", "", "| of | " + " | ".join(states) + " |",
                  "|---" * (len(states) + 1) + "|"]
        for cells, names in folded.items():
            texts = [f"`{dict(cells)[state]}`" for state in states]
            lines.append(f"| {'; '.join(names)} | {' | '.join(texts)} |")
    lines += ["", "#### bad", "", "| request | answer |", "|---|---|"]
    lines += [f"| {key} | `{text}` |" for key, text in table.cells.items()
              if key.startswith("bad.")]
    return "\n".join(lines) + "\n"


def parse(text):
    """The cells of what `render` made."""
    cells, request, states = {}, None, None
    for line in text.splitlines():
        columns = [column.strip() for column in line.strip().strip("|").split("|")]
        if line.startswith("#### "):
            request = line[5:]
        elif line.startswith(("| of", "| request")):
            states = columns[1:]
        elif line.startswith("| "):
            answers = [column.strip("`") for column in columns[1:]]
            for of in columns[0].split("; "):
                keys = [of] if request == "bad" else [f"{request}({of})/{s}" for s in states]
                cells.update(zip(keys, answers))
    return cells


def document():
    """Before the table, the table, after it."""
    with open(DOCUMENT, encoding="utf-8") as file:
        before, rest = file.read().split(BEGIN + "\n")
    table, after = rest.split(END)
    return before + BEGIN + "\n", table, END + after


def write_document(table):
    before, _, after = document()
    with open(DOCUMENT, "w", encoding="utf-8") as file:
        file.write(before + render(table) + after)


# ---- differences -----------------------------------------------------------------------------

# What is meant to differ, and nothing else; docs/vfio-conformance.md says why.
def msi_grows(key, _kernel, _ours):
    """MSI vectors can be added: a vfio-user client enables them by several messages."""
    return re.fullmatch(r"msi\.trigger\.eventfd\((all|tail|last),.*\)/part", key)


def cannot_be_sent(key, _kernel, answer):
    """A number that is no descriptor does not get as far as the device."""
    return ",closed)" in key and answer.split(",")[0] == "EBADF"


def compare(theirs, mine, allowed, what):
    """Cells that both have are the same but for those that are ALLOWED, all of which occur."""
    common = [key for key in theirs if key in mine]
    used, wrong = set(), []
    for key in common:
        if theirs[key] == mine[key]:
            continue
        reasons = [rule for rule in allowed if rule(key, theirs[key], mine[key])]
        used.update(reasons)
        if not reasons:
            wrong.append(f"{key}: {theirs[key]}, but ours: {mine[key]}")
    assert not wrong, "\n".join([what] + wrong)
    assert used == set(allowed), (what, used)
    return len(common)
