"""What agreement is worth where only examples are seen, and the fit of what it believes.

What is fitted (the patience by a grid, the logistic models here) is fitted on one half of a bank's
tasks, those with even places, and reported on the other too, by which no number was chosen.
Verdicts by all tests are used for the fit and for scoring, and at run time never.
Every rule sees the same orders of the samples: the bank's own, and shuffled ones.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from agent.search.belief import (
    Belief,
    Course,
    Signs,
    course_of,
    signs,
    usual_belief,
    words_of,
)
from agent.search.votes import Standing, Vote, entitled, standing
from agent.statistics import calibration_error, mean_interval, reliability
from bench.logistic import fit
from bench.search_bank import Recorded
from bench.search_common import SearchOptions, Section
from bench.search_votes import Votes, read_votes
from verifiers.inputs import example_arguments

_ORDERS = 8
"""Shuffled orders at the most: each costs a minute."""
_CAP = 50
_CHANCES = 200
_SIGNS = {
    "passing": ("agreement", "ahead", "passing", "rate", "examples"),
    "failing": ("lead",),
}


@dataclass(frozen=True, slots=True)
class Step:
    """A search after so many draws.

    Attributes:
        course: what was drawn.
        signs: for the program that would be chosen.
        right: whether that passes all tests.
        first: whether the first one that passed does.
    """

    course: Course
    signs: Signs
    right: bool
    first: bool


Steps = Sequence[Step]
Rule = Callable[[Course], bool]
"""Whether to draw another one."""


@dataclass(frozen=True, slots=True)
class Row:
    """One rule on one set of tasks.

    Attributes:
        rule: in words.
        tasks: `all`, `fit` or `untouched`.
        orders: `bank` or `shuffled`.
        right: share of chosen programs that pass all tests, over orders.
        interval: 95 %, bootstrap over tasks.
        draws: a task.
        gain: over the first one that passes, with a cap of 50.
        gain_interval: paired bootstrap over tasks.
    """

    rule: str
    tasks: str
    orders: str
    right: float
    interval: tuple[float, float]
    draws: float
    gain: float
    gain_interval: tuple[float, float]


def run(asked: SearchOptions) -> Section:
    """The section.

    Raises:
        MissingDataError: no bank was given.
    """
    bank, votes = read_votes(asked)
    searches = courses(bank, votes, min(asked.orders, _ORDERS), asked.seed)
    halves = {"fit": range(0, len(bank), 2), "untouched": range(1, len(bank), 2)}
    belief = learnt([searches[place] for place in halves["fit"]])
    rows = [
        row
        for name, places in {"all": range(len(bank)), **halves}.items()
        for row in measured(name, [searches[place] for place in places])
    ]
    lines = _lines(rows)
    said: dict[str, object] = {}
    for whose, own in (("shipped", usual_belief()), ("fitted again", belief)):
        for name, places in halves.items():
            for what, cases in judged([searches[place] for place in places], own).items():
                error, floor = calibration_error(cases), _floor(cases, asked.seed)
                said[f"{whose}, {name}, {what}"] = {"error": error, "floor": floor}
                lines += [
                    "",
                    f"confidence, {whose}, tasks {name}, {what}: calibration error {error:.3f} "
                    f"(of one without any, so many cases would show {floor:.3f})",
                ]
                lines += diagram(cases)
    if asked.belief is not None:
        asked.belief.write_text(
            json.dumps(belief.model_dump(mode="json"), indent=2) + "\n", encoding="utf-8"
        )
    data = {
        "rows": [asdict(row) for row in rows],
        "calibration_error": said,
        "belief": belief.model_dump(mode="json"),
    }
    return Section(lines, data)


def courses(bank: Sequence[Recorded], votes: Votes, orders: int, seed: int) -> list[list[Steps]]:
    """Each task's search in the bank's order and in shuffled ones, step by step to its end."""
    draw = random.Random(seed)
    found: list[list[Steps]] = []
    for recorded in bank:
        places = list(range(len(recorded.right)))
        some = [places, *(draw.sample(places, len(places)) for _ in range(orders))]
        own = votes[recorded.task.id]
        found.append([_steps(recorded, [own[place] for place in order]) for order in some])
    return found


def _steps(recorded: Recorded, votes: Sequence[Vote]) -> Steps:
    public = recorded.task.public()
    words, examples = words_of(public.prompt), len(example_arguments(public))
    steps: list[Step] = []
    stands: Standing | None = None
    counted: list[Vote] = []
    renumbered = [vote.model_copy(update={"index": place}) for place, vote in enumerate(votes)]
    for place, vote in enumerate(renumbered):
        now = renumbered[: place + 1]
        if stands is None or vote.passed or vote.reward >= stands.chosen.reward:
            counted = entitled(now)
            stands = standing(counted)
            assert stands is not None
        first = next((one for one in counted if one.passed), stands.chosen)
        steps.append(
            Step(
                course=course_of(now, stands, words),
                signs=signs(now, stands, examples),
                right=recorded.right[votes[stands.chosen.index].index],
                first=recorded.right[votes[first.index].index],
            )
        )
    return steps


def stop(steps: Steps, goes_on: Rule) -> int:
    """How many are drawn."""
    for number, step in enumerate(steps, start=1):
        if number == len(steps) or not goes_on(step.course):
            return number
    return 0


def _first_pass(course: Course) -> bool:
    return not course.passing and course.draws < _CAP


def measured(name: str, searches: Sequence[Sequence[Steps]]) -> list[Row]:
    """Every rule on some tasks, in the bank's order and in the shuffled ones."""
    rules: dict[str, Rule] = {
        f"first that passes, at most {_CAP}": _first_pass,
        "agreement": usual_belief().patience.goes_on,
        "agreement, exhaustive": lambda _course: True,
    }
    rows: list[Row] = []
    for orders in ("bank", "shuffled"):
        some = [one[:1] if orders == "bank" else one[1:] for one in searches]
        if not all(some):
            continue
        base: list[float] = []
        for rule, goes_on in rules.items():
            rights, draws = _outcomes(some, goes_on, first=goes_on is _first_pass)
            base = base or rights
            gains = [one - other for one, other in zip(rights, base, strict=True)]
            rows.append(
                Row(
                    rule=rule,
                    tasks=name,
                    orders=orders,
                    right=sum(rights) / len(rights),
                    interval=mean_interval(rights),
                    draws=sum(draws) / len(draws),
                    gain=sum(gains) / len(gains),
                    gain_interval=mean_interval(gains),
                )
            )
    return rows


