"""How fast Hypothesis runs a property through a sandbox's boundary, and in one plain process.

Both sides run the same text with the same seed and settings, on the same Python with the same
Hypothesis: for `local` the interpreter and the layer that its judge has, for `docker` the sandbox
image. In the one, `solve` is the candidate's, behind the socket; in the other it is a function
beside the property. Each side times the call of its property test, after a first run to warm up,
and counts the examples that were executed in it. The cpu time beside it is that of judge and
candidate together: it tells what the boundary costs where a machine is too busy for wall time.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

import anyio
import anyio.to_thread

from bench.peers.base import PeerError
from bench.peers.engine import LABEL, Containers
from bench.results import PropertyRates
from sandbox.base import Sandbox
from sandbox.errors import SandboxError
from sandbox.jobs import Job, Limits
from sandbox.launch import environment, interpreter
from sandbox.layers import judge_layer
from sandbox.outcome import Outcome
from sandbox.registry import SandboxOptions, create_sandbox
from sandbox.servers import JUDGE_PACKAGES

_SECONDS = 300.0
_WARM_UP = 200

# A property that fails says so; the figures are told by the text of the failure on purpose, since
# that is what every sandbox hands on unchanged.
_MEASURE = """
import json, platform, time
import hypothesis
from hypothesis import HealthCheck, given, seed, settings, strategies
from solution import solve, spent

def measure():
    ran = 0

    def timed(examples):
        nonlocal ran
        ran = 0

        @seed(20211007)
        @settings(max_examples=examples, database=None, deadline=None,
                  suppress_health_check=list(HealthCheck))
        @given(STRATEGY)
        def holds(value):
            nonlocal ran
            ran += 1
            if not (PROPERTY):
                raise AssertionError("the property does not hold")

        started, cpu = time.perf_counter(), time.process_time() + spent()
        holds()
        return time.perf_counter() - started, time.process_time() + spent() - cpu

    timed(WARM_UP)
    seconds, cpu = timed(EXAMPLES)
    return json.dumps({"ran": ran, "seconds": seconds, "cpu": cpu,
                       "python": platform.python_version(),
                       "hypothesis": hypothesis.__version__})
"""
# What the candidate's process has spent; in one process there is no other.
_SPENT = "\nimport time\n\ndef spent():\n    return time.process_time()\n"
_NOT_SPENT = "\ndef spent():\n    return 0.0\n"
_STUBS = "def solve(value):\n    pass\n\ndef spent():\n    pass\n"
_IN_JUDGE = "\ndef test_rate():\n    raise AssertionError(measure())\n"
_IN_ONE_PROCESS = """
import json, sys, types
solution = sys.modules["solution"] = types.ModuleType("solution")
exec(compile({program!r}, "solution.py", "exec"), solution.__dict__)
scope = {{"__name__": "test_rate"}}
exec(compile({measure!r}, "test_rate.py", "exec"), scope)
try:
    print(scope["measure"]())
except Exception as error:
    print(json.dumps({{"error": f"{{type(error).__name__}}: {{error}}"}}))
"""

_PROPERTIES = {
    "int -> int": (
        "import math\n\ndef solve(n):\n    return math.isqrt(abs(n))\n",
        "strategies.integers()",
        "solve(value) ** 2 <= abs(value)",
    ),
    "list of ints, sorted": (
        "def solve(values):\n    return sorted(values)\n",
        "strategies.lists(strategies.integers())",
        "solve(value) == sorted(value)",
    ),
}
"""Program, strategy and property by name: small functions, one call for each example."""


class _Plain(Containers):
    """The same text in one process that nothing confines."""

    def __init__(self, sandbox: str) -> None:
        super().__init__()
        self._sandbox = sandbox

    def run(self, script: str) -> dict[str, Any]:
        """The figures that the script prints, under the Python that the sandbox's judge has."""
        if self._sandbox == "docker":
            with self.failures():
                output: bytes = self.client.containers.run(
                    self.image,
                    ["python3", "-c", script],
                    environment={"PYTHONPATH": JUDGE_PACKAGES, "PYTHONHASHSEED": "0"},
                    network_mode="none",
                    labels={LABEL: self.run_id},
                    remove=True,
                )
            return _figures(output.decode())
        done = subprocess.run(
            [interpreter(), "-s", "-c", script],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env={**environment(0), "PYTHONPATH": str(judge_layer())},
        )
        if done.returncode:
            raise PeerError(f"one plain process: {' '.join(done.stderr.split())[-300:]}")
        return _figures(done.stdout)


