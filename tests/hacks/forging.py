"""Forged results: on every descriptor, in every file, in every field of every frame."""

from __future__ import annotations

import textwrap

from sandbox.outcome import Outcome
from tests.hacks.catalogue import (
    ADDS_ONE,
    ADDS_ONE_PROPERTY,
    ADDS_ONE_STDIO,
    SORTS,
    STACK,
    Exam,
    Hack,
    asserts,
    ends,
)

_TALK = '''
import json, os, socket, stat, struct, sys

def find():
    for fd in range(3, 256):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                return fd
        except OSError:
            pass

FD = find()

def raw(data):
    while data:
        data = data[os.write(FD, data):]

def body(text):
    data = text.encode()
    raw(struct.pack(">I", len(data)) + data)

def frame(value):
    body(json.dumps(value))

def reply(value):
    """Answers the open call with a value as it is on the wire."""
    global call
    frame({"r": call, "v": value})
    call += 1

def read():
    def take(n):
        data = b""
        while len(data) < n:
            more = os.read(FD, n - len(data))
            if not more: os._exit(0)
            data += more
        return data
    return json.loads(take(struct.unpack(">I", take(4))[0]))
'''
_TAKE_OVER = """
frame({"r": 0, "v": None})
while True:
    message = read()
    call = message["c"]
    answer(message)
os._exit(0)
"""


def _instead(answer: str) -> str:
    """A program that talks to the judge itself; `answer` is what it does for each call."""
    lines = textwrap.indent(textwrap.dedent(answer).strip("\n"), "    ")
    return f"{_TALK}\ndef answer(message):\n{lines}\n{_TAKE_OVER}"


def _in_place_of_a_class(answer: str) -> str:
    """A program that first gives a sound account of a class `Stack`, and then answers itself."""
    start = """
        if message["o"] == "name": return reply({"t": ["class", {"C": 3}]})
        if message["o"] == "describe":
            special = ["__len__", "__iter__", "__call__", "__contains__", "__bool__", "__gt__"]
            return reply({"o": {"name": "Stack", "module": "m", "qualname": "Stack", "doc": None,
                                "exception": False, "bases": [], "names": [], "fields": None,
                                "abstract": [], "special": special}})
        """
    return _instead(textwrap.dedent(start) + textwrap.dedent(answer))


def _replies(value: str) -> str:
    """A program that answers each call with this value, as it is on the wire."""
    return _instead(f'body(\'{{"r": %d, "v": %s}}\' % (call, {value}))')


def _talking(program: str) -> str:
    return _TALK + textwrap.dedent(program)


def _says(source: str) -> Exam:
    return Exam(tests=(asserts(source),), right=ADDS_ONE.right, wrong="def f(x): return None")


_BREACH = ends("protocol")
_WRONG = ends("failed")
_STUCK = ends("failed", "error")


def _bomb(name: str, idea: str, value: str, *outcomes: str, exam: Exam = ADDS_ONE) -> Hack:
    return Hack(
        name=name,
        idea=idea,
        program=_replies(value),
        exam=exam,
        outcomes=frozenset(map(Outcome, outcomes)) or _BREACH,
    )


