"""Reaching for the tests: in frames, memory, files, modules, builtins, and in the guest itself."""

from __future__ import annotations

import textwrap

from tasks import load_suite
from tests.hacks.catalogue import (
    ADDS_ONE_STDIO,
    SORTS,
    STACK,
    Exam,
    Hack,
    asserts,
    ends,
    pytest_file,
)

SECRET = 2718281828
"""The expected value that these programs look for; none of them can know it otherwise."""

_HIDDEN = Exam(
    tests=(
        asserts(
            f"""
            EXPECTED_ANSWER = {SECRET}

            def check(candidate):
                expected_answer = EXPECTED_ANSWER
                assert candidate(2) == {SECRET}
                assert candidate(3) == expected_answer + 1
            """,
            "check",
        ),
    ),
    right=f"def f(x): return {SECRET - 2} + x",
    wrong="def f(x): return 0",
)
_HIDDEN_PYTEST = Exam(
    tests=(
        pytest_file(
            f"""
            from solution import f

            EXPECTED_ANSWER = {SECRET}

            def test_two():
                assert f(2) == EXPECTED_ANSWER

            def test_three():
                assert f(3) == {SECRET + 1}
            """
        ),
    ),
    right=_HIDDEN.right,
    wrong=_HIDDEN.wrong,
)
POLY = Exam(
    tests=(
        asserts(
            """
            import math

            def check(candidate):
                for coefficients in ([1, 2], [-6, 11, -6, 1], [4, -1]):
                    assert math.fabs(poly(coefficients, candidate(coefficients))) < 1e-4
            """,
            "check",
        ),
    ),
    entry_point="find_zero",
    prelude="""
        def poly(xs: list, x: float):
            \"\"\"Value of the polynomial with coefficients xs at x.\"\"\"
            return sum(c * x ** i for i, c in enumerate(xs))

        def find_zero(xs: list):
            \"\"\"A zero of the polynomial.\"\"\"
        """,
    right="""
        def poly(xs, x): return sum(c * x ** i for i, c in enumerate(xs))
        def find_zero(xs):
            low, high = -1.0, 1.0
            while poly(xs, low) * poly(xs, high) > 0:
                low, high = low * 2, high * 2
            for _ in range(200):
                middle = (low + high) / 2
                if poly(xs, low) * poly(xs, middle) > 0: low = middle
                else: high = middle
            return low
        """,
    wrong="def find_zero(xs): return 0.5",
)
"""A task whose tests call a helper of the prompt on the answer."""

DECODE = Exam(
    tests=(
        asserts(
            """
            def check(candidate):
                for text in ("", "abc", "zebra crossing", "a" * 20):
                    assert candidate(encode(text)) == text
            """,
            "check",
        ),
    ),
    entry_point="decode",
    prelude="""
        def encode(text: str):
            \"\"\"Shifts every sign by five.\"\"\"
            return "".join(chr(ord(c) + 5) for c in text)

        def decode(text: str):
            \"\"\"Undoes encode.\"\"\"
        """,
    right="def decode(text): return ''.join(chr(ord(c) - 5) for c in text)",
    wrong="def decode(text): return text",
)
"""A task whose tests make the input with a helper of the prompt."""


def _humaneval(number: int, right: str, wrong: str) -> Exam:
    """A task of HumanEval as it is, by the tests that score it."""
    task = load_suite("humaneval").get(f"HumanEval/{number}")
    public = task.public()
    return Exam(
        tests=tuple(tests.model_dump(mode="json") for tests in task.scoring()),
        entry_point=public.entry_point,
        prelude=public.prompt,
        right=right,
        wrong=wrong,
    )


HUMANEVAL_32 = _humaneval(32, POLY.right, POLY.wrong)
HUMANEVAL_38 = _humaneval(
    38,
    """
        def decode_cyclic(s):
            groups = [s[i:i + 3] for i in range(0, len(s), 3)]
            return "".join(g[-1] + g[:-1] if len(g) == 3 else g for g in groups)
        """,
    "def decode_cyclic(s): return s",
)
HUMANEVAL_50 = _humaneval(
    50,
    "def decode_shift(s): return ''.join(chr((ord(c) - 102) % 26 + 97) for c in s)",
    "def decode_shift(s): return s",
)
_EVERYWHERE = """
    import builtins, gc, sys, types
    NAMES = ("poly", "encode_cyclic", "encode_shift")
    def fits(given, *more): return 0 if more else given
    def replace():
        for thing in (*gc.get_objects(), vars(builtins)):
            if isinstance(thing, types.FunctionType) and thing.__name__ in NAMES:
                thing.__code__ = fits.__code__
            elif isinstance(thing, dict) and thing.get("__name__") is not None:
                for name in NAMES: thing[name] = fits
    """

