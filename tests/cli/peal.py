# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of the program share: cases that print TAP, runs of the program, its JSON.

The program is in $PEAL. A case is a function with @case; it fails by an exception (usually of
assert) and skips with raise Skip("why"). PEAL_TEST_SLOW=1 makes the loops shorter, as does a
program that takes long for its first run (sanitizers).
"""

import contextlib
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

PEAL = os.environ.get("PEAL", "build/peal")
PATIENCE = 120  # seconds; against hangs only
MIB = 1 << 20

CASES = []


class Skip(Exception):
    pass


def case(function):
    CASES.append(function)
    return function


def main():
    """Runs the cases, or those that are named on the command line."""
    chosen = [c for c in CASES if not sys.argv[1:] or c.__name__ in sys.argv[1:]]
    print(f"1..{len(chosen)}", flush=True)
    failed = 0
    for number, function in enumerate(chosen, 1):
        name = function.__name__
        began = time.monotonic()
        try:
            with directory() as scratch:
                function(scratch)
            print(f"# {name}: {time.monotonic() - began:.1f} s")
            print(f"ok {number} - {name}", flush=True)
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}", flush=True)
        except Exception:  # pylint: disable=broad-except
            failed += 1
            for line in traceback.format_exc().rstrip().splitlines():
                print(f"# {line}")
            print(f"not ok {number} - {name}", flush=True)
    sys.exit(1 if failed else 0)


@contextlib.contextmanager
def directory():
    """A directory for a case, that others may look into."""
    path = tempfile.mkdtemp(prefix="peal-test-")
    os.chmod(path, 0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


# ---- runs ------------------------------------------------------------------------------------

class Result:
    def __init__(self, args, code, out, err):
        self.args, self.code, self.out, self.err = args, code, out, err

    def __str__(self):
        return (f"peal {' '.join(map(repr, self.args))}: exit {self.code}\n"
                f"stdout: {self.out[:4000]}\nstderr: {self.err[:4000]}")


def environment(tmpdir=None, **more):
    env = dict(os.environ, LC_ALL="C", **more)
    if tmpdir:
        env["TMPDIR"] = tmpdir
    return env


def peal(*args, tmpdir=None, prefix=(), binary=None, **more):
    """Runs the program to its end. PREFIX is a command that runs it."""
    done = subprocess.run([*prefix, binary or PEAL, *args], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE,
                          env=environment(tmpdir), check=False, **more)
    return Result(args, done.returncode, done.stdout.decode(), done.stderr.decode())


def complains(result, code, *words):
    """It ended with CODE, nothing on stdout, and one line on stderr with all WORDS."""
    assert result.code == code, result
    assert result.out == "", result
    assert result.err.endswith("\n") and result.err.count("\n") == 1, result
    assert result.err.startswith("peal"), result
    for word in words:
        assert word in result.err, f"{word!r} is missing\n{result}"


@functools.lru_cache(None)
def is_slow():
    if "PEAL_TEST_SLOW" in os.environ:
        return os.environ["PEAL_TEST_SLOW"] != "0"
    began = time.monotonic()
    peal("run", "--json")
    return time.monotonic() - began > 1.5


def copy_for_others(scratch):
    """The program where every user can start it."""
    path = os.path.join(scratch, "peal")
    shutil.copyfile(PEAL, path)
    os.chmod(path, 0o755)
    return path


def as_nobody():
    """The prefix that runs a command as another user."""
    if os.geteuid() != 0:
        raise Skip("only root can run a command as another user")
    if not shutil.which("setpriv"):
        raise Skip("setpriv is not installed")
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


# ---- JSON ------------------------------------------------------------------------------------

FIELDS = {
    "ok": bool, "irqchip": str, "irq": str, "transport": str, "path": str, "vcpus": int,
    "queues": int, "requests": int, "bytes": int, "sha256": str, "sha256_file": str,
    "interrupts": dict, "vectors": list, "latency_us": dict, "seconds": float,
    "per_vcpu": list, "interrupted": bool, "error": type(None), "diagnosis": type(None),
}
INTERRUPTS = [
    "raised", "pended", "merged_pba", "dropped", "sent", "unrouted", "misdirected", "unmapped",
    "no_collection", "disabled", "translated", "merged_lpi", "acknowledged", "unhandled",
    "handled", "spurious", "lost",
]


def parse(result):
    """The JSON of a run, one object on one line."""
    assert result.out.endswith("\n") and result.out.count("\n") == 1, result
    return json.loads(result.out)


def check_types(run, **other):
    """Exactly these fields, of these types (OTHER: where they are not those of a good run)."""
    fields = dict(FIELDS, **other)
    assert set(run) == set(fields), set(run) ^ set(fields)
    for name, kind in fields.items():
        assert type(run[name]) is kind, (name, run[name])
    assert list(run["interrupts"]) == INTERRUPTS
    assert all(type(run["interrupts"][name]) is int for name in INTERRUPTS)
    assert list(run["latency_us"]) == ["p50", "p99", "max"]
    assert all(type(value) is float for value in run["latency_us"].values())
    for vector in run["vectors"]:
        assert list(vector) == ["vector", "event", "lpi", "vcpu", "count"]
        assert all(type(value) is int for value in vector.values())
    for vcpu in run["per_vcpu"]:
        assert list(vcpu) == ["vcpu", "interrupts", "sleeps"]
        assert all(type(value) is int for value in vcpu.values())


def check_counts(run):
    """Every count against the others, whatever came of the run."""
    i = run["interrupts"]
    assert all(i[name] >= 0 for name in INTERRUPTS), i
    assert i["lost"] == i["raised"] - i["merged_pba"] - i["merged_lpi"] - i["handled"], i
    assert i["sent"] == sum(i[name] for name in ("unrouted", "misdirected", "unmapped",
                                                 "no_collection", "disabled", "translated")), i
    assert i["acknowledged"] == i["handled"] + i["unhandled"], i
    assert sum(vector["count"] for vector in run["vectors"]) == i["handled"], run
    assert [vcpu["vcpu"] for vcpu in run["per_vcpu"]] == list(range(run["vcpus"]))
    assert sum(vcpu["interrupts"] for vcpu in run["per_vcpu"]) == i["acknowledged"], run
    # One vector for configuration, one for each queue; queue q on vCPU q.
    assert [vector["vector"] for vector in run["vectors"]] == list(range(run["queues"] + 1))
    assert [vector["event"] for vector in run["vectors"]] == list(range(run["queues"] + 1))
    lpis = [vector["lpi"] for vector in run["vectors"]]
    assert len(set(lpis)) == len(lpis) and all(8192 <= lpi < 16384 for lpi in lpis), lpis
    assert all(vector["vcpu"] < run["vcpus"] for vector in run["vectors"])
    assert run["latency_us"]["p50"] <= run["latency_us"]["p99"] <= run["latency_us"]["max"]


def good_run(*args, **more):
    """`peal run ARGS --json` ended well and all its counts agree."""
    result = peal("run", *args, "--json", **more)
    assert result.code == 0, result
    assert result.err == "", result
    run = parse(result)
    check_counts(run)
    assert run["ok"] is True and run["interrupted"] is False, result
    assert run["error"] is None and run["diagnosis"] is None, result
    assert run["sha256"] == run["sha256_file"], result
    i = run["interrupts"]
    assert i["lost"] == 0 and i["unhandled"] == 0, i
    assert i["translated"] == i["sent"] and i["dropped"] == 0, i
    assert i["handled"] > 0 and i["spurious"] <= i["handled"], i
    assert run["requests"] > 0 and run["seconds"] > 0, result
    return run