DESCRIPTORS = [
    Hack(
        name="prints what runners print",
        idea="the last lines of pytest, unittest, TAP, and a JSON report, to both outputs",
        program="""
            import os
            text = (b"\\n===== 2 passed in 0.01s =====\\n\\nRan 2 tests in 0.001s\\n\\nOK\\n1..2\\n"
                    b'ok 1\\nok 2\\n{"outcome": "passed", "tests": [], "passed": true}\\n')
            for fd in (1, 2): os.write(fd, text)
            def f(x): return 3
            """,
        outcomes=_WRONG,
    ),
    Hack(
        name="writes to every descriptor",
        idea="sends a report of the judge to whatever descriptor there is",
        program="""
            import json, os, struct
            report = {"run": 1, "judge": {"results": [], "breaches": {}, "broken": "", "calls": 2,
                      "gone": False}, "program": {}, "clean": True}
            data = json.dumps(report).encode()
            def f(x):
                for fd in range(256):
                    try: os.write(fd, struct.pack(">I", len(data)) + data)
                    except OSError: pass
                return 3
            """,
        outcomes=_BREACH,
    ),
    Hack(
        name="swaps its descriptors",
        idea="puts its output in place of the socket and the socket in place of its output",
        program=_talking(
            """
            def f(x):
                keep = os.dup(FD)
                os.dup2(1, FD)
                os.dup2(keep, 1)
                print(json.dumps({"r": 1, "v": 3}))
                return 3
            """
        ),
        outcomes=ends("protocol", "crash"),
    ),
    Hack(
        name="talks to itself",
        idea="puts one end of a socket pair of its own in place of the judge's socket",
        program=_talking(
            """
            ours, theirs = None, None
            def f(x):
                a, b = os.pipe()
                os.dup2(b, FD)
                return 3
            """
        ),
        outcomes=ends("crash", "timeout"),
        limits={"wall_seconds": 0.5},
    ),
    Hack(
        name="closes the conversation",
        idea="shuts the socket down in the middle, and goes on living",
        program=_talking(
            """
            import time
            def f(x):
                socket.socket(fileno=FD).shutdown(socket.SHUT_RDWR)
                time.sleep(5)
            """
        ),
        outcomes=ends("crash", "timeout"),
    ),
    Hack(
        name="half of the conversation",
        idea="shuts down only the sending side and waits for the judge to give up",
        program=_talking(
            """
            import time
            def f(x):
                socket.socket(fileno=os.dup(FD)).shutdown(socket.SHUT_WR)
                time.sleep(5)
            """
        ),
        outcomes=ends("crash", "timeout"),
    ),
    Hack(
        name="never reads",
        idea="does not take the call off the socket, however large it is",
        program="import time\ntime.sleep(60)",
        exam=Exam(tests=(asserts("assert f('x' * 10**7) == 3"),)),
        limits={"wall_seconds": 0.5},
        outcomes=ends("timeout"),
    ),
    Hack(
        name="reads a byte at a time",
        idea="takes a large call so slowly that the judge waits for ever",
        program=_talking(
            """
            import time
            frame({"r": 0, "v": None})
            while os.read(FD, 1): time.sleep(0.01)
            """
        ),
        exam=Exam(tests=(asserts("assert f('x' * 10**7) == 3"),)),
        limits={"wall_seconds": 0.5},
        outcomes=ends("timeout"),
    ),
    Hack(
        name="a drop at a time",
        idea="sends a reply byte by byte, each in time, all together not",
        program=_instead(
            """
            import time
            for byte in b"\\\\0\\\\0\\\\1\\\\0" + b" " * 255:
                os.write(FD, bytes([byte]))
                time.sleep(0.02)
            """
        ).replace("\\\\", "\\"),
        limits={"wall_seconds": 0.5},
        outcomes=ends("timeout"),
    ),
    Hack(
        name="a reply after the deadline",
        idea="leaves a process that answers rightly when the time is up, for whoever reads next",
        program=_instead(
            """
            import time
            if os.fork() == 0:
                os.setsid()
                time.sleep(1.5)
                while True:
                    reply(message["a"][0] + 1)
                    time.sleep(0.01)
            time.sleep(60)
            """
        ),
        limits={"wall_seconds": 1},
        outcomes=ends("timeout"),
    ),
    Hack(
        name="result files",
        idea="plants reports, JUnit files and caches wherever a runner may look for them",
        program="""
            import os
            xml = '<testsuite tests="2" failures="0" errors="0"/>'
            for name in ("report.json", "result.json", "junit.xml", "verdict", "0", "passed",
                         ".pytest_cache/v/cache/lastfailed", ".coverage"):
                try:
                    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
                    with open(name, "w") as file: file.write(xml)
                except OSError:
                    pass
            def f(x): return 3
            """,
        outcomes=_WRONG,
    ),
    Hack(
        name="a file of the host",
        idea="writes to a file of the host that everybody may write",
        program="""
            def f(x):
                try:
                    with open("@CANARY@", "w") as file: file.write("passed")
                except OSError:
                    return 3
                return x + 1
            """,
        outcomes=_WRONG,
    ),
]

