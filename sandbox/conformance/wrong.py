"""Wrong programs: each way to fail has its outcome, and a limit that is broken is named.

Whatever takes more than its share stops by itself, in case nothing else stops it.
"""

from __future__ import annotations

from typing import Any

from sandbox.jobs import Job

from .bench import RIGHT, WRONG, Bench, asserts, check, ending, job, must_end
from .model import Check, Unmet
from .right import ADDS_ONE_TO_INPUT, ANY_INTEGER, COUNTER, COUNTS, SORTS_IN_PLACE

FIND_SOCKET = """
import json, os, stat, struct
def sock():
    for fd in range(3, 256):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                return fd
        except OSError:
            pass
def raw(data):
    while data:
        data = data[os.write(sock(), data):]
def frame(value):
    body = json.dumps(value).encode()
    raw(struct.pack(">I", len(body)) + body)
"""
"""How a program finds its line to the judge, and writes a frame to it."""

BURNS = "import time\nend = time.process_time() + 20\nwhile time.process_time() < end: pass\n"

_Row = tuple[str, str, str, dict[str, Any], str]
_FAIL: list[_Row] = [
    ("a wrong answer", "A wrong answer is `failed`.", WRONG, {}, "failed"),
    ("no builtin value", "A function has to return builtin values.",
     "def f(x): return object()", {}, "failed"),
    ("an exception", "A program that raises is `error`.",
     "def f(x): raise ValueError(x)", {}, "error"),
    ("an exception at import", "So is one that can't be imported.", "raise ValueError(3)", {},
     "error"),
    ("no such function", "So is one that lacks what is asked for.", "def g(x): return x + 1", {},
     "error"),
    ("SystemExit", "Leaving is no answer and does not unwind the judge.",
     "def f(x): raise SystemExit(0)", {}, "error"),
    ("KeyboardInterrupt", "Neither does an interrupt.",
     "def f(x): raise KeyboardInterrupt", {}, "error"),
    ("endless recursion", "Python's own limit is `error`.", "def f(x): return f(x)", {}, "error"),
    ("no Python", "A program that can't be parsed is `syntax`.",
     "def f(x) return x + 1", {}, "syntax"),
    ("one large allocation", "More memory than allowed is `memory`.",
     "def f(x): return len(bytearray(2 << 30))", {"memory_mb": 128}, "memory"),
    ("many small allocations", "Also by drops.",
     "kept = []\ndef f(x):\n    for _ in range(1024): kept.append(bytearray(1 << 20))",
     {"memory_mb": 64}, "memory"),
    ("threads", "More threads than allowed is `pids`.",
     "import threading, time\ndef f(x):\n    for _ in range(100):\n"
     "        threading.Thread(target=time.sleep, args=(5,), daemon=True).start()",
     {"pids": 12}, "pids"),
    ("processes", "More processes than allowed is `pids`.",
     "import os, time\ndef f(x):\n    for _ in range(100):\n        if os.fork() == 0:\n"
     "            time.sleep(5)\n            os._exit(0)", {"pids": 12}, "pids"),
    ("a large file", "A file that is too large is `disk`.",
     "def f(x):\n    with open('big', 'wb') as file:\n"
     "        for _ in range(64): file.write(bytes(1 << 16))", {"file_mb": 1}, "disk"),
    ("many files", "A scratch space that is full is `disk`.",
     "def f(x):\n    for n in range(64):\n        open(str(n), 'wb').write(bytes(1 << 20))", {},
     "disk"),
    ("output", "More output than allowed is `output`.",
     "def f(x):\n    for _ in range(1 << 12): print('x' * 2000)", {"output_bytes": 1 << 16},
     "output"),
    ("os._exit in a call", "An end without an answer is `crash`.",
     "import os\ndef f(x): os._exit(0)", {}, "crash"),
    ("os._exit at import", "Also before the first call.", "import os\nos._exit(0)", {}, "crash"),
    ("a segmentation fault", "Also by a signal.",
     "import ctypes\ndef f(x): return ctypes.string_at(0)", {}, "crash"),
    ("SIGKILL", "Also by its own hand.",
     "import os, signal\ndef f(x): os.kill(os.getpid(), signal.SIGKILL)", {}, "crash"),
    ("garbage for a reply", "A reply that is none is `protocol`.",
     FIND_SOCKET + "def f(x): raw(b'\\0\\0\\0\\4abcd')", {}, "protocol"),
    ("half a reply", "Also one that ends too early.",
     FIND_SOCKET + "def f(x):\n    raw(b'\\0\\0')\n    os._exit(0)", {}, "protocol"),
    ("an oversized reply", "Also one that is too large.",
     FIND_SOCKET + "def f(x): raw(struct.pack('>I', 1 << 30))", {}, "protocol"),
]  # fmt: skip


def _other(name: str, proves: str, work: Job, *outcomes: str, saying: str = "") -> Check:
    return ending("wrong", name, proves, work, *outcomes, saying=saying)


@check("wrong", "half right", "Every assertion has its own result, and one failure ends no other.")
async def _half(bench: Bench) -> str:
    report = await bench.run(job(WRONG))
    must_end(report, "failed")
    outcomes = [str(test.outcome) for test in report.tests]
    if outcomes != ["passed", "failed"]:
        raise Unmet(f"its two assertions ended as {outcomes}")
    return ""


@check("wrong", "tests that can't be used", "Broken tests are told from a broken program.")
async def _broken(bench: Bench) -> str:
    report = await bench.run(job(RIGHT, asserts("assert f(2 == 3")))
    must_end(report, "error")
    if not report.broken:
        raise Unmet("the report doesn't say that the tests are broken")
    return ""


_SLEEPS = "import time\ndef f(x): time.sleep(20)"
CHECKS = [
    *(
        ending("wrong", name, proves, job(program, limits=limits), outcome)
        for name, proves, program, limits, outcome in _FAIL
    ),
    _half,
    _other(
        "cpu time",
        "Cpu time that is used up is `timeout`, and the detail says so.",
        job(BURNS + RIGHT, limits={"cpu_seconds": 1}),
        "timeout",
        saying="cpu",
    ),
    _other(
        "wall time",
        "Waiting costs wall time, and is `timeout`, too.",
        job(_SLEEPS, limits={"wall_seconds": 0.5}),
        "timeout",
        saying="wall",
    ),
    _other(
        "a property that doesn't hold",
        "Hypothesis finds what plain examples miss.",
        job("def f(x): return x + 1 if x < 100 else 0", ANY_INTEGER),
        "failed",
    ),
    _other(
        "a class that is wrong",
        "A method that does the wrong thing fails.",
        job(COUNTER.replace("+= amount", "+= 1"), COUNTS, entry_point="Counter", kind="class"),
        "failed",
    ),
    _other(
        "arguments left as they were",
        "A right result is not enough where arguments have to be changed.",
        job("def f(a): return sorted(a)", SORTS_IN_PLACE, mutates=True),
        "failed",
    ),
    _other(
        "wrong standard output",
        "A program that prints something else fails.",
        job("print(4)", ADDS_ONE_TO_INPUT, kind="program", entry_point=""),
        "failed",
    ),
    _other(
        "an exit status",
        "A program that prints the right thing and ends with a fault is `error`.",
        job(
            "print(int(input()) + 1)\nraise SystemExit(3)",
            ADDS_ONE_TO_INPUT,
            kind="program",
            entry_point="",
        ),
        "error",
    ),
    _broken,
]
