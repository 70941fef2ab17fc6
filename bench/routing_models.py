"""Where a cascade begins: at the model that a task deserves, or always at the cheapest.

One recorded answer a task from each of several models; a model is asked once, and the tests decide
whether the next is. All orders ask all models before they leave a task unsolved, so all of them
solve the very same tasks, and money is all that differs. What is fitted, on one half of the tasks:
each model's chance by the looks of the prompt (a logistic regression), and with it the order for a
task, by chance over price, which is the cheapest if the answers are independent (as for boxes that
are searched in turn: Black, "Discrete Sequential Search", 1965). Reported are both halves, and the
other half is the one that counts; intervals are paired bootstraps over tasks.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import anyio

from agent.llm.prices import Price, cost
from agent.llm.usage import estimate_usage
from agent.routing.chance import sigmoid
from agent.routing.features import Features, features
from agent.routing.fitting import Row as Known
from agent.routing.fitting import regress
from agent.session import open_bench
from agent.verification import Sample, read_samples
from bench.routing_tiers import ROUNDS, interval
from bench.search_common import MissingDataError, SearchOptions, Section, report
from tasks import load_suite


@dataclass(frozen=True, slots=True)
class Answered:
    """One task with the answer of each model.

    Attributes:
        looks: of the task.
        right: whether each model's answer passes, by model.
        dollars: of each model's answer.
    """

    looks: Features
    right: dict[str, bool]
    dollars: dict[str, float]


@dataclass(frozen=True, slots=True)
class Row:
    """One way to order the models, on one set of tasks.

    Attributes:
        tasks: `fitted`, `untouched`, or `all`.
        way: in words.
        solved: share of the tasks.
        calls: a task.
        dollars: a task.
        saved: times less money than from the cheapest on.
        interval: 95 %, bootstrap over tasks.
        first: which model tasks begin with, and how many of them.
    """

    tasks: str
    way: str
    solved: float
    calls: float
    dollars: float
    saved: float
    interval: tuple[float, float]
    first: dict[str, int]


Orderer = Callable[[Answered], Sequence[str]]


def run(asked: SearchOptions) -> Section:
    """The section.

    Raises:
        MissingDataError: no recorded models were given, or no price of one of them.
    """
    if asked.models is None or not asked.models.is_file():
        raise MissingDataError("give the recorded models with --models FILE")
    samples = list(read_samples(asked.models, load_suite("humaneval")))
    names = list(dict.fromkeys(str(sample.echo["model"]) for sample in samples))
    for name in names:
        if name not in asked.prices:
            raise MissingDataError(f"give a price of each model: --price {name}=IN,OUT")
    answered = anyio.run(_answered, samples, asked)
    order = list(range(len(answered)))
    random.Random(f"{asked.seed}/halves").shuffle(order)
    half = set(order[: len(order) // 2])
    fitted = [one for place, one in enumerate(answered) if place in half]
    untouched = [one for place, one in enumerate(answered) if place not in half]
    ways = _ways(fitted, names)
    rows = [
        row
        for name, tasks in (
            ("fitted", fitted),
            ("untouched", untouched),
            ("all", answered),
        )
        for row in _rows(name, tasks, ways, asked.seed)
    ]
    return Section(_lines(rows, asked), [asdict(row) for row in rows])


async def _answered(samples: Sequence[Sample], asked: SearchOptions) -> list[Answered]:
    tasks = {sample.task.id: sample.task for sample in samples}
    given = {name: task.given() for name, task in tasks.items()}
    found = {name: Answered(features(task), {}, {}) for name, task in given.items()}
    waiting = list(reversed(samples))
    report(f"judging {len(samples)} answers")
    async with open_bench(asked.settings(), list(tasks.values())) as bench:

        async def worker() -> None:
            while waiting:
                sample = waiting.pop()
                task, model = given[sample.task.id], str(sample.echo["model"])
                verdict = await bench.verifier.verify(task, sample.program)
                into, out = asked.prices[model]
                usage = estimate_usage(len(task.prompt), len(sample.program))
                found[task.id].right[model] = verdict.passed
                found[task.id].dollars[model] = cost(usage, Price(input=into, output=out))

        async with anyio.create_task_group() as group:
            for _ in range(bench.sandbox.slots + 1):
                group.start_soon(worker)
    return list(found.values())


def _ways(fitted: Sequence[Answered], names: Sequence[str]) -> dict[str, Orderer]:
    prices = {name: sum(one.dollars[name] for one in fitted) / len(fitted) for name in names}
    weights = {name: regress([_known(one, name) for one in fitted]) for name in names}
    shares = {name: sum(one.right[name] for one in fitted) / len(fitted) for name in names}
    cheapest = sorted(names, key=lambda name: prices[name])
    worth = sorted(names, key=lambda name: -shares[name] / prices[name])

    def by_task(one: Answered) -> Sequence[str]:
        values = _values(one.looks)
        chance = {
            name: sigmoid(sum(w * x for w, x in zip(weights[name], values, strict=True)))
            for name in names
        }
        return sorted(names, key=lambda name: -chance[name] / prices[name])

    def knowing(one: Answered) -> Sequence[str]:
        right = [name for name in cheapest if one.right[name]]
        return [*right, *(name for name in cheapest if not one.right[name])]

    return {
        "from the cheapest": lambda _one: cheapest,
        "one order, by chance over price": lambda _one: worth,
        "routed by difficulty": by_task,
        "oracle: the cheapest that is right": knowing,
        "from the dearest": lambda _one: cheapest[::-1],
    }


def _values(looks: Features) -> tuple[float, ...]:
    return (1.0, looks.words - 4.0, looks.examples - 1.2, looks.tests - 2.0)


def _known(one: Answered, name: str) -> Known:
    return Known(values=_values(one.looks), share=float(one.right[name]), weight=1.0)


def _rows(name: str, tasks: Sequence[Answered], ways: dict[str, Orderer], seed: int) -> list[Row]:
    lot = random.Random(seed)
    samplings = [lot.choices(range(len(tasks)), k=len(tasks)) for _ in range(ROUNDS)]
    base: list[float] = []
    rows: list[Row] = []
    for way, order in ways.items():
        asked = [_asked(one, order(one)) for one in tasks]
        paid = [
            sum(one.dollars[model] for model in models)
            for one, models in zip(tasks, asked, strict=True)
        ]
        base = base or paid
        ratios = [sum(base[i] for i in s) / sum(paid[i] for i in s) for s in samplings]
        rows.append(
            Row(
                name,
                way,
                sum(any(one.right.values()) for one in tasks) / len(tasks),
                sum(map(len, asked)) / len(tasks),
                sum(paid) / len(tasks),
                sum(base) / sum(paid),
                interval(ratios),
                dict(Counter(models[0] for models in asked)),
            )
        )
    return rows


def _asked(one: Answered, order: Sequence[str]) -> Sequence[str]:
    """The models that are asked: up to the first that is right."""
    for place, name in enumerate(order, start=1):
        if one.right[name]:
            return order[:place]
    return order


def _lines(rows: Sequence[Row], asked: SearchOptions) -> list[str]:
    prices = ", ".join(f"{name} {into:g}/{out:g}" for name, (into, out) in asked.prices.items())
    lines = [
        "Where a cascade begins, at equal solve rate: one answer of each model, tests given.",
        f"dollars per million tokens in/out: {prices}; tokens estimated from the texts",
        "",
        f"{'tasks':<10}{'solved':>7}{'calls':>7}{'$/1000 tasks':>14}{'less money':>20}  way",
    ]
    for row in rows:
        first = ", ".join(f"{name} {count}" for name, count in row.first.items())
        lines.append(
            f"{row.tasks:<10}{row.solved:>7.1%}{row.calls:>7.2f}{1000 * row.dollars:>14.3f}"
            f"{f'{row.saved:.2f} [{row.interval[0]:.2f}, {row.interval[1]:.2f}]':>20}"
            f"  {row.way} (begins: {first})"
        )
    return lines