FRAMES = [
    Hack(
        name="a reply twice",
        idea="answers one call with two replies, the second for the next call",
        program=_instead('frame({"r": call, "v": 3})\nframe({"r": call, "v": 6})'),
        outcomes=_BREACH,
    ),
    Hack(
        name="replies before their calls",
        idea="answers calls that have not been made yet, as soon as it starts",
        program=_talking(
            """
            frame({"r": 0, "v": None})
            for call in range(1, 100): frame({"r": call, "v": call * 3})
            def f(x): return 3
            """
        ),
        exam=Exam(
            tests=(asserts("assert f(0) == 3\nassert f(4) == 5"),),
            right="def f(x): return x + 1 if x else 3",
            wrong=ADDS_ONE.wrong,
        ),
        outcomes=ends("failed", "protocol"),
    ),
    Hack(
        name="reads its calls while it is imported",
        idea="takes calls that were sent ahead off the line before it says that it is ready",
        program=_talking(
            """
            calls = [read(), read()]
            frame({"r": 0, "v": None})
            for message in calls: frame({"r": message["c"], "v": 3})
            def f(x): return 3
            """
        ),
        outcomes=ends("failed", "timeout"),
    ),
    Hack(
        name="a reply to an old call",
        idea="repeats the number of the first call at the second",
        program=_instead('frame({"r": 1, "v": 3})'),
        outcomes=_BREACH,
    ),
    Hack(
        name="a number that is nearly right",
        idea="answers with the call's number as float, bool or text",
        program=_instead('frame({"r": True if call == 1 else float(call), "v": 3})'),
        outcomes=_BREACH,
    ),
    Hack(
        name="a value and an exception",
        idea="a reply that is both, so that the judge may choose",
        program=_instead('frame({"r": call, "v": 3, "x": None})'),
        outcomes=_BREACH,
    ),
    Hack(
        name="more in the reply",
        idea="a reply with fields for outcomes and results besides its value",
        program=_instead('frame({"r": call, "v": 3, "outcome": "passed", "ok": True})'),
        outcomes=_BREACH,
    ),
    Hack(
        name="no JSON",
        idea="pickles, bytes that are no UTF-8, NaN and comments in place of JSON",
        program=_instead(
            "raw(bytes.fromhex('00000004') + (b'\\xff\\xfe()' if call == 1 else b'NaN '))"
        ),
        outcomes=_BREACH,
    ),
    Hack(
        name="an empty frame",
        idea="frames without a byte, over and over",
        program=_instead("raw(bytes(4))"),
        outcomes=_BREACH,
    ),
    Hack(
        name="an oversized frame",
        idea="announces four gigabytes",
        program=_instead("raw(bytes.fromhex('ffffffff') + bytes(1000))"),
        outcomes=_BREACH,
    ),
    Hack(
        name="half a frame",
        idea="announces more than it sends and hangs up",
        program=_instead("raw(bytes.fromhex('00000100') + b'{}')\nos._exit(0)"),
        outcomes=ends("protocol", "crash"),
    ),
    Hack(
        name="a flood of replies",
        idea="as many frames as fit, for as long as it may run",
        program=_instead('while True: frame({"r": call, "v": 3})'),
        outcomes=ends("protocol", "failed"),
    ),
    Hack(
        name="a flood of calls back",
        idea="calls a function of the test for ever instead of answering",
        program=_instead(
            'while True: frame({"b": 1, "f": message["a"][1]["F"], "a": [], "k": {}})'
        ),
        exam=Exam(tests=(asserts("assert f(1, lambda: 'x' * 100) == 2"),)),
        limits={"wall_seconds": 0.5, "judge_seconds": 2},
        outcomes=ends("timeout"),
    ),
    Hack(
        name="a call back to nothing",
        idea="calls functions that it was never given, by guessed numbers",
        program=_instead('frame({"b": 1, "f": 140000000000000, "a": [], "k": {}})'),
        outcomes=_BREACH,
    ),
    Hack(
        name="a call back of no shape",
        idea="a call back whose function is a list and whose arguments are a number",
        program=_instead('frame({"b": 1, "f": [], "a": 3, "k": None})'),
        exam=_says("try:\n    f(2)\nexcept TypeError:\n    pass\nassert f(2) == 3"),
        outcomes=_BREACH,
    ),
    Hack(
        name="a call back in a call back",
        idea="has a function of the test call it again without end",
        program="def f(x, again): return again(x, again)",
        exam=Exam(tests=(asserts("assert f(1, f) == 2\nassert f(1, lambda *a: f(*a)) == 2"),)),
        outcomes=ends("error", "protocol", "crash"),
    ),
    Hack(
        name="changed arguments of no shape",
        idea="writes back a number where the task asks for the changed arguments",
        program=_instead('frame({"r": call, "v": None, "m": 5})'),
        exam=Exam(
            tests=(
                asserts(
                    """
                    a = [2, 1]
                    try:
                        f(a)
                    except Exception:
                        a = [1, 2]
                    assert a == [1, 2]
                    """
                ),
            ),
            mutates=True,
            right="def f(a): a.sort()",
            wrong="def f(a): pass",
        ),
        outcomes=_BREACH,
    ),
    Hack(
        name="a handle of its own making",
        idea="replies with a handle, or one in a list, to the tests of a function",
        program=_instead('reply({"h": [1, 3]} if call == 1 else [{"h": [1, 3, 6]}])'),
        outcomes=_BREACH,
    ),
    Hack(
        name="an awaitable of its own making",
        idea="replies with an awaitable of an iterator of a liar",
        program=_replies('\'{"A": ["v", {"I": [5, "iterator"]}]}\''),
        outcomes=_WRONG,
    ),
    Hack(
        name="an iterator of other objects",
        idea="replies with an iterator and answers its steps with exceptions that end loops",
        program=_instead(
            """
            if message["o"] == "call": reply({"I": [7, "iterator"]})
            else: frame({"r": call, "x": [[["StopIteration", 0, ""]], [], "", [], None, 0, {}]})
            """
        ),
        exam=SORTS,
        outcomes=_WRONG,
    ),
    Hack(
        name="unknown tags",
        idea="values with tags that nobody knows, two tags, or none",
        program=_instead(
            'body(\'{"r": %d, "v": %s}\' % (call, [\'{"zz": 1}\', \'{"t": [], "s": []}\', "{}"]'
            "[call % 3]))"
        ),
        outcomes=_BREACH,
    ),
    Hack(
        name="tags with the wrong bodies",
        idea="known tags, each with a body of another kind",
        program=_instead(
            """
            bodies = ['{"i": 5}', '{"b": [1]}', '{"c": ["1+2j", "x", 3]}', '{"r": ["0x1"]}',
                      '{"x": ["Decimal", {}]}', '{"v": ["keys", 3]}', '{"d": [[1]]}', '{"n": "3"}']
            body('{"r": %d, "v": %s}' % (call, bodies[os.getpid() % len(bodies)]))
            """
        ),
        outcomes=ends("protocol", "failed"),
    ),
    Hack(
        name="exceptions of no shape",
        idea="exceptions without a name, with numbers for names and dicts for lines",
        program=_instead(
            """
            bad = [[], "x", [[["A", 0]], 5, "", [], None, 0], [[], [], "", [], None, 7],
                   [[[3, 4]], [], "", [], None, 0], [["KeyError"], [], "", {}, None, 0]]
            frame({"r": call, "x": bad[call % len(bad)]})
            """
        ),
        exam=_says("try:\n    f(2)\nexcept Exception:\n    pass\nassert f(2) == 3"),
        outcomes=_BREACH,
    ),
    Hack(
        name="exceptions with false names",
        idea="an exception class that is called as the judge's own, Lost, Skipped, or Thrown",
        program="""
            import sys
            names = ["Lost", "Thrown", "NotBuiltinError", "Skipped", "SkipTest", "StopTest",
                     "UnsatisfiedAssumption", "Exit", "OutcomeException", "xfail"]
            def f(x):
                if x == 2: return 3
                raise type(names[x % len(names)], (Exception,), {"__module__": "builtins"})()
            """,
        exam=ADDS_ONE_PROPERTY,
        outcomes=ends("error", "failed"),
    ),
    Hack(
        name="exceptions that are no classes",
        idea="names builtins that are no exceptions, such as print, exit and open",
        program=_instead(
            """
            names = ["exec", "print", "open", "__import__", "exit", "type", "__build_class__"]
            kinds = [[n, 0, "builtins"] for n in names]
            frame({"r": call, "x": [kinds, ["passed"], "t", [], None, 0, {}]})
            """
        ),
        outcomes=ends("error"),
    ),
    Hack(
        name="exceptions with hostile arguments",
        idea="an exception whose arguments, notes, cause and text are traps or without end",
        program="""
            class Trap:
                def __repr__(self): raise SystemExit
                __str__ = __reduce__ = __iter__ = __repr__
            class Hostile(ValueError):
                @property
                def args(self): return [[[Trap()]]] * 1000
                errno = property(lambda self: Trap())
                __notes__ = [Trap()]
                def __str__(self): return "passed " * 10**6
            Hostile.__name__ = "passed\\n" * 1000
            def f(x):
                error = Hostile()
                error.__cause__ = error
                raise error
            """,
        outcomes=ends("error"),
    ),
    Hack(
        name="claims to be out of memory",
        idea="an exception that says that the machine was at fault, not the program",
        program=_instead(
            'frame({"r": call, "x": [[["MemoryError", 0, ""]], [], "infra: retry", [], 12, 0, {}]})'
        ),
        outcomes=ends("memory"),
    ),
]

