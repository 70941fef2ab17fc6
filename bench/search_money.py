"""A weak model with search against stronger ones without, at equal money; all of them recorded.

Each stronger model has one greedy answer a task. The weak one draws until a sample passes, at
most N, over shuffled orders; tests are given. Tokens are estimated from the texts, for all in
one way. Without prices the *break-even* is said: the price of the weak model's token, as a share
of the stronger one's, at which both cost the same where both solve as much. With `--price
bank=IN,OUT` and one for a stronger model, the dollars of both are shown, and what the weak one
solves for the stronger one's money.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import anyio

from agent.llm.base import Usage
from agent.llm.prices import Price, cost
from agent.llm.usage import estimate_usage
from agent.verification import Sample, read_samples
from bench.search_bank import Recorded, judge, kept_rows, read_bank
from bench.search_common import MissingDataError, SearchOptions, Section
from bench.search_stopping import shuffled_places
from tasks import load_suite
from verifiers.cache import default_cache_path

_BANK = "bank"


@dataclass(frozen=True, slots=True)
class Spending:
    """The weak model at one N.

    Attributes:
        n: samples a task at the most.
        solved: share of the tasks.
        draws: a task.
        tokens_in: a task.
        tokens_out: a task.
    """

    n: int
    solved: float
    draws: float
    tokens_in: float
    tokens_out: float


@dataclass(frozen=True, slots=True)
class Row:
    """One stronger model and the weak one beside it.

    Attributes:
        model: the stronger one.
        solved: share of the tasks, with one call each.
        tokens: in and out, a task.
        weak: at the least N that solves as much; `None` where none does.
        break_even: see the module; `None` likewise.
        dollars: of the stronger one, a task; `None` without its price.
        weak_dollars: of the weak one where it solves as much.
        for_the_money: share that the weak one solves for `dollars`; `None` without prices.
    """

    model: str
    solved: float
    tokens: float
    weak: Spending | None
    break_even: float | None
    dollars: float | None
    weak_dollars: float | None
    for_the_money: float | None


def run(asked: SearchOptions) -> Section:
    """The section.

    Raises:
        MissingDataError: no bank, or no recorded models.
    """
    if asked.models is None or not asked.models.is_file():
        raise MissingDataError("give the recorded models with --models FILE")
    bank = read_bank(asked)
    curve = spending(bank, asked.orders, asked.seed)
    rows = [
        compare(name, samples, rights, curve, asked)
        for name, (samples, rights) in _recorded(asked, asked.models).items()
    ]
    rows.sort(key=lambda row: row.solved)
    return Section(_lines(rows, curve), [asdict(row) for row in rows])


def spending(bank: Sequence[Recorded], orders: int, seed: int) -> list[Spending]:
    """What the weak model solves and uses for every N, as means over orders and tasks."""
    most = min(len(recorded.right) for recorded in bank)
    solved, draws, into, out = ([0.0] * (most + 1) for _ in range(4))
    for recorded, places in zip(bank, shuffled_places(bank, orders, seed), strict=True):
        for order in places:
            over = False
            for n, place in enumerate(order[:most], start=1):
                if not over:
                    tokens = recorded.tokens[place]
                    draws[n] += 1
                    into[n] += tokens[0]
                    out[n] += tokens[1]
                    over = recorded.right[place]
                solved[n] += over
    scale = 1 / (orders * len(bank))
    found: list[Spending] = []
    drawn = spent_in = spent_out = 0.0
    for n in range(1, most + 1):
        drawn, spent_in, spent_out = drawn + draws[n], spent_in + into[n], spent_out + out[n]
        spent = (drawn * scale, spent_in * scale, spent_out * scale)
        found.append(Spending(n, solved[n] * scale, *spent))
    return found


def compare(
    name: str,
    samples: Sequence[Sample],
    rights: Sequence[bool],
    curve: Sequence[Spending],
    asked: SearchOptions,
) -> Row:
    """One stronger model beside the weak one."""
    usages = [_usage(sample) for sample in samples]
    count = len(samples)
    into = sum(usage.tokens_in for usage in usages) / count
    out = sum(usage.tokens_out for usage in usages) / count
    solved = sum(rights) / count
    weak = next((one for one in curve if one.solved >= solved), None)
    price, weak_price = _price(asked, name), _price(asked, _BANK)
    dollars = _dollars(into, out, price)
    for_money = None
    if dollars is not None and weak_price is not None:
        fits = [one for one in curve if (_spent(one, weak_price) or 0.0) <= dollars]
        for_money = fits[-1].solved if fits else 0.0
    return Row(
        name,
        solved,
        into + out,
        weak,
        (into + out) / (weak.tokens_in + weak.tokens_out) if weak is not None else None,
        dollars,
        _spent(weak, weak_price) if weak is not None else None,
        for_money,
    )


def _recorded(asked: SearchOptions, path: Path) -> dict[str, tuple[list[Sample], list[bool]]]:
    """Each model's samples, and whether they are right; judged once."""
    samples = list(read_samples(path, load_suite("humaneval")))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    kept = default_cache_path().parent / f"bench-verdicts-{digest}.jsonl"
    if not kept.is_file():
        anyio.run(judge, samples, asked, kept)
    found: dict[str, tuple[list[Sample], list[bool]]] = {}
    for sample, row in zip(samples, kept_rows(samples, kept), strict=True):
        ones = found.setdefault(str(sample.echo.get("model", "")), ([], []))
        ones[0].append(sample)
        ones[1].append(bool(row["passed"]))
    return found


