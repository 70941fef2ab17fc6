"""Every way in which a run can end, on every backend, and that the next run is none the wiser."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.jobs import Report
from sandbox.outcome import Outcome

Run = Callable[..., Report]

GOOD = "def f(x):\n    return x + 1\n"
FIND_SOCKET = """
import json, os, stat, struct
def sock():
    for fd in range(3, 64):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                return fd
        except OSError:
            pass
def frame(value):
    body = json.dumps(value).encode()
    os.write(sock(), struct.pack(">I", len(body)) + body)
"""

CASES: dict[str, tuple[str, dict[str, Any], Outcome]] = {
    "right": (GOOD, {}, Outcome.PASSED),
    "wrong": ("def f(x): return 3", {}, Outcome.FAILED),
    "no builtin value": ("def f(x): return object()", {}, Outcome.FAILED),
    "raises": ("def f(x): raise ValueError(x)", {}, Outcome.ERROR),
    "raises at import": ("raise ValueError(3)", {}, Outcome.ERROR),
    "no such function": ("def g(x): return x + 1", {}, Outcome.ERROR),
    "SystemExit": ("def f(x): raise SystemExit(0)", {}, Outcome.ERROR),
    "SystemExit at import": ("import sys\nsys.exit(0)", {}, Outcome.ERROR),
    "KeyboardInterrupt": ("def f(x): raise KeyboardInterrupt", {}, Outcome.ERROR),
    "recursion": ("def f(x): return f(x)", {}, Outcome.ERROR),
    "syntax": ("def f(x) return x + 1", {}, Outcome.SYNTAX),
    "cpu": ("def f(x):\n    for _ in iter(int, 1): pass", {"cpu_seconds": 1}, Outcome.TIMEOUT),
    "cpu at import": ("for _ in iter(int, 1): pass", {"cpu_seconds": 1}, Outcome.TIMEOUT),
    "sleeps": (
        "import time\ndef f(x): time.sleep(60)",
        {"wall_seconds": 0.4},
        Outcome.TIMEOUT,
    ),
    "sleeps and ignores signals": (
        "import signal, time\nfor n in range(1, 65):\n"
        "    try: signal.signal(n, signal.SIG_IGN)\n    except (OSError, ValueError): pass\n"
        "def f(x):\n    while True: time.sleep(60)",
        {"wall_seconds": 0.4},
        Outcome.TIMEOUT,
    ),
    "one large allocation": ("def f(x): return len(bytearray(10**10))", {}, Outcome.MEMORY),
    "many allocations": (
        "kept = []\ndef f(x):\n    while True: kept.append(bytearray(1 << 20))",
        {"memory_mb": 64},
        Outcome.MEMORY,
    ),
    "threads": (
        "import threading, time\ndef f(x):\n"
        "    while True: threading.Thread(target=time.sleep, args=(60,)).start()",
        {"pids": 12},
        Outcome.PIDS,
    ),
    "processes": (
        "import os, time\ndef f(x):\n    while True:\n"
        "        if os.fork() == 0:\n            time.sleep(60)",
        {"pids": 12},
        Outcome.PIDS,
    ),
    "large file": (
        "def f(x):\n    with open('big', 'wb') as file:\n"
        "        while True: file.write(bytes(1 << 16))",
        {"file_mb": 1},
        Outcome.DISK,
    ),
    "many files": (
        "def f(x):\n    for i in range(10**6):\n        open(str(i), 'wb').write(bytes(1 << 20))",
        {},
        Outcome.DISK,
    ),
    "many empty files": (
        "def f(x):\n    for i in range(10**6): open(str(i), 'wb').close()",
        {},
        Outcome.DISK,
    ),
    "output": ("def f(x):\n    while True: print('x' * 1000)", {}, Outcome.OUTPUT),
    "_exit": ("import os\ndef f(x): os._exit(0)", {}, Outcome.CRASH),
    "_exit at import": ("import os\nos._exit(0)", {}, Outcome.CRASH),
    "segmentation fault": (
        "import ctypes\ndef f(x): return ctypes.string_at(0)",
        {},
        Outcome.CRASH,
    ),
    "abort": ("import os\ndef f(x): os.abort()", {}, Outcome.CRASH),
    "kills itself": (
        "import os, signal\ndef f(x): os.kill(os.getpid(), signal.SIGKILL)",
        {},
        Outcome.CRASH,
    ),
    "closes everything": ("import os\ndef f(x): os.closerange(0, 256)", {}, Outcome.CRASH),
    "garbage": (
        FIND_SOCKET + "def f(x): os.write(sock(), b'\\0\\0\\0\\4abcd')",
        {},
        Outcome.PROTOCOL,
    ),
    "half a frame": (
        FIND_SOCKET + "def f(x):\n    os.write(sock(), b'\\0\\0')\n    os._exit(0)",
        {},
        Outcome.PROTOCOL,
    ),
    "a reply too many": (
        FIND_SOCKET + "def f(x):\n    frame({'r': 1, 'v': 3})\n    return 3",
        {},
        Outcome.PROTOCOL,
    ),
    "a reply ahead of its call": (
        FIND_SOCKET + "frame({'r': 0, 'v': None})\nframe({'r': 2, 'v': 3})\n" + GOOD,
        {},
        Outcome.PROTOCOL,
    ),
    "an oversized frame": (
        FIND_SOCKET + "def f(x): os.write(sock(), struct.pack('>I', 1 << 30))",
        {},
        Outcome.PROTOCOL,
    ),
    "an oversized reply": (
        "def f(x): return 'x' * (1 << 20)",
        {"reply_bytes": 1 << 16},
        Outcome.PROTOCOL,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_outcome(run: Run, case: str) -> None:
    program, limits, expected = CASES[case]
    report = run(program, limits=limits)
    assert report.outcome is expected, report
    assert report.wall_seconds < 5
    if expected is not Outcome.PASSED:
        assert report.detail
        assert any(test.outcome is not Outcome.PASSED for test in report.tests)


def test_a_fork_bomb_is_contained(run: Run) -> None:
    report = run("import os\ndef f(x):\n    while True: os.fork()", limits={"pids": 12})
    assert report.outcome not in (Outcome.PASSED, Outcome.INFRA)
    assert report.wall_seconds < 10
    assert run(GOOD).outcome is Outcome.PASSED


def test_a_fork_bomb_with_sleepers_is_contained(run: Run) -> None:
    program = (
        "import os, time\nfor i in range(200):\n    try: os.fork()\n    except OSError: pass\n"
    )
    report = run(program + "time.sleep(0.2)\n" + GOOD, limits={"pids": 12, "wall_seconds": 2})
    # They answer at the same time, and rightly: which of them is heard is open.
    assert report.outcome is not Outcome.INFRA
    assert report.wall_seconds < 10
    assert run(GOOD).outcome is Outcome.PASSED


def test_a_child_process_has_no_more_memory(run: Run) -> None:
    program = """
        import os
        def f(x):
            pid = os.fork()
            if pid == 0:
                try:
                    bytearray(1 << 30)
                except MemoryError:
                    os._exit(7)
                os._exit(0)
            return x + 1 if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7 else 0
    """
    assert run(textwrap.dedent(program)).outcome is Outcome.PASSED


def test_limits_can_not_be_raised(run: Run) -> None:
    program = """
        import resource
        for name in ("CPU", "AS", "NPROC", "FSIZE", "NOFILE", "CORE"):
            what = getattr(resource, "RLIMIT_" + name)
            soft, hard = resource.getrlimit(what)
            if soft != hard or hard == resource.RLIM_INFINITY:
                print("no limit", name)
            try:
                resource.setrlimit(what, (hard + 1, hard + 1))
                print("raised", name)
            except (ValueError, OSError):
                print("refused", name)
        def f(x): return x + 1
    """
    report = run(textwrap.dedent(program))
    assert report.outcome is Outcome.PASSED
    names = ("CPU", "AS", "NPROC", "FSIZE", "NOFILE", "CORE")
    assert report.output.split("\n") == [*(f"refused {name}" for name in names), ""]


def test_what_a_run_used_is_told(run: Run) -> None:
    program = "import time\nkept = b'x' * (50 << 20)\nend = time.process_time() + 0.3\n"
    report = run(program + "while time.process_time() < end: pass\n" + GOOD + "print('hello')\n")
    assert report.outcome is Outcome.PASSED
    assert 0.3 <= report.cpu_seconds < 2
    assert report.wall_seconds >= 0.3
    assert report.memory_bytes > 50 << 20
    assert report.calls == 2
    assert report.output == "hello\n"


@pytest.mark.parametrize("language", ["python", "bash"])
@pytest.mark.parametrize("ending", ["right", "wrong", "error", "timeout", "output", "syntax"])
def test_a_program(run: Run, language: str, ending: str) -> None:
    cases = [
        {"name": "three", "stdin": "3\n", "stdout": "4\n", "args": [], "weight": 1.0},
        {"name": "five", "stdin": "5", "stdout": "6", "args": [], "weight": 1.0},
    ]
    programs = {
        ("python", "right"): "print(int(input()) + 1)",
        ("bash", "right"): "read x\necho $((x + 1))",
        ("python", "wrong"): "print(4)",
        ("bash", "wrong"): "echo 4",
        ("python", "error"): "raise SystemExit(3)",
        ("bash", "error"): "exit 3",
        ("python", "timeout"): "import time\ntime.sleep(60)",
        ("bash", "timeout"): "sleep 60",
        ("python", "output"): "while True: print('x' * 1000)",
        ("bash", "output"): "while true; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxx; done",
        ("python", "syntax"): "print(",
        ("bash", "syntax"): "if then fi",
    }
    expected = {
        "right": (Outcome.PASSED, [Outcome.PASSED, Outcome.PASSED]),
        "wrong": (Outcome.FAILED, [Outcome.PASSED, Outcome.FAILED]),
        "error": (Outcome.ERROR, [Outcome.ERROR, Outcome.ERROR]),
        "timeout": (Outcome.TIMEOUT, [Outcome.TIMEOUT, Outcome.TIMEOUT]),
        "output": (Outcome.OUTPUT, [Outcome.OUTPUT, Outcome.OUTPUT]),
        "syntax": (Outcome.ERROR, [Outcome.ERROR, Outcome.ERROR]),
    }[ending]
    report = run(
        programs[language, ending],
        tests=({"kind": "stdio", "cases": cases},),
        kind="program",
        language=language,
        limits={"wall_seconds": 0.4, "output_bytes": 10_000}
        if ending in ("timeout", "output")
        else {},
    )
    assert (report.outcome, [test.outcome for test in report.tests]) == expected, report


def test_a_program_takes_arguments(run: Run) -> None:
    case = {"name": "a", "stdin": "", "stdout": "x y\n", "args": ["x", "y"], "weight": 1.0}
    report = run(
        "import sys\nprint(*sys.argv[1:])", tests=({"kind": "stdio", "cases": [case]},),
        kind="program",
    )  # fmt: skip
    assert report.outcome is Outcome.PASSED


PROPERTY = {
    "kind": "pytest",
    "source": (
        "import pytest\nfrom hypothesis import given, strategies as st\nfrom solution import f\n"
        "@given(st.integers())\ndef test_any(x):\n    assert f(x) == x + 1\n"
        "@pytest.mark.parametrize('x', [1, 2])\ndef test_some(x):\n    assert f(x) == x + 1\n"
    ),
    "filename": "test_f.py",
    "weights": {},
}


def test_properties(run: Run) -> None:
    assert run(GOOD, tests=(PROPERTY,)).outcome is Outcome.PASSED
    report = run("def f(x): return x + 1 if x < 100 else 0", tests=(PROPERTY,))
    assert report.outcome is Outcome.FAILED
    outcomes = [(test.name, test.outcome) for test in report.tests]
    assert outcomes == [
        ("test_any", Outcome.FAILED),
        ("test_some[1]", Outcome.PASSED),
        ("test_some[2]", Outcome.PASSED),
    ]


def test_a_class(run: Run) -> None:
    test = {
        "kind": "asserts",
        "source": (
            "def check(Counter):\n    c = Counter(3)\n    c.add(4)\n    assert c.total == 7\n"
            "    assert len(c) == 7\n    assert c == Counter(7)\n    assert c != 7\n"
        ),
        "function": "check",
        "filename": "tests.py",
        "weights": {},
    }
    program = """
        class Counter:
            def __init__(self, start): self.total = start
            def add(self, amount): self.total += amount
            def __len__(self): return self.total
            def __eq__(self, other): return self.total == other.total
    """
    fields = {"tests": (test,), "entry_point": "Counter", "kind": "class"}
    assert run(textwrap.dedent(program), **fields).outcome is Outcome.PASSED
    wrong = textwrap.dedent(program).replace("+= amount", "+= 1")
    assert run(wrong, **fields).outcome is Outcome.FAILED
