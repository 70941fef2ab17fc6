"""Monte Carlo value of a partial program against its true success rate, on a bank.

A node is a task with the first line (or two, or three) of a body. The bank's samples were drawn
token by token, so those that begin with a node's lines are completions drawn from that node, as
a rollout draws them. K of them, taken at random, estimate the node's value: the share that
passes, and beside it their mean reward. All the others that begin so are the truth: the share of
them that passes; the two never share a sample. Nodes need K + 8 samples.

Pearson's correlation over all nodes says mostly which tasks are easy. A search chooses among
nodes of one task, so the second column is that of the deviations from each task's own mean, over
tasks with two nodes or more.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bench.search_bank import Recorded, of_part, read_bank
from bench.search_common import SearchOptions, Section

_KS = (1, 2, 4, 8, 16)
_LINES = (1, 2, 3)
_REST = 8
_ROUNDS = 20
"""Choices of the K samples, over which correlations are averaged."""


@dataclass(frozen=True, slots=True)
class Row:
    """One K at one depth.

    Attributes:
        lines: of the body that make a node.
        k: samples that estimate its value.
        nodes: how many there were.
        tasks: of them, how many have two nodes or more.
        passing: correlation of the share of K that passes with the truth.
        passing_within: the same within tasks.
        reward: correlation of the mean reward of K with the truth.
        reward_within: the same within tasks.
    """

    lines: int
    k: int
    nodes: int
    tasks: int
    passing: float
    passing_within: float
    reward: float
    reward_within: float


Node = list[tuple[bool, float]]


def run(asked: SearchOptions) -> Section:
    """The section.

    Raises:
        MissingDataError: no bank was given.
    """
    bank = of_part(read_bank(asked), asked.part)
    rows = measure(bank, asked.seed)
    return Section(_lines(rows), [asdict(row) for row in rows])


def measure(bank: Sequence[Recorded], seed: int) -> list[Row]:
    """Every depth and K for which there are enough nodes."""
    draw = random.Random(seed)
    rows: list[Row] = []
    for lines in _LINES:
        by_task = [nodes_of(recorded, lines) for recorded in bank]
        for k in _KS:
            enough = [[node for node in nodes if len(node) >= k + _REST] for nodes in by_task]
            if sum(map(len, enough)) > 2:
                rows.append(_row(lines, k, enough, draw))
    return rows


def nodes_of(recorded: Recorded, lines: int) -> list[Node]:
    """The samples of a task by how their bodies begin."""
    found: dict[tuple[str, ...], Node] = {}
    samples = zip(recorded.bodies, recorded.right, recorded.rewards, strict=True)
    for body, right, reward in samples:
        written = [line.rstrip() for line in body.splitlines() if line.strip()]
        if len(written) > lines:  # a body that ends there is a program, not a part of one
            found.setdefault(tuple(written[:lines]), []).append((right, reward))
    return list(found.values())


def _row(lines: int, k: int, tasks: Sequence[Sequence[Node]], draw: random.Random) -> Row:
    figures = [_once(k, tasks, draw) for _ in range(_ROUNDS)]
    means = [sum(column) / len(figures) for column in zip(*figures, strict=True)]
    several = sum(len(nodes) > 1 for nodes in tasks)
    return Row(lines, k, sum(map(len, tasks)), several, *means)


def _once(
    k: int, tasks: Sequence[Sequence[Node]], draw: random.Random
) -> tuple[float, float, float, float]:
    passing: list[list[tuple[float, float]]] = []
    rewards: list[list[tuple[float, float]]] = []
    for nodes in tasks:
        passing.append([])
        rewards.append([])
        for node in nodes:
            mixed = draw.sample(node, len(node))
            rolled, rest = mixed[:k], mixed[k:]
            truth = sum(right for right, _ in rest) / len(rest)
            passing[-1].append((sum(right for right, _ in rolled) / k, truth))
            rewards[-1].append((sum(reward for _, reward in rolled) / k, truth))
    return (
        correlation([pair for task in passing for pair in task]),
        correlation([pair for task in passing for pair in _centred(task)]),
        correlation([pair for task in rewards for pair in task]),
        correlation([pair for task in rewards for pair in _centred(task)]),
    )


def _centred(pairs: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Deviations from the mean of a task; nothing of a task with one node."""
    if len(pairs) < 2:
        return []
    left, right = (sum(column) / len(pairs) for column in zip(*pairs, strict=True))
    return [(one - left, other - right) for one, other in pairs]


def correlation(pairs: Sequence[tuple[float, float]]) -> float:
    """Pearson's; 0 where one side never changes."""
    if not pairs:
        return 0.0
    left, right = (sum(column) / len(pairs) for column in zip(*pairs, strict=True))
    both = sum((one - left) * (other - right) for one, other in pairs)
    lefts = sum((one - left) ** 2 for one, _ in pairs)
    rights = sum((other - right) ** 2 for _, other in pairs)
    return both / math.sqrt(lefts * rights) if lefts * rights > 0 else 0.0


def _lines(rows: Sequence[Row]) -> list[str]:
    lines = [
        "Monte Carlo value of a node (a task, and how a body begins) by K samples that",
        "begin so, against the share of all others that begin so which passes: Pearson's",
        "correlation",
        "",
        f"{'lines':>5}{'K':>4}{'nodes':>7}{'share that passes':>20}{'within a task':>15}"
        f"{'mean reward':>14}{'within a task':>15}{'tasks':>7}",
    ]
    for row in rows:
        lines.append(
            f"{row.lines:>5}{row.k:>4}{row.nodes:>7}{row.passing:>20.2f}"
            f"{row.passing_within:>15.2f}{row.reward:>14.2f}{row.reward_within:>15.2f}"
            f"{row.tasks:>7}"
        )
    return lines