def _usage(sample: Sample) -> Usage:
    prompt = sample.task.public().prompt
    body = sample.program.removeprefix(prompt.rstrip())
    return estimate_usage(len(prompt), len(body))


def _price(asked: SearchOptions, name: str) -> Price | None:
    given = asked.prices.get(name)
    return Price(input=given[0], output=given[1]) if given else None


def _dollars(into: float, out: float, price: Price | None) -> float | None:
    if price is None:
        return None
    million = 1_000_000  # a mean of tokens is no whole number, so it is priced on a large scale
    usage = Usage(tokens_in=round(into * million), tokens_out=round(out * million))
    return cost(usage, price) / million


def _spent(one: Spending, price: Price | None) -> float | None:
    return _dollars(one.tokens_in, one.tokens_out, price)


def _lines(rows: Sequence[Row], curve: Sequence[Spending]) -> list[str]:
    most = curve[-1]
    lines = [
        "A weak model with search against stronger ones with one call, tests given.",
        f"The weak one solves {curve[0].solved:.1%} with 1 draw, {most.solved:.1%} with at most"
        f" {most.n} ({most.draws:.1f} draws a task).",
        "break-even: price of its token, as a share of the stronger one's, at which it costs as"
        " much",
        "",
        f"{'solved':>7}{'tokens':>8}  {'as much with':>26}{'tokens':>8}{'break-even':>12}"
        f"{'$ a task':>12}{'weak $':>12}{'for the money':>15}  model",
    ]
    for row in rows:
        weak = row.weak
        needs = f"N = {weak.n}, {weak.draws:.1f} draws" if weak else "no N of the bank"
        tokens = f"{weak.tokens_in + weak.tokens_out:.0f}" if weak else ""
        even = f"{row.break_even:.2f}" if row.break_even is not None else "does not pay"
        money = "".join(
            f"{'' if value is None else f'{value:.6f}':>12}"
            for value in (row.dollars, row.weak_dollars)
        )
        worth = "" if row.for_the_money is None else f"{row.for_the_money:.1%}"
        lines.append(
            f"{row.solved:>7.1%}{row.tokens:>8.0f}  {needs:>26}{tokens:>8}{even:>12}{money}"
            f"{worth:>15}  {row.model}"
        )
    return lines
