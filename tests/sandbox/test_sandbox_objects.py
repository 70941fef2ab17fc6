"""Whole programs whose objects stay on their side, arrays, and what is lent, on each backend."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import anyio
import pytest

from sandbox.docker import DockerSandbox
from sandbox.errors import SandboxUnavailableError
from sandbox.guest import buffers, wire
from sandbox.guest.lent import Lent
from sandbox.jobs import Job, Limits, Report
from sandbox.local import LocalSandbox
from sandbox.outcome import Outcome
from tests.hacks.catalogue import asserts, pytest_file

_FILE = Path(__file__).parent / "objects.cases"


def _cases() -> Iterator[Any]:
    for block in re.split(r"^#### ", _FILE.read_text(), flags=re.MULTILINE)[1:]:
        head, _, body = block.partition("\n")
        name, *options = (part.strip() for part in head.split("|"))
        program, _, tests = body.partition("#--\n")
        given = {key: value for key, _, value in (option.partition("=") for option in options)}
        yield pytest.param(program, tests, given, id=name)


@pytest.mark.parametrize(("program", "tests", "given"), list(_cases()))
def test_objects_are_judged_through_handles(
    run: Callable[..., Report], program: str, tests: str, given: dict[str, str]
) -> None:
    test = pytest_file(tests) if "def test_" in tests else asserts(tests)
    report = run(
        program,
        tests=(test,),
        kind=given.get("kind", "class"),
        entry_point=given.get("entry", "C"),
        prelude=given.get("prelude", "").replace("\\n", "\n"),
        limits={"wall_seconds": 30},
    )
    assert str(report.outcome) == given.get("want", "passed"), report


ARRAYS = [
    (
        "in and out",
        "passed",
        "def f(a): return {'t': a.T, 'back': a[::-1], 'step': a[:, ::2], 'none': a[:0],"
        " 'sum': a.sum(), 'text': np.array(['a']), 'big': a.astype('>i4'), 'whole': np.array(5),"
        " 'day': np.array(['2020-01-01'], 'M8[D]'), 'nan': np.float32('nan')}",
        "a = np.arange(6).reshape(2, 3)\nr = f(a)\n"
        "assert (r['t'] == a.T).all() and np.array_equal(r['step'], a[:, ::2])\n"
        "assert f(a)['back'].tolist() == [[3, 4, 5], [0, 1, 2]] and f(a)['none'].shape == (0, 3)\n"
        "assert f(a)['sum'] == 15 and isinstance(f(a)['sum'], np.integer)\n"
        "assert f(a)['text'][0] == 'a' and f(a)['big'].dtype.str == '>i4'\n"
        "assert f(a)['whole'].shape == () and f(a)['day'][0] == np.datetime64('2020-01-01')\n"
        "assert np.isnan(f(a)['nan']) and type(f(a)['nan']) is np.float32\n",
    ),
    ("a wrong one", "failed", "def f(): return np.array([1, 3])", "assert (f() == [1, 2]).all()"),
    (
        "objects",
        "failed",
        "class L:\n    def __eq__(self, o): return True\n"
        "def f(): return np.array([L(), L()], dtype=object)",
        "assert (f() == [1, 2]).all()",
    ),
    (
        "a subclass",
        "failed",
        "class A(np.ndarray):\n    def __eq__(self, o): return np.array([True])\n"
        "    def tobytes(self): return np.array([1, 2]).tobytes()\n"
        "def f(): return np.array([5, 6]).view(A)",
        "assert (f() == [1, 2]).all()",
    ),
    (
        "a masked array",
        "failed",
        "def f(): return np.ma.array([1, 2], mask=[True, True])",
        "assert (f() == [3, 4]).all()",
    ),
    (
        "records",
        "failed",
        "def f(): return np.zeros(2, dtype=[('a', 'i4'), ('b', 'O')])",
        "assert f()[0][0] == 0",
    ),
    (
        "metadata",
        "failed",
        "def f(): return np.array([1], dtype=np.dtype('i8', metadata={'right': [2]}))",
        "r = f()\nassert r.dtype.metadata is None and r[0] == 1\nassert f()[0] == 2",
    ),
    (
        "one item, many times",
        "protocol",
        "def f(): return np.broadcast_to(np.int8(1), (1 << 24,))",
        "assert len(f()) == 3",
    ),
    (
        "a scalar that lies",
        "failed",
        "class F(np.float64):\n    def __sub__(self, o): return 0.0\n    __rsub__ = __sub__\n"
        "    def __eq__(self, o): return True\ndef f(): return F(9)",
        "assert abs(f() - 1.5) < 1e-6",
    ),
    (
        "an interface",
        "failed",
        "class A:\n    __array_interface__ = np.array([1, 2]).__array_interface__\n"
        "    def __array__(self, *a, **k): return np.array([1, 2])\ndef f(): return A()",
        "assert np.array_equal(f(), [1, 2])",
    ),
]


@pytest.mark.parametrize("backend", ["local", pytest.param("docker", marks=pytest.mark.docker)])
def test_arrays_are_built_by_the_judge(backend: str) -> None:
    async def judge_all() -> list[Report]:
        kind = DockerSandbox if backend == "docker" else LocalSandbox
        reports = []
        async with kind(slots=1, requirements=("numpy",)) as sandbox:
            for _, _, program, tests in ARRAYS:
                job = Job(
                    program=f"import numpy as np\n{program}\n",
                    tests=(asserts(f"import numpy as np\n{tests}"),),
                    entry_point="f",
                    limits=Limits(wall_seconds=30),
                )
                reports.append(await sandbox.run(job))
        return reports

    try:
        reports = anyio.run(judge_all)
    except SandboxUnavailableError as error:
        pytest.skip(f"no numpy to be had: {error}")
    for (name, outcome, _, _), report in zip(ARRAYS, reports, strict=True):
        assert report.outcome is Outcome(outcome), (name, report)


@pytest.mark.parametrize(
    "body",
    [
        ["|O8", [1], "AAAAAAAAAAA="],
        ["<i4", [2], "AAAA"],
        ["<i4", [-1], ""],
        ["<i4", [1 << 50], ""],
        ["<i4", [1] * 40, "AAAAAA=="],
        ["<i4", "11", "AAAAAA=="],
        ["i4,O", [1], ""],
        [["<i4"], [1], "AAAAAA=="],
        ["<i4", [True], "AAAAAA=="],
        ["<i4", [1], "no base 64"],
        ["<i4"],
        7,
    ],
)
def test_malformed_arrays_are_refused(body: Any) -> None:
    decode = wire.Decoder({"N": buffers.numpy_array})
    with pytest.raises(wire.WireError):
        decode({"N": body})


class Thing:
    """One that a test could lend."""

    _secret = 41
    shown = 1

    def method(self) -> int:
        return 2

    def __len__(self) -> int:
        return 3


def lend(thing: Any) -> tuple[Lent, int]:
    lent = Lent()
    ((_, body),) = lent.encode(thing).items()  # type: ignore[attr-defined]
    return lent, body if isinstance(body, int) else body[0]


def test_a_lent_object_is_asked_for_what_it_shows() -> None:
    thing = Thing()
    lent, number = lend(thing)
    assert lent.do(number, "getattr", ["shown"], {}) == 1
    assert lent.do(number, "len", [], {}) == 3
    lent.do(number, "setattr", ["shown", 5], {})
    assert thing.shown == 5


@pytest.mark.parametrize(
    ("thing", "operation", "arguments"),
    [
        (Thing(), "getattr", ["_secret"]),
        (Thing(), "getattr", ["__class__"]),
        (Thing(), "setattr", ["method", None]),
        (Thing(), "getattr", [3]),
        (Thing(), "delattr", ["shown"]),
        (lend, "getattr", ["__globals__"]),
        (lend, "setattr", ["x", 1]),
        ((x for x in "ab"), "getattr", ["gi_frame"]),
        ((x for x in "ab"), "send", [None]),
        (functools.partial(lend, 3), "getattr", ["args"]),
        (mock.Mock(), "setattr", ["called", True]),
        (mock.Mock(), "getattr", ["configure_mock"]),
        (mock.Mock(return_value=3), "getattr", ["return_value"]),
    ],
)
def test_and_for_nothing_else(thing: Any, operation: str, arguments: list[Any]) -> None:
    lent, number = lend(thing)
    with pytest.raises((AttributeError, PermissionError)):
        lent.do(number, operation, arguments, {})


@pytest.mark.parametrize("thing", [sys, sys._getframe(), compile("1", "x", "eval")])
def test_what_leads_to_the_tests_is_never_lent(thing: Any) -> None:
    assert Lent().encode(thing) is None