VALUES = [
    _bomb("nested too deep", "a hundred thousand lists in each other", '"[" * 10**5 + "]" * 10**5'),
    Hack(
        name="cyclic values",
        idea="a list that holds itself, a dict that is its own value",
        program="def f(x):\n    a = [x]\n    a.append({1: a})\n    return a",
        outcomes=ends("error"),
    ),
    _bomb(
        "an explosive Decimal",
        "a short text for a number with a billion digits",
        '\'{"x": ["Decimal", "1E+1000000000"]}\'',
        "failed",
        "error",
        "protocol",
        exam=_says("assert f(2) == 3\nassert f(2) < 10\nassert hash(f(3)) == hash(4)"),
    ),
    Hack(
        name="an explosive Decimal made whole",
        idea="the same where the test makes an int of it",
        program="from decimal import Decimal\ndef f(x): return Decimal('1E+1000000000')",
        exam=Exam(tests=(asserts("assert int(f(2)) == 3"),)),
        limits={"judge_seconds": 2},
        outcomes=ends("timeout", "error", "protocol"),
    ),
    Hack(
        name="an integer of a million digits",
        idea="an int that takes longer to print than to compute",
        program="def f(x): return 1 << 10**7",
        outcomes=ends("failed", "error", "protocol"),
    ),
    Hack(
        name="a range without end",
        idea="a range that takes an age to sum, list or print",
        program="def f(x): return range(3, 10**30)",
        exam=Exam(tests=(asserts("assert list(f(2)) == [3]\nassert f(2)[0] == f(2)"),)),
        outcomes=ends("error", "failed"),
    ),
    Hack(
        name="a large range",
        idea="a range that fits, and keeps a test busy that goes through it",
        program="def f(x): return range(10**12)",
        exam=Exam(tests=(asserts("assert sum(f(2)) == 3"),)),
        limits={"judge_seconds": 2},
        outcomes=ends("timeout"),
    ),
    Hack(
        name="an iterator without end",
        idea="yields for ever where the test wants a list",
        program="def f(x):\n    while True: yield 3",
        exam=Exam(tests=(asserts("assert list(f(2)) == [3]"),)),
        limits={"wall_seconds": 1},
        outcomes=ends("timeout", "output", "error"),
    ),
    Hack(
        name="a set of colliding numbers",
        idea="integers of the same hash, for which a set takes quadratic time",
        program=_instead(
            """
            prime = (1 << 61) - 1
            many = ",".join('{"i": "%s"}' % hex(prime * n) for n in range(1, 60_000))
            body('{"r": %d, "v": {"s": [%s]}}' % (call, many))
            """
        ),
        limits={"judge_seconds": 2},
        outcomes=ends("timeout", "failed"),
    ),
    _bomb(
        "a million small containers",
        "a reply within its limit that takes gigabytes when it is decoded",
        "'[%s]' % \",\".join(['{\"q\":[]}'] * 1_700_000)",
        "protocol",
        "timeout",
    ),
    _bomb("a list as a key", "an unhashable key in a dict and in a set", "'{\"d\": [[[1], 2]]}'"),
    _bomb(
        "a text that is a number",
        "a number as text, with spaces and underscores, where an int is looked for",
        "'\"3\"'",
        "failed",
    ),
    _bomb(
        "true in place of one",
        "booleans and floats for integers where the tests look at the type",
        '"3.0"',
        "failed",
        exam=_says("assert f(2) is not True and type(f(2)) is int"),
    ),
]

