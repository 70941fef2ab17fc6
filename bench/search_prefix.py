"""Prefix caches: the share of the prompts' tokens that best-of-16 has served from what is kept."""

from __future__ import annotations

import anyio

from agent.accounts import Entry, table
from agent.drawing import Sampling
from agent.search.best_of_n import BestOfN
from agent.session import open_bench
from agent.tiers import open_tiers
from bench.search_common import SearchOptions, Section, search_all
from tasks import load_suite

_SAMPLES = 16
_TASKS = 3
_TOKENS = 16
"""Answers are cut short: what is measured is what it takes to read the prompts."""


def run(asked: SearchOptions) -> Section:
    """The section."""
    row = anyio.run(_measure, asked)
    share = row.tokens_cached / max(1, row.tokens_in)
    line = (
        f"Prefix cache: {asked.model}, best-of-{_SAMPLES} over {_TASKS} HumanEval tasks:"
        f" {row.tokens_cached} of {row.tokens_in} prompt tokens ({share:.1%}) from the cache,"
        f" as the server reports it"
    )
    return Section([line], {"share": share, **row.model_dump()})


async def _measure(asked: SearchOptions) -> Entry:
    tasks = list(load_suite("humaneval"))[:_TASKS]
    settings = asked.settings(model=asked.model)
    async with open_tiers(settings) as tiers, open_bench(settings, tasks) as bench:
        found = await search_all(
            tasks,
            BestOfN(n=_SAMPLES, exhaustive=True),
            tiers,
            bench,
            sampling=Sampling(max_tokens=_TOKENS),
        )
    return table(found.ledger.entries, ())[0]
