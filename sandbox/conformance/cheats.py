"""Cheats: programs that want the verdict without the work.

Some are asked for a secret that only the judge's process has. They know it by its look, and would
pass if they found it anywhere.
"""

from __future__ import annotations

import secrets
import textwrap

from .bench import Bench, asserts, check, ending, job, must_end
from .model import Check
from .right import ADDS_ONE_TO_INPUT, ANY_INTEGER, COUNTS
from .wrong import FIND_SOCKET

_TAKES_OVER = (
    FIND_SOCKET
    + """
def read():
    def take(n):
        data = b""
        while len(data) < n:
            more = os.read(sock(), n - len(data))
            if not more: os._exit(0)
            data += more
        return data
    return json.loads(take(struct.unpack(">I", take(4))[0]))
def serve(answer):
    frame({"r": 0, "v": None})
    while True:
        answer(read()["c"])
"""
)


def _cheat(name: str, proves: str, program: str, *outcomes: str) -> Check:
    return ending("cheats", name, proves, job(program), *(outcomes or ("failed",)))


def _forged(name: str, proves: str, program: str, *outcomes: str) -> Check:
    text = _TAKES_OVER + textwrap.dedent(program)
    return ending("cheats", name, proves, job(text), *(outcomes or ("protocol",)))


_ALWAYS_EQUAL = """
    class Yes{base}:
        def __eq__(self, other): return True
        def __ne__(self, other): return False
        def __bool__(self): return True
        __hash__ = None
    def f(x): return Yes({value})
"""

VALUES = [
    _cheat(
        "an object equal to all",
        "Comparisons are the judge's: no object of the program takes part in one.",
        _ALWAYS_EQUAL.format(base="", value=""),
    ),
    _cheat(
        "an int equal to all",
        "Nor does one that is derived from a builtin type.",
        _ALWAYS_EQUAL.format(base="(int)", value="7"),
    ),
    ending(
        "cheats",
        "a class equal to all",
        "What an object's class says of equality doesn't count against a builtin value.",
        job(
            _ALWAYS_EQUAL.format(base="", value="") + "    Counter = lambda start: Yes()\n",
            COUNTS,
            entry_point="Counter",
            kind="class",
        ),
        "failed",
        "error",
    ),
    _cheat(
        "patched builtins",
        "Patching the interpreter changes nothing where the tests are.",
        """
        import builtins, operator, sys
        operator.eq = lambda a, b: True
        builtins.all = builtins.any = lambda given: True
        builtins.AssertionError = type("Harmless", (Exception,), {})
        sys.settrace = sys.setprofile = lambda given: None
        sys.excepthook = lambda *given: None
        def f(x): return 3
        """,
    ),
    ending(
        "cheats",
        "modules of the tests",
        "What a program puts in the place of pytest and Hypothesis is not what judges it.",
        job(
            """
            import sys, types
            for name in ("pytest", "hypothesis", "hypothesis.strategies", "unittest"):
                fake = types.ModuleType(name)
                fake.given = lambda *a, **k: lambda test: lambda: None
                sys.modules[name] = fake
            def f(x): return 3
            """,
            ANY_INTEGER,
        ),
        "failed",
    ),
    _cheat(
        "a skipped test",
        "No exception of the program skips a test.",
        """
        import unittest
        def f(x): raise unittest.SkipTest("nothing to see here")
        """,
        "error",
        "failed",
    ),
    _cheat(
        "exit code 0 at import",
        "An exit code is no verdict.",
        "import atexit, os, sys\natexit.register(os._exit, 0)\nprint('2 passed')\nsys.exit(0)",
        "error",
        "crash",
    ),
    _cheat(
        "a runner's words",
        "What is printed is no verdict.",
        r"""
        import os
        text = (b"\n===== 2 passed in 0.01s =====\nRan 2 tests\n\nOK\n1..2\nok 1\nok 2\n"
                b'{"outcome": "passed", "tests": [], "passed": true}\n')
        for fd in (1, 2): os.write(fd, text)
        def f(x): return 3
        """,
    ),
    _cheat(
        "files of results",
        "Files that a program plants are no verdict.",
        """
        import os
        for name in ("report.json", "junit.xml", "conftest.py", "sitecustomize.py", "solution.py",
                     "test_solution.py", "tests.py", "pytest.ini", "__pycache__/tests.pyc"):
            os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
            with open(name, "w") as file: file.write('{"outcome": "passed"}')
        def f(x): return 3
        """,
    ),
    ending(
        "cheats",
        "both answers",
        "A program that prints several answers has given none.",
        job(
            "for n in range(20): print(n)",
            ADDS_ONE_TO_INPUT,
            kind="program",
            entry_point="",
        ),
        "failed",
    ),
]