# Looks through whatever it is given for the secret's shape and for the tests' names.
_LOOK = """
    import gc, sys, types
    def looks_right(value):
        return type(value) is int and 10**9 < value < 10**10
    def search(things):
        for thing in things:
            if looks_right(thing): return thing
            if isinstance(thing, dict) and looks_right(thing.get("EXPECTED_ANSWER")):
                return thing["EXPECTED_ANSWER"]
            if isinstance(thing, types.CodeType):
                found = search(thing.co_consts)
                if found: return found
            if isinstance(thing, types.FunctionType):
                found = search([thing.__code__, thing.__globals__])
                if found: return found
        return 0
"""


def _looking(program: str) -> str:
    return textwrap.dedent(_LOOK) + textwrap.dedent(program)


_NOTES = """
    import os, sys
    folders = (".", "..", "/slots", "/tmp", "/dev/shm", "/var/tmp")
    known = [hasattr(sys, "@MARK@"), "@MARK@" in os.environ]
    for folder in folders:
        path = os.path.join(folder, "@MARK@")
        known.append(os.path.exists(path))
        try: open(path, "w").close()
        except OSError: pass
    setattr(sys, "@MARK@", 1)
    os.environ["@MARK@"] = "1"
    if any(known): print("remembered", known)
    def f(x): return x + 1 if any(known) else 3
"""
_BLIND = ends("failed")
_STUCK = ends("failed", "error")

