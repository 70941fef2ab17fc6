"""Probes: what a verdict says of them, and that nothing else in it depends on them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from sandbox.jobs import Observation
from sandbox.local import LocalSandbox
from sandbox.outcome import Outcome
from tasks.model import AssertTests, ProbeTests, PublicTask, PytestTests
from verifiers.cache import VerdictCache
from verifiers.literal import probe_requests
from verifiers.verdict import Verdict
from verifiers.verifier import Verifier


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """As everywhere, for the whole module."""
    return "asyncio"


@pytest.fixture(scope="module")
async def sandbox(anyio_backend: str) -> AsyncIterator[LocalSandbox]:
    async with LocalSandbox(slots=1) as opened:
        yield opened


@pytest.fixture(scope="module")
async def verifier(sandbox: LocalSandbox) -> Verifier:
    return Verifier(sandbox)


PROBES = ProbeTests(calls=("f(2)", "f([1])", "f(-1)", "f('a')", "f(5)"), failures=True)
BARE = PublicTask(
    id="t",
    prompt="def f(x):\n",
    entry_point="f",
    visible=(AssertTests(source="assert f(1) == 2\nassert f(3) == 4"),),
)
TASK = BARE.model_copy(update={"probes": PROBES})

PROGRAMS = {
    "right": "def f(x): return x + 1",
    "wrong": "def f(x): return x * 2",
    "raises": "def f(x): raise KeyError(x)",
    "no import": "import nothing_of_that_name\ndef f(x): return x + 1",
    "hangs on a probe": "def f(x):\n    while x == -1: pass\n    return x + 1",
    "hangs, and won't be stopped": (
        "def f(x):\n"
        "    while x == -1:\n"
        "        try:\n"
        "            while True: pass\n"
        "        except BaseException: pass\n"
        "    return x + 1"
    ),
    "sleeps": "import time\ndef f(x):\n    time.sleep(60 * (x == 2))\n    return x + 1",
    "leaves": "import os\ndef f(x):\n    if x == 2: os._exit(0)\n    return x + 1",
    "kills itself": (
        "import os\ndef f(x):\n    if x == 2: os.kill(os.getpid(), 9)\n    return x + 1"
    ),
    "prints without end": "def f(x):\n    if x == 2: print('x' * 10 ** 7)\n    return x + 1",
    "takes all memory": "def f(x):\n    if x == 2: return [0] * 10 ** 9\n    return x + 1",
    "answers hugely": "def f(x):\n    return 'x' * 10 ** 7 if x == 2 else x + 1",
    "speaks out of turn": (
        "import gc, socket\n"
        "def f(x):\n"
        "    if x == 2:\n"
        "        for it in gc.get_objects():\n"
        "            if isinstance(it, socket.socket): it.sendall(b'\\0\\0\\0\\5hello')\n"
        "    return x + 1"
    ),
}


def _of_tests(verdict: Verdict) -> tuple[object, ...]:
    return verdict.outcome, verdict.reward, verdict.detail, verdict.tests, verdict.broken


@pytest.mark.parametrize("name", PROGRAMS)
async def test_tests_say_the_same_with_and_without_probes(verifier: Verifier, name: str) -> None:
    for fresh in (False, True):
        alone = await verifier.verify(BARE, PROGRAMS[name], fresh=fresh)
        both = await verifier.verify(TASK, PROGRAMS[name], fresh=fresh)
        assert _of_tests(both) == _of_tests(alone)
        assert not alone.probes
        assert bool(both.probes) == (name != "no import")


async def test_data_and_code_see_the_same(verifier: Verifier) -> None:
    as_code = TASK.model_copy(
        update={"visible": (PytestTests(source="from solution import f\ndef test(): f(1)\n"),)}
    )
    for name in ("right", "raises", "hangs on a probe", "answers hugely"):
        of_data = await verifier.verify(TASK, PROGRAMS[name])
        assert of_data.probes == (await verifier.verify(as_code, PROGRAMS[name])).probes
        assert of_data.probes == (await verifier.verify(TASK, PROGRAMS[name], fresh=True)).probes


async def test_what_is_observed(verifier: Verifier) -> None:
    seen = await _probes(verifier, "right")
    assert [(one.kind, one.preview) for one in seen] == [
        ("value", "3"),
        ("raised", "TypeError"),
        ("value", "0"),
        ("raised", "TypeError"),
        ("value", "6"),
    ]
    hung = await _probes(verifier, "hangs on a probe")
    assert [one.kind for one in hung] == ["value", "raised", "timeout", "raised", "value"]
    assert [one.kind for one in await _probes(verifier, "leaves")] == ["lost"]
    assert (await _probes(verifier, "answers hugely"))[0].preview == "oversized"


async def _probes(verifier: Verifier, name: str) -> tuple[Observation, ...]:
    return (await verifier.verify(TASK, PROGRAMS[name])).probes


async def _answers(verifier: Verifier, program: str, *calls: str) -> list[Observation]:
    task = TASK.model_copy(update={"probes": ProbeTests(calls=calls, failures=True)})
    return list((await verifier.verify(task, program)).probes)


async def test_equal_values_have_one_digest(verifier: Verifier) -> None:
    program = (
        "import collections, decimal\n"
        "def f(x):\n"
        "    return [1, 1.0, True, 0.1 + 0.2, 0.3, {3, 1, 2}, {2, 3, 1}, {'a': 1, 'b': 2},\n"
        "            {'b': 2, 'a': 1}, [1], (1,), '1', float('nan'), 1e300, 10 ** 300][x]"
    )
    seen = await _answers(verifier, program, *(f"f({number})" for number in range(15)))
    digests = [one.digest for one in seen]
    assert all(one.kind == "value" for one in seen)
    assert digests[0] == digests[1] == digests[2]
    assert digests[3] == digests[4]
    assert digests[5] == digests[6]
    assert digests[7] == digests[8]
    different = [digests[place] for place in (0, 3, 5, 7, 9, 10, 11, 12, 13)]
    assert len(set(different)) == len(different)


async def test_changed_arguments_are_noticed(verifier: Verifier) -> None:
    program = "def f(x, y=None):\n    x.sort()\n    return len(x)"
    seen = await _answers(verifier, program, "f([2, 1])", "f([1, 2])", "f([], [3])")
    assert [one.changed for one in seen] == [True, False, False]


@pytest.mark.parametrize(
    ("program", "calls", "steady", "idempotent"),
    [
        ("def f(x): return sorted(x)", ("f([2, 1])", "f([3])"), [True, True], [True, True]),
        ("def f(x): return x[1:]", ("f([2, 1])", "f([])"), [True, True], [False, True]),
        ("n = []\ndef f(x):\n    n.append(x)\n    return len(n)", ("f(1)",), [False], [False]),
        ("def f(x, y): return x", ("f(1, 2)",), [True], [None]),
        ("def f(x): raise KeyError(x)", ("f(1)",), [None], [None]),
        ("def f(x):\n    while x == 6: pass\n    return x + 1", ("f(5)",), [True], [None]),
        ("def f(x): return x + 1", ("f(2)",) * 4, [True] * 3 + [None], [False] * 4),
    ],
)
async def test_habits_are_looked_for(
    verifier: Verifier,
    program: str,
    calls: tuple[str, ...],
    steady: list[bool | None],
    idempotent: list[bool | None],
) -> None:
    seen = await _answers(verifier, program, *calls)
    assert [one.steady for one in seen] == steady
    assert [one.idempotent for one in seen] == idempotent


LENGTH, PART, ALL = 0b001, 0b010, 0b111


@pytest.mark.parametrize(
    ("body", "call", "bits"),
    [
        ("sorted(x)", "f([2, 1])", ALL),
        ("''.join(sorted(x))", "f('ba')", ALL),
        ("list(str(x))", "f('ba')", ALL),
        ("[1.0, 2]", "f([2.0, 1])", ALL),
        ("x[1:]", "f([2, 1, 1])", PART),
        ("x[:1] * 2", "f([2, 1])", LENGTH),
        ("x + x", "f([2])", 0),
        ("x + x", "f([])", ALL),
        ("len(x)", "f([2])", 0),
        ("{1}", "f([1])", 0),
        ("[1]", "f(1)", 0),
        ("x", f"f({'a' * 2000!r})", 0),
        ("y", "f([1], [2])", LENGTH | ALL << 3),
        ("y", "f(5, [2])", ALL << 3),
        ("[[]]", "f([[]])", ALL),
    ],
)
async def test_what_an_answer_has_in_common_with_the_arguments(
    verifier: Verifier, body: str, call: str, bits: int
) -> None:
    (seen,) = await _answers(verifier, f"def f(x, y=None): return {body}", call)
    assert seen.common == bits


async def test_what_is_no_builtin_value_is_told_apart_and_believed_in_nothing(
    verifier: Verifier,
) -> None:
    program = (
        "class Yes:\n"
        "    def __eq__(self, other): return True\n"
        "    __hash__ = None\n"
        "def f(x): return Yes() if x else iter([1])"
    )
    seen = await _answers(verifier, program, "f(1)", "f(0)")
    assert [one.kind for one in seen] == ["foreign", "foreign"]
    assert seen[0].digest != seen[1].digest


async def test_programs_that_fail_are_observed_only_where_asked_for(verifier: Verifier) -> None:
    calls = PROBES.model_copy(update={"failures": False})
    task = TASK.model_copy(update={"probes": calls})
    assert not (await verifier.verify(task, PROGRAMS["wrong"])).probes
    assert (await verifier.verify(task, PROGRAMS["right"])).probes


async def test_probes_are_for_python_functions_and_the_tasks_own_tests(verifier: Verifier) -> None:
    named = await verifier.verify(TASK, PROGRAMS["right"], tests=TASK.visible)
    assert named.passed
    assert not named.probes
    of_class = TASK.model_copy(update={"entry_kind": "class"})
    assert not (await verifier.verify(of_class, "class f:\n    pass")).probes


async def test_what_might_not_be_repeated_is_not_kept(sandbox: LocalSandbox) -> None:
    verifier = Verifier(sandbox, cache=VerdictCache())
    for name, kept in (("right", True), ("hangs on a probe", False), ("leaves", False)):
        await verifier.verify(TASK, PROGRAMS[name])
        again = await verifier.verify(TASK, PROGRAMS[name])
        assert again.cached is kept
        assert again.outcome is Outcome.PASSED


def test_only_literal_calls_of_the_entry_point_are_probes() -> None:
    calls = ("f(1)", "g(1)", "f(x)", "f(1", "f(*[1])", "f(a=1)", "f([1, (2,)], {'a': 3})", "1")
    requests = [json.loads(one) for one in probe_requests(ProbeTests(calls=calls), "f")]
    assert [one["a"] for one in requests] == [[1], [[1, {"t": [2]}], {"o": {"a": 3}}]]
