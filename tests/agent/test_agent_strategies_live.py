"""Every strategy with the embedded model, on an easy task: real answers, however odd they are."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from agent.drawing import Sampling
from agent.journal import Journal
from agent.llm.base import ModelError
from agent.llm.local import LocalModel
from agent.llm.weights import pull
from agent.loop import Confirm, Searcher
from agent.search.base import StrategyOptions
from agent.search.registry import create_strategy
from tasks import load_task
from tests.agent.test_agent_strategies import STRATEGIES, outline

pytestmark = [pytest.mark.anyio, pytest.mark.model]
NAME = "smollm2-135m"
N = 3
FIRST = {"plan": "plan", "decompose": "decompose"}


@pytest.fixture(scope="module")
async def model(anyio_backend: str) -> AsyncIterator[LocalModel]:
    """One server for all; without its weights the tests skip, unless REGREEN_REQUIRE_MODEL=1."""
    try:
        import xllamacpp  # noqa: F401

        pull(NAME)
    except (ImportError, ModelError) as error:
        if os.environ.get("REGREEN_REQUIRE_MODEL") == "1":
            raise
        pytest.skip(f"no embedded model: {error}")
    opened = LocalModel(NAME)
    yield opened
    await opened.aclose()


@pytest.mark.parametrize("name", STRATEGIES)
async def test_strategy_with_the_embedded_model(
    searcher: Callable[..., Searcher],
    scripted: Callable[..., Any],
    model: LocalModel,
    tmp_path: Path,
    name: str,
) -> None:
    task = load_task("examples/is_even").given()
    options = StrategyOptions(n=N, exhaustive=True, own=STRATEGIES[name])
    made: dict[str, Any] = {
        "strategy": create_strategy(name, options),
        "sampling": Sampling(max_tokens=64, seed=5),
        "confirm": Confirm.CHOSEN,
    }
    journal = Journal(tmp_path)
    first = searcher(model, journal=journal, concurrency=1, **made)
    result = await first.search(task)
    spent = first.ledger.spent
    assert result.stopped in ("drawn", "verified")
    assert spent.samples == (1 if name == "greedy" else N)
    assert 0 < spent.tokens_out <= 64 * N
    kinds = [one["data"]["kind"] for one in journal if one["kind"] == "sample"]
    assert kinds[0] == FIRST.get(name, "sample")
    assert len(result.candidates) + result.pieces == spent.samples
    journal.close()
    # the same again out of the journal, without the model
    journal = Journal(tmp_path)
    dumb = scripted(lambda _request: AssertionError("asked again"))
    again = await searcher(dumb, journal=journal, concurrency=4, **made).search(task)
    journal.close()
    assert outline(again) == outline(result)
