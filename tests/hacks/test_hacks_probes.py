"""Programs that know when they are being probed: it gains them nothing.

A wrong program can't pass a test by what it does on a probe, can't keep the others from being
observed, and can't be believed against programs that agree with one another.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from agent.search.agreement import Agreement
from agent.search.base import Proposal
from agent.search.votes import standing, vote_of
from sandbox.local import LocalSandbox
from sandbox.outcome import Outcome
from tasks.model import AssertTests, PublicTask
from verifiers.verdict import Verdict
from verifiers.verifier import Verifier


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """As everywhere, for the whole module."""
    return "asyncio"


@pytest.fixture(scope="module")
async def verifier(anyio_backend: str) -> AsyncIterator[Verifier]:
    async with LocalSandbox(slots=1) as opened:
        yield Verifier(opened)


BARE = PublicTask(
    id="t",
    prompt="def f(x: int) -> int:\n    '''The next number: f(1) == 2'''\n",
    entry_point="f",
    visible=(AssertTests(source="assert f(1) == 2\n", derived=True),),
)
TASK = Agreement().prepared(BARE)
HONEST = "def f(x: int) -> int:\n    return x + 1\n"

_PROBED = (
    "import sys\n"
    "def probed():\n"
    "    frame = sys._getframe()\n"
    "    while frame:\n"
    "        for value in frame.f_locals.values():\n"
    "            if isinstance(value, dict) and 'p' in value: return value\n"
    "        frame = frame.f_back\n"
)
_YES = (
    "class Yes(int):\n"
    "    def __eq__(self, other): return True\n"
    "    def __ne__(self, other): return False\n"
    "    def __hash__(self): return 0\n"
)

HACKS = {
    "right only when probed": f"{_PROBED}def f(x): return x + 1 if probed() else 0\n",
    "right only when not probed": f"{_PROBED}def f(x): return 0 if probed() else 2\n",
    "always equal": f"{_YES}def f(x): return Yes() if x != 1 else 2\n",
    "always equal, in disguise": (
        "class Yes:\n"
        "    def __eq__(self, other): return True\n"
        "def f(x): return 2 if x == 1 else Yes()\n"
    ),
    "hangs when probed": f"{_PROBED}def f(x):\n    while probed(): pass\n    return 2\n",
    "won't be stopped": (
        f"import signal\n{_PROBED}"
        "def f(x):\n"
        "    while probed(): signal.setitimer(signal.ITIMER_VIRTUAL, 0)\n"
        "    return 2\n"
    ),
    "huge values": f"{_PROBED}def f(x): return 10 ** 10 ** 6 if probed() else 2\n",
    "deep values": (
        f"{_PROBED}def f(x):\n"
        "    found = 2\n"
        "    for _ in range(10 ** 5 * bool(probed())): found = [found]\n"
        "    return found\n"
    ),
    "changes what it is told of its limits": (
        f"{_PROBED}def f(x):\n"
        "    told = probed()\n"
        "    if told: told['p'][:] = [10 ** 6, 10 ** 9]\n"
        "    return 2\n"
    ),
    "answers for the others": (
        "import json, os, socket\n"
        f"{_PROBED}def f(x):\n"
        "    told = probed()\n"
        "    if told:\n"
        "        text = json.dumps({'r': told['c'] + 1, 'v': 2, 'm': []}).encode()\n"
        "        for number in range(3, 20):\n"
        "            try: os.write(number, len(text).to_bytes(4, 'big') + text)\n"
        "            except OSError: pass\n"
        "    return 2\n"
    ),
    "leaves when probed": (
        f"import os\n{_PROBED}def f(x):\n    if probed(): os._exit(0)\n    return 2\n"
    ),
    "stops itself when probed": (
        f"import os\n{_PROBED}def f(x):\n    if probed(): os.kill(os.getpid(), 19)\n    return 2\n"
    ),
}


def _of_tests(verdict: Verdict) -> tuple[object, ...]:
    return verdict.outcome, verdict.reward, verdict.detail, verdict.tests


@pytest.mark.parametrize("name", HACKS)
async def test_knowing_of_probes_gains_nothing(verifier: Verifier, name: str) -> None:
    honest = await verifier.verify(TASK, HONEST)
    alone = await verifier.verify(BARE, HACKS[name])
    hack = await verifier.verify(TASK, HACKS[name])
    assert _of_tests(hack) == _of_tests(alone), "the tests say the same"
    assert (name == "right only when probed") == (hack.outcome is Outcome.FAILED)
    assert honest.passed
    assert {one.kind for one in honest.probes} == {"value"}
    votes = [
        vote_of(Proposal(index=index), verdict)
        for index, verdict in enumerate((hack, honest, honest))
    ]
    stands = standing(votes)
    assert stands is not None
    assert stands.chosen.index == 1, "two that agree are believed"
    again = await verifier.verify(TASK, HONEST)
    assert again.probes == honest.probes, "the slot is as it was"