def _figures(printed: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(printed)
    if "error" in found:
        raise PeerError(f"one plain process: {found['error']}")
    return found


def measure(
    name: str, *, examples: int, repeats: int, report: Callable[[str], None]
) -> dict[str, PropertyRates]:
    """Rates of each property, by its name.

    Args:
        name: the sandbox.
        examples: of each property, each time and on each side.
        repeats: how often; which side is first changes from one to the next.
        report: called with a line whenever something begins.

    Raises:
        PeerError: a side failed, or the two have not the same Python and Hypothesis.
    """
    try:
        return anyio.run(_measure, name, examples, repeats, report)
    except SandboxError as error:
        raise PeerError(str(error)) from None


async def _measure(
    name: str, examples: int, repeats: int, report: Callable[[str], None]
) -> dict[str, PropertyRates]:
    plain = _Plain(name)
    if name == "docker" and (reason := plain.missing()):
        raise PeerError(reason)
    limits = Limits(cpu_seconds=_SECONDS, wall_seconds=_SECONDS, judge_seconds=_SECONDS)
    found: dict[str, PropertyRates] = {}
    async with create_sandbox(name, SandboxOptions(slots=1, limits=limits)) as box:
        for title, (program, strategy, claim) in _PROPERTIES.items():
            text = (
                _MEASURE.replace("STRATEGY", strategy)
                .replace("PROPERTY", claim)
                .replace("WARM_UP", str(min(examples, _WARM_UP)))
                .replace("EXAMPLES", str(examples))
            )
            script = _IN_ONE_PROCESS.format(program=program + _NOT_SPENT, measure=text)
            told: dict[str, list[dict[str, Any]]] = {"boundary": [], "plain": []}
            for repeat in range(repeats):
                sides = ("plain", "boundary") if repeat % 2 == 0 else ("boundary", "plain")
                for side in sides:
                    report(f"property: {name}, {title}, {side}, {repeat + 1} of {repeats}")
                    if side == "plain":
                        said = await anyio.to_thread.run_sync(plain.run, script)
                    else:
                        said = await _through(box, program + _SPENT, text, limits)
                    told[side].append(said)
            found[title] = _rates(told["boundary"], told["plain"])
    return found


async def _through(box: Sandbox, program: str, text: str, limits: Limits) -> dict[str, Any]:
    test = {"kind": "pytest", "filename": "test_rate.py", "source": text + _IN_JUDGE}
    result = await box.run(
        Job(program=program, tests=(test,), prelude=_STUBS, entry_point="solve", limits=limits)
    )
    told = result.tests[0].detail if result.tests else ""
    if result.outcome is not Outcome.FAILED or not told.startswith("{"):
        raise PeerError(f"the property test was {result.outcome}: {result.detail[:200]}")
    said: dict[str, Any] = json.loads(told)
    return said


def _rates(boundary: Sequence[dict[str, Any]], plain: Sequence[dict[str, Any]]) -> PropertyRates:
    same = {(one["ran"], one["python"], one["hypothesis"]) for one in (*boundary, *plain)}
    if len(same) > 1:
        raise PeerError(f"the two sides are not the same: {sorted(same)}")
    ((ran, python, hypothesis),) = same
    return PropertyRates(
        examples=ran,
        boundary=[one["ran"] / one["seconds"] for one in boundary],
        plain=[one["ran"] / one["seconds"] for one in plain],
        boundary_cpu=[one["cpu"] / one["ran"] for one in boundary],
        plain_cpu=[one["cpu"] / one["ran"] for one in plain],
        python=python,
        hypothesis=hypothesis,
    )