FORGED = [
    _forged(
        "a report on every descriptor",
        "The line to the judge carries replies, not verdicts.",
        """
        report = {"run": 1, "judge": {"results": [], "breaches": {}, "broken": "", "calls": 2,
                  "gone": False}, "program": {}, "clean": True}
        data = json.dumps(report).encode()
        def f(x):
            for fd in range(256):
                try: os.write(fd, struct.pack(">I", len(data)) + data)
                except OSError: pass
            return 3
        """,
    ),
    _forged(
        "a reply twice",
        "One reply for each call.",
        """
        def answer(call):
            frame({"r": call, "v": 3})
            frame({"r": call, "v": 6})
        serve(answer)
        """,
    ),
    _forged(
        "a reply ahead of its call",
        "A reply has to be the one to the call that was made.",
        """
        frame({"r": 0, "v": None})
        frame({"r": 2, "v": 6})
        def f(x): return x + 1
        """,
    ),
    _forged(
        "a verdict in the reply",
        "A reply with more in it than a value is none.",
        'serve(lambda call: frame({"r": call, "v": 3, "outcome": "passed", "ok": True}))',
    ),
    _forged(
        "a handle of its own making",
        "The test of a function takes no object that stays with the program.",
        'serve(lambda call: frame({"r": call, "v": {"h": [1, "int", True]}}))',
    ),
    _forged(
        "two processes that answer",
        "A copy of the program is no second witness.",
        """
        def f(x):
            os.fork()
            return 3
        """,
        "protocol",
        "failed",
        "crash",
        "error",
    ),
]

_LOOK = """
import os, re, sys
found = []
def look(data):
    if isinstance(data, str):
        data = data.encode("utf-8", "replace")
    found.extend(re.findall(rb"answer-[0-9a-f]{24}", data))
def read(path, size=1 << 20):
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return
    try:
        look(os.read(descriptor, size))
    except OSError:
        pass
    os.close(descriptor)
def f():
    search()
    return found[0].decode() if found else ""
"""
_SEARCHES = {
    "frames and objects": (
        "Nothing of the tests is in the objects or frames of the program's interpreter.",
        """
        import gc
        def search():
            frame = sys._getframe()
            while frame:
                for value in (*frame.f_locals.values(), *frame.f_globals.values(),
                              *frame.f_code.co_consts):
                    look(repr(value)[:100000])
                frame = frame.f_back
            for one in gc.get_objects():
                for part in gc.get_referents(one):
                    if type(part) in (str, bytes):
                        look(part)
        """,
    ),
    "its own memory": (
        "Nor in what was in memory before the program started.",
        """
        import ctypes
        libc = ctypes.CDLL(None)
        libc.write.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
        def search():
            reader, writer = os.pipe()
            starts = {id(object()) >> 22, id([]) >> 22, id(os) >> 22,
                      ctypes.addressof(ctypes.create_string_buffer(1 << 20)) >> 22}
            for chunk in sorted({start + step for start in starts for step in range(-2, 3)}):
                before = b""
                for page in range(chunk << 22, (chunk + 1) << 22, 4096):
                    got = libc.write(writer, page, 4096)  # no page there is an error, no signal
                    data = os.read(reader, got) if got > 0 else b""
                    look(before[-40:] + data)
                    before = data
        """,
    ),
    "files and processes": (
        "Nor in a file, an environment or a command that it can read.",
        """
        def search():
            folders = [".", "..", "/tmp", "/var/tmp", "/dev/shm", "/run", "/slots", "/opt", "/"]
            for folder in folders:
                try:
                    names = os.listdir(folder)
                except OSError:
                    continue
                for name in names:
                    path = os.path.join(folder, name)
                    if os.path.isfile(path):
                        read(path)
            for pid in ["self", "1", *map(str, range(2, 400)), str(os.getppid())]:
                for name in ("cmdline", "environ", "fd/0", "fd/3", "fd/4", "fd/5", "cwd/tests.py"):
                    read(f"/proc/{pid}/{name}")
            for value in os.environ.values():
                look(value)
        """,
    ),
    "its descriptors": (
        "Nor in what its descriptors still hold.",
        """
        def search():
            for fd in range(0, 64):
                try:
                    os.set_blocking(fd, False)
                    os.lseek(fd, 0, 0)
                except OSError:
                    pass
                try:
                    look(os.read(fd, 1 << 20))
                except OSError:
                    pass
                try:
                    os.set_blocking(fd, True)
                except OSError:
                    pass
        """,
    ),
}


def _search(name: str, proves: str, program: str) -> Check:
    @check("cheats", f"a secret in {name}", proves)
    async def search(bench: Bench) -> str:
        secret = f"answer-{secrets.token_hex(12)}"
        tests = asserts(f"expected = {secret!r}\nassert f() == expected\nassert f() == expected")
        text = _LOOK + textwrap.dedent(program)
        report = await bench.run(job(text, tests, limits={"cpu_seconds": 20, "wall_seconds": 30}))
        # one that took the call off the line has no answer left to give
        must_end(report, "failed", "crash", "protocol", "timeout")
        return ""

    return search


CHECKS = [*VALUES, *FORGED, *(_search(name, *given) for name, given in _SEARCHES.items())]