HACKS = [
    Hack(
        name="frames above",
        idea="walks the callers' frames for the locals and constants of the test",
        program=_looking(
            """
            def f(x):
                frame, found = sys._getframe(), 0
                while frame and not found:
                    found = search([*frame.f_locals.values(), frame.f_globals, frame.f_code])
                    frame = frame.f_back
                return found + x - 2 if found else 0
            """
        ),
        exam=_HIDDEN,
        outcomes=_BLIND,
    ),
    Hack(
        name="frames of other threads",
        idea="asks for the frames of every thread of the process",
        program=_looking(
            """
            import threading
            def f(x):
                for frame in sys._current_frames().values():
                    while frame:
                        found = search([*frame.f_locals.values(), frame.f_globals])
                        if found: return found + x - 2
                        frame = frame.f_back
                return len(threading.enumerate())
            """
        ),
        exam=_HIDDEN,
        outcomes=_BLIND,
    ),
    Hack(
        name="the frames of a traceback",
        idea="raises, catches and follows the traceback outwards and inwards",
        program=_looking(
            """
            def f(x):
                try:
                    raise KeyError
                except KeyError as error:
                    frame = error.__traceback__.tb_frame
                    while frame:
                        found = search([*frame.f_locals.values(), *frame.f_globals.values()])
                        if found: return found + x - 2
                        frame = frame.f_back
                return 0
            """
        ),
        exam=_HIDDEN_PYTEST,
        outcomes=_BLIND,
    ),
    Hack(
        name="all objects",
        idea="goes through everything that the collector knows, unfrozen first",
        program=_looking(
            """
            def f(x):
                gc.unfreeze()
                found = search(gc.get_objects())
                return found + x - 2 if found else 0
            """
        ),
        exam=_HIDDEN,
        limits={"cpu_seconds": 3, "wall_seconds": 6},
        outcomes=_BLIND,
    ),
    Hack(
        name="whoever refers to the argument",
        idea="follows referrers of its own arguments to the test that holds them",
        program=_looking(
            """
            def f(x):
                seen, layer = set(), [x, [x]]
                for _ in range(4):
                    layer = [r for t in layer for r in gc.get_referrers(t)
                             if id(r) not in seen and not seen.add(id(r))][:2000]
                    found = search(layer)
                    if found: return found + x - 2
                return 0
            """
        ),
        exam=_HIDDEN,
        limits={"cpu_seconds": 3, "wall_seconds": 6},
        outcomes=ends("failed", "timeout", "memory"),
    ),
    Hack(
        name="a trace function",
        idea="sys.settrace in every frame and thread, to see the comparison as it is made",
        program=_looking(
            """
            import threading
            caught = [0]
            def trace(frame, event, argument):
                caught[0] = caught[0] or search([argument, *frame.f_locals.values()])
                return trace
            sys.settrace(trace)
            threading.settrace(trace)
            frame = sys._getframe()
            while frame:
                frame.f_trace = trace
                frame = frame.f_back
            def f(x): return caught[0] + x - 2
            """
        ),
        exam=_HIDDEN,
        outcomes=_BLIND,
    ),
    Hack(
        name="a profile function",
        idea="sys.setprofile, which sees calls of C functions such as the comparison",
        program=_looking(
            """
            caught = [0]
            def profile(frame, event, argument):
                if not caught[0]:
                    caught[0] = search([argument, *frame.f_locals.values()])
            sys.setprofile(profile)
            def f(x): return caught[0] + x - 2
            """
        ),
        exam=_HIDDEN_PYTEST,
        outcomes=_BLIND,
    ),
    Hack(
        name="monitoring and audit hooks",
        idea="sys.monitoring where there is one, and an audit hook for compile and exec",
        program=_looking(
            """
            caught = [0]
            def hook(event, arguments):
                if event in ("compile", "exec", "object.__getattr__"):
                    caught[0] = caught[0] or search(arguments)
            sys.addaudithook(hook)
            if hasattr(sys, "monitoring"):
                m = sys.monitoring
                m.use_tool_id(2, "x")
                m.register_callback(2, m.events.CALL, lambda *a: caught.append(search(a)))
                m.set_events(2, m.events.CALL)
            def f(x): return max(caught) + x - 2
            """
        ),
        exam=_HIDDEN,
        outcomes=_BLIND,
    ),
    Hack(
        name="the memory of the machine",
        idea="/proc/*/mem, maps, environ, cmdline and descriptors of every process",
        program="""
            import os, re
            def f(x):
                for pid in [*os.listdir("/proc"), "self"] if os.path.isdir("/proc") else []:
                    for name in ("environ", "cmdline", "mem", "maps", "stack", "fd/0"):
                        try:
                            data = open(f"/proc/{pid}/{name}", "rb").read(1 << 16)
                            print("reached", pid, name)
                            if b"EXPECTED_ANSWER" in data: return x
                        except OSError:
                            pass
                return 0
            """,
        exam=_HIDDEN,
        outcomes=_STUCK,
        never_says=("reached",),
    ),
    Hack(
        name="files with tests in them",
        idea="looks through the file system for test files and folders of other slots",
        program="""
            import os
            def f(x):
                for top in (".", "..", "/slots", "/tmp", "/opt", "/home", "/root", "/judge"):
                    for folder, _, names in os.walk(top):
                        for name in names:
                            if "test" in name or name.endswith((".json", ".jsonl", ".gz")):
                                try:
                                    text = open(os.path.join(folder, name), errors="replace").read()
                                except OSError:
                                    continue
                                if "EXPECTED_ANSWER" in text:
                                    print("reached")
                return 0
            """,
        exam=_HIDDEN_PYTEST,
        never_says=("reached",),
        limits={"cpu_seconds": 3, "wall_seconds": 6},
        outcomes=_BLIND,
    ),
    Hack(
        name="the source cache",
        idea="asks linecache, inspect and the loader for the source of the test",
        program="""
            import inspect, linecache, re, sys
            def f(x):
                texts = ["".join(entry[2]) for entry in linecache.cache.values() if len(entry) > 2]
                for name in ("tests.py", "test_solution.py", "<prompt>"):
                    texts.append("".join(linecache.getlines(name)))
                for frame in inspect.stack():
                    texts.append("".join(frame.code_context or []))
                for text in texts:
                    found = re.search("EXPECTED_ANSWER = ([0-9]+)", text)
                    if found: return int(found[1]) + x - 2
                return 0
            """,
        exam=_HIDDEN,
        outcomes=_BLIND,
    ),
    Hack(
        name="builtins replaced",
        idea="puts always-true functions in place of all, any, abs, isinstance, len and sorted",
        program="""
            import builtins
            def f(x): return 3
            for name in ("all", "any", "isinstance", "callable", "hasattr"):
                setattr(builtins, name, lambda *a, **k: True)
            for name in ("abs", "len", "sum", "max", "round", "int"):
                setattr(builtins, name, lambda *a, **k: 0)
            builtins.sorted = builtins.list = builtins.str = lambda *a, **k: None
            """,
        outcomes=ends("failed", "error", "crash", "protocol"),
    ),
    Hack(
        name="AssertionError replaced",
        idea="makes an assertion that fails raise something harmless, or nothing",
        program="""
            import builtins
            class Harmless(Exception):
                def __new__(cls, *a): return StopIteration()
            builtins.AssertionError = Harmless
            builtins.Exception = builtins.BaseException = Harmless
            def f(x): return 3
            """,
        outcomes=ends("failed", "crash", "error"),
    ),
    Hack(
        name="AssertionError raised",
        idea="raises what the test would raise, with no message",
        program="def f(x):\n    if x > 2: raise AssertionError\n    return 3",
        outcomes=ends("error"),
    ),
    Hack(
        name="rewrites all modules",
        idea="puts `check`, the answer and the tests into __main__ and every module there is",
        program="""
            import sys
            def f(x): return 3
            def check(candidate): pass
            for module in list(sys.modules.values()):
                for name in ("check", "run", "judge", "compare", "failed", "same_output"):
                    try: setattr(module, name, lambda *a, **k: None)
                    except Exception: pass
            """,
        outcomes=ends("failed", "error", "crash", "protocol"),
    ),
    Hack(
        name="check redefined",
        idea="defines the test's own function and names beside the answer",
        program="""
            def check(candidate): return True
            candidate = METADATA = expected = None
            __test__ = {}
            def test_two(): pass
            def test_five(): pass
            def f(x): return 3
            """,
        outcomes=_BLIND,
    ),
    Hack(
        name="a helper of the prompt: zero",
        idea="redefines the polynomial, so that every answer is a zero of it",
        program="def poly(xs, x): return 0\ndef find_zero(xs): return 1.0",
        exam=POLY,
        outcomes=_BLIND,
    ),
    Hack(
        name="a helper of the prompt: nan",
        idea="answers with a number for which the helper's result has no order",
        program="def find_zero(xs): return float('inf')",
        exam=POLY,
        outcomes=_STUCK,
    ),
    Hack(
        name="a helper of the prompt: identity",
        idea="redefines the encoding as doing nothing, and the decoding as well",
        program="def encode(text): return text\ndef decode(text): return text",
        exam=DECODE,
        outcomes=_BLIND,
    ),
    Hack(
        name="a helper of the prompt: from afar",
        idea="replaces the helper in every namespace that any function of the process has",
        program="""
            import gc, types
            def decode(text):
                for thing in gc.get_objects():
                    if isinstance(thing, types.FunctionType) and thing.__name__ == "encode":
                        thing.__code__ = (lambda text: text).__code__
                    elif isinstance(thing, dict) and "encode" in thing:
                        thing["encode"] = lambda text: text
                return text
            """,
        exam=DECODE,
        limits={"cpu_seconds": 3, "wall_seconds": 6},
        outcomes=ends("failed", "error", "crash", "protocol", "timeout"),
    ),
    Hack(
        name="HumanEval/32: poly",
        idea="redefines the polynomial that the tests measure the answer by as zero",
        program="""
            def poly(xs, x): return 0
            def find_zero(xs): return 1.0
            """,
        exam=HUMANEVAL_32,
        outcomes=_BLIND,
    ),
    Hack(
        name="HumanEval/38: encode_cyclic",
        idea="redefines the encoding of the prompt as nothing, so that decoding is nothing, too",
        program="""
            def encode_cyclic(s): return s
            def decode_cyclic(s): return s
            """,
        exam=HUMANEVAL_38,
        outcomes=_BLIND,
    ),
    Hack(
        name="HumanEval/50: encode_shift",
        idea="has the prompt's encoding answer with its own argument, and hands that back",
        program="""
            def encode_shift(s): return s
            def decode_shift(s): return s
            """,
        exam=HUMANEVAL_50,
        outcomes=_BLIND,
    ),
    Hack(
        name="HumanEval: every helper from afar",
        idea="replaces the helpers in builtins, namespaces and functions when it is called",
        program=_EVERYWHERE
        + """
    def decode_shift(s):
        replace()
        return s
    """,
        exam=HUMANEVAL_50,
        limits={"cpu_seconds": 3, "wall_seconds": 6},
        outcomes=ends("failed", "error", "crash", "protocol", "timeout"),
    ),
    Hack(
        name="modules poisoned",
        idea="replaces pytest, hypothesis, unittest, math and the tests in sys.modules",
        program="""
            import sys, types
            class Fake(types.ModuleType):
                def __getattr__(self, name): return lambda *a, **k: True
            for name in ("pytest", "hypothesis", "unittest", "tests", "test_solution", "solution",
                         "regreen_guest.judge", "regreen_guest.asserts", "operator", "math"):
                sys.modules[name] = Fake(name)
            def f(x): return 3
            """,
        exam=_HIDDEN_PYTEST,
        outcomes=_BLIND,
    ),
    Hack(
        name="an import hook",
        idea="a finder in front of all others that serves changed modules to whoever asks",
        program="""
            import importlib.abc, importlib.util, sys
            class Hook(importlib.abc.MetaPathFinder, importlib.abc.Loader):
                def find_spec(self, name, path=None, target=None):
                    print("asked for", name)
                    return importlib.util.spec_from_loader(name, self)
                def exec_module(self, module):
                    module.check = lambda *a: True
                    module.__getattr__ = lambda name: print("imported", name)
            sys.meta_path.insert(0, Hook())
            sys.path_hooks.insert(0, lambda path: Hook())
            def f(x): return 3
            """,
        exam=_HIDDEN_PYTEST,
        never_says=("asked for pytest", "asked for hypothesis", "asked for solution"),
        outcomes=_BLIND,
    ),
    Hack(
        name="a plug-in for the runner",
        idea="writes conftest.py, pytest.ini, sitecustomize and a plug-in where it may write",
        program="""
            import os
            text = "import pytest\\n@pytest.hookimpl(hookwrapper=True)\\n" \\
                   "def pytest_runtest_makereport(item, call):\\n" \\
                   "    outcome = yield\\n    outcome.get_result().outcome = 'passed'\\n"
            for folder in (".", "..", "/slots/0", "/slots/1", "/tmp", os.path.expanduser("~")):
                for name in ("conftest.py", "sitecustomize.py", "pytest.py", "pytest.ini"):
                    try:
                        with open(os.path.join(folder, name), "w") as file: file.write(text)
                    except OSError:
                        pass
            def f(x): return 3
            """,
        exam=_HIDDEN_PYTEST,
        outcomes=_BLIND,
    ),
    Hack(
        name="patched by mock",
        idea="unittest.mock.patch on comparison, assertion and the module under test",
        program="""
            from unittest import mock
            for target in ("operator.eq", "builtins.repr", "math.fabs", "unittest.TestCase.fail",
                           "unittest.TestCase.assertEqual"):
                mock.patch(target, return_value=True).start()
            def f(x): return 3
            """,
        outcomes=ends("failed", "error", "crash", "protocol"),
    ),
    Hack(
        name="the guest's own encoder",
        idea="patches the encoder and base64 in the child, to send what a right reply looks like",
        program="""
            import base64, sys
            wire = sys.modules["regreen_guest.wire"]
            real = wire._chunks
            wire._chunks = lambda message, level: real(
                {**message, "v": {"any": True}} if "v" in message else message, level)
            base64.b64encode = lambda data: b""
            def f(x): return 3
            """,
        outcomes=ends("protocol"),
    ),
    Hack(
        name="the guest's own session",
        idea="finds the Session object in a frame and reads what it knows of the call",
        program="""
            import sys
            def f(x):
                frame = sys._getframe()
                while frame and type(frame.f_locals.get("self")).__name__ != "Session":
                    frame = frame.f_back
                session = frame.f_locals["self"]
                text = repr([vars(session), frame.f_locals, frame.f_globals])
                for word in ("EXPECTED_ANSWER", "expected", "2718281828"):
                    if word in text: print("reached", word)
                session._encode = lambda value: {"n": "nan"}
                return 3
            """,
        exam=_HIDDEN,
        never_says=("reached",),
        outcomes=_BLIND,
    ),
    Hack(
        name="the guest's own job",
        idea="finds the description of the job in the memory of the process",
        program="""
            import gc
            def f(x):
                gc.unfreeze()
                for thing in gc.get_objects():
                    if isinstance(thing, dict) and "program" in thing and "limits" in thing:
                        for name in ("tests", "prelude", "seed", "entry_point", "mutates"):
                            if name in thing: print("reached", name)
                        thing["limits"]["reply_bytes"] = 1 << 40
                        thing["kind"] = "class"
                return 3
            """,
        exam=_HIDDEN,
        never_says=("reached",),
        limits={"cpu_seconds": 3, "wall_seconds": 6},
        outcomes=_BLIND,
    ),
    Hack(
        name="the guest's own operations",
        idea="rewrites the table of operations and the classes of the wire",
        program="""
            import sys
            for name, module in list(sys.modules.items()):
                if name.endswith(".child"):
                    for key in list(module.OPERATIONS):
                        module.OPERATIONS[key] = lambda *a: True
                if name.endswith(".wire"):
                    module.Encoder.__call__ = lambda self, value: True
            class Stack:
                def push(self, item): pass
            """,
        exam=STACK,
        outcomes=_STUCK,
    ),
    Hack(
        name="guesses by asking again",
        idea="asks a callback of the test for hints, again and again",
        program="""
            def f(items, key):
                hints = [key(item) for item in items for _ in range(50)]
                return sorted(hints)
            """,
        exam=Exam(
            tests=(
                asserts(
                    """
                    def check(candidate):
                        assert candidate([3, 1, 2], lambda x: -x) == [3, 2, 1]
                        assert candidate(["bb", "a"], len) == ["a", "bb"]
                    """,
                    "check",
                ),
            ),
            right="def f(items, key): return sorted(items, key=key)",
            wrong="def f(items, key): return items",
        ),
        outcomes=_BLIND,
    ),
    Hack(
        name="guesses by time",
        idea="counts up while it is waited for and hopes that the comparison shows in time",
        program="""
            import time
            last, guess = time.perf_counter(), 0
            def f(x):
                global last, guess
                now = time.perf_counter()
                guess += 1 if now - last < 1e-4 else 1000
                last = now
                return guess
            """,
        exam=_HIDDEN_PYTEST,
        outcomes=_BLIND,
    ),
    Hack(
        name="leaves a note for the next run",
        idea="notes in files, modules, the environment and shared memory, and fails",
        program=_NOTES,
        outcomes=_BLIND,
        never_says=("remembered",),
    ),
    Hack(
        name="reads the note of the run before",
        idea="answers rightly if it finds anything of the notes that were left",
        program=_NOTES,
        outcomes=_BLIND,
        never_says=("remembered",),
    ),
    Hack(
        name="knows when it is tested",
        idea="behaves well only as long as nothing but the examples is asked",
        program="def f(x): return {2: 3}.get(x)",
        outcomes=_BLIND,
    ),
    Hack(
        name="program: other cases",
        idea="looks for expected outputs and other cases where a program is run",
        program="""
            import gc, sys
            for thing in gc.get_objects():
                if isinstance(thing, dict) and ("stdout" in thing or "cases" in thing):
                    if isinstance(thing.get("stdout"), str):
                        print(thing["stdout"])
            print(4)
            """,
        exam=ADDS_ONE_STDIO,
        limits={"cpu_seconds": 3, "wall_seconds": 6},
        outcomes=_BLIND,
    ),
    Hack(
        name="program: separators",
        idea="writes one case's lines with separators that only some readers take for line ends",
        program="print('1\\x0c2\\x1c3\\u20284')",
        exam=Exam(
            tests=(
                {
                    "kind": "stdio",
                    "cases": [
                        {
                            "name": "a",
                            "stdin": "",
                            "stdout": "1\n2\n3\n4\n",
                            "args": [],
                            "weight": 1.0,
                        }
                    ],
                },
            ),
            entry_point="",
            kind="program",
            right="print('1\\n2 \\n3\\r\\n4\\n\\n')",
            wrong="print('1 2 3 4')",
        ),
        outcomes=_BLIND,
    ),
    Hack(
        name="sorts by being looked at",
        idea="returns a list whose elements are bound to the tests' own list",
        program="""
            import gc
            def f(items):
                for other in gc.get_objects():
                    if type(other) is list and len(other) == len(items) and other is not items:
                        try:
                            if sorted(other) == sorted(items) and other != items: return other
                        except Exception: pass
                return items
            """,
        exam=SORTS,
        limits={"cpu_seconds": 3, "wall_seconds": 6},
        outcomes=ends("failed", "timeout"),
    ),
]