def _outcomes(
    searches: Sequence[Sequence[Steps]], goes_on: Rule, *, first: bool
) -> tuple[list[float], list[float]]:
    """Of each task, the share of its orders in which the answer is right, and the mean draws."""
    rights: list[float] = []
    draws: list[float] = []
    for orders in searches:
        ends = [stop(steps, goes_on) for steps in orders]
        last = [steps[end - 1] for steps, end in zip(orders, ends, strict=True)]
        rights.append(sum(step.first if first else step.right for step in last) / len(last))
        draws.append(sum(ends) / len(ends))
    return rights, draws


def judged(
    searches: Sequence[Sequence[Steps]], belief: Belief
) -> dict[str, list[tuple[float, bool]]]:
    """What is said of the chosen programs, and what is true: where it stops, and at the end."""
    goes_on = usual_belief().patience.goes_on
    stops = [steps[stop(steps, goes_on) - 1] for orders in searches for steps in orders]
    ends = [orders[0][-1] for orders in searches]
    own = [orders[0][stop(orders[0], goes_on) - 1] for orders in searches]
    groups = {"bank's order": own, "all orders": stops, "exhaustive": ends}
    return {
        name: [(belief.right(step.signs), step.right) for step in steps]
        for name, steps in groups.items()
    }


def learnt(searches: Sequence[Sequence[Steps]]) -> Belief:
    """The usual belief, with the logistic models fitted on these searches.

    Half of the cases are where a search stops, half where all are drawn.
    """
    goes_on = usual_belief().patience.goes_on
    steps = [steps[stop(steps, goes_on) - 1] for orders in searches for steps in orders]
    steps += [steps[-1] for orders in searches for steps in orders]
    models = {}
    for name, chosen in _SIGNS.items():
        cases = [
            (
                [float(getattr(step.signs, sign)) for sign in chosen],
                step.right,
            )
            for step in steps
            if bool(step.signs.passes) == (name == "passing")
        ]
        weight = len(searches) / len(steps)  # the orders of one task are not independent
        bias, weights = fit(cases, weight=weight)
        models[name] = {"bias": bias, "weights": dict(zip(chosen, weights, strict=True))}
    given = usual_belief().model_dump(mode="json")
    return Belief.model_validate(given | models)


def _floor(cases: Sequence[tuple[float, bool]], seed: int) -> float:
    """The mean calibration error if what was said were true: chance alone leaves that much."""
    draw = random.Random(seed)
    errors = [
        calibration_error([(said, draw.random() < said) for said, _ in cases])
        for _ in range(_CHANCES)
    ]
    return sum(errors) / len(errors)


def diagram(cases: Sequence[tuple[float, bool]]) -> list[str]:
    """A reliability diagram as text: what was said, and a bar of what came true."""
    lines = [f"{'said':>6}{'right':>7}{'cases':>7}"]
    for row in reliability(cases):
        marks = ["·"] * 41
        marks[: round(row.right * 40)] = ["█"] * round(row.right * 40)
        marks[round(row.said * 40)] = "|"
        lines.append(f"{row.said:>6.2f}{row.right:>7.2f}{row.count:>7}  {''.join(marks)}")
    return lines


def _lines(rows: Sequence[Row]) -> list[str]:
    lines = [
        "Examples seen, hidden tests score. Gains are over the first that passes, paired by task.",
        f"{'tasks':<10}{'orders':<10}{'right':>7}{'95 %':>17}{'draws':>8}{'gain':>8}"
        f"{'95 %':>18}  rule",
    ]
    for row in rows:
        low, high = row.interval
        under, over = row.gain_interval
        lines.append(
            f"{row.tasks:<10}{row.orders:<10}{row.right:>7.1%}{f'[{low:.1%}, {high:.1%}]':>17}"
            f"{row.draws:>8.1f}{row.gain:>+8.1%}{f'[{under:+.1%}, {over:+.1%}]':>18}  {row.rule}"
        )
    return lines