CLASSES = [
    Hack(
        name="class: handles that lie about numbers",
        idea="the same handle for everything, with numbers that are negative, huge or no numbers",
        program=_in_place_of_a_class(
            """
            if message["o"] == "call": reply({"h": [-1 if call % 2 else 1 << 60, 3]})
            elif message["o"] in ("len", "hash"): reply(-5)
            else: reply({"h": [0, 3]})
            """
        ),
        exam=STACK,
        outcomes=_STUCK,
    ),
    Hack(
        name="class: dressed values that are none",
        idea="a handle that brings a value along: a set, a handle, a bool, two values",
        program=_in_place_of_a_class(
            """
            dress = [True, {"s": []}, {"h": [1, 3]}, None, [1]][call % 5]
            reply({"h": [1, 3, dress]})
            """
        ),
        exam=STACK,
        outcomes=_BREACH,
    ),
    Hack(
        name="class: a dress over a wrong value",
        idea="a wrong value in a dress that equals, contains and is more than everything",
        program="""
            import enum
            class Liar(enum.IntEnum):
                X = 0
                def __eq__(self, other): return True
                def __gt__(self, other): return True
                __hash__ = int.__hash__
            class Stack:
                def push(self, item): pass
                def pop(self): return Liar.X
                def peek(self): return Liar.X
                def __len__(self): return 2
                def __iter__(self): return iter([3])
            """,
        exam=STACK,
        outcomes=_STUCK,
    ),
    Hack(
        name="class: classes that are none",
        idea="exception classes with impossible bases and names, types that are functions",
        program=_in_place_of_a_class(
            """
            wrong = [{"T": "print"}, {"C": {"C": 3}}, {"C": []}, {"X": [["A\\\\0", 3, ""]]}]
            reply(wrong[call % 4])
            """
        ),
        exam=STACK,
        outcomes=_BREACH,
    ),
    Hack(
        name="class: always true on the wire",
        idea="answers true to every question but construction, and one to every number",
        program=_in_place_of_a_class(
            """
            if message["o"] == "call": reply({"h": [1, 3]})
            elif message["o"] in ("len", "hash"): reply(1)
            elif message["o"] == "iter": reply([3])
            else: reply(True)
            """
        ),
        exam=STACK,
        outcomes=_STUCK,
    ),
    Hack(
        name="class: raises what the tests wait for",
        idea="raises StopIteration, IndexError and KeyError everywhere, to end loops early",
        program="""
            class Stack:
                def __init__(self): self.turn = 0
                def __getattr__(self, name): raise AttributeError(name)
                def push(self, item): raise StopIteration
                def __iter__(self): raise StopIteration
                def __len__(self): raise IndexError
                def __contains__(self, item): raise KeyError
            """,
        exam=STACK,
        outcomes=ends("error"),
    ),
]

PROGRAMS = [
    Hack(
        name="program: every answer at once",
        idea="writes all outputs that it can think of, one after the other",
        program="for n in range(20): print(n)",
        exam=ADDS_ONE_STDIO,
        outcomes=_WRONG,
    ),
    Hack(
        name="program: hidden by control signs",
        idea="writes a wrong answer and hides it with carriage returns and erasures",
        program="print('4\\r\\x1b[2K\\b\\b', end='')\nprint(int(input()) * 0 + 4)",
        exam=ADDS_ONE_STDIO,
        outcomes=_WRONG,
    ),
    Hack(
        name="program: forges the runner",
        idea="looks for the runner's socket among its descriptors and writes its reply there",
        program=_talking(
            """
            data = json.dumps({"outcome": "passed", "detail": "", "stdout": "4\\\\n"}).encode()
            for fd in range(256):
                try: os.write(fd, struct.pack(">I", len(data)) + data)
                except OSError: pass
            """
        ),
        exam=ADDS_ONE_STDIO,
        outcomes=_WRONG,
    ),
]

HACKS = [*DESCRIPTORS, *FRAMES, *VALUES, *CLASSES, *PROGRAMS]
